/* core/sql/parse_expr.c - expressions, by precedence: OR, AND, NOT, comparison, ||, + -, * / %, unary, postfix. */
#include "core/sql/parser.h"

#include <stdlib.h>
#include <strings.h>

static struct ast_expr *make(struct parser *p, enum ast_expr_kind kind, struct ast_at at)
{
    struct ast_expr *e = arena_new(p->arena, struct ast_expr);

    e->kind = kind;
    e->at = at;
    return e;
}

/* The node is whole: its last token is the one before, its arguments stand. */
static struct ast_expr *end(struct parser *p, struct ast_expr *e)
{
    e->end = at_of(&p->last);
    e->end.column += p->last.bytes;
    for (uint32_t i = 0; i < e->arg_count; i++)
        e->depth = max_u32(e->depth, e->args[i]->depth + 1);
    if (e->depth > TREE_DEPTH_MAX)
        fail_at(p, e->at, MILL_E_SYNTAX,
                "more than %u operators in a row or levels deep: break the expression up",
                TREE_DEPTH_MAX);
    return e;
}

static struct ast_expr *with_args(struct parser *p, struct ast_expr *e, uint32_t count,
                                  struct ast_expr *a, struct ast_expr *b, struct ast_expr *c)
{
    struct ast_expr *all[] = {a, b, c};

    e->args = arena_array(p->arena, struct ast_expr *, count > 0 ? count : 1);
    memcpy(e->args, all, count * sizeof *all);
    e->arg_count = count;
    return end(p, e);
}

static struct ast_expr *binary(struct parser *p, const char *op, struct ast_at at,
                               struct ast_expr *a, struct ast_expr *b)
{
    struct ast_expr *e = make(p, AST_BINARY, at);

    e->op = op;
    return with_args(p, e, 2, a, b, NULL);
}

struct ast_expr **parse_expr_list(struct parser *p, uint32_t *count)
{
    struct list list = {0};

    do
        *LIST_ADD(p, &list, struct ast_expr *) = parse_expr(p);
    while (accept(p, ","));
    *count = list.count;
    return list.items;
}

/* Tokens from the current one on, without taking them. */
struct scout {
    const struct parser *p;
    struct lexer lexer;
    uint32_t n;
};

static struct token scout_next(struct scout *s)
{
    return s->n < AHEAD ? s->p->ahead[s->n++] : lexer_next(&s->lexer);
}

static bool is_one_of(const struct token *token, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (token_is(token, words[i]))
            return true;
    return false;
}

/* Each parenthesis around the first SELECT but the outermost must be followed by more of a query: ((SELECT ...) UNION ...) is one,
 * ((SELECT ...) + 1) and ((SELECT ...) AS a JOIN b) are not. */
bool starts_query(const struct parser *p)
{
    static const char *const begin[] = {"SELECT", "VALUES", "WITH"};
    static const char *const goes_on[] = {"UNION", "INTERSECT", "EXCEPT", "ORDER",
                                          "LIMIT", "OFFSET",    "FETCH",  ")"};
    struct scout s = {.p = p, .lexer = p->lexer};
    struct token token = scout_next(&s);
    uint32_t leading = 0;

    for (; token_is(&token, "("); token = scout_next(&s))
        if (++leading > DEPTH_MAX)
            return false; /* too deep either way */
    if (!is_one_of(&token, begin, COUNT_OF(begin)))
        return false;
    for (uint32_t depth = leading; leading > 1;) {
        if (token.kind == TOKEN_END || token.kind == TOKEN_BAD)
            break;
        depth += token_is(&token, "(");
        depth -= token_is(&token, ")");
        token = scout_next(&s);
        if (depth < leading) {
            if (!is_one_of(&token, goes_on, COUNT_OF(goes_on)))
                return false;
            leading = depth;
        }
    }
    return true;
}

/* ---- literals ---- */

static const struct {
    const char *name;
    enum ast_unit unit;
} units[] = {{"YEAR", UNIT_YEAR},
             {"QUARTER", UNIT_QUARTER},
             {"MONTH", UNIT_MONTH},
             {"WEEK", UNIT_WEEK},
             {"DAY", UNIT_DAY},
             {"HOUR", UNIT_HOUR},
             {"MINUTE", UNIT_MINUTE},
             {"SECOND", UNIT_SECOND},
             {"MILLISECOND", UNIT_MILLISECOND},
             {"MICROSECOND", UNIT_MICROSECOND},
             {"NANOSECOND", UNIT_NANOSECOND}};

/* SECOND, SECONDS, SECOND(3). */
static enum ast_unit parse_unit(struct parser *p)
{
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        const struct token *t = &p->ahead[0];
        const size_t n = strlen(units[i].name);

        if (t->kind != TOKEN_WORD || t->bytes < n || t->bytes > n + 1 ||
            strncasecmp(t->text, units[i].name, n) != 0 ||
            (t->bytes == n + 1 && (t->text[n] | 32) != 's'))
            continue;
        advance(p);
        if (is(p, "(") && p->ahead[1].kind == TOKEN_NUMBER) {
            advance(p);
            parse_u32(p, "a precision");
            if (accept(p, ","))
                parse_u32(p, "a precision");
            expect(p, ")");
        }
        return units[i].unit;
    }
    fail_expected(p, "a unit of time: YEAR, MONTH, DAY, HOUR, MINUTE or SECOND");
}

static struct ast_expr *parse_interval(struct parser *p)
{
    struct ast_expr *e = make(p, AST_INTERVAL, here(p));

    expect(p, "INTERVAL");
    e->value = accept(p, "-") ? -1 : 1;
    accept(p, "+");
    if (p->ahead[0].kind == TOKEN_NUMBER) { /* INTERVAL 10 MINUTES */
        e->text = token_text(p, &p->ahead[0]);
        advance(p);
    } else {
        e->text = parse_string(p, "the quoted length of an interval, as in INTERVAL '5' SECOND");
    }
    e->from = e->to = parse_unit(p);
    if (accept(p, "TO"))
        e->to = parse_unit(p);
    if (e->to < e->from)
        fail_at(p, e->at, MILL_E_SYNTAX, "an interval runs from the larger unit to the smaller");
    return end(p, e);
}

static struct ast_expr *parse_bytes(struct parser *p)
{
    struct ast_expr *e = make(p, AST_BYTES, here(p));
    const struct token *t = &p->ahead[0];
    char *out = arena_alloc(p->arena, t->bytes / 2 + 1);

    if (t->bytes % 2 != 0)
        fail_at(p, e->at, MILL_E_SYNTAX, "X'...' needs two hexadecimal digits per byte");
    for (uint32_t i = 0; i < t->bytes; i += 2) {
        const char pair[3] = {t->text[i], t->text[i + 1], 0};
        char *stop;

        out[i / 2] = (char)strtoul(pair, &stop, 16);
        if (stop != pair + 2 || pair[0] == '-' || pair[0] == '+' || pair[0] == ' ')
            fail_at(p, e->at, MILL_E_SYNTAX, "X'...' holds %s, which is not hexadecimal", pair);
    }
    e->text = out;
    e->bytes = t->bytes / 2;
    advance(p);
    return end(p, e);
}

static struct ast_expr *parse_plain_literal(struct parser *p)
{
    const struct token *t = &p->ahead[0];
    struct ast_expr *e = make(p, AST_NULL, here(p));

    switch (t->kind) {
    case TOKEN_NUMBER:
        e->kind = AST_NUMBER;
        e->text = token_text(p, t);
        advance(p);
        return end(p, e);
    case TOKEN_STRING:
    case TOKEN_UNICODE:
        e->kind = AST_STRING;
        e->text = token_text(p, t);
        e->bytes = (uint32_t)strlen(e->text);
        advance(p);
        return end(p, e);
    case TOKEN_BYTES: return parse_bytes(p);
    default: break;
    }
    if (accept(p, "NULL"))
        return end(p, e);
    if (is(p, "TRUE") || is(p, "FALSE")) {
        e->kind = AST_BOOL;
        e->value = is(p, "TRUE");
        advance(p);
        return end(p, e);
    }
    if (accept(p, "UNKNOWN"))
        return end(p, e);
    return NULL;
}

/* DATE '..', TIME '..', TIMESTAMP '..' */
static struct ast_expr *parse_typed_literal(struct parser *p)
{
    static const struct {
        const char *name;
        uint8_t kind;
    } typed[] = {{"DATE", MILL_DATE}, {"TIME", MILL_TIME}, {"TIMESTAMP", MILL_TIMESTAMP}};

    for (size_t i = 0; i < COUNT_OF(typed); i++) {
        struct ast_expr *e;

        if (!is(p, typed[i].name) || p->ahead[1].kind != TOKEN_STRING)
            continue;
        e = make(p, AST_TYPED, here(p));
        advance(p);
        e->type = arena_new(p->arena, struct ast_type);
        e->type->at = e->at;
        e->type->type = type_make(typed[i].kind);
        e->text = parse_string(p, "a quoted time");
        return end(p, e);
    }
    return NULL;
}

/* ---- calls with a grammar of their own ---- */

static struct ast_expr *parse_case(struct parser *p)
{
    struct ast_expr *e = make(p, AST_CASE, here(p));
    struct list args = {0};

    expect(p, "CASE");
    if (!is(p, "WHEN")) {
        e->has_operand = true;
        *LIST_ADD(p, &args, struct ast_expr *) = parse_expr(p);
    }
    if (!is(p, "WHEN"))
        fail_expected(p, "WHEN");
    while (accept(p, "WHEN")) {
        *LIST_ADD(p, &args, struct ast_expr *) = parse_expr(p);
        expect(p, "THEN");
        *LIST_ADD(p, &args, struct ast_expr *) = parse_expr(p);
    }
    if (accept(p, "ELSE")) {
        e->has_else = true;
        *LIST_ADD(p, &args, struct ast_expr *) = parse_expr(p);
    }
    expect(p, "END");
    e->args = args.items;
    e->arg_count = args.count;
    return end(p, e);
}

static struct ast_expr *parse_cast(struct parser *p)
{
    struct ast_expr *e = make(p, AST_CAST, here(p));
    struct ast_expr *arg;

    e->try_cast = is(p, "TRY_CAST");
    advance(p);
    expect(p, "(");
    arg = parse_expr(p);
    expect(p, "AS");
    e->type = parse_type(p);
    expect(p, ")");
    return with_args(p, e, 1, arg, NULL, NULL);
}

static const char *word_text(struct parser *p)
{
    const char *text;

    if (p->ahead[0].kind != TOKEN_WORD)
        fail_expected(p, "a unit of time, such as HOUR");
    text = token_text(p, &p->ahead[0]);
    advance(p);
    return text;
}

static struct ast_expr *text_literal(struct parser *p, const char *text, struct ast_at at)
{
    struct ast_expr *e = make(p, AST_STRING, at);

    e->text = text;
    e->bytes = (uint32_t)strlen(text);
    return end(p, e);
}

static struct ast_expr *call(struct parser *p, const char *name, struct ast_at at)
{
    struct ast_expr *e = make(p, AST_CALL, at);

    e->name.at = at;
    e->name.count = 1;
    e->name.parts = arena_array(p->arena, const char *, 1);
    e->name.parts[0] = name;
    return e;
}

static struct ast_expr *parse_extract(struct parser *p)
{
    struct ast_expr *e = make(p, AST_EXTRACT, here(p));
    struct ast_expr *arg;

    advance(p);
    expect(p, "(");
    e->text = word_text(p);
    expect(p, "FROM");
    arg = parse_expr(p);
    expect(p, ")");
    return with_args(p, e, 1, arg, NULL, NULL);
}

static struct ast_expr *parse_trim(struct parser *p)
{
    struct ast_expr *e = make(p, AST_TRIM, here(p));
    struct ast_expr *first = NULL, *second;

    advance(p);
    expect(p, "(");
    e->text = "BOTH";
    if (is(p, "LEADING") || is(p, "TRAILING") || is(p, "BOTH")) {
        e->text = is(p, "LEADING") ? "LEADING" : is(p, "TRAILING") ? "TRAILING" : "BOTH";
        advance(p);
    }
    if (!is(p, "FROM"))
        first = parse_expr(p);
    if (accept(p, "FROM")) {
        second = parse_expr(p);
        expect(p, ")");
        return with_args(p, e, first != NULL ? 2 : 1, second, first, NULL);
    }
    expect(p, ")");
    return with_args(p, e, 1, first, NULL, NULL);
}

/* POSITION(a IN b), SUBSTRING(a FROM b [FOR c]), OVERLAY(a PLACING b FROM c [FOR d]): words between arguments. */
static struct ast_expr *parse_worded(struct parser *p, const char *name)
{
    static const char *const words[] = {"FROM", "FOR", "IN", "PLACING", ","};
    struct ast_expr *e = call(p, name, here(p));
    struct list args = {0};
    bool more = true;

    advance(p);
    expect(p, "(");
    while (more) {
        struct ast_expr *arg;

        /* in POSITION(a IN b) the IN is no operator */
        p->in_position = args.count == 0 && strcmp(name, "POSITION") == 0;
        arg = parse_expr(p);
        p->in_position = false;
        *LIST_ADD(p, &args, struct ast_expr *) = arg;
        more = false;
        for (size_t i = 0; i < COUNT_OF(words) && !more; i++)
            more = accept(p, words[i]);
    }
    expect(p, ")");
    e->args = args.items;
    e->arg_count = args.count;
    return end(p, e);
}

/* CEIL(x TO unit), FLOOR(x TO unit) */
static struct ast_expr *parse_rounding(struct parser *p, const char *name)
{
    struct ast_expr *e = call(p, name, here(p));
    struct ast_expr *arg, *unit = NULL;

    advance(p);
    expect(p, "(");
    arg = parse_expr(p);
    if (accept(p, "TO")) {
        const struct ast_at at = here(p);

        unit = text_literal(p, word_text(p), at);
    }
    expect(p, ")");
    return with_args(p, e, unit != NULL ? 2 : 1, arg, unit, NULL);
}

static struct ast_expr *parse_timestamp_add(struct parser *p, const char *name)
{
    struct ast_expr *e = call(p, name, here(p));
    struct ast_expr *unit, *a, *b;
    struct ast_at at;

    advance(p);
    expect(p, "(");
    at = here(p);
    unit = text_literal(p, word_text(p), at);
    expect(p, ",");
    a = parse_expr(p);
    expect(p, ",");
    b = parse_expr(p);
    expect(p, ")");
    return with_args(p, e, 3, unit, a, b);
}

static struct ast_expr *parse_descriptor(struct parser *p)
{
    struct ast_expr *e = make(p, AST_DESCRIPTOR, here(p));
    struct list args = {0};

    advance(p);
    expect(p, "(");
    do {
        struct ast_expr *column = make(p, AST_NAME, here(p));

        column->name = parse_name(p, "a column");
        *LIST_ADD(p, &args, struct ast_expr *) = end(p, column);
    } while (accept(p, ","));
    expect(p, ")");
    e->args = args.items;
    e->arg_count = args.count;
    return end(p, e);
}

static struct ast_expr *parse_collection(struct parser *p, enum ast_expr_kind kind,
                                         const char *open, const char *close)
{
    struct ast_expr *e = make(p, kind, here(p));

    advance(p);
    expect(p, open);
    if (!is(p, close))
        e->args = parse_expr_list(p, &e->arg_count);
    expect(p, close);
    return end(p, e);
}

/* ---- plain calls ---- */

static struct ast_expr *parse_argument(struct parser *p)
{
    struct ast_expr *e;

    if (is(p, "TABLE")) {
        e = make(p, AST_TABLE_ARG, here(p));
        e->table = parse_table_argument(p);
        return end(p, e);
    }
    if (p->ahead[0].kind == TOKEN_WORD && is_ahead(p, 1, "=>")) {
        e = make(p, AST_NAMED_ARG, here(p));
        e->text = token_text(p, &p->ahead[0]);
        advance(p);
        advance(p);
        return with_args(p, e, 1, parse_argument(p), NULL, NULL);
    }
    return parse_expr(p);
}

/* Inside the parentheses or behind them. */
static void parse_nulls(struct parser *p, struct ast_expr *e)
{
    if (accept2(p, "IGNORE", "NULLS"))
        e->ignore_nulls = true;
    else
        accept2(p, "RESPECT", "NULLS");
}

static void parse_call_tail(struct parser *p, struct ast_expr *e)
{
    if (is(p, "WITHIN") && is_ahead(p, 1, "GROUP")) {
        advance(p);
        advance(p);
        expect(p, "(");
        expect(p, "ORDER");
        expect(p, "BY");
        e->within = parse_order_items(p);
        expect(p, ")");
    }
    if (is(p, "FILTER") && is_ahead(p, 1, "(")) {
        advance(p);
        advance(p);
        expect(p, "WHERE");
        e->filter = parse_expr(p);
        expect(p, ")");
    }
    parse_nulls(p, e);
    if (accept(p, "OVER")) {
        if (is(p, "(")) {
            e->over = parse_window_body(p);
        } else {
            e->over = arena_new(p->arena, struct ast_window);
            e->over->at = here(p);
            e->over->name = parse_identifier(p, "the name of a window");
        }
    }
}

static struct ast_expr *parse_call(struct parser *p, struct ast_name name)
{
    struct ast_expr *e = make(p, AST_CALL, name.at);
    struct list args = {0};

    e->name = name;
    expect(p, "(");
    if (accept(p, "DISTINCT"))
        e->distinct = true;
    else
        accept(p, "ALL");
    if (is(p, "*") && is_ahead(p, 1, ")")) {
        advance(p);
        e->star = true;
    } else if (!is(p, ")")) {
        do
            *LIST_ADD(p, &args, struct ast_expr *) = parse_argument(p);
        while (accept(p, ","));
        parse_nulls(p, e);
    }
    expect(p, ")");
    e->args = args.items;
    e->arg_count = args.count;
    parse_call_tail(p, e);
    return end(p, e);
}

/* CURRENT_TIMESTAMP and friends stand without parentheses. */
static bool is_bare_call(const struct parser *p)
{
    static const char *const names[] = {"CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME",
                                        "LOCALTIME", "LOCALTIMESTAMP"};

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (is(p, names[i]) && !is_ahead(p, 1, "("))
            return true;
    return false;
}

static struct ast_expr *parse_special(struct parser *p)
{
    const bool called = is_ahead(p, 1, "(");

    if (is(p, "CASE"))
        return parse_case(p);
    if ((is(p, "CAST") || is(p, "TRY_CAST")) && called)
        return parse_cast(p);
    if (is(p, "INTERVAL"))
        return parse_interval(p);
    if (is(p, "DESCRIPTOR") && called)
        return parse_descriptor(p);
    if (is(p, "EXISTS") && called) {
        struct ast_expr *e = make(p, AST_EXISTS, here(p));

        advance(p);
        expect(p, "(");
        e->query = parse_query(p);
        expect(p, ")");
        return end(p, e);
    }
    if (!called)
        return is(p, "ARRAY") && is_ahead(p, 1, "[") ? parse_collection(p, AST_ARRAY, "[", "]")
               : is(p, "MAP") && is_ahead(p, 1, "[") ? parse_collection(p, AST_MAP, "[", "]")
                                                     : NULL;
    if (is(p, "EXTRACT"))
        return parse_extract(p);
    if (is(p, "TRIM"))
        return parse_trim(p);
    if (is(p, "ROW"))
        return parse_collection(p, AST_ROW, "(", ")");
    if (is(p, "POSITION"))
        return parse_worded(p, "POSITION");
    if (is(p, "SUBSTRING"))
        return parse_worded(p, "SUBSTRING");
    if (is(p, "OVERLAY"))
        return parse_worded(p, "OVERLAY");
    if (is(p, "CEIL") || is(p, "CEILING"))
        return parse_rounding(p, "CEIL");
    if (is(p, "FLOOR"))
        return parse_rounding(p, "FLOOR");
    if (is(p, "TIMESTAMPADD"))
        return parse_timestamp_add(p, "TIMESTAMPADD");
    if (is(p, "TIMESTAMPDIFF"))
        return parse_timestamp_add(p, "TIMESTAMPDIFF");
    return NULL;
}

/* Functions whose names are reserved words. */
static bool is_reserved_function(const struct parser *p)
{
    static const char *const names[] = {"LEFT", "RIGHT", "GROUPING"};

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (is(p, names[i]) && is_ahead(p, 1, "("))
            return true;
    return false;
}

static struct ast_expr *parse_parenthesis(struct parser *p)
{
    struct ast_expr *e;
    const struct ast_at at = here(p);

    if (starts_query(p)) {
        e = make(p, AST_QUERY, at);
        expect(p, "(");
        e->query = parse_query(p);
        expect(p, ")");
        return end(p, e);
    }
    expect(p, "(");
    e = parse_expr(p);
    if (is(p, ",")) { /* (a, b): a row */
        struct ast_expr *row = make(p, AST_ROW, at);
        struct list args = {0};

        *LIST_ADD(p, &args, struct ast_expr *) = e;
        while (accept(p, ","))
            *LIST_ADD(p, &args, struct ast_expr *) = parse_expr(p);
        row->args = args.items;
        row->arg_count = args.count;
        e = row;
    }
    expect(p, ")");
    return end(p, e);
}

static struct ast_expr *parse_star(struct parser *p)
{
    struct ast_expr *e = make(p, AST_STAR, here(p));

    advance(p);
    return end(p, e);
}

static struct ast_expr *parse_named(struct parser *p)
{
    struct ast_expr *e;
    struct ast_name name;

    if (is_bare_call(p)) {
        const struct ast_at at = here(p);

        return with_args(p, call(p, word_text(p), at), 0, NULL, NULL, NULL);
    }
    if (is_reserved_function(p)) {
        name = (struct ast_name){.at = here(p), .count = 1};
        name.parts = arena_array(p->arena, const char *, 1);
        name.parts[0] = word_text(p);
        return parse_call(p, name);
    }
    if (!is_name(p))
        fail_expected(p, "an expression");
    if ((is(p, "RUNNING") || is(p, "FINAL")) && p->ahead[1].kind == TOKEN_WORD &&
        is_ahead(p, 2, "(")) {
        const bool final = accept(p, "FINAL");

        if (!final)
            advance(p);
        e = parse_named(p);
        e->final = final;
        e->running = !final;
        return e;
    }
    name = parse_name(p, "an expression");
    if (is(p, "("))
        return parse_call(p, name);
    e = make(p, AST_NAME, name.at);
    e->name = name;
    if (is(p, ".") && is_ahead(p, 1, "*")) {
        advance(p);
        advance(p);
        e->kind = AST_STAR;
    }
    return end(p, e);
}

static struct ast_expr *parse_primary(struct parser *p)
{
    struct ast_expr *e = parse_plain_literal(p);

    if (e == NULL)
        e = parse_typed_literal(p);
    if (e == NULL)
        e = parse_special(p);
    if (e == NULL && is(p, "("))
        e = parse_parenthesis(p);
    if (e == NULL && is(p, "*"))
        e = parse_star(p);
    return e != NULL ? e : parse_named(p);
}

static struct ast_expr *parse_postfix(struct parser *p)
{
    struct ast_expr *e = parse_primary(p);

    for (;;) {
        struct ast_expr *outer;

        if (is(p, "[")) {
            outer = make(p, AST_ELEMENT, e->at);
            advance(p);
            e = with_args(p, outer, 2, e, parse_expr(p), NULL);
            expect(p, "]");
        } else if (is(p, ".") && !is_ahead(p, 1, "*")) {
            outer = make(p, AST_FIELD, e->at);
            advance(p);
            if (p->ahead[0].kind != TOKEN_WORD && p->ahead[0].kind != TOKEN_QUOTED)
                fail_expected(p, "the name of a field");
            outer->text = token_text(p, &p->ahead[0]);
            advance(p);
            e = with_args(p, outer, 1, e, NULL, NULL);
        } else {
            return end(p, e);
        }
    }
}

/* ---- operators ---- */

static struct ast_expr *parse_unary(struct parser *p)
{
    const struct ast_at at = here(p);
    struct ast_expr *e;

    if (!is(p, "-") && !is(p, "+"))
        return parse_postfix(p);
    enter(p);
    e = make(p, AST_UNARY, at);
    e->op = is(p, "-") ? "-" : "+";
    advance(p);
    e = with_args(p, e, 1, parse_unary(p), NULL, NULL);
    leave(p);
    return e;
}

static struct ast_expr *parse_product(struct parser *p)
{
    struct ast_expr *e = parse_unary(p);

    for (;;) {
        const char *op = is(p, "*") ? "*" : is(p, "/") ? "/" : is(p, "%") ? "%" : NULL;

        if (op == NULL)
            return e;
        advance(p);
        e = binary(p, op, e->at, e, parse_unary(p));
    }
}

static struct ast_expr *parse_sum(struct parser *p)
{
    struct ast_expr *e = parse_product(p);

    for (;;) {
        const char *op = is(p, "+") ? "+" : is(p, "-") ? "-" : is(p, "||") ? "||" : NULL;

        if (op == NULL)
            return e;
        advance(p);
        e = binary(p, op, e->at, e, parse_product(p));
    }
}

static struct ast_expr *parse_is(struct parser *p, struct ast_expr *left)
{
    static const char *const tests[][2] = {{"NULL", "IS NULL"},
                                           {"TRUE", "IS TRUE"},
                                           {"FALSE", "IS FALSE"},
                                           {"UNKNOWN", "IS UNKNOWN"}};
    static const char *const negated[][2] = {{"NULL", "IS NOT NULL"},
                                             {"TRUE", "IS NOT TRUE"},
                                             {"FALSE", "IS NOT FALSE"},
                                             {"UNKNOWN", "IS NOT UNKNOWN"}};
    struct ast_expr *e = make(p, AST_IS, left->at);
    const bool not = accept(p, "NOT");

    if (accept(p, "DISTINCT")) {
        expect(p, "FROM");
        e->kind = AST_DISTINCT_FROM;
        e->negated = not ;
        return with_args(p, e, 2, left, parse_sum(p), NULL);
    }
    for (size_t i = 0; i < COUNT_OF(tests); i++)
        if (accept(p, tests[i][0])) {
            e->op = not ? negated[i][1] : tests[i][1];
            return with_args(p, e, 1, left, NULL, NULL);
        }
    fail_expected(p, "NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM");
}

static struct ast_expr *parse_in(struct parser *p, struct ast_expr *left, bool not )
{
    struct ast_expr *e = make(p, AST_IN, left->at);
    struct list args = {0};

    e->negated = not ;
    *LIST_ADD(p, &args, struct ast_expr *) = left;
    if (is(p, "(") && starts_query(p)) {
        expect(p, "(");
        e->query = parse_query(p);
    } else {
        expect(p, "(");
        do
            *LIST_ADD(p, &args, struct ast_expr *) = parse_expr(p);
        while (accept(p, ","));
    }
    expect(p, ")");
    e->args = args.items;
    e->arg_count = args.count;
    return end(p, e);
}

static struct ast_expr *parse_between(struct parser *p, struct ast_expr *left, bool not )
{
    struct ast_expr *e = make(p, AST_BETWEEN, left->at), *low;

    e->negated = not ;
    e->symmetric = accept(p, "SYMMETRIC");
    accept(p, "ASYMMETRIC");
    low = parse_sum(p);
    expect(p, "AND");
    return with_args(p, e, 3, left, low, parse_sum(p));
}

static struct ast_expr *parse_like(struct parser *p, struct ast_expr *left, bool not )
{
    struct ast_expr *e = make(p, AST_LIKE, left->at), *pattern;

    e->op = "LIKE";
    if (accept(p, "SIMILAR")) {
        expect(p, "TO");
        e->op = "SIMILAR TO";
    } else {
        expect(p, "LIKE");
    }
    e->negated = not ;
    pattern = parse_sum(p);
    if (accept(p, "ESCAPE"))
        return with_args(p, e, 3, left, pattern, parse_sum(p));
    return with_args(p, e, 2, left, pattern, NULL);
}

/* What other dialects write behind a comparison. */
static void check_quantifier(struct parser *p, const char *op)
{
    if (strcmp(op, "=") == 0 && is(p, "="))
        fail_at(p, here(p), MILL_E_SYNTAX, "found ==: values are compared by =");
    if ((is(p, "ALL") || is(p, "ANY") || is(p, "SOME")) && is_ahead(p, 1, "("))
        fail_at(p, here(p), MILL_E_UNSUPPORTED,
                "%.*s (query) is not supported: x IN (query) is x = ANY (query); else compare with "
                "(SELECT MIN(x) ...) or (SELECT MAX(x) ...)",
                (int)p->ahead[0].bytes, p->ahead[0].text);
}

static struct ast_expr *parse_comparison(struct parser *p)
{
    static const char *const ops[] = {"=", "<>", "!=", "<=", ">=", "<", ">"};
    struct ast_expr *e = parse_sum(p);

    for (;;) {
        const bool not = is(p, "NOT") && (is_ahead(p, 1, "IN") || is_ahead(p, 1, "LIKE") ||
                                          is_ahead(p, 1, "BETWEEN") || is_ahead(p, 1, "SIMILAR"));
        const char *op = NULL;

        if (not )
            advance(p);
        for (size_t i = 0; i < COUNT_OF(ops) && op == NULL; i++)
            if (is(p, ops[i]))
                op = i == 2 ? "<>" : ops[i];
        if (op != NULL) {
            advance(p);
            check_quantifier(p, op);
            e = binary(p, op, e->at, e, parse_sum(p));
        } else if (accept(p, "IS")) {
            e = parse_is(p, e);
        } else if (is(p, "IN") && p->in_position) {
            return e;
        } else if (accept(p, "IN")) {
            e = parse_in(p, e, not );
        } else if (accept(p, "BETWEEN")) {
            e = parse_between(p, e, not );
        } else if (is(p, "LIKE") || is(p, "SIMILAR")) {
            e = parse_like(p, e, not );
        } else {
            return e;
        }
    }
}

static struct ast_expr *parse_not(struct parser *p)
{
    const struct ast_at at = here(p);
    struct ast_expr *e;

    if (!is(p, "NOT"))
        return parse_comparison(p);
    enter(p);
    advance(p);
    e = make(p, AST_UNARY, at);
    e->op = "NOT";
    e = with_args(p, e, 1, parse_not(p), NULL, NULL);
    leave(p);
    return e;
}

/* Of items[0 .. count), count > 0, a tree of the least depth, in the same order. */
static struct ast_expr *balanced(struct parser *p, const char *op, struct ast_expr *const *items,
                                 uint32_t count)
{
    struct ast_expr *left, *right, *e;

    if (count == 1)
        return items[0];
    left = balanced(p, op, items, count - count / 2);
    right = balanced(p, op, items + (count - count / 2), count / 2);
    e = binary(p, op, left->at, left, right);
    e->end = right->end;
    return e;
}

static struct ast_expr *parse_and(struct parser *p)
{
    struct list items = {0};

    do
        *LIST_ADD(p, &items, struct ast_expr *) = parse_not(p);
    while (accept(p, "AND"));
    return balanced(p, "AND", items.items, items.count);
}

struct ast_expr *parse_expr(struct parser *p)
{
    struct list items = {0};
    struct ast_expr *e;

    enter(p);
    do
        *LIST_ADD(p, &items, struct ast_expr *) = parse_and(p);
    while (accept(p, "OR"));
    e = balanced(p, "OR", items.items, items.count);
    leave(p);
    return e;
}
