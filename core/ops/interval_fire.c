/* core/ops/interval_fire.c - the end of a step: rows that can meet nobody any more go, padded where nobody was met. */
#include "core/ops/interval_impl.h"

#include <stdlib.h>

#define SWEEP_GROUPS 1024u
#define TURN_BATCHES 4u

static void remove_row(struct interval_join *j, uint32_t side, uint32_t id)
{
    struct row_store *store = interval_store(j, side);
    const uint32_t group = *rows_mark(store, id) & MARK_GROUP;
    struct group *g;
    struct list *list;

    j->base.op.counters.held--;
    j->base.op.counters.state_rows--;
    j->base.op.counters.consumed++;
    if (group == MARK_GROUP) {
        rows_free(store, &id, 1);
        return;
    }
    g = interval_group(j, group);
    list = &g->list[side];
    *rows_mark(store, id) |= MARK_DEAD;
    while (list->first < list->end &&
           (*rows_mark(store, interval_list_items(list)[list->first].id) & MARK_DEAD) != 0)
        rows_free(store, &interval_list_items(list)[list->first++].id, 1);
    if (list->first == list->end)
        interval_list_close(j, list);
    j->empty += interval_is_empty(g);
}

static bool fired_add(struct interval_join *j, uint32_t side, const struct expiry_entry *entry)
{
    const struct row_store *store = interval_store(j, side);

    if (j->fired_count == j->fired_room) {
        const uint32_t room = max_u32(256, j->fired_room * 2);
        struct fired *grown = heap_grow(j->base.op.heap, j->fired, j->fired_room * sizeof *grown,
                                        room * sizeof *grown);

        if (grown == NULL)
            return false;
        j->fired = grown;
        j->fired_room = room;
    }
    j->fired[j->fired_count] = (struct fired){entry->time,
                                              *rows_step(store, entry->id),
                                              min_u32(*rows_place(store, entry->id), FIRED_PLACES),
                                              side,
                                              entry->id,
                                              j->fired_count};
    j->fired_count++;
    return true;
}

static int by_position(const void *a, const void *b)
{
    const struct fired *x = a, *y = b;

    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    if (x->step != y->step)
        return x->step < y->step ? -1 : 1;
    if (x->side != y->side)
        return x->side < y->side ? -1 : 1;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return x->arrival < y->arrival ? -1 : 1;
}

/* Takes rows that go, about a bucket of each side: those to be padded into fired[]. 1: some; 0: none is left; -1: no memory. */
static int collect(struct interval_join *j, int64_t *budget)
{
    int64_t end = TIME_MAX;
    bool any = false;

    j->fired_count = j->fired_at = 0;
    for (uint32_t s = 0; s < 2; s++)
        if (expiry_least(&j->expiry[s]) <= j->limit[s] && j->expiry[s].ids > 0) {
            end = min_i64(end, time_add(expiry_first_end(&j->expiry[s]), -1));
            any = true;
        }
    for (uint32_t s = 0; any && s < 2; s++) {
        const int64_t limit = min_i64(j->limit[s], end);
        struct expiry_entry entry;

        while (expiry_take(&j->expiry[s], limit, &entry)) {
            --*budget;
            if (!j->pads[s] || (*rows_mark(interval_store(j, s), entry.id) & MARK_MET) != 0)
                remove_row(j, s, entry.id);
            else if (!fired_add(j, s, &entry))
                return -1;
        }
    }
    if (j->fired_count > 1)
        qsort(j->fired, j->fired_count, sizeof *j->fired, by_position);
    return any;
}

/* (time, step, side, place, what else tells rows apart); length UINT32_MAX: no memory. */
static struct mill_view position_key(struct interval_join *j, const struct fired *f)
{
    const struct mill_view key = pairs_order_key(&j->base.pairs, f->side, f->id);
    const uint64_t step = __builtin_bswap64(f->step);
    const uint32_t place = __builtin_bswap32(f->place);

    if (!j->base.pairs.emit.keyed)
        return view_of("", 0);
    char *at = join_key_scratch(&j->base, key.length + 21);

    if (at == NULL)
        return (struct mill_view){.length = UINT32_MAX};
    key_put_i64(at, f->time);
    memcpy(at + 8, &step, 8);
    at[16] = (char)f->side;
    memcpy(at + 17, &place, 4);
    memcpy(at + 21, mill_view_data(&key), key.length);
    return view_of(at, 21 + key.length);
}

/* Results of fired rows from fired_at on, of one side. */
static enum op_progress emit_pads(struct interval_join *j, const struct step_time *t)
{
    struct emitter *e = &j->base.pairs.emit;
    const uint32_t side = j->fired[j->fired_at].side;
    uint32_t n = 0, first;

    if (emit_full(e)) {
        const enum op_progress p = emit_flush(e, t);

        if (p != OP_READY)
            return p;
    }
    first = e->out != NULL ? e->out->rows : 0;
    while (j->fired_at + n < j->fired_count && j->fired[j->fired_at + n].side == side) {
        const struct fired *f = &j->fired[j->fired_at + n];
        const struct mill_view at = position_key(j, f);

        if (at.length == UINT32_MAX)
            return join_base_no_memory(&j->base);
        if (emit_fired(e, t, &at, ROW_INSERT) < 0)
            return OP_FAILED;
        j->base.refs[side][n] = f->id;
        j->base.refs[1 - side][n++] = ROW_NONE;
        if (emit_full(e))
            break;
    }
    if (!pairs_fill(&j->base.pairs, j->base.refs[0], j->base.refs[1], n, first))
        return join_base_no_memory(&j->base);
    for (uint32_t i = 0; i < n; i++)
        remove_row(j, side, j->base.refs[side][i]);
    j->fired_at += n;
    return OP_READY;
}

/* Groups without rows leave the table when they are most of it. */
static void sweep(struct interval_join *j)
{
    if (j->base.table.groups < SWEEP_GROUPS || j->empty < j->base.table.groups / 4 * 3)
        return;
    if (j->empty == j->base.table.groups) {
        table_reset(&j->base.table);
        j->empty = 0;
        return;
    }
    if (!table_compact(&j->base.table, j->empty, interval_is_empty))
        return;
    j->empty = 0;
    for (uint32_t id = 0; id < j->base.table.groups; id++)
        for (uint32_t s = 0; s < 2; s++) {
            struct list *list = &interval_group(j, id)->list[s];

            for (uint32_t i = list->first; i < list->end; i++) {
                uint32_t *mark = rows_mark(interval_store(j, s), interval_list_items(list)[i].id);

                *mark = (*mark & ~MARK_GROUP) | id;
            }
        }
}

enum op_progress interval_fire(struct interval_join *j, const struct step_time *t)
{
    int64_t budget = j->base.op.context->turn_work;

    while (j->ending) {
        if (budget <= 0) {
            j->base.op.context->work += (uint64_t)(j->base.op.context->turn_work - budget);
            return OP_BUSY;
        }
        if (j->fired_at < j->fired_count) {
            const enum op_progress p = emit_pads(j, t);

            if (p != OP_READY)
                return p;
            budget -= BATCH_ROWS_MAX / TURN_BATCHES;
            continue;
        }
        switch (collect(j, &budget)) {
        case -1: return join_base_no_memory(&j->base);
        case 0: j->ending = false; break;
        default: break;
        }
    }
    sweep(j);
    return emit_flush(&j->base.pairs.emit, t);
}
