/* tests/test_turns.c - firings in bounded turns: large hopping windows, many groups, 150,000 windows at once.
 *
 * Expected rows are computed from the input's formula: at second s (of 0 .. seconds-1) every key k < keys has one row with
 * value k % 7 + s. The work of a turn is what the operator says (op_context.work); that it says enough is shown by what
 * has to be done at least: every group of every slice of every window merged, every result written.
 */
#include "tests/opkit.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define SEC 1000000ll
#define UNIT 1000ll

enum { C_TS, C_K, C_S, C_V, COLUMNS };

static const struct mill_field *input_fields(void)
{
    static struct mill_field fields[COLUMNS];

    fields[C_TS] = (struct mill_field){"ts", type_time(MILL_TIMESTAMP, 3)};
    fields[C_K] = (struct mill_field){"k", type_make(MILL_BIGINT)};
    fields[C_S] = (struct mill_field){"s", type_string()};
    fields[C_V] = (struct mill_field){"v", type_make(MILL_INT)};
    return fields;
}

struct load {
    enum window_kind kind;
    int64_t size, slide; /* seconds */
    uint32_t seconds, keys;
    bool text_key;
    bool lists; /* LISTAGG: something hangs off every state */
    uint32_t batch_rows;
    int64_t turn_work;
    bool starve;
};

struct answer {
    char *text;
    uint64_t turns, most_work, most_rows, work, rows;
};

struct text {
    char *bytes;
    size_t length, room;
};

/* ---- running ---- */

static void key_text(char *to, uint64_t k)
{
    sprintf(to, "a key of some length %07llu", (unsigned long long)k);
}

/* Every key once, scattered: @keys is no multiple of the prime. */
static uint64_t key_at(const struct load *l, uint32_t i)
{
    return (uint64_t)i * 1000003u % l->keys;
}

static struct batch *rows_of(struct opkit *kit, const struct load *l, uint32_t s, uint32_t first,
                             uint32_t count)
{
    const struct mill_schema schema = {COLUMNS, (struct mill_field *)input_fields()};
    struct batch *b = batch_new(&kit->heap, kit->context.batch_rows, COLUMNS);
    char text[64];

    batch_own_columns(b, &schema);
    b->place_base = first;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t k = key_at(l, first + i);

        ((int64_t *)b->columns[C_TS].values)[i] = s * SEC;
        ((int64_t *)b->columns[C_K].values)[i] = (int64_t)k;
        key_text(text, k);
        ((struct mill_view *)b->columns[C_S].values)[i] =
            batch_view(b, text, (uint32_t)strlen(text));
        ((int32_t *)b->columns[C_V].values)[i] = (int32_t)(k % 7 + s);
    }
    b->rows = b->live = count;
    return b;
}

struct plan {
    struct phys_node source, node;
    struct phys_node *inputs[1];
    struct agg_spec aggs[4];
    struct out_column outs[8];
    struct mill_field fields[8];
    uint32_t key;
};

static void plan_make(struct plan *p, const struct load *l)
{
    const struct mill_field *in = input_fields();
    const struct agg_spec specs[] = {{.kind = AGG_COUNT_STAR, .arg = -1, .filter = -1},
                                     {.kind = AGG_SUM, .arg = C_V, .filter = -1},
                                     {.kind = AGG_LISTAGG, .arg = C_S, .filter = -1}};
    struct aggregate_node *a = &p->node.aggregate;

    memset(p, 0, sizeof *p);
    p->source.schema = (struct mill_schema){COLUMNS, (struct mill_field *)in};
    p->inputs[0] = &p->source;
    p->node.inputs = p->inputs;
    p->node.input_count = 1;
    p->node.id = 1;
    a->window = (struct window_spec){.kind = l->kind,
                                     .time = C_TS,
                                     .start = -1,
                                     .end = -1,
                                     .unit = UNIT,
                                     .size = l->size * SEC,
                                     .slide = l->slide * SEC,
                                     .time_type = in[C_TS].type};
    p->key = l->text_key ? C_S : C_K;
    a->keys = &p->key;
    a->key_count = 1;
    a->aggs = p->aggs;
    a->agg_count = l->lists ? 3 : 2;
    a->outs = p->outs;
    p->outs[0] = (struct out_column){OUT_WINDOW_END, 0};
    p->outs[1] = (struct out_column){OUT_KEY, 0};
    p->fields[0] = (struct mill_field){"e", in[C_TS].type};
    p->fields[1] = (struct mill_field){"k", in[p->key].type};
    for (uint32_t i = 0; i < a->agg_count; i++) {
        p->aggs[i] = specs[i];
        if (specs[i].arg >= 0)
            p->aggs[i].arg_type = in[specs[i].arg].type;
        cr_assert(agg_result_type(specs[i].kind, &p->aggs[i].arg_type, &p->aggs[i].result_type));
        p->outs[2 + i] = (struct out_column){OUT_AGG, i};
        p->fields[2 + i] = (struct mill_field){"a", p->aggs[i].result_type};
    }
    p->node.schema = (struct mill_schema){4, p->fields}; /* LISTAGG is kept, not shown */
}

/* All rows in one step, so that all windows fire at once, at its end. */
static struct answer run(const struct load *l, bool grouped)
{
    struct step_time t = {.g_split = TIME_MIN,
                          .g_others = TIME_MAX,
                          .w_before = TIME_MIN,
                          .w_after = TIME_MAX,
                          .last = true};
    struct opkit kit;
    struct plan plan;
    struct collector *sink;
    struct op_link link;
    struct op *op;
    struct answer a;

    opkit_open(&kit, 11, l->batch_rows);
    if (l->turn_work > 0)
        kit.context.turn_work = l->turn_work;
    plan_make(&plan, l);
    if (grouped) { /* GROUP BY without windows has no end */
        plan.outs[0] = plan.outs[1];
        plan.fields[0] = plan.fields[1];
    }
    op = grouped ? op_group_new(&kit.context, &plan.node) : op_window_new(&kit.context, &plan.node);
    sink = collector_new(&kit, &plan.node.schema);
    link = (struct op_link){&sink->op, 0};
    op->links = &link;
    op->link_count = 1;
    for (uint32_t s = 0; s < l->seconds; s++)
        for (uint32_t k = 0; k < l->keys; k += l->batch_rows)
            cr_assert(opkit_push(&kit, op, 0,
                                 rows_of(&kit, l, s, k, min_u32(l->batch_rows, l->keys - k)), &t,
                                 NULL));
    kit.starve = l->starve;
    kit.watched = sink;
    kit.turns = 0;
    cr_assert(opkit_end(&kit, op, &t, NULL), "%s", kit.error.message);
    cr_assert(!sink->disordered);
    cr_assert_eq(op->counters.held, 0);
    cr_assert(op->vtable->valid(op));
    a = (struct answer){sink->text,    kit.turns,        kit.most_work,
                        kit.most_rows, kit.context.work, sink->rows};
    sink->text = NULL;
    collector_free(sink);
    op->vtable->close(op);
    opkit_close(&kit);
    return a;
}

/* ---- what must come out ---- */

static void say(struct text *t, const char *line)
{
    const size_t n = strlen(line);

    if (t->length + n + 1 > t->room) {
        t->room = 2 * (t->length + n + 1);
        t->bytes = realloc(t->bytes, t->room);
    }
    memcpy(t->bytes + t->length, line, n + 1);
    t->length += n;
}

static void say_window(struct text *t, const struct load *l, int64_t start, int64_t end,
                       uint64_t *merges)
{
    const int64_t from = start > 0 ? start : 0, to = end < l->seconds ? end : l->seconds;

    if (from >= to)
        return;
    *merges += (uint64_t)(to - from) * l->keys;
    for (uint64_t k = 0; k < l->keys; k++) {
        char key[64], line[160];
        int64_t sum = 0;

        for (int64_t s = from; s < to; s++)
            sum += (int64_t)(k % 7) + s;
        if (l->text_key)
            key_text(key, k);
        else
            sprintf(key, "%llu", (unsigned long long)k);
        sprintf(line, "%lld,%s,%lld,%lld\n", (long long)(end * SEC), key, (long long)(to - from),
                (long long)sum);
        say(t, line);
    }
}

/* Windows by end, groups by key. @merges: groups of all slices of all windows. */
static char *expected(const struct load *l, uint64_t *merges)
{
    struct text t = {0};

    *merges = 0;
    for (int64_t end = l->slide; end < l->seconds + l->size; end += l->slide) {
        int64_t start = end - l->size;

        if (l->kind == WINDOW_CUMULATE)
            start = (end - 1) / l->size * l->size;
        say_window(&t, l, start, end, merges);
    }
    return t.bytes;
}

static int64_t turn_of(const struct load *l)
{
    return l->turn_work > 0 ? l->turn_work : TURN_WORK;
}

static void check(const struct load *l)
{
    uint64_t merges;
    char *wanted = expected(l, &merges);
    struct answer a = run(l, false);
    const uint64_t most = (uint64_t)turn_of(l) + max_u32(l->batch_rows, 1024);

    cr_assert(strcmp(a.text, wanted) == 0, "batches of %u, turns of %lld", l->batch_rows,
              (long long)turn_of(l));
    cr_assert_leq(a.most_work, most);
    cr_assert_leq(a.most_rows, most);
    /* written; carried on, each group of each slice goes in once and out once, else it is merged, except what a first
     * slice of CUMULATE or the only slice already is, and all are sorted */
    if (l->kind == WINDOW_HOP && !l->lists)
        cr_assert_geq(a.work, 2 * (uint64_t)l->seconds * l->keys + a.rows);
    else
        cr_assert_geq(a.work, (l->kind == WINDOW_HOP ? merges / 2 : 0) + 2 * a.rows);
    cr_assert_geq(a.turns, a.work / most);
    free(wanted);
    free(a.text);
}

/* ---- tests ---- */

Test(turns, hopping_window_of_60_slices)
{
    static const uint32_t batches[] = {4096, 100, 1};

    for (uint32_t i = 0; i < COUNT_OF(batches); i++)
        for (int lists = 0; lists < 2; lists++) {
            struct load l = {WINDOW_HOP, 60,    1,          60, i == 0 && !lists ? 3000 : 40,
                             false,      lists, batches[i], 0,  i == 1};

            check(&l);
            l.turn_work = 37;
            l.keys = 40;
            check(&l);
        }
}

Test(turns, cumulating_window_of_60_slices)
{
    for (int lists = 0; lists < 2; lists++) {
        struct load l = {WINDOW_CUMULATE, 60, 1, 70, 500, true, lists, 512, 0, true};

        check(&l);
        l.turn_work = 100;
        check(&l);
    }
}

Test(turns, three_hundred_thousand_groups)
{
    for (int text = 0; text < 2; text++)
        for (int lists = 0; lists < 2; lists++) {
            const struct load l = {WINDOW_TUMBLE, 5, 5, 1, 300000, text, lists, 4096, 0, false};

            check(&l);
        }
}

Test(turns, groups_without_windows)
{
    for (int text = 0; text < 2; text++) {
        struct load l = {WINDOW_TUMBLE, 5, 5, 1, 100000, text, text, 1000, 0, true};
        struct answer a = run(&l, true), b;
        char *end = a.text, line[200], key[64];

        for (uint64_t k = 0; k < l.keys; k++) {
            if (text)
                key_text(key, k);
            else
                sprintf(key, "%llu", (unsigned long long)k);
            sprintf(line, "%s,%s,1,%llu\n", key, key, (unsigned long long)(k % 7));
            cr_assert(strncmp(end, line, strlen(line)) == 0, "%.60s for %s", end, line);
            end += strlen(line);
        }
        cr_assert_eq(*end, '\0');
        cr_assert_leq(a.most_work, TURN_WORK + 1024);
        cr_assert_geq(a.work, 2 * l.keys);
        l.turn_work = 500;
        b = run(&l, true);
        cr_assert(strcmp(a.text, b.text) == 0);
        cr_assert_leq(b.most_work, 500 + 1024);
        free(a.text);
        free(b.text);
    }
}

/* Dropping them one by one must not move all the others each time. */
Test(turns, windows_150000_at_once)
{
    const struct load l = {WINDOW_TUMBLE, 1, 1, 150000, 1, false, true, 4096, 0, false};

    check(&l);
}
