/* core/ops/window_changes_fire.c - at the end of a step: panes whose time has come, on time, for good, or by the clock.
 *
 * They are collected, sorted by (end, key, start) and settled in bounded turns.
 */
#include "core/ops/window_changes.h"

#include "core/plan/physical.h"

#include <stdlib.h>

#define SWEEP_GROUPS 1024u
#define TURN_PANES 4096u

static int by_order(const void *a, const void *b)
{
    const struct fired_pane *x = a, *y = b;
    const int diff = memcmp(x->order, y->order, min_u32(x->length, y->length));

    return diff != 0 ? diff : (x->length > y->length) - (x->length < y->length);
}

static bool fired_add(struct window_changes *s, struct pane *pane)
{
    const uint32_t bytes = 17 + table_key_bytes(&s->table, pane->group);
    char *order = arena_alloc(&s->order_bytes, bytes);
    uint32_t n;

    if (pane->queued)
        return true;
    if (s->fired_count == s->fired_room) {
        const uint32_t room = s->fired_room == 0 ? 256 : s->fired_room * 2;
        struct fired_pane *grown =
            heap_grow(s->op.heap, s->fired, s->fired_room * sizeof *grown, room * sizeof *grown);

        if (grown == NULL)
            return false;
        s->fired = grown;
        s->fired_room = room;
    }
    if (order == NULL)
        return false;
    pane->queued = true;
    n = key_put_i64(order, pane->end);
    n += table_key_put(&s->table, pane->group, order + n);
    n += key_put_i64(order + n, pane->start);
    s->fired[s->fired_count++] = (struct fired_pane){pane, order, n};
    return true;
}

/* Keys with an event: their panes whose time has come are queued, the others say when to look again. */
static bool collect_closing(struct window_changes *s)
{
    struct expiry_entry entry;

    while (expiry_take(&s->closing, s->fire_w, &entry)) {
        struct panes *of = panes_of(s, entry.id);

        if (of->due != entry.time)
            continue;
        of->due = TIME_MAX;
        for (struct pane *pane = of->list; pane != NULL; pane = pane->next)
            if (!(pane_event(s, pane) <= s->fire_w ? fired_add(s, pane) : panes_note(s, of, pane)))
                return false;
    }
    return true;
}

static bool collect_timers(struct window_changes *s, int64_t clock_us)
{
    struct expiry_entry entry;

    while (expiry_take(&s->timers, clock_us, &entry)) {
        struct panes *of = panes_of(s, entry.id);
        int64_t least = TIME_MAX;

        if (of->due_us != entry.time)
            continue;
        of->due_us = TIME_MAX;
        for (struct pane *pane = of->list; pane != NULL; pane = pane->next) {
            if (pane->due_us <= clock_us && !fired_add(s, pane))
                return false;
            if (pane->due_us > clock_us)
                least = min_i64(least, pane->due_us);
        }
        of->due_us = least;
        if (least != TIME_MAX && !expiry_add(&s->timers, least, entry.id))
            return false;
    }
    return true;
}

/* Tells what the pane says now; it goes, or begins its late phase. */
static bool settle(struct window_changes *s, struct pane *pane)
{
    struct panes *of = panes_of(s, pane->group);
    const bool passed = pane_closing(s, pane->end) <= s->fire_w;
    const bool goes = pane_dropping(s, pane->end) <= s->fire_w;

    pane->queued = false;
    pane->due_us = TIME_MAX;
    if (!pane_revise(s, pane))
        return false;
    if (passed && !pane->fired) {
        pane->fired = true;
        pane->base_us = -1;
        s->op.counters.fired += pane->rows > 0;
    }
    if (goes) {
        pane_unlink(s, of, pane);
        pane_free(s, pane);
        return true;
    }
    return panes_note(s, of, pane);
}

static bool is_empty(const void *state)
{
    return ((const struct panes *)state)->list == NULL;
}

void changes_fire_close(struct window_changes *s)
{
    if (!s->firing)
        return;
    heap_free(s->op.heap, s->fired, s->fired_room * sizeof *s->fired);
    s->fired = NULL;
    s->fired_count = s->fired_room = s->fired_next = 0;
    arena_close(&s->order_bytes);
    s->firing = false;
}

static enum op_progress fire_end(struct window_changes *s, const struct step_time *t)
{
    s->op.counters.sum_overflow = agg_overflows(s->set);
    changes_fire_close(s);
    /* keys whose panes have all gone leave the table when they are most of it */
    if (s->table.groups >= SWEEP_GROUPS && s->empty >= s->table.groups / 4 * 3 &&
        table_compact(&s->table, s->empty, is_empty) && !panes_rebuild(s))
        return changes_no_memory(s);
    return emit_flush(&s->emit, t);
}

enum op_progress changes_fire_on(struct window_changes *s, const struct step_time *t)
{
    if (s->pending_count == 0 && !scratch_begin(s)) /* texts add up in it */
        return changes_no_memory(s);
    for (uint32_t i = 0; i < TURN_PANES; i++) {
        const enum op_progress p = give_pending(s, t);

        if (p != OP_READY)
            return p;
        if (s->fired_next == s->fired_count || op_stopping(&s->op))
            return fire_end(s, t);
        s->op.context->work++;
        if (!settle(s, s->fired[s->fired_next++].pane))
            return changes_no_memory(s);
    }
    return OP_BUSY;
}

enum op_progress changes_fire(struct window_changes *s, const struct step_time *t)
{
    const bool in_clock = s->windows.spec.time < 0 && !s->attached;
    struct op_counters *c = &s->op.counters;
    const int64_t least = expiry_least(&s->closing);

    s->fire_w = t->last ? TIME_MAX : in_clock ? t->clock_us - s->windows.spec.unit : t->w_after;
    c->waits = least != TIME_MAX && !in_clock;
    c->waits_for = c->waits ? least : TIME_MAX;
    if (least > s->fire_w && expiry_least(&s->timers) > t->clock_us)
        return OP_READY;
    arena_open(&s->order_bytes, s->op.heap);
    s->firing = true;
    if (!collect_closing(s) || !collect_timers(s, t->clock_us))
        return changes_no_memory(s);
    if (s->fired_count > 0)
        qsort(s->fired, s->fired_count, sizeof *s->fired, by_order);
    return changes_fire_on(s, t);
}
