/* core/plan/bind_aggregate.c - GROUP BY: keys, aggregates, windows; projection before and after. */
#include "core/ops/op.h"
#include "core/plan/aggregation.h"

#include <strings.h>

/* Results: keys, aggregates, window_start, window_end, window_time, window_id. */
static uint32_t result_start(const struct aggregation *a)
{
    return a->key_count + a->agg_count;
}

/* Position of an expression among the columns before the aggregation. */
/* The last key of grouping sets is made behind the arguments. */
static bool is_set_number(const struct aggregation *a, uint32_t key)
{
    return a->set_count > 0 && key + 1 == a->key_count;
}

static uint32_t argument_of(struct aggregation *a, struct expr *e)
{
    for (uint32_t i = 0; i < a->arg_count; i++)
        if (expr_same(a->args[i], e))
            return i;
    CHECK(a->arg_count < COUNT_OF(a->args));
    a->args[a->arg_count] = e;
    return a->arg_count++;
}

/* ---- aggregate calls ---- */

/* Gives the type of the argument as written. */
static struct mill_type call_argument(struct aggregation *a, const struct ast_expr *x,
                                      struct agg_spec *spec)
{
    struct planner *p = a->planner;
    const char *name = x->name.parts[x->name.count - 1];
    struct expr *arg;
    char text[80];

    spec->separator = ",";
    if (spec->user != NULL) {
        arg = user_arguments(p, a->input, x, spec->user, spec);
        spec->arg = (int32_t)argument_of(a, arg);
        return arg->type;
    }
    if (x->star) {
        if (spec->kind != AGG_COUNT)
            plan_fail(p, x->at, MILL_E_TYPE, "only COUNT takes *");
        spec->kind = AGG_COUNT_STAR;
        spec->arg = -1;
        spec->result_type = type_make(MILL_BIGINT);
        spec->result_type.not_null = true;
        return spec->result_type;
    }
    if (x->arg_count < 1 || x->arg_count > (spec->kind == AGG_LISTAGG ? 2u : 1u))
        plan_fail(p, x->at, MILL_E_TYPE, "%s takes one argument, it got %u", name, x->arg_count);
    if (has_aggregate(p, x->args[0]))
        plan_fail(p, x->args[0]->at, MILL_E_TYPE, "an aggregate cannot stand inside an aggregate");
    if (x->within != NULL)
        plan_fail(p, x->at, MILL_E_UNSUPPORTED,
                  "WITHIN GROUP is not supported yet: LISTAGG keeps the order of the rows");
    arg = expr_fold(&p->session, bind_expr(p, a->input, NULL, x->args[0]));
    if (agg_collects(spec->kind)) {
        spec->arg = (int32_t)argument_of(a, collect_pack(p, arg, x, spec));
        return arg->type;
    }
    spec->arg_type = arg->type;
    if (spec->kind == AGG_LISTAGG && x->arg_count == 2) {
        if (x->args[1]->kind != AST_STRING)
            plan_fail(p, x->args[1]->at, MILL_E_TYPE,
                      "the separator of LISTAGG is a text in quotes");
        spec->separator = x->args[1]->text;
    }
    if (!agg_result_type(spec->kind, &arg->type, &spec->result_type))
        plan_fail(p, x->args[0]->at, MILL_E_TYPE, "%s does not take %s", name,
                  type_name(&arg->type, text, sizeof text));
    spec->arg = (int32_t)argument_of(a, arg);
    return arg->type;
}

static bool spec_same(const struct agg_spec *x, const struct agg_spec *y)
{
    return x->kind == y->kind && x->distinct == y->distinct && x->arg == y->arg &&
           x->filter == y->filter && x->user == y->user && x->unordered == y->unordered &&
           (x->kind != AGG_LISTAGG || strcmp(x->separator, y->separator) == 0);
}

struct expr *aggregation_call(struct planner *p, struct aggregation *a, const struct ast_expr *x)
{
    struct agg_spec spec = {.filter = -1, .arg = -1};
    struct expr *grouping = bind_grouping(p, a, x), *e;
    struct mill_type item;
    enum agg_kind kind;
    uint32_t i;

    if (grouping != NULL)
        return grouping;
    if (x->kind != AST_CALL || x->over != NULL || !has_aggregate(p, x))
        return NULL;
    spec.user = user_aggregate(p, x);
    if (!x->star && spec.user == NULL && !agg_find(x->name.parts[x->name.count - 1], &spec.kind))
        return NULL;
    if (x->star && !agg_find(x->name.parts[x->name.count - 1], &spec.kind))
        plan_fail(p, x->at, MILL_E_TYPE, "only COUNT takes *");
    spec.distinct = x->distinct;
    kind = spec.user != NULL ? AGG_USER : spec.kind;
    item = call_argument(a, x, &spec);
    if (x->filter != NULL || a->row_filter != NULL) {
        struct expr *filter = x->filter != NULL ? bind_expr(p, a->input, NULL, x->filter) : NULL;

        if (filter != NULL && filter->type.kind != MILL_BOOLEAN)
            plan_fail(p, x->filter->at, MILL_E_TYPE, "FILTER (WHERE ...) needs a condition");
        if (a->row_filter != NULL)
            filter = filter != NULL ? expr_both(p, a->row_filter, filter) : a->row_filter;
        spec.filter = (int32_t)argument_of(a, expr_fold(&p->session, filter));
    }
    spec.name = arena_format(p->arena, "%s", x->name.parts[x->name.count - 1]);
    for (i = 0; i < a->agg_count; i++)
        if (spec_same(&a->specs[i], &spec))
            break;
    if (i == a->agg_count) {
        if (a->agg_count == AGGS_MAX)
            plan_fail(p, x->at, MILL_E_UNSUPPORTED, "more than %u aggregates in one query",
                      AGGS_MAX);
        a->specs[a->agg_count++] = spec;
    }
    /* aggregates stand behind the keys; key_count is fixed by now */
    e = expr_column(&p->session, a->key_count + i, &a->specs[i].result_type, place(x->at));
    return agg_collects(kind) ? collect_unpack(p, kind, &item, e, x->at) : e;
}

struct expr *aggregation_greatest(struct planner *p, struct aggregation *a, struct expr *e,
                                  struct ast_at at)
{
    struct agg_spec spec = {.kind = AGG_MAX, .filter = -1, .name = "MAX", .separator = ","};
    uint32_t i = 0;

    spec.arg_type = e->type;
    if (!agg_result_type(AGG_MAX, &e->type, &spec.result_type))
        plan_fail(p, at, MILL_E_UNSUPPORTED,
                  "this sub-query as a value cannot stand in an aggregation: group in a sub-query");
    spec.arg = (int32_t)argument_of(a, e);
    while (i < a->agg_count && !spec_same(&a->specs[i], &spec))
        i++;
    if (i == AGGS_MAX)
        plan_fail(p, at, MILL_E_UNSUPPORTED, "more than %u aggregates in one query", AGGS_MAX);
    if (i == a->agg_count)
        a->specs[a->agg_count++] = spec;
    return expr_column(&p->session, a->key_count + i, &spec.result_type, place(at));
}

/* ---- keys and window columns ---- */

static struct mill_type window_column_type(const struct aggregation *a, enum column_role role)
{
    return role == ROLE_WINDOW_ID     ? type_make(MILL_BIGINT)
           : role == ROLE_WINDOW_TIME ? a->time_type
                                      : type_wall(&a->time_type);
}

static struct expr *window_column(struct planner *p, struct aggregation *a, enum column_role role,
                                  struct ast_at at)
{
    const struct mill_type type = window_column_type(a, role);

    /* a place behind all aggregates, which are not counted yet: patched by shift_window() */
    return expr_column(&p->session, UINT32_MAX - (uint32_t)role, &type, place(at));
}

/* TUMBLE_START(...), HOP_END(...), SESSION_ROWTIME(...) of the older form. */
static struct expr *auxiliary(struct planner *p, struct aggregation *a, const struct ast_expr *x)
{
    static const struct {
        const char *suffix;
        enum column_role role;
    } suffixes[] = {{"_START", ROLE_WINDOW_START},
                    {"_END", ROLE_WINDOW_END},
                    {"_ROWTIME", ROLE_WINDOW_TIME},
                    {"_PROCTIME", ROLE_WINDOW_TIME}};
    static const char *const names[] = {"TUMBLE", "HOP", "SESSION"};
    const char *name;

    if (x->kind != AST_CALL || !a->windowed)
        return NULL;
    name = x->name.parts[x->name.count - 1];
    for (size_t i = 0; i < COUNT_OF(names); i++)
        for (size_t k = 0; k < COUNT_OF(suffixes); k++) {
            const size_t n = strlen(names[i]);

            if (strncasecmp(name, names[i], n) != 0 ||
                strcasecmp(name + n, suffixes[k].suffix) != 0)
                continue;
            if (a->call == NULL || !window_is_same(p, a->input, x, names[i], &a->window))
                plan_fail(p, x->at, MILL_E_TYPE,
                          "%s needs GROUP BY %s over the same time with the same lengths", name,
                          names[i]);
            return window_column(p, a, suffixes[k].role, x->at);
        }
    return NULL;
}

/* What a bound expression of the input is behind the aggregation: a key, a field of one, a literal; NULL: none of these. */
static struct expr *key_or_field(struct planner *p, const struct aggregation *a, struct expr *e,
                                 struct ast_at at)
{
    struct expr *row, *copy;

    for (uint32_t i = 0; i < a->key_count; i++)
        if (expr_same(a->keys[i], e)) {
            struct mill_type type = a->keys[i]->type;

            type.not_null = type.not_null && a->set_count == 0;
            return expr_column(&p->session, i, &type, place(at));
        }
    if (e->kind != EXPR_FIELD)
        return e->kind == EXPR_LITERAL ? e : NULL;
    row = key_or_field(p, a, e->args[0], at);
    if (row == NULL)
        return NULL;
    copy = arena_new(p->arena, struct expr);
    *copy = *e;
    copy->args = arena_array(p->arena, struct expr *, 1);
    copy->args[0] = row;
    return copy;
}

struct expr *aggregation_group(struct planner *p, struct aggregation *a, const struct ast_expr *x)
{
    struct mill_error *error = p->error, local = {0};
    jmp_buf failed;
    struct expr *volatile e = auxiliary(p, a, x);

    if (e != NULL || has_aggregate(p, x) || x->kind == AST_STAR)
        return e;
    /* does it mean the same as a key? A failure to bind it whole only means that it does not. */
    memcpy(&failed, &p->failed, sizeof failed);
    p->error = &local;
    if (setjmp(p->failed) == 0)
        e = expr_fold(&p->session, bind_expr(p, a->input, NULL, x));
    p->error = error;
    memcpy(&p->failed, &failed, sizeof failed);
    if (e == NULL)
        return NULL;
    if (a->windowed && e->kind == EXPR_COLUMN && a->input->columns[e->index].role != ROLE_NONE)
        return window_column(p, a, a->input->columns[e->index].role, x->at);
    e = key_or_field(p, a, e, x->at);
    return e;
}

static void patch_window_columns(struct expr *e, uint32_t start)
{
    if (e->kind == EXPR_COLUMN && e->index >= UINT32_MAX - ROLE_WINDOW_ID)
        e->index = start + (UINT32_MAX - e->index) - ROLE_WINDOW_START;
    for (uint32_t i = 0; i < e->arg_count; i++)
        patch_window_columns(e->args[i], start);
}

/* ---- GROUP BY ---- */

/* An alias or a position in the SELECT list, or the expression itself. */
static const struct ast_expr *group_target(struct planner *p, struct relation *r,
                                           const struct ast_select *s, const struct ast_expr *x)
{
    if (x->kind == AST_NAME && x->name.count == 1) {
        for (uint32_t i = 0; i < r->count; i++)
            if (strcasecmp(r->columns[i].name, x->name.parts[0]) == 0)
                return x;
        for (uint32_t i = 0; i < s->item_count; i++)
            if (s->items[i].alias != NULL && strcasecmp(s->items[i].alias, x->name.parts[0]) == 0)
                return s->items[i].expr;
    }
    (void)p;
    return x;
}

void check_key(struct planner *p, const struct mill_type *type, struct ast_at at)
{
    char text[80];

    if (type_phys(type) == PHYS_NONE)
        plan_fail(p, at, MILL_E_UNSUPPORTED, "%s cannot be a key",
                  type_name(type, text, sizeof text));
    for (uint32_t i = 0; type_phys(type) == PHYS_ROW && i < type->field_count; i++)
        check_key(p, &type->fields[i].type, at);
}

static uint32_t add_key(struct planner *p, struct aggregation *a, struct expr *e, struct ast_at at)
{
    check_key(p, &e->type, at);
    for (uint32_t i = 0; i < a->key_count; i++)
        if (expr_same(a->keys[i], e))
            return i;
    if (a->key_count == KEYS_MAX)
        plan_fail(p, at, MILL_E_UNSUPPORTED, "more than %u keys in GROUP BY", KEYS_MAX);
    a->keys[a->key_count] = e;
    return a->key_count++;
}

static void note_window(struct planner *p, struct aggregation *a, struct relation *r,
                        const struct ast_expr *call)
{
    if (a->windowed)
        plan_fail(p, call->at, MILL_E_TYPE, "GROUP BY has two windows");
    window_from_call(p, r, call, &a->window);
    a->windowed = true;
    a->call = call;
    a->time_type = a->window.time_type;
}

uint64_t bind_group_key(struct planner *p, struct aggregation *a, struct relation *r,
                        const struct ast_select *s, const struct ast_expr *written)
{
    const struct ast_expr *x = group_target(p, r, s, written);
    struct expr *e;
    uint32_t key;

    if (is_group_window(x)) {
        note_window(p, a, r, x);
        return 0;
    }
    e = expr_fold(&p->session, bind_expr(p, r, NULL, x));
    if (e->kind == EXPR_COLUMN && r->columns[e->index].role != ROLE_NONE) {
        if (r->columns[e->index].role == ROLE_WINDOW_START)
            a->start = (int32_t)e->index;
        if (r->columns[e->index].role == ROLE_WINDOW_END)
            a->end = (int32_t)e->index;
        return 0;
    }
    if (e->kind == EXPR_LITERAL)
        plan_fail(p, x->at, MILL_E_UNSUPPORTED,
                  "GROUP BY a constant or a position is not supported; name the column");
    key = add_key(p, a, e, x->at);
    return key < 64 ? 1ull << key : 0;
}

/* Keys of GROUP BY; window_start and window_end of a windowed input mean its window. */
static void bind_groups(struct planner *p, struct aggregation *a, struct relation *r,
                        const struct ast_select *s)
{
    int32_t start, end;

    a->start = a->end = -1;
    bind_group_sets(p, a, r, s);
    start = a->start;
    end = a->end;
    if (start >= 0 && end >= 0) {
        a->windowed = true;
        a->attached = !r->pending;
        a->window = r->window;
        a->start = start;
        a->end = end;
        a->time_type = a->attached ? r->columns[start].type : r->window.time_type;
        a->time_type.not_null = false;
        if (r->columns[start].local)
            a->time_type.kind = MILL_TIMESTAMP_LTZ;
    } else if (start >= 0 || end >= 0 || r->pending) {
        plan_fail(p, s->groups != NULL ? s->groups[0].at : s->at, MILL_E_TYPE,
                  "a window aggregation groups by both window_start and window_end");
    }
}

/* ---- nodes ---- */

static void attach(struct aggregation *a)
{
    a->window = (struct window_spec){.kind = WINDOW_TUMBLE,
                                     .attached = true,
                                     .time = -1,
                                     .start = -1,
                                     .end = -1};
    a->window.time_type = a->time_type;
    a->window.unit = type_time_unit(&a->time_type);
    a->window.local_zone = a->time_type.kind == MILL_TIMESTAMP_LTZ;
}

/* Keys, arguments and times as columns, so that the aggregation only reads columns. */
static struct phys_node *before(struct planner *p, struct aggregation *a, struct relation *r)
{
    struct scope_column *columns;
    struct expr **exprs;
    uint32_t n;

    for (uint32_t i = 0; i < a->key_count; i++)
        if (!is_set_number(a, i))
            argument_of(a, a->keys[i]);
    if (a->late_at != NULL)
        for (uint32_t i = 0; i < relation_own(r); i++)
            a->late_at[i] =
                argument_of(a, expr_column(&p->session, i, &r->columns[i].type, place(r->at)));
    if (a->windowed && a->attached) {
        attach(a);
        a->window.start =
            (int32_t)argument_of(a, expr_column(&p->session, (uint32_t)a->start,
                                                &r->columns[a->start].type, place(r->at)));
        a->window.end =
            (int32_t)argument_of(a, expr_column(&p->session, (uint32_t)a->end,
                                                &r->columns[a->end].type, place(r->at)));
    } else if (a->windowed && a->window.time >= 0) {
        const struct scope_column *time = &r->columns[a->window.time];

        a->window.time = (int32_t)argument_of(a, expr_column(&p->session, (uint32_t)a->window.time,
                                                             &time->type, place(r->at)));
    }
    n = a->arg_count;
    columns = arena_array(p->arena, struct scope_column, n + 1);
    exprs = arena_array(p->arena, struct expr *, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        exprs[i] = a->args[i];
        columns[i] = (struct scope_column){.name = arena_format(p->arena, "a%u", i),
                                           .type = a->args[i]->type};
        if (a->args[i]->kind == EXPR_COLUMN)
            columns[i].name = r->columns[a->args[i]->index].name;
    }
    return plan_calc(p, r, exprs, columns, n);
}

static struct mill_schema results(struct planner *p, struct aggregation *a,
                                  struct out_column **outs, uint32_t *count)
{
    static const struct {
        enum out_kind kind;
        enum column_role role;
        const char *name;
    } windows[] = {{OUT_WINDOW_START, ROLE_WINDOW_START, "window_start"},
                   {OUT_WINDOW_END, ROLE_WINDOW_END, "window_end"},
                   {OUT_WINDOW_TIME, ROLE_WINDOW_TIME, "window_time"},
                   {OUT_WINDOW_ID, ROLE_WINDOW_ID, "window_id"}};
    const uint32_t extra =
        a->windowed ? (a->window.kind == WINDOW_ROWS && !a->attached ? 4 : 3) : 0;
    struct mill_field *fields = arena_array(p->arena, struct mill_field, result_start(a) + 5);
    uint32_t n = 0;

    *outs = arena_array(p->arena, struct out_column, result_start(a) + 5);
    for (uint32_t i = 0; i < a->key_count; i++, n++) {
        (*outs)[n] = (struct out_column){OUT_KEY, i};
        fields[n] = (struct mill_field){arena_format(p->arena, "key%u", i), a->keys[i]->type};
        fields[n].type.not_null = fields[n].type.not_null && a->set_count == 0;
    }
    for (uint32_t i = 0; i < a->agg_count; i++, n++) {
        (*outs)[n] = (struct out_column){OUT_AGG, i};
        fields[n] = (struct mill_field){a->specs[i].name, a->specs[i].result_type};
    }
    for (uint32_t i = 0; i < extra; i++, n++) {
        (*outs)[n] = (struct out_column){windows[i].kind, 0};
        fields[n] = (struct mill_field){windows[i].name, window_column_type(a, windows[i].role)};
    }
    *count = n;
    return (struct mill_schema){n, fields};
}

static enum node_kind node_kind_of(const struct aggregation *a)
{
    if (!a->windowed)
        return a->changelog ? NODE_CHANGES : NODE_GROUP;
    if ((a->revises || a->retracts) && (a->attached || a->window.kind != WINDOW_ROWS))
        return NODE_WINDOW_CHANGES;
    if (a->attached)
        return NODE_WINDOW;
    return a->window.kind == WINDOW_SESSION ? NODE_SESSION
           : a->window.kind == WINDOW_ROWS  ? NODE_COUNT_WINDOW
                                            : NODE_WINDOW;
}

enum phases { PHASES_AUTO, PHASES_ONE, PHASES_TWO };

static enum phases wanted_phases(const struct planner *p)
{
    const char *text = catalog_setting(p->catalog, "table.optimizer.agg-phase-strategy");

    if (text == NULL || strcasecmp(text, "auto") == 0)
        return p->config->two_phase ? PHASES_AUTO : PHASES_ONE;
    return strcasecmp(text, "two_phase") == 0 ? PHASES_TWO : PHASES_ONE;
}

/* Partial aggregates per step can stand for the rows: windows over event time, in the front, whose states merge. NULL, or
 * why the rows themselves are needed. */
static const char *why_one_phase(struct planner *p, const struct aggregation *a,
                                 const struct phys_node *calc, const struct ast_select *s)
{
    if (wanted_phases(p) == PHASES_ONE)
        return "set so";
    switch (node_kind_of(a)) {
    case NODE_CHANGES:
    case NODE_GROUP: return "only windows have partial aggregates";
    case NODE_SESSION: return "a session needs its rows";
    case NODE_COUNT_WINDOW: return "a window by count needs its rows";
    case NODE_WINDOW_CHANGES: return "results change with each row";
    default: break;
    }
    if (s->late_data_into != NULL)
        return "LATE DATA INTO needs the rows";
    if (a->attached)
        return "a window of windows gets few rows";
    if (a->emit.hold_ns > 0)
        return "allowed lateness needs the rows";
    if (calc->stage > 0)
        return "it stands behind another exchange";
    if (a->window.time < 0)
        return "in processing time";
    for (uint32_t i = 0; i < a->agg_count; i++)
        if (a->specs[i].kind == AGG_LISTAGG || a->specs[i].kind == AGG_USER)
            return arena_format(p->arena, "%s needs the rows", a->specs[i].name);
    return NULL;
}

/* The two exchanges of a window that takes partials: rows (port 0), partials (port 1). */
static void partial_inputs(struct planner *p, struct phys_node *calc,
                           const struct aggregate_node *aggregate, struct phys_node *inputs[2])
{
    struct phys_node *preagg = plan_node(p, NODE_PREAGG, &calc, 1);
    uint32_t *first = arena_array(p->arena, uint32_t, aggregate->key_count + 1);

    preagg->aggregate = *aggregate;
    preagg->aggregate.always = wanted_phases(p) == PHASES_TWO;
    preagg->why = "one partial per key, slice and step, sent at the end of the step";
    preagg_schema(p->arena, preagg, &preagg->schema);
    for (uint32_t i = 0; i < aggregate->key_count; i++)
        first[i] = i;
    inputs[0] = plan_exchange(p, preagg, aggregate->keys, aggregate->key_count);
    inputs[0]->schema = calc->schema;
    inputs[1] = plan_exchange(p, preagg, first, aggregate->key_count);
    preagg->late_to = arena_array(p->arena, struct phys_node *, 1);
    preagg->late_to[0] = inputs[0];
    preagg->late_to_count = 1;
}

static const char *why_state(const struct aggregation *a)
{
    if (a->changelog)
        return "one state per key, as long as the query runs or 'table.exec.state.ttl' says";
    if (!a->windowed)
        return "one state per key, until the end of the bounded input";
    if (node_kind_of(a) == NODE_WINDOW_CHANGES)
        return a->revises
                   ? "one state per key and window with the result that was given, until the "
                     "watermark has passed its end and 'table.exec.emit.allow-lateness'"
                   : "one state per key and window, dropped when it has fired";
    if (node_kind_of(a) == NODE_SESSION)
        return "one state per open session, dropped when it has fired";
    if (node_kind_of(a) == NODE_COUNT_WINDOW)
        return "each key's open window, dropped when it has fired; the number of a key's windows "
               "stays; rows before the watermark";
    return "one state per key and slice, dropped when its last window has fired";
}

static const char *tell_phases(struct planner *p, const struct aggregation *a, const char *why_one)
{
    if (why_one != NULL)
        return arena_format(p->arena, "%s; one phase: %s", why_state(a), why_one);
    return arena_format(p->arena, "%s; two phases%s", why_state(a),
                        wanted_phases(p) == PHASES_TWO ? ": set so"
                                                       : " in steps whose keys repeat");
}

/* Rows that are taken back: an aggregate must be able to do without them. */
static void check_retractions(struct planner *p, const struct aggregation *a,
                              const struct phys_node *calc, const struct ast_select *s)
{
    for (uint32_t i = 0; calc->updating && i < a->agg_count; i++)
        if (!agg_retracts(&a->specs[i]))
            plan_fail(p, s->at, MILL_E_UNSUPPORTED,
                      "%s cannot take rows back, and %s changes rows that it has given",
                      a->specs[i].name, calc->updating_by);
}

static struct phys_node *aggregate_node(struct planner *p, struct aggregation *a,
                                        struct phys_node *calc, const struct ast_select *s)
{
    uint32_t *keys = arena_array(p->arena, uint32_t, a->key_count + 1);
    struct agg_spec *specs = arena_array(p->arena, struct agg_spec, a->agg_count + 1);
    struct phys_node *inputs[2], *node;
    struct aggregate_node aggregate;
    struct out_column *outs;
    const char *why_one;
    uint32_t count;

    for (uint32_t i = 0; i < a->key_count; i++)
        keys[i] = is_set_number(a, i) ? 0 : argument_of(a, a->keys[i]);
    if (a->set_count > 0)
        calc = plan_expand(p, a, calc, keys);
    memcpy(specs, a->specs, a->agg_count * sizeof *specs);
    aggregate = (struct aggregate_node){.window = a->window,
                                        .keys = keys,
                                        .key_count = a->key_count,
                                        .aggs = specs,
                                        .agg_count = a->agg_count};
    a->changelog = !a->windowed && plan_changelog(p, calc);
    a->retracts = calc->updating;
    if (a->windowed && (a->attached || a->window.kind != WINDOW_ROWS))
        aggregate.emit = a->emit = plan_emit(p, &a->window, calc, s->at, &a->revises);
    aggregate.ttl_us = a->changelog ? plan_state_ttl(p) : 0;
    check_retractions(p, a, calc, s);
    if (calc->updating && s->late_data_into != NULL)
        plan_fail(p, s->late_data_into->at, MILL_E_UNSUPPORTED,
                  "LATE DATA INTO cannot tell of rows that are taken back, and %s changes rows "
                  "that "
                  "it has given",
                  calc->updating_by);
    why_one = why_one_phase(p, a, calc, s);
    if (why_one == NULL) {
        partial_inputs(p, calc, &aggregate, inputs);
        node = plan_node(p, NODE_WINDOW, inputs, 2);
        aggregate.partials = inputs[1]->inputs[0];
    } else {
        inputs[0] = plan_exchange(p, calc, keys, a->key_count);
        node = plan_node(p, node_kind_of(a), inputs, 1);
    }
    node->schema = results(p, a, &outs, &count);
    aggregate.outs = outs;
    node->aggregate = aggregate;
    if (!a->windowed)
        node->aggregate.window.time = -1;
    node->aggregate.late_output = a->late_at != NULL;
    node->rowtime = a->windowed ? (int32_t)result_start(a) + 2 : -1;
    node->line = s->at.line;
    node->column = s->at.column;
    node->why = tell_phases(p, a, why_one);
    node->changelog = a->changelog || a->revises;
    node->reads_clock = a->emit.early == EMIT_DELAYED || a->emit.late == EMIT_DELAYED;
    node->updating = false;
    if (a->revises)
        plan_updating(node, arena_format(p->arena,
                                         "the window with early or late results "
                                         "('table.exec.emit.*') at %u:%u",
                                         s->at.line, s->at.column));
    if (a->changelog)
        plan_updating(node, arena_format(p->arena, "the GROUP BY without a window at %u:%u",
                                         s->at.line, s->at.column));
    return node;
}

/* SESSION(TABLE t PARTITION BY k) makes sessions per k; then the groups must be the same keys. */
static void check_partition(struct planner *p, const struct aggregation *a,
                            const struct relation *r, const struct ast_select *s)
{
    uint32_t found = 0;

    if (!r->pending || (r->window.kind != WINDOW_SESSION && r->window.kind != WINDOW_ROWS))
        return;
    for (uint32_t i = 0; i < a->key_count; i++)
        for (uint32_t k = 0; k < r->window_key_count; k++)
            found += a->keys[i]->kind == EXPR_COLUMN && a->keys[i]->index == r->window_keys[k];
    if (found != a->key_count || found != r->window_key_count)
        plan_fail(p, s->at, MILL_E_UNSUPPORTED,
                  "%s: PARTITION BY and GROUP BY must name the same columns; other groupings are "
                  "not supported yet",
                  r->window.kind == WINDOW_ROWS ? "a window by count" : "SESSION");
}

static void check_supported(struct planner *p, const struct aggregation *a,
                            const struct ast_select *s)
{
    if (s->late_data_into != NULL && !a->windowed)
        plan_fail(p, s->late_data_into->at, MILL_E_TYPE,
                  "LATE DATA INTO belongs to a window aggregation: GROUP BY window_start, "
                  "window_end");
    if (s->late_data_into != NULL && !a->attached && a->window.processing_time)
        plan_fail(p, s->late_data_into->at, MILL_E_TYPE,
                  "LATE DATA INTO: no row is late in processing time");
}

/* With a row filter: only windows that a row passed into. COUNT(*) FILTER (WHERE row_filter) > 0 AND @having. */
static struct expr *any_row(struct planner *p, struct aggregation *a, struct expr *having,
                            const struct ast_select *s)
{
    const struct mill_type bigint = type_make(MILL_BIGINT);
    struct agg_spec spec = {.kind = AGG_COUNT_STAR, .arg = -1, .name = "COUNT"};
    struct expr *sides[2], *any;
    uint32_t i;

    if (a->row_filter == NULL)
        return having;
    spec.result_type = bigint;
    spec.result_type.not_null = true;
    spec.filter = (int32_t)argument_of(a, expr_fold(&p->session, a->row_filter));
    for (i = 0; i < a->agg_count && !spec_same(&a->specs[i], &spec); i++)
        ;
    if (i == a->agg_count) {
        if (a->agg_count == AGGS_MAX)
            plan_fail(p, s->at, MILL_E_UNSUPPORTED, "more than %u aggregates in one query",
                      AGGS_MAX);
        a->specs[a->agg_count++] = spec;
    }
    sides[0] = expr_column(&p->session, a->key_count + i, &spec.result_type, place(s->at));
    sides[1] = expr_i64(&p->session, 0, &bigint, place(s->at));
    any = need(p, expr_call(&p->session, ">", sides, 2, place(s->at), p->error));
    return having != NULL ? expr_both(p, any, having) : any;
}

/* The SELECT list over the results. */
static struct relation after(struct planner *p, struct aggregation *a, struct relation *r,
                             struct phys_node **node, struct phys_node *calc,
                             const struct ast_select *s)
{
    struct scope_column *columns = arena_array(p->arena, struct scope_column, s->item_count + 1);
    struct expr **exprs = arena_array(p->arena, struct expr *, s->item_count + 1);
    struct expr *having = NULL;
    struct relation out = {.at = s->at}, result = {.at = s->at};
    uint32_t start;

    (void)r;
    (void)calc;
    for (uint32_t i = 0; i < s->item_count; i++) {
        if (s->items[i].expr->kind == AST_STAR)
            plan_fail(p, s->items[i].at, MILL_E_TYPE,
                      "* cannot stand in an aggregation: name the keys");
        exprs[i] = expr_fold(&p->session, bind_expr(p, a->input, a, s->items[i].expr));
        columns[i].name = item_name(p, &s->items[i], i);
        columns[i].type = exprs[i]->type;
    }
    if (s->having != NULL) {
        having = bind_expr(p, a->input, a, s->having);
        if (having->type.kind != MILL_BOOLEAN)
            plan_fail(p, s->having->at, MILL_E_TYPE, "HAVING needs a condition");
    }
    having = any_row(p, a, having, s);
    start = result_start(a);
    for (uint32_t i = 0; i < s->item_count; i++) {
        struct expr *e = exprs[i];

        patch_window_columns(e, start);
        if (e->kind == EXPR_COLUMN && e->index >= start && a->window.kind != WINDOW_ROWS) {
            columns[i].role = (enum column_role)(ROLE_WINDOW_START + (e->index - start));
            columns[i].rowtime = e->index == start + 2;
            columns[i].local = e->index < start + 2 && a->time_type.kind == MILL_TIMESTAMP_LTZ;
        }
    }
    if (having != NULL)
        patch_window_columns(having, start);
    *node = aggregate_node(p, a, before(p, a, a->input), s);
    if (a->late_at != NULL)
        plan_late_sink(p, *node, a->input, a->late_at, s->late_data_into);
    result.node = *node;
    result.filter = having;
    out.node = plan_calc(p, &result, exprs, columns, s->item_count);
    out.columns = columns;
    out.count = s->item_count;
    return out;
}

struct relation bind_aggregate(struct planner *p, struct relation r, const struct ast_select *s)
{
    struct aggregation *a = arena_new(p->arena, struct aggregation);
    struct phys_node *node;

    a->planner = p;
    a->input = arena_new(p->arena, struct relation);
    *a->input = r;
    if (window_needs_all_rows(a->input)) {
        a->row_filter = a->input->filter;
        a->input->filter = NULL;
        if (s->late_data_into != NULL)
            plan_fail(p, s->late_data_into->at, MILL_E_UNSUPPORTED,
                      "LATE DATA INTO with a WHERE over this window function is not supported "
                      "yet: filter in a view below it");
    }
    bind_groups(p, a, a->input, s);
    check_partition(p, a, a->input, s);
    check_supported(p, a, s);
    if (s->late_data_into != NULL)
        a->late_at = arena_array(p->arena, uint32_t, relation_own(a->input) + 1);
    return after(p, a, a->input, &node, NULL, s);
}
