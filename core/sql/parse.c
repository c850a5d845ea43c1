/* core/sql/parse.c - the script: variables, tokens, names, types, errors. */
#include "core/sql/parser.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* ---- errors ---- */

_Noreturn void fail_at(struct parser *p, struct ast_at at, int code, const char *format, ...)
{
    char text[400];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    mill_fail(p->error, code, at.line, at.column, "%s", text);
    longjmp(p->failed, 1);
}

static const char *const keywords[] = {"SELECT",    "FROM",        "WHERE",
                                       "GROUP",     "BY",          "HAVING",
                                       "ORDER",     "LIMIT",       "INSERT",
                                       "INTO",      "CREATE",      "TABLE",
                                       "VIEW",      "FUNCTION",    "WITH",
                                       "WATERMARK", "FOR",         "AS",
                                       "INTERVAL",  "UNION",       "ALL",
                                       "VALUES",    "EXPLAIN",     "DESCRIBE",
                                       "SHOW",      "SET",         "RESET",
                                       "DROP",      "EXECUTE",     "STATEMENT",
                                       "BEGIN",     "END",         "CASE",
                                       "WHEN",      "THEN",        "ELSE",
                                       "CAST",      "TRY_CAST",    "BETWEEN",
                                       "AND",       "OR",          "NOT",
                                       "LIKE",      "IN",          "IS",
                                       "NULL",      "DISTINCT",    "JOIN",
                                       "LEFT",      "RIGHT",       "FULL",
                                       "INNER",     "OUTER",       "ON",
                                       "PARTITION", "OVER",        "DESCRIPTOR",
                                       "TUMBLE",    "HOP",         "CUMULATE",
                                       "SESSION",   "PRIMARY",     "KEY",
                                       "ENFORCED",  "METADATA",    "VIRTUAL",
                                       "COMMENT",   "PARTITIONED", "MATCH_RECOGNIZE",
                                       "LATERAL",   "UNNEST",      "EXISTS",
                                       "TEMPORARY", "FILTER",      "SECOND",
                                       "MINUTE",    "HOUR",        "DAY",
                                       "MONTH",     "YEAR"};

static const char *const type_words[] = {"BOOLEAN",  "TINYINT", "SMALLINT",  "INT",
                                         "INTEGER",  "BIGINT",  "FLOAT",     "DOUBLE",
                                         "DECIMAL",  "NUMERIC", "CHAR",      "VARCHAR",
                                         "STRING",   "BINARY",  "VARBINARY", "BYTES",
                                         "DATE",     "TIME",    "TIMESTAMP", "TIMESTAMP_LTZ",
                                         "INTERVAL", "ROW",     "ARRAY",     "MAP"};

/* What was found is none of @words: with the nearest of them. */
static _Noreturn void fail_among(struct parser *p, const char *what, const char *const *words,
                                 size_t count)
{
    const struct token *t = &p->ahead[0];
    char found[80];
    const char *near = NULL;

    if (t->kind == TOKEN_BAD)
        fail_at(p, here(p), MILL_E_SYNTAX, "%s", t->reason);
    if (t->kind == TOKEN_END) {
        snprintf(found, sizeof found, "the text ends");
    } else {
        snprintf(found, sizeof found, "found %s%.*s%s", t->kind == TOKEN_STRING ? "'" : "",
                 (int)min_u32(t->bytes, 40), t->text, t->kind == TOKEN_STRING ? "'" : "");
        if (t->kind == TOKEN_WORD) {
            char word[64];

            snprintf(word, sizeof word, "%.*s", (int)min_u32(t->bytes, 63), t->text);
            near = nearest_name(word, words, count);
            if (near != NULL && strcasecmp(near, word) == 0)
                near = NULL;
        }
    }
    if (near != NULL)
        fail_at(p, here(p), MILL_E_SYNTAX, "%s, expected %s; did you mean %s?", found, what, near);
    fail_at(p, here(p), MILL_E_SYNTAX, "%s, expected %s", found, what);
}

_Noreturn void fail_expected(struct parser *p, const char *what)
{
    fail_among(p, what, keywords, COUNT_OF(keywords));
}

void enter(struct parser *p)
{
    if (++p->depth > DEPTH_MAX)
        fail_at(p, here(p), MILL_E_SYNTAX,
                "nested more than %u levels deep: break the expression or query up", DEPTH_MAX);
}

/* ---- tokens ---- */

void advance(struct parser *p)
{
    p->last = p->ahead[0];
    memmove(p->ahead, p->ahead + 1, (AHEAD - 1) * sizeof *p->ahead);
    p->ahead[AHEAD - 1] = lexer_next(&p->lexer);
}

struct ast_at at_of(const struct token *token)
{
    return (struct ast_at){token->line, token->column};
}

struct ast_at here(const struct parser *p)
{
    return at_of(&p->ahead[0]);
}

bool token_is(const struct token *token, const char *word)
{
    if (token->kind != TOKEN_WORD && token->kind != TOKEN_SYMBOL)
        return false;
    return strlen(word) == token->bytes && strncasecmp(token->text, word, token->bytes) == 0;
}

bool is(const struct parser *p, const char *word)
{
    return token_is(&p->ahead[0], word);
}

bool is_ahead(const struct parser *p, uint32_t n, const char *word)
{
    return token_is(&p->ahead[n], word);
}

bool accept(struct parser *p, const char *word)
{
    if (!is(p, word))
        return false;
    advance(p);
    return true;
}

bool accept2(struct parser *p, const char *first, const char *second)
{
    if (!is(p, first) || !is_ahead(p, 1, second))
        return false;
    advance(p);
    advance(p);
    return true;
}

void expect(struct parser *p, const char *word)
{
    if (!accept(p, word))
        fail_expected(p, word);
}

/* ---- lists ---- */

void *list_add(struct parser *p, struct list *list, size_t bytes)
{
    if (list->count == list->room) {
        const uint32_t room = list->room == 0 ? 4 : list->room * 2;
        void *items = arena_zalloc(p->arena, room * bytes);

        if (list->count > 0)
            memcpy(items, list->items, list->count * bytes);
        list->items = items;
        list->room = room;
    }
    return (char *)list->items + bytes * list->count++;
}

/* ---- names and literals ---- */

static char *unicode_text(struct parser *p, const struct token *t);

const char *token_text(struct parser *p, const struct token *token)
{
    const char quote = token->kind == TOKEN_STRING   ? '\''
                       : token->kind == TOKEN_QUOTED ? '`'
                                                     : '\0';
    char *text = arena_alloc(p->arena, token->bytes + 1);
    uint32_t n = 0;

    if (token->kind == TOKEN_UNICODE)
        return unicode_text(p, token);
    for (uint32_t i = 0; i < token->bytes; i++) {
        text[n++] = token->text[i];
        if (quote != '\0' && token->text[i] == quote)
            i++; /* '' stands for ' */
    }
    text[n] = '\0';
    return text;
}

static uint32_t put_utf8(char *to, uint32_t c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 63));
        to[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    to[0] = (char)(0xf0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 63));
    to[2] = (char)(0x80 | (c >> 6 & 63));
    to[3] = (char)(0x80 | (c & 63));
    return 4;
}

/* U&'\0041\+01F600' */
static char *unicode_text(struct parser *p, const struct token *t)
{
    char *text = arena_alloc(p->arena, t->bytes + 1);
    uint32_t n = 0;

    for (uint32_t i = 0; i < t->bytes; i++) {
        uint32_t digits, c = 0;

        if (t->text[i] == '\'')
            i++;
        if (t->text[i] != '\\') {
            text[n++] = t->text[i];
            continue;
        }
        if (i + 1 < t->bytes && t->text[i + 1] == '\\') {
            text[n++] = t->text[++i];
            continue;
        }
        digits = i + 1 < t->bytes && t->text[i + 1] == '+' ? 6 : 4;
        i += digits == 6;
        for (uint32_t d = 1; d <= digits; d++) {
            if (i + d >= t->bytes || !isxdigit((unsigned char)t->text[i + d]))
                fail_at(p, at_of(t), MILL_E_SYNTAX,
                        "a U&'...' string needs \\ and four hexadecimal digits, or \\+ and six");
            c = c * 16 + (uint32_t)strtoul((char[]){t->text[i + d], 0}, NULL, 16);
        }
        i += digits;
        if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000) || c == 0)
            fail_at(p, at_of(t), MILL_E_SYNTAX, "\\%X is not a character", c);
        n += put_utf8(text + n, c);
    }
    text[n] = '\0';
    return text;
}

/* Words that cannot be names where an expression or alias may stand. */
static const char *const reserved[] =
    {"ALL",      "AND",     "AS",        "ASOF",    "BETWEEN",   "BY",       "CASE",
     "CAST",     "COGROUP", "CREATE",    "CROSS",   "CUBE",      "CURRENT",  "DESCRIPTOR",
     "DISTINCT", "DROP",    "ELSE",      "END",     "ESCAPE",    "EXCEPT",   "EXISTS",
     "FALSE",    "FETCH",   "FOR",       "FROM",    "FULL",      "GROUP",    "GROUPING",
     "HAVING",   "IN",      "INNER",     "INSERT",  "INTERSECT", "INTERVAL", "INTO",
     "IS",       "JOIN",    "LATERAL",   "LEFT",    "LIKE",      "LIMIT",    "MATCH_RECOGNIZE",
     "NATURAL",  "NOT",     "NULL",      "OFFSET",  "ON",        "OR",       "ORDER",
     "OUTER",    "OVER",    "PARTITION", "QUALIFY", "RIGHT",     "ROLLUP",   "SELECT",
     "SIMILAR",  "TABLE",   "THEN",      "TO",      "TRUE",      "TRY_CAST", "UNION",
     "UNKNOWN",  "UNNEST",  "USING",     "VALUES",  "WHEN",      "WHERE",    "WINDOW",
     "WITH",     "WITHIN"};

static bool is_reserved(const struct token *t)
{
    for (size_t i = 0; i < COUNT_OF(reserved); i++)
        if (token_is(t, reserved[i]))
            return true;
    return false;
}

bool is_name(const struct parser *p)
{
    return p->ahead[0].kind == TOKEN_QUOTED ||
           (p->ahead[0].kind == TOKEN_WORD && !is_reserved(&p->ahead[0]));
}

const char *parse_identifier(struct parser *p, const char *what)
{
    const char *text;

    if (p->ahead[0].kind == TOKEN_WORD && is_reserved(&p->ahead[0]))
        fail_at(p, here(p), MILL_E_SYNTAX,
                "%.*s is a reserved word, expected %s; as a name it stands in backquotes: `%.*s`",
                (int)p->ahead[0].bytes, p->ahead[0].text, what, (int)p->ahead[0].bytes,
                p->ahead[0].text);
    if (!is_name(p))
        fail_expected(p, what);
    text = token_text(p, &p->ahead[0]);
    advance(p);
    return text;
}

struct ast_name parse_name(struct parser *p, const char *what)
{
    struct ast_name name = {.at = here(p)};
    struct list parts = {0};

    *LIST_ADD(p, &parts, const char *) = parse_identifier(p, what);
    while (is(p, ".") && !is_ahead(p, 1, "*")) {
        advance(p);
        /* after a dot every word is a name */
        if (p->ahead[0].kind != TOKEN_WORD && p->ahead[0].kind != TOKEN_QUOTED)
            fail_expected(p, "a name after the dot");
        *LIST_ADD(p, &parts, const char *) = token_text(p, &p->ahead[0]);
        advance(p);
    }
    name.parts = parts.items;
    name.count = parts.count;
    return name;
}

const char *parse_string(struct parser *p, const char *what)
{
    const char *text;

    if (p->ahead[0].kind != TOKEN_STRING && p->ahead[0].kind != TOKEN_UNICODE)
        fail_expected(p, what);
    text = token_text(p, &p->ahead[0]);
    advance(p);
    return text;
}

uint32_t parse_u32(struct parser *p, const char *what)
{
    const char *text;
    unsigned long long value;
    char *end;

    if (p->ahead[0].kind != TOKEN_NUMBER)
        fail_expected(p, what);
    text = token_text(p, &p->ahead[0]);
    value = strtoull(text, &end, 10);
    if (*end != '\0' || value > MILL_LENGTH_MAX)
        fail_at(p, here(p), MILL_E_SYNTAX, "%s is not %s (a whole number up to %u)", text, what,
                MILL_LENGTH_MAX);
    advance(p);
    return (uint32_t)value;
}

/* ---- types ---- */

struct plain_type {
    const char *name;
    uint8_t kind;
};

static const struct plain_type plain_types[] =
    {{"BOOLEAN", MILL_BOOLEAN}, {"TINYINT", MILL_TINYINT}, {"SMALLINT", MILL_SMALLINT},
     {"INT", MILL_INT},         {"INTEGER", MILL_INT},     {"BIGINT", MILL_BIGINT},
     {"FLOAT", MILL_FLOAT},     {"REAL", MILL_FLOAT},      {"DOUBLE", MILL_DOUBLE},
     {"DATE", MILL_DATE},       {"STRING", MILL_VARCHAR},  {"BYTES", MILL_VARBINARY},
     {"NULL", MILL_NULL}};

static uint32_t parse_length(struct parser *p, uint32_t fallback, uint32_t least, uint32_t most,
                             const char *what)
{
    uint32_t value;
    struct ast_at at;

    if (!accept(p, "("))
        return fallback;
    at = here(p);
    value = parse_u32(p, what);
    if (value < least || value > most)
        fail_at(p, at, MILL_E_TYPE, "%s is %u, need %u to %u", what, value, least, most);
    expect(p, ")");
    return value;
}

static void parse_decimal(struct parser *p, struct mill_type *type)
{
    *type = type_decimal(10, 0);
    if (!accept(p, "("))
        return;
    const struct ast_at at = here(p);
    const uint32_t precision = parse_u32(p, "the precision of a DECIMAL");
    const uint32_t scale = accept(p, ",") ? parse_u32(p, "the scale of a DECIMAL") : 0;

    if (precision < 1 || precision > 38 || scale > precision)
        fail_at(p, at, MILL_E_TYPE,
                "DECIMAL(%u, %u): the precision is 1 to 38, the scale at most "
                "the precision",
                precision, scale);
    *type = type_decimal(precision, scale);
    expect(p, ")");
}

static void parse_time_type(struct parser *p, enum mill_kind kind, struct mill_type *type)
{
    *type = type_time(kind, parse_length(p, kind == MILL_TIME ? 0 : 6, 0, 9,
                                         "the precision of a time type"));
    if (accept2(p, "WITHOUT", "TIME"))
        expect(p, "ZONE");
    else if (is(p, "WITH") && (is_ahead(p, 1, "LOCAL") || is_ahead(p, 1, "TIME"))) {
        const struct ast_at at = here(p);

        advance(p);
        if (!accept(p, "LOCAL"))
            fail_at(p, at, MILL_E_UNSUPPORTED,
                    "TIMESTAMP WITH TIME ZONE is not supported, as in Flink; use TIMESTAMP_LTZ");
        expect(p, "TIME");
        expect(p, "ZONE");
        type->kind = MILL_TIMESTAMP_LTZ;
    }
}

static void parse_row_type(struct parser *p, struct mill_type *type)
{
    const char *close = accept(p, "<") ? ">" : ")";
    struct list fields = {0};

    if (close[0] == ')')
        expect(p, "(");
    while (!is(p, close)) {
        struct mill_field *field = LIST_ADD(p, &fields, struct mill_field);

        if (p->ahead[0].kind != TOKEN_WORD && p->ahead[0].kind != TOKEN_QUOTED)
            fail_expected(p, "the name of a field");
        field->name = token_text(p, &p->ahead[0]);
        advance(p);
        field->type = parse_type(p)->type;
        if (p->ahead[0].kind == TOKEN_STRING)
            advance(p); /* a comment */
        if (!accept(p, ","))
            break;
    }
    expect(p, close);
    *type =
        (struct mill_type){.kind = MILL_ROW, .field_count = fields.count, .fields = fields.items};
}

static void parse_element_type(struct parser *p, enum mill_kind kind, uint32_t count,
                               struct mill_type *type)
{
    static const char *const names[] = {"element", "value"};
    struct mill_field *fields = arena_array(p->arena, struct mill_field, count);

    expect(p, "<");
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            expect(p, ",");
        fields[i] = (struct mill_field){names[i], parse_type(p)->type};
    }
    expect(p, ">");
    *type = (struct mill_type){.kind = (uint8_t)kind, .field_count = count, .fields = fields};
}

static bool parse_plain_type(struct parser *p, struct mill_type *type)
{
    for (size_t i = 0; i < COUNT_OF(plain_types); i++)
        if (accept(p, plain_types[i].name)) {
            *type = type_make(plain_types[i].kind);
            if (type->kind == MILL_DOUBLE)
                accept(p, "PRECISION");
            return true;
        }
    return false;
}

static bool parse_long_type(struct parser *p, struct mill_type *type)
{
    if (accept(p, "DECIMAL") || accept(p, "DEC") || accept(p, "NUMERIC"))
        parse_decimal(p, type);
    else if (accept(p, "CHAR"))
        type->kind = MILL_CHAR,
        type->length = parse_length(p, 1, 1, MILL_LENGTH_MAX, "the length of a CHAR");
    else if (accept(p, "VARCHAR"))
        type->kind = MILL_VARCHAR,
        type->length =
            parse_length(p, MILL_LENGTH_MAX, 1, MILL_LENGTH_MAX, "the length of a VARCHAR");
    else if (accept(p, "BINARY"))
        type->kind = MILL_BINARY,
        type->length = parse_length(p, 1, 1, MILL_LENGTH_MAX, "the length of a BINARY");
    else if (accept(p, "VARBINARY"))
        type->kind = MILL_VARBINARY,
        type->length =
            parse_length(p, MILL_LENGTH_MAX, 1, MILL_LENGTH_MAX, "the length of a VARBINARY");
    else if (accept(p, "TIMESTAMP_LTZ"))
        *type = type_time(MILL_TIMESTAMP_LTZ,
                          parse_length(p, 6, 0, 9, "the precision of a TIMESTAMP_LTZ"));
    else if (accept(p, "TIMESTAMP"))
        parse_time_type(p, MILL_TIMESTAMP, type);
    else if (accept(p, "TIME"))
        parse_time_type(p, MILL_TIME, type);
    else if (accept(p, "ROW"))
        parse_row_type(p, type);
    else if (accept(p, "ARRAY"))
        parse_element_type(p, MILL_ARRAY, 1, type);
    else if (accept(p, "MULTISET"))
        parse_element_type(p, MILL_MULTISET, 1, type);
    else if (accept(p, "MAP"))
        parse_element_type(p, MILL_MAP, 2, type);
    else
        return false;
    return true;
}

static bool parse_interval_type(struct parser *p, struct mill_type *type)
{
    static const char *const months[] = {"YEAR", "MONTH"};
    bool long_units = false;

    if (!accept(p, "INTERVAL"))
        return false;
    for (size_t i = 0; i < COUNT_OF(months); i++)
        long_units = long_units || is(p, months[i]);
    *type = type_make(long_units ? MILL_INTERVAL_MONTH : MILL_INTERVAL_TIME);
    for (int i = 0; i < 2; i++) {
        parse_identifier(p, "a unit, such as SECOND");
        parse_length(p, 0, 0, 9, "the precision of an INTERVAL");
        if (!accept(p, "TO"))
            break;
    }
    return true;
}

struct ast_type *parse_type(struct parser *p)
{
    struct ast_type *type = arena_new(p->arena, struct ast_type);

    enter(p);
    type->at = here(p);
    if (is(p, "RAW"))
        fail_at(p, here(p), MILL_E_UNSUPPORTED, "the type RAW is not supported");
    if (!parse_plain_type(p, &type->type) && !parse_long_type(p, &type->type) &&
        !parse_interval_type(p, &type->type))
        fail_among(p, "a type, such as INT, STRING, DECIMAL(10, 2) or TIMESTAMP(3)", type_words,
                   COUNT_OF(type_words));
    while (is(p, "ARRAY") || is(p, "MULTISET")) { /* INT ARRAY */
        struct mill_field *element = arena_new(p->arena, struct mill_field);
        const enum mill_kind kind = is(p, "ARRAY") ? MILL_ARRAY : MILL_MULTISET;

        advance(p);
        *element = (struct mill_field){"element", type->type};
        type->type = (struct mill_type){.kind = (uint8_t)kind, .field_count = 1, .fields = element};
    }
    if (accept2(p, "NOT", "NULL"))
        type->type.not_null = true;
    else
        accept(p, "NULL");
    leave(p);
    return type;
}

/* ---- variables: ${NAME} ---- */

static const char *substitute(struct parser *p, const char *sql, size_t bytes,
                              ast_variable variable, void *user, size_t *out_bytes)
{
    struct snippet {
        const char *text;
        size_t bytes;
    } * s;
    struct list parts = {0};
    size_t from = 0, total = 0;
    uint32_t line = 1, column = 1;
    char *out, *next;

    for (size_t i = 0; i < bytes; i++) {
        const char *end;

        if (sql[i] == '\n')
            line++, column = 0;
        column++;
        if (i + 1 >= bytes || sql[i] != '$' || sql[i + 1] != '{')
            continue;
        end = memchr(sql + i, '}', bytes - i);
        if (end == NULL)
            fail_at(p, (struct ast_at){line, column - 1}, MILL_E_SYNTAX,
                    "${ is never closed with }");
        const char *name = arena_text(p->arena, sql + i + 2, (size_t)(end - (sql + i + 2)));
        const char *value = variable != NULL ? variable(user, name) : NULL;

        if (value == NULL)
            fail_at(p, (struct ast_at){line, column - 1}, MILL_E_NAME,
                    "the variable ${%s} is not set: give it with -D %s=value or in the environment",
                    name, name);
        s = LIST_ADD(p, &parts, struct snippet);
        *s = (struct snippet){sql + from, i - from};
        s = LIST_ADD(p, &parts, struct snippet);
        *s = (struct snippet){value, strlen(value)};
        from = (size_t)(end + 1 - sql);
        column += (uint32_t)(from - i) - 1;
        i = from - 1;
    }
    s = LIST_ADD(p, &parts, struct snippet);
    *s = (struct snippet){sql + from, bytes - from};
    s = parts.items;
    for (uint32_t i = 0; i < parts.count; i++)
        total += s[i].bytes;
    next = out = arena_alloc(p->arena, total + 1);
    for (uint32_t i = 0; i < parts.count; i++) {
        memcpy(next, s[i].text, s[i].bytes);
        next += s[i].bytes;
    }
    *next = '\0';
    *out_bytes = total;
    return out;
}

/* ---- the script ---- */

/* Bytes from @from to the end of a token, its closing quote included. */
static size_t token_end(const struct token *token, const char *from)
{
    const bool quoted = token->kind == TOKEN_QUOTED || token->kind == TOKEN_STRING ||
                        token->kind == TOKEN_BYTES || token->kind == TOKEN_UNICODE;

    return (size_t)(token->text + token->bytes + quoted - from);
}

static void parse_script(struct parser *p, struct ast_script *out)
{
    struct list statements = {0};

    while (p->ahead[0].kind != TOKEN_END) {
        const char *from = p->ahead[0].text;
        struct ast_statement *s;

        if (accept(p, ";"))
            continue;
        p->depth = 0;
        s = *LIST_ADD(p, &statements, struct ast_statement *) = parse_statement(p);
        if (p->ahead[0].kind != TOKEN_END && !is(p, ";"))
            fail_expected(p, "; or the end of the text");
        s->source = arena_text(p->arena, from, token_end(&p->last, from));
    }
    out->statements = statements.items;
    out->count = statements.count;
}

/* Comes back by longjmp where the text or the memory fails. */
static void parse_text(struct parser *p, const char *sql, size_t bytes, ast_variable variable,
                       void *user, struct ast_script *out)
{
    size_t length;
    const char *text;

    if (setjmp(p->failed) != 0)
        return;
    text = substitute(p, sql, bytes, variable, user, &length);
    p->lexer = (struct lexer){.next = text, .end = text + length, .line_start = text, .line = 1};
    for (uint32_t i = 0; i < AHEAD; i++)
        p->ahead[i] = lexer_next(&p->lexer);
    parse_script(p, out);
}

int parse(struct arena *arena, const char *sql, size_t bytes, ast_variable variable, void *user,
          struct ast_script *out, struct mill_error *error)
{
    struct mill_error local = {0};
    struct parser p = {.arena = arena, .error = error != NULL ? error : &local};
    jmp_buf *const before = arena->on_full;
    jmp_buf full;

    if (setjmp(full) != 0) {
        arena->on_full = before;
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to parse %zu bytes of SQL", bytes);
    }
    arena->on_full = &full;
    parse_text(&p, sql, bytes, variable, user, out);
    arena->on_full = before;
    if (p.error->code != MILL_OK)
        error_excerpt(p.error, sql, bytes);
    return p.error->code;
}

void error_excerpt(struct mill_error *error, const char *sql, size_t bytes)
{
    const char *end = sql + bytes, *start = sql, *stop;
    uint32_t line = 1, shown = 0, at = 0, column = 1;
    char *out = error->excerpt;
    const uint32_t room = sizeof error->excerpt / 2 - 8;

    if (error->line == 0)
        return;
    for (; line < error->line && start < end; start++)
        line += *start == '\n';
    for (stop = start; stop < end && *stop != '\n' && *stop != '\r'; stop++)
        ;
    /* a long line is shown from somewhat before the place */
    while (error->column > 60 && column + 40 < error->column && start < stop) {
        do
            start++;
        while (start < stop && ((unsigned char)*start & 0xc0) == 0x80);
        column++;
    }
    for (const char *c = start; c < stop && shown < room; c++) {
        out[shown++] = *c == '\t' ? ' ' : *c == '\0' ? '?' : *c;
        if (((unsigned char)*c & 0xc0) != 0x80 && column < error->column)
            column++, at++;
    }
    while (shown > 0 && stop - start > (ptrdiff_t)shown && ((unsigned char)out[shown - 1] & 0x80))
        shown--;
    out[shown++] = '\n';
    memset(out + shown, ' ', at);
    out[shown + at] = '^';
    out[shown + at + 1] = '\0';
}
