/* io/env_posix.c - the real world: files, clocks, memory, threads.
 *
 * Heaps are mimalloc's, opened with dlopen(RTLD_LOCAL) so that the host program keeps its own malloc; where the
 * library is absent, or under a sanitizer, plain aligned malloc serves. Blocks of 2 MiB and more are mapped on their
 * own and advised to be huge pages.
 * Threads: any.   Errors: -errno, NULL.   Includes: env.h
 */
#include "core/atomic.h"
#include "core/env.h"
#include "io/perf.h"
#include "io/uring.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define HUGE_BYTES ((size_t)2 << 20)

/* ---- files ---- */

static int file_open(void *self, const char *path, unsigned flags)
{
    int how = O_CLOEXEC;
    int handle;

    (void)self;
    if ((flags & ENV_WRITE) != 0)
        how |= (flags & ENV_READ) != 0 ? O_RDWR : O_WRONLY;
    if ((flags & ENV_CREATE) != 0)
        how |= O_CREAT;
    if ((flags & ENV_TRUNCATE) != 0)
        how |= O_TRUNC;
    if ((flags & ENV_EXCLUSIVE) != 0)
        how |= O_EXCL;
    if ((flags & ENV_APPEND) != 0)
        how |= O_APPEND;
    if ((flags & ENV_DIRECT) != 0)
        how |= O_DIRECT;
    if ((flags & ENV_NONBLOCK) != 0)
        how |= O_NONBLOCK;
    do
        handle = open(path, how, 0666);
    while (handle < 0 && errno == EINTR);
    return handle < 0 ? -errno : handle;
}

static void file_close(void *self, int handle)
{
    (void)self;
    close(handle);
}

#define RETRY(call)                                                                                \
    ssize_t n;                                                                                     \
    (void)self;                                                                                    \
    do                                                                                             \
        n = (call);                                                                                \
    while (n < 0 && errno == EINTR);                                                               \
    return n < 0 ? -errno : n

static int64_t file_pread(void *self, int handle, void *to, size_t bytes, uint64_t offset)
{
    RETRY(pread(handle, to, bytes, (off_t)offset));
}

static int64_t file_read(void *self, int handle, void *to, size_t bytes)
{
    RETRY(read(handle, to, bytes));
}

static int64_t file_pwrite(void *self, int handle, const void *from, size_t bytes, uint64_t offset)
{
    RETRY(pwrite(handle, from, bytes, (off_t)offset));
}

static int64_t file_write(void *self, int handle, const void *from, size_t bytes)
{
    RETRY(write(handle, from, bytes));
}

static int file_sync(void *self, int handle)
{
    (void)self;
    /* pipes and devices cannot be synced, and need not be */
    return fdatasync(handle) < 0 && errno != EINVAL && errno != EROFS ? -errno : 0;
}

static int file_rename(void *self, const char *from, const char *to)
{
    (void)self;
    return rename(from, to) < 0 ? -errno : 0;
}

static int file_unlink(void *self, const char *path)
{
    (void)self;
    return unlink(path) < 0 ? -errno : 0;
}

static int file_make_folder(void *self, const char *path)
{
    char part[4096];
    const size_t length = strlen(path);

    (void)self;
    if (length == 0 || length >= sizeof part)
        return -ENAMETOOLONG;
    memcpy(part, path, length + 1);
    for (size_t i = 1; i <= length; i++)
        if (part[i] == '/' || part[i] == '\0') {
            const char kept = part[i];

            part[i] = '\0';
            if (mkdir(part, 0777) < 0 && errno != EEXIST)
                return -errno;
            part[i] = kept;
        }
    return 0;
}

static int file_sync_folder(void *self, const char *path)
{
    const int handle = file_open(self, path, ENV_READ);
    int code;

    if (handle < 0)
        return handle;
    code = fsync(handle) < 0 && errno != EINVAL ? -errno : 0;
    close(handle);
    return code;
}

static int file_stat(void *self, const char *path, struct env_stat *out)
{
    struct stat s;

    (void)self;
    if (stat(path, &s) < 0)
        return -errno;
    *out = (struct env_stat){.bytes = (uint64_t)s.st_size,
                             .modified_ns = s.st_mtim.tv_sec * 1000000000ll + s.st_mtim.tv_nsec,
                             .is_folder = S_ISDIR(s.st_mode),
                             .is_regular = S_ISREG(s.st_mode)};
    return 0;
}

static int file_list(void *self, const char *path, void (*each)(void *user, const char *name),
                     void *user)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;

    (void)self;
    if (folder == NULL)
        return -errno;
    while ((entry = readdir(folder)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            each(user, entry->d_name);
    closedir(folder);
    return 0;
}

static const void *file_map(void *self, int handle, uint64_t bytes)
{
    void *map;

    (void)self;
    if (bytes == 0)
        return NULL;
    map = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, handle, 0);
    if (map == MAP_FAILED)
        return NULL;
    madvise(map, bytes, MADV_SEQUENTIAL);
    madvise(map, bytes, MADV_WILLNEED);
    return map;
}

static void file_unmap(void *self, const void *map, uint64_t bytes)
{
    (void)self;
    munmap((void *)map, bytes);
}

static int file_wait(void *self, int handle, int64_t timeout_ns)
{
    struct pollfd p = {.fd = handle, .events = POLLIN};
    const struct timespec t = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    const int n = ppoll(&p, 1, &t, NULL);

    (void)self;
    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    return n > 0;
}

static int file_cached(void *self, int handle, uint64_t offset)
{
    char byte;
    const struct iovec to = {&byte, 1};

    (void)self;
    return preadv2(handle, &to, 1, (off_t)offset, RWF_NOWAIT) == 1;
}

/* ---- clocks ---- */

static int64_t clock_ns(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int64_t clock_mono(void *self)
{
    (void)self;
    return clock_ns(CLOCK_MONOTONIC);
}

static int64_t clock_wall(void *self)
{
    (void)self;
    return clock_ns(CLOCK_REALTIME);
}

/* The time-stamp counter, which runs evenly and alike on all cpus since 2008 (constant_tsc, nonstop_tsc). */
static uint64_t clock_ticks(void *self)
{
#if defined(__x86_64__)
    (void)self;
    return __builtin_ia32_rdtsc();
#else
    return (uint64_t)clock_mono(self);
#endif
}

/* ---- memory ---- */

struct mimalloc {
    void *(*heap_new)(void);
    void (*heap_delete)(void *heap);
    void *(*heap_malloc_aligned)(void *heap, size_t bytes, size_t align);
    void (*free)(void *memory);
};

#ifndef MILL_SANITIZER
static void mimalloc_load(struct mimalloc *m)
{
    void *library = dlopen("libmimalloc.so.2", RTLD_NOW | RTLD_LOCAL);
    struct mimalloc found;

    if (library == NULL)
        return;
    *(void **)&found.heap_new = dlsym(library, "mi_heap_new");
    *(void **)&found.heap_delete = dlsym(library, "mi_heap_delete");
    *(void **)&found.heap_malloc_aligned = dlsym(library, "mi_heap_malloc_aligned");
    *(void **)&found.free = dlsym(library, "mi_free");
    if (found.heap_new != NULL && found.heap_delete != NULL && found.heap_malloc_aligned != NULL &&
        found.free != NULL)
        *m = found;
}
#endif

static void *alloc_huge(size_t bytes)
{
    const size_t all = ALIGN_UP(bytes, HUGE_BYTES);
    char *map = mmap(NULL, all + HUGE_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    char *start;

    if (map == MAP_FAILED)
        return NULL;
    start = (char *)ALIGN_UP((uintptr_t)map, (uintptr_t)HUGE_BYTES);
    if (start > map)
        munmap(map, (size_t)(start - map));
    if (start + all < map + all + HUGE_BYTES)
        munmap(start + all, (size_t)(map + all + HUGE_BYTES - (start + all)));
    madvise(start, all, MADV_HUGEPAGE);
    return start;
}

static void *alloc_alloc(void *self, void *heap, size_t bytes)
{
    const struct mimalloc *m = self;
    void *memory;

    if (bytes >= HUGE_BYTES)
        return alloc_huge(bytes);
    if (heap != NULL)
        return m->heap_malloc_aligned(heap, bytes, 64);
    return posix_memalign(&memory, 64, bytes) == 0 ? memory : NULL;
}

static void alloc_free(void *self, void *heap, void *memory, size_t bytes)
{
    const struct mimalloc *m = self;

    if (bytes >= HUGE_BYTES)
        munmap(memory, ALIGN_UP(bytes, HUGE_BYTES));
    else if (heap != NULL)
        m->free(memory);
    else
        free(memory);
}

static void *alloc_heap_open(void *self)
{
    const struct mimalloc *m = self;

    return m->heap_new != NULL ? m->heap_new() : NULL;
}

static void alloc_heap_close(void *self, void *heap)
{
    const struct mimalloc *m = self;

    if (heap != NULL)
        m->heap_delete(heap);
}

/* ---- threads ---- */

struct thread {
    pthread_t id;
    void (*main)(void *arg);
    void *arg;
    int cpu;
};

static void *thread_main(void *arg)
{
    const struct thread *thread = arg;

    if (thread->cpu >= 0) {
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(thread->cpu, &set);
        sched_setaffinity(0, sizeof set, &set);
    }
    thread->main(thread->arg);
    return NULL;
}

static void *run_start(void *self, void (*entry)(void *arg), void *arg, int cpu)
{
    struct thread *thread = malloc(sizeof *thread);

    (void)self;
    if (thread == NULL)
        return NULL;
    *thread = (struct thread){.main = entry, .arg = arg, .cpu = cpu};
    if (pthread_create(&thread->id, NULL, thread_main, thread) != 0) {
        free(thread);
        return NULL;
    }
    return thread;
}

static void run_join(void *self, void *handle)
{
    struct thread *thread = handle;

    (void)self;
    pthread_join(thread->id, NULL);
    free(thread);
}

static void run_park(void *self, uint32_t *word, uint32_t expected, int64_t timeout_ns)
{
    const struct timespec t = {timeout_ns / 1000000000, timeout_ns % 1000000000};

    (void)self;
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, &t, NULL, 0);
}

static void run_wake(void *self, uint32_t *word)
{
    (void)self;
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void run_yield(void *self)
{
    (void)self;
    sched_yield();
}

static uint64_t run_thread_id(void *self)
{
    (void)self;
    return (uint64_t)pthread_self();
}

static uint32_t run_cpu_count(void *self)
{
    cpu_set_t set;

    (void)self;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
}

static int run_cpu_at(void *self, uint32_t i)
{
    cpu_set_t set;

    (void)self;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return -1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &set) && i-- == 0)
            return cpu;
    return -1;
}

static const char *run_variable(void *self, const char *name)
{
    (void)self;
    return getenv(name);
}

static uint64_t run_memory_bytes(void *self)
{
    struct sysinfo info;
    uint64_t all =
        sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit : (uint64_t)1 << 30;
    FILE *limit = fopen("/sys/fs/cgroup/memory.max", "re");
    unsigned long long bytes;

    (void)self;
    if (limit != NULL) {
        if (fscanf(limit, "%llu", &bytes) == 1 && bytes < all)
            all = bytes;
        fclose(limit);
    }
    return all;
}

static uint64_t run_random(void *self)
{
    uint64_t value = 0;

    if (getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value)
        value = (uint64_t)clock_mono(self);
    return value;
}

static void *run_library(void *self, const char *path, const char *symbol, char *why,
                         size_t why_bytes)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void *found = library != NULL ? dlsym(library, symbol) : NULL;

    (void)self;
    if (found == NULL)
        snprintf(why, why_bytes, "%s", dlerror());
    return found;
}

/* ---- the table ---- */

static struct mimalloc allocator; /* filled once, before env_real() first returns */
static const struct env real = {
    .self = &allocator,
    .file = {.open = file_open,
             .close = file_close,
             .pread = file_pread,
             .read = file_read,
             .pwrite = file_pwrite,
             .write = file_write,
             .sync = file_sync,
             .rename = file_rename,
             .unlink = file_unlink,
             .make_folder = file_make_folder,
             .sync_folder = file_sync_folder,
             .stat = file_stat,
             .list = file_list,
             .map = file_map,
             .unmap = file_unmap,
             .wait = file_wait,
             .cached = file_cached,
             .queue_open = uring_open,
             .queue_read = uring_read,
             .queue_reap = uring_reap,
             .queue_close = uring_close},
    .clock = {.mono_ns = clock_mono, .wall_ns = clock_wall, .ticks = clock_ticks},
    .perf = {.open = perf_open, .read = perf_read, .close = perf_close},
    .alloc = {.alloc = alloc_alloc,
              .free = alloc_free,
              .heap_open = alloc_heap_open,
              .heap_close = alloc_heap_close},
    .run = {.start = run_start,
            .join = run_join,
            .park = run_park,
            .wake = run_wake,
            .yield = run_yield,
            .thread_id = run_thread_id,
            .cpu_count = run_cpu_count,
            .cpu_at = run_cpu_at,
            .variable = run_variable,
            .memory_bytes = run_memory_bytes,
            .random = run_random,
            .library = run_library},
};

static void load(void)
{
#ifndef MILL_SANITIZER
    mimalloc_load(&allocator);
#endif
}

const struct env *env_real(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, load);
    return &real;
}
