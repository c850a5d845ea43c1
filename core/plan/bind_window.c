/* core/plan/bind_window.c - TUMBLE, HOP, CUMULATE, SESSION and windows by count, as table functions and in GROUP BY. */
#include "core/plan/bind.h"

#include <stdio.h>
#include <strings.h>

static const struct {
    const char *name;
    enum window_kind kind;
} functions[] = {{"TUMBLE", WINDOW_TUMBLE},     {"HOP", WINDOW_HOP},
                 {"CUMULATE", WINDOW_CUMULATE}, {"SESSION", WINDOW_SESSION},
                 {"TUMBLE_ROWS", WINDOW_ROWS},  {"HOP_ROWS", WINDOW_ROWS}};

static int window_find(const struct ast_expr *x)
{
    if (x->kind != AST_CALL)
        return -1;
    for (size_t i = 0; i < COUNT_OF(functions); i++)
        if (strcasecmp(x->name.parts[x->name.count - 1], functions[i].name) == 0)
            return (int)i;
    return -1;
}

bool is_group_window(const struct ast_expr *x)
{
    const int i = window_find(x);

    return i >= 0 && functions[i].kind != WINDOW_CUMULATE && functions[i].kind != WINDOW_ROWS;
}

/* ---- arguments ---- */

/* Argument by position, or by one of its names. */
static const struct ast_expr *argument(struct planner *p, const struct ast_expr *call,
                                       uint32_t position, const char *name, bool needed)
{
    const bool named = call->arg_count > 0 && call->args[0]->kind == AST_NAMED_ARG;

    for (uint32_t i = 0; named && i < call->arg_count; i++)
        if (call->args[i]->kind == AST_NAMED_ARG && strcasecmp(call->args[i]->text, name) == 0)
            return call->args[i]->args[0];
    if (!named && position < call->arg_count)
        return call->args[position];
    if (needed) {
        char given[200] = "";
        size_t n = 0;

        for (uint32_t i = 0; named && i < call->arg_count && n < sizeof given; i++)
            if (call->args[i]->kind == AST_NAMED_ARG)
                n += (size_t)snprintf(given + n, sizeof given - n, "%s%s",
                                      i == 0 ? "; it got " : ", ", call->args[i]->text);
        plan_fail(p, call->at, MILL_E_TYPE, "%s lacks its argument %s%s",
                  call->name.parts[call->name.count - 1], name, given);
    }
    return NULL;
}

/* A length in the unit of the time column; @least 1: must be above 0. */
static int64_t length_of(struct planner *p, const struct ast_expr *x, const struct mill_type *time,
                         int64_t least)
{
    bool months = false;
    int64_t ns;

    if (x->kind != AST_INTERVAL)
        plan_fail(p, x->at, MILL_E_TYPE,
                  "a window's length is an interval, as in INTERVAL '10' SECOND");
    ns = bind_interval(p, x, &months);
    if (months)
        plan_fail(p, x->at, MILL_E_UNSUPPORTED,
                  "windows of months or years are not supported: days and smaller are");
    if (!type_is_nanos(time)) {
        if (ns % 1000 != 0)
            plan_fail(p, x->at, MILL_E_TYPE,
                      "the window's length is finer than the time column's microseconds: use a "
                      "TIMESTAMP(9) column");
        ns /= 1000;
    } else if (ns > WINDOW_NANOS_MAX) {
        plan_fail(p, x->at, MILL_E_TYPE,
                  "windows over TIMESTAMP(9) are 250 days long at most: use a TIMESTAMP(6) column");
    }
    if (ns < least)
        plan_fail(p, x->at, MILL_E_TYPE, "the window's length must be above 0");
    return ns;
}

static uint64_t row_count(struct planner *p, const struct ast_expr *x)
{
    struct expr *e = expr_fold(&p->session, bind_expr(p, NULL, NULL, x));
    int64_t n = 0;

    if (!type_is_integer(&e->type) || !expr_literal_i64(e, &n) || n < 1 || n > INT32_MAX)
        plan_fail(p, x->at, MILL_E_TYPE, "a window by count needs a number of rows, 1 to %d",
                  INT32_MAX);
    return (uint64_t)n;
}

/* ---- the time attribute ---- */

static void window_time(struct planner *p, const struct relation *r, const struct ast_expr *x,
                        struct window_spec *w)
{
    struct expr *e;
    const struct scope_column *c;
    char text[80];

    if (x->kind == AST_DESCRIPTOR) {
        if (x->arg_count != 1)
            plan_fail(p, x->at, MILL_E_TYPE, "DESCRIPTOR names one time column here");
        x = x->args[0];
    }
    if (x->kind != AST_NAME)
        plan_fail(p, x->at, MILL_E_TYPE, "a window needs a time column here: DESCRIPTOR(ts)");
    e = bind_expr(p, (struct relation *)r, NULL, x);
    if (e->kind != EXPR_COLUMN)
        plan_fail(p, x->at, MILL_E_TYPE,
                  "the time of a window must be a column, not a field of a ROW");
    c = &r->columns[e->index];
    if (c->proctime) {
        w->processing_time = true;
        w->time = -1;
        w->time_type = type_time(MILL_TIMESTAMP_LTZ, 3);
    } else if (c->rowtime) {
        w->time = (int32_t)e->index;
        w->time_type = c->type;
        w->time_type.not_null = false;
    } else {
        plan_fail(p, x->at, MILL_E_TYPE,
                  "column %s (%s) is no time attribute: declare WATERMARK FOR %s AS ... in its "
                  "CREATE "
                  "TABLE, or make a computed column AS PROCTIME()",
                  c->name, type_name(&c->type, text, sizeof text), c->name);
    }
    w->unit = type_time_unit(&w->time_type);
    w->local_zone = w->time_type.kind == MILL_TIMESTAMP_LTZ;
}

/* ---- sizes ---- */

static void check_hop(struct planner *p, const struct ast_expr *call, const struct window_spec *w)
{
    const double per_second = type_is_nanos(&w->time_type) ? 1e9 : 1e6;

    if (w->slide > w->size)
        plan_fail(p, call->at, MILL_E_TYPE,
                  "HOP: the slide (%g s) is longer than the size (%g s), rows between windows "
                  "would be lost; the order is HOP(table, time, slide, size)",
                  (double)w->slide / per_second, (double)w->size / per_second);
}

static void window_sizes(struct planner *p, const struct ast_expr *call, uint32_t first,
                         struct window_spec *w)
{
    const struct ast_expr *offset = NULL;

    switch (w->kind) {
    case WINDOW_TUMBLE:
        w->size = w->slide = length_of(p, argument(p, call, first, "SIZE", true), &w->time_type, 1);
        offset = argument(p, call, first + 1, "OFFSET", false);
        break;
    case WINDOW_HOP:
        w->slide = length_of(p, argument(p, call, first, "SLIDE", true), &w->time_type, 1);
        w->size = length_of(p, argument(p, call, first + 1, "SIZE", true), &w->time_type, 1);
        offset = argument(p, call, first + 2, "OFFSET", false);
        check_hop(p, call, w);
        break;
    case WINDOW_CUMULATE:
        w->slide = length_of(p, argument(p, call, first, "STEP", true), &w->time_type, 1);
        w->size = length_of(p, argument(p, call, first + 1, "SIZE", true), &w->time_type, 1);
        offset = argument(p, call, first + 2, "OFFSET", false);
        if (w->size % w->slide != 0)
            plan_fail(p, call->at, MILL_E_TYPE,
                      "CUMULATE: the size must be a multiple of the step");
        break;
    case WINDOW_SESSION:
        w->size = w->slide = length_of(p, argument(p, call, first, "GAP", true), &w->time_type, 1);
        break;
    default: break;
    }
    if (offset != NULL)
        w->offset = length_of(p, offset, &w->time_type, INT64_MIN);
}

static void row_sizes(struct planner *p, const struct ast_expr *call, struct window_spec *w)
{
    const bool hop = strcasecmp(call->name.parts[call->name.count - 1], "HOP_ROWS") == 0;
    const struct ast_expr *limit = NULL;

    if (hop) {
        w->slide_rows = row_count(p, argument(p, call, 2, "SLIDE", true));
        w->rows = row_count(p, argument(p, call, 3, "SIZE", true));
        if (w->slide_rows > w->rows)
            plan_fail(p, call->at, MILL_E_TYPE,
                      "HOP_ROWS: the slide (%llu rows) is longer than the size (%llu rows)",
                      (unsigned long long)w->slide_rows, (unsigned long long)w->rows);
        return;
    }
    w->rows = w->slide_rows = row_count(p, argument(p, call, 2, "SIZE", true));
    limit = argument(p, call, 3, "TIME", false);
    if (limit != NULL)
        w->size = length_of(p, limit, &w->time_type, 1);
}

void window_from_call(struct planner *p, struct relation *r, const struct ast_expr *call,
                      struct window_spec *out)
{
    *out = (struct window_spec){.kind = functions[window_find(call)].kind, .start = -1, .end = -1};
    if (call->arg_count < 2)
        plan_fail(p, call->at, MILL_E_TYPE, "%s in GROUP BY takes a time column and its lengths",
                  call->name.parts[call->name.count - 1]);
    window_time(p, r, call->args[0], out);
    window_sizes(p, call, 1, out);
}

bool window_is_same(struct planner *p, struct relation *r, const struct ast_expr *call,
                    const char *function, const struct window_spec *window)
{
    struct ast_expr *named = arena_new(p->arena, struct ast_expr);
    struct window_spec w;

    *named = *call;
    named->name.parts = arena_array(p->arena, __typeof__(*named->name.parts), 1);
    named->name.parts[0] = function;
    named->name.count = 1;
    window_from_call(p, r, named, &w);
    return w.kind == window->kind && w.time == window->time &&
           w.processing_time == window->processing_time && w.size == window->size &&
           w.slide == window->slide && w.offset == window->offset;
}

/* ---- table functions ---- */

static void add_window_columns(struct planner *p, struct relation *r)
{
    static const struct {
        const char *name;
        enum column_role role;
    } added[] = {{"window_start", ROLE_WINDOW_START},
                 {"window_end", ROLE_WINDOW_END},
                 {"window_time", ROLE_WINDOW_TIME}};
    const bool rows = r->window.kind == WINDOW_ROWS;
    struct scope_column *columns = arena_array(p->arena, struct scope_column, r->count + 5);

    memcpy(columns, r->columns, r->count * sizeof *columns);
    for (size_t i = 0; i < COUNT_OF(added); i++)
        columns[r->count + i] =
            (struct scope_column){.table = r->count > 0 ? r->columns[0].table : NULL,
                                  .name = added[i].name,
                                  .type = i == 2 ? r->window.time_type
                                                 : type_wall(&r->window.time_type),
                                  .role = added[i].role,
                                  .local = i < 2 && r->window.local_zone,
                                  .rowtime = i == 2 && !r->window.processing_time,
                                  .proctime = i == 2 && r->window.processing_time};
    /* behind a window, window_time is the event time */
    for (uint32_t i = 0; i < r->count; i++) {
        columns[i].rowtime = columns[i].proctime = false;
        columns[i].role = ROLE_NONE;
        /* window columns of an inner window are shadowed by the outer one's */
        for (size_t k = 0; k < COUNT_OF(added); k++)
            if (strcasecmp(columns[i].name, added[k].name) == 0)
                columns[i].name = arena_format(p->arena, "%s$inner", added[k].name);
    }
    r->columns = columns;
    r->count += COUNT_OF(added);
    if (rows)
        columns[r->count++] = (struct scope_column){.name = "window_id",
                                                    .type = type_make(MILL_BIGINT),
                                                    .role = ROLE_WINDOW_ID};
}

static void partition_keys(struct planner *p, struct relation *r, const struct ast_table *t)
{
    r->window_keys = arena_array(p->arena, uint32_t, t->partition_count + 1);
    for (uint32_t i = 0; i < t->partition_count; i++) {
        struct expr *e = bind_expr(p, r, NULL, t->partition[i]);

        if (e->kind != EXPR_COLUMN)
            plan_fail(p, t->partition[i]->at, MILL_E_UNSUPPORTED,
                      "PARTITION BY takes columns here");
        check_key(p, &e->type, (struct ast_at){e->line, e->column});
        r->window_keys[r->window_key_count++] = e->index;
    }
}

struct relation bind_window_function(struct planner *p, const struct ast_table *t)
{
    const struct ast_expr *call = t->call, *data;
    const int kind = window_find(call);
    struct relation r;

    if (kind < 0)
        plan_fail(p, t->at, MILL_E_UNSUPPORTED,
                  "only the window functions TUMBLE, HOP, CUMULATE, SESSION, TUMBLE_ROWS and "
                  "HOP_ROWS are supported as tables yet");
    data = argument(p, call, 0, "DATA", true);
    if (data->kind != AST_TABLE_ARG)
        plan_fail(p, data->at, MILL_E_TYPE, "the first argument is the table: TABLE t");
    r = bind_from(p, data->table);
    if (r.pending)
        materialize_window(p, &r);
    r.window = (struct window_spec){.kind = functions[kind].kind, .start = -1, .end = -1};
    window_time(p, &r, argument(p, call, 1, "TIMECOL", true), &r.window);
    partition_keys(p, &r, data->table);
    if (r.window.kind == WINDOW_ROWS)
        row_sizes(p, call, &r.window);
    else
        window_sizes(p, call, 2, &r.window);
    r.pending = true;
    add_window_columns(p, &r);
    return r;
}

uint32_t relation_own(const struct relation *r)
{
    return !r->pending ? r->count : r->count - (r->window.kind == WINDOW_ROWS ? 4 : 3);
}

/* Behind a window by count its columns are plain ones: the last windows of a key may fire long after their time. */
static void no_window_roles(struct planner *p, struct relation *r)
{
    struct scope_column *columns = arena_array(p->arena, struct scope_column, r->count);

    memcpy(columns, r->columns, r->count * sizeof *columns);
    for (uint32_t i = 0; i < r->count; i++) {
        columns[i].role = ROLE_NONE;
        columns[i].rowtime = columns[i].proctime = false;
    }
    r->columns = columns;
}

static bool reads_only(const struct expr *e, const uint32_t *columns, uint32_t count)
{
    bool found = e->kind != EXPR_COLUMN;

    for (uint32_t i = 0; i < count && !found; i++)
        found = e->index == columns[i];
    for (uint32_t i = 0; i < e->arg_count && found; i++)
        found = reads_only(e->args[i], columns, count);
    return found;
}

bool window_needs_all_rows(const struct relation *r)
{
    return r->pending && r->filter != NULL &&
           (r->window.kind == WINDOW_SESSION || r->window.kind == WINDOW_ROWS) &&
           !reads_only(r->filter, r->window_keys, r->window_key_count);
}

/* The window's columns as real ones, by op_assign or op_count_window. */
void materialize_window(struct planner *p, struct relation *r)
{
    struct phys_node *node;
    const bool by_rows = r->window.kind == WINDOW_ROWS;
    const uint32_t own = relation_own(r);

    if (r->window.kind == WINDOW_SESSION)
        plan_fail(p, r->at, MILL_E_UNSUPPORTED,
                  "the windows of SESSION are known behind GROUP BY window_start, window_end only: "
                  "HAVING can read them, a WHERE and rows without GROUP BY not yet");
    if (r->filter != NULL && !window_needs_all_rows(r)) {
        struct relation base = *r;

        base.count = own;
        materialize_filter(p, &base);
        r->node = base.node;
        r->filter = NULL;
    }
    r->pending = false;
    if (by_rows) {
        struct phys_node *exchange = plan_exchange(p, r->node, r->window_keys, r->window_key_count);

        node = plan_node(p, NODE_COUNT_WINDOW, &exchange, 1);
        node->aggregate.keys = r->window_keys;
        node->aggregate.key_count = r->window_key_count;
        node->why = "the rows of each key's open window and a number per key, which stays; rows "
                    "before the watermark";
        node->line = r->at.line;
        node->column = r->at.column;
        no_window_roles(p, r);
    } else {
        node = plan_node(p, NODE_ASSIGN, &r->node, 1);
        node->rowtime = (int32_t)own + 2;
    }
    node->aggregate.window = r->window;
    node->schema = plan_schema(p, r->columns, r->count);
    r->node = node;
}
