/* io/fmt_canal.c - Canal's changes: rows, and what they were before, read as JSON lines are; see json.h.
 *
 *   {"type": "UPDATE", "data": [{a row}, ...], "old": [{what has changed of it}, ...], "database": "d", "table": "t"}
 *
 * A line has any number of rows. They are read into the batch as far as it has room; of a line that has more all are read
 * once before, so that a bad one gives none whatever the size of batches.
 */
#include "io/json.h"

#include <regex.h>

enum canal_member { CANAL_DATA, CANAL_OLD, CANAL_TYPE, CANAL_DATABASE, CANAL_TABLE, CANAL_MEMBERS };

/* Which names pass: a pattern for the whole name, and the last name with its answer. */
struct canal_filter {
    bool given, passes;
    regex_t pattern;
    char seen[256];
};

struct canal {
    struct json_object *rows; /* the table's object */
    struct column columns[CANAL_MEMBERS];
    struct mill_view texts[CANAL_MEMBERS];
    struct canal_filter filters[2]; /* of the database, of the table */
    uint32_t given; /* rows of the line at next that stand in batches before this one */
};

/* ---- options ---- */

static const char *const canal_options[] = {"canal-json.ignore-parse-errors",
                                            "canal-json.timestamp-format.standard",
                                            "canal-json.database.include",
                                            "canal-json.table.include", NULL};

static int read_pattern(const struct options *options, const char *key, const char **out,
                        struct mill_error *error)
{
    const struct option *o = option_get(options, key);
    regex_t pattern;
    char why[100];
    int code;

    if (o == NULL)
        return MILL_OK;
    code = regcomp(&pattern, o->value, REG_EXTENDED | REG_NOSUB);
    if (code != 0) {
        regerror(code, &pattern, why, sizeof why);
        return mill_fail(error, MILL_E_OPTION, o->line, o->column,
                         "'%s' is no extended regular expression: %s", key, why);
    }
    regfree(&pattern);
    *out = o->value;
    return MILL_OK;
}

static int canal_read_options(const struct options *options, struct json_options *out,
                              struct mill_error *error)
{
    if (json_times_option(options, canal_options[1], &out->iso_times, error) != MILL_OK ||
        option_bool(options, canal_options[0], false, &out->ignore_errors, error) != MILL_OK ||
        read_pattern(options, canal_options[2], &out->include[0], error) != MILL_OK ||
        read_pattern(options, canal_options[3], &out->include[1], error) != MILL_OK)
        return error->code;
    return MILL_OK;
}

/* ---- which lines ---- */

static bool passes(struct canal_filter *f, const struct mill_view *name)
{
    char text[sizeof f->seen] = "";
    regmatch_t all;

    if (!f->given)
        return true;
    if (name->length < sizeof text)
        memcpy(text, mill_view_data(name), name->length);
    if (strcmp(text, f->seen) != 0) {
        memcpy(f->seen, text, sizeof text);
        f->passes = regexec(&f->pattern, text, 1, &all, 0) == 0 && all.rm_so == 0 &&
                    (size_t)all.rm_eo == strlen(text);
    }
    return f->passes;
}

static bool type_is(const struct canal *c, const char *type)
{
    const struct mill_view *v = &c->texts[CANAL_TYPE];

    return v->length == strlen(type) && memcmp(mill_view_data(v), type, v->length) == 0;
}

/* Definitions of tables come between the changes, without rows. */
static bool passed_over(const struct json_reader *r)
{
    struct canal *c = r->canal;

    if (!passes(&c->filters[0], &c->texts[CANAL_DATABASE]) ||
        !passes(&c->filters[1], &c->texts[CANAL_TABLE]))
        return true;
    return r->lists[0] == NULL && c->texts[CANAL_TYPE].length > 0 && !type_is(c, "INSERT") &&
           !type_is(c, "UPDATE") && !type_is(c, "DELETE") && !type_is(c, "TRUNCATE");
}

static bool refuse(struct json_reader *r, const char *at, const char *reason)
{
    r->reason = reason;
    r->at = at;
    return false;
}

static bool has_lists(struct json_reader *r)
{
    const struct canal *c = r->canal;

    if (type_is(c, "TRUNCATE"))
        return refuse(r, r->line, "TRUNCATE takes rows away without naming them");
    if (!type_is(c, "INSERT") && !type_is(c, "UPDATE") && !type_is(c, "DELETE"))
        return refuse(r, r->line, "\"type\" is none of INSERT, UPDATE and DELETE");
    if (r->lists[0] == NULL)
        return refuse(r, r->line, "\"data\" is missing");
    if (type_is(c, "UPDATE") && r->lists[1] == NULL)
        return refuse(r, r->line, "\"old\" is missing");
    return true;
}

/* ---- rows ---- */

/* Reads the line but for its rows. */
static bool read_frame(struct json_reader *r)
{
    struct canal *c = r->canal;
    const char *p;

    r->lists[0] = r->lists[1] = NULL;
    for (uint32_t i = 0; i < CANAL_MEMBERS; i++)
        c->texts[i] = view_of("", 0);
    p = json_read_line(r, 0);
    r->at = p != NULL ? p : r->at;
    return p != NULL && r->conflict == NULL &&
           (!r->high || r->kernels->utf8_valid(r->line, (size_t)(json_line_end(r, p) - r->line)));
}

/* The row whose '{' is at @p; with @old as it was before, which has what has changed. Returns behind it; NULL: it is bad. */
static const char *read_version(struct json_reader *r, const char *p, const char *old, uint32_t row)
{
    struct json_object *rows = r->canal->rows;

    r->depth = 2;
    p = json_read_object(r, rows, p, row);
    if (p != NULL && old != NULL) {
        r->overlay = true;
        if (json_read_object(r, rows, old, row) == NULL)
            p = NULL;
        r->overlay = false;
    }
    return p != NULL && r->conflict == NULL ? p : NULL;
}

/* Whether a row stands at *@at, behind the '[' or ',' of a list; *at moves to its '{'. */
static bool row_begins(struct json_reader *r, const char **at)
{
    *at = json_space(*at);
    return **at == '{' || refuse(r, *at, "a row is missing, or is no object");
}

/* Behind the ',' (true) or at the ']' (false) that follows a row; *bad: neither is there. */
static bool row_follows(struct json_reader *r, const char **at, bool *bad)
{
    *at = json_space(*at);
    if (**at == ',') {
        ++*at;
        return true;
    }
    *bad = *bad || (**at != ']' && !refuse(r, *at, "a comma or ] is missing behind a row"));
    return false;
}

/* Rows of the line from number @from on (an update has two: before, after) into the batch from @row on, as far as it has room; all into @row
 * itself where they are only @tried. Returns how many, *rest: some are left; UINT32_MAX: one is bad. */
static uint32_t read_rows(struct json_reader *r, uint32_t row, uint32_t from, bool tried,
                          bool *rest)
{
    const bool updates = type_is(r->canal, "UPDATE"), deletes = type_is(r->canal, "DELETE");
    const char *p = r->lists[0] + 1, *old = updates ? r->lists[1] + 1 : NULL;
    uint32_t number = 0, count = 0;
    bool more = *json_space(p) != ']', bad = false;

    *rest = false;
    while (more) {
        const char *next = NULL;

        if (!row_begins(r, &p) || (updates && !row_begins(r, &old)))
            return UINT32_MAX;
        for (uint32_t after = updates ? 0 : 1; after < 2; after++, number++) {
            const uint32_t to = tried ? row : row + count;

            if (number < from)
                continue;
            if (to == r->out->capacity) {
                *rest = true;
                return count;
            }
            json_forget_row(r->canal->rows, to);
            next = read_version(r, p, after == 0 ? old : NULL, to);
            if (next == NULL)
                return UINT32_MAX;
            r->out->row_kinds[to] = (int8_t)(after == 0 ? ROW_UPDATE_BEFORE
                                             : updates  ? ROW_UPDATE_AFTER
                                             : deletes  ? ROW_DELETE
                                                        : ROW_INSERT);
            count++;
        }
        p = next != NULL ? next : json_skip(r, p);
        old = updates ? json_skip(r, old) : NULL;
        more = row_follows(r, &p, &bad);
        if (updates && row_follows(r, &old, &bad) != more)
            bad = bad || !refuse(r, old, "\"old\" and \"data\" have not as many rows");
        if (bad)
            return UINT32_MAX;
    }
    return count;
}

static void next_line(struct json_reader *r)
{
    r->next += json_line_end(r, r->line) - r->line + 1;
    r->row++;
    r->canal->given = 0;
}

/* The line's rows into the batch from @row on, as many as it has room for: how many; 0: it is bad, or has none; <0: -code. */
int canal_decode_line(struct json_reader *r, uint32_t row, struct mill_error *error)
{
    struct canal *c = r->canal;
    bool ok = read_frame(r), rest = false, none;
    uint32_t count = 0;
    int code = MILL_OK;

    if (ok && c->given == 0 && passed_over(r)) {
        next_line(r);
        return 0;
    }
    ok = ok && has_lists(r);
    if (ok)
        count = read_rows(r, row, c->given, false, &rest);
    if (count < UINT32_MAX && rest && c->given == 0) {
        if (read_rows(r, row, 0, true, &none) == UINT32_MAX)
            count = UINT32_MAX;
        else
            count = read_rows(r, row, 0, false, &rest);
    }
    if (r->no_memory)
        return -mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to decode JSON");
    if (ok && count < UINT32_MAX && rest) {
        c->given += count;
        return (int)count;
    }
    if (!ok || count == UINT32_MAX) {
        for (uint32_t i = row; i < r->out->capacity; i++)
            json_forget_row(c->rows, i);
        code = json_report(r, json_line_end(r, r->line), error);
        count = 0;
    }
    next_line(r);
    return code != MILL_OK ? -code : (int)count;
}

/* Columns of the batch being filled, and those that hold nothing. */
bool canal_own_columns(struct json_reader *r)
{
    struct canal *c = r->canal;

    if (!json_own_columns(r, c->rows, r->out->columns, false) || !batch_own_kinds(r->out))
        return false;
    memset(c->columns, 0, sizeof c->columns);
    for (uint32_t i = 0; i < CANAL_MEMBERS; i++) {
        c->columns[i].values = &c->texts[i];
        r->root->members[i].column = &c->columns[i];
        r->root->members[i].values = &c->texts[i];
    }
    return true;
}

/* ---- the format ---- */

static int canal_open(const struct source_config *config, struct format **out,
                      struct mill_error *error)
{
    return json_open_format(config, &format_canal, canal_read_options, out, error);
}

bool canal_root(struct json_reader *r)
{
    struct mill_field *fields = arena_array(&r->arena, struct mill_field, CANAL_MEMBERS);
    struct canal *c = arena_new(&r->arena, struct canal);
    struct json_object *frame;

    if (fields == NULL || c == NULL)
        return false;
    r->canal = c;
    for (uint32_t i = 0; i < CANAL_MEMBERS; i++)
        fields[i] = (struct mill_field){(const char *const[]){"data", "old", "type", "database",
                                                              "table"}[i],
                                        type_string()};
    frame = json_object_new(&r->arena, fields, CANAL_MEMBERS, NULL);
    if (frame == NULL)
        return false;
    for (uint32_t i = 0; i < CANAL_MEMBERS; i++)
        json_want_member(frame, &frame->members[i], true);
    for (uint32_t i = CANAL_DATA; i <= CANAL_OLD; i++) {
        frame->members[i].object = r->root;
        frame->members[i].way = WAY_ROW;
        frame->members[i].image = true;
    }
    c->rows = r->root;
    r->root = frame;
    for (uint32_t i = 0; i < COUNT_OF(c->filters); i++)
        if (r->options.include[i] != NULL) {
            if (regcomp(&c->filters[i].pattern, r->options.include[i], REG_EXTENDED) != 0)
                return false;
            c->filters[i].given = true;
        }
    return true;
}

struct json_object *canal_rows(const struct json_reader *r)
{
    return r->canal->rows;
}

void canal_begin(struct json_reader *r)
{
    r->canal->given = 0;
}

void canal_close(struct json_reader *r)
{
    for (uint32_t i = 0; i < COUNT_OF(r->canal->filters); i++)
        if (r->canal->filters[i].given)
            regfree(&r->canal->filters[i].pattern);
}

const struct format_vtable format_canal = {.name = "canal-json",
                                           .extension = "json",
                                           .read_options = canal_options,
                                           .open = canal_open,
                                           .close = json_close,
                                           .cut = json_cut,
                                           .decoder_new = json_decoder_new,
                                           .decoder_free = json_decoder_free,
                                           .begin = json_begin,
                                           .decode = json_decode};
