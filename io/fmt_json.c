/* io/fmt_json.c - JSON lines to columns, led by the schema; see json.h. */
#include "io/json_quick.h"

#include <stdio.h>

/* ---- options ---- */

static const char *const read_options[] = {"json.ignore-parse-errors",
                                           "json.fail-on-missing-field",
                                           "json.timestamp-format.standard",
                                           "json.map-null-key.mode",
                                           "json.map-null-key.literal",
                                           NULL};
static const char *const write_options[] = {"json.timestamp-format.standard",
                                            "json.map-null-key.mode",
                                            "json.map-null-key.literal",
                                            "json.encode.decimal-as-plain-number",
                                            "json.encode.ignore-null-fields",
                                            "json.encode.time-fraction-digits",
                                            NULL};

int json_times_option(const struct options *options, const char *key, bool *iso,
                      struct mill_error *error)
{
    const struct option *o = option_get(options, key);

    *iso = o != NULL && strcmp(o->value, "ISO-8601") == 0;
    if (o == NULL || *iso || strcmp(o->value, "SQL") == 0)
        return MILL_OK;
    return mill_fail(error, MILL_E_OPTION, o->line, o->column,
                     "'%s' is '%s', need 'SQL' (2024-01-31 23:59:59.999) or "
                     "'ISO-8601' (2024-01-31T23:59:59.999)",
                     key, o->value);
}

/* Keys of a MAP are never NULL here, so these say nothing. */
static int map_options(const struct options *options, struct mill_error *error)
{
    const struct option *mode = option_get(options, "json.map-null-key.mode");

    option_get(options, "json.map-null-key.literal");
    if (mode == NULL || strcmp(mode->value, "FAIL") == 0 || strcmp(mode->value, "DROP") == 0 ||
        strcmp(mode->value, "LITERAL") == 0)
        return MILL_OK;
    return mill_fail(error, MILL_E_OPTION, mode->line, mode->column,
                     "'json.map-null-key.mode' is '%s', need 'FAIL', 'DROP' or 'LITERAL'",
                     mode->value);
}

int json_read_options(const struct options *options, struct json_options *out,
                      struct mill_error *error)
{
    if (map_options(options, error) != MILL_OK ||
        json_times_option(options, "json.timestamp-format.standard", &out->iso_times, error) !=
            MILL_OK ||
        option_bool(options, "json.ignore-parse-errors", false, &out->ignore_errors, error) !=
            MILL_OK ||
        option_bool(options, "json.fail-on-missing-field", false, &out->fail_on_missing, error) !=
            MILL_OK)
        return error->code;
    if (out->ignore_errors && out->fail_on_missing)
        return mill_fail(error, MILL_E_OPTION, options->line, options->column,
                         "table %s: 'json.fail-on-missing-field' and 'json.ignore-parse-errors' "
                         "cannot both be true",
                         options->table);
    return MILL_OK;
}

int json_write_options(const struct options *options, struct json_options *out,
                       struct mill_error *error)
{
    /* ours: Flink has as many digits as a time needs */
    const struct option *digits = option_get(options, "json.encode.time-fraction-digits");

    if (map_options(options, error) != MILL_OK ||
        json_times_option(options, "json.timestamp-format.standard", &out->iso_times, error) !=
            MILL_OK ||
        option_bool(options, "json.encode.decimal-as-plain-number", false, &out->plain_decimals,
                    error) != MILL_OK ||
        option_bool(options, "json.encode.ignore-null-fields", false, &out->ignore_nulls, error) !=
            MILL_OK)
        return error->code;
    out->fixed_fractions = digits != NULL && strcmp(digits->value, "fixed") == 0;
    if (digits != NULL && !out->fixed_fractions && strcmp(digits->value, "needed") != 0)
        return mill_fail(error, MILL_E_OPTION, digits->line, digits->column,
                         "'json.encode.time-fraction-digits' is '%s', need 'needed' or 'fixed' (as "
                         "many as the column's precision)",
                         digits->value);
    return MILL_OK;
}

int json_check_type(const struct mill_type *type, const char *path, const struct options *options,
                    struct mill_error *error)
{
    char name[80], below[200];

    switch (type->kind) {
    case MILL_NULL:
    case MILL_INTERVAL_MONTH:
    case MILL_INTERVAL_TIME:
        return mill_fail(error, MILL_E_TYPE, options->line, options->column,
                         "table %s: column %s is %s, which JSON has no form of", options->table,
                         path, type_name(type, name, sizeof name));
    case MILL_ARRAY:
    case MILL_MAP:
    case MILL_MULTISET:
        if (type->kind != MILL_ARRAY && !type_is_text(items_type(type, 0)))
            return mill_fail(error, MILL_E_TYPE, options->line, options->column,
                             "table %s: column %s is %s, and members of a JSON object have a text "
                             "as name: the key must be STRING",
                             options->table, path, type_name(type, name, sizeof name));
        snprintf(below, sizeof below, "%s[]", path);
        return json_check_type(items_type(type, items_lists(type) - 1), below, options, error);
    case MILL_ROW:
        for (uint32_t i = 0; i < type->field_count; i++) {
            int code;

            snprintf(below, sizeof below, "%s.%s", path, type->fields[i].name);
            code = json_check_type(&type->fields[i].type, below, options, error);
            if (code != MILL_OK)
                return code;
        }
        return MILL_OK;
    default: return MILL_OK;
    }
}

/* ---- one object ---- */

static inline bool key_matches(const struct json_member *m, const char *p)
{
    uint64_t differ =
        ((json_load8(p) ^ m->key[0]) & m->mask[0]) | ((json_load8(p + 8) ^ m->key[1]) & m->mask[1]);

    if (m->key_length > 16)
        differ |= ((json_load8(p + 16) ^ m->key[2]) & m->mask[2]) |
                  ((json_load8(p + 24) ^ m->key[3]) & m->mask[3]);
    return differ == 0 && m->key_length != 0;
}

/* The member whose name is at @p, found by name. Returns behind its colon; *out NULL: it is not remembered. */
static const char *find_member(struct json_reader *r, struct json_object *o, const char *p,
                               struct json_member **out)
{
    const char *end;
    struct json_text name;

    if (*p != '"')
        return json_broken(r, p,
                           *p == '}' ? "a member is missing behind a comma"
                                     : "a member's name in quotes is missing");
    end = json_skip_string(r, p);
    if (end == NULL)
        return NULL;
    name = json_unescape(r, &r->out->bytes, p + 1, end - 1);
    if (name.length == UINT32_MAX)
        return NULL;
    p = json_space(end);
    if (*p != ':')
        return json_broken(r, p, "a colon is missing behind a member's name");
    *out = json_member_named(o, name.bytes, name.length);
    if (*out == NULL)
        *out = json_learn(r, o, name.bytes, name.length);
    return p + 1;
}

/* Wanted members that did not come. */
static void fill_missing(struct json_reader *r, struct json_object *o, uint32_t row)
{
    for (uint32_t i = 0; i < o->count; i++) {
        struct json_member *m = &o->members[i];

        if (!m->wanted || (o->met[i / 64] >> (i & 63) & 1) != 0)
            continue;
        if (r->options.fail_on_missing)
            json_conflict(r, m, NULL, 0, "is missing ('json.fail-on-missing-field' is true)", row);
        else
            json_set_null(r, m, row);
    }
}

/* The row before or after a change, into the row that it goes to. */
static const char *read_image(struct json_reader *r, struct json_member *m, const char *p)
{
    uint32_t *row = &r->image_rows[m->index];

    if (r->image_next != IMAGE_SKIP)
        *row = r->image_next++;
    return *row != IMAGE_SKIP && *row < r->out->capacity ? json_read_object(r, m->object, p, *row)
                                                         : json_skip(r, p);
}

const char *json_row(struct json_reader *r, struct json_member *m, const char *p, uint32_t row)
{
    const char *end;

    if (*p == '[' && m->image && r->canal != NULL) {
        r->lists[m->index] = p;
        return json_skip(r, p);
    }
    if (*p == '{' && m->image && r->canal == NULL)
        return read_image(r, m, p);
    if (*p == '{' && !m->image)
        return json_read_object(r, m->object, p, row);
    if (json_is_null(p)) {
        json_set_null(r, m, row);
        return r->no_memory ? NULL : p + 4;
    }
    end = json_skip(r, p);
    if (end != NULL)
        json_conflict(r, m, p, (uint32_t)(end - p),
                      !m->image          ? NULL
                      : r->canal != NULL ? "is no list of rows"
                                         : "is no row",
                      row);
    return end;
}

/* Takes back the NULLs that a line, or the first of two members of the same name, has set. */
void json_forget_row(struct json_object *o, uint32_t row)
{
    for (uint32_t i = 0; i < o->count; i++) {
        struct json_member *m = &o->members[i];

        if (!m->wanted)
            continue;
        if (m->column->validity != NULL)
            m->column->validity[row >> 6] |= 1ull << (row & 63);
        if (m->object != NULL)
            json_forget_row(m->object, row);
    }
}

/* A wanted member stands in the object: how many of them that makes. One that comes twice has its last value. */
static inline uint32_t meet(struct json_object *o, const struct json_member *m, uint32_t row)
{
    const uint64_t bit = 1ull << (m->index & 63);
    uint64_t *met = &o->met[m->index / 64];

    if (LIKELY((*met & bit) == 0)) {
        *met |= bit;
        return 1;
    }
    if (m->column->validity != NULL)
        m->column->validity[row >> 6] |= 1ull << (row & 63);
    if (m->object != NULL && !m->image)
        json_forget_row(m->object, row);
    return 0;
}

/* Behind the ',' (true) or '}' (false, *p behind it) that must follow a value. */
static inline bool another(struct json_reader *r, const char **at)
{
    const char *p = *at;

    if (UNLIKELY(json_is_space(*p)))
        p = json_space(p);
    if (*p == ',') {
        *at = json_is_space(p[1]) ? json_space(p + 1) : p + 1;
        return true;
    }
    *at = *p == '}' ? p + 1 : json_broken(r, p, "a comma or } is missing behind a value");
    return false;
}

/* The members of an object, from behind its '{'; returns behind its '}'. */
static const char *read_members(struct json_reader *r, struct json_object *o, const char *p,
                                uint32_t row, uint32_t *found)
{
    struct json_member **expected = &o->first;

    do {
        struct json_member *m = *expected;
        const char *value;

        if (LIKELY(key_matches(m, p))) {
            p += m->key_length;
        } else {
            p = find_member(r, o, p, &m);
            if (p == NULL)
                return NULL;
            if (m == NULL) { /* too many or too long to remember: nothing is known to follow it */
                p = json_skip(r, json_space(p));
                continue;
            }
            *expected = m;
        }
        expected = &m->next;
        if (json_is_space(*p))
            p = json_space(p);
        if (m->way != WAY_SKIP)
            *found += meet(o, m, row);
        value = quick_value(r, m, p, row);
        if (UNLIKELY(value == NULL))
            value = m->way == WAY_ROW    ? json_row(r, m, p, row)
                    : m->way == WAY_SKIP ? json_skip(r, p)
                                         : json_value(r, m, p, row);
        p = value;
    } while (LIKELY(p != NULL) && another(r, &p));
    return p;
}

const char *json_read_object(struct json_reader *r, struct json_object *o, const char *p,
                             uint32_t row)
{
    const uint64_t met = r->overlay ? UINT64_MAX : 0;
    uint32_t found = 0;

    if (UNLIKELY(r->depth == JSON_DEPTH_MAX))
        return json_broken(r, p, "objects and arrays are nested deeper than 64");
    r->depth++;
    for (uint32_t w = 0; w <= o->count / 64; w++)
        o->met[w] = met;
    r->overlay = false;
    p++;
    if (UNLIKELY(json_is_space(*p)))
        p = json_space(p);
    p = *p == '}' ? p + 1 : read_members(r, o, p, row, &found);
    if (UNLIKELY(p == NULL))
        return NULL;
    r->depth--;
    if (UNLIKELY(found != o->wanted))
        fill_missing(r, o, row);
    return r->no_memory ? NULL : p;
}

/* ---- lines ---- */

int json_report(struct json_reader *r, const char *end, struct mill_error *error)
{
    struct bad_row bad = {.step = r->piece.step,
                          .place = r->row,
                          .file = r->piece.file,
                          .raw_bytes = (size_t)(end - r->line),
                          .raw = r->line,
                          .ignorable = r->options.ignore_errors};
    const char *const lies = r->next; /* where the line lies in the piece; r->line may be a copy */
    char reason[300], type[100], shown[80] = "", fault[100];

    if (bad.raw_bytes > 0 && bad.raw[bad.raw_bytes - 1] == '\r')
        bad.raw_bytes--;
    bad.offset = r->piece.offset + (uint64_t)(lies - r->piece.bytes);
    bad.line = format_line(&r->piece, lies, &r->seen_at, &r->seen_line);
    if (r->conflict_text != NULL)
        text_shown(r->conflict_text, r->conflict_length, shown, sizeof shown);
    if (r->reason != NULL)
        snprintf(reason, sizeof reason, "%s, at byte %zu of the line", r->reason,
                 (size_t)(r->at - r->line) + 1);
    else if (r->conflict == NULL)
        snprintf(reason, sizeof reason, "%s",
                 text_fault(r->line, bad.raw_bytes, " of the line", fault, sizeof fault)
                     ? fault
                     : "the line is no UTF-8");
    else if (r->conflict_text == NULL)
        snprintf(reason, sizeof reason, "it %s", r->conflict_reason);
    else if (r->conflict_reason != NULL)
        snprintf(reason, sizeof reason, "%s %s", shown, r->conflict_reason);
    else
        snprintf(reason, sizeof reason, "%s is no %s", shown,
                 type_name(r->conflict->type, type, sizeof type));
    bad.reason = reason;
    bad.column = r->reason == NULL && r->conflict != NULL ? r->conflict->path : NULL;
    return r->bad->report(r->bad, &bad, error);
}

/* The line at r->next as it can be read: where it lies, or a copy with padding. NULL without memory. */
static const char *line_begin(struct json_reader *r)
{
    const char *newline;
    size_t length;
    char *copy;

    if (LIKELY(r->next < r->safe))
        return r->next;
    newline = memchr(r->next, '\n', (size_t)(r->end - r->next));
    length = (size_t)((newline != NULL ? newline : r->end) - r->next);
    copy = arena_alloc(&r->out->bytes, length + 1 + JSON_PADDING);
    if (copy == NULL)
        return NULL;
    memcpy(copy, r->next, length);
    memset(copy + length, 0, 1 + JSON_PADDING);
    copy[length] = '\n';
    r->base = NULL;
    r->indexed = 0;
    r->limit = copy + length + 1;
    return copy;
}

/* Reads the line into @row. Returns behind what was read; NULL: it is broken. */
const char *json_read_line(struct json_reader *r, uint32_t row)
{
    const char *p = json_space(r->line);

    r->reason = r->at = NULL;
    r->conflict = NULL;
    r->depth = 0;
    r->cell_count = 0;
    if (UNLIKELY(*p != '{'))
        return json_broken(r, p, "the line is no JSON object");
    p = json_read_object(r, r->root, p, row);
    if (p == NULL)
        return NULL;
    if (UNLIKELY(*p != '\n'))
        p = json_space(p);
    return *p == '\n' ? p : json_broken(r, p, "something follows the object");
}

/* The line's '\n', from a place in it. */
const char *json_line_end(const struct json_reader *r, const char *from)
{
    return memchr(from, '\n', (size_t)(r->limit - from));
}

/* A ROW's shape. */
static bool own_fields(struct json_reader *r, struct column *c, const struct mill_type *type)
{
    *c = (struct column){.child_count = type->field_count};
    c->children = arena_array(&r->out->bytes, struct column, type->field_count);
    return c->children != NULL;
}

/* What is not wanted stays empty. */
bool json_own_columns(struct json_reader *r, struct json_object *o, struct column *columns,
                      bool nested)
{
    for (uint32_t i = 0; i < o->count; i++) {
        struct json_member *m = &o->members[i];

        m->column = &columns[i];
        if (m->object != NULL) {
            if (!own_fields(r, m->column, m->type) ||
                !json_own_columns(r, m->object, m->column->children, true))
                return false;
            continue;
        }
        if (!m->wanted)
            continue;
        if (!column_own(r->out, m->column, m->type) || !json_own_items(r, m))
            return false;
        m->values = m->column->values;
        if (nested) /* NULL ROWs leave their fields as they are */
            memset(m->column->values, 0, (size_t)r->out->capacity * type_width(m->type));
    }
    return true;
}

/* The fields of a NULL ROW are NULL. */
static bool spread_nulls(struct json_reader *r, struct json_object *o, const struct column *parent)
{
    const uint32_t words = (r->out->rows + 63) / 64;

    for (uint32_t i = 0; i < o->count; i++) {
        struct json_member *m = &o->members[i];

        if (!m->wanted)
            continue;
        if (parent != NULL && parent->validity != NULL) {
            if (m->column->validity == NULL && !column_own_validity(r->out, m->column))
                return false;
            for (uint32_t w = 0; w < words; w++)
                m->column->validity[w] &= parent->validity[w];
        }
        if (m->object != NULL && !spread_nulls(r, m->object, m->column))
            return false;
    }
    return true;
}

/* One line. 1: a row; 0: a bad one; <0: -code. */
static int decode_line(struct json_reader *r, uint32_t row, struct mill_error *error)
{
    const char *p, *end;
    int code;

    p = json_read_line(r, row);
    if (r->no_memory)
        return -mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to decode JSON");
    end = p != NULL ? p : json_line_end(r, r->at);
    if (LIKELY(p != NULL && r->conflict == NULL &&
               (!r->high || r->kernels->utf8_valid(r->line, (size_t)(end - r->line))))) {
        r->next += end - r->line + 1;
        r->row++;
        return 1;
    }
    json_forget_row(r->root, row);
    code = json_report(r, end, error);
    r->next += end - r->line + 1;
    r->row++;
    return -code;
}

static bool blank_line(struct json_reader *r)
{
    const char *p = r->next;

    while (p < r->end && json_is_space(*p))
        p++;
    if (p < r->end && *p != '\n')
        return false;
    r->next = p < r->end ? p + 1 : r->end;
    return true;
}

/* The table's object. */
static struct json_object *rows_of(const struct json_reader *r)
{
    return r->canal != NULL    ? canal_rows(r)
           : r->change != NULL ? r->change->members[0].object
                               : r->root;
}

static bool own_columns(struct json_reader *r)
{
    return r->canal != NULL    ? canal_own_columns(r)
           : r->change != NULL ? debezium_own_columns(r)
                               : json_own_columns(r, r->root, r->out->columns, false);
}

int json_decode(struct format_decoder *decoder, struct batch *out, struct mill_error *error)
{
    struct json_reader *r = (struct json_reader *)decoder;
    uint32_t n = 0;

    r->out = out;
    r->no_memory = !own_columns(r);
    while (!r->no_memory && r->next < r->end && n < out->capacity) {
        int code;

        if (UNLIKELY(*r->next != '{') && blank_line(r))
            continue;
        r->line = line_begin(r);
        if (r->line == NULL) {
            r->no_memory = true;
            break;
        }
        code = r->canal != NULL    ? canal_decode_line(r, n, error)
               : r->change != NULL ? debezium_decode_line(r, n, error)
                                   : decode_line(r, n, error);
        if (code < 0)
            return code;
        n += (uint32_t)code;
    }
    if (r->next > r->end) /* the last line had no '\n' */
        r->next = r->end;
    out->rows = out->live = n;
    if (r->no_memory || !spread_nulls(r, rows_of(r), NULL))
        return -mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to decode JSON");
    return r->next < r->end;
}

void json_begin(struct format_decoder *decoder, const struct format_piece *piece)
{
    struct json_reader *r = (struct json_reader *)decoder;
    const char *newline = NULL;

    r->piece = *piece;
    r->next = piece->bytes;
    r->end = piece->bytes + piece->length;
    if (piece->offset == 0 && piece->length >= 3 && memcmp(r->next, "\xef\xbb\xbf", 3) == 0)
        r->next += 3;
    if (piece->length > JSON_PADDING)
        newline = memrchr(piece->bytes, '\n', piece->length - JSON_PADDING);
    r->safe = newline != NULL ? newline + 1 : piece->bytes;
    r->seen_at = NULL;
    r->row = 0;
    r->half = r->overlay = false;
    if (r->canal != NULL)
        canal_begin(r);
    r->base = NULL;
    r->indexed = 0;
    r->limit = r->safe;
    r->high = false;
}

/* ---- the format ---- */

int json_open_format(const struct source_config *config, const struct format_vtable *vtable,
                     json_options_read read, struct format **out, struct mill_error *error)
{
    struct json_format *f = heap_zalloc(config->heap, sizeof *f);
    int code = MILL_OK;

    if (f == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a source");
    f->format.vtable = vtable;
    f->config = *config;
    *out = &f->format;
    for (uint32_t i = 0; code == MILL_OK && i < config->schema->field_count; i++)
        code = json_check_type(&config->schema->fields[i].type, config->schema->fields[i].name,
                               config->options, error);
    if (code != MILL_OK)
        return code;
    return read(config->options, &f->options, error);
}

static int json_open(const struct source_config *config, struct format **out,
                     struct mill_error *error)
{
    return json_open_format(config, &format_json, json_read_options, out, error);
}

void json_close(struct format *format)
{
    struct json_format *f = (struct json_format *)format;

    heap_free(f->config.heap, f, sizeof *f);
}

/* No newline can stand in a row. */
size_t json_cut(const struct format *format, uint64_t offset, const char *bytes, size_t length,
                size_t want)
{
    const size_t near = want < length ? want : length;
    const char *newline = memrchr(bytes, '\n', near);

    (void)format;
    (void)offset;
    if (newline == NULL)
        newline = memchr(bytes + near, '\n', length - near);
    return newline != NULL ? (size_t)(newline - bytes) + 1 : 0;
}

void json_decoder_free(struct format_decoder *decoder)
{
    struct json_reader *r = (struct json_reader *)decoder;

    if (r->canal != NULL)
        canal_close(r);
    heap_free(r->heap, r->cells, r->cell_room * sizeof *r->cells);
    arena_close(&r->item_bytes);
    arena_close(&r->arena);
    heap_free(r->heap, r, sizeof *r);
}

struct format_decoder *json_decoder_new(const struct format *format, struct heap *heap)
{
    const struct json_format *f = (const struct json_format *)format;
    struct json_reader *r = heap_zalloc(heap, sizeof *r);

    if (r == NULL)
        return NULL;
    r->decoder.vtable = &format_json;
    r->heap = heap;
    arena_open(&r->arena, heap);
    arena_open(&r->item_bytes, heap);
    r->kernels = f->config.kernels;
    r->schema = f->config.schema;
    r->bad = f->config.bad;
    r->options = f->options;
    r->root = json_object_new(&r->arena, r->schema->fields, r->schema->field_count, NULL);
    if (r->root != NULL)
        json_want_columns(r->root, &f->config);
    if (r->root == NULL || (f->format.vtable == &format_debezium && !debezium_root(r)) ||
        (f->format.vtable == &format_canal && !canal_root(r))) {
        json_decoder_free(&r->decoder);
        return NULL;
    }
    return &r->decoder;
}

const struct format_vtable format_json = {.name = "json",
                                          .extension = "json",
                                          .read_options = read_options,
                                          .write_options = write_options,
                                          .open = json_open,
                                          .close = json_close,
                                          .cut = json_cut,
                                          .decoder_new = json_decoder_new,
                                          .decoder_free = json_decoder_free,
                                          .begin = json_begin,
                                          .decode = json_decode,
                                          .writer_open = json_writer_open,
                                          .writer_close = json_writer_close,
                                          .write = json_write};
