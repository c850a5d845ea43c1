"""The simulation of the step protocol against what can be worked out by hand, and the rules it must keep."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
from simulate_steps import Costs, Job, SCENARIOS, Simulation, make_job  # noqa: E402

FREE = {"scatter": 0, "copy": 0, "gather": 0, "fire": 0, "merge": 0, "send": 0, "receive": 0, "step": 0, "cut": 0, "line": 0}
passed = failed = 0


def check(name, good, seen):
    global passed, failed
    passed, failed = passed + good, failed + (not good)
    if not good:
        print(f"FAILED: {name}: {seen}")


def rate(**job):
    return Simulation(Job(**job)).run()


def near(a, b, part):
    return abs(a - b) <= part * b


# One shard: the sum of all costs, exactly. 100 steps of 1,000 rows: 1 ns front, 3 ns window; 500 ns each step's end, 200 ns
# the cut; 5 firings of 70 groups of 10 + 6 ns.
seen = rate(shards=1, steps=100, step_rows=1000, groups=70, window_steps=20,
            costs=Costs(**{**FREE, "front": 1, "window": 3, "step": 500, "cut": 200, "fire": 10, "merge": 6}))
ns = 100 * (1000 * 4 + 500 + 200) + 5 * 70 * 16
check("one shard's time is the sum of its costs", near(seen["seconds"] * 1e9, ns, 1e-9), (seen["seconds"], ns))
check("one shard never waits", abs(seen["waiting"]) < 1e-9 and seen["run_ahead"] == 1, seen)

# Equal costs, no overhead, wide rings: n times one shard.
for n in (2, 4, 8, 16):
    seen = rate(shards=n, steps=600, slots=4096, run_ahead=1024, groups=0, costs=Costs(**{**FREE, "front": 2, "window": 2}))
    check(f"{n} shards without overhead are {n} times one", near(seen["rows_per_second"], n / 4 * 1e9, 0.03), seen)

# Nothing costs but the cut: one step at a time, however many shards there are.
for n in (1, 4, 32):
    seen = rate(shards=n, steps=400, groups=0, costs=Costs(**{**FREE, "front": 0, "window": 0, "cut": 1000}))
    check(f"a serial cutter bounds {n} shards", near(seen["rows_per_second"], 16384 / 1000 * 1e9, 0.01), seen)
seen = rate(shards=32, steps=2000, groups=0, costs=Costs(**{**FREE, "front": 1, "window": 0, "cut": 4000}))
check("the token is named", seen["bottleneck"] == "cursor token" and seen["rows_per_second"] <= 16384 / 4000 * 1e9 * 1.001, seen)

# One owner has all rows: its window work alone bounds the rate.
seen = rate(shards=4, steps=400, groups=0, shares=(0, 1, 0, 0), costs=Costs(**{**FREE, "front": 0.1, "window": 4}))
check("one owner of all rows", seen["rows_per_second"] <= 1 / 4 * 1e9 * 1.001 and seen["bottleneck"] == "owner 1", seen)
check("its ring fills", seen["ring_max"] == 64, seen)

# Memory: 24 bytes a row of 12 GB/s.
seen = rate(shards=8, steps=400, groups=0, costs=Costs(**{**FREE, "front": 1, "window": 1, "memory": 12}))
check("memory bounds", near(seen["rows_per_second"], 12 / 24 * 1e9, 0.15) and seen["rows_per_second"] < 0.51e9, seen)

# Several splits: a step is cut when all below s - D are decoded, so that D + 1 shards decode at once.
free = Costs(**{**FREE, "front": 4, "window": 0})
for d in (1, 8):
    seen = rate(shards=32, steps=0, groups=0, look_back=d, splits=(16384 * 200,) * 2, costs=free)
    check(f"look-back {d}: {d + 1} at a time", near(seen["rows_per_second"], (d + 1) / 4 * 1e9, 0.03), seen)
    check(f"look-back {d} is named", seen["bottleneck"] == "look-back D", seen)

# Rules that hold in every scenario; small rings and pieces, so that everything is held up at some time.
for name in SCENARIOS:
    for n in (1, 2, 3, 5, 8):
        job = make_job(name, n, 7, Costs())
        job.slots, job.run_ahead, job.steps = 2, 9, 120
        job.splits = tuple(min(rows, 16384 * 40) for rows in job.splits[:6])
        seen = Simulation(job).run()
        expected = sum(job.splits) if job.splits else 120 * 16384
        check(f"{name}, {n} shards: every row once", near(seen["rows"], expected, 1e-9), seen)
        check(f"{name}, {n} shards: bounds", seen["run_ahead"] <= 9 and seen["ring_max"] <= 2 and -1e-9 < seen["waiting"] < 1, seen)

zipf = [Simulation(make_job("Zipf 1.1", 4, seed, Costs())).run() for seed in (3, 3, 4)]
check("a seed gives the same run, another one another", zipf[0] == zipf[1] != zipf[2], zipf)

print(f"{passed} passed, {failed} failed, 0 skipped")
sys.exit(failed > 0)
