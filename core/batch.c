/* core/batch.c - batches, their columns and their pools. */
#include "core/batch.h"

#include "core/ring.h"

struct pool {
    struct heap *heap;
    uint32_t count, free_count;
    uint32_t room;     /* of all and free */
    uint32_t capacity; /* rows of a batch */
    uint32_t most;     /* batches; UINT32_MAX: as many as there is memory for */
    uint16_t home;
    struct batch **all;              /* count */
    struct batch **free;             /* free_count of them, a stack: the warmest first */
    struct ring returns[SHARDS_MAX]; /* by returning shard; opened when a pool has foreign users */
    uint32_t return_count;
};

struct batch *batch_new(struct heap *heap, uint32_t capacity, uint32_t column_count)
{
    struct batch *batch = heap_zalloc(heap, sizeof *batch);

    CHECK(capacity > 0 && capacity <= BATCH_ROWS_MAX);
    if (batch == NULL)
        return NULL;
    batch->capacity = capacity;
    arena_open(&batch->bytes, heap);
    batch->selection_store = heap_alloc(heap, capacity * sizeof *batch->selection_store);
    if (batch->selection_store == NULL) {
        heap_free(heap, batch, sizeof *batch);
        return NULL;
    }
    batch_reset(batch, column_count);
    if (column_count > 0 && batch->columns == NULL) {
        batch_free(batch);
        return NULL;
    }
    return batch;
}

void batch_free(struct batch *batch)
{
    struct heap *heap;

    if (batch == NULL)
        return;
    heap = batch->bytes.heap;
    arena_close(&batch->bytes);
    heap_free(heap, batch->selection_store, batch->capacity * sizeof *batch->selection_store);
    heap_free(heap, batch, sizeof *batch);
}

void batch_reset(struct batch *batch, uint32_t column_count)
{
    const struct batch kept = *batch;

    CHECK(batch->base == NULL && batch->lent == NULL && batch->shares == 0);
    arena_reset(&batch->bytes);
    *batch = (struct batch){.capacity = kept.capacity,
                            .home = kept.home,
                            .at = kept.at,
                            .selection_store = kept.selection_store,
                            .pool = kept.pool,
                            .column_count = (uint16_t)column_count,
                            .bytes = batch->bytes};
    if (column_count > 0)
        batch->columns = arena_array(&batch->bytes, struct column, column_count);
}

/* All of @base but its selection. */
static bool show(struct batch *shell, const struct batch *base)
{
    batch_reset(shell, base->column_count);
    if (base->column_count > 0 && shell->columns == NULL)
        return false;
    if (base->column_count > 0)
        memcpy(shell->columns, base->columns, base->column_count * sizeof *shell->columns);
    shell->bounded = base->bounded;
    shell->least = base->least;
    shell->greatest = base->greatest;
    shell->step = base->step;
    shell->rows = shell->live = base->rows;
    shell->row_kinds = base->row_kinds;
    shell->class_ = base->class_;
    shell->edge = base->edge;
    shell->origin = base->origin;
    shell->split = base->split;
    shell->place_base = base->place_base;
    shell->place = base->place;
    shell->behind = base->behind;
    shell->order_keys = base->order_keys;
    shell->hashes = base->hashes;
    return true;
}

static void select_rows(struct batch *shell, const uint16_t *rows, uint32_t count)
{
    CHECK(count <= shell->capacity);
    memcpy(shell->selection_store, rows, count * sizeof *rows);
    shell->selection = shell->selection_store;
    shell->live = count;
}

bool batch_borrow(struct batch *shell, struct batch *base)
{
    if (!show(shell, base))
        return false;
    if (base->selection != NULL)
        select_rows(shell, base->selection, base->live);
    shell->base = base;
    base->shares++;
    return true;
}

bool batch_lend(struct batch *to, struct batch *base, const uint16_t *rows, uint32_t count)
{
    if (!show(to, base))
        return false;
    if (count < base->rows)
        select_rows(to, rows, count);
    to->lent = base;
    base->shares++;
    return true;
}

void batch_release(struct batch *batch)
{
    struct batch *base;

    if (batch == NULL)
        return;
    if (batch->shares > 0) {
        batch->shares--;
        return;
    }
    base = batch->base;
    batch->base = NULL;
    if (base != NULL)
        batch_release(base);
    if (batch->pool != NULL)
        pool_return(batch->pool, batch, batch->at);
    else
        batch_free(batch);
}

bool column_own(struct batch *batch, struct column *column, const struct mill_type *type)
{
    const uint32_t width = type_width(type);

    *column = (struct column){0};
    if (type->kind == MILL_ROW) {
        column->child_count = type->field_count;
        column->children = arena_array(&batch->bytes, struct column, type->field_count);
        for (uint32_t i = 0; column->children != NULL && i < type->field_count; i++)
            if (!column_own(batch, &column->children[i], &type->fields[i].type))
                return false;
        return column->children != NULL;
    }
    /* 64 spare bytes: kernels may load whole vectors at the end */
    column->values = arena_alloc(&batch->bytes, (size_t)batch->capacity * width + 64);
    return column->values != NULL;
}

bool batch_own_columns(struct batch *batch, const struct mill_schema *schema)
{
    if (batch->columns == NULL && schema->field_count > 0) /* batch_reset() had no memory */
        return false;
    for (uint32_t i = 0; i < schema->field_count; i++)
        if (!column_own(batch, &batch->columns[i], &schema->fields[i].type))
            return false;
    return true;
}

bool column_own_validity(struct batch *batch, struct column *column)
{
    const size_t bytes = (size_t)(batch->capacity + 63) / 64 * 8;

    column->validity = arena_alloc(&batch->bytes, bytes);
    if (column->validity == NULL)
        return false;
    memset(column->validity, 0xff, bytes);
    return true;
}

bool batch_own_kinds(struct batch *batch)
{
    batch->row_kinds = arena_alloc(&batch->bytes, batch->capacity);
    if (batch->row_kinds != NULL)
        memset(batch->row_kinds, ROW_INSERT, batch->capacity);
    return batch->row_kinds != NULL;
}

struct mill_view batch_view(struct batch *batch, const char *data, uint32_t length)
{
    char *copy;

    if (length <= 12)
        return view_of(data, length);
    copy = arena_alloc(&batch->bytes, length);
    if (copy == NULL)
        return (struct mill_view){.length = UINT32_MAX};
    memcpy(copy, data, length);
    return view_of(copy, length);
}

/* ---- appending ---- */

static bool append_validity(struct batch *to, struct column *into, uint32_t at,
                            const struct column *from, const uint16_t *rows, uint32_t count)
{
    if (from->validity == NULL)
        return true;
    if (into->validity == NULL && !column_own_validity(to, into))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!column_valid(from, rows != NULL ? rows[i] : i))
            column_set_null(into, at + i);
    return true;
}

#define APPEND_PLAIN(type)                                                                         \
    {                                                                                              \
        type *out = (type *)into->values + at;                                                     \
        const type *in = from->values;                                                             \
        if (rows != NULL && !from->constant)                                                       \
            for (uint32_t i = 0; i < count; i++)                                                   \
                out[i] = in[rows[i]];                                                              \
        else                                                                                       \
            for (uint32_t i = 0; i < count; i++)                                                   \
                out[i] = in[from->constant ? 0 : i];                                               \
        return true;                                                                               \
    }

/* A row that stands several times in a row, once for each of its partners or elements, is copied once. */
static bool same_bytes(const struct mill_view *view, const char *data, uint32_t length)
{
    return view->far.data == data && view->length == length;
}

static bool append_views(struct batch *to, struct column *into, uint32_t at,
                         const struct column *from, const uint16_t *rows, uint32_t count)
{
    struct mill_view *out = (struct mill_view *)into->values + at;
    const struct mill_view *in = from->values;
    size_t far_bytes = 0;
    const char *last = NULL; /* where the view before was copied from */
    char *next;

    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = rows != NULL ? rows[i] : i;

        out[i] = column_valid(from, row) ? in[from->constant ? 0 : row] : view_of("", 0);
        if (out[i].length > 12 &&
            (i == 0 || !same_bytes(&out[i], out[i - 1].far.data, out[i - 1].length)))
            far_bytes += out[i].length;
    }
    if (far_bytes == 0)
        return true;
    next = arena_alloc(&to->bytes, far_bytes);
    for (uint32_t i = 0; next != NULL && i < count; i++) {
        const struct mill_view view = out[i];

        if (view.length <= 12) {
            last = NULL;
            continue;
        }
        if (last == NULL || !same_bytes(&view, last, out[i - 1].length)) {
            memcpy(next, view.far.data, view.length);
            out[i].far.data = next;
            next += view.length;
        } else {
            out[i].far.data = out[i - 1].far.data;
        }
        last = view.far.data;
    }
    return next != NULL;
}

bool column_gather(struct batch *to, struct column *into, uint32_t at, const struct column *from,
                   const uint16_t *rows, uint32_t count, const struct mill_type *type)
{
    if (!append_validity(to, into, at, from, rows, count))
        return false;
    if (type->kind == MILL_ROW) {
        into->child_count = min_u32(into->child_count, from->child_count); /* nobody reads it */
        for (uint32_t i = 0; i < into->child_count; i++)
            if (!column_gather(to, &into->children[i], at, &from->children[i], rows, count,
                               &type->fields[i].type))
                return false;
        return true;
    }
    if (from->values == NULL) /* nobody reads it: nor what would have stood here */
        into->values = NULL;
    if (into->values == NULL)
        return true;
    switch (type_phys(type)) {
    case PHYS_BOOL:
    case PHYS_I8: APPEND_PLAIN(int8_t)
    case PHYS_I16: APPEND_PLAIN(int16_t)
    case PHYS_F32:
    case PHYS_I32: APPEND_PLAIN(int32_t)
    case PHYS_F64:
    case PHYS_I64: APPEND_PLAIN(int64_t)
    case PHYS_I128: APPEND_PLAIN(int128)
    case PHYS_VIEW: return append_views(to, into, at, from, rows, count);
    default: return true;
    }
}

/* Place, g, hashes and order keys travel with the rows. */
static bool append_side(struct batch *to, const struct batch *from, const uint16_t *rows,
                        uint32_t count)
{
    if (to->place == NULL)
        to->place = arena_alloc(&to->bytes, to->capacity * sizeof *to->place);
    if (to->place == NULL)
        return false;
    if (from->place == NULL && rows != NULL)
        for (uint32_t i = 0; i < count; i++)
            to->place[to->rows + i] = from->place_base + rows[i];
    else
        for (uint32_t i = 0; i < count; i++)
            to->place[to->rows + i] = batch_place(from, rows != NULL ? rows[i] : i);
    if (from->behind != NULL && to->behind == NULL) {
        to->behind = arena_alloc(&to->bytes, to->capacity * sizeof *to->behind);
        for (uint32_t i = 0; to->behind != NULL && i < to->rows; i++)
            to->behind[i] = TIME_MIN;
    }
    if (from->behind != NULL && to->behind == NULL)
        return false;
    for (uint32_t i = 0; to->behind != NULL && i < count; i++)
        to->behind[to->rows + i] =
            from->behind != NULL ? from->behind[rows != NULL ? rows[i] : i] : TIME_MIN;
    if (from->hashes != NULL) {
        if (to->hashes == NULL)
            to->hashes = arena_alloc(&to->bytes, to->capacity * sizeof *to->hashes);
        if (to->hashes == NULL)
            return false;
        for (uint32_t i = 0; i < count; i++)
            to->hashes[to->rows + i] = from->hashes[rows != NULL ? rows[i] : i];
    }
    if (from->order_keys != NULL) {
        struct column keys = {.values = from->order_keys}, out;

        if (to->order_keys == NULL) {
            to->order_keys = arena_alloc(&to->bytes, to->capacity * sizeof *to->order_keys);
            for (uint32_t i = 0; to->order_keys != NULL && i < to->rows; i++)
                to->order_keys[i] = view_of("", 0);
        }
        out = (struct column){.values = to->order_keys};
        if (to->order_keys == NULL || !append_views(to, &out, to->rows, &keys, rows, count))
            return false;
    } else {
        for (uint32_t i = 0; to->order_keys != NULL && i < count; i++)
            to->order_keys[to->rows + i] = view_of("", 0);
    }
    return true;
}

/* Kinds travel with the rows. */
static bool append_kinds(struct batch *to, const struct batch *from, const uint16_t *rows,
                         uint32_t count)
{
    if (from->row_kinds == NULL && to->row_kinds == NULL)
        return true;
    if (to->row_kinds == NULL && !batch_own_kinds(to))
        return false;
    for (uint32_t i = 0; i < count; i++)
        to->row_kinds[to->rows + i] = batch_kind(from, rows != NULL ? rows[i] : i);
    return true;
}

bool column_put(struct batch *to, struct column *into, uint32_t row, const struct column *from,
                uint32_t from_row, const struct mill_type *type)
{
    const uint16_t rows[1] = {(uint16_t)from_row};

    return column_gather(to, into, row, from, rows, 1, type);
}

bool column_put_null(struct batch *to, struct column *into, uint32_t row)
{
    if (into->validity == NULL && !column_own_validity(to, into))
        return false;
    column_set_null(into, row);
    for (uint32_t i = 0; i < into->child_count; i++)
        if (!column_put_null(to, &into->children[i], row))
            return false;
    return true;
}

void column_set_valid(struct column *column, uint32_t row)
{
    if (column->validity != NULL)
        column->validity[row >> 6] |= 1ull << (row & 63);
    for (uint32_t i = 0; i < column->child_count; i++)
        column_set_valid(&column->children[i], row);
}

bool column_same(const struct column *column, uint32_t a, uint32_t b, const struct mill_type *type)
{
    const uint32_t width = type_width(type);
    const char *values = column->values;

    if (column_valid(column, a) != column_valid(column, b))
        return false;
    if (!column_valid(column, a))
        return true;
    if (type_phys(type) == PHYS_VIEW)
        return view_equal((const struct mill_view *)column->values + a,
                          (const struct mill_view *)column->values + b);
    return memcmp(values + (size_t)a * width, values + (size_t)b * width, width) == 0;
}

int batch_append(struct batch *to, const struct batch *from, const uint16_t *rows, uint32_t count,
                 const struct mill_schema *schema)
{
    count = min_u32(count, to->capacity - to->rows);
    if (count == 0)
        return 0;
    CHECK(to->selection == NULL);
    for (uint32_t i = 0; i < schema->field_count; i++)
        if (!column_gather(to, &to->columns[i], to->rows, &from->columns[i], rows, count,
                           &schema->fields[i].type))
            return -1;
    if (!append_kinds(to, from, rows, count) || !append_side(to, from, rows, count))
        return -1;
    to->rows += count;
    to->live = to->rows;
    return (int)count;
}

bool batch_valid(const struct batch *batch, const struct mill_schema *schema)
{
    if (batch->live > batch->rows || batch->rows > BATCH_ROWS_MAX)
        return false;
    if (batch->selection == NULL && batch->live != batch->rows)
        return false;
    for (uint32_t i = 0; batch->selection != NULL && i < batch->live; i++)
        if (batch->selection[i] >= batch->rows ||
            (i > 0 && batch->selection[i] <= batch->selection[i - 1]))
            return false;
    return schema == NULL || batch->column_count == schema->field_count;
}

/* ---- pools ---- */

static bool pool_make_room(struct pool *pool)
{
    const size_t old = pool->room * sizeof(struct batch *);
    struct batch **all = heap_alloc(pool->heap, 2 * old);
    struct batch **free = heap_alloc(pool->heap, 2 * old);

    if (all == NULL || free == NULL) {
        heap_free(pool->heap, all, 2 * old);
        heap_free(pool->heap, free, 2 * old);
        return false;
    }
    memcpy(all, pool->all, old);
    memcpy(free, pool->free, old);
    heap_free(pool->heap, pool->all, old);
    heap_free(pool->heap, pool->free, old);
    pool->all = all;
    pool->free = free;
    pool->room *= 2;
    return true;
}

static struct batch *pool_add(struct pool *pool, uint32_t capacity)
{
    struct batch *batch = batch_new(pool->heap, capacity, 0);

    if (batch == NULL)
        return NULL;
    batch->pool = pool;
    batch->home = batch->at = pool->home;
    pool->all[pool->count++] = batch;
    return batch;
}

static struct pool *pool_make(struct heap *heap, uint32_t room, uint16_t home)
{
    struct pool *pool = heap_zalloc(heap, sizeof *pool);

    if (pool == NULL)
        return NULL;
    pool->heap = heap;
    pool->home = home;
    pool->all = heap_zalloc(heap, room * sizeof(struct batch *));
    pool->free = heap_zalloc(heap, room * sizeof(struct batch *));
    pool->room = room;
    if (pool->all == NULL || pool->free == NULL) {
        pool_free(pool);
        return NULL;
    }
    return pool;
}

struct pool *pool_new(struct heap *heap, uint32_t least, uint32_t most, uint32_t capacity,
                      uint16_t home)
{
    struct pool *pool = pool_make(heap, most, home);

    if (pool == NULL)
        return NULL;
    pool->capacity = capacity;
    pool->most = most;
    for (uint32_t i = 0; i < least; i++) {
        struct batch *batch = pool_add(pool, capacity);

        if (batch == NULL) {
            pool_free(pool);
            return NULL;
        }
        pool->free[pool->free_count++] = batch;
    }
    return pool;
}

struct pool *pool_new_growing(struct heap *heap, uint32_t capacity, uint16_t home)
{
    struct pool *pool = pool_make(heap, 16, home);

    if (pool != NULL) {
        pool->capacity = capacity;
        pool->most = UINT32_MAX;
    }
    return pool;
}

bool pool_share(struct pool *pool, uint32_t shard_count)
{
    uint32_t slots = 1;

    while (slots < pool->most)
        slots *= 2;
    for (; pool->return_count < shard_count; pool->return_count++)
        if (!ring_open(&pool->returns[pool->return_count], pool->heap, slots, 0))
            return false;
    return true;
}

bool pool_exhausted(const struct pool *pool)
{
    return pool->count == pool->most;
}

/* @batch is home: nobody else sees what it showed any more. */
static void pool_home(struct pool *pool, struct batch *batch)
{
    struct batch *lent = batch->lent;

    batch->lent = NULL;
    pool->free[pool->free_count++] = batch;
    batch_release(lent);
}

static void pool_collect(struct pool *pool)
{
    for (uint32_t s = 0; s < pool->return_count; s++) {
        struct batch *batch;

        while ((batch = ring_pop(&pool->returns[s])) != NULL)
            pool_home(pool, batch);
    }
}

struct batch *pool_take(struct pool *pool)
{
    struct batch *batch;

    pool_collect(
        pool); /* each time: what has been lent is soon used again, while a cache still holds it */
    if (pool->free_count == 0) {
        if (pool_exhausted(pool) || (pool->count == pool->room && !pool_make_room(pool)))
            return NULL;
        return pool_add(pool, pool->capacity);
    }
    batch = pool->free[--pool->free_count];
    batch->at = pool->home;
    return batch;
}

void pool_return(struct pool *pool, struct batch *batch, uint16_t by_shard)
{
    if (by_shard == pool->home) {
        pool_home(pool, batch);
        return;
    }
    CHECK(by_shard < pool->return_count);
    CHECK(ring_push(&pool->returns[by_shard], batch)); /* a return ring holds a whole pool */
}

void pool_free(struct pool *pool)
{
    if (pool == NULL)
        return;
    pool_collect(pool);
    CHECK(pool->free_count == pool->count);
    for (uint32_t i = 0; i < pool->count; i++) {
        pool->all[i]->pool = NULL;
        batch_free(pool->all[i]);
    }
    for (uint32_t s = 0; s < pool->return_count; s++)
        ring_close(&pool->returns[s], pool->heap);
    heap_free(pool->heap, pool->all, pool->room * sizeof(struct batch *));
    heap_free(pool->heap, pool->free, pool->room * sizeof(struct batch *));
    heap_free(pool->heap, pool, sizeof *pool);
}
