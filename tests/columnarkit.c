/* tests/columnarkit.c - see columnarkit.h. The digest looks at values through the public layout, not at the file. */
#include "tests/columnarkit.h"
#include "core/values.h"

static const struct mill_field inner[] = {
    {"x", {.kind = MILL_SMALLINT}},
    {"y", {.kind = MILL_VARCHAR, .length = MILL_LENGTH_MAX}},
};
static const struct mill_field outer[] = {
    {"a", {.kind = MILL_BIGINT}},
    {"in", {.kind = MILL_ROW, .field_count = 2, .fields = inner}},
    {"z", {.kind = MILL_DOUBLE}},
};
static const struct mill_field fields[] = {
    {"bool", {.kind = MILL_BOOLEAN}},
    {"tiny", {.kind = MILL_TINYINT}},
    {"small", {.kind = MILL_SMALLINT}},
    {"int", {.kind = MILL_INT}},
    {"big", {.kind = MILL_BIGINT}},
    {"float", {.kind = MILL_FLOAT}},
    {"double", {.kind = MILL_DOUBLE}},
    {"decimal", {.kind = MILL_DECIMAL, .precision = 38, .scale = 9}},
    {"text", {.kind = MILL_VARCHAR, .length = MILL_LENGTH_MAX}},
    {"bytes", {.kind = MILL_VARBINARY, .length = 40}},
    {"nested", {.kind = MILL_ROW, .field_count = 3, .fields = outer}},
    {"date", {.kind = MILL_DATE}},
    {"time", {.kind = MILL_TIME, .precision = 3}},
    {"ts", {.kind = MILL_TIMESTAMP, .precision = 9}},
    {"ltz", {.kind = MILL_TIMESTAMP_LTZ, .precision = 3}},
    {"never null", {.kind = MILL_BIGINT, .not_null = true}},
};
const struct mill_schema kit_schema = {COUNT_OF(fields), fields};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void mix(uint64_t *digest, const void *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        *digest = (*digest ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3ull;
}

static void digest_value(uint64_t *digest, const struct mill_type *type, const struct column *c,
                         uint32_t row)
{
    const uint8_t valid = column_valid(c, row);
    const uint32_t r = c->constant ? 0 : row;

    mix(digest, &valid, 1);
    if (type->kind == MILL_ROW) {
        for (uint32_t i = 0; i < type->field_count; i++)
            digest_value(digest, &type->fields[i].type, &c->children[i], row);
    } else if (valid && type_phys(type) == PHYS_VIEW) {
        const struct mill_view *v = (const struct mill_view *)c->values + r;
        const struct mill_view again = view_of(mill_view_data(v), v->length);

        if (!view_equal(v, &again))
            __builtin_trap();
        mix(digest, &v->length, 4);
        mix(digest, mill_view_data(v), v->length);
    } else if (valid) {
        mix(digest, (const char *)c->values + (size_t)r * type_width(type), type_width(type));
    }
}

static void digest_batch(uint64_t *digest, const struct mill_schema *schema,
                         const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->live; i++)
        for (uint32_t k = 0; k < schema->field_count; k++)
            digest_value(digest, &schema->fields[k].type, &batch->columns[k], batch_row(batch, i));
}

static void random_value(struct batch *batch, struct column *c, const struct mill_type *type,
                         uint32_t row, uint64_t *state)
{
    static const double doubles[] = {0.0, -0.0, 1e300, -1e-300, __builtin_inf(), -__builtin_inf()};
    const uint64_t r = next_random(state);
    char text[64];

    switch (type->kind) {
    case MILL_BOOLEAN: ((uint8_t *)c->values)[row] = r & 1; break;
    case MILL_FLOAT:
        ((float *)c->values)[row] = r % 9 == 0 ? __builtin_nanf("") : (float)doubles[r % 6];
        break;
    case MILL_DOUBLE:
        ((double *)c->values)[row] = r % 9 == 0 ? __builtin_nan("") : doubles[r % 6];
        break;
    case MILL_DECIMAL:
        ((int128 *)c->values)[row] =
            r % 5 == 0 ? decimal_power(38) - 1 : -(int128)next_random(state) * (int64_t)(r >> 2);
        break;
    case MILL_TIME: ((int64_t *)c->values)[row] = (int64_t)(r % 86400000000ull); break;
    case MILL_VARCHAR:
    case MILL_VARBINARY:
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = (char)(type->kind == MILL_VARCHAR ? 'a' + (r + i) % 26 : r >> i);
        ((struct mill_view *)c->values)[row] =
            batch_view(batch, text, r % 3 == 0 ? 0 : (uint32_t)(r >> 8) % 41);
        break;
    default: memcpy((char *)c->values + (size_t)row * type_width(type), &r, type_width(type));
    }
}

static void random_column(struct batch *batch, struct column *c, const struct mill_type *type,
                          const struct column *parent, uint64_t *state, uint64_t base)
{
    if (!type->not_null)
        column_own_validity(batch, c);
    for (uint32_t row = 0; row < batch->rows; row++) {
        uint64_t own = *state ^ (base + row) * 0x9e3779b97f4a7c15ull;

        next_random(&own);
        if (!type->not_null &&
            ((parent != NULL && !column_valid(parent, row)) || next_random(&own) % 4 == 0)) {
            column_set_null(c, row);
            if (type->kind != MILL_ROW && type_phys(type) != PHYS_VIEW)
                memset((char *)c->values + (size_t)row * type_width(type), 0xee, type_width(type));
            continue;
        }
        if (type->kind != MILL_ROW)
            random_value(batch, c, type, row, &own);
    }
    for (uint32_t i = 0; type->kind == MILL_ROW && i < type->field_count; i++) {
        next_random(state);
        random_column(batch, &c->children[i], &type->fields[i].type, c, state, base);
    }
}

void kit_write(struct heap *heap, uint32_t rows, uint32_t batch_rows, uint64_t seed,
               struct text_buffer *to, uint64_t *digest)
{
    const struct options options = {.table = "kit"};
    const struct sink_config config = {.heap = heap, .schema = &kit_schema, .options = &options};
    struct mill_error error = {0};
    struct format_writer *w = NULL;

    CHECK(columnar_writer_open(&config, &w, &error) == MILL_OK);
    *digest = 0;
    for (uint32_t done = 0; done < rows;) {
        const uint32_t n = min_u32(batch_rows, rows - done);
        struct batch *batch = batch_new(heap, n, kit_schema.field_count);
        uint64_t state = seed;

        batch_own_columns(batch, &kit_schema);
        batch->rows = batch->live = n;
        for (uint32_t k = 0; k < kit_schema.field_count; k++) {
            next_random(&state);
            random_column(batch, &batch->columns[k], &kit_schema.fields[k].type, NULL, &state,
                          done);
        }
        digest_batch(digest, &kit_schema, batch);
        columnar_writer_write(w, batch, to);
        batch_free(batch);
        done += n;
    }
    columnar_writer_finish(w, to);
    columnar_writer_close(w);
    CHECK(!to->failed);
}

static int kit_decode(struct heap *heap, struct format_decoder *d, const struct format_piece *piece,
                      const struct mill_schema *schema, const bool *wanted, uint32_t capacity,
                      struct kit_read *out, struct mill_error *error)
{
    int more = 1;

    format_columnar.begin(d, piece);
    while (more == 1) {
        struct batch *batch = batch_new(heap, capacity, schema->field_count);

        more = format_columnar.decode(d, batch, error);
        if (more >= 0) {
            out->rows += batch->live;
            for (uint32_t i = 0; i < batch->live; i++)
                for (uint32_t k = 0; k < schema->field_count; k++)
                    if (wanted[k])
                        digest_value(&out->digest, &schema->fields[k].type, &batch->columns[k], i);
        }
        batch_free(batch);
    }
    return more;
}

struct kit_read kit_read(struct heap *heap, const char *bytes, size_t length, size_t want,
                         uint32_t capacity, const struct mill_schema *schema, const bool *wanted)
{
    static const bool all[] = {[0 ... 63] = true};
    const struct options options = {.table = "kit"};
    const struct source_config config = {.heap = heap,
                                         .schema = schema,
                                         .options = &options,
                                         .wanted = wanted != NULL ? wanted : all};
    struct format_position at = {.file = "kit"};
    struct kit_read out = {0};
    struct mill_error error = {0};
    struct format *format = NULL;
    struct format_decoder *d;
    char *copy = heap_alloc(heap, length + 1); /* 64-byte aligned, and no byte more for ASan */

    if (length > 0)
        memcpy(copy, bytes, length);
    CHECK(format_columnar.open(&config, &format, &error) == MILL_OK);
    d = format_columnar.decoder_new(format, heap);
    for (;;) {
        size_t n = 0;
        const enum cut code =
            format_columnar.cut_section(format, &at, copy + at.offset, length - at.offset, true,
                                        want, &n, &error);

        if (code != CUT_DATA)
            break;
        CHECK(n > 0 && n <= length - at.offset);
        if (kit_decode(heap, d,
                       &(struct format_piece){.bytes = copy + at.offset,
                                              .length = n,
                                              .file = "kit",
                                              .offset = at.offset,
                                              .state = at.state},
                       schema, config.wanted, capacity, &out, &error) < 0)
            break;
        at.offset += n;
    }
    out.code = error.code;
    memcpy(out.message, error.message, sizeof out.message);
    if (at.state != NULL)
        format_columnar.position_close(format, &at);
    format_columnar.decoder_free(d);
    format_columnar.close(format);
    heap_free(heap, copy, length + 1);
    return out;
}
