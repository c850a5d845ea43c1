/* core/ops/op_over_view.c - OVER over rows in any order, with any frame, that may be taken back: an incremental view.
 *
 * All rows of a key are kept sorted. A row that comes or goes changes the results of the rows whose frames it is in and of those
 * that are numbered or found from it; they are computed without it and with it, and where they differ -U and +U are given, in the
 * order of the rows, with +I or -D of the row itself among them. So after each row of the input the fold of the changes is the
 * answer over the rows before. As final rows all is computed once, at the end of the input, by (key, order).
 *
 * State: all rows. 'table.exec.state.ttl': a key that no row has touched for so long begins anew.
 *   a row that is taken back without being there is ignored, and counted as filtered
 * Threads: one shard.   Errors: MILL_E_MEMORY.
 */
#include "core/ops/over_view.h"

#define SCRATCH_USES 1024u /* texts add up in it */

enum op_progress view_no_memory(struct over_view *o)
{
    return op_no_memory(&o->op, "it keeps all rows of each key: order by a time attribute with "
                                "frames that end at the "
                                "current row, SET 'table.exec.state.ttl', or");
}

/* ---- rows come in ---- */

static bool find_keys(struct over_view *o, const struct batch *batch, const struct step_time *t)
{
    const uint32_t before = o->table.groups, n = batch->live;
    bool ok;

    if (o->keys.count == 0) {
        ok = o->table.groups > 0 || table_single(&o->table);
        for (uint32_t i = 0; ok && i < n; i++)
            o->found[i] = table_state(&o->table, 0);
    } else {
        ok = keys_prepare(&o->keys, batch, batch->selection, n, &o->batch_keys) &&
             table_lookup(&o->table, &o->batch_keys, NULL, n, o->found);
    }
    for (uint32_t id = before; id < o->table.groups; id++)
        *(struct view_key *)table_state(&o->table, id) =
            (struct view_key){.touched_us = t->clock_us};
    if (!ok || !rows_append(&o->rows, batch, batch->selection, n, o->new_ids))
        return false;
    for (uint32_t i = 0; i < n; i++)
        o->prefixes[i] = view_prefix(o, o->new_ids[i]);
    return true;
}

/* The row's place in the key; one that is not there to be taken back: UINT32_MAX, and it is counted. */
static bool find_place(struct over_view *o, uint32_t i, uint32_t *place)
{
    const uint32_t row = batch_row(o->batch, i);
    const struct view_entry e = {o->prefixes[i], o->new_ids[i]};
    struct view_key *key = o->found[i];

    o->added = row_kind_weight(batch_kind(o->batch, row)) > 0;
    o->key = key;
    o->row = row;
    o->gone_count = 0;
    if (o->added) {
        *place =
            !o->changelog && !o->updating ? key->count : view_bound(o, key, &e, /* after */ true);
        return view_insert(o, key, *place, &e);
    }
    *place = view_find(o, key, &e, o->batch, row);
    o->gone[o->gone_count++] = e.id;
    if (*place == UINT32_MAX)
        o->op.counters.filtered++;
    else
        o->gone[o->gone_count++] = key->entries[*place].id;
    return true;
}

static void free_gone(struct over_view *o)
{
    if (o->gone_count > 0)
        rows_free(&o->rows, o->gone, o->gone_count);
    o->gone_count = 0;
}

/* For final rows: without changes. */
static bool take_all(struct over_view *o)
{
    for (uint32_t i = 0; i < o->batch->live; i++) {
        uint32_t place;

        if (!find_place(o, i, &place))
            return false;
        if (!o->added && place != UINT32_MAX)
            view_remove(o->key, place);
        if (place != UINT32_MAX)
            o->rows_in++;
        else
            o->op.counters.held--;
        free_gone(o);
    }
    return true;
}

/* ---- changes ---- */

/* Room for two results; for each row anew, and when texts have added up in it. */
static bool scratch_begin(struct over_view *o)
{
    const uint32_t given = o->node->given, n = o->schema->field_count - given;

    if (o->scratch == NULL)
        o->scratch = batch_new(o->op.heap, 2, n);
    else
        batch_reset(o->scratch, n);
    o->scratch_uses = 0;
    if (o->scratch == NULL || (n > 0 && o->scratch->columns == NULL))
        return false;
    for (uint32_t c = 0; c < n; c++)
        if (!column_own(o->scratch, &o->scratch->columns[c], &o->schema->fields[given + c].type))
            return false;
    return true;
}

static void will_give(struct over_view *o, uint32_t id, uint8_t side, int8_t kind)
{
    o->pending[o->pending_count++] = (struct view_change){id, side, kind};
}

static bool compute_side(struct over_view *o, uint32_t side, uint32_t entry)
{
    struct view_side *s = &o->sides[side];

    for (uint32_t c = 0; c < o->scratch->column_count; c++)
        column_set_valid(&o->scratch->columns[c], side);
    return view_compute(o, s, entry - (entry > s->skip), o->scratch, o->scratch->columns, side);
}

static bool same(const struct over_view *o)
{
    for (uint32_t c = 0; c < o->scratch->column_count; c++)
        if (!column_same(&o->scratch->columns[c], 0, 1,
                         &o->schema->fields[o->node->given + c].type))
            return false;
    return true;
}

/* What entry @i gives now that it did not give before. */
static bool look_at(struct over_view *o, uint32_t i)
{
    const uint32_t id = o->key->entries[i].id;

    if (++o->scratch_uses > SCRATCH_USES && !scratch_begin(o))
        return false;
    if (i == o->place) {
        will_give(o, id, o->added, o->added ? ROW_INSERT : ROW_DELETE);
        return compute_side(o, o->added, i);
    }
    if (!compute_side(o, 0, i) || !compute_side(o, 1, i))
        return false;
    if (!same(o)) {
        will_give(o, id, 0, ROW_UPDATE_BEFORE);
        will_give(o, id, 1, ROW_UPDATE_AFTER);
    }
    return true;
}

static enum op_progress give(struct over_view *o, const struct step_time *t)
{
    for (; o->given < o->pending_count; o->given++) {
        const struct view_change *change = &o->pending[o->given];
        enum op_progress p = OP_READY;
        int32_t r;

        if (emit_full(&o->emit))
            p = emit_flush(&o->emit, t);
        if (p != OP_READY)
            return p;
        r = emit_row(&o->emit, o->row, change->kind);
        if (r < 0 || !view_put_given(o, &change->id, 1, (uint32_t)r))
            return view_no_memory(o);
        for (uint32_t c = 0; c < o->scratch->column_count; c++)
            if (!column_put(o->emit.out, &o->emit.out->columns[o->node->given + c], (uint32_t)r,
                            &o->scratch->columns[c], change->side,
                            &o->schema->fields[o->node->given + c].type))
                return view_no_memory(o);
    }
    o->given = o->pending_count = 0;
    return OP_READY;
}

static bool begin_row(struct over_view *o, uint32_t i, const struct step_time *t)
{
    struct view_key *key = o->found[i];
    struct view_bounds reach;

    if (ttl_is_over(key->touched_us, o->node->ttl_us, t->clock_us))
        view_forget(o, key);
    key->touched_us = t->clock_us;
    o->op.counters.held--;
    if (!find_place(o, i, &o->place))
        return false;
    if (o->place == UINT32_MAX) {
        free_gone(o);
        return true;
    }
    o->op.counters.consumed++;
    view_show(o, &o->sides[0], key, o->added ? o->place : UINT32_MAX);
    view_show(o, &o->sides[1], key, o->added ? UINT32_MAX : o->place);
    reach = view_reach(o, &o->sides[o->added], o->place); /* the side that has it */
    o->at = reach.low;
    o->end = reach.high;
    o->changing = true;
    return scratch_begin(o);
}

static void finish_row(struct over_view *o)
{
    view_hide(o, &o->sides[0]);
    view_hide(o, &o->sides[1]);
    if (!o->added)
        view_remove(o->key, o->place);
    free_gone(o);
    o->changing = false;
}

static enum op_progress go_on(struct over_view *o, const struct step_time *t)
{
    struct batch *done = o->batch;
    enum op_progress p;

    for (;;) {
        p = give(o, t);
        if (p != OP_READY)
            return p;
        if (o->changing && o->at < o->end) {
            if (!look_at(o, o->at++))
                return view_no_memory(o);
            continue;
        }
        if (o->changing)
            finish_row(o);
        if (o->next == done->live)
            break;
        if (!begin_row(o, o->next++, t))
            return view_no_memory(o);
    }
    p = emit_flush(&o->emit, t);
    batch_release(done);
    o->batch = NULL;
    o->op.counters.state_rows = o->rows.rows;
    return p;
}

static enum op_progress view_push(struct op *op, uint32_t port, struct batch *batch,
                                  const struct step_time *t)
{
    struct over_view *o = (struct over_view *)op;
    enum op_progress p;
    bool ok;

    (void)port;
    CHECK(!o->ending && o->batch == NULL);
    op->counters.in += batch->live;
    op->counters.held += batch->live;
    o->batch = batch;
    o->next = 0;
    if (batch->live > 0 && !find_keys(o, batch, t))
        return view_no_memory(o);
    if (o->changelog) {
        p = emit_cause(&o->emit, batch, 0, t);
        return p == OP_READY ? go_on(o, t) : p;
    }
    ok = take_all(o);
    o->batch = NULL;
    batch_release(batch);
    op->counters.state_rows = o->rows.rows;
    return ok ? OP_READY : view_no_memory(o);
}

static enum op_progress view_turn(struct op *op, const struct step_time *t)
{
    struct over_view *o = (struct over_view *)op;
    int64_t budget = op->context->turn_work;
    enum op_progress p;

    if (o->batch != NULL)
        return go_on(o, t);
    if (!o->ending)
        return OP_READY;
    p = view_fire(o, t, &budget);
    op->context->work += (uint64_t)(op->context->turn_work - budget);
    return p;
}

static enum op_progress view_end_step(struct op *op, const struct step_time *t)
{
    struct over_view *o = (struct over_view *)op;

    o->ending = !o->changelog && t->last;
    return view_turn(op, t);
}

/* ---- life ---- */

static void view_snapshot(struct op *op, struct snapshot_writer *to)
{
    const struct over_view *o = (const struct over_view *)op;

    CHECK(!o->ending && o->batch == NULL);
    snapshot_put(to, &op->counters, sizeof op->counters);
    snapshot_u64(to, o->rows_in);
    snapshot_u32(to, o->table.groups);
    for (uint32_t id = 0; id < o->table.groups; id++) {
        const struct view_key *key = table_state(&o->table, id);

        table_key_snapshot(&o->table, id, to);
        snapshot_u64(to, (uint64_t)key->touched_us);
        snapshot_u32(to, key->count);
        for (uint32_t i = 0; i < key->count; i++)
            rows_save(&o->rows, key->entries[i].id, to);
    }
}

static bool key_restore(struct over_view *o, struct view_key *key, struct snapshot_reader *from)
{
    uint32_t count;

    *key = (struct view_key){.touched_us = (int64_t)snapshot_get_u64(from)};
    count = snapshot_get_u32(from);
    for (uint32_t i = 0; i < count && !from->failed; i++) {
        struct view_entry e = {.id = rows_restore(&o->rows, from)};

        if (e.id == ROW_NONE)
            return false;
        e.prefix = view_prefix(o, e.id);
        if (!view_insert(o, key, key->count, &e)) {
            rows_free(&o->rows, &e.id, 1);
            return false;
        }
    }
    return !from->failed;
}

static bool view_restore(struct op *op, struct snapshot_reader *from)
{
    struct over_view *o = (struct over_view *)op;
    uint32_t groups;

    snapshot_get(from, &op->counters, sizeof op->counters);
    o->rows_in = snapshot_get_u64(from);
    groups = snapshot_get_u32(from);
    for (uint32_t i = 0; i < groups && !from->failed; i++)
        if (table_key_restore(&o->table, from) != i ||
            !key_restore(o, table_state(&o->table, i), from))
            return false;
    return !from->failed;
}

static bool view_valid(const struct op *op)
{
    const struct over_view *o = (const struct over_view *)op;
    const struct op_counters *n = &op->counters;
    uint64_t rows = 0;

    for (uint32_t id = 0; id < o->table.groups; id++) {
        const struct view_key *key = table_state(&o->table, id);

        if ((o->changelog || o->updating) && !view_sorted(o, key))
            return false;
        rows += key->count;
    }
    return rows == o->rows.rows && rows_valid(&o->rows) && table_valid(&o->table) &&
           n->in == n->consumed + n->filtered + n->late + n->dead + n->held;
}

static void view_inspect(const struct op *op, uint32_t sample, struct op_state *state)
{
    table_inspect(&((const struct over_view *)op)->table, sample, &state->tables);
    state->table_count++;
}

static void view_close(struct op *op)
{
    struct over_view *o = (struct over_view *)op;
    struct heap *heap = op->heap;
    const size_t sides = (o->node->frame_count + 1) * sizeof *o->sides[0].frames;

    batch_release(o->batch);
    batch_free(o->scratch);
    emit_close(&o->emit);
    sorter_close(&o->sorter);
    for (uint32_t s = 0; s < 2; s++) {
        if (o->sides[s].open)
            view_hide(o, &o->sides[s]);
        heap_free(heap, o->sides[s].frames, sides);
        heap_free(heap, o->sides[s].states, o->state_bytes + 1);
    }
    for (uint32_t id = 0; o->table.heap != NULL && id < o->table.groups; id++) {
        struct view_key *key = table_state(&o->table, id);

        heap_free(heap, key->entries, key->room * sizeof *key->entries);
    }
    if (o->table.heap != NULL)
        table_close(&o->table);
    rows_close(&o->rows);
    for (uint32_t f = 0; o->frames != NULL && f < o->node->frame_count; f++)
        for (uint32_t w = 0; w < OVER_WAYS; w++)
            agg_set_free(o->frames[f].sets[w]);
    heap_free(heap, o->frames, (o->node->frame_count + 1) * sizeof *o->frames);
    heap_free(heap, o->stored.columns, (o->input->field_count + 1) * sizeof *o->stored.columns);
    heap_free(heap, o->kept_at, (o->input->field_count + 1) * sizeof *o->kept_at);
    heap_free(heap, o->shown, (o->node->kept_count + 1) * sizeof *o->shown);
    heap_free(heap, o->place_key, o->place_room);
    key_layout_close(&o->keys);
    key_batch_close(&o->batch_keys);
    heap_free(heap, o, sizeof *o);
}

static const struct op_vtable view_vtable = {.name = "OVER",
                                             .push = view_push,
                                             .end_step = view_end_step,
                                             .resume = view_turn,
                                             .snapshot = view_snapshot,
                                             .restore = view_restore,
                                             .valid = view_valid,
                                             .inspect = view_inspect,
                                             .close = view_close};

static void show_column(struct over_view *o, int32_t column)
{
    const uint32_t kept = column < 0 ? UINT32_MAX : o->kept_at[column];

    for (uint32_t i = 0; i < o->shown_count; i++)
        if (o->shown[i] == kept)
            return;
    if (kept != UINT32_MAX)
        o->shown[o->shown_count++] = kept;
}

static bool frame_open(struct over_view *o, uint32_t f)
{
    struct view_frame *frame = &o->frames[f];
    struct op_context *context = o->op.context;

    frame->spec = &o->node->frames[f];
    for (uint32_t w = 0; w < OVER_WAYS; w++) {
        const uint32_t count = frame->spec->counts[w];
        const struct agg_spec *specs = frame->spec->specs[w];

        if (count == 0)
            continue;
        frame->sets[w] =
            w == OVER_RETRACTS
                ? agg_set_new_retractable(context->heap, context->kernels, specs, count)
                : agg_set_new(context->heap, context->kernels, specs, count, false);
        if (frame->sets[w] == NULL)
            return false;
        frame->at[w] = o->state_bytes;
        o->state_bytes += ALIGN_UP(agg_state_bytes(frame->sets[w]), 16u);
        for (uint32_t i = 0; i < count; i++) {
            show_column(o, specs[i].arg);
            show_column(o, specs[i].filter);
        }
    }
    return true;
}

static bool side_open(struct over_view *o, struct view_side *side)
{
    side->frames = heap_zalloc(o->op.heap, (o->node->frame_count + 1) * sizeof *side->frames);
    side->states = heap_zalloc(o->op.heap, o->state_bytes + 1);
    return side->frames != NULL && side->states != NULL;
}

static bool view_open(struct over_view *o, const struct phys_node *node)
{
    struct op_context *context = o->op.context;
    const struct over_node *spec = node->over;
    const uint32_t columns = o->input->field_count + 1;

    o->frames = heap_zalloc(context->heap, (spec->frame_count + 1) * sizeof *o->frames);
    o->stored.columns = heap_zalloc(context->heap, columns * sizeof *o->stored.columns);
    o->kept_at = heap_alloc(context->heap, columns * sizeof *o->kept_at);
    o->shown = heap_alloc(context->heap, (spec->kept_count + 1) * sizeof *o->shown);
    if (o->frames == NULL || o->stored.columns == NULL || o->kept_at == NULL || o->shown == NULL ||
        !key_layout_open(&o->keys, context->heap, o->input, spec->keys, spec->key_count) ||
        !key_batch_open(&o->batch_keys, context->heap))
        return false;
    o->keys.kernels = context->kernels;
    for (uint32_t c = 0; c < columns; c++)
        o->kept_at[c] = UINT32_MAX;
    for (uint32_t k = 0; k < spec->kept_count; k++)
        o->kept_at[spec->kept[k]] = k;
    for (uint32_t f = 0; f < spec->frame_count; f++)
        if (!frame_open(o, f))
            return false;
    o->stored.column_count = (uint16_t)o->input->field_count;
    o->stored.rows = o->stored.live = o->stored.capacity = 1;
    o->stored.place = &o->stored_place;
    table_open(&o->table, context->heap, &o->keys, sizeof(struct view_key), context->seed);
    return side_open(o, &o->sides[0]) && side_open(o, &o->sides[1]) &&
           rows_open(&o->rows, context->heap, o->input, spec->kept, spec->kept_count, 0);
}

struct op *op_over_view_new(struct op_context *context, const struct phys_node *node)
{
    struct over_view *o = heap_zalloc(context->heap, sizeof *o);

    if (o != NULL) {
        o->op = (struct op){.vtable = &view_vtable,
                            .context = context,
                            .heap = context->heap,
                            .id = node->id};
        o->node = node->over;
        o->input = &node->inputs[0]->schema;
        o->schema = &node->schema;
        o->changelog = node->changelog;
        o->updating = node->inputs[0]->updating;
        emit_open(&o->emit, &o->op, node);
        if (view_open(o, node))
            return &o->op;
        view_close(&o->op);
    }
    mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for OVER");
    return NULL;
}
