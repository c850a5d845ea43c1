/* core/plan/bind_sort.c - ORDER BY, LIMIT and OFFSET of a query. */
#include "core/ops/sort.h"
#include "core/plan/bind_over.h"

#include <strings.h>

/* ---- ORDER BY what the SELECT list does not have ---- */

/* Is @name that of an item of the SELECT list? A field of an item is, too. */
static bool is_item(struct planner *p, const struct ast_select *s, const struct ast_name *name)
{
    for (uint32_t i = 0; i < s->item_count; i++) {
        const struct ast_expr *x = s->items[i].expr;

        if (x->kind == AST_STAR && x->name.count == 0 && name->count == 1)
            return true;
        if (x->kind != AST_STAR && strcasecmp(item_name(p, &s->items[i], i), name->parts[0]) == 0)
            return true;
    }
    return false;
}

/* Does @x read a column that the SELECT list does not give? */
static bool reads_more(struct planner *p, const struct ast_select *s, const struct ast_expr *x)
{
    if (x->kind == AST_NAME)
        return !is_item(p, s, &x->name);
    if (x->over != NULL)
        return true;
    for (uint32_t i = 0; i < x->arg_count; i++)
        if (reads_more(p, s, x->args[i]))
            return true;
    return false;
}

/* Adds what rows are sorted by as items `$order0`, `$order1`, ... behind those of the SELECT list; bind_sorted() drops
 * them. A name is that of an item if there is one, as in the standard; else, and in aggregates, it is a column of FROM. */
const struct ast_query *order_hidden(struct planner *p, const struct ast_query *q, uint32_t *hidden)
{
    struct ast_query *query = arena_new(p->arena, struct ast_query);
    struct ast_select *s = arena_new(p->arena, struct ast_select);
    struct ast_order *order = arena_new(p->arena, struct ast_order);

    *hidden = 0;
    if (q->kind != QUERY_SELECT || q->order == NULL)
        return q;
    *query = *q;
    *s = *q->select;
    *order = *q->order;
    s->items = arena_array(p->arena, struct ast_item, s->item_count + order->count);
    memcpy(s->items, q->select->items, s->item_count * sizeof *s->items);
    order->items = arena_array(p->arena, struct ast_order_item, order->count);
    memcpy(order->items, q->order->items, order->count * sizeof *order->items);
    for (uint32_t i = 0; i < order->count; i++) {
        struct ast_expr *x = order->items[i].expr, *name;

        if (!has_aggregate(p, x) && !reads_more(p, q->select, x))
            continue;
        if (s->distinct)
            plan_fail(p, x->at, MILL_E_TYPE,
                      "ORDER BY of a SELECT DISTINCT takes columns of its SELECT list only");
        name = arena_new(p->arena, struct ast_expr);
        *name = (struct ast_expr){.kind = AST_NAME, .at = x->at, .end = x->end};
        name->name = (struct ast_name){x->at, 1, arena_array(p->arena, const char *, 1)};
        name->name.parts[0] = arena_format(p->arena, "$order%u", i);
        s->items[s->item_count] = (struct ast_item){.at = x->at, .expr = x};
        s->items[s->item_count++].alias = name->name.parts[0];
        order->items[i].expr = name;
        ++*hidden;
    }
    query->select = s;
    query->order = order;
    return query;
}

/* ---- sorting ---- */

/* ORDER BY 2: the second column. */
static void bind_position(struct planner *p, struct relation *r, const struct ast_expr *x,
                          uint32_t hidden, struct expr **e)
{
    const uint32_t count = r->count - hidden;

    int64_t n = 0;

    if (x->kind != AST_NUMBER)
        return;
    if (!expr_literal_i64(*e, &n) || n < 1 || n > count)
        plan_fail(p, x->at, MILL_E_NAME, "ORDER BY %s: the query has %u column%s", x->text, count,
                  count == 1 ? "" : "s");
    *e = expr_column(&p->session, (uint32_t)n - 1, &r->columns[n - 1].type, place(x->at));
}

static void plan_sort(struct planner *p, struct relation *r, const struct ast_order *order,
                      uint32_t hidden)
{
    struct over_group g = {.at = order->items[0].expr->at, .time = -1};
    struct sort_node *sort = arena_new(p->arena, struct sort_node);
    struct relation whole;
    struct over_input *in;
    struct phys_node *node;
    bool in_time;

    over_order(p, r, order, &g);
    for (uint32_t i = 0; i < g.order_count; i++)
        bind_position(p, r, order->items[i].expr, hidden, &g.order[i]);
    in = over_input_new(p, r->node, g.order_count);
    in_time = g.order[0]->kind == EXPR_COLUMN && r->columns[g.order[0]->index].rowtime &&
              !g.descending[0];
    if (!in_time && (plan_changelog(p, r->node) || r->node->updating))
        plan_fail(p, g.at, MILL_E_UNSUPPORTED,
                  "ORDER BY over input without an end begins with a time attribute, ascending: the "
                  "column of a "
                  "WATERMARK");
    *sort = (struct sort_node){.time = -1, .limit = UINT64_MAX};
    sort->columns = over_sort_columns(p, in, &g);
    sort->column_count = g.order_count;
    if (in_time) {
        sort->time = (int32_t)g.order[0]->index;
        sort->time_type = g.order[0]->type;
    }
    over_input_plan(p, r, in);
    whole = *r;
    whole.node = plan_exchange(p, r->node, NULL, 0);
    node = plan_node(p, NODE_SORT, &whole.node, 1);
    node->schema = r->node->schema;
    node->sort = sort;
    node->rowtime = sort->time;
    node->line = g.at.line;
    node->column = g.at.column;
    node->why = in_time ? "rows leave when the watermark passes them; state: rows before it"
                        : "sorted at the end of the input; state: all rows";
    r->node = node;
    r->count -= hidden;
    if (node->schema.field_count > r->count) { /* what was computed to sort by */
        struct expr **exprs = arena_array(p->arena, struct expr *, r->count + 1);

        for (uint32_t i = 0; i < r->count; i++)
            exprs[i] = expr_column(&p->session, i, &r->columns[i].type, place(r->at));
        r->node = plan_calc(p, r, exprs, r->columns, r->count);
    }
    for (uint32_t i = 0; !in_time && i < r->count; i++)
        r->columns[i].rowtime = r->columns[i].proctime = false;
}

static uint64_t row_count(struct planner *p, const struct ast_expr *x, const char *what)
{
    struct expr *e = expr_fold(&p->session, bind_expr(p, NULL, NULL, x));
    int64_t n = 0;

    if (!type_is_integer(&e->type) || !expr_literal_i64(e, &n) || n < 0)
        plan_fail(p, x->at, MILL_E_TYPE, "%s needs a number of rows", what);
    return (uint64_t)n;
}

static void plan_limit(struct planner *p, struct relation *r, const struct ast_query *q)
{
    const struct ast_at at = (q->limit != NULL ? q->limit : q->offset)->at;
    struct sort_node *sort = arena_new(p->arena, struct sort_node);
    struct phys_node *input = r->node, *node;

    *sort = (struct sort_node){.time = -1, .limit = UINT64_MAX};
    if (q->limit != NULL)
        sort->limit = row_count(p, q->limit, "LIMIT");
    if (q->offset != NULL)
        sort->offset = row_count(p, q->offset, "OFFSET");
    if (q->order == NULL)
        input = plan_exchange(p, input, NULL, 0);
    node = plan_node(p, NODE_LIMIT, &input, 1);
    node->schema = r->node->schema;
    node->sort = sort;
    node->rowtime = r->node->rowtime;
    node->line = at.line;
    node->column = at.column;
    node->why = arena_format(p->arena, "%llu rows from row %llu on",
                             (unsigned long long)sort->limit, (unsigned long long)sort->offset + 1);
    if (q->limit == NULL)
        node->why =
            arena_format(p->arena, "rows from row %llu on", (unsigned long long)sort->offset + 1);
    r->node = node;
}

struct relation bind_sorted(struct planner *p, struct relation r, const struct ast_query *q,
                            uint32_t hidden)
{
    struct scope_column *columns = arena_array(p->arena, struct scope_column, r.count + 1);

    memcpy(columns, r.columns, r.count * sizeof *columns);
    r.columns = columns;
    if (r.pending)
        materialize_window(p, &r);
    if (q->order != NULL)
        plan_sort(p, &r, q->order, hidden);
    materialize_filter(p, &r);
    if (q->limit != NULL || q->offset != NULL)
        plan_limit(p, &r, q);
    return r;
}
