/* core/plan/join_lookup.c - planning of a lookup join (FOR SYSTEM_TIME AS OF processing time). */
#include "core/plan/join.h"

#include <strings.h>

static bool reads_key(const struct join_parts *j, uint32_t column)
{
    for (uint32_t k = 0; k < j->key_count; k++)
        if (j->keys[1][k] == column)
            return true;
    return false;
}

/* The table that rows are looked up in, if it is one, or a selection of one. */
static struct phys_node *table_below(struct phys_node *node)
{
    while (node->kind == NODE_CALC)
        node = node->inputs[0];
    return node->kind == NODE_SOURCE ? node : NULL;
}

static const struct option *find_option(const struct options *options, const char *key)
{
    for (uint32_t i = 0; options != NULL && i < options->count; i++)
        if (strcmp(options->items[i].key, key) == 0)
            return &options->items[i];
    return NULL;
}

static void only(struct planner *p, const struct options *options, const char *key,
                 const char *value, const char *why)
{
    const struct option *o = find_option(options, key);

    if (o != NULL && strcasecmp(o->value, value) != 0)
        plan_fail(p, (struct ast_at){o->line, o->column}, MILL_E_UNSUPPORTED,
                  "'%s' is '%s': only '%s' is supported: %s", key, o->value, value, why);
}

/* 'lookup.…' of a table: how often it is read anew. */
static void set_reload(struct planner *p, struct phys_node *source)
{
    static const char interval[] = "lookup.full-cache.periodic-reload.interval",
                      mode[] = "lookup.full-cache.periodic-reload.schedule-mode";
    const struct options *options = source->source.options;
    const struct option *every = find_option(options, interval), *m = find_option(options, mode);
    int64_t ns = 0;

    only(p, options, "lookup.cache", "FULL", "the whole table is kept");
    only(p, options, "lookup.full-cache.reload-strategy", "PERIODIC",
         "give 'lookup.full-cache.periodic-reload.interval'");
    if (m != NULL && strcasecmp(m->value, "FIXED_RATE") != 0 &&
        strcasecmp(m->value, "FIXED_DELAY") != 0)
        plan_fail(p, (struct ast_at){m->line, m->column}, MILL_E_OPTION,
                  "'%s' is '%s', need FIXED_DELAY (the interval begins when the table has been "
                  "read) or FIXED_RATE (when its reading begins)",
                  mode, m->value);
    if (every == NULL)
        return;
    if (option_duration_ns(options, interval, 0, &ns, p->error) != MILL_OK)
        longjmp(p->failed, 1);
    if (ns < 1000000)
        plan_fail(p, (struct ast_at){every->line, every->column}, MILL_E_OPTION,
                  "'%s' is '%s', need 1 ms or more", interval, every->value);
    source->source.reload_us = ns / 1000;
    source->source.reload_at_rate = m != NULL && strcasecmp(m->value, "FIXED_RATE") == 0;
    source->reads_clock = true;
}

/* A small table is copied to every shard, so that the rows that look up in it need not go elsewhere. */
static bool is_copied(const struct planner *p, const struct phys_node *table)
{
    const char *text = catalog_setting(p->catalog, BROADCAST_SETTING);
    const int64_t bytes = join_bytes_below(p, table);
    int64_t most = BROADCAST_BYTES;

    return (text == NULL || broadcast_bytes(text, &most)) && bytes >= 0 && bytes <= most;
}

struct relation plan_lookup_join(struct planner *p, struct join_parts *j)
{
    const struct phys_node *left = j->side[0].node;
    struct phys_node *table = table_below(j->side[1].node);
    struct join_node *join;
    struct relation out;
    struct phys_node *node;

    if (j->type != JOIN_TYPE_INNER && j->type != JOIN_TYPE_LEFT)
        plan_fail(p, j->table->at, MILL_E_UNSUPPORTED, "a lookup join is an inner or a LEFT JOIN");
    if (left->updating)
        plan_fail(p, j->table->at, MILL_E_UNSUPPORTED,
                  "the left side of a lookup join must keep its rows, and %s changes them",
                  left->updating_by);
    j->time[0] = j->time[1] = -1;
    lookup_key(j);
    node = join_make(p, j, NODE_LOOKUP_JOIN, &join, &out);
    join->processing_time = true;
    join->ends[1] = join_ends_with_sources(node->inputs[1]);
    join->upserts = j->unique_count > 0 && j->key_count == j->unique_count;
    for (uint32_t i = 0; i < j->unique_count; i++)
        join->upserts = join->upserts && reads_key(j, j->unique[i]);
    if (is_copied(p, j->side[1].node)) {
        node->inputs[0]->exchange.stays = true;
        node->inputs[1]->exchange.copies = true;
    }
    node->rowtime = left->rowtime;
    node->updating = false;
    if (table != NULL)
        set_reload(p, table);
    node->why = table != NULL && table->source.reload_us > 0
                    ? arena_format(p->arena,
                                   "the whole right side is kept; it is read before the first row "
                                   "of the left, and anew every %g s",
                                   (double)table->source.reload_us / 1e6)
                    : "the whole right side is kept; a bounded one is read before the first row of "
                      "the left";
    for (uint32_t i = j->side[0].count; i < out.count; i++)
        out.columns[i].rowtime = out.columns[i].proctime = false;
    return out;
}
