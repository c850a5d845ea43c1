/* core/ops/count_results.c - the rows of firings: keys, aggregates and window columns, or the windows' own rows. */
#include "core/ops/count_impl.h"
#include "core/zone.h"

static int64_t window_value(const struct count_op *c, const struct fired *f, enum out_kind kind)
{
    const struct zone *zone = c->node->window.local_zone ? c->op.context->zone : NULL;
    const bool nanos = type_is_nanos(&c->node->window.time_type);

    switch (kind) {
    case OUT_WINDOW_START: return zone_local(zone, f->start, nanos);
    case OUT_WINDOW_END: return zone_local(zone, f->end, nanos);
    case OUT_WINDOW_TIME: return f->end - c->unit;
    default: return f->id;
    }
}

static bool put_order(struct batch *out, const struct fired *f, uint32_t row)
{
    out->order_keys[row] = batch_view(out, mill_view_data(&f->order), f->order.length);
    return out->order_keys[row].length != UINT32_MAX;
}

/* One row per firing: keys, aggregates, window columns. Returns rows written, -1 without memory. */
static int fill_aggregates(struct count_op *c, struct batch *out, uint32_t most)
{
    const struct aggregate_node *node = c->node;
    const uint32_t count = min_u32(most, c->fired_count - c->next);
    struct column *columns = arena_array(&out->bytes, struct column, max_u32(node->agg_count, 1));

    if (columns == NULL || !batch_own_columns(out, &c->output))
        return -1;
    for (uint32_t a = 0; a < node->agg_count; a++)
        if (!column_own(out, &columns[a], &node->aggs[a].result_type))
            return -1;
    for (uint32_t i = 0; i < count; i++)
        if (!agg_values(c->set, c->fired[c->next + i].content, out, columns, i) ||
            !put_order(out, &c->fired[c->next + i], i))
            return -1;
    for (uint32_t k = 0; k < c->output.field_count; k++) {
        const struct out_column *o = &node->outs[k];

        if (o->kind == OUT_AGG)
            out->columns[k] = columns[o->index];
        for (uint32_t i = 0; i < count && o->kind != OUT_AGG; i++) {
            const struct fired *f = &c->fired[c->next + i];

            if (o->kind != OUT_KEY)
                ((int64_t *)out->columns[k].values)[i] = window_value(c, f, o->kind);
            else if (!table_key_value(&c->table, f->group, o->index, out, &out->columns[k], i))
                return -1;
        }
    }
    c->next += count;
    return (int)count;
}

/* The rows of the firings, with the window columns behind their own. */
static int fill_rows(struct count_op *c, struct batch *out, uint32_t most)
{
    static const enum out_kind kinds[] = {OUT_WINDOW_START, OUT_WINDOW_END, OUT_WINDOW_TIME,
                                          OUT_WINDOW_ID};
    const uint32_t fields = c->input.field_count;

    if (!batch_own_columns(out, &c->output))
        return -1;
    while (out->rows < most && c->next < c->fired_count) {
        const struct fired *f = &c->fired[c->next];
        const struct held_rows *h = f->content;
        struct batch from = *h->refs[c->next_row].block->rows;
        const uint16_t row = (uint16_t)h->refs[c->next_row].row;
        const uint32_t to = out->rows;

        from.order_keys = NULL;
        if (batch_append(out, &from, &row, 1, &c->input) != 1 || !put_order(out, f, to))
            return -1;
        for (uint32_t i = 0; i < COUNT_OF(kinds); i++)
            ((int64_t *)out->columns[fields + i].values)[to] = window_value(c, f, kinds[i]);
        if (++c->next_row == h->count) {
            c->next_row = 0;
            c->next++;
        }
    }
    return (int)out->rows;
}

enum op_progress count_emit_some(struct count_op *c, const struct step_time *t)
{
    struct op_context *context = c->op.context;
    struct batch *out = context->take_batch(context, c->output.field_count);
    uint32_t most;
    int count;

    if (out == NULL)
        return context->error->code != 0 ? OP_FAILED : OP_BUSY;
    most = min_u32(out->capacity, context->batch_rows);
    out->order_keys = arena_alloc(&out->bytes, out->capacity * sizeof *out->order_keys);
    count = out->order_keys == NULL ? -1
            : c->set != NULL        ? fill_aggregates(c, out, most)
                                    : fill_rows(c, out, most);
    if (count < 0) {
        batch_release(out);
        return count_no_memory(c);
    }
    out->step = t->step;
    out->split = t->split;
    out->rows = out->live = (uint32_t)count;
    out->class_ = CLASS_FIRED;
    out->origin = c->op.id;
    if (c->set != NULL)
        c->op.counters.sum_overflow = agg_overflows(c->set);
    return op_emit(&c->op, out, t);
}

void count_firing_end(struct count_op *c)
{
    for (uint32_t i = 0; i < c->fired_count; i++) {
        count_content_close(c, c->fired[i].content);
        count_content_return(c, c->fired[i].content);
    }
    c->fired_count = c->next = c->next_row = 0;
    c->sorted = false;
    arena_reset(&c->order_bytes);
}
