/* core/types.c - SQL types. */
#include "core/types.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

static const struct {
    enum phys phys;
    uint32_t width;
    const char *name;
} kinds[] = {
    [MILL_NULL] = {PHYS_BOOL, 1, "NULL"},
    [MILL_BOOLEAN] = {PHYS_BOOL, 1, "BOOLEAN"},
    [MILL_TINYINT] = {PHYS_I8, 1, "TINYINT"},
    [MILL_SMALLINT] = {PHYS_I16, 2, "SMALLINT"},
    [MILL_INT] = {PHYS_I32, 4, "INT"},
    [MILL_BIGINT] = {PHYS_I64, 8, "BIGINT"},
    [MILL_FLOAT] = {PHYS_F32, 4, "FLOAT"},
    [MILL_DOUBLE] = {PHYS_F64, 8, "DOUBLE"},
    [MILL_DECIMAL] = {PHYS_I128, 16, "DECIMAL"},
    [MILL_CHAR] = {PHYS_VIEW, 16, "CHAR"},
    [MILL_VARCHAR] = {PHYS_VIEW, 16, "VARCHAR"},
    [MILL_BINARY] = {PHYS_VIEW, 16, "BINARY"},
    [MILL_VARBINARY] = {PHYS_VIEW, 16, "VARBINARY"},
    [MILL_DATE] = {PHYS_I32, 4, "DATE"},
    [MILL_TIME] = {PHYS_I64, 8, "TIME"},
    [MILL_TIMESTAMP] = {PHYS_I64, 8, "TIMESTAMP"},
    [MILL_TIMESTAMP_LTZ] = {PHYS_I64, 8, "TIMESTAMP_LTZ"},
    [MILL_INTERVAL_MONTH] = {PHYS_I32, 4, "INTERVAL YEAR TO MONTH"},
    [MILL_INTERVAL_TIME] = {PHYS_I64, 8, "INTERVAL DAY TO SECOND"},
    [MILL_ROW] = {PHYS_ROW, 0, "ROW"},
    [MILL_ARRAY] = {PHYS_VIEW, 16, "ARRAY"}, /* core/items.h */
    [MILL_MAP] = {PHYS_VIEW, 16, "MAP"},
    [MILL_MULTISET] = {PHYS_VIEW, 16, "MULTISET"},
};

enum phys type_phys(const struct mill_type *type)
{
    return kinds[type->kind].phys;
}
uint32_t type_width(const struct mill_type *type)
{
    return kinds[type->kind].width;
}

bool type_same(const struct mill_type *a, const struct mill_type *b)
{
    if (a->kind != b->kind || a->field_count != b->field_count)
        return false;
    if (a->kind == MILL_DECIMAL && (a->precision != b->precision || a->scale != b->scale))
        return false;
    if (a->kind >= MILL_CHAR && a->kind <= MILL_VARBINARY && a->length != b->length)
        return false;
    if (a->kind >= MILL_TIME && a->kind <= MILL_TIMESTAMP_LTZ && a->precision != b->precision)
        return false;
    for (uint32_t i = 0; i < a->field_count; i++)
        if (!type_same(&a->fields[i].type, &b->fields[i].type))
            return false;
    return true;
}

struct text {
    char *to;
    size_t bytes, used;
};

static void text_add(struct text *t, const char *format, ...) PRINTF_LIKE(2, 3);
static void text_add(struct text *t, const char *format, ...)
{
    va_list args;
    int n;

    if (t->used >= t->bytes)
        return;
    va_start(args, format);
    n = vsnprintf(t->to + t->used, t->bytes - t->used, format, args);
    va_end(args);
    if (n > 0)
        t->used += (size_t)n;
}

static void type_print(const struct mill_type *type, struct text *t)
{
    switch (type->kind) {
    case MILL_DECIMAL: text_add(t, "DECIMAL(%u, %u)", type->precision, type->scale); break;
    case MILL_VARCHAR:
        if (type->length == MILL_LENGTH_MAX)
            text_add(t, "STRING");
        else
            text_add(t, "VARCHAR(%u)", type->length);
        break;
    case MILL_VARBINARY:
        if (type->length == MILL_LENGTH_MAX)
            text_add(t, "BYTES");
        else
            text_add(t, "VARBINARY(%u)", type->length);
        break;
    case MILL_CHAR:
    case MILL_BINARY: text_add(t, "%s(%u)", kinds[type->kind].name, type->length); break;
    case MILL_TIME:
    case MILL_TIMESTAMP:
    case MILL_TIMESTAMP_LTZ: text_add(t, "%s(%u)", kinds[type->kind].name, type->precision); break;
    case MILL_ROW:
    case MILL_ARRAY:
    case MILL_MAP:
    case MILL_MULTISET:
        text_add(t, "%s<", kinds[type->kind].name);
        for (uint32_t i = 0; i < type->field_count; i++) {
            if (i > 0)
                text_add(t, ", ");
            if (type->kind == MILL_ROW)
                text_add(t, "%s ", type->fields[i].name);
            type_print(&type->fields[i].type, t);
        }
        text_add(t, ">");
        break;
    default: text_add(t, "%s", kinds[type->kind].name);
    }
    if (type->not_null)
        text_add(t, " NOT NULL");
}

const char *type_name(const struct mill_type *type, char *to, size_t bytes)
{
    struct text t = {to, bytes, 0};

    to[0] = '\0';
    type_print(type, &t);
    return to;
}

uint32_t type_fields_below(const struct mill_type *type)
{
    uint32_t n = type->kind == MILL_ROW ? type->field_count : 0;

    for (uint32_t i = 0; type->kind == MILL_ROW && i < type->field_count; i++)
        n += type_fields_below(&type->fields[i].type);
    return n;
}

int64_t type_time_unit(const struct mill_type *t)
{
    static const int64_t units[] = {1000000, 100000, 10000, 1000, 100, 10, 1, 100, 10, 1};

    return units[min_u32(t->precision, 9)];
}

struct mill_type type_make(enum mill_kind kind)
{
    struct mill_type t = {.kind = (uint8_t)kind};

    switch (kind) {
    case MILL_DECIMAL: t.precision = 10; break;
    case MILL_CHAR:
    case MILL_BINARY: t.length = 1; break;
    case MILL_VARCHAR:
    case MILL_VARBINARY: t.length = MILL_LENGTH_MAX; break;
    case MILL_TIMESTAMP:
    case MILL_TIMESTAMP_LTZ: t.precision = 6; break;
    default: break;
    }
    return t;
}

struct mill_type type_decimal(uint32_t precision, uint32_t scale)
{
    return (struct mill_type){.kind = MILL_DECIMAL,
                              .precision = (uint8_t)precision,
                              .scale = (uint8_t)scale};
}

struct mill_type type_string(void)
{
    return type_make(MILL_VARCHAR);
}

struct mill_type type_time(enum mill_kind kind, uint32_t precision)
{
    return (struct mill_type){.kind = (uint8_t)kind, .precision = (uint8_t)precision};
}

struct mill_type type_wall(const struct mill_type *time)
{
    struct mill_type out = *time;

    if (out.kind == MILL_TIMESTAMP_LTZ)
        out.kind = MILL_TIMESTAMP;
    return out;
}

int view_compare(const struct mill_view *a, const struct mill_view *b)
{
    const uint32_t n = min_u32(a->length, b->length);
    const int c = n > 0 ? memcmp(mill_view_data(a), mill_view_data(b), n) : 0;

    return c != 0 ? c : (a->length > b->length) - (a->length < b->length);
}

int schema_find(const struct mill_schema *schema, const char *name)
{
    int found = -1;

    for (uint32_t i = 0; i < schema->field_count; i++)
        if (strcmp(schema->fields[i].name, name) == 0)
            return (int)i;
    for (uint32_t i = 0; i < schema->field_count; i++)
        if (strcasecmp(schema->fields[i].name, name) == 0) {
            if (found >= 0)
                return -1;
            found = (int)i;
        }
    return found;
}

static const struct mill_field *fields_copy(struct arena *arena, const struct mill_field *fields,
                                            uint32_t count)
{
    struct mill_field *copy;

    if (count == 0)
        return NULL;
    copy = arena_array(arena, struct mill_field, count);
    for (uint32_t i = 0; copy != NULL && i < count; i++) {
        const char *name = fields[i].name != NULL ? fields[i].name : "";

        copy[i].name = arena_text(arena, name, strlen(name));
        copy[i].type = type_copy(arena, &fields[i].type);
    }
    return copy;
}

struct mill_type type_copy(struct arena *arena, const struct mill_type *type)
{
    struct mill_type copy = *type;

    copy.fields = fields_copy(arena, type->fields, type->field_count);
    return copy;
}

struct mill_schema schema_copy(struct arena *arena, const struct mill_schema *schema)
{
    return (struct mill_schema){schema->field_count,
                                fields_copy(arena, schema->fields, schema->field_count)};
}
