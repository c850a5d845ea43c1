/* core/expr/expr.c - making typed nodes: literals, calls with overloads, implicit casts, CASE. */
#include "core/expr/functions.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static struct expr *make(struct expr_session *s, enum expr_kind kind, const struct mill_type *type,
                         struct expr_place at)
{
    struct expr *e = arena_new(s->arena, struct expr);

    if (e == NULL)
        return NULL;
    e->kind = kind;
    e->type = *type;
    e->line = at.line;
    e->column = at.column;
    return e;
}

static struct expr *literal(struct expr_session *s, const struct mill_type *type,
                            struct expr_place at)
{
    struct expr *e = make(s, EXPR_LITERAL, type, at);

    e->literal.values = arena_zalloc(s->arena, 16);
    e->literal.constant = true;
    e->type.not_null = true;
    return e;
}

struct expr *expr_column(struct expr_session *s, uint32_t index, const struct mill_type *type,
                         struct expr_place at)
{
    struct expr *e = make(s, EXPR_COLUMN, type, at);

    e->index = index;
    return e;
}

/* The fields of a NULL ROW are NULL. */
static void null_fields(struct expr_session *s, struct column *c, const struct mill_type *type)
{
    if (type->kind != MILL_ROW)
        return;
    c->child_count = type->field_count;
    c->children = arena_array(s->arena, struct column, type->field_count);
    for (uint32_t i = 0; i < type->field_count; i++) {
        c->children[i].values = arena_zalloc(s->arena, 16);
        c->children[i].validity = c->validity;
        c->children[i].constant = true;
        null_fields(s, &c->children[i], &type->fields[i].type);
    }
}

struct expr *expr_null(struct expr_session *s, const struct mill_type *type, struct expr_place at)
{
    struct expr *e = literal(s, type, at);

    e->literal_null = true;
    e->type.not_null = false;
    e->literal.validity = arena_zalloc(s->arena, 8);
    null_fields(s, &e->literal, type);
    return e;
}

struct expr *expr_bool(struct expr_session *s, bool value, struct expr_place at)
{
    const struct mill_type type = type_make(MILL_BOOLEAN);
    struct expr *e = literal(s, &type, at);

    *(uint8_t *)e->literal.values = value;
    return e;
}

static void put_integer(void *to, enum phys phys, int64_t value)
{
    switch (phys) {
    case PHYS_BOOL:
    case PHYS_I8: *(int8_t *)to = (int8_t)value; break;
    case PHYS_I16: *(int16_t *)to = (int16_t)value; break;
    case PHYS_I32: *(int32_t *)to = (int32_t)value; break;
    case PHYS_I128: *(int128 *)to = value; break;
    default: *(int64_t *)to = value;
    }
}

struct expr *expr_i64(struct expr_session *s, int64_t value, const struct mill_type *type,
                      struct expr_place at)
{
    struct expr *e = literal(s, type, at);

    put_integer(e->literal.values, type_phys(type), value);
    return e;
}

struct expr *expr_string(struct expr_session *s, const char *text, size_t bytes,
                         struct expr_place at)
{
    struct mill_type type = type_make(MILL_CHAR);
    struct expr *e;

    type.length = 0;
    for (size_t i = 0; i < bytes; i++)
        type.length += ((unsigned char)text[i] & 0xc0) != 0x80;
    e = literal(s, &type, at);
    *(struct mill_view *)e->literal.values =
        view_of(arena_text(s->arena, text, bytes), (uint32_t)bytes);
    return e;
}

struct expr *expr_number(struct expr_session *s, const char *text, struct expr_place at,
                         struct mill_error *error)
{
    const size_t bytes = strlen(text);
    const char *point = strchr(text, '.');
    struct mill_type type = type_make(MILL_INT);
    struct expr *e;

    if (strpbrk(text, "eE") != NULL) {
        type = type_make(MILL_DOUBLE);
        e = literal(s, &type, at);
        *(double *)e->literal.values = strtod(text, NULL);
        return e;
    }
    if (point == NULL) {
        unsigned long long value = strtoull(text, NULL, 10);

        if (bytes < 19 || (bytes == 19 && value <= INT64_MAX)) {
            if (value > INT32_MAX)
                type = type_make(MILL_BIGINT);
            return expr_i64(s, (int64_t)value, &type, at);
        }
    }
    const uint32_t scale = point != NULL ? (uint32_t)(bytes - (size_t)(point - text) - 1) : 0;
    const char *first = text;
    uint32_t digits;

    while (*first == '0')
        first++;
    digits = (uint32_t)(bytes - (size_t)(first - text)) - (point != NULL && first <= point);
    digits = max_u32(max_u32(digits, scale), 1);
    if (digits > 38) {
        mill_fail(error, MILL_E_TYPE, at.line, at.column,
                  "the number %.50s has more than 38 digits", text);
        return NULL;
    }
    type = type_decimal(digits, scale);
    e = literal(s, &type, at);
    decimal_parse(text, bytes, digits, scale, e->literal.values);
    return e;
}

bool expr_literal_i64(const struct expr *e, int64_t *out)
{
    if (e->kind != EXPR_LITERAL || e->literal_null)
        return false;
    switch (type_phys(&e->type)) {
    case PHYS_BOOL:
    case PHYS_I8: *out = *(const int8_t *)e->literal.values; return true;
    case PHYS_I16: *out = *(const int16_t *)e->literal.values; return true;
    case PHYS_I32: *out = *(const int32_t *)e->literal.values; return true;
    case PHYS_I64: *out = *(const int64_t *)e->literal.values; return true;
    default: return false;
    }
}

/* ---- common types ---- */

static uint32_t integer_digits(uint8_t kind)
{
    switch (kind) {
    case MILL_TINYINT: return 3;
    case MILL_SMALLINT: return 5;
    case MILL_INT: return 10;
    default: return 19;
    }
}

static struct mill_type as_decimal(const struct mill_type *t)
{
    return t->kind == MILL_DECIMAL ? *t : type_decimal(integer_digits(t->kind), 0);
}

static bool common_numeric(const struct mill_type *a, const struct mill_type *b,
                           struct mill_type *out)
{
    if (a->kind == MILL_DOUBLE || b->kind == MILL_DOUBLE) {
        *out = type_make(MILL_DOUBLE);
    } else if (a->kind == MILL_FLOAT || b->kind == MILL_FLOAT) {
        const bool decimal = a->kind == MILL_DECIMAL || b->kind == MILL_DECIMAL;

        *out = type_make(decimal ? MILL_DOUBLE : MILL_FLOAT);
    } else if (a->kind == MILL_DECIMAL || b->kind == MILL_DECIMAL) {
        const struct mill_type x = as_decimal(a), y = as_decimal(b);
        const uint32_t scale = max_u32(x.scale, y.scale);
        const uint32_t whole =
            max_u32((uint32_t)x.precision - x.scale, (uint32_t)y.precision - y.scale);

        *out = type_decimal(min_u32(whole + scale, 38), min_u32(scale, 38 - min_u32(whole, 38)));
    } else {
        *out = type_make(a->kind > b->kind ? a->kind : b->kind);
    }
    return true;
}

static bool common_text(const struct mill_type *a, const struct mill_type *b, struct mill_type *out)
{
    const bool fixed = a->kind == b->kind && a->length == b->length;

    *out = *a;
    if (fixed)
        return true;
    out->kind = type_is_text(a) ? MILL_VARCHAR : MILL_VARBINARY;
    out->length = max_u32(a->length, b->length);
    return true;
}

bool type_common(const struct mill_type *a, const struct mill_type *b, struct mill_type *out)
{
    const bool not_null = a->not_null && b->not_null;
    bool found = false;

    if (a->kind == MILL_NULL || b->kind == MILL_NULL) {
        *out = a->kind == MILL_NULL ? *b : *a;
        out->not_null = false;
        return true;
    }
    if (type_same(a, b))
        *out = *a, found = true;
    else if (type_is_numeric(a) && type_is_numeric(b))
        found = common_numeric(a, b, out);
    else if ((type_is_text(a) && type_is_text(b)) || (type_is_binary(a) && type_is_binary(b)))
        found = common_text(a, b, out);
    else if (a->kind == b->kind && a->kind >= MILL_TIME && a->kind <= MILL_TIMESTAMP_LTZ)
        *out = type_time(a->kind, a->precision > b->precision ? a->precision : b->precision),
        found = true;
    else if (type_is_time(a) && type_is_time(b))
        *out = type_time(MILL_TIMESTAMP, a->precision > b->precision ? a->precision : b->precision),
        found = true;
    else if (a->kind == MILL_DATE && type_is_time(b))
        *out = *b, found = true;
    else if (b->kind == MILL_DATE && type_is_time(a))
        *out = *a, found = true;
    out->not_null = not_null;
    return found;
}

/* ---- casts ---- */

/* A cast of ROWs may do no more than give their fields other names. */
static bool same_names(const struct mill_type *a, const struct mill_type *b)
{
    for (uint32_t i = 0; a->kind == MILL_ROW && i < a->field_count; i++)
        if (strcmp(a->fields[i].name, b->fields[i].name) != 0 ||
            !same_names(&a->fields[i].type, &b->fields[i].type))
            return false;
    return true;
}

struct expr *expr_cast(struct expr_session *s, struct expr *arg, const struct mill_type *to,
                       bool try_cast, struct expr_place at, struct mill_error *error)
{
    struct mill_type type = *to;
    char from_name[120], to_name[120];
    struct expr *e;

    if (arg->kind == EXPR_LITERAL && arg->literal_null)
        return expr_null(s, to, at);
    if (type_same(&arg->type, to) && !try_cast && same_names(&arg->type, to))
        return arg;
    if (!cast_allowed(&arg->type, to)) {
        mill_fail(error, MILL_E_TYPE, at.line, at.column, "cannot cast %s to %s",
                  type_name(&arg->type, from_name, sizeof from_name),
                  type_name(to, to_name, sizeof to_name));
        return NULL;
    }
    type.not_null = arg->type.not_null && !try_cast && to->kind != MILL_DECIMAL;
    e = make(s, EXPR_CAST, &type, at);
    e->args = arena_array(s->arena, struct expr *, 1);
    e->args[0] = arg;
    e->arg_count = 1;
    e->try_cast = try_cast;
    return e;
}

static struct expr_place place_of(const struct expr *e)
{
    return (struct expr_place){e->line, e->column};
}

/* The same of what an ARRAY, MAP or MULTISET holds. */
static bool items_coerce(const struct mill_type *from, const struct mill_type *to)
{
    bool same = type_same(from, to) || (type_is_numeric(from) && type_is_numeric(to)) ||
                (type_is_text(from) && type_is_text(to)) ||
                (type_is_binary(from) && type_is_binary(to));

    if (same || from->kind != to->kind || from->kind < MILL_ROW ||
        from->field_count != to->field_count)
        return same;
    same = true;
    for (uint32_t i = 0; same && i < from->field_count; i++)
        same = items_coerce(&from->fields[i].type, &to->fields[i].type);
    return same;
}

/* What Flink does without being asked: wider numbers, any text into text, finer times, text into times. */
static bool coerces(const struct expr *arg, const struct mill_type *to)
{
    const struct mill_type *from = &arg->type;
    struct mill_type common;

    if (from->kind == MILL_NULL || type_same(from, to))
        return true;
    if (type_is_numeric(from) && type_is_numeric(to))
        return true;
    if (type_is_text(from) &&
        (type_is_text(to) || type_is_time(to) || to->kind == MILL_DATE || to->kind == MILL_TIME))
        return type_is_text(to) || arg->kind == EXPR_LITERAL;
    if (type_is_binary(from) && type_is_binary(to))
        return true;
    if (from->kind == to->kind && from->kind == MILL_ROW)
        return from->field_count == to->field_count;
    if (type_is_nested(from))
        return items_coerce(from, to);
    return type_common(from, to, &common) &&
           (type_is_time(to) || to->kind == MILL_TIME || to->kind == from->kind);
}

struct expr *expr_coerce(struct expr_session *s, struct expr *arg, const struct mill_type *to,
                         struct mill_error *error)
{
    char from_name[120], to_name[120];

    if (!coerces(arg, to)) {
        mill_fail(error, MILL_E_TYPE, arg->line, arg->column,
                  "this is %s where %s is needed; write CAST(... AS %s)",
                  type_name(&arg->type, from_name, sizeof from_name),
                  type_name(to, to_name, sizeof to_name), to_name);
        return NULL;
    }
    return expr_cast(s, arg, to, false, place_of(arg), error);
}

/* ---- resolving helpers ---- */

bool arg_is_null(const struct call *c, uint32_t i)
{
    return c->args[i]->kind == EXPR_LITERAL && c->args[i]->literal_null;
}

bool resolve_cast(struct call *call, uint32_t arg, const struct mill_type *to)
{
    struct expr *e = expr_cast(call->session, call->args[arg], to, false, place_of(call->args[arg]),
                               call->error);

    if (e == NULL)
        return false;
    call->args[arg] = e;
    return true;
}

bool resolve_text(struct call *c, uint32_t arg)
{
    const struct mill_type text = type_string();

    if (!type_is_text(arg_type(c, arg)) && arg_type(c, arg)->kind != MILL_NULL)
        return false;
    return arg_type(c, arg)->kind == MILL_NULL ? resolve_cast(c, arg, &text) : true;
}

static bool resolve_number(struct call *c, uint32_t arg, enum mill_kind kind, bool integers_only)
{
    const struct mill_type type = type_make(kind), *from = arg_type(c, arg);

    if (from->kind != MILL_NULL &&
        (integers_only ? !type_is_integer(from) : !type_is_numeric(from)))
        return false;
    return resolve_cast(c, arg, &type);
}

bool resolve_int(struct call *c, uint32_t arg)
{
    return resolve_number(c, arg, MILL_INT, true);
}
bool resolve_bigint(struct call *c, uint32_t arg)
{
    return resolve_number(c, arg, MILL_BIGINT, true);
}
bool resolve_double(struct call *c, uint32_t arg)
{
    return resolve_number(c, arg, MILL_DOUBLE, false);
}

const char *resolve_literal_text(struct call *c, uint32_t arg)
{
    const struct expr *e = c->args[arg];
    const struct mill_view *v = e->literal.values;

    if (e->kind != EXPR_LITERAL || e->literal_null || !type_is_text(&e->type))
        return NULL;
    return arena_text(c->session->arena, mill_view_data(v), v->length);
}

bool returns(struct call *c, enum mill_kind kind)
{
    c->result = type_make(kind);
    return true;
}

/* ---- calls ---- */

static const struct function *const tables[] = {functions_operators, functions_text,
                                                functions_search,    functions_math,
                                                functions_time,      functions_pattern,
                                                functions_digest,    functions_coding,
                                                functions_nested,    functions_arrays};

void functions_each(void (*each)(void *user, const char *name, const char *signature,
                                 const char *description, const char *category),
                    void *user)
{
    for (size_t t = 0; t < COUNT_OF(tables); t++)
        for (const struct function *f = tables[t]; f->name != NULL; f++)
            if (f->description != NULL)
                each(user, f->name, f->signature, f->description, f->category);
}

static int unknown_function(const char *name, struct expr_place at, struct mill_error *error)
{
    const char *names[1024];
    size_t count = 0;
    const char *near;

    for (size_t t = 0; t < COUNT_OF(tables); t++)
        for (const struct function *f = tables[t]; f->name != NULL && count < COUNT_OF(names); f++)
            names[count++] = f->name;
    near = nearest_name(name, names, count);
    return mill_fail(error, MILL_E_NAME, at.line, at.column, "there is no function %s%s%s%s", name,
                     near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                     near != NULL ? "?" : "");
}

int function_known(const char *name, struct expr_place at, struct mill_error *error)
{
    for (size_t t = 0; t < COUNT_OF(tables); t++)
        for (const struct function *f = tables[t]; f->name != NULL; f++)
            if (strcasecmp(f->name, name) == 0)
                return MILL_OK;
    return unknown_function(name, at, error);
}

static void wrong_types(const struct call *c, const char *name, const struct function *first)
{
    char list[240] = "", one[80];
    size_t used = 0;

    for (uint32_t i = 0; i < c->count && used < sizeof list - 90; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "",
                                 type_name(&c->args[i]->type, one, sizeof one));
    mill_fail(c->error, MILL_E_TYPE, c->at.line, c->at.column, "%s does not take (%s); it is %s",
              name, list, first->signature);
}

struct expr *expr_call(struct expr_session *s, const char *name, struct expr **args, uint32_t count,
                       struct expr_place at, struct mill_error *error)
{
    const struct function *first = NULL;
    struct call c = {.session = s, .count = count, .at = at, .error = error};

    for (size_t t = 0; t < COUNT_OF(tables); t++)
        for (const struct function *f = tables[t]; f->name != NULL; f++) {
            bool nullable = (f->flags & FN_MAY_NULL) != 0;
            struct expr *e;

            if (strcasecmp(f->name, name) != 0)
                continue;
            first = first != NULL ? first : f;
            if (count < f->least || count > f->most)
                continue;
            c.function = f;
            c.args = arena_array(s->arena, struct expr *, count + 1);
            if (count > 0)
                memcpy(c.args, args, count * sizeof *args);
            if (!f->resolve(&c)) {
                if (error != NULL && error->code != MILL_OK)
                    return NULL;
                continue;
            }
            for (uint32_t i = 0; i < count; i++)
                nullable = nullable || (!c.args[i]->type.not_null && (f->flags & FN_NULLS) == 0);
            if ((f->flags & FN_NULLS) == 0)
                c.result.not_null = !nullable;
            e = make(s, EXPR_CALL, &c.result, at);
            e->function = f;
            e->args = c.args;
            e->arg_count = count;
            return e;
        }
    if (first == NULL) {
        unknown_function(name, at, error);
    } else {
        bool arity = false;

        for (const struct function *f = first; f->name != NULL && strcasecmp(f->name, name) == 0;
             f++)
            arity = arity || (count >= f->least && count <= f->most);
        c.args = args;
        if (arity)
            wrong_types(&c, name, first);
        else
            mill_fail(error, MILL_E_TYPE, at.line, at.column, "%s got %u arguments; it is %s", name,
                      count, first->signature);
    }
    return NULL;
}

struct expr *expr_case(struct expr_session *s, struct expr **args, uint32_t count,
                       struct expr_place at, struct mill_error *error)
{
    struct mill_type type = type_make(MILL_NULL);
    bool not_null = count % 2 == 1;
    struct expr *e;

    type.not_null = true;
    for (uint32_t i = 0; i < count; i++) {
        const bool value = i % 2 == 1 || i + 1 == count;
        struct mill_type common;

        if (!value && args[i]->type.kind != MILL_BOOLEAN && args[i]->type.kind != MILL_NULL) {
            mill_fail(error, MILL_E_TYPE, args[i]->line, args[i]->column,
                      "WHEN needs a BOOLEAN condition");
            return NULL;
        }
        if (!value)
            continue;
        not_null = not_null && args[i]->type.not_null;
        if (!type_common(&type, &args[i]->type, &common)) {
            char a[100], b[100];

            mill_fail(error, MILL_E_TYPE, args[i]->line, args[i]->column,
                      "the branches of CASE are %s and %s, which have no common type",
                      type_name(&type, a, sizeof a), type_name(&args[i]->type, b, sizeof b));
            return NULL;
        }
        type = common;
    }
    type.not_null = not_null;
    e = make(s, EXPR_CASE, &type, at);
    e->args = arena_array(s->arena, struct expr *, count + 1);
    e->arg_count = count;
    for (uint32_t i = 0; i < count; i++) {
        e->args[i] = i % 2 == 1 || i + 1 == count
                         ? expr_cast(s, args[i], &type, false, place_of(args[i]), error)
                         : args[i];
        if (e->args[i] == NULL)
            return NULL;
    }
    return e;
}

struct expr *expr_field(struct expr_session *s, struct expr *row, const char *name,
                        struct expr_place at, struct mill_error *error)
{
    const struct mill_schema fields = {row->type.field_count, row->type.fields};
    const char *names[256];
    const char *near;
    struct mill_type type;
    struct expr *e;
    int i;

    if (row->type.kind != MILL_ROW) {
        char text[100];

        mill_fail(error, MILL_E_TYPE, at.line, at.column, ".%s needs a ROW, this is %s", name,
                  type_name(&row->type, text, sizeof text));
        return NULL;
    }
    i = schema_find(&fields, name);
    if (i < 0) {
        const uint32_t n = min_u32(fields.field_count, COUNT_OF(names));

        for (uint32_t k = 0; k < n; k++)
            names[k] = fields.fields[k].name;
        near = nearest_name(name, names, n);
        mill_fail(error, MILL_E_NAME, at.line, at.column, "the row has no field %s%s%s%s", name,
                  near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                  near != NULL ? "?" : "");
        return NULL;
    }
    type = fields.fields[i].type;
    type.not_null = type.not_null && row->type.not_null;
    e = make(s, EXPR_FIELD, &type, at);
    e->index = (uint32_t)i;
    e->args = arena_array(s->arena, struct expr *, 1);
    e->args[0] = row;
    e->arg_count = 1;
    return e;
}

struct expr *expr_row(struct expr_session *s, struct expr **args, uint32_t count,
                      struct expr_place at, struct mill_error *error)
{
    struct mill_field *fields = arena_array(s->arena, struct mill_field, count);
    struct mill_type type = type_make(MILL_ROW);
    struct expr *e;

    type.field_count = count;
    type.fields = fields;
    type.not_null = true;
    e = make(s, EXPR_ROW, &type, at);
    e->args = arena_array(s->arena, struct expr *, count);
    e->arg_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct mill_type field = args[i]->type;

        if (field.kind == MILL_NULL) {
            mill_fail(error, MILL_E_TYPE, args[i]->line, args[i]->column,
                      "a field of ROW(...) needs a type: write CAST(NULL AS type)");
            return NULL;
        }
        if (field.kind == MILL_CHAR) {
            field = type_string();
            field.not_null = args[i]->type.not_null;
        }
        e->args[i] = expr_cast(s, args[i], &field, false, place_of(args[i]), error);
        if (e->args[i] == NULL)
            return NULL;
        fields[i] = (struct mill_field){arena_format(s->arena, "EXPR$%u", i), field};
    }
    return e;
}

struct expr *expr_user(struct expr_session *s, const struct mill_function *function,
                       struct expr **args, uint32_t count, struct expr_place at,
                       struct mill_error *error)
{
    struct expr *e;

    if (count != function->arg_count) {
        mill_fail(error, MILL_E_TYPE, at.line, at.column, "%s got %u arguments, it takes %u",
                  function->name, count, function->arg_count);
        return NULL;
    }
    e = make(s, EXPR_USER, &function->result_type, at);
    e->user = function;
    e->args = arena_array(s->arena, struct expr *, count + 1);
    e->arg_count = count;
    for (uint32_t i = 0; i < count; i++) {
        e->args[i] = expr_coerce(s, args[i], &function->arg_types[i], error);
        if (e->args[i] == NULL)
            return NULL;
    }
    return e;
}

/* ---- looking at trees ---- */

bool expr_is_pure(const struct expr *e)
{
    if (e->kind == EXPR_CALL && (e->function->flags & (FN_CLOCK | FN_RANDOM)) != 0)
        return false;
    for (uint32_t i = 0; i < e->arg_count; i++)
        if (!expr_is_pure(e->args[i]))
            return false;
    return true;
}

static bool literal_same(const struct expr *a, const struct expr *b)
{
    if (a->literal_null || b->literal_null)
        return a->literal_null && b->literal_null;
    if (type_phys(&a->type) == PHYS_VIEW)
        return view_equal(a->literal.values, b->literal.values);
    return memcmp(a->literal.values, b->literal.values, type_width(&a->type)) == 0;
}

bool expr_same(const struct expr *a, const struct expr *b)
{
    if (a->kind != b->kind || !type_same(&a->type, &b->type) || a->arg_count != b->arg_count ||
        a->index != b->index || a->function != b->function || a->user != b->user ||
        a->try_cast != b->try_cast)
        return false;
    if (a->kind == EXPR_LITERAL && !literal_same(a, b))
        return false;
    if (!expr_is_pure(a))
        return false;
    for (uint32_t i = 0; i < a->arg_count; i++)
        if (!expr_same(a->args[i], b->args[i]))
            return false;
    return true;
}

/* ---- text ---- */

struct out {
    char *to;
    size_t room, used;
};

static void put(struct out *o, const char *format, ...) PRINTF_LIKE(2, 3);
static void put(struct out *o, const char *format, ...)
{
    va_list args;
    int n;

    if (o->used + 1 >= o->room)
        return;
    va_start(args, format);
    n = vsnprintf(o->to + o->used, o->room - o->used, format, args);
    va_end(args);
    o->used = n > 0 ? (o->used + (size_t)n < o->room ? o->used + (size_t)n : o->room - 1) : o->used;
}

static void put_expr(struct out *o, const struct expr *e, const struct mill_schema *schema)
{
    char text[256];

    switch (e->kind) {
    case EXPR_COLUMN:
        if (schema != NULL && e->index < schema->field_count)
            put(o, "%s", schema->fields[e->index].name);
        else
            put(o, "$%u", e->index);
        return;
    case EXPR_LITERAL: {
        const bool quoted = type_is_text(&e->type);
        const size_t n =
            e->literal_null ? 0 : value_text(&e->literal, &e->type, 0, text, sizeof text);

        if (e->literal_null)
            put(o, "NULL");
        else
            put(o, "%s%.*s%s", quoted ? "'" : "", (int)n, text, quoted ? "'" : "");
        return;
    }
    case EXPR_FIELD:
        put_expr(o, e->args[0], schema);
        put(o, ".%s", e->args[0]->type.fields[e->index].name);
        return;
    case EXPR_CAST:
        put(o, "%s(", e->try_cast ? "TRY_CAST" : "CAST");
        put_expr(o, e->args[0], schema);
        put(o, " AS %s)", type_name(&e->type, text, sizeof text));
        return;
    default: break;
    }
    const char *name = e->kind == EXPR_AND    ? "AND"
                       : e->kind == EXPR_OR   ? "OR"
                       : e->kind == EXPR_CASE ? "CASE"
                       : e->kind == EXPR_ROW  ? "ROW"
                       : e->kind == EXPR_USER ? e->user->name
                                              : e->function->name;
    const bool infix = e->arg_count == 2 && (e->kind == EXPR_AND || e->kind == EXPR_OR ||
                                             strchr("+-*/%<>=|", name[0]) != NULL);

    put(o, infix ? "(" : "%s(", name);
    for (uint32_t i = 0; i < e->arg_count; i++) {
        if (i > 0)
            put(o, infix ? " %s " : ", ", name);
        put_expr(o, e->args[i], schema);
    }
    put(o, ")");
}

const char *expr_text(const struct expr *e, const struct mill_schema *schema, char *to,
                      size_t bytes)
{
    struct out o = {to, bytes, 0};

    to[0] = '\0';
    put_expr(&o, e, schema);
    return to;
}

/* ---- folding ---- */

static struct expr *fold_one(struct expr_session *s, struct expr *e)
{
    const struct mill_schema none = {0};
    struct mill_error error = {0};
    struct eval_context context = {.zone = s->zone};
    struct batch *batch = batch_new(s->arena->heap, 1, 1);
    struct program *program = NULL;
    struct expr *out = e;

    if (batch != NULL) {
        batch->rows = batch->live = 1;
        program = program_new(s->arena->heap, NULL, &e, 1, &none, &error);
    }
    if (program != NULL &&
        program_run(program, batch, batch->columns, &context, &error) == MILL_OK &&
        batch->live == 1 && context.decimal_overflow == 0) {
        const struct column *c = &batch->columns[0];
        const struct expr_place at = place_of(e);

        if (!column_valid(c, 0)) {
            out = expr_null(s, &e->type, at);
        } else {
            out = literal(s, &e->type, at);
            memcpy(out->literal.values, c->values, type_width(&e->type));
            if (type_phys(&e->type) == PHYS_VIEW) {
                const struct mill_view *v = c->values;

                *(struct mill_view *)out->literal.values =
                    view_of(arena_text(s->arena, mill_view_data(v), v->length), v->length);
            }
        }
    }
    program_free(program);
    batch_free(batch);
    return out;
}

struct expr *expr_fold(struct expr_session *s, struct expr *e)
{
    bool literals = e->arg_count > 0 && e->kind != EXPR_USER && type_phys(&e->type) != PHYS_ROW &&
                    type_phys(&e->type) != PHYS_NONE;

    for (uint32_t i = 0; i < e->arg_count; i++) {
        e->args[i] = expr_fold(s, e->args[i]);
        literals = literals && e->args[i]->kind == EXPR_LITERAL;
    }
    /* zones are looked up when the query runs */
    if (!literals || !expr_is_pure(e) || e->type.kind == MILL_TIMESTAMP_LTZ)
        return e;
    return fold_one(s, e);
}
