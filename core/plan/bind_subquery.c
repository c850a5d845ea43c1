/* core/plan/bind_subquery.c - sub-queries in WHERE as semi and anti joins: [NOT] EXISTS, [NOT] IN.
 *
 * A plain SELECT ... FROM ... WHERE may speak of columns of the query around it; its WHERE is part of the join's condition. Any
 * other query is bound by itself.
 *
 * x NOT IN (q) is TRUE where no y of q equals x, none is NULL, and x is not NULL or q is empty: up to three anti joins, each
 * on keys.
 */
#include "core/plan/bind.h"

struct sub_query {
    struct relation right;
    struct relation both;       /* columns of the query around, then of right */
    struct expr *parts[64 + 1]; /* of its WHERE, over both; room for one more */
    uint32_t count;
    struct ast_at at;
};

static bool is_not(const struct ast_expr *x)
{
    return x->kind == AST_UNARY && strcmp(x->op, "NOT") == 0;
}

bool is_sub_query(const struct ast_expr *part)
{
    while (is_not(part))
        part = part->args[0];
    return part->kind == AST_EXISTS || (part->kind == AST_IN && part->query != NULL);
}

static void see_both(struct planner *p, struct sub_query *s, const struct relation *left)
{
    const uint32_t n = left->count, m = s->right.count;

    s->both = (struct relation){.count = n + m, .outer = n, .at = s->at};
    s->both.columns = arena_array(p->arena, struct scope_column, n + m + 1);
    if (n > 0)
        memcpy(s->both.columns, left->columns, n * sizeof *left->columns);
    if (m > 0)
        memcpy(s->both.columns + n, s->right.columns, m * sizeof *s->right.columns);
}

static void settle(struct planner *p, struct relation *r)
{
    if (r->pending)
        materialize_window(p, r);
    materialize_filter(p, r);
}

/* SELECT ... FROM ... WHERE and no more. */
static bool is_plain(const struct planner *p, const struct ast_query *q)
{
    const struct ast_select *s = q->select;

    return q->kind == QUERY_SELECT && q->with_count == 0 && q->order == NULL && q->limit == NULL &&
           q->offset == NULL && s->from != NULL && s->qualify == NULL && !is_aggregated(p, s);
}

static void bind_plain(struct planner *p, struct sub_query *s, const struct relation *left,
                       const struct ast_select *select)
{
    struct where_parts *outer = p->where_parts, *where = join_where(p, select->where);
    const struct ast_expr *part;
    uint32_t at = 0;

    p->where_parts = select->from->kind == AST_TABLE_JOIN ? where : NULL;
    s->right = bind_from(p, select->from);
    p->where_parts = outer;
    settle(p, &s->right);
    for (; (part = join_where_left(where, &at)) != NULL;)
        if (is_sub_query(part))
            s->right = bind_sub_query(p, s->right, part);
    see_both(p, s, left);
    for (at = 0; (part = join_where_left(where, &at)) != NULL;) {
        struct expr *e;

        if (is_sub_query(part))
            continue;
        if (has_aggregate(p, part))
            plan_fail(p, part->at, MILL_E_TYPE, "an aggregate cannot stand in WHERE");
        e = expr_fold(&p->session, bind_expr(p, &s->both, NULL, part));
        if (e->type.kind != MILL_BOOLEAN)
            plan_fail(p, part->at, MILL_E_TYPE, "WHERE needs a condition");
        s->parts[s->count++] = e;
    }
}

static void bind_inner(struct planner *p, struct sub_query *s, const struct relation *left,
                       const struct ast_query *q)
{
    struct where_parts *outer = p->where_parts;

    if (is_plain(p, q)) {
        bind_plain(p, s, left, q->select);
        return;
    }
    p->where_parts = NULL;
    s->right = bind_query(p, q);
    p->where_parts = outer;
    settle(p, &s->right);
    see_both(p, s, left);
}

/* What the sub-query of IN gives, over both. */
static struct expr *bind_item(struct planner *p, struct sub_query *s, const struct ast_query *q)
{
    const uint32_t n = s->both.outer;
    const struct ast_select *select = is_plain(p, q) ? q->select : NULL;

    if (select != NULL ? select->item_count != 1 : s->right.count != 1)
        plan_fail(p, q->at, MILL_E_TYPE, "the sub-query of IN gives %u columns, it must give one",
                  select != NULL ? select->item_count : s->right.count);
    if (select != NULL && select->items[0].expr->kind != AST_STAR)
        return expr_fold(&p->session, bind_expr(p, &s->both, NULL, select->items[0].expr));
    if (s->right.count != 1)
        plan_fail(p, q->at, MILL_E_TYPE, "the sub-query of IN gives %u columns, it must give one",
                  s->right.count);
    return expr_column(&p->session, n, &s->right.columns[0].type, place(q->at));
}

/* ---- NOT IN ---- */

/* 0, where @e is NULL; else 0 too (@always), or NULL. */
static struct expr *zero_where_null(struct planner *p, struct expr *e, bool always,
                                    struct ast_at at)
{
    const struct mill_type type = type_make(MILL_INT);
    struct expr *args[3];

    args[0] = need(p, expr_call(&p->session, "IS NULL", &e, 1, place(at), p->error));
    args[1] = args[2] = expr_i64(&p->session, 0, &type, place(at));
    return need(p, expr_case(&p->session, args, always ? 3 : 2, place(at), p->error));
}

static struct expr *equal(struct planner *p, struct expr *a, struct expr *b, struct ast_at at)
{
    struct expr *args[2] = {a, b};

    return need(p, expr_call(&p->session, "=", args, 2, place(at), p->error));
}

static struct relation not_in(struct planner *p, struct relation r, struct sub_query *s,
                              struct expr *x, struct expr *y)
{
    /* a row passes all three as it is: its columns stand in the same places */
    s->parts[s->count] = equal(p, x, y, s->at);
    r = join_semi(p, &r, &s->right, true, s->parts, s->count + 1, s->at);
    if (!y->type.not_null) {
        s->parts[s->count] = equal(p, zero_where_null(p, x, true, s->at),
                                   zero_where_null(p, y, false, s->at), s->at);
        r = join_semi(p, &r, &s->right, true, s->parts, s->count + 1, s->at);
    }
    if (!x->type.not_null) {
        s->parts[s->count] = equal(p, zero_where_null(p, x, false, s->at),
                                   zero_where_null(p, y, true, s->at), s->at);
        r = join_semi(p, &r, &s->right, true, s->parts, s->count + 1, s->at);
    }
    return r;
}

struct relation bind_sub_query(struct planner *p, struct relation r, const struct ast_expr *part)
{
    struct sub_query s = {.at = part->at};
    bool anti = false;
    struct expr *x, *y;

    for (; is_not(part); part = part->args[0])
        anti = !anti;
    anti = anti != part->negated;
    settle(p, &r);
    bind_inner(p, &s, &r, part->query);
    if (part->kind == AST_EXISTS)
        return join_semi(p, &r, &s.right, anti, s.parts, s.count, s.at);
    x = expr_fold(&p->session, bind_expr(p, &r, NULL, part->args[0]));
    y = bind_item(p, &s, part->query);
    if (anti)
        return not_in(p, r, &s, x, y);
    s.parts[s.count] = equal(p, x, y, s.at);
    return join_semi(p, &r, &s.right, false, s.parts, s.count + 1, s.at);
}
