/* kernels/slice_scalar.c - the slice of each time: the definition. */
#include "kernels/slice.h"

void mk_slice_starts_scalar(const struct mk_grid *grid, const int64_t *times, size_t count,
                            int64_t *starts)
{
    const uint64_t first = slice_first(grid), width = (uint64_t)grid->width;

    for (size_t i = 0; i < count; i++)
        starts[i] = slice_start(times[i], first, width);
}
