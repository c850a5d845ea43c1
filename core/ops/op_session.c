/* core/ops/op_session.c - SESSION windows: rows of a key that are at most a gap apart.
 *
 * Each key has a list of open sessions [first, last], ascending and more than a gap apart. A row joins every session it
 * touches (distance <= gap), which may make several one. It is late when the merged session, last + gap - u, is at or
 * before the watermark just before the row: then nothing changes. Sessions the watermark has passed are closed at once
 * for the rows that follow, and fire when the step ends, by (end, key, start).
 * A heap of (end, key) finds the keys that have something to fire. Each key with open sessions has one valid entry, at
 * or before its least end: a session that grows leaves its entry as it is, which is set right when it is reached.
 * Threads: one shard.   Errors: MILL_E_MEMORY.
 */
#include "core/zone.h"
#include "core/ops/op.h"
#include "core/plan/physical.h"
#include "core/state/table.h"

#include <stdlib.h>

#define TURN_BATCHES 4u
#define SWEEP_GROUPS 1024u

struct session {
    struct session *next;
    int64_t first, last;
    uint64_t rows;
    /* the aggregates' state follows */
};

struct sessions { /* per key */
    struct session *list;
    int64_t due; /* end of its valid entry in the heap; TIME_MAX: none */
};

struct entry {
    int64_t end;
    uint32_t group;
};

struct fired {
    struct session *session;
    uint32_t group;
    struct mill_view order;
};

struct session_op {
    struct op op;
    const struct aggregate_node *node;
    struct mill_schema input, output;
    struct agg_set *set;
    struct key_layout keys;
    struct key_batch batch_keys;
    struct table table; /* state: struct sessions */
    int64_t gap, unit;
    uint32_t empty;     /* groups without sessions */
    struct entry *heap; /* least end first */
    size_t entry_count, entry_room;
    /* rows waiting to be added to their sessions, in place order */
    uint16_t rows[BATCH_ROWS_MAX];
    void *states[BATCH_ROWS_MAX];
    void *lists[BATCH_ROWS_MAX];
    uint32_t waiting;
    uint16_t late[BATCH_ROWS_MAX];
    uint32_t late_count;
    /* a firing under way */
    struct fired *fired;
    uint32_t fired_count, fired_room, next;
    struct arena order_bytes;
    bool firing;
};

static enum op_progress no_memory(struct session_op *s)
{
    return op_no_memory(&s->op, "sessions stay until their gap has passed: use a shorter one, or");
}

static void *aggregates(struct session *session)
{
    return session + 1;
}

static size_t session_bytes(const struct session_op *s)
{
    return sizeof(struct session) + agg_state_bytes(s->set);
}

static struct session *session_new(struct session_op *s, int64_t time)
{
    struct session *session = heap_alloc(s->op.heap, session_bytes(s));

    if (session == NULL)
        return NULL;
    *session = (struct session){.first = time, .last = time};
    agg_init(s->set, aggregates(session));
    return session;
}

static void session_free(struct session_op *s, struct session *session)
{
    agg_close(s->set, aggregates(session));
    heap_free(s->op.heap, session, session_bytes(s));
}

static struct sessions *sessions_at(const struct session_op *s, uint32_t group)
{
    return table_state(&s->table, group);
}

/* ---- the heap of ends ---- */

static bool due_add(struct session_op *s, struct sessions *of, int64_t end)
{
    const uint32_t group = (uint32_t)(((const char *)of - s->table.states) / s->table.state_bytes);
    size_t at;

    if (s->entry_count == s->entry_room) {
        const size_t room = s->entry_room == 0 ? 256 : s->entry_room * 2;
        struct entry *heap =
            heap_grow(s->op.heap, s->heap, s->entry_room * sizeof *heap, room * sizeof *heap);

        if (heap == NULL)
            return false;
        s->heap = heap;
        s->entry_room = room;
    }
    for (at = s->entry_count++; at > 0 && s->heap[(at - 1) / 2].end > end; at = (at - 1) / 2)
        s->heap[at] = s->heap[(at - 1) / 2];
    s->heap[at] = (struct entry){end, group};
    of->due = end;
    return true;
}

static struct entry due_take(struct session_op *s)
{
    const struct entry first = s->heap[0], last = s->heap[--s->entry_count];
    size_t at = 0;

    for (size_t child = 1; child < s->entry_count; child = 2 * at + 1) {
        if (child + 1 < s->entry_count && s->heap[child + 1].end < s->heap[child].end)
            child++;
        if (s->heap[child].end >= last.end)
            break;
        s->heap[at] = s->heap[child];
        at = child;
    }
    if (s->entry_count > 0)
        s->heap[at] = last;
    return first;
}

/* After a restore or a sweep: one entry for each key with open sessions. */
static bool due_rebuild(struct session_op *s)
{
    s->entry_count = 0;
    s->empty = 0;
    for (uint32_t id = 0; id < s->table.groups; id++) {
        struct sessions *of = sessions_at(s, id);
        int64_t least = TIME_MAX;

        for (const struct session *x = of->list; x != NULL; x = x->next)
            least = min_i64(least, time_add(x->last, s->gap));
        of->due = TIME_MAX;
        s->empty += of->list == NULL;
        if (of->list != NULL && !due_add(s, of, least))
            return false;
    }
    return true;
}

/* ---- rows ---- */

static bool add_waiting(struct session_op *s, const struct batch *batch)
{
    const bool ok = s->waiting == 0 || agg_add(s->set, s->states, batch, s->rows, s->waiting);

    s->waiting = 0;
    return ok;
}

static bool is_open(const struct session_op *s, const struct session *x, int64_t w)
{
    return time_add(x->last, s->gap - s->unit) > w;
}

/* Unites @from with @into; rows that wait are added first, so that states have their order. */
static bool unite(struct session_op *s, struct session *into, struct session *from,
                  const struct batch *batch)
{
    if (!add_waiting(s, batch) || !agg_merge(s->set, aggregates(into), aggregates(from)))
        return false;
    into->first = min_i64(into->first, from->first);
    into->last = max_i64(into->last, from->last);
    into->rows += from->rows;
    session_free(s, from);
    return true;
}

/* Puts one row into the sessions of its key. */
static bool put_row(struct session_op *s, struct sessions *of, int64_t time, int64_t w,
                    const struct batch *batch, uint32_t row)
{
    struct session *home = NULL, **at = &of->list;

    while (*at != NULL) {
        struct session *x = *at;

        if (!is_open(s, x, w) || time > time_add(x->last, s->gap) ||
            x->first > time_add(time, s->gap)) {
            at = &x->next;
            continue;
        }
        if (home == NULL) {
            home = x;
            at = &x->next;
            continue;
        }
        *at = x->next;
        if (!unite(s, home, x, batch)) {
            *at = x; /* not lost: the operator's close frees it */
            return false;
        }
    }
    if (home == NULL) {
        if (time_add(time, s->gap - s->unit) <= w) {
            s->late[s->late_count++] = (uint16_t)row;
            return true;
        }
        home = session_new(s, time);
        if (home == NULL)
            return false;
        s->empty -= of->list == NULL;
        home->next = of->list;
        of->list = home;
        if (time_add(time, s->gap) < of->due && !due_add(s, of, time_add(time, s->gap)))
            return false;
    }
    home->first = min_i64(home->first, time);
    home->last = max_i64(home->last, time);
    home->rows++;
    s->op.counters.held++;
    s->rows[s->waiting] = (uint16_t)row;
    s->states[s->waiting++] = aggregates(home);
    return true;
}

static bool row_time(const struct session_op *s, const struct batch *batch, uint32_t row,
                     const struct step_time *t, int64_t *time, int64_t *w)
{
    const int32_t at = s->node->window.time;
    const struct column *c;

    if (at < 0) {
        *time = t->clock_us;
        *w = t->clock_us - s->unit;
        return true;
    }
    c = &batch->columns[at];
    *time = ((const int64_t *)c->values)[c->constant ? 0 : row];
    *w = row_watermark(t, batch, row);
    return column_valid(c, row);
}

/* New groups have empty lists. */
static void lists_init(struct session_op *s, uint32_t from)
{
    for (uint32_t id = from; id < s->table.groups; id++)
        *sessions_at(s, id) = (struct sessions){.due = TIME_MAX};
    s->empty += s->table.groups - from;
}

/* With keys the table finds the list of each row; without, there is one. */
static bool find_lists(struct session_op *s, const struct batch *batch)
{
    const uint32_t before = s->table.groups;

    if (s->keys.count > 0) {
        const bool found =
            keys_prepare(&s->keys, batch, batch->selection, batch->live, &s->batch_keys) &&
            table_lookup(&s->table, &s->batch_keys, NULL, batch->live, s->lists);

        lists_init(s, before);
        return found;
    }
    if (s->table.groups == 0 && !table_single(&s->table))
        return false;
    lists_init(s, before);
    for (uint32_t i = 0; i < batch->live; i++)
        s->lists[i] = table_state(&s->table, 0);
    return true;
}

static enum op_progress session_push(struct op *op, uint32_t port, struct batch *batch,
                                     const struct step_time *t)
{
    struct session_op *s = (struct session_op *)op;
    enum op_progress p = OP_READY;
    bool ok;

    (void)port;
    op->counters.in += batch->live;
    s->late_count = 0;
    ok = find_lists(s, batch);
    for (uint32_t i = 0; ok && i < batch->live; i++) {
        const uint32_t row = batch_row(batch, i);
        int64_t time, w;

        if (!row_time(s, batch, row, t, &time, &w)) {
            op->counters.filtered++;
            op->counters.null_time++;
            continue;
        }
        ok = put_row(s, s->lists[i], time, w, batch, row);
    }
    ok = ok && add_waiting(s, batch);
    op->counters.late += s->late_count;
    if (ok && s->late_count > 0 && s->node->late_output)
        p = op_late_rows(op, batch, s->late, s->late_count, &s->input, &s->node->window.time_type,
                         "its session was closed", t);
    batch_release(batch);
    return ok ? p : no_memory(s);
}

/* ---- firing ---- */

static int by_order(const void *a, const void *b)
{
    return view_compare(&((const struct fired *)a)->order, &((const struct fired *)b)->order);
}

static bool fired_add(struct session_op *s, struct session *session, uint32_t group)
{
    const uint32_t bytes = 16 + table_key_bytes(&s->table, group);
    struct heap *heap = s->op.heap;
    char *order = arena_alloc(&s->order_bytes, bytes);
    uint32_t n;

    if (s->fired_count == s->fired_room) {
        const uint32_t room = s->fired_room == 0 ? 256 : s->fired_room * 2;
        struct fired *grown =
            heap_grow(heap, s->fired, s->fired_room * sizeof *grown, room * sizeof *grown);

        if (grown == NULL)
            return false;
        s->fired = grown;
        s->fired_room = room;
    }
    if (order == NULL)
        return false;
    n = key_put_i64(order, time_add(session->last, s->gap));
    n += table_key_put(&s->table, group, order + n);
    n += key_put_i64(order + n, session->first);
    s->fired[s->fired_count++] = (struct fired){session, group, view_of(order, n)};
    return true;
}

/* Takes the sessions of a key that @w closes out of their list; the others get an entry. */
static bool collect_key(struct session_op *s, uint32_t group, int64_t w)
{
    struct sessions *of = sessions_at(s, group);
    const bool had = of->list != NULL;
    int64_t least = TIME_MAX;

    of->due = TIME_MAX;
    for (struct session **at = &of->list; *at != NULL;) {
        struct session *x = *at;

        if (w != TIME_MAX && is_open(s, x, w)) {
            least = min_i64(least, time_add(x->last, s->gap));
            at = &x->next;
            continue;
        }
        if (!fired_add(s, x, group))
            return false;
        *at = x->next;
    }
    s->empty += had && of->list == NULL;
    return of->list == NULL || due_add(s, of, least);
}

static bool collect(struct session_op *s, int64_t w)
{
    while (s->entry_count > 0 && time_add(s->heap[0].end, -s->unit) <= w) {
        const struct entry entry = due_take(s);

        /* another end: a later entry of the key has taken its place */
        if (sessions_at(s, entry.group)->due == entry.end && !collect_key(s, entry.group, w))
            return false;
    }
    if (s->fired_count > 0)
        qsort(s->fired, s->fired_count, sizeof *s->fired, by_order);
    return true;
}

static int64_t window_value(const struct session_op *s, int64_t start, int64_t end,
                            enum out_kind kind)
{
    const struct zone *zone = s->node->window.local_zone ? s->op.context->zone : NULL;
    const bool nanos = type_is_nanos(&s->node->window.time_type);

    return kind == OUT_WINDOW_START ? zone_local(zone, start, nanos)
           : kind == OUT_WINDOW_END ? zone_local(zone, end, nanos)
                                    : end - s->unit;
}

static bool put_outputs(struct session_op *s, struct batch *out, struct column *columns,
                        uint32_t count)
{
    for (uint32_t c = 0; c < s->output.field_count; c++) {
        const struct out_column *o = &s->node->outs[c];
        int64_t *values = out->columns[c].values;

        if (o->kind == OUT_AGG)
            out->columns[c] = columns[o->index];
        for (uint32_t i = 0; i < count; i++) {
            const struct fired *f = &s->fired[s->next + i];
            const int64_t end = time_add(f->session->last, s->gap);

            if (o->kind == OUT_KEY) {
                if (!table_key_value(&s->table, f->group, o->index, out, &out->columns[c], i))
                    return false;
            } else if (o->kind != OUT_AGG) {
                values[i] = window_value(s, f->session->first, end, o->kind);
            }
        }
    }
    return true;
}

static bool fill(struct session_op *s, struct batch *out, uint32_t count)
{
    const struct aggregate_node *node = s->node;
    struct column *columns = arena_array(&out->bytes, struct column, max_u32(node->agg_count, 1));

    if (columns == NULL || !batch_own_columns(out, &s->output))
        return false;
    for (uint32_t a = 0; a < node->agg_count; a++)
        if (!column_own(out, &columns[a], &node->aggs[a].result_type))
            return false;
    out->order_keys = arena_alloc(&out->bytes, out->capacity * sizeof *out->order_keys);
    if (out->order_keys == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct fired *f = &s->fired[s->next + i];

        if (!agg_values(s->set, aggregates(f->session), out, columns, i))
            return false;
        out->order_keys[i] = batch_view(out, mill_view_data(&f->order), f->order.length);
        if (out->order_keys[i].length == UINT32_MAX)
            return false;
    }
    return put_outputs(s, out, columns, count);
}

static enum op_progress emit_some(struct session_op *s, const struct step_time *t)
{
    struct op_context *context = s->op.context;
    struct batch *out = context->take_batch(context, s->output.field_count);
    uint32_t count;

    if (out == NULL)
        return OP_FAILED;
    count = min_u32(min_u32(s->fired_count - s->next, out->capacity), context->batch_rows);
    if (!fill(s, out, count)) {
        batch_release(out);
        return no_memory(s);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct session *x = s->fired[s->next + i].session;

        s->op.counters.consumed += x->rows;
        s->op.counters.held -= x->rows;
        session_free(s, x);
    }
    out->step = t->step;
    out->split = t->split;
    out->rows = out->live = count;
    out->class_ = CLASS_FIRED;
    out->origin = s->op.id;
    s->next += count;
    s->op.counters.sum_overflow = agg_overflows(s->set);
    return op_emit(&s->op, out, t);
}

static void firing_end(struct session_op *s)
{
    heap_free(s->op.heap, s->fired, s->fired_room * sizeof *s->fired);
    s->fired = NULL;
    s->fired_count = s->fired_room = s->next = 0;
    arena_close(&s->order_bytes);
    s->firing = false;
}

static bool is_empty(const void *state)
{
    return ((const struct sessions *)state)->list == NULL;
}

/* Keys whose sessions have all gone leave the table when they are most of it. */
static void sweep(struct session_op *s)
{
    if (s->table.groups < SWEEP_GROUPS || s->empty < s->table.groups / 4 * 3)
        return;
    if (table_compact(&s->table, s->empty, is_empty))
        due_rebuild(s); /* there is room: the heap had an entry for each of these keys */
}

static enum op_progress session_go_on(struct op *op, const struct step_time *t)
{
    struct session_op *s = (struct session_op *)op;

    if (!s->firing)
        return OP_READY;
    for (uint32_t i = 0; i < TURN_BATCHES && s->next < s->fired_count; i++) {
        const enum op_progress p = emit_some(s, t);

        if (p != OP_READY)
            return p;
    }
    if (s->next < s->fired_count)
        return OP_BUSY;
    firing_end(s);
    sweep(s);
    return OP_READY;
}

static enum op_progress session_end_step(struct op *op, const struct step_time *t)
{
    struct session_op *s = (struct session_op *)op;
    const int64_t w = t->last                    ? TIME_MAX
                      : s->node->window.time < 0 ? t->clock_us - s->unit
                                                 : t->w_after;

    op->counters.waits = s->entry_count > 0 && s->node->window.time >= 0;
    op->counters.waits_for = op->counters.waits ? time_add(s->heap[0].end, -s->unit) : TIME_MAX;
    if (s->entry_count == 0 || time_add(s->heap[0].end, -s->unit) > w)
        return OP_READY;
    arena_open(&s->order_bytes, op->heap);
    s->firing = true;
    if (!collect(s, w))
        return no_memory(s);
    return session_go_on(op, t);
}

/* ---- life ---- */

static void session_snapshot(struct op *op, struct snapshot_writer *to)
{
    const struct session_op *s = (const struct session_op *)op;

    CHECK(!s->firing);
    snapshot_put(to, &op->counters, sizeof op->counters);
    snapshot_u32(to, s->table.groups);
    for (uint32_t id = 0; id < s->table.groups; id++) {
        uint32_t count = 0;

        table_key_snapshot(&s->table, id, to);
        for (struct session *x = sessions_at(s, id)->list; x; x = x->next)
            count++;
        snapshot_u32(to, count);
        for (struct session *x = sessions_at(s, id)->list; x; x = x->next) {
            snapshot_u64(to, (uint64_t)x->first);
            snapshot_u64(to, (uint64_t)x->last);
            snapshot_u64(to, x->rows);
            agg_snapshot(s->set, aggregates(x), to);
        }
    }
}

static bool restore_sessions(struct session_op *s, uint32_t id, struct snapshot_reader *from)
{
    struct session **at = &sessions_at(s, id)->list;
    const uint32_t count = snapshot_get_u32(from);

    *sessions_at(s, id) = (struct sessions){.due = TIME_MAX};
    for (uint32_t i = 0; i < count && !from->failed; i++) {
        struct session *x = session_new(s, 0);

        if (x == NULL)
            return false;
        x->first = (int64_t)snapshot_get_u64(from);
        x->last = (int64_t)snapshot_get_u64(from);
        x->rows = snapshot_get_u64(from);
        *at = x;
        at = &x->next;
        if (!agg_restore(s->set, aggregates(x), from))
            return false;
    }
    return !from->failed;
}

static bool session_restore(struct op *op, struct snapshot_reader *from)
{
    struct session_op *s = (struct session_op *)op;
    uint32_t groups;

    snapshot_get(from, &op->counters, sizeof op->counters);
    groups = snapshot_get_u32(from);
    for (uint32_t i = 0; i < groups && !from->failed; i++) {
        const uint32_t id = table_key_restore(&s->table, from);

        if (id == TABLE_NO_GROUP || !restore_sessions(s, id, from))
            return false;
    }
    return !from->failed && due_rebuild(s);
}

static bool session_valid(const struct op *op)
{
    const struct op_counters *c = &op->counters;

    return table_valid(&((const struct session_op *)op)->table) &&
           c->in == c->consumed + c->filtered + c->late + c->dead + c->held;
}

static void session_inspect(const struct op *op, uint32_t sample, struct op_state *state)
{
    table_inspect(&((const struct session_op *)op)->table, sample, &state->tables);
    state->table_count++;
}

static void session_close(struct op *op)
{
    struct session_op *s = (struct session_op *)op;

    for (uint32_t id = 0; s->set != NULL && id < s->table.groups; id++)
        for (struct session *x = sessions_at(s, id)->list; x != NULL;) {
            struct session *next = x->next;

            session_free(s, x);
            x = next;
        }
    for (uint32_t i = s->next; i < s->fired_count; i++)
        session_free(s, s->fired[i].session);
    if (s->firing)
        firing_end(s);
    if (s->set != NULL) {
        table_close(&s->table);
        agg_set_free(s->set);
    }
    heap_free(op->heap, s->heap, s->entry_room * sizeof *s->heap);
    key_layout_close(&s->keys);
    key_batch_close(&s->batch_keys);
    heap_free(op->heap, s, sizeof *s);
}

static const struct op_vtable session_vtable = {.name = "session",
                                                .push = session_push,
                                                .end_step = session_end_step,
                                                .resume = session_go_on,
                                                .snapshot = session_snapshot,
                                                .restore = session_restore,
                                                .valid = session_valid,
                                                .inspect = session_inspect,
                                                .close = session_close};

struct op *op_session_new(struct op_context *context, const struct phys_node *node)
{
    struct session_op *s = heap_zalloc(context->heap, sizeof *s);
    const struct aggregate_node *a = &node->aggregate;

    if (s == NULL)
        goto fail;
    s->op = (struct op){.vtable = &session_vtable,
                        .context = context,
                        .heap = context->heap,
                        .id = node->id};
    s->node = a;
    s->input = node->inputs[0]->schema;
    s->output = node->schema;
    s->gap = a->window.size;
    s->unit = a->window.unit;
    if (!key_layout_open(&s->keys, context->heap, &node->inputs[0]->schema, a->keys,
                         a->key_count) ||
        !key_batch_open(&s->batch_keys, context->heap))
        goto fail;
    s->keys.kernels = context->kernels;
    s->set = agg_set_new(context->heap, context->kernels, a->aggs, a->agg_count, false);
    if (s->set == NULL)
        goto fail;
    table_open(&s->table, context->heap, &s->keys, sizeof(struct sessions), context->seed);
    return &s->op;
fail:
    mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for a SESSION window");
    if (s != NULL)
        session_close(&s->op);
    return NULL;
}
