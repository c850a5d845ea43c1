/* bench/bench_bare.c - what this machine allows: the windows of bench_memory as bare loops, without an engine.
 *
 * usage: bench_bare [MILLION_ROWS]. The same columns (key, double, time), 10 s tumbling windows, COUNT, SUM, MIN and MAX by key in
 * micro-batches of 4,096 rows, windows checked and written out when a row a second behind the newest leaves them. No NULLs, no
 * lateness, no plan. Each loop runs five times; before its median is printed its sums are compared with a plain recomputation.
 *   read        the columns are only summed: the memory's own limit (two columns, and three)
 *   unkeyed     whole columns, eight lanes
 *   dense       an array by key
 *   buckets     eight keys to a bucket, compared at once
 * Needs AVX-512; says so and ends where there is none. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2")))
#define RUNS 5
#define BATCH 4096u
#define BLOCK 256u /* keys looked up, then folded */
#define AHEAD 256u /* values: half a page */
#define WINDOW 10000000ll
#define DELAY 1000000ll
#define TIME_US 100000000ull

struct table {
    uint32_t rows, key_count;
    uint32_t *rank;
    int64_t *keys, *times;
    double *values;
};

struct answer {
    uint64_t groups, counts;
    double sums, least, most; /* whole numbers: exact */
};

/* One group; its four words are folded as one register. The count is a double: whole numbers up to 2^53. */
struct group {
    double count, sum, least, most;
} __attribute__((aligned(32)));

/* Two windows at most are open: one, and the next for a second. */
struct state {
    int64_t start; /* of the older */
    struct group *groups[2];
    int64_t *words; /* buckets x 8; ids stand beside */
    uint32_t *ids;
    uint32_t shift, buckets, group_count, room;
    struct answer answer;
};

static const struct group blank = {0, 0, INFINITY, -INFINITY};

static void emit(struct state *s)
{
    struct group *g = s->groups[0];
    struct answer *a = &s->answer;

    for (uint32_t i = 0; i < s->room; i++) {
        if (g[i].count == 0)
            continue;
        a->groups++;
        a->counts += (uint64_t)g[i].count;
        a->sums += g[i].sum;
        a->least += g[i].least;
        a->most += g[i].most;
        g[i] = blank;
    }
    s->groups[0] = s->groups[1];
    s->groups[1] = g;
    s->start += WINDOW;
}

AVX512 static void bounds(const int64_t *v, uint32_t count, int64_t *least, int64_t *most)
{
    __m512i low = _mm512_set1_epi64(v[0]), high = low;

    for (uint32_t i = 0; i < count; i += 8) {
        const __m512i x = _mm512_loadu_si512(v + i);

        _mm_prefetch((const char *)(v + i + AHEAD), _MM_HINT_T0);
        low = _mm512_min_epi64(low, x);
        high = _mm512_max_epi64(high, x);
    }
    *least = _mm512_reduce_min_epi64(low);
    *most = _mm512_reduce_max_epi64(high);
}

AVX512 static inline __attribute__((always_inline)) void add(struct group *g, double value)
{
    const __m256d v = _mm256_set1_pd(value), old = _mm256_load_pd(&g->count);
    __m256d r = _mm256_add_pd(old, _mm256_blend_pd(_mm256_set1_pd(1.0), v, 2));

    r = _mm256_mask_min_pd(r, 4, old, v);
    r = _mm256_mask_max_pd(r, 8, old, v);
    _mm256_store_pd(&g->count, r);
}

AVX512 static void add_unkeyed(struct state *s, struct group *g, const struct table *t,
                               uint32_t from, uint32_t count)
{
    const double *v = t->values + from;
    __m512d sum = _mm512_setzero_pd(), low = _mm512_set1_pd(INFINITY),
            high = _mm512_set1_pd(-INFINITY);
    uint32_t i = 0;

    (void)s;
    for (; i + 8 <= count; i += 8) {
        const __m512d x = _mm512_loadu_pd(v + i);

        _mm_prefetch((const char *)(v + i + AHEAD), _MM_HINT_T0);
        sum = _mm512_add_pd(sum, x);
        low = _mm512_min_pd(low, x);
        high = _mm512_max_pd(high, x);
    }
    g->count += i;
    g->sum += _mm512_reduce_add_pd(sum);
    g->least = fmin(g->least, _mm512_reduce_min_pd(low));
    g->most = fmax(g->most, _mm512_reduce_max_pd(high));
    for (; i < count; i++)
        add(g, v[i]);
}

AVX512 static void add_dense(struct state *s, struct group *g, const struct table *t, uint32_t from,
                             uint32_t count)
{
    const int64_t *k = t->keys + from;
    const double *v = t->values + from;

    (void)s;
    for (uint32_t i = 0; i < count; i++) {
        if (i % 8 == 0) {
            _mm_prefetch((const char *)(k + i + AHEAD), _MM_HINT_T0);
            _mm_prefetch((const char *)(v + i + AHEAD), _MM_HINT_T0);
        }
        add(&g[k[i]], v[i]);
    }
}

static uint32_t new_group(struct state *s, int64_t key, uint32_t bucket)
{
    for (;; bucket = (bucket + 1) & (s->buckets - 1))
        for (uint32_t k = bucket * 8; k < bucket * 8 + 8; k++) {
            if (s->ids[k] != 0 && s->words[k] == key)
                return s->ids[k];
            if (s->ids[k] == 0) {
                s->words[k] = key;
                return s->ids[k] = ++s->group_count;
            }
        }
}

/* Up to BLOCK rows. */
AVX512 static void add_block(struct state *s, struct group *g, const int64_t *keys, const double *v,
                             uint32_t count)
{
    const int64_t *words = s->words;
    uint32_t bucket[BLOCK + 8], id[BLOCK], missing = 0;

    for (uint32_t i = 0; i < count; i += 8) {
        __m512i h = _mm512_mullo_epi64(_mm512_loadu_si512(keys + i),
                                       _mm512_set1_epi64((int64_t)0xd6e8feb86659fd93u));

        _mm_prefetch((const char *)(keys + i + AHEAD), _MM_HINT_T0);
        _mm_prefetch((const char *)(v + i + AHEAD), _MM_HINT_T0);
        h = _mm512_mullo_epi64(_mm512_xor_si512(h, _mm512_srli_epi64(h, 32)),
                               _mm512_set1_epi64((int64_t)0x9e3779b97f4a7c15u));
        _mm256_storeu_si256((__m256i *)(bucket + i),
                            _mm512_cvtepi64_epi32(_mm512_srli_epi64(h, s->shift)));
    }
    for (uint32_t i = 0; i < count; i++) {
        const size_t at = (size_t)bucket[i] * 8;
        const uint32_t match =
            _mm512_cmpeq_epi64_mask(_mm512_load_si512(words + at), _mm512_set1_epi64(keys[i]));

        id[i] = match != 0 ? s->ids[at + (uint32_t)__builtin_ctz(match)] : 0;
        missing += id[i] == 0;
    }
    for (uint32_t i = 0; missing > 0 && i < count; i++)
        if (id[i] == 0)
            id[i] = new_group(s, keys[i], bucket[i]);
    for (uint32_t i = 0; i < count; i++)
        add(&g[id[i]], v[i]);
}

AVX512 static void add_buckets(struct state *s, struct group *g, const struct table *t,
                               uint32_t from, uint32_t count)
{
    for (uint32_t i = 0; i < count; i += BLOCK)
        add_block(s, g, t->keys + from + i, t->values + from + i,
                  count - i < BLOCK ? count - i : BLOCK);
}

typedef void add_rows(struct state *s, struct group *g, const struct table *t, uint32_t from,
                      uint32_t count);

/* The windows of one batch: mostly one. */
static void take_batch(struct state *s, const struct table *t, uint32_t from, uint32_t count,
                       add_rows *add_rows)
{
    int64_t least, most;
    uint32_t first = 0;

    bounds(t->times + from, count, &least, &most);
    if (most < s->start + WINDOW || least >= s->start + WINDOW) {
        add_rows(s, s->groups[least >= s->start + WINDOW], t, from, count);
    } else { /* in order: one boundary */
        while (t->times[from + first] < s->start + WINDOW)
            first++;
        add_rows(s, s->groups[0], t, from, first);
        add_rows(s, s->groups[1], t, from + first, count - first);
    }
    if (most - DELAY >= s->start + WINDOW)
        emit(s);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *room(size_t bytes)
{
    const size_t whole = (bytes + (1 << 21) - 1) >> 21 << 21;
    void *memory = aligned_alloc(1 << 21, whole);

    if (memory == NULL) {
        fprintf(stderr, "bench_bare: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    madvise(memory, whole, MADV_HUGEPAGE);
    memset(memory, 0, whole);
    return memory;
}

static double run(const struct table *t, add_rows *add_rows, struct answer *answer)
{
    struct state s = {.room = t->key_count + 1, .buckets = 2};
    double begun;

    while (s.buckets * 8 < t->key_count * 3)
        s.buckets *= 2;
    s.shift = 64 - (uint32_t)__builtin_ctz(s.buckets);
    s.words = room(s.buckets * 64ull);
    s.ids = room(s.buckets * 32ull);
    for (int w = 0; w < 2; w++) {
        s.groups[w] = room(s.room * sizeof(struct group));
        for (uint32_t i = 0; i < s.room; i++)
            s.groups[w][i] = blank;
    }
    begun = now();
    for (uint32_t i = 0; i < t->rows; i += BATCH)
        take_batch(&s, t, i, t->rows - i < BATCH ? t->rows - i : BATCH, add_rows);
    emit(&s);
    emit(&s);
    begun = now() - begun;
    free(s.words);
    free(s.ids);
    free(s.groups[0]);
    free(s.groups[1]);
    *answer = s.answer;
    return begun;
}

/* ---- data and the recomputation ---- */

static uint64_t random_word(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 33;
}

/* Ranks by inversion of the cumulated harmonic sums. */
static void zipf_ranks(struct table *t, double exponent, uint64_t *state)
{
    double *upto = room(t->key_count * sizeof *upto), total = 0;

    for (uint32_t k = 0; k < t->key_count; k++)
        upto[k] = total += pow(k + 1, -exponent);
    for (uint32_t i = 0; i < t->rows; i++) {
        const double u = (double)random_word(state) / 2147483648.0 * total;
        uint32_t low = 0, high = t->key_count - 1;

        while (low < high) {
            const uint32_t middle = (low + high) / 2;

            if (upto[middle] < u)
                low = middle + 1;
            else
                high = middle;
        }
        t->rank[i] = low;
    }
    free(upto);
}

static void fill(struct table *t, uint32_t key_count, double zipf, bool dense)
{
    uint64_t state = 42;

    t->key_count = key_count;
    if (zipf > 0)
        zipf_ranks(t, zipf, &state);
    for (uint32_t i = 0; i < t->rows; i++) {
        if (zipf == 0)
            t->rank[i] = (uint32_t)(random_word(&state) % key_count);
        t->keys[i] = dense ? t->rank[i] : (int64_t)(t->rank[i] * 0x9e3779b97f4a7c15ull);
        t->values[i] = (double)(random_word(&state) >> 7);
        t->times[i] = (int64_t)(i * TIME_US / t->rows);
    }
}

static struct answer recompute(const struct table *t)
{
    struct group *g = room((t->key_count + 1) * sizeof *g);
    struct answer a = {0};
    uint32_t row = 0;

    for (int64_t end = WINDOW; row < t->rows; end += WINDOW) {
        for (uint32_t k = 0; k < t->key_count; k++)
            g[k] = blank;
        for (; row < t->rows && t->times[row] < end; row++) {
            struct group *to = &g[t->rank[row]];

            to->count++;
            to->sum += t->values[row];
            to->least = fmin(to->least, t->values[row]);
            to->most = fmax(to->most, t->values[row]);
        }
        for (uint32_t k = 0; k < t->key_count; k++) {
            if (g[k].count == 0)
                continue;
            a.groups++;
            a.counts += (uint64_t)g[k].count;
            a.sums += g[k].sum;
            a.least += g[k].least;
            a.most += g[k].most;
        }
    }
    free(g);
    return a;
}

static int ascending(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static void report(const char *name, const struct table *t, double *seconds)
{
    qsort(seconds, RUNS, sizeof *seconds, ascending);
    printf("bare, %s: median %.1f M rows/s (best %.1f, worst %.1f)\n", name,
           t->rows / seconds[RUNS / 2] / 1e6, t->rows / seconds[0] / 1e6,
           t->rows / seconds[RUNS - 1] / 1e6);
    fflush(stdout);
}

static bool measure(const char *name, const struct table *t, add_rows *add_rows)
{
    struct answer expected = recompute(t), got;
    double seconds[RUNS];

    if (t->key_count == 1)
        expected.groups = TIME_US / WINDOW;
    for (int i = 0; i < RUNS; i++) {
        seconds[i] = run(t, add_rows, &got);
        if (memcmp(&got, &expected, sizeof got) != 0) {
            fprintf(stderr, "bench_bare: %s: wrong answer, %llu groups, sums %.0f; expected %.0f\n",
                    name, (unsigned long long)got.groups, got.sums, expected.sums);
            return false;
        }
    }
    report(name, t, seconds);
    return true;
}

AVX512 static void measure_read(const struct table *t, uint32_t columns)
{
    const int64_t *of[3] = {t->times, (const int64_t *)t->values, t->keys};
    double seconds[RUNS];
    char name[32];

    for (int r = 0; r < RUNS; r++) {
        __m512i sum = _mm512_setzero_si512();

        seconds[r] = now();
        for (uint32_t i = 0; i + BATCH <= t->rows; i += BATCH)
            for (uint32_t c = 0; c < columns; c++)
                for (uint32_t k = i; k < i + BATCH; k += 8) {
                    _mm_prefetch((const char *)(of[c] + k + AHEAD), _MM_HINT_T0);
                    sum = _mm512_add_epi64(sum, _mm512_loadu_si512(of[c] + k));
                }
        seconds[r] = now() - seconds[r] + (_mm512_reduce_add_epi64(sum) == 1 ? 1e-9 : 0);
    }
    snprintf(name, sizeof name, "read of %u columns", columns);
    report(name, t, seconds);
}

static bool measure_all(struct table *t)
{
    bool ok;

    fill(t, 1, 0, true);
    measure_read(t, 2);
    measure_read(t, 3);
    ok = measure("unkeyed", t, add_unkeyed);
    fill(t, 100, 0, true);
    ok = measure("dense100", t, add_dense) && ok;
    fill(t, 10000, 0, true);
    ok = measure("dense10k", t, add_dense) && ok;
    fill(t, 10000, 0, false);
    ok = measure("random10k", t, add_buckets) && ok;
    fill(t, 10000, 1.1, false);
    return measure("zipf10k", t, add_buckets) && ok;
}

int main(int count, char **args)
{
    const uint32_t rows = (uint32_t)(count > 1 ? strtoul(args[1], NULL, 10) : 20) * 1000000;
    struct table t = {.rows = rows};
    bool ok;

    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512vl")) {
        printf("bare: no AVX-512 here\n");
        return 0;
    }
    /* a batch may be read past the end */
    t.rank = room((rows + BATCH) * sizeof *t.rank);
    t.keys = room((rows + BATCH) * sizeof *t.keys);
    t.times = room((rows + BATCH) * sizeof *t.times);
    t.values = room((rows + BATCH) * sizeof *t.values);
    ok = measure_all(&t);
    free(t.rank);
    free(t.keys);
    free(t.times);
    free(t.values);
    return ok ? 0 : 1;
}
