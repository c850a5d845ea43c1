/* core/ops/op_rank.c - Top-N: the first rows of each key in an order, by ROW_NUMBER, RANK or DENSE_RANK.
 *
 * Rows of a key stand sorted in an array: equal ones as they came, or the later one first (the last row of a key). Rows beyond the
 * limit go, unless rows may be taken back: then all stay.
 *
 * As a changelog each row that changes what is visible gives it at once. Without the rank: -D for what has left, +I for what has come, or -U and +U
 * where the last row of a key takes the place of another. With it, by ROW_NUMBER: -U and +U at each rank that has another
 * row, +I or -D at the last one; by RANK and DENSE_RANK for each row that has another rank.
 * As final rows, at the end of the input: by (key, rank). Per window, when it closes: by (end, key, rank); a row of a closed window is late.
 *
 * State: the visible rows of each key, or all; as long as the query runs, until its window has closed, or by 'table.exec.state.ttl'.
 * Threads: one shard.   Errors: MILL_E_MEMORY.
 */
#include "core/ops/rank_impl.h"

enum op_progress rank_no_memory(struct rank_op *r)
{
    return op_no_memory(
        &r->op, r->keeps_all
                    ? "it keeps all rows, for they may be taken back: filter them, or"
                    : "it keeps the first rows of each key: SET 'table.exec.state.ttl', or");
}

/* ---- rows in ---- */

static uint64_t prefix_of(const struct rank_op *r, const struct batch *batch, uint32_t row)
{
    return r->node->order_count > 0
               ? sort_item(r->node->order, r->node->order_count, batch, row, 0).prefix
               : 0;
}

/* Whether the row can only be beyond the limit: below what is last of a full key. */
static bool is_beyond(const struct rank_op *r, struct rank_key *key, uint64_t prefix)
{
    return !r->keeps_all && r->node->function != RANK_DENSE_RANK && key->count >= r->node->limit &&
           prefix > rank_entries_of(key)[key->count - 1].prefix;
}

static bool find_keys(struct rank_op *r, struct rank_scope *scope, const struct batch *batch,
                      const uint16_t *rows, uint32_t count, const struct step_time *t)
{
    struct table *table = &scope->table;
    const uint32_t before = table->groups;
    bool ok;

    if (r->keys.count == 0) {
        ok = table->groups > 0 || table_single(table);
        for (uint32_t i = 0; ok && i < count; i++)
            r->found[i] = table_state(table, 0);
    } else {
        ok = keys_prepare(&r->keys, batch, rows, count, &r->batch_keys) &&
             table_lookup(table, &r->batch_keys, NULL, count, r->found);
    }
    for (uint32_t id = before; id < table->groups; id++)
        *(struct rank_key *)table_state(table, id) = (struct rank_key){.touched_us = t->clock_us};
    for (uint32_t i = 0; ok && i < count; i++) {
        struct rank_key *key = r->found[i];

        if (ttl_is_over(key->touched_us, r->node->ttl_us, t->clock_us))
            rank_forget_key(r, key);
        key->touched_us = t->clock_us;
    }
    return ok;
}

/* Those that are not beyond the limit at once are stored; new_ids[i] ROW_NONE: beyond. */
static bool store_rows(struct rank_op *r, const struct batch *batch, const uint16_t *rows,
                       uint32_t count)
{
    uint32_t n = 0, ids[BATCH_ROWS_MAX];

    for (uint32_t i = 0; i < count; i++) {
        r->prefixes[i] = prefix_of(r, batch, rows[i]);
        r->new_ids[i] = is_beyond(r, r->found[i], r->prefixes[i]) ? ROW_NONE : n;
        if (r->new_ids[i] != ROW_NONE)
            r->taken[n++] = rows[i];
    }
    if (n > 0 && !rows_append(&r->rows, batch, r->taken, n, ids))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (r->new_ids[i] != ROW_NONE)
            r->new_ids[i] = ids[r->new_ids[i]];
    return true;
}

/* Into @scope, without changes. */
static bool take_rows(struct rank_op *r, struct rank_scope *scope, const struct batch *batch,
                      const uint16_t *rows, uint32_t count, const struct step_time *t)
{
    if (!find_keys(r, scope, batch, rows, count, t) || !store_rows(r, batch, rows, count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct rank_entry e = {r->prefixes[i], r->new_ids[i]};

        r->ignored = false;
        if (e.id != ROW_NONE && !rank_apply(r, r->found[i], &e, batch, rows[i]))
            return false;
        scope->rows += !r->ignored;
        r->op.counters.held += !r->ignored;
        r->op.counters.filtered += r->ignored;
    }
    return true;
}

/* The scope of windows that end at @end, found or made. */
static struct rank_scope *scope_at(struct rank_op *r, int64_t end)
{
    uint32_t at = r->scope_count;

    while (at > 0 && r->scopes[at - 1].end > end)
        at--;
    if (at > 0 && r->scopes[at - 1].end == end)
        return &r->scopes[at - 1];
    if (r->scope_count == r->scope_room) {
        const uint32_t room = r->scope_room == 0 ? 4 : r->scope_room * 2;
        struct rank_scope *scopes =
            heap_grow(r->op.heap, r->scopes, r->scope_room * sizeof *scopes, room * sizeof *scopes);

        if (scopes == NULL)
            return NULL;
        r->scopes = scopes;
        r->scope_room = room;
    }
    memmove(r->scopes + at + 1, r->scopes + at, (r->scope_count - at) * sizeof *r->scopes);
    r->scope_count++;
    r->scopes[at] = (struct rank_scope){.end = end};
    table_open(&r->scopes[at].table, r->op.heap, &r->keys, sizeof(struct rank_key),
               r->op.context->seed);
    return &r->scopes[at];
}

/* Rows by the end of their window, as many at once as have the same. */
static bool take_windows(struct rank_op *r, const struct batch *batch, const struct step_time *t)
{
    const struct column *ends = &batch->columns[r->node->window_end];
    uint16_t rows[BATCH_ROWS_MAX];
    int64_t end = 0;
    uint32_t n = 0;

    for (uint32_t i = 0; i < batch->live; i++) {
        const uint32_t row = batch_row(batch, i);
        struct rank_scope *scope;

        if (!column_valid(ends, row)) {
            r->op.counters.filtered++;
            r->op.counters.null_time++;
            continue;
        }
        const int64_t value = ((const int64_t *)ends->values)[ends->constant ? 0 : row];

        if (rank_closes_at(r, value) <= row_watermark(t, batch, row)) {
            r->op.counters.late++;
            continue;
        }
        if (n > 0 && value != end) {
            scope = scope_at(r, end);
            if (scope == NULL || !take_rows(r, scope, batch, rows, n, t))
                return false;
            n = 0;
        }
        end = value;
        rows[n++] = (uint16_t)row;
    }
    if (n == 0)
        return true;
    struct rank_scope *last = scope_at(r, end);

    return last != NULL && take_rows(r, last, batch, rows, n, t);
}

static bool take_all(struct rank_op *r, const struct batch *batch, const struct step_time *t)
{
    struct rank_scope *scope = scope_at(r, INT64_MAX);
    uint16_t rows[BATCH_ROWS_MAX];

    for (uint32_t i = 0; i < batch->live; i++)
        rows[i] = (uint16_t)batch_row(batch, i);
    return scope != NULL && take_rows(r, scope, batch, rows, batch->live, t);
}

/* ---- results ---- */

/* Columns that nobody reads have no values. */
static void skip_unread(struct rank_op *r)
{
    for (uint32_t c = 0; c < r->node->given; c++)
        if (r->given_kept[c] == UINT32_MAX)
            r->emit.out->columns[c].values = NULL;
}

bool rank_put_rows(struct rank_op *r, const uint32_t *ids, const int64_t *ranks, uint32_t count,
                   uint32_t at)
{
    struct batch *out = r->emit.out;

    if (at == 0)
        skip_unread(r);
    for (uint32_t c = 0; c < r->node->given; c++)
        if (r->given_kept[c] != UINT32_MAX &&
            !rows_gather(&r->rows, ids, count, r->given_kept[c], out, &out->columns[c], at))
            return false;
    memcpy((int64_t *)out->columns[r->node->given].values + at, ranks, count * sizeof *ranks);
    return true;
}

/* ---- a changelog ---- */

static enum op_progress give_changes(struct rank_op *r, const struct step_time *t)
{
    for (; r->given < r->pending_count; r->given++) {
        const struct pending *c = &r->pending[r->given];
        enum op_progress p = OP_READY;
        int32_t row;

        if (emit_full(&r->emit))
            p = emit_flush(&r->emit, t);
        if (p != OP_READY)
            return p;
        row = emit_row(&r->emit, batch_row(r->batch, r->next - 1), c->kind);
        if (row < 0 || !rank_put_rows(r, &c->id, &c->rank, 1, (uint32_t)row))
            return rank_no_memory(r);
    }
    r->pending_count = r->given = 0;
    rank_free_gone(r);
    return OP_READY;
}

static enum op_progress go_on(struct rank_op *r, const struct step_time *t)
{
    for (;;) {
        const enum op_progress p = give_changes(r, t);

        if (p != OP_READY)
            return p;
        if (r->next == r->batch->live)
            break;
        const uint32_t i = r->next++;
        const struct rank_entry e = {r->prefixes[i], r->new_ids[i]};

        r->ignored = false;
        if (e.id != ROW_NONE && !rank_apply(r, r->found[i], &e, r->batch, batch_row(r->batch, i)))
            return rank_no_memory(r);
        r->op.counters.filtered += r->ignored;
        r->op.counters.consumed += !r->ignored;
        r->op.counters.held--;
    }
    const enum op_progress p = emit_flush(&r->emit, t);

    batch_release(r->batch);
    r->batch = NULL;
    r->op.counters.state_rows = r->rows.rows;
    return p;
}

static enum op_progress push_changes(struct rank_op *r, struct batch *batch,
                                     const struct step_time *t)
{
    struct rank_scope *scope = scope_at(r, INT64_MAX);
    uint16_t rows[BATCH_ROWS_MAX];
    enum op_progress p;

    r->batch = batch;
    r->next = 0;
    r->op.counters.held += batch->live;
    for (uint32_t i = 0; i < batch->live; i++)
        rows[i] = (uint16_t)batch_row(batch, i);
    if (scope == NULL || !find_keys(r, scope, batch, rows, batch->live, t) ||
        !store_rows(r, batch, rows, batch->live))
        return rank_no_memory(r);
    p = emit_cause(&r->emit, batch, 0, t);
    return p == OP_READY ? go_on(r, t) : p;
}

static enum op_progress rank_push(struct op *op, uint32_t port, struct batch *batch,
                                  const struct step_time *t)
{
    struct rank_op *r = (struct rank_op *)op;
    bool ok;

    (void)port;
    CHECK(!r->ending && r->batch == NULL);
    op->counters.in += batch->live;
    if (r->changelog)
        return push_changes(r, batch, t);
    ok = r->windowed ? take_windows(r, batch, t) : batch->live == 0 || take_all(r, batch, t);
    op->counters.state_rows = r->rows.rows;
    batch_release(batch);
    return ok ? OP_READY : rank_no_memory(r);
}

/* ---- the end of a step ---- */

static bool is_empty(const void *state, const void *user)
{
    (void)user;
    return ((const struct rank_key *)state)->count == 0;
}

/* Keys that no row has touched for 'table.exec.state.ttl', and that none asks for. */
static void sweep(struct rank_op *r, const struct step_time *t)
{
    if (!ttl_sweeps(&r->swept_us, r->node->ttl_us, t->clock_us))
        return;
    for (uint32_t s = 0; s < r->scope_count; s++) {
        struct table *table = &r->scopes[s].table;

        for (uint32_t id = 0; id < table->groups; id++) {
            struct rank_key *key = table_state(table, id);

            if (ttl_is_over(key->touched_us, r->node->ttl_us, t->clock_us))
                rank_forget_key(r, key);
            if (key->count == 0 && key->room > 0) {
                heap_free(r->op.heap, key->entries, key->room * sizeof *key->entries);
                key->entries = NULL;
                key->room = 0;
            }
        }
        table_tidy(table, is_empty, NULL);
    }
    r->op.counters.state_rows = r->rows.rows;
}

static enum op_progress rank_turn(struct op *op, const struct step_time *t)
{
    struct rank_op *r = (struct rank_op *)op;
    int64_t budget = op->context->turn_work;
    enum op_progress p;

    if (r->batch != NULL)
        return go_on(r, t);
    if (!r->ending)
        return OP_READY;
    p = rank_fire(r, t, &budget);
    op->context->work += (uint64_t)(op->context->turn_work - budget);
    return p;
}

static enum op_progress rank_end_step(struct op *op, const struct step_time *t)
{
    struct rank_op *r = (struct rank_op *)op;

    r->ending = !r->changelog;
    if (r->changelog)
        sweep(r, t);
    return rank_turn(op, t);
}

/* ---- life ---- */

static void rank_snapshot(struct op *op, struct snapshot_writer *to)
{
    const struct rank_op *r = (const struct rank_op *)op;

    CHECK(!r->ending && r->batch == NULL);
    snapshot_put(to, &op->counters, sizeof op->counters);
    snapshot_u32(to, r->scope_count);
    for (uint32_t s = 0; s < r->scope_count; s++) {
        const struct rank_scope *scope = &r->scopes[s];

        snapshot_u64(to, (uint64_t)scope->end);
        snapshot_u64(to, scope->rows);
        snapshot_u32(to, scope->table.groups);
        for (uint32_t id = 0; id < scope->table.groups; id++) {
            struct rank_key *key = table_state(&scope->table, id);

            table_key_snapshot(&scope->table, id, to);
            snapshot_u64(to, (uint64_t)key->touched_us);
            snapshot_u32(to, key->count);
            for (uint32_t i = 0; i < key->count; i++)
                rows_save(&r->rows, rank_entries_of(key)[i].id, to);
        }
    }
}

static bool rank_restore(struct op *op, struct snapshot_reader *from)
{
    struct rank_op *r = (struct rank_op *)op;
    uint32_t scopes;

    snapshot_get(from, &op->counters, sizeof op->counters);
    scopes = snapshot_get_u32(from);
    for (uint32_t s = 0; s < scopes && !from->failed; s++) {
        struct rank_scope *scope = scope_at(r, (int64_t)snapshot_get_u64(from));
        uint32_t groups;

        if (scope == NULL)
            return false;
        scope->rows = snapshot_get_u64(from);
        groups = snapshot_get_u32(from);
        for (uint32_t i = 0; i < groups && !from->failed; i++)
            if (table_key_restore(&scope->table, from) != i ||
                !rank_key_restore(r, table_state(&scope->table, i), from))
                return false;
    }
    return !from->failed;
}

static bool rank_valid(const struct op *op)
{
    const struct rank_op *r = (const struct rank_op *)op;
    const struct op_counters *n = &op->counters;
    uint64_t rows = 0;

    for (uint32_t s = 0; s < r->scope_count; s++) {
        if (!table_valid(&r->scopes[s].table) ||
            (s > 0 && r->scopes[s - 1].end >= r->scopes[s].end))
            return false;
        for (uint32_t id = 0; id < r->scopes[s].table.groups; id++) {
            struct rank_key *key = table_state(&r->scopes[s].table, id);

            if (!rank_key_valid(r, key))
                return false;
            rows += key->count;
        }
    }
    return rows == r->rows.rows && rows_valid(&r->rows) &&
           n->in == n->consumed + n->filtered + n->late + n->dead + n->held;
}

static void rank_inspect(const struct op *op, uint32_t sample, struct op_state *state)
{
    const struct rank_op *r = (const struct rank_op *)op;

    for (uint32_t s = 0; s < r->scope_count; s++)
        table_inspect(&r->scopes[s].table, sample, &state->tables);
    state->table_count += r->scope_count;
}

static void rank_close(struct op *op)
{
    struct rank_op *r = (struct rank_op *)op;
    struct heap *heap = op->heap;

    batch_release(r->batch);
    emit_close(&r->emit);
    sorter_close(&r->sorter);
    while (r->scope_count > 0)
        rank_scope_drop(r);
    heap_free(heap, r->scopes, r->scope_room * sizeof *r->scopes);
    rows_close(&r->rows);
    heap_free(heap, r->pending, r->pending_room * sizeof *r->pending);
    heap_free(heap, r->before.items, r->before.room * sizeof *r->before.items);
    heap_free(heap, r->after.items, r->after.room * sizeof *r->after.items);
    heap_free(heap, r->gone.items, r->gone.room * sizeof *r->gone.items);
    heap_free(heap, r->key, r->key_room);
    heap_free(heap, r->order_kept, (r->node->order_count + 1) * sizeof *r->order_kept);
    heap_free(heap, r->given_kept, (r->node->given + 1) * sizeof *r->given_kept);
    key_layout_close(&r->keys);
    key_batch_close(&r->batch_keys);
    heap_free(heap, r, sizeof *r);
}

static const struct op_vtable rank_vtable = {.name = "Top-N",
                                             .push = rank_push,
                                             .end_step = rank_end_step,
                                             .resume = rank_turn,
                                             .snapshot = rank_snapshot,
                                             .restore = rank_restore,
                                             .valid = rank_valid,
                                             .inspect = rank_inspect,
                                             .close = rank_close};

static bool find_kept(struct rank_op *r)
{
    const struct rank_node *node = r->node;

    r->order_kept = heap_alloc(r->op.heap, (node->order_count + 1) * sizeof *r->order_kept);
    r->given_kept = heap_alloc(r->op.heap, (node->given + 1) * sizeof *r->given_kept);
    if (r->order_kept == NULL || r->given_kept == NULL)
        return false;
    for (uint32_t c = 0; c < node->given; c++)
        r->given_kept[c] = UINT32_MAX;
    for (uint32_t k = 0; k < node->kept_count; k++) {
        if (node->kept[k] < node->given)
            r->given_kept[node->kept[k]] = k;
        for (uint32_t i = 0; i < node->order_count; i++)
            if (node->order[i].column == node->kept[k])
                r->order_kept[i] = k;
    }
    return true;
}

struct op *op_rank_new(struct op_context *context, const struct phys_node *node)
{
    const struct rank_node *spec = node->rank;
    struct rank_op *r;

    if (spec->how == RANK_FIRST || spec->how == RANK_FIRST_NOW)
        return op_first_new(context, node);
    r = heap_zalloc(context->heap, sizeof *r);
    if (r != NULL) {
        r->op = (struct op){.vtable = &rank_vtable,
                            .context = context,
                            .heap = context->heap,
                            .id = node->id};
        r->node = spec;
        r->input = &node->inputs[0]->schema;
        r->schema = &node->schema;
        r->windowed = spec->how == RANK_WINDOW;
        r->changelog = node->changelog && !r->windowed;
        r->keeps_all = node->inputs[0]->updating;
        r->nanos = type_is_nanos(&spec->time_type);
        r->zone = spec->local ? context->zone : NULL;
        emit_open(&r->emit, &r->op, node);
        if (find_kept(r) &&
            key_layout_open(&r->keys, context->heap, r->input, spec->keys, spec->key_count) &&
            key_batch_open(&r->batch_keys, context->heap) &&
            rows_open(&r->rows, context->heap, r->input, spec->kept, spec->kept_count, 0)) {
            r->keys.kernels = context->kernels;
            return &r->op;
        }
        rank_close(&r->op);
    }
    mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for a Top-N");
    return NULL;
}
