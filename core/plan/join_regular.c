/* core/plan/join_regular.c - planning of a regular join: both sides kept, and what is read before the rest. */
#include "core/plan/join.h"

/* Whether all its rows have come when its sources have ended: nothing waits for the end of the run. */
bool join_ends_with_sources(const struct phys_node *node)
{
    switch (node->kind) {
    case NODE_SOURCE:
    case NODE_VALUES:
    case NODE_CALC:
    case NODE_ASSIGN:
    case NODE_PREAGG:
    case NODE_WINDOW:
    case NODE_SESSION:
    case NODE_WINDOW_CHANGES:
    case NODE_UNION:
    case NODE_VIEW:
    case NODE_EXCHANGE: break;
    case NODE_JOIN:
        if (!node->changelog && node->join->type != JOIN_TYPE_INNER &&
            node->join->type != JOIN_TYPE_SEMI)
            return false;
        break;
    default: return false;
    }
    for (uint32_t i = 0; i < node->input_count; i++)
        if (!join_ends_with_sources(node->inputs[i]))
            return false;
    return true;
}

static const char *why_kept(const struct phys_node *node, bool changelog)
{
    if (node->join->ttl_us > 0)
        return "rows of both sides are kept for 'table.exec.state.ttl' from when they came";
    if (changelog)
        return "rows of both sides are kept as long as the query runs: SET "
               "'table.exec.state.ttl' to bound that";
    return "rows of a side are kept until the other side's input has ended";
}

struct relation plan_regular_join(struct planner *p, struct join_parts *j)
{
    struct scope_column *columns = arena_array(p->arena, struct scope_column, j->both.count + 1);
    const struct phys_node *left = j->side[0].node, *right = j->side[1].node;
    const bool changelog =
        left->updating || right->updating || plan_changelog(p, left) || plan_changelog(p, right);
    struct join_node *join;
    struct relation out;
    struct phys_node *node = join_make(p, j, NODE_JOIN, &join, &out);

    node->rowtime = -1;
    node->changelog = changelog;
    join->ttl_us = changelog ? plan_state_ttl(p) : 0;
    for (uint32_t s = 0; s < 2; s++)
        join->ends[s] = join_ends_with_sources(node->inputs[s]);
    if (changelog && (join_pads(j->type, 0) || join_pads(j->type, 1) || j->type == JOIN_TYPE_ANTI))
        plan_updating(node, join_text(p, j, "regular "));
    node->why = why_kept(node, changelog);
    /* rows meet at any time: times are values like others from here on */
    memcpy(columns, out.columns, out.count * sizeof *columns);
    for (uint32_t i = 0; i < out.count; i++) {
        columns[i].rowtime = columns[i].proctime = false;
        columns[i].role = ROLE_NONE;
    }
    out.columns = columns;
    return out;
}

/* ---- what is read first ---- */

/* Bytes of the files below @node; -1: not known. */
int64_t join_bytes_below(const struct planner *p, const struct phys_node *node)
{
    const struct env *env = p->catalog->env;
    struct env_stat about;
    int64_t sum = 0;

    if (node->kind == NODE_VALUES)
        return 0;
    if (node->kind == NODE_SOURCE) {
        for (uint32_t i = 0; node->source.options != NULL && i < node->source.options->count; i++)
            if (strcmp(node->source.options->items[i].key, "path") == 0 &&
                env->file.stat(env->self, node->source.options->items[i].value, &about) >= 0 &&
                about.is_regular)
                return (int64_t)about.bytes;
        return -1;
    }
    for (uint32_t i = 0; i < node->input_count; i++) {
        const int64_t bytes = join_bytes_below(p, node->inputs[i]);

        if (bytes < 0)
            return -1;
        sum += bytes;
    }
    return sum;
}

/* The side whose rows the other's should find there: its own unmatched rows must wait for the other side's end, and it should be
 * the smaller one. */
static uint32_t first_side(const struct planner *p, const struct phys_node *node)
{
    const enum join_type type = node->join->type;
    int64_t left, right;

    if (type == JOIN_TYPE_RIGHT)
        return 0;
    if (type != JOIN_TYPE_INNER && type != JOIN_TYPE_FULL)
        return 1;
    left = join_bytes_below(p, node->inputs[0]);
    right = join_bytes_below(p, node->inputs[1]);
    return left >= 0 && right >= 0 && left < right ? 0 : 1;
}

static void read_first(struct planner *p, uint64_t sources)
{
    for (uint32_t i = 0; i < p->count; i++)
        if ((p->nodes[i]->kind == NODE_SOURCE || p->nodes[i]->kind == NODE_VALUES) &&
            (p->nodes[i]->sources & ~sources) == 0)
            p->nodes[i]->read_first = true;
}

/* Whoever else reads a table that is read anew would get its rows again. */
static void check_reloads(struct planner *p, uint64_t sources)
{
    const struct phys_node *again = NULL;

    for (uint32_t i = 0; i < p->count; i++)
        if (p->nodes[i]->kind == NODE_SOURCE && p->nodes[i]->source.reload_us > 0 &&
            (p->nodes[i]->sources & sources) != 0)
            again = p->nodes[i];
    for (uint32_t i = 0; again != NULL && i < p->count; i++) {
        const struct phys_node *node = p->nodes[i];

        for (uint32_t k = 0; k < node->input_count; k++)
            if ((node->inputs[k]->sources & again->sources) != 0 && node->kind != NODE_CALC &&
                node->kind != NODE_EXCHANGE && (node->kind != NODE_LOOKUP_JOIN || k == 0))
                plan_fail(p, (struct ast_at){node->line, node->column}, MILL_E_UNSUPPORTED,
                          "table %s is read anew at intervals ('lookup.full-cache...'): it can "
                          "only be looked up in, as it is or filtered",
                          again->source.table);
    }
}

static void read_looked_up(struct planner *p, const struct phys_node *node)
{
    const uint64_t right = node->inputs[1]->sources;

    if ((node->inputs[0]->sources & right) != 0)
        plan_fail(p, (struct ast_at){node->line, node->column}, MILL_E_UNSUPPORTED,
                  "a lookup join cannot read one table on both sides: the right one is read before "
                  "the first row of the left");
    if (!plan_is_unbounded(node->inputs[1]))
        read_first(p, right);
    check_reloads(p, right);
}

void plan_read_first(struct planner *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->nodes[i]->kind == NODE_LOOKUP_JOIN)
            read_looked_up(p, p->nodes[i]);
    for (uint32_t i = 0; i < p->count; i++)
        switch (p->nodes[i]->kind) {
        case NODE_INTERVAL_JOIN:
        case NODE_WINDOW_JOIN:
        case NODE_TEMPORAL_JOIN:
        case NODE_ASOF_JOIN: return; /* those read their sides side by side */
        default: break;
        }
    for (uint32_t i = 0; i < p->count; i++) {
        const struct phys_node *node = p->nodes[i];
        uint32_t side;

        if (node->kind != NODE_JOIN || node->changelog)
            continue;
        side = first_side(p, node);
        if (node->join->ends[side] && (node->inputs[0]->sources & node->inputs[1]->sources) == 0)
            read_first(p, node->inputs[side]->sources);
    }
}
