/* core/ops/op_match.c - MATCH_RECOGNIZE: rows in time order, partition by partition, through the machine of a pattern.
 *
 * Rows wait until the watermark has passed them (core/state/order.h); late ones are counted. Then each goes to its
 * partition, whose attempt takes it. An attempt that is decided (no thread left) gives its match, if it has one; the next
 * begins where AFTER MATCH SKIP says and goes through the rows that are there. So matches of a partition leave in the order
 * of their first rows, each when the row, the time (WITHIN) or the end that decides it has come.
 *
 * Results leave by: time of what decided, rest of ORDER BY, place; a time that ran out comes before rows of that time.
 * State: a table entry per key for ever; the rows from the attempt's first on, its threads and their ways.
 * Threads: one shard.   Errors: MILL_E_MEMORY; MILL_E_DATA: AFTER MATCH SKIP without a way on, too many partial matches.
 */
#include "core/ops/match_impl.h"

#include <stdlib.h>

/* ---- what brings results about ---- */

enum { CAUSE_TIMER = 0, CAUSE_ROW = 1, CAUSE_END = 2 };

/* Results from here on come of the row, or of the attempt that begins with it. */
static bool set_cause(struct match_op *m, int64_t time, char how, const struct match_row *row)
{
    const uint32_t room = 40 + row->key_bytes;
    const uint64_t step = __builtin_bswap64(row->step);
    const uint32_t place = __builtin_bswap32(row->place);
    uint32_t rest = 0, n;

    m->sequence = 0;
    if (!m->emitter.keyed)
        return true;
    if (room > m->cause_room) {
        heap_free(m->op.heap, m->cause, m->cause_room);
        m->cause_room = (uint32_t)ALIGN_UP(room, 256u);
        m->cause = heap_alloc(m->op.heap, m->cause_room);
        if (m->cause == NULL) {
            m->cause_room = 0;
            return false;
        }
    }
    n = key_put_i64(m->cause, time);
    m->cause[n++] = how;
    if (how != CAUSE_ROW)
        n += key_put_i64(m->cause + n, row->time);
    if (row->key != NULL) {
        memcpy(&rest, row->key, 4);
        memcpy(m->cause + n, row->key + 4, rest);
        n += rest;
    }
    memcpy(m->cause + n, &step, 8);
    memcpy(m->cause + n + 8, &place, 4);
    n += 12;
    if (row->key != NULL) {
        memcpy(m->cause + n, row->key + 4 + rest, row->key_bytes - 4 - rest);
        n += row->key_bytes - 4 - rest;
    }
    m->cause_length = n;
    return true;
}

/* Order of rows as results have it. */
static int row_compare(const struct match_row *a, const struct match_row *b)
{
    uint32_t n = 0, k = 0;
    int c = 0;

    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    if (a->key != NULL && b->key != NULL) {
        memcpy(&n, a->key, 4);
        memcpy(&k, b->key, 4);
        c = memcmp(a->key + 4, b->key + 4, min_u32(n, k));
    }
    if (c != 0 || n != k)
        return c != 0 ? c : n < k ? -1 : 1;
    if (a->step != b->step)
        return a->step < b->step ? -1 : 1;
    if (a->place != b->place)
        return a->place < b->place ? -1 : 1;
    if (a->key == NULL || b->key == NULL)
        return 0;
    c = memcmp(a->key + 4 + n, b->key + 4 + k, min_u32(a->key_bytes - n, b->key_bytes - k) - 4);
    return c != 0 || a->key_bytes == b->key_bytes ? c : a->key_bytes < b->key_bytes ? -1 : 1;
}

/* ---- timers: attempts by the time at which they are too old ---- */

/* Is the attempt still the one the timer was set for? */
static bool timer_holds(const struct match_op *m, const struct match_timer *t)
{
    const struct match_partition *p = match_partition(m, t->group);

    return p->active && p->timed && p->number + p->start == t->number;
}

static bool timer_before(const struct match_timer *a, const struct match_timer *b)
{
    return row_compare(&a->first, &b->first) < 0;
}

static void timer_free(struct match_op *m, struct match_timer *t)
{
    if (t->first.key != NULL)
        heap_free(m->op.heap, t->first.key, t->first.key_bytes);
    t->first.key = NULL;
}

/* Takes @t's key. */
static bool timer_put(struct match_op *m, const struct match_timer *t)
{
    uint64_t i = m->timer_count;

    if (m->timer_count == m->timer_room) {
        const uint64_t room = m->timer_room == 0 ? 64 : m->timer_room * 2;
        struct match_timer *timers =
            heap_grow(m->op.heap, m->timers, m->timer_room * sizeof *t, room * sizeof *t);

        if (timers == NULL)
            return false;
        m->timers = timers;
        m->timer_room = room;
    }
    m->timer_count++;
    for (; i > 0 && timer_before(t, &m->timers[(i - 1) / 2]); i = (i - 1) / 2)
        m->timers[i] = m->timers[(i - 1) / 2];
    m->timers[i] = *t;
    return true;
}

static bool timer_add(struct match_op *m, struct match_partition *p)
{
    struct match_timer t = {.first = *match_row(m, p, p->start),
                            .number = p->number + p->start,
                            .group = p->group};

    if (t.first.key != NULL) {
        char *key = heap_alloc(m->op.heap, t.first.key_bytes);

        if (key == NULL)
            return false;
        memcpy(key, t.first.key, t.first.key_bytes);
        t.first.key = key;
    }
    p->timed = timer_put(m, &t);
    if (!p->timed)
        timer_free(m, &t);
    return p->timed;
}

static struct match_timer timer_take(struct match_op *m)
{
    const struct match_timer first = m->timers[0], last = m->timers[--m->timer_count];
    uint64_t i = 0;

    for (;;) {
        uint64_t child = 2 * i + 1;

        if (child >= m->timer_count)
            break;
        if (child + 1 < m->timer_count && timer_before(&m->timers[child + 1], &m->timers[child]))
            child++;
        if (!timer_before(&m->timers[child], &last))
            break;
        m->timers[i] = m->timers[child];
        i = child;
    }
    if (m->timer_count > 0)
        m->timers[i] = last;
    return first;
}

static int64_t timer_time(const struct match_op *m, const struct match_timer *t)
{
    return time_add(t->first.time, m->node->within);
}

/* Puts the attempt to work that is the first to be too old at @time. 0: none, -1: no memory. */
static int run_timer(struct match_op *m, int64_t time)
{
    while (m->timer_count > 0 && timer_time(m, &m->timers[0]) <= time) {
        struct match_timer t = timer_take(m);
        const bool holds = timer_holds(m, &t);
        bool ok = true;

        if (holds) {
            m->now = match_partition(m, t.group);
            m->ended = false;
            match_expire(m, m->now, false);
            ok = set_cause(m, timer_time(m, &t), CAUSE_TIMER, &t.first);
        }
        timer_free(m, &t);
        if (holds)
            return ok ? 1 : -1;
    }
    return 0;
}

/* ---- one partition ---- */

/* The search goes on @m->skip rows behind the attempt's first. */
static void attempt_over(struct match_op *m, struct match_partition *p, bool found)
{
    const uint32_t back = m->node->back;

    if (found)
        p->covered = max_u64(p->covered, p->number + p->start + p->best_length);
    match_kill(m, p);
    p->start += m->skip;
    p->next = p->start;
    if (p->start > back) {
        const uint32_t gone = p->start - back;

        match_partition_drop(m, p, gone);
        p->start -= gone;
        p->next -= gone;
        m->op.counters.held -= gone;
        m->op.counters.consumed += gone;
    }
}

/* No thread is left. */
static bool decide(struct match_op *m, struct match_partition *p)
{
    const bool in_no_match =
        m->node->unmatched && !p->has_best && p->number + p->start >= p->covered;

    if (p->has_best || in_no_match)
        return match_emit_begin(m, p, !p->has_best);
    m->skip = 1;
    attempt_over(m, p, false);
    return true;
}

static bool too_old(const struct match_op *m, const struct match_partition *p)
{
    return m->node->within > 0 && match_row(m, p, p->next)->time >=
                                      time_add(match_row(m, p, p->start)->time, m->node->within);
}

/* One step of the partition at work: 1 done, 0 nothing is left to do, -1 failed. */
static int partition_step(struct match_op *m, struct match_partition *p)
{
    const uint32_t ahead = m->node->ahead;
    const uint32_t visible = m->ended ? p->count : p->count > ahead ? p->count - ahead : 0;

    if (!p->active) {
        if (p->start >= visible)
            return 0;
        return match_begin(m, p) ? 1 : -1;
    }
    if (p->thread_count == 0)
        return decide(m, p) ? 1 : -1;
    if (p->next < visible) {
        if (too_old(m, p)) {
            match_expire(m, p, true);
            return 1;
        }
        if (!match_feed(m, p))
            return -1;
        p->next++;
        return 1;
    }
    if (m->ended)
        return match_end(m, p) ? 1 : -1;
    return m->node->within == 0 || ahead > 0 || p->timed || timer_add(m, p) ? 0 : -1;
}

/* Works at m->now until it has nothing left to do (then m->now is NULL), or *budget steps are done. */
static enum op_progress work(struct match_op *m, const struct step_time *t, int64_t *budget)
{
    struct match_partition *p = m->now;

    while (*budget > 0) {
        int done;

        if (m->emitting) {
            const bool found = !m->unmatched;
            const enum op_progress progress = match_emit_rows(m, p, t);

            if (progress != OP_READY)
                return progress;
            attempt_over(m, p, found);
        }
        --*budget;
        done = partition_step(m, p);
        if (done < 0)
            return match_no_memory(m);
        if (done == 0) {
            m->now = NULL;
            return OP_READY;
        }
    }
    return OP_READY;
}

/* ---- what comes next ---- */

static void partition_clear(struct match_op *m, struct match_partition *p)
{
    m->op.counters.held -= p->count;
    m->op.counters.consumed += p->count;
    match_partition_close(m, p);
    p->start = p->next = 0;
}

/* A partition that is needed soon: its head, record and thread. */
static void prefetch(const struct match_op *m, uint32_t i)
{
    const char *at = i < m->chunk_count ? m->found[i] : NULL;

    for (uint32_t b = 0; at != NULL && b < m->entry_bytes; b += 64)
        __builtin_prefetch(at + b, 1);
}

/* Puts the next row up to @rows, or a timer before it, to work. 1, 0: none, -1: no memory. */
static int next_row(struct match_op *m, int64_t rows)
{
    struct match_partition *p;
    struct match_row *record;
    int timer;

    if (m->chunk_next == m->chunk_count) {
        if (!match_take_chunk(m, rows))
            return -1;
        if (m->chunk_count == 0)
            return 0;
    }
    timer = run_timer(m, m->chunk[m->chunk_next].time);
    if (timer != 0)
        return timer;
    record = (struct match_row *)(void *)(m->records + (size_t)m->chunk_next * m->layout.bytes);
    p = m->found[m->chunk_next++];
    prefetch(m, m->chunk_next + 8);
    if (!match_partition_add(m, p, (const char *)record))
        return -1;
    m->now = p;
    m->ended = false;
    return set_cause(m, record->time, CAUSE_ROW, record) ? 1 : -1;
}

static int by_first_row(const void *a, const void *b)
{
    return row_compare(((const struct match_rest *)a)->first,
                       ((const struct match_rest *)b)->first);
}

/* The end of the input cannot make a match of its rows. */
static bool nothing_comes(const struct match_op *m, const struct match_partition *p)
{
    return p->start >= p->count || (p->count - p->start == 1 && p->active && !p->has_best &&
                                    !m->waits_for_end && !m->node->unmatched);
}

/* The partitions that still have rows to look at, by those; the others are done with. */
static bool rest_begin(struct match_op *m)
{
    const uint32_t groups = m->table.groups;

    m->rest = heap_alloc(m->op.heap, max_u32(groups, 1) * sizeof *m->rest);
    m->rest_room = max_u32(groups, 1);
    m->rest_count = m->rest_next = 0;
    if (m->rest == NULL)
        return false;
    for (uint32_t id = 0; id < groups; id++) {
        struct match_partition *p = match_partition(m, id);

        if (!nothing_comes(m, p))
            m->rest[m->rest_count++] = (struct match_rest){match_row(m, p, p->start), p};
        else
            partition_clear(m, p);
    }
    if (m->rest_count > 1)
        qsort(m->rest, m->rest_count, sizeof *m->rest, by_first_row);
    return true;
}

static int next_rest(struct match_op *m)
{
    if (m->rest == NULL && !rest_begin(m))
        return -1;
    if (m->rest_next == m->rest_count)
        return 0;
    m->now = m->rest[m->rest_next].partition;
    m->ended = true;
    return set_cause(m, TIME_MAX, CAUSE_END, m->rest[m->rest_next++].first) ? 1 : -1;
}

/* Puts something to work. 0: the step is done. */
static int next(struct match_op *m, const struct step_time *t)
{
    const bool clock = m->node->time < 0;
    const int64_t unit = clock ? 0 : type_time_unit(&m->node->time_type);
    int got = 0;

    if (m->phase == MATCH_ROWS) {
        got = next_row(m, t->last || clock ? TIME_MAX : t->w_after);
        if (got != 0)
            return got;
        got = run_timer(m, clock ? t->clock_us : time_add(t->w_after, unit));
        if (got != 0 || !t->last)
            return got;
        m->phase = MATCH_REST;
    }
    return next_rest(m);
}

/* ---- the end of a step ---- */

static void step_over(struct match_op *m)
{
    match_drop_chunk(m);
    heap_free(m->op.heap, m->rest, m->rest_room * sizeof *m->rest);
    m->rest = NULL;
    m->rest_room = 0;
    m->ending = false;
    m->op.counters.state_rows = m->table.groups;
}

static enum op_progress match_turn(struct op *op, const struct step_time *t)
{
    struct match_op *m = (struct match_op *)op;
    int64_t budget = op->context->turn_work;

    if (!m->ending)
        return OP_READY;
    while (budget > 0) {
        enum op_progress progress;
        int got;

        if (m->now != NULL) {
            struct match_partition *p = m->now;

            progress = work(m, t, &budget);
            if (progress != OP_READY)
                return progress;
            if (m->now == NULL && m->ended)
                partition_clear(m, p);
            continue;
        }
        got = next(m, t);
        if (got < 0)
            return match_no_memory(m);
        if (got == 0) {
            step_over(m);
            return emit_flush(&m->emitter, t);
        }
    }
    op->context->work++;
    return OP_BUSY;
}

static enum op_progress match_end_step(struct op *op, const struct step_time *t)
{
    struct match_op *m = (struct match_op *)op;

    m->ending = true;
    m->phase = MATCH_ROWS;
    return match_turn(op, t);
}

/* ---- snapshots ---- */

/* The way to @step: which variables took its @length rows. */
static void way_snapshot(const struct match_op *m, uint32_t step, uint32_t length,
                         struct snapshot_writer *to)
{
    snapshot_u32(to, length);
    for (uint32_t i = 0; i < length; i++, step = m->steps[step].parent)
        snapshot_u8(to, (uint8_t)(m->steps[step].variable << 1 | m->steps[step].excluded));
}

/* Written from the last step to the first, so it is read from behind. UINT32_MAX: damaged or no memory. */
static uint32_t way_restore(struct match_op *m, struct snapshot_reader *from)
{
    const uint32_t length = snapshot_get_u32(from);
    const char *bytes = from->next;
    uint32_t step = 0;

    if (from->failed || (size_t)(from->end - from->next) < length)
        return UINT32_MAX;
    from->next += length;
    for (uint32_t i = length; i-- > 0;) {
        const uint8_t b = (uint8_t)bytes[i];
        const uint32_t made = match_step_new(m, step, b >> 1, (b & 1) != 0);

        if (made == 0)
            return UINT32_MAX;
        match_step_drop(m, step);
        step = made;
    }
    return step;
}

static void partition_snapshot(const struct match_op *m, const struct match_partition *p,
                               struct snapshot_writer *to)
{
    char *threads = match_threads(m, p);

    snapshot_put(to, p, sizeof *p);
    for (uint32_t i = 0; i < p->count; i++)
        match_row_snapshot(m, match_row(m, p, i), to);
    for (uint32_t i = 0; i < p->thread_count; i++) {
        const struct match_thread *t = match_thread_at(m, threads, i);

        snapshot_put(to, t, m->thread_bytes);
        way_snapshot(m, t->step, t->length, to);
    }
    if (p->has_best)
        way_snapshot(m, p->best, p->best_length, to);
}

static bool threads_restore(struct match_op *m, struct match_partition *p, uint32_t count,
                            struct snapshot_reader *from)
{
    if (count > m->node->partials_max)
        return false;
    if (count > p->thread_room) {
        p->threads = heap_alloc(m->op.heap, count * (size_t)m->thread_bytes);
        if (p->threads == NULL)
            return false;
        p->thread_room = count;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct match_thread *t = match_thread_at(m, match_threads(m, p), i);

        snapshot_get(from, t, m->thread_bytes);
        t->step = way_restore(m, from);
        if (t->step == UINT32_MAX || t->pc >= m->node->pattern.count)
            return false;
        p->thread_count++;
    }
    return !from->failed;
}

static bool partition_restore(struct match_op *m, struct match_partition *p,
                              struct snapshot_reader *from)
{
    struct match_partition was;

    snapshot_get(from, &was, sizeof was);
    *p = (struct match_partition){.room = 1,
                                  .thread_room = 1,
                                  .group = p->group,
                                  .number = was.number,
                                  .matches = was.matches,
                                  .covered = was.covered,
                                  .start = was.start,
                                  .next = was.next,
                                  .best_length = was.best_length,
                                  .active = was.active,
                                  .timed = was.timed};
    for (uint32_t i = 0; i < was.count && !from->failed; i++)
        if (!match_row_restore(m, p, from))
            return false;
    if (from->failed || !threads_restore(m, p, was.thread_count, from))
        return false;
    if (was.has_best) {
        p->best = way_restore(m, from);
        p->has_best = p->best != UINT32_MAX;
        return p->has_best;
    }
    return true;
}

static void match_snapshot(struct op *op, struct snapshot_writer *to)
{
    const struct match_op *m = (const struct match_op *)op;

    CHECK(!m->ending && m->now == NULL && m->ahead.block == NULL && m->beyond.block == NULL);
    snapshot_put(to, &op->counters, sizeof op->counters);
    order_snapshot(&m->order, to);
    snapshot_u32(to, m->table.groups);
    for (uint32_t id = 0; id < m->table.groups; id++) {
        table_key_snapshot(&m->table, id, to);
        partition_snapshot(m, match_partition(m, id), to);
    }
    snapshot_u64(to, m->timer_count);
    for (uint64_t i = 0; i < m->timer_count; i++) {
        const struct match_timer *t = &m->timers[i];

        snapshot_put(to, t, sizeof *t);
        if (t->first.key != NULL)
            snapshot_put(to, t->first.key, t->first.key_bytes);
    }
}

static bool timers_restore(struct match_op *m, struct snapshot_reader *from)
{
    const uint64_t count = snapshot_get_u64(from);

    for (uint64_t i = 0; i < count && !from->failed; i++) {
        struct match_timer t;

        snapshot_get(from, &t, sizeof t);
        if (from->failed || t.group >= m->table.groups)
            return false;
        if (t.first.key != NULL) {
            t.first.key = heap_alloc(m->op.heap, t.first.key_bytes);
            if (t.first.key == NULL)
                return false;
            snapshot_get(from, t.first.key, t.first.key_bytes);
        }
        if (!timer_put(m, &t)) {
            timer_free(m, &t);
            return false;
        }
    }
    return !from->failed;
}

static bool match_restore(struct op *op, struct snapshot_reader *from)
{
    struct match_op *m = (struct match_op *)op;
    uint32_t groups;

    snapshot_get(from, &op->counters, sizeof op->counters);
    if (!order_restore(&m->order, from))
        return false;
    groups = snapshot_get_u32(from);
    for (uint32_t i = 0; i < groups && !from->failed; i++) {
        const uint32_t id = table_key_restore(&m->table, from);

        if (id != i)
            return false;
        if (!match_partition_new(m, id)) {
            m->table.groups = id;
            return false;
        }
        if (!partition_restore(m, match_partition(m, id), from))
            return false;
    }
    return timers_restore(m, from);
}

/* ---- life ---- */

static bool match_valid(const struct op *op)
{
    const struct match_op *m = (const struct match_op *)op;
    const struct op_counters *n = &op->counters;
    uint64_t rows = m->order.rows;

    for (uint32_t id = 0; id < m->table.groups; id++) {
        const struct match_partition *p = match_partition(m, id);

        if (p->start > p->count || p->next < p->start || p->next > p->count ||
            (!p->active && p->thread_count > 0))
            return false;
        rows += p->count;
    }
    return rows == n->held && order_valid(&m->order) && table_valid(&m->table) &&
           n->in == n->consumed + n->filtered + n->late + n->dead + n->held;
}

static void match_inspect(const struct op *op, uint32_t sample, struct op_state *state)
{
    table_inspect(&((const struct match_op *)op)->table, sample, &state->tables);
    state->table_count++;
}

static void match_close(struct op *op)
{
    struct match_op *m = (struct match_op *)op;
    struct heap *heap = op->heap;

    if (m->table.heap != NULL) {
        match_drop_chunk(m);
        arena_close(&m->chunk_bytes);
        if (m->ahead.block != NULL)
            order_drop(&m->order, m->ahead.block);
        if (m->beyond.block != NULL)
            order_drop(&m->order, m->beyond.block);
        for (; m->same_next < m->same_count; m->same_next++)
            order_drop(&m->order, m->same[m->same_next].ref.block);
        arena_close(&m->same_bytes);
        for (uint32_t id = 0; id < m->table.groups; id++)
            match_partition_close(m, match_partition(m, id));
        table_close(&m->table);
    }
    while (m->slabs != NULL) {
        struct match_slab *next = m->slabs->next;

        heap_free(heap, m->slabs, m->slabs->bytes);
        m->slabs = next;
    }
    if (m->emitter.op != NULL)
        emit_close(&m->emitter);
    match_emit_close(m);
    match_eval_close(m);
    match_threads_close(m);
    match_layout_close(&m->layout, heap, &m->input);
    order_close(&m->order);
    for (uint64_t i = 0; i < m->timer_count; i++)
        timer_free(m, &m->timers[i]);
    heap_free(heap, m->timers, m->timer_room * sizeof *m->timers);
    heap_free(heap, m->same, m->same_room * sizeof *m->same);
    heap_free(heap, m->rest, m->rest_room * sizeof *m->rest);
    heap_free(heap, m->cause, m->cause_room);
    heap_free(heap, m->records, MATCH_CHUNK * (size_t)m->layout.bytes);
    key_layout_close(&m->keys);
    key_batch_close(&m->batch_keys);
    heap_free(heap, m, sizeof *m);
}

static const struct op_vtable match_vtable = {.name = "MATCH_RECOGNIZE",
                                              .push = match_push,
                                              .end_step = match_end_step,
                                              .resume = match_turn,
                                              .snapshot = match_snapshot,
                                              .restore = match_restore,
                                              .valid = match_valid,
                                              .inspect = match_inspect,
                                              .close = match_close};

static bool match_open(struct match_op *m, struct op_context *context, const struct phys_node *node)
{
    struct heap *heap = context->heap;
    const struct match_pattern *pattern = &node->match->pattern;

    for (uint32_t i = 0; i < pattern->count; i++)
        m->waits_for_end = m->waits_for_end || pattern->code[i].op == MATCH_END;
    m->node = node->match;
    m->input = node->inputs[0]->schema;
    emit_open(&m->emitter, &m->op, node);
    if (!match_layout_open(&m->layout, heap, m->node, &m->input) || !match_threads_open(m) ||
        !match_eval_open(m) || !match_threads_ready(m) || !match_emit_open(m) ||
        !key_layout_open(&m->keys, heap, &m->input, m->node->keys, m->node->key_count) ||
        !key_batch_open(&m->batch_keys, heap))
        return false;
    m->keys.kernels = m->op.context->kernels;
    m->records = heap_alloc(heap, MATCH_CHUNK * (size_t)m->layout.bytes);
    if (m->records == NULL)
        return false;
    m->row_at = (uint32_t)ALIGN_UP(sizeof(struct match_partition), 8u);
    m->thread_at = m->row_at + m->layout.bytes;
    m->entry_bytes = m->thread_at + m->thread_bytes;
    arena_open(&m->same_bytes, heap);
    arena_open(&m->chunk_bytes, heap);
    order_open(&m->order, heap, &m->input, MATCH_CHUNK);
    table_open(&m->table, heap, &m->keys, sizeof(struct match_partition *), context->seed);
    return true;
}

struct op *op_match_new(struct op_context *context, const struct phys_node *node)
{
    struct match_op *m = heap_zalloc(context->heap, sizeof *m);

    if (m != NULL) {
        m->op = (struct op){.vtable = &match_vtable,
                            .context = context,
                            .heap = context->heap,
                            .id = node->id};
        if (match_open(m, context, node))
            return &m->op;
    }
    mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for MATCH_RECOGNIZE");
    if (m != NULL)
        match_close(&m->op);
    return NULL;
}
