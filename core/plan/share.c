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
    return node_traits[node->kind].fires;
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
            x->filter != y->filter || x->user != y->user ||
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
    bool same = a->key_count == b->key_count && a->merge == b->merge && !a->sink && !b->sink &&
                a->stays == b->stays && a->copies == b->copies;

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
    case NODE_CHANGES:
    case NODE_WINDOW_CHANGES:
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

/* ---- slices ---- */

/* Windows of other lengths over the same groups: one operator keeps the slices, of which each query's windows are made. */

#define VIEWS_MAX 16u
#define SLICES_MAX 64 /* of a window, where its own slices would be wider */

/* Adding slices up gives the same bits as adding the rows. */
static bool adds_exactly(const struct agg_spec *a)
{
    switch (a->kind) {
    case AGG_COUNT_STAR:
    case AGG_COUNT: return true;
    case AGG_SUM:
    case AGG_AVG:
    case AGG_MIN:
    case AGG_MAX: return a->arg_type.kind != MILL_FLOAT && a->arg_type.kind != MILL_DOUBLE;
    default: return false;
    }
}

static bool has_plain_slices(const struct phys_node *node)
{
    const struct window_spec *w = &node->aggregate.window;

    if (node->kind != NODE_WINDOW || (w->kind != WINDOW_TUMBLE && w->kind != WINDOW_HOP) ||
        w->attached || w->time < 0 || w->local_zone || node->late_to_count > 0)
        return false;
    for (uint32_t i = 0; i < node->aggregate.agg_count; i++)
        if (!adds_exactly(&node->aggregate.aggs[i]))
            return false;
    return true;
}

static const struct phys_node *rows_of(const struct phys_node *window)
{
    const struct phys_node *node = window->inputs[0];

    while (goes_with_consumer(node))
        node = node->inputs[0];
    return node;
}

/* The queries that a node works for, as bits. */
static uint64_t *find_users(struct planner *p)
{
    uint64_t *users = arena_array(p->arena, uint64_t, p->count + 1);

    for (uint32_t i = p->count; i-- > 0;) {
        const struct phys_node *node = p->nodes[i];

        if (node->kind == NODE_SINK)
            users[i] |= 1ull << min_u32(node->query, 63);
        for (uint32_t k = 0; k < node->input_count; k++)
            users[node->inputs[k]->id] |= users[i];
    }
    return users;
}

/* No window is made of many more slices than it is alone. */
static bool width_pays(const struct window_spec *w, int64_t width)
{
    return width == window_grain(w) || w->size / width <= SLICES_MAX;
}

struct group {
    struct phys_node *members[VIEWS_MAX];
    uint32_t count;
    int64_t width;
    uint64_t users;
};

static bool may_join(const struct group *g, const struct phys_node *node, uint64_t users)
{
    const struct phys_node *first = g->members[0];
    const struct window_spec *a = &first->aggregate.window, *b = &node->aggregate.window;
    const int64_t width = gcd_i64(g->width, window_grain(b));
    bool pays = width_pays(b, width);

    for (uint32_t i = 0; i < g->count; i++)
        pays = pays && width_pays(&g->members[i]->aggregate.window, width);
    return pays && g->count < VIEWS_MAX && has_plain_slices(node) && (users & g->users) == 0 &&
           rows_of(first) == rows_of(node) && first->input_count == node->input_count &&
           a->time == b->time && a->offset == b->offset && a->unit == b->unit &&
           type_same(&a->time_type, &b->time_type) &&
           groups_same(&first->aggregate, &node->aggregate) && outs_same(first, node) &&
           schema_same(&first->schema, &node->schema);
}

static void feed_from_view(struct planner *p, struct phys_node *member, struct phys_node *first,
                           uint32_t count)
{
    struct phys_node *view = plan_node(p, NODE_VIEW, &first, 1);

    view->query = member->query;
    view->schema = member->schema;
    view->rowtime = member->rowtime;
    view->aggregate.window = member->aggregate.window;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < p->nodes[i]->input_count; k++)
            if (p->nodes[i]->inputs[k] == member)
                p->nodes[i]->inputs[k] = view;
}

static void share_slices_of(struct planner *p, const struct group *g, uint32_t count)
{
    struct phys_node *first = g->members[0];
    struct window_spec *views = arena_array(p->arena, struct window_spec, g->count);

    for (uint32_t i = 0; i < g->count; i++)
        feed_from_view(p, g->members[i], first, count);
    first->aggregate.views = views;
    first->aggregate.view_count = g->count;
    if (first->aggregate.partials != NULL) {
        first->aggregate.partials->aggregate.views = views;
        first->aggregate.partials->aggregate.view_count = g->count;
    }
}

void plan_share_slices(struct planner *p)
{
    const uint64_t *users = find_users(p);
    const uint32_t count = p->count;
    bool *taken = arena_array(p->arena, bool, count + 1);

    for (uint32_t i = 0; i < count; i++) {
        struct phys_node *first = p->nodes[i];
        struct group g = {.members = {first}, .count = 1, .users = users[i]};

        if (taken[i] || !has_plain_slices(first))
            continue;
        g.width = window_grain(&first->aggregate.window);
        for (uint32_t k = i + 1; k < count; k++) {
            struct phys_node *node = p->nodes[k];

            if (taken[k] || !may_join(&g, node, users[k]))
                continue;
            taken[k] = true;
            g.members[g.count++] = node;
            g.users |= users[k];
            g.width = gcd_i64(g.width, window_grain(&node->aggregate.window));
        }
        if (g.count > 1)
            share_slices_of(p, &g, count);
    }
}

int64_t plan_slice_width(const struct aggregate_node *node)
{
    int64_t width = window_grain(&node->window);

    for (uint32_t v = 0; v < node->view_count; v++)
        width = gcd_i64(width, window_grain(&node->views[v]));
    return width;
}

void plan_views(struct planner *p)
{
    uint32_t *next = arena_array(p->arena, uint32_t, p->count + 1);

    for (uint32_t i = 0; i < p->count; i++)
        if (p->nodes[i]->kind == NODE_VIEW) {
            struct phys_node *window = p->nodes[i]->inputs[0];

            window->aggregate.views[next[window->id]++] = p->nodes[i]->aggregate.window;
        }
}
