/* core/ops/join_plain.c - the regular join where rows have one partner at most: results show the batch's columns without a copy.
 *
 * The other side has ended and no key of it stands twice, so that a group's only row has the group's number (side.plain): the looked up
 * numbers are what its columns are gathered by, each to the place of its row.
 */
#include "core/ops/join_impl.h"

static bool is_plain(const struct join_op *j, const struct batch *batch, uint32_t port)
{
    const struct join_side *other = &j->side[!port];

    return j->pairs && j->residual.program == NULL && j->all_inserts && j->node->ttl_us == 0 &&
           !other->marks && other->ended && other->plain && other->rows.rows == j->table.groups &&
           other->rows.rows > 0 && j->out.out == NULL && batch->class_ == CLASS_ROWS &&
           batch->row_kinds == NULL && batch->order_keys == NULL;
}

/* ---- the index ---- */

#define INDEX_ROWS 65536u /* fewer lie in the caches anyway */

/* The only column of the side, if its values fit into words and none is NULL. */
static const struct rows_cell *only_cell(const struct join_side *side)
{
    const struct rows_cell *cell = side->rows.cells;

    return side->rows.cell_count == 1 && cell->width <= 8 && cell->width > 0 && !cell->any_null
               ? cell
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
static void make_index(struct join_op *j, uint32_t side)
{
    const struct join_side *s = &j->side[side];
    const struct rows_cell *cell = only_cell(s);
    const uint32_t rows = j->table.groups;
    uint64_t values[BATCH_ROWS_MAX];
    bool ok;

    j->unique_tried = true;
    j->unique_values = cell != NULL;
    ok = unique_open(&j->unique, j->op.heap, rows, j->op.context->seed, absent_key(&j->table));
    for (uint32_t first = 0; ok && first < rows; first += BATCH_ROWS_MAX) {
        const uint32_t n = min_u32(BATCH_ROWS_MAX, rows - first);

        for (uint32_t i = 0; i < n; i++)
            values[i] = cell != NULL ? word_of(&s->rows, cell, first + i) : first + i;
        ok = unique_add(&j->unique, j->table.group_words + first, values, n);
    }
    if (ok)
        unique_seal(&j->unique);
    else
        unique_close(&j->unique);
}

/* Ids of the batch's rows, by live row; with an index of values these, and 0 as the id of who has one. */
static bool look_up(struct join_op *j, const struct key_batch *keys, uint32_t port, uint32_t count,
                    uint64_t *values)
{
    bool found[BATCH_ROWS_MAX];

    j->probed += count;
    if (!j->unique_tried && j->table.layout->narrow && j->table.index == NULL &&
        j->table.groups >= INDEX_ROWS && j->table.null_group == TABLE_NO_GROUP &&
        j->probed > j->table.groups)
        make_index(j, !port);
    if (j->unique.lines == NULL || !unique_find(&j->unique, keys->words, count, values, found)) {
        table_find(&j->table, keys, NULL, count, j->ids);
        return false;
    }
    for (uint32_t i = 0; i < count; i++)
        j->ids[i] = !found[i] ? ROW_NONE : j->unique_values ? 0 : (uint32_t)values[i];
    for (uint32_t i = 0; keys->any_null && i < count; i++)
        if (keys->nulls[i])
            j->ids[i] = ROW_NONE;
    return j->unique_values;
}

/* ---- results ---- */

static bool has_texts(const struct row_store *rows)
{
    for (uint32_t c = 0; c < rows->cell_count; c++)
        if (type_phys(&rows->cells[c].type) == PHYS_VIEW)
            return true;
    return false;
}

/* From ids by live row to ids by row; without NULLs for rows that have no partner those leave the selection. */
static void select_rows(struct join_op *j, const struct batch *batch, struct batch *out,
                        uint32_t *ids, uint32_t port, uint64_t *values)
{
    /* what stands in rows that are not selected does not matter, but texts would be copied */
    const uint32_t dead = has_texts(&j->side[!port].rows) ? ROW_NONE : 0;
    const bool pads = join_pads(j->node->type, port);
    uint32_t n = 0;

    if (batch->selection != NULL)
        for (uint32_t r = 0; r < batch->rows; r++)
            ids[r] = dead;
    for (uint32_t i = batch->selection != NULL && values != NULL ? batch->live : 0; i-- > 0;)
        values[batch->selection[i]] =
            values[i]; /* ascending: none is overwritten before it is read */
    for (uint32_t i = 0; i < batch->live; i++) {
        const uint32_t row = batch_row(batch, i), id = j->ids[i];

        ids[row] = id == ROW_NONE && !pads ? dead : id;
        out->selection_store[n] = (uint16_t)row;
        n += id != ROW_NONE || pads;
    }
    out->live = n;
    out->selection = n < batch->rows ? out->selection_store : NULL;
}

/* The words of an index of values, as the column's type. */
static bool put_words(struct batch *out, struct column *into, const struct mill_type *type,
                      const uint64_t *values, const uint32_t *ids, uint32_t count)
{
    const uint32_t width = type_width(type);

    if (!column_own(out, into, type))
        return false;
    switch (width) {
    case 8: memcpy(into->values, values, count * sizeof *values); break;
    case 4:
        for (uint32_t i = 0; i < count; i++)
            ((uint32_t *)into->values)[i] = (uint32_t)values[i];
        break;
    default:
        for (uint32_t i = 0; i < count; i++)
            memcpy((char *)into->values + (size_t)i * width, &values[i], width);
    }
    for (uint32_t i = 0; i < count; i++)
        if (ids[i] == ROW_NONE && !column_put_null(out, into, i))
            return false;
    return true;
}

static bool put_columns(struct join_op *j, const struct batch *batch, struct batch *out,
                        const uint32_t *ids, uint32_t port, const uint64_t *values)
{
    const struct mill_schema *schema = &j->plan->schema;
    struct column *columns = arena_array(&out->bytes, struct column, schema->field_count);
    uint32_t to = 0;

    out->columns = columns;
    out->column_count = (uint16_t)schema->field_count;
    for (uint32_t side = 0; columns != NULL && side < 2; side++)
        for (uint32_t c = 0; c < j->node->own[side]; c++, to++) {
            const int32_t kept = j->side[side].kept[c];

            if (side == port)
                columns[to] = batch->columns[c];
            else if (kept >= 0 && values != NULL) {
                if (!put_words(out, &columns[to], &schema->fields[to].type, values, ids,
                               batch->rows))
                    return false;
            } else if (kept >= 0 && (!column_own(out, &columns[to], &schema->fields[to].type) ||
                                     !rows_gather(&j->side[side].rows, ids, batch->rows,
                                                  (uint32_t)kept, out, &columns[to], 0)))
                return false;
        }
    return columns != NULL;
}

/* Their places are the rows' own, with the port's origin; with several shards as emit_row() has it. */
static bool put_position(struct join_op *j, struct batch *out, uint32_t port)
{
    uint32_t key[2] = {0, 0};

    out->origin += j->plan->port_origins != NULL ? j->plan->port_origins[port] : 0;
    out->behind = NULL;
    out->hashes = NULL;
    if (!j->out.keyed)
        return true;
    out->order_keys = arena_alloc(&out->bytes, out->rows * sizeof *out->order_keys);
    key[0] = __builtin_bswap32(out->origin);
    for (uint32_t i = 0; out->order_keys != NULL && i < out->rows; i++)
        out->order_keys[i] = view_of((const char *)key, sizeof key);
    return out->order_keys != NULL;
}

bool join_plain(struct join_op *j, struct batch *batch, uint32_t port, const struct step_time *t,
                enum op_progress *progress)
{
    struct op_context *context = j->op.context;
    struct key_batch *keys = &j->side[port].keys;
    uint32_t ids[BATCH_ROWS_MAX];
    uint64_t values[BATCH_ROWS_MAX], *words;
    struct batch *out;
    bool ok;

    if (!is_plain(j, batch, port))
        return false;
    out = context->take_batch(context, batch->column_count);
    if (out != NULL && out->capacity < batch->rows) {
        batch_release(out);
        return false;
    }
    ok = out != NULL &&
         keys_prepare(&j->side[port].layout, batch, batch->selection, batch->live, keys) &&
         batch_borrow(out, batch);
    if (ok) {
        words = look_up(j, keys, port, batch->live, values) ? values : NULL;
        select_rows(j, batch, out, ids, port, words);
        ok = out->live == 0 ||
             (put_columns(j, batch, out, ids, port, words) && put_position(j, out, port));
    }
    batch_release(batch); /* ours; the shell keeps its share */
    *progress = ok ? op_emit(&j->op, out, t) : join_no_memory(j);
    if (!ok)
        batch_release(out);
    return true;
}
