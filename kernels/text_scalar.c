/* kernels/text_scalar.c - the definition of the kernels, on any processor. */
#include "kernels/csv.h"
#include "kernels/search.h"
#include "kernels/slice.h"
#include "kernels/utf8.h"
#include "kernels/values.h"

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

static bool json_marks_scalar(const char *bytes, size_t length, uint64_t *stops, uint64_t *marks)
{
    unsigned char all = 0;

    for (size_t w = 0; w < (length + 63) / 64; w++)
        stops[w] = marks[w] = 0;
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)bytes[i];
        const uint64_t both = c == '"' || c < 0x20;

        all |= c;
        stops[i / 64] |= (both | (c == '\\')) << (i & 63);
        marks[i / 64] |= (both | ((c | 0x20) == '{') | ((c | 0x20) == '}')) << (i & 63);
    }
    return all >= 0x80;
}

static bool utf8_valid_scalar(const char *bytes, size_t length)
{
    return mk_utf8_valid_from(bytes, 0, length) == length;
}

static void bounds_i64_scalar(const int64_t *values, size_t count, int64_t *least, int64_t *most)
{
    *least = *most = values[0];
    for (size_t i = 1; i < count; i++) {
        *least = values[i] < *least ? values[i] : *least;
        *most = values[i] > *most ? values[i] : *most;
    }
}

static int64_t running_max_i64_scalar(const int64_t *values, size_t count, int64_t least,
                                      int64_t *before)
{
    for (size_t i = 0; i < count; i++) {
        before[i] = least;
        least = values[i] > least ? values[i] : least;
    }
    return least;
}

const struct mk_table mk_scalar = {.isa = "scalar",
                                   .agg = &mk_agg_scalar,
                                   .find_any3 = find_any3_scalar,
                                   .count_byte = count_byte_scalar,
                                   .find_text = mk_find_text_scalar,
                                   .split_part = mk_split_part_scalar,
                                   .json_marks = json_marks_scalar,
                                   .utf8_valid = utf8_valid_scalar,
                                   .select = mk_select_scalar,
                                   .compare = mk_compare_scalar,
                                   .arith = mk_arith_scalar,
                                   .csv_marks = mk_csv_marks_scalar,
                                   .parse_i64 = mk_parse_i64_scalar,
                                   .parse_number = mk_parse_number_scalar,
                                   .parse_time = mk_parse_time_scalar,
                                   .scale_f64 = mk_scale_f64_scalar,
                                   .bounds_i64 = bounds_i64_scalar,
                                   .running_max_i64 = running_max_i64_scalar,
                                   .slice_starts = mk_slice_starts_scalar};
