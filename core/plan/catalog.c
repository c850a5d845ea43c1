/* core/plan/catalog.c - tables, views, functions, settings; the statements that change and show them. */
#include "core/plan/catalog.h"

#include "core/zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

struct catalog *catalog_new(struct heap *heap, const struct env *env)
{
    struct catalog *c = heap_zalloc(heap, sizeof *c);

    if (c == NULL)
        return NULL;
    c->env = env;
    c->heap = heap;
    arena_open(&c->arena, heap);
    return c;
}

void catalog_free(struct catalog *c)
{
    arena_close(&c->arena);
    heap_free(c->heap, c, sizeof *c);
}

/* ---- finding ---- */

struct table *catalog_table(const struct catalog *c, const char *name)
{
    for (struct table *t = c->tables; t != NULL; t = t->next)
        if (strcmp(t->name, name) == 0)
            return t;
    return NULL;
}

struct view *catalog_view(const struct catalog *c, const char *name)
{
    for (struct view *v = c->views; v != NULL; v = v->next)
        if (strcmp(v->name, name) == 0)
            return v;
    return NULL;
}

struct user_function *catalog_function(const struct catalog *c, const char *name)
{
    for (struct user_function *f = c->functions; f != NULL; f = f->next)
        if (strcasecmp(f->name, name) == 0)
            return f;
    return NULL;
}

int catalog_unknown_table(const struct catalog *c, const char *name, struct ast_at at,
                          struct mill_error *error)
{
    const char *names[512];
    size_t n = 0;
    const char *near;

    for (const struct table *t = c->tables; t != NULL && n < COUNT_OF(names); t = t->next)
        names[n++] = t->name;
    for (const struct view *v = c->views; v != NULL && n < COUNT_OF(names); v = v->next)
        names[n++] = v->name;
    near = nearest_name(name, names, n);
    if (near != NULL)
        return mill_fail(error, MILL_E_NAME, at.line, at.column,
                         "there is no table %s; did you mean %s?", name, near);
    return mill_fail(error, MILL_E_NAME, at.line, at.column,
                     "there is no table %s; CREATE TABLE makes one, a file is read with FROM "
                     "'path'",
                     name);
}

const char *table_option(const struct table *table, const char *key)
{
    for (uint32_t i = 0; i < table->options.count; i++)
        if (strcasecmp(table->options.items[i].key, key) == 0) {
            *table->options.items[i].used = true;
            return table->options.items[i].value;
        }
    return NULL;
}

const struct connector *table_connector(const struct table *table, struct mill_error *error)
{
    const char *name = table_option(table, "connector");
    const char *names[64];
    char all[400] = "";
    size_t n = 0, length = 0;
    const char *near;

    if (name == NULL) {
        mill_fail(error, MILL_E_OPTION, table->options.line, table->options.column,
                  "table %s has no 'connector': WITH ('connector' = 'filesystem', ...)",
                  table->name);
        return NULL;
    }
    for (size_t i = 0; mill_connectors[i] != NULL; i++) {
        if (strcmp(mill_connectors[i]->name, name) == 0)
            return mill_connectors[i];
        if (n < COUNT_OF(names))
            names[n++] = mill_connectors[i]->name;
        length += (size_t)snprintf(all + length, sizeof all - length, "%s%s", i > 0 ? ", " : "",
                                   mill_connectors[i]->name);
        length = min_u64(length, sizeof all - 1);
    }
    near = nearest_name(name, names, n);
    mill_fail(error, MILL_E_OPTION, table->options.line, table->options.column,
              "table %s: there is no connector '%s'%s%s%s; there are %s", table->name, name,
              near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
              near != NULL ? "'?" : "", all);
    return NULL;
}

const char *catalog_setting(const struct catalog *c, const char *key)
{
    for (const struct setting *s = c->settings; s != NULL; s = s->next)
        if (strcmp(s->key, key) == 0)
            return s->value;
    return NULL;
}

const struct mill_schema *catalog_memory_table(struct catalog *c, const char *name,
                                               struct mill_error *error)
{
    struct table *t = catalog_table(c, name);
    const char *connector;
    struct mill_schema *schema;
    struct mill_field *fields;

    if (t == NULL) {
        catalog_unknown_table(c, name, (struct ast_at){0, 0}, error);
        return NULL;
    }
    connector = table_option(t, "connector");
    if (connector == NULL || strcmp(connector, "memory") != 0) {
        mill_fail(error, MILL_E_ARGUMENT, 0, 0, "table %s has connector '%s', not 'memory'", name,
                  connector != NULL ? connector : "");
        return NULL;
    }
    if (t->input != NULL) {
        mill_fail(error, MILL_E_STATE, 0, 0, "the input of table %s is already open", name);
        return NULL;
    }
    schema = arena_new(&c->arena, struct mill_schema);
    fields = arena_array(&c->arena, struct mill_field, t->schema.field_count + 1);
    if (schema == NULL || fields == NULL) {
        mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for the input of table %s", name);
        return NULL;
    }
    for (uint32_t i = 0; i < t->schema.field_count; i++)
        if (t->ddl->columns[i].kind == COLUMN_PHYSICAL)
            fields[schema->field_count++] = t->schema.fields[i];
    schema->fields = fields;
    return schema;
}

bool catalog_table_has_watermark(struct catalog *c, const char *name)
{
    const struct table *t = catalog_table(c, name);

    return t != NULL && t->ddl != NULL && t->ddl->watermark_column != NULL;
}

void catalog_set_input(struct catalog *c, const char *name, struct mill_input *input)
{
    struct table *t = catalog_table(c, name);

    if (t != NULL)
        t->input = input;
}

/* ---- CREATE ---- */

static const char *last(const struct ast_name *name)
{
    return name->parts[name->count - 1];
}

static int exists(const struct ast_statement *s, const char *what, struct mill_error *error)
{
    return mill_fail(error, MILL_E_NAME, s->name.at.line, s->name.at.column,
                     "there already is a %s %s; DROP it first, or write IF NOT EXISTS", what,
                     last(&s->name));
}

/* The keys of Flink's first connectors, as NEXMark's q13 has them. */
static const char *key_of_today(const char *key)
{
    static const char *const old[][2] = {{"connector.type", "connector"},
                                         {"connector.path", "path"},
                                         {"format.type", "format"}};

    for (size_t i = 0; i < COUNT_OF(old); i++)
        if (strcasecmp(old[i][0], key) == 0)
            return old[i][1];
    return key;
}

static void table_options(struct catalog *c, struct table *t, const struct ast_statement *s)
{
    struct option *items = arena_array(&c->arena, struct option, s->property_count + 1);
    bool *used = arena_array(&c->arena, bool, s->property_count + 1);

    for (uint32_t i = 0; i < s->property_count; i++) {
        const struct ast_property *p = &s->properties[i];

        items[i] = (struct option){key_of_today(p->key), p->value, p->value_at.line,
                                   p->value_at.column, &used[i]};
    }
    t->options =
        (struct options){items, s->property_count, s->name.at.line, s->name.at.column, t->name};
}

const struct table *table_with_options(struct arena *arena, const struct table *table,
                                       const struct ast_property *properties, uint32_t count)
{
    struct table *t = arena_new(arena, struct table);
    struct option *items = arena_array(arena, struct option, table->options.count + count + 1);
    bool *used = arena_array(arena, bool, count + 1);
    uint32_t n = 0;

    *t = *table;
    for (uint32_t i = 0; i < table->options.count; i++) {
        bool replaced = false;

        for (uint32_t k = 0; k < count; k++)
            replaced = replaced ||
                       strcmp(key_of_today(properties[k].key), table->options.items[i].key) == 0;
        if (!replaced)
            items[n++] = table->options.items[i];
    }
    for (uint32_t k = 0; k < count; k++)
        items[n++] =
            (struct option){key_of_today(properties[k].key), properties[k].value,
                            properties[k].value_at.line, properties[k].value_at.column, &used[k]};
    t->options.items = items;
    t->options.count = n;
    return t;
}

const char *column_metadata(const struct ast_column *column)
{
    if (column->kind != COLUMN_METADATA)
        return NULL;
    return column->metadata_key != NULL ? column->metadata_key : column->name;
}

static int no_column(const struct ast_statement *s, const char *what, const char *name,
                     struct ast_at at, struct mill_error *error)
{
    const char *names[1024], *near;
    const uint32_t n = min_u32(s->column_count, COUNT_OF(names));

    for (uint32_t i = 0; i < n; i++)
        names[i] = s->columns[i].name;
    near = nearest_name(name, names, n);
    return mill_fail(error, MILL_E_NAME, at.line, at.column,
                     "the %s column %s is not a column of table %s%s%s%s", what, name,
                     last(&s->name), near != NULL ? "; did you mean " : "",
                     near != NULL ? near : "", near != NULL ? "?" : "");
}

static uint32_t column_of(const struct ast_statement *s, const char *name)
{
    uint32_t i = 0;

    while (i < s->column_count && strcmp(s->columns[i].name, name) != 0)
        i++;
    return i;
}

/* Whether PRIMARY KEY and WATERMARK name columns of the table. The type of a computed one is found when a query reads it. */
static int check_named(const struct ast_statement *s, const struct mill_field *fields,
                       struct mill_error *error)
{
    const struct ast_name *time = s->watermark_column;
    char text[80];
    uint32_t i;

    for (uint32_t k = 0; k < s->primary_key_count; k++)
        if (column_of(s, s->primary_key[k]) == s->column_count)
            return no_column(s, "PRIMARY KEY", s->primary_key[k], s->at, error);
    if (time == NULL || time->count > 1)
        return MILL_OK;
    i = column_of(s, time->parts[0]);
    if (i == s->column_count)
        return no_column(s, "WATERMARK", time->parts[0], time->at, error);
    if (s->columns[i].type != NULL && fields[i].type.kind != MILL_TIMESTAMP &&
        fields[i].type.kind != MILL_TIMESTAMP_LTZ)
        return mill_fail(error, MILL_E_TYPE, time->at.line, time->at.column,
                         "the WATERMARK column %s is %s, it must be TIMESTAMP(p) or "
                         "TIMESTAMP_LTZ(p)",
                         time->parts[0], type_name(&fields[i].type, text, sizeof text));
    return MILL_OK;
}

static int create_table(struct catalog *c, const struct ast_statement *s, struct mill_error *error)
{
    struct table *t;
    struct mill_field *fields;

    if (catalog_table(c, last(&s->name)) != NULL || catalog_view(c, last(&s->name)) != NULL)
        return s->if_not_exists ? MILL_OK : exists(s, "table", error);
    if (s->like != NULL && (s = table_like(c, s, error)) == NULL)
        return error->code;
    if (s->column_count > COLUMNS_MAX)
        return mill_fail(error, MILL_E_UNSUPPORTED, s->name.at.line, s->name.at.column,
                         "table %s has %u columns, at most %u are supported", last(&s->name),
                         s->column_count, COLUMNS_MAX);
    t = arena_new(&c->arena, struct table);
    fields = arena_array(&c->arena, struct mill_field, s->column_count + 1);
    for (uint32_t i = 0; i < s->column_count; i++) {
        const struct ast_column *column = &s->columns[i];

        for (uint32_t k = 0; k < i; k++)
            if (strcmp(s->columns[k].name, column->name) == 0)
                return mill_fail(error, MILL_E_NAME, column->at.line, column->at.column,
                                 "column %s stands twice in table %s", column->name,
                                 last(&s->name));
        fields[i].name = column->name;
        if (column->type != NULL)
            fields[i].type = column->type->type;
    }
    if (check_named(s, fields, error) != MILL_OK)
        return error->code;
    t->name = last(&s->name);
    t->ddl = s;
    t->schema = (struct mill_schema){s->column_count, fields};
    table_options(c, t, s);
    if (table_connector(t, error) == NULL)
        return MILL_E_OPTION;
    t->next = c->tables;
    c->tables = t;
    return MILL_OK;
}

static int create_view(struct catalog *c, const struct ast_statement *s, struct mill_error *error)
{
    struct view *v;

    if (catalog_table(c, last(&s->name)) != NULL || catalog_view(c, last(&s->name)) != NULL)
        return s->if_not_exists ? MILL_OK : exists(s, "view", error);
    v = arena_new(&c->arena, struct view);
    *v = (struct view){c->views, last(&s->name), s};
    c->views = v;
    return MILL_OK;
}

static bool type_whole(const struct mill_type *t)
{
    const uint32_t fields = t->kind == MILL_MAP ? 2 : 1;

    if (t->kind >= MILL_ARRAY && t->kind <= MILL_MULTISET) {
        for (uint32_t i = 0; i < t->field_count && t->fields != NULL; i++)
            if (!type_whole(&t->fields[i].type))
                return false;
        return t->field_count == fields && t->fields != NULL;
    }
    return t->kind > MILL_NULL && t->kind < MILL_ROW &&
           (t->kind != MILL_DECIMAL ||
            (t->precision >= 1 && t->precision <= 38 && t->scale <= t->precision)) &&
           t->precision <= (t->kind == MILL_DECIMAL ? 38 : 9);
}

/* A table function may give ROWs. */
static bool result_whole(const struct mill_function *f)
{
    const struct mill_type *t = &f->result_type;

    if (f->kind != MILL_TABLE || t->kind != MILL_ROW)
        return type_whole(t);
    for (uint32_t i = 0; i < t->field_count && t->fields != NULL; i++)
        if (t->fields[i].name == NULL || !type_whole(&t->fields[i].type))
            return false;
    return t->field_count > 0 && t->field_count <= COLUMNS_MAX && t->fields != NULL;
}

/* What its kind needs and it has not; NULL: it is whole. */
static const char *missing(const struct mill_function *f)
{
    if (f->arg_count > 0 && f->arg_types == NULL)
        return "arg_types";
    switch (f->kind) {
    case MILL_SCALAR: return f->eval == NULL ? "eval" : NULL;
    case MILL_TABLE: return f->rows == NULL ? "rows" : NULL;
    case MILL_AGGREGATE:
        return f->accumulate == NULL ? "accumulate"
               : f->merge == NULL    ? "merge"
               : f->result == NULL   ? "result"
                                     : NULL;
    default: return "kind";
    }
}

static int check_function(const struct mill_function *f, const struct ast_statement *s,
                          struct mill_error *error)
{
    if (missing(f) != NULL)
        return mill_fail(error, MILL_E_OPTION, s->at.line, s->at.column,
                         "%s in %s is not whole: %s is %s", s->text, s->library, missing(f),
                         strcmp(missing(f), "kind") == 0 ? "none of enum mill_function_kind"
                                                         : "NULL");
    if (f->kind == MILL_AGGREGATE && (f->state_bytes == 0 || f->state_bytes > 65536 ||
                                      f->arg_count == 0 || f->arg_count > AGG_USER_ARGS_MAX))
        return mill_fail(error, MILL_E_OPTION, s->at.line, s->at.column,
                         "%s in %s: an aggregate has 1 to %u arguments and a state of 1 to 65536 "
                         "bytes, this one has %u and %u",
                         s->text, s->library, AGG_USER_ARGS_MAX, f->arg_count, f->state_bytes);
    if (!result_whole(f))
        return mill_fail(error, MILL_E_OPTION, s->at.line, s->at.column,
                         "%s in %s: its result_type is none that a function can give", s->text,
                         s->library);
    for (uint32_t i = 0; i < f->arg_count; i++)
        if (!type_whole(&f->arg_types[i]))
            return mill_fail(error, MILL_E_OPTION, s->at.line, s->at.column,
                             "%s in %s: the type of argument %u is none that a function can take",
                             s->text, s->library, i + 1);
    return MILL_OK;
}

/* The symbol with zeros for what it is too old to have. NULL: @error. */
static const struct mill_function *load_function(struct catalog *c, const struct ast_statement *s,
                                                 struct mill_error *error)
{
    struct mill_function *f = arena_new(&c->arena, struct mill_function);
    char why[200] = "";
    const struct mill_function *symbol =
        c->env->run.library(c->env->self, s->library, s->text, why, sizeof why);

    if (symbol == NULL) {
        mill_fail(error, MILL_E_NO_INPUT, s->at.line, s->at.column,
                  "cannot load function %s from %s: %s", s->text, s->library, why);
        return NULL;
    }
    if (symbol->struct_bytes < offsetof(struct mill_function, kind) ||
        symbol->struct_bytes > sizeof *f) {
        mill_fail(error, MILL_E_OPTION, s->at.line, s->at.column,
                  "%s in %s was built for another version of millstream.h", s->text, s->library);
        return NULL;
    }
    memcpy(f, symbol, symbol->struct_bytes);
    return check_function(f, s, error) == MILL_OK ? f : NULL;
}

static int create_function(struct catalog *c, const struct ast_statement *s,
                           struct mill_error *error)
{
    struct user_function *f;

    if (catalog_function(c, last(&s->name)) != NULL)
        return s->if_not_exists ? MILL_OK : exists(s, "function", error);
    f = arena_new(&c->arena, struct user_function);
    f->name = last(&s->name);
    if (s->library != NULL) {
        if (s->language != NULL && strcasecmp(s->language, "C") != 0)
            return mill_fail(error, MILL_E_UNSUPPORTED, s->at.line, s->at.column,
                             "functions in %s are not supported: LANGUAGE C USING LIBRARY '...'",
                             s->language);
        f->function = load_function(c, s, error);
        if (f->function == NULL)
            return error->code;
    } else {
        f->builtin = strcasecmp(f->name, "count_char") == 0 ? "COUNT_CHAR" : s->text;
    }
    f->next = c->functions;
    c->functions = f;
    return MILL_OK;
}

/* ---- SET ---- */

static const char zone_setting[] = "table.local-time-zone";

static const char *const settings[] = {zone_setting,
                                       "table.exec.source.idle-timeout",
                                       "execution.runtime-mode",
                                       "state.memory.limit",
                                       "delivery.guarantee",
                                       "parallelism.default",
                                       "table.exec.state.ttl",
                                       "table.exec.emit.early-fire.enabled",
                                       "table.exec.emit.early-fire.delay",
                                       "table.exec.emit.late-fire.enabled",
                                       "table.exec.emit.late-fire.delay",
                                       "table.exec.emit.allow-lateness",
                                       "table.exec.mini-batch.enabled",
                                       "table.exec.mini-batch.allow-latency",
                                       "table.exec.mini-batch.size",
                                       "table.optimizer.agg-phase-strategy",
                                       BROADCAST_SETTING,
                                       "millstream.optimizer.filter-push-down",
                                       "millstream.optimizer.share-sub-plans",
                                       "millstream.match.partial-matches",
                                       "table.optimizer.distinct-agg.split.enabled",
                                       "execution.checkpointing.interval",
                                       "pipeline.name",
                                       "sql-client.execution.result-mode",
                                       "pipeline.object-reuse",
                                       "state.backend.type",
                                       "table.dml-sync",
                                       "table.exec.sink.not-null-enforcer",
                                       "pipeline.max-parallelism",
                                       "pipeline.operator-chaining",
                                       "pipeline.operator-chaining.enabled",
                                       "table.exec.resource.default-parallelism",
                                       "table.exec.sink.upsert-materialize",
                                       "table.optimizer.distinct-agg.split.bucket-num"};

/* Settings of a few words. */
static int check_choice(const struct ast_statement *s, struct mill_error *error)
{
    static const struct {
        const char *key, *what, *words[3];
    } choices[] =
        {{"table.optimizer.agg-phase-strategy",
          "aggregation strategy",
          {"AUTO", "ONE_PHASE", "TWO_PHASE"}},
         {"millstream.optimizer.filter-push-down", "filter push-down", {"EXACT", "ALL", "OFF"}},
         {"millstream.optimizer.share-sub-plans", "sharing of sub-plans", {"TRUE", "FALSE", NULL}},
         {"table.exec.emit.early-fire.enabled", "early firing", {"TRUE", "FALSE", NULL}},
         {"table.exec.emit.late-fire.enabled", "late firing", {"TRUE", "FALSE", NULL}}};

    for (size_t i = 0; i < COUNT_OF(choices); i++) {
        const char *const *words = choices[i].words;
        bool found = strcmp(s->key, choices[i].key) != 0;

        for (size_t k = 0; k < 3 && !found; k++)
            found = words[k] != NULL && strcasecmp(s->value, words[k]) == 0;
        if (!found)
            return mill_fail(error, MILL_E_OPTION, s->at.line, s->at.column,
                             "the %s '%s' is none of %s, %s%s%s", choices[i].what, s->value,
                             words[0], words[1], words[2] != NULL ? ", " : "",
                             words[2] != NULL ? words[2] : "");
    }
    return MILL_OK;
}

bool broadcast_bytes(const char *text, int64_t *bytes)
{
    char *end;

    *bytes = strtoll(text, &end, 10);
    return end != text && *end == '\0' && *bytes >= -1;
}

static int check_broadcast(const struct ast_statement *s, struct mill_error *error)
{
    int64_t bytes;

    if (strcmp(s->key, BROADCAST_SETTING) != 0 || broadcast_bytes(s->value, &bytes))
        return MILL_OK;
    return mill_fail(error, MILL_E_OPTION, s->at.line, s->at.column,
                     "the size up to which a joined table is copied to every shard is '%s', need "
                     "bytes, or -1 for never",
                     s->value);
}

static int check_duration(const struct ast_statement *s, struct mill_error *error)
{
    static const char *const durations[] = {"table.exec.source.idle-timeout",
                                            "table.exec.state.ttl",
                                            "table.exec.emit.early-fire.delay",
                                            "table.exec.emit.late-fire.delay",
                                            "table.exec.emit.allow-lateness",
                                            "table.exec.mini-batch.allow-latency"};
    bool used;
    const struct option option = {s->key, s->value, s->at.line, s->at.column, &used};
    const struct options options = {.items = &option, .count = 1};
    int64_t ns;

    for (size_t i = 0; i < COUNT_OF(durations); i++)
        if (strcmp(s->key, durations[i]) == 0)
            return option_duration_ns(&options, s->key, 0, &ns, error);
    return MILL_OK;
}

/* Keys, and prefixes of keys, which end with a dot. */
static const struct {
    const char *key, *why;
} refused[] = {{"delivery.guarantee",
                "delivery guarantees need checkpoints, which are not supported yet"},
               {"execution.checkpointing.", "checkpoints are not supported yet"},
               {"state.checkpoints.", "checkpoints are not supported yet"},
               {"state.savepoints.", "checkpoints are not supported yet"},
               {"restart-strategy", "a job that fails ends; what started it may start it again"},
               {"restart-strategy.", "a job that fails ends; what started it may start it again"},
               {"state.memory.limit",
                "the limit is the engine's: --set memory-limit=... on the command line, "
                "memory_limit of mill_config"}};

static int check_refused(const struct ast_statement *s, struct mill_error *error)
{
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        const char *key = refused[i].key;
        const size_t n = strlen(key);

        if (key[n - 1] == '.' ? strncmp(s->key, key, n) == 0 : strcmp(s->key, key) == 0)
            return mill_fail(error, MILL_E_UNSUPPORTED, s->at.line, s->at.column, "%s: %s", s->key,
                             refused[i].why);
    }
    return MILL_OK;
}

static int set(struct catalog *c, const struct ast_statement *s, struct mill_error *error)
{
    const struct zone *zone = c->zone;
    struct setting *made;
    bool known = false;

    if (check_refused(s, error) != MILL_OK)
        return error->code;
    for (size_t i = 0; i < COUNT_OF(settings); i++)
        known = known || strcmp(settings[i], s->key) == 0;
    if (!known) {
        const char *near = nearest_name(s->key, settings, COUNT_OF(settings));

        return mill_fail(error, MILL_E_NAME, s->at.line, s->at.column,
                         "there is no setting '%s'%s%s%s", s->key,
                         near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
                         near != NULL ? "'?" : "");
    }
    if (strcmp(s->key, zone_setting) == 0 &&
        zone_open(c->env, &c->arena, s->value, s->at.line, s->at.column, &zone, error) != MILL_OK)
        return error->code;
    if (strcmp(s->key, "execution.runtime-mode") == 0 && strcasecmp(s->value, "batch") != 0 &&
        strcasecmp(s->value, "streaming") != 0 && strcasecmp(s->value, "automatic") != 0)
        return mill_fail(error, MILL_E_OPTION, s->at.line, s->at.column,
                         "the runtime mode is '%s', need batch (final rows), streaming (a "
                         "changelog) or "
                         "automatic (by the input)",
                         s->value);
    if (check_choice(s, error) != MILL_OK || check_duration(s, error) != MILL_OK ||
        check_broadcast(s, error) != MILL_OK)
        return error->code;
    made = arena_new(&c->arena, struct setting);
    *made = (struct setting){c->settings, s->key, s->value};
    c->settings = made;
    c->zone = zone;
    return MILL_OK;
}

static void reset(struct catalog *c, const char *key)
{
    for (struct setting **at = &c->settings; *at != NULL;)
        if (key == NULL || strcmp((*at)->key, key) == 0)
            *at = (*at)->next;
        else
            at = &(*at)->next;
}

/* ---- DROP ---- */

static int drop(struct catalog *c, const struct ast_statement *s, struct mill_error *error)
{
    const char *name = last(&s->name);
    static const char *const kinds[] = {"table", "view", "function"};

    if (s->drop == DROP_TABLE)
        for (struct table **at = &c->tables; *at != NULL; at = &(*at)->next)
            if (strcmp((*at)->name, name) == 0) {
                *at = (*at)->next;
                return MILL_OK;
            }
    if (s->drop == DROP_VIEW)
        for (struct view **at = &c->views; *at != NULL; at = &(*at)->next)
            if (strcmp((*at)->name, name) == 0) {
                *at = (*at)->next;
                return MILL_OK;
            }
    if (s->drop == DROP_FUNCTION)
        for (struct user_function **at = &c->functions; *at != NULL; at = &(*at)->next)
            if (strcasecmp((*at)->name, name) == 0) {
                *at = (*at)->next;
                return MILL_OK;
            }
    if (s->if_exists)
        return MILL_OK;
    return mill_fail(error, MILL_E_NAME, s->name.at.line, s->name.at.column, "there is no %s %s",
                     kinds[s->drop], name);
}

/* ---- statements ---- */

int catalog_execute(struct catalog *c, const struct ast_statement *s, plan_text text, void *user,
                    bool *is_query, struct mill_error *error)
{
    jmp_buf *const before = c->arena.on_full;
    jmp_buf full;
    int code;

    *is_query = false;
    if (setjmp(full) != 0) {
        c->arena.on_full = before;
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for the catalog");
    }
    c->arena.on_full = &full;
    switch (s->kind) {
    case STATEMENT_CREATE_TABLE: code = create_table(c, s, error); break;
    case STATEMENT_CREATE_VIEW: code = create_view(c, s, error); break;
    case STATEMENT_CREATE_FUNCTION: code = create_function(c, s, error); break;
    case STATEMENT_DROP: code = drop(c, s, error); break;
    case STATEMENT_DESCRIBE:
    case STATEMENT_SHOW: code = catalog_show(c, s, text, user, error); break;
    case STATEMENT_SET:
        code = s->key != NULL ? set(c, s, error) : catalog_show(c, s, text, user, error);
        break;
    case STATEMENT_RESET:
        reset(c, s->key);
        code = MILL_OK;
        break;
    case STATEMENT_USE:
        code = mill_fail(error, MILL_E_UNSUPPORTED, s->at.line, s->at.column,
                         "USE is not supported: there is one catalog and one database");
        break;
    default: *is_query = true; code = MILL_OK;
    }
    c->arena.on_full = before;
    return code;
}
