/* core/ops/agg_snapshot.c - states as bytes: for snapshots, and for partials on their way to another shard. */
#include "core/ops/agg_impl.h"

/* ---- snapshots ---- */

static void save_distinct(const struct agg_slot *slot, const struct agg_distinct *d,
                          struct snapshot_writer *to)
{
    const uint32_t width = agg_normal_width(slot->phys);

    snapshot_u32(to, d != NULL ? d->count : 0);
    for (uint32_t i = 0; d != NULL && i < d->count; i++) {
        if (slot->phys == PHYS_VIEW)
            snapshot_view(to, (const struct mill_view *)d->elements + i);
        else
            snapshot_put(to, d->elements + (size_t)i * width, width);
        if (d->numbers != NULL)
            snapshot_u64(to, (uint64_t)d->numbers[i]);
    }
}

static void save_list(const struct agg_list *list, struct snapshot_writer *to)
{
    snapshot_u32(to, list != NULL ? list->count : 0);
    for (uint32_t i = 0; list != NULL && i < list->count; i++) {
        snapshot_u64(to, list->items[i].step);
        snapshot_u32(to, list->items[i].place);
        snapshot_u32(to, list->items[i].length);
        snapshot_put(to, list->items[i].text, list->items[i].length);
    }
}

void agg_snapshot(const struct agg_set *set, const void *state, struct snapshot_writer *to)
{
    snapshot_put(to, state, set->seen_words * 8);
    if (set->step_at != 0)
        snapshot_put(to, (const char *)state + set->step_at, 16);
    for (uint32_t i = 0; i < set->count; i++) {
        const struct agg_slot *slot = &set->slots[i];
        const char *at = (const char *)state + slot->at;

        switch (slot->acc) {
        case ACC_MINVIEW:
        case ACC_MAXVIEW: snapshot_view(to, (const void *)at); break;
        case ACC_DISTINCT: save_distinct(slot, *(struct agg_distinct *const *)at, to); break;
        case ACC_LIST: save_list(*(struct agg_list *const *)at, to); break;
        case ACC_FIRST:
        case ACC_LAST:
            if (slot->phys == PHYS_VIEW) {
                snapshot_put(to, at, 16);
                snapshot_view(to, (const void *)(at + 16));
                break;
            }
            /* fall through */
        default: snapshot_put(to, at, agg_slot_bytes(set, slot));
        }
        if (slot->count_at != 0)
            snapshot_put(to, (const char *)state + slot->count_at, 8);
    }
}

static bool load_view(struct agg_set *set, char *at, struct snapshot_reader *from)
{
    const struct mill_view view = snapshot_get_view(from);

    return agg_view_set(set, (struct mill_view *)at, &view);
}

static bool load_distinct(const struct agg_set *set, const struct agg_slot *slot,
                          struct agg_distinct **at, struct snapshot_reader *from)
{
    const uint32_t n = snapshot_get_u32(from);
    char normal[16];

    for (uint32_t i = 0; i < n && !from->failed; i++) {
        if (slot->phys == PHYS_VIEW) {
            const struct mill_view view = snapshot_get_view(from);

            memcpy(normal, &view, 16);
        } else {
            snapshot_get(from, normal, agg_normal_width(slot->phys));
        }
        if (!from->failed && agg_distinct_add(set, slot, at, normal) < 0)
            return false;
        if (set->retracts) {
            const uint64_t number = snapshot_get_u64(from);

            if (!from->failed)
                (*at)->numbers[(*at)->count - 1] = (int64_t)number;
        }
    }
    return true;
}

static bool load_list(const struct agg_set *set, struct agg_list **at, struct snapshot_reader *from)
{
    const uint32_t n = snapshot_get_u32(from);

    for (uint32_t i = 0; i < n && !from->failed; i++) {
        const uint64_t step = snapshot_get_u64(from);
        const uint32_t place = snapshot_get_u32(from);
        const struct mill_view text = snapshot_get_view(from);

        if (!from->failed &&
            !agg_list_add(set, at, step, place, mill_view_data(&text), text.length))
            return false;
    }
    return true;
}

bool agg_restore(struct agg_set *set, void *state, struct snapshot_reader *from)
{
    bool ok = true;

    snapshot_get(from, state, set->seen_words * 8);
    if (set->step_at != 0)
        snapshot_get(from, (char *)state + set->step_at, 16);
    for (uint32_t i = 0; i < set->count && ok; i++) {
        const struct agg_slot *slot = &set->slots[i];
        char *at = (char *)state + slot->at;

        switch (slot->acc) {
        case ACC_MINVIEW:
        case ACC_MAXVIEW: ok = load_view(set, at, from); break;
        case ACC_DISTINCT: ok = load_distinct(set, slot, (struct agg_distinct **)at, from); break;
        case ACC_LIST: ok = load_list(set, (struct agg_list **)at, from); break;
        case ACC_FIRST:
        case ACC_LAST:
            if (slot->phys == PHYS_VIEW) {
                snapshot_get(from, at, 16);
                ok = load_view(set, at + 16, from);
                break;
            }
            /* fall through */
        default: snapshot_get(from, at, agg_slot_bytes(set, slot));
        }
        if (slot->count_at != 0)
            snapshot_get(from, (char *)state + slot->count_at, 8);
    }
    return ok && !from->failed;
}

/* ---- partials ---- */

const void *agg_pack(const struct agg_set *set, const void *state, struct snapshot_writer *copy,
                     uint32_t *length)
{
    *length = set->state_bytes;
    if (set->flat)
        return state;
    copy->length = 0;
    agg_snapshot(set, state, copy);
    *length = (uint32_t)copy->length;
    return copy->failed ? NULL : copy->bytes;
}

bool agg_merge_packed(struct agg_set *set, void *into, const char *bytes, uint32_t length,
                      void *scratch)
{
    struct snapshot_reader from = {.next = bytes, .end = bytes + length};
    bool ok;

    if (set->flat) {
        CHECK(length == set->state_bytes);
        memcpy(scratch, bytes, length);
        return agg_merge(set, into, scratch);
    }
    agg_init(set, scratch);
    ok = agg_restore(set, scratch, &from) && agg_merge(set, into, scratch);
    agg_close(set, scratch);
    return ok;
}
