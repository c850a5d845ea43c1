/* core/plan/bind_scalar.c - sub-queries as values: joined to the FROM of the SELECT that they stand in.
 *
 * One that speaks of its own tables alone has one value for all rows: LEFT JOIN without a key. One whose WHERE compares by = with columns
 * of the query around it is grouped by what it compares: LEFT JOIN on that (Kim's decorrelation; where there is no row, a COUNT is 0).
 * One that is no aggregate may have one row at most: MAX(value), and COUNT(*), which must not be above 1.
 */
#include "core/plan/bind.h"

#include <strings.h>

#define KEYS_MAX 16u

/* ---- what stands in an expression ---- */

bool has_scalar(const struct ast_expr *x)
{
    if (x->kind == AST_QUERY)
        return true;
    for (uint32_t i = 0; i < x->arg_count; i++)
        if (has_scalar(x->args[i]))
            return true;
    return x->filter != NULL && has_scalar(x->filter);
}

struct expr *scalar_value(struct planner *p, struct aggregation *agg, const struct ast_expr *x)
{
    for (const struct scalar_bound *b = p->scalars; b != NULL; b = b->next)
        if (b->query == x)
            return agg != NULL ? aggregation_greatest(p, agg, b->value, x->at) : b->value;
    plan_fail(p, x->at, MILL_E_UNSUPPORTED,
              "a sub-query as a value stands in a SELECT list, WHERE, HAVING or QUALIFY; here it "
              "is "
              "not supported yet: join it");
}

/* ---- SELECTs that are made up ---- */

static struct ast_expr *made_name(struct planner *p, const char *name, struct ast_at at)
{
    struct ast_expr *x = arena_new(p->arena, struct ast_expr);

    x->kind = AST_NAME;
    x->at = at;
    x->name = (struct ast_name){.at = at, .count = 1};
    x->name.parts = arena_array(p->arena, const char *, 1);
    x->name.parts[0] = name;
    return x;
}

/* MAX(@arg); COUNT(*) where it is NULL. */
static struct ast_expr *made_call(struct planner *p, struct ast_expr *arg, struct ast_at at)
{
    struct ast_expr *x = made_name(p, arg != NULL ? "MAX" : "COUNT", at);

    x->kind = AST_CALL;
    x->star = arg == NULL;
    x->arg_count = arg != NULL;
    x->args = arena_array(p->arena, struct ast_expr *, 1);
    x->args[0] = arg;
    return x;
}

struct keys {
    struct ast_expr *inner[KEYS_MAX]; /* of the sub-query */
    struct expr *outer[KEYS_MAX];     /* over the query around it */
    uint32_t count;
};

/* The keys, then @value of each group, over @r. With @check the only row's value: a second row is an error. */
static struct relation grouped(struct planner *p, struct relation r, const struct keys *keys,
                               struct ast_expr *value, bool check, struct ast_at at)
{
    const uint32_t n = keys->count;
    struct ast_select s = {.at = at, .item_count = n + 1 + check, .group_count = n};
    struct relation out;
    struct expr **exprs;

    s.items = arena_array(p->arena, struct ast_item, n + 2);
    s.groups = arena_array(p->arena, struct ast_group, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        s.items[i] = (struct ast_item){at, keys->inner[i], arena_format(p->arena, "$key%u", i)};
        s.groups[i] = (struct ast_group){.kind = GROUP_PLAIN, .at = at, .expr = keys->inner[i]};
    }
    s.items[n] = (struct ast_item){at, check ? made_call(p, value, at) : value, "$value"};
    s.items[n + 1] = (struct ast_item){at, made_call(p, NULL, at), "$rows"};
    out = bind_aggregate(p, r, &s);
    materialize_filter(p, &out);
    if (!check)
        return out;
    exprs = arena_array(p->arena, struct expr *, n + 2);
    for (uint32_t i = 0; i < n + 2; i++)
        exprs[i] = expr_column(&p->session, i, &out.columns[i].type, place(at));
    exprs[n + 1] =
        need(p, expr_call(&p->session, "$ONE_ROW", &exprs[n + 1], 1, place(at), p->error));
    {
        struct expr *args[2] = {exprs[n + 1], exprs[n]};

        exprs[n] = need(p, expr_case(&p->session, args, 2, place(at), p->error));
    }
    out.columns[n].type = exprs[n]->type;
    out.count = n + 1;
    out.node = plan_calc(p, &out, exprs, out.columns, n + 1);
    return out;
}

/* ---- joining ---- */

static void settle(struct planner *p, struct relation *r)
{
    if (r->pending)
        materialize_window(p, r);
    materialize_filter(p, r);
}

/* @right's last column behind those of @r, out of sight; the others are keys. */
static struct expr *joined(struct planner *p, struct relation *r, const struct relation *right,
                           const struct keys *keys, bool counts, struct ast_at at)
{
    const struct mill_type bigint = type_make(MILL_BIGINT);
    const uint32_t left = r->count, n = keys->count;
    struct expr *conditions[KEYS_MAX], *args[2];
    struct relation out;

    for (uint32_t i = 0; i < n; i++) {
        args[0] = keys->outer[i];
        args[1] = expr_column(&p->session, left + i, &right->columns[i].type, place(at));
        conditions[i] = need(p, expr_call(&p->session, "=", args, 2, place(at), p->error));
    }
    out = join_left(p, r, right, conditions, n, at);
    out.at = r->at;
    for (uint32_t i = left; i < out.count; i++) {
        out.columns[i].name = "";
        out.columns[i].table = NULL;
        out.columns[i].merged = true;
    }
    *r = out;
    args[0] = expr_column(&p->session, left + n, &out.columns[left + n].type, place(at));
    if (!counts)
        return args[0];
    args[1] = expr_i64(&p->session, 0, &bigint, place(at));
    return need(p, expr_call(&p->session, "COALESCE", args, 2, place(at), p->error));
}

/* ---- a sub-query of its own ---- */

/* False: it does not mean anything by itself, which @why says; the plan is as before. */
static bool try_query(struct planner *p, const struct ast_query *q, struct relation *out,
                      struct mill_error *why)
{
    struct planner *saved = arena_new(p->arena, struct planner);
    volatile bool ok = false;

    *saved = *p;
    p->error = why;
    p->where_parts = NULL;
    p->overs = NULL;
    if (setjmp(p->failed) == 0) {
        *out = bind_query(p, q);
        settle(p, out);
        ok = true;
    }
    p->error = saved->error;
    p->where_parts = saved->where_parts;
    p->overs = saved->overs;
    memcpy(&p->failed, &saved->failed, sizeof p->failed);
    if (!ok)
        *p = *saved;
    return ok;
}

/* Whether it surely gives one row at most. */
static bool gives_one(const struct planner *p, const struct ast_query *q)
{
    const bool first =
        q->limit != NULL && q->limit->kind == AST_NUMBER && strcmp(q->limit->text, "1") == 0;

    if (first || (q->kind == QUERY_VALUES && q->row_count == 1))
        return true;
    return q->kind == QUERY_SELECT && (q->select->from == NULL || (is_aggregated(p, q->select) &&
                                                                   q->select->group_count == 0));
}

static bool is_count(const struct ast_expr *x)
{
    return x->kind == AST_CALL && x->over == NULL &&
           strcasecmp(x->name.parts[x->name.count - 1], "COUNT") == 0;
}

static struct expr *join_own(struct planner *p, struct relation *r, struct relation right,
                             const struct ast_query *q)
{
    const struct keys none = {.count = 0};
    const bool one = gives_one(p, q);

    if (right.count != 1)
        plan_fail(p, q->at, MILL_E_TYPE,
                  "a sub-query as a value gives one column, this one gives %u", right.count);
    if (!one) {
        right.columns[0].name = "$value";
        right.columns[0].table = NULL;
        right = grouped(p, right, &none, made_name(p, "$value", q->at), true, q->at);
    }
    return joined(p, r, &right, &none,
                  one && q->kind == QUERY_SELECT && q->select->having == NULL && q->limit == NULL &&
                      is_count(q->select->items[0].expr),
                  q->at);
}

/* ---- a sub-query that speaks of the query around it ---- */

/* Bit 0: reads the columns before @left, bit 1: others. */
static unsigned sides_of(const struct expr *e, uint32_t left)
{
    unsigned sides = e->kind == EXPR_COLUMN ? 1u << (e->index >= left) : 0;

    for (uint32_t i = 0; i < e->arg_count; i++)
        sides |= sides_of(e->args[i], left);
    return sides;
}

/* NULL where all its aggregates are: arithmetic of aggregates but COUNT, and of constants. */
static bool is_null_of_none(const struct ast_expr *x)
{
    const bool literal = x->kind == AST_NUMBER || x->kind == AST_STRING || x->kind == AST_INTERVAL;
    bool any = false;

    if (x->kind == AST_CALL)
        return !is_count(x);
    if (x->kind != AST_BINARY && x->kind != AST_UNARY && x->kind != AST_CAST)
        return false;
    for (uint32_t i = 0; !literal && i < x->arg_count; i++) {
        const struct ast_expr *arg = x->args[i];

        if (arg->kind == AST_NUMBER || arg->kind == AST_STRING || arg->kind == AST_INTERVAL)
            continue;
        if (!is_null_of_none(arg))
            return false;
        any = true;
    }
    return any;
}

static void take_condition(struct planner *p, struct relation *right, const struct relation *both,
                           const struct ast_expr *part, struct keys *keys)
{
    const uint32_t left = both->outer;
    struct expr *e = expr_fold(&p->session, bind_expr(p, (struct relation *)both, NULL, part));
    const unsigned sides = sides_of(e, left);
    unsigned first, second;

    if (sides != 3 && sides != 1) {
        right->filter =
            expr_both(p, right->filter, expr_fold(&p->session, bind_expr(p, right, NULL, part)));
        return;
    }
    if (part->kind == AST_BINARY && strcmp(part->op, "=") == 0 && keys->count < KEYS_MAX) {
        struct expr *sides_made[2] = {bind_expr(p, (struct relation *)both, NULL, part->args[0]),
                                      bind_expr(p, (struct relation *)both, NULL, part->args[1])};

        first = sides_of(sides_made[0], left);
        second = sides_of(sides_made[1], left);
        if ((first == 1 && second == 2) || (first == 2 && second == 1)) {
            keys->inner[keys->count] = part->args[first == 1];
            keys->outer[keys->count++] = expr_fold(&p->session, sides_made[first != 1]);
            return;
        }
    }
    plan_fail(p, part->at, MILL_E_UNSUPPORTED,
              "a sub-query as a value compares with columns of the query around it by = only, "
              "between ANDs: join it");
}

static void check_shape(struct planner *p, const struct ast_query *q, const struct mill_error *why)
{
    const struct ast_select *s = q->select;

    if (q->kind == QUERY_SELECT && q->with_count == 0 && q->order == NULL && q->limit == NULL &&
        q->offset == NULL && s->from != NULL && s->group_count == 0 && s->having == NULL &&
        s->qualify == NULL && !s->distinct && s->item_count == 1 &&
        s->items[0].expr->kind != AST_STAR && s->where != NULL)
        return;
    *p->error = *why;
    longjmp(p->failed, 1);
}

static struct expr *join_correlated(struct planner *p, struct relation *r,
                                    const struct ast_query *q, const struct mill_error *why)
{
    const struct ast_select *s = q->select;
    struct where_parts *outer = p->where_parts, *where = join_where(p, s->where);
    struct ast_expr *value = s->items[0].expr;
    struct relation right, both = {.at = q->at};
    struct keys *keys = arena_new(p->arena, struct keys);
    const struct ast_expr *part;
    const bool aggregate = has_aggregate(p, value);
    uint32_t at = 0;

    p->where_parts = s->from->kind == AST_TABLE_JOIN ? where : NULL;
    right = bind_from(p, s->from);
    p->where_parts = outer;
    settle(p, &right);
    while ((part = join_where_left(where, &at)) != NULL)
        if (is_sub_query(part))
            right = bind_sub_query(p, right, part);
    both.count = r->count + right.count;
    both.outer = r->count;
    both.columns = arena_array(p->arena, struct scope_column, both.count + 1);
    memcpy(both.columns, r->columns, r->count * sizeof *both.columns);
    memcpy(both.columns + r->count, right.columns, right.count * sizeof *both.columns);
    for (at = 0; (part = join_where_left(where, &at)) != NULL;)
        if (!is_sub_query(part))
            take_condition(p, &right, &both, part, keys);
    if (keys->count == 0) {
        *p->error = *why;
        longjmp(p->failed, 1);
    }
    if (aggregate && !is_count(value) && !is_null_of_none(value))
        plan_fail(p, value->at, MILL_E_UNSUPPORTED,
                  "a sub-query that compares with the query around it gives a column, an aggregate "
                  "or arithmetic of SUM, MIN, MAX and AVG: compute with it outside of it");
    right = grouped(p, right, keys, value, !aggregate, q->at);
    return joined(p, r, &right, keys, aggregate && is_count(value), q->at);
}

void bind_scalars(struct planner *p, struct relation *r, const struct ast_expr *x)
{
    struct mill_error why = {0};
    struct scalar_bound *bound;
    struct relation right;

    if (!has_scalar(x))
        return;
    for (uint32_t i = 0; i < x->arg_count; i++)
        bind_scalars(p, r, x->args[i]);
    if (x->filter != NULL)
        bind_scalars(p, r, x->filter);
    if (x->kind != AST_QUERY)
        return;
    settle(p, r);
    bound = arena_new(p->arena, struct scalar_bound);
    bound->query = x;
    if (try_query(p, x->query, &right, &why)) {
        bound->value = join_own(p, r, right, x->query);
    } else {
        if (why.code != MILL_E_NAME) {
            *p->error = why;
            longjmp(p->failed, 1);
        }
        check_shape(p, x->query, &why);
        bound->value = join_correlated(p, r, x->query, &why);
    }
    bound->next = p->scalars;
    p->scalars = bound;
}
