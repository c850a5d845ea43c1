/* core/ops/count_snapshot.c - windows by number as bytes, and back. */
#include "core/ops/count_impl.h"

static void content_snapshot(const struct count_op *c, const void *content,
                             struct snapshot_writer *to)
{
    const struct held_rows *h = content;

    if (c->set != NULL) {
        agg_snapshot(c->set, content, to);
        return;
    }
    snapshot_u32(to, h->count);
    for (uint32_t i = 0; i < h->count; i++)
        order_row_snapshot(&c->order, &h->refs[i], to);
}

static bool content_restore(struct count_op *c, void *content, struct snapshot_reader *from)
{
    uint32_t count;

    if (c->set != NULL)
        return agg_restore(c->set, content, from);
    count = snapshot_get_u32(from);
    for (uint32_t i = 0; i < count && !from->failed; i++) {
        struct order_ref ref;
        bool held;

        if (!order_row_restore(&c->order, from, &ref))
            return false;
        held = count_hold_row(c, content, &ref);
        order_drop(&c->order, ref.block); /* the pane has its own share */
        if (!held)
            return false;
    }
    return !from->failed;
}

void count_snapshot(struct op *op, struct snapshot_writer *to)
{
    const struct count_op *c = (const struct count_op *)op;

    CHECK(!c->ending && c->ahead.block == NULL);
    snapshot_put(to, &op->counters, sizeof op->counters);
    snapshot_u64(to, c->taken);
    order_snapshot(&c->order, to);
    snapshot_u32(to, c->table.groups);
    for (uint32_t id = 0; id < c->table.groups; id++) {
        const struct counted *k = count_key_at(c, id);

        table_key_snapshot(&c->table, id, to);
        snapshot_u64(to, (uint64_t)k->id);
        snapshot_u64(to, k->waiting);
        snapshot_u32(to, k->count);
        for (uint32_t i = 0; i < k->count; i++) {
            struct pane *pane = count_pane_at(c, k, i);

            snapshot_u64(to, pane->rows);
            snapshot_u64(to, (uint64_t)pane->first);
            snapshot_u64(to, (uint64_t)pane->last);
            content_snapshot(c, count_pane_content(pane), to);
        }
    }
    snapshot_u64(to, c->timer_end - c->timer_first);
    for (uint64_t i = c->timer_first; i < c->timer_end; i++) {
        const struct timer *t = &c->timers[i & (c->timer_room - 1)];

        snapshot_u64(to, (uint64_t)t->end);
        snapshot_u64(to, (uint64_t)t->id);
        snapshot_u32(to, t->group);
    }
}

static bool restore_key(struct count_op *c, uint32_t id, struct snapshot_reader *from)
{
    struct counted *k = count_key_at(c, id);
    uint32_t count;

    *k = (struct counted){.id = (int64_t)snapshot_get_u64(from)};
    k->waiting = snapshot_get_u64(from);
    count = snapshot_get_u32(from);
    for (uint32_t i = 0; i < count && !from->failed; i++) {
        struct pane *pane = count_open_pane(c, k, 0);

        if (pane == NULL)
            return false;
        pane->rows = snapshot_get_u64(from);
        pane->first = (int64_t)snapshot_get_u64(from);
        pane->last = (int64_t)snapshot_get_u64(from);
        k->rows += pane->rows;
        if (!content_restore(c, count_pane_content(pane), from))
            return false;
    }
    return !from->failed;
}

bool count_restore(struct op *op, struct snapshot_reader *from)
{
    struct count_op *c = (struct count_op *)op;
    uint32_t groups;
    uint64_t timers;

    snapshot_get(from, &op->counters, sizeof op->counters);
    c->taken = snapshot_get_u64(from);
    if (!order_restore(&c->order, from))
        return false;
    groups = snapshot_get_u32(from);
    for (uint32_t i = 0; i < groups && !from->failed; i++) {
        const uint32_t id = table_key_restore(&c->table, from);

        if (id != i)
            return false;
        if (!restore_key(c, id, from))
            return false;
    }
    timers = snapshot_get_u64(from);
    for (uint64_t i = 0; i < timers && !from->failed; i++) {
        struct timer t;

        t.end = (int64_t)snapshot_get_u64(from);
        t.id = (int64_t)snapshot_get_u64(from);
        t.group = snapshot_get_u32(from);
        if (t.group >= c->table.groups || !count_timer_add(c, &t))
            return false;
    }
    return !from->failed;
}
