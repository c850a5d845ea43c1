/* core/ops/match_threads.c - the machine of ordered threads: one attempt of one partition, row by row. */
#include "core/ops/match_impl.h"
#include "core/values.h"

/* ---- steps ---- */

static bool steps_grow(struct match_op *m)
{
    const uint32_t room = m->step_room == 0 ? 1024 : m->step_room * 2;
    struct match_step *steps;

    if (m->step_room > UINT32_MAX / 2)
        return false;
    steps = heap_grow(m->op.heap, m->steps, m->step_room * sizeof *steps, room * sizeof *steps);
    if (steps == NULL)
        return false;
    m->steps = steps;
    m->step_room = room;
    return true;
}

/* 0: no memory. Takes a share of @parent. */
uint32_t match_step_new(struct match_op *m, uint32_t parent, uint8_t variable, bool excluded)
{
    uint32_t id = m->step_free;

    if (id != 0) {
        m->step_free = m->steps[id].parent;
    } else {
        if (m->step_count + 1 >= m->step_room && !steps_grow(m))
            return 0;
        id = ++m->step_count;
    }
    m->steps[id] = (struct match_step){parent, 1, variable, excluded};
    if (parent != 0)
        m->steps[parent].shares++;
    return id;
}

void match_step_drop(struct match_op *m, uint32_t id)
{
    while (id != 0 && --m->steps[id].shares == 0) {
        const uint32_t parent = m->steps[id].parent;

        m->steps[id].parent = m->step_free;
        m->step_free = id;
        id = parent;
    }
}

/* ---- the list being made ---- */

static void too_many(struct match_op *m, const struct match_partition *p)
{
    const struct match_row *first = match_row(m, p, p->start);
    char time[40] = "";

    if (m->node->time >= 0)
        time_format(first->time, &m->node->time_type, time, sizeof time);
    mill_fail(m->op.context->error, MILL_E_DATA, m->node->line, m->node->column,
              "MATCH_RECOGNIZE has more than %u partial matches that begin with one row%s%s: make "
              "the conditions in DEFINE stricter, use WITHIN, or raise "
              "'millstream.match.partial-matches'",
              m->node->partials_max, time[0] != '\0' ? ", of " : "", time);
    m->failed = true;
}

static bool list_grow(struct match_op *m)
{
    const uint32_t room = m->list_room == 0 ? 16 : m->list_room * 2;
    const size_t bytes = m->thread_bytes;
    char *list = heap_alloc(m->op.heap, room * bytes);
    uint32_t *next = heap_alloc(m->op.heap, room * sizeof *next);

    if (list == NULL || next == NULL) {
        heap_free(m->op.heap, list, room * bytes);
        heap_free(m->op.heap, next, room * sizeof *next);
        return false;
    }
    if (m->list_count > 0) {
        memcpy(list, m->list, m->list_count * bytes);
        memcpy(next, m->next_at, m->list_count * sizeof *next);
    }
    heap_free(m->op.heap, m->list, m->list_room * bytes);
    heap_free(m->op.heap, m->next_at, m->list_room * sizeof *next);
    m->list = list;
    m->next_at = next;
    m->list_room = room;
    return true;
}

/* A thread at the same place that will do the same as @t. */
static bool is_there(const struct match_op *m, const struct match_thread *t, uint32_t pc)
{
    const struct match_live *live = &m->live[pc];

    if (m->begun[pc] != m->turn || live->opaque)
        return false;
    for (uint32_t i = m->first_at[pc]; i != 0; i = m->next_at[i - 1]) {
        const struct match_thread *other = match_thread_at(m, m->list, i - 1);
        uint32_t w = 0;

        while (w < live->count && other->registers[live->words[w]] == t->registers[live->words[w]])
            w++;
        if (w == live->count)
            return true;
    }
    return false;
}

static void list_add(struct match_op *m, const struct match_partition *p,
                     const struct match_thread *t, uint32_t pc)
{
    struct match_thread *made;

    if (is_there(m, t, pc))
        return;
    if (m->list_count == m->node->partials_max) {
        too_many(m, p);
        return;
    }
    if (m->list_count == m->list_room && !list_grow(m)) {
        m->failed = true;
        return;
    }
    made = match_thread_at(m, m->list, m->list_count);
    memcpy(made, t, m->thread_bytes);
    made->pc = pc;
    if (t->step != 0)
        m->steps[t->step].shares++;
    m->next_at[m->list_count] = m->begun[pc] == m->turn ? m->first_at[pc] : 0;
    m->begun[pc] = m->turn;
    m->first_at[pc] = ++m->list_count;
}

static void accept(struct match_op *m, struct match_partition *p, const struct match_thread *t)
{
    if (t->step != 0)
        m->steps[t->step].shares++;
    if (p->has_best)
        match_step_drop(m, p->best);
    p->best = t->step;
    p->best_length = t->length;
    p->has_best = true;
    m->cut = true; /* whatever is less preferred */
}

/* All ways from a place on that take no row, to the list. */
static void follow(struct match_op *m, struct match_partition *p, const struct match_thread *t,
                   const struct match_closure *c)
{
    for (uint32_t i = 0; i < c->count && !m->failed; i++)
        list_add(m, p, t, c->places[i]);
    if (c->accepts && !m->failed)
        accept(m, p, t);
}

/* The list becomes the partition's threads. */
static bool list_keep(struct match_op *m, struct match_partition *p)
{
    const size_t bytes = m->thread_bytes;

    if (m->list_count > p->thread_room) {
        uint32_t room = p->thread_room * 2;
        char *threads;

        while (room < m->list_count)
            room *= 2;
        threads = heap_alloc(m->op.heap, room * bytes);
        if (threads == NULL) {
            m->failed = true;
            return false;
        }
        if (p->threads != NULL)
            heap_free(m->op.heap, p->threads, p->thread_room * bytes);
        p->threads = threads;
        p->thread_room = room;
    }
    if (m->list_count > 0)
        memcpy(match_threads(m, p), m->list, m->list_count * bytes);
    p->thread_count = m->list_count;
    m->partials_most = max_u64(m->partials_most, m->list_count);
    m->list_count = 0;
    return !m->failed;
}

static void list_begin(struct match_op *m)
{
    m->list_count = 0;
    m->cut = false;
    m->turn++;
}

/* Without memory the list's shares go. */
static bool list_end(struct match_op *m, struct match_partition *p)
{
    if (!m->failed && list_keep(m, p))
        return true;
    for (uint32_t i = 0; i < m->list_count; i++)
        match_step_drop(m, match_thread_at(m, m->list, i)->step);
    m->list_count = 0;
    return false;
}

/* ---- attempts ---- */

bool match_begin(struct match_op *m, struct match_partition *p)
{
    struct match_thread *t = (struct match_thread *)(void *)m->scratch_thread;

    memset(t, 0, m->thread_bytes);
    p->active = true;
    p->timed = false;
    p->has_best = false;
    p->best = p->best_length = 0;
    list_begin(m);
    follow(m, p, t, p->number + p->start == 0 ? &m->at_first : &m->closures[0]);
    return list_end(m, p);
}

static bool take_row(struct match_op *m, struct match_partition *p, const struct match_thread *t)
{
    const struct match_code *code = &m->node->pattern.code[t->pc];
    struct match_thread *made = (struct match_thread *)(void *)m->scratch_thread;

    memcpy(made, t, m->thread_bytes);
    made->step = match_step_new(m, t->step, (uint8_t)code->x, code->excluded);
    if (made->step == 0) {
        m->failed = true;
        return false;
    }
    made->length++;
    match_take(m, p, made, code->x, p->next);
    follow(m, p, made, &m->closures[t->pc + 1]);
    match_step_drop(m, made->step);
    return !m->failed;
}

bool match_feed(struct match_op *m, struct match_partition *p)
{
    const struct match_code *code = m->node->pattern.code;
    char *threads = match_threads(m, p);
    const uint32_t count = p->thread_count;

    list_begin(m);
    for (uint32_t i = 0; i < count; i++) {
        const struct match_thread *t = match_thread_at(m, threads, i);

        if (!m->cut && !m->failed && code[t->pc].op == MATCH_CHAR &&
            match_meets(m, p, t, code[t->pc].x, p->next))
            take_row(m, p, t);
        match_step_drop(m, t->step);
    }
    p->thread_count = 0;
    return list_end(m, p);
}

bool match_end(struct match_op *m, struct match_partition *p)
{
    char *threads = match_threads(m, p);
    const uint32_t count = p->thread_count;

    list_begin(m);
    for (uint32_t i = 0; i < count; i++) {
        const struct match_thread *t = match_thread_at(m, threads, i);

        if (!m->cut && m->at_end[t->pc])
            accept(m, p, t);
        match_step_drop(m, t->step);
    }
    p->thread_count = 0;
    return list_end(m, p);
}

void match_expire(struct match_op *m, struct match_partition *p, bool row_came)
{
    char *threads = match_threads(m, p);
    uint32_t kept = 0;

    for (uint32_t i = 0; i < p->thread_count; i++) {
        const struct match_thread *t = match_thread_at(m, threads, i);

        if (row_came || m->node->pattern.code[t->pc].op != MATCH_END)
            match_step_drop(m, t->step);
        else if (kept++ < i)
            memcpy(match_thread_at(m, threads, kept - 1), t, m->thread_bytes);
    }
    p->thread_count = kept;
}

void match_kill(struct match_op *m, struct match_partition *p)
{
    char *threads = match_threads(m, p);

    for (uint32_t i = 0; i < p->thread_count; i++)
        match_step_drop(m, match_thread_at(m, threads, i)->step);
    p->thread_count = 0;
    if (p->has_best)
        match_step_drop(m, p->best);
    p->has_best = p->active = p->timed = false;
}

/* ---- life ---- */

static bool reads(const struct expr *e, uint32_t item)
{
    if (e->kind == EXPR_COLUMN)
        return e->index == item;
    for (uint32_t i = 0; i < e->arg_count; i++)
        if (reads(e->args[i], item))
            return true;
    return false;
}

/* Last rows that must be known for an item: where the row at hand is one of them, one less. */
static uint32_t lasts_for(const struct match_op *m, uint32_t item)
{
    const struct match_node *node = m->node;
    const uint32_t n = node->define_items[item].offset;

    for (uint32_t v = 0; v < node->variable_count; v++)
        if (node->defines[v].condition != NULL && (node->define_items[item].mask >> v & 1) == 0 &&
            reads(node->defines[v].condition, item))
            return n + 1;
    return n;
}

/* Trackers: one per mask, as deep as the deepest item. */
static bool trackers_open(struct match_op *m)
{
    const struct match_node *node = m->node;
    uint32_t at = 0;

    m->trackers = heap_zalloc(m->op.heap, (node->define_item_count + 1) * sizeof *m->trackers);
    m->item_tracker = heap_zalloc(m->op.heap, (node->define_item_count + 1) * sizeof(uint32_t));
    if (m->trackers == NULL || m->item_tracker == NULL)
        return false;
    for (uint32_t i = 0; i < node->define_item_count; i++) {
        const struct match_item *item = &node->define_items[i];
        uint32_t k = 0;

        if (item->kind != ITEM_VALUE && item->kind != ITEM_CLASSIFIER)
            continue;
        while (k < m->tracker_count && m->trackers[k].mask != item->mask)
            k++;
        if (k == m->tracker_count)
            m->trackers[m->tracker_count++].mask = item->mask;
        if (item->first)
            m->trackers[k].firsts = max_u32(m->trackers[k].firsts, item->offset + 1);
        else
            m->trackers[k].lasts = max_u32(m->trackers[k].lasts, lasts_for(m, i));
        m->item_tracker[i] = k;
    }
    for (uint32_t k = 0; k < m->tracker_count; k++) {
        m->trackers[k].at = at;
        at += m->trackers[k].firsts + m->trackers[k].lasts;
    }
    m->register_count = at;
    return true;
}

static enum match_sum how_summed(const struct agg_spec *agg)
{
    const enum phys phys = agg->arg >= 0 ? type_phys(&agg->arg_type) : PHYS_NONE;
    const bool words = phys >= PHYS_I8 && phys <= PHYS_I64;
    const bool real = agg->arg_type.kind == MILL_DOUBLE;

    if (agg->distinct)
        return SUM_AGAIN;
    switch (agg->kind) {
    case AGG_COUNT:
    case AGG_COUNT_STAR: return SUM_COUNT;
    case AGG_SUM:
    case AGG_AVG:
        return real ? SUM_REAL : type_is_integer(&agg->arg_type) ? SUM_INTEGER : SUM_AGAIN;
    case AGG_MIN: return words || real ? SUM_LEAST : SUM_AGAIN;
    case AGG_MAX: return words || real ? SUM_GREATEST : SUM_AGAIN;
    default: return SUM_AGAIN;
    }
}

static bool totals_open(struct match_op *m)
{
    const struct match_node *node = m->node;
    uint32_t at = (uint32_t)ALIGN_UP(sizeof(struct match_thread) + 4 * m->register_count, 8u);

    m->totals = heap_zalloc(m->op.heap, (node->define_item_count + 1) * sizeof *m->totals);
    m->item_total = heap_zalloc(m->op.heap, (node->define_item_count + 1) * sizeof(uint32_t));
    if (m->totals == NULL || m->item_total == NULL)
        return false;
    for (uint32_t i = 0; i < node->define_item_count; i++) {
        const struct agg_spec *agg = &node->define_items[i].agg;
        struct match_total *total = &m->totals[m->total_count];

        if (node->define_items[i].kind != ITEM_AGGREGATE)
            continue;
        m->item_total[i] = m->total_count++;
        *total = (struct match_total){.how = how_summed(agg),
                                      .item = i,
                                      .at = at,
                                      .real = agg->arg_type.kind == MILL_DOUBLE};
        if (total->how != SUM_AGAIN) {
            at += sizeof(struct match_sum_state);
            continue;
        }
        total->set = agg_set_new(m->op.heap, m->op.context->kernels, agg, 1, false);
        if (total->set == NULL)
            return false;
    }
    m->thread_bytes = at;
    return true;
}

static void live_item(const struct match_op *m, struct match_live *live, uint32_t i, bool *seen)
{
    const struct match_item *item = &m->node->define_items[i];
    const struct match_tracker *k = &m->trackers[m->item_tracker[i]];
    const struct match_total *total = &m->totals[m->item_total[i]];
    uint32_t first = k->at, count = k->firsts + k->lasts;

    live->opaque = live->opaque || item->kind == ITEM_CLASSIFIER;
    if (item->kind == ITEM_NUMBER)
        return;
    if (item->kind == ITEM_AGGREGATE) {
        live->opaque = live->opaque || total->how == SUM_AGAIN;
        first = (total->at - (uint32_t)sizeof(struct match_thread)) / 4;
        count = total->how == SUM_AGAIN ? 0 : sizeof(struct match_sum_state) / 4;
    }
    for (uint32_t w = first; w < first + count; w++) {
        if (!seen[w])
            live->words[live->count++] = w;
        seen[w] = true;
    }
}

static bool live_open(struct match_op *m)
{
    struct heap *heap = m->op.heap;
    const struct match_pattern *pattern = &m->node->pattern;
    const uint32_t words = m->thread_bytes / 4 + 1;
    uint64_t *reachable = heap_alloc(heap, pattern->count * sizeof *reachable);
    bool *seen = heap_alloc(heap, words);
    bool ok = reachable != NULL && seen != NULL;

    m->live = heap_zalloc(heap, pattern->count * sizeof *m->live);
    if (ok)
        match_reachable(pattern, reachable);
    for (uint32_t pc = 0; ok && m->live != NULL && pc < pattern->count; pc++) {
        struct match_live *live = &m->live[pc];

        if (pattern->code[pc].op != MATCH_CHAR && pattern->code[pc].op != MATCH_END)
            continue;
        live->words = heap_alloc(heap, words * sizeof *live->words);
        ok = live->words != NULL;
        memset(seen, 0, words);
        for (uint32_t v = 0; ok && v < m->node->variable_count; v++)
            for (uint32_t i = 0; (reachable[pc] >> v & 1) != 0 && i < m->conditions[v].item_count;
                 i++)
                live_item(m, live, m->conditions[v].items[i], seen);
    }
    heap_free(heap, reachable, pattern->count * sizeof *reachable);
    heap_free(heap, seen, words);
    return ok && m->live != NULL;
}

/* Trackers and totals first: conditions are compiled over them; then match_threads_ready(). */
bool match_threads_open(struct match_op *m)
{
    return trackers_open(m) && totals_open(m);
}

bool match_threads_ready(struct match_op *m)
{
    struct heap *heap = m->op.heap;
    const uint32_t count = m->node->pattern.count;

    m->scratch_thread = heap_zalloc(heap, m->thread_bytes);
    m->begun = heap_zalloc(heap, count * sizeof *m->begun);
    m->first_at = heap_zalloc(heap, count * sizeof *m->first_at);
    return m->scratch_thread != NULL && m->begun != NULL && m->first_at != NULL && live_open(m) &&
           match_closures_open(m);
}

void match_threads_close(struct match_op *m)
{
    struct heap *heap = m->op.heap;
    const uint32_t count = m->node->pattern.count, items = m->node->define_item_count + 1;

    for (uint32_t pc = 0; m->live != NULL && pc < count; pc++)
        heap_free(heap, m->live[pc].words, (m->thread_bytes / 4 + 1) * sizeof *m->live[pc].words);
    heap_free(heap, m->live, count * sizeof *m->live);
    for (uint32_t i = 0; i < m->total_count; i++)
        if (m->totals[i].set != NULL)
            agg_set_free(m->totals[i].set);
    heap_free(heap, m->totals, items * sizeof *m->totals);
    heap_free(heap, m->item_total, items * sizeof(uint32_t));
    heap_free(heap, m->trackers, items * sizeof *m->trackers);
    heap_free(heap, m->item_tracker, items * sizeof(uint32_t));
    heap_free(heap, m->scratch_thread, m->thread_bytes);
    match_closures_close(m);
    heap_free(heap, m->begun, count * sizeof *m->begun);
    heap_free(heap, m->first_at, count * sizeof *m->first_at);
    heap_free(heap, m->list, m->list_room * (size_t)m->thread_bytes);
    heap_free(heap, m->next_at, m->list_room * sizeof *m->next_at);
    heap_free(heap, m->steps, m->step_room * sizeof *m->steps);
}
