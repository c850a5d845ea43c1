/* core/sql/lexer.h - SQL text to tokens (lexer.re, by re2c).
 *
 * Keywords are not tokens of their own: nearly all of Flink's are usable as names somewhere, so the parser decides by
 * place. Threads: pure.   Errors: TOKEN_BAD with a reason.   Includes: base.h
 */
#ifndef MILL_LEXER_H
#define MILL_LEXER_H

#include "core/base.h"

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,    /* identifier or keyword as written */
    TOKEN_QUOTED,  /* `name`, text without the backquotes, `` not yet halved */
    TOKEN_STRING,  /* 'text', without the quotes, '' not yet halved */
    TOKEN_BYTES,   /* X'0aff' */
    TOKEN_UNICODE, /* U&'\0041' */
    TOKEN_NUMBER,
    TOKEN_SYMBOL, /* operator or punctuation */
    TOKEN_BAD
};

struct token {
    enum token_kind kind;
    const char *text; /* into the SQL */
    uint32_t bytes;
    uint32_t line, column; /* of its first character, from 1; column counts characters */
    const char *reason;    /* BAD */
};

struct lexer {
    const char *next, *end; /* *end == '\0' */
    const char *line_start;
    uint32_t line;
    bool hint; /* between slash star plus and its end, which are symbols */
};

struct token lexer_next(struct lexer *lexer);

#endif
