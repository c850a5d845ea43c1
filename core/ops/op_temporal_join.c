/* core/ops/op_temporal_join.c - l JOIN t FOR SYSTEM_TIME AS OF l.time, and ASOF JOIN: one row of the right at most.
 *
 * Rows of the right are versions by key and time (core/ops/versions.h). Those of the left wait in event-time order until the
 * watermark has reached their time, then meet the version that is valid then; with the residual condition not TRUE they meet
 * nobody. A row of the left that comes when the watermark has passed its time leaves at once and meets what is still kept.
 * Temporal join: -U is no news, -D ends a version, a row of the same key and time takes the place of the one before.
 *
 *   left:  in = waiting (held) + given or without partner (consumed) + late + without a time (filtered)
 *   right: in = kept (held) + dropped, and ends (consumed) + late + -U, without a key or time (filtered)
 *
 * Threads: one shard.   Errors: MILL_E_MEMORY.
 */
#include "core/ops/emit.h"
#include "core/ops/join_condition.h"
#include "core/ops/ports.h"
#include "core/ops/versions.h"
#include "core/plan/physical.h"

#define CHUNK_ROWS 1024u
#define TURN_BATCHES 4u
#define SWEEP_KEYS 256u /* per step, and an eighth of all */

struct temporal_op {
    struct op op;
    const struct phys_node *node;
    const struct join_node *join;
    struct ports ports;
    struct emitter emit;
    struct order order; /* of left rows */
    struct versions versions;
    struct key_layout keys; /* of the left */
    struct key_batch batch_keys[2];
    int64_t lower; /* a version counts from its row's time + lower on */
    const uint32_t *kept;
    uint32_t kept_count;
    bool any_unsafe; /* some key column's NULL equals nothing */

    /* rows of one batch being given, from row @next on */
    const struct batch *from;
    struct batch *late;        /* it is this one, */
    struct order_block *block; /* or that of this block, a share of which is held */
    struct order_ref refs[CHUNK_ROWS],
        ahead; /* ahead: taken, of the next block; block NULL: none */
    uint16_t rows[BATCH_ROWS_MAX];
    uint32_t ids[BATCH_ROWS_MAX];
    int64_t times[BATCH_ROWS_MAX], w[BATCH_ROWS_MAX];
    uint32_t count, next;

    bool ending, released; /* the step has ended; all that it releases has been given */
    int64_t w_after;

    struct residual residual;
    struct batch *pairs; /* as rows of both inputs */

    struct version_list *lists[BATCH_ROWS_MAX];
    uint32_t groups[BATCH_ROWS_MAX];
    uint16_t keyed[BATCH_ROWS_MAX], keyed_rows[BATCH_ROWS_MAX];
};

static enum op_progress no_memory(struct temporal_op *j)
{
    if (j->op.context->error->code != MILL_OK)
        return OP_FAILED;
    return op_no_memory(&j->op,
                        "it keeps the versions of each key that the watermark has not passed, "
                        "and the rows that wait for it: use a shorter delay, or");
}

/* ---- keys ---- */

/* Positions in @rows whose keys can equal something, into keyed[], their rows into keyed_rows[]; prepares their keys. */
static bool prepare(struct temporal_op *j, uint32_t side, const struct batch *in,
                    const uint16_t *rows, uint32_t count, uint32_t *n)
{
    *n = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (j->any_unsafe && join_equals_nothing(j->node, side, in, rows[i]))
            continue;
        j->keyed[*n] = (uint16_t)i;
        j->keyed_rows[(*n)++] = rows[i];
    }
    return *n == 0 || keys_prepare(side == 0 ? &j->keys : &j->versions.keys, in, j->keyed_rows, *n,
                                   &j->batch_keys[side]);
}

/* ---- rows of the right ---- */

static int64_t time_at(const struct column *c, uint32_t row)
{
    return ((const int64_t *)c->values)[c->constant ? 0 : row];
}

/* Rows that make versions; the others are counted. */
static uint32_t right_rows(struct temporal_op *j, const struct batch *in, uint16_t *rows)
{
    const struct column *time = &in->columns[j->join->time[1]];
    uint32_t n = 0;

    for (uint32_t i = 0; i < in->live; i++) {
        const uint32_t row = batch_row(in, i);

        if (batch_kind(in, row) == ROW_UPDATE_BEFORE) {
            j->op.counters.filtered++;
        } else if (!column_valid(time, row)) {
            j->op.counters.filtered++;
            j->op.counters.null_time++;
        } else {
            rows[n++] = (uint16_t)row;
        }
    }
    return n;
}

static bool add_versions(struct temporal_op *j, const struct batch *in, uint32_t n,
                         const struct step_time *t)
{
    const struct column *time = &in->columns[j->join->time[1]];
    uint16_t kept[BATCH_ROWS_MAX];
    uint32_t next = 0, kept_count = 0;

    for (uint32_t i = 0; i < n; i++)
        if (batch_kind(in, j->keyed_rows[i]) != ROW_DELETE)
            kept[kept_count++] = j->keyed_rows[i];
    if (!rows_append(&j->versions.rows, in, kept, kept_count, j->ids))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t row = j->keyed_rows[i];
        const bool deleted = batch_kind(in, row) == ROW_DELETE;
        const struct version version = {.time = time_add(time_at(time, row), j->lower),
                                        .seen = row_watermark(t, in, row),
                                        .id = deleted ? ROW_NONE : j->ids[next++]};

        j->op.counters.late += version.seen >= version.time;
        j->op.counters.consumed += deleted && version.seen < version.time;
        versions_drop(&j->versions, j->lists[i], t->w_before);
        if (!versions_add(&j->versions, j->lists[i], &version))
            return false;
    }
    return true;
}

static void count_versions(struct temporal_op *j)
{
    j->op.counters.consumed += j->versions.gone;
    j->versions.gone = 0;
    j->op.counters.held = j->versions.held + j->order.rows;
    j->op.counters.state_rows = j->versions.rows.rows + j->order.rows;
}

static enum op_progress take_right(struct temporal_op *j, struct batch *in,
                                   const struct step_time *t)
{
    uint16_t rows[BATCH_ROWS_MAX];
    const uint32_t count = right_rows(j, in, rows);
    uint32_t n;
    bool ok = prepare(j, 1, in, rows, count, &n);

    j->op.counters.filtered += count - n;
    ok = ok && (n == 0 || (versions_of(&j->versions, &j->batch_keys[1], n, j->lists) &&
                           add_versions(j, in, n, t)));
    batch_release(in);
    if (!ok)
        return no_memory(j);
    count_versions(j);
    return OP_READY;
}

/* ---- the residual condition ---- */

/* Columns of the pairs that it reads. */
static bool pairs_fill(struct temporal_op *j, const uint16_t *at, uint32_t n)
{
    const uint32_t left = j->node->inputs[0]->schema.field_count;
    uint16_t rows[BATCH_ROWS_MAX];
    uint32_t ids[BATCH_ROWS_MAX];

    batch_reset(j->pairs, j->residual.both.field_count);
    if (j->pairs->columns == NULL)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        rows[i] = j->rows[at[i]];
        ids[i] = j->ids[at[i]];
    }
    for (uint32_t c = 0; c < j->residual.both.field_count; c++) {
        const struct mill_type *type = &j->residual.both.fields[c].type;
        struct column *into = &j->pairs->columns[c];

        if (!j->residual.reads[c])
            continue;
        if (!column_own(j->pairs, into, type))
            return false;
        if (c < left && !column_gather(j->pairs, into, 0, &j->from->columns[c], rows, n, type))
            return false;
        for (uint32_t k = 0; c >= left && k < j->kept_count; k++)
            if (j->kept[k] == c - left &&
                !rows_gather(&j->versions.rows, ids, n, k, j->pairs, into, 0))
                return false;
    }
    j->pairs->rows = j->pairs->live = n;
    j->pairs->step = j->from->step;
    return true;
}

/* Those of the rows whose pair does not pass have no partner. */
static bool test_pairs(struct temporal_op *j)
{
    uint16_t at[BATCH_ROWS_MAX];
    uint64_t filtered = 0;
    uint32_t n = 0, passed = 0;

    for (uint32_t i = 0; i < j->count; i++)
        if (j->ids[i] != ROW_NONE)
            at[n++] = (uint16_t)i;
    if (n == 0)
        return true;
    if (!pairs_fill(j, at, n) || program_filter(j->residual.program, j->pairs, &j->op.context->eval,
                                                &filtered, j->op.context->error) != MILL_OK)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (passed < j->pairs->live && batch_row(j->pairs, passed) == i)
            passed++;
        else
            j->ids[at[i]] = ROW_NONE;
    }
    return true;
}

/* ---- rows of the left ---- */

/* The partner of rows[0 .. count) of from, @late: when the watermark had passed them; leaves out those without a result. */
static bool meet(struct temporal_op *j, bool late)
{
    uint32_t n, kept = 0;

    for (uint32_t i = 0; i < j->count; i++)
        j->ids[i] = ROW_NONE;
    if (!prepare(j, 0, j->from, j->rows, j->count, &n))
        return false;
    if (n > 0)
        table_find(&j->versions.table, &j->batch_keys[0], NULL, n, j->groups);
    for (uint32_t i = 0; i < n; i++)
        if (j->groups[i] != TABLE_NO_GROUP)
            __builtin_prefetch(versions_list(&j->versions, j->groups[i]));
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t at = j->keyed[i];

        if (j->groups[i] == TABLE_NO_GROUP)
            continue;
        const struct version_list *list = versions_list(&j->versions, j->groups[i]);

        j->ids[at] = late ? versions_late(&j->versions, list, j->times[at], j->w[at])
                          : versions_at(&j->versions, list, j->times[at]);
    }
    if (j->residual.program != NULL && !test_pairs(j))
        return false;
    for (uint32_t i = 0; i < j->count && j->join->type == JOIN_TYPE_INNER; i++)
        if (j->ids[i] != ROW_NONE) {
            j->rows[kept] = j->rows[i];
            j->ids[kept] = j->ids[i];
            if (!late)
                j->refs[kept] = j->refs[i];
            kept++;
        }
    if (j->join->type == JOIN_TYPE_INNER)
        j->count = kept;
    return true;
}

/* Columns of @n results from row @at of the batch being filled. */
static bool fill(struct temporal_op *j, uint32_t at, uint32_t n)
{
    struct batch *out = j->emit.out;
    const struct mill_schema *schema = &j->node->schema;
    const uint32_t left = j->join->own[0];

    for (uint32_t c = 0; c < left; c++)
        if (!column_gather(out, &out->columns[c], at, &j->from->columns[c], j->rows + j->next, n,
                           &schema->fields[c].type))
            return false;
    for (uint32_t k = 0; k < j->kept_count; k++)
        if (!rows_gather(&j->versions.rows, j->ids + j->next, n, k, out,
                         &out->columns[left + j->kept[k]], at))
            return false;
    return true;
}

static int32_t result(struct temporal_op *j, uint32_t i, const struct step_time *t)
{
    struct mill_view key;

    if (j->late != NULL)
        return emit_row(&j->emit, j->rows[i], ROW_INSERT);
    key = emit_ref_key(&j->emit, &j->refs[i]);
    return key.length == UINT32_MAX ? -1 : emit_fired(&j->emit, t, &key, ROW_INSERT);
}

/* Hands on what has been met. */
static enum op_progress give(struct temporal_op *j, const struct step_time *t)
{
    while (j->next < j->count) {
        int32_t first;
        uint32_t n;

        if (emit_full(&j->emit)) {
            const enum op_progress p = emit_flush(&j->emit, t);

            if (p != OP_READY)
                return p;
        }
        first = result(j, j->next, t);
        if (first < 0)
            return no_memory(j);
        n = min_u32(j->count - j->next, j->emit.out->capacity - (uint32_t)first);
        for (uint32_t i = 1; i < n; i++)
            if (result(j, j->next + i, t) < 0)
                return no_memory(j);
        if (!fill(j, (uint32_t)first, n))
            return no_memory(j);
        j->next += n;
    }
    return OP_READY;
}

/* Times of the rows; those that are on time wait, the late ones are what is left in rows[], times[] and w[]. */
static bool take_times(struct temporal_op *j, const struct batch *in, const struct step_time *t)
{
    const struct column *time = &in->columns[j->join->time[0]];
    uint16_t rows[BATCH_ROWS_MAX];
    int64_t times[BATCH_ROWS_MAX];
    uint32_t n = 0;

    j->count = j->next = 0;
    for (uint32_t i = 0; i < in->live; i++) {
        const uint32_t row = batch_row(in, i);

        if (!column_valid(time, row)) {
            j->op.counters.filtered++;
            j->op.counters.null_time++;
            continue;
        }
        const int64_t at = time_at(time, row), w = row_watermark(t, in, row);

        if (at > w) {
            rows[n] = (uint16_t)row;
            times[n++] = at;
            continue;
        }
        j->rows[j->count] = (uint16_t)row;
        j->times[j->count] = at;
        j->w[j->count++] = w;
    }
    j->op.counters.late += j->count;
    return order_push(&j->order, in, rows, times, n);
}

static enum op_progress give_late(struct temporal_op *j, const struct step_time *t)
{
    enum op_progress p = give(j, t);
    struct batch *done = j->late;

    if (p != OP_READY || done == NULL)
        return p;
    p = emit_flush(&j->emit, t);
    j->late = NULL;
    j->from = NULL;
    j->count = j->next = 0;
    batch_release(done);
    return p;
}

static enum op_progress take_left(struct temporal_op *j, struct batch *in,
                                  const struct step_time *t)
{
    enum op_progress p;

    j->late = in;
    j->from = in;
    if (!take_times(j, in, t))
        return no_memory(j);
    count_versions(j);
    if (j->count > 0 && !meet(j, true))
        return no_memory(j);
    p = emit_cause(&j->emit, in, 0, t);
    return p == OP_READY ? give_late(j, t) : p;
}

static enum op_progress temporal_take(struct op *op, uint32_t port, struct batch *batch,
                                      const struct step_time *t)
{
    struct temporal_op *j = (struct temporal_op *)op;

    return port == 0 ? take_left(j, batch, t) : take_right(j, batch, t);
}

/* ---- the end of a step ---- */

static bool next_ref(struct temporal_op *j, struct order_ref *ref)
{
    if (j->ahead.block == NULL)
        return order_next(&j->order, j->w_after, ref);
    *ref = j->ahead;
    j->ahead.block = NULL;
    return true;
}

/* The next rows that leave, of one block; what they meet. */
static bool release(struct temporal_op *j)
{
    struct order_ref ref;

    j->count = j->next = 0;
    while (j->count < CHUNK_ROWS && next_ref(j, &ref)) {
        if (j->count > 0 && ref.block != j->refs[0].block) {
            j->ahead = ref;
            break;
        }
        j->refs[j->count] = ref;
        j->rows[j->count] = (uint16_t)ref.row;
        j->times[j->count++] = ref.time;
    }
    if (j->count == 0) {
        j->released = true;
        return true;
    }
    j->op.counters.consumed += j->count;
    j->block = j->refs[0].block;
    for (uint32_t i = 1; i < j->count; i++)
        order_drop(&j->order, j->block);
    j->from = j->block->rows;
    return meet(j, false);
}

/* All of the block's rows that were taken have been given. */
static void let_go(struct temporal_op *j)
{
    order_drop(&j->order, j->block);
    j->block = NULL;
    j->from = NULL;
}

static enum op_progress temporal_turn(struct temporal_op *j, const struct step_time *t)
{
    enum op_progress p = OP_READY;

    for (uint32_t i = 0; i < TURN_BATCHES && !j->released; i++) {
        if (j->from == NULL && !release(j))
            return no_memory(j);
        if (j->released)
            break;
        j->op.context->work += j->count;
        p = give(j, t);
        if (p != OP_READY)
            return p;
        let_go(j);
    }
    if (!j->released)
        return OP_BUSY;
    j->ending = j->released = false;
    if (t->last)
        versions_forget(&j->versions);
    else
        versions_sweep(&j->versions, SWEEP_KEYS + j->versions.table.groups / 8, t->w_after);
    count_versions(j);
    return emit_flush(&j->emit, t);
}

static enum op_progress temporal_begin(struct op *op, const struct step_time *t)
{
    ports_begin(&((struct temporal_op *)op)->ports, t);
    return OP_READY;
}

static enum op_progress temporal_push(struct op *op, uint32_t port, struct batch *batch,
                                      const struct step_time *t)
{
    op->counters.in += batch->live;
    return ports_push(&((struct temporal_op *)op)->ports, port, batch, t);
}

static enum op_progress temporal_rows_ended(struct op *op, const struct step_time *t)
{
    return ports_rows_ended(&((struct temporal_op *)op)->ports, t);
}

static enum op_progress temporal_end_step(struct op *op, const struct step_time *t)
{
    struct temporal_op *j = (struct temporal_op *)op;
    enum op_progress p;

    j->ending = true;
    j->w_after = t->last ? TIME_MAX : t->w_after;
    p = ports_end(&j->ports, t);
    return p == OP_READY ? temporal_turn(j, t) : p;
}

static enum op_progress temporal_resume(struct op *op, const struct step_time *t)
{
    struct temporal_op *j = (struct temporal_op *)op;
    enum op_progress p = j->late != NULL ? give_late(j, t) : OP_READY;

    if (p == OP_READY)
        p = ports_resume(&j->ports, t);
    return p == OP_READY && j->ending ? temporal_turn(j, t) : p;
}

/* ---- life ---- */

static void temporal_snapshot(struct op *op, struct snapshot_writer *to)
{
    const struct temporal_op *j = (const struct temporal_op *)op;

    CHECK(!j->ending && j->ahead.block == NULL && ports_empty(&j->ports));
    snapshot_put(to, &op->counters, sizeof op->counters);
    order_snapshot(&j->order, to);
    versions_snapshot(&j->versions, to);
}

static bool temporal_restore(struct op *op, struct snapshot_reader *from)
{
    struct temporal_op *j = (struct temporal_op *)op;

    snapshot_get(from, &op->counters, sizeof op->counters);
    return order_restore(&j->order, from) && versions_restore(&j->versions, from);
}

static bool temporal_valid(const struct op *op)
{
    const struct temporal_op *j = (const struct temporal_op *)op;
    const struct op_counters *c = &op->counters;

    return order_valid(&j->order) && versions_valid(&j->versions) &&
           c->held == j->versions.held + j->order.rows &&
           c->in == c->consumed + c->filtered + c->late + c->dead + c->held;
}

static void temporal_inspect(const struct op *op, uint32_t sample, struct op_state *state)
{
    table_inspect(&((const struct temporal_op *)op)->versions.table, sample, &state->tables);
    state->table_count++;
}

static void temporal_close(struct op *op)
{
    struct temporal_op *j = (struct temporal_op *)op;

    batch_release(j->late);
    if (j->block != NULL)
        order_drop(&j->order, j->block);
    if (j->ahead.block != NULL)
        order_drop(&j->order, j->ahead.block);
    ports_close(&j->ports);
    emit_close(&j->emit);
    order_close(&j->order);
    versions_close(&j->versions);
    key_layout_close(&j->keys);
    key_batch_close(&j->batch_keys[0]);
    key_batch_close(&j->batch_keys[1]);
    residual_close(&j->residual, op->heap);
    batch_free(j->pairs);
    heap_free(op->heap, j, sizeof *j);
}

static const struct op_vtable temporal_vtable = {.name = "temporal join",
                                                 .begin_step = temporal_begin,
                                                 .push = temporal_push,
                                                 .rows_ended = temporal_rows_ended,
                                                 .end_step = temporal_end_step,
                                                 .resume = temporal_resume,
                                                 .snapshot = temporal_snapshot,
                                                 .restore = temporal_restore,
                                                 .valid = temporal_valid,
                                                 .inspect = temporal_inspect,
                                                 .close = temporal_close};

static bool open_residual(struct temporal_op *j)
{
    if (!residual_open(&j->residual, &j->op, j->node))
        return false;
    if (j->residual.program != NULL)
        j->pairs = batch_new(j->op.heap, BATCH_ROWS_MAX, j->residual.both.field_count);
    return j->residual.program == NULL || j->pairs != NULL;
}

static bool temporal_open(struct temporal_op *j)
{
    const struct mill_schema *left = &j->node->inputs[0]->schema;
    const struct mill_schema *right = &j->node->inputs[1]->schema;
    const struct join_node *join = j->join;
    struct op_context *context = j->op.context;

    for (uint32_t k = 0; k < join->key_count; k++)
        j->any_unsafe = j->any_unsafe || !join->null_safe[k];
    order_open(&j->order, j->op.heap, left, max_u32(context->batch_rows, 64));
    if (!ports_open(&j->ports, &j->op, j->node, temporal_take) ||
        !versions_open(&j->versions, j->op.heap, right, j->kept, j->kept_count, join->keys[1],
                       join->key_count, context->seed) ||
        !key_layout_open(&j->keys, j->op.heap, left, join->keys[0], join->key_count) ||
        !key_batch_open(&j->batch_keys[0], j->op.heap) ||
        !key_batch_open(&j->batch_keys[1], j->op.heap) || !open_residual(j))
        return false;
    j->keys.kernels = j->versions.keys.kernels = context->kernels;
    if (j->node->kind == NODE_ASOF_JOIN) {
        j->lower = join->lower;
        j->versions.limited = join->upper != TIME_MAX;
        j->versions.reach = j->versions.limited ? join->upper - join->lower : 0;
    }
    return true;
}

struct op *op_temporal_join_new(struct op_context *context, const struct phys_node *node)
{
    struct temporal_op *j = heap_zalloc(context->heap, sizeof *j);

    if (j == NULL)
        goto fail;
    j->op = (struct op){.vtable = &temporal_vtable,
                        .context = context,
                        .heap = context->heap,
                        .id = node->id};
    j->node = node;
    j->join = node->join;
    j->kept = node->join->kept[1];
    j->kept_count = node->join->kept_count[1];
    emit_open(&j->emit, &j->op, node);
    if (temporal_open(j))
        return &j->op;
fail:
    if (context->error->code == MILL_OK)
        mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for a join");
    if (j != NULL)
        temporal_close(&j->op);
    return NULL;
}
