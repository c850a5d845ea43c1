/* tools/bench_compare.c - two recorded runs: what lies outside the noise of both. */
#include "tools/bench.h"

#include <stdlib.h>
#include <string.h>

static const struct bench_result *find(const struct bench_report *in, const struct bench_result *r)
{
    for (uint32_t i = 0; i < in->count; i++)
        if (strcmp(in->results[i].name, r->name) == 0 && in->results[i].shards == r->shards)
            return &in->results[i];
    return NULL;
}

/* -1 slower, 1 faster: the least of one is beyond the greatest of the other; 0: the spreads touch. */
static int verdict(const struct bench_result *before, const struct bench_result *after)
{
    const int greater = after->rate.min > before->rate.max   ? 1
                        : after->rate.max < before->rate.min ? -1
                                                             : 0;

    return bench_less_is_better(before) ? -greater : greater;
}

static bool comparable(const struct bench_result *a, const struct bench_result *b)
{
    return a->rows == b->rows && strcmp(a->unit, b->unit) == 0;
}

static void print_pair(const struct bench_result *a, const struct bench_result *b, int which)
{
    char before[48], after[48];

    printf("%-24s %2u  %16s  %16s  %5.2f times  %s\n", a->name, a->shards,
           bench_rate_text(a, a->rate.median, before), bench_rate_text(b, b->rate.median, after),
           a->rate.median > 0 ? b->rate.median / a->rate.median : 0,
           which < 0   ? "SLOWER"
           : which > 0 ? "faster"
                       : "within the noise");
}

int bench_compare(const char *before, const char *after)
{
    struct bench_report a, b;
    uint32_t slower = 0, faster = 0, same = 0, alone = 0;
    int code = bench_read_json(before, &a);

    if (code != 0)
        return code;
    code = bench_read_json(after, &b);
    if (code != 0) {
        bench_report_close(&a);
        return code;
    }
    if (strcmp(a.machine.cpu, b.machine.cpu) != 0)
        printf("note: other machines: %s, %s\n", a.machine.cpu, b.machine.cpu);
    for (uint32_t i = 0; i < a.count; i++) {
        const struct bench_result *r = &a.results[i], *other = find(&b, r);

        if (other == NULL || !comparable(r, other)) {
            printf("%-24s %2u  %s\n", r->name, r->shards,
                   other == NULL ? "only in the first" : "other numbers of rows or units");
            alone++;
            continue;
        }
        const int which = verdict(r, other);

        print_pair(r, other, which);
        slower += which < 0;
        faster += which > 0;
        same += which == 0;
    }
    printf("%u slower, %u faster, %u within the noise, %u not compared\n", slower, faster, same,
           alone);
    if (slower + faster + same == 0)
        fprintf(stderr, "millstream: bench: %s and %s have no result in common\n", before, after);
    code = slower > 0 ? 1 : slower + faster + same == 0 ? BENCH_EXIT_USAGE : 0;
    bench_report_close(&a);
    bench_report_close(&b);
    return code;
}
