/* core/ops/op_lookup_join.c - l JOIN t FOR SYSTEM_TIME AS OF l.p (processing time): the rows that a table holds when a row comes.
 *
 * Rows of the table stand in chains by key, in order of arrival. A table that is bounded is read before all else, so it is
 * whole when the first row of the left comes, and again whenever it is read anew; one that changes is as all its steps before
 * the row's have left it.
 * Where the join's keys are the PRIMARY KEY a row takes the place of the one before it and -U is no news; else each row
 * that is taken back removes one that is the same. Where the whole table has come and each key has one row, the left's batches
 * are shown with its columns beside theirs (join_plain.h).
 *
 *   right: in = kept (held) + replaced, removed (consumed) + -U, without a key, not there (filtered)      left: in = consumed
 *
 * Threads: one shard.   Errors: MILL_E_MEMORY.
 */
#include "core/ops/join_base.h"
#include "core/ops/join_plain.h"
#include "core/plan/physical.h"

struct lookup_op {
    struct join_base base; /* the table's states: struct row_chain of the right's rows */
    uint64_t right;        /* sources of the table */

    /* the batch being joined: from its row @at on, of which @cursor is the next partner to look at */
    struct batch *in;
    uint32_t at, cursor;
    bool started, met[BATCH_ROWS_MAX];
    uint16_t rows[BATCH_ROWS_MAX];
    uint32_t groups[BATCH_ROWS_MAX];
    /* number in rows of each pair found; without a row of the right: the row's partners have all been looked at */
    uint16_t found_of[BATCH_ROWS_MAX];

    uint16_t keyed[BATCH_ROWS_MAX], keyed_rows[BATCH_ROWS_MAX];
    uint32_t ids[BATCH_ROWS_MAX];
    struct row_chain *chains[BATCH_ROWS_MAX];

    /* once the table is complete: each key has one row of it, whose id is its group's */
    struct join_plain plain;
    bool ended, one_each;
};

static struct row_store *store_of(struct lookup_op *j)
{
    return &j->base.pairs.side[1].store;
}

/* Rows of @in whose keys can equal something: their numbers in @rows and in the batch; prepares their keys. */
static bool prepare(struct lookup_op *j, uint32_t side, const struct batch *in,
                    const uint16_t *rows, uint32_t count, uint32_t *n)
{
    const bool may = pairs_may_equal_nothing(&j->base.pairs, side, in);

    *n = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (may && pairs_equals_nothing(&j->base.pairs, side, in, rows[i]))
            continue;
        j->keyed[*n] = (uint16_t)i;
        j->keyed_rows[(*n)++] = rows[i];
    }
    return *n == 0 || keys_prepare(&j->base.keys[side], in, j->keyed_rows, *n, &j->base.batch_keys);
}

/* ---- the table ---- */

static void count_rows(struct lookup_op *j)
{
    j->base.op.counters.held = j->base.op.counters.state_rows = store_of(j)->rows;
}

static void empty_chain(struct lookup_op *j, struct row_chain *chain)
{
    j->base.op.counters.consumed += chain->count;
    chain_free(store_of(j), chain);
    chain_open(chain);
}

/* Takes out a row that is the same as row @row of @in. */
static void remove_same(struct lookup_op *j, struct row_chain *chain, const struct batch *in,
                        uint32_t row)
{
    struct row_store *store = store_of(j);
    uint32_t before = ROW_NONE;

    for (uint32_t id = chain->head; id != ROW_NONE; before = id, id = *rows_next(store, id)) {
        if (!rows_equal(store, id, in, row))
            continue;
        chain_take(store, chain, before);
        rows_free(store, &id, 1);
        j->base.op.counters.consumed += 2; /* and the row that takes it back */
        return;
    }
    j->base.op.counters.filtered++;
}

static bool change(struct lookup_op *j, struct row_chain *chain, const struct batch *in,
                   uint16_t row)
{
    const int8_t kind = batch_kind(in, row);
    const bool upserts = j->base.join->upserts;
    uint32_t id;

    if (upserts && kind == ROW_UPDATE_BEFORE) {
        j->base.op.counters.filtered++;
        return true;
    }
    if (upserts)
        empty_chain(j, chain);
    if (row_kind_weight(kind) < 0) {
        if (upserts)
            j->base.op.counters.consumed++;
        else
            remove_same(j, chain, in, row);
        return true;
    }
    if (!pairs_keep(&j->base.pairs, 1, in, &row, 1, &id))
        return false;
    chain_push(store_of(j), chain, id);
    return true;
}

static bool change_all(struct lookup_op *j, const struct batch *in, uint32_t n)
{
    const uint32_t before = j->base.table.groups;
    bool ok = table_lookup(&j->base.table, &j->base.batch_keys, NULL, n, (void **)j->chains);

    for (uint32_t id = before; id < j->base.table.groups; id++)
        chain_open(table_state(&j->base.table, id));
    if (!ok)
        return false;
    if (in->row_kinds == NULL && !j->base.join->upserts) {
        ok = pairs_keep(&j->base.pairs, 1, in, j->keyed_rows, n, j->ids);
        if (ok)
            chain_push_all(store_of(j), j->chains, j->ids, n);
        return ok;
    }
    for (uint32_t i = 0; i < n && ok; i++)
        ok = change(j, j->chains[i], in, j->keyed_rows[i]);
    return ok;
}

static enum op_progress take_right(struct lookup_op *j, struct batch *in)
{
    uint32_t n;
    bool ok;

    for (uint32_t i = 0; i < in->live; i++)
        j->rows[i] = (uint16_t)batch_row(in, i);
    ok = prepare(j, 1, in, j->rows, in->live, &n);
    j->base.op.counters.filtered += in->live - n;
    ok = ok && (n == 0 || change_all(j, in, n));
    batch_release(in);
    count_rows(j);
    return ok ? OP_READY : join_base_no_memory(&j->base);
}

/* ---- rows of the left ---- */

static inline void found_add(struct lookup_op *j, uint32_t id)
{
    j->found_of[j->base.found] = (uint16_t)j->at;
    j->base.refs[0][j->base.found] = j->rows[j->at];
    j->base.refs[1][j->base.found++] = id;
}

/* Pairs from row at on, as many as a batch has rows. */
static void find(struct lookup_op *j)
{
    const struct row_store *store = store_of(j);
    const uint32_t room = j->base.op.context->batch_rows;

    j->base.found = j->base.handed = 0;
    for (; j->at < j->in->live; j->at++, j->started = false) {
        const uint32_t group = j->groups[j->at];

        if (!j->started)
            j->cursor = group != TABLE_NO_GROUP
                            ? ((struct row_chain *)table_state(&j->base.table, group))->head
                            : ROW_NONE;
        j->started = true;
        for (; j->cursor != ROW_NONE; j->cursor = *rows_next(store, j->cursor)) {
            if (j->base.found == room)
                return;
            found_add(j, j->cursor);
        }
        if (j->base.join->type != JOIN_TYPE_LEFT)
            continue;
        if (j->base.found == room)
            return;
        found_add(j, ROW_NONE);
    }
}

static bool test_found(struct lookup_op *j)
{
    uint32_t *const refs[2] = {j->base.refs[0], j->base.refs[1]};
    uint32_t kept = 0;

    if (!pairs_filter(&j->base.pairs, refs, j->base.found, j->base.is_true))
        return false;
    for (uint32_t n = 0; n < j->base.found; n++) {
        bool *met = &j->met[j->found_of[n]];

        if (!j->base.is_true[n] || (refs[1][n] == ROW_NONE && *met))
            continue;
        *met = true;
        refs[0][kept] = refs[0][n];
        refs[1][kept++] = refs[1][n];
    }
    j->base.found = kept;
    return true;
}

static enum op_progress join_rows(struct lookup_op *j, const struct step_time *t)
{
    while (j->in != NULL) {
        enum op_progress p = join_hand_on(&j->base, NULL, t);

        if (p != OP_READY)
            return p;
        if (j->at == j->in->live || op_stopping(&j->base.op)) {
            p = emit_flush(&j->base.pairs.emit, t);
            batch_release(j->in);
            j->in = j->base.pairs.cause = NULL;
            return p;
        }
        find(j);
        if (!test_found(j))
            return join_base_no_memory(&j->base);
    }
    return OP_READY;
}

/* Of a table that has all come: whether each group has one row, under its own number. */
static void see_end(struct lookup_op *j, const struct step_time *t)
{
    const struct row_store *store = store_of(j);

    if (j->ended || !j->base.join->ends[1] || (j->right & ~t->ended) != 0)
        return;
    j->ended = true;
    j->one_each = j->base.pairs.residual.program == NULL && store->rows == j->base.table.groups;
    for (uint32_t id = 0; j->one_each && id < j->base.table.groups; id++) {
        const struct row_chain *chain = table_state(&j->base.table, id);

        j->one_each = chain->count == 1 && chain->head == id;
    }
}

static bool take_plain(struct lookup_op *j, struct batch *in, const struct step_time *t,
                       enum op_progress *p)
{
    const struct plain_sides sides = {.port = 0,
                                      .layout = &j->base.keys[0],
                                      .keys = &j->base.batch_keys,
                                      .rows = store_of(j),
                                      .kept = j->base.pairs.side[1].kept_at};

    see_end(j, t);
    return j->one_each && join_plain_push(&j->plain, &sides, in, t, p);
}

static enum op_progress take_left(struct lookup_op *j, struct batch *in, const struct step_time *t)
{
    enum op_progress p;
    uint32_t n;

    if (in->live == 0) {
        batch_release(in);
        return OP_READY;
    }
    j->base.op.counters.consumed += in->live;
    if (take_plain(j, in, t, &p))
        return p;
    j->in = j->base.pairs.cause = in;
    j->base.pairs.cause_side = 0;
    j->at = j->base.found = j->base.handed = 0;
    j->started = false;
    for (uint32_t i = 0; i < in->live; i++) {
        j->rows[i] = (uint16_t)batch_row(in, i);
        j->groups[i] = TABLE_NO_GROUP;
        j->met[i] = false;
    }
    if (!prepare(j, 0, in, j->rows, in->live, &n))
        return join_base_no_memory(&j->base);
    if (n > 0)
        table_find(&j->base.table, &j->base.batch_keys, NULL, n, j->ids);
    for (uint32_t i = 0; i < n; i++)
        j->groups[j->keyed[i]] = j->ids[i];
    p = emit_cause(&j->base.pairs.emit, in, 0, t);
    return p == OP_READY ? join_rows(j, t) : p;
}

static enum op_progress lookup_take(struct op *op, uint32_t port, struct batch *batch,
                                    const struct step_time *t)
{
    struct lookup_op *j = (struct lookup_op *)op;

    return port == 0 ? take_left(j, batch, t) : take_right(j, batch);
}

/* ---- steps ---- */

/* Nobody looks anything up any more. */
static void forget(struct lookup_op *j)
{
    for (uint32_t id = 0; id < j->base.table.groups; id++)
        chain_open(table_state(&j->base.table, id));
    j->base.op.counters.consumed += store_of(j)->rows;
    rows_reset(store_of(j));
    count_rows(j);
}

/* A step of a table that had ended: it is read anew. */
static enum op_progress lookup_begin_step(struct op *op, const struct step_time *t)
{
    struct lookup_op *j = (struct lookup_op *)op;

    if (t->source < 64 && (t->ended & j->right) >> t->source & 1) {
        forget(j);
        table_reset(&j->base.table);
        join_plain_reset(&j->plain);
        j->ended = j->one_each = false;
    }
    return join_base_begin_step(op, t);
}

static enum op_progress end_step(struct lookup_op *j, enum op_progress p, const struct step_time *t)
{
    if (p == OP_READY && t->last && j->base.ports.phase == PORTS_ENDING)
        forget(j);
    return p;
}

static enum op_progress lookup_end_step(struct op *op, const struct step_time *t)
{
    struct lookup_op *j = (struct lookup_op *)op;

    return end_step(j, ports_end(&j->base.ports, t), t);
}

static enum op_progress lookup_resume(struct op *op, const struct step_time *t)
{
    struct lookup_op *j = (struct lookup_op *)op;
    const enum op_progress p = join_rows(j, t);

    return p == OP_READY ? end_step(j, ports_resume(&j->base.ports, t), t) : p;
}

/* ---- life ---- */

static void lookup_snapshot(struct op *op, struct snapshot_writer *to)
{
    struct lookup_op *j = (struct lookup_op *)op;

    CHECK(j->in == NULL && ports_empty(&j->base.ports));
    snapshot_put(to, &op->counters, sizeof op->counters);
    snapshot_u32(to, j->base.table.groups);
    for (uint32_t id = 0; id < j->base.table.groups; id++) {
        table_key_snapshot(&j->base.table, id, to);
        chain_save(store_of(j), table_state(&j->base.table, id), to);
    }
}

static bool lookup_restore(struct op *op, struct snapshot_reader *from)
{
    struct lookup_op *j = (struct lookup_op *)op;
    uint32_t groups;

    snapshot_get(from, &op->counters, sizeof op->counters);
    groups = snapshot_get_u32(from);
    for (uint32_t i = 0; i < groups && !from->failed; i++)
        if (table_key_restore(&j->base.table, from) != i ||
            !chain_restore(store_of(j), table_state(&j->base.table, i), from))
            return false;
    return !from->failed;
}

static bool lookup_valid(const struct op *op)
{
    struct lookup_op *j = (struct lookup_op *)op;
    const struct op_counters *c = &op->counters;
    uint64_t rows = 0;

    for (uint32_t id = 0; id < j->base.table.groups; id++) {
        const struct row_chain *chain = table_state(&j->base.table, id);

        if (!chain_valid(store_of(j), chain))
            return false;
        rows += chain->count;
    }
    return rows == store_of(j)->rows && c->held == rows && table_valid(&j->base.table) &&
           rows_valid(store_of(j)) &&
           c->in == c->consumed + c->filtered + c->late + c->dead + c->held;
}

static void lookup_close(struct op *op)
{
    struct lookup_op *j = (struct lookup_op *)op;

    batch_release(j->in);
    join_plain_close(&j->plain);
    join_base_close(&j->base);
    heap_free(op->heap, j, sizeof *j);
}

static const struct op_vtable lookup_vtable = {.name = "lookup join",
                                               .begin_step = lookup_begin_step,
                                               .push = join_base_push,
                                               .rows_ended = join_base_rows_ended,
                                               .end_step = lookup_end_step,
                                               .resume = lookup_resume,
                                               .snapshot = lookup_snapshot,
                                               .restore = lookup_restore,
                                               .valid = lookup_valid,
                                               .inspect = join_base_inspect,
                                               .close = lookup_close};

struct op *op_lookup_join_new(struct op_context *context, const struct phys_node *node)
{
    static const char *const advice =
        "it keeps the whole table that rows are looked up in: select fewer of its columns, or";
    static const bool in_time_order[2] = {false, false};
    struct lookup_op *j = heap_zalloc(context->heap, sizeof *j);
    const struct join_node *join = node->join;

    if (j == NULL)
        goto fail;
    j->right = node->inputs[1]->sources;
    join_base_init(&j->base, &lookup_vtable, context, node, advice);
    if (!join_base_open(&j->base, node, lookup_take, join->keys, join->key_count) ||
        !pairs_open(&j->base.pairs, &j->base.op, node, in_time_order, 0))
        goto fail;
    table_open(&j->base.table, context->heap, &j->base.keys[1], sizeof(struct row_chain),
               context->seed);
    join_plain_open(&j->plain, &j->base.op, node, &j->base.table, advice);
    return &j->base.op;
fail:
    if (context->error->code == MILL_OK)
        mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for a lookup join");
    if (j != NULL)
        lookup_close(&j->base.op);
    return NULL;
}
