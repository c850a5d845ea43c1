/* core/sql/lexer.re - SQL text to tokens. The text ends with a NUL that is not part of it. */
#include "core/sql/lexer.h"

/* Characters, not bytes: continuation bytes of UTF-8 do not count. */
static uint32_t column_of(const struct lexer *l, const char *at)
{
    uint32_t column = 1;

    for (const char *c = l->line_start; c < at; c++)
        column += ((unsigned char)*c & 0xc0) != 0x80;
    return column;
}

static void count_lines(struct lexer *l, const char *from, const char *to)
{
    for (const char *c = from; c < to; c++)
        if (*c == '\n') {
            l->line++;
            l->line_start = c + 1;
        }
}

struct token lexer_next(struct lexer *l)
{
    const char *YYCURSOR, *YYMARKER, *start;
    struct token token;

again:
    start = YYCURSOR = l->next;
    token = (struct token){.text = start, .line = l->line, .column = column_of(l, start)};
#define GIVE(k, skip_front, skip_back)                                                             \
    do {                                                                                           \
        token.kind = (k);                                                                          \
        token.text = start + (skip_front);                                                         \
        token.bytes = (uint32_t)(YYCURSOR - start) - (skip_front) - (skip_back);                   \
        count_lines(l, start, YYCURSOR);                                                           \
        l->next = YYCURSOR;                                                                        \
        return token;                                                                              \
    } while (0)
#define BAD(why)                                                                                   \
    do {                                                                                           \
        token.reason = (why);                                                                      \
        GIVE(TOKEN_BAD, 0, 0);                                                                     \
    } while (0)
    /*!re2c
    re2c:define:YYCTYPE = "unsigned char";
    re2c:yyfill:enable = 0;
    re2c:flags:input = custom;
    re2c:api:style = free-form;
    re2c:define:YYPEEK = "(unsigned char)*YYCURSOR";
    re2c:define:YYSKIP = "++YYCURSOR;";
    re2c:define:YYBACKUP = "YYMARKER = YYCURSOR;";
    re2c:define:YYRESTORE = "YYCURSOR = YYMARKER;";

    space   = [ \t\r\n\f\v]+;
    utf8    = [\xc2-\xdf][\x80-\xbf] | [\xe0-\xef][\x80-\xbf]{2} | [\xf0-\xf4][\x80-\xbf]{3};
    letter  = [A-Za-z_] | utf8;
    word    = letter (letter | [0-9$])*;
    digits  = [0-9]+;
    number  = digits ("." [0-9]*)? ([eE] [+-]? digits)? | "." digits ([eE] [+-]? digits)?;
    string  = "'" ([^'\x00] | "''")* "'";
    quoted  = "`" ([^`\x00] | "``")* "`";

    space                       { count_lines(l, start, YYCURSOR); l->next = YYCURSOR; goto again; }
    "\xef\xbb\xbf"              { l->next = YYCURSOR; l->line_start = YYCURSOR; goto again; }
    "--" [^\n\x00]*             { l->next = YYCURSOR; goto again; }
    "//" [^\n\x00]*             { l->next = YYCURSOR; goto again; }
    "/*" ([^*\x00] | "*"+ [^*/\x00])* "*"+ "/"
                                { if (start[2] == '+') { /* what stands in a hint are tokens */
                                      YYCURSOR = start + 3;
                                      l->hint = true;
                                      GIVE(TOKEN_SYMBOL, 0, 0);
                                  }
                                  count_lines(l, start, YYCURSOR); l->next = YYCURSOR; goto again; }
    "/*"                        { BAD("a comment /* that is never closed with */"); }
    [xX] string                 { GIVE(TOKEN_BYTES, 2, 1); }
    [uU] "&" string             { GIVE(TOKEN_UNICODE, 3, 1); }
    word                        { GIVE(TOKEN_WORD, 0, 0); }
    quoted                      { GIVE(TOKEN_QUOTED, 1, 1); }
    string                      { GIVE(TOKEN_STRING, 1, 1); }
    number                      { GIVE(TOKEN_NUMBER, 0, 0); }
    number [A-Za-z_]            { BAD("a number that runs into a letter"); }
    "<=" | ">=" | "<>" | "!=" | "||" | "=>" | "{-" | "-}" | "??"
                                { GIVE(TOKEN_SYMBOL, 0, 0); }
    "*/"                        { if (!l->hint) YYCURSOR = start + 1;
                                  l->hint = false;
                                  GIVE(TOKEN_SYMBOL, 0, 0); }
    [-+*/%<>=(),.;:?{}^$|] | "[" | "]"
                                { GIVE(TOKEN_SYMBOL, 0, 0); }
    "'"                         { BAD("a string that is never closed with '"); }
    "`"                         { BAD("a name that is never closed with `"); }
    "\""                        { BAD("a double quote: strings stand in 'single quotes', names in `backquotes`"); }
    [\x00]                      { if (start == l->end) { YYCURSOR = start; GIVE(TOKEN_END, 0, 0); }
                                  BAD("a NUL byte"); }
    *                           { BAD((unsigned char)*start >= 0x80 ? "bytes that are not UTF-8" : "an unexpected character"); }
    */
#undef GIVE
#undef BAD
}
