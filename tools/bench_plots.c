/* tools/bench_plots.c - which pictures a run gives: rates beside the peer's, by group, and scaling. */
#include "tools/bench.h"
#include "tools/bench_plot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The rates of one group with one shard count, ours and the peer's below. */
static int rates(const struct bench_report *report, const char *group, uint32_t shards,
                 const char *folder)
{
    struct plot_bar *bars = calloc(2 * (size_t)report->count + 1, sizeof *bars);
    char(*labels)[100] = calloc(2 * (size_t)report->count + 1, sizeof *labels), path[4200],
    title[200], peer[64] = "", rate[48];
    const char *series[] = {"millstream", peer};
    const struct bench_result *first = NULL;
    uint32_t count = 0;
    int code = 0;

    for (uint32_t i = 0; bars != NULL && labels != NULL && i < report->count; i++) {
        const struct bench_result *r = &report->results[i];

        if (strcmp(r->group, group) != 0 || r->shards != shards || bench_less_is_better(r))
            continue;
        first = first != NULL ? first : r;
        snprintf(labels[count], sizeof labels[count], "%s",
                 bench_rate_text(r, r->rate.median, rate));
        if (r->peer_name != NULL)
            snprintf(labels[count] + strlen(rate), sizeof labels[count] - strlen(rate),
                     ", %.1f times", r->peer_ratio.median);
        bars[count] = (struct plot_bar){r->name, labels[count], r->rate.median, 0};
        count++;
        if (r->peer_name == NULL)
            continue;
        snprintf(peer, sizeof peer, "%s %s", r->peer_name, r->peer_version);
        snprintf(labels[count], sizeof labels[count], "%s",
                 bench_rate_text(r, r->peer_rate.median, rate));
        bars[count] = (struct plot_bar){r->name, labels[count], r->peer_rate.median, 1};
        count++;
    }
    if (count > 0) {
        snprintf(path, sizeof path, "%s/%s-%u.svg", folder, group, shards);
        snprintf(title, sizeof title, "Group %s, %u shard%s%s", group, shards,
                 shards > 1 ? "s" : "",
                 peer[0] != '\0' ? " and as many threads, medians" : ", medians");
        code = plot_bars(path, title, first->unit, series, peer[0] != '\0' ? 2 : 1, bars, count, 0);
    }
    free(bars);
    free(labels);
    return code;
}

/* Workloads of one group with several shard counts. */
static int scaling(const struct bench_report *report, const char *group, const char *folder)
{
    double x[PLOT_SERIES_MAX][BENCH_SHARDS_MAX], y[PLOT_SERIES_MAX][BENCH_SHARDS_MAX];
    struct plot_line lines[PLOT_SERIES_MAX];
    char path[4200], title[200];
    uint32_t count = 0;

    for (uint32_t i = 0; i < report->count && count < PLOT_SERIES_MAX; i++) {
        const struct bench_result *r = &report->results[i];
        struct plot_line *l = &lines[count];

        if (strcmp(r->group, group) != 0 || bench_less_is_better(r) ||
            (i > 0 && strcmp(r->name, report->results[i - 1].name) == 0))
            continue;
        *l = (struct plot_line){r->name, x[count], y[count], 0};
        for (uint32_t n = i; n < report->count && l->count < BENCH_SHARDS_MAX &&
                             strcmp(report->results[n].name, r->name) == 0;
             n++) {
            x[count][l->count] = report->results[n].shards;
            y[count][l->count++] = report->results[n].rate.median / r->rate.median;
        }
        count += l->count > 1 && r->shards == 1;
    }
    if (count == 0)
        return 0;
    snprintf(path, sizeof path, "%s/%s-scaling.svg", folder, group);
    snprintf(title, sizeof title, "Group %s: scaling, medians", group);
    return plot_scaling(path, title, lines, count);
}

/* What a row costs in each stage, of one group with one shard count. */
static int stages(const struct bench_report *report, const char *group, uint32_t shards,
                  const char *folder)
{
    struct plot_stack *stacks = calloc((size_t)report->count + 1, sizeof *stacks);
    char path[4200], title[200];
    uint32_t count = 0;
    int code = 0;

    for (uint32_t i = 0; stacks != NULL && i < report->count; i++) {
        const struct bench_result *r = &report->results[i];
        double sum = 0;

        for (uint32_t s = 0; s < BENCH_STAGES; s++)
            sum += r->stages[s];
        if (strcmp(r->group, group) != 0 || r->shards != shards || sum <= 0)
            continue;
        stacks[count].name = r->name;
        memcpy(stacks[count++].parts, r->stages, sizeof r->stages);
    }
    if (count > 0) {
        snprintf(path, sizeof path, "%s/%s-stages-%u.svg", folder, group, shards);
        snprintf(title, sizeof title, "Group %s, %u shard%s: what a row costs, by stage", group,
                 shards, shards > 1 ? "s" : "");
        code = plot_stages(path, title, "ns of all shards per row of input", bench_stages,
                           BENCH_STAGES, stacks, count);
    }
    free(stacks);
    return code;
}

int bench_write_plots(const struct bench_report *report, const char *folder)
{
    int code = 0;

    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "millstream: bench: cannot make the folder %s: %s\n", folder,
                strerror(errno));
        return BENCH_EXIT_OUTPUT;
    }
    for (uint32_t i = 0; code == 0 && i < report->count; i++) {
        const struct bench_result *r = &report->results[i];
        bool group_seen = false, shards_seen = false;

        for (uint32_t n = 0; n < i; n++)
            if (strcmp(report->results[n].group, r->group) == 0) {
                group_seen = true;
                shards_seen = shards_seen || report->results[n].shards == r->shards;
            }
        if (!shards_seen)
            code = rates(report, r->group, r->shards, folder);
        if (code == 0 && !shards_seen)
            code = stages(report, r->group, r->shards, folder);
        if (code == 0 && !group_seen)
            code = scaling(report, r->group, folder);
    }
    return code;
}
