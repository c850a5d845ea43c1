/* core/ops/over_view_fire.c - OVER as a view: the final rows, by key and order, at the end of the input. */
#include "core/ops/over_view.h"

static bool emit_place(struct over_view *o, const struct step_time *t, uint32_t group,
                       uint32_t index)
{
    const uint32_t bytes = table_key_bytes(&o->table, group) + 8;
    struct mill_view place = view_of("", 0);

    if (o->emit.keyed) {
        uint32_t n;

        if (bytes > o->place_room) {
            heap_free(o->op.heap, o->place_key, o->place_room);
            o->place_key = heap_alloc(o->op.heap, bytes);
            o->place_room = o->place_key != NULL ? bytes : 0;
            if (o->place_key == NULL)
                return false;
        }
        n = table_key_put(&o->table, group, o->place_key);
        n += key_put_i64(o->place_key + n, index);
        place = view_of(o->place_key, n);
    }
    return emit_fired(&o->emit, t, &place, ROW_INSERT) >= 0;
}

/* Entries of the key from o->entry on, until the batch is full or the budget used up. */
static bool emit_entries(struct over_view *o, const struct step_time *t, uint32_t group,
                         int64_t *budget)
{
    const uint32_t at = o->emit.out != NULL ? o->emit.out->rows : 0;
    struct view_side *side = &o->sides[0];
    uint32_t n = 0;

    while (o->entry < side->count && n<BATCH_ROWS_MAX && * budget> 0 &&
           (n == 0 || !emit_full(&o->emit))) {
        if (!emit_place(o, t, group, o->entry) ||
            !view_compute(o, side, o->entry, o->emit.out, o->emit.out->columns + o->node->given,
                          at + n))
            return false;
        o->ids[n++] = side_entry(side, o->entry++)->id;
        --*budget;
    }
    return n == 0 || view_put_given(o, o->ids, n, at);
}

static bool next_key(struct over_view *o, struct view_key *key)
{
    if (o->sides[0].open)
        return true;
    if (!o->updating && !view_sort(o, key))
        return false;
    o->entry = 0;
    view_show(o, &o->sides[0], key, UINT32_MAX);
    return true;
}

static void forget_all(struct over_view *o)
{
    for (uint32_t id = 0; id < o->table.groups; id++) {
        struct view_key *key = table_state(&o->table, id);

        view_forget(o, key);
        heap_free(o->op.heap, key->entries, key->room * sizeof *key->entries);
        *key = (struct view_key){0};
    }
    o->op.counters.consumed += o->rows_in;
    o->op.counters.held -= o->rows_in;
    o->op.counters.fired++;
    o->op.counters.state_rows = 0;
    o->rows_in = 0;
}

enum op_progress view_fire(struct over_view *o, const struct step_time *t, int64_t *budget)
{
    if (!o->sorting && !sorter_open(&o->sorter, &o->table))
        return view_no_memory(o);
    o->sorting = true;
    if (!sorter_turn(&o->sorter, budget))
        return OP_BUSY;
    for (; o->group < o->table.groups; o->group++) {
        const uint32_t group = o->sorter.order[o->group];

        if (!next_key(o, table_state(&o->table, group)))
            return view_no_memory(o);
        while (o->entry < o->sides[0].count) {
            enum op_progress p = OP_READY;

            if (*budget <= 0)
                return OP_BUSY;
            if (emit_full(&o->emit))
                p = emit_flush(&o->emit, t);
            if (p != OP_READY)
                return p;
            if (!emit_entries(o, t, group, budget))
                return view_no_memory(o);
        }
        view_hide(o, &o->sides[0]);
        --*budget;
    }
    forget_all(o);
    sorter_close(&o->sorter);
    o->ending = o->sorting = false;
    return emit_flush(&o->emit, t);
}
