/* io/deadletter.c - rows that could not be decoded, one JSON object per line: table, file, byte offset, step, row, column,
 * reason, and the raw bytes in base 64. Hidden while it is written. Threads: one at a time. */
#include "core/source.h"

#include <errno.h>

#include <stdio.h>

struct letters {
    struct bad_rows rows;
    const struct env *env;
    struct heap *heap;
    struct arena arena;
    const char *path, *hidden;
    int handle;
};

static size_t json_text(char *to, size_t room, const char *text)
{
    size_t n = 0;

    if (n + 8 < room)
        to[n++] = '"';
    for (; *text != '\0' && n + 10 < room; text++) {
        const unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            to[n++] = '\\';
        if (c < 0x20)
            n += (size_t)snprintf(to + n, 8, "\\u%04x", c);
        else
            to[n++] = (char)c;
    }
    to[n++] = '"';
    return n;
}

static size_t base64(char *to, const unsigned char *s, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *next = to;

    for (size_t i = 0; i < n; i += 3) {
        const uint32_t v = (uint32_t)s[i] << 16 | (i + 1 < n ? (uint32_t)s[i + 1] << 8 : 0) |
                           (i + 2 < n ? s[i + 2] : 0);

        *next++ = digits[v >> 18];
        *next++ = digits[v >> 12 & 63];
        *next++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
        *next++ = i + 2 < n ? digits[v & 63] : '=';
    }
    return (size_t)(next - to);
}

static int write_all(struct letters *l, const char *bytes, size_t length, struct mill_error *error)
{
    while (length > 0) {
        const int64_t n = l->env->file.write(l->env->self, l->handle, bytes, length);

        if (n <= 0)
            return mill_fail_os(error, MILL_E_IO, (int)n, "cannot write dead letters to %s",
                                l->path);
        bytes += n;
        length -= (size_t)n;
    }
    return MILL_OK;
}

static int letters_report(struct bad_rows *rows, const struct bad_row *row,
                          struct mill_error *error)
{
    struct letters *l = (struct letters *)rows;
    const size_t room = 16384 + (row->raw_bytes + 2) / 3 * 4;
    char *text = heap_alloc(l->heap, room);
    size_t n = 0;
    int code;

    if (text == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a dead letter");
#define FIELD(name, value)                                                                         \
    do {                                                                                           \
        n += (size_t)snprintf(text + n, 64, "%s\"" name "\": ", n == 0 ? "{" : ", ");              \
        n += json_text(text + n, 3800, (value));                                                   \
    } while (0)
#define NUMBER(name, value)                                                                        \
    n += (size_t)snprintf(text + n, 64, ", \"" name "\": %llu", (unsigned long long)(value))
    FIELD("table", row->source != NULL ? row->source : "");
    if (row->file != NULL)
        FIELD("file", row->file);
    if (!row->computed)
        NUMBER("offset", row->offset);
    if (row->line != 0)
        NUMBER("line", row->line);
    NUMBER("step", row->step);
    NUMBER("row", row->place);
    if (row->column != NULL)
        FIELD("column", row->column);
    FIELD("reason", row->reason);
    n += (size_t)snprintf(text + n, 16, ", \"raw\": \"");
    n += base64(text + n, (const unsigned char *)row->raw, row->raw != NULL ? row->raw_bytes : 0);
    n += (size_t)snprintf(text + n, 8, "\"}\n");
    code = write_all(l, text, n, error);
    heap_free(l->heap, text, room);
    return code;
}

struct bad_rows *deadletter_open(const struct env *env, struct heap *heap, const char *path,
                                 struct mill_error *error)
{
    struct letters *l = heap_zalloc(heap, sizeof *l);
    const char *slash = strrchr(path, '/');

    if (l == NULL) {
        mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for dead letters");
        return NULL;
    }
    l->rows.report = letters_report;
    l->env = env;
    l->heap = heap;
    arena_open(&l->arena, heap);
    l->path = arena_text(&l->arena, path, strlen(path));
    l->hidden =
        arena_format(&l->arena, "%.*s.%s.inprogress", slash != NULL ? (int)(slash + 1 - path) : 0,
                     path, slash != NULL ? slash + 1 : path);
    l->handle = l->path != NULL && l->hidden != NULL
                    ? env->file.open(env->self, l->hidden, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE)
                    : -ENOMEM;
    if (l->handle >= 0)
        return &l->rows;
    mill_fail_os(error, l->handle == -ENOMEM ? MILL_E_MEMORY : MILL_E_IO, l->handle,
                 "cannot write dead letters to %s", path);
    arena_close(&l->arena);
    heap_free(heap, l, sizeof *l);
    return NULL;
}

int deadletter_close(struct bad_rows *rows, bool keep, struct mill_error *error)
{
    struct letters *l = (struct letters *)rows;
    struct heap *heap = l->heap;
    int code = keep ? l->env->file.sync(l->env->self, l->handle) : 0;

    l->env->file.close(l->env->self, l->handle);
    if (!keep)
        l->env->file.unlink(l->env->self, l->hidden);
    else if (code == 0)
        code = l->env->file.rename(l->env->self, l->hidden, l->path);
    if (code < 0)
        code = mill_fail_os(error, MILL_E_IO, code, "cannot finish the dead letters %s", l->path);
    arena_close(&l->arena);
    heap_free(heap, l, sizeof *l);
    return code;
}
