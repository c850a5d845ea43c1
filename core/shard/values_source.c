/* core/shard/values_source.c - VALUES (...), (...): one split, one step, rows computed once at open. */
#include "core/shard/job.h"

struct values_run {
    struct source source;
    struct heap *heap;
    const struct phys_node *node;
    struct batch **rows; /* one batch of one row each */
    bool cut;
};

struct values_decoder {
    struct decoder decoder;
    struct heap *heap;
    struct values_run *run;
    uint32_t next;
};

/* Computes row @i: its expressions over one row without columns. */
static int values_row(struct values_run *run, uint32_t i, const struct mk_table *kernels,
                      struct mill_error *error)
{
    const struct phys_node *node = run->node;
    const struct mill_schema none = {0};
    struct batch *batch = batch_new(run->heap, 1, node->schema.field_count);
    struct eval_context context = {0};
    struct program *program;
    int code;

    if (batch == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for VALUES");
    run->rows[i] = batch;
    batch->rows = batch->live = 1;
    program = program_new(run->heap, kernels, node->values.rows[i], node->schema.field_count, &none,
                          error);
    if (program == NULL)
        return error != NULL ? error->code : MILL_E_MEMORY;
    code = program_run(program, batch, batch->columns, &context, error);
    program_free(program);
    return code;
}

static int values_open(const struct source_config *config, struct source **out,
                       struct mill_error *error)
{
    const struct phys_node *node = (const void *)config->options;
    struct values_run *run = heap_zalloc(config->heap, sizeof *run);

    if (run == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for VALUES");
    run->source.vtable = &values_source;
    run->heap = config->heap;
    run->node = node;
    *out = &run->source;
    run->rows = heap_zalloc(config->heap, (node->values.row_count + 1) * sizeof *run->rows);
    if (run->rows == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for VALUES");
    for (uint32_t i = 0; i < node->values.row_count; i++) {
        const int code = values_row(run, i, config->kernels, error);

        if (code != MILL_OK)
            return code;
    }
    return MILL_OK;
}

static uint32_t values_split_count(struct source *source)
{
    (void)source;
    return 1;
}

static const char *values_split_name(struct source *source, uint32_t split)
{
    (void)source;
    (void)split;
    return "VALUES";
}

static enum cut values_cut(struct source *source, uint32_t split, struct piece *piece,
                           struct mill_error *error)
{
    struct values_run *run = (struct values_run *)source;

    (void)split;
    (void)error;
    if (run->cut || run->node->values.row_count == 0)
        return CUT_END;
    run->cut = true;
    piece->end = run->node->values.row_count;
    return CUT_DATA;
}

static struct decoder *values_decoder_new(struct source *source, struct heap *heap)
{
    struct values_decoder *d = heap_zalloc(heap, sizeof *d);

    if (d == NULL)
        return NULL;
    d->decoder.vtable = &values_source;
    d->heap = heap;
    d->run = (struct values_run *)source;
    return &d->decoder;
}

static void values_decoder_free(struct decoder *decoder)
{
    struct values_decoder *d = (struct values_decoder *)decoder;

    heap_free(d->heap, d, sizeof *d);
}

static void values_begin(struct decoder *decoder, const struct piece *piece)
{
    ((struct values_decoder *)decoder)->next = (uint32_t)piece->begin;
}

static int values_decode(struct decoder *decoder, struct batch *out, struct mill_error *error)
{
    struct values_decoder *d = (struct values_decoder *)decoder;
    const struct phys_node *node = d->run->node;
    const uint16_t first = 0;

    if (!batch_own_columns(out, &node->schema))
        goto full;
    while (d->next < node->values.row_count && out->rows < out->capacity)
        if (batch_append(out, d->run->rows[d->next++], &first, 1, &node->schema) != 1)
            goto full;
    out->place = NULL; /* appended rows kept their own; here the row number counts */
    return d->next < node->values.row_count;
full:
    return -mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for VALUES");
}

static void values_release(struct source *source, struct piece *piece)
{
    (void)source;
    (void)piece;
}

static void values_close(struct source *source)
{
    struct values_run *run = (struct values_run *)source;

    for (uint32_t i = 0; run->rows != NULL && i < run->node->values.row_count; i++)
        batch_free(run->rows[i]);
    heap_free(run->heap, run->rows, (run->node->values.row_count + 1) * sizeof *run->rows);
    heap_free(run->heap, run, sizeof *run);
}

const struct source_vtable values_source = {.name = "values",
                                            .open = values_open,
                                            .split_count = values_split_count,
                                            .split_name = values_split_name,
                                            .cut = values_cut,
                                            .decoder_new = values_decoder_new,
                                            .decoder_free = values_decoder_free,
                                            .begin = values_begin,
                                            .decode = values_decode,
                                            .release = values_release,
                                            .close = values_close};
