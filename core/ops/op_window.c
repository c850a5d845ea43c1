/* core/ops/op_window.c - TUMBLE, HOP and CUMULATE aggregation in slices.
 *
 * push() sorts rows into slices; end_step() fires every window that the step's watermark closes, in ascending end, in
 * bounded turns (window_fire.c). Rows that are late for some of their windows wait in side slices (window.h), which live
 * within one step only.
 *   held = rows in slices; sides are empty between steps
 * Port 0: rows. Port 1: partials of the front (op_preagg.c).
 */
#include "core/ops/window_op.h"
#include "kernels/kernels.h"

/* ---- rows into slices ---- */

/* Adds positions which[0 .. count) (NULL: 0 .. count-1) of rows. */
static bool slice_add(struct window_op *w, struct slice *slice, const struct batch *batch,
                      const uint16_t *rows, const uint16_t *which, uint32_t count)
{
    const uint16_t *agg_rows = rows;

    slice->rows += count;
    if (which != NULL) {
        agg_rows = w->agg_rows;
        for (uint32_t i = 0; i < count; i++)
            w->agg_rows[i] = rows != NULL ? rows[which[i]] : which[i];
    }
    if (w->key_count == 0) {
        if (!groups_lookup(w->set, &slice->table, &w->batch_keys, NULL, 1, w->states))
            return false;
        return agg_add_one(w->set, w->states[0], batch, agg_rows, count);
    }
    return groups_lookup(w->set, &slice->table, &w->batch_keys, which, count, w->states) &&
           agg_add(w->set, w->states, batch, agg_rows, count);
}

/* ---- rows ---- */

/* Live rows with a time into rows[] and times[]; returns their number. */
static uint32_t take_times(struct window_op *w, const struct batch *batch)
{
    const struct window_spec *s = &w->windows.spec;
    const int32_t column = s->attached ? s->end : s->time;
    const struct column *c = column >= 0 ? &batch->columns[column] : NULL;
    const int64_t *values = c != NULL ? c->values : NULL;
    uint32_t n = 0;

    for (uint32_t i = 0; i < batch->live; i++) {
        const uint32_t row = batch_row(batch, i);

        w->rows[n] = (uint16_t)row;
        w->times[n] = c == NULL ? w->clock : values[c->constant ? 0 : row];
        n += c == NULL || column_valid(c, row);
    }
    w->op.counters.null_time += batch->live - n;
    w->op.counters.filtered += batch->live - n;
    return n;
}

/* Of several queries some may have only closed windows for rows; those that are late for all count as one already. */
static void count_late_views(struct window_op *w, int64_t slice, int64_t open, uint64_t rows)
{
    const uint32_t views = windows_late_views(&w->windows, slice, open);

    if (views > 0)
        w->op.counters.late_views += (views - (open == TIME_MAX)) * rows;
}

/* The slice that takes row @i, or NULL: late; *failed: no memory. */
static struct slice *judge(struct window_op *w, const struct batch *batch, uint32_t i,
                           const struct step_time *t, bool *failed)
{
    const int64_t start = w->starts[i];
    const int64_t first = windows_first_end(&w->windows, start);
    const int64_t g =
        batch->behind != NULL ? time_add(batch->behind[w->rows[i]], -t->hold) : TIME_MIN;
    int64_t class_ = first, open = first;
    struct slice *slice;

    if (w->windows.spec.time >= 0 || w->windows.spec.attached) {
        class_ = windows_open_end(&w->windows, start, g);
        open = windows_open_end(&w->windows, start, row_watermark(t, batch, w->rows[i]));
    }
    if (open != first)
        count_late_views(w, start, open, 1);
    if (open == TIME_MAX)
        return NULL;
    if (class_ == first && open == first) {
        slice = window_slice(w, &w->slices, TIME_MIN, start);
    } else {
        slice = window_slice(w, &w->sides, class_, start);
        if (slice != NULL)
            slice->apply_at = open;
    }
    *failed = slice == NULL;
    return slice;
}

#define RECENT 16u

/* Slices that rows of the batch have gone to. */
struct recent {
    int64_t start, closing; /* a row on time for all windows has less than that before it */
    struct slice *slice;    /* NULL: not looked for yet */
    bool known;
};

static struct recent *recent_slice(struct window_op *w, struct recent *recent, int64_t start)
{
    struct recent *r = &recent[mk_hash_word(start, 0) % RECENT];

    if (!r->known || r->start != start)
        *r = (struct recent){.start = start,
                             .closing = windows_closing(&w->windows,
                                                        windows_first_end(&w->windows, start)),
                             .known = true};
    return r;
}

/* No row's watermark is greater than that or what the front had seen before it. */
static int64_t watermark_before(const struct step_time *t)
{
    return max_i64(t->w_before, min_i64(t->g_split, t->g_others));
}

/* Slice of each row in slice_of[]; late rows into late[]. @on_time: there are none. */
static bool sort_rows(struct window_op *w, const struct batch *batch, uint32_t n,
                      const struct step_time *t, bool on_time)
{
    struct recent recent[RECENT] = {0}, *r = recent;
    const int64_t before = watermark_before(t);

    for (uint32_t i = 0; i < n; i++) {
        const int64_t g =
            batch->behind != NULL ? time_add(batch->behind[w->rows[i]], -t->hold) : TIME_MIN;
        bool failed = false;

        if (!r->known || r->start != w->starts[i])
            r = recent_slice(w, recent, w->starts[i]);
        if (on_time || max_i64(before, g) < r->closing) {
            if (r->slice == NULL)
                r->slice = window_slice(w, &w->slices, TIME_MIN, r->start);
            failed = r->slice == NULL;
            w->slice_of[i] = r->slice;
        } else {
            w->slice_of[i] = judge(w, batch, i, t, &failed);
            if (w->slice_of[i] == NULL)
                w->late[w->late_count++] = w->rows[i];
        }
        if (failed)
            return false;
    }
    return true;
}

/* Hands each slice its rows, in order. */
static bool add_sorted(struct window_op *w, const struct batch *batch, uint32_t n)
{
    struct slice_rows *by = &w->by_slice;

    slice_rows_sort(by, w->slice_of, n);
    for (uint32_t k = 0; k < by->count; k++)
        if (!slice_add(w, by->slices[k], batch, w->rows, by->which + by->begin[k],
                       by->begin[k + 1] - by->begin[k]))
            return false;
    return true;
}

static enum op_progress emit_late(struct window_op *w, const struct batch *batch,
                                  const struct step_time *t)
{
    const uint32_t n = w->late_count;

    w->op.counters.late += n;
    w->late_count = 0;
    if (n == 0 || !w->node->late_output)
        return OP_READY;
    return op_late_rows(&w->op, batch, w->late, n, &w->input, &w->windows.spec.time_type,
                        "all its windows were closed", t);
}

/* No row's watermark is greater, nor what the front had seen before it. */
static int64_t watermark_bound(const struct window_op *w, const struct batch *batch,
                               const struct step_time *t)
{
    return max_i64(watermark_before(t), time_add(op_behind(&w->op, batch), -t->hold));
}

/* The common batch: no NULL time, in time order enough to lie in one slice, none late. Where most rows are live, the times
 * of all are looked at.  Returns 1: taken, 0: not such a batch, -1: no memory. */
static int push_plain(struct window_op *w, const struct batch *batch, const struct step_time *t)
{
    const struct window_spec *s = &w->windows.spec;
    const struct column *c = s->time >= 0 && !s->attached ? &batch->columns[s->time] : NULL;
    struct slice *slice;
    int64_t least, greatest, start;

    if (c == NULL || c->constant || c->validity != NULL || batch->live == 0 ||
        batch->live * 8 < batch->rows)
        return 0;
    op_bounds(&w->op, batch, c, &least, &greatest);
    if (!windows_all_open(&w->windows, least, watermark_bound(w, batch, t)) ||
        !windows_one_slice(&w->windows, least, greatest, &start))
        return 0;
    slice = window_slice(w, &w->slices, TIME_MIN, start);
    if (slice == NULL ||
        !keys_prepare(&w->keys, batch, batch->selection, batch->live, &w->batch_keys) ||
        !slice_add(w, slice, batch, batch->selection, NULL, batch->live))
        return -1;
    w->op.counters.held += batch->live;
    return 1;
}

static bool push_rows(struct window_op *w, const struct batch *batch, const struct step_time *t)
{
    const struct windows *windows = &w->windows;
    const bool event_time = windows->spec.time >= 0 || windows->spec.attached;
    const uint32_t n = take_times(w, batch);
    int64_t least, greatest, start;
    bool on_time;

    if (n == 0)
        return true;
    if (!keys_prepare(&w->keys, batch, w->rows, n, &w->batch_keys))
        return false;
    w->op.context->kernels->bounds_i64(w->times, n, &least, &greatest);
    on_time = !event_time || windows_all_open(windows, least, watermark_bound(w, batch, t));
    if (on_time && windows_one_slice(windows, least, greatest, &start)) {
        struct slice *slice = window_slice(w, &w->slices, TIME_MIN, start);

        if (slice == NULL || !slice_add(w, slice, batch, w->rows, NULL, n))
            return false;
        w->op.counters.held += n;
        return true;
    }
    windows_slices(windows, w->op.context->kernels, w->times, n, w->starts);
    if (!sort_rows(w, batch, n, t, on_time) || !add_sorted(w, batch, n))
        return false;
    w->op.counters.held += n - w->late_count;
    return true;
}

/* ---- partials ---- */

/* The first window end that takes a partial; TIME_MAX: all are closed. */
static int64_t partial_open(const struct window_op *w, int64_t start, int64_t class_,
                            const struct step_time *t)
{
    const struct windows *windows = &w->windows;

    if (windows->spec.time < 0 && !windows->spec.attached)
        return windows_first_end(windows, start);
    return max_i64(windows_open_end(windows, start, t->w_before),
                   min_i64(max_i64(windows_open_end(windows, start, t->g_split), class_),
                           windows_open_end(windows, start, t->g_others)));
}

/* Live rows first .. end-1 of partials, all of one slice and class: keys..., slice, class, rows, state. */
static bool push_run(struct window_op *w, const struct batch *batch, uint32_t first, uint32_t end,
                     const struct step_time *t)
{
    const uint32_t row = batch_row(batch, first), k = w->key_count, count = end - first;
    const int64_t start = ((const int64_t *)batch->columns[k].values)[row];
    const int64_t class_ = ((const int64_t *)batch->columns[k + 1].values)[row];
    const struct mill_view *states = batch->columns[k + 3].values;
    const int64_t end_first = windows_first_end(&w->windows, start);
    const int64_t open = partial_open(w, start, class_, t);
    const bool direct = class_ == end_first && open == end_first;
    struct slice *slice;
    uint64_t rows = 0;

    for (uint32_t i = first; i < end; i++)
        rows += (uint64_t)((const int64_t *)batch->columns[k + 2].values)[batch_row(batch, i)];
    w->op.counters.in += rows;
    if (open != end_first)
        count_late_views(w, start, open, rows);
    if (open == TIME_MAX) {
        w->op.counters.late += rows;
        return true;
    }
    slice = window_slice(w, direct ? &w->slices : &w->sides, direct ? TIME_MIN : class_, start);
    if (slice == NULL)
        return false;
    slice->apply_at = open;
    slice->rows += rows;
    w->op.counters.held += rows;
    for (uint32_t i = 0; i < count; i++)
        w->agg_rows[i] = (uint16_t)(first + i);
    if (!groups_lookup(w->set, &slice->table, &w->batch_keys, w->agg_rows, count, w->states))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct mill_view *bytes = &states[batch_row(batch, first + i)];

        if (!agg_merge_packed(w->set, w->states[i], mill_view_data(bytes), bytes->length,
                              w->partial))
            return false;
    }
    return true;
}

static bool push_partials(struct window_op *w, const struct batch *batch, const struct step_time *t)
{
    const int64_t *starts = batch->columns[w->key_count].values;
    const int64_t *classes = batch->columns[w->key_count + 1].values;
    uint32_t end;

    if (!keys_prepare(&w->partial_keys, batch, batch->selection, batch->live, &w->batch_keys))
        return false;
    for (uint32_t first = 0; first < batch->live; first = end) {
        const uint32_t row = batch_row(batch, first);

        for (end = first + 1; end < batch->live; end++) {
            const uint32_t next = batch_row(batch, end);

            if (starts[next] != starts[row] || classes[next] != classes[row])
                break;
        }
        if (!push_run(w, batch, first, end, t))
            return false;
    }
    return true;
}

static enum op_progress window_push(struct op *op, uint32_t port, struct batch *batch,
                                    const struct step_time *t)
{
    struct window_op *w = (struct window_op *)op;
    enum op_progress p;

    CHECK(w->firing.phase == FIRE_NONE);
    w->clock = max_i64(w->clock, t->clock_us);
    if (port == 1) {
        p = push_partials(w, batch, t) ? OP_READY : window_no_memory(w);
    } else {
        const int taken = push_plain(w, batch, t);

        op->counters.in += batch->live;
        p = taken > 0                              ? OP_READY
            : taken == 0 && push_rows(w, batch, t) ? emit_late(w, batch, t)
                                                   : window_no_memory(w);
    }
    batch_release(batch);
    return p;
}

/* ---- steps ---- */

static enum op_progress window_end_step(struct op *op, const struct step_time *t)
{
    struct window_op *w = (struct window_op *)op;
    uint64_t groups = 0;
    enum op_progress p;

    w->clock = max_i64(w->clock, t->clock_us);
    w->ending = true;
    p = window_fire_turn(w, t);
    for (uint32_t i = 0; i < w->slices.count; i++)
        groups += w->slices.items[i]->table.groups;
    op->counters.state_rows = groups;
    return p;
}

static enum op_progress window_resume(struct op *op, const struct step_time *t)
{
    struct window_op *w = (struct window_op *)op;

    /* busy from push(): only what comes next had no room */
    return w->ending ? window_fire_turn(w, t) : OP_READY;
}

/* ---- life ---- */

static void window_snapshot(struct op *op, struct snapshot_writer *to)
{
    const struct window_op *w = (const struct window_op *)op;

    /* only between steps, so never between two turns of a firing */
    CHECK(!w->ending && w->firing.phase == FIRE_NONE && w->sides.count == 0);
    snapshot_put(to, &op->counters, sizeof op->counters);
    snapshot_u64(to, (uint64_t)w->fired);
    snapshot_u64(to, (uint64_t)w->clock);
    snapshot_u32(to, w->slices.count);
    for (uint32_t i = 0; i < w->slices.count; i++) {
        const struct slice *slice = w->slices.items[i];

        snapshot_u64(to, (uint64_t)slice->start);
        snapshot_u64(to, (uint64_t)slice->end);
        snapshot_u64(to, slice->rows);
        groups_snapshot(w->set, &slice->table, to);
    }
}

static bool window_restore(struct op *op, struct snapshot_reader *from)
{
    struct window_op *w = (struct window_op *)op;
    uint32_t count;

    snapshot_get(from, &op->counters, sizeof op->counters);
    w->fired = (int64_t)snapshot_get_u64(from);
    w->clock = (int64_t)snapshot_get_u64(from);
    count = snapshot_get_u32(from);
    for (uint32_t i = 0; i < count && !from->failed; i++) {
        const int64_t start = (int64_t)snapshot_get_u64(from);
        struct slice *slice = window_slice(w, &w->slices, TIME_MIN, start);

        if (slice == NULL)
            return false;
        slice->end = (int64_t)snapshot_get_u64(from);
        slice->rows = snapshot_get_u64(from);
        if (!groups_restore(w->set, &slice->table, from))
            return false;
    }
    return !from->failed;
}

static bool window_valid(const struct op *op)
{
    const struct window_op *w = (const struct window_op *)op;
    uint64_t rows = 0;

    for (uint32_t i = 0; i < w->slices.count; i++) {
        const struct slice *s = w->slices.items[i];

        if (!table_valid(&s->table) || (i > 0 && w->slices.items[i - 1]->end > s->start))
            return false;
        rows += s->rows;
    }
    for (uint32_t i = 0; i < w->sides.count; i++)
        rows += w->sides.items[i]->rows;
    return rows == op->counters.held &&
           op->counters.in == op->counters.consumed + op->counters.filtered + op->counters.late +
                                  op->counters.dead + op->counters.held;
}

static void window_inspect(const struct op *op, uint32_t sample, struct op_state *state)
{
    const struct window_op *w = (const struct window_op *)op;

    for (uint32_t i = 0; i < w->slices.count; i++)
        table_inspect(&w->slices.items[i]->table, sample, &state->tables);
    state->table_count += w->slices.count;
}

static void window_close(struct op *op)
{
    struct window_op *w = (struct window_op *)op;
    struct heap *heap = op->heap;

    if (w->set != NULL) {
        window_fire_close(w);
        if (w->merged.heap != NULL)
            groups_close(w->set, &w->merged);
        slide_close(&w->slide);
        while (w->spare_count > 0)
            slice_free(heap, w->set, w->spares[--w->spare_count]);
        slices_close(&w->slices, w->set);
        slices_close(&w->sides, w->set);
        heap_free(heap, w->partial, agg_state_bytes(w->set));
        agg_set_free(w->set);
    }
    key_layout_close(&w->keys);
    key_layout_close(&w->partial_keys);
    key_batch_close(&w->batch_keys);
    if (w->key_columns != NULL)
        heap_free(heap, w->key_columns, (w->key_count + 1) * 2 * sizeof *w->key_columns);
    heap_free(heap, w, sizeof *w);
}

static const struct op_vtable window_vtable = {.name = "window",
                                               .push = window_push,
                                               .end_step = window_end_step,
                                               .resume = window_resume,
                                               .to_come = window_to_come,
                                               .snapshot = window_snapshot,
                                               .restore = window_restore,
                                               .valid = window_valid,
                                               .inspect = window_inspect,
                                               .close = window_close};

/* Key columns of the input and of the partials' batches (0, 1, ...; those have the same types in front). */
static bool open_keys(struct window_op *w)
{
    const struct aggregate_node *node = w->node;
    struct heap *heap = w->op.heap;
    uint32_t *partial;

    w->key_count = node->key_count + (node->window.attached ? 1 : 0);
    w->key_columns = heap_zalloc(heap, (w->key_count + 1) * 2 * sizeof *w->key_columns);
    if (w->key_columns == NULL)
        return false;
    for (uint32_t i = 0; i < node->key_count; i++)
        w->key_columns[i] = node->keys[i];
    if (node->window.attached)
        w->key_columns[node->key_count] = (uint32_t)node->window.start;
    if (!key_layout_open(&w->keys, heap, &w->input, w->key_columns, w->key_count) ||
        !key_layout_open(&w->partial_keys, heap, &w->input, w->key_columns, w->key_count))
        return false;
    partial = w->key_columns + w->key_count + 1;
    w->keys.kernels = w->partial_keys.kernels = w->op.context->kernels;
    for (uint32_t i = 0; i < w->key_count; i++)
        w->partial_keys.parts[i].column = partial[i] = i;
    return key_batch_open(&w->batch_keys, heap);
}

struct op *op_window_new(struct op_context *context, const struct phys_node *node)
{
    struct window_op *w = heap_zalloc(context->heap, sizeof *w);
    const struct aggregate_node *a = &node->aggregate;

    if (w == NULL)
        goto fail;
    w->op = (struct op){.vtable = &window_vtable,
                        .context = context,
                        .heap = context->heap,
                        .id = node->id};
    w->node = a;
    w->input = node->inputs[0]->schema;
    w->output = node->schema;
    w->fired = w->fired_end = w->clock = TIME_MIN;
    w->slices.heap = w->sides.heap = context->heap;
    windows_init(&w->windows, a, context->zone);
    w->set = agg_set_new(context->heap, context->kernels, a->aggs, a->agg_count, a->key_count == 0);
    if (w->set == NULL || !open_keys(w))
        goto fail;
    w->partial = heap_alloc(context->heap, agg_state_bytes(w->set));
    if (w->partial == NULL)
        goto fail;
    slide_open(&w->slide, context->heap, &w->windows, w->set, &w->keys, context->seed);
    return &w->op;
fail:
    mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for a window aggregation");
    if (w != NULL)
        window_close(&w->op);
    return NULL;
}
