/* core/values.h - single values: the calendar, decimals, numbers, and their texts as Flink writes them.
 *
 * Threads: pure.   Errors: false where a text is not a value or a value does not fit.   Includes: batch.h
 */
#ifndef MILL_VALUES_H
#define MILL_VALUES_H

#include "core/batch.h"

struct zone;

/* A value as text, as Flink prints it. Returns its length; @to has room for @bytes. */
size_t value_text(const struct column *c, const struct mill_type *type, uint32_t row, char *to,
                  size_t bytes);
/* As value_text(), TIMESTAMP_LTZ as the clock of a zone shows it. */
size_t value_text_in(const struct column *c, const struct mill_type *type, uint32_t row,
                     const struct zone *zone, char *to, size_t bytes);
/* The whole text, however long, in @arena; NULL: no memory. */
char *value_text_whole(struct arena *arena, const struct column *c, const struct mill_type *type,
                       uint32_t row, const struct zone *zone, size_t *bytes);

/* ---- time (civil.c) ---- */
struct civil {
    int64_t year;
    uint32_t month, day, hour, minute, second, nanos;
};
int64_t days_from_civil(int64_t year, uint32_t month, uint32_t day);
void civil_from_days(int64_t days, struct civil *out);
void civil_from_time(int64_t value, bool nanos, struct civil *out);
int64_t time_from_civil(const struct civil *c, bool nanos);
/* 'yyyy-MM-dd[ T]HH:mm:ss[.f...][Z]' or a date; false: not a time. Cut to @type's precision. */
bool time_parse(const char *text, size_t bytes, const struct mill_type *type, int64_t *out);
bool date_parse(const char *text, size_t bytes, int32_t *out);
bool clock_parse(const char *text, size_t bytes, const struct mill_type *type, int64_t *out);
size_t time_format(int64_t value, const struct mill_type *type, char *to, size_t room);
uint32_t month_days(int64_t year, uint32_t month);
int64_t add_months(int64_t days, int64_t months);

/* ---- decimals (decimal.c) ---- */
int128 decimal_power(uint32_t digits);
bool decimal_fits(int128 value, uint32_t precision);
/* value * 10^(to - from), HALF_UP when it loses digits; false: overflow. */
bool decimal_rescale(int128 value, uint32_t from, uint32_t to, int128 *out);
/* Below, equal, above: -1, 0, 1. */
int decimal_compare(int128 a, uint32_t a_scale, int128 b, uint32_t b_scale);
bool decimal_add(int128 a, uint32_t a_scale, int128 b, uint32_t b_scale, uint32_t to_scale,
                 uint32_t precision, int128 *out);
bool decimal_multiply(int128 a, int128 b, uint32_t scale, uint32_t to_scale, uint32_t precision,
                      int128 *out);
/* The rest of @a / @b with the sign of @a, in the greater of both scales; @b is not 0. */
bool decimal_modulo(int128 a, uint32_t a_scale, int128 b, uint32_t b_scale, int128 *out);
bool decimal_divide(int128 a, uint32_t a_scale, int128 b, uint32_t b_scale, uint32_t scale,
                    uint32_t precision, int128 *out);
bool decimal_parse(const char *text, size_t bytes, uint32_t precision, uint32_t scale, int128 *out);
size_t decimal_format(int128 value, uint32_t scale, char *to, size_t room);
double decimal_to_double(int128 value, uint32_t scale);
bool decimal_from_double(double value, uint32_t precision, uint32_t scale, int128 *out);

/* A number in decimal; @to has room for 32 bytes. Returns its length, 20 at most. */
size_t integer_format(int64_t value, char *to);
/* Java's Double.toString and Float.toString, as since JDK 19. */
size_t double_format(double value, char *to, size_t room);
size_t float_format(float value, char *to, size_t room);

/* A number as C's strtod reads it, the whole text. */
bool double_parse(const char *text, size_t bytes, double *out);

#endif
