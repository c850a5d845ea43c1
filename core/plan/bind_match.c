/* core/plan/bind_match.c - MATCH_RECOGNIZE: its clauses to a calc, an exchange by PARTITION BY, the matcher, a calc.
 *
 * The first calc gives what the matcher reads: keys, time, arguments of navigation and aggregates, and conditions that read
 * only the row at hand. The matcher gives the keys (or the rows) and the items of the measures; the last calc computes these.
 */
#include "core/plan/bind_match.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define PARTIALS_DEFAULT 10000u

/* ---- names ---- */

uint64_t match_all(const struct match_bind *b)
{
    return b->variable_count == 64 ? UINT64_MAX : (1ull << b->variable_count) - 1;
}

uint64_t match_mask(const struct match_bind *b, const char *name)
{
    for (int pass = 0; pass < 2; pass++) {
        int (*same)(const char *, const char *) = pass == 0 ? strcmp : strcasecmp;

        for (uint32_t i = 0; i < b->variable_count; i++)
            if (same(b->variables[i].name, name) == 0)
                return b->variables[i].mask;
        for (uint32_t i = 0; i < b->subset_count; i++)
            if (same(b->subsets[i].name, name) == 0)
                return b->subsets[i].mask;
    }
    return 0;
}

const char *match_names(const struct match_bind *b)
{
    const char *names = "";

    for (uint32_t i = 0; i < b->variable_count + b->subset_count; i++)
        names = arena_format(b->p->arena, "%s%s%s", names, i > 0 ? ", " : "",
                             i < b->variable_count ? b->variables[i].name
                                                   : b->subsets[i - b->variable_count].name);
    return names;
}

/* A variable of the pattern, numbered when it is first met. */
static uint32_t variable(void *user, const struct ast_pattern *part)
{
    struct match_bind *b = user;
    const uint64_t mask = match_mask(b, part->name);

    if (mask != 0)
        return (uint32_t)__builtin_ctzll(mask);
    if (b->variable_count == MATCH_VARIABLES_MAX)
        plan_fail(b->p, part->at, MILL_E_UNSUPPORTED, "a pattern of more than %u variables",
                  MATCH_VARIABLES_MAX);
    b->variables[b->variable_count] = (struct match_named){part->name, 1ull << b->variable_count};
    b->node->variables[b->variable_count] = part->name;
    return b->variable_count++;
}

static void bind_pattern(struct match_bind *b)
{
    struct planner *p = b->p;

    b->variables = arena_array(p->arena, struct match_named, MATCH_VARIABLES_MAX);
    b->node->variables = arena_array(p->arena, const char *, MATCH_VARIABLES_MAX);
    if (match_compile(b->m->pattern, p->arena, variable, b, &b->node->pattern, p->error) != MILL_OK)
        longjmp(p->failed, 1);
    b->node->variable_count = b->variable_count;
    b->node->pattern.text = match_pattern_text(p->arena, b->m->pattern);
    if (b->variable_count == 0)
        plan_fail(p, b->m->pattern->at, MILL_E_SYNTAX, "the pattern has no variable");
}

static void subset_part(struct match_bind *b, const struct ast_expr *x, uint64_t *mask)
{
    const uint64_t one = x->kind == AST_NAME ? match_mask(b, x->name.parts[0]) : 0;

    if (one == 0)
        plan_fail(b->p, x->at, MILL_E_NAME, "SUBSET lists variables of the pattern: %s",
                  match_names(b));
    *mask |= one;
}

static void bind_subsets(struct match_bind *b)
{
    const struct ast_match *m = b->m;

    b->subsets = arena_array(b->p->arena, struct match_named, m->subset_count + 1);
    for (uint32_t i = 0; i < m->subset_count; i++) {
        const struct ast_expr *x = m->subsets[i].expr;
        uint64_t mask = 0;

        if (match_mask(b, m->subsets[i].alias) != 0)
            plan_fail(b->p, m->subsets[i].at, MILL_E_NAME, "%s is a variable or subset already",
                      m->subsets[i].alias);
        if (x->kind != AST_ROW)
            subset_part(b, x, &mask);
        for (uint32_t k = 0; x->kind == AST_ROW && k < x->arg_count; k++)
            subset_part(b, x->args[k], &mask);
        b->subsets[b->subset_count++] = (struct match_named){m->subsets[i].alias, mask};
    }
}

/* ---- the operator's input ---- */

uint32_t match_input(struct match_bind *b, struct expr *e, const struct scope_column *column)
{
    struct planner *p = b->p;

    for (uint32_t i = 0; column == NULL && i < b->input_count; i++)
        if (expr_is_pure(e) && expr_same(b->inputs[i], e))
            return i;
    if (b->input_count == b->input_room) {
        const uint32_t room = b->input_room == 0 ? 32 : b->input_room * 2;
        struct expr **inputs = arena_array(p->arena, struct expr *, room);
        struct scope_column *columns = arena_array(p->arena, struct scope_column, room);

        if (b->input_count > 0) {
            memcpy(inputs, b->inputs, b->input_count * sizeof *inputs);
            memcpy(columns, b->input_columns, b->input_count * sizeof *columns);
        }
        b->inputs = inputs;
        b->input_columns = columns;
        b->input_room = room;
    }
    b->inputs[b->input_count] = e;
    if (column != NULL)
        b->input_columns[b->input_count] = *column;
    else if (e->kind == EXPR_COLUMN)
        b->input_columns[b->input_count].name = b->r->columns[e->index].name;
    else
        b->input_columns[b->input_count].name = arena_format(p->arena, "$%u", b->input_count);
    b->input_columns[b->input_count].type = e->type;
    return b->input_count++;
}

static struct expr *plain_column(struct match_bind *b, const struct ast_expr *x, const char *clause)
{
    struct expr *e = bind_expr(b->p, b->r, NULL, x);

    if (e->kind != EXPR_COLUMN)
        plan_fail(b->p, x->at, MILL_E_TYPE, "%s of MATCH_RECOGNIZE takes columns", clause);
    return e;
}

static void bind_partition(struct match_bind *b)
{
    uint32_t *keys = arena_array(b->p->arena, uint32_t, b->m->partition_count + 1);

    for (uint32_t i = 0; i < b->m->partition_count; i++) {
        struct expr *e = plain_column(b, b->m->partition[i], "PARTITION BY");

        check_key(b->p, &e->type, b->m->partition[i]->at);
        keys[i] = match_input(b, e, NULL);
    }
    b->node->keys = keys;
    b->node->key_count = b->m->partition_count;
}

static void bind_time(struct match_bind *b, const struct ast_order_item *item)
{
    struct expr *e = plain_column(b, item->expr, "ORDER BY");
    const struct scope_column *c = &b->r->columns[e->index];
    char text[80];

    if (!c->rowtime && !c->proctime)
        plan_fail(b->p, item->expr->at, MILL_E_TYPE,
                  "MATCH_RECOGNIZE is ordered by a time attribute first: %s (%s) is none; declare "
                  "WATERMARK FOR %s AS ... in its CREATE TABLE, or make a computed column AS "
                  "PROCTIME()",
                  c->name, type_name(&c->type, text, sizeof text), c->name);
    if (item->descending)
        plan_fail(b->p, item->expr->at, MILL_E_TYPE,
                  "the time of a MATCH_RECOGNIZE is ordered ascending: rows come as time goes on");
    b->node->time = -1;
    b->node->time_type = c->proctime ? type_time(MILL_TIMESTAMP_LTZ, 3) : c->type;
    b->node->time_type.not_null = false;
    if (!c->proctime)
        b->node->time = (int32_t)match_input(b, e, NULL);
}

static void bind_order(struct match_bind *b)
{
    const struct ast_order *order = b->m->order;
    char text[80];

    if (order == NULL || order->count == 0)
        plan_fail(b->p, b->m->at, MILL_E_TYPE,
                  "MATCH_RECOGNIZE needs ORDER BY a time attribute: a pattern is one of rows in "
                  "time order");
    bind_time(b, &order->items[0]);
    b->node->orders = arena_array(b->p->arena, struct match_order, order->count);
    for (uint32_t i = 1; i < order->count; i++) {
        const struct ast_order_item *item = &order->items[i];
        struct expr *e = expr_fold(&b->p->session, bind_expr(b->p, b->r, NULL, item->expr));

        if (!type_orders(&e->type))
            plan_fail(b->p, item->expr->at, MILL_E_TYPE, "rows cannot be ordered by %s",
                      type_name(&e->type, text, sizeof text));
        b->node->orders[b->node->order_count++] =
            (struct match_order){match_input(b, e, NULL), item->descending,
                                 item->nulls_last || (item->descending && !item->nulls_first)};
    }
}

/* ---- names for EXPLAIN ---- */

/* "A." of the variable or subset with these rows; "" of all. */
static const char *prefix_of(const struct match_bind *b, uint64_t mask)
{
    if (mask == match_all(b))
        return "";
    for (uint32_t i = 0; i < b->variable_count; i++)
        if (b->variables[i].mask == mask)
            return arena_format(b->p->arena, "%s.", b->variables[i].name);
    for (uint32_t i = 0; i < b->subset_count; i++)
        if (b->subsets[i].mask == mask)
            return arena_format(b->p->arena, "%s.", b->subsets[i].name);
    return "?.";
}

static const char *item_text(const struct match_bind *b, const struct match_item *x)
{
    struct arena *arena = b->p->arena;
    const char *prefix = prefix_of(b, x->mask);
    const char *text;

    if (x->kind == ITEM_NUMBER)
        return "MATCH_NUMBER()";
    if (x->kind == ITEM_AGGREGATE)
        return arena_format(arena, "%s(%s%s%s)", x->agg.name, x->agg.distinct ? "DISTINCT " : "",
                            prefix, x->agg.arg < 0 ? "*" : b->input_columns[x->agg.arg].name);
    text = x->kind == ITEM_CLASSIFIER
               ? arena_format(arena, "%.*s", (int)strlen(prefix) - (*prefix != '\0'), prefix)
               : arena_format(arena, "%s%s", prefix, b->input_columns[x->column].name);
    if (x->kind == ITEM_CLASSIFIER)
        text = arena_format(arena, "CLASSIFIER(%s)", text);
    if (x->first || x->offset > 0)
        text = arena_format(arena, x->offset > 0 ? "%s(%s, %u)" : "%s(%s)",
                            x->first ? "FIRST" : "LAST", text, x->offset);
    if (x->physical == 0)
        return text;
    return arena_format(arena, "%s(%s, %d)", x->physical > 0 ? "NEXT" : "PREV", text,
                        abs(x->physical));
}

/* ---- DEFINE ---- */

/* Items that are values of the row at hand, when it is taken as variable @v. */
static bool reads_the_row(const struct match_bind *b, const struct expr *e, uint32_t v)
{
    if (e->kind == EXPR_COLUMN) {
        const struct match_item *x = &b->defines.items[e->index];

        return x->kind == ITEM_VALUE && (x->mask >> v & 1) != 0 && !x->first && x->offset == 0 &&
               x->physical == 0;
    }
    for (uint32_t i = 0; i < e->arg_count; i++)
        if (!reads_the_row(b, e->args[i], v))
            return false;
    return true;
}

static void bind_define(struct match_bind *b, const struct ast_item *define)
{
    const uint64_t mask = match_mask(b, define->alias);
    const uint32_t v = mask != 0 ? (uint32_t)__builtin_ctzll(mask) : 0;
    struct match_define *d = &b->node->defines[v];
    struct expr *e;
    char text[80];

    if (mask == 0 || (mask & (mask - 1)) != 0 || v >= b->variable_count)
        plan_fail(b->p, define->at, MILL_E_NAME,
                  "DEFINE: %s is no variable of the pattern; they are %s", define->alias,
                  match_names(b));
    if (d->condition != NULL || d->column >= 0)
        plan_fail(b->p, define->at, MILL_E_NAME, "DEFINE says twice what %s is", define->alias);
    b->now = &b->defines;
    b->defining = true;
    e = match_expr(b, define->expr);
    if (e->type.kind != MILL_BOOLEAN)
        plan_fail(b->p, define->expr->at, MILL_E_TYPE, "DEFINE needs a condition, this is %s",
                  type_name(&e->type, text, sizeof text));
    if (expr_is_pure(e) && reads_the_row(b, e, v))
        d->column = (int32_t)match_input(b, expr_over(b->p, e, b->defines.sources), NULL);
    else
        d->condition = e;
}

static void mark_items(const struct expr *e, bool *used)
{
    if (e->kind == EXPR_COLUMN)
        used[e->index] = true;
    for (uint32_t i = 0; i < e->arg_count; i++)
        mark_items(e->args[i], used);
}

/* Items that only conditions of the row at hand read are no items of the matcher. */
static void keep_used_items(struct match_bind *b)
{
    struct match_items *all = &b->defines;
    struct match_node *node = b->node;
    const uint32_t count = all->columns.count;
    struct expr **places = arena_array(b->p->arena, struct expr *, count + 1);
    struct scope_column *columns = arena_array(b->p->arena, struct scope_column, count + 1);
    bool *used = arena_array(b->p->arena, bool, count + 1);

    for (uint32_t v = 0; v < b->variable_count; v++)
        if (node->defines[v].condition != NULL)
            mark_items(node->defines[v].condition, used);
    node->define_items = arena_array(b->p->arena, struct match_item, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        if (!used[i])
            continue;
        places[i] = expr_column(&b->p->session, node->define_item_count, &all->items[i].type,
                                (struct expr_place){0, 0});
        columns[node->define_item_count] =
            (struct scope_column){.name = item_text(b, &all->items[i]), .type = all->items[i].type};
        node->define_items[node->define_item_count++] = all->items[i];
    }
    for (uint32_t v = 0; v < b->variable_count; v++)
        if (node->defines[v].condition != NULL)
            node->defines[v].condition = expr_over(b->p, node->defines[v].condition, places);
    node->define_schema = plan_schema(b->p, columns, node->define_item_count);
}

static void bind_defines(struct match_bind *b)
{
    b->node->defines = arena_array(b->p->arena, struct match_define, b->variable_count);
    for (uint32_t v = 0; v < b->variable_count; v++)
        b->node->defines[v].column = -1;
    for (uint32_t i = 0; i < b->m->define_count; i++)
        bind_define(b, &b->m->defines[i]);
    keep_used_items(b);
}

/* ---- WITHIN, AFTER MATCH SKIP ---- */

static void bind_within(struct match_bind *b)
{
    const struct ast_expr *x = b->m->within;
    bool months = false;
    int64_t ns;

    if (x == NULL)
        return;
    if (x->kind != AST_INTERVAL)
        plan_fail(b->p, x->at, MILL_E_TYPE, "WITHIN takes an interval, as in INTERVAL '10' SECOND");
    ns = bind_interval(b->p, x, &months);
    if (months)
        plan_fail(b->p, x->at, MILL_E_UNSUPPORTED,
                  "WITHIN months or years is not supported: days and smaller are");
    if (ns <= 0)
        plan_fail(b->p, x->at, MILL_E_TYPE, "WITHIN needs an interval above 0");
    if (!type_is_nanos(&b->node->time_type) && ns % 1000 != 0)
        plan_fail(b->p, x->at, MILL_E_TYPE,
                  "WITHIN is finer than the time column's microseconds: use a TIMESTAMP(9) column");
    b->node->within = type_is_nanos(&b->node->time_type) ? ns : ns / 1000;
}

/* Variables as which the first row of a match may be taken; all, if there may be none. */
static uint64_t first_rows(const struct match_pattern *pattern, uint32_t at, bool *seen)
{
    const struct match_code *c = &pattern->code[at];
    uint64_t mask;

    if (seen[at])
        return 0;
    seen[at] = true;
    switch (c->op) {
    case MATCH_CHAR: return 1ull << c->x;
    case MATCH_SPLIT:
        mask = first_rows(pattern, c->x, seen);
        return mask | first_rows(pattern, c->y, seen);
    case MATCH_JUMP: return first_rows(pattern, c->x, seen);
    case MATCH_ACCEPT: return UINT64_MAX;
    default: return first_rows(pattern, at + 1, seen);
    }
}

static void bind_skip(struct match_bind *b)
{
    const struct ast_match *m = b->m;
    struct match_node *node = b->node;
    bool *seen;

    if (m->skip == SKIP_DEFAULT || m->skip == SKIP_NEXT_ROW)
        return;
    node->skip = MATCH_SKIP_PAST_LAST;
    if (m->skip == SKIP_PAST_LAST)
        return;
    node->skip = m->skip == SKIP_TO_FIRST ? MATCH_SKIP_TO_FIRST : MATCH_SKIP_TO_LAST;
    node->skip_mask = match_mask(b, m->skip_variable);
    node->skip_line = m->skip_at.line;
    node->skip_column = m->skip_at.column;
    node->skip_name = m->skip_variable;
    if (node->skip_mask == 0)
        plan_fail(b->p, m->skip_at, MILL_E_NAME,
                  "AFTER MATCH SKIP: %s is no variable of the pattern; they are %s",
                  m->skip_variable, match_names(b));
    seen = arena_array(b->p->arena, bool, node->pattern.count);
    if (node->skip == MATCH_SKIP_TO_FIRST &&
        (first_rows(&node->pattern, 0, seen) & ~node->skip_mask) == 0)
        plan_fail(b->p, m->skip_at, MILL_E_TYPE,
                  "AFTER MATCH SKIP TO FIRST %s goes to the first row of the match, which would be "
                  "found again for ever: use SKIP TO NEXT ROW or another variable",
                  m->skip_variable);
}

/* ---- rows that items reach ---- */

static void reach(struct match_node *node, const struct match_item *items, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (items[i].physical < 0)
            node->back = max_u32(node->back, (uint32_t)-items[i].physical);
        else
            node->ahead = max_u32(node->ahead, (uint32_t)items[i].physical);
    }
}

static void check_rows_mode(struct match_bind *b)
{
    const struct match_pattern *pattern = &b->node->pattern;

    for (uint32_t i = 0; b->m->empty == EMPTY_UNMATCHED && i < pattern->count; i++)
        if (pattern->code[i].op == MATCH_CHAR && pattern->code[i].excluded)
            plan_fail(b->p, b->m->at, MILL_E_TYPE,
                      "WITH UNMATCHED ROWS gives all rows, {- -} leaves some out: only one of them "
                      "can stand");
    b->node->all_rows = b->m->all_rows;
    b->node->show_empty = b->m->empty != EMPTY_OMIT;
    b->node->unmatched = b->m->empty == EMPTY_UNMATCHED;
}

static uint32_t partials_max(struct match_bind *b)
{
    const char *text = catalog_setting(b->p->catalog, "millstream.match.partial-matches");
    char *end;
    unsigned long n;

    if (text == NULL)
        return PARTIALS_DEFAULT;
    n = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || n < 1 || n > 1000000)
        plan_fail(b->p, b->m->at, MILL_E_OPTION,
                  "'millstream.match.partial-matches' is '%s', need 1 to 1000000", text);
    return (uint32_t)n;
}

/* ---- the nodes ---- */

struct measured {
    struct expr **exprs;
    struct scope_column *columns;
    uint32_t count;
};

static void give(struct measured *out, struct expr *e, struct scope_column column)
{
    column.type = e->type;
    out->exprs[out->count] = e;
    out->columns[out->count++] = column;
}

/* Column @i of the matcher. */
static struct expr *given(struct match_bind *b, uint32_t i, const struct mill_type *type)
{
    return expr_column(&b->p->session, i, type, place(b->m->at));
}

static bool is_function(const struct ast_expr *x, const char *name)
{
    return x->kind == AST_CALL && strcasecmp(x->name.parts[0], name) == 0;
}

/* Rows without a match have no measures. @number: the item MATCH_NUMBER(), NULL there. */
static struct expr *only_matched(struct match_bind *b, struct expr *e, struct expr *number)
{
    struct expr *args[2];

    args[0] = need(b->p, expr_call(&b->p->session, "IS NOT NULL", &number, 1, place(b->m->at),
                                   b->p->error));
    args[1] = e;
    return need(b->p, expr_case(&b->p->session, args, 2, place(b->m->at), b->p->error));
}

static void bind_measures(struct match_bind *b, struct measured *out)
{
    const uint32_t first = b->node->all_rows ? b->r->count : b->node->key_count;
    struct expr **bound = arena_array(b->p->arena, struct expr *, b->m->measure_count + 1);
    struct expr *number = NULL, **places;
    uint32_t count;

    b->now = &b->measures;
    b->defining = false;
    for (uint32_t i = 0; i < b->m->measure_count; i++)
        bound[i] = match_expr(b, b->m->measures[i].expr);
    if (b->node->unmatched)
        number = match_number(b, b->m->at);
    count = b->measures.columns.count;
    places = arena_array(b->p->arena, struct expr *, count + 1);
    for (uint32_t i = 0; i < count; i++)
        places[i] = given(b, first + i, &b->measures.items[i].type);
    b->node->items = b->measures.items;
    b->node->item_count = count;
    for (uint32_t i = 0; i < b->m->measure_count; i++) {
        const struct ast_item *m = &b->m->measures[i];
        struct expr *e = expr_over(b->p, bound[i], places);

        if (number != NULL)
            e = only_matched(b, e, expr_over(b->p, number, places));
        give(out, e,
             (struct scope_column){.name = m->alias,
                                   .rowtime =
                                       number == NULL && is_function(m->expr, "MATCH_ROWTIME"),
                                   .proctime = is_function(m->expr, "MATCH_PROCTIME")});
    }
}

/* ALL ROWS: column @i of the table, once. */
static void give_passed(struct match_bind *b, struct measured *out, uint32_t i, bool *passed)
{
    struct scope_column column = {.name = b->r->columns[i].name};

    if (passed[i])
        return;
    passed[i] = true;
    give(out, given(b, i, &b->r->columns[i].type), column);
}

/* The columns of the result: keys, measures; or keys, order, measures, the rest of the row. */
static void bind_result(struct match_bind *b, struct measured *out)
{
    bool *passed = arena_array(b->p->arena, bool, b->r->count + 1);

    for (uint32_t i = 0; i < b->node->key_count; i++) {
        if (b->node->all_rows)
            give_passed(b, out, b->node->keys[i], passed);
        else
            give(out, given(b, i, &b->inputs[b->node->keys[i]]->type),
                 (struct scope_column){.name = b->input_columns[b->node->keys[i]].name});
    }
    for (uint32_t i = 0; b->node->all_rows && i < b->m->order->count; i++) {
        struct expr *e = bind_expr(b->p, b->r, NULL, b->m->order->items[i].expr);

        if (e->kind == EXPR_COLUMN)
            give_passed(b, out, e->index, passed);
    }
    bind_measures(b, out);
    for (uint32_t i = 0; b->node->all_rows && i < b->r->count; i++)
        give_passed(b, out, i, passed);
    if (out->count == 0)
        plan_fail(b->p, b->m->at, MILL_E_TYPE,
                  "the result has no column: give PARTITION BY or MEASURES");
}

static struct mill_schema matcher_schema(struct match_bind *b)
{
    const struct match_node *node = b->node;
    const uint32_t first = node->all_rows ? node->pass_count : node->key_count;
    struct scope_column *columns =
        arena_array(b->p->arena, struct scope_column, first + node->item_count + 1);

    for (uint32_t i = 0; i < first; i++)
        columns[i] = b->input_columns[node->all_rows ? i : node->keys[i]];
    for (uint32_t i = 0; i < node->item_count; i++) {
        columns[first + i] = (struct scope_column){.name = item_text(b, &node->items[i]),
                                                   .type = node->items[i].type};
    }
    return plan_schema(b->p, columns, first + node->item_count);
}

static const char *why(struct match_bind *b)
{
    return arena_format(
        b->p->arena,
        "rows before the watermark; per key the rows of the match begun%s%s, at most %u partial "
        "matches; dropped when the match is decided%s",
        b->node->back > 0 ? arena_format(b->p->arena, " and %u before them", b->node->back) : "",
        b->node->within > 0 ? ", within its time" : "", b->node->partials_max,
        b->node->within > 0 ? "" : ", which without WITHIN may be never");
}

static struct relation match_nodes(struct match_bind *b, const struct measured *out)
{
    struct planner *p = b->p;
    struct relation result = {.at = b->m->at};
    struct phys_node *calc = plan_calc(p, b->r, b->inputs, b->input_columns, b->input_count);
    struct phys_node *exchange, *node;

    exchange = plan_exchange(p, calc, b->node->keys, b->node->key_count);
    node = plan_node(p, NODE_MATCH, &exchange, 1);
    node->schema = matcher_schema(b);
    node->match = b->node;
    node->why = why(b);
    node->line = b->m->at.line;
    node->column = b->m->at.column;
    result.node = node;
    result.node = plan_calc(p, &result, out->exprs, out->columns, out->count);
    result.columns = out->columns;
    result.count = out->count;
    return result;
}

struct relation bind_match(struct planner *p, const struct ast_table *t)
{
    struct relation r = bind_from(p, t->left);
    struct match_node *node = arena_new(p->arena, struct match_node);
    struct match_bind b = {.p = p, .r = &r, .m = t->match, .node = node};
    struct measured out = {0};

    if (r.pending)
        materialize_window(p, &r);
    for (uint32_t i = 0; t->match->all_rows && i < r.count; i++)
        match_input(&b, expr_column(&p->session, i, &r.columns[i].type, place(t->at)),
                    &r.columns[i]);
    node->pass_count = b.input_count;
    node->partials_max = partials_max(&b);
    node->line = t->match->at.line;
    node->column = t->match->at.column;
    bind_pattern(&b);
    bind_subsets(&b);
    bind_partition(&b);
    bind_order(&b);
    check_rows_mode(&b);
    bind_within(&b);
    bind_skip(&b);
    bind_defines(&b);
    out.exprs = arena_array(p->arena, struct expr *,
                            r.count + node->key_count + t->match->measure_count + 1);
    out.columns = arena_array(p->arena, struct scope_column,
                              r.count + node->key_count + t->match->measure_count + 1);
    bind_result(&b, &out);
    reach(node, node->define_items, node->define_item_count);
    reach(node, node->items, node->item_count);
    return match_nodes(&b, &out);
}
