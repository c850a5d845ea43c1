/* tools/bench_start.c - what starting costs: from exec() of the command to its first result, and its memory while it waits. */
#include "tools/bench.h"

#include <errno.h>
#include <spawn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define QUERY "SELECT k, SUM(v) FROM t GROUP BY k;"

static bool cannot_start(void)
{
    fprintf(stderr, "millstream: bench: cannot start the command: %s\n", strerror(errno));
    return false;
}

/* Starts the command with @sql; its standard input and output at @to and @from. False: not, which has been said. */
static bool start(const char *sql, uint32_t shards, pid_t *started, int *to, FILE **from)
{
    char number[16];
    char *const words[] = {"millstream", "run", "-c",       (char *)sql, "--quiet",
                           "--format",   "csv", "--shards", number,      NULL};
    posix_spawn_file_actions_t actions;
    int in[2], out[2], code;

    snprintf(number, sizeof number, "%u", shards);
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
        return cannot_start();
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    /* not fork(): copying the page tables of a harness that holds gigabytes takes longer than what is measured */
    code = posix_spawn(started, "/proc/self/exe", &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    *to = in[1];
    *from = code == 0 ? fdopen(out[0], "r") : NULL;
    errno = code != 0 ? code : errno;
    return *from != NULL || cannot_start();
}

static int failed(const char *what)
{
    fprintf(stderr, "millstream: bench: %s: WRONG ANSWER from the started command\n", what);
    return BENCH_EXIT_WRONG;
}

/* 1,000 rows of ten keys, row i: i % 10, i */
static int fill(struct bench_data *data)
{
    char path[4200];
    FILE *to;

    snprintf(path, sizeof path, "%s/small.csv", data->folder);
    to = fopen(path, "we");
    for (uint64_t i = 0; to != NULL && i < data->rows; i++)
        fprintf(to, "%u,%u\n", (unsigned)(i % 10), (unsigned)i);
    return to != NULL && fclose(to) == 0 ? 0 : BENCH_EXIT_OUTPUT;
}

static int64_t expected_sum(uint64_t rows, unsigned key)
{
    int64_t sum = 0;

    for (uint64_t i = key; i < rows; i += 10)
        sum += (int64_t)i;
    return sum;
}

static int first_result(const struct bench *bench, const struct bench_data *data, uint32_t shards,
                        double *value)
{
    char sql[4600], line[200];
    const double begin = bench_now();
    int to, status, rows = 0;
    bool right = true;
    FILE *from;
    pid_t process;

    (void)bench;
    snprintf(sql, sizeof sql,
             "CREATE TABLE t (k INT, v BIGINT) WITH ('connector' = 'filesystem', 'format' = 'csv', "
             "'path' = '%s/small.csv');" QUERY,
             data->folder);
    if (!start(sql, shards, &process, &to, &from))
        return BENCH_EXIT_OUTPUT;
    for (int n = 0; fgets(line, sizeof line, from) != NULL; n++) {
        unsigned key;
        long long sum;

        if (n == 1)
            *value = (bench_now() - begin) * 1e3;
        if (n == 0) /* the columns' names */
            continue;
        right = sscanf(line, "%u,%lld", &key, &sum) == 2 && sum == expected_sum(data->rows, key) &&
                right;
        rows++;
    }
    fclose(from);
    close(to);
    waitpid(process, &status, 0);
    return status == 0 && right && rows == (data->rows < 10 ? (int)data->rows : 10)
               ? 0
               : failed("start to the first result");
}

static long resident_kb(pid_t process)
{
    char path[64], line[200];
    long kb = -1;
    FILE *from;

    snprintf(path, sizeof path, "/proc/%d/status", (int)process);
    from = fopen(path, "re");
    while (from != NULL && fgets(line, sizeof line, from) != NULL)
        if (sscanf(line, "VmRSS: %ld kB", &kb) == 1)
            break;
    if (from != NULL)
        fclose(from);
    return kb;
}

/* A window query over standard input, of which three rows have come and one result has gone out. */
static int idle_memory(const struct bench *bench, const struct bench_data *data, uint32_t shards,
                       double *value)
{
    static const char sql[] =
        "CREATE TABLE t (k INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = "
        "'stdin', 'format' = 'csv');"
        "SELECT window_start, k, COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' "
        "SECOND)) GROUP BY window_start, window_end, k;";
    static const char rows[] = "7,2020-01-01 00:00:00.100\n7,2020-01-01 00:00:00.200\n"
                               "7,2020-01-01 00:00:05.000\n";
    char line[200] = "";
    int to, status;
    bool right;
    FILE *from;
    pid_t process;

    (void)bench;
    (void)data;
    if (!start(sql, shards, &process, &to, &from))
        return BENCH_EXIT_OUTPUT;
    right = write(to, rows, sizeof rows - 1) == (ssize_t)sizeof rows - 1 &&
            fgets(line, sizeof line, from) != NULL && fgets(line, sizeof line, from) != NULL &&
            strcmp(line, "2020-01-01 00:00:00.000,7,2\n") == 0;
    *value = (double)resident_kb(process) / 1e3 * 1.024;
    close(to);
    while (fgets(line, sizeof line, from) != NULL)
        continue;
    fclose(from);
    waitpid(process, &status, 0);
    return right && status == 0 ? 0 : failed("idle memory");
}

const struct bench_workload bench_start_workloads[] =
    {{.name = "start",
      .group = "start",
      .rows = 1000,
      .fill = fill,
      .measure = first_result,
      .what = "from the start of the command to its first result, 1,000 rows of CSV",
      .unit = "ms"},
     {.name = "idle-memory",
      .group = "start",
      .rows = 3,
      .measure = idle_memory,
      .what = "memory of the command that waits for rows, behind its first result",
      .unit = "MB"},
     {.name = NULL}};
