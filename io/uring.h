/* io/uring.h - the queue of env.file over io_uring (liburing 2.3): contract in core/env.h. Threads: the one that opened it. */
#ifndef MILL_URING_H
#define MILL_URING_H

#include "core/env.h"

void *uring_open(void *self, uint32_t depth, void *buffers, size_t bytes, struct env_queue *about);
int uring_read(void *self, void *queue, const struct env_read *read);
int uring_reap(void *self, void *queue, struct env_done *done, uint32_t most, int64_t timeout_ns);
void uring_close(void *self, void *queue);

#endif
