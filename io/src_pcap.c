/* io/src_pcap.c - FROM 'x.pcap': is a file a capture, whatever its name? Also of a compressed one. */
#include "io/capture.h"

#include <stdio.h>
#include <zlib.h>
#include <zstd.h>

#define HEAD_BYTES 65536u

/* The first 4 bytes of what is compressed in @head. */
static bool unzip(const uint8_t *head, size_t bytes, uint8_t to[4])
{
    z_stream gz = {.next_in = (unsigned char *)(uintptr_t)head,
                   .avail_in = (unsigned)bytes,
                   .next_out = to,
                   .avail_out = 4};

    if (inflateInit2(&gz, 15 + 16) != Z_OK)
        return false;
    inflate(&gz, Z_SYNC_FLUSH);
    inflateEnd(&gz);
    return gz.avail_out == 0;
}

static bool unzstd(const uint8_t *head, size_t bytes, uint8_t to[4])
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    ZSTD_inBuffer in = {head, bytes, 0};
    ZSTD_outBuffer out = {to, 4, 0};
    size_t before = 1;

    while (stream != NULL && out.pos < 4 && before != out.pos + in.pos) {
        before = out.pos + in.pos;
        if (ZSTD_isError(ZSTD_decompressStream(stream, &out, &in)))
            break;
    }
    ZSTD_freeDStream(stream);
    return out.pos == 4;
}

static enum capture_kind kind_of(const uint8_t *head, size_t bytes)
{
    uint8_t begin[4];

    if (bytes < 4)
        return CAPTURE_UNKNOWN;
    if (memcmp(head, "\x1f\x8b\x08", 3) == 0)
        return unzip(head, bytes, begin) ? capture_detect(begin) : CAPTURE_UNKNOWN;
    if (memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0)
        return unzstd(head, bytes, begin) ? capture_detect(begin) : CAPTURE_UNKNOWN;
    return capture_detect(head);
}

static int set_options(struct arena *arena, const char *path, struct options *options)
{
    struct option *items = arena_array(arena, struct option, 2);
    bool *used = arena_array(arena, bool, 2);
    char *copy = arena_text(arena, path, strlen(path));

    if (items == NULL || used == NULL || copy == NULL)
        return MILL_E_MEMORY;
    items[0] = (struct option){.key = "connector", .value = "pcap", .used = &used[0]};
    items[1] = (struct option){.key = "path", .value = copy, .used = &used[1]};
    *options = (struct options){.items = items, .count = 2, .table = path};
    return MILL_OK;
}

bool capture_infer(const struct env *env, const char *path, struct arena *arena,
                   struct mill_schema *schema, struct options *options, char *info,
                   size_t info_bytes)
{
    uint8_t *head = arena_alloc(arena, HEAD_BYTES);
    const int handle = env->file.open(env->self, path, ENV_READ);
    enum capture_kind kind;
    int64_t n;

    if (handle < 0)
        return false;
    n = head != NULL ? env->file.pread(env->self, handle, head, HEAD_BYTES, 0) : 0;
    env->file.close(env->self, handle);
    kind = n > 0 ? kind_of(head, (size_t)n) : CAPTURE_UNKNOWN;
    if (kind == CAPTURE_UNKNOWN || capture_schema(arena, schema) != MILL_OK ||
        set_options(arena, path, options) != MILL_OK)
        return false;
    if (info != NULL)
        snprintf(info, info_bytes, "format: %s\ncolumns: %u\n",
                 kind == CAPTURE_PCAP ? "pcap" : "pcapng", schema->field_count);
    return true;
}
