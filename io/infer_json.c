/* io/infer_json.c - the schema of JSON lines from their first megabyte.
 *
 * A member's type is the narrowest of BIGINT, DECIMAL(n, 0), DOUBLE, BOOLEAN, DATE, TIMESTAMP or TIMESTAMP_LTZ(3, 6 or 9), ROW and STRING
 * that all its values fit; arrays, mixtures and members that are always null are STRING. Members stand in the order in
 * which they are met. Lines that are no JSON objects are left to the reader, which says what is wrong with them.
 */
#include "io/infer.h"
#include "io/json.h"

#include <stdio.h>

#define FIELDS_MAX 4096u

struct shape {
    const char *name;
    uint32_t name_length;
    bool seen; /* a value that is not null; then what all of them can be: */
    bool integer, whole, real, boolean, date, sql, iso, zoned, object;
    uint32_t whole_most; /* digits of a whole number, at most */
    uint32_t digits;     /* of a second, at most */
    struct shape *fields, *last, *next;
    uint32_t field_count;
};

static bool is_integer(const char *p, const char *end)
{
    int64_t v = 0;
    const bool negative = *p == '-';

    for (p += negative; p < end; p++) {
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_sub_overflow(v, *p - '0', &v))
            return false;
    }
    return negative || v > INT64_MIN;
}

static void look_text(struct shape *s, const char *p, uint32_t length)
{
    const struct mill_type date = type_make(MILL_DATE);
    const bool zoned = length > 0 && p[length - 1] == 'Z';
    const struct mill_type time = type_time(zoned ? MILL_TIMESTAMP_LTZ : MILL_TIMESTAMP, 6);
    const char *point = memchr(p, '.', length);
    int64_t value;

    if (s->zoned != zoned) /* some have a zone, some have none */
        s->sql = s->iso = false;
    s->integer = s->whole = s->real = s->boolean = false;
    s->date = s->date && json_time(false, &date, p, length, &value) == NULL;
    s->sql = s->sql && json_time(false, &time, p, length, &value) == NULL;
    s->iso = s->iso && json_time(true, &time, p, length, &value) == NULL;
    if (point != NULL)
        s->digits = max_u32(s->digits, (uint32_t)(p + length - point - 1) - zoned);
}

static const char *look_object(struct json_reader *r, struct arena *arena, struct shape *s,
                               const char *p);

static const char *look(struct json_reader *r, struct arena *arena, struct shape *s, const char *p)
{
    const char *end;

    if (json_is_null(p))
        return p + 4;
    end = *p == '{' ? p : json_skip(r, p);
    if (end == NULL)
        return NULL;
    if (!s->seen) {
        s->integer = s->whole = s->real = s->boolean = true;
        s->date = s->sql = s->iso = s->object = true;
        s->zoned = *p == '"' && end[-2] == 'Z';
    }
    s->seen = true;
    if (*p == '{') {
        s->integer = s->whole = s->real = s->boolean = false;
        s->date = s->sql = s->iso = false;
        return look_object(r, arena, s, p);
    }
    s->object = false;
    if (*p == '"') {
        look_text(s, p + 1, (uint32_t)(end - p - 2));
        return end;
    }
    s->date = s->sql = s->iso = false;
    if (*p == 't' || *p == 'f' || *p == '[') {
        s->integer = s->whole = s->real = false;
        s->boolean = s->boolean && *p != '[';
    } else {
        s->boolean = false;
        s->integer = s->integer && is_integer(p, end);
        s->whole = s->whole && strspn(p, "-0123456789") == (size_t)(end - p);
        s->whole_most = max_u32(s->whole_most, (uint32_t)(end - p) - (*p == '-'));
    }
    return end;
}

/* NULL: no memory, or too many. */
static struct shape *field_of(struct arena *arena, struct shape *s, const char *name,
                              uint32_t length)
{
    struct shape *f = s->fields;

    for (; f != NULL; f = f->next)
        if (f->name_length == length && memcmp(f->name, name, length) == 0)
            return f;
    f = s->field_count < FIELDS_MAX ? arena_new(arena, struct shape) : NULL;
    if (f == NULL)
        return NULL;
    f->name = arena_text(arena, name, length);
    f->name_length = length;
    if (s->last != NULL)
        s->last->next = f;
    else
        s->fields = f;
    s->last = f;
    s->field_count++;
    return f->name != NULL ? f : NULL;
}

static const char *look_object(struct json_reader *r, struct arena *arena, struct shape *s,
                               const char *p)
{
    if (r->depth++ == JSON_DEPTH_MAX)
        return NULL;
    p = json_space(p + 1);
    if (*p == '}') {
        r->depth--;
        return p + 1;
    }
    for (;; p = json_space(p + 1)) {
        const char *end = *p == '"' ? json_skip_string(r, p) : NULL;
        struct shape *field;
        struct json_text name;

        if (end == NULL)
            return NULL;
        name = json_unescape(r, arena, p + 1, end - 1);
        p = json_space(end);
        if (name.length == UINT32_MAX || *p != ':')
            return NULL;
        field = field_of(arena, s, name.bytes, name.length);
        p = json_space(p + 1);
        p = field != NULL ? look(r, arena, field, p) : json_skip(r, p);
        if (p == NULL)
            return NULL;
        p = json_space(p);
        if (*p != ',')
            break;
    }
    r->depth--;
    return *p == '}' ? p + 1 : NULL;
}

/* How many times in each form there are. */
static void count_forms(const struct shape *s, uint32_t *sql, uint32_t *iso)
{
    for (const struct shape *f = s->fields; f != NULL; f = f->next) {
        *sql += f->seen && f->sql;
        *iso += f->seen && f->iso;
        count_forms(f, sql, iso);
    }
}

static bool fields_of(struct arena *arena, const struct shape *s, bool iso,
                      struct mill_field **fields);

static bool type_of(struct arena *arena, const struct shape *s, bool iso, struct mill_type *type)
{
    *type = type_string();
    if (!s->seen)
        return true;
    if (!s->integer && s->whole) {
        *type = s->whole_most <= 38 ? type_decimal(s->whole_most, 0) : type_string();
    } else if (s->integer || s->real) {
        *type = type_make(s->integer ? MILL_BIGINT : MILL_DOUBLE);
    } else if (s->boolean) {
        *type = type_make(MILL_BOOLEAN);
    } else if (s->date) {
        *type = type_make(MILL_DATE);
    } else if (iso ? s->iso : s->sql) {
        *type = type_time(s->zoned ? MILL_TIMESTAMP_LTZ : MILL_TIMESTAMP, s->digits <= 3   ? 3
                                                                          : s->digits <= 6 ? 6
                                                                                           : 9);
    } else if (s->object && s->field_count > 0) {
        struct mill_field *fields;

        *type = type_make(MILL_ROW);
        type->field_count = s->field_count;
        if (!fields_of(arena, s, iso, &fields))
            return false;
        type->fields = fields;
    }
    return true;
}

static bool fields_of(struct arena *arena, const struct shape *s, bool iso,
                      struct mill_field **fields)
{
    uint32_t n = 0;

    *fields = arena_array(arena, struct mill_field, s->field_count);
    if (*fields == NULL)
        return false;
    for (const struct shape *f = s->fields; f != NULL; f = f->next, n++) {
        (*fields)[n].name = f->name;
        if (!type_of(arena, f, iso, &(*fields)[n].type))
            return false;
    }
    return true;
}

static void make_options(struct arena *arena, struct options *options, const char *path, bool iso)
{
    struct option *items = arena_array(arena, struct option, 4);
    bool *used = arena_array(arena, bool, 4);

    items[0] = (struct option){.key = "connector", .value = "filesystem"};
    items[1] = (struct option){.key = "path", .value = arena_text(arena, path, strlen(path))};
    items[2] = (struct option){.key = "format", .value = "json"};
    items[3] = (struct option){.key = "json.timestamp-format.standard", .value = "ISO-8601"};
    for (uint32_t i = 0; i < 4; i++)
        items[i].used = &used[i];
    *options = (struct options){.items = items, .count = iso ? 4 : 3, .table = path};
}

bool infer_is_json(const char *path, const char *bytes, size_t length)
{
    size_t i = 0;

    if (strstr(path, ".json") != NULL || strstr(path, ".ndjson") != NULL)
        return true;
    while (i < length && (json_is_space(bytes[i]) || bytes[i] == '\n'))
        i++;
    if (i == length || bytes[i] != '{')
        return false;
    for (i++; i < length && json_is_space(bytes[i]);)
        i++;
    return i < length && (bytes[i] == '"' || bytes[i] == '}');
}

int infer_json(const char *path, const char *bytes, size_t length, bool whole, struct arena *arena,
               struct mill_schema *schema, struct options *options, char *info, size_t info_bytes,
               struct mill_error *error)
{
    struct json_reader *r = arena_new(arena, struct json_reader);
    struct shape root = {0};
    struct mill_field *fields;
    uint32_t lines = 0, sql = 0, iso = 0;
    const char *end = whole ? bytes + length : memrchr(bytes, '\n', length);

    if (length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
        bytes += 3;
    r->kernels = &mk_scalar;
    r->limit = bytes + length + 1; /* the sample has a newline behind it */
    for (const char *p = bytes, *next; end != NULL && p < end; p = next) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));

        next = newline != NULL ? newline + 1 : end;
        r->depth = 0;
        p = json_space(p);
        if (*p != '{')
            continue;
        lines += look_object(r, arena, &root, p) != NULL;
    }
    if (root.field_count == 0)
        return mill_fail(error, MILL_E_DATA, 0, 0,
                         "'%s': no line of its first MiB is a JSON object with members", path);
    count_forms(&root, &sql, &iso);
    if (!fields_of(arena, &root, iso > sql, &fields))
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to look at '%s'", path);
    *schema = (struct mill_schema){root.field_count, fields};
    make_options(arena, options, path, iso > sql);
    if (info != NULL)
        snprintf(info, info_bytes, "format: json\nlines: %u looked at\ntimes: %s\ncolumns: %u\n",
                 lines, iso > sql ? "ISO-8601" : "SQL", root.field_count);
    return MILL_OK;
}
