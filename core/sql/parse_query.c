/* core/sql/parse_query.c - SELECT, FROM, joins, windows, set operations, MATCH_RECOGNIZE. */
#include "core/sql/parser.h"

#include <stdlib.h>

/* ---- orders and windows ---- */

struct ast_order *parse_order_items(struct parser *p)
{
    struct ast_order *order = arena_new(p->arena, struct ast_order);
    struct list items = {0};

    do {
        struct ast_order_item item = {.expr = parse_expr(p)};

        if (accept(p, "DESC"))
            item.descending = true;
        else
            accept(p, "ASC");
        if (accept(p, "NULLS")) {
            item.nulls_first = is(p, "FIRST");
            item.nulls_last = is(p, "LAST");
            if (!accept(p, "FIRST"))
                expect(p, "LAST");
        }
        *LIST_ADD(p, &items, struct ast_order_item) = item;
    } while (accept(p, ","));
    order->items = items.items;
    order->count = items.count;
    return order;
}

static void parse_frame_bound(struct parser *p, struct ast_window *w, bool first)
{
    if (accept(p, "UNBOUNDED")) {
        expect(p, first ? "PRECEDING" : "FOLLOWING");
        w->from_unbounded = w->from_unbounded || first;
        w->to_unbounded = !first;
    } else if (accept(p, "CURRENT")) {
        expect(p, "ROW");
        w->to_current = !first;
    } else {
        struct ast_expr *e = parse_expr(p);

        if (first)
            w->from = e;
        else
            w->to = e;
        if (!accept(p, "PRECEDING")) {
            expect(p, "FOLLOWING");
            w->from_following = w->from_following || first;
            w->to_following = !first;
        }
    }
}

struct ast_window *parse_window_body(struct parser *p)
{
    struct ast_window *w = arena_new(p->arena, struct ast_window);

    w->at = here(p);
    expect(p, "(");
    if (is_name(p) && !is(p, "PARTITION") && !is(p, "ROWS") && !is(p, "RANGE"))
        w->name = parse_identifier(p, "the name of a window");
    if (accept2(p, "PARTITION", "BY"))
        w->partition = parse_expr_list(p, &w->partition_count);
    if (accept2(p, "ORDER", "BY"))
        w->order = parse_order_items(p);
    if (is(p, "ROWS") || is(p, "RANGE")) {
        w->frame = is(p, "ROWS") ? FRAME_ROWS : FRAME_RANGE;
        advance(p);
        if (accept(p, "BETWEEN")) {
            parse_frame_bound(p, w, true);
            expect(p, "AND");
            parse_frame_bound(p, w, false);
        } else {
            parse_frame_bound(p, w, true);
            w->to_current = true;
        }
    }
    expect(p, ")");
    return w;
}

/* ---- FROM ---- */

static bool join_follows(const struct parser *p)
{
    static const char *const words[] = {"JOIN",  "INNER",   "LEFT", "RIGHT",  "FULL",
                                        "CROSS", "NATURAL", "ASOF", "COGROUP"};

    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (is(p, words[i]))
            return true;
    return false;
}

static void parse_alias(struct parser *p, struct ast_table *t)
{
    if (accept(p, "AS"))
        t->alias = parse_identifier(p, "an alias");
    else if (is_name(p) && !join_follows(p) && !is(p, "LATE") && !is(p, "MATCH_RECOGNIZE"))
        t->alias = parse_identifier(p, "an alias");
    if (t->alias != NULL && is(p, "(")) {
        struct list columns = {0};

        advance(p);
        do
            *LIST_ADD(p, &columns, const char *) = parse_identifier(p, "a column name");
        while (accept(p, ","));
        expect(p, ")");
        t->columns = columns.items;
        t->column_count = columns.count;
    }
}

static struct ast_table *table_new(struct parser *p, enum ast_table_kind kind)
{
    struct ast_table *t = arena_new(p->arena, struct ast_table);

    t->kind = kind;
    t->at = here(p);
    return t;
}

/* TABLE t | TABLE (query) [PARTITION BY ...] [ORDER BY ...] as an argument of a table function. */
struct ast_table *parse_table_argument(struct parser *p)
{
    struct ast_table *t = table_new(p, AST_TABLE_NAME);

    expect(p, "TABLE");
    if (is(p, "(")) {
        t->kind = AST_TABLE_QUERY;
        advance(p);
        if (is(p, "TABLE"))
            fail_expected(p, "a query");
        t->query = parse_query(p);
        expect(p, ")");
    } else if (p->ahead[0].kind == TOKEN_STRING) {
        t->kind = AST_TABLE_FILE;
        t->text = parse_string(p, "a path");
    } else {
        t->name = parse_name(p, "a table");
    }
    if (accept2(p, "PARTITION", "BY")) {
        const bool parenthesis = accept(p, "(");

        if (parenthesis) {
            t->partition = parse_expr_list(p, &t->partition_count);
            expect(p, ")");
        } else {
            struct list keys = {0};

            /* a comma also separates arguments: DESCRIPTOR or a name => ends the keys */
            do
                *LIST_ADD(p, &keys, struct ast_expr *) = parse_expr(p);
            while (is(p, ",") && !is_ahead(p, 1, "DESCRIPTOR") && !is_ahead(p, 2, "=>") &&
                   accept(p, ","));
            t->partition = keys.items;
            t->partition_count = keys.count;
        }
    }
    if (accept2(p, "ORDER", "BY"))
        t->order = parse_order_items(p);
    return t;
}

static struct ast_table *parse_table_primary(struct parser *p);
static struct ast_table *parse_joined(struct parser *p);

static struct ast_table *parse_unnest(struct parser *p, struct ast_table *t)
{
    t->kind = AST_TABLE_UNNEST;
    expect(p, "UNNEST");
    expect(p, "(");
    t->call = parse_expr(p);
    expect(p, ")");
    if (accept2(p, "WITH", "ORDINALITY"))
        t->with_ordinality = true;
    parse_alias(p, t);
    return t;
}

static struct ast_table *parse_table_parenthesis(struct parser *p, struct ast_table *t)
{
    if (!starts_query(p)) { /* (a JOIN b ON ...) */
        expect(p, "(");
        t = parse_joined(p);
        expect(p, ")");
        return t;
    }
    t->kind = AST_TABLE_QUERY;
    expect(p, "(");
    t->query = parse_query(p);
    expect(p, ")");
    parse_alias(p, t);
    return t;
}

/* ---- hints ---- */

static void skip_hint_arguments(struct parser *p)
{
    if (!accept(p, "("))
        return;
    while (!is(p, ")") && !is(p, "*/") && p->ahead[0].kind != TOKEN_END)
        advance(p);
    expect(p, ")");
}

/* A hint that changes no answer is left out, one that would is refused. */
static void check_hint(struct parser *p, const char *name, struct ast_at at)
{
    static const char *const names[] = {"BROADCAST", "SHUFFLE_HASH", "SHUFFLE_MERGE",
                                        "NEST_LOOP", "MULTI_JOIN",   "NO_MULTI_JOIN",
                                        "STATE_TTL", "LOOKUP",       "OPTIONS"};
    const char *near;

    if (strcasecmp(name, "STATE_TTL") == 0)
        fail_at(p, at, MILL_E_UNSUPPORTED,
                "the hint STATE_TTL is not supported: SET 'table.exec.state.ttl'");
    if (strcasecmp(name, "LOOKUP") == 0)
        fail_at(p, at, MILL_E_UNSUPPORTED,
                "the hint LOOKUP is not supported: a lookup table is read before its first row");
    if (strcasecmp(name, "OPTIONS") == 0)
        fail_at(p, at, MILL_E_UNSUPPORTED, "the hint OPTIONS stands behind the name of a table");
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcasecmp(name, names[i]) == 0)
            return;
    near = nearest_name(name, names, COUNT_OF(names));
    fail_at(p, at, MILL_E_NAME, "there is no hint %s%s%s%s", name,
            near != NULL ? "; did you mean " : "", near != NULL ? near : "",
            near != NULL ? "?" : "");
}

/* Hints, if there are any; OPTIONS go to @t (NULL: they cannot stand here). */
static void parse_hints(struct parser *p, struct ast_table *t)
{
    while (accept(p, "/*+")) {
        while (!accept(p, "*/")) {
            const struct ast_at at = here(p);
            const char *name = parse_identifier(p, "a hint");

            if (t != NULL && strcasecmp(name, "OPTIONS") == 0) {
                t->options = parse_properties(p, &t->option_count);
            } else {
                check_hint(p, name, at);
                skip_hint_arguments(p);
            }
            accept(p, ",");
        }
    }
}

static struct ast_table *parse_table_named(struct parser *p, struct ast_table *t)
{
    if (p->ahead[0].kind == TOKEN_STRING) {
        t->kind = AST_TABLE_FILE;
        t->text = parse_string(p, "a path");
        parse_alias(p, t);
        return t;
    }
    if (!is_name(p))
        fail_expected(p, "a table, a 'file' or a sub-query");
    if (p->ahead[0].kind == TOKEN_WORD && is_ahead(p, 1, "(")) {
        t->kind = AST_TABLE_CALL;
        t->call = parse_expr(p);
        parse_alias(p, t);
        return t;
    }
    t->name = parse_name(p, "a table");
    parse_hints(p, t);
    if (is(p, "FOR") && is_ahead(p, 1, "SYSTEM_TIME")) {
        advance(p);
        advance(p);
        expect(p, "AS");
        expect(p, "OF");
        t->as_of = parse_expr(p);
        parse_hints(p, t);
    }
    parse_alias(p, t);
    return t;
}

static struct ast_table *parse_table_primary(struct parser *p)
{
    struct ast_table *t = table_new(p, AST_TABLE_NAME);

    t->lateral = accept(p, "LATERAL");
    if (is(p, "UNNEST"))
        return parse_unnest(p, t);
    if (is(p, "TABLE") && is_ahead(p, 1, "(")) {
        t->kind = AST_TABLE_CALL;
        advance(p);
        advance(p);
        t->call = parse_expr(p);
        expect(p, ")");
        parse_alias(p, t);
        return t;
    }
    if (is(p, "VALUES")) {
        t->kind = AST_TABLE_QUERY;
        t->query = parse_query(p);
        parse_alias(p, t);
        return t;
    }
    if (is(p, "("))
        return parse_table_parenthesis(p, t);
    return parse_table_named(p, t);
}

static struct ast_table *parse_table(struct parser *p)
{
    struct ast_table *t;

    enter(p);
    t = parse_table_primary(p);
    parse_hints(p, NULL);
    while (is(p, "MATCH_RECOGNIZE")) {
        struct ast_table *m = table_new(p, AST_TABLE_MATCH);

        m->left = t;
        m->match = parse_match(p);
        parse_alias(p, m);
        t = m;
    }
    leave(p);
    return t;
}

static bool parse_join_kind(struct parser *p, enum ast_join *kind)
{
    if (is(p, "NATURAL"))
        fail_at(p, here(p), MILL_E_UNSUPPORTED,
                "NATURAL JOIN is not supported: name the columns with USING or ON");
    *kind = JOIN_INNER;
    if (accept(p, "JOIN"))
        return true;
    if (accept(p, "INNER"))
        ;
    else if (accept(p, "LEFT"))
        accept(p, "OUTER"), *kind = JOIN_LEFT;
    else if (accept(p, "RIGHT"))
        accept(p, "OUTER"), *kind = JOIN_RIGHT;
    else if (accept(p, "FULL"))
        accept(p, "OUTER"), *kind = JOIN_FULL;
    else if (accept(p, "CROSS"))
        *kind = JOIN_CROSS;
    else if (accept(p, "ASOF"))
        *kind = accept(p, "LEFT") ? JOIN_ASOF_LEFT : JOIN_ASOF;
    else if (accept(p, "COGROUP"))
        *kind = JOIN_COGROUP;
    else
        return false;
    expect(p, "JOIN");
    return true;
}

static struct ast_table *parse_joined(struct parser *p)
{
    struct ast_table *left = parse_table(p);
    enum ast_join kind;

    for (;;) {
        const struct ast_at at = here(p);
        struct ast_table *join;

        if (!parse_join_kind(p, &kind))
            return left;
        join = table_new(p, AST_TABLE_JOIN);
        join->at = at;
        join->join = kind;
        join->left = left;
        join->right = parse_table(p);
        if (accept(p, "ON")) {
            join->on = parse_expr(p);
        } else if (accept(p, "USING")) {
            struct list columns = {0};

            expect(p, "(");
            do
                *LIST_ADD(p, &columns, const char *) = parse_identifier(p, "a column");
            while (accept(p, ","));
            expect(p, ")");
            join->using_columns = columns.items;
            join->using_count = columns.count;
        } else if (kind != JOIN_CROSS) {
            fail_expected(p, "ON and the condition of the join");
        }
        left = join;
    }
}

static struct ast_table *parse_from(struct parser *p)
{
    struct ast_table *t = parse_joined(p);

    while (is(p, ",")) {
        struct ast_table *join = table_new(p, AST_TABLE_JOIN);

        advance(p);
        join->join = JOIN_CROSS;
        join->left = t;
        join->right = parse_joined(p);
        t = join;
    }
    return t;
}

/* ---- SELECT ---- */

static void parse_items(struct parser *p, struct ast_select *s)
{
    struct list items = {0};

    do {
        struct ast_item *item = LIST_ADD(p, &items, struct ast_item);
        struct ast_item made = {.at = here(p)};

        made.expr = parse_expr(p);
        if (accept(p, "AS")) {
            /* behind AS every word is a name */
            if (p->ahead[0].kind != TOKEN_WORD && p->ahead[0].kind != TOKEN_QUOTED)
                fail_expected(p, "an alias");
            made.alias = token_text(p, &p->ahead[0]);
            advance(p);
        } else if (is_name(p)) {
            made.alias = parse_identifier(p, "an alias");
        }
        *item = made;
    } while (accept(p, ","));
    s->items = items.items;
    s->item_count = items.count;
}

static void parse_group_sets(struct parser *p, struct ast_group *g)
{
    struct list sets = {0}, sizes = {0};

    expect(p, "(");
    do {
        uint32_t count = 0;
        struct ast_expr **set = NULL;

        if (g->kind == GROUP_SETS && accept(p, "(")) {
            if (!is(p, ")"))
                set = parse_expr_list(p, &count);
            expect(p, ")");
        } else {
            set = arena_array(p->arena, struct ast_expr *, 1);
            set[0] = parse_expr(p);
            count = 1;
        }
        *LIST_ADD(p, &sets, struct ast_expr **) = set;
        *LIST_ADD(p, &sizes, uint32_t) = count;
    } while (accept(p, ","));
    expect(p, ")");
    g->sets = sets.items;
    g->set_sizes = sizes.items;
    g->set_count = sets.count;
}

static void parse_groups(struct parser *p, struct ast_select *s)
{
    struct list groups = {0};

    do {
        struct ast_group *g = LIST_ADD(p, &groups, struct ast_group);
        struct ast_group made = {.kind = GROUP_PLAIN, .at = here(p)};

        if (accept2(p, "GROUPING", "SETS"))
            made.kind = GROUP_SETS;
        else if (is(p, "ROLLUP") && is_ahead(p, 1, "("))
            made.kind = GROUP_ROLLUP, advance(p);
        else if (is(p, "CUBE") && is_ahead(p, 1, "("))
            made.kind = GROUP_CUBE, advance(p);
        if (made.kind != GROUP_PLAIN)
            parse_group_sets(p, &made);
        else if (is(p, "(") && is_ahead(p, 1, ")"))
            advance(p), advance(p); /* GROUP BY (): one group */
        else
            made.expr = parse_expr(p);
        g = (struct ast_group *)groups.items + groups.count - 1;
        *g = made;
    } while (accept(p, ","));
    s->groups = groups.items;
    s->group_count = groups.count;
}

static void parse_named_windows(struct parser *p, struct ast_select *s)
{
    struct list windows = {0};

    do {
        const char *name = parse_identifier(p, "the name of a window");
        struct ast_window *w;

        expect(p, "AS");
        w = parse_window_body(p);
        w->name = name;
        *LIST_ADD(p, &windows, struct ast_window *) = w;
    } while (accept(p, ","));
    s->windows = windows.items;
    s->window_count = windows.count;
}

static struct ast_select *parse_select(struct parser *p)
{
    struct ast_select *s = arena_new(p->arena, struct ast_select);

    s->at = here(p);
    expect(p, "SELECT");
    parse_hints(p, NULL);
    if (accept(p, "DISTINCT"))
        s->distinct = true;
    else
        accept(p, "ALL");
    parse_items(p, s);
    if (accept(p, "FROM"))
        s->from = parse_from(p);
    if (accept(p, "WHERE"))
        s->where = parse_expr(p);
    if (accept(p, "GROUP")) {
        expect(p, "BY");
        parse_groups(p, s);
    }
    if (accept(p, "HAVING"))
        s->having = parse_expr(p);
    if (accept(p, "WINDOW"))
        parse_named_windows(p, s);
    if (accept(p, "QUALIFY"))
        s->qualify = parse_expr(p);
    if (accept2(p, "LATE", "DATA")) {
        expect(p, "INTO");
        s->late_data_into = arena_new(p->arena, struct ast_name);
        *s->late_data_into = parse_name(p, "the table for late rows");
    }
    return s;
}

/* ---- queries ---- */

static struct ast_query *query_new(struct parser *p, enum ast_query_kind kind)
{
    struct ast_query *q = arena_new(p->arena, struct ast_query);

    q->kind = kind;
    q->at = here(p);
    return q;
}

static struct ast_query *parse_values(struct parser *p)
{
    struct ast_query *q = query_new(p, QUERY_VALUES);
    struct list rows = {0}, sizes = {0};

    expect(p, "VALUES");
    do {
        uint32_t count;
        struct ast_expr **row;

        accept(p, "ROW");
        if (accept(p, "(")) {
            row = parse_expr_list(p, &count);
            expect(p, ")");
        } else {
            row = arena_array(p->arena, struct ast_expr *, 1);
            row[0] = parse_expr(p);
            count = 1;
        }
        *LIST_ADD(p, &rows, struct ast_expr **) = row;
        *LIST_ADD(p, &sizes, uint32_t) = count;
    } while (accept(p, ","));
    q->rows = rows.items;
    q->row_sizes = sizes.items;
    q->row_count = rows.count;
    return q;
}

static struct ast_query *parse_query_primary(struct parser *p)
{
    struct ast_query *q;

    if (is(p, "VALUES"))
        return parse_values(p);
    if (accept(p, "(")) {
        q = parse_query(p);
        expect(p, ")");
        return q;
    }
    if (!is(p, "SELECT"))
        fail_expected(p, "SELECT, VALUES or WITH");
    q = query_new(p, QUERY_SELECT);
    q->select = parse_select(p);
    return q;
}

static struct ast_query *set_operation(struct parser *p, enum ast_query_kind kind,
                                       struct ast_query *left, struct ast_query *right)
{
    struct ast_query *q = query_new(p, kind);

    q->at = left->at;
    q->left = left;
    q->right = right;
    q->depth = 1 + max_u32(left->depth, right->depth);
    if (q->depth > TREE_DEPTH_MAX)
        fail_at(p, right->at, MILL_E_SYNTAX, "more than %u queries in a row", TREE_DEPTH_MAX);
    return q;
}

static struct ast_query *parse_intersections(struct parser *p)
{
    struct ast_query *q = parse_query_primary(p);

    while (accept(p, "INTERSECT")) {
        const bool all = accept(p, "ALL");

        if (!all)
            accept(p, "DISTINCT");
        q = set_operation(p, QUERY_INTERSECT, q, parse_query_primary(p));
        q->all = all;
    }
    return q;
}

static void parse_with(struct parser *p, struct list *with)
{
    do {
        struct ast_with made = {.at = here(p)};

        made.name = parse_identifier(p, "the name of a sub-query");
        if (accept(p, "(")) {
            struct list columns = {0};

            do
                *LIST_ADD(p, &columns, const char *) = parse_identifier(p, "a column");
            while (accept(p, ","));
            expect(p, ")");
            made.columns = columns.items;
            made.column_count = columns.count;
        }
        expect(p, "AS");
        expect(p, "(");
        made.query = parse_query(p);
        expect(p, ")");
        *LIST_ADD(p, with, struct ast_with) = made;
    } while (accept(p, ","));
}

static void parse_query_tail(struct parser *p, struct ast_query *q)
{
    if (accept2(p, "ORDER", "BY"))
        q->order = parse_order_items(p);
    if (accept(p, "LIMIT") && !accept(p, "ALL"))
        q->limit = parse_expr(p);
    if (accept(p, "OFFSET")) {
        q->offset = parse_expr(p);
        if (!accept(p, "ROWS"))
            accept(p, "ROW");
    }
    if (accept(p, "FETCH")) {
        if (!accept(p, "FIRST"))
            expect(p, "NEXT");
        q->limit = parse_expr(p);
        if (!accept(p, "ROWS"))
            expect(p, "ROW");
        expect(p, "ONLY");
    }
}

struct ast_query *parse_query(struct parser *p)
{
    struct ast_query *q;
    struct list with = {0};

    enter(p);
    if (accept(p, "WITH"))
        parse_with(p, &with);
    q = parse_intersections(p);
    for (;;) {
        if (accept(p, "UNION")) {
            const bool all = accept(p, "ALL");

            if (!all)
                accept(p, "DISTINCT");
            q = set_operation(p, all ? QUERY_UNION_ALL : QUERY_UNION, q, parse_intersections(p));
        } else if (accept(p, "EXCEPT")) {
            const bool all = accept(p, "ALL");

            if (!all)
                accept(p, "DISTINCT");
            q = set_operation(p, QUERY_EXCEPT, q, parse_intersections(p));
            q->all = all;
        } else {
            break;
        }
    }
    parse_query_tail(p, q);
    if (with.count > 0) {
        q->with = with.items;
        q->with_count = with.count;
    }
    leave(p);
    return q;
}

/* ---- MATCH_RECOGNIZE ---- */

static struct ast_pattern *parse_pattern(struct parser *p);

static struct ast_pattern *pattern_new(struct parser *p, enum ast_pattern_kind kind)
{
    struct ast_pattern *x = arena_new(p->arena, struct ast_pattern);

    x->kind = kind;
    x->at = here(p);
    return x;
}

static struct ast_pattern *parse_pattern_list(struct parser *p, enum ast_pattern_kind kind,
                                              const char *separator, const char *close)
{
    struct ast_pattern *x = pattern_new(p, kind);
    struct list parts = {0};

    do
        *LIST_ADD(p, &parts, struct ast_pattern *) = parse_pattern(p);
    while (accept(p, separator));
    expect(p, close);
    x->parts = parts.items;
    x->part_count = parts.count;
    return x;
}

static struct ast_pattern *parse_pattern_atom(struct parser *p)
{
    struct ast_pattern *x;

    if (accept(p, "(")) {
        if (accept(p, ")"))
            return pattern_new(p, PATTERN_EMPTY);
        x = parse_pattern(p);
        expect(p, ")");
        return x;
    }
    if (accept(p, "{-"))
        return parse_pattern_list(p, PATTERN_EXCLUDE, ",", "-}");
    if (is(p, "PERMUTE") && is_ahead(p, 1, "(")) {
        advance(p);
        advance(p);
        return parse_pattern_list(p, PATTERN_PERMUTE, ",", ")");
    }
    x = pattern_new(p, is(p, "^") ? PATTERN_START : is(p, "$") ? PATTERN_END : PATTERN_VAR);
    if (accept(p, "^") || accept(p, "$"))
        return x;
    x->name = parse_identifier(p, "a pattern variable");
    return x;
}

static bool parse_quantifier(struct parser *p, struct ast_pattern *q)
{
    q->most = UINT32_MAX;
    if (accept(p, "*"))
        return true;
    if (accept(p, "+")) {
        q->least = 1;
        return true;
    }
    if (accept(p, "??")) {
        q->most = 1;
        q->reluctant = true;
        return true;
    }
    if (accept(p, "?")) {
        q->most = 1;
        return true;
    }
    if (!accept(p, "{"))
        return false;
    if (!is(p, ","))
        q->least = q->most = parse_u32(p, "a number of repetitions");
    if (accept(p, ","))
        q->most = is(p, "}") ? UINT32_MAX : parse_u32(p, "a number of repetitions");
    expect(p, "}");
    return true;
}

static struct ast_pattern *parse_pattern_factor(struct parser *p)
{
    struct ast_pattern *x = parse_pattern_atom(p);
    struct ast_pattern *q = pattern_new(p, PATTERN_QUANT);

    if (!parse_quantifier(p, q))
        return x;
    if (x->kind == PATTERN_START || x->kind == PATTERN_END)
        fail_at(p, q->at, MILL_E_SYNTAX, "^ and $ take no row, so nothing can be repeated");
    q->reluctant = q->reluctant || accept(p, "?");
    q->parts = arena_array(p->arena, struct ast_pattern *, 1);
    q->parts[0] = x;
    q->part_count = 1;
    return q;
}

static struct ast_pattern *parse_pattern_sequence(struct parser *p)
{
    struct ast_pattern *x = pattern_new(p, PATTERN_SEQ);
    struct list parts = {0};

    do
        *LIST_ADD(p, &parts, struct ast_pattern *) = parse_pattern_factor(p);
    while (is(p, "(") || is(p, "{-") || is(p, "^") || is(p, "$") || is_name(p));
    x->parts = parts.items;
    x->part_count = parts.count;
    return x->part_count == 1 ? x->parts[0] : x;
}

static struct ast_pattern *parse_pattern(struct parser *p)
{
    struct ast_pattern *x;
    struct list parts = {0};

    enter(p);
    *LIST_ADD(p, &parts, struct ast_pattern *) = parse_pattern_sequence(p);
    while (accept(p, "|"))
        *LIST_ADD(p, &parts, struct ast_pattern *) = parse_pattern_sequence(p);
    leave(p);
    x = pattern_new(p, PATTERN_ALT);
    x->parts = parts.items;
    x->part_count = parts.count;
    return x->part_count == 1 ? x->parts[0] : x;
}

/* name AS expr, ... or expr AS name, ... */
static struct ast_item *parse_match_items(struct parser *p, bool name_first, uint32_t *count)
{
    struct list items = {0};

    do {
        struct ast_item made = {.at = here(p)};

        if (name_first)
            made.alias = parse_identifier(p, "a pattern variable");
        else
            made.expr = parse_expr(p);
        if (name_first && accept(p, "="))
            ; /* SUBSET u = (a, b) */
        else
            expect(p, "AS");
        if (name_first)
            made.expr = parse_expr(p);
        else
            made.alias = parse_identifier(p, "the name of a measure");
        *LIST_ADD(p, &items, struct ast_item) = made;
    } while (accept(p, ","));
    *count = items.count;
    return items.items;
}

static void parse_skip(struct parser *p, struct ast_match *m)
{
    if (accept2(p, "PAST", "LAST")) {
        expect(p, "ROW");
        m->skip = SKIP_PAST_LAST;
        return;
    }
    expect(p, "TO");
    if (accept2(p, "NEXT", "ROW")) {
        m->skip = SKIP_NEXT_ROW;
        return;
    }
    m->skip = accept(p, "FIRST") ? SKIP_TO_FIRST : accept(p, "LAST") ? SKIP_TO_LAST : SKIP_TO_VAR;
    m->skip_at = here(p);
    m->skip_variable = parse_identifier(p, "a pattern variable");
}

static void parse_match_rows(struct parser *p, struct ast_match *m)
{
    if (accept2(p, "ONE", "ROW")) {
        expect(p, "PER");
        expect(p, "MATCH");
    } else if (is(p, "ALL") && is_ahead(p, 1, "ROWS")) {
        advance(p);
        advance(p);
        expect(p, "PER");
        expect(p, "MATCH");
        m->all_rows = true;
        if (accept2(p, "SHOW", "EMPTY")) {
            expect(p, "MATCHES");
        } else if (accept2(p, "OMIT", "EMPTY")) {
            m->empty = EMPTY_OMIT;
            expect(p, "MATCHES");
        } else if (accept2(p, "WITH", "UNMATCHED")) {
            m->empty = EMPTY_UNMATCHED;
            expect(p, "ROWS");
        }
    }
    if (accept2(p, "AFTER", "MATCH")) {
        expect(p, "SKIP");
        parse_skip(p, m);
    }
}

struct ast_match *parse_match(struct parser *p)
{
    struct ast_match *m = arena_new(p->arena, struct ast_match);

    m->at = here(p);
    m->skip = SKIP_DEFAULT;
    expect(p, "MATCH_RECOGNIZE");
    expect(p, "(");
    if (accept2(p, "PARTITION", "BY"))
        m->partition = parse_expr_list(p, &m->partition_count);
    if (accept2(p, "ORDER", "BY"))
        m->order = parse_order_items(p);
    if (accept(p, "MEASURES"))
        m->measures = parse_match_items(p, false, &m->measure_count);
    parse_match_rows(p, m);
    expect(p, "PATTERN");
    expect(p, "(");
    m->pattern = parse_pattern(p);
    expect(p, ")");
    if (accept(p, "WITHIN"))
        m->within = parse_expr(p);
    if (accept(p, "SUBSET"))
        m->subsets = parse_match_items(p, true, &m->subset_count);
    expect(p, "DEFINE");
    m->defines = parse_match_items(p, true, &m->define_count);
    expect(p, ")");
    return m;
}
