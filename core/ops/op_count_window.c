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
#include "core/ops/op.h"
#include "core/plan/physical.h"
#include "core/state/order.h"
#include "core/state/table.h"
#include "core/zone.h"

#include <stdlib.h>

#define TURN_BATCHES 4u
#define CHUNK_ROWS 1024u
#define SPARE_CONTENTS 4096u

/* Rows instead of aggregates: what a pane or a firing holds. */
struct held_rows {
    struct order_ref *refs;
    uint32_t count, capacity;
};

struct pane {
    uint64_t rows;
    int64_t first, last;
    /* the content follows: states of the aggregates, or struct held_rows */
};

struct counted { /* per key */
    char *panes;
    uint32_t count, capacity;
    uint64_t rows;    /* in panes */
    uint64_t waiting; /* rows since the last firing */
    int64_t id;       /* of the next window to fire */
};

struct timer {
    int64_t end, id;
    uint32_t group;
};

struct fired {
    int64_t start, end, id;
    uint32_t group;
    void *content;
    struct mill_view order;
};

struct count_op {
    struct op op;
    const struct aggregate_node *node;
    struct mill_schema input, output;
    struct agg_set *set; /* NULL: rows */
    uint64_t grain, slide, size;
    int64_t limit, unit; /* limit 0: by rows only */
    size_t content_bytes;
    struct key_layout keys;
    struct key_batch batch_keys;
    struct table table; /* state: struct counted */
    struct order order;
    struct timer *timers;
    uint64_t timer_first, timer_end, timer_room;
    /* references taken from the order, all of one block, and what the table found for them */
    struct order_ref chunk[CHUNK_ROWS];
    void *found[CHUNK_ROWS];
    uint32_t chunk_count, chunk_next;
    struct order_ref ahead; /* taken, of the next block; block NULL: none */
    struct batch
        view; /* the chunk's block with its rows' places in time order: for FIRST, LAST, LISTAGG */
    uint32_t places[CHUNK_ROWS];
    uint64_t taken; /* rows ever taken: (step, place) of the view */
    /* rows of the chunk not yet added to their panes */
    uint16_t rows[CHUNK_ROWS];
    void *states[CHUNK_ROWS];
    uint32_t adding;
    /* firing */
    bool ending, gathered, sorted;
    struct fired *fired;
    uint32_t fired_count, fired_room, next, next_row;
    void *spare; /* contents of fired windows, to be used again */
    uint32_t spare_count;
    struct arena order_bytes;
    uint16_t late[BATCH_ROWS_MAX];
    uint32_t late_count;
};

static enum op_progress no_memory(struct count_op *c)
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

static void content_close(struct count_op *c, void *content)
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
static bool hold_row(struct count_op *c, struct held_rows *h, const struct order_ref *ref)
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
        if (!hold_row(c, into, &h->refs[i]))
            return false;
    return true;
}

/* ---- panes ---- */

static size_t pane_bytes(const struct count_op *c)
{
    return ALIGN_UP(sizeof(struct pane) + c->content_bytes, (size_t)16);
}

static struct pane *pane_at(const struct count_op *c, const struct counted *k, uint32_t i)
{
    return (struct pane *)(k->panes + (size_t)i * pane_bytes(c));
}

static void *pane_content(struct pane *pane)
{
    return pane + 1;
}

static bool add_rows(struct count_op *c)
{
    const bool ok = c->adding == 0 || agg_add(c->set, c->states, &c->view, c->rows, c->adding);

    c->adding = 0;
    return ok;
}

/* The pane that takes the next row; a new one moves the others only when nothing points to them. */
static struct pane *open_pane(struct count_op *c, struct counted *k, int64_t time)
{
    const size_t bytes = pane_bytes(c);
    struct pane *pane = k->count > 0 ? pane_at(c, k, k->count - 1) : NULL;

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
    pane = pane_at(c, k, k->count++);
    *pane = (struct pane){.first = time};
    content_init(c, pane_content(pane));
    return pane;
}

static void drop_panes(struct count_op *c, struct counted *k, uint32_t count, bool close)
{
    uint64_t rows = 0;

    for (uint32_t i = 0; i < count; i++) {
        rows += pane_at(c, k, i)->rows;
        if (close)
            content_close(c, pane_content(pane_at(c, k, i)));
    }
    if (count > 0 && count < k->count)
        memmove(k->panes, k->panes + count * pane_bytes(c), (k->count - count) * pane_bytes(c));
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

static void content_return(struct count_op *c, void *content)
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

static struct counted *counted_at(const struct count_op *c, uint32_t group)
{
    return table_state(&c->table, group);
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
    f->start = pane_at(c, k, 0)->first;
    f->end = end;
    f->id = k->id++;
    f->group = group_of(c, k);
    c->fired_count++;
    if (alone) {
        memcpy(f->content, pane_content(pane_at(c, k, 0)), c->content_bytes);
        gone = 1;
    } else {
        content_init(c, f->content);
        for (uint32_t i = 0; i < k->count; i++)
            if (!content_merge(c, f->content, pane_content(pane_at(c, k, i))))
                return false;
        for (uint64_t rows = k->rows; gone < k->count && rows > c->size - c->slide; gone++)
            rows -= pane_at(c, k, gone)->rows;
    }
    drop_panes(c, k, gone, !alone);
    k->waiting = 0;
    return fired_order(c, f);
}

static bool timer_add(struct count_op *c, const struct timer *timer)
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
        struct counted *k = counted_at(c, t->group);

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
    struct pane *pane = open_pane(c, k, ref->time);

    if (pane == NULL)
        return false;
    if (c->limit > 0 && k->rows == 0) {
        const struct timer timer = {time_add(ref->time, c->limit), k->id, group_of(c, k)};

        if (!timer_add(c, &timer))
            return false;
    }
    pane->last = ref->time;
    pane->rows++;
    k->rows++;
    k->waiting++;
    if (c->set != NULL) {
        c->rows[c->adding] = (uint16_t)ref->row;
        c->states[c->adding++] = pane_content(pane);
    } else if (!hold_row(c, pane_content(pane), ref)) {
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
        p = no_memory(c);
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
    uint16_t rows[CHUNK_ROWS];
    bool found;

    drop_chunk(c);
    while (c->chunk_count < CHUNK_ROWS && next_ref(c, w, &ref)) {
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
        *counted_at(c, id) = (struct counted){0};
    return found;
}

/* All keys' rest, at the end of the input. */
static bool fire_rest(struct count_op *c)
{
    for (uint32_t id = 0; id < c->table.groups; id++) {
        struct counted *k = counted_at(c, id);

        if (k->waiting > 0 && !fire(c, k, time_add(pane_at(c, k, k->count - 1)->last, c->unit)))
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

/* ---- results ---- */

static int64_t window_value(const struct count_op *c, const struct fired *f, enum out_kind kind)
{
    const struct zone *zone = c->node->window.local_zone ? c->op.context->zone : NULL;
    const bool nanos = type_is_nanos(&c->node->window.time_type);

    switch (kind) {
    case OUT_WINDOW_START: return zone_local(zone, f->start, nanos);
    case OUT_WINDOW_END: return zone_local(zone, f->end, nanos);
    case OUT_WINDOW_TIME: return f->end - c->unit;
    default: return f->id;
    }
}

static bool put_order(struct batch *out, const struct fired *f, uint32_t row)
{
    out->order_keys[row] = batch_view(out, mill_view_data(&f->order), f->order.length);
    return out->order_keys[row].length != UINT32_MAX;
}

/* One row per firing: keys, aggregates, window columns. Returns rows written, -1 without memory. */
static int fill_aggregates(struct count_op *c, struct batch *out, uint32_t most)
{
    const struct aggregate_node *node = c->node;
    const uint32_t count = min_u32(most, c->fired_count - c->next);
    struct column *columns = arena_array(&out->bytes, struct column, max_u32(node->agg_count, 1));

    if (columns == NULL || !batch_own_columns(out, &c->output))
        return -1;
    for (uint32_t a = 0; a < node->agg_count; a++)
        if (!column_own(out, &columns[a], &node->aggs[a].result_type))
            return -1;
    for (uint32_t i = 0; i < count; i++)
        if (!agg_values(c->set, c->fired[c->next + i].content, out, columns, i) ||
            !put_order(out, &c->fired[c->next + i], i))
            return -1;
    for (uint32_t k = 0; k < c->output.field_count; k++) {
        const struct out_column *o = &node->outs[k];

        if (o->kind == OUT_AGG)
            out->columns[k] = columns[o->index];
        for (uint32_t i = 0; i < count && o->kind != OUT_AGG; i++) {
            const struct fired *f = &c->fired[c->next + i];

            if (o->kind != OUT_KEY)
                ((int64_t *)out->columns[k].values)[i] = window_value(c, f, o->kind);
            else if (!table_key_value(&c->table, f->group, o->index, out, &out->columns[k], i))
                return -1;
        }
    }
    c->next += count;
    return (int)count;
}

/* The rows of the firings, with the window columns behind their own. */
static int fill_rows(struct count_op *c, struct batch *out, uint32_t most)
{
    static const enum out_kind kinds[] = {OUT_WINDOW_START, OUT_WINDOW_END, OUT_WINDOW_TIME,
                                          OUT_WINDOW_ID};
    const uint32_t fields = c->input.field_count;

    if (!batch_own_columns(out, &c->output))
        return -1;
    while (out->rows < most && c->next < c->fired_count) {
        const struct fired *f = &c->fired[c->next];
        const struct held_rows *h = f->content;
        struct batch from = *h->refs[c->next_row].block->rows;
        const uint16_t row = (uint16_t)h->refs[c->next_row].row;
        const uint32_t to = out->rows;

        from.order_keys = NULL;
        if (batch_append(out, &from, &row, 1, &c->input) != 1 || !put_order(out, f, to))
            return -1;
        for (uint32_t i = 0; i < COUNT_OF(kinds); i++)
            ((int64_t *)out->columns[fields + i].values)[to] = window_value(c, f, kinds[i]);
        if (++c->next_row == h->count) {
            c->next_row = 0;
            c->next++;
        }
    }
    return (int)out->rows;
}

static enum op_progress emit_some(struct count_op *c, const struct step_time *t)
{
    struct op_context *context = c->op.context;
    struct batch *out = context->take_batch(context, c->output.field_count);
    uint32_t most;
    int count;

    if (out == NULL)
        return context->error->code != 0 ? OP_FAILED : OP_BUSY;
    most = min_u32(out->capacity, context->batch_rows);
    out->order_keys = arena_alloc(&out->bytes, out->capacity * sizeof *out->order_keys);
    count = out->order_keys == NULL ? -1
            : c->set != NULL        ? fill_aggregates(c, out, most)
                                    : fill_rows(c, out, most);
    if (count < 0) {
        batch_release(out);
        return no_memory(c);
    }
    out->step = t->step;
    out->split = t->split;
    out->rows = out->live = (uint32_t)count;
    out->class_ = CLASS_FIRED;
    out->origin = c->op.id;
    if (c->set != NULL)
        c->op.counters.sum_overflow = agg_overflows(c->set);
    return op_emit(&c->op, out, t);
}

static void firing_end(struct count_op *c)
{
    for (uint32_t i = 0; i < c->fired_count; i++) {
        content_close(c, c->fired[i].content);
        content_return(c, c->fired[i].content);
    }
    c->fired_count = c->next = c->next_row = 0;
    c->sorted = false;
    arena_reset(&c->order_bytes);
}

/* ---- the end of a step ---- */

static enum op_progress count_turn(struct op *op, const struct step_time *t)
{
    struct count_op *c = (struct count_op *)op;

    if (!c->ending)
        return OP_READY;
    for (uint32_t batches = 0; batches < TURN_BATCHES;) {
        if (c->sorted && c->next < c->fired_count) {
            const enum op_progress p = emit_some(c, t);

            if (p != OP_READY)
                return p;
            batches++;
            continue;
        }
        if (c->sorted)
            firing_end(c);
        if (c->gathered) {
            drop_chunk(c);
            c->ending = c->gathered = false;
            op->counters.state_rows = c->table.groups;
            return OP_READY;
        }
        if (!gather(c, t))
            return no_memory(c);
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
        held = hold_row(c, content, &ref);
        order_drop(&c->order, ref.block); /* the pane has its own share */
        if (!held)
            return false;
    }
    return !from->failed;
}

static void count_snapshot(struct op *op, struct snapshot_writer *to)
{
    const struct count_op *c = (const struct count_op *)op;

    CHECK(!c->ending && c->ahead.block == NULL);
    snapshot_put(to, &op->counters, sizeof op->counters);
    snapshot_u64(to, c->taken);
    order_snapshot(&c->order, to);
    snapshot_u32(to, c->table.groups);
    for (uint32_t id = 0; id < c->table.groups; id++) {
        const struct counted *k = counted_at(c, id);

        table_key_snapshot(&c->table, id, to);
        snapshot_u64(to, (uint64_t)k->id);
        snapshot_u64(to, k->waiting);
        snapshot_u32(to, k->count);
        for (uint32_t i = 0; i < k->count; i++) {
            struct pane *pane = pane_at(c, k, i);

            snapshot_u64(to, pane->rows);
            snapshot_u64(to, (uint64_t)pane->first);
            snapshot_u64(to, (uint64_t)pane->last);
            content_snapshot(c, pane_content(pane), to);
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
    struct counted *k = counted_at(c, id);
    uint32_t count;

    *k = (struct counted){.id = (int64_t)snapshot_get_u64(from)};
    k->waiting = snapshot_get_u64(from);
    count = snapshot_get_u32(from);
    for (uint32_t i = 0; i < count && !from->failed; i++) {
        struct pane *pane = open_pane(c, k, 0);

        if (pane == NULL)
            return false;
        pane->rows = snapshot_get_u64(from);
        pane->first = (int64_t)snapshot_get_u64(from);
        pane->last = (int64_t)snapshot_get_u64(from);
        k->rows += pane->rows;
        if (!content_restore(c, pane_content(pane), from))
            return false;
    }
    return !from->failed;
}

static bool count_restore(struct op *op, struct snapshot_reader *from)
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
        if (t.group >= c->table.groups || !timer_add(c, &t))
            return false;
    }
    return !from->failed;
}

static bool count_valid(const struct op *op)
{
    const struct count_op *c = (const struct count_op *)op;
    const struct op_counters *n = &op->counters;
    uint64_t rows = c->order.rows;

    for (uint32_t id = 0; id < c->table.groups; id++) {
        const struct counted *k = counted_at(c, id);
        uint64_t in_panes = 0;

        for (uint32_t i = 0; i < k->count; i++)
            in_panes += pane_at(c, k, i)->rows;
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
        firing_end(c);
        arena_close(&c->order_bytes);
        drop_chunk(c);
        if (c->ahead.block != NULL)
            order_drop(&c->order, c->ahead.block);
        for (uint32_t id = 0; id < c->table.groups; id++) {
            struct counted *k = counted_at(c, id);

            for (uint32_t i = 0; i < k->count; i++)
                content_close(c, pane_content(pane_at(c, k, i)));
            heap_free(heap, k->panes, k->capacity * pane_bytes(c));
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
    if (a->outs != NULL) {
        c->set = agg_set_new(context->heap, context->kernels, a->aggs, a->agg_count, false);
        if (c->set == NULL)
            goto fail;
        c->content_bytes = max_u32(agg_state_bytes(c->set), 8);
    }
    order_open(&c->order, context->heap, &c->input, CHUNK_ROWS);
    arena_open(&c->order_bytes, context->heap);
    table_open(&c->table, context->heap, &c->keys, sizeof(struct counted), context->seed);
    return &c->op;
fail:
    mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for a window by count");
    if (c != NULL)
        count_close(&c->op);
    return NULL;
}
