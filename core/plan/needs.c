/* core/plan/needs.c - columns, and fields of ROWs, that somebody reads: from the sinks to the sources.
 *
 * What nobody reads is not computed, and sources need not decode it.
 */
#include "core/expr/functions.h"
#include "core/ops/join.h"
#include "core/ops/over.h"
#include "core/ops/match.h"
#include "core/ops/rank.h"
#include "core/ops/unnest.h"
#include "core/plan/bind.h"

/* Of one node's output. */
struct needs {
    bool *columns;
    bool **
        fields; /* per column: those below it, in preorder; columns[i] where one of them is needed */
    const struct mill_schema *schema;
};

static void need_column(struct needs *n, uint32_t i)
{
    n->columns[i] = true;
    memset(n->fields[i], true, type_fields_below(&n->schema->fields[i].type));
}

static void need_all(struct needs *n)
{
    for (uint32_t i = 0; i < n->schema->field_count; i++)
        need_column(n, i);
}

/* Column i of @own passes what column i of @n has. */
static void need_as(struct needs *n, const struct needs *own, uint32_t i)
{
    const uint32_t below = type_fields_below(&n->schema->fields[i].type);

    if (i >= own->schema->field_count || !own->columns[i])
        return;
    if (below != type_fields_below(&own->schema->fields[i].type)) {
        need_column(n, i);
        return;
    }
    n->columns[i] = true;
    for (uint32_t f = 0; f < below; f++)
        n->fields[i][f] = n->fields[i][f] || own->fields[i][f];
}

/* A column, or a field of a field ... of one: what stands below it in needs->fields; NULL: @e is something else. Marks
 * what it lies in. */
static bool *need_path(struct needs *n, const struct expr *e)
{
    const struct mill_type *row;
    bool *below;

    if (e->kind == EXPR_COLUMN) {
        n->columns[e->index] = true;
        return n->fields[e->index];
    }
    below = e->kind == EXPR_FIELD ? need_path(n, e->args[0]) : NULL;
    if (below == NULL)
        return NULL;
    row = &e->args[0]->type;
    for (uint32_t f = 0; f < e->index; f++)
        below += 1 + type_fields_below(&row->fields[f].type);
    *below = true;
    return below + 1;
}

/* Whether a ROW is NULL does not hang on its fields. */
static bool tests_null(const struct expr *e)
{
    return e->kind == EXPR_CALL && (strcmp(e->function->name, "IS NULL") == 0 ||
                                    strcmp(e->function->name, "IS NOT NULL") == 0);
}

static void need_expr(struct needs *n, const struct expr *e)
{
    bool *below;

    if (e == NULL)
        return;
    if (tests_null(e) && need_path(n, e->args[0]) != NULL)
        return;
    below = need_path(n, e);
    if (below != NULL)
        memset(below, true, type_fields_below(&e->type));
    for (uint32_t i = 0; below == NULL && i < e->arg_count; i++)
        need_expr(n, e->args[i]);
}

static void calc_needs(struct planner *p, struct phys_node *node, const struct needs *own,
                       struct needs *input)
{
    struct calc_node *calc = &node->calc;

    need_expr(input, calc->filter);
    for (uint32_t i = 0; i < node->schema.field_count; i++) {
        if (calc->project == NULL)
            need_as(input, own, i);
        else if (own->columns[i])
            need_expr(input, calc->project[i]);
        else if (calc->project[i]->kind != EXPR_COLUMN)
            calc->project[i] =
                expr_null(&p->session, &calc->project[i]->type, (struct expr_place){0, 0});
    }
}

static void aggregate_needs(const struct phys_node *node, struct needs *input)
{
    const struct aggregate_node *a = &node->aggregate;

    for (uint32_t i = 0; i < a->key_count; i++)
        need_column(input, a->keys[i]);
    for (uint32_t i = 0; i < a->agg_count; i++) {
        if (a->aggs[i].arg >= 0)
            need_column(input, (uint32_t)a->aggs[i].arg);
        if (a->aggs[i].filter >= 0)
            need_column(input, (uint32_t)a->aggs[i].filter);
    }
    if (a->window.time >= 0)
        need_column(input, (uint32_t)a->window.time);
    if (a->window.attached) {
        need_column(input, (uint32_t)a->window.start);
        need_column(input, (uint32_t)a->window.end);
    }
    if (a->late_output)
        need_all(input);
}

static struct needs no_needs(struct planner *p, const struct phys_node *node)
{
    const uint32_t n = node->schema.field_count;
    struct needs needs = {.columns = arena_array(p->arena, bool, n + 1),
                          .fields = arena_array(p->arena, bool *, n + 1),
                          .schema = &node->schema};

    for (uint32_t i = 0; i < n; i++)
        needs.fields[i] =
            arena_array(p->arena, bool, type_fields_below(&node->schema.fields[i].type) + 1);
    return needs;
}

/* Input columns that the operator computes with. */
static void over_read(const struct over_node *over, struct needs *input)
{
    for (uint32_t i = 0; i < over->order_count; i++)
        need_column(input, over->order[i].column);
    for (uint32_t f = 0; f < over->frame_count; f++)
        for (uint32_t w = 0; w < OVER_WAYS; w++)
            for (uint32_t i = 0; i < over->frames[f].counts[w]; i++) {
                const struct agg_spec *spec = &over->frames[f].specs[w][i];

                if (spec->arg >= 0)
                    need_column(input, (uint32_t)spec->arg);
                if (spec->filter >= 0)
                    need_column(input, (uint32_t)spec->filter);
            }
    for (uint32_t i = 0; i < over->call_count; i++) {
        if (over->calls[i].function == OVER_LAG || over->calls[i].function == OVER_LEAD)
            need_column(input, over->calls[i].arg);
        if (over->calls[i].fallback >= 0)
            need_column(input, (uint32_t)over->calls[i].fallback);
    }
}

static void over_needs(const struct phys_node *node, const struct needs *own, struct needs *input)
{
    const struct over_node *over = node->over;

    for (uint32_t i = 0; i < over->given; i++)
        need_as(input, own, i);
    for (uint32_t i = 0; i < over->key_count; i++)
        need_column(input, over->keys[i]);
    if (over->time >= 0)
        need_column(input, (uint32_t)over->time);
    over_read(over, input);
}

/* Of each row is kept what is read of it, and what is computed with. */
static void over_view_needs(struct planner *p, struct phys_node *node, const struct needs *own,
                            struct needs *input)
{
    struct over_node *over = (struct over_node *)node->over;
    struct needs kept = no_needs(p, node->inputs[0]);
    uint32_t *columns = arena_array(p->arena, uint32_t, input->schema->field_count + 1);

    over_read(over, &kept);
    for (uint32_t i = 0; i < over->given; i++)
        kept.columns[i] = kept.columns[i] || own->columns[i];
    over->kept_count = 0;
    for (uint32_t i = 0; i < input->schema->field_count; i++)
        if (kept.columns[i])
            columns[over->kept_count++] = i;
    over->kept = columns;
    over_needs(node, own, input);
}

/* Also what is kept of each row: what is read of it, and the order. */
static void rank_needs(struct planner *p, struct phys_node *node, const struct needs *own,
                       struct needs *input)
{
    struct rank_node *rank = (struct rank_node *)node->rank;

    rank->kept = arena_array(p->arena, uint32_t, rank->given + rank->order_count + 1);
    rank->kept_count = 0;
    rank->numbered = own->columns[rank->given];
    for (uint32_t i = 0; i < rank->given; i++) {
        need_as(input, own, i);
        if (own->columns[i])
            rank->kept[rank->kept_count++] = i;
    }
    for (uint32_t i = 0; i < rank->order_count; i++) {
        const uint32_t column = rank->order[i].column;

        need_column(input, column);
        if (column >= rank->given || !own->columns[column])
            rank->kept[rank->kept_count++] = column;
    }
    for (uint32_t i = 0; i < rank->key_count; i++)
        need_column(input, rank->keys[i]);
    if (rank->time >= 0)
        need_column(input, (uint32_t)rank->time);
    if (rank->window_end >= 0)
        need_column(input, (uint32_t)rank->window_end);
}

static void sort_needs(const struct phys_node *node, const struct needs *own, struct needs *input)
{
    for (uint32_t i = 0; i < node->schema.field_count; i++)
        need_as(input, own, i);
    for (uint32_t i = 0; i < node->sort->column_count; i++)
        need_column(input, node->sort->columns[i].column);
}

static void match_item_needs(const struct match_item *item, struct needs *input)
{
    if (item->kind == ITEM_VALUE)
        need_column(input, item->column);
    if (item->kind == ITEM_AGGREGATE && item->agg.arg >= 0)
        need_column(input, (uint32_t)item->agg.arg);
}

/* What conditions read, and what measures and rows that somebody reads do. */
static void match_needs(const struct phys_node *node, const struct needs *own, struct needs *input)
{
    const struct match_node *m = node->match;
    const uint32_t first = m->all_rows ? m->pass_count : m->key_count;

    for (uint32_t i = 0; i < m->key_count; i++)
        need_column(input, m->keys[i]);
    if (m->time >= 0)
        need_column(input, (uint32_t)m->time);
    for (uint32_t i = 0; i < m->order_count; i++)
        need_column(input, m->orders[i].column);
    for (uint32_t v = 0; v < m->variable_count; v++)
        if (m->defines[v].column >= 0)
            need_column(input, (uint32_t)m->defines[v].column);
    for (uint32_t i = 0; i < m->define_item_count; i++)
        match_item_needs(&m->define_items[i], input);
    for (uint32_t i = 0; m->all_rows && i < m->pass_count; i++)
        need_as(input, own, i);
    for (uint32_t i = 0; i < m->item_count; i++)
        if (own->columns[first + i])
            match_item_needs(&m->items[i], input);
}

static void source_needs(struct planner *p, struct phys_node *node, struct needs *own)
{
    struct source_node *s = &node->source;
    bool *wanted = (bool *)s->wanted;
    const bool **fields = arena_array(p->arena, const bool *, s->decoded.field_count + 1);
    uint32_t d = s->kinds_column;

    if (s->kinds_column)
        wanted[0] = true;
    if (s->watermark.column >= 0) {
        need_column(own, (uint32_t)s->watermark.column);
        need_expr(own, s->watermark.expression);
    }
    for (uint32_t i = 0; i < node->schema.field_count; i++)
        if (s->computed[i] != NULL && own->columns[i])
            need_expr(own, s->computed[i]);
    for (uint32_t i = 0; i < node->schema.field_count; i++) {
        if (s->computed[i] == NULL) {
            fields[d] = own->fields[i];
            wanted[d++] = own->columns[i];
        } else if (!own->columns[i]) {
            s->computed[i] =
                expr_null(&p->session, &s->computed[i]->type, (struct expr_place){0, 0});
        }
    }
    s->wanted_fields = fields;
}

static bool is_late_path(const struct phys_node *node)
{
    for (uint32_t i = 0; node->input_count == 1 && i < node->inputs[0]->late_to_count; i++)
        if (node->inputs[0]->late_to[i] == node)
            return true;
    return false;
}

/* Exchange, union: as their consumers; late rows have all of the input. */
static void passing_needs(const struct phys_node *node, const struct phys_node *from,
                          const struct needs *own, struct needs *input)
{
    if (from->kind == NODE_PREAGG || is_late_path(node))
        return;
    for (uint32_t k = 0; k < node->schema.field_count; k++)
        need_as(input, own, k);
    if (node->kind == NODE_EXCHANGE)
        for (uint32_t k = 0; k < node->exchange.key_count; k++)
            need_column(input, node->exchange.keys[k]);
}

/* Own columns of side @side that the results' consumers or the residual condition read. */
static void join_needs(struct phys_node *node, uint32_t side, const struct needs *own,
                       struct needs *input)
{
    struct join_node *join = (struct join_node *)node->join;
    const uint32_t first = side == 1 ? join->own[0] : 0;
    const uint32_t shift = side == 1 ? node->inputs[0]->schema.field_count : 0;
    const bool given = side == 0 || join->type < JOIN_TYPE_SEMI;

    join->kept_count[side] = 0;
    for (uint32_t c = 0; c < join->own[side]; c++) {
        const bool read = given && own->columns[first + c];
        const bool tested = join->residual != NULL && expr_reads(join->residual, shift + c);

        if (read || tested) {
            need_column(input, c);
            join->kept[side][join->kept_count[side]++] = c;
        }
    }
}

/* The same of a join on times or windows: what its consumers do not read has no values. */
static void time_join_needs(struct phys_node *node, uint32_t side, const struct needs *own,
                            struct needs *input)
{
    struct join_node *join = (struct join_node *)node->join;
    const uint32_t first = side == 1 ? join->own[0] : 0;
    const uint32_t shift = side == 1 ? node->inputs[0]->schema.field_count : 0;
    const bool given = side == 0 || join->type < JOIN_TYPE_SEMI;

    join->wanted = own->columns;
    for (uint32_t c = 0; c < input->schema->field_count; c++)
        if ((given && c < join->own[side] && own->columns[first + c]) ||
            (join->residual != NULL && expr_reads(join->residual, shift + c)))
            need_column(input, c);
    for (uint32_t k = 0; k < join->key_count; k++)
        need_column(input, join->keys[side][k]);
    if (join->time[side] >= 0 && !join->processing_time)
        need_column(input, (uint32_t)join->time[side]);
}

static void input_needs(struct planner *p, struct phys_node *node, uint32_t i,
                        const struct needs *own, struct needs *input)
{
    const struct phys_node *from = node->inputs[i];

    switch (node->kind) {
    case NODE_CALC: calc_needs(p, node, own, input); break;
    case NODE_ASSIGN:
        for (uint32_t k = 0; k < from->schema.field_count; k++)
            need_as(input, own, k);
        if (node->aggregate.window.time >= 0)
            need_column(input, (uint32_t)node->aggregate.window.time);
        break;
    case NODE_PREAGG: aggregate_needs(node, input); break;
    case NODE_WINDOW:
    case NODE_SESSION:
    case NODE_COUNT_WINDOW:
    case NODE_GROUP:
    case NODE_CHANGES:
    case NODE_WINDOW_CHANGES:
        if (i == 0) /* the other input brings partials: all of their columns */
            aggregate_needs(node, input);
        for (uint32_t k = 0; node->aggregate.outs == NULL && k < from->schema.field_count; k++)
            need_as(input, own, k); /* rows pass */
        break;
    case NODE_UNNEST:
        for (uint32_t k = 0; k < node->unnest->own; k++)
            need_as(input, own, k);
        need_column(input, node->unnest->column);
        break;
    case NODE_OVER: over_needs(node, own, input); break;
    case NODE_OVER_VIEW: over_view_needs(p, node, own, input); break;
    case NODE_RANK: rank_needs(p, node, own, input); break;
    case NODE_SORT:
    case NODE_LIMIT: sort_needs(node, own, input); break;
    case NODE_MATCH: match_needs(node, own, input); break;
    case NODE_UNION:
    case NODE_VIEW:
    case NODE_EXCHANGE: passing_needs(node, from, own, input); break;
    case NODE_TEMPORAL_JOIN:
    case NODE_ASOF_JOIN:
        if (node->join->time[i] >= 0)
            need_column(input, (uint32_t)node->join->time[i]);
        join_needs(node, i, own, input);
        break;
    case NODE_JOIN: join_needs(node, i, own, input); break;
    case NODE_INTERVAL_JOIN:
    case NODE_LOOKUP_JOIN:
    case NODE_WINDOW_JOIN: time_join_needs(node, i, own, input); break;
    default: need_all(input);
    }
}

void plan_needs(struct planner *p)
{
    struct needs *needs = arena_array(p->arena, struct needs, p->count + 1);

    for (uint32_t i = 0; i < p->count; i++)
        needs[i] = no_needs(p, p->nodes[i]);
    for (uint32_t k = p->count; k-- > 0;) {
        struct phys_node *node = p->nodes[k];

        for (uint32_t i = 0; i < node->input_count; i++)
            input_needs(p, node, i, &needs[k], &needs[node->inputs[i]->id]);
        if (node->kind == NODE_SOURCE)
            source_needs(p, node, &needs[k]);
    }
}
