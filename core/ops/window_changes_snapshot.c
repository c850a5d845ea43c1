/* core/ops/window_changes_snapshot.c - panes as bytes. */
#include "core/ops/window_changes.h"

static void save_pane(const struct window_changes *s, struct pane *pane, struct snapshot_writer *to)
{
    const int64_t fields[] = {pane->start,          pane->end,         pane->rows,
                              (int64_t)pane->taken, pane->given_start, pane->given_end,
                              pane->base_us,        pane->due_us};

    snapshot_put(to, fields, sizeof fields);
    snapshot_u8(to, (uint8_t)(pane->given | pane->fired << 1));
    if (pane->given_row != ROW_NONE)
        rows_save(&s->given, pane->given_row, to);
    snapshot_u32(to, pane->point_count);
    for (uint32_t i = 0; i < pane->point_count; i++) {
        snapshot_u64(to, (uint64_t)pane->points[i].time);
        if (s->keeps_rows)
            rows_save(&s->rows, pane->points[i].row, to);
    }
    agg_snapshot(s->set, pane_state(pane), to);
}

void window_changes_snapshot(struct op *op, struct snapshot_writer *to)
{
    const struct window_changes *s = (const struct window_changes *)op;

    CHECK(!s->firing && s->batch == NULL);
    snapshot_put(to, &op->counters, sizeof op->counters);
    snapshot_u64(to, (uint64_t)s->clock);
    snapshot_u32(to, s->table.groups);
    for (uint32_t id = 0; id < s->table.groups; id++) {
        uint32_t count = 0;

        table_key_snapshot(&s->table, id, to);
        for (struct pane *pane = panes_of(s, id)->list; pane != NULL; pane = pane->next)
            count++;
        snapshot_u32(to, count);
        for (struct pane *pane = panes_of(s, id)->list; pane != NULL; pane = pane->next)
            save_pane(s, pane, to);
    }
}

static bool load_points(struct window_changes *s, struct pane *pane, struct snapshot_reader *from)
{
    const uint32_t count = snapshot_get_u32(from);

    if (count == 0 || from->failed)
        return !from->failed;
    pane->points = heap_zalloc(s->op.heap, count * sizeof *pane->points);
    if (pane->points == NULL)
        return false;
    pane->point_room = count;
    for (; pane->point_count < count && !from->failed; pane->point_count++) {
        struct point *p = &pane->points[pane->point_count];

        *p = (struct point){(int64_t)snapshot_get_u64(from), ROW_NONE};
        if (s->keeps_rows)
            p->row = rows_restore(&s->rows, from);
        if (s->keeps_rows && p->row == ROW_NONE)
            return false;
    }
    return !from->failed;
}

static bool load_pane(struct window_changes *s, struct pane *pane, struct snapshot_reader *from)
{
    int64_t fields[8];
    uint8_t flags;

    snapshot_get(from, fields, sizeof fields);
    flags = snapshot_get_u8(from);
    pane->start = fields[0];
    pane->end = fields[1];
    pane->rows = fields[2];
    pane->taken = (uint64_t)fields[3];
    pane->given_start = fields[4];
    pane->given_end = fields[5];
    pane->base_us = fields[6];
    pane->due_us = fields[7];
    pane->given = (flags & 1) != 0;
    pane->fired = (flags & 2) != 0;
    if (pane->given && s->given_schema.field_count > 0) {
        pane->given_row = rows_restore(&s->given, from);
        if (pane->given_row == ROW_NONE)
            return false;
    }
    return load_points(s, pane, from) && agg_restore(s->set, pane_state(pane), from);
}

static bool load_panes(struct window_changes *s, uint32_t id, struct snapshot_reader *from)
{
    struct pane **at = &panes_of(s, id)->list;
    const uint32_t count = snapshot_get_u32(from);

    *panes_of(s, id) = (struct panes){NULL, TIME_MAX, TIME_MAX};
    for (uint32_t i = 0; i < count && !from->failed; i++) {
        struct pane *pane = pane_new(s, id, 0, 0);

        if (pane == NULL)
            return false;
        *at = pane;
        at = &pane->next;
        if (!load_pane(s, pane, from))
            return false;
    }
    return !from->failed;
}

bool window_changes_restore(struct op *op, struct snapshot_reader *from)
{
    struct window_changes *s = (struct window_changes *)op;
    uint32_t groups;

    snapshot_get(from, &op->counters, sizeof op->counters);
    s->clock = (int64_t)snapshot_get_u64(from);
    groups = snapshot_get_u32(from);
    for (uint32_t i = 0; i < groups && !from->failed; i++) {
        const uint32_t id = table_key_restore(&s->table, from);

        if (id == TABLE_NO_GROUP)
            return false;
        *panes_of(s, id) = (struct panes){NULL, TIME_MAX, TIME_MAX};
        if (!load_panes(s, id, from))
            return false;
    }
    op->counters.state_rows = s->pane_count;
    return !from->failed && panes_rebuild(s);
}
