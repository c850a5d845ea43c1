/* tests/fuzz_csv.c - libFuzzer: any bytes decode as CSV into rows or bad rows, and never crash. The first byte chooses the
 * options. Rows decoded with a small capacity and cut in two must be the rows of one piece. */
#include "io/csv.h"
#include "kernels/kernels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int keep(struct bad_rows *self, const struct bad_row *row, struct mill_error *error)
{
    (void)self;
    (void)error;
    if (row->reason == NULL || row->reason[0] == '\0')
        __builtin_trap();
    return MILL_OK;
}

static uint64_t rows_of(struct heap *heap, struct csv_decoder *decoder, const char *bytes,
                        size_t length, uint64_t offset)
{
    struct mill_error error = {0};
    uint64_t rows = 0;
    int more = 1;

    csv_begin(decoder, &(struct format_piece){.bytes = bytes,
                                              .length = length,
                                              .file = "fuzz",
                                              .offset = offset,
                                              .first_line = 1});
    while (more == 1) {
        struct batch *batch = batch_new(heap, 7, 8);

        more = csv_decode(decoder, batch, &error);
        rows += batch->rows;
        batch_free(batch);
    }
    return rows;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct mill_field fields[] =
        {{"a", {.kind = MILL_BIGINT}},
         {"b", {.kind = MILL_VARCHAR, .length = MILL_LENGTH_MAX}},
         {"c", {.kind = MILL_DOUBLE}},
         {"d", {.kind = MILL_TIMESTAMP, .precision = 3}},
         {"e", {.kind = MILL_DECIMAL, .precision = 10, .scale = 2}},
         {"f", {.kind = MILL_BOOLEAN}},
         {"g", {.kind = MILL_DATE}},
         {"h", {.kind = MILL_TIME}}};
    static const bool wanted[] = {true, true, true, true, true, true, true, true};
    const struct mill_schema schema = {size > 0 ? 1u + data[0] % 8u : 1u, fields};
    struct bad_rows bad = {keep};
    struct csv_options options = {.delimiter = ',',
                                  .quote = size > 0 && data[0] & 16 ? '\0' : '"',
                                  .escape = size > 0 && data[0] & 32 ? '\\' : '\0',
                                  .comments = size > 0 && data[0] & 64};
    struct budget budget = {.limit = 64u << 20};
    char why[80];
    struct source_config config = {.kernels = mk_select(NULL, why, sizeof why),
                                   .schema = &schema,
                                   .wanted = wanted,
                                   .bad = &bad};
    struct heap heap;
    struct csv_decoder *decoder;

    if (size < 1)
        return 0;
    heap_open_shared(&heap, env_real(), &budget);
    decoder = csv_decoder_new(&heap, &config, &options);
    const char *bytes = (const char *)data + 1;
    const uint64_t whole = rows_of(&heap, decoder, bytes, size - 1, 0);
    const size_t mark = size >= 4 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    size_t cut = csv_cut(config.kernels, &options, bytes + mark, size - 1 - mark, size / 2);

    cut += cut > 0 ? mark : 0;
    /* a cut at a row's end changes nothing */
    if (cut > 0 && rows_of(&heap, decoder, bytes, cut, 0) +
                           rows_of(&heap, decoder, bytes + cut, size - 1 - cut, cut) !=
                       whole)
        __builtin_trap();
    csv_decoder_free(decoder);
    heap_close(&heap);
    return 0;
}
