/* tools/bench_report.c - results as lines on the terminal, as JSON (written and read back), as a Markdown table. */
#include "tools/bench.h"
#include "tools/bench_json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool bench_less_is_better(const struct bench_result *result)
{
    const size_t n = strlen(result->unit);

    return n < 2 || strcmp(result->unit + n - 2, "/s") != 0;
}

const char *bench_rate_text(const struct bench_result *result, double rate, char to[48])
{
    if (bench_less_is_better(result) || rate < 1e3)
        snprintf(to, 48, "%.2f %s", rate, result->unit);
    else if (rate >= 1e6)
        snprintf(to, 48, rate >= 1e8 ? "%.0f M %s" : "%.1f M %s", rate / 1e6, result->unit);
    else
        snprintf(to, 48, "%.1f k %s", rate / 1e3, result->unit);
    return to;
}

static double bytes_per_second(const struct bench_result *r)
{
    return r->bytes > 0 && r->rows > 0 ? r->rate.median * (double)r->bytes / (double)r->rows : 0;
}

void bench_print(const struct bench_result *r)
{
    char median[48], min[48], max[48], name[64];

    snprintf(name, sizeof name, "%s/%s", r->group, r->name);
    printf("%-24s %2u shard%s  %14s  (%s to %s)", name, r->shards, r->shards == 1 ? " " : "s",
           bench_rate_text(r, r->rate.median, median), bench_rate_text(r, r->rate.min, min),
           bench_rate_text(r, r->rate.max, max));
    if (r->cpu.median > 0)
        printf("  %.1f CPU ns/row", r->cpu.median);
    if (bytes_per_second(r) > 0)
        printf("  %.2f GB/s", bytes_per_second(r) / 1e9);
    if (r->peer_name != NULL)
        printf("  %s %s, %.2f times it (%.2f to %.2f)", r->peer_name,
               bench_rate_text(r, r->peer_rate.median, median), r->peer_ratio.median,
               r->peer_ratio.min, r->peer_ratio.max);
    if (r->stolen >= 0.01)
        printf("  %.0f %% stolen", r->stolen * 100);
    if (r->elsewhere >= 0.1)
        printf("  others took %.0f %% of the cpus", r->elsewhere * 100);
    printf("\n");
    fflush(stdout);
}

/* ---- JSON ---- */

static void put_text(FILE *to, const char *name, const char *text, const char *end)
{
    fprintf(to, "\"%s\": ", name);
    json_put(to, text);
    fputs(end, to);
}

static void put_spread(FILE *to, const char *name, const struct bench_spread *s, const char *end)
{
    fprintf(to, "\"%s\": {\"median\": %.9g, \"min\": %.9g, \"max\": %.9g}%s", name, s->median,
            s->min, s->max, end);
}

static void put_samples(FILE *to, const char *name, const double *samples, uint32_t count)
{
    fprintf(to, "\"%s\": [", name);
    for (uint32_t i = 0; i < count; i++)
        fprintf(to, "%s%.9g", i > 0 ? ", " : "", samples[i]);
    fputs("]", to);
}

static void put_result(FILE *to, const struct bench_result *r)
{
    fputs("    {", to);
    put_text(to, "name", r->name, ", ");
    put_text(to, "group", r->group, ", ");
    fprintf(to, "\"shards\": %u, \"rows\": %" PRIu64 ", ", r->shards, r->rows);
    put_text(to, "unit", r->unit, ", ");
    put_spread(to, "rate", &r->rate, ", ");
    put_samples(to, "samples", r->samples, r->runs);
    fputs(", ", to);
    put_samples(to, "stage_ns_per_row", r->stages, BENCH_STAGES);
    fputs(", ", to);
    put_spread(to, "cpu_ns_per_row", &r->cpu, ", ");
    fprintf(to,
            "\"bytes\": %" PRIu64 ", \"bytes_per_second\": %.9g, \"result_rows\": %" PRIu64
            ", \"peak_state_bytes\": %" PRIu64 ", \"peak_rss_bytes\": %" PRIu64
            ", \"stolen\": %.4f, \"elsewhere\": %.4f, ",
            r->bytes, bytes_per_second(r), r->result_rows, r->peak_bytes, r->peak_rss_bytes,
            r->stolen, r->elsewhere);
    fprintf(to, "\"digest\": \"%016" PRIx64 "%016" PRIx64 "\", ", (uint64_t)(r->digest >> 64),
            (uint64_t)r->digest);
    put_text(to, "checked", r->checked, ", ");
    if (r->peer_name != NULL) {
        fputs("\"peer\": {", to);
        put_text(to, "name", r->peer_name, ", ");
        put_text(to, "version", r->peer_version, ", ");
        put_spread(to, "rate", &r->peer_rate, ", ");
        put_samples(to, "samples", r->peer_samples, r->runs);
        fputs(", ", to);
        put_spread(to, "ratio", &r->peer_ratio, "}, ");
    }
    put_text(to, "what", r->what, "}");
}

static int cannot_write(const char *path)
{
    fprintf(stderr, "millstream: bench: cannot write %s: %s\n", path, strerror(errno));
    return BENCH_EXIT_OUTPUT;
}

static int close_written(FILE *to, const char *path)
{
    const bool failed = ferror(to) != 0;

    return fclose(to) != 0 || failed ? cannot_write(path) : 0;
}

int bench_write_json(const struct bench_report *report, const char *path)
{
    const struct bench_machine *m = &report->machine;
    FILE *to = fopen(path, "we");

    if (to == NULL)
        return cannot_write(path);
    fputs("{\n  \"tool\": \"millstream bench\", \"format\": 1,\n  ", to);
    put_text(to, "date", m->date, ", ");
    put_text(to, "commit", m->commit, ",\n  \"machine\": {");
    put_text(to, "cpu", m->cpu, ", ");
    fprintf(to, "\"cpus\": %u, \"memory_bytes\": %" PRIu64 ", ", m->cpus, m->memory_bytes);
    put_text(to, "caches", m->caches, ", ");
    put_text(to, "kernel", m->kernel, "},\n  ");
    put_text(to, "build", m->build, ",\n  ");
    put_text(to, "flags", m->flags, ",\n  ");
    fprintf(to, "\"seconds\": %.1f, \"stolen\": %.4f,\n  \"results\": [\n", report->seconds,
            report->stolen);
    for (uint32_t i = 0; i < report->count; i++) {
        put_result(to, &report->results[i]);
        fputs(i + 1 < report->count ? ",\n" : "\n", to);
    }
    fputs("  ]\n}\n", to);
    return close_written(to, path);
}

static struct bench_spread read_spread(struct json value)
{
    return (struct bench_spread){json_number(json_field(value, "median")),
                                 json_number(json_field(value, "min")),
                                 json_number(json_field(value, "max"))};
}

/* Numbers first: json_string() changes the text, so strings go from the last to the first. */
static void read_result(struct json from, struct bench_result *r)
{
    const struct json stages = json_field(from, "stage_ns_per_row");
    const struct json samples = json_field(from, "samples"), peer = json_field(from, "peer"),
                      peer_samples = json_field(peer, "samples"), name = json_field(from, "name"),
                      group = json_field(from, "group"), unit = json_field(from, "unit"),
                      checked = json_field(from, "checked"), what = json_field(from, "what"),
                      peer_name = json_field(peer, "name"), version = json_field(peer, "version");

    r->shards = (uint32_t)json_number(json_field(from, "shards"));
    r->rows = (uint64_t)json_number(json_field(from, "rows"));
    r->bytes = (uint64_t)json_number(json_field(from, "bytes"));
    r->result_rows = (uint64_t)json_number(json_field(from, "result_rows"));
    r->peak_bytes = (uint64_t)json_number(json_field(from, "peak_state_bytes"));
    r->peak_rss_bytes = (uint64_t)json_number(json_field(from, "peak_rss_bytes"));
    r->stolen = json_number(json_field(from, "stolen"));
    r->elsewhere = json_number(json_field(from, "elsewhere"));
    r->rate = read_spread(json_field(from, "rate"));
    r->cpu = read_spread(json_field(from, "cpu_ns_per_row"));
    r->peer_rate = read_spread(json_field(peer, "rate"));
    r->peer_ratio = read_spread(json_field(peer, "ratio"));
    for (uint32_t i = 0; i < BENCH_STAGES && json_element(stages, i).at != NULL; i++)
        r->stages[i] = json_number(json_element(stages, i));
    for (; r->runs < BENCH_RUNS_MAX && json_element(samples, r->runs).at != NULL; r->runs++) {
        r->samples[r->runs] = json_number(json_element(samples, r->runs));
        r->peer_samples[r->runs] = json_number(json_element(peer_samples, r->runs));
    }
    if (peer.at != NULL) {
        r->peer_name = json_string(peer_name);
        snprintf(r->peer_version, sizeof r->peer_version, "%s", json_string(version));
    }
    r->name = json_string(name);
    r->group = json_string(group);
    r->unit = json_string(unit);
    r->checked = json_string(checked);
    r->what = json_string(what);
}

static void read_machine(struct json from, struct bench_machine *m)
{
    const struct json machine = json_field(from, "machine");
    const struct {
        struct json from;
        char *to;
        size_t bytes;
    } texts[] = {{json_field(from, "date"), m->date, sizeof m->date},
                 {json_field(from, "commit"), m->commit, sizeof m->commit},
                 {json_field(machine, "cpu"), m->cpu, sizeof m->cpu},
                 {json_field(machine, "caches"), m->caches, sizeof m->caches},
                 {json_field(machine, "kernel"), m->kernel, sizeof m->kernel},
                 {json_field(from, "build"), m->build, sizeof m->build},
                 {json_field(from, "flags"), m->flags, sizeof m->flags}};

    m->cpus = (uint32_t)json_number(json_field(machine, "cpus"));
    m->memory_bytes = (uint64_t)json_number(json_field(machine, "memory_bytes"));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        snprintf(texts[i].to, texts[i].bytes, "%s", json_string(texts[i].from));
}

static char *read_file(const char *path)
{
    FILE *from = fopen(path, "re");
    char *text = NULL;
    size_t room = 0;
    const ssize_t n = from != NULL ? getdelim(&text, &room, '\0', from) : -1;

    if (n < 0)
        fprintf(stderr, "millstream: bench: cannot read %s: %s\n", path,
                from == NULL || ferror(from) ? strerror(errno) : "it is empty");
    if (from != NULL)
        fclose(from);
    if (n >= 0)
        return text;
    free(text);
    return NULL;
}

int bench_read_json(const char *path, struct bench_report *report)
{
    struct json all, results, one;
    uint32_t count = 0;

    *report = (struct bench_report){.text = read_file(path)};
    if (report->text == NULL)
        return BENCH_EXIT_NO_INPUT;
    all.at = report->text;
    results = json_valid(report->text) ? json_field(all, "results") : (struct json){NULL};
    if (results.at == NULL) {
        fprintf(stderr, "millstream: bench: %s is no result of millstream bench --json\n", path);
        bench_report_close(report);
        return mill_exit_code(MILL_E_DATA);
    }
    while (json_element(results, count).at != NULL)
        count++;
    report->results = calloc(count + 1, sizeof *report->results);
    if (report->results == NULL)
        abort();
    report->stolen = json_number(json_field(all, "stolen"));
    report->seconds = json_number(json_field(all, "seconds"));
    report->count = count;
    while (count-- > 0) { /* from the last to the first: strings are ended in place */
        one = json_element(results, count);
        read_result(one, &report->results[count]);
    }
    read_machine(all, &report->machine);
    return 0;
}

void bench_report_close(struct bench_report *report)
{
    free(report->results);
    free(report->text);
    *report = (struct bench_report){0};
}

/* ---- Markdown ---- */

static void put_row(FILE *to, const struct bench_result *r)
{
    char median[48], min[48], max[48];

    fprintf(to, "| %s | %s | %u | %s | %s to %s | ", r->name, r->what, r->shards,
            bench_rate_text(r, r->rate.median, median), bench_rate_text(r, r->rate.min, min),
            bench_rate_text(r, r->rate.max, max));
    if (r->cpu.median > 0)
        fprintf(to, "%.1f", r->cpu.median);
    fputs(" | ", to);
    if (bytes_per_second(r) > 0)
        fprintf(to, "%.2f", bytes_per_second(r) / 1e9);
    fputs(" | ", to);
    if (r->peer_name != NULL)
        fprintf(to, "%s | %.2f (%.2f to %.2f)", bench_rate_text(r, r->peer_rate.median, median),
                r->peer_ratio.median, r->peer_ratio.min, r->peer_ratio.max);
    else
        fputs(" | ", to);
    fputs(" |\n", to);
}

int bench_write_markdown(const struct bench_report *report, const char *path)
{
    const struct bench_machine *m = &report->machine;
    FILE *to = fopen(path, "we");
    const char *group = "";

    if (to == NULL)
        return cannot_write(path);
    fprintf(to,
            "%s, %u cpus (%s), %.0f GiB of memory, %s. %s; %s. Commit %s, %s. The host took %.1f "
            "%% "
            "of the machine's time during the run.\n",
            m->cpu, m->cpus, m->caches, (double)m->memory_bytes / (1 << 30), m->kernel, m->build,
            m->flags, m->commit, m->date, report->stolen * 100);
    for (uint32_t i = 0; i < report->count; i++) {
        if (strcmp(report->results[i].group, group) != 0) {
            group = report->results[i].group;
            fprintf(to,
                    "\n### %s\n\n"
                    "| workload | what | shards | median | least to greatest | CPU ns/row | "
                    "GB/s | DuckDB | times DuckDB |\n"
                    "|---|---|---|---|---|---|---|---|---|\n",
                    group);
        }
        put_row(to, &report->results[i]);
    }
    return close_written(to, path);
}
