/* tools/print.c - result rows as CSV, JSON lines or a table. */
#include "tools/print.h"

#include <stdlib.h>
#include <string.h>

#define OUT_BYTES ((size_t)256 << 10)

/* ---- values as text ---- */

/* A number, boolean or time. @query NULL: TIMESTAMP_LTZ as UTC. */
static void plain_value(struct text *to, const mill_query *query, const struct mill_type *type,
                        const struct mill_column *c, uint32_t row)
{
    int64_t v;

    switch (type->kind) {
    case MILL_BOOLEAN:
        text_add(to, ((const uint8_t *)c->values)[row] ? "true" : "false",
                 ((const uint8_t *)c->values)[row] ? 4 : 5);
        break;
    case MILL_TINYINT: text_integer(to, ((const int8_t *)c->values)[row]); break;
    case MILL_SMALLINT: text_integer(to, ((const int16_t *)c->values)[row]); break;
    case MILL_INT:
    case MILL_INTERVAL_MONTH: text_integer(to, ((const int32_t *)c->values)[row]); break;
    case MILL_FLOAT: text_real(to, (double)((const float *)c->values)[row], true); break;
    case MILL_DOUBLE: text_real(to, ((const double *)c->values)[row], false); break;
    case MILL_DECIMAL: text_decimal(to, ((const __int128 *)c->values)[row], type->scale); break;
    case MILL_DATE: text_date(to, ((const int32_t *)c->values)[row]); break;
    case MILL_TIME:
    case MILL_TIMESTAMP:
    case MILL_TIMESTAMP_LTZ:
        v = ((const int64_t *)c->values)[row];
        text_time(to, type, query != NULL ? mill_local_time(query, type, v) : v);
        break;
    default: text_integer(to, ((const int64_t *)c->values)[row]);
    }
}

static bool is_text(const struct mill_type *type)
{
    return type->kind >= MILL_CHAR && type->kind <= MILL_VARBINARY;
}

static bool is_null(const struct mill_column *c, uint32_t row)
{
    return c->validity != NULL && (c->validity[row >> 6] >> (row & 63) & 1) == 0;
}

/* ---- CSV ---- */

static void csv_text(struct text *to, const char *text, size_t length)
{
    bool quoted = length == 0;

    for (size_t i = 0; i < length; i++)
        quoted |= text[i] == ',' || text[i] == '"' || text[i] == '\n' || text[i] == '\r';
    if (!quoted) {
        text_add(to, text, length);
        return;
    }
    text_char(to, '"');
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"')
            text_char(to, '"');
        text_char(to, text[i]);
    }
    text_char(to, '"');
}

/* ---- JSON ---- */

static void json_text(struct text *to, const char *text, size_t length)
{
    static const char hex[] = "0123456789abcdef";
    size_t from = 0;

    text_char(to, '"');
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)text[i];

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        text_add(to, text + from, i - from);
        from = i + 1;
        text_char(to, '\\');
        if (c < 0x20) {
            text_add(to, "u00", 3);
            text_char(to, hex[c >> 4]);
            text_char(to, hex[c & 15]);
        } else {
            text_char(to, (char)c);
        }
    }
    text_add(to, text + from, length - from);
    text_char(to, '"');
}

static bool is_number(const struct mill_type *type)
{
    return type->kind <= MILL_DECIMAL;
}

/* A number as it stands, but NaN and Infinity are texts, as all else. */
static void json_plain(struct text *to, const struct mill_type *type, const struct mill_column *c,
                       uint32_t row)
{
    const size_t begin = to->length;
    size_t n;

    if (!is_number(type))
        text_char(to, '"');
    plain_value(to, NULL, type, c, row);
    if (type->kind == MILL_TIMESTAMP_LTZ)
        text_char(to, 'Z');
    n = to->length - begin;
    if (is_number(type) && (to->bytes[to->length - 1] == 'N' || to->bytes[to->length - 1] == 'y')) {
        text_add(to, "\"\"", 2);
        memmove(to->bytes + begin + 1, to->bytes + begin, n);
        to->bytes[begin] = '"';
    }
    if (!is_number(type))
        text_char(to, '"');
}

static bool is_nested(const struct mill_type *type)
{
    return type->kind == MILL_ARRAY || type->kind == MILL_MAP || type->kind == MILL_MULTISET;
}

static bool is_composite(const struct mill_type *type)
{
    return type->kind == MILL_ROW || is_nested(type);
}

static void json_value(struct text *to, const struct mill_type *type, const struct mill_column *c,
                       uint32_t row);

/* Memory of one value's items. */
struct scrap {
    struct scrap *next;
    max_align_t bytes[];
};

static void *scrap_alloc(void *context, size_t bytes)
{
    struct scrap **all = context, *made = malloc(sizeof *made + bytes);

    if (made == NULL)
        abort();
    made->next = *all;
    *all = made;
    return made->bytes;
}

/* A member's name must be a text. */
static void json_key(struct text *to, const struct mill_type *type, const struct mill_column *c,
                     uint32_t row)
{
    struct text made = {0};

    if (is_text(type) || (!is_number(type) && !is_composite(type))) {
        json_value(to, type, c, row);
        return;
    }
    json_value(&made, type, c, row);
    json_text(to, made.bytes, made.length);
    free(made.bytes);
}

/* [a, b], {"key": value} */
static void json_items(struct text *to, const struct mill_type *type, const struct mill_view *value)
{
    static const struct mill_type number = {.kind = MILL_INT};
    const struct mill_type *first = &type->fields[0].type;
    const struct mill_type *second = type->kind == MILL_MAP ? &type->fields[1].type : &number;
    struct scrap *all = NULL;
    struct mill_items items;

    if (mill_items(type, value, scrap_alloc, &all, &items) != MILL_OK)
        abort();
    text_char(to, type->kind == MILL_ARRAY ? '[' : '{');
    for (uint32_t i = 0; i < items.count; i++) {
        if (i > 0)
            text_char(to, ',');
        if (type->kind == MILL_ARRAY) {
            json_value(to, first, &items.first, i);
            continue;
        }
        json_key(to, first, &items.first, i);
        text_char(to, ':');
        json_value(to, second, &items.second, i);
    }
    text_char(to, type->kind == MILL_ARRAY ? ']' : '}');
    for (struct scrap *next; all != NULL; all = next) {
        next = all->next;
        free(all);
    }
}

static void json_value(struct text *to, const struct mill_type *type, const struct mill_column *c,
                       uint32_t row)
{
    if (is_null(c, row)) {
        text_add(to, "null", 4);
    } else if (is_nested(type)) {
        json_items(to, type, &((const struct mill_view *)c->values)[row]);
    } else if (type->kind == MILL_ROW) {
        for (uint32_t i = 0; i < type->field_count; i++) {
            text_char(to, i == 0 ? '{' : ',');
            json_text(to, type->fields[i].name, strlen(type->fields[i].name));
            text_char(to, ':');
            json_value(to, &type->fields[i].type, &c->children[i], row);
        }
        text_char(to, '}');
    } else if (is_text(type)) {
        const struct mill_view *v = &((const struct mill_view *)c->values)[row];

        json_text(to, mill_view_data(v), v->length);
    } else {
        json_plain(to, type, c, row);
    }
}

/* ---- cells: the text of any value ---- */

/* A time is written once as long as it stays the same, as that of a window does in many rows. */
static void time_value(struct printer *p, uint32_t column, int64_t v)
{
    struct printed_time *last = &p->times[column];

    if (last->length == 0 || last->value != v) {
        const struct mill_type *type = &p->schema->fields[column].type;
        struct text made = {last->bytes, 0, sizeof last->bytes};

        text_time(&made, type, mill_local_time(p->query, type, v));
        last->value = v;
        last->length = (uint32_t)made.length;
    }
    text_add(&p->out, last->bytes, last->length);
}

static void csv_value(struct printer *p, const struct mill_column *c, uint32_t column, uint32_t row)
{
    const struct mill_type *type = &p->schema->fields[column].type;

    if (is_null(c, row))
        return; /* nothing at all: an empty text is quoted */
    if (type->kind == MILL_TIMESTAMP || type->kind == MILL_TIMESTAMP_LTZ) {
        time_value(p, column, ((const int64_t *)c->values)[row]);
    } else if (is_text(type)) {
        const struct mill_view *v = &((const struct mill_view *)c->values)[row];

        csv_text(&p->out, mill_view_data(v), v->length);
    } else if (is_composite(type)) {
        struct text made = {0};

        json_value(&made, type, c, row);
        csv_text(&p->out, made.bytes, made.length);
        free(made.bytes);
    } else {
        plain_value(&p->out, p->query, type, c, row);
    }
}

/* Gives a string of its own. */
static char *cell_text(const mill_query *query, const struct mill_type *type,
                       const struct mill_column *c, uint32_t row)
{
    struct text made = {0};

    if (is_null(c, row)) {
        text_add(&made, "<NULL>", 6);
    } else if (is_composite(type)) {
        json_value(&made, type, c, row);
    } else if (is_text(type)) {
        const struct mill_view *v = &((const struct mill_view *)c->values)[row];

        text_add(&made, mill_view_data(v), v->length);
    } else {
        plain_value(&made, query, type, c, row);
    }
    text_char(&made, '\0');
    return made.bytes;
}

static char *word(const char *text, size_t length)
{
    struct text made = {0};

    text_add(&made, text, length);
    text_char(&made, '\0');
    return made.bytes;
}

/* Room for one more cell, which is freed with the others. */
static char **next_cell(struct printer *p)
{
    if (p->cell_count == p->cell_room) {
        const size_t room = p->cell_room == 0 ? 256 : p->cell_room * 2;
        char **more = realloc(p->cells, room * sizeof *more);

        if (more == NULL)
            abort();
        p->cells = more;
        p->cell_room = room;
    }
    return &p->cells[p->cell_count++];
}

/* ---- the printer ---- */

static const char *kind_text(const struct mill_batch *batch, uint32_t row)
{
    static const char *const texts[] = {"+I", "-U", "+U", "-D"};

    return texts[batch->row_kinds != NULL ? batch->row_kinds[row] & 3 : 0];
}

static uint32_t shown_columns(const struct printer *p)
{
    return p->schema->field_count + p->changes;
}

void printer_begin(struct printer *p, const mill_query *query, const struct mill_schema *schema)
{
    p->query = query;
    p->schema = schema;
    p->named = false;
    p->changes = mill_query_changes(query);
    p->times = calloc(schema->field_count + 1, sizeof *p->times);
    if (p->times == NULL)
        abort();
}

static void write_out(struct printer *p)
{
    if (p->out.length > 0)
        fwrite(p->out.bytes, 1, p->out.length, p->to);
    p->out.length = 0;
}

static void csv_names(struct printer *p)
{
    if (p->changes)
        text_add(&p->out, "op,", 3);
    for (uint32_t i = 0; i < p->schema->field_count; i++) {
        const char *name = p->schema->fields[i].name;

        if (i > 0)
            text_char(&p->out, ',');
        csv_text(&p->out, name, strlen(name));
    }
    text_char(&p->out, '\n');
}

void printer_names(struct printer *p)
{
    if (p->named)
        return;
    p->named = true;
    if (p->format == PRINT_CSV)
        csv_names(p);
    if (p->format == PRINT_TABLE && p->changes)
        *next_cell(p) = strdup("op");
    for (uint32_t i = 0; p->format == PRINT_TABLE && i < p->schema->field_count; i++)
        *next_cell(p) = strdup(p->schema->fields[i].name);
}

static void print_kind(struct printer *p, const char *kind)
{
    if (p->format == PRINT_TABLE)
        *next_cell(p) = word(kind, 2);
    else if (p->format == PRINT_CSV)
        text_add(&p->out, kind, 2);
    if (p->format == PRINT_CSV)
        text_char(&p->out, ',');
    if (p->format == PRINT_JSON) {
        text_add(&p->out, "{\"op\":\"", 7);
        text_add(&p->out, kind, 2);
        text_char(&p->out, '"');
    }
}

static void print_row(struct printer *p, const struct mill_batch *batch, uint32_t row)
{
    if (p->changes)
        print_kind(p, kind_text(batch, row));
    for (uint32_t i = 0; i < batch->column_count; i++) {
        const struct mill_type *type = &p->schema->fields[i].type;

        if (p->format == PRINT_TABLE) {
            *next_cell(p) = cell_text(p->query, type, &batch->columns[i], row);
        } else if (p->format == PRINT_JSON) {
            text_char(&p->out, i == 0 && !p->changes ? '{' : ',');
            json_text(&p->out, p->schema->fields[i].name, strlen(p->schema->fields[i].name));
            text_char(&p->out, ':');
            json_value(&p->out, type, &batch->columns[i], row);
        } else {
            if (i > 0)
                text_char(&p->out, ',');
            csv_value(p, &batch->columns[i], i, row);
        }
    }
    if (p->format == PRINT_JSON)
        text_char(&p->out, '}');
    if (p->format != PRINT_TABLE)
        text_char(&p->out, '\n');
}

void printer_rows(struct printer *p, const struct mill_batch *batch)
{
    for (uint32_t row = 0; row < batch->rows; row++) {
        print_row(p, batch, row);
        if (p->out.length > OUT_BYTES)
            write_out(p);
    }
    write_out(p);
    if (p->format != PRINT_TABLE)
        fflush(p->to); /* live results do not wait for a buffer to be full */
    p->failed = p->failed || ferror(p->to) != 0;
}

static size_t shown_width(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

void printer_end(struct printer *p)
{
    const uint32_t columns = shown_columns(p);
    size_t *widths = calloc(columns + 1, sizeof *widths);

    write_out(p);
    for (size_t i = 0; widths != NULL && i < p->cell_count; i++)
        if (shown_width(p->cells[i]) > widths[i % columns])
            widths[i % columns] = shown_width(p->cells[i]);
    for (size_t i = 0; widths != NULL && i < p->cell_count; i++) {
        const size_t k = i % columns;

        fprintf(p->to, "%s%s%*s", k == 0 ? "| " : " | ", p->cells[i],
                (int)(widths[k] - shown_width(p->cells[i])), "");
        if (k + 1 < columns)
            continue;
        fputs(" |\n", p->to);
        if (i + 1 == columns) {
            for (uint32_t c = 0; c < columns; c++) {
                fputs(c == 0 ? "|" : "+", p->to);
                for (size_t w = 0; w < widths[c] + 2; w++)
                    fputc('-', p->to);
            }
            fputs("|\n", p->to);
        }
    }
    for (size_t i = 0; i < p->cell_count; i++)
        free(p->cells[i]);
    free(p->cells);
    free(widths);
    free(p->times);
    free(p->out.bytes);
    p->times = NULL;
    p->out = (struct text){0};
    p->cells = NULL;
    p->cell_count = p->cell_room = 0;
    p->schema = NULL;
    if (fflush(p->to) != 0)
        p->failed = true;
}
