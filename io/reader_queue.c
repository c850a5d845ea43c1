/* io/reader_queue.c - reading through env's queue (io_uring): blocks of 256 KiB, eight in flight per file.
 *
 * MILL_IO=uring: every plain file, two at a time. Without MILL_IO: files of DIRECT_BYTES and more that are not in the
 * file cache, through O_DIRECT and huge pages; all others are read faster, or as fast, by pread (docs/IO.md).
 */
#include "io/reader_impl.h"

#include <errno.h>

#define DIRECT_BYTES ((uint64_t)64 << 20)
#define WAIT_NS 50000000
#define TRIES_MAX 16u
#define QUEUE_FILES_MAX (SLOTS / FILE_SLOTS)
#define BUFFER_BYTES ((size_t)SLOTS * BLOCK_BYTES)

static bool is_cached(const struct reader *r, const struct read_file *f)
{
    const struct env *env = r->env;
    uint32_t there = 0;

    if (env->file.cached == NULL)
        return true;
    for (uint32_t i = 0; i < 8; i++)
        there += env->file.cached(env->self, f->handle, f->size / 8 * i) == 1;
    return there >= 4;
}

static bool queue_ready(struct reader *r)
{
    const struct env *env = r->env;

    if (r->queue != NULL || r->queue_refused)
        return r->queue != NULL;
    r->blocks = env->file.queue_open != NULL ? heap_alloc(r->heap, BUFFER_BYTES) : NULL;
    if (r->blocks != NULL)
        r->queue = env->file.queue_open(env->self, SLOTS, r->blocks, BUFFER_BYTES, &r->about);
    if (r->queue != NULL)
        return true;
    heap_free(r->heap, r->blocks, BUFFER_BYTES);
    r->blocks = NULL;
    r->queue_refused = true;
    return false;
}

void reader_queue_join(struct reader *r, struct read_file *f)
{
    const struct env *env = r->env;
    const char *io = r->config->io;
    const bool forced = io != NULL && strcmp(io, "uring") == 0;
    bool cold;

    if (f->pipe || f->compression != PLAIN || f->size == 0 || r->queue_files == QUEUE_FILES_MAX ||
        (io != NULL && strcmp(io, "posix") == 0))
        return;
    cold = f->size >= DIRECT_BYTES && !is_cached(r, f);
    if ((!forced && !cold) || !queue_ready(r))
        return;
    if (cold && r->about.fixed && r->about.huge)
        f->direct = env->file.open(env->self, f->path, ENV_READ | ENV_DIRECT);
    if (!forced && f->direct < 0)
        return; /* no O_DIRECT here: pread is as good */
    f->queued = true;
    r->queue_files++;
}

static int slot_send(struct reader *r, uint32_t i)
{
    struct slot *slot = &r->slots[i];
    const struct read_file *f = slot->file;
    const struct env_read read = {.handle = f->direct >= 0 ? f->direct : f->handle,
                                  .bytes = slot->want - slot->got,
                                  .to = r->blocks + (size_t)i * BLOCK_BYTES + slot->got,
                                  .offset = slot->offset + slot->got,
                                  .user = (uint64_t)++slot->generation << 8 | i};
    const int code = r->env->file.queue_read(r->env->self, r->queue, &read);

    if (code == 0) {
        r->in_flight++;
        at_add_relaxed(&r->source->ring_reads, 1);
    }
    return code;
}

static void issue(struct reader *r, struct read_file *f)
{
    for (uint32_t i = 0;
         i < SLOTS && f->slot_count < FILE_SLOTS && f->issue_at < f->size && f->input_end == 0;
         i++) {
        struct slot *slot = &r->slots[i];
        const uint64_t left = f->size - f->issue_at;

        if (slot->taken)
            continue;
        *slot = (struct slot){.taken = true,
                              .generation = slot->generation,
                              .file = f,
                              .offset = f->issue_at,
                              .want = left < BLOCK_BYTES ? (uint32_t)left : BLOCK_BYTES};
        if (f->direct >= 0)
            slot->want = BLOCK_BYTES; /* whole sectors; the file's end makes it short */
        if (slot_send(r, i) != 0) {
            slot->taken = false;
            return;
        }
        f->slots[(f->first_slot + f->slot_count++) % FILE_SLOTS] = (uint8_t)i;
        f->issue_at += left < BLOCK_BYTES ? left : BLOCK_BYTES;
    }
}

/* A result: whole, short (ask for the rest), to be repeated, or wrong. */
static void slot_result(struct reader *r, uint32_t i, int32_t result)
{
    struct slot *slot = &r->slots[i];
    const struct read_file *f = slot->file;
    const uint64_t left = f->size - slot->offset;
    const uint32_t need = left < BLOCK_BYTES ? (uint32_t)left : BLOCK_BYTES;

    if (result > 0) {
        slot->got += (uint32_t)result;
        slot->done = slot->got >= need;
        if (slot->done) {
            slot->got = need; /* O_DIRECT may have read past the size when it was found */
            return;
        }
        if (f->direct >= 0)
            slot->got = 0; /* O_DIRECT goes on at whole sectors only: the block again */
    } else if (result == 0 || (result != -EINTR && result != -EAGAIN)) {
        slot->error = result == 0 ? -ENODATA : result;
        slot->done = true;
        return;
    }
    if (++slot->tries <= TRIES_MAX && slot_send(r, i) == 0)
        return;
    slot->error = result < 0 ? result : -EIO;
    slot->done = true;
}

static int reap(struct reader *r, int64_t timeout_ns)
{
    struct env_done done[SLOTS];
    const int n = r->env->file.queue_reap(r->env->self, r->queue, done, SLOTS, timeout_ns);

    for (int k = 0; k < n; k++) {
        const uint32_t i = (uint32_t)(done[k].user & 0xff);

        /* a stale one: another read has the slot by now */
        if (i >= SLOTS || r->slots[i].generation != (uint32_t)(done[k].user >> 8))
            continue;
        r->in_flight--;
        slot_result(r, i, done[k].result);
    }
    return n;
}

static int64_t slot_fails(struct read_file *f, const struct slot *slot)
{
    if (slot->error == -ENODATA) {
        mill_fail(&f->failure, MILL_E_IO, 0, 0,
                  "%s has become shorter while it was read: byte %llu of %llu is gone", f->path,
                  (unsigned long long)(slot->offset + slot->got), (unsigned long long)f->size);
        f->input_end = 2;
    } else {
        f->read_at = slot->offset + slot->got;
        reader_file_fails(f, slot->error);
    }
    return READ_FAILED;
}

int64_t reader_queue_get(struct reader *r, struct read_file *f, char *to, size_t room,
                         bool may_wait)
{
    struct slot *slot;
    uint32_t n;
    int code;

    issue(r, f);
    if (f->slot_count == 0)
        return f->issue_at >= f->size ? 0 : READ_NONE;
    slot = &r->slots[f->slots[f->first_slot % FILE_SLOTS]];
    if (!slot->done) {
        code = reap(r, may_wait ? WAIT_NS : 0);
        if (code < 0) {
            f->read_at = slot->offset;
            reader_file_fails(f, code);
            return READ_FAILED;
        }
        if (!slot->done)
            return may_wait ? READ_AGAIN : READ_NONE;
    }
    n = (uint32_t)(room < slot->got - slot->used ? room : slot->got - slot->used);
    if (n == 0)
        return slot_fails(f, slot);
    memcpy(to, r->blocks + (slot - r->slots) * (ptrdiff_t)BLOCK_BYTES + slot->used, n);
    slot->used += n;
    f->read_at += n;
    if (slot->used == slot->got && slot->error == 0) {
        slot->taken = false;
        f->first_slot++;
        f->slot_count--;
        issue(r, f);
        reap(r, 0); /* sends what issue() has asked for */
    }
    return n;
}

void reader_queue_leave(struct reader *r, struct read_file *f)
{
    if (!f->queued)
        return;
    for (uint32_t i = 0; i < SLOTS; i++)
        while (r->slots[i].taken && r->slots[i].file == f) {
            if (r->slots[i].done)
                r->slots[i].taken = false;
            else if (reap(r, WAIT_NS) < 0)
                break; /* the ring itself is broken: its buffers stay with it until close */
        }
    f->queued = false;
    f->slot_count = 0;
    r->queue_files--;
    if (f->direct >= 0)
        r->env->file.close(r->env->self, f->direct);
    f->direct = -1;
}

void reader_queue_close(struct reader *r)
{
    for (uint32_t i = 0; r->queue != NULL && i < at_load_relaxed(&r->count); i++)
        reader_queue_leave(r, r->files[i]);
    if (r->queue != NULL)
        r->env->file.queue_close(r->env->self, r->queue);
    r->queue = NULL;
    heap_free(r->heap, r->blocks, BUFFER_BYTES);
    r->blocks = NULL;
}
