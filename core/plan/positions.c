/* core/plan/positions.c - positions of row results: origins by port, and what an exchange may tell of them. */
#include "core/plan/bind.h"

/* An operator of several inputs takes a step's rows port by port: those of port k have origins behind those of port k - 1. */
static void set_origins(struct planner *p, struct phys_node *node)
{
    uint32_t *first;

    if (node->input_count == 0)
        node->origins = 1;
    for (uint32_t i = 0; i < node->input_count; i++)
        node->origins = max_u32(node->origins, node->inputs[i]->origins);
    if (!node_traits[node->kind].by_ports)
        return;
    first = arena_array(p->arena, uint32_t, node->input_count);
    node->origins = 0;
    for (uint32_t i = 0; i < node->input_count; i++) {
        first[i] = node->origins;
        node->origins += node->inputs[i]->origins;
    }
    node->port_origins = first;
}

static void wait_from(struct exchange_node *exchange, uint32_t origin)
{
    exchange->waits_origin = exchange->waits ? min_u32(exchange->waits_origin, origin) : origin;
    exchange->waits = true;
}

/* Follows the rows of @exchange, which leave @from, to the end of the stage. */
static void follow(const struct planner *p, struct exchange_node *exchange,
                   const struct phys_node *from, bool waited, uint32_t origin)
{
    for (uint32_t i = from->id + 1; i < p->count; i++) {
        const struct phys_node *node = p->nodes[i];

        for (uint32_t k = 0; k < node->input_count; k++) {
            const bool later = k > 0 && node->port_origins != NULL;

            if (node->inputs[k] != from)
                continue;
            if (later)
                wait_from(exchange, origin + node->port_origins[k]);
            if (node->kind != NODE_EXCHANGE && node->kind != NODE_SINK)
                follow(p, exchange, node, waited || later,
                       origin + (node->port_origins != NULL ? node->port_origins[k] : 0));
            else if (!waited && !later)
                exchange->passes = true;
        }
    }
}

void plan_positions(struct planner *p)
{
    bool in_time_order = false;

    for (uint32_t i = 0; i < p->count; i++) {
        set_origins(p, p->nodes[i]);
        in_time_order = in_time_order || node_traits[p->nodes[i]->kind].in_time_order;
    }
    for (uint32_t i = 0; i < p->count; i++) {
        struct phys_node *node = p->nodes[i];

        node->keys_rows = node->kind == NODE_UNION && node->input_count > 1 && in_time_order;
        if (node->kind == NODE_EXCHANGE)
            follow(p, &node->exchange, node, false, 0);
    }
}
