/* core/plan/bind_expr.c - expressions: names to columns, calls to functions. */
#include "core/plan/bind.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

_Noreturn void plan_fail(struct planner *p, struct ast_at at, int code, const char *format, ...)
{
    char text[400];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    mill_fail(p->error, code, at.line, at.column, "%s", text);
    longjmp(p->failed, 1);
}

void *need(struct planner *p, void *made)
{
    if (made == NULL)
        longjmp(p->failed, 1);
    return made;
}

/* ---- names ---- */

static int find_within(const struct relation *r, uint32_t first, uint32_t end, const char *table,
                       const char *name, bool *ambiguous)
{
    int found = -1;

    *ambiguous = false;
    for (int pass = 0; pass < 2 && found < 0; pass++)
        for (uint32_t i = first; i < end; i++) {
            const struct scope_column *c = &r->columns[i];
            const bool same =
                pass == 0 ? strcmp(c->name, name) == 0 : strcasecmp(c->name, name) == 0;

            if (!same || (table == NULL && c->merged) ||
                (table != NULL && (c->table == NULL || strcasecmp(c->table, table) != 0)))
                continue;
            *ambiguous = found >= 0;
            if (found >= 0)
                return found;
            found = (int)i;
        }
    return found;
}

static int find_column(const struct relation *r, const char *table, const char *name,
                       bool *ambiguous)
{
    const int found = find_within(r, r->outer, r->count, table, name, ambiguous);

    return found >= 0 || r->outer == 0 ? found
                                       : find_within(r, 0, r->outer, table, name, ambiguous);
}

static _Noreturn void unknown_column(struct planner *p, const struct relation *r,
                                     const struct ast_name *name)
{
    const char *names[1024] = {NULL}, *table = NULL;
    uint32_t n = 0;
    const char *near;

    for (uint32_t i = 0; i < r->count && name->count == 2 && table == NULL; i++)
        if (r->columns[i].table != NULL && strcasecmp(r->columns[i].table, name->parts[0]) == 0)
            table = r->columns[i].table; /* another table's column is no help */
    for (uint32_t i = 0; i < r->count && n < COUNT_OF(names); i++)
        if (table == NULL ||
            (r->columns[i].table != NULL && strcasecmp(r->columns[i].table, table) == 0))
            names[n++] = r->columns[i].name;
    near = nearest_name(name->parts[name->count - 1], names, n);
    plan_fail(p, name->at, MILL_E_NAME, "there is no column %s%s%s%s%s%s%s%s",
              name->count > 1 ? name->parts[0] : "", name->count > 1 ? "." : "",
              name->parts[name->count - 1], near != NULL ? "; did you mean " : "",
              near != NULL && table != NULL ? table : "", near != NULL && table != NULL ? "." : "",
              near != NULL ? near : "", near != NULL ? "?" : "");
}

static struct expr *bind_name(struct planner *p, struct relation *r, const struct ast_name *name)
{
    bool ambiguous = false;
    int i = -1;
    uint32_t part = 1;
    struct expr *e;

    if (r == NULL || r->count == 0)
        plan_fail(p, name->at, MILL_E_NAME, "there is no column %s here", name->parts[0]);
    if (name->count > 1) { /* alias.column before column.field */
        i = find_column(r, name->parts[0], name->parts[1], &ambiguous);
        part = 2;
    }
    if (i < 0) {
        i = find_column(r, NULL, name->parts[0], &ambiguous);
        part = 1;
    }
    if (i < 0)
        unknown_column(p, r, name);
    if (ambiguous)
        plan_fail(p, name->at, MILL_E_NAME, "column %s is ambiguous: write table.%s",
                  name->parts[part - 1], name->parts[part - 1]);
    e = need(p, expr_column(&p->session, (uint32_t)i, &r->columns[i].type, place(name->at)));
    for (; part < name->count; part++)
        e = need(p, expr_field(&p->session, e, name->parts[part], place(name->at), p->error));
    return e;
}

/* ---- intervals ---- */

static const int64_t unit_ns[] =
    {[UNIT_WEEK] = 604800000000000ll, [UNIT_DAY] = 86400000000000ll, [UNIT_HOUR] = 3600000000000ll,
     [UNIT_MINUTE] = 60000000000ll,   [UNIT_SECOND] = 1000000000ll,  [UNIT_MILLISECOND] = 1000000ll,
     [UNIT_MICROSECOND] = 1000ll,     [UNIT_NANOSECOND] = 1ll};

static _Noreturn void bad_interval(struct planner *p, const struct ast_expr *x)
{
    plan_fail(p, x->at, MILL_E_TYPE,
              "'%s' is not the length of an interval of these units, as in INTERVAL '5' SECOND "
              "or INTERVAL '1:30' MINUTE TO SECOND",
              x->text);
}

/* Fraction digits behind a seconds point, in nanoseconds. */
static const char *take_fraction(const char *s, int64_t unit, int64_t *ns)
{
    for (; *s >= '0' && *s <= '9'; s++) {
        unit /= 10;
        *ns += (*s - '0') * unit;
    }
    return s;
}

int64_t bind_interval(struct planner *p, const struct ast_expr *x, bool *months)
{
    const char *s = x->text;
    int64_t total = 0, sign = x->value;
    enum ast_unit unit = x->from;

    *months = x->from <= UNIT_MONTH;
    while (*s == ' ')
        s++;
    if (*s == '-' || *s == '+')
        sign *= *s++ == '-' ? -1 : 1;
    for (;;) {
        char *stop;
        const long long n = strtoll(s, &stop, 10);
        int64_t part;

        if (stop == s || *s == '-' || *s == '+')
            bad_interval(p, x);
        s = stop;
        if (*months)
            part = n * (unit == UNIT_YEAR ? 12 : unit == UNIT_QUARTER ? 3 : 1);
        else if (__builtin_mul_overflow(n, unit_ns[unit], &part))
            plan_fail(p, x->at, MILL_E_TYPE, "the interval '%s' is longer than 292 years", x->text);
        total += part;
        if (*s == '.' && !*months && unit == x->to) {
            s = take_fraction(s + 1, unit_ns[unit], &total);
            break;
        }
        if (unit >= x->to)
            break;
        if (*s != ':' && *s != ' ' && *s != '-')
            bad_interval(p, x);
        s++;
        unit = *months ? UNIT_MONTH : (enum ast_unit)(unit + 1);
    }
    while (*s == ' ')
        s++;
    if (*s != '\0')
        bad_interval(p, x);
    return sign * total;
}

static struct expr *bind_interval_literal(struct planner *p, const struct ast_expr *x)
{
    bool months;
    const int64_t value = bind_interval(p, x, &months);
    const struct mill_type type = type_make(months ? MILL_INTERVAL_MONTH : MILL_INTERVAL_TIME);

    return expr_i64(&p->session, value, &type, place(x->at));
}

/* ---- nodes ---- */

static struct expr *call(struct planner *p, const char *name, struct expr **args, uint32_t count,
                         struct ast_at at)
{
    return need(p, expr_call(&p->session, name, args, count, place(at), p->error));
}

static struct expr *call1(struct planner *p, const char *name, struct expr *a, struct ast_at at)
{
    return call(p, name, &a, 1, at);
}

static struct expr *call2(struct planner *p, const char *name, struct expr *a, struct expr *b,
                          struct ast_at at)
{
    struct expr *args[] = {a, b};

    return call(p, name, args, 2, at);
}

static struct expr *logic(struct planner *p, enum expr_kind kind, struct expr *a, struct expr *b,
                          struct ast_at at)
{
    const struct mill_type boolean = type_make(MILL_BOOLEAN);
    struct expr *e = arena_new(p->arena, struct expr);
    struct expr *sides[] = {a, b};

    *e = (struct expr){.kind = kind,
                       .type = boolean,
                       .line = at.line,
                       .column = at.column,
                       .arg_count = 2};
    e->args = arena_array(p->arena, struct expr *, 2);
    for (uint32_t i = 0; i < 2; i++) {
        if (sides[i]->type.kind != MILL_BOOLEAN && sides[i]->type.kind != MILL_NULL) {
            char name[80];

            plan_fail(p, (struct ast_at){sides[i]->line, sides[i]->column}, MILL_E_TYPE,
                      "%s needs a condition, this is %s", kind == EXPR_AND ? "AND" : "OR",
                      type_name(&sides[i]->type, name, sizeof name));
        }
        e->args[i] =
            need(p, expr_cast(&p->session, sides[i], &boolean, false, place(at), p->error));
    }
    e->type.not_null = a->type.not_null && b->type.not_null;
    return e;
}

static struct expr *negate(struct planner *p, struct expr *e, bool negated, struct ast_at at)
{
    return negated ? call1(p, "NOT", e, at) : e;
}

static struct expr *bind_in(struct planner *p, struct relation *r, struct aggregation *agg,
                            const struct ast_expr *x)
{
    struct expr *left = bind_expr(p, r, agg, x->args[0]);
    struct expr *any = NULL;

    if (x->query != NULL)
        plan_fail(p, x->at, MILL_E_UNSUPPORTED,
                  "IN (sub-query) is supported as a condition of WHERE by itself or between ANDs");
    for (uint32_t i = 1; i < x->arg_count; i++) {
        struct expr *same = call2(p, "=", left, bind_expr(p, r, agg, x->args[i]), x->args[i]->at);

        any = any == NULL ? same : logic(p, EXPR_OR, any, same, x->at);
    }
    return negate(p, any, x->negated, x->at);
}

static struct expr *bind_between(struct planner *p, struct relation *r, struct aggregation *agg,
                                 const struct ast_expr *x)
{
    struct expr *v = bind_expr(p, r, agg, x->args[0]);
    struct expr *a = bind_expr(p, r, agg, x->args[1]), *b = bind_expr(p, r, agg, x->args[2]);
    struct expr *e =
        logic(p, EXPR_AND, call2(p, ">=", v, a, x->at), call2(p, "<=", v, b, x->at), x->at);

    if (x->symmetric)
        e = logic(p, EXPR_OR, e,
                  logic(p, EXPR_AND, call2(p, ">=", v, b, x->at), call2(p, "<=", v, a, x->at),
                        x->at),
                  x->at);
    return negate(p, e, x->negated, x->at);
}

static struct expr *bind_case(struct planner *p, struct relation *r, struct aggregation *agg,
                              const struct ast_expr *x)
{
    struct expr **args = arena_array(p->arena, struct expr *, x->arg_count + 1);
    struct expr *operand = x->has_operand ? bind_expr(p, r, agg, x->args[0]) : NULL;
    uint32_t n = 0;

    for (uint32_t i = x->has_operand; i < x->arg_count; i++) {
        const uint32_t k = i - x->has_operand;
        struct expr *e = bind_expr(p, r, agg, x->args[i]);

        if (operand != NULL && k % 2 == 0 && !(x->has_else && i + 1 == x->arg_count))
            e = call2(p, "=", operand, e, x->args[i]->at);
        args[n++] = e;
    }
    return need(p, expr_case(&p->session, args, n, place(x->at), p->error));
}

static struct expr *bind_typed(struct planner *p, const struct ast_expr *x)
{
    struct expr *text = expr_string(&p->session, x->text, strlen(x->text), place(x->at));
    struct mill_type type = x->type->type;
    const char *point = strchr(x->text, '.');
    struct expr *e;

    if (type.kind == MILL_TIMESTAMP || type.kind == MILL_TIME)
        type.precision = point != NULL ? (uint8_t)min_u32((uint32_t)strlen(point + 1), 9) : 0;
    e = expr_fold(&p->session,
                  need(p, expr_cast(&p->session, text, &type, false, place(x->at), p->error)));
    if (e->kind != EXPR_LITERAL) {
        char name[60];

        plan_fail(p, x->at, MILL_E_TYPE, "'%s' is not a %s", x->text,
                  type_name(&type, name, sizeof name));
    }
    return e;
}

static struct expr **bind_args(struct planner *p, struct relation *r, struct aggregation *agg,
                               const struct ast_expr *x)
{
    struct expr **args = arena_array(p->arena, struct expr *, x->arg_count + 1);

    for (uint32_t i = 0; i < x->arg_count; i++)
        args[i] = bind_expr(p, r, agg, x->args[i]);
    return args;
}

static bool differ_in_width(const struct mill_type *a, const struct mill_type *b)
{
    return type_is_numeric(a) && type_is_numeric(b) &&
           (a->kind != b->kind || a->precision != b->precision || a->scale != b->scale);
}

/* Of the first argument's type, whatever the two are compared as: CASE WHEN a = b THEN NULL ELSE a END. */
static struct expr *bind_nullif(struct planner *p, struct expr **args, struct ast_at at)
{
    struct expr *parts[3] = {call2(p, "=", args[0], args[1], at),
                             expr_null(&p->session, &args[0]->type, place(at)), args[0]};

    return need(p, expr_case(&p->session, parts, 3, place(at), p->error));
}

/* TUMBLE_START(...) where nothing is grouped by TUMBLE(...). */
static void check_group_auxiliary(struct planner *p, const struct ast_expr *x, const char *name)
{
    static const char *const windows[] = {"TUMBLE", "HOP", "SESSION"};
    static const char *const suffixes[] = {"_START", "_END", "_ROWTIME", "_PROCTIME"};

    for (size_t i = 0; i < COUNT_OF(windows); i++)
        for (size_t k = 0; k < COUNT_OF(suffixes); k++)
            if (strncasecmp(name, windows[i], strlen(windows[i])) == 0 &&
                strcasecmp(name + strlen(windows[i]), suffixes[k]) == 0)
                plan_fail(p, x->at, MILL_E_TYPE,
                          "%s(...) needs GROUP BY %s(...) in the same SELECT; over TABLE(%s(...)) "
                          "it is window_start, window_end or window_time",
                          name, windows[i], windows[i]);
}

static struct expr *bind_call(struct planner *p, struct relation *r, struct aggregation *agg,
                              const struct ast_expr *x)
{
    const char *name = x->name.parts[x->name.count - 1];
    const struct user_function *user = catalog_function(p->catalog, name);
    enum agg_kind kind;
    struct expr **args;

    if (x->over != NULL)
        return over_column(p, x);
    if (user != NULL && user->function != NULL && user->function->kind == MILL_TABLE)
        plan_fail(p, x->at, MILL_E_TYPE,
                  "%s is a table function: it stands in FROM t, LATERAL TABLE(%s(...))", name,
                  name);
    if (x->star || (agg_find(name, &kind) && user == NULL) || user_aggregate(p, x) != NULL)
        plan_fail(p, x->at, MILL_E_TYPE, "the aggregate %s cannot stand here", name);
    if (is_group_window(x))
        plan_fail(p, x->at, MILL_E_TYPE,
                  "%s(time, size ...) stands in GROUP BY; in FROM it is TABLE(%s(TABLE t, "
                  "DESCRIPTOR(time), size))",
                  name, name);
    check_group_auxiliary(p, x, name);
    if (x->distinct || x->filter != NULL)
        plan_fail(p, x->at, MILL_E_TYPE, "DISTINCT and FILTER belong to aggregates, %s is none",
                  name);
    if (name[0] == '$')
        plan_fail(p, x->at, MILL_E_NAME, "there is no function %s", name);
    args = bind_args(p, r, agg, x);
    if (user != NULL && user->function != NULL)
        return need(p, expr_user(&p->session, user->function, args, x->arg_count, place(x->at),
                                 p->error));
    if (user == NULL && strcasecmp(name, "NULLIF") == 0 && x->arg_count == 2 &&
        differ_in_width(&args[0]->type, &args[1]->type))
        return bind_nullif(p, args, x->at);
    return call(p, user != NULL ? user->builtin : name, args, x->arg_count, x->at);
}

static struct expr *bind_trim(struct planner *p, struct relation *r, struct aggregation *agg,
                              const struct ast_expr *x)
{
    struct expr *args[] = {expr_string(&p->session, x->text, strlen(x->text), place(x->at)),
                           x->arg_count > 1 ? bind_expr(p, r, agg, x->args[1])
                                            : expr_string(&p->session, " ", 1, place(x->at)),
                           bind_expr(p, r, agg, x->args[0])};

    return call(p, "TRIM", args, 3, x->at);
}

static struct expr *bind_bytes(struct planner *p, const struct ast_expr *x)
{
    struct expr *e = expr_string(&p->session, x->text, x->bytes, place(x->at));

    e->type = type_make(MILL_BINARY);
    e->type.length = x->bytes;
    e->type.not_null = true;
    return e;
}

static struct expr *bind_unary(struct planner *p, struct relation *r, struct aggregation *agg,
                               const struct ast_expr *x)
{
    struct expr *e = bind_expr(p, r, agg, x->args[0]);

    return x->op[0] == '+' ? e : call1(p, x->op, e, x->at);
}

static struct expr *bind_binary(struct planner *p, struct relation *r, struct aggregation *agg,
                                const struct ast_expr *x)
{
    struct expr *a = bind_expr(p, r, agg, x->args[0]), *b = bind_expr(p, r, agg, x->args[1]);

    if (strcmp(x->op, "AND") == 0)
        return logic(p, EXPR_AND, a, b, x->at);
    if (strcmp(x->op, "OR") == 0)
        return logic(p, EXPR_OR, a, b, x->at);
    return call2(p, x->op, a, b, x->at);
}

/* ARRAY[a, ...], MAP[key, value, ...] */
static struct expr *bind_collection(struct planner *p, struct relation *r, struct aggregation *agg,
                                    const struct ast_expr *x)
{
    const bool map = x->kind == AST_MAP;
    const char *name = map ? "MAP" : "ARRAY";
    struct expr **args = bind_args(p, r, agg, x);
    bool typed = false;

    if (x->arg_count == 0)
        plan_fail(p, x->at, MILL_E_TYPE,
                  "%s[] has no type: ARRAY_REMOVE(ARRAY[1], 1) makes an empty array", name);
    if (map && x->arg_count % 2 != 0)
        plan_fail(p, x->at, MILL_E_TYPE, "MAP[...] takes keys and values in turn, it got %u",
                  x->arg_count);
    for (uint32_t i = 0; i < x->arg_count; i++)
        typed = typed || args[i]->type.kind != MILL_NULL;
    if (!typed)
        plan_fail(p, x->at, MILL_E_TYPE, "%s[...] of NULLs needs a type: write CAST(NULL AS type)",
                  name);
    return call(p, name, args, x->arg_count, x->at);
}

static struct expr *bind_element(struct planner *p, struct relation *r, struct aggregation *agg,
                                 const struct ast_expr *x)
{
    struct expr *array = bind_expr(p, r, agg, x->args[0]);
    struct expr *index = bind_expr(p, r, agg, x->args[1]);
    int64_t n;
    char text[100];

    if (array->type.kind != MILL_ARRAY && array->type.kind != MILL_MAP)
        plan_fail(p, x->at, MILL_E_TYPE, "[...] needs an ARRAY or a MAP, this is %s",
                  type_name(&array->type, text, sizeof text));
    if (array->type.kind == MILL_ARRAY && expr_literal_i64(index, &n) && n < 1)
        plan_fail(p, x->args[1]->at, MILL_E_TYPE, "the elements of an array are numbered from 1");
    return call2(p, "[]", array, index, x->at);
}

static struct expr *bind_node(struct planner *p, struct relation *r, struct aggregation *agg,
                              const struct ast_expr *x)
{
    const struct mill_type null = type_make(MILL_NULL);
    struct expr *e;

    switch (x->kind) {
    case AST_NAME: return bind_name(p, r, &x->name);
    case AST_NUMBER: return need(p, expr_number(&p->session, x->text, place(x->at), p->error));
    case AST_STRING: return expr_string(&p->session, x->text, x->bytes, place(x->at));
    case AST_BYTES: return bind_bytes(p, x);
    case AST_BOOL: return expr_bool(&p->session, x->value != 0, place(x->at));
    case AST_NULL: return expr_null(&p->session, &null, place(x->at));
    case AST_TYPED: return bind_typed(p, x);
    case AST_INTERVAL: return bind_interval_literal(p, x);
    case AST_UNARY: return bind_unary(p, r, agg, x);
    case AST_BINARY: return bind_binary(p, r, agg, x);
    case AST_IS: return call1(p, x->op, bind_expr(p, r, agg, x->args[0]), x->at);
    case AST_DISTINCT_FROM:
        e = call2(p, "IS DISTINCT FROM", bind_expr(p, r, agg, x->args[0]),
                  bind_expr(p, r, agg, x->args[1]), x->at);
        return negate(p, e, x->negated, x->at);
    case AST_BETWEEN: return bind_between(p, r, agg, x);
    case AST_IN: return bind_in(p, r, agg, x);
    case AST_LIKE:
        return negate(p, call(p, x->op, bind_args(p, r, agg, x), x->arg_count, x->at), x->negated,
                      x->at);
    case AST_CASE: return bind_case(p, r, agg, x);
    case AST_CAST:
        e = bind_expr(p, r, agg, x->args[0]);
        return need(p,
                    expr_cast(&p->session, e, &x->type->type, x->try_cast, place(x->at), p->error));
    case AST_CALL: return bind_call(p, r, agg, x);
    case AST_EXTRACT:
        return call2(p, "EXTRACT", expr_string(&p->session, x->text, strlen(x->text), place(x->at)),
                     bind_expr(p, r, agg, x->args[0]), x->at);
    case AST_TRIM: return bind_trim(p, r, agg, x);
    case AST_FIELD:
        e = bind_expr(p, r, agg, x->args[0]);
        return need(p, expr_field(&p->session, e, x->text, place(x->at), p->error));
    case AST_EXISTS:
        plan_fail(p, x->at, MILL_E_UNSUPPORTED,
                  "EXISTS is supported as a condition of WHERE by itself or between ANDs");
    case AST_QUERY: return scalar_value(p, agg, x);
    case AST_ROW:
        return need(p, expr_row(&p->session, bind_args(p, r, agg, x), x->arg_count, place(x->at),
                                p->error));
    case AST_ARRAY:
    case AST_MAP: return bind_collection(p, r, agg, x);
    case AST_ELEMENT: return bind_element(p, r, agg, x);
    case AST_STAR:
        plan_fail(p, x->at, MILL_E_SYNTAX, "* stands alone in a SELECT list, or in COUNT(*)");
    default: plan_fail(p, x->at, MILL_E_SYNTAX, "this cannot stand in an expression");
    }
}

static void check_known(struct planner *p, const struct ast_expr *x)
{
    const char *name = x->name.parts[x->name.count - 1];

    if (x->over == NULL && !is_group_window(x) && catalog_function(p->catalog, name) == NULL &&
        function_known(name, place(x->at), p->error) != MILL_OK)
        longjmp(p->failed, 1);
}

struct expr *bind_expr(struct planner *p, struct relation *r, struct aggregation *agg,
                       const struct ast_expr *x)
{
    struct expr *e;

    if (agg != NULL) {
        e = aggregation_call(p, agg, x);
        if (e == NULL)
            e = aggregation_group(p, agg, x);
        if (e != NULL)
            return e;
        if (x->kind == AST_CALL) /* before its arguments, which an aggregate would take */
            check_known(p, x);
        if (x->kind == AST_NAME)
            plan_fail(p, x->at, MILL_E_TYPE,
                      "column %s is neither in GROUP BY nor inside an aggregate",
                      x->name.parts[x->name.count - 1]);
    }
    return bind_node(p, r, agg, x);
}

bool has_aggregate(const struct planner *p, const struct ast_expr *x)
{
    enum agg_kind kind;

    if (x->kind == AST_CALL && x->over == NULL &&
        (x->star ||
         (agg_find(x->name.parts[x->name.count - 1], &kind) &&
          catalog_function(p->catalog, x->name.parts[x->name.count - 1]) == NULL) ||
         user_aggregate(p, x) != NULL))
        return true;
    for (uint32_t i = 0; i < x->arg_count; i++)
        if (has_aggregate(p, x->args[i]))
            return true;
    return false;
}
