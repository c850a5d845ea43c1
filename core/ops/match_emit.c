/* core/ops/match_emit.c - results of a MATCH_RECOGNIZE: one row, or all rows, of a match, with the items of its measures. */
#include "core/ops/match_impl.h"

#define GATHERED 256u

enum op_progress match_no_memory(struct match_op *m)
{
    if (m->op.context->error->code != MILL_OK)
        return OP_FAILED;
    return op_no_memory(&m->op,
                        "it holds rows until the watermark and the rows of each key's match "
                        "begun: use WITHIN, stricter conditions or a shorter delay, or");
}

/* ---- the rows of the match by mask ---- */

static bool positions_room(struct match_op *m, uint32_t length)
{
    struct heap *heap = m->op.heap;
    const size_t masks = max_u32(m->mask_count, 1);
    uint32_t room = max_u32(64, m->label_room);

    if (length <= m->label_room)
        return true;
    while (room < length)
        room = room > UINT32_MAX / 2 ? length : room * 2;
    heap_free(heap, m->labels, m->label_room);
    heap_free(heap, m->excluded, m->label_room * sizeof *m->excluded);
    heap_free(heap, m->positions, m->label_room * masks * sizeof *m->positions);
    m->label_room = 0;
    m->labels = heap_alloc(heap, room);
    m->excluded = heap_alloc(heap, room * sizeof *m->excluded);
    m->positions = heap_alloc(heap, room * masks * sizeof *m->positions);
    if (m->labels != NULL && m->excluded != NULL && m->positions != NULL) {
        m->label_room = room;
        return true;
    }
    heap_free(heap, m->labels, room);
    heap_free(heap, m->excluded, room * sizeof *m->excluded);
    heap_free(heap, m->positions, room * masks * sizeof *m->positions);
    m->labels = NULL;
    m->excluded = NULL;
    m->positions = NULL;
    return false;
}

static void find_positions(struct match_op *m, const struct match_partition *p)
{
    uint32_t step = p->best;

    for (uint32_t i = m->length; i-- > 0; step = m->steps[step].parent) {
        m->labels[i] = m->steps[step].variable;
        m->excluded[i] = m->steps[step].excluded;
    }
    for (uint32_t k = 0; k < m->mask_count; k++) {
        uint32_t *positions = m->positions + (size_t)k * m->label_room, n = 0;

        for (uint32_t i = 0; i < m->length; i++)
            if ((m->masks[k] >> m->labels[i] & 1) != 0)
                positions[n++] = i;
        m->position_counts[k] = n;
        m->counts[k] = 0;
    }
}

/* ---- aggregates ---- */

/* Values of the aggregate's argument in rows[0 .. count) of the match as a column. */
static bool gather(struct match_op *m, const struct match_partition *p, int32_t arg,
                   const uint32_t *positions, uint32_t count)
{
    struct batch *b = m->gathered;

    batch_reset(b, (uint16_t)m->input.field_count);
    b->rows = b->live = count;
    if (arg < 0)
        return true;
    if (!column_own(b, &b->columns[arg], &m->input.fields[arg].type))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!match_row_get(m, match_row(m, p, p->start + positions[i]), (uint32_t)arg, b,
                           &b->columns[arg], i))
            return false;
    return true;
}

static bool add_positions(struct match_op *m, const struct match_partition *p,
                          const struct match_measure_total *total, uint32_t from, uint32_t to)
{
    const int32_t arg = m->node->items[total->item].agg.arg;
    const uint32_t *positions = m->positions + (size_t)m->item_mask[total->item] * m->label_room;

    for (uint32_t i = from; i < to; i += GATHERED) {
        const uint32_t n = min_u32(to - i, GATHERED);

        if (!gather(m, p, arg, positions + i, n) ||
            !agg_add_one(total->set, total->state, m->gathered, NULL, n))
            return false;
    }
    return true;
}

/* Goes on to row @i of the match: what RUNNING sees. */
static bool advance_to(struct match_op *m, const struct match_partition *p, uint32_t i)
{
    for (uint32_t k = 0; k < m->mask_count; k++) {
        const uint32_t *positions = m->positions + (size_t)k * m->label_room;

        m->before[k] = m->counts[k];
        while (m->counts[k] < m->position_counts[k] && positions[m->counts[k]] <= i)
            m->counts[k]++;
    }
    for (uint32_t a = 0; a < m->measure_total_count; a++) {
        const struct match_measure_total *total = &m->measure_totals[a];
        const uint32_t k = m->item_mask[total->item];

        if (!m->node->items[total->item].final &&
            !add_positions(m, p, total, m->before[k], m->counts[k]))
            return false;
    }
    return true;
}

static void totals_begin(struct match_op *m)
{
    for (uint32_t a = 0; a < m->measure_total_count; a++)
        agg_init(m->measure_totals[a].set, m->measure_totals[a].state);
}

static void totals_end(struct match_op *m)
{
    for (uint32_t a = 0; a < m->measure_total_count; a++)
        agg_close(m->measure_totals[a].set, m->measure_totals[a].state);
}

/* ---- AFTER MATCH SKIP ---- */

/* Rows from the first of the match to where the search goes on; 0: nowhere, the error is set. */
static uint32_t skip_rows(struct match_op *m)
{
    const struct match_node *node = m->node;
    const bool first = node->skip == MATCH_SKIP_TO_FIRST;
    uint32_t to = UINT32_MAX;

    if (m->unmatched || m->length == 0 || node->skip == MATCH_SKIP_NEXT_ROW)
        return 1;
    if (node->skip == MATCH_SKIP_PAST_LAST)
        return m->length;
    for (uint32_t i = 0; i < m->length && (!first || to == UINT32_MAX); i++)
        if ((node->skip_mask >> m->labels[i] & 1) != 0)
            to = i;
    if (to == UINT32_MAX)
        mill_fail(m->op.context->error, MILL_E_DATA, node->skip_line, node->skip_column,
                  "AFTER MATCH SKIP TO %s %s: a match has no row of %s to go on from",
                  first ? "FIRST" : "LAST", node->skip_name, node->skip_name);
    else if (to == 0)
        mill_fail(m->op.context->error, MILL_E_DATA, node->skip_line, node->skip_column,
                  "AFTER MATCH SKIP TO %s %s goes to the first row of a match, which would be "
                  "found "
                  "again for ever",
                  first ? "FIRST" : "LAST", node->skip_name);
    return to == UINT32_MAX ? 0 : to;
}

/* ---- values ---- */

/* The row of the match that item @i reads, + 1; 0: none. */
static uint32_t item_place(const struct match_op *m, uint32_t i)
{
    const struct match_item *item = &m->node->items[i];
    const uint32_t k = m->item_mask[i];
    const uint32_t count = item->final ? m->position_counts[k] : m->counts[k];
    const uint32_t *positions = m->positions + (size_t)k * m->label_room;

    if (item->offset >= count)
        return 0;
    return positions[item->first ? item->offset : count - 1 - item->offset] + 1;
}

static bool put_number(struct match_op *m, const struct match_partition *p, struct column *into,
                       uint32_t to)
{
    ((int64_t *)into->values)[to] = (int64_t)p->matches;
    return !m->unmatched || column_put_null(m->emitter.out, into, to);
}

static bool put_item(struct match_op *m, const struct match_partition *p, uint32_t i,
                     struct column *into, uint32_t to)
{
    const struct match_item *item = &m->node->items[i];
    const uint32_t place = item->kind == ITEM_NUMBER || item->kind == ITEM_AGGREGATE || m->unmatched
                               ? 0
                               : item_place(m, i);
    const int64_t row = (int64_t)place - 1 + item->physical, kept = row + p->start;
    const char *name;

    if (item->kind == ITEM_NUMBER)
        return put_number(m, p, into, to);
    if (item->kind == ITEM_AGGREGATE) {
        const struct match_measure_total *total = &m->measure_totals[m->item_measure[i]];

        return (into->validity != NULL || column_own_validity(m->emitter.out, into)) &&
               agg_values(total->set, total->state, m->emitter.out, into, to);
    }
    if (place == 0 || kept < 0 || kept >= p->count)
        return column_put_null(m->emitter.out, into, to);
    if (item->kind == ITEM_VALUE)
        return match_row_get(m, match_row(m, p, (uint32_t)kept), item->column, m->emitter.out, into,
                             to);
    if (row < 0 || row >= m->length)
        return column_put_null(m->emitter.out, into, to);
    name = m->node->variables[m->labels[row]];
    ((struct mill_view *)into->values)[to] = view_of(name, (uint32_t)strlen(name));
    return true;
}

static bool put_row(struct match_op *m, const struct match_partition *p, uint32_t i, uint32_t to)
{
    const struct match_node *node = m->node;
    struct batch *out = m->emitter.out;
    const uint32_t first = node->all_rows ? node->pass_count : node->key_count;

    for (uint32_t k = 0; k < first; k++)
        if (node->all_rows
                ? !match_row_get(m, match_row(m, p, p->start + i), k, out, &out->columns[k], to)
                : !table_key_value(&m->table, p->group, k, out, &out->columns[k], to))
            return false;
    for (uint32_t k = 0; k < node->item_count; k++)
        if (!put_item(m, p, k, &out->columns[first + k], to))
            return false;
    return true;
}

/* Key of the next result of what is at hand. */
static struct mill_view next_key(struct match_op *m)
{
    const uint32_t be = __builtin_bswap32(m->sequence++);

    if (!m->emitter.keyed)
        return view_of("", 0);
    memcpy(m->cause + m->cause_length, &be, 4);
    return view_of(m->cause, m->cause_length + 4);
}

/* ---- emitting ---- */

bool match_emit_begin(struct match_op *m, struct match_partition *p, bool unmatched)
{
    const struct match_node *node = m->node;

    m->unmatched = unmatched;
    m->length = unmatched ? 0 : p->best_length;
    p->matches += !unmatched;
    if (!positions_room(m, m->length))
        return false;
    find_positions(m, p);
    m->skip = skip_rows(m);
    if (m->skip == 0)
        return false;
    m->emit_next = 0;
    m->emit_end = node->all_rows ? m->length : 1;
    if (node->all_rows && m->length == 0)
        m->emit_end = unmatched || node->show_empty;
    totals_begin(m);
    m->emitting = true;
    for (uint32_t a = 0; a < m->measure_total_count; a++) {
        const struct match_measure_total *total = &m->measure_totals[a];

        if (node->items[total->item].final &&
            !add_positions(m, p, total, 0, m->position_counts[m->item_mask[total->item]]))
            return false;
    }
    return true;
}

enum op_progress match_emit_rows(struct match_op *m, struct match_partition *p,
                                 const struct step_time *t)
{
    for (; m->emit_next < m->emit_end; m->emit_next++) {
        const uint32_t i = m->emit_next;
        struct mill_view key;
        int32_t row;

        if (emit_full(&m->emitter)) {
            const enum op_progress progress = emit_flush(&m->emitter, t);

            if (progress != OP_READY)
                return progress;
        }
        if (m->node->all_rows && m->length > 0 && !advance_to(m, p, i))
            return match_no_memory(m);
        if (m->node->all_rows && m->length > 0 && m->excluded[i])
            continue;
        key = next_key(m);
        row = emit_fired(&m->emitter, t, &key, ROW_INSERT);
        if (row < 0 || !put_row(m, p, i, (uint32_t)row))
            return match_no_memory(m);
    }
    totals_end(m);
    m->emitting = false;
    return OP_READY;
}

/* ---- life ---- */

static bool masks_open(struct match_op *m)
{
    const uint32_t items = m->node->item_count + 1;
    struct heap *heap = m->op.heap;

    m->masks = heap_zalloc(heap, items * sizeof *m->masks);
    m->item_mask = heap_zalloc(heap, items * sizeof *m->item_mask);
    m->position_counts = heap_zalloc(heap, items * sizeof *m->position_counts);
    m->counts = heap_zalloc(heap, items * sizeof *m->counts);
    m->before = heap_zalloc(heap, items * sizeof *m->before);
    if (m->masks == NULL || m->item_mask == NULL || m->position_counts == NULL ||
        m->counts == NULL || m->before == NULL)
        return false;
    for (uint32_t i = 0; i < m->node->item_count; i++) {
        uint32_t k = 0;

        if (m->node->items[i].kind == ITEM_NUMBER)
            continue;
        while (k < m->mask_count && m->masks[k] != m->node->items[i].mask)
            k++;
        if (k == m->mask_count)
            m->masks[m->mask_count++] = m->node->items[i].mask;
        m->item_mask[i] = k;
    }
    return true;
}

bool match_emit_open(struct match_op *m)
{
    const uint32_t items = m->node->item_count + 1;
    struct heap *heap = m->op.heap;

    m->measure_totals = heap_zalloc(heap, items * sizeof *m->measure_totals);
    m->item_measure = heap_zalloc(heap, items * sizeof *m->item_measure);
    m->gathered = batch_new(heap, GATHERED, (uint16_t)m->input.field_count);
    if (m->measure_totals == NULL || m->item_measure == NULL || m->gathered == NULL ||
        !masks_open(m))
        return false;
    for (uint32_t i = 0; i < m->node->item_count; i++) {
        struct match_measure_total *total = &m->measure_totals[m->measure_total_count];

        if (m->node->items[i].kind != ITEM_AGGREGATE)
            continue;
        m->item_measure[i] = m->measure_total_count++;
        total->item = i;
        total->set = agg_set_new(heap, m->op.context->kernels, &m->node->items[i].agg, 1, false);
        if (total->set == NULL)
            return false;
        total->state = heap_alloc(heap, max_u32(agg_state_bytes(total->set), 8));
        if (total->state == NULL)
            return false;
    }
    return true;
}

void match_emit_close(struct match_op *m)
{
    const uint32_t items = m->node->item_count + 1;
    const size_t masks = max_u32(m->mask_count, 1);
    struct heap *heap = m->op.heap;

    if (m->emitting)
        totals_end(m);
    for (uint32_t a = 0; a < m->measure_total_count; a++) {
        struct match_measure_total *total = &m->measure_totals[a];

        if (total->set == NULL)
            continue;
        heap_free(heap, total->state, max_u32(agg_state_bytes(total->set), 8));
        agg_set_free(total->set);
    }
    heap_free(heap, m->measure_totals, items * sizeof *m->measure_totals);
    heap_free(heap, m->item_measure, items * sizeof *m->item_measure);
    if (m->gathered != NULL)
        batch_free(m->gathered);
    heap_free(heap, m->masks, items * sizeof *m->masks);
    heap_free(heap, m->item_mask, items * sizeof *m->item_mask);
    heap_free(heap, m->position_counts, items * sizeof *m->position_counts);
    heap_free(heap, m->counts, items * sizeof *m->counts);
    heap_free(heap, m->before, items * sizeof *m->before);
    heap_free(heap, m->labels, m->label_room);
    heap_free(heap, m->excluded, m->label_room * sizeof *m->excluded);
    heap_free(heap, m->positions, m->label_room * masks * sizeof *m->positions);
}
