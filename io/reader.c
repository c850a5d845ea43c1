/* io/reader.c - reading ahead: slabs, cutting, pipes, the thread. The queue's half is in io/reader_queue.c. */
#include "io/reader_impl.h"
#include "kernels/kernels.h"

#include <errno.h>
#include <stdio.h>

#define SLAB_BYTES ((size_t)4 << 20)
#define READ_BYTES ((size_t)1 << 20)
#define READY_PARTS 4u /* of one of a few files: enough, and warm in the cache */
#define WAKE_PARTS 2u  /* fewer are left: the reader is woken */
#define SPARE_MAX 16u
#define OPEN_FILES_MAX 256u
#define EXPANSION_MAX 10000u /* of a compressed file; more is taken for a bomb */
#define PIPE_WAIT_NS 20000000
#define PIPE_QUIET_NS 2000000
#define PARK_NS 2000000
#define REOPEN_MAX 100u

/* ---- slabs ---- */

static void guard_lock(at_u32 *guard)
{
    while (at_exchange_acquire(guard, 1) != 0)
        cpu_relax();
}

static struct slab *slab_new(struct reader *r, size_t capacity)
{
    struct slab *slab, **at;

    guard_lock(&r->guard);
    for (at = &r->spare; *at != NULL && (*at)->capacity < capacity; at = &(*at)->next)
        ;
    slab = *at;
    if (slab != NULL) {
        *at = slab->next;
        r->spare_count--;
    }
    at_store_release(&r->guard, 0);
    if (slab == NULL) {
        slab = heap_alloc(r->heap, sizeof *slab + capacity);
        if (slab == NULL)
            return NULL;
        slab->capacity = capacity;
    }
    slab->next = NULL;
    at_store_relaxed(&slab->refs, 1);
    return slab;
}

static void slab_drop(struct reader *r, struct slab *slab)
{
    /* A10, with R10: whoever lets go last sees what the others did with the bytes */
    if (slab == NULL || at_add_acqrel(&slab->refs, UINT32_MAX) != 1)
        return;
    guard_lock(&r->guard);
    if (r->spare_count < SPARE_MAX) {
        slab->next = r->spare;
        r->spare = slab;
        r->spare_count++;
        slab = NULL;
    }
    at_store_release(&r->guard, 0);
    if (slab != NULL)
        heap_free(r->heap, slab, sizeof *slab + slab->capacity);
}

static size_t slab_bytes(const struct reader *r, const struct read_file *f)
{
    const size_t step = r->config->step_bytes;
    const uint32_t count = at_load_relaxed(&r->count);
    size_t bytes = (count <= 4 && step * 4 <= SLAB_BYTES * 2 ? step * 3 : step) + READ_BYTES / 16;

    if (count <= 4 && bytes < READ_BYTES)
        bytes = READ_BYTES;
    if (!f->pipe && f->compression == PLAIN && f->size - f->read_at + 64 < bytes)
        return f->size - f->read_at + 64;
    return bytes - sizeof(struct slab); /* whole pages with the head */
}

/* Room behind f->filled; a new slab takes the bytes that are not cut. NULL: no memory. */
static char *make_room(struct reader *r, struct read_file *f, size_t *room)
{
    const size_t left = f->filled - f->cut_at;
    size_t capacity;
    struct slab *fresh;

    if (f->slab != NULL && f->filled < f->slab->capacity) {
        *room = f->slab->capacity - f->filled;
        return f->slab->bytes + f->filled;
    }
    if (f->slab != NULL && at_load_acquire(&f->slab->refs) == 1 && f->cut_at > 0 &&
        left < f->slab->capacity / 2) {
        memmove(f->slab->bytes, f->slab->bytes + f->cut_at, left);
    } else {
        capacity = slab_bytes(r, f);
        if (left >= capacity / 2) /* a long row, or the rest of a file */
            capacity += 2 * left;
        fresh = slab_new(r, capacity);
        if (fresh == NULL)
            return NULL;
        if (left > 0)
            memcpy(fresh->bytes, f->slab->bytes + f->cut_at, left);
        slab_drop(r, f->slab);
        f->slab = fresh;
    }
    f->cut_at = 0;
    f->filled = left;
    *room = f->slab->capacity - left;
    return f->slab->bytes + left;
}

/* ---- cutting ---- */

static bool ready_full(struct reader *r, struct read_file *f)
{
    const uint32_t count = at_load_relaxed(&r->count);
    const uint32_t most = count <= 8 ? READY_PARTS : count <= 64 ? 2 : 1;

    /* A11, with R1 in ring_pop() */
    return f->ready.tail_local - at_load_acquire(&f->ready.head) >= most;
}

static void file_end(struct reader *r, struct read_file *f, uint32_t how)
{
    slab_drop(r, f->slab);
    f->slab = NULL;
    unpack_close(f->unpack);
    f->unpack = NULL;
    reader_queue_leave(r, f);
    if (f->handle > 0)
        r->env->file.close(r->env->self, f->handle);
    f->handle = -1;
    f->filled = f->cut_at = 0;
    /* R9, with A9 in reader_take(): the parts, and why it failed, are seen */
    at_store_release(&f->ended, how);
}

static bool push_part(struct reader *r, struct read_file *f, size_t n, const uint64_t context[3])
{
    struct part *part = heap_alloc(r->heap, sizeof *part);

    if (part == NULL) {
        uint64_t copy[3] = {context[0], context[1], context[2]};

        if (f->cutter != NULL)
            r->format->vtable->cutter_release(r->format, copy);
        mill_fail(&f->failure, MILL_E_MEMORY, 0, 0, "no memory for a step of %s", f->path);
        file_end(r, f, 2);
        return false;
    }
    *part =
        (struct part){.slab = f->slab,
                      .bytes = f->slab != NULL ? f->slab->bytes + f->cut_at : f->map + f->position,
                      .length = n,
                      .begin = f->position,
                      .first_line = f->lines + 1,
                      .context = {context[0], context[1], context[2]}};
    if (f->slab != NULL)
        at_add_relaxed(&f->slab->refs, 1);
    if (f->cutter == NULL && r->format->vtable->cut_section == NULL) /* records have no lines */
        f->lines += r->config->kernels->count_byte(part->bytes, n, '\n');
    f->position += n;
    f->cut_at += f->map != NULL ? 0 : n;
    CHECK(ring_push(&f->ready, part));
    return true;
}

/* How many bytes are the next step. 0: more are needed, or there are none; a cutter's finding is in f->failure. */
static size_t next_cut(struct reader *r, struct read_file *f, bool quiet, uint64_t context[3])
{
    const struct format_vtable *format = r->format->vtable;
    const size_t left = f->filled - f->cut_at, step = r->config->step_bytes;
    const char *bytes = f->slab != NULL ? f->slab->bytes + f->cut_at : NULL;
    const bool rest = f->input_end != 0 || quiet;
    size_t n = 0;

    if (left == 0 || (left <= step && !rest))
        return 0;
    if (f->cutter != NULL) {
        const struct format_bytes here = {f->position, bytes, left, left < step ? left : step,
                                          f->input_end == 1};
        struct mill_error error = {0};

        n = format->cutter_cut(f->cutter, &here, context, &error);
        if (n == 0 && error.code != MILL_OK && f->input_end != 2) {
            f->failure = error;
            f->input_end = 2;
        }
        return n;
    }
    if (left > step)
        n = format->cut(r->format, f->position, bytes, left, step);
    if (n == 0 && f->input_end == 1)
        return left;
    return n == 0 && rest ? format->cut(r->format, f->position, bytes, left, left) : n;
}

/* Formats of sections: whole ones, or the end. */
static enum cut next_section(struct reader *r, struct read_file *f, size_t *n)
{
    const char *bytes = f->map != NULL    ? f->map + f->position
                        : f->slab != NULL ? f->slab->bytes + f->cut_at
                                          : NULL;
    struct mill_error error = {0};
    enum cut code;

    f->at.file = f->path;
    f->at.offset = f->position;
    f->at.mapped = f->map != NULL;
    code = r->format->vtable->cut_section(r->format, &f->at, bytes,
                                          f->map != NULL ? f->size - f->position
                                                         : f->filled - f->cut_at,
                                          f->input_end == 1, r->config->step_bytes, n, &error);
    if (code == CUT_FAILED && f->input_end != 2)
        f->failure = error;
    return code;
}

static uint32_t section_parts(struct reader *r, struct read_file *f)
{
    const uint64_t context[3] = {0};
    uint32_t work = 0;

    while (!ready_full(r, f)) {
        size_t n = 0;
        const enum cut code = next_section(r, f, &n);

        if (code == CUT_DATA) {
            if (!push_part(r, f, n, context))
                return work + 1;
            work++;
        } else if (code == CUT_WAIT && f->input_end == 0) {
            break;
        } else {
            file_end(r, f, code == CUT_END ? 1 : 2);
            return work + 1;
        }
    }
    return work;
}

/* Gives out what can be cut. @quiet: the pipe has nothing more now, so whole rows do not wait. */
static uint32_t cut_parts(struct reader *r, struct read_file *f, bool quiet)
{
    uint32_t work = 0;

    if (r->format->vtable->cut_section != NULL)
        return section_parts(r, f);
    while (!ready_full(r, f)) {
        uint64_t context[3] = {0};
        const size_t n = next_cut(r, f, quiet, context);

        if (n > 0) {
            if (!push_part(r, f, n, context))
                return work + 1;
            work++;
            continue;
        }
        if (f->input_end != 0) {
            file_end(r, f, f->input_end);
            return work + 1;
        }
        if (f->filled - f->cut_at > ROW_BYTES_MAX + r->config->step_bytes) {
            mill_fail(&f->failure, MILL_E_DATA, 0, 0,
                      "%s, byte %llu: a row of more than %zu MiB (or a quote that is never closed)",
                      f->path, (unsigned long long)f->position, ROW_BYTES_MAX >> 20);
            file_end(r, f, 2);
            return work + 1;
        }
        break;
    }
    return work;
}

/* ---- reading ---- */

static void read_fails(struct read_file *f, int os)
{
    mill_fail_os(&f->failure, MILL_E_IO, os, "cannot read %s at byte %llu", f->path,
                 (unsigned long long)f->read_at);
    f->input_end = 2;
}

void reader_file_fails(struct read_file *f, int os)
{
    read_fails(f, os);
}

int reader_file_open(struct reader *r, struct read_file *f, struct mill_error *error)
{
    const struct env *env = r->env;

    f->handle = env->file.open(env->self, f->path, ENV_READ | (f->pipe ? ENV_NONBLOCK : 0));
    if (f->handle < 0)
        return mill_fail_os(error, MILL_E_NO_INPUT, f->handle, "cannot open '%s' (table %s)",
                            f->path, r->config->options->table);
    f->opened = true;
    if (!f->pipe && f->compression == PLAIN) {
        char begin[4] = "";

        if (env->file.pread(env->self, f->handle, begin, sizeof begin, 0) == sizeof begin)
            f->compression = compression_of_bytes(begin);
    }
    return MILL_OK;
}

/* Bytes of the file as it lies there. 0: its end; READ_NONE; READ_FAILED. */
static int64_t read_raw(struct reader *r, struct read_file *f, char *to, size_t room, bool may_wait)
{
    const struct env *env = r->env;
    int64_t n;

    if (f->pipe) {
        const bool pending = f->filled > f->cut_at;
        const int64_t wait = !may_wait ? 0 : pending ? PIPE_QUIET_NS : PIPE_WAIT_NS;

        if (env->file.wait != NULL && env->file.wait(env->self, f->handle, wait) == 0)
            return READ_NONE;
        n = env->file.read(env->self, f->handle, to, room);
        if (n == -EAGAIN)
            return READ_NONE;
    } else {
        if (f->read_at >= f->size)
            return 0;
        room = room < f->size - f->read_at ? room : f->size - f->read_at;
        n = env->file.pread(env->self, f->handle, to, room, f->read_at);
        if (n == -EAGAIN || n == -EINTR)
            return READ_NONE;
        if (n == 0) {
            mill_fail(&f->failure, MILL_E_IO, 0, 0,
                      "%s has become shorter while it was read: byte %llu of %llu is gone", f->path,
                      (unsigned long long)f->read_at, (unsigned long long)f->size);
            f->input_end = 2;
            return READ_FAILED;
        }
    }
    if (n < 0) {
        read_fails(f, (int)n);
        return READ_FAILED;
    }
    f->read_at += (uint64_t)n;
    return n;
}

static int64_t read_packed(struct reader *r, struct read_file *f, char *to, size_t room)
{
    const char *fault = NULL;
    int64_t n;

    if (unpack_hungry(f->unpack)) {
        size_t input_room;
        char *input = unpack_input(f->unpack, &input_room);

        n = read_raw(r, f, input, input_room, true);
        if (n < 0)
            return n;
        unpack_fed(f->unpack, (size_t)n);
    }
    n = unpack_some(f->unpack, to, room, &fault);
    if (n < 0) {
        mill_fail(&f->failure, MILL_E_DATA, 0, 0,
                  "%s: %s at compressed byte %llu (%llu bytes were whole)", f->path, fault,
                  (unsigned long long)f->read_at, (unsigned long long)f->expanded);
        f->input_end = 2;
        return READ_FAILED;
    }
    f->expanded += (uint64_t)n;
    if (f->expanded > (f->size + 4096) * EXPANSION_MAX) {
        mill_fail(&f->failure, MILL_E_DATA, 0, 0,
                  "%s: expands more than %u times at compressed byte %llu: taken for a "
                  "decompression bomb",
                  f->path, EXPANSION_MAX, (unsigned long long)f->read_at);
        f->input_end = 2;
        return READ_FAILED;
    }
    return n > 0 || unpack_hungry(f->unpack) ? (n > 0 ? n : READ_AGAIN) : 0;
}

static int64_t read_file_some(struct reader *r, struct read_file *f, bool may_wait)
{
    size_t room;
    char *to = make_room(r, f, &room);

    if (to == NULL) {
        mill_fail(&f->failure, MILL_E_MEMORY, 0, 0, "no memory to read ahead in %s", f->path);
        f->input_end = 2;
        return READ_FAILED;
    }
    room = room < READ_BYTES ? room : READ_BYTES;
    if (f->queued)
        return reader_queue_get(r, f, to, room, may_wait);
    if (f->compression != PLAIN)
        return read_packed(r, f, to, room);
    return read_raw(r, f, to, room, may_wait);
}

static bool prepare(struct reader *r, struct read_file *f)
{
    if (!f->opened && reader_file_open(r, f, &f->failure) != MILL_OK) {
        file_end(r, f, 2);
        return false;
    }
    if (f->handle < 0) { /* closed between steps */
        f->handle = r->env->file.open(r->env->self, f->path, ENV_READ);
        if (f->handle < 0) {
            read_fails(f, f->handle);
            return true;
        }
    }
    if (f->compression != PLAIN && f->unpack == NULL) {
        f->unpack = unpack_open(r->heap, f->compression);
        if (f->unpack == NULL) {
            mill_fail(&f->failure, MILL_E_MEMORY, 0, 0, "no memory to decompress %s", f->path);
            file_end(r, f, 2);
            return false;
        }
    }
    if (!f->chosen && r->format->vtable->cut_section != NULL && !f->pipe && f->size > 0 &&
        f->compression == PLAIN)
        f->map = r->env->file.map(r->env->self, f->handle, f->mapped = f->size);
    if (f->map != NULL) {
        f->chosen = true;
        f->input_end = 1;
    }
    if (!f->chosen) {
        f->chosen = true;
        reader_queue_join(r, f);
    }
    return true;
}

/* One read of one file, and what can be cut then. */
static uint32_t file_turn(struct reader *r, struct read_file *f, bool may_wait)
{
    const uint32_t count = at_load_relaxed(&r->count);
    uint32_t work;
    int64_t n = READ_FAILED;

    if (at_load_relaxed(&f->ended) != 0 || (count > 64 && at_load_relaxed(&f->asked) == 0))
        return 0;
    work = cut_parts(r, f, false);
    if (at_load_relaxed(&f->ended) != 0 || ready_full(r, f))
        return work;
    if (f->input_end == 0) {
        if (!prepare(r, f))
            return work + 1;
        if (f->input_end == 0)
            n = read_file_some(r, f, may_wait);
    }
    if (n == 0)
        f->input_end = 1;
    if (n > 0)
        f->filled += (size_t)n;
    f->waiting = n == READ_NONE;
    work += cut_parts(r, f, f->waiting && f->pipe);
    if (count > OPEN_FILES_MAX && f->handle > 0 && !f->queued) {
        r->env->file.close(r->env->self, f->handle);
        f->handle = -1;
    }
    return work + (n != READ_NONE);
}

/* ---- growing folders ---- */

static bool add_found(void *user, const struct found_file *file)
{
    return reader_add(user, file);
}

static uint32_t look_again(struct reader *r)
{
    const int64_t now = r->env->clock.mono_ns(r->env->self);
    const uint32_t before = at_load_relaxed(&r->count);
    struct mill_error ignored = {0}; /* a folder that is away for a moment is looked at again */

    if (r->finder == NULL || now < r->next_look)
        return 0;
    r->next_look = now + r->interval_ns;
    finder_look(r->finder, true, add_found, r, &ignored);
    return at_load_relaxed(&r->count) - before;
}

/* ---- reading anew ---- */

static bool file_stat(struct reader *r, struct read_file *f, struct env_stat *about)
{
    const int code = r->env->file.stat(r->env->self, f->path, about);

    return code >= 0 ||
           mill_fail_os(&f->failure, MILL_E_NO_INPUT, code, "cannot read '%s' (table %s) again",
                        f->path, r->config->options->table) == MILL_OK;
}

/* Opens what has the name now. It may be given to another file meanwhile: then size and content would not belong together. */
static bool file_reopen(struct reader *r, struct read_file *f)
{
    struct env_stat before, after;

    for (uint32_t tries = 0; tries < REOPEN_MAX; tries++) {
        f->compression = compression_of(f->path);
        if (!file_stat(r, f, &before) || reader_file_open(r, f, &f->failure) != MILL_OK ||
            !file_stat(r, f, &after))
            return false;
        f->size = after.bytes;
        f->modified_ns = after.modified_ns;
        if (before.bytes == after.bytes && before.modified_ns == after.modified_ns)
            return true;
        r->env->file.close(r->env->self, f->handle);
        f->handle = -1;
    }
    mill_fail(&f->failure, MILL_E_IO, 0, 0, "'%s' (table %s) is replaced faster than it is opened",
              f->path, r->config->options->table);
    return false;
}

static void file_again(struct reader *r, struct read_file *f)
{
    bool ok;

    if (f->map != NULL)
        r->env->file.unmap(r->env->self, f->map, f->mapped);
    f->map = NULL;
    if (f->at.state != NULL)
        r->format->vtable->position_close(r->format, &f->at);
    f->at = (struct format_position){0};
    if (f->cutter != NULL) {
        r->format->vtable->cutter_free(f->cutter);
        f->cutter = r->format->vtable->cutter_new(r->format, f->path);
        if (f->cutter == NULL)
            mill_fail(&f->failure, MILL_E_MEMORY, 0, 0, "no memory to read '%s' again", f->path);
    }
    f->chosen = f->waiting = false;
    f->position = f->lines = f->read_at = f->expanded = f->issue_at = 0;
    f->input_end = 0;
    ok = (f->cutter != NULL || r->format->vtable->cutter_new == NULL) && file_reopen(r, f);
    if (!ok && f->handle > 0) {
        r->env->file.close(r->env->self, f->handle);
        f->handle = -1;
    }
    at_store_relaxed(&f->ended, ok ? 0 : 2);
    /* R16, with A16 in reader_take(): the end of the last time is gone */
    at_store_release(&f->again, 0);
}

static void files_again(struct reader *r)
{
    /* A17, with R17 in reader_again() */
    if (at_load_relaxed(&r->again) == 0 || at_exchange_acquire(&r->again, 0) == 0)
        return;
    for (uint32_t i = 0; i < at_load_relaxed(&r->count); i++)
        file_again(r, r->files[i]);
    r->ended_below = 0;
}

/* ---- turns ---- */

static uint32_t reader_turn(struct reader *r, bool may_wait)
{
    uint32_t work = look_again(r), count;

    files_again(r);
    count = at_load_relaxed(&r->count);
    while (r->ended_below < count && at_load_relaxed(&r->files[r->ended_below]->ended) != 0)
        r->ended_below++;
    for (uint32_t i = r->ended_below; i < count; i++)
        work += file_turn(r, r->files[i], may_wait && (count == 1 || r->files[i]->queued));
    return work;
}

static void reader_main(void *arg)
{
    struct reader *r = arg;

    /* A12, with R12 in reader_close() */
    while (at_load_acquire(&r->stop) == 0) {
        int64_t sleep = PARK_NS;

        if (reader_turn(r, true) > 0)
            continue;
        if (r->ended_below == at_load_relaxed(&r->count)) {
            if (r->finder == NULL && !r->stays)
                break;
            sleep = r->finder != NULL && r->interval_ns < 50000000 ? r->interval_ns : 50000000;
        } else if (r->files[r->ended_below]->waiting) {
            continue; /* it has slept in wait() */
        }
        at_store_relaxed(&r->parked, 1);
        if (at_load_acquire(&r->again) != 0)
            continue;
        r->env->run.park(r->env->self, (uint32_t *)&r->parked, 1, sleep);
        at_store_relaxed(&r->parked, 0);
    }
    reader_queue_close(r);
}

uint32_t reader_pump(struct reader *r)
{
    return r->thread != NULL ? 0 : reader_turn(r, false);
}

/* ---- the token holder ---- */

struct part *reader_take(struct reader *r, struct read_file *f, uint32_t *ended)
{
    struct part *part;
    uint32_t left;

    /* A16, with R16 in file_again() */
    if (UNLIKELY(at_load_acquire(&f->again) != 0)) {
        *ended = 0;
        return NULL;
    }
    /* first whether it has ended, then the ring: parts before the end are seen (A9) */
    *ended = at_load_acquire(&f->ended);
    part = ring_pop(&f->ready);
    if (part == NULL && *ended == 0 && at_load_relaxed(&f->asked) == 0)
        at_store_relaxed(&f->asked, 1);
    /* while there are parts it may sleep: waking it costs more than cutting one */
    left = at_load_relaxed(&f->ready.tail) - at_load_relaxed(&f->ready.head);
    if (r->thread != NULL && left < WAKE_PARTS && at_load_relaxed(&r->parked) != 0) {
        at_store_relaxed(&r->parked, 0);
        r->env->run.wake(r->env->self, (uint32_t *)&r->parked);
    }
    return part;
}

void reader_again(struct reader *r)
{
    for (uint32_t i = 0; i < reader_count(r); i++) {
        r->files[i]->done = false;
        at_store_relaxed(&r->files[i]->again, 1);
    }
    at_store_release(&r->again, 1); /* R17, with A17 in files_again() */
    if (r->thread != NULL) {
        at_store_relaxed(&r->parked, 0);
        r->env->run.wake(r->env->self, (uint32_t *)&r->parked);
    }
}

void reader_stays(struct reader *r)
{
    r->stays = true;
}

void reader_release(struct reader *r, struct part *part)
{
    if (r->format->vtable->cutter_release != NULL)
        r->format->vtable->cutter_release(r->format, part->context);
    slab_drop(r, part->slab); /* R10 */
    heap_free(r->heap, part, sizeof *part);
}

uint32_t reader_count(struct reader *r)
{
    return at_load_acquire(&r->count); /* A13, with R13 in add() */
}

struct read_file *reader_file(struct reader *r, uint32_t i)
{
    return r->files[i];
}

/* ---- opening and closing ---- */

struct reader *reader_new(const struct source_config *config, const struct format *format,
                          struct mill_error *error)
{
    struct reader *r = heap_zalloc(config->heap, sizeof *r);

    if (r != NULL) {
        r->config = config;
        r->env = config->env;
        r->heap = config->heap;
        r->format = format;
        arena_open(&r->arena, r->heap);
        r->files = heap_alloc(r->heap, FILES_MAX * sizeof *r->files);
        if (r->files != NULL)
            return r;
        reader_close(r);
    }
    mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a source");
    return NULL;
}

static struct read_file *add(struct reader *r, const char *path)
{
    const uint32_t n = at_load_relaxed(&r->count);
    struct read_file *f = n < FILES_MAX ? heap_zalloc(r->heap, sizeof *f) : NULL;

    if (f == NULL || !ring_open(&f->ready, r->heap, READY_MAX, 0)) {
        heap_free(r->heap, f, sizeof *f);
        return NULL;
    }
    f->path = path;
    if (r->format->vtable->cutter_new != NULL) {
        f->cutter = r->format->vtable->cutter_new(r->format, path);
        if (f->cutter == NULL) {
            ring_close(&f->ready, r->heap);
            heap_free(r->heap, f, sizeof *f);
            return NULL;
        }
    }
    f->handle = f->direct = -1;
    r->files[n] = f;
    return f;
}

bool reader_add(struct reader *r, const struct found_file *found)
{
    struct read_file *f = add(r, found->path);

    if (f == NULL)
        return false;
    f->size = found->bytes;
    f->modified_ns = found->modified_ns;
    f->pipe = !found->is_regular;
    f->compression = f->pipe ? PLAIN : compression_of(f->path);
    at_store_release(&r->count, at_load_relaxed(&r->count) + 1); /* R13 */
    return true;
}

bool reader_add_pipe(struct reader *r, const char *name, int handle)
{
    struct read_file *f = add(r, name);

    if (f == NULL)
        return false;
    f->pipe = f->opened = true;
    f->handle = handle;
    at_store_release(&r->count, at_load_relaxed(&r->count) + 1); /* R13 */
    return true;
}

int reader_open_files(struct reader *r, struct mill_error *error)
{
    const uint32_t count = at_load_relaxed(&r->count);

    for (uint32_t i = 0; i < count; i++) {
        struct read_file *f = r->files[i];

        if (reader_file_open(r, f, error) != MILL_OK)
            return error->code;
        if (count > OPEN_FILES_MAX) {
            r->env->file.close(r->env->self, f->handle);
            f->handle = -1;
        }
    }
    return MILL_OK;
}

void reader_watch(struct reader *r, struct finder *finder, int64_t interval_ns)
{
    r->finder = finder;
    r->interval_ns = interval_ns;
    r->next_look = r->env->clock.mono_ns(r->env->self) + interval_ns;
}

int reader_start(struct reader *r, struct source *source, struct mill_error *error)
{
    r->source = source;
    if (r->config->inline_only)
        return MILL_OK;
    r->thread = r->env->run.start(r->env->self, reader_main, r, -1);
    return r->thread != NULL
               ? MILL_OK
               : mill_fail(error, MILL_E_INTERNAL, 0, 0, "cannot start a thread that reads ahead");
}

static void close_file(struct reader *r, struct read_file *f)
{
    struct part *part;

    if (at_load_relaxed(&f->ended) == 0)
        file_end(r, f, 1);
    while ((part = ring_pop(&f->ready)) != NULL)
        reader_release(r, part);
    if (f->cutter != NULL)
        r->format->vtable->cutter_free(f->cutter);
    if (f->map != NULL)
        r->env->file.unmap(r->env->self, f->map, f->mapped);
    if (f->at.state != NULL)
        r->format->vtable->position_close(r->format, &f->at);
    ring_close(&f->ready, r->heap);
    heap_free(r->heap, f, sizeof *f);
}

void reader_close(struct reader *r)
{
    struct heap *heap;

    if (r == NULL)
        return;
    heap = r->heap;
    if (r->thread != NULL) {
        at_store_release(&r->stop, 1); /* R12 */
        at_store_relaxed(&r->parked, 0);
        r->env->run.wake(r->env->self, (uint32_t *)&r->parked);
        r->env->run.join(r->env->self, r->thread);
    } else {
        reader_queue_close(r);
    }
    for (uint32_t i = 0; i < at_load_relaxed(&r->count); i++)
        close_file(r, r->files[i]);
    while (r->spare != NULL) {
        struct slab *slab = r->spare;

        r->spare = slab->next;
        heap_free(heap, slab, sizeof *slab + slab->capacity);
    }
    heap_free(heap, r->files, FILES_MAX * sizeof *r->files);
    arena_close(&r->arena);
    heap_free(heap, r, sizeof *r);
}
