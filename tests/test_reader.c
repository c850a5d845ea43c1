/* tests/test_reader.c - reading ahead through a file that lives in memory and fails as told: short reads, EINTR, results out of
 * order, stale results, errors, an end that comes too early; and through the real ring where there is one. What must
 * come out is recomputed line by line. */
#include "io/reader.h"
#include "io/uring.h"
#include "kernels/kernels.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PENDING_MAX 16

/* ---- the world ---- */

static struct {
    char *data;
    size_t size;
    unsigned seed;
    int faults;         /* per cent of calls that go wrong for a moment */
    uint64_t broken_at; /* reads that touch this byte fail for ever with... */
    int broken_with;    /* ... -EIO, or 0: the file ends here */
    bool no_queue;
    struct env_read pending[PENDING_MAX];
    int pending_count, in_queue_most, opened;
    uint64_t last_user;
} world;

static unsigned chance(unsigned below)
{
    return (unsigned)((world.seed = world.seed * 1664525u + 1013904223u) >> 8) % below;
}

static bool fault(void)
{
    return (int)chance(100) < world.faults;
}

static int64_t read_at(void *to, size_t bytes, uint64_t offset)
{
    if (fault())
        return chance(2) == 0 ? -EINTR : -EAGAIN;
    if (offset + bytes > world.broken_at) {
        if (offset >= world.broken_at)
            return world.broken_with;
        bytes = world.broken_at - offset;
    }
    if (offset >= world.size)
        return 0;
    bytes = bytes < world.size - offset ? bytes : world.size - offset;
    if (fault())
        bytes = 1 + chance((unsigned)bytes);
    memcpy(to, world.data + offset, bytes);
    return (int64_t)bytes;
}

static int fake_open(void *self, const char *path, unsigned flags)
{
    (void)self;
    (void)path;
    (void)flags;
    world.opened++;
    return 100;
}

static void fake_close(void *self, int handle)
{
    (void)self;
    (void)handle;
    world.opened--;
}

static int64_t fake_pread(void *self, int handle, void *to, size_t bytes, uint64_t offset)
{
    (void)self;
    (void)handle;
    return read_at(to, bytes, offset);
}

static void *fake_queue_open(void *self, uint32_t depth, void *buffers, size_t bytes,
                             struct env_queue *about)
{
    (void)self;
    (void)buffers;
    (void)bytes;
    cr_assert_leq(depth, PENDING_MAX);
    *about = (struct env_queue){.fixed = true};
    world.pending_count = 0;
    return world.no_queue ? NULL : &world;
}

static int fake_queue_read(void *self, void *queue, const struct env_read *read)
{
    (void)self;
    (void)queue;
    if (world.pending_count == PENDING_MAX)
        return -EBUSY;
    world.pending[world.pending_count++] = *read;
    if (world.pending_count > world.in_queue_most)
        world.in_queue_most = world.pending_count;
    return 0;
}

/* Any of the reads is done first; now and then a result comes that belongs to a read long gone. */
static int fake_queue_reap(void *self, void *queue, struct env_done *done, uint32_t most,
                           int64_t timeout_ns)
{
    uint32_t n = 0;

    (void)self;
    (void)queue;
    while (world.pending_count > 0 && n < most && (chance(3) != 0 || timeout_ns > 0)) {
        const int i = (int)chance((unsigned)world.pending_count);
        const struct env_read read = world.pending[i];

        if (world.last_user != 0 && n + 1 < most && fault())
            done[n++] = (struct env_done){world.last_user, 7};
        world.pending[i] = world.pending[--world.pending_count];
        done[n++] =
            (struct env_done){read.user, (int32_t)read_at(read.to, read.bytes, read.offset)};
        world.last_user = read.user;
        if (timeout_ns > 0)
            break;
    }
    return (int)n;
}

static void fake_queue_close(void *self, void *queue)
{
    (void)self;
    (void)queue;
    cr_assert_eq(world.pending_count, 0, "the queue is closed while reads are in flight");
}

static struct env fake_env(void)
{
    struct env env = *env_real();

    env.file.open = fake_open;
    env.file.close = fake_close;
    env.file.pread = fake_pread;
    env.file.queue_open = fake_queue_open;
    env.file.queue_read = fake_queue_read;
    env.file.queue_reap = fake_queue_reap;
    env.file.queue_close = fake_queue_close;
    return env;
}

/* ---- a format of lines ---- */

static size_t naive_cut(const char *bytes, size_t length, size_t want)
{
    for (size_t i = want < length ? want : length; i > 0; i--)
        if (bytes[i - 1] == '\n')
            return i;
    for (size_t i = want; i < length; i++)
        if (bytes[i] == '\n')
            return i + 1;
    return 0;
}

static size_t line_cut(const struct format *format, uint64_t offset, const char *bytes,
                       size_t length, size_t want)
{
    (void)format;
    (void)offset;
    return naive_cut(bytes, length, want);
}

static const struct format_vtable lines_vtable = {.name = "lines", .cut = line_cut};
static const struct format lines = {.vtable = &lines_vtable};

/* ---- running ---- */

struct run {
    struct env env;
    struct budget budget;
    struct heap heap;
    struct source_config config;
    struct source source;
    struct mill_error error;
    struct options options;
    struct reader *reader;
    struct read_file *file;
};

static void run_open(struct run *r, const char *io, uint32_t step)
{
    char why[160];

    memset(r, 0, sizeof *r);
    r->env = fake_env();
    r->budget.limit = UINT64_MAX;
    heap_open_shared(&r->heap, &r->env, &r->budget);
    r->options.table = "t";
    r->config = (struct source_config){.env = &r->env,
                                       .kernels = mk_select(NULL, why, sizeof why),
                                       .heap = &r->heap,
                                       .options = &r->options,
                                       .step_bytes = step,
                                       .io = io,
                                       .inline_only = true};
    r->reader = reader_new(&r->config, &lines, &r->error);
    cr_assert_not_null(r->reader);
    cr_assert(
        reader_add(r->reader,
                   &(struct found_file){.path = "f", .bytes = world.size, .is_regular = true}));
    r->file = reader_file(r->reader, 0);
    r->file->opened = true; /* the first bytes are looked at by tests of the command */
    r->file->handle = fake_open(NULL, "f", 0);
    cr_assert_eq(reader_start(r->reader, &r->source, &r->error), MILL_OK);
}

static void run_close(struct run *r)
{
    reader_close(r->reader);
    cr_assert_eq(world.opened, 0, "a handle is left open");
    heap_close(&r->heap); /* CHECKs that nothing is left */
}

/* Takes all parts, keeps up to ten of them, lets them go in any order. Returns how it ended; *bytes: what came. */
static uint32_t run_all(struct run *r, uint32_t step, uint64_t *bytes, size_t whole)
{
    struct part *kept[10] = {0};
    uint64_t at = 0, line = 1;
    uint32_t ended = 0;

    for (int idle = 0; idle < 200000; idle++) {
        struct part *part = chance(3) == 0 ? NULL : reader_take(r->reader, r->file, &ended);
        const size_t k = chance(10);

        if (part == NULL) {
            if (ended != 0 && (part = reader_take(r->reader, r->file, &ended)) == NULL)
                break;
            reader_pump(r->reader);
            if (part == NULL)
                continue;
        }
        size_t n = whole - at > step ? naive_cut(world.data + at, whole - at, step) : 0;

        if (n == 0)
            n = whole - at;
        cr_assert_eq(part->begin, at);
        cr_assert_eq(part->length, n, "seed %u: part at %lu: %zu bytes, not %zu", world.seed,
                     (unsigned long)at, part->length, n);
        cr_assert_eq(memcmp(part->bytes, world.data + at, n), 0);
        cr_assert_eq(part->first_line, line);
        for (size_t i = 0; i < n; i++)
            line += world.data[at + i] == '\n';
        at += n;
        if (kept[k] != NULL) {
            /* still what it was, whatever was read since */
            cr_assert_eq(memcmp(kept[k]->bytes, world.data + kept[k]->begin, kept[k]->length), 0);
            reader_release(r->reader, kept[k]);
        }
        kept[k] = part;
    }
    for (size_t k = 0; k < 10; k++)
        if (kept[k] != NULL)
            reader_release(r->reader, kept[k]);
    *bytes = at;
    return ended;
}

static void fill(unsigned seed, size_t size)
{
    memset(&world, 0, sizeof world);
    world.seed = seed;
    world.size = size;
    world.broken_at = UINT64_MAX;
    world.data = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        world.data[i] = chance(40) == 0 ? '\n' : (char)('a' + chance(26));
}

static void all_ways(void (*each)(const char *io, unsigned seed))
{
    for (unsigned seed = 1; seed <= 60; seed++) {
        each("posix", seed);
        each("uring", seed);
    }
}

static void faults_change_nothing(const char *io, unsigned seed)
{
    static const uint32_t steps[] = {64, 1000, 70000, 1u << 20};
    const uint32_t step = steps[seed % 4];
    struct run r;
    uint64_t bytes;

    fill(seed, seed % 10 == 0 ? seed : 3000000 + seed * 1237);
    world.faults = seed % 3 == 0 ? 0 : 12;
    if (step == 64)
        world.size = world.size > 200000 ? 200000 : world.size;
    run_open(&r, io, step);
    cr_assert_eq(run_all(&r, step, &bytes, world.size), 1, "%s, seed %u: %s", io, seed,
                 r.file->failure.message);
    cr_assert_eq(bytes, world.size);
    if (strcmp(io, "uring") == 0)
        cr_assert_gt(at_load_relaxed(&r.source.ring_reads), 0);
    if (strcmp(io, "uring") == 0 && world.size > 2500000)
        cr_assert_geq(world.in_queue_most, 8, "eight reads should be in flight");
    run_close(&r);
    free(world.data);
}

Test(reader, faults_that_pass_change_nothing)
{
    all_ways(faults_change_nothing);
}

static void errors_come_after_whole_rows(const char *io, unsigned seed)
{
    struct run r;
    uint64_t bytes;
    size_t whole;

    fill(seed, 2000000);
    world.faults = 5;
    world.broken_at = chance(2000000);
    world.broken_with = seed % 2 == 0 ? -EIO : 0;
    for (whole = world.broken_at; whole > 0 && world.data[whole - 1] != '\n'; whole--)
        ;
    run_open(&r, io, 30000);
    cr_assert_eq(run_all(&r, 30000, &bytes, whole), 2, "%s, seed %u", io, seed);
    cr_assert_eq(bytes, whole, "%s, seed %u: %lu of %zu", io, seed, (unsigned long)bytes, whole);
    cr_assert_eq(r.file->failure.code, MILL_E_IO);
    cr_assert_not_null(strstr(r.file->failure.message,
                              seed % 2 == 0 ? "cannot read f at byte" : "has become shorter"));
    run_close(&r);
    free(world.data);
}

Test(reader, errors_come_after_whole_rows)
{
    all_ways(errors_come_after_whole_rows);
}

Test(reader, closes_while_reads_are_in_flight)
{
    for (unsigned seed = 1; seed < 40; seed++) {
        struct run r;

        fill(seed, 5000000);
        run_open(&r, "uring", 50000);
        for (unsigned i = 0; i < seed; i++)
            reader_pump(r.reader);
        run_close(&r);
        free(world.data);
    }
}

Test(reader, reads_without_a_queue)
{
    struct run r;
    uint64_t bytes;

    fill(5, 3000000);
    world.no_queue = true;
    run_open(&r, "uring", 100000);
    cr_assert_eq(run_all(&r, 100000, &bytes, world.size), 1);
    cr_assert_eq(bytes, world.size);
    cr_assert_eq(at_load_relaxed(&r.source.ring_reads), 0);
    run_close(&r);
    free(world.data);
}

Test(reader, a_row_without_end_is_an_error_and_bounded)
{
    struct run r;
    uint64_t bytes;

    fill(9, 40u << 20);
    memset(world.data + 100, 'x', world.size - 100);
    world.data[99] = '\n';
    run_open(&r, "posix", 64);
    while (world.data[r.file->position] != 'x' && at_load_relaxed(&r.file->ended) == 0) {
        uint32_t ended;
        struct part *part = reader_take(r.reader, r.file, &ended);

        reader_pump(r.reader);
        if (part != NULL)
            reader_release(r.reader, part);
    }
    while (at_load_relaxed(&r.file->ended) == 0)
        reader_pump(r.reader);
    cr_assert_eq(r.file->failure.code, MILL_E_DATA);
    cr_assert_lt(at_load_relaxed(&r.budget.peak), 100u << 20);
    (void)bytes;
    run_close(&r);
    free(world.data);
}

/* ---- the real ring ---- */

static void ring_reads(bool with_buffers)
{
    char path[] = "/tmp/millstream-ring-XXXXXX", *buffer = NULL;
    const int handle = mkstemp(path);
    struct env_queue about;
    struct env_done done[8];
    uint8_t seen[32] = {0};
    void *queue;
    int n = 0;

    cr_assert_eq(posix_memalign((void **)&buffer, 4096, 8 * 4096), 0);
    queue = uring_open(NULL, 8, buffer, with_buffers ? 8 * 4096 : 0, &about);
    for (int i = 0; i < 32; i++) {
        char block[4096];

        memset(block, 'A' + i, sizeof block);
        cr_assert_eq(write(handle, block, sizeof block), (ssize_t)sizeof block);
    }
    unlink(path);
    if (queue == NULL) {
        cr_assert_neq(about.why[0], '\0', "a refusal says why");
        cr_log_warn("no io_uring here: %s", about.why);
        close(handle);
        free(buffer);
        return;
    }
    for (int round = 0; round < 4; round++) {
        for (uint32_t i = 0; i < 8; i++) {
            const struct env_read read = {handle, 4096, buffer + i * 4096,
                                          (uint64_t)(round * 8 + (int)i) * 4096, i};

            cr_assert_eq(uring_read(NULL, queue, &read), 0);
        }
        cr_assert_eq(uring_read(NULL, queue, &(struct env_read){handle, 1, buffer, 0, 9}), -EBUSY,
                     "no more than its depth");
        for (int got = 0; got < 8; got += n) {
            n = uring_reap(NULL, queue, done, 8, 1000000000);
            cr_assert_geq(n, 0);
            for (int k = 0; k < n; k++) {
                const int block = round * 8 + (int)done[k].user;

                cr_assert_eq(done[k].result, 4096);
                cr_assert_eq(buffer[done[k].user * 4096 + 4095], 'A' + block);
                seen[block]++;
            }
        }
    }
    for (int i = 0; i < 32; i++)
        cr_assert_eq(seen[i], 1);
    cr_assert_eq(uring_read(NULL, queue, &(struct env_read){handle, 4096, buffer, 32 * 4096, 1}),
                 0);
    while ((n = uring_reap(NULL, queue, done, 8, 1000000000)) == 0)
        ;
    cr_assert_eq(done[0].result, 0, "the end of the file");
    cr_assert_eq(uring_read(NULL, queue, &(struct env_read){-1, 4096, buffer, 0, 1}), 0);
    while ((n = uring_reap(NULL, queue, done, 8, 1000000000)) == 0)
        ;
    cr_assert_eq(done[0].result, -EBADF);
    uring_close(NULL, queue);
    close(handle);
    free(buffer);
}

Test(uring, reads_into_registered_buffers)
{
    ring_reads(true);
}

Test(uring, reads_into_plain_buffers)
{
    ring_reads(false);
}
