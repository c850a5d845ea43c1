/* core/results.c - see results.h. */
#include "core/results.h"

#define ROWS_MIN 64u  /* room of the smallest batch */
#define SPARE_MAX 64u /* batches kept */

static void lock(struct results *results)
{
    while (at_exchange_acquire(&results->guard, 1) != 0)
        cpu_relax();
}

static void unlock(struct results *results)
{
    at_store_release(&results->guard, 0);
}

static void free_list(struct batch *batch)
{
    while (batch != NULL) {
        struct batch *next = batch->next;

        batch_free(batch);
        batch = next;
    }
}

void results_open(struct results *results, struct heap *heap)
{
    *results = (struct results){.heap = heap};
    results->last = &results->first;
    arena_open(&results->view_arena, heap);
}

void results_close(struct results *results)
{
    batch_free(results->polled);
    free_list(results->first);
    free_list(results->spare);
    arena_close(&results->view_arena);
}

/* Without columns, with room for @rows: the newest spare one if it suffices. */
static struct batch *take(struct results *results, uint32_t rows, uint32_t columns)
{
    struct batch *batch;
    uint32_t room = ROWS_MIN;

    lock(results);
    batch = results->spare;
    if (batch != NULL) {
        results->spare = batch->next;
        results->spare_count--;
    }
    unlock(results);
    if (batch != NULL && batch->capacity >= rows) {
        batch_reset(batch, columns);
        return batch;
    }
    batch_free(batch);
    while (room < rows)
        room *= 2;
    return batch_new(results->heap, room, columns);
}

struct batch *results_copy(struct results *results, const struct batch *batch,
                           const struct mill_schema *schema)
{
    struct batch *copy = take(results, batch->live, schema->field_count);
    const uint16_t *rows = batch->selection;

    if (copy == NULL || !batch_own_columns(copy, schema) ||
        batch_append(copy, batch, rows, batch->live, schema) != (int)batch->live) {
        batch_free(copy);
        return NULL;
    }
    return copy;
}

static struct mill_column *public_columns(struct arena *arena, const struct column *columns,
                                          uint32_t count)
{
    struct mill_column *out = arena_array(arena, struct mill_column, count);

    for (uint32_t i = 0; out != NULL && i < count; i++) {
        out[i].values = columns[i].values;
        out[i].validity = columns[i].validity;
        if (columns[i].child_count > 0) {
            out[i].children = public_columns(arena, columns[i].children, columns[i].child_count);
            if (out[i].children == NULL)
                return NULL;
        }
    }
    return out;
}

const struct mill_batch *results_show(struct results *results, const struct batch *copy)
{
    struct mill_column *columns;

    arena_reset(&results->view_arena);
    columns = public_columns(&results->view_arena, copy->columns, copy->column_count);
    results->view = (struct mill_batch){.rows = copy->rows,
                                        .column_count = copy->column_count,
                                        .columns = columns,
                                        .row_kinds = copy->row_kinds};
    return columns != NULL ? &results->view : NULL;
}

void results_put(struct results *results, struct batch *copy)
{
    copy->next = NULL;
    lock(results);
    *results->last = copy;
    results->last = &copy->next;
    unlock(results);
}

void results_return(struct results *results, struct batch *copy)
{
    bool kept;

    if (copy == NULL)
        return;
    lock(results);
    kept = results->spare_count < SPARE_MAX;
    if (kept) {
        copy->next = results->spare;
        results->spare = copy;
        results->spare_count++;
    }
    unlock(results);
    if (!kept)
        batch_free(copy);
}

const struct mill_batch *results_poll(struct results *results)
{
    struct batch *batch;

    results_return(results, results->polled);
    results->polled = NULL;
    lock(results);
    batch = results->first;
    if (batch != NULL) {
        results->first = batch->next;
        if (results->first == NULL)
            results->last = &results->first;
    }
    unlock(results);
    results->polled = batch;
    return batch != NULL ? results_show(results, batch) : NULL;
}
