/* core/ops/over_view_keys.c - OVER as a view: the rows of a key in order, and which of them make a frame. */
#include "core/ops/over_view.h"

/* ---- order ---- */

static const void *order_value(const struct over_view *o, uint32_t id, uint32_t i, bool *valid)
{
    const uint32_t kept = o->kept_at[o->node->order[i].column];

    *valid = rows_value_valid(&o->rows, id, kept);
    return rows_value(&o->rows, id, kept);
}

uint64_t view_prefix(const struct over_view *o, uint32_t id)
{
    bool valid;
    const void *value;

    if (o->node->order_count == 0)
        return 0;
    value = order_value(o, id, 0, &valid);
    return sort_prefix(&o->node->order[0], value, valid);
}

static int compare(const struct over_view *o, const struct view_entry *a,
                   const struct view_entry *b)
{
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    for (uint32_t i = 0; i < o->node->order_count; i++) {
        bool a_valid, b_valid;
        const void *x = order_value(o, a->id, i, &a_valid);
        const void *y = order_value(o, b->id, i, &b_valid);
        const int order = sort_compare_value(&o->node->order[i], x, a_valid, y, b_valid);

        if (order != 0)
            return order;
    }
    return 0;
}

uint32_t view_bound(const struct over_view *o, const struct view_key *key,
                    const struct view_entry *e, bool after)
{
    uint32_t low = 0, high = key->count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const int order = compare(o, &key->entries[middle], e);

        if (order < 0 || (order == 0 && after))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool view_sorted(const struct over_view *o, const struct view_key *key)
{
    for (uint32_t i = 1; i < key->count; i++)
        if (compare(o, &key->entries[i - 1], &key->entries[i]) > 0)
            return false;
    return true;
}

/* ---- entries ---- */

bool view_insert(struct over_view *o, struct view_key *key, uint32_t at, const struct view_entry *e)
{
    if (key->count == key->room) {
        const uint32_t room = key->room == 0 ? 4 : key->room * 2;
        struct view_entry *entries = heap_grow(o->op.heap, key->entries,
                                               key->room * sizeof *entries, room * sizeof *entries);

        if (entries == NULL)
            return false;
        key->entries = entries;
        key->room = room;
    }
    memmove(key->entries + at + 1, key->entries + at, (key->count - at) * sizeof *key->entries);
    key->entries[at] = *e;
    key->count++;
    return true;
}

void view_remove(struct view_key *key, uint32_t at)
{
    key->count--;
    memmove(key->entries + at, key->entries + at + 1, (key->count - at) * sizeof *key->entries);
}

uint32_t view_find(const struct over_view *o, const struct view_key *key,
                   const struct view_entry *e, const struct batch *batch, uint32_t row)
{
    for (uint32_t i = view_bound(o, key, e, false);
         i < key->count && compare(o, &key->entries[i], e) == 0; i++)
        if (rows_equal(&o->rows, key->entries[i].id, batch, row))
            return i;
    return UINT32_MAX;
}

void view_forget(struct over_view *o, struct view_key *key)
{
    for (uint32_t i = 0; i < key->count; i++)
        rows_free(&o->rows, &key->entries[i].id, 1);
    key->count = 0;
}

static void merge_runs(const struct over_view *o, const struct view_entry *from,
                       struct view_entry *to, uint32_t low, uint32_t middle, uint32_t high)
{
    uint32_t a = low, b = middle;

    for (uint32_t i = low; i < high; i++)
        to[i] = a < middle && (b == high || compare(o, &from[a], &from[b]) <= 0) ? from[a++]
                                                                                 : from[b++];
}

/* Merge sort: entries that are equal in order stay as they came. */
bool view_sort(struct over_view *o, struct view_key *key)
{
    const uint32_t n = key->count;
    struct view_entry *from = key->entries, *to;

    if (view_sorted(o, key))
        return true;
    to = heap_alloc(o->op.heap, key->room * sizeof *to);
    if (to == NULL)
        return false;
    for (uint64_t width = 1; width < n; width *= 2) {
        struct view_entry *done = to;

        for (uint64_t low = 0; low < n; low += 2 * width)
            merge_runs(o, from, to, (uint32_t)low, (uint32_t)(low + width < n ? low + width : n),
                       (uint32_t)(low + 2 * width < n ? low + 2 * width : n));
        to = from;
        from = done;
    }
    heap_free(o->op.heap, to, key->room * sizeof *to);
    key->entries = from;
    return true;
}

/* ---- frames ---- */

uint32_t view_first_peer(const struct over_view *o, const struct view_side *side, uint32_t i)
{
    uint32_t low = 0, high = i;

    if (i == 0 || compare(o, side_entry(side, i - 1), side_entry(side, i)) != 0)
        return i;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;

        if (compare(o, side_entry(side, middle), side_entry(side, i)) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t view_past_peers(const struct over_view *o, const struct view_side *side, uint32_t i)
{
    uint32_t low = i + 1, high = side->count;

    if (low == high || compare(o, side_entry(side, i), side_entry(side, low)) != 0)
        return low;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;

        if (compare(o, side_entry(side, middle), side_entry(side, i)) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The value that RANGE counts by, ascending in the order of the entries. False: NULL. */
static bool range_value(const struct over_view *o, const struct view_entry *e, int64_t *value)
{
    const struct sort_column *by = &o->node->order[0];
    bool valid;
    const void *at = order_value(o, e->id, 0, &valid);

    if (!valid)
        return false;
    switch (type_width(&by->type)) {
    case 1: *value = *(const int8_t *)at; break;
    case 2: *value = *(const int16_t *)at; break;
    case 4: *value = *(const int32_t *)at; break;
    default: *value = *(const int64_t *)at; break;
    }
    if (by->descending)
        *value = *value == INT64_MIN ? INT64_MAX : -*value;
    return true;
}

/* The first entry whose value is at least @value, or above it (@above). */
static uint32_t seek(const struct over_view *o, const struct view_side *side, int64_t value,
                     bool above)
{
    uint32_t low = 0, high = side->count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        int64_t x = 0;
        const bool valid = range_value(o, side_entry(side, middle), &x);

        if (valid ? x < value || (above && x == value) : !o->node->order[0].nulls_last)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct view_bounds range_frame(const struct over_view *o, const struct view_side *side,
                                      const struct over_frame *frame, uint32_t i)
{
    struct view_bounds b = {0, side->count};
    int64_t value = 0;
    bool counts = frame->preceding != 0 || frame->following != 0;

    counts = counts && range_value(o, side_entry(side, i), &value);
    if (frame->bounded)
        b.low = counts && frame->preceding != 0
                    ? seek(o, side, time_add(value, -frame->preceding), false)
                    : view_first_peer(o, side, i);
    if (!frame->to_end)
        b.high = counts && frame->following != 0
                     ? seek(o, side, time_add(value, frame->following), true)
                     : view_past_peers(o, side, i);
    return b;
}

static uint32_t clamp(int64_t i, uint32_t count)
{
    return i < 0 ? 0 : i > count ? count : (uint32_t)i;
}

struct view_bounds view_frame_of(const struct over_view *o, const struct view_side *side,
                                 const struct over_frame *frame, uint32_t i)
{
    struct view_bounds b = {0, side->count};

    if (frame->range)
        b = range_frame(o, side, frame, i);
    if (!frame->range && frame->bounded)
        b.low = clamp((int64_t)i - frame->preceding, side->count);
    if (!frame->range && !frame->to_end)
        b.high = clamp((int64_t)i + 1 + frame->following, side->count);
    b.high = max_u32(b.low, b.high);
    return b;
}

static void reach_calls(const struct over_view *o, const struct view_side *side, uint32_t i,
                        struct view_bounds *b)
{
    for (uint32_t c = 0; c < o->node->call_count; c++) {
        const struct over_call *call = &o->node->calls[c];

        switch (call->function) {
        case OVER_LAG:
            b->high = max_u32(b->high, clamp((int64_t)i + call->distance + 1, side->count));
            break;
        case OVER_LEAD: b->low = min_u32(b->low, clamp((int64_t)i - call->distance, i)); break;
        case OVER_ROW_NUMBER:
        case OVER_RANK:
        case OVER_DENSE_RANK: b->high = side->count; break;
        default: *b = (struct view_bounds){0, side->count};
        }
    }
}

struct view_bounds view_reach(const struct over_view *o, const struct view_side *side, uint32_t i)
{
    struct view_bounds b = {i, i + 1};

    for (uint32_t f = 0; f < o->node->frame_count; f++) {
        const struct over_frame *frame = o->frames[f].spec;
        /* the frame, looked at from its other end */
        const struct over_frame turned = {.range = frame->range,
                                          .bounded = !frame->to_end,
                                          .preceding = max_i64(frame->following, 0),
                                          .to_end = !frame->bounded,
                                          .following = max_i64(frame->preceding, 0)};
        const struct view_bounds reach = view_frame_of(o, side, &turned, i);

        b.low = min_u32(b.low, reach.low);
        b.high = max_u32(b.high, reach.high);
    }
    reach_calls(o, side, i, &b);
    return b;
}
