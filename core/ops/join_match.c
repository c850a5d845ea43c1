/* core/ops/join_match.c - the regular join: candidates of a batch's rows, the residual condition, results. */
#include "core/ops/join_impl.h"

/* ---- candidates ---- */

/* Whether what follows a row's candidates makes a result. */
static bool ends_matter(const struct join_op *j)
{
    return !j->pairs ? j->port == 0 : join_pads(j->node->type, j->port);
}

/* A row of the left that has a partner needs no more of them to be given. */
static bool one_is_enough(const struct join_op *j)
{
    return !j->pairs && j->port == 0 && j->residual.program == NULL && j->all_inserts;
}

static uint32_t first_candidate(const struct join_op *j, uint32_t k)
{
    return j->states[k] != NULL ? j->states[k]->chain[!j->port].head : ROW_NONE;
}

/* Takes up where it left off. */
static void find_candidates(struct join_op *j)
{
    const struct row_store *others = &j->side[!j->port].rows;
    struct join_candidates *c = &j->candidates;
    const bool ends = ends_matter(j), one = one_is_enough(j);

    c->count = 0;
    while (j->next < j->end && c->count < JOIN_CANDIDATES) {
        const uint16_t row = j->rows[j->next];

        if (!j->within)
            j->at = first_candidate(j, j->next);
        j->within = true;
        for (; j->at != ROW_NONE && c->count < JOIN_CANDIDATES; c->count++) {
            c->row[c->count] = row;
            c->id[c->count] = j->at;
            j->at = one ? ROW_NONE : *rows_next(others, j->at);
        }
        if (j->at != ROW_NONE || (ends && c->count == JOIN_CANDIDATES))
            return;
        if (ends) {
            c->row[c->count] = row;
            c->id[c->count++] = ROW_NONE;
        }
        j->within = false;
        j->next++;
    }
}

/* ---- the residual condition ---- */

/* Puts the pairs of candidates[first ..] into @pairs, as many as it holds; what the candidates' numbers are goes to which[].
 * Returns the first candidate not looked at, 0 without memory. */
static uint32_t put_pairs(struct join_op *j, struct batch *pairs, uint32_t first, uint16_t *which)
{
    const struct join_candidates *c = &j->candidates;
    const uint32_t left = j->plan->inputs[0]->schema.field_count;
    uint16_t rows[JOIN_CANDIDATES];
    uint32_t ids[JOIN_CANDIDATES], n = 0;

    for (; first < c->count && n < pairs->capacity; first++) {
        if (c->id[first] == ROW_NONE)
            continue;
        which[n] = (uint16_t)first;
        rows[n] = c->row[first];
        ids[n++] = c->id[first];
    }
    for (uint32_t i = 0; i < j->residual.both.field_count; i++) {
        const uint32_t side = i >= left, own = i - (side == 1 ? left : 0);
        const struct mill_type *type = &j->residual.both.fields[i].type;

        if (!j->residual.reads[i])
            continue;
        if (!column_own(pairs, &pairs->columns[i], type) ||
            !(side == j->port
                  ? column_gather(pairs, &pairs->columns[i], 0, &j->batch->columns[own], rows, n,
                                  type)
                  : rows_gather(&j->side[side].rows, ids, n, (uint32_t)j->side[side].kept[own],
                                pairs, &pairs->columns[i], 0)))
            return 0;
    }
    pairs->rows = pairs->live = n;
    pairs->step = j->batch->step;
    pairs->split = j->batch->split;
    return first;
}

static enum op_progress test_candidates(struct join_op *j)
{
    struct op_context *context = j->op.context;
    struct join_candidates *c = &j->candidates;

    memset(c->fails, j->residual.program != NULL, c->count * sizeof *c->fails);
    for (uint32_t first = 0; j->residual.program != NULL && first < c->count;) {
        struct batch *pairs = context->take_batch(context, j->residual.both.field_count);
        uint16_t which[JOIN_CANDIDATES];
        uint64_t filtered;

        if (pairs == NULL)
            return OP_FAILED;
        first = put_pairs(j, pairs, first, which);
        if (first == 0) {
            batch_release(pairs);
            return join_no_memory(j);
        }
        if (pairs->live > 0 && program_filter(j->residual.program, pairs, &context->eval, &filtered,
                                              context->error) != MILL_OK) {
            batch_release(pairs);
            return OP_FAILED;
        }
        for (uint32_t i = 0; i < pairs->live; i++)
            c->fails[which[batch_row(pairs, i)]] = false;
        batch_release(pairs);
    }
    return OP_READY;
}

/* ---- results ---- */

static void add(struct join_op *j, uint16_t row, uint32_t id, bool bare, int8_t kind)
{
    struct join_results *r = &j->results;

    r->row[r->count] = row;
    r->id[r->count] = id;
    r->bare[r->count] = bare;
    r->kind[r->count++] = kind;
}

static int8_t kind_of(const struct join_op *j, uint16_t row)
{
    const int8_t kind = batch_kind(j->batch, row);

    if (!j->pairs || j->node->type == JOIN_TYPE_INNER)
        return kind;
    return row_kind_weight(kind) > 0 ? ROW_INSERT : ROW_DELETE;
}

/* Its first partner comes, or its last one goes: a row of the other side with @mark partners before this. */
static void other_turns(struct join_op *j, uint16_t row, uint32_t id, bool comes)
{
    const bool gives = comes == (j->node->type == JOIN_TYPE_SEMI);

    if (j->pairs ? j->plan->changelog : j->node->type == JOIN_TYPE_SEMI || j->plan->changelog)
        add(j, row, id, true, gives ? ROW_INSERT : ROW_DELETE);
}

/* A row of the batch and one of the other side. */
static void pair(struct join_op *j, uint16_t row, uint32_t id, uint32_t weight_up)
{
    const bool counts = j->side[!j->port].marks;
    uint32_t *mark = counts ? rows_mark(&j->side[!j->port].rows, id) : NULL;

    if (weight_up) {
        if (counts && (*mark)++ == 0)
            other_turns(j, row, id, true);
        if (j->pairs)
            add(j, row, id, false, kind_of(j, row));
        return;
    }
    if (j->pairs)
        add(j, row, id, false, kind_of(j, row));
    if (counts && *mark > 0 && --*mark == 0)
        other_turns(j, row, id, false);
}

/* All partners of a row of the batch are known. */
static void row_end(struct join_op *j, uint32_t k, bool up)
{
    const bool alone = j->matches[k] == 0;
    const uint16_t row = j->rows[k];

    if (!j->pairs) {
        if (alone == (j->node->type == JOIN_TYPE_SEMI))
            return;
    } else if (!alone) {
        return;
    }
    /* final rows: a partner may come yet */
    if (alone && join_waits(j, j->port) && !j->keyless[k] && !join_over(j, !j->port))
        return;
    add(j, row, ROW_NONE, false,
        !j->pairs ? batch_kind(j->batch, row)
        : up      ? ROW_INSERT
                  : ROW_DELETE);
}

static void make_results(struct join_op *j)
{
    const struct join_candidates *c = &j->candidates;
    const bool up = !join_takes_back(j);
    uint32_t k = j->result_row;

    j->results.count = j->results.given = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        while (j->rows[k] != c->row[i])
            k++;
        if (c->id[i] == ROW_NONE) {
            row_end(j, k, up);
        } else if (!c->fails[i]) {
            j->matches[k]++;
            pair(j, c->row[i], c->id[i], up);
        }
    }
    j->result_row = k;
}

/* ---- giving ---- */

/* Column @c of side @side of results [first, first + count) into column @to from row @at on. */
static bool put_column(struct join_op *j, uint32_t side, uint32_t c, uint32_t to, uint32_t at,
                       uint32_t first, uint32_t count)
{
    const struct join_results *r = &j->results;
    struct batch *out = j->out.out;
    struct column *into = &out->columns[to];
    const struct mill_type *type = &j->plan->schema.fields[to].type;

    if (join_left_out(j, side, c, into))
        return true;
    if (side != j->port)
        return rows_gather(&j->side[side].rows, r->id + first, count,
                           (uint32_t)j->side[side].kept[c], out, into, at);
    if (!column_gather(out, into, at, &j->batch->columns[c], r->row + first, count, type))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (r->bare[first + i] && !column_put_null(out, into, at + i))
            return false;
    return true;
}

static bool put_results(struct join_op *j, uint32_t at, uint32_t first, uint32_t count)
{
    uint32_t to = 0;

    for (uint32_t side = 0; side < (j->pairs ? 2u : 1u); side++)
        for (uint32_t c = 0; c < j->node->own[side]; c++)
            if (!put_column(j, side, c, to++, at, first, count))
                return false;
    return true;
}

static enum op_progress give_results(struct join_op *j, const struct step_time *t)
{
    struct join_results *r = &j->results;

    while (r->given < r->count) {
        const uint32_t first = r->given;
        int32_t at = -1;

        if (emit_full(&j->out)) {
            const enum op_progress p = emit_flush(&j->out, t);

            if (p != OP_READY)
                return p;
        }
        do {
            const int32_t row = emit_row(&j->out, r->row[r->given], r->kind[r->given]);

            if (row < 0)
                return OP_FAILED;
            at = at < 0 ? row : at;
            r->given++;
        } while (r->given < r->count && !emit_full(&j->out));
        if (!put_results(j, (uint32_t)at, first, r->given - first))
            return join_no_memory(j);
    }
    return OP_READY;
}

enum op_progress join_run(struct join_op *j, const struct step_time *t)
{
    for (;;) {
        enum op_progress p = give_results(j, t);

        if (p != OP_READY)
            return p;
        if (j->next == j->end)
            return OP_READY;
        find_candidates(j);
        p = test_candidates(j);
        if (p != OP_READY)
            return p;
        make_results(j);
    }
}
