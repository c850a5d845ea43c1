/* bench/queries/count_char.c - the function of NEXMark q14 as a user of millstream writes it: how often a character stands in a text.
 *
 * cc -O2 -shared -fPIC -Icore -o count_char.so bench/queries/count_char.c, then
 * CREATE FUNCTION count_char AS 'count_char' LANGUAGE C USING LIBRARY 'count_char.so'. The character is one byte. */
#include "millstream.h"

static bool row_valid(const struct mill_column *c, uint32_t row)
{
    return c->validity == 0 || (c->validity[row >> 6] >> (row & 63) & 1) != 0;
}

static int eval(const struct mill_column *args, uint32_t rows, void *out_values,
                uint64_t *out_validity, void *(*alloc)(void *context, size_t bytes), void *context)
{
    const struct mill_view *texts = args[0].values, *wanted = args[1].values;
    int64_t *out = out_values;

    (void)alloc;
    (void)context;
    for (uint32_t row = 0; row < rows; row++) {
        const char *text = mill_view_data(&texts[row]);
        const bool there =
            row_valid(&args[0], row) && row_valid(&args[1], row) && wanted[row].length == 1;
        const char c = there ? *mill_view_data(&wanted[row]) : 0;

        out[row] = 0;
        for (uint32_t i = 0; there && i < texts[row].length; i++)
            out[row] += text[i] == c;
        if (!there)
            out_validity[row >> 6] &= ~(1ull << (row & 63));
    }
    return MILL_OK;
}

static const struct mill_type text_types[] = {{.kind = MILL_VARCHAR, .length = UINT32_MAX},
                                              {.kind = MILL_VARCHAR, .length = UINT32_MAX}};

const struct mill_function count_char = {.struct_bytes = sizeof(struct mill_function),
                                         .name = "count_char",
                                         .arg_count = 2,
                                         .arg_types = text_types,
                                         .result_type = {.kind = MILL_BIGINT},
                                         .eval = eval};
