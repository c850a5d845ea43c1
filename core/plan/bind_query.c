/* core/plan/bind_query.c - SELECT, FROM, WHERE, VALUES, views. */
#include "core/expr/functions.h"
#include "core/plan/bind.h"

#include <stdio.h>
#include <strings.h>

/* ---- FROM: tables ---- */

static bool is_proctime(const struct ast_expr *x)
{
    return x->kind == AST_CALL && x->arg_count == 0 &&
           strcasecmp(x->name.parts[x->name.count - 1], "PROCTIME") == 0;
}

/* ts - INTERVAL c: the delay in the column's unit; -1: some other expression. */
static int64_t watermark_delay(const struct expr *e, int32_t column, const struct mill_type *type)
{
    int64_t ns;

    if (e->kind == EXPR_COLUMN && e->index == (uint32_t)column)
        return 0;
    if (e->kind != EXPR_CALL || strcmp(e->function->name, "-") != 0 || e->arg_count != 2 ||
        e->args[0]->kind != EXPR_COLUMN || e->args[0]->index != (uint32_t)column ||
        e->args[1]->type.kind != MILL_INTERVAL_TIME || !expr_literal_i64(e->args[1], &ns) ||
        ns < 0 || ns % 1000 != 0)
        return -1;
    return type_is_nanos(type) ? ns : ns / 1000;
}

static void bind_watermark(struct planner *p, struct relation *r, const struct ast_statement *ddl,
                           struct watermark_spec *out)
{
    const struct ast_name *name = ddl->watermark_column;
    int column = -1;

    out->column = -1;
    if (name == NULL)
        return;
    if (name->count > 1)
        plan_fail(p, name->at, MILL_E_UNSUPPORTED,
                  "the WATERMARK column must be a column of the table, not a field of "
                  "a ROW: make a computed column of it");
    for (uint32_t i = 0; i < r->count; i++)
        if (strcmp(r->columns[i].name, name->parts[0]) == 0)
            column = (int)i;
    if (column < 0)
        plan_fail(p, name->at, MILL_E_NAME, "the WATERMARK column %s is not a column of the table",
                  name->parts[0]);
    if (!type_is_time(&r->columns[column].type)) {
        char text[80];

        plan_fail(p, name->at, MILL_E_TYPE,
                  "the WATERMARK column %s is %s, it must be TIMESTAMP(p) or TIMESTAMP_LTZ(p)",
                  name->parts[0], type_name(&r->columns[column].type, text, sizeof text));
    }
    out->column = column;
    out->expression = expr_fold(&p->session, bind_expr(p, r, NULL, ddl->watermark));
    out->expression = need(p, expr_cast(&p->session, out->expression, &r->columns[column].type,
                                        false, place(ddl->watermark->at), p->error));
    out->delay = watermark_delay(out->expression, column, &r->columns[column].type);
    r->columns[column].rowtime = true;
}

/* The table's own comes before the setting of all. 0: off. */
static int64_t idle_timeout(struct planner *p, const struct table *t)
{
    int64_t ns = plan_duration_ns(p, "table.exec.source.idle-timeout");

    if (option_duration_ns(&t->options, "scan.watermark.idle-timeout", ns, &ns, p->error) !=
        MILL_OK)
        longjmp(p->failed, 1);
    return ns;
}

static void bind_on_error(struct planner *p, const struct table *t, struct source_node *s)
{
    const char *how = table_option(t, "on-error");

    s->dead_letter_path = table_option(t, "dead-letter.path");
    s->on_error = ON_ERROR_FAIL;
    if (how == NULL || strcmp(how, "fail") == 0)
        return;
    if (strcmp(how, "skip") == 0) {
        s->on_error = ON_ERROR_SKIP;
    } else if (strcmp(how, "dead-letter") == 0) {
        s->on_error = ON_ERROR_DEAD;
        if (s->dead_letter_path == NULL)
            plan_fail(p, (struct ast_at){t->options.line, t->options.column}, MILL_E_OPTION,
                      "table %s: 'on-error' = 'dead-letter' needs 'dead-letter.path' = 'file'",
                      t->name);
    } else {
        plan_fail(p, (struct ast_at){t->options.line, t->options.column}, MILL_E_OPTION,
                  "table %s: 'on-error' is '%s', need fail, skip or dead-letter", t->name, how);
    }
}

/* The key of a METADATA column, which the connector must have. */
static const char *bind_metadata(struct planner *p, const struct table *t,
                                 const struct ast_column *column)
{
    const struct connector *connector = need(p, (void *)table_connector(t, p->error));
    const char *key = column_metadata(column);
    char names[200] = "", type[80];
    size_t n = 0;

    for (const struct metadata_key *k = connector->metadata; k != NULL && k->key != NULL; k++) {
        if (strcmp(k->key, key) == 0 && type_same(&k->type, &column->type->type))
            return key;
        if (strcmp(k->key, key) == 0)
            plan_fail(p, column->at, MILL_E_TYPE, "the metadata '%s' is %s: declare column %s so",
                      key, type_name(&k->type, type, sizeof type), column->name);
        if (n < sizeof names)
            n += (size_t)snprintf(names + n, sizeof names - n, "%s'%s'", n > 0 ? ", " : "", k->key);
    }
    plan_fail(p, column->at, MILL_E_NAME, "connector '%s' has no metadata '%s'; it has %s",
              connector->name, key, n > 0 ? names : "none");
}

/* Physical and metadata columns first as decoded; computed ones in their places. */
static void bind_columns(struct planner *p, const struct table *t, struct relation *r,
                         struct source_node *s)
{
    const char **metadata = arena_array(p->arena, const char *, t->schema.field_count + 2);
    const uint32_t n = t->schema.field_count;
    struct mill_field *decoded = arena_array(p->arena, struct mill_field, n + 2);
    const char *kinds = option_text(&t->options, "changelog.column", NULL);
    uint32_t count = 0;

    s->computed = arena_array(p->arena, struct expr *, n + 1);
    r->columns = arena_array(p->arena, struct scope_column, n + 1);
    r->count = n;
    s->kinds_column = kinds != NULL;
    if (kinds != NULL)
        decoded[count++] = (struct mill_field){kinds, type_string()};
    for (uint32_t i = 0; i < n; i++) {
        r->columns[i] = (struct scope_column){.name = t->schema.fields[i].name,
                                              .type = t->schema.fields[i].type};
        if (t->ddl != NULL && t->ddl->columns[i].kind == COLUMN_METADATA) {
            metadata[count] = bind_metadata(p, t, &t->ddl->columns[i]);
            s->metadata = metadata;
        }
        if (t->ddl == NULL || t->ddl->columns[i].kind != COLUMN_COMPUTED)
            decoded[count++] = t->schema.fields[i];
    }
    for (uint32_t i = 0; t->ddl != NULL && i < n; i++) {
        const struct ast_column *column = &t->ddl->columns[i];

        if (column->kind != COLUMN_COMPUTED)
            continue;
        r->columns[i].name = ""; /* it does not see itself */
        s->computed[i] = expr_fold(&p->session, bind_expr(p, r, NULL, column->expr));
        r->columns[i].name = t->schema.fields[i].name;
        r->columns[i].type = s->computed[i]->type;
        r->columns[i].proctime = is_proctime(column->expr);
    }
    s->decoded = (struct mill_schema){count, decoded};
}

/* Formats that tell of changes. */
static bool source_has_changes(const struct options *options)
{
    const char *format = option_text(options, "format", "");

    return strcmp(format, "debezium-json") == 0 || strcmp(format, "canal-json") == 0;
}

/* PRIMARY KEY (...) NOT ENFORCED: columns that tell rows apart. */
static void bind_primary_key(struct planner *p, const struct table *t, struct phys_node *node)
{
    const struct ast_statement *ddl = t->ddl;
    uint32_t *unique = arena_array(p->arena, uint32_t, t->schema.field_count + 1), n = 0;

    for (uint32_t k = 0; ddl != NULL && k < ddl->primary_key_count; k++) {
        uint32_t i = 0;

        while (i < t->schema.field_count &&
               strcmp(t->schema.fields[i].name, ddl->primary_key[k]) != 0)
            i++;
        if (i == t->schema.field_count)
            plan_fail(p, ddl->at, MILL_E_NAME, "the PRIMARY KEY column %s is not a column of %s",
                      ddl->primary_key[k], t->name);
        unique[n++] = i;
    }
    for (uint32_t i = 0; ddl != NULL && n == 0 && i < t->schema.field_count; i++)
        if (ddl->columns[i].primary_key)
            unique[n++] = i;
    node->unique = unique;
    node->unique_count = n;
}

static struct relation bind_source(struct planner *p, const struct table *t, struct ast_at at)
{
    struct relation r = {.at = at};
    const struct connector *connector = need(p, (void *)table_connector(t, p->error));
    struct source_node s = {.table = t->name, .options = &t->options};
    bool *wanted;

    for (const struct source_made *made = p->sources; made != NULL; made = made->next)
        if (made->table == t)
            return made->relation;
    s.vtable = strcmp(connector->name, "memory") == 0 ? NULL : connector->source;
    s.memory = t->input;
    if (s.vtable == NULL && strcmp(connector->name, "memory") != 0)
        plan_fail(p, at, MILL_E_OPTION, "table %s: connector '%s' cannot be read, only written",
                  t->name, connector->name);
    if (t->ddl != NULL && t->ddl->partitioned_by_count > 0)
        plan_fail(p, at, MILL_E_UNSUPPORTED,
                  "table %s is PARTITIONED BY %s: such a folder can be written, but reading the "
                  "columns back from its paths is not supported yet",
                  t->name, t->ddl->partitioned_by[0]);
    bind_columns(p, t, &r, &s);
    s.watermark.column = -1;
    if (t->ddl != NULL)
        bind_watermark(p, &r, t->ddl, &s.watermark);
    s.watermark.idle_timeout_ns = idle_timeout(p, t);
    bind_on_error(p, t, &s);
    wanted = arena_array(p->arena, bool, s.decoded.field_count + 1);
    s.wanted = wanted;
    r.node = plan_node(p, NODE_SOURCE, NULL, 0);
    r.node->schema = plan_schema(p, r.columns, r.count);
    r.node->source = s;
    if (s.kinds_column || source_has_changes(&t->options))
        plan_updating(r.node, arena_format(p->arena, "the stream of changes %s", t->name));
    r.node->rowtime = s.watermark.column;
    bind_primary_key(p, t, r.node);
    struct source_made *made = arena_new(p->arena, struct source_made);

    *made = (struct source_made){p->sources, t, r};
    p->sources = made;
    return r;
}

/* The source below what makes computed columns. */
static struct phys_node *table_source(const struct relation *r)
{
    struct phys_node *node = r->node;

    while (node->kind != NODE_SOURCE)
        node = node->inputs[0];
    return node;
}

/* FROM 'path': a table with an inferred schema, kept in the plan. */
static struct relation bind_file(struct planner *p, const struct ast_table *t)
{
    struct table *table = arena_new(p->arena, struct table);

    for (const struct source_made *made = p->sources; made != NULL; made = made->next)
        if (made->table->temporary_file && made->relation.node->query != p->query &&
            strcmp(made->table->name, t->text) == 0)
            return made->relation; /* read once for all queries of a STATEMENT SET */
    table->name = t->text;
    table->temporary_file = true;
    if (infer_file(p->catalog->env, t->text, p->arena, &table->schema, &table->options, NULL, 0,
                   p->error) != MILL_OK) {
        if (p->error->line == 0) {
            p->error->line = t->at.line;
            p->error->column = t->at.column;
        }
        longjmp(p->failed, 1);
    }
    table->options.line = t->at.line;
    table->options.column = t->at.column;
    table->options.table = table->name;
    struct relation r = bind_source(p, table, t->at);

    table_source(&r)->source.guessed = true;
    /* any of its timestamps serves windows; the watermark is +infinity at the end */
    for (uint32_t i = 0; i < r.count; i++)
        r.columns[i].rowtime = r.columns[i].rowtime || type_is_time(&r.columns[i].type);
    return r;
}

static bool names_query(const struct planner *p, const char *name)
{
    for (const struct with_made *w = p->with; w != NULL; w = w->next)
        if (strcmp(w->with->name, name) == 0)
            return true;
    return false;
}

static struct relation bind_table_name(struct planner *p, const struct ast_table *t)
{
    const char *name = t->name.parts[t->name.count - 1];
    const struct table *table;
    static const char *const suffixes[] = {"csv", "json", "jsonl",  "mcol", "gz",
                                           "zst", "pcap", "pcapng", "txt",  "tsv"};
    const struct view *view;

    table = catalog_table(p->catalog, name);
    if (t->option_count > 0 && (table == NULL || names_query(p, name)))
        plan_fail(p, t->at, MILL_E_UNSUPPORTED,
                  "the hint OPTIONS needs a table of CREATE TABLE, and %s is none", name);
    for (struct with_made *w = p->with; w != NULL; w = w->next)
        if (strcmp(w->with->name, name) == 0) {
            struct with_made *all = p->with;
            struct relation r;

            p->with = w->next; /* a sub-query sees those before it */
            r = bind_query(p, w->with->query);
            p->with = all;
            for (uint32_t i = 0; i < w->with->column_count && i < r.count; i++)
                r.columns[i].name = w->with->columns[i];
            return r;
        }
    if (table != NULL && t->option_count > 0)
        table = table_with_options(p->arena, table, t->options, t->option_count);
    if (table != NULL)
        return bind_source(p, table, t->at);
    view = catalog_view(p->catalog, name);
    if (view != NULL) {
        struct relation r;

        if (++p->depth > 64)
            plan_fail(p, t->at, MILL_E_NAME, "views nested more than 64 deep; does %s use itself?",
                      name);
        r = bind_query(p, view->ddl->query);
        p->depth--;
        for (uint32_t i = 0; i < view->ddl->insert_column_count && i < r.count; i++)
            r.columns[i].name = view->ddl->insert_columns[i];
        return r;
    }
    for (size_t i = 0; i < COUNT_OF(suffixes); i++)
        if (t->name.count == 2 && strcasecmp(name, suffixes[i]) == 0)
            plan_fail(p, t->at, MILL_E_NAME,
                      "there is no table %s.%s; a file stands in quotes: FROM '%s.%s'",
                      t->name.parts[0], name, t->name.parts[0], name);
    catalog_unknown_table(p->catalog, name, t->at, p->error);
    longjmp(p->failed, 1);
}

struct relation bind_from(struct planner *p, const struct ast_table *t)
{
    struct relation r;
    struct scope_column *columns;

    if (is_lateral(p, t))
        return bind_lateral(p, one_row(p, t->at), t, NULL);
    switch (t->kind) {
    case AST_TABLE_NAME: r = bind_table_name(p, t); break;
    case AST_TABLE_FILE: r = bind_file(p, t); break;
    case AST_TABLE_QUERY: r = bind_query(p, t->query); break;
    case AST_TABLE_CALL: r = bind_window_function(p, t); break;
    case AST_TABLE_JOIN: return t->join == JOIN_COGROUP ? bind_cogroup(p, t) : bind_join(p, t);
    case AST_TABLE_BOUND: return *(const struct relation *)t->bound;
    case AST_TABLE_MATCH: r = bind_match(p, t); break;
    default: plan_fail(p, t->at, MILL_E_UNSUPPORTED, "this is not supported in FROM yet");
    }
    /* its columns under its alias; the relation may be shared */
    columns = arena_array(p->arena, struct scope_column, r.count + 1);
    memcpy(columns, r.columns, r.count * sizeof *columns);
    for (uint32_t i = 0; i < r.count; i++) {
        if (t->alias != NULL)
            columns[i].table = t->alias;
        else if (t->kind == AST_TABLE_NAME)
            columns[i].table = t->name.parts[t->name.count - 1];
        if (i < t->column_count)
            columns[i].name = t->columns[i];
    }
    r.columns = columns;
    r.at = t->at;
    return r;
}

/* ---- SELECT ---- */

const char *item_name(struct planner *p, const struct ast_item *item, uint32_t index)
{
    if (item->alias != NULL)
        return item->alias;
    if (item->expr->kind == AST_NAME)
        return item->expr->name.parts[item->expr->name.count - 1];
    if (item->expr->kind == AST_FIELD)
        return item->expr->text;
    return arena_format(p->arena, "EXPR$%u", index);
}

struct outputs {
    struct expr **exprs;
    struct scope_column *columns;
    uint32_t count, room;
};

static void output(struct planner *p, struct outputs *o, struct expr *e, struct scope_column column)
{
    if (o->count == o->room) {
        const uint32_t room = o->room == 0 ? 16 : o->room * 2;
        struct expr **exprs = arena_array(p->arena, struct expr *, room);
        struct scope_column *columns = arena_array(p->arena, struct scope_column, room);

        if (o->count > 0) {
            memcpy(exprs, o->exprs, o->count * sizeof *exprs);
            memcpy(columns, o->columns, o->count * sizeof *columns);
        }
        o->exprs = exprs;
        o->columns = columns;
        o->room = room;
    }
    column.type = e->type;
    column.merged = false;
    o->exprs[o->count] = e;
    o->columns[o->count++] = column;
}

/* row.*: its fields. False: there is no such column. */
static bool output_fields(struct planner *p, struct relation *r, struct outputs *o,
                          const struct ast_expr *x)
{
    struct ast_expr name = *x;
    struct expr *row;
    char text[100];

    for (uint32_t i = 0; i < r->count; i++) {
        bool found = strcasecmp(r->columns[i].name, x->name.parts[0]) == 0;

        found = found || (x->name.count > 1 && r->columns[i].table != NULL &&
                          strcasecmp(r->columns[i].table, x->name.parts[0]) == 0);
        if (!found)
            continue;
        name.kind = AST_NAME;
        row = bind_expr(p, r, NULL, &name);
        if (row->type.kind != MILL_ROW)
            plan_fail(p, x->at, MILL_E_TYPE, "%s.* needs a ROW, this is %s",
                      x->name.parts[x->name.count - 1], type_name(&row->type, text, sizeof text));
        for (uint32_t f = 0; f < row->type.field_count; f++) {
            const char *field = row->type.fields[f].name;
            const struct scope_column column = {.name = field};

            output(p, o,
                   expr_field(&p->session, row, field,
                              (struct expr_place){x->at.line, x->at.column}, p->error),
                   column);
        }
        return true;
    }
    return false;
}

static void output_star(struct planner *p, struct relation *r, struct outputs *o,
                        const struct ast_expr *x)
{
    const char *table = x->name.count > 0 ? x->name.parts[x->name.count - 1] : NULL;
    const uint32_t before = o->count;

    for (uint32_t i = 0; i < r->count; i++) {
        const struct scope_column *c = &r->columns[i];

        if (table == NULL ? c->merged : c->table == NULL || strcasecmp(c->table, table) != 0)
            continue;
        output(p, o, expr_column(&p->session, i, &c->type, place(x->at)), *c);
    }
    if (o->count == before && table != NULL && !output_fields(p, r, o, x))
        plan_fail(p, x->at, MILL_E_NAME, "%s.*: there is no table or ROW column %s in FROM", table,
                  table);
}

static struct relation project(struct planner *p, struct relation *r, const struct ast_select *s)
{
    struct outputs o = {0};
    struct relation out = {.at = s->at};

    for (uint32_t i = 0; i < s->item_count; i++) {
        const struct ast_item *item = &s->items[i];
        struct scope_column column = {0};
        struct expr *e;

        if (item->expr->kind == AST_STAR) {
            output_star(p, r, &o, item->expr);
            continue;
        }
        e = expr_fold(&p->session, bind_expr(p, r, NULL, item->expr));
        if (e->kind == EXPR_COLUMN)
            column = r->columns[e->index]; /* time attributes stay what they are */
        column.proctime = column.proctime || is_proctime(item->expr);
        column.table = NULL;
        column.name = item_name(p, item, i);
        output(p, &o, e, column);
    }
    out.node = plan_calc(p, r, o.exprs, o.columns, o.count);
    out.columns = o.columns;
    out.count = o.count;
    return out;
}

struct relation bind_distinct(struct planner *p, struct relation r, struct ast_at at)
{
    uint32_t *keys = arena_array(p->arena, uint32_t, r.count + 1);
    struct out_column *outs = arena_array(p->arena, struct out_column, r.count + 1);
    struct phys_node *node, *exchange;
    bool changelog;

    for (uint32_t i = 0; i < r.count; i++) {
        check_key(p, &r.columns[i].type, at);
        keys[i] = i;
        outs[i] = (struct out_column){OUT_KEY, i};
        r.columns[i].rowtime = r.columns[i].proctime = false;
        r.columns[i].role = ROLE_NONE;
    }
    exchange = plan_exchange(p, r.node, keys, r.count);
    changelog = plan_changelog(p, r.node);
    node = plan_node(p, changelog ? NODE_CHANGES : NODE_GROUP, &exchange, 1);
    node->schema = plan_schema(p, r.columns, r.count);
    node->aggregate = (struct aggregate_node){.keys = keys,
                                              .key_count = r.count,
                                              .outs = outs,
                                              .distinct_rows = true};
    node->aggregate.window.time = -1;
    node->aggregate.ttl_us = changelog ? plan_state_ttl(p) : 0;
    node->changelog = changelog;
    node->updating = changelog && node->updating; /* rows that stay are told of once */
    node->why = changelog ? "DISTINCT: one entry per row value, as long as the query runs or "
                            "'table.exec.state.ttl' says"
                          : "DISTINCT: one entry per row value, until the end of the input";
    node->line = at.line;
    node->column = at.column;
    r.node = node;
    return r;
}

static bool uses_window_columns(const struct relation *r, const struct expr *e)
{
    if (e->kind == EXPR_COLUMN)
        return r->columns[e->index].role != ROLE_NONE;
    for (uint32_t i = 0; i < e->arg_count; i++)
        if (uses_window_columns(r, e->args[i]))
            return true;
    return false;
}

struct expr *expr_both(struct planner *p, struct expr *a, struct expr *b)
{
    struct expr *e = arena_new(p->arena, struct expr);

    if (a == NULL)
        return b;
    *e = (struct expr){.kind = EXPR_AND,
                       .type = type_make(MILL_BOOLEAN),
                       .arg_count = 2,
                       .line = b->line,
                       .column = b->column};
    e->args = arena_array(p->arena, struct expr *, 2);
    e->args[0] = a;
    e->args[1] = b;
    return e;
}

/* A part of WHERE or QUALIFY. */
static void bind_where(struct planner *p, struct relation *r, const struct ast_expr *where,
                       const char *clause)
{
    struct expr *e;

    if (has_aggregate(p, where))
        plan_fail(p, where->at, MILL_E_TYPE,
                  "an aggregate cannot stand in %s; HAVING filters groups", clause);
    e = expr_fold(&p->session, bind_expr(p, r, NULL, where));
    if (e->type.kind != MILL_BOOLEAN) {
        char text[80];

        plan_fail(p, where->at, MILL_E_TYPE, "%s needs a condition, this is %s", clause,
                  type_name(&e->type, text, sizeof text));
    }
    if (rank_takes(p, r, e))
        return;
    if (r->pending && uses_window_columns(r, e))
        materialize_window(p, r);
    r->filter = expr_both(p, r->filter, e);
}

bool is_aggregated(const struct planner *p, const struct ast_select *s)
{
    bool any = s->group_count > 0 || s->having != NULL;

    for (uint32_t i = 0; i < s->item_count; i++)
        any = any || (s->items[i].expr->kind != AST_STAR && has_aggregate(p, s->items[i].expr));
    return any;
}

struct relation one_row(struct planner *p, struct ast_at at)
{
    struct relation r = {.at = at};

    r.node = plan_node(p, NODE_VALUES, NULL, 0);
    r.node->values.rows = arena_array(p->arena, struct expr **, 1);
    r.node->values.rows[0] = arena_array(p->arena, struct expr *, 1);
    r.node->values.rows[0][0] = expr_bool(&p->session, true, place(at));
    r.node->values.row_count = 1;
    r.columns = arena_array(p->arena, struct scope_column, 1);
    r.columns[0] = (struct scope_column){.name = "", .type = type_make(MILL_BOOLEAN)};
    r.count = 1;
    r.node->schema = plan_schema(p, r.columns, 1);
    r.count = 0;
    return r;
}

/* The condition of QUALIFY, with names of the SELECT list that are no columns as what they stand for. */
static struct ast_expr *without_aliases(struct planner *p, const struct relation *r,
                                        const struct ast_select *s, struct ast_expr *x)
{
    struct ast_expr *copy;

    if (x->kind == AST_NAME && x->name.count == 1) {
        for (uint32_t i = 0; i < r->count; i++)
            if (strcasecmp(r->columns[i].name, x->name.parts[0]) == 0)
                return x;
        for (uint32_t i = 0; i < s->item_count; i++)
            if (s->items[i].alias != NULL && strcasecmp(s->items[i].alias, x->name.parts[0]) == 0)
                return s->items[i].expr;
    }
    if (x->arg_count == 0 || x->over != NULL)
        return x;
    copy = arena_new(p->arena, struct ast_expr);
    *copy = *x;
    copy->args = arena_array(p->arena, struct ast_expr *, x->arg_count);
    for (uint32_t i = 0; i < x->arg_count; i++)
        copy->args[i] = without_aliases(p, r, s, x->args[i]);
    return copy;
}

static struct relation project_over(struct planner *p, struct relation *r,
                                    const struct ast_select *written)
{
    struct over_bound *before = p->overs;
    struct ast_select select = *written;
    const struct ast_select *s = &select;
    const struct ast_expr *part;
    struct where_parts *parts;
    struct relation out;
    uint32_t at = 0;

    if (select.qualify != NULL)
        select.qualify = without_aliases(p, r, written, select.qualify);
    if (select.qualify != NULL && !select_has_over(s))
        plan_fail(p, select.qualify->at, MILL_E_TYPE,
                  "QUALIFY filters by calls with OVER, and this SELECT has none: WHERE filters "
                  "rows");
    p->overs = select_has_over(s) ? bind_over(p, r, s) : NULL;
    parts = join_where(p, select.qualify);
    while ((part = join_where_left(parts, &at)) != NULL)
        bind_where(p, r, part, "QUALIFY");
    out = project(p, r, s);
    p->overs = before;
    return out;
}

/* Filters first, then semi joins; then what sub-queries as values are joined for. */
static void bind_where_parts(struct planner *p, struct relation *r, const struct where_parts *where)
{
    const struct ast_expr *part;
    uint32_t at;

    for (at = 0; (part = join_where_left(where, &at)) != NULL;)
        if (!is_sub_query(part) && !has_scalar(part))
            bind_where(p, r, part, "WHERE");
    for (at = 0; (part = join_where_left(where, &at)) != NULL;) {
        if (!is_sub_query(part))
            continue;
        bind_scalars(p, r, part);
        *r = bind_sub_query(p, *r, part);
    }
    for (at = 0; (part = join_where_left(where, &at)) != NULL;) {
        if (is_sub_query(part) || !has_scalar(part))
            continue;
        bind_scalars(p, r, part);
        bind_where(p, r, part, "WHERE");
    }
}

static void bind_other_scalars(struct planner *p, struct relation *r, const struct ast_select *s)
{
    for (uint32_t i = 0; i < s->item_count; i++)
        bind_scalars(p, r, s->items[i].expr);
    if (s->having != NULL)
        bind_scalars(p, r, s->having);
    if (s->qualify != NULL)
        bind_scalars(p, r, s->qualify);
}

/* A table as of a time is the right side of a JOIN. */
static void check_as_of(struct planner *p, const struct ast_table *t)
{
    while (t != NULL && t->kind == AST_TABLE_JOIN)
        t = t->left;
    if (t != NULL && t->as_of != NULL)
        plan_fail(p, t->as_of->at, MILL_E_UNSUPPORTED,
                  "FOR SYSTEM_TIME AS OF stands at the right side of a JOIN only: a table cannot "
                  "be "
                  "read as it was at some time");
}

struct relation bind_select(struct planner *p, const struct ast_select *s)
{
    struct where_parts *outer = p->where_parts, *where = join_where(p, s->where);
    struct scalar_bound *scalars = p->scalars;
    struct relation r;

    check_as_of(p, s->from);
    p->where_parts = s->from != NULL && s->from->kind == AST_TABLE_JOIN ? where : NULL;
    r = s->from != NULL ? bind_from(p, s->from) : one_row(p, s->at);
    p->where_parts = outer;
    join_where_check(p, &r, where);
    p->scalars = NULL;
    bind_where_parts(p, &r, where);
    bind_other_scalars(p, &r, s);
    if (is_aggregated(p, s) && (select_has_over(s) || s->qualify != NULL))
        plan_fail(p, s->at, MILL_E_UNSUPPORTED,
                  "%s and GROUP BY in one SELECT are not supported yet: group in a sub-query",
                  select_has_over(s) ? "OVER" : "QUALIFY");
    if (is_aggregated(p, s)) {
        r = bind_aggregate(p, r, s);
    } else {
        if (s->late_data_into != NULL)
            plan_fail(p, s->late_data_into->at, MILL_E_TYPE,
                      "LATE DATA INTO belongs to a window aggregation");
        if (r.pending)
            materialize_window(p, &r);
        r = project_over(p, &r, s);
    }
    p->scalars = scalars;
    return s->distinct ? bind_distinct(p, r, s->at) : r;
}

/* ---- queries ---- */

static struct relation bind_values(struct planner *p, const struct ast_query *q)
{
    struct relation r = {.at = q->at, .count = q->row_sizes[0]};
    struct expr ***rows = arena_array(p->arena, struct expr **, q->row_count);

    r.columns = arena_array(p->arena, struct scope_column, r.count);
    for (uint32_t i = 0; i < q->row_count; i++) {
        if (q->row_sizes[i] != r.count)
            plan_fail(p, q->rows[i][0]->at, MILL_E_TYPE,
                      "row %u of VALUES has %u values, the first has %u", i + 1, q->row_sizes[i],
                      r.count);
        rows[i] = arena_array(p->arena, struct expr *, r.count);
        for (uint32_t k = 0; k < r.count; k++) {
            struct mill_type common;

            rows[i][k] = expr_fold(&p->session, bind_expr(p, NULL, NULL, q->rows[i][k]));
            common = rows[i][k]->type;
            if (i > 0 && !type_common(&r.columns[k].type, &rows[i][k]->type, &common))
                plan_fail(p, q->rows[i][k]->at, MILL_E_TYPE,
                          "column %u of VALUES has types without a common one", k + 1);
            r.columns[k].type = common;
            r.columns[k].name = arena_format(p->arena, "EXPR$%u", k);
        }
    }
    for (uint32_t i = 0; i < q->row_count; i++)
        for (uint32_t k = 0; k < r.count; k++)
            rows[i][k] = expr_fold(&p->session,
                                   need(p, expr_cast(&p->session, rows[i][k], &r.columns[k].type,
                                                     false, place(q->at), p->error)));
    r.node = plan_node(p, NODE_VALUES, NULL, 0);
    r.node->schema = plan_schema(p, r.columns, r.count);
    r.node->values.rows = rows;
    r.node->values.row_count = q->row_count;
    return r;
}

struct relation bind_query(struct planner *p, const struct ast_query *written)
{
    struct with_made *before = p->with;
    const struct ast_query *q;
    struct relation r;
    uint32_t hidden;

    q = order_hidden(p, written, &hidden);

    if (++p->depth > 256)
        plan_fail(p, q->at, MILL_E_UNSUPPORTED, "queries nested more than 256 deep");
    for (uint32_t i = 0; i < q->with_count; i++) {
        struct with_made *w = arena_new(p->arena, struct with_made);

        *w = (struct with_made){p->with, &q->with[i]};
        p->with = w;
    }
    switch (q->kind) {
    case QUERY_SELECT: r = bind_select(p, q->select); break;
    case QUERY_VALUES: r = bind_values(p, q); break;
    default: r = bind_set_operation(p, q); break;
    }
    if (q->order != NULL || q->limit != NULL || q->offset != NULL)
        r = bind_sorted(p, r, q, hidden);
    p->with = before;
    p->depth--;
    return r;
}
