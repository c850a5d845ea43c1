/* io/reader_impl.h - what reader.c and reader_queue.c share. Includes: reader.h */
#ifndef MILL_READER_IMPL_H
#define MILL_READER_IMPL_H

#include "io/reader.h"

#define FILES_MAX 65536u
#define SLOTS 16u
#define FILE_SLOTS 8u
#define BLOCK_BYTES (256u << 10)

/* Results of reading that are no count of bytes. */
#define READ_FAILED (-1) /* input_end = 2 and failure are set */
#define READ_NONE (-2)   /* nothing now */
#define READ_AGAIN (-3)  /* something was done, nothing came */

/* A block of the queue's buffer. Its completions carry slot and generation, so that stale ones are known. */
struct slot {
    bool taken, done;
    uint32_t generation;
    struct read_file *file;
    uint64_t offset;
    uint32_t want, got, used; /* bytes: asked for, there, handed on */
    uint32_t tries;
    int32_t error;
};

struct reader {
    const struct source_config *config;
    const struct env *env;
    struct heap *heap;
    struct arena arena;
    const struct format *format;
    struct source *source;
    struct read_file **files; /* FILES_MAX */
    at_u32 count;
    uint32_t ended_below; /* all files below have ended */
    /* spare slabs: any thread, under guard */
    at_u32 guard;
    struct slab *spare;
    uint32_t spare_count;
    /* growing folder */
    struct finder *finder;
    int64_t interval_ns, next_look;
    bool stays;   /* when all files have ended they may be read anew */
    at_u32 again; /* some are to be */
    /* thread */
    void *thread;
    OWN_LINE at_u32 stop;
    at_u32 parked;
    /* queue: NULL until the first file wants it */
    void *queue;
    struct env_queue about;
    bool queue_refused;
    char *blocks;
    struct slot slots[SLOTS];
    uint32_t in_flight, queue_files;
};

int reader_file_open(struct reader *r, struct read_file *f, struct mill_error *error);
void reader_file_fails(struct read_file *f, int os);

/* Decides whether @f is read through the queue. */
void reader_queue_join(struct reader *r, struct read_file *f);
/* Waits for its reads in flight and forgets them. */
void reader_queue_leave(struct reader *r, struct read_file *f);
int64_t reader_queue_get(struct reader *r, struct read_file *f, char *to, size_t room,
                         bool may_wait);
void reader_queue_close(struct reader *r);

#endif
