/* tools/bench_answer.c - what two answers are compared by.
 *
 * A row becomes bytes (a tag and eight bytes per value, a text's length and bytes), the digest is the sum of their 128-bit hashes:
 * the order of the rows does not matter, and a row that comes twice counts twice.
 */
#include "tools/bench.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define ROW_BYTES 4096

/* A row while it becomes bytes. One that is longer than the room is hashed in pieces. */
struct row {
    unsigned char bytes[ROW_BYTES];
    size_t used;
    XXH64_hash_t before; /* hash of the pieces before these */
};

static void put(struct row *r, const void *bytes, size_t count)
{
    if (r->used + count > ROW_BYTES) {
        r->before = XXH3_64bits_withSeed(r->bytes, r->used, r->before);
        r->used = 0;
    }
    if (count > ROW_BYTES) {
        r->before = XXH3_64bits_withSeed(bytes, count, r->before);
        return;
    }
    memcpy(r->bytes + r->used, bytes, count);
    r->used += count;
}

static void put_tagged(struct row *r, unsigned char tag, const void *eight)
{
    put(r, &tag, 1);
    put(r, eight, 8);
}

static void put_value(struct row *r, struct bench_answer *a, uint32_t column,
                      const struct bench_value *v)
{
    const unsigned char tag = (unsigned char)v->kind;
    const uint64_t length = v->kind == BENCH_TEXT ? v->text.length : 0;

    switch (v->kind) {
    case BENCH_NONE: put(r, &tag, 1); break;
    case BENCH_WHOLE:
        put_tagged(r, tag, &v->whole);
        a->sums[column].whole += (uint64_t)v->whole;
        break;
    case BENCH_REAL:
        put_tagged(r, tag, &v->real);
        a->sums[column].real += v->real;
        break;
    case BENCH_TEXT:
        put_tagged(r, tag, &length);
        put(r, v->text.bytes, v->text.length);
        a->sums[column].whole += length;
        break;
    }
}

static void end_row(struct row *r, struct bench_answer *a, uint32_t columns)
{
    const XXH128_hash_t hash = XXH3_128bits_withSeed(r->bytes, r->used, r->before);

    a->digest += (unsigned __int128)hash.high64 << 64 | hash.low64;
    a->rows++;
    a->column_count = columns;
    r->used = 0;
    r->before = 0;
}

void bench_answer_row(struct bench_answer *answer, const struct bench_value *values, uint32_t count)
{
    struct row r;

    r.used = 0;
    r.before = 0;
    for (uint32_t i = 0; i < count && i < BENCH_COLUMNS_MAX; i++)
        put_value(&r, answer, i, &values[i]);
    end_row(&r, answer, count);
}

/* ---- of the engine's batches ---- */

static bool is_null(const struct mill_column *column, uint32_t row)
{
    return column->validity != NULL && (column->validity[row / 64] >> row % 64 & 1) == 0;
}

static int64_t whole_at(const struct mill_type *type, const void *values, uint32_t row)
{
    switch ((enum mill_kind)type->kind) {
    case MILL_BOOLEAN: return ((const uint8_t *)values)[row];
    case MILL_TINYINT: return ((const int8_t *)values)[row];
    case MILL_SMALLINT: return ((const int16_t *)values)[row];
    case MILL_INT:
    case MILL_DATE:
    case MILL_INTERVAL_MONTH: return ((const int32_t *)values)[row];
    default: return ((const int64_t *)values)[row];
    }
}

/* Of one that is not NULL and not a ROW. */
static void read_value(const struct mill_type *type, const void *values, uint32_t row,
                       struct bench_value *v)
{
    switch ((enum mill_kind)type->kind) {
    case MILL_FLOAT:
        v->kind = BENCH_REAL;
        v->real = (double)((const float *)values)[row];
        break;
    case MILL_DOUBLE:
        v->kind = BENCH_REAL;
        v->real = ((const double *)values)[row];
        break;
    case MILL_CHAR:
    case MILL_VARCHAR:
    case MILL_BINARY:
    case MILL_VARBINARY: {
        const struct mill_view *view = (const struct mill_view *)values + row;

        v->kind = BENCH_TEXT;
        v->text.length = view->length;
        v->text.bytes = mill_view_data(view);
        break;
    }
    case MILL_DECIMAL: {
        const __int128 wide = ((const __int128 *)values)[row];

        v->kind = wide == (int64_t)wide ? BENCH_WHOLE : BENCH_TEXT;
        if (v->kind == BENCH_WHOLE) {
            v->whole = (int64_t)wide;
        } else { /* its sixteen bytes */
            v->text.length = 16;
            v->text.bytes = (const char *)((const __int128 *)values + row);
        }
        break;
    }
    default: v->kind = BENCH_WHOLE; v->whole = whole_at(type, values, row);
    }
}

static uint32_t put_column(struct row *r, struct bench_answer *a, uint32_t at,
                           const struct mill_type *type, const struct mill_column *column,
                           uint32_t row, bool null)
{
    struct bench_value v = {.kind = BENCH_NONE};

    null = null || is_null(column, row);
    if (type->kind == MILL_ROW) {
        for (uint32_t f = 0; f < type->field_count; f++)
            at = put_column(r, a, at, &type->fields[f].type, &column->children[f], row, null);
        return at;
    }
    if (!null && type->kind != MILL_NULL)
        read_value(type, column->values, row, &v);
    put_value(r, a, at < BENCH_COLUMNS_MAX ? at : BENCH_COLUMNS_MAX - 1, &v);
    return at + 1;
}

void bench_answer_batch(struct bench_answer *answer, const struct mill_schema *schema,
                        const struct mill_batch *batch)
{
    struct row r;

    r.used = 0;
    r.before = 0;
    for (uint32_t i = 0; i < batch->rows; i++) {
        uint32_t at = 0;

        for (uint32_t c = 0; c < batch->column_count; c++)
            at = put_column(&r, answer, at, &schema->fields[c].type, &batch->columns[c], i, false);
        end_row(&r, answer, at);
    }
}

/* ---- the cheap sum ---- */

static uint64_t sum_words(const uint64_t *values, uint32_t rows)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < rows; i++)
        sum += values[i];
    return sum;
}

static uint64_t sum_halves(const uint32_t *values, uint32_t rows)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < rows; i++)
        sum += values[i];
    return sum;
}

static uint64_t sum_column(const struct mill_type *type, const struct mill_column *column,
                           uint32_t rows)
{
    uint64_t sum = 0;

    if (type->kind == MILL_ROW) {
        for (uint32_t f = 0; f < type->field_count; f++)
            sum = sum * 31 + sum_column(&type->fields[f].type, &column->children[f], rows);
        return sum;
    }
    if (type->kind == MILL_NULL || column->values == NULL)
        return 0;
    if (column->validity == NULL &&
        (type->kind == MILL_BIGINT || type->kind == MILL_DOUBLE || type->kind == MILL_TIMESTAMP))
        return sum_words(column->values, rows);
    if (column->validity == NULL && (type->kind == MILL_INT || type->kind == MILL_FLOAT))
        return sum_halves(column->values, rows);
    for (uint32_t i = 0; i < rows; i++) {
        struct bench_value v = {.kind = BENCH_NONE};

        if (is_null(column, i))
            continue;
        read_value(type, column->values, i, &v);
        sum += v.kind == BENCH_TEXT ? v.text.length + 1ull : (uint64_t)v.whole;
    }
    return sum;
}

void bench_sum_batch(struct bench_sum *sum, const struct mill_schema *schema,
                     const struct mill_batch *batch)
{
    sum->rows += batch->rows;
    for (uint32_t c = 0; c < batch->column_count; c++)
        sum->bits += sum_column(&schema->fields[c].type, &batch->columns[c], batch->rows) *
                     (2 * c + 1); /* columns that changed places are seen */
}
