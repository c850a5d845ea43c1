/* io/sinks.c - filesystem and stdout of any format, print, blackhole.
 *
 * A file is hidden while it is written (".name.inprogress" beside it), synced and renamed when the run ends well, and
 * removed when it does not. A path that ends in '/' or is a folder gets one file in it, part-0.csv (or what the format is called).
 * Threads: one.   Errors: MILL_E_IO with the path.
 */
#include "core/source.h"
#include "core/values.h"
#include "io/file.h"
#include "io/format.h"

#include <stdio.h>

#define FLUSH_BYTES ((size_t)1 << 20)

struct text_sink {
    struct sink sink;
    const struct env *env;
    struct heap *heap;
    const struct mill_schema *schema;
    struct format_writer *writer; /* NULL: print */
    struct text_buffer text;
    const char *identifier; /* print */
    struct arena arena;
    const char *path, *hidden; /* filesystem; NULL: a handle that is not ours */
    int handle;
    bool visible; /* under its final name */
};

static int sink_flush(struct text_sink *s, struct mill_error *error)
{
    size_t done = 0;

    if (s->text.failed)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to write rows");
    while (done < s->text.length) {
        const int64_t n = s->env->file.write(s->env->self, s->handle, s->text.bytes + done,
                                             s->text.length - done);

        if (n <= 0)
            return mill_fail_os(error, MILL_E_IO, (int)n, "cannot write to %s",
                                s->path != NULL ? s->path : "standard output");
        done += (size_t)n;
    }
    s->text.length = 0;
    return MILL_OK;
}

/* @fallback: the format of a table without 'format'; "": the sink has none. */
static int text_open(const struct sink_config *config, const struct sink_vtable *vtable,
                     const char *fallback, struct text_sink **out, struct mill_error *error)
{
    const bool formatted = fallback == NULL || fallback[0] != '\0';
    const struct format_vtable *format =
        formatted ? format_find(config->options, fallback, error) : NULL;
    struct text_sink *s;

    if (formatted && format == NULL)
        return error->code;
    if (formatted && format->writer_open == NULL)
        return mill_fail(error, MILL_E_UNSUPPORTED, config->options->line, config->options->column,
                         "table %s: the format '%s' can only be read", config->options->table,
                         format->name);
    s = heap_zalloc(config->heap, sizeof *s);

    if (s == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a sink");
    s->sink.vtable = vtable;
    s->env = config->env;
    s->heap = config->heap;
    s->schema = config->schema;
    s->text.heap = config->heap;
    s->handle = 1;
    arena_open(&s->arena, config->heap);
    *out = s;
    return formatted ? format->writer_open(config, &s->writer, error) : MILL_OK;
}

static void text_close(struct sink *sink)
{
    struct text_sink *s = (struct text_sink *)sink;

    if (s->writer != NULL)
        s->writer->vtable->writer_close(s->writer);
    heap_free(s->heap, s->text.bytes, s->text.capacity);
    arena_close(&s->arena);
    heap_free(s->heap, s, sizeof *s);
}

/* Opens half way: what was made is closed again. */
static int opened(struct text_sink *s, int code, struct sink **out)
{
    if (code == MILL_OK)
        *out = &s->sink;
    else if (s != NULL)
        text_close(&s->sink);
    return code;
}

/* ---- filesystem ---- */

static int file_name(struct text_sink *s, const char *path, struct mill_error *error)
{
    struct env_stat stat;
    const size_t n = strlen(path);
    const char *slash;

    if (strncmp(path, "file://", 7) == 0)
        path += 7;
    if ((n > 0 && path[n - 1] == '/') ||
        (s->env->file.stat(s->env->self, path, &stat) == 0 && stat.is_folder)) {
        const int code = s->env->file.make_folder(s->env->self, path);

        if (code < 0)
            return mill_fail_os(error, MILL_E_IO, code, "cannot make the folder %s", path);
        s->path = arena_format(&s->arena, "%s/part-0.%s", path, s->writer->vtable->extension);
    } else {
        s->path = arena_text(&s->arena, path, n);
    }
    slash = s->path != NULL ? strrchr(s->path, '/') : NULL;
    s->hidden = slash != NULL
                    ? arena_format(&s->arena, "%.*s/.%s.inprogress", (int)(slash - s->path),
                                   s->path, slash + 1)
                    : arena_format(&s->arena, ".%s.inprogress", s->path != NULL ? s->path : "");
    return s->path != NULL && s->hidden != NULL
               ? MILL_OK
               : mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a sink");
}

static int file_check(const struct text_sink *s, const struct options *o, const char *path,
                      struct mill_error *error)
{
    static const char *const own[] = {"connector", "path", "format", NULL};

    if (path == NULL)
        return mill_fail(error, MILL_E_OPTION, o->line, o->column, "table %s has no 'path'",
                         o->table);
    return format_check_options(o, own, s->writer->vtable->write_options, error);
}

static int filesystem_open(const struct sink_config *config, struct sink **out,
                           struct mill_error *error)
{
    const char *path = option_text(config->options, "path", NULL);
    struct text_sink *s = NULL;
    int code = text_open(config, &filesystem_sink, NULL, &s, error);

    if (code == MILL_OK)
        code = file_check(s, config->options, path, error);
    if (code == MILL_OK)
        code = file_name(s, path, error);
    if (code == MILL_OK) {
        s->handle =
            s->env->file.open(s->env->self, s->hidden, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE);
        if (s->handle < 0)
            code = mill_fail_os(error, MILL_E_IO, s->handle, "cannot write %s (table %s)", s->path,
                                config->options->table);
    }
    return opened(s, code, out);
}

static int text_write(struct sink *sink, const struct batch *batch, struct mill_error *error)
{
    struct text_sink *s = (struct text_sink *)sink;

    s->writer->vtable->write(s->writer, batch, &s->text);
    return s->text.length >= FLUSH_BYTES || s->text.failed ? sink_flush(s, error) : MILL_OK;
}

static int filesystem_finish(struct sink *sink, struct mill_error *error)
{
    struct text_sink *s = (struct text_sink *)sink;
    const char *slash = strrchr(s->path, '/');
    const char *folder = slash == NULL ? "."
                         : slash == s->path
                             ? "/"
                             : arena_text(&s->arena, s->path, (size_t)(slash - s->path));
    int code;

    if (folder == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to finish %s", s->path);
    if (s->writer->vtable->finish != NULL)
        s->writer->vtable->finish(s->writer, &s->text);
    code = sink_flush(s, error);
    if (code != MILL_OK)
        return code;
    code = s->env->file.sync(s->env->self, s->handle);
    s->env->file.close(s->env->self, s->handle);
    s->handle = -1;
    if (code == 0)
        code = s->env->file.rename(s->env->self, s->hidden, s->path);
    s->visible = code == 0;
    if (code == 0)
        code = s->env->file.sync_folder(s->env->self, folder);
    return code < 0 ? mill_fail_os(error, MILL_E_IO, code, "cannot finish %s", s->path) : MILL_OK;
}

static void filesystem_abort(struct sink *sink)
{
    struct text_sink *s = (struct text_sink *)sink;

    if (s->handle >= 0)
        s->env->file.close(s->env->self, s->handle);
    s->handle = -1;
    if (!s->visible)
        s->env->file.unlink(s->env->self, s->hidden);
}

/* ---- stdout and print ---- */

static int stdout_open(const struct sink_config *config, struct sink **out,
                       struct mill_error *error)
{
    static const char *const own[] = {"connector", "format", NULL};
    struct text_sink *s = NULL;
    int code = text_open(config, &stdout_sink, "csv", &s, error);

    if (code == MILL_OK)
        code = format_check_options(config->options, own, s->writer->vtable->write_options, error);
    return opened(s, code, out);
}

static int print_open(const struct sink_config *config, struct sink **out, struct mill_error *error)
{
    static const char *const known[] = {"connector", "print-identifier", "standard-error"};
    struct text_sink *s = NULL;
    bool to_error = false;
    int code = text_open(config, &print_sink, "", &s, error);

    if (code == MILL_OK)
        code = option_bool(config->options, "standard-error", false, &to_error, error);
    if (code == MILL_OK) {
        s->identifier = option_text(config->options, "print-identifier", NULL);
        s->handle = to_error ? 2 : 1;
        code = options_check_used(config->options, known, COUNT_OF(known), error);
    }
    return opened(s, code, out);
}

/* Flink's form: identifier> +I[a, b] */
static int print_write(struct sink *sink, const struct batch *batch, struct mill_error *error)
{
    struct text_sink *s = (struct text_sink *)sink;
    char text[4096];

    for (uint32_t i = 0; i < batch->live; i++) {
        if (s->identifier != NULL) {
            text_put(&s->text, s->identifier, strlen(s->identifier));
            text_put(&s->text, "> ", 2);
        }
        text_put(&s->text, "+I[", 3);
        for (uint32_t k = 0; k < s->schema->field_count; k++) {
            const size_t n = value_text(&batch->columns[k], &s->schema->fields[k].type,
                                        batch_row(batch, i), text, sizeof text);

            if (k > 0)
                text_put(&s->text, ", ", 2);
            text_put(&s->text, text, n);
        }
        text_put(&s->text, "]\n", 2);
    }
    return s->text.length >= FLUSH_BYTES ? sink_flush(s, error) : MILL_OK;
}

static int stream_commit(struct sink *sink, uint64_t step, struct mill_error *error)
{
    (void)step;
    return sink_flush((struct text_sink *)sink, error);
}

static int stream_finish(struct sink *sink, struct mill_error *error)
{
    struct text_sink *s = (struct text_sink *)sink;

    if (s->writer != NULL && s->writer->vtable->finish != NULL)
        s->writer->vtable->finish(s->writer, &s->text);
    return sink_flush((struct text_sink *)sink, error);
}

/* ---- blackhole ---- */

static int blackhole_open(const struct sink_config *config, struct sink **out,
                          struct mill_error *error)
{
    static const char *const known[] = {"connector"};
    struct sink *s = heap_zalloc(config->heap, sizeof(struct text_sink));

    if (s == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a sink");
    s->vtable = &blackhole_sink;
    ((struct text_sink *)s)->heap = config->heap;
    if (options_check_used(config->options, known, 1, error) != MILL_OK) {
        heap_free(config->heap, s, sizeof(struct text_sink));
        return MILL_E_NAME;
    }
    *out = s;
    return MILL_OK;
}

static int blackhole_write(struct sink *sink, const struct batch *batch, struct mill_error *error)
{
    (void)sink;
    (void)batch;
    (void)error;
    return MILL_OK;
}

static int blackhole_finish(struct sink *sink, struct mill_error *error)
{
    (void)sink;
    (void)error;
    return MILL_OK;
}

static void blackhole_close(struct sink *sink)
{
    heap_free(((struct text_sink *)sink)->heap, sink, sizeof(struct text_sink));
}

const struct sink_vtable filesystem_sink = {.name = "filesystem",
                                            .open = filesystem_open,
                                            .write = text_write,
                                            .finish = filesystem_finish,
                                            .abort = filesystem_abort,
                                            .close = text_close};
const struct sink_vtable stdout_sink = {.name = "stdout",
                                        .open = stdout_open,
                                        .write = text_write,
                                        .commit = stream_commit,
                                        .finish = stream_finish,
                                        .close = text_close};
const struct sink_vtable print_sink = {.name = "print",
                                       .open = print_open,
                                       .write = print_write,
                                       .commit = stream_commit,
                                       .finish = stream_finish,
                                       .close = text_close};
const struct sink_vtable blackhole_sink = {.name = "blackhole",
                                           .open = blackhole_open,
                                           .write = blackhole_write,
                                           .finish = blackhole_finish,
                                           .close = blackhole_close};
