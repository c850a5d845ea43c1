/* core/plan/physical.c - making nodes, stages and plans: INSERT, STATEMENT SET, SELECT; columns nobody reads. */
#include "core/plan/bind.h"

#include "core/ops/op.h"

#include <strings.h>

/* ---- nodes ---- */

struct phys_node *plan_node(struct planner *p, enum node_kind kind, struct phys_node *const *inputs,
                            uint32_t count)
{
    struct phys_node *node = arena_new(p->arena, struct phys_node);

    if (p->count == p->room) {
        const uint32_t room = p->room == 0 ? 64 : p->room * 2;
        struct phys_node **nodes = arena_array(p->arena, struct phys_node *, room);

        if (p->count > 0)
            memcpy(nodes, p->nodes, p->count * sizeof *nodes);
        p->nodes = nodes;
        p->room = room;
    }
    node->kind = kind;
    node->id = p->count;
    node->query = p->query;
    node->rowtime = -1;
    node->input_count = count;
    node->inputs = arena_array(p->arena, struct phys_node *, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        node->inputs[i] = inputs[i];
        node->sources |= inputs[i]->sources;
        if (inputs[i]->updating)
            plan_updating(node, inputs[i]->updating_by);
        node->stage = max_u32(node->stage, inputs[i]->stage + (inputs[i]->kind == NODE_EXCHANGE));
    }
    p->nodes[p->count++] = node;
    return node;
}

struct mill_schema plan_schema(struct planner *p, const struct scope_column *columns,
                               uint32_t count)
{
    struct mill_field *fields = arena_array(p->arena, struct mill_field, count + 1);

    if (count > COLUMNS_MAX)
        plan_fail(p, (struct ast_at){0, 0}, MILL_E_UNSUPPORTED,
                  "a query of %u columns, at most %u are supported", count, COLUMNS_MAX);
    for (uint32_t i = 0; i < count; i++)
        fields[i] = (struct mill_field){columns[i].name, columns[i].type};
    return (struct mill_schema){count, fields};
}

struct phys_node *plan_exchange(struct planner *p, struct phys_node *input, const uint32_t *keys,
                                uint32_t count)
{
    struct phys_node *node = plan_node(p, NODE_EXCHANGE, &input, 1);
    uint32_t *copy = arena_array(p->arena, uint32_t, count + 1);

    if (count > 0)
        memcpy(copy, keys, count * sizeof *copy);
    node->schema = input->schema;
    node->exchange = (struct exchange_node){.keys = copy,
                                            .key_count = count,
                                            .level = node->stage,
                                            .merge = true};
    return node;
}

struct phys_node *plan_calc(struct planner *p, struct relation *r, struct expr **project,
                            const struct scope_column *columns, uint32_t count)
{
    struct phys_node *node = plan_node(p, NODE_CALC, &r->node, 1);

    node->schema = plan_schema(p, columns, count);
    node->calc = (struct calc_node){r->filter, project, count};
    r->filter = NULL;
    return node;
}

void materialize_filter(struct planner *p, struct relation *r)
{
    struct phys_node *node;

    if (r->filter == NULL)
        return;
    node = plan_node(p, NODE_CALC, &r->node, 1);
    node->schema = r->node->schema;
    node->calc = (struct calc_node){r->filter, NULL, 0};
    r->filter = NULL;
    r->node = node;
}

/* ---- sinks ---- */

/* The columns of PARTITIONED BY, as numbers. */
static void sink_partitions(struct planner *p, const struct table *table, struct sink_node *sink,
                            struct ast_at at)
{
    const struct ast_statement *ddl = table->ddl;
    uint32_t *columns;

    if (ddl == NULL || ddl->partitioned_by_count == 0)
        return;
    columns = arena_array(p->arena, uint32_t, ddl->partitioned_by_count);
    for (uint32_t i = 0; i < ddl->partitioned_by_count; i++) {
        uint32_t k = 0;

        while (k < table->schema.field_count &&
               strcmp(table->schema.fields[k].name, ddl->partitioned_by[i]) != 0)
            k++;
        if (k == table->schema.field_count)
            plan_fail(p, at, MILL_E_NAME, "table %s is PARTITIONED BY %s, which it does not have",
                      table->name, ddl->partitioned_by[i]);
        if (table->schema.fields[k].type.kind >= MILL_ROW)
            plan_fail(p, at, MILL_E_TYPE,
                      "table %s is PARTITIONED BY %s, which is a ROW, an ARRAY, a MAP or a "
                      "MULTISET",
                      table->name, ddl->partitioned_by[i]);
        columns[i] = k;
    }
    sink->partition_by = columns;
    sink->partition_count = ddl->partitioned_by_count;
}

/* 'changelog.column' = 'op' and PRIMARY KEY: how rows that change are written. */
static void sink_kinds(struct planner *p, const struct table *table, struct phys_node *node)
{
    const char *name = option_text(&table->options, "changelog.column", NULL);
    const uint32_t n = node->schema.field_count;
    struct mill_field *fields = arena_array(p->arena, struct mill_field, n + 1);

    node->sink.upserts = node->updating && table->ddl != NULL && table->ddl->primary_key_count > 0;
    if (name == NULL)
        return;
    if (table->ddl->partitioned_by_count > 0)
        plan_fail(p, (struct ast_at){table->options.line, table->options.column},
                  MILL_E_UNSUPPORTED,
                  "table %s: 'changelog.column' together with PARTITIONED BY is not supported yet",
                  table->name);
    fields[0] = (struct mill_field){name, type_string()};
    memcpy(fields + 1, node->schema.fields, n * sizeof *fields);
    node->sink.written = (struct mill_schema){n + 1, fields};
    node->sink.kinds_column = true;
}

static void add_sink(struct planner *p, struct relation *r, const struct table *table)
{
    struct phys_node *exchange, *node;
    const struct connector *connector = NULL;

    materialize_filter(p, r);
    if (table != NULL) {
        connector = need(p, (void *)table_connector(table, p->error));
        if (connector->sink == NULL && strcmp(connector->name, "memory") != 0)
            plan_fail(p, r->at, MILL_E_OPTION, "table %s: connector '%s' cannot be written",
                      table->name, connector->name);
    }
    exchange = plan_exchange(p, r->node, NULL, 0);
    exchange->exchange.sink = true;
    exchange->schema = plan_schema(p, r->columns, r->count);
    node = plan_node(p, NODE_SINK, &exchange, 1);
    node->schema = exchange->schema;
    node->sink =
        (struct sink_node){.table = table != NULL ? table->name : "result",
                           .vtable = connector != NULL ? connector->sink : NULL,
                           .options = table != NULL ? &table->options : NULL,
                           /* callbacks come from one shard */
                           .index =
                               connector != NULL && connector->sink == NULL ? 0 : p->sink_count++};
    node->sink.written = node->schema;
    if (table == NULL)
        return;
    sink_kinds(p, table, node);
    sink_partitions(p, table, &node->sink, r->at);
}

static const char *last(const struct ast_name *name)
{
    return name->parts[name->count - 1];
}

/* A table is written by one INSERT or one LATE DATA INTO of a plan. */
static void check_sink_free(struct planner *p, const struct table *table, struct ast_at at)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->nodes[i]->kind == NODE_SINK && p->nodes[i]->sink.options == &table->options)
            plan_fail(p, at, MILL_E_UNSUPPORTED,
                      "table %s is written twice in one statement set, which is not supported yet: "
                      "write one INSERT with UNION ALL",
                      table->name);
}

static const struct table *sink_table(struct planner *p, const struct ast_name *name)
{
    const struct table *table = catalog_table(p->catalog, last(name));

    if (table == NULL) {
        catalog_unknown_table(p->catalog, last(name), name->at, p->error);
        longjmp(p->failed, 1);
    }
    check_sink_free(p, table, name->at);
    return table;
}

static struct phys_node *late_rows(struct planner *p, struct phys_node *node)
{
    const struct mill_schema *input = &node->inputs[0]->schema;
    const uint32_t n = input->field_count;
    struct mill_field *fields = arena_array(p->arena, struct mill_field, n + 2);
    struct phys_node *late = plan_node(p, NODE_UNION, &node, 1);

    memcpy(fields, input->fields, n * sizeof *fields);
    fields[n] = (struct mill_field){"late_watermark", node->aggregate.window.time_type};
    fields[n + 1] = (struct mill_field){"late_reason", type_string()};
    late->schema = (struct mill_schema){n + 2, fields};
    node->late_to = arena_array(p->arena, struct phys_node *, 1);
    node->late_to[0] = late;
    node->late_to_count = 1;
    return late;
}

void plan_late_sink(struct planner *p, struct phys_node *node, const struct relation *r,
                    const uint32_t *at, const struct ast_name *name)
{
    const struct table *table = sink_table(p, name);
    const uint32_t own = relation_own(r), n = table->schema.field_count;
    struct scope_column *columns = arena_array(p->arena, struct scope_column, n + 1);
    struct expr **exprs = arena_array(p->arena, struct expr *, n + 1);
    struct relation late = {.at = name->at}, out = {.at = name->at, .count = n};

    if (n != own + 2)
        plan_fail(p, name->at, MILL_E_TYPE,
                  "LATE DATA INTO %s: the table has %u columns, late rows have %u: the %u of the "
                  "input, then late_watermark and late_reason",
                  table->name, n, own + 2, own);
    late.node = late_rows(p, node);
    for (uint32_t i = 0; i < n; i++) {
        const struct mill_field *f = &table->schema.fields[i];
        const uint32_t from = i < own ? at[i] : node->inputs[0]->schema.field_count + (i - own);

        columns[i] = (struct scope_column){.name = f->name, .type = f->type};
        exprs[i] =
            expr_column(&p->session, from, &late.node->schema.fields[from].type, place(name->at));
        exprs[i] = need(p, expr_coerce(&p->session, exprs[i], &f->type, p->error));
    }
    out.node = plan_calc(p, &late, exprs, columns, n);
    out.columns = columns;
    add_sink(p, &out, table);
}

/* For each column of @table the query's column that fills it: -1 none (NULL), -2 it is computed. Columns in the order of
 * the INSERT's list, or of the table. */
static void insert_targets(struct planner *p, const struct ast_statement *s,
                           const struct table *table, const struct relation *r, int32_t *from)
{
    uint32_t taken = 0;

    for (uint32_t i = 0; i < table->schema.field_count; i++)
        from[i] = table->ddl->columns[i].kind != COLUMN_PHYSICAL ? -2
                  : s->insert_column_count > 0                   ? -1
                                                                 : (int32_t)taken++;
    for (; taken < s->insert_column_count; taken++) {
        const char *name = s->insert_columns[taken];
        const int k = schema_find(&table->schema, name);

        if (k < 0)
            plan_fail(p, s->name.at, MILL_E_NAME, "table %s has no column %s", table->name, name);
        if (from[k] != -1)
            plan_fail(p, s->name.at, MILL_E_NAME, "column %s of table %s %s", name, table->name,
                      from[k] == -2 ? "is computed: it takes no values" : "stands twice");
        from[k] = (int32_t)taken;
    }
    if (taken != r->count)
        plan_fail(p, s->name.at, MILL_E_TYPE,
                  "INSERT INTO %s: the query gives %u columns, the table takes %u", table->name,
                  r->count, taken);
}

static void plan_insert(struct planner *p, const struct ast_statement *s)
{
    const struct table *table = sink_table(p, &s->name);
    const uint32_t n = table->schema.field_count;
    int32_t *from = arena_array(p->arena, int32_t, n + 1);
    struct expr **exprs = arena_array(p->arena, struct expr *, n + 1);
    struct scope_column *columns = arena_array(p->arena, struct scope_column, n + 1);
    struct relation r, out = {.at = s->at};

    if (s->static_partition_count > 0 || s->overwrite)
        plan_fail(p, s->at, MILL_E_UNSUPPORTED,
                  "INSERT OVERWRITE and PARTITION (...) are not supported yet");
    r = bind_query(p, s->query);
    check_sink_free(p, table, s->name.at); /* the query may have late rows */
    r.at = s->name.at;
    insert_targets(p, s, table, &r, from);
    for (uint32_t i = 0; i < n; i++) {
        const struct mill_field *f = &table->schema.fields[i];
        struct expr *e;

        if (from[i] == -2)
            continue;
        e = from[i] < 0 ? expr_null(&p->session, &f->type, place(s->name.at))
                        : expr_column(&p->session, (uint32_t)from[i], &r.columns[from[i]].type,
                                      place(s->query->at));
        exprs[out.count] = need(p, expr_coerce(&p->session, e, &f->type, p->error));
        columns[out.count++] = (struct scope_column){.name = f->name, .type = f->type};
    }
    out.node = plan_calc(p, &r, exprs, columns, out.count);
    out.columns = columns;
    add_sink(p, &out, table);
}

/* ---- plans ---- */

static void check_bounded(struct planner *p, const struct phys_node *node)
{
    if (node->kind != NODE_GROUP)
        return;
    for (const struct source_made *s = p->sources; s != NULL; s = s->next)
        if (s->table->temporary_file == false &&
            table_option(s->table, "source.monitor-interval") != NULL)
            plan_fail(p, (struct ast_at){node->line, node->column}, MILL_E_UNSUPPORTED,
                      "an aggregation without a window over the unbounded table %s never has final "
                      "rows, "
                      "as 'execution.runtime-mode' = 'batch' wants them: SET it to 'streaming'",
                      s->table->name);
}

static uint64_t fingerprint(const struct planner *p)
{
    uint64_t h = 0xcbf29ce484222325ull;
    const uint64_t sizes[] = {p->config->step_bytes, p->config->step_rows, p->config->look_back,
                              p->count};

    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        h = (h ^ sizes[i]) * 0x100000001b3ull;
    for (uint32_t i = 0; i < p->count; i++)
        h = (h ^ (p->nodes[i]->kind * 64 + p->nodes[i]->input_count)) * 0x100000001b3ull;
    return h;
}

static bool setting_is(const struct planner *p, const char *key, const char *value)
{
    const char *text = catalog_setting(p->catalog, key);

    return text != NULL && strcasecmp(text, value) == 0;
}

/* Without marking it as known to the connector. */
static const char *file_path(const struct options *options)
{
    for (uint32_t i = 0; options != NULL && i < options->count; i++)
        if (strcmp(options->items[i].key, "path") == 0)
            return options->items[i].value;
    return NULL;
}

/* A file that is read and written under one name would be gone with the first mistake. */
static void check_overwritten(struct planner *p)
{
    const struct env *env = p->catalog->env;

    for (uint32_t i = 0; i < p->count; i++) {
        const struct phys_node *sink = p->nodes[i];
        const char *to = sink->kind == NODE_SINK ? file_path(sink->sink.options) : NULL;
        struct env_stat about;

        for (uint32_t k = 0; to != NULL && k < p->count; k++) {
            const struct phys_node *source = p->nodes[k];
            const char *from =
                source->kind == NODE_SOURCE ? file_path(source->source.options) : NULL;

            if (from != NULL && strcmp(from, to) == 0 &&
                env->file.stat(env->self, to, &about) >= 0 && about.is_regular)
                plan_fail(p, (struct ast_at){sink->sink.options->line, sink->sink.options->column},
                          MILL_E_OPTION,
                          "table %s writes '%s', which table %s reads: its rows would be lost",
                          sink->sink.table, to, source->source.table);
        }
    }
}

/* The rows of an interval join lie behind the watermark of its inputs: whoever judges their lateness must know how far. Windows
 * that give final rows and allow lateness are held back by it, and what is behind them. */
static void set_holds(struct planner *p, struct phys_node *node, uint32_t source_count)
{
    const bool windows = node->kind == NODE_WINDOW || node->kind == NODE_SESSION ||
                         node->kind == NODE_WINDOW_CHANGES;
    const int64_t own = windows ? node->aggregate.emit.hold_ns : 0;
    int64_t *holds;
    bool any = own > 0;

    for (uint32_t k = 0; k < node->input_count; k++)
        any = any || node->inputs[k]->holds != NULL || node->inputs[k]->hold_back > 0;
    if (!any)
        return;
    holds = arena_array(p->arena, int64_t, source_count + 1);
    for (uint32_t k = 0; k < node->input_count; k++) {
        const struct phys_node *input = node->inputs[k];

        for (uint32_t s = 0; s < source_count; s++)
            if ((input->sources >> s & 1) != 0)
                holds[s] = max_i64(holds[s], time_add(input->holds != NULL ? input->holds[s] : 0,
                                                      time_add(input->hold_back, own)));
    }
    node->holds = holds;
}

static struct phys_plan *finish(struct planner *p)
{
    struct phys_plan *plan = arena_new(p->arena, struct phys_plan);

    plan_ranks(p);
    if (!setting_is(p, "millstream.optimizer.filter-push-down", "off"))
        plan_move_filters(p);
    plan_order(p);
    if (!setting_is(p, "millstream.optimizer.share-sub-plans", "false")) {
        plan_share(p);
        plan_order(p);
        plan_share_slices(p);
        plan_order(p);
        plan_views(p);
    }
    plan_needs(p);
    if (!setting_is(p, "millstream.optimizer.filter-push-down", "off"))
        plan_early_filters(p, !setting_is(p, "millstream.optimizer.filter-push-down", "all"));
    check_overwritten(p);
    plan_check_updates(p);
    plan_stages(p);
    plan->nodes = p->nodes;
    plan->node_count = p->count;
    plan->sources = arena_array(p->arena, struct phys_node *, p->count + 1);
    plan->bounded = true;
    for (uint32_t i = 0; i < p->count; i++) {
        struct phys_node *node = p->nodes[i];

        if (node->kind == NODE_SOURCE || node->kind == NODE_VALUES) {
            if (plan->source_count == 64)
                plan_fail(p, (struct ast_at){0, 0}, MILL_E_UNSUPPORTED,
                          "more than 64 sources in one query");
            node->sources = 1ull << plan->source_count;
            plan->sources[plan->source_count++] = node;
        }
        /* what is looked up has no part in the watermark */
        for (uint32_t k = 0; k < (node->kind == NODE_LOOKUP_JOIN ? 1 : node->input_count); k++)
            node->sources |= node->inputs[k]->sources;
        plan->stage_count = max_u32(plan->stage_count, node->stage + 1);
        check_bounded(p, node);
    }
    plan_read_first(p);
    for (uint32_t i = 0; i < p->count; i++)
        set_holds(p, p->nodes[i], plan->source_count);
    plan_positions(p);
    plan->fingerprint = fingerprint(p);
    return plan;
}

static void plan_all(struct planner *p, const struct ast_statement *s, struct phys_plan **out)
{
    struct relation r;

    switch (s->kind) {
    case STATEMENT_INSERT: plan_insert(p, s); break;
    case STATEMENT_SET_OF_INSERTS:
        for (p->query = 0; p->query < s->inner_count; p->query++)
            plan_insert(p, s->inner[p->query]);
        break;
    case STATEMENT_SELECT:
        r = bind_query(p, s->query);
        r.at = s->at;
        add_sink(p, &r, NULL);
        break;
    default: plan_fail(p, s->at, MILL_E_SYNTAX, "this statement is no query");
    }
    *out = finish(p);
}

int plan_statement(struct catalog *catalog, const struct ast_statement *statement,
                   const struct plan_config *config, struct arena *arena, struct phys_plan **out,
                   struct mill_error *error)
{
    struct planner p = {.catalog = catalog, .config = config, .arena = arena, .error = error};
    jmp_buf *const before = arena->on_full;
    jmp_buf full;

    p.session = (struct expr_session){.env = catalog->env,
                                      .arena = arena,
                                      .zone = catalog->zone,
                                      .seed = config->seed};
    if (setjmp(full) != 0) {
        arena->on_full = before;
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to plan the query");
    }
    arena->on_full = &full;
    if (setjmp(p.failed) == 0)
        plan_all(&p, statement, out);
    arena->on_full = before;
    if (error->code == MILL_OK)
        (*out)->zone = catalog->zone;
    return error->code;
}
