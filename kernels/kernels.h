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

/* What mk_csv_marks found. */
struct mk_csv_marks {
    uint32_t marks, lines, quotes;
    bool plain;   /* ASCII without NUL */
    bool returns; /* there is a carriage return */
};

/* Slices of time: bounds at offset + k * width, width > 0. */
struct mk_grid {
    int64_t offset, width;
};

enum mk_kind { MK_I8, MK_I16, MK_I32, MK_I64, MK_F32, MK_F64 };
enum mk_compare { MK_EQ, MK_NE, MK_LT, MK_LE, MK_GT, MK_GE };
enum mk_arith { MK_ADD, MK_SUB, MK_MUL };

struct mk_table {
    const char *isa;
    const struct mk_agg *agg; /* kernels/agg.h */
    /* Ascending positions of the bytes equal to @a, @b or @c. @positions has room for @length entries and 64 more.
     * Returns how many. @length below 2^32; no alignment is needed, nothing past @length is read. */
    uint32_t (*find_any3)(const char *bytes, size_t length, char a, char b, char c,
                          uint32_t *positions);
    /* Bytes equal to @a. */
    size_t (*count_byte)(const char *bytes, size_t length, char a);
    /* Where @word of @n bytes, one at least, first stands in @text; NULL: nowhere. */
    const char *(*find_text)(const char *text, size_t length, const char *word, size_t n);
    /* Part @index, from 0, of @text between bytes equal to @separator. False: there are fewer. */
    bool (*split_part)(const char *text, size_t length, char separator, uint32_t index,
                       size_t *begin, size_t *end);
    /* Bit maps of JSON text, bit i & 63 of word i / 64 for byte i, (@length + 63) / 64 words each; bits behind @length
     * are 0. @stops: what ends a run of plain string bytes, '"', '\\' and all below 0x20. @marks: '"', '{', '}', '[', ']' and
     * all below 0x20. True: a byte is 0x80 or more. Nothing past @length is read. */
    bool (*json_marks)(const char *bytes, size_t length, uint64_t *stops, uint64_t *marks);
    /* Well-formed UTF-8 (Unicode, table 3-7): no surrogates, no overlong forms, nothing cut off. */
    bool (*utf8_valid)(const char *bytes, size_t length);
    /* The rows where a[row] @how b[row], ascending, of @rows or of 0 .. @count. A constant side is its first value.
     * Floating point as IEEE 754. Returns how many; @out has room for @count and may be @rows. @count <= 65536. */
    uint32_t (*select)(enum mk_kind kind, enum mk_compare how, const void *a, const void *b,
                       bool a_constant, bool b_constant, const uint16_t *rows, uint32_t count,
                       uint16_t *out);
    /* The same as 0 and 1 for all @count rows; both sides constant: only out[0]. */
    void (*compare)(enum mk_kind kind, enum mk_compare how, const void *a, const void *b,
                    bool a_constant, bool b_constant, uint32_t count, uint8_t *out);
    /* out[i] = a[i] @how b[i]; integers wrap; both sides constant: only out[0]. */
    void (*arith)(enum mk_kind kind, enum mk_arith how, const void *a, const void *b,
                  bool a_constant, bool b_constant, uint32_t count, void *out);
    /* Where fields and rows end. @marks: ascending positions of all quotes, and of the delimiters and newlines with an
     * even number of quotes before them. @lines: index in @marks of each such newline. @quote '\0': there are no
     * quotes; a quote that is the delimiter or a newline is a quote. @marks and @lines have room for @length
     * + 64 entries. @length below 2^32; nothing past it is read. */
    void (*csv_marks)(const char *bytes, size_t length, char delimiter, char quote, uint32_t *marks,
                      uint32_t *lines, struct mk_csv_marks *found);
    /* Fields of one column: field r is bytes[marks[r * stride] + 1 .. marks[r * stride + 1]), where marks[0] may be
     * UINT32_MAX, for the beginning. The common form is converted; the others have their bit set in @other, (count + 63)
     * / 64 words, and value 0. All fields lie in bytes[0 .. length), nothing else is read.
     * parse_i64: [-] and 1 to 19 digits of a number that fits. */
    void (*parse_i64)(const char *bytes, size_t length, const uint32_t *marks, size_t stride,
                      size_t count, int64_t *values, uint64_t *other);
    /* [-]digits[.digits], 1 to 18 digits in all: digits without the point, and how many stood behind it. */
    void (*parse_number)(const char *bytes, size_t length, const uint32_t *marks, size_t stride,
                         size_t count, int64_t *values, uint8_t *places, uint64_t *other);
    /* yyyy-MM-dd HH:mm:ss, 'T' for the blank, then nothing or '.' and 1 to 9 digits, a valid time: seconds since
     * 1970 and nanoseconds of the second. */
    void (*parse_time)(const char *bytes, size_t length, const uint32_t *marks, size_t stride,
                       size_t count, int64_t *seconds, uint32_t *nanos, uint64_t *other);
    /* What parse_number() gave as doubles: values[i] / 10^places[i], rounded once. Where that may not be the number that was
     * written, the bit in @other is set (none is cleared) and out[i] 0: beyond 2^53, and 0, whose sign is lost. */
    void (*scale_f64)(const int64_t *values, const uint8_t *places, size_t count, double *out,
                      uint64_t *other);
    /* *least and *most of @count values, @count > 0. */
    void (*bounds_i64)(const int64_t *values, size_t count, int64_t *least, int64_t *most);
    /* before[i] = the greatest of @least and values[0 .. i), not in place. Gives the greatest of @least and all. */
    int64_t (*running_max_i64)(const int64_t *values, size_t count, int64_t least, int64_t *before);
    /* starts[i] = the greatest bound of @grid that is not above times[i]; INT64_MIN where that lies below it. In place
     * is allowed. */
    void (*slice_starts)(const struct mk_grid *grid, const int64_t *times, size_t count,
                         int64_t *starts);
};

/* avx512vbmi2: as avx512, but for CSV's marks. */
extern const struct mk_table mk_scalar, mk_avx2, mk_avx512, mk_avx512vbmi2;
#define MK_TABLES 4

/* The best usable table, or the @wanted one ("scalar", "avx2", "avx512", "avx512vbmi2"). NULL with @why: unknown, or this CPU lacks it. */
const struct mk_table *mk_select(const char *wanted, char *why, size_t why_bytes);
/* All usable tables, NULL at the end. For tests and benchmarks. */
const struct mk_table *const *mk_usable(const struct mk_table *room[MK_TABLES + 1]);

#endif
