/* core/ops/match_compile.c - row patterns to programs: quantifiers unrolled, permutations written out. */
#include "core/ops/match.h"

struct compiler {
    struct arena *arena;
    uint32_t (*variable)(void *user, const struct ast_pattern *part);
    void *user;
    struct match_code *code;
    uint32_t count, excluding, loops; /* loops: around the part at hand */
    struct mill_error *error;
};

static uint32_t put(struct compiler *c, const struct ast_pattern *at, enum match_instruction op,
                    uint32_t x, uint32_t y)
{
    if (c->count == MATCH_CODE_MAX) {
        if (c->error->code == MILL_OK)
            mill_fail(c->error, MILL_E_UNSUPPORTED, at->at.line, at->at.column,
                      "the pattern is too long: with its repetitions and permutations written out "
                      "it has more than %u parts",
                      MATCH_CODE_MAX);
        return 0;
    }
    c->code[c->count] = (struct match_code){.op = op, .x = x, .y = y, .excluded = c->excluding > 0};
    return c->count++;
}

static void compile(struct compiler *c, const struct ast_pattern *x);

/* A SPLIT whose preferred way is the body (greedy) or the rest (reluctant). A round that takes no row is none: behind the
 * body stands a CHECK. */
static void prefer(struct compiler *c, uint32_t split, bool body_first, uint32_t body,
                   uint32_t rest)
{
    c->code[split].x = body_first ? body : rest;
    c->code[split].y = body_first ? rest : body;
    c->code[split].body = body;
    c->code[split].loop = c->loops;
}

static void compile_star(struct compiler *c, const struct ast_pattern *x)
{
    const uint32_t split = put(c, x, MATCH_SPLIT, 0, 0);

    compile(c, x->parts[0]);
    put(c, x, MATCH_CHECK, c->loops, 0);
    put(c, x, MATCH_JUMP, split, 0);
    prefer(c, split, !x->reluctant, split + 1, c->count);
}

/* At least once: the last of the rounds that there must be, and again. */
static void compile_plus(struct compiler *c, const struct ast_pattern *x)
{
    const uint32_t first = c->count;
    uint32_t split;

    compile(c, x->parts[0]);
    put(c, x, MATCH_CHECK, c->loops, 0);
    split = put(c, x, MATCH_SPLIT, 0, 0);
    prefer(c, split, !x->reluctant, first, split + 1);
}

static void compile_optional(struct compiler *c, const struct ast_pattern *x, uint32_t count)
{
    uint32_t *splits = arena_array(c->arena, uint32_t, count + 1);

    for (uint32_t i = 0; i < count && c->error->code == MILL_OK; i++) {
        splits[i] = put(c, x, MATCH_SPLIT, 0, 0);
        compile(c, x->parts[0]);
        put(c, x, MATCH_CHECK, c->loops, 0);
    }
    for (uint32_t i = 0; i < count; i++)
        prefer(c, splits[i], !x->reluctant, splits[i] + 1, c->count);
}

static bool check_quantifier(struct compiler *c, const struct ast_pattern *x)
{
    const bool open = x->most == UINT32_MAX;

    if (x->least > MATCH_REPEATS_MAX || (!open && x->most > MATCH_REPEATS_MAX))
        mill_fail(c->error, MILL_E_UNSUPPORTED, x->at.line, x->at.column,
                  "a part of a pattern may be repeated %u times at most, or without a limit",
                  MATCH_REPEATS_MAX);
    else if (!open && (x->most < x->least || x->most == 0))
        mill_fail(c->error, MILL_E_SYNTAX, x->at.line, x->at.column,
                  "{%u,%u} repeats nothing: need {n,m} with n <= m and m above 0", x->least,
                  x->most);
    else if (c->loops == MATCH_LOOPS_MAX)
        mill_fail(c->error, MILL_E_UNSUPPORTED, x->at.line, x->at.column,
                  "more than %u repetitions in each other", MATCH_LOOPS_MAX);
    return c->error->code == MILL_OK;
}

static void compile_quantifier(struct compiler *c, const struct ast_pattern *x)
{
    const bool open = x->most == UINT32_MAX;

    if (!check_quantifier(c, x))
        return;
    c->loops++;
    for (uint32_t i = 0; i + (open ? 1 : 0) < x->least && c->error->code == MILL_OK; i++)
        compile(c, x->parts[0]);
    if (!open)
        compile_optional(c, x, x->most - x->least);
    else if (x->least == 0)
        compile_star(c, x);
    else
        compile_plus(c, x);
    c->loops--;
}

static void compile_alternatives(struct compiler *c, const struct ast_pattern *x)
{
    uint32_t *jumps = arena_array(c->arena, uint32_t, x->part_count);

    for (uint32_t i = 0; i + 1 < x->part_count && c->error->code == MILL_OK; i++) {
        const uint32_t split = put(c, x, MATCH_SPLIT, 0, 0);

        compile(c, x->parts[i]);
        jumps[i] = put(c, x, MATCH_JUMP, 0, 0);
        c->code[split].x = split + 1;
        c->code[split].y = c->count;
    }
    compile(c, x->parts[x->part_count - 1]);
    for (uint32_t i = 0; i + 1 < x->part_count; i++)
        c->code[jumps[i]].x = c->count;
}

static void swap(uint32_t *a, uint32_t *b)
{
    const uint32_t keep = *a;

    *a = *b;
    *b = keep;
}

/* PERMUTE(A, B, C): A B C | A C B | B A C ..., in the order of the parts as written. */
static struct ast_pattern *permutations(struct compiler *c, const struct ast_pattern *x)
{
    struct ast_pattern *all = arena_new(c->arena, struct ast_pattern);
    uint32_t order[MATCH_PERMUTE_MAX] = {0}, total = 1;

    for (uint32_t i = 0; i < x->part_count; i++) {
        order[i] = i;
        total *= i + 1;
    }
    *all = (struct ast_pattern){.kind = PATTERN_ALT, .at = x->at};
    all->parts = arena_array(c->arena, struct ast_pattern *, total);
    for (;;) {
        struct ast_pattern *one = arena_new(c->arena, struct ast_pattern);
        uint32_t i = x->part_count - 1, j = x->part_count - 1;

        *one = (struct ast_pattern){.kind = PATTERN_SEQ, .at = x->at, .part_count = x->part_count};
        one->parts = arena_array(c->arena, struct ast_pattern *, x->part_count);
        for (uint32_t k = 0; k < x->part_count; k++)
            one->parts[k] = x->parts[order[k]];
        all->parts[all->part_count++] = one;
        while (i > 0 && order[i - 1] > order[i]) /* the next permutation */
            i--;
        if (i == 0)
            return all;
        while (order[j] < order[i - 1])
            j--;
        swap(&order[i - 1], &order[j]);
        for (uint32_t a = i, b = x->part_count - 1; a < b; a++, b--)
            swap(&order[a], &order[b]);
    }
}

static void compile_permute(struct compiler *c, const struct ast_pattern *x)
{
    if (x->part_count > MATCH_PERMUTE_MAX) {
        mill_fail(c->error, MILL_E_UNSUPPORTED, x->at.line, x->at.column,
                  "PERMUTE of %u parts, at most %u are supported", x->part_count,
                  MATCH_PERMUTE_MAX);
        return;
    }
    compile_alternatives(c, permutations(c, x));
}

static void compile(struct compiler *c, const struct ast_pattern *x)
{
    if (c->error->code != MILL_OK)
        return;
    switch (x->kind) {
    case PATTERN_VAR: put(c, x, MATCH_CHAR, c->variable(c->user, x), 0); break;
    case PATTERN_SEQ:
        for (uint32_t i = 0; i < x->part_count; i++)
            compile(c, x->parts[i]);
        break;
    case PATTERN_ALT: compile_alternatives(c, x); break;
    case PATTERN_QUANT: compile_quantifier(c, x); break;
    case PATTERN_EXCLUDE:
        c->excluding++;
        for (uint32_t i = 0; i < x->part_count; i++)
            compile(c, x->parts[i]);
        c->excluding--;
        break;
    case PATTERN_PERMUTE: compile_permute(c, x); break;
    case PATTERN_EMPTY: break;
    case PATTERN_START: put(c, x, MATCH_START, 0, 0); break;
    case PATTERN_END: put(c, x, MATCH_END, 0, 0); break;
    }
}

int match_compile(const struct ast_pattern *pattern, struct arena *arena,
                  uint32_t (*variable)(void *user, const struct ast_pattern *part), void *user,
                  struct match_pattern *out, struct mill_error *error)
{
    struct compiler c = {.arena = arena, .variable = variable, .user = user, .error = error};

    c.code = arena_array(arena, struct match_code, MATCH_CODE_MAX);
    compile(&c, pattern);
    put(&c, pattern, MATCH_ACCEPT, 0, 0);
    *out = (struct match_pattern){.code = c.code, .count = c.count};
    return error->code;
}

/* ---- as text ---- */

static const char *text_list(struct arena *arena, const struct ast_pattern *x, const char *between)
{
    const char *all = "";

    for (uint32_t i = 0; i < x->part_count; i++)
        all = arena_format(arena, "%s%s%s", all, i > 0 ? between : "",
                           match_pattern_text(arena, x->parts[i]));
    return all;
}

static const char *text_quantifier(struct arena *arena, const struct ast_pattern *x)
{
    const struct ast_pattern *part = x->parts[0];
    const bool plain = part->kind == PATTERN_VAR || part->kind == PATTERN_PERMUTE;
    const char *inner = match_pattern_text(arena, part), *how;

    if (x->most == UINT32_MAX)
        how = x->least == 0 ? "*" : x->least == 1 ? "+" : arena_format(arena, "{%u,}", x->least);
    else if (x->least == 0 && x->most == 1)
        how = "?";
    else
        how = x->least == x->most ? arena_format(arena, "{%u}", x->least)
                                  : arena_format(arena, "{%u,%u}", x->least, x->most);
    return arena_format(arena, plain ? "%s%s%s" : "(%s)%s%s", inner, how, x->reluctant ? "?" : "");
}

const char *match_pattern_text(struct arena *arena, const struct ast_pattern *x)
{
    switch (x->kind) {
    case PATTERN_VAR: return x->name;
    case PATTERN_SEQ: return text_list(arena, x, " ");
    case PATTERN_ALT: return arena_format(arena, "(%s)", text_list(arena, x, " | "));
    case PATTERN_QUANT: return text_quantifier(arena, x);
    case PATTERN_EXCLUDE: return arena_format(arena, "{- %s -}", text_list(arena, x, ", "));
    case PATTERN_PERMUTE: return arena_format(arena, "PERMUTE(%s)", text_list(arena, x, ", "));
    case PATTERN_START: return "^";
    case PATTERN_END: return "$";
    default: return "()";
    }
}

/* ---- what may come ---- */

void match_reachable(const struct match_pattern *pattern, uint64_t *out)
{
    bool changed = true;

    memset(out, 0, pattern->count * sizeof *out);
    while (changed) {
        changed = false;
        for (uint32_t i = pattern->count; i-- > 0;) {
            const struct match_code *c = &pattern->code[i];
            uint64_t mask = c->op == MATCH_CHAR ? 1ull << c->x : 0;

            if (c->op == MATCH_JUMP || c->op == MATCH_SPLIT)
                mask |= out[c->x];
            if (c->op == MATCH_SPLIT)
                mask |= out[c->y];
            else if (c->op != MATCH_JUMP && c->op != MATCH_ACCEPT)
                mask |= out[i + 1];
            changed = changed || mask != out[i];
            out[i] = mask;
        }
    }
}
