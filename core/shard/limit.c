/* core/shard/limit.c - a memory error names who asked, how much was missing, and who holds most. */
#include "core/shard/job.h"

#include <stdio.h>

struct holder {
    const struct phys_node *node; /* NULL: batches between operators, and what else a shard has */
    uint64_t bytes;
};

static uint64_t node_held(struct job *job, const struct phys_node *node)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < job->shard_count; i++)
        bytes += heap_held(&job->shards[i]->accounts[node->id]);
    for (uint32_t i = 0; i < job->source_count; i++)
        if (job->sources[i].node == node)
            bytes += heap_held(&job->sources[i].heap);
    return bytes;
}

static struct holder largest_holder(struct job *job)
{
    struct holder rest = {NULL, at_load_relaxed(&job->budget->used)}, most = {NULL, 0};

    for (uint32_t n = 0; n < job->plan->node_count; n++) {
        const uint64_t bytes = node_held(job, job->plan->nodes[n]);

        rest.bytes -= min_u64(bytes, rest.bytes);
        if (bytes > most.bytes)
            most = (struct holder){job->plan->nodes[n], bytes};
    }
    return rest.bytes > most.bytes ? rest : most;
}

/* Whose account asked in vain last, or what the shard was doing, or NULL. */
static const struct phys_node *who_asked(const struct shard *shard)
{
    const struct phys_plan *plan = shard->job->plan;

    for (uint32_t n = 0; n < plan->node_count; n++)
        if (shard->heap.refused == &shard->accounts[n])
            return plan->nodes[n];
    return shard->asked;
}

void memory_explain(struct job *job, const struct phys_node *asked, const char *advice,
                    struct mill_error *error)
{
    const uint64_t refused = at_load_relaxed(&job->budget->refused);
    const struct holder most = largest_holder(job);
    char what[200], holder[120];

    snprintf(what, sizeof what, "%.190s", error->message);
    if (asked != NULL)
        node_label(asked, what, 120);
    if (refused == 0) {
        snprintf(error->message, sizeof error->message,
                 "%s needs %llu more bytes, which the machine does not have", what,
                 (unsigned long long)at_load_relaxed(&job->budget->denied));
        return;
    }
    if (most.node == NULL && advice == NULL)
        advice = "use fewer shards or smaller batches, or";
    if (most.node == NULL)
        snprintf(holder, sizeof holder, "batches between operators");
    else
        node_label(most.node, holder, sizeof holder);
    snprintf(error->message, sizeof error->message,
             "%s%s %llu more bytes over the memory limit of %llu; largest holder: %s, %llu bytes; "
             "%s%sraise the limit",
             what, asked != NULL ? " needs" : ":", (unsigned long long)refused,
             (unsigned long long)job->budget->limit, holder, (unsigned long long)most.bytes,
             advice != NULL ? advice : "", advice != NULL ? " " : "");
}

void shard_explain_memory(struct shard *shard)
{
    memory_explain(shard->job, who_asked(shard), shard->context.advice, &shard->error);
}
