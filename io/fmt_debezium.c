/* io/fmt_debezium.c - Debezium's changes: rows before and after, read as JSON lines are; see json.h.
 *
 * A line is read once where its images stand in the order and in the number that its op needs, as they mostly do; else again,
 * with each image where it belongs.
 */
#include "io/json.h"

/* ---- options ---- */

static const char *const debezium_options[] = {"debezium-json.schema-include",
                                               "debezium-json.ignore-parse-errors",
                                               "debezium-json.timestamp-format.standard", NULL};

static int debezium_read_options(const struct options *options, struct json_options *out,
                                 struct mill_error *error)
{
    if (json_times_option(options, debezium_options[2], &out->iso_times, error) != MILL_OK ||
        option_bool(options, debezium_options[1], false, &out->ignore_errors, error) != MILL_OK ||
        option_bool(options, debezium_options[0], false, &out->schema_included, error) != MILL_OK)
        return error->code;
    return MILL_OK;
}

/* ---- changes ---- */

/* Reads the line with its images going to these rows. False: it is no change, or no memory. */
static bool read_images(struct json_reader *r, uint32_t next, uint32_t before, uint32_t after)
{
    const char *p;

    r->image_next = next;
    r->image_rows[0] = before;
    r->image_rows[1] = after;
    r->op = view_of("", 0);
    r->change_columns[2].validity = NULL;
    p = json_read_line(r, 0);
    r->at = p != NULL ? p : r->at;
    return p != NULL && r->conflict == NULL &&
           (!r->high || r->kernels->utf8_valid(r->line, (size_t)(json_line_end(r, p) - r->line)));
}

/* What the change needs: bit 0 the row before, bit 1 the row after; 0: there is no such op. */
static unsigned images_of(const struct json_reader *r)
{
    const char op = r->op.length == 1 ? *mill_view_data(&r->op) : 0;

    return op == 'c' || op == 'r' ? 2 : op == 'd' ? 1 : op == 'u' ? 3 : 0;
}

static bool refuse_change(struct json_reader *r, const char *reason)
{
    r->reason = reason;
    r->at = r->line;
    return false;
}

static void forget_images(struct json_reader *r, uint32_t row)
{
    for (uint32_t i = row; i < row + 2 && i < r->out->capacity; i++)
        json_forget_row(r->change->members[0].object, i);
}

/* The images where they belong, one reading for each that has no room beside the other: rows of the batch that are filled. 0: bad */
static uint32_t place_images(struct json_reader *r, uint32_t row, unsigned needs)
{
    const bool two = needs == 3, room = row + 1 < r->out->capacity;
    const uint32_t after = two && room ? row + 1 : row;
    bool ok = true;

    forget_images(r, row);
    if (two && !room) { /* both must be sound before one is given */
        ok = read_images(r, IMAGE_SKIP, IMAGE_SKIP, row);
        if (!ok || r->half)
            return ok;
        forget_images(r, row);
        r->half = true;
    }
    ok = read_images(r, IMAGE_SKIP, (needs & 1) != 0 ? row : IMAGE_SKIP,
                     (needs & 2) != 0 && !r->half ? after : IMAGE_SKIP);
    r->half = r->half && ok;
    return !ok ? 0 : two && room ? 2 : 1;
}

/* Whether the images that an op needs stand in the line; they have been read, or counted. */
static bool has_images(struct json_reader *r, unsigned needs)
{
    if (needs == 0)
        return refuse_change(r, "\"op\" is none of c, r, u and d");
    if ((needs & 1) != 0 && r->image_rows[0] == IMAGE_SKIP)
        return refuse_change(r,
                             "\"before\" is missing: a table of PostgreSQL needs REPLICA IDENTITY "
                             "FULL");
    if ((needs & 2) != 0 && r->image_rows[1] == IMAGE_SKIP)
        return refuse_change(r, "\"after\" is missing");
    return true;
}

/* One line's change into rows from @row on: how many; 0: a bad one; <0: -code. */
int debezium_decode_line(struct json_reader *r, uint32_t row, struct mill_error *error)
{
    const bool second = r->half;
    bool ok = read_images(r, row, IMAGE_SKIP, IMAGE_SKIP);
    unsigned needs = ok ? images_of(r) : 0;
    uint32_t count = needs == 3 ? 2 : 1;
    const char *end;
    int code;

    ok = ok && has_images(r, needs);
    if (ok && (second || row + count > r->out->capacity ||
               r->image_rows[0] != ((needs & 1) != 0 ? row : IMAGE_SKIP) ||
               r->image_rows[1] != (needs == 3   ? row + 1
                                    : needs == 2 ? row
                                                 : IMAGE_SKIP))) {
        count = second
                    ? (uint32_t)(forget_images(r, row), read_images(r, IMAGE_SKIP, IMAGE_SKIP, row))
                    : place_images(r, row, needs);
        ok = count > 0;
    }
    if (r->no_memory)
        return -mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to decode JSON");
    end = json_line_end(r, r->at);
    if (!ok) {
        forget_images(r, row);
        r->half = false;
        code = json_report(r, end, error);
        r->next += end - r->line + 1;
        r->row++;
        return -code;
    }
    r->out->row_kinds[row] = (int8_t)(needs == 2   ? ROW_INSERT
                                      : needs == 1 ? ROW_DELETE
                                      : second     ? ROW_UPDATE_AFTER
                                                   : ROW_UPDATE_BEFORE);
    if (count == 2)
        r->out->row_kinds[row + 1] = ROW_UPDATE_AFTER;
    if (r->half && !second)
        return 1; /* the row after comes with the next batch */
    r->half = false;
    r->next += end - r->line + 1;
    r->row++;
    return (int)count;
}

/* Columns of the batch being filled, and those that hold nothing. */
bool debezium_own_columns(struct json_reader *r)
{
    struct json_object *o = r->change;

    if (!json_own_columns(r, o->members[0].object, r->out->columns, false) ||
        !batch_own_kinds(r->out))
        return false;
    memset(r->change_columns, 0, sizeof r->change_columns);
    r->change_columns[2].values = &r->op;
    for (uint32_t i = 0; i < 3; i++)
        o->members[i].column = &r->change_columns[i];
    o->members[2].values = &r->op;
    r->root->members[0].column = &r->change_columns[r->root != o ? 3 : 0];
    return true;
}

/* ---- the format ---- */

static int debezium_open(const struct source_config *config, struct format **out,
                         struct mill_error *error)
{
    return json_open_format(config, &format_debezium, debezium_read_options, out, error);
}

/* {"before": row, "after": row, "op": "u"}, in "payload" where the schema stands beside it, around the table's object. */
bool debezium_root(struct json_reader *r)
{
    struct mill_field *fields = arena_array(&r->arena, struct mill_field, 4);
    struct json_object *change, *outer;

    if (fields == NULL)
        return false;
    for (uint32_t i = 0; i < 4; i++)
        fields[i] =
            (struct mill_field){(const char *const[]){"before", "after", "op", "payload"}[i],
                                type_string()};
    change = json_object_new(&r->arena, fields, 3, NULL);
    if (change == NULL)
        return false;
    for (uint32_t i = 0; i < 3; i++)
        json_want_member(change, &change->members[i], true);
    for (uint32_t i = 0; i < 2; i++) {
        change->members[i].object = r->root;
        change->members[i].way = WAY_ROW;
        change->members[i].image = true;
    }
    r->change = r->root = change;
    if (!r->options.schema_included)
        return true;
    outer = json_object_new(&r->arena, fields + 3, 1, NULL);
    if (outer == NULL)
        return false;
    json_want_member(outer, &outer->members[0], true);
    outer->members[0].object = change;
    outer->members[0].way = WAY_ROW;
    r->root = outer;
    return true;
}

const struct format_vtable format_debezium = {.name = "debezium-json",
                                              .extension = "json",
                                              .read_options = debezium_options,
                                              .open = debezium_open,
                                              .close = json_close,
                                              .cut = json_cut,
                                              .decoder_new = json_decoder_new,
                                              .decoder_free = json_decoder_free,
                                              .begin = json_begin,
                                              .decode = json_decode};
