/* core/ops/op_count_window.c - TUMBLE_ROWS and HOP_ROWS: windows of a number of rows per key, or of rows or time.
 *
 * Rows wait in event-time order (core/state/order.h) until the watermark has passed them; a row is late when its time
 * is at or before the watermark just before it. With processing time they are taken in place order when the step ends.
 * Rows of a key fill *panes* of gcd(slide, size) rows:
 *   rows of the panes <= size; a window fires at every slide-th row over the panes there are, the first ones partial
 *   after it as many first panes go as leave size - slide rows
 * By count or time: a window opens at its first row (time a), timers are first in, first out since times ascend.
 * What is left fires at the end of the input. Firings leave by (end, key, start, window_id).
 *
 * A pane holds the states of the aggregates, or, where the rows themselves are wanted, references to them.
 * State: one entry per key for ever (its window_id goes on), its panes, the rows that wait.
 * Threads: one shard.   Errors: MILL_E_MEMORY.
 */
#include "core/ops/count_impl.h"

#include <stdlib.h>

#define TURN_BATCHES 4u
#define SPARE_CONTENTS 4096u

enum op_progress count_no_memory(struct count_op *c)
{
    return op_no_memory(&c->op, "it holds rows until the watermark and the last rows of each key: "
                                "use a shorter delay or smaller windows, or");
}

/* ---- contents ---- */

static void content_init(const struct count_op *c, void *content)
{
    if (c->set != NULL)
        agg_init(c->set, content);
    else
        *(struct held_rows *)content = (struct held_rows){0};
}

void count_content_close(struct count_op *c, void *content)
{
    struct held_rows *h = content;

    if (c->set != NULL) {
        agg_close(c->set, content);
        return;
    }
    for (uint32_t i = 0; i < h->count; i++)
        order_drop(&c->order, h->refs[i].block);
    heap_free(c->op.heap, h->refs, h->capacity * sizeof *h->refs);
}

/* Takes a share of the row. */
bool count_hold_row(struct count_op *c, struct held_rows *h, const struct order_ref *ref)
{
    if (h->count == h->capacity) {
        const uint32_t capacity = h->capacity == 0 ? 4 : h->capacity * 2;
        struct order_ref *refs =
            heap_grow(c->op.heap, h->refs, h->capacity * sizeof *refs, capacity * sizeof *refs);

        if (refs == NULL)
            return false;
        h->refs = refs;
        h->capacity = capacity;
    }
    ref->block->shares++;
    h->refs[h->count++] = *ref;
    return true;
}

static bool content_merge(struct count_op *c, void *into, const void *from)
{
    const struct held_rows *h = from;

    if (c->set != NULL)
        return agg_merge(c->set, into, from);
    for (uint32_t i = 0; i < h->count; i++)
        if (!count_hold_row(c, into, &h->refs[i]))
            return false;
    return true;
}

/* ---- panes ---- */

static bool add_rows(struct count_op *c)
{
    const bool ok = c->adding == 0 || agg_add(c->set, c->states, &c->view, c->rows, c->adding);

    c->adding = 0;
    return ok;
}

/* The pane that takes the next row; a new one moves the others only when nothing points to them. */
struct pane *count_open_pane(struct count_op *c, struct counted *k, int64_t time)
{
    const size_t bytes = count_pane_bytes(c);
    struct pane *pane = k->count > 0 ? count_pane_at(c, k, k->count - 1) : NULL;

    if (pane != NULL && pane->rows < c->grain)
        return pane;
    if (k->count == k->capacity) {
        const uint32_t capacity = k->capacity == 0 ? 1 : k->capacity * 2;
        char *panes;

        if (!add_rows(c))
            return NULL;
        panes = heap_grow(c->op.heap, k->panes, k->capacity * bytes, capacity * bytes);
        if (panes == NULL)
            return NULL;
        k->panes = panes;
        k->capacity = capacity;
    }
    pane = count_pane_at(c, k, k->count++);
    *pane = (struct pane){.first = time};
    content_init(c, count_pane_content(pane));
    return pane;
}

static void drop_panes(struct count_op *c, struct counted *k, uint32_t count, bool close)
{
    uint64_t rows = 0;

    for (uint32_t i = 0; i < count; i++) {
        rows += count_pane_at(c, k, i)->rows;
        if (close)
            count_content_close(c, count_pane_content(count_pane_at(c, k, i)));
    }
    if (count > 0 && count < k->count)
        memmove(k->panes, k->panes + count * count_pane_bytes(c),
                (k->count - count) * count_pane_bytes(c));
    k->count -= count;
    k->rows -= rows;
    c->op.counters.held -= rows;
    c->op.counters.consumed += rows;
}

/* ---- windows ---- */

/* A spare piece of memory for a content begins with the next one's address. */
static size_t content_room(const struct count_op *c)
{
    return c->content_bytes > sizeof(void *) ? c->content_bytes : sizeof(void *);
}

static void *content_take(struct count_op *c)
{
    void *content = c->spare;

    if (content == NULL)
        return heap_alloc(c->op.heap, content_room(c));
    memcpy(&c->spare, content, sizeof c->spare);
    c->spare_count--;
    return content;
}

void count_content_return(struct count_op *c, void *content)
{
    if (c->spare_count == SPARE_CONTENTS) {
        heap_free(c->op.heap, content, content_room(c));
        return;
    }
    memcpy(content, &c->spare, sizeof c->spare);
    c->spare = content;
    c->spare_count++;
}

static struct fired *fired_new(struct count_op *c)
{
    struct heap *heap = c->op.heap;

    if (c->fired_count == c->fired_room) {
        const uint32_t room = c->fired_room == 0 ? 256 : c->fired_room * 2;
        struct fired *grown =
            heap_grow(heap, c->fired, c->fired_room * sizeof *grown, room * sizeof *grown);

        if (grown == NULL)
            return NULL;
        c->fired = grown;
        c->fired_room = room;
    }
    c->fired[c->fired_count] = (struct fired){.content = content_take(c)};
    return c->fired[c->fired_count].content != NULL ? &c->fired[c->fired_count] : NULL;
}

static bool fired_order(struct count_op *c, struct fired *f)
{
    const uint32_t room = 24 + table_key_bytes(&c->table, f->group);
    char *order = arena_alloc(&c->order_bytes, room);
    uint32_t n;

    if (order == NULL)
        return false;
    n = key_put_i64(order, f->end);
    n += table_key_put(&c->table, f->group, order + n);
    n += key_put_i64(order + n, f->start);
    n += key_put_i64(order + n, f->id);
    f->order = view_of(order, n);
    return true;
}

static uint32_t group_of(const struct count_op *c, const struct counted *k)
{
    return (uint32_t)(((const char *)k - c->table.states) / c->table.state_bytes);
}

/* Fires the window over the key's panes. */
static bool fire(struct count_op *c, struct counted *k, int64_t end)
{
    const bool alone = k->count == 1 && c->slide == c->size;
    struct fired *f;
    uint32_t gone = 0;

    if (!add_rows(c))
        return false;
    f = fired_new(c);
    if (f == NULL)
        return false;
    f->start = count_pane_at(c, k, 0)->first;
    f->end = end;
    f->id = k->id++;
    f->group = group_of(c, k);
    c->fired_count++;
    if (alone) {
        memcpy(f->content, count_pane_content(count_pane_at(c, k, 0)), c->content_bytes);
        gone = 1;
    } else {
        content_init(c, f->content);
        for (uint32_t i = 0; i < k->count; i++)
            if (!content_merge(c, f->content, count_pane_content(count_pane_at(c, k, i))))
                return false;
        for (uint64_t rows = k->rows; gone < k->count && rows > c->size - c->slide; gone++)
            rows -= count_pane_at(c, k, gone)->rows;
    }
    drop_panes(c, k, gone, !alone);
    k->waiting = 0;
    return fired_order(c, f);
}

bool count_timer_add(struct count_op *c, const struct timer *timer)
{
    if (c->timer_end - c->timer_first == c->timer_room) {
        const uint64_t room = c->timer_room == 0 ? 64 : c->timer_room * 2;
        struct timer *timers = heap_alloc(c->op.heap, room * sizeof *timers);

        if (timers == NULL)
            return false;
        for (uint64_t i = c->timer_first; i < c->timer_end; i++)
            timers[i - c->timer_first] = c->timers[i & (c->timer_room - 1)];
        heap_free(c->op.heap, c->timers, c->timer_room * sizeof *timers);
        c->timers = timers;
        c->timer_end -= c->timer_first;
        c->timer_first = 0;
        c->timer_room = room;
    }
    c->timers[c->timer_end++ & (c->timer_room - 1)] = *timer;
    return true;
}

/* Closes windows whose time has passed: end <= @time. */
static bool run_timers(struct count_op *c, int64_t time)
{
    for (; c->timer_first < c->timer_end; c->timer_first++) {
        const struct timer *t = &c->timers[c->timer_first & (c->timer_room - 1)];
        struct counted *k = count_key_at(c, t->group);

        if (t->end > time)
            break;
        if (k->id == t->id && k->rows > 0 && !fire(c, k, t->end))
            return false;
    }
    return true;
}

static bool put_row(struct count_op *c, uint32_t i)
{
    const struct order_ref *ref = &c->chunk[i];
    struct counted *k = c->found[i];
    struct pane *pane = count_open_pane(c, k, ref->time);

    if (pane == NULL)
        return false;
    if (c->limit > 0 && k->rows == 0) {
        const struct timer timer = {time_add(ref->time, c->limit), k->id, group_of(c, k)};

        if (!count_timer_add(c, &timer))
            return false;
    }
    pane->last = ref->time;
    pane->rows++;
    k->rows++;
    k->waiting++;
    if (c->set != NULL) {
        c->rows[c->adding] = (uint16_t)ref->row;
        c->states[c->adding++] = count_pane_content(pane);
    } else if (!count_hold_row(c, count_pane_content(pane), ref)) {
        return false;
    }
    return k->waiting < c->slide || fire(c, k, time_add(ref->time, c->unit));
}

/* ---- rows in ---- */

static uint32_t judge_rows(struct count_op *c, const struct batch *batch, const struct step_time *t,
                           uint16_t *rows, int64_t *times)
{
    const int32_t at = c->node->window.time;
    const struct column *column = at >= 0 ? &batch->columns[at] : NULL;
    uint32_t n = 0;

    c->late_count = 0;
    for (uint32_t i = 0; i < batch->live; i++) {
        const uint32_t row = batch_row(batch, i);

        if (column != NULL && !column_valid(column, row)) {
            c->op.counters.filtered++;
            c->op.counters.null_time++;
            continue;
        }
        times[n] = column == NULL ? t->clock_us
                                  : ((const int64_t *)column->values)[column->constant ? 0 : row];
        if (column != NULL && times[n] <= row_watermark(t, batch, row))
            c->late[c->late_count++] = (uint16_t)row;
        else
            rows[n++] = (uint16_t)row;
    }
    return n;
}

static enum op_progress count_push(struct op *op, uint32_t port, struct batch *batch,
                                   const struct step_time *t)
{
    struct count_op *c = (struct count_op *)op;
    uint16_t rows[BATCH_ROWS_MAX];
    int64_t times[BATCH_ROWS_MAX];
    enum op_progress p = OP_READY;
    uint32_t n;

    (void)port;
    CHECK(!c->ending);
    op->counters.in += batch->live;
    n = judge_rows(c, batch, t, rows, times);
    op->counters.held += n;
    op->counters.late += c->late_count;
    if (!order_push(&c->order, batch, rows, times, n))
        p = count_no_memory(c);
    else if (c->late_count > 0 && c->node->late_output)
        p = op_late_rows(op, batch, c->late, c->late_count, &c->input, &c->node->window.time_type,
                         "its time is not after the watermark", t);
    batch_release(batch);
    return p;
}

/* ---- taking rows in time order ---- */

static void drop_chunk(struct count_op *c)
{
    for (uint32_t i = 0; i < c->chunk_count; i++)
        order_drop(&c->order, c->chunk[i].block);
    c->chunk_count = c->chunk_next = 0;
}

static bool next_ref(struct count_op *c, int64_t w, struct order_ref *ref)
{
    if (c->ahead.block == NULL)
        return order_next(&c->order, w, ref);
    *ref = c->ahead;
    c->ahead.block = NULL;
    return true;
}

/* The rows count on in the order in which they are taken, whatever step they came with. */
static void number_chunk(struct count_op *c)
{
    if ((uint32_t)c->taken + c->chunk_count < (uint32_t)c->taken)
        c->taken = ((c->taken >> 32) + 1) << 32;
    c->view = *c->chunk[0].block->rows;
    c->view.step = c->taken >> 32;
    c->view.place = c->places;
    for (uint32_t i = 0; i < c->chunk_count; i++)
        c->places[c->chunk[i].row] = (uint32_t)c->taken++;
}

/* References of one block, and their keys' entries. */
static bool take_chunk(struct count_op *c, int64_t w)
{
    const uint32_t before = c->table.groups;
    struct order_ref ref;
    uint16_t rows[COUNT_CHUNK_ROWS];
    bool found;

    drop_chunk(c);
    while (c->chunk_count < COUNT_CHUNK_ROWS && next_ref(c, w, &ref)) {
        if (c->chunk_count > 0 && ref.block != c->chunk[0].block) {
            c->ahead = ref;
            break;
        }
        rows[c->chunk_count] = (uint16_t)ref.row;
        c->chunk[c->chunk_count++] = ref;
    }
    if (c->chunk_count == 0)
        return true;
    number_chunk(c);
    if (c->keys.count == 0) {
        found = c->table.groups > 0 || table_single(&c->table);
        for (uint32_t i = 0; found && i < c->chunk_count; i++)
            c->found[i] = table_state(&c->table, 0);
    } else {
        found = keys_prepare(&c->keys, &c->view, rows, c->chunk_count, &c->batch_keys) &&
                table_lookup(&c->table, &c->batch_keys, NULL, c->chunk_count, c->found);
    }
    for (uint32_t id = before; id < c->table.groups; id++)
        *count_key_at(c, id) = (struct counted){0};
    return found;
}

/* All keys' rest, at the end of the input. */
static bool fire_rest(struct count_op *c)
{
    for (uint32_t id = 0; id < c->table.groups; id++) {
        struct counted *k = count_key_at(c, id);

        if (k->waiting > 0 &&
            !fire(c, k, time_add(count_pane_at(c, k, k->count - 1)->last, c->unit)))
            return false;
        drop_panes(c, k, k->count, true);
    }
    return true;
}

/* Up to which time rows leave, and which timers run: those with end <= @timers. */
static void bounds(const struct count_op *c, const struct step_time *t, int64_t *rows,
                   int64_t *timers)
{
    *rows = t->last || c->node->window.time < 0 ? TIME_MAX : t->w_after;
    *timers = t->last                    ? TIME_MAX
              : c->node->window.time < 0 ? t->clock_us
                                         : time_add(t->w_after, c->unit);
}

/* Gathers firings until there are enough of them for a batch, at a time where no later one can end earlier. */
static bool gather(struct count_op *c, const struct step_time *t)
{
    int64_t rows, timers;

    bounds(c, t, &rows, &timers);
    for (;;) {
        if (c->chunk_next == c->chunk_count) {
            if (!add_rows(c) || !take_chunk(c, rows))
                return false;
            if (c->chunk_count == 0)
                break;
        }
        for (; c->chunk_next < c->chunk_count; c->chunk_next++) {
            const int64_t time = c->chunk[c->chunk_next].time;

            if (!run_timers(c, time))
                return false;
            /* the rest of the keys may end before what is gathered now */
            if (c->fired_count >= c->op.context->batch_rows && (c->limit > 0 || !t->last) &&
                c->fired[c->fired_count - 1].end <= time)
                return add_rows(c);
            if (!put_row(c, c->chunk_next))
                return false;
        }
    }
    c->gathered = true;
    return run_timers(c, timers) && (!t->last || fire_rest(c));
}

static int by_order(const void *a, const void *b)
{
    return view_compare(&((const struct fired *)a)->order, &((const struct fired *)b)->order);
}

/* ---- the end of a step ---- */

static enum op_progress count_turn(struct op *op, const struct step_time *t)
{
    struct count_op *c = (struct count_op *)op;

    if (!c->ending)
        return OP_READY;
    for (uint32_t batches = 0; batches < TURN_BATCHES;) {
        if (c->sorted && c->next < c->fired_count) {
            const enum op_progress p = count_emit_some(c, t);

            if (p != OP_READY)
                return p;
            batches++;
            continue;
        }
        if (c->sorted)
            count_firing_end(c);
        if (c->gathered) {
            drop_chunk(c);
            c->ending = c->gathered = false;
            op->counters.state_rows = c->table.groups;
            return OP_READY;
        }
        if (!gather(c, t))
            return count_no_memory(c);
        if (c->fired_count > 0)
            qsort(c->fired, c->fired_count, sizeof *c->fired, by_order);
        c->sorted = true;
    }
    return OP_BUSY;
}

static enum op_progress count_end_step(struct op *op, const struct step_time *t)
{
    struct count_op *c = (struct count_op *)op;

    c->ending = true;
    return count_turn(op, t);
}

/* ---- life ---- */

static bool count_valid(const struct op *op)
{
    const struct count_op *c = (const struct count_op *)op;
    const struct op_counters *n = &op->counters;
    uint64_t rows = c->order.rows;

    for (uint32_t id = 0; id < c->table.groups; id++) {
        const struct counted *k = count_key_at(c, id);
        uint64_t in_panes = 0;

        for (uint32_t i = 0; i < k->count; i++)
            in_panes += count_pane_at(c, k, i)->rows;
        if (in_panes != k->rows || k->waiting >= c->slide || k->rows > c->size)
            return false;
        rows += in_panes;
    }
    return rows == n->held && order_valid(&c->order) && table_valid(&c->table) &&
           n->in == n->consumed + n->filtered + n->late + n->dead + n->held;
}

static void count_inspect(const struct op *op, uint32_t sample, struct op_state *state)
{
    table_inspect(&((const struct count_op *)op)->table, sample, &state->tables);
    state->table_count++;
}

static void count_close(struct op *op)
{
    struct count_op *c = (struct count_op *)op;
    struct heap *heap = op->heap;

    if (c->table.heap != NULL) {
        count_firing_end(c);
        arena_close(&c->order_bytes);
        drop_chunk(c);
        if (c->ahead.block != NULL)
            order_drop(&c->order, c->ahead.block);
        for (uint32_t id = 0; id < c->table.groups; id++) {
            struct counted *k = count_key_at(c, id);

            for (uint32_t i = 0; i < k->count; i++)
                count_content_close(c, count_pane_content(count_pane_at(c, k, i)));
            heap_free(heap, k->panes, k->capacity * count_pane_bytes(c));
        }
        table_close(&c->table);
    }
    order_close(&c->order);
    if (c->set != NULL)
        agg_set_free(c->set);
    heap_free(heap, c->timers, c->timer_room * sizeof *c->timers);
    while (c->spare_count > 0)
        heap_free(heap, content_take(c), content_room(c));
    heap_free(heap, c->fired, c->fired_room * sizeof *c->fired);
    key_layout_close(&c->keys);
    key_batch_close(&c->batch_keys);
    heap_free(heap, c, sizeof *c);
}

static const struct op_vtable count_vtable = {.name = "count window",
                                              .push = count_push,
                                              .end_step = count_end_step,
                                              .resume = count_turn,
                                              .snapshot = count_snapshot,
                                              .restore = count_restore,
                                              .valid = count_valid,
                                              .inspect = count_inspect,
                                              .close = count_close};

struct op *op_count_window_new(struct op_context *context, const struct phys_node *node)
{
    struct count_op *c = heap_zalloc(context->heap, sizeof *c);
    const struct aggregate_node *a = &node->aggregate;

    if (c == NULL)
        goto fail;
    c->op = (struct op){.vtable = &count_vtable,
                        .context = context,
                        .heap = context->heap,
                        .id = node->id};
    c->node = a;
    c->input = node->inputs[0]->schema;
    c->output = node->schema;
    c->size = a->window.rows;
    c->slide = a->window.slide_rows;
    c->grain = (uint64_t)gcd_i64((int64_t)c->slide, (int64_t)c->size); /* both of 31 bits */
    c->limit = a->window.size;
    c->unit = a->window.unit;
    c->content_bytes = sizeof(struct held_rows);
    if (!key_layout_open(&c->keys, context->heap, &c->input, a->keys, a->key_count) ||
        !key_batch_open(&c->batch_keys, context->heap))
        goto fail;
    c->keys.kernels = context->kernels;
    if (a->outs != NULL) {
        c->set = agg_set_new(context->heap, context->kernels, a->aggs, a->agg_count, false);
        if (c->set == NULL)
            goto fail;
        c->content_bytes = max_u32(agg_state_bytes(c->set), 8);
    }
    order_open(&c->order, context->heap, &c->input, COUNT_CHUNK_ROWS);
    arena_open(&c->order_bytes, context->heap);
    table_open(&c->table, context->heap, &c->keys, sizeof(struct counted), context->seed);
    return &c->op;
fail:
    mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for a window by count");
    if (c != NULL)
        count_close(&c->op);
    return NULL;
}
