/* bench/bench_ring.c - the ring between two threads: messages of 8 bytes a second, published one by one and in bursts.
 *
 * Beside it what the two cpus allow: the round trip of one word, and a bare array of 16384 words handed over in bursts of 512.
 * usage: bench_ring [MILLION_MESSAGES]. Each runs five times; every message is added up and compared with the sum that was sent. */
#include "core/ring.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RUNS 5
#define BURST_MAX 512u

static struct ring ring;
static uint64_t messages;
static uint32_t burst;
static cpu_set_t allowed;

/* To the cpu number @place of the allowed ones: two spinning threads on one cpu measure the scheduler. */
static void pin(int place)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &allowed) && place-- == 0)
            CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
}

/* Spins; on a busy machine the other side may have no cpu: then gives this one away. */
static void wait_for_other(uint32_t *turns)
{
    if (++*turns % 4096 != 0)
        cpu_relax();
    else
        sched_yield();
}

static void *produce(void *unused)
{
    uint32_t turns = 0;

    pin(1);
    for (uint64_t i = 1; i <= messages;) {
        uint32_t n = 0;

        while (n < burst && i <= messages && ring_stage(&ring, (void *)(uintptr_t)i)) {
            i++;
            n++;
        }
        if (n > 0)
            ring_publish(&ring);
        else
            wait_for_other(&turns);
    }
    return unused;
}

/* The sum of all messages. */
static uint64_t consume(void)
{
    void *items[BURST_MAX];
    uint64_t sum = 0;
    uint32_t turns = 0;

    for (uint64_t got = 0; got < messages;) {
        const uint32_t n =
            burst == 1 ? (items[0] = ring_pop(&ring)) != NULL : ring_pop_burst(&ring, items, burst);

        for (uint32_t i = 0; i < n; i++)
            sum += (uintptr_t)items[i];
        got += n;
        if (n == 0)
            wait_for_other(&turns);
    }
    return sum;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int ascending(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static int measure(struct heap *heap, uint32_t slots)
{
    double seconds[RUNS];

    for (int i = 0; i < RUNS; i++) {
        pthread_t producer;
        double begin;

        if (!ring_open(&ring, heap, slots, 0))
            return 1;
        begin = now();
        if (pthread_create(&producer, NULL, produce, NULL) != 0)
            return 1;
        if (consume() != messages * (messages + 1) / 2) {
            fprintf(stderr, "bench_ring: messages were lost or doubled\n");
            return 1;
        }
        pthread_join(producer, NULL);
        seconds[i] = now() - begin;
        ring_close(&ring, heap);
    }
    qsort(seconds, RUNS, sizeof *seconds, ascending);
    printf("ring, %u slots, bursts of %u: median %.0f M messages/s (best %.0f, worst %.0f)\n",
           slots, burst, (double)messages / seconds[RUNS / 2] / 1e6,
           (double)messages / seconds[0] / 1e6, (double)messages / seconds[RUNS - 1] / 1e6);
    return 0;
}

/* ---- the machine's own limits ---- */

#define BARE_SLOTS 16384u
#define BARE_BURST 512u
#define TRIPS 200000u

static struct {
    _Alignas(64) at_u64 tail;
    _Alignas(64) at_u64 head;
    _Alignas(64) uint64_t words[BARE_SLOTS];
} bare;

static void *produce_bare(void *unused)
{
    uint32_t turns = 0;

    pin(1);
    for (uint64_t t = 0; t < messages;) {
        if (t + BARE_BURST - at_load_acquire(&bare.head) > BARE_SLOTS) {
            wait_for_other(&turns);
            continue;
        }
        for (uint32_t i = 0; i < BARE_BURST; i++, t++)
            bare.words[t % BARE_SLOTS] = t;
        at_store_release(&bare.tail, t);
    }
    return unused;
}

static void *echo(void *unused)
{
    uint32_t turns = 0;

    pin(1);
    for (uint64_t i = 1; i <= TRIPS; i++) {
        while (at_load_acquire(&bare.tail) < i)
            wait_for_other(&turns);
        at_store_release(&bare.head, i);
    }
    return unused;
}

static bool begin_bare(pthread_t *other, void *(*main_)(void *))
{
    at_store_relaxed(&bare.tail, 0);
    at_store_relaxed(&bare.head, 0);
    return pthread_create(other, NULL, main_, NULL) == 0;
}

static int measure_bare(void)
{
    pthread_t other;
    uint32_t turns = 0;
    uint64_t sum = 0;
    double begin = now(), seconds;

    messages = messages / BARE_BURST * BARE_BURST;
    if (!begin_bare(&other, produce_bare))
        return 1;
    for (uint64_t h = 0; h < messages;) {
        const uint64_t t = at_load_acquire(&bare.tail);

        if (t == h)
            wait_for_other(&turns);
        for (; h < t; h++)
            sum += bare.words[h % BARE_SLOTS];
        at_store_release(&bare.head, h);
    }
    pthread_join(other, NULL);
    seconds = now() - begin;
    if (sum != messages * (messages - 1) / 2)
        return 1;
    printf("bare array, bursts of %u: %.0f M words/s\n", BARE_BURST,
           (double)messages / seconds / 1e6);
    begin = now();
    if (!begin_bare(&other, echo))
        return 1;
    for (uint64_t i = 1; i <= TRIPS; i++) {
        at_store_release(&bare.tail, i);
        while (at_load_acquire(&bare.head) < i)
            wait_for_other(&turns);
    }
    pthread_join(other, NULL);
    printf("round trip of one word: %.0f ns\n", (now() - begin) / TRIPS * 1e9);
    return 0;
}

int main(int count, char **args)
{
    static const uint32_t bursts[] = {1, 8, 64, 512}, slots[] = {64, 1024, 16384};
    struct budget budget = {.limit = 1u << 30};
    struct heap heap;

    messages = (count > 1 ? strtoull(args[1], NULL, 10) : 100) * 1000000;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < 2) {
        fprintf(stderr, "bench_ring: needs two cpus\n");
        return 77;
    }
    pin(0);
    heap_open(&heap, env_real(), &budget);
    for (uint32_t b = 0; b < COUNT_OF(bursts); b++)
        for (uint32_t s = 0; s < COUNT_OF(slots); s++) {
            burst = bursts[b];
            if (measure(&heap, slots[s]) != 0)
                return 1;
        }
    heap_close(&heap);
    return measure_bare();
}
