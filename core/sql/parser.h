/* core/sql/parser.h - what the parts of the parser share: tokens ahead, keywords by place, failing.
 *
 * Recursive descent. A failure leaves by longjmp to parse(), with the error filled; all memory is the arena's.
 * Includes: ast.h, lexer.h
 */
#ifndef MILL_PARSER_H
#define MILL_PARSER_H

#include "core/sql/ast.h"
#include "core/sql/lexer.h"

#include <setjmp.h>

#define DEPTH_MAX 200u
#define TREE_DEPTH_MAX 1000u /* of operators in a row too: later passes walk trees recursively */
#define AHEAD 4u

struct parser {
    struct arena *arena;
    struct lexer lexer;
    struct token ahead[AHEAD]; /* ahead[0] is the current token */
    struct token last;         /* the one before */
    uint32_t depth;
    bool in_position; /* before the IN of POSITION(a IN b) */
    struct mill_error *error;
    jmp_buf failed;
};

/* ---- tokens ---- */
void advance(struct parser *p);
struct ast_at at_of(const struct token *token);
struct ast_at here(const struct parser *p);
bool token_is(const struct token *token, const char *word); /* WORD without case, or SYMBOL */
bool is(const struct parser *p, const char *word);
bool is_ahead(const struct parser *p, uint32_t n, const char *word);
bool accept(struct parser *p, const char *word);
bool accept2(struct parser *p, const char *first, const char *second);
void expect(struct parser *p, const char *word);
_Noreturn void fail_expected(struct parser *p, const char *what);
_Noreturn void fail_at(struct parser *p, struct ast_at at, int code, const char *format, ...)
    PRINTF_LIKE(4, 5);
void enter(struct parser *p);
#define leave(p) ((void)(p)->depth--)

/* ---- pieces ---- */
const char *token_text(struct parser *p,
                       const struct token *token); /* quotes halved; NUL-terminated */
bool is_name(const struct parser *p);              /* an identifier that is not reserved here */
const char *parse_identifier(struct parser *p, const char *what);
struct ast_name parse_name(struct parser *p, const char *what);
const char *parse_string(struct parser *p, const char *what);
uint32_t parse_u32(struct parser *p, const char *what);
struct ast_type *parse_type(struct parser *p);
struct ast_expr *parse_expr(struct parser *p);
struct ast_expr **parse_expr_list(struct parser *p, uint32_t *count);
struct ast_order *parse_order_items(struct parser *p);
struct ast_window *parse_window_body(struct parser *p);
/* ('key' = 'value', ...) */
struct ast_property *parse_properties(struct parser *p, uint32_t *count);
struct ast_query *parse_query(struct parser *p);
struct ast_table *parse_table_argument(struct parser *p);
struct ast_match *parse_match(struct parser *p);
bool starts_query(const struct parser *p);
struct ast_statement *parse_statement(struct parser *p);

/* ---- growing lists in the arena ---- */
struct list {
    void *items;
    uint32_t count, room;
};
void *list_add(struct parser *p, struct list *list, size_t bytes);
#define LIST_ADD(p, list, type) ((type *)list_add((p), (list), sizeof(type)))

#endif
