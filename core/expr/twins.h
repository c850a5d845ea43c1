/* core/expr/twins.h - nodes that stand more than once in a program: computed once per batch.
 *
 * A value is kept for the rows of the depth that it was computed at: what AND, OR and CASE compute on some of them only is
 * deeper and finds it; it is forgotten when these rows are left. Not kept: what reads clocks or randomness, user functions, ROWs.
 * Threads: one.   Includes: expr.h
 */
#ifndef MILL_TWINS_H
#define MILL_TWINS_H

#include "core/expr/expr.h"

struct twin {
    const struct expr *node;
    uint32_t value; /* of kept: the same for nodes that are the same */
};

struct kept {
    struct column column;
    uint32_t depth; /* from 1; 0: not computed */
};

struct twins {
    struct twin *places;
    struct kept *kept;
    uint32_t count, kept_count;
};

/* Looks through @count expressions, which must outlive it. False without memory. */
bool twins_open(struct twins *t, struct heap *heap, struct expr *const *list, uint32_t count);
void twins_close(struct twins *t, struct heap *heap);

/* NULL: the node stands nowhere else. */
static inline struct kept *twins_of(const struct twins *t, const struct expr *node)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (t->places[i].node == node)
            return &t->kept[t->places[i].value];
    return NULL;
}
/* Rows deeper than @depth are left. */
static inline void twins_forget(struct twins *t, uint32_t depth)
{
    for (uint32_t i = 0; i < t->kept_count; i++)
        if (t->kept[i].depth > depth)
            t->kept[i].depth = 0;
}

#endif
