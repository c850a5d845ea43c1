/* tests/test_kernels.c - every kernel of every usable instruction set against a naive recomputation, at every length
 * from 0 to 130 and from unaligned starts. */
#include "kernels/kernels.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static unsigned next(unsigned *state)
{
    return (*state = *state * 1664525u + 1013904223u) >> 8;
}

static void fill(char *bytes, size_t length, unsigned seed)
{
    static const char alphabet[] = ",\n\"ab0\0\xff";

    for (size_t i = 0; i < length; i++)
        bytes[i] = alphabet[next(&seed) % 8];
}

Test(kernels, find_any3_equals_a_loop)
{
    const struct mk_table *room[MK_TABLES + 1];
    const struct mk_table *const *tables = mk_usable(room);
    char bytes[200];
    uint32_t positions[264];

    for (size_t t = 0; tables[t] != NULL; t++)
        for (size_t start = 0; start < 8; start++)
            for (size_t length = 0; length <= 130; length++) {
                uint32_t n = 0, found;

                fill(bytes, sizeof bytes, (unsigned)(length * 31 + start));
                found = tables[t]->find_any3(bytes + start, length, ',', '\n', '"', positions);
                for (size_t i = 0; i < length; i++)
                    if (strchr(",\n\"", bytes[start + i]) != NULL && bytes[start + i] != '\0') {
                        cr_assert_lt(n, found, "%s: length %zu misses a position", tables[t]->isa,
                                     length);
                        cr_assert_eq(positions[n], i, "%s: length %zu start %zu", tables[t]->isa,
                                     length, start);
                        n++;
                    }
                cr_assert_eq(n, found, "%s: length %zu finds too many", tables[t]->isa, length);
            }
}

Test(kernels, count_byte_equals_a_loop)
{
    const struct mk_table *room[MK_TABLES + 1];
    const struct mk_table *const *tables = mk_usable(room);
    char bytes[200];

    for (size_t t = 0; tables[t] != NULL; t++)
        for (size_t start = 0; start < 8; start++)
            for (size_t length = 0; length <= 130; length++) {
                size_t n = 0;

                fill(bytes, sizeof bytes, (unsigned)(length * 17 + start));
                for (size_t i = 0; i < length; i++)
                    n += bytes[start + i] == '"';
                cr_assert_eq(tables[t]->count_byte(bytes + start, length, '"'), n, "%s: length %zu",
                             tables[t]->isa, length);
            }
}

/* Texts of two letters, so that words begin at many places. @n 40: longer than what the kernels compare themselves. */
Test(kernels, find_text_equals_memmem)
{
    static const size_t sizes[] = {1, 2, 3, 5, 16, 31, 32, 33, 40};
    const struct mk_table *room[MK_TABLES + 1];
    const struct mk_table *const *tables = mk_usable(room);
    unsigned seed = 3;

    for (size_t t = 0; tables[t] != NULL; t++)
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
            for (size_t length = 0; length <= 150; length++) {
                const size_t n = sizes[k];
                char *text = malloc(length > 0 ? length : 1), word[40];

                for (size_t i = 0; i < length; i++)
                    text[i] = next(&seed) % 4 == 0 ? 'b' : 'a';
                for (size_t i = 0; i < n; i++)
                    word[i] = next(&seed) % 4 == 0 ? 'b' : 'a';
                if (n <= length && next(&seed) % 2 == 0)
                    memcpy(word, text + next(&seed) % (length - n + 1), n);
                cr_assert_eq(tables[t]->find_text(text, length, word, n),
                             memmem(text, length, word, n), "%s: %zu in %zu", tables[t]->isa, n,
                             length);
                free(text);
            }
}

Test(kernels, split_part_equals_a_loop)
{
    const struct mk_table *room[MK_TABLES + 1];
    const struct mk_table *const *tables = mk_usable(room);
    unsigned seed = 5;

    for (size_t t = 0; tables[t] != NULL; t++)
        for (size_t length = 0; length <= 200; length++)
            for (uint32_t index = 0; index < 12; index++) {
                char *text = malloc(length > 0 ? length : 1);
                size_t begin = 0, end = 0, at_begin = 0, at_end;
                uint32_t parts = 0;
                bool there;

                for (size_t i = 0; i < length; i++)
                    text[i] = next(&seed) % (1 + length / 4) == 0 ? '/' : 'a';
                for (at_end = 0; at_end < length; at_end++) {
                    if (text[at_end] != '/')
                        continue;
                    if (parts == index)
                        break;
                    parts++;
                    at_begin = at_end + 1;
                }
                there = tables[t]->split_part(text, length, '/', index, &begin, &end);
                cr_assert_eq(there, parts == index, "%s: part %u of %zu bytes", tables[t]->isa,
                             index, length);
                cr_assert(!there || (begin == at_begin && end == at_end),
                          "%s: part %u of %zu bytes", tables[t]->isa, index, length);
                free(text);
            }
}

Test(kernels, bounds_equal_a_loop)
{
    const struct mk_table *room[MK_TABLES + 1];
    const struct mk_table *const *tables = mk_usable(room);
    int64_t values[140];
    unsigned seed = 7;

    for (size_t i = 0; i < 140; i++)
        values[i] = (int64_t)(((uint64_t)next(&seed) << 40) - (1ull << 62));
    values[5] = INT64_MIN;
    values[77] = INT64_MAX;
    for (size_t t = 0; tables[t] != NULL; t++)
        for (size_t start = 0; start < 8; start++)
            for (size_t length = 1; length <= 130; length++) {
                int64_t low = values[start], high = low, least, most;

                for (size_t i = 0; i < length; i++) {
                    low = values[start + i] < low ? values[start + i] : low;
                    high = values[start + i] > high ? values[start + i] : high;
                }
                tables[t]->bounds_i64(values + start, length, &least, &most);
                cr_assert_eq(least, low, "%s: length %zu", tables[t]->isa, length);
                cr_assert_eq(most, high, "%s: length %zu", tables[t]->isa, length);
            }
}

/* In 128 bits: nothing wraps. */
static int64_t slice_start(int64_t offset, int64_t width, int64_t time)
{
    const __int128 distance = (__int128)time - offset;
    const __int128 rest = (distance % width + width) % width;
    const __int128 start = (__int128)time - rest;

    return start < INT64_MIN ? INT64_MIN : (int64_t)start;
}

Test(kernels, running_max_equals_a_loop)
{
    static const int64_t least[] = {INT64_MIN, -5, 0, 1ll << 40, INT64_MAX};
    const struct mk_table *room[MK_TABLES + 1];
    const struct mk_table *const *tables = mk_usable(room);
    uint64_t seed = 23;

    for (size_t length = 0; length <= 70; length++)
        for (size_t start = 0; start < 3; start++)
            for (size_t k = 0; k < sizeof least / sizeof *least; k++) {
                int64_t values[80], before[80];

                for (size_t i = 0; i < length; i++) {
                    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
                    values[start + i] = (int64_t)seed >> (seed >> 58);
                }
                for (size_t t = 0; tables[t] != NULL; t++) {
                    int64_t most = least[k];
                    const int64_t all =
                        tables[t]->running_max_i64(values + start, length, least[k], before);

                    for (size_t i = 0; i < length; i++) {
                        cr_assert_eq(before[i], most, "%s: length %zu, %zu", tables[t]->isa, length,
                                     i);
                        most = values[start + i] > most ? values[start + i] : most;
                    }
                    cr_assert_eq(all, most, "%s: length %zu", tables[t]->isa, length);
                }
            }
}

/* Times around @near: close, 2^49 to 2^52 away, at the ends of int64, on bounds and beside them. */
static int64_t some_time(const struct mk_grid *grid, int64_t near, unsigned *seed)
{
    static const int64_t ends[] = {INT64_MIN, INT64_MAX, 0, -1, INT64_MIN + 1, INT64_MAX - 1};
    const uint64_t wide = (uint64_t)next(seed) << 40 ^ (uint64_t)next(seed) << 20 ^ next(seed);
    const uint64_t far = 1ull << (48 + next(seed) % 5);

    switch (next(seed) % 8) {
    case 0: return ends[next(seed) % 6];
    case 1: return (int64_t)wide;
    case 2: return (int64_t)((uint64_t)near + far);
    case 3: return (int64_t)((uint64_t)near - far + wide % 1000);
    case 4:
    case 5:
        return (int64_t)((uint64_t)slice_start(grid->offset, grid->width, near) +
                         next(seed) % 100 * (uint64_t)grid->width + next(seed) % 3 - 1);
    default: return (int64_t)((uint64_t)near + wide % 100000000);
    }
}

Test(kernels, slice_starts_equal_wide_arithmetic)
{
    static const int64_t widths[] = {1,           2,
                                     3,           7,
                                     1000,        10000000,
                                     1ll << 32,   (1ll << 32) + 1,
                                     86400000000, 2592000000000000,
                                     INT64_MAX,   INT64_MAX / 2 + 3};
    static const int64_t offsets[] = {0, 1, -1, 12345678901, INT64_MIN, INT64_MAX};
    static const int64_t places[] = {0,         -5000000, 1700000000000000, 1700000000000000000,
                                     INT64_MIN, INT64_MAX};
    const struct mk_table *room[MK_TABLES + 1];
    const struct mk_table *const *tables = mk_usable(room);
    int64_t times[140], starts[140];
    unsigned seed = 5;

    for (size_t length = 0; length <= 130; length++)
        for (size_t c = 0; c < 12 * 6; c++) {
            const struct mk_grid grid = {offsets[c % 6], widths[c / 6]};
            const size_t from = c % 9;
            const bool regular = next(&seed) % 2 == 0;
            const int64_t near = places[next(&seed) % 6];

            for (size_t i = 0; i < from + length; i++)
                times[i] = regular ? (int64_t)((uint64_t)near + next(&seed) % 50000000)
                                   : some_time(&grid, near, &seed);
            for (size_t t = 0; tables[t] != NULL; t++) {
                starts[length] = 42;
                tables[t]->slice_starts(&grid, times + from, length, starts);
                for (size_t i = 0; i < length; i++)
                    cr_assert_eq(starts[i], slice_start(grid.offset, grid.width, times[from + i]),
                                 "%s: %zu of %zu: time %ld, offset %ld, width %ld gives %ld",
                                 tables[t]->isa, i, length, (long)times[from + i],
                                 (long)grid.offset, (long)grid.width, (long)starts[i]);
                cr_assert_eq(starts[length], 42, "%s: length %zu", tables[t]->isa, length);
            }
            tables[0]->slice_starts(&grid, times, from + length, times);
            for (size_t i = from; i < from + length && tables[1] != NULL; i++)
                cr_assert_eq(times[i], starts[i - from], "%s: in place", tables[0]->isa);
        }
}

Test(kernels, an_unknown_instruction_set_is_refused)
{
    char why[100] = "";

    cr_assert_null(mk_select("sse9", why, sizeof why));
    cr_assert_not_null(strstr(why, "sse9"));
    cr_assert_str_eq(mk_select("scalar", why, sizeof why)->isa, "scalar");
}

/* Which bits json_marks() must set, by RFC 8259: strings end at quotes, escapes and controls. */
Test(kernels, json_marks_equal_a_loop)
{
    static const char alphabet[] = "\"\\{}[]a\n,\x1f \x7f\x80\xff\0:";
    const struct mk_table *room[MK_TABLES + 1];
    const struct mk_table *const *tables = mk_usable(room);
    char bytes[200];
    uint64_t stops[3], marks[3];

    for (size_t t = 0; tables[t] != NULL; t++)
        for (size_t start = 0; start < 8; start++)
            for (size_t length = 0; length <= 130; length++) {
                unsigned seed = (unsigned)(length * 13 + start);
                bool high = false;

                for (size_t i = 0; i < sizeof bytes; i++)
                    bytes[i] = alphabet[next(&seed) % (length % 3 == 0 ? 12 : 16)];
                memset(stops, 0xff, sizeof stops);
                memset(marks, 0xff, sizeof marks);
                for (size_t i = 0; i < length; i++)
                    high = high || (bytes[start + i] & 0x80) != 0;
                cr_assert_eq(tables[t]->json_marks(bytes + start, length, stops, marks), high);
                for (size_t i = 0; i < (length + 63) / 64 * 64; i++) {
                    const unsigned char c =
                        i < length ? (unsigned char)bytes[start + i] : (unsigned char)' ';
                    const bool both = c == '"' || c < 32;

                    cr_assert_eq(stops[i / 64] >> (i & 63) & 1, both || c == '\\',
                                 "%s: stops, length %zu start %zu byte %zu", tables[t]->isa, length,
                                 start, i);
                    cr_assert_eq(marks[i / 64] >> (i & 63) & 1,
                                 both || c == '{' || c == '}' || c == '[' || c == ']',
                                 "%s: marks, length %zu start %zu byte %zu", tables[t]->isa, length,
                                 start, i);
                }
            }
}

/* Each text is put at every offset among ASCII, so that it crosses every vector's end. */
Test(kernels, utf8_valid_follows_the_standard)
{
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {{"", true},
                 {"a", true},
                 {"\xc2\x80", true},
                 {"\xdf\xbf", true},
                 {"\xe0\xa0\x80", true},
                 {"\xed\x9f\xbf", true},
                 {"\xee\x80\x80", true},
                 {"\xef\xbf\xbf", true},
                 {"\xf0\x90\x80\x80", true},
                 {"\xf4\x8f\xbf\xbf", true},
                 {"\x80", false},
                 {"\xbf", false},
                 {"\xc0\x80", false},
                 {"\xc1\xbf", false},
                 {"\xc2", false},
                 {"\xc2 ", false},
                 {"\xe0\x9f\xbf", false},
                 {"\xe1\x80", false},
                 {"\xed\xa0\x80", false},
                 {"\xed\xbf\xbf", false},
                 {"\xf0\x8f\xbf\xbf", false},
                 {"\xf1\x80\x80", false},
                 {"\xf4\x90\x80\x80", false},
                 {"\xf5\x80\x80\x80", false},
                 {"\xff", false}};
    const struct mk_table *room[MK_TABLES + 1];
    const struct mk_table *const *tables = mk_usable(room);

    for (size_t t = 0; tables[t] != NULL; t++)
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
            for (size_t length = strlen(cases[k].text); length <= 130; length++)
                for (size_t at = 0; at + strlen(cases[k].text) <= length; at++) {
                    char bytes[130];

                    memset(bytes, 'x', sizeof bytes);
                    memcpy(bytes + at, cases[k].text, strlen(cases[k].text));
                    cr_assert_eq(tables[t]->utf8_valid(bytes, length), cases[k].valid,
                                 "%s: case %zu at %zu of %zu", tables[t]->isa, k, at, length);
                }
}
