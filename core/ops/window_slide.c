/* core/ops/window_slide.c - the carried sum of a sliding window. */
#include "core/ops/window_slide.h"

#define INSERT_MAX 64u /* new groups that are inserted one by one */

void slide_open(struct slide *slide, struct heap *heap, const struct windows *w,
                const struct agg_set *set, const struct key_layout *layout, uint64_t seed)
{
    const struct window_spec *spec = &w->spec;

    slide->on = spec->kind == WINDOW_HOP && !spec->attached && w->view_count == 0 &&
                spec->size > 2 * spec->slide && agg_can_slide(set);
    if (!slide->on)
        return;
    slide->heap = heap;
    slide->stop = TIME_MIN;
    table_open(&slide->groups, heap, layout, agg_slide_bytes(set), seed);
}

void slide_close(struct slide *slide)
{
    if (!slide->on)
        return;
    table_close(&slide->groups);
    heap_free(slide->heap, slide->slices, slide->room * sizeof *slide->slices);
    heap_free(slide->heap, slide->order, slide->order_room * sizeof *slide->order);
    heap_free(slide->heap, slide->shown, slide->order_room * sizeof *slide->shown);
    slide->on = false;
}

bool slide_is_stale(const struct slide *slide)
{
    return slide->groups.groups > 64 + 2 * slide->live;
}

void slide_reset(struct slide *slide)
{
    struct table *groups = &slide->groups;

    if (table_is_filled(groups)) {
        table_reset(groups);
    } else {
        const struct table old = *groups;

        table_close(groups);
        table_open(groups, old.heap, old.layout, old.state_bytes, old.seed);
    }
    slide->live = slide->ordered = 0;
    slide->stop = TIME_MIN;
    slide->gaps = false;
}

/* ---- in and out ---- */

/* Room for group @id in slices[]. */
static bool make_room(struct slide *slide, uint32_t id)
{
    const uint32_t room = max_u32(id * 2, 16);
    uint32_t *slices;

    if (LIKELY(id < slide->room))
        return true;
    slices =
        heap_grow(slide->heap, slide->slices, slide->room * sizeof *slices, room * sizeof *slices);
    if (slices == NULL)
        return false;
    slide->slices = slices;
    slide->room = room;
    return true;
}

/* The group here of group @from of a slice; TABLE_NO_GROUP: no memory. */
static uint32_t take_group(struct slide *slide, struct agg_set *set, const struct table *table,
                           uint32_t from)
{
    struct table *groups = &slide->groups;
    const uint32_t before = groups->groups;
    uint32_t id;

    if (!make_room(slide, before))
        return TABLE_NO_GROUP;
    id = table_adopt(groups, table, from);
    if (groups->groups > before) {
        agg_slide_init(set, table_state(groups, before));
        slide->slices[before] = 0;
    }
    return id;
}

bool slide_enter(struct slide *slide, struct agg_set *set, struct slice *slice, uint32_t *at,
                 int64_t *budget)
{
    const struct table *table = &slice->table;
    const uint32_t end = (uint32_t)min_i64(table->groups, *at + max_i64(*budget, 0));

    if (!slice_make_ids(slide->heap, slice))
        return false;
    *budget -= end - *at;
    for (; *at < end; ++*at) {
        const uint32_t id = take_group(slide, set, table, *at);

        if (id == TABLE_NO_GROUP)
            return false;
        slice->ids[*at] = id;
        slide->live += slide->slices[id]++ == 0;
        agg_slide_add(set, table_state(&slide->groups, id), table_state(table, *at));
    }
    if (end == table->groups) {
        slice->left = 0;
        slice->in = true;
    }
    return true;
}

bool slide_leave(struct slide *slide, struct agg_set *set, struct slice *slice, int64_t *budget)
{
    const struct table *table = &slice->table;
    const uint32_t end = (uint32_t)min_i64(table->groups, slice->left + max_i64(*budget, 0));

    *budget -= end - slice->left;
    for (; slice->left < end; slice->left++) {
        const uint32_t id = slice->ids[slice->left];
        void *state = table_state(&slide->groups, id);

        if (--slide->slices[id] > 0) {
            agg_slide_take(set, state, table_state(table, slice->left));
        } else {
            agg_slide_init(set, state);
            slide->live--;
        }
    }
    slice->in = end < table->groups;
    return !slice->in;
}

/* ---- folding ---- */

void slide_blank(struct slide *slide, struct agg_set *set, uint32_t *at, int64_t *budget)
{
    const uint32_t end = (uint32_t)min_i64(slide->groups.groups, *at + max_i64(*budget, 0));

    *budget -= end - *at;
    for (; *at < end; ++*at)
        agg_slide_blank(set, table_state(&slide->groups, *at));
}

bool slide_fold(struct slide *slide, struct agg_set *set, const struct slice *slice, uint32_t *at,
                int64_t *budget)
{
    const struct table *table = &slice->table;
    const uint32_t end = (uint32_t)min_i64(table->groups, *at + max_i64(*budget, 0));

    const struct agg_pairs pairs = {.count = end - *at,
                                    .ids = slice->ids + *at,
                                    .from = (const char *)table_state(table, *at),
                                    .into = slide->groups.states,
                                    .into_bytes = slide->groups.state_bytes};

    *budget -= end - *at;
    *at = end;
    return agg_slide_fold(set, &pairs);
}

/* ---- order ---- */

bool slide_can_insert(const struct slide *slide)
{
    return slide->groups.groups - slide->ordered <= INSERT_MAX;
}

static bool order_room(struct slide *slide)
{
    const uint32_t groups = slide->groups.groups, room = groups + groups / 2 + 16;

    if (groups <= slide->order_room)
        return true;
    uint32_t *order = heap_grow(slide->heap, slide->order, slide->order_room * sizeof *order,
                                room * sizeof *order);
    uint32_t *shown;

    if (order == NULL)
        return false;
    slide->order = order;
    heap_free(slide->heap, slide->shown, slide->order_room * sizeof *shown);
    slide->order_room = room;
    slide->shown = shown = heap_alloc(slide->heap, room * sizeof *shown);
    return shown != NULL;
}

bool slide_ordered(struct slide *slide, const uint32_t *order)
{
    if (!order_room(slide))
        return false;
    slide->ordered = slide->groups.groups;
    if (slide->ordered > 0)
        memcpy(slide->order, order, slide->ordered * sizeof *order);
    return true;
}

static bool stands_before(const struct table *table, uint32_t x, uint32_t y)
{
    if (table->layout->count == 0)
        return x < y;
    if (!table->layout->narrow)
        return view_compare(&table->group_views[x], &table->group_views[y]) < 0;
    if (x == table->null_group || y == table->null_group)
        return x == table->null_group && y != x;
    return table->group_words[x] < table->group_words[y];
}

/* How many of order[0 .. count) stand before group @id. */
static uint32_t place_of(const struct table *table, const uint32_t *order, uint32_t count,
                         uint32_t id)
{
    uint32_t low = 0, high = count;

    while (low < high) {
        const uint32_t middle = (low + high) / 2;

        if (stands_before(table, order[middle], id))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool slide_insert(struct slide *slide)
{
    const struct table *table = &slide->groups;
    uint32_t fresh[INSERT_MAX], n = 0, end = slide->ordered;

    if (!order_room(slide))
        return false;
    for (uint32_t id = slide->ordered; id < table->groups; id++) {
        const uint32_t at = place_of(table, fresh, n, id);

        memmove(fresh + at + 1, fresh + at, (n - at) * sizeof *fresh);
        fresh[at] = id;
        n++;
    }
    slide->ordered += n;
    for (; n > 0;
         n--) { /* the greatest first: what stands behind it moves to its last place at once */
        const uint32_t at = place_of(table, slide->order, end, fresh[n - 1]);

        memmove(slide->order + at + n, slide->order + at, (end - at) * sizeof *slide->order);
        slide->order[at + n - 1] = fresh[n - 1];
        end = at;
    }
    return true;
}

const uint32_t *slide_shown(struct slide *slide)
{
    uint32_t n = 0;

    if (slide->live == slide->ordered)
        return slide->order;
    for (uint32_t i = 0; i < slide->ordered; i++) {
        slide->shown[n] = slide->order[i];
        n += slide->slices[slide->order[i]] > 0;
    }
    return slide->shown;
}
