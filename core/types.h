/* core/types.h - SQL types: names, widths, comparison, the unit of time.
 *
 * struct mill_type (millstream.h) is used throughout; short names here.
 * Threads: pure.   Errors: none.   Includes: base.h, memory.h, millstream.h
 */
#ifndef MILL_TYPES_H
#define MILL_TYPES_H

#include "core/base.h"
#include "core/memory.h"
#include "core/millstream.h"

/* How a value lies in memory: which C type a kernel sees. */
enum phys {
    PHYS_NONE,
    PHYS_BOOL,
    PHYS_I8,
    PHYS_I16,
    PHYS_I32,
    PHYS_I64,
    PHYS_I128,
    PHYS_F32,
    PHYS_F64,
    PHYS_VIEW,
    PHYS_ROW
};

enum phys type_phys(const struct mill_type *type);
uint32_t type_width(const struct mill_type *type);                    /* bytes per row; ROW: 0 */
bool type_same(const struct mill_type *a, const struct mill_type *b); /* but for not_null */
/* "DECIMAL(10, 2)", "TIMESTAMP(3)", "ROW<a INT, b STRING>" as Flink prints it; returns @to. */
const char *type_name(const struct mill_type *type, char *to, size_t bytes);

static inline bool type_is_time(const struct mill_type *t)
{
    return t->kind == MILL_TIMESTAMP || t->kind == MILL_TIMESTAMP_LTZ;
}
static inline bool type_is_integer(const struct mill_type *t)
{
    return t->kind >= MILL_TINYINT && t->kind <= MILL_BIGINT;
}
static inline bool type_is_numeric(const struct mill_type *t)
{
    return t->kind >= MILL_TINYINT && t->kind <= MILL_DECIMAL;
}
static inline bool type_is_text(const struct mill_type *t)
{
    return t->kind == MILL_CHAR || t->kind == MILL_VARCHAR;
}
static inline bool type_is_binary(const struct mill_type *t)
{
    return t->kind == MILL_BINARY || t->kind == MILL_VARBINARY;
}
/* Values of the type are less and greater than others: none that has items or fields. */
static inline bool type_orders(const struct mill_type *t)
{
    return t->kind < MILL_ROW;
}
/* TIME and TIMESTAMPs: values are nanoseconds (precision 7..9), else microseconds. */
static inline bool type_is_nanos(const struct mill_type *t)
{
    return t->precision > 6;
}
/* u: one unit of the column's precision, in the values' own unit: TIMESTAMP(3): 1000. */
int64_t type_time_unit(const struct mill_type *t);

struct mill_type type_make(enum mill_kind kind); /* plain kinds, defaults */
struct mill_type type_decimal(uint32_t precision, uint32_t scale);
struct mill_type type_string(void);                                  /* VARCHAR(max) */
struct mill_type type_time(enum mill_kind kind, uint32_t precision); /* TIME, TIMESTAMP(_LTZ) */
struct mill_type type_wall(const struct mill_type *time); /* TIMESTAMP(p) of TIMESTAMP_LTZ(p) */

/* Fields of a ROW and of the ROWs in it; 0 of other types. */
uint32_t type_fields_below(const struct mill_type *type);

/* Views over bytes that must outlive them. Made in two registers: loads of sizes that need no call, and that overlap where
 * the length is none of them. */
static inline struct mill_view view_of(const char *data, uint32_t length)
{
    struct mill_view v;
    uint64_t first = 0, rest = 0, last = 0;

    if (length > 12) {
        memcpy(&first, data, 4);
        rest = (uint64_t)(uintptr_t)data;
    } else if (length >= 8) {
        memcpy(&first, data, 4);
        memcpy(&rest, data + length - 8, 8);
        rest >>= (12 - length) * 8;
    } else if (length >= 4) {
        memcpy(&first, data, 4);
        memcpy(&rest, data + length - 4, 4);
        rest >>= (8 - length) * 8;
    } else if (length > 0) {
        memcpy(&first, data, 1);
        memcpy(&rest, data + length / 2, 1);
        memcpy(&last, data + length - 1, 1);
        first |= rest << length / 2 * 8 | last << (length - 1) * 8;
        rest = 0;
    }
    first = first << 32 | length;
    _Static_assert(sizeof v == 16 && sizeof data == 8, "a view is two words");
    memcpy(&v, &first, 8);
    memcpy((char *)&v + 8, &rest, 8);
    return v;
}
/* @bytes of 8 and more; short ones without a call, the last word overlapping. */
static inline bool bytes_equal(const char *a, const char *b, uint32_t bytes)
{
    uint64_t x, y, differ = 0;

    if (bytes > 64)
        return memcmp(a, b, bytes) == 0;
    for (uint32_t i = 0; i + 8 < bytes; i += 8) {
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        differ |= x ^ y;
    }
    memcpy(&x, a + bytes - 8, 8);
    memcpy(&y, b + bytes - 8, 8);
    return (differ | (x ^ y)) == 0;
}

static inline bool view_equal(const struct mill_view *a, const struct mill_view *b)
{
    if (memcmp(a, b, 8) != 0) /* length and first four bytes */
        return false;
    return a->length <= 12 ? memcmp(a->inlined + 4, b->inlined + 4, 8) == 0
                           : bytes_equal(a->far.data, b->far.data, a->length);
}
int view_compare(const struct mill_view *a, const struct mill_view *b); /* by bytes; <0, 0, >0 */

/* Position of a field by name (exact, then without case if unique), or -1. */
int schema_find(const struct mill_schema *schema, const char *name);
/* Deep copies into the arena. */
struct mill_type type_copy(struct arena *arena, const struct mill_type *type);
struct mill_schema schema_copy(struct arena *arena, const struct mill_schema *schema);

#endif
