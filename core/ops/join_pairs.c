/* core/ops/join_pairs.c - pairs of rows of two sides. */
#include "core/ops/join_pairs.h"

#include "core/plan/physical.h"

/* ---- opening ---- */

static bool is_wanted(const struct pairs *p, uint32_t output)
{
    return p->join->wanted == NULL || p->join->wanted[output];
}

static bool open_side(struct pairs *p, uint32_t s, bool keeps_key, uint32_t extra)
{
    const struct mill_schema *input = &p->node->inputs[s]->schema;
    const uint32_t n = input->field_count, first = s == 0 ? 0 : p->side[0].input->field_count;
    struct join_side *side = &p->side[s];
    struct heap *heap = p->op->heap;
    struct mill_field *fields = heap_zalloc(heap, (n + 1) * sizeof *fields);

    side->input = input;
    side->with_key = (struct mill_schema){n + 1, fields};
    side->columns = heap_zalloc(heap, (n + 1) * sizeof *side->columns);
    side->kept = heap_zalloc(heap, (n + 1) * sizeof *side->kept);
    side->kept_at = heap_zalloc(heap, (n + 1) * sizeof *side->kept_at);
    side->keeps_key = keeps_key && p->emit.keyed;
    side->out_at = s == 0 ? 0 : p->join->own[0];
    side->out_count = s == 1 && p->join->type >= JOIN_TYPE_SEMI ? 0 : p->join->own[s];
    if (fields == NULL || side->columns == NULL || side->kept == NULL || side->kept_at == NULL)
        return false;
    memcpy(fields, input->fields, n * sizeof *fields);
    fields[n] = (struct mill_field){"order", {.kind = MILL_VARBINARY, .length = INT32_MAX}};
    for (uint32_t c = 0; c <= n; c++) {
        const bool keep = c == n ? side->keeps_key
                                 : p->residual.reads[first + c] ||
                                       (c < side->out_count && is_wanted(p, side->out_at + c));

        side->kept_at[c] = keep ? (int32_t)side->kept_count : -1;
        if (keep)
            side->kept[side->kept_count++] = c;
    }
    return rows_open(&side->store, heap, &side->with_key, side->kept, side->kept_count, extra);
}

static bool open_tested(struct pairs *p)
{
    if (p->residual.program != NULL)
        p->tested =
            batch_new(p->op->heap, p->op->context->batch_rows, p->residual.both.field_count);
    return p->residual.program == NULL || p->tested != NULL;
}

bool pairs_open(struct pairs *p, struct op *op, const struct phys_node *node, const bool keys[2],
                uint32_t extra)
{
    p->op = op;
    p->node = node;
    p->join = node->join;
    emit_open(&p->emit, op, node);
    return residual_open(&p->residual, op, node) && open_tested(p) &&
           open_side(p, 0, keys[0], extra) && open_side(p, 1, keys[1], extra);
}

void pairs_close(struct pairs *p)
{
    struct heap *heap;

    if (p->op == NULL)
        return;
    heap = p->op->heap;
    emit_close(&p->emit);
    for (uint32_t s = 0; s < 2; s++) {
        struct join_side *side = &p->side[s];
        const uint32_t n = side->with_key.field_count;

        rows_close(&side->store);
        heap_free(heap, (void *)side->with_key.fields, n * sizeof *side->with_key.fields);
        heap_free(heap, side->columns, n * sizeof *side->columns);
        heap_free(heap, side->kept, n * sizeof *side->kept);
        heap_free(heap, side->kept_at, n * sizeof *side->kept_at);
    }
    residual_close(&p->residual, heap);
    batch_free(p->tested);
    p->op = NULL;
}

/* ---- keys ---- */

bool pairs_may_equal_nothing(const struct pairs *p, uint32_t side, const struct batch *batch)
{
    for (uint32_t k = 0; k < p->join->key_count; k++) {
        const uint32_t column = p->join->keys[side][k];
        const enum phys phys = type_phys(&p->side[side].input->fields[column].type);

        if (!p->join->null_safe[k] &&
            (batch->columns[column].validity != NULL || phys == PHYS_F32 || phys == PHYS_F64))
            return true;
    }
    return false;
}

/* ---- keeping ---- */

bool pairs_keep(struct pairs *p, uint32_t side, const struct batch *batch, const uint16_t *rows,
                uint32_t count, uint32_t *ids)
{
    struct join_side *s = &p->side[side];
    static const struct mill_view none;
    struct batch shown = *batch; /* with its order keys as a column */

    memcpy(s->columns, batch->columns, s->input->field_count * sizeof *s->columns);
    s->columns[s->input->field_count] =
        (struct column){.values = batch->order_keys != NULL ? batch->order_keys : (void *)&none,
                        .constant = batch->order_keys == NULL};
    shown.columns = s->columns;
    return rows_append(&s->store, &shown, rows, count, ids);
}

struct mill_view pairs_order_key(const struct pairs *p, uint32_t side, uint32_t id)
{
    const struct join_side *s = &p->side[side];

    if (!s->keeps_key)
        return view_of("", 0);
    return *(const struct mill_view *)rows_value(&s->store, id, s->kept_count - 1);
}

/* ---- columns of pairs ---- */

/* Column @c of a side's input, of the rows that @refs tell, into rows at .. of an owned column of @to. */
static bool gather(struct pairs *p, uint32_t side, uint32_t c, const uint32_t *refs, uint32_t count,
                   struct batch *to, struct column *into, uint32_t at)
{
    const struct join_side *s = &p->side[side];

    if (p->cause != NULL && p->cause_side == side)
        return column_gather(to, into, at, &p->cause->columns[c], p->rows, count,
                             &s->input->fields[c].type);
    return rows_gather(&s->store, refs, count, (uint32_t)s->kept_at[c], to, into, at);
}

/* Rows of the batch in p->rows. */
static void take_rows(struct pairs *p, const uint32_t *const refs[2], uint32_t count)
{
    if (p->cause == NULL)
        return;
    for (uint32_t i = 0; i < count; i++)
        p->rows[i] = (uint16_t)refs[p->cause_side][i];
}

static bool fill_side(struct pairs *p, uint32_t side, const uint32_t *refs, uint32_t count,
                      uint32_t at)
{
    const struct join_side *s = &p->side[side];
    struct batch *out = p->emit.out;

    for (uint32_t c = 0; c < s->out_count; c++) {
        struct column *into = &out->columns[s->out_at + c];

        if (!is_wanted(p, s->out_at + c))
            *into = (struct column){0};
        else if (!gather(p, side, c, refs, count, out, into, at))
            return false;
    }
    return true;
}

bool pairs_fill(struct pairs *p, const uint32_t *left, const uint32_t *right, uint32_t count,
                uint32_t at)
{
    const uint32_t *const refs[2] = {left, right};

    take_rows(p, refs, count);
    return fill_side(p, 0, left, count, at) && fill_side(p, 1, right, count, at);
}

/* ---- the condition ---- */

/* The pairs @which[0 .. count) of @refs as rows of both inputs. */
static bool show_pairs(struct pairs *p, uint32_t *const refs[2], const uint16_t *which,
                       uint32_t count)
{
    const uint32_t left = p->side[0].input->field_count;
    struct batch *b = p->tested;

    batch_reset(b, p->residual.both.field_count);
    if (b->columns == NULL)
        return false;
    for (uint32_t s = 0; s < 2; s++) {
        for (uint32_t i = 0; i < count; i++)
            p->refs[i] = refs[s][which[i]];
        for (uint32_t i = 0; p->cause != NULL && p->cause_side == s && i < count; i++)
            p->rows[i] = (uint16_t)p->refs[i];
        for (uint32_t c = 0; c < p->side[s].input->field_count; c++) {
            const uint32_t k = s * left + c;

            if (p->residual.reads[k] &&
                (!column_own(b, &b->columns[k], &p->residual.both.fields[k].type) ||
                 !gather(p, s, c, p->refs, count, b, &b->columns[k], 0)))
                return false;
        }
    }
    b->rows = b->live = count;
    if (p->cause != NULL) {
        b->step = p->cause->step;
        b->split = p->cause->split;
    }
    return true;
}

bool pairs_filter(struct pairs *p, uint32_t *const refs[2], uint32_t count, bool *is_true)
{
    uint16_t which[BATCH_ROWS_MAX];
    uint32_t n = 0;
    uint64_t filtered = 0;

    for (uint32_t i = 0; i < count; i++) {
        const bool whole = refs[0][i] != ROW_NONE && refs[1][i] != ROW_NONE;

        is_true[i] = !whole || p->residual.program == NULL;
        if (whole)
            which[n++] = (uint16_t)i;
    }
    if (p->residual.program == NULL || n == 0)
        return true;
    if (!show_pairs(p, refs, which, n) ||
        program_filter(p->residual.program, p->tested, &p->op->context->eval, &filtered,
                       p->op->context->error) != MILL_OK)
        return false;
    for (uint32_t i = 0; i < p->tested->live; i++)
        is_true[which[batch_row(p->tested, i)]] = true;
    return true;
}
