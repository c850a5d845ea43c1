/* io/out_file.c - hidden name, compression, fsync, rename, fsync of the folder. */
#include "io/out_file.h"
#include "io/unpack.h"

#include <zlib.h>
#include <zstd.h>

struct pack {
    z_stream gz;
    ZSTD_CCtx *zstd;
    bool gz_open;
};

/* ---- compression ---- */

static struct pack *pack_open(struct heap *heap, enum compression compression)
{
    struct pack *p = heap_zalloc(heap, sizeof *p);

    if (p == NULL)
        return NULL;
    if (compression == GZIP)
        p->gz_open = deflateInit2(&p->gz, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8,
                                  Z_DEFAULT_STRATEGY) == Z_OK;
    else
        p->zstd = ZSTD_createCCtx();
    if (p->gz_open || p->zstd != NULL)
        return p;
    heap_free(heap, p, sizeof *p);
    return NULL;
}

static void pack_close(struct heap *heap, struct pack *p)
{
    if (p == NULL)
        return;
    if (p->gz_open)
        deflateEnd(&p->gz);
    ZSTD_freeCCtx(p->zstd);
    heap_free(heap, p, sizeof *p);
}

static bool pack_bytes(struct pack *p, const char *bytes, size_t length, bool last,
                       struct text_buffer *to)
{
    char room[16384];
    ZSTD_inBuffer in = {bytes, length, 0};
    size_t left = 1;

    p->gz.next_in = (unsigned char *)bytes;
    p->gz.avail_in = (unsigned)length;
    for (;;) {
        ZSTD_outBuffer out = {room, sizeof room, 0};

        if (p->gz_open) {
            p->gz.next_out = (unsigned char *)room;
            p->gz.avail_out = sizeof room;
            if (deflate(&p->gz, last ? Z_FINISH : Z_NO_FLUSH) == Z_STREAM_ERROR)
                return false;
            out.pos = sizeof room - p->gz.avail_out;
            left = p->gz.avail_out == 0;
        } else {
            left = ZSTD_compressStream2(p->zstd, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
            if (ZSTD_isError(left))
                return false;
            left = last ? left : in.size - in.pos;
        }
        text_put(to, room, out.pos);
        if (left == 0)
            return !to->failed;
    }
}

/* ---- writing ---- */

static int handle_open(struct out_file *o, struct mill_error *error)
{
    const unsigned how = o->direct  ? ENV_WRITE
                         : o->begun ? ENV_WRITE | ENV_APPEND
                                    : ENV_WRITE | ENV_CREATE | ENV_TRUNCATE;

    if (o->handle >= 0)
        return MILL_OK;
    o->handle = o->env->file.open(o->env->self, o->direct ? o->path : o->hidden, how);
    if (o->handle < 0)
        return mill_fail_os(error, MILL_E_IO, o->handle, "cannot write %s", o->path);
    o->begun = true;
    return MILL_OK;
}

static int write_all(struct out_file *o, const struct text_buffer *from, struct mill_error *error)
{
    size_t done = 0;

    while (done < from->length) {
        const int64_t n =
            o->env->file.write(o->env->self, o->handle, from->bytes + done, from->length - done);

        if (n <= 0)
            return mill_fail_os(error, MILL_E_IO, (int)n, "cannot write to %s", o->path);
        done += (size_t)n;
    }
    return MILL_OK;
}

static int flush(struct out_file *o, bool last, struct mill_error *error)
{
    int code;

    if (o->text.failed)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to write %s", o->path);
    if (o->text.length == 0 && !(last && o->pack != NULL))
        return MILL_OK;
    code = handle_open(o, error);
    if (code != MILL_OK)
        return code;
    if (o->pack == NULL) {
        code = write_all(o, &o->text, error);
    } else if (!pack_bytes(o->pack, o->text.bytes, o->text.length, last, &o->packed)) {
        code = mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to compress %s", o->path);
    } else {
        code = write_all(o, &o->packed, error);
        o->packed.length = 0;
    }
    o->bytes += o->text.length;
    o->text.length = 0;
    return code;
}

int out_flush(struct out_file *o, struct mill_error *error)
{
    return flush(o, false, error);
}

int out_rest(struct out_file *o, struct mill_error *error)
{
    const int code = flush(o, false, error);

    if (o->handle >= 0 && !o->direct) {
        o->env->file.close(o->env->self, o->handle);
        o->handle = -1;
    }
    return code;
}

int out_close(struct out_file *o, struct mill_error *error)
{
    int code;

    if (o->closed)
        return MILL_OK;
    if (o->writer->vtable->finish != NULL)
        o->writer->vtable->finish(o->writer, &o->text);
    code = flush(o, true, error);
    if (code == MILL_OK)
        code = handle_open(o, error);
    if (code != MILL_OK)
        return code;
    code = o->env->file.sync(o->env->self, o->handle);
    o->env->file.close(o->env->self, o->handle);
    o->handle = -1;
    o->closed = code == 0;
    return code < 0 ? mill_fail_os(error, MILL_E_IO, code, "cannot finish %s", o->path) : MILL_OK;
}

int out_publish(struct out_file *o, struct mill_error *error)
{
    int code = o->direct ? 0 : o->env->file.rename(o->env->self, o->hidden, o->path);

    if (code == 0) {
        o->begun = false; /* nothing to remove any more */
        code = o->direct ? 0 : o->env->file.sync_folder(o->env->self, o->folder);
    }
    return code < 0 ? mill_fail_os(error, MILL_E_IO, code, "cannot finish %s", o->path) : MILL_OK;
}

/* ---- opening ---- */

static int names(struct out_file *o, const char *path, struct mill_error *error)
{
    const char *slash = strrchr(path, '/');
    struct env_stat stat;
    int code;

    o->path = arena_text(&o->arena, path, strlen(path));
    o->folder = slash == NULL   ? "."
                : slash == path ? "/"
                                : arena_text(&o->arena, path, (size_t)(slash - path));
    o->hidden =
        arena_format(&o->arena, "%.*s.%s.inprogress", slash != NULL ? (int)(slash + 1 - path) : 0,
                     path, slash != NULL ? slash + 1 : path);
    if (o->path == NULL || o->folder == NULL || o->hidden == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a sink");
    if (o->env->file.stat(o->env->self, path, &stat) == 0 && !stat.is_folder && !stat.is_regular) {
        o->direct = true;
        return MILL_OK;
    }
    code = slash != NULL && slash != path ? o->env->file.make_folder(o->env->self, o->folder) : 0;
    return code < 0 ? mill_fail_os(error, MILL_E_IO, code, "cannot make the folder %s", o->folder)
                    : MILL_OK;
}

struct out_file *out_new(const struct sink_config *config, const struct format_vtable *format,
                         const char *path, struct mill_error *error)
{
    struct out_file *o = heap_zalloc(config->heap, sizeof *o);
    enum compression compression;

    if (o == NULL) {
        mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a sink");
        return NULL;
    }
    o->env = config->env;
    o->heap = o->text.heap = o->packed.heap = config->heap;
    o->handle = -1;
    arena_open(&o->arena, o->heap);
    if (names(o, path, error) != MILL_OK || handle_open(o, error) != MILL_OK ||
        format->writer_open(config, &o->writer, error) != MILL_OK)
        goto fail;
    compression = o->direct ? PLAIN : compression_of(path);
    if (compression != PLAIN) {
        o->pack = pack_open(o->heap, compression);
        if (o->pack == NULL) {
            mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to compress %s", path);
            goto fail;
        }
    }
    return o;
fail:
    out_free(o);
    return NULL;
}

void out_free(struct out_file *o)
{
    if (o == NULL)
        return;
    if (o->handle >= 0)
        o->env->file.close(o->env->self, o->handle);
    if (o->begun && !o->direct)
        o->env->file.unlink(o->env->self, o->hidden);
    if (o->writer != NULL)
        o->writer->vtable->writer_close(o->writer);
    pack_close(o->heap, o->pack);
    heap_free(o->heap, o->text.bytes, o->text.capacity);
    heap_free(o->heap, o->packed.bytes, o->packed.capacity);
    arena_close(&o->arena);
    heap_free(o->heap, o, sizeof *o);
}
