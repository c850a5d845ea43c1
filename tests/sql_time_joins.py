#!/usr/bin/env python3
"""Interval and window joins of random streams against a row-by-row recomputation.

Each seed makes a CSV of rows of two sides (some of both) with disorder, late rows, equal times, NULL keys and values, and one join:
inner, left, right, full, semi or anti; by no key, one, or two, one of them IS NOT DISTINCT FROM; with or without a further condition. The answer
is recomputed by definition, step by step and row by row: of one step the left rows come first, each judged by the
watermark of its own place. An interval join keeps a row as long as the watermark has not reached its last possible partner's
time; half of those feed a tumbling window, whose watermark is held back by the larger side of the interval. A window join fires when the window closes.
Sides may be files of their own: then without late rows, and the order is that of one shard.
The command must give these rows, in this order, as the same bytes for 1, 2, 3 and 8 shards and for any batch size, ring size,
instruction set and state round trip.
"""
import os, random, sys

import sqlkit
from sqlkit import time_text

RINGS = [int(x) for x in os.environ.get("MILL_RINGS", "8,64").split(",")]
STEP_BYTES = 700
NEVER = -(10 ** 18)


def interval(ms):
    return "INTERVAL '%s%d.%03d' SECOND" % ("-" if ms < 0 else "", abs(ms) // 1000, abs(ms) % 1000)


def plus(ms):
    return (" - " if ms < 0 else " + ") + interval(abs(ms))


class Row:
    def __init__(self, id_, ms, side, k, q, v):
        self.id, self.ms, self.side, self.k, self.q, self.v = id_, ms, side, k, q, v

    def line(self):
        return ",".join([str(self.id), time_text(self.ms), self.side] + ["\\N" if x is None else str(x) for x in (self.k, self.q, self.v)]) + "\n"


def make_rows(r):
    rows, t = [], r.choice([0, -50_000, 1_700_000_000_000])
    keys = r.choice([[1, 2, 3, None], ["a", "b", "a longer key than twelve", "", None], list(range(40))])
    if "" in keys:
        keys = [x for x in keys if x != ""]
    for i in range(r.randint(1, 260)):
        t += r.choice([0, 0, 1, 7, 100, 400])
        ms = t - r.choice([0, 0, 0, r.randint(0, 3000)])
        rows.append(Row(i, ms, r.choice("LLRRB"), r.choice(keys), r.choice([None, 1, 2]), r.choice([None, r.randint(0, 9)])))
    return rows, isinstance(keys[0], str)


def steps_of(rows):
    """Rows by step: a step ends at the last row end within its bytes."""
    steps, used = [[]], 0
    for row in rows:
        n = len(row.line().encode())
        if used + n > STEP_BYTES and steps[-1]:
            steps.append([])
            used = 0
        steps[-1].append(row)
        used += n
    return steps


def with_watermarks(rows, delay):
    """[(rows of the step with W just before each, W before it, W after it)]; the end of the input is a step without rows"""
    out, w = [], NEVER
    for step in steps_of(rows):
        before, judged = w, []
        for row in step:
            judged.append((row, w))
            w = max(w, row.ms - delay)
        out.append((judged, before, w))
    return out + [([], w, -NEVER)]


class Spec:
    def __init__(self, r):
        self.type = r.choice(["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "SEMI", "ANTI"])
        self.keys = r.choice([[], ["k"], ["k"], ["k", "q"], ["q", "k"]])
        self.safe = [x for x in self.keys if r.random() < 0.25]
        self.residual = r.random() < 0.4

    def pads(self, side):
        return self.type in (("LEFT JOIN", "FULL JOIN", "ANTI"), ("RIGHT JOIN", "FULL JOIN"))[side]

    def equal(self, a, b):
        for x in self.keys:
            p, q = getattr(a, x), getattr(b, x)
            if p != q or (p is None and x not in self.safe):
                return False
        return not self.residual or (a.v is not None and b.v is not None and a.v <= b.v)

    def condition(self, a, b, more):
        parts = ["%s.%s %s %s.%s" % (a, x, "IS NOT DISTINCT FROM" if x in self.safe else "=", b, x) for x in self.keys] + more
        return " AND ".join(parts + (["%s.v <= %s.v" % (a, b)] if self.residual else []))


def interval_oracle(steps, spec, lower, upper):
    """[(left or None, right or None, W that judges it)] in order, and how many rows were late."""
    reach, kept, out, late = (-lower, upper), ([], []), [], 0      # kept: [row, has it met somebody, (step, place)]
    time = lambda e: e[0].ms
    for number, (judged, before, after) in enumerate(steps):
        for side in (0, 1):
            for place, (row, w) in enumerate(judged):
                if row.side not in ("LB", "RB")[side]:
                    continue
                met = False
                for e in sorted(kept[1 - side], key=time):
                    a, b = (row, e[0]) if side == 0 else (e[0], row)
                    if not (lower <= a.ms - b.ms <= upper and w < time(e) + reach[1 - side] and spec.equal(a, b)):
                        continue
                    if spec.type == "SEMI":
                        if (side == 0 and not met) or (side == 1 and not e[1]):
                            out.append((a, None, w))
                    elif spec.type != "ANTI":
                        out.append((a, b, w))
                    met = met or side == 0 or spec.type not in ("SEMI", "ANTI") or not e[1]   # or it was the first to meet e
                    e[1] = True
                if w < row.ms + reach[side]:
                    kept[side].append([row, met, (number, place)])
                elif not met and spec.pads(side):
                    out.append((row, None, w) if side == 0 else (None, row, w))
                elif not met and row.ms <= w:
                    late += 1
        gone = []
        for side in (0, 1):
            gone += [(time(e), e[2][0], side, e[2][1], e) for e in kept[side] if time(e) + reach[side] <= after and not e[1] and spec.pads(side)]
            kept[side][:] = [e for e in kept[side] if time(e) + reach[side] > after]
        out += [(e[0], None, before) if side == 0 else (None, e[0], before) for _, _, side, _, e in sorted(gone, key=lambda x: x[:4])]
    return out, late


def windows_of(kind, size, slide, ms):
    if kind == "CUMULATE":
        start = ms // size * size
        return [(start, start + n * slide) for n in range(1, size // slide + 1) if ms < start + n * slide]
    start, out = ms // slide * slide, []
    while start > ms - size:
        out.append((start, start + size))
        start -= slide
    return out


def order_key(x):
    return (0, 0) if x is None else (1, x.encode() if isinstance(x, str) else x)


def window_join_oracle(steps, spec, window):
    """[(left, right, start, end)] in order, and how many copies of rows were late."""
    groups, late = {}, 0
    for judged, _, _ in steps:
        for side in (0, 1):
            for row, w in judged:
                if row.side in ("LB", "RB")[side]:
                    for start, end in windows_of(*window, row.ms):
                        if end - 1 <= w:
                            late += 1
                        else:
                            key = (end,) + tuple(order_key(getattr(row, x)) for x in spec.keys)
                            groups.setdefault(key, (start, [], []))[1 + side].append(row)
    out = []
    for key in sorted(groups):
        start, left, right = groups[key]
        met = set()
        for a in left:
            partners = [b for b in right if spec.equal(a, b)]
            met.update(b.id for b in partners)
            if spec.type in ("SEMI", "ANTI"):
                partners = [None] if bool(partners) == (spec.type == "SEMI") else []
            elif not partners and spec.pads(0):
                partners = [None]
            out += [(a, b, start, key[0]) for b in partners]
        if spec.pads(1):
            out += [(None, b, start, key[0]) for b in right if b.id not in met]
    return out, late


def count_windows(pairs, size, hold, side):
    """Rows per tumbling window over the time of one side of the results; and how many were late."""
    counts, late = {}, 0
    for pair in pairs:
        row, w = pair[side], pair[2]
        if row is None:
            continue
        end = row.ms // size * size + size
        if w != NEVER and end - 1 <= w - hold:
            late += 1
        else:
            counts[end] = counts.get(end, 0) + 1
    return ["%s,%d" % (time_text(end), counts[end]) for end in sorted(counts)], late


def ddl(path, text_keys, delay):
    return f"""CREATE TABLE t (id INT, ts TIMESTAMP(3), s STRING, k {"STRING" if text_keys else "INT"}, q INT, v INT, WATERMARK FOR ts AS ts - {interval(delay)})
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{path}', 'csv.null-literal' = '\\N');
CREATE VIEW l AS SELECT * FROM t WHERE s <> 'R';
CREATE VIEW r AS SELECT * FROM t WHERE s <> 'L';
"""


def two_tables(paths, text_keys, delay):
    """The sides from files of their own, which the engine interleaves by time."""
    return "".join(f"""CREATE TABLE {name} (id INT, ts TIMESTAMP(3), s STRING, k {"STRING" if text_keys else "INT"}, q INT, v INT, WATERMARK FOR ts AS ts - {interval(delay)})
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{path}', 'csv.null-literal' = '\\N');
""" for name, path in zip("lr", paths))


def cell(row):
    return "," if row is None else "%d,%s" % (row.id, time_text(row.ms))


def interval_case(r, steps, spec):
    a, b = sorted([r.choice([0, 1, 50, 500, 2000, 6000, -1, -50, -500, -2000]), r.choice([0, 1, 50, 500, 2000, 6000, -500])])
    if r.random() < 0.1:
        a, b = b + 1, a                    # nothing lies between
    form, left, right = r.randint(0, 3), "l.ts", "r.ts"
    lower, upper = a, b
    if form == 0:
        bounds = "l.ts BETWEEN r.ts%s AND r.ts%s" % (plus(a), plus(b))
    elif form == 1:
        bounds = "r.ts BETWEEN l.ts%s AND l.ts%s" % (plus(-b), plus(-a))
    elif form == 2:
        bounds = "l.ts > r.ts%s AND l.ts < r.ts%s" % (plus(a - 1), plus(b + 1))
    else:
        bounds = "r.ts%s <= l.ts AND l.ts%s <= r.ts" % (plus(a), plus(-b))
    pairs, late = interval_oracle(steps, spec, lower, upper)
    condition = spec.condition("l", "r", [bounds])
    if spec.type in ("SEMI", "ANTI"):
        body = "FROM l WHERE %sEXISTS (SELECT 1 FROM r WHERE %s)" % ("NOT " if spec.type == "ANTI" else "", condition)
    else:
        body = "FROM l %s r ON %s" % (spec.type, condition)
    one_side = spec.type in ("SEMI", "ANTI")
    if r.random() < 0.5:
        side, size = (0 if one_side else r.randint(0, 1)), r.choice([200, 1000, 5000])
        hold = max(0, -lower, upper)
        expected, late_results = count_windows(pairs, size, hold, side)
        sql = "SELECT window_end, COUNT(*) FROM TABLE(TUMBLE((SELECT %s.ts AS at %s), DESCRIPTOR(at), %s)) GROUP BY window_start, window_end;" % (
            "lr"[side], body, interval(size))
        sql = "CREATE VIEW j AS SELECT %s.ts AS at %s;\n" % ("lr"[side], body) + sql.replace("(SELECT %s.ts AS at %s)" % ("lr"[side], body), "TABLE j")
        return sql, expected, late + late_results
    sql = "SELECT l.id, l.ts%s %s;" % ("" if one_side else ", r.id, r.ts", body)
    return sql, [cell(p[0]) + ("" if one_side else "," + cell(p[1])) for p in pairs], late


def window_case(r, steps, spec):
    kind = r.choice(["TUMBLE", "TUMBLE", "HOP", "CUMULATE"])
    slide = r.choice([250, 1000, 1700])
    size = slide if kind == "TUMBLE" else slide * r.randint(1, 4)
    pairs, late = window_join_oracle(steps, spec, (kind, size, slide))
    lengths = {"TUMBLE": [size], "HOP": [slide, size], "CUMULATE": [slide, size]}[kind]
    call = "TABLE(%s(TABLE %%s, DESCRIPTOR(ts), %s))" % (kind, ", ".join(interval(x) for x in lengths))
    condition = spec.condition("a", "b", ["a.window_start = b.window_start", "a.window_end = b.window_end"])
    one_side = spec.type in ("SEMI", "ANTI")
    if one_side:
        body = "SELECT a.id, a.ts, a.window_start, a.window_end FROM (SELECT * FROM %s) a WHERE %sEXISTS (SELECT 1 FROM (SELECT * FROM %s) b WHERE %s);" % (
            call % "l", "NOT " if spec.type == "ANTI" else "", call % "r", condition)
    else:
        body = "SELECT a.id, a.ts, b.id, b.ts, COALESCE(a.window_start, b.window_start), COALESCE(a.window_end, b.window_end) FROM (SELECT * FROM %s) a %s (SELECT * FROM %s) b ON %s;" % (
            call % "l", spec.type, call % "r", condition)
    rows = [cell(a) + ("" if one_side else "," + cell(b)) + ",%s,%s" % (time_text(start), time_text(end)) for a, b, start, end in pairs]
    return body, rows, late


def run(sql, shards, r, seed):
    env = sqlkit.round_trip(r, seed)
    if r.random() < 0.3:
        env["MILL_ISA"] = "scalar"
    return sqlkit.run(sql, shards, r, STEP_BYTES, env=env, rings=RINGS)


def one(seed, directory):
    r = random.Random(seed)
    rows, text_keys = make_rows(r)
    spec, delay = Spec(r), r.choice([0, 1, 500, 5000])
    steps = with_watermarks(rows, delay)
    sql, expected, late = (window_case if seed % 3 == 2 else interval_case)(r, steps, spec)
    path = os.path.join(directory, "t%d.csv" % seed)
    with open(path, "w") as f:
        f.writelines(row.line() for row in rows)
    apart = delay == 5000 and r.random() < 0.5         # no row is late: the answer does not depend on who comes first, only its order
    if apart:
        paths = [os.path.join(directory, "%s%d.csv" % (name, seed)) for name in "lr"]
        for path, other in zip(paths, "RL"):
            with open(path, "w") as f:
                f.writelines(row.line() for row in rows if row.side != other)
        expected.sort()
    sql = (two_tables(paths, text_keys, delay) if apart else ddl(path, text_keys, delay)) + sql
    for shards in (1, 2, 3, 8):
        code, out, err = run(sql, shards, r, seed)
        got = out.split("\n")[1:-1]
        if apart and shards == 1:
            first = got
        if apart and code == 0 and got == first:
            got = sorted(got)
        if code != 0 or got != expected or '"late": %d,' % late not in err:
            diff = next((i for i, (a, b) in enumerate(zip(got, expected)) if a != b), min(len(got), len(expected)))
            return "seed %d, %d shards, delay %d: exit %d, %d rows of %d, late expected %d; row %d: got %s, expected %s\n%s\n%s" % (
                seed, shards, delay, code, len(got), len(expected), late, diff, got[diff] if diff < len(got) else "-",
                expected[diff] if diff < len(expected) else "-", sql.split("\n", 4)[-1], err.strip()[:600])
    return None


sys.exit(sqlkit.main("sql_time_joins", sqlkit.seed_count(16, 400), one))
