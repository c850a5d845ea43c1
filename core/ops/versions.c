/* core/ops/versions.c - versions of rows by key and time: sorted arrays. */
#include "core/ops/versions.h"

bool versions_open(struct versions *v, struct heap *heap, const struct mill_schema *schema,
                   const uint32_t *columns, uint32_t count, const uint32_t *keys,
                   uint32_t key_count, uint64_t seed)
{
    *v = (struct versions){.heap = heap};
    if (!rows_open(&v->rows, heap, schema, columns, count, 0) ||
        !key_layout_open(&v->keys, heap, schema, keys, key_count))
        return false;
    table_open(&v->table, heap, &v->keys, sizeof(struct version_list), seed);
    return true;
}

void versions_close(struct versions *v)
{
    if (v->heap == NULL)
        return;
    for (uint32_t id = 0; id < v->table.groups; id++) {
        struct version_list *list = versions_list(v, id);

        heap_free(v->heap, list->all, list->room * sizeof *list->all);
    }
    table_close(&v->table);
    key_layout_close(&v->keys);
    rows_close(&v->rows);
}

static const struct version *first_of(const struct version_list *list)
{
    return list->all != NULL ? list->all + list->first : &list->one;
}

static struct version *first_to_change(struct version_list *list)
{
    return list->all != NULL ? list->all + list->first : &list->one;
}

bool versions_of(struct versions *v, const struct key_batch *keys, uint32_t count,
                 struct version_list **lists)
{
    const uint32_t before = v->table.groups;
    const bool ok = table_lookup(&v->table, keys, NULL, count, (void **)lists);

    for (uint32_t id = before; id < v->table.groups; id++)
        *versions_list(v, id) = (struct version_list){.count = 0};
    return ok;
}

/* ---- one list ---- */

/* Room for one more behind the last. */
static bool list_grow(struct versions *v, struct version_list *list)
{
    uint32_t room = 4;
    struct version *all;

    if (list->all == NULL && list->count == 0)
        return true;
    if (list->all != NULL && list->first + list->count < list->room)
        return true;
    if (list->all != NULL && list->first > list->room / 2) {
        memmove(list->all, list->all + list->first, list->count * sizeof *all);
        list->first = 0;
        return true;
    }
    while (room < list->count + 1)
        room *= 2;
    all = heap_alloc(v->heap, room * sizeof *all);
    if (all == NULL)
        return false;
    memcpy(all, first_of(list), list->count * sizeof *all);
    heap_free(v->heap, list->all, list->room * sizeof *all);
    list->all = all;
    list->first = 0;
    list->room = room;
    return true;
}

/* How many versions have time <= @time. */
static uint32_t up_to(const struct version_list *list, int64_t time)
{
    const struct version *all = first_of(list);
    uint32_t low = 0, high = list->count;

    if (high > 0 && all[high - 1].time <= time)
        return high;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;

        if (all[middle].time <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_late(const struct version *version)
{
    return version->seen >= version->time;
}

bool versions_add(struct versions *v, struct version_list *list, const struct version *version)
{
    const uint32_t at = up_to(list, version->time);
    struct version *all;

    if (!list_grow(v, list))
        return false;
    all = first_to_change(list);
    if (at < list->count)
        memmove(all + at + 1, all + at, (list->count - at) * sizeof *all);
    all[at] = *version;
    list->count++;
    v->held += version->id != ROW_NONE && !is_late(version);
    return true;
}

uint32_t versions_at(const struct versions *v, const struct version_list *list, int64_t time)
{
    const struct version *all = first_of(list);

    for (uint32_t n = up_to(list, time); n > 0; n--) {
        const struct version *version = &all[n - 1];

        if (version->seen >= time)
            continue;
        return v->limited && time > time_add(version->time, v->reach) ? ROW_NONE : version->id;
    }
    return ROW_NONE;
}

uint32_t versions_late(const struct versions *v, const struct version_list *list, int64_t time,
                       int64_t w)
{
    const uint32_t n = up_to(list, w);
    const struct version *newest = n > 0 ? &first_of(list)[n - 1] : NULL;

    if (newest == NULL || newest->time > time ||
        (v->limited && w > time_add(newest->time, v->reach)))
        return ROW_NONE;
    return newest->id;
}

void versions_drop(struct versions *v, struct version_list *list, int64_t w)
{
    const struct version *all = first_of(list);
    uint32_t n = up_to(list, w);

    while (n > 0 && all[n - 1].seen > w) /* not seen by all who leave after w */
        n--;
    if (n == 0)
        return;
    /* the newest stays, unless it says that there is no row or its time is over */
    if (all[n - 1].id != ROW_NONE && !(v->limited && w > time_add(all[n - 1].time, v->reach)))
        n--;
    if (n == 0)
        return;
    for (uint32_t i = 0; i < n; i++) {
        if (all[i].id == ROW_NONE)
            continue;
        v->held -= !is_late(&all[i]);
        v->gone += !is_late(&all[i]);
        rows_free(&v->rows, &all[i].id, 1);
    }
    list->count -= n;
    if (list->all != NULL)
        list->first = list->count > 0 ? list->first + n : 0;
    if (list->all != NULL && list->count <= 1) {
        struct version *gone = list->all;

        list->one = gone[list->first];
        list->all = NULL;
        heap_free(v->heap, gone, list->room * sizeof *gone);
        list->first = list->room = 0;
    }
}

void versions_sweep(struct versions *v, uint32_t groups, int64_t w)
{
    groups = min_u32(groups, v->table.groups);
    for (uint32_t i = 0; i < groups; i++) {
        if (v->swept >= v->table.groups)
            v->swept = 0;
        versions_drop(v, versions_list(v, v->swept++), w);
    }
}

void versions_forget(struct versions *v)
{
    for (uint32_t id = 0; id < v->table.groups; id++) {
        struct version_list *list = versions_list(v, id);

        heap_free(v->heap, list->all, list->room * sizeof *list->all);
        *list = (struct version_list){.count = 0};
    }
    rows_reset(&v->rows);
    v->gone += v->held;
    v->held = 0;
}

/* ---- life ---- */

void versions_snapshot(const struct versions *v, struct snapshot_writer *to)
{
    snapshot_u64(to, v->gone);
    snapshot_u32(to, v->table.groups);
    for (uint32_t id = 0; id < v->table.groups; id++) {
        const struct version_list *list = versions_list(v, id);
        const struct version *all = first_of(list);

        table_key_snapshot(&v->table, id, to);
        snapshot_u32(to, list->count);
        for (uint32_t i = 0; i < list->count; i++) {
            snapshot_u64(to, (uint64_t)all[i].time);
            snapshot_u64(to, (uint64_t)all[i].seen);
            snapshot_u8(to, all[i].id != ROW_NONE);
            if (all[i].id != ROW_NONE)
                rows_save(&v->rows, all[i].id, to);
        }
    }
}

static bool list_restore(struct versions *v, uint32_t id, struct snapshot_reader *from)
{
    const uint32_t count = snapshot_get_u32(from);

    for (uint32_t i = 0; i < count && !from->failed; i++) {
        struct version version = {.id = ROW_NONE};

        version.time = (int64_t)snapshot_get_u64(from);
        version.seen = (int64_t)snapshot_get_u64(from);
        if (snapshot_get_u8(from) != 0) {
            version.id = rows_restore(&v->rows, from);
            if (version.id == ROW_NONE)
                return false;
        }
        if (!versions_add(v, versions_list(v, id), &version))
            return false;
    }
    return !from->failed;
}

bool versions_restore(struct versions *v, struct snapshot_reader *from)
{
    uint32_t groups;

    v->gone = snapshot_get_u64(from);
    groups = snapshot_get_u32(from);
    for (uint32_t i = 0; i < groups && !from->failed; i++) {
        const uint32_t id = table_key_restore(&v->table, from);

        if (id != i)
            return false;
        *versions_list(v, id) = (struct version_list){.count = 0};
        if (!list_restore(v, id, from))
            return false;
    }
    return !from->failed;
}

bool versions_valid(const struct versions *v)
{
    uint64_t rows = 0, held = 0;

    for (uint32_t id = 0; id < v->table.groups; id++) {
        const struct version_list *list = versions_list(v, id);
        const struct version *all = first_of(list);

        if (list->all == NULL ? list->count > 1 : list->first + list->count > list->room)
            return false;
        for (uint32_t i = 0; i < list->count; i++) {
            if (i > 0 && all[i - 1].time > all[i].time)
                return false;
            rows += all[i].id != ROW_NONE;
            held += all[i].id != ROW_NONE && !is_late(&all[i]);
        }
    }
    return rows == v->rows.rows && held == v->held && rows_valid(&v->rows) &&
           table_valid(&v->table);
}
