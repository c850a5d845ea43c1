/* tests/fuzz_json.c - libFuzzer: any bytes decode as JSON lines into rows or bad rows, and never crash. The first byte chooses
 * format (lines, Debezium's or Canal's changes), columns and options. Small batches, a cut between lines, another instruction set and bytes that end exactly at the end of
 * their memory change nothing; rows and bad rows together are the lines that are not blank. */
#include "core/items.h"
#include "io/format.h"
#include "kernels/kernels.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct counted {
    struct bad_rows rows;
    uint64_t bad, lines;
};

static int keep(struct bad_rows *self, const struct bad_row *row, struct mill_error *error)
{
    struct counted *c = (struct counted *)self;

    (void)error;
    if (row->reason == NULL || row->reason[0] == '\0' || row->line == 0 || row->raw_bytes == 0)
        __builtin_trap();
    c->bad++;
    c->lines = c->lines * 31 + row->line + row->offset;
    return MILL_OK;
}

/* A number that is the same for the same values. */
static uint64_t digest_column(const struct column *c, const struct mill_type *type, uint32_t row)
{
    uint64_t h = 1;

    if (!column_valid(c, row))
        return 7;
    if (type->kind == MILL_ROW) {
        for (uint32_t i = 0; i < type->field_count; i++)
            h = h * 31 + digest_column(&c->children[i], &type->fields[i].type, row);
        return h;
    }
    const char *bytes = (const char *)c->values + (size_t)row * type_width(type);
    size_t n = type_width(type);

    if (type_phys(type) == PHYS_VIEW) {
        const struct mill_view *v = (const struct mill_view *)bytes;

        n = v->length;
        bytes = mill_view_data(v);
        if (type_is_nested(type) && !items_valid(type, bytes, n))
            __builtin_trap();
    }
    for (size_t i = 0; i < n; i++)
        h = h * 1099511628211u + (uint8_t)bytes[i];
    return h;
}

static uint64_t digest_of(struct heap *heap, struct format *format,
                          const struct mill_schema *schema, struct counted *bad, const char *data,
                          size_t length, uint64_t offset, uint64_t first_line, uint32_t capacity,
                          uint64_t digest)
{
    struct format_decoder *decoder = format->vtable->decoder_new(format, heap);
    char *exact =
        malloc(length > 0 ? length : 1); /* what is read behind it is seen by the sanitizer */
    struct mill_error error = {0};
    int more = 1;

    memcpy(exact, data, length);
    format->vtable->begin(decoder, &(struct format_piece){.bytes = exact,
                                                          .length = length,
                                                          .file = "fuzz",
                                                          .offset = offset,
                                                          .first_line = first_line});
    while (more == 1) {
        struct batch *batch = batch_new(heap, capacity, schema->field_count);

        more = format->vtable->decode(decoder, batch, &error);
        for (uint32_t row = 0; row < batch->rows; row++) {
            digest = digest * 31 + (uint64_t)batch_kind(batch, row);
            for (uint32_t i = 0; i < schema->field_count; i++)
                digest =
                    digest * 31 + digest_column(&batch->columns[i], &schema->fields[i].type, row);
        }
        bad->lines += batch->rows << 20;
        batch_free(batch);
    }
    format->vtable->decoder_free(decoder);
    free(exact);
    return digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct mill_field inner[] = {{"x", {.kind = MILL_INT}},
                                              {"y",
                                               {.kind = MILL_VARCHAR, .length = MILL_LENGTH_MAX}}};
    static const struct mill_field number = {"element", {.kind = MILL_INT}};
    static const struct mill_field rows = {"element",
                                           {.kind = MILL_ROW, .field_count = 2, .fields = inner}};
    static const struct mill_field pairs[] =
        {{"key", {.kind = MILL_VARCHAR, .length = MILL_LENGTH_MAX}},
         {"value", {.kind = MILL_ARRAY, .field_count = 1, .fields = &number}}};
    static const struct mill_field fields[] =
        {{"a", {.kind = MILL_BIGINT}},
         {"s", {.kind = MILL_VARCHAR, .length = MILL_LENGTH_MAX}},
         {"r", {.kind = MILL_ROW, .field_count = 2, .fields = inner}},
         {"f", {.kind = MILL_DOUBLE}},
         {"t", {.kind = MILL_TIMESTAMP, .precision = 3}},
         {"d", {.kind = MILL_DECIMAL, .precision = 10, .scale = 2}},
         {"b", {.kind = MILL_BOOLEAN}},
         {"y", {.kind = MILL_VARBINARY, .length = MILL_LENGTH_MAX}},
         {"c", {.kind = MILL_TIME, .precision = 9}},
         {"e", {.kind = MILL_DATE}},
         {"l", {.kind = MILL_ARRAY, .field_count = 1, .fields = &rows}},
         {"m", {.kind = MILL_MAP, .field_count = 2, .fields = pairs}}};
    static const struct mill_schema schema = {COUNT_OF(fields), fields};
    static const struct format_vtable *const formats[] = {&format_json, &format_json,
                                                          &format_debezium, &format_canal};
    static const char *const keys[] = {"json.ignore-parse-errors", "json.ignore-parse-errors",
                                       "debezium-json.ignore-parse-errors",
                                       "canal-json.ignore-parse-errors"};
    const uint32_t kind = size > 0 ? data[0] >> 2 & 3 : 0;
    const struct format_vtable *const vtable = formats[kind];
    struct option items[] = {{.key = keys[kind], .value = "true"}};
    bool used = false, wanted[COUNT_OF(fields)];
    struct options options = {.items = items, .table = "fuzz"};
    struct counted bad = {{keep}, 0, 0}, small = {{keep}, 0, 0};
    struct budget budget = {.limit = 64u << 20};
    struct mill_error error = {0};
    struct source_config config = {.env = env_real(),
                                   .options = &options,
                                   .schema = &schema,
                                   .wanted = wanted,
                                   .bad = &bad.rows};
    char why[80];
    struct heap heap;
    struct format *format = NULL, *other = NULL;

    if (size < 1)
        return 0;
    items[0].used = &used;
    options.count = data[0] & 1;
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        wanted[i] = (data[0] & 2) == 0 || i % 3 != data[0] >> 6;
    heap_open_shared(&heap, env_real(), &budget);
    config.heap = &heap;
    config.kernels = mk_select(NULL, why, sizeof why);
    if (vtable->open(&config, &format, &error) != MILL_OK)
        __builtin_trap();
    config.kernels = &mk_scalar;
    config.bad = &small.rows;
    if (vtable->open(&config, &other, &error) != MILL_OK)
        __builtin_trap();
    const char *bytes = (const char *)data + 1;
    const size_t length = size - 1;
    const size_t cut = vtable->cut(format, 0, bytes, length, length / 2);
    struct mill_schema seen = schema;
    struct mill_field some[COUNT_OF(fields)];
    uint64_t lines = 1;

    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        some[i] = fields[i];
        if (!wanted[i])
            some[i].type = (struct mill_type){.kind = MILL_ROW}; /* not looked at */
    }
    seen.fields = some;
    for (size_t i = 0; i < cut; i++)
        lines += bytes[i] == '\n';
    const uint64_t whole = digest_of(&heap, format, &seen, &bad, bytes, length, 0, 1, 4096, 1);
    uint64_t parts = digest_of(&heap, other, &seen, &small, bytes, cut, 0, 1, 3, 1);

    parts = digest_of(&heap, other, &seen, &small, bytes + cut, length - cut, cut, lines, 3, parts);
    if (whole != parts || bad.bad != small.bad)
        __builtin_trap();
    vtable->close(format);
    vtable->close(other);
    heap_close(&heap);
    return 0;
}
