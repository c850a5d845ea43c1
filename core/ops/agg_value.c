/* core/ops/agg_value.c - the value of an aggregate of a state: into a column. */
#include "core/ops/agg_impl.h"

#include <math.h>

static int128 power10(uint32_t exponent)
{
    int128 p = 1;

    for (; exponent > 0; exponent--)
        p *= 10;
    return p;
}

/* The sum as 128 bits; false: it does not fit. */
static bool exact_sum(enum acc acc, const char *at, int128 *sum)
{
    if (acc == ACC_SUM64) {
        *sum = *(const int64_t *)at;
        return true;
    }
    *sum = *(const int128_at8 *)at;
    return acc != ACC_SUM192 || ((const int64_t *)at)[2] == (*sum < 0 ? -1 : 0);
}

static void put_integer(const struct agg_slot *slot, struct column *out, uint32_t row,
                        int64_t value)
{
    switch (type_phys(&slot->spec.result_type)) {
    case PHYS_BOOL:
    case PHYS_I8: ((int8_t *)out->values)[row] = (int8_t)value; break;
    case PHYS_I16: ((int16_t *)out->values)[row] = (int16_t)value; break;
    case PHYS_I32: ((int32_t *)out->values)[row] = (int32_t)value; break;
    default: ((int64_t *)out->values)[row] = value;
    }
}

static bool fits(enum phys phys, int128 value)
{
    switch (phys) {
    case PHYS_I8: return value == (int8_t)value;
    case PHYS_I16: return value == (int16_t)value;
    case PHYS_I32: return value == (int32_t)value;
    default: return value == (int64_t)value;
    }
}

/* (hi * 2^128 + lo) is beyond 128 bits: only AVG of extreme decimals gets here; its quotient still fits. */
static int128 divide192(const char *at, int64_t count)
{
    const uint128 low = *(const uint128_at8 *)at;
    const int64_t high = ((const int64_t *)at)[2];
    const bool negative = high < 0;
    uint128 l = negative ? -low : low, rest, quotient = 0;
    const uint64_t h = negative ? (uint64_t)~high + (low == 0) : (uint64_t)high;

    rest = h % (uint64_t)count;
    for (int i = 127; i >= 0; i--) {
        rest = rest << 1 | (l >> i & 1);
        quotient <<= 1;
        if (rest >= (uint64_t)count) {
            rest -= (uint64_t)count;
            quotient |= 1;
        }
    }
    if (rest * 2 >= (uint64_t)count)
        quotient++;
    return negative ? -(int128)quotient : (int128)quotient;
}

static bool put_decimal(struct agg_set *set, const struct agg_slot *slot, const char *at,
                        int64_t count, struct column *out, uint32_t row)
{
    const int128 limit = power10(38);
    int128 value;
    bool ok = exact_sum(slot->plain, at, &value);

    if (slot->spec.kind == AGG_AVG) {
        const uint32_t up = slot->spec.result_type.scale - slot->spec.arg_type.scale;
        int128 scaled = 0;

        if (!ok && up == 0) {
            value = divide192(at, count);
            ok = true;
        } else if (ok && !__builtin_mul_overflow(value, power10(up), &scaled)) {
            value = scaled / count;
            scaled %= count;
            if ((scaled < 0 ? -scaled : scaled) * 2 >= count)
                value += scaled < 0 ? -1 : 1;
        } else {
            ok = false;
        }
    }
    if (!ok || value >= limit || value <= -limit) {
        set->overflows++;
        return false;
    }
    memcpy((char *)out->values + (size_t)row * 16, &value, 16);
    return true;
}

static bool put_sum(struct agg_set *set, const struct agg_slot *slot, const char *at, int64_t count,
                    struct column *out, uint32_t row)
{
    const bool average = slot->spec.kind == AGG_AVG;
    int128 sum;

    if (slot->plain == ACC_FSUM) {
        const double *s = (const double *)at;
        const double total = s[0] + agg_fold(s + 1, set->lanes);
        const double value = average ? total / (double)count : total;

        if (type_phys(&slot->spec.result_type) == PHYS_F32)
            ((float *)out->values)[row] = (float)value;
        else
            ((double *)out->values)[row] = value;
        return true;
    }
    if (slot->phys == PHYS_I128)
        return put_decimal(set, slot, at, count, out, row);
    exact_sum(slot->plain, at, &sum);
    if (average)
        sum /= count;
    if (!fits(type_phys(&slot->spec.result_type), sum))
        set->overflows++;
    put_integer(slot, out, row, (int64_t)sum);
    return true;
}

static double to_double192(const char *at)
{
    return ldexp((double)((const int64_t *)at)[2], 128) + (double)*(const uint128_at8 *)at;
}

/* (squares - sum^2 / n) / (n or n - 1), as Flink rewrites it. */
static bool put_moment(const struct agg_set *set, const struct agg_slot *slot, const char *at,
                       struct column *out, uint32_t row)
{
    const enum agg_kind kind = slot->spec.kind;
    const bool sample = kind == AGG_STDDEV_SAMP || kind == AGG_VAR_SAMP;
    const int64_t n = *(const int64_t *)at;
    const double *s = (const double *)(at + 8);
    double sum, squares, value;

    if (n == 0 || (sample && n == 1))
        return false;
    if (slot->plain == ACC_MOMENTS) {
        const int128 exact = *(const int128_at8 *)(at + 8);
        const int128 low = *(const int128_at8 *)(at + 24);
        int128 product, squared;

        sum = (double)exact;
        squares = to_double192(at + 24);
        /* n * squares - sum^2 exactly where 128 bits hold it: no cancellation */
        if (((const int64_t *)(at + 24))[2] == 0 && low >= 0 &&
            !__builtin_mul_overflow(low, (int128)n, &product) &&
            !__builtin_mul_overflow(exact, exact, &squared)) {
            value = (double)(product - squared) / (double)n / (double)(sample ? n - 1 : n);
            goto done;
        }
    } else {
        sum = s[0] + agg_fold(s + 1, set->lanes);
        squares = s[1 + set->lanes] + agg_fold(s + 2 + set->lanes, set->lanes);
    }
    value = (squares - sum * sum / (double)n) / (double)(sample ? n - 1 : n);
done:
    if (value < 0) /* rounding only */
        value = 0;
    ((double *)out->values)[row] =
        kind == AGG_STDDEV_POP || kind == AGG_STDDEV_SAMP ? sqrt(value) : value;
    return true;
}

static bool put_view(struct batch *batch, struct column *out, uint32_t row,
                     const struct mill_view *value)
{
    const struct mill_view copy = batch_view(batch, mill_view_data(value), value->length);

    ((struct mill_view *)out->values)[row] = copy;
    return copy.length != UINT32_MAX;
}

/* 1: has a value, 0: NULL, -1: no memory. */
static int put_plain(struct agg_set *set, const struct agg_slot *slot, const char *at,
                     int64_t count, struct batch *batch, struct column *out, uint32_t row)
{
    const int64_t number = *(const int64_t *)at;

    switch (slot->plain) {
    case ACC_COUNT: ((int64_t *)out->values)[row] = number; return 1;
    case ACC_MIN64:
    case ACC_MAX64:
        if (slot->phys == PHYS_F64)
            ((double *)out->values)[row] = agg_unorder_f64(number);
        else if (slot->phys == PHYS_F32)
            ((float *)out->values)[row] = (float)agg_unorder_f64(number);
        else
            put_integer(slot, out, row, number);
        return 1;
    case ACC_MIN128:
    case ACC_MAX128: memcpy((char *)out->values + (size_t)row * 16, at, 16); return 1;
    case ACC_MINVIEW:
    case ACC_MAXVIEW: return put_view(batch, out, row, (const void *)at) ? 1 : -1;
    case ACC_FIRST:
    case ACC_LAST:
        if (slot->phys == PHYS_VIEW)
            return put_view(batch, out, row, (const void *)(at + 16)) ? 1 : -1;
        memcpy((char *)out->values + (size_t)row * type_width(&slot->spec.result_type), at + 16,
               type_width(&slot->spec.result_type));
        return 1;
    case ACC_USER: return agg_user_value(slot, at, batch, out, row);
    case ACC_LIST: {
        const struct mill_view text =
            agg_list_value(set, slot, *(struct agg_list *const *)at, batch);

        ((struct mill_view *)out->values)[row] = text;
        return text.length == UINT32_MAX ? -1 : 1;
    }
    case ACC_MOMENTS:
    case ACC_FMOMENTS: return put_moment(set, slot, at, out, row);
    default: return put_sum(set, slot, at, count, out, row);
    }
}

/* The texts of COLLECT, each as often as it stands, one behind the other. 1, or -1: no memory. */
static int put_texts(const struct agg_distinct *d, bool each, struct batch *batch,
                     struct column *out, uint32_t row)
{
    const struct mill_view *texts = (const struct mill_view *)d->elements;
    uint64_t bytes = 0;
    char *to, *next;

    for (uint32_t i = 0; i < d->count; i++)
        bytes += (uint64_t)texts[i].length * (each ? (uint64_t)d->numbers[i] : 1);
    to = next = bytes < UINT32_MAX ? arena_alloc(&batch->bytes, bytes + 1) : NULL;
    if (to == NULL)
        return -1;
    for (uint32_t i = 0; i < d->count; i++)
        for (int64_t k = each ? d->numbers[i] : 1; k > 0; k--) {
            memcpy(next, mill_view_data(&texts[i]), texts[i].length);
            next += texts[i].length;
        }
    ((struct mill_view *)out->values)[row] = view_of(to, (uint32_t)bytes);
    return 1;
}

/* Aggregates a set of values: floats in ascending order, the rest adds up exactly in any. */
static int put_distinct(struct agg_set *set, const struct agg_slot *slot, struct agg_distinct *d,
                        struct batch *batch, struct column *out, uint32_t row)
{
    const uint32_t width = agg_normal_width(slot->phys), n = d != NULL ? d->count : 0;
    const bool each = d != NULL && d->numbers != NULL && !slot->spec.distinct;
    int64_t state[(8 + 8 + 16 * (1 + AGG_LANES) + 8) / 8 + 2], rows = 0;
    uint32_t *order;

    if (slot->plain == ACC_COUNT) {
        ((int64_t *)out->values)[row] = n;
        return 1;
    }
    if (n == 0)
        return 0;
    if (slot->plain == ACC_LIST)
        return put_texts(d, each, batch, out, row);
    if (slot->spec.kind == AGG_MIN || slot->spec.kind == AGG_MAX)
        return put_plain(set, slot, agg_distinct_extreme(slot, d, slot->spec.kind == AGG_MAX), 0,
                         batch, out, row);
    order = heap_alloc(set->heap, n * sizeof *order);
    if (order == NULL)
        return -1;
    agg_distinct_order(slot, d, order);
    agg_slot_init(set, slot, slot->plain, (char *)state);
    for (uint32_t i = 0; i < n; i++)
        for (int64_t k = each ? d->numbers[order[i]] : 1; k > 0; k--, rows++)
            agg_slot_add(set, slot, slot->plain, (char *)state, 0,
                         d->elements + (size_t)order[i] * width);
    heap_free(set->heap, order, n * sizeof *order);
    return put_plain(set, slot, (const char *)state, rows, batch, out, row);
}

/* The result of one aggregate. */
static bool put_slot(struct agg_set *set, uint32_t i, const void *state, struct batch *batch,
                     struct column *out, uint32_t row)
{
    const struct agg_slot *slot = &set->slots[i];
    const char *at = (const char *)state + slot->at;
    const bool counted = slot->plain == ACC_COUNT || slot->plain == ACC_MOMENTS ||
                         slot->plain == ACC_FMOMENTS || slot->plain == ACC_USER;
    int given = 0;

    if (slot->acc == ACC_DISTINCT)
        given = put_distinct(set, slot, *(struct agg_distinct **)(uintptr_t)at, batch, out, row);
    else if (counted || agg_is_seen(state, i))
        given =
            put_plain(set, slot, at,
                      slot->count_at != 0 ? *(const int64_t *)((const char *)state + slot->count_at)
                                          : 0,
                      batch, out, row);
    if (given < 0)
        return false;
    if (given == 0) {
        if (out->validity == NULL && !column_own_validity(batch, out))
            return false;
        column_set_null(out, row);
        memset((char *)out->values + (size_t)row * type_width(&slot->spec.result_type), 0,
               type_width(&slot->spec.result_type));
    }
    return true;
}

bool agg_values(struct agg_set *set, const void *state, struct batch *batch, struct column *out,
                uint32_t row)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (!put_slot(set, i, state, batch, &out[i], row))
            return false;
    return true;
}

/* The common aggregates of 64 bits, in tight loops; false in *done: not one of them. */
static bool put_words(struct agg_set *set, uint32_t i, void *const *states, uint32_t first,
                      uint32_t end, struct batch *batch, struct column *out, bool *done)
{
    const struct agg_slot *slot = &set->slots[i];
    const bool bounds = slot->acc == ACC_MIN64 || slot->acc == ACC_MAX64;
    const bool real = slot->phys == PHYS_F64;
    int64_t *to = out->values;

    *done = slot->acc == ACC_COUNT || (bounds && (real || slot->phys == PHYS_I64)) ||
            (slot->acc == ACC_FSUM && real);
    for (uint32_t k = first; *done && k < end; k++) {
        const int64_t *at = (const int64_t *)((const char *)states[k] + slot->at);
        double value;

        if (slot->acc != ACC_COUNT && UNLIKELY(!agg_is_seen(states[k], i))) {
            if (!put_slot(set, i, states[k], batch, out, k))
                return false;
        } else if (slot->acc == ACC_FSUM) {
            value = ((const double *)at)[0] + agg_fold((const double *)at + 1, set->lanes);
            if (slot->spec.kind == AGG_AVG)
                value /= (double)*agg_i64(states[k], slot->count_at);
            memcpy(to + k, &value, 8);
        } else if (bounds && real) {
            value = agg_unorder_f64(*at);
            memcpy(to + k, &value, 8);
        } else {
            to[k] = *at;
        }
    }
    return true;
}

bool agg_values_of(struct agg_set *set, void *const *states, uint32_t first, uint32_t end,
                   struct batch *batch, struct column *out)
{
    for (uint32_t i = 0; i < set->count; i++) {
        bool done;

        if (!put_words(set, i, states, first, end, batch, &out[i], &done))
            return false;
        for (uint32_t k = first; !done && k < end; k++)
            if (!put_slot(set, i, states[k], batch, &out[i], k))
                return false;
    }
    return true;
}
