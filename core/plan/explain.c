/* core/plan/explain.c - EXPLAIN: the physical plan as text, sinks first, inputs indented below. */
#include "core/ops/join.h"
#include "core/ops/match.h"
#include "core/plan/bind.h"

#include <stdarg.h>
#include <stdio.h>

struct out {
    plan_text text;
    void *user;
    const struct phys_plan *plan;
    struct arena *arena;
    bool *shown; /* per node */
};

static void put(const struct out *o, const char *format, ...) PRINTF_LIKE(2, 3);
static void put(const struct out *o, const char *format, ...)
{
    char buffer[4096];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(buffer, sizeof buffer, format, args);
    va_end(args);
    if (n > 0)
        o->text(o->user, buffer, (size_t)n < sizeof buffer ? (size_t)n : sizeof buffer - 1);
}

static void put_columns(const struct out *o, const struct phys_node *node, const bool *wanted)
{
    for (uint32_t i = 0, shown = 0; i < node->schema.field_count; i++)
        if (wanted == NULL || wanted[i])
            put(o, "%s%s", shown++ > 0 ? ", " : "", node->schema.fields[i].name);
}

static void put_calc(const struct out *o, const struct phys_node *node)
{
    const struct mill_schema *input = &node->inputs[0]->schema;
    char text[1024];

    if (node->calc.filter != NULL)
        put(o, " where %s", expr_text(node->calc.filter, input, text, sizeof text));
    if (node->calc.project != NULL)
        put(o, " select ");
    for (uint32_t i = 0; node->calc.project != NULL && i < node->calc.project_count; i++)
        put(o, "%s%s AS %s", i > 0 ? ", " : "",
            expr_text(node->calc.project[i], input, text, sizeof text),
            node->schema.fields[i].name);
    if (node->why != NULL)
        put(o, "; %s", node->why);
}

/* A column by its name if all of it is read, else the fields that are. Returns behind them in @below. */
static const bool *put_read(const struct out *o, const struct mill_field *field, const char *path,
                            const bool *below, uint32_t *shown)
{
    const uint32_t count = type_fields_below(&field->type);
    char name[200];
    bool all = true;

    snprintf(name, sizeof name, "%s%s", path, field->name);
    for (uint32_t i = 0; below != NULL && i < count; i++)
        all = all && below[i];
    if (all) {
        put(o, "%s%s", (*shown)++ > 0 ? ", " : "", name);
        return below + count;
    }
    snprintf(name, sizeof name, "%s%s.", path, field->name);
    for (uint32_t i = 0; i < field->type.field_count; i++)
        below = *below++ ? put_read(o, &field->type.fields[i], name, below, shown)
                         : below + type_fields_below(&field->type.fields[i].type);
    return below;
}

static void put_source(const struct out *o, const struct phys_node *node)
{
    const struct source_node *s = &node->source;
    char text[512];

    put(o, " %s reads ", s->table);
    for (uint32_t i = 0, shown = 0; i < s->decoded.field_count; i++)
        if (s->wanted[i])
            put_read(o, &s->decoded.fields[i], "",
                     s->wanted_fields != NULL ? s->wanted_fields[i] : NULL, &shown);
    if (s->watermark.column >= 0)
        put(o, " watermark %s = %s", node->schema.fields[s->watermark.column].name,
            expr_text(s->watermark.expression, &node->schema, text, sizeof text));
    if (s->watermark.column >= 0 && s->watermark.idle_timeout_ns > 0)
        put(o, ", idle after %g s", (double)s->watermark.idle_timeout_ns / 1e9);
    if (s->early == NULL)
        return;
    put(o, "; only where %s: ", expr_text(s->early, &s->decoded, text, sizeof text));
    for (uint32_t i = 0, shown = 0; i < s->decoded.field_count; i++)
        if (s->late[i])
            put(o, "%s%s", shown++ > 0 ? ", " : "", s->decoded.fields[i].name);
}

static void put_rows_window(const struct out *o, const struct window_spec *w)
{
    put(o, " window ROWS of %llu", (unsigned long long)w->rows);
    if (w->slide_rows != w->rows)
        put(o, " every %llu", (unsigned long long)w->slide_rows);
    if (w->size > 0)
        put(o, " or time %lld", (long long)w->size);
}

static void put_window(const struct out *o, const struct window_spec *w)
{
    static const char *const kinds[] = {"TUMBLE", "HOP", "CUMULATE", "SESSION", "ROWS"};

    put(o, " window %s size %lld slide %lld", w->attached ? "attached" : kinds[w->kind],
        (long long)w->size, (long long)w->slide);
}

static void put_when(const struct out *o, const char *what, enum emit_when when,
                     int64_t interval_us)
{
    if (when == EMIT_ROW)
        put(o, ", %s results with each row", what);
    else if (when == EMIT_DELAYED)
        put(o, ", %s results every %.9g s", what, (double)interval_us / 1e6);
}

/* 'table.exec.emit.*' */
static void put_emit(const struct out *o, const struct window_emit *emit)
{
    put_when(o, "early", emit->early, emit->early_us);
    put_when(o, "late", emit->late, emit->late_us);
    if (emit->lateness_ns > 0)
        put(o, ", lateness %.9g s", (double)emit->lateness_ns / 1e9);
}

static void put_aggregate(const struct out *o, const struct phys_node *node)
{
    const struct aggregate_node *a = &node->aggregate;
    const struct mill_schema *input = &node->inputs[0]->schema;

    put(o, " by ");
    for (uint32_t i = 0; i < a->key_count; i++)
        put(o, "%s%s", i > 0 ? ", " : "", input->fields[a->keys[i]].name);
    if (a->key_count == 0)
        put(o, "nothing");
    put(o, a->outs != NULL || node->kind == NODE_PREAGG ? " of " : " of rows");
    for (uint32_t i = 0; i < a->agg_count; i++)
        put(o, "%s%s(%s%s)", i > 0 ? ", " : "", a->aggs[i].name,
            a->aggs[i].distinct ? "DISTINCT " : "",
            a->aggs[i].arg < 0 ? "*" : input->fields[a->aggs[i].arg].name);
    if (a->view_count > 0)
        put(o, " in slices of %lld shared by %u queries", (long long)plan_slice_width(a),
            a->view_count);
    else if (node->kind == NODE_COUNT_WINDOW)
        put_rows_window(o, &a->window);
    else if (node->kind != NODE_GROUP && node->kind != NODE_CHANGES)
        put_window(o, &a->window);
    put_emit(o, &a->emit);
    if (node->why != NULL)
        put(o, "; state: %s", node->why);
}

static void put_match(const struct out *o, const struct phys_node *node)
{
    const struct match_node *m = node->match;
    const struct mill_schema *input = &node->inputs[0]->schema;
    char text[1024];

    for (uint32_t i = 0; i < m->key_count; i++)
        put(o, "%s%s", i == 0 ? " by " : ", ", input->fields[m->keys[i]].name);
    put(o, " in order of %s", m->time >= 0 ? input->fields[m->time].name : "processing time");
    for (uint32_t i = 0; i < m->order_count; i++)
        put(o, ", %s%s", input->fields[m->orders[i].column].name,
            m->orders[i].descending ? " DESC" : "");
    put(o, " pattern (%s)", m->pattern.text);
    if (m->within > 0)
        put(o, " within %lld", (long long)m->within);
    put(o, " of %s per match", m->all_rows ? "all rows" : "one row");
    for (uint32_t v = 0; v < m->variable_count; v++) {
        const struct match_define *d = &m->defines[v];

        if (d->column >= 0)
            put(o, "; %s as the row says", m->variables[v]);
        else if (d->condition != NULL)
            put(o, "; %s where %s", m->variables[v],
                expr_text(d->condition, &m->define_schema, text, sizeof text));
    }
    put(o, "; state: %s", node->why);
}

static bool takes_partials(const struct phys_node *node)
{
    return node->kind == NODE_EXCHANGE && node->inputs[0]->kind == NODE_PREAGG &&
           node->schema.fields == node->inputs[0]->schema.fields;
}

static bool has_no_delay(const struct phys_node *node)
{
    if (node->kind == NODE_SOURCE)
        return node->source.watermark.column >= 0 && node->source.watermark.delay == 0;
    for (uint32_t i = 0; i < node->input_count; i++)
        if (has_no_delay(node->inputs[i]))
            return true;
    return false;
}

static uint32_t consumers(const struct phys_plan *plan, const struct phys_node *node)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < plan->node_count; i++)
        for (uint32_t k = 0; k < plan->nodes[i]->input_count; k++)
            count += plan->nodes[i]->inputs[k] == node;
    return node->kind == NODE_PREAGG ? count - node->late_to_count : count;
}

/* Operators that need rows in time order call a row late at the watermark itself. */
static void put_warnings(const struct out *o, const struct phys_node *node)
{
    const bool by_time =
        (node->kind == NODE_COUNT_WINDOW && !node->aggregate.window.processing_time) ||
        (node->kind == NODE_MATCH && node->match->time >= 0);

    if (by_time && has_no_delay(node))
        put(o, "; warning: the watermark has no delay, so a second row of the same time is late");
}

static void put_join(const struct out *o, const struct phys_node *node)
{
    static const char *const types[] =
        {[JOIN_TYPE_INNER] = "inner", [JOIN_TYPE_LEFT] = "left", [JOIN_TYPE_RIGHT] = "right",
         [JOIN_TYPE_FULL] = "full",   [JOIN_TYPE_SEMI] = "semi", [JOIN_TYPE_ANTI] = "anti"};
    const struct mill_schema *left = &node->inputs[0]->schema, *right = &node->inputs[1]->schema;
    const struct join_node *join = node->join;
    struct mill_field *fields = NULL;
    char text[1024];

    put(o, " %s", types[join->type]);
    for (uint32_t k = 0; k < join->key_count; k++)
        put(o, "%s%s %s %s", k == 0 ? " on " : " AND ", left->fields[join->keys[0][k]].name,
            join->null_safe[k] ? "IS NOT DISTINCT FROM" : "=",
            right->fields[join->keys[1][k]].name);
    if (join->residual != NULL)
        fields = arena_array(o->arena, struct mill_field, left->field_count + right->field_count);
    if (fields != NULL) {
        const struct mill_schema both = {left->field_count + right->field_count, fields};

        memcpy(fields, left->fields, left->field_count * sizeof *fields);
        memcpy(fields + left->field_count, right->fields, right->field_count * sizeof *fields);
        put(o, " where %s", expr_text(join->residual, &both, text, sizeof text));
    }
    if (node->why != NULL)
        put(o, "; %s", node->why);
}

static void put_node(const struct out *o, const struct phys_node *node, uint32_t depth)
{
    put(o, "%*s%s[%u] stage %u", (int)depth * 2, "", node_traits[node->kind].name, node->id,
        node->stage);
    if (o->shown[node->id]) {
        put(o, " as above\n");
        return;
    }
    o->shown[node->id] = true;
    switch (node->kind) {
    case NODE_SOURCE: put_source(o, node); break;
    case NODE_CALC: put_calc(o, node); break;
    case NODE_PREAGG:
    case NODE_WINDOW:
    case NODE_SESSION:
    case NODE_COUNT_WINDOW:
    case NODE_CHANGES:
    case NODE_WINDOW_CHANGES:
    case NODE_GROUP: put_aggregate(o, node); break;
    case NODE_JOIN:
    case NODE_INTERVAL_JOIN:
    case NODE_WINDOW_JOIN:
    case NODE_TEMPORAL_JOIN:
    case NODE_LOOKUP_JOIN:
    case NODE_ASOF_JOIN: put_join(o, node); break;
    case NODE_MATCH: put_match(o, node); break;
    case NODE_VIEW: put_window(o, &node->aggregate.window); break;
    case NODE_EXCHANGE:
        if (node->inputs[0]->kind == NODE_PREAGG)
            put(o, " of %s", takes_partials(node) ? "partials" : "rows");
        if (node->exchange.stays || node->exchange.copies) {
            put(o, node->exchange.stays ? " within its shard" : " to every shard");
            break;
        }
        if (node->exchange.key_count == 0)
            put(o, " to one shard");
        for (uint32_t i = 0; i < node->exchange.key_count; i++)
            put(o, "%s%s", i == 0 ? " by " : ", ",
                node->schema.fields[node->exchange.keys[i]].name);
        break;
    case NODE_SINK:
        put(o, " %s: ", node->sink.table);
        put_columns(o, node, NULL);
        break;
    default:
        if (node->why != NULL)
            put(o, "; %s", node->why);
    }
    if (node->updating && node->kind != NODE_EXCHANGE && node->kind != NODE_CALC)
        put(o, "; rows change");
    put_warnings(o, node);
    if (consumers(o->plan, node) > 1)
        put(o, "; %s once for %u operators", node->kind == NODE_SOURCE ? "read" : "computed",
            consumers(o->plan, node));
    put(o, "\n");
    if (takes_partials(node)) /* its input stands above, below the rows */
        return;
    for (uint32_t i = 0; i < node->input_count; i++)
        put_node(o, node->inputs[i], depth + 1);
}

static void label_add(char *to, size_t room, const char *before, const char *text)
{
    const size_t used = strlen(to);

    snprintf(to + used, room - used, "%s%s", before, text);
}

const char *node_label(const struct phys_node *node, char *to, size_t room)
{
    const bool grouped = node->kind == NODE_PREAGG || node->kind == NODE_WINDOW ||
                         node->kind == NODE_SESSION || node->kind == NODE_COUNT_WINDOW ||
                         node->kind == NODE_GROUP || node->kind == NODE_CHANGES ||
                         node->kind == NODE_WINDOW_CHANGES;

    snprintf(to, room, "%s[%u]", node_traits[node->kind].name, node->id);
    if (node->kind == NODE_SOURCE)
        label_add(to, room, " ", node->source.table);
    if (node->kind == NODE_SINK)
        label_add(to, room, " ", node->sink.table);
    for (uint32_t i = 0; grouped && i < node->aggregate.key_count; i++)
        label_add(to, room, i == 0 ? " by " : ", ",
                  node->inputs[0]->schema.fields[node->aggregate.keys[i]].name);
    return to;
}

void plan_explain(const struct phys_plan *plan, struct arena *arena, plan_text text, void *user)
{
    const struct out o = {text, user, plan, arena, arena_array(arena, bool, plan->node_count + 1)};

    for (uint32_t i = 0; o.shown != NULL && i < plan->node_count; i++)
        if (plan->nodes[i]->kind == NODE_SINK)
            put_node(&o, plan->nodes[i], 0);
}
