/* core/env.h - the seam: everything core and io want from the world goes through this table.
 *
 * The real one is io/env_posix.c, a simulated one tests/sim_env.c (a disk that fails, a clock that
 * jumps, allocations that fail, threads that never run). Lint forbids any other way in core/.
 * Threads: every function may be called from any thread unless said otherwise.
 * Errors: file functions return >= 0 or -errno; alloc returns NULL.   Includes: base.h
 */
#ifndef MILL_ENV_H
#define MILL_ENV_H

#include "core/base.h"

struct env_stat {
    uint64_t bytes;
    int64_t modified_ns;
    bool is_folder, is_regular;
};

enum env_open {
    ENV_READ = 1,
    ENV_WRITE = 2,
    ENV_CREATE = 4,
    ENV_TRUNCATE = 8,
    ENV_EXCLUSIVE = 16,
    ENV_APPEND = 32,
    ENV_DIRECT = 64,
    ENV_NONBLOCK = 128 /* a pipe opens without its writer; read() may give -EAGAIN */
};

/* One read of a queue; @user comes back with its result. */
struct env_read {
    int handle;
    uint32_t bytes;
    void *to;
    uint64_t offset, user;
};
struct env_done {
    uint64_t user;
    int32_t result; /* bytes (fewer than asked: read on), 0: end of the file, or -errno */
};
struct env_queue {
    bool fixed, huge; /* buffers are registered; they lie in huge pages: O_DIRECT pays */
    const char *mode; /* "io_uring SINGLE_ISSUER DEFER_TASKRUN" ... */
    char why[160];    /* queue_open() gave NULL */
};

struct env_file {
    int (*open)(void *self, const char *path, unsigned flags); /* -> handle */
    void (*close)(void *self, int handle);
    int64_t (*pread)(void *self, int handle, void *to, size_t bytes, uint64_t offset);
    int64_t (*read)(void *self, int handle, void *to, size_t bytes); /* pipes, stdin = handle 0 */
    int64_t (*pwrite)(void *self, int handle, const void *from, size_t bytes, uint64_t offset);
    int64_t (*write)(void *self, int handle, const void *from,
                     size_t bytes); /* stdout = 1, stderr = 2 */
    int (*sync)(void *self, int handle);
    int (*rename)(void *self, const char *from, const char *to);
    int (*unlink)(void *self, const char *path);
    int (*make_folder)(void *self, const char *path); /* and its parents */
    int (*sync_folder)(void *self, const char *path);
    int (*stat)(void *self, const char *path, struct env_stat *out);
    /* Calls @each with every entry's name (not "." and ".."), in no promised order. */
    int (*list)(void *self, const char *path, void (*each)(void *user, const char *name),
                void *user);
    /* Maps a whole regular file for reading, or returns NULL where that cannot be done (then pread). */
    const void *(*map)(void *self, int handle, uint64_t bytes);
    void (*unmap)(void *self, const void *map, uint64_t bytes);
    /* 1: read() would not block (bytes, or the end), 0: nothing within @timeout_ns. */
    int (*wait)(void *self, int handle, int64_t timeout_ns);
    /* 1: the byte at @offset lies in the machine's file cache; 0: not, or not known. */
    int (*cached)(void *self, int handle, uint64_t offset);

    /* Many reads in flight, by the one thread that opened the queue. @buffers (@bytes, must outlive the queue) is where
     * reads go. NULL: @about->why says why there is none, then pread(). */
    void *(*queue_open)(void *self, uint32_t depth, void *buffers, size_t bytes,
                        struct env_queue *about);
    int (*queue_read)(void *self, void *queue, const struct env_read *read); /* -EBUSY: full */
    /* Sends what was asked and collects up to @most results, waiting at most @timeout_ns for the first. How many. */
    int (*queue_reap)(void *self, void *queue, struct env_done *done, uint32_t most,
                      int64_t timeout_ns);
    void (*queue_close)(void *self, void *queue);
};

struct env_clock {
    int64_t (*mono_ns)(void *self);
    int64_t (*wall_ns)(void *self); /* since 1970-01-01 UTC */
    /* Runs evenly and alike on all cpus, cheap to read, of a rate that the reader finds out; NULL: there is none. */
    uint64_t (*ticks)(void *self);
};

/* The processor's own counters, of the thread that opens them. */
enum env_counter {
    ENV_INSTRUCTIONS,
    ENV_CYCLES,
    ENV_CACHE_MISSES,
    ENV_BRANCH_MISSES,
    ENV_COUNTERS
};
struct env_perf {
    /* NULL: @why says what is missing. */
    void *(*open)(void *self, char *why, size_t why_bytes);
    void (*read)(void *self, void *counters, uint64_t values[ENV_COUNTERS]); /* since open() */
    void (*close)(void *self, void *counters);
};

struct env_alloc {
    /* 64-byte aligned. Large blocks (>= 2 MiB) should be huge-page backed. @heap: of heap_open(). */
    void *(*alloc)(void *self, void *heap, size_t bytes);
    void (*free)(void *self, void *heap, void *memory, size_t bytes);
    void *(*heap_open)(void *self); /* by the thread that will use it */
    void (*heap_close)(void *self, void *heap);
};

struct env_run {
    /* Starts a thread; returns its handle or NULL. @cpu < 0: not pinned. */
    void *(*start)(void *self, void (*main)(void *arg), void *arg, int cpu);
    void (*join)(void *self, void *thread);
    /* Sleeps while *word == expected, at most @timeout_ns; wake wakes one sleeper on @word. */
    void (*park)(void *self, uint32_t *word, uint32_t expected, int64_t timeout_ns);
    void (*wake)(void *self, uint32_t *word);
    void (*yield)(void *self);
    uint64_t (*thread_id)(void *self);
    uint32_t (*cpu_count)(void *self);                     /* allowed cpus */
    int (*cpu_at)(void *self, uint32_t i);                 /* the i-th allowed cpu */
    const char *(*variable)(void *self, const char *name); /* environment; NULL: unset */
    uint64_t (*memory_bytes)(void *self);                  /* of the machine or its cgroup */
    uint64_t (*random)(void *self); /* secrets, temporary names; never results */
    void *(*library)(void *self, const char *path, const char *symbol, char *why, size_t why_bytes);
};

struct env {
    void *self;
    struct env_file file;
    struct env_clock clock;
    struct env_perf perf; /* NULLs: none */
    struct env_alloc alloc;
    struct env_run run;
};

/* The real world (io/env_posix.c). Lives for ever. */
const struct env *env_real(void);

#endif
