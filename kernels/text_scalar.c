/* kernels/text_scalar.c - the definition of the kernels, on any processor. */
#include "kernels/kernels.h"

static uint32_t find_any3_scalar(const char *bytes, size_t length, char a, char b, char c,
                                 uint32_t *positions)
{
    uint32_t n = 0;

    for (size_t i = 0; i < length; i++) {
        positions[n] = (uint32_t)i;
        n += bytes[i] == a || bytes[i] == b || bytes[i] == c;
    }
    return n;
}

static size_t count_byte_scalar(const char *bytes, size_t length, char a)
{
    size_t n = 0;

    for (size_t i = 0; i < length; i++)
        n += bytes[i] == a;
    return n;
}

static void bounds_i64_scalar(const int64_t *values, size_t count, int64_t *least, int64_t *most)
{
    *least = *most = values[0];
    for (size_t i = 1; i < count; i++) {
        *least = values[i] < *least ? values[i] : *least;
        *most = values[i] > *most ? values[i] : *most;
    }
}

const struct mk_table mk_scalar = {.isa = "scalar",
                                   .agg = &mk_agg_scalar,
                                   .find_any3 = find_any3_scalar,
                                   .count_byte = count_byte_scalar,
                                   .bounds_i64 = bounds_i64_scalar};
