/* core/plan/bind_union.c - UNION, INTERSECT and EXCEPT, with and without ALL.
 *
 * UNION is DISTINCT over UNION ALL. INTERSECT and EXCEPT count the rows of UNION ALL by the side that they are of.
 */
#include "core/ops/set_operation.h"
#include "core/plan/bind.h"

#define QUERIES_MAX 64u

struct inputs {
    const char *what; /* for errors */
    bool distinct;
    struct relation relations[QUERIES_MAX];
    uint32_t count;
};

static void add_input(struct planner *p, struct inputs *in, const struct ast_query *q)
{
    if (in->count == QUERIES_MAX)
        plan_fail(p, q->at, MILL_E_UNSUPPORTED, "a %s of more than %u queries is not supported",
                  in->what, QUERIES_MAX);
    in->relations[in->count] = bind_query(p, q);
    materialize_filter(p, &in->relations[in->count++]);
}

/* Flattens trees of UNION ALL, and of UNION below a UNION, into one list. */
static void union_inputs(struct planner *p, struct inputs *in, const struct ast_query *q)
{
    const bool flat = q->kind == QUERY_UNION_ALL || (q->kind == QUERY_UNION && in->distinct);

    if (!flat || q->with_count > 0 || q->order != NULL || q->limit != NULL || q->offset != NULL) {
        add_input(p, in, q);
        return;
    }
    union_inputs(p, in, q->left);
    union_inputs(p, in, q->right);
}

/* The columns of the first input with types that fit all. */
static void common_columns(struct planner *p, const struct inputs *in, struct relation *r)
{
    for (uint32_t i = 1; i < in->count; i++) {
        const struct relation *other = &in->relations[i];

        if (other->count != r->count)
            plan_fail(p, other->at, MILL_E_TYPE, "%s: this query has %u columns, the first has %u",
                      in->what, other->count, r->count);
        for (uint32_t k = 0; k < r->count; k++) {
            struct scope_column *c = &r->columns[k];
            struct mill_type common;

            if (!type_common(&c->type, &other->columns[k].type, &common)) {
                char a[80], b[80];

                plan_fail(p, other->at, MILL_E_TYPE,
                          "%s: column %s is %s here and %s in the first query", in->what, c->name,
                          type_name(&other->columns[k].type, a, sizeof a),
                          type_name(&c->type, b, sizeof b));
            }
            c->type = common;
            c->rowtime = c->rowtime && other->columns[k].rowtime;
            c->proctime = c->proctime && other->columns[k].proctime;
            if (c->role != other->columns[k].role || c->local != other->columns[k].local)
                c->role = ROLE_NONE;
        }
    }
}

/* The input's columns as those of the union, and which side they are of (@side; -1: nobody asks). */
static void cast_input(struct planner *p, struct relation *r, const struct scope_column *columns,
                       int side)
{
    struct expr **exprs = arena_array(p->arena, struct expr *, r->count + 1);
    bool same = side < 0;

    for (uint32_t i = 0; i < r->count; i++) {
        exprs[i] = expr_column(&p->session, i, &r->columns[i].type, place(r->at));
        same = same && type_same(&r->columns[i].type, &columns[i].type);
        exprs[i] = need(p, expr_cast(&p->session, exprs[i], &columns[i].type, false, place(r->at),
                                     p->error));
    }
    exprs[r->count] = expr_bool(&p->session, side == 1, place(r->at));
    if (!same)
        r->node = plan_calc(p, r, exprs, columns, r->count + (side >= 0));
}

/* All rows of the inputs; of two sides: with a last column that says which one. */
static struct relation unite(struct planner *p, struct inputs *in, bool sides)
{
    struct relation r = in->relations[0];
    struct phys_node *nodes[QUERIES_MAX];
    uint32_t stage = 0;

    r.columns = arena_array(p->arena, struct scope_column, r.count + 1);
    memcpy(r.columns, in->relations[0].columns, r.count * sizeof *r.columns);
    common_columns(p, in, &r);
    r.columns[r.count] = (struct scope_column){.name = "$side", .type = type_make(MILL_BOOLEAN)};
    for (uint32_t i = 0; i < in->count; i++) {
        cast_input(p, &in->relations[i], r.columns, sides ? (int)i : -1);
        stage = max_u32(stage, in->relations[i].node->stage);
    }
    for (uint32_t i = 0; i < in->count; i++) {
        struct phys_node *node = in->relations[i].node;

        nodes[i] = node->stage < stage ? plan_exchange(p, node, NULL, 0) : node;
    }
    r.node = plan_node(p, NODE_UNION, nodes, in->count);
    r.node->stage = stage;
    r.node->schema = plan_schema(p, r.columns, r.count + sides);
    return r;
}

static const char *set_why(struct planner *p, const struct set_node *set, bool changelog)
{
    return arena_format(p->arena, "%s%s; state: one entry per row value, %s",
                        set->except ? "EXCEPT" : "INTERSECT", set->all ? " ALL" : "",
                        !changelog        ? "until the end of the input"
                        : set->ttl_us > 0 ? "until 'table.exec.state.ttl' has passed"
                                          : "as long as the query runs");
}

static struct relation bind_counted(struct planner *p, const struct ast_query *q)
{
    struct inputs *in = arena_new(p->arena, struct inputs);
    struct set_node *set = arena_new(p->arena, struct set_node);
    struct phys_node *node, *exchange;
    struct relation r;
    uint32_t *keys;

    in->what = q->kind == QUERY_EXCEPT ? "EXCEPT" : "INTERSECT";
    add_input(p, in, q->left);
    add_input(p, in, q->right);
    r = unite(p, in, true);
    keys = arena_array(p->arena, uint32_t, r.count + 1);
    for (uint32_t i = 0; i < r.count; i++) {
        check_key(p, &r.columns[i].type, q->at);
        keys[i] = i;
        r.columns[i].rowtime = r.columns[i].proctime = false;
        r.columns[i].role = ROLE_NONE;
    }
    exchange = plan_exchange(p, r.node, keys, r.count);
    node = plan_node(p, NODE_SET_OPERATION, &exchange, 1);
    node->changelog = plan_changelog(p, r.node);
    node->updating = false;
    *set = (struct set_node){.except = q->kind == QUERY_EXCEPT,
                             .all = q->all,
                             .keys = keys,
                             .key_count = r.count,
                             .ttl_us = node->changelog ? plan_state_ttl(p) : 0};
    if (node->changelog && (set->except || exchange->updating))
        plan_updating(node,
                      arena_format(p->arena, "%s at %u:%u", in->what, q->at.line, q->at.column));
    node->schema = plan_schema(p, r.columns, r.count);
    node->set = set;
    node->reads_clock = set->ttl_us > 0;
    node->line = q->at.line;
    node->column = q->at.column;
    node->why = set_why(p, set, node->changelog);
    r.node = node;
    return r;
}

struct relation bind_set_operation(struct planner *p, const struct ast_query *q)
{
    struct inputs *in;
    struct relation r;

    if (q->kind == QUERY_INTERSECT || q->kind == QUERY_EXCEPT)
        return bind_counted(p, q);
    in = arena_new(p->arena, struct inputs);
    in->distinct = q->kind == QUERY_UNION;
    in->what = in->distinct ? "UNION" : "UNION ALL";
    union_inputs(p, in, q->left);
    union_inputs(p, in, q->right);
    r = unite(p, in, false);
    return in->distinct ? bind_distinct(p, r, q->at) : r;
}
