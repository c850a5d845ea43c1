/* core/shard/stage.c - one stage of one shard: the step machine and the time its operators see.
 *
 *   IDLE --cut_count > step--> OPEN --all edges ended, step decoded--> ENDING --all operators ended--> IDLE, step + 1
 */
#include "core/ops/join.h"
#include "core/ops/over.h"
#include "core/ops/match.h"
#include "core/ops/rank.h"
#include "core/shard/job.h"

static bool is_edge_to(const struct job *job, uint32_t edge, uint32_t stage)
{
    return job->shard_count > 1 && job->edges[edge].to_stage == stage;
}

/* ---- opening ---- */

/* The unit an operator counts time in: nanoseconds if its time column does. */
static bool node_nanos(const struct job *job, const struct phys_node *node)
{
    switch (node->kind) {
    case NODE_ASSIGN:
    case NODE_PREAGG:
    case NODE_WINDOW:
    case NODE_SESSION:
    case NODE_WINDOW_CHANGES:
    case NODE_COUNT_WINDOW: return type_is_nanos(&node->aggregate.window.time_type);
    case NODE_OVER:
        if (node->over->time >= 0)
            return type_is_nanos(&node->over->time_type);
        break;
    case NODE_RANK:
        if (node->rank->how == RANK_FIRST || node->rank->how == RANK_WINDOW)
            return type_is_nanos(&node->rank->time_type);
        break;
    case NODE_SORT:
        if (node->sort->time >= 0)
            return type_is_nanos(&node->sort->time_type);
        break;
    case NODE_INTERVAL_JOIN:
    case NODE_WINDOW_JOIN: return type_is_nanos(&node->join->time_type);
    case NODE_MATCH: return type_is_nanos(&node->match->time_type);
    default: break;
    }
    for (uint32_t s = 0; s < job->source_count; s++)
        if ((node->sources >> s & 1) != 0 && job->sources[s].nanos)
            return true;
    return false;
}

/* What the domain's watermark of @source is held back by, in its unit. */
static int64_t domain_hold(const struct time_domain *domain, uint32_t source)
{
    const int64_t ns = domain->holds != NULL ? domain->holds[source] : 0;

    return domain->nanos ? ns : ns / 1000 + (ns % 1000 != 0);
}

static bool same_holds(const int64_t *a, const int64_t *b, uint32_t count)
{
    for (uint32_t s = 0; a != b && s < count; s++)
        if ((a != NULL ? a[s] : 0) != (b != NULL ? b[s] : 0))
            return false;
    return true;
}

static uint32_t stage_domain(const struct job *job, struct stage *stage,
                             const struct phys_node *node)
{
    const bool nanos = node_nanos(job, node);

    for (uint32_t i = 0; i < stage->domain_count; i++) {
        const struct time_domain *domain = &stage->domains[i];

        if (domain->sources == node->sources && domain->nanos == nanos &&
            same_holds(domain->holds, node->holds, job->source_count))
            return i;
    }
    stage->domains[stage->domain_count] = (struct time_domain){.sources = node->sources,
                                                               .nanos = nanos,
                                                               .holds = node->holds,
                                                               .w = TIME_MIN};
    return stage->domain_count++;
}

static bool stage_alloc(struct shard *shard, struct stage *stage)
{
    struct job *job = shard->job;
    const uint32_t nodes = job->plan->node_count + 1;

    stage->ops = heap_zalloc(&shard->heap, nodes * sizeof *stage->ops);
    stage->op_domain = heap_zalloc(&shard->heap, nodes * sizeof *stage->op_domain);
    stage->domains = heap_zalloc(&shard->heap, nodes * sizeof *stage->domains);
    stage->edges_in = heap_zalloc(&shard->heap, (job->edge_count + 1) * sizeof *stage->edges_in);
    return stage->ops != NULL && stage->op_domain != NULL && stage->domains != NULL &&
           stage->edges_in != NULL;
}

bool stage_open(struct shard *shard, struct stage *stage, uint32_t index)
{
    struct job *job = shard->job;

    stage->index = index;
    if (!stage_alloc(shard, stage))
        return false;
    for (uint32_t n = 0; n < job->plan->node_count; n++) {
        const struct phys_node *node = job->plan->nodes[n];

        if (shard->ops[n] == NULL || (job->shard_count > 1 && node->stage != index))
            continue;
        stage->ops[stage->op_count] = shard->ops[n];
        stage->op_domain[stage->op_count++] = stage_domain(job, stage, node);
    }
    for (uint32_t e = 0; e < job->edge_count; e++)
        if (is_edge_to(job, e, index))
            stage->edges_in[stage->edge_in_count++] = e;
    stage->silent = stage->edge_in_count > 0;
    for (uint32_t i = 0; i < stage->edge_in_count; i++) {
        const uint32_t to = job->edges[stage->edges_in[i]].to_shard;

        stage->silent = stage->silent && to != UINT32_MAX && to != shard->index;
    }
    return true;
}

static void splits_free(struct heap *heap, struct stage *stage)
{
    heap_free(heap, stage->g, stage->split_capacity * sizeof *stage->g);
    heap_free(heap, stage->clock_seen, stage->split_capacity * sizeof *stage->clock_seen);
    heap_free(heap, stage->split_source, stage->split_capacity * sizeof *stage->split_source);
    heap_free(heap, stage->split_name, stage->split_capacity * sizeof *stage->split_name);
}

void stage_close(struct shard *shard, struct stage *stage)
{
    const uint32_t nodes = shard->job->plan->node_count + 1;
    struct heap *heap = &shard->heap;

    heap_free(heap, stage->ops, nodes * sizeof *stage->ops);
    heap_free(heap, stage->op_domain, nodes * sizeof *stage->op_domain);
    heap_free(heap, stage->domains, nodes * sizeof *stage->domains);
    heap_free(heap, stage->edges_in, (shard->job->edge_count + 1) * sizeof *stage->edges_in);
    splits_free(heap, stage);
}

/* ---- time ---- */

static bool stage_know_splits(struct shard *shard, struct stage *stage, uint32_t count)
{
    struct job *job = shard->job;
    struct heap *heap = &shard->heap;

    if (count > stage->split_capacity) {
        const uint32_t old = stage->split_capacity;
        const uint32_t capacity = max_u32(16, count * 2);
        int64_t *g = heap_alloc(heap, capacity * sizeof *g);
        int64_t *seen = heap_alloc(heap, capacity * sizeof *seen);
        uint32_t *source = heap_alloc(heap, capacity * sizeof *source);
        const char **name = heap_alloc(heap, capacity * sizeof *name);

        if (g == NULL || seen == NULL || source == NULL || name == NULL) {
            heap_free(heap, g, capacity * sizeof *g);
            heap_free(heap, seen, capacity * sizeof *seen);
            heap_free(heap, source, capacity * sizeof *source);
            heap_free(heap, name, capacity * sizeof *name);
            mill_fail(&shard->error, MILL_E_MEMORY, 0, 0, "no memory for the times of %u splits",
                      count);
            return false;
        }
        if (old > 0) {
            memcpy(g, stage->g, old * sizeof *g);
            memcpy(seen, stage->clock_seen, old * sizeof *seen);
            memcpy(source, stage->split_source, old * sizeof *source);
            memcpy(name, stage->split_name, old * sizeof *name);
        }
        splits_free(heap, stage);
        stage->g = g;
        stage->clock_seen = seen;
        stage->split_source = source;
        stage->split_name = name;
        stage->split_capacity = capacity;
    }
    for (; stage->split_count < count; stage->split_count++) {
        stage->g[stage->split_count] = TIME_MIN;
        stage->clock_seen[stage->split_count] = job->start_clock_ns / 1000;
        stage->split_source[stage->split_count] = job->splits[stage->split_count].source;
        stage->split_name[stage->split_count] = job->splits[stage->split_count].name;
    }
    return true;
}

/* A value of a source's watermark in an operator's unit; never later than it was. */
static int64_t in_unit(int64_t value, bool from_nanos, bool to_nanos)
{
    int64_t out;

    if (from_nanos == to_nanos || value == TIME_MIN || value == TIME_MAX)
        return value;
    if (from_nanos)
        return floor_div(value, 1000);
    if (__builtin_mul_overflow(value, 1000, &out))
        return value < 0 ? TIME_MIN : TIME_MAX - 1;
    return out;
}

static bool split_idle(const struct job *job, const struct stage *stage, uint32_t split,
                       int64_t clock_us)
{
    const struct phys_node *node = job->sources[stage->split_source[split]].node;
    const int64_t timeout = node->kind == NODE_SOURCE ? node->source.watermark.idle_timeout_ns : 0;

    return timeout > 0 && (clock_us - stage->clock_seen[split]) > timeout / 1000;
}

/* Sources all of whose splits have ended before this step, and that can have no new ones. */
static uint64_t ended_sources(const struct job *job, const struct stage *stage)
{
    uint64_t open = 0;

    for (uint32_t i = 0; i < job->source_count; i++)
        if (source_may_grow(job->sources[i].source))
            open |= 1ull << i;
    for (uint32_t i = 0; i < stage->split_count; i++)
        if (stage->g[i] != TIME_MAX)
            open |= 1ull << stage->split_source[i];
    return ~open;
}

static void domain_before(struct shard *shard, struct stage *stage, struct time_domain *domain,
                          const struct step_entry *entry, uint64_t ended)
{
    const struct job *job = shard->job;
    struct step_time *t = &domain->t;

    *t = (struct step_time){.step = entry->step,
                            .split = entry->split,
                            .source = entry->split == NO_SPLIT ? UINT32_MAX : entry->source,
                            .g_split = TIME_MAX,
                            .g_others = TIME_MAX,
                            .clock_us = entry->clock_us,
                            .ended = ended};
    if (entry->split != NO_SPLIT)
        t->hold = domain_hold(domain, entry->source);
    for (uint32_t i = 0; i < stage->split_count; i++) {
        const uint32_t source = stage->split_source[i];
        int64_t g;

        if ((domain->sources >> source & 1) == 0)
            continue;
        g = time_add(in_unit(stage->g[i], job->sources[source].nanos, domain->nanos),
                     -domain_hold(domain, source));
        if (i == entry->split)
            t->g_split = g;
        else if (!split_idle(job, stage, i, entry->clock_us))
            t->g_others = min_i64(t->g_others, g);
    }
    t->w_before = t->w_after = domain->w;
}

bool stage_begin(struct shard *shard, struct stage *stage, const struct step_entry *entry)
{
    const struct job *job = shard->job;
    const uint32_t known = entry->split == NO_SPLIT ? 0 : entry->split + 1;
    uint64_t ended;

    shard->context.eval.clock_ns = entry->clock_us * 1000;
    shard->context.eval.step = entry->step;
    if (!stage_know_splits(shard, stage, max_u32(known, job->initial_splits)))
        return false;
    ended = ended_sources(job, stage);
    for (uint32_t i = 0; i < stage->domain_count; i++) {
        if (stage->index == 0 && job->shard_count > 1) {
            /* The front of several shards knows only its own step. */
            stage->domains[i].t =
                (struct step_time){.step = entry->step,
                                   .split = entry->split,
                                   .source = entry->split == NO_SPLIT ? UINT32_MAX : entry->source,
                                   .g_split = TIME_MIN,
                                   .g_others = TIME_MAX,
                                   .w_before = TIME_MIN,
                                   .w_after = TIME_MIN,
                                   .clock_us = entry->clock_us};
            continue;
        }
        domain_before(shard, stage, &stage->domains[i], entry, ended);
    }
    for (uint32_t i = 0; i < stage->op_count; i++) {
        struct op *op = stage->ops[i];

        if (op->vtable->begin_step != NULL &&
            op->vtable->begin_step(op, stage_time(stage, i)) == OP_FAILED)
            return false;
    }
    return true;
}

/* Splits may yet open for a domain all of whose known ones have ended: its watermark is not infinite then. */
static bool domain_may_grow(const struct job *job, const struct time_domain *domain)
{
    for (uint32_t i = 0; i < job->source_count; i++)
        if ((domain->sources >> i & 1) != 0 && source_may_grow(job->sources[i].source))
            return true;
    return false;
}

/* The greatest watermark value of the step's split in the step, as the domain sees it. */
static int64_t domain_in_step(const struct job *job, const struct time_domain *domain,
                              const struct step_entry *entry)
{
    return time_add(in_unit(entry->wm_max, job->sources[entry->source].nanos, domain->nanos),
                    -domain_hold(domain, entry->source));
}

/* The watermark after the step, once it is decoded. */
void stage_set_after(struct shard *shard, struct stage *stage, const struct step_entry *entry)
{
    const struct job *job = shard->job;
    const bool last = (entry->flags & STEP_LAST) != 0;

    for (uint32_t i = 0; i < stage->domain_count; i++) {
        struct time_domain *domain = &stage->domains[i];
        struct step_time *t = &domain->t;
        int64_t w = t->g_others;

        t->last = last;
        if (stage->index == 0 && job->shard_count > 1)
            continue;
        if (entry->split != NO_SPLIT && (domain->sources >> entry->source & 1) != 0) {
            const int64_t in_step = (entry->flags & STEP_SPLIT_END) != 0
                                        ? TIME_MAX
                                        : domain_in_step(job, domain, entry);

            w = min_i64(max_i64(t->g_split, in_step), w);
            if (w == TIME_MAX && domain_may_grow(job, domain))
                w = max_i64(t->g_split, domain_in_step(job, domain, entry));
        } else if (t->g_others == TIME_MAX) {
            w = domain->w; /* all idle: W holds */
        }
        if (last)
            w = TIME_MAX;
        t->w_after = max_i64(domain->w, w);
    }
}

/* The least watermark, in microseconds, that closes something held; TIME_MAX: none. */
static int64_t stage_waits_for(const struct stage *stage)
{
    int64_t waits = TIME_MAX;

    for (uint32_t i = 0; i < stage->op_count; i++) {
        const struct op_counters *c = &stage->ops[i]->counters;
        const struct time_domain *domain = &stage->domains[stage->op_domain[i]];

        /* (held back: its inputs must be further, by source; the waits of the join itself say so) */
        if (c->waits && domain->holds == NULL)
            waits = min_i64(waits, in_unit(c->waits_for, domain->nanos, false));
    }
    return waits;
}

/* What is held, and which split keeps its watermark back: for whoever asks why nothing comes out. */
static void stage_tell_holder(struct shard *shard, const struct stage *stage, int64_t clock_us)
{
    const struct job *job = shard->job;
    int64_t least = TIME_MAX, waits = TIME_MAX;
    uint32_t holder = UINT32_MAX;

    for (uint32_t x = job->first_stage; x < job->stage_count; x++)
        waits = min_i64(waits, stage_waits_for(&shard->stages[x]));
    for (uint32_t i = 0; i < stage->split_count && waits != TIME_MAX; i++) {
        const struct source_run *run = &job->sources[stage->split_source[i]];
        const int64_t g = in_unit(stage->g[i], run->nanos, false);

        if (run->has_time && g < least && !split_idle(job, stage, i, clock_us)) {
            least = g;
            holder = i;
        }
    }
    at_store_relaxed(&shard->live.holder_us, least);
    at_store_relaxed(&shard->live.waits_us, waits);
    at_store_relaxed(&shard->live.holder,
                     holder != UINT32_MAX ? (uintptr_t)stage->split_name[holder] : 0);
}

void stage_finish(struct shard *shard, struct stage *stage, const struct step_entry *entry)
{
    for (uint32_t i = 0; (entry->flags & STEP_AGAIN) != 0 && i < stage->split_count; i++)
        if (stage->split_source[i] == entry->source)
            stage->g[i] = TIME_MIN;
    if (entry->split != NO_SPLIT) {
        int64_t *g = &stage->g[entry->split];

        *g = (entry->flags & STEP_SPLIT_END) != 0 ? TIME_MAX : max_i64(*g, entry->wm_max);
        if ((entry->flags & STEP_EMPTY) == 0 || (entry->flags & STEP_SPLIT_OPEN) != 0)
            stage->clock_seen[entry->split] = entry->clock_us;
    }
    for (uint32_t i = 0; i < stage->domain_count; i++)
        stage->domains[i].w = stage->domains[i].t.w_after;
    if (stage->index == shard->job->first_stage)
        stage_tell_holder(shard, stage, entry->clock_us);
    if ((entry->flags & (STEP_LAST | STEP_ABORT)) != 0)
        stage->ended = true;
    else if (shard->rng != 0)
        shard_roundtrip(shard, stage);
    stage->phase = STAGE_IDLE;
    stage->step = entry->step + 1;
    /* R2, with A2 in job_min_done() and edge_ended(): everything of the step has been sent and flushed */
    at_store_release(&stage->done, stage->step);
}

/* ---- the machine ---- */

enum op_progress stage_resume(struct shard *shard, struct stage *stage)
{
    (void)shard;
    for (uint32_t i = stage->op_count; i-- > 0;) {
        struct op *op = stage->ops[i];
        enum op_progress p;

        if (op->vtable->resume == NULL)
            continue;
        p = op->vtable->resume(op, stage_time(stage, i));
        if (p != OP_READY)
            return p;
    }
    return OP_READY;
}

static uint32_t stage_receive(struct shard *shard, struct stage *stage,
                              const struct step_entry *entry)
{
    uint32_t ended = 0;

    for (uint32_t i = 0; i < stage->edge_in_count; i++) {
        const uint32_t e = stage->edges_in[(stage->next_edge + i) % stage->edge_in_count];

        switch (edge_receive(shard, stage, e)) {
        case EDGE_FAILED: shard_fail(shard); return 1;
        case EDGE_BUSY: stage->blocked = true; return 1;
        case EDGE_WORKED: stage->next_edge++; return 1;
        case EDGE_ENDED: ended++; break;
        case EDGE_WAITING: shard->traffic[shard->job->edges[e].node->id].empty++; break;
        }
    }
    /* A3: the front has published the step's watermark */
    if (ended < stage->edge_in_count || at_load_acquire(&entry->decoded) == 0) {
        stage_reached(shard, stage, entry);
        return 0;
    }
    stage_set_after(shard, stage, entry);
    stage->phase = STAGE_ENDING;
    stage->end_op = 0;
    return 1;
}

enum op_progress stage_end_op(const struct stage *stage, uint32_t n)
{
    const uint32_t i = n % stage->op_count;
    struct op *op = stage->ops[i];
    enum op_progress (*end)(struct op *, const struct step_time *) =
        n < stage->op_count ? op->vtable->rows_ended : op->vtable->end_step;

    return end != NULL ? end(op, stage_time(stage, i)) : OP_READY;
}

static void stage_end(struct shard *shard, struct stage *stage, const struct step_entry *entry)
{
    const bool abort = (entry->flags & STEP_ABORT) != 0;

    while (stage->end_op < 2 * stage->op_count) {
        const uint32_t n = stage->end_op++;
        const enum op_progress p = abort ? OP_READY : stage_end_op(stage, n);

        if (p == OP_FAILED) {
            shard_fail(shard);
            return;
        }
        if (p == OP_BUSY) {
            stage->blocked = true;
            return;
        }
    }
    stage_finish(shard, stage, entry);
}

/* Stages of one shard are at different steps: each computes with its own step's clock. */
static void use_clock(struct shard *shard, const struct step_entry *entry)
{
    shard->context.eval.clock_ns = entry->clock_us * 1000;
    shard->context.eval.step = entry->step;
}

uint32_t stage_turn(struct shard *shard, struct stage *stage)
{
    struct job *job = shard->job;
    const struct step_entry *entry;
    const uint64_t worked = shard->context.work;

    if (stage->ended)
        return 0;
    if (stage->phase != STAGE_IDLE)
        use_clock(shard, job_entry(job, stage->step));
    if (stage->blocked) {
        switch (stage_resume(shard, stage)) {
        case OP_FAILED: shard_fail(shard); return 1;
        case OP_BUSY:
            stage_reached(shard, stage, job_entry(job, stage->step));
            return shard->context.work != worked;
        default: stage->blocked = false;
        }
    }
    /* A4, with R4 in entry_write() */
    if (stage->phase == STAGE_IDLE && at_load_acquire(&job->cut_count) <= stage->step)
        return 0;
    entry = job_entry(job, stage->step);
    use_clock(shard, entry);
    switch (stage->phase) {
    case STAGE_IDLE:
        if (!stage_begin(shard, stage, entry)) {
            shard_fail(shard);
            return 1;
        }
        stage->phase = STAGE_OPEN;
        return 1;
    case STAGE_OPEN: return stage_receive(shard, stage, entry);
    default: stage_end(shard, stage, entry); return 1;
    }
}
