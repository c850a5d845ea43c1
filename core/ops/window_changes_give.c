/* core/ops/window_changes_give.c - what a pane says now against what it has said: changes, and handing them on. */
#include "core/plan/physical.h"
#include "core/ops/window_changes.h"

/* Room for pending results; for each batch anew, for texts add up in it. */
bool scratch_begin(struct window_changes *s)
{
    const struct aggregate_node *a = s->node;

    if (s->scratch == NULL)
        s->scratch = batch_new(s->op.heap, PENDING_MAX, a->agg_count);
    else
        batch_reset(s->scratch, a->agg_count);
    if (s->scratch == NULL || (a->agg_count > 0 && s->scratch->columns == NULL))
        return false;
    for (uint32_t i = 0; i < a->agg_count; i++)
        if (!column_own(s->scratch, &s->scratch->columns[i], &a->aggs[i].result_type))
            return false;
    return true;
}

/* The scratch's next row, all valid. */
static uint32_t next_row(struct window_changes *s)
{
    CHECK(s->pending_count < PENDING_MAX);
    for (uint32_t i = 0; i < s->scratch->column_count; i++)
        if (s->scratch->columns[i].validity != NULL)
            s->scratch->columns[i].validity[0] |= 1ull << s->pending_count;
    return s->pending_count;
}

static void will_give(struct window_changes *s, const struct pane *pane, int8_t kind, int64_t start,
                      int64_t end)
{
    s->pending[s->pending_count++] = (struct pending){kind, pane->group, start, end};
}

/* What the pane has given last leaves as @kind. */
static bool give_old(struct window_changes *s, struct pane *pane, int8_t kind)
{
    const uint32_t row = next_row(s);

    for (uint32_t i = 0; i < s->scratch->column_count; i++)
        if (!rows_gather(&s->given, &pane->given_row, 1, i, s->scratch, &s->scratch->columns[i],
                         row))
            return false;
    will_give(s, pane, kind, pane->given_start, pane->given_end);
    return true;
}

static void forget(struct window_changes *s, struct pane *pane)
{
    if (pane->given_row != ROW_NONE)
        rows_free(&s->given, &pane->given_row, 1);
    pane->given_row = ROW_NONE;
    pane->given = false;
}

bool pane_take_back(struct window_changes *s, struct pane *pane, int8_t kind)
{
    if (!pane->given)
        return true;
    if (!give_old(s, pane, kind))
        return false;
    forget(s, pane);
    return true;
}

static bool says_the_same(const struct window_changes *s, const struct pane *pane, uint32_t row)
{
    return pane->given_row == ROW_NONE || rows_equal(&s->given, pane->given_row, s->scratch, row);
}

/* Row @row of the scratch is what the pane gives from now on. */
static bool remember(struct window_changes *s, struct pane *pane, uint32_t row)
{
    const uint16_t rows = (uint16_t)row;

    forget(s, pane);
    if (!s->revises)
        return true;
    if (s->node->agg_count > 0 && !rows_append(&s->given, s->scratch, &rows, 1, &pane->given_row))
        return false;
    pane->given = true;
    pane->given_start = pane->start;
    pane->given_end = pane->end;
    return true;
}

/* The new result lies in row @row, one behind the place that the old one takes. */
static bool replace(struct window_changes *s, struct pane *pane, uint32_t row)
{
    const bool moved = pane->given_start != pane->start || pane->given_end != pane->end;

    if (!moved && says_the_same(s, pane, row))
        return true;
    /* another window is another row for whoever has the bounds in its key */
    if (!give_old(s, pane, moved ? ROW_DELETE : ROW_UPDATE_BEFORE) || !remember(s, pane, row))
        return false;
    will_give(s, pane, moved ? ROW_INSERT : ROW_UPDATE_AFTER, pane->start, pane->end);
    return true;
}

bool pane_revise(struct window_changes *s, struct pane *pane)
{
    const uint32_t before = s->pending_count;
    uint32_t row;

    if (!changes_add_waiting(s))
        return false;
    if (pane->rows == 0)
        return pane_take_back(s, pane, ROW_DELETE);
    s->pending_count += pane->given;
    row = next_row(s);
    s->pending_count = before;
    if (!agg_values(s->set, pane_state(pane), s->scratch, s->scratch->columns, row))
        return false;
    if (pane->given)
        return replace(s, pane, row);
    will_give(s, pane, ROW_INSERT, pane->start, pane->end);
    return remember(s, pane, row);
}

/* ---- handing on ---- */

static int64_t window_value(const struct window_changes *s, const struct pending *p,
                            enum out_kind kind)
{
    const struct zone *zone =
        s->session ? (s->node->window.local_zone ? s->op.context->zone : NULL) : NULL;

    return kind == OUT_WINDOW_TIME    ? pane_closing(s, p->end)
           : kind == OUT_WINDOW_START ? zone_local(zone, p->start, s->windows.nanos)
                                      : zone_local(zone, p->end, s->windows.nanos);
}

static bool fill(struct window_changes *s, uint32_t row, uint32_t from)
{
    const struct pending *p = &s->pending[from];
    struct batch *out = s->emit.out;

    for (uint32_t c = 0; c < s->output->field_count; c++) {
        const struct out_column *o = &s->node->outs[c];
        struct column *column = &out->columns[c];
        bool ok = true;

        if (o->kind == OUT_AGG)
            ok = column_put(out, column, row, &s->scratch->columns[o->index], from,
                            &s->output->fields[c].type);
        else if (o->kind == OUT_KEY)
            ok = table_key_value(&s->table, p->group, o->index, out, column, row);
        else if (s->attached && o->kind == OUT_WINDOW_START && p->start == TIME_MIN)
            ok = column_put_null(out, column, row);
        else
            ((int64_t *)column->values)[row] = window_value(s, p, o->kind);
        if (!ok)
            return false;
    }
    return true;
}

static int32_t begin_result(struct window_changes *s, const struct step_time *t)
{
    const int8_t kind = s->pending[s->told].kind;
    const struct fired_pane *f = s->firing ? &s->fired[s->fired_next - 1] : NULL;
    struct mill_view key;

    if (f == NULL)
        return emit_row(&s->emit, s->row, kind);
    f->order[f->length] = (char)s->told;
    key = view_of(f->order, f->length + 1);
    return emit_fired(&s->emit, t, &key, kind);
}

enum op_progress give_pending(struct window_changes *s, const struct step_time *t)
{
    for (; s->told < s->pending_count; s->told++) {
        int32_t row;

        if (emit_full(&s->emit)) {
            const enum op_progress p = emit_flush(&s->emit, t);

            if (p != OP_READY)
                return p;
        }
        row = begin_result(s, t);
        if (row < 0 || !fill(s, (uint32_t)row, s->told))
            return changes_no_memory(s);
    }
    s->told = s->pending_count = 0;
    return OP_READY;
}
