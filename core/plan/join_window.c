/* core/plan/join_window.c - planning of a window join: rows of both sides in windows with the same bounds. */
#include "core/plan/join.h"

/* The windows that the rows of @node are in; NULL: not known. */
static const struct window_spec *windows_of(const struct phys_node *node)
{
    for (;;) {
        switch (node->kind) {
        case NODE_ASSIGN:
        case NODE_SESSION:
        case NODE_COUNT_WINDOW: return &node->aggregate.window;
        case NODE_WINDOW:
        case NODE_WINDOW_CHANGES:
            if (!node->aggregate.window.attached)
                return &node->aggregate.window;
            break;
        default: break;
        }
        if (node->input_count == 0)
            return NULL;
        node = node->inputs[0];
    }
}

static const char *windows_text(struct planner *p, const struct window_spec *w)
{
    static const char *const kinds[] = {"TUMBLE", "HOP", "CUMULATE", "SESSION", "ROWS"};
    const double second = type_is_nanos(&w->time_type) ? 1e9 : 1e6;
    const char *text =
        arena_format(p->arena, "%s of %.9g s", kinds[w->kind], (double)w->size / second);

    if (w->kind == WINDOW_HOP || w->kind == WINDOW_CUMULATE)
        text = arena_format(p->arena, "%s every %.9g s", text, (double)w->slide / second);
    if (w->offset != 0)
        text =
            arena_format(p->arena, "%s with an offset of %.9g s", text, (double)w->offset / second);
    return w->processing_time ? arena_format(p->arena, "%s of processing time", text) : text;
}

static bool same_spec(const struct window_spec *a, const struct window_spec *b)
{
    return a->kind == b->kind && a->size == b->size && a->slide == b->slide &&
           a->offset == b->offset && a->unit == b->unit &&
           a->processing_time == b->processing_time && a->local_zone == b->local_zone &&
           type_is_nanos(&a->time_type) == type_is_nanos(&b->time_type);
}

static void check_windows(struct planner *p, const struct join_parts *j,
                          const struct window_spec *a, const struct window_spec *b)
{
    if (a != NULL && b != NULL && !same_spec(a, b))
        plan_fail(p, j->table->at, MILL_E_TYPE,
                  "a window join needs the same windows on both sides, the left has %s, the right "
                  "%s",
                  windows_text(p, a), windows_text(p, b));
}

static void set_bounds(struct planner *p, const struct join_parts *j, struct join_node *join)
{
    const struct window_spec *spec = windows_of(j->side[0].node);

    check_windows(p, j, spec, windows_of(j->side[1].node));
    for (uint32_t k = 0; k < j->key_count; k++)
        for (uint32_t s = 0; s < 2 && j->keys[0][k] < j->side[0].count; s++) {
            const enum column_role role = j->side[0].columns[j->keys[0][k]].role;

            if (role == ROLE_WINDOW_START)
                join->start[s] = j->keys[s][k];
            if (role == ROLE_WINDOW_END && j->keys[1][k] < j->side[1].count &&
                j->side[1].columns[j->keys[1][k]].role == role)
                join->end[s] = j->keys[s][k];
        }
    const struct scope_column *end = &j->side[0].columns[join->end[0]];

    join->local_zone = end->local;
    join->time_type = spec != NULL ? spec->time_type : end->type;
    join->unit = spec != NULL ? spec->unit : type_time_unit(&end->type);
    join->processing_time = spec != NULL && spec->processing_time;
}

struct relation plan_window_join(struct planner *p, struct join_parts *j)
{
    struct relation out;
    struct join_node *join;
    struct phys_node *node;

    node = join_make(p, j, NODE_WINDOW_JOIN, &join, &out);
    set_bounds(p, j, join);
    node->why = "state: rows of both sides until the watermark closes their window";
    for (uint32_t i = 0; i < out.count; i++)
        out.columns[i].rowtime = out.columns[i].rowtime && out.columns[i].role == ROLE_WINDOW_TIME;
    return out;
}
