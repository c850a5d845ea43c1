/* tools/bench_inputs.c - rates of the ways in: files in the page cache by format, captures, the generator.
 *
 * The files are written by the engine itself; the answer over a file is that of the same query over the generator, but for CSV, whose
 * file is also read here line by line.
 */
#include "tools/bench.h"

#include <stdlib.h>
#include <string.h>

#define EVENT_COLUMNS                                                                              \
    "event_type INT, person_id BIGINT, person_name STRING, person_city STRING, person_state "      \
    "STRING, auction_id BIGINT, auction_seller BIGINT, auction_category BIGINT, bid_auction "      \
    "BIGINT, bid_bidder BIGINT, bid_price BIGINT, bid_channel STRING, bid_url STRING, dateTime "   \
    "TIMESTAMP(3)"
#define MARK ", WATERMARK FOR dateTime AS dateTime - INTERVAL '4' SECOND"
#define GENERATOR(name, columns)                                                                   \
    "CREATE TABLE " name " (" columns ") WITH ('connector' = 'nexmark', 'events.num' = "           \
    "'${ROWS}');"
#define FILE_TABLE(name, columns, format)                                                          \
    "CREATE TABLE " name " (" columns ") WITH ('connector' = 'filesystem', 'format' = '" format    \
    "', 'path' = '${DIR}/events." format "');"
#define BIDS_BY_AUCTION                                                                            \
    "SELECT window_start, bid_auction, COUNT(*), SUM(bid_price) FROM TABLE(TUMBLE(TABLE e, "       \
    "DESCRIPTOR(dateTime), INTERVAL '10' SECOND)) WHERE event_type = 2 GROUP BY window_start, "    \
    "window_end, bid_auction;"
#define WRITE(format)                                                                              \
    GENERATOR("n", EVENT_COLUMNS)                                                                  \
    FILE_TABLE("f", EVENT_COLUMNS, format) "INSERT INTO f SELECT * FROM n;"
#define FROM_FILE(format) FILE_TABLE("e", EVENT_COLUMNS MARK, format) BIDS_BY_AUCTION
#define FROM_GENERATOR GENERATOR("e", EVENT_COLUMNS MARK) BIDS_BY_AUCTION
#define COUNT_ROWS "SELECT COUNT(*) FROM e;"
#define INPUT(count) .group = "input", .rows = count

/* ---- CSV, read here ---- */

struct group {
    int64_t window, auction, count, sum;
};

static int by_group(const void *a, const void *b)
{
    const struct group *x = a, *y = b;

    return x->window != y->window ? (x->window > y->window) - (x->window < y->window)
                                  : (x->auction > y->auction) - (x->auction < y->auction);
}

/* A bid's line: 2,,,,,,,,AUCTION,BIDDER,PRICE,CHANNEL,URL,2015-07-15 HH:MM:SS.mmm */
static bool read_bid(char *line, struct group *g)
{
    char *at = line, *last = strrchr(line, ',');
    int hour, minute, second, day;

    if (strncmp(line, "2,", 2) != 0 || last == NULL ||
        sscanf(last, ",2015-07-%d %d:%d:%d", &day, &hour, &minute, &second) != 4)
        return false;
    for (int i = 0; i < 8; i++)
        at = strchr(at, ',') + 1;
    g->auction = strtoll(at, &at, 10);
    at = strchr(at + 1, ',') + 1;
    g->sum = strtoll(at, NULL, 10);
    g->count = 1;
    /* 2015-07-15 is day 16,631 after 1970-01-01 */
    g->window = ((16631 + day - 15) * 86400ll + hour * 3600 + minute * 60 + second) / 10 * 10;
    return true;
}

static int answer_csv(const struct bench_data *data, struct bench_answer *a)
{
    char path[4200], *line = NULL;
    size_t room = 0, count = 0;
    struct group *all = bench_memory(data->rows * sizeof *all);
    FILE *from;

    snprintf(path, sizeof path, "%s/events.csv", data->folder);
    from = fopen(path, "re");
    while (from != NULL && count < data->rows && getline(&line, &room, from) > 0)
        count += read_bid(line, &all[count]);
    free(line);
    if (from == NULL) {
        free(all);
        fprintf(stderr, "millstream: bench: cannot read %s\n", path);
        return BENCH_EXIT_NO_INPUT;
    }
    fclose(from);
    qsort(all, count, sizeof *all, by_group);
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && by_group(&all[i], &all[end]) == 0; end++) {
            all[i].count += all[end].count;
            all[i].sum += all[end].sum;
        }
        bench_answer_row(a,
                         (const struct bench_value[]){{.kind = BENCH_WHOLE,
                                                       .whole = all[i].window * 1000000},
                                                      {.kind = BENCH_WHOLE,
                                                       .whole = all[i].auction},
                                                      {.kind = BENCH_WHOLE, .whole = all[i].count},
                                                      {.kind = BENCH_WHOLE, .whole = all[i].sum}},
                         4);
    }
    free(all);
    return 0;
}

/* ---- captures ---- */

#define FLOWS 10000
#define PACKET 60
#define PCAP_COLUMNS                                                                               \
    "ts TIMESTAMP(9), len BIGINT, src STRING, dst STRING, proto INT, sport INT, dport INT, "       \
    "tcp_flags INT, flow_hash BIGINT, WATERMARK FOR ts AS ts"
#define PCAP_TABLE                                                                                 \
    "CREATE TABLE e (" PCAP_COLUMNS ") WITH ('connector' = 'pcap', 'path' = '${DIR}/e.pcap');"

/* Kept with the data: rows of the answer are recomputed from them. */
struct packets {
    uint16_t ports[FLOWS];
    bool tcp[FLOWS];
};

static void put16(unsigned char *to, unsigned value) /* network order */
{
    to[0] = (unsigned char)(value >> 8);
    to[1] = (unsigned char)value;
}

/* Ethernet, IPv4, TCP or UDP. */
static void make_flow(unsigned char packet[PACKET], uint64_t *state, uint16_t *port, bool *tcp)
{
    static const uint16_t ports[] = {80, 443, 53, 22, 8080};
    const uint64_t host = bench_random(state);

    memset(packet, 0, PACKET);
    packet[0] = packet[6] = 2;
    packet[5] = 1;
    packet[11] = 2;
    put16(packet + 12, 0x0800);
    *tcp = bench_random(state) % 5 != 0;
    *port = *tcp ? ports[bench_random(state) % 5] : 53;
    packet[14] = 0x45;
    put16(packet + 16, 46);
    put16(packet + 18, 1);
    packet[22] = 64;
    packet[23] = *tcp ? 6 : 17;
    put16(packet + 26, (unsigned)(host >> 8 & 0xffff));
    put16(packet + 28, (unsigned)(host & 0xffff));
    put16(packet + 30, 0x0a00);
    packet[33] = (unsigned char)bench_random(state);
    put16(packet + 34, 1024 + (unsigned)(bench_random(state) % 64512));
    put16(packet + 36, *port);
    if (*tcp) {
        packet[46] = 0x50;
        packet[47] = 0x10;
        put16(packet + 48, 100);
    } else {
        put16(packet + 38, 26);
    }
}

/* Packet i belongs to this flow and comes this many ns after the first. */
static uint32_t flow_of(uint64_t i)
{
    uint64_t state = i * 2654435761u;

    return (uint32_t)(bench_random(&state) % FLOWS);
}

static int fill_pcap(struct bench_data *data)
{
    static unsigned char flows[FLOWS][PACKET];
    const uint32_t head[6] = {0xa1b23c4d, 2 | 4 << 16, 0, 0, 65535, 1};
    struct packets *kept = bench_memory(sizeof *kept);
    char path[4200];
    uint64_t state = 1;
    bool written;
    FILE *to;

    data->kept = kept;
    for (uint32_t f = 0; f < FLOWS; f++)
        make_flow(flows[f], &state, &kept->ports[f], &kept->tcp[f]);
    snprintf(path, sizeof path, "%s/e.pcap", data->folder);
    to = fopen(path, "we");
    if (to != NULL)
        fwrite(head, sizeof head, 1, to);
    for (uint64_t i = 0; to != NULL && i < data->rows; i++) {
        const uint32_t record[4] = {(uint32_t)(1700000000 + i / 1000000),
                                    (uint32_t)(i % 1000000 * 1000), PACKET, PACKET};

        fwrite(record, sizeof record, 1, to);
        fwrite(flows[flow_of(i)], PACKET, 1, to);
    }
    written = to != NULL && !ferror(to);
    if (to != NULL && fclose(to) == 0 && written)
        return 0;
    fprintf(stderr, "millstream: bench: cannot write %s\n", path);
    return BENCH_EXIT_OUTPUT;
}

/* TCP packets by second and port: window_start (ns, from 7 digits on), port, COUNT, SUM of lengths. */
static int answer_ports(const struct bench_data *data, struct bench_answer *a)
{
    static const uint16_t ports[] = {80, 443, 53, 22, 8080};
    const struct packets *kept = data->kept;

    for (uint64_t begin = 0; begin < data->rows; begin += 1000000) {
        const uint64_t end = begin + 1000000 < data->rows ? begin + 1000000 : data->rows;
        int64_t counts[5] = {0};

        for (uint64_t i = begin; i < end; i++)
            for (int p = 0; p < 5; p++)
                counts[p] += kept->tcp[flow_of(i)] && kept->ports[flow_of(i)] == ports[p];
        for (int p = 0; p < 5; p++)
            if (counts[p] > 0)
                bench_answer_row(a,
                                 (const struct bench_value[]){{.kind = BENCH_WHOLE,
                                                               .whole =
                                                                   (1700000000 +
                                                                    (int64_t)(begin / 1000000)) *
                                                                   1000000000},
                                                              {.kind = BENCH_WHOLE,
                                                               .whole = ports[p]},
                                                              {.kind = BENCH_WHOLE,
                                                               .whole = counts[p]},
                                                              {.kind = BENCH_WHOLE,
                                                               .whole = counts[p] * PACKET}},
                                 4);
    }
    return 0;
}

static int answer_packets(const struct bench_data *data, struct bench_answer *a)
{
    bench_answer_row(a,
                     (const struct bench_value[]){{.kind = BENCH_WHOLE,
                                                   .whole = (int64_t)data->rows},
                                                  {.kind = BENCH_WHOLE,
                                                   .whole = (int64_t)data->rows * PACKET}},
                     2);
    return 0;
}

static int answer_count(const struct bench_data *data, struct bench_answer *a)
{
    bench_answer_row(a,
                     &(const struct bench_value){.kind = BENCH_WHOLE, .whole = (int64_t)data->rows},
                     1);
    return 0;
}

const struct bench_workload bench_input_workloads[] =
    {{.name = "csv",
      .what = "CSV, 14 columns: bids by auction in 10 s windows",
      INPUT(2000000),
      .setup = WRITE("csv"),
      .sql = FROM_FILE("csv"),
      .answer = answer_csv,
      .peer =
          "SELECT time_bucket(INTERVAL 10 SECOND, dateTime) AS w, bid_auction, count(*) AS n, "
          "sum(bid_price) AS s FROM read_csv('${DIR}/events.csv', header = false, auto_detect = "
          "false, delim = ',', quote = '\"', escape = '\"', columns = {'event_type': 'INTEGER', "
          "'person_id': 'BIGINT', 'person_name': 'VARCHAR', 'person_city': 'VARCHAR', "
          "'person_state': 'VARCHAR', 'auction_id': 'BIGINT', 'auction_seller': 'BIGINT', "
          "'auction_category': 'BIGINT', 'bid_auction': 'BIGINT', 'bid_bidder': 'BIGINT', "
          "'bid_price': 'BIGINT', 'bid_channel': 'VARCHAR', 'bid_url': 'VARCHAR', 'dateTime': "
          "'TIMESTAMP'}) WHERE event_type = 2 GROUP BY w, bid_auction"},
     {.name = "csv-discard",
      .what = "the same, results dropped in the engine",
      INPUT(2000000),
      .setup = WRITE("csv"),
      .sql = FROM_FILE("csv"),
      .answer = answer_csv,
      .discard = true},
     {.name = "csv-posix",
      .what = "CSV read by pread: COUNT(*)",
      INPUT(2000000),
      .setup = WRITE("csv"),
      .sql = FILE_TABLE("e", EVENT_COLUMNS, "csv") COUNT_ROWS,
      .answer = answer_count,
      .io = "posix"},
     {.name = "csv-uring",
      .what = "CSV read by io_uring: COUNT(*)",
      INPUT(2000000),
      .setup = WRITE("csv"),
      .sql = FILE_TABLE("e", EVENT_COLUMNS, "csv") COUNT_ROWS,
      .answer = answer_count,
      .io = "uring"},
     {.name = "json",
      .what = "JSON lines, flat: bids by auction in 10 s windows",
      INPUT(1000000),
      .setup = WRITE("json"),
      .sql = FROM_FILE("json"),
      .reference = FROM_GENERATOR,
      .peer = "SELECT time_bucket(INTERVAL 10 SECOND, dateTime) AS w, bid_auction, count(*) AS n, "
              "sum(bid_price) AS s FROM read_json('${DIR}/events.json', format = "
              "'newline_delimited', columns = {'event_type': 'INTEGER', 'bid_auction': 'BIGINT', "
              "'bid_price': 'BIGINT', 'dateTime': 'TIMESTAMP'}) WHERE event_type = 2 GROUP BY w, "
              "bid_auction"},
     {.name = "columnar",
      .what = "columnar, 14 columns: bids by auction in 10 s windows",
      INPUT(5000000),
      .setup = WRITE("columnar"),
      .sql = FROM_FILE("columnar"),
      .reference = FROM_GENERATOR},
     {.name = "columnar-count",
      .what = "columnar: COUNT(*), from the heads of blocks",
      INPUT(5000000),
      .setup = WRITE("columnar"),
      .sql = FILE_TABLE("e", EVENT_COLUMNS, "columnar") COUNT_ROWS,
      .answer = answer_count},
     {.name = "pcap",
      .what = "capture of 60-byte packets: COUNT(*), SUM(len)",
      INPUT(5000000),
      .fill = fill_pcap,
      .answer = answer_packets,
      .sql = PCAP_TABLE "SELECT COUNT(*), SUM(len) FROM e;"},
     {.name = "pcap-ports",
      .what = "capture: TCP packets by port in 1 s windows",
      INPUT(5000000),
      .fill = fill_pcap,
      .answer = answer_ports,
      .sql = PCAP_TABLE
      "SELECT window_start, dport, COUNT(*), SUM(len) FROM TABLE(TUMBLE(TABLE e, DESCRIPTOR(ts), "
      "INTERVAL '1' SECOND)) WHERE proto = 6 GROUP BY window_start, window_end, dport;"},
     {.name = "generator",
      .what = "NEXMark events made in the engine: bids by auction in 10 s "
              "windows",
      INPUT(5000000),
      .sql = FROM_GENERATOR},
     {.name = NULL}};
