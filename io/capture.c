/* io/capture.c - pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng): records, blocks, interfaces. */
#include "io/capture.h"

enum block {
    BLOCK_INTERFACE = 1,
    BLOCK_PACKET = 2, /* obsolete */
    BLOCK_SIMPLE = 3,
    BLOCK_ENHANCED = 6,
    BLOCK_SECTION = 0x0a0d0d0a
};
enum { OPTION_END = 0, OPTION_RESOLUTION = 9, OPTION_OFFSET = 14 };

#define PCAP_HEADER 24u
/* ahead of the walk: the next record is known only when the one before is there */
#define PREFETCH_BYTES 2048
#define NS_PER_S 1000000000ull

static inline uint32_t get32(const uint8_t *p, bool swapped)
{
    uint32_t v;

    memcpy(&v, p, 4);
    return swapped ? __builtin_bswap32(v) : v;
}

static inline uint16_t get16(const uint8_t *p, bool swapped)
{
    uint16_t v;

    memcpy(&v, p, 2);
    return swapped ? __builtin_bswap16(v) : v;
}

static int damaged(const struct capture_place *p, uint64_t offset, const char *what,
                   struct mill_error *error)
{
    return mill_fail(error, MILL_E_DATA, 0, 0, "%s, byte %llu: %s; the packets before it were read",
                     p->file, (unsigned long long)offset, what);
}

static int no_memory(const struct capture_place *p, struct mill_error *error)
{
    return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for the interfaces of %s", p->file);
}

/* ---- tables ---- */

static size_t table_bytes(uint32_t room)
{
    return sizeof(struct capture_table) + room * sizeof(struct capture_interface);
}

static struct capture_table *table_new(struct heap *heap, uint32_t room)
{
    struct capture_table *t = heap_zalloc(heap, table_bytes(room));

    if (t != NULL) {
        at_store_relaxed(&t->holders, 1);
        t->room = room;
    }
    return t;
}

struct capture_table *capture_share(struct capture_table *table)
{
    if (table != NULL)
        at_add_relaxed(&table->holders, 1);
    return table;
}

void capture_drop(struct heap *heap, struct capture_table *table)
{
    if (table != NULL && at_add_acqrel(&table->holders, (uint32_t)-1) == 1)
        heap_free(heap, table, table_bytes(table->room));
}

static bool table_replace(struct capture_place *p, struct capture_table *table)
{
    if (table == NULL)
        return false;
    capture_drop(p->heap, p->table);
    p->table = table;
    return true;
}

/* Makes the table ours alone, with room for one more interface. */
static bool table_reserve(struct capture_place *p)
{
    const struct capture_table *old = p->table;
    struct capture_table *t;

    if (old->count < old->room && at_load_acquire(&p->table->holders) == 1)
        return true;
    t = table_new(p->heap, old->count < old->room ? old->room : old->room * 2);
    if (t == NULL)
        return false;
    t->kind = old->kind;
    t->swapped = old->swapped;
    t->count = old->count;
    memcpy(t->interfaces, old->interfaces, old->count * sizeof *old->interfaces);
    return table_replace(p, t);
}

/* ---- time ---- */

static void set_resolution(struct capture_interface *i, uint8_t resolution)
{
    i->resolution = resolution;
    i->multiply = 0;
    if (resolution <= 9) {
        i->multiply = 1;
        for (uint32_t k = resolution; k < 9; k++)
            i->multiply *= 10;
        i->ticks_max = (uint64_t)INT64_MAX / i->multiply;
    }
}

/* Nanoseconds since 1970; CAPTURE_NO_TIME: before 1677 or after 2262. */
static inline int64_t time_of(const struct capture_interface *i, uint64_t ticks)
{
    const uint32_t power = i->resolution & 0x7f;
    int128 ns;

    if (LIKELY(i->multiply != 0 && i->offset_s == 0 && ticks <= i->ticks_max))
        return (int64_t)(ticks * i->multiply);
    ns = (int128)ticks;
    if (i->multiply != 0) {
        ns *= (int128)i->multiply;
    } else if ((i->resolution & 0x80) != 0) {
        ns = (int128)((uint128)ticks * NS_PER_S >> power);
    } else {
        for (uint32_t k = 9; k < power && ns != 0; k++)
            ns /= 10;
    }
    ns += (int128)i->offset_s * (int128)NS_PER_S;
    return ns > INT64_MIN && ns <= INT64_MAX ? (int64_t)ns : CAPTURE_NO_TIME;
}

/* ---- pcap ---- */

enum capture_kind capture_detect(const uint8_t *bytes)
{
    switch (get32(bytes, false)) {
    case 0xa1b2c3d4:
    case 0xd4c3b2a1:
    case 0xa1b23c4d:
    case 0x4d3cb2a1:
    case 0xa1b2cd34:
    case 0x34cdb2a1: return CAPTURE_PCAP;
    case BLOCK_SECTION: return CAPTURE_PCAPNG;
    default: return CAPTURE_UNKNOWN;
    }
}

static int pcap_begin(struct capture_place *p, const uint8_t *bytes, struct mill_error *error)
{
    const uint32_t magic = get32(bytes, false);
    const bool swapped = magic == 0xd4c3b2a1 || magic == 0x4d3cb2a1 || magic == 0x34cdb2a1;
    const uint32_t order = get32(bytes, swapped);
    struct capture_table *t = table_new(p->heap, 1);

    if (!table_replace(p, t))
        return no_memory(p, error);
    t->kind = CAPTURE_PCAP;
    t->swapped = swapped;
    t->header_bytes = order == 0xa1b2cd34 ? 24 : 16;
    t->count = 1;
    t->interfaces[0].snaplen = get32(bytes + 16, swapped);
    t->interfaces[0].link = (uint16_t)get32(bytes + 20, swapped);
    set_resolution(&t->interfaces[0], order == 0xa1b23c4d ? 9 : 6);
    return MILL_OK;
}

static size_t pcap_cut(struct capture_place *p, uint64_t offset, const uint8_t *bytes,
                       size_t length, size_t want, bool ended, struct mill_error *error)
{
    const struct capture_table *t = p->table;
    const uint32_t header = t->header_bytes;
    const bool swapped = t->swapped;
    size_t at = 0;

    while (length - at >= header) {
        const uint32_t caplen = get32(bytes + at + 8, swapped);
        const size_t next = at + header + caplen;

        __builtin_prefetch(bytes + at + PREFETCH_BYTES);
        if (UNLIKELY(caplen > CAPTURE_PACKET_MAX)) {
            if (at == 0)
                damaged(p, offset, "a record of more than 2 MiB: the capture is damaged", error);
            return at;
        }
        if (next > length || (next > want && at > 0))
            break;
        at = next;
    }
    if (at == 0 && length > 0 && ended)
        damaged(p, offset, "the capture is cut off in its last record", error);
    return at;
}

/* The bytes were written by another cpu, and where a record ends is known only by its header: without fetching ahead each
 * waits for the one before. */
#define AHEAD_BYTES 2048
static inline int pcap_read(struct capture_place *p, uint64_t offset, const uint8_t **bytes,
                            const uint8_t *end, const struct capture_rows *to, bool swapped,
                            uint32_t header)
{
    const struct capture_interface *i = &p->table->interfaces[0];
    const uint32_t snaplen = i->snaplen != 0 ? i->snaplen : UINT32_MAX;
    const uint8_t *at = *bytes, *begin = at;
    char *row = to->first;
    int n = 0;

    while (n < to->room && end - at >= (ptrdiff_t)header) {
        const uint32_t caplen = get32(at + 8, swapped);
        struct capture_record *r = (struct capture_record *)(void *)row;

        __builtin_prefetch((const void *)((uintptr_t)at + AHEAD_BYTES));
        if (UNLIKELY(caplen > (size_t)(end - at) - header)) {
            n = -MILL_E_DATA;
            break;
        }
        r->data = at + header;
        r->offset = offset + (uint64_t)(at - begin);
        r->ts = (int64_t)(get32(at, swapped) * NS_PER_S + get32(at + 4, swapped) * i->multiply);
        r->caplen = min_u32(caplen, snaplen);
        r->length = get32(at + 12, swapped);
        r->interface = 0;
        r->link = i->link;
        at += header + caplen;
        row += to->stride;
        n++;
    }
    *bytes = at;
    return n;
}

/* ---- pcapng ---- */

/* The byte order of a section; 0: none, 1: ours, 2: swapped. */
static int section_order(const uint8_t *block)
{
    const uint32_t magic = get32(block + 8, false);

    return magic == 0x1a2b3c4d ? 1 : magic == 0x4d3c2b1a ? 2 : 0;
}

static int section_begin(struct capture_place *p, const uint8_t *block, uint64_t offset,
                         struct mill_error *error)
{
    const bool swapped = section_order(block) == 2;
    struct capture_table *t;

    if (get16(block + 12, swapped) != 1)
        return damaged(p, offset, "a section of a version of pcapng that is not 1", error);
    t = table_new(p->heap, 4);
    if (!table_replace(p, t))
        return no_memory(p, error);
    t->kind = CAPTURE_PCAPNG;
    t->swapped = swapped;
    return MILL_OK;
}

static int interface_options(struct capture_interface *i, const uint8_t *at, const uint8_t *end,
                             bool swapped)
{
    while (end - at >= 4) {
        const uint32_t code = get16(at, swapped), length = get16(at + 2, swapped);

        if (code == OPTION_END)
            return MILL_OK;
        at += 4;
        if (ALIGN_UP(length, 4u) > (size_t)(end - at))
            return MILL_E_DATA;
        if (code == OPTION_RESOLUTION && length == 1)
            set_resolution(i, at[0]);
        if (code == OPTION_OFFSET && length == 8) {
            memcpy(&i->offset_s, at, 8);
            if (swapped)
                i->offset_s = (int64_t)__builtin_bswap64((uint64_t)i->offset_s);
        }
        at += ALIGN_UP(length, 4u);
    }
    return MILL_OK;
}

static int interface_add(struct capture_place *p, const uint8_t *block, uint32_t bytes,
                         uint64_t offset, struct mill_error *error)
{
    const bool swapped = p->table->swapped;
    struct capture_interface *i;

    if (bytes < 20)
        return damaged(p, offset, "an interface block that is too short", error);
    if (p->table->count == CAPTURE_INTERFACES_MAX)
        return damaged(p, offset, "more than 65536 interfaces in a section", error);
    if (!table_reserve(p))
        return no_memory(p, error);
    i = &p->table->interfaces[p->table->count];
    *i = (struct capture_interface){.link = get16(block + 8, swapped),
                                    .snaplen = get32(block + 12, swapped)};
    set_resolution(i, 6);
    if (interface_options(i, block + 16, block + bytes - 4, swapped) != MILL_OK)
        return damaged(p, offset, "an option that is longer than its interface block", error);
    p->table->count++;
    return MILL_OK;
}

/* Length of the block at @block, which is whole. 0: more than @left bytes are needed. -code: damaged. */
static inline int64_t block_length(const struct capture_place *p, const uint8_t *block, size_t left,
                                   uint64_t offset, bool swapped, struct mill_error *error)
{
    uint32_t length;

    if (left < 12)
        return 0;
    if (UNLIKELY(get32(block, false) == BLOCK_SECTION)) {
        if (section_order(block) == 0)
            return -damaged(p, offset, "a section without its byte-order mark", error);
        swapped = section_order(block) == 2;
        if (get32(block + 4, swapped) < 28)
            return -damaged(p, offset, "a section block that is too short", error);
    }
    length = get32(block + 4, swapped);
    if (length < 12 || (length & 3) != 0 || length > CAPTURE_BLOCK_MAX)
        return -damaged(p, offset, "a block whose length is below 12, above 16 MiB or odd", error);
    if (length > left)
        return 0;
    if (get32(block + length - 4, swapped) != length)
        return -damaged(p, offset, "a block whose two lengths differ", error);
    return length;
}

/* What a packet block says. @r->data NULL: it is none. */
static inline int block_packet(struct capture_place *p, const uint8_t *block, uint32_t bytes,
                               uint64_t offset, struct capture_record *r, struct mill_error *error)
{
    const struct capture_table *t = p->table;
    const bool swapped = t->swapped;
    const uint32_t type = get32(block, swapped), fixed = type == BLOCK_SIMPLE ? 16 : 32;
    const struct capture_interface *i;
    uint32_t interface = 0;

    r->data = NULL;
    if (type != BLOCK_ENHANCED && type != BLOCK_SIMPLE && type != BLOCK_PACKET)
        return MILL_OK;
    if (bytes < fixed)
        return -damaged(p, offset, "a packet block that is too short", error);
    if (type != BLOCK_SIMPLE)
        interface = type == BLOCK_PACKET ? get16(block + 8, swapped) : get32(block + 8, swapped);
    if (interface >= t->count)
        return -damaged(p, offset, "a packet of an interface that its section has not declared",
                        error);
    i = &t->interfaces[interface];
    if (type == BLOCK_SIMPLE) {
        r->length = get32(block + 8, swapped);
        r->caplen = min_u32(r->length, bytes - 16);
        r->data = block + 12;
    } else {
        r->caplen = get32(block + 20, swapped);
        r->length = get32(block + 24, swapped);
        r->data = block + 28;
        p->ts = time_of(i, (uint64_t)get32(block + 12, swapped) << 32 | get32(block + 16, swapped));
    }
    if (r->caplen > bytes - fixed || r->caplen > CAPTURE_PACKET_MAX)
        return -damaged(p, offset, "a packet that is longer than its block, or than 2 MiB", error);
    if (i->snaplen != 0)
        r->caplen = min_u32(r->caplen, i->snaplen);
    r->ts = p->ts;
    r->offset = offset;
    r->interface = (uint16_t)interface;
    r->link = i->link;
    return MILL_OK;
}

static int block_take(struct capture_place *p, const uint8_t *block, uint32_t bytes,
                      uint64_t offset, struct capture_record *r, struct mill_error *error)
{
    r->data = NULL;
    if (UNLIKELY(get32(block, false) == BLOCK_SECTION))
        return -section_begin(p, block, offset, error);
    if (p->table == NULL)
        return -damaged(p, offset, "a capture that does not begin with a section", error);
    if (UNLIKELY(get32(block, p->table->swapped) == BLOCK_INTERFACE))
        return -interface_add(p, block, bytes, offset, error);
    return block_packet(p, block, bytes, offset, r, error);
}

static size_t pcapng_cut(struct capture_place *p, uint64_t offset, const uint8_t *bytes,
                         size_t length, size_t want, bool ended, struct mill_error *error)
{
    struct mill_error here = {0};
    struct capture_record record;
    size_t at = 0;

    while (at < length) {
        const bool swapped = p->table != NULL && p->table->swapped;
        const int64_t n = block_length(p, bytes + at, length - at, offset + at, swapped, &here);

        if (n <= 0 || (at + (size_t)n > want && at > 0) ||
            block_take(p, bytes + at, (uint32_t)n, offset + at, &record, &here) < 0)
            break;
        at += (size_t)n;
    }
    if (at == 0 && here.code != MILL_OK && error != NULL)
        *error = here;
    else if (at == 0 && length > 0 && ended)
        damaged(p, offset, "the capture is cut off in its last block", error);
    return at;
}

static int pcapng_read(struct capture_place *p, uint64_t offset, const uint8_t **bytes,
                       const uint8_t *end, const struct capture_rows *to, struct mill_error *error)
{
    const uint8_t *at = *bytes, *begin = at;
    int n = 0;

    while (n < to->room && at < end) {
        struct capture_record *r =
            (struct capture_record *)(void *)((char *)to->first + (size_t)n * to->stride);
        const uint64_t here = offset + (uint64_t)(at - begin);
        const bool swapped = p->table != NULL && p->table->swapped;
        const int64_t length = block_length(p, at, (size_t)(end - at), here, swapped, error);
        const int code =
            length > 0 ? block_take(p, at, (uint32_t)length, here, r, error) : (int)length;

        if (length <= 0 || code < 0)
            return code < 0 ? code : -damaged(p, here, "the file changed while it was read", error);
        n += r->data != NULL;
        at += length;
    }
    *bytes = at;
    return n;
}

/* ---- both ---- */

/* The file's header. How many bytes it has; 0: not all of them, or @error. */
static size_t file_begin(struct capture_place *p, const uint8_t *bytes, size_t length, bool ended,
                         struct mill_error *error)
{
    const enum capture_kind kind = length >= 4 ? capture_detect(bytes) : CAPTURE_UNKNOWN;

    if (length >= 4 && kind == CAPTURE_UNKNOWN) {
        mill_fail(error, MILL_E_DATA, 0, 0,
                  "%s is no capture: it begins with %02x%02x%02x%02x, neither pcap nor pcapng",
                  p->file, bytes[0], bytes[1], bytes[2], bytes[3]);
        return 0;
    }
    if (length < PCAP_HEADER) {
        if (ended)
            damaged(p, 0, "the capture is cut off in its header", error);
        return 0;
    }
    if (kind == CAPTURE_PCAP)
        return pcap_begin(p, bytes, error) == MILL_OK ? PCAP_HEADER : 0;
    return 0;
}

size_t capture_cut(struct capture_place *p, uint64_t offset, const uint8_t *bytes, size_t length,
                   size_t want, bool ended, struct mill_error *error)
{
    size_t header = 0, n;

    if (length == 0)
        return 0;
    if (offset == 0) {
        header = file_begin(p, bytes, length, ended, error);
        if (header == 0 && (length < PCAP_HEADER || capture_detect(bytes) != CAPTURE_PCAPNG))
            return 0;
    }
    if (header == 0 && (p->table == NULL || p->table->kind == CAPTURE_PCAPNG))
        return pcapng_cut(p, offset, bytes, length, want, ended, error);
    if (header == length || want <= header)
        return header;
    n = pcap_cut(p, offset + header, bytes + header, length - header, want - header,
                 ended && header == 0, header == 0 ? error : NULL);
    return header + n;
}

int capture_read(struct capture_place *p, uint64_t offset, const uint8_t **bytes,
                 const uint8_t *end, const struct capture_rows *to, struct mill_error *error)
{
    int n;

    if (offset == 0 && end - *bytes >= PCAP_HEADER && capture_detect(*bytes) == CAPTURE_PCAP) {
        if (pcap_begin(p, *bytes, error) != MILL_OK)
            return -MILL_E_MEMORY;
        *bytes += PCAP_HEADER;
        offset = PCAP_HEADER;
    }
    if (p->table == NULL || p->table->kind == CAPTURE_PCAPNG)
        return pcapng_read(p, offset, bytes, end, to, error);
    if (LIKELY(!p->table->swapped && p->table->header_bytes == 16))
        n = pcap_read(p, offset, bytes, end, to, false, 16);
    else if (!p->table->swapped)
        n = pcap_read(p, offset, bytes, end, to, false, p->table->header_bytes);
    else
        n = pcap_read(p, offset, bytes, end, to, true, p->table->header_bytes);
    if (n < 0)
        return -damaged(p, offset, "the file changed while it was read", error);
    return n;
}
