/* core/plan/share.c - sub-plans that several queries of a STATEMENT SET have in common, computed once.
 *
 * Nodes are the same if their inputs are and they say the same. Only nodes of different queries become one, and those that
 * fire in the same order: so the rows of each query come in the order that they had. An exchange feeds one operator, so
 * it (and partial aggregates) goes the way of its consumer.
 */
#include "core/plan/bind.h"

struct sharing {
    struct planner *planner;
    struct phys_node **same; /* per node: the first of its like, or itself */
    uint32_t *taken_by;      /* per node: the last query that has come to share it, + 1 */
    uint32_t fired;          /* of this query: the greatest id among nodes that fire */
};

static bool fires(const struct phys_node *node)
{
    return node->kind == NODE_WINDOW || node->kind == NODE_SESSION ||
           node->kind == NODE_COUNT_WINDOW || node->kind == NODE_GROUP;
}

static bool schema_same(const struct mill_schema *a, const struct mill_schema *b)
{
    bool same = a->field_count == b->field_count;

    for (uint32_t i = 0; same && i < a->field_count; i++)
        same = type_same(&a->fields[i].type, &b->fields[i].type);
    return same;
}

static bool calc_same(const struct calc_node *a, const struct calc_node *b)
{
    if ((a->filter == NULL) != (b->filter == NULL) || (a->project == NULL) != (b->project == NULL))
        return false;
    if (a->filter != NULL && !expr_same(a->filter, b->filter))
        return false;
    for (uint32_t i = 0; a->project != NULL && i < a->project_count; i++)
        if (!expr_same(a->project[i], b->project[i]))
            return false;
    return true;
}

static bool window_same(const struct window_spec *a, const struct window_spec *b)
{
    return a->kind == b->kind && a->time == b->time && a->start == b->start && a->end == b->end &&
           a->attached == b->attached && a->unit == b->unit && a->size == b->size &&
           a->slide == b->slide && a->offset == b->offset && a->rows == b->rows &&
           a->slide_rows == b->slide_rows && a->processing_time == b->processing_time &&
           a->local_zone == b->local_zone && type_same(&a->time_type, &b->time_type);
}

static bool groups_same(const struct aggregate_node *a, const struct aggregate_node *b)
{
    if (a->key_count != b->key_count || a->agg_count != b->agg_count ||
        a->distinct_rows != b->distinct_rows || a->always != b->always || a->late_output ||
        b->late_output || (a->outs == NULL) != (b->outs == NULL))
        return false;
    for (uint32_t i = 0; i < a->key_count; i++)
        if (a->keys[i] != b->keys[i])
            return false;
    for (uint32_t i = 0; i < a->agg_count; i++) {
        const struct agg_spec *x = &a->aggs[i], *y = &b->aggs[i];

        if (x->kind != y->kind || x->distinct != y->distinct || x->arg != y->arg ||
            x->filter != y->filter ||
            (x->kind == AGG_LISTAGG && strcmp(x->separator, y->separator) != 0))
            return false;
    }
    return true;
}

static bool outs_same(const struct phys_node *a, const struct phys_node *b)
{
    for (uint32_t i = 0; a->aggregate.outs != NULL && i < a->schema.field_count; i++)
        if (a->aggregate.outs[i].kind != b->aggregate.outs[i].kind ||
            a->aggregate.outs[i].index != b->aggregate.outs[i].index)
            return false;
    return true;
}

static bool exchange_same(const struct exchange_node *a, const struct exchange_node *b)
{
    bool same = a->key_count == b->key_count && a->merge == b->merge && !a->sink && !b->sink;

    for (uint32_t i = 0; same && i < a->key_count; i++)
        same = a->keys[i] == b->keys[i];
    return same;
}

static bool says_the_same(const struct phys_node *a, const struct phys_node *b)
{
    switch (a->kind) {
    case NODE_CALC: return calc_same(&a->calc, &b->calc);
    case NODE_ASSIGN: return window_same(&a->aggregate.window, &b->aggregate.window);
    case NODE_PREAGG:
    case NODE_WINDOW:
    case NODE_SESSION:
    case NODE_COUNT_WINDOW:
    case NODE_GROUP:
        return (a->kind == NODE_PREAGG || (a->late_to_count == 0 && b->late_to_count == 0)) &&
               window_same(&a->aggregate.window, &b->aggregate.window) &&
               groups_same(&a->aggregate, &b->aggregate) && outs_same(a, b);
    case NODE_UNION: return a->input_count > 1;
    case NODE_EXCHANGE: return exchange_same(&a->exchange, &b->exchange);
    default: return false;
    }
}

static bool may_be_one(const struct sharing *s, const struct phys_node *a,
                       const struct phys_node *b)
{
    if (a->kind != b->kind || a->query == b->query || a->input_count != b->input_count ||
        a->stage != b->stage || s->same[a->id] != a || s->taken_by[a->id] == b->query + 1 ||
        (fires(b) && a->id < s->fired) || !schema_same(&a->schema, &b->schema))
        return false;
    for (uint32_t i = 0; i < a->input_count; i++)
        if (s->same[a->inputs[i]->id] != s->same[b->inputs[i]->id])
            return false;
    return says_the_same(a, b);
}

static void find_same(struct sharing *s)
{
    struct planner *p = s->planner;

    for (uint32_t i = 0; i < p->count; i++) {
        struct phys_node *node = p->nodes[i];

        if (i > 0 && node->query != p->nodes[i - 1]->query)
            s->fired = 0;
        s->same[i] = node;
        for (uint32_t k = 0; k < i && s->same[i] == node; k++)
            if (may_be_one(s, p->nodes[k], node))
                s->same[i] = p->nodes[k];
        s->taken_by[s->same[i]->id] = node->query + 1;
        if (fires(node))
            s->fired = max_u32(s->fired, s->same[i]->id);
    }
}

static bool goes_with_consumer(const struct phys_node *node)
{
    return node->kind == NODE_EXCHANGE || node->kind == NODE_PREAGG;
}

void plan_share(struct planner *p)
{
    struct sharing s = {.planner = p,
                        .same = arena_array(p->arena, struct phys_node *, p->count + 1),
                        .taken_by = arena_array(p->arena, uint32_t, p->count + 1)};

    find_same(&s);
    for (uint32_t i = 0; i < p->count; i++)
        for (uint32_t k = 0; k < p->nodes[i]->input_count; k++)
            if (!goes_with_consumer(p->nodes[i]->inputs[k]))
                p->nodes[i]->inputs[k] = s.same[p->nodes[i]->inputs[k]->id];
}
