/* tools/bench_peer.c - DuckDB as a process beside the command: bench/peers/duckdb.py, a JSON line to it, a line back.
 *
 * The interpreter is MILL_BENCH_PYTHON, or that of the virtual environment which bench/peers/setup.sh makes, or python3. Tables in
 * memory are handed over as files of raw columns, which numpy maps.
 */
#include "tools/bench.h"
#include "tools/bench_json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct bench_peer {
    pid_t process;
    FILE *to, *from;
    char *line;
    size_t room;
    char version[32];
};

/* The interpreter that has the peer; free(). */
static char *python(void)
{
    const char *given = getenv("MILL_BENCH_PYTHON"), *home = getenv("HOME"),
               *cache = getenv("XDG_CACHE_HOME");
    char *path = NULL;

    if (given != NULL && given[0] != '\0')
        return strdup(given);
    if (asprintf(&path, "%s%s/millstream-bench/bin/python3",
                 cache != NULL && cache[0] != '\0' ? cache
                 : home != NULL                    ? home
                                                   : "",
                 cache != NULL && cache[0] != '\0' ? "" : "/.cache") < 0)
        abort();
    if (access(path, X_OK) == 0)
        return path;
    free(path);
    return strdup("python3");
}

/* The peer's line, behind "ok "; NULL: it failed, which has been said. */
static const char *answer(struct bench_peer *p)
{
    ssize_t n;

    fflush(p->to);
    n = getline(&p->line, &p->room, p->from);
    if (n <= 0) {
        if (bench_stopped == 0)
            fprintf(stderr, "millstream: bench: the peer has ended without an answer\n");
        return NULL;
    }
    p->line[n - 1] = '\0';
    if (strncmp(p->line, "ok", 2) == 0)
        return p->line + 2;
    if (bench_stopped == 0)
        fprintf(stderr, "millstream: bench: the peer says: %s\n", p->line);
    return NULL;
}

/* @words: what is called, then the arguments, NULL at the end. */
static const char *call(struct bench_peer *p, const char *const *words)
{
    const char *lead = "[";

    for (; *words != NULL; words++) {
        fputs(lead, p->to);
        json_put(p->to, *words);
        lead = ", ";
    }
    fputs("]\n", p->to);
    return answer(p);
}

static void child(const char *interpreter, const char *script, const int in[2], const int out[2])
{
    dup2(in[0], 0);
    dup2(out[1], 1);
    execlp(interpreter, interpreter, "-c", script, (char *)NULL);
    printf("cannot run %s: %s\n", interpreter, strerror(errno));
    fflush(stdout);
    _exit(127);
}

static int start(struct bench_peer *p, const char *interpreter, const char *script)
{
    int in[2], out[2];

    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
        return BENCH_EXIT_OUTPUT;
    fflush(stdout);
    p->process = fork();
    if (p->process == 0)
        child(interpreter, script, in, out);
    close(in[0]);
    close(out[1]);
    p->to = fdopen(in[1], "w");
    p->from = fdopen(out[0], "r");
    return p->process > 0 && p->to != NULL && p->from != NULL ? 0 : BENCH_EXIT_OUTPUT;
}

int bench_peer_open(const char *name, struct bench_peer **peer)
{
    const char *script = bench_embedded(name);
    struct bench_peer *p = calloc(1, sizeof *p);
    char *interpreter = python();
    ssize_t n;

    *peer = NULL;
    if (p == NULL || interpreter == NULL || script == NULL)
        abort();
    if (start(p, interpreter, script) != 0) {
        fprintf(stderr, "millstream: bench: cannot start %s: %s\n", interpreter, strerror(errno));
        exit(BENCH_EXIT_OUTPUT);
    }
    n = getline(&p->line, &p->room, p->from); /* "ok VERSION", or why not */
    if (n > 0)
        p->line[n - 1] = '\0';
    if (n > 3 && strncmp(p->line, "ok ", 3) == 0) {
        snprintf(p->version, sizeof p->version, "%s", p->line + 3);
        *peer = p;
    } else {
        fprintf(stderr,
                "millstream: bench: no peer %s, its runs are skipped: %s (%s); "
                "bench/peers/setup.sh installs it, MILL_BENCH_PYTHON names a Python that has it\n",
                name, n > 0 ? p->line : "it has ended", interpreter);
        bench_peer_close(p);
    }
    free(interpreter);
    return 0;
}

void bench_peer_close(struct bench_peer *peer)
{
    if (peer == NULL)
        return;
    if (peer->to != NULL)
        fclose(peer->to); /* it ends with its input */
    if (peer->from != NULL)
        fclose(peer->from);
    if (peer->process > 0)
        waitpid(peer->process, NULL, 0);
    free(peer->line);
    free(peer);
}

const char *bench_peer_version(const struct bench_peer *peer)
{
    return peer->version;
}

static int write_column(const char *path, const void *values, size_t bytes)
{
    FILE *to = fopen(path, "we");
    const bool written = to != NULL && fwrite(values, 1, bytes, to) == bytes;

    if (to != NULL && fclose(to) == 0 && written)
        return 0;
    fprintf(stderr, "millstream: bench: cannot write %s: %s\n", path, strerror(errno));
    return BENCH_EXIT_OUTPUT;
}

/* ["table", name, kind, path, kind, path ...]; texts as their numbers. */
static int hand_over(struct bench_peer *p, const struct bench_data *data,
                     const struct bench_table *t)
{
    const char *words[3 + 2 * BENCH_COLUMNS_MAX] = {"table", t->name};
    char paths[BENCH_COLUMNS_MAX][256], kinds[BENCH_COLUMNS_MAX][2];
    uint32_t n = 2;
    int code = 0;

    for (uint32_t c = 0; code == 0 && c < t->column_count; c++) {
        const bool text = t->kinds[c] == 's';

        snprintf(paths[c], sizeof paths[c], "%s/%s.%u.column", data->folder, t->name, c);
        kinds[c][0] = t->kinds[c];
        kinds[c][1] = '\0';
        code = write_column(paths[c], text ? (const void *)t->codes[c] : t->memory[c],
                            text ? sizeof(uint32_t) * (size_t)t->rows : t->bytes[c]);
        words[n++] = kinds[c];
        words[n++] = paths[c];
    }
    words[n] = NULL;
    if (code == 0 && call(p, words) == NULL)
        code = BENCH_EXIT_WRONG;
    for (uint32_t c = 0; c < t->column_count; c++)
        unlink(paths[c]);
    return code;
}

int bench_peer_load(struct bench_peer *peer, const struct bench_data *data)
{
    int code = call(peer, (const char *const[]){"clear", NULL}) != NULL ? 0 : BENCH_EXIT_WRONG;

    for (uint32_t i = 0; code == 0 && i < data->table_count; i++)
        code = hand_over(peer, data, &data->tables[i]);
    return code;
}

int bench_peer_threads(struct bench_peer *peer, uint32_t threads)
{
    char number[16];

    snprintf(number, sizeof number, "%u", threads);
    return call(peer, (const char *const[]){"threads", number, NULL}) != NULL ? 0
                                                                              : BENCH_EXIT_WRONG;
}

/* " ROWS i:WHOLE r:REAL ..." */
static void read_answer(const char *text, struct bench_answer *answer)
{
    char *end;

    answer->rows = strtoull(text, &end, 10);
    for (text = end; answer->column_count < BENCH_COLUMNS_MAX && *text == ' '; text = end) {
        const uint32_t c = answer->column_count++;

        if (text[1] == 'i')
            answer->sums[c].whole = strtoull(text + 3, &end, 10);
        else
            answer->sums[c].real = strtod(text + 3, &end);
    }
}

int bench_peer_run(struct bench_peer *peer, const char *sql, double *seconds,
                   struct bench_answer *answer)
{
    const char *reply =
        call(peer, (const char *const[]){seconds != NULL ? "run" : "execute", sql, NULL});

    if (reply == NULL)
        return BENCH_EXIT_WRONG;
    if (seconds != NULL)
        *seconds = strtod(reply, NULL);
    if (answer != NULL) {
        reply = call(peer, (const char *const[]){"answer", NULL});
        if (reply == NULL)
            return BENCH_EXIT_WRONG;
        read_answer(reply, answer);
    }
    return 0;
}
