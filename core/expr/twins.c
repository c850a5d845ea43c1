/* core/expr/twins.c - finding nodes that stand more than once. */
#include "core/expr/twins.h"

#define TWINS_MAX 128u /* nodes that are looked at */

static bool may_be_kept(const struct expr *e)
{
    switch (e->kind) {
    case EXPR_CALL:
    case EXPR_CAST:
    case EXPR_CASE:
    case EXPR_AND:
    case EXPR_OR: return e->type.kind != MILL_ROW && expr_is_pure(e);
    default: return false;
    }
}

static bool has_user(const struct expr *e)
{
    bool found = e->kind == EXPR_USER;

    for (uint32_t i = 0; i < e->arg_count && !found; i++)
        found = has_user(e->args[i]);
    return found;
}

static void collect(const struct expr *e, struct twin *to, uint32_t *count)
{
    if (*count < TWINS_MAX && may_be_kept(e) && !has_user(e))
        to[(*count)++] = (struct twin){e, UINT32_MAX};
    for (uint32_t i = 0; i < e->arg_count; i++)
        collect(e->args[i], to, count);
}

/* Leaves those of @all that have a twin. */
static uint32_t match(struct twin *all, uint32_t count, uint32_t *values)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = i + 1; k < count; k++)
            if (all[k].value == UINT32_MAX && expr_same(all[i].node, all[k].node)) {
                if (all[i].value == UINT32_MAX)
                    all[i].value = (*values)++;
                all[k].value = all[i].value;
            }
    for (uint32_t i = 0; i < count; i++)
        if (all[i].value != UINT32_MAX)
            all[n++] = all[i];
    return n;
}

bool twins_open(struct twins *t, struct heap *heap, struct expr *const *list, uint32_t count)
{
    struct twin all[TWINS_MAX];
    uint32_t n = 0;

    *t = (struct twins){0};
    for (uint32_t i = 0; i < count; i++)
        collect(list[i], all, &n);
    t->count = match(all, n, &t->kept_count);
    if (t->count == 0)
        return true;
    t->places = heap_alloc(heap, t->count * sizeof *t->places);
    t->kept = heap_zalloc(heap, t->kept_count * sizeof *t->kept);
    if (t->places == NULL || t->kept == NULL) {
        twins_close(t, heap);
        return false;
    }
    memcpy(t->places, all, t->count * sizeof *t->places);
    return true;
}

void twins_close(struct twins *t, struct heap *heap)
{
    heap_free(heap, t->places, t->count * sizeof *t->places);
    heap_free(heap, t->kept, t->kept_count * sizeof *t->kept);
    *t = (struct twins){0};
}
