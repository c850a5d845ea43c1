/* core/shard/job.c - a job from plan to end: on shard threads, or turn by turn on the caller's. */
#include "core/ops/join.h"
#include "core/shard/job.h"
#include "core/ops/match.h"
#include "core/values.h"

#include <stdio.h>

int64_t job_clock_ns(const struct job *job)
{
    return job->config.clock != NULL ? job->config.clock(job->config.clock_user)
                                     : job->env->clock.wall_ns(job->env->self);
}

/* ---- making ---- */

static bool job_make_edges(struct job *job)
{
    const struct phys_plan *plan = job->plan;

    job->edges = heap_zalloc(&job->heap, (plan->node_count + 1) * sizeof *job->edges);
    job->edge_of_node = heap_zalloc(&job->heap, (plan->node_count + 1) * sizeof(int32_t));
    if (job->edges == NULL || job->edge_of_node == NULL)
        return false;
    for (uint32_t n = 0; n < plan->node_count; n++) {
        const struct phys_node *node = plan->nodes[n];
        struct edge_plan *edge = &job->edges[job->edge_count];

        job->edge_of_node[n] = -1;
        if (node->kind != NODE_EXCHANGE)
            continue;
        *edge = (struct edge_plan){.node = node, .from_stage = node->stage, .to_shard = UINT32_MAX};
        if (node->exchange.key_count == 0 && !node->exchange.stays && !node->exchange.copies)
            edge->to_shard = 0;
        for (uint32_t c = 0; c < plan->node_count; c++)
            for (uint32_t i = 0; i < plan->nodes[c]->input_count; i++)
                if (plan->nodes[c]->inputs[i] == node) {
                    edge->to_stage = plan->nodes[c]->stage;
                    if (plan->nodes[c]->kind == NODE_SINK)
                        edge->to_shard = plan->nodes[c]->sink.index % job->shard_count;
                }
        job->edge_of_node[n] = (int32_t)job->edge_count++;
    }
    return true;
}

static bool job_make_shards(struct job *job)
{
    const uint32_t nodes = job->plan->node_count + 1;

    job->shards = heap_zalloc(&job->heap, job->shard_count * sizeof *job->shards);
    for (uint32_t i = 0; job->shards != NULL && i < job->shard_count; i++) {
        struct shard *shard = heap_zalloc(&job->heap, sizeof *shard);

        if (shard == NULL)
            return false;
        job->shards[i] = shard;
        shard->job = job;
        shard->index = i;
        shard->stages = heap_zalloc(&job->heap, job->stage_count * sizeof *shard->stages);
        shard->totals = heap_zalloc(&job->heap, nodes * sizeof *shard->totals);
        shard->accounts = heap_zalloc(&job->heap, nodes * sizeof *shard->accounts);
        shard->traffic = heap_zalloc(&job->heap, nodes * sizeof *shard->traffic);
        if (shard->stages == NULL || shard->totals == NULL || shard->accounts == NULL ||
            shard->traffic == NULL)
            return false;
        if (job->profiled) {
            shard->profile = profile_new(&job->heap, job->env, job->plan);
            if (shard->profile == NULL)
                return false;
        }
        for (uint32_t n = 0; n < nodes; n++)
            heap_open_account(&shard->accounts[n], job->env, &shard->heap);
        if (job->config.roundtrip_seed != 0)
            shard->rng = job->config.roundtrip_seed * 1000 + i + 1;
    }
    return job->shards != NULL;
}

static bool plan_needs_clock(const struct phys_plan *plan)
{
    for (uint32_t n = 0; n < plan->node_count; n++) {
        const struct phys_node *node = plan->nodes[n];

        if (node->reads_clock ||
            (node->kind == NODE_SOURCE && node->source.watermark.idle_timeout_ns > 0))
            return true;
        if ((node->kind == NODE_WINDOW || node->kind == NODE_SESSION ||
             node->kind == NODE_WINDOW_CHANGES || node->kind == NODE_COUNT_WINDOW) &&
            node->aggregate.window.processing_time)
            return true;
        if (node->kind == NODE_INTERVAL_JOIN && node->join->processing_time)
            return true;
        if (node->kind == NODE_MATCH && node->match->time < 0)
            return true;
    }
    return false;
}

static bool job_make(struct job *job)
{
    uint32_t entries = 4;

    while (entries < 4 * job->config.run_ahead)
        entries *= 2;
    job->directory = heap_zalloc(&job->heap, entries * sizeof *job->directory);
    job->directory_mask = entries - 1;
    job->source_count = job->plan->source_count;
    job->sources = heap_zalloc(&job->heap, (job->source_count + 1) * sizeof *job->sources);
    return job->directory != NULL && job->sources != NULL && job_make_edges(job) &&
           job_make_shards(job);
}

struct job *job_new(const struct job_config *config, struct mill_error *error)
{
    const struct env *env = config->env;
    struct heap heap;
    struct job *job;

    heap_open_shared(&heap, env,
                     config->budget); /* the thread that ran it may be gone at the end */
    job = heap_zalloc(&heap, sizeof *job);
    if (job == NULL) {
        heap_close(&heap);
        mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a query");
        return NULL;
    }
    job->heap = heap;
    job->env = env;
    job->kernels = config->kernels;
    job->config = *config->config;
    job->crowded = job->config.shard_count > job->env->run.cpu_count(job->env->self);
    if (job->config.idle != NULL && job->config.idle[0] != 'p')
        job->idle = job->config.idle[0] == 's' ? IDLE_SPIN : IDLE_YIELD;
    job->plan = config->plan;
    job->budget = config->budget;
    job->shard_count = config->config->shard_count;
    job->stage_count = job->shard_count == 1 ? 1 : config->plan->stage_count;
    job->first_stage = job->shard_count == 1 ? 0 : 1;
    job->inline_only = config->inline_only;
    job->profiled = config->profiled;
    job->on_batch = config->on_batch;
    job->on_batch_user = config->on_batch_user;
    job->stop = config->stop;
    job->has_processing_time = plan_needs_clock(config->plan);
    job->start_clock_ns = job_clock_ns(job);
    job->start_mono_ns = env->clock.mono_ns(env->self);
    job->start_ticks = profile_clock(env);
    if (!job_make(job)) {
        mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a query of %u operators",
                  config->plan->node_count);
        job_free(job);
        return NULL;
    }
    if (job_open_sources(job, error) != MILL_OK) {
        job_free(job);
        return NULL;
    }
    return job;
}

void job_free(struct job *job)
{
    const uint32_t nodes = job->plan->node_count + 1;
    struct heap heap;

    if (at_load_relaxed(&job->state) == JOB_RUNNING) /* abandoned between turns */
        job_end_inline(job, true);
    if (job->sources != NULL)
        job_close_sources(job);
    for (uint32_t i = 0; job->shards != NULL && i < job->shard_count; i++) {
        struct shard *shard = job->shards[i];

        if (shard == NULL)
            continue;
        heap_free(&job->heap, shard->stages, job->stage_count * sizeof *shard->stages);
        heap_free(&job->heap, shard->totals, nodes * sizeof *shard->totals);
        heap_free(&job->heap, shard->accounts, nodes * sizeof *shard->accounts);
        heap_free(&job->heap, shard->traffic, nodes * sizeof *shard->traffic);
        profile_free(&job->heap, shard->profile);
        heap_free(&job->heap, shard, sizeof *shard);
    }
    heap_free(&job->heap, job->shards, job->shard_count * sizeof *job->shards);
    heap_free(&job->heap, job->edges, nodes * sizeof *job->edges);
    heap_free(&job->heap, job->edge_of_node, nodes * sizeof(int32_t));
    heap_free(&job->heap, job->sources, (job->source_count + 1) * sizeof *job->sources);
    heap_free(&job->heap, job->directory,
              ((size_t)job->directory_mask + 1) * sizeof *job->directory);
    heap = job->heap;
    heap_free(&heap, job, sizeof *job);
    heap_close(&heap);
}

/* ---- the end ---- */

static void shard_finish(struct shard *shard)
{
    struct job *job = shard->job;
    const bool failed = at_load_acquire(&job->failed) != 0;
    /* What is not the answer to the whole input does not get its name. */
    const bool discard = failed || job->deferred.code != MILL_OK || at_load_relaxed(job->stop) == 2;

    for (uint32_t n = 0; shard->ops != NULL && n < job->plan->node_count; n++) {
        struct op *op = shard->ops[n];
        uint32_t outer;
        int code;

        if (op == NULL)
            continue;
        shard->totals[n] = op->counters;
        if (job->plan->nodes[n]->kind != NODE_SINK)
            continue;
        outer = profile_enter(shard->profile, PART_RUN, n);
        code = op_sink_finish(op, discard, &shard->error);
        profile_leave(shard->profile, outer);
        if (code != MILL_OK && !failed)
            shard_fail(shard);
    }
    if (shard->profile != NULL)
        profile_stop(shard->profile);
}

struct op_counters job_totals(const struct job *job, uint32_t node)
{
    struct op_counters sum = {0};

    for (uint32_t i = 0; i < job->shard_count; i++) {
        const struct op_counters *c = &job->shards[i]->totals[node];

        sum.in += c->in;
        sum.out += c->out;
        sum.filtered += c->filtered;
        sum.late += c->late;
        sum.late_views += c->late_views;
        sum.dead += c->dead;
        sum.held += c->held;
        sum.consumed += c->consumed;
        sum.null_time += c->null_time;
        sum.sum_overflow += c->sum_overflow;
        sum.far_future += c->far_future;
        sum.fired += c->fired;
        sum.decimal_overflow += c->decimal_overflow;
    }
    return sum;
}

static bool node_conserves(const struct phys_node *node, const struct op_counters *c)
{
    switch (node->kind) {
    case NODE_SINK: return c->in == c->out + c->filtered;
    case NODE_PREAGG:
        return true; /* its partials stand for rows: the window behind it counts them */
    default:
        return c->in == c->filtered + c->late + c->dead + c->held +
                            (node_traits[node->kind].keeps_rows ? c->consumed : c->out);
    }
}

/* in = out + filtered + late + dead + held, over all shards, at every operator. */
static int job_check_conservation(struct job *job, struct mill_error *error)
{
    for (uint32_t n = 0; n < job->plan->node_count; n++) {
        const struct op_counters c = job_totals(job, n);

        if (!node_conserves(job->plan->nodes[n], &c))
            return mill_fail(error, MILL_E_INTERNAL, 0, 0,
                             "row conservation is broken at operator %u: in %llu, out %llu, "
                             "consumed "
                             "%llu, filtered %llu, late %llu, dead %llu, held %llu",
                             n, (unsigned long long)c.in, (unsigned long long)c.out,
                             (unsigned long long)c.consumed, (unsigned long long)c.filtered,
                             (unsigned long long)c.late, (unsigned long long)c.dead,
                             (unsigned long long)c.held);
    }
    return MILL_OK;
}

/* Totals and end time are complete, and do not change any more. */
static void job_ended(struct job *job)
{
    job->end_mono_ns = job->env->clock.mono_ns(job->env->self);
    job->end_ticks = profile_clock(job->env);
    /* R14, with A14 in job_stats() */
    at_store_release(&job->state, JOB_ENDED);
}

static int job_result(struct job *job, struct mill_error *error)
{
    if (at_load_acquire(&job->failed) != 0) {
        if (error != NULL && error->code == MILL_OK)
            *error = job->error;
        return job->error.code;
    }
    if (job_check_conservation(job, error) != MILL_OK)
        return MILL_E_INTERNAL;
    for (uint32_t i = 0; i < job->source_count; i++) {
        const int code = bad_policy_close(job, &job->sources[i].bad, error);

        if (code != MILL_OK)
            return code;
    }
    if (job->deferred.code != MILL_OK) {
        if (error != NULL && error->code == MILL_OK)
            *error = job->deferred;
        return job->deferred.code;
    }
    if (at_load_relaxed(job->stop) == 2)
        return mill_fail(error, MILL_E_INTERRUPTED, 0, 0,
                         "the run was stopped; open windows did not fire");
    return MILL_OK;
}

/* ---- on threads ---- */

static void barrier(struct job *job, at_u32 *arrived)
{
    at_add_acqrel(arrived, 1);
    while (at_load_acquire(arrived) < job->shard_count)
        job->env->run.yield(job->env->self);
}

static void shard_main(void *arg)
{
    struct shard *shard = arg;
    struct job *job = shard->job;
    const bool opened = shard_open(shard);

    barrier(job, &job->opened);
    while (opened && !shard_ended(shard)) {
        shard_turn(shard);
        shard_idle(shard);
    }
    if (shard->profile != NULL)
        profile_pause(shard->profile);
    barrier(job, &job->left);
    shard_finish(shard);
    shard_close_ops(shard);
    barrier(job, &job->finished);
    shard_close(shard);
}

int job_run(struct job *job, struct mill_error *error)
{
    const struct env *env = job->env;
    const bool pin = job->config.pin && job->shard_count <= env->run.cpu_count(env->self);
    void *threads[SHARDS_MAX] = {0};

    at_store_relaxed(&job->state, JOB_RUNNING);
    if (job->shard_count == 1) {
        shard_main(job->shards[0]);
        job_ended(job);
        return job_result(job, error);
    }
    for (uint32_t i = 0; i < job->shard_count; i++) {
        threads[i] = env->run.start(env->self, shard_main, job->shards[i],
                                    pin ? env->run.cpu_at(env->self, i) : -1);
        if (threads[i] == NULL) {
            /* those already started wait for all: stand in for the missing ones */
            mill_fail(&job->shards[i]->error, MILL_E_INTERNAL, 0, 0, "cannot start thread %u of %u",
                      i + 1, job->shard_count);
            shard_fail(job->shards[i]);
            at_add_acqrel(&job->opened, job->shard_count - i);
            at_add_acqrel(&job->left, job->shard_count - i);
            at_add_acqrel(&job->finished, job->shard_count - i);
            break;
        }
    }
    for (uint32_t i = 0; i < job->shard_count; i++)
        if (threads[i] != NULL)
            env->run.join(env->self, threads[i]);
    job_ended(job);
    return job_result(job, error);
}

/* ---- on the caller's thread ---- */

void job_end_inline(struct job *job, bool abandoned)
{
    if (abandoned)
        at_store_release(&job->failed, 1);
    for (uint32_t i = 0; i < job->shard_count; i++)
        shard_finish(job->shards[i]);
    for (uint32_t i = 0; i < job->shard_count; i++)
        shard_close_ops(job->shards[i]);
    for (uint32_t i = 0; i < job->shard_count; i++)
        shard_close(job->shards[i]);
    job_ended(job);
}

int job_turn(struct job *job, int32_t only, uint32_t *work, bool *ended, struct mill_error *error)
{
    bool all = true;

    *ended = false;
    *work = 0;
    if (at_load_relaxed(&job->state) == JOB_ENDED)
        return mill_fail(error, MILL_E_STATE, 0, 0, "the query has already ended");
    if (at_load_relaxed(&job->state) == JOB_NEW) {
        at_store_relaxed(&job->state, JOB_RUNNING);
        job->driver = job->env->run.thread_id(job->env->self);
        for (uint32_t i = 0; i < job->shard_count; i++)
            shard_open(job->shards[i]);
    }
    if (job->driver != job->env->run.thread_id(job->env->self))
        return mill_fail(error, MILL_E_STATE, 0, 0,
                         "a query driven by turns belongs to the thread that made its first turn");
    for (uint32_t i = 0; i < job->shard_count; i++) {
        if ((only < 0 || (uint32_t)only == i) && !shard_ended(job->shards[i])) {
            *work += shard_turn(job->shards[i]);
            if (job->profiled)
                profile_pause(job->shards[i]->profile);
        }
        all = all && shard_ended(job->shards[i]);
    }
    if (!all)
        return MILL_OK;
    *ended = true;
    job_end_inline(job, false);
    return job_result(job, error);
}

/* ---- counters ---- */

static void stats_final(const struct job *job, struct mill_stats *out)
{
    for (uint32_t n = 0; n < job->plan->node_count; n++) {
        const struct op_counters c = job_totals(job, n);

        out->late += c.late + c.late_views;
        out->dead += c.dead;
        out->filtered += c.filtered;
        out->held += c.held;
        out->sum_overflow += c.sum_overflow;
        out->far_future += c.far_future;
        out->decimal_overflow += c.decimal_overflow;
        out->null_time += c.null_time;
        if (job->plan->nodes[n]->kind == NODE_SINK)
            out->rows_out += c.in;
    }
}

static void stats_live(const struct job *job, struct mill_stats *out)
{
    for (uint32_t i = 0; i < job->shard_count; i++) {
        const struct counters_live *live = &job->shards[i]->live;

        out->late += at_load_relaxed(&live->late);
        out->dead += at_load_relaxed(&live->dead);
        out->filtered += at_load_relaxed(&live->filtered);
        out->held += at_load_relaxed(&live->held);
        out->rows_out += at_load_relaxed(&live->rows_out);
    }
}

/* Of the shards that hold something the one that waits for the least: "split a.csv holds the watermark at ...". */
static void stats_holder(const struct job *job, struct mill_stats *out)
{
    const struct mill_type type = type_time(MILL_TIMESTAMP, 3);
    const struct counters_live *live = NULL;
    const char *place = " at ";
    char at[48] = "", until[48];
    int64_t least = TIME_MAX;

    for (uint32_t i = 0; i < job->shard_count; i++) {
        const struct counters_live *c = &job->shards[i]->live;

        if (at_load_relaxed(&c->holder) != 0 && at_load_relaxed(&c->waits_us) < least) {
            least = at_load_relaxed(&c->waits_us);
            live = c;
        }
    }
    if (live == NULL)
        return;
    until[time_format(least, &type, until, sizeof until - 1)] = '\0';
    if (at_load_relaxed(&live->holder_us) == TIME_MIN)
        place = ": it has had no row";
    else
        at[time_format(at_load_relaxed(&live->holder_us), &type, at, sizeof at - 1)] = '\0';
    snprintf(out->holding, sizeof out->holding,
             "split %.70s holds the watermark%s%s; the next window closes at %s",
             (const char *)(uintptr_t)at_load_relaxed(&live->holder), place, at, until);
}

void job_stats(const struct job *job, struct mill_stats *out)
{
    const bool ended = at_load_acquire(&job->state) == JOB_ENDED; /* A14 */
    const int64_t now = ended ? job->end_mono_ns : job->env->clock.mono_ns(job->env->self);

    *out = (struct mill_stats){.watermark_us = TIME_MIN, .shard_count = job->shard_count};
    for (uint32_t i = 0; i < job->shard_count; i++) {
        const int64_t w = at_load_relaxed(&job->shards[i]->live.watermark_us);

        out->rows_in += at_load_relaxed(&job->shards[i]->live.rows_in);
        out->watermark_us = i == 0 ? w : min_i64(w, out->watermark_us);
    }
    if (ended)
        stats_final(job, out);
    else
        stats_live(job, out);
    for (uint32_t i = 0; i < job->source_count; i++) {
        struct source *source = job->sources[i].source;

        if (source != NULL && source->vtable->bytes_in != NULL)
            out->bytes_in += source->vtable->bytes_in(source);
        if (source != NULL)
            out->ring_reads += at_load_relaxed(&source->ring_reads);
        out->dead += at_load_relaxed(&job->sources[i].bad.dead);
    }
    stats_holder(job, out);
    out->steps = at_load_relaxed(&job->cut_count);
    out->allocations = at_load_relaxed(&job->budget->allocations);
    out->state_bytes = at_load_relaxed(&job->budget->used);
    out->peak_bytes = at_load_relaxed(&job->budget->peak);
    out->seconds = (double)(now - job->start_mono_ns) / 1e9;
}
