/* core/shard/memory_source.c - connector 'memory': batches that the embedding program pushes or lends.
 *
 * A pushed batch is copied into a block and handed over through an SPSC ring; lent tables are read in place. One split;
 * position = row number. A step is what is queued, at most step_rows rows.
 * Threads: one pusher, beside the engine's shards.
 */
#include "core/shard/memory_input.h"

#define SMALL_ROWS 64u /* blocks of no more rows are put together */

struct memory_run {
    struct source source;
    struct mill_input *input;
    const struct phys_node *node;
    struct heap *heap;
    uint32_t step_rows;
    uint64_t position;
    size_t lent_index; /* next lent batch, and row in it */
    uint32_t lent_row, lent_round;
};

struct memory_decoder {
    struct decoder decoder;
    struct heap *heap;
    const struct phys_node *node;
    struct block *block;           /* of a piece of pushed rows */
    const struct mill_batch *lent; /* of a piece of lent rows: first batch */
    size_t lent_left;
    uint32_t row;    /* next row of the block or lent batch */
    int64_t advance; /* of the values of a lent column */
    uint64_t left;
};

/* ---- the source ---- */

static int memory_open(const struct source_config *config, struct source **out,
                       struct mill_error *error)
{
    const struct phys_node *node = (const void *)config->options;
    struct memory_run *run = heap_zalloc(config->heap, sizeof *run);

    if (run == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a source");
    run->source.vtable = &memory_source;
    run->input = node->source.memory;
    run->node = node;
    run->heap = config->heap;
    run->step_rows = config->step_rows;
    *out = &run->source;
    if (run->input != NULL)
        at_store_relaxed(&run->input->read, 1);
    if (run->input == NULL)
        return mill_fail(error, MILL_E_STATE, 0, 0,
                         "table %s has connector 'memory', but nobody has opened its input "
                         "(mill_input_open)",
                         node->source.table);
    return MILL_OK;
}

static uint32_t memory_split_count(struct source *source)
{
    (void)source;
    return 1;
}

static const char *memory_split_name(struct source *source, uint32_t split)
{
    (void)split;
    return ((struct memory_run *)source)->node->source.table;
}

/* Lent rows: up to step_rows rows, described by where they begin. */
static bool cut_lent(struct memory_run *run, struct piece *piece)
{
    struct mill_input *input = run->input;
    uint64_t rows = 0;

    if (at_load_acquire(&input->lending) == 0) /* A7 */
        return false;
    while (run->lent_round < input->lent_repeat && run->lent_index < input->lent_count &&
           rows < run->step_rows) {
        const struct mill_batch *batch = &input->lent[run->lent_index];
        const uint64_t n = min_u64(batch->rows - run->lent_row, run->step_rows - rows);

        if (rows == 0) {
            piece->extra[0] = run->lent_index;
            piece->extra[1] = run->lent_row;
            piece->extra[3] = run->lent_round;
        }
        rows += n;
        run->lent_row += (uint32_t)n;
        if (run->lent_row == batch->rows) {
            run->lent_row = 0;
            run->lent_index++;
        }
    }
    if (run->lent_index == input->lent_count && run->lent_round < input->lent_repeat) {
        run->lent_index = 0;
        run->lent_round++;
        if (rows == 0 && run->lent_round < input->lent_repeat && input->lent_count > 0)
            return cut_lent(run, piece);
    }
    piece->extra[2] = 1;
    piece->begin = run->position;
    piece->end = run->position += rows;
    return rows > 0;
}

static enum cut memory_cut(struct source *source, uint32_t split, struct piece *piece,
                           struct mill_error *error)
{
    struct memory_run *run = (struct memory_run *)source;
    struct mill_input *input = run->input;
    /* before the queue is looked at: what was pushed before the end is seen */
    const bool ended = at_load_acquire(&input->ended) != 0;
    struct block *first = NULL, **last = &first, *block;
    uint64_t rows = 0;

    (void)split;
    (void)error;
    if (cut_lent(run, piece))
        return CUT_DATA;
    if (input->pull != NULL && !ended && ring_peek(&input->queue) == NULL)
        input->pull(input->pull_user, input);
    while ((block = ring_peek(&input->queue)) != NULL && piece->watermark == TIME_MIN &&
           (rows == 0 || rows + block->rows <= run->step_rows)) {
        ring_pop(&input->queue);
        rows += block->rows;
        piece->watermark = block->watermark; /* ends the step */
        block->next = NULL;
        *last = block;
        last = &block->next;
    }
    if (rows == 0 && first == NULL)
        return ended ? CUT_END : CUT_WAIT;
    at_add_relaxed(&input->queued_rows, -rows);
    piece->hold = first;
    piece->extra[2] = 0;
    piece->begin = run->position;
    piece->end = run->position += rows;
    return CUT_DATA;
}

static struct decoder *memory_decoder_new(struct source *source, struct heap *heap)
{
    struct memory_decoder *d = heap_zalloc(heap, sizeof *d);

    if (d == NULL)
        return NULL;
    d->decoder.vtable = &memory_source;
    d->heap = heap;
    d->node = ((struct memory_run *)source)->node;
    return &d->decoder;
}

static void memory_decoder_free(struct decoder *decoder)
{
    struct memory_decoder *d = (struct memory_decoder *)decoder;

    heap_free(d->heap, d, sizeof *d);
}

static void memory_begin(struct decoder *decoder, const struct piece *piece)
{
    struct memory_decoder *d = (struct memory_decoder *)decoder;
    const struct mill_input *input = d->node->source.memory;

    d->left = piece->end - piece->begin;
    d->block = NULL;
    d->lent = NULL;
    d->row = 0;
    if (piece->extra[2] == 0) {
        d->block = piece->hold;
        return;
    }
    d->lent = &input->lent[piece->extra[0]];
    d->row = (uint32_t)piece->extra[1];
    d->advance = (int64_t)((uint64_t)input->advance * piece->extra[3]);
}

/* Points @out at rows first.. of @in; bits that do not begin a word are copied. */
static bool lend_column(struct batch *batch, struct column *out, const void *values,
                        const uint64_t *validity, const struct mill_column *children,
                        const struct column *own_children, const struct mill_type *type,
                        uint32_t first, uint32_t rows)
{
    *out = (struct column){0};
    if (values != NULL)
        out->values = (char *)values + (size_t)first * type_width(type);
    if (validity != NULL && first % 64 == 0) {
        out->validity = (uint64_t *)validity + first / 64;
    } else if (validity != NULL) {
        if (!column_own_validity(batch, out))
            return false;
        for (uint32_t i = 0; i < rows; i++)
            if ((validity[(first + i) >> 6] >> ((first + i) & 63) & 1) == 0)
                column_set_null(out, i);
    }
    if (type->kind != MILL_ROW)
        return true;
    out->child_count = type->field_count;
    out->children = arena_array(&batch->bytes, struct column, type->field_count);
    for (uint32_t i = 0; out->children != NULL && i < type->field_count; i++) {
        const bool lent = children != NULL;

        if (!lend_column(batch, &out->children[i],
                         lent ? children[i].values : own_children[i].values,
                         lent ? children[i].validity : own_children[i].validity,
                         lent ? children[i].children : NULL, lent ? NULL : own_children[i].children,
                         &type->fields[i].type, first, rows))
            return false;
    }
    return out->children != NULL;
}

/* The rows are read over again. */
static bool advance_column(struct batch *out, uint32_t index, const struct mill_schema *schema,
                           int64_t advance, uint32_t rows)
{
    struct column *column = &out->columns[index];
    const struct column lent = *column;
    const int64_t *from = lent.values;
    int64_t *to;

    if (!column_own(out, column, &schema->fields[index].type))
        return false;
    to = column->values;
    for (uint32_t i = 0; i < rows; i++)
        to[i] = (int64_t)((uint64_t)from[i] + (uint64_t)advance);
    column->validity = lent.validity;
    return true;
}

/* Pushes of a few rows each that have queued up become one batch. */
static int decode_small_blocks(struct memory_decoder *d, struct batch *out,
                               struct mill_error *error)
{
    const struct mill_schema *schema = &d->node->source.decoded;
    bool ok = batch_own_columns(out, schema);

    while (ok && d->block != NULL && d->block->rows > 0 && d->block->rows <= SMALL_ROWS &&
           d->block->rows <= out->capacity - out->rows) {
        ok =
            batch_append(out, d->block->owned, NULL, d->block->rows, schema) == (int)d->block->rows;
        d->left -= d->block->rows;
        d->block = d->block->next;
    }
    if (!ok)
        return -mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to read a memory table");
    out->place = NULL; /* the caller sets them */
    out->live = out->rows;
    return d->left > 0;
}

static int memory_decode(struct decoder *decoder, struct batch *out, struct mill_error *error)
{
    struct memory_decoder *d = (struct memory_decoder *)decoder;
    const struct mill_schema *schema = &d->node->source.decoded;
    const bool small = d->block != NULL && d->row == 0 && d->block->next != NULL &&
                       d->block->rows + d->block->next->rows <= min_u32(SMALL_ROWS, out->capacity);
    const uint32_t in_block = d->block != NULL ? d->block->rows : d->lent->rows;
    const uint32_t rows = (uint32_t)min_u64(d->left, min_u32(out->capacity, in_block - d->row));

    if (d->left == 0)
        return 0;
    if (small)
        return decode_small_blocks(d, out, error);
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct mill_column *lent = d->block != NULL ? NULL : &d->lent->columns[i];
        const struct column *own = d->block != NULL ? &d->block->owned->columns[i] : NULL;

        if (!lend_column(out, &out->columns[i], lent != NULL ? lent->values : own->values,
                         lent != NULL ? lent->validity : own->validity,
                         lent != NULL ? lent->children : NULL, own != NULL ? own->children : NULL,
                         &schema->fields[i].type, d->row, rows))
            return -mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to read a memory table");
    }
    if (d->block == NULL && d->advance != 0 &&
        !advance_column(out, d->node->source.memory->advance_column, schema, d->advance, rows))
        return -mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to read a memory table");
    out->rows = out->live = rows;
    d->row += rows;
    d->left -= rows;
    if (d->row == in_block) {
        const struct mill_input *input = d->node->source.memory;

        d->row = 0;
        if (d->block != NULL)
            d->block = d->block->next;
        else if (++d->lent == input->lent + input->lent_count)
            d->lent = input->lent;
    }
    return d->left > 0;
}

static void memory_release(struct source *source, struct piece *piece)
{
    memory_input_home(((struct memory_run *)source)->input, piece->hold);
    piece->hold = NULL;
}

static void memory_close(struct source *source)
{
    struct memory_run *run = (struct memory_run *)source;

    heap_free(run->heap, run, sizeof *run);
}

const struct source_vtable memory_source = {.name = "memory",
                                            .open = memory_open,
                                            .split_count = memory_split_count,
                                            .split_name = memory_split_name,
                                            .cut = memory_cut,
                                            .decoder_new = memory_decoder_new,
                                            .decoder_free = memory_decoder_free,
                                            .begin = memory_begin,
                                            .decode = memory_decode,
                                            .release = memory_release,
                                            .close = memory_close,
                                            .live = true};
