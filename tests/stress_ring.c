/* tests/stress_ring.c - the SPSC ring between two threads, capacities 1 to 8, indices that begin near wrap. Run under
 * ThreadSanitizer. Exit 0: every item came once, in order. */
#include "core/ring.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#define ITEMS 200000u

static void *produce(void *arg)
{
    struct ring *ring = arg;

    for (uintptr_t i = 1; i <= ITEMS; i++)
        while (!ring_push(ring, (void *)i))
            sched_yield();
    return NULL;
}

static int consume(struct ring *ring)
{
    uintptr_t expected = 1;

    while (expected <= ITEMS) {
        void *items[4];
        const uint32_t n = expected % 3 == 0 ? ring_pop_burst(ring, items, 4) : 0;
        void *one = n == 0 ? ring_pop(ring) : NULL;

        if (n == 0 && one == NULL) {
            sched_yield();
            continue;
        }
        for (uint32_t i = 0; i < (n > 0 ? n : 1); i++)
            if ((uintptr_t)(n > 0 ? items[i] : one) != expected++) {
                fprintf(stderr, "stress_ring: item %zu is not in its place\n",
                        (size_t)(expected - 1));
                return 1;
            }
    }
    return ring_pop(ring) != NULL;
}

int main(void)
{
    struct budget budget = {.limit = UINT64_MAX};
    struct heap heap;
    int failed = 0;

    heap_open_shared(&heap, env_real(), &budget);
    for (uint32_t slots = 1; slots <= 8 && failed == 0; slots *= 2) {
        _Alignas(CACHE_LINE) struct ring ring;
        pthread_t producer;

        if (!ring_open(&ring, &heap, slots, UINT32_MAX - 1000))
            return 1;
        if (pthread_create(&producer, NULL, produce, &ring) != 0)
            return 1;
        failed = consume(&ring);
        pthread_join(producer, NULL);
        ring_close(&ring, &heap);
    }
    heap_close(&heap);
    printf("stress_ring: %s\n", failed ? "failed" : "ok");
    return failed;
}
