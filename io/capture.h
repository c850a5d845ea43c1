/* io/capture.h - packet captures: pcap and pcapng, both byte orders, all resolutions of time.
 *
 * A cutter walks record lengths and tells where a step ends; a cursor gives the records of a step. What a record's
 * meaning hangs on (byte order, interfaces) is a table: shared by all steps that it serves, copied before it grows.
 * Threads: a cutter or cursor by one; tables by many.   Errors: MILL_E_DATA with the byte in the file, MILL_E_MEMORY.
 * Includes: source.h
 */
#ifndef MILL_CAPTURE_H
#define MILL_CAPTURE_H

#include "core/source.h"
#include "io/packet.h"

#define CAPTURE_PACKET_MAX (2u << 20) /* captured bytes of a packet; more is damage */
#define CAPTURE_BLOCK_MAX (16u << 20) /* of pcapng */
#define CAPTURE_INTERFACES_MAX 65536u /* of one section */

struct capture_interface {
    uint16_t link;
    uint8_t resolution; /* if_tsresol */
    uint32_t snaplen;   /* 0: no limit */
    uint64_t multiply;  /* ticks to nanoseconds; 0: see resolution */
    uint64_t ticks_max; /* with multiply: what does not overflow */
    int64_t offset_s;   /* if_tsoffset */
};

enum capture_kind { CAPTURE_UNKNOWN, CAPTURE_PCAP, CAPTURE_PCAPNG };

struct capture_table {
    at_u32 holders; /* shared: not written any more */
    enum capture_kind kind;
    bool swapped;          /* byte order is not this machine's */
    uint32_t header_bytes; /* of a pcap record */
    uint32_t count, room;
    struct capture_interface interfaces[]; /* pcap: one */
};

/* Position in a capture: what cutters and cursors have in common. */
struct capture_place {
    struct heap *heap; /* of the tables: shared */
    struct capture_table *table;
    int64_t ts; /* of the last packet */
    const char *file;
};

/* Kind of a capture by its first 4 bytes. */
enum capture_kind capture_detect(const uint8_t *bytes);

/* How many of @length bytes at @offset of the file are whole records, up to the last that ends at or before @want, else
 * the first. Moves @place behind them. 0: more bytes are needed; with @ended, or where the next record is damaged,
 * @error says so. */
size_t capture_cut(struct capture_place *place, uint64_t offset, const uint8_t *bytes,
                   size_t length, size_t want, bool ended, struct mill_error *error);
/* Where records go: every @stride bytes from @first on, the begins of larger structures. */
struct capture_rows {
    void *first;
    size_t stride;
    int room;
};
/* Up to @to->room packets of *@bytes .. @end, whole records that capture_cut() found; moves *@bytes. Fewer: that was
 * all. -code: damaged. */
int capture_read(struct capture_place *place, uint64_t offset, const uint8_t **bytes,
                 const uint8_t *end, const struct capture_rows *to, struct mill_error *error);

struct capture_table *
capture_share(struct capture_table *table); /* one more holder; NULL is NULL */
void capture_drop(struct heap *heap, struct capture_table *table);

/* All columns that a capture has (io/fmt_packet.c). */
int capture_schema(struct arena *arena, struct mill_schema *schema);
/* As infer_file(). False: @path is no capture. */
bool capture_infer(const struct env *env, const char *path, struct arena *arena,
                   struct mill_schema *schema, struct options *options, char *info,
                   size_t info_bytes);

#endif
