/* core/keys.c - hashing key columns. */
#include "core/keys.h"

#include "kernels/kernels.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define NULL_HASH 0x9ae16a3b2f90404full
#define SEED 0x2545f4914f6cdd1dull

static uint64_t double_bits(double value)
{
    uint64_t bits;

    if (value != value)
        return 0x7ff8000000000000ull;
    if (value == 0)
        value = 0;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint64_t view_hash(const struct mill_view *view)
{
    return XXH3_64bits_withSeed(mill_view_data(view), view->length, SEED);
}

/* The hash of one value; numbers by value, so INT 1 and BIGINT 1 agree. */
static uint64_t value_hash(const struct column *c, enum phys phys, uint32_t r)
{
    switch (phys) {
    case PHYS_BOOL:
    case PHYS_I8: return mk_mix((uint64_t)((const int8_t *)c->values)[r] ^ SEED);
    case PHYS_I16: return mk_mix((uint64_t)((const int16_t *)c->values)[r] ^ SEED);
    case PHYS_I32: return mk_mix((uint64_t)((const int32_t *)c->values)[r] ^ SEED);
    case PHYS_I64: return mk_mix((uint64_t)((const int64_t *)c->values)[r] ^ SEED);
    case PHYS_I128: {
        const uint128 v = (uint128)((const int128 *)c->values)[r];

        return mk_mix(mk_mix((uint64_t)v ^ SEED) + (uint64_t)(v >> 64));
    }
    case PHYS_F32: return mk_mix(double_bits((double)((const float *)c->values)[r]) ^ SEED);
    case PHYS_F64: return mk_mix(double_bits(((const double *)c->values)[r]) ^ SEED);
    case PHYS_VIEW: return view_hash(&((const struct mill_view *)c->values)[r]);
    default: return NULL_HASH;
    }
}

/* Whole columns of BIGINT or a time without NULLs: @out by row, joined with what is there unless @first. */
static bool hash_whole(const struct mk_table *kernels, const struct batch *batch,
                       const struct column *c, enum phys phys, bool first, uint64_t *out)
{
    uint64_t hashes[BATCH_ROWS_MAX];

    if (phys != PHYS_I64 || c->validity != NULL || c->constant || batch->selection != NULL)
        return false;
    kernels->agg->hash_i64(c->values, batch->rows, SEED, first ? out : hashes);
    if (!first)
        kernels->agg->hash_join(hashes, batch->rows, out);
    return true;
}

static void hash_column(const struct mk_table *kernels, const struct batch *batch,
                        const struct column *c, const struct mill_type *type, bool first,
                        uint64_t *out)
{
    const enum phys phys = type_phys(type);

    if (phys == PHYS_ROW) {
        for (uint32_t i = 0; i < type->field_count; i++)
            hash_column(kernels, batch, &c->children[i], &type->fields[i].type, first && i == 0,
                        out);
        return;
    }
    if (hash_whole(kernels, batch, c, phys, first, out))
        return;
    for (uint32_t i = 0; i < batch->live; i++) {
        const uint32_t row = batch_row(batch, i);
        const uint64_t h =
            column_valid(c, row) ? value_hash(c, phys, c->constant ? 0 : row) : NULL_HASH;

        out[row] = first ? h : mk_mix(out[row] * 31 + h);
    }
}

void keys_hash(const struct mk_table *kernels, const struct batch *batch, const uint32_t *keys,
               uint32_t count, const struct mill_schema *schema, uint64_t *out)
{
    if (count == 0)
        for (uint32_t i = 0; i < batch->live; i++)
            out[batch_row(batch, i)] = 0;
    for (uint32_t k = 0; k < count; k++)
        hash_column(kernels, batch, &batch->columns[keys[k]], &schema->fields[keys[k]].type, k == 0,
                    out);
}
