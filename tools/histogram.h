/* tools/histogram.h - latencies in a log-linear histogram, and the percentile text that HdrHistogram's plotters read.
 *
 * The layout is that of HdrHistogram (Gil Tene, hdrhistogram.org): buckets whose width doubles, each cut into equal sub-buckets. Here 2^7
 * sub-buckets below 128 ns and 2^6 in each doubling above: a value is known to 1/64 of itself, 1.6 %. Values are nanoseconds up to 2^40 (18
 * minutes); greater ones count as that.
 * Threads: one at a time.
 */
#ifndef MILL_TOOL_HISTOGRAM_H
#define MILL_TOOL_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_VALUE_BITS 40
#define HISTOGRAM_CELLS ((HISTOGRAM_VALUE_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
    uint64_t cells[HISTOGRAM_CELLS];
    uint64_t count, least, most; /* exact; least and most mean nothing while count is 0 */
    double sum, squares;
};

void histogram_add(struct histogram *h, uint64_t nanos);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* The least value that @percent of all do not exceed: the upper end of its cell, at most the greatest value. 0 of none. */
uint64_t histogram_at(const struct histogram *h, double percent);
/* Columns Value (microseconds), Percentile, TotalCount, 1/(1-Percentile) and the summary lines: @ticks lines per halving of what is left. */
void histogram_print(const struct histogram *h, FILE *to, unsigned ticks);

#endif
