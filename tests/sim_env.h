/* tests/sim_env.h - a simulated world behind struct env: a disk in memory, a clock that jumps, allocations that fail.
 *
 * Everything follows from one seed. Faults are described by struct sim_faults and counted when they fire:
 *   allocations      number k fails once, all from k on fail, or each with a probability
 *   file operations  number k gives -code once, all from k on do, or all of one kind do; reads and writes may be short
 *   clock            jumps by a day, stands still, runs backwards (mono_ns never does)
 * A crash (sim_crash) keeps, drops or tears by 512 bytes each page that was not synced, and forgets names whose folder was
 * not synced, each on its own. What was synced stays.
 * Threads never start. Blocks carry a guard: a wrong size, a double free or a heap closed with blocks stops the process.
 * Threads: one.   Errors: as env.h says.   Includes: env.h
 */
#ifndef MILL_SIM_ENV_H
#define MILL_SIM_ENV_H

#include "core/env.h"

#define SIM_FILES 64
#define SIM_HANDLES 128
#define SIM_PAGE 4096u

enum sim_op {
    SIM_OPEN,
    SIM_READ,
    SIM_WRITE,
    SIM_SYNC,
    SIM_RENAME,
    SIM_UNLINK,
    SIM_FOLDER, /* make, sync */
    SIM_STAT,
    SIM_LIST,
    SIM_OPS
};

#define SIM_NEVER UINT64_MAX

struct sim_faults {
    uint64_t alloc_at;    /* this one fails ... */
    bool alloc_always;    /* ... and all after it */
    uint32_t alloc_share; /* of 65,536: chance of each; 0: none */
    uint64_t alloc_from;  /* chances begin here */
    uint64_t alloc_until; /* and end before this one */
    uint64_t file_at;     /* file operation, counted over all kinds in file_kinds */
    bool file_always;
    uint32_t file_kinds;  /* bits of enum sim_op */
    int file_code;        /* EIO ... */
    uint32_t short_share; /* of 65,536: reads and writes that do less than asked */
    bool no_map, no_queue;
};

enum sim_clock { SIM_STEADY, SIM_FROZEN, SIM_JUMPY, SIM_BACKWARDS };

struct sim_inode {
    char *bytes;   /* as a reader sees it */
    char *durable; /* as the disk has it; durable_size bytes */
    size_t size, capacity, durable_size;
    uint32_t users; /* names and handles */
    bool used;
};

struct sim_name {
    char path[256];
    int32_t now, durable; /* inode, -1: no such name */
};

struct sim {
    struct env env;
    uint64_t rng;
    struct sim_faults faults;
    uint64_t allocs, file_ops[SIM_OPS], file_counted;
    uint64_t alloc_faults, file_faults, shorts; /* fired */
    uint64_t blocks, bytes, heaps;              /* now allocated, open */
    uint64_t bytes_peak;
    struct guard *newest;
    bool traced; /* blocks remember who took them */
    struct sim_inode inodes[SIM_FILES];
    struct sim_name names[SIM_FILES];
    uint32_t name_count;
    struct {
        int32_t inode;
        uint64_t at;
        bool open, append;
    } handles[SIM_HANDLES];
    uint32_t open_handles;
    uint64_t maps, queues;
    char *console; /* what was written to handles 1 and 2 */
    size_t console_size;
    enum sim_clock clock;
    int64_t mono, wall;
    uint64_t thread; /* thread_id() */
    uint64_t starts; /* threads asked for */
};

uint64_t sim_random(uint64_t *state);
void sim_open(struct sim *sim, uint64_t seed);
void sim_no_faults(struct sim *sim);
void sim_close(struct sim *sim);
/* Makes a durable file. */
void sim_put(struct sim *sim, const char *path, const void *bytes, size_t size);
/* What a reader sees; NULL: no such file. */
const char *sim_get(const struct sim *sim, const char *path, size_t *size);
/* A name that ends in @end, or NULL. */
const char *sim_find(const struct sim *sim, const char *end);
void sim_crash(struct sim *sim);
/* A copy of the disk alone, to crash while the original goes on. */
void sim_clone_disk(const struct sim *sim, struct sim *to);
/* Every block that is alive, with its takers' addresses, on standard error. */
void sim_tell_blocks(const struct sim *sim);
/* Something fired. */
bool sim_faulted(const struct sim *sim);

#endif
