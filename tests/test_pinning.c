/* tests/test_pinning.c - on which cpus the shards of a running query may run, as the kernel says. */
#include "core/millstream.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#define THREADS_MAX 256
#define PATIENCE 2000 /* looks, 5 ms apart */

struct looks {
    uint32_t threads, pinned; /* pinned: may run on one cpu only */
    bool twice;               /* two of them on the same */
};

static uint32_t cpus(void)
{
    cpu_set_t set;

    cr_assert_eq(sched_getaffinity(0, sizeof set, &set), 0);
    return (uint32_t)CPU_COUNT(&set);
}

static struct looks look(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct looks l = {0};
    cpu_set_t seen;

    cr_assert_not_null(tasks);
    CPU_ZERO(&seen);
    for (struct dirent *d; (d = readdir(tasks)) != NULL;) {
        const int id = atoi(d->d_name);
        cpu_set_t set, both;

        if (id == 0 || sched_getaffinity(id, sizeof set, &set) != 0)
            continue;
        l.threads++;
        if (CPU_COUNT(&set) != 1)
            continue;
        CPU_AND(&both, &set, &seen);
        l.twice |= CPU_COUNT(&both) > 0;
        CPU_OR(&seen, &seen, &set);
        l.pinned++;
    }
    closedir(tasks);
    return l;
}

static void *run_query(void *query)
{
    mill_run(query, NULL);
    return NULL;
}

static void rest(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

/* What is seen while a query of so many shards waits for rows: once @pinned are pinned, or when all its threads have turned. */
static struct looks shards_look(uint32_t shards, bool pin, uint32_t pinned)
{
    const uint32_t before = look().threads;
    struct mill_error error = {0};
    struct mill_config config;
    struct looks seen = {0};
    mill_engine *engine;
    mill_input *input;
    mill_query *query;
    pthread_t runner;

    mill_config_init(&config);
    config.shard_count = shards;
    config.pin = pin;
    engine = mill_engine_open(&config, &error);
    cr_assert_not_null(engine, "%s", error.message);
    cr_assert_eq(mill_execute(engine, "CREATE TABLE t (v BIGINT) WITH ('connector' = 'memory')",
                              NULL, &error),
                 MILL_OK, "%s", error.message);
    input = mill_input_open(engine, "t", &error);
    query = mill_prepare(engine, "SELECT v FROM t", NULL, &error);
    cr_assert_not_null(query, "%s", error.message);
    cr_assert_eq(pthread_create(&runner, NULL, run_query, query), 0);
    for (uint32_t i = 0; i < PATIENCE; i++) {
        rest();
        seen = look();
        if (seen.threads >= before + 1 + shards && seen.pinned >= pinned)
            break;
    }
    for (uint32_t i = 0; pinned == 0 && i < 10; i++) {
        rest();
        seen = look();
    }
    cr_assert_eq(seen.threads, before + 1 + shards, "%u threads, %u before", seen.threads, before);
    mill_input_end(input);
    pthread_join(runner, NULL);
    mill_query_close(query);
    mill_engine_close(engine);
    return seen;
}

Test(pinning, each_shard_has_its_own_cpu)
{
    struct looks seen;

    if (cpus() < 2)
        cr_skip_test("one cpu");
    seen = shards_look(2, true, 2);
    cr_assert_eq(seen.pinned, 2, "%u threads are pinned", seen.pinned);
    cr_assert_not(seen.twice, "both on the same cpu");
}

Test(pinning, not_when_it_is_switched_off)
{
    if (cpus() < 2)
        cr_skip_test("one cpu");
    cr_assert_eq(shards_look(2, false, 0).pinned, 0);
}

Test(pinning, not_with_more_shards_than_cpus)
{
    const uint32_t count = cpus();

    if (count < 2 || count >= 16)
        cr_skip_test("%u cpus", count);
    cr_assert_eq(shards_look(count + 1, true, 0).pinned, 0);
}

/* The cpus that the process may use count, not the machine's. */
Test(pinning, not_with_more_shards_than_allowed_cpus)
{
    cpu_set_t set;
    int first = 0;

    cr_assert_eq(sched_getaffinity(0, sizeof set, &set), 0);
    if (CPU_COUNT(&set) < 3)
        cr_skip_test("%d cpus", CPU_COUNT(&set));
    while (!CPU_ISSET(first, &set))
        first++;
    CPU_CLR(first, &set);
    cr_assert_eq(sched_setaffinity(0, sizeof set, &set), 0);
    cr_assert_eq(shards_look((uint32_t)CPU_COUNT(&set) + 1, true, 0).pinned, 0);
}
