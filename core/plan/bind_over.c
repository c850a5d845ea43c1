/* core/plan/bind_over.c - OVER in a SELECT list: windows resolved, calls gathered by partition and order, one node for each.
 *
 * The node gives the columns of the relation and, behind them, what the calls compute; expressions then read these columns.
 */
#include "core/ops/over.h"
#include "core/plan/bind_over.h"

#include <strings.h>

#define CALLS_MAX 256u
#define PARTS_MAX 64u

/* One call, bound over the relation. */
struct call {
    const struct ast_expr *x;
    struct over_bound *bound;
    uint32_t group, frame;
    bool is_number; /* no aggregate: ROW_NUMBER, RANK, LAG ... */
    enum over_function function;
    enum over_way way;
    struct agg_spec spec;
    struct expr *arg, *filter, *fallback;
    int64_t distance; /* LAG, LEAD: rows; NTILE: tiles */
    struct mill_type type;
    enum agg_kind collects; /* ARRAY_AGG, COLLECT, else 0 */
    struct mill_type item;  /* of their elements */
};

struct overs {
    struct planner *p;
    struct relation *r;
    const struct ast_select *s;
    struct call *calls;
    uint32_t call_count;
    struct over_group *groups;
    uint32_t group_count;
};

/* ---- windows ---- */

static const struct ast_window *named_window(struct planner *p, const struct ast_select *s,
                                             const struct ast_window *w)
{
    for (uint32_t i = 0; i < s->window_count; i++)
        if (strcasecmp(s->windows[i]->name, w->name) == 0)
            return s->windows[i];
    plan_fail(p, w->at, MILL_E_NAME, "there is no window %s: write WINDOW %s AS (...) behind WHERE",
              w->name, w->name);
}

/* The window with what it takes from the one that it names. */
static struct ast_window resolve(struct planner *p, const struct ast_select *s,
                                 const struct ast_window *w)
{
    struct ast_window out = *w;
    const struct ast_window *base;

    if (w->name == NULL)
        return out;
    base = named_window(p, s, w);
    if (w->partition_count == 0) {
        out.partition = base->partition;
        out.partition_count = base->partition_count;
    }
    if (w->order == NULL)
        out.order = base->order;
    if (w->frame == FRAME_NONE) {
        out.frame = base->frame;
        out.from = base->from;
        out.to = base->to;
        out.from_unbounded = base->from_unbounded;
        out.from_following = base->from_following;
        out.to_unbounded = base->to_unbounded;
        out.to_following = base->to_following;
        out.to_current = base->to_current;
    }
    return out;
}

static bool same_group(const struct over_group *a, const struct over_group *b)
{
    bool same = a->key_count == b->key_count && a->order_count == b->order_count;

    for (uint32_t i = 0; same && i < a->key_count; i++)
        same = expr_same(a->keys[i], b->keys[i]);
    for (uint32_t i = 0; same && i < a->order_count; i++)
        same = expr_same(a->order[i], b->order[i]) && a->descending[i] == b->descending[i] &&
               a->nulls_last[i] == b->nulls_last[i];
    return same;
}

void over_order(struct planner *p, struct relation *r, const struct ast_order *order,
                struct over_group *g)
{
    char text[80];

    for (uint32_t i = 0; order != NULL && i < order->count; i++) {
        const struct ast_order_item *item = &order->items[i];
        struct expr *e = expr_fold(&p->session, bind_expr(p, r, NULL, item->expr));

        if (g->order_count == OVER_PARTS_MAX)
            plan_fail(p, item->expr->at, MILL_E_UNSUPPORTED, "ORDER BY more than %u columns",
                      OVER_PARTS_MAX);
        if (!type_orders(&e->type))
            plan_fail(p, item->expr->at, MILL_E_TYPE, "rows cannot be ordered by %s",
                      type_name(&e->type, text, sizeof text));
        g->order[g->order_count] = e;
        g->descending[g->order_count] = item->descending;
        g->nulls_last[g->order_count++] =
            item->nulls_last || (item->descending && !item->nulls_first);
    }
}

static void group_of_window(struct planner *p, struct relation *r, const struct ast_window *w,
                            struct over_group *g)
{
    *g = (struct over_group){.at = w->at, .time = -1};
    for (uint32_t i = 0; i < w->partition_count; i++) {
        struct expr *e = expr_fold(&p->session, bind_expr(p, r, NULL, w->partition[i]));

        check_key(p, &e->type, w->partition[i]->at);
        if (g->key_count == OVER_PARTS_MAX)
            plan_fail(p, w->at, MILL_E_UNSUPPORTED, "PARTITION BY more than %u columns",
                      OVER_PARTS_MAX);
        g->keys[g->key_count++] = e;
    }
    over_order(p, r, w->order, g);
    if (g->order_count > 0 && g->order[0]->kind == EXPR_COLUMN) {
        const struct scope_column *c = &r->columns[g->order[0]->index];

        g->event_time = c->rowtime;
        g->processing_time = c->proctime;
        g->time = c->rowtime ? (int32_t)g->order[0]->index : -1;
        g->time_type = c->rowtime ? c->type : type_time(MILL_TIMESTAMP_LTZ, 3);
    } else if (g->order_count > 0 && over_is_proctime(w->order->items[0].expr)) {
        g->processing_time = true;
        g->time_type = type_time(MILL_TIMESTAMP_LTZ, 3);
    }
}

bool over_is_proctime(const struct ast_expr *x)
{
    return x->kind == AST_CALL && x->arg_count == 0 &&
           strcasecmp(x->name.parts[x->name.count - 1], "PROCTIME") == 0;
}

/* ---- frames ---- */

static int64_t rows_before(struct planner *p, const struct ast_expr *x)
{
    struct expr *e = expr_fold(&p->session, bind_expr(p, NULL, NULL, x));
    int64_t n = 0;

    if (!type_is_integer(&e->type) || !expr_literal_i64(e, &n) || n < 0 || n > INT32_MAX)
        plan_fail(p, x->at, MILL_E_TYPE, "a number of rows is needed here, 0 to %d", INT32_MAX);
    return n;
}

/* A length of time in the unit of the column that the window is ordered by. */
static int64_t time_length(struct planner *p, const struct ast_expr *x,
                           const struct mill_type *type)
{
    bool months = false;
    const int64_t ns = bind_interval(p, x, &months);

    if (months || ns < 0)
        plan_fail(p, x->at, MILL_E_UNSUPPORTED,
                  "the length of a frame is in days or smaller units, not below 0");
    if (type_is_nanos(type))
        return ns;
    if (ns % 1000 != 0)
        plan_fail(p, x->at, MILL_E_TYPE,
                  "the frame's length is finer than the time column's microseconds: use a "
                  "TIMESTAMP(9) column");
    return ns / 1000;
}

/* How far a RANGE reaches: a length of time, or a whole number, in ORDER BY's only column. */
static int64_t range_length(struct planner *p, const struct ast_expr *x, struct over_group *g)
{
    const bool in_time = g->event_time || g->processing_time;
    const struct mill_type *type = in_time              ? &g->time_type
                                   : g->order_count > 0 ? &g->order[0]->type
                                                        : NULL;
    char text[80];

    if (g->order_count != 1)
        plan_fail(p, x->at, MILL_E_TYPE, "RANGE with a length needs ORDER BY one column, it has %u",
                  g->order_count);
    if (!in_time || g->descending[0])
        g->needs_all = true;
    if (type_is_time(type) && x->kind == AST_INTERVAL)
        return time_length(p, x, type);
    if (type_is_time(type))
        plan_fail(p, x->at, MILL_E_TYPE,
                  "RANGE needs a length of time, as in RANGE BETWEEN INTERVAL '10' MINUTE "
                  "PRECEDING "
                  "AND CURRENT ROW; ROWS takes a number of rows");
    if (type_is_integer(type) && x->kind != AST_INTERVAL)
        return rows_before(p, x);
    plan_fail(p, x->at, MILL_E_UNSUPPORTED,
              "RANGE with a length needs ORDER BY a TIMESTAMP and an INTERVAL, or a whole number "
              "and one; this is ordered by %s",
              type_name(type, text, sizeof text));
}

static struct over_frame frame_of(struct planner *p, const struct ast_window *w,
                                  struct over_group *g)
{
    struct over_frame f = {.range = w->frame != FRAME_ROWS};

    if (w->frame == FRAME_NONE)
        return f;
    f.bounded = !w->from_unbounded;
    f.to_end = w->to_unbounded;
    if (w->from != NULL)
        f.preceding = f.range ? range_length(p, w->from, g) : rows_before(p, w->from);
    if (w->to != NULL)
        f.following = f.range ? range_length(p, w->to, g) : rows_before(p, w->to);
    if (w->from_following)
        f.preceding = -f.preceding;
    if (w->to != NULL && !w->to_following)
        f.following = -f.following;
    if (f.bounded && !f.to_end && -f.preceding > f.following)
        plan_fail(p, w->at, MILL_E_TYPE, "the frame ends before it begins");
    g->needs_all = g->needs_all || f.to_end || f.following != 0 || f.preceding < 0;
    return f;
}

static uint32_t frame_index(struct over_group *g, const struct over_frame *f, struct planner *p)
{
    for (uint32_t i = 0; i < g->frame_count; i++)
        if (g->frames[i].range == f->range && g->frames[i].bounded == f->bounded &&
            g->frames[i].preceding == f->preceding && g->frames[i].to_end == f->to_end &&
            g->frames[i].following == f->following)
            return i;
    if (g->frame_count == OVER_FRAMES_MAX)
        plan_fail(p, g->at, MILL_E_UNSUPPORTED, "more than %u different frames over one window",
                  OVER_FRAMES_MAX);
    g->frames[g->frame_count] = *f;
    return g->frame_count++;
}

/* ---- calls ---- */

static enum over_way way_of(const struct agg_spec *spec, bool bounded)
{
    const bool real = spec->arg_type.kind == MILL_FLOAT || spec->arg_type.kind == MILL_DOUBLE;

    if (!bounded)
        return OVER_ADDS;
    switch (spec->kind) {
    case AGG_COUNT_STAR:
    case AGG_COUNT: return OVER_RETRACTS;
    case AGG_SUM:
    case AGG_AVG: return spec->distinct || !real ? OVER_RETRACTS : OVER_MERGES;
    case AGG_LISTAGG:
    case AGG_USER: return OVER_AGAIN;
    case AGG_MIN:
    case AGG_MAX:
    case AGG_FIRST:
    case AGG_LAST: return OVER_MERGES;
    default: return spec->distinct ? OVER_RETRACTS : OVER_MERGES;
    }
}

/* The same where all rows are kept: what is exact slides, all else is added in row order. */
static enum over_way view_way_of(const struct agg_spec *spec, bool bounded)
{
    const enum over_way way = way_of(spec, bounded);

    if (way == OVER_MERGES)
        return spec->kind == AGG_MIN || spec->kind == AGG_MAX ? OVER_RETRACTS : OVER_AGAIN;
    return way;
}

/* The argument of a built-in aggregate. */
static void bind_aggregate_argument(struct overs *o, struct call *c, const char *name)
{
    struct planner *p = o->p;
    const struct ast_expr *x = c->x;
    char text[80];

    if (x->star && c->spec.kind != AGG_COUNT)
        plan_fail(p, x->at, MILL_E_TYPE, "only COUNT takes *");
    if (x->star)
        c->spec.kind = AGG_COUNT_STAR;
    else if (x->arg_count < 1 || x->arg_count > (c->spec.kind == AGG_LISTAGG ? 2u : 1u))
        plan_fail(p, x->at, MILL_E_TYPE, "%s takes one argument, it got %u", name, x->arg_count);
    else
        c->arg = expr_fold(&p->session, bind_expr(p, o->r, NULL, x->args[0]));
    if (agg_collects(c->spec.kind)) {
        c->collects = c->spec.kind;
        c->item = c->arg->type;
        c->arg = collect_pack(p, c->arg, x, &c->spec);
    }
    if (x->arg_count == 2) {
        if (x->args[1]->kind != AST_STRING)
            plan_fail(p, x->args[1]->at, MILL_E_TYPE,
                      "the separator of LISTAGG is a text in quotes");
        c->spec.separator = x->args[1]->text;
    }
    if (c->arg != NULL)
        c->spec.arg_type = c->arg->type;
    if (c->collects == 0 &&
        !agg_result_type(c->spec.kind, c->arg != NULL ? &c->arg->type : NULL, &c->spec.result_type))
        plan_fail(p, x->at, MILL_E_TYPE, "%s does not take %s", name,
                  type_name(&c->arg->type, text, sizeof text));
}

static void bind_aggregate_call(struct overs *o, struct call *c, const char *name)
{
    struct planner *p = o->p;
    const struct ast_expr *x = c->x;
    const struct mill_function *user = user_aggregate(p, x);

    c->spec = (struct agg_spec){.filter = -1, .arg = -1, .separator = ",", .distinct = x->distinct};
    c->spec.name = arena_format(p->arena, "%s", name);
    if (user != NULL) { /* rows are kept one by one, without ROWs */
        c->arg = user_arguments(p, o->r, x, user, &c->spec);
        c->arg = need(p, expr_call(&p->session, "ARRAY", &c->arg, 1, place(x->at), p->error));
        c->spec.arg_type = c->arg->type;
    } else if (agg_find(name, &c->spec.kind))
        bind_aggregate_argument(o, c, name);
    if (x->filter != NULL) {
        c->filter = expr_fold(&p->session, bind_expr(p, o->r, NULL, x->filter));
        if (c->filter->type.kind != MILL_BOOLEAN)
            plan_fail(p, x->filter->at, MILL_E_TYPE, "FILTER (WHERE ...) needs a condition");
    }
    c->type = c->spec.result_type;
}

/* LAG, LEAD. */
static void bind_other_row(struct overs *o, struct call *c, const char *name)
{
    struct planner *p = o->p;
    const struct ast_expr *x = c->x;

    if (x->ignore_nulls)
        plan_fail(p, x->at, MILL_E_UNSUPPORTED, "%s with IGNORE NULLS is not supported yet", name);
    if (x->arg_count < 1 || x->arg_count > 3)
        plan_fail(p, x->at, MILL_E_TYPE, "%s(value [, rows [, default]]) got %u arguments", name,
                  x->arg_count);
    c->arg = expr_fold(&p->session, bind_expr(p, o->r, NULL, x->args[0]));
    if (type_phys(&c->arg->type) == PHYS_NONE || type_phys(&c->arg->type) == PHYS_ROW)
        plan_fail(p, x->args[0]->at, MILL_E_TYPE, "%s takes a column that is no ROW", name);
    c->distance = x->arg_count > 1 ? rows_before(p, x->args[1]) : 1;
    c->type = c->arg->type;
    c->type.not_null = false;
    if (x->arg_count > 2)
        c->fallback =
            expr_fold(&p->session,
                      need(p, expr_coerce(&p->session, bind_expr(p, o->r, NULL, x->args[2]),
                                          &c->type, p->error)));
}

static void bind_ntile(struct overs *o, struct call *c)
{
    struct planner *p = o->p;
    const struct ast_expr *x = c->x;

    if (x->arg_count != 1 || x->distinct || x->filter != NULL)
        plan_fail(p, x->at, MILL_E_TYPE, "NTILE(tiles) takes one argument, it got %u",
                  x->arg_count);
    c->distance = rows_before(p, x->args[0]);
    if (c->distance == 0)
        plan_fail(p, x->args[0]->at, MILL_E_TYPE, "NTILE needs at least one tile");
    c->type = type_make(MILL_INT);
}

static bool number_function(const char *name, enum over_function *out)
{
    static const char *const names[] = {"ROW_NUMBER", "RANK",  "DENSE_RANK",   "LAG",
                                        "LEAD",       "NTILE", "PERCENT_RANK", "CUME_DIST"};

    for (uint32_t i = 0; i < COUNT_OF(names); i++)
        if (strcasecmp(name, names[i]) == 0) {
            *out = (enum over_function)i;
            return true;
        }
    return false;
}

static void bind_function(struct overs *o, struct call *c)
{
    struct planner *p = o->p;
    const struct ast_expr *x = c->x;
    const char *name = x->name.parts[x->name.count - 1];
    enum agg_kind kind;

    c->is_number = number_function(name, &c->function);
    if (c->is_number && (c->function == OVER_LAG || c->function == OVER_LEAD)) {
        bind_other_row(o, c, name);
    } else if (c->is_number && c->function == OVER_NTILE) {
        bind_ntile(o, c);
    } else if (c->is_number) {
        if (x->arg_count > 0 || x->distinct || x->filter != NULL)
            plan_fail(p, x->at, MILL_E_TYPE, "%s() takes no arguments", name);
        c->type = type_make(c->function > OVER_NTILE ? MILL_DOUBLE : MILL_BIGINT);
        c->type.not_null = true;
    } else if (user_aggregate(p, x) != NULL || agg_find(name, &kind)) {
        bind_aggregate_call(o, c, name);
    } else {
        plan_fail(p, x->at, MILL_E_UNSUPPORTED,
                  "%s OVER is not supported: aggregates, ROW_NUMBER, RANK, DENSE_RANK, LAG, LEAD, "
                  "NTILE, PERCENT_RANK and CUME_DIST are",
                  name);
    }
}

static void add_frame(struct overs *o, struct call *c, const struct ast_window *w)
{
    struct planner *p = o->p;
    struct over_group *g = &o->groups[c->group];

    if (!c->is_number) {
        const struct over_frame frame = frame_of(p, w, g);

        c->frame = frame_index(g, &frame, p);
        c->way = way_of(&c->spec, frame.bounded);
    } else if (c->function == OVER_LAG && c->distance > 0) {
        const struct over_frame frame = {.bounded = true, .preceding = c->distance};

        c->frame = frame_index(g, &frame, p);
    } else if (w->frame != FRAME_NONE && (w->frame != FRAME_ROWS || !w->from_unbounded)) {
        plan_fail(p, c->x->at, MILL_E_TYPE, "%s takes no frame",
                  c->x->name.parts[c->x->name.count - 1]);
    }
    g->needs_all = g->needs_all || (c->is_number && c->function >= OVER_LEAD);
}

static void add_call(struct overs *o, const struct ast_expr *x)
{
    struct planner *p = o->p;
    const struct ast_window w = resolve(p, o->s, x->over);
    struct over_group group;
    struct call *c = &o->calls[o->call_count];
    uint32_t g = 0;

    if (o->call_count == CALLS_MAX)
        plan_fail(p, x->at, MILL_E_UNSUPPORTED, "more than %u calls with OVER in one SELECT",
                  CALLS_MAX);
    *c = (struct call){.x = x};
    bind_function(o, c);
    group_of_window(p, o->r, &w, &group);
    group.at = x->at;
    while (g < o->group_count && !same_group(&o->groups[g], &group))
        g++;
    if (g == o->group_count) {
        if (g == OVER_GROUPS_MAX)
            plan_fail(p, x->at, MILL_E_UNSUPPORTED, "more than %u different windows in one SELECT",
                      OVER_GROUPS_MAX);
        o->groups[o->group_count++] = group;
    }
    c->group = g;
    add_frame(o, c, &w);
    o->call_count++;
}

static void find_calls(struct overs *o, const struct ast_expr *x)
{
    if (x->kind == AST_CALL && x->over != NULL) {
        for (uint32_t i = 0; i < o->call_count; i++)
            if (o->calls[i].x == x) /* QUALIFY by its name in the SELECT list */
                return;
        add_call(o, x);
        return;
    }
    for (uint32_t i = 0; i < x->arg_count; i++)
        find_calls(o, x->args[i]);
}

/* ---- nodes ---- */

/* The columns of the node so far, with expressions that are not columns behind them. */
struct over_input {
    struct expr **exprs;
    struct scope_column *columns;
    uint32_t given, count, room;
};

struct over_input *over_input_new(struct planner *p, const struct phys_node *node, uint32_t extra)
{
    const uint32_t n = node->schema.field_count;
    struct over_input *in = arena_new(p->arena, struct over_input);

    in->room = n + extra;
    in->exprs = arena_array(p->arena, struct expr *, in->room + 1);
    in->columns = arena_array(p->arena, struct scope_column, in->room + 1);
    in->given = in->count = n;
    for (uint32_t i = 0; i < n; i++) {
        in->columns[i] = (struct scope_column){.name = node->schema.fields[i].name,
                                               .type = node->schema.fields[i].type};
        in->exprs[i] =
            expr_column(&p->session, i, &node->schema.fields[i].type, (struct expr_place){0, 0});
    }
    return in;
}

uint32_t over_input_column(struct planner *p, struct over_input *in, struct expr *e)
{
    if (e->kind == EXPR_COLUMN)
        return e->index;
    for (uint32_t i = in->given; i < in->count; i++)
        if (expr_same(in->exprs[i], e))
            return i;
    CHECK(in->count < in->room);
    in->exprs[in->count] = e;
    in->columns[in->count] =
        (struct scope_column){.name = arena_format(p->arena, "o%u", in->count), .type = e->type};
    return in->count++;
}

void over_input_plan(struct planner *p, struct relation *r, struct over_input *in)
{
    if (r->filter != NULL || in->count > in->given)
        r->node = plan_calc(p, r, in->exprs, in->columns, in->count);
}

uint32_t over_input_given(const struct over_input *in)
{
    return in->given;
}

static void keep_column(struct over_node *over, uint32_t *kept, uint32_t column)
{
    for (uint32_t i = 0; i < over->kept_count; i++)
        if (kept[i] == column)
            return;
    kept[over->kept_count++] = column;
}

/* Arguments as columns; results have their places: by frame and way, then numbers. */
static void place_calls(struct overs *o, uint32_t g, struct over_input *in, struct over_node *over,
                        struct mill_field *fields)
{
    struct planner *p = o->p;
    struct over_frame *frames =
        arena_array(p->arena, struct over_frame, o->groups[g].frame_count + 1);
    struct over_call *numbers = arena_array(p->arena, struct over_call, o->call_count + 1);
    uint32_t *kept = arena_array(p->arena, uint32_t, 3 * o->call_count + 1), at = in->given;

    memcpy(frames, o->groups[g].frames, o->groups[g].frame_count * sizeof *frames);
    for (uint32_t f = 0; f < o->groups[g].frame_count; f++)
        for (uint32_t w = 0; w < OVER_WAYS; w++) {
            struct agg_spec *specs = arena_array(p->arena, struct agg_spec, o->call_count + 1);

            frames[f].specs[w] = specs;
            frames[f].first[w] = at;
            for (uint32_t i = 0; i < o->call_count; i++) {
                struct call *c = &o->calls[i];

                if (c->group != g || c->is_number || c->frame != f || c->way != w)
                    continue;
                if (c->arg != NULL)
                    c->spec.arg = (int32_t)over_input_column(p, in, c->arg);
                if (c->filter != NULL)
                    c->spec.filter = (int32_t)over_input_column(p, in, c->filter);
                if (frames[f].bounded && c->arg != NULL)
                    keep_column(over, kept, (uint32_t)c->spec.arg);
                if (frames[f].bounded && c->filter != NULL)
                    keep_column(over, kept, (uint32_t)c->spec.filter);
                specs[frames[f].counts[w]++] = c->spec;
                fields[at] = (struct mill_field){c->spec.name, c->type};
                c->bound->column = at++;
            }
        }
    for (uint32_t i = 0; i < o->call_count; i++) {
        struct call *c = &o->calls[i];
        struct over_call *n = &numbers[over->call_count];

        if (c->group != g || !c->is_number)
            continue;
        *n = (struct over_call){.function = c->function,
                                .out = at,
                                .distance = c->distance,
                                .frame = -1,
                                .fallback = -1,
                                .type = c->type};
        if (c->arg != NULL)
            n->arg = over_input_column(p, in, c->arg);
        if (c->fallback != NULL)
            n->fallback = (int32_t)over_input_column(p, in, c->fallback);
        if (c->function == OVER_LAG && c->distance > 0) {
            n->frame = (int32_t)c->frame;
            keep_column(over, kept, n->arg);
        }
        fields[at] = (struct mill_field){c->x->name.parts[c->x->name.count - 1], c->type};
        c->bound->column = at++;
        over->call_count++;
    }
    over->frames = frames;
    over->frame_count = o->groups[g].frame_count;
    over->calls = numbers;
    over->kept = kept;
    over->given = in->given;
}

struct sort_column *over_sort_columns(struct planner *p, struct over_input *in,
                                      const struct over_group *g)
{
    struct sort_column *by = arena_array(p->arena, struct sort_column, g->order_count + 1);

    for (uint32_t i = 0; i < g->order_count; i++) {
        by[i].column = over_input_column(p, in, g->order[i]);
        by[i].type = g->order[i]->type;
        by[i].descending = g->descending[i];
        by[i].nulls_last = g->nulls_last[i];
    }
    return by;
}

static const char *why(struct planner *p, const struct over_group *g, const struct over_node *over)
{
    bool rows = false, all = false;

    for (uint32_t f = 0; f < over->frame_count; f++) {
        rows = rows || (over->frames[f].bounded && !over->frames[f].range);
        all = all || !over->frames[f].bounded;
    }
    return arena_format(p->arena, "%s; state: %s%s%s",
                        over->at_end      ? "sorted at the end of the input"
                        : over->time >= 0 ? "rows leave when the watermark passes them"
                                          : "rows are taken as they come",
                        over->at_end      ? "all rows, and "
                        : over->time >= 0 ? "rows before the watermark, and "
                                          : "",
                        rows                            ? "the last rows of each key"
                        : over->frame_count > 0 && !all ? "each key's rows within its frames"
                                                        : "one state per key",
                        g->at.line == 0    ? ""
                        : over->ttl_us > 0 ? ", until 'table.exec.state.ttl' has passed"
                        : rows || all || over->call_count > 0 ? ", as long as the query runs"
                                                              : ", dropped by the watermark");
}

/* How the rows of a window are taken: as they come in time order; all of them, sorted, at the end of input that only grows; else
 * as a view that keeps them sorted. */
enum taking { AS_THEY_COME, AT_END, AS_A_VIEW };

static enum taking taking_of(struct planner *p, const struct relation *r,
                             const struct over_group *g)
{
    const bool in_time =
        (g->event_time || g->processing_time) && !g->descending[0] && g->order_count == 1;
    const bool view = g->needs_all || r->node->updating;

    if (in_time && !view)
        return AS_THEY_COME;
    if (g->processing_time)
        plan_fail(p, g->at, MILL_E_UNSUPPORTED,
                  "OVER in the order of processing time takes rows once, as they come: this %s",
                  r->node->updating ? "input changes rows that it has given"
                  : view            ? "window looks at rows that follow"
                                    : "window is not ordered by it alone, ascending");
    return view || plan_changelog(p, r->node) ? AS_A_VIEW : AT_END;
}

static void make_view(struct overs *o, uint32_t g, struct phys_node *node)
{
    struct planner *p = o->p;

    node->kind = NODE_OVER_VIEW;
    node->changelog = plan_changelog(p, node->inputs[0]);
    node->updating = false;
    if (node->changelog)
        plan_updating(node, arena_format(p->arena, "OVER at %u:%u", o->groups[g].at.line,
                                         o->groups[g].at.column));
    node->why = over_view_why(p, node);
}

const char *over_view_why(struct planner *p, const struct phys_node *node)
{
    return arena_format(p->arena, "%s; state: all rows%s",
                        node->changelog ? "rows that come or go change results"
                                        : "sorted at the end of the input",
                        !node->changelog         ? ""
                        : node->over->ttl_us > 0 ? ", until 'table.exec.state.ttl' has passed"
                                                 : ", as long as the query runs");
}

static void over_make(struct overs *o, uint32_t g)
{
    struct planner *p = o->p;
    struct over_group *group = &o->groups[g];
    struct over_node *over = arena_new(p->arena, struct over_node);
    struct over_input *in = over_input_new(p, o->r->node, 3 * o->call_count + 2 * OVER_PARTS_MAX);
    struct mill_field *fields =
        arena_array(p->arena, struct mill_field, in->given + o->call_count + 1);
    uint32_t *keys = arena_array(p->arena, uint32_t, group->key_count + 1);
    const enum taking taking = taking_of(p, o->r, group);
    struct phys_node *node, *exchange;

    memcpy(fields, o->r->node->schema.fields, in->given * sizeof *fields);
    over->at_end = taking != AS_THEY_COME;
    over->time = over->at_end ? -1 : group->time;
    over->time_type = group->time_type;
    over->ttl_us = plan_changelog(p, o->r->node) ? plan_state_ttl(p) : 0;
    for (uint32_t i = 0; i < group->key_count; i++)
        keys[i] = over_input_column(p, in, group->keys[i]);
    over->keys = keys;
    over->key_count = group->key_count;
    if (over->at_end) {
        over->order = over_sort_columns(p, in, group);
        over->order_count = group->order_count;
    }
    for (uint32_t i = 0; taking == AS_A_VIEW && i < o->call_count; i++)
        if (o->calls[i].group == g && !o->calls[i].is_number)
            o->calls[i].way =
                view_way_of(&o->calls[i].spec, group->frames[o->calls[i].frame].bounded);
    place_calls(o, g, in, over, fields);
    over_input_plan(p, o->r, in);
    exchange = plan_exchange(p, o->r->node, keys, group->key_count);
    node = plan_node(p, NODE_OVER, &exchange, 1);
    node->schema = (struct mill_schema){in->given, fields};
    for (uint32_t i = 0; i < o->call_count; i++)
        node->schema.field_count += o->calls[i].group == g;
    node->over = over;
    node->rowtime = over->time;
    node->reads_clock = over->ttl_us > 0 || (over->time < 0 && !over->at_end);
    node->line = group->at.line;
    node->column = group->at.column;
    node->why = why(p, group, over);
    if (taking == AS_A_VIEW)
        make_view(o, g, node);
    o->r->node = node;
    for (uint32_t i = 0; over->at_end && i < o->r->count; i++)
        o->r->columns[i].rowtime = o->r->columns[i].proctime = false;
}

static bool has_over(const struct ast_expr *x)
{
    if (x->kind == AST_CALL && x->over != NULL)
        return true;
    for (uint32_t i = 0; i < x->arg_count; i++)
        if (has_over(x->args[i]))
            return true;
    return false;
}

bool select_has_over(const struct ast_select *s)
{
    for (uint32_t i = 0; i < s->item_count; i++)
        if (has_over(s->items[i].expr))
            return true;
    return s->qualify != NULL && has_over(s->qualify);
}

struct over_bound *bind_over(struct planner *p, struct relation *r, const struct ast_select *s)
{
    struct overs o = {.p = p, .r = r, .s = s};
    struct over_bound *bound;
    struct scope_column *columns;
    struct phys_node *rank = NULL;

    o.calls = arena_array(p->arena, struct call, CALLS_MAX + 1);
    o.groups = arena_array(p->arena, struct over_group, OVER_GROUPS_MAX + 1);
    for (uint32_t i = 0; i < s->item_count; i++)
        if (s->items[i].expr->kind != AST_STAR)
            find_calls(&o, s->items[i].expr);
    if (s->qualify != NULL)
        find_calls(&o, s->qualify);
    bound = arena_array(p->arena, struct over_bound, o.call_count + 1);
    for (uint32_t i = 0; i < o.call_count; i++) {
        bound[i] = (struct over_bound){.call = o.calls[i].x,
                                       .type = o.calls[i].type,
                                       .collects = o.calls[i].collects,
                                       .item = o.calls[i].item};
        bound[i].next = i + 1 < o.call_count ? &bound[i + 1] : NULL;
        o.calls[i].bound = &bound[i];
    }
    /* the relation may be shared; results stand behind its columns, out of sight of names and stars */
    columns = arena_array(p->arena, struct scope_column, r->count + o.call_count + 1);
    memcpy(columns, r->columns, r->count * sizeof *columns);
    r->columns = columns;
    if (o.call_count == 1 && o.calls[0].is_number && o.calls[0].function < OVER_LAG &&
        o.groups[0].order_count > 0)
        rank = rank_make(p, r, &o.groups[0], o.calls[0].function, bound);
    for (uint32_t g = 0; rank == NULL && g < o.group_count; g++)
        over_make(&o, g);
    for (uint32_t i = 0; i < o.call_count; i++)
        columns[bound[i].column] =
            (struct scope_column){.name = "", .type = bound[i].type, .rank = rank};
    return bound;
}

struct expr *over_column(struct planner *p, const struct ast_expr *x)
{
    for (const struct over_bound *b = p->overs; b != NULL; b = b->next)
        if (b->call == x) {
            struct expr *e = expr_column(&p->session, b->column, &b->type, place(x->at));

            return b->collects != 0 ? collect_unpack(p, b->collects, &b->item, e, x->at) : e;
        }
    plan_fail(p, x->at, MILL_E_TYPE,
              "OVER stands in the SELECT list and in QUALIFY only: QUALIFY ... filters by it, or "
              "WHERE one level above");
}
