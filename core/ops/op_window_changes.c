/* core/ops/op_window_changes.c - windows whose results are revised: early and late results, and rows that are taken back.
 *
 * All kinds of windows but those by count, panes per key (window_changes.h). Early results of a row, or by the clock; results on time;
 * late rows within 'table.exec.emit.allow-lateness' put results right. Where nothing is revised (rows that are taken back, no
 * 'table.exec.emit.*'), a pane gives its one result when it is dropped.
 *   a row taken back that no pane has is ignored, and counted as filtered
 */
#include "core/ops/window_changes.h"

#include "core/plan/physical.h"

enum op_progress changes_no_memory(struct window_changes *s)
{
    return op_no_memory(&s->op, "windows stay until the watermark has passed their end and "
                                "'table.exec.emit.allow-lateness': use shorter ones, or");
}

/* ---- panes ---- */

static size_t pane_bytes(const struct window_changes *s)
{
    return sizeof(struct pane) + agg_state_bytes(s->set);
}

struct pane *pane_new(struct window_changes *s, uint32_t group, int64_t start, int64_t end)
{
    struct pane *pane = heap_alloc(s->op.heap, pane_bytes(s));

    if (pane == NULL)
        return NULL;
    *pane = (struct pane){.start = start,
                          .end = end,
                          .group = group,
                          .given_row = ROW_NONE,
                          .base_us = -1,
                          .due_us = TIME_MAX};
    agg_init(s->set, pane_state(pane));
    s->op.counters.state_rows = ++s->pane_count;
    return pane;
}

void pane_free(struct window_changes *s, struct pane *pane)
{
    for (uint32_t i = 0; s->keeps_rows && i < pane->point_count; i++)
        rows_free(&s->rows, &pane->points[i].row, 1);
    heap_free(s->op.heap, pane->points, pane->point_room * sizeof *pane->points);
    if (pane->given_row != ROW_NONE)
        rows_free(&s->given, &pane->given_row, 1);
    s->op.counters.consumed += pane->taken;
    s->op.counters.held -= pane->taken;
    s->op.counters.state_rows = --s->pane_count;
    agg_close(s->set, pane_state(pane));
    heap_free(s->op.heap, pane, pane_bytes(s));
}

void pane_unlink(struct window_changes *s, struct panes *of, struct pane *pane)
{
    struct pane **at = &of->list;

    while (*at != pane)
        at = &(*at)->next;
    *at = pane->next;
    s->empty += of->list == NULL;
}

/* The pane of a window, made if it is not there and @make; NULL: not there, or (*failed) no memory. */
static struct pane *pane_at(struct window_changes *s, struct panes *of, uint32_t group,
                            int64_t start, int64_t end, bool make, bool *failed)
{
    struct pane **at = &of->list, *pane;

    while (*at != NULL && ((*at)->end < end || ((*at)->end == end && (*at)->start < start)))
        at = &(*at)->next;
    if (*at != NULL && (*at)->end == end && (*at)->start == start)
        return *at;
    pane = make ? pane_new(s, group, start, end) : NULL;
    *failed = make && pane == NULL;
    if (pane == NULL)
        return NULL;
    s->empty -= of->list == NULL;
    pane->next = *at;
    *at = pane;
    pane->fired = pane_closing(s, end) <= s->row_w;
    *failed = !panes_note(s, of, pane);
    return pane;
}

bool panes_note(struct window_changes *s, struct panes *of, const struct pane *pane)
{
    const int64_t due = pane_event(s, pane);

    if (due >= of->due)
        return true;
    of->due = due;
    return expiry_add(&s->closing, due, pane->group);
}

static bool timer_note(struct window_changes *s, struct panes *of, const struct pane *pane)
{
    if (pane->due_us >= of->due_us)
        return true;
    of->due_us = pane->due_us;
    return expiry_add(&s->timers, pane->due_us, pane->group);
}

static void open_expiries(struct window_changes *s)
{
    const struct window_emit *emit = &s->node->emit;
    const int64_t stay = time_add(s->windows.spec.size, s->lateness);
    const int64_t second = s->windows.nanos ? 1000000000 : 1000000;

    expiry_open(&s->closing, s->op.heap, s->attached ? second : stay / 64);
    expiry_open(&s->timers, s->op.heap, max_i64(emit->early_us, emit->late_us) / 16);
}

bool panes_rebuild(struct window_changes *s)
{
    bool ok = true;

    expiry_close(&s->closing);
    expiry_close(&s->timers);
    open_expiries(s);
    s->empty = 0;
    for (uint32_t id = 0; id < s->table.groups; id++) {
        struct panes *of = panes_of(s, id);

        of->due = of->due_us = TIME_MAX;
        s->empty += of->list == NULL;
        for (struct pane *pane = of->list; pane != NULL; pane = pane->next) {
            pane->group = id;
            ok = ok && panes_note(s, of, pane) && timer_note(s, of, pane);
        }
    }
    return ok;
}

/* ---- rows into panes ---- */

bool changes_add_waiting(struct window_changes *s)
{
    const uint32_t n = s->waiting;

    s->waiting = 0;
    return n == 0 || agg_add(s->set, s->waiting_states, s->batch, s->waiting_rows, n);
}

bool pane_add(struct window_changes *s, struct pane *pane, uint32_t row)
{
    if (s->waiting == BATCH_ROWS_MAX && !changes_add_waiting(s))
        return false;
    pane->rows++;
    s->waiting_rows[s->waiting] = (uint16_t)row;
    s->waiting_states[s->waiting++] = pane_state(pane);
    return true;
}

bool pane_on_time(struct window_changes *s, struct pane *pane, int64_t w)
{
    if (pane->fired || pane_closing(s, pane->end) > w)
        return true;
    pane->fired = true;
    pane->base_us = -1;
    pane->due_us = TIME_MAX;
    s->op.counters.fired += pane->rows > 0;
    return pane_revise(s, pane);
}

/* The next instant of base + k * interval. */
static bool set_timer(struct window_changes *s, struct panes *of, struct pane *pane,
                      int64_t clock_us)
{
    const int64_t interval = pane->fired ? s->node->emit.late_us : s->node->emit.early_us;

    if (pane->base_us < 0)
        pane->base_us = clock_us;
    if (pane->due_us != TIME_MAX)
        return true;
    pane->due_us = pane->base_us + (floor_div(clock_us - pane->base_us, interval) + 1) * interval;
    return timer_note(s, of, pane);
}

bool pane_changed(struct window_changes *s, struct panes *of, struct pane *pane,
                  const struct step_time *t)
{
    switch (pane->fired ? s->node->emit.late : s->node->emit.early) {
    case EMIT_ROW: return pane_revise(s, pane);
    case EMIT_DELAYED: return set_timer(s, of, pane, t->clock_us);
    default: /* a session that is open again: what was told of is no more */
        return !pane->given || pane->fired || pane_take_back(s, pane, ROW_DELETE);
    }
}

/* The row at hand into its window that ends at @end. */
static bool take_window(struct window_changes *s, uint32_t live, int64_t start, int64_t end,
                        const struct step_time *t)
{
    struct panes *of = s->lists[live];
    const uint32_t group =
        (uint32_t)((size_t)((char *)of - s->table.states) / s->table.state_bytes);
    const bool adds = row_kind_weight(batch_kind(s->batch, s->row)) > 0;
    bool failed = false;
    struct pane *pane = pane_at(s, of, group, start, end, adds, &failed);

    if (failed)
        return false;
    if (pane == NULL || (!adds && pane->rows == 0)) {
        s->op.counters.filtered += end == s->last_end;
        return true;
    }
    if (end == s->last_end) {
        pane->taken++;
        s->op.counters.held++;
    }
    if (!pane_on_time(s, pane, s->row_w))
        return false;
    if (adds)
        return pane_add(s, pane, s->row) && pane_changed(s, of, pane, t);
    pane->rows--;
    return changes_add_waiting(s) && agg_retract(s->set, pane_state(pane), s->batch, s->row) &&
           pane_changed(s, of, pane, t);
}

static void row_is_late(struct window_changes *s)
{
    s->late[s->late_count++] = (uint16_t)s->row;
    s->op.counters.late++;
}

/* Which windows the row has that are not dropped yet. */
static void find_windows(struct window_changes *s, int64_t time)
{
    const int64_t x = time_add(s->row_w, -s->lateness);
    const int64_t slice = windows_slice(&s->windows, time);

    s->next_end = windows_open_end(&s->windows, slice, x);
    s->last_end = windows_last_end(&s->windows, slice);
    s->row_start = slice;
    if (s->next_end == TIME_MAX)
        row_is_late(s);
}

static bool column_i64(const struct batch *batch, int32_t column, uint32_t row, int64_t *out)
{
    const struct column *c = &batch->columns[column];

    *out = ((const int64_t *)c->values)[c->constant ? 0 : row];
    return column_valid(c, row);
}

/* Begins with live row @live: its windows are next, or, a session, it is done. */
static bool begin_row(struct window_changes *s, uint32_t live, const struct step_time *t)
{
    const struct window_spec *w = &s->windows.spec;
    const int32_t column = s->attached ? w->end : w->time;
    int64_t time = s->clock;

    s->row = batch_row(s->batch, live);
    s->row_w = column >= 0 ? row_watermark(t, s->batch, s->row) : TIME_MIN;
    if (column >= 0 && !column_i64(s->batch, column, s->row, &time)) {
        s->op.counters.null_time++;
        s->op.counters.filtered++;
        return true;
    }
    if (s->session)
        return session_take(s, s->lists[live], time, t);
    find_windows(s, time);
    return true;
}

static bool next_window(struct window_changes *s, uint32_t live, const struct step_time *t)
{
    const int64_t end = s->next_end;
    int64_t start;

    if (!s->attached)
        start = windows_start(&s->windows, end);
    else if (!column_i64(s->batch, s->windows.spec.start, s->row, &start))
        start = TIME_MIN;
    s->next_end = windows_end_after(&s->windows, s->row_start, end);
    if (s->attached)
        s->next_end = TIME_MAX;
    return take_window(s, live, start, end, t);
}

/* ---- batches ---- */

static enum op_progress batch_done(struct window_changes *s, const struct step_time *t)
{
    struct batch *done = s->batch;
    enum op_progress p, late = OP_READY;

    if (!changes_add_waiting(s))
        return changes_no_memory(s);
    s->batch = NULL;
    s->op.counters.sum_overflow = agg_overflows(s->set);
    p = emit_flush(&s->emit, t);
    if (p != OP_FAILED && s->late_count > 0 && s->node->late_output)
        late = op_late_rows(&s->op, done, s->late, s->late_count, s->input,
                            &s->node->window.time_type, "all its windows were closed", t);
    batch_release(done);
    return p == OP_FAILED || late == OP_FAILED ? OP_FAILED : p != OP_READY ? p : late;
}

static enum op_progress take_rows(struct window_changes *s, const struct step_time *t)
{
    while (s->batch != NULL) {
        const enum op_progress p = give_pending(s, t);
        bool ok;

        if (p != OP_READY)
            return p;
        if (s->next_end != TIME_MAX)
            ok = next_window(s, s->next - 1, t);
        else if (s->next < s->batch->live)
            ok = begin_row(s, s->next++, t);
        else
            return batch_done(s, t);
        if (!ok)
            return changes_no_memory(s);
    }
    return OP_READY;
}

static void lists_init(struct window_changes *s, uint32_t from)
{
    for (uint32_t id = from; id < s->table.groups; id++)
        *panes_of(s, id) = (struct panes){NULL, TIME_MAX, TIME_MAX};
    s->empty += s->table.groups - from;
}

static bool find_lists(struct window_changes *s, const struct batch *batch)
{
    const uint32_t before = s->table.groups;
    bool found;

    if (s->keys.count > 0) {
        found = keys_prepare(&s->keys, batch, batch->selection, batch->live, &s->batch_keys) &&
                table_lookup(&s->table, &s->batch_keys, NULL, batch->live, s->lists);
        lists_init(s, before);
        return found;
    }
    if (s->table.groups == 0 && !table_single(&s->table))
        return false;
    lists_init(s, before);
    for (uint32_t i = 0; i < batch->live; i++)
        s->lists[i] = table_state(&s->table, 0);
    return true;
}

static enum op_progress changes_push(struct op *op, uint32_t port, struct batch *batch,
                                     const struct step_time *t)
{
    struct window_changes *s = (struct window_changes *)op;
    enum op_progress p;

    op->counters.in += batch->live;
    if (batch->live == 0) {
        batch_release(batch);
        return OP_READY;
    }
    p = emit_cause(&s->emit, batch, port, t);
    s->batch = batch;
    s->next = s->late_count = 0;
    s->next_end = TIME_MAX;
    s->clock = max_i64(s->clock, t->clock_us);
    if (p == OP_FAILED || !find_lists(s, batch) || !scratch_begin(s))
        return changes_no_memory(s);
    return p == OP_READY ? take_rows(s, t) : p;
}

static enum op_progress changes_end_step(struct op *op, const struct step_time *t)
{
    return changes_fire((struct window_changes *)op, t);
}

static enum op_progress changes_resume(struct op *op, const struct step_time *t)
{
    struct window_changes *s = (struct window_changes *)op;

    return s->firing ? changes_fire_on(s, t) : take_rows(s, t);
}

/* ---- life ---- */

static bool changes_valid(const struct op *op)
{
    const struct window_changes *s = (const struct window_changes *)op;
    const struct op_counters *c = &op->counters;

    return table_valid(&s->table) && expiry_valid(&s->closing) && expiry_valid(&s->timers) &&
           c->in == c->consumed + c->filtered + c->late + c->dead + c->held;
}

static void changes_inspect(const struct op *op, uint32_t sample, struct op_state *state)
{
    table_inspect(&((const struct window_changes *)op)->table, sample, &state->tables);
    state->table_count++;
}

static void changes_close(struct op *op)
{
    struct window_changes *s = (struct window_changes *)op;
    struct heap *heap = op->heap;
    const uint32_t aggs = s->node->agg_count;

    changes_fire_close(s);
    batch_release(s->batch);
    emit_close(&s->emit);
    for (uint32_t id = 0; s->set != NULL && id < s->table.groups; id++)
        while (panes_of(s, id)->list != NULL) {
            struct pane *pane = panes_of(s, id)->list;

            panes_of(s, id)->list = pane->next;
            pane_free(s, pane);
        }
    batch_free(s->scratch);
    batch_free(s->moved);
    rows_close(&s->given);
    rows_close(&s->rows);
    expiry_close(&s->closing);
    expiry_close(&s->timers);
    if (s->set != NULL) {
        table_close(&s->table);
        agg_set_free(s->set);
    }
    key_layout_close(&s->keys);
    key_batch_close(&s->batch_keys);
    heap_free(heap, s->given_fields, (aggs + 1) * sizeof *s->given_fields);
    heap_free(heap, s->row_columns, (2 * aggs + 1) * sizeof *s->row_columns);
    heap_free(heap, s, sizeof *s);
}

static const struct op_vtable changes_vtable = {.name = "window changes",
                                                .push = changes_push,
                                                .end_step = changes_end_step,
                                                .resume = changes_resume,
                                                .snapshot = window_changes_snapshot,
                                                .restore = window_changes_restore,
                                                .valid = changes_valid,
                                                .inspect = changes_inspect,
                                                .close = changes_close};

/* The results that were given, and, where sessions may split, the columns of rows that aggregates read. */
static bool open_stores(struct window_changes *s)
{
    const struct aggregate_node *a = s->node;
    struct mill_field *fields = heap_zalloc(s->op.heap, (a->agg_count + 1) * sizeof *fields);

    s->given_fields = fields;
    s->given_schema = (struct mill_schema){a->agg_count, fields};
    s->row_columns = heap_zalloc(s->op.heap, (2 * a->agg_count + 1) * sizeof *s->row_columns);
    if (fields == NULL || s->row_columns == NULL)
        return false;
    for (uint32_t i = 0; i < a->agg_count; i++) {
        const int32_t reads[2] = {a->aggs[i].arg, a->aggs[i].filter};

        fields[i] = (struct mill_field){a->aggs[i].name, a->aggs[i].result_type};
        for (uint32_t k = 0; k < 2; k++) {
            uint32_t n = 0;

            while (n < s->row_column_count && (int32_t)s->row_columns[n] != reads[k])
                n++;
            if (reads[k] >= 0 && n == s->row_column_count)
                s->row_columns[s->row_column_count++] = (uint32_t)reads[k];
        }
    }
    s->keeps_rows = s->keeps_points && s->row_column_count > 0;
    if (!rows_open(&s->given, s->op.heap, &s->given_schema, NULL, 0, 0))
        return false;
    return !s->keeps_rows ||
           rows_open(&s->rows, s->op.heap, s->input, s->row_columns, s->row_column_count, 0);
}

static bool changes_open(struct window_changes *s, const struct phys_node *node)
{
    const struct aggregate_node *a = &node->aggregate;
    const bool updating = node->inputs[0]->updating;
    struct op_context *context = s->op.context;

    s->node = a;
    s->input = &node->inputs[0]->schema;
    s->output = &node->schema;
    s->session = a->window.kind == WINDOW_SESSION && !a->window.attached;
    s->attached = a->window.attached;
    s->lateness = node->changelog ? a->emit.lateness : 0;
    s->revises = node->updating;
    s->keeps_points = s->session && updating;
    s->next_end = TIME_MAX;
    s->clock = TIME_MIN;
    windows_init(&s->windows, a, context->zone);
    open_expiries(s);
    emit_open(&s->emit, &s->op, node);
    if (!key_layout_open(&s->keys, context->heap, s->input, a->keys, a->key_count) ||
        !key_batch_open(&s->batch_keys, context->heap))
        return false;
    s->keys.kernels = context->kernels;
    s->set = updating
                 ? agg_set_new_retractable(context->heap, context->kernels, a->aggs, a->agg_count)
                 : agg_set_new(context->heap, context->kernels, a->aggs, a->agg_count,
                               a->key_count == 0 && !s->session);
    if (s->set == NULL)
        return false;
    table_open(&s->table, context->heap, &s->keys, sizeof(struct panes), context->seed);
    return open_stores(s);
}

struct op *op_window_changes_new(struct op_context *context, const struct phys_node *node)
{
    struct window_changes *s = heap_zalloc(context->heap, sizeof *s);

    if (s != NULL) {
        s->op = (struct op){.vtable = &changes_vtable,
                            .context = context,
                            .heap = context->heap,
                            .id = node->id};
        s->node = &node->aggregate;
        if (changes_open(s, node))
            return &s->op;
        changes_close(&s->op);
    }
    mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for a window");
    return NULL;
}
