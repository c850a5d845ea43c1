/* core/shard/sink.c - the operator at the end: a connector's sink, or the caller's callback. */
#include "core/shard/job.h"

struct sink_op {
    struct op op;
    struct shard *shard;
    const struct phys_node *node;
    struct sink *sink; /* NULL: results go to the job's on_batch, or this shard writes nothing */
    bool ours;         /* this shard writes */
    bool finished;
};

/* A sink with a key needs no rows that are gone for newer ones. */
static void leave_out_old(struct sink_op *s, struct batch *batch)
{
    uint32_t n = 0;

    if (batch->row_kinds == NULL)
        return;
    for (uint32_t i = 0; i < batch->live; i++) {
        const uint32_t row = batch_row(batch, i);

        batch->selection_store[n] = (uint16_t)row;
        n += batch->row_kinds[row] != ROW_UPDATE_BEFORE;
    }
    s->op.counters.filtered += batch->live - n;
    batch->selection = batch->selection_store;
    batch->live = n;
}

/* The kinds as a first column of texts. */
static bool put_kinds(struct sink_op *s, struct batch *batch)
{
    static const char *const texts[] = {"+I", "-U", "+U", "-D"};
    const uint32_t n = batch->column_count;
    struct column *columns = arena_array(&batch->bytes, struct column, n + 1u);
    struct mill_view *views;

    (void)s;
    if (columns == NULL)
        return false;
    memcpy(columns + 1, batch->columns, n * sizeof *columns);
    views = arena_alloc(&batch->bytes, max_u32(batch->rows, 1) * sizeof *views);
    if (views == NULL)
        return false;
    for (uint32_t i = 0; i < batch->rows; i++)
        views[i] = view_of(texts[batch_kind(batch, i) & 3], 2);
    columns[0] = (struct column){.values = views};
    batch->columns = columns;
    batch->column_count = (uint16_t)(n + 1);
    return true;
}

static enum op_progress sink_push(struct op *op, uint32_t port, struct batch *batch,
                                  const struct step_time *t)
{
    struct sink_op *s = (struct sink_op *)op;
    struct job *job = s->shard->job;
    int code = MILL_OK;

    (void)port;
    (void)t;
    CHECK(s->ours);
    if (op_stopping(op)) { /* what comes now may lack rows that were not fired any more */
        batch_release(batch);
        return OP_READY;
    }
    op->counters.in += batch->live;
    if (s->node->sink.upserts)
        leave_out_old(s, batch);
    if (s->node->sink.kinds_column && !put_kinds(s, batch)) {
        batch_release(batch);
        return op_no_memory(op, NULL);
    }
    if (s->sink != NULL)
        code = s->sink->vtable->write(s->sink, batch, op->context->error);
    else if (job->on_batch != NULL)
        code = job->on_batch(job->on_batch_user, batch, s->node);
    if (s->sink == NULL && code == ON_BATCH_NO_MEMORY)
        code =
            mill_fail(op->context->error, MILL_E_MEMORY, 0, 0, "no memory for a batch of results");
    else if (s->sink == NULL && code != MILL_OK)
        code = mill_fail(op->context->error, MILL_E_INTERRUPTED, 0, 0,
                         "the receiver of the results asked to stop");
    if (code == MILL_OK)
        op->counters.out += batch->live;
    batch_release(batch);
    return code == MILL_OK ? OP_READY : OP_FAILED;
}

/* In microseconds, whatever the unit of the times upstream. */
static int64_t sink_watermark(const struct sink_op *s, int64_t watermark)
{
    const struct job *job = s->shard->job;
    bool nanos = false;

    for (uint32_t i = 0; i < job->source_count; i++)
        nanos = nanos || ((s->node->sources >> i & 1) != 0 && job->sources[i].nanos);
    return !nanos || watermark == TIME_MIN || watermark == TIME_MAX ? watermark
                                                                    : floor_div(watermark, 1000);
}

static enum op_progress sink_end(struct op *op, const struct step_time *t)
{
    struct sink_op *s = (struct sink_op *)op;

    struct mill_error *error = op->context->error;
    int code = MILL_OK;

    if (s->sink == NULL)
        return OP_READY;
    if (s->sink->vtable->commit != NULL)
        code = s->sink->vtable->commit(s->sink, t->step, error);
    if (code == MILL_OK && s->sink->vtable->commit_at != NULL)
        code = s->sink->vtable->commit_at(s->sink, t->step, t->clock_us,
                                          sink_watermark(s, t->w_after), error);
    return code == MILL_OK ? OP_READY : OP_FAILED;
}

int op_sink_finish(struct op *op, bool abort, struct mill_error *error)
{
    struct sink_op *s = (struct sink_op *)op;
    int code = MILL_OK;

    if (s->sink == NULL || s->finished)
        return MILL_OK;
    s->finished = true;
    if (!abort)
        code = s->sink->vtable->finish(s->sink, error);
    if ((abort || code != MILL_OK) && s->sink->vtable->abort != NULL)
        s->sink->vtable->abort(s->sink);
    return code;
}

static void sink_close(struct op *op)
{
    struct sink_op *s = (struct sink_op *)op;

    if (s->sink != NULL) {
        if (!s->finished && s->sink->vtable->abort != NULL)
            s->sink->vtable->abort(s->sink);
        s->sink->vtable->close(s->sink);
    }
    heap_free(op->heap, s, sizeof *s);
}

static const struct op_vtable sink_op_vtable = {.name = "sink",
                                                .push = sink_push,
                                                .end_step = sink_end,
                                                .close = sink_close};

struct op *op_sink_new(struct shard *shard, const struct phys_node *node)
{
    struct job *job = shard->job;
    struct sink_op *s = heap_zalloc(shard->context.heap, sizeof *s);
    const struct sink_config config = {.env = job->env,
                                       .heap = shard->context.heap,
                                       .options = node->sink.options,
                                       .schema = &node->sink.written,
                                       .updating = node->updating,
                                       .partition_by = node->sink.partition_by,
                                       .partition_count = node->sink.partition_count,
                                       .zone = job->plan->zone};

    if (s == NULL) {
        mill_fail(&shard->error, MILL_E_MEMORY, 0, 0, "no memory for a sink");
        return NULL;
    }
    s->op = (struct op){.vtable = &sink_op_vtable,
                        .context = &shard->context,
                        .heap = shard->context.heap,
                        .id = node->id};
    s->shard = shard;
    s->node = node;
    s->ours = node->sink.index % job->shard_count == shard->index;
    if (s->ours && node->sink.vtable != NULL &&
        node->sink.vtable->open(&config, &s->sink, &shard->error) != MILL_OK) {
        s->sink = NULL;
        sink_close(&s->op);
        return NULL;
    }
    return &s->op;
}
