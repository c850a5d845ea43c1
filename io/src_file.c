/* io/src_file.c - connectors 'filesystem' and 'stdin': files, folders, globs; plain, .gz, .zst; of any format.
 *
 * A reader (io/reader.h) reads ahead and cuts; a step is a part that it has ready, so cut() only takes it from a ring. A
 * cut is the last row end at or before step_bytes, else the first behind it; the format says where rows end.
 * Threads: cut() by one, decode() by many, pump() by one where the reader has no thread.
 * Errors: MILL_E_NO_INPUT, MILL_E_DATA, MILL_E_IO.
 */
#include "core/source.h"
#include "io/file.h"
#include "io/find.h"
#include "io/format.h"
#include "io/reader.h"

struct file_source {
    struct source source;
    struct source_config config;
    struct heap *heap;
    struct arena arena;
    struct format *format;
    struct mill_schema physical; /* what the format decodes */
    struct finder *finder;
    struct reader *reader;
    at_u64 bytes_in;
};

struct file_decoder {
    struct decoder decoder;
    struct file_source *source;
    struct format_decoder *inner;
    uint32_t file; /* of the piece */
    struct heap *heap;
};

/* ---- opening ---- */

/* The format sees the physical columns only. */
static int format_open(struct file_source *s, const struct format_vtable *format,
                       struct mill_error *error)
{
    const struct mill_schema *all = s->config.schema;
    struct source_config inner = s->config;
    struct mill_field *fields;
    const bool **below;
    bool *wanted;

    if (s->config.metadata == NULL) {
        s->physical = *all;
        return format->open(&s->config, &s->format, error);
    }
    fields = arena_array(&s->arena, struct mill_field, all->field_count + 1);
    wanted = arena_array(&s->arena, bool, all->field_count + 1);
    below = arena_array(&s->arena, const bool *, all->field_count + 1);
    if (fields == NULL || wanted == NULL || below == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a source");
    s->physical.fields = fields;
    for (uint32_t i = 0; i < all->field_count; i++)
        if (s->config.metadata[i] == NULL) {
            wanted[s->physical.field_count] = s->config.wanted[i];
            if (s->config.wanted_fields != NULL)
                below[s->physical.field_count] = s->config.wanted_fields[i];
            fields[s->physical.field_count++] = all->fields[i];
        }
    inner.schema = &s->physical;
    inner.wanted = wanted;
    inner.wanted_fields = below;
    inner.metadata = NULL;
    return format->open(&inner, &s->format, error);
}

static int open_common(const struct source_config *config, const struct source_vtable *vtable,
                       const char *format_name, struct file_source **out, struct mill_error *error)
{
    static const char *const own[] = {"connector",
                                      "path",
                                      "format",
                                      "on-error",
                                      "scan.watermark.idle-timeout",
                                      "dead-letter.path",
                                      "source.monitor-interval",
                                      "source.path.regex-pattern",
                                      "lookup.cache",
                                      "lookup.full-cache.reload-strategy",
                                      "lookup.full-cache.periodic-reload.interval",
                                      "lookup.full-cache.periodic-reload.schedule-mode",
                                      NULL};
    const struct format_vtable *format = format_find(config->options, format_name, error);
    struct file_source *s;

    if (format == NULL)
        return error->code;
    s = heap_zalloc(config->heap, sizeof *s);
    if (s == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a source");
    s->source.vtable = vtable;
    s->config = *config;
    s->heap = config->heap;
    *out = s;
    arena_open(&s->arena, s->heap);
    if (format_open(s, format, error) != MILL_OK)
        return error->code;
    option_text(config->options, "path", NULL);
    option_text(config->options, "source.monitor-interval", NULL);
    option_text(config->options, "source.path.regex-pattern", NULL);
    /* the planner's, of tables that are looked up in */
    for (uint32_t i = 0; i < config->options->count; i++)
        if (strncmp(config->options->items[i].key, "lookup.", 7) == 0)
            for (uint32_t k = 0; own[k] != NULL; k++)
                if (strcmp(own[k], config->options->items[i].key) == 0)
                    *config->options->items[i].used = true;
    if (format_check_options(config->options, own, s->format->vtable->read_options, error) !=
        MILL_OK)
        return error->code;
    s->reader = reader_new(&s->config, s->format, error);
    return s->reader != NULL ? MILL_OK : error->code;
}

static bool add_found(void *user, const struct found_file *file)
{
    return reader_add(user, file);
}

static int find_files(struct file_source *s, int64_t interval_ns, struct mill_error *error)
{
    s->finder = finder_open(&s->config, error);
    if (s->finder == NULL)
        return error->code;
    if (finder_look(s->finder, interval_ns > 0, add_found, s->reader, error) != MILL_OK)
        return error->code;
    if (interval_ns > 0) {
        s->source.grows = true;
        reader_watch(s->reader, s->finder, interval_ns);
    } else if (reader_count(s->reader) == 0) {
        return mill_fail(error, MILL_E_NO_INPUT, 0, 0, "'%s' (table %s) has no files to read",
                         option_text(s->config.options, "path", ""), s->config.options->table);
    }
    s->source.live = reader_count(s->reader) == 1 && reader_file(s->reader, 0)->pipe;
    if (option_get(s->config.options, "lookup.full-cache.periodic-reload.interval") != NULL) {
        if (s->source.live || s->source.grows)
            return mill_fail(error, MILL_E_OPTION, s->config.options->line,
                             s->config.options->column,
                             "table %s: what is read at intervals must be files with an end",
                             s->config.options->table);
        reader_stays(s->reader);
    }
    return reader_open_files(s->reader, error);
}

static int folder_open(const struct source_config *config, const struct source_vtable *vtable,
                       const char *format, struct source **out, struct mill_error *error)
{
    const struct option *monitor = option_get(config->options, "source.monitor-interval");
    struct file_source *s = NULL;
    int64_t interval_ns = 0;
    int code = open_common(config, vtable, format, &s, error);

    if (s != NULL)
        *out = &s->source;
    if (code == MILL_OK)
        code =
            option_duration_ns(config->options, "source.monitor-interval", 0, &interval_ns, error);
    if (code == MILL_OK && monitor != NULL && interval_ns <= 0)
        code = mill_fail(error, MILL_E_OPTION, monitor->line, monitor->column,
                         "'source.monitor-interval' is '%s', need more than nothing, as in '10 s'",
                         monitor->value);
    if (code == MILL_OK)
        code = find_files(s, interval_ns, error);
    return code == MILL_OK ? reader_start(s->reader, &s->source, error) : code;
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
    int code = open_common(config, &stdin_source, NULL, &s, error);

    if (s != NULL)
        *out = &s->source;
    if (code != MILL_OK)
        return code;
    s->source.live = true;
    if (!reader_add_pipe(s->reader, "stdin", 0))
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to read stdin");
    return reader_start(s->reader, &s->source, error);
}

static uint32_t file_split_count(struct source *source)
{
    return reader_count(((struct file_source *)source)->reader);
}

static const char *file_split_name(struct source *source, uint32_t split)
{
    return reader_file(((struct file_source *)source)->reader, split)->path;
}

static uint32_t file_pump(struct source *source, bool may_wait, struct mill_error *error)
{
    (void)may_wait;
    (void)error;
    return reader_pump(((struct file_source *)source)->reader);
}

static enum cut file_cut(struct source *source, uint32_t split, struct piece *piece,
                         struct mill_error *error)
{
    struct file_source *s = (struct file_source *)source;
    struct read_file *file = reader_file(s->reader, split);
    struct part *part;
    uint32_t ended;

    if (file->done)
        return CUT_END;
    part = reader_take(s->reader, file, &ended);
    if (part != NULL) {
        piece->extra[0] = split;
        piece->bytes = part->bytes;
        piece->hold = part;
        piece->begin = part->begin;
        piece->end = part->begin + part->length;
        piece->first_line = part->first_line;
        memcpy(&piece->extra[1], part->context, sizeof part->context);
        at_add_relaxed(&s->bytes_in, part->length);
        return CUT_DATA;
    }
    if (ended == 0)
        return CUT_WAIT;
    file->done = true;
    if (ended == 1)
        return CUT_END;
    *error = file->failure;
    return CUT_FAILED;
}

static void file_again(struct source *source)
{
    reader_again(((struct file_source *)source)->reader);
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
    const struct read_file *file = reader_file(d->source->reader, (uint32_t)piece->extra[0]);
    const struct format_piece part = {.bytes = piece->bytes,
                                      .length = piece->end - piece->begin,
                                      .file = file->path,
                                      .offset = piece->begin,
                                      .step = piece->step,
                                      .first_line = piece->first_line,
                                      .context = {piece->extra[1], piece->extra[2],
                                                  piece->extra[3]},
                                      .state = file->at.state};

    d->file = (uint32_t)piece->extra[0];
    d->inner->filter = d->decoder.filter;
    d->inner->vtable->begin(d->inner, &part);
}

const struct metadata_key file_metadata[] =
    {{"file.path", {.kind = MILL_VARCHAR, .length = MILL_LENGTH_MAX}},
     {"file.name", {.kind = MILL_VARCHAR, .length = MILL_LENGTH_MAX}},
     {"file.size", {.kind = MILL_BIGINT}},
     {"file.modification-time", {.kind = MILL_TIMESTAMP_LTZ, .precision = 3}},
     {.key = NULL}};

/* One value for the whole batch. */
static bool metadata_column(struct batch *out, struct column *c, const struct read_file *file,
                            const char *key)
{
    const char *slash = strrchr(file->path, '/');
    const char *name = slash != NULL ? slash + 1 : file->path;
    union {
        struct mill_view view;
        int64_t number;
    } *value = arena_zalloc(&out->bytes, sizeof *value + 64);

    if (value == NULL)
        return false;
    *c = (struct column){.values = value, .constant = true};
    if (strcmp(key, "file.path") == 0)
        value->view = view_of(file->path, (uint32_t)strlen(file->path));
    else if (strcmp(key, "file.name") == 0)
        value->view = view_of(name, (uint32_t)strlen(name));
    else if (strcmp(key, "file.size") == 0)
        value->number = (int64_t)file->size;
    else
        value->number = floor_div(file->modified_ns, 1000000) * 1000;
    return true;
}

static bool file_asks_filter(const struct options *options, const struct mill_type *type,
                             bool exact)
{
    const char *connector = option_text(options, "connector", "");
    struct mill_error error = {0};
    const struct format_vtable *format =
        format_find(options, strcmp(connector, "pcap") == 0 ? "pcap" : NULL, &error);

    return format != NULL && format->asks_filter != NULL &&
           format->asks_filter(options, type, exact);
}

static int file_decode(struct decoder *decoder, struct batch *out, struct mill_error *error)
{
    const struct file_decoder *d = (struct file_decoder *)decoder;
    const struct file_source *s = d->source;
    const int more = d->inner->vtable->decode(d->inner, out, error);
    struct column *all;
    uint32_t k = 0;

    if (more < 0 || s->config.metadata == NULL)
        return more;
    all = arena_array(&out->bytes, struct column, s->config.schema->field_count);
    for (uint32_t i = 0; all != NULL && i < s->config.schema->field_count; i++) {
        const char *key = s->config.metadata[i];

        if (key == NULL)
            all[i] = out->columns[k++];
        else if (s->config.wanted[i] &&
                 !metadata_column(out, &all[i], reader_file(s->reader, d->file), key))
            all = NULL;
    }
    if (all == NULL)
        return -mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for metadata columns");
    out->columns = all;
    return more;
}

static void file_release(struct source *source, struct piece *piece)
{
    if (piece->hold != NULL)
        reader_release(((struct file_source *)source)->reader, piece->hold);
    piece->hold = NULL;
}

static uint64_t file_bytes_in(struct source *source)
{
    return at_load_relaxed(&((struct file_source *)source)->bytes_in);
}

static void file_close(struct source *source)
{
    struct file_source *s = (struct file_source *)source;

    reader_close(s->reader);
    finder_close(s->finder);
    if (s->format != NULL)
        s->format->vtable->close(s->format);
    arena_close(&s->arena);
    heap_free(s->heap, s, sizeof *s);
}

#define FILE_SOURCE(title, opener)                                                                 \
    {                                                                                              \
        .name = title, .open = opener, .split_count = file_split_count,                            \
        .split_name = file_split_name, .cut = file_cut, .pump = file_pump,                         \
        .decoder_new = file_decoder_new, .decoder_free = file_decoder_free, .begin = file_begin,   \
        .asks_filter = file_asks_filter, .decode = file_decode, .release = file_release,           \
        .bytes_in = file_bytes_in, .again = file_again, .close = file_close                        \
    }
const struct source_vtable filesystem_source = FILE_SOURCE("filesystem", filesystem_open);
const struct source_vtable pcap_source = FILE_SOURCE("pcap", pcap_open);
const struct source_vtable stdin_source = FILE_SOURCE("stdin", stdin_open);
