/* core/engine.c - the public API over catalog, planner and jobs. */
#include "core/atomic.h"
#include "core/config.h"
#include "core/engine.h"
#include "core/plan/plan.h"
#include "core/push_text.h"
#include "core/results.h"
#include "core/shard/job.h"
#include "core/sql/ast.h"
#include "core/zone.h"
#include "kernels/kernels.h"

#include <stdio.h>

struct variable {
    struct variable *next;
    const char *name, *value;
};

/* An input of a memory table, kept until the engine closes. */
struct opened_input {
    struct opened_input *next;
    struct mill_input *input;
};

struct mill_engine {
    const struct env *env;
    struct mill_config config;
    const struct mk_table *kernels;
    struct budget budget;
    struct heap heap;
    struct arena arena; /* variables, names of inputs */
    struct catalog *catalog;
    struct variable *variables;
    struct opened_input *inputs;
    struct mill_query *queries;
    _Atomic(struct mill_query *) running;
    at_u32 busy; /* inside a call that may call back */
};

struct operator_label {
    char text[120];
    const uint32_t *inputs;
};

struct mill_query {
    struct mill_engine *engine;
    struct mill_query *next;
    struct arena arena; /* tree and plan */
    struct phys_plan *plan;
    struct operator_label *labels; /* per operator, once somebody asks for the profile */
    struct mill_callbacks callbacks;
    const struct mill_schema *schema; /* of a SELECT, or NULL */
    bool changes;                     /* a SELECT's rows have kinds */
    _Atomic(struct job *) job;
    at_u32 stop; /* the job reads it */
    bool done;
    struct results results;
    bool analyze, json; /* EXPLAIN ANALYZE: measured, rows of a SELECT dropped, the profile told */
};

/* ---- arguments ---- */

static struct mill_error *error_begin(struct mill_error *error, struct mill_error *local)
{
    error = error != NULL ? error : local;
    *error = (struct mill_error){0};
    return error;
}

static int missing(struct mill_error *error, const char *call, const char *argument)
{
    return mill_fail(error, MILL_E_ARGUMENT, 0, 0, "%s(): %s is NULL", call, argument);
}

/* Until engine_leave() no other call that may call back, opens or closes can begin. */
static int engine_enter(struct mill_engine *engine, const char *call, struct mill_error *error)
{
    if (at_exchange_acquire(&engine->busy, 1) == 0)
        return MILL_OK;
    return mill_fail(error, MILL_E_STATE, 0, 0,
                     "%s() was called from a callback, or while another thread is inside a call "
                     "for this engine",
                     call);
}

/* And a memory error outside the operators says what the limit is. */
static void engine_leave(struct mill_engine *engine, struct mill_error *error)
{
    if (error != NULL && error->code == MILL_E_MEMORY && strstr(error->message, "limit") == NULL) {
        const size_t used = strlen(error->message);

        snprintf(error->message + used, sizeof error->message - used,
                 "; the memory limit is %llu bytes", (unsigned long long)engine->budget.limit);
    }
    at_store_release(&engine->busy, 0);
}

/* ---- engine ---- */

static int engine_open(struct mill_engine *engine, const struct mill_config *config,
                       struct mill_error *error)
{
    char why[160] = "";
    int code = config_resolve(config, engine->env, &engine->config, error);

    if (code != MILL_OK)
        return code;
    engine->budget.limit = engine->config.memory_limit;
    engine->kernels = mk_select(engine->config.isa, why, sizeof why);
    if (engine->kernels == NULL)
        return mill_fail(error, MILL_E_OPTION, 0, 0, "MILL_ISA: %s", why);
    engine->catalog = catalog_new(&engine->heap, engine->env);
    if (engine->catalog == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a catalog");
    return MILL_OK;
}

mill_engine *mill_engine_open(const struct mill_config *config, struct mill_error *error)
{
    const struct env *env = config_env(config);
    struct budget first = {.limit = UINT64_MAX};
    struct heap heap;
    struct mill_engine *engine;

    if (error != NULL)
        *error = (struct mill_error){0};
    heap_open_shared(&heap, env, &first);
    engine = heap_zalloc(&heap, sizeof *engine);
    if (engine == NULL) {
        mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for an engine");
        return NULL;
    }
    engine->env = env;
    engine->budget.limit = UINT64_MAX;
    at_store_relaxed(&engine->budget.used, at_load_relaxed(&first.used));
    engine->heap = heap;
    engine->heap.budget = &engine->budget;
    arena_open(&engine->arena, &engine->heap);
    if (engine_open(engine, config, error) != MILL_OK) {
        mill_engine_close(engine);
        return NULL;
    }
    return engine;
}

static void query_free(struct mill_query *query);

void mill_engine_close(mill_engine *engine)
{
    struct budget last = {.limit = UINT64_MAX};
    struct heap heap;

    if (engine == NULL || engine_enter(engine, "mill_engine_close", NULL) != MILL_OK)
        return;
    while (engine->queries != NULL)
        query_free(engine->queries);
    while (engine->inputs != NULL) {
        struct opened_input *input = engine->inputs;

        engine->inputs = input->next;
        memory_input_free(input->input);
    }
    if (engine->catalog != NULL)
        catalog_free(engine->catalog);
    arena_close(&engine->arena);
    at_store_relaxed(&last.used, at_load_relaxed(&engine->budget.used));
    heap = engine->heap;
    heap.budget = &last;
    heap_free(&heap, engine, sizeof *engine);
    heap_close(&heap);
}

void mill_engine_warm(mill_engine *engine, bool warm)
{
    if (engine != NULL)
        at_store_relaxed(&engine->budget.warm, warm);
}

static int variable_add(struct mill_engine *engine, const char *name, const char *value,
                        struct mill_error *error)
{
    struct variable *v = arena_new(&engine->arena, struct variable);

    if (v != NULL) {
        v->name = arena_text(&engine->arena, name, strlen(name));
        v->value = arena_text(&engine->arena, value, strlen(value));
    }
    if (v == NULL || v->name == NULL || v->value == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a variable");
    v->next = engine->variables;
    engine->variables = v;
    return MILL_OK;
}

int mill_set_variable(mill_engine *engine, const char *name, const char *value,
                      struct mill_error *error)
{
    struct mill_error local;
    int code;

    error = error_begin(error, &local);
    if (engine == NULL || name == NULL || value == NULL)
        return missing(error, "mill_set_variable",
                       engine == NULL ? "engine"
                       : name == NULL ? "name"
                                      : "value");
    if (name[0] == '\0')
        return mill_fail(error, MILL_E_ARGUMENT, 0, 0, "mill_set_variable(): the name is empty");
    code = engine_enter(engine, "mill_set_variable", error);
    if (code != MILL_OK)
        return code;
    code = variable_add(engine, name, value, error);
    engine_leave(engine, error);
    return code;
}

static const char *engine_variable(void *user, const char *name)
{
    const struct mill_engine *engine = user;

    for (const struct variable *v = engine->variables; v != NULL; v = v->next)
        if (strcmp(v->name, name) == 0)
            return v->value;
    return engine->env->run.variable(engine->env->self, name);
}

/* ---- queries ---- */

static struct mill_query *query_new(struct mill_engine *engine,
                                    const struct mill_callbacks *callbacks,
                                    struct mill_error *error)
{
    struct mill_query *query = heap_zalloc(&engine->heap, sizeof *query);

    if (query == NULL) {
        mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a query");
        return NULL;
    }
    query->engine = engine;
    if (callbacks != NULL)
        query->callbacks = *callbacks;
    arena_open(&query->arena, &engine->heap);
    results_open(&query->results, &engine->heap);
    query->next = engine->queries;
    engine->queries = query;
    return query;
}

static void query_free(struct mill_query *query)
{
    struct mill_engine *engine = query->engine;
    struct mill_query **at;

    for (at = &engine->queries; *at != query; at = &(*at)->next)
        ;
    *at = query->next;
    if (at_load_relaxed(&query->job) != NULL)
        job_free(at_load_relaxed(&query->job));
    results_close(&query->results);
    arena_close(&query->arena);
    heap_free(&engine->heap, query, sizeof *query);
}

void mill_query_close(mill_query *query)
{
    struct mill_engine *engine;

    if (query == NULL || engine_enter(query->engine, "mill_query_close", NULL) != MILL_OK)
        return;
    engine = query->engine;
    query_free(query);
    engine_leave(engine, NULL);
}

static void set_schema(struct mill_query *query)
{
    for (uint32_t n = 0; n < query->plan->node_count; n++) {
        const struct phys_node *node = query->plan->nodes[n];

        if (node->kind == NODE_SINK && node->sink.options == NULL) {
            query->schema = &node->schema;
            query->changes = node->updating;
        }
    }
}

static int query_plan(struct mill_query *query, const struct ast_statement *statement,
                      struct mill_error *error)
{
    const struct mill_config *c = &query->engine->config;
    const struct plan_config config = {.step_bytes = c->step_bytes,
                                       .step_rows = c->step_rows,
                                       .look_back = c->look_back,
                                       .seed = c->seed,
                                       .two_phase = true};
    const int code = plan_statement(query->engine->catalog, statement, &config, &query->arena,
                                    &query->plan, error);

    if (code == MILL_OK)
        set_schema(query);
    return code;
}

/* ---- results ---- */

static int query_on_batch(void *user, const struct batch *batch, const struct phys_node *sink)
{
    struct mill_query *query = user;
    const struct mill_callbacks *on = &query->callbacks;
    const bool insert = sink->sink.options != NULL;
    const struct mill_batch *shown;
    struct batch *copy;
    int code = 0;

    if (batch->live == 0 || (insert && on->on_insert == NULL))
        return 0;
    copy = results_copy(&query->results, batch, &sink->sink.written);
    if (copy == NULL)
        return ON_BATCH_NO_MEMORY;
    if (!insert && on->on_batch == NULL) {
        results_put(&query->results, copy);
        return 0;
    }
    shown = results_show(&query->results, copy);
    if (shown == NULL)
        code = ON_BATCH_NO_MEMORY;
    else if (insert)
        code = on->on_insert(on->user, query, sink->sink.table, &sink->sink.written, shown);
    else
        code = on->on_batch(on->user, query, shown);
    results_return(&query->results, copy);
    return code;
}

const struct mill_batch *mill_poll(mill_query *query)
{
    return query != NULL ? results_poll(&query->results) : NULL;
}

bool mill_query_changes(const mill_query *query)
{
    return query != NULL && query->changes;
}

const struct mill_schema *mill_query_schema(const mill_query *query)
{
    return query != NULL ? query->schema : NULL;
}

int64_t mill_local_time(const mill_query *query, const struct mill_type *type, int64_t value)
{
    if (query == NULL || type == NULL || type->kind != MILL_TIMESTAMP_LTZ)
        return value;
    return zone_local(query->plan->zone, value, type_is_nanos(type));
}

/* ---- running ---- */

static int query_start(struct mill_query *query, bool inline_only, struct mill_error *error)
{
    struct mill_engine *engine = query->engine;
    const struct job_config config = {.env = engine->env,
                                      .kernels = engine->kernels,
                                      .config = &engine->config,
                                      .plan = query->plan,
                                      .budget = &engine->budget,
                                      .inline_only = inline_only,
                                      .profiled = engine->config.profile || query->analyze,
                                      .on_batch = query->analyze ? NULL : query_on_batch,
                                      .on_batch_user = query,
                                      .stop = &query->stop};
    struct job *job;

    if (query->done || at_load_relaxed(&query->job) != NULL)
        return mill_fail(error, MILL_E_STATE, 0, 0, "the query has already been run");
    if (query->callbacks.on_schema != NULL && query->schema != NULL && !query->analyze)
        query->callbacks.on_schema(query->callbacks.user, query, query->schema);
    job = job_new(&config, error);
    if (job == NULL)
        return error->code;
    /* R15, with A15 in mill_query_stats() */
    at_store_release(&query->job, job);
    return MILL_OK;
}

static int query_run(struct mill_query *query, struct mill_error *error)
{
    int code = query_start(query, false, error);

    if (code != MILL_OK)
        return code;
    atomic_store(&query->engine->running, query);
    code = job_run(at_load_relaxed(&query->job), error);
    atomic_store(&query->engine->running, NULL);
    query->done = true;
    return code;
}

int mill_run(mill_query *query, struct mill_error *error)
{
    struct mill_error local;
    int code;

    error = error_begin(error, &local);
    if (query == NULL)
        return missing(error, "mill_run", "query");
    code = engine_enter(query->engine, "mill_run", error);
    if (code != MILL_OK)
        return code;
    code = query_run(query, error);
    engine_leave(query->engine, error);
    return code;
}

int mill_turn(mill_query *query, uint32_t *work, bool *ended, struct mill_error *error)
{
    return query_turn(query, -1, work, ended, error);
}

const struct job *query_job(const mill_query *query)
{
    return at_load_relaxed(&query->job);
}

uint64_t engine_memory(const mill_engine *engine)
{
    return at_load_relaxed(&engine->budget.used);
}

int query_turn(struct mill_query *query, int32_t only, uint32_t *work, bool *ended,
               struct mill_error *error)
{
    struct mill_error local;
    uint32_t unused = 0;
    int code;

    error = error_begin(error, &local);
    work = work != NULL ? work : &unused;
    *work = 0;
    if (query == NULL || ended == NULL)
        return missing(error, "mill_turn", query == NULL ? "query" : "ended");
    *ended = false;
    code = engine_enter(query->engine, "mill_turn", error);
    if (code != MILL_OK)
        return code;
    if (at_load_relaxed(&query->job) == NULL)
        code = query_start(query, true, error);
    if (code == MILL_OK) {
        code = job_turn(at_load_relaxed(&query->job), only, work, ended, error);
        query->done = *ended;
    }
    engine_leave(query->engine, error);
    return code;
}

void mill_stop(mill_query *query, bool drain)
{
    if (query != NULL)
        at_store_relaxed(&query->stop, drain ? 1 : 2);
}

mill_query *mill_running(mill_engine *engine)
{
    return engine != NULL ? atomic_load(&engine->running) : NULL;
}

void mill_query_stats(const mill_query *query, struct mill_stats *stats)
{
    struct job *job;

    if (stats == NULL)
        return;
    *stats = (struct mill_stats){.watermark_us = INT64_MIN};
    job = query != NULL ? at_load_acquire(&query->job) : NULL; /* A15 */
    if (job != NULL)
        job_stats(job, stats);
}

/* ---- profile ---- */

/* As much of a record as the caller knows of. */
static void give_record(void *to, uint32_t room, const void *record, size_t bytes)
{
    memset(to, 0, room);
    memcpy(to, record, min_u64(room, bytes));
}

/* Labels and inputs of all operators, which live as long as the query. False without memory. */
static bool keep_labels(struct mill_query *query)
{
    const struct phys_plan *plan = query->plan;
    uint32_t used = 0, *inputs;

    if (query->labels != NULL)
        return true;
    for (uint32_t n = 0; n < plan->node_count; n++)
        used += plan->nodes[n]->input_count;
    query->labels = arena_array(&query->arena, struct operator_label, plan->node_count + 1);
    inputs = arena_array(&query->arena, uint32_t, used + 1);
    if (query->labels == NULL || inputs == NULL)
        return false;
    for (uint32_t n = 0; n < plan->node_count; n++) {
        const struct phys_node *node = plan->nodes[n];

        node_label(node, query->labels[n].text, sizeof query->labels[n].text);
        query->labels[n].inputs = inputs;
        for (uint32_t i = 0; i < node->input_count; i++)
            *inputs++ = node->inputs[i]->id;
    }
    return true;
}

uint32_t mill_query_profile(mill_query *query, uint32_t shard, struct mill_profile *profile,
                            struct mill_operator_profile *operators, uint32_t most)
{
    const struct job *job = query != NULL ? at_load_acquire(&query->job) : NULL; /* A15 */
    struct mill_profile all;

    if (job == NULL || profile == NULL || !job_profile(job, shard, &all) || !keep_labels(query))
        return 0;
    all.struct_bytes = profile->struct_bytes;
    all.operator_bytes = profile->operator_bytes;
    for (uint32_t n = 0; operators != NULL && n < min_u32(most, all.operator_count); n++) {
        struct mill_operator_profile one;

        job_profile_operator(job, shard, n, &one);
        one.label = query->labels[n].text;
        one.inputs = query->labels[n].inputs;
        one.input_count = query->plan->nodes[n]->input_count;
        give_record((char *)operators + (size_t)n * all.operator_bytes, all.operator_bytes, &one,
                    sizeof one);
    }
    give_record(profile, all.struct_bytes, &all, sizeof all);
    return all.operator_count;
}

int mill_profile_text(mill_query *query, bool json,
                      void (*text)(void *user, const char *text, size_t bytes), void *user,
                      struct mill_error *error)
{
    struct mill_error local;
    const struct job *job;

    error = error_begin(error, &local);
    if (query == NULL || text == NULL)
        return missing(error, "mill_profile_text", query == NULL ? "query" : "text");
    job = at_load_acquire(&query->job); /* A15 */
    if (job != NULL && job_profile_text(job, &query->arena, json, text, user))
        return MILL_OK;
    return mill_fail(error, MILL_E_STATE, 0, 0,
                     "mill_profile_text(): the query was not measured (mill_config.profile), or "
                     "has not ended");
}

/* ---- statements ---- */

static int place_error(struct mill_error *error, const char *sql)
{
    if (error->line != 0 && error->excerpt[0] == '\0')
        error_excerpt(error, sql, strlen(sql));
    return error->code;
}

static int explain(struct mill_engine *engine, const struct ast_statement *statement,
                   const struct mill_callbacks *callbacks, struct mill_error *error)
{
    for (uint32_t i = 0; i < statement->inner_count; i++) {
        struct mill_query *query = query_new(engine, callbacks, error);
        int code;

        if (query == NULL)
            return MILL_E_MEMORY;
        code = query_plan(query, statement->inner[i], error);
        if (code == MILL_OK && callbacks != NULL && callbacks->on_text != NULL)
            plan_explain(query->plan, &query->arena, callbacks->on_text, callbacks->user);
        query_free(query);
        if (code != MILL_OK)
            return code;
    }
    return MILL_OK;
}

enum script_mode {
    SCRIPT_RUN,
    SCRIPT_CHECK,
    SCRIPT_EXPLAIN,
    SCRIPT_ANALYZE,
    SCRIPT_ANALYZE_JSON,
    SCRIPT_PREPARE
};

static bool runs(enum script_mode mode)
{
    return mode == SCRIPT_RUN || mode == SCRIPT_ANALYZE || mode == SCRIPT_ANALYZE_JSON;
}

/* What a script's statement is made into; @query receives a planned query, or NULL if there was none. */
static int statement_execute(struct mill_engine *engine, const struct ast_statement *statement,
                             enum script_mode mode, const struct mill_callbacks *callbacks,
                             struct mill_query **query, struct mill_error *error)
{
    const bool analyze = statement->kind == STATEMENT_EXPLAIN && statement->analyze && runs(mode);
    bool is_query = false;
    int code;

    *query = NULL;
    code =
        catalog_execute(engine->catalog, statement, callbacks != NULL ? callbacks->on_text : NULL,
                        callbacks != NULL ? callbacks->user : NULL, &is_query, error);
    if (code != MILL_OK || !is_query)
        return code;
    if (statement->kind == STATEMENT_EXPLAIN && !analyze)
        return explain(engine, statement, callbacks, error);
    *query = query_new(engine, callbacks, error);
    if (*query == NULL)
        return MILL_E_MEMORY;
    (*query)->analyze = analyze || mode == SCRIPT_ANALYZE || mode == SCRIPT_ANALYZE_JSON;
    (*query)->json = statement->json || mode == SCRIPT_ANALYZE_JSON;
    code = query_plan(*query, analyze ? statement->inner[0] : statement, error);
    if (code != MILL_OK) {
        query_free(*query);
        *query = NULL;
    }
    return code;
}

/* The profile also of a run that was stopped: it says what there was until then. */
static int script_run(struct mill_query *query, const struct mill_callbacks *callbacks,
                      struct mill_error *error)
{
    const int code = query_run(query, error);

    if (query->analyze && callbacks != NULL && callbacks->on_text != NULL &&
        (code == MILL_OK || code == MILL_E_INTERRUPTED))
        job_profile_text(at_load_relaxed(&query->job), &query->arena, query->json,
                         callbacks->on_text, callbacks->user);
    if (callbacks != NULL && callbacks->on_end != NULL)
        callbacks->on_end(callbacks->user, query, code);
    return code;
}

static int script(struct mill_engine *engine, const char *sql, enum script_mode mode,
                  const struct mill_callbacks *callbacks, struct mill_query **prepared,
                  struct mill_error *error)
{
    struct ast_script tree = {0};
    int code;

    /* tables and views keep their trees: these live as long as the engine */
    code = parse(&engine->arena, sql, strlen(sql), engine_variable, engine, &tree, error);
    for (uint32_t i = 0; code == MILL_OK && i < tree.count; i++) {
        struct mill_query *query;

        if (prepared != NULL && *prepared != NULL) {
            code = mill_fail(error, MILL_E_ARGUMENT, tree.statements[i]->at.line,
                             tree.statements[i]->at.column,
                             "a prepared script may have one query, as its last statement");
            break;
        }
        code = statement_execute(engine, tree.statements[i], mode, callbacks, &query, error);
        if (query == NULL)
            continue;
        if (mode == SCRIPT_PREPARE) {
            *prepared = query;
            continue;
        }
        if (runs(mode))
            code = script_run(query, callbacks, error);
        if (mode == SCRIPT_EXPLAIN && callbacks != NULL && callbacks->on_text != NULL)
            plan_explain(query->plan, &query->arena, callbacks->on_text, callbacks->user);
        query_free(query);
    }
    return code != MILL_OK ? place_error(error, sql) : MILL_OK;
}

static int script_enter(struct mill_engine *engine, const char *sql, enum script_mode mode,
                        const struct mill_callbacks *callbacks, struct mill_query **prepared,
                        struct mill_error *error)
{
    static const char *const calls[] = {"mill_execute",         "mill_check",
                                        "mill_explain",         "mill_explain_analyze",
                                        "mill_explain_analyze", "mill_prepare"};
    struct mill_error local;
    int code;

    error = error_begin(error, &local);
    if (engine == NULL || sql == NULL)
        return missing(error, calls[mode], engine == NULL ? "engine" : "sql");
    code = engine_enter(engine, calls[mode], error);
    if (code != MILL_OK)
        return code;
    code = script(engine, sql, mode, callbacks, prepared, error);
    if (mode == SCRIPT_PREPARE && code == MILL_OK && *prepared == NULL)
        code = mill_fail(error, MILL_E_ARGUMENT, 0, 0, "the script has no query to prepare");
    if (mode == SCRIPT_PREPARE && code != MILL_OK && *prepared != NULL) {
        query_free(*prepared);
        *prepared = NULL;
    }
    engine_leave(engine, error);
    return code;
}

int mill_execute(mill_engine *engine, const char *sql, const struct mill_callbacks *callbacks,
                 struct mill_error *error)
{
    return script_enter(engine, sql, SCRIPT_RUN, callbacks, NULL, error);
}

int mill_check(mill_engine *engine, const char *sql, struct mill_error *error)
{
    return script_enter(engine, sql, SCRIPT_CHECK, NULL, NULL, error);
}

int mill_explain(mill_engine *engine, const char *sql, const struct mill_callbacks *callbacks,
                 struct mill_error *error)
{
    return script_enter(engine, sql, SCRIPT_EXPLAIN, callbacks, NULL, error);
}

int mill_explain_analyze(mill_engine *engine, const char *sql, bool json,
                         const struct mill_callbacks *callbacks, struct mill_error *error)
{
    return script_enter(engine, sql, json ? SCRIPT_ANALYZE_JSON : SCRIPT_ANALYZE, callbacks, NULL,
                        error);
}

mill_query *mill_prepare(mill_engine *engine, const char *sql,
                         const struct mill_callbacks *callbacks, struct mill_error *error)
{
    struct mill_query *query = NULL;

    script_enter(engine, sql, SCRIPT_PREPARE, callbacks, &query, error);
    return query;
}

/* ---- memory tables ---- */

static mill_input *input_open(struct mill_engine *engine, const char *table,
                              struct mill_error *error)
{
    const struct mill_schema *schema = catalog_memory_table(engine->catalog, table, error);
    struct opened_input *opened;

    if (schema == NULL)
        return NULL;
    opened = arena_new(&engine->arena, struct opened_input);
    if (opened != NULL)
        opened->input = memory_input_new(engine->env, &engine->budget, schema,
                                         catalog_table_has_watermark(engine->catalog, table));
    if (opened == NULL || opened->input == NULL) {
        mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for the input of table %s", table);
        return NULL;
    }
    opened->next = engine->inputs;
    engine->inputs = opened;
    catalog_set_input(engine->catalog, table, opened->input);
    return opened->input;
}

mill_input *mill_input_open(mill_engine *engine, const char *table, struct mill_error *error)
{
    struct mill_error local;
    mill_input *input;

    error = error_begin(error, &local);
    if (engine == NULL || table == NULL) {
        missing(error, "mill_input_open", engine == NULL ? "engine" : "table");
        return NULL;
    }
    if (engine_enter(engine, "mill_input_open", error) != MILL_OK)
        return NULL;
    input = input_open(engine, table, error);
    engine_leave(engine, error);
    return input;
}

int mill_push(mill_input *input, const struct mill_batch *batch, struct mill_error *error)
{
    struct mill_error local;

    error = error_begin(error, &local);
    if (input == NULL || batch == NULL)
        return missing(error, "mill_push", input == NULL ? "input" : "batch");
    return memory_input_push(input, batch, error);
}

int mill_input_watermark(mill_input *input, int64_t watermark, struct mill_error *error)
{
    struct mill_error local;

    error = error_begin(error, &local);
    if (input == NULL)
        return missing(error, "mill_input_watermark", "input");
    return memory_input_watermark(input, watermark, error);
}

int mill_push_text(mill_input *input, const char *const *values, uint32_t count,
                   struct mill_error *error)
{
    struct mill_error local;

    error = error_begin(error, &local);
    if (input == NULL || (values == NULL && count > 0))
        return missing(error, "mill_push_text", input == NULL ? "input" : "values");
    return push_text(input, values, count, error);
}

int mill_lend(mill_input *input, const struct mill_batch *batches, size_t count, uint32_t repeat,
              struct mill_error *error)
{
    struct mill_error local;

    error = error_begin(error, &local);
    if (input == NULL || (batches == NULL && count > 0))
        return missing(error, "mill_lend", input == NULL ? "input" : "batches");
    return memory_input_lend(input, batches, count, repeat, error);
}

int mill_lend_replayed(mill_input *input, const struct mill_batch *batches, size_t count,
                       uint32_t repeat, uint32_t column, int64_t advance, struct mill_error *error)
{
    struct mill_error local;

    error = error_begin(error, &local);
    if (input == NULL || (batches == NULL && count > 0))
        return missing(error, "mill_lend_replayed", input == NULL ? "input" : "batches");
    if (memory_input_advance(input, column, advance, error) != MILL_OK)
        return error->code;
    return memory_input_lend(input, batches, count, repeat, error);
}

int mill_input_pull(mill_input *input, void (*pull)(void *user, mill_input *input), void *user,
                    struct mill_error *error)
{
    struct mill_error local;

    error = error_begin(error, &local);
    if (input == NULL)
        return missing(error, "mill_input_pull", "input");
    return memory_input_pull(input, pull, user, error);
}

void mill_input_end(mill_input *input)
{
    if (input != NULL)
        memory_input_end(input);
}

/* ---- what there is ---- */

void mill_build_info(char *text, size_t bytes)
{
    char why[160] = "";
    const struct env *env = env_real();
    const char *io = env->run.variable(env->self, "MILL_IO");
    struct env_queue about = {0};
    const struct mk_table *best =
        mk_select(env->run.variable(env->self, "MILL_ISA"), why, sizeof why);
    void *queue;

    if (text == NULL || bytes == 0)
        return;
    queue = env->file.queue_open(env->self, 1, NULL, 0, &about);
    snprintf(text, bytes, "millstream %s\ncompiler: %s\nisa: %s\nio: %s (%s%s)\ncpus: %u\n",
             MILL_VERSION, __VERSION__, best != NULL ? best->isa : why,
             queue == NULL                 ? "posix"
             : io != NULL && io[0] != '\0' ? io
                                           : "auto",
             queue != NULL ? about.mode : "no io_uring: ", queue != NULL ? "" : about.why,
             env->run.cpu_count(env->self));
    if (queue != NULL)
        env->file.queue_close(env->self, queue);
}

void mill_functions(void (*each)(void *user, const char *name, const char *signature,
                                 const char *description, const char *category),
                    void *user)
{
    if (each != NULL)
        functions_each(each, user);
}
