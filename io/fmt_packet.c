/* io/fmt_packet.c - captures into columns: the columns' names and types, and how each is filled.
 *
 * Packets are read and decoded by the chunk into an array that stays in the first-level cache; then every wanted column
 * is filled from it in a loop of its own. Where all packets of a chunk have their fields at the same places, columns are
 * filled from the bytes.
 */
#include "io/capture.h"
#include "io/format.h"

#include <stdio.h>

#define CHUNK 128
#define REST_CHUNKS 16u /* not asked whether they are plain after one that is not */
#define ADDRESS_TEXT_MAX 48u
#define TEXTS 256u /* addresses of IPv6 whose text is remembered, per batch */

enum fill {
    FILL_INT_U8,
    FILL_INT_U16,
    FILL_INT_U32,
    FILL_BIG_U32,
    FILL_BIG_U64,
    FILL_TIME,
    FILL_MAC,
    FILL_ADDRESS,
    FILL_PAYLOAD,
    FILL_RAW,
    FILL_PLAIN /* of no column: how a plain packet's are filled */
};

struct packet_column {
    const char *name;
    enum fill fill;
    uint16_t offset;   /* in struct packet */
    uint16_t has;      /* NULL without this bit of packet.has */
    uint16_t argument; /* MAC: place in the header; ADDRESS: offset of the version */
    bool record;       /* known without looking into the packet */
};

#define AT(field) (uint16_t) offsetof(struct packet, field)
static const struct packet_column columns[] = {
    {"ts", FILL_TIME, AT(record.ts), PACKET_HAS_TIME, 0, true},
    {"if_id", FILL_INT_U16, AT(record.interface), 0, 0, true},
    {"caplen", FILL_BIG_U32, AT(record.caplen), 0, 0, true},
    {"len", FILL_BIG_U32, AT(record.length), 0, 0, true},
    {"link", FILL_INT_U16, AT(record.link), 0, 0, true},
    {"eth_src", FILL_MAC, AT(eth), PACKET_HAS_ETH, 6, false},
    {"eth_dst", FILL_MAC, AT(eth), PACKET_HAS_ETH, 0, false},
    {"ethertype", FILL_INT_U16, AT(ethertype), PACKET_HAS_ETHERTYPE, 0, false},
    {"vlan_outer", FILL_INT_U16, AT(vlan_outer), PACKET_HAS_VLAN, 0, false},
    {"vlan_inner", FILL_INT_U16, AT(vlan_inner), PACKET_HAS_VLAN_INNER, 0, false},
    {"mpls_top", FILL_BIG_U32, AT(mpls_top), PACKET_HAS_MPLS, 0, false},
    {"mpls_depth", FILL_INT_U8, AT(mpls_depth), 0, 0, false},
    {"ip_ver", FILL_INT_U8, AT(ip_ver), PACKET_HAS_IP, 0, false},
    {"src", FILL_ADDRESS, AT(src), PACKET_HAS_IP, AT(ip_ver), false},
    {"dst", FILL_ADDRESS, AT(dst), PACKET_HAS_IP, AT(ip_ver), false},
    {"proto", FILL_INT_U8, AT(proto), PACKET_HAS_IP, 0, false},
    {"sport", FILL_INT_U16, AT(sport), PACKET_HAS_PORTS, 0, false},
    {"dport", FILL_INT_U16, AT(dport), PACKET_HAS_PORTS, 0, false},
    {"dscp_ecn", FILL_INT_U8, AT(dscp_ecn), PACKET_HAS_IP, 0, false},
    {"ttl", FILL_INT_U8, AT(ttl), PACKET_HAS_IP, 0, false},
    {"ip_id", FILL_BIG_U32, AT(ip_id), PACKET_HAS_IP_ID, 0, false},
    {"frag_off", FILL_INT_U16, AT(frag_off), PACKET_HAS_IP, 0, false},
    {"frag_more", FILL_INT_U8, AT(frag_more), PACKET_HAS_IP, 0, false},
    {"tcp_flags", FILL_INT_U8, AT(tcp_flags), PACKET_HAS_TCP, 0, false},
    {"seq", FILL_BIG_U32, AT(seq), PACKET_HAS_TCP, 0, false},
    {"ack", FILL_BIG_U32, AT(ack), PACKET_HAS_TCP, 0, false},
    {"win", FILL_INT_U16, AT(win), PACKET_HAS_TCP, 0, false},
    {"l4_off", FILL_INT_U32, AT(l4_off), PACKET_HAS_L4, 0, false},
    {"payload_off", FILL_INT_U32, AT(payload_off), PACKET_HAS_L4, 0, false},
    {"payload_len", FILL_BIG_U32, AT(payload_len), PACKET_HAS_L4, 0, false},
    {"tunnel_kind", FILL_INT_U8, AT(tunnel_kind), 0, 0, false},
    {"tunnel_id", FILL_BIG_U32, AT(tunnel_id), PACKET_HAS_TUNNEL_ID, 0, false},
    {"outer_src", FILL_ADDRESS, AT(outer_src), PACKET_HAS_OUTER, AT(outer_ver), false},
    {"outer_dst", FILL_ADDRESS, AT(outer_dst), PACKET_HAS_OUTER, AT(outer_ver), false},
    {"ip_len", FILL_BIG_U32, AT(ip_len), PACKET_HAS_IP, 0, false},
    {"l3_off", FILL_INT_U32, AT(l3_off), PACKET_HAS_IP, 0, false},
    {"decode_status", FILL_INT_U8, AT(status), 0, 0, false},
    {"flow_hash", FILL_BIG_U64, AT(flow_hash), PACKET_HAS_IP, 0, false},
    {"raw_off", FILL_BIG_U64, AT(record.offset), 0, 0, true},
    {"payload", FILL_PAYLOAD, 0, PACKET_HAS_L4, 0, false},
    {"raw", FILL_RAW, 0, 0, 0, true},
};
#define COLUMNS COUNT_OF(columns)

/* Where a column stands in a plain packet, big-endian; 0: it is worked out from several fields. */
static uint32_t plain_place(const struct packet_column *c)
{
    if (c->fill == FILL_MAC || c->fill == FILL_PAYLOAD)
        return 0;
    switch (c->offset) {
    case AT(ethertype): return PLAIN_ETHERTYPE;
    case AT(dscp_ecn): return PLAIN_DSCP_ECN;
    case AT(ip_len): return PLAIN_IP_LEN;
    case AT(ip_id): return PLAIN_IP_ID;
    case AT(ttl): return PLAIN_TTL;
    case AT(proto): return PLAIN_PROTO;
    case AT(src): return PLAIN_SRC;
    case AT(dst): return PLAIN_DST;
    case AT(sport): return PLAIN_SPORT;
    case AT(dport): return PLAIN_DPORT;
    case AT(seq): return PLAIN_SEQ;
    case AT(ack): return PLAIN_ACK;
    case AT(tcp_flags): return PLAIN_TCP_FLAGS;
    case AT(win): return PLAIN_WIN;
    default: return 0;
    }
}

struct packet_format {
    struct format format;
    struct source_config config;
    const struct packet_column **fills; /* per schema column */
    bool look, flows;                   /* into the packets; compute flow_hash */
    bool plain;                         /* all wanted columns stand in plain packets */
};

struct text_entry {
    uint8_t address[16];
    struct mill_view text;
    uint64_t batch; /* of which it is */
};

struct packet_decoder {
    struct format_decoder decoder;
    const struct packet_format *format;
    struct heap *heap;
    struct capture_place place;
    const uint8_t *bytes, *end;
    uint64_t offset, batches;
    uint8_t digits[256], digit_count[256];
    char octets[256][4]; /* "255." */
    struct packet packets[CHUNK];
    const struct packet *from; /* one of packets: the first to fill columns from */
    bool plain;                /* they are: only has and flow_hash are set */
    uint32_t rest;             /* chunks until it is tried again */
    struct text_entry texts[TEXTS];
};

/* ---- the schema ---- */

static struct mill_type column_type(const struct packet_column *c)
{
    switch (c->fill) {
    case FILL_INT_U8:
    case FILL_INT_U16:
    case FILL_INT_U32: return type_make(MILL_INT);
    case FILL_BIG_U32:
    case FILL_BIG_U64: return type_make(MILL_BIGINT);
    case FILL_TIME: return type_time(MILL_TIMESTAMP, 9);
    case FILL_MAC:
    case FILL_ADDRESS: return type_string();
    default: return (struct mill_type){.kind = MILL_VARBINARY, .length = MILL_LENGTH_MAX};
    }
}

int capture_schema(struct arena *arena, struct mill_schema *schema)
{
    struct mill_field *fields = arena_array(arena, struct mill_field, COLUMNS);

    for (size_t i = 0; fields != NULL && i < COLUMNS; i++)
        fields[i] = (struct mill_field){columns[i].name, column_type(&columns[i])};
    *schema = (struct mill_schema){fields != NULL ? COLUMNS : 0, fields};
    return fields != NULL ? MILL_OK : MILL_E_MEMORY;
}

/* The type itself, and what holds the same: any TIMESTAMP, a MAC address as BIGINT, an IP address as BYTES. */
static bool type_fits(const struct packet_column *c, const struct mill_type *type)
{
    struct mill_type own = column_type(c);

    if (c->fill == FILL_TIME)
        return type_is_time(type);
    if ((c->fill == FILL_MAC && type->kind == MILL_BIGINT) ||
        (c->fill == FILL_ADDRESS && type->kind == MILL_VARBINARY))
        return true;
    own.not_null = type->not_null;
    return type_same(&own, type);
}

static int find_column(const struct source_config *config, uint32_t at,
                       const struct packet_column **out, struct mill_error *error)
{
    const struct mill_field *f = &config->schema->fields[at];
    const char *names[COLUMNS], *near;
    const struct options *o = config->options;
    struct mill_type own;
    char declared[80], right[80];

    for (size_t i = 0; i < COLUMNS; i++) {
        names[i] = columns[i].name;
        if (strcmp(f->name, names[i]) != 0)
            continue;
        *out = &columns[i];
        own = column_type(&columns[i]);
        if (type_fits(&columns[i], &f->type))
            return MILL_OK;
        return mill_fail(error, MILL_E_TYPE, o->line, o->column,
                         "table %s: column %s of a capture is %s, not %s", o->table, f->name,
                         type_name(&own, right, sizeof right),
                         type_name(&f->type, declared, sizeof declared));
    }
    near = nearest_name(f->name, names, COLUMNS);
    for (size_t i = 0; near != NULL && i < COLUMNS; i++)
        if (strcmp(near, columns[i].name) == 0) {
            own = column_type(&columns[i]);
            return mill_fail(error, MILL_E_NAME, o->line, o->column,
                             "table %s: a capture has no column %s; did you mean %s %s?", o->table,
                             f->name, near, type_name(&own, right, sizeof right));
        }
    return mill_fail(error, MILL_E_NAME, o->line, o->column,
                     "table %s: a capture has no column %s; docs/PCAP.md lists them (ts, src, dst, "
                     "sport, dport, proto, len ...)",
                     o->table, f->name);
}

static int check_speed(const struct options *options, struct mill_error *error)
{
    const struct option *speed = option_get(options, "replay.speed");

    if (speed == NULL || strcmp(speed->value, "max") == 0)
        return MILL_OK;
    return mill_fail(error, MILL_E_UNSUPPORTED, speed->line, speed->column,
                     "'replay.speed' is '%s': captures are read as fast as they can, 'max'; "
                     "replaying at the speed of the recording is not supported yet",
                     speed->value);
}

static int packet_open(const struct source_config *config, struct format **out,
                       struct mill_error *error)
{
    const uint32_t count = config->schema->field_count;
    struct packet_format *f = heap_zalloc(config->heap, sizeof *f);

    if (f == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a source");
    f->format.vtable = &format_pcap;
    f->config = *config;
    *out = &f->format;
    f->fills = heap_zalloc(config->heap, (count + 1) * sizeof *f->fills);
    if (f->fills == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a source");
    f->plain = true;
    for (uint32_t i = 0; i < count; i++) {
        const int code = find_column(config, i, &f->fills[i], error);

        if (code != MILL_OK)
            return code;
        if (config->wanted == NULL || config->wanted[i]) {
            f->look = f->look || !f->fills[i]->record;
            f->flows = f->flows || f->fills[i]->offset == AT(flow_hash);
            f->plain = f->plain && (f->fills[i]->record || f->fills[i]->offset == AT(flow_hash) ||
                                    plain_place(f->fills[i]) != 0);
        }
    }
    return check_speed(config->options, error);
}

static void packet_close(struct format *format)
{
    struct packet_format *f = (struct packet_format *)format;
    struct heap *heap = f->config.heap;

    if (f->fills != NULL)
        heap_free(heap, f->fills, (f->config.schema->field_count + 1) * sizeof *f->fills);
    heap_free(heap, f, sizeof *f);
}

/* ---- cutting ---- */

struct packet_cutter {
    struct format_cutter cutter;
    struct capture_place place;
};

static struct format_cutter *cutter_new(const struct format *format, const char *file)
{
    const struct packet_format *f = (const struct packet_format *)format;
    struct packet_cutter *c = heap_zalloc(f->config.heap, sizeof *c);

    if (c == NULL)
        return NULL;
    c->cutter.vtable = &format_pcap;
    c->place = (struct capture_place){.heap = f->config.heap, .ts = CAPTURE_NO_TIME, .file = file};
    return &c->cutter;
}

static void cutter_free(struct format_cutter *cutter)
{
    struct packet_cutter *c = (struct packet_cutter *)cutter;

    capture_drop(c->place.heap, c->place.table);
    heap_free(c->place.heap, c, sizeof *c);
}

static size_t cutter_cut(struct format_cutter *cutter, const struct format_bytes *bytes,
                         uint64_t context[3], struct mill_error *error)
{
    struct packet_cutter *c = (struct packet_cutter *)cutter;
    struct capture_table *before = capture_share(c->place.table);
    size_t n;

    context[0] = (uint64_t)(uintptr_t)before;
    context[1] = (uint64_t)c->place.ts;
    n = capture_cut(&c->place, bytes->offset, (const uint8_t *)bytes->bytes, bytes->length,
                    bytes->want, bytes->ended, error);
    if (n == 0) {
        capture_drop(c->place.heap, before);
        context[0] = 0;
    }
    return n;
}

static void cutter_release(const struct format *format, uint64_t context[3])
{
    const struct packet_format *f = (const struct packet_format *)format;

    capture_drop(f->config.heap, (struct capture_table *)(uintptr_t)context[0]);
    context[0] = 0;
}

/* ---- decoding ---- */

static struct format_decoder *packet_decoder_new(const struct format *format, struct heap *heap)
{
    struct packet_decoder *d = heap_zalloc(heap, sizeof *d);

    if (d == NULL)
        return NULL;
    d->decoder.vtable = &format_pcap;
    d->format = (const struct packet_format *)format;
    d->heap = heap;
    d->place.heap = d->format->config.heap;
    for (uint32_t i = 0; i < 256; i++) {
        char text[8];

        d->digit_count[i] = (uint8_t)(snprintf(text, sizeof text, "%u.   ", i) > 0 ? (i > 99  ? 4
                                                                                      : i > 9 ? 3
                                                                                              : 2)
                                                                                   : 0);
        memcpy(d->octets[i], text, 4);
    }
    return &d->decoder;
}

static void packet_decoder_free(struct format_decoder *decoder)
{
    struct packet_decoder *d = (struct packet_decoder *)decoder;

    capture_drop(d->place.heap, d->place.table);
    heap_free(d->heap, d, sizeof *d);
}

static void packet_begin(struct format_decoder *decoder, const struct format_piece *piece)
{
    struct packet_decoder *d = (struct packet_decoder *)decoder;

    capture_drop(d->place.heap, d->place.table);
    d->place.table = capture_share((struct capture_table *)(uintptr_t)piece->context[0]);
    d->place.ts = (int64_t)piece->context[1];
    d->place.file = piece->file;
    d->bytes = (const uint8_t *)piece->bytes;
    d->end = d->bytes + piece->length;
    d->offset = piece->offset;
}

/* ---- texts ---- */

static uint32_t text4(const struct packet_decoder *d, const uint8_t *address, char *to)
{
    char *out = to;

    for (uint32_t i = 0; i < 4; i++) {
        memcpy(out, d->octets[address[i]], 4);
        out += d->digit_count[address[i]];
    }
    return (uint32_t)(out - to) - 1;
}

static char *hex_group(char *to, uint32_t value)
{
    static const char digits[] = "0123456789abcdef";
    bool any = false;

    for (int shift = 12; shift >= 0; shift -= 4) {
        any = any || (value >> shift & 15) != 0 || shift == 0;
        if (any)
            *to++ = digits[value >> shift & 15];
    }
    return to;
}

/* RFC 5952: lower case, the longest (first) run of two or more zero groups as "::". */
static uint32_t text6(const struct packet_decoder *d, const uint8_t *a, char *to)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    uint32_t best = 8, best_length = 1;
    char *out = to;

    if (memcmp(a, mapped, 12) == 0) {
        memcpy(to, "::ffff:", 7);
        return 7 + text4(d, a + 12, to + 7);
    }
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t n = 0;

        while (i + n < 8 && a[2 * (i + n)] == 0 && a[2 * (i + n) + 1] == 0)
            n++;
        if (n > best_length) {
            best = i;
            best_length = n;
        }
        i += n;
    }
    for (uint32_t i = 0; i < 8; i++) {
        if (i == best) {
            *out++ = ':';
            *out++ = ':';
            i += best_length - 1;
            continue;
        }
        if (i > 0 && out[-1] != ':')
            *out++ = ':';
        out = hex_group(out, (uint32_t)a[2 * i] << 8 | a[2 * i + 1]);
    }
    return (uint32_t)(out - to);
}

/* The text of an address of IPv6, written once per batch where it repeats. */
static bool view6(struct packet_decoder *d, struct batch *out, const uint8_t *a,
                  struct mill_view *view)
{
    uint64_t low, high;
    struct text_entry *e;
    char text[ADDRESS_TEXT_MAX];

    memcpy(&high, a, 8);
    memcpy(&low, a + 8, 8);
    e = &d->texts[((high ^ low) * 0x9e3779b97f4a7c15ull) >> 56];
    if (e->batch != d->batches || memcmp(e->address, a, 16) != 0) {
        memcpy(e->address, a, 16);
        e->text = batch_view(out, text, text6(d, a, text));
        e->batch = d->batches;
        if (e->text.length == UINT32_MAX) {
            e->batch = 0;
            return false;
        }
    }
    *view = e->text;
    return true;
}

static void text_mac(const uint8_t *a, char *to)
{
    static const char digits[] = "0123456789abcdef";

    for (uint32_t i = 0; i < 6; i++) {
        *to++ = digits[a[i] >> 4];
        *to++ = digits[a[i] & 15];
        *to++ = ':';
    }
}

/* ---- filling: rows first .. first + n of @column from d->from ---- */

#define FILL_LOOP(to_type, from_type)                                                              \
    {                                                                                              \
        to_type *to = (to_type *)column->values + first;                                           \
        for (int i = 0; i < n; i++)                                                                \
            to[i] = (to_type) * (const from_type *)((const char *)&p[i] + c->offset);              \
        break;                                                                                     \
    }

#define PLAIN_LOOP(to_type, value)                                                                 \
    {                                                                                              \
        to_type *to = (to_type *)column->values + first;                                           \
        for (int i = 0; i < n; i++) {                                                              \
            const uint8_t *at = p[i].record.data + place;                                          \
            to[i] = (to_type)(value);                                                              \
        }                                                                                          \
        return;                                                                                    \
    }

/* From the packets themselves, @place bytes behind their begin. */
static void fill_plain(const struct packet *p, int n, const struct packet_column *c, uint32_t place,
                       struct column *column, uint32_t first)
{
    if (c->fill == FILL_INT_U8)
        PLAIN_LOOP(int32_t, at[0])
    if (c->fill == FILL_INT_U16)
        PLAIN_LOOP(int32_t, at[0] << 8 | at[1])
    if (place == PLAIN_IP_LEN || place == PLAIN_IP_ID)
        PLAIN_LOOP(int64_t, at[0] << 8 | at[1])
    PLAIN_LOOP(int64_t,
               (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3])
}

static void fill_time(const struct packet *p, int n, const struct mill_type *type, int64_t *to)
{
    const int64_t divide = type_is_nanos(type) ? 1 : 1000, unit = type_time_unit(type);

    if (divide == 1 && unit == 1) {
        for (int i = 0; i < n; i++)
            to[i] = p[i].record.ts;
        return;
    }
    for (int i = 0; i < n; i++)
        to[i] = floor_div(floor_div(p[i].record.ts, divide), unit) * unit;
}

static bool fill_addresses(struct packet_decoder *d, struct batch *out,
                           const struct packet_column *c, const struct mill_type *type, int n,
                           struct mill_view *to)
{
    char *text =
        type->kind == MILL_VARCHAR ? arena_alloc(&out->bytes, (size_t)n * 16 + 16) : (char *)d;

    if (text == NULL)
        return false;
    for (int i = 0; i < n; i++) {
        const char *p = (const char *)&d->from[i];
        const uint8_t *address;
        const uint32_t version = d->plain ? 4 : *(const uint8_t *)(p + c->argument);

        if (d->plain)
            address = d->from[i].record.data + plain_place(c);
        else
            memcpy(&address, p + c->offset, sizeof address);
        to[i] = view_of("", 0);
        if ((d->from[i].has & c->has) == 0)
            continue;
        if (type->kind != MILL_VARCHAR) {
            to[i] = view_of((const char *)address, version == 4 ? 4 : 16);
        } else if (version == 4) {
            to[i] = view_of(text, text4(d, address, text));
            text += 16;
        } else if (!view6(d, out, address, &to[i])) {
            return false;
        }
    }
    return true;
}

static bool fill_macs(struct packet_decoder *d, struct batch *out, const struct packet_column *c,
                      const struct mill_type *type, int n, struct column *column, uint32_t first)
{
    struct mill_view *views = (struct mill_view *)column->values + first;
    int64_t *numbers = (int64_t *)column->values + first;
    char *text = NULL;

    if (type->kind == MILL_VARCHAR && (text = arena_alloc(&out->bytes, (size_t)n * 18)) == NULL)
        return false;
    for (int i = 0; i < n; i++) {
        const bool valid = (d->from[i].has & c->has) != 0;
        const uint8_t *a = valid ? d->from[i].eth + c->argument : NULL;
        uint64_t number = 0;

        for (int k = 0; valid && text == NULL && k < 6; k++)
            number = number << 8 | a[k];
        if (text == NULL) {
            numbers[i] = (int64_t)number;
            continue;
        }
        if (valid)
            text_mac(a, text + i * 18);
        views[i] = view_of(text + i * 18, valid ? 17 : 0);
    }
    return true;
}

static void fill_bytes(const struct packet_decoder *d, const struct packet_column *c, int n,
                       struct mill_view *to)
{
    for (int i = 0; i < n; i++) {
        const struct packet *p = &d->from[i];
        uint32_t from = 0, length = p->record.caplen;

        if (c->fill == FILL_PAYLOAD) {
            from = min_u32(p->payload_off, p->record.caplen);
            length = (p->has & c->has) != 0 ? min_u32(p->payload_len, p->record.caplen - from) : 0;
        }
        to[i] = view_of((const char *)p->record.data + from, length);
    }
}

static bool fill_nulls(struct packet_decoder *d, struct batch *out, const struct packet_column *c,
                       const struct mill_type *type, int n, struct column *column, uint32_t first)
{
    const uint32_t width = type_width(type);

    if (column->validity == NULL && !column_own_validity(out, column))
        return false;
    for (int i = 0; i < n; i++)
        if ((d->from[i].has & c->has) == 0) {
            column_set_null(column, first + (uint32_t)i);
            memset((char *)column->values + (first + (size_t)i) * width, 0, width);
        }
    return true;
}

static bool fill_column(struct packet_decoder *d, struct batch *out, uint32_t index, uint32_t first,
                        int n, uint32_t has_all)
{
    const struct packet_column *c = d->format->fills[index];
    const struct mill_type *type = &d->format->config.schema->fields[index].type;
    struct column *column = &out->columns[index];
    const struct packet *p = d->from;
    const uint32_t place = d->plain && c->fill != FILL_ADDRESS ? plain_place(c) : 0;
    bool ok = true;

    switch (place != 0 ? FILL_PLAIN : c->fill) {
    case FILL_PLAIN: fill_plain(p, n, c, place, column, first); break;
    case FILL_INT_U8: FILL_LOOP(int32_t, uint8_t)
    case FILL_INT_U16: FILL_LOOP(int32_t, uint16_t)
    case FILL_INT_U32: FILL_LOOP(int32_t, uint32_t)
    case FILL_BIG_U32: FILL_LOOP(int64_t, uint32_t)
    case FILL_BIG_U64: FILL_LOOP(int64_t, uint64_t)
    case FILL_TIME: fill_time(p, n, type, (int64_t *)column->values + first); break;
    case FILL_MAC: ok = fill_macs(d, out, c, type, n, column, first); break;
    case FILL_ADDRESS:
        ok = fill_addresses(d, out, c, type, n, (struct mill_view *)column->values + first);
        break;
    default: fill_bytes(d, c, n, (struct mill_view *)column->values + first); break;
    }
    if (ok && (has_all & c->has) != c->has)
        ok = fill_nulls(d, out, c, type, n, column, first);
    return ok;
}

/* The bits that @n packets have, if all are plain; else 0. */
static uint32_t look_plain(struct packet_decoder *d, int n)
{
    uint32_t has_all = UINT32_MAX;

    for (int i = 0; i < n; i++) {
        struct packet *p = &d->packets[i];

        p->has = packet_plain(&p->record);
        if (UNLIKELY(p->has == 0))
            return 0;
        if (d->format->flows)
            p->flow_hash = packet_plain_flow_hash(&p->record);
        if (p->record.ts != CAPTURE_NO_TIME)
            p->has |= PACKET_HAS_TIME;
        has_all &= p->has;
    }
    return has_all;
}

/* @n records into packets; the bits that all have. */
static uint32_t look(struct packet_decoder *d, int n)
{
    uint32_t has_all = UINT32_MAX;

    d->plain = false;
    d->rest -= d->rest > 0;
    if (d->format->look && d->format->plain && d->rest == 0) {
        has_all = look_plain(d, n);
        d->plain = has_all != 0;
        if (d->plain)
            return has_all;
        d->rest = REST_CHUNKS;
        has_all = UINT32_MAX;
    }
    for (int i = 0; i < n; i++) {
        struct packet *p = &d->packets[i];

        if (d->format->look)
            packet_decode(p);
        else
            p->has = 0;
        if (d->format->flows)
            p->flow_hash = (p->has & PACKET_HAS_IP) != 0 ? packet_flow_hash(p) : 0;
        if (p->record.ts != CAPTURE_NO_TIME)
            p->has |= PACKET_HAS_TIME;
        has_all &= p->has;
    }
    return has_all;
}

static int out_of_memory(struct mill_error *error)
{
    return -mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a batch of packets");
}

/* Columns of @n packets from packets[first] on; @late: those of rows that pass only, else the others. */
static bool fill_some(struct packet_decoder *d, struct batch *out, uint32_t first, int n,
                      uint32_t has_all, bool late)
{
    const struct source_config *config = &d->format->config;
    const struct early_filter *filter = d->decoder.filter;

    d->from = d->packets + first;
    for (uint32_t i = 0; i < config->schema->field_count; i++)
        if ((config->wanted == NULL || config->wanted[i]) &&
            (filter != NULL && filter->late[i]) == late &&
            !fill_column(d, out, i, out->rows + first, n, has_all))
            return false;
    return true;
}

/* The columns of @n packets, which are out->rows .. out->rows + n. */
static int fill_rows(struct packet_decoder *d, struct batch *out, int n, uint32_t has_all,
                     struct mill_error *error)
{
    struct early_filter *filter = d->decoder.filter;
    uint64_t pass[CHUNK / 64];
    uint32_t from = 0, to;
    int passed;

    if (!fill_some(d, out, 0, n, has_all, false))
        return out_of_memory(error);
    if (filter == NULL || n == 0)
        return 0;
    passed = filter->run(filter, out, out->rows, (uint32_t)n, pass, error);
    if (passed < 0)
        return passed;
    if (passed > n / 4)
        return fill_some(d, out, 0, n, has_all, true) ? 0 : out_of_memory(error);
    for (; format_next_run(pass, (uint32_t)n, &from, &to); from = to)
        if (!fill_some(d, out, from, (int)(to - from), has_all, true))
            return out_of_memory(error);
    return 0;
}

static int packet_decode_batch(struct format_decoder *decoder, struct batch *out,
                               struct mill_error *error)
{
    struct packet_decoder *d = (struct packet_decoder *)decoder;
    const struct source_config *config = &d->format->config;
    const uint32_t count = config->schema->field_count;

    d->batches++; /* forgets texts: they lie in the batch before */
    for (uint32_t i = 0; i < count; i++)
        if ((config->wanted == NULL || config->wanted[i]) &&
            !column_own(out, &out->columns[i], &config->schema->fields[i].type))
            return out_of_memory(error);
    while (out->rows < out->capacity) {
        const uint8_t *before = d->bytes;
        const int room = (int)min_u32(CHUNK, out->capacity - out->rows);
        const struct capture_rows to = {d->packets, sizeof *d->packets, room};
        const int n = capture_read(&d->place, d->offset, &d->bytes, d->end, &to, error);
        int code;

        if (n < 0)
            return n;
        d->offset += (uint64_t)(d->bytes - before);
        code = fill_rows(d, out, n, look(d, n), error);
        if (code != 0)
            return code;
        out->rows += (uint32_t)n;
        if (n < room)
            break;
    }
    out->live = out->rows;
    return d->bytes < d->end ? 1 : 0;
}

/* What a packet says is never bad: a value or NULL. */
static bool packet_asks_filter(const struct options *options, const struct mill_type *type,
                               bool exact)
{
    (void)options;
    (void)type;
    (void)exact;
    return true;
}

static const char *const packet_options[] = {"replay.speed", NULL};
static const char *const no_options[] = {NULL};

const struct format_vtable format_pcap = {
    .name = "pcap",
    .extension = "pcap",
    .read_options = packet_options,
    .write_options = no_options,
    .open = packet_open,
    .close = packet_close,
    .cutter_new = cutter_new,
    .cutter_free = cutter_free,
    .cutter_cut = cutter_cut,
    .cutter_release = cutter_release,
    .decoder_new = packet_decoder_new,
    .decoder_free = packet_decoder_free,
    .begin = packet_begin,
    .decode = packet_decode_batch,
    .asks_filter = packet_asks_filter,
};
