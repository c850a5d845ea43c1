/* core/plan/plan.h - from statements to physical plans: what the engine asks of the planner.
 *
 * Threads: one.   Errors: with their place in the SQL.   Includes: ast.h, physical.h
 */
#ifndef MILL_PLAN_H
#define MILL_PLAN_H

#include "core/plan/physical.h"
#include "core/sql/ast.h"

struct catalog;

struct plan_config {
    uint32_t step_bytes, step_rows, look_back; /* go into the fingerprint */
    uint64_t seed;
    bool two_phase; /* partial aggregates in the front */
};

typedef void (*plan_text)(void *user, const char *text, size_t bytes);

/* Tables, views, functions, settings: deep copies in the catalog's own arena. NULL without memory. */
struct catalog *catalog_new(struct heap *heap, const struct env *env);
void catalog_free(struct catalog *catalog);
/* The value of a setting, or NULL: 'table.local-time-zone' ... */
const char *catalog_setting(const struct catalog *catalog, const char *key);
/* DDL, SET, RESET, SHOW, DESCRIBE, DROP. @is_query: the statement is an INSERT, a STATEMENT SET, a SELECT or an
 * EXPLAIN, nothing was done, plan it. */
int catalog_execute(struct catalog *catalog, const struct ast_statement *statement, plan_text text,
                    void *user, bool *is_query, struct mill_error *error);
/* Physical columns of a table with connector 'memory'; NULL with an error naming the nearest table. */
const struct mill_schema *catalog_memory_table(struct catalog *catalog, const char *name,
                                               struct mill_error *error);
bool catalog_table_has_watermark(struct catalog *catalog, const char *name);
/* Sets what memory tables read: the input the engine has opened for a table. */
void catalog_set_input(struct catalog *catalog, const char *name, struct mill_input *input);

/* Plans INSERT, STATEMENT SET (all sinks in one plan, every table read once) or SELECT (a sink without vtable) into
 * @arena, which must outlive the plan, as must the catalog. */
int plan_statement(struct catalog *catalog, const struct ast_statement *statement,
                   const struct plan_config *config, struct arena *arena, struct phys_plan **out,
                   struct mill_error *error);
/* EXPLAIN's text. */
void plan_explain(const struct phys_plan *plan, struct arena *arena, plan_text text, void *user);

#endif
