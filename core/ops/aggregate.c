/* core/ops/aggregate.c - sets of aggregates: layout, merging, results, snapshots. */
#include "core/ops/agg_impl.h"
#include "kernels/kernels.h"

#include <math.h>
#include <strings.h>

static const struct {
    const char *name;
    enum agg_kind kind;
} names[] = {{"COUNT", AGG_COUNT},
             {"SUM", AGG_SUM},
             {"MIN", AGG_MIN},
             {"MAX", AGG_MAX},
             {"AVG", AGG_AVG},
             {"STDDEV_POP", AGG_STDDEV_POP},
             {"STDDEV_SAMP", AGG_STDDEV_SAMP},
             {"STDDEV", AGG_STDDEV_SAMP},
             {"VAR_POP", AGG_VAR_POP},
             {"VAR_SAMP", AGG_VAR_SAMP},
             {"VARIANCE", AGG_VAR_SAMP},
             {"FIRST_VALUE", AGG_FIRST},
             {"LAST_VALUE", AGG_LAST},
             {"LISTAGG", AGG_LISTAGG}};

bool agg_find(const char *name, enum agg_kind *out)
{
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcasecmp(names[i].name, name) == 0) {
            *out = names[i].kind;
            return true;
        }
    return false;
}

bool agg_result_type(enum agg_kind kind, const struct mill_type *arg, struct mill_type *out)
{
    const enum phys phys = arg != NULL ? type_phys(arg) : PHYS_NONE;
    const bool scalar =
        arg != NULL && phys != PHYS_NONE && phys != PHYS_ROW && arg->kind != MILL_NULL;

    switch (kind) {
    case AGG_COUNT_STAR:
    case AGG_COUNT:
        *out = type_make(MILL_BIGINT);
        out->not_null = true;
        return kind == AGG_COUNT_STAR || (arg != NULL && phys != PHYS_NONE && phys != PHYS_ROW);
    case AGG_SUM:
    case AGG_AVG:
        if (!scalar || !type_is_numeric(arg))
            return false;
        *out = *arg;
        if (arg->kind == MILL_DECIMAL)
            *out = type_decimal(38, kind == AGG_SUM ? arg->scale : max_u32(6, arg->scale));
        break;
    case AGG_MIN:
    case AGG_MAX:
    case AGG_FIRST:
    case AGG_LAST:
        if (!scalar)
            return false;
        *out = *arg;
        break;
    case AGG_LISTAGG:
        if (!scalar || !type_is_text(arg))
            return false;
        *out = type_string();
        break;
    default:
        if (!scalar || !type_is_numeric(arg))
            return false;
        *out = type_make(MILL_DOUBLE);
    }
    out->not_null = false;
    return true;
}

/* ---- layout ---- */

static enum acc plain_acc(const struct agg_spec *spec, enum phys phys)
{
    const bool real = phys == PHYS_F32 || phys == PHYS_F64;

    switch (spec->kind) {
    case AGG_COUNT_STAR:
    case AGG_COUNT: return ACC_COUNT;
    case AGG_SUM:
    case AGG_AVG:
        if (real)
            return ACC_FSUM;
        if (phys == PHYS_I128)
            return spec->arg_type.precision > 28 ? ACC_SUM192 : ACC_SUM128;
        return phys == PHYS_I64 ? ACC_SUM128 : ACC_SUM64;
    case AGG_MIN:
        return phys == PHYS_VIEW ? ACC_MINVIEW : phys == PHYS_I128 ? ACC_MIN128 : ACC_MIN64;
    case AGG_MAX:
        return phys == PHYS_VIEW ? ACC_MAXVIEW : phys == PHYS_I128 ? ACC_MAX128 : ACC_MAX64;
    case AGG_FIRST: return ACC_FIRST;
    case AGG_LAST: return ACC_LAST;
    case AGG_LISTAGG: return ACC_LIST;
    default: return real || phys == PHYS_I128 ? ACC_FMOMENTS : ACC_MOMENTS;
    }
}

/* DISTINCT changes nothing for MIN, MAX and the others that take one value; LISTAGG looks for itself. */
static bool needs_values(const struct agg_spec *spec, enum acc plain, bool retracts)
{
    if (retracts && plain != ACC_COUNT && plain != ACC_SUM64 && plain != ACC_SUM128 &&
        plain != ACC_SUM192)
        return true;
    switch (spec->kind) {
    case AGG_COUNT_STAR:
    case AGG_MIN:
    case AGG_MAX:
    case AGG_FIRST:
    case AGG_LAST:
    case AGG_LISTAGG: return false;
    default: return spec->distinct;
    }
}

static uint32_t acc_bytes(enum acc acc, enum phys phys, uint32_t lanes)
{
    switch (acc) {
    case ACC_COUNT:
    case ACC_SUM64:
    case ACC_MIN64:
    case ACC_MAX64:
    case ACC_LIST:
    case ACC_DISTINCT: return 8;
    case ACC_SUM128:
    case ACC_MIN128:
    case ACC_MAX128:
    case ACC_MINVIEW:
    case ACC_MAXVIEW: return 16;
    case ACC_SUM192: return 24;
    case ACC_FSUM: return 8 * (1 + lanes);
    case ACC_MOMENTS: return 8 + 16 + 24;
    case ACC_FMOMENTS: return 8 + 16 * (1 + lanes);
    default: return 16 + (phys == PHYS_I128 || phys == PHYS_VIEW ? 16 : 8);
    }
}

/* Whether states are lines for the folding kernel. */
static bool in_lines(const struct agg_set *set)
{
    uint32_t words = 0;

    for (uint32_t i = 0; i < set->count; i++)
        if (agg_slot_folds(&set->slots[i]))
            words += acc_bytes(set->slots[i].acc, set->slots[i].phys, 1) / 8 +
                     (set->slots[i].spec.kind == AGG_AVG);
    return set->lanes == 1 && set->count <= 32 && words >= AGG_FOLD_WORDS_MIN;
}

static void lay_out(struct agg_set *set, const struct agg_spec *specs)
{
    uint32_t at = set->seen_words * 8;
    bool lines;

    for (uint32_t i = 0; i < set->count; i++) {
        struct agg_slot *slot = &set->slots[i];

        slot->spec = specs[i];
        if (slot->spec.separator == NULL)
            slot->spec.separator = ",";
        slot->separator_bytes = (uint32_t)strlen(slot->spec.separator);
        if (slot->spec.kind == AGG_COUNT_STAR)
            slot->spec.arg = -1;
        slot->phys = slot->spec.arg < 0 ? PHYS_NONE : type_phys(&slot->spec.arg_type);
        slot->plain = plain_acc(&slot->spec, slot->phys);
        slot->acc =
            needs_values(&slot->spec, slot->plain, set->retracts) ? ACC_DISTINCT : slot->plain;
        if (set->step_at == 0 && (slot->acc == ACC_FSUM || slot->acc == ACC_FMOMENTS)) {
            set->step_at = at;
            at += 16;
        }
    }
    lines = !set->retracts && in_lines(set);
    for (uint32_t k = 0; k < 2 * set->count; k++) {
        const uint32_t i = k % set->count;
        struct agg_slot *slot = &set->slots[i];

        /* float sums first: in words 3 and 4 of a line one is folded by halves */
        if ((lines && slot->acc == ACC_FSUM) != (k < set->count))
            continue;
        if (lines && at % 64 == 56 && (slot->acc == ACC_FSUM || slot->acc == ACC_SUM128))
            at += 8;
        slot->at = at;
        slot->plain_bytes = acc_bytes(slot->plain, slot->phys, set->lanes) + 8;
        at += acc_bytes(slot->acc, slot->phys, set->lanes);
        if ((slot->spec.kind == AGG_AVG || (set->retracts && slot->acc != ACC_COUNT)) &&
            slot->acc != ACC_DISTINCT) {
            slot->count_at = at;
            at += 8;
        }
        if (slot->acc == ACC_FSUM)
            set->sums[set->sum_count++] = slot->at;
        if (slot->acc == ACC_FMOMENTS) {
            set->sums[set->sum_count++] = slot->at + 8;
            set->sums[set->sum_count++] = slot->at + 8 + 8 * (1 + set->lanes);
        }
    }
    set->state_bytes = lines ? ALIGN_UP(at, 64u) : max_u32(at, 8);
    set->fold_lines = lines && at <= AGG_FOLD_LINES_MAX * 64 ? set->state_bytes / 64 : 0;
}

static bool is_flat(const struct agg_slot *slot)
{
    switch (slot->acc) {
    case ACC_MINVIEW:
    case ACC_MAXVIEW:
    case ACC_LIST:
    case ACC_DISTINCT: return false;
    case ACC_FIRST:
    case ACC_LAST: return slot->phys != PHYS_VIEW;
    default: return true;
    }
}

static void make_blank(struct agg_set *set)
{
    memset(set->blank, 0, set->state_bytes);
    if (set->step_at != 0)
        *(uint64_t *)(set->blank + set->step_at) = AGG_NO_STEP;
    for (uint32_t i = 0; i < set->count; i++)
        agg_slot_init(set, &set->slots[i], set->slots[i].acc, set->blank + set->slots[i].at);
    set->flat = true;
    for (uint32_t i = 0; i < set->count; i++)
        set->flat = set->flat && is_flat(&set->slots[i]);
}

static struct agg_set *set_new(struct heap *heap, const struct mk_table *kernels,
                               const struct agg_spec *specs, uint32_t count, bool keyless,
                               bool retracts)
{
    struct agg_set *set = heap_zalloc(heap, sizeof *set);

    if (set == NULL)
        return NULL;
    set->heap = heap;
    set->kernels = kernels != NULL ? kernels : &mk_scalar;
    set->count = count;
    set->seen_words = (count + 63) / 64;
    set->lanes = keyless ? AGG_LANES : 1;
    set->retracts = retracts;
    set->slots = heap_zalloc(heap, max_u32(count, 1) * sizeof *set->slots);
    set->sums = heap_zalloc(heap, max_u32(count, 1) * 2 * sizeof *set->sums);
    if (set->slots == NULL || set->sums == NULL) {
        agg_set_free(set);
        return NULL;
    }
    for (uint32_t i = 0; i < COUNT_OF(set->lanes_in_turn); i++)
        set->lanes_in_turn[i] = (uint8_t)(i % AGG_LANES);
    for (uint32_t i = 0; i < BATCH_ROWS_MAX; i++)
        set->rows_in_turn[i] = (uint16_t)i;
    lay_out(set, specs);
    set->blank = heap_alloc(heap, set->state_bytes);
    if (set->blank == NULL) {
        agg_set_free(set);
        return NULL;
    }
    make_blank(set);
    return set;
}

struct agg_set *agg_set_new(struct heap *heap, const struct mk_table *kernels,
                            const struct agg_spec *specs, uint32_t count, bool keyless)
{
    return set_new(heap, kernels, specs, count, keyless, false);
}

struct agg_set *agg_set_new_retractable(struct heap *heap, const struct mk_table *kernels,
                                        const struct agg_spec *specs, uint32_t count)
{
    return set_new(heap, kernels, specs, count, false, true);
}

void agg_set_free(struct agg_set *set)
{
    if (set == NULL)
        return;
    heap_free(set->heap, set->slots, max_u32(set->count, 1) * sizeof *set->slots);
    heap_free(set->heap, set->sums, max_u32(set->count, 1) * 2 * sizeof *set->sums);
    heap_free(set->heap, set->blank, set->state_bytes);
    heap_free(set->heap, set, sizeof *set);
}

uint32_t agg_state_bytes(const struct agg_set *set)
{
    return set->state_bytes;
}
uint64_t agg_overflows(const struct agg_set *set)
{
    return set->overflows;
}

bool agg_can_merge_partials(const struct agg_set *set)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (set->slots[i].acc == ACC_LIST)
            return false;
    return true;
}

void agg_slot_init(const struct agg_set *set, const struct agg_slot *slot, enum acc acc, char *at)
{
    const uint32_t bytes = acc_bytes(acc, slot->phys, set->lanes);
    double *sum = (double *)at;

    memset(at, 0, bytes);
    switch (acc) {
    case ACC_MIN64: *(int64_t *)at = INT64_MAX; break;
    case ACC_MAX64: *(int64_t *)at = INT64_MIN; break;
    case ACC_MIN128: *(int128_at8 *)at = (int128)(~(uint128)0 >> 1); break;
    case ACC_MAX128: *(int128_at8 *)at = -(int128)(~(uint128)0 >> 1) - 1; break;
    case ACC_FSUM:
        for (uint32_t i = 0; i < 1 + set->lanes; i++)
            sum[i] = -0.0;
        break;
    case ACC_FMOMENTS:
        for (uint32_t i = 1; i < 1 + 2 * (1 + set->lanes); i++)
            sum[i] = -0.0;
        break;
    default: break;
    }
}

void agg_init(const struct agg_set *set, void *state)
{
    memcpy(state, set->blank, set->state_bytes);
}

bool agg_is_flat(const struct agg_set *set)
{
    return set->flat;
}

void agg_close(struct agg_set *set, void *state)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const struct agg_slot *slot = &set->slots[i];
        char *at = (char *)state + slot->at;

        switch (slot->acc) {
        case ACC_MINVIEW:
        case ACC_MAXVIEW: agg_view_free(set, (struct mill_view *)at); break;
        case ACC_FIRST:
        case ACC_LAST:
            if (slot->phys == PHYS_VIEW)
                agg_view_free(set, (struct mill_view *)(at + 16));
            break;
        case ACC_LIST:
            agg_list_free(set, *(struct agg_list **)at);
            *(struct agg_list **)at = NULL;
            break;
        case ACC_DISTINCT:
            agg_distinct_free(set, slot, *(struct agg_distinct **)at);
            *(struct agg_distinct **)at = NULL;
            break;
        default: break;
        }
    }
}

/* ---- merging ---- */

static void merge192(char *into, const char *from)
{
    uint128_at8 *low = (uint128_at8 *)into;
    const uint128 old = *low;

    *low = old + *(const uint128_at8 *)from;
    ((int64_t *)into)[2] += ((const int64_t *)from)[2] + (*low < old);
}

/* @into has been rolled: its partials are empty. */
static void merge_fsum(const struct agg_set *set, double *into, const double *from)
{
    into[0] += from[0];
    memcpy(into + 1, from + 1, set->lanes * sizeof *into);
}

static bool merge_placed(struct agg_set *set, const struct agg_slot *slot, char *into,
                         const char *from, bool into_seen)
{
    const uint64_t *a = (const uint64_t *)into, *b = (const uint64_t *)from;
    const bool later = b[0] != a[0] ? b[0] > a[0] : b[1] > a[1];

    if (into_seen && later != (slot->acc == ACC_LAST))
        return true;
    memcpy(into, from, 16);
    if (slot->phys == PHYS_VIEW)
        return agg_view_set(set, (struct mill_view *)(into + 16), (const void *)(from + 16));
    memcpy(into + 16, from + 16, slot->phys == PHYS_I128 ? 16 : 8);
    return true;
}

static bool merge_view(struct agg_set *set, const struct agg_slot *slot, char *into,
                       const char *from, bool into_seen)
{
    const int c = into_seen ? view_compare((const void *)from, (const void *)into) : 0;

    if (into_seen && (slot->acc == ACC_MINVIEW ? c >= 0 : c <= 0))
        return true;
    return agg_view_set(set, (struct mill_view *)into, (const void *)from);
}

bool agg_slot_merge(struct agg_set *set, const struct agg_slot *slot, char *a, const char *b,
                    bool into_seen)
{
    int64_t *x = (int64_t *)a;
    const int64_t *y = (const int64_t *)b;

    switch (slot->acc) {
    case ACC_COUNT:
    case ACC_SUM64: *x += *y; break;
    case ACC_SUM128: *(uint128_at8 *)a += *(const uint128_at8 *)b; break;
    case ACC_SUM192: merge192(a, b); break;
    case ACC_FSUM: merge_fsum(set, (double *)a, (const double *)b); break;
    case ACC_MOMENTS:
        *x += *y;
        *(uint128_at8 *)(a + 8) += *(const uint128_at8 *)(b + 8);
        merge192(a + 24, b + 24);
        break;
    case ACC_FMOMENTS:
        *x += *y;
        merge_fsum(set, (double *)a + 1, (const double *)b + 1);
        merge_fsum(set, (double *)a + 2 + set->lanes, (const double *)b + 2 + set->lanes);
        break;
    case ACC_MIN64: *x = min_i64(*x, *y); break;
    case ACC_MAX64: *x = max_i64(*x, *y); break;
    case ACC_MIN128:
        if (*(const int128_at8 *)b < *(int128_at8 *)a)
            memcpy(a, b, 16);
        break;
    case ACC_MAX128:
        if (*(const int128_at8 *)b > *(int128_at8 *)a)
            memcpy(a, b, 16);
        break;
    case ACC_MINVIEW:
    case ACC_MAXVIEW: return merge_view(set, slot, a, b, into_seen);
    case ACC_FIRST:
    case ACC_LAST: return merge_placed(set, slot, a, b, into_seen);
    case ACC_LIST: return agg_list_merge(set, (struct agg_list **)a, *(struct agg_list *const *)b);
    case ACC_DISTINCT:
        return agg_distinct_merge(set, slot, (struct agg_distinct **)a,
                                  *(struct agg_distinct *const *)b);
    }
    return true;
}

bool agg_merge(struct agg_set *set, void *into, const void *from)
{
    if (set->step_at != 0) {
        const uint64_t *head = (const uint64_t *)((const char *)from + set->step_at);

        if (head[0] != AGG_NO_STEP) {
            agg_roll(set, into, head[0]);
            ((uint64_t *)((char *)into + set->step_at))[1] = head[1];
        } else {
            agg_roll(set, into, *(uint64_t *)((char *)into + set->step_at));
        }
    }
    for (uint32_t i = 0; i < set->count; i++) {
        const struct agg_slot *slot = &set->slots[i];
        const bool counted =
            slot->acc == ACC_COUNT || slot->acc == ACC_MOMENTS || slot->acc == ACC_FMOMENTS;

        if (!counted && !agg_is_seen(from, i))
            continue;
        if (!agg_slot_merge(set, slot, (char *)into + slot->at, (const char *)from + slot->at,
                            agg_is_seen(into, i)))
            return false;
        if (slot->count_at != 0)
            *agg_i64(into, slot->count_at) +=
                *(const int64_t *)((const char *)from + slot->count_at);
        if (agg_is_seen(from, i))
            *agg_seen(into, i) |= 1ull << (i & 63);
    }
    return true;
}

/* ---- results ---- */

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
    const bool counted =
        slot->plain == ACC_COUNT || slot->plain == ACC_MOMENTS || slot->plain == ACC_FMOMENTS;
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

/* ---- snapshots ---- */

static void save_distinct(const struct agg_slot *slot, const struct agg_distinct *d,
                          struct snapshot_writer *to)
{
    const uint32_t width = agg_normal_width(slot->phys);

    snapshot_u32(to, d != NULL ? d->count : 0);
    for (uint32_t i = 0; d != NULL && i < d->count; i++) {
        if (slot->phys == PHYS_VIEW)
            snapshot_view(to, (const struct mill_view *)d->elements + i);
        else
            snapshot_put(to, d->elements + (size_t)i * width, width);
        if (d->numbers != NULL)
            snapshot_u64(to, (uint64_t)d->numbers[i]);
    }
}

static void save_list(const struct agg_list *list, struct snapshot_writer *to)
{
    snapshot_u32(to, list != NULL ? list->count : 0);
    for (uint32_t i = 0; list != NULL && i < list->count; i++) {
        snapshot_u64(to, list->items[i].step);
        snapshot_u32(to, list->items[i].place);
        snapshot_u32(to, list->items[i].length);
        snapshot_put(to, list->items[i].text, list->items[i].length);
    }
}

void agg_snapshot(const struct agg_set *set, const void *state, struct snapshot_writer *to)
{
    snapshot_put(to, state, set->seen_words * 8);
    if (set->step_at != 0)
        snapshot_put(to, (const char *)state + set->step_at, 16);
    for (uint32_t i = 0; i < set->count; i++) {
        const struct agg_slot *slot = &set->slots[i];
        const char *at = (const char *)state + slot->at;

        switch (slot->acc) {
        case ACC_MINVIEW:
        case ACC_MAXVIEW: snapshot_view(to, (const void *)at); break;
        case ACC_DISTINCT: save_distinct(slot, *(struct agg_distinct *const *)at, to); break;
        case ACC_LIST: save_list(*(struct agg_list *const *)at, to); break;
        case ACC_FIRST:
        case ACC_LAST:
            if (slot->phys == PHYS_VIEW) {
                snapshot_put(to, at, 16);
                snapshot_view(to, (const void *)(at + 16));
                break;
            }
            /* fall through */
        default: snapshot_put(to, at, acc_bytes(slot->acc, slot->phys, set->lanes));
        }
        if (slot->count_at != 0)
            snapshot_put(to, (const char *)state + slot->count_at, 8);
    }
}

static bool load_view(struct agg_set *set, char *at, struct snapshot_reader *from)
{
    const struct mill_view view = snapshot_get_view(from);

    return agg_view_set(set, (struct mill_view *)at, &view);
}

static bool load_distinct(const struct agg_set *set, const struct agg_slot *slot,
                          struct agg_distinct **at, struct snapshot_reader *from)
{
    const uint32_t n = snapshot_get_u32(from);
    char normal[16];

    for (uint32_t i = 0; i < n && !from->failed; i++) {
        if (slot->phys == PHYS_VIEW) {
            const struct mill_view view = snapshot_get_view(from);

            memcpy(normal, &view, 16);
        } else {
            snapshot_get(from, normal, agg_normal_width(slot->phys));
        }
        if (!from->failed && agg_distinct_add(set, slot, at, normal) < 0)
            return false;
        if (set->retracts) {
            const uint64_t number = snapshot_get_u64(from);

            if (!from->failed)
                (*at)->numbers[(*at)->count - 1] = (int64_t)number;
        }
    }
    return true;
}

static bool load_list(const struct agg_set *set, struct agg_list **at, struct snapshot_reader *from)
{
    const uint32_t n = snapshot_get_u32(from);

    for (uint32_t i = 0; i < n && !from->failed; i++) {
        const uint64_t step = snapshot_get_u64(from);
        const uint32_t place = snapshot_get_u32(from);
        const struct mill_view text = snapshot_get_view(from);

        if (!from->failed &&
            !agg_list_add(set, at, step, place, mill_view_data(&text), text.length))
            return false;
    }
    return true;
}

bool agg_restore(struct agg_set *set, void *state, struct snapshot_reader *from)
{
    bool ok = true;

    snapshot_get(from, state, set->seen_words * 8);
    if (set->step_at != 0)
        snapshot_get(from, (char *)state + set->step_at, 16);
    for (uint32_t i = 0; i < set->count && ok; i++) {
        const struct agg_slot *slot = &set->slots[i];
        char *at = (char *)state + slot->at;

        switch (slot->acc) {
        case ACC_MINVIEW:
        case ACC_MAXVIEW: ok = load_view(set, at, from); break;
        case ACC_DISTINCT: ok = load_distinct(set, slot, (struct agg_distinct **)at, from); break;
        case ACC_LIST: ok = load_list(set, (struct agg_list **)at, from); break;
        case ACC_FIRST:
        case ACC_LAST:
            if (slot->phys == PHYS_VIEW) {
                snapshot_get(from, at, 16);
                ok = load_view(set, at + 16, from);
                break;
            }
            /* fall through */
        default: snapshot_get(from, at, acc_bytes(slot->acc, slot->phys, set->lanes));
        }
        if (slot->count_at != 0)
            snapshot_get(from, (char *)state + slot->count_at, 8);
    }
    return ok && !from->failed;
}

/* ---- partials ---- */

const void *agg_pack(const struct agg_set *set, const void *state, struct snapshot_writer *copy,
                     uint32_t *length)
{
    *length = set->state_bytes;
    if (set->flat)
        return state;
    copy->length = 0;
    agg_snapshot(set, state, copy);
    *length = (uint32_t)copy->length;
    return copy->failed ? NULL : copy->bytes;
}

bool agg_merge_packed(struct agg_set *set, void *into, const char *bytes, uint32_t length,
                      void *scratch)
{
    struct snapshot_reader from = {.next = bytes, .end = bytes + length};
    bool ok;

    if (set->flat) {
        CHECK(length == set->state_bytes);
        memcpy(scratch, bytes, length);
        return agg_merge(set, into, scratch);
    }
    agg_init(set, scratch);
    ok = agg_restore(set, scratch, &from) && agg_merge(set, into, scratch);
    agg_close(set, scratch);
    return ok;
}
