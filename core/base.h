/* core/base.h - attributes, checks and integer helpers that everything else stands on.
 *
 * Threads: pure.   Errors: a failed check stops the process, it never means bad input.
 * Includes: libc.
 */
#ifndef MILL_BASE_H
#define MILL_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BATCH_ROWS_MAX 4096u /* rows of one batch, at most */
#define COLUMNS_MAX 4096u    /* of one table */
#define KEY_GROUPS 1024u     /* fixed; group -> shard by range */
#define SHARDS_MAX 256u
#define STEP_BYTES (1u << 20)              /* a step of a byte source */
#define STEP_ROWS 16384u                   /* a step of a memory table or generator */
#define WINDOW_NANOS_MAX 21600000000000000 /* 250 days: of windows over nanoseconds */
#define TIME_MIN INT64_MIN                 /* watermark before the first row */
#define TIME_MAX INT64_MAX                 /* watermark after the end of input */

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ALIGN_UP(n, to) (((n) + ((to)-1)) & ~((to)-1))

struct mk_table; /* kernels/kernels.h */

typedef __int128 int128;
typedef unsigned __int128 uint128;

/* Prints where and stops the process. Broken invariants only. */
_Noreturn void check_failed(const char *file, int line, const char *what);

/* Graded: CHECK always (per batch), ASSERT with MILL_DEBUG=1 (per row). */
#define CHECK(x) (LIKELY(x) ? (void)0 : check_failed(__FILE__, __LINE__, #x))
#if defined(MILL_DEBUG) && MILL_DEBUG >= 1
#define ASSERT(x) CHECK(x)
#else
#define ASSERT(x) ((void)0)
#endif

/* Bit 7 of the lowest zero byte of @word is set, and perhaps of higher bytes; 0: none is zero. */
static inline uint64_t zero_bytes(uint64_t word)
{
    return (word - 0x0101010101010101u) & ~word & 0x8080808080808080u;
}
static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}
static inline uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}
static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}
static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}
static inline int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static inline int64_t max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* a + b, clamped to the range of int64; infinities (TIME_MIN, TIME_MAX) stay what they are. */
static inline int64_t time_add(int64_t a, int64_t b)
{
    int64_t sum;

    if (a == TIME_MIN || a == TIME_MAX)
        return a;
    if (__builtin_add_overflow(a, b, &sum))
        return b < 0 ? TIME_MIN : TIME_MAX;
    return sum;
}

/* a * b, b > 0, clamped as time_add(), but never to an infinity. */
static inline int64_t time_mul(int64_t a, int64_t b)
{
    int64_t product;

    if (__builtin_mul_overflow(a, b, &product))
        return a < 0 ? TIME_MIN + 1 : TIME_MAX - 1;
    return product;
}

/* Quotient rounded towards minus infinity; b > 0. */
static inline int64_t floor_div(int64_t a, int64_t b)
{
    const int64_t q = a / b;

    return q - (a % b < 0);
}

static inline int64_t floor_mod(int64_t a, int64_t b)
{
    const int64_t r = a % b;

    return r < 0 ? r + b : r;
}

/* Greatest common divisor; not negative. */
static inline int64_t gcd_i64(int64_t a, int64_t b)
{
    while (b != 0) {
        const int64_t r = a % b;

        a = b;
        b = r;
    }
    return a;
}

/* The key group of a hash, and the shard that owns a key group. */
static inline uint32_t key_group_of(uint64_t hash)
{
    return (uint32_t)(hash >> 54);
}
static inline uint32_t shard_of_group(uint32_t group, uint32_t shard_count)
{
    return group * shard_count / KEY_GROUPS;
}

#endif
