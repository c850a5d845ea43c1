/* core/shard/front.c - decoding a shard's own step and running it through stage 0.
 *
 * The source operator turns decoded columns into the table's (computed columns), takes the watermark of every row
 * before any filter, and notes g where a row may be behind (protocol: rows with time <= g + u carry g).
 */
#include "core/ops/join.h"
#include "core/shard/job.h"
#include "kernels/kernels.h"

#define FAR_FUTURE_US 300000000ll /* 5 minutes */

struct source_op {
    struct op op;
    struct shard *shard;
    const struct phys_node *node;
    struct program *computed, *watermark;
    uint32_t *computed_at; /* output column of each computed expression */
    uint32_t computed_count;
    int64_t
        slack; /* rows up to so far ahead of g carry it: u, or more where an operator asks for W further on */
    bool nanos;
};

static bool source_compute(struct source_op *s, struct batch *batch)
{
    const uint32_t count = s->node->schema.field_count;
    struct op_context *context = s->op.context;
    struct column *all, *out;
    uint32_t next = 0;

    if (s->computed_count == 0)
        return true;
    all = arena_array(&batch->bytes, struct column, count);
    out = arena_array(&batch->bytes, struct column, s->computed_count);
    if (all == NULL || out == NULL) {
        mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for computed columns");
        return false;
    }
    for (uint32_t i = 0, k = 0; i < count; i++) {
        if (k < s->computed_count && s->computed_at[k] == i)
            k++;
        else
            all[i] = batch->columns[next++];
    }
    /* Computed columns see the table's columns as they stand, themselves still empty. */
    batch->columns = all;
    batch->column_count = (uint16_t)count;
    if (program_run(s->computed, batch, out, &context->eval, context->error) != MILL_OK)
        return false;
    for (uint32_t k = 0; k < s->computed_count; k++)
        all[s->computed_at[k]] = out[k];
    return true;
}

/* "+I", "-U", "+U", "-D" as a number; -1: none of them. */
static int8_t kind_of(const struct mill_view *view)
{
    static const char kinds[] = "+I-U+U-D";
    const char *text = mill_view_data(view);

    for (int8_t k = 0; view->length == 2 && k < 4; k++)
        if (memcmp(kinds + 2 * k, text, 2) == 0)
            return k;
    return -1;
}

/* The first column becomes the kinds of the rows. */
static bool source_kinds(struct source_op *s, struct batch *batch)
{
    static const char reason[] = "the 'changelog.column' is none of +I, -U, +U and -D";
    struct op_context *context = s->op.context;
    const struct column *column = &batch->columns[0];
    const struct mill_view *views = column->values;
    uint16_t kept[BATCH_ROWS_MAX];
    uint32_t n = 0;

    if (!batch_own_kinds(batch)) {
        mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for the kinds of rows");
        return false;
    }
    for (uint32_t i = 0; i < batch->live; i++) {
        const uint32_t row = batch_row(batch, i);
        const int8_t kind =
            column_valid(column, row) ? kind_of(&views[column->constant ? 0 : row]) : (int8_t)-1;

        if (kind >= 0) {
            batch->row_kinds[row] = kind;
            kept[n++] = (uint16_t)row;
            continue;
        }
        if (context->eval.bad_row == NULL ||
            context->eval.bad_row(context->eval.bad_user, batch, row, reason, NULL,
                                  context->error) != 0) {
            mill_fail(context->error, MILL_E_DATA, 0, 0,
                      "table %s, row %u of step %llu: %s; "
                      "set 'on-error' = 'skip' or 'dead-letter' to go on without such rows",
                      s->node->source.table, batch_place(batch, row),
                      (unsigned long long)batch->step, reason);
            return false;
        }
    }
    if (n < batch->live) {
        memcpy(batch->selection_store, kept, n * sizeof *kept);
        batch->selection = batch->selection_store;
        batch->live = n;
    }
    batch->columns++;
    batch->column_count--;
    return true;
}

/* So far from the ends of int64 that windows of up to WINDOW_NANOS_MAX have bounds. */
#define TIME_LEAST (-9200000000000000000)
#define TIME_MOST 9200000000000000000

static bool time_is_good(const struct column *time, uint32_t row)
{
    const int64_t v = ((const int64_t *)time->values)[time->constant ? 0 : row];

    return column_valid(time, row) && v >= TIME_LEAST && v <= TIME_MOST;
}

/* A NULL in the WATERMARK column is a bad row, and so is a time whose windows would have no end. */
static bool drop_bad_times(struct source_op *s, struct batch *batch, const struct column *time)
{
    static const char is_null[] = "the event time (WATERMARK column) is NULL";
    static const char at_edge[] =
        "the event time lies within 270 days of the ends of TIMESTAMP(9) in 1677 and 2262: its "
        "windows would have no bounds";
    struct op_context *context = s->op.context;
    uint16_t kept[BATCH_ROWS_MAX];
    uint32_t n = 0;

    for (uint32_t i = 0; i < batch->live; i++) {
        const uint32_t row = batch_row(batch, i);

        if (time_is_good(time, row)) {
            kept[n++] = (uint16_t)row;
            continue;
        }
        if (context->eval.bad_row == NULL ||
            context->eval.bad_row(context->eval.bad_user, batch, row,
                                  column_valid(time, row) ? at_edge : is_null,
                                  s->node->source.watermark.expression, context->error) != 0) {
            mill_fail(context->error, MILL_E_DATA, 0, 0,
                      "table %s, row %u of step %llu: %s; "
                      "set 'on-error' = 'skip' or 'dead-letter' to go on without such rows",
                      s->node->source.table, batch_place(batch, row),
                      (unsigned long long)batch->step, column_valid(time, row) ? at_edge : is_null);
            return false;
        }
        s->op.counters.dead++;
    }
    memcpy(batch->selection_store, kept, n * sizeof *kept);
    batch->selection = batch->selection_store;
    batch->live = n;
    return true;
}

/* take_watermarks() for a batch without a selection, some of whose rows may be behind. */
static bool take_running(struct source_op *s, struct batch *batch, const int64_t *marks,
                         int64_t mark_delay, const int64_t *times, int64_t *g_step)
{
    int64_t *before = arena_alloc(&batch->bytes, batch->capacity * sizeof *before);
    const int64_t g = *g_step;
    uint32_t row = 0;

    if (before == NULL)
        return false;
    /* max(g, mark - delay) = max(g + delay, mark) - delay, unless g says nothing or lies at the end */
    const int64_t least = time_add(g, mark_delay);
    const bool moved = least != TIME_MIN && least != TIME_MAX;

    *g_step = s->op.context->kernels->running_max_i64(marks, batch->rows, moved ? least : TIME_MIN,
                                                      before);
    for (uint32_t i = 0; moved && mark_delay != 0 && i < batch->rows; i++)
        before[i] -= mark_delay;
    for (uint32_t i = 0; !moved && i < batch->rows; i++)
        before[i] = max_i64(g, time_add(before[i], -mark_delay));
    *g_step = moved ? *g_step - mark_delay : max_i64(g, time_add(*g_step, -mark_delay));
    while (row < batch->rows && times[row] > time_add(before[row], s->slack))
        row++;
    if (row == batch->rows)
        return true;
    for (uint32_t k = 0; k < row; k++)
        before[k] = TIME_MIN;
    batch->behind = before;
    return true;
}

/* g before each row, from running maxima of the watermark values of the live rows. */
static bool take_watermarks(struct source_op *s, struct batch *batch, const int64_t *marks,
                            int64_t mark_delay, const int64_t *times, int64_t *g_step)
{
    int64_t g = *g_step;
    bool behind = false;

    if (batch->selection == NULL && batch->rows > 0) {
        const struct mk_table *kernels = s->op.context->kernels;
        int64_t least, most, other;

        if (batch->bounded == times) {
            least = batch->least;
            most = batch->greatest;
        } else {
            kernels->bounds_i64(times, batch->rows, &least, &most);
        }
        batch->bounded = times;
        batch->least = least;
        batch->greatest = most;
        if (marks != times)
            kernels->bounds_i64(marks, batch->rows, &other, &most);
        /* No row can be behind: even the least time is ahead of everything the step has shown. */
        if (least > time_add(max_i64(g, time_add(most, -mark_delay)), s->slack)) {
            *g_step = max_i64(g, time_add(most, -mark_delay));
            return true;
        }
        return take_running(s, batch, marks, mark_delay, times, g_step);
    }
    for (uint32_t i = 0; i < batch->live; i++) {
        const uint32_t row = batch_row(batch, i);

        if (!behind && times[row] <= time_add(g, s->slack)) {
            batch->behind = arena_alloc(&batch->bytes, batch->capacity * sizeof(int64_t));
            if (batch->behind == NULL)
                return false;
            for (uint32_t k = 0; k < batch->rows; k++)
                batch->behind[k] = TIME_MIN;
            behind = true;
        }
        if (behind)
            batch->behind[row] = g;
        g = max_i64(g, time_add(marks[row], -mark_delay));
    }
    *g_step = g;
    return true;
}

static bool times_are_good(struct source_op *s, struct batch *batch, const struct column *time)
{
    if (time->validity != NULL || (time->constant && s->nanos) || batch->rows == 0)
        return batch->rows == 0;
    if (!s->nanos)
        return true;
    s->op.context->kernels->bounds_i64(time->values, batch->rows, &batch->least, &batch->greatest);
    batch->bounded = time->values;
    return batch->least >= TIME_LEAST && batch->greatest <= TIME_MOST;
}

static const int64_t *flat_times(struct batch *batch, const struct column *c)
{
    int64_t *flat;

    if (!c->constant)
        return c->values;
    flat = arena_alloc(&batch->bytes, batch->capacity * sizeof *flat);
    for (uint32_t i = 0; flat != NULL && i < batch->rows; i++)
        flat[i] = ((const int64_t *)c->values)[0];
    return flat;
}

/* Live input: a row more than FAR_FUTURE_US ahead of the step's clock is a wrong clock or a wrong unit somewhere. It is
 * kept and counted, but does not move the watermark: else every row behind it would be late. Gives @marks, or a copy
 * in which those rows say nothing; NULL without memory. */
static const int64_t *believable(struct source_op *s, struct batch *batch, const int64_t *marks,
                                 int64_t delay)
{
    const struct step_entry *entry = s->shard->front.entry;
    const int64_t scale = s->nanos ? 1000 : 1;
    const int64_t limit = time_add(entry->clock_us * scale, FAR_FUTURE_US * scale + delay);
    int64_t *kept;

    if (!s->shard->job->sources[entry->source].source->vtable->live || batch->rows == 0)
        return marks;
    if (batch->bounded != marks) {
        s->op.context->kernels->bounds_i64(marks, batch->rows, &batch->least, &batch->greatest);
        batch->bounded = marks;
    }
    if (batch->greatest <= limit)
        return marks;
    kept = arena_alloc(&batch->bytes, batch->capacity * sizeof *kept);
    for (uint32_t row = 0; kept != NULL && row < batch->rows; row++)
        kept[row] = marks[row] > limit ? TIME_MIN : marks[row];
    for (uint32_t i = 0; kept != NULL && i < batch->live; i++)
        s->op.counters.far_future += kept[batch_row(batch, i)] != marks[batch_row(batch, i)];
    return kept;
}

static bool source_watermark(struct source_op *s, struct batch *batch)
{
    const struct watermark_spec *w = &s->node->source.watermark;
    struct op_context *context = s->op.context;
    struct column *time, mark;
    const int64_t *times, *marks;
    int64_t delay = w->delay;

    if (s->node->kind != NODE_SOURCE || w->column < 0)
        return true;
    time = &batch->columns[w->column];
    if (!times_are_good(s, batch, time) && !drop_bad_times(s, batch, time))
        return false;
    mark = *time;
    if (w->delay < 0) {
        delay = 0;
        if (program_run(s->watermark, batch, &mark, &context->eval, context->error) != MILL_OK)
            return false;
        if (mark.validity != NULL && !drop_bad_times(s, batch, &mark))
            return false;
    }
    times = flat_times(batch, time);
    marks = w->delay < 0 ? flat_times(batch, &mark) : times;
    marks = marks != NULL ? believable(s, batch, marks, delay) : NULL;
    if (times == NULL || marks == NULL ||
        !take_watermarks(s, batch, marks, delay, times, &s->shard->front.g)) {
        mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for watermarks");
        return false;
    }
    return true;
}

static enum op_progress source_push(struct op *op, uint32_t port, struct batch *batch,
                                    const struct step_time *t)
{
    struct source_op *s = (struct source_op *)op;

    (void)port;
    op->counters.in += batch->live;
    if ((s->node->kind == NODE_SOURCE && s->node->source.kinds_column && !source_kinds(s, batch)) ||
        !source_compute(s, batch)) {
        batch_release(batch);
        return OP_FAILED;
    }
    op->counters.dead += batch->rows - batch->live; /* fresh batches begin with all rows live */
    if (batch->live > 0 && !source_watermark(s, batch)) {
        batch_release(batch);
        return OP_FAILED;
    }
    return op_emit(op, batch, t);
}

static void source_close(struct op *op)
{
    struct source_op *s = (struct source_op *)op;
    struct heap *heap = op->heap;

    program_free(s->computed);
    program_free(s->watermark);
    heap_free(heap, s->computed_at, (s->node->schema.field_count + 1) * sizeof(uint32_t));
    heap_free(heap, s, sizeof *s);
}

static const struct op_vtable source_op_vtable = {.name = "source",
                                                  .push = source_push,
                                                  .close = source_close};

/* An interval that does not reach to a row's own time lets the row go before the watermark has come to that time. */
static int64_t source_slack(const struct source_op *s)
{
    const struct phys_plan *plan = s->shard->job->plan;
    const struct mill_type *time = &s->node->schema.fields[s->node->source.watermark.column].type;
    int64_t most = 0;

    for (uint32_t i = 0; i < plan->node_count; i++) {
        const struct phys_node *node = plan->nodes[i];

        if (node->kind == NODE_INTERVAL_JOIN && (node->sources & s->node->sources) != 0 &&
            type_is_nanos(&node->join->time_type) == type_is_nanos(time))
            most = max_i64(most, max_i64(node->join->lower, -node->join->upper));
    }
    return time_add(type_time_unit(time), most);
}

static bool source_compile(struct source_op *s)
{
    const struct source_node *config = &s->node->source;
    struct op_context *context = s->op.context;
    struct expr *computed[COLUMNS_MAX];

    for (uint32_t i = 0; config->computed != NULL && i < s->node->schema.field_count; i++)
        if (config->computed[i] != NULL && s->computed_count < COUNT_OF(computed)) {
            s->computed_at[s->computed_count] = i;
            computed[s->computed_count++] = config->computed[i];
        }
    if (s->computed_count > 0) {
        s->computed = program_new(context->heap, context->kernels, computed, s->computed_count,
                                  &s->node->schema, context->error);
        if (s->computed == NULL)
            return false;
    }
    if (config->watermark.column >= 0) {
        s->slack = source_slack(s);
        s->nanos = type_is_nanos(&s->node->schema.fields[config->watermark.column].type);
        if (config->watermark.delay < 0) {
            struct expr *mark = config->watermark.expression;

            s->watermark = program_new(context->heap, context->kernels, &mark, 1, &s->node->schema,
                                       context->error);
            if (s->watermark == NULL)
                return false;
        }
    }
    return true;
}

struct op *op_source_new(struct shard *shard, const struct phys_node *node)
{
    struct op_context *context = &shard->context;
    struct source_op *s = heap_zalloc(context->heap, sizeof *s);

    if (s == NULL) {
        mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for a source");
        return NULL;
    }
    s->op = (struct op){.vtable = &source_op_vtable,
                        .context = context,
                        .heap = context->heap,
                        .id = node->id};
    s->shard = shard;
    s->node = node;
    s->computed_at = heap_alloc(context->heap, (node->schema.field_count + 1) * sizeof(uint32_t));
    if (s->computed_at == NULL || (node->kind == NODE_SOURCE && !source_compile(s))) {
        source_close(&s->op);
        return NULL;
    }
    return &s->op;
}

/* ---- the front's turn ---- */

static bool front_decoder(struct shard *shard)
{
    struct front *front = &shard->front;
    const uint32_t i = front->entry->source;
    struct source *source = shard->job->sources[i].source;

    if (shard->decoders[i] == NULL) {
        shard->decoders[i] =
            source->vtable->decoder_new(source, &shard->accounts[shard->job->sources[i].node->id]);
        if (shard->decoders[i] != NULL && shard->job->sources[i].node->kind == NODE_SOURCE &&
            !early_open(shard, shard->job->sources[i].node, &shard->decoders[i]->filter))
            return false;
    }
    front->decoder = shard->decoders[i];
    if (front->decoder == NULL) {
        mill_fail(&shard->error, MILL_E_MEMORY, 0, 0, "no memory for a decoder");
        return false;
    }
    front->decoder->vtable->begin(front->decoder, &front->entry->piece);
    return true;
}

static uint32_t decoded_columns(const struct phys_node *node)
{
    return node->kind == NODE_VALUES ? node->schema.field_count : node->source.decoded.field_count;
}

/* One batch through the front. */
static void front_decode(struct shard *shard)
{
    struct front *front = &shard->front;
    struct stage *stage = &shard->stages[0];
    const struct source_run *run = &shard->job->sources[front->entry->source];
    struct batch *batch = shard_take_batch(&shard->context, decoded_columns(run->node));
    struct op *op = shard->ops[run->node->id];
    uint32_t outer;
    int more;

    if (batch == NULL) {
        shard_fail(shard);
        return;
    }
    outer = profile_enter(shard->profile, PART_EDGE, run->node->id);
    more = front->decoder->vtable->decode(front->decoder, batch, &shard->error);
    if (more < 0 || shard->error.code != MILL_OK) {
        batch_release(batch);
        shard->asked = run->node;
        shard_fail(shard);
        return;
    }
    batch->step = front->entry->step;
    batch->split = front->entry->split;
    batch->class_ = CLASS_ROWS;
    batch->place_base = front->pushing_at = front->rows;
    batch->live = batch->selection == NULL ? batch->rows : batch->live;
    front->rows += batch->rows;
    shard->rows_in += batch->live;
    front->decoding = more != 0;
    switch (op->vtable->push(op, 0, batch, stage_time(stage, 0))) {
    case OP_FAILED: shard_fail(shard); break;
    case OP_BUSY: stage->blocked = true; break;
    default: break;
    }
    profile_leave(shard->profile, outer);
}

/* Before the end: what the step's rows were. */
static void front_rows_ended(struct shard *shard)
{
    struct front *front = &shard->front;

    front->ending = true;
    if (front->entry->split != NO_SPLIT && (front->entry->flags & STEP_EMPTY) == 0)
        front->g = max_i64(front->g, front->entry->piece.watermark);
    front->entry->wm_max = front->g;
    front->entry->rows = front->rows;
    stage_set_after(shard, &shard->stages[0], front->entry);
}

/* The end of the step in stage 0: unions, partial aggregates, exchanges flush in order. */
static void front_end(struct shard *shard)
{
    struct front *front = &shard->front;
    struct stage *stage = &shard->stages[0];

    while (front->end_op < 2 * stage->op_count) {
        const enum op_progress p = stage_end_op(stage, front->end_op++);

        if (p == OP_FAILED) {
            shard_fail(shard);
            return;
        }
        if (p == OP_BUSY) {
            stage->blocked = true;
            return;
        }
    }
    front->active = false;
    /* R3, with A3 in known_advance() and stage_turn(): rows, watermark and rings are complete */
    at_store_release(&front->entry->decoded, 1);
    if (shard->job->shard_count == 1)
        stage_finish(shard, stage, front->entry);
}

static void front_begin(struct shard *shard)
{
    struct front *front = &shard->front;

    front->begun = true;
    if (!stage_begin(shard, &shard->stages[0], front->entry) ||
        (front->decoding && !front_decoder(shard)))
        shard_fail(shard);
}

/* One batch at most; a step of one batch begins and ends in the same turn. */
uint32_t front_turn(struct shard *shard)
{
    struct front *front = &shard->front;
    struct stage *stage = &shard->stages[0];
    const uint64_t worked = shard->context.work;

    if (!front->active)
        return 0;
    shard->context.eval.clock_ns = front->entry->clock_us * 1000;
    shard->context.eval.step = front->entry->step;
    if (stage->blocked) {
        switch (stage_resume(shard, stage)) {
        case OP_FAILED: shard_fail(shard); return 1;
        case OP_BUSY: front_reached(shard); return shard->context.work != worked;
        default: stage->blocked = false;
        }
    }
    if (!front->begun)
        front_begin(shard);
    if (front->decoding && shard->error.code == MILL_OK)
        front_decode(shard);
    if (front->decoding || stage->blocked || shard->error.code != MILL_OK)
        return 1;
    if (!front->ending)
        front_rows_ended(shard);
    front_end(shard);
    return 1;
}
