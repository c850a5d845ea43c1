/* tools/files.c - millstream convert IN OUT, millstream info PATH: through SQL and the public API alone.
 *
 * convert is INSERT INTO out SELECT * FROM in. info reads every row of every file once, so that it also checks them.
 */
#include "tools/files.h"

#include "core/millstream.h"

#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define EXIT_USAGE 64
#define EXIT_NO_INPUT 66
#define TEXT_BYTES ((size_t)4 << 20)

static int usage(const char *what, const char *value)
{
    fprintf(stderr, "millstream: %s%s%s; millstream help shows how it is called\n", what,
            value != NULL ? " " : "", value != NULL ? value : "");
    return EXIT_USAGE;
}

static int report(const struct mill_error *error)
{
    fprintf(stderr, "millstream: %s\n", error->message);
    return mill_exit_code(error->code);
}

static void put_quoted(FILE *to, const char *text, size_t length)
{
    fputc('\'', to);
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\'')
            fputc('\'', to);
        fputc(text[i], to);
    }
    fputc('\'', to);
}

/* , 'key' = 'value' of KEY=VALUE */
static void put_option(FILE *to, const char *pair)
{
    const char *equals = strchr(pair, '=');

    fputs(", ", to);
    put_quoted(to, pair, (size_t)(equals - pair));
    fputs(" = ", to);
    put_quoted(to, equals + 1, strlen(equals + 1));
}

static bool ends_with(const char *text, size_t length, const char *end)
{
    const size_t n = strlen(end);

    return length >= n && memcmp(text + length - n, end, n) == 0;
}

const char *format_of(const char *path)
{
    static const char *const names[][2] = {{".csv", "csv"},      {".txt", "csv"},
                                           {".tsv", "csv"},      {".json", "json"},
                                           {".jsonl", "json"},   {".ndjson", "json"},
                                           {".mcol", "columnar"}};
    size_t n = strlen(path);

    n -= ends_with(path, n, ".gz") ? 3 : ends_with(path, n, ".zst") ? 4 : 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (ends_with(path, n, names[i][0]))
            return names[i][1];
    return NULL;
}

/* ---- which files ---- */

/* A file, the files of a folder, those of a glob; sorted. */
static int find_files(const char *path, glob_t *out)
{
    struct stat s;
    char pattern[4200];
    const bool found = stat(path, &s) == 0;

    memset(out, 0, sizeof *out);
    if (found && !S_ISDIR(s.st_mode)) {
        out->gl_pathv = malloc(2 * sizeof(char *));
        if (out->gl_pathv == NULL || (out->gl_pathv[0] = strdup(path)) == NULL)
            abort();
        out->gl_pathv[1] = NULL;
        out->gl_pathc = 1;
        return 0;
    }
    snprintf(pattern, sizeof pattern, found ? "%s/[!._]*" : "%s", path);
    if (glob(pattern, 0, NULL, out) == 0 && out->gl_pathc > 0)
        return 0;
    globfree(out);
    if (found)
        fprintf(stderr, "millstream: the folder %s has no files to read\n", path);
    else
        fprintf(stderr, "millstream: cannot read %s: %s\n", path, strerror(ENOENT));
    return EXIT_NO_INPUT;
}

/* ---- convert ---- */

struct convert {
    const char *in, *out, *format, *schema;
    const char *in_options[32], *out_options[32];
    unsigned in_count, out_count;
    bool quiet, no_header;
    uint64_t rows;
    double seconds;
};

/* A file or folder that both paths name, maybe through links. */
static bool same_file(const char *a, const char *b)
{
    struct stat s, t;

    return stat(a, &s) == 0 && stat(b, &t) == 0 && s.st_dev == t.st_dev && s.st_ino == t.st_ino &&
           (S_ISREG(s.st_mode) || S_ISDIR(s.st_mode));
}

/* Rows are not read from where they are written to. */
static int refuse_same(const struct convert *c, const glob_t *files)
{
    bool same = same_file(c->in, c->out);

    for (size_t i = 0; i < files->gl_pathc && !same; i++)
        same = same_file(files->gl_pathv[i], c->out);
    if (!same)
        return 0;
    fprintf(stderr,
            "millstream: %s is read and would be replaced: convert to another name, then rename\n",
            c->out);
    return EXIT_USAGE;
}

static int convert_options(struct convert *c, int count, char **args)
{
    for (int i = 0; i < count; i++) {
        const char *name = args[i], *value = i + 1 < count ? args[i + 1] : NULL;
        const bool in = strcmp(name, "-i") == 0, out = strcmp(name, "-o") == 0;
        const bool format = strcmp(name, "--format") == 0, schema = strcmp(name, "--schema") == 0;

        if (strcmp(name, "--quiet") == 0) {
            c->quiet = true;
        } else if (strcmp(name, "--header") == 0 || strcmp(name, "--no-header") == 0) {
            c->no_header = name[2] == 'n';
        } else if (in || out || format || schema) {
            if (value == NULL)
                return usage("a value is missing behind", name);
            i++;
            if (format)
                c->format = value;
            else if (schema)
                c->schema = value;
            else if (strchr(value, '=') == NULL || c->in_count == 32 || c->out_count == 32)
                return usage("-i and -o need KEY=VALUE, not", value);
            else if (in)
                c->in_options[c->in_count++] = value;
            else
                c->out_options[c->out_count++] = value;
        } else if (name[0] == '-') {
            return usage("convert has no option", name);
        } else if (c->in == NULL) {
            c->in = name;
        } else if (c->out == NULL) {
            c->out = name;
        } else {
            return usage("convert takes IN and OUT; what is", name);
        }
    }
    return c->out != NULL ? 0 : usage("convert needs IN and OUT", NULL);
}

/* CREATE TABLE source, as told or guessed. */
static int put_source(const struct convert *c, FILE *sql)
{
    const struct mill_describe how = {"source", c->in, NULL};
    struct mill_error error = {0};
    glob_t files;
    char *text;
    int code = find_files(c->in, &files);

    if (code != 0)
        return code;
    code = refuse_same(c, &files);
    if (code != 0) {
        globfree(&files);
        return code;
    }
    if (c->schema != NULL) {
        const char *format = format_of(files.gl_pathv[0]);

        fprintf(sql,
                "CREATE TABLE source (%s) WITH ('connector' = 'filesystem', 'path' = ", c->schema);
        put_quoted(sql, c->in, strlen(c->in));
        fprintf(sql, ", 'format' = '%s');\n", format != NULL ? format : "csv");
    } else {
        text = malloc(TEXT_BYTES);
        if (text == NULL)
            abort();
        if (mill_describe_file(files.gl_pathv[0], &how, text, TEXT_BYTES, &error) == MILL_OK)
            fputs(text, sql);
        else
            code = report(&error);
        free(text);
    }
    globfree(&files);
    return code;
}

/* 'csv.write-header', unless -o says it. */
static void put_header_option(const struct convert *c, FILE *sql)
{
    static const char key[] = "csv.write-header=";

    if (strcmp(c->format, "csv") != 0)
        return;
    for (unsigned i = 0; i < c->out_count; i++)
        if (strncmp(c->out_options[i], key, sizeof key - 1) == 0)
            return;
    put_option(sql, c->no_header ? "csv.write-header=false" : "csv.write-header=true");
}

static void convert_end(void *user, mill_query *query, int code)
{
    struct convert *c = user;
    struct mill_stats s;

    (void)code;
    mill_query_stats(query, &s);
    c->rows = s.rows_out;
    c->seconds = s.seconds;
}

static int convert_run(struct convert *c, FILE *sql, char **text)
{
    const struct mill_callbacks callbacks = {.user = c, .on_end = convert_end};
    struct mill_config config;
    struct mill_error error = {0};
    mill_engine *engine;
    int code = put_source(c, sql);

    fputs("CREATE TABLE input WITH ('connector' = 'filesystem'", sql);
    for (unsigned i = 0; i < c->in_count; i++)
        put_option(sql, c->in_options[i]);
    fputs(") LIKE source;\nCREATE TABLE output WITH ('connector' = 'filesystem', 'path' = ", sql);
    put_quoted(sql, c->out, strlen(c->out));
    fputs(", 'format' = ", sql);
    put_quoted(sql, c->format, strlen(c->format));
    for (unsigned i = 0; i < c->out_count; i++)
        put_option(sql, c->out_options[i]);
    put_header_option(c, sql);
    fprintf(sql, ") LIKE source (EXCLUDING ALL);\nINSERT INTO output SELECT * FROM %s;\n",
            c->in_count > 0 ? "input" : "source");
    if (fclose(sql) != 0 || code != 0)
        return code;
    mill_config_init(&config);
    engine = mill_engine_open(&config, &error);
    if (engine == NULL || mill_execute(engine, *text, &callbacks, &error) != MILL_OK)
        code = report(&error);
    mill_engine_close(engine);
    return code;
}

int convert_main(int count, char **args)
{
    struct convert c = {0};
    int code = convert_options(&c, count, args);
    size_t length;
    char *text = NULL;
    FILE *sql;

    if (code != 0)
        return code;
    if (ends_with(c.out, strlen(c.out), ".gz") || ends_with(c.out, strlen(c.out), ".zst"))
        return usage("files are read compressed, not written: convert to", "a name without .gz");
    if (c.format == NULL)
        c.format = format_of(c.out);
    if (c.format == NULL)
        return usage("the name of OUT tells no format (.csv, .json, .mcol): give --format for",
                     c.out);
    sql = open_memstream(&text, &length);
    if (sql == NULL)
        abort();
    code = convert_run(&c, sql, &text);
    free(text);
    if (code == 0 && !c.quiet)
        fprintf(stderr, "%" PRIu64 " rows, %.3f s\n", c.rows, c.seconds);
    return code;
}

/* ---- info ---- */

struct column {
    char *name;
    struct mill_type type;               /* without fields */
    uint64_t nulls, behind;              /* behind: rows before the greatest time so far */
    int64_t low, high, latest, lateness; /* latest: of this file */
    bool any, any_here;
};

struct info {
    struct column *columns;
    uint32_t column_count;
    uint64_t rows, bytes, blocks;
    const char *path;
};

static bool is_time(const struct column *c)
{
    return c->type.kind == MILL_TIMESTAMP || c->type.kind == MILL_TIMESTAMP_LTZ;
}

static void on_schema(void *user, mill_query *query, const struct mill_schema *schema)
{
    struct info *info = user;

    (void)query;
    if (info->columns == NULL) {
        info->columns = calloc(schema->field_count + 1, sizeof *info->columns);
        if (info->columns == NULL)
            abort();
        info->column_count = schema->field_count;
        for (uint32_t i = 0; i < schema->field_count; i++) {
            info->columns[i].name = strdup(schema->fields[i].name);
            info->columns[i].type = schema->fields[i].type;
            info->columns[i].type.fields = NULL;
        }
    }
    for (uint32_t i = 0; i < info->column_count; i++)
        info->columns[i].any_here = false;
}

static void note_time(struct column *c, int64_t value)
{
    if (!c->any || value < c->low)
        c->low = value;
    if (!c->any || value > c->high)
        c->high = value;
    c->any = true;
    if (!c->any_here || value >= c->latest) {
        c->latest = value;
        c->any_here = true;
        return;
    }
    c->behind++;
    if (c->latest - value > c->lateness)
        c->lateness = c->latest - value;
}

static int on_batch(void *user, mill_query *query, const struct mill_batch *batch)
{
    struct info *info = user;

    (void)query;
    info->rows += batch->rows;
    for (uint32_t k = 0; k < info->column_count; k++) {
        struct column *c = &info->columns[k];
        const struct mill_column *from = &batch->columns[k];

        if (from->validity == NULL && !is_time(c))
            continue;
        for (uint32_t i = 0; i < batch->rows; i++) {
            const bool valid =
                from->validity == NULL || (from->validity[i / 64] >> (i % 64) & 1) != 0;

            c->nulls += !valid;
            if (valid && is_time(c))
                note_time(c, ((const int64_t *)from->values)[i]);
        }
    }
    return 0;
}

/* One file, in its own order. */
static int info_file(struct info *info, const char *first, const char *file, char *text)
{
    const struct mill_callbacks callbacks = {.user = info,
                                             .on_schema = on_schema,
                                             .on_batch = on_batch};
    const struct mill_describe how = {"t", file, NULL};
    struct mill_config config;
    struct mill_error error = {0};
    mill_engine *engine;
    int code;

    if (mill_describe_file(first, &how, text, TEXT_BYTES - 64, &error) != MILL_OK)
        return report(&error);
    strcat(text, "SELECT * FROM t;");
    mill_config_init(&config);
    engine = mill_engine_open(&config, &error);
    code = engine != NULL ? mill_execute(engine, text, &callbacks, &error) : error.code;
    mill_engine_close(engine);
    return code != MILL_OK ? report(&error) : 0;
}

static const char *compression_of(const char *path)
{
    unsigned char begin[4] = {0};
    FILE *file = fopen(path, "re");
    size_t n = 0;

    if (file != NULL) {
        n = fread(begin, 1, sizeof begin, file);
        fclose(file);
    }
    return n >= 2 && begin[0] == 0x1f && begin[1] == 0x8b                   ? "gzip"
           : n == 4 && memcmp(begin, "\x28\xb5\x2f\xfd", sizeof begin) == 0 ? "zstd"
                                                                            : "none";
}

/* Of a columnar file that has been read whole, from its end section (docs/COLUMNAR.md). 0: it is none. */
static uint32_t blocks_of(const char *path)
{
    unsigned char trailer[64];
    uint64_t end;
    uint32_t blocks = 0;
    FILE *file = fopen(path, "re");

    if (file == NULL)
        return 0;
    if (fseek(file, -64, SEEK_END) == 0 && fread(trailer, 1, 64, file) == 64 &&
        memcmp(trailer + 56, "\x1a\n\rLOCM\x89", 8) == 0) {
        memcpy(&end, trailer, sizeof end);
        if (fseek(file, (long)(end + 24), SEEK_SET) != 0 ||
            fread(&blocks, sizeof blocks, 1, file) != 1)
            blocks = 0;
    }
    fclose(file);
    return blocks;
}

static void put_time(const struct mill_type *type, int64_t value)
{
    const int64_t unit = type->precision > 6 ? 1000000000 : 1000000;
    time_t seconds = (time_t)(value / unit - (value % unit < 0));
    const int64_t rest = value - (int64_t)seconds * unit;
    char digits[16];
    struct tm t;

    gmtime_r(&seconds, &t);
    snprintf(digits, sizeof digits, unit == 1000000 ? "%06" PRId64 : "%09" PRId64, rest);
    printf("%04d-%02d-%02d %02d:%02d:%02d%s%.*s", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,
           t.tm_hour, t.tm_min, t.tm_sec, type->precision > 0 ? "." : "", (int)type->precision,
           digits);
}

static void put_columns(const struct info *info)
{
    for (uint32_t i = 0; i < info->column_count; i++) {
        const struct column *c = &info->columns[i];
        const double unit = c->type.precision > 6 ? 1e9 : 1e6;

        if (c->nulls > 0)
            printf("nulls: %s %" PRIu64 " of %" PRIu64 "\n", c->name, c->nulls, info->rows);
        if (!is_time(c) || !c->any)
            continue;
        printf("time range: %s ", c->name);
        put_time(&c->type, c->low);
        printf(" to ");
        put_time(&c->type, c->high);
        printf("\ndisorder: %s %" PRIu64 " rows (%.2f %%) behind, by at most %.9g s\n", c->name,
               c->behind, 100.0 * (double)c->behind / (double)(info->rows > 0 ? info->rows : 1),
               (double)c->lateness / unit);
    }
}

/* The statement, with a watermark that makes no row late. */
static int put_statement(const struct info *info, const char *first, char *text)
{
    struct mill_describe how = {"t", info->path, NULL};
    struct mill_error error = {0};
    char *line = NULL;
    size_t length;

    for (uint32_t i = 0; i < info->column_count && how.extra == NULL; i++) {
        const struct column *c = &info->columns[i];
        const int64_t unit = c->type.precision > 6 ? 1000000000 : 1000000;
        const int64_t seconds = (c->lateness + unit - 1) / unit;
        FILE *to;

        if (!is_time(c) || (to = open_memstream(&line, &length)) == NULL)
            continue;
        fprintf(to, "WATERMARK FOR `%s` AS `%s`", c->name, c->name);
        if (seconds > 0 && seconds < 100)
            fprintf(to, " - INTERVAL '%" PRId64 "' SECOND", seconds);
        else if (seconds > 0)
            fprintf(to, " - INTERVAL '%" PRId64 "' DAY", (seconds + 86399) / 86400);
        fclose(to);
        how.extra = line;
    }
    if (mill_describe_file(first, &how, text, TEXT_BYTES, &error) != MILL_OK)
        return report(&error);
    printf("\n%s", text);
    free(line);
    return 0;
}

static void put_summary(const struct info *info, const glob_t *files, const char *text)
{
    const char *format = strstr(text, "'format' = '");
    const char *connector = strstr(text, "'connector' = '");

    if (format != NULL)
        format += strlen("'format' = '");
    else if (connector != NULL)
        format = connector + strlen("'connector' = '");
    printf("format: %.*s\n", format != NULL ? (int)strcspn(format, "'") : 0,
           format != NULL ? format : "");
    printf("compression: %s\n", compression_of(files->gl_pathv[0]));
    if (files->gl_pathc > 1)
        printf("files: %zu\n", files->gl_pathc);
    printf("bytes: %" PRIu64 "\nrows: %" PRIu64 "\ncolumns: %u\n", info->bytes, info->rows,
           info->column_count);
    if (info->blocks > 0)
        printf("blocks: %" PRIu64 ", all checksums right\n", info->blocks);
    put_columns(info);
}

/* One line per file: what info_file() has read whole has right checksums. */
static int put_verified(const char *path, uint64_t rows)
{
    const uint32_t blocks = blocks_of(path);

    if (blocks == 0 && rows > 0) {
        fprintf(stderr, "millstream: %s is no columnar file: it has no checksums\n", path);
        return EXIT_USAGE;
    }
    printf("%s: %" PRIu64 " rows, %u blocks, all checksums right\n", path, rows, blocks);
    return 0;
}

int info_main(int count, char **args)
{
    const bool verify = count > 0 && strcmp(args[0], "--verify") == 0;
    struct info info = {0};
    char *text;
    glob_t files;
    int code;

    if (count != 1 + verify || args[verify][0] == '-')
        return usage("info takes one FILE, folder or glob, and --verify before it", NULL);
    text = malloc(TEXT_BYTES);
    info.path = args[verify];
    args += verify;
    code = text != NULL ? find_files(args[0], &files) : EXIT_USAGE;
    for (size_t i = 0; code == 0 && i < files.gl_pathc; i++) {
        const uint64_t before = info.rows;
        struct stat s;

        if (stat(files.gl_pathv[i], &s) == 0)
            info.bytes += (uint64_t)s.st_size;
        code = info_file(&info, files.gl_pathv[0], files.gl_pathv[i], text);
        info.blocks += blocks_of(files.gl_pathv[i]);
        if (code == 0 && verify)
            code = put_verified(files.gl_pathv[i], info.rows - before);
    }
    if (code == 0 && !verify) {
        put_summary(&info, &files, text);
        code = put_statement(&info, files.gl_pathv[0], text);
    }
    if (code != EXIT_NO_INPUT || info.columns != NULL)
        globfree(&files);
    for (uint32_t i = 0; i < info.column_count; i++)
        free(info.columns[i].name);
    free(info.columns);
    free(text);
    return code;
}
