/* core/plan/bind_match_expr.c - DEFINE and MEASURES: navigation, aggregates and functions of a match become columns.
 *
 * Each A.price, LAST(A.price, 1), PREV(price), SUM(A.price), CLASSIFIER() is an item; what remains is an ordinary expression
 * over the items, bound as any other. The argument of a navigation or an aggregate is computed once per row, before rows
 * are matched: it is a column of the operator's input.
 */
#include "core/plan/bind_match.h"

#include <stdio.h>
#include <strings.h>

static const char *last_part(const struct ast_expr *x)
{
    return x->name.parts[x->name.count - 1];
}

static bool is_call(const struct match_bind *b, const struct ast_expr *x, const char *name)
{
    return x->kind == AST_CALL && strcasecmp(last_part(x), name) == 0 && x->name.count == 1 &&
           catalog_function(b->p->catalog, name) == NULL;
}

static bool is_logical(const struct match_bind *b, const struct ast_expr *x)
{
    return is_call(b, x, "FIRST") || is_call(b, x, "LAST");
}

static bool is_physical(const struct match_bind *b, const struct ast_expr *x)
{
    return is_call(b, x, "PREV") || is_call(b, x, "NEXT");
}

static bool is_aggregate(const struct match_bind *b, const struct ast_expr *x)
{
    enum agg_kind kind;

    return x->kind == AST_CALL && x->over == NULL &&
           (x->star || (agg_find(last_part(x), &kind) &&
                        catalog_function(b->p->catalog, last_part(x)) == NULL));
}

/* ---- items ---- */

static bool item_same(const struct match_item *a, const struct match_item *b)
{
    return a->kind == b->kind && a->mask == b->mask && a->column == b->column &&
           a->offset == b->offset && a->physical == b->physical && a->first == b->first &&
           a->final == b->final &&
           (a->kind != ITEM_AGGREGATE ||
            (a->agg.kind == b->agg.kind && a->agg.distinct == b->agg.distinct &&
             a->agg.arg == b->agg.arg));
}

static void items_grow(struct match_bind *b, struct match_items *list)
{
    const uint32_t room = list->room == 0 ? 16 : list->room * 2, count = list->columns.count;
    struct match_item *items = arena_array(b->p->arena, struct match_item, room);
    struct expr **sources = arena_array(b->p->arena, struct expr *, room);
    struct scope_column *columns = arena_array(b->p->arena, struct scope_column, room);

    if (count > 0) {
        memcpy(items, list->items, count * sizeof *items);
        memcpy(sources, list->sources, count * sizeof *sources);
        memcpy(columns, list->columns.columns, count * sizeof *columns);
    }
    list->items = items;
    list->sources = sources;
    list->columns.columns = columns;
    list->room = room;
}

/* A name that binds to the item, in place of @x. */
static struct ast_expr *item(struct match_bind *b, const struct ast_expr *x,
                             const struct match_item *made, struct expr *source)
{
    struct match_items *list = b->now;
    struct ast_expr *name = arena_new(b->p->arena, struct ast_expr);
    uint32_t i = 0;

    while (i < list->columns.count && !item_same(&list->items[i], made))
        i++;
    if (i == list->columns.count) {
        if (i == list->room)
            items_grow(b, list);
        list->items[i] = *made;
        list->items[i].type.not_null = false;
        list->sources[i] = source;
        list->columns.columns[i] =
            (struct scope_column){.name = arena_format(b->p->arena, "$%u", i),
                                  .type = list->items[i].type};
        list->columns.count++;
    }
    *name = (struct ast_expr){.kind = AST_NAME, .at = x->at, .end = x->end};
    name->name = (struct ast_name){.at = x->at, .count = 1};
    name->name.parts = arena_array(b->p->arena, const char *, 1);
    name->name.parts[0] = list->columns.columns[i].name;
    return name;
}

/* ---- variables in an argument ---- */

struct argument {
    uint64_t mask; /* 0: none met yet */
    struct ast_at at;
    const char *variable;
};

static bool is_column_or_table(const struct match_bind *b, const char *name)
{
    for (uint32_t i = 0; i < b->r->count; i++)
        if (strcasecmp(b->r->columns[i].name, name) == 0 ||
            (b->r->columns[i].table != NULL && strcasecmp(b->r->columns[i].table, name) == 0))
            return true;
    return false;
}

static void meet(struct match_bind *b, struct argument *a, const struct ast_expr *x,
                 const char *variable, uint64_t mask)
{
    if (a->mask != 0 && a->mask != mask)
        plan_fail(b->p, x->at, MILL_E_TYPE,
                  "one row gives all values of an expression inside FIRST, LAST, PREV, NEXT or an "
                  "aggregate: %s and %s are different variables",
                  a->variable, variable);
    a->mask = mask;
    a->variable = variable;
}

/* The name without its variable. */
static struct ast_expr *strip_name(struct match_bind *b, const struct ast_expr *x,
                                   struct argument *a)
{
    struct ast_expr *copy = arena_new(b->p->arena, struct ast_expr);
    const uint64_t mask = x->name.count > 1 ? match_mask(b, x->name.parts[0]) : 0;

    *copy = *x;
    if (mask == 0) {
        if (x->name.count > 1 && !is_column_or_table(b, x->name.parts[0]))
            plan_fail(b->p, x->at, MILL_E_NAME,
                      "%s is no variable of the pattern, no column and no table; the variables are "
                      "%s",
                      x->name.parts[0], match_names(b));
        meet(b, a, x, "all rows of the match", match_all(b));
        return copy;
    }
    meet(b, a, x, x->name.parts[0], mask);
    copy->name.count--;
    copy->name.parts++;
    return copy;
}

static struct ast_expr *strip(struct match_bind *b, const struct ast_expr *x, struct argument *a)
{
    struct ast_expr *copy;

    if (x->kind == AST_NAME)
        return strip_name(b, x, a);
    if (x->kind == AST_CALL && (is_logical(b, x) || is_physical(b, x) || is_aggregate(b, x)))
        plan_fail(b->p, x->at, MILL_E_TYPE,
                  "%s cannot stand inside another function of rows; PREV and NEXT take FIRST or "
                  "LAST",
                  last_part(x));
    if (is_call(b, x, "CLASSIFIER") || is_call(b, x, "MATCH_NUMBER"))
        plan_fail(b->p, x->at, MILL_E_UNSUPPORTED,
                  "%s() inside FIRST, LAST, PREV, NEXT or an aggregate stands alone, as in "
                  "LAST(CLASSIFIER(), 1)",
                  last_part(x));
    copy = arena_new(b->p->arena, struct ast_expr);
    *copy = *x;
    copy->args = arena_array(b->p->arena, struct ast_expr *, x->arg_count + 1);
    for (uint32_t i = 0; i < x->arg_count; i++)
        copy->args[i] = strip(b, x->args[i], a);
    return copy;
}

/* An expression of one row: its column in the operator's input, in @out with the mask and type. */
static struct expr *bind_argument(struct match_bind *b, const struct ast_expr *x,
                                  struct match_item *out)
{
    struct argument a = {0};
    struct ast_expr *stripped = strip(b, x, &a);
    struct expr *e;

    if (a.mask == 0)
        plan_fail(b->p, x->at, MILL_E_TYPE,
                  "this needs a column of a row: FIRST, LAST, PREV, NEXT and aggregates read rows "
                  "of the match");
    e = expr_fold(&b->p->session, bind_expr(b->p, b->r, NULL, stripped));
    out->mask = a.mask;
    out->column = match_input(b, e, NULL);
    out->type = e->type;
    return e;
}

/* ---- navigation ---- */

static uint32_t offset_of(struct match_bind *b, const struct ast_expr *call, uint32_t otherwise)
{
    struct expr *e;
    int64_t n;

    if (call->arg_count == 0 || call->arg_count > 2)
        plan_fail(b->p, call->at, MILL_E_TYPE, "%s takes an expression and an offset",
                  last_part(call));
    if (call->arg_count == 1)
        return otherwise;
    e = expr_fold(&b->p->session, bind_expr(b->p, NULL, NULL, call->args[1]));
    if (!type_is_integer(&e->type) || !expr_literal_i64(e, &n) || n < 0 || n > MATCH_OFFSET_MAX)
        plan_fail(b->p, call->args[1]->at, MILL_E_TYPE,
                  "the offset of %s is a number of rows, 0 to %u", last_part(call),
                  MATCH_OFFSET_MAX);
    return (uint32_t)n;
}

static void check_final(struct match_bind *b, const struct ast_expr *x, struct match_item *made)
{
    if (b->defining && x->final)
        plan_fail(b->p, x->at, MILL_E_TYPE,
                  "FINAL belongs to MEASURES: DEFINE knows only the rows up to the one at hand");
    made->final = !b->defining && (x->final || !b->m->all_rows);
}

/* CLASSIFIER(), CLASSIFIER(A) */
static void classifier(struct match_bind *b, const struct ast_expr *x, struct match_item *made)
{
    made->kind = ITEM_CLASSIFIER;
    made->type = type_string();
    made->mask = match_all(b);
    if (x->arg_count == 0)
        return;
    if (x->arg_count > 1 || x->args[0]->kind != AST_NAME || x->args[0]->name.count != 1 ||
        match_mask(b, x->args[0]->name.parts[0]) == 0)
        plan_fail(b->p, x->args[0]->at, MILL_E_NAME,
                  "CLASSIFIER takes a variable of the pattern; they are %s", match_names(b));
    made->mask = match_mask(b, x->args[0]->name.parts[0]);
}

static struct ast_expr *navigation(struct match_bind *b, const struct ast_expr *x)
{
    const struct ast_expr *inner = x;
    struct match_item made = {.kind = ITEM_VALUE};
    struct expr *source = NULL;

    check_final(b, x, &made);
    if (is_physical(b, x)) {
        const bool next = is_call(b, x, "NEXT");

        if (x->final || x->running)
            plan_fail(b->p, x->at, MILL_E_TYPE,
                      "RUNNING and FINAL stand inside %s, before FIRST or LAST", last_part(x));
        made.physical = (int32_t)offset_of(b, x, 1) * (next ? 1 : -1);
        inner = x->args[0];
        if (is_logical(b, inner))
            check_final(b, inner, &made);
    }
    if (is_logical(b, inner)) {
        made.first = is_call(b, inner, "FIRST");
        made.offset = offset_of(b, inner, 0);
        inner = inner->args[0];
    } else if (is_call(b, inner, "CLASSIFIER") && inner != x) {
        ;
    } else if (inner != x && is_physical(b, inner)) {
        plan_fail(b->p, inner->at, MILL_E_TYPE, "PREV and NEXT do not nest: add up their offsets");
    }
    if (is_call(b, inner, "CLASSIFIER"))
        classifier(b, inner, &made);
    else
        source = bind_argument(b, inner, &made);
    return item(b, x, &made, source);
}

/* ---- aggregates ---- */

static void aggregate_argument(struct match_bind *b, const struct ast_expr *x,
                               struct match_item *made)
{
    char text[80];

    if (x->star || (x->arg_count == 1 && x->args[0]->kind == AST_STAR)) {
        const struct ast_name *name = x->star ? NULL : &x->args[0]->name;

        if (made->agg.kind != AGG_COUNT)
            plan_fail(b->p, x->at, MILL_E_TYPE, "%s takes a value, only COUNT takes *",
                      last_part(x));
        made->mask = match_all(b);
        if (name != NULL && name->count > 0)
            made->mask = match_mask(b, name->parts[0]);
        if (made->mask == 0)
            plan_fail(b->p, x->args[0]->at, MILL_E_NAME,
                      "%s is no variable of the pattern; they are %s", name->parts[0],
                      match_names(b));
        made->agg.kind = AGG_COUNT_STAR;
        made->agg.arg = -1;
    } else {
        if (x->arg_count != 1)
            plan_fail(b->p, x->at, MILL_E_TYPE, "%s takes one value", last_part(x));
        bind_argument(b, x->args[0], made);
        made->agg.arg = (int32_t)made->column;
        made->agg.arg_type = made->type;
    }
    made->column = 0;
    if (!agg_result_type(made->agg.kind, &made->agg.arg_type, &made->agg.result_type))
        plan_fail(b->p, x->at, MILL_E_TYPE, "%s does not take %s", last_part(x),
                  type_name(&made->agg.arg_type, text, sizeof text));
    made->type = made->agg.result_type;
}

static struct ast_expr *aggregate(struct match_bind *b, const struct ast_expr *x)
{
    struct match_item made = {.kind = ITEM_AGGREGATE};

    check_final(b, x, &made);
    if (!agg_find(last_part(x), &made.agg.kind))
        plan_fail(b->p, x->at, MILL_E_TYPE, "%s does not take *", last_part(x));
    if (made.agg.kind >= AGG_LISTAGG || made.agg.kind == AGG_FIRST || made.agg.kind == AGG_LAST)
        plan_fail(b->p, x->at, MILL_E_UNSUPPORTED, "%s is not supported in MATCH_RECOGNIZE%s",
                  last_part(x),
                  made.agg.kind >= AGG_LISTAGG ? "" : ": FIRST and LAST read rows of the match");
    if (x->filter != NULL || x->within != NULL)
        plan_fail(b->p, x->at, MILL_E_UNSUPPORTED,
                  "FILTER and WITHIN GROUP are not supported in MATCH_RECOGNIZE: use a variable or "
                  "CASE");
    made.agg.distinct = x->distinct;
    made.agg.filter = -1;
    made.agg.name = last_part(x);
    aggregate_argument(b, x, &made);
    return item(b, x, &made, NULL);
}

/* ---- the rest ---- */

static struct ast_expr *row_time(struct match_bind *b, const struct ast_expr *x)
{
    struct match_item made = {.kind = ITEM_VALUE, .mask = match_all(b), .final = !b->defining};
    struct expr *e;

    if (x->arg_count > 1)
        plan_fail(b->p, x->at, MILL_E_TYPE, "MATCH_ROWTIME takes no argument or a time column");
    if (x->arg_count == 1) {
        e = bind_argument(b, x->args[0], &made);
        if (!type_is_time(&e->type))
            plan_fail(b->p, x->args[0]->at, MILL_E_TYPE, "MATCH_ROWTIME takes a time column");
        return item(b, x, &made, e);
    }
    if (b->node->time < 0)
        plan_fail(b->p, x->at, MILL_E_TYPE,
                  "MATCH_ROWTIME() needs ORDER BY an event time; MATCH_PROCTIME() is the clock");
    made.column = (uint32_t)b->node->time;
    made.type = b->node->time_type;
    return item(b, x, &made, b->inputs[b->node->time]);
}

static struct ast_expr *number(struct match_bind *b, const struct ast_expr *x)
{
    const struct match_item made = {.kind = ITEM_NUMBER, .type = type_make(MILL_BIGINT)};

    return item(b, x, &made, NULL);
}

static struct ast_expr *rewrite(struct match_bind *b, const struct ast_expr *x)
{
    struct ast_expr *copy;

    if (x->kind == AST_NAME || is_logical(b, x) || is_physical(b, x) || is_call(b, x, "CLASSIFIER"))
        return navigation(b, x);
    if (is_call(b, x, "MATCH_NUMBER"))
        return number(b, x);
    if (is_call(b, x, "MATCH_ROWTIME"))
        return row_time(b, x);
    if (is_aggregate(b, x))
        return aggregate(b, x);
    if (x->final || x->running)
        plan_fail(b->p, x->at, MILL_E_TYPE,
                  "%s stands before FIRST, LAST or an aggregate, %s is none",
                  x->final ? "FINAL" : "RUNNING", last_part(x));
    copy = arena_new(b->p->arena, struct ast_expr);
    *copy = *x;
    if (is_call(b, x, "MATCH_PROCTIME")) {
        copy->name.parts = arena_array(b->p->arena, const char *, 1);
        copy->name.parts[0] = "PROCTIME";
    }
    copy->args = arena_array(b->p->arena, struct ast_expr *, x->arg_count + 1);
    for (uint32_t i = 0; i < x->arg_count; i++)
        copy->args[i] = rewrite(b, x->args[i]);
    return copy;
}

struct expr *match_expr(struct match_bind *b, const struct ast_expr *x)
{
    struct ast_expr *over_items = rewrite(b, x);

    return expr_fold(&b->p->session, bind_expr(b->p, &b->now->columns, NULL, over_items));
}

struct expr *match_number(struct match_bind *b, struct ast_at at)
{
    const struct ast_expr here = {.kind = AST_CALL, .at = at, .end = at};

    return bind_expr(b->p, &b->now->columns, NULL, number(b, &here));
}
