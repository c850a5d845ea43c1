/* core/plan/join_temporal.c - planning of a temporal join (FOR SYSTEM_TIME AS OF a row time). */
#include "core/ops/rank.h"
#include "core/plan/join.h"

/* Columns of @node that tell its rows apart, from below calcs that pass them. False: none are known. */
static bool unique_below(const struct phys_node *node, uint32_t *columns, uint32_t *count)
{
    uint32_t below[64];

    if (node->unique_count > 0 && node->unique_count <= COUNT_OF(below)) {
        memcpy(columns, node->unique, node->unique_count * sizeof *columns);
        *count = node->unique_count;
        return true;
    }
    if (node->kind != NODE_CALC || !unique_below(node->inputs[0], below, count))
        return false;
    for (uint32_t i = 0; i < *count; i++) {
        uint32_t c = 0;

        if (node->calc.project == NULL) {
            columns[i] = below[i];
            continue;
        }
        while (c < node->calc.project_count && (node->calc.project[c]->kind != EXPR_COLUMN ||
                                                node->calc.project[c]->index != below[i]))
            c++;
        if (c == node->calc.project_count)
            return false;
        columns[i] = c;
    }
    return true;
}

void lookup_key(struct join_parts *j)
{
    if (!unique_below(j->side[1].node, j->unique, &j->unique_count))
        j->unique_count = 0;
}

static const char *right_name(const struct join_parts *j)
{
    const struct ast_table *t = j->table->right;

    return t->kind == AST_TABLE_NAME ? t->name.parts[t->name.count - 1]
           : t->alias != NULL        ? t->alias
                                     : "the right side";
}

/* A filter between changes and the join would hide that a row no longer passes it. */
static void check_filters(struct planner *p, const struct join_parts *j)
{
    for (const struct phys_node *n = j->side[1].node; n->updating && n->kind == NODE_CALC;
         n = n->inputs[0])
        if (n->calc.filter != NULL)
            plan_fail(p, j->table->at, MILL_E_UNSUPPORTED,
                      "%s filters rows that change (%s): join the whole table and put the "
                      "condition behind the join",
                      right_name(j), n->updating_by);
}

/* ---- versioned views: the last row of each key, in event time ---- */

/* ROW_NUMBER() OVER (PARTITION BY k ORDER BY t DESC) = 1 below projections, or NULL. */
static struct phys_node *last_rows_below(struct phys_node *node)
{
    while (node->kind == NODE_CALC)
        node = node->inputs[0];
    return node->kind == NODE_RANK && node->rank->how == RANK_TOP && node->rank->limit == 1 &&
                   node->rank->function == RANK_ROW_NUMBER && node->rank->later_wins &&
                   node->rank->event_time && node->rank->order_count == 1 &&
                   !node->inputs[0]->updating
               ? node
               : NULL;
}

/* The column of @node that is column @below of @rank; -1: none is. */
static int32_t column_above(const struct phys_node *node, const struct phys_node *rank,
                            uint32_t below)
{
    int32_t c;

    if (node == rank)
        return (int32_t)below;
    c = column_above(node->inputs[0], rank, below);
    if (c < 0 || node->calc.project == NULL)
        return c;
    for (uint32_t i = 0; i < node->calc.project_count; i++)
        if (node->calc.project[i]->kind == EXPR_COLUMN &&
            node->calc.project[i]->index == (uint32_t)c)
            return (int32_t)i;
    return -1;
}

/* Each row of its input is a version of its key, from its time on: the join needs no deduplication below it. */
static void take_versions(struct planner *p, struct join_parts *j, struct phys_node *rank)
{
    const struct rank_node spec = *rank->rank;
    struct relation *right = &j->side[1];
    const int32_t time = column_above(right->node, rank, spec.order[0].column);
    const struct mill_type bigint = {.kind = MILL_BIGINT, .not_null = true};
    struct expr **project = arena_array(p->arena, struct expr *, spec.given + 1);
    uint32_t *unique = arena_array(p->arena, uint32_t, spec.key_count + 1);

    if (time < 0)
        plan_fail(p, j->table->at, MILL_E_TYPE,
                  "a temporal join with the last row of each key needs the time that it is "
                  "ordered by among the columns of %s",
                  right_name(j));
    for (uint32_t i = 0; i < spec.given; i++)
        project[i] = expr_column(&p->session, i, &rank->schema.fields[i].type,
                                 (struct expr_place){rank->line, rank->column});
    project[spec.given] =
        expr_i64(&p->session, 1, &bigint, (struct expr_place){rank->line, rank->column});
    memcpy(unique, spec.keys, spec.key_count * sizeof *unique);
    rank->updating = false;
    for (struct phys_node *n = right->node; n != rank; n = n->inputs[0]) {
        if (n->calc.filter != NULL)
            plan_fail(p, j->table->at, MILL_E_UNSUPPORTED,
                      "%s filters the last rows of keys: join all of them and put the condition "
                      "behind the join",
                      right_name(j));
        n->updating = false;
    }
    rank->kind = NODE_CALC;
    rank->calc = (struct calc_node){.project = project, .project_count = spec.given + 1};
    rank->unique = unique;
    rank->unique_count = spec.key_count;
    rank->changelog = rank->reads_clock = false;
    rank->why = "each row is a version of its key";
    right->columns[time].rowtime = true;
}

void temporal_key(struct planner *p, struct join_parts *j)
{
    const struct relation *right = &j->side[1];
    struct phys_node *last = last_rows_below(right->node);

    j->time[1] = -1;
    if (last != NULL)
        take_versions(p, j, last);
    for (uint32_t i = 0; i < right->count; i++)
        if (right->columns[i].rowtime)
            j->time[1] = (int32_t)i;
    if (j->time[1] < 0)
        plan_fail(p, j->table->at, MILL_E_TYPE,
                  "a temporal join needs a versioned table: %s has no event time: give it a "
                  "WATERMARK, or join it by processing time",
                  right_name(j));
    if (!unique_below(right->node, j->unique, &j->unique_count))
        plan_fail(p, j->table->at, MILL_E_TYPE,
                  "a temporal join needs a versioned table: %s has no key: give it a PRIMARY KEY "
                  "(...) NOT ENFORCED, or take the last row of each key (ROW_NUMBER() ... = 1)",
                  right_name(j));
    check_filters(p, j);
    if (j->side[0].node->updating)
        plan_fail(p, j->table->at, MILL_E_UNSUPPORTED,
                  "the left side of a temporal join must keep its rows, and %s changes them",
                  j->side[0].node->updating_by);
}

void join_check_times(struct planner *p, const struct join_parts *j, const char *what)
{
    const struct scope_column *l = &j->side[0].columns[j->time[0]];
    const struct scope_column *r = &j->side[1].columns[j->time[1]];
    char a[80], b[80];

    if (l->type.kind != r->type.kind || type_is_nanos(&l->type) != type_is_nanos(&r->type))
        plan_fail(p, j->table->at, MILL_E_TYPE,
                  "%s: the times are %s %s and %s %s, and must be of one kind and both of up to 6 "
                  "or both of more digits",
                  what, l->name, type_name(&l->type, a, sizeof a), r->name,
                  type_name(&r->type, b, sizeof b));
}

static void check_covered(struct planner *p, const struct join_parts *j)
{
    for (uint32_t i = 0; i < j->unique_count; i++)
        if (!j->covered[i])
            plan_fail(p, j->table->at, MILL_E_TYPE,
                      "%s needs an equality for every column of the PRIMARY KEY of %s, and has "
                      "none for %s",
                      join_text(p, j, "temporal "), right_name(j),
                      j->side[1].columns[j->unique[i]].name);
}

struct relation plan_temporal_join(struct planner *p, struct join_parts *j)
{
    struct join_node *join;
    struct relation out;
    struct phys_node *node;

    check_covered(p, j);
    join_check_times(p, j, join_text(p, j, "temporal "));
    if (j->type != JOIN_TYPE_INNER && j->type != JOIN_TYPE_LEFT)
        plan_fail(p, j->table->at, MILL_E_UNSUPPORTED,
                  "a temporal join is an inner or a LEFT JOIN");
    node = join_make(p, j, NODE_TEMPORAL_JOIN, &join, &out);
    join->time[0] = j->time[0];
    join->time[1] = j->time[1];
    join->time_type = j->side[0].columns[j->time[0]].type;
    join->unit = type_time_unit(&join->time_type);
    node->rowtime = j->time[0];
    node->updating = false; /* a row has met its version for good */
    node->why = arena_format(p->arena,
                             "of each key of %s the newest version that the watermark has passed "
                             "and all later ones; rows of the left until the watermark reaches "
                             "their time",
                             right_name(j));
    for (uint32_t i = j->side[0].count; i < out.count; i++)
        out.columns[i].rowtime = out.columns[i].proctime = false;
    return out;
}
