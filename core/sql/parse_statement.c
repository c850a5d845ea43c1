/* core/sql/parse_statement.c - CREATE, INSERT, EXPLAIN, SET and the other statements. */
#include "core/sql/parser.h"

static struct ast_statement *statement_new(struct parser *p, enum ast_statement_kind kind)
{
    struct ast_statement *s = arena_new(p->arena, struct ast_statement);

    s->kind = kind;
    s->at = here(p);
    return s;
}

static const char **parse_names(struct parser *p, uint32_t *count)
{
    struct list names = {0};

    expect(p, "(");
    do
        *LIST_ADD(p, &names, const char *) = parse_identifier(p, "a column");
    while (accept(p, ","));
    expect(p, ")");
    *count = names.count;
    return names.items;
}

struct ast_property *parse_properties(struct parser *p, uint32_t *count)
{
    struct list items = {0};

    expect(p, "(");
    while (!is(p, ")")) {
        struct ast_property made = {.at = here(p)};

        made.key = parse_string(p, "an option as 'key' = 'value'");
        for (uint32_t i = 0; i < items.count; i++)
            if (strcmp(((const struct ast_property *)items.items)[i].key, made.key) == 0)
                fail_at(p, made.at, MILL_E_SYNTAX, "the option '%s' stands here twice", made.key);
        expect(p, "=");
        made.value_at = here(p);
        made.value = parse_string(p, "the option's value in quotes");
        *LIST_ADD(p, &items, struct ast_property) = made;
        if (!accept(p, ","))
            break;
    }
    expect(p, ")");
    *count = items.count;
    return items.items;
}

/* ---- CREATE TABLE ---- */

static void parse_watermark(struct parser *p, struct ast_statement *s)
{
    if (s->watermark_column != NULL)
        fail_at(p, here(p), MILL_E_SYNTAX, "a table has one WATERMARK, this is the second");
    s->watermark_at = here(p);
    expect(p, "WATERMARK");
    expect(p, "FOR");
    s->watermark_column = arena_new(p->arena, struct ast_name);
    *s->watermark_column = parse_name(p, "the event time column");
    expect(p, "AS");
    s->watermark = parse_expr(p);
}

static void parse_key(struct parser *p, struct ast_statement *s)
{
    if (accept(p, "CONSTRAINT"))
        parse_identifier(p, "the name of the constraint");
    expect(p, "PRIMARY");
    expect(p, "KEY");
    s->primary_key = parse_names(p, &s->primary_key_count);
    expect(p, "NOT");
    expect(p, "ENFORCED");
}

static void parse_metadata(struct parser *p, struct ast_column *c)
{
    c->kind = COLUMN_METADATA;
    if (accept(p, "FROM"))
        c->metadata_key = parse_string(p, "the metadata key in quotes");
    c->virtual_ = accept(p, "VIRTUAL");
}

static void parse_column(struct parser *p, struct ast_column *c)
{
    c->at = here(p);
    c->name = parse_identifier(p, "a column, WATERMARK FOR or PRIMARY KEY");
    if (accept(p, "AS")) {
        c->kind = COLUMN_COMPUTED;
        c->expr = parse_expr(p);
    } else {
        c->type = parse_type(p);
        if (accept(p, "METADATA"))
            parse_metadata(p, c);
        if (accept2(p, "PRIMARY", "KEY")) {
            c->primary_key = true;
            if (accept(p, "NOT"))
                expect(p, "ENFORCED");
        }
        if (accept2(p, "NOT", "NULL"))
            c->type->type.not_null = true;
    }
    if (accept(p, "COMMENT"))
        c->comment = parse_string(p, "a comment in quotes");
}

static void parse_columns(struct parser *p, struct ast_statement *s)
{
    struct list columns = {0};

    expect(p, "(");
    while (!is(p, ")")) {
        if (is(p, "WATERMARK") && is_ahead(p, 1, "FOR")) {
            parse_watermark(p, s);
        } else if ((is(p, "PRIMARY") && is_ahead(p, 1, "KEY")) ||
                   (is(p, "CONSTRAINT") && is_ahead(p, 2, "PRIMARY"))) {
            parse_key(p, s);
        } else {
            struct ast_column made = {0};

            parse_column(p, &made);
            *LIST_ADD(p, &columns, struct ast_column) = made;
        }
        if (!accept(p, ","))
            break;
    }
    expect(p, ")");
    s->columns = columns.items;
    s->column_count = columns.count;
}

static bool parse_if_not_exists(struct parser *p)
{
    if (!is(p, "IF") || !is_ahead(p, 1, "NOT"))
        return false;
    advance(p);
    advance(p);
    expect(p, "EXISTS");
    return true;
}

/* ( { INCLUDING | EXCLUDING | OVERWRITING } part ... ); as in Flink, without: INCLUDING ALL OVERWRITING OPTIONS. */
static void parse_like_rules(struct parser *p, struct ast_like_rules *r)
{
    const struct {
        const char *name;
        enum ast_like *rule;
        bool overwrites;
    } parts[] = {{"CONSTRAINTS", &r->constraints, false}, {"GENERATED", &r->generated, true},
                 {"METADATA", &r->metadata, true},        {"OPTIONS", &r->options, true},
                 {"PARTITIONS", &r->partitions, false},   {"WATERMARKS", &r->watermarks, true}};
    bool found;

    *r = (struct ast_like_rules){.options = LIKE_OVERWRITING};
    if (!accept(p, "("))
        return;
    while (!accept(p, ")")) {
        const struct ast_at at = here(p);
        const enum ast_like rule = accept(p, "EXCLUDING")     ? LIKE_EXCLUDING
                                   : accept(p, "OVERWRITING") ? LIKE_OVERWRITING
                                                              : LIKE_INCLUDING;

        if (rule == LIKE_INCLUDING && !accept(p, "INCLUDING"))
            fail_expected(p, "INCLUDING, EXCLUDING, OVERWRITING or )");
        found = accept(p, "ALL");
        if (found && rule == LIKE_OVERWRITING)
            fail_at(p, at, MILL_E_SYNTAX,
                    "OVERWRITING is for GENERATED, METADATA, OPTIONS or WATERMARKS, not for ALL");
        for (size_t i = 0; found && i < COUNT_OF(parts); i++)
            *parts[i].rule = rule;
        for (size_t i = 0; !found && i < COUNT_OF(parts); i++)
            if (accept(p, parts[i].name)) {
                if (rule == LIKE_OVERWRITING && !parts[i].overwrites)
                    fail_at(p, at, MILL_E_SYNTAX, "OVERWRITING is not for %s", parts[i].name);
                *parts[i].rule = rule;
                found = true;
            }
        if (!found)
            fail_expected(p, "ALL, CONSTRAINTS, GENERATED, METADATA, OPTIONS, PARTITIONS or "
                             "WATERMARKS");
    }
}

static struct ast_statement *parse_create_table(struct parser *p, struct ast_statement *s)
{
    s->kind = STATEMENT_CREATE_TABLE;
    s->if_not_exists = parse_if_not_exists(p);
    s->name = parse_name(p, "the name of the table");
    if (is(p, "("))
        parse_columns(p, s);
    if (accept(p, "COMMENT"))
        s->comment = parse_string(p, "a comment in quotes");
    if (accept2(p, "PARTITIONED", "BY"))
        s->partitioned_by = parse_names(p, &s->partitioned_by_count);
    if (accept(p, "WITH"))
        s->properties = parse_properties(p, &s->property_count);
    if (accept(p, "LIKE")) {
        s->like = arena_new(p->arena, struct ast_name);
        *s->like = parse_name(p, "the table that this one is like");
        parse_like_rules(p, &s->like_rules);
    }
    if (is(p, "AS"))
        fail_at(p, here(p), MILL_E_UNSUPPORTED,
                "CREATE TABLE ... AS SELECT is not supported yet: CREATE TABLE, then INSERT INTO");
    if (s->columns == NULL && s->like == NULL)
        fail_expected(p, "( and the columns of the table");
    return s;
}

static struct ast_statement *parse_create_view(struct parser *p, struct ast_statement *s)
{
    s->kind = STATEMENT_CREATE_VIEW;
    s->if_not_exists = parse_if_not_exists(p);
    s->name = parse_name(p, "the name of the view");
    if (is(p, "("))
        s->insert_columns = parse_names(p, &s->insert_column_count);
    if (accept(p, "COMMENT"))
        s->comment = parse_string(p, "a comment in quotes");
    expect(p, "AS");
    s->query = parse_query(p);
    return s;
}

static struct ast_statement *parse_create_function(struct parser *p, struct ast_statement *s)
{
    s->kind = STATEMENT_CREATE_FUNCTION;
    s->if_not_exists = parse_if_not_exists(p);
    s->name = parse_name(p, "the name of the function");
    expect(p, "AS");
    s->text = parse_string(p, "the symbol or class in quotes");
    if (accept(p, "LANGUAGE"))
        s->language = parse_identifier(p, "C");
    if (accept(p, "USING")) {
        if (!accept(p, "LIBRARY"))
            expect(p, "JAR");
        s->library = parse_string(p, "the path of the library in quotes");
    }
    return s;
}

static struct ast_statement *parse_create(struct parser *p)
{
    struct ast_statement *s = statement_new(p, STATEMENT_CREATE_TABLE);

    expect(p, "CREATE");
    s->or_replace = accept2(p, "OR", "REPLACE");
    s->temporary = accept(p, "TEMPORARY");
    accept(p, "SYSTEM");
    if (accept(p, "TABLE"))
        return parse_create_table(p, s);
    if (accept(p, "VIEW"))
        return parse_create_view(p, s);
    if (accept(p, "FUNCTION"))
        return parse_create_function(p, s);
    if (is(p, "CATALOG") || is(p, "DATABASE"))
        fail_at(p, here(p), MILL_E_UNSUPPORTED,
                "catalogs and databases are not supported: there is "
                "one of each");
    fail_expected(p, "TABLE, VIEW or FUNCTION");
}

/* ---- INSERT and sets of them ---- */

static void parse_static_partition(struct parser *p, struct ast_statement *s)
{
    struct list items = {0};

    expect(p, "(");
    do {
        struct ast_property made = {.at = here(p)};

        made.key = parse_identifier(p, "a column");
        expect(p, "=");
        made.value_at = here(p);
        made.value = parse_string(p, "a value in quotes");
        *LIST_ADD(p, &items, struct ast_property) = made;
    } while (accept(p, ","));
    expect(p, ")");
    s->static_partition = items.items;
    s->static_partition_count = items.count;
}

static struct ast_statement *parse_insert(struct parser *p)
{
    struct ast_statement *s = statement_new(p, STATEMENT_INSERT);

    expect(p, "INSERT");
    s->overwrite = accept(p, "OVERWRITE");
    if (!s->overwrite)
        expect(p, "INTO");
    accept(p, "TABLE");
    s->name = parse_name(p, "the table to insert into");
    if (is(p, "PARTITION") && is_ahead(p, 1, "(")) {
        advance(p);
        parse_static_partition(p, s);
    }
    if (is(p, "(") && !starts_query(p))
        s->insert_columns = parse_names(p, &s->insert_column_count);
    s->query = parse_query(p);
    return s;
}

/* EXECUTE STATEMENT SET BEGIN ... END, BEGIN STATEMENT SET; ... END */
static struct ast_statement *parse_statement_set(struct parser *p)
{
    struct ast_statement *s = statement_new(p, STATEMENT_SET_OF_INSERTS);
    struct list inner = {0};

    if (accept(p, "EXECUTE") || is(p, "STATEMENT")) { /* EXPLAIN STATEMENT SET BEGIN ... */
        expect(p, "STATEMENT");
        expect(p, "SET");
        expect(p, "BEGIN");
    } else {
        expect(p, "BEGIN");
        expect(p, "STATEMENT");
        expect(p, "SET");
        expect(p, ";");
    }
    while (!accept(p, "END")) {
        if (accept(p, ";"))
            continue;
        if (!is(p, "INSERT"))
            fail_expected(p, "INSERT INTO or END");
        *LIST_ADD(p, &inner, struct ast_statement *) = parse_insert(p);
        if (!is(p, "END"))
            expect(p, ";");
    }
    if (inner.count == 0)
        fail_at(p, s->at, MILL_E_SYNTAX,
                "the statement set is empty: it needs at least one INSERT");
    s->inner = inner.items;
    s->inner_count = inner.count;
    return s;
}

static struct ast_statement *parse_select_statement(struct parser *p)
{
    struct ast_statement *s = statement_new(p, STATEMENT_SELECT);

    s->query = parse_query(p);
    return s;
}

/* ---- the rest ---- */

static struct ast_statement *parse_explain(struct parser *p)
{
    struct ast_statement *s = statement_new(p, STATEMENT_EXPLAIN);

    advance(p);
    if (accept(p, "ANALYZE")) {
        s->analyze = true;
        accept(p, ",");
        s->json = accept(p, "JSON_EXECUTION_PLAN");
    } else if (accept2(p, "PLAN", "FOR")) {
        ;
    } else {
        static const char *const details[] = {"ESTIMATED_COST", "CHANGELOG_MODE", "PLAN_ADVICE",
                                              "JSON_EXECUTION_PLAN"};

        for (size_t i = 0; i < COUNT_OF(details); i++)
            if (accept(p, details[i])) {
                accept(p, ",");
                i = (size_t)-1;
            }
    }
    if (!is(p, "INSERT") && !is(p, "EXECUTE") && !is(p, "STATEMENT") && !is(p, "BEGIN") &&
        !is(p, "SELECT") && !is(p, "VALUES") && !is(p, "WITH") && !is(p, "("))
        fail_expected(p, "a query: SELECT, VALUES, WITH, INSERT or STATEMENT SET");
    s->inner = arena_array(p->arena, struct ast_statement *, 1);
    s->inner_count = 1;
    s->inner[0] = is(p, "INSERT") ? parse_insert(p)
                  : is(p, "EXECUTE") || is(p, "STATEMENT") || is(p, "BEGIN")
                      ? parse_statement_set(p)
                      : parse_select_statement(p);
    return s;
}

static struct ast_statement *parse_show(struct parser *p)
{
    struct ast_statement *s = statement_new(p, STATEMENT_SHOW);

    expect(p, "SHOW");
    if (accept(p, "TABLES")) {
        s->show = SHOW_TABLES;
    } else if (accept(p, "VIEWS")) {
        s->show = SHOW_VIEWS;
    } else if (accept(p, "FUNCTIONS") || accept2(p, "USER", "FUNCTIONS")) {
        s->show = SHOW_FUNCTIONS;
    } else if (accept(p, "CREATE")) {
        s->show = is(p, "VIEW") ? SHOW_CREATE_VIEW : SHOW_CREATE_TABLE;
        if (!accept(p, "VIEW"))
            expect(p, "TABLE");
        s->name = parse_name(p, "a table");
    } else if (accept(p, "COLUMNS")) {
        s->show = SHOW_COLUMNS;
        if (!accept(p, "FROM"))
            expect(p, "IN");
        s->name = parse_name(p, "a table");
    } else if (accept(p, "SETTINGS")) {
        s->show = SHOW_SETTINGS;
    } else {
        fail_expected(p, "TABLES, VIEWS, FUNCTIONS, COLUMNS FROM t or CREATE TABLE t");
    }
    return s;
}

/* SET 'key' = 'value', also without quotes: the words up to the = or the end. */
static const char *parse_setting_text(struct parser *p, const char *what)
{
    const char *start = p->ahead[0].text;
    const char *stop;

    if (p->ahead[0].kind == TOKEN_STRING)
        return parse_string(p, what);
    if (p->ahead[0].kind != TOKEN_WORD && p->ahead[0].kind != TOKEN_NUMBER)
        fail_expected(p, what);
    do {
        stop = p->ahead[0].text + p->ahead[0].bytes;
        advance(p);
    } while (p->ahead[0].kind != TOKEN_END && p->ahead[0].text == stop && !is(p, "=") &&
             !is(p, ";"));
    return arena_text(p->arena, start, (size_t)(stop - start));
}

static struct ast_statement *parse_set(struct parser *p)
{
    struct ast_statement *s = statement_new(p, STATEMENT_SET);

    advance(p);
    if (p->ahead[0].kind == TOKEN_END || is(p, ";"))
        return s; /* SET alone shows all */
    s->at = here(p);
    s->key = parse_setting_text(p, "a setting as 'key' = 'value'");
    expect(p, "=");
    s->value = parse_setting_text(p, "the setting's value");
    return s;
}

static struct ast_statement *parse_reset(struct parser *p)
{
    struct ast_statement *s = statement_new(p, STATEMENT_RESET);

    advance(p);
    if (p->ahead[0].kind != TOKEN_END && !is(p, ";"))
        s->key = parse_setting_text(p, "a setting");
    return s;
}

static struct ast_statement *parse_drop(struct parser *p)
{
    struct ast_statement *s = statement_new(p, STATEMENT_DROP);

    advance(p);
    accept(p, "TEMPORARY");
    accept(p, "SYSTEM");
    s->drop = is(p, "VIEW") ? DROP_VIEW : is(p, "FUNCTION") ? DROP_FUNCTION : DROP_TABLE;
    if (!accept(p, "TABLE") && !accept(p, "VIEW") && !accept(p, "FUNCTION"))
        fail_expected(p, "TABLE, VIEW or FUNCTION");
    s->if_exists = accept2(p, "IF", "EXISTS");
    s->name = parse_name(p, "a name");
    return s;
}

static struct ast_statement *parse_describe(struct parser *p)
{
    struct ast_statement *s = statement_new(p, STATEMENT_DESCRIBE);

    advance(p);
    accept(p, "EXTENDED");
    s->name = parse_name(p, "a table");
    return s;
}

static struct ast_statement *parse_use(struct parser *p)
{
    struct ast_statement *s = statement_new(p, STATEMENT_USE);

    advance(p);
    if (is(p, "CATALOG") || is(p, "MODULES"))
        advance(p);
    s->name = parse_name(p, "a name");
    return s;
}

struct ast_statement *parse_statement(struct parser *p)
{
    if (is(p, "CREATE"))
        return parse_create(p);
    if (is(p, "INSERT"))
        return parse_insert(p);
    if (is(p, "EXECUTE") && is_ahead(p, 1, "STATEMENT"))
        return parse_statement_set(p);
    if (is(p, "EXECUTE") && is_ahead(p, 1, "INSERT")) {
        advance(p);
        return parse_insert(p);
    }
    if (is(p, "BEGIN"))
        return parse_statement_set(p);
    if (is(p, "SELECT") || is(p, "WITH") || is(p, "VALUES") || is(p, "("))
        return parse_select_statement(p);
    if (is(p, "EXPLAIN"))
        return parse_explain(p);
    if (is(p, "DESCRIBE") || is(p, "DESC"))
        return parse_describe(p);
    if (is(p, "SHOW"))
        return parse_show(p);
    if (is(p, "SET"))
        return parse_set(p);
    if (is(p, "RESET"))
        return parse_reset(p);
    if (is(p, "DROP"))
        return parse_drop(p);
    if (is(p, "USE"))
        return parse_use(p);
    if (is(p, "ALTER") || is(p, "ANALYZE") || is(p, "DELETE") || is(p, "UPDATE") ||
        is(p, "TRUNCATE") || is(p, "LOAD") || is(p, "CALL"))
        fail_at(p, here(p), MILL_E_UNSUPPORTED, "%.*s statements are not supported",
                (int)p->ahead[0].bytes, p->ahead[0].text);
    fail_expected(p, "a statement: CREATE, INSERT, SELECT, WITH, EXPLAIN, DESCRIBE, SHOW, SET or "
                     "DROP");
}
