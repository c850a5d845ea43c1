/* io/infer.c - the schema of a file from its first megabyte: FROM 'file.csv', 'file.json', compressed too.
 *
 * Of CSV:
 * The first row is a header when none of its fields is a number or a time and some field below is, or when all its fields
 * are distinct words. A column's type is the narrowest of BIGINT, DECIMAL(n, 0), DOUBLE, BOOLEAN, DATE, TIMESTAMP(3, 6 or 9)
 * and STRING that all its values fit; digits behind a leading zero are no number.
 */
#include "core/source.h"
#include "core/values.h"
#include "io/capture.h"
#include "io/columnar.h"
#include "io/infer.h"
#include "io/unpack.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#define SAMPLE_BYTES (1u << 20)
#define SAMPLE_SPARE 128u
#define COLUMNS_MAX 4096u

struct guess {
    bool any, integer, whole, real, boolean, date, time;
    uint32_t digits;     /* of a second */
    uint32_t whole_most; /* of a whole number */
};

struct sample {
    const char *next, *end;
    char delimiter;
};

static bool next_field(struct sample *s, const char **text, uint32_t *length, bool *last)
{
    const char *start = s->next, *stop;

    if (s->next >= s->end)
        return false;
    if (*start == '"') {
        for (stop = start + 1;
             stop < s->end && (*stop != '"' || (stop + 1 < s->end && stop[1] == '"')); stop++)
            stop += *stop == '"';
        *text = start + 1;
        *length = (uint32_t)(stop - start - 1);
        stop++;
    } else {
        for (stop = start; stop < s->end && *stop != s->delimiter && *stop != '\n'; stop++)
            ;
        *text = start;
        *length = (uint32_t)(stop - start);
        if (*length > 0 && start[*length - 1] == '\r')
            --*length;
    }
    while (stop < s->end && *stop != s->delimiter && *stop != '\n')
        stop++;
    *last = stop >= s->end || *stop == '\n';
    s->next = stop < s->end ? stop + 1 : s->end;
    return true;
}

/* Digits of a whole number, 0: it is none. */
static uint32_t whole_digits(const char *t, uint32_t n)
{
    const uint32_t sign = n > 0 && (t[0] == '-' || t[0] == '+');

    for (uint32_t i = sign; i < n; i++)
        if (t[i] < '0' || t[i] > '9')
            return 0;
    return n - sign;
}

static bool fits_bigint(const char *t, uint32_t n)
{
    int128 v;

    return decimal_parse(t, n, 38, 0, &v) && v >= INT64_MIN && v <= INT64_MAX;
}

/* 007: what is more than a number is text. */
static bool is_padded(const char *t, uint32_t n)
{
    const uint32_t sign = n > 0 && (t[0] == '-' || t[0] == '+');

    return n > sign + 1 && t[sign] == '0' && t[sign + 1] >= '0' && t[sign + 1] <= '9';
}

static void look(struct guess *g, const char *t, uint32_t n)
{
    const struct mill_type nanos = type_time(MILL_TIMESTAMP, 9);
    const char *point = memchr(t, '.', n);
    const uint32_t whole = whole_digits(t, n);
    double d;
    int32_t day;
    int64_t time;

    if (n == 0)
        return;
    if (!g->any)
        *g = (struct guess){true, true, true, true, true, true, true, 0, 0};
    g->whole = g->whole && whole > 0 && !is_padded(t, n);
    g->whole_most = max_u32(g->whole_most, whole);
    g->integer = g->integer && g->whole && fits_bigint(t, n);
    g->real = g->real && !is_padded(t, n) && double_parse(t, n, &d);
    g->boolean = g->boolean && ((n == 4 && strncasecmp(t, "true", 4) == 0) ||
                                (n == 5 && strncasecmp(t, "false", 5) == 0));
    g->date = g->date && n <= 10 && date_parse(t, n, &day);
    g->time = g->time && n > 10 && time_parse(t, n, &nanos, &time);
    if (point != NULL)
        g->digits = max_u32(g->digits, (uint32_t)(t + n - point - 1));
}

/* What all values of two runs fit. */
static struct guess both(const struct guess *a, const struct guess *b)
{
    return (struct guess){.any = true,
                          .integer = a->integer && b->integer,
                          .whole = a->whole && b->whole,
                          .real = a->real && b->real,
                          .boolean = a->boolean && b->boolean,
                          .date = a->date && b->date,
                          .time = a->time && b->time,
                          .digits = max_u32(a->digits, b->digits),
                          .whole_most = max_u32(a->whole_most, b->whole_most)};
}

static struct mill_type type_of(const struct guess *g)
{
    if (g->any && g->integer)
        return type_make(MILL_BIGINT);
    if (g->any && g->whole)
        return g->whole_most <= 38 ? type_decimal(g->whole_most, 0) : type_string();
    if (g->any && g->real)
        return type_make(MILL_DOUBLE);
    if (g->any && g->boolean)
        return type_make(MILL_BOOLEAN);
    if (g->any && g->date)
        return type_make(MILL_DATE);
    if (g->any && g->time)
        return type_time(MILL_TIMESTAMP, g->digits <= 3 ? 3 : g->digits <= 6 ? 6 : 9);
    return type_string();
}

static char guess_delimiter(const char *bytes, size_t length)
{
    static const char candidates[] = ",;\t|";
    const char *newline = memchr(bytes, '\n', length);
    const size_t n = newline != NULL ? (size_t)(newline - bytes) : length;
    size_t best = 0;
    char found = ',';

    for (const char *c = candidates; *c != '\0'; c++) {
        size_t count = 0;

        for (size_t i = 0; i < n; i++)
            count += bytes[i] == *c;
        if (count > best) {
            best = count;
            found = *c;
        }
    }
    return found;
}

/* In quotes each quote stands twice. */
static const char *plain_name(struct arena *arena, const char *text, uint32_t length, bool quoted)
{
    char *name = arena_alloc(arena, length + 1);
    uint32_t n = 0;

    for (uint32_t i = 0; name != NULL && i < length; i++) {
        name[n++] = text[i];
        i += quoted && text[i] == '"';
    }
    if (name != NULL)
        name[n] = '\0';
    return name;
}

/* Names of the first row; whether it is a header is told by the types below it. */
static uint32_t read_header(struct sample *s, struct arena *arena, struct mill_field *fields,
                            struct guess *guesses, bool *header)
{
    uint32_t n = 0, length;
    const char *text, *start = s->next;
    bool last = false;

    *header = true;
    for (; !last && n < COLUMNS_MAX && next_field(s, &text, &length, &last); start = s->next) {
        struct guess g = {0};

        look(&g, text, length);
        *header = *header && length > 0 &&
                  !(g.any && (g.integer || g.real || g.boolean || g.date || g.time));
        fields[n].name = plain_name(arena, text, length, *start == '"');
        look(&guesses[n], text, length);
        n++;
    }
    return n;
}

static void read_rows(struct sample *s, struct guess *guesses, uint32_t count)
{
    while (s->next < s->end) {
        const char *text;
        uint32_t length, i = 0;
        bool last = false;

        /* the last line of the sample may be cut off */
        if (memchr(s->next, '\n', (size_t)(s->end - s->next)) == NULL)
            return;
        while (!last && next_field(s, &text, &length, &last))
            if (i < count)
                look(&guesses[i++], text, length);
    }
}

static void make_options(struct arena *arena, struct options *options, const char *path,
                         char delimiter, bool header)
{
    struct option *items = arena_array(arena, struct option, 5);
    bool *used = arena_array(arena, bool, 5);
    uint32_t n = 0;

    items[n++] = (struct option){.key = "connector", .value = "filesystem"};
    items[n++] = (struct option){.key = "path", .value = arena_text(arena, path, strlen(path))};
    items[n++] = (struct option){.key = "format", .value = "csv"};
    items[n++] =
        (struct option){.key = "csv.field-delimiter", .value = arena_text(arena, &delimiter, 1)};
    if (header)
        items[n++] = (struct option){.key = "csv.ignore-first-line", .value = "true"};
    for (uint32_t i = 0; i < n; i++)
        items[i].used = &used[i];
    *options = (struct options){.items = items, .count = n, .table = path};
}

/* The first SAMPLE_BYTES of what @from, maybe the beginning of a file, expands to. False: damaged, or no memory. */
static bool expand(struct heap *heap, const char *from, size_t length, char *to, size_t *expanded)
{
    struct unpack *u = unpack_open(heap, compression_of_bytes(from));
    const char *fault = NULL;
    size_t taken = 0;
    int64_t n = u != NULL ? 0 : -1;

    *expanded = 0;
    while (n >= 0 && *expanded < SAMPLE_BYTES) {
        if (unpack_hungry(u)) {
            size_t room;
            char *input = unpack_input(u, &room);
            const size_t some = room < length - taken ? room : length - taken;

            if (some == 0)
                break;
            memcpy(input, from + taken, some);
            unpack_fed(u, some);
            taken += some;
        }
        n = unpack_some(u, to + *expanded, SAMPLE_BYTES - *expanded, &fault);
        *expanded += n > 0 ? (size_t)n : 0;
        if (n == 0 && !unpack_hungry(u))
            break;
    }
    unpack_close(u);
    return n >= 0 || *expanded > 0; /* what is damaged further on is the reader's to say */
}

static size_t first_line(const struct sample *s)
{
    const size_t bytes = (size_t)(s->end - s->next);
    const char *newline = memchr(s->next, '\n', bytes);

    return newline != NULL ? (size_t)(newline - s->next) : bytes;
}

/* Reads up to SAMPLE_BYTES to @to, which has room for a newline and padding more. @whole: there is no more. */
static int read_sample(const struct env *env, const char *path, struct arena *arena, char *to,
                       size_t *length, bool *whole, struct mill_error *error)
{
    const int handle = env->file.open(env->self, path, ENV_READ);
    int64_t n;

    if (handle == -ENOENT && strpbrk(path, "*?[") != NULL)
        return mill_fail(error, MILL_E_NO_INPUT, 0, 0,
                         "there is no file '%s'; a table reads the files of a pattern, CREATE "
                         "TABLE "
                         "... WITH ('connector' = 'filesystem', 'path' = '%s', ...)",
                         path, path);
    if (handle < 0)
        return mill_fail_os(error, MILL_E_NO_INPUT, handle, "cannot open '%s'", path);
    n = env->file.pread(env->self, handle, to, SAMPLE_BYTES, 0);
    env->file.close(env->self, handle);
    if (n == -EISDIR)
        return mill_fail(error, MILL_E_NO_INPUT, 0, 0,
                         "'%s' is a folder: a table reads it, CREATE TABLE ... WITH ('connector' = "
                         "'filesystem', 'path' = '%s', ...); info prints one",
                         path, path);
    if (n == -ESPIPE)
        return mill_fail(error, MILL_E_NO_INPUT, 0, 0,
                         "'%s' is a pipe, whose columns cannot be guessed: CREATE TABLE ... WITH "
                         "('connector' = 'stdin', ...)",
                         path);
    if (n < 0)
        return mill_fail_os(error, MILL_E_NO_INPUT, (int)n, "cannot read '%s'", path);
    *length = (size_t)n;
    *whole = n < SAMPLE_BYTES;
    if (n >= 4 && compression_of_bytes(to) != PLAIN) {
        char *packed = arena_alloc(arena, (size_t)n);

        memcpy(packed, to, (size_t)n);
        if (!expand(arena->heap, packed, (size_t)n, to, length) || *length == 0)
            return mill_fail(error, MILL_E_DATA, 0, 0,
                             "'%s': the compressed data is damaged, cut off or empty", path);
        *whole = *whole && *length < SAMPLE_BYTES;
    } else if (n > 0 && compression_of(path) != PLAIN)
        return mill_fail(error, MILL_E_DATA, 0, 0, "'%s' is no %s data, though its name says so",
                         path, compression_of(path) == GZIP ? "gzip" : "zstd");
    memset(to + *length, 0, SAMPLE_SPARE);
    to[*length] = '\n';
    return *length > 0
               ? MILL_OK
               : mill_fail(error, MILL_E_NO_INPUT, 0, 0, "'%s' is empty: it has no columns", path);
}

int infer_file(const struct env *env, const char *path, struct arena *arena,
               struct mill_schema *schema, struct options *options, char *info, size_t info_bytes,
               struct mill_error *error)
{
    char *bytes = arena_alloc(arena, SAMPLE_BYTES + SAMPLE_SPARE);
    struct mill_field *fields = arena_array(arena, struct mill_field, COLUMNS_MAX);
    struct guess *first = arena_array(arena, struct guess, COLUMNS_MAX);
    struct guess *rest = arena_array(arena, struct guess, COLUMNS_MAX);
    struct sample s;
    size_t length = 0;
    uint32_t count;
    bool header, columnar, whole = false;
    char fault[120];
    int code;

    code = columnar_infer(env, path, arena, schema, options, &columnar, error);
    if (code != MILL_OK || columnar)
        return code;
    if (capture_infer(env, path, arena, schema, options, info, info_bytes))
        return MILL_OK;
    code = read_sample(env, path, arena, bytes, &length, &whole, error);
    if (code != MILL_OK)
        return code;
    if (infer_is_json(path, bytes, length))
        return infer_json(path, bytes, length, whole, arena, schema, options, info, info_bytes,
                          error);
    s = (struct sample){bytes, bytes + length, guess_delimiter(bytes, length)};
    if (length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
        s.next += 3;
    if (text_fault(s.next, first_line(&s), " of the first line", fault, sizeof fault))
        return mill_fail(error, MILL_E_DATA, 0, 0, "'%s': %s", path, fault);
    count = read_header(&s, arena, fields, first, &header);
    read_rows(&s, rest, count);
    for (uint32_t i = 0; i < count; i++) {
        if (!header && first[i].any)
            rest[i] = rest[i].any ? both(&rest[i], &first[i]) : first[i];
        fields[i].type = type_of(&rest[i]);
        if (!header)
            fields[i].name = arena_format(arena, "f%u", i);
    }
    *schema = (struct mill_schema){count, fields};
    make_options(arena, options, path, s.delimiter, header);
    if (info != NULL)
        snprintf(info, info_bytes, "format: csv\ndelimiter: %c\nheader: %s\ncolumns: %u\n",
                 s.delimiter, header ? "yes" : "no", count);
    return MILL_OK;
}
