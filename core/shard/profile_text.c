/* core/shard/profile_text.c - EXPLAIN ANALYZE: the plan and what each operator took, as aligned tables. */
#include "core/plan/plan.h"
#include "core/shard/job.h"

#include <stdarg.h>
#include <stdio.h>

#define COLUMNS 12
#define CELL_BYTES 140 /* of the first column; the others need a few */

/* One table: the first column to the left, numbers to the right. */
struct grid {
    struct arena *arena;
    const char **cells; /* rows x COLUMNS */
    uint32_t columns, rows, room;
};

struct report {
    const struct job *job;
    struct arena *arena;
    plan_text text;
    void *user;
    struct mill_profile all;
    struct mill_operator_profile *operators;
    double busy; /* ticks of all operators and the engine */
    bool *shown; /* per node: in the tree already */
};

static void put(const struct report *r, const char *format, ...) PRINTF_LIKE(2, 3);
static void put(const struct report *r, const char *format, ...)
{
    char line[1024];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n > 0)
        r->text(r->user, line, min_u64((uint64_t)n, sizeof line - 1));
}

/* ---- cells ---- */

static const char *cell(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
static const char *cell(struct arena *arena, const char *format, ...)
{
    char text[CELL_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return arena_text(arena, text, strlen(text));
}

/* 12,345,678 */
static const char *count_cell(struct arena *arena, uint64_t value)
{
    char digits[24], text[32];
    const int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    size_t used = 0;

    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            text[used++] = ',';
        text[used++] = digits[i];
    }
    return arena_text(arena, text, used);
}

static const char *share_cell(struct arena *arena, double part, double of)
{
    return of > 0 ? cell(arena, "%.1f %%", part / of * 100) : "-";
}

static const char *ratio_cell(struct arena *arena, double a, double b)
{
    return b > 0 ? cell(arena, "%.2f", a / b) : "-";
}

static const char *bytes_cell(struct arena *arena, double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;

    while (bytes >= 1024 && unit + 1 < COUNT_OF(units)) {
        bytes /= 1024;
        unit++;
    }
    return cell(arena, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

/* ---- grids ---- */

static const char **add_row(struct grid *g)
{
    if (g->rows == g->room) {
        const uint32_t room = g->room == 0 ? 16 : g->room * 2;
        const char **cells = arena_array(g->arena, const char *, room *COLUMNS);

        if (g->rows > 0)
            memcpy(cells, g->cells, g->rows * COLUMNS * sizeof *cells);
        g->cells = cells;
        g->room = room;
    }
    return g->cells + (size_t)g->rows++ * COLUMNS;
}

static struct grid grid_begin(const struct report *r, const char *const *titles, uint32_t columns)
{
    struct grid g = {.arena = r->arena, .columns = columns};

    memcpy(add_row(&g), titles, columns * sizeof *titles);
    return g;
}

static uint32_t shown_width(const char *text)
{
    uint32_t n = 0;

    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void grid_end(const struct report *r, const struct grid *g)
{
    uint32_t widths[COLUMNS] = {0};

    for (uint32_t i = 0; i < g->rows * COLUMNS; i++)
        if (g->cells[i] != NULL)
            widths[i % COLUMNS] = max_u32(widths[i % COLUMNS], shown_width(g->cells[i]));
    for (uint32_t i = 0; i < g->rows; i++) {
        const char **row = g->cells + (size_t)i * COLUMNS;
        uint32_t last = g->columns;

        while (last > 0 && row[last - 1] == NULL)
            last--;
        for (uint32_t c = 0; c < last; c++) {
            const char *text = row[c] != NULL ? row[c] : "";
            const int blank = (int)(widths[c] - shown_width(text));

            if (c == 0)
                put(r, "%s%*s", text, last > 1 ? blank : 0, "");
            else
                put(r, "  %*s%s", blank, "", text);
        }
        put(r, "\n");
    }
}

/* ---- operators ---- */

static void fill_times(const struct report *r, const char **row, uint64_t ticks, uint64_t rows)
{
    row[5] = share_cell(r->arena, (double)ticks, r->busy);
    row[6] = ratio_cell(r->arena, (double)ticks, (double)rows);
    row[7] = ratio_cell(r->arena, (double)ticks / r->all.ticks_per_second * 1e9, (double)rows);
}

static void add_operator(struct report *r, struct grid *g, const struct phys_node *node,
                         uint32_t depth)
{
    const struct mill_operator_profile *o = &r->operators[node->id];
    const char **row = add_row(g);
    char label[120];

    row[0] = cell(r->arena, "%*s%s%s", (int)depth * 2, "", node_label(node, label, sizeof label),
                  r->shown[node->id] ? " as above" : "");
    if (r->shown[node->id])
        return;
    r->shown[node->id] = true;
    row[1] = count_cell(r->arena, o->rows_in);
    row[2] = count_cell(r->arena, o->rows_out);
    row[3] = share_cell(r->arena, (double)o->rows_out, (double)o->rows_in);
    row[4] = count_cell(r->arena, o->batches);
    fill_times(r, row, o->ticks, o->rows_in);
    for (uint32_t i = 0; i < node->input_count; i++)
        add_operator(r, g, node->inputs[i], depth + 1);
}

static void put_operators(struct report *r)
{
    static const char *const titles[] = {"operator", "rows in", "rows out",   "out/in",
                                         "batches",  "time",    "cycles/row", "ns/row"};
    const struct phys_plan *plan = r->job->plan;
    struct grid g = grid_begin(r, titles, COUNT_OF(titles));
    const char **row;

    for (uint32_t n = 0; n < plan->node_count; n++)
        if (plan->nodes[n]->kind == NODE_SINK)
            add_operator(r, &g, plan->nodes[n], 0);
    row = add_row(&g);
    row[0] = "(start)";
    fill_times(r, row, r->all.start_ticks, r->all.rows_in);
    row = add_row(&g);
    row[0] = "(engine)";
    fill_times(r, row, r->all.engine_ticks, r->all.rows_in);
    row = add_row(&g);
    row[0] = "total";
    row[1] = count_cell(r->arena, r->all.rows_in);
    fill_times(r, row, (uint64_t)r->busy, r->all.rows_in);
    put(r, "\n== Operators ==\n");
    grid_end(r, &g);
}

/* ---- state ---- */

/* Most rows of one shard over the mean. */
static double skew(const struct report *r, uint32_t node)
{
    const struct job *job = r->job;
    uint64_t most = 0;

    for (uint32_t i = 0; i < job->shard_count; i++)
        most = max_u64(most, job->shards[i]->totals[node].in);
    return (double)most * job->shard_count / (double)max_u64(1, r->operators[node].rows_in);
}

static void put_state(struct report *r)
{
    static const char *const titles[] = {"operator", "entries", "tables",     "load",
                                         "probes",   "longest", "state peak", "windows fired",
                                         "late",     "held",    "skew"};
    const struct phys_plan *plan = r->job->plan;
    struct grid g = grid_begin(r, titles, COUNT_OF(titles));
    char label[120];

    for (uint32_t n = 0; n < plan->node_count; n++) {
        const struct mill_operator_profile *o = &r->operators[n];
        const char **row;

        if (o->state_bytes == 0)
            continue;
        row = add_row(&g);
        row[0] = cell(r->arena, "%s", node_label(plan->nodes[n], label, sizeof label));
        row[1] = count_cell(r->arena, o->entries);
        row[2] = count_cell(r->arena, o->tables);
        row[3] = share_cell(r->arena, (double)o->entries, (double)o->slots);
        row[4] = o->entries > 0 ? cell(r->arena, "%.2f", o->probes_mean) : "-";
        row[5] = count_cell(r->arena, o->probes_max);
        row[6] = bytes_cell(r->arena, (double)o->state_bytes);
        row[7] = count_cell(r->arena, o->windows_fired);
        row[8] = count_cell(r->arena, o->late);
        row[9] = count_cell(r->arena, o->held);
        row[10] = o->rows_in > 0 ? cell(r->arena, "%.2f", skew(r, n)) : "-";
    }
    if (g.rows == 1)
        return;
    put(r, "\n== State, when there was most of it ==\n");
    grid_end(r, &g);
}

/* ---- exchanges, sources, shards ---- */

static void put_exchanges(struct report *r)
{
    static const char *const titles[] = {"exchange",        "batches sent", "lent",      "copied",
                                         "send cycles/row", "receive",      "ring full", "no batch",
                                         "suspended",       "found empty",  "skew"};
    const struct phys_plan *plan = r->job->plan;
    struct grid g = grid_begin(r, titles, COUNT_OF(titles));
    char label[120];

    for (uint32_t n = 0; r->job->shard_count > 1 && n < plan->node_count; n++) {
        const struct mill_operator_profile *o = &r->operators[n];
        const char **row;

        if (plan->nodes[n]->kind != NODE_EXCHANGE)
            continue;
        row = add_row(&g);
        row[0] = cell(r->arena, "%s", node_label(plan->nodes[n], label, sizeof label));
        row[1] = count_cell(r->arena, o->batches_sent);
        row[2] = count_cell(r->arena, o->batches_lent);
        row[3] = bytes_cell(r->arena, (double)o->bytes_copied);
        row[4] = ratio_cell(r->arena, (double)(o->ticks - o->receive_ticks), (double)o->rows_in);
        row[5] = ratio_cell(r->arena, (double)o->receive_ticks, (double)o->rows_in);
        row[6] = count_cell(r->arena, o->ring_full);
        row[7] = count_cell(r->arena, o->pool_empty);
        row[8] = count_cell(r->arena, o->suspended);
        row[9] = count_cell(r->arena, o->empty);
        row[10] = o->rows_in > 0 ? cell(r->arena, "%.2f", skew(r, n)) : "-";
    }
    if (g.rows == 1)
        return;
    put(r, "\n== Exchanges ==\n");
    grid_end(r, &g);
}

static void put_sources(struct report *r)
{
    static const char *const titles[] = {"source", "bytes", "GB/s",         "decode cycles/row",
                                         "decode", "read",  "wait, ms each"};
    const struct phys_plan *plan = r->job->plan;
    struct grid g = grid_begin(r, titles, COUNT_OF(titles));
    const double rate = r->all.ticks_per_second;
    char label[120];

    for (uint32_t i = 0; i < plan->source_count; i++) {
        const struct mill_operator_profile *o = &r->operators[plan->sources[i]->id];
        const char **row = add_row(&g);

        row[0] = cell(r->arena, "%s", node_label(plan->sources[i], label, sizeof label));
        row[1] = bytes_cell(r->arena, (double)o->bytes_in);
        row[2] = ratio_cell(r->arena, (double)o->bytes_in / 1e9, r->all.seconds);
        row[3] = ratio_cell(r->arena, (double)o->decode_ticks, (double)o->rows_in);
        row[4] = share_cell(r->arena, (double)o->decode_ticks, r->busy);
        row[5] = share_cell(r->arena, (double)o->read_ticks, r->busy);
        row[6] = cell(r->arena, "%.2f", (double)o->wait_ticks / rate * 1e3 / r->all.shard_count);
    }
    put(r, "\n== Sources ==\n");
    grid_end(r, &g);
}

static void put_shards(struct report *r)
{
    static const char *const titles[] = {"shard",        "rows in",       "busy",
                                         "waits: input", "another shard", "room in an exchange"};
    struct grid g = grid_begin(r, titles, COUNT_OF(titles));
    double busiest = 0;

    for (uint32_t i = 0; i < r->all.shard_count; i++) {
        const char **row = add_row(&g);
        struct mill_profile s;
        double busy, ticks;

        job_profile(r->job, i, &s);
        ticks = (double)s.ticks;
        busy = ticks - (double)(s.input_wait_ticks + s.peer_wait_ticks + s.room_wait_ticks);
        busiest = busy > busiest ? busy : busiest;
        row[0] = cell(r->arena, "%u", i);
        row[1] = count_cell(r->arena, s.rows_in);
        row[2] = share_cell(r->arena, busy, ticks);
        row[3] = share_cell(r->arena, (double)s.input_wait_ticks, ticks);
        row[4] = share_cell(r->arena, (double)s.peer_wait_ticks, ticks);
        row[5] = share_cell(r->arena, (double)s.room_wait_ticks, ticks);
    }
    put(r, "\n== Shards ==\n");
    grid_end(r, &g);
    if (r->all.shard_count > 1 && r->busy > 0)
        put(r, "the busiest shard worked %.2f times as long as the mean\n",
            busiest * r->all.shard_count / r->busy);
}

/* ---- the processor's counters ---- */

static void put_counters(struct report *r)
{
    static const char *const titles[] = {"operator",         "instructions/row",
                                         "cycles/row",       "instructions/cycle",
                                         "cache misses/row", "branch misses/row"};
    const struct phys_plan *plan = r->job->plan;
    struct grid g = grid_begin(r, titles, COUNT_OF(titles));
    char label[120];

    if (!r->all.counters) {
        const char *why = r->all.no_counters;

        put(r, "\n== Processor counters ==\nnot available on this machine%s%s\n",
            why != NULL && why[0] != '\0' ? ": " : "", why != NULL ? why : "");
        return;
    }
    for (uint32_t n = plan->node_count; n-- > 0;) {
        const struct mill_operator_profile *o = &r->operators[n];
        const char **row = add_row(&g);
        const double rows = (double)o->rows_in;

        row[0] = cell(r->arena, "%s", node_label(plan->nodes[n], label, sizeof label));
        row[1] = ratio_cell(r->arena, (double)o->instructions, rows);
        row[2] = ratio_cell(r->arena, (double)o->cycles, rows);
        row[3] = ratio_cell(r->arena, (double)o->instructions, (double)o->cycles);
        row[4] = rows > 0 ? cell(r->arena, "%.4f", (double)o->cache_misses / rows) : "-";
        row[5] = rows > 0 ? cell(r->arena, "%.4f", (double)o->branch_misses / rows) : "-";
    }
    put(r, "\n== Processor counters, user mode ==\n");
    grid_end(r, &g);
}

/* ---- the whole ---- */

static bool report_begin(struct report *r)
{
    const uint32_t nodes = r->job->plan->node_count;

    if (!job_profile(r->job, MILL_ALL_SHARDS, &r->all))
        return false;
    r->operators = arena_array(r->arena, struct mill_operator_profile, nodes + 1);
    r->shown = arena_array(r->arena, bool, nodes + 1);
    r->busy = (double)(r->all.start_ticks + r->all.engine_ticks);
    for (uint32_t n = 0; n < nodes; n++) {
        job_profile_operator(r->job, MILL_ALL_SHARDS, n, &r->operators[n]);
        r->busy += (double)r->operators[n].ticks;
    }
    return true;
}

static uint64_t rows_written(const struct report *r)
{
    uint64_t rows = 0;

    for (uint32_t n = 0; n < r->job->plan->node_count; n++)
        if (r->job->plan->nodes[n]->kind == NODE_SINK)
            rows += r->operators[n].rows_out;
    return rows;
}

static void put_text(struct report *r)
{
    const struct mill_profile *all = &r->all;

    put(r, "== Plan ==\n");
    plan_explain(r->job->plan, r->arena, r->text, r->user);
    put(r, "\n%s rows in, %s rows out in %.3f s with %u shard%s: %.2f M rows/s\n",
        count_cell(r->arena, all->rows_in), count_cell(r->arena, rows_written(r)), all->seconds,
        all->shard_count, all->shard_count == 1 ? "" : "s",
        all->seconds > 0 ? (double)all->rows_in / all->seconds / 1e6 : 0.0);
    put(r, "time: of the busy time of all shards; cycles: of the time-stamp counter, %.3f GHz\n",
        all->ticks_per_second / 1e9);
    put_operators(r);
    put_state(r);
    put_exchanges(r);
    put_sources(r);
    put_shards(r);
    put_counters(r);
}

bool job_profile_text(const struct job *job, struct arena *arena, bool json, plan_text text,
                      void *user)
{
    struct report r = {.job = job, .arena = arena, .text = text, .user = user};
    jmp_buf *const before = arena->on_full;
    jmp_buf full;
    volatile bool done = false;

    if (setjmp(full) == 0) {
        arena->on_full = &full;
        done = report_begin(&r);
        if (done && json)
            profile_json(job, &r.all, r.operators, text, user);
        else if (done)
            put_text(&r);
    }
    arena->on_full = before;
    return done;
}
