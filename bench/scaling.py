#!/usr/bin/env python3
"""bench/scaling.py: the tables of docs/SCALING.md: what a row costs in each stage, what that predicts for more shards, and what was measured.

Profiles build/bench_memory with 1 and 2 shards (perf, cpu-clock, 2 kHz), sorts the samples into stages by function, and plays the costs in
bench/simulate_steps.py. The costs of the exchange come from random10k with 2 shards alone; the other workloads are predicted for
2 shards from their own profile of 1 shard and those. Needs perf, `make build/bench_memory`, a quiet machine, about 40 s.

usage: scaling.py [--rows MILLIONS] [--svg FILE], scaling.py --resident
"""
import argparse
import dataclasses
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import simulate_steps as steps  # noqa: E402

RUNS = 5  # of bench_memory for each workload
STEP_ROWS = 16384
SAMPLE_NS = 500000
BENCH = os.environ.get("BUILD", "build") + "/bench_memory"

# Workload: groups in a firing, firings in all, groups that a front sends per step instead of rows (0: rows).
WORKLOADS = {"random10k": (10000, 10, 0), "zipf10k": (10000, 10, 0), "dense100": (100, 10, 100), "hop10": (1000, 100, 0)}

# The first that matches.
STAGES = [
    ("other", r"^(main|recompute|fill|random_word|zipf_ranks|close_cell|add_row|on_batch|ascending|column|text_view|_dl_|do_lookup|"
              r"handle_intel|intel_check|mi_|malloc|_int_|check_match|dl_|pow|exp)"),
    ("cut", r"^(cut_|entry_write|choose_split|known_advance|shard_cut|job_min_done|shard_release|memory_cut)"),
    ("scatter", r"^(hash_i64|hash_join|partition|compress_parts|keys_hash|group_rows|exchange_|batch_lend|lend_to|scatter_to)"),
    ("merge", r"^(append_|batch_append|merge|merged|least_head|view_compare|position_compare|batch_position|run_length|receive_merged|"
              r"__memcmp|sink_)"),
    ("protocol", r"^(sender_|ring_|pool_|batch_|stage_|shard_|edge_|hand_on|receive_|send_open|arena_|sched|__sched|tell|exec|type_phys|"
                 r"open_batch|cpu_relax|in_unit|domain_)"),
    ("front", r"^(bounds_i64|memory_|source_|front_|program_run|eval_|calc_|take_watermarks|believable|flat_times|early_)"),
    ("fire", r"^(sorter_|window_fire|fire_|add_block|result_|agg_values_of|agg_result|emit_|table_key_value|order_|windows_open)"),
    ("window", r"."),
]
FIRE_BUT = {"order_f64_avx512", "order_f64_avx2", "order_f64_scalar"}  # MIN and MAX of doubles, a row
COLUMNS = ("front", "scatter", "window", "fire", "merge", "protocol", "cut")


def stage_of(symbol):
    if symbol in FIRE_BUT:
        return "window"
    return next(name for name, pattern in STAGES if re.search(pattern, symbol))


def profile(workload, shards, millions):
    """(rows/s measured, groups, {stage: ns per row})."""
    with tempfile.TemporaryDirectory() as folder:
        data = folder + "/perf.data"
        out = subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-F", str(10 ** 9 // SAMPLE_NS), "-o", data, BENCH, str(millions),
                              workload], env={**os.environ, "SHARDS": str(shards)}, capture_output=True, text=True, check=True).stdout
        samples = subprocess.run(["perf", "script", "-i", data, "-F", "pid,tid,ip,sym"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+) groups: median ([\d.]+) M rows/s", out)
    count = dict.fromkeys([name for name, _ in STAGES], 0)
    for line in samples.splitlines():
        threads, address, *symbol = line.split()
        pid, tid = threads.split("/")
        if shards > 1 and pid == tid or address.startswith("ffffffff") or not symbol:
            continue  # the harness; its page faults, and the scheduler's
        count[stage_of(symbol[0])] += 1
    rows = RUNS * millions * 1e6
    return float(found[2]) * 1e6, int(found[1]), {name: n * SAMPLE_NS / rows for name, n in count.items()}


def exchange_costs(one, two, groups_per_row):
    """What a second shard adds, from one workload with 1 and with 2. A step of 4 lent batches is 8 messages, and 2 owners end it."""
    c = steps.Costs()
    protocol = max(0.0, two["protocol"] - one["protocol"]) * STEP_ROWS
    unit = protocol / (8 + 2 * 2)
    c.send = c.receive = unit / 2
    c.step = 2 * unit
    c.scatter = two["scatter"]
    c.gather = max(0.0, two["window"] - one["window"])
    c.merge = max(0.0, two["merge"] - one["merge"]) / groups_per_row
    c.cut = max(50.0, two["cut"] * STEP_ROWS)
    return c


def job_of(workload, shards, measured, exchange, millions, **more):
    groups, windows, partials = WORKLOADS[workload]
    _, results, one = measured[workload, 1]
    c = dataclasses.replace(exchange)
    c.front = one["front"] + one["scatter"] + (one["window"] if partials else 0)
    c.window = one["window"]
    c.fire = (one["fire"] + (one["merge"] if shards > 1 else 0)) / (results / millions / 1e6)
    if shards == 1:
        c.merge = one["merge"] / (results / millions / 1e6)
        c.step, c.cut = one["protocol"] * STEP_ROWS, one["cut"] * STEP_ROWS
        partials = 0  # the profile has both
        c.front = one["front"] + one["scatter"]
    return steps.Job(shards=shards, steps=steps.steps_for(shards), groups=groups, partials=partials,
                     window_steps=max(1, round(millions * 1e6 / windows / STEP_ROWS)), costs=c, **more)


def predict(*args, **more):
    return steps.Simulation(job_of(*args, **more)).run()


def resident(shards, millions):
    process = subprocess.Popen([BENCH, str(millions), "random10k"], env={**os.environ, "SHARDS": str(shards)}, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    return usage.ru_maxrss / 1024 if status == 0 else float("nan")


def print_resident():
    print("| shards | MiB resident | more than 1 shard |\n|---:|---:|---:|")
    base = None
    for n in (1, 2, 8, 16, 64):
        mib = resident(n, 1)
        base = base or mib
        print(f"| {n} | {mib:,.0f} | {mib - base:,.0f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=10)
    parser.add_argument("--resident", action="store_true", help="only the memory that 1 to 64 shards take")
    parser.add_argument("--svg")
    options = parser.parse_args()
    if options.resident:
        print_resident()
        return
    measured = {(w, n): profile(w, n, options.rows) for w in WORKLOADS for n in (1, 2)}

    print("Measured, CPU nanoseconds a row by stage (perf samples; merge: append to batches, order, sink):\n")
    print("| workload | shards | " + " | ".join(COLUMNS) + " | sum | M rows/s |\n|---|---:|" + "---:|" * (len(COLUMNS) + 2))
    for (w, n), (rate, _, ns) in measured.items():
        print(f"| {w} | {n} | " + " | ".join(f"{ns[s]:.2f}" for s in COLUMNS) + f" | {sum(ns[s] for s in COLUMNS):.2f} | {rate / 1e6:.0f} |")

    exchange = exchange_costs(measured["random10k", 1][2], measured["random10k", 2][2],
                              measured["random10k", 1][1] / options.rows / 1e6)
    print("\nCosts of the exchange (from random10k, 2 shards), ns: " +
          ", ".join(f"{name} {getattr(exchange, name):.2f}" for name in ("scatter", "gather", "merge", "send", "receive", "step", "cut")))
    print(f"Assumed: copy {exchange.copy} ns a row (beyond {steps.LEND_SHARDS} shards), a line of another core {exchange.line:.0f} ns.")

    print("\n| workload | shards | predicted, M rows/s | measured | predicted / measured |\n|---|---:|---:|---:|---:|")
    for (w, n), (rate, _, _) in measured.items():
        got = predict(w, n, measured, exchange, options.rows)["rows_per_second"]
        print(f"| {w} | {n} | {got / 1e6:.0f} | {rate / 1e6:.0f} | {got / rate:.2f} |")

    print("\nPredicted (never measured):\n\n| workload | shards | M rows/s | of 1 shard | run-ahead | waiting | first bottleneck |\n"
          "|---|---:|---:|---:|---:|---:|---|")
    lines = []
    for w in WORKLOADS:
        one = None
        for n in (1, 2, 4, 8, 16, 32, 64, 128):
            r = predict(w, n, measured, exchange, options.rows)
            one = one or r["rows_per_second"]
            lines.append({"scenario": w, **r})
            if n >= 8:
                print(f"| {w} | {n} | {r['rows_per_second'] / 1e6:,.0f} | {r['rows_per_second'] / one:.1f} | {r['run_ahead']} | "
                      f"{r['waiting']:.0%} | {r['bottleneck']} |")
    if options.svg:
        steps.svg(lines, options.svg)

    print("\nWhat would remove it, random10k (predicted, M rows/s):\n")
    variants = {"as it is": ({}, {}),
                "sink merges at no cost": ({"merge": 0.0, "line": 0.0}, {}),
                "run-ahead 256": ({}, {"run_ahead": 256}),
                "steps of 65,536 rows": ({}, {"step_rows": 65536}),
                "steps of 65,536 rows, free merge": ({"merge": 0.0}, {"step_rows": 65536}),
                "one key with 40 % of the rows": ({}, {"hot": 0.4})}
    print("| change | 16 | 64 | 128 | bottleneck at 128 |\n|---|---:|---:|---:|---|")
    for name, (costs, more) in variants.items():
        cells = []
        for n in (16, 64, 128):
            given = {k: v for k, v in more.items() if k != "hot"}
            job = job_of("random10k", n, measured, dataclasses.replace(exchange, **costs), options.rows, **given)
            if "hot" in more:
                job.shares = steps.hot(n, more["hot"])
            job.window_steps = max(1, job.window_steps * STEP_ROWS // job.step_rows)
            r = steps.Simulation(job).run()
            cells.append(f"{r['rows_per_second'] / 1e6:,.0f}")
        print(f"| {name} | " + " | ".join(cells) + f" | {r['bottleneck']} |")


if __name__ == "__main__":
    main()
