/* core/plan/filters.c - filters moved towards the sources: below projections, windows, UNION ALL and aggregations.
 *
 * A filter is split at its ANDs. A part moves if it keeps the same rows below the operator: it reads nothing that the
 * operator makes, and where an earlier part stays behind, it cannot fail on a row.
 */
#include "core/expr/functions.h"
#include "core/plan/bind.h"

#define PARTS_MAX 64u

struct parts {
    struct expr *items[PARTS_MAX];
    uint32_t count;
};

static void split(struct expr *e, struct parts *to)
{
    if (e->kind == EXPR_AND && to->count + 2 < PARTS_MAX) {
        split(e->args[0], to);
        split(e->args[1], to);
        return;
    }
    to->items[to->count++] = e;
}

/* ---- expressions ---- */

static bool cast_is_safe(const struct expr *e)
{
    const enum mill_kind from = e->args[0]->type.kind, to = e->type.kind;

    return type_is_integer(&e->args[0]->type) &&
           ((type_is_integer(&e->type) && from <= to) || to == MILL_DOUBLE);
}

static bool call_is_safe(const struct expr *e)
{
    static const char *const names[] = {"=", "<>", "<", "<=", ">", ">=", "NOT", "+", "-", "*"};
    const char *name = e->function->name;
    int64_t divisor = 0;

    if (e->type.kind == MILL_DECIMAL) /* counts what overflows: once */
        return false;
    if (strcmp(name, "%") == 0 || strcmp(name, "MOD") == 0)
        return e->args[1]->kind == EXPR_LITERAL && expr_literal_i64(e->args[1], &divisor) &&
               divisor != 0;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return strncmp(name, "IS ", 3) == 0;
}

bool expr_is_cheap(const struct expr *e)
{
    switch (e->kind) {
    case EXPR_COLUMN:
    case EXPR_LITERAL: return true;
    case EXPR_AND:
    case EXPR_OR:
    case EXPR_FIELD: break;
    case EXPR_CAST:
        if (!cast_is_safe(e))
            return false;
        break;
    case EXPR_CALL:
        if (!call_is_safe(e))
            return false;
        break;
    default: return false;
    }
    for (uint32_t i = 0; i < e->arg_count; i++)
        if (!expr_is_cheap(e->args[i]))
            return false;
    return true;
}

bool expr_reads(const struct expr *e, uint32_t column)
{
    bool found = e->kind == EXPR_COLUMN && e->index == column;

    for (uint32_t i = 0; i < e->arg_count && !found; i++)
        found = expr_reads(e->args[i], column);
    return found;
}

struct expr *expr_over(struct planner *p, const struct expr *e, struct expr *const *columns)
{
    struct expr *copy;

    if (e->kind == EXPR_COLUMN && columns[e->index] != NULL)
        return columns[e->index];
    copy = arena_new(p->arena, struct expr);
    *copy = *e;
    copy->args = arena_array(p->arena, struct expr *, e->arg_count + 1);
    for (uint32_t i = 0; i < e->arg_count; i++)
        copy->args[i] = expr_over(p, e->args[i], columns);
    return copy;
}

/* ---- one part below one operator ---- */

/* Column @i of an aggregation, if it is a key: as it stands in the input. Zeros and NaN are not what they were. */
/* -0.0 and 0.0 are one key. */
static bool has_reals(const struct mill_type *type)
{
    bool found = type->kind == MILL_FLOAT || type->kind == MILL_DOUBLE;

    for (uint32_t i = 0; type->kind == MILL_ROW && i < type->field_count && !found; i++)
        found = has_reals(&type->fields[i].type);
    return found;
}

static struct expr *key_below(struct planner *p, const struct aggregate_node *a, uint32_t i,
                              const struct mill_type *type)
{
    const struct expr_place none = {0, 0};

    if (has_reals(type))
        return NULL;
    if (a->outs != NULL)
        return a->outs[i].kind == OUT_KEY
                   ? expr_column(&p->session, a->keys[a->outs[i].index], type, none)
                   : NULL;
    for (uint32_t k = 0; k < a->key_count; k++)
        if (a->keys[k] == i)
            return expr_column(&p->session, i, type, none);
    return NULL;
}

/* What a part may read of @below's columns, as expressions over its input. NULL: the operator makes it. */
static struct expr **columns_below(struct planner *p, const struct phys_node *below)
{
    const uint32_t n = below->schema.field_count;
    struct expr **columns = arena_array(p->arena, struct expr *, n + 1);
    const struct expr_place none = {0, 0};

    for (uint32_t i = 0; i < n; i++) {
        const struct mill_type *type = &below->schema.fields[i].type;
        bool passes = below->kind == NODE_UNION;

        if (below->kind == NODE_CALC && below->calc.project != NULL) {
            if (expr_is_cheap(below->calc.project[i]))
                columns[i] = below->calc.project[i];
            continue;
        }
        if (below->kind == NODE_CALC)
            passes = true;
        else if (below->kind == NODE_ASSIGN)
            passes = i < below->inputs[0]->schema.field_count;
        else if (below->kind != NODE_UNION)
            columns[i] = key_below(p, &below->aggregate, i, type);
        if (passes)
            columns[i] = expr_column(&p->session, i, type, none);
    }
    return columns;
}

static bool reads_only(const struct expr *e, struct expr *const *columns, bool *any)
{
    if (e->kind == EXPR_COLUMN) {
        *any = true;
        return columns[e->index] != NULL;
    }
    for (uint32_t i = 0; i < e->arg_count; i++)
        if (!reads_only(e->args[i], columns, any))
            return false;
    return true;
}

static bool filter_may_pass(const struct phys_node *node)
{
    switch (node->kind) {
    case NODE_CALC:
    case NODE_ASSIGN: return true;
    case NODE_UNION: return node->input_count > 1; /* else: late rows */
    case NODE_WINDOW:
    case NODE_SESSION:
    case NODE_COUNT_WINDOW:
    case NODE_CHANGES:
    case NODE_WINDOW_CHANGES:
    case NODE_GROUP: return node->late_to_count == 0;
    default: return false;
    }
}

static uint32_t consumers(const struct planner *p, const struct phys_node *node)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < p->count; i++)
        for (uint32_t k = 0; k < p->nodes[i]->input_count; k++)
            count += p->nodes[i]->inputs[k] == node;
    return count;
}

static const char *const moved_below[] = {[NODE_CALC] = "the projection",
                                          [NODE_ASSIGN] = "the window function",
                                          [NODE_UNION] = "UNION ALL",
                                          [NODE_WINDOW] = "the aggregation",
                                          [NODE_SESSION] = "the aggregation",
                                          [NODE_COUNT_WINDOW] = "the window by count",
                                          [NODE_GROUP] = "the aggregation",
                                          [NODE_CHANGES] = "the aggregation",
                                          [NODE_WINDOW_CHANGES] = "the aggregation"};

static void move_down(struct planner *p, struct phys_node *calc);

static void tell(struct planner *p, struct phys_node *calc, enum node_kind below)
{
    if (calc->why == NULL)
        calc->why = arena_format(p->arena, "filter moved below %s", moved_below[below]);
    else if (strstr(calc->why, moved_below[below]) == NULL)
        calc->why = arena_format(p->arena, "%s and %s", calc->why, moved_below[below]);
}

/* A filter on what @consumer gets by input @i. */
static void filter_input(struct planner *p, struct phys_node *consumer, uint32_t i,
                         struct expr *filter, const char *why)
{
    struct phys_node *below = consumer->inputs[i], *calc;

    if (below->kind == NODE_EXCHANGE) {
        filter_input(p, below, 0, filter, why);
        return;
    }
    if (below->kind == NODE_PREAGG) {
        filter_input(p, below, 0, filter, why);
        return;
    }
    calc = plan_node(p, NODE_CALC, &below, 1);
    calc->query = consumer->query;
    calc->schema = below->schema;
    calc->calc = (struct calc_node){filter, NULL, 0};
    calc->why = why;
    consumer->inputs[i] = calc;
    move_down(p, calc);
}

/* Takes the parts of @calc's filter that may go below its input. NULL: none. */
static struct expr *take_parts(struct planner *p, struct phys_node *calc)
{
    const struct phys_node *below = calc->inputs[0];
    struct expr **columns = columns_below(p, below), *kept = NULL, *moved = NULL;
    struct parts parts = {.count = 0};

    split(calc->calc.filter, &parts);
    for (uint32_t i = 0; i < parts.count; i++) {
        struct expr *part = parts.items[i];
        const bool keeps_rows = below->kind == NODE_CALC || below->kind == NODE_UNION;
        bool any = keeps_rows;

        /* below what drops rows (late ones), a part that may fail would fail for those as well */
        if (expr_is_pure(part) && reads_only(part, columns, &any) && any &&
            ((kept == NULL && keeps_rows) || expr_is_cheap(part)))
            moved = expr_both(p, moved, expr_fold(&p->session, expr_over(p, part, columns)));
        else
            kept = expr_both(p, kept, part);
    }
    if (moved != NULL)
        calc->calc.filter = kept;
    return moved;
}

/* As many parts of a filter as may go below its operator's input, as far as they may. */
static void move_down(struct planner *p, struct phys_node *calc)
{
    struct phys_node *below = calc->inputs[0];
    struct expr *moved;

    if (calc->calc.filter == NULL || !filter_may_pass(below) || consumers(p, below) != 1)
        return;
    moved = take_parts(p, calc);
    if (moved == NULL)
        return;
    tell(p, calc, below->kind);
    if (below->kind == NODE_CALC) {
        below->calc.filter = expr_both(p, below->calc.filter, moved);
        below->why = calc->why;
        move_down(p, below);
    } else {
        for (uint32_t i = 0; i < (below->kind == NODE_UNION ? below->input_count : 1); i++)
            filter_input(p, below, i, moved, calc->why);
    }
    calc->why = NULL;
}

void plan_move_filters(struct planner *p)
{
    for (uint32_t i = p->count; i-- > 0;)
        if (p->nodes[i]->kind == NODE_CALC && p->nodes[i]->input_count > 0)
            move_down(p, p->nodes[i]);
}

/* ---- filters of decoders ---- */

/* The columns of a table over its decoded ones; NULL: computed, and not cheaply. */
static struct expr **decoded_columns(struct planner *p, const struct phys_node *source)
{
    const uint32_t n = source->schema.field_count;
    struct expr **columns = arena_array(p->arena, struct expr *, n + 1);
    uint32_t d = source->source.kinds_column;

    for (uint32_t i = 0; i < n; i++)
        if (source->source.computed[i] == NULL)
            columns[i] = expr_column(&p->session, d++, &source->schema.fields[i].type,
                                     (struct expr_place){0, 0});
    for (uint32_t i = 0; i < n; i++)
        if (source->source.computed[i] != NULL && expr_is_cheap(source->source.computed[i]))
            columns[i] = expr_over(p, source->source.computed[i], columns);
    return columns;
}

/* Cheap parts of a filter over decoded columns. NULL: none. */
static struct expr *early_parts(struct planner *p, struct expr *filter, struct expr *const *columns)
{
    struct parts parts = {.count = 0};
    struct expr *early = NULL;
    bool any;

    split(filter, &parts);
    for (uint32_t i = 0; i < parts.count; i++)
        if (expr_is_cheap(parts.items[i]) && reads_only(parts.items[i], columns, &any))
            early = expr_both(p, early, expr_over(p, parts.items[i], columns));
    return early;
}

static struct expr *either(struct planner *p, struct expr *a, struct expr *b)
{
    struct expr *e = a == NULL ? b : expr_both(p, a, b);

    if (a != NULL)
        e->kind = EXPR_OR;
    return e;
}

/* Where every consumer filters: the rows that one of them may keep. NULL: all. */
static struct expr *early_filter(struct planner *p, const struct phys_node *source)
{
    struct expr **columns = decoded_columns(p, source), *early = NULL;

    for (uint32_t i = 0; i < p->count; i++)
        for (uint32_t k = 0; k < p->nodes[i]->input_count; k++) {
            const struct phys_node *node = p->nodes[i];
            struct expr *part = NULL;

            if (node->inputs[k] != source)
                continue;
            if (node->kind == NODE_CALC && node->calc.filter != NULL)
                part = early_parts(p, node->calc.filter, columns);
            if (part == NULL)
                return NULL;
            early = either(p, early, part);
        }
    return early;
}

/* Read of every row: by a filter, a computed column or the watermark. */
static bool read_always(const struct planner *p, const struct phys_node *source, uint32_t column)
{
    const struct source_node *s = &source->source;

    if (s->watermark.column == (int32_t)column ||
        (s->watermark.column >= 0 && expr_reads(s->watermark.expression, column)))
        return true;
    for (uint32_t i = 0; i < source->schema.field_count; i++)
        if (s->computed[i] != NULL && expr_reads(s->computed[i], column))
            return true;
    for (uint32_t i = 0; i < p->count; i++)
        if (p->nodes[i]->input_count > 0 && p->nodes[i]->inputs[0] == source &&
            expr_reads(p->nodes[i]->calc.filter, column))
            return true;
    return false;
}

static void source_early(struct planner *p, struct phys_node *source, bool exact)
{
    struct source_node *s = &source->source;
    bool *late = arena_array(p->arena, bool, s->decoded.field_count + 1), any = false;
    uint32_t d = 0;

    if (s->vtable == NULL || s->vtable->asks_filter == NULL || s->metadata != NULL)
        return;
    s->early = early_filter(p, source);
    for (uint32_t i = 0; s->early != NULL && i < source->schema.field_count; i++) {
        if (s->computed[i] != NULL)
            continue;
        late[d] = s->wanted[d] && !read_always(p, source, i) &&
                  s->vtable->asks_filter(s->options, &s->decoded.fields[d].type, exact);
        any = any || late[d];
        d++;
    }
    s->late = late;
    s->exact = exact;
    if (!any)
        s->early = NULL;
}

void plan_early_filters(struct planner *p, bool exact)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->nodes[i]->kind == NODE_SOURCE)
            source_early(p, p->nodes[i], exact);
}

/* ---- the order of the nodes ---- */

static bool does_nothing(const struct phys_node *node)
{
    return node->kind == NODE_CALC && node->calc.filter == NULL && node->calc.project == NULL;
}

struct order {
    struct phys_node **nodes;
    bool *reached, *placed;
    uint32_t count;
};

static void reach(struct order *o, struct phys_node *node)
{
    if (o->reached[node->id])
        return;
    o->reached[node->id] = true;
    for (uint32_t i = 0; i < node->input_count; i++) {
        while (does_nothing(node->inputs[i]))
            node->inputs[i] = node->inputs[i]->inputs[0];
        reach(o, node->inputs[i]);
    }
}

static void put_in_order(struct order *o, struct phys_node *node)
{
    if (o->placed[node->id])
        return;
    o->placed[node->id] = true;
    for (uint32_t i = 0; i < node->input_count; i++)
        put_in_order(o, node->inputs[i]);
    o->nodes[o->count++] = node;
}

void plan_order(struct planner *p)
{
    struct order o = {.nodes = arena_array(p->arena, struct phys_node *, p->count + 1),
                      .reached = arena_array(p->arena, bool, p->count + 1),
                      .placed = arena_array(p->arena, bool, p->count + 1)};

    for (uint32_t i = 0; i < p->count; i++)
        if (p->nodes[i]->kind == NODE_SINK)
            reach(&o, p->nodes[i]);
    for (uint32_t i = 0; i < p->count; i++)
        if (o.reached[i])
            put_in_order(&o, p->nodes[i]);
    for (uint32_t i = 0; i < o.count; i++)
        o.nodes[i]->id = i;
    p->nodes = o.nodes;
    p->count = o.count;
    p->room = o.count;
}
