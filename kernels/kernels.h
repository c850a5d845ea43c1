/* kernels/kernels.h - the contracts of the kernels: functions over primitive arrays, three times each.
 *
 * `_scalar` is the definition; `_avx2` and `_avx512` give the same results bit for bit. mk_select() walks the tables
 * best first, by what CPU and operating system support; MILL_ISA forces one. Nothing here allocates or knows of batches.
 * Threads: pure.   Errors: none.   Includes: libc
 */
#ifndef MILL_KERNELS_H
#define MILL_KERNELS_H

#include "kernels/agg.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mk_table {
    const char *isa;
    const struct mk_agg *agg; /* kernels/agg.h */
    /* Ascending positions of the bytes equal to @a, @b or @c. @positions has room for @length entries and 64 more.
     * Returns how many. @length below 2^32; no alignment is needed, nothing past @length is read. */
    uint32_t (*find_any3)(const char *bytes, size_t length, char a, char b, char c,
                          uint32_t *positions);
    /* Bytes equal to @a. */
    size_t (*count_byte)(const char *bytes, size_t length, char a);
    /* Bit maps of JSON text, bit i & 63 of word i / 64 for byte i, (@length + 63) / 64 words each; bits behind @length
     * are 0. @stops: what ends a run of plain string bytes, '"', '\\' and all below 0x20. @marks: '"', '{', '}', '[', ']' and
     * all below 0x20. True: a byte is 0x80 or more. Nothing past @length is read. */
    bool (*json_marks)(const char *bytes, size_t length, uint64_t *stops, uint64_t *marks);
    /* Well-formed UTF-8 (Unicode, table 3-7): no surrogates, no overlong forms, nothing cut off. */
    bool (*utf8_valid)(const char *bytes, size_t length);
    /* *least and *most of @count values, @count > 0. */
    void (*bounds_i64)(const int64_t *values, size_t count, int64_t *least, int64_t *most);
};

extern const struct mk_table mk_scalar, mk_avx2, mk_avx512;

/* The best usable table, or the @wanted one ("scalar", "avx2", "avx512"). NULL with @why: unknown, or this CPU lacks it. */
const struct mk_table *mk_select(const char *wanted, char *why, size_t why_bytes);
/* All usable tables, NULL at the end. For tests and benchmarks. */
const struct mk_table *const *mk_usable(const struct mk_table *room[4]);

#endif
