/* core/ops/join_plain.c - see join_plain.h. */
#include "core/ops/join_plain.h"

void join_plain_open(struct join_plain *p, struct op *op, const struct phys_node *plan,
                     const struct table *table, const char *advice)
{
    p->op = op;
    p->plan = plan;
    p->join = plan->join;
    p->table = table;
    p->advice = advice;
}

void join_plain_reset(struct join_plain *p)
{
    unique_close(&p->index);
    p->tried = p->values = false;
    p->probed = 0;
}

void join_plain_close(struct join_plain *p)
{
    unique_close(&p->index);
}

/* ---- the index ---- */

#define INDEX_ROWS 65536u /* look-ups before one pays */

/* The only column of the side, if its values fit into words and none is NULL. */
static const struct rows_cell *only_cell(const struct row_store *rows)
{
    const struct rows_cell *cell = rows->cells;

    return rows->cell_count == 1 && cell->width <= 8 && cell->width > 0 && !cell->any_null ? cell
                                                                                           : NULL;
}

static uint64_t word_of(const struct row_store *rows, const struct rows_cell *cell, uint32_t id)
{
    uint64_t word = 0;

    memcpy(&word, rows_value(rows, id, 0), cell->width); /* little-endian */
    return word;
}

static int64_t absent_key(const struct table *table)
{
    int64_t key = INT64_MIN;

    for (uint32_t id = 0; id < table->groups; id++)
        if (table->group_words[id] == key) {
            key++;
            id = UINT32_MAX; /* from the first again */
        }
    return key;
}

/* Without memory, or for keys that meet too often, there is none. */
static void make_index(struct join_plain *p, const struct row_store *rows)
{
    const struct rows_cell *cell = only_cell(rows);
    const uint32_t count = p->table->groups;
    uint64_t values[BATCH_ROWS_MAX];
    bool ok;

    p->tried = true;
    p->values = cell != NULL;
    ok = unique_open(&p->index, p->op->heap, count, p->op->context->seed, absent_key(p->table));
    for (uint32_t first = 0; ok && first < count; first += BATCH_ROWS_MAX) {
        const uint32_t n = min_u32(BATCH_ROWS_MAX, count - first);

        for (uint32_t i = 0; i < n; i++)
            values[i] = cell != NULL ? word_of(rows, cell, first + i) : first + i;
        ok = unique_add(&p->index, p->table->group_words + first, values, n);
    }
    if (ok)
        unique_seal(&p->index);
    else
        unique_close(&p->index);
}

/* Ids of the batch's rows, by live row, ROW_NONE: it has no partner; with an index of values these, and 0 as the id of who has
 * one. Returns whether it has; *all: every row has a partner. */
static bool look_up(struct join_plain *p, const struct plain_sides *s, uint32_t count,
                    uint64_t *values, bool *all)
{
    const struct key_batch *keys = s->keys;
    const struct table *table = p->table;
    bool found[BATCH_ROWS_MAX];
    uint32_t missing = 0;

    p->probed += count;
    if (!p->tried && table->layout->narrow && table->index == NULL &&
        table->null_group == TABLE_NO_GROUP && p->probed > max_u32(table->groups, INDEX_ROWS))
        make_index(p, s->rows);
    if (p->index.lines == NULL || !unique_find(&p->index, keys->words, count, values, found)) {
        table_find(table, keys, NULL, count, p->ids);
        for (uint32_t i = 0; i < count; i++)
            missing += p->ids[i] == ROW_NONE;
        *all = missing == 0;
        return false;
    }
    for (uint32_t i = 0; keys->any_null && i < count; i++)
        found[i] = found[i] && !keys->nulls[i];
    for (uint32_t i = 0; i < count; i++)
        missing += !found[i];
    *all = missing == 0;
    for (uint32_t i = 0; !p->values && i < count; i++)
        p->ids[i] = found[i] ? (uint32_t)values[i] : ROW_NONE;
    for (uint32_t i = 0; p->values && missing > 0 && i < count; i++)
        p->ids[i] = found[i] ? 0 : ROW_NONE;
    return p->values;
}

/* ---- results ---- */

/* What a batch is put together from: by live row i its number rows[i], ids[i], values[i]. */
struct found {
    uint32_t count;
    const uint16_t *rows; /* NULL: i */
    const uint32_t *ids;
    const uint64_t *values; /* NULL: by ids */
    bool all, pads;         /* every row has a partner; a row without one has NULLs */
};

/* Rows without a partner leave the selection, unless they get NULLs. */
static void select_rows(const struct found *f, const struct batch *batch, struct batch *out)
{
    uint32_t n = 0;

    if (f->all || f->pads) { /* the batch's own, which the shell has */
        out->live = batch->live;
        return;
    }
    for (uint32_t i = 0; i < batch->live; i++) {
        out->selection_store[n] = f->rows != NULL ? f->rows[i] : (uint16_t)i;
        n += f->ids[i] != ROW_NONE;
    }
    out->live = n;
    out->selection = n < batch->rows ? out->selection_store : NULL;
}

/* The words of an index of values, as the column's type; what stands in rows that are not selected does not matter. */
#define PUT_WORDS(type)                                                                            \
    for (uint32_t i = 0; i < f->count; i++)                                                        \
        ((type *)into->values)[f->rows != NULL ? f->rows[i] : i] = (type)f->values[i];

static bool put_words(const struct found *f, struct batch *out, struct column *into,
                      const struct mill_type *type)
{
    if (!column_own(out, into, type))
        return false;
    switch (type_width(type)) {
    case 8:
        if (f->rows == NULL)
            memcpy(into->values, f->values, f->count * sizeof *f->values);
        else
            PUT_WORDS(uint64_t)
        break;
    case 4: PUT_WORDS(uint32_t) break;
    case 2: PUT_WORDS(uint16_t) break;
    default: PUT_WORDS(uint8_t)
    }
    for (uint32_t i = 0; !f->all && f->pads && i < f->count; i++)
        if (f->ids[i] == ROW_NONE && !column_put_null(out, into, f->rows != NULL ? f->rows[i] : i))
            return false;
    return true;
}

/* Values of kept column @column of few selected rows of a batch, each in the place of its row. */
#define PUT_SELECTED(type)                                                                         \
    for (uint32_t i = 0; i < f->count; i++) {                                                      \
        const uint32_t id = f->ids[i] != ROW_NONE ? f->ids[i] : 0;                                 \
                                                                                                   \
        ((type *)into->values)[f->rows[i]] = *(const type *)rows_value(rows, id, column);          \
    }

static bool put_selected(const struct found *f, const struct row_store *rows, uint32_t column,
                         struct column *into)
{
    const struct rows_cell *cell = &rows->cells[rows->first_cell[column]];

    if (f->rows == NULL || cell->any_null || (f->pads && !f->all) ||
        type_phys(&cell->type) == PHYS_VIEW)
        return false;
    switch (cell->width) {
    case 8: PUT_SELECTED(uint64_t) return true;
    case 4: PUT_SELECTED(uint32_t) return true;
    default: return false;
    }
}

/* Ids by row; texts of rows that are not selected would be copied, so those have none. */
static const uint32_t *ids_by_row(const struct found *f, const struct row_store *rows,
                                  uint32_t count, uint32_t *ids)
{
    uint32_t dead = 0;

    for (uint32_t c = 0; c < rows->cell_count; c++)
        if (type_phys(&rows->cells[c].type) == PHYS_VIEW)
            dead = ROW_NONE;
    if (f->rows == NULL && (f->all || f->pads))
        return f->ids;
    for (uint32_t r = 0; f->rows != NULL && r < count; r++)
        ids[r] = dead;
    for (uint32_t i = 0; i < f->count; i++)
        ids[f->rows != NULL ? f->rows[i] : i] =
            f->ids[i] == ROW_NONE && !f->pads ? dead : f->ids[i];
    return ids;
}

static bool put_columns(struct join_plain *p, const struct plain_sides *s, const struct found *f,
                        const struct batch *batch, struct batch *out)
{
    const struct mill_schema *schema = &p->plan->schema;
    struct column *columns = arena_array(&out->bytes, struct column, schema->field_count);
    uint32_t to = 0, ids[BATCH_ROWS_MAX];
    const uint32_t *by_row = NULL;

    out->columns = columns;
    out->column_count = (uint16_t)schema->field_count;
    for (uint32_t side = 0; columns != NULL && side < 2; side++)
        for (uint32_t c = 0; c < p->join->own[side]; c++, to++) {
            const int32_t kept = side != s->port ? s->kept[c] : -1;

            if (side == s->port)
                columns[to] = batch->columns[c];
            if (kept < 0)
                continue;
            if (f->values != NULL) {
                if (!put_words(f, out, &columns[to], &schema->fields[to].type))
                    return false;
                continue;
            }
            if (!column_own(out, &columns[to], &schema->fields[to].type))
                return false;
            if (put_selected(f, s->rows, (uint32_t)kept, &columns[to]))
                continue;
            if (by_row == NULL)
                by_row = ids_by_row(f, s->rows, batch->rows, ids);
            if (!rows_gather(s->rows, by_row, batch->rows, (uint32_t)kept, out, &columns[to], 0))
                return false;
        }
    return columns != NULL;
}

/* Their places are the rows' own, with the port's origin; with several shards as emit_row() has it. */
static bool put_position(const struct join_plain *p, struct batch *out, uint32_t port)
{
    uint32_t key[2] = {0, 0};
    struct mill_view view;

    out->origin += p->plan->port_origins != NULL ? p->plan->port_origins[port] : 0;
    if (p->plan->rowtime < 0)
        out->behind = NULL;
    out->hashes = NULL;
    if (p->op->context->shard_count == 1)
        return true;
    out->order_keys = arena_alloc(&out->bytes, out->rows * sizeof *out->order_keys);
    key[0] = __builtin_bswap32(out->origin);
    view = view_of((const char *)key, sizeof key);
    for (uint32_t i = 0; out->order_keys != NULL && i < out->rows; i++)
        out->order_keys[i] = view;
    return out->order_keys != NULL;
}

static bool put(struct join_plain *p, const struct plain_sides *s, const struct batch *batch,
                struct batch *out)
{
    uint64_t values[BATCH_ROWS_MAX];
    struct found f = {.count = batch->live, .rows = batch->selection, .ids = p->ids};

    f.pads = join_pads(p->join->type, s->port);
    f.values = look_up(p, s, batch->live, values, &f.all) ? values : NULL;
    select_rows(&f, batch, out);
    return out->live == 0 || (put_columns(p, s, &f, batch, out) && put_position(p, out, s->port));
}

bool join_plain_push(struct join_plain *p, const struct plain_sides *sides, struct batch *batch,
                     const struct step_time *t, enum op_progress *progress)
{
    struct op_context *context = p->op->context;
    struct batch *out;
    bool ok;

    if (batch->class_ != CLASS_ROWS || batch->row_kinds != NULL || batch->order_keys != NULL ||
        sides->rows->rows != p->table->groups || sides->rows->rows == 0)
        return false;
    out = context->take_batch(context, batch->column_count);
    if (out != NULL && out->capacity < batch->rows) {
        batch_release(out);
        return false;
    }
    ok = out != NULL &&
         keys_prepare(sides->layout, batch, batch->selection, batch->live, sides->keys) &&
         batch_borrow(out, batch) && put(p, sides, batch, out);
    batch_release(batch); /* ours; the shell keeps its share */
    if (ok) {
        *progress = op_emit(p->op, out, t);
        return true;
    }
    batch_release(out);
    *progress = context->error->code != MILL_OK ? OP_FAILED : op_no_memory(p->op, p->advice);
    return true;
}
