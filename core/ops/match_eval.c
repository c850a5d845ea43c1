/* core/ops/match_eval.c - conditions of a MATCH_RECOGNIZE that look at more than the row at hand.
 *
 * Comparisons, arithmetic and logic over 64-bit values (integers, times, booleans, DOUBLE) are walked as a small tree, a
 * few nanoseconds a node; any other condition runs as an expression over a batch of one row, its items.
 */
#include "core/expr/functions.h"
#include "core/ops/agg_impl.h"
#include "core/ops/match_impl.h"

enum scalar {
    S_ITEM,
    S_CONSTANT,
    S_AND,
    S_OR,
    S_NOT,
    S_IS_NULL,
    S_IS_NOT_NULL,
    S_EQ,
    S_NE,
    S_LT,
    S_LE,
    S_GT,
    S_GE,
    S_EQ_REAL,
    S_NE_REAL,
    S_LT_REAL,
    S_LE_REAL,
    S_GT_REAL,
    S_GE_REAL,
    S_ADD,
    S_SUB,
    S_MUL,
    S_ADD_REAL,
    S_SUB_REAL,
    S_MUL_REAL,
    S_NEG,
    S_NEG_REAL,
    S_TO_REAL,
    S_NARROW8,
    S_NARROW16,
    S_NARROW32
};

/* The row at hand: to be taken as variable, behind the thread. */
struct at {
    struct match_op *m;
    struct match_partition *p;
    const struct match_thread *t;
    uint32_t variable, row; /* row: kept, from the head */
};

static inline double real_of(int64_t bits)
{
    double v;

    memcpy(&v, &bits, 8);
    return v;
}
static inline int64_t bits_of(double v)
{
    int64_t bits;

    memcpy(&bits, &v, 8);
    return bits;
}

/* ---- where an item's row is ---- */

/* Its place + 1 from the attempt's first row; 0: there is none. */
static uint32_t logical_place(const struct at *at, uint32_t i)
{
    const struct match_item *item = &at->m->node->define_items[i];
    const struct match_tracker *k = &at->m->trackers[at->m->item_tracker[i]];
    const uint32_t *registers = at->t->registers + k->at;
    const bool taken = (item->mask >> at->variable & 1) != 0;
    const uint32_t here = at->row - at->p->start + 1, n = item->offset;

    if (!item->first) {
        if (!taken)
            return registers[k->firsts + n];
        return n == 0 ? here : registers[k->firsts + n - 1];
    }
    if (registers[n] != 0)
        return registers[n];
    return taken && (n == 0 || registers[n - 1] != 0) ? here : 0;
}

static const struct match_row *item_row(const struct at *at, uint32_t i)
{
    const struct match_item *item = &at->m->node->define_items[i];
    const uint32_t place = logical_place(at, i);
    const int64_t row = (int64_t)at->p->start + place - 1 + item->physical;

    if (place == 0 || row < 0 || row >= at->p->count)
        return NULL;
    return match_row(at->m, at->p, (uint32_t)row);
}

/* The variable of the row at @place; -1: not in the match. */
static int variable_at(const struct at *at, int64_t place)
{
    uint32_t step = at->t->step;
    int64_t k = (int64_t)at->t->length - 1;

    if (place == (int64_t)at->row - at->p->start)
        return (int)at->variable;
    for (; step != 0 && k > place; k--)
        step = at->m->steps[step].parent;
    return step != 0 && k == place ? at->m->steps[step].variable : -1;
}

/* ---- aggregates ---- */

static bool slot_of(const struct match_op *m, const struct match_row *row, int32_t column,
                    int64_t *out)
{
    const struct match_leaf *leaf = &m->layout.leaves[m->layout.leaf_of[column]];

    if (match_row_null(row, leaf))
        return false;
    memcpy(out, (const char *)row + leaf->slot, 8);
    return true;
}

static void sum_add(const struct match_op *m, const struct match_total *total,
                    struct match_sum_state *s, const struct match_row *row)
{
    const struct agg_spec *agg = &m->node->define_items[total->item].agg;
    int64_t v = 0;
    uint64_t low;

    if (agg->arg >= 0 && total->how == SUM_COUNT) {
        const struct match_leaf *leaf = &m->layout.leaves[m->layout.leaf_of[agg->arg]];

        s->count += !match_row_null(row, leaf);
        return;
    }
    if (agg->arg >= 0 && !slot_of(m, row, agg->arg, &v))
        return;
    switch (total->how) {
    case SUM_INTEGER:
        low = s->integer.low + (uint64_t)v;
        s->integer.high += (v < 0 ? -1 : 0) + (low < s->integer.low);
        s->integer.low = low;
        break;
    case SUM_REAL: s->real = s->count == 0 ? real_of(v) : s->real + real_of(v); break;
    case SUM_LEAST:
    case SUM_GREATEST:
        v = total->real ? agg_order_f64(real_of(v)) : v;
        if (s->count == 0 || (total->how == SUM_LEAST ? v < s->extreme : v > s->extreme))
            s->extreme = v;
        break;
    default: break;
    }
    s->count++;
}

static int64_t narrow(enum phys phys, int64_t v)
{
    switch (phys) {
    case PHYS_I8: return (int8_t)v;
    case PHYS_I16: return (int16_t)v;
    case PHYS_I32: return (int32_t)v;
    default: return v;
    }
}

/* The value of @s. False: NULL. */
static bool sum_value(const struct match_op *m, const struct match_total *total,
                      const struct match_sum_state *s, int64_t *out)
{
    const struct match_item *item = &m->node->define_items[total->item];
    const bool average = item->agg.kind == AGG_AVG;
    int128 sum;

    *out = s->count;
    if (total->how == SUM_COUNT)
        return true;
    if (s->count == 0)
        return false;
    switch (total->how) {
    case SUM_INTEGER:
        sum = (int128)((uint128)(uint64_t)s->integer.high << 64 | s->integer.low);
        *out = narrow(type_phys(&item->type), (int64_t)(average ? sum / s->count : sum));
        break;
    case SUM_REAL: *out = bits_of(average ? s->real / (double)s->count : s->real); break;
    default: *out = total->real ? bits_of(agg_unorder_f64(s->extreme)) : s->extreme;
    }
    return true;
}

static bool total_value(const struct at *at, const struct match_total *total, int64_t *out)
{
    struct match_sum_state s;

    memcpy(&s, (const char *)at->t + total->at, sizeof s);
    if ((at->m->node->define_items[total->item].mask >> at->variable & 1) != 0)
        sum_add(at->m, total, &s, match_row(at->m, at->p, at->row));
    return sum_value(at->m, total, &s, out);
}

/* Adds the value of one row to @state. */
static bool again_add(struct match_op *m, const struct match_total *total, void *state,
                      const struct match_row *row)
{
    const int32_t arg = m->node->define_items[total->item].agg.arg;
    const uint16_t first = 0;
    struct batch *b = m->single;

    batch_reset(b, (uint16_t)m->input.field_count);
    b->rows = b->live = 1;
    if (arg >= 0 && (!column_own(b, &b->columns[arg], &m->input.fields[arg].type) ||
                     !match_row_get(m, row, (uint32_t)arg, b, &b->columns[arg], 0)))
        return false;
    return agg_add_one(total->set, state, b, &first, 1);
}

/* An aggregate made from all of its rows. */
static bool again_value(const struct at *at, const struct match_total *total, struct batch *batch,
                        struct column *into)
{
    struct match_op *m = at->m;
    const uint64_t mask = m->node->define_items[total->item].mask;
    uint32_t step = at->t->step, n = at->t->length;
    void *state = arena_alloc(&batch->bytes, agg_state_bytes(total->set));
    uint8_t *variables = arena_alloc(&batch->bytes, n + 1);
    bool ok = state != NULL && variables != NULL;

    if (!ok)
        return false;
    for (uint32_t i = n; i-- > 0; step = m->steps[step].parent)
        variables[i] = m->steps[step].variable;
    variables[n] = (uint8_t)at->variable;
    agg_init(total->set, state);
    for (uint32_t i = 0; i <= n && ok; i++)
        if ((mask >> variables[i] & 1) != 0)
            ok = again_add(m, total, state, match_row(m, at->p, at->p->start + i));
    ok = ok && agg_values(total->set, state, batch, into, 0);
    agg_close(total->set, state);
    return ok;
}

/* ---- small trees ---- */

static bool item_scalar(const struct at *at, uint32_t i, int64_t *out)
{
    const struct match_op *m = at->m;
    const struct match_item *item = &m->node->define_items[i];
    const struct match_row *row;

    if (item->kind == ITEM_AGGREGATE)
        return total_value(at, &m->totals[m->item_total[i]], out);
    if (item->kind == ITEM_NUMBER) {
        *out = (int64_t)at->p->matches + 1;
        return true;
    }
    row = item_row(at, i);
    return row != NULL && slot_of(m, row, (int32_t)item->column, out);
}

static bool run(const struct at *at, const struct match_scalar *nodes, uint32_t n, int64_t *out);

/* Kleene: @decides settles it, whatever the other side is. */
static bool run_logic(const struct at *at, const struct match_scalar *nodes,
                      const struct match_scalar *x, int64_t decides, int64_t *out)
{
    int64_t a = 0, b = 0;
    const bool left = run(at, nodes, x->a, &a);
    bool right;

    *out = decides;
    if (left && a == decides)
        return true;
    right = run(at, nodes, x->b, &b);
    if (right && b == decides)
        return true;
    *out = !decides;
    return left && right;
}

static int64_t compute(int op, int64_t a, int64_t b)
{
    switch (op) {
    case S_NOT: return a == 0;
    case S_EQ: return a == b;
    case S_NE: return a != b;
    case S_LT: return a < b;
    case S_LE: return a <= b;
    case S_GT: return a > b;
    case S_GE: return a >= b;
    case S_EQ_REAL: return real_of(a) == real_of(b);
    case S_NE_REAL: return real_of(a) != real_of(b);
    case S_LT_REAL: return real_of(a) < real_of(b);
    case S_LE_REAL: return real_of(a) <= real_of(b);
    case S_GT_REAL: return real_of(a) > real_of(b);
    case S_GE_REAL: return real_of(a) >= real_of(b);
    case S_ADD: return (int64_t)((uint64_t)a + (uint64_t)b);
    case S_SUB: return (int64_t)((uint64_t)a - (uint64_t)b);
    case S_MUL: return (int64_t)((uint64_t)a * (uint64_t)b);
    case S_ADD_REAL: return bits_of(real_of(a) + real_of(b));
    case S_SUB_REAL: return bits_of(real_of(a) - real_of(b));
    case S_MUL_REAL: return bits_of(real_of(a) * real_of(b));
    case S_NEG: return (int64_t)(0 - (uint64_t)a);
    case S_NEG_REAL: return bits_of(-real_of(a));
    case S_TO_REAL: return bits_of((double)a);
    case S_NARROW8: return (int8_t)a;
    case S_NARROW16: return (int16_t)a;
    default: return (int32_t)a;
    }
}

static bool run(const struct at *at, const struct match_scalar *nodes, uint32_t n, int64_t *out)
{
    const struct match_scalar *x = &nodes[n];
    int64_t a = 0, b = 0;

    switch (x->op) {
    case S_ITEM: return item_scalar(at, x->a, out);
    case S_CONSTANT: *out = x->value; return !x->null;
    case S_AND: return run_logic(at, nodes, x, 0, out);
    case S_OR: return run_logic(at, nodes, x, 1, out);
    case S_IS_NULL: *out = !run(at, nodes, x->a, &a); return true;
    case S_IS_NOT_NULL: *out = run(at, nodes, x->a, &a); return true;
    default: break;
    }
    if (!run(at, nodes, x->a, &a) || (x->b != UINT32_MAX && !run(at, nodes, x->b, &b)))
        return false;
    *out = compute(x->op, a, b);
    return true;
}

/* ---- making small trees ---- */

struct maker {
    const struct match_op *m;
    struct match_condition *to;
    uint32_t room;
    struct heap *heap;
};

enum value_class { VALUE_NONE, VALUE_INTEGER, VALUE_REAL };

static enum value_class class_of(const struct mill_type *type)
{
    switch (type_phys(type)) {
    case PHYS_BOOL:
    case PHYS_I8:
    case PHYS_I16:
    case PHYS_I32:
    case PHYS_I64: return VALUE_INTEGER;
    case PHYS_F64: return VALUE_REAL;
    default: return VALUE_NONE;
    }
}

static uint32_t node(struct maker *k, int op, uint32_t a, uint32_t b)
{
    if (k->to->node_count == k->room)
        return UINT32_MAX;
    k->to->nodes[k->to->node_count] = (struct match_scalar){.op = op, .a = a, .b = b};
    return k->to->node_count++;
}

static uint32_t make(struct maker *k, const struct expr *e);

static uint32_t make_constant(struct maker *k, const struct expr *e)
{
    const uint32_t n = node(k, S_CONSTANT, 0, 0);
    const void *v = e->literal.values;

    if (n == UINT32_MAX || e->literal_null) {
        if (n != UINT32_MAX)
            k->to->nodes[n].null = true;
        return n;
    }
    switch (type_phys(&e->type)) {
    case PHYS_BOOL: k->to->nodes[n].value = *(const uint8_t *)v != 0; break;
    case PHYS_I8: k->to->nodes[n].value = *(const int8_t *)v; break;
    case PHYS_I16: k->to->nodes[n].value = *(const int16_t *)v; break;
    case PHYS_I32: k->to->nodes[n].value = *(const int32_t *)v; break;
    default: memcpy(&k->to->nodes[n].value, v, 8);
    }
    return n;
}

static bool both(const struct expr *e, enum value_class class)
{
    return e->arg_count == 2 && class_of(&e->args[0]->type) == class &&
           class_of(&e->args[1]->type) == class;
}

static uint32_t make_two(struct maker *k, const struct expr *e, int op)
{
    const uint32_t a = make(k, e->args[0]), b = a != UINT32_MAX ? make(k, e->args[1]) : a;

    return a == UINT32_MAX || b == UINT32_MAX ? UINT32_MAX : node(k, op, a, b);
}

static uint32_t make_one(struct maker *k, const struct expr *e, int op)
{
    const uint32_t a = make(k, e->args[0]);

    return a == UINT32_MAX ? a : node(k, op, a, UINT32_MAX);
}

static uint32_t make_narrow(struct maker *k, const struct mill_type *type, uint32_t n)
{
    switch (type_phys(type)) {
    case PHYS_I8: return n == UINT32_MAX ? n : node(k, S_NARROW8, n, UINT32_MAX);
    case PHYS_I16: return n == UINT32_MAX ? n : node(k, S_NARROW16, n, UINT32_MAX);
    case PHYS_I32: return n == UINT32_MAX ? n : node(k, S_NARROW32, n, UINT32_MAX);
    default: return n;
    }
}

static bool same_unit(const struct mill_type *a, const struct mill_type *b)
{
    return (type_is_integer(a) && type_is_integer(b)) ||
           (a->kind == b->kind && a->precision == b->precision);
}

static uint32_t make_arithmetic(struct maker *k, const struct expr *e, int op)
{
    const bool one = e->arg_count == 1;
    bool integers = type_is_integer(&e->type), reals = e->type.kind == MILL_DOUBLE;

    for (uint32_t i = 0; i < e->arg_count; i++) {
        integers = integers && type_is_integer(&e->args[i]->type);
        reals = reals && e->args[i]->type.kind == MILL_DOUBLE;
    }
    if (one && op == S_SUB && (integers || reals))
        return make_narrow(k, &e->type, make_one(k, e, integers ? S_NEG : S_NEG_REAL));
    if (one || e->arg_count != 2 || (!integers && !reals))
        return UINT32_MAX;
    return make_narrow(k, &e->type, make_two(k, e, integers ? op : op + (S_ADD_REAL - S_ADD)));
}

static uint32_t make_call(struct maker *k, const struct expr *e)
{
    static const struct {
        const char *name;
        int op;
    } compares[] = {{"=", S_EQ},  {"<>", S_NE}, {"<", S_LT},
                    {"<=", S_LE}, {">", S_GT},  {">=", S_GE}},
      arithmetic[] = {{"+", S_ADD}, {"-", S_SUB}, {"*", S_MUL}};
    const char *name = e->function->name;

    for (size_t i = 0; i < COUNT_OF(compares); i++) {
        if (strcmp(name, compares[i].name) != 0)
            continue;
        if (both(e, VALUE_INTEGER) && same_unit(&e->args[0]->type, &e->args[1]->type))
            return make_two(k, e, compares[i].op);
        return both(e, VALUE_REAL) ? make_two(k, e, compares[i].op + (S_EQ_REAL - S_EQ))
                                   : UINT32_MAX;
    }
    for (size_t i = 0; i < COUNT_OF(arithmetic); i++)
        if (strcmp(name, arithmetic[i].name) == 0)
            return make_arithmetic(k, e, arithmetic[i].op);
    if (strcmp(name, "NOT") == 0)
        return make_one(k, e, S_NOT);
    if (strcmp(name, "IS NULL") == 0)
        return make_one(k, e, S_IS_NULL);
    return strcmp(name, "IS NOT NULL") == 0 ? make_one(k, e, S_IS_NOT_NULL) : UINT32_MAX;
}

static uint32_t make_cast(struct maker *k, const struct expr *e)
{
    const struct mill_type *from = &e->args[0]->type, *to = &e->type;

    if (type_is_integer(from) && type_is_integer(to) && type_width(from) <= type_width(to))
        return make(k, e->args[0]);
    if (type_is_integer(from) && to->kind == MILL_DOUBLE)
        return make_one(k, e, S_TO_REAL);
    return from->kind == to->kind && from->precision == to->precision &&
                   class_of(from) != VALUE_NONE
               ? make(k, e->args[0])
               : UINT32_MAX;
}

static uint32_t make_item(struct maker *k, const struct expr *e)
{
    const struct match_item *item = &k->m->node->define_items[e->index];

    if (item->kind == ITEM_CLASSIFIER ||
        (item->kind == ITEM_AGGREGATE && k->m->totals[k->m->item_total[e->index]].how == SUM_AGAIN))
        return UINT32_MAX;
    return node(k, S_ITEM, e->index, 0);
}

/* The number of the node, or UINT32_MAX: an expression for the program. */
static uint32_t make(struct maker *k, const struct expr *e)
{
    if (class_of(&e->type) == VALUE_NONE && !(e->kind == EXPR_COLUMN))
        return UINT32_MAX;
    switch (e->kind) {
    case EXPR_COLUMN: return make_item(k, e);
    case EXPR_LITERAL: return make_constant(k, e);
    case EXPR_AND: return make_two(k, e, S_AND);
    case EXPR_OR: return make_two(k, e, S_OR);
    case EXPR_CAST: return make_cast(k, e);
    case EXPR_CALL: return make_call(k, e);
    default: return UINT32_MAX;
    }
}

/* ---- any expression ---- */

static bool classifier_put(const struct at *at, uint32_t i, struct column *into)
{
    struct match_op *m = at->m;
    const uint32_t place = logical_place(at, i);
    const int64_t row = (int64_t)place - 1 + m->node->define_items[i].physical;
    const int v = place == 0 ? -1 : variable_at(at, row);
    const char *name = v >= 0 ? m->node->variables[v] : "";

    if (v < 0)
        return column_put_null(m->items, into, 0);
    *(struct mill_view *)into->values = view_of(name, (uint32_t)strlen(name));
    return true;
}

static bool scalar_put(struct match_op *m, struct column *into, enum phys phys, bool valid,
                       int64_t v)
{
    if (!valid)
        return column_put_null(m->items, into, 0);
    switch (phys) {
    case PHYS_BOOL:
    case PHYS_I8: *(int8_t *)into->values = (int8_t)v; break;
    case PHYS_I16: *(int16_t *)into->values = (int16_t)v; break;
    case PHYS_I32: *(int32_t *)into->values = (int32_t)v; break;
    default: *(int64_t *)into->values = v;
    }
    return true;
}

static bool item_put(const struct at *at, uint32_t i, struct column *into)
{
    struct match_op *m = at->m;
    const struct match_item *item = &m->node->define_items[i];
    const struct match_total *total =
        item->kind == ITEM_AGGREGATE ? &m->totals[m->item_total[i]] : NULL;
    int64_t v = 0;
    bool valid;

    if (item->kind == ITEM_CLASSIFIER)
        return classifier_put(at, i, into);
    if (item->kind == ITEM_VALUE)
        return match_row_get(m, item_row(at, i), item->column, m->items, into, 0);
    if (total != NULL && total->how == SUM_AGAIN)
        return column_own_validity(m->items, into) && again_value(at, total, m->items, into);
    valid = item_scalar(at, i, &v);
    return scalar_put(m, into, type_phys(&item->type), valid, v);
}

static bool run_program(const struct at *at, const struct match_condition *c)
{
    struct match_op *m = at->m;
    struct op_context *context = m->op.context;
    struct eval_context eval = context->eval;
    struct batch *b = m->items;
    struct column out;

    batch_reset(b, (uint16_t)m->node->define_item_count);
    b->rows = b->live = 1;
    for (uint32_t i = 0; i < c->item_count; i++) {
        struct column *column = &b->columns[c->items[i]];

        if (!column_own(b, column, &m->node->define_schema.fields[c->items[i]].type) ||
            !item_put(at, c->items[i], column)) {
            m->failed = true;
            return false;
        }
    }
    eval.bad_row =
        NULL; /* which rows it leaves out would not be the reader's to see: it ends the run */
    if (program_run(c->program, b, &out, &eval, context->error) != MILL_OK) {
        m->failed = true;
        return false;
    }
    context->eval.decimal_overflow = eval.decimal_overflow;
    return b->live == 1 && column_valid(&out, 0) && *(const uint8_t *)out.values != 0;
}

bool match_meets(struct match_op *m, struct match_partition *p, const struct match_thread *t,
                 uint32_t v, uint32_t row)
{
    const struct match_define *d = &m->node->defines[v];
    const struct at at = {m, p, t, v, row};
    int64_t value = 0;

    if (d->column >= 0)
        return (match_row(m, p, row)->truth >> v & 1) != 0;
    if (d->condition == NULL)
        return true;
    if (m->conditions[v].nodes == NULL)
        return run_program(&at, &m->conditions[v]);
    return run(&at, m->conditions[v].nodes, m->conditions[v].root, &value) && value != 0;
}

void match_take(const struct match_op *m, struct match_partition *p, struct match_thread *t,
                uint32_t v, uint32_t row)
{
    const uint32_t here = row - p->start + 1;

    for (uint32_t i = 0; i < m->tracker_count; i++) {
        const struct match_tracker *k = &m->trackers[i];
        uint32_t *firsts = t->registers + k->at, *lasts = firsts + k->firsts, n = 0;

        if ((k->mask >> v & 1) == 0)
            continue;
        while (n < k->firsts && firsts[n] != 0)
            n++;
        if (n < k->firsts)
            firsts[n] = here;
        for (uint32_t j = k->lasts; j-- > 1;)
            lasts[j] = lasts[j - 1];
        if (k->lasts > 0)
            lasts[0] = here;
    }
    for (uint32_t i = 0; i < m->total_count; i++) {
        const struct match_total *total = &m->totals[i];

        if (total->how != SUM_AGAIN && (m->node->define_items[total->item].mask >> v & 1) != 0)
            sum_add(m, total, (struct match_sum_state *)(void *)((char *)t + total->at),
                    match_row(m, p, row));
    }
}

/* ---- life ---- */

static void note_items(const struct expr *e, struct match_condition *c, bool *seen)
{
    if (e->kind == EXPR_COLUMN && !seen[e->index]) {
        seen[e->index] = true;
        c->items[c->item_count++] = e->index;
    }
    for (uint32_t i = 0; i < e->arg_count; i++)
        note_items(e->args[i], c, seen);
}

static uint32_t nodes_of(const struct expr *e)
{
    uint32_t n = 2; /* with a narrowing one */

    for (uint32_t i = 0; i < e->arg_count; i++)
        n += nodes_of(e->args[i]);
    return n;
}

static bool condition_open(struct match_op *m, struct match_condition *c, struct expr *e)
{
    struct heap *heap = m->op.heap;
    const uint32_t items = m->node->define_item_count + 1;
    bool *seen = heap_zalloc(heap, items);
    struct maker k = {.m = m, .to = c, .room = nodes_of(e), .heap = heap};

    c->items = heap_alloc(heap, items * sizeof *c->items);
    c->nodes = heap_zalloc(heap, k.room * sizeof *c->nodes);
    if (seen == NULL || c->items == NULL || c->nodes == NULL) {
        heap_free(heap, seen, items);
        heap_free(heap, c->nodes, k.room * sizeof *c->nodes);
        c->nodes = NULL;
        return false;
    }
    note_items(e, c, seen);
    heap_free(heap, seen, items);
    c->node_room = k.room;
    c->root = make(&k, e);
    if (c->root != UINT32_MAX)
        return true;
    heap_free(heap, c->nodes, k.room * sizeof *c->nodes);
    c->nodes = NULL;
    c->program = program_new(heap, m->op.context->kernels, &e, 1, &m->node->define_schema,
                             m->op.context->error);
    return c->program != NULL;
}

bool match_eval_open(struct match_op *m)
{
    struct heap *heap = m->op.heap;

    m->conditions = heap_zalloc(heap, m->node->variable_count * sizeof *m->conditions);
    m->single = batch_new(heap, 1, (uint16_t)m->input.field_count);
    m->items = batch_new(heap, 1, (uint16_t)m->node->define_item_count);
    if (m->conditions == NULL || m->single == NULL || m->items == NULL)
        return false;
    for (uint32_t v = 0; v < m->node->variable_count; v++)
        if (m->node->defines[v].condition != NULL &&
            !condition_open(m, &m->conditions[v], m->node->defines[v].condition))
            return false;
    return true;
}

void match_eval_close(struct match_op *m)
{
    struct heap *heap = m->op.heap;

    for (uint32_t v = 0; m->conditions != NULL && v < m->node->variable_count; v++) {
        struct match_condition *c = &m->conditions[v];

        if (c->nodes != NULL)
            heap_free(heap, c->nodes, c->node_room * sizeof *c->nodes);
        heap_free(heap, c->items, (m->node->define_item_count + 1) * sizeof *c->items);
        program_free(c->program);
    }
    heap_free(heap, m->conditions, m->node->variable_count * sizeof *m->conditions);
    if (m->single != NULL)
        batch_free(m->single);
    if (m->items != NULL)
        batch_free(m->items);
}
