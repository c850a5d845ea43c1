/* core/ops/interval_snapshot.c - kept rows of an interval join as bytes, and back.
 *
 * Lists are saved in their order, each row with its rank in the order in which rows go, which restoring needs for the expiry.
 */
#include "core/ops/interval_impl.h"

#include <stdlib.h>

struct rank {
    uint32_t rank, id;
};

struct ranking {
    uint32_t *ranks; /* by id */
    uint32_t next;
};

static void rank_next(void *user, const struct expiry_entry *entry)
{
    struct ranking *r = user;

    r->ranks[entry->id] = r->next++;
}

static void save_list(struct interval_join *j, struct list *list, uint32_t side,
                      const uint32_t *ranks, struct snapshot_writer *to)
{
    const struct row_store *store = interval_store(j, side);
    const struct listed *items = interval_list_items(list);
    uint32_t live = 0;

    for (uint32_t i = list->first; i < list->end; i++)
        live += (*rows_mark(store, items[i].id) & MARK_DEAD) == 0;
    snapshot_u32(to, live);
    for (uint32_t i = list->first; i < list->end; i++) {
        if ((*rows_mark(store, items[i].id) & MARK_DEAD) != 0)
            continue;
        snapshot_u32(to, ranks[items[i].id]);
        rows_save(store, items[i].id, to);
    }
}

struct loose {
    struct interval_join *j;
    struct snapshot_writer *to;
    const uint32_t *ranks;
    uint32_t side, count;
};

static void save_loose(void *user, const struct expiry_entry *entry)
{
    struct loose *l = user;
    const struct row_store *store = interval_store(l->j, l->side);

    if ((*rows_mark(store, entry->id) & MARK_GROUP) != MARK_GROUP)
        return;
    l->count++;
    if (l->to == NULL)
        return;
    snapshot_u32(l->to, l->ranks[entry->id]);
    rows_save(store, entry->id, l->to);
}

/* Lists in their order, each row with its rank in the order in which rows go; then the rows of no list. */
void interval_snapshot(struct op *op, struct snapshot_writer *to)
{
    struct interval_join *j = (struct interval_join *)op;
    struct ranking r[2] = {{0}};

    CHECK(j->in == NULL && !j->ending);
    snapshot_put(to, &op->counters, sizeof op->counters);
    for (uint32_t s = 0; s < 2; s++) {
        r[s].ranks =
            heap_alloc(op->heap, ((size_t)interval_store(j, s)->block_count * ROWS_BLOCK + 1) * 4);
        if (r[s].ranks != NULL)
            expiry_each(&j->expiry[s], rank_next, &r[s]);
        to->failed = to->failed || r[s].ranks == NULL;
    }
    snapshot_u32(to, j->base.table.groups - j->empty);
    for (uint32_t id = 0; id < j->base.table.groups && !to->failed; id++) {
        if (interval_is_empty(interval_group(j, id)))
            continue;
        table_key_snapshot(&j->base.table, id, to);
        for (uint32_t s = 0; s < 2; s++)
            save_list(j, &interval_group(j, id)->list[s], s, r[s].ranks, to);
    }
    for (uint32_t s = 0; s < 2 && !to->failed; s++) {
        struct loose count = {.j = j, .side = s},
                     all = {.j = j, .to = to, .ranks = r[s].ranks, .side = s};

        expiry_each(&j->expiry[s], save_loose, &count);
        snapshot_u32(to, count.count);
        expiry_each(&j->expiry[s], save_loose, &all);
    }
    for (uint32_t s = 0; s < 2; s++)
        heap_free(op->heap, r[s].ranks,
                  ((size_t)interval_store(j, s)->block_count * ROWS_BLOCK + 1) * 4);
}

struct restored {
    struct rank *rows;
    uint32_t count, room;
};

static bool restore_rows(struct interval_join *j, struct restored *r, uint32_t side, uint32_t group,
                         struct snapshot_reader *from)
{
    struct row_store *store = interval_store(j, side);
    const uint32_t count = snapshot_get_u32(from);

    for (uint32_t i = 0; i < count && !from->failed; i++) {
        const uint32_t rank = snapshot_get_u32(from), id = rows_restore(store, from);

        if (id == ROW_NONE)
            return false;
        if (r->count == r->room) {
            const uint32_t room = max_u32(64, r->room * 2);
            struct rank *grown =
                heap_grow(j->base.op.heap, r->rows, r->room * sizeof *grown, room * sizeof *grown);

            if (grown == NULL)
                return false;
            r->rows = grown;
            r->room = room;
        }
        r->rows[r->count++] = (struct rank){rank, id};
        *rows_mark(store, id) = (*rows_mark(store, id) & MARK_MET) | group;
        if (group != MARK_GROUP &&
            !interval_list_add(j, &interval_group(j, group)->list[side], *rows_time(store, id), id))
            return false;
    }
    return !from->failed;
}

static int by_rank(const void *a, const void *b)
{
    const struct rank *x = a, *y = b;

    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static bool restore_state(struct interval_join *j, struct restored r[2],
                          struct snapshot_reader *from)
{
    const uint32_t groups = snapshot_get_u32(from);

    for (uint32_t i = 0; i < groups && !from->failed; i++) {
        const uint32_t before = j->base.table.groups, id = table_key_restore(&j->base.table, from);

        if (id == TABLE_NO_GROUP)
            return false;
        interval_groups_init(j, before);
        j->empty = 0;
        for (uint32_t s = 0; s < 2; s++)
            if (!restore_rows(j, &r[s], s, id, from))
                return false;
    }
    for (uint32_t s = 0; s < 2; s++)
        if (!restore_rows(j, &r[s], s, MARK_GROUP, from))
            return false;
    for (uint32_t s = 0; s < 2; s++) {
        if (r[s].count > 0)
            qsort(r[s].rows, r[s].count, sizeof *r[s].rows, by_rank);
        for (uint32_t i = 0; i < r[s].count; i++)
            if (!expiry_add(&j->expiry[s], *rows_time(interval_store(j, s), r[s].rows[i].id),
                            r[s].rows[i].id))
                return false;
    }
    return !from->failed;
}

bool interval_restore(struct op *op, struct snapshot_reader *from)
{
    struct interval_join *j = (struct interval_join *)op;
    struct restored r[2] = {{0}};
    bool ok;

    snapshot_get(from, &op->counters, sizeof op->counters);
    ok = restore_state(j, r, from);
    for (uint32_t s = 0; s < 2; s++)
        heap_free(op->heap, r[s].rows, r[s].room * sizeof *r[s].rows);
    return ok;
}
