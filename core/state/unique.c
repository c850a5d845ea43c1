/* core/state/unique.c - a read-only index of distinct keys. */
#include "core/state/unique.h"

#include "kernels/kernels.h"

#define AHEAD 32u
#define LINES_MAX 64u /* that a key may stand behind its own */

static inline uint64_t line_of(const struct unique *u, int64_t key)
{
    return mk_hash_word(key, u->seed) >> u->shift;
}

bool unique_open(struct unique *u, struct heap *heap, uint32_t keys, uint64_t seed, int64_t absent)
{
    uint64_t count = 2;

    while (count * 2 < keys) /* at most half full */
        count *= 2;
    *u = (struct unique){.heap = heap,
                         .count = count,
                         .seed = seed | 1,
                         .shift = 64 - (uint32_t)__builtin_ctzll(count),
                         .absent = absent};
    u->lines = heap_alloc(heap, count * sizeof *u->lines);
    for (uint64_t i = 0; u->lines != NULL && i < count; i++)
        for (uint32_t s = 0; s < 4; s++) {
            u->lines[i].keys[s] = absent;
            u->lines[i].values[s] = 0;
        }
    return u->lines != NULL;
}

void unique_close(struct unique *u)
{
    if (u->lines != NULL)
        heap_free(u->heap, u->lines, u->count * sizeof *u->lines);
    *u = (struct unique){0};
}

static bool add(struct unique *u, int64_t key, uint64_t value)
{
    uint64_t at = line_of(u, key);

    for (uint32_t lines = 0; lines < LINES_MAX; lines++, at = (at + 1) & (u->count - 1))
        for (uint32_t s = 0; s < 4; s++)
            if (u->lines[at].keys[s] == u->absent) {
                u->lines[at].keys[s] = key;
                u->lines[at].values[s] = value;
                return true;
            }
    return false;
}

bool unique_add(struct unique *u, const int64_t *keys, const uint64_t *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i + AHEAD < count)
            __builtin_prefetch(&u->lines[line_of(u, keys[i + AHEAD])], 1);
        if (!add(u, keys[i], values[i]))
            return false;
    }
    return true;
}

void unique_seal(struct unique *u)
{
    for (uint64_t i = 0; i < u->count; i++)
        for (uint32_t s = 1; s < 4; s++)
            if (u->lines[i].keys[s] == u->absent) {
                u->lines[i].keys[s] = u->lines[i].keys[0];
                u->lines[i].values[s] = u->lines[i].values[0];
            }
}

/* In lines behind full ones. */
static bool find_behind(const struct unique *u, uint64_t at, int64_t key, uint64_t *value)
{
    for (uint32_t lines = 0; lines < LINES_MAX; lines++) {
        const struct unique_line *line = &u->lines[at];

        for (uint32_t s = 0; s < 4; s++)
            if (line->keys[s] == key) {
                *value = line->values[s];
                return true;
            }
        if (line->keys[3] == line->keys[0])
            return false;
        at = (at + 1) & (u->count - 1);
    }
    return false;
}

/* Without a branch that hangs on the key, but where a line is full. */
bool unique_find(const struct unique *u, const int64_t *keys, uint32_t count, uint64_t *values,
                 bool *found)
{
    const struct unique_line *const lines = u->lines;
    const int64_t absent = u->absent;
    uint64_t ahead[AHEAD]; /* lines of the next keys */
    bool odd = false;

    for (uint32_t i = 0; i < AHEAD && i < count; i++)
        __builtin_prefetch(&lines[ahead[i] = line_of(u, keys[i])]);
    for (uint32_t i = 0; i < count; i++) {
        const int64_t key = keys[i];
        const uint64_t at = ahead[i % AHEAD];
        const struct unique_line *line = &lines[at];
        uint32_t s;

        if (i + AHEAD < count)
            __builtin_prefetch(&lines[ahead[i % AHEAD] = line_of(u, keys[i + AHEAD])]);
        s = line->keys[1] == key ? 1 : 0;
        s = line->keys[2] == key ? 2 : s;
        s = line->keys[3] == key ? 3 : s;
        values[i] = line->values[s];
        found[i] = line->keys[s] == key;
        odd |= key == absent;
        if (UNLIKELY(!found[i]) && line->keys[3] != line->keys[0])
            found[i] = find_behind(u, (at + 1) & (u->count - 1), key, &values[i]);
    }
    return !odd;
}
