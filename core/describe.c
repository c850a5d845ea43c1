/* core/describe.c - what FROM 'file' takes a file for, as a CREATE TABLE statement. */
#include "core/error.h"
#include "core/source.h"

#include <stdarg.h>
#include <stdio.h>

struct text {
    char *to;
    size_t bytes, used;
};

static void add(struct text *t, const char *format, ...) PRINTF_LIKE(2, 3);
static void add(struct text *t, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(t->used < t->bytes ? t->to + t->used : NULL,
                  t->used < t->bytes ? t->bytes - t->used : 0, format, args);
    va_end(args);
    t->used += n > 0 ? (size_t)n : 0;
}

/* @quote around @name, doubled inside. */
static void add_quoted(struct text *t, const char *name, char quote)
{
    add(t, "%c", quote);
    for (; *name != '\0'; name++)
        add(t, *name == quote ? "%c%c" : "%c", *name, *name);
    add(t, "%c", quote);
}

static void add_type(struct text *t, const struct mill_type *type)
{
    char name[160];

    if (type->kind != MILL_ROW) {
        add(t, "%s", type_name(type, name, sizeof name));
        return;
    }
    add(t, "ROW<");
    for (uint32_t i = 0; i < type->field_count; i++) {
        add(t, "%s", i > 0 ? ", " : "");
        add_quoted(t, type->fields[i].name, '`');
        add(t, " ");
        add_type(t, &type->fields[i].type);
    }
    add(t, ">%s", type->not_null ? " NOT NULL" : "");
}

static void add_table(struct text *t, const struct mill_schema *schema,
                      const struct options *options, const struct mill_describe *how)
{
    add(t, "CREATE TABLE ");
    add_quoted(t, how->table, '`');
    add(t, " (\n");
    for (uint32_t i = 0; i < schema->field_count; i++) {
        add(t, "  ");
        add_quoted(t, schema->fields[i].name, '`');
        add(t, " ");
        add_type(t, &schema->fields[i].type);
        add(t, i + 1 < schema->field_count || how->extra != NULL ? ",\n" : "\n");
    }
    if (how->extra != NULL)
        add(t, "  %s\n", how->extra);
    add(t, ") WITH (\n");
    for (uint32_t i = 0; i < options->count; i++) {
        const struct option *o = &options->items[i];

        add(t, "  ");
        add_quoted(t, o->key, '\'');
        add(t, " = ");
        add_quoted(t, how->path != NULL && strcmp(o->key, "path") == 0 ? how->path : o->value,
                   '\'');
        add(t, i + 1 < options->count ? ",\n" : "\n");
    }
    add(t, ");\n");
}

int mill_describe_file(const char *path, const struct mill_describe *how, char *text, size_t bytes,
                       struct mill_error *error)
{
    struct budget budget = {.limit = 1ull << 30};
    struct mill_error local = {0};
    struct text t = {text, bytes, 0};
    struct mill_schema schema = {0};
    struct options options = {0};
    struct heap heap;
    struct arena arena;
    int code;

    error = error != NULL ? error : &local;
    *error = (struct mill_error){0};
    if (path == NULL || how == NULL || how->table == NULL || (text == NULL && bytes > 0))
        return mill_fail(error, MILL_E_ARGUMENT, 0, 0, "mill_describe_file(): %s is NULL",
                         path == NULL                ? "path"
                         : how == NULL               ? "how"
                         : text == NULL && bytes > 0 ? "text"
                                                     : "how->table");
    heap_open_shared(&heap, env_real(), &budget);
    arena_open(&arena, &heap);
    code = infer_file(env_real(), path, &arena, &schema, &options, NULL, 0, error);
    if (code == MILL_OK) {
        add_table(&t, &schema, &options, how);
        if (t.used >= bytes)
            code = mill_fail(error, MILL_E_ARGUMENT, 0, 0,
                             "the description of %s has %zu bytes, there is room for %zu", path,
                             t.used, bytes);
    }
    arena_close(&arena);
    heap_close(&heap);
    return code;
}
