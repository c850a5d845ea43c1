// bench/bench_kernels.cc - every kernel of every usable instruction set, over data in the first cache, in the second, and beyond both.
//
// Before a kernel is timed, what it answers is compared with the scalar one. A kernel that has no line in kernels[] does not
// compile (static_assert at the end). bench/kernel_table.py makes a table of the JSON output:
//   build/bench/bench_kernels --benchmark_out=k.json --benchmark_out_format=json && bench/kernel_table.py k.json
// items: values, rows or fields; for text as such, its bytes. bytes: what the kernel must read.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
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
const size_t piece = 65536; // of text

// What a pass answers, as one word.
class answer
{
  public:
    void add(const void *bytes, size_t count)
    {
        const auto *at = (const unsigned char *)bytes;
        uint64_t word;

        for (; count >= 8; count -= 8, at += 8) {
            std::memcpy(&word, at, 8);
            sum = mk_mix(sum + word);
        }
        for (; count > 0; count--)
            sum = mk_mix(sum + *at++);
    }
    uint64_t sum = 1;
};

// One kernel over one set of data. pass() goes over all of it; with @a not NULL it adds what the kernel answers.
struct work {
    size_t items, bytes;
    std::function<void(const mk_table *t, answer *a)> pass;
};

template <class T> void note(answer *a, const T *values, size_t count)
{
    if (a != nullptr)
        a->add(values, count * sizeof(T));
}

// Columns of batches lie on cache lines; what crosses them is slower.
template <class T> struct on_lines {
    using value_type = T;
    on_lines() = default;
    template <class U> on_lines(const on_lines<U> &) {}
    T *allocate(size_t count)
    {
        return (T *)std::aligned_alloc(64, (count * sizeof(T) + 63) & ~63ul);
    }
    void deallocate(T *memory, size_t) { std::free(memory); }
    bool operator==(const on_lines &) const { return true; }
    bool operator!=(const on_lines &) const { return false; }
};
template <class T> using array = std::vector<T, on_lines<T>>;

uint64_t next(uint64_t &state)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return state >> 20 ^ state << 30;
}

array<int64_t> numbers(size_t count, uint64_t range)
{
    array<int64_t> v(count);
    uint64_t state = 7;

    for (auto &x : v)
        x = (int64_t)(next(state) % range);
    return v;
}

array<double> reals(size_t count)
{
    const auto whole = numbers(count, 1u << 20);
    array<double> v(count);

    for (size_t i = 0; i < count; i++)
        v[i] = ((double)whole[i] - (1 << 19)) / 16;
    return v;
}

template <class F> void in_batches(size_t rows, size_t most, F each)
{
    for (size_t i = 0; i < rows; i += most)
        each(i, std::min(most, rows - i));
}

// ---- numbers ----

work bounds(size_t rows)
{
    return {rows, rows * 8, [rows, v = numbers(rows, 1u << 30)](const mk_table *t, answer *a) {
                int64_t bound[2];

                t->bounds_i64(v.data(), rows, &bound[0], &bound[1]);
                benchmark::DoNotOptimize(bound);
                note(a, bound, 2);
            }};
}

// Times of @slices neighbouring slices at random.
template <uint64_t slices> work starts(size_t rows)
{
    return {rows, rows * 8,
            [rows, v = numbers(rows, slices * 10000000),
             out = array<int64_t>(batch)](const mk_table *t, answer *a) mutable {
                const mk_grid grid = {0, 10000000};

                in_batches(rows, batch, [&](size_t i, size_t n) {
                    t->slice_starts(&grid, v.data() + i, n, out.data());
                    note(a, out.data(), n);
                });
            }};
}

work sum(size_t rows)
{
    return {rows, rows * 8, [rows, v = numbers(rows, 1u << 30)](const mk_table *t, answer *a) {
                int64_t halves[2];

                t->agg->sum_i64(v.data(), rows, halves);
                benchmark::DoNotOptimize(halves);
                note(a, halves, 2);
            }};
}

work sum_lanes(size_t rows)
{
    return {rows, rows * 8, [rows, v = reals(rows)](const mk_table *t, answer *a) {
                double lanes[8] = {};

                t->agg->sum_lanes_f64(v.data(), rows, 3, lanes);
                benchmark::DoNotOptimize(lanes);
                note(a, lanes, 8);
            }};
}

work order(size_t rows)
{
    return {rows, rows * 8,
            [rows, v = reals(rows), out = array<int64_t>(batch)](const mk_table *t,
                                                                 answer *a) mutable {
                in_batches(rows, batch, [&](size_t i, size_t n) {
                    t->agg->order_f64(v.data() + i, n, out.data());
                    note(a, out.data(), n);
                });
            }};
}

work hash(size_t rows)
{
    return {rows, rows * 8,
            [rows, v = numbers(rows, ~0ull), out = array<uint64_t>(batch)](const mk_table *t,
                                                                           answer *a) mutable {
                in_batches(rows, batch, [&](size_t i, size_t n) {
                    t->agg->hash_i64(v.data() + i, n, 1, out.data());
                    note(a, out.data(), n);
                });
            }};
}

work hash_two(size_t rows)
{
    return {rows, rows * 8,
            [rows, v = numbers(rows, ~0ull), out = array<uint64_t>(batch)](const mk_table *t,
                                                                           answer *a) mutable {
                if (a != nullptr)
                    std::fill(out.begin(), out.end(), 0);
                in_batches(rows, batch, [&](size_t i, size_t n) {
                    t->agg->hash_join((const uint64_t *)v.data() + i, n, out.data());
                    note(a, out.data(), n);
                });
            }};
}

template <uint32_t parts> work partition(size_t rows)
{
    array<uint64_t> hashes(rows);

    mk_scalar.agg->hash_i64(numbers(rows, ~0ull).data(), rows, 3, hashes.data());
    return {rows, rows * 8,
            [rows, hashes, out = array<uint16_t>(batch + 64)](const mk_table *t,
                                                              answer *a) mutable {
                in_batches(rows, batch, [&](size_t i, size_t n) {
                    uint32_t begin[257];

                    t->agg->partition(hashes.data() + i, n, parts, begin, out.data());
                    note(a, begin, parts + 1);
                    note(a, out.data(), n);
                });
            }};
}

work sum_bounds(size_t rows)
{
    return {rows, rows * 8, [rows, v = reals(rows)](const mk_table *t, answer *a) {
                double lanes[8] = {};
                int64_t bound[2];

                t->agg->sum_bounds_f64(v.data(), rows, 3, lanes, bound);
                benchmark::DoNotOptimize(lanes);
                note(a, lanes, 8);
                note(a, bound, 2);
            }};
}

work running_max(size_t rows)
{
    return {rows, rows * 8,
            [rows, v = numbers(rows, 1u << 30), out = array<int64_t>(batch)](const mk_table *t,
                                                                             answer *a) mutable {
                int64_t most = INT64_MIN;

                in_batches(rows, batch, [&](size_t i, size_t n) {
                    most = t->running_max_i64(v.data() + i, n, most, out.data());
                    note(a, out.data(), n);
                });
                note(a, &most, 1);
            }};
}

// ---- tables of groups ----

int64_t spread(uint64_t i)
{
    return (int64_t)(i * 0x9e3779b97f4a7c15ull);
}

// Buckets for so many groups, about half full.
struct table {
    explicit table(size_t groups)
    {
        uint32_t bits = 1;

        while ((size_t)5 << bits < groups)
            bits++;
        const size_t count = (size_t)8 << bits;
        memory.resize(count + 8);
        ids.resize(count);
        int64_t *words = (int64_t *)(((uintptr_t)memory.data() + 63) & ~(uintptr_t)63);
        b = {words, ids.data(), 5, 64 - bits, count * 12 > (1u << 20)};
        for (size_t i = 0; i < groups; i++) {
            const size_t at = (mk_hash_word(spread(i), 5) >> b.shift) * 8;

            for (size_t k = 0; k < 8; k++)
                if (ids[at + k] == 0) {
                    ids[at + k] = (uint32_t)i + 1;
                    words[at + k] = spread(i);
                    break;
                }
        }
    }
    array<int64_t> memory;
    array<uint32_t> ids;
    mk_buckets b;
};

// Probed at random by @rows keys that are there.
template <size_t groups> work probe(size_t rows)
{
    auto keys = numbers(rows, groups);

    for (auto &k : keys)
        k = spread((uint64_t)k);
    return {rows, rows * 8,
            [rows, keys, groups_of = std::make_shared<table>(groups),
             out = array<uint32_t>(batch)](const mk_table *t, answer *a) mutable {
                in_batches(rows, batch, [&](size_t i, size_t n) {
                    const size_t missing =
                        t->agg->probe_i64(&groups_of->b, keys.data() + i, n, out.data());

                    note(a, &missing, 1);
                    note(a, out.data(), n);
                });
            }};
}

// An array by key, every second key there.
template <uint32_t room> work index_of(size_t rows)
{
    array<uint32_t> ids(room);

    for (uint32_t i = 0; i < room; i += 2)
        ids[i] = i / 2 + 1;
    return {rows, rows * 8,
            [rows, ids, keys = numbers(rows, room),
             out = array<uint32_t>(batch)](const mk_table *t, answer *a) mutable {
                const mk_index index = {ids.data(), 0, room};

                in_batches(rows, batch, [&](size_t i, size_t n) {
                    const size_t missing =
                        t->agg->index_i64(&index, keys.data() + i, n, out.data());

                    note(a, &missing, 1);
                    note(a, out.data(), n);
                });
            }};
}

work states(size_t rows)
{
    const auto keys = numbers(rows, 10000);
    array<uint32_t> ids(rows);

    for (size_t i = 0; i < rows; i++)
        ids[i] = (uint32_t)keys[i] + 1;
    return {rows, rows * 4,
            [rows, ids, memory = std::make_shared<array<char>>(640000),
             out = array<char *>(batch)](const mk_table *t, answer *a) mutable {
                in_batches(rows, batch, [&](size_t i, size_t n) {
                    t->agg->states_of(ids.data() + i, n, memory->data(), 64, out.data());
                    note(a, out.data(), n);
                });
            }};
}

// COUNT, SUM of a double, MIN, MAX into so many states.
template <size_t groups> work fold(size_t rows)
{
    auto memory = std::make_shared<array<char>>(groups * 64 + 64);
    char *base = (char *)(((uintptr_t)memory->data() + 63) & ~(uintptr_t)63);
    array<char *> states(rows);
    uint64_t state = 3;
    mk_fold f = {};

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
    return {rows, rows * 16,
            [rows, memory, base, states, f, v = reals(rows)](const mk_table *t, answer *a) {
                mk_fold fold = f;

                if (a != nullptr)
                    std::memset(base, 0, groups * 64);
                in_batches(rows, 512, [&](size_t i, size_t n) {
                    fold.step = i / 16384;
                    fold.sources[0].values = fold.sources[1].values =
                        (const int64_t *)(v.data() + i);
                    t->agg->fold(&fold, states.data() + i, n);
                });
                note(a, base, groups * 64);
            }};
}

// ---- expressions ----

template <class T> array<T> column(size_t rows, uint64_t seed)
{
    array<T> v(rows);

    for (auto &x : v)
        x = (T)(int64_t)(next(seed) % 200) - (T)100;
    return v;
}

enum shape { CONSTANT, COLUMN, OF_ROWS };

// Half of the rows pass; OF_ROWS: half of every second row.
template <mk_kind kind, class T, shape how> work select(size_t rows)
{
    array<uint16_t> every_second(batch / 2);

    for (size_t i = 0; i < every_second.size(); i++)
        every_second[i] = (uint16_t)(i * 2);
    const size_t items = how == OF_ROWS ? rows / 2 : rows;
    return {items, items * sizeof(T) * (how == COLUMN ? 2 : 1),
            [rows, every_second, x = column<T>(rows, 1), y = column<T>(rows, 2),
             out = array<uint16_t>(batch)](const mk_table *t, answer *a) mutable {
                in_batches(rows, batch, [&](size_t i, size_t n) {
                    const bool part = how == OF_ROWS;
                    const T least = 0;
                    const uint32_t found =
                        t->select(kind, MK_GE, x.data() + i, how == COLUMN ? y.data() + i : &least,
                                  false, how != COLUMN, part ? every_second.data() : nullptr,
                                  (uint32_t)(part ? n / 2 : n), out.data());

                    note(a, &found, 1);
                    note(a, out.data(), found);
                });
            }};
}

template <mk_kind kind, class T, shape how> work compare(size_t rows)
{
    return {rows, rows * sizeof(T) * (how == COLUMN ? 2 : 1),
            [rows, x = column<T>(rows, 1), y = column<T>(rows, 2),
             out = array<uint8_t>(batch)](const mk_table *t, answer *a) mutable {
                in_batches(rows, batch, [&](size_t i, size_t n) {
                    const T least = 0;

                    t->compare(kind, MK_GE, x.data() + i, how == COLUMN ? y.data() + i : &least,
                               false, how != COLUMN, (uint32_t)n, out.data());
                    note(a, out.data(), n);
                });
            }};
}

template <mk_kind kind, class T, mk_arith what, shape how> work arith(size_t rows)
{
    return {rows, rows * sizeof(T) * (how == COLUMN ? 2 : 1),
            [rows, x = column<T>(rows, 1), y = column<T>(rows, 2),
             out = array<T>(batch)](const mk_table *t, answer *a) mutable {
                in_batches(rows, batch, [&](size_t i, size_t n) {
                    const T three = 3;

                    t->arith(kind, what, x.data() + i, how == COLUMN ? y.data() + i : &three, false,
                             how != COLUMN, (uint32_t)n, out.data());
                    note(a, out.data(), n);
                });
            }};
}

// ---- text ----

// @line(i) again and again, at least @bytes of it, then cut off there.
template <class F> std::string lines(size_t bytes, F line)
{
    std::string text;

    text.reserve(bytes + 256);
    for (size_t i = 0; text.size() < bytes; i++)
        text += line(i);
    text.resize(bytes);
    return text;
}

std::string csv_line(size_t i)
{
    char line[100];

    snprintf(line, sizeof line, "%zu,2026-01-%02zu 12:00:%02zu.%03zu,%zu.%02zu,name-%zu\n", i,
             i % 28 + 1, i / 1000 % 60, i % 1000, i * 7 % 1000, i % 100, i % 10000);
    return line;
}

std::string csv_quoted_line(size_t i)
{
    char line[100];

    snprintf(line, sizeof line, "%zu,\"a, \"\"b\"\"\",%zu.%02zu,\"name-%zu\"\n", i, i * 7 % 1000,
             i % 100, i % 10000);
    return line;
}

std::string json_line(size_t i)
{
    char line[160];

    snprintf(line, sizeof line,
             "{\"id\":%zu,\"name\":\"name \\\"%zu\\\"\",\"price\":%zu.5,\"tags\":[\"a\",\"b\"]}\n",
             i, i % 10000, i * 7 % 1000);
    return line;
}

std::string greek_line(size_t i)
{
    return "αβγδε €uro " + std::to_string(i) + " plain text\n";
}

work separators(size_t rows)
{
    return {rows * 8, rows * 8,
            [text = lines(rows * 8, csv_line),
             out = array<uint32_t>(piece + 64)](const mk_table *t, answer *a) mutable {
                in_batches(text.size(), piece, [&](size_t i, size_t n) {
                    const uint32_t found =
                        t->find_any3(text.data() + i, n, ',', '\n', '"', out.data());

                    note(a, &found, 1);
                    note(a, out.data(), found);
                });
            }};
}

work count(size_t rows)
{
    return {rows * 8, rows * 8, [text = lines(rows * 8, csv_line)](const mk_table *t, answer *a) {
                size_t found = t->count_byte(text.data(), text.size(), '\n');

                benchmark::DoNotOptimize(found);
                note(a, &found, 1);
            }};
}

work json(size_t rows)
{
    return {rows * 8, rows * 8,
            [text = lines(rows * 8, json_line), stops = array<uint64_t>(piece / 64),
             marks = array<uint64_t>(piece / 64)](const mk_table *t, answer *a) mutable {
                in_batches(text.size(), piece, [&](size_t i, size_t n) {
                    const bool high = t->json_marks(text.data() + i, n, stops.data(), marks.data());

                    note(a, &high, 1);
                    note(a, stops.data(), (n + 63) / 64);
                    note(a, marks.data(), (n + 63) / 64);
                });
            }};
}

template <std::string (*line)(size_t)> work utf8(size_t rows)
{
    return {rows * 8, rows * 8, [text = lines(rows * 8, line)](const mk_table *t, answer *a) {
                bool good = t->utf8_valid(text.data(), text.size());

                benchmark::DoNotOptimize(good);
                note(a, &good, 1);
            }};
}

template <std::string (*line)(size_t), char quote> work csv(size_t rows)
{
    return {rows * 8, rows * 8,
            [text = lines(rows * 8, line), marks = array<uint32_t>(piece + 64),
             ends = array<uint32_t>(piece + 64)](const mk_table *t, answer *a) mutable {
                in_batches(text.size(), piece, [&](size_t i, size_t n) {
                    mk_csv_marks found;

                    t->csv_marks(text.data() + i, n, ',', quote, marks.data(), ends.data(), &found);
                    note(a, &found.marks, 1);
                    note(a, &found.lines, 1);
                    note(a, &found.quotes, 1);
                    note(a, &found.plain, 1);
                    note(a, marks.data(), found.marks);
                    note(a, ends.data(), found.lines);
                });
            }};
}

// Fields, one on each line, and where they end.
struct fields {
    template <class F> fields(size_t bytes, F field)
    {
        marks.push_back(UINT32_MAX);
        for (size_t i = 0; text.size() < bytes; i++) {
            text += field(i * 2654435761u);
            marks.push_back((uint32_t)text.size());
            text += '\n';
        }
    }
    size_t count() const { return marks.size() - 1; }
    std::string text;
    array<uint32_t> marks;
};

template <class F> work parse(size_t rows, std::string (*field)(uint64_t), F one)
{
    const auto f = std::make_shared<fields>(rows * 8, field);

    return {f->count(), f->text.size(), [f, one](const mk_table *t, answer *a) mutable {
                in_batches(f->count(), batch, [&](size_t i, size_t n) {
                    uint64_t other[batch / 64];

                    one(t, a, *f, f->marks.data() + i, n, other);
                    note(a, other, (n + 63) / 64);
                });
            }};
}

std::string whole(uint64_t i)
{
    return std::to_string((int64_t)(i % 20000000) - 10000000);
}

std::string decimal(uint64_t i)
{
    return std::to_string(i % 1000000) + "." + std::to_string(i / 7 % 90 + 10);
}

std::string timestamp(uint64_t i)
{
    char text[32];

    snprintf(text, sizeof text, "2026-01-%02u %02u:%02u:%02u.%03u", (unsigned)(i / 97 % 2 + 1),
             (unsigned)(i % 24), (unsigned)(i / 24 % 60), (unsigned)(i / 1440 % 60),
             (unsigned)(i / 86400 % 1000));
    return text;
}

work parse_i64(size_t rows)
{
    return parse(rows, whole,
                 [out = array<int64_t>(batch)](const mk_table *t, answer *a, const fields &f,
                                               const uint32_t *marks, size_t n,
                                               uint64_t *other) mutable {
                     t->parse_i64(f.text.data(), f.text.size(), marks, 1, n, out.data(), other);
                     note(a, out.data(), n);
                 });
}

work parse_number(size_t rows)
{
    return parse(rows, decimal,
                 [out = array<int64_t>(batch),
                  places = array<uint8_t>(batch)](const mk_table *t, answer *a, const fields &f,
                                                  const uint32_t *marks, size_t n,
                                                  uint64_t *other) mutable {
                     t->parse_number(f.text.data(), f.text.size(), marks, 1, n, out.data(),
                                     places.data(), other);
                     note(a, out.data(), n);
                     note(a, places.data(), n);
                 });
}

work parse_time(size_t rows)
{
    return parse(rows, timestamp,
                 [out = array<int64_t>(batch),
                  nanos = array<uint32_t>(batch)](const mk_table *t, answer *a, const fields &f,
                                                  const uint32_t *marks, size_t n,
                                                  uint64_t *other) mutable {
                     t->parse_time(f.text.data(), f.text.size(), marks, 1, n, out.data(),
                                   nanos.data(), other);
                     note(a, out.data(), n);
                     note(a, nanos.data(), n);
                 });
}

work scale(size_t rows)
{
    const auto wide = numbers(rows, 100000000);
    const auto few = numbers(rows, 7);

    return {rows, rows * 9,
            [rows, values = array<int64_t>(wide.begin(), wide.end()),
             places = array<uint8_t>(few.begin(), few.end()),
             out = array<double>(batch)](const mk_table *t, answer *a) mutable {
                in_batches(rows, batch, [&](size_t i, size_t n) {
                    uint64_t other[batch / 64] = {};

                    t->scale_f64(values.data() + i, places.data() + i, n, out.data(), other);
                    note(a, out.data(), n);
                    note(a, other, (n + 63) / 64);
                });
            }};
}

// ---- values that are text ----

template <class F> work each_text(size_t rows, std::string (*field)(uint64_t), F one)
{
    const auto f = std::make_shared<fields>(rows * 8, field);

    return {f->count(), f->text.size(), [f, one](const mk_table *t, answer *a) {
                size_t sum = 0;

                for (size_t i = 0; i < f->count(); i++) {
                    const uint32_t begin = f->marks[i] + 1;
                    const size_t got = one(t, f->text.data() + begin, f->marks[i + 1] - begin);

                    sum += got;
                    note(a, &got, 1);
                }
                benchmark::DoNotOptimize(sum);
            }};
}

std::string short_text(uint64_t i)
{
    return std::to_string(i % 1000) + "/channel-" + std::to_string(i % 77) +
           "/q=" + std::to_string(i);
}

std::string long_text(uint64_t i)
{
    return std::string(300 + i % 700, 'n') + "/channel-" + std::to_string(i % 77);
}

template <std::string (*field)(uint64_t)> work find(size_t rows)
{
    return each_text(rows, field, [](const mk_table *t, const char *text, size_t length) {
        const char *at = t->find_text(text, length, "nel-7", 5);

        return at != nullptr ? (size_t)(at - text) : length + 1;
    });
}

template <std::string (*field)(uint64_t)> work split(size_t rows)
{
    return each_text(rows, field, [](const mk_table *t, const char *text, size_t length) {
        size_t begin = 0, end = 0;
        const bool there = t->split_part(text, length, '/', 1, &begin, &end);

        return there ? begin << 32 | end : (size_t)1 << 63;
    });
}

// ---- all of them ----

// A member of the table, or of the part that @agg points to, by its word.
#define MK(name) offsetof(mk_table, name) / sizeof(void *)
#define AGG(name) (sizeof(mk_table) + offsetof(mk_agg, name)) / sizeof(void *)

constexpr struct {
    const char *name;
    size_t word;
    work (*make)(size_t rows);
} kernels[] = {{"bounds_i64", MK(bounds_i64), bounds},
               {"slice_starts/2", MK(slice_starts), starts<2>},
               {"slice_starts/1M", MK(slice_starts), starts<1000000>},
               {"sum_i64", AGG(sum_i64), sum},
               {"sum_lanes_f64", AGG(sum_lanes_f64), sum_lanes},
               {"sum_bounds_f64", AGG(sum_bounds_f64), sum_bounds},
               {"running_max_i64", MK(running_max_i64), running_max},
               {"index_i64/100", AGG(index_i64), index_of<100>},
               {"index_i64/10k", AGG(index_i64), index_of<10000>},
               {"states_of", AGG(states_of), states},
               {"order_f64", AGG(order_f64), order},
               {"hash_i64", AGG(hash_i64), hash},
               {"hash_join", AGG(hash_join), hash_two},
               {"partition/2", AGG(partition), partition<2>},
               {"partition/4", AGG(partition), partition<4>},
               {"partition/6", AGG(partition), partition<6>},
               {"partition/8", AGG(partition), partition<8>},
               {"partition/16", AGG(partition), partition<16>},
               {"partition/64", AGG(partition), partition<64>},
               {"partition/128", AGG(partition), partition<128>},
               {"probe_i64/100", AGG(probe_i64), probe<100>},
               {"probe_i64/10k", AGG(probe_i64), probe<10000>},
               {"probe_i64/1M", AGG(probe_i64), probe<1000000>},
               {"fold/100", AGG(fold), fold<100>},
               {"fold/10k", AGG(fold), fold<10000>},
               {"fold/1M", AGG(fold), fold<1000000>},
               {"select/i8", MK(select), select<MK_I8, int8_t, CONSTANT>},
               {"select/i32", MK(select), select<MK_I32, int32_t, CONSTANT>},
               {"select/i64", MK(select), select<MK_I64, int64_t, CONSTANT>},
               {"select/f64", MK(select), select<MK_F64, double, CONSTANT>},
               {"select/i64_columns", MK(select), select<MK_I64, int64_t, COLUMN>},
               {"select/i64_of_rows", MK(select), select<MK_I64, int64_t, OF_ROWS>},
               {"compare/i8", MK(compare), compare<MK_I8, int8_t, CONSTANT>},
               {"compare/i64", MK(compare), compare<MK_I64, int64_t, CONSTANT>},
               {"compare/f64", MK(compare), compare<MK_F64, double, CONSTANT>},
               {"compare/i64_columns", MK(compare), compare<MK_I64, int64_t, COLUMN>},
               {"arith/i32_add", MK(arith), arith<MK_I32, int32_t, MK_ADD, COLUMN>},
               {"arith/i64_add", MK(arith), arith<MK_I64, int64_t, MK_ADD, COLUMN>},
               {"arith/i64_mul", MK(arith), arith<MK_I64, int64_t, MK_MUL, CONSTANT>},
               {"arith/f64_mul", MK(arith), arith<MK_F64, double, MK_MUL, COLUMN>},
               {"find_any3", MK(find_any3), separators},
               {"count_byte", MK(count_byte), count},
               {"find_text/short", MK(find_text), find<short_text>},
               {"find_text/long", MK(find_text), find<long_text>},
               {"split_part/short", MK(split_part), split<short_text>},
               {"split_part/long", MK(split_part), split<long_text>},
               {"json_marks", MK(json_marks), json},
               {"utf8_valid/ascii", MK(utf8_valid), utf8<csv_line>},
               {"utf8_valid/mixed", MK(utf8_valid), utf8<greek_line>},
               {"csv_marks/no_quotes", MK(csv_marks), csv<csv_line, '\0'>},
               {"csv_marks/quotes", MK(csv_marks), csv<csv_quoted_line, '"'>},
               {"parse_i64", MK(parse_i64), parse_i64},
               {"parse_number", MK(parse_number), parse_number},
               {"parse_time", MK(parse_time), parse_time},
               {"scale_f64", MK(scale_f64), scale}};

constexpr bool every_kernel_is_measured()
{
    for (size_t word = 0; word < (sizeof(mk_table) + sizeof(mk_agg)) / sizeof(void *); word++) {
        bool found = word == MK(isa) || word == MK(agg);

        for (const auto &kernel : kernels)
            found = found || kernel.word == word;
        if (!found)
            return false;
    }
    return true;
}
static_assert(every_kernel_is_measured(), "a kernel of the tables has no line in kernels[]");

// The data that all instruction sets share; one at a time, for some are large.
const work &work_of(size_t kernel, size_t rows)
{
    static work now;
    static size_t now_kernel = SIZE_MAX, now_rows;

    if (kernel != now_kernel || rows != now_rows)
        now = kernels[kernel].make(rows);
    now_kernel = kernel;
    now_rows = rows;
    return now;
}

void run(benchmark::State &s, size_t kernel, const mk_table *t, size_t rows, bool *checked)
{
    const work &w = work_of(kernel, rows);

    if (!*checked) {
        answer expected, got;

        w.pass(&mk_scalar, &expected);
        w.pass(t, &got);
        if (expected.sum != got.sum) {
            fprintf(stderr, "bench_kernels: %s: %s answers otherwise than scalar\n",
                    kernels[kernel].name, t->isa);
            exit(1);
        }
        *checked = true;
    }
    for (auto _ : s) {
        w.pass(t, nullptr);
        benchmark::ClobberMemory();
    }
    s.SetItemsProcessed((int64_t)(s.iterations() * w.items));
    s.SetBytesProcessed((int64_t)(s.iterations() * w.bytes));
}

} // namespace

int main(int argc, char **argv)
{
    static const mk_table *room[MK_TABLES + 1];

    mk_usable(room);
    for (size_t kernel = 0; kernel < sizeof kernels / sizeof *kernels; kernel++)
        for (size_t rows : sizes)
            for (size_t t = 0; room[t] != nullptr; t++)
                benchmark::RegisterBenchmark((std::string(kernels[kernel].name) + "/" +
                                              room[t]->isa + "/" + std::to_string(rows * 8 >> 10) +
                                              "KiB")
                                                 .c_str(),
                                             [=, checked = std::make_shared<bool>(false)](
                                                 benchmark::State &s) {
                                                 run(s, kernel, room[t], rows, checked.get());
                                             });
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
