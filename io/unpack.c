/* io/unpack.c - decompression, a block at a time. Threads: one. */
#include "io/unpack.h"

#include <zlib.h>
#include <zstd.h>

#define INPUT_BYTES ((size_t)256 << 10)

struct unpack {
    struct heap *heap;
    enum compression compression;
    z_stream gz;
    ZSTD_DStream *zstd;
    bool gz_open, member_open, input_ended;
    bool begun;           /* something has come out */
    size_t length, taken; /* of input */
    const char *broken;   /* why nothing more comes out */
    char input[INPUT_BYTES];
};

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

enum compression compression_of(const char *path)
{
    return ends_with(path, ".gz") ? GZIP : ends_with(path, ".zst") ? ZSTANDARD : PLAIN;
}

enum compression compression_of_bytes(const char bytes[4])
{
    return memcmp(bytes, "\x1f\x8b\x08", 3) == 0       ? GZIP
           : memcmp(bytes, "\x28\xb5\x2f\xfd", 4) == 0 ? ZSTANDARD
                                                       : PLAIN;
}

struct unpack *unpack_open(struct heap *heap, enum compression compression)
{
    struct unpack *u = heap_alloc(heap, sizeof *u);

    if (u == NULL)
        return NULL;
    memset(u, 0, offsetof(struct unpack, input));
    u->heap = heap;
    u->compression = compression;
    if (compression == GZIP)
        u->gz_open = inflateInit2(&u->gz, 15 + 16) == Z_OK;
    else
        u->zstd = ZSTD_createDStream();
    if (u->gz_open || u->zstd != NULL)
        return u;
    unpack_close(u);
    return NULL;
}

void unpack_close(struct unpack *u)
{
    if (u == NULL)
        return;
    if (u->gz_open)
        inflateEnd(&u->gz);
    ZSTD_freeDStream(u->zstd);
    heap_free(u->heap, u, sizeof *u);
}

bool unpack_hungry(const struct unpack *u)
{
    return u->taken == u->length && !u->input_ended;
}

char *unpack_input(struct unpack *u, size_t *room)
{
    *room = INPUT_BYTES;
    return u->input;
}

void unpack_fed(struct unpack *u, size_t bytes)
{
    u->length = bytes;
    u->taken = 0;
    u->input_ended = bytes == 0;
}

static int64_t gzip_some(struct unpack *u, char *to, size_t room, const char **fault)
{
    int code;

    u->gz.next_in = (unsigned char *)u->input + u->taken;
    u->gz.avail_in = (unsigned)(u->length - u->taken);
    u->gz.next_out = (unsigned char *)to;
    u->gz.avail_out = (unsigned)room;
    do {
        if (!u->member_open && u->gz.avail_in > 0) {
            u->member_open = true;
            inflateReset(&u->gz);
        }
        code = u->member_open ? inflate(&u->gz, Z_NO_FLUSH) : Z_STREAM_END;
        u->begun = u->begun || u->gz.total_out > 0;
        if (code == Z_STREAM_END)
            u->member_open = false; /* another member may follow */
    } while (code == Z_STREAM_END && u->gz.avail_in > 0 && u->gz.avail_out > 0);
    u->taken = u->length - u->gz.avail_in;
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
        u->begun = u->begun || u->gz.total_out > 0 || code != Z_DATA_ERROR;
        *fault = u->broken = u->begun ? "the gzip data is damaged"
                                      : "there is no gzip data, though the name says so";
        /* what came out before the damage counts; the next call fails */
        return room > u->gz.avail_out ? (int64_t)(room - u->gz.avail_out) : -1;
    }
    if (room == u->gz.avail_out && u->input_ended && u->member_open) {
        *fault = "the gzip data is cut off";
        return -1;
    }
    return (int64_t)(room - u->gz.avail_out);
}

static int64_t zstd_some(struct unpack *u, char *to, size_t room, const char **fault)
{
    ZSTD_inBuffer in = {u->input, u->length, u->taken};
    ZSTD_outBuffer out = {to, room, 0};
    size_t left = 0;

    while (out.pos < out.size && (in.pos < in.size || u->member_open)) {
        const size_t in_before = in.pos, out_before = out.pos;

        left = ZSTD_decompressStream(u->zstd, &out, &in);
        if (ZSTD_isError(left)) {
            *fault = u->broken = u->begun ? "the zstd data is damaged"
                                          : "there is no zstd data, though the name says so";
            break;
        }
        u->begun = true;
        u->member_open = left != 0;
        if (in.pos == in_before && out.pos == out_before)
            break;
    }
    u->taken = in.pos;
    if (out.pos > 0)
        return (int64_t)out.pos;
    if (*fault == NULL && u->input_ended && u->member_open)
        *fault = "the zstd data is cut off";
    return *fault != NULL ? -1 : 0;
}

int64_t unpack_some(struct unpack *u, char *to, size_t room, const char **fault)
{
    *fault = u->broken;
    if (u->broken != NULL)
        return -1;
    if (room > 1u << 30)
        room = 1u << 30;
    return u->compression == GZIP ? gzip_some(u, to, room, fault) : zstd_some(u, to, room, fault);
}
