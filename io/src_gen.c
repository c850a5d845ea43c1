/* io/src_gen.c - connector 'datagen': rows made by rule, seeded.
 *
 * Every value is a pure function of (seed, column, row number): the same options give the same rows for
 * any number of shards, any batch size and any choice of columns. Rows are made as fast as they are
 * read: 'rows-per-second' is checked, and paces nothing.
 *
 *   'fields.X.kind'      random (default) or sequence: start, start + 1, ... end; the table ends with it
 *   'fields.X.min' 'max' inclusive; default: the range of the type
 *   'fields.X.length'    of random text, in hexadecimal digits; default 100
 *   'fields.X.max-past'  a time is 2015-07-15 00:00:00 less up to this; default 0
 *   'fields.X.null-rate' 0 to 1, how many values are NULL
 *
 * Threads: as source.h says; a decoder only reads the source.   Includes: file.h
 */
#include "io/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define BASE_TIME_US 1436918400000000ll /* 2015-07-15 00:00:00 */
#define TEXT_LENGTH_MAX 65536u

struct gen_field {
    bool sequence, null_some;
    int128 min, max; /* integers, unscaled decimals; or start and end */
    double real_min, real_max;
    uint64_t null_below; /* of 2^64: a smaller draw is NULL */
    int64_t past_us;
    uint32_t length;
};

struct gen {
    struct source source;
    struct heap *heap;
    const struct mill_schema *schema;
    const bool *wanted;
    struct gen_field *fields;
    uint64_t rows, position, seed, step_rows;
    int64_t base_us;
};

struct gen_decoder {
    struct decoder decoder;
    struct heap *heap;
    const struct gen *gen;
    uint64_t next, end;
};

static const char *const field_options[] = {"kind", "min",    "max",      "start",
                                            "end",  "length", "max-past", "null-rate"};

/* ---- draws ---- */

static uint64_t mix(uint64_t x)
{
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

/* The @n-th draw for a value. */
static uint64_t draw(const struct gen *g, uint32_t column, uint64_t row, uint32_t n)
{
    return mix(mix(mix(g->seed) ^ ((uint64_t)column << 32 | n)) ^ row);
}

static double unit(uint64_t bits)
{
    return (double)(bits >> 11) * 0x1p-53;
}

static int128 draw_between(const struct gen *g, uint32_t column, uint64_t row, int128 min,
                           int128 max)
{
    const uint128 span = (uint128)max - (uint128)min + 1;
    const uint64_t low = draw(g, column, row, 0);
    uint128 mask, v;

    if (span <= UINT64_MAX) /* the high half of a product: no division */
        return (int128)((uint128)min + ((uint128)low * (uint64_t)span >> 64));
    mask = ~(uint128)0 >> __builtin_clzll((uint64_t)(span >> 64));
    for (uint32_t n = 1;; n++) { /* more than half of the draws are below the span */
        v = ((uint128)draw(g, column, row, 2 * n) << 64 | draw(g, column, row, 2 * n + 1)) & mask;
        if (v < span)
            return (int128)((uint128)min + v);
    }
}

/* ---- options ---- */

static const struct option *field_option(const struct options *options, const char *column,
                                         const char *name)
{
    char key[256];

    snprintf(key, sizeof key, "fields.%s.%s", column, name);
    return option_get(options, key);
}

static int bad(const struct option *o, const char *needs, struct mill_error *error)
{
    return mill_fail(error, MILL_E_OPTION, o->line, o->column, "'%s' is '%s', need %s", o->key,
                     o->value, needs);
}

/* "-12.5" at @scale 2: -1250. False: not a number, more digits than the scale, or more than 38. */
static bool scaled(const char *text, uint32_t scale, int128 *out)
{
    const bool negative = *text == '-';
    uint32_t digits = 0, after = 0;
    bool point = false;
    int128 v = 0;

    for (text += negative || *text == '+'; *text != '\0'; text++) {
        if (*text == '.' && !point) {
            point = true;
            continue;
        }
        if (*text < '0' || *text > '9' || ++digits > 38 || (after += point) > scale)
            return false;
        v = v * 10 + (*text - '0');
    }
    for (; after < scale; after++) {
        if (++digits > 38 && v != 0)
            return false;
        v *= 10;
    }
    *out = negative ? -v : v;
    return digits > 0;
}

static int128 kind_max(const struct mill_type *type)
{
    int128 v = 1;

    switch (type->kind) {
    case MILL_TINYINT: return INT8_MAX;
    case MILL_SMALLINT: return INT16_MAX;
    case MILL_INT: return INT32_MAX;
    case MILL_BIGINT: return INT64_MAX;
    default:
        for (uint32_t i = 0; i < type->precision; i++)
            v *= 10;
        return v - 1;
    }
}

static int read_bound(const struct options *options, const struct mill_field *f, const char *name,
                      int128 *out, bool *given, struct mill_error *error)
{
    const struct option *o = field_option(options, f->name, name);
    const int128 most = kind_max(&f->type),
                 least = f->type.kind == MILL_DECIMAL ? -most : -most - 1;
    char type[80], needs[120];

    *given = o != NULL;
    if (o == NULL)
        return MILL_OK;
    if (scaled(o->value, f->type.kind == MILL_DECIMAL ? f->type.scale : 0, out) && *out >= least &&
        *out <= most)
        return MILL_OK;
    snprintf(needs, sizeof needs, "a value of %s", type_name(&f->type, type, sizeof type));
    return bad(o, needs, error);
}

static int read_integers(struct gen_field *g, const struct options *options,
                         const struct mill_field *f, struct mill_error *error)
{
    bool first, last;

    g->max = kind_max(&f->type);
    g->min = f->type.kind == MILL_DECIMAL ? -g->max : -g->max - 1;
    if (read_bound(options, f, g->sequence ? "start" : "min", &g->min, &first, error) != MILL_OK ||
        read_bound(options, f, g->sequence ? "end" : "max", &g->max, &last, error) != MILL_OK)
        return MILL_E_OPTION;
    if (g->sequence && !(first && last))
        return mill_fail(error, MILL_E_OPTION, options->line, options->column,
                         "table %s: a sequence needs 'fields.%s.start' and 'fields.%s.end'",
                         options->table, f->name, f->name);
    if (g->min > g->max)
        return mill_fail(error, MILL_E_OPTION, options->line, options->column,
                         "table %s: of column %s the %s is above the %s", options->table, f->name,
                         g->sequence ? "start" : "min", g->sequence ? "end" : "max");
    return MILL_OK;
}

static int read_real(const struct options *options, const char *column, const char *name,
                     double *out, struct mill_error *error)
{
    const struct option *o = field_option(options, column, name);
    char *stop;

    if (o == NULL)
        return MILL_OK;
    *out = strtod(o->value, &stop);
    return stop != o->value && *stop == '\0' && isfinite(*out) ? MILL_OK
                                                               : bad(o, "a finite number", error);
}

static int read_reals(struct gen_field *g, const struct options *options,
                      const struct mill_field *f, struct mill_error *error)
{
    g->real_max = f->type.kind == MILL_FLOAT ? 0x1.fffffep127 : 0x1.fffffffffffffp1023;
    g->real_min = -g->real_max;
    if (read_real(options, f->name, "min", &g->real_min, error) != MILL_OK ||
        read_real(options, f->name, "max", &g->real_max, error) != MILL_OK)
        return MILL_E_OPTION;
    if (g->real_min > g->real_max)
        return mill_fail(error, MILL_E_OPTION, options->line, options->column,
                         "table %s: of column %s the min is above the max", options->table,
                         f->name);
    return MILL_OK;
}

static int read_kind(struct gen_field *g, const struct options *options, const struct mill_field *f,
                     struct mill_error *error)
{
    const struct option *o = field_option(options, f->name, "kind");
    const bool counts = f->type.kind >= MILL_TINYINT && f->type.kind <= MILL_BIGINT;

    g->sequence = o != NULL && strcmp(o->value, "sequence") == 0;
    if (o != NULL && !g->sequence && strcmp(o->value, "random") != 0)
        return bad(o, "random or sequence", error);
    if (g->sequence && !counts)
        return mill_fail(error, MILL_E_UNSUPPORTED, o->line, o->column,
                         "'%s': a sequence is made of TINYINT to BIGINT only", o->key);
    return MILL_OK;
}

static int read_null_rate(struct gen_field *g, const struct options *options,
                          const struct mill_field *f, struct mill_error *error)
{
    double rate = 0;

    if (read_real(options, f->name, "null-rate", &rate, error) != MILL_OK)
        return MILL_E_OPTION;
    if (rate < 0 || rate > 1)
        return bad(field_option(options, f->name, "null-rate"), "0 to 1", error);
    if (rate > 0 && f->type.not_null)
        return bad(field_option(options, f->name, "null-rate"), "0: the column is NOT NULL", error);
    g->null_some = rate > 0;
    g->null_below = rate >= 1 ? UINT64_MAX : (uint64_t)(rate * 0x1p64);
    return MILL_OK;
}

static int read_length(struct gen_field *g, const struct options *options,
                       const struct mill_field *f, struct mill_error *error)
{
    char key[256];
    uint64_t length;

    snprintf(key, sizeof key, "fields.%s.length", f->name);
    if (option_u64(options, key, min_u32(100, f->type.length), 0,
                   min_u32(TEXT_LENGTH_MAX, f->type.length), &length, error) != MILL_OK)
        return MILL_E_OPTION;
    g->length = (uint32_t)length;
    return MILL_OK;
}

static int read_past(struct gen_field *g, const struct options *options, const struct mill_field *f,
                     struct mill_error *error)
{
    char key[256];
    int64_t ns;

    snprintf(key, sizeof key, "fields.%s.max-past", f->name);
    if (option_duration_ns(options, key, 0, &ns, error) != MILL_OK)
        return MILL_E_OPTION;
    g->past_us = ns / 1000;
    return MILL_OK;
}

static int read_field(struct gen_field *g, const struct options *options,
                      const struct mill_field *f, struct mill_error *error)
{
    char type[80];
    int code = read_kind(g, options, f, error);

    if (code == MILL_OK)
        code = read_null_rate(g, options, f, error);
    if (code != MILL_OK)
        return code;
    switch (f->type.kind) {
    case MILL_BOOLEAN: return MILL_OK;
    case MILL_TINYINT:
    case MILL_SMALLINT:
    case MILL_INT:
    case MILL_BIGINT:
    case MILL_DECIMAL: return read_integers(g, options, f, error);
    case MILL_FLOAT:
    case MILL_DOUBLE: return read_reals(g, options, f, error);
    case MILL_CHAR:
    case MILL_VARCHAR: return read_length(g, options, f, error);
    case MILL_TIMESTAMP:
    case MILL_TIMESTAMP_LTZ: return read_past(g, options, f, error);
    default:
        return mill_fail(error, MILL_E_UNSUPPORTED, options->line, options->column,
                         "table %s: datagen cannot make column %s of %s yet; it makes BOOLEAN, "
                         "integers, "
                         "FLOAT, DOUBLE, DECIMAL, STRING and TIMESTAMP",
                         options->table, f->name, type_name(&f->type, type, sizeof type));
    }
}

/* A key 'fields.X.y' whose X is no column: says so, before the general complaint about options. */
static int check_columns(const struct gen *g, const struct options *options,
                         struct mill_error *error)
{
    for (uint32_t i = 0; i < options->count; i++) {
        const struct option *o = &options->items[i];
        const char *dot = strrchr(o->key, '.'), *names[256], *near;
        const uint32_t count = min_u32(g->schema->field_count, COUNT_OF(names));
        bool there = false;
        char name[128];

        if (strncmp(o->key, "fields.", 7) != 0 || dot <= o->key + 7)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(dot - o->key - 7), o->key + 7);
        for (uint32_t c = 0; c < g->schema->field_count; c++)
            there = there || strcmp(g->schema->fields[c].name, name) == 0;
        if (there)
            continue;
        for (uint32_t c = 0; c < count; c++)
            names[c] = g->schema->fields[c].name;
        near = nearest_name(name, names, count);
        return mill_fail(error, MILL_E_NAME, o->line, o->column, "table %s has no column %s%s%s%s",
                         options->table, name, near != NULL ? "; did you mean " : "",
                         near != NULL ? near : "", near != NULL ? "?" : "");
    }
    return MILL_OK;
}

static int check_used(const struct options *options, struct mill_error *error)
{
    static const char *const plain[] = {"connector",
                                        "number-of-rows",
                                        "rows-per-second",
                                        "seed",
                                        "on-error",
                                        "dead-letter.path",
                                        "scan.watermark.idle-timeout"};

    for (uint32_t i = 0; i < options->count; i++) {
        const struct option *o = &options->items[i];
        const char *dot = strrchr(o->key, '.'), *near;
        bool known = false;

        if (*o->used || strncmp(o->key, "fields.", 7) != 0 || dot <= o->key + 7)
            continue;
        for (size_t k = 0; k < COUNT_OF(field_options); k++)
            known = known || strcmp(dot + 1, field_options[k]) == 0;
        near = nearest_name(dot + 1, field_options, COUNT_OF(field_options));
        return known ? mill_fail(error, MILL_E_OPTION, o->line, o->column,
                                 "'%s' says nothing about a column of this type and kind", o->key)
                     : mill_fail(error, MILL_E_NAME, o->line, o->column,
                                 "table %s: there is no option '%s' here%s%s%s", options->table,
                                 o->key, near != NULL ? "; did you mean " : "",
                                 near != NULL ? near : "", near != NULL ? "?" : "");
    }
    return options_check_used(options, plain, COUNT_OF(plain), error);
}

static int read_options(struct gen *g, const struct options *options, struct mill_error *error)
{
    uint64_t pace;
    int code = check_columns(g, options, error);

    if (code != MILL_OK)
        return code;
    option_get(options, "connector");
    option_get(options, "on-error"); /* no row can be bad */
    option_get(options, "dead-letter.path");
    if (option_get(options, "number-of-rows") == NULL)
        return mill_fail(error, MILL_E_OPTION, options->line, options->column,
                         "table %s has no 'number-of-rows': how many rows to make", options->table);
    if (option_u64(options, "number-of-rows", 0, 0, (uint64_t)1 << 50, &g->rows, error) !=
            MILL_OK ||
        option_u64(options, "rows-per-second", 1, 1, UINT64_MAX, &pace, error) != MILL_OK ||
        option_u64(options, "seed", 1, 0, UINT64_MAX, &g->seed, error) != MILL_OK)
        return MILL_E_OPTION;
    for (uint32_t c = 0; c < g->schema->field_count; c++) {
        struct gen_field *f = &g->fields[c];

        code = read_field(f, options, &g->schema->fields[c], error);
        if (code != MILL_OK)
            return code;
        if (f->sequence && (uint128)f->max - (uint128)f->min < g->rows)
            g->rows = (uint64_t)(f->max - f->min) + 1;
    }
    return check_used(options, error);
}

static int check_metadata(const struct source_config *config, struct mill_error *error)
{
    for (uint32_t c = 0; config->metadata != NULL && c < config->schema->field_count; c++)
        if (config->metadata[c] != NULL)
            return mill_fail(error, MILL_E_NAME, config->options->line, config->options->column,
                             "table %s: datagen has no metadata; column %s asks for '%s'",
                             config->options->table, config->schema->fields[c].name,
                             config->metadata[c]);
    return MILL_OK;
}

static int gen_open(const struct source_config *config, struct source **out,
                    struct mill_error *error)
{
    struct gen *g = heap_zalloc(config->heap, sizeof *g);
    int code;

    if (g == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a source");
    g->source.vtable = &datagen_source;
    g->heap = config->heap;
    g->schema = config->schema;
    g->wanted = config->wanted;
    g->step_rows = config->step_rows;
    g->base_us = BASE_TIME_US;
    *out = &g->source; /* closed by the caller, also after a failure */
    g->fields = heap_zalloc(config->heap, (config->schema->field_count + 1) * sizeof *g->fields);
    if (g->fields == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a source");
    code = check_metadata(config, error);
    return code == MILL_OK ? read_options(g, config->options, error) : code;
}

static uint32_t gen_split_count(struct source *source)
{
    (void)source;
    return 1;
}

static const char *gen_split_name(struct source *source, uint32_t split)
{
    (void)source;
    (void)split;
    return "datagen";
}

static enum cut gen_cut(struct source *source, uint32_t split, struct piece *piece,
                        struct mill_error *error)
{
    struct gen *g = (struct gen *)source;

    (void)split;
    (void)error;
    if (g->position == g->rows)
        return CUT_END;
    piece->begin = g->position;
    piece->end = g->position = min_u64(g->rows, g->position + g->step_rows);
    return CUT_DATA;
}

/* ---- decoding ---- */

static struct decoder *gen_decoder_new(struct source *source, struct heap *heap)
{
    struct gen_decoder *d = heap_zalloc(heap, sizeof *d);

    if (d == NULL)
        return NULL;
    d->decoder.vtable = &datagen_source;
    d->heap = heap;
    d->gen = (struct gen *)source;
    return &d->decoder;
}

static void gen_decoder_free(struct decoder *decoder)
{
    struct gen_decoder *d = (struct gen_decoder *)decoder;

    heap_free(d->heap, d, sizeof *d);
}

static void gen_begin(struct decoder *decoder, const struct piece *piece)
{
    ((struct gen_decoder *)decoder)->next = piece->begin;
    ((struct gen_decoder *)decoder)->end = piece->end;
}

static struct mill_view text_value(const struct gen *g, struct batch *out, uint32_t column,
                                   uint64_t row)
{
    const uint32_t length = g->fields[column].length;
    char chunk[12], *text = length <= 12 ? chunk : arena_alloc(&out->bytes, length);
    uint64_t bits = 0;

    if (text == NULL)
        return (struct mill_view){.length = UINT32_MAX};
    for (uint32_t i = 0; i < length; i++) {
        bits = i % 16 == 0 ? draw(g, column, row, i / 16) : bits >> 4;
        text[i] = "0123456789abcdef"[bits & 15];
    }
    return view_of(text, length);
}

static int128 integer_value(const struct gen *g, uint32_t column, uint64_t row)
{
    const struct gen_field *f = &g->fields[column];

    return f->sequence ? f->min + (int128)row : draw_between(g, column, row, f->min, f->max);
}

static double real_value(const struct gen *g, uint32_t column, uint64_t row)
{
    const struct gen_field *f = &g->fields[column];
    const double u = unit(draw(g, column, row, 0));

    return fmin(fmax(f->real_min * (1 - u) + f->real_max * u, f->real_min), f->real_max);
}

static int64_t time_value(const struct gen *g, const struct mill_type *type, uint32_t column,
                          uint64_t row)
{
    const int64_t past = g->fields[column].past_us,
                  unit_us = type_is_nanos(type) ? 1 : type_time_unit(type);
    const int64_t us = g->base_us - (int64_t)draw_between(g, column, row, 0, past);

    return type_is_nanos(type) ? us * 1000 : floor_div(us, unit_us) * unit_us;
}

/* False without memory. */
static bool set_value(const struct gen *g, struct batch *out, uint32_t column, uint32_t i,
                      uint64_t row)
{
    const struct mill_type *type = &g->schema->fields[column].type;
    void *v = out->columns[column].values;

    switch (type->kind) {
    case MILL_BOOLEAN: ((uint8_t *)v)[i] = draw(g, column, row, 0) & 1; break;
    case MILL_TINYINT: ((int8_t *)v)[i] = (int8_t)integer_value(g, column, row); break;
    case MILL_SMALLINT: ((int16_t *)v)[i] = (int16_t)integer_value(g, column, row); break;
    case MILL_INT: ((int32_t *)v)[i] = (int32_t)integer_value(g, column, row); break;
    case MILL_BIGINT: ((int64_t *)v)[i] = (int64_t)integer_value(g, column, row); break;
    case MILL_DECIMAL: ((int128 *)v)[i] = integer_value(g, column, row); break;
    case MILL_FLOAT: ((float *)v)[i] = (float)real_value(g, column, row); break;
    case MILL_DOUBLE: ((double *)v)[i] = real_value(g, column, row); break;
    case MILL_TIMESTAMP:
    case MILL_TIMESTAMP_LTZ: ((int64_t *)v)[i] = time_value(g, type, column, row); break;
    default: {
        const struct mill_view view = text_value(g, out, column, row);

        ((struct mill_view *)v)[i] = view;
        return view.length != UINT32_MAX;
    }
    }
    return true;
}

static bool fill(const struct gen *g, struct batch *out, uint32_t column, uint64_t first,
                 uint32_t rows)
{
    const struct gen_field *f = &g->fields[column];
    struct column *c = &out->columns[column];

    if (!column_own(out, c, &g->schema->fields[column].type) ||
        (f->null_some && !column_own_validity(out, c)))
        return false;
    for (uint32_t i = 0; i < rows; i++) {
        if (!set_value(g, out, column, i, first + i))
            return false;
        if (f->null_some &&
            (f->null_below == UINT64_MAX || draw(g, column, first + i, UINT32_MAX) < f->null_below))
            column_set_null(c, i);
    }
    return true;
}

static int gen_decode(struct decoder *decoder, struct batch *out, struct mill_error *error)
{
    struct gen_decoder *d = (struct gen_decoder *)decoder;
    const uint32_t rows = (uint32_t)min_u64(out->capacity, d->end - d->next);

    for (uint32_t c = 0; c < d->gen->schema->field_count; c++)
        if (d->gen->wanted[c] && !fill(d->gen, out, c, d->next, rows))
            return -mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to make rows");
    out->rows = out->live = rows;
    d->next += rows;
    return d->next < d->end;
}

static void gen_release(struct source *source, struct piece *piece)
{
    (void)source;
    (void)piece;
}

static void gen_close(struct source *source)
{
    struct gen *g = (struct gen *)source;

    heap_free(g->heap, g->fields, (g->schema->field_count + 1) * sizeof *g->fields);
    heap_free(g->heap, g, sizeof *g);
}

const struct source_vtable datagen_source = {.name = "datagen",
                                             .open = gen_open,
                                             .split_count = gen_split_count,
                                             .split_name = gen_split_name,
                                             .cut = gen_cut,
                                             .decoder_new = gen_decoder_new,
                                             .decoder_free = gen_decoder_free,
                                             .begin = gen_begin,
                                             .decode = gen_decode,
                                             .release = gen_release,
                                             .close = gen_close};
