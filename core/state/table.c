/* core/state/table.c - the key table: buckets, growth, lookup. */
#include "core/state/table.h"

#include "core/state/key.h"

#include "kernels/kernels.h"

#define BUCKET 8u
#define PROBE_MAX 64u /* buckets; more means a bad seed: the table is rebuilt with another */
#define PREFETCH_BYTES (1u << 20) /* tables larger than this are prefetched */
#define PROBE_ROWS 512u
#define REBUILD_AHEAD 12u
#define INDEX_MAX (1u << 16) /* keys in the range of an array by key */

void table_open(struct table *table, struct heap *heap, const struct key_layout *layout,
                uint32_t state_bytes, uint64_t seed)
{
    *table = (struct table){.heap = heap,
                            .layout = layout,
                            .seed = seed | 1,
                            .state_bytes = state_bytes,
                            .null_group = TABLE_NO_GROUP};
    arena_open(&table->bytes, heap);
}

static void free_buckets(struct table *table)
{
    heap_free(table->heap, table->words, table->buckets * BUCKET * sizeof *table->words);
    heap_free(table->heap, table->ids, table->buckets * BUCKET * sizeof *table->ids);
}

void table_close(struct table *table)
{
    if (table->heap == NULL)
        return;
    free_buckets(table);
    heap_free(table->heap, table->index, table->index_room * sizeof *table->index);
    heap_free(table->heap, table->states, (size_t)table->state_room * table->state_bytes);
    heap_free(table->heap, table->group_words, table->word_room * sizeof *table->group_words);
    heap_free(table->heap, table->group_views, table->view_room * sizeof *table->group_views);
    arena_close(&table->bytes);
    table->heap = NULL;
}

uint64_t table_bytes(const struct table *table)
{
    return table->buckets * BUCKET * 12 + table->index_room * 4ull +
           (uint64_t)table->state_room * table->state_bytes + table->word_room * 8ull +
           table->view_room * 16ull + table->bytes.bytes;
}

static inline uint64_t bucket_of(const struct table *table, int64_t word)
{
    return mk_hash_word(word, table->seed) >> table->shift;
}

/* Puts a group that is not there; false: the chain is too long. */
static bool place_group(struct table *table, int64_t word, uint32_t id)
{
    uint64_t b = bucket_of(table, word);

    for (uint32_t probes = 0; probes < PROBE_MAX; probes++, b = (b + 1) & (table->buckets - 1)) {
        uint32_t *ids = table->ids + b * BUCKET;

        for (uint32_t s = 0; ids[BUCKET - 1] == 0 && s < BUCKET; s++)
            if (ids[s] == 0) {
                table->words[b * BUCKET + s] = word;
                ids[s] = id + 1;
                return true;
            }
    }
    return false;
}

/* A key that is looked for: its own word or hash; wide ones with their bytes. */
struct wanted {
    int64_t own;
    const struct mill_view *view;
    bool raw;
};

/* Where a key stands in this table. */
static inline int64_t word_in(const struct table *table, const struct wanted *key)
{
    return key->view == NULL || LIKELY(table->view_seed == 0)
               ? key->own
               : key_view_hash_seeded(table->layout, key->view, key->raw, table->view_seed);
}

/* Another hash: too many keys met in one place. */
static void change_seed(struct table *table)
{
    table->seed = table->seed * 0xd6e8feb86659fd93u + 2;
    if (table->group_views == NULL)
        return;
    table->view_seed = table->seed | 1;
    for (uint32_t i = 0; i < table->groups; i++)
        table->group_words[i] =
            key_view_hash_seeded(table->layout, &table->group_views[i], false, table->view_seed);
}

static inline void prefetch_bucket(const struct table *table, int64_t word)
{
    const uint64_t at = bucket_of(table, word) * BUCKET;

    __builtin_prefetch(table->words + at, 1);
    __builtin_prefetch(table->ids + at, 1);
}

static bool rebuild(struct table *table, uint64_t buckets)
{
    int64_t *words;
    uint32_t *ids;

again:
    words = heap_alloc(table->heap, buckets * BUCKET * sizeof *words);
    ids = words != NULL ? heap_zalloc(table->heap, buckets * BUCKET * sizeof *ids) : NULL;
    if (ids == NULL) {
        heap_free(table->heap, words, buckets * BUCKET * sizeof *words);
        return false;
    }
    memset(words, 0, buckets * BUCKET * sizeof *words);
    free_buckets(table);
    table->words = words;
    table->ids = ids;
    table->buckets = buckets;
    table->shift = 64 - (uint32_t)__builtin_ctzll(buckets);
    for (uint32_t i = 0; i < table->groups; i++) {
        if (i + REBUILD_AHEAD < table->groups)
            prefetch_bucket(table, table->group_words[i + REBUILD_AHEAD]);
        if (i != table->null_group && !place_group(table, table->group_words[i], i)) {
            change_seed(table);
            buckets *= 2;
            goto again;
        }
    }
    return true;
}

/* The array with room for @groups, or NULL; what has grown before memory ran out stays so: nothing is lost. */
static void *grow_array(struct table *table, void *array, uint32_t *room, uint32_t groups,
                        size_t bytes)
{
    if (*room >= groups)
        return array;
    array = heap_grow(table->heap, array, *room * bytes, groups * bytes);
    if (array != NULL)
        *room = groups;
    return array;
}

static bool grow_groups(struct table *table, uint32_t groups)
{
    const bool wide = !table->layout->narrow && table->layout->count > 0;
    char *states = grow_array(table, table->states, &table->state_room, groups, table->state_bytes);
    int64_t *words;
    struct mill_view *views;

    if (states == NULL)
        return false;
    table->states = states;
    words = grow_array(table, table->group_words, &table->word_room, groups, sizeof *words);
    if (words == NULL)
        return false;
    table->group_words = words;
    if (wide) {
        views = grow_array(table, table->group_views, &table->view_room, groups, sizeof *views);
        if (views == NULL)
            return false;
        table->group_views = views;
    }
    table->capacity = groups;
    return true;
}

bool table_reserve(struct table *table, uint32_t groups)
{
    uint64_t buckets = max_u64(table->buckets, 2);

    while (buckets * BUCKET * 5 / 8 < groups)
        buckets *= 2;
    if (groups > table->capacity && !grow_groups(table, max_u32(groups, 16)))
        return false;
    return buckets == table->buckets || table->index != NULL || table->layout->count == 0 ||
           rebuild(table, buckets);
}

/* ---- the array by key ---- */

static void drop_index(struct table *table)
{
    heap_free(table->heap, table->index, table->index_room * sizeof *table->index);
    table->index = NULL;
    table->index_room = 0;
}

/* Range of the keys least .. most with those already there; false: too wide for @rows more rows. */
static bool index_range(const struct table *table, int64_t *least, int64_t *most, uint32_t rows)
{
    uint64_t span;

    if (table->index != NULL && table->groups > 0) {
        *least = min_i64(*least, table->index_base);
        *most = max_i64(*most, table->index_base + (int64_t)table->index_room - 1);
    }
    span = (uint64_t)*most - (uint64_t)*least;
    return span < INDEX_MAX && span < 64 + 8 * ((uint64_t)table->groups + rows);
}

/* The array over least .. most (the old range included), with what is in it. False without memory. */
static bool make_index(struct table *table, int64_t least, int64_t most)
{
    const uint64_t span = (uint64_t)most - (uint64_t)least + 1;
    const uint32_t room = max_u32(64, (uint32_t)min_u64(2 * span, INDEX_MAX));
    uint32_t *index = heap_zalloc(table->heap, room * sizeof *index);

    if (index == NULL)
        return false;
    least = min_i64(least, INT64_MAX - (int64_t)room + 1);
    for (uint32_t id = 0; id < table->groups; id++)
        if (id != table->null_group)
            index[(uint64_t)table->group_words[id] - (uint64_t)least] = id + 1;
    drop_index(table);
    table->index = index;
    table->index_base = least;
    table->index_room = room;
    return true;
}

static inline bool in_index(const struct table *table, int64_t word)
{
    return (uint64_t)word - (uint64_t)table->index_base < table->index_room;
}

/* From the array to buckets. */
static bool leave_index(struct table *table)
{
    drop_index(table);
    return table_reserve(table, max_u32(8, table->groups * 2));
}

/* Makes the array hold least .. most too, or gives it up. False without memory. */
static bool fit_index(struct table *table, int64_t least, int64_t most, uint32_t rows)
{
    if (table->index != NULL && in_index(table, least) && in_index(table, most))
        return true;
    if (index_range(table, &least, &most, rows))
        return make_index(table, least, most);
    return table->index == NULL || leave_index(table);
}

/* A new group; TABLE_NO_GROUP without memory. */
static uint32_t add_group(struct table *table, const struct wanted *key)
{
    const uint32_t id = table->groups;

    if ((id == table->capacity ||
         (table->index == NULL && id >= table->buckets * BUCKET * 5 / 8)) &&
        !table_reserve(table, max_u32(8, id * 2 + 1)))
        return TABLE_NO_GROUP;
    if (key->view != NULL) {
        table->group_views[id] = key_view_keep(key->view, key->raw, &table->bytes);
        if (table->group_views[id].length == UINT32_MAX)
            return TABLE_NO_GROUP;
    }
    table->group_words[id] = word_in(table, key);
    table->groups++;
    return id;
}

static uint32_t find_indexed(struct table *table, int64_t word)
{
    uint32_t *at = &table->index[(uint64_t)word - (uint64_t)table->index_base];

    if (*at == 0) {
        const uint32_t id = add_group(table, &(struct wanted){.own = word});

        if (id == TABLE_NO_GROUP)
            return id;
        *at = id + 1;
    }
    return *at - 1;
}

static inline bool is_key(const struct table *table, const struct wanted *key, uint32_t id)
{
    return key->view == NULL || key_view_same(key->view, key->raw, &table->group_views[id]);
}

/* The group of a key whose word is @word, in the buckets; TABLE_NO_GROUP: none. */
static uint32_t find_placed(const struct table *table, const struct wanted *key, int64_t word)
{
    uint64_t b = table->buckets > 0 ? bucket_of(table, word) : 0;

    for (uint32_t probes = 0; probes <= PROBE_MAX && table->buckets > 0; probes++) {
        const int64_t *words = table->words + b * BUCKET;
        const uint32_t *ids = table->ids + b * BUCKET;

        for (uint32_t s = 0; s < BUCKET && ids[s] != 0; s++)
            if (words[s] == word && is_key(table, key, ids[s] - 1))
                return ids[s] - 1;
        if (ids[BUCKET - 1] == 0)
            break;
        b = (b + 1) & (table->buckets - 1);
    }
    return TABLE_NO_GROUP;
}

static uint32_t find_or_add(struct table *table, const struct wanted *key)
{
    const int64_t word = word_in(table, key);
    uint32_t id;

    if (table->index != NULL) {
        if (!fit_index(table, word, word, 1))
            return TABLE_NO_GROUP;
        if (table->index != NULL)
            return find_indexed(table, word);
    }
    id = find_placed(table, key, word);
    if (id != TABLE_NO_GROUP)
        return id;
    id = add_group(table, key);
    if (id == TABLE_NO_GROUP)
        return id;
    while (!place_group(table, table->group_words[id], id)) {
        change_seed(table);
        table->groups--;
        if (!rebuild(table, table->buckets * 2))
            return TABLE_NO_GROUP;
        table->groups++;
        table->group_words[id] =
            word_in(table, key); /* rebuild() may have changed the seed again */
    }
    return id;
}

static uint32_t null_group(struct table *table)
{
    if (table->null_group == TABLE_NO_GROUP) {
        const uint32_t id = add_group(table, &(struct wanted){0});

        table->null_group = id;
    }
    return table->null_group;
}

static bool lookup_indexed(struct table *table, const int64_t *keys, uint32_t count, uint32_t *ids)
{
    const uint64_t base = (uint64_t)table->index_base;

    for (uint32_t i = 0; i < count; i++) {
        ids[i] = table->index[(uint64_t)keys[i] - base];
        if (UNLIKELY(ids[i] == 0)) {
            const uint32_t id = find_indexed(table, keys[i]);

            if (id == TABLE_NO_GROUP)
                return false;
            ids[i] = id + 1;
        }
    }
    return true;
}

/* As lookup_indexed() for keys that the array has room for. False: others are among them, or no memory; what was looked up
 * stays so. */
static bool lookup_in_range(struct table *table, const int64_t *keys, uint32_t count, uint32_t *ids)
{
    const struct mk_agg *kernels = table->layout->kernels->agg;
    const struct mk_index index = {table->index, table->index_base, table->index_room};

    for (uint32_t first = 0; first < count; first += PROBE_ROWS) {
        const uint32_t n = min_u32(PROBE_ROWS, count - first);

        if (kernels->index_i64(&index, keys + first, n, ids + first) == 0)
            continue;
        for (uint32_t i = first; i < first + n; i++)
            if (ids[i] == 0) {
                const uint32_t id =
                    in_index(table, keys[i]) ? find_indexed(table, keys[i]) : TABLE_NO_GROUP;

                if (id == TABLE_NO_GROUP)
                    return false;
                ids[i] = id + 1;
            }
    }
    return true;
}

static inline struct mk_buckets buckets_of(const struct table *table)
{
    return (struct mk_buckets){.words = table->words,
                               .ids = table->ids,
                               .seed = table->seed,
                               .shift = table->shift,
                               .far = table->buckets * BUCKET * 12 > PREFETCH_BYTES};
}

/* The id of a narrow key that was not in its first bucket a moment ago: nearly always a new group, for which that has an empty
 * place. How many places are filled is counted without branches, for nothing foretells it. */
static inline uint32_t find_or_place(struct table *table, int64_t word)
{
    const uint64_t at = bucket_of(table, word) * BUCKET;
    int64_t *words = table->words + at;
    uint32_t *ids = table->ids + at, filled = 0, same = 0;
    const uint32_t id = table->groups;

    for (uint32_t s = 0; s < BUCKET; s++) {
        filled += ids[s] != 0;
        same |= (uint32_t)(words[s] == word && ids[s] != 0);
    }
    if (UNLIKELY(same != 0 || filled == BUCKET || id == table->capacity ||
                 id >= table->buckets * BUCKET * 5 / 8))
        return find_or_add(table, &(struct wanted){.own = word});
    words[filled] = word;
    ids[filled] = id + 1;
    table->group_words[id] = word;
    table->groups++;
    return id;
}

/* Narrow keys, none of them NULL: ids + 1. The first bucket decides nearly always. */
static bool lookup_narrow(struct table *table, const int64_t *keys, uint32_t count, uint32_t *ids)
{
    const struct mk_table *kernels = table->layout->kernels;
    int64_t least, most;

    if (table->buckets == 0) {
        if (table->index != NULL && lookup_in_range(table, keys, count, ids))
            return true;
        kernels->bounds_i64(keys, count, &least, &most);
        if (!fit_index(table, least, most, count))
            return false;
        if (table->index != NULL)
            return lookup_indexed(table, keys, count, ids);
        if (!table_reserve(table, 8))
            return false;
    }
    for (uint32_t first = 0; first < count; first += PROBE_ROWS) {
        const uint32_t n = min_u32(PROBE_ROWS, count - first);
        const struct mk_buckets buckets = buckets_of(table);

        if (kernels->agg->probe_i64(&buckets, keys + first, n, ids + first) == 0)
            continue;
        for (uint32_t i = first; i < first + n; i++)
            if (ids[i] == 0) {
                const uint32_t id = find_or_place(table, keys[i]);

                if (id == TABLE_NO_GROUP)
                    return false;
                ids[i] = id + 1;
            }
    }
    return true;
}

/* Narrow keys with NULLs among them. */
static bool lookup_nulls(struct table *table, const struct key_batch *keys, const uint16_t *which,
                         uint32_t count, uint32_t *ids)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t k = which != NULL ? which[i] : i;
        const uint32_t id = keys->nulls[k]
                                ? null_group(table)
                                : find_or_add(table, &(struct wanted){.own = keys->words[k]});

        if (id == TABLE_NO_GROUP)
            return false;
        ids[i] = id + 1;
    }
    return true;
}

/* Wide keys whose hashes are @words: those that the first bucket has are compared, the others looked for one by one. */
static bool lookup_wide(struct table *table, const struct key_batch *keys, const uint16_t *which,
                        const int64_t *words, uint32_t count, uint32_t *ids)
{
    if (table->buckets == 0 && !table_reserve(table, 8))
        return false;
    for (uint32_t first = 0; first < count; first += PROBE_ROWS) {
        const uint32_t upto = min_u32(first + PROBE_ROWS, count);
        const struct mk_buckets buckets = buckets_of(table);

        if (table->view_seed == 0)
            table->layout->kernels->agg->probe_i64(&buckets, words + first, upto - first,
                                                   ids + first);
        else
            memset(ids + first, 0, (upto - first) * sizeof *ids);
        for (uint32_t i = first; i < upto; i++) {
            const struct wanted key = {words[i], &keys->views[which != NULL ? which[i] : i],
                                       keys->raw};
            uint32_t id;

            if (LIKELY(ids[i] != 0) && is_key(table, &key, ids[i] - 1))
                continue;
            id = find_or_add(table, &key);
            if (id == TABLE_NO_GROUP)
                return false;
            ids[i] = id + 1;
        }
    }
    return true;
}

static const int64_t *pick_words(const struct key_batch *keys, const uint16_t *which,
                                 uint32_t count)
{
    if (which == NULL)
        return keys->words;
    for (uint32_t i = 0; i < count; i++)
        keys->picked[i] = keys->words[which[i]];
    return keys->picked;
}

bool table_lookup(struct table *table, const struct key_batch *keys, const uint16_t *which,
                  uint32_t count, void **states)
{
    uint32_t *ids = keys->ids;
    const size_t bytes = table->state_bytes;

    if (count == 0)
        return true;
    if (table->layout->count == 0) {
        if (!table_single(table))
            return false;
        for (uint32_t i = 0; i < count; i++)
            states[i] = table->states;
        return true;
    }
    if (!table->layout->narrow
            ? !lookup_wide(table, keys, which, pick_words(keys, which, count), count, ids)
        : keys->any_null ? !lookup_nulls(table, keys, which, count, ids)
                         : !lookup_narrow(table, pick_words(keys, which, count), count, ids))
        return false;
    if ((size_t)table->groups * bytes > PREFETCH_BYTES)
        for (uint32_t i = 0; i < count; i++) {
            states[i] = table->states + (ids[i] - 1) * bytes;
            __builtin_prefetch(states[i], 1);
        }
    else
        table->layout->kernels->agg->states_of(ids, count, table->states, table->state_bytes,
                                               (char **)states);
    return true;
}

/* ---- finding ---- */

static void find_narrow(const struct table *table, const int64_t *keys, uint32_t count,
                        uint32_t *ids)
{
    const struct mk_agg *kernels = table->layout->kernels->agg;
    const struct mk_index index = {table->index, table->index_base, table->index_room};
    const struct mk_buckets buckets = buckets_of(table);

    if (table->index != NULL) {
        kernels->index_i64(&index, keys, count, ids);
        return;
    }
    if (table->buckets == 0) {
        memset(ids, 0, count * sizeof *ids);
        return;
    }
    for (uint32_t first = 0; first < count; first += PROBE_ROWS) {
        const uint32_t n = min_u32(PROBE_ROWS, count - first);

        if (kernels->probe_i64(&buckets, keys + first, n, ids + first) == 0)
            continue;
        for (uint32_t i = first; i < first + n; i++)
            if (ids[i] == 0)
                ids[i] = find_placed(table, &(struct wanted){.own = keys[i]}, keys[i]) + 1;
    }
}

static void find_wide(const struct table *table, const struct key_batch *keys,
                      const uint16_t *which, const int64_t *words, uint32_t count, uint32_t *ids)
{
    const struct mk_buckets buckets = buckets_of(table);

    for (uint32_t first = 0; first < count; first += PROBE_ROWS) {
        const uint32_t upto = min_u32(first + PROBE_ROWS, count);

        if (table->buckets > 0 && table->view_seed == 0)
            table->layout->kernels->agg->probe_i64(&buckets, words + first, upto - first,
                                                   ids + first);
        else
            memset(ids + first, 0, (upto - first) * sizeof *ids);
        for (uint32_t i = first; i < upto; i++) {
            const struct wanted key = {words[i], &keys->views[which != NULL ? which[i] : i],
                                       keys->raw};

            if (ids[i] == 0 || !is_key(table, &key, ids[i] - 1))
                ids[i] = find_placed(table, &key, word_in(table, &key)) + 1;
        }
    }
}

void table_find(const struct table *table, const struct key_batch *keys, const uint16_t *which,
                uint32_t count, uint32_t *ids)
{
    if (table->layout->count == 0) {
        memset(ids, table->groups > 0 ? 0 : 0xff, count * sizeof *ids);
        return;
    }
    if (table->layout->narrow)
        find_narrow(table, pick_words(keys, which, count), count, ids);
    else
        find_wide(table, keys, which, pick_words(keys, which, count), count, ids);
    for (uint32_t i = 0; i < count; i++)
        ids[i]--; /* 0: TABLE_NO_GROUP */
    for (uint32_t i = 0; table->layout->narrow && keys->any_null && i < count; i++)
        if (keys->nulls[which != NULL ? which[i] : i])
            ids[i] = table->null_group;
}

void table_reset(struct table *table)
{
    table->groups = 0;
    table->null_group = TABLE_NO_GROUP;
    if (table->ids != NULL)
        memset(table->ids, 0, table->buckets * BUCKET * sizeof *table->ids);
    if (table->index != NULL)
        memset(table->index, 0, table->index_room * sizeof *table->index);
    arena_reset(&table->bytes);
}

bool table_is_filled(const struct table *table)
{
    return table->index_room <= 4096 + 16 * table->groups &&
           table->buckets <= 64 + 2 * (uint64_t)table->groups &&
           table->capacity <= 64 + 16 * table->groups;
}

bool table_single(struct table *table)
{
    if (table->groups == 1)
        return true;
    if (table->capacity == 0 && !grow_groups(table, 1))
        return false;
    table->group_words[0] = 0;
    table->groups = 1;
    return true;
}

uint32_t table_adopt(struct table *table, const struct table *from, uint32_t id)
{
    if (table->layout->count == 0)
        return table_single(table) ? 0 : TABLE_NO_GROUP;
    if (id == from->null_group)
        return null_group(table);
    if (table->layout->narrow)
        return find_or_add(table, &(struct wanted){.own = from->group_words[id]});
    return find_or_add(table,
                       &(struct wanted){.own = from->view_seed == 0
                                                   ? from->group_words[id]
                                                   : key_view_hash(from->layout,
                                                                   &from->group_views[id], false),
                                        .view = &from->group_views[id]});
}

static bool compact(struct table *table, uint32_t empty,
                    bool (*gone)(const void *state, const void *user), const void *user)
{
    struct table fresh;
    bool ok;

    table_open(&fresh, table->heap, table->layout, table->state_bytes, table->seed);
    ok = table_reserve(&fresh, table->groups - empty);
    for (uint32_t id = 0; ok && id < table->groups; id++) {
        const void *state = table_state(table, id);
        uint32_t to;

        if (gone(state, user))
            continue;
        to = table_adopt(&fresh, table, id);
        ok = to != TABLE_NO_GROUP;
        if (ok)
            memcpy(table_state(&fresh, to), state, table->state_bytes);
    }
    table_close(ok ? table : &fresh);
    if (ok)
        *table = fresh;
    return ok;
}

struct plain_gone {
    bool (*is_empty)(const void *state);
};

static bool plain_gone(const void *state, const void *user)
{
    return ((const struct plain_gone *)user)->is_empty(state);
}

bool table_compact(struct table *table, uint32_t empty, bool (*is_empty)(const void *state))
{
    return compact(table, empty, plain_gone, &(struct plain_gone){is_empty});
}

void table_tidy(struct table *table, bool (*gone)(const void *state, const void *user),
                const void *user)
{
    uint32_t empty = 0;

    if (table->layout->count == 0)
        return;
    for (uint32_t id = 0; id < table->groups; id++)
        empty += gone(table_state(table, id), user);
    if (empty >= 1024 && empty >= table->groups / 2)
        compact(table, empty, gone, user);
}

bool table_valid(const struct table *table)
{
    uint64_t filled = 0;

    if (table->layout->count == 0)
        return table->groups <= 1;
    for (uint32_t i = 0; i < table->index_room; i++)
        if (table->index[i] != 0) {
            const uint32_t id = table->index[i] - 1;

            if (id >= table->groups ||
                table->group_words[id] != (int64_t)((uint64_t)table->index_base + i))
                return false;
            filled++;
        }
    for (uint64_t b = 0; b < table->buckets; b++)
        for (uint32_t s = 0; s < BUCKET; s++) {
            const uint32_t id = table->ids[b * BUCKET + s];

            if (id == 0)
                continue;
            if (id > table->groups || (s > 0 && table->ids[b * BUCKET + s - 1] == 0) ||
                table->words[b * BUCKET + s] != table->group_words[id - 1])
                return false;
            filled++;
        }
    return filled + (table->null_group != TABLE_NO_GROUP) == table->groups &&
           table->groups <= table->capacity;
}

/* ---- shape ---- */

static uint64_t probes_of(const struct table *table, uint32_t id)
{
    uint64_t b = bucket_of(table, table->group_words[id]);

    for (uint64_t probes = 1; probes <= table->buckets;
         probes++, b = (b + 1) & (table->buckets - 1))
        for (uint32_t s = 0; s < BUCKET; s++)
            if (table->ids[b * BUCKET + s] == id + 1)
                return probes;
    return 0;
}

void table_inspect(const struct table *table, uint32_t sample, struct table_shape *shape)
{
    const bool single = table->layout == NULL || table->layout->count == 0;
    const uint32_t groups = table->groups;
    const uint32_t stride = sample > 0 ? max_u32(1, groups / sample) : 1;

    shape->groups += groups;
    shape->slots += single                 ? groups
                    : table->index != NULL ? table->index_room
                                           : table->buckets * BUCKET;
    shape->bytes += table_bytes(table);
    for (uint32_t id = 0; sample > 0 && id < groups; id += stride) {
        const bool placed = !single && table->index == NULL && id != table->null_group;
        const uint64_t probes = placed ? probes_of(table, id) : 1;

        shape->probed++;
        shape->probes += probes;
        shape->probes_max = max_u64(shape->probes_max, probes);
    }
}

/* ---- snapshots ---- */

void table_key_snapshot(const struct table *table, uint32_t id, struct snapshot_writer *to)
{
    if (table->layout->narrow) {
        snapshot_u8(to, id == table->null_group);
        snapshot_u64(to, (uint64_t)table->group_words[id]);
    } else if (table->layout->count > 0) {
        snapshot_view(to, &table->group_views[id]);
    }
}

uint32_t table_key_restore(struct table *table, struct snapshot_reader *from)
{
    if (table->layout->count == 0)
        return table_single(table) ? 0 : TABLE_NO_GROUP;
    if (table->layout->narrow) {
        const bool null = snapshot_get_u8(from) != 0;
        const int64_t word = (int64_t)snapshot_get_u64(from);

        return from->failed ? TABLE_NO_GROUP
               : null       ? null_group(table)
                            : find_or_add(table, &(struct wanted){.own = word});
    }
    const struct mill_view view = snapshot_get_view(from);

    if (from->failed || !key_view_sound(table->layout, &view))
        return TABLE_NO_GROUP;
    return find_or_add(table, &(struct wanted){.own = key_view_hash(table->layout, &view, false),
                                               .view = &view});
}
