/* core/shard/early.c - the filter that a decoder asks which rows need all of their columns.
 *
 * The plan's operators filter again: this one only saves work. Where bad values are found anyway, it rests while most rows pass.
 */
#include "core/shard/job.h"

#define LOOK_ROWS 16384u /* that tell whether it pays */
#define REST_ROWS (1u << 20)

struct early {
    struct early_filter filter;
    struct shard *shard;
    struct program *program;
    struct batch *scratch; /* shows the decoder's columns */
    uint32_t seen, passed, rest;
};

static void set_all(uint64_t *pass, uint32_t count)
{
    memset(pass, 0xff, (count + 63) / 64 * sizeof *pass);
    if (count % 64 != 0)
        pass[count / 64] = (1ull << count % 64) - 1;
}

static void show_rows(struct batch *scratch, const struct batch *out, uint32_t first,
                      uint32_t count)
{
    batch_reset(scratch, 0);
    scratch->columns = out->columns;
    scratch->column_count = out->column_count;
    scratch->rows = first + count;
    scratch->live = count;
    if (first == 0)
        return;
    scratch->selection = scratch->selection_store;
    for (uint32_t i = 0; i < count; i++)
        scratch->selection[i] = (uint16_t)(first + i);
}

static void count_passed(struct early *e, uint32_t count, uint32_t passed)
{
    e->seen += count;
    e->passed += passed;
    if (e->seen < LOOK_ROWS)
        return;
    if (e->filter.exact && e->passed > e->seen / 2)
        e->rest = REST_ROWS;
    e->seen = e->passed = 0;
}

static int early_run(struct early_filter *filter, const struct batch *out, uint32_t first,
                     uint32_t count, uint64_t *pass, struct mill_error *error)
{
    struct early *e = (struct early *)filter;
    struct eval_context eval = e->shard->context.eval;
    struct batch *scratch = e->scratch;
    uint64_t filtered = 0;

    if (e->rest > 0) {
        e->rest -= min_u32(e->rest, count);
        set_all(pass, count);
        return (int)count;
    }
    show_rows(scratch, out, first, count);
    if (program_filter(e->program, scratch, &eval, &filtered, error) != MILL_OK)
        return -error->code;
    count_passed(e, count, scratch->live);
    if (scratch->live == count) {
        set_all(pass, count);
        return (int)count;
    }
    memset(pass, 0, (count + 63) / 64 * sizeof *pass);
    for (uint32_t i = 0; i < scratch->live; i++) {
        const uint32_t row = batch_row(scratch, i) - first;

        pass[row / 64] |= 1ull << row % 64;
    }
    return (int)scratch->live;
}

bool early_open(struct shard *shard, const struct phys_node *node, struct early_filter **out)
{
    const struct source_node *s = &node->source;
    struct expr *expr = s->early;
    struct early *e;

    *out = NULL;
    if (expr == NULL)
        return true;
    e = heap_zalloc(&shard->heap, sizeof *e);
    if (e != NULL) {
        e->filter = (struct early_filter){s->late, s->exact, early_run};
        e->shard = shard;
        *out = &e->filter;
        e->scratch = batch_new(&shard->heap, BATCH_ROWS_MAX, 0);
        e->program =
            program_new(&shard->heap, shard->context.kernels, &expr, 1, &s->decoded, &shard->error);
    }
    if (e == NULL || e->scratch == NULL)
        mill_fail(&shard->error, MILL_E_MEMORY, 0, 0, "no memory for a filter");
    return shard->error.code == MILL_OK;
}

void early_close(struct early_filter *filter)
{
    struct early *e = (struct early *)filter;

    if (e == NULL)
        return;
    batch_free(e->scratch);
    program_free(e->program);
    heap_free(&e->shard->heap, e, sizeof *e);
}
