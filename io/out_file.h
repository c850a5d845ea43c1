/* io/out_file.h - one file that a sink writes: hidden until it is whole, perhaps compressed (.gz, .zst by its name).
 *
 *   out_new -> out_writer's bytes, out_flush ... -> out_close (on the disk) -> out_publish (visible)   or out_abort
 * A path that is a device or a pipe is written as it stands: it is never hidden, renamed or removed.
 * Threads: one.   Errors: MILL_E_IO with the path.   Includes: format.h
 */
#ifndef MILL_OUT_FILE_H
#define MILL_OUT_FILE_H

#include "io/format.h"

struct pack;

struct out_file {
    struct out_file *next; /* the holder's */
    const struct env *env;
    struct heap *heap;
    struct arena arena;
    const char *path, *hidden, *folder;
    bool direct; /* a device or pipe */
    bool begun, closed;
    int handle; /* -1: not open; the next write opens it again */
    struct format_writer *writer;
    struct text_buffer text; /* not yet flushed */
    struct text_buffer packed;
    struct pack *pack;
    uint64_t bytes; /* flushed, before compression */
};

/* Creates the file, and its folder. NULL: @error. */
struct out_file *out_new(const struct sink_config *config, const struct format_vtable *format,
                         const char *path, struct mill_error *error);
int out_flush(struct out_file *out, struct mill_error *error);
/* Flushes, and closes the handle until the next write: many files are written at once. */
int out_rest(struct out_file *out, struct mill_error *error);
int out_close(struct out_file *out, struct mill_error *error);
int out_publish(struct out_file *out, struct mill_error *error);
/* Releases @out; what was not published is removed. NULL: nothing happens. */
void out_free(struct out_file *out);
static inline uint64_t out_bytes(const struct out_file *out)
{
    return out->bytes + out->text.length;
}

#endif
