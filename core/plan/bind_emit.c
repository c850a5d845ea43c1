/* core/plan/bind_emit.c - 'table.exec.emit.*': early and late results of windows. */
#include "core/plan/bind.h"

#include <strings.h>

static const char early_enabled[] = "table.exec.emit.early-fire.enabled";
static const char early_delay[] = "table.exec.emit.early-fire.delay";
static const char late_enabled[] = "table.exec.emit.late-fire.enabled";
static const char late_delay[] = "table.exec.emit.late-fire.delay";
static const char allow_lateness[] = "table.exec.emit.allow-lateness";

static bool is_on(const struct planner *p, const char *key)
{
    const char *text = catalog_setting(p->catalog, key);

    return text != NULL && strcasecmp(text, "true") == 0;
}

/* When 'enabled' and 'delay' say that results leave; *@interval in microseconds. */
static enum emit_when when(struct planner *p, const char *enabled, const char *delay,
                           struct ast_at at, int64_t *interval)
{
    int64_t ns;

    if (!is_on(p, enabled))
        return EMIT_NEVER;
    if (catalog_setting(p->catalog, delay) == NULL)
        plan_fail(p, at, MILL_E_OPTION,
                  "'%s' is true and '%s' is not set: SET it to '0 s' for a result with each row, "
                  "or "
                  "to an interval of processing time",
                  enabled, delay);
    ns = plan_duration_ns(p, delay);
    *interval = ns / 1000 + (ns % 1000 != 0);
    return ns == 0 ? EMIT_ROW : EMIT_DELAYED;
}

/* As in Flink, late firing goes by the state's time to live where no lateness is set. */
static int64_t lateness_ns(struct planner *p, bool late, struct ast_at at)
{
    const int64_t ns = catalog_setting(p->catalog, allow_lateness) != NULL || !late
                           ? plan_duration_ns(p, allow_lateness)
                           : time_mul(plan_state_ttl(p), 1000);

    if (late && ns == 0)
        plan_fail(p, at, MILL_E_OPTION,
                  "'%s' is true and no lateness is allowed: SET '%s' to more than 0", late_enabled,
                  allow_lateness);
    return ns;
}

static bool is_held(const struct phys_node *node)
{
    const bool windows = node->kind == NODE_WINDOW || node->kind == NODE_SESSION ||
                         node->kind == NODE_WINDOW_CHANGES;

    if (windows && node->aggregate.emit.hold_ns > 0)
        return true;
    for (uint32_t i = 0; i < node->input_count; i++)
        if (is_held(node->inputs[i]))
            return true;
    return false;
}

struct window_emit plan_emit(struct planner *p, const struct window_spec *window,
                             const struct phys_node *input, struct ast_at at, bool *revises)
{
    struct window_emit emit = {0};
    const bool changelog = plan_changelog(p, input);
    int64_t ns;

    emit.early = when(p, early_enabled, early_delay, at, &emit.early_us);
    emit.late = when(p, late_enabled, late_delay, at, &emit.late_us);
    ns = lateness_ns(p, emit.late != EMIT_NEVER, at);
    if (window->processing_time && !window->attached) {
        emit.late = EMIT_NEVER;
        ns = 0;
    }
    if (ns > 0 && emit.late == EMIT_NEVER)
        emit.late = EMIT_ROW;
    *revises = changelog && (emit.early != EMIT_NEVER || ns > 0);
    if (!changelog) {
        emit = (struct window_emit){.lateness_ns = ns, .hold_ns = is_held(input) ? 0 : ns};
        return emit;
    }
    emit.lateness_ns = ns;
    emit.lateness = type_is_nanos(&window->time_type) ? ns : ns / 1000 + (ns % 1000 != 0);
    return emit;
}
