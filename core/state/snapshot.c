/* core/state/snapshot.c - state as bytes. */
#include "core/state/snapshot.h"

void snapshot_put(struct snapshot_writer *w, const void *bytes, size_t length)
{
    if (w->failed || length == 0)
        return;
    if (w->length + length > w->capacity) {
        const size_t capacity = ALIGN_UP((w->length + length) * 2, (size_t)4096);
        char *grown = heap_grow(w->heap, w->bytes, w->capacity, capacity);

        if (grown == NULL) {
            w->failed = true;
            return;
        }
        w->bytes = grown;
        w->capacity = capacity;
    }
    memcpy(w->bytes + w->length, bytes, length);
    w->length += length;
}

void snapshot_u8(struct snapshot_writer *w, uint8_t value)
{
    snapshot_put(w, &value, 1);
}
void snapshot_u32(struct snapshot_writer *w, uint32_t value)
{
    snapshot_put(w, &value, 4);
}
void snapshot_u64(struct snapshot_writer *w, uint64_t value)
{
    snapshot_put(w, &value, 8);
}

void snapshot_view(struct snapshot_writer *w, const struct mill_view *view)
{
    snapshot_u32(w, view->length);
    snapshot_put(w, mill_view_data(view), view->length);
}

void snapshot_writer_close(struct snapshot_writer *w)
{
    heap_free(w->heap, w->bytes, w->capacity);
    *w = (struct snapshot_writer){.heap = w->heap};
}

void snapshot_get(struct snapshot_reader *r, void *to, size_t length)
{
    if (r->failed || (size_t)(r->end - r->next) < length) {
        r->failed = true;
        memset(to, 0, length);
        return;
    }
    if (length > 0)
        memcpy(to, r->next, length);
    r->next += length;
}

uint8_t snapshot_get_u8(struct snapshot_reader *r)
{
    uint8_t value;

    snapshot_get(r, &value, sizeof value);
    return value;
}

uint32_t snapshot_get_u32(struct snapshot_reader *r)
{
    uint32_t value;

    snapshot_get(r, &value, sizeof value);
    return value;
}

uint64_t snapshot_get_u64(struct snapshot_reader *r)
{
    uint64_t value;

    snapshot_get(r, &value, sizeof value);
    return value;
}

struct mill_view snapshot_get_view(struct snapshot_reader *r)
{
    const uint32_t length = snapshot_get_u32(r);

    if (r->failed || (size_t)(r->end - r->next) < length) {
        r->failed = true;
        return view_of("", 0);
    }
    r->next += length;
    return view_of(r->next - length, length);
}
