/* tests/sim_env.c - the simulated world. */
#include "tests/sim_env.h"

#include <errno.h>
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t sim_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static bool chance(struct sim *sim, uint32_t share)
{
    return share != 0 && (sim_random(&sim->rng) & 65535) < share;
}

/* ---- memory ---- */

#define GUARD 0x6d696c6c62726f77ull

struct guard {
    uint64_t magic;
    size_t bytes;
    void *heap;
    struct guard *older, *newer; /* of all that are alive */
    void *callers[3];            /* of heap_alloc() */
};
_Static_assert(sizeof(struct guard) == 64, "blocks stay aligned");

struct sim_heap {
    uint64_t blocks;
};

static bool alloc_fails(struct sim *sim)
{
    const uint64_t k = sim->allocs++;
    const struct sim_faults *f = &sim->faults;

    if (k == f->alloc_at || (f->alloc_always && k > f->alloc_at))
        return true;
    return k >= f->alloc_from && k < f->alloc_until && chance(sim, f->alloc_share);
}

static void *sim_alloc(void *self, void *heap, size_t bytes)
{
    struct sim *sim = self;
    struct guard *g;
    void *frames[6];

    CHECK(bytes > 0);
    if (alloc_fails(sim)) {
        sim->alloc_faults++;
        return NULL;
    }
    g = aligned_alloc(64, ALIGN_UP(sizeof *g + bytes, (size_t)64));
    CHECK(g != NULL);
    *g = (struct guard){.magic = GUARD, .bytes = bytes, .heap = heap, .older = sim->newest};
    if (g->older != NULL)
        g->older->newer = g;
    sim->newest = g;
    if (sim->traced && backtrace(frames, 6) == 6)
        memcpy(g->callers, frames + 2, sizeof g->callers);
    memset(g + 1, 0xcd, bytes < 65536 ? bytes : 65536); /* nobody may count on zeros */
    sim->blocks++;
    sim->bytes += bytes;
    if (sim->bytes > sim->bytes_peak)
        sim->bytes_peak = sim->bytes;
    if (heap != NULL)
        ((struct sim_heap *)heap)->blocks++;
    return g + 1;
}

static void sim_free(void *self, void *heap, void *memory, size_t bytes)
{
    struct sim *sim = self;
    struct guard *g = (struct guard *)memory - 1;

    CHECK(g->magic == GUARD);
    CHECK(g->bytes == bytes);
    CHECK(g->heap == heap);
    if (heap != NULL)
        ((struct sim_heap *)heap)->blocks--;
    g->magic = 0;
    if (g->older != NULL)
        g->older->newer = g->newer;
    if (g->newer != NULL)
        g->newer->older = g->older;
    else
        sim->newest = g->older;
    sim->blocks--;
    sim->bytes -= bytes;
    memset(memory, 0xdd, bytes < 65536 ? bytes : 65536);
    free(g);
}

void sim_tell_blocks(const struct sim *sim)
{
    for (const struct guard *g = sim->newest; g != NULL; g = g->older) {
        fprintf(stderr, "  %zu bytes of heap %p, taken at\n", g->bytes, g->heap);
        backtrace_symbols_fd((void *const *)g->callers, 3, 2);
    }
}

static void *sim_heap_open(void *self)
{
    struct sim_heap *heap = calloc(1, sizeof *heap);

    ((struct sim *)self)->heaps++;
    return heap;
}

static void sim_heap_close(void *self, void *handle)
{
    CHECK(((struct sim_heap *)handle)->blocks == 0);
    ((struct sim *)self)->heaps--;
    free(handle);
}

/* ---- disk ---- */

static int op_fails(struct sim *sim, enum sim_op op)
{
    const struct sim_faults *f = &sim->faults;
    uint64_t k;

    sim->file_ops[op]++;
    if ((f->file_kinds >> op & 1) == 0)
        return 0;
    k = sim->file_counted++;
    if (k != f->file_at && !(f->file_always && k > f->file_at))
        return 0;
    sim->file_faults++;
    return -f->file_code;
}

static const char *clean_path(const char *path, char *to)
{
    size_t n = 0;

    for (; *path != '\0' && n < 255; path++)
        if (*path != '/' || n == 0 || to[n - 1] != '/')
            to[n++] = *path;
    to[n] = '\0';
    return to;
}

static struct sim_name *name_find(const struct sim *sim, const char *path)
{
    char clean[256];

    clean_path(path, clean);
    for (uint32_t i = 0; i < sim->name_count; i++)
        if (strcmp(sim->names[i].path, clean) == 0)
            return (struct sim_name *)&sim->names[i];
    return NULL;
}

static struct sim_name *name_make(struct sim *sim, const char *path)
{
    struct sim_name *name = name_find(sim, path);

    if (name != NULL)
        return name;
    CHECK(sim->name_count < SIM_FILES);
    name = &sim->names[sim->name_count++];
    *name = (struct sim_name){.now = -1, .durable = -1};
    clean_path(path, name->path);
    return name;
}

/* An inode lives while a name (as seen or durable) or a handle means it. */
static void inodes_collect(struct sim *sim)
{
    for (int32_t i = 0; i < SIM_FILES; i++) {
        bool used = false;

        for (uint32_t n = 0; n < sim->name_count; n++)
            used = used || sim->names[n].now == i || sim->names[n].durable == i;
        for (uint32_t h = 0; h < SIM_HANDLES; h++)
            used = used || (sim->handles[h].open && sim->handles[h].inode == i);
        if (used || !sim->inodes[i].used)
            continue;
        free(sim->inodes[i].bytes);
        free(sim->inodes[i].durable);
        sim->inodes[i] = (struct sim_inode){0};
    }
}

static int32_t inode_make(struct sim *sim)
{
    inodes_collect(sim);
    for (int32_t i = 0; i < SIM_FILES; i++)
        if (!sim->inodes[i].used) {
            sim->inodes[i].used = true;
            return i;
        }
    CHECK(!"too many files in a simulation");
    return -1;
}

static int sim_file_open(void *self, const char *path, unsigned flags)
{
    struct sim *sim = self;
    struct sim_name *name;
    const int code = op_fails(sim, SIM_OPEN);

    if (code < 0)
        return code;
    name = name_find(sim, path);
    if (name == NULL || name->now < 0) {
        if ((flags & ENV_CREATE) == 0)
            return -ENOENT;
        name = name_make(sim, path);
        name->now = inode_make(sim);
    } else if ((flags & ENV_EXCLUSIVE) != 0) {
        return -EEXIST;
    }
    if ((flags & ENV_TRUNCATE) != 0)
        sim->inodes[name->now].size = 0;
    for (int h = 3; h < SIM_HANDLES; h++)
        if (!sim->handles[h].open) {
            sim->handles[h].open = true;
            sim->handles[h].inode = name->now;
            sim->handles[h].at = 0;
            sim->handles[h].append = (flags & ENV_APPEND) != 0;
            sim->open_handles++;
            return h;
        }
    return -EMFILE;
}

static void sim_file_close(void *self, int handle)
{
    struct sim *sim = self;

    CHECK(handle >= 3 && sim->handles[handle].open);
    sim->handles[handle].open = false;
    sim->open_handles--;
    inodes_collect(sim);
}

static size_t maybe_short(struct sim *sim, size_t bytes)
{
    if (bytes < 2 || !chance(sim, sim->faults.short_share))
        return bytes;
    sim->shorts++;
    return 1 + sim_random(&sim->rng) % (bytes - 1);
}

static int64_t sim_file_pread(void *self, int handle, void *to, size_t bytes, uint64_t offset)
{
    struct sim *sim = self;
    const struct sim_inode *inode = &sim->inodes[sim->handles[handle].inode];
    const int code = op_fails(sim, SIM_READ);

    if (code < 0)
        return code;
    if (offset >= inode->size)
        return 0;
    if (bytes > inode->size - offset)
        bytes = inode->size - offset;
    bytes = maybe_short(sim, bytes);
    memcpy(to, inode->bytes + offset, bytes);
    return (int64_t)bytes;
}

static int64_t sim_file_read(void *self, int handle, void *to, size_t bytes)
{
    struct sim *sim = self;
    int64_t n;

    if (handle == 0)
        return 0;
    n = sim_file_pread(self, handle, to, bytes, sim->handles[handle].at);
    if (n > 0)
        sim->handles[handle].at += (uint64_t)n;
    return n;
}

static void grow(char **bytes, size_t *capacity, size_t needed)
{
    if (needed <= *capacity)
        return;
    *capacity = needed * 2;
    *bytes = realloc(*bytes, *capacity);
    CHECK(*bytes != NULL);
}

static int64_t sim_file_pwrite(void *self, int handle, const void *from, size_t bytes,
                               uint64_t offset)
{
    struct sim *sim = self;
    struct sim_inode *inode;
    const int code = op_fails(sim, SIM_WRITE);

    if (code < 0)
        return code;
    bytes = maybe_short(sim, bytes);
    if (handle < 3) {
        sim->console = realloc(sim->console, sim->console_size + bytes + 1);
        memcpy(sim->console + sim->console_size, from, bytes);
        sim->console[sim->console_size += bytes] = '\0';
        return (int64_t)bytes;
    }
    CHECK(sim->handles[handle].open);
    inode = &sim->inodes[sim->handles[handle].inode];
    grow(&inode->bytes, &inode->capacity, offset + bytes);
    if (offset > inode->size)
        memset(inode->bytes + inode->size, 0, offset - inode->size);
    memcpy(inode->bytes + offset, from, bytes);
    if (offset + bytes > inode->size)
        inode->size = offset + bytes;
    return (int64_t)bytes;
}

static int64_t sim_file_write(void *self, int handle, const void *from, size_t bytes)
{
    struct sim *sim = self;
    int64_t n;

    if (handle >= 3 && sim->handles[handle].append)
        sim->handles[handle].at = sim->inodes[sim->handles[handle].inode].size;
    n = sim_file_pwrite(self, handle, from, bytes, handle < 3 ? 0 : sim->handles[handle].at);
    if (n > 0 && handle >= 3)
        sim->handles[handle].at += (uint64_t)n;
    return n;
}

static void inode_sync(struct sim_inode *inode)
{
    inode->durable = realloc(inode->durable, inode->size + 1);
    if (inode->size > 0)
        memcpy(inode->durable, inode->bytes, inode->size);
    inode->durable_size = inode->size;
}

static int sim_file_sync(void *self, int handle)
{
    struct sim *sim = self;
    const int code = op_fails(sim, SIM_SYNC);

    if (code == 0 && handle >= 3)
        inode_sync(&sim->inodes[sim->handles[handle].inode]);
    return code;
}

static int sim_file_rename(void *self, const char *from, const char *to)
{
    struct sim *sim = self;
    struct sim_name *old;
    const int code = op_fails(sim, SIM_RENAME);

    if (code < 0)
        return code;
    old = name_find(sim, from);
    if (old == NULL || old->now < 0)
        return -ENOENT;
    name_make(sim, to)->now = old->now;
    old->now = -1;
    inodes_collect(sim);
    return 0;
}

static int sim_file_unlink(void *self, const char *path)
{
    struct sim *sim = self;
    struct sim_name *name;
    const int code = op_fails(sim, SIM_UNLINK);

    if (code < 0)
        return code;
    name = name_find(sim, path);
    if (name == NULL || name->now < 0)
        return -ENOENT;
    name->now = -1;
    inodes_collect(sim);
    return 0;
}

static int sim_make_folder(void *self, const char *path)
{
    (void)path;
    return op_fails(self, SIM_FOLDER);
}

static bool in_folder(const char *path, const char *folder, const char **rest)
{
    char clean[256];
    size_t n;

    clean_path(folder, clean);
    n = strlen(clean);
    if (n > 0 && clean[n - 1] == '/')
        n--;
    if (strncmp(path, clean, n) != 0 || path[n] != '/')
        return false;
    *rest = path + n + 1;
    return true;
}

static int sim_sync_folder(void *self, const char *path)
{
    struct sim *sim = self;
    const int code = op_fails(sim, SIM_FOLDER);
    const char *rest;

    for (uint32_t i = 0; code == 0 && i < sim->name_count; i++)
        if (in_folder(sim->names[i].path, path, &rest) && strchr(rest, '/') == NULL)
            sim->names[i].durable = sim->names[i].now;
    return code;
}

static int sim_stat(void *self, const char *path, struct env_stat *out)
{
    struct sim *sim = self;
    const struct sim_name *name = name_find(sim, path);
    const int code = op_fails(sim, SIM_STAT);
    const char *rest;

    if (code < 0)
        return code;
    *out = (struct env_stat){.modified_ns = 1};
    if (name != NULL && name->now >= 0) {
        out->bytes = sim->inodes[name->now].size;
        out->is_regular = true;
        return 0;
    }
    for (uint32_t i = 0; i < sim->name_count; i++)
        if (sim->names[i].now >= 0 && in_folder(sim->names[i].path, path, &rest)) {
            out->is_folder = true;
            return 0;
        }
    return -ENOENT;
}

static int sim_list(void *self, const char *path, void (*each)(void *user, const char *name),
                    void *user)
{
    struct sim *sim = self;
    const int code = op_fails(sim, SIM_LIST);
    const char *rest;

    for (uint32_t i = sim->name_count; code == 0 && i-- > 0;) /* newest first: no promised order */
        if (sim->names[i].now >= 0 && in_folder(sim->names[i].path, path, &rest) &&
            strchr(rest, '/') == NULL)
            each(user, rest);
    return code;
}

static const void *sim_map(void *self, int handle, uint64_t bytes)
{
    struct sim *sim = self;
    const struct sim_inode *inode = &sim->inodes[sim->handles[handle].inode];
    char *copy;

    if (sim->faults.no_map || bytes != inode->size)
        return NULL;
    copy = malloc(bytes); /* exactly: reading past the end is seen by AddressSanitizer */
    CHECK(copy != NULL);
    memcpy(copy, inode->bytes, bytes);
    sim->maps++;
    return copy;
}

static void sim_unmap(void *self, const void *map, uint64_t bytes)
{
    (void)bytes;
    ((struct sim *)self)->maps--;
    free((void *)map);
}

/* ---- many reads in flight: they end late and in any order ---- */

struct sim_queue {
    uint32_t depth, count;
    struct env_read reads[256];
};

static int sim_wait(void *self, int handle, int64_t timeout_ns)
{
    (void)handle;
    ((struct sim *)self)->mono += timeout_ns / 2;
    return sim_random(&((struct sim *)self)->rng) % 4 != 0;
}

static int sim_cached(void *self, int handle, uint64_t offset)
{
    (void)handle, (void)offset;
    return sim_random(&((struct sim *)self)->rng) % 2 == 0;
}

static void *sim_queue_open(void *self, uint32_t depth, void *buffers, size_t bytes,
                            struct env_queue *about)
{
    struct sim *sim = self;
    struct sim_queue *queue;

    (void)buffers, (void)bytes;
    *about = (struct env_queue){.mode = "simulated"};
    if (sim->faults.no_queue) {
        snprintf(about->why, sizeof about->why, "this simulation has none");
        return NULL;
    }
    queue = calloc(1, sizeof *queue);
    queue->depth = depth < COUNT_OF(queue->reads) ? depth : COUNT_OF(queue->reads);
    sim->queues++;
    return queue;
}

static int sim_queue_read(void *self, void *handle, const struct env_read *read)
{
    struct sim_queue *queue = handle;

    (void)self;
    if (queue->count == queue->depth)
        return -EBUSY;
    queue->reads[queue->count++] = *read;
    return 0;
}

static int sim_queue_reap(void *self, void *handle, struct env_done *done, uint32_t most,
                          int64_t timeout_ns)
{
    struct sim *sim = self;
    struct sim_queue *queue = handle;
    uint32_t n = 0;

    sim->mono += timeout_ns / 2;
    while (n < most && queue->count > 0 && sim_random(&sim->rng) % 4 != 0) {
        const uint32_t at = (uint32_t)(sim_random(&sim->rng) % queue->count);
        const struct env_read read = queue->reads[at];

        queue->reads[at] = queue->reads[--queue->count];
        done[n++] = (struct env_done){read.user, (int32_t)sim_file_pread(self, read.handle, read.to,
                                                                         read.bytes, read.offset)};
    }
    return (int)n;
}

static void sim_queue_close(void *self, void *handle)
{
    ((struct sim *)self)->queues--;
    free(handle);
}

/* ---- crash ---- */

static void page_crash(struct sim *sim, struct sim_inode *inode, char *after, size_t at)
{
    const size_t n = inode->size - at < SIM_PAGE ? inode->size - at : SIM_PAGE;
    const uint64_t how = sim_random(&sim->rng) % 3;

    for (size_t b = at; b < at + n; b += 512) {
        const size_t m = at + n - b < 512 ? at + n - b : 512;

        if (how == 0 || (how == 1 && sim_random(&sim->rng) % 2 == 0))
            memcpy(after + b, inode->bytes + b, m); /* reached the disk */
    }
}

static void inode_crash(struct sim *sim, struct sim_inode *inode)
{
    /* the size is metadata: it may or may not have reached the disk */
    const size_t size = sim_random(&sim->rng) % 2 == 0 ? inode->durable_size : inode->size;
    char *after = calloc(1, inode->size + inode->durable_size + 1);

    if (inode->durable_size > 0)
        memcpy(after, inode->durable, inode->durable_size);
    for (size_t at = 0; at < inode->size; at += SIM_PAGE) {
        const size_t n = inode->size - at < SIM_PAGE ? inode->size - at : SIM_PAGE;

        if (at + n <= inode->durable_size && memcmp(inode->durable + at, inode->bytes + at, n) == 0)
            continue;
        page_crash(sim, inode, after, at);
    }
    free(inode->bytes);
    inode->bytes = after;
    inode->capacity = inode->size + inode->durable_size + 1;
    inode->size = size;
    inode_sync(inode);
}

void sim_crash(struct sim *sim)
{
    for (int h = 3; h < SIM_HANDLES; h++)
        sim->handles[h].open = false;
    sim->open_handles = 0;
    for (uint32_t n = 0; n < sim->name_count; n++) {
        struct sim_name *name = &sim->names[n];

        if (name->now != name->durable && sim_random(&sim->rng) % 2 == 0)
            name->now = name->durable; /* this change of the folder is lost */
        name->durable = name->now;
    }
    for (uint32_t i = 0; i < SIM_FILES; i++)
        if (sim->inodes[i].used)
            inode_crash(sim, &sim->inodes[i]);
    inodes_collect(sim);
}

void sim_clone_disk(const struct sim *sim, struct sim *to)
{
    *to = *sim;
    to->console = NULL;
    to->console_size = 0;
    for (uint32_t i = 0; i < SIM_FILES; i++) {
        struct sim_inode *inode = &to->inodes[i];
        const struct sim_inode *from = &sim->inodes[i];

        inode->bytes = malloc(from->capacity + 1);
        inode->durable = malloc(from->durable_size + 1);
        CHECK(inode->bytes != NULL && inode->durable != NULL);
        if (from->size > 0)
            memcpy(inode->bytes, from->bytes, from->size);
        if (from->durable_size > 0)
            memcpy(inode->durable, from->durable, from->durable_size);
    }
}

/* ---- clock ---- */

static int64_t sim_mono(void *self)
{
    struct sim *sim = self;

    return sim->mono += (int64_t)(sim_random(&sim->rng) % 1000);
}

static int64_t sim_wall(void *self)
{
    const int64_t day = 86400ll * 1000000000;
    struct sim *sim = self;

    switch (sim->clock) {
    case SIM_FROZEN: break;
    case SIM_BACKWARDS: sim->wall -= (int64_t)(sim_random(&sim->rng) % 5000000); break;
    case SIM_JUMPY:
        if (sim_random(&sim->rng) % 16 == 0)
            sim->wall += sim_random(&sim->rng) % 2 == 0 ? day : -day;
        /* fall through */
    case SIM_STEADY: sim->wall += (int64_t)(sim_random(&sim->rng) % 5000000); break;
    }
    return sim->wall;
}

/* ---- running ---- */

static void *sim_start(void *self, void (*entry)(void *arg), void *arg, int cpu)
{
    (void)entry, (void)arg, (void)cpu;
    ((struct sim *)self)->starts++;
    return NULL;
}
static void sim_join(void *self, void *thread)
{
    (void)self, (void)thread;
    CHECK(!"no thread was started");
}
static void sim_park(void *self, uint32_t *word, uint32_t expected, int64_t timeout_ns)
{
    (void)word, (void)expected;
    ((struct sim *)self)->mono += timeout_ns;
}
static void sim_wake(void *self, uint32_t *word)
{
    (void)self, (void)word;
}
static void sim_yield(void *self)
{
    ((struct sim *)self)->mono += 1000;
}
static uint64_t sim_thread_id(void *self)
{
    return ((struct sim *)self)->thread;
}
static uint32_t sim_cpu_count(void *self)
{
    (void)self;
    return 2;
}
static int sim_cpu_at(void *self, uint32_t i)
{
    (void)self;
    return (int)i;
}
static const char *sim_variable(void *self, const char *name)
{
    (void)self, (void)name;
    return NULL;
}
static uint64_t sim_memory(void *self)
{
    (void)self;
    return 1ull << 30;
}
static uint64_t sim_secret(void *self)
{
    return sim_random(&((struct sim *)self)->rng);
}
static void *sim_library(void *self, const char *path, const char *symbol, char *why, size_t bytes)
{
    (void)self;
    snprintf(why, bytes, "%s (%s): there are no libraries in a simulation", path, symbol);
    return NULL;
}

/* ---- the table ---- */

void sim_no_faults(struct sim *sim)
{
    sim->faults =
        (struct sim_faults){.alloc_at = SIM_NEVER, .alloc_until = SIM_NEVER, .file_at = SIM_NEVER};
    sim->alloc_faults = sim->file_faults = 0;
    sim->allocs = sim->file_counted = 0;
}

void sim_open(struct sim *sim, uint64_t seed)
{
    memset(sim, 0, sizeof *sim);
    sim->rng = seed;
    sim->thread = 1;
    sim->wall = 1700000000ll * 1000000000;
    sim_no_faults(sim);
    sim->env = (struct env){
        .self = sim,
        .file = {.open = sim_file_open,
                 .close = sim_file_close,
                 .pread = sim_file_pread,
                 .read = sim_file_read,
                 .pwrite = sim_file_pwrite,
                 .write = sim_file_write,
                 .sync = sim_file_sync,
                 .rename = sim_file_rename,
                 .unlink = sim_file_unlink,
                 .make_folder = sim_make_folder,
                 .sync_folder = sim_sync_folder,
                 .stat = sim_stat,
                 .list = sim_list,
                 .map = sim_map,
                 .unmap = sim_unmap,
                 .wait = sim_wait,
                 .cached = sim_cached,
                 .queue_open = sim_queue_open,
                 .queue_read = sim_queue_read,
                 .queue_reap = sim_queue_reap,
                 .queue_close = sim_queue_close},
        .clock = {.mono_ns = sim_mono, .wall_ns = sim_wall},
        .alloc = {.alloc = sim_alloc,
                  .free = sim_free,
                  .heap_open = sim_heap_open,
                  .heap_close = sim_heap_close},
        .run = {.start = sim_start,
                .join = sim_join,
                .park = sim_park,
                .wake = sim_wake,
                .yield = sim_yield,
                .thread_id = sim_thread_id,
                .cpu_count = sim_cpu_count,
                .cpu_at = sim_cpu_at,
                .variable = sim_variable,
                .memory_bytes = sim_memory,
                .random = sim_secret,
                .library = sim_library},
    };
}

void sim_close(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_FILES; i++) {
        free(sim->inodes[i].bytes);
        free(sim->inodes[i].durable);
    }
    free(sim->console);
    memset(sim, 0, sizeof *sim);
}

void sim_put(struct sim *sim, const char *path, const void *bytes, size_t size)
{
    struct sim_name *name = name_make(sim, path);
    struct sim_inode *inode;

    name->now = inode_make(sim);
    name->durable = name->now;
    inode = &sim->inodes[name->now];
    grow(&inode->bytes, &inode->capacity, size + 1);
    memcpy(inode->bytes, bytes, size);
    inode->size = size;
    inode_sync(inode);
}

const char *sim_get(const struct sim *sim, const char *path, size_t *size)
{
    const struct sim_name *name = name_find(sim, path);

    if (name == NULL || name->now < 0)
        return NULL;
    *size = sim->inodes[name->now].size;
    return sim->inodes[name->now].bytes != NULL ? sim->inodes[name->now].bytes : "";
}

const char *sim_find(const struct sim *sim, const char *end)
{
    for (uint32_t i = 0; i < sim->name_count; i++) {
        const size_t n = strlen(sim->names[i].path), m = strlen(end);

        if (sim->names[i].now >= 0 && n >= m && strcmp(sim->names[i].path + n - m, end) == 0)
            return sim->names[i].path;
    }
    return NULL;
}

bool sim_faulted(const struct sim *sim)
{
    return sim->alloc_faults + sim->file_faults > 0;
}
