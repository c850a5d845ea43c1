/* kernels/slice.h - the slices of a grid of time, for the tables only. Contracts: kernels.h. */
#ifndef MILL_KERNELS_SLICE_H
#define MILL_KERNELS_SLICE_H

#include "kernels/kernels.h"

/* Times around one of them: start = time - remainder is exact for those from least to most. */
struct slice_range {
    int64_t base, least, most;
    double reciprocal; /* of the width */
};

static inline uint64_t slice_bias(int64_t time)
{
    return (uint64_t)time ^ 1ull << 63;
}

/* First bound of the grid, counted from INT64_MIN. */
static inline uint64_t slice_first(const struct mk_grid *grid)
{
    const uint64_t width = (uint64_t)grid->width;

    return slice_bias(grid->offset) % width;
}

static inline int64_t slice_start(int64_t time, uint64_t first, uint64_t width)
{
    const uint64_t t = slice_bias(time);

    return t < first ? INT64_MIN : (int64_t)((uint64_t)time - (t - first) % width);
}

/* Distances below 2^50 have a double quotient that is off by less than 3/4 once rounded: one correction. */
static inline struct slice_range slice_range_around(int64_t time, uint64_t first, int64_t width)
{
    const int64_t reach = 1ll << 50, bound = (int64_t)(first ^ 1ull << 63);
    struct slice_range r = {.base = slice_start(time, first, (uint64_t)width),
                            .reciprocal = 1.0 / (double)width};

    r.base = r.base < bound ? bound : r.base;
    r.least = r.base < INT64_MIN + reach ? INT64_MIN : r.base - reach;
    r.most = r.base > INT64_MAX - reach ? INT64_MAX : r.base + reach;
    r.least = r.least < bound ? bound : r.least;
    return r;
}

#define DECLARE_SLICE_KERNELS(isa)                                                                 \
    void mk_slice_starts_##isa(const struct mk_grid *grid, const int64_t *times, size_t count,     \
                               int64_t *starts)
DECLARE_SLICE_KERNELS(scalar);
DECLARE_SLICE_KERNELS(avx2);
DECLARE_SLICE_KERNELS(avx512);

#endif
