/* core/ops/op_assign.c - a window table function whose rows are used as they are: every row once per window
 * it belongs to, with window_start, window_end and window_time behind its own columns.
 *
 * Rows keep their place; the copies of one row leave in ascending window order. Rows with a NULL time belong to
 * no window and are counted. No row is late here: nothing is kept that could have been closed.
 */
#include "core/ops/op.h"
#include "core/plan/physical.h"
#include "core/zone.h"
#include "kernels/kernels.h"

struct assign {
    struct op op;
    struct window_spec window;
    const struct zone *zone; /* bounds are local times */
    bool nanos;
    struct mill_schema input;
    /* the batch being expanded, and how far: row i of its live rows, window w of that row */
    struct batch *pending;
    uint32_t next_row;
    int64_t next_start;
    bool started; /* next_start belongs to next_row */
    bool keyed;   /* copies of a row get keys that tell them apart, as core/ops/emit.h makes them */
    uint32_t copy; /* of next_row */
    uint32_t copies[BATCH_ROWS_MAX];
    /* of its live rows: local time, and greatest window start up to it; any where the time is NULL */
    int64_t times[BATCH_ROWS_MAX], starts[BATCH_ROWS_MAX];
};

/* The windows of a time are numbered by a cursor: HOP and TUMBLE by start, CUMULATE by end. */
static int64_t first_cursor(const struct window_spec *w, int64_t time, int64_t start)
{
    if (w->kind == WINDOW_CUMULATE)
        return start + (floor_div(time - start, w->slide) + 1) * w->slide;
    if (w->size == w->slide)
        return start;
    return start - floor_div(w->size - 1 - (time - start), w->slide) * w->slide;
}

static bool cursor_valid(const struct window_spec *w, int64_t time, int64_t start, int64_t cursor)
{
    return w->kind == WINDOW_CUMULATE ? cursor <= start + w->size : cursor <= time;
}

static void cursor_bounds(const struct window_spec *w, int64_t greatest, int64_t cursor,
                          int64_t *start, int64_t *end)
{
    *start = w->kind == WINDOW_CUMULATE ? greatest : cursor;
    *end = w->kind == WINDOW_CUMULATE ? cursor : time_add(cursor, w->size);
}

static const struct column *time_column(const struct assign *a, const struct batch *in)
{
    return a->window.time < 0 ? NULL : &in->columns[a->window.time];
}

/* times[] and starts[] of the pending batch. */
static void take_times(struct assign *a, const struct step_time *t)
{
    const struct window_spec *w = &a->window;
    const struct mk_grid grid = {.offset = w->offset,
                                 .width = w->kind == WINDOW_CUMULATE ? w->size : w->slide};
    const struct batch *in = a->pending;
    const struct column *c = time_column(a, in);
    const int64_t *values = c != NULL ? c->values : NULL;

    for (uint32_t i = 0; i < in->live; i++)
        a->times[i] = c == NULL ? t->clock_us : values[c->constant ? 0 : batch_row(in, i)];
    for (uint32_t i = 0; a->zone != NULL && i < in->live; i++)
        a->times[i] = zone_local(a->zone, a->times[i], a->nanos);
    a->op.context->kernels->slice_starts(&grid, a->times, in->live, a->starts);
}

/* Fills rows[] and the bounds of up to capacity copies; moves the pending place on. */
static uint32_t collect(struct assign *a, uint16_t *rows, int64_t *starts, int64_t *ends,
                        uint32_t capacity)
{
    const struct batch *in = a->pending;
    const struct column *c = time_column(a, in);
    uint32_t n = 0;

    for (; a->next_row < in->live; a->next_row++, a->started = false) {
        const uint32_t row = batch_row(in, a->next_row);
        const int64_t time = a->times[a->next_row], start = a->starts[a->next_row];

        if (c != NULL && !column_valid(c, row)) {
            a->op.counters.filtered++;
            a->op.counters.null_time++;
            continue;
        }
        if (!a->started) {
            a->next_start = first_cursor(&a->window, time, start);
            a->started = true;
            a->copy = 0;
        }
        while (cursor_valid(&a->window, time, start, a->next_start)) {
            if (n == capacity)
                return n;
            rows[n] = (uint16_t)row;
            a->copies[n] = a->copy++;
            cursor_bounds(&a->window, start, a->next_start, &starts[n], &ends[n]);
            n++;
            a->next_start = time_add(a->next_start, a->window.slide);
        }
        a->op.counters.consumed++;
    }
    return n;
}

static bool add_bounds(struct assign *a, struct batch *out, const int64_t *starts,
                       const int64_t *ends, uint32_t n)
{
    const struct mill_type wall = type_wall(&a->window.time_type);
    struct column *c = &out->columns[a->input.field_count];

    for (uint32_t k = 0; k < 3; k++) {
        int64_t *values;

        if (!column_own(out, &c[k], k < 2 ? &wall : &a->window.time_type))
            return false;
        values = c[k].values;
        for (uint32_t i = 0; i < n; i++)
            values[i] = k == 0   ? starts[i]
                        : k == 1 ? ends[i]
                                 : zone_reached(a->zone, ends[i], a->nanos) - a->window.unit;
    }
    return true;
}

static uint32_t put_u32(char *to, uint32_t value)
{
    const uint32_t be = __builtin_bswap32(value);

    memcpy(to, &be, 4);
    return 4;
}

static bool add_keys(struct assign *a, struct batch *out, const uint16_t *rows, uint32_t count)
{
    const struct batch *in = a->pending;

    out->order_keys = arena_alloc(&out->bytes, out->capacity * sizeof *out->order_keys);
    for (uint32_t i = 0; out->order_keys != NULL && i < count; i++) {
        const struct mill_view *of = in->order_keys != NULL ? &in->order_keys[rows[i]] : NULL;
        const uint32_t length = of != NULL ? of->length : 0;
        char *key = arena_alloc(&out->bytes, length + 10u);
        uint32_t n = 0;

        if (key == NULL)
            return false;
        if (in->class_ != CLASS_ROWS) {
            key[n++] = 0;
            key[n++] = 0;
        }
        n += put_u32(key + n, in->origin);
        if (length > 0)
            memcpy(key + n, mill_view_data(of), length);
        n += length;
        n += put_u32(key + n, a->copies[i]);
        out->order_keys[i] = view_of(key, n);
    }
    return out->order_keys != NULL;
}

static enum op_progress assign_go_on(struct op *op, const struct step_time *t)
{
    struct assign *a = (struct assign *)op;
    uint16_t rows[BATCH_ROWS_MAX];
    int64_t starts[BATCH_ROWS_MAX], ends[BATCH_ROWS_MAX];

    if (a->pending != NULL && op_stopping(op)) {
        op->counters.consumed += a->pending->live - a->next_row;
        batch_release(a->pending);
        a->pending = NULL;
    }
    while (a->pending != NULL) {
        const uint32_t n = collect(a, rows, starts, ends, op->context->batch_rows);
        struct batch *out;
        enum op_progress p;

        if (n == 0) {
            batch_release(a->pending);
            a->pending = NULL;
            break;
        }
        out = op->context->take_batch(op->context, a->input.field_count + 3);
        if (out == NULL || !batch_own_columns(out, &a->input) ||
            batch_append(out, a->pending, rows, n, &a->input) != (int)n ||
            !add_bounds(a, out, starts, ends, n) || (a->keyed && !add_keys(a, out, rows, n))) {
            mill_fail(op->context->error, MILL_E_MEMORY, 0, 0, "no memory to assign windows");
            batch_release(out);
            return OP_FAILED;
        }
        out->step = a->pending->step;
        out->split = a->pending->split;
        out->class_ = a->pending->class_;
        out->origin = a->keyed && out->class_ != CLASS_ROWS ? op->id : a->pending->origin;
        p = op_emit(op, out, t);
        if (p != OP_READY)
            return p;
    }
    return OP_READY;
}

static enum op_progress assign_push(struct op *op, uint32_t port, struct batch *batch,
                                    const struct step_time *t)
{
    struct assign *a = (struct assign *)op;

    (void)port;
    CHECK(a->pending == NULL);
    op->counters.in += batch->live;
    a->pending = batch;
    a->next_row = 0;
    a->started = false;
    take_times(a, t);
    return assign_go_on(op, t);
}

static void assign_close(struct op *op)
{
    struct assign *a = (struct assign *)op;

    batch_release(a->pending);
    heap_free(op->heap, a, sizeof *a);
}

static const struct op_vtable assign_vtable = {.name = "assign",
                                               .push = assign_push,
                                               .resume = assign_go_on,
                                               .close = assign_close};

struct op *op_assign_new(struct op_context *context, const struct phys_node *node)
{
    struct assign *a = heap_zalloc(context->heap, sizeof *a);

    if (a == NULL) {
        mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for a window function");
        return NULL;
    }
    a->op = (struct op){.vtable = &assign_vtable,
                        .context = context,
                        .heap = context->heap,
                        .id = node->id};
    a->window = node->aggregate.window;
    a->zone = a->window.local_zone ? context->zone : NULL;
    a->nanos = type_is_nanos(&a->window.time_type);
    a->keyed = node->keys_rows && context->shard_count > 1;
    a->input = node->inputs[0]->schema;
    return &a->op;
}
