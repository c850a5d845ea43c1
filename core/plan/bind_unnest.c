/* core/plan/bind_unnest.c - UNNEST and table functions in FROM: each row of the left with the rows that are made of it. */
#include "core/expr/user.h"
#include "core/items.h"
#include "core/ops/unnest.h"
#include "core/plan/bind.h"

#include <strings.h>

static const struct mill_function *table_function(const struct planner *p,
                                                  const struct ast_table *t)
{
    const struct ast_expr *x = t->call;
    const struct user_function *user;

    if (t->kind != AST_TABLE_CALL || x->kind != AST_CALL)
        return NULL;
    user = catalog_function(p->catalog, x->name.parts[x->name.count - 1]);
    return user != NULL && user->function != NULL && user->function->kind == MILL_TABLE
               ? user->function
               : NULL;
}

bool is_lateral(const struct planner *p, const struct ast_table *t)
{
    return t->kind == AST_TABLE_UNNEST || (t->kind == AST_TABLE_CALL && t->lateral) ||
           table_function(p, t) != NULL;
}

static _Noreturn void no_table_function(struct planner *p, const struct ast_expr *x)
{
    const char *names[256];
    const char *near = NULL, *name;
    uint32_t n = 0;

    if (x->kind != AST_CALL)
        plan_fail(p, x->at, MILL_E_SYNTAX, "LATERAL TABLE(...) holds the call of a table function");
    name = x->name.parts[x->name.count - 1];
    for (const struct user_function *f = p->catalog->functions; f != NULL && n < 256; f = f->next)
        if (f->function != NULL && f->function->kind == MILL_TABLE)
            names[n++] = f->name;
    near = nearest_name(name, names, n);
    plan_fail(p, x->at, MILL_E_NAME,
              "there is no table function %s%s%s%s: CREATE FUNCTION makes one of a library, UNNEST "
              "a row for each element of an array",
              name, near != NULL ? "; did you mean " : "", near != NULL ? near : "",
              near != NULL ? "?" : "");
}

/* The call of a table function over @left, as an array of its rows. */
static struct expr *bind_table_call(struct planner *p, struct relation *left,
                                    const struct ast_table *t)
{
    const struct mill_function *function = table_function(p, t);
    const struct ast_expr *x = t->call;
    struct expr **args;

    if (function == NULL)
        no_table_function(p, x);
    args = arena_array(p->arena, struct expr *, x->arg_count + 1);
    for (uint32_t i = 0; i < x->arg_count; i++)
        args[i] = expr_fold(&p->session, bind_expr(p, left, NULL, x->args[i]));
    return expr_user_array(&p->session, need(p, expr_user(&p->session, function, args, x->arg_count,
                                                          place(x->at), p->error)));
}

/* What @t makes of a row of @left: a nested value. */
static struct expr *bind_nested(struct planner *p, struct relation *left, const struct ast_table *t)
{
    struct expr *e;
    char text[100];

    if (t->kind == AST_TABLE_CALL)
        return bind_table_call(p, left, t);
    e = expr_fold(&p->session, bind_expr(p, left, NULL, t->call));

    if (!type_is_nested(&e->type))
        plan_fail(p, t->call->at, MILL_E_TYPE,
                  "UNNEST takes an ARRAY, a MAP or a MULTISET, this is %s",
                  type_name(&e->type, text, sizeof text));
    return e;
}

/* The columns of an element, behind the first @n. Returns their number. */
static uint32_t add_columns(struct planner *p, const struct ast_table *t,
                            const struct mill_type *type, bool outer, struct scope_column *columns,
                            uint32_t n)
{
    const struct mill_type *element = items_type(type, 0);
    const bool row = element->kind == MILL_ROW && type->kind != MILL_MAP;
    const uint32_t first = n;

    for (uint32_t i = 0; row && i < element->field_count; i++)
        columns[n++] =
            (struct scope_column){.name = element->fields[i].name, .type = element->fields[i].type};
    if (!row)
        columns[n++] = (struct scope_column){.name = type->kind == MILL_MAP ? "key"
                                                     : t->alias != NULL     ? t->alias
                                                                            : "EXPR$0",
                                             .type = *element};
    if (type->kind == MILL_MAP)
        columns[n++] = (struct scope_column){.name = "value", .type = *items_type(type, 1)};
    if (t->with_ordinality)
        columns[n++] = (struct scope_column){.name = "ordinality",
                                             .type = {.kind = MILL_INT, .not_null = true}};
    if (t->column_count > n - first)
        plan_fail(p, t->at, MILL_E_NAME, "%s has %u names for columns, it gives %u",
                  t->alias != NULL ? t->alias : "this", t->column_count, n - first);
    for (uint32_t i = first; i < n; i++) {
        columns[i].table = t->alias;
        if (i - first < t->column_count)
            columns[i].name = t->columns[i - first];
        if (outer || (row && !element->not_null))
            columns[i].type.not_null =
                columns[i].type.not_null && !outer && t->with_ordinality && i + 1 == n;
    }
    return n - first;
}

static uint32_t columns_of(const struct mill_type *type)
{
    const struct mill_type *element = items_type(type, 0);

    return (element->kind == MILL_ROW ? element->field_count : 1) + 3;
}

/* The column of @left that has the nested value, computed behind its own ones where it is none of them. */
static uint32_t nested_column(struct planner *p, struct relation *left, struct expr *e,
                              struct ast_at at)
{
    const uint32_t own = left->count;
    struct expr **project = arena_array(p->arena, struct expr *, own + 1);
    struct scope_column *columns = arena_array(p->arena, struct scope_column, own + 1);

    if (e->kind == EXPR_COLUMN)
        return e->index;
    for (uint32_t i = 0; i < own; i++) {
        columns[i] = left->columns[i];
        project[i] = expr_column(&p->session, i, &columns[i].type, place(at));
    }
    project[own] = e;
    columns[own] = (struct scope_column){.name = "$nested", .type = e->type};
    const int32_t rowtime = left->node->rowtime;

    left->node = plan_calc(p, left, project, columns, own + 1);
    left->node->rowtime = rowtime;
    return own;
}

static void check_condition(struct planner *p, const struct ast_table *join, bool outer)
{
    if (join == NULL)
        return;
    if (join->join != JOIN_INNER && join->join != JOIN_CROSS && join->join != JOIN_LEFT)
        plan_fail(p, join->at, MILL_E_UNSUPPORTED,
                  "what is made of each row of the left is joined by CROSS JOIN, JOIN or LEFT "
                  "JOIN");
    if (join->using_count > 0)
        plan_fail(p, join->at, MILL_E_UNSUPPORTED, "USING has no meaning here: write ON TRUE");
    if (outer && join->on != NULL && (join->on->kind != AST_BOOL || join->on->value == 0))
        plan_fail(p, join->on->at, MILL_E_UNSUPPORTED,
                  "LEFT JOIN with UNNEST or a table function takes ON TRUE only: a condition may "
                  "stand in WHERE");
}

struct relation bind_lateral(struct planner *p, struct relation left, const struct ast_table *t,
                             const struct ast_table *join)
{
    const bool outer = join != NULL && join->join == JOIN_LEFT;
    struct unnest_node *unnest = arena_new(p->arena, struct unnest_node);
    struct relation out = left;
    struct expr *e;
    char text[200];

    check_condition(p, join, outer);
    e = bind_nested(p, &left, t);
    out.columns = arena_array(p->arena, struct scope_column, left.count + columns_of(&e->type) + 1);
    if (left.count > 0)
        memcpy(out.columns, left.columns, left.count * sizeof *out.columns);
    out.count += add_columns(p, t, &e->type, outer, out.columns, left.count);
    expr_text(e, &left.node->schema, text, sizeof text);
    *unnest = (struct unnest_node){.column = nested_column(p, &left, e, t->at),
                                   .own = left.count,
                                   .outer = outer,
                                   .numbered = t->with_ordinality};
    out.node = plan_node(p, NODE_UNNEST, &left.node, 1);
    out.node->schema = plan_schema(p, out.columns, out.count);
    out.node->rowtime = left.node->rowtime;
    out.node->unnest = unnest;
    out.node->line = t->at.line;
    out.node->column = t->at.column;
    out.node->why = arena_format(p->arena, "a row for each %s %s%s",
                                 t->kind == AST_TABLE_UNNEST ? "element of" : "that is given by",
                                 text, outer ? ", else one of NULLs" : "");
    out.at = t->at;
    if (join != NULL && join->on != NULL && !outer) {
        e = expr_fold(&p->session, bind_expr(p, &out, NULL, join->on));
        if (e->type.kind != MILL_BOOLEAN)
            plan_fail(p, join->on->at, MILL_E_TYPE, "a join needs a condition, this is %s",
                      type_name(&e->type, text, sizeof text));
        out.filter = e;
    }
    return out;
}
