/* io/columnar.h - the raw columnar file: its structures on disk and what the reader and the writer share.
 *
 * docs/COLUMNAR.md describes the file byte by byte. A file is a row of *sections*, each a multiple of 64 bytes: one
 * header (the schema), blocks of rows, one end (index of the blocks, ranges of values, trailer). Numbers are little-endian.
 * Threads: pure.   Errors: filled struct mill_error.   Includes: format.h
 */
#ifndef MILL_COLUMNAR_H
#define MILL_COLUMNAR_H

#include "io/format.h"

#include <assert.h>

#define COLUMNAR_VERSION 1u
#define COLUMNAR_ALIGN ((size_t)64)
#define COLUMNAR_BLOCK_ROWS 16384u /* of the writer */
#define COLUMNAR_BLOCK_BYTES                                                                       \
    ((size_t)1 << 20) /* of the writer: a block ends behind the row that reaches it */
#define COLUMNAR_ROWS_MAX (1u << 24) /* of a block that is read */
#define COLUMNAR_SECTION_MAX ((uint64_t)1 << 30)
#define COLUMNAR_NODES_MAX 16384u
#define COLUMNAR_DEPTH_MAX 64u

extern const char columnar_magic[8], columnar_block_magic[4], columnar_end_magic[4],
    columnar_trailer_magic[8];

/* The checksum of a section's head is taken over the whole head with the field as 0. */
struct columnar_header { /* then the columns, each a struct columnar_node and its name */
    char magic[8];
    uint32_t version, bytes; /* bytes: of the section */
    uint32_t column_count, node_count;
    uint32_t block_rows, zero;
    uint64_t zeros[3];
    uint64_t checksum;
};
struct
    columnar_node { /* a column or a field of a ROW, in pre-order; the name follows, padded with zeros to 4 */
    uint8_t kind, precision, scale, not_null;
    uint32_t length, field_count, name_bytes;
};
struct columnar_block { /* then one struct columnar_chunk per node */
    char magic[4];
    uint32_t rows;
    uint64_t bytes;     /* of the section */
    uint64_t first_row; /* of the file */
    uint32_t index, head_bytes;
    uint64_t zeros[3];
    uint64_t checksum; /* of head_bytes, seeded with the section's offset in the file */
};
struct columnar_chunk {
    uint64_t offset, bytes; /* in the section; multiples of 64 */
    uint32_t nulls, text_bytes;
    uint64_t checksum; /* of the chunk, seeded with its offset in the file */
};
struct
    columnar_end { /* then one struct columnar_entry per block, one struct columnar_range per block and node, trailer */
    char magic[4];
    uint32_t node_count;
    uint64_t bytes, rows;
    uint32_t block_count, zero;
    uint64_t chain; /* of the checksums of all block heads, in order */
    uint64_t zeros[2];
    uint64_t checksum; /* of the section without its trailer, seeded with its offset */
};
struct columnar_entry {
    uint64_t offset, bytes, first_row;
    uint32_t rows, zero;
};
struct columnar_range { /* of values that are not NULL and not NaN */
    uint64_t low[2], high[2];
    uint32_t nulls, present; /* present 0: no such value, or no fixed-width column */
    uint64_t zero;
};
struct columnar_trailer {
    uint64_t end_offset, file_bytes, rows;
    uint32_t version, zero;
    uint64_t zeros[2];
    uint64_t checksum; /* of the trailer with this field as 0 */
    char magic[8];
};
static_assert(sizeof(struct columnar_header) == 64 && sizeof(struct columnar_node) == 16 &&
                  sizeof(struct columnar_block) == 64 && sizeof(struct columnar_chunk) == 32 &&
                  sizeof(struct columnar_end) == 64 && sizeof(struct columnar_entry) == 32 &&
                  sizeof(struct columnar_range) == 48 && sizeof(struct columnar_trailer) == 64,
              "the file's layout");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file is mapped as it is");

uint64_t columnar_hash(const void *bytes, size_t length, uint64_t seed);
/* The hash of @length bytes whose u64 at @field counts as 0. */
uint64_t columnar_hash_head(const void *bytes, size_t length, size_t field, uint64_t seed);
/* The chain of block heads, one further. */
uint64_t columnar_chain(uint64_t chain, uint64_t checksum);

/* How many nodes a type has: itself and its fields. */
uint32_t columnar_nodes(const struct mill_type *type);
/* Bytes of a chunk's parts: bitmap, then values or offsets; a text's bytes follow. Multiples of 64. */
static inline uint64_t columnar_bitmap_bytes(uint32_t rows)
{
    return ALIGN_UP(((uint64_t)rows + 7) / 8, COLUMNAR_ALIGN);
}
uint64_t columnar_value_bytes(const struct mill_type *type, uint32_t rows);
static inline uint64_t columnar_text_bytes(uint64_t text_bytes) /* 16 spare bytes at least */
{
    return ALIGN_UP(text_bytes + 16, COLUMNAR_ALIGN);
}
static inline uint64_t columnar_head_bytes(uint32_t nodes)
{
    return ALIGN_UP(sizeof(struct columnar_block) + (uint64_t)nodes * sizeof(struct columnar_chunk),
                    COLUMNAR_ALIGN);
}

/* Reads and checks a header of which @length bytes are there. Schema and names go to @arena. @path: for messages. */
int columnar_read_header(const char *bytes, size_t length, const char *path, struct arena *arena,
                         struct mill_schema *schema, uint32_t *node_count,
                         struct mill_error *error);
/* The header's bytes for a schema, from @arena. NULL without memory. */
char *columnar_make_header(struct arena *arena, const struct mill_schema *schema, size_t *length);

/* FROM 'file.mcol': as infer_file(). @is_columnar: the file begins as a columnar one; else nothing was done. */
int columnar_infer(const struct env *env, const char *path, struct arena *arena,
                   struct mill_schema *schema, struct options *options, bool *is_columnar,
                   struct mill_error *error);

/* The writer of format_columnar (io/columnar_write.c): as in struct format_vtable. */
int columnar_writer_open(const struct sink_config *config, struct format_writer **out,
                         struct mill_error *error);
void columnar_writer_close(struct format_writer *writer);
void columnar_writer_write(struct format_writer *writer, const struct batch *batch,
                           struct text_buffer *to);
void columnar_writer_finish(struct format_writer *writer, struct text_buffer *to);

#endif
