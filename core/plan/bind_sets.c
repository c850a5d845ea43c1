/* core/plan/bind_sets.c - GROUP BY: plain keys, GROUPING SETS, ROLLUP and CUBE.
 *
 * Items of GROUP BY multiply: each set of one with each of the others (SQL:2016, 7.13). More sets than one become an EXPAND
 * in front of the aggregation, whose rows have the set's number as one more key.
 */
#include "core/expr/functions.h"
#include "core/ops/expand.h"
#include "core/plan/aggregation.h"

#include <strings.h>

#define SETS_MAX 256u

struct sets {
    uint64_t items[SETS_MAX];
    uint32_t count;
};

static void add(struct planner *p, struct sets *sets, uint64_t set, struct ast_at at)
{
    if (sets->count == SETS_MAX)
        plan_fail(p, at, MILL_E_UNSUPPORTED, "more than %u grouping sets", SETS_MAX);
    sets->items[sets->count++] = set;
}

/* The sets of one item. */
static void item_sets(struct planner *p, struct aggregation *a, struct relation *r,
                      const struct ast_select *s, const struct ast_group *g, struct sets *out)
{
    uint64_t bits[64], set = 0;
    const uint32_t n = g->set_count;

    if (g->kind == GROUP_PLAIN) {
        add(p, out, g->expr != NULL ? bind_group_key(p, a, r, s, g->expr) : 0, g->at);
        return;
    }
    for (uint32_t i = 0; g->kind == GROUP_SETS && i < g->set_count; i++) {
        set = 0;
        for (uint32_t k = 0; k < g->set_sizes[i]; k++)
            set |= bind_group_key(p, a, r, s, g->sets[i][k]);
        add(p, out, set, g->at);
    }
    if (g->kind == GROUP_SETS)
        return;
    if (n > (g->kind == GROUP_CUBE ? 8u : 64u))
        plan_fail(p, g->at, MILL_E_UNSUPPORTED, "%s of more than %u columns",
                  g->kind == GROUP_CUBE ? "CUBE" : "ROLLUP", g->kind == GROUP_CUBE ? 8u : 64u);
    for (uint32_t i = 0; i < n; i++)
        bits[i] = bind_group_key(p, a, r, s, g->sets[i][0]);
    for (uint32_t i = 0; g->kind == GROUP_ROLLUP && i <= n; i++) {
        set = 0;
        for (uint32_t k = 0; k + i < n; k++)
            set |= bits[k];
        add(p, out, set, g->at);
    }
    for (uint32_t i = 0; g->kind == GROUP_CUBE && i < 1u << n; i++) {
        set = 0;
        for (uint32_t k = 0; k < n; k++)
            set |= (i >> (n - 1 - k) & 1) == 0 ? bits[k] : 0;
        add(p, out, set, g->at);
    }
}

void bind_group_sets(struct planner *p, struct aggregation *a, struct relation *r,
                     const struct ast_select *s)
{
    struct sets *all = arena_new(p->arena, struct sets);
    const struct mill_type bigint = {.kind = MILL_BIGINT, .not_null = true};
    bool plain = true;

    add(p, all, 0, s->at);
    for (uint32_t i = 0; i < s->group_count; i++) {
        struct sets *item = arena_new(p->arena, struct sets);
        struct sets *product = arena_new(p->arena, struct sets);

        plain = plain && s->groups[i].kind == GROUP_PLAIN;
        item_sets(p, a, r, s, &s->groups[i], item);
        for (uint32_t k = 0; k < all->count; k++)
            for (uint32_t m = 0; m < item->count; m++)
                add(p, product, all->items[k] | item->items[m], s->groups[i].at);
        all = product;
    }
    if (plain)
        return;
    if (a->key_count > 63)
        plan_fail(p, s->at, MILL_E_UNSUPPORTED, "grouping sets over more than 63 keys");
    if (s->late_data_into != NULL)
        plan_fail(p, s->late_data_into->at, MILL_E_UNSUPPORTED,
                  "LATE DATA INTO with grouping sets is not supported yet: a late row would come "
                  "once for each set");
    a->sets = all->items;
    a->set_count = all->count;
    /* equal to no expression of the query */
    a->keys[a->key_count++] =
        expr_column(&p->session, UINT32_MAX / 2, &bigint, place(s->groups[0].at));
}

struct expr *bind_grouping(struct planner *p, struct aggregation *a, const struct ast_expr *x)
{
    const struct mill_type bigint = type_make(MILL_BIGINT);
    const char *name;
    struct expr **args;
    uint32_t n = 0;
    uint64_t bits[64];

    if (x->kind != AST_CALL || x->over != NULL)
        return NULL;
    name = x->name.parts[x->name.count - 1];
    if (strcasecmp(name, "GROUPING") != 0 && strcasecmp(name, "GROUPING_ID") != 0)
        return NULL;
    if (a->set_count == 0 || x->arg_count == 0 || x->arg_count > 63)
        plan_fail(p, x->at, MILL_E_TYPE,
                  "%s(key, ...) needs GROUP BY GROUPING SETS, ROLLUP or CUBE over its keys", name);
    for (uint32_t i = 0; i < x->arg_count; i++) {
        const struct expr *e = expr_fold(&p->session, bind_expr(p, a->input, NULL, x->args[i]));
        uint32_t k = 0;

        while (k + 1 < a->key_count && !expr_same(a->keys[k], e))
            k++;
        if (k + 1 == a->key_count)
            plan_fail(p, x->args[i]->at, MILL_E_TYPE, "%s: this is no key of GROUP BY", name);
        bits[i] = 1ull << k;
    }
    args = arena_array(p->arena, struct expr *, 2 * a->set_count + 1);
    for (uint32_t set = 0; set < a->set_count; set++) {
        struct expr *sides[2] = {expr_column(&p->session, a->key_count - 1, &bigint, place(x->at)),
                                 expr_i64(&p->session, set, &bigint, place(x->at))};
        int64_t value = 0;

        for (uint32_t i = 0; i < x->arg_count; i++)
            value = value * 2 + ((a->sets[set] & bits[i]) == 0);
        args[n++] = need(p, expr_call(&p->session, "=", sides, 2, place(x->at), p->error));
        args[n++] = expr_i64(&p->session, value, &bigint, place(x->at));
    }
    args[n++] = expr_i64(&p->session, 0, &bigint, place(x->at));
    return need(p, expr_case(&p->session, args, n, place(x->at), p->error));
}

struct phys_node *plan_expand(struct planner *p, struct aggregation *a, struct phys_node *calc,
                              uint32_t *keys)
{
    const uint32_t own = calc->schema.field_count, n = a->key_count - 1;
    struct phys_node *node = plan_node(p, NODE_EXPAND, &calc, 1);
    struct mill_field *fields = arena_array(p->arena, struct mill_field, own + n + 1);
    struct expand_node *expand = arena_new(p->arena, struct expand_node);
    uint32_t *from = arena_array(p->arena, uint32_t, n + 1);

    memcpy(fields, calc->schema.fields, own * sizeof *fields);
    for (uint32_t k = 0; k < n; k++) {
        from[k] = keys[k];
        fields[own + k] = calc->schema.fields[keys[k]];
        fields[own + k].type.not_null = false;
        keys[k] = own + k;
    }
    fields[own + n] = (struct mill_field){"$set", type_make(MILL_BIGINT)};
    keys[n] = own + n;
    node->schema = (struct mill_schema){own + n + 1, fields};
    *expand = (struct expand_node){from, n, a->sets, a->set_count};
    node->expand = expand;
    node->why = arena_format(p->arena, "%u grouping sets", a->set_count);
    return node;
}
