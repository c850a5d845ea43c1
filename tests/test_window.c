/* tests/test_window.c - windows against hand-made golden vectors and a naive recomputation that keeps all rows. */
#include "tests/opkit.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define MS 1000ll /* TIMESTAMP(3) in microseconds */
#define SEC (1000 * MS)
#define NO_TIME INT64_MIN

enum { C_TS, C_K, C_S, C_V, C_D, C_F, COLUMNS };

struct row {
    int64_t ts; /* NO_TIME: NULL */
    int64_t k;
    double d;
    int32_t v;
    uint32_t place;
    uint64_t step;
    bool k_null, v_null, f;
    char s[24];
    int64_t g, w; /* before the row: of its step; of the operator */
};

struct step {
    uint32_t first, count, split;
    struct step_time time;
};

struct stream {
    struct row *rows;
    struct step *steps;
    uint32_t row_count, step_count;
};

struct job {
    struct window_spec window;
    uint32_t key_count; /* 0, 1: k, 2: k and s */
    bool lists, late_output;
    bool flat; /* only aggregates of which nothing hangs off the states */
    bool partials, snapshots, starve;
    uint32_t batch_rows;
    int64_t turn_work; /* 0: as always */
    uint64_t seed;
};

static struct mill_field input_fields[COLUMNS];
static const struct mill_schema input_schema = {COLUMNS, input_fields};

static void fill_input_fields(void)
{
    static const char *const names[] = {"ts", "k", "s", "v", "d", "f"};
    const struct mill_type types[] = {type_time(MILL_TIMESTAMP, 3),
                                      type_make(MILL_BIGINT),
                                      type_string(),
                                      type_make(MILL_INT),
                                      type_make(MILL_DOUBLE),
                                      type_make(MILL_BOOLEAN)};

    for (uint32_t i = 0; i < COLUMNS; i++)
        input_fields[i] = (struct mill_field){names[i], types[i]};
}

/* ---- plan ---- */

struct plan {
    struct phys_node source, preagg, window;
    struct phys_node *inputs[1];
    struct agg_spec aggs[16];
    struct out_column outs[24];
    struct mill_field fields[24], late_fields[COLUMNS + 2];
    struct mill_schema late_schema;
    uint32_t keys[2];
};

static void plan_agg(struct plan *p, enum agg_kind kind, int32_t arg, bool distinct, int32_t filter)
{
    struct aggregate_node *a = &p->window.aggregate;
    struct agg_spec *spec = &p->aggs[a->agg_count++];

    *spec = (struct agg_spec){.kind = kind, .distinct = distinct, .arg = arg, .filter = filter};
    if (arg >= 0)
        spec->arg_type = input_fields[arg].type;
    cr_assert(agg_result_type(kind, arg >= 0 ? &spec->arg_type : NULL, &spec->result_type));
}

static void plan_out(struct plan *p, enum out_kind kind, uint32_t index, struct mill_type type)
{
    const uint32_t n = p->window.schema.field_count++;

    p->outs[n] = (struct out_column){kind, index};
    p->fields[n] = (struct mill_field){"c", type};
}

static void plan_make(struct plan *p, const struct job *job)
{
    struct aggregate_node *a = &p->window.aggregate;
    const struct mill_type time = type_time(MILL_TIMESTAMP, 3);

    memset(p, 0, sizeof *p);
    fill_input_fields();
    p->source.schema = input_schema;
    p->inputs[0] = &p->source;
    p->window =
        (struct phys_node){.kind = NODE_WINDOW, .id = 7, .inputs = p->inputs, .input_count = 1};
    p->window.schema.fields = p->fields;
    a->window = job->window;
    a->window.time_type = time;
    p->keys[0] = C_K;
    p->keys[1] = C_S;
    a->keys = p->keys;
    a->key_count = job->key_count;
    a->aggs = p->aggs;
    a->outs = p->outs;
    a->late_output = job->late_output;
    plan_agg(p, AGG_COUNT_STAR, -1, false, -1);
    plan_agg(p, AGG_SUM, C_V, false, -1);
    plan_agg(p, AGG_MIN, C_V, false, -1);
    plan_agg(p, AGG_MAX, C_D, false, -1);
    plan_agg(p, AGG_AVG, C_V, false, -1);
    if (!job->flat)
        plan_agg(p, AGG_COUNT, C_V, true, -1);
    plan_agg(p, AGG_SUM, C_D, false, -1);
    plan_agg(p, AGG_SUM, C_V, false, C_F);
    plan_agg(p, AGG_FIRST, C_V, false, -1);
    plan_agg(p, AGG_LAST, C_D, false, -1);
    if (!job->flat)
        plan_agg(p, AGG_MIN, C_S, false, -1);
    if (job->lists)
        plan_agg(p, AGG_LISTAGG, C_S, false, -1);
    plan_out(p, OUT_WINDOW_START, 0, time);
    plan_out(p, OUT_WINDOW_END, 0, time);
    plan_out(p, OUT_WINDOW_TIME, 0, time);
    for (uint32_t i = 0; i < job->key_count; i++)
        plan_out(p, OUT_KEY, i, input_fields[p->keys[i]].type);
    for (uint32_t i = 0; i < a->agg_count; i++)
        plan_out(p, OUT_AGG, i, p->aggs[i].result_type);
    p->preagg = p->window;
    p->preagg.kind = NODE_PREAGG;
    for (uint32_t i = 0; i < COLUMNS; i++)
        p->late_fields[i] = input_fields[i];
    p->late_fields[COLUMNS] = (struct mill_field){"late_watermark", time};
    p->late_fields[COLUMNS + 1] = (struct mill_field){"late_reason", type_string()};
    p->late_schema = (struct mill_schema){COLUMNS + 2, p->late_fields};
}

/* ---- streams ---- */

/* Fills g, w, and the time of each step from the order of steps; watermark = ts - delay per split. */
static void stream_times(struct stream *s, int64_t delay, uint32_t splits)
{
    int64_t g[8];
    uint32_t left[8] = {0};

    for (uint32_t i = 0; i < splits; i++)
        g[i] = TIME_MIN;
    for (uint32_t i = 0; i < s->step_count; i++)
        left[s->steps[i].split]++;
    for (uint32_t i = 0; i < s->step_count; i++) {
        struct step *step = &s->steps[i];
        int64_t others = TIME_MAX, mine = TIME_MIN;

        for (uint32_t j = 0; j < splits; j++)
            if (j != step->split)
                others = min_i64(others, g[j]);
        step->time = (struct step_time){.step = i,
                                        .split = step->split,
                                        .g_split = g[step->split],
                                        .g_others = others,
                                        .w_before = min_i64(others, g[step->split]),
                                        .clock_us = 1000000 * SEC + i,
                                        .last = i + 1 == s->step_count};
        for (uint32_t r = step->first; r < step->first + step->count; r++) {
            struct row *row = &s->rows[r];

            row->step = i;
            row->place = r - step->first;
            row->g = mine;
            row->w = max_i64(step->time.w_before, min_i64(max_i64(g[step->split], mine), others));
            if (row->ts != NO_TIME)
                mine = max_i64(mine, row->ts - delay);
        }
        g[step->split] = max_i64(g[step->split], mine);
        if (--left[step->split] == 0)
            g[step->split] = TIME_MAX;
        step->time.w_after = min_i64(others, g[step->split]);
    }
}

static void stream_random(struct stream *s, uint64_t seed, uint32_t splits, int64_t delay,
                          bool exact)
{
    struct opkit dice = {.random = seed * 0x9e3779b97f4a7c15u + 1};
    int64_t now[8];
    const int64_t jitter = 1 + (int64_t)(opkit_random(&dice) % 30);
    const uint32_t keys = 1 + (uint32_t)(opkit_random(&dice) % 12);

    s->step_count = splits + 3 + (uint32_t)(opkit_random(&dice) % 12);
    s->steps = calloc(s->step_count, sizeof *s->steps);
    s->rows = calloc(s->step_count * 40 + 1, sizeof *s->rows);
    s->row_count = 0;
    for (uint32_t i = 0; i < 8; i++)
        now[i] = (int64_t)(opkit_random(&dice) % 40) - 20;
    for (uint32_t i = 0; i < s->step_count; i++) {
        struct step *step = &s->steps[i];

        step->split = i < splits ? i : (uint32_t)(opkit_random(&dice) % splits);
        step->first = s->row_count;
        step->count = (uint32_t)(opkit_random(&dice) % 40);
        for (uint32_t r = 0; r < step->count; r++) {
            struct row *row = &s->rows[s->row_count++];
            const uint64_t x = opkit_random(&dice);

            now[step->split] += (int64_t)(opkit_random(&dice) % 3);
            row->ts = (now[step->split] - (int64_t)(opkit_random(&dice) % (uint64_t)jitter)) * MS;
            if (x % 41 == 0)
                row->ts = NO_TIME;
            row->k = (int64_t)(x >> 8) % keys - 2;
            row->k_null = (x >> 3) % 11 == 0;
            row->v = (int32_t)(opkit_random(&dice) % 21) - 10;
            row->v_null = (x >> 4) % 7 == 0;
            row->f = (x >> 5) % 3 == 0;
            row->d = exact ? (double)(int64_t)(opkit_random(&dice) % 4000) / 4 - 300
                           : (double)opkit_random(&dice) / 7e9 - 1e3;
            snprintf(row->s, sizeof row->s, (x >> 6) % 2 ? "%c" : "a rather long text %c",
                     (int)('a' + (x >> 20) % 5));
        }
    }
    stream_times(s, delay, splits);
}

static void stream_free(struct stream *s)
{
    free(s->rows);
    free(s->steps);
}

static struct batch *make_batch(struct opkit *kit, const struct stream *s, const struct step *step,
                                uint32_t first, uint32_t count, int64_t unit)
{
    struct batch *b = batch_new(&kit->heap, kit->context.batch_rows, COLUMNS);
    bool behind = false;

    batch_own_columns(b, &input_schema);
    column_own_validity(b, &b->columns[C_TS]);
    column_own_validity(b, &b->columns[C_K]);
    column_own_validity(b, &b->columns[C_V]);
    b->step = step->time.step;
    b->split = step->split;
    b->place_base = first;
    b->behind = arena_alloc(&b->bytes, b->capacity * sizeof *b->behind);
    for (uint32_t i = 0; i < count; i++) {
        const struct row *r = &s->rows[step->first + first + i];

        ((int64_t *)b->columns[C_TS].values)[i] = r->ts;
        ((int64_t *)b->columns[C_K].values)[i] = r->k;
        ((struct mill_view *)b->columns[C_S].values)[i] =
            batch_view(b, r->s, (uint32_t)strlen(r->s));
        ((int32_t *)b->columns[C_V].values)[i] = r->v;
        ((double *)b->columns[C_D].values)[i] = r->d;
        ((uint8_t *)b->columns[C_F].values)[i] = r->f;
        if (r->ts == NO_TIME)
            column_set_null(&b->columns[C_TS], i);
        if (r->k_null)
            column_set_null(&b->columns[C_K], i);
        if (r->v_null)
            column_set_null(&b->columns[C_V], i);
        b->behind[i] = r->g != TIME_MIN && r->ts <= r->g + unit ? r->g : TIME_MIN;
        behind |= b->behind[i] != TIME_MIN;
    }
    if (!behind)
        b->behind = NULL;
    b->rows = b->live = count;
    return b;
}

/* ---- running the operator ---- */

struct result {
    char *text, *late_text;
    struct op_counters counters;
    bool disordered;
};

static struct op *make_window(struct opkit *kit, struct plan *plan, struct op_link *link,
                              struct op_link *late)
{
    struct op *op = op_window_new(&kit->context, &plan->window);

    cr_assert_not_null(op);
    op->links = link;
    op->link_count = 1;
    op->late_links = late;
    op->late_link_count = plan->window.aggregate.late_output ? 1 : 0;
    return op;
}

static struct op *reload(struct opkit *kit, struct plan *plan, struct op *op, struct op_link *link,
                         struct op_link *late)
{
    struct snapshot_writer w = {.heap = &kit->heap};
    struct snapshot_reader r;
    struct op *fresh;

    op->vtable->snapshot(op, &w);
    cr_assert(!w.failed);
    op->vtable->close(op);
    fresh = make_window(kit, plan, link, late);
    r = (struct snapshot_reader){w.bytes, w.bytes + w.length, false};
    cr_assert(fresh->vtable->restore(fresh, &r));
    cr_assert(r.next == r.end);
    snapshot_writer_close(&w);
    return fresh;
}

static void run_step(struct opkit *kit, const struct job *job, const struct stream *s,
                     const struct step *step, struct op *front, struct op *op)
{
    for (uint32_t first = 0; first < step->count;) {
        const uint32_t n =
            min_u32(1 + (uint32_t)(opkit_random(kit) % job->batch_rows), step->count - first);
        struct batch *b = make_batch(kit, s, step, first, n, job->window.unit);

        cr_assert(opkit_push(kit, front != NULL ? front : op, 0, b, &step->time,
                             front != NULL ? op : NULL));
        first += n;
    }
    if (front != NULL)
        cr_assert(opkit_end(kit, front, &step->time, op));
    cr_assert(opkit_end(kit, op, &step->time, NULL), "%s", kit->error.message);
    cr_assert(op->vtable->valid(op), "seed %llu step %llu", (unsigned long long)job->seed,
              (unsigned long long)step->time.step);
}

static struct result run(const struct job *job, const struct stream *s)
{
    struct opkit kit;
    struct plan plan;
    struct op *op, *front = NULL;
    struct collector *sink, *late_sink;
    struct op_link link, late, partial, raw;
    struct result result;

    opkit_open(&kit, job->seed + 5, job->batch_rows);
    kit.starve = job->starve;
    if (job->turn_work > 0)
        kit.context.turn_work = job->turn_work;
    plan_make(&plan, job);
    sink = collector_new(&kit, &plan.window.schema);
    late_sink = collector_new(&kit, &plan.late_schema);
    link = (struct op_link){&sink->op, 0};
    late = (struct op_link){&late_sink->op, 0};
    op = make_window(&kit, &plan, &link, &late);
    if (job->partials) {
        kit.context.shard_count = 1 + (uint32_t)(job->seed % 2);
        plan.preagg.aggregate.always = job->seed % 3 != 0;
        front = op_preagg_new(&kit.context, &plan.preagg);
        front->links = &partial;
        front->late_links = &raw;
        front->link_count = front->late_link_count = 1;
    }
    for (uint32_t i = 0; i < s->step_count; i++) {
        partial = (struct op_link){op, 1};
        raw = (struct op_link){op, 0};
        run_step(&kit, job, s, &s->steps[i], front, op);
        if (job->snapshots && opkit_random(&kit) % 3 == 0)
            op = reload(&kit, &plan, op, &link, &late);
    }
    result = (struct result){sink->text, late_sink->text, op->counters, sink->disordered};
    sink->text = late_sink->text = NULL;
    op->vtable->close(op);
    if (front != NULL)
        front->vtable->close(front);
    collector_free(sink);
    collector_free(late_sink);
    opkit_close(&kit);
    return result;
}

static void result_free(struct result *r)
{
    free(r->text);
    free(r->late_text);
}

/* ---- the naive recomputation ---- */

struct group {
    int64_t start, end;
    uint64_t fired; /* step */
    const struct row *key;
    const struct row **rows;
    uint32_t count;
};

struct oracle {
    struct group *groups;
    uint32_t count;
    uint64_t late, null_time;
    char *text;
    size_t length, room;
};

static int compare_keys(const struct row *a, const struct row *b, uint32_t key_count)
{
    if (key_count == 0)
        return 0;
    if (a->k_null != b->k_null)
        return a->k_null ? -1 : 1;
    if (!a->k_null && a->k != b->k)
        return a->k < b->k ? -1 : 1;
    return key_count > 1 ? strcmp(a->s, b->s) : 0;
}

static void oracle_add(struct oracle *o, const struct job *job, const struct row *row,
                       int64_t start, int64_t end, uint32_t max_rows)
{
    struct group *g = NULL;

    for (uint32_t i = 0; i < o->count && g == NULL; i++)
        if (o->groups[i].start == start && o->groups[i].end == end &&
            compare_keys(o->groups[i].key, row, job->key_count) == 0)
            g = &o->groups[i];
    if (g == NULL) {
        if ((o->count & (o->count - 1)) == 0) /* 0, 1, 2, 4, ...: twice as many */
            o->groups = realloc(o->groups, (o->count > 0 ? 2 * o->count : 1) * sizeof *g);
        g = &o->groups[o->count++];
        *g = (struct group){.start = start, .end = end, .key = row};
        g->rows = calloc(max_rows, sizeof *g->rows);
    }
    g->rows[g->count++] = row;
}

static int64_t floor_to(int64_t t, int64_t grid)
{
    return floor_div(t, grid) * grid;
}

/* Every window that the row belongs to by definition and that is open at the row's place. */
static void oracle_row(struct oracle *o, const struct job *job, const struct row *row, uint32_t max)
{
    const struct window_spec *w = &job->window;
    uint32_t taken = 0;

    if (row->ts == NO_TIME) {
        o->null_time++;
        return;
    }
    if (w->kind == WINDOW_CUMULATE) {
        const int64_t start = floor_to(row->ts - w->offset, w->size) + w->offset;

        for (int64_t end = start + w->slide; end <= start + w->size; end += w->slide)
            if (row->ts < end && end - w->unit > row->w) {
                oracle_add(o, job, row, start, end, max);
                taken++;
            }
    } else {
        const int64_t from = floor_to(row->ts - w->offset - w->size, w->slide) + w->offset;

        for (int64_t start = from; start <= row->ts; start += w->slide)
            if (row->ts < start + w->size && start + w->size - w->unit > row->w) {
                oracle_add(o, job, row, start, start + w->size, max);
                taken++;
            }
    }
    o->late += taken == 0;
}

static uint32_t order_key_count;
static int compare_groups(const void *a, const void *b)
{
    const struct group *x = a, *y = b;

    if (x->fired != y->fired)
        return x->fired < y->fired ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return compare_keys(x->key, y->key, order_key_count);
}

static void say(struct oracle *o, const char *format, ...) PRINTF_LIKE(2, 3);
static void say(struct oracle *o, const char *format, ...)
{
    va_list args;
    char text[8192];

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (o->length + sizeof text >
        o->room) { /* in strides: sanitizers copy at every step otherwise */
        o->room = 2 * o->room + sizeof text;
        o->text = realloc(o->text, o->room);
    }
    strcpy(o->text + o->length, text);
    o->length += strlen(text);
}

static void say_number(struct oracle *o, bool given, int64_t value)
{
    if (given)
        say(o, ",%lld", (long long)value);
    else
        say(o, ",NULL");
}

static void oracle_group(struct oracle *o, const struct job *job, const struct group *g)
{
    int64_t sum = 0, filtered = 0, n = 0, nf = 0, distinct = 0, least = INT64_MAX;
    double dsum = 0, dmax = -1e300;
    const struct row *first = NULL, *last = g->rows[g->count - 1];
    const char *text = g->rows[0]->s;

    for (uint32_t i = 0; i < g->count; i++) {
        const struct row *r = g->rows[i];
        bool seen = false;

        dsum += r->d;
        dmax = r->d > dmax ? r->d : dmax;
        text = strcmp(r->s, text) < 0 ? r->s : text;
        if (r->v_null)
            continue;
        for (uint32_t j = 0; j < i; j++)
            seen |= !g->rows[j]->v_null && g->rows[j]->v == r->v;
        distinct += !seen;
        sum += r->v;
        n++;
        least = min_i64(least, r->v);
        first = first == NULL ? r : first;
        if (r->f) {
            filtered += r->v;
            nf++;
        }
    }
    say(o, "%lld,%lld,%lld", (long long)g->start, (long long)g->end,
        (long long)(g->end - job->window.unit));
    if (job->key_count > 0)
        say_number(o, !g->key->k_null, g->key->k);
    if (job->key_count > 1)
        say(o, ",%s", g->key->s);
    say(o, ",%u", g->count);
    say_number(o, n > 0, sum);
    say_number(o, n > 0, least);
    say(o, ",%a", dmax);
    say_number(o, n > 0, n > 0 ? sum / n : 0);
    if (!job->flat)
        say(o, ",%lld", (long long)distinct);
    say(o, ",%a", dsum);
    say_number(o, nf > 0, filtered);
    say_number(o, first != NULL, first != NULL ? first->v : 0);
    say(o, ",%a", last->d);
    if (!job->flat)
        say(o, ",%s", text);
    for (uint32_t i = 0; job->lists && i < g->count; i++)
        say(o, ",%s", g->rows[i]->s);
    say(o, "\n");
}

static void oracle_run(struct oracle *o, const struct job *job, const struct stream *s)
{
    memset(o, 0, sizeof *o);
    for (uint32_t i = 0; i < s->row_count; i++)
        oracle_row(o, job, &s->rows[i], s->row_count);
    for (uint32_t i = 0; i < o->count; i++) {
        struct group *g = &o->groups[i];

        while (!s->steps[g->fired].time.last &&
               s->steps[g->fired].time.w_after < g->end - job->window.unit)
            g->fired++;
    }
    order_key_count = job->key_count;
    qsort(o->groups, o->count, sizeof *o->groups, compare_groups);
    say(o, "%s", "");
    for (uint32_t i = 0; i < o->count; i++)
        oracle_group(o, job, &o->groups[i]);
}

static void oracle_free(struct oracle *o)
{
    for (uint32_t i = 0; i < o->count; i++)
        free(o->groups[i].rows);
    free(o->groups);
    free(o->text);
}

/* ---- random streams ---- */

static struct job random_job(uint64_t seed)
{
    static const struct {
        enum window_kind kind;
        int64_t size, slide, offset;
    } windows[] = {{WINDOW_TUMBLE, 10, 10, 0},  {WINDOW_TUMBLE, 7, 7, 3},   {WINDOW_HOP, 10, 5, 0},
                   {WINDOW_HOP, 10, 4, 0},      {WINDOW_HOP, 9, 6, -2},     {WINDOW_HOP, 12, 1, 0},
                   {WINDOW_HOP, 60, 1, 0},      {WINDOW_HOP, 13, 3, 1},     {WINDOW_HOP, 8, 8, 1},
                   {WINDOW_CUMULATE, 12, 3, 0}, {WINDOW_CUMULATE, 20, 4, 5}};
    const uint32_t i = (uint32_t)(seed % COUNT_OF(windows));
    struct job job = {.key_count = (uint32_t)(seed / COUNT_OF(windows) % 3),
                      .seed = seed,
                      .flat = seed / 5 % 3 != 0,
                      .lists = seed % 2 == 0 && seed / 5 % 3 == 0};

    job.window = (struct window_spec){.kind = windows[i].kind,
                                      .time = C_TS,
                                      .start = -1,
                                      .end = -1,
                                      .unit = MS,
                                      .size = windows[i].size * MS,
                                      .slide = windows[i].slide * MS,
                                      .offset = windows[i].offset * MS};
    job.batch_rows = 1 + (uint32_t)(seed * 7 % 50);
    job.starve = seed % 3 == 0;
    job.turn_work = (int64_t)(seed * 5 % 8); /* firings stop everywhere */
    return job;
}

Test(window, equals_recomputation_over_800_random_streams)
{
    for (uint64_t seed = 1; seed <= 800; seed++) {
        struct job job = random_job(seed);
        struct stream s;
        struct oracle o;

        stream_random(&s, seed, 1 + (uint32_t)(seed % 4), (int64_t)(seed % 13) * MS, true);
        oracle_run(&o, &job, &s);
        for (int way = 0; way < 4; way++) {
            job.snapshots = way & 1;
            job.partials = way & 2;
            if (job.partials && job.lists)
                continue;
            struct result r = run(&job, &s);

            cr_assert_str_eq(r.text, o.text, "seed %llu way %d\ngot\n%s\nwanted\n%s",
                             (unsigned long long)seed, way, r.text, o.text);
            cr_assert_eq(r.counters.late, o.late, "seed %llu", (unsigned long long)seed);
            cr_assert(!r.disordered, "seed %llu", (unsigned long long)seed);
            cr_assert_eq(r.counters.held, 0);
            if (!job.partials)
                cr_assert_eq(r.counters.null_time, o.null_time);
            result_free(&r);
        }
        oracle_free(&o);
        stream_free(&s);
    }
}

/* Doubles whose sums depend on the order: the same bytes for partials, snapshots and any batch size. */
Test(window, same_bytes_for_partials_snapshots_and_batches)
{
    for (uint64_t seed = 1; seed <= 500; seed++) {
        struct job job = random_job(seed);
        struct stream s;
        struct result first;

        job.lists = false;
        job.starve = false;
        stream_random(&s, seed + 1000, 1 + (uint32_t)(seed % 4), (int64_t)(seed % 13) * MS, false);
        first = run(&job, &s);
        for (int way = 1; way < 4; way++) {
            job.snapshots = way & 1;
            job.partials = way & 2;
            job.batch_rows = 1 + (uint32_t)((seed + 13 * (uint32_t)way) % 64);
            struct result r = run(&job, &s);

            cr_assert_str_eq(r.text, first.text, "seed %llu way %d\ngot\n%s\nwanted\n%s",
                             (unsigned long long)seed, way, r.text, first.text);
            result_free(&r);
        }
        result_free(&first);
        stream_free(&s);
    }
}

/* ---- golden vectors ---- */

static struct stream stream_of(const int64_t *seconds, const int32_t *values, uint32_t n,
                               uint32_t per_step, int64_t delay)
{
    struct stream s = {.row_count = n, .step_count = (n + per_step - 1) / per_step};

    s.rows = calloc(n, sizeof *s.rows);
    s.steps = calloc(s.step_count, sizeof *s.steps);
    for (uint32_t i = 0; i < n; i++) {
        s.rows[i].ts = seconds[i] * SEC;
        s.rows[i].v = values[i];
    }
    for (uint32_t i = 0; i < s.step_count; i++) {
        s.steps[i].first = i * per_step;
        s.steps[i].count = min_u32(per_step, n - i * per_step);
    }
    stream_times(&s, delay, 1);
    return s;
}

/* "start end count sum;" of each result. */
static void brief(const char *text, char *to)
{
    *to = '\0';
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        long long start, end, time, count, sum;

        sscanf(line, "%lld,%lld,%lld,%lld,%lld", &start, &end, &time, &count, &sum);
        to += sprintf(to, "%lld %lld %lld %lld;", start / SEC, end / SEC, count, sum);
    }
}

static struct job seconds_job(enum window_kind kind, int64_t size, int64_t slide)
{
    return (struct job){.window = {.kind = kind,
                                   .time = C_TS,
                                   .start = -1,
                                   .end = -1,
                                   .unit = MS,
                                   .size = size * SEC,
                                   .slide = slide * SEC},
                        .batch_rows = 4};
}

Test(window, tumbling_of_the_talk)
{
    static const int64_t t[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    static const int32_t v[] = {3, 1, 5, 2, 4, 7, 2, 4, 2, 4, 1};
    const struct job job = seconds_job(WINDOW_TUMBLE, 5, 5);
    char text[1000];

    for (uint32_t per_step = 1; per_step <= 11; per_step++) {
        struct stream s = stream_of(t, v, 11, per_step, 0);
        struct result r = run(&job, &s);

        brief(r.text, text);
        cr_assert_str_eq(text, "0 5 4 11;5 10 5 19;10 15 2 5;");
        result_free(&r);
        stream_free(&s);
    }
}

Test(window, hopping_of_the_talk)
{
    static const int64_t t[] = {1, 3, 6, 8, 11, 12, 16, 18, 21, 23, 26, 28};
    static const int32_t v[] = {100, 100, 100, 100, 100, 1,
                                10,  10,  1,   1,   1,   1}; /* S W E as digits */
    const struct job job = seconds_job(WINDOW_HOP, 10, 5);
    struct stream s = stream_of(t, v, 12, 5, 0);
    struct result r = run(&job, &s);
    char text[1000];

    brief(r.text, text);
    cr_assert_str_eq(text, "-5 5 2 200;0 10 4 400;5 15 4 301;10 20 4 121;15 25 4 22;20 30 4 4;25 "
                           "35 2 2;");
    result_free(&r);
    stream_free(&s);
}

Test(window, watermark_edge_of_the_talk)
{
    static const int64_t t[] = {1, 2, 3, 7, 4};
    static const int32_t v[] = {1, 2, 3, 7, 4};
    static const struct {
        int64_t delay_ms;
        const char *expected;
        uint64_t late;
    } cases[] = {{3000, "0 5 4 10;5 10 1 7;", 0},
                 {2002, "0 5 4 10;5 10 1 7;", 0},
                 {2001, "0 5 3 6;5 10 1 7;", 1},
                 {0, "0 5 3 6;5 10 1 7;", 1}};

    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (uint32_t per_step = 1; per_step <= 5; per_step++) {
            const struct job job = seconds_job(WINDOW_TUMBLE, 5, 5);
            struct stream s = stream_of(t, v, 5, per_step, cases[i].delay_ms * MS);
            struct result r = run(&job, &s);
            char text[1000];

            brief(r.text, text);
            cr_assert_str_eq(text, cases[i].expected, "delay %lld, %u rows per step",
                             (long long)cases[i].delay_ms, per_step);
            cr_assert_eq(r.counters.late, cases[i].late);
            result_free(&r);
            stream_free(&s);
        }
}

Test(window, late_rows_leave_with_their_watermark)
{
    static const int64_t t[] = {1, 9, 2};
    static const int32_t v[] = {1, 9, 2};
    struct job job = seconds_job(WINDOW_TUMBLE, 5, 5);
    struct stream s = stream_of(t, v, 3, 3, 0);
    struct result r;

    job.late_output = true;
    r = run(&job, &s);
    cr_assert_str_eq(r.late_text, "2000000,0,,2,0x0p+0,0,9000000,all its windows were closed\n");
    result_free(&r);
    stream_free(&s);
}

Test(window, cumulate_shows_every_step_from_the_first_with_rows)
{
    static const int64_t t[] = {2, 5, 23};
    static const int32_t v[] = {1, 10, 100};
    const struct job job = seconds_job(WINDOW_CUMULATE, 20, 4);
    struct stream s = stream_of(t, v, 3, 1, 0);
    struct result r = run(&job, &s);
    char text[1000];

    brief(r.text, text);
    cr_assert_str_eq(text, "0 4 1 1;0 8 2 11;0 12 2 11;0 16 2 11;0 20 2 11;20 24 1 100;20 28 1 100;"
                           "20 32 1 100;20 36 1 100;20 40 1 100;");
    result_free(&r);
    stream_free(&s);
}

Test(window, processing_time_uses_the_clock_of_the_step)
{
    static const int64_t t[] = {0, 0, 0, 0};
    static const int32_t v[] = {1, 2, 4, 8};
    struct job job = seconds_job(WINDOW_TUMBLE, 5, 5);
    struct stream s = stream_of(t, v, 4, 1, 0);
    struct result r;
    char text[1000];

    job.window.time = -1;
    job.window.processing_time = true;
    for (uint32_t i = 0; i < 4; i++)
        s.steps[i].time.clock_us = (int64_t[]){1, 4, 5, 12}[i] * SEC;
    r = run(&job, &s);
    brief(r.text, text);
    cr_assert_str_eq(text, "0 5 2 3;5 10 1 4;10 15 1 8;");
    result_free(&r);
    stream_free(&s);
}
