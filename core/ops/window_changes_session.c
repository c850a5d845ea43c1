/* core/ops/window_changes_session.c - sessions whose results are revised: rows join them, rows taken back split them.
 *
 * A row joins every session it touches that is not dropped yet (op_session.c). The result of a session that another has taken in, or whose
 * bounds have changed, is taken back: -D, +I. Where rows are taken back each session keeps its rows' times, and what its aggregates
 * read of them; a hole wider than the gap makes two of one, whose later part is aggregated anew.
 */
#include "core/plan/physical.h"
#include "core/ops/window_changes.h"

static int64_t last_time(const struct window_changes *s, const struct pane *pane)
{
    return time_add(pane->end, -s->windows.spec.size);
}

/* Its bounds have changed. A session that grows may be open again. */
static bool moved(struct window_changes *s, struct panes *of, struct pane *pane)
{
    if (pane->fired && pane_closing(s, pane->end) > s->row_w) {
        pane->fired = false;
        pane->base_us = -1;
        pane->due_us = TIME_MAX;
    }
    return panes_note(s, of, pane);
}

/* ---- rows of a session ---- */

/* Number of its points with times up to @time. */
static uint32_t points_up_to(const struct pane *pane, int64_t time)
{
    uint32_t low = 0, high = pane->point_count;

    while (low < high) {
        const uint32_t middle = (low + high) / 2;

        if (pane->points[middle].time <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool points_reserve(struct window_changes *s, struct pane *pane, uint32_t count)
{
    const uint32_t room = max_u32(max_u32(4, count), pane->point_room * 2);
    struct point *points;

    if (count <= pane->point_room)
        return true;
    points = heap_grow(s->op.heap, pane->points, pane->point_room * sizeof *points,
                       room * sizeof *points);
    if (points == NULL)
        return false;
    pane->points = points;
    pane->point_room = room;
    return true;
}

static bool point_add(struct window_changes *s, struct pane *pane, int64_t time)
{
    const uint16_t row = (uint16_t)s->row;
    const uint32_t at = points_up_to(pane, time);
    uint32_t id = ROW_NONE;

    if (!points_reserve(s, pane, pane->point_count + 1) ||
        (s->keeps_rows && !rows_append(&s->rows, s->batch, &row, 1, &id)))
        return false;
    memmove(pane->points + at + 1, pane->points + at,
            (pane->point_count - at) * sizeof *pane->points);
    pane->points[at] = (struct point){time, id};
    pane->point_count++;
    return true;
}

/* The last point of that time whose row is as the one at hand; point_count: there is none. */
static uint32_t point_find(const struct window_changes *s, const struct pane *pane, int64_t time)
{
    for (uint32_t i = points_up_to(pane, time); i > 0 && pane->points[i - 1].time == time; i--)
        if (!s->keeps_rows || rows_equal(&s->rows, pane->points[i - 1].row, s->batch, s->row))
            return i - 1;
    return pane->point_count;
}

/* Rows of @points as a batch of the input's columns, as far as aggregates read them. */
static bool gather(struct window_changes *s, const struct point *points, uint32_t count)
{
    struct batch *to = s->moved;
    uint32_t ids[256];

    if (to == NULL)
        to = s->moved = batch_new(s->op.heap, COUNT_OF(ids), s->input->field_count);
    else
        batch_reset(to, s->input->field_count);
    if (to == NULL || to->columns == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++)
        ids[i] = points[i].row;
    for (uint32_t k = 0; k < s->row_column_count && s->keeps_rows; k++) {
        const uint32_t c = s->row_columns[k];

        if (!column_own(to, &to->columns[c], &s->input->fields[c].type) ||
            !rows_gather(&s->rows, ids, count, k, to, &to->columns[c], 0))
            return false;
    }
    to->step = s->batch->step;
    to->rows = to->live = count;
    return true;
}

/* Adds the rows of points[0 .. count) to @pane's aggregates, or takes them out. */
static bool points_apply(struct window_changes *s, struct pane *pane, const struct point *points,
                         uint32_t count, bool add)
{
    void *state = pane_state(pane);

    for (uint32_t done = 0; done < count;) {
        const uint32_t n = min_u32(count - done, 256);

        if (!gather(s, points + done, n))
            return false;
        if (add && !agg_add_one(s->set, state, s->moved, NULL, n))
            return false;
        for (uint32_t i = 0; !add && i < n; i++)
            if (!agg_retract(s->set, state, s->moved, i))
                return false;
        done += n;
    }
    pane->rows += add ? (int64_t)count : -(int64_t)count;
    return true;
}

/* ---- rows that come ---- */

/* Points of both, in order of time; @from's are the later ones of equal times. */
static bool points_merge(struct window_changes *s, struct pane *into, struct pane *from)
{
    uint32_t a = into->point_count, b = from->point_count, at = a + b;

    if (!points_reserve(s, into, at))
        return false;
    while (b > 0)
        if (a > 0 && into->points[a - 1].time > from->points[b - 1].time)
            into->points[--at] = into->points[--a];
        else
            into->points[--at] = from->points[--b];
    into->point_count += from->point_count;
    from->point_count = 0;
    return true;
}

/* @into begins first. */
static bool unite(struct window_changes *s, struct panes *of, struct pane *into, struct pane *from)
{
    if (!changes_add_waiting(s) || !pane_take_back(s, into, ROW_DELETE) ||
        !pane_take_back(s, from, ROW_DELETE))
        return false;
    if (s->keeps_points) {
        if (!points_apply(s, into, from->points, from->point_count, true) ||
            !points_merge(s, into, from))
            return false;
    } else {
        if (!agg_merge(s->set, pane_state(into), pane_state(from)))
            return false;
        into->rows += from->rows;
    }
    into->taken += from->taken;
    from->taken = 0;
    into->start = min_i64(into->start, from->start);
    into->end = max_i64(into->end, from->end);
    pane_unlink(s, of, from);
    pane_free(s, from);
    return true;
}

static bool is_dropped(const struct window_changes *s, int64_t end)
{
    return pane_dropping(s, end) <= s->row_w;
}

static bool touches(const struct window_changes *s, const struct pane *pane, int64_t time)
{
    return !is_dropped(s, pane->end) && time <= pane->end &&
           pane->start <= time_add(time, s->windows.spec.size);
}

/* The sessions that @time touches as one; NULL: none, or (*failed) no memory. */
static struct pane *united(struct window_changes *s, struct panes *of, int64_t time, bool *failed)
{
    struct pane *home = NULL, *next;

    for (struct pane *x = of->list; x != NULL && !*failed; x = next) {
        next = x->next;
        if (!touches(s, x, time))
            continue;
        *failed = !pane_on_time(s, x, s->row_w);
        if (home == NULL) {
            home = x;
        } else if (!*failed) {
            struct pane *first = x->start < home->start ? x : home;

            *failed = !unite(s, of, first, first == home ? x : home);
            home = first;
        }
    }
    return home;
}

static bool session_add(struct window_changes *s, struct panes *of, int64_t time,
                        const struct step_time *t)
{
    const int64_t end = time_add(time, s->windows.spec.size);
    bool failed = false;
    struct pane *pane = united(s, of, time, &failed);

    if (failed)
        return false;
    if (pane == NULL) {
        if (is_dropped(s, end)) {
            s->late[s->late_count++] = (uint16_t)s->row;
            s->op.counters.late++;
            return true;
        }
        pane =
            pane_new(s, (uint32_t)((size_t)((char *)of - s->table.states) / s->table.state_bytes),
                     time, end);
        if (pane == NULL)
            return false;
        s->empty -= of->list == NULL;
        pane->next = of->list;
        of->list = pane;
        pane->fired = pane_closing(s, end) <= s->row_w;
    }
    pane->start = min_i64(pane->start, time);
    pane->end = max_i64(pane->end, end);
    pane->taken++;
    s->op.counters.held++;
    return moved(s, of, pane) && pane_add(s, pane, s->row) &&
           (!s->keeps_points || point_add(s, pane, time)) && pane_changed(s, of, pane, t);
}

/* ---- rows that are taken back ---- */

/* The part from point @at on becomes a session of its own. */
static bool split(struct window_changes *s, struct panes *of, struct pane *pane, uint32_t at,
                  const struct step_time *t)
{
    const uint32_t count = pane->point_count - at;
    struct pane *later =
        pane_new(s, pane->group, pane->points[at].time,
                 time_add(pane->points[pane->point_count - 1].time, s->windows.spec.size));

    if (later == NULL)
        return false;
    later->next = pane->next;
    pane->next = later;
    later->fired = pane->fired;
    if (!points_reserve(s, later, count) ||
        !points_apply(s, later, pane->points + at, count, true) ||
        !points_apply(s, pane, pane->points + at, count, false))
        return false;
    memcpy(later->points, pane->points + at, count * sizeof *later->points);
    later->point_count = count;
    pane->point_count = at;
    pane->end = time_add(pane->points[at - 1].time, s->windows.spec.size);
    return moved(s, of, pane) && moved(s, of, later) && pane_changed(s, of, pane, t) &&
           pane_changed(s, of, later, t);
}

static bool remove_point(struct window_changes *s, struct panes *of, struct pane *pane, uint32_t at,
                         const struct step_time *t)
{
    const int64_t gap = s->windows.spec.size;
    struct point *points = pane->points;

    if (s->keeps_rows)
        rows_free(&s->rows, &points[at].row, 1);
    memmove(points + at, points + at + 1, (pane->point_count - at - 1) * sizeof *points);
    pane->point_count--;
    pane->rows--;
    if (!agg_retract(s->set, pane_state(pane), s->batch, s->row))
        return false;
    if (pane->point_count == 0) {
        if (!pane_take_back(s, pane, ROW_DELETE))
            return false;
        pane_unlink(s, of, pane);
        pane_free(s, pane);
        return true;
    }
    if (at > 0 && at < pane->point_count && points[at].time > time_add(points[at - 1].time, gap))
        return split(s, of, pane, at, t);
    pane->start = points[0].time;
    pane->end = time_add(points[pane->point_count - 1].time, gap);
    return moved(s, of, pane) && pane_changed(s, of, pane, t);
}

static bool session_retract(struct window_changes *s, struct panes *of, int64_t time,
                            const struct step_time *t)
{
    for (struct pane *x = of->list; x != NULL; x = x->next) {
        uint32_t at;

        if (is_dropped(s, x->end) || time < x->start || time > last_time(s, x))
            continue;
        at = point_find(s, x, time);
        if (at == x->point_count)
            continue;
        x->taken++;
        s->op.counters.held++;
        return pane_on_time(s, x, s->row_w) && changes_add_waiting(s) &&
               remove_point(s, of, x, at, t);
    }
    if (is_dropped(s, time_add(time, s->windows.spec.size))) {
        s->late[s->late_count++] = (uint16_t)s->row;
        s->op.counters.late++;
    } else {
        s->op.counters.filtered++;
    }
    return true;
}

bool session_take(struct window_changes *s, struct panes *of, int64_t time,
                  const struct step_time *t)
{
    return row_kind_weight(batch_kind(s->batch, s->row)) > 0 ? session_add(s, of, time, t)
                                                             : session_retract(s, of, time, t);
}
