/* core/shard/memory_source.c - connector 'memory': batches that the embedding program pushes or lends.
 *
 * A pushed batch is copied into a block and handed over through an SPSC ring; lent tables are read in place. One split;
 * position = row number. A step is what is queued, at most step_rows rows.
 * Threads: one pusher, beside the engine's shards.
 */
#include "core/shard/job.h"

#define QUEUE_SLOTS 4096u
#define QUEUED_ROWS_MAX (1u << 22)

/* One block of rows: a copied batch (owned) or a lent one. */
struct block {
    struct block *next; /* of a piece's list */
    const struct mill_batch *lent;
    uint32_t rows;
    struct batch *owned; /* columns in table order */
};

struct mill_input {
    const struct env *env;
    struct heap *heap; /* shared */
    struct heap own_heap;
    struct budget *budget;
    const struct mill_schema *schema;
    struct ring queue;  /* of struct block */
    at_u64 queued_rows; /* pushed and not yet cut */
    at_u32 ended;
    const struct mill_batch *lent;
    size_t lent_count;
    uint32_t lent_repeat;
    at_u32 lending; /* lent, lent_count, lent_repeat are set */
};

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
    uint32_t row; /* next row of the block or lent batch */
    uint64_t left;
};

/* ---- the pushing end ---- */

struct mill_input *memory_input_new(const struct env *env, struct budget *budget,
                                    const struct mill_schema *schema)
{
    struct heap heap;
    struct mill_input *input;

    heap_open_shared(&heap, env, budget);
    input = heap_zalloc(&heap, sizeof *input);
    if (input == NULL) {
        heap_close(&heap);
        return NULL;
    }
    input->own_heap = heap;
    input->heap = &input->own_heap;
    input->env = env;
    input->schema = schema;
    if (!ring_open(&input->queue, input->heap, QUEUE_SLOTS, 0)) {
        memory_input_free(input);
        return NULL;
    }
    return input;
}

static void block_free(struct heap *heap, struct block *block)
{
    batch_free(block->owned);
    heap_free(heap, block, sizeof *block);
}

void memory_input_free(struct mill_input *input)
{
    struct heap heap;
    struct block *block;

    if (input == NULL)
        return;
    while (input->queue.slots != NULL && (block = ring_pop(&input->queue)) != NULL)
        block_free(input->heap, block);
    ring_close(&input->queue, input->heap);
    heap = input->own_heap;
    heap_free(&heap, input, sizeof *input);
    heap_close(&heap);
}

static struct column column_view(struct arena *arena, const struct mill_column *c,
                                 const struct mill_type *type)
{
    struct column out = {.values = (void *)c->values, .validity = (uint64_t *)c->validity};

    if (type->kind != MILL_ROW)
        return out;
    out.child_count = type->field_count;
    out.children = arena_array(arena, struct column, type->field_count);
    for (uint32_t i = 0; out.children != NULL && i < type->field_count; i++)
        out.children[i] = column_view(arena, &c->children[i], &type->fields[i].type);
    return out;
}

/* Rows first .. first + rows of @batch as a copy. */
static struct batch *copy_rows(struct mill_input *input, const struct mill_batch *batch,
                               uint32_t first, uint32_t rows)
{
    const struct mill_schema *schema = input->schema;
    struct batch *copy = batch_new(input->heap, rows, schema->field_count);
    struct batch *view = batch_new(input->heap, 1, schema->field_count);
    uint16_t list[BATCH_ROWS_MAX];
    bool ok = copy != NULL && view != NULL && batch_own_columns(copy, schema);

    for (uint32_t i = 0; ok && i < schema->field_count; i++)
        view->columns[i] = column_view(&view->bytes, &batch->columns[i], &schema->fields[i].type);
    for (uint32_t i = 0; i < rows; i++)
        list[i] = (uint16_t)(first + i);
    ok = ok && batch_append(copy, view, list, rows, schema) == (int)rows;
    batch_free(view);
    if (ok)
        return copy;
    batch_free(copy);
    return NULL;
}

static int push_rows(struct mill_input *input, const struct mill_batch *batch, uint32_t first,
                     uint32_t rows, struct mill_error *error)
{
    struct block *block = heap_zalloc(input->heap, sizeof *block);

    if (block != NULL) {
        block->rows = rows;
        block->owned = copy_rows(input, batch, first, rows);
    }
    if (block == NULL || block->owned == NULL) {
        heap_free(input->heap, block, sizeof *block);
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to queue %u rows", rows);
    }
    if (!ring_push(&input->queue, block)) {
        block_free(input->heap, block);
        return mill_fail(error, MILL_E_MEMORY, 0, 0,
                         "the table's queue is full (%u batches): run the query, then push again",
                         QUEUE_SLOTS);
    }
    at_add_relaxed(&input->queued_rows, rows);
    return MILL_OK;
}

/* @fields are the table's, or those of one of its ROWs. */
static int check_columns(const struct mill_column *columns, const struct mill_field *fields,
                         uint32_t count, struct mill_error *error)
{
    for (uint32_t i = 0; i < count; i++) {
        const bool nested = fields[i].type.kind == MILL_ROW;

        if (nested ? columns[i].children == NULL : columns[i].values == NULL)
            return mill_fail(error, MILL_E_ARGUMENT, 0, 0, "the %s of column %s are NULL",
                             nested ? "children" : "values", fields[i].name);
        if (nested && check_columns(columns[i].children, fields[i].type.fields,
                                    fields[i].type.field_count, error) != MILL_OK)
            return MILL_E_ARGUMENT;
    }
    return MILL_OK;
}

static int check_batch(const struct mill_input *input, const struct mill_batch *batch,
                       struct mill_error *error)
{
    const struct mill_schema *schema = input->schema;

    if (batch->column_count != schema->field_count)
        return mill_fail(error, MILL_E_ARGUMENT, 0, 0, "the batch has %u columns, the table %u",
                         batch->column_count, schema->field_count);
    if (batch->rows == 0)
        return MILL_OK;
    if (batch->columns == NULL)
        return mill_fail(error, MILL_E_ARGUMENT, 0, 0, "the batch's columns are NULL");
    for (uint32_t i = 0; batch->row_kinds != NULL && i < batch->rows; i++)
        if (batch->row_kinds[i] != 0)
            return mill_fail(error, MILL_E_UNSUPPORTED, 0, 0,
                             "row %u has row kind %d: a memory table takes inserts (0) only", i,
                             batch->row_kinds[i]);
    return check_columns(batch->columns, schema->fields, schema->field_count, error);
}

int memory_input_push(struct mill_input *input, const struct mill_batch *batch,
                      struct mill_error *error)
{
    if (at_load_relaxed(&input->ended) != 0)
        return mill_fail(error, MILL_E_STATE, 0, 0, "the input has been ended; nothing can follow");
    if (check_batch(input, batch, error) != MILL_OK)
        return error->code;
    if (batch->rows > UINT16_MAX)
        return mill_fail(error, MILL_E_ARGUMENT, 0, 0,
                         "a pushed batch may have 65535 rows, this one has %u", batch->rows);
    if (at_load_relaxed(&input->queued_rows) + batch->rows > QUEUED_ROWS_MAX)
        return mill_fail(error, MILL_E_MEMORY, 0, 0,
                         "the table's queue is full (%u rows): run the query, then push again",
                         QUEUED_ROWS_MAX);
    for (uint32_t first = 0; first < batch->rows; first += BATCH_ROWS_MAX) {
        const int code =
            push_rows(input, batch, first, min_u32(BATCH_ROWS_MAX, batch->rows - first), error);

        if (code != MILL_OK)
            return code;
    }
    return MILL_OK;
}

int memory_input_lend(struct mill_input *input, const struct mill_batch *batches, size_t count,
                      uint32_t repeat, struct mill_error *error)
{
    uint64_t rows = 0;

    if (at_load_relaxed(&input->ended) != 0)
        return mill_fail(error, MILL_E_STATE, 0, 0, "the input has been ended; nothing can follow");
    if (at_load_relaxed(&input->lending) != 0)
        return mill_fail(error, MILL_E_STATE, 0, 0, "a table has already been lent to this input");
    for (size_t i = 0; i < count; i++) {
        if (check_batch(input, &batches[i], error) != MILL_OK)
            return error->code;
        rows += batches[i].rows;
    }
    input->lent = batches;
    input->lent_count = count;
    input->lent_repeat = rows > 0 ? repeat : 0;
    /* R7, with A7 in memory_cut() */
    at_store_release(&input->lending, 1);
    return MILL_OK;
}

void memory_input_end(struct mill_input *input)
{
    at_store_release(&input->ended, 1);
}

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
    while ((block = ring_peek(&input->queue)) != NULL &&
           (rows == 0 || rows + block->rows <= run->step_rows)) {
        ring_pop(&input->queue);
        rows += block->rows;
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

static int memory_decode(struct decoder *decoder, struct batch *out, struct mill_error *error)
{
    struct memory_decoder *d = (struct memory_decoder *)decoder;
    const struct mill_schema *schema = &d->node->source.decoded;
    const uint32_t in_block = d->block != NULL ? d->block->rows : d->lent->rows;
    const uint32_t rows = (uint32_t)min_u64(d->left, min_u32(out->capacity, in_block - d->row));

    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct mill_column *lent = d->block != NULL ? NULL : &d->lent->columns[i];
        const struct column *own = d->block != NULL ? &d->block->owned->columns[i] : NULL;

        if (!lend_column(out, &out->columns[i], lent != NULL ? lent->values : own->values,
                         lent != NULL ? lent->validity : own->validity,
                         lent != NULL ? lent->children : NULL, own != NULL ? own->children : NULL,
                         &schema->fields[i].type, d->row, rows))
            return -mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to read a memory table");
    }
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
    struct block *block = piece->hold;

    while (block != NULL) {
        struct block *next = block->next;

        block_free(((struct memory_run *)source)->input->heap, block);
        block = next;
    }
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
