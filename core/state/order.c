/* core/state/order.c - runs of references over blocks of rows. */
#include "core/state/order.h"

#include <stdlib.h>

#define SPARE_BLOCKS 8u
#define SPARE_REFS_MAX 65536u

/* ---- blocks ---- */

/* Values that no operator reads are never copied in: they stand as zeros. */
static void zero_columns(struct column *columns, const struct mill_field *fields, uint32_t count,
                         uint32_t rows)
{
    for (uint32_t i = 0; i < count; i++) {
        if (fields[i].type.kind == MILL_ROW)
            zero_columns(columns[i].children, fields[i].type.fields, columns[i].child_count, rows);
        else if (columns[i].values != NULL)
            memset(columns[i].values, 0, (size_t)rows * type_width(&fields[i].type));
    }
}

static void block_free(struct order *order, struct order_block *block)
{
    batch_free(block->rows);
    heap_free(order->heap, block, sizeof *block);
}

/* A spare one, or a new one; its batch is empty. */
static struct order_block *block_take(struct order *order)
{
    struct order_block *block = order->spare_blocks;

    if (block != NULL) {
        order->spare_blocks = block->next;
        order->spare_count--;
        batch_reset(block->rows, order->schema->field_count);
        return block;
    }
    block = heap_zalloc(order->heap, sizeof *block);
    if (block == NULL)
        return NULL;
    block->rows = batch_new(order->heap, order->block_rows, order->schema->field_count);
    if (block->rows != NULL)
        return block;
    heap_free(order->heap, block, sizeof *block);
    return NULL;
}

static struct order_block *block_new(struct order *order)
{
    struct order_block *block = block_take(order);

    if (block == NULL)
        return NULL;
    if (!batch_own_columns(block->rows, order->schema)) {
        block_free(order, block);
        return NULL;
    }
    zero_columns(block->rows->columns, order->schema->fields, order->schema->field_count,
                 order->block_rows);
    block->shares = 1;
    return block;
}

void order_drop(struct order *order, struct order_block *block)
{
    CHECK(block->shares > 0);
    if (--block->shares > 0)
        return;
    if (order->spare_count == SPARE_BLOCKS) {
        block_free(order, block);
        return;
    }
    block->next = order->spare_blocks;
    order->spare_blocks = block;
    order->spare_count++;
}

/* The block that takes the next row. */
static struct order_block *open_block(struct order *order)
{
    if (order->open != NULL && order->open->rows->rows == order->block_rows) {
        order_drop(order, order->open);
        order->open = NULL;
    }
    if (order->open == NULL)
        order->open = block_new(order);
    return order->open;
}

/* ---- runs ---- */

static bool before(const struct order_ref *a, const struct order_ref *b)
{
    return a->time < b->time || (a->time == b->time && a->arrival < b->arrival);
}

static int64_t last_time(const struct order_run *run)
{
    return run->refs[run->end - 1].time;
}

static void refs_free(struct order *order, struct order_run *run)
{
    heap_free(order->heap, run->refs, run->capacity * sizeof *run->refs);
    *run = (struct order_run){0};
}

/* A stream in order fills and empties one run again and again: its memory stays. */
static void run_free(struct order *order, struct order_run *run)
{
    if (run->capacity > order->spare_run.capacity && run->capacity <= SPARE_REFS_MAX) {
        const struct order_run kept = {.refs = run->refs, .capacity = run->capacity};

        refs_free(order, &order->spare_run);
        order->spare_run = kept;
        *run = (struct order_run){0};
        return;
    }
    refs_free(order, run);
}

static bool run_append(struct order *order, struct order_run *run, const struct order_ref *ref)
{
    if (run->capacity == 0 && order->spare_run.capacity > 0) {
        *run = order->spare_run;
        order->spare_run = (struct order_run){0};
    }
    if (run->end == run->capacity && run->first > run->capacity / 2) {
        memmove(run->refs, run->refs + run->first, (run->end - run->first) * sizeof *run->refs);
        run->end -= run->first;
        run->first = 0;
    }
    if (run->end == run->capacity) {
        const uint32_t capacity = run->capacity == 0 ? 16 : run->capacity * 2;
        struct order_ref *refs = heap_grow(order->heap, run->refs, run->capacity * sizeof *refs,
                                           capacity * sizeof *refs);

        if (refs == NULL)
            return false;
        run->refs = refs;
        run->capacity = capacity;
    }
    run->refs[run->end++] = *ref;
    return true;
}

/* ---- merging: a heap of the runs' heads ---- */

static bool head_before(const struct order *order, uint32_t a, uint32_t b)
{
    const struct order_run *x = &order->runs[a], *y = &order->runs[b];

    return before(&x->refs[x->first], &y->refs[y->first]);
}

static void sift_down(struct order *order, uint32_t at)
{
    for (;;) {
        uint32_t least = at;

        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < order->head_count; child++)
            if (head_before(order, order->heads[child], order->heads[least]))
                least = child;
        if (least == at)
            return;
        const uint32_t run = order->heads[at];

        order->heads[at] = order->heads[least];
        order->heads[least] = run;
        at = least;
    }
}

/* Runs that have been emptied go; the others stay in their order. */
static void sweep_runs(struct order *order)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < order->run_count; i++) {
        if (order->runs[i].first == order->runs[i].end)
            run_free(order, &order->runs[i]);
        else
            order->runs[kept++] = order->runs[i];
    }
    for (uint32_t i = kept; i < order->run_count; i++)
        order->runs[i] = (struct order_run){0};
    order->run_count = kept;
}

static void merge_begin(struct order *order)
{
    if (order->merging)
        return;
    sweep_runs(order);
    order->merging = true;
    order->head_count = order->run_count;
    for (uint32_t i = 0; i < order->run_count; i++)
        order->heads[i] = i;
    for (uint32_t i = order->head_count / 2; i-- > 0;)
        sift_down(order, i);
}

bool order_next(struct order *order, int64_t w, struct order_ref *out)
{
    struct order_run *run;

    if (order->rows == 0)
        return false;
    merge_begin(order);
    run = &order->runs[order->heads[0]];
    if (run->refs[run->first].time > w)
        return false;
    *out = run->refs[run->first++];
    order->rows--;
    if (run->first == run->end)
        order->heads[0] = order->heads[--order->head_count];
    if (order->head_count > 0)
        sift_down(order, 0);
    return true;
}

int64_t order_least(struct order *order)
{
    if (order->rows == 0)
        return TIME_MAX;
    merge_begin(order);
    return order->runs[order->heads[0]].refs[order->runs[order->heads[0]].first].time;
}

/* ---- too many runs: the shortest half becomes one ---- */

static int by_length(const void *a, const void *b)
{
    const struct order_run *x = a, *y = b;
    const uint32_t n = x->end - x->first, m = y->end - y->first;

    return n < m ? -1 : n > m ? 1 : last_time(x) < last_time(y) ? -1 : 1;
}

static int by_last_time(const void *a, const void *b)
{
    const struct order_run *x = a, *y = b;
    const struct order_ref *p = &x->refs[x->end - 1], *q = &y->refs[y->end - 1];

    return before(q, p) ? -1 : before(p, q) ? 1 : 0;
}

static bool merge_shortest(struct order *order)
{
    struct order_run all = {0};
    const uint32_t half = ORDER_RUNS / 2;
    uint64_t count = 0;

    qsort(order->runs, order->run_count, sizeof *order->runs, by_length);
    for (uint32_t i = 0; i < half; i++)
        count += order->runs[i].end - order->runs[i].first;
    all.refs = count < UINT32_MAX ? heap_alloc(order->heap, count * sizeof *all.refs) : NULL;
    if (all.refs == NULL) {
        qsort(order->runs, order->run_count, sizeof *order->runs, by_last_time);
        return false;
    }
    all.capacity = (uint32_t)count;
    order->head_count = half;
    for (uint32_t i = 0; i < half; i++)
        order->heads[i] = i;
    for (uint32_t i = half / 2; i-- > 0;)
        sift_down(order, i);
    while (order->head_count > 0) {
        struct order_run *run = &order->runs[order->heads[0]];

        all.refs[all.end++] = run->refs[run->first++];
        if (run->first == run->end)
            order->heads[0] = order->heads[--order->head_count];
        if (order->head_count > 0)
            sift_down(order, 0);
    }
    for (uint32_t i = 0; i < half; i++)
        run_free(order, &order->runs[i]);
    order->runs[0] = all;
    memmove(order->runs + 1, order->runs + half, (order->run_count - half) * sizeof *order->runs);
    order->run_count -= half - 1;
    memset(order->runs + order->run_count, 0,
           (ORDER_RUNS - order->run_count) * sizeof *order->runs);
    qsort(order->runs, order->run_count, sizeof *order->runs, by_last_time);
    return true;
}

/* ---- rows in ---- */

static bool insert(struct order *order, const struct order_ref *ref)
{
    uint32_t low = 0, high;

    if (order->merging) {
        sweep_runs(order);
        order->merging = false;
    }
    for (high = order->run_count; low < high;) { /* first run with last time <= ref's */
        const uint32_t middle = (low + high) / 2;

        if (last_time(&order->runs[middle]) <= ref->time)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == ORDER_RUNS) {
        if (!merge_shortest(order))
            return false;
        return insert(order, ref);
    }
    if (!run_append(order, &order->runs[low], ref))
        return false;
    order->run_count = max_u32(order->run_count, low + 1);
    order->rows++;
    return true;
}

void order_open(struct order *order, struct heap *heap, const struct mill_schema *schema,
                uint32_t block_rows)
{
    memset(order, 0, sizeof *order);
    order->heap = heap;
    order->schema = schema;
    order->block_rows = block_rows;
}

void order_close(struct order *order)
{
    if (order->heap == NULL)
        return;
    for (uint32_t i = 0; i < order->run_count; i++) {
        struct order_run *run = &order->runs[i];

        for (uint32_t k = run->first; k < run->end; k++)
            order_drop(order, run->refs[k].block);
        run_free(order, run);
    }
    if (order->open != NULL)
        order_drop(order, order->open);
    while (order->spare_blocks != NULL) {
        struct order_block *next = order->spare_blocks->next;

        block_free(order, order->spare_blocks);
        order->spare_blocks = next;
    }
    refs_free(order, &order->spare_run);
    order->spare_count = 0;
    order->open = NULL;
    order->run_count = 0;
    order->rows = 0;
}

bool order_push(struct order *order, const struct batch *batch, const uint16_t *rows,
                const int64_t *times, uint32_t count)
{
    struct batch plain = *batch; /* values and positions are kept */

    plain.behind = NULL;
    plain.hashes = NULL;
    for (uint32_t i = 0; i < count;) {
        struct order_block *block = open_block(order);
        uint32_t first;
        int n;

        if (block == NULL)
            return false;
        first = block->rows->rows;
        n = batch_append(block->rows, &plain, rows + i, count - i, order->schema);
        if (n <= 0)
            return false;
        for (int k = 0; k < n; k++) {
            const struct order_ref ref = {.time = times[i + (uint32_t)k],
                                          .arrival = order->arrivals++,
                                          .step = batch->step,
                                          .block = block,
                                          .row = first + (uint32_t)k};

            if (!insert(order, &ref))
                return false;
            block->shares++;
        }
        i += (uint32_t)n;
    }
    return true;
}

/* ---- snapshots ---- */

static void value_snapshot(const struct column *c, const struct mill_type *type, uint32_t row,
                           struct snapshot_writer *to)
{
    /* what nobody reads may come back as NULL */
    const bool valid =
        column_valid(c, row) && (type->kind == MILL_ROW ? c->child_count > 0 : c->values != NULL);

    snapshot_u8(to, valid);
    if (!valid)
        return;
    if (type->kind == MILL_ROW)
        for (uint32_t i = 0; i < type->field_count; i++)
            value_snapshot(&c->children[i], &type->fields[i].type, row, to);
    else if (type_phys(type) == PHYS_VIEW)
        snapshot_view(to, (const struct mill_view *)c->values + row);
    else
        snapshot_put(to, (const char *)c->values + (size_t)row * type_width(type),
                     type_width(type));
}

/* NULL rows have NULL children. */
static bool null_restore(struct batch *batch, struct column *c, const struct mill_type *type,
                         uint32_t row)
{
    if (c->validity == NULL && !column_own_validity(batch, c))
        return false;
    column_set_null(c, row);
    if (type->kind == MILL_ROW)
        for (uint32_t i = 0; i < c->child_count; i++)
            if (!null_restore(batch, &c->children[i], &type->fields[i].type, row))
                return false;
    return true;
}

static bool value_restore(struct batch *batch, struct column *c, const struct mill_type *type,
                          uint32_t row, struct snapshot_reader *from)
{
    if (snapshot_get_u8(from) == 0)
        return null_restore(batch, c, type, row);
    if (type->kind == MILL_ROW) {
        for (uint32_t i = 0; i < type->field_count; i++)
            if (!value_restore(batch, &c->children[i], &type->fields[i].type, row, from))
                return false;
    } else if (type_phys(type) == PHYS_VIEW) {
        const struct mill_view v = snapshot_get_view(from);
        struct mill_view *to = (struct mill_view *)c->values + row;

        *to = batch_view(batch, mill_view_data(&v), v.length);
        return to->length == v.length;
    } else if (c->values != NULL) {
        snapshot_get(from, (char *)c->values + (size_t)row * type_width(type), type_width(type));
    }
    return true;
}

void order_row_snapshot(const struct order *order, const struct order_ref *ref,
                        struct snapshot_writer *to)
{
    const struct batch *rows = ref->block->rows;

    snapshot_u64(to, (uint64_t)ref->time);
    snapshot_u64(to, ref->arrival);
    snapshot_u64(to, ref->step);
    snapshot_u32(to, batch_place(rows, ref->row));
    snapshot_u8(to, rows->order_keys != NULL);
    if (rows->order_keys != NULL)
        snapshot_view(to, &rows->order_keys[ref->row]);
    for (uint32_t i = 0; i < order->schema->field_count; i++)
        value_snapshot(&rows->columns[i], &order->schema->fields[i].type, ref->row, to);
}

static bool order_key_restore(struct batch *rows, struct snapshot_reader *from)
{
    const struct mill_view key = snapshot_get_view(from);

    if (rows->order_keys == NULL)
        rows->order_keys = arena_alloc(&rows->bytes, rows->capacity * sizeof *rows->order_keys);
    if (rows->order_keys == NULL)
        return false;
    rows->order_keys[rows->rows] = batch_view(rows, mill_view_data(&key), key.length);
    return rows->order_keys[rows->rows].length == key.length;
}

bool order_row_restore(struct order *order, struct snapshot_reader *from, struct order_ref *out)
{
    struct order_block *block = open_block(order);
    struct batch *rows;

    if (block == NULL)
        return false;
    rows = block->rows;
    if (rows->place == NULL)
        rows->place = arena_alloc(&rows->bytes, rows->capacity * sizeof *rows->place);
    if (rows->place == NULL)
        return false;
    *out = (struct order_ref){.block = block, .row = rows->rows};
    out->time = (int64_t)snapshot_get_u64(from);
    out->arrival = snapshot_get_u64(from);
    out->step = snapshot_get_u64(from);
    rows->place[rows->rows] = snapshot_get_u32(from);
    if (snapshot_get_u8(from) != 0 && !order_key_restore(rows, from))
        return false;
    for (uint32_t i = 0; i < order->schema->field_count; i++)
        if (!value_restore(rows, &rows->columns[i], &order->schema->fields[i].type, out->row, from))
            return false;
    if (from->failed)
        return false;
    rows->live = ++rows->rows;
    block->shares++;
    return true;
}

void order_snapshot(const struct order *order, struct snapshot_writer *to)
{
    snapshot_u64(to, order->rows);
    snapshot_u64(to, order->arrivals);
    for (uint32_t i = 0; i < order->run_count; i++)
        for (uint32_t k = order->runs[i].first; k < order->runs[i].end; k++)
            order_row_snapshot(order, &order->runs[i].refs[k], to);
}

bool order_restore(struct order *order, struct snapshot_reader *from)
{
    const uint64_t rows = snapshot_get_u64(from);

    order->arrivals = snapshot_get_u64(from);
    for (uint64_t i = 0; i < rows && !from->failed; i++) {
        struct order_ref ref;

        if (!order_row_restore(order, from, &ref))
            return false;
        if (!insert(order, &ref)) {
            order_drop(order, ref.block);
            return false;
        }
    }
    return !from->failed;
}

bool order_valid(const struct order *order)
{
    uint64_t rows = 0;

    for (uint32_t i = 0; i < order->run_count; i++) {
        const struct order_run *run = &order->runs[i];

        rows += run->end - run->first;
        for (uint32_t k = run->first + 1; k < run->end; k++)
            if (!before(&run->refs[k - 1], &run->refs[k]))
                return false;
        if (!order->merging && i > 0 && last_time(&order->runs[i - 1]) <= last_time(run))
            return false;
    }
    return rows == order->rows;
}
