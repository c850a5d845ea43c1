/* core/shard/profile_report.c - what has been measured, as public records: of one shard, or of all. */
#include "core/shard/job.h"

static double ticks_per_second(const struct job *job)
{
    const double ns = (double)max_u64(1, (uint64_t)(job->end_mono_ns - job->start_mono_ns));

    if (job->env->clock.ticks == NULL) /* then nanoseconds serve */
        return 1e9;
    return (double)(job->end_ticks - job->start_ticks) / ns * 1e9;
}

static void add_counters(struct mill_operator_profile *out, const struct op_counters *c)
{
    out->rows_in += c->in;
    out->rows_out += c->out;
    out->filtered += c->filtered;
    out->late += c->late;
    out->dead += c->dead;
    out->held += c->held;
    out->consumed += c->consumed;
    out->windows_fired += c->fired;
}

static void add_state(struct mill_operator_profile *out, const struct profile_node *node,
                      double *probes, double *probed)
{
    const struct table_shape *tables = &node->state.tables;

    out->entries += tables->groups;
    out->slots += tables->slots;
    out->tables += node->state.table_count;
    out->probes_max = max_u64(out->probes_max, tables->probes_max);
    *probes += (double)tables->probes;
    *probed += (double)tables->probed;
    out->state_bytes += node->bytes_max;
}

static void add_traffic(struct mill_operator_profile *out, const struct traffic *t)
{
    out->batches_sent += t->batches;
    out->batches_lent += t->lent;
    out->bytes_copied += t->bytes;
    out->ring_full += t->ring_full;
    out->pool_empty += t->pool_empty;
    out->suspended += t->suspended_rows + t->suspended_end;
    out->empty += t->empty;
}

static void add_ticks(struct mill_operator_profile *out, const struct profile *p,
                      const struct phys_node *node)
{
    const uint64_t *run = p->ticks + node->id;
    const uint64_t edge = run[PART_EDGE * p->node_count], read = run[PART_READ * p->node_count];

    out->ticks += run[0] + edge + read;
    if (node->kind == NODE_EXCHANGE)
        out->receive_ticks += edge;
    else
        out->decode_ticks += edge;
    out->read_ticks += read;
    out->wait_ticks += run[PART_WAIT * p->node_count];
    for (uint32_t part = 0; part < PART_WAIT; part++) {
        const uint64_t *counted =
            p->counted + ((size_t)part * p->node_count + node->id) * ENV_COUNTERS;

        out->instructions += counted[ENV_INSTRUCTIONS];
        out->cycles += counted[ENV_CYCLES];
        out->cache_misses += counted[ENV_CACHE_MISSES];
        out->branch_misses += counted[ENV_BRANCH_MISSES];
    }
}

static bool has_state(const struct phys_node *node)
{
    return node->kind == NODE_PREAGG || node->kind == NODE_WINDOW || node->kind == NODE_SESSION ||
           node->kind == NODE_COUNT_WINDOW || node->kind == NODE_GROUP || node->kind == NODE_OVER ||
           node->kind == NODE_OVER_VIEW || node->kind == NODE_SET_OPERATION ||
           node->kind == NODE_RANK || node->kind == NODE_WINDOW_CHANGES;
}

static uint64_t bytes_read(const struct job *job, const struct phys_node *node)
{
    for (uint32_t i = 0; i < job->source_count; i++) {
        const struct source_run *run = &job->sources[i];

        if (run->node == node && run->source != NULL && run->source->vtable->bytes_in != NULL)
            return run->source->vtable->bytes_in(run->source);
    }
    return 0;
}

static bool is_wanted(uint32_t wanted, uint32_t shard)
{
    return wanted == MILL_ALL_SHARDS || wanted == shard;
}

void job_profile_operator(const struct job *job, uint32_t shard, uint32_t n,
                          struct mill_operator_profile *out)
{
    const struct phys_node *node = job->plan->nodes[n];
    double probes = 0, probed = 0;

    *out = (struct mill_operator_profile){.id = node->id,
                                          .stage = node->stage,
                                          .name = node_name(node)};
    for (uint32_t i = 0; i < job->shard_count; i++) {
        const struct shard *s = job->shards[i];

        if (!is_wanted(shard, i))
            continue;
        add_counters(out, &s->totals[n]);
        if (job->shard_count > 1)
            add_traffic(out, &s->traffic[n]);
        add_ticks(out, s->profile, node);
        out->batches += s->profile->nodes[n].batches;
        if (node->kind == NODE_EXCHANGE && job->shard_count == 1)
            out->batches += s->traffic[n].batches;
        if (has_state(node))
            add_state(out, &s->profile->nodes[n], &probes, &probed);
    }
    out->probes_mean = probed > 0 ? probes / probed : 0;
    if (node->kind == NODE_SESSION || node->kind == NODE_COUNT_WINDOW)
        out->windows_fired = out->rows_out;
    if (shard == MILL_ALL_SHARDS)
        out->bytes_in = bytes_read(job, node);
}

static void add_shard(struct mill_profile *out, const struct shard *shard)
{
    const struct profile *p = shard->profile;

    out->ticks += p->last - p->first;
    out->engine_ticks += p->ticks[profile_own(p, OWN_ENGINE)];
    out->start_ticks += p->ticks[profile_own(p, OWN_START)];
    out->peer_wait_ticks += p->ticks[profile_own(p, OWN_PEERS)];
    out->room_wait_ticks += p->ticks[profile_own(p, OWN_ROOM)];
    for (uint32_t n = 0; n < p->node_count; n++)
        out->input_wait_ticks += p->ticks[PART_WAIT * p->node_count + n];
    out->rows_in += shard->rows_in;
    if (p->has_counters)
        out->counters = true;
    else if (out->no_counters == NULL)
        out->no_counters = p->no_counters;
}

bool job_profile(const struct job *job, uint32_t shard, struct mill_profile *out)
{
    if (at_load_acquire(&job->state) != JOB_ENDED || !job->profiled || /* A14 */
        (shard != MILL_ALL_SHARDS && shard >= job->shard_count))
        return false;
    *out = (struct mill_profile){.operator_count = job->plan->node_count,
                                 .shard_count = job->shard_count,
                                 .seconds = (double)(job->end_mono_ns - job->start_mono_ns) / 1e9,
                                 .ticks_per_second = ticks_per_second(job)};
    for (uint32_t i = 0; i < job->shard_count; i++)
        if (is_wanted(shard, i))
            add_shard(out, job->shards[i]);
    if (out->counters)
        out->no_counters = NULL;
    return true;
}
