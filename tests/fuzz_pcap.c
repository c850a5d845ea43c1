/* tests/fuzz_pcap.c - libFuzzer: any bytes are a capture or an error, never a crash. All columns are wanted, twice: in
 * steps as small as they get, batches of 7, and in one piece; the same packets must come out, and whatever is valid must
 * lie within its bounds. The first byte chooses the header that is put in front: none, pcap of some link, pcapng. */
#include "io/capture.h"
#include "io/format.h"
#include "kernels/kernels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
    uint64_t rows, sum, cut;
    int code;
};

/* The same however rows lie in batches. */
static uint64_t sum_of(const struct batch *b, const struct mill_schema *schema, uint64_t first)
{
    uint64_t all = 0;

    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct column *c = &b->columns[i];
        const uint32_t width = type_width(&schema->fields[i].type);

        for (uint32_t r = 0; r < b->rows; r++) {
            const char *value = (const char *)c->values + (size_t)r * width;
            size_t bytes = width;
            uint64_t sum = (first + r) * 1000 + i;

            if (type_phys(&schema->fields[i].type) == PHYS_VIEW) {
                bytes = ((const struct mill_view *)(const void *)value)->length;
                value = mill_view_data((const struct mill_view *)(const void *)value);
            }
            for (size_t k = 0; column_valid(c, r) && k < bytes; k++)
                sum = (sum ^ (uint8_t)value[k]) * 0x100000001b3ull;
            all += column_valid(c, r) ? sum * 0x9e3779b97f4a7c15ull : 1;
        }
    }
    return all;
}

/* By index, as FILL_TIME and views need no more: every column but the times has its own meaning checked here. */
static void check_rows(const struct batch *b, const struct mill_schema *schema)
{
    const struct column *caplen = &b->columns[schema_find(schema, "caplen")];
    const struct column *raw = &b->columns[schema_find(schema, "raw")];
    const struct column *payload = &b->columns[schema_find(schema, "payload")];
    const struct column *status = &b->columns[schema_find(schema, "decode_status")];
    const struct column *depth = &b->columns[schema_find(schema, "l3_off")];

    for (uint32_t r = 0; r < b->rows; r++) {
        const int64_t n = ((const int64_t *)caplen->values)[r];
        const struct mill_view *whole = (const struct mill_view *)raw->values + r;
        const struct mill_view *part = (const struct mill_view *)payload->values + r;

        if (whole->length != n || part->length > n || ((const int32_t *)status->values)[r] > 4 ||
            (column_valid(depth, r) && ((const int32_t *)depth->values)[r] > n))
            __builtin_trap();
    }
}

static struct run decode(struct heap *heap, const struct source_config *config, const char *bytes,
                         size_t length, size_t want, uint32_t rows)
{
    struct mill_error error = {0};
    struct format *format = NULL;
    struct run run = {0};

    if (format_pcap.open(config, &format, &error) != MILL_OK)
        __builtin_trap();
    struct format_cutter *cutter = format_pcap.cutter_new(format, "fuzz");
    struct format_decoder *decoder = format_pcap.decoder_new(format, heap);

    while (run.cut < length) {
        struct format_piece piece = {.bytes = bytes + run.cut, .file = "fuzz", .offset = run.cut};
        const struct format_bytes here = {run.cut, bytes + run.cut, length - run.cut, want, true};
        int more = 1;

        piece.length = format_pcap.cutter_cut(cutter, &here, piece.context, &error);
        if (piece.length == 0)
            break;
        if (piece.length > length - run.cut)
            __builtin_trap();
        format_pcap.begin(decoder, &piece);
        while (more == 1) {
            struct batch *batch = batch_new(heap, rows, config->schema->field_count);

            more = format_pcap.decode(decoder, batch, &error);
            if (more < 0)
                __builtin_trap(); /* what was cut is whole */
            check_rows(batch, config->schema);
            run.sum += sum_of(batch, config->schema, run.rows);
            run.rows += batch->rows;
            batch_free(batch);
        }
        run.cut += piece.length;
        format_pcap.cutter_release(format, piece.context);
    }
    run.code = error.code;
    if ((run.cut < length) != (error.code != 0))
        __builtin_trap(); /* all is cut, or it says why not */
    format_pcap.decoder_free(decoder);
    format_pcap.cutter_free(cutter);
    format_pcap.close(format);
    return run;
}

/* A header, and one record or block around the bytes where the choice says so. Returns its length. */
static size_t in_front(uint8_t choice, uint8_t *to, uint32_t rest)
{
    static const uint16_t links[] = {1, 0, 9, 101, 113, 276, 228, 229};
    const uint32_t header[] = {choice & 16 ? 0xa1b23c4d : 0xa1b2c3d4,
                               0x00040002,
                               0,
                               0,
                               65535,
                               links[choice & 7],
                               5,
                               6,
                               rest,
                               rest};
    const uint32_t blocks[] = {0x0a0d0d0a, 28, 0x1a2b3c4d,        1, 0, 0, 28,
                               1,          20, links[choice & 7], 0, 20};

    if (choice < 64)
        return 0;
    if (choice < 192) {
        memcpy(to, header, sizeof header);
        return choice < 128 ? sizeof header : 24;
    }
    memcpy(to, blocks, sizeof blocks);
    return sizeof blocks;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool used = true;
    const struct option option = {.key = "connector", .value = "pcap", .used = &used};
    const struct options options = {.items = &option, .count = 1, .table = "fuzz"};
    struct budget budget = {.limit = 256u << 20};
    struct mill_schema schema;
    struct arena arena;
    struct heap heap;
    uint8_t *bytes;
    size_t n;

    if (size < 1)
        return 0;
    heap_open_shared(&heap, env_real(), &budget);
    arena_open(&arena, &heap);
    bytes = heap_alloc(&heap, size + 64);
    if (capture_schema(&arena, &schema) != MILL_OK || bytes == NULL)
        __builtin_trap();
    n = in_front(data[0], bytes, (uint32_t)size - 1);
    memcpy(bytes + n, data + 1, size - 1);
    n += size - 1;
    /* a copy of just its size: a read behind it is seen */
    char *exact = heap_alloc(&heap, n > 0 ? n : 1);
    memcpy(exact, bytes, n);

    const struct source_config config = {.options = &options, .schema = &schema, .heap = &heap};
    const struct run whole = decode(&heap, &config, exact, n, n, 64);
    const struct run steps = decode(&heap, &config, exact, n, 1, 7);

    if (whole.rows != steps.rows || whole.sum != steps.sum || whole.cut != steps.cut ||
        whole.code != steps.code)
        __builtin_trap();
    heap_free(&heap, exact, n > 0 ? n : 1);
    heap_free(&heap, bytes, size + 64);
    arena_close(&arena);
    heap_close(&heap);
    return 0;
}
