/* core/ops/agg_retract.c - rows taken back: sums go down again, sets lose a value. */
#include "core/ops/agg_impl.h"

bool agg_retracts(const struct agg_spec *spec)
{
    if (spec->kind == AGG_USER)
        return spec->user->retract != NULL;
    return spec->kind != AGG_FIRST && spec->kind != AGG_LAST &&
           (spec->kind != AGG_LISTAGG || spec->unordered);
}

static bool takes(const struct agg_slot *slot, const struct batch *batch, uint32_t row)
{
    const struct column *filter = slot->spec.filter < 0 ? NULL : &batch->columns[slot->spec.filter];

    if (slot->spec.arg >= 0 && !column_valid(&batch->columns[slot->spec.arg], row))
        return false;
    return filter == NULL || (column_valid(filter, row) &&
                              ((const uint8_t *)filter->values)[filter->constant ? 0 : row] != 0);
}

static void subtract192(char *at, int128 value)
{
    uint128_at8 *low = (uint128_at8 *)at;
    const uint128 old = *low;

    *low = old - (uint128)value;
    ((int64_t *)at)[2] -= (value < 0 ? -1 : 0) + (old < (uint128)value);
}

bool agg_retract(struct agg_set *set, void *state, const struct batch *batch, uint32_t row)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const struct agg_slot *slot = &set->slots[i];
        char *at = (char *)state + slot->at, normal[16] = {0};
        int128 value;

        if (!takes(slot, batch, row))
            continue;
        if (slot->acc == ACC_COUNT) {
            --*(int64_t *)at;
            continue;
        }
        if (slot->acc == ACC_USER) {
            agg_user_retract(slot, at, batch, row);
            if (--*agg_i64(state, slot->count_at) == 0)
                *agg_seen(state, i) &= ~(1ull << (i & 63));
            continue;
        }
        agg_normal(slot->phys, &batch->columns[slot->spec.arg], row, normal);
        if (slot->acc == ACC_DISTINCT) {
            agg_distinct_remove(set, slot, *(struct agg_distinct **)at, normal);
            continue;
        }
        value = slot->phys == PHYS_I128 ? *(int128_at8 *)normal : *(int64_t *)normal;
        if (slot->acc == ACC_SUM64)
            *(uint64_t *)at -= (uint64_t)value;
        else if (slot->acc == ACC_SUM128)
            *(uint128_at8 *)at -= (uint128)value;
        else
            subtract192(at, value);
        if (--*agg_i64(state, slot->count_at) == 0)
            *agg_seen(state, i) &= ~(1ull << (i & 63));
    }
    return true;
}
