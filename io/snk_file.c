/* io/snk_file.c - connector 'filesystem' as a sink: one file, or a folder of parts, partitioned or not.
 *
 * 'path' names a file, unless it ends in '/', is a folder, or the table is partitioned or rolls: then parts part-N.EXT lie
 * in it, or in a folder col=value/... for each partition. Where a part ends depends on its bytes, on the clock of steps
 * and on the watermark only, so it is the same for any number of shards. Parts are hidden until they are whole. They
 * become visible at the end of the run; when parts roll by time or partitions are committed, at the end of the step.
 * Threads: one.   Errors: MILL_E_IO with the path.
 */
#include "core/values.h"
#include "io/file.h"
#include "io/format.h"
#include "io/out_file.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define FLUSH_BYTES ((size_t)1 << 20)
#define MANY_PARTS 64u /* being written at once: they share handles */
#define KEY_BYTES_MAX 4096u

/* A folder with its parts: one partition, or all. */
struct folder {
    struct folder *next_in_slot;
    uint64_t hash;
    const char *key; /* "dt=2020-01-01/hm=00:10", "" without partitions */
    struct out_file *out;
    uint32_t next_number; /* of the next part; 0: not known yet */
    int64_t opened_us;    /* clock of the step that opened out; TIME_MIN: not known yet */
    int64_t begun_us;     /* of the first step since the last commit */
    int64_t time_us;      /* of the partition, for 'partition-time' */
    bool dirty;           /* rows since the last commit */
    uint32_t rows;        /* of the batch at hand */
    uint16_t *picked;
};

struct file_sink {
    struct sink sink;
    struct sink_config config;
    struct sink_config inner; /* as the writers see it: without partition columns */
    struct mill_schema schema;
    const struct env *env;
    struct heap *heap;
    struct arena arena;
    const struct format_vtable *format;
    const char *path; /* of the file, or of the folder of all parts */
    bool is_folder;
    uint32_t *kept; /* columns that are written */
    const char *default_name, *success_name, *pattern;
    bool commits, by_partition_time, at_once;
    uint64_t roll_bytes;
    int64_t roll_us, delay_us;
    struct folder **folders; /* in order of first row */
    uint32_t count, room;
    struct folder **slots; /* by hash */
    uint32_t slot_count;
    struct out_file *whole, **whole_last; /* closed, not yet visible */
    struct folder *committing;
};

/* ---- options ---- */

static int option_bytes(const struct options *options, const char *key, uint64_t fallback,
                        uint64_t *out, struct mill_error *error)
{
    static const struct {
        const char *name;
        uint64_t bytes;
    } units[] = {{"", 1},           {"b", 1},           {"bytes", 1},       {"k", 1u << 10},
                 {"kb", 1u << 10},  {"kib", 1u << 10},  {"m", 1u << 20},    {"mb", 1u << 20},
                 {"mib", 1u << 20}, {"g", 1u << 30},    {"gb", 1u << 30},   {"gib", 1u << 30},
                 {"t", 1ull << 40}, {"tb", 1ull << 40}, {"tib", 1ull << 40}};
    const struct option *option = option_get(options, key);
    unsigned long long n;
    char *stop;

    *out = fallback;
    if (option == NULL)
        return MILL_OK;
    n = strtoull(option->value, &stop, 10);
    while (*stop == ' ')
        stop++;
    for (size_t i = 0; isdigit((unsigned char)option->value[0]) && i < COUNT_OF(units); i++)
        if (strcasecmp(stop, units[i].name) == 0 && n > 0 && n < UINT64_MAX / units[i].bytes) {
            *out = n * units[i].bytes;
            return MILL_OK;
        }
    return mill_fail(error, MILL_E_OPTION, option->line, option->column,
                     "'%s' is '%s', need a size such as '128MB' or '64 kb'", key, option->value);
}

/* One of two words. */
static int option_word(const struct options *options, const char *key, const char *first,
                       const char *second, bool *is_second, struct mill_error *error)
{
    const struct option *option = option_get(options, key);

    *is_second = option != NULL && strcmp(option->value, second) == 0;
    if (option == NULL || *is_second || strcmp(option->value, first) == 0)
        return MILL_OK;
    return mill_fail(error, MILL_E_OPTION, option->line, option->column,
                     "'%s' is '%s', need %s or %s", key, option->value, first, second);
}

static int commit_options(struct file_sink *s, struct mill_error *error)
{
    const struct options *o = s->config.options;
    const struct option *policy = option_get(o, "sink.partition-commit.policy.kind");
    int64_t delay_ns;

    if (option_word(o, "sink.partition-commit.trigger", "process-time", "partition-time",
                    &s->by_partition_time, error) != MILL_OK ||
        option_duration_ns(o, "sink.partition-commit.delay", 0, &delay_ns, error) != MILL_OK)
        return MILL_E_OPTION;
    s->delay_us = delay_ns / 1000;
    s->success_name = option_text(o, "sink.partition-commit.success-file.name", "_SUCCESS");
    s->pattern = option_text(o, "partition.time-extractor.timestamp-pattern", NULL);
    s->default_name = option_text(o, "partition.default-name", "__HIVE_DEFAULT_PARTITION__");
    s->commits = policy != NULL;
    if (strchr(s->success_name, '/') != NULL || strchr(s->default_name, '/') != NULL)
        return mill_fail(error, MILL_E_OPTION, o->line, o->column,
                         "table %s: a name of a file or partition cannot hold '/'", o->table);
    if (policy != NULL && strcmp(policy->value, "success-file") != 0)
        return mill_fail(error, MILL_E_UNSUPPORTED, policy->line, policy->column,
                         "'%s' is '%s', only 'success-file' is supported", policy->key,
                         policy->value);
    if (policy != NULL && s->config.partition_count == 0)
        return mill_fail(error, MILL_E_OPTION, policy->line, policy->column,
                         "'%s': table %s is not PARTITIONED BY any column", policy->key, o->table);
    return MILL_OK;
}

static int read_options(struct file_sink *s, struct mill_error *error)
{
    const struct options *o = s->config.options;
    const bool sized = option_get(o, "sink.rolling-policy.file-size") != NULL;
    const bool timed = option_get(o, "sink.rolling-policy.rollover-interval") != NULL;
    const size_t n = s->path != NULL ? strlen(s->path) : 0;
    int64_t roll_ns, check_ns;
    struct env_stat stat;

    if (n == 0)
        return mill_fail(error, MILL_E_OPTION, o->line, o->column, "table %s has no 'path'",
                         o->table);
    if (option_bytes(o, "sink.rolling-policy.file-size", 128ull << 20, &s->roll_bytes, error) !=
            MILL_OK ||
        option_duration_ns(o, "sink.rolling-policy.rollover-interval", 0, &roll_ns, error) !=
            MILL_OK ||
        option_duration_ns(o, "sink.rolling-policy.check-interval", 0, &check_ns, error) !=
            MILL_OK ||
        commit_options(s, error) != MILL_OK)
        return error->code;
    s->roll_us = roll_ns / 1000;
    s->at_once = timed || s->commits;
    s->is_folder = sized || timed || s->config.partition_count > 0 || s->path[n - 1] == '/' ||
                   (s->env->file.stat(s->env->self, s->path, &stat) == 0 && stat.is_folder);
    if (!s->is_folder)
        s->roll_bytes = UINT64_MAX;
    return MILL_OK;
}

static int check_options(const struct file_sink *s, struct mill_error *error)
{
    static const char *const own[] = {"connector",
                                      "path",
                                      "format",
                                      "sink.rolling-policy.file-size",
                                      "sink.rolling-policy.rollover-interval",
                                      "sink.rolling-policy.check-interval",
                                      "sink.partition-commit.trigger",
                                      "sink.partition-commit.delay",
                                      "sink.partition-commit.policy.kind",
                                      "sink.partition-commit.success-file.name",
                                      "partition.time-extractor.timestamp-pattern",
                                      "partition.default-name",
                                      NULL};

    return format_check_options(s->config.options, own, s->format->write_options, error);
}

/* ---- parts ---- */

/* The number behind the greatest part-N.* there: rows are added, as in Flink, nothing is replaced. */
static void part_seen(void *user, const char *name)
{
    uint32_t *next = user;
    char *stop;
    unsigned long n;

    if (strncmp(name, "part-", 5) != 0 || !isdigit((unsigned char)name[5]))
        return;
    n = strtoul(name + 5, &stop, 10);
    if (*stop == '.' && n < UINT32_MAX - 1 && n + 1 > *next)
        *next = (uint32_t)n + 1;
}

static struct out_file *part_open(struct file_sink *s, struct folder *f, struct mill_error *error)
{
    char path[8192], folder[8192];

    if (!s->is_folder)
        return out_new(&s->inner, s->format, s->path, error);
    snprintf(folder, sizeof folder, "%s%s%s", s->path,
             s->path[strlen(s->path) - 1] == '/' || f->key[0] == '\0' ? "" : "/", f->key);
    if (f->next_number == 0)
        s->env->file.list(s->env->self, folder, part_seen, &f->next_number);
    if (snprintf(path, sizeof path, "%s%spart-%u.%s", folder,
                 folder[strlen(folder) - 1] == '/' ? "" : "/", f->next_number,
                 s->format->extension) >= (int)sizeof path) {
        mill_fail(error, MILL_E_IO, 0, 0, "the path of a partition of %s is too long", s->path);
        return NULL;
    }
    f->next_number++;
    return out_new(&s->inner, s->format, path, error);
}

static int need_part(struct file_sink *s, struct folder *f, struct mill_error *error)
{
    if (f->out != NULL)
        return MILL_OK;
    f->out = part_open(s, f, error);
    f->opened_us = TIME_MIN;
    f->dirty = true;
    if (f->out == NULL)
        return error->code;
    if (s->format->write_begin != NULL)
        s->format->write_begin(f->out->writer, &f->out->text);
    return MILL_OK;
}

/* The part is whole; the next row begins another. */
static int part_end(struct file_sink *s, struct folder *f, struct mill_error *error)
{
    int code;

    if (f->out == NULL)
        return MILL_OK;
    code = out_close(f->out, error);
    if (code != MILL_OK)
        return code;
    *s->whole_last = f->out;
    s->whole_last = &f->out->next;
    f->out = NULL;
    return MILL_OK;
}

static int publish(struct file_sink *s, struct mill_error *error)
{
    while (s->whole != NULL) {
        struct out_file *out = s->whole;
        const int code = out_publish(out, error);

        if (code != MILL_OK)
            return code;
        s->whole = out->next;
        if (s->whole == NULL)
            s->whole_last = &s->whole;
        out_free(out);
    }
    return MILL_OK;
}

/* ---- rows ---- */

static int rows_flush(struct file_sink *s, struct folder *f, struct mill_error *error)
{
    const bool many = s->count > MANY_PARTS;

    if (f->out->text.length < (many ? FLUSH_BYTES / 16 : FLUSH_BYTES) && !f->out->text.failed)
        return MILL_OK;
    return many ? out_rest(f->out, error) : out_flush(f->out, error);
}

/* Rows of @view one by one: the part ends behind the row that fills it. */
static int rows_rolling(struct file_sink *s, struct folder *f, struct batch *view,
                        struct mill_error *error)
{
    uint16_t *rows = view->selection;
    const uint32_t live = view->live;

    for (uint32_t i = 0; rows == NULL && i < live; i++)
        f->picked[i] = (uint16_t)i;
    rows = rows != NULL ? rows : f->picked;

    view->live = 1;
    for (uint32_t i = 0; i < live; i++) {
        int code = need_part(s, f, error);

        if (code != MILL_OK)
            return code;
        view->selection = rows + i;
        f->out->writer->vtable->write(f->out->writer, view, &f->out->text);
        code = out_bytes(f->out) >= s->roll_bytes ? part_end(s, f, error) : MILL_OK;
        if (code != MILL_OK)
            return code;
    }
    return f->out != NULL ? rows_flush(s, f, error) : MILL_OK;
}

static int rows_write(struct file_sink *s, struct folder *f, struct batch *view,
                      struct mill_error *error)
{
    const int code = need_part(s, f, error);
    size_t before;

    if (code != MILL_OK)
        return code;
    before = f->out->text.length;
    f->out->writer->vtable->write(f->out->writer, view, &f->out->text);
    /* Formats that keep rows back (they have a finish) roll between steps only. */
    if (out_bytes(f->out) >= s->roll_bytes && f->out->writer->vtable->finish == NULL) {
        f->out->text.length = before;
        return rows_rolling(s, f, view, error);
    }
    return rows_flush(s, f, error);
}

/* ---- partitions ---- */

/* As Flink and Hive escape: what a path or a shell may read otherwise becomes %XX. No value makes a '/' or leaves its folder. */
static size_t escape(char *to, size_t room, const char *text, size_t length)
{
    /* bit c: 00 to 1f, " # % ' * / : = ? [ \ ] ^ { } and 7f */
    static const uint64_t escaped[2] = {0xffffffffull | 1ull << '"' | 1ull << '#' | 1ull << '%' |
                                            1ull << '\'' | 1ull << '*' | 1ull << '/' | 1ull << ':' |
                                            1ull << '=' | 1ull << '?',
                                        1ull << ('[' - 64) | 1ull << ('\\' - 64) |
                                            1ull << (']' - 64) | 1ull << ('^' - 64) |
                                            1ull << ('{' - 64) | 1ull << ('}' - 64) | 1ull << 63};
    size_t n = 0;

    for (size_t i = 0; i < length && n + 4 < room; i++) {
        const unsigned char c = (unsigned char)text[i];

        if (c < 0x80 && (escaped[c >> 6] >> (c & 63) & 1) != 0)
            n += (size_t)snprintf(to + n, 4, "%%%02X", c);
        else
            to[n++] = (char)c;
    }
    return n;
}

static size_t column_value(const struct file_sink *s, const struct batch *batch, uint32_t column,
                           uint32_t row, char *to, size_t room)
{
    const struct mill_type *type = &s->config.schema->fields[column].type;
    const struct column *c = &batch->columns[column];
    size_t n;

    if (!column_valid(c, row))
        return 0;
    if (type_phys(type) == PHYS_VIEW) {
        const struct mill_view *v = &((const struct mill_view *)c->values)[c->constant ? 0 : row];

        n = v->length < room ? v->length : room;
        memcpy(to, mill_view_data(v), n);
        return n;
    }
    n = value_text(c, type, row, to, room);
    for (size_t i = 0; i < n && type->kind == MILL_BOOLEAN; i++)
        to[i] = (char)(to[i] | 32);
    return n;
}

static size_t partition_key(const struct file_sink *s, const struct batch *batch, uint32_t row,
                            char key[KEY_BYTES_MAX])
{
    size_t n = 0;

    for (uint32_t i = 0; i < s->config.partition_count; i++) {
        const uint32_t column = s->config.partition_by[i];
        const char *name = s->config.schema->fields[column].name;
        char value[1024];
        const size_t length = column_value(s, batch, column, row, value, sizeof value);

        if (i > 0 && n < KEY_BYTES_MAX)
            key[n++] = '/';
        n += escape(key + n, KEY_BYTES_MAX - n, name, strlen(name));
        if (n + 2 >= KEY_BYTES_MAX)
            break;
        key[n++] = '=';
        if (length > 0)
            n += escape(key + n, KEY_BYTES_MAX - n, value, length);
        else
            n += (size_t)snprintf(key + n, KEY_BYTES_MAX - n, "%s", s->default_name);
        n = n < KEY_BYTES_MAX ? n : KEY_BYTES_MAX;
    }
    return n;
}

static uint64_t key_hash(const char *key, size_t length)
{
    uint64_t h = 0xcbf29ce484222325ull;

    for (size_t i = 0; i < length; i++)
        h = (h ^ (unsigned char)key[i]) * 0x100000001b3ull;
    return h ^ h >> 32;
}

static bool slots_grow(struct file_sink *s)
{
    const uint32_t room = s->room == 0 ? 16 : s->room * 2;
    struct folder **folders, **slots;

    if (s->count < s->room)
        return true;
    folders = heap_grow(s->heap, s->folders, s->room * sizeof *folders, room * sizeof *folders);
    if (folders == NULL)
        return false;
    s->folders = folders;
    slots = heap_zalloc(s->heap, 2 * room * sizeof *slots);
    if (slots == NULL) {
        /* the longer list stands; its size must be known */
        s->room = room;
        return s->slots != NULL;
    }
    heap_free(s->heap, s->slots, s->slot_count * sizeof *slots);
    s->slots = slots;
    s->slot_count = 2 * room;
    s->room = room;
    for (uint32_t i = 0; i < s->count; i++) {
        struct folder **at = &slots[s->folders[i]->hash & (s->slot_count - 1)];

        s->folders[i]->next_in_slot = *at;
        *at = s->folders[i];
    }
    return true;
}

/* The time of a partition, from the pattern or its first column. */
static int partition_time(const struct file_sink *s, struct folder *f, const struct batch *batch,
                          uint32_t row, struct mill_error *error)
{
    static const struct mill_type type = {.kind = MILL_TIMESTAMP, .precision = 6};
    char text[512], value[256];
    size_t n = 0;
    const char *p = s->pattern;

    if (!s->commits || !s->by_partition_time)
        return MILL_OK;
    if (p == NULL)
        n = column_value(s, batch, s->config.partition_by[0], row, text, sizeof text);
    while (p != NULL && *p != '\0' && n + 1 < sizeof text) {
        uint32_t best = UINT32_MAX;
        size_t longest = 0;

        for (uint32_t i = 0; *p == '$' && i < s->config.partition_count; i++) {
            const char *name = s->config.schema->fields[s->config.partition_by[i]].name;

            if (strncmp(p + 1, name, strlen(name)) == 0 && strlen(name) > longest) {
                best = s->config.partition_by[i];
                longest = strlen(name);
            }
        }
        if (best == UINT32_MAX) {
            text[n++] = *p++;
            continue;
        }
        const size_t length = column_value(s, batch, best, row, value, sizeof value);

        n += (size_t)snprintf(text + n, sizeof text - n, "%.*s", (int)length, value);
        n = n < sizeof text ? n : sizeof text - 1;
        p += 1 + longest;
    }
    if (time_parse(text, n, &type, &f->time_us))
        return MILL_OK;
    return mill_fail(error, MILL_E_DATA, 0, 0,
                     "table %s, partition %s: '%.*s' is no time; 'partition.time-extractor."
                     "timestamp-pattern' must give yyyy-MM-dd HH:mm:ss, as in '$dt $hour:00:00'",
                     s->config.options->table, f->key, (int)n, text);
}

static struct folder *folder_find(struct file_sink *s, const char *key, size_t length)
{
    const uint64_t hash = key_hash(key, length);
    struct folder *f = s->slot_count > 0 ? s->slots[hash & (s->slot_count - 1)] : NULL;

    while (f != NULL &&
           (f->hash != hash || strncmp(f->key, key, length) != 0 || f->key[length] != '\0'))
        f = f->next_in_slot;
    return f;
}

static struct folder *folder_add(struct file_sink *s, const char *key, size_t length)
{
    struct folder *f, **at;

    if (!slots_grow(s))
        return NULL;
    f = arena_new(&s->arena, struct folder);
    if (f == NULL || (f->key = arena_text(&s->arena, key, length)) == NULL)
        return NULL;
    f->picked = heap_alloc(s->heap, BATCH_ROWS_MAX * sizeof *f->picked);
    if (f->picked == NULL)
        return NULL;
    f->hash = key_hash(key, length);
    f->begun_us = TIME_MIN;
    at = &s->slots[f->hash & (s->slot_count - 1)];
    f->next_in_slot = *at;
    *at = f;
    s->folders[s->count++] = f;
    return f;
}

/* Rows that follow each other mostly lie in one partition. */
static bool same_partition(const struct file_sink *s, const struct batch *batch, uint32_t row,
                           uint32_t before)
{
    for (uint32_t i = 0; i < s->config.partition_count; i++) {
        const uint32_t column = s->config.partition_by[i];
        const struct mill_type *type = &s->config.schema->fields[column].type;
        const struct column *c = &batch->columns[column];
        const uint32_t width = type_width(type);
        const char *values = c->values;

        if (c->constant)
            continue;
        if (!column_valid(c, row) || !column_valid(c, before))
            return false;
        if (type_phys(type) == PHYS_VIEW
                ? !view_equal((const struct mill_view *)c->values + row,
                              (const struct mill_view *)c->values + before)
                : memcmp(values + (size_t)row * width, values + (size_t)before * width, width) != 0)
            return false;
    }
    return true;
}

/* The folder of a row, made if there is none. */
static int folder_of(struct file_sink *s, const struct batch *batch, uint32_t row,
                     struct folder **out, struct mill_error *error)
{
    char key[KEY_BYTES_MAX];
    const size_t length = partition_key(s, batch, row, key);

    if (length + 8 >= KEY_BYTES_MAX)
        return mill_fail(error, MILL_E_DATA, 0, 0,
                         "table %s: the values of a partition's columns are too long for a "
                         "path",
                         s->config.options->table);
    *out = folder_find(s, key, length);
    if (*out != NULL)
        return MILL_OK;
    *out = folder_add(s, key, length);
    if (*out == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for partition %.*s of %s",
                         (int)(length < 100 ? length : 100), key, s->path);
    return partition_time(s, *out, batch, row, error);
}

/* Deals the live rows to their folders; those with rows are chained in order of their first. */
static int deal(struct file_sink *s, const struct batch *batch, struct folder **touched,
                uint32_t *touched_count, struct mill_error *error)
{
    struct folder *f = NULL;
    uint32_t before = 0;

    for (uint32_t i = 0; i < batch->live; i++) {
        const uint32_t row = batch_row(batch, i);

        if (f == NULL || !same_partition(s, batch, row, before)) {
            const int code = folder_of(s, batch, row, &f, error);

            if (code != MILL_OK)
                return code;
        }
        before = row;
        if (f->rows == 0)
            touched[(*touched_count)++] = f;
        f->picked[f->rows++] = (uint16_t)row;
    }
    return MILL_OK;
}

static int file_write(struct sink *sink, const struct batch *batch, struct mill_error *error)
{
    struct file_sink *s = (struct file_sink *)sink;
    struct folder *touched[BATCH_ROWS_MAX];
    struct batch view = *batch;
    struct column columns[1024];
    uint32_t count = 0;
    int code;

    if (s->config.partition_count == 0) {
        struct folder *all = s->count > 0 ? s->folders[0] : folder_add(s, "", 0);

        return all != NULL ? rows_write(s, all, &view, error)
                           : mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a sink");
    }
    code = deal(s, batch, touched, &count, error);
    view.columns = columns;
    view.column_count = (uint16_t)s->schema.field_count;
    for (uint32_t i = 0; i < s->schema.field_count; i++)
        columns[i] = batch->columns[s->kept[i]];
    for (uint32_t i = 0; i < count; i++) {
        view.selection = touched[i]->picked;
        view.live = touched[i]->rows;
        touched[i]->rows = 0;
        if (code == MILL_OK)
            code = rows_write(s, touched[i], &view, error);
    }
    return code;
}

/* ---- steps ---- */

static bool triggered(const struct file_sink *s, const struct folder *f, int64_t clock_us,
                      int64_t watermark_us)
{
    if (!s->commits || !f->dirty)
        return false;
    if (s->by_partition_time)
        return watermark_us != TIME_MIN && watermark_us >= f->time_us &&
               watermark_us - f->time_us >= s->delay_us;
    return s->delay_us > 0 && clock_us - f->begun_us >= s->delay_us;
}

static int write_success(struct file_sink *s, const struct folder *f, struct mill_error *error)
{
    char path[8192];
    int handle, code;

    snprintf(path, sizeof path, "%s/%s/%s", s->path, f->key, s->success_name);
    handle = s->env->file.open(s->env->self, path, ENV_WRITE | ENV_CREATE | ENV_TRUNCATE);
    code = handle < 0 ? handle : s->env->file.sync(s->env->self, handle);
    if (handle >= 0)
        s->env->file.close(s->env->self, handle);
    snprintf(path, sizeof path, "%s/%s", s->path, f->key);
    if (code == 0)
        code = s->env->file.sync_folder(s->env->self, path);
    return code < 0
               ? mill_fail_os(error, MILL_E_IO, code, "cannot write %s/%s", path, s->success_name)
               : MILL_OK;
}

static int commit_folder(struct file_sink *s, struct folder *f, struct mill_error *error)
{
    const int code = write_success(s, f, error);

    f->dirty = f->out != NULL;
    f->begun_us = TIME_MIN;
    return code;
}

static int file_commit(struct sink *sink, uint64_t step, int64_t clock_us, int64_t watermark_us,
                       struct mill_error *error)
{
    struct file_sink *s = (struct file_sink *)sink;
    int code = MILL_OK;

    (void)step;
    if (!s->at_once && (s->format->finish == NULL || !s->is_folder))
        return MILL_OK;
    for (uint32_t i = 0; code == MILL_OK && i < s->count; i++) {
        struct folder *f = s->folders[i];

        if (f->out == NULL && !f->dirty)
            continue;
        if (f->opened_us == TIME_MIN)
            f->opened_us = clock_us;
        if (f->begun_us == TIME_MIN)
            f->begun_us = clock_us;
        if (f->out != NULL && (out_bytes(f->out) >= s->roll_bytes ||
                               (s->roll_us > 0 && clock_us - f->opened_us >= s->roll_us) ||
                               triggered(s, f, clock_us, watermark_us)))
            code = part_end(s, f, error);
    }
    if (code == MILL_OK && s->at_once)
        code = publish(s, error);
    for (uint32_t i = 0; code == MILL_OK && s->commits && i < s->count; i++) {
        struct folder *f = s->folders[i];

        if (f->dirty && f->out == NULL &&
            (triggered(s, f, clock_us, watermark_us) ||
             (!s->by_partition_time && s->delay_us == 0)))
            code = commit_folder(s, f, error);
    }
    return code;
}

static int file_finish(struct sink *sink, struct mill_error *error)
{
    struct file_sink *s = (struct file_sink *)sink;
    int code = MILL_OK;

    if (!s->is_folder && s->count == 0 && folder_add(s, "", 0) == NULL)
        code = mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a sink");
    if (code == MILL_OK && !s->is_folder) /* no rows: an empty file */
        code = need_part(s, s->folders[0], error);
    for (uint32_t i = 0; code == MILL_OK && i < s->count; i++)
        code = part_end(s, s->folders[i], error);
    if (code == MILL_OK)
        code = publish(s, error);
    for (uint32_t i = 0; code == MILL_OK && s->commits && i < s->count; i++)
        if (s->folders[i]->dirty)
            code = commit_folder(s, s->folders[i], error);
    return code;
}

static void file_abort(struct sink *sink)
{
    struct file_sink *s = (struct file_sink *)sink;

    for (uint32_t i = 0; i < s->count; i++) {
        out_free(s->folders[i]->out);
        s->folders[i]->out = NULL;
    }
    while (s->whole != NULL) {
        struct out_file *out = s->whole;

        s->whole = out->next;
        out_free(out);
    }
    s->whole_last = &s->whole;
}

static void file_close(struct sink *sink)
{
    struct file_sink *s = (struct file_sink *)sink;

    file_abort(sink);
    for (uint32_t i = 0; i < s->count; i++)
        heap_free(s->heap, s->folders[i]->picked, BATCH_ROWS_MAX * sizeof(uint16_t));
    heap_free(s->heap, s->folders, s->room * sizeof *s->folders);
    heap_free(s->heap, s->slots, s->slot_count * sizeof *s->slots);
    arena_close(&s->arena);
    heap_free(s->heap, s, sizeof *s);
}

/* ---- opening ---- */

static int split_columns(struct file_sink *s, struct mill_error *error)
{
    const struct mill_schema *all = s->config.schema;
    struct mill_field *fields = arena_array(&s->arena, struct mill_field, all->field_count + 1);
    uint32_t n = 0;

    s->kept = arena_array(&s->arena, uint32_t, all->field_count + 1);
    if (fields == NULL || s->kept == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a sink");
    for (uint32_t i = 0; i < all->field_count; i++) {
        bool is_partition = false;

        for (uint32_t k = 0; k < s->config.partition_count; k++)
            is_partition = is_partition || s->config.partition_by[k] == i;
        if (is_partition)
            continue;
        s->kept[n] = i;
        fields[n++] = all->fields[i];
    }
    if (n == 0 || n > 1024)
        return mill_fail(error, MILL_E_OPTION, s->config.options->line, s->config.options->column,
                         "table %s: %s", s->config.options->table,
                         n == 0 ? "all columns are partition columns, none is left for the files"
                                : "more than 1024 columns");
    s->schema = (struct mill_schema){.field_count = n, .fields = fields};
    s->inner = s->config;
    s->inner.schema = &s->schema;
    return MILL_OK;
}

/* A row or an error would show it late: the folder can be written. A file is begun at once. */
static int begin(struct file_sink *s, struct mill_error *error)
{
    struct format_writer *writer = NULL;
    struct folder *f;
    int code = s->format->writer_open(&s->inner, &writer, error);

    if (writer != NULL)
        writer->vtable->writer_close(writer);
    if (code == MILL_OK)
        code = check_options(s, error);
    if (code != MILL_OK || s->config.check_only)
        return code;
    if (s->is_folder) {
        code = s->env->file.make_folder(s->env->self, s->path);
        return code < 0 ? mill_fail_os(error, MILL_E_IO, code,
                                       "cannot make the folder %s (table "
                                       "%s)",
                                       s->path, s->config.options->table)
                        : MILL_OK;
    }
    f = folder_add(s, "", 0);
    return f != NULL ? need_part(s, f, error)
                     : mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a sink");
}

static int file_open(const struct sink_config *config, struct sink **out, struct mill_error *error)
{
    const struct format_vtable *format = format_find(config->options, NULL, error);
    const char *path = option_text(config->options, "path", NULL);
    struct file_sink *s;

    if (format == NULL)
        return error->code;
    if (format->writer_open == NULL)
        return mill_fail(error, MILL_E_UNSUPPORTED, config->options->line, config->options->column,
                         "table %s: the format '%s' can only be read", config->options->table,
                         format->name);
    s = heap_zalloc(config->heap, sizeof *s);
    if (s == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a sink");
    s->sink.vtable = &filesystem_sink;
    s->config = *config;
    s->env = config->env;
    s->heap = config->heap;
    s->format = format;
    s->whole_last = &s->whole;
    arena_open(&s->arena, s->heap);
    s->path = path != NULL && strncmp(path, "file://", 7) == 0 ? path + 7 : path;
    if (read_options(s, error) == MILL_OK && split_columns(s, error) == MILL_OK &&
        begin(s, error) == MILL_OK) {
        *out = &s->sink;
        return MILL_OK;
    }
    file_close(&s->sink);
    return error->code;
}

const struct sink_vtable filesystem_sink = {.name = "filesystem",
                                            .open = file_open,
                                            .write = file_write,
                                            .commit_at = file_commit,
                                            .finish = file_finish,
                                            .abort = file_abort,
                                            .close = file_close};
