/* tools/histogram.c - see histogram.h. */
#include "tools/histogram.h"

#include <inttypes.h>
#include <math.h>

#define SUBS (1u << HISTOGRAM_SUB_BITS)

/* Values below 2 * SUBS have a cell each; above, the leading SUB_BITS + 1 bits choose it. */
static uint32_t cell_of(uint64_t value)
{
    uint32_t shift;

    if (value >> HISTOGRAM_VALUE_BITS != 0)
        value = ((uint64_t)1 << HISTOGRAM_VALUE_BITS) - 1;
    if (value < 2 * SUBS)
        return (uint32_t)value;
    shift = 63 - (uint32_t)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return (shift << HISTOGRAM_SUB_BITS) + (uint32_t)(value >> shift);
}

static uint64_t cell_end(uint32_t cell)
{
    const uint32_t shift = cell < 2 * SUBS ? 0 : (cell >> HISTOGRAM_SUB_BITS) - 1;

    return ((uint64_t)(cell - (shift << HISTOGRAM_SUB_BITS) + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t nanos)
{
    h->cells[cell_of(nanos)]++;
    if (h->count == 0 || nanos < h->least)
        h->least = nanos;
    if (h->count == 0 || nanos > h->most)
        h->most = nanos;
    h->count++;
    h->sum += (double)nanos;
    h->squares += (double)nanos * (double)nanos;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    if (from->count == 0)
        return;
    for (uint32_t i = 0; i < HISTOGRAM_CELLS; i++)
        into->cells[i] += from->cells[i];
    if (into->count == 0 || from->least < into->least)
        into->least = from->least;
    if (into->count == 0 || from->most > into->most)
        into->most = from->most;
    into->count += from->count;
    into->sum += from->sum;
    into->squares += from->squares;
}

static uint64_t value_at(const struct histogram *h, double percent, uint64_t *upto)
{
    const double rank = ceil(percent / 100 * (double)h->count);
    const uint64_t wanted = rank < 1 ? 1 : (uint64_t)rank;

    *upto = 0;
    for (uint32_t i = 0; i < HISTOGRAM_CELLS; i++) {
        *upto += h->cells[i];
        if (*upto >= wanted)
            return cell_end(i) < h->most ? cell_end(i) : h->most;
    }
    return 0;
}

uint64_t histogram_at(const struct histogram *h, double percent)
{
    uint64_t upto;

    return value_at(h, percent, &upto);
}

void histogram_print(const struct histogram *h, FILE *to, unsigned ticks)
{
    const double n = h->count > 0 ? (double)h->count : 1, mean = h->sum / n;
    const double variance = h->squares / n - mean * mean;
    double percent = 0;
    uint64_t upto = 0;

    fprintf(to, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    while (h->count > 0 && upto < h->count) {
        const double value = (double)value_at(h, percent, &upto) / 1e3;
        const double left = 1 - percent / 100;

        if (upto >= h->count)
            break;
        fprintf(to, "%12.3f %2.12f %10" PRIu64 " %14.2f\n", value, percent / 100, upto, 1 / left);
        /* half of what is left, in equal steps */
        percent += 100 * exp2(floor(log2(left))) / 2 / ticks;
    }
    if (h->count > 0)
        fprintf(to, "%12.3f %2.12f %10" PRIu64 "\n", (double)h->most / 1e3, 1.0, h->count);
    fprintf(to, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", mean / 1e3,
            sqrt(variance > 0 ? variance : 0) / 1e3);
    fprintf(to, "#[Max     = %12.3f, Total count    = %12" PRIu64 "]\n", (double)h->most / 1e3,
            h->count);
    fprintf(to, "#[Buckets = %12d, SubBuckets     = %12u]\n",
            HISTOGRAM_VALUE_BITS - HISTOGRAM_SUB_BITS, 2 * SUBS);
}
