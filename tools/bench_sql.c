/* tools/bench_sql.c - the last statement of a script as a SELECT, or into a sink that drops its rows. */
#include "tools/bench.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Where the last statement of @sql begins: behind the last ';' outside of texts and comments that has something behind it. */
static size_t last_statement(const char *sql)
{
    size_t begin = 0, next = 0;
    bool pending = false;

    for (size_t i = 0; sql[i] != '\0'; i++) {
        if (sql[i] == '-' && sql[i + 1] == '-') {
            i += strcspn(sql + i, "\n");
            i -= sql[i] == '\0';
            continue;
        }
        if (sql[i] == '/' && sql[i + 1] == '*') {
            const char *end = strstr(sql + i + 2, "*/");

            i = end != NULL ? (size_t)(end - sql) + 1 : strlen(sql) - 1;
            continue;
        }
        if (strchr(" \t\r\n", sql[i]) != NULL)
            continue;
        if (pending && sql[i] != ';') {
            begin = next;
            pending = false;
        }
        if (sql[i] == '\'' || sql[i] == '`' || sql[i] == '"') {
            const char *end = strchr(sql + i + 1, sql[i]);

            i = end != NULL ? (size_t)(end - sql) : strlen(sql) - 1;
        } else if (sql[i] == ';') {
            next = i + 1;
            pending = true;
        }
    }
    return begin;
}

/* Behind INSERT INTO name; the same place where there is none. */
static size_t skip_insert(const char *sql, size_t begin)
{
    size_t at = begin;

    while (sql[at] != '\0' && strncasecmp(sql + at, "INSERT", 6) != 0) {
        if (strncasecmp(sql + at, "SELECT", 6) == 0)
            return begin;
        at++;
    }
    if (sql[at] == '\0')
        return begin;
    for (int word = 0; word < 3; word++) {
        at += strcspn(sql + at, " \t\r\n");
        at += strspn(sql + at, " \t\r\n");
    }
    return at;
}

char *bench_as_select(const char *sql)
{
    const size_t begin = last_statement(sql);
    char *text = NULL;

    if (asprintf(&text, "%.*s\n%s", (int)begin, sql, sql + skip_insert(sql, begin)) < 0)
        abort();
    return text;
}

static void add_type(FILE *to, const struct mill_type *type)
{
    static const char *const names[] = {[MILL_BOOLEAN] = "BOOLEAN",
                                        [MILL_TINYINT] = "TINYINT",
                                        [MILL_SMALLINT] = "SMALLINT",
                                        [MILL_INT] = "INT",
                                        [MILL_BIGINT] = "BIGINT",
                                        [MILL_FLOAT] = "FLOAT",
                                        [MILL_DOUBLE] = "DOUBLE",
                                        [MILL_CHAR] = "CHAR",
                                        [MILL_VARCHAR] = "VARCHAR",
                                        [MILL_BINARY] = "BINARY",
                                        [MILL_VARBINARY] = "VARBINARY",
                                        [MILL_DATE] = "DATE",
                                        [MILL_TIME] = "TIME",
                                        [MILL_TIMESTAMP] = "TIMESTAMP",
                                        [MILL_TIMESTAMP_LTZ] = "TIMESTAMP_LTZ"};

    if (type->kind == MILL_DECIMAL)
        fprintf(to, "DECIMAL(%u, %u)", type->precision, type->scale);
    else if (type->kind == MILL_ROW)
        for (uint32_t f = 0; f < type->field_count; f++) {
            fprintf(to, "%s`%s` ", f == 0 ? "ROW<" : ", ", type->fields[f].name);
            add_type(to, &type->fields[f].type);
            fputs(f + 1 == type->field_count ? ">" : "", to);
        }
    else if (type->kind >= sizeof names / sizeof *names || names[type->kind] == NULL)
        fputs("STRING", to);
    else
        fputs(names[type->kind], to);
    if (type->kind >= MILL_CHAR && type->kind <= MILL_VARBINARY)
        fprintf(to, "(%u)", type->length);
    if (type->kind >= MILL_TIME && type->kind <= MILL_TIMESTAMP_LTZ)
        fprintf(to, "(%u)", type->precision);
}

char *bench_discarding(const char *sql, const struct mill_schema *schema)
{
    const size_t begin = last_statement(sql);
    char *text = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&text, &bytes);

    if (to == NULL)
        abort();
    fprintf(to, "%.*s\nCREATE TABLE bench_discard (", (int)begin, sql);
    for (uint32_t i = 0; i < schema->field_count; i++) {
        fprintf(to, "%sc%u ", i > 0 ? ", " : "", i);
        add_type(to, &schema->fields[i].type);
    }
    fprintf(to, ") WITH ('connector' = 'blackhole');\nINSERT INTO bench_discard %s", sql + begin);
    fclose(to);
    return text;
}
