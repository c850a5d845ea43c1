/* core/shard/shard.c - a shard's life: open, turn, idle, close. */
#include "core/shard/job.h"

#define DRAIN_TURNS_MAX 16u /* batches taken per stage and turn */
#define SPIN_TURNS 64u
#define YIELD_TURNS 256u
#define PARK_NS 200000

/* ---- errors ---- */

void shard_fail(struct shard *shard)
{
    struct job *job = shard->job;

    if (shard->error.code == MILL_OK)
        mill_fail(&shard->error, MILL_E_INTERNAL, 0, 0, "an operator failed without a reason");
    if (shard->error.code == MILL_E_MEMORY)
        shard_explain_memory(shard);
    if (at_exchange_acquire(&job->error_taken, 1) == 0)
        job->error = shard->error;
    /* R6, with A6 in shard_turn(): the error is written */
    at_store_release(&job->failed, 1);
}

struct batch *shard_take_batch(struct op_context *context, uint32_t columns)
{
    struct shard *shard = (struct shard *)((char *)context - offsetof(struct shard, context));
    struct batch *batch = pool_take(shard->local);

    if (batch == NULL) {
        mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for a batch");
        return NULL;
    }
    batch_reset(batch, columns);
    if (columns > 0 && batch->columns == NULL) {
        batch_release(batch);
        mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for a batch");
        return NULL;
    }
    return batch;
}

/* Rows that cannot be computed go where undecodable ones go. The operator counts them as dead. */
static int shard_bad_row(void *user, const struct batch *batch, uint32_t row, const char *reason,
                         const struct expr *where, struct mill_error *error)
{
    struct shard *shard = user;
    struct job *job = shard->job;
    struct source_run *run = &job->sources[job->splits[batch->split].source];
    const struct bad_row report = {.step = batch->step,
                                   .place = batch_place(batch, row),
                                   .source = "",
                                   .reason = reason,
                                   .sql_line = where != NULL ? where->line : 0,
                                   .sql_column = where != NULL ? where->column : 0,
                                   .computed = true};

    return run->bad.rows.report(&run->bad.rows, &report, error);
}

/* ---- operators ---- */

static struct op *make_op(struct shard *shard, const struct phys_node *node)
{
    struct op_context *context = &shard->context;

    switch (node->kind) {
    case NODE_SOURCE:
    case NODE_VALUES: return op_source_new(shard, node);
    case NODE_CALC: return op_calc_new(context, node);
    case NODE_ASSIGN: return op_assign_new(context, node);
    case NODE_PREAGG: return op_preagg_new(context, node);
    case NODE_WINDOW: return op_window_new(context, node);
    case NODE_SESSION: return op_session_new(context, node);
    case NODE_COUNT_WINDOW: return op_count_window_new(context, node);
    case NODE_GROUP: return op_group_new(context, node);
    case NODE_EXPAND: return op_expand_new(context, node);
    case NODE_UNNEST: return op_unnest_new(context, node);
    case NODE_CHANGES: return op_changes_new(context, node);
    case NODE_WINDOW_CHANGES: return op_window_changes_new(context, node);
    case NODE_RANK: return op_rank_new(context, node);
    case NODE_OVER: return op_over_new(context, node);
    case NODE_SET_OPERATION: return op_set_operation_new(context, node);
    case NODE_OVER_VIEW: return op_over_view_new(context, node);
    case NODE_SORT: return op_sort_new(context, node);
    case NODE_LIMIT: return op_limit_new(context, node);
    case NODE_MATCH: return op_match_new(context, node);
    case NODE_VIEW:
    case NODE_UNION: return op_union_new(context, node);
    case NODE_JOIN: return op_join_new(context, node);
    case NODE_INTERVAL_JOIN: return op_interval_join_new(context, node);
    case NODE_WINDOW_JOIN: return op_window_join_new(context, node);
    case NODE_LOOKUP_JOIN: return op_lookup_join_new(context, node);
    case NODE_TEMPORAL_JOIN:
    case NODE_ASOF_JOIN: return op_temporal_join_new(context, node);
    case NODE_EXCHANGE: return op_exchange_new(shard, node);
    case NODE_SINK: return op_sink_new(shard, node);
    default: break;
    }
    mill_fail(context->error, MILL_E_INTERNAL, 0, 0, "there is no operator for %s",
              node_name(node));
    return NULL;
}

static struct op *shard_make_op(struct shard *shard, const struct phys_node *node)
{
    struct op *op;

    shard->context.heap = &shard->accounts[node->id];
    op = make_op(shard, node);
    shard->context.heap = &shard->heap;
    /* With one shard an exchange hands on and does nothing else. */
    if (op != NULL && shard->profile != NULL &&
        (node->kind != NODE_EXCHANGE || shard->job->shard_count > 1))
        profile_measure(shard->profile, op);
    return op;
}

static bool is_late_input(const struct phys_node *producer, const struct phys_node *consumer)
{
    for (uint32_t i = 0; i < producer->late_to_count; i++)
        if (producer->late_to[i] == consumer)
            return true;
    return false;
}

/* Port of @consumer that @producer feeds: its place among the inputs. */
static bool feeds(const struct phys_node *producer, const struct phys_node *consumer, bool late,
                  uint32_t *port)
{
    for (uint32_t i = 0; i < consumer->input_count; i++)
        if (consumer->inputs[i] == producer && is_late_input(producer, consumer) == late) {
            *port = i;
            return true;
        }
    return false;
}

static bool shard_link(struct shard *shard, struct op *op, const struct phys_node *node, bool late)
{
    const struct phys_plan *plan = shard->job->plan;
    struct op_link links[256];
    struct op_link *copy;
    uint32_t count = 0, port;

    for (uint32_t n = 0; n < plan->node_count && count < COUNT_OF(links); n++)
        if (feeds(node, plan->nodes[n], late, &port))
            links[count++] = (struct op_link){shard->ops[n], port};
    if (count == 0)
        return true;
    copy = heap_alloc(&shard->heap, count * sizeof *copy);
    if (copy == NULL) {
        mill_fail(&shard->error, MILL_E_MEMORY, 0, 0, "no memory to link operators");
        return false;
    }
    memcpy(copy, links, count * sizeof *copy);
    if (late) {
        op->late_links = copy;
        op->late_link_count = count;
    } else {
        op->links = copy;
        op->link_count = count;
    }
    return true;
}

/* Exchanges hand on with the time their consumer sees. */
static void shard_set_times(struct shard *shard)
{
    struct job *job = shard->job;

    for (uint32_t x = 0; x < job->stage_count; x++)
        for (uint32_t i = 0; i < shard->stages[x].op_count; i++) {
            const struct op *op = shard->stages[x].ops[i];
            const struct phys_node *node = job->plan->nodes[op->id];

            for (uint32_t k = 0; k < node->input_count; k++)
                if (node->inputs[k]->kind == NODE_EXCHANGE)
                    exchange_set_time(shard->ops[node->inputs[k]->id],
                                      stage_time(&shard->stages[x], i));
        }
}

static bool shard_open_ops(struct shard *shard)
{
    const struct phys_plan *plan = shard->job->plan;

    shard->ops = heap_zalloc(&shard->heap, (plan->node_count + 1) * sizeof *shard->ops);
    if (shard->ops == NULL)
        return false;
    for (uint32_t n = 0; n < plan->node_count; n++) {
        shard->ops[n] = shard_make_op(shard, plan->nodes[n]);
        if (shard->ops[n] == NULL)
            return false;
    }
    for (uint32_t n = 0; n < plan->node_count; n++)
        if (!shard_link(shard, shard->ops[n], plan->nodes[n], false) ||
            !shard_link(shard, shard->ops[n], plan->nodes[n], true))
            return false;
    return true;
}

/* ---- opening ---- */

static bool shard_open_edges(struct shard *shard)
{
    struct job *job = shard->job;
    const uint32_t n = job->shard_count;

    if (n == 1)
        return true;
    shard->out = heap_zalloc(&shard->heap, (job->edge_count + 1) * sizeof *shard->out);
    shard->in = heap_zalloc(&shard->heap, (job->edge_count + 1) * n * sizeof *shard->in);
    if (shard->out == NULL || shard->in == NULL)
        return false;
    for (uint32_t i = 0; i < job->edge_count * n; i++)
        shard->in[i].step = UINT64_MAX;
    for (uint32_t e = 0; e < job->edge_count; e++)
        if (!edge_open(shard, e))
            return false;
    return true;
}

bool shard_open(struct shard *shard)
{
    struct job *job = shard->job;

    if (shard->profile != NULL)
        profile_start(shard->profile);
    heap_open(&shard->heap, job->env, job->budget);
    shard->open = true;
    shard->context = (struct op_context){.heap = &shard->heap,
                                         .kernels = job->kernels,
                                         .shard = shard->index,
                                         .shard_count = job->shard_count,
                                         .batch_rows = job->config.batch_rows,
                                         .seed = job->config.seed,
                                         .zone = job->plan->zone,
                                         .stop = job->stop,
                                         .error = &shard->error,
                                         .turn_work = TURN_WORK,
                                         .take_batch = shard_take_batch};
    shard->context.eval.bad_row = shard_bad_row;
    shard->context.eval.bad_user = shard;
    shard->context.eval.start_clock_ns = job->start_clock_ns;
    shard->context.eval.zone = job->plan->zone;
    shard->context.eval.seed = job->config.seed;
    shard->released_mask = job->directory_mask;
    shard->released =
        heap_alloc(&shard->heap, ((size_t)job->directory_mask + 1) * sizeof *shard->released);
    shard->local = pool_new_growing(&shard->heap, job->config.batch_rows, (uint16_t)shard->index);
    shard->decoders = heap_zalloc(&shard->heap, (job->source_count + 1) * sizeof *shard->decoders);
    if (shard->released == NULL || shard->local == NULL || shard->decoders == NULL ||
        !shard_open_edges(shard) || !shard_open_ops(shard))
        goto fail;
    for (uint32_t x = 0; x < job->stage_count; x++)
        if (!stage_open(shard, &shard->stages[x], x))
            goto fail;
    shard_set_times(shard);
    return true;
fail:
    mill_fail(&shard->error, MILL_E_MEMORY, 0, 0, "shard %u cannot start", shard->index);
    shard_fail(shard);
    return false;
}

static void op_free(struct shard *shard, struct op *op)
{
    struct op_link *links = op->links, *late = op->late_links;
    const uint32_t count = op->link_count, late_count = op->late_link_count;

    op->vtable->close(op);
    heap_free(&shard->heap, links, count * sizeof *links);
    heap_free(&shard->heap, late, late_count * sizeof *late);
}

/* First all shards let go of each other's batches, ... */
void shard_close_ops(struct shard *shard)
{
    struct job *job = shard->job;

    shard_release_pieces(shard, true);
    for (uint32_t n = 0; shard->ops != NULL && n < job->plan->node_count; n++)
        if (shard->ops[n] != NULL)
            op_free(shard, shard->ops[n]);
    heap_free(&shard->heap, shard->ops, (job->plan->node_count + 1) * sizeof *shard->ops);
    shard->ops = NULL;
    for (uint32_t i = 0; shard->decoders != NULL && i < job->source_count; i++)
        if (shard->decoders[i] != NULL) {
            early_close(shard->decoders[i]->filter);
            shard->decoders[i]->vtable->decoder_free(shard->decoders[i]);
        }
    heap_free(&shard->heap, shard->decoders, (job->source_count + 1) * sizeof *shard->decoders);
    shard->decoders = NULL;
}

/* ... then each frees what is its own. */
void shard_close(struct shard *shard)
{
    struct job *job = shard->job;
    const uint32_t n = job->shard_count;

    for (uint32_t e = 0; shard->out != NULL && e < job->edge_count; e++)
        edge_close(shard, e);
    for (uint32_t i = 0; shard->in != NULL && i < job->edge_count * n; i++)
        heap_free(&shard->heap, shard->in[i].key_bytes, shard->in[i].key_capacity);
    heap_free(&shard->heap, shard->out, (job->edge_count + 1) * sizeof *shard->out);
    heap_free(&shard->heap, shard->in, (job->edge_count + 1) * n * sizeof *shard->in);
    for (uint32_t x = 0; x < job->stage_count; x++)
        stage_close(shard, &shard->stages[x]);
    pool_free(shard->local);
    heap_free(&shard->heap, shard->released,
              ((size_t)job->directory_mask + 1) * sizeof *shard->released);
    shard->out = NULL;
    shard->in = NULL;
    shard->local = NULL;
    shard->released = NULL;
    heap_close(&shard->heap);
    shard->open = false;
}

/* ---- the turn ---- */

bool shard_ended(const struct shard *shard)
{
    const struct job *job = shard->job;

    if (at_load_acquire(&job->failed) != 0) /* A6 */
        return true;
    for (uint32_t x = job->first_stage; x < job->stage_count; x++)
        if (!shard->stages[x].ended)
            return false;
    return !shard->front.active;
}

static uint32_t shard_drain(struct shard *shard)
{
    const struct job *job = shard->job;
    uint32_t work = 0;

    for (uint32_t x = job->stage_count; x-- > 1;) /* downstream first */
        for (uint32_t i = 0; i < DRAIN_TURNS_MAX; i++) {
            const uint32_t w = stage_turn(shard, &shard->stages[x]);

            work += w;
            /* blocked: a firing goes on in the next turn, after the other stages had theirs */
            if (w == 0 || shard->stages[x].blocked || at_load_relaxed(&job->failed) != 0)
                break;
        }
    return work;
}

static int64_t in_micros(int64_t nanos)
{
    return nanos == TIME_MIN || nanos == TIME_MAX ? nanos : floor_div(nanos, 1000);
}

/* Least over the sources that have one, idle splits left out, as an operator over the most of them sees it; TIME_MIN: none. */
static int64_t shard_watermark(const struct shard *shard)
{
    const struct job *job = shard->job;
    const struct stage *stage = &shard->stages[job->stage_count - 1];
    int64_t least = TIME_MIN;
    int most = 0;

    for (uint32_t i = 0; i < stage->domain_count; i++) {
        const struct time_domain *domain = &stage->domains[i];
        const int64_t w = domain->nanos ? in_micros(domain->w) : domain->w;
        const int sources = __builtin_popcountll(domain->sources);
        bool timed = true;

        for (uint32_t s = 0; s < job->source_count; s++)
            timed = timed && ((domain->sources >> s & 1) == 0 || job->sources[s].has_time);
        if (!timed || sources < most || domain->holds != NULL)
            continue;
        least = sources > most ? w : min_i64(least, w);
        most = sources;
    }
    return least;
}

static void shard_publish(struct shard *shard)
{
    const struct job *job = shard->job;
    uint64_t late = 0, dead = 0, filtered = 0, held = 0, out = 0;

    for (uint32_t n = 0; n < job->plan->node_count; n++) {
        const struct op_counters *c = &shard->ops[n]->counters;

        late += c->late + c->late_views;
        dead += c->dead;
        filtered += c->filtered;
        held += c->held;
        if (job->plan->nodes[n]->kind == NODE_SINK)
            out += c->in;
    }
    at_store_relaxed(&shard->live.rows_in, shard->rows_in);
    at_store_relaxed(&shard->live.rows_out, out);
    at_store_relaxed(&shard->live.late, late);
    at_store_relaxed(&shard->live.dead, dead);
    at_store_relaxed(&shard->live.filtered, filtered);
    at_store_relaxed(&shard->live.held, held);
    at_store_relaxed(&shard->live.watermark_us, shard_watermark(shard));
}

static uint32_t turn(struct shard *shard)
{
    uint32_t work = shard_drain(shard);

    if (shard_ended(shard)) {
        shard_publish(shard);
        return work;
    }
    if (shard->front.active) {
        work += front_turn(shard);
    } else {
        shard_release_pieces(shard, false);
        work += shard_cut(shard);
        if (shard->front.active)
            work += front_turn(shard);
        shard_publish(shard);
        if (work == 0)
            work += shard_pump(shard);
    }
    if (shard->error.code != MILL_OK)
        shard_fail(shard);
    shard->idle_turns = work > 0 ? 0 : shard->idle_turns + 1;
    return work;
}

static bool is_blocked(const struct shard *shard)
{
    for (uint32_t x = 0; x < shard->job->stage_count; x++)
        if (shard->stages[x].blocked)
            return true;
    return false;
}

uint32_t shard_turn(struct shard *shard)
{
    struct profile *profile = shard->profile;
    uint32_t work;

    if (LIKELY(profile == NULL))
        return turn(shard);
    profile_turn_begin(profile);
    work = turn(shard);
    profile_turn_end(profile, work, is_blocked(shard), shard->probes[PROBE_WAITED_FOR_BYTES]);
    return work;
}

/* Spin, then yield, then sleep a little, as far as the configuration allows; with more shards than cpus nobody spins. */
void shard_idle(struct shard *shard)
{
    struct job *job = shard->job;
    const struct env *env = job->env;

    if (shard->idle_turns == 0)
        return;
    if (!job->crowded && (shard->idle_turns < SPIN_TURNS || job->idle == IDLE_SPIN))
        cpu_relax();
    else if (shard->idle_turns < YIELD_TURNS || job->idle != IDLE_PARK)
        env->run.yield(env->self);
    else
        env->run.park(env->self, (uint32_t *)&shard->parked, 0, PARK_NS);
}

/* ---- round trips: state to bytes and back (tests) ---- */

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static void replace_op(struct shard *shard, struct op *old, struct op *fresh)
{
    struct job *job = shard->job;

    fresh->links = old->links;
    fresh->link_count = old->link_count;
    fresh->late_links = old->late_links;
    fresh->late_link_count = old->late_link_count;
    fresh->counters = old->counters;
    for (uint32_t n = 0; n < job->plan->node_count; n++) {
        struct op *op = shard->ops[n];

        for (uint32_t i = 0; i < op->link_count; i++)
            if (op->links[i].to == old)
                op->links[i].to = fresh;
        for (uint32_t i = 0; i < op->late_link_count; i++)
            if (op->late_links[i].to == old)
                op->late_links[i].to = fresh;
    }
    for (uint32_t x = 0; x < job->stage_count; x++)
        for (uint32_t i = 0; i < shard->stages[x].op_count; i++)
            if (shard->stages[x].ops[i] == old)
                shard->stages[x].ops[i] = fresh;
    shard->ops[fresh->id] = fresh;
    old->vtable->close(old);
}

static bool roundtrip_op(struct shard *shard, struct op *op)
{
    struct snapshot_writer w = {.heap = &shard->heap};
    struct snapshot_reader r;
    struct op *fresh;
    bool restored;

    op->vtable->snapshot(op, &w);
    fresh = w.failed ? NULL : shard_make_op(shard, shard->job->plan->nodes[op->id]);
    if (fresh == NULL) {
        snapshot_writer_close(&w);
        return false;
    }
    r = (struct snapshot_reader){.next = w.bytes, .end = w.bytes + w.length};
    restored = fresh->vtable->restore(fresh, &r);
    if (!restored || r.failed || r.next != r.end) {
        /* false without a mark in the reader: no memory */
        if (restored || r.failed)
            mill_fail(&shard->error, MILL_E_INTERNAL, 0, 0,
                      "operator %s does not read back its own snapshot", op->vtable->name);
        fresh->vtable->close(fresh);
        snapshot_writer_close(&w);
        return false;
    }
    replace_op(shard, op, fresh);
    shard->probes[PROBE_ROUNDTRIP]++;
    snapshot_writer_close(&w);
    return true;
}

void shard_roundtrip(struct shard *shard, struct stage *stage)
{
    for (uint32_t i = 0; i < stage->op_count; i++) {
        struct op *op = stage->ops[i];

        if (op->vtable->snapshot == NULL || next_random(&shard->rng) % 4 != 0)
            continue;
        if (!roundtrip_op(shard, op)) {
            mill_fail(&shard->error, MILL_E_MEMORY, 0, 0, "no memory for a snapshot");
            shard_fail(shard);
            return;
        }
    }
}
