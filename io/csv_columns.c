/* io/csv_columns.c - rows that the index has split, column by column: kernels convert the common forms of values, what
 * they leave goes field by field. */
#include "core/values.h"
#include "io/csv_decode.h"

#include <strings.h>

struct run {
    const uint32_t
        *marks; /* of the column: field r is between marks[r * stride] and marks[r * stride + 1] */
    size_t stride;
    uint32_t count, at, column;
    uint32_t first;       /* its row 0 among those of csv_columns() */
    const uint64_t *pass; /* of those rows: the others fail silently; NULL: none does */
};

static struct field run_field(const struct csv_decoder *d, const struct run *run, uint32_t r)
{
    const uint32_t from = run->marks[r * run->stride] + 1;

    return (struct field){d->block + from, run->marks[r * run->stride + 1] - from, false};
}

static void set_other(struct csv_decoder *d, uint32_t r)
{
    d->other[r / 64] |= 1ull << r % 64;
}

/* One field; notes a failure of its row. False without memory. */
static bool put_one(struct csv_decoder *d, struct batch *out, const struct run *run, uint32_t r)
{
    const struct field f = run_field(d, run, r);
    const uint32_t row = run->first + r;
    const uint32_t width = type_width(&d->schema->fields[run->column].type);
    bool memory = true;

    if (csv_put(d, out, run->column, &f, run->at + r, &memory) || !memory)
        return memory;
    if ((d->failed[row / 64] >> row % 64 & 1) != 0 ||
        (run->pass != NULL && (run->pass[row / 64] >> row % 64 & 1) == 0))
        return true;
    memset((char *)out->columns[run->column].values + (size_t)(run->at + r) * width, 0, width);
    d->failed[row / 64] |= 1ull << row % 64;
    d->failed_column[row] = (uint16_t)run->column;
    d->any_failed = true;
    return true;
}

/* What the kernel left. */
static bool put_others(struct csv_decoder *d, struct batch *out, const struct run *run)
{
    for (uint32_t w = 0; w * 64 < run->count; w++)
        for (uint64_t bits = d->other[w]; bits != 0; bits &= bits - 1)
            if (!put_one(d, out, run, w * 64 + (uint32_t)__builtin_ctzll(bits)))
                return false;
    return true;
}

#define NARROW(type, least, most)                                                                  \
    for (uint32_t r = 0; r < run->count; r++) {                                                    \
        ((type *)values)[r] = (type)d->values[r];                                                  \
        outside |= d->values[r] < (least) || d->values[r] > (most);                                \
    }                                                                                              \
    for (uint32_t r = 0; outside && r < run->count; r++)                                           \
        if (d->values[r] < (least) || d->values[r] > (most))                                       \
            set_other(d, r);                                                                       \
    break

static void put_integers(struct csv_decoder *d, const struct run *run, const struct mill_type *type,
                         void *values)
{
    bool outside = false;

    d->kernels->parse_i64(d->block, d->block_bytes, run->marks, run->stride, run->count,
                          type->kind == MILL_BIGINT ? values : d->values, d->other);
    switch (type->kind) {
    case MILL_TINYINT: NARROW(int8_t, INT8_MIN, INT8_MAX);
    case MILL_SMALLINT: NARROW(int16_t, INT16_MIN, INT16_MAX);
    case MILL_INT: NARROW(int32_t, INT32_MIN, INT32_MAX);
    default: break;
    }
}

/* A quotient of two exact numbers is rounded once. Minus zero has lost its sign on the way. */
static void put_reals(struct csv_decoder *d, const struct run *run, bool single, void *values)
{
    static const float small[] = {1, 1e1f, 1e2f, 1e3f, 1e4f, 1e5f, 1e6f, 1e7f, 1e8f, 1e9f, 1e10f};

    d->kernels->parse_number(d->block, d->block_bytes, run->marks, run->stride, run->count,
                             d->values, d->places, d->other);
    if (!single) {
        d->kernels->scale_f64(d->values, d->places, run->count, values, d->other);
        return;
    }
    for (uint32_t r = 0; r < run->count; r++) {
        const int64_t v = d->values[r];

        if (UNLIKELY(v == 0 || v > 1ll << 24 || v < -(1ll << 24) || d->places[r] > 10))
            set_other(d, r);
        else
            ((float *)values)[r] = (float)v / small[d->places[r]];
    }
}

static void put_decimals(struct csv_decoder *d, const struct run *run, const struct mill_type *type,
                         int128 *values)
{
    d->kernels->parse_number(d->block, d->block_bytes, run->marks, run->stride, run->count,
                             d->values, d->places, d->other);
    for (uint32_t r = 0; r < run->count; r++) {
        const uint32_t more = (uint32_t)type->scale - d->places[r];

        values[r] = 0;
        if (more <= 18) /* 10^36 at most */
            values[r] = d->values[r] * decimal_power(more);
        if (more > 18 || !decimal_fits(values[r], type->precision))
            set_other(d, r);
    }
}

/* Cut to microseconds and @unit, which is a constant where it is called. */
static inline void put_micros(const struct csv_decoder *d, uint32_t count, uint32_t unit,
                              int64_t *values)
{
    for (uint32_t r = 0; r < count; r++)
        values[r] = d->values[r] * 1000000 + d->nanos[r] / unit * (unit / 1000);
}

static void put_times(struct csv_decoder *d, const struct run *run, const struct mill_type *type,
                      int64_t *values)
{
    const uint32_t unit = (uint32_t)type_time_unit(type) * (type_is_nanos(type) ? 1 : 1000);

    d->kernels->parse_time(d->block, d->block_bytes, run->marks, run->stride, run->count, d->values,
                           d->nanos, d->other);
    if (!type_is_nanos(type)) {
        switch (type->precision) {
        case 0: put_micros(d, run->count, 1000000000, values); break;
        case 3: put_micros(d, run->count, 1000000, values); break;
        case 6: put_micros(d, run->count, 1000, values); break;
        default: put_micros(d, run->count, unit, values);
        }
        return;
    }
    for (uint32_t r = 0; r < run->count; r++) {
        int64_t v = 0;

        if (__builtin_mul_overflow(d->values[r], 1000000000ll, &v) ||
            __builtin_add_overflow(v, (int64_t)(d->nanos[r] - d->nanos[r] % unit), &v))
            set_other(d, r);
        values[r] = v;
    }
}

/* Text stays where it is. */
static bool put_texts(struct csv_decoder *d, struct batch *out, const struct run *run,
                      struct mill_view *values)
{
    if (!d->found.plain || d->options.null_literal != NULL) {
        for (uint32_t r = 0; r < run->count; r++)
            if (!put_one(d, out, run, r))
                return false;
        return true;
    }
    for (uint32_t r = 0; r < run->count; r++) {
        const struct field f = run_field(d, run, r);

        values[r] = view_of(f.text, f.length);
    }
    return true;
}

static bool put_column(struct csv_decoder *d, struct batch *out, const struct run *run)
{
    const struct mill_type *type = &d->schema->fields[run->column].type;
    char *values = (char *)out->columns[run->column].values + (size_t)run->at * type_width(type);

    memset(d->other, 0, sizeof d->other);
    switch (d->null_is_number && type_phys(type) != PHYS_VIEW ? MILL_BOOLEAN : type->kind) {
    case MILL_TINYINT:
    case MILL_SMALLINT:
    case MILL_INT:
    case MILL_BIGINT: put_integers(d, run, type, values); break;
    case MILL_FLOAT:
    case MILL_DOUBLE: put_reals(d, run, type->kind == MILL_FLOAT, values); break;
    case MILL_DECIMAL: put_decimals(d, run, type, (int128 *)values); break;
    case MILL_TIMESTAMP:
    case MILL_TIMESTAMP_LTZ: put_times(d, run, type, (int64_t *)values); break;
    case MILL_CHAR:
    case MILL_VARCHAR: return put_texts(d, out, run, (struct mill_view *)values);
    default:
        for (uint32_t r = 0; r < run->count; r++)
            set_other(d, r);
    }
    return put_others(d, out, run);
}

/* The last field ends before its row's carriage return. */
static void trim_returns(struct csv_decoder *d, struct run *run)
{
    bool any = false;

    for (uint32_t r = 0; r < run->count; r++) {
        const uint32_t before = run->marks[r * run->stride], end = run->marks[r * run->stride + 1];
        const bool returns = end != before + 1 && d->block[end - 1] == '\r';

        d->ends[2 * r] = before;
        d->ends[2 * r + 1] = end - returns;
        any = any || returns;
    }
    if (!any)
        return;
    run->marks = d->ends;
    run->stride = 2;
}

/* Some of a column's rows. */
static struct run part_of(const struct run *all, uint32_t from, uint32_t to)
{
    struct run part = *all;

    part.marks += from * all->stride;
    part.count = to - from;
    part.at += from;
    part.first += from;
    return part;
}

/* The rows that pass, or all where that is less work. */
static bool put_passing(struct csv_decoder *d, struct batch *out, const struct run *run,
                        uint32_t passed)
{
    uint32_t from = 0, to;

    if (run->pass == NULL || passed > run->count / 8)
        return put_column(d, out, run);
    for (; format_next_run(run->pass, run->count, &from, &to); from = to) {
        const struct run part = part_of(run, from, to);

        if (!put_column(d, out, &part))
            return false;
    }
    return true;
}

/* The wanted columns that are late, or those that are not. */
static bool put_columns(struct csv_decoder *d, struct batch *out, const struct run *all, bool late,
                        uint32_t passed)
{
    const uint32_t columns = d->schema->field_count;
    const size_t spread = all->stride / columns;

    for (uint32_t i = 0; i < columns; i++) {
        struct run run = *all;

        if (!d->wanted[i] || csv_is_late(d, i) != late)
            continue;
        run.marks += i * spread;
        run.column = i;
        if (i + 1 == columns && d->found.returns)
            trim_returns(d, &run);
        if (!(late ? put_passing(d, out, &run, passed) : put_column(d, out, &run)))
            return false;
    }
    return true;
}

bool csv_columns(struct csv_decoder *d, struct batch *out, const struct csv_run *rows, int *code,
                 struct mill_error *error)
{
    struct run all = {.marks = rows->marks,
                      .stride = (size_t)d->schema->field_count * rows->spread,
                      .count = rows->count,
                      .at = rows->at};
    struct early_filter *filter = d->decoder.filter;
    uint64_t pass[CSV_RUN_ROWS / 64];
    int passed;

    memset(d->failed, 0, sizeof d->failed);
    d->any_failed = false;
    if (!put_columns(d, out, &all, false, 0))
        return false;
    if (filter == NULL)
        return true;
    passed = filter->run(filter, out, rows->at, rows->count, pass, error);
    if (passed < 0) {
        *code = -passed;
        return true;
    }
    /* text that is not known to be well-formed is looked at even if nobody wants it */
    if (!filter->exact || (d->found.plain && d->options.null_literal == NULL))
        all.pass = pass;
    return passed == 0 && all.pass != NULL ? true
                                           : put_columns(d, out, &all, true, (uint32_t)passed);
}
