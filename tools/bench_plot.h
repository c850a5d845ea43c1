/* tools/bench_plot.h - pictures as SVG: text as text, no scripts, legible on white and on black. Includes: nothing of the engine
 *
 * Each function writes one whole file. 0, or 74 and it has said on stderr why not.
 */
#ifndef MILL_BENCH_PLOT_H
#define MILL_BENCH_PLOT_H

#include <stdint.h>

#define PLOT_SERIES_MAX 8

/* A horizontal bar with its number behind it. */
struct plot_bar {
    const char *name, *label; /* of the row; what stands behind the bar */
    double value;
    uint32_t series; /* its colour and its entry in the legend */
};
/* Bars one below the other, as long as their values; with @logarithmic by powers of ten (all values > 0). */
int plot_bars(const char *path, const char *title, const char *unit, const char *const *series,
              uint32_t series_count, const struct plot_bar *bars, uint32_t count, int logarithmic);

/* A line through points. */
struct plot_line {
    const char *name;
    const double *x, *y;
    uint32_t count;
};
/* Times the rate of one shard (y) by shards (x, ascending), with a dashed ideal line; a line's last value behind its name. */
int plot_scaling(const char *path, const char *title, const struct plot_line *lines,
                 uint32_t count);
/* Latency by percentile: x are percentiles, 0 <= x < 100, drawn by 1 / (1 - x / 100) as HdrHistogram's plotter does; y are
 * microseconds, drawn by powers of ten. */
int plot_latency(const char *path, const char *title, const struct plot_line *lines,
                 uint32_t count);

/* A row of parts. */
struct plot_stack {
    const char *name;
    double parts[PLOT_SERIES_MAX]; /* one per series; 0: none */
};
int plot_stages(const char *path, const char *title, const char *unit, const char *const *series,
                uint32_t series_count, const struct plot_stack *stacks, uint32_t count);

#endif
