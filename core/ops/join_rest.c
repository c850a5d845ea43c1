/* core/ops/join_rest.c - the regular join over bounded input: rows without a partner, at the end.
 *
 * They leave by side, then by value, key columns first, NULL first: an order that does not hang on how rows came to which
 * shard. Equal rows leave as they came.
 */
#include "core/ops/join_impl.h"

#define BATCH_COST 1024 /* a batch of a few rows costs as much as that many */

/* ---- collecting ---- */

/* The side's columns that are kept, key columns first. */
static bool side_open(struct join_op *j)
{
    struct join_rest *r = &j->rest;
    const struct join_node *node = j->node;
    const struct mill_schema *schema = &j->plan->inputs[r->side]->schema;
    uint32_t columns[COLUMNS_MAX + 64], count = 0;

    for (uint32_t k = 0; k < node->key_count; k++)
        if (node->keys[r->side][k] < node->own[r->side] &&
            j->side[r->side].kept[node->keys[r->side][k]] >= 0)
            columns[count++] = node->keys[r->side][k];
    for (uint32_t c = 0; c < node->own[r->side]; c++)
        if (j->side[r->side].kept[c] >= 0)
            columns[count++] = c;
    if (!key_layout_open(&r->layout, j->op.heap, schema, columns, count) ||
        !key_batch_open(&r->keys, j->op.heap))
        return false;
    r->layout.kernels = j->op.context->kernels;
    table_open(&r->table, j->op.heap, &r->layout, sizeof(struct row_chain), j->op.context->seed);
    r->group = 0;
    r->id = ROW_NONE;
    r->sorted = false;
    return true;
}

static void side_close(struct join_op *j)
{
    struct join_rest *r = &j->rest;

    sorter_close(&r->sorter);
    table_close(&r->table);
    key_layout_close(&r->layout);
    key_batch_close(&r->keys);
    memset(&r->table, 0, sizeof r->table);
}

/* Up to @most rows without a partner; what follows them is read before they are linked anew. */
static uint32_t next_rows(struct join_op *j, uint32_t most, uint32_t *ids, int64_t *budget)
{
    struct join_rest *r = &j->rest;
    const struct row_store *rows = &j->side[r->side].rows;
    uint32_t n = 0;

    while (n<most && * budget> 0) {
        if (r->id == ROW_NONE) {
            if (r->group == j->table.groups)
                break;
            r->id = ((struct join_state *)table_state(&j->table, r->group++))->chain[r->side].head;
            --*budget;
            continue;
        }
        if (*rows_mark(rows, r->id) == 0)
            ids[n++] = r->id;
        r->id = *rows_next(rows, r->id);
        --*budget;
    }
    return n;
}

/* Groups them by their values. */
static bool take_rows(struct join_op *j, const uint32_t *ids, uint32_t count)
{
    struct join_rest *r = &j->rest;
    const struct row_store *rows = &j->side[r->side].rows;
    const struct mill_schema *schema = &j->plan->inputs[r->side]->schema;
    struct batch *batch = j->op.context->take_batch(j->op.context, schema->field_count);
    struct row_chain *chains[BATCH_ROWS_MAX];
    uint32_t groups = r->table.groups;
    bool ok = batch != NULL;

    for (uint32_t c = 0; c < j->node->own[r->side] && ok; c++) {
        const int32_t kept = j->side[r->side].kept[c];

        ok = kept < 0 ||
             (column_own(batch, &batch->columns[c], &schema->fields[c].type) &&
              rows_gather(rows, ids, count, (uint32_t)kept, batch, &batch->columns[c], 0));
    }
    if (ok) {
        batch->rows = batch->live = count;
        ok = keys_prepare(&r->layout, batch, NULL, count, &r->keys) &&
             table_lookup(&r->table, &r->keys, NULL, count, (void **)chains);
    }
    batch_release(batch);
    for (; ok && groups < r->table.groups; groups++)
        chain_open(table_state(&r->table, groups));
    if (ok)
        chain_push_all(rows, chains, ids, count);
    return ok;
}

static enum op_progress collect(struct join_op *j, int64_t *budget)
{
    struct join_rest *r = &j->rest;

    while (*budget > 0) {
        const uint32_t most = min_u32(j->op.context->batch_rows, BATCH_ROWS_MAX);
        const uint32_t n = next_rows(j, most, j->ids, budget);

        if (n > 0 && !take_rows(j, j->ids, n))
            return join_no_memory(j);
        if (n<most && * budget> 0) {
            r->sorted = true;
            r->next = 0;
            r->row = ROW_NONE;
            r->n = 0;
            return sorter_open(&r->sorter, &r->table) ? OP_READY : join_no_memory(j);
        }
    }
    return OP_BUSY;
}

/* ---- giving ---- */

static int32_t give_row(struct join_op *j, const struct step_time *t, uint32_t group)
{
    struct join_rest *r = &j->rest;
    const uint32_t n = __builtin_bswap32(r->n);
    struct mill_view key = view_of("", 0);

    if (j->out.keyed) {
        const uint32_t bytes = table_key_bytes(&r->table, group);
        char *to = (char *)r->keys.bytes;

        if (bytes + 5 > r->keys.byte_capacity) {
            heap_free(j->op.heap, r->keys.bytes, r->keys.byte_capacity);
            r->keys.byte_capacity = 2 * ((size_t)bytes + 5);
            r->keys.bytes = to = heap_alloc(j->op.heap, r->keys.byte_capacity);
            if (to == NULL) {
                r->keys.byte_capacity = 0;
                return -1;
            }
        }
        to[0] = (char)r->side;
        table_key_put(&r->table, group, to + 1);
        memcpy(to + 1 + bytes, &n, 4);
        key = view_of(to, bytes + 5);
    }
    return emit_fired(&j->out, t, &key, ROW_INSERT);
}

/* The rows' columns, and NULLs for the other side. */
static bool put_rows(struct join_op *j, uint32_t at, const uint32_t *ids, uint32_t count)
{
    const struct join_rest *r = &j->rest;
    struct batch *out = j->out.out;
    uint32_t to = 0;

    for (uint32_t side = 0; side < (j->pairs ? 2u : 1u); side++)
        for (uint32_t c = 0; c < j->node->own[side]; c++, to++) {
            struct column *into = &out->columns[to];

            if (join_left_out(j, side, c, into))
                continue;
            for (uint32_t i = 0; side != r->side && i < count; i++)
                if (!column_put_null(out, into, at + i))
                    return false;
            if (side == r->side && !rows_gather(&j->side[side].rows, ids, count,
                                                (uint32_t)j->side[side].kept[c], out, into, at))
                return false;
        }
    return true;
}

/* Fills one batch. False: no memory, or an error. */
static bool give_batch(struct join_op *j, const struct step_time *t, int64_t *budget)
{
    struct join_rest *r = &j->rest;
    const struct row_store *rows = &j->side[r->side].rows;
    uint32_t n = 0;
    int32_t at = -1;

    while (r->next < r->table.groups && !emit_full(&j->out)) {
        const uint32_t group = r->sorter.order[r->next];
        int32_t row;

        if (r->row == ROW_NONE)
            r->row = ((struct row_chain *)table_state(&r->table, group))->head;
        row = give_row(j, t, group);
        if (row < 0)
            return false;
        at = at < 0 ? row : at;
        j->ids[n++] = r->row;
        r->row = *rows_next(rows, r->row);
        r->n++;
        if (r->row == ROW_NONE) {
            r->n = 0;
            r->next++;
        }
    }
    *budget -= max_u32(n, BATCH_COST);
    return n == 0 || put_rows(j, (uint32_t)at, j->ids, n);
}

static enum op_progress give(struct join_op *j, const struct step_time *t, int64_t *budget)
{
    if (!sorter_turn(&j->rest.sorter, budget))
        return OP_BUSY;
    while (*budget > 0 && j->rest.next < j->rest.table.groups) {
        enum op_progress p;

        if (!give_batch(j, t, budget))
            return join_no_memory(j);
        p = emit_flush(&j->out, t);
        if (p != OP_READY)
            return p;
    }
    return *budget > 0 ? OP_READY : OP_BUSY;
}

/* ---- turns ---- */

static bool next_side(struct join_op *j)
{
    struct join_rest *r = &j->rest;

    while (r->side < 2 && !join_waits(j, r->side))
        r->side++;
    return r->side == 2 || side_open(j);
}

bool rest_open(struct join_op *j)
{
    j->rest.open = true;
    j->rest.side = 0;
    return next_side(j);
}

static enum op_progress sides(struct join_op *j, const struct step_time *t, int64_t *budget)
{
    struct join_rest *r = &j->rest;

    while (r->side < 2) {
        enum op_progress p = r->sorted ? OP_READY : collect(j, budget);

        if (p == OP_READY)
            p = give(j, t, budget);
        if (p != OP_READY)
            return p;
        side_close(j);
        r->side++;
        if (!next_side(j))
            return join_no_memory(j);
    }
    return OP_READY;
}

enum op_progress rest_turn(struct join_op *j, const struct step_time *t)
{
    struct op_context *context = j->op.context;
    int64_t budget = context->turn_work;
    const enum op_progress p = sides(j, t, &budget);

    context->work += (uint64_t)(context->turn_work - budget);
    if (p == OP_READY)
        j->rest.open = false;
    return p;
}

void rest_close(struct join_op *j)
{
    if (j->rest.layout.heap != NULL || j->rest.table.heap != NULL)
        side_close(j);
}
