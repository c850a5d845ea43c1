/* io/json_value.c - JSON values to columns: the usual forms at once, all others by their token.
 *
 * Each kind has a way for the form that data mostly has; what it does not take goes to json_value(), which finds the
 * token's end, checks it against RFC 8259 and converts it as Flink does: a string may stand for a number, a STRING column
 * takes numbers, words and (compact) objects as they are written.
 */
#include "io/json.h"

#include <stdio.h>
#include <strings.h>

const bool json_ends[256] = {[','] = true,  ['}'] = true,  [']'] = true, ['\n'] = true,
                             ['\r'] = true, ['\t'] = true, [' '] = true};

#define LOW(n) ((1ull << (n)*8) - 1)
const uint64_t json_view_masks[13][2] = {{0, 0},           {LOW(1), 0},      {LOW(2), 0},
                                         {LOW(3), 0},      {LOW(4), 0},      {LOW(4), LOW(1)},
                                         {LOW(4), LOW(2)}, {LOW(4), LOW(3)}, {LOW(4), LOW(4)},
                                         {LOW(4), LOW(5)}, {LOW(4), LOW(6)}, {LOW(4), LOW(7)},
                                         {LOW(4), ~0ull}};
const uint64_t json_tens[19] = {1ull,
                                10ull,
                                100ull,
                                1000ull,
                                10000ull,
                                100000ull,
                                1000000ull,
                                10000000ull,
                                100000000ull,
                                1000000000ull,
                                10000000000ull,
                                100000000000ull,
                                1000000000000ull,
                                10000000000000ull,
                                100000000000000ull,
                                1000000000000000ull,
                                10000000000000000ull,
                                100000000000000000ull,
                                1000000000000000000ull};

const char *json_broken(struct json_reader *r, const char *at, const char *reason)
{
    if (r->reason == NULL) {
        r->reason = reason;
        r->at = at;
    }
    return NULL;
}

/* ---- scanning ---- */

void json_index(struct json_reader *r, const char *p)
{
    size_t n = (size_t)(r->limit - p);

    if (n > JSON_CHUNK)
        n = JSON_CHUNK;
    r->base = p;
    r->indexed = n;
    r->high |= r->kernels->json_marks(p, n, r->stops, r->marks);
}

/* Ends, for the last indexed line ends with '\n', which is in both maps. */
const char *json_next_far(struct json_reader *r, const uint64_t *map, const char *p)
{
    for (;;) {
        size_t at = (size_t)(p - r->base), words;

        if (at >= r->indexed) {
            json_index(r, p);
            at = 0;
        }
        words = (r->indexed + 63) / 64;
        if (map[at / 64] >> (at & 63) != 0)
            return p + __builtin_ctzll(map[at / 64] >> (at & 63));
        for (size_t w = at / 64 + 1; w < words; w++)
            if (map[w] != 0)
                return r->base + w * 64 + __builtin_ctzll(map[w]);
        p = r->base + r->indexed;
    }
}

static const char *broken_string(struct json_reader *r, const char *at)
{
    return json_broken(r, at,
                       *at == '\n' || (*at == '\r' && at[1] == '\n')
                           ? "a string is not closed before the line ends"
                           : "a control character stands in a string, where \\u00.. must");
}

const char *json_skip_string(struct json_reader *r, const char *p)
{
    for (p++;; p += 2) {
        p = json_next(r, r->stops, p);
        if (*p == '"')
            return p + 1;
        if (*p != '\\' || p[1] == '\n')
            return broken_string(r, p);
    }
}

/* Behind the bracket that closes the one at @p. */
static const char *skip_brackets(struct json_reader *r, const char *p)
{
    char closing[JSON_DEPTH_MAX];
    uint32_t depth = r->depth, bottom = r->depth;

    do {
        if (*p == '"') {
            p = json_skip_string(r, p);
            if (p == NULL)
                return NULL;
        } else if (*p == '{' || *p == '[') {
            if (depth == JSON_DEPTH_MAX)
                return json_broken(r, p, "objects and arrays are nested deeper than 64");
            closing[depth++] = (char)(*p++ + 2);
        } else if (*p == '}' || *p == ']') {
            if (closing[--depth] != *p)
                return json_broken(r, p, "a bracket closes another one than was opened");
            p++;
        } else if (*p == '\t' || (*p == '\r' && p[1] != '\n')) {
            p++; /* white space; as a control character it is in the map */
        } else {
            return json_broken(r, p,
                               *p == '\n' || *p == '\r'
                                   ? "the line ends within an object or array"
                                   : "a control character stands between values");
        }
        if (depth > bottom)
            p = json_next(r, r->marks, p);
    } while (depth > bottom);
    return p;
}

const char *json_skip(struct json_reader *r, const char *p)
{
    const char *start = p;

    if (*p == '"')
        return json_skip_string(r, p);
    if (*p == '{' || *p == '[')
        return skip_brackets(r, p);
    while (!json_ends_scalar(*p) && *p > ' ' && *p != '"') /* ASCII: no map may have been made */
        p++;
    if (p == start || !json_ends_scalar(*p) ||
        !((*start >= '0' && *start <= '9') || *start == '-' || *start == 't' || *start == 'f' ||
          *start == 'n'))
        return json_broken(r, start, "a value is missing, or is none that JSON has");
    return p;
}

/* ---- strings ---- */

static int hex4(const char *p)
{
    int v = 0;

    for (int i = 0; i < 4; i++) {
        const char c = p[i];

        if (c >= '0' && c <= '9')
            v = v * 16 + (c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            v = v * 16 + ((c | 32) - 'a' + 10);
        else
            return -1;
    }
    return v;
}

static char *put_utf8(char *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (char)c;
        return to;
    }
    if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *to++ = (char)(0xe0 | c >> 12);
        } else {
            *to++ = (char)(0xf0 | c >> 18);
            *to++ = (char)(0x80 | (c >> 12 & 0x3f));
        }
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
    }
    *to++ = (char)(0x80 | (c & 0x3f));
    return to;
}

/* \uXXXX and its second half; @p behind the backslash. NULL: broken. */
static const char *unescape_unicode(struct json_reader *r, const char *p, char **to)
{
    const int first = hex4(p + 1);
    uint32_t c = (uint32_t)first;

    if (first < 0)
        return json_broken(r, p - 1, "\\u needs four hexadecimal digits");
    p += 5;
    if (c >= 0xdc00 && c < 0xe000)
        return json_broken(r, p - 6, "\\u names the second half of a surrogate pair alone");
    if (c >= 0xd800 && c < 0xdc00) {
        const int second = p[0] == '\\' && p[1] == 'u' ? hex4(p + 2) : -1;

        if (second < 0xdc00 || second >= 0xe000)
            return json_broken(r, p - 6, "\\u names the first half of a surrogate pair alone");
        c = 0x10000 + ((c - 0xd800) << 10) + ((uint32_t)second - 0xdc00);
        p += 6;
    }
    *to = put_utf8(*to, c);
    return p;
}

struct json_text json_unescape(struct json_reader *r, struct arena *arena, const char *from,
                               const char *to)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const size_t length = (size_t)(to - from);
    const struct json_text none = {NULL, UINT32_MAX};
    char *copy, *out;

    if (memchr(from, '\\', length) == NULL)
        return (struct json_text){from, (uint32_t)length};
    out = copy = arena_alloc(arena, length);
    if (copy == NULL) {
        r->no_memory = true;
        return none;
    }
    while (from < to) {
        const char *name;

        if (*from != '\\') {
            *out++ = *from++;
            continue;
        }
        if (*++from == 'u') {
            from = unescape_unicode(r, from, &out);
            if (from == NULL)
                return none;
            continue;
        }
        name = *from != '\0' ? strchr(names, *from) : NULL;
        if (name == NULL) {
            json_broken(r, from - 1, "there is no such escape in JSON");
            return none;
        }
        *out++ = values[name - names];
        from++;
    }
    return (struct json_text){copy, (uint32_t)(out - copy)};
}

/* ---- times ---- */

static inline bool all_digits(const char *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (p[i] < '0' || p[i] > '9')
            return false;
    return true;
}
static inline uint32_t two(const char *p)
{
    return (uint32_t)(p[0] - '0') * 10 + (uint32_t)(p[1] - '0');
}

/* 'yyyy-MM-dd', all of @length. */
static bool strict_date(const char *p, uint32_t length, struct civil *c)
{
    if (length != 10 || p[4] != '-' || p[7] != '-' || !all_digits(p, 4) || !all_digits(p + 5, 2) ||
        !all_digits(p + 8, 2))
        return false;
    c->year = two(p) * 100 + two(p + 2);
    c->month = two(p + 5);
    c->day = two(p + 8);
    return c->month >= 1 && c->month <= 12 && c->day >= 1 &&
           c->day <= month_days(c->year, c->month);
}

/* 'HH:mm:ss[.f{1,9}]', in ISO form also 'HH:mm'. */
static bool strict_clock(const char *p, uint32_t length, bool iso, struct civil *c)
{
    uint32_t unit = 100000000;

    c->second = c->nanos = 0;
    if (length < 5 || p[2] != ':' || !all_digits(p, 2) || !all_digits(p + 3, 2))
        return false;
    c->hour = two(p);
    c->minute = two(p + 3);
    if (c->hour > 23 || c->minute > 59)
        return false;
    if (length == 5)
        return iso;
    if (length < 8 || p[5] != ':' || !all_digits(p + 6, 2))
        return false;
    c->second = two(p + 6);
    if (c->second > 59)
        return false;
    if (length == 8)
        return true;
    if (p[8] != '.' || length > 18 || (length == 9 && !iso) || !all_digits(p + 9, length - 9))
        return false;
    for (uint32_t i = 9; i < length; i++, unit /= 10)
        c->nanos += (uint32_t)(p[i] - '0') * unit;
    return true;
}

const char *json_time(bool iso, const struct mill_type *type, const char *p, uint32_t length,
                      int64_t *out)
{
    struct civil c = {.year = 1970, .month = 1, .day = 1};
    int64_t value, unit;

    if (type->kind == MILL_DATE) {
        if (!strict_date(p, length, &c))
            return "is no DATE, as in 2024-01-31";
        *out = days_from_civil(c.year, c.month, c.day);
        return NULL;
    }
    if (type->kind == MILL_TIMESTAMP_LTZ) {
        if (length == 0 || p[length - 1] != 'Z')
            return "is no TIMESTAMP_LTZ: it must end in Z (UTC)";
        length--;
    }
    if (type->kind == MILL_TIME) {
        if (!strict_clock(p, length, true, &c))
            return "is no TIME, as in 23:59:59.999";
    } else {
        if (length < 11 || !strict_date(p, 10, &c) || !strict_clock(p + 11, length - 11, iso, &c))
            return iso ? "is no time in ISO-8601 form, as in 2024-01-31T23:59:59.999"
                       : "is no time in SQL form, as in 2024-01-31 23:59:59.999";
        if (p[10] != (iso ? 'T' : ' '))
            return iso ? "has no T before the time of day: 'json.timestamp-format.standard' = "
                         "'SQL' "
                         "reads this"
                       : "has no space before the time of day: 'json.timestamp-format.standard' = "
                         "'ISO-8601' reads this";
    }
    value = time_from_civil(&c, type_is_nanos(type));
    if (value == TIME_MIN + 1 || value == TIME_MAX - 1)
        return "is out of what nanoseconds can hold (1677 to 2262)";
    unit = type_time_unit(type);
    *out = value - (value % unit + unit) % unit;
    return NULL;
}

static void remember_minute(struct json_member *m, const char *p, uint32_t length, int64_t value)
{
    const int64_t minute = 60000 * m->milli;

    if (length < 19 || m->milli == 0 || *p < '0')
        return;
    m->seen[0] = json_load8(p);
    m->seen[1] = json_load8(p + 8);
    m->seen_value = value - (value % minute + minute) % minute;
}

/* ---- any form ---- */

void json_set_null(struct json_reader *r, struct json_member *m, uint32_t row)
{
    struct column *c = m->column;

    if (UNLIKELY(m->type->not_null)) {
        if (r->conflict == NULL) {
            r->conflict = m;
            r->conflict_text = NULL;
            r->conflict_reason = "is NULL or missing, and the column is NOT NULL";
        }
        return;
    }
    if (UNLIKELY(c->validity == NULL) && !column_own_validity(r->out, c)) {
        r->no_memory = true;
        return;
    }
    if (c->values != NULL)
        memset((char *)c->values + (size_t)row * type_width(m->type), 0, type_width(m->type));
    column_set_null(c, row);
}

void json_conflict(struct json_reader *r, struct json_member *m, const char *text, uint32_t length,
                   const char *reason, uint32_t row)
{
    if (r->options.ignore_errors && !m->type->not_null) {
        json_set_null(r, m, row);
        return;
    }
    if (r->conflict != NULL)
        return;
    r->conflict = m;
    r->conflict_text = text;
    r->conflict_length = length;
    r->conflict_reason = reason;
}

/* RFC 8259: -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)? */
static bool is_number(const char *p, const char *end)
{
    const char *start;

    p += p < end && *p == '-';
    start = p;
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    if (p == start || (*start == '0' && p - start > 1))
        return false;
    if (p < end && *p == '.') {
        start = ++p;
        while (p < end && *p >= '0' && *p <= '9')
            p++;
        if (p == start)
            return false;
    }
    if (p < end && (*p | 32) == 'e') {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        start = p;
        while (p < end && *p >= '0' && *p <= '9')
            p++;
        if (p == start)
            return false;
    }
    return p == end;
}

static bool is_word(const char *p, const char *end, const char *word)
{
    return (size_t)(end - p) == strlen(word) && memcmp(p, word, strlen(word)) == 0;
}

/* As Java's Long.parseLong; with @number a JSON number whose fraction is cut off. */
static bool text_integer(struct json_text t, bool number, int128 *out)
{
    const bool sign = t.length > 0 && (t.bytes[0] == '-' || t.bytes[0] == '+');
    int128 v = 0;
    uint32_t i = sign;

    for (; i < t.length && t.bytes[i] >= '0' && t.bytes[i] <= '9' && v < (int128)1 << 80; i++)
        v = v * 10 + (t.bytes[i] - '0');
    if (i == t.length && i > sign) {
        *out = sign && t.bytes[0] == '-' ? -v : v;
        return true;
    }
    if (!number || !decimal_parse(t.bytes, t.length, 38, 18, &v))
        return false;
    *out = v / decimal_power(18);
    return true;
}

static struct json_text trimmed(struct json_text t)
{
    while (t.length > 0 && (unsigned char)*t.bytes <= ' ')
        t.bytes++, t.length--;
    while (t.length > 0 && (unsigned char)t.bytes[t.length - 1] <= ' ')
        t.length--;
    return t;
}

static bool store_integer(struct column *c, enum mill_kind kind, uint32_t row, int128 v)
{
    static const int64_t most[] = {[MILL_TINYINT] = INT8_MAX,
                                   [MILL_SMALLINT] = INT16_MAX,
                                   [MILL_INT] = INT32_MAX,
                                   [MILL_BIGINT] = INT64_MAX};

    if (v > most[kind] || v < -(int128)most[kind] - 1)
        return false;
    switch (kind) {
    case MILL_TINYINT: ((int8_t *)c->values)[row] = (int8_t)v; break;
    case MILL_SMALLINT: ((int16_t *)c->values)[row] = (int16_t)v; break;
    case MILL_INT: ((int32_t *)c->values)[row] = (int32_t)v; break;
    default: ((int64_t *)c->values)[row] = (int64_t)v; break;
    }
    return true;
}

static int base64_digit(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

/* Bytes are base64 text, as Jackson has them. */
static const char *store_bytes(struct json_reader *r, struct column *c, uint32_t row,
                               struct json_text t)
{
    char *to = arena_alloc(&r->out->bytes, t.length + 1);
    uint32_t n = 0, bits = 0, digits = 0;

    if (to == NULL) {
        r->no_memory = true;
        return NULL;
    }
    if (t.length % 4 == 0 && t.length > 0 && t.bytes[t.length - 1] == '=')
        t.length -= t.bytes[t.length - 2] == '=' ? 2 : 1;
    for (uint32_t i = 0; i < t.length; i++) {
        const int digit = base64_digit(t.bytes[i]);

        if (digit < 0)
            return "is no base64 text, which BYTES are in JSON";
        bits = bits << 6 | (uint32_t)digit;
        if (++digits % 4 != 1)
            to[n++] = (char)(bits >> (8 - digits * 2 % 8) % 8);
    }
    if (digits % 4 == 1)
        return "is no base64 text, which BYTES are in JSON";
    ((struct mill_view *)c->values)[row] = view_of(to, n);
    return NULL;
}

/* A STRING column takes an object or array as its text, without the white space between tokens. */
static struct json_text compact(struct json_reader *r, const char *from, const char *to)
{
    char *copy = arena_alloc(&r->out->bytes, (size_t)(to - from)), *out = copy;

    if (copy == NULL) {
        r->no_memory = true;
        return (struct json_text){"", 0};
    }
    while (from < to) {
        if (*from == '"') {
            const char *start = from++;

            while (*from != '"')
                from += *from == '\\' ? 2 : 1;
            from++;
            memcpy(out, start, (size_t)(from - start));
            out += from - start;
        } else {
            if (!json_is_space(*from))
                *out++ = *from;
            from++;
        }
    }
    return (struct json_text){copy, (uint32_t)(out - copy)};
}

static bool same_word(struct json_text t, const char *word)
{
    return t.length == strlen(word) && strncasecmp(t.bytes, word, t.length) == 0;
}

/* Stores a scalar's text. NULL: done (or no memory); else why it does not fit, "" for the plain reason. */
static const char *store_text(struct json_reader *r, struct json_member *m, uint32_t row,
                              struct json_text t, bool number)
{
    struct column *c = m->column;
    const struct mill_type *type = m->type;
    int128 integer;
    double real;

    if (!type_is_text(type) && !type_is_binary(type))
        t = trimmed(t);
    switch (type->kind) {
    case MILL_BOOLEAN:
        if (number || (!same_word(t, "true") && !same_word(t, "false")))
            return "";
        ((uint8_t *)c->values)[row] = same_word(t, "true");
        return NULL;
    case MILL_TINYINT:
    case MILL_SMALLINT:
    case MILL_INT:
    case MILL_BIGINT:
        if (!text_integer(t, number && type->kind >= MILL_INT, &integer))
            return "";
        return store_integer(c, type->kind, row, integer) ? NULL : "is out of the type's range";
    case MILL_FLOAT:
        if (!double_parse(t.bytes, t.length, &real))
            return "";
        ((float *)c->values)[row] = (float)real;
        return NULL;
    case MILL_DOUBLE:
        return double_parse(t.bytes, t.length, &((double *)c->values)[row]) ? NULL : "";
    case MILL_DECIMAL:
        return decimal_parse(t.bytes, t.length, type->precision, type->scale,
                             &((int128 *)c->values)[row])
                   ? NULL
                   : "";
    case MILL_DATE:
    case MILL_TIME:
    case MILL_TIMESTAMP:
    case MILL_TIMESTAMP_LTZ: {
        int64_t time = 0;
        const char *why = json_time(r->options.iso_times, type, t.bytes, t.length, &time);

        if (type->kind == MILL_DATE)
            ((int32_t *)c->values)[row] = (int32_t)time;
        else
            ((int64_t *)c->values)[row] = time;
        return why;
    }
    case MILL_BINARY:
    case MILL_VARBINARY: return number ? "" : store_bytes(r, c, row, t);
    default: ((struct mill_view *)c->values)[row] = view_of(t.bytes, t.length); return NULL;
    }
}

const char *json_value(struct json_reader *r, struct json_member *m, const char *p, uint32_t row)
{
    const char *end, *why;
    struct json_text text;

    if (json_is_null(p)) {
        json_set_null(r, m, row);
        return r->no_memory ? NULL : p + 4;
    }
    if (type_is_nested(m->type))
        return json_nested(r, m, p, row);
    end = json_skip(r, p);
    if (end == NULL)
        return NULL;
    text = (struct json_text){p, (uint32_t)(end - p)};
    if (*p == '"') {
        text = json_unescape(r, &r->out->bytes, p + 1, end - 1);
        if (text.length == UINT32_MAX)
            return NULL;
        why = store_text(r, m, row, text, false);
    } else if (*p == '{' || *p == '[') {
        why = type_is_text(m->type) ? store_text(r, m, row, compact(r, p, end), false) : "";
    } else if (is_word(p, end, "true") || is_word(p, end, "false")) {
        why = m->type->kind == MILL_BOOLEAN || type_is_text(m->type)
                  ? store_text(r, m, row, text, false)
                  : "";
    } else if (is_number(p, end)) {
        why = m->type->kind >= MILL_DATE ? "" : store_text(r, m, row, text, true);
    } else {
        return json_broken(r, p, "a value is missing, or is none that JSON has");
    }
    if (r->no_memory)
        return NULL;
    if (why != NULL)
        json_conflict(r, m, p, (uint32_t)(end - p), why[0] != '\0' ? why : NULL, row);
    else if (m->type->kind == MILL_TIMESTAMP && text.bytes == p + 1)
        remember_minute(m, p + 1, text.length, ((int64_t *)m->column->values)[row]);
    return end;
}
