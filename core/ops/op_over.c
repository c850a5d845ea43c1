/* core/ops/op_over.c - OVER: aggregates of the rows before each row, numbers of rows, values some rows back.
 *
 * In event time rows wait in time order (core/state/order.h) until the watermark has passed them; a row is late when its time is
 * at or before the watermark just before it. Results leave by (time, step, place). In processing time rows are taken as they
 * come, and results take their places.
 *
 * Rows are taken in *runs* of whole times, so that RANGE frames have all rows of a time before the first result of it. Rows in
 * bounded frames are kept per key in one chain, of which each frame is a tail:
 *   rows of the chain = the most that a frame holds, between times
 * What can be taken back slides by adding and retracting. What cannot slides by two stacks: states of the rows from each of the
 * first ones up to where the stacks were turned, made from the last of them backwards, and one of the rows since:
 *   value = front[next] + back     turned when the last of the front has left
 * So a sum of FLOAT or DOUBLE is (v1 + (v2 + ... )) of the front, then the rest in row order: a matter of the key's rows alone.
 *
 * State: per key its frames' states and rows. Where all frames are bounded by time, rows leave when the watermark has passed them by
 * the longest; the key's entry stays. 'table.exec.state.ttl': a key that no row has touched for so long begins anew.
 * Threads: one shard.   Errors: MILL_E_MEMORY.
 */
#include "core/ops/over_impl.h"
#include "core/plan/physical.h"
#include "core/state/sorter.h"

#define RUN_ROWS 1024u

static enum op_progress no_memory(struct over_op *o)
{
    return op_no_memory(&o->op, "it holds rows until the watermark and those of each key's frame: "
                                "use a shorter "
                                "delay or shorter frames, SET 'table.exec.state.ttl', or");
}

/* ---- results ---- */

static const struct batch *batch_of(const struct over_op *o, const struct over_entry *e)
{
    return e->ref.block != NULL ? e->ref.block->rows : o->batch;
}

static bool copy_given(struct over_op *o)
{
    struct batch *out = o->emit.out;

    for (uint32_t c = 0; o->given_count > 0 && c < o->node->given; c++)
        if (!column_gather(out, &out->columns[c], o->given_at, &o->given->columns[c], o->given_rows,
                           o->given_count, &o->input->fields[c].type))
            return false;
    o->given_at += o->given_count;
    o->given_count = 0;
    return true;
}

static bool give(struct over_op *o, const struct batch *from, uint32_t row, uint32_t at)
{
    if (o->given_count > 0 && o->given != from && !copy_given(o))
        return false;
    if (o->given_count == 0) {
        o->given = from;
        o->given_at = at;
    }
    o->given_rows[o->given_count++] = (uint16_t)row;
    return true;
}

static enum op_progress flush(struct over_op *o, const struct step_time *t)
{
    if (o->emit.out == NULL)
        return OP_READY;
    return copy_given(o) ? emit_flush(&o->emit, t) : no_memory(o);
}

/* Sorted at the end: (key, number in it), good until the next call. Length UINT32_MAX: no memory. */
static struct mill_view end_key(struct over_op *o, const struct over_entry *e)
{
    const uint32_t bytes = table_key_bytes(&o->table, e->group) + 8;
    uint32_t n;

    if (!o->emit.keyed)
        return view_of("", 0);
    if (bytes > o->key_room) {
        heap_free(o->op.heap, o->key, o->key_room);
        o->key = heap_alloc(o->op.heap, bytes);
        o->key_room = o->key != NULL ? bytes : 0;
        if (o->key == NULL)
            return (struct mill_view){.length = UINT32_MAX};
    }
    n = table_key_put(&o->table, e->group, o->key);
    n += key_put_i64(o->key + n, over_key_at(o, e->group)->number);
    return view_of(o->key, n);
}

static bool emit_entry(struct over_op *o, const struct over_entry *e, const struct step_time *t)
{
    const struct batch *from = batch_of(o, e);
    struct over_key *key = over_key_at(o, e->group);
    int32_t row;

    if (e->ref.block != NULL) {
        const struct mill_view place =
            o->node->at_end ? end_key(o, e) : emit_ref_key(&o->emit, &e->ref);

        row = place.length != UINT32_MAX ? emit_fired(&o->emit, t, &place, ROW_INSERT) : -1;
    } else {
        row = emit_row(&o->emit, e->ref.row, ROW_INSERT);
    }
    if (row < 0 || !give(o, from, e->ref.row, (uint32_t)row))
        return false;
    over_show(o, from, e->ref.row, e->number);
    for (uint32_t f = 0; f < o->node->frame_count; f++)
        if ((!o->frames[f].spec->range &&
             (!over_frame_add(o, key, f, e) ||
              (o->frames[f].spec->bounded && !over_frame_pass(o, key, f, e->ref.time)))) ||
            !over_frame_values(o, key, f, (uint32_t)row))
            return false;
    over_count_row(key, e->ref.time);
    for (uint32_t c = 0; c < o->node->call_count; c++)
        if (!over_put_call(o, key, &o->node->calls[c], from, e->ref.row, (uint32_t)row))
            return false;
    return true;
}

/* ---- runs ---- */

static bool entry_add(struct over_op *o, const struct order_ref *ref)
{
    if (o->entry_count == o->entry_room) {
        const uint32_t room = o->entry_room == 0 ? RUN_ROWS : o->entry_room * 2;
        struct over_entry *grown =
            heap_grow(o->op.heap, o->entries, o->entry_room * sizeof *grown, room * sizeof *grown);

        if (grown == NULL)
            return false;
        o->entries = grown;
        o->entry_room = room;
    }
    o->entries[o->entry_count++] = (struct over_entry){.ref = *ref, .id = ROW_NONE};
    return true;
}

static void forget_key(struct over_op *o, struct over_key *key)
{
    over_states_close(o, key);
    if (key->rows.count > 0)
        chain_free(&o->rows, &key->rows);
    over_states_open(o, key);
}

static bool keep_rows(struct over_op *o, struct over_entry *entries, const uint16_t *rows,
                      uint32_t count)
{
    uint32_t ids[BATCH_ROWS_MAX];

    if (!rows_append(&o->rows, &o->view, rows, count, ids))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        entries[i].id = ids[i];
        *rows_time(&o->rows, ids[i]) = entries[i].ref.time;
    }
    return true;
}

/* Keys, numbers and kept rows of entries of one batch. */
static bool resolve(struct over_op *o, struct over_entry *entries, uint32_t count,
                    const struct step_time *t)
{
    const uint32_t before = o->table.groups;
    void *found[BATCH_ROWS_MAX];
    uint16_t rows[BATCH_ROWS_MAX];
    bool ok;

    if ((uint32_t)o->taken + count < (uint32_t)o->taken)
        o->taken = ((o->taken >> 32) + 1) << 32;
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = (uint16_t)entries[i].ref.row;
        entries[i].number = o->taken++;
        over_show(o, batch_of(o, &entries[i]), rows[i], entries[i].number);
    }
    if (o->keys.count == 0) {
        ok = o->table.groups > 0 || table_single(&o->table);
        for (uint32_t i = 0; ok && i < count; i++)
            found[i] = table_state(&o->table, 0);
    } else {
        ok = keys_prepare(&o->keys, &o->view, rows, count, &o->batch_keys) &&
             table_lookup(&o->table, &o->batch_keys, NULL, count, found);
    }
    for (uint32_t id = before; id < o->table.groups; id++) {
        over_states_open(o, over_key_at(o, id));
        over_key_at(o, id)->touched_us = t->clock_us;
    }
    for (uint32_t i = 0; ok && i < count; i++) {
        struct over_key *key = found[i];

        if (ttl_is_over(key->touched_us, o->node->ttl_us, t->clock_us))
            forget_key(o, key);
        key->touched_us = t->clock_us;
        entries[i].group =
            (uint32_t)(((const char *)found[i] - o->table.states) / o->table.state_bytes);
    }
    return ok && (!o->keeps || keep_rows(o, entries, rows, count));
}

static void drop_run(struct over_op *o)
{
    for (uint32_t i = 0; i < o->entry_count; i++)
        if (o->entries[i].ref.block != NULL)
            order_drop(&o->order, o->entries[i].ref.block);
    o->entry_count = o->next = o->group_end = 0;
    o->viewed = NULL;
}

/* Entries by (rank of their key, order of the items), with the number of their order value in place of a time. */
static bool place_items(struct over_op *o, const struct sort_item *items, uint32_t *next,
                        const uint32_t *ranks)
{
    const uint32_t n = o->entry_count;
    struct over_entry *sorted = heap_alloc(o->op.heap, n * sizeof *sorted);
    const struct over_node *node = o->node;

    if (sorted == NULL)
        return false;
    for (uint32_t i = 0; i < n; i++)
        sorted[next[ranks[o->entries[items[i].index].group]]++] = o->entries[items[i].index];
    memcpy(o->entries, sorted, n * sizeof *sorted);
    heap_free(o->op.heap, sorted, n * sizeof *sorted);
    for (uint32_t i = 0; i < n; i++) {
        struct over_entry *e = &o->entries[i], *last = e - 1;

        e->ref.time = i == 0 ? 0 : last->ref.time;
        e->ref.time += i > 0 && (e->group != last->group ||
                                 sort_compare(node->order, node->order_count, last->ref.block->rows,
                                              last->ref.row, e->ref.block->rows, e->ref.row) != 0);
        e->number = i;
        if (o->keeps) {
            *rows_time(&o->rows, e->id) = e->ref.time;
            *rows_step(&o->rows, e->id) = 0;
            *rows_place(&o->rows, e->id) = i;
        }
    }
    return true;
}

/* next[r]: where the entries of the key of rank r begin. */
static void count_keys(const struct over_op *o, const uint32_t *order, uint32_t *ranks,
                       uint32_t *next)
{
    const uint32_t groups = o->table.groups;

    for (uint32_t i = 0; i < groups; i++)
        ranks[order[i]] = i;
    memset(next, 0, (groups + 1) * sizeof *next);
    for (uint32_t i = 0; i < o->entry_count; i++)
        next[ranks[o->entries[i].group] + 1]++;
    for (uint32_t i = 0; i < groups; i++)
        next[i + 1] += next[i];
}

/* The whole input by (key, ORDER BY, place). */
static bool sort_run(struct over_op *o)
{
    const uint32_t n = o->entry_count, groups = o->table.groups;
    struct heap *heap = o->op.heap;
    struct sorter sorter = {0};
    struct sort_item *items;
    uint32_t *ranks;
    int64_t budget = INT64_MAX;
    bool ok;

    if (n == 0)
        return true;
    items = heap_alloc(heap, n * sizeof *items);
    ranks = heap_alloc(heap, (2 * groups + 1) * sizeof *ranks);
    ok = items != NULL && ranks != NULL && sorter_open(&sorter, &o->table);
    for (uint32_t i = 0; ok && i < n; i++)
        items[i] = sort_item(o->node->order, o->node->order_count, o->entries[i].ref.block->rows,
                             o->entries[i].ref.row, i);
    ok = ok && sort_items(heap, o->node->order, o->node->order_count, items, n) &&
         sorter_turn(&sorter, &budget);
    if (ok) {
        count_keys(o, sorter.order, ranks, ranks + groups);
        ok = place_items(o, items, ranks + groups, ranks);
    }
    sorter_close(&sorter);
    heap_free(heap, items, n * sizeof *items);
    heap_free(heap, ranks, (2 * groups + 1) * sizeof *ranks);
    return ok;
}

/* Rows up to @w, and all of the last one's time. */
static bool take_run(struct over_op *o, int64_t w, const struct step_time *t)
{
    if (!copy_given(o)) /* of blocks that go now */
        return false;
    drop_run(o);
    for (;;) {
        struct order_ref ref = o->ahead;

        if (ref.block == NULL && !order_next(&o->order, w, &ref))
            break;
        o->ahead = ref;
        if (!o->node->at_end && o->entry_count >= RUN_ROWS &&
            ref.time != o->entries[o->entry_count - 1].ref.time)
            break;
        if (!entry_add(o, &ref))
            return false;
        o->ahead.block = NULL;
    }
    for (uint32_t i = 0, end; i < o->entry_count; i = end) {
        for (end = i + 1; end < o->entry_count && end - i < BATCH_ROWS_MAX &&
                          o->entries[end].ref.block == o->entries[i].ref.block;)
            end++;
        if (!resolve(o, &o->entries[i], end - i, t))
            return false;
    }
    return !o->node->at_end || sort_run(o);
}

static bool leave_later(struct over_op *o, const struct over_entry *e)
{
    if (o->leaving_end - o->leaving_first == o->leaving_room) {
        const uint64_t room = o->leaving_room == 0 ? 256 : o->leaving_room * 2;
        struct leaving *leaving = heap_alloc(o->op.heap, room * sizeof *leaving);

        if (leaving == NULL)
            return false;
        for (uint64_t i = o->leaving_first; i < o->leaving_end; i++)
            leaving[i - o->leaving_first] = o->leaving[i & (o->leaving_room - 1)];
        heap_free(o->op.heap, o->leaving, o->leaving_room * sizeof *leaving);
        o->leaving = leaving;
        o->leaving_end -= o->leaving_first;
        o->leaving_first = 0;
        o->leaving_room = room;
    }
    o->leaving[o->leaving_end++ & (o->leaving_room - 1)] = (struct leaving){e->ref.time, e->group};
    return true;
}

/* All rows of the next time come; in processing time one row. */
static bool group_begin(struct over_op *o)
{
    const struct over_entry *first = &o->entries[o->next];

    o->group_first = o->next;
    for (o->group_end = o->next + 1; first->ref.block != NULL && o->group_end < o->entry_count &&
                                     o->entries[o->group_end].ref.time == first->ref.time;)
        o->group_end++;
    for (uint32_t i = o->next; i < o->group_end; i++) {
        const struct over_entry *e = &o->entries[i];
        struct over_key *key = over_key_at(o, e->group);

        if (o->keeps)
            chain_push(&o->rows, &key->rows, e->id);
        over_show(o, batch_of(o, e), e->ref.row, e->number);
        for (uint32_t f = 0; f < o->node->frame_count; f++)
            if (o->frames[f].spec->range && !over_frame_add(o, key, f, e))
                return false;
        if (o->only_ranges && !leave_later(o, e))
            return false;
    }
    for (uint32_t i = o->next; i < o->group_end; i++)
        for (uint32_t f = 0; f < o->node->frame_count; f++)
            if (o->frames[f].spec->range && o->frames[f].spec->bounded &&
                !over_frame_pass(o, over_key_at(o, o->entries[i].group), f, o->entries[i].ref.time))
                return false;
    return true;
}

static void group_finish(struct over_op *o)
{
    for (uint32_t i = o->group_first; o->keeps && i < o->group_end; i++)
        over_trim(o, over_key_at(o, o->entries[i].group));
}

/* Results of the run, until @budget is used up, the way is blocked or none is left. */
static enum op_progress emit_run(struct over_op *o, const struct step_time *t, int64_t *budget)
{
    while (o->next<o->entry_count && * budget> 0) {
        if (o->next == o->group_end && !group_begin(o))
            return no_memory(o);
        while (o->next<o->group_end && * budget> 0) {
            if (emit_full(&o->emit)) {
                const enum op_progress p = flush(o, t);

                if (p != OP_READY)
                    return p;
            }
            if (!emit_entry(o, &o->entries[o->next], t))
                return no_memory(o);
            o->next++;
            --*budget;
            o->op.counters.consumed++;
            o->op.counters.held--;
        }
        if (o->next == o->group_end)
            group_finish(o);
    }
    return OP_READY;
}

/* ---- rows leave with time ---- */

/* Rows before @time minus their frame's length leave, and are forgotten. */
static bool leave(struct over_op *o, int64_t time, int64_t *budget)
{
    for (; o->leaving_first<o->leaving_end && * budget> 0; o->leaving_first++, --*budget) {
        const struct leaving *l = &o->leaving[o->leaving_first & (o->leaving_room - 1)];
        struct over_key *key = over_key_at(o, l->group);

        if (l->time >= time_add(time, -o->longest))
            return true;
        for (uint32_t f = 0; f < o->node->frame_count; f++)
            if (o->frames[f].spec->bounded && !over_frame_pass(o, key, f, time))
                return false;
        over_trim(o, key);
    }
    return true;
}

/* ---- steps ---- */

static uint32_t judge_rows(struct over_op *o, const struct batch *batch, const struct step_time *t,
                           uint16_t *rows, int64_t *times)
{
    const struct column *column = o->node->at_end ? NULL : &batch->columns[o->node->time];
    uint32_t n = 0;

    for (uint32_t i = 0; i < batch->live; i++) {
        const uint32_t row = batch_row(batch, i);

        if (column == NULL) {
            rows[n] = (uint16_t)row;
            times[n++] = 0;
            continue;
        }
        if (!column_valid(column, row)) {
            o->op.counters.filtered++;
            o->op.counters.null_time++;
            continue;
        }
        times[n] = ((const int64_t *)column->values)[column->constant ? 0 : row];
        if (times[n] <= row_watermark(t, batch, row))
            o->op.counters.late++;
        else
            rows[n++] = (uint16_t)row;
    }
    return n;
}

static enum op_progress finish_batch(struct over_op *o, const struct step_time *t)
{
    int64_t budget = INT64_MAX;
    enum op_progress p = emit_run(o, t, &budget);

    if (p != OP_READY)
        return p;
    p = flush(o, t);
    drop_run(o);
    batch_release(o->batch);
    o->batch = NULL;
    return p;
}

/* Processing time: the rows of a batch as they come. */
static enum op_progress push_now(struct over_op *o, struct batch *batch, const struct step_time *t)
{
    enum op_progress p;

    o->batch = batch;
    o->op.counters.held += batch->live;
    for (uint32_t i = 0; i < batch->live; i++) {
        const struct order_ref ref = {.time = t->clock_us, .row = batch_row(batch, i)};

        if (!entry_add(o, &ref))
            return no_memory(o);
    }
    if (!resolve(o, o->entries, o->entry_count, t))
        return no_memory(o);
    p = emit_cause(&o->emit, batch, 0, t);
    return p == OP_READY ? finish_batch(o, t) : p;
}

static enum op_progress over_push(struct op *op, uint32_t port, struct batch *batch,
                                  const struct step_time *t)
{
    struct over_op *o = (struct over_op *)op;
    uint16_t rows[BATCH_ROWS_MAX];
    int64_t times[BATCH_ROWS_MAX];
    uint32_t n;
    bool ok;

    (void)port;
    CHECK(!o->ending && o->batch == NULL);
    op->counters.in += batch->live;
    if (o->node->time < 0 && !o->node->at_end)
        return push_now(o, batch, t);
    n = judge_rows(o, batch, t, rows, times);
    op->counters.held += n;
    ok = order_push(&o->order, batch, rows, times, n);
    batch_release(batch);
    return ok ? OP_READY : no_memory(o);
}

static enum op_progress fire(struct over_op *o, const struct step_time *t, int64_t *budget)
{
    const bool event_time = o->node->time >= 0 && !o->node->at_end;
    const int64_t w = t->last ? TIME_MAX : t->w_after;

    while (event_time || (o->node->at_end && t->last)) {
        const enum op_progress p = emit_run(o, t, budget);

        if (p != OP_READY)
            return p;
        if (*budget <= 0)
            return OP_BUSY;
        if (!take_run(o, w, t))
            return no_memory(o);
        if (o->entry_count == 0)
            break;
    }
    if (!t->last && !leave(o, event_time ? w : t->clock_us, budget))
        return no_memory(o);
    if (*budget <= 0)
        return OP_BUSY;
    o->ending = false;
    o->op.counters.state_rows = o->table.groups + o->rows.rows;
    o->op.counters.waits = event_time && o->order.rows > 0;
    o->op.counters.waits_for = order_least(&o->order);
    return flush(o, t);
}

static enum op_progress over_turn(struct op *op, const struct step_time *t)
{
    struct over_op *o = (struct over_op *)op;
    int64_t budget = op->context->turn_work;
    enum op_progress p = OP_READY;

    if (o->batch != NULL)
        return finish_batch(o, t);
    if (!o->ending)
        return OP_READY;
    p = fire(o, t, &budget);
    op->context->work += (uint64_t)(op->context->turn_work - budget);
    return p;
}

static enum op_progress over_end_step(struct op *op, const struct step_time *t)
{
    struct over_op *o = (struct over_op *)op;

    o->ending = true;
    return over_turn(op, t);
}

/* ---- life ---- */

static void over_snapshot(struct op *op, struct snapshot_writer *to)
{
    const struct over_op *o = (const struct over_op *)op;

    CHECK(!o->ending && o->batch == NULL && o->ahead.block == NULL);
    snapshot_put(to, &op->counters, sizeof op->counters);
    snapshot_u64(to, o->taken);
    order_snapshot(&o->order, to);
    snapshot_u32(to, o->table.groups);
    for (uint32_t id = 0; id < o->table.groups; id++) {
        struct over_key *key = over_key_at(o, id);

        table_key_snapshot(&o->table, id, to);
        snapshot_u64(to, (uint64_t)key->touched_us);
        snapshot_u64(to, (uint64_t)key->last_time);
        snapshot_u64(to, (uint64_t)key->number);
        snapshot_u64(to, (uint64_t)key->rank);
        snapshot_u64(to, (uint64_t)key->dense);
        if (o->keeps)
            chain_save(&o->rows, &key->rows, to);
        for (uint32_t f = 0; f < o->node->frame_count; f++)
            over_slide_snapshot(o, key, f, to);
    }
    snapshot_u64(to, o->leaving_end - o->leaving_first);
    for (uint64_t i = o->leaving_first; i < o->leaving_end; i++) {
        snapshot_u64(to, (uint64_t)o->leaving[i & (o->leaving_room - 1)].time);
        snapshot_u32(to, o->leaving[i & (o->leaving_room - 1)].group);
    }
}

static bool key_restore(struct over_op *o, struct over_key *key, struct snapshot_reader *from)
{
    over_states_open(o, key);
    key->touched_us = (int64_t)snapshot_get_u64(from);
    key->last_time = (int64_t)snapshot_get_u64(from);
    key->number = (int64_t)snapshot_get_u64(from);
    key->rank = (int64_t)snapshot_get_u64(from);
    key->dense = (int64_t)snapshot_get_u64(from);
    if (o->keeps && !chain_restore(&o->rows, &key->rows, from))
        return false;
    for (uint32_t f = 0; f < o->node->frame_count; f++)
        if (!over_slide_restore(o, key, f, from))
            return false;
    return !from->failed;
}

static bool over_restore(struct op *op, struct snapshot_reader *from)
{
    struct over_op *o = (struct over_op *)op;
    uint32_t groups;
    uint64_t leaving;

    snapshot_get(from, &op->counters, sizeof op->counters);
    o->taken = snapshot_get_u64(from);
    if (!order_restore(&o->order, from))
        return false;
    groups = snapshot_get_u32(from);
    for (uint32_t i = 0; i < groups && !from->failed; i++)
        if (table_key_restore(&o->table, from) != i || !key_restore(o, over_key_at(o, i), from))
            return false;
    leaving = snapshot_get_u64(from);
    for (uint64_t i = 0; i < leaving && !from->failed; i++) {
        struct over_entry e = {.ref.time = (int64_t)snapshot_get_u64(from)};

        e.group = snapshot_get_u32(from);
        if (e.group >= o->table.groups || !leave_later(o, &e))
            return false;
    }
    return !from->failed;
}

static bool over_valid(const struct op *op)
{
    const struct over_op *o = (const struct over_op *)op;
    const struct op_counters *n = &op->counters;
    uint64_t rows = 0;

    for (uint32_t id = 0; id < o->table.groups; id++) {
        struct over_key *key = over_key_at(o, id);
        uint32_t most = 0;

        for (uint32_t f = 0; f < o->node->frame_count; f++)
            most = max_u32(most, over_slide_of(key, f)->count);
        if (o->keeps && (key->rows.count != most || !chain_valid(&o->rows, &key->rows)))
            return false;
        rows += key->rows.count;
    }
    return o->order.rows == n->held && (!o->keeps || rows == o->rows.rows) &&
           order_valid(&o->order) && table_valid(&o->table) &&
           n->in == n->consumed + n->filtered + n->late + n->dead + n->held;
}

static void over_inspect(const struct op *op, uint32_t sample, struct op_state *state)
{
    table_inspect(&((const struct over_op *)op)->table, sample, &state->tables);
    state->table_count++;
}

static void over_close(struct op *op)
{
    struct over_op *o = (struct over_op *)op;
    struct heap *heap = op->heap;

    drop_run(o);
    if (o->ahead.block != NULL)
        order_drop(&o->order, o->ahead.block);
    batch_release(o->batch);
    emit_close(&o->emit);
    for (uint32_t id = 0; id < o->table.groups; id++)
        over_states_close(o, over_key_at(o, id));
    if (o->table.heap != NULL)
        table_close(&o->table);
    order_close(&o->order);
    if (o->keeps)
        rows_close(&o->rows);
    for (uint32_t f = 0; o->frames != NULL && f < o->node->frame_count; f++)
        for (uint32_t w = 0; w < OVER_WAYS; w++)
            agg_set_free(o->frames[f].sets[w]);
    heap_free(heap, o->frames, (o->node->frame_count + 1) * sizeof *o->frames);
    heap_free(heap, o->stored.columns, (o->input->field_count + 1) * sizeof *o->stored.columns);
    heap_free(heap, o->entries, o->entry_room * sizeof *o->entries);
    heap_free(heap, o->leaving, o->leaving_room * sizeof *o->leaving);
    heap_free(heap, o->ids, o->ids_room * sizeof *o->ids);
    heap_free(heap, o->key, o->key_room);
    heap_free(heap, o->scratch, o->scratch_bytes + 1);
    key_layout_close(&o->keys);
    key_batch_close(&o->batch_keys);
    heap_free(heap, o, sizeof *o);
}

static const struct op_vtable over_vtable = {.name = "OVER",
                                             .push = over_push,
                                             .end_step = over_end_step,
                                             .resume = over_turn,
                                             .snapshot = over_snapshot,
                                             .restore = over_restore,
                                             .valid = over_valid,
                                             .inspect = over_inspect,
                                             .close = over_close};

/* The sets of a frame, and where their states lie behind the key's. */
static bool frame_open(struct over_op *o, uint32_t f, uint32_t *bytes)
{
    struct run_frame *frame = &o->frames[f];
    struct op_context *context = o->op.context;

    frame->spec = &o->node->frames[f];
    if (frame->spec->bounded) {
        o->keeps = true;
        o->only_ranges = o->only_ranges && frame->spec->range;
        o->longest = max_i64(o->longest, frame->spec->preceding);
    }
    for (uint32_t w = 0; w < OVER_WAYS; w++) {
        const uint32_t count = frame->spec->counts[w];

        if (count == 0)
            continue;
        frame->sets[w] =
            w == OVER_RETRACTS
                ? agg_set_new_retractable(context->heap, context->kernels, frame->spec->specs[w],
                                          count)
                : agg_set_new(context->heap, context->kernels, frame->spec->specs[w], count, false);
        if (frame->sets[w] == NULL)
            return false;
        frame->at[w] = *bytes;
        *bytes += ALIGN_UP(agg_state_bytes(frame->sets[w]), 16u);
        o->scratch_bytes = max_u32(o->scratch_bytes, agg_state_bytes(frame->sets[w]));
    }
    return true;
}

static bool over_open(struct over_op *o, const struct phys_node *node)
{
    struct op_context *context = o->op.context;
    const struct over_node *spec = node->over;
    uint32_t bytes = ALIGN_UP((uint32_t)(sizeof(struct over_key) +
                                         spec->frame_count * sizeof(struct over_slide)),
                              16u);

    o->only_ranges = true;
    o->frames = heap_zalloc(context->heap, (spec->frame_count + 1) * sizeof *o->frames);
    o->stored.columns =
        heap_zalloc(context->heap, (o->input->field_count + 1) * sizeof *o->stored.columns);
    if (o->frames == NULL || o->stored.columns == NULL ||
        !key_layout_open(&o->keys, context->heap, o->input, spec->keys, spec->key_count) ||
        !key_batch_open(&o->batch_keys, context->heap))
        return false;
    o->keys.kernels = context->kernels;
    for (uint32_t f = 0; f < spec->frame_count; f++)
        if (!frame_open(o, f, &bytes))
            return false;
    o->only_ranges = o->only_ranges && o->keeps;
    o->scratch = heap_alloc(context->heap, o->scratch_bytes + 1);
    if (o->scratch == NULL)
        return false;
    o->stored.column_count = (uint16_t)o->input->field_count;
    o->stored.rows = o->stored.live = o->stored.capacity = 1;
    o->stored.place = &o->stored_place;
    order_open(&o->order, context->heap, o->input, RUN_ROWS);
    table_open(&o->table, context->heap, &o->keys, bytes, context->seed);
    emit_open(&o->emit, &o->op, node);
    return !o->keeps || rows_open(&o->rows, context->heap, o->input, spec->kept, spec->kept_count,
                                  ROWS_TIME | ROWS_PLACE);
}

struct op *op_over_new(struct op_context *context, const struct phys_node *node)
{
    struct over_op *o = heap_zalloc(context->heap, sizeof *o);

    if (o != NULL) {
        o->op = (struct op){.vtable = &over_vtable,
                            .context = context,
                            .heap = context->heap,
                            .id = node->id};
        o->node = node->over;
        o->input = &node->inputs[0]->schema;
        if (over_open(o, node))
            return &o->op;
        over_close(&o->op);
    }
    mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for OVER");
    return NULL;
}
