/* core/state/rows.c - blocks of rows by id. */
#include "core/state/rows.h"

#define SLOTS ROWS_BLOCK
#define BITS_BYTES (SLOTS / 8)

/* ---- layout ---- */

static uint32_t count_cells(const struct mill_type *type)
{
    uint32_t cells = 1;

    for (uint32_t i = 0; type->kind == MILL_ROW && i < type->field_count; i++)
        cells += count_cells(&type->fields[i].type);
    return cells;
}

static struct rows_cell *lay_out(struct row_store *store, struct rows_cell *cell,
                                 const struct mill_type *type)
{
    struct rows_cell *next = cell + 1;

    *cell = (struct rows_cell){.type = *type, .width = type_width(type)};
    cell->offset = store->block_bytes;
    store->block_bytes += ALIGN_UP((size_t)SLOTS * cell->width, (size_t)64);
    cell->nulls = store->block_bytes;
    store->block_bytes += BITS_BYTES;
    for (uint32_t i = 0; type->kind == MILL_ROW && i < type->field_count; i++)
        next = lay_out(store, next, &type->fields[i].type);
    cell->cells = (uint32_t)(next - cell);
    return next;
}

static size_t extra_array(struct row_store *store, enum rows_extra what, size_t width)
{
    const size_t offset = store->block_bytes;

    if ((store->extra & (uint32_t)what) != 0)
        store->block_bytes += SLOTS * width;
    return offset;
}

bool rows_open(struct row_store *store, struct heap *heap, const struct mill_schema *schema,
               const uint32_t *columns, uint32_t count, uint32_t extra)
{
    struct rows_cell *cell;

    *store = (struct row_store){.heap = heap,
                                .column_count = columns != NULL ? count : schema->field_count,
                                .columns = columns,
                                .extra = extra,
                                .block_bytes = SLOTS * sizeof(uint32_t),
                                .free_numbers = ROW_NONE,
                                .roomy = ROW_NONE,
                                .open = ROW_NONE};
    store->times = extra_array(store, ROWS_TIME, 8);
    store->steps = extra_array(store, ROWS_PLACE, 8);
    store->places = extra_array(store, ROWS_PLACE, 4);
    store->marks = extra_array(store, ROWS_MARK, 4);
    for (uint32_t c = 0; c < store->column_count; c++)
        store->cell_count += count_cells(&schema->fields[columns != NULL ? columns[c] : c].type);
    store->first_cell = heap_alloc(heap, (store->column_count + 1) * sizeof *store->first_cell);
    store->cells = heap_alloc(heap, (store->cell_count + 1) * sizeof *store->cells);
    if (store->first_cell == NULL || store->cells == NULL) {
        rows_close(store);
        return false;
    }
    cell = store->cells;
    for (uint32_t c = 0; c < store->column_count; c++) {
        store->first_cell[c] = (uint32_t)(cell - store->cells);
        cell = lay_out(store, cell, &schema->fields[columns != NULL ? columns[c] : c].type);
    }
    return true;
}

/* ---- blocks ---- */

static void roomy_add(struct row_store *store, uint32_t b)
{
    struct rows_block *block = &store->blocks[b];

    block->with_room = true;
    block->before = ROW_NONE;
    block->after = store->roomy;
    if (store->roomy != ROW_NONE)
        store->blocks[store->roomy].before = b;
    store->roomy = b;
}

static void roomy_remove(struct row_store *store, uint32_t b)
{
    struct rows_block *block = &store->blocks[b];

    if (!block->with_room)
        return;
    block->with_room = false;
    if (block->before != ROW_NONE)
        store->blocks[block->before].after = block->after;
    else
        store->roomy = block->after;
    if (block->after != ROW_NONE)
        store->blocks[block->after].before = block->before;
}

static void data_free(struct row_store *store, char *data)
{
    if (store->spare == NULL)
        store->spare = data;
    else
        heap_free(store->heap, data, store->block_bytes);
}

static void block_free(struct row_store *store, uint32_t b)
{
    roomy_remove(store, b);
    arena_close(&store->blocks[b].bytes);
    data_free(store, store->data[b]);
    store->data[b] = NULL;
    store->blocks_held--;
    store->blocks[b].after = store->free_numbers;
    store->free_numbers = b;
    if (store->open == b)
        store->open = ROW_NONE;
}

static bool grow_numbers(struct row_store *store)
{
    const uint32_t room = max_u32(8, store->block_room * 2), old = store->block_room;
    struct rows_block *blocks;
    char **data;

    if (room > ROW_NONE / SLOTS) /* 4,194,303 blocks: ids end */
        return false;
    data = heap_alloc(store->heap, room * sizeof *data);
    blocks = heap_alloc(store->heap, room * sizeof *blocks);
    if (data == NULL || blocks == NULL) {
        heap_free(store->heap, data, room * sizeof *data);
        heap_free(store->heap, blocks, room * sizeof *blocks);
        return false;
    }
    if (old > 0) {
        memcpy(data, store->data, old * sizeof *data);
        memcpy(blocks, store->blocks, old * sizeof *blocks);
    }
    heap_free(store->heap, store->data, old * sizeof *data);
    heap_free(store->heap, store->blocks, old * sizeof *blocks);
    store->data = data;
    store->blocks = blocks;
    store->block_room = room;
    return true;
}

/* Values that nobody reads are never written: they stand as zeros. */
static bool block_new(struct row_store *store)
{
    char *data = store->spare;
    uint32_t b = store->free_numbers;

    if (b == ROW_NONE && store->block_count == store->block_room && !grow_numbers(store))
        return false;
    if (data == NULL)
        data = heap_zalloc(store->heap, store->block_bytes);
    else
        memset(data, 0, store->block_bytes);
    if (data == NULL)
        return false;
    store->spare = NULL;
    if (b == ROW_NONE)
        b = store->block_count++;
    else
        store->free_numbers = store->blocks[b].after;
    store->data[b] = data;
    store->blocks[b] = (struct rows_block){.before = ROW_NONE, .after = ROW_NONE};
    arena_open(&store->blocks[b].bytes, store->heap);
    store->blocks_held++;
    store->open = b;
    store->cursor = 0;
    return true;
}

static inline bool slot_used(const struct rows_block *block, uint32_t slot)
{
    return (block->used[slot >> 6] >> (slot & 63) & 1) != 0;
}

/* Texts of live rows that do not lie in their views: their bytes; they move to @to unless it is NULL. */
static size_t far_texts(struct row_store *store, uint32_t b, char *to)
{
    const struct rows_block *block = &store->blocks[b];
    size_t bytes = 0;

    for (uint32_t c = 0; c < store->cell_count; c++) {
        struct mill_view *views = (struct mill_view *)(store->data[b] + store->cells[c].offset);

        if (type_phys(&store->cells[c].type) != PHYS_VIEW)
            continue;
        for (uint32_t s = 0; s < SLOTS; s++) {
            if (!slot_used(block, s) || views[s].length <= 12)
                continue;
            if (to != NULL) {
                memcpy(to + bytes, views[s].far.data, views[s].length);
                views[s].far.data = to + bytes;
            }
            bytes += views[s].length;
        }
    }
    return bytes;
}

/* Texts of dead rows leave the arena. */
static bool tidy_texts(struct row_store *store, uint32_t b)
{
    struct rows_block *block = &store->blocks[b];
    struct arena fresh;
    char *to;

    if (block->bytes.bytes == 0)
        return true;
    arena_open(&fresh, store->heap);
    to = arena_alloc(&fresh, far_texts(store, b, NULL) + 1);
    if (to == NULL)
        return false;
    far_texts(store, b, to);
    arena_close(&block->bytes);
    block->bytes = fresh;
    return true;
}

/* A block that has room takes the next rows. */
static bool open_next(struct row_store *store)
{
    const uint32_t full = store->open;

    store->open = ROW_NONE;
    if (full != ROW_NONE && store->blocks[full].live <= SLOTS / 2)
        roomy_add(store, full);
    if (store->roomy != ROW_NONE) {
        const uint32_t b = store->roomy;

        if (!tidy_texts(store, b))
            return false;
        roomy_remove(store, b);
        store->open = b;
        store->cursor = 0;
        return true;
    }
    return block_new(store);
}

/* Up to @count free slots of the open block; 0: it is full. */
static uint32_t take_slots(struct row_store *store, uint32_t count, uint16_t *slots)
{
    struct rows_block *block = &store->blocks[store->open];
    uint32_t n = 0, slot = store->cursor;

    for (; n < count && slot < SLOTS; slot++)
        if (!slot_used(block, slot)) {
            block->used[slot >> 6] |= 1ull << (slot & 63);
            slots[n++] = (uint16_t)slot;
        }
    store->cursor = slot;
    block->live += n;
    store->rows += n;
    return n;
}

void rows_free(struct row_store *store, const uint32_t *ids, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t b = ids[i] >> ROWS_BLOCK_BITS, slot = ids[i] % SLOTS;
        struct rows_block *block = &store->blocks[b];

        ASSERT(slot_used(block, slot));
        block->used[slot >> 6] &= ~(1ull << (slot & 63));
        store->rows--;
        if (--block->live == 0)
            block_free(store, b);
        else if (b != store->open && block->live == SLOTS / 2)
            roomy_add(store, b);
    }
}

void rows_reset(struct row_store *store)
{
    store->free_numbers = store->roomy = store->open = ROW_NONE;
    for (uint32_t b = 0; b < store->block_count; b++)
        if (store->data[b] != NULL) {
            arena_close(&store->blocks[b].bytes);
            data_free(store, store->data[b]);
        }
    store->block_count = store->blocks_held = 0;
    store->rows = 0;
}

void rows_close(struct row_store *store)
{
    if (store->heap == NULL)
        return;
    rows_reset(store);
    heap_free(store->heap, store->spare, store->block_bytes);
    heap_free(store->heap, store->data, store->block_room * sizeof *store->data);
    heap_free(store->heap, store->blocks, store->block_room * sizeof *store->blocks);
    heap_free(store->heap, store->first_cell,
              (store->column_count + 1) * sizeof *store->first_cell);
    heap_free(store->heap, store->cells, (store->cell_count + 1) * sizeof *store->cells);
    *store = (struct row_store){0};
}

uint64_t rows_bytes(const struct row_store *store)
{
    uint64_t bytes = (uint64_t)(store->blocks_held + (store->spare != NULL)) * store->block_bytes;

    for (uint32_t b = 0; b < store->block_count; b++)
        bytes += store->data[b] != NULL ? store->blocks[b].bytes.bytes : 0;
    return bytes + (uint64_t)store->block_room * (sizeof *store->data + sizeof *store->blocks);
}

/* ---- rows in ---- */

/* Rows of a batch that go to slots of one block. */
struct moved {
    struct row_store *store;
    struct arena *bytes; /* of the block */
    char *data;
    const uint16_t *slots;
    const uint16_t *rows; /* NULL: first, first + 1, ... */
    uint32_t first, count;
};

static inline uint32_t moved_row(const struct moved *m, uint32_t i)
{
    return m->rows != NULL ? m->rows[i] : m->first + i;
}

static inline void set_bit(uint64_t *bits, uint32_t slot, bool value)
{
    bits[slot >> 6] = (bits[slot >> 6] & ~(1ull << (slot & 63))) | (uint64_t)value << (slot & 63);
}

static void put_nulls(const struct moved *m, struct rows_cell *cell, const struct column *from)
{
    uint64_t *bits = (uint64_t *)(m->data + cell->nulls);

    if (from->validity == NULL && !cell->any_null)
        return;
    for (uint32_t i = 0; i < m->count; i++) {
        const bool null = !column_valid(from, moved_row(m, i));

        cell->any_null |= null;
        set_bit(bits, m->slots[i], null);
    }
}

static bool put_texts(const struct moved *m, const struct rows_cell *cell,
                      const struct column *from)
{
    struct mill_view *to = (struct mill_view *)(m->data + cell->offset);
    const struct mill_view *in = from->values;
    size_t bytes = 0;
    char *next;

    for (uint32_t i = 0; i < m->count; i++) {
        const uint32_t row = moved_row(m, i);
        struct mill_view *view = &to[m->slots[i]];

        *view = column_valid(from, row) ? in[from->constant ? 0 : row] : view_of("", 0);
        bytes += view->length > 12 ? view->length : 0;
    }
    if (bytes == 0)
        return true;
    next = arena_alloc(m->bytes, bytes);
    for (uint32_t i = 0; i < m->count; i++) {
        struct mill_view *view = &to[m->slots[i]];

        if (view->length <= 12)
            continue;
        if (next == NULL) { /* nothing of the batch stays in here */
            *view = view_of("", 0);
            continue;
        }
        memcpy(next, view->far.data, view->length);
        view->far.data = next;
        next += view->length;
    }
    return next != NULL;
}

#define PUT_PLAIN(type)                                                                            \
    {                                                                                              \
        type *to = (type *)(m->data + cell->offset);                                               \
        const type *in = from->values;                                                             \
        for (uint32_t i = 0; i < m->count; i++)                                                    \
            to[m->slots[i]] = in[from->constant ? 0 : moved_row(m, i)];                            \
        return true;                                                                               \
    }

static bool put_column(const struct moved *m, struct rows_cell *cell, const struct column *from)
{
    put_nulls(m, cell, from);
    if (cell->width == 0) {
        struct rows_cell *child = cell + 1;

        for (uint32_t i = 0; i < cell->type.field_count; i++) {
            if (!put_column(m, child, &from->children[i]))
                return false;
            child += child->cells;
        }
        return true;
    }
    if (from->values == NULL) /* nobody reads it */
        return true;
    if (type_phys(&cell->type) == PHYS_VIEW)
        return put_texts(m, cell, from);
    switch (cell->width) {
    case 1: PUT_PLAIN(int8_t)
    case 2: PUT_PLAIN(int16_t)
    case 4: PUT_PLAIN(int32_t)
    case 8: PUT_PLAIN(int64_t)
    default: CHECK(cell->width == 16); PUT_PLAIN(int128)
    }
}

static void put_extras(const struct moved *m, const struct batch *batch)
{
    const struct row_store *store = m->store;

    for (uint32_t i = 0; (store->extra & ROWS_PLACE) != 0 && i < m->count; i++) {
        ((uint64_t *)(m->data + store->steps))[m->slots[i]] = batch->step;
        ((uint32_t *)(m->data + store->places))[m->slots[i]] = batch_place(batch, moved_row(m, i));
    }
    for (uint32_t i = 0; (store->extra & ROWS_MARK) != 0 && i < m->count; i++)
        ((uint32_t *)(m->data + store->marks))[m->slots[i]] = 0;
}

/* As many as the open block takes; 0: no memory. */
static uint32_t append_some(struct row_store *store, const struct batch *batch,
                            const uint16_t *rows, uint32_t first, uint32_t count, uint32_t *ids)
{
    uint16_t slots[SLOTS];
    struct moved m = {.store = store,
                      .slots = slots,
                      .rows = rows != NULL ? rows + first : NULL,
                      .first = first};
    bool ok = true;

    if (store->open == ROW_NONE && !open_next(store))
        return 0;
    while (m.count == 0) {
        m.count = take_slots(store, min_u32(count, SLOTS), slots);
        if (m.count == 0 && !open_next(store))
            return 0;
    }
    m.data = store->data[store->open];
    m.bytes = &store->blocks[store->open].bytes;
    for (uint32_t i = 0; i < m.count; i++)
        ids[i] = store->open << ROWS_BLOCK_BITS | slots[i];
    for (uint32_t c = 0; c < store->column_count && ok; c++)
        ok = put_column(&m, &store->cells[store->first_cell[c]],
                        &batch->columns[store->columns != NULL ? store->columns[c] : c]);
    if (!ok) {
        rows_free(store, ids, m.count);
        return 0;
    }
    put_extras(&m, batch);
    return m.count;
}

bool rows_append(struct row_store *store, const struct batch *batch, const uint16_t *rows,
                 uint32_t count, uint32_t *ids)
{
    for (uint32_t done = 0; done < count;) {
        const uint32_t n = append_some(store, batch, rows, done, count - done, ids + done);

        if (n == 0) {
            rows_free(store, ids, done);
            return false;
        }
        done += n;
    }
    return true;
}

/* ---- rows out ---- */

static inline bool is_null(const char *data, const struct rows_cell *cell, uint32_t slot)
{
    return (((const uint64_t *)(data + cell->nulls))[slot >> 6] >> (slot & 63) & 1) != 0;
}

static bool gather_nulls(const struct row_store *store, const struct rows_cell *cell,
                         const uint32_t *ids, uint32_t count, struct batch *to, struct column *into,
                         uint32_t at)
{
    for (uint32_t i = 0; i < count; i++) {
        if (ids[i] != ROW_NONE && !is_null(rows_data(store, ids[i]), cell, ids[i] % SLOTS))
            continue;
        if (into->validity == NULL && !column_own_validity(to, into))
            return false;
        column_set_null(into, at + i);
    }
    return true;
}

static bool gather_texts(const struct row_store *store, const struct rows_cell *cell,
                         const uint32_t *ids, uint32_t count, struct batch *to, struct column *into,
                         uint32_t at)
{
    struct mill_view *out = (struct mill_view *)into->values + at;
    size_t bytes = 0;
    char *next;

    for (uint32_t i = 0; i < count; i++) {
        out[i] = ids[i] != ROW_NONE ? ((const struct mill_view *)(rows_data(store, ids[i]) +
                                                                  cell->offset))[ids[i] % SLOTS]
                                    : view_of("", 0);
        if (out[i].length > 12) {
            bytes += out[i].length;
            __builtin_prefetch(out[i].far.data);
        }
    }
    if (bytes == 0)
        return true;
    next = arena_alloc(&to->bytes, bytes);
    for (uint32_t i = 0; next != NULL && i < count; i++)
        if (out[i].length > 12) {
            memcpy(next, out[i].far.data, out[i].length);
            out[i].far.data = next;
            next += out[i].length;
        }
    return next != NULL;
}

/* The loads do not wait for each other: many are under way at once. */
#define GATHER_PLAIN(type)                                                                         \
    {                                                                                              \
        type *out = (type *)into->values + at;                                                     \
        for (uint32_t i = 0; i < count; i++)                                                       \
            out[i] =                                                                               \
                ids[i] != ROW_NONE                                                                 \
                    ? ((const type *)(rows_data(store, ids[i]) + cell->offset))[ids[i] % SLOTS]    \
                    : 0;                                                                           \
        return true;                                                                               \
    }

static bool gather_cell(const struct row_store *store, const struct rows_cell *cell,
                        const uint32_t *ids, uint32_t count, bool padded, struct batch *to,
                        struct column *into, uint32_t at)
{
    if ((cell->any_null || padded) && !gather_nulls(store, cell, ids, count, to, into, at))
        return false;
    if (cell->width == 0) {
        const struct rows_cell *child = cell + 1;

        for (uint32_t i = 0; i < cell->type.field_count; i++) {
            if (!gather_cell(store, child, ids, count, padded, to, &into->children[i], at))
                return false;
            child += child->cells;
        }
        return true;
    }
    if (type_phys(&cell->type) == PHYS_VIEW)
        return gather_texts(store, cell, ids, count, to, into, at);
    switch (cell->width) {
    case 1: GATHER_PLAIN(int8_t)
    case 2: GATHER_PLAIN(int16_t)
    case 4: GATHER_PLAIN(int32_t)
    case 8: GATHER_PLAIN(int64_t)
    default: CHECK(cell->width == 16); GATHER_PLAIN(int128)
    }
}

bool rows_gather(const struct row_store *store, const uint32_t *ids, uint32_t count,
                 uint32_t column, struct batch *to, struct column *into, uint32_t at)
{
    bool padded = false;

    for (uint32_t i = 0; i < count; i++)
        padded |= ids[i] == ROW_NONE;
    return gather_cell(store, &store->cells[store->first_cell[column]], ids, count, padded, to,
                       into, at);
}

static bool cell_equal(const char *data, const struct rows_cell *cell, uint32_t slot,
                       const struct column *c, uint32_t row)
{
    const bool valid = !is_null(data, cell, slot);
    const char *kept = data + cell->offset + (size_t)slot * cell->width, *value;

    if (valid != column_valid(c, row))
        return false;
    if (!valid)
        return true;
    if (cell->width == 0) {
        const struct rows_cell *child = cell + 1;

        for (uint32_t i = 0; i < cell->type.field_count; i++) {
            if (!cell_equal(data, child, slot, &c->children[i], row))
                return false;
            child += child->cells;
        }
        return true;
    }
    if (c->values == NULL)
        return true;
    value = (const char *)c->values + (size_t)(c->constant ? 0 : row) * cell->width;
    if (type_phys(&cell->type) == PHYS_VIEW)
        return view_equal((const struct mill_view *)kept, (const struct mill_view *)value);
    return memcmp(kept, value, cell->width) == 0;
}

bool rows_equal(const struct row_store *store, uint32_t id, const struct batch *batch, uint32_t row)
{
    for (uint32_t c = 0; c < store->column_count; c++)
        if (!cell_equal(rows_data(store, id), &store->cells[store->first_cell[c]], id % SLOTS,
                        &batch->columns[store->columns != NULL ? store->columns[c] : c], row))
            return false;
    return true;
}

/* ---- snapshots ---- */

void rows_save(const struct row_store *store, uint32_t id, struct snapshot_writer *to)
{
    const char *data = rows_data(store, id);
    const uint32_t slot = id % SLOTS;

    if ((store->extra & ROWS_TIME) != 0)
        snapshot_u64(to, (uint64_t)*rows_time(store, id));
    if ((store->extra & ROWS_PLACE) != 0) {
        snapshot_u64(to, *rows_step(store, id));
        snapshot_u32(to, *rows_place(store, id));
    }
    if ((store->extra & ROWS_MARK) != 0)
        snapshot_u32(to, *rows_mark(store, id));
    for (uint32_t c = 0; c < store->cell_count; c++) {
        const struct rows_cell *cell = &store->cells[c];
        const bool valid = !is_null(data, cell, slot);
        const char *value = data + cell->offset + (size_t)slot * cell->width;

        snapshot_u8(to, valid);
        if (!valid || cell->width == 0)
            continue;
        if (type_phys(&cell->type) == PHYS_VIEW)
            snapshot_view(to, (const struct mill_view *)value);
        else
            snapshot_put(to, value, cell->width);
    }
}

static bool cell_restore(struct row_store *store, struct rows_cell *cell, uint32_t b, uint32_t slot,
                         struct snapshot_reader *from)
{
    const bool valid = snapshot_get_u8(from) != 0;
    char *value = store->data[b] + cell->offset + (size_t)slot * cell->width;

    set_bit((uint64_t *)(store->data[b] + cell->nulls), slot, !valid);
    cell->any_null |= !valid;
    memset(value, 0, cell->width);
    if (!valid || cell->width == 0)
        return true;
    if (type_phys(&cell->type) == PHYS_VIEW) {
        struct mill_view view = snapshot_get_view(from);

        if (view.length > 12) {
            char *copy = arena_alloc(&store->blocks[b].bytes, view.length);

            if (copy == NULL)
                return false;
            memcpy(copy, view.far.data, view.length);
            view.far.data = copy;
        }
        memcpy(value, &view, sizeof view);
    } else {
        snapshot_get(from, value, cell->width);
    }
    return true;
}

uint32_t rows_restore(struct row_store *store, struct snapshot_reader *from)
{
    uint16_t slot;
    uint32_t id;
    bool ok = true;

    if (store->open == ROW_NONE && !open_next(store))
        return ROW_NONE;
    while (take_slots(store, 1, &slot) == 0)
        if (!open_next(store))
            return ROW_NONE;
    id = store->open << ROWS_BLOCK_BITS | slot;
    if ((store->extra & ROWS_TIME) != 0)
        *rows_time(store, id) = (int64_t)snapshot_get_u64(from);
    if ((store->extra & ROWS_PLACE) != 0) {
        *rows_step(store, id) = snapshot_get_u64(from);
        *rows_place(store, id) = snapshot_get_u32(from);
    }
    if ((store->extra & ROWS_MARK) != 0)
        *rows_mark(store, id) = snapshot_get_u32(from);
    for (uint32_t c = 0; c < store->cell_count && ok; c++)
        ok = cell_restore(store, &store->cells[c], store->open, slot, from);
    if (ok && !from->failed)
        return id;
    rows_free(store, &id, 1);
    return ROW_NONE;
}

bool rows_valid(const struct row_store *store)
{
    uint64_t rows = 0;
    uint32_t held = 0;

    for (uint32_t b = 0; b < store->block_count; b++) {
        const struct rows_block *block = &store->blocks[b];
        uint32_t live = 0;

        if (store->data[b] == NULL)
            continue;
        for (uint32_t w = 0; w < COUNT_OF(block->used); w++)
            live += (uint32_t)__builtin_popcountll(block->used[w]);
        if (live != block->live || (live == 0 && b != store->open) ||
            block->with_room != (b != store->open && live <= SLOTS / 2))
            return false;
        rows += live;
        held++;
    }
    return rows == store->rows && held == store->blocks_held;
}

/* ---- chains ---- */

void chain_push_all(const struct row_store *store, struct row_chain *const *chains,
                    const uint32_t *ids, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        chain_push(store, chains[i], ids[i]);
}

void chain_free(struct row_store *store, struct row_chain *chain)
{
    while (chain->count > 0) {
        const uint32_t id = chain_take(store, chain, ROW_NONE);

        rows_free(store, &id, 1);
    }
}

void chain_save(const struct row_store *store, const struct row_chain *chain,
                struct snapshot_writer *to)
{
    snapshot_u32(to, chain->count);
    for (uint32_t id = chain->head; id != ROW_NONE; id = *rows_next(store, id))
        rows_save(store, id, to);
}

bool chain_restore(struct row_store *store, struct row_chain *chain, struct snapshot_reader *from)
{
    const uint32_t count = snapshot_get_u32(from);

    chain_open(chain);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t id = rows_restore(store, from);

        if (id == ROW_NONE)
            return false;
        chain_push(store, chain, id);
    }
    return !from->failed;
}

bool chain_valid(const struct row_store *store, const struct row_chain *chain)
{
    uint32_t count = 0, last = ROW_NONE;

    for (uint32_t id = chain->head; id != ROW_NONE; id = *rows_next(store, id)) {
        const uint32_t b = id >> ROWS_BLOCK_BITS;

        if (b >= store->block_count || store->data[b] == NULL ||
            !slot_used(&store->blocks[b], id % SLOTS) || count == chain->count)
            return false;
        last = id;
        count++;
    }
    return count == chain->count && last == chain->tail;
}
