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

struct paths {
    struct planner *planner;
    struct stage_path *items;
    uint32_t count, room;
};

static void add_path(struct paths *paths, const struct stage_path *path)
{
    if (paths->count == paths->room) {
        const uint32_t room = max_u32(4, paths->room * 2);
        struct stage_path *items = arena_array(paths->planner->arena, struct stage_path, room);

        if (paths->count > 0)
            memcpy(items, paths->items, paths->count * sizeof *items);
        paths->items = items;
        paths->room = room;
    }
    paths->items[paths->count] = *path;
    for (uint32_t i = 0; i < path->level_count; i++)
        paths->items[paths->count].levels[i] = path->origin - path->levels[i];
    paths->count++;
}

/* The ways on which rows come to @node from the exchanges of its stage; @path is what lies behind it. */
static void find_paths(struct paths *paths, const struct phys_node *node, struct stage_path path)
{
    uint64_t earlier = 0;

    for (uint32_t i = 0; i < node->input_count; i++) {
        const struct phys_node *input = node->inputs[i];
        struct stage_path way = path;

        if (node_traits[node->kind].keys_results || node->keys_rows) {
            if (way.level_count == STAGE_LEVELS_MAX)
                plan_fail(paths->planner, (struct ast_at){node->line, node->column},
                          MILL_E_UNSUPPORTED,
                          "more than %u operators behind each other on the same keys",
                          STAGE_LEVELS_MAX);
            way.fires_first = false;
            way.level_ids[way.level_count] = node->id;
            way.level_ports[way.level_count] = (uint8_t)i;
            way.levels[way.level_count++] = way.origin; /* added behind it; see add_path() */
            way.number_count += node_traits[node->kind].keys_results || node->kind == NODE_ASSIGN;
        } else if (node_traits[node->kind].fires) {
            way.fires_first = true;
        }
        way.hides_firings = way.hides_firings || node->input_count > 1;
        if (node->port_origins != NULL) {
            way.origin += node->port_origins[i];
            way.waits_on |= earlier;
            earlier |= input->sources;
        }
        way.from = input->id;
        if (input->kind == NODE_EXCHANGE)
            add_path(paths, &way);
        else
            find_paths(paths, input, way);
    }
}

/* Whether rows need keys that tell those of one place apart: rows of several ports, where ties are broken by keys; copies of a row in
 * several windows, where results of rows are told apart. */
static bool keys_rows(const struct phys_node *node, bool in_time_order, bool keyed)
{
    if (node->kind == NODE_ASSIGN)
        return (in_time_order || keyed) && node->aggregate.window.kind != WINDOW_TUMBLE;
    return node->kind == NODE_UNION && node->input_count > 1 && in_time_order;
}

void plan_positions(struct planner *p)
{
    bool in_time_order = false, keyed = false;

    for (uint32_t i = 0; i < p->count; i++) {
        set_origins(p, p->nodes[i]);
        in_time_order = in_time_order || node_traits[p->nodes[i]->kind].in_time_order;
        keyed = keyed || node_traits[p->nodes[i]->kind].keys_results;
    }
    for (uint32_t i = 0; i < p->count; i++)
        p->nodes[i]->keys_rows = keys_rows(p->nodes[i], in_time_order, keyed);
    for (uint32_t i = 0; i < p->count; i++) {
        struct phys_node *node = p->nodes[i];

        if (node->kind == NODE_EXCHANGE) {
            struct paths paths = {.planner = p};

            find_paths(&paths, node, (struct stage_path){0});
            node->exchange.paths = paths.items;
            node->exchange.path_count = paths.count;
        }
    }
}
