/* core/shard/profile.c - measuring a shard: slots, and operators whose calls pass through here. */
#include "core/shard/job.h"

#define SAMPLE_GROUPS 4096u /* that are looked for in the tables of one operator */

/* ---- life ---- */

/* What hands a batch on as the last thing it does. */
static void mark_tails(struct profile *p, const struct phys_plan *plan)
{
    for (uint32_t n = 0; n < plan->node_count; n++)
        switch (plan->nodes[n]->kind) {
        case NODE_SOURCE:
        case NODE_VALUES: p->tail[PART_EDGE * p->node_count + n] = p->tail[n] = true; break;
        case NODE_CALC:
        case NODE_VIEW:
        case NODE_UNION: p->tail[n] = true; break;
        case NODE_EXCHANGE: p->tail[PART_EDGE * p->node_count + n] = true; break;
        default: break;
        }
}

struct profile *profile_new(struct heap *heap, const struct env *env, const struct phys_plan *plan)
{
    const uint32_t node_count = plan->node_count;
    struct profile *p = heap_zalloc(heap, sizeof *p);

    if (p == NULL)
        return NULL;
    p->env = env;
    p->node_count = node_count;
    p->slot_count = PART_COUNT * node_count + OWN_COUNT;
    p->current = profile_own(p, OWN_START);
    p->ticks = heap_zalloc(heap, p->slot_count * sizeof *p->ticks);
    p->counted = heap_zalloc(heap, p->slot_count * ENV_COUNTERS * sizeof *p->counted);
    p->nodes = heap_zalloc(heap, (node_count + 1) * sizeof *p->nodes);
    p->tail = heap_zalloc(heap, p->slot_count * sizeof *p->tail);
    if (p->ticks != NULL && p->counted != NULL && p->nodes != NULL && p->tail != NULL) {
        mark_tails(p, plan);
        return p;
    }
    profile_free(heap, p);
    return NULL;
}

void profile_free(struct heap *heap, struct profile *p)
{
    if (p == NULL)
        return;
    heap_free(heap, p->ticks, p->slot_count * sizeof *p->ticks);
    heap_free(heap, p->counted, p->slot_count * ENV_COUNTERS * sizeof *p->counted);
    heap_free(heap, p->tail, p->slot_count * sizeof *p->tail);
    heap_free(heap, p->nodes, (p->node_count + 1) * sizeof *p->nodes);
    heap_free(heap, p, sizeof *p);
}

uint64_t profile_clock(const struct env *env)
{
    return env->clock.ticks != NULL ? env->clock.ticks(env->self)
                                    : (uint64_t)env->clock.mono_ns(env->self);
}

void profile_start(struct profile *p)
{
    const struct env_perf *perf = &p->env->perf;

    if (perf->open != NULL)
        p->counters = perf->open(p->env->self, p->no_counters, sizeof p->no_counters);
    p->has_counters = p->counters != NULL;
    if (p->has_counters)
        perf->read(p->env->self, p->counters, p->counters_last);
    p->running = true;
    p->first = p->last = profile_clock(p->env);
}

void profile_stop(struct profile *p)
{
    if (!p->running)
        return;
    p->running = false;
    profile_switch(p, p->current);
    if (p->counters != NULL)
        p->env->perf.close(p->env->self, p->counters);
    p->counters = NULL;
}

/* ---- slots ---- */

static void count_hardware(struct profile *p)
{
    uint64_t *slot = p->counted + (size_t)p->current * ENV_COUNTERS, values[ENV_COUNTERS] = {0};

    p->env->perf.read(p->env->self, p->counters, values);
    for (uint32_t i = 0; i < ENV_COUNTERS; i++) {
        slot[i] += values[i] - p->counters_last[i];
        p->counters_last[i] = values[i];
    }
}

uint32_t profile_switch(struct profile *p, uint32_t slot)
{
    const uint32_t left = p->current;
    const uint64_t at = profile_clock(p->env);

    p->ticks[left] += at - p->last;
    p->last = at;
    if (UNLIKELY(p->counters != NULL))
        count_hardware(p);
    p->current = slot;
    return left;
}

/* ---- operators ---- */

static struct profile *profile_of(const struct op *op)
{
    const char *context = (const char *)op->context;

    return ((const struct shard *)(context - offsetof(struct shard, context)))->profile;
}

/* What the operator holds now. */
static void see_memory(struct profile_node *node, const struct op *op)
{
    node->bytes_max = max_u64(node->bytes_max, heap_held(op->heap));
}

static enum op_progress measured_push(struct op *op, uint32_t port, struct batch *batch,
                                      const struct step_time *t)
{
    struct profile *p = profile_of(op);
    struct profile_node *node = &p->nodes[op->id];
    const uint32_t outer = profile_switch(p, op->id);
    enum op_progress progress;

    node->batches++;
    progress = node->real->push(op, port, batch, t);
    see_memory(node, op);
    if (!p->tail[outer])
        profile_switch(p, outer);
    return progress;
}

/* Before anything fires there is most to see. Looking costs a little, so it waits until there is a tenth more. */
static void see_state(struct profile_node *node, const struct op *op)
{
    struct op_state seen = {0};

    node->real->inspect(op, 0, &seen);
    if (seen.tables.groups * 10 <= node->state.tables.groups * 11)
        return;
    node->state = (struct op_state){0};
    node->real->inspect(op, max_u32(64, SAMPLE_GROUPS / (uint32_t)seen.table_count), &node->state);
}

static enum op_progress measured_rows_ended(struct op *op, const struct step_time *t)
{
    struct profile *p = profile_of(op);
    const uint32_t outer = profile_switch(p, op->id);
    const enum op_progress progress = p->nodes[op->id].real->rows_ended(op, t);

    profile_switch(p, outer);
    return progress;
}

static enum op_progress measured_end_step(struct op *op, const struct step_time *t)
{
    struct profile *p = profile_of(op);
    struct profile_node *node = &p->nodes[op->id];
    const uint32_t outer = profile_switch(p, op->id);
    enum op_progress progress;

    if (node->real->inspect != NULL)
        see_state(node, op);
    progress = node->real->end_step(op, t);
    see_memory(node, op);
    profile_switch(p, outer);
    return progress;
}

static enum op_progress measured_resume(struct op *op, const struct step_time *t)
{
    struct profile *p = profile_of(op);
    struct profile_node *node = &p->nodes[op->id];
    const uint32_t outer = profile_switch(p, op->id);
    const enum op_progress progress = node->real->resume(op, t);

    see_memory(node, op);
    profile_switch(p, outer);
    return progress;
}

void profile_measure(struct profile *p, struct op *op)
{
    struct profile_node *node = &p->nodes[op->id];

    node->real = op->vtable;
    node->vtable = *op->vtable;
    node->vtable.push = measured_push;
    if (node->real->rows_ended != NULL)
        node->vtable.rows_ended = measured_rows_ended;
    if (node->real->end_step != NULL)
        node->vtable.end_step = measured_end_step;
    if (node->real->resume != NULL)
        node->vtable.resume = measured_resume;
    op->vtable = &node->vtable;
}

/* ---- turns ---- */

void profile_pause(struct profile *p)
{
    profile_switch(p, profile_own(p, OWN_PEERS));
}

void profile_turn_begin(struct profile *p)
{
    const uint32_t engine = profile_own(p, OWN_ENGINE);

    if (p->current != engine)
        profile_switch(p, engine);
    p->turn_ticks = p->ticks[engine];
}

/* A turn without work was waiting, and so is what lies between it and the next. */
void profile_turn_end(struct profile *p, uint32_t work, bool blocked, uint64_t waited)
{
    const uint32_t engine = profile_own(p, OWN_ENGINE);
    uint32_t slot = profile_own(p, blocked ? OWN_ROOM : OWN_PEERS);

    if (waited != p->waited_for_bytes && !blocked)
        slot = PART_WAIT * p->node_count + p->waits_for;
    p->waited_for_bytes = waited;
    if (work > 0)
        return;
    profile_switch(p, slot);
    p->ticks[slot] += p->ticks[engine] - p->turn_ticks;
    p->ticks[engine] = p->turn_ticks;
}
