/* core/plan/show.c - DESCRIBE, SHOW and SET without a key: the catalog as text.
 *
 * Columns get their types from a plan of SELECT *, so that views and computed columns show what a query would see.
 */
#include "core/plan/catalog.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

struct shown {
    plan_text text;
    void *user;
};

static void put_line(const struct shown *out, const char *format, ...) PRINTF_LIKE(2, 3);
static void put_line(const struct shown *out, const char *format, ...)
{
    char buffer[4096];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(buffer, sizeof buffer - 1, format, args);
    va_end(args);
    if (out->text == NULL || n < 0)
        return;
    n = n > (int)sizeof buffer - 2 ? (int)sizeof buffer - 2 : n;
    buffer[n] = '\n';
    out->text(out->user, buffer, (size_t)n + 1);
}

static const char *last(const struct ast_name *name)
{
    return name->parts[name->count - 1];
}

/* ---- DESCRIBE ---- */

/* The plan of SELECT * FROM @name, in @arena. */
static int plan_of(struct catalog *c, const char *name, struct arena *arena,
                   struct phys_plan **plan, struct mill_error *error)
{
    const struct plan_config config = {STEP_BYTES, STEP_ROWS, 8, 1, false};
    struct ast_script script;
    char sql[600];
    int n = snprintf(sql, sizeof sql, "SELECT * FROM `%s`", name), code;

    if (n >= (int)sizeof sql)
        return mill_fail(error, MILL_E_NAME, 0, 0, "a name of %zu bytes is too long", strlen(name));
    code = parse(arena, sql, (size_t)n, NULL, NULL, &script, error);
    return code != MILL_OK ? code
                           : plan_statement(c, script.statements[0], &config, arena, plan, error);
}

static const struct ast_column *column_of(const struct table *t, const char *name)
{
    for (uint32_t i = 0; t != NULL && i < t->ddl->column_count; i++)
        if (strcmp(t->ddl->columns[i].name, name) == 0)
            return &t->ddl->columns[i];
    return NULL;
}

static bool in_key(const struct table *t, const struct ast_column *column)
{
    bool found = column != NULL && column->primary_key;

    for (uint32_t i = 0; column != NULL && i < t->ddl->primary_key_count; i++)
        found = found || strcmp(t->ddl->primary_key[i], column->name) == 0;
    return found;
}

/* One column: name, type, whether it may be NULL, key, where it comes from, watermark. */
static void put_column(const struct shown *out, const struct table *t, const struct phys_node *from,
                       const struct mill_field *field)
{
    const struct ast_column *column = column_of(t, field->name);
    const int at = from != NULL ? schema_find(&from->schema, field->name) : -1;
    const struct watermark_spec *w = from != NULL ? &from->source.watermark : NULL;
    struct mill_type bare =
        field->type; /* of a computed column of a sink: not planned, MILL_NULL */
    char type[400], extra[900] = "", mark[900] = "";

    if (column != NULL && column->kind == COLUMN_METADATA)
        snprintf(extra, sizeof extra, "METADATA FROM '%s'%s",
                 column->metadata_key != NULL ? column->metadata_key : column->name,
                 column->virtual_ ? " VIRTUAL" : "");
    else if (at >= 0 && from->source.computed != NULL && from->source.computed[at] != NULL) {
        memcpy(extra, "AS ", 4);
        expr_text(from->source.computed[at], &from->schema, extra + 3, sizeof extra - 3);
    }
    if (w != NULL && w->expression != NULL && w->column == at)
        expr_text(w->expression, &from->schema, mark, sizeof mark);
    bare.not_null = false;
    put_line(out, "%-20s %-24s %-5s %-4s %s%s%s", field->name,
             bare.kind != MILL_NULL ? type_name(&bare, type, sizeof type) : "computed",
             field->type.not_null ? "FALSE" : "TRUE", in_key(t, column) ? "PRI" : "", extra,
             mark[0] != '\0' ? " *ROWTIME* watermark " : "", mark);
}

static int describe(struct catalog *c, const struct ast_statement *s, const struct shown *out,
                    struct mill_error *error)
{
    const struct table *t = catalog_table(c, last(&s->name));
    const struct connector *connector = t != NULL ? table_connector(t, error) : NULL;
    const struct phys_node *from = NULL;
    struct phys_plan *plan = NULL;
    struct arena arena;
    int code = MILL_OK;

    if (t == NULL && catalog_view(c, last(&s->name)) == NULL)
        return catalog_unknown_table(c, last(&s->name), s->name.at, error);
    arena_open(&arena, c->heap);
    if (t == NULL || connector->source != NULL || strcmp(connector->name, "memory") == 0)
        code = plan_of(c, last(&s->name), &arena, &plan, error);
    if (code == MILL_OK) {
        const struct mill_schema *schema =
            plan != NULL ? &plan->nodes[plan->node_count - 1]->schema : &t->schema;

        if (t != NULL && plan != NULL && plan->source_count == 1 &&
            plan->sources[0]->kind == NODE_SOURCE)
            from = plan->sources[0];
        put_line(out, "%-20s %-24s %-5s %-4s %s", "name", "type", "null", "key", "extras");
        for (uint32_t i = 0; i < schema->field_count; i++)
            put_column(out, t, from, &schema->fields[i]);
    }
    arena_close(&arena);
    return code;
}

/* ---- SHOW ---- */

/* In the order in which they were made: lists grow at their head. */
static void show_tables(const struct table *t, const struct shown *out)
{
    if (t == NULL)
        return;
    show_tables(t->next, out);
    if (!t->temporary_file)
        put_line(out, "%s", t->name);
}

static void show_views(const struct view *v, const struct shown *out)
{
    if (v == NULL)
        return;
    show_views(v->next, out);
    put_line(out, "%s", v->name);
}

static int show_create(const struct catalog *c, const struct ast_statement *s,
                       const struct shown *out, struct mill_error *error)
{
    const struct table *t = catalog_table(c, last(&s->name));
    const struct view *v = catalog_view(c, last(&s->name));

    if ((s->show == SHOW_CREATE_VIEW ? v == NULL : t == NULL) && (t != NULL || v != NULL))
        return mill_fail(error, MILL_E_NAME, s->name.at.line, s->name.at.column,
                         "%s is a %s: SHOW CREATE %s shows it", last(&s->name),
                         t != NULL ? "table" : "view", t != NULL ? "TABLE" : "VIEW");
    if (t == NULL && v == NULL)
        return catalog_unknown_table(c, last(&s->name), s->name.at, error);
    if (out->text != NULL) {
        const char *source = t != NULL ? t->ddl->source : v->ddl->source;

        out->text(out->user, source, strlen(source));
        out->text(out->user, "\n", 1);
    }
    return MILL_OK;
}

int catalog_show(struct catalog *c, const struct ast_statement *s, plan_text text, void *user,
                 struct mill_error *error)
{
    const struct shown out = {text, user};

    if (s->kind == STATEMENT_DESCRIBE || (s->kind == STATEMENT_SHOW && s->show == SHOW_COLUMNS))
        return describe(c, s, &out, error);
    if (s->kind == STATEMENT_SET || s->show == SHOW_SETTINGS) {
        for (const struct setting *k = c->settings; k != NULL; k = k->next)
            put_line(&out, "'%s' = '%s'", k->key, k->value);
        return MILL_OK;
    }
    switch (s->show) {
    case SHOW_TABLES:
        show_tables(c->tables, &out);
        __attribute__((fallthrough)); /* Flink lists views among the tables */
    case SHOW_VIEWS: show_views(c->views, &out); return MILL_OK;
    case SHOW_FUNCTIONS:
        for (const struct user_function *f = c->functions; f != NULL; f = f->next)
            put_line(&out, "%s", f->name);
        return MILL_OK;
    default: return show_create(c, s, &out, error);
    }
}
