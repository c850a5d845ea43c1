/* core/plan/join_cogroup.c - COGROUP JOIN: the rows of each side by key and window as an array, and both arrays side by side.
 *
 *   l COGROUP JOIN r USING (k, window_start, window_end)   is planned as
 *   (SELECT k, window_start, window_end, ARRAY_AGG(CAST(ROW(c, ...) AS ROW<c type, ...>)) AS l FROM l GROUP BY k, window_start, window_end) AS l
 *   FULL JOIN (the same of r) AS r USING (k, window_start, window_end)
 */
#include "core/plan/join.h"

#include <strings.h>

#define KEYS_MAX 32u

struct cogroup {
    const struct ast_table *table;
    const char *alias[2];
    struct relation rows[2];
    const char *keys[2][KEYS_MAX];
    uint32_t key_count;
};

static void add_key(struct planner *p, struct cogroup *c, const char *left, const char *right)
{
    if (c->key_count == KEYS_MAX)
        plan_fail(p, c->table->at, MILL_E_UNSUPPORTED, "COGROUP JOIN by more than %u columns",
                  KEYS_MAX);
    c->keys[0][c->key_count] = left;
    c->keys[1][c->key_count++] = right;
}

/* The side that a column is of, by the name before the dot. */
static uint32_t side_of(struct planner *p, const struct cogroup *c, const struct ast_expr *x)
{
    for (uint32_t s = 0; s < 2 && x->kind == AST_NAME && x->name.count == 2; s++)
        if (strcasecmp(x->name.parts[0], c->alias[s]) == 0)
            return s;
    plan_fail(p, x->at, MILL_E_TYPE,
              "COGROUP JOIN goes by columns that are equal: write %s.column = %s.column, with AND "
              "between, or USING (columns)",
              c->alias[0], c->alias[1]);
}

static void take_keys(struct planner *p, struct cogroup *c, const struct ast_expr *on)
{
    uint32_t side;

    if (on->kind == AST_BINARY && strcmp(on->op, "AND") == 0) {
        take_keys(p, c, on->args[0]);
        take_keys(p, c, on->args[1]);
        return;
    }
    if (on->kind != AST_BINARY || strcmp(on->op, "=") != 0 ||
        side_of(p, c, on->args[0]) == side_of(p, c, on->args[1]))
        plan_fail(p, on->at, MILL_E_TYPE,
                  "COGROUP JOIN goes by equalities of columns of both sides, with AND between");
    side = side_of(p, c, on->args[0]);
    add_key(p, c, on->args[side]->name.parts[1], on->args[!side]->name.parts[1]);
}

/* ---- what is planned instead ---- */

static struct ast_expr *expr_new(struct planner *p, enum ast_expr_kind kind, struct ast_at at,
                                 uint32_t arg_count)
{
    struct ast_expr *x = arena_new(p->arena, struct ast_expr);

    x->kind = kind;
    x->at = x->end = at;
    x->arg_count = arg_count;
    x->args = arena_array(p->arena, struct ast_expr *, arg_count + 1);
    return x;
}

static struct ast_expr *name_new(struct planner *p, const char *name, struct ast_at at)
{
    struct ast_expr *x = expr_new(p, AST_NAME, at, 0);

    x->name = (struct ast_name){at, 1, arena_array(p->arena, const char *, 1)};
    x->name.parts[0] = name;
    return x;
}

/* ARRAY_AGG of the side's rows, whose fields have its columns' names; the window's are those of the group. */
static struct ast_expr *rows_of(struct planner *p, const struct cogroup *c, uint32_t side)
{
    const struct relation *r = &c->rows[side];
    const struct ast_at at = c->table->at;
    struct ast_expr *call = expr_new(p, AST_CALL, at, 1), *cast = expr_new(p, AST_CAST, at, 1);
    struct ast_expr *row = expr_new(p, AST_ROW, at, r->count);
    struct mill_field *fields = arena_array(p->arena, struct mill_field, r->count + 1);
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->count; i++) {
        if (r->columns[i].role != ROLE_NONE)
            continue;
        row->args[n] = name_new(p, r->columns[i].name, at);
        fields[n] = (struct mill_field){r->columns[i].name, r->columns[i].type};
        fields[n++].type.not_null = false;
    }
    row->arg_count = n;
    cast->type = arena_new(p->arena, struct ast_type);
    *cast->type =
        (struct ast_type){at, {.kind = MILL_ROW, .field_count = (uint16_t)n, .fields = fields}};
    cast->args[0] = row;
    call->args[0] = cast;
    call->name = name_new(p, "ARRAY_AGG", at)->name;
    return call;
}

static struct ast_table *side_query(struct planner *p, struct cogroup *c, uint32_t side)
{
    const struct ast_at at = c->table->at;
    struct ast_table *bound = arena_new(p->arena, struct ast_table),
                     *table = arena_new(p->arena, struct ast_table);
    struct ast_select *s = arena_new(p->arena, struct ast_select);
    struct ast_query *query = arena_new(p->arena, struct ast_query);
    const uint32_t n = c->key_count;

    *bound = (struct ast_table){.kind = AST_TABLE_BOUND, .at = at, .bound = &c->rows[side]};
    *s = (struct ast_select){.at = at, .from = bound, .item_count = n + 1, .group_count = n};
    s->items = arena_array(p->arena, struct ast_item, n + 1);
    s->groups = arena_array(p->arena, struct ast_group, n + 1);
    for (uint32_t k = 0; k < n; k++) {
        s->items[k] = (struct ast_item){.at = at, .expr = name_new(p, c->keys[side][k], at)};
        s->groups[k] = (struct ast_group){.kind = GROUP_PLAIN,
                                          .at = at,
                                          .expr = name_new(p, c->keys[side][k], at)};
    }
    s->items[n] = (struct ast_item){at, rows_of(p, c, side), c->alias[side]};
    *query = (struct ast_query){.kind = QUERY_SELECT, .at = at, .select = s};
    *table = (struct ast_table){.kind = AST_TABLE_QUERY,
                                .at = at,
                                .query = query,
                                .alias = c->alias[side]};
    return table;
}

static const char *alias_of(struct planner *p, const struct ast_table *t)
{
    if (t->alias != NULL)
        return t->alias;
    if (t->kind != AST_TABLE_NAME)
        plan_fail(p, t->at, MILL_E_SYNTAX,
                  "a side of COGROUP JOIN needs a name, which its array of rows will have: write "
                  "AS "
                  "name behind it");
    return t->name.parts[t->name.count - 1];
}

struct relation bind_cogroup(struct planner *p, const struct ast_table *t)
{
    const struct ast_table *const sides[2] = {t->left, t->right};
    struct where_parts *where = p->where_parts;
    struct cogroup *c = arena_new(p->arena, struct cogroup);
    struct ast_table *join = arena_new(p->arena, struct ast_table);
    const struct phys_node *node;
    struct relation out;

    c->table = t;
    p->where_parts = NULL;
    for (uint32_t s = 0; s < 2; s++) {
        c->alias[s] = alias_of(p, sides[s]);
        c->rows[s] = bind_from(p, sides[s]);
    }
    for (uint32_t i = 0; i < t->using_count; i++)
        add_key(p, c, t->using_columns[i], t->using_columns[i]);
    if (t->on != NULL)
        take_keys(p, c, t->on);
    *join = *t;
    join->join = JOIN_FULL;
    join->left = side_query(p, c, 0);
    join->right = side_query(p, c, 1);
    out = bind_join(p, join);
    p->where_parts = where;
    for (node = out.node; node->kind == NODE_CALC;)
        node = node->inputs[0];
    if (node->kind != NODE_WINDOW_JOIN)
        plan_fail(p, t->at, MILL_E_TYPE,
                  "COGROUP JOIN is one of windows: both sides are rows of a window function, and "
                  "window_start and window_end of both are equal");
    return out;
}
