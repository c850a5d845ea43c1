/* core/ops/op_window_join.c - rows of two sides in one window: joined when it closes.
 *
 * Groups by (window end, key) hold a chain of rows per side, in order of arrival, which is place order. A window is closed when
 * W >= end - u; a row that comes then is late. Its groups leave when the step ends whose watermark closes it, by (end, key, place
 * on the left, place on the right); right rows that met nobody stand behind the left ones of their group. The start of the
 * window is part of the key: where windows are no sessions the end says it already.
 *   held = rows in chains       a group without rows has fired, or its rows met nobody and were not wanted
 *
 * Threads: one shard.   Errors: MILL_E_MEMORY.
 */
#include "core/ops/join_base.h"
#include "core/plan/physical.h"
#include "core/state/expiry.h"
#include "core/zone.h"

#include <stdlib.h>

#define SWEEP_GROUPS 1024u
#define MARK_MET 1u

struct group {
    struct row_chain chain[2];
    int64_t end;  /* instant at which the window ends */
    bool nothing; /* its key equals nothing, itself neither */
};

struct fired {
    struct mill_view key;
    uint32_t group;
};

enum phase { PHASE_LEFT, PHASE_RIGHT };

struct window_join {
    struct join_base base; /* keys: the window's end first; states: struct group */
    uint32_t empty;
    struct expiry due; /* groups by their window's end */
    bool pads[2];
    const struct zone *zone;
    bool nanos;

    /* a firing under way */
    bool ending;
    int64_t limit; /* windows that end up to then */
    struct fired *fired;
    uint32_t fired_count, fired_room;
    struct arena key_bytes;
    uint32_t at; /* group, and in it: */
    enum phase phase;
    uint32_t left, right;
    bool entered, started;       /* the group; its left row */
    uint32_t of[BATCH_ROWS_MAX]; /* number in fired of each pair found */
    uint32_t last_left;          /* of the pair looked at last, and whether it has met somebody */
    bool left_met;
    uint32_t numbered; /* group that number counts the results of */
    uint64_t number;

    uint16_t rows[BATCH_ROWS_MAX];
    int64_t ends[BATCH_ROWS_MAX];
    bool nothing[BATCH_ROWS_MAX];
    void *states[BATCH_ROWS_MAX];
    struct row_chain *chains[BATCH_ROWS_MAX];
    uint32_t ids[BATCH_ROWS_MAX];
};

static struct row_store *store_of(struct window_join *j, uint32_t side)
{
    return &j->base.pairs.side[side].store;
}

static struct group *group_at(const struct window_join *j, uint32_t id)
{
    return table_state(&j->base.table, id);
}

static bool is_empty(const void *state)
{
    const struct group *g = state;

    return g->chain[0].count + g->chain[1].count == 0;
}

/* ---- taking rows ---- */

/* Rows whose windows are open, and may meet somebody or are wanted without. */
static uint32_t take_rows(struct window_join *j, uint32_t side, const struct batch *in,
                          const struct step_time *t)
{
    const struct join_node *join = j->base.join;
    const struct column *c = &in->columns[join->end[side]];
    const int64_t *values = c->values;
    const bool may = pairs_may_equal_nothing(&j->base.pairs, side, in);
    uint32_t n = 0;

    for (uint32_t i = 0; i < in->live; i++) {
        const uint32_t row = batch_row(in, i);
        int64_t end, w;

        if (!column_valid(c, row)) {
            j->base.op.counters.filtered++;
            j->base.op.counters.null_time++;
            continue;
        }
        end = values[c->constant ? 0 : row];
        if (j->zone != NULL)
            end = zone_reached(j->zone, end, j->nanos);
        w = join->processing_time ? t->clock_us - join->unit : row_watermark(t, in, row);
        if (time_add(end, -join->unit) <= w) {
            j->base.op.counters.late++;
            continue;
        }
        j->nothing[n] = may && pairs_equals_nothing(&j->base.pairs, side, in, row);
        if (j->nothing[n] && !j->pads[side]) {
            j->base.op.counters.consumed++;
            continue;
        }
        j->ends[n] = end;
        j->rows[n++] = (uint16_t)row;
    }
    return n;
}

static uint32_t group_id(const struct window_join *j, const struct group *group)
{
    return (uint32_t)(((const char *)group - j->base.table.states) / sizeof *group);
}

/* New groups get the window end of the first row that speaks of them. */
static bool groups_init(struct window_join *j, uint32_t before, uint32_t n)
{
    j->empty += j->base.table.groups - before;
    for (uint32_t id = before; id < j->base.table.groups; id++) {
        struct group *g = group_at(j, id);

        *g = (struct group){.end = TIME_MIN};
        chain_open(&g->chain[0]);
        chain_open(&g->chain[1]);
    }
    for (uint32_t i = 0; i < n && j->base.table.groups > before; i++) {
        struct group *g = j->states[i];

        if (g->end != TIME_MIN)
            continue;
        g->end = j->ends[i];
        g->nothing = j->nothing[i];
        if (!expiry_add(&j->due, g->end, group_id(j, g)))
            return false;
    }
    return true;
}

static bool keep_rows(struct window_join *j, uint32_t side, const struct batch *in, uint32_t n)
{
    const uint32_t before = j->base.table.groups;

    if (n == 0)
        return true;
    if (!keys_prepare(&j->base.keys[side], in, j->rows, n, &j->base.batch_keys) ||
        !table_lookup(&j->base.table, &j->base.batch_keys, NULL, n, j->states) ||
        !groups_init(j, before, n) || !pairs_keep(&j->base.pairs, side, in, j->rows, n, j->ids))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        struct group *g = j->states[i];

        j->empty -= is_empty(g);
        chain_push(store_of(j, side), &g->chain[side], j->ids[i]);
    }
    j->base.op.counters.held += n;
    j->base.op.counters.state_rows += n;
    return true;
}

static enum op_progress join_take(struct op *op, uint32_t port, struct batch *batch,
                                  const struct step_time *t)
{
    struct window_join *j = (struct window_join *)op;
    const bool kept = keep_rows(j, port, batch, take_rows(j, port, batch, t));

    batch_release(batch);
    return kept ? OP_READY : join_base_no_memory(&j->base);
}

/* ---- which groups fire ---- */

static int by_key(const void *a, const void *b)
{
    return view_compare(&((const struct fired *)a)->key, &((const struct fired *)b)->key);
}

static bool fired_add(struct window_join *j, uint32_t group)
{
    const uint32_t bytes = table_key_bytes(&j->base.table, group);
    char *key = arena_alloc(&j->key_bytes, max_u32(bytes, 1));

    if (j->fired_count == j->fired_room) {
        const uint32_t room = max_u32(256, j->fired_room * 2);
        struct fired *grown = heap_grow(j->base.op.heap, j->fired, j->fired_room * sizeof *grown,
                                        room * sizeof *grown);

        if (grown == NULL)
            return false;
        j->fired = grown;
        j->fired_room = room;
    }
    if (key == NULL)
        return false;
    table_key_put(&j->base.table, group, key);
    j->fired[j->fired_count++] = (struct fired){view_of(key, bytes), group};
    return true;
}

/* The groups of about one bucket that the limit closes, sorted. 1: some; 0: none is left; -1: no memory. */
static int collect(struct window_join *j)
{
    struct expiry_entry entry;
    int64_t limit;

    arena_reset(&j->key_bytes);
    j->fired_count = j->at = 0;
    j->phase = PHASE_LEFT;
    j->entered = j->started = false;
    j->last_left = ROW_NONE;
    j->numbered = UINT32_MAX;
    if (j->due.ids == 0 || expiry_least(&j->due) > j->limit)
        return 0;
    limit = min_i64(j->limit, time_add(expiry_first_end(&j->due), -1));
    while (expiry_take(&j->due, limit, &entry)) {
        if (!is_empty(group_at(j, entry.id)) && !fired_add(j, entry.id))
            return -1;
    }
    if (j->fired_count > 1)
        qsort(j->fired, j->fired_count, sizeof *j->fired, by_key);
    for (uint32_t i = 0; i < j->fired_count; i++)
        j->base.op.counters.fired += i == 0 || group_at(j, j->fired[i].group)->end !=
                                                   group_at(j, j->fired[i - 1].group)->end;
    return 1;
}

/* ---- pairs of a group ---- */

static void found_add(struct window_join *j, uint32_t left, uint32_t right)
{
    const uint32_t n = j->base.found++;

    j->of[n] = j->at;
    j->base.refs[0][n] = left;
    j->base.refs[1][n] = right;
}

/* A left row with the right ones; false: no room. */
static bool find_right(struct window_join *j, const struct group *g, uint32_t room)
{
    const bool one = j->base.join->type >= JOIN_TYPE_SEMI && j->base.join->residual == NULL;

    if (!j->started) {
        j->right = g->nothing ? ROW_NONE : g->chain[1].head;
        j->started = true;
    }
    while (j->right != ROW_NONE) {
        if (j->base.found == room)
            return false;
        found_add(j, j->left, j->right);
        j->right = one ? ROW_NONE : *rows_next(store_of(j, 1), j->right);
    }
    if (j->pads[0]) {
        if (j->base.found == room)
            return false;
        found_add(j, j->left, ROW_NONE);
    }
    j->started = false;
    return true;
}

static void find(struct window_join *j)
{
    const uint32_t room = j->base.op.context->batch_rows;

    j->base.found = j->base.handed = 0;
    for (; j->at < j->fired_count; j->at++, j->phase = PHASE_LEFT, j->entered = false) {
        const struct group *g = group_at(j, j->fired[j->at].group);

        if (!j->entered) {
            j->left = g->chain[0].head;
            j->entered = true;
        }
        while (j->phase == PHASE_LEFT && j->left != ROW_NONE) {
            if (!find_right(j, g, room))
                return;
            j->left = *rows_next(store_of(j, 0), j->left);
        }
        if (j->phase == PHASE_LEFT) {
            j->phase = PHASE_RIGHT;
            j->right = j->pads[1] ? g->chain[1].head : ROW_NONE;
        }
        while (j->right != ROW_NONE) {
            if (j->base.found == room)
                return;
            found_add(j, ROW_NONE, j->right);
            j->right = *rows_next(store_of(j, 1), j->right);
        }
    }
}

/* Whether a pair that is true gives a result; marks who has met. */
static bool gives_result(struct window_join *j, uint32_t n)
{
    const uint32_t left = j->base.refs[0][n], right = j->base.refs[1][n];
    const enum join_type type = j->base.join->type;
    bool met;

    if (left == ROW_NONE)
        return (*rows_mark(store_of(j, 1), right) & MARK_MET) == 0;
    met = j->left_met && j->last_left == left;
    if (right == ROW_NONE)
        return !met;
    j->last_left = left;
    j->left_met = true;
    if (j->pads[1])
        *rows_mark(store_of(j, 1), right) |= MARK_MET;
    return type == JOIN_TYPE_SEMI ? !met : type != JOIN_TYPE_ANTI;
}

static bool test_found(struct window_join *j)
{
    uint32_t *const refs[2] = {j->base.refs[0], j->base.refs[1]};
    uint32_t kept = 0;

    if (!pairs_filter(&j->base.pairs, refs, j->base.found, j->base.is_true))
        return false;
    for (uint32_t n = 0; n < j->base.found; n++) {
        if (!j->base.is_true[n] || !gives_result(j, n))
            continue;
        j->of[kept] = j->of[n];
        refs[0][kept] = refs[0][n];
        refs[1][kept++] = refs[1][n];
    }
    j->base.found = kept;
    return true;
}

/* ---- results ---- */

/* (window end, key, number of the result in its group); length UINT32_MAX: no memory. */
static struct mill_view position_key(struct join_base *base, uint32_t n)
{
    struct window_join *j = (struct window_join *)base;
    const struct mill_view *key = &j->fired[j->of[n]].key;
    uint64_t number;
    char *at;

    if (!j->base.pairs.emit.keyed)
        return view_of("", 0);
    if (j->numbered != j->of[n])
        j->number = 0;
    j->numbered = j->of[n];
    number = __builtin_bswap64(j->number++);
    at = join_key_scratch(base, key->length + 8);
    if (at == NULL)
        return (struct mill_view){.length = UINT32_MAX};
    memcpy(at, mill_view_data(key), key->length);
    memcpy(at + key->length, &number, 8);
    return view_of(at, key->length + 8);
}

/* The rows of groups that have fired go. */
static void drop_fired(struct window_join *j)
{
    struct op_counters *c = &j->base.op.counters;

    for (uint32_t i = 0; i < j->fired_count; i++) {
        struct group *g = group_at(j, j->fired[i].group);
        const uint64_t rows = g->chain[0].count + g->chain[1].count;

        chain_free(store_of(j, 0), &g->chain[0]);
        chain_free(store_of(j, 1), &g->chain[1]);
        c->held -= rows;
        c->state_rows -= rows;
        c->consumed += rows;
        j->empty++;
    }
    j->fired_count = j->at = 0;
}

/* Groups without rows leave the table when they are most of it; ids change. */
static bool sweep(struct window_join *j)
{
    const int64_t width = j->due.width;

    if (j->empty > 0 && j->empty == j->base.table.groups) {
        if (table_is_filled(&j->base.table)) {
            table_reset(&j->base.table);
        } else {
            table_close(&j->base.table);
            table_open(&j->base.table, j->base.op.heap, &j->base.keys[0], sizeof(struct group),
                       j->base.op.context->seed);
        }
        j->empty = 0;
    }
    if (j->base.table.groups < SWEEP_GROUPS || j->empty < j->base.table.groups / 2)
        return true;
    if (!table_compact(&j->base.table, j->empty, is_empty))
        return true;
    j->empty = 0;

    expiry_close(&j->due);
    expiry_open(&j->due, j->base.op.heap, width);
    for (uint32_t id = 0; id < j->base.table.groups; id++)
        if (!expiry_add(&j->due, group_at(j, id)->end, id))
            return false;
    return true;
}

static enum op_progress fire(struct window_join *j, const struct step_time *t)
{
    int64_t budget = j->base.op.context->turn_work;

    while (j->ending) {
        const enum op_progress p = join_hand_on(&j->base, position_key, t);

        if (p != OP_READY)
            return p;
        if (budget <= 0) {
            j->base.op.context->work += (uint64_t)(j->base.op.context->turn_work - budget);
            return OP_BUSY;
        }
        if (j->at < j->fired_count && !op_stopping(&j->base.op)) {
            find(j);
            budget -= j->base.found + 64;
            if (!test_found(j))
                return join_base_no_memory(&j->base);
            continue;
        }
        drop_fired(j);
        switch (collect(j)) {
        case -1: return join_base_no_memory(&j->base);
        case 0: j->ending = false; break;
        default: budget -= j->fired_count;
        }
    }
    if (!sweep(j))
        return join_base_no_memory(&j->base);
    return emit_flush(&j->base.pairs.emit, t);
}

static enum op_progress end_rows(struct window_join *j, const struct step_time *t)
{
    const int64_t w = t->last                         ? TIME_MAX
                      : j->base.join->processing_time ? t->clock_us - j->base.join->unit
                                                      : t->w_after;

    j->base.op.counters.waits = !j->base.join->processing_time && j->due.ids > 0;
    j->base.op.counters.waits_for =
        j->base.op.counters.waits ? time_add(expiry_least(&j->due), -j->base.join->unit) : TIME_MAX;
    j->limit = time_add(w, j->base.join->unit);
    j->base.found = j->base.handed = 0;
    j->ending = true;
    return fire(j, t);
}

static enum op_progress join_end_step(struct op *op, const struct step_time *t)
{
    struct window_join *j = (struct window_join *)op;
    const enum op_progress p = ports_end(&j->base.ports, t);

    return p == OP_READY ? end_rows(j, t) : p;
}

static enum op_progress join_resume(struct op *op, const struct step_time *t)
{
    struct window_join *j = (struct window_join *)op;
    enum op_progress p;

    if (j->ending)
        return fire(j, t);
    p = ports_resume(&j->base.ports, t);
    return p == OP_READY && j->base.ports.phase == PORTS_ENDING ? end_rows(j, t) : p;
}

/* ---- life ---- */

static void join_snapshot(struct op *op, struct snapshot_writer *to)
{
    struct window_join *j = (struct window_join *)op;

    CHECK(!j->ending);
    snapshot_put(to, &op->counters, sizeof op->counters);
    snapshot_u32(to, j->base.table.groups - j->empty);
    for (uint32_t id = 0; id < j->base.table.groups; id++) {
        const struct group *g = group_at(j, id);

        if (is_empty(g))
            continue;
        table_key_snapshot(&j->base.table, id, to);
        snapshot_u64(to, (uint64_t)g->end);
        snapshot_u8(to, g->nothing);
        for (uint32_t s = 0; s < 2; s++)
            chain_save(store_of(j, s), &g->chain[s], to);
    }
}

static bool join_restore(struct op *op, struct snapshot_reader *from)
{
    struct window_join *j = (struct window_join *)op;
    uint32_t groups;

    snapshot_get(from, &op->counters, sizeof op->counters);
    groups = snapshot_get_u32(from);
    for (uint32_t i = 0; i < groups && !from->failed; i++) {
        const uint32_t id = table_key_restore(&j->base.table, from);
        struct group *g;

        if (id == TABLE_NO_GROUP)
            return false;
        g = group_at(j, id);
        *g = (struct group){.end = (int64_t)snapshot_get_u64(from)};
        g->nothing = snapshot_get_u8(from) != 0;
        for (uint32_t s = 0; s < 2; s++) {
            chain_open(&g->chain[s]);
            if (!chain_restore(store_of(j, s), &g->chain[s], from))
                return false;
        }
        if (!expiry_add(&j->due, g->end, id))
            return false;
    }
    return !from->failed;
}

static bool join_valid(const struct op *op)
{
    const struct window_join *j = (const struct window_join *)op;
    const struct op_counters *c = &op->counters;
    uint64_t rows = 0;

    for (uint32_t id = 0; id < j->base.table.groups; id++)
        rows += group_at(j, id)->chain[0].count + group_at(j, id)->chain[1].count;
    return table_valid(&j->base.table) && rows == c->held &&
           rows_valid(&j->base.pairs.side[0].store) && rows_valid(&j->base.pairs.side[1].store) &&
           expiry_valid(&j->due) &&
           c->in == c->consumed + c->filtered + c->late + c->dead + c->held;
}

static void join_close(struct op *op)
{
    struct window_join *j = (struct window_join *)op;

    join_base_close(&j->base);
    expiry_close(&j->due);
    arena_close(&j->key_bytes);
    heap_free(op->heap, j->fired, j->fired_room * sizeof *j->fired);
    heap_free(op->heap, j, sizeof *j);
}

static const struct op_vtable join_vtable = {.name = "window join",
                                             .begin_step = join_base_begin_step,
                                             .push = join_base_push,
                                             .rows_ended = join_base_rows_ended,
                                             .end_step = join_end_step,
                                             .resume = join_resume,
                                             .snapshot = join_snapshot,
                                             .restore = join_restore,
                                             .valid = join_valid,
                                             .inspect = join_base_inspect,
                                             .close = join_close};

/* The window's end first, so that keys are in the order in which windows fire. */
static bool open_base(struct window_join *j, const struct phys_node *node)
{
    const struct join_node *join = j->base.join;
    uint32_t left[65] = {join->end[0]}, right[65] = {join->end[1]}, n = 1;

    for (uint32_t k = 0; k < join->key_count; k++) {
        if (join->keys[0][k] == join->end[0] && join->keys[1][k] == join->end[1])
            continue;
        left[n] = join->keys[0][k];
        right[n++] = join->keys[1][k];
    }
    return join_base_open(&j->base, node, join_take, (const uint32_t *const[2]){left, right}, n);
}

static bool join_open(struct window_join *j, const struct phys_node *node)
{
    struct heap *heap = j->base.op.heap;
    const bool no_keys[2] = {false, false};

    arena_open(&j->key_bytes, heap);
    expiry_open(&j->due, heap, j->base.join->unit * 64);
    for (uint32_t s = 0; s < 2; s++)
        j->pads[s] =
            join_pads(j->base.join->type, s) || (s == 0 && j->base.join->type == JOIN_TYPE_ANTI);
    if (!open_base(j, node))
        return false;
    table_open(&j->base.table, heap, &j->base.keys[0], sizeof(struct group),
               j->base.op.context->seed);
    return pairs_open(&j->base.pairs, &j->base.op, node, no_keys, j->pads[1] ? ROWS_MARK : 0);
}

struct op *op_window_join_new(struct op_context *context, const struct phys_node *node)
{
    struct window_join *j = heap_zalloc(context->heap, sizeof *j);

    if (j != NULL) {
        join_base_init(&j->base, &join_vtable, context, node,
                       "rows stay until their window closes: use shorter windows, or");
        j->zone = j->base.join->local_zone ? context->zone : NULL;
        j->nanos = type_is_nanos(&j->base.join->time_type);
        if (join_open(j, node))
            return &j->base.op;
        join_close(&j->base.op);
    }
    if (context->error->code == MILL_OK)
        mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for a window join");
    return NULL;
}
