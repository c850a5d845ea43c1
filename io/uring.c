/* io/uring.c - many reads in flight through io_uring.
 *
 * Set-up ladder: SINGLE_ISSUER | DEFER_TASKRUN | SUBMIT_ALL, if the kernel knows them not COOP_TASKRUN, then none; EPERM,
 * ENOSYS, ENOMEM: no queue, the caller reads without. Buffers are registered when RLIMIT_MEMLOCK lets us, else reads are
 * plain. In flight <= depth, which the completion queue holds twice, so it never overflows.
 * Threads: the one that opened it.   Errors: -errno.   Includes: uring.h
 */
#include "io/uring.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct queue {
    struct io_uring ring;
    uint32_t depth, in_flight;
    bool fixed;
};

static const struct {
    unsigned flags;
    const char *mode;
} ladder[] = {
    {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL,
     "io_uring SINGLE_ISSUER DEFER_TASKRUN"},
    {IORING_SETUP_COOP_TASKRUN, "io_uring COOP_TASKRUN"},
    {0, "io_uring"},
};

/* Whether memory that asks for huge pages gets them. */
static bool huge_pages(void)
{
    char text[64] = "";
    const int handle = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (handle < 0)
        return false;
    n = read(handle, text, sizeof text - 1);
    close(handle);
    return n > 0 && strstr(text, "[never]") == NULL;
}

static const char *refusal(int code)
{
    switch (code) {
    case -EPERM: return "Operation not permitted (kernel.io_uring_disabled, or a container's rule)";
    case -ENOSYS: return "this kernel, or a container's rule, has no io_uring";
    case -ENOMEM: return "no memory for its rings (RLIMIT_MEMLOCK)";
    default: return strerror(-code);
    }
}

void *uring_open(void *self, uint32_t depth, void *buffers, size_t bytes, struct env_queue *about)
{
    struct queue *q = calloc(1, sizeof *q);
    int code = -EINVAL;

    (void)self;
    *about = (struct env_queue){0};
    if (q == NULL) {
        snprintf(about->why, sizeof about->why, "no memory");
        return NULL;
    }
    for (size_t i = 0; i < sizeof ladder / sizeof *ladder && code == -EINVAL; i++) {
        code = io_uring_queue_init(depth, &q->ring, ladder[i].flags);
        about->mode = ladder[i].mode;
    }
    if (code < 0) {
        snprintf(about->why, sizeof about->why, "%s", refusal(code));
        free(q);
        return NULL;
    }
    q->depth = depth;
    if (bytes > 0) {
        const struct iovec all = {buffers, bytes};

        memset(buffers, 0,
               bytes); /* its pages exist, huge where they can be, before they are pinned */
        q->fixed = io_uring_register_buffers(&q->ring, &all, 1) == 0;
    }
    about->fixed = q->fixed;
    about->huge = huge_pages();
    return q;
}

int uring_read(void *self, void *queue, const struct env_read *read)
{
    struct queue *q = queue;
    struct io_uring_sqe *sqe = q->in_flight < q->depth ? io_uring_get_sqe(&q->ring) : NULL;

    (void)self;
    if (sqe == NULL)
        return -EBUSY;
    if (q->fixed)
        io_uring_prep_read_fixed(sqe, read->handle, read->to, read->bytes, read->offset, 0);
    else
        io_uring_prep_read(sqe, read->handle, read->to, read->bytes, read->offset);
    io_uring_sqe_set_data64(sqe, read->user);
    q->in_flight++;
    return 0;
}

int uring_reap(void *self, void *queue, struct env_done *done, uint32_t most, int64_t timeout_ns)
{
    struct queue *q = queue;
    struct io_uring_cqe *cqe;
    struct __kernel_timespec t = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    uint32_t n = 0;
    int code;

    (void)self;
    code = timeout_ns > 0 && q->in_flight > 0
               ? io_uring_submit_and_wait_timeout(&q->ring, &cqe, 1, &t, NULL)
               : io_uring_submit_and_get_events(&q->ring);
    if (code < 0 && code != -ETIME && code != -EINTR && code != -EAGAIN && code != -EBUSY)
        return code;
    while (n < most && io_uring_peek_cqe(&q->ring, &cqe) == 0) {
        done[n++] = (struct env_done){io_uring_cqe_get_data64(cqe), cqe->res};
        io_uring_cqe_seen(&q->ring, cqe);
        q->in_flight--;
    }
    return (int)n;
}

void uring_close(void *self, void *queue)
{
    struct queue *q = queue;

    (void)self;
    io_uring_queue_exit(&q->ring);
    free(q);
}
