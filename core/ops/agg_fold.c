/* core/ops/agg_fold.c - many aggregates of a row at once, through the folding kernel.
 *
 * COUNT, SUM, AVG, MIN and MAX of numbers are words of the state, which lay_out() puts into lines of eight. For a block
 * of rows each argument becomes an array of 64-bit values (often the column itself), and one pass over the rows
 * loads, folds and stores the line of each state. What does not fit (NULLs, FILTER, other aggregates) is added slot by slot.
 */
#include "core/ops/agg_impl.h"
#include "kernels/kernels.h"

/* Slots whose words the kernel can fold. */
bool agg_slot_folds(const struct agg_slot *slot)
{
    switch (slot->acc) {
    case ACC_COUNT:
    case ACC_SUM64:
    case ACC_FSUM:
    case ACC_MIN64:
    case ACC_MAX64: return true;
    case ACC_SUM128: return slot->phys != PHYS_I128;
    default: return false;
    }
}

#define WIDEN(type, to)                                                                            \
    for (uint32_t i = 0; i < b->count; i++)                                                        \
        ((to *)room)[i] = (to)((const type *)column->values)[constant ? 0 : b->rows[i]];           \
    break;

/* The argument as int64 or double, one per row of the block. */
static const int64_t *plain_values(const struct agg_block *b, enum phys phys,
                                   const struct column *column, int64_t *room)
{
    const bool constant = column->constant;

    switch (phys) {
    case PHYS_BOOL: WIDEN(uint8_t, int64_t)
    case PHYS_I8: WIDEN(int8_t, int64_t)
    case PHYS_I16: WIDEN(int16_t, int64_t)
    case PHYS_I32: WIDEN(int32_t, int64_t)
    case PHYS_F32: WIDEN(float, double)
    default:
        if (b->contiguous && !constant)
            return (const int64_t *)column->values + b->rows[0];
        for (uint32_t i = 0; i < b->count; i++) {
            const int64_t *v = (const int64_t *)column->values + (constant ? 0 : b->rows[i]);

            mk_ahead(v);
            room[i] = *v;
        }
    }
    return room;
}

/* The values of an argument that another slot has gathered, or NULL. */
static const int64_t *gathered(const struct agg_set *set, int32_t arg)
{
    for (uint32_t s = 0; s < set->source_count; s++)
        if (set->sources[s].arg == arg && !set->sources[s].ordered)
            return set->sources[s].values;
    return NULL;
}

/* The argument of a slot as the accumulator takes it; NULL: no more room in this block. */
const int64_t *agg_block_values(struct agg_set *set, const struct agg_slot *slot,
                                const struct agg_block *b)
{
    const bool is_real = slot->phys == PHYS_F32 || slot->phys == PHYS_F64;
    const bool ordered = is_real && (slot->acc == ACC_MIN64 || slot->acc == ACC_MAX64);
    const struct column *column = &b->batch->columns[slot->spec.arg];
    struct agg_source *source;
    const int64_t *plain;

    for (uint32_t s = 0; s < set->source_count; s++)
        if (set->sources[s].arg == slot->spec.arg && set->sources[s].ordered == ordered)
            return set->sources[s].values;
    if (set->source_count == MK_FOLD_WORDS)
        return NULL;
    source = &set->sources[set->source_count];
    *source = (struct agg_source){.arg = slot->spec.arg, .ordered = ordered};
    plain = ordered ? gathered(set, slot->spec.arg) : NULL;
    if (plain == NULL)
        plain =
            plain_values(b, slot->phys, column,
                         ordered ? set->scratch[MK_FOLD_WORDS] : set->scratch[set->source_count]);
    if (ordered) {
        set->kernels->agg->order_f64((const double *)plain, b->count,
                                     set->scratch[set->source_count]);
        plain = set->scratch[set->source_count];
    }
    source->values = plain;
    set->source_count++;
    return plain;
}

static void fold_take(struct mk_fold *fold, const int64_t *values, uint8_t words)
{
    uint32_t s = 0;

    while (s < fold->source_count && fold->sources[s].values != values)
        s++;
    fold->sources[s].values = values;
    fold->sources[s].words |= words;
    fold->source_count = max_u32(fold->source_count, s + 1);
}

static void fold_slot(struct mk_fold *folds, const struct agg_slot *slot, const int64_t *values)
{
    const uint32_t w = slot->at % 64 / 8;
    struct mk_fold *fold = &folds[slot->at / 64];
    const uint8_t bit = (uint8_t)(1u << w);

    switch (slot->acc) {
    case ACC_COUNT: fold->ones |= bit; return;
    case ACC_SUM64: fold->add |= bit; break;
    case ACC_MIN64: fold->least |= bit; break;
    case ACC_MAX64: fold->most |= bit; break;
    case ACC_SUM128:
        fold->low |= bit;
        fold->high |= (uint8_t)(bit << 1);
        fold_take(fold, values, (uint8_t)(bit << 1));
        break;
    default: /* total, partial */
        fold->real |= (uint8_t)(bit << 1);
        fold_take(fold, values, (uint8_t)(bit << 1));
        return;
    }
    fold_take(fold, values, bit);
}

/* Slots that the kernel takes for this block, and what it does for them in each line of the state. */
static uint64_t plan_folds(struct agg_set *set, const struct agg_block *b, struct mk_fold *folds)
{
    uint64_t taken = 0;

    for (uint32_t i = 0; i < set->count; i++) {
        const struct agg_slot *slot = &set->slots[i];
        const int64_t *values = NULL;

        if (!agg_slot_folds(slot) || slot->spec.filter >= 0 ||
            (slot->spec.arg >= 0 && b->batch->columns[slot->spec.arg].validity != NULL))
            continue;
        if (slot->acc != ACC_COUNT && (values = agg_block_values(set, slot, b)) == NULL)
            continue;
        fold_slot(folds, slot, values);
        if (slot->count_at != 0)
            folds[slot->count_at / 64].ones |= (uint8_t)(1u << slot->count_at % 64 / 8);
        taken |= 1ull << i;
    }
    return taken;
}

uint64_t agg_fold_block(struct agg_set *set, const struct agg_block *b)
{
    const uint32_t lines = set->fold_lines;
    struct mk_fold folds[AGG_FOLD_LINES_MAX];
    uint64_t taken;

    memset(folds, 0, lines * sizeof *folds);
    taken = plan_folds(set, b, folds);
    folds[0].seen = b->marked;
    if (set->step_at != 0) {
        folds[0].step_word = set->step_at / 8;
        folds[0].step = b->batch->step;
        /* all sums in the first line, all of them folded: the kernel also ends their steps */
        folds[0].roll = (uint32_t)__builtin_popcount(folds[0].real) == set->sum_count;
        if (!folds[0].roll)
            agg_enter_step(set, b);
    }
    for (uint32_t line = 0; line < lines; line++) {
        folds[line].at = line * 64;
        if (line == 0 || folds[line].ones != 0 || folds[line].source_count > 0)
            set->kernels->agg->fold(&folds[line], b->states, b->count);
    }
    return taken;
}
