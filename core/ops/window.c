/* core/ops/window.c - window arithmetic and slices. */
#include "core/ops/window.h"

int64_t window_grain(const struct window_spec *spec)
{
    switch (spec->kind) {
    case WINDOW_HOP: return gcd_i64(spec->size, spec->slide);
    case WINDOW_CUMULATE: return spec->slide;
    default: return spec->size;
    }
}

void windows_init(struct windows *w, const struct aggregate_node *node, const struct zone *zone)
{
    const struct window_spec *spec = &node->window;

    *w = (struct windows){.spec = *spec,
                          .views = node->views,
                          .view_count = node->view_count,
                          .nanos = type_is_nanos(&spec->time_type)};
    if (spec->local_zone)
        w->zone = zone;
    w->grain = spec->attached ? 0 : window_grain(spec);
    for (uint32_t v = 0; v < w->view_count; v++)
        w->grain = gcd_i64(w->grain, window_grain(&w->views[v]));
    w->grid = (struct mk_grid){.offset = spec->offset, .width = w->grain};
}

/* ---- several specs over the same slices: TUMBLE is HOP by its size ---- */

static int64_t view_first_end(const struct window_spec *s, int64_t grain, int64_t slice)
{
    const int64_t from = slice + grain - s->size - s->offset; /* its start, at least */

    return -floor_div(-from, s->slide) * s->slide + s->offset + s->size;
}

static int64_t view_last_end(const struct window_spec *s, int64_t slice)
{
    return floor_div(slice - s->offset, s->slide) * s->slide + s->offset + s->size;
}

/* First end above @end. */
static int64_t view_end_after(const struct window_spec *s, int64_t grain, int64_t slice,
                              int64_t end)
{
    int64_t next = view_first_end(s, grain, slice);

    if (next <= end)
        next += (floor_div(end - next, s->slide) + 1) * s->slide;
    return next <= view_last_end(s, slice) ? next : TIME_MAX;
}

static int64_t views_end_after(const struct windows *w, int64_t slice, int64_t end)
{
    int64_t least = TIME_MAX;

    for (uint32_t v = 0; v < w->view_count; v++)
        least = min_i64(least, view_end_after(&w->views[v], w->grain, slice, end));
    return least;
}

bool window_ends_at(const struct window_spec *spec, int64_t end)
{
    return floor_div(end - spec->size - spec->offset, spec->slide) * spec->slide ==
           end - spec->size - spec->offset;
}

uint32_t windows_late_views(const struct windows *w, int64_t slice, int64_t open)
{
    uint32_t late = 0;

    for (uint32_t v = 0; v < w->view_count; v++)
        late += view_last_end(&w->views[v], slice) < open;
    return late;
}

/* ---- */

int64_t windows_slice(const struct windows *w, int64_t instant)
{
    int64_t start;

    if (w->spec.attached)
        return instant;
    /* a slice that begins before all time: of rows that nobody takes */
    if (__builtin_sub_overflow(zone_local(w->zone, instant, w->nanos), w->spec.offset, &start) ||
        __builtin_mul_overflow(floor_div(start, w->grain), w->grain, &start) ||
        __builtin_add_overflow(start, w->spec.offset, &start))
        return INT64_MIN;
    return start;
}

void windows_slices(const struct windows *w, const struct mk_table *kernels, const int64_t *times,
                    uint32_t count, int64_t *starts)
{
    if (w->zone == NULL && !w->spec.attached)
        kernels->slice_starts(&w->grid, times, count, starts);
    else
        for (uint32_t i = 0; i < count; i++)
            starts[i] = windows_slice(w, times[i]);
}

bool windows_one_slice(const struct windows *w, int64_t least, int64_t greatest, int64_t *slice)
{
    *slice = windows_slice(w, least);
    if (w->zone != NULL && !w->spec.attached && !zone_is_steady(w->zone, least, greatest, w->nanos))
        return false;
    return *slice == windows_slice(w, greatest);
}

bool windows_all_open(const struct windows *w, int64_t least, int64_t x)
{
    if (w->zone != NULL && !w->spec.attached)
        return least > time_add(x, w->spec.unit);
    return windows_closing(w, windows_first_end(w, windows_slice(w, least))) > x;
}

int64_t windows_first_end(const struct windows *w, int64_t slice)
{
    const struct window_spec *s = &w->spec;

    if (w->view_count > 0)
        return views_end_after(w, slice, TIME_MIN);
    if (s->attached)
        return slice;
    if (s->kind == WINDOW_HOP) {
        /* least start >= slice + grain - size */
        const int64_t from = slice + w->grain - s->size - s->offset;

        return -floor_div(-from, s->slide) * s->slide + s->offset + s->size;
    }
    return slice + w->grain;
}

int64_t windows_last_end(const struct windows *w, int64_t slice)
{
    const struct window_spec *s = &w->spec;
    int64_t last = TIME_MIN;

    for (uint32_t v = 0; v < w->view_count; v++)
        last = max_i64(last, view_last_end(&w->views[v], slice));
    if (w->view_count > 0)
        return last;
    if (s->attached)
        return slice;
    if (s->kind == WINDOW_HOP)
        return floor_div(slice - s->offset, s->slide) * s->slide + s->offset + s->size;
    if (s->kind == WINDOW_CUMULATE)
        return floor_div(slice - s->offset, s->size) * s->size + s->offset + s->size;
    return slice + w->grain;
}

int64_t windows_end_after(const struct windows *w, int64_t slice, int64_t end)
{
    int64_t next;

    if (w->view_count > 0)
        return views_end_after(w, slice, end);
    next = max_i64(end + w->spec.slide, windows_first_end(w, slice));
    return next <= windows_last_end(w, slice) ? next : TIME_MAX;
}

int64_t windows_closing(const struct windows *w, int64_t end)
{
    return time_add(zone_reached(w->zone, end, w->nanos), -w->spec.unit);
}

int64_t windows_open_end(const struct windows *w, int64_t slice, int64_t x)
{
    const int64_t first = windows_first_end(w, slice), last = windows_last_end(w, slice);
    const int64_t slide = w->spec.slide;
    int64_t end = first;

    if (x == TIME_MIN || windows_closing(w, first) > x)
        return first;
    if (windows_closing(w, last) <= x)
        return TIME_MAX;
    if (w->view_count > 0)
        return views_end_after(w, slice, time_add(x, w->spec.unit));
    if (w->zone == NULL)
        return first + (floor_div(x + w->spec.unit - first, slide) + 1) * slide;
    while (windows_closing(w, end) <= x)
        end += slide;
    return end;
}

int64_t windows_start(const struct windows *w, int64_t end)
{
    const struct window_spec *s = &w->spec;

    if (s->kind == WINDOW_CUMULATE)
        return floor_div(end - 1 - s->offset, s->size) * s->size + s->offset;
    return end - s->size;
}

/* ---- lists ---- */

uint32_t slices_before(const struct slice_list *list, int64_t class_, int64_t start)
{
    uint32_t low = 0, high = list->count;

    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        const struct slice *s = list->items[middle];

        if (s->class_ < class_ || (s->class_ == class_ && s->start < start))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct slice *slices_find(const struct slice_list *list, int64_t class_, int64_t start)
{
    const uint32_t at = slices_before(list, class_, start);
    struct slice *s;

    if (at < list->count && list->items[at]->start == start && list->items[at]->class_ == class_)
        return list->items[at];
    if (at == 0)
        return NULL;
    s = list->items[at - 1];
    return s->class_ == class_ && start < s->end ? s : NULL;
}

/* A slot behind the last slice: from the gap if that is large, so that moving is paid for by the drops. */
static bool make_room(struct slice_list *list)
{
    struct slice **const block = list->items != NULL ? list->items - list->gap : NULL;
    const uint32_t capacity = max_u32(16, list->capacity * 2);
    struct slice **items = block;

    if (list->gap == 0 || list->gap < list->capacity / 2) {
        items = heap_alloc(list->heap, capacity * sizeof *items);
        if (items == NULL)
            return false;
    }
    if (list->count > 0)
        memmove(items, list->items, list->count * sizeof *items);
    if (items != block) {
        heap_free(list->heap, block, list->capacity * sizeof *items);
        list->capacity = capacity;
    }
    list->items = items;
    list->gap = 0;
    return true;
}

bool slices_insert(struct slice_list *list, struct slice *slice)
{
    const uint32_t at = slices_before(list, slice->class_, slice->start);

    if (list->gap + list->count == list->capacity && !make_room(list))
        return false;
    memmove(list->items + at + 1, list->items + at, (list->count - at) * sizeof *list->items);
    list->items[at] = slice;
    list->count++;
    return true;
}

void slices_remove(struct slice_list *list, uint32_t first, uint32_t count)
{
    if (first == 0) {
        list->items += count;
        list->gap += count;
    } else {
        memmove(list->items + first, list->items + first + count,
                (list->count - first - count) * sizeof *list->items);
    }
    list->count -= count;
}

void slices_close(struct slice_list *list, struct agg_set *set)
{
    for (uint32_t i = 0; i < list->count; i++)
        slice_free(list->heap, set, list->items[i]);
    if (list->items != NULL)
        heap_free(list->heap, list->items - list->gap, list->capacity * sizeof *list->items);
    *list = (struct slice_list){.heap = list->heap};
}

struct slice *slice_new(struct heap *heap, const struct key_layout *layout, uint32_t state_bytes,
                        uint64_t seed, int64_t class_, int64_t start, int64_t end)
{
    struct slice *slice = heap_zalloc(heap, sizeof *slice);

    if (slice == NULL)
        return NULL;
    slice->start = start;
    slice->end = end;
    slice->class_ = class_;
    table_open(&slice->table, heap, layout, state_bytes, seed);
    return slice;
}

void slice_free(struct heap *heap, struct agg_set *set, struct slice *slice)
{
    if (slice == NULL)
        return;
    groups_close(set, &slice->table);
    heap_free(heap, slice->ids, slice->id_room * sizeof *slice->ids);
    heap_free(heap, slice, sizeof *slice);
}

bool slice_make_ids(struct heap *heap, struct slice *slice)
{
    const uint32_t room = slice->table.capacity;
    uint32_t *ids;

    if (slice->id_room >= slice->table.groups)
        return true;
    ids = heap_grow(heap, slice->ids, slice->id_room * sizeof *ids, room * sizeof *ids);
    if (ids == NULL)
        return false;
    slice->ids = ids;
    slice->id_room = room;
    return true;
}

void slice_reuse(struct agg_set *set, struct slice *slice, int64_t class_, int64_t start,
                 int64_t end)
{
    groups_reset(set, &slice->table);
    slice->start = start;
    slice->end = end;
    slice->class_ = class_;
    slice->apply_at = 0;
    slice->rows = 0;
    slice->mark = 0;
    slice->in = false;
}

/* Rows in order: those of each slice stand together, and none has no slice. False: they do not. */
static bool rows_in_runs(struct slice_rows *to, struct slice *const *slice_of, uint32_t count)
{
    const struct slice *last = NULL;
    bool runs = true;

    to->count = 0;
    for (uint32_t i = 0; runs && i < count; i++) {
        struct slice *slice = slice_of[i];

        if (LIKELY(slice == last && slice != NULL))
            continue;
        runs = slice != NULL && slice->mark == 0;
        if (!runs)
            break;
        slice->mark = 1;
        to->slices[to->count] = slice;
        to->begin[to->count++] = i;
        last = slice;
    }
    for (uint32_t k = 0; k < to->count; k++)
        to->slices[k]->mark = 0;
    to->begin[to->count] = count;
    for (uint32_t i = 0; runs && i < count; i++)
        to->which[i] = (uint16_t)i;
    return runs;
}

void slice_rows_sort(struct slice_rows *to, struct slice *const *slice_of, uint32_t count)
{
    uint32_t next = 0;

    if (rows_in_runs(to, slice_of, count))
        return;
    to->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct slice *slice = slice_of[i];

        if (slice == NULL)
            continue;
        if (slice->mark == 0) {
            to->slices[to->count] = slice;
            to->begin[to->count++] = 0;
            slice->mark = to->count;
        }
        to->begin[slice->mark - 1]++;
    }
    for (uint32_t k = 0; k < to->count; k++) {
        next += to->begin[k];
        to->begin[k] = next - to->begin[k];
    }
    to->begin[to->count] = next;
    for (uint32_t i = 0; i < count; i++)
        if (slice_of[i] != NULL)
            to->which[to->begin[slice_of[i]->mark - 1]++] = (uint16_t)i;
    for (uint32_t k = to->count; k-- > 0;) {
        to->begin[k] = k > 0 ? to->begin[k - 1] : 0;
        to->slices[k]->mark = 0;
    }
}

/* ---- groups ---- */

static void init_groups(struct agg_set *set, struct table *table, uint32_t first)
{
    for (uint32_t id = first; id < table->groups; id++)
        agg_init(set, table_state(table, id));
}

bool groups_lookup(struct agg_set *set, struct table *table, const struct key_batch *keys,
                   const uint16_t *which, uint32_t count, void **states)
{
    const uint32_t before = table->groups;
    const bool ok = table_lookup(table, keys, which, count, states);

    init_groups(set, table, before); /* also after a failure: closing looks at all */
    return ok;
}

bool groups_merge(struct agg_set *set, struct table *into, const struct table *from, uint32_t *at,
                  int64_t *budget)
{
    const uint32_t end = (uint32_t)min_i64(from->groups, *at + max_i64(*budget, 0));

    *budget -= end - *at;
    for (; *at < end; ++*at) {
        const uint32_t before = into->groups, id = table_adopt(into, from, *at);

        init_groups(set, into, before);
        if (id == TABLE_NO_GROUP || !agg_merge(set, table_state(into, id), table_state(from, *at)))
            return false;
    }
    return true;
}

bool groups_shed(struct agg_set *set, struct table *table, int64_t *budget)
{
    if (agg_is_flat(set))
        table->groups = 0;
    for (; table->groups > 0 && *budget > 0; --*budget)
        agg_close(set, table_state(table, --table->groups));
    return table->groups == 0;
}

void groups_close(struct agg_set *set, struct table *table)
{
    for (uint32_t id = 0; !agg_is_flat(set) && id < table->groups; id++)
        agg_close(set, table_state(table, id));
    table_close(table);
}

void groups_reset(struct agg_set *set, struct table *table)
{
    for (uint32_t id = 0; !agg_is_flat(set) && id < table->groups; id++)
        agg_close(set, table_state(table, id));
    table_reset(table);
}

void groups_snapshot(const struct agg_set *set, const struct table *table,
                     struct snapshot_writer *to)
{
    snapshot_u32(to, table->groups);
    for (uint32_t id = 0; id < table->groups; id++) {
        table_key_snapshot(table, id, to);
        agg_snapshot(set, table_state(table, id), to);
    }
}

bool groups_restore(struct agg_set *set, struct table *table, struct snapshot_reader *from)
{
    const uint32_t count = snapshot_get_u32(from);

    for (uint32_t i = 0; i < count && !from->failed; i++) {
        const uint32_t before = table->groups, id = table_key_restore(table, from);

        init_groups(set, table, before);
        if (id != before || !agg_restore(set, table_state(table, id), from))
            return false;
    }
    return !from->failed;
}
