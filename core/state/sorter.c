/* core/state/sorter.c - radix and merge sort that can stop anywhere. */
#include "core/state/sorter.h"

#define RUN 16u
#define DIGITS_BYTES (8 * sizeof(uint32_t[256]))

bool sorter_open(struct sorter *s, const struct table *table, uint32_t *order)
{
    const uint32_t groups = table->groups;

    *s = (struct sorter){.table = table, .order = order};
    if (groups <= 1) {
        if (groups == 1)
            order[0] = 0;
        s->phase = SORTER_DONE;
        return true;
    }
    s->memory = heap_alloc(table->heap, 2 * (size_t)groups * sizeof *s->memory);
    s->digits = heap_zalloc(table->heap, DIGITS_BYTES);
    if (s->memory == NULL || s->digits == NULL) {
        sorter_close(s);
        return false;
    }
    s->from = s->memory;
    s->to = s->memory + groups;
    if (table->null_group != TABLE_NO_GROUP)
        order[s->before++] = table->null_group;
    return true;
}

void sorter_close(struct sorter *s)
{
    if (s->memory != NULL)
        heap_free(s->table->heap, s->memory, 2 * (size_t)s->table->groups * sizeof *s->memory);
    if (s->digits != NULL)
        heap_free(s->table->heap, s->digits, DIGITS_BYTES);
    s->memory = NULL;
    s->digits = NULL;
    s->phase = SORTER_DONE;
}

static uint64_t prefix_of(const struct mill_view *view)
{
    uint64_t word = 0;

    memcpy(&word, mill_view_data(view), min_u32(view->length, 8));
    return __builtin_bswap64(word);
}

/* End of what a turn may do from s->at on. */
static uint32_t stop_at(const struct sorter *s, uint32_t end, const int64_t *budget)
{
    return (uint32_t)min_i64(end, s->at + max_i64(*budget, 0));
}

/* ---- by rank ---- */

/* First entry of each byte value, for all bytes. */
static void sum_digits(struct sorter *s)
{
    for (uint32_t d = 0; d < 8; d++) {
        uint32_t sum = 0;

        for (uint32_t v = 0; v < 256; v++) {
            const uint32_t n = s->digits[d][v];

            s->digits[d][v] = sum;
            sum += n;
        }
    }
}

static void rank_groups(struct sorter *s, int64_t *budget)
{
    const struct table *table = s->table;
    const uint32_t end = stop_at(s, table->groups, budget);
    const bool narrow = table->layout->narrow;

    *budget -= end - s->at;
    for (uint32_t i = s->at; i < end; i++) {
        struct ranked *r = &s->from[s->count];

        if (i == table->null_group)
            continue;
        s->count++;
        *r = (struct ranked){narrow ? (uint64_t)table->group_words[i] ^ 1ull << 63
                                    : prefix_of(&table->group_views[i]),
                             i};
        for (uint32_t d = 0; narrow && d < 8; d++)
            s->digits[d][r->key >> d * 8 & 255]++;
    }
    s->at = end;
    if (end < table->groups)
        return;
    s->at = 0;
    s->phase = narrow ? SORTER_RADIX : SORTER_RUNS;
    s->width = RUN;
    if (narrow)
        sum_digits(s);
}

/* ---- radix ---- */

static void swap_sides(struct sorter *s)
{
    struct ranked *swap = s->from;

    s->from = s->to;
    s->to = swap;
    s->at = 0;
}

/* All keys have the same byte there: the next other value starts behind them all. */
static bool digit_agrees(const struct sorter *s)
{
    const uint32_t v = s->from[0].key >> s->digit * 8 & 255;

    return s->digits[s->digit][v] == 0 && (v == 255 || s->digits[s->digit][v + 1] == s->count);
}

static void radix_pass(struct sorter *s, int64_t *budget)
{
    uint32_t *const at = s->digits[s->digit], shift = s->digit * 8;
    uint32_t end;

    if (s->count > 0 && s->at == 0 && digit_agrees(s)) {
        s->phase = ++s->digit == 8 ? SORTER_GIVE : SORTER_RADIX;
        return;
    }
    end = stop_at(s, s->count, budget);
    *budget -= end - s->at;
    for (uint32_t i = s->at; i < end; i++)
        s->to[at[s->from[i].key >> shift & 255]++] = s->from[i];
    s->at = end;
    if (end < s->count)
        return;
    swap_sides(s);
    s->phase = ++s->digit == 8 ? SORTER_GIVE : SORTER_RADIX;
}

/* ---- merge ---- */

static inline bool goes_before(const struct sorter *s, const struct ranked *x,
                               const struct ranked *y)
{
    const struct mill_view *views = s->table->group_views;

    if (LIKELY(x->key != y->key))
        return x->key < y->key;
    return view_compare(&views[x->id], &views[y->id]) < 0;
}

static void sort_runs(struct sorter *s, int64_t *budget)
{
    while (s->at<s->count && * budget> 0) {
        const uint32_t first = s->at, end = min_u32(first + RUN, s->count);

        for (uint32_t i = first + 1; i < end; i++) {
            const struct ranked r = s->from[i];
            uint32_t k = i;

            for (; k > first && goes_before(s, &r, &s->from[k - 1]); k--)
                s->from[k] = s->from[k - 1];
            s->from[k] = r;
        }
        *budget -= end - first;
        s->at = end;
    }
    if (s->at < s->count)
        return;
    s->at = 0;
    s->phase = s->count > RUN ? SORTER_MERGE : SORTER_GIVE;
}

/* Entry s->at of the output lies in the pair of runs first, middle .. end. */
static void merge_pass(struct sorter *s, int64_t *budget)
{
    const uint64_t pair = s->at - s->at % (2 * s->width);
    const uint32_t middle = (uint32_t)min_u64(pair + s->width, s->count);
    const uint32_t end = (uint32_t)min_u64(middle + s->width, s->count);
    const uint32_t stop = stop_at(s, end, budget);
    const struct ranked *from = s->from;

    if (s->at == pair) {
        s->left = (uint32_t)pair;
        s->right = middle;
    }
    *budget -= stop - s->at;
    for (; s->at < stop; s->at++) {
        const bool right = s->left == middle ||
                           (s->right < end && goes_before(s, &from[s->right], &from[s->left]));

        s->to[s->at] = from[right ? s->right : s->left];
        s->right += right;
        s->left += !right;
    }
    if (s->at < s->count)
        return;
    swap_sides(s);
    s->width *= 2;
    s->phase = s->width >= s->count ? SORTER_GIVE : SORTER_MERGE;
}

/* ---- the answer ---- */

static void give(struct sorter *s, int64_t *budget)
{
    const uint32_t end = stop_at(s, s->count, budget);

    *budget -= end - s->at;
    for (uint32_t i = s->at; i < end; i++)
        s->order[s->before + i] = s->from[i].id;
    s->at = end;
    if (end == s->count)
        sorter_close(s);
}

bool sorter_turn(struct sorter *s, int64_t *budget)
{
    while (s->phase != SORTER_DONE && *budget > 0)
        switch (s->phase) {
        case SORTER_RANK: rank_groups(s, budget); break;
        case SORTER_RADIX: radix_pass(s, budget); break;
        case SORTER_RUNS: sort_runs(s, budget); break;
        case SORTER_MERGE: merge_pass(s, budget); break;
        default: give(s, budget); break;
        }
    return s->phase == SORTER_DONE;
}
