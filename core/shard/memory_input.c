/* core/shard/memory_input.c - see memory_input.h. */
#include "core/shard/memory_input.h"

#include "core/items.h"

#define QUEUE_SLOTS 4096u
#define QUEUED_ROWS_MAX (1u << 22)
#define ADDED_ROWS_MAX (1u << 14) /* rows that new blocks have room for */
#define SPARE_ROWS_MAX (1u << 18) /* rows that the spare blocks of one kind have room for */

/* ---- opening and closing ---- */

static void block_free(struct heap *heap, struct block *block)
{
    batch_free(block->owned);
    heap_free(heap, block, sizeof *block);
}

static void blocks_free(struct heap *heap, struct block *block)
{
    while (block != NULL) {
        struct block *next = block->next;

        block_free(heap, block);
        block = next;
    }
}

struct mill_input *memory_input_new(const struct env *env, struct budget *budget,
                                    const struct mill_schema *schema, bool timed)
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
    input->timed = timed;
    input->view = batch_new(input->heap, 1, schema->field_count);
    if (input->view == NULL || !ring_open(&input->queue, input->heap, QUEUE_SLOTS, 0)) {
        memory_input_free(input);
        return NULL;
    }
    return input;
}

void memory_input_free(struct mill_input *input)
{
    struct heap heap;
    struct block *block;

    if (input == NULL)
        return;
    while (input->queue.slots != NULL && (block = ring_pop(&input->queue)) != NULL)
        block_free(input->heap, block);
    for (uint32_t kind = 0; kind < BLOCK_KINDS; kind++)
        blocks_free(input->heap, input->spare[kind]);
    blocks_free(input->heap, input->home);
    batch_free(input->view);
    ring_close(&input->queue, input->heap);
    heap = input->own_heap;
    heap_free(&heap, input, sizeof *input);
    heap_close(&heap);
}

/* ---- blocks ---- */

void memory_input_home(struct mill_input *input, struct block *block)
{
    struct block *last = block;

    if (block == NULL)
        return;
    while (last->next != NULL)
        last = last->next;
    while (at_exchange_acquire(&input->home_guard, 1) != 0)
        input->env->run.yield(input->env->self);
    last->next = input->home;
    input->home = block;
    at_store_release(&input->home_guard, 0);
}

/* The pusher's: blocks that came home become spare, those beyond SPARE_ROWS_MAX are freed. */
static void blocks_collect(struct mill_input *input)
{
    struct block *block;

    while (at_exchange_acquire(&input->home_guard, 1) != 0)
        input->env->run.yield(input->env->self);
    block = input->home;
    input->home = NULL;
    at_store_release(&input->home_guard, 0);
    while (block != NULL) {
        struct block *next = block->next;

        if (input->spare_count[block->kind] << (BLOCK_SHIFT_MIN + block->kind) < SPARE_ROWS_MAX) {
            block->next = input->spare[block->kind];
            input->spare[block->kind] = block;
            input->spare_count[block->kind]++;
        } else {
            input->made[block->kind]--;
            block_free(input->heap, block);
        }
        block = next;
    }
}

static struct block *block_new(struct mill_input *input, uint32_t kind)
{
    struct block *block = heap_zalloc(input->heap, sizeof *block);

    if (block == NULL)
        return NULL;
    block->kind = kind;
    block->owned =
        batch_new(input->heap, 1u << (BLOCK_SHIFT_MIN + kind), input->schema->field_count);
    if (block->owned != NULL)
        return block;
    heap_free(input->heap, block, sizeof *block);
    return NULL;
}

/* As many as there are, so that the queue may grow to twice its depth before the next allocation. False: none. */
static bool blocks_add(struct mill_input *input, uint32_t kind)
{
    const uint32_t wanted =
        max_u32(1, min_u32(input->made[kind], ADDED_ROWS_MAX >> (BLOCK_SHIFT_MIN + kind)));

    for (uint32_t i = 0; i < wanted; i++) {
        struct block *block = block_new(input, kind);

        if (block == NULL)
            return i > 0;
        block->next = input->spare[kind];
        input->spare[kind] = block;
        input->spare_count[kind]++;
        input->made[kind]++;
    }
    return true;
}

/* With room for @rows, its columns empty. NULL without memory. */
static struct block *block_take(struct mill_input *input, uint32_t rows)
{
    const uint32_t shift = rows > 1 ? 32 - (uint32_t)__builtin_clz(rows - 1) : 0;
    const uint32_t kind = shift > BLOCK_SHIFT_MIN ? shift - BLOCK_SHIFT_MIN : 0;
    struct block *block;

    if (input->spare[kind] == NULL)
        blocks_collect(input);
    if (input->spare[kind] == NULL && !blocks_add(input, kind))
        return NULL;
    block = input->spare[kind];
    input->spare[kind] = block->next;
    input->spare_count[kind]--;
    block->next = NULL;
    batch_reset(block->owned, input->schema->field_count);
    return block;
}

/* ---- pushing ---- */

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

/* Rows first .. first + rows of @batch into @copy. */
static bool copy_rows(struct mill_input *input, struct batch *copy, const struct mill_batch *batch,
                      uint32_t first, uint32_t rows)
{
    const struct mill_schema *schema = input->schema;
    uint16_t list[BATCH_ROWS_MAX];

    batch_reset(input->view, schema->field_count);
    if (input->view->columns == NULL || !batch_own_columns(copy, schema))
        return false;
    for (uint32_t i = 0; i < schema->field_count; i++)
        input->view->columns[i] =
            column_view(&input->view->bytes, &batch->columns[i], &schema->fields[i].type);
    for (uint32_t i = 0; first > 0 && i < rows; i++)
        list[i] = (uint16_t)(first + i);
    return batch_append(copy, input->view, first > 0 ? list : NULL, rows, schema) == (int)rows;
}

static int push_rows(struct mill_input *input, const struct mill_batch *batch, uint32_t first,
                     uint32_t rows, struct mill_error *error)
{
    struct block *block = block_take(input, rows);

    if (block == NULL || !copy_rows(input, block->owned, batch, first, rows)) {
        memory_input_home(input, block);
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to queue %u rows", rows);
    }
    block->rows = rows;
    block->watermark = TIME_MIN;
    if (!ring_push(&input->queue, block)) {
        memory_input_home(input, block);
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

/* ARRAY, MAP and MULTISET come as bytes, which anybody may have made. */
static int check_nested(const struct mill_column *columns, const struct mill_field *fields,
                        uint32_t count, uint32_t rows, struct mill_error *error)
{
    char name[80];

    for (uint32_t i = 0; i < count; i++) {
        const struct mill_type *type = &fields[i].type;
        const struct column c = {.values = (void *)columns[i].values,
                                 .validity = (uint64_t *)columns[i].validity};
        const struct mill_view *values = columns[i].values;

        if (type->kind == MILL_ROW && check_nested(columns[i].children, type->fields,
                                                   type->field_count, rows, error) != MILL_OK)
            return error->code;
        for (uint32_t r = 0; type_is_nested(type) && r < rows; r++)
            if (column_valid(&c, r) &&
                !items_valid(type, mill_view_data(&values[r]), values[r].length))
                return mill_fail(error, MILL_E_ARGUMENT, 0, 0,
                                 "row %u of column %s is no value of %s: mill_items_value() makes "
                                 "one",
                                 r, fields[i].name, type_name(type, name, sizeof name));
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
    if (check_columns(batch->columns, schema->fields, schema->field_count, error) != MILL_OK)
        return error->code;
    return check_nested(batch->columns, schema->fields, schema->field_count, batch->rows, error);
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

int memory_input_watermark(struct mill_input *input, int64_t watermark, struct mill_error *error)
{
    struct block *block;

    if (!input->timed)
        return mill_fail(error, MILL_E_ARGUMENT, 0, 0, "the table has no WATERMARK");
    if (at_load_relaxed(&input->ended) != 0)
        return mill_fail(error, MILL_E_STATE, 0, 0, "the input has been ended; nothing can follow");
    block = block_take(input, 1);
    if (block != NULL) {
        block->rows = 0;
        block->watermark = watermark;
        if (ring_push(&input->queue, block))
            return MILL_OK;
        memory_input_home(input, block);
    }
    return mill_fail(error, MILL_E_MEMORY, 0, 0, "the table's queue is full: run the query first");
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

int memory_input_advance(struct mill_input *input, uint32_t column, int64_t advance,
                         struct mill_error *error)
{
    const struct mill_schema *schema = input->schema;

    if (at_load_relaxed(&input->lending) != 0)
        return mill_fail(error, MILL_E_STATE, 0, 0, "a table has already been lent to this input");
    if (column >= schema->field_count)
        return mill_fail(error, MILL_E_ARGUMENT, 0, 0, "column is %u, the table has %u", column,
                         schema->field_count);
    if (type_phys(&schema->fields[column].type) != PHYS_I64)
        return mill_fail(error, MILL_E_ARGUMENT, 0, 0,
                         "column %s cannot be advanced: need a BIGINT or a TIMESTAMP",
                         schema->fields[column].name);
    input->advance_column = column;
    input->advance = advance;
    return MILL_OK;
}

int memory_input_pull(struct mill_input *input, void (*pull)(void *, struct mill_input *),
                      void *user, struct mill_error *error)
{
    if (at_load_relaxed(&input->read) != 0)
        return mill_fail(error, MILL_E_STATE, 0, 0,
                         "the query that reads the table has begun: mill_input_pull() comes "
                         "before");
    input->pull = pull;
    input->pull_user = user;
    return MILL_OK;
}

const struct mill_schema *memory_input_schema(const struct mill_input *input)
{
    return input->schema;
}

void memory_input_end(struct mill_input *input)
{
    at_store_release(&input->ended, 1);
}
