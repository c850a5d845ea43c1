/* io/sinks.c - stdout of any format, print, blackhole. Files: io/snk_file.c. Threads: one. Errors: MILL_E_IO. */
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
    const struct zone *zone;
    struct format_writer *writer; /* NULL: print */
    struct text_buffer text;
    const char *identifier; /* print */
    struct arena arena;
    int handle;
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
                                s->handle == 2 ? "standard error" : "standard output");
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
    s->zone = config->zone;
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

static int text_write(struct sink *sink, const struct batch *batch, struct mill_error *error)
{
    struct text_sink *s = (struct text_sink *)sink;

    s->writer->vtable->write(s->writer, batch, &s->text);
    return s->text.length >= FLUSH_BYTES || s->text.failed ? sink_flush(s, error) : MILL_OK;
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
    if (code == MILL_OK && !config->check_only && s->writer->vtable->write_begin != NULL)
        s->writer->vtable->write_begin(s->writer, &s->text);
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
    static const char *const kinds[] = {"+I[", "-U[", "+U[", "-D["};

    for (uint32_t i = 0; i < batch->live; i++) {
        if (s->identifier != NULL) {
            text_put(&s->text, s->identifier, strlen(s->identifier));
            text_put(&s->text, "> ", 2);
        }
        text_put(&s->text, kinds[batch_kind(batch, batch_row(batch, i)) & 3], 3);
        for (uint32_t k = 0; k < s->schema->field_count; k++) {
            size_t n;
            const char *text =
                value_text_whole(&s->arena, &batch->columns[k], &s->schema->fields[k].type,
                                 batch_row(batch, i), s->zone, &n);

            if (text == NULL)
                return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to print rows");
            if (k > 0)
                text_put(&s->text, ", ", 2);
            text_put(&s->text, text, n);
        }
        arena_reset(&s->arena);
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

const struct sink_vtable stdout_sink = {.name = "stdout",
                                        .open = stdout_open,
                                        .write = text_write,
                                        .commit = stream_commit,
                                        .finish = stream_finish,
                                        .close = text_close};
const struct sink_vtable print_sink = {.name = "print",
                                       .open = print_open,
                                       .takes_updates = true,
                                       .write = print_write,
                                       .commit = stream_commit,
                                       .finish = stream_finish,
                                       .close = text_close};
const struct sink_vtable blackhole_sink = {.name = "blackhole",
                                           .open = blackhole_open,
                                           .takes_updates = true,
                                           .write = blackhole_write,
                                           .finish = blackhole_finish,
                                           .close = blackhole_close};
