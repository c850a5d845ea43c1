/* core/ops/window_fire.c - firing windows in bounded turns. */
#include "core/ops/window_op.h"

#define BATCH_COST 1024 /* a batch of a few groups costs as much as that many */
#define FETCH_ROWS 64u  /* groups whose states are fetched at once */

enum op_progress window_no_memory(struct window_op *w)
{
    return op_no_memory(&w->op, "groups stay until their window ends: use shorter windows, or");
}

/* ---- slices ---- */

/* Takes a slice out of what is carried on, for it changes. True: it is out. */
static bool slide_take_out(struct window_op *w, struct slice *slice, int64_t *budget)
{
    w->slide.gaps = true;
    return !slice->in || slide_leave(&w->slide, w->set, slice, budget);
}

struct slice *window_slice(struct window_op *w, struct slice_list *list, int64_t class_,
                           int64_t start)
{
    struct slice *slice = slices_find(list, class_, start);
    int64_t all = INT64_MAX;
    uint32_t hint = w->groups_hint;

    if (slice != NULL && slice->in && w->firing.phase == FIRE_NONE)
        slide_take_out(w, slice, &all);
    if (slice != NULL)
        return slice;
    /* before the first has fired; an array by key would not come about in a table with buckets */
    if (hint == 0 && w->slices.count == 1 && w->slices.items[0]->table.index == NULL)
        hint = w->slices.items[0]->table.groups;
    if (w->spare_count > 0) {
        slice = w->spares[--w->spare_count];
        slice_reuse(w->set, slice, class_, start,
                    start + (w->windows.grain > 0 ? w->windows.grain : 1));
    } else {
        slice = slice_new(w->op.heap, &w->keys, agg_state_bytes(w->set), w->op.context->seed,
                          class_, start, start + (w->windows.grain > 0 ? w->windows.grain : 1));
    }
    if (slice == NULL || !slices_insert(list, slice)) {
        slice_free(w->op.heap, w->set, slice);
        return NULL;
    }
    if (list == &w->slices && start < w->slide.stop)
        w->slide.gaps = true;
    if (list == &w->slices && hint > 1024)
        table_reserve(&slice->table, hint); /* only a hint: grows as needed without */
    return slice;
}

/* ---- the slices of a window ---- */

static bool in_window(const struct window_op *w, uint32_t i)
{
    return i < w->slices.count && w->slices.items[i]->start < w->firing.stop;
}

/* Where the slices that are not in begin. */
static void begin_slide(struct window_op *w)
{
    struct firing *f = &w->firing;
    struct slide *slide = &w->slide;

    if (slide_is_stale(slide)) {
        slide_reset(slide);
        for (uint32_t i = 0; i < w->slices.count; i++)
            w->slices.items[i]->in = false;
    }
    if (!slide->gaps)
        f->i = max_u32(f->first, slices_before(&w->slices, TIME_MIN, slide->stop));
    f->table = &slide->groups;
    f->phase = FIRE_ENTER;
}

/* Which slices the window has. False: none. */
static bool find_slices(struct window_op *w)
{
    struct firing *f = &w->firing;
    const bool attached = w->windows.spec.attached;
    const bool cumulates = w->windows.spec.kind == WINDOW_CUMULATE && !attached;

    f->first =
        slices_before(&w->slices, TIME_MIN, attached ? f->end : windows_start(&w->windows, f->end));
    f->stop = attached ? f->end + 1 : f->end;
    f->i = f->first;
    f->group = 0;
    f->next = f->count = 0;
    if (!in_window(w, f->first))
        return false;
    f->table = &w->slices.items[f->first]->table;
    if (w->slide.on) {
        begin_slide(w);
    } else if (cumulates) {
        f->phase = FIRE_CUMULATE;
        f->i++;
    } else if (!in_window(w, f->first + 1)) {
        f->phase = FIRE_SORT;
    } else {
        const uint32_t hint = max_u32(w->merged_hint, f->table->groups);

        if (w->merged.heap == NULL)
            table_open(&w->merged, w->op.heap, &w->keys, agg_state_bytes(w->set),
                       w->op.context->seed);
        if (hint > 1024)
            table_reserve(&w->merged, hint); /* only a hint: grows as needed without */
        f->phase = FIRE_MERGE;
        f->table = &w->merged;
    }
    return true;
}

/* Once the sides are in, and after each window with that end: the next view that has one. */
static void next_view(struct window_op *w)
{
    struct firing *f = &w->firing;
    const uint32_t count = max_u32(w->windows.view_count, 1);

    while (f->view < count) {
        const struct window_spec *view = &w->windows.views[f->view++];

        if (w->windows.view_count > 0 && !window_ends_at(view, f->end))
            continue;
        if (w->windows.view_count > 0)
            w->windows.spec = *view;
        if (find_slices(w))
            return;
    }
    f->phase = FIRE_DROP;
}

/* CUMULATE: what has been shown once stays together, in the first slice. */
static bool cumulate(struct window_op *w, int64_t *budget)
{
    struct firing *f = &w->firing;
    struct slice *into = w->slices.items[f->first];

    for (; in_window(w, f->i) && *budget > 0; --*budget) {
        struct slice *from = w->slices.items[f->i];

        if (!groups_merge(w->set, &into->table, &from->table, &f->group, budget))
            return false;
        if (f->group < from->table.groups)
            return true;
        into->rows += from->rows;
        from->rows = 0;
        f->group = 0;
        f->i++;
    }
    if (in_window(w, f->i))
        return true;
    for (uint32_t i = f->first + 1; i < f->i; i++)
        slice_free(w->op.heap, w->set, w->slices.items[i]);
    slices_remove(&w->slices, f->first + 1, f->i - f->first - 1);
    into->end = f->end;
    f->phase = FIRE_SORT;
    return true;
}
static bool merge_slices(struct window_op *w, int64_t *budget)
{
    struct firing *f = &w->firing;

    for (; in_window(w, f->i) && *budget > 0; --*budget) {
        const struct table *from = &w->slices.items[f->i]->table;

        if (!groups_merge(w->set, &w->merged, from, &f->group, budget))
            return false;
        if (f->group < from->groups)
            return true;
        f->group = 0;
        f->i++;
    }
    if (!in_window(w, f->i))
        f->phase = FIRE_SORT;
    return true;
}

/* HOP: the slices that the window before had not. */
static bool enter_slices(struct window_op *w, int64_t *budget)
{
    struct firing *f = &w->firing;

    for (; in_window(w, f->i) && *budget > 0; --*budget) {
        struct slice *slice = w->slices.items[f->i];

        if (!slice->in && !slide_enter(&w->slide, w->set, slice, &f->group, budget))
            return false;
        if (!slice->in)
            return true;
        f->group = 0;
        f->i++;
    }
    if (in_window(w, f->i))
        return true;
    w->slide.stop = f->stop;
    w->slide.gaps = false;
    f->i = f->first;
    f->blank = 0;
    f->phase = agg_slide_folds(w->set) ? FIRE_FOLD : FIRE_SORT;
    return true;
}

static bool fold_slices(struct window_op *w, int64_t *budget)
{
    struct firing *f = &w->firing;

    slide_blank(&w->slide, w->set, &f->blank, budget);
    for (; in_window(w, f->i) && *budget > 0; --*budget) {
        const struct slice *slice = w->slices.items[f->i];

        if (!slide_fold(&w->slide, w->set, slice, &f->group, budget))
            return false;
        if (f->group < slice->table.groups)
            return true;
        f->group = 0;
        f->i++;
    }
    if (!in_window(w, f->i))
        f->phase = FIRE_SORT;
    return true;
}

/* The groups of what is carried on keep their order; only new ones are put into it. */
static bool sort_slide(struct window_op *w, int64_t *budget)
{
    struct firing *f = &w->firing;

    if (slide_can_insert(&w->slide)) {
        if (!slide_insert(&w->slide))
            return false;
    } else {
        if (!f->sorting && !sorter_open(&w->sorter, &w->slide.groups))
            return false;
        f->sorting = true;
        if (!sorter_turn(&w->sorter, budget))
            return true;
        if (!slide_ordered(&w->slide, w->sorter.order))
            return false;
    }
    *budget -= w->slide.ordered / 16;
    f->order = slide_shown(&w->slide);
    f->count = w->slide.live;
    f->phase = FIRE_EMIT;
    return true;
}

static bool sort_groups(struct window_op *w, int64_t *budget)
{
    struct firing *f = &w->firing;

    if (w->slide.on)
        return sort_slide(w, budget);
    if (!f->sorting) {
        f->count = f->table->groups;
        if (!sorter_open(&w->sorter, f->table))
            return false;
        f->sorting = true;
    }
    if (sorter_turn(&w->sorter, budget))
        f->phase = FIRE_EMIT;
    f->order = w->sorter.order;
    return true;
}

/* Moves the side slices whose first window ends at firing.end or before into the slices. */
static bool apply_sides(struct window_op *w, int64_t *budget)
{
    struct firing *f = &w->firing;

    for (; f->i<w->sides.count && * budget> 0; --*budget) {
        struct slice *side = w->sides.items[f->i];

        if (side->apply_at > f->end) {
            w->sides.items[f->i++] = NULL;
            w->sides.items[f->kept++] = side;
            continue;
        }
        if (f->side == NULL) {
            f->side = window_slice(w, &w->slices, TIME_MIN, side->start);
            f->group = 0;
        }
        if (f->side != NULL && f->side->in && !slide_take_out(w, f->side, budget))
            break;
        if (f->side == NULL ||
            !groups_merge(w->set, &f->side->table, &side->table, &f->group, budget))
            return false;
        if (f->group < side->table.groups)
            break;
        f->side->rows += side->rows;
        f->side = NULL;
        slice_free(w->op.heap, w->set, side);
        w->sides.items[f->i++] = NULL;
    }
    if (f->i < w->sides.count)
        return true;
    w->sides.count = f->kept;
    if (f->end == TIME_MAX) {
        f->phase = FIRE_NONE;
        w->ending = false;
    } else {
        next_view(w);
    }
    return true;
}

/* ---- results ---- */

/* The sorter has the keys at hand, but for NULL, which stands in front of all. */
static bool sorter_gives_keys(const struct window_op *w)
{
    return w->firing.order == w->sorter.order && sorter_has_words(&w->sorter) &&
           w->sorter.table->layout->phys == PHYS_I64;
}

static bool put_keys(struct window_op *w, struct batch *out, uint32_t column, uint32_t key,
                     uint32_t count)
{
    const struct firing *f = &w->firing;
    int64_t *values = out->columns[column].values;

    if (sorter_gives_keys(w) && f->next >= w->sorter.before) {
        for (uint32_t i = 0; i < count; i++)
            values[i] = sorter_word(&w->sorter, f->next + i);
        return true;
    }
    return table_key_values(f->table, f->order + f->next, count, key, out, &out->columns[column]);
}

/* window_start of attached windows is the last part of the key; a NULL start stands as 0. */
static bool put_starts(struct window_op *w, struct batch *out, struct column *column,
                       uint32_t count)
{
    const struct firing *f = &w->firing;
    const int64_t start = w->windows.spec.attached ? 0 : windows_start(&w->windows, f->end);

    for (uint32_t i = 0; i < count; i++) {
        if (!w->windows.spec.attached)
            ((int64_t *)column->values)[i] = start;
        else if (!table_key_value(f->table, f->order[f->next + i], w->key_count - 1, out, column,
                                  i))
            return false;
    }
    return true;
}

static bool put_column(struct window_op *w, struct batch *out, uint32_t c, uint32_t count)
{
    const struct out_column *o = &w->node->outs[c];
    const int64_t end = w->firing.end, time = windows_closing(&w->windows, end);
    int64_t *values = out->columns[c].values;

    switch (o->kind) {
    case OUT_KEY: return put_keys(w, out, c, o->index, count);
    case OUT_WINDOW_START: return put_starts(w, out, &out->columns[c], count);
    case OUT_WINDOW_END:
        for (uint32_t i = 0; i < count; i++)
            values[i] = end;
        return true;
    case OUT_WINDOW_TIME:
        for (uint32_t i = 0; i < count; i++)
            values[i] = time;
        return true;
    default: return true;
    }
}

static void fetch_states(struct window_op *w, uint32_t first, uint32_t end)
{
    const struct firing *f = &w->firing;
    const uint32_t *order = f->order + f->next;
    const bool words = !sorter_gives_keys(w) || w->op.context->shard_count > 1;

    for (uint32_t i = first; i < end; i++)
        w->states[i] = table_prefetch(f->table, order[i]);
    for (uint32_t i = first; words && i < end; i++)
        table_prefetch_key(f->table, order[i]);
}

/* The states of the next rows are fetched while the values of some are written. */
static bool put_aggregates(struct window_op *w, struct batch *out, uint32_t count)
{
    const struct aggregate_node *node = w->node;
    struct column *columns = arena_array(&out->bytes, struct column, max_u32(node->agg_count, 1));

    if (columns == NULL)
        return false;
    for (uint32_t a = 0; a < node->agg_count; a++)
        if (!column_own(out, &columns[a], &node->aggs[a].result_type))
            return false;
    fetch_states(w, 0, min_u32(FETCH_ROWS, count));
    for (uint32_t first = 0; first < count; first += FETCH_ROWS) {
        const uint32_t end = min_u32(first + FETCH_ROWS, count);

        fetch_states(w, end, min_u32(end + FETCH_ROWS, count));
        if (!agg_values_of(w->set, w->states, first, end, out, columns))
            return false;
    }
    for (uint32_t c = 0; c < w->output.field_count; c++)
        if (node->outs[c].kind == OUT_AGG)
            out->columns[c] = columns[node->outs[c].index];
    return true;
}

/* (end, key columns, start): attached starts already end the key. One shard merges nothing. */
static bool put_order(struct window_op *w, struct batch *out, uint32_t count)
{
    const struct firing *f = &w->firing;
    const int64_t end = f->end;
    const int64_t start = w->windows.spec.attached ? 0 : windows_start(&w->windows, f->end);
    size_t bytes = 0;
    char *next;

    if (w->op.context->shard_count == 1)
        return true;
    for (uint32_t i = 0; i < count; i++)
        bytes += 16 + table_key_bytes(f->table, f->order[f->next + i]);
    out->order_keys = arena_alloc(&out->bytes, out->capacity * sizeof *out->order_keys);
    next = arena_alloc(&out->bytes, bytes);
    if (out->order_keys == NULL || next == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        char *from = next;

        next += key_put_i64(next, end);
        next += table_key_put(f->table, f->order[f->next + i], next);
        if (!w->windows.spec.attached)
            next += key_put_i64(next, start);
        out->order_keys[i] = view_of(from, (uint32_t)(next - from));
    }
    return true;
}

static enum op_progress emit_results(struct window_op *w, const struct step_time *t)
{
    struct firing *f = &w->firing;
    struct op_context *context = w->op.context;
    struct batch *out = context->take_batch(context, w->output.field_count);
    uint32_t count;

    if (out == NULL)
        return context->error->code != 0 ? OP_FAILED : OP_BUSY;
    count = min_u32(min_u32(f->count - f->next, out->capacity), context->batch_rows);
    if (!batch_own_columns(out, &w->output) || !put_aggregates(w, out, count) ||
        !put_order(w, out, count)) {
        batch_release(out);
        return window_no_memory(w);
    }
    for (uint32_t c = 0; c < w->output.field_count; c++)
        if (!put_column(w, out, c, count)) {
            batch_release(out);
            return window_no_memory(w);
        }
    out->step = t->step;
    out->split = t->split;
    out->rows = out->live = count;
    out->class_ = CLASS_FIRED;
    out->origin = w->op.id;
    f->next += count;
    w->op.counters.sum_overflow = agg_overflows(w->set);
    if (w->windows.view_count == 0)
        return op_emit(&w->op, out, t);
    out->origin = w->op.links[f->view - 1].to->id;
    return op_emit_to(&w->op, f->view - 1, out, t);
}

bool window_to_come(const struct op *op, uint32_t link, char *key)
{
    const struct window_op *w = (const struct window_op *)op;
    const struct firing *f = &w->firing;

    if (w->windows.view_count == 0 || !w->ending || f->phase <= FIRE_SIDES || f->end == TIME_MAX)
        return false;
    key_put_i64(key, time_add(f->end, link + 1 < f->view));
    return true;
}

/* ---- what a window leaves ---- */

void window_fire_close(struct window_op *w)
{
    sorter_close(&w->sorter);
}

static void emitted(struct window_op *w)
{
    struct firing *f = &w->firing;

    f->sorting = false;
    f->filled = table_is_filled(f->table);
    w->op.counters.fired += f->count > 0;
    if (f->table == &w->merged)
        w->merged_hint = f->count;
    if (f->table == &w->merged)
        f->phase = FIRE_CLEAR;
    else
        next_view(w);
}

static void clear_merged(struct window_op *w, int64_t *budget)
{
    if (!groups_shed(w->set, &w->merged, budget))
        return;
    if (w->firing.filled)
        table_reset(&w->merged);
    else
        table_close(&w->merged);
    next_view(w);
}

/* Whether there is room for one more slice that may be large. */
static bool may_spare(const struct window_op *w, const struct slice *slice)
{
    return w->spare_count == 0 ||
           (w->spare_count < SPARE_SLICES && table_bytes(&slice->table) < SPARE_BYTES);
}

/* Keeps the memory of one dropped slice and of some small ones, unless it is far too large for what was in it. */
static void drop_slices(struct window_op *w, int64_t *budget)
{
    struct firing *f = &w->firing;

    for (; *budget > 0; --*budget) {
        struct slice *slice = w->slices.count > 0 ? w->slices.items[0] : NULL;

        if (slice == NULL || windows_last_end(&w->windows, slice->start) > f->end)
            break;
        if (!f->dropping) {
            f->dropping = true;
            f->filled = table_is_filled(&slice->table);
            w->groups_hint = slice->table.groups;
            w->op.counters.held -= slice->rows;
            w->op.counters.consumed += slice->rows;
            slice->rows = 0;
        }
        if (slice->in && !slide_leave(&w->slide, w->set, slice, budget))
            return;
        if (!groups_shed(w->set, &slice->table, budget))
            return;
        f->dropping = false;
        slices_remove(&w->slices, 0, 1);
        if (f->filled && may_spare(w, slice))
            w->spares[w->spare_count++] = slice;
        else
            slice_free(w->op.heap, w->set, slice);
    }
    if (*budget <= 0)
        return;
    w->fired_end = f->end;
    f->phase = FIRE_NONE;
}

/* ---- turns ---- */

/* Of several views: the first slice may wait for the long windows of one while short ones of later slices come. */
static int64_t views_open_end(const struct window_op *w)
{
    const struct windows *all = &w->windows;
    const int64_t fired = max_i64(w->fired, time_add(w->fired_end, -all->spec.unit));
    int64_t end = TIME_MAX;

    for (uint32_t v = 0; v < all->view_count; v++) {
        const struct windows one = {.spec = all->spec,
                                    .views = all->views + v,
                                    .view_count = 1,
                                    .grain = all->grain,
                                    .nanos = all->nanos};
        uint32_t low = 0, high = w->slices.count;

        while (low < high) { /* its first slice that is not done with */
            const uint32_t middle = (low + high) / 2;

            if (windows_open_end(&one, w->slices.items[middle]->start, fired) == TIME_MAX)
                low = middle + 1;
            else
                high = middle;
        }
        if (low < w->slices.count)
            end = min_i64(end, windows_open_end(&one, w->slices.items[low]->start, fired));
    }
    return end;
}

static int64_t slices_open_end(const struct window_op *w)
{
    int64_t end = TIME_MAX;

    if (w->slices.count > 0)
        end = windows_open_end(&w->windows, w->slices.items[0]->start, w->fired);
    if (end <= w->fired_end)
        end = windows_end_after(&w->windows, w->slices.items[0]->start, w->fired_end);
    return end;
}

/* Least window end that has not fired; TIME_MAX: none. */
static int64_t open_end(const struct window_op *w)
{
    int64_t end = w->windows.view_count > 0 ? views_open_end(w) : slices_open_end(w);

    for (uint32_t i = 0; i < w->sides.count; i++)
        end = min_i64(end, w->sides.items[i]->apply_at);
    return end;
}

/* The same, of those that the watermark closes. Without one, says what the others wait for. */
static int64_t next_end(struct window_op *w, int64_t watermark)
{
    const int64_t end = open_end(w);
    struct op_counters *c = &w->op.counters;

    c->waits = end != TIME_MAX && w->windows.spec.time >= 0;
    c->waits_for = end != TIME_MAX ? windows_closing(&w->windows, end) : TIME_MAX;
    return end != TIME_MAX && c->waits_for <= watermark ? end : TIME_MAX;
}

static int64_t closing_watermark(const struct window_op *w, const struct step_time *t)
{
    if (t->last)
        return TIME_MAX;
    if (w->windows.spec.time >= 0 || w->windows.spec.attached)
        return t->w_after;
    return w->clock - w->windows.spec.unit;
}

/* The next window, or what is left of the sides when all have fired. */
static void begin_firing(struct window_op *w, int64_t watermark, int64_t *budget)
{
    const int64_t end = op_stopping(&w->op) ? TIME_MAX : next_end(w, watermark);

    *budget -= 1 + w->sides.count;
    if (end == TIME_MAX)
        w->fired = max_i64(w->fired, watermark);
    w->firing = (struct firing){.phase = FIRE_SIDES, .end = end};
}

static enum op_progress emit_turn(struct window_op *w, const struct step_time *t, int64_t *budget)
{
    struct firing *f = &w->firing;
    const uint32_t before = f->next;
    enum op_progress p = OP_READY;

    if (f->next < f->count)
        p = emit_results(w, t);
    *budget -= max_u32(f->next - before, BATCH_COST);
    if (p == OP_READY && f->next == f->count)
        emitted(w);
    return p;
}

enum op_progress window_fire_turn(struct window_op *w, const struct step_time *t)
{
    const int64_t watermark = closing_watermark(w, t);
    int64_t budget = w->op.context->turn_work;
    enum op_progress p = OP_READY;
    bool ok = true;

    while (w->ending && budget > 0 && p == OP_READY && ok)
        switch (w->firing.phase) {
        case FIRE_NONE: begin_firing(w, watermark, &budget); break;
        case FIRE_SIDES: ok = apply_sides(w, &budget); break;
        case FIRE_CUMULATE: ok = cumulate(w, &budget); break;
        case FIRE_MERGE: ok = merge_slices(w, &budget); break;
        case FIRE_ENTER: ok = enter_slices(w, &budget); break;
        case FIRE_FOLD: ok = fold_slices(w, &budget); break;
        case FIRE_SORT: ok = sort_groups(w, &budget); break;
        case FIRE_EMIT: p = emit_turn(w, t, &budget); break;
        case FIRE_CLEAR: clear_merged(w, &budget); break;
        default: drop_slices(w, &budget); break;
        }
    w->op.context->work += (uint64_t)(w->op.context->turn_work - budget);
    if (!ok)
        return window_no_memory(w);
    return p == OP_READY && w->ending ? OP_BUSY : p;
}
