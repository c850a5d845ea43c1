/* core/plan/catalog.h - what the planner's parts know of tables, views and functions. Includes: plan.h */
#ifndef MILL_CATALOG_H
#define MILL_CATALOG_H

#include "core/plan/plan.h"

struct table {
    struct table *next;
    const char *name;
    const struct ast_statement *ddl; /* lives as long as the catalog */
    struct mill_schema
        schema; /* all columns in order; computed ones get their type when first planned */
    struct options options;
    bool *options_used;
    struct mill_input *input; /* connector 'memory' */
    bool temporary_file;      /* FROM 'path' */
};

struct view {
    struct view *next;
    const char *name;
    const struct ast_statement *ddl;
};

struct user_function {
    struct user_function *next;
    const char *name;
    const struct mill_function *function;
    const char *builtin; /* CREATE FUNCTION f AS 'builtin' */
};

struct setting {
    struct setting *next;
    const char *key, *value;
};

struct catalog {
    const struct env *env;
    struct heap *heap;
    struct arena arena;
    struct table *tables;
    struct view *views;
    struct user_function *functions;
    struct setting *settings;
    const struct zone *zone; /* table.local-time-zone; NULL: UTC */
};

/* A table of no more bytes is copied to every shard by joins that look up in it (Flink's name and default). */
#define BROADCAST_SETTING "table.optimizer.join.broadcast-threshold"
#define BROADCAST_BYTES ((int64_t)1 << 20)
/* Its value. False: it is no number from -1 on. */
bool broadcast_bytes(const char *text, int64_t *bytes);

struct table *catalog_table(const struct catalog *catalog, const char *name);
struct view *catalog_view(const struct catalog *catalog, const char *name);
struct user_function *catalog_function(const struct catalog *catalog, const char *name);
/* MILL_E_NAME "there is no table x; did you mean y?". */
int catalog_unknown_table(const struct catalog *catalog, const char *name, struct ast_at at,
                          struct mill_error *error);
/* The key of a METADATA column, or NULL. */
const char *column_metadata(const struct ast_column *column);
/* CREATE TABLE ... LIKE: the statement with all columns, options and the watermark written out. NULL: @error. */
const struct ast_statement *table_like(struct catalog *catalog, const struct ast_statement *s,
                                       struct mill_error *error);
/* Options as the connector sees them: without those the planner reads. */
const struct connector *table_connector(const struct table *table, struct mill_error *error);
/* The table as the hint OPTIONS has it: these options before its own. Lives in @arena. */
const struct table *table_with_options(struct arena *arena, const struct table *table,
                                       const struct ast_property *properties, uint32_t count);
const char *table_option(const struct table *table, const char *key);
/* DESCRIBE, SHOW and SET without a key (show.c). */
int catalog_show(struct catalog *catalog, const struct ast_statement *statement, plan_text text,
                 void *user, struct mill_error *error);

#endif
