/* core/ops/agg_slide.c - states from which slices are taken away again.
 *
 *   sliding state = state | for each aggregate: slices in which it has a value | for each float sum: struct agg_exact
 *
 * COUNT, SUM, AVG and the moments of whole numbers are subtracted. So are float sums as long as no addition rounds: a sum of multiples of
 * 2^unit whose magnitudes add up to less than 2^(unit + 53) is exact in any order, and then adding the slices up anew gives the same bytes.
 * From the first one that is not, float sums are folded anew at each firing, slice by slice, as MIN, MAX, FIRST and LAST are.
 */
#include "core/ops/agg_impl.h"

#define NO_UNIT INT32_MAX
#define NOTHING (1ull << 63) /* -0.0: adds nothing to any other */

/* Of the numbers in a float sum. */
struct agg_exact {
    double magnitude; /* sum of their absolute values */
    int32_t unit;     /* all are multiples of 2^unit */
    uint32_t zeros;   /* that are 0.0 */
};

bool agg_can_slide(const struct agg_set *set)
{
    return set->flat;
}

static uint32_t *slices_seen(const struct agg_set *set, void *sliding)
{
    return (uint32_t *)((char *)sliding + set->state_bytes);
}

static struct agg_exact *exact_sums(const struct agg_set *set, void *sliding)
{
    return (struct agg_exact *)((char *)sliding + set->state_bytes + ALIGN_UP(set->count * 4, 8u));
}

uint32_t agg_slide_bytes(const struct agg_set *set)
{
    return set->state_bytes + ALIGN_UP(set->count * 4, 8u) +
           set->sum_count * (uint32_t)sizeof(struct agg_exact);
}

void agg_slide_init(const struct agg_set *set, void *sliding)
{
    struct agg_exact *exact = exact_sums(set, sliding);

    memcpy(sliding, set->blank, set->state_bytes);
    memset(slices_seen(set, sliding), 0, set->count * sizeof(uint32_t));
    for (uint32_t i = 0; i < set->sum_count; i++)
        exact[i] = (struct agg_exact){.unit = NO_UNIT};
}

/* ---- float sums ---- */

static uint64_t bits_of(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, 8);
    return bits;
}

/* Of a finite number other than zero: the weight of its lowest bit that is set. */
static int32_t lowest_bit(uint64_t bits)
{
    const int32_t exponent = (int32_t)(bits >> 52 & 2047);
    const uint64_t fraction = bits & ((1ull << 52) - 1);

    return (exponent > 0 ? exponent : 1) - 1075 +
           __builtin_ctzll(exponent > 0 ? fraction | 1ull << 52 : fraction);
}

static void slide_number(struct agg_set *set, struct agg_exact *e, double *total, double value,
                         bool take)
{
    const uint64_t bits = bits_of(value);

    if (bits == NOTHING)
        return;
    if (bits == 0) {
        e->zeros += take ? UINT32_MAX : 1;
    } else if (take) {
        e->magnitude -= value < 0 ? -value : value;
        *total -= value;
    } else if ((bits >> 52 & 2047) == 2047) { /* infinite, or no number */
        set->rounds = true;
    } else {
        e->magnitude += value < 0 ? -value : value;
        *total += value;
        e->unit = (int32_t)min_i64(e->unit, lowest_bit(bits));
        if ((int32_t)(bits_of(e->magnitude) >> 52) - 1023 >= e->unit + 53)
            set->rounds = true;
    }
    if (e->magnitude == 0) {
        *total = e->zeros > 0 ? 0.0 : -0.0;
        e->unit = NO_UNIT;
    }
}

/* Both parts of each sum are added to the total of @sliding, one after the other. */
static void slide_sums(struct agg_set *set, void *sliding, const void *from, bool take)
{
    struct agg_exact *exact = exact_sums(set, sliding);

    for (uint32_t i = 0; i < set->sum_count && !set->rounds; i++) {
        const double *sum = (const double *)((const char *)from + set->sums[i]);
        double *total = agg_f64(sliding, set->sums[i]);

        slide_number(set, &exact[i], total, sum[0], take);
        if (!set->rounds)
            slide_number(set, &exact[i], total, agg_fold(sum + 1, set->lanes), take);
    }
}

/* ---- what can be taken away ---- */

static void slide192(char *into, const char *from, bool take)
{
    uint128_at8 *low = (uint128_at8 *)into;
    const uint128 old = *low, other = *(const uint128_at8 *)from;
    int64_t *high = (int64_t *)into + 2;
    const int64_t other_high = ((const int64_t *)from)[2];

    *low = take ? old - other : old + other;
    *high += take ? -other_high - (old < other) : other_high + (*low < old);
}

static void slide_slot(const struct agg_slot *slot, char *a, const char *b, bool take)
{
    uint64_t *x = (uint64_t *)a;
    const uint64_t *y = (const uint64_t *)b;

    switch (slot->acc) {
    case ACC_COUNT:
    case ACC_FMOMENTS:
    case ACC_SUM64: *x += take ? -*y : *y; break;
    case ACC_SUM128:
        *(uint128_at8 *)a += take ? -*(const uint128_at8 *)b : *(const uint128_at8 *)b;
        break;
    case ACC_SUM192: slide192(a, b, take); break;
    case ACC_MOMENTS:
        *x += take ? -*y : *y;
        *(uint128_at8 *)(a + 8) +=
            take ? -*(const uint128_at8 *)(b + 8) : *(const uint128_at8 *)(b + 8);
        slide192(a + 24, b + 24, take);
        break;
    default: break; /* float sums: slide_sums(); the rest is folded */
    }
}

static void slide(struct agg_set *set, void *sliding, const void *from, bool take)
{
    uint32_t *seen = slices_seen(set, sliding);

    for (uint32_t i = 0; i < set->count; i++) {
        const struct agg_slot *slot = &set->slots[i];

        slide_slot(slot, (char *)sliding + slot->at, (const char *)from + slot->at, take);
        if (slot->count_at != 0)
            *agg_i64(sliding, slot->count_at) +=
                (take ? -1 : 1) * *(const int64_t *)((const char *)from + slot->count_at);
        if (!agg_is_seen(from, i))
            continue;
        seen[i] += take ? UINT32_MAX : 1;
        if (seen[i] == 0)
            *agg_seen(sliding, i) &= ~(1ull << (i & 63));
        else
            *agg_seen(sliding, i) |= 1ull << (i & 63);
    }
    slide_sums(set, sliding, from, take);
}

void agg_slide_add(struct agg_set *set, void *sliding, const void *from)
{
    slide(set, sliding, from, false);
}

void agg_slide_take(struct agg_set *set, void *sliding, const void *from)
{
    slide(set, sliding, from, true);
}

/* ---- what is folded anew ---- */

static bool is_folded(const struct agg_set *set, const struct agg_slot *slot)
{
    switch (slot->acc) {
    case ACC_FSUM:
    case ACC_FMOMENTS: return set->rounds;
    case ACC_MIN64:
    case ACC_MAX64:
    case ACC_MIN128:
    case ACC_MAX128:
    case ACC_FIRST:
    case ACC_LAST: return true;
    default: return false;
    }
}

bool agg_slide_folds(const struct agg_set *set)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (is_folded(set, &set->slots[i]))
            return true;
    return false;
}

void agg_slide_blank(const struct agg_set *set, void *sliding)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const struct agg_slot *slot = &set->slots[i];
        const bool placed = slot->acc == ACC_FIRST || slot->acc == ACC_LAST;

        if (slot->acc != ACC_FSUM && slot->acc != ACC_FMOMENTS && is_folded(set, slot))
            memcpy((char *)sliding + slot->at, set->blank + slot->at,
                   placed ? 16 : slot->plain_bytes - 8);
        if (placed)
            *agg_seen(sliding, i) &= ~(1ull << (i & 63));
    }
    for (uint32_t i = 0; i < set->sum_count && set->rounds; i++)
        *agg_f64(sliding, set->sums[i]) = -0.0;
}

/* One slot of all pairs. False without memory. */
static bool fold_slot(struct agg_set *set, uint32_t number, const struct agg_pairs *p)
{
    const struct agg_slot *slot = &set->slots[number];

    for (uint32_t k = 0; k < p->count; k++) {
        char *into = p->into + (size_t)p->ids[k] * p->into_bytes;
        const char *from = p->from + (size_t)k * set->state_bytes;

        if (!agg_is_seen(from, number))
            continue;
        if (!agg_slot_merge(set, slot, into + slot->at, from + slot->at, agg_is_seen(into, number)))
            return false;
        *agg_seen(into, number) |= 1ull << (number & 63);
    }
    return true;
}

/* Those of 64 bits begin at their greatest or least value, which changes no other. */
static void fold_bounds(const struct agg_set *set, const struct agg_slot *slot,
                        const struct agg_pairs *p)
{
    char *into = p->into + slot->at;
    const char *from = p->from + slot->at;
    const bool least = slot->acc == ACC_MIN64;

    for (uint32_t k = 0; k < p->count; k++) {
        int64_t *x = (int64_t *)(into + (size_t)p->ids[k] * p->into_bytes);
        const int64_t y = *(const int64_t *)(from + (size_t)k * set->state_bytes);

        *x = least ? min_i64(*x, y) : max_i64(*x, y);
    }
}

static void fold_sums(const struct agg_set *set, uint32_t at, const struct agg_pairs *p)
{
    for (uint32_t k = 0; k < p->count; k++) {
        const double *sum = (const double *)(p->from + at + (size_t)k * set->state_bytes);
        double *total = (double *)(p->into + at + (size_t)p->ids[k] * p->into_bytes);

        *total = *total + sum[0];
        *total = *total + agg_fold(sum + 1, set->lanes);
    }
}

bool agg_slide_fold(struct agg_set *set, const struct agg_pairs *pairs)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const struct agg_slot *slot = &set->slots[i];

        if (slot->acc == ACC_MIN64 || slot->acc == ACC_MAX64)
            fold_bounds(set, slot, pairs);
        else if (slot->acc != ACC_FSUM && slot->acc != ACC_FMOMENTS && is_folded(set, slot) &&
                 !fold_slot(set, i, pairs))
            return false;
    }
    for (uint32_t i = 0; i < set->sum_count && set->rounds; i++)
        fold_sums(set, set->sums[i], pairs);
    return true;
}
