/* core/plan/bind_join.c - joins in FROM: binds both sides, takes the condition apart, says which kind of join it is.
 *
 * Of an inner join the parts of WHERE that both sides give are parts of its condition, as if they stood in ON: so a comma or an
 * ON with the keys alone and bounds on times in WHERE make the same join. Parts that one side gives filter that side where
 * the join does not keep its rows without a partner.
 *
 *   FOR SYSTEM_TIME AS OF      temporal or lookup join           ASOF JOIN      asof join
 *   keys with both bounds of the same windows                    window join
 *   bounds on the times of both sides, above and below           interval join
 *   else                                                         regular join
 */
#include "core/plan/join.h"

#include "core/expr/functions.h"

#include <strings.h>

/* ---- conditions as written ---- */

struct where_parts {
    const struct ast_expr *parts[64];
    bool taken[64];
    uint32_t count;
};

static void split_and(struct planner *p, const struct ast_expr *x, struct where_parts *out)
{
    if (x->kind == AST_BINARY && strcmp(x->op, "AND") == 0) {
        split_and(p, x->args[0], out);
        split_and(p, x->args[1], out);
        return;
    }
    if (out->count == COUNT_OF(out->parts))
        plan_fail(p, x->at, MILL_E_UNSUPPORTED, "more than 64 conditions over a join");
    out->parts[out->count++] = x;
}

static bool names_column(const struct relation *r, const struct ast_name *name)
{
    for (uint32_t i = 0; i < r->count; i++) {
        const struct scope_column *c = &r->columns[i];

        if (strcasecmp(c->name, name->parts[0]) == 0)
            return true;
        if (name->count > 1 && c->table != NULL && strcasecmp(c->table, name->parts[0]) == 0 &&
            strcasecmp(c->name, name->parts[1]) == 0)
            return true;
    }
    return false;
}

/* Whether all its columns are of @r, and it is a condition on single rows. */
static bool is_over(const struct relation *r, const struct ast_expr *x)
{
    if (x->query != NULL || x->over != NULL || x->filter != NULL)
        return false;
    if (x->kind == AST_NAME)
        return names_column(r, &x->name);
    for (uint32_t i = 0; i < x->arg_count; i++)
        if (!is_over(r, x->args[i]))
            return false;
    return true;
}

static struct expr *condition(struct planner *p, struct relation *r, const struct ast_expr *x)
{
    struct expr *e = expr_fold(&p->session, bind_expr(p, r, NULL, x));
    char text[80];

    if (e->type.kind != MILL_BOOLEAN)
        plan_fail(p, x->at, MILL_E_TYPE, "a join needs a condition, this is %s",
                  type_name(&e->type, text, sizeof text));
    return e;
}

/* ---- sides ---- */

/* Bit 0: reads the left, bit 1: the right. */
static unsigned sides_of(const struct expr *e, uint32_t left)
{
    unsigned sides = e->kind == EXPR_COLUMN ? 1u << (e->index >= left) : 0;

    for (uint32_t i = 0; i < e->arg_count; i++)
        sides |= sides_of(e->args[i], left);
    return sides;
}

/* @e, which reads side @side of both only, over that side alone. */
static struct expr *over_side(struct planner *p, const struct join_parts *j, const struct expr *e,
                              uint32_t side)
{
    const uint32_t left = j->side[0].count;
    struct expr **columns = arena_array(p->arena, struct expr *, j->both.count + 1);

    for (uint32_t i = 0; i < j->both.count; i++)
        if ((i >= left) == (side == 1))
            columns[i] = expr_column(&p->session, i - (side == 1 ? left : 0),
                                     &j->both.columns[i].type, (struct expr_place){0, 0});
    return expr_over(p, e, columns);
}

static void set_both(struct planner *p, struct join_parts *j)
{
    const struct relation *l = &j->side[0], *r = &j->side[1];

    j->both = (struct relation){.at = j->table->at, .count = l->count + r->count};
    j->both.columns = arena_array(p->arena, struct scope_column, j->both.count + 1);
    if (l->count > 0)
        memcpy(j->both.columns, l->columns, l->count * sizeof *l->columns);
    if (r->count > 0)
        memcpy(j->both.columns + l->count, r->columns, r->count * sizeof *r->columns);
}

static struct relation bind_side(struct planner *p, const struct ast_table *t, bool may_filter)
{
    struct where_parts *parts = p->where_parts;
    struct relation r;

    if (!may_filter)
        p->where_parts = NULL;
    r = bind_from(p, t);
    p->where_parts = parts;
    if (r.pending)
        materialize_window(p, &r);
    materialize_filter(p, &r);
    return r;
}

/* ---- the condition taken apart ---- */

static void add_residual(struct planner *p, struct join_parts *j, struct expr *e)
{
    j->residual = expr_both(p, j->residual, e);
}

static void filter_side(struct planner *p, struct join_parts *j, uint32_t side, struct expr *e)
{
    j->side[side].filter = expr_both(p, j->side[side].filter, over_side(p, j, e, side));
}

static bool is_call(const struct expr *e, const char *name)
{
    return e->kind == EXPR_CALL && e->arg_count == 2 && strcmp(e->function->name, name) == 0;
}

/* column of a time attribute, plus or minus an interval; false: something else. */
static bool time_and_offset(const struct join_parts *j, const struct expr *e, uint32_t *column,
                            int64_t *offset)
{
    int64_t ns;
    const bool minus = is_call(e, "-");

    if (e->kind == EXPR_COLUMN) {
        const struct scope_column *c = &j->both.columns[e->index];

        *column = e->index;
        *offset = 0;
        /* the end of a window lies behind the watermark for as long as rows of it may come */
        return c->rowtime || c->proctime || (c->role == ROLE_WINDOW_END && !c->local);
    }
    if (e->kind == EXPR_CAST && type_is_time(&e->type) && type_is_time(&e->args[0]->type) &&
        type_is_nanos(&e->type) == type_is_nanos(&e->args[0]->type) &&
        e->type.precision >= e->args[0]->type.precision)
        return time_and_offset(j, e->args[0], column, offset);
    if ((!minus && !is_call(e, "+")) || e->args[1]->type.kind != MILL_INTERVAL_TIME ||
        !expr_literal_i64(e->args[1], &ns) || !time_and_offset(j, e->args[0], column, offset))
        return false;
    if (!type_is_nanos(&e->type)) {
        if (ns % 1000 != 0)
            return false;
        ns /= 1000;
    }
    return !(minus ? __builtin_sub_overflow(*offset, ns, offset)
                   : __builtin_add_overflow(*offset, ns, offset));
}

/* The two sides of a comparison of times: @a + @at with @b + @bt; also of their difference with an interval. */
static bool times_compared(const struct join_parts *j, const struct expr *e, uint32_t *a,
                           int64_t *at, uint32_t *b, int64_t *bt)
{
    const struct expr *difference = e->args[0];
    int64_t ns;

    if (time_and_offset(j, e->args[0], a, at) && time_and_offset(j, e->args[1], b, bt))
        return true;
    if (!is_call(difference, "-") || e->args[1]->type.kind != MILL_INTERVAL_TIME ||
        !expr_literal_i64(e->args[1], &ns) || !time_and_offset(j, difference->args[0], a, at) ||
        !time_and_offset(j, difference->args[1], b, bt))
        return false;
    if (!type_is_nanos(&j->both.columns[*a].type)) {
        if (ns % 1000 != 0)
            return false;
        ns /= 1000;
    }
    return !__builtin_add_overflow(*bt, ns, bt);
}

static void bound_below(struct join_parts *j, int64_t value)
{
    j->lower = j->bounded_below ? max_i64(j->lower, value) : value;
    j->bounded_below = true;
}

static void bound_above(struct join_parts *j, int64_t value)
{
    j->upper = j->bounded_above ? min_i64(j->upper, value) : value;
    j->bounded_above = true;
}

/* a op b, of time attributes of the two sides: bounds on left - right. False: something else. */
static bool take_bound(struct join_parts *j, struct expr *e)
{
    static const char *const ops[] = {">=", ">", "<=", "<", "="};
    const uint32_t left = j->side[0].count;
    uint32_t a, b;
    int64_t at, bt, distance;
    size_t op = 0;
    bool mirrored;

    while (op < COUNT_OF(ops) && !is_call(e, ops[op]))
        op++;
    if (op == COUNT_OF(ops) || !times_compared(j, e, &a, &at, &b, &bt) ||
        (a >= left) == (b >= left))
        return false;
    mirrored = a >= left;
    const struct scope_column *l = &j->both.columns[mirrored ? b : a];
    const struct scope_column *r = &j->both.columns[mirrored ? a : b];
    const int32_t times[2] = {(int32_t)(mirrored ? b : a), (int32_t)(mirrored ? a : b)};
    const int64_t unit = min_i64(type_time_unit(&l->type), type_time_unit(&r->type));

    if (type_is_nanos(&l->type) != type_is_nanos(&r->type) || l->proctime != r->proctime ||
        (j->time[0] >= 0 && (j->time[0] != times[0] || j->time[1] != times[1] - (int32_t)left)) ||
        __builtin_sub_overflow(mirrored ? at : bt, mirrored ? bt : at, &distance))
        return false;
    /* left - right  op  distance, turned round where the right side stands first */
    const bool equal = op == 4, above = !equal && (op < 2) != mirrored;
    const int64_t open = op == 1 || op == 3 ? unit : 0;

    if (j->bound_count == COUNT_OF(j->bounds))
        return false;
    if (!equal)
        j->bounds[j->bound_count++] = e;
    j->time[0] = times[0];
    j->time[1] = times[1] - (int32_t)left;
    j->proctime = l->proctime;
    if (equal || above)
        bound_below(j, distance + open);
    if (equal || !above)
        bound_above(j, distance - open);
    return true;
}

static uint32_t side_column(struct planner *p, struct join_parts *j, uint32_t side, struct expr *e,
                            struct expr **computed, uint32_t *computed_count)
{
    struct expr *own = over_side(p, j, e, side);

    if (own->kind == EXPR_COLUMN)
        return own->index;
    for (uint32_t i = 0; i < *computed_count; i++)
        if (expr_same(computed[i], own))
            return j->side[side].count + i;
    computed[*computed_count] = own;
    return j->side[side].count + (*computed_count)++;
}

struct computed_keys {
    struct expr *exprs[2][64];
    uint32_t count[2];
};

/* a IS NOT DISTINCT FROM b stands as NOT(a IS DISTINCT FROM b). NULL: something else. */
static struct expr *not_distinct(struct expr *e)
{
    return e->kind == EXPR_CALL && e->arg_count == 1 && strcmp(e->function->name, "NOT") == 0 &&
                   is_call(e->args[0], "IS DISTINCT FROM")
               ? e->args[0]
               : NULL;
}

/* Whether @e, over both, may be a key of a temporal join: all columns but those of the PRIMARY KEY change with the version. */
static bool may_be_key(struct join_parts *j, const struct expr *e)
{
    for (uint32_t i = 0; i < j->unique_count; i++)
        if (e->kind == EXPR_COLUMN && e->index == j->side[0].count + j->unique[i]) {
            j->covered[i] = true;
            return true;
        }
    return j->unique_count == 0;
}

/* l = r or l IS NOT DISTINCT FROM r, where one reads the left alone and the other the right. */
static bool take_key(struct planner *p, struct join_parts *j, struct expr *e,
                     struct computed_keys *computed)
{
    const uint32_t left = j->side[0].count;
    const bool safe = not_distinct(e) != NULL;
    struct expr *pair[2];
    struct mill_type common;
    unsigned first;

    if ((!safe && !is_call(e, "=")) || j->key_count == COUNT_OF(j->keys[0]))
        return false;
    if (safe)
        e = not_distinct(e);
    first = sides_of(e->args[0], left);
    if ((first | sides_of(e->args[1], left)) != 3 || first == 3 || first == 0 ||
        sides_of(e->args[1], left) == 3)
        return false;
    pair[0] = e->args[first == 1 ? 0 : 1];
    pair[1] = e->args[first == 1 ? 1 : 0];
    if (!expr_is_pure(e) || !type_common(&pair[0]->type, &pair[1]->type, &common) ||
        type_phys(&common) == PHYS_ROW || !may_be_key(j, pair[1]))
        return false;
    for (uint32_t s = 0; s < 2; s++) {
        if (!type_same(&pair[s]->type, &common))
            pair[s] =
                expr_fold(&p->session,
                          need(p, expr_cast(&p->session, pair[s], &common, false,
                                            (struct expr_place){e->line, e->column}, p->error)));
        j->keys[s][j->key_count] =
            side_column(p, j, s, pair[s], computed->exprs[s], &computed->count[s]);
    }
    j->null_safe[j->key_count++] = safe;
    return true;
}

static void take_part(struct planner *p, struct join_parts *j, struct expr *e, bool where,
                      struct computed_keys *computed)
{
    const unsigned sides = sides_of(e, j->side[0].count);
    const bool inner = j->type == JOIN_TYPE_INNER, keeps = where && j->type == JOIN_TYPE_LEFT;
    /* ON of ASOF JOIN says among which rows the latest is looked for */
    const bool chosen = j->versioned && (where || j->table->right->as_of != NULL);

    if (e->kind == EXPR_AND) {
        take_part(p, j, e->args[0], where, computed);
        take_part(p, j, e->args[1], where, computed);
    } else if (sides == 1 &&
               (inner || keeps || j->type == JOIN_TYPE_RIGHT || j->type == JOIN_TYPE_SEMI)) {
        filter_side(p, j, 0, e);
    } else if (sides == 2 && !chosen && !(where && !inner) &&
               (inner || j->type == JOIN_TYPE_LEFT || j->type >= JOIN_TYPE_SEMI)) {
        filter_side(p, j, 1, e);
    } else {
        const bool bound = take_bound(j, e);

        if (!take_key(p, j, e, computed) && !bound)
            add_residual(p, j, e);
    }
}

/* Columns of USING: equal by name. By that name alone goes the side's whose rows all stay; of a FULL JOIN neither's. */
static void take_using(struct planner *p, struct join_parts *j, struct computed_keys *computed)
{
    for (uint32_t i = 0; i < j->table->using_count; i++) {
        const char *name = j->table->using_columns[i];
        struct expr *pair[2] = {NULL, NULL};

        for (uint32_t c = 0; c < j->both.count; c++) {
            const uint32_t side = c >= j->side[0].count;

            if (strcasecmp(j->both.columns[c].name, name) != 0 || j->both.columns[c].merged)
                continue;
            if (pair[side] != NULL)
                plan_fail(p, j->table->at, MILL_E_NAME,
                          "USING (%s): the %s side has two columns %s", name,
                          side == 0 ? "left" : "right", name);
            pair[side] = expr_column(&p->session, c, &j->both.columns[c].type, place(j->table->at));
        }
        if (pair[0] == NULL || pair[1] == NULL)
            plan_fail(p, j->table->at, MILL_E_NAME, "USING (%s): the %s side has no column %s",
                      name, pair[0] == NULL ? "left" : "right", name);
        for (uint32_t side = 0; side < 2; side++)
            j->both.columns[pair[side]->index].merged =
                j->type == JOIN_TYPE_FULL || (j->type == JOIN_TYPE_RIGHT) == (side == 0);
        take_part(p, j,
                  need(p, expr_call(&p->session, "=", pair, 2, place(j->table->at), p->error)),
                  false, computed);
    }
}

/* Key columns behind a side's own ones, and its filter. */
static void finish_side(struct planner *p, struct join_parts *j, uint32_t side,
                        const struct computed_keys *computed)
{
    struct relation *r = &j->side[side];
    const uint32_t own = r->count, n = own + computed->count[side];
    struct expr **project = arena_array(p->arena, struct expr *, n + 1);
    struct scope_column *columns = arena_array(p->arena, struct scope_column, n + 1);

    if (n == own) {
        materialize_filter(p, r);
        return;
    }
    memcpy(columns, r->columns, own * sizeof *columns);
    for (uint32_t i = 0; i < own; i++)
        project[i] = expr_column(&p->session, i, &columns[i].type, place(j->table->at));
    for (uint32_t i = own; i < n; i++) {
        project[i] = computed->exprs[side][i - own];
        columns[i] = (struct scope_column){.name = arena_format(p->arena, "$key%u", i - own),
                                           .type = project[i]->type};
    }
    r->node = plan_calc(p, r, project, columns, n);
}

static bool same_windows(const struct join_parts *j)
{
    unsigned seen = 0;

    for (uint32_t k = 0; k < j->key_count; k++) {
        enum column_role role[2] = {ROLE_NONE, ROLE_NONE};

        for (uint32_t s = 0; s < 2; s++)
            if (j->keys[s][k] < j->side[s].count)
                role[s] = j->side[s].columns[j->keys[s][k]].role;
        if (role[0] == role[1] && (role[0] == ROLE_WINDOW_START || role[0] == ROLE_WINDOW_END))
            seen |= 1u << (role[0] == ROLE_WINDOW_END);
    }
    return seen == 3;
}

void join_keep_bounds(struct planner *p, struct join_parts *j)
{
    for (uint32_t i = 0; i < j->bound_count; i++)
        add_residual(p, j, j->bounds[i]);
    j->bound_count = 0;
    j->bounded_below = j->bounded_above = false;
}

/* WHERE sees rows without a partner, ON does not: of a LEFT JOIN only what the left gives may go before it. */
static bool where_is_ours(const struct join_parts *j, const struct ast_expr *part)
{
    if (j->type == JOIN_TYPE_INNER)
        return is_over(&j->both, part);
    return j->type == JOIN_TYPE_LEFT && is_over(&j->side[0], part) && !is_over(&j->side[1], part);
}

/* ON and what of WHERE belongs to the join. */
static void take_apart(struct planner *p, struct join_parts *j)
{
    struct computed_keys *computed = arena_new(p->arena, struct computed_keys);
    struct where_parts *where = p->where_parts;

    set_both(p, j);
    j->time[0] = j->time[1] = -1;
    if (j->table->on != NULL)
        take_part(p, j, condition(p, &j->both, j->table->on), false, computed);
    take_using(p, j, computed);
    for (uint32_t i = 0; where != NULL && i < where->count; i++)
        if (!where->taken[i] && where_is_ours(j, where->parts[i])) {
            where->taken[i] = true;
            take_part(p, j, condition(p, &j->both, where->parts[i]), true, computed);
        }
    j->windows = same_windows(j);
    for (uint32_t s = 0; s < 2; s++)
        finish_side(p, j, s, computed);
}

/* ---- the node ---- */

const char *join_text(struct planner *p, const struct join_parts *j, const char *kind)
{
    static const char *const types[] =
        {[JOIN_TYPE_INNER] = "",     [JOIN_TYPE_LEFT] = "LEFT ", [JOIN_TYPE_RIGHT] = "RIGHT ",
         [JOIN_TYPE_FULL] = "FULL ", [JOIN_TYPE_SEMI] = "semi ", [JOIN_TYPE_ANTI] = "anti "};

    return arena_format(p->arena, "the %s%sJOIN at %u:%u", kind, types[j->type], j->table->at.line,
                        j->table->at.column);
}

struct phys_node *join_make(struct planner *p, struct join_parts *j, enum node_kind kind,
                            struct join_node **join, struct relation *out)
{
    const bool left_only = j->type >= JOIN_TYPE_SEMI;
    struct join_node *made = arena_new(p->arena, struct join_node);
    bool *null_safe = arena_array(p->arena, bool, j->key_count + 1);
    struct phys_node *inputs[2], *node;

    *made = (struct join_node){.type = j->type,
                               .key_count = j->key_count,
                               .null_safe = null_safe,
                               .own = {j->side[0].count, j->side[1].count},
                               .time = {j->time[0], j->time[1]},
                               .processing_time = j->proctime,
                               .lower = j->lower,
                               .upper = j->upper};
    memcpy(null_safe, j->null_safe, j->key_count * sizeof *null_safe);
    for (uint32_t s = 0; s < 2; s++) {
        made->kept[s] = arena_array(p->arena, uint32_t, j->side[s].count + 1);
        inputs[s] = plan_exchange(p, j->side[s].node, j->keys[s], j->key_count);
        made->keys[s] = inputs[s]->exchange.keys;
    }
    if (j->residual != NULL) { /* over the sides' whole input columns */
        const uint32_t left = j->side[0].count;
        const uint32_t shift = j->side[0].node->schema.field_count - left;
        struct expr **columns = arena_array(p->arena, struct expr *, j->both.count + 1);

        for (uint32_t i = 0; i < j->both.count; i++)
            columns[i] = expr_column(&p->session, i + (i >= left ? shift : 0),
                                     &j->both.columns[i].type, place(j->table->at));
        made->residual = expr_over(p, j->residual, columns);
    }
    node = plan_node(p, kind, inputs, 2);
    *out = j->both;
    out->count = left_only ? j->side[0].count : j->both.count;
    node->schema = plan_schema(p, out->columns, out->count);
    node->join = made;
    node->line = j->table->at.line;
    node->column = j->table->at.column;
    out->node = node;
    *join = made;
    return node;
}

/* The columns of USING, then the others of both sides, as SELECT * shows them. */
static struct relation using_first(struct planner *p, const struct join_parts *j, struct relation r)
{
    const uint32_t shared = j->table->using_count;
    struct expr **exprs = arena_array(p->arena, struct expr *, shared + r.count + 1);
    struct scope_column *columns = arena_array(p->arena, struct scope_column, shared + r.count + 1);
    bool *taken = arena_array(p->arena, bool, r.count + 1);
    const struct expr_place at = place(j->table->at);
    uint32_t n = 0;

    if (shared == 0)
        return r;
    for (; n < shared; n++) {
        struct expr *pair[2] = {NULL, NULL};
        uint32_t kept = 0;

        for (uint32_t c = 0; c < r.count; c++) {
            const uint32_t side = c >= j->side[0].count;

            if (strcasecmp(r.columns[c].name, j->table->using_columns[n]) != 0 ||
                (side == 0 && j->side[0].columns[c].merged) ||
                (side == 1 && j->side[1].columns[c - j->side[0].count].merged))
                continue;
            pair[side] = expr_column(&p->session, c, &r.columns[c].type, at);
            if (!r.columns[c].merged)
                kept = c;
        }
        if (j->type == JOIN_TYPE_FULL) {
            exprs[n] = need(p, expr_call(&p->session, "COALESCE", pair, 2, at, p->error));
            columns[n] = (struct scope_column){.name = r.columns[pair[0]->index].name,
                                               .type = exprs[n]->type};
        } else {
            exprs[n] = pair[j->type == JOIN_TYPE_RIGHT];
            columns[n] = r.columns[kept];
            taken[kept] = true;
        }
    }
    for (uint32_t c = 0; c < r.count; c++) {
        if (taken[c])
            continue;
        exprs[n] = expr_column(&p->session, c, &r.columns[c].type, at);
        columns[n++] = r.columns[c];
    }
    r.node = plan_calc(p, &r, exprs, columns, n);
    r.columns = columns;
    r.count = n;
    return r;
}

/* The kind of join that its condition makes it. */
static struct relation plan_by_condition(struct planner *p, struct join_parts *j)
{
    if (j->windows) {
        join_keep_bounds(p, j);
        return plan_window_join(p, j);
    }
    if (j->time[0] >= 0 && j->bounded_below && j->bounded_above)
        return plan_interval_join(p, j);
    join_keep_bounds(p, j);
    return plan_regular_join(p, j);
}

/* ---- FROM a JOIN b ---- */

static struct relation join_made(struct planner *p, const struct relation *left,
                                 const struct relation *right, enum join_type type,
                                 struct expr *const *conditions, uint32_t count, struct ast_at at)
{
    struct computed_keys *computed = arena_new(p->arena, struct computed_keys);
    struct join_parts *j = arena_new(p->arena, struct join_parts);
    struct ast_table *table = arena_new(p->arena, struct ast_table);
    struct relation out;

    table->at = at;
    *j = (struct join_parts){.table = table,
                             .type = type,
                             .side = {*left, *right},
                             .time = {-1, -1}};
    set_both(p, j);
    for (uint32_t i = 0; i < count; i++)
        take_part(p, j, conditions[i], false, computed);
    j->windows = same_windows(j);
    for (uint32_t s = 0; s < 2; s++)
        finish_side(p, j, s, computed);
    out = plan_by_condition(p, j);
    out.at = left->at;
    return out;
}

struct relation join_semi(struct planner *p, const struct relation *left,
                          const struct relation *right, bool anti, struct expr *const *conditions,
                          uint32_t count, struct ast_at at)
{
    return join_made(p, left, right, anti ? JOIN_TYPE_ANTI : JOIN_TYPE_SEMI, conditions, count, at);
}

struct relation join_left(struct planner *p, const struct relation *left,
                          const struct relation *right, struct expr *const *conditions,
                          uint32_t count, struct ast_at at)
{
    return join_made(p, left, right, JOIN_TYPE_LEFT, conditions, count, at);
}

static enum join_type type_of(enum ast_join join)
{
    switch (join) {
    case JOIN_LEFT:
    case JOIN_ASOF_LEFT: return JOIN_TYPE_LEFT;
    case JOIN_RIGHT: return JOIN_TYPE_RIGHT;
    case JOIN_FULL: return JOIN_TYPE_FULL;
    default: return JOIN_TYPE_INNER;
    }
}

static bool is_processing_time(struct planner *p, struct join_parts *j,
                               const struct ast_expr *as_of)
{
    struct expr *e;

    if (as_of->kind == AST_CALL && as_of->arg_count == 0 &&
        strcasecmp(as_of->name.parts[as_of->name.count - 1], "PROCTIME") == 0)
        return true;
    e = bind_expr(p, &j->side[0], NULL, as_of);
    if (e->kind != EXPR_COLUMN ||
        (!j->side[0].columns[e->index].rowtime && !j->side[0].columns[e->index].proctime))
        plan_fail(p, as_of->at, MILL_E_TYPE,
                  "FOR SYSTEM_TIME AS OF needs a time attribute of the left side: the column of "
                  "its "
                  "WATERMARK, or one computed AS PROCTIME()");
    j->time[0] = (int32_t)e->index;
    return j->side[0].columns[e->index].proctime;
}

static struct relation plan_join(struct planner *p, struct join_parts *j, const struct ast_table *t)
{
    const struct ast_expr *as_of = t->right->as_of;

    j->table = t;
    j->type = type_of(t->join);
    j->side[0] = bind_side(p, t->left, j->type == JOIN_TYPE_INNER || j->type == JOIN_TYPE_LEFT);
    if (is_lateral(p, t->right))
        return bind_lateral(p, j->side[0], t->right, t);
    j->side[1] = bind_side(p, t->right,
                           as_of == NULL && t->join != JOIN_ASOF && t->join != JOIN_ASOF_LEFT &&
                               (j->type == JOIN_TYPE_INNER || j->type == JOIN_TYPE_RIGHT));
    if (as_of != NULL) {
        int32_t time[2];
        bool processing;

        j->time[0] = j->time[1] = -1;
        processing = is_processing_time(p, j, as_of);
        j->versioned = true;
        if (!processing)
            temporal_key(p, j);
        memcpy(time, j->time, sizeof time);
        take_apart(p, j);
        join_keep_bounds(p, j);
        memcpy(j->time, time, sizeof time);
        return processing ? plan_lookup_join(p, j) : plan_temporal_join(p, j);
    }
    j->versioned = t->join == JOIN_ASOF || t->join == JOIN_ASOF_LEFT;
    take_apart(p, j);
    if (t->join == JOIN_ASOF || t->join == JOIN_ASOF_LEFT)
        return plan_asof_join(p, j);
    return plan_by_condition(p, j);
}

struct relation bind_join(struct planner *p, const struct ast_table *t)
{
    struct join_parts *j = arena_new(p->arena, struct join_parts);

    return using_first(p, j, plan_join(p, j, t));
}

struct where_parts *join_where(struct planner *p, const struct ast_expr *where)
{
    struct where_parts *parts = arena_new(p->arena, struct where_parts);

    if (where != NULL)
        split_and(p, where, parts);
    return parts;
}

void join_where_check(struct planner *p, struct relation *r, const struct where_parts *parts)
{
    for (uint32_t i = 0; i < parts->count; i++)
        if (parts->taken[i])
            bind_expr(p, r, NULL, parts->parts[i]);
}

const struct ast_expr *join_where_left(const struct where_parts *parts, uint32_t *at)
{
    while (*at < parts->count && parts->taken[*at])
        ++*at;
    return *at < parts->count ? parts->parts[(*at)++] : NULL;
}
