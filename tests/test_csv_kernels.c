/* tests/test_csv_kernels.c - the CSV kernels: every usable instruction set against the scalar one at every length from 0
 * to 130 and from unaligned starts; the scalar one against strtod, a calendar counted day by day, and by hand. */
#include "kernels/kernels.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*state >> 33);
}

#define EACH_TABLE(t)                                                                              \
    const struct mk_table *room[MK_TABLES + 1];                                                    \
    for (const struct mk_table *const *t = mk_usable(room); *t != NULL; t++)

Test(csv_kernels, marks_by_hand)
{
    static const char text[] = "a,\"b,\n\"\"\",c\nd\n\"x";
    static const uint32_t marks[] = {1, 2, 6, 7, 8, 9, 11, 13, 14}, lines[] = {6, 7};
    uint32_t m[200], l[200];
    struct mk_csv_marks found;

    EACH_TABLE(t)
    {
        (*t)->csv_marks(text, sizeof text - 1, ',', '"', m, l, &found);
        cr_assert_eq(found.marks, 9, "%s: %u marks", (*t)->isa, found.marks);
        cr_assert_eq(found.lines, 2, "%s", (*t)->isa);
        cr_assert_eq(found.quotes, 5, "%s", (*t)->isa);
        cr_assert(found.plain && !found.returns, "%s", (*t)->isa);
        cr_assert_arr_eq(m, marks, sizeof marks, "%s", (*t)->isa);
        cr_assert_arr_eq(l, lines, sizeof lines, "%s", (*t)->isa);
        (*t)->csv_marks("a\r\n", 3, ',', '"', m, l, &found);
        cr_assert(found.returns, "%s", (*t)->isa);
    }
}

Test(csv_kernels, marks_equal_scalar)
{
    static const char alphabet[] = ",,\n\"\"ab0\0\xff,\n|''\\\r";
    uint64_t seed = 1;
    uint32_t m[300], l[300], want_m[300], want_l[300];

    for (size_t start = 0; start < 8; start++)
        for (size_t length = 0; length <= 130; length++)
            for (int round = 0; round < 4; round++) {
                char *bytes = malloc(start + length + 1);
                const char quote = "\"\0'\""[round];
                struct mk_csv_marks want, found;

                for (size_t i = 0; i < start + length; i++)
                    bytes[i] = round == 3 ? (char)next(&seed)
                                          : alphabet[next(&seed) % (sizeof alphabet - 1)];
                mk_scalar.csv_marks(bytes + start, length, ',', quote, want_m, want_l, &want);
                EACH_TABLE(t)
                {
                    (*t)->csv_marks(bytes + start, length, ',', quote, m, l, &found);
                    cr_assert(found.marks == want.marks && found.lines == want.lines &&
                                  found.quotes == want.quotes && found.plain == want.plain &&
                                  found.returns == want.returns,
                              "%s: length %zu start %zu", (*t)->isa, length, start);
                    cr_assert(memcmp(m, want_m, want.marks * 4) == 0 &&
                                  memcmp(l, want_l, want.lines * 4) == 0,
                              "%s: length %zu start %zu", (*t)->isa, length, start);
                }
                free(bytes);
            }
}

/* Fields of one column between commas, in a block of exactly their size (so that a sanitizer sees a read outside). */
struct fields {
    char *bytes;
    size_t length, count;
    uint32_t marks[400];
};

static void fields_make(struct fields *f, char (*texts)[40], size_t count, size_t lead)
{
    f->length = lead;
    f->count = count;
    for (size_t i = 0; i < count; i++)
        f->length += strlen(texts[i]) + (i > 0);
    f->bytes = malloc(f->length + 1);
    memset(f->bytes, 'z', lead);
    f->length = lead;
    f->marks[0] = (uint32_t)lead - 1;
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            f->bytes[f->length++] = ',';
        memcpy(f->bytes + f->length, texts[i], strlen(texts[i]));
        f->length += strlen(texts[i]);
        f->marks[i + 1] = (uint32_t)f->length;
    }
    f->bytes = realloc(f->bytes, f->length + (f->length == 0));
}

static void random_field(uint64_t *seed, char *to)
{
    static const char odd[] = "0123456789-+. :T/";
    static const char *const edges[] = {"",
                                        "-",
                                        "--1",
                                        "1-",
                                        "0",
                                        "-0",
                                        "9999999999999999",
                                        "-9999999999999999",
                                        "10000000000000000",
                                        "1.",
                                        ".",
                                        "-.5",
                                        ".123456789012345678",
                                        "-123456789012345678.",
                                        "1.2.3",
                                        "1234567890123456.78",
                                        "12345678901234567.8",
                                        "1234567890123456789",
                                        "0000000000000000.01",
                                        "2024-02-29 00:00:00",
                                        "2023-02-29 00:00:00",
                                        "1900-02-29T00:00:00",
                                        "2000-02-29T23:59:59.999999999",
                                        "2000-02-29T23:59:59.9999999999",
                                        "2000-02-29T23:59:59.",
                                        "2000-13-01 00:00:00",
                                        "2000-00-10 00:00:00",
                                        "2000-01-00 00:00:00",
                                        "2000-01-01 24:00:00",
                                        "2000-01-01 23:60:00",
                                        "2000-01-01 23:59:60",
                                        "0000-01-01 00:00:00.5",
                                        "9999-12-31 23:59:59.123"};
    const uint32_t kind = next(seed) % 8;
    uint32_t n = 0;

    if (kind == 0) {
        strcpy(to, edges[next(seed) % (sizeof edges / sizeof *edges)]);
    } else if (kind <= 2) {
        sprintf(to, "%04u-%02u-%02u%c%02u:%02u:%02u", next(seed) % 10000, next(seed) % 14,
                next(seed) % 33, next(seed) % 9 == 0 ? 'T' : ' ', next(seed) % 25, next(seed) % 61,
                next(seed) % 61);
        n = next(seed) % 11;
        if (n > 0)
            strcat(to, ".");
        for (; n > 1; n--)
            sprintf(to + strlen(to), "%u", next(seed) % 10);
        if (next(seed) % 8 == 0)
            to[next(seed) % strlen(to)] = odd[next(seed) % (sizeof odd - 1)];
    } else {
        const uint32_t length = next(seed) % 22, point = next(seed) % 30;

        if (next(seed) % 3 == 0)
            to[n++] = '-';
        for (uint32_t i = 0; i < length; i++)
            to[n++] = (char)(kind > 4 && i == point ? '.' : '0' + next(seed) % 10);
        to[n] = '\0';
        if (next(seed) % 10 == 0 && n > 0)
            to[next(seed) % n] = (char)(1 + next(seed) % 255);
    }
}

/* Most fields of a real column are alike. */
static void alike_field(uint64_t *seed, size_t kind, char *to)
{
    static const char *const days[] = {"2024-02-29", "2024-03-01", "1969-12-31"};
    const uint64_t number = (uint64_t)next(seed) << 31 | next(seed);
    const char *sign = next(seed) % 8 == 0 ? "-" : "";

    if (kind == 0 || next(seed) % 20 == 0) {
        random_field(seed, to);
    } else if (kind == 1) {
        sprintf(to, "%s%llu", sign, (unsigned long long)number >> next(seed) % 60);
    } else if (kind == 2) {
        const uint32_t places = next(seed) % 8;

        sprintf(to, "%s%llu", sign, (unsigned long long)number >> (10 + next(seed) % 50));
        if (places > 0)
            sprintf(to + strlen(to), ".%0*u", (int)places - 1, next(seed) % 10);
    } else {
        sprintf(to, "%s%c%02u:%02u:%02u", days[next(seed) % 40 == 0 ? next(seed) % 3 : 0],
                next(seed) % 50 == 0 ? 'T' : ' ', next(seed) % 24, next(seed) % 60,
                next(seed) % 60);
        if (next(seed) % 4 > 0)
            sprintf(to + 19, ".%.*s", (int)(1 + next(seed) % 9),
                    "102938475610293847" + next(seed) % 9);
    }
}

Test(csv_kernels, parsers_equal_scalar)
{
    uint64_t seed = 7;

    for (size_t count = 0; count <= 130; count++)
        for (size_t lead = 0; lead < 24; lead += 1 + count % 5) {
            char texts[131][40];
            struct fields f;
            int64_t want[131], values[131];
            uint64_t want_other[3], other[3];
            uint8_t want_places[131], places[131];
            uint32_t want_nanos[131], nanos[131];

            for (size_t i = 0; i < count; i++)
                alike_field(&seed, (count + lead) % 4, texts[i]);
            fields_make(&f, texts, count, lead);
            const size_t words = (count + 63) / 64 * 8;
            EACH_TABLE(t)
            {
                const char *isa = (*t)->isa;

                mk_scalar.parse_i64(f.bytes, f.length, f.marks, 1, count, want, want_other);
                (*t)->parse_i64(f.bytes, f.length, f.marks, 1, count, values, other);
                cr_assert(memcmp(want, values, count * 8) == 0 &&
                              memcmp(want_other, other, words) == 0,
                          "%s: parse_i64, %zu fields", isa, count);
                mk_scalar.parse_number(f.bytes, f.length, f.marks, 1, count, want, want_places,
                                       want_other);
                (*t)->parse_number(f.bytes, f.length, f.marks, 1, count, values, places, other);
                for (size_t i = 0; i < count; i++)
                    cr_assert(want[i] == values[i] && want_places[i] == places[i],
                              "%s: parse_number of '%s'", isa, texts[i]);
                cr_assert(memcmp(want_other, other, words) == 0, "%s: parse_number", isa);
                mk_scalar.parse_time(f.bytes, f.length, f.marks, 1, count, want, want_nanos,
                                     want_other);
                (*t)->parse_time(f.bytes, f.length, f.marks, 1, count, values, nanos, other);
                for (size_t i = 0; i < count; i++)
                    cr_assert(want[i] == values[i] && want_nanos[i] == nanos[i],
                              "%s: parse_time of '%s'", isa, texts[i]);
                cr_assert(memcmp(want_other, other, words) == 0, "%s: parse_time", isa);
            }
            free(f.bytes);
        }
}

Test(csv_kernels, integers_and_numbers_against_strtod)
{
    static const double powers[] = {1,    1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
                                    1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
    uint64_t seed = 99;

    for (int round = 0; round < 20000; round++) {
        char text[1][40];
        struct fields f;
        int64_t value;
        uint64_t other;
        uint8_t places;

        sprintf(text[0], "%s%u.%u", next(&seed) % 2 ? "-" : "", next(&seed) % 100000000,
                next(&seed) % 10000000);
        fields_make(&f, text, 1, 0);
        mk_scalar.parse_number(f.bytes, f.length, f.marks, 1, 1, &value, &places, &other);
        cr_assert_eq(other, 0, "'%s'", text[0]);
        cr_assert_eq((double)value / powers[places], strtod(text[0], NULL), "'%s'", text[0]);
        free(f.bytes);
        sprintf(text[0], "%lld", ((long long)next(&seed) << 32 | next(&seed)) >> round % 64);
        fields_make(&f, text, 1, 0);
        mk_scalar.parse_i64(f.bytes, f.length, f.marks, 1, 1, &value, &other);
        cr_assert(other == 0 && value == strtoll(text[0], NULL, 10), "'%s'", text[0]);
        free(f.bytes);
    }
}

Test(csv_kernels, scaled_numbers_against_strtod)
{
    uint64_t seed = 3;

    for (int round = 0; round < 3000; round++) {
        const size_t count = next(&seed) % 70;
        int64_t values[70];
        uint8_t places[70];

        for (size_t i = 0; i < count; i++) {
            const uint64_t v = (uint64_t)next(&seed) << 31 | next(&seed);

            values[i] = (int64_t)(v >> next(&seed) % 62) * (next(&seed) % 2 ? -1 : 1);
            places[i] = (uint8_t)(next(&seed) % (round % 2 ? 19 : 8));
        }
        EACH_TABLE(t)
        {
            double out[70];
            uint64_t other[2] = {1, 2}; /* bits that stand already stay */

            (*t)->scale_f64(values, places, count, out, other);
            for (size_t i = 0; i < count; i++) {
                const bool big = values[i] > 1ll << 53 || values[i] < -(1ll << 53);
                const bool odd = big || values[i] == 0 || i == 0 || i == 65;
                char text[40];

                sprintf(text, "%llde-%u", (long long)values[i], places[i]);
                cr_assert_eq(other[i / 64] >> i % 64 & 1, odd, "%s: %s", (*t)->isa, text);
                cr_assert_eq(out[i], big ? 0 : strtod(text, NULL), "%s: %s", (*t)->isa, text);
            }
            cr_assert((other[0] & 1) == 1 && (other[1] & 2) == 2, "%s", (*t)->isa);
        }
    }
}

Test(csv_kernels, integers_at_their_limits)
{
    static const struct {
        const char *text;
        int64_t value;
        bool other;
    } cases[] = {{"9223372036854775807", INT64_MAX, false},
                 {"-9223372036854775808", INT64_MIN, false},
                 {"9223372036854775808", 0, true},
                 {"-9223372036854775809", 0, true},
                 {"0000000000000000001", 1, false},
                 {"00000000000000000001", 0, true},
                 {"9999999999999999", 9999999999999999, false},
                 {"-10000000000000000", -10000000000000000, false},
                 {"-", 0, true},
                 {"", 0, true},
                 {"+1", 0, true}};

    EACH_TABLE(t)
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char texts[24][40];
        struct fields f;
        int64_t values[24];
        uint64_t other;

        for (size_t k = 0; k < 24; k++)
            strcpy(texts[k], cases[i].text);
        fields_make(&f, texts, 24, 20);
        (*t)->parse_i64(f.bytes, f.length, f.marks, 1, 24, values, &other);
        for (size_t k = 0; k < 24; k++)
            cr_assert(values[k] == cases[i].value && (other >> k & 1) == cases[i].other, "%s: '%s'",
                      (*t)->isa, cases[i].text);
        free(f.bytes);
    }
}

/* Every day of the years 1 to 9999 follows the day before; 1970-01-01 is 0. */
Test(csv_kernels, every_day_of_the_calendar)
{
    static const uint32_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t day = -719162; /* 0001-01-01 */

    for (uint32_t year = 1; year <= 9999; year++)
        for (uint32_t month = 1; month <= 12; month++) {
            const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            const uint32_t days = lengths[month - 1] + (month == 2 && leap);

            for (uint32_t d = 0; d <= days + 1; d++) {
                char text[1][40];
                struct fields f;
                int64_t seconds;
                uint32_t nanos;
                uint64_t other;

                if (d > 1 && d < days - 1 && (d + month + year) % 7 != 0) {
                    day++;
                    continue;
                }
                sprintf(text[0], "%04u-%02u-%02u 01:02:03.5", year, month, d);
                fields_make(&f, text, 1, 0);
                mk_scalar.parse_time(f.bytes, f.length, f.marks, 1, 1, &seconds, &nanos, &other);
                free(f.bytes);
                if (d == 0 || d > days) {
                    cr_assert_eq(other, 1, "'%s' is no day", text[0]);
                    continue;
                }
                cr_assert(other == 0 && seconds == day * 86400 + 3723 && nanos == 500000000, "'%s'",
                          text[0]);
                if (year == 1970 && month == 1 && d == 1)
                    cr_assert_eq(day, 0);
                day++;
            }
        }
}
