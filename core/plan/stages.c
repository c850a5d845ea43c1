/* core/plan/stages.c - stages of the final plan: what hangs together between exchanges, and nothing else.
 *
 * A shard drives a stage as one: held up in one of its operators, it takes nothing more for the others. Two flows of rows that
 * have nothing to do with each other must not stand in one stage, or two shards may wait for each other: one is held up in
 * the first flow and owes the other its rows of the second, the other the reverse. The front alone is one stage whatever is in it.
 */
#include "core/plan/bind.h"

static uint32_t root_of(uint32_t *above, uint32_t node)
{
    while (above[node] != node)
        node = above[node] = above[above[node]];
    return node;
}

static void join(uint32_t *above, const struct phys_node *a, const struct phys_node *b)
{
    const uint32_t x = root_of(above, a->id), y = root_of(above, b->id);

    above[max_u32(x, y)] = min_u32(x, y);
}

/* Whether all that send to the flow have their numbers. */
static bool may_be_numbered(const struct planner *p, uint32_t *above, uint32_t root,
                            const uint32_t *numbers)
{
    for (uint32_t i = 0; i < p->count; i++) {
        const struct phys_node *node = p->nodes[i];

        for (uint32_t k = 0; k < node->input_count && root_of(above, i) == root; k++) {
            const struct phys_node *input = node->inputs[k];
            const uint32_t from = root_of(above, input->id);

            if (from != root && input->stage > 0 && numbers[from] == 0)
                return false;
        }
    }
    return true;
}

/* In the final order. */
void plan_stages(struct planner *p)
{
    uint32_t *above = arena_array(p->arena, uint32_t, p->count + 1);
    uint32_t *numbers = arena_array(p->arena, uint32_t, p->count + 1);
    uint32_t next = 1, left = 0;

    for (uint32_t i = 0; i < p->count; i++)
        above[i] = i;
    for (uint32_t i = 0; i < p->count; i++) {
        const struct phys_node *node = p->nodes[i];

        for (uint32_t k = 0; k < node->input_count; k++)
            if (node->inputs[k]->stage > 0 && node->inputs[k]->stage == node->stage)
                join(above, node, node->inputs[k]);
        for (uint32_t k = 0; k < node->late_to_count; k++)
            if (node->stage > 0 && node->late_to[k]->stage == node->stage)
                join(above, node, node->late_to[k]);
    }
    do { /* numbers ascend with what they depend on, and no two flows have the same */
        left = 0;
        for (uint32_t i = 0; i < p->count; i++) {
            if (p->nodes[i]->stage == 0 || root_of(above, i) != i || numbers[i] != 0)
                continue;
            if (may_be_numbered(p, above, i, numbers))
                numbers[i] = next++;
            else
                left++;
        }
    } while (left > 0);
    for (uint32_t i = 0; i < p->count; i++) {
        struct phys_node *node = p->nodes[i];

        if (node->stage > 0)
            node->stage = numbers[root_of(above, i)];
        if (node->kind == NODE_EXCHANGE)
            node->exchange.level = node->stage;
    }
}
