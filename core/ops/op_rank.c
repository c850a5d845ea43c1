/* core/ops/op_rank.c - Top-N: the first rows of each key in an order, by ROW_NUMBER, RANK or DENSE_RANK.
 *
 * Rows of a key stand sorted in an array: equal ones as they came, or the later one first (the last row of a key). Rows beyond the
 * limit go, unless rows may be taken back: then all stay.
 *   entries ascend by (prefix, order, arrival)     those with a rank of at most the limit are *visible*
 *
 * As a changelog each row that changes what is visible gives it at once. Without the rank: -D for what has left, +I for what has come, or -U and +U
 * where the last row of a key takes the place of another. With it, by ROW_NUMBER: -U and +U at each rank that has another
 * row, +I or -D at the last one; by RANK and DENSE_RANK for each row that has another rank.
 * As final rows, at the end of the input: by (key, rank). Per window, when it closes: by (end, key, rank); a row of a closed window is late.
 *
 * State: the visible rows of each key, or all; as long as the query runs, until its window has closed, or by 'table.exec.state.ttl'.
 * Threads: one shard.   Errors: MILL_E_MEMORY.
 */
#include "core/ops/emit.h"
#include "core/ops/rank.h"
#include "core/plan/physical.h"
#include "core/state/rows.h"
#include "core/state/sorter.h"
#include "core/zone.h"

struct rank_entry {
    uint64_t prefix;
    uint32_t id;
};

struct rank_key {
    struct rank_entry one; /* room 0: the only one */
    struct rank_entry *entries;
    uint32_t count, room;
    int64_t touched_us;
};

struct rank_scope { /* all rows, or those of windows with one end */
    int64_t end;
    uint64_t rows; /* that came in */
    struct table table;
};

struct visible {
    uint32_t id;
    int64_t rank;
};
struct visible_list {
    struct visible *items;
    uint32_t count, room;
};

struct pending {
    uint32_t id;
    int64_t rank;
    int8_t kind;
};

struct rank_op {
    struct op op;
    const struct rank_node *node;
    const struct mill_schema *input;
    const struct mill_schema *schema;
    bool changelog, keeps_all, windowed;
    bool nanos;
    const struct zone *zone;
    uint32_t *order_kept; /* per column of the order: among the kept ones */
    uint32_t *given_kept; /* per given column, or UINT32_MAX: nobody reads it */
    struct key_layout keys;
    struct key_batch batch_keys;
    struct row_store rows;
    struct rank_scope *scopes; /* by ascending end */
    uint32_t scope_count, scope_room;
    struct emitter emit;
    /* the batch being taken, as changes: from live row @next on */
    struct batch *batch;
    uint32_t next;
    struct pending *pending;
    uint32_t pending_count, pending_room, given;
    struct visible_list before, after;
    struct visible_list gone; /* rows to be freed once their changes have been given */
    bool ignored;             /* the row took back one that is not there */
    /* firing scopes[0] */
    bool ending, sorting;
    struct sorter sorter;
    uint32_t group, entry;
    uint32_t ids[BATCH_ROWS_MAX];
    int64_t ranks[BATCH_ROWS_MAX];
    char *key;
    uint32_t key_room;
    void *found[BATCH_ROWS_MAX];
    uint32_t new_ids[BATCH_ROWS_MAX];
    uint16_t taken[BATCH_ROWS_MAX];
    uint64_t prefixes[BATCH_ROWS_MAX];
};

static enum op_progress no_memory(struct rank_op *r)
{
    return op_no_memory(
        &r->op, r->keeps_all
                    ? "it keeps all rows, for they may be taken back: filter them, or"
                    : "it keeps the first rows of each key: SET 'table.exec.state.ttl', or");
}

/* ---- entries of a key ---- */

static struct rank_entry *entries_of(struct rank_key *key)
{
    return key->room == 0 ? &key->one : key->entries;
}

static bool entries_grow(struct rank_op *r, struct rank_key *key)
{
    const uint32_t room = key->room == 0 ? 4 : key->room * 2;
    struct rank_entry *entries;

    if (key->count < key->room || (key->room == 0 && key->count == 0))
        return true;
    entries = key->room == 0 ? heap_alloc(r->op.heap, room * sizeof *entries)
                             : heap_grow(r->op.heap, key->entries, key->room * sizeof *entries,
                                         room * sizeof *entries);
    if (entries == NULL)
        return false;
    if (key->room == 0)
        entries[0] = key->one;
    key->entries = entries;
    key->room = room;
    return true;
}

static int compare_stored(const struct rank_op *r, uint32_t a, uint32_t b)
{
    for (uint32_t i = 0; i < r->node->order_count; i++) {
        const uint32_t k = r->order_kept[i];
        const int order =
            sort_compare_value(&r->node->order[i], rows_value(&r->rows, a, k),
                               rows_value_valid(&r->rows, a, k), rows_value(&r->rows, b, k),
                               rows_value_valid(&r->rows, b, k));

        if (order != 0)
            return order;
    }
    return 0;
}

static int compare_entries(const struct rank_op *r, const struct rank_entry *a,
                           const struct rank_entry *b)
{
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    return compare_stored(r, a->id, b->id);
}

/* The first entry above @e (@after), or not below it. */
static uint32_t bound(const struct rank_op *r, struct rank_key *key, const struct rank_entry *e,
                      bool after)
{
    const struct rank_entry *entries = entries_of(key);
    uint32_t low = 0, high = key->count;

    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        const int order = compare_entries(r, &entries[middle], e);

        if (order < 0 || (order == 0 && after))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool entry_insert(struct rank_op *r, struct rank_key *key, const struct rank_entry *e)
{
    const uint32_t at = bound(r, key, e, !r->node->later_wins);
    struct rank_entry *entries;

    if (!entries_grow(r, key))
        return false;
    entries = entries_of(key);
    memmove(entries + at + 1, entries + at, (key->count - at) * sizeof *entries);
    entries[at] = *e;
    key->count++;
    return true;
}

static void entry_remove(struct rank_key *key, uint32_t at)
{
    struct rank_entry *entries = entries_of(key);

    key->count--;
    memmove(entries + at, entries + at + 1, (key->count - at) * sizeof *entries);
}

/* ---- ranks ---- */

/* How many entries are visible; their ranks go to @list where it is not NULL. */
static bool visible_add(struct rank_op *r, struct visible_list *list, uint32_t id, int64_t rank)
{
    if (list->count == list->room) {
        const uint32_t room = list->room == 0 ? 16 : list->room * 2;
        struct visible *items =
            heap_grow(r->op.heap, list->items, list->room * sizeof *items, room * sizeof *items);

        if (items == NULL)
            return false;
        list->items = items;
        list->room = room;
    }
    list->items[list->count++] = (struct visible){id, rank};
    return true;
}

/* The rank of entry @i, given that of the one before. */
static int64_t rank_of(const struct rank_op *r, const struct rank_entry *entries, uint32_t i,
                       int64_t before)
{
    if (i == 0)
        return 1;
    if (r->node->function == RANK_ROW_NUMBER)
        return before + 1;
    if (compare_entries(r, &entries[i - 1], &entries[i]) == 0)
        return before;
    return r->node->function == RANK_RANK ? (int64_t)i + 1 : before + 1;
}

/* The visible entries with their ranks, into @list; NULL: only how many. */
static bool look(struct rank_op *r, struct rank_key *key, struct visible_list *list,
                 uint32_t *count)
{
    const struct rank_entry *entries = entries_of(key);
    int64_t rank = 0;
    uint32_t i = 0;

    if (list == NULL && r->node->function == RANK_ROW_NUMBER) {
        *count = (uint32_t)min_i64(key->count, r->node->limit);
        return true;
    }
    for (; i < key->count; i++) {
        rank = rank_of(r, entries, i, rank);
        if (rank > r->node->limit)
            break;
        if (list != NULL && !visible_add(r, list, entries[i].id, rank))
            return false;
    }
    *count = i;
    return true;
}

/* ---- changes ---- */

static bool will_give(struct rank_op *r, uint32_t id, int64_t rank, int8_t kind)
{
    if (r->pending_count == r->pending_room) {
        const uint32_t room = r->pending_room == 0 ? 16 : r->pending_room * 2;
        struct pending *pending =
            heap_grow(r->op.heap, r->pending, r->pending_room * sizeof *pending,
                      room * sizeof *pending);

        if (pending == NULL)
            return false;
        r->pending = pending;
        r->pending_room = room;
    }
    r->pending[r->pending_count++] = (struct pending){id, rank, kind};
    return true;
}

static bool has(const struct visible_list *list, uint32_t id)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i].id == id)
            return true;
    return false;
}

/* Which rows have left and come. */
static bool changes_of_rows(struct rank_op *r)
{
    const struct visible_list *before = &r->before, *after = &r->after;
    const bool replaced = r->node->limit == 1 && r->node->function == RANK_ROW_NUMBER &&
                          r->node->later_wins && before->count == 1 && after->count == 1;
    bool ok = true;

    for (uint32_t i = 0; ok && i < before->count; i++)
        if (!has(after, before->items[i].id))
            ok = will_give(r, before->items[i].id, before->items[i].rank,
                           replaced ? ROW_UPDATE_BEFORE : ROW_DELETE);
    for (uint32_t i = 0; ok && i < after->count; i++)
        if (!has(before, after->items[i].id))
            ok = will_give(r, after->items[i].id, after->items[i].rank,
                           replaced ? ROW_UPDATE_AFTER : ROW_INSERT);
    return ok;
}

/* At which ranks there is another row. */
static bool changes_by_number(struct rank_op *r)
{
    const struct visible_list *before = &r->before, *after = &r->after;
    bool ok = true;

    for (uint32_t i = 0; ok && i < max_u32(before->count, after->count); i++) {
        const struct visible *x = i < before->count ? &before->items[i] : NULL;
        const struct visible *y = i < after->count ? &after->items[i] : NULL;

        if (x != NULL && y != NULL && x->id == y->id)
            continue;
        if (x != NULL)
            ok = will_give(r, x->id, x->rank, y != NULL ? ROW_UPDATE_BEFORE : ROW_DELETE);
        if (ok && y != NULL)
            ok = will_give(r, y->id, y->rank, x != NULL ? ROW_UPDATE_AFTER : ROW_INSERT);
    }
    return ok;
}

/* Which rows have another rank. Both lists have the rows that stay in the same order. */
static bool changes_of_ranks(struct rank_op *r)
{
    const struct visible_list *before = &r->before, *after = &r->after;
    uint32_t i = 0, k = 0;
    bool ok = true;

    while (ok && (i < before->count || k < after->count)) {
        const struct visible *x = i < before->count ? &before->items[i] : NULL;
        const struct visible *y = k < after->count ? &after->items[k] : NULL;

        if (x != NULL && y != NULL && x->id == y->id) {
            if (x->rank != y->rank)
                ok = will_give(r, x->id, x->rank, ROW_UPDATE_BEFORE) &&
                     will_give(r, y->id, y->rank, ROW_UPDATE_AFTER);
            i++;
            k++;
        } else if (x != NULL && (y == NULL || !has(after, x->id))) {
            ok = will_give(r, x->id, x->rank, ROW_DELETE);
            i++;
        } else {
            ok = will_give(r, y->id, y->rank, ROW_INSERT);
            k++;
        }
    }
    return ok;
}

static bool find_changes(struct rank_op *r)
{
    if (!r->node->numbered)
        return changes_of_rows(r);
    return r->node->function == RANK_ROW_NUMBER ? changes_by_number(r) : changes_of_ranks(r);
}

/* ---- a row ---- */

/* Rows beyond the limit go; changes may still speak of them. */
static bool evict(struct rank_op *r, struct rank_key *key)
{
    uint32_t count;

    if (r->keeps_all)
        return true;
    if (!look(r, key, NULL, &count))
        return false;
    while (key->count > count) {
        const uint32_t id = entries_of(key)[--key->count].id;

        if (!visible_add(r, &r->gone, id, 0))
            return false;
    }
    return true;
}

/* Takes out the entry of a row that is equal to row @row of @batch, which is stored as @e for now. */
static bool take_back(struct rank_op *r, struct rank_key *key, const struct rank_entry *e,
                      const struct batch *batch, uint32_t row)
{
    const struct rank_entry *entries = entries_of(key);

    for (uint32_t i = bound(r, key, e, false);
         i < key->count && compare_entries(r, &entries[i], e) == 0; i++)
        if (rows_equal(&r->rows, entries[i].id, batch, row)) {
            const uint32_t id = entries[i].id;

            entry_remove(key, i);
            return visible_add(r, &r->gone, id, 0);
        }
    r->ignored = true;
    return true;
}

static void free_gone(struct rank_op *r)
{
    for (uint32_t i = 0; i < r->gone.count; i++)
        rows_free(&r->rows, &r->gone.items[i].id, 1);
    r->gone.count = 0;
}

static bool apply(struct rank_op *r, struct rank_key *key, const struct rank_entry *e,
                  const struct batch *batch, uint32_t row)
{
    const bool there = row_kind_weight(batch_kind(batch, row)) > 0;
    uint32_t count;

    r->before.count = r->after.count = 0;
    r->ignored = false;
    if (r->changelog && !look(r, key, &r->before, &count))
        return false;
    if (there && !entry_insert(r, key, e))
        return false;
    if (!there && (!take_back(r, key, e, batch, row) || !visible_add(r, &r->gone, e->id, 0)))
        return false;
    if (!evict(r, key))
        return false;
    if (!r->changelog) {
        free_gone(r);
        return true;
    }
    return look(r, key, &r->after, &count) && find_changes(r);
}

/* ---- rows in ---- */

static uint64_t prefix_of(const struct rank_op *r, const struct batch *batch, uint32_t row)
{
    return r->node->order_count > 0
               ? sort_item(r->node->order, r->node->order_count, batch, row, 0).prefix
               : 0;
}

/* Whether the row can only be beyond the limit: below what is last of a full key. */
static bool is_beyond(const struct rank_op *r, struct rank_key *key, uint64_t prefix)
{
    return !r->keeps_all && r->node->function != RANK_DENSE_RANK && key->count >= r->node->limit &&
           prefix > entries_of(key)[key->count - 1].prefix;
}

static void forget_key(struct rank_op *r, struct rank_key *key)
{
    for (uint32_t i = 0; i < key->count; i++)
        rows_free(&r->rows, &entries_of(key)[i].id, 1);
    key->count = 0;
}

static bool find_keys(struct rank_op *r, struct rank_scope *scope, const struct batch *batch,
                      const uint16_t *rows, uint32_t count, const struct step_time *t)
{
    struct table *table = &scope->table;
    const uint32_t before = table->groups;
    bool ok;

    if (r->keys.count == 0) {
        ok = table->groups > 0 || table_single(table);
        for (uint32_t i = 0; ok && i < count; i++)
            r->found[i] = table_state(table, 0);
    } else {
        ok = keys_prepare(&r->keys, batch, rows, count, &r->batch_keys) &&
             table_lookup(table, &r->batch_keys, NULL, count, r->found);
    }
    for (uint32_t id = before; id < table->groups; id++)
        *(struct rank_key *)table_state(table, id) = (struct rank_key){.touched_us = t->clock_us};
    for (uint32_t i = 0; ok && i < count; i++) {
        struct rank_key *key = r->found[i];

        if (r->node->ttl_us > 0 && time_add(key->touched_us, r->node->ttl_us) < t->clock_us)
            forget_key(r, key);
        key->touched_us = t->clock_us;
    }
    return ok;
}

/* Those that are not beyond the limit at once are stored; new_ids[i] ROW_NONE: beyond. */
static bool store_rows(struct rank_op *r, const struct batch *batch, const uint16_t *rows,
                       uint32_t count)
{
    uint32_t n = 0, ids[BATCH_ROWS_MAX];

    for (uint32_t i = 0; i < count; i++) {
        r->prefixes[i] = prefix_of(r, batch, rows[i]);
        r->new_ids[i] = is_beyond(r, r->found[i], r->prefixes[i]) ? ROW_NONE : n;
        if (r->new_ids[i] != ROW_NONE)
            r->taken[n++] = rows[i];
    }
    if (n > 0 && !rows_append(&r->rows, batch, r->taken, n, ids))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (r->new_ids[i] != ROW_NONE)
            r->new_ids[i] = ids[r->new_ids[i]];
    return true;
}

/* Into @scope, without changes. */
static bool take_rows(struct rank_op *r, struct rank_scope *scope, const struct batch *batch,
                      const uint16_t *rows, uint32_t count, const struct step_time *t)
{
    if (!find_keys(r, scope, batch, rows, count, t) || !store_rows(r, batch, rows, count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct rank_entry e = {r->prefixes[i], r->new_ids[i]};

        r->ignored = false;
        if (e.id != ROW_NONE && !apply(r, r->found[i], &e, batch, rows[i]))
            return false;
        scope->rows += !r->ignored;
        r->op.counters.held += !r->ignored;
        r->op.counters.filtered += r->ignored;
    }
    return true;
}

/* The scope of windows that end at @end, found or made. */
static struct rank_scope *scope_at(struct rank_op *r, int64_t end)
{
    uint32_t at = r->scope_count;

    while (at > 0 && r->scopes[at - 1].end > end)
        at--;
    if (at > 0 && r->scopes[at - 1].end == end)
        return &r->scopes[at - 1];
    if (r->scope_count == r->scope_room) {
        const uint32_t room = r->scope_room == 0 ? 4 : r->scope_room * 2;
        struct rank_scope *scopes =
            heap_grow(r->op.heap, r->scopes, r->scope_room * sizeof *scopes, room * sizeof *scopes);

        if (scopes == NULL)
            return NULL;
        r->scopes = scopes;
        r->scope_room = room;
    }
    memmove(r->scopes + at + 1, r->scopes + at, (r->scope_count - at) * sizeof *r->scopes);
    r->scope_count++;
    r->scopes[at] = (struct rank_scope){.end = end};
    table_open(&r->scopes[at].table, r->op.heap, &r->keys, sizeof(struct rank_key),
               r->op.context->seed);
    return &r->scopes[at];
}

/* The watermark at which windows with this end are closed. */
static int64_t closes_at(const struct rank_op *r, int64_t end)
{
    return time_add(zone_reached(r->zone, end, r->nanos), -type_time_unit(&r->node->time_type));
}

/* Rows by the end of their window, as many at once as have the same. */
static bool take_windows(struct rank_op *r, const struct batch *batch, const struct step_time *t)
{
    const struct column *ends = &batch->columns[r->node->window_end];
    uint16_t rows[BATCH_ROWS_MAX];
    int64_t end = 0;
    uint32_t n = 0;

    for (uint32_t i = 0; i < batch->live; i++) {
        const uint32_t row = batch_row(batch, i);
        struct rank_scope *scope;

        if (!column_valid(ends, row)) {
            r->op.counters.filtered++;
            r->op.counters.null_time++;
            continue;
        }
        const int64_t value = ((const int64_t *)ends->values)[ends->constant ? 0 : row];

        if (closes_at(r, value) <= row_watermark(t, batch, row)) {
            r->op.counters.late++;
            continue;
        }
        if (n > 0 && value != end) {
            scope = scope_at(r, end);
            if (scope == NULL || !take_rows(r, scope, batch, rows, n, t))
                return false;
            n = 0;
        }
        end = value;
        rows[n++] = (uint16_t)row;
    }
    if (n == 0)
        return true;
    struct rank_scope *last = scope_at(r, end);

    return last != NULL && take_rows(r, last, batch, rows, n, t);
}

static bool take_all(struct rank_op *r, const struct batch *batch, const struct step_time *t)
{
    struct rank_scope *scope = scope_at(r, INT64_MAX);
    uint16_t rows[BATCH_ROWS_MAX];

    for (uint32_t i = 0; i < batch->live; i++)
        rows[i] = (uint16_t)batch_row(batch, i);
    return scope != NULL && take_rows(r, scope, batch, rows, batch->live, t);
}

/* ---- results ---- */

/* Columns that nobody reads have no values. */
static void skip_unread(struct rank_op *r)
{
    for (uint32_t c = 0; c < r->node->given; c++)
        if (r->given_kept[c] == UINT32_MAX)
            r->emit.out->columns[c].values = NULL;
}

static bool put_rows(struct rank_op *r, const uint32_t *ids, const int64_t *ranks, uint32_t count,
                     uint32_t at)
{
    struct batch *out = r->emit.out;

    if (at == 0)
        skip_unread(r);
    for (uint32_t c = 0; c < r->node->given; c++)
        if (r->given_kept[c] != UINT32_MAX &&
            !rows_gather(&r->rows, ids, count, r->given_kept[c], out, &out->columns[c], at))
            return false;
    memcpy((int64_t *)out->columns[r->node->given].values + at, ranks, count * sizeof *ranks);
    return true;
}

/* ---- a changelog ---- */

static enum op_progress give_changes(struct rank_op *r, const struct step_time *t)
{
    for (; r->given < r->pending_count; r->given++) {
        const struct pending *c = &r->pending[r->given];
        enum op_progress p = OP_READY;
        int32_t row;

        if (emit_full(&r->emit))
            p = emit_flush(&r->emit, t);
        if (p != OP_READY)
            return p;
        row = emit_row(&r->emit, batch_row(r->batch, r->next - 1), c->kind);
        if (row < 0 || !put_rows(r, &c->id, &c->rank, 1, (uint32_t)row))
            return no_memory(r);
    }
    r->pending_count = r->given = 0;
    free_gone(r);
    return OP_READY;
}

static enum op_progress go_on(struct rank_op *r, const struct step_time *t)
{
    for (;;) {
        const enum op_progress p = give_changes(r, t);

        if (p != OP_READY)
            return p;
        if (r->next == r->batch->live)
            break;
        const uint32_t i = r->next++;
        const struct rank_entry e = {r->prefixes[i], r->new_ids[i]};

        r->ignored = false;
        if (e.id != ROW_NONE && !apply(r, r->found[i], &e, r->batch, batch_row(r->batch, i)))
            return no_memory(r);
        r->op.counters.filtered += r->ignored;
        r->op.counters.consumed += !r->ignored;
        r->op.counters.held--;
    }
    const enum op_progress p = emit_flush(&r->emit, t);

    batch_release(r->batch);
    r->batch = NULL;
    r->op.counters.state_rows = r->rows.rows;
    return p;
}

static enum op_progress push_changes(struct rank_op *r, struct batch *batch,
                                     const struct step_time *t)
{
    struct rank_scope *scope = scope_at(r, INT64_MAX);
    uint16_t rows[BATCH_ROWS_MAX];
    enum op_progress p;

    r->batch = batch;
    r->next = 0;
    r->op.counters.held += batch->live;
    for (uint32_t i = 0; i < batch->live; i++)
        rows[i] = (uint16_t)batch_row(batch, i);
    if (scope == NULL || !find_keys(r, scope, batch, rows, batch->live, t) ||
        !store_rows(r, batch, rows, batch->live))
        return no_memory(r);
    p = emit_cause(&r->emit, batch, 0, t);
    return p == OP_READY ? go_on(r, t) : p;
}

static enum op_progress rank_push(struct op *op, uint32_t port, struct batch *batch,
                                  const struct step_time *t)
{
    struct rank_op *r = (struct rank_op *)op;
    bool ok;

    (void)port;
    CHECK(!r->ending && r->batch == NULL);
    op->counters.in += batch->live;
    if (r->changelog)
        return push_changes(r, batch, t);
    ok = r->windowed ? take_windows(r, batch, t) : batch->live == 0 || take_all(r, batch, t);
    op->counters.state_rows = r->rows.rows;
    batch_release(batch);
    return ok ? OP_READY : no_memory(r);
}

/* ---- firing ---- */

static bool emit_place(struct rank_op *r, const struct step_time *t, const struct rank_scope *scope,
                       uint32_t group, uint32_t index)
{
    const uint32_t bytes = table_key_bytes(&scope->table, group) + 16;
    uint32_t n = 0;
    struct mill_view place = view_of("", 0);

    if (r->emit.keyed) {
        if (bytes > r->key_room) {
            heap_free(r->op.heap, r->key, r->key_room);
            r->key = heap_alloc(r->op.heap, bytes);
            r->key_room = r->key != NULL ? bytes : 0;
            if (r->key == NULL)
                return false;
        }
        n = key_put_i64(r->key, scope->end);
        n += table_key_put(&scope->table, group, r->key + n);
        n += key_put_i64(r->key + n, index);
        place = view_of(r->key, n);
    }
    return emit_fired(&r->emit, t, &place, ROW_INSERT) >= 0;
}

/* Visible rows from (group, entry) on, until the batch is full. */
static bool emit_some(struct rank_op *r, const struct step_time *t, int64_t *budget)
{
    struct rank_scope *scope = &r->scopes[0];
    const uint32_t at = r->emit.out != NULL ? r->emit.out->rows : 0;
    uint32_t n = 0;

    while (r->group<scope->table.groups && * budget> 0) {
        const uint32_t group = r->sorter.order[r->group];
        struct rank_key *key = table_state(&scope->table, group);
        const struct rank_entry *entries = entries_of(key);
        int64_t rank = 0;

        for (uint32_t i = 0; i < key->count; i++) {
            rank = rank_of(r, entries, i, rank);
            if (rank > r->node->limit)
                break;
            if (i < r->entry)
                continue;
            if (emit_full(&r->emit) || n == BATCH_ROWS_MAX)
                return put_rows(r, r->ids, r->ranks, n, at);
            if (!emit_place(r, t, scope, group, i))
                return false;
            r->ids[n] = entries[i].id;
            r->ranks[n++] = rank;
            r->entry = i + 1;
        }
        r->group++;
        r->entry = 0;
        *budget -= 1 + key->count;
    }
    return n == 0 || put_rows(r, r->ids, r->ranks, n, at);
}

static void scope_drop(struct rank_op *r)
{
    struct rank_scope *scope = &r->scopes[0];

    for (uint32_t id = 0; id < scope->table.groups; id++) {
        struct rank_key *key = table_state(&scope->table, id);

        forget_key(r, key);
        heap_free(r->op.heap, key->entries, key->room * sizeof *key->entries);
    }
    r->op.counters.consumed += scope->rows;
    r->op.counters.held -= scope->rows;
    r->op.counters.fired++;
    table_close(&scope->table);
    r->scope_count--;
    memmove(r->scopes, r->scopes + 1, r->scope_count * sizeof *r->scopes);
}

static enum op_progress fire(struct rank_op *r, const struct step_time *t, int64_t *budget)
{
    while (r->scope_count > 0 &&
           (t->last || (r->windowed && closes_at(r, r->scopes[0].end) <= t->w_after))) {
        if (!r->sorting && !sorter_open(&r->sorter, &r->scopes[0].table))
            return no_memory(r);
        r->sorting = true;
        if (!sorter_turn(&r->sorter, budget))
            return OP_BUSY;
        while (r->group < r->scopes[0].table.groups) {
            enum op_progress p = OP_READY;

            if (*budget <= 0)
                return OP_BUSY;
            if (emit_full(&r->emit))
                p = emit_flush(&r->emit, t);
            if (p != OP_READY)
                return p;
            if (!emit_some(r, t, budget))
                return no_memory(r);
        }
        scope_drop(r);
        r->sorting = false;
        r->group = r->entry = 0;
    }
    sorter_close(&r->sorter);
    r->ending = false;
    r->op.counters.state_rows = r->rows.rows;
    r->op.counters.waits = r->windowed && r->scope_count > 0;
    r->op.counters.waits_for = r->op.counters.waits ? closes_at(r, r->scopes[0].end) : TIME_MAX;
    return emit_flush(&r->emit, t);
}

static enum op_progress rank_turn(struct op *op, const struct step_time *t)
{
    struct rank_op *r = (struct rank_op *)op;
    int64_t budget = op->context->turn_work;
    enum op_progress p;

    if (r->batch != NULL)
        return go_on(r, t);
    if (!r->ending)
        return OP_READY;
    p = fire(r, t, &budget);
    op->context->work += (uint64_t)(op->context->turn_work - budget);
    return p;
}

static enum op_progress rank_end_step(struct op *op, const struct step_time *t)
{
    struct rank_op *r = (struct rank_op *)op;

    r->ending = !r->changelog;
    return rank_turn(op, t);
}

/* ---- life ---- */

static void rank_snapshot(struct op *op, struct snapshot_writer *to)
{
    const struct rank_op *r = (const struct rank_op *)op;

    CHECK(!r->ending && r->batch == NULL);
    snapshot_put(to, &op->counters, sizeof op->counters);
    snapshot_u32(to, r->scope_count);
    for (uint32_t s = 0; s < r->scope_count; s++) {
        const struct rank_scope *scope = &r->scopes[s];

        snapshot_u64(to, (uint64_t)scope->end);
        snapshot_u64(to, scope->rows);
        snapshot_u32(to, scope->table.groups);
        for (uint32_t id = 0; id < scope->table.groups; id++) {
            struct rank_key *key = table_state(&scope->table, id);

            table_key_snapshot(&scope->table, id, to);
            snapshot_u64(to, (uint64_t)key->touched_us);
            snapshot_u32(to, key->count);
            for (uint32_t i = 0; i < key->count; i++)
                rows_save(&r->rows, entries_of(key)[i].id, to);
        }
    }
}

static bool key_restore(struct rank_op *r, struct rank_key *key, struct snapshot_reader *from)
{
    uint32_t count;

    *key = (struct rank_key){.touched_us = (int64_t)snapshot_get_u64(from)};
    count = snapshot_get_u32(from);
    for (uint32_t i = 0; i < count && !from->failed; i++) {
        struct rank_entry e = {.id = rows_restore(&r->rows, from)};

        if (e.id == ROW_NONE)
            return false;
        if (r->node->order_count > 0)
            e.prefix = sort_prefix(&r->node->order[0], rows_value(&r->rows, e.id, r->order_kept[0]),
                                   rows_value_valid(&r->rows, e.id, r->order_kept[0]));
        if (!entries_grow(r, key)) {
            rows_free(&r->rows, &e.id, 1);
            return false;
        }
        entries_of(key)[key->count++] = e;
    }
    return !from->failed;
}

static bool rank_restore(struct op *op, struct snapshot_reader *from)
{
    struct rank_op *r = (struct rank_op *)op;
    uint32_t scopes;

    snapshot_get(from, &op->counters, sizeof op->counters);
    scopes = snapshot_get_u32(from);
    for (uint32_t s = 0; s < scopes && !from->failed; s++) {
        struct rank_scope *scope = scope_at(r, (int64_t)snapshot_get_u64(from));
        uint32_t groups;

        if (scope == NULL)
            return false;
        scope->rows = snapshot_get_u64(from);
        groups = snapshot_get_u32(from);
        for (uint32_t i = 0; i < groups && !from->failed; i++)
            if (table_key_restore(&scope->table, from) != i ||
                !key_restore(r, table_state(&scope->table, i), from))
                return false;
    }
    return !from->failed;
}

static bool rank_valid(const struct op *op)
{
    const struct rank_op *r = (const struct rank_op *)op;
    const struct op_counters *n = &op->counters;
    uint64_t rows = 0;

    for (uint32_t s = 0; s < r->scope_count; s++) {
        if (!table_valid(&r->scopes[s].table) ||
            (s > 0 && r->scopes[s - 1].end >= r->scopes[s].end))
            return false;
        for (uint32_t id = 0; id < r->scopes[s].table.groups; id++) {
            struct rank_key *key = table_state(&r->scopes[s].table, id);

            for (uint32_t i = 1; i < key->count; i++)
                if (compare_entries(r, &entries_of(key)[i - 1], &entries_of(key)[i]) > 0)
                    return false;
            rows += key->count;
        }
    }
    return rows == r->rows.rows && rows_valid(&r->rows) &&
           n->in == n->consumed + n->filtered + n->late + n->dead + n->held;
}

static void rank_inspect(const struct op *op, uint32_t sample, struct op_state *state)
{
    const struct rank_op *r = (const struct rank_op *)op;

    for (uint32_t s = 0; s < r->scope_count; s++)
        table_inspect(&r->scopes[s].table, sample, &state->tables);
    state->table_count += r->scope_count;
}

static void rank_close(struct op *op)
{
    struct rank_op *r = (struct rank_op *)op;
    struct heap *heap = op->heap;

    batch_release(r->batch);
    emit_close(&r->emit);
    sorter_close(&r->sorter);
    while (r->scope_count > 0)
        scope_drop(r);
    heap_free(heap, r->scopes, r->scope_room * sizeof *r->scopes);
    rows_close(&r->rows);
    heap_free(heap, r->pending, r->pending_room * sizeof *r->pending);
    heap_free(heap, r->before.items, r->before.room * sizeof *r->before.items);
    heap_free(heap, r->after.items, r->after.room * sizeof *r->after.items);
    heap_free(heap, r->gone.items, r->gone.room * sizeof *r->gone.items);
    heap_free(heap, r->key, r->key_room);
    heap_free(heap, r->order_kept, (r->node->order_count + 1) * sizeof *r->order_kept);
    heap_free(heap, r->given_kept, (r->node->given + 1) * sizeof *r->given_kept);
    key_layout_close(&r->keys);
    key_batch_close(&r->batch_keys);
    heap_free(heap, r, sizeof *r);
}

static const struct op_vtable rank_vtable = {.name = "Top-N",
                                             .push = rank_push,
                                             .end_step = rank_end_step,
                                             .resume = rank_turn,
                                             .snapshot = rank_snapshot,
                                             .restore = rank_restore,
                                             .valid = rank_valid,
                                             .inspect = rank_inspect,
                                             .close = rank_close};

static bool find_kept(struct rank_op *r)
{
    const struct rank_node *node = r->node;

    r->order_kept = heap_alloc(r->op.heap, (node->order_count + 1) * sizeof *r->order_kept);
    r->given_kept = heap_alloc(r->op.heap, (node->given + 1) * sizeof *r->given_kept);
    if (r->order_kept == NULL || r->given_kept == NULL)
        return false;
    for (uint32_t c = 0; c < node->given; c++)
        r->given_kept[c] = UINT32_MAX;
    for (uint32_t k = 0; k < node->kept_count; k++) {
        if (node->kept[k] < node->given)
            r->given_kept[node->kept[k]] = k;
        for (uint32_t i = 0; i < node->order_count; i++)
            if (node->order[i].column == node->kept[k])
                r->order_kept[i] = k;
    }
    return true;
}

struct op *op_rank_new(struct op_context *context, const struct phys_node *node)
{
    const struct rank_node *spec = node->rank;
    struct rank_op *r;

    if (spec->how == RANK_FIRST || spec->how == RANK_FIRST_NOW)
        return op_first_new(context, node);
    r = heap_zalloc(context->heap, sizeof *r);
    if (r != NULL) {
        r->op = (struct op){.vtable = &rank_vtable,
                            .context = context,
                            .heap = context->heap,
                            .id = node->id};
        r->node = spec;
        r->input = &node->inputs[0]->schema;
        r->schema = &node->schema;
        r->windowed = spec->how == RANK_WINDOW;
        r->changelog = node->changelog && !r->windowed;
        r->keeps_all = node->inputs[0]->updating;
        r->nanos = type_is_nanos(&spec->time_type);
        r->zone = spec->local ? context->zone : NULL;
        emit_open(&r->emit, &r->op, node);
        if (find_kept(r) &&
            key_layout_open(&r->keys, context->heap, r->input, spec->keys, spec->key_count) &&
            key_batch_open(&r->batch_keys, context->heap) &&
            rows_open(&r->rows, context->heap, r->input, spec->kept, spec->kept_count, 0)) {
            r->keys.kernels = context->kernels;
            return &r->op;
        }
        rank_close(&r->op);
    }
    mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for a Top-N");
    return NULL;
}
