/* core/state/sorter.c - radix and merge sort that can stop anywhere. */
#include "core/state/sorter.h"

#include "kernels/kernels.h"

#define RUN 16u
#define MANY (1u << 14)  /* groups: then digits are longer */
#define BOUNDS_AT_ONCE 8 /* looked at for the price of one that moves */
#define ROOM_MIN 64u
#define MOVES_PER_GROUP 4u

/* Bits of a digit, at most, where @bits are sorted by: in 2 or 3 passes, or in more. */
static uint32_t digit_bits_max(uint32_t room, uint32_t bits)
{
    if (room < MANY)
        return bits <= 18 ? 9 : 8;
    return bits <= 36 ? 12 : 11;
}

static size_t count_bytes(uint32_t room)
{
    return sizeof(uint32_t) * (room < MANY ? 8 << 8 : 3 << 12);
}

static size_t memory_bytes(uint32_t room)
{
    return 2 * (size_t)room * sizeof(struct ranked) + count_bytes(room) + room * sizeof(uint32_t);
}

/* Room for @groups, with something to spare, and not for very many more. */
static bool make_room(struct sorter *s, struct heap *heap, uint32_t groups)
{
    if (s->memory != NULL && s->room >= groups && s->room / 16 <= groups + ROOM_MIN)
        return true;
    sorter_close(s);
    s->room = max_u32(groups + groups / 8, ROOM_MIN);
    s->memory = heap_alloc(heap, memory_bytes(s->room));
    s->heap = heap;
    if (s->memory == NULL)
        s->room = 0;
    return s->memory != NULL;
}

bool sorter_open(struct sorter *s, const struct table *table)
{
    if (!make_room(s, table->heap, table->groups))
        return false;
    s->table = table;
    s->from = s->memory;
    s->to = s->memory + s->room;
    s->counts = (uint32_t *)(s->memory + 2 * (size_t)s->room);
    s->order = (uint32_t *)((char *)s->counts + count_bytes(s->room));
    s->phase = SORTER_BOUNDS;
    memset(s->differ, 0, sizeof s->differ);
    s->count = s->before = s->at = 0;
    s->least = INT64_MAX;
    s->greatest = INT64_MIN;
    s->whole = false;
    s->moves = 0;
    if (table->groups <= 1) { /* of no key columns, perhaps */
        s->order[0] = 0;
        s->phase = SORTER_DONE;
        return true;
    }
    if (table->null_group != TABLE_NO_GROUP)
        s->order[s->before++] = table->null_group;
    return true;
}

void sorter_close(struct sorter *s)
{
    if (s->memory != NULL)
        heap_free(s->heap, s->memory, memory_bytes(s->room));
    s->memory = NULL;
    s->order = NULL;
    s->room = 0;
    s->phase = SORTER_DONE;
}

/* End of what a turn may do from s->at on. */
static uint32_t stop_at(const struct sorter *s, uint32_t end, const int64_t *budget)
{
    return (uint32_t)min_i64(end, s->at + max_i64(*budget, 0));
}

/* ---- wide keys: the bytes that differ ----
 *
 * All keys agree in the bytes that are left out before the last chosen one, so the chosen ones order keys as the whole ones do, or not at all.
 */

static void first_words(const struct mill_view *view, uint64_t words[SORTER_WORDS])
{
    memset(words, 0, SORTER_WORDS * sizeof *words);
    memcpy(words, mill_view_data(view), min_u32(view->length, SORTER_WORDS * 8));
}

static void find_bytes(struct sorter *s, int64_t *budget)
{
    const struct mill_view *views = s->table->group_views;
    const uint32_t end = stop_at(s, s->table->groups, budget);
    uint64_t first[SORTER_WORDS], words[SORTER_WORDS];
    const uint8_t *differ = (const uint8_t *)s->differ;

    first_words(&views[0], first);
    *budget -= end - s->at;
    for (uint32_t i = s->at; i < end; i++) {
        first_words(&views[i], words);
        for (uint32_t w = 0; w < SORTER_WORDS; w++)
            s->differ[w] |= words[w] ^ first[w];
    }
    s->at = end;
    if (end < s->table->groups)
        return;
    s->place_count = 0;
    for (uint32_t b = 0; b < SORTER_WORDS * 8 && s->place_count < COUNT_OF(s->places); b++)
        if (differ[b] != 0)
            s->places[s->place_count++] = (uint8_t)b;
    s->at = 0;
    s->phase = SORTER_RANK;
}

static uint64_t rank_of(const struct sorter *s, const struct mill_view *view)
{
    const uint8_t *bytes = (const uint8_t *)mill_view_data(view);
    uint64_t rank = 0;

    for (uint32_t k = 0; k < s->place_count; k++)
        rank = rank << 8 | (s->places[k] < view->length ? bytes[s->places[k]] : 0);
    return rank;
}

/* ---- by rank ---- */

/* By which bits the keys are sorted, in which digits: those behind the first in which they differ that tell 16 times as
 * many random keys apart as there are, or all. */
static void choose_digits(struct sorter *s)
{
    const uint64_t span = (uint64_t)s->greatest - (uint64_t)s->least;
    const uint32_t top = 64 - (uint32_t)__builtin_clzll(span | 1);
    const uint32_t apart = 36 - (uint32_t)__builtin_clz(s->table->groups);
    uint32_t most;

    s->whole = s->whole || top <= apart;
    s->shift = s->whole ? 0 : top - apart;
    most = digit_bits_max(s->room, top - s->shift);
    s->passes = (top - s->shift + most - 1) / most;
    s->bits = (top - s->shift + s->passes - 1) / s->passes;
    memset(s->counts, 0, (s->passes << s->bits) * sizeof *s->counts);
}

static void widen(struct sorter *s, uint32_t first, uint32_t end)
{
    int64_t least, greatest;

    if (first >= end)
        return;
    s->table->layout->kernels->bounds_i64(s->table->group_words + first, end - first, &least,
                                          &greatest);
    s->least = min_i64(s->least, least);
    s->greatest = max_i64(s->greatest, greatest);
}

static void find_bounds(struct sorter *s, int64_t *budget)
{
    const struct table *table = s->table;
    const uint32_t null = table->null_group;
    /* a budget without end is not multiplied */
    const uint32_t n =
        (uint32_t)min_i64(table->groups - s->at,
                          min_i64(*budget, INT64_MAX / BOUNDS_AT_ONCE) * BOUNDS_AT_ONCE);
    const uint32_t end = s->at + n;

    *budget -= (n + BOUNDS_AT_ONCE - 1) / BOUNDS_AT_ONCE;
    if (null >= s->at && null < end) {
        widen(s, s->at, null);
        widen(s, null + 1, end);
    } else {
        widen(s, s->at, end);
    }
    s->at = end;
    if (end < table->groups)
        return;
    choose_digits(s);
    s->at = 0;
    s->phase = SORTER_RANK;
}

/* First entry of each digit, for all passes. */
static void sum_counts(struct sorter *s)
{
    for (uint32_t p = 0; p < s->passes; p++) {
        uint32_t *counts = s->counts + ((size_t)p << s->bits), sum = 0;

        for (uint32_t v = 0; v < 1u << s->bits; v++) {
            const uint32_t n = counts[v];

            counts[v] = sum;
            sum += n;
        }
    }
}

static inline __attribute__((always_inline)) void rank_words(struct sorter *s, uint32_t end,
                                                             uint32_t passes)
{
    const int64_t *words = s->table->group_words;
    const uint32_t null = s->table->null_group, shift = s->shift, bits = s->bits;
    const uint64_t mask = (1ull << bits) - 1, least = (uint64_t)s->least;
    struct ranked *r = s->from + s->count;
    uint32_t *const counts = s->counts;

    for (uint32_t i = s->at; i < end; i++) {
        const uint64_t key = (uint64_t)words[i] - least;

        if (UNLIKELY(i == null))
            continue;
        *r++ = (struct ranked){key, i};
        for (uint32_t p = 0; p < passes; p++)
            counts[(p << bits) + (key >> (shift + p * bits) & mask)]++;
    }
    s->count = (uint32_t)(r - s->from);
}

static void rank_groups(struct sorter *s, int64_t *budget)
{
    const struct table *table = s->table;
    const uint32_t end = stop_at(s, table->groups, budget);
    const bool narrow = table->layout->narrow;

    *budget -= end - s->at;
    if (narrow && s->passes == 2)
        rank_words(s, end, 2);
    else if (narrow)
        rank_words(s, end, s->passes);
    for (uint32_t i = s->at; !narrow && i < end; i++)
        s->from[s->count++] = (struct ranked){rank_of(s, &table->group_views[i]), i};
    s->at = end;
    if (end < table->groups)
        return;
    s->at = 0;
    s->phase = narrow ? SORTER_RADIX : SORTER_RUNS;
    s->width = RUN;
    s->pass = 0;
    if (narrow)
        sum_counts(s);
}

/* ---- radix ---- */

static void swap_sides(struct sorter *s)
{
    struct ranked *swap = s->from;

    s->from = s->to;
    s->to = swap;
    s->at = 0;
}

static void radix_pass(struct sorter *s, int64_t *budget)
{
    uint32_t *const at = s->counts + ((size_t)s->pass << s->bits);
    const uint32_t shift = s->shift + s->pass * s->bits;
    const uint64_t mask = (1ull << s->bits) - 1;
    const uint32_t end = stop_at(s, s->count, budget);
    const struct ranked *from = s->from;
    struct ranked *to = s->to;

    *budget -= end - s->at;
    for (uint32_t i = s->at; i < end; i++)
        to[at[from[i].key >> shift & mask]++] = from[i];
    s->at = end;
    if (end < s->count)
        return;
    swap_sides(s);
    if (++s->pass == s->passes)
        s->phase = s->whole ? SORTER_GIVE : SORTER_TIDY;
}

/* Keys that agree in the bits sorted by stand side by side in any order. */
static void tidy(struct sorter *s, int64_t *budget)
{
    struct ranked *const all = s->from;

    for (; s->at<s->count && * budget> 0; s->at++) {
        const struct ranked r = all[s->at];
        uint32_t k = s->at;

        for (; k > 0 && all[k - 1].key > r.key && s->at - k < RUN; k--)
            all[k] = all[k - 1];
        all[k] = r;
        s->moves += s->at - k;
        *budget -= 1;
        if (s->at - k == RUN || s->moves > MOVES_PER_GROUP * (uint64_t)s->count) {
            s->whole = true; /* they agree in too much */
            s->phase = SORTER_RANK;
            s->count = s->at = 0;
            choose_digits(s);
            return;
        }
    }
    if (s->at < s->count)
        return;
    s->at = 0;
    s->phase = SORTER_GIVE;
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
        s->phase = SORTER_DONE;
}

bool sorter_turn(struct sorter *s, int64_t *budget)
{
    while (s->phase != SORTER_DONE && *budget > 0)
        switch (s->phase) {
        case SORTER_BOUNDS:
            if (s->table->layout->narrow)
                find_bounds(s, budget);
            else
                find_bytes(s, budget);
            break;
        case SORTER_RANK: rank_groups(s, budget); break;
        case SORTER_RADIX: radix_pass(s, budget); break;
        case SORTER_TIDY: tidy(s, budget); break;
        case SORTER_RUNS: sort_runs(s, budget); break;
        case SORTER_MERGE: merge_pass(s, budget); break;
        default: give(s, budget); break;
        }
    return s->phase == SORTER_DONE;
}
