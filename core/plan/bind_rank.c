/* core/plan/bind_rank.c - Top-N and deduplication: a rank in a sub-query, and a condition on it one level above.
 *
 * A SELECT with one ROW_NUMBER, RANK or DENSE_RANK makes a RANK node without a limit; its column of the rank carries the node with it. The
 * first WHERE that bounds the column from above sets the limit, and so says how the node works. A node that gets none is an
 * OVER aggregation after all.
 */
#include "core/expr/functions.h"
#include "core/ops/over.h"
#include "core/ops/rank.h"
#include "core/plan/bind_over.h"

#include <string.h>

/* ---- the node ---- */

static int32_t window_key(const struct relation *r, const struct over_group *g,
                          enum column_role role)
{
    for (uint32_t i = 0; i < g->key_count; i++)
        if (g->keys[i]->kind == EXPR_COLUMN && r->columns[g->keys[i]->index].role == role)
            return (int32_t)g->keys[i]->index;
    return -1;
}

/* Only rows that leave in time order have time attributes; results of a window have its time. */
static void drop_times(struct relation *r, bool windowed)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (windowed && r->columns[i].role == ROLE_WINDOW_TIME)
            continue;
        r->columns[i].rowtime = r->columns[i].proctime = false;
    }
}

struct phys_node *rank_make(struct planner *p, struct relation *r, const struct over_group *g,
                            enum over_function function, struct over_bound *bound)
{
    struct rank_node *rank = arena_new(p->arena, struct rank_node);
    struct over_input *in = over_input_new(p, r->node, 2 * OVER_PARTS_MAX);
    const uint32_t given = over_input_given(in);
    struct mill_field *fields = arena_array(p->arena, struct mill_field, given + 1);
    uint32_t *keys = arena_array(p->arena, uint32_t, g->key_count + 1);
    struct phys_node *node, *exchange;

    *rank = (struct rank_node){.function = (enum rank_function)function,
                               .event_time = g->event_time,
                               .processing_time = g->processing_time,
                               .as_it_comes = g->processing_time,
                               .limit = INT64_MAX,
                               .time = -1,
                               .time_type = g->time_type,
                               .window_end = -1,
                               .given = given,
                               .key_count = g->key_count};
    for (uint32_t i = 0; i < g->key_count; i++)
        keys[i] = over_input_column(p, in, g->keys[i]);
    rank->keys = keys;
    rank->later_wins = g->processing_time && g->descending[0];
    if (!g->processing_time) {
        rank->order = over_sort_columns(p, in, g);
        rank->order_count = g->order_count;
    }
    if (window_key(r, g, ROLE_WINDOW_START) >= 0)
        rank->window_end = window_key(r, g, ROLE_WINDOW_END);
    if (rank->window_end >= 0)
        rank->local = r->columns[rank->window_end].local;
    memcpy(fields, r->node->schema.fields, given * sizeof *fields);
    fields[given] = (struct mill_field){"rank", bound->type};
    bound->column = given;
    over_input_plan(p, r, in);
    exchange = plan_exchange(p, r->node, keys, g->key_count);
    node = plan_node(p, NODE_RANK, &exchange, 1);
    node->schema = (struct mill_schema){given + 1, fields};
    node->rank = rank;
    node->line = g->at.line;
    node->column = g->at.column;
    r->node = node;
    if (rank->later_wins || g->order_count != 1 || (!g->event_time && !g->processing_time) ||
        g->descending[0] || rank->window_end >= 0)
        drop_times(r, rank->window_end >= 0);
    return node;
}

/* ---- the limit ---- */

static const char *why(struct planner *p, const struct rank_node *rank, bool changelog)
{
    const char *ttl = !changelog && rank->how != RANK_FIRST && rank->how != RANK_FIRST_NOW
                          ? ", until the end of the input"
                      : rank->ttl_us > 0 ? ", until 'table.exec.state.ttl' has passed"
                                         : ", as long as the query runs";

    switch (rank->how) {
    case RANK_FIRST:
        return arena_format(p->arena,
                            "the first row of each key, when the watermark has reached it; state: "
                            "one entry per key%s",
                            ttl);
    case RANK_FIRST_NOW:
        return arena_format(p->arena,
                            "the first row of each key that comes; state: one entry per key%s",
                            ttl);
    case RANK_WINDOW:
        return arena_format(p->arena,
                            "the first %lld of each key and window; state: these, dropped when the "
                            "window has fired",
                            (long long)rank->limit);
    default:
        return arena_format(p->arena, "the first %lld of each key%s; state: these%s%s",
                            (long long)rank->limit, rank->later_wins ? ", the latest first" : "",
                            changelog ? "" : ", given at the end", ttl);
    }
}

/* With its limit it is known what the node is. */
static void decide(struct planner *p, struct relation *r, struct phys_node *node)
{
    struct rank_node *rank = (struct rank_node *)node->rank;
    const bool input_changes = node->inputs[0]->updating;
    const bool one =
        rank->limit == 1 && rank->function == RANK_ROW_NUMBER && rank->order_count <= 1;
    const bool down = rank->order_count > 0 && rank->order[0].descending;

    rank->how = RANK_TOP;
    node->updating = node->changelog = false;
    if (one && rank->event_time && down)
        rank->later_wins = true;
    if (input_changes)
        ;
    else if (rank->window_end >= 0)
        rank->how = RANK_WINDOW;
    else if (one && rank->event_time && !down)
        rank->how = RANK_FIRST;
    else if (one && rank->processing_time && !rank->later_wins)
        rank->how = RANK_FIRST_NOW;
    if (rank->how == RANK_FIRST) {
        rank->time = (int32_t)rank->order[0].column;
        rank->time_type = rank->order[0].type;
        node->rowtime = rank->time;
    } else if (rank->how == RANK_WINDOW) {
        rank->time_type = node->inputs[0]->schema.fields[rank->window_end].type;
    } else if (rank->how == RANK_TOP) {
        drop_times(r, false);
        node->changelog = plan_changelog(p, node->inputs[0]) || input_changes;
    }
    if (node->changelog || rank->how == RANK_FIRST || rank->how == RANK_FIRST_NOW)
        rank->ttl_us = plan_changelog(p, node->inputs[0]) ? plan_state_ttl(p) : 0;
    node->reads_clock = rank->ttl_us > 0;
    node->why = why(p, rank, node->changelog);
    for (struct phys_node *above = r->node; node->changelog; above = above->inputs[0]) {
        plan_updating(above,
                      arena_format(p->arena, "the Top-N at %u:%u", node->line, node->column));
        if (above == node)
            break;
    }
}

/* The open RANK node whose rank the column is, with nothing but projections and filters above it; or NULL. */
static struct phys_node *rank_below(const struct planner *p, const struct relation *r,
                                    const struct expr *e)
{
    struct phys_node *node, *at = r->node;
    bool seen = e->kind == EXPR_COLUMN && e->index < r->count;

    for (const struct over_bound *b = p->overs; b != NULL; b = b->next) /* in QUALIFY */
        seen = seen || (e->kind == EXPR_COLUMN && e->index == b->column);
    if (!seen)
        return NULL;
    node = r->columns[e->index].rank;
    while (node != NULL && at != node && at->kind == NODE_CALC)
        at = at->inputs[0];
    return node != NULL && at == node && node->rank->how == RANK_OPEN ? node : NULL;
}

/* column <op> literal, either way round. */
static bool comparison(const struct expr *e, const struct expr **column, char *op, bool *equal,
                       int64_t *value)
{
    const char *name = e->kind == EXPR_CALL && e->arg_count == 2 ? e->function->name : "";
    bool turned;

    if (strcmp(name, "<") != 0 && strcmp(name, "<=") != 0 && strcmp(name, ">") != 0 &&
        strcmp(name, ">=") != 0 && strcmp(name, "=") != 0)
        return false;
    turned = e->args[0]->kind == EXPR_LITERAL;
    *column = e->args[turned ? 1 : 0];
    *equal = name[0] == '=' || name[1] == '=';
    *op = name[0] == '=' ? '=' : (name[0] == '<') != turned ? '<' : '>';
    return type_is_integer(&e->args[turned ? 0 : 1]->type) &&
           expr_literal_i64(e->args[turned ? 0 : 1], value);
}

bool rank_takes(struct planner *p, struct relation *r, const struct expr *e)
{
    const struct expr *column;
    struct phys_node *node;
    struct rank_node *rank;
    int64_t value = 0;
    bool equal;
    char op;

    if (e->kind == EXPR_AND) { /* BETWEEN: a lower bound stays a filter */
        const bool first = rank_takes(p, r, e->args[0]), second = rank_takes(p, r, e->args[1]);

        return first && second;
    }
    if (!comparison(e, &column, &op, &equal, &value) || op == '>')
        return false;
    node = rank_below(p, r, column);
    if (node == NULL)
        return false;
    rank = (struct rank_node *)node->rank;
    if (op == '<' && !equal)
        value--;
    if (value < 1)
        return false;
    rank->limit = value;
    decide(p, r, node);
    return op == '<' || value == 1;
}

/* ---- ranks without a limit ---- */

static void become_over(struct planner *p, struct phys_node *node)
{
    const struct rank_node *rank = node->rank;
    struct over_node *over = arena_new(p->arena, struct over_node);
    struct over_call *call = arena_new(p->arena, struct over_call);
    const bool in_time =
        (rank->event_time && rank->order_count == 1 && !rank->order[0].descending) ||
        (rank->processing_time && !rank->later_wins);

    if (!in_time && !node->updating &&
        (plan_changelog(p, node->inputs[0]) || rank->processing_time))
        plan_fail(p, (struct ast_at){node->line, node->column}, MILL_E_UNSUPPORTED,
                  "a rank in this order needs an upper bound over input without an end, one level "
                  "above: SELECT ... FROM (SELECT "
                  "..., ROW_NUMBER() OVER (...) AS n FROM ...) WHERE n <= 10");
    *call = (struct over_call){.function = (enum over_function)rank->function,
                               .out = rank->given,
                               .frame = -1,
                               .fallback = -1,
                               .type = type_make(MILL_BIGINT)};
    *over = (struct over_node){.keys = rank->keys,
                               .key_count = rank->key_count,
                               .time = in_time && rank->event_time ? (int32_t)rank->order[0].column
                                                                   : -1,
                               .time_type = rank->time_type,
                               .at_end = !in_time,
                               .order = rank->order,
                               .order_count = rank->order_count,
                               .calls = call,
                               .call_count = 1,
                               .given = rank->given};
    over->ttl_us = plan_changelog(p, node->inputs[0]) ? plan_state_ttl(p) : 0;
    node->kind = NODE_OVER;
    node->over = over;
    node->rowtime = over->time;
    node->reads_clock = over->ttl_us > 0 || (in_time && over->time < 0);
    node->why = over->at_end ? "sorted at the end of the input; state: all rows"
                             : "rows are numbered in time order; state: one entry per key, as long "
                               "as the query runs";
    if (!node->updating)
        return;
    if (rank->processing_time)
        plan_fail(p, (struct ast_at){node->line, node->column}, MILL_E_UNSUPPORTED,
                  "a rank in the order of processing time cannot take rows that change, and %s "
                  "changes rows that it has given",
                  node->updating_by);
    over->at_end = true;
    over->order = rank->order;
    over->order_count = rank->order_count;
    over->time = node->rowtime = -1;
    node->reads_clock = over->ttl_us > 0;
    node->kind = NODE_OVER_VIEW;
    node->changelog = true;
    node->why = over_view_why(p, node);
}

void plan_ranks(struct planner *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->nodes[i]->kind == NODE_RANK && p->nodes[i]->rank->how == RANK_OPEN)
            become_over(p, p->nodes[i]);
}
