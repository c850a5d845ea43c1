/* core/ops/rank_key.c - the rows of a key: sorted, ranked, and what one row more or less changes. */
#include "core/ops/rank_impl.h"

/* ---- entries of a key ---- */

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
    const struct rank_entry *entries = rank_entries_of(key);
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
    entries = rank_entries_of(key);
    memmove(entries + at + 1, entries + at, (key->count - at) * sizeof *entries);
    entries[at] = *e;
    key->count++;
    return true;
}

static void entry_remove(struct rank_key *key, uint32_t at)
{
    struct rank_entry *entries = rank_entries_of(key);

    key->count--;
    memmove(entries + at, entries + at + 1, (key->count - at) * sizeof *entries);
}

void rank_forget_key(struct rank_op *r, struct rank_key *key)
{
    for (uint32_t i = 0; i < key->count; i++)
        rows_free(&r->rows, &rank_entries_of(key)[i].id, 1);
    key->count = 0;
}

/* ---- ranks ---- */

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
int64_t rank_of(const struct rank_op *r, const struct rank_entry *entries, uint32_t i,
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
    const struct rank_entry *entries = rank_entries_of(key);
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
        const uint32_t id = rank_entries_of(key)[--key->count].id;

        if (!visible_add(r, &r->gone, id, 0))
            return false;
    }
    return true;
}

/* Takes out the entry of a row that is equal to row @row of @batch. That row itself is stored as @e so that it can be
 * compared, until rank_free_gone(): at once, or when its changes have been given. */
static bool take_back(struct rank_op *r, struct rank_key *key, const struct rank_entry *e,
                      const struct batch *batch, uint32_t row)
{
    const struct rank_entry *entries = rank_entries_of(key);

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

void rank_free_gone(struct rank_op *r)
{
    for (uint32_t i = 0; i < r->gone.count; i++)
        rows_free(&r->rows, &r->gone.items[i].id, 1);
    r->gone.count = 0;
}

bool rank_apply(struct rank_op *r, struct rank_key *key, const struct rank_entry *e,
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
        rank_free_gone(r);
        return true;
    }
    return look(r, key, &r->after, &count) && find_changes(r);
}

/* ---- life ---- */

bool rank_key_restore(struct rank_op *r, struct rank_key *key, struct snapshot_reader *from)
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
        rank_entries_of(key)[key->count++] = e;
    }
    return !from->failed;
}

bool rank_key_valid(const struct rank_op *r, struct rank_key *key)
{
    const struct rank_entry *entries = rank_entries_of(key);

    for (uint32_t i = 1; i < key->count; i++)
        if (compare_entries(r, &entries[i - 1], &entries[i]) > 0)
            return false;
    return true;
}
