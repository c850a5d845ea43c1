/* core/ops/match_rows.c - rows of a MATCH_RECOGNIZE as records; the rows that a partition keeps. */
#include "core/ops/match_impl.h"

/* ---- which columns ---- */

static void mark(bool *kept, const struct match_item *items, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (items[i].kind == ITEM_VALUE)
            kept[items[i].column] = true;
        if (items[i].kind == ITEM_AGGREGATE && items[i].agg.arg >= 0)
            kept[items[i].agg.arg] = true;
    }
}

static uint32_t leaves_of(const struct mill_type *type)
{
    return 1 + type_fields_below(type);
}

static uint32_t leaf_add(struct match_layout *l, uint32_t column, int32_t parent, uint32_t child,
                         const struct mill_type *type)
{
    const uint32_t at = l->leaf_count++;
    struct match_leaf *leaf = &l->leaves[at];

    *leaf = (struct match_leaf){.column = column,
                                .parent = parent,
                                .child = child,
                                .phys = type_phys(type),
                                .null_bit = at,
                                .width = type_width(type)};
    l->far = l->far || leaf->phys == PHYS_VIEW;
    for (uint32_t i = 0; type->kind == MILL_ROW && i < type->field_count; i++)
        leaf_add(l, column, (int32_t)at, i, &type->fields[i].type);
    return at;
}

bool match_layout_open(struct match_layout *layout, struct heap *heap,
                       const struct match_node *node, const struct mill_schema *input)
{
    bool kept[COLUMNS_MAX + 1] = {false};
    uint32_t count = 0, at;

    mark(kept, node->define_items, node->define_item_count);
    mark(kept, node->items, node->item_count);
    for (uint32_t i = 0; node->all_rows && i < node->pass_count; i++)
        kept[i] = true;
    for (uint32_t i = 0; i < input->field_count; i++)
        count += leaves_of(&input->fields[i].type);
    layout->leaves = heap_zalloc(heap, (count + 1) * sizeof *layout->leaves);
    layout->leaf_of = heap_alloc(heap, (input->field_count + 1) * sizeof *layout->leaf_of);
    if (layout->leaves == NULL || layout->leaf_of == NULL)
        return false;
    for (uint32_t i = 0; i < input->field_count; i++)
        layout->leaf_of[i] =
            kept[i] ? (int32_t)leaf_add(layout, i, -1, 0, &input->fields[i].type) : -1;
    at = (uint32_t)sizeof(struct match_row) + (layout->leaf_count + 63) / 64 * 8;
    for (uint32_t i = 0; i < layout->leaf_count; i++) {
        layout->leaves[i].slot = at;
        at += layout->leaves[i].width > 8 ? 16 : layout->leaves[i].width > 0 ? 8 : 0;
    }
    layout->bytes = at;
    layout->columns = heap_alloc(heap, (layout->leaf_count + 1) * sizeof(struct column *));
    return layout->columns != NULL;
}

void match_layout_close(struct match_layout *layout, struct heap *heap,
                        const struct mill_schema *input)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < input->field_count; i++)
        count += leaves_of(&input->fields[i].type);
    heap_free(heap, layout->leaves, (count + 1) * sizeof *layout->leaves);
    heap_free(heap, layout->columns, (layout->leaf_count + 1) * sizeof(struct column *));
    heap_free(heap, layout->leaf_of, (input->field_count + 1) * sizeof *layout->leaf_of);
}

/* ---- batch to records ---- */

#define PUT(type, slot_type)                                                                       \
    for (uint32_t i = 0; i < count; i++) {                                                         \
        const slot_type v = ((const type *)c->values)[c->constant ? 0 : rows[i]];                  \
        memcpy(to + (size_t)i * bytes, &v, sizeof v);                                              \
    }                                                                                              \
    break

static void put_values(const struct column *c, enum phys phys, const uint16_t *rows, uint32_t count,
                       char *to, uint32_t bytes)
{
    if (c->values == NULL) /* nobody reads it */
        return;
    switch (phys) {
    case PHYS_BOOL: PUT(uint8_t, int64_t);
    case PHYS_I8: PUT(int8_t, int64_t);
    case PHYS_I16: PUT(int16_t, int64_t);
    case PHYS_I32: PUT(int32_t, int64_t);
    case PHYS_F32: PUT(float, double);
    case PHYS_I64:
    case PHYS_F64: PUT(int64_t, int64_t);
    case PHYS_I128: PUT(int128, int128);
    case PHYS_VIEW: PUT(struct mill_view, struct mill_view);
    default: break;
    }
}
#undef PUT

static void put_nulls(const struct column *c, const struct match_leaf *leaf, const uint16_t *rows,
                      uint32_t count, char *records, uint32_t bytes)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t *nulls = (uint64_t *)((struct match_row *)(records + (size_t)i * bytes) + 1);

        if (!column_valid(c, rows[i]))
            nulls[leaf->null_bit >> 6] |= 1ull << (leaf->null_bit & 63);
    }
}

void match_rows_put(const struct match_op *m, const struct batch *batch, const uint16_t *rows,
                    uint32_t count, char *records)
{
    const struct match_layout *l = &m->layout;
    const struct column **columns = l->columns;

    memset(records, 0, (size_t)count * l->bytes);
    for (uint32_t i = 0; i < l->leaf_count; i++) {
        const struct match_leaf *leaf = &l->leaves[i];
        const struct column *c = leaf->parent < 0 ? &batch->columns[leaf->column]
                                                  : &columns[leaf->parent]->children[leaf->child];

        columns[i] = c;
        put_values(c, leaf->phys, rows, count, records + leaf->slot, l->bytes);
        if (c->validity != NULL)
            put_nulls(c, leaf, rows, count, records, l->bytes);
    }
    for (uint32_t v = 0; v < m->node->variable_count; v++) {
        const int32_t at = m->node->defines[v].column;
        const struct column *c = at >= 0 ? &batch->columns[at] : NULL;

        for (uint32_t i = 0; c != NULL && i < count; i++)
            if (column_valid(c, rows[i]) &&
                ((const uint8_t *)c->values)[c->constant ? 0 : rows[i]] != 0)
                ((struct match_row *)(records + (size_t)i * l->bytes))->truth |= 1ull << v;
    }
}

/* ---- records to a batch ---- */

#define GET(type, slot_type)                                                                       \
    {                                                                                              \
        slot_type v;                                                                               \
        memcpy(&v, slot, sizeof v);                                                                \
        ((type *)into->values)[to] = (type)v;                                                      \
        return true;                                                                               \
    }

static bool leaf_get(const struct match_op *m, const struct match_row *row, uint32_t at,
                     struct batch *batch, struct column *into, uint32_t to)
{
    const struct match_leaf *leaf = &m->layout.leaves[at];
    const char *slot = (const char *)row + leaf->slot;
    struct mill_view view;

    if (match_row_null(row, leaf))
        return column_put_null(batch, into, to);
    switch (leaf->phys) {
    case PHYS_BOOL:
    case PHYS_I8: GET(int8_t, int64_t)
    case PHYS_I16: GET(int16_t, int64_t)
    case PHYS_I32: GET(int32_t, int64_t)
    case PHYS_F32: GET(float, double)
    case PHYS_I64: GET(int64_t, int64_t)
    case PHYS_F64: GET(double, double)
    case PHYS_I128: GET(int128, int128)
    case PHYS_VIEW:
        memcpy(&view, slot, sizeof view);
        view = batch_view(batch, mill_view_data(&view), view.length);
        ((struct mill_view *)into->values)[to] = view;
        return view.length != UINT32_MAX;
    default: break;
    }
    for (uint32_t i = at + 1, child = 0; child < into->child_count; i++)
        if (m->layout.leaves[i].parent == (int32_t)at &&
            !leaf_get(m, row, i, batch, &into->children[child++], to))
            return false;
    return true;
}
#undef GET

bool match_row_get(const struct match_op *m, const struct match_row *row, uint32_t column,
                   struct batch *batch, struct column *into, uint32_t to)
{
    if (row == NULL)
        return column_put_null(batch, into, to);
    return leaf_get(m, row, (uint32_t)m->layout.leaf_of[column], batch, into, to);
}

/* ---- what hangs off a record ---- */

static struct mill_view *far_view(const struct match_op *m, struct match_row *row, uint32_t leaf)
{
    const struct match_leaf *l = &m->layout.leaves[leaf];
    struct mill_view *view = (struct mill_view *)(void *)((char *)row + l->slot);

    return l->phys == PHYS_VIEW && !match_row_null(row, l) && view->length > 12 ? view : NULL;
}

static void row_free(struct match_op *m, struct match_row *row)
{
    if (row->key != NULL)
        heap_free(m->op.heap, row->key, row->key_bytes);
    for (uint32_t i = 0; m->layout.far && i < m->layout.leaf_count; i++) {
        struct mill_view *view = far_view(m, row, i);

        if (view != NULL)
            heap_free(m->op.heap, (void *)(uintptr_t)view->far.data, view->length);
    }
}

/* Own copies of the texts and the key. */
static bool row_own(struct match_op *m, struct match_row *row)
{
    char *copy = row->key;
    bool ok = true;

    if (copy != NULL) {
        row->key = heap_alloc(m->op.heap, row->key_bytes);
        ok = row->key != NULL;
        if (ok)
            memcpy(row->key, copy, row->key_bytes);
    }
    for (uint32_t i = 0; m->layout.far && i < m->layout.leaf_count; i++) {
        struct mill_view *view = far_view(m, row, i);

        if (view == NULL)
            continue;
        copy = ok ? heap_alloc(m->op.heap, view->length) : NULL;
        if (copy == NULL) {
            ok = false;
            *view = view_of("", 0);
            continue;
        }
        memcpy(copy, view->far.data, view->length);
        view->far.data = copy;
    }
    return ok;
}

/* ---- the rows of a partition ---- */

#define SLAB_ENTRIES 512u

/* An empty one for a group that the table has added. */
bool match_partition_new(struct match_op *m, uint32_t group)
{
    struct match_partition *p;

    if (m->slabs == NULL || m->slab_used == SLAB_ENTRIES) {
        const size_t bytes = sizeof(struct match_slab) + SLAB_ENTRIES * (size_t)m->entry_bytes;
        struct match_slab *slab = heap_alloc(m->op.heap, bytes);

        if (slab == NULL)
            return false;
        slab->next = m->slabs;
        slab->bytes = bytes;
        m->slabs = slab;
        m->slab_used = 0;
    }
    p = (struct match_partition *)(void *)(m->slabs->entries +
                                           m->slab_used++ * (size_t)m->entry_bytes);
    *p = (struct match_partition){.room = 1, .thread_room = 1, .group = group};
    *(struct match_partition **)table_state(&m->table, group) = p;
    return true;
}

static bool make_room(struct match_op *m, struct match_partition *p)
{
    const size_t bytes = m->layout.bytes;
    char *rows = match_rows(m, p);

    if (p->head > 0 && (p->head >= p->room / 2 || p->room == 1)) {
        memmove(rows, rows + p->head * bytes, p->count * bytes);
        p->head = 0;
        return true;
    }
    if (p->room > UINT32_MAX / 2)
        return false;
    if (p->rows == NULL) {
        p->rows = heap_alloc(m->op.heap, 4 * bytes);
        if (p->rows == NULL)
            return false;
        memcpy(p->rows, rows + p->head * bytes, p->count * bytes);
        p->head = 0;
        p->room = 4;
        return true;
    }
    rows = heap_grow(m->op.heap, p->rows, p->room * bytes, (size_t)p->room * 2 * bytes);
    if (rows == NULL)
        return false;
    p->rows = rows;
    p->room *= 2;
    return true;
}

bool match_partition_add(struct match_op *m, struct match_partition *p, const char *record)
{
    struct match_row *row;

    if (p->head + p->count == p->room && !make_room(m, p))
        return false;
    row = match_row(m, p, p->count);
    memcpy(row, record, m->layout.bytes);
    p->count++;
    return (row->key == NULL && !m->layout.far) || row_own(m, row);
}

void match_partition_drop(struct match_op *m, struct match_partition *p, uint32_t count)
{
    if (m->layout.far || m->node->order_count > 0 || m->emitter.keyed)
        for (uint32_t i = 0; i < count; i++)
            row_free(m, match_row(m, p, i));
    p->head += count;
    p->count -= count;
    p->number += count;
    if (p->count > 0)
        return;
    p->head = 0;
    if (p->room > 64) { /* what was long is mostly short again */
        heap_free(m->op.heap, p->rows, p->room * (size_t)m->layout.bytes);
        p->rows = NULL;
        p->room = 1;
    }
}

void match_partition_close(struct match_op *m, struct match_partition *p)
{
    match_kill(m, p);
    match_partition_drop(m, p, p->count);
    if (p->rows != NULL)
        heap_free(m->op.heap, p->rows, p->room * (size_t)m->layout.bytes);
    if (p->threads != NULL)
        heap_free(m->op.heap, p->threads, p->thread_room * (size_t)m->thread_bytes);
    p->rows = p->threads = NULL;
    p->room = p->thread_room = 1;
}

/* ---- snapshots ---- */

void match_row_snapshot(const struct match_op *m, const struct match_row *row,
                        struct snapshot_writer *to)
{
    snapshot_put(to, row, m->layout.bytes);
    if (row->key != NULL)
        snapshot_put(to, row->key, row->key_bytes);
    for (uint32_t i = 0; m->layout.far && i < m->layout.leaf_count; i++) {
        const struct mill_view *view = far_view(m, (struct match_row *)(uintptr_t)row, i);

        if (view != NULL)
            snapshot_view(to, view);
    }
}

bool match_row_restore(struct match_op *m, struct match_partition *p, struct snapshot_reader *from)
{
    struct match_row *row = (struct match_row *)(void *)m->records;

    snapshot_get(from, row, m->layout.bytes);
    if (row->key != NULL) {
        row->key = (char *)(uintptr_t)from->next;
        if ((size_t)(from->end - from->next) < row->key_bytes)
            return false;
        from->next += row->key_bytes;
    }
    for (uint32_t i = 0; m->layout.far && i < m->layout.leaf_count && !from->failed; i++) {
        struct mill_view *view = far_view(m, row, i);

        if (view != NULL)
            *view = snapshot_get_view(from);
    }
    return !from->failed && match_partition_add(m, p, (const char *)row);
}
