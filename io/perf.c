/* io/perf.c - one group of four hardware counters; read by rdpmc where the kernel allows it, else by read(). */
#include "io/perf.h"

#include "core/atomic.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE_BYTES 4096

struct perf {
    int handles[ENV_COUNTERS];
    struct perf_event_mmap_page *pages[ENV_COUNTERS]; /* all of them, or rdpmc is not used */
    bool by_register;
};

static const uint64_t events[ENV_COUNTERS] = {[ENV_INSTRUCTIONS] = PERF_COUNT_HW_INSTRUCTIONS,
                                              [ENV_CYCLES] = PERF_COUNT_HW_CPU_CYCLES,
                                              [ENV_CACHE_MISSES] = PERF_COUNT_HW_CACHE_MISSES,
                                              [ENV_BRANCH_MISSES] = PERF_COUNT_HW_BRANCH_MISSES};

static int open_event(uint64_t event, int leader)
{
    struct perf_event_attr about = {.type = PERF_TYPE_HARDWARE,
                                    .size = sizeof about,
                                    .config = event,
                                    .read_format = PERF_FORMAT_GROUP,
                                    .exclude_kernel = 1,
                                    .exclude_hv = 1};

    return (int)syscall(SYS_perf_event_open, &about, 0, -1, leader, PERF_FLAG_FD_CLOEXEC);
}

void perf_close(void *self, void *counters)
{
    struct perf *p = counters;

    (void)self;
    for (int i = 0; p != NULL && i < ENV_COUNTERS; i++) {
        if (p->pages[i] != NULL)
            munmap(p->pages[i], PAGE_BYTES);
        if (p->handles[i] >= 0)
            close(p->handles[i]);
    }
    free(p);
}

static void map_pages(struct perf *p)
{
    p->by_register = true;
    for (int i = 0; i < ENV_COUNTERS; i++) {
        void *page = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, p->handles[i], 0);

        p->pages[i] = page != MAP_FAILED ? page : NULL;
        p->by_register = p->by_register && p->pages[i] != NULL && p->pages[i]->cap_user_rdpmc != 0;
    }
}

void *perf_open(void *self, char *why, size_t why_bytes)
{
    struct perf *p = calloc(1, sizeof *p);

    if (p == NULL) {
        snprintf(why, why_bytes, "no memory");
        return NULL;
    }
    for (int i = 0; i < ENV_COUNTERS; i++)
        p->handles[i] = -1;
    for (int i = 0; i < ENV_COUNTERS; i++) {
        p->handles[i] = open_event(events[i], i > 0 ? p->handles[0] : -1);
        if (p->handles[i] < 0) {
            snprintf(why, why_bytes, "%s",
                     errno == EACCES || errno == EPERM
                         ? "not allowed: see /proc/sys/kernel/perf_event_paranoid"
                     : errno == ENOENT || errno == EOPNOTSUPP
                         ? "the processor, or the virtual machine, has none"
                         : "perf_event_open() is not there");
            perf_close(self, p);
            return NULL;
        }
    }
    map_pages(p);
    return p;
}

/* The kernel's own way, of linux/perf_event.h: what it has summed, and the register since then. */
static bool read_register(const struct perf_event_mmap_page *page, uint64_t *value)
{
#if defined(__x86_64__)
    uint32_t sequence, index;

    do {
        sequence = at_load_acquire((const at_u32 *)&page->lock);
        index = page->index;
        *value = (uint64_t)page->offset;
        if (index == 0)
            return false;
        /* the register is pmc_width bits wide, signed */
        *value +=
            (uint64_t)((int64_t)(__builtin_ia32_rdpmc((int)index - 1) << (64 - page->pmc_width)) >>
                       (64 - page->pmc_width));
    } while (at_load_acquire((const at_u32 *)&page->lock) != sequence);
    return true;
#else
    (void)page;
    (void)value;
    return false;
#endif
}

void perf_read(void *self, void *counters, uint64_t values[ENV_COUNTERS])
{
    struct perf *p = counters;
    uint64_t group[1 + ENV_COUNTERS];
    int i = 0;

    (void)self;
    while (p->by_register && i < ENV_COUNTERS && read_register(p->pages[i], &values[i]))
        i++;
    if (i == ENV_COUNTERS)
        return;
    if (read(p->handles[0], group, sizeof group) == (ssize_t)sizeof group)
        memcpy(values, group + 1, ENV_COUNTERS * sizeof *values);
}
