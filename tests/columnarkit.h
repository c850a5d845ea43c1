/* tests/columnarkit.h - a columnar file in memory: written from seeded random rows, read back piece by piece. */
#ifndef MILL_COLUMNARKIT_H
#define MILL_COLUMNARKIT_H

#include "io/columnar.h"

struct kit_read {
    uint64_t rows, digest; /* of all rows, in order: every value, NULLs and names included */
    int code;              /* of enum mill_code */
    char message[480];
};

extern const struct mill_schema kit_schema; /* all types, a ROW in a ROW */

/* A whole file of @rows random rows in @to, pushed in batches of @batch_rows; @digest as read back. */
void kit_write(struct heap *heap, uint32_t rows, uint32_t batch_rows, uint64_t seed,
               struct text_buffer *to, uint64_t *digest);
/* Reads a file in steps of @want bytes and batches of @capacity; @wanted NULL: all columns. */
struct kit_read kit_read(struct heap *heap, const char *bytes, size_t length, size_t want,
                         uint32_t capacity, const struct mill_schema *schema, const bool *wanted);

#endif
