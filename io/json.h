/* io/json.h - JSON lines: what the decoder's files share. fmt_json.c walks objects and lines, fmt_debezium.c
 * and fmt_canal.c make rows of changes, json_objects.c knows the members, json_value.c reads values, json_nested.c
 * those of ARRAY and MAP, json_write.c writes rows.
 *
 * A line is read in one pass, led by the schema: the member that followed this one in the line before is expected to
 * follow again, and is compared as a whole ("name":); else a hash table finds it. Ends of strings come from bit maps of a
 * kernel, made 16 KiB at a time, so that text is still in the first cache when it is read.
 *   Every line lies in memory with its '\n' and 64 readable bytes behind it: the last lines of a piece are copied.
 *   No token crosses the '\n', which every string and scalar stops at.
 * Includes: format.h
 */
#ifndef MILL_JSON_H
#define MILL_JSON_H

#include "core/items.h"
#include "core/values.h"
#include "io/format.h"
#include "kernels/kernels.h"

#define JSON_DEPTH_MAX 64u
#define JSON_PADDING 64u
#define JSON_CHUNK ((size_t)16 << 10)
#define JSON_KEY_WORDS 4u    /* keys up to 32 bytes, quotes and colon too, are compared by words */
#define JSON_LEARNED_MAX 32u /* unknown members remembered per object */

#define IMAGE_SKIP UINT32_MAX

struct json_options {
    bool ignore_errors, fail_on_missing, iso_times;
    bool schema_included;   /* debezium-json: the change stands in "payload" */
    const char *include[2]; /* canal-json: patterns of databases and tables, or NULL */
    bool plain_decimals, ignore_nulls, fixed_fractions; /* writing */
    struct batch *room; /* writing: of one row, for items of ARRAY and MAP */
};

/* How a member's usual form is read. */
enum json_way {
    WAY_SKIP, /* nobody wants it, or the schema does not have it */
    WAY_I64,
    WAY_I32,
    WAY_DOUBLE,
    WAY_DECIMAL,
    WAY_TIME,
    WAY_TEXT,
    WAY_ROW,
    WAY_OTHER
};

/* A member of an object: a column, a field of a ROW, or (index >= object's count) one that the schema does not have. */
struct json_member {
    uint64_t key[JSON_KEY_WORDS], mask[JSON_KEY_WORDS]; /* "name": as words */
    uint32_t key_length;                                /* 0: only found by name */
    struct json_member *next;                           /* what followed it last */
    void *values;                                       /* of the batch being filled */
    enum json_way way;
    uint32_t index;
    bool wanted;
    bool
        image; /* of a change: index 0 the row before it, 1 the row after it; canal-json: lists of them */
    const char *name, *path; /* path: bid.price */
    uint32_t name_length;
    const struct mill_type *type;
    struct json_object *object; /* ROW */
    struct json_member *items;  /* ARRAY: elements; MAP, MULTISET: keys, values */
    struct column *column;      /* of the batch being filled */
    /* the last time's first 16 bytes (to the minute) and their value; a date's first 10 */
    uint64_t seen[2];
    int64_t seen_value;
    int64_t milli;         /* TIMESTAMP: values per millisecond, 0: the type is coarser */
    int128 limit;          /* DECIMAL: 10^precision */
    uint64_t scale_up[19]; /* DECIMAL: 10^(scale - places) for places <= scale, 0: not in 64 bits */
};

struct json_object {
    struct json_member *members; /* count of the schema, then learned ones */
    uint32_t count, learned, wanted;
    struct json_member *first; /* what came first last time */
    uint32_t *slots;           /* hash table of indexes + 1 by name; slot_mask + 1 of them */
    uint32_t slot_mask;
    uint64_t *met; /* bit: this member stood in the object being read */
};

struct json_reader {
    struct format_decoder decoder;
    struct heap *heap;
    struct arena arena; /* objects, members */
    const struct mk_table *kernels;
    const struct mill_schema *schema;
    struct bad_rows *bad;
    struct json_options options;
    struct json_object *root;

    struct format_piece piece;
    const char *end, *next; /* of the piece; next line */
    const char *safe;       /* lines before it are read where they lie */
    const char *seen_at;    /* format_line() */
    uint64_t seen_line;
    uint32_t row; /* lines of the piece so far, bad ones too, blank ones not */

    /* debezium-json: the object that holds before, after and op; root, or what root's payload is. NULL: plain JSON */
    struct json_object *change;
    struct column change_columns[4]; /* of before, after, op; payload */
    struct mill_view op;
    uint32_t image_rows[2]; /* where the images go; IMAGE_SKIP: nowhere */
    uint32_t
        image_next; /* images go to rows from here on as they come; IMAGE_SKIP: to image_rows */
    bool half;      /* the row before of the line at next has been given, the row after has not */

    struct canal *canal;  /* canal-json, else NULL */
    const char *lists[2]; /* of the line: where its rows, and what they were, stand, or NULL */
    bool overlay;         /* the next object changes a row: what it has not stays as it is */

    /* the bit maps: @indexed bytes from base on, and where what may be indexed ends */
    const char *base, *limit;
    size_t indexed;
    bool high; /* a byte of 0x80 or more was seen in this piece */

    /* the line being read */
    struct batch *out;
    const char *line;
    uint32_t depth;
    const char *reason; /* it is no JSON, at: */
    const char *at;
    const struct json_member *conflict; /* or: the first value that does not fit its column */
    const char *conflict_text;
    uint32_t conflict_length;
    const char *conflict_reason; /* or NULL: is no TYPE */
    bool no_memory;

    struct cell *cells; /* of the ARRAYs and MAPs being read, the outer ones' first */
    uint32_t cell_count, cell_room;
    struct arena item_bytes;

    uint64_t stops[JSON_CHUNK / 64], marks[JSON_CHUNK / 64];
};

/* ---- scanning (inline: one of these per value) ---- */

/* Makes the bit maps for the bytes from @p on. */
void json_index(struct json_reader *r, const char *p);
const char *json_next_far(struct json_reader *r, const uint64_t *map, const char *p);

static inline uint64_t json_load8(const char *p)
{
    uint64_t v;

    memcpy(&v, p, 8);
    return v;
}
static inline uint32_t json_load4(const char *p)
{
    uint32_t v;

    memcpy(&v, p, 4);
    return v;
}

/* The first byte at or behind @p whose bit is set in @map (r->stops or r->marks). */
static inline const char *json_next(struct json_reader *r, const uint64_t *map, const char *p)
{
    const size_t at = (size_t)(p - r->base);

    if (LIKELY(at < r->indexed)) {
        const uint64_t word = map[at / 64] >> (at & 63);

        if (LIKELY(word != 0))
            return p + __builtin_ctzll(word);
    }
    return json_next_far(r, map, p);
}

static inline bool json_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}
static inline const char *json_space(const char *p)
{
    while (json_is_space(*p))
        p++;
    return p;
}
/* What may stand behind a number or word. */
extern const bool json_ends[256];
extern const uint64_t json_tens[19];
static inline bool json_ends_scalar(char c)
{
    return json_ends[(unsigned char)c];
}
static inline bool json_is_null(const char *p)
{
    return json_load4(p) == 0x6c6c756e && json_ends_scalar(p[4]); /* "null" */
}

/* ---- json_value.c ---- */

/* The line is no JSON: @reason at @at. Returns NULL. */
const char *json_broken(struct json_reader *r, const char *at, const char *reason);
/* Reads the value at @p into the member's column. Returns behind it, NULL: the line is broken, or no memory. A value that
 * does not fit becomes the line's conflict, or NULL where errors are ignored. */
const char *json_value(struct json_reader *r, struct json_member *m, const char *p, uint32_t row);
void json_set_null(struct json_reader *r, struct json_member *m, uint32_t row);
void json_conflict(struct json_reader *r, struct json_member *m, const char *text, uint32_t length,
                   const char *reason, uint32_t row);
/* Behind the value at @p, whatever it is; strings, brackets and their order are checked, what is in scalars is not. */
const char *json_skip(struct json_reader *r, const char *p);
/* Behind the string whose opening quote is at @p. */
const char *json_skip_string(struct json_reader *r, const char *p);
/* The text of a string's inside: as it lies there, or without its escapes in the arena. Length UINT32_MAX: broken, or no
 * memory. */
struct json_text {
    const char *bytes;
    uint32_t length;
};
struct json_text json_unescape(struct json_reader *r, struct arena *arena, const char *from,
                               const char *to);

/* A DATE (days), time of day or moment, exactly in the form that 'json.timestamp-format.standard' says. NULL, or why it
 * is none. */
const char *json_time(bool iso, const struct mill_type *type, const char *p, uint32_t length,
                      int64_t *out);

/* ---- json_objects.c ---- */

/* An object of the schema's fields, of which nothing is wanted yet. NULL without memory. */
struct json_object *json_object_new(struct arena *arena, const struct mill_field *fields,
                                    uint32_t count, const char *path);
void json_want_member(struct json_object *o, struct json_member *m, bool wanted);
void json_want_columns(struct json_object *o, const struct source_config *config);
/* NULL: neither the schema nor a line so far had it. */
struct json_member *json_member_named(struct json_object *o, const char *name, uint32_t length);
/* A member that the schema does not have, remembered so that the next line expects it. NULL: too many, or too long. */
struct json_member *json_learn(struct json_reader *r, struct json_object *o, const char *name,
                               uint32_t length);

void json_want_all(struct json_object *o);

/* ---- json_nested.c ---- */

bool json_items_new(struct arena *arena, struct json_member *m);
bool json_own_items(struct json_reader *r, struct json_member *m);
/* As json_value(), for ARRAY, MAP and MULTISET; the value is not null. */
const char *json_nested(struct json_reader *r, struct json_member *m, const char *p, uint32_t row);
void json_put_nested(struct text_buffer *to, const struct mill_type *type,
                     const struct mill_view *value, const struct json_options *o);

/* ---- fmt_json.c, for json_nested.c, fmt_debezium.c and fmt_canal.c ---- */

/* A ROW's value; as json_value(). */
const char *json_row(struct json_reader *r, struct json_member *m, const char *p, uint32_t row);

struct json_format {
    struct format format;
    struct source_config config;
    struct json_options options;
};

typedef int (*json_options_read)(const struct options *options, struct json_options *out,
                                 struct mill_error *error);
int json_times_option(const struct options *options, const char *key, bool *iso,
                      struct mill_error *error);
int json_open_format(const struct source_config *config, const struct format_vtable *vtable,
                     json_options_read read, struct format **out, struct mill_error *error);
void json_close(struct format *format);
size_t json_cut(const struct format *format, uint64_t offset, const char *bytes, size_t length,
                size_t want);
struct format_decoder *json_decoder_new(const struct format *format, struct heap *heap);
void json_decoder_free(struct format_decoder *decoder);
void json_begin(struct format_decoder *decoder, const struct format_piece *piece);
int json_decode(struct format_decoder *decoder, struct batch *out, struct mill_error *error);
/* The object whose '{' is at @p; returns behind its '}'. NULL: it is broken, or no memory. */
const char *json_read_object(struct json_reader *r, struct json_object *o, const char *p,
                             uint32_t row);
/* The batch's columns for the object's members; what is not wanted stays empty. */
bool json_own_columns(struct json_reader *r, struct json_object *o, struct column *columns,
                      bool nested);
/* Reads the line into @row. Returns behind what was read; NULL: it is broken. */
const char *json_read_line(struct json_reader *r, uint32_t row);
/* The line's '\n', from a place in it. */
const char *json_line_end(const struct json_reader *r, const char *from);
/* Takes back the NULLs that a line, or the first of two members of the same name, has set. */
void json_forget_row(struct json_object *o, uint32_t row);
/* The line up to @end is bad. MILL_OK: it is skipped. */
int json_report(struct json_reader *r, const char *end, struct mill_error *error);

/* ---- fmt_debezium.c, for fmt_json.c ---- */

/* {"before": row, "after": row, "op": "u"} around the table's object; in "payload" where the schema stands beside it. */
bool debezium_root(struct json_reader *r);
/* Columns of the batch being filled, and those that hold nothing. */
bool debezium_own_columns(struct json_reader *r);
/* One line's change into rows from @row on: how many; 0: a bad one; <0: -code. */
int debezium_decode_line(struct json_reader *r, uint32_t row, struct mill_error *error);

/* ---- fmt_canal.c, for fmt_json.c ---- */

/* The line's frame around lists of the table's object. */
bool canal_root(struct json_reader *r);
void canal_close(struct json_reader *r);
void canal_begin(struct json_reader *r);
struct json_object *canal_rows(const struct json_reader *r);
/* As for Debezium's. */
bool canal_own_columns(struct json_reader *r);
int canal_decode_line(struct json_reader *r, uint32_t row, struct mill_error *error);

/* ---- fmt_json.c and json_write.c ---- */

int json_read_options(const struct options *options, struct json_options *out,
                      struct mill_error *error);
int json_write_options(const struct options *options, struct json_options *out,
                       struct mill_error *error);
/* Refuses what JSON columns cannot be. @path: the column's name. */
int json_check_type(const struct mill_type *type, const char *path, const struct options *options,
                    struct mill_error *error);
void json_put_value(struct text_buffer *to, const struct column *c, const struct mill_type *type,
                    uint32_t row, const struct json_options *o);
int json_writer_open(const struct sink_config *config, struct format_writer **out,
                     struct mill_error *error);
void json_writer_close(struct format_writer *writer);
void json_write(struct format_writer *writer, const struct batch *batch, struct text_buffer *to);

#endif
