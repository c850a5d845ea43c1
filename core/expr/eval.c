/* core/expr/eval.c - running expressions: node by node over the selected rows of a batch.
 *
 * Column references borrow; literals are constant columns; everything computed lies in the batch's bytes. AND, OR and
 * CASE compute a side only on the rows where it matters.
 */
#include "core/expr/functions.h"
#include "core/expr/twins.h"
#include "core/expr/user.h"

#include <stdio.h>

struct program {
    struct heap *heap;
    const struct mk_table *kernels;
    struct expr *const *expressions; /* copied list */
    struct expr **list;
    uint32_t count;
    struct twins twins;
    struct pattern *patterns;
    struct arena zones_in; /* opened with the first zone */
    struct named_zone *zones;
};

struct named_zone {
    struct named_zone *next;
    const char *name;
    const struct zone *zone;
};

/* A pattern that a call used last; mostly a literal, compiled once. */
struct pattern {
    struct pattern *next;
    const struct expr *where;
    struct regex *regex;
    char *text;
    size_t bytes;
};

struct program *program_new(struct heap *heap, const struct mk_table *kernels,
                            struct expr *const *expressions, uint32_t count,
                            const struct mill_schema *input, struct mill_error *error)
{
    struct program *p = heap_zalloc(heap, sizeof *p);

    (void)input;
    if (p != NULL)
        p->list = heap_alloc(heap, (count + 1) * sizeof *p->list);
    if (p == NULL || p->list == NULL) {
        heap_free(heap, p, sizeof *p);
        mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for an expression");
        return NULL;
    }
    memcpy(p->list, expressions, count * sizeof *p->list);
    p->heap = heap;
    p->kernels = kernels;
    p->count = count;
    if (!twins_open(&p->twins, heap, p->list, count)) {
        program_free(p);
        mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for an expression");
        return NULL;
    }
    return p;
}

void program_free(struct program *p)
{
    if (p == NULL)
        return;
    for (struct pattern *x = p->patterns, *next; x != NULL; x = next) {
        next = x->next;
        regex_free(x->regex);
        heap_free(p->heap, x->text, x->bytes + 1);
        heap_free(p->heap, x, sizeof *x);
    }
    if (p->zones_in.heap != NULL)
        arena_close(&p->zones_in);
    twins_close(&p->twins, p->heap);
    heap_free(p->heap, p->list, (p->count + 1) * sizeof *p->list);
    heap_free(p->heap, p, sizeof *p);
}

const struct mk_table *program_kernels(const struct program *program)
{
    return program->kernels;
}

/* ---- what functions call ---- */

void eval_no_memory(struct eval *e)
{
    if (e->code == MILL_OK)
        e->code = mill_fail(e->error, MILL_E_MEMORY, 0, 0, "no memory to compute an expression");
}

void eval_bad(struct eval *e, uint32_t row, const char *reason)
{
    if (e->code != MILL_OK)
        return;
    if (e->once) {
        snprintf(e->reason, sizeof e->reason, "%s", reason);
        return;
    }
    if (e->bad == NULL) {
        e->bad = arena_zalloc(&e->batch->bytes, (e->batch->capacity + 63) / 64 * 8);
        if (e->bad == NULL) {
            eval_no_memory(e);
            return;
        }
    }
    if ((e->bad[row >> 6] >> (row & 63) & 1) != 0)
        return;
    e->bad[row >> 6] |= 1ull << (row & 63);
    if (e->context->bad_row == NULL)
        e->code = mill_fail(e->error, MILL_E_DATA, e->where->line, e->where->column, "%s", reason);
    else
        e->code =
            e->context->bad_row(e->context->bad_user, e->batch, row, reason, e->where, e->error);
}

void eval_null(struct eval *e, struct column *out, uint32_t row)
{
    if (out->validity == NULL && !column_own_validity(e->batch, out)) {
        eval_no_memory(e);
        return;
    }
    column_set_null(out, row);
}

char *eval_bytes(struct eval *e, size_t bytes)
{
    char *memory = arena_alloc(&e->batch->bytes, bytes > 0 ? bytes : 1);

    if (memory == NULL)
        eval_no_memory(e);
    return memory;
}

void eval_text(struct eval *e, struct column *out, uint32_t row, const char *text, size_t bytes)
{
    struct mill_view v = batch_view(e->batch, text, (uint32_t)bytes);

    if (v.length == UINT32_MAX) {
        eval_no_memory(e);
        v = view_of("", 0);
    }
    RESULT(struct mill_view, out)[row] = v;
}

static struct pattern *pattern_of(struct eval *e)
{
    struct pattern *x = e->program->patterns;

    while (x != NULL && x->where != e->where)
        x = x->next;
    if (x != NULL)
        return x;
    x = heap_zalloc(e->heap, sizeof *x);
    if (x == NULL)
        return NULL;
    x->where = e->where;
    x->next = e->program->patterns;
    e->program->patterns = x;
    return x;
}

struct regex *eval_regex(struct eval *e, const char *pattern, size_t bytes, uint32_t row)
{
    struct pattern *x = pattern_of(e);
    char why[160] = "", reason[320];

    if (x != NULL && x->regex != NULL && x->bytes == bytes && memcmp(x->text, pattern, bytes) == 0)
        return x->regex;
    if (x != NULL) {
        regex_free(x->regex);
        heap_free(e->heap, x->text, x->bytes + 1);
        x->regex = NULL;
        x->bytes = bytes;
        x->text = heap_alloc(e->heap, bytes + 1);
    }
    if (x == NULL || x->text == NULL) {
        eval_no_memory(e);
        return NULL;
    }
    memcpy(x->text, pattern, bytes);
    x->regex = regex_new(pattern, bytes, why, sizeof why);
    if (x->regex == NULL) {
        snprintf(reason, sizeof reason, "the regular expression '%.*s' is not valid: %s",
                 (int)min_u64(bytes, 60), pattern, why);
        eval_bad(e, row, reason);
    }
    return x->regex;
}

const struct zone *eval_zone(struct eval *e, const char *name, size_t bytes, uint32_t row)
{
    struct program *p = e->program;
    struct mill_error error = {0};
    struct named_zone *z = p->zones;

    while (z != NULL && (strlen(z->name) != bytes || memcmp(z->name, name, bytes) != 0))
        z = z->next;
    if (z != NULL)
        return z->zone;
    if (p->zones_in.heap == NULL)
        arena_open(&p->zones_in, p->heap);
    z = arena_new(&p->zones_in, struct named_zone);
    if (z != NULL)
        z->name = arena_text(&p->zones_in, name, bytes);
    if (z == NULL || z->name == NULL) {
        eval_no_memory(e);
        return NULL;
    }
    if (zone_open(p->heap->env, &p->zones_in, z->name, 0, 0, &z->zone, &error) == MILL_OK) {
        z->next = p->zones;
        p->zones = z;
    } else if (error.code == MILL_E_MEMORY) {
        eval_no_memory(e);
    } else {
        eval_bad(e, row, error.message);
    }
    return z->zone;
}

/* ---- nodes ---- */

static void eval_node(struct eval *e, const struct expr *x, struct column *out);

static uint32_t row_at(const struct eval *e, uint32_t i)
{
    return e->rows != NULL ? e->rows[i] : i;
}

static uint16_t *row_list(struct eval *e)
{
    uint16_t *rows = arena_alloc(&e->batch->bytes, (e->count + 1) * sizeof *rows);

    if (rows == NULL)
        eval_no_memory(e);
    return rows;
}

/* Result validity of a strict call: the AND of its arguments'. */
static bool strict_validity(struct eval *e, const struct column *args, uint32_t count,
                            struct column *out)
{
    for (uint32_t a = 0; a < count; a++) {
        if (args[a].validity == NULL)
            continue;
        if (out->validity == NULL && !column_own_validity(e->batch, out)) {
            eval_no_memory(e);
            return false;
        }
        if (e->rows == NULL && !args[a].constant) {
            for (uint32_t w = 0; w < (e->count + 63) / 64; w++)
                out->validity[w] &= args[a].validity[w];
            continue;
        }
        for (uint32_t i = 0; i < e->count; i++)
            if (!column_valid(&args[a], row_at(e, i)))
                column_set_null(out, row_at(e, i));
    }
    return true;
}

/* Runs @eval on the rows where the result is not already NULL. */
static void strict_run(struct eval *e, const struct expr *x, const struct column *args,
                       struct column *out)
{
    const uint16_t *rows = e->rows;
    const uint32_t count = e->count;
    uint16_t *some;
    uint32_t n = 0;

    if (out->validity == NULL || (rows == NULL && takes_any_bits(x))) {
        x->function->eval(e, args, x->arg_count, out);
        return;
    }
    some = row_list(e);
    if (some == NULL)
        return;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = row_at(e, i);

        some[n] = (uint16_t)row;
        n += column_valid(out, row);
    }
    e->rows = some;
    e->count = n;
    x->function->eval(e, args, x->arg_count, out);
    e->rows = rows;
    e->count = count;
}

/* What failed once fails in all rows that need it. */
static void once_end(struct eval *e)
{
    e->once = false;
    for (uint32_t i = 0; e->reason[0] != '\0' && i < e->count; i++)
        eval_bad(e, row_at(e, i), e->reason);
    e->reason[0] = '\0';
}

static void eval_call(struct eval *e, const struct expr *x, struct column *out)
{
    struct column *args = arena_array(&e->batch->bytes, struct column, x->arg_count + 1);
    const uint16_t *rows = e->rows;
    const uint32_t count = e->count;
    const uint16_t first = 0;
    bool constant = x->arg_count > 0 && (x->function->flags & (FN_RANDOM | FN_CLOCK)) == 0;

    if (args == NULL || !column_own(e->batch, out, &x->type)) {
        eval_no_memory(e);
        return;
    }
    for (uint32_t a = 0; a < x->arg_count && e->code == MILL_OK; a++) {
        eval_node(e, x->args[a], &args[a]);
        constant = constant && args[a].constant;
    }
    if (e->code != MILL_OK)
        return;
    e->where = x;
    if (constant) {
        e->rows = &first;
        e->count = count > 0 ? 1 : 0;
        e->once = true;
    }
    if ((x->function->flags & FN_NULLS) != 0)
        x->function->eval(e, args, x->arg_count, out);
    else if (strict_validity(e, args, x->arg_count, out))
        strict_run(e, x, args, out);
    e->rows = rows;
    e->count = count;
    out->constant = constant;
    once_end(e);
}

static void eval_cast(struct eval *e, const struct expr *x, struct column *out)
{
    struct column arg;
    const uint16_t *rows = e->rows;
    const uint32_t count = e->count;
    const uint16_t first = 0;

    eval_node(e, x->args[0], &arg);
    if (e->code != MILL_OK)
        return;
    e->where = x;
    if (!column_own(e->batch, out, &x->type)) {
        eval_no_memory(e);
        return;
    }
    if (arg.constant) {
        e->rows = &first;
        e->count = count > 0 ? 1 : 0;
        e->once = true;
    }
    cast_column(e, &arg, &x->args[0]->type, out, &x->type, x->try_cast);
    e->rows = rows;
    e->count = count;
    out->constant = arg.constant;
    once_end(e);
}

/* A node on some rows only. */
static void eval_on(struct eval *e, const struct expr *x, const uint16_t *rows, uint32_t count,
                    struct column *out)
{
    const uint16_t *all = e->rows;
    const uint32_t all_count = e->count;

    e->rows = rows;
    e->count = count;
    e->depth++;
    eval_node(e, x, out);
    e->depth--;
    twins_forget(&e->program->twins, e->depth);
    e->rows = all;
    e->count = all_count;
}

/* AND: a row whose left side is FALSE is decided; OR: TRUE. NULL is decided by the right side. */
static void eval_logic(struct eval *e, const struct expr *x, struct column *out)
{
    const uint8_t decides = x->kind == EXPR_OR;
    struct column left, right;
    uint16_t *open;
    uint32_t n = 0;

    eval_node(e, x->args[0], &left);
    open = row_list(e);
    if (e->code != MILL_OK || open == NULL || !column_own(e->batch, out, &x->type)) {
        eval_no_memory(e);
        return;
    }
    for (uint32_t i = 0; i < e->count; i++) {
        const uint32_t row = row_at(e, i);

        RESULT(uint8_t, out)[row] = decides;
        open[n] = (uint16_t)row;
        n += !column_valid(&left, row) || VALUE(uint8_t, &left, row) != decides;
    }
    eval_on(e, x->args[1], open, n, &right);
    if (left.validity == NULL && right.validity == NULL) {
        for (uint32_t i = 0; i < n && e->code == MILL_OK; i++)
            RESULT(uint8_t, out)[open[i]] = VALUE(uint8_t, &right, open[i]) != 0;
        return;
    }
    for (uint32_t i = 0; i < n && e->code == MILL_OK; i++) {
        const uint32_t row = open[i];
        const bool right_valid = column_valid(&right, row);

        if (right_valid && VALUE(uint8_t, &right, row) == decides)
            continue;
        if (!right_valid || !column_valid(&left, row))
            eval_null(e, out, row);
        else
            RESULT(uint8_t, out)[row] = !decides;
    }
}

#define COPY_ROWS(type)                                                                            \
    for (uint32_t i = 0; i < count; i++)                                                           \
        RESULT(type, out)[rows[i]] = VALUE(type, from, rows[i]);                                   \
    break
/* Copies the rows of @from into @out, which has room for all. */
static void copy_rows(struct eval *e, struct column *out, const struct column *from,
                      const struct mill_type *type, const uint16_t *rows, uint32_t count)
{
    for (uint32_t i = 0; from->validity != NULL && i < count; i++)
        if (!column_valid(from, rows[i]))
            eval_null(e, out, rows[i]);
    if (type->kind == MILL_ROW) {
        for (uint32_t f = 0; f < type->field_count; f++)
            copy_rows(e, &out->children[f], &from->children[f], &type->fields[f].type, rows, count);
        return;
    }
    switch (type_width(type)) {
    case 1: COPY_ROWS(uint8_t);
    case 2: COPY_ROWS(uint16_t);
    case 4: COPY_ROWS(uint32_t);
    case 8: COPY_ROWS(uint64_t);
    default: COPY_ROWS(struct mill_view); /* any 16 bytes */
    }
}

/* A NULL ROW's fields are NULL. */
static void null_row(struct eval *e, struct column *out, const struct mill_type *type, uint32_t row)
{
    eval_null(e, out, row);
    for (uint32_t f = 0; type->kind == MILL_ROW && f < type->field_count; f++)
        null_row(e, &out->children[f], &type->fields[f].type, row);
}

/* The fields' columns side by side; a constant one is written out, for not all may be. */
static void eval_row(struct eval *e, const struct expr *x, struct column *out)
{
    uint16_t *rows = row_list(e);

    out->child_count = x->arg_count;
    out->children = arena_array(&e->batch->bytes, struct column, x->arg_count);
    if (rows == NULL || out->children == NULL) {
        eval_no_memory(e);
        return;
    }
    for (uint32_t i = 0; i < e->count; i++)
        rows[i] = (uint16_t)row_at(e, i);
    for (uint32_t a = 0; a < x->arg_count && e->code == MILL_OK; a++) {
        struct column field;

        eval_node(e, x->args[a], &field);
        if (e->code != MILL_OK)
            return;
        out->children[a] = field;
        if (!field.constant)
            continue;
        if (!column_own(e->batch, &out->children[a], &x->args[a]->type)) {
            eval_no_memory(e);
            return;
        }
        copy_rows(e, &out->children[a], &field, &x->args[a]->type, rows, e->count);
    }
}

static void eval_case(struct eval *e, const struct expr *x, struct column *out)
{
    uint16_t *left = row_list(e), *taken = row_list(e);
    uint32_t n = e->count;

    if (left == NULL || taken == NULL || !column_own(e->batch, out, &x->type)) {
        eval_no_memory(e);
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        left[i] = (uint16_t)row_at(e, i);
    for (uint32_t a = 0; a + 1 < x->arg_count && n > 0; a += 2) {
        struct column when, then;
        uint32_t kept = 0, hit = 0;

        if (a == 0) /* all rows still: what it computes is kept for the others */
            eval_node(e, x->args[a], &when);
        else
            eval_on(e, x->args[a], left, n, &when);
        for (uint32_t i = 0; i < n && e->code == MILL_OK; i++) {
            const uint16_t row = left[i];
            const bool taken_here = column_valid(&when, row) && VALUE(uint8_t, &when, row) != 0;

            taken[hit] = row;
            left[kept] = row;
            hit += taken_here;
            kept += !taken_here;
        }
        if (hit > 0 && e->code == MILL_OK) {
            eval_on(e, x->args[a + 1], taken, hit, &then);
            if (e->code == MILL_OK)
                copy_rows(e, out, &then, &x->type, taken, hit);
        }
        if (e->code != MILL_OK)
            return;
        n = kept;
    }
    if (n == 0)
        return;
    if (x->arg_count % 2 == 1) {
        struct column other;

        eval_on(e, x->args[x->arg_count - 1], left, n, &other);
        if (e->code == MILL_OK)
            copy_rows(e, out, &other, &x->type, left, n);
    } else {
        for (uint32_t i = 0; i < n; i++)
            null_row(e, out, &x->type, left[i]);
    }
}

static void *user_alloc(void *context, size_t bytes)
{
    return eval_bytes(context, bytes);
}

/* The rows at hand of @from, one behind the other. */
static bool gather(struct eval *e, const struct column *from, const struct mill_type *type,
                   struct column *to)
{
    const uint32_t width = type_width(type);

    if (!column_own(e->batch, to, type) ||
        (from->validity != NULL && !column_own_validity(e->batch, to))) {
        eval_no_memory(e);
        return false;
    }
    for (uint32_t i = 0; i < e->count; i++) {
        const uint32_t row = row_at(e, i);

        memcpy((char *)to->values + (size_t)i * width,
               (const char *)from->values + (size_t)at_row(from, row) * width, width);
        if (!column_valid(from, row))
            column_set_null(to, i);
    }
    return true;
}

/* Row i of @made is the i-th at hand. */
static void scatter(struct eval *e, const struct column *made, const struct mill_type *type,
                    struct column *out)
{
    const uint32_t width = type_width(type);

    for (uint32_t i = 0; i < e->count; i++) {
        const uint32_t row = row_at(e, i);

        memcpy((char *)out->values + (size_t)row * width,
               (const char *)made->values + (size_t)i * width, width);
        if (!column_valid(made, i))
            column_set_null(out, row);
    }
}

/* User functions see plain columns, and of the rows at hand only: the others may hold anything. */
static void eval_user(struct eval *e, const struct expr *x, struct column *out)
{
    struct mill_column *args = arena_array(&e->batch->bytes, struct mill_column, x->arg_count + 1);
    struct column made;

    if (args == NULL || !column_own(e->batch, out, &x->type) ||
        !column_own_validity(e->batch, out) ||
        (e->rows != NULL &&
         (!column_own(e->batch, &made, &x->type) || !column_own_validity(e->batch, &made)))) {
        eval_no_memory(e);
        return;
    }
    if (e->rows == NULL)
        made = *out;
    for (uint32_t a = 0; a < x->arg_count && e->code == MILL_OK; a++) {
        struct column c, flat;

        eval_node(e, x->args[a], &c);
        if (e->code == MILL_OK && (c.constant || e->rows != NULL)) {
            if (!gather(e, &c, &x->args[a]->type, &flat))
                return;
            c = flat;
        }
        args[a] = (struct mill_column){.values = c.values, .validity = c.validity};
    }
    e->where = x;
    if (e->code != MILL_OK)
        return;
    if (x->user->kind == MILL_TABLE) {
        eval_table_function(e, x, args, out);
        return;
    }
    if (x->user->eval(args, e->count, made.values, made.validity, user_alloc, e) != 0 &&
        e->code == MILL_OK)
        e->code = mill_fail(e->error, MILL_E_DATA, x->line, x->column,
                            "the user function %s reported a failure", x->user->name);
    if (e->rows != NULL && e->code == MILL_OK)
        scatter(e, &made, &x->type, out);
}

static void compute(struct eval *e, const struct expr *x, struct column *out)
{
    switch (x->kind) {
    case EXPR_COLUMN: *out = e->batch->columns[x->index]; return;
    case EXPR_LITERAL: *out = x->literal; return;
    case EXPR_CALL: eval_call(e, x, out); return;
    case EXPR_CAST: eval_cast(e, x, out); return;
    case EXPR_CASE: eval_case(e, x, out); return;
    case EXPR_AND:
    case EXPR_OR: eval_logic(e, x, out); return;
    case EXPR_USER: eval_user(e, x, out); return;
    case EXPR_ROW: eval_row(e, x, out); return;
    case EXPR_FIELD: {
        struct column row;

        eval_node(e, x->args[0], &row);
        if (e->code != MILL_OK)
            return;
        *out = row.children[x->index];
        out->constant = row.constant || out->constant;
        if (row.validity != NULL) /* fields of a NULL row are NULL */
            for (uint32_t i = 0; i < e->count; i++) {
                const uint32_t r = row_at(e, i);

                if (!column_valid(&row, r) && column_valid(out, r)) {
                    const uint64_t *old = out->validity;

                    if (!column_own_validity(e->batch, out)) {
                        eval_no_memory(e);
                        return;
                    }
                    for (uint32_t w = 0; w < (e->batch->rows + 63) / 64; w++)
                        out->validity[w] = (old != NULL ? old[w] : ~0ull) & row.validity[w];
                    return;
                }
            }
        return;
    }
    }
}

static void eval_node(struct eval *e, const struct expr *x, struct column *out)
{
    struct kept *kept;

    *out = (struct column){0};
    if (e->code != MILL_OK)
        return;
    kept = twins_of(&e->program->twins, x);
    if (kept != NULL && kept->depth > 0) {
        *out = kept->column;
        return;
    }
    compute(e, x, out);
    if (kept != NULL && e->code == MILL_OK)
        *kept = (struct kept){*out, e->depth};
}

/* ---- whole programs ---- */

static void drop_bad(struct batch *batch, const uint64_t *bad)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < batch->live; i++) {
        const uint32_t row = batch_row(batch, i);

        if ((bad[row >> 6] >> (row & 63) & 1) == 0)
            batch->selection_store[n++] = (uint16_t)row;
    }
    batch->selection = batch->selection_store;
    batch->live = n;
}

static struct eval eval_begin(struct program *p, struct batch *batch, struct eval_context *context,
                              struct mill_error *error)
{
    twins_forget(&p->twins, 0);
    return (struct eval){.program = p,
                         .depth = 1,
                         .heap = p->heap,
                         .batch = batch,
                         .rows = batch->selection,
                         .count = batch->live,
                         .context = context,
                         .error = error,
                         .zone = context->zone,
                         .seed = context->seed};
}

int program_run(struct program *p, struct batch *batch, struct column *out,
                struct eval_context *context, struct mill_error *error)
{
    struct eval e = eval_begin(p, batch, context, error);

    for (uint32_t i = 0; i < p->count && e.code == MILL_OK; i++)
        eval_node(&e, p->list[i], &out[i]);
    if (e.code == MILL_OK && e.bad != NULL)
        drop_bad(batch, e.bad);
    return e.code;
}

/* Drops the rows where @c is NULL. */
static void rows_valid(struct eval *e, const struct column *c, uint16_t *rows)
{
    uint32_t n = 0;

    if (c->validity == NULL)
        return;
    for (uint32_t i = 0; i < e->count; i++) {
        const uint32_t row = row_at(e, i);

        rows[n] = (uint16_t)row;
        n += column_valid(c, row);
    }
    e->rows = rows;
    e->count = n;
}

/* A comparison goes straight to the rows it keeps. */
static uint32_t compare_rows(struct eval *e, const struct expr *x, enum mk_kind kind,
                             enum mk_compare how, uint16_t *rows)
{
    struct column a, b;

    eval_node(e, x->args[0], &a);
    eval_node(e, x->args[1], &b);
    if (e->code != MILL_OK)
        return 0;
    rows_valid(e, &a, rows);
    rows_valid(e, &b, rows);
    return e->program->kernels->select(kind, how, a.values, b.values, a.constant, b.constant,
                                       e->rows, e->count, rows);
}

/* Conjuncts narrow the rows one after the other. */
static uint32_t filter_rows(struct eval *e, const struct expr *x, uint16_t *rows)
{
    struct column c;
    enum mk_compare how;
    enum mk_kind kind;
    uint32_t n = 0;

    if (e->program->kernels != NULL && compare_kernel(x, &kind, &how))
        return compare_rows(e, x, kind, how, rows);
    if (x->kind == EXPR_AND) {
        n = filter_rows(e, x->args[0], rows);
        e->rows = rows;
        e->count = n;
        return e->code == MILL_OK && n > 0 ? filter_rows(e, x->args[1], rows) : n;
    }
    eval_node(e, x, &c);
    for (uint32_t i = 0; e->code == MILL_OK && i < e->count; i++) {
        const uint32_t row = row_at(e, i);

        rows[n] = (uint16_t)row;
        n += column_valid(&c, row) && VALUE(uint8_t, &c, row) != 0;
    }
    return n;
}

int program_filter(struct program *p, struct batch *batch, struct eval_context *context,
                   uint64_t *filtered, struct mill_error *error)
{
    struct eval e = eval_begin(p, batch, context, error);
    const uint32_t before = batch->live;
    uint16_t rows[BATCH_ROWS_MAX];
    uint32_t bad = 0, n = filter_rows(&e, p->list[0], rows);

    for (uint32_t i = 0; e.code == MILL_OK && e.bad != NULL && i < before; i++) {
        const uint32_t row = batch_row(batch, i);

        bad += (uint32_t)(e.bad[row >> 6] >> (row & 63) & 1);
    }
    if (e.code != MILL_OK)
        return e.code;
    if (bad > 0) { /* rows with garbage in them are not among the kept */
        uint32_t kept = 0;

        for (uint32_t i = 0; i < n; i++)
            if ((e.bad[rows[i] >> 6] >> (rows[i] & 63) & 1) == 0)
                rows[kept++] = rows[i];
        n = kept;
    }
    *filtered += before - n - bad;
    if (n < batch->rows) {
        memcpy(batch->selection_store, rows, n * sizeof *rows);
        batch->selection = batch->selection_store;
    }
    batch->live = n;
    return MILL_OK;
}
