/* io/src_file.c - connectors 'filesystem' and 'stdin': files, folders, globs; plain, .gz, .zst; of any format.
 *
 * A plain file is mapped; a step is a range of it. Streams (stdin, compressed files) are read ahead by pump() into
 * blocks, which travel through a ring to whoever holds the token; a step is then a buffer of its own. A cut is the last
 * row end at or before step_bytes, else the first behind it; the format says where rows end.
 * Threads: pump() by one, cut() by one, decode() by many.   Errors: MILL_E_NO_INPUT, MILL_E_DATA, MILL_E_IO.
 */
#include "core/ring.h"
#include "core/source.h"
#include "io/file.h"
#include "io/format.h"
#include "kernels/kernels.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#define ROW_BYTES_MAX ((size_t)16 << 20)
#define BLOCK_BYTES ((size_t)1 << 20)
#define BLOCKS_AHEAD 16u
#define EXPANSION_MAX 10000u /* of a compressed file; more is taken for a bomb */

enum compression { PLAIN, GZIP, ZSTANDARD };

struct block {
    size_t length;
    char bytes[];
};

struct file {
    const char *path;
    int handle;
    const char *map;         /* plain and mapped */
    uint64_t size, position; /* position: next byte to cut, uncompressed */
    enum compression compression;
    bool streamed;
    /* pump's */
    struct ring ahead; /* of struct block */
    z_stream gz;
    ZSTD_DStream *zstd;
    uint64_t read_at, expanded;
    char *input; /* compressed bytes not yet taken */
    size_t input_length, input_taken;
    bool opened_stream, member_open;
    at_u32 ended;              /* 1: all blocks are in the ring; 2: and then it failed */
    struct mill_error failure; /* before ended = 2 */
    /* the cutter's */
    struct format_cutter *cutter; /* of the format, or NULL */
    char *carry;
    size_t carry_length, carry_capacity;
    uint64_t lines;            /* cut so far, of a stream */
    struct format_position at; /* formats of sections */
    bool done;
};

struct file_source {
    struct source source;
    struct source_config config;
    struct heap *heap;
    struct arena arena;
    struct format *format;
    struct file *files;
    uint32_t count, room;
    at_u64 bytes_in;
};

struct file_decoder {
    struct decoder decoder;
    struct file_source *source;
    struct format_decoder *inner;
    struct heap *heap;
};

/* ---- finding files ---- */

struct finding {
    struct file_source *s;
    const char *folder;
    const char *pattern;
    bool failed;
};

static void add_file(struct finding *f, const char *path)
{
    struct file_source *s = f->s;

    if (s->count == s->room) {
        const uint32_t room = s->room == 0 ? 16 : s->room * 2;
        struct file *files =
            heap_grow(s->heap, s->files, s->room * sizeof *files, room * sizeof *files);

        if (files == NULL) {
            f->failed = true;
            return;
        }
        s->files = files;
        s->room = room;
    }
    memset(&s->files[s->count], 0, sizeof *s->files);
    s->files[s->count].handle = -1;
    s->files[s->count++].path = arena_text(&s->arena, path, strlen(path));
}

static void found(void *user, const char *name)
{
    struct finding *f = user;
    const struct env *env = f->s->config.env;
    struct env_stat stat;
    char path[4096];

    if (name[0] == '.' || name[0] == '_')
        return; /* hidden, or not finished */
    if (f->pattern != NULL && fnmatch(f->pattern, name, 0) != 0)
        return;
    if (snprintf(path, sizeof path, "%s/%s", f->folder, name) >= (int)sizeof path)
        return;
    if (env->file.stat(env->self, path, &stat) == 0 && stat.is_regular)
        add_file(f, path);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->path, ((const struct file *)b)->path);
}

static int find_files(struct file_source *s, const char *path, struct mill_error *error)
{
    const struct env *env = s->config.env;
    struct finding f = {.s = s};
    struct env_stat stat;
    const char *slash;
    int code;

    if (strncmp(path, "file://", 7) == 0)
        path += 7;
    code = env->file.stat(env->self, path, &stat);
    if (code == 0 && !stat.is_folder) {
        add_file(&f, path);
    } else if (code == 0) {
        f.folder = path;
        code = env->file.list(env->self, path, found, &f);
    } else if (strpbrk(path, "*?[") != NULL) {
        slash = strrchr(path, '/');
        f.folder = slash != NULL ? arena_text(&s->arena, path, (size_t)(slash - path)) : ".";
        f.pattern = slash != NULL ? slash + 1 : path;
        code = env->file.list(env->self, f.folder, found, &f);
    }
    if (code < 0)
        return mill_fail_os(error, MILL_E_NO_INPUT, code, "cannot read '%s' (table %s)", path,
                            s->config.options->table);
    if (f.failed)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for the list of files");
    if (s->count == 0)
        return mill_fail(error, MILL_E_NO_INPUT, 0, 0, "'%s' (table %s) has no files to read", path,
                         s->config.options->table);
    qsort(s->files, s->count, sizeof *s->files, by_path);
    return MILL_OK;
}

/* ---- opening ---- */

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

static int stream_open(struct file_source *s, struct file *file, struct mill_error *error)
{
    file->streamed = true;
    if (!ring_open(&file->ahead, s->heap, BLOCKS_AHEAD, 0))
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to read %s", file->path);
    if (file->compression == PLAIN)
        return MILL_OK;
    file->input = heap_alloc(s->heap, BLOCK_BYTES);
    if (file->compression == ZSTANDARD)
        file->zstd = ZSTD_createDStream();
    if (file->input == NULL || (file->compression == ZSTANDARD && file->zstd == NULL) ||
        (file->compression == GZIP && inflateInit2(&file->gz, 15 + 16) != Z_OK))
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to decompress %s", file->path);
    file->opened_stream = true;
    return MILL_OK;
}

/* A name may hide what a file is. */
static enum compression compression_of(const struct file_source *s, const struct file *file,
                                       bool regular)
{
    const struct env *env = s->config.env;
    char begin[4] = "";

    if (ends_with(file->path, ".gz"))
        return GZIP;
    if (ends_with(file->path, ".zst"))
        return ZSTANDARD;
    if (!regular || env->file.pread(env->self, file->handle, begin, 4, 0) < 4)
        return PLAIN;
    return memcmp(begin, "\x1f\x8b\x08", 3) == 0       ? GZIP
           : memcmp(begin, "\x28\xb5\x2f\xfd", 4) == 0 ? ZSTANDARD
                                                       : PLAIN;
}

static int cutter_open(struct file_source *s, struct file *file, struct mill_error *error)
{
    if (s->format->vtable->cutter_new == NULL)
        return MILL_OK;
    file->cutter = s->format->vtable->cutter_new(s->format, file->path);
    return file->cutter != NULL
               ? MILL_OK
               : mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to read %s", file->path);
}

static int file_open(struct file_source *s, struct file *file, struct mill_error *error)
{
    const struct env *env = s->config.env;
    struct env_stat stat = {0};
    int code;

    if (cutter_open(s, file, error) != MILL_OK)
        return MILL_E_MEMORY;

    file->handle = env->file.open(env->self, file->path, ENV_READ);
    if (file->handle < 0)
        return mill_fail_os(error, MILL_E_NO_INPUT, file->handle, "cannot open '%s' (table %s)",
                            file->path, s->config.options->table);
    code = env->file.stat(env->self, file->path, &stat);
    if (code < 0)
        return mill_fail_os(error, MILL_E_IO, code, "cannot read '%s'", file->path);
    file->size = stat.bytes;
    file->compression = compression_of(s, file, stat.is_regular);
    if (file->compression != PLAIN || !stat.is_regular)
        return stream_open(s, file, error);
    if (file->size == 0)
        return MILL_OK;
    file->map = env->file.map(env->self, file->handle, file->size);
    return file->map != NULL ? MILL_OK : stream_open(s, file, error);
}

static int open_common(const struct source_config *config, const char *format_name,
                       struct file_source **out, struct mill_error *error)
{
    const struct format_vtable *format = format_find(config->options, format_name, error);
    struct file_source *s;

    if (format == NULL)
        return error->code;
    s = heap_zalloc(config->heap, sizeof *s);
    if (s == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a source");
    s->config = *config;
    s->heap = config->heap;
    arena_open(&s->arena, s->heap);
    *out = s;
    return format->open(&s->config, &s->format, error);
}

static int check_options(const struct file_source *s, struct mill_error *error)
{
    static const char *const own[] =
        {"connector", "path", "format", "on-error", "dead-letter.path", "source.monitor-interval",
         NULL};

    return format_check_options(s->config.options, own, s->format->vtable->read_options, error);
}

static int folder_open(const struct source_config *config, const struct source_vtable *vtable,
                       const char *format, struct source **out, struct mill_error *error)
{
    struct file_source *s = NULL;
    const char *path = option_text(config->options, "path", NULL);
    int code = open_common(config, format, &s, error);

    if (s != NULL) {
        s->source.vtable = vtable;
        *out = &s->source;
    }
    if (code != MILL_OK)
        return code;
    if (path == NULL)
        return mill_fail(error, MILL_E_OPTION, config->options->line, config->options->column,
                         "table %s has no 'path'", config->options->table);
    if (option_get(config->options, "source.monitor-interval") != NULL)
        return mill_fail(error, MILL_E_UNSUPPORTED, config->options->line, config->options->column,
                         "table %s: 'source.monitor-interval' is not supported yet",
                         config->options->table);
    code = check_options(s, error);
    if (code == MILL_OK)
        code = find_files(s, path, error);
    for (uint32_t i = 0; code == MILL_OK && i < s->count; i++)
        code = file_open(s, &s->files[i], error);
    return code;
}

static int filesystem_open(const struct source_config *config, struct source **out,
                           struct mill_error *error)
{
    return folder_open(config, &filesystem_source, NULL, out, error);
}

static int pcap_open(const struct source_config *config, struct source **out,
                     struct mill_error *error)
{
    const struct option *format = option_get(config->options, "format");

    if (format != NULL && strcmp(format->value, "pcap") != 0)
        return mill_fail(error, MILL_E_OPTION, format->line, format->column,
                         "'format' is '%s': connector 'pcap' reads pcap and pcapng only; "
                         "'connector' = 'filesystem' reads other formats",
                         format->value);
    return folder_open(config, &pcap_source, "pcap", out, error);
}

static int stdin_open(const struct source_config *config, struct source **out,
                      struct mill_error *error)
{
    struct file_source *s = NULL;
    struct finding f = {0};
    int code = open_common(config, NULL, &s, error);

    if (s != NULL) {
        s->source.vtable = &stdin_source;
        *out = &s->source;
    }
    if (code != MILL_OK || (code = check_options(s, error)) != MILL_OK)
        return code;
    f.s = s;
    add_file(&f, "stdin");
    if (f.failed)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to read stdin");
    s->files[0].handle = 0;
    if (cutter_open(s, &s->files[0], error) != MILL_OK)
        return MILL_E_MEMORY;
    return stream_open(s, &s->files[0], error);
}

static uint32_t file_split_count(struct source *source)
{
    return ((struct file_source *)source)->count;
}

static const char *file_split_name(struct source *source, uint32_t split)
{
    return ((struct file_source *)source)->files[split].path;
}

/* ---- reading ahead ---- */

static void stream_end(struct file *file, uint32_t how)
{
    at_store_release(&file->ended, how);
}

static void stream_fail(struct file *file, int code, const char *what)
{
    mill_fail(&file->failure, code, 0, 0, "%s: %s at compressed byte %llu (%llu bytes were whole)",
              file->path, what, (unsigned long long)file->read_at,
              (unsigned long long)file->expanded);
    stream_end(file, 2);
}

static int64_t read_some(struct file_source *s, struct file *file, char *to, size_t bytes)
{
    const struct env *env = s->config.env;
    const int64_t n = file->handle == 0
                          ? env->file.read(env->self, 0, to, bytes)
                          : env->file.pread(env->self, file->handle, to, bytes, file->read_at);

    if (n < 0) {
        mill_fail_os(&file->failure, MILL_E_IO, (int)n, "cannot read %s", file->path);
        stream_end(file, 2);
        return -1;
    }
    file->read_at += (uint64_t)n;
    return n;
}

/* Decompresses into @to until it is full or the input ends. Returns bytes; -1: failed. */
static int64_t inflate_gz(struct file *file, char *to, size_t room, bool input_ended)
{
    int code;

    file->gz.next_in = (unsigned char *)file->input + file->input_taken;
    file->gz.avail_in = (unsigned)(file->input_length - file->input_taken);
    file->gz.next_out = (unsigned char *)to;
    file->gz.avail_out = (unsigned)room;
    do {
        if (!file->member_open && file->gz.avail_in > 0) {
            file->member_open = true;
            inflateReset(&file->gz);
        }
        code = file->member_open ? inflate(&file->gz, Z_NO_FLUSH) : Z_STREAM_END;
        if (code == Z_STREAM_END)
            file->member_open = false; /* another member may follow */
    } while (code == Z_STREAM_END && file->gz.avail_in > 0 && file->gz.avail_out > 0);
    file->input_taken = file->input_length - file->gz.avail_in;
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
        stream_fail(file, MILL_E_DATA, "the gzip data is damaged");
        return -1;
    }
    if (room == file->gz.avail_out && input_ended && file->member_open) {
        stream_fail(file, MILL_E_DATA, "the gzip data is cut off");
        return -1;
    }
    return (int64_t)(room - file->gz.avail_out);
}

static int64_t inflate_zstd(struct file *file, char *to, size_t room, bool input_ended)
{
    ZSTD_inBuffer in = {file->input, file->input_length, file->input_taken};
    ZSTD_outBuffer out = {to, room, 0};
    size_t left = 0;

    if (in.pos < in.size || file->member_open) {
        left = ZSTD_decompressStream(file->zstd, &out, &in);
        file->member_open = left != 0;
    }
    file->input_taken = in.pos;
    if (ZSTD_isError(left)) {
        stream_fail(file, MILL_E_DATA, "the zstd data is damaged");
        return -1;
    }
    if (out.pos == 0 && input_ended && file->member_open) {
        stream_fail(file, MILL_E_DATA, "the zstd data is cut off");
        return -1;
    }
    return (int64_t)out.pos;
}

/* Fills one block; 0: at the end; -1: failed. */
static int64_t block_fill(struct file_source *s, struct file *file, char *to)
{
    size_t filled = 0;

    if (file->compression == PLAIN)
        return read_some(s, file, to, BLOCK_BYTES);
    while (filled < BLOCK_BYTES) {
        bool input_ended = false;
        int64_t n;

        if (file->input_taken == file->input_length) {
            n = read_some(s, file, file->input, BLOCK_BYTES);
            if (n < 0)
                return filled > 0 ? (int64_t)filled : -1;
            file->input_length = (size_t)n;
            file->input_taken = 0;
            input_ended = n == 0;
        }
        n = file->compression == GZIP
                ? inflate_gz(file, to + filled, BLOCK_BYTES - filled, input_ended)
                : inflate_zstd(file, to + filled, BLOCK_BYTES - filled, input_ended);
        if (n < 0)
            return filled > 0 ? (int64_t)filled : -1;
        filled += (size_t)n;
        file->expanded += (uint64_t)n;
        if (file->expanded > (file->size + 4096) * EXPANSION_MAX) {
            stream_fail(file, MILL_E_DATA,
                        "expands more than 10000 times: taken for a decompression bomb");
            return filled > 0 ? (int64_t)filled : -1;
        }
        if (n == 0 && input_ended)
            break;
    }
    return (int64_t)filled;
}

static uint32_t stream_pump(struct file_source *s, struct file *file)
{
    struct block *block;
    int64_t n;

    if (at_load_relaxed(&file->ended) != 0 ||
        file->ahead.tail_local - at_load_acquire(&file->ahead.head) > file->ahead.mask)
        return 0;
    block = heap_alloc(s->heap, sizeof *block + BLOCK_BYTES);
    if (block == NULL) {
        mill_fail(&file->failure, MILL_E_MEMORY, 0, 0, "no memory to read ahead in %s", file->path);
        stream_end(file, 2);
        return 1;
    }
    n = block_fill(s, file, block->bytes);
    if (n <= 0) {
        heap_free(s->heap, block, sizeof *block + BLOCK_BYTES);
        if (n == 0)
            stream_end(file, 1);
        return 1;
    }
    block->length = (size_t)n;
    CHECK(ring_push(&file->ahead, block));
    return 1;
}

static uint32_t file_pump(struct source *source, bool may_wait, struct mill_error *error)
{
    struct file_source *s = (struct file_source *)source;
    uint32_t work = 0;

    (void)may_wait;
    (void)error;
    for (uint32_t i = 0; i < s->count; i++)
        if (s->files[i].streamed)
            work += stream_pump(s, &s->files[i]);
    return work;
}

/* ---- cutting ---- */

static enum cut too_long(const struct file *file, struct mill_error *error)
{
    mill_fail(error, MILL_E_DATA, 0, 0,
              "%s, byte %llu: a row of more than %zu MiB (or a quote that is never closed)",
              file->path, (unsigned long long)file->position, ROW_BYTES_MAX >> 20);
    return CUT_FAILED;
}

/* 0: more bytes are needed, or with a cutter also @error. */
static size_t cut_bytes(struct file_source *s, struct file *file, const char *bytes, size_t length,
                        size_t want, bool ended, struct piece *piece, struct mill_error *error)
{
    const struct format_vtable *vtable = s->format->vtable;
    const struct format_bytes here = {file->position, bytes, length, want, ended};

    if (file->cutter != NULL)
        return vtable->cutter_cut(file->cutter, &here, &piece->extra[1], error);
    return vtable->cut(s->format, file->position, bytes, length, want);
}

/* A step of whole sections. CUT_DATA: @n bytes. */
static enum cut cut_sections(struct file_source *s, struct file *file, const char *bytes,
                             size_t length, bool last, size_t *n, struct mill_error *error)
{
    enum cut code;

    file->at.file = file->path;
    file->at.offset = file->position;
    code = s->format->vtable->cut_section(s->format, &file->at, bytes, length, last,
                                          s->config.step_bytes, n, error);
    file->done = code == CUT_END || code == CUT_FAILED;
    return code;
}

static enum cut cut_map(struct file_source *s, struct file *file, struct piece *piece,
                        struct mill_error *error)
{
    const uint64_t left = file->size - file->position;
    const char *bytes = file->map + file->position;
    size_t n = left;

    if (file->done)
        return CUT_END;
    if (s->format->vtable->cut_section != NULL) {
        const enum cut code = cut_sections(s, file, bytes, left, true, &n, error);

        if (code != CUT_DATA)
            return code;
    } else if (left == 0) {
        return CUT_END;
    } else if (left > s->config.step_bytes || file->cutter != NULL) {
        const size_t most = left < ROW_BYTES_MAX + s->config.step_bytes
                                ? left
                                : ROW_BYTES_MAX + s->config.step_bytes;

        n = cut_bytes(s, file, bytes, most, s->config.step_bytes, most == left, piece, error);
        if (n == 0 && (most < left || file->cutter != NULL)) {
            file->done = true;
            return file->cutter != NULL && error->code != MILL_OK ? CUT_FAILED
                                                                  : too_long(file, error);
        }
        if (n == 0)
            n = left;
    }
    piece->bytes = bytes;
    piece->begin = file->position;
    piece->end = file->position += n;
    return CUT_DATA;
}

static bool carry_add(struct file_source *s, struct file *file, const struct block *block)
{
    if (file->carry_length + block->length > file->carry_capacity) {
        const size_t capacity = ALIGN_UP((file->carry_length + block->length) * 2, BLOCK_BYTES);
        char *grown = heap_grow(s->heap, file->carry, file->carry_capacity, capacity);

        if (grown == NULL)
            return false;
        file->carry = grown;
        file->carry_capacity = capacity;
    }
    memcpy(file->carry + file->carry_length, block->bytes, block->length);
    file->carry_length += block->length;
    return true;
}

static enum cut cut_take(struct file_source *s, struct file *file, size_t n, struct piece *piece,
                         struct mill_error *error)
{
    char *hold = heap_alloc(s->heap, n);

    if (hold == NULL) {
        mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a step of %s", file->path);
        file->done = true;
        if (file->cutter != NULL)
            s->format->vtable->cutter_release(s->format, &piece->extra[1]);
        return CUT_FAILED;
    }
    memcpy(hold, file->carry, n);
    memmove(file->carry, file->carry + n, file->carry_length - n);
    file->carry_length -= n;
    piece->first_line = file->lines + 1;
    file->lines += s->config.kernels->count_byte(hold, n, '\n');
    piece->bytes = piece->hold = hold;
    piece->begin = file->position;
    piece->end = file->position += n;
    return CUT_DATA;
}

/* As cut_stream(), when the carry and nothing else is looked at. */
static enum cut cut_carry(struct file_source *s, struct file *file, uint32_t ended,
                          struct piece *piece, struct mill_error *error)
{
    const bool last = ended == 1 && ring_peek(&file->ahead) == NULL;
    size_t n = 0;
    const enum cut code = cut_sections(s, file, file->carry, file->carry_length, last, &n, error);

    return code == CUT_DATA ? cut_take(s, file, n, piece, error) : code;
}

static enum cut cut_stream(struct file_source *s, struct file *file, struct piece *piece,
                           struct mill_error *error)
{
    const bool sections = s->format->vtable->cut_section != NULL;

    for (;;) {
        /* first whether it has ended, then the ring: blocks before the end are seen */
        const uint32_t ended = at_load_acquire(&file->ended);
        struct block *block;
        size_t n = 0;

        if (file->done)
            return CUT_END;
        if (sections) {
            const enum cut code = cut_carry(s, file, ended, piece, error);

            if (code != CUT_WAIT)
                return code;
        } else if (file->carry_length > s->config.step_bytes) {
            n = cut_bytes(s, file, file->carry, file->carry_length, s->config.step_bytes, false,
                          piece, error);
        }
        if (n > 0)
            return cut_take(s, file, n, piece, error);
        if (error->code != MILL_OK) {
            file->done = true;
            return CUT_FAILED;
        }
        if (!sections && file->carry_length > ROW_BYTES_MAX + s->config.step_bytes) {
            file->done = true;
            return too_long(file, error);
        }
        block = ring_pop(&file->ahead);
        if (block != NULL) {
            const bool added = carry_add(s, file, block);

            heap_free(s->heap, block, sizeof *block + BLOCK_BYTES);
            if (!added) {
                file->done = true;
                mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a step of %s", file->path);
                return CUT_FAILED;
            }
            continue;
        }
        if (ended == 0)
            return CUT_WAIT;
        n = sections ? 0 : file->carry_length;
        if (n > 0 && (ended == 2 || file->cutter != NULL)) /* what was cut off is not whole */
            n = cut_bytes(s, file, file->carry, n, n, ended == 1, piece, error);
        if (n > 0)
            return cut_take(s, file, n, piece, error);
        file->done = true;
        if (error->code != MILL_OK)
            return CUT_FAILED;
        if (ended == 1)
            return CUT_END;
        *error = file->failure;
        return CUT_FAILED;
    }
}

static enum cut file_cut(struct source *source, uint32_t split, struct piece *piece,
                         struct mill_error *error)
{
    struct file_source *s = (struct file_source *)source;
    struct file *file = &s->files[split];
    enum cut code;

    piece->extra[0] = split;
    code = file->streamed ? cut_stream(s, file, piece, error) : cut_map(s, file, piece, error);
    if (code == CUT_DATA)
        at_add_relaxed(&s->bytes_in, piece->end - piece->begin);
    return code;
}

/* ---- decoding ---- */

static struct decoder *file_decoder_new(struct source *source, struct heap *heap)
{
    struct file_source *s = (struct file_source *)source;
    struct file_decoder *d = heap_zalloc(heap, sizeof *d);

    if (d == NULL)
        return NULL;
    d->decoder.vtable = source->vtable;
    d->source = s;
    d->heap = heap;
    d->inner = s->format->vtable->decoder_new(s->format, heap);
    if (d->inner == NULL) {
        heap_free(heap, d, sizeof *d);
        return NULL;
    }
    return &d->decoder;
}

static void file_decoder_free(struct decoder *decoder)
{
    struct file_decoder *d = (struct file_decoder *)decoder;

    d->inner->vtable->decoder_free(d->inner);
    heap_free(d->heap, d, sizeof *d);
}

static void file_begin(struct decoder *decoder, const struct piece *piece)
{
    struct file_decoder *d = (struct file_decoder *)decoder;
    const struct file *file = &d->source->files[piece->extra[0]];
    const struct format_piece part = {.bytes = piece->bytes,
                                      .length = piece->end - piece->begin,
                                      .file = file->path,
                                      .offset = piece->begin,
                                      .step = piece->step,
                                      .first_line = piece->first_line,
                                      .file_bytes = file->map,
                                      .context = {piece->extra[1], piece->extra[2],
                                                  piece->extra[3]},
                                      .state = file->at.state};

    d->inner->vtable->begin(d->inner, &part);
}

static int file_decode(struct decoder *decoder, struct batch *out, struct mill_error *error)
{
    struct format_decoder *inner = ((struct file_decoder *)decoder)->inner;

    return inner->vtable->decode(inner, out, error);
}

static void file_release(struct source *source, struct piece *piece)
{
    const struct format *format = ((struct file_source *)source)->format;

    if (format->vtable->cutter_release != NULL)
        format->vtable->cutter_release(format, &piece->extra[1]);
    if (piece->hold != NULL)
        heap_free(((struct file_source *)source)->heap, piece->hold, piece->end - piece->begin);
    piece->hold = NULL;
}

static uint64_t file_bytes_in(struct source *source)
{
    return at_load_relaxed(&((struct file_source *)source)->bytes_in);
}

static void file_close_one(struct file_source *s, struct file *file)
{
    const struct env *env = s->config.env;
    struct block *block;

    if (file->at.state != NULL)
        s->format->vtable->position_close(s->format, &file->at);
    while (file->ahead.slots != NULL && (block = ring_pop(&file->ahead)) != NULL)
        heap_free(s->heap, block, sizeof *block + BLOCK_BYTES);
    if (file->ahead.slots != NULL)
        ring_close(&file->ahead, s->heap);
    if (file->opened_stream && file->compression == GZIP)
        inflateEnd(&file->gz);
    ZSTD_freeDStream(file->zstd);
    heap_free(s->heap, file->input, BLOCK_BYTES);
    heap_free(s->heap, file->carry, file->carry_capacity);
    if (file->cutter != NULL)
        s->format->vtable->cutter_free(file->cutter);
    if (file->map != NULL)
        env->file.unmap(env->self, file->map, file->size);
    if (file->handle > 0)
        env->file.close(env->self, file->handle);
}

static void file_close(struct source *source)
{
    struct file_source *s = (struct file_source *)source;
    struct heap *heap = s->heap;

    for (uint32_t i = 0; i < s->count; i++)
        file_close_one(s, &s->files[i]);
    heap_free(heap, s->files, s->room * sizeof *s->files);
    if (s->format != NULL)
        s->format->vtable->close(s->format);
    arena_close(&s->arena);
    heap_free(heap, s, sizeof *s);
}

#define FILE_SOURCE(title, opener)                                                                 \
    {                                                                                              \
        .name = title, .open = opener, .split_count = file_split_count,                            \
        .split_name = file_split_name, .cut = file_cut, .pump = file_pump,                         \
        .decoder_new = file_decoder_new, .decoder_free = file_decoder_free, .begin = file_begin,   \
        .decode = file_decode, .release = file_release, .bytes_in = file_bytes_in,                 \
        .close = file_close                                                                        \
    }
const struct source_vtable filesystem_source = FILE_SOURCE("filesystem", filesystem_open);
const struct source_vtable pcap_source = FILE_SOURCE("pcap", pcap_open);
const struct source_vtable stdin_source = FILE_SOURCE("stdin", stdin_open);
