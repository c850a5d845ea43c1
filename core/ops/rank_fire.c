/* core/ops/rank_fire.c - the final rows of windows that close, or at the end of the input. */
#include "core/ops/rank_impl.h"

static bool emit_place(struct rank_op *r, const struct step_time *t, const struct rank_scope *scope,
                       uint32_t group, uint32_t index)
{
    const uint32_t bytes = table_key_bytes(&scope->table, group) + 16;
    uint32_t n = 0;
    struct mill_view place = view_of("", 0);

    if (r->emit.keyed) {
        if (bytes > r->key_room) {
            heap_free(r->op.heap, r->key, r->key_room);
            r->key = heap_alloc(r->op.heap, bytes);
            r->key_room = r->key != NULL ? bytes : 0;
            if (r->key == NULL)
                return false;
        }
        n = key_put_i64(r->key, scope->end);
        n += table_key_put(&scope->table, group, r->key + n);
        n += key_put_i64(r->key + n, index);
        place = view_of(r->key, n);
    }
    return emit_fired(&r->emit, t, &place, ROW_INSERT) >= 0;
}

/* Visible rows from (group, entry) on, until the batch is full. */
static bool emit_some(struct rank_op *r, const struct step_time *t, int64_t *budget)
{
    struct rank_scope *scope = &r->scopes[0];
    const uint32_t at = r->emit.out != NULL ? r->emit.out->rows : 0;
    uint32_t n = 0;

    while (r->group<scope->table.groups && * budget> 0) {
        const uint32_t group = r->sorter.order[r->group];
        struct rank_key *key = table_state(&scope->table, group);
        const struct rank_entry *entries = rank_entries_of(key);
        int64_t rank = 0;

        for (uint32_t i = 0; i < key->count; i++) {
            rank = rank_of(r, entries, i, rank);
            if (rank > r->node->limit)
                break;
            if (i < r->entry)
                continue;
            if (emit_full(&r->emit) || n == BATCH_ROWS_MAX)
                return rank_put_rows(r, r->ids, r->ranks, n, at);
            if (!emit_place(r, t, scope, group, i))
                return false;
            r->ids[n] = entries[i].id;
            r->ranks[n++] = rank;
            r->entry = i + 1;
        }
        r->group++;
        r->entry = 0;
        *budget -= 1 + key->count;
    }
    return n == 0 || rank_put_rows(r, r->ids, r->ranks, n, at);
}

void rank_scope_drop(struct rank_op *r)
{
    struct rank_scope *scope = &r->scopes[0];

    for (uint32_t id = 0; id < scope->table.groups; id++) {
        struct rank_key *key = table_state(&scope->table, id);

        rank_forget_key(r, key);
        heap_free(r->op.heap, key->entries, key->room * sizeof *key->entries);
    }
    r->op.counters.consumed += scope->rows;
    r->op.counters.held -= scope->rows;
    r->op.counters.fired++;
    table_close(&scope->table);
    r->scope_count--;
    memmove(r->scopes, r->scopes + 1, r->scope_count * sizeof *r->scopes);
}

enum op_progress rank_fire(struct rank_op *r, const struct step_time *t, int64_t *budget)
{
    while (r->scope_count > 0 &&
           (t->last || (r->windowed && rank_closes_at(r, r->scopes[0].end) <= t->w_after))) {
        if (!r->sorting && !sorter_open(&r->sorter, &r->scopes[0].table))
            return rank_no_memory(r);
        r->sorting = true;
        if (!sorter_turn(&r->sorter, budget))
            return OP_BUSY;
        while (r->group < r->scopes[0].table.groups) {
            enum op_progress p = OP_READY;

            if (*budget <= 0)
                return OP_BUSY;
            if (emit_full(&r->emit))
                p = emit_flush(&r->emit, t);
            if (p != OP_READY)
                return p;
            if (!emit_some(r, t, budget))
                return rank_no_memory(r);
        }
        rank_scope_drop(r);
        r->sorting = false;
        r->group = r->entry = 0;
    }
    sorter_close(&r->sorter);
    r->ending = false;
    r->op.counters.state_rows = r->rows.rows;
    r->op.counters.waits = r->windowed && r->scope_count > 0;
    r->op.counters.waits_for =
        r->op.counters.waits ? rank_closes_at(r, r->scopes[0].end) : TIME_MAX;
    return emit_flush(&r->emit, t);
}
