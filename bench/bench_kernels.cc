// bench/bench_kernels.cc - every aggregating and text kernel of every usable instruction set, over data in the first cache, the second cache and memory.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

extern "C" {
#include "kernels/kernels.h"
}

namespace
{

// Rows of 8 bytes: 16 KiB, 512 KiB, 64 MiB.
const size_t sizes[] = {2048, 65536, 8388608};
const size_t batch = 4096;

uint64_t next(uint64_t &state)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return state >> 20 ^ state << 30;
}

std::vector<int64_t> numbers(size_t count, uint64_t range)
{
    std::vector<int64_t> v(count);
    uint64_t state = 7;

    for (auto &x : v)
        x = (int64_t)(next(state) % range);
    return v;
}

void report(benchmark::State &s, size_t rows, size_t bytes)
{
    s.SetItemsProcessed((int64_t)(s.iterations() * rows));
    s.SetBytesProcessed((int64_t)(s.iterations() * bytes));
}

void bounds(benchmark::State &s, const mk_table *t, size_t rows)
{
    const auto v = numbers(rows, 1u << 30);
    int64_t low, high;

    for (auto _ : s) {
        t->bounds_i64(v.data(), rows, &low, &high);
        benchmark::DoNotOptimize(low + high);
    }
    report(s, rows, rows * 8);
}

// Times of @slices neighbouring slices at random.
template <uint64_t slices> void starts(benchmark::State &s, const mk_table *t, size_t rows)
{
    const auto v = numbers(rows, slices * 10000000);
    const mk_grid grid = {0, 10000000};
    std::vector<int64_t> out(batch);

    for (auto _ : s)
        for (size_t i = 0; i < rows; i += batch)
            t->slice_starts(&grid, v.data() + i, std::min(batch, rows - i), out.data());
    report(s, rows, rows * 8);
}

void sum(benchmark::State &s, const mk_table *t, size_t rows)
{
    const auto v = numbers(rows, 1u << 30);
    int64_t halves[2];

    for (auto _ : s) {
        t->agg->sum_i64(v.data(), rows, halves);
        benchmark::DoNotOptimize(halves[0]);
    }
    report(s, rows, rows * 8);
}

void sum_lanes(benchmark::State &s, const mk_table *t, size_t rows)
{
    const std::vector<double> v(rows, 1.5);
    double lanes[8] = {};

    for (auto _ : s) {
        t->agg->sum_lanes_f64(v.data(), rows, 0, lanes);
        benchmark::DoNotOptimize(lanes[0]);
    }
    report(s, rows, rows * 8);
}

void order(benchmark::State &s, const mk_table *t, size_t rows)
{
    const std::vector<double> v(rows, -1.5);
    std::vector<int64_t> out(batch);

    for (auto _ : s)
        for (size_t i = 0; i < rows; i += batch)
            t->agg->order_f64(v.data() + i, std::min(batch, rows - i), out.data());
    report(s, rows, rows * 8);
}

void hash(benchmark::State &s, const mk_table *t, size_t rows)
{
    const auto v = numbers(rows, ~0ull);
    std::vector<uint64_t> out(batch);

    for (auto _ : s)
        for (size_t i = 0; i < rows; i += batch)
            t->agg->hash_i64(v.data() + i, std::min(batch, rows - i), 1, out.data());
    report(s, rows, rows * 8);
}

void hash_two(benchmark::State &s, const mk_table *t, size_t rows)
{
    const auto v = numbers(rows, ~0ull);
    std::vector<uint64_t> out(batch);

    for (auto _ : s)
        for (size_t i = 0; i < rows; i += batch)
            t->agg->hash_join((const uint64_t *)v.data() + i, std::min(batch, rows - i),
                              out.data());
    report(s, rows, rows * 8);
}

template <uint32_t parts> void partition(benchmark::State &s, const mk_table *t, size_t rows)
{
    const auto v = numbers(rows, ~0ull);
    std::vector<uint64_t> hashes(rows);
    std::vector<uint16_t> out(batch + 64);
    uint32_t begin[257];

    t->agg->hash_i64(v.data(), rows, 3, hashes.data());
    for (auto _ : s)
        for (size_t i = 0; i < rows; i += batch)
            t->agg->partition(hashes.data() + i, std::min(batch, rows - i), parts, begin,
                              out.data());
    report(s, rows, rows * 8);
}

// A table of so many groups, about half full, probed at random by @rows keys that are there.
template <size_t groups> void probe(benchmark::State &s, const mk_table *t, size_t rows)
{
    uint32_t bits = 1;

    while ((size_t)5 << bits < groups)
        bits++;
    const size_t buckets = (size_t)1 << bits;
    std::vector<int64_t> memory(buckets * 8 + 8), keys(rows);
    std::vector<uint32_t> slots(buckets * 8), out(batch);
    int64_t *words = (int64_t *)(((uintptr_t)memory.data() + 63) & ~(uintptr_t)63);
    const mk_buckets b = {words, slots.data(), 5, 64 - bits, buckets * 96 > (1u << 20)};
    uint64_t state = 1;

    for (size_t i = 0; i < groups; i++) {
        const int64_t key = (int64_t)(i * 0x9e3779b97f4a7c15ull);
        const size_t at = (mk_hash_word(key, 5) >> b.shift) * 8;

        for (size_t k = 0; k < 8; k++)
            if (slots[at + k] == 0) {
                slots[at + k] = (uint32_t)i + 1;
                words[at + k] = key;
                break;
            }
    }
    for (auto &k : keys)
        k = (int64_t)((next(state) % groups) * 0x9e3779b97f4a7c15ull);
    for (auto _ : s)
        for (size_t i = 0; i < rows; i += batch)
            benchmark::DoNotOptimize(
                t->agg->probe_i64(&b, keys.data() + i, std::min(batch, rows - i), out.data()));
    report(s, rows, rows * 8);
}

// COUNT, SUM of a double, MIN, MAX into so many states.
template <size_t groups> void fold(benchmark::State &s, const mk_table *t, size_t rows)
{
    std::vector<char> memory(groups * 64 + 64);
    char *base = (char *)(((uintptr_t)memory.data() + 63) & ~(uintptr_t)63);
    std::vector<char *> states(rows);
    auto v = numbers(rows, 1u << 20);
    mk_fold f = {};
    uint64_t state = 3;

    for (auto &x : v) {
        const double real = (double)x + 1;

        std::memcpy(&x, &real, 8);
    }
    for (auto &p : states)
        p = base + next(state) % groups * 64;
    f.source_count = 2;
    f.step_word = 1;
    f.roll = true;
    f.ones = 1 << 3;
    f.real = 1 << 5;
    f.least = 1 << 6;
    f.most = 1 << 7;
    f.sources[0].words = 1 << 5;
    f.sources[1].words = 3 << 6;
    for (auto _ : s)
        for (size_t i = 0; i < rows; i += 512) {
            f.step = i / 16384;
            f.sources[0].values = f.sources[1].values = v.data() + i;
            t->agg->fold(&f, states.data() + i, std::min((size_t)512, rows - i));
        }
    report(s, rows, rows * 8);
}

void separators(benchmark::State &s, const mk_table *t, size_t rows)
{
    std::string text(rows * 8, 'x');
    std::vector<uint32_t> out(65536 + 64);

    for (size_t i = 7; i < text.size(); i += 8)
        text[i] = i % 40 == 39 ? '\n' : ',';
    for (auto _ : s)
        for (size_t i = 0; i < text.size(); i += 65536)
            benchmark::DoNotOptimize(t->find_any3(text.data() + i,
                                                  std::min((size_t)65536, text.size() - i), ',',
                                                  '\n', '"', out.data()));
    report(s, rows, rows * 8);
}

void count(benchmark::State &s, const mk_table *t, size_t rows)
{
    const std::string text(rows * 8, 'x');

    for (auto _ : s)
        benchmark::DoNotOptimize(t->count_byte(text.data(), text.size(), '\n'));
    report(s, rows, rows * 8);
}

const struct {
    const char *name;
    void (*run)(benchmark::State &, const mk_table *, size_t);
} kernels[] = {{"bounds_i64", bounds},
               {"slice_starts/2", starts<2>},
               {"slice_starts/1M", starts<1000000>},
               {"sum_i64", sum},
               {"sum_lanes_f64", sum_lanes},
               {"order_f64", order},
               {"hash_i64", hash},
               {"hash_join", hash_two},
               {"partition/2", partition<2>},
               {"partition/4", partition<4>},
               {"partition/8", partition<8>},
               {"partition/64", partition<64>},
               {"probe_i64/100", probe<100>},
               {"probe_i64/10k", probe<10000>},
               {"probe_i64/1M", probe<1000000>},
               {"fold/100", fold<100>},
               {"fold/10k", fold<10000>},
               {"fold/1M", fold<1000000>},
               {"find_any3", separators},
               {"count_byte", count}};

} // namespace

int main(int argc, char **argv)
{
    static const mk_table *room[MK_TABLES + 1];

    mk_usable(room);
    for (const auto &kernel : kernels)
        for (size_t t = 0; room[t] != nullptr; t++)
            for (size_t rows : sizes)
                benchmark::RegisterBenchmark((std::string(kernel.name) + "/" + room[t]->isa + "/" +
                                              std::to_string(rows * 8 >> 10) + "KiB")
                                                 .c_str(),
                                             [=](benchmark::State &s) {
                                                 kernel.run(s, room[t], rows);
                                             });
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
