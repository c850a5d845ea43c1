/* tests/model/verdicts.cc - exhaustive enumeration of short steps. Times are integers, the unit u is 1. */
#include "tests/model/verdicts.h"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>
#include <vector>

static const int NEVER = -100; /* no watermark yet */

struct Row {
    int time;
    bool counted; /* else: a row of another key that only moves the watermark */
};

/* One step of one split; what came before it is G of the split and the least G of the others. */
struct Case {
    std::vector<Row> rows;
    int split, others;
};

/* Calls @differs for every case of up to @rows_max rows; NEVER and a few times for G before the step. */
static Verdicts enumerate(size_t rows_max, int times,
                          const std::function<bool(const Case &)> &differs)
{
    const int known[] = {NEVER, 1, 3, 100};
    Verdicts out = {0, 0};

    for (size_t n = 1; n <= rows_max && out.rows == 0; n++) {
        size_t count = 1;

        for (size_t i = 0; i < n; i++)
            count *= (size_t)times * 2;
        for (size_t code = 0; code < count; code++)
            for (int split : known)
                for (int others : known) {
                    Case c = {{}, split, others};
                    size_t rest = code;

                    for (size_t i = 0; i < n; i++, rest /= (size_t)times * 2)
                        c.rows.push_back(
                            {(int)(rest % (size_t)times), rest / (size_t)times % 2 == 0});
                    out.sequences++;
                    if (split != 100 && out.rows == 0 && differs(c))
                        out.rows = n;
                }
    }
    return out;
}

static bool carries(enum carry carry, int time, int g)
{
    switch (carry) {
    case CARRY_BEFORE: return time < g;
    case CARRY_NOT_AFTER: return time <= g;
    default: return time <= g + 1;
    }
}

static int watermark(const Case &c, int g)
{
    return std::min(std::max(c.split, g), c.others);
}

/* ---- windows of 3 ---- */

Verdicts verdicts_tumble(enum carry carry)
{
    return enumerate(4, 7, [carry](const Case &c) {
        int g = NEVER;

        for (const Row &row : c.rows) {
            const int end = (row.time / 3 + 1) * 3;
            const int sent = carries(carry, row.time, g) ? g : NEVER;

            if ((watermark(c, g) >= end - 1) != (watermark(c, sent) >= end - 1))
                return true;
            g = std::max(g, row.time);
        }
        return false;
    });
}

/* ---- sessions with a gap of 2 ---- */

struct Sessions {
    std::vector<std::pair<int, int>> open; /* first, last time */
    std::vector<int> late;

    void add(int time, int w)
    {
        std::vector<std::pair<int, int>> others;
        int first = time, last = time;

        for (const auto &s : open) {
            const bool ended = s.second + 2 - 1 <= w;

            if (!ended && time <= s.second + 2 && s.first <= time + 2) {
                first = std::min(first, s.first);
                last = std::max(last, s.second);
            } else {
                others.push_back(s);
            }
        }
        if (last + 2 - 1 <= w) {
            late.push_back(time);
            return;
        }
        others.push_back({first, last});
        open = others;
        std::sort(open.begin(), open.end());
    }
    bool operator!=(const Sessions &o) const { return open != o.open || late != o.late; }
};

Verdicts verdicts_session(enum carry carry)
{
    return enumerate(4, 5, [carry](const Case &c) {
        Sessions exact, sent;
        int g = NEVER;

        for (const Row &row : c.rows) {
            if (row.counted) {
                exact.add(row.time, watermark(c, g));
                sent.add(row.time, watermark(c, carries(carry, row.time, g) ? g : NEVER));
            }
            g = std::max(g, row.time);
        }
        return exact != sent;
    });
}

/* ---- windows of 4 every 2, made of slices of 2; counts by window end ---- */

static std::map<int, int> hop_reference(const Case &c)
{
    std::map<int, int> count;
    int g = NEVER;

    for (const Row &row : c.rows) {
        const int first = (row.time / 2 + 1) * 2;

        for (int end = first; end <= first + 2 && row.counted; end += 2)
            if (watermark(c, g) < end - 1)
                count[end]++;
        g = std::max(g, row.time);
    }
    return count;
}

static std::map<int, int> hop_by_slices(const Case &c, bool at_end)
{
    std::map<int, int> slice, waiting, count;
    int g = NEVER;
    int next = 2;
    auto fire = [&](int through) { /* windows with end - 1 <= through, each once */
                                   for (; next - 1 <= through; next += 2) {
                                       const int n = slice[next / 2 - 1] +
                                                     (next >= 4 ? slice[next / 2 - 2] : 0);

                                       if (n > 0)
                                           count[next] = n;
                                   }
    };

    fire(watermark(c, NEVER));
    for (const Row &row : c.rows) {
        const int w = watermark(c, g), first = (row.time / 2 + 1) * 2;

        g = std::max(g, row.time);
        if (!row.counted || w >= first + 2 - 1)
            continue;
        if (at_end || w < first - 1)
            slice[row.time / 2]++;
        else
            waiting[row.time / 2]++;
    }
    /* At the end of the step: the windows that rows came too late for, then those rows, slice by slice. */
    for (const auto &late : waiting) {
        fire((late.first + 1) * 2 - 1);
        slice[late.first] += late.second;
    }
    fire(100);
    return count;
}

Verdicts verdicts_slices(bool at_end)
{
    return enumerate(4, 6, [at_end](const Case &c) {
        if (watermark(c, NEVER) !=
            NEVER) /* windows that fired before the step are not the question here */
            return false;
        return hop_reference(c) != hop_by_slices(c, at_end);
    });
}

/* ---- partials: all rows of one must have the same verdict ---- */

Verdicts verdicts_partials(bool two_classes)
{
    return enumerate(4, 7, [two_classes](const Case &c) {
        std::map<std::pair<int, bool>, bool> verdict;
        int g = NEVER;

        for (const Row &row : c.rows) {
            const int end = (row.time / 3 + 1) * 3;
            const bool late = watermark(c, g) >= end - 1;
            const std::pair<int, bool> partial = {end, two_classes && g >= end - 1};

            if (row.counted && verdict.emplace(partial, late).first->second != late)
                return true;
            g = std::max(g, row.time);
        }
        return false;
    });
}
