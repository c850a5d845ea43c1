/* io/reader.h - reads files ahead of the cursor and cuts them into parts, off the token.
 *
 * A reader owns the files of one source. Bytes go into slabs; a part is a range of one slab that begins and ends between
 * rows, so that it is decoded where it was read; what is left of a row at the end of a slab is copied to the next one. A
 * slab is used again when the reader and all its parts have let go of it. A cut is a function of the file's bytes
 * alone (for a pipe: and of where it fell silent).
 *
 *   reader (one thread, or whoever makes the turns)  reads, decompresses, cuts -> ready (SPSC) -> token holder -> decoders
 *
 * Ways to read: a map for plain files of sections (columns are used where they lie), pread, a pipe's read, env's queue (io_uring) for at most two files at a time.
 * Bounds: READY_MAX parts of a file are ahead; with many files one, and only of files that have been asked for.
 * Errors: in read_file.failure, after all whole rows.   Includes: format.h, ring.h, unpack.h
 */
#ifndef MILL_READER_H
#define MILL_READER_H

#include "core/ring.h"
#include "io/find.h"
#include "io/format.h"
#include "io/unpack.h"

#define ROW_BYTES_MAX ((size_t)16 << 20)
#define READY_MAX 16u

struct slab {
    struct slab *next; /* spare */
    size_t capacity;
    at_u32 refs; /* the reader's and one per part */
    OWN_LINE char bytes[];
};

struct part {
    struct slab *slab;
    const char *bytes;
    size_t length;
    uint64_t begin, first_line; /* in the uncompressed file */
    uint64_t context[3];        /* of the format's cutter */
};

struct slot;

struct read_file {
    const char *path;
    int handle; /* -1: not open */
    bool pipe, opened;
    int64_t modified_ns;
    uint64_t size; /* when it was found: no byte behind it is read */
    enum compression compression;
    struct ring ready;         /* of struct part: the reader pushes, the token holder pops */
    at_u32 asked;              /* the token holder has waited for it */
    at_u32 ended;              /* 1: all parts are in the ring; 2: and then it failed */
    struct mill_error failure; /* before ended = 2 */
    bool done;                 /* token holder's */
    at_u32 again;              /* it is to be read anew */
    /* the reader's own */
    struct slab *slab;
    struct format_cutter *cutter; /* of the format, or NULL */
    struct format_position at;    /* formats of sections */
    const char *map;              /* plain files of such: their parts lie in it, without a slab */
    uint64_t mapped;              /* bytes of it */
    size_t filled, cut_at;        /* of slab: [cut_at, filled) is not cut yet */
    uint64_t position, lines;     /* of cut_at */
    uint64_t read_at;             /* next byte to read of the file as it lies there */
    uint64_t expanded;
    uint32_t input_end; /* as ended, before the parts are out */
    struct unpack *unpack;
    bool waiting; /* a pipe that gave nothing when last asked */
    /* reading through the queue */
    int direct; /* second handle, O_DIRECT; -1: none */
    bool queued, chosen;
    uint64_t issue_at;
    uint8_t slots[8]; /* in order of the file, from first */
    uint32_t first_slot, slot_count;
};

struct reader;

/* Knows the files of @finder; one pipe if @pipe. Borrows @config and @format for its life. */
struct reader *reader_new(const struct source_config *config, const struct format *format,
                          struct mill_error *error);
/* Adds a file before or (growing) while it runs; by the reader. False: no memory. */
bool reader_add(struct reader *reader, const struct found_file *file);
bool reader_add_pipe(struct reader *reader, const char *name, int handle);
/* Opens what is known, so that a missing right shows before anything runs. */
int reader_open_files(struct reader *reader, struct mill_error *error);
/* Looks for new files every @interval_ns from now on. */
void reader_watch(struct reader *reader, struct finder *finder, int64_t interval_ns);
/* Counts the queue's reads in @source->ring_reads. Starts a thread unless the config says inline_only. */
int reader_start(struct reader *reader, struct source *source, struct mill_error *error);
/* One bounded turn where there is no thread. Work done. */
uint32_t reader_pump(struct reader *reader);
/* Files known so far; they only become more and stay where they are. */
uint32_t reader_count(struct reader *reader);
struct read_file *reader_file(struct reader *reader, uint32_t i);
/* By the token holder: the next part, or NULL, when @ended tells: 0 wait, 1 over, 2 over by file.failure. */
struct part *reader_take(struct reader *reader, struct read_file *file, uint32_t *ended);
/* By the token holder, when all files are done and nothing uses their bytes: reads all of them anew, as they are now. */
void reader_again(struct reader *reader);
/* Before reader_start(): reader_again() may come. */
void reader_stays(struct reader *reader);
void reader_release(struct reader *reader, struct part *part); /* any thread */
void reader_close(struct reader *reader);

#endif
