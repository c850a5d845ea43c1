/* kernels/csv.h - the CSV kernels of each instruction set, for the tables only. Contracts: kernels.h. */
#ifndef MILL_KERNELS_CSV_H
#define MILL_KERNELS_CSV_H

#include "kernels/kernels.h"

#define DECLARE_CSV_KERNELS(isa)                                                                   \
    void mk_csv_marks_##isa(const char *bytes, size_t length, char delimiter, char quote,          \
                            uint32_t *marks, uint32_t *lines, struct mk_csv_marks *found);         \
    void mk_parse_i64_##isa(const char *bytes, size_t length, const uint32_t *marks,               \
                            size_t stride, size_t count, int64_t *values, uint64_t *other);        \
    void mk_parse_number_##isa(const char *bytes, size_t length, const uint32_t *marks,            \
                               size_t stride, size_t count, int64_t *values, uint8_t *places,      \
                               uint64_t *other);                                                   \
    void mk_parse_time_##isa(const char *bytes, size_t length, const uint32_t *marks,              \
                             size_t stride, size_t count, int64_t *seconds, uint32_t *nanos,       \
                             uint64_t *other);                                                     \
    void mk_scale_f64_##isa(const int64_t *values, const uint8_t *places, size_t count,            \
                            double *out, uint64_t *other)
DECLARE_CSV_KERNELS(scalar);
DECLARE_CSV_KERNELS(avx2);
DECLARE_CSV_KERNELS(avx512);
void mk_csv_marks_avx512vbmi2(const char *bytes, size_t length, char delimiter, char quote,
                              uint32_t *marks, uint32_t *lines, struct mk_csv_marks *found);

/* Days since 1970 of a date of the years 0 to 9999, and whether it is one. */
static inline bool csv_date(uint32_t year, uint32_t month, uint32_t day, int64_t *days)
{
    static const uint8_t lengths[] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    /* years begin with March, so that the day that comes and goes is the last */
    const uint32_t y = year + 400 - (month <= 2), m = (month + 9) % 12;

    if (month - 1 > 11 || day - 1 >= lengths[month] + (uint32_t)(leap && month == 2))
        return false;
    *days = (int64_t)(y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1) - 719468 -
            146097;
    return true;
}

/* Rows first .. last of scale_f64(). */
static inline void csv_scale(const int64_t *values, const uint8_t *places, size_t first,
                             size_t last, double *out, uint64_t *other)
{
    static const double powers[] = {1,    1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
                                    1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};

    for (size_t r = first; r < last; r++) {
        const int64_t v = values[r];
        const bool exact = v != 0 && v <= (1ll << 53) && v >= -(1ll << 53);

        out[r] = exact ? (double)v / powers[places[r]] : 0;
        other[r / 64] |= (uint64_t)!exact << r % 64;
    }
}

#endif
