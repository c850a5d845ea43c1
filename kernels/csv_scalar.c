/* kernels/csv_scalar.c - what the CSV kernels are, byte by byte. */
#include "kernels/csv.h"

#include <string.h>

void mk_csv_marks_scalar(const char *bytes, size_t length, char delimiter, char quote,
                         uint32_t *marks, uint32_t *lines, struct mk_csv_marks *found)
{
    bool inside = false;

    *found = (struct mk_csv_marks){.plain = true};
    for (size_t i = 0; i < length; i++) {
        const char c = bytes[i];

        found->plain = found->plain && c > 0;
        found->returns = found->returns || c == '\r';
        if (quote != '\0' && c == quote) {
            inside = !inside;
            found->quotes++;
        } else if (inside || (c != delimiter && c != '\n')) {
            continue;
        } else if (c == '\n') {
            lines[found->lines++] = found->marks;
        }
        marks[found->marks++] = (uint32_t)i;
    }
}

static uint32_t digit(char c)
{
    return (uint32_t)(unsigned char)c - '0';
}

void mk_parse_i64_scalar(const char *bytes, size_t length, const uint32_t *marks, size_t stride,
                         size_t count, int64_t *values, uint64_t *other)
{
    (void)length;
    memset(other, 0, (count + 63) / 64 * 8);
    for (size_t r = 0; r < count; r++) {
        const uint32_t from = marks[r * stride] + 1, to = marks[r * stride + 1];
        const bool negative = from < to && bytes[from] == '-';
        bool good = to - from - negative - 1 < 19;
        uint64_t v = 0;

        for (uint32_t i = from + negative; good && i < to; i++) {
            good = digit(bytes[i]) <= 9;
            v = v * 10 + digit(bytes[i]);
        }
        good = good && v <= (uint64_t)INT64_MAX + negative;
        values[r] = !good ? 0 : (int64_t)(negative ? 0 - v : v);
        other[r / 64] |= (uint64_t)!good << r % 64;
    }
}

void mk_parse_number_scalar(const char *bytes, size_t length, const uint32_t *marks, size_t stride,
                            size_t count, int64_t *values, uint8_t *places, uint64_t *other)
{
    (void)length;
    memset(other, 0, (count + 63) / 64 * 8);
    for (size_t r = 0; r < count; r++) {
        const uint32_t from = marks[r * stride] + 1, to = marks[r * stride + 1];
        const bool negative = from < to && bytes[from] == '-';
        uint32_t digits = 0, behind = 0, points = 0;
        bool good = to - from <= 20;
        uint64_t v = 0;

        for (uint32_t i = from + negative; good && i < to; i++) {
            if (bytes[i] == '.') {
                points++;
                continue;
            }
            good = digit(bytes[i]) <= 9 && ++digits <= 18;
            behind += points;
            v = v * 10 + digit(bytes[i]);
        }
        good = good && points <= 1 && digits > 0;
        values[r] = !good ? 0 : negative ? -(int64_t)v : (int64_t)v;
        places[r] = good ? (uint8_t)behind : 0;
        other[r / 64] |= (uint64_t)!good << r % 64;
    }
}

static bool parse_time(const char *s, uint32_t length, int64_t *seconds, uint32_t *nanos)
{
    static const char form[] = "dddd-dd-dd dd:dd:dd.ddddddddd";
    uint32_t n[7] = {0}, part = 0, unit = 1000000000;
    int64_t days;

    if (length < 19 || length == 20 || length > 29)
        return false;
    for (uint32_t i = 0; i < length; i++) {
        if (form[i] == 'd' && digit(s[i]) > 9)
            return false;
        if (form[i] != 'd' && s[i] != form[i] && !(i == 10 && s[i] == 'T'))
            return false;
        if (form[i] != 'd')
            part++;
        else if (part < 6)
            n[part] = n[part] * 10 + digit(s[i]);
        else
            n[6] += digit(s[i]) * (unit /= 10);
    }
    if (n[3] > 23 || n[4] > 59 || n[5] > 59 || !csv_date(n[0], n[1], n[2], &days))
        return false;
    *seconds = days * 86400 + n[3] * 3600 + n[4] * 60 + n[5];
    *nanos = n[6];
    return true;
}

void mk_parse_time_scalar(const char *bytes, size_t length, const uint32_t *marks, size_t stride,
                          size_t count, int64_t *seconds, uint32_t *nanos, uint64_t *other)
{
    (void)length;
    memset(other, 0, (count + 63) / 64 * 8);
    for (size_t r = 0; r < count; r++) {
        const uint32_t from = marks[r * stride] + 1, to = marks[r * stride + 1];

        seconds[r] = nanos[r] = 0;
        if (!parse_time(bytes + from, to - from, &seconds[r], &nanos[r]))
            other[r / 64] |= 1ull << r % 64;
    }
}

void mk_scale_f64_scalar(const int64_t *values, const uint8_t *places, size_t count, double *out,
                         uint64_t *other)
{
    csv_scale(values, places, 0, count, out, other);
}
