/* core/plan/updates.c - rows with kinds: where they come from, and who cannot take them. */
#include "core/plan/bind.h"

#include <stdio.h>
#include <strings.h>

bool plan_is_unbounded(const struct phys_node *node)
{
    for (uint32_t i = 0; i < node->input_count; i++)
        if (plan_is_unbounded(node->inputs[i]))
            return true;
    if (node->kind != NODE_SOURCE)
        return false;
    for (uint32_t i = 0; node->source.options != NULL && i < node->source.options->count; i++)
        if (strcmp(node->source.options->items[i].key, "source.monitor-interval") == 0)
            return true;
    return node->source.vtable != NULL && node->source.vtable->live;
}

bool plan_changelog(const struct planner *p, const struct phys_node *input)
{
    const char *mode = catalog_setting(p->catalog, "execution.runtime-mode");

    if (mode != NULL && strcasecmp(mode, "streaming") == 0)
        return true;
    if (mode != NULL && strcasecmp(mode, "batch") == 0)
        return false;
    return plan_is_unbounded(input);
}

int64_t plan_duration_ns(struct planner *p, const char *key)
{
    const char *text = catalog_setting(p->catalog, key);
    bool used;
    const struct option option = {key, text, 0, 0, &used};
    const struct options options = {&option, text != NULL, 0, 0, "SET"};
    int64_t ns = 0;

    if (option_duration_ns(&options, key, 0, &ns, p->error) != MILL_OK)
        longjmp(p->failed, 1);
    return ns;
}

int64_t plan_state_ttl(struct planner *p)
{
    const int64_t ns = plan_duration_ns(p, "table.exec.state.ttl");

    return ns > 0 && ns < 1000 ? 1 : ns / 1000;
}

void plan_updating(struct phys_node *node, const char *why)
{
    node->updating = true;
    node->updating_by = why;
}

/* Whether rows with kinds may go from an input into @node. */
static bool takes(const struct phys_node *node)
{
    if (node->kind == NODE_SINK && node->sink.vtable != NULL)
        return node->sink.vtable->takes_updates || node->sink.kinds_column;
    return node_traits[node->kind].takes_updates;
}

void plan_check_updates(struct planner *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        const struct phys_node *node = p->nodes[i];

        for (uint32_t k = 0; k < node->input_count; k++) {
            const struct phys_node *input = node->inputs[k];

            if (!input->updating || takes(node))
                continue;
            if (node->kind == NODE_SINK)
                plan_fail(
                    p, (struct ast_at){node->sink.options->line, node->sink.options->column},
                    MILL_E_UNSUPPORTED,
                    "table %s takes rows once and for all, and %s changes rows that it has "
                    "given: give the table 'changelog.column' = 'op', which says +I, -U, +U or "
                    "-D of each row, or SET 'execution.runtime-mode' = 'batch' for final rows "
                    "at "
                    "the end of the input",
                    node->sink.table, input->updating_by);
            plan_fail(p, (struct ast_at){node->line, node->column}, MILL_E_UNSUPPORTED,
                      "%s cannot take rows that change, and %s changes rows that it has given: SET "
                      "'execution.runtime-mode' = 'batch' gives final rows at the end of the input",
                      node_name(node), input->updating_by);
        }
    }
}
