/* core/ops/match_closure.c - which places of a pattern are reached from which without a row, found once.
 *
 * Ways are followed in the order of preference, so the first that comes to a place is the one that counts. A round of a
 * loop beyond the least number that takes no row is none: a way carries, per nesting, whether one has begun.
 * Threads: one shard.   Errors: false without memory.
 */
#include "core/ops/match_impl.h"

/* begun: the loops, a bit for each nesting, of which a round has begun and taken no row yet. */
struct way {
    uint64_t begun;
    uint32_t pc;
};

struct visit {
    uint64_t begun;
    uint32_t next; /* of the same place, + 1 */
};

struct walk {
    struct heap *heap;
    const struct match_code *code;
    uint32_t count;
    bool first, ended; /* before the first row; behind the last one */
    struct way *stack;
    struct visit *visits;
    uint32_t *visit_at; /* per place, + 1 */
    uint32_t depth, stack_room, visit_count, visit_room;
    bool failed;
};

static void *room_for(struct walk *w, void *items, uint32_t count, uint32_t *room, size_t bytes)
{
    const uint32_t more = *room == 0 ? 64 : *room * 2;
    void *grown;

    if (count < *room)
        return items;
    grown = heap_grow(w->heap, items, *room * bytes, more * bytes);
    if (grown == NULL) {
        w->failed = true;
        return items;
    }
    *room = more;
    return grown;
}

/* Has a way been here with the same rounds begun? Notes that it has. */
static bool been_here(struct walk *w, const struct way *way)
{
    const uint32_t before = w->visit_at[way->pc];

    for (uint32_t i = before; i != 0; i = w->visits[i - 1].next)
        if (w->visits[i - 1].begun == way->begun)
            return true;
    w->visits = room_for(w, w->visits, w->visit_count, &w->visit_room, sizeof *w->visits);
    if (w->failed)
        return true;
    w->visits[w->visit_count] = (struct visit){way->begun, before};
    w->visit_at[way->pc] = ++w->visit_count;
    return false;
}

static void go_on(struct walk *w, uint32_t pc, uint64_t begun)
{
    w->stack = room_for(w, w->stack, w->depth, &w->stack_room, sizeof *w->stack);
    if (!w->failed)
        w->stack[w->depth++] = (struct way){begun, pc};
}

static void go_split(struct walk *w, const struct match_code *c, uint64_t begun)
{
    const uint64_t round = c->loop > 0 ? begun | 1ull << (c->loop - 1) : begun;

    go_on(w, c->y, c->loop > 0 && c->y == c->body ? round : begun);
    go_on(w, c->x, c->loop > 0 && c->x == c->body ? round : begun);
}

/* One step of a way. True: it has come to a place that takes a row, or waits for the end. */
static bool walk_on(struct walk *w, const struct way *way, bool *accepts)
{
    const struct match_code *c = &w->code[way->pc];

    switch (c->op) {
    case MATCH_CHAR: return !w->ended;
    case MATCH_END:
        if (w->ended)
            go_on(w, way->pc + 1, way->begun);
        return !w->ended;
    case MATCH_START:
        if (w->first)
            go_on(w, way->pc + 1, way->begun);
        return false;
    case MATCH_CHECK:
        if ((way->begun >> (c->x - 1) & 1) == 0)
            go_on(w, way->pc + 1, way->begun);
        return false;
    case MATCH_SPLIT: go_split(w, c, way->begun); return false;
    case MATCH_JUMP: go_on(w, c->x, way->begun); return false;
    default: *accepts = true; return false;
    }
}

static bool find(struct walk *w, uint32_t pc, struct match_closure *out)
{
    uint32_t *places = heap_alloc(w->heap, w->count * sizeof *places);
    bool *seen = heap_zalloc(w->heap, w->count);

    w->depth = w->visit_count = 0;
    memset(w->visit_at, 0, w->count * sizeof *w->visit_at);
    w->failed = w->failed || places == NULL || seen == NULL;
    if (!w->failed)
        go_on(w, pc, 0);
    while (!w->failed && w->depth > 0 && !out->accepts) {
        const struct way way = w->stack[--w->depth];

        if (been_here(w, &way) || !walk_on(w, &way, &out->accepts) || seen[way.pc])
            continue;
        seen[way.pc] = true;
        places[out->count++] = way.pc;
    }
    if (!w->failed && out->count > 0) {
        out->places = heap_alloc(w->heap, out->count * sizeof *places);
        w->failed = out->places == NULL;
        if (!w->failed)
            memcpy(out->places, places, out->count * sizeof *places);
    }
    heap_free(w->heap, places, w->count * sizeof *places);
    heap_free(w->heap, seen, w->count);
    return !w->failed;
}

bool match_closures_open(struct match_op *m)
{
    const struct match_pattern *pattern = &m->node->pattern;
    struct heap *heap = m->op.heap;
    struct walk w = {.heap = heap, .code = pattern->code, .count = pattern->count};

    w.visit_at = heap_alloc(heap, pattern->count * sizeof *w.visit_at);
    m->closures = heap_zalloc(heap, pattern->count * sizeof *m->closures);
    m->at_end = heap_zalloc(heap, pattern->count * sizeof *m->at_end);
    w.failed = w.visit_at == NULL || m->closures == NULL || m->at_end == NULL;
    for (uint32_t pc = 0; pc < pattern->count && !w.failed; pc++) {
        struct match_closure end = {0};

        if (pc == 0 || pattern->code[pc - 1].op == MATCH_CHAR)
            find(&w, pc, &m->closures[pc]);
        if (pattern->code[pc].op != MATCH_END || w.failed)
            continue;
        w.ended = true;
        find(&w, pc, &end);
        w.ended = false;
        m->at_end[pc] = end.accepts;
    }
    w.first = true;
    if (!w.failed)
        find(&w, 0, &m->at_first);
    heap_free(heap, w.visit_at, pattern->count * sizeof *w.visit_at);
    heap_free(heap, w.visits, w.visit_room * sizeof *w.visits);
    heap_free(heap, w.stack, w.stack_room * sizeof *w.stack);
    return !w.failed;
}

void match_closures_close(struct match_op *m)
{
    const uint32_t count = m->node->pattern.count;
    struct heap *heap = m->op.heap;

    for (uint32_t pc = 0; m->closures != NULL && pc < count; pc++)
        heap_free(heap, m->closures[pc].places,
                  m->closures[pc].count * sizeof *m->closures[pc].places);
    heap_free(heap, m->closures, count * sizeof *m->closures);
    heap_free(heap, m->at_first.places, m->at_first.count * sizeof *m->at_first.places);
    heap_free(heap, m->at_end, count * sizeof *m->at_end);
}
