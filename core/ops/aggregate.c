/* core/ops/aggregate.c - sets of aggregates: names, layout, merging. */
#include "core/ops/agg_impl.h"
#include "kernels/kernels.h"

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
             {"LISTAGG", AGG_LISTAGG},
             {"ARRAY_AGG", AGG_ARRAY},
             {"COLLECT", AGG_COLLECT}};

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
        if (!scalar || !type_orders(arg))
            return false;
        *out = *arg;
        break;
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
    case AGG_USER: return ACC_USER;
    default: return real || phys == PHYS_I128 ? ACC_FMOMENTS : ACC_MOMENTS;
    }
}

/* DISTINCT changes nothing for MIN, MAX and the others that take one value; LISTAGG looks for itself. */
static bool needs_values(const struct agg_spec *spec, enum acc plain, bool retracts)
{
    if (plain == ACC_USER)
        return false;
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

uint32_t agg_acc_bytes(enum acc acc, enum phys phys, uint32_t lanes)
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
            words += agg_acc_bytes(set->slots[i].acc, set->slots[i].phys, 1) / 8 +
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
        slot->plain_bytes = agg_acc_bytes(slot->plain, slot->phys, set->lanes) + 8;
        at += agg_slot_bytes(set, slot);
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
    case ACC_USER:
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
        if (set->slots[i].acc == ACC_LIST || set->slots[i].acc == ACC_USER)
            return false;
    return true;
}

void agg_slot_init(const struct agg_set *set, const struct agg_slot *slot, enum acc acc, char *at)
{
    const uint32_t bytes =
        acc == ACC_USER ? agg_slot_bytes(set, slot) : agg_acc_bytes(acc, slot->phys, set->lanes);
    double *sum = (double *)at;

    memset(at, 0, bytes);
    switch (acc) {
    case ACC_USER:
        if (slot->spec.user->init != NULL)
            slot->spec.user->init(at);
        break;
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
    case ACC_USER: slot->spec.user->merge(a, b); break;
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
