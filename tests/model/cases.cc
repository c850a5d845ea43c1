/* tests/model/cases.cc - the cases: the rules hold, and each rule broken by itself is found out.
 *
 * Usage: model                 all cases; ends "N passed, N failed"
 *        model --trace NAME    one case, with the actions of its counterexample
 */
#include "tests/model/protocol.h"
#include "tests/model/verdicts.h"

#include <chrono>
#include <cstdlib>

static const size_t STATES_MAX = 40000000;

struct Case {
    const char *name;
    bool broken; /* a counterexample must be found */
    Setup setup;
};

/* ---- set-ups ---- */

/* Two shards, two splits of two steps, rings of one batch, pools of two: as tight as it gets. */
static Setup one_exchange()
{
    Setup s = {};

    s.shards = 2;
    s.exchanges = 1;
    s.ring_slots = 1;
    s.pool_batches = 2;
    s.look_back = 1;
    s.run_ahead = 4;
    s.data_steps[0] = s.data_steps[1] = 2;
    s.batches[0][0] = 3;
    s.batches[1][0] = 1;
    s.batches[1][1] = 2;
    s.g[0][1] = 3;
    s.g[1][0] = 1;
    s.g[1][1] = 2;
    return s;
}

static Setup three_shards()
{
    Setup s = one_exchange();

    s.shards = 3;
    s.data_steps[0] = s.data_steps[1] = 1;
    return s;
}

static Setup two_exchanges(int firings)
{
    Setup s = one_exchange();

    s.exchanges = 2;
    s.data_steps[0] = s.data_steps[1] = 1;
    s.live = true; /* without the empty steps at the end of each split, which one exchange covers */
    s.batches[0][0] = 1;
    s.batches[1][0] = 2;
    s.firings = firings;
    return s;
}

static Setup rows_and_firings(int firings)
{
    Setup s = two_exchanges(firings);

    s.rows_pass = true;
    return s;
}

/* One long step. */
static Setup many_rows()
{
    Setup s = rows_and_firings(0);

    s.data_steps[1] = 0;
    s.batches[0][0] = 4;
    return s;
}

static Setup with(Setup s, bool Rules::*rule)
{
    s.broken.*rule = true;
    return s;
}

static Setup with(Setup s, int Setup::*field, int value)
{
    s.*field = value;
    return s;
}

static Setup with(Setup s, bool Setup::*field)
{
    s.*field = true;
    return s;
}

static Setup quiet(Setup s)
{
    s.live = s.checkpoint = true;
    return s;
}

static std::vector<Case> cases()
{
    const Setup one = one_exchange(), two = two_exchanges(2);
    const Setup join = with(with(two_exchanges(0), &Setup::exchanges, 1), &Setup::self_join);

    return {
        {"one exchange, 2 shards", false, one},
        {"one exchange, 2 shards, rings of 2, pools of 3", false,
         with(with(one, &Setup::ring_slots, 2), &Setup::pool_batches, 3)},
        {"one exchange, 3 shards", false, three_shards()},
        {"one exchange, look-back 3, run-ahead 2", false,
         with(with(one, &Setup::look_back, 3), &Setup::run_ahead, 2)},
        {"two exchanges, firings", false, two},
        {"two exchanges, run-ahead 1", false, with(two, &Setup::run_ahead, 1)},
        {"merge by published positions: rows", false, rows_and_firings(0)},
        {"merge by published positions: many rows", false, many_rows()},
        {"merge by published positions: rows and firings", false, rows_and_firings(1)},
        {"merge, rings of 2, pools of 3", false,
         with(with(rows_and_firings(1), &Setup::ring_slots, 2), &Setup::pool_batches, 3)},
        {"self-join: two edges into one stage", false, join},
        {"checkpoint on a step, one exchange", false, quiet(one)},
        {"checkpoint on a step, two exchanges", false, quiet(two_exchanges(1))},
        {"abort at any moment, one exchange", false, with(one, &Setup::may_abort)},
        {"abort at any moment, two exchanges", false, with(two_exchanges(1), &Setup::may_abort)},

        {"a producer with a full ring does not drain", true,
         with(one, &Rules::full_ring_does_not_drain)},
        {"one pool for two exchanges", true, with(two, &Rules::shared_pool)},
        {"one ring matrix for two exchanges", true, with(two, &Rules::shared_rings)},
        {"merge waits for every head", true, with(two_exchanges(3), &Rules::merge_waits_for_heads)},
        {"merge of rows waits for every head", true,
         with(many_rows(), &Rules::merge_waits_for_heads)},
        {"self-join reads piece A, then piece B", true,
         with(join, &Rules::second_piece_after_first)},
        {"state keeps batches", true, with(one, &Rules::state_keeps_batches)},
        {"choice from what is known now", true, with(one, &Rules::choose_by_what_is_known)},
        {"checkpoint asked for after the last cut", true,
         with(quiet(one), &Rules::no_empty_step_for_requests)},
        {"an aborting shard leaves at once", true,
         with(with(one, &Setup::may_abort), &Rules::aborting_shard_leaves)},
        {"a position is told only when it is news", true,
         with(many_rows(), &Rules::tell_only_news)},
        {"looks into the ring before the end-of-step flag", true,
         with(one, &Rules::ring_before_flag)},
    };
}

/* ---- running ---- */

static int passed, failed;

static void count(const char *name, bool good, const std::string &what)
{
    printf("%s: %-55s %s\n", good ? "ok" : "FAILED", name, what.c_str());
    fflush(stdout);
    (good ? passed : failed)++;
}

static void run(const Case &c, bool trace)
{
    const Protocol protocol(c.setup);
    const auto began = std::chrono::steady_clock::now();
    const Outcome out = Search<Protocol>(protocol, STATES_MAX, trace).run();
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    char text[200];

    for (const std::string &action : out.trace)
        printf("    %s\n", action.c_str());
    if (out.result == Outcome::BROKEN)
        snprintf(text, sizeof text, "%s, after %zu actions (%zu states)", out.what.c_str(),
                 out.length, out.states);
    else
        snprintf(text, sizeof text, "%s%zu states, %zu actions deep, %zu ends, %.1f s",
                 out.what.c_str(), out.states, out.length, out.ends, seconds);
    count(c.name, out.result == (c.broken ? Outcome::BROKEN : Outcome::HOLDS), text);
}

static void verdict(const char *name, bool broken, const Verdicts &v)
{
    char text[200];

    if (v.rows > 0)
        snprintf(text, sizeof text, "differs from the reference at %zu rows", v.rows);
    else
        snprintf(text, sizeof text, "as row by row, %zu steps", v.sequences);
    count(name, (v.rows > 0) == broken, text);
}

static void run_verdicts()
{
    verdict("windows, g sent for time <= g + u", false, verdicts_tumble(CARRY_WITHIN_UNIT));
    verdict("windows, g sent for time <= g", false, verdicts_tumble(CARRY_NOT_AFTER));
    verdict("sessions, g sent for time <= g + u", false, verdicts_session(CARRY_WITHIN_UNIT));
    verdict("hopping slices, late rows wait for the first window", false, verdicts_slices(false));
    verdict("partials of the front, two classes", false, verdicts_partials(true));
    verdict("windows, g sent only for time < g", true, verdicts_tumble(CARRY_BEFORE));
    verdict("sessions, g sent only for time < g", true, verdicts_session(CARRY_BEFORE));
    verdict("sessions, g sent only for time <= g", true, verdicts_session(CARRY_NOT_AFTER));
    verdict("slices fired only at the end of the step", true, verdicts_slices(true));
    verdict("partials of the front, one class", true, verdicts_partials(false));
}

int main(int argc, char **argv)
{
    const char *only = argc == 3 && strcmp(argv[1], "--trace") == 0 ? argv[2] : nullptr;

    if (argc > 1 && only == nullptr) {
        fprintf(stderr, "usage: model [--trace NAME]\n");
        return 2;
    }
    for (const Case &c : cases())
        if (only == nullptr || strcmp(only, c.name) == 0)
            run(c, only != nullptr);
    if (only == nullptr)
        run_verdicts();
    printf("%d passed, %d failed, 0 skipped\n", passed, failed);
    return failed > 0;
}
