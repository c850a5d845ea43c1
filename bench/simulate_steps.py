#!/usr/bin/env python3
"""bench/simulate_steps.py: the step protocol of docs/ARCHITECTURE.md played with costs instead of rows.

A discrete-event simulation: every shard is a core that does one action at a time, in the order of shard_turn(): drain stage 2, drain
stage 1, then one batch of its own step or, without one, the token. An action takes its cost in nanoseconds; what it did is
seen by others when it ends. Played are: the token, the directory, run-ahead K and look-back D, steps and batches, lending up to 4 shards
and scattering beyond, rings of given slots, steps taken in order by every owner, firing, and the merge at shard 0, which waits for a head
of every sender that has not ended the step. Not played: pools (they hold more than the rings), markers, caches.

What comes out is a prediction, as good as the costs that went in; docs/SCALING.md says where those come from and how far
the prediction is from what was measured with 1 and 2 shards.

usage: simulate_steps.py [--scenario NAME ...] [--shards 1,2,4] [--cost NAME=VALUE ...] [--seed N] [--svg FILE] [--json FILE]
"""
import argparse
import dataclasses
import heapq
import json
import random
import sys
from collections import deque

BATCH = 4096  # rows
LEND_SHARDS = 4
DRAIN_TURNS = 16


@dataclasses.dataclass
class Costs:
    """Nanoseconds and bytes. Of 10 s windows, COUNT, SUM, MIN, MAX over 10,000 random keys in memory tables; see docs/SCALING.md."""

    front: float = 1.2  # a row: decode, watermark; with partials also their folding
    scatter: float = 1.0  # a row: hash of the keys, partition (2 shards and more)
    copy: float = 1.5  # a row: into the receiver's batch (beyond LEND_SHARDS)
    gather: float = 1.0  # a row at its owner, out of a lent batch (up to LEND_SHARDS)
    window: float = 4.0  # a row at its owner: window, probe, fold
    fire: float = 30.0  # a group
    merge: float = 15.0  # a result at the sink
    send: float = 150.0  # a batch into a ring: open, push, later take back
    receive: float = 250.0  # a batch out of a ring: shell, calls of operators
    step: float = 1500.0  # a step at each owner: begin, end
    cut: float = 300.0  # under the token
    line: float = 60.0  # one line that another core has written
    bytes_row: float = 24.0  # that come from memory
    memory: float = 1e9  # GB/s of the whole machine; 1e9: no limit


@dataclasses.dataclass
class Job:
    """One run. Shares, speeds and splits are given by the scenario."""

    shards: int = 1
    steps: int = 400
    step_rows: int = 16384
    slots: int = 64
    run_ahead: int = 64
    look_back: int = 8
    groups: int = 10000
    window_steps: int = 61
    partials: int = 0  # groups that a front sends per step in place of rows; 0: rows
    splits: tuple = ()  # rows of each split, all its steps but the last whole; (): one endless
    offsets: tuple = ()  # event time of each split's first row, in rows
    shares: tuple = ()  # of the rows, per owner; (): equal
    slowness: tuple = ()  # factor per shard; (): 1
    stall: tuple = ()  # (shard, at ns, for ns)
    costs: Costs = dataclasses.field(default_factory=Costs)


class Shard:
    def __init__(self, index, job):
        n = job.shards
        self.index = index
        self.slow = job.slowness[index] if job.slowness else 1.0
        self.share = job.shares[index] if job.shares else 1.0 / n
        self.idle_since = None
        self.idle = 0.0
        self.held_by = "order"  # why it last did not go on with its own step
        self.turn = [0, 0]  # actions of stage 2 and 1 in this turn
        self.step = None  # of the front
        self.left = 0  # rows of it not decoded
        self.flushed = False
        self.unsent = deque()  # (receiver, rows)
        self.open = [0.0] * n  # rows in the open batch per receiver
        self.at = 0  # step of stage 1
        self.firing = None  # rows still to fire
        self.busy = {"front": 0.0, "window": 0.0, "merge": 0.0, "cut": 0.0}
        self.stalled = False


class Simulation:
    def __init__(self, job):
        self.job, self.costs, self.n = job, job.costs, job.shards
        self.shards = [Shard(i, job) for i in range(self.n)]
        self.rings = [[deque() for _ in range(self.n)] for _ in range(self.n)]  # [sender][receiver]
        self.results = [deque() for _ in range(self.n)]  # to shard 0: (step, rows, position)
        self.cutter, self.rows_of, self.split_of, self.decoded, self.done_at = [], [], [], [], []
        self.merge_step = 0
        self.token = False
        self.events, self.sequence, self.now = [], 0, 0.0
        self.idle_by = dict.fromkeys(("order", "cursor token", "run-ahead K", "look-back D", "ring"), 0.0)
        self.merge_waits = 0
        self.reached, self.depth_max, self.depth_sum, self.pushes = 0, 0, 0, 0
        self.token_busy, self.fronts, self.rows_sent = 0.0, 0, 0.0
        self.last_cut = None  # (time, steps finished then)
        self.split_left = list(job.splits) if job.splits else None
        self.split_time = list(job.offsets) if job.offsets else [0] * max(1, len(job.splits))
        self.split_known = [None] * max(1, len(job.splits))
        self.split_steps = [0] * max(1, len(job.splits))
        self.known_through = 0
        self.mark_of = []

    # ---- events ----

    def start(self, shard, kind, cost, effect):
        job = self.job
        cost *= shard.slow
        if job.stall and not shard.stalled and shard.index == job.stall[0] and self.now >= job.stall[1]:
            shard.stalled = True
            cost += job.stall[2]
        shard.busy[kind] += cost
        self.sequence += 1
        heapq.heappush(self.events, (self.now + cost, self.sequence, shard.index, effect))

    def wake(self, index):
        shard = self.shards[index]
        if shard.idle_since is not None:
            shard.idle += self.now - shard.idle_since
            self.idle_by[shard.held_by] += self.now - shard.idle_since
            shard.idle_since = None
            shard.turn = [0, 0]
            self.act(shard)

    def wake_all(self):
        for i in range(self.n):
            self.wake(i)

    def run(self):
        for shard in self.shards:
            self.act(shard)
        while self.events:
            self.now, _, index, effect = heapq.heappop(self.events)
            effect()
            self.act(self.shards[index])
        if len(self.done_at) != len(self.cutter):
            raise AssertionError(f"{len(self.cutter)} steps cut, {len(self.done_at)} done: the shards wait for each other")
        return self.report()

    def act(self, shard):
        """One turn's next action: stage 2, stage 1, front, token; what has no work is passed over."""
        for stage, attempt in ((0, self.try_merge), (1, self.try_window)):
            if shard.turn[stage] < DRAIN_TURNS and attempt(shard):
                shard.turn[stage] += 1
                return
        worked, step = shard.turn[0] + shard.turn[1] > 0, shard.step
        shard.turn = [0, 0]
        if self.try_front(shard):
            return
        if worked or shard.step != step:
            self.act(shard)
        else:
            shard.idle_since = self.now

    # ---- the token ----

    def min_done(self):
        return len(self.done_at)

    def known_advance(self):
        upto = max(0, len(self.cutter) - self.job.look_back)
        while self.known_through < upto:
            s = self.known_through
            if not self.decoded[s]:
                return False
            self.split_known[self.split_of[s]] = max(self.split_known[self.split_of[s]] or 0, self.mark_of[s])
            self.known_through += 1
        return True

    def choose_split(self):
        live = [i for i, left in enumerate(self.split_left) if left > 0]
        if not live:
            return None
        return min(live, key=lambda i: (-1 if self.split_known[i] is None else self.split_known[i], self.split_steps[i], i))

    def try_cut(self, shard):
        job, next_step = self.job, len(self.cutter)
        shard.held_by = "order"
        if self.split_left is None and next_step >= job.steps:
            return False
        if self.token:
            shard.held_by = "cursor token"
            return False
        if next_step - self.min_done() >= job.run_ahead:
            shard.held_by = "run-ahead K"
            return False
        split, rows = 0, job.step_rows
        if self.split_left is not None:
            if len(self.split_left) > 1 and not self.known_advance():
                shard.held_by = "look-back D"
                return False
            split = self.choose_split()
            if split is None:
                return False
            rows = min(rows, self.split_left[split])
        self.token = True
        held = self.costs.cut * shard.slow
        self.token_busy += held

        def effect():
            self.token = False
            if self.split_left is not None:
                self.split_left[split] -= rows
                self.split_steps[split] += 1
                self.split_time[split] += rows
            self.cutter.append(shard.index)
            self.rows_of.append(rows)
            self.split_of.append(split)
            self.mark_of.append(self.split_time[split])
            self.decoded.append(False)
            shard.step, shard.left, shard.flushed = next_step, rows, False
            self.reached = max(self.reached, len(self.cutter) - self.min_done())
            more = len(self.cutter) < job.steps if self.split_left is None else any(self.split_left)
            if not more:
                self.last_cut = (self.now, self.min_done())
            self.wake_all()

        # release_pieces() looks at every shard's progress before, without the token
        before = self.costs.line * self.n if self.n > 1 else 0.0
        self.start(shard, "cut", self.costs.cut + before, effect)
        return True

    # ---- stage 0 ----

    def fires(self, step):
        return self.job.groups > 0 and (step + 1) % self.job.window_steps == 0

    def push(self, shard):
        """Unsent batches into rings. False: one is full; the others get theirs."""
        kept = deque()
        while shard.unsent:
            q, rows = shard.unsent.popleft()
            ring = self.rings[shard.index][q]
            if len(ring) >= self.job.slots or any(k[0] == q for k in kept):
                kept.append((q, rows))
                continue
            ring.append((shard.step, rows))
            self.pushes += 1
            self.depth_sum += len(ring)
            self.depth_max = max(self.depth_max, len(ring))
            if q != shard.index:
                self.wake(q)
        shard.unsent = kept
        return not kept

    def scatter(self, shard, rows):
        """The batches that are full after @rows more."""
        full = []
        for owner in self.shards:
            q = owner.index
            shard.open[q] += rows * owner.share
            if shard.open[q] > 0 and (self.n <= LEND_SHARDS and not self.job.partials or shard.open[q] >= BATCH):
                full.append((q, shard.open[q]))
                shard.open[q] = 0.0
        return full

    def finish_alone(self, shard):
        """One shard: no exchange, all operators in one stage."""
        c, step = self.costs, shard.step
        results = self.job.groups if self.fires(step) else 0
        folded = self.job.partials * c.window

        def effect():
            self.decoded[step] = True
            self.done_at.append(self.now)
            shard.step = None

        self.start(shard, "front", c.step + folded + results * (c.fire + c.merge), effect)

    def try_front(self, shard):
        job, c = self.job, self.costs
        if shard.step is None:
            return self.try_cut(shard)
        if shard.unsent and not self.push(shard):
            shard.held_by = "ring"
            return False
        if shard.left > 0:
            rows = min(BATCH, shard.left)
            work, full = c.front, []
            if self.n == 1:
                work += 0 if job.partials else c.window
            elif not job.partials:
                work += c.scatter + (c.copy if self.n > LEND_SHARDS else 0)
                full = self.scatter(shard, rows)
            self.fronts += 1
            cost = max(rows * work, rows * c.bytes_row * self.fronts / c.memory) + len(full) * c.send

            def effect():
                self.fronts -= 1
                shard.left -= rows
                shard.unsent.extend(full)
                self.push(shard)

            self.start(shard, "front", cost, effect)
            return True
        if self.n == 1:
            self.finish_alone(shard)
            return True
        if not shard.flushed:
            extra, full = 0.0, []
            if job.partials:
                full = self.scatter(shard, job.partials)
                extra = job.partials * (c.scatter + c.copy)
            full += [(q, rows) for q, rows in enumerate(shard.open) if rows > 0]
            shard.open = [0.0] * self.n
            shard.flushed = True

            def flush():
                shard.unsent.extend(full)
                self.push(shard)

            self.start(shard, "front", extra + len(full) * c.send, flush)
            return True
        self.decoded[shard.step] = True
        shard.step = None
        self.wake_all()
        return self.try_cut(shard)

    # ---- stage 1 ----

    def try_window(self, shard):
        c, q = self.costs, shard.index
        if self.n == 1:
            return False
        if shard.firing is not None:
            return self.try_fire(shard)
        if shard.at >= len(self.cutter):
            return False
        ring = self.rings[self.cutter[shard.at]][q]
        if ring and ring[0][0] == shard.at:
            _, rows = ring.popleft()
            if self.cutter[shard.at] != q:
                self.wake(self.cutter[shard.at])
            work = c.window + (c.gather if self.n <= LEND_SHARDS and not self.job.partials else 0)
            self.start(shard, "window", c.receive + rows * work, lambda: None)
            return True
        if not self.decoded[shard.at]:
            return False

        def effect():
            if self.fires(shard.at):
                shard.firing = self.job.groups / self.n
            else:
                self.owner_done(shard)

        self.start(shard, "window", c.step, effect)
        return True

    def try_fire(self, shard):
        if len(self.results[shard.index]) >= self.job.slots:
            shard.held_by = "ring"
            return False
        rows = min(BATCH, shard.firing)
        total = self.job.groups / self.n

        def effect():
            self.results[shard.index].append((shard.at, rows, 1 - shard.firing / total))
            shard.firing -= rows
            if shard.firing <= 0:
                shard.firing = None
                self.owner_done(shard)
            self.wake(0)

        self.start(shard, "window", rows * self.costs.fire + self.costs.send, effect)
        return True

    def owner_done(self, shard):
        shard.at += 1
        self.wake(0)

    # ---- stage 2 ----

    def try_merge(self, shard):
        c, s = self.costs, self.merge_step
        if shard.index != 0 or self.n == 1 or s >= len(self.cutter):
            return False
        heads = [(ring[0][2], j) for j, ring in enumerate(self.results) if ring and ring[0][0] == s]
        missing = any(other.at <= s and not self.results[j] for j, other in enumerate(self.shards))
        if heads and missing:
            self.merge_waits += 1
        if missing:
            return False
        if heads:
            j = min(heads)[1]
            _, rows, _ = self.results[j].popleft()
            if j != 0:
                self.wake(j)
            self.start(shard, "merge", c.receive + rows * c.merge, lambda: None)
            return True

        def effect():
            self.merge_step += 1
            self.done_at.append(self.now)
            self.wake_all()

        self.start(shard, "merge", c.line * self.n, effect)
        return True

    # ---- what it came to ----

    def report(self):
        time = self.now
        done = self.last_cut[1] if self.last_cut else len(self.done_at)
        first = done // 4
        if done - first >= 16 and not self.job.stall:
            rate = sum(self.rows_of[first:done]) / (self.done_at[done - 1] - self.done_at[first - 1]
                                                    if first > 0 else self.done_at[done - 1])
        else:
            rate = sum(self.rows_of) / time
        use = {"cursor token": self.token_busy / time,
               "merge at the sink": self.shards[0].busy["merge"] / time,
               "memory bandwidth": rate * self.costs.bytes_row / self.costs.memory,
               "owner": max(s.busy["window"] for s in self.shards) / time}
        working = [1 - s.idle / time for s in self.shards]
        return {"shards": self.n, "rows_per_second": rate * 1e9, "seconds": time / 1e9,
                "rows": sum(self.rows_of), "run_ahead": self.reached, "ring_max": self.depth_max,
                "ring_mean": self.depth_sum / self.pushes if self.pushes else 0.0,
                "waiting": 1 - sum(working) / self.n, "use": use, "merge_waits": self.merge_waits,
                "idle_by": {name: idle / self.n / time for name, idle in self.idle_by.items()},
                "bottleneck": self.bottleneck(use, working)}

    def bottleneck(self, use, working):
        """What is in use all the time; if nothing is, what the idle shards waited for most."""
        busiest = max(range(self.n), key=lambda i: working[i])
        waited = max(self.idle_by, key=self.idle_by.get)
        if use["memory bandwidth"] > 0.9:
            return "memory bandwidth"
        if use["cursor token"] > 0.9:
            return "cursor token"
        if sum(working) / self.n > 0.9:
            return "cores"
        if waited == "look-back D":
            return waited
        if working[busiest] > 0.9:
            merging = busiest == 0 and use["merge at the sink"] > use["owner"] / 2
            return "merge at the sink" if merging else f"owner {busiest}"
        return waited


# ---- scenarios ----


def hot(n, fraction):
    return tuple(fraction * (i == n // 2) + (1 - fraction) / n for i in range(n))


def zipf(n, keys, exponent, rng):
    shares = [0.0] * n
    for k in range(keys):
        shares[rng.randrange(n)] += (k + 1) ** -exponent
    return tuple(s / sum(shares) for s in shares)


def slow(n, factor):
    return tuple(factor if i == n - 1 and n > 1 else 1.0 for i in range(n))


def uneven(n, rng):
    """Files of 1/4 to 60 steps, as many rows in all as otherwise."""
    left, sizes = 16384 * steps_for(n), []
    while left > 0:
        sizes.append(min(left, 16384 // 4 * 2 ** rng.randrange(8)))
        left -= sizes[-1]
    return tuple(sizes)


def steps_for(n):
    return 320 + 5 * n


SCENARIOS = {
    "uniform": lambda n, rng: {},
    "partials": lambda n, rng: {"partials": 1000, "groups": 1000},
    "hot key 10 %": lambda n, rng: {"shares": hot(n, 0.1)},
    "hot key 40 %": lambda n, rng: {"shares": hot(n, 0.4)},
    "hot key 80 %": lambda n, rng: {"shares": hot(n, 0.8)},
    "Zipf 1.1": lambda n, rng: {"shares": zipf(n, 10000, 1.1, rng)},
    "one shard 2 times slower": lambda n, rng: {"slowness": slow(n, 2.0)},
    "one shard 10 times slower": lambda n, rng: {"slowness": slow(n, 10.0)},
    "one shard stalls for 10 ms": lambda n, rng: {"stall": (n - 1, 3e6, 1e7)},
    "uneven splits": lambda n, rng: {"splits": uneven(n, rng)},
    "splits an hour apart": lambda n, rng: {"splits": (16384 * steps_for(n) // 2,) * 2, "offsets": (0, 16384 * steps_for(n))},
    "a million groups": lambda n, rng: {"groups": 1000000},
}


def make_job(scenario, n, seed, costs):
    given = SCENARIOS[scenario](n, random.Random(f"{seed} {scenario} {n}"))
    job = Job(shards=n, steps=steps_for(n), costs=dataclasses.replace(costs))
    for name, value in given.items():
        setattr(job.costs if hasattr(job.costs, name) else job, name, value)
    if job.partials:
        job.costs.front += job.costs.window  # the front folds
    return job


# ---- output ----


def svg(results, path):
    """Throughput over cores, both axes logarithmic, one line per scenario."""
    from math import log
    width, height, left, top, right, bottom = 860, 520, 70, 40, 250, 50
    counts = sorted({r["shards"] for r in results})
    rates = [r["rows_per_second"] / 1e6 for r in results]
    low, high = min(rates) * 0.8, max(rates) * 1.25
    colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999",
               "#6a3d9a", "#b15928", "#1b7837", "#b2182b", "#4d4d9a"]

    def x(n):
        return left + (width - left - right) * log(n / counts[0]) / max(log(counts[-1] / counts[0]), 1e-9)

    def y(rate):
        return height - bottom - (height - top - bottom) * log(rate / low) / log(high / low)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="white"/>',
           f'<text x="{left}" y="22" font-size="15">Predicted throughput over shards, one core each (simulation)</text>']
    for n in counts:
        out.append(f'<line x1="{x(n):.1f}" y1="{top}" x2="{x(n):.1f}" y2="{height - bottom}" stroke="#ddd"/>'
                   f'<text x="{x(n):.1f}" y="{height - bottom + 18}" text-anchor="middle">{n}</text>')
    for e in range(0, 8):
        for m in (1, 2, 5):
            rate = m * 10 ** e
            if low <= rate <= high:
                out.append(f'<line x1="{left}" y1="{y(rate):.1f}" x2="{width - right}" y2="{y(rate):.1f}" stroke="#ddd"/>'
                           f'<text x="{left - 6}" y="{y(rate) + 4:.1f}" text-anchor="end">{rate}</text>')
    out.append(f'<text x="{(left + width - right) / 2}" y="{height - 12}" text-anchor="middle">shards</text>'
               f'<text x="18" y="{(height - bottom + top) / 2}" transform="rotate(-90 18 {(height - bottom + top) / 2})" '
               'text-anchor="middle">million rows/s</text>')
    names = list(dict.fromkeys(r["scenario"] for r in results))
    last = {s: [r for r in results if r["scenario"] == s][-1]["rows_per_second"] for s in names}
    for place, name in enumerate(sorted(names, key=lambda s: -last[s])):
        colour = colours[names.index(name) % len(colours)]
        points = " ".join(f'{x(r["shards"]):.1f},{y(r["rows_per_second"] / 1e6):.1f}' for r in results if r["scenario"] == name)
        at = top + 16 + place * 20
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
                   f'<line x1="{width - right + 16}" y1="{at - 4}" x2="{width - right + 40}" y2="{at - 4}" stroke="{colour}" '
                   f'stroke-width="3"/><text x="{width - right + 46}" y="{at}">{name}</text>')
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n</svg>\n")


def table(results):
    lines = ["| scenario | shards | M rows/s | of 1 shard | run-ahead | ring max | ring mean | waiting | bottleneck |",
             "|---|---:|---:|---:|---:|---:|---:|---:|---|"]
    one = {}
    for r in results:
        one.setdefault(r["scenario"], r["rows_per_second"] / r["shards"] if r["shards"] > 1 else r["rows_per_second"])
        lines.append(f"| {r['scenario']} | {r['shards']} | {r['rows_per_second'] / 1e6:,.0f} | "
                     f"{r['rows_per_second'] / one[r['scenario']]:.1f} | {r['run_ahead']} | {r['ring_max']} | {r['ring_mean']:.1f} | "
                     f"{r['waiting']:.0%} | {r['bottleneck']} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS))
    parser.add_argument("--shards", default="1,2,4,8,16,32,64,128")
    parser.add_argument("--cost", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--svg")
    parser.add_argument("--json")
    options = parser.parse_args()
    costs = Costs()
    for given in options.cost:
        name, _, value = given.partition("=")
        if name not in {f.name for f in dataclasses.fields(Costs)}:
            sys.exit(f"simulate_steps.py: no cost is called '{name}': {', '.join(f.name for f in dataclasses.fields(Costs))}")
        setattr(costs, name, float(value))
    results = []
    for scenario in options.scenario or SCENARIOS:
        for n in (int(n) for n in options.shards.split(",")):
            results.append({"scenario": scenario, **Simulation(make_job(scenario, n, options.seed, costs)).run()})
    print(table(results))
    if options.svg:
        svg(results, options.svg)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
