/* core/state/snapshot.h - state as bytes: key groups out and back in.
 *
 * A writer is a growing byte buffer; a reader walks one and never reads past its end (a short or damaged
 * image sets failed, values read after that are zero). Little-endian, no padding.
 * Threads: one.   Errors: failed.   Includes: memory.h, types.h
 */
#ifndef MILL_SNAPSHOT_H
#define MILL_SNAPSHOT_H

#include "core/memory.h"
#include "core/types.h"

struct snapshot_writer {
    struct heap *heap;
    char *bytes;
    size_t length, capacity;
    bool failed; /* no memory */
};
struct snapshot_reader {
    const char *next, *end;
    bool failed;
};

void snapshot_put(struct snapshot_writer *w, const void *bytes, size_t length);
void snapshot_u8(struct snapshot_writer *w, uint8_t value);
void snapshot_u32(struct snapshot_writer *w, uint32_t value);
void snapshot_u64(struct snapshot_writer *w, uint64_t value);
void snapshot_view(struct snapshot_writer *w, const struct mill_view *view);
void snapshot_writer_close(struct snapshot_writer *w);

void snapshot_get(struct snapshot_reader *r, void *to, size_t length);
uint8_t snapshot_get_u8(struct snapshot_reader *r);
uint32_t snapshot_get_u32(struct snapshot_reader *r);
uint64_t snapshot_get_u64(struct snapshot_reader *r);
/* Bytes lie in the image, which must outlive the view. */
struct mill_view snapshot_get_view(struct snapshot_reader *r);

#endif
