/* core/shard/step.c - the cursor token: choosing a split, cutting a step, entering it in the directory. */
#include "core/shard/job.h"

/* ---- opening ---- */

static bool splits_add(struct job *job, uint32_t source)
{
    struct source_run *run = &job->sources[source];
    const uint32_t count = run->source->vtable->split_count(run->source);

    while (run->splits_seen < count) {
        if (job->split_count == SPLITS_MAX)
            return false;
        job->splits[job->split_count++] =
            (struct split){.source = source,
                           .local = run->splits_seen,
                           .name = run->source->vtable->split_name(run->source, run->splits_seen),
                           .g_known = TIME_MIN};
        run->splits_seen++;
        job->live_splits++;
    }
    return true;
}

static int source_run_open(struct job *job, struct source_run *run, struct mill_error *error)
{
    const struct phys_node *node = run->node;
    const struct source_node *s = &node->source;
    struct source_config config = {
        .env = job->env,
        .kernels = job->kernels,
        .heap = &run->heap,
        .options = s->options,
        .schema = &s->decoded,
        .metadata = s->metadata,
        .wanted = s->wanted,
        .wanted_fields = s->wanted_fields,
        .step_bytes = job->config.step_bytes,
        .step_rows = job->config.step_rows,
        .shard_count = job->shard_count,
        .io = job->config.io,
        .seed = job->config.seed,
        .inline_only = job->inline_only,
        .bad = &run->bad.rows,
    };
    const struct source_vtable *vtable = node->kind == NODE_VALUES ? &values_source
                                         : s->vtable != NULL       ? s->vtable
                                                                   : &memory_source;

    heap_open_shared(&run->heap, job->env, job->budget);
    if (bad_policy_open(job, &run->bad, node, error) != MILL_OK)
        return error != NULL ? error->code : MILL_E_IO;
    run->has_time = node->kind == NODE_SOURCE && s->watermark.column >= 0;
    run->nanos = run->has_time && type_is_nanos(&node->schema.fields[s->watermark.column].type);
    run->again_us = node->kind == NODE_SOURCE ? s->reload_us : 0;
    run->again_at_us = time_add(job_clock_ns(job) / 1000, run->again_us);
    if (node->kind == NODE_VALUES || (vtable == &memory_source))
        config.options = (const void *)node; /* core's own sources read their plan node */
    return vtable->open(&config, &run->source, error);
}

int job_open_sources(struct job *job, struct mill_error *error)
{
    job->splits = heap_zalloc(&job->heap, SPLITS_MAX * sizeof *job->splits);
    if (job->splits == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for the table of splits");
    for (uint32_t i = 0; i < job->source_count; i++) {
        int code;

        job->sources[i].node = job->plan->sources[i];
        code = source_run_open(job, &job->sources[i], error);
        if (code != MILL_OK)
            return code;
        if (!splits_add(job, i))
            return mill_fail(error, MILL_E_ARGUMENT, 0, 0, "more than %u files or splits",
                             SPLITS_MAX);
    }
    job->initial_splits = job->splits_entered = job->split_count;
    return MILL_OK;
}

void job_close_sources(struct job *job)
{
    for (uint32_t i = 0; i < job->source_count; i++) {
        struct source_run *run = &job->sources[i];

        if (run->source != NULL)
            run->source->vtable->close(run->source);
        bad_policy_close(job, &run->bad, NULL);
        heap_close(&run->heap);
    }
    heap_free(&job->heap, job->splits, SPLITS_MAX * sizeof *job->splits);
    job->splits = NULL;
}

/* ---- progress ---- */

uint64_t job_min_done(const struct job *job)
{
    uint64_t least = UINT64_MAX;

    for (uint32_t i = 0; i < job->shard_count; i++)
        for (uint32_t x = job->first_stage; x < job->stage_count; x++)
            /* A2, with R2 in stage_finish(): all effects of the step have happened */
            least = min_u64(least, at_load_acquire(&job->shards[i]->stages[x].done));
    return least;
}

void shard_release_pieces(struct shard *shard, bool all)
{
    struct job *job = shard->job;
    uint64_t done;

    if (shard->released_head == shard->released_tail)
        return;
    done = all ? UINT64_MAX : job_min_done(job);
    while (shard->released_head != shard->released_tail) {
        const uint64_t step = shard->released[shard->released_head & shard->released_mask];
        struct step_entry *entry = job_entry(job, step);
        struct source *source = job->sources[entry->source].source;

        if (step >= done)
            return;
        source->vtable->release(source, &entry->piece);
        shard->released_head++;
    }
}

/* Applies the watermarks of the steps below next - D. False: one of them is not decoded yet. */
static bool known_advance(struct job *job)
{
    const uint64_t upto =
        job->next_step > job->config.look_back ? job->next_step - job->config.look_back : 0;

    for (; job->known_through < upto; job->known_through++) {
        const struct step_entry *entry = job_entry(job, job->known_through);

        /* A3, with R3 in front_end(): wm_max is written */
        if (at_load_acquire(&entry->decoded) == 0)
            return false;
        if (entry->split != NO_SPLIT)
            job->splits[entry->split].g_known =
                max_i64(job->splits[entry->split].g_known, entry->wm_max);
    }
    return true;
}

/* ---- choosing ---- */

static int128 split_g(const struct job *job, const struct split *split)
{
    const struct source_run *run = &job->sources[split->source];

    if (split->g_known == TIME_MIN || split->g_known == TIME_MAX)
        return (int128)split->g_known * 2000;
    return (int128)split->g_known * (run->nanos ? 1 : 1000);
}

/* The live split furthest behind; without event time: as the least of the others; ties: fewest steps, number.
 * @tried: local marks of splits that had nothing (live sources only). */
static int64_t choose_split(const struct job *job, const uint8_t *tried)
{
    int128 least = 0, best_g = 0;
    bool any = false, first = false;
    int64_t best = -1;

    for (uint32_t i = 0; i < job->split_count; i++) {
        const struct split *s = &job->splits[i];

        first = first || (!s->ended && job->sources[s->source].node->read_first);
        if (s->ended || !job->sources[s->source].has_time)
            continue;
        if (!any || split_g(job, s) < least)
            least = split_g(job, s);
        any = true;
    }
    for (uint32_t i = 0; i < job->split_count; i++) {
        const struct split *s = &job->splits[i];
        const int128 g = job->sources[s->source].has_time ? split_g(job, s) : least;

        if (s->ended || (first && !job->sources[s->source].node->read_first) ||
            (tried != NULL && (tried[i >> 3] >> (i & 7) & 1) != 0))
            continue;
        if (best < 0 || g < best_g || (g == best_g && s->steps_cut < job->splits[best].steps_cut)) {
            best = i;
            best_g = g;
        }
    }
    return best;
}

/* ---- entering ---- */

static struct step_entry *entry_write(struct shard *shard, uint32_t split, uint32_t flags,
                                      const struct piece *piece)
{
    struct job *job = shard->job;
    struct step_entry *entry = job_entry(job, job->next_step);
    const int64_t now = job_clock_ns(job) / 1000;

    job->last_clock_us = max_i64(job->last_clock_us, now);
    entry->step = job->next_step;
    entry->split = split;
    entry->source = split != NO_SPLIT ? job->splits[split].source : 0;
    entry->cutter = shard->index;
    entry->flags = flags;
    entry->clock_us = job->last_clock_us;
    entry->wm_max = TIME_MIN;
    entry->rows = 0;
    if (piece != NULL) {
        entry->piece = *piece;
        entry->piece.split = split;
        entry->piece.step = entry->step;
    }
    /* With one shard an empty step goes through the front like any other. */
    at_store_relaxed(&entry->decoded, (flags & STEP_EMPTY) != 0 && job->shard_count > 1);
    if (split != NO_SPLIT)
        job->splits[split].steps_cut++;
    if ((flags & (STEP_LAST | STEP_ABORT)) != 0)
        job->last_cut = true;
    job->next_step++;
    /* R4, with A4 in stage_turn(): the entry is complete before it is seen */
    at_store_release(&job->cut_count, job->next_step);
    return entry;
}

static void take_entry(struct shard *shard, struct step_entry *entry)
{
    struct front *front = &shard->front;

    *front = (struct front){.active = true,
                            .decoding = (entry->flags & STEP_EMPTY) == 0,
                            .entry = entry,
                            .g = TIME_MIN};
    if (front->decoding)
        shard->released[shard->released_tail++ & shard->released_mask] = entry->step;
}

static void enter_empty(struct shard *shard, uint32_t split, uint32_t flags)
{
    struct step_entry *entry = entry_write(shard, split, flags | STEP_EMPTY, NULL);

    if (shard->job->shard_count == 1)
        take_entry(shard, entry);
}

static bool is_live(const struct source *source)
{
    return source->vtable->live || source->live;
}

bool source_may_grow(const struct source *source)
{
    return source->grows || (source->vtable->live && source->vtable != &memory_source);
}

static bool more_may_open(const struct job *job)
{
    for (uint32_t i = 0; i < job->source_count; i++)
        if (source_may_grow(job->sources[i].source))
            return true;
    return false;
}

static bool source_ended(const struct job *job, uint32_t source)
{
    for (uint32_t i = 0; i < job->split_count; i++)
        if (job->splits[i].source == source && !job->splits[i].ended)
            return false;
    return true;
}

/* The end of one split; the run's last step when it was the last one. */
static void cut_end(struct shard *shard, uint32_t split)
{
    struct job *job = shard->job;
    struct source_run *run = &job->sources[job->splits[split].source];
    uint32_t flags = STEP_SPLIT_END;

    job->splits[split].ended = true;
    job->live_splits--;
    if (job->live_splits == 0 && !more_may_open(job))
        flags |= STEP_LAST;
    run->last_step = job->next_step;
    enter_empty(shard, split, flags);
    if (!run->node->source.reload_at_rate)
        run->again_at_us = time_add(job->last_clock_us, run->again_us);
}

static enum cut measured_cut(struct shard *shard, const struct split *s, struct piece *piece,
                             struct mill_error *error)
{
    const struct source_run *run = &shard->job->sources[s->source];
    const uint32_t outer = profile_enter(shard->profile, PART_READ, run->node->id);
    const enum cut cut = run->source->vtable->cut(run->source, s->local, piece, error);

    if (cut == CUT_WAIT && shard->profile != NULL)
        shard->profile->waits_for = run->node->id;
    if (cut == CUT_WAIT)
        profile_forget(shard->profile, outer);
    else
        profile_leave(shard->profile, outer);
    return cut;
}

static uint32_t cut_split(struct shard *shard, uint32_t split, bool *waits)
{
    struct job *job = shard->job;
    struct split *s = &job->splits[split];
    struct piece piece = {.watermark = TIME_MIN};
    struct mill_error error = {0};

    switch (measured_cut(shard, s, &piece, &error)) {
    case CUT_DATA: take_entry(shard, entry_write(shard, split, 0, &piece)); return 1;
    case CUT_WAIT: *waits = true; return 0;
    case CUT_END: cut_end(shard, split); return 1;
    default:
        /* What was whole has been cut: process it to the end, then report. */
        if (error.code == MILL_E_MEMORY)
            memory_explain(job, job->sources[s->source].node, NULL, &error);
        if (job->deferred.code == MILL_OK)
            job->deferred = error;
        cut_end(shard, split);
        return 1;
    }
}

/* A new split of a monitored folder begins with an empty step, so that all see it at the same place. */
static uint32_t cut_opened(struct shard *shard)
{
    struct job *job = shard->job;

    for (uint32_t i = 0; i < job->source_count; i++)
        if ((is_live(job->sources[i].source) || job->sources[i].source->grows) &&
            !splits_add(job, i))
            mill_fail(&job->deferred, MILL_E_ARGUMENT, 0, 0, "more than %u splits", SPLITS_MAX);
    if (job->splits_entered == job->split_count)
        return 0;
    enter_empty(shard, job->splits_entered++, STEP_SPLIT_OPEN);
    return 1;
}

/* What is looked up in and has had its time is read anew, before a row of a later clock. @waits: its last steps are not done. */
static uint32_t cut_again(struct shard *shard, bool *waits)
{
    struct job *job = shard->job;

    for (uint32_t i = 0; i < job->source_count; i++) {
        struct source_run *run = &job->sources[i];
        const int64_t now = run->again_us > 0 ? job_clock_ns(job) / 1000 : 0;
        int64_t first = -1;

        if (run->again_us == 0 || now < run->again_at_us || !source_ended(job, i))
            continue;
        job->min_done = job_min_done(job);
        *waits = job->min_done <= run->last_step;
        if (*waits)
            return 0;
        run->source->vtable->again(run->source);
        run->again_at_us = time_add(now, run->again_us);
        for (uint32_t k = job->split_count; k-- > 0;)
            if (job->splits[k].source == i) {
                job->splits[k].ended = false;
                job->live_splits++;
                first = k;
            }
        enter_empty(shard, (uint32_t)first, STEP_AGAIN);
        return 1;
    }
    return 0;
}

static bool all_live(const struct job *job)
{
    for (uint32_t i = 0; i < job->split_count; i++)
        if (!job->splits[i].ended && !is_live(job->sources[job->splits[i].source].source))
            return false;
    return true;
}

/* A quiet live input: time passes all the same for idle timeouts and processing-time windows. */
static uint32_t cut_clock(struct shard *shard)
{
    struct job *job = shard->job;
    const int64_t now = job_clock_ns(job) / 1000;

    if (!job->has_processing_time || now - job->last_clock_us < 10000)
        return 0;
    enter_empty(shard, NO_SPLIT, 0);
    return 1;
}

static uint32_t cut_under_token(struct shard *shard)
{
    struct job *job = shard->job;
    uint8_t tried[SPLITS_MAX / 8];
    const uint32_t stop = at_load_relaxed(job->stop);
    bool waits = false;
    int64_t split;
    uint32_t work;

    if (job->last_cut)
        return 0;
    if (job->next_step - job->min_done >= job->config.run_ahead) {
        job->min_done = job_min_done(job);
        if (job->next_step - job->min_done >= job->config.run_ahead) {
            shard->probes[PROBE_RUN_AHEAD]++;
            return 0;
        }
    }
    if (stop != 0 || (job->live_splits == 0 && !more_may_open(job))) {
        enter_empty(shard, NO_SPLIT, stop == 2 ? STEP_ABORT : STEP_LAST);
        return 1;
    }
    if (!known_advance(job) && job->split_count > 1) {
        shard->probes[PROBE_LOOK_BACK]++;
        return 0;
    }
    work = cut_opened(shard);
    if (work == 0)
        work = cut_again(shard, &waits);
    if (work > 0 || waits)
        return work;
    memset(tried, 0, (job->split_count + 7) / 8);
    while ((split = choose_split(job, tried)) >= 0) {
        waits = false;
        work = cut_split(shard, (uint32_t)split, &waits);
        shard->probes[PROBE_WAITED_FOR_BYTES] += waits;
        /* A bounded split that is not in memory yet is waited for: the order must not depend on the disk. */
        if (work > 0 || (waits && !all_live(job)))
            return work;
        tried[split >> 3] |= (uint8_t)(1u << (split & 7));
    }
    return cut_clock(shard);
}

uint32_t shard_cut(struct shard *shard)
{
    struct job *job = shard->job;
    uint32_t work;

    if (at_load_relaxed(&job->token) != 0 || at_exchange_acquire(&job->token, 1) != 0)
        return 0; /* A5: what the last holder wrote is seen */
    work = cut_under_token(shard);
    at_store_release(&job->token, 0); /* R5 */
    return work;
}

uint32_t shard_pump(struct shard *shard)
{
    struct job *job = shard->job;
    uint32_t work = 0;

    for (uint32_t i = 0; i < job->source_count; i++) {
        struct source_run *run = &job->sources[i];
        uint32_t outer, pumped;

        if (run->source->vtable->pump == NULL || at_load_relaxed(&run->pumping) != 0 ||
            at_exchange_acquire(&run->pumping, 1) != 0)
            continue;
        outer = profile_enter(shard->profile, PART_READ, run->node->id);
        pumped = run->source->vtable->pump(run->source, shard->idle_turns > 16, &shard->error);
        if (pumped > 0)
            profile_leave(shard->profile, outer);
        else
            profile_forget(shard->profile, outer);
        work += pumped;
        at_store_release(&run->pumping, 0);
    }
    return work;
}
