/* core/state/sorter.c - radix and merge sort that can stop anywhere. */
#include "core/state/sorter.h"

#define RUN 16u
#define DIGITS_BYTES (8 * sizeof(uint32_t[256]))
#define ROOM_MIN 64u
#define MOVES_PER_GROUP 4u

static size_t memory_bytes(uint32_t room)
{
    return 2 * (size_t)room * sizeof(struct ranked) + DIGITS_BYTES + room * sizeof(uint32_t);
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
    s->digits = (void *)(s->memory + 2 * (size_t)s->room);
    s->order = (uint32_t *)(s->digits + 8);
    s->phase = SORTER_RANK;
    s->count = s->before = s->at = s->digit = 0;
    s->whole = false;
    s->moves = 0;
    if (table->groups <= 1) { /* of no key columns, perhaps */
        s->order[0] = 0;
        s->phase = SORTER_DONE;
        return true;
    }
    memset(s->digits, 0, DIGITS_BYTES);
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

/* All keys have the same byte there. */
static bool digit_agrees(const struct sorter *s, uint32_t digit)
{
    return s->count > 0 && s->digits[digit][s->from[0].key >> digit * 8 & 255] == s->count;
}

/* The first byte that is sorted by: those above it tell 16 times as many random keys apart as there are. */
static uint32_t first_digit(const struct sorter *s)
{
    const uint32_t bits = 36 - (uint32_t)__builtin_clz(s->count | 1), bytes = (bits + 7) / 8;
    uint32_t top = 8;

    while (top > 0 && digit_agrees(s, top - 1))
        top--;
    return s->whole || top < bytes ? 0 : top - bytes;
}

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
    if (narrow) {
        s->digit = first_digit(s);
        s->whole = s->digit == 0;
        sum_digits(s);
    }
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
static bool pass_is_idle(const struct sorter *s)
{
    const uint32_t v = s->from[0].key >> s->digit * 8 & 255;

    return s->digits[s->digit][v] == 0 && (v == 255 || s->digits[s->digit][v + 1] == s->count);
}

static void next_digit(struct sorter *s)
{
    s->at = 0;
    if (++s->digit < 8)
        s->phase = SORTER_RADIX;
    else
        s->phase = s->whole ? SORTER_GIVE : SORTER_TIDY;
}

static void radix_pass(struct sorter *s, int64_t *budget)
{
    uint32_t *const at = s->digits[s->digit], shift = s->digit * 8;
    uint32_t end;

    if (s->count > 0 && s->at == 0 && pass_is_idle(s)) {
        next_digit(s);
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
    next_digit(s);
}

/* Keys that agree in the bytes sorted by stand side by side in any order. */
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
            memset(s->digits, 0, DIGITS_BYTES);
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
        case SORTER_RANK: rank_groups(s, budget); break;
        case SORTER_RADIX: radix_pass(s, budget); break;
        case SORTER_TIDY: tidy(s, budget); break;
        case SORTER_RUNS: sort_runs(s, budget); break;
        case SORTER_MERGE: merge_pass(s, budget); break;
        default: give(s, budget); break;
        }
    return s->phase == SORTER_DONE;
}
