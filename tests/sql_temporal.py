#!/usr/bin/env python3
"""Temporal joins and ASOF JOIN against a recomputation row by row that keeps all versions.

Each seed makes rows of two sides with disorder, equal times, NULL keys, deletions, late versions and late rows of the left, and a join:
FOR SYSTEM_TIME AS OF or ASOF (>=, > or within a tolerance), inner or left, with or without a further condition on the pair. The sides are
views over one file (so rows of the left come late, too) or two files, the right one perhaps a stream of changes. By definition a row of
the left leaves when the watermark W reaches its time T and meets the newest version with time <= T (equal times: the later place) of those
that came while W < T. A row that comes when W >= T meets the newest version with time <= W, if its time is <= T. The command must give
these rows in order of release, as the same bytes for 1, 2, 3 and 8 shards, any batch size, ring size and state round trip, and count as
many late ones. Where the duckdb package is installed and nothing is late, its ASOF JOIN gives the same rows. Every fourth seed is a lookup join (FOR SYSTEM_TIME AS OF
processing time): each row of the left, in its place, with all that the whole table holds for its key, in the table's order.
"""
import json, os, random, sys

import sqlkit
from sqlkit import time_text

try:
    import duckdb
except ImportError:
    duckdb = None

NEVER = -10**15
OPEN = 10**15


class Join:
    """lower <= T - time of the right <= upper (None: no bound)."""

    def __init__(self, r):
        self.asof = r.random() < 0.5
        self.left = r.random() < 0.5
        self.lower = r.choice([0, 0, 1, 700]) if self.asof else 0
        self.upper = r.choice([None, self.lower, 1000, 4000]) if self.asof else None
        self.condition = r.random() < 0.3
        self.positive = self.asof and r.random() < 0.2  # the latest of the rows with r.v > 0

    def partner(self, list_, row, w, late):
        t = row[0]
        if late:
            kept = [v for v in list_ if v[0] <= w]
            best = max(kept, key=lambda v: (v[0], v[3])) if kept else None
            if best is not None and (best[0] > t or (self.upper is not None and w > best[0] + self.upper - self.lower)):
                best = None
        else:
            seen = [v for v in list_ if v[0] <= t and v[1] < t]
            best = max(seen, key=lambda v: (v[0], v[3])) if seen else None
            if best is not None and self.upper is not None and t > best[0] + self.upper - self.lower:
                best = None
        if best is None or best[2] is None:
            return None
        return best[2] if not self.condition or best[2][2] > row[2] else None


def oracle(join, steps):
    """steps: lists of (side, (time, key, value), kind, W just before), then the watermark after the step."""
    versions, waiting, out, late, number = {}, [], [], 0, 0

    def give(row, w, is_late):
        partner = None if row[1] is None else join.partner(versions.get(row[1], []), row, w, is_late)
        if partner is not None or join.left:
            out.append(row + ((None, None) if partner is None else (partner[0], partner[2])))

    for rows, after in steps:
        for side, row, kind, w in rows:
            if side == 0 and row[0] <= w:
                late += 1
                give(row, w, True)
            elif side == 0:
                waiting.append(row)
        for side, row, kind, w in rows:
            if side == 1 and row[1] is not None and kind != "-U" and (row[2] > 0 or not join.positive):
                number += 1
                time = row[0] + join.lower
                late += w >= time
                versions.setdefault(row[1], []).append((time, w, None if kind == "-D" else row, number))
        for row in sorted([x for x in waiting if x[0] <= after], key=lambda x: x[0]):
            give(row, None, False)
        waiting = [x for x in waiting if x[0] > after]
    return out, late


def make_rows(r, n, start, disorder):
    rows, t = [], start
    for _ in range(n):
        t += r.choice([0, 0, 1, 7, 100, 900])
        rows.append((t - r.choice([0, 0, 0, r.randint(0, disorder)]), r.choice([None, "a", "a", "b", "a longer key than twelve", ""]), r.randint(-100, 100)))
    return rows


def cell(x):
    return "\\N" if x is None else str(x)


def cut(lines, step_bytes):
    """The numbers of lines in each step: up to the last end of a line within it, else the first behind it."""
    steps, size, count = [], 0, 0
    for line in lines:
        if count > 0 and size + len(line) > step_bytes:
            steps.append(count)
            size = count = 0
        size += len(line)
        count += 1
    return steps + [count] if count else steps


TABLE = "(%sts TIMESTAMP(3), %sk STRING, v INT, WATERMARK FOR ts AS ts - INTERVAL '%d.%03d' SECOND%s) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '%s', 'csv.null-literal' = '\\N'%s);\n"


def one_file(r, directory, seed, delay, step_bytes):
    rows = [(r.randint(0, 1), x, "+I") for x in make_rows(r, r.randint(1, 300), r.choice([0, -50_000, 1_700_000_000_000]), 3000)]
    lines = ["%s,%d,%s,%d\n" % (time_text(x[0]), side, cell(x[1]), x[2]) for side, x, _ in rows]
    path = os.path.join(directory, "t%d.csv" % seed)
    open(path, "w").write("".join(lines))
    steps, w, at = [], NEVER, 0
    for n in cut(lines, step_bytes):
        step = []
        for side, x, kind in rows[at:at + n]:
            step.append((side, x, kind, w))
            w = max(w, x[0] - delay)
        steps.append((step, w))
        at += n
    sql = "CREATE TABLE t " + TABLE % ("", "side INT, ", delay // 1000, delay % 1000, ", PRIMARY KEY (k) NOT ENFORCED", path, "")
    sql += "CREATE VIEW l AS SELECT ts, k, v FROM t WHERE side = 0;\nCREATE VIEW r AS SELECT k, ts, v FROM t WHERE side = 1;\n"
    return sql, steps + [([], OPEN)], [path], [x for s, x, _ in rows if s == 0], [x for s, x, _ in rows if s == 1]


def make_changes(r, rows):
    """Kinds of the rows of a table with a key: -U before each +U, sometimes -D."""
    out, there = [], {}
    for x in rows:
        if x[1] is None:
            out.append((x, "+I"))
        elif x[1] in there and r.random() < 0.2:
            out.append(((x[0], x[1], there.pop(x[1])), "-D"))
        else:
            if x[1] in there:
                out.append(((x[0], x[1], there[x[1]]), "-U"))
            out.append((x, "+U" if x[1] in there else "+I"))
            there[x[1]] = x[2]
    return out


def two_files(r, directory, seed, delay, asof):
    start, disorder = r.choice([0, -50_000, 1_700_000_000_000]), r.choice([0, 3000])
    left, right = make_rows(r, r.randint(1, 300), start, disorder), make_rows(r, r.randint(1, 300), start, disorder)
    changes = not asof and r.random() < 0.5
    kinds = make_changes(r, right) if changes else [(x, "+I") for x in right]
    paths = [os.path.join(directory, "%s%d.csv" % (x, seed)) for x in "lr"]
    open(paths[0], "w").write("".join("%s,%s,%d\n" % (time_text(x[0]), cell(x[1]), x[2]) for x in left))
    open(paths[1], "w").write("".join("%s%s,%s,%d\n" % (k + "," if changes else "", time_text(x[0]), cell(x[1]), x[2]) for x, k in kinds))
    g, w, step = max(x[0] for x in left) - delay, NEVER, []
    for x, kind in kinds:
        step.append((1, x, kind, min(w, g)))
        w = max(w, x[0] - delay)
    sql = "CREATE TABLE l " + TABLE % ("", "", delay // 1000, delay % 1000, "", paths[0], "")
    view = not changes and not asof and random.Random(len(kinds) + delay).random() < 0.4  # the last row of each key of a table without one
    sql += "CREATE TABLE %s " % ("r_" if view else "r") + TABLE % ("", "", delay // 1000, delay % 1000, "" if view else ", PRIMARY KEY (k) NOT ENFORCED", paths[1],
                                        ", 'changelog.column' = 'op'" if changes else "")
    if view:
        sql += "CREATE VIEW r AS SELECT k, v, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) AS n FROM r_) WHERE n = 1;\n"
    return sql, [([(0, x, "+I", NEVER) for x in left], NEVER), (step, min(w, g)), ([], OPEN)], paths, left, right


def query(join):
    kind = "LEFT " if join.left else ""
    more = (" AND r.v > l.v" if join.condition else "") + (" AND r.v > 0" if join.positive else "")
    seconds = lambda ms: "INTERVAL '%d.%03d' SECOND" % (ms // 1000, ms % 1000)
    if not join.asof:
        return "SELECT l.ts, l.k, l.v, r.ts, r.v FROM l %sJOIN r FOR SYSTEM_TIME AS OF l.ts ON l.k = r.k%s;" % (kind, more)
    time = ["l.ts >= r.ts", "l.ts > r.ts"][join.lower] if join.lower < 2 else "l.ts >= r.ts + " + seconds(join.lower)
    if join.upper is not None:
        time += " AND l.ts - r.ts <= " + seconds(join.upper)
    return "SELECT l.ts, l.k, l.v, r.ts, r.v FROM l ASOF %sJOIN r ON l.k = r.k AND %s%s;" % (kind, time, more)


def text(row):
    field = lambda x: "" if x is None else '""' if x == "" else str(x)
    return ",".join([time_text(row[0]), field(row[1]), str(row[2]), "" if row[3] is None else time_text(row[3]), field(row[4])])


def duck(join, left, right):
    """ASOF JOIN of DuckDB, of what it can do: no two rows of the right with the same key and time, no further condition."""
    if duckdb is None or not join.asof or join.condition or join.lower > 1 or join.upper is not None or len(set(x[:2] for x in right)) < len(right):
        return None
    right = [x for x in right if x[2] > 0 or not join.positive]
    c = duckdb.connect(":memory:", config={"threads": 1})
    for name, rows in (("l", left), ("r", right)):
        c.execute("CREATE TABLE %s (ts BIGINT, k VARCHAR, v INT)" % name)
        if rows:
            c.executemany("INSERT INTO %s VALUES (?, ?, ?)" % name, rows)
    return c.execute("SELECT l.ts, l.k, l.v, r.ts, r.v FROM l ASOF %sJOIN r ON l.k = r.k AND l.ts %s r.ts" % (
        "LEFT " if join.left else "", ">=" if join.lower == 0 else ">")).fetchall()


def lookup(r, directory, seed):
    """A file and a table: with a key (newer rows take the place of older ones), of changes, or neither."""
    left, right = make_rows(r, r.randint(1, 300), 0, 3000), make_rows(r, r.randint(0, 40), 0, 3000)
    keyed, changes, outer, condition, by_value = r.random() < 0.4, r.random() < 0.5, r.random() < 0.5, r.random() < 0.3, r.random() < 0.3
    by_value = by_value and (changes or not keyed)  # a key twice without its changes is no table with that key
    kinds, held = [], []
    for x in right:
        if keyed and x[1] is not None:
            same = [y for y in held if y[1] == x[1]]
            if changes and same and r.random() < 0.3:
                kinds.append((same[0], "-D"))
                held.remove(same[0])
                continue
            if changes and same:
                kinds.append((same[0], "-U"))
            held = [y for y in held if y[1] != x[1]]
        elif changes and held and r.random() < 0.3:
            gone = r.choice(held)
            kinds.append((gone, "-D"))
            held.remove(gone)
        kinds.append((x, "+I"))
        held.append(x)
    paths = [os.path.join(directory, "%s%d.csv" % (x, seed)) for x in "lr"]
    open(paths[0], "w").write("".join("%s,%s,%d\n" % (time_text(x[0]), cell(x[1]), x[2]) for x in left))
    open(paths[1], "w").write("".join("%s%s,%s,%d\n" % (k + "," if changes else "", time_text(x[0]), cell(x[1]), x[2]) for x, k in kinds))
    end = "WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '%s', 'csv.null-literal' = '\\N'%s);\n"
    sql = "SET 'table.optimizer.join.broadcast-threshold' = '%d';\n" % r.choice([-1, 0, 1 << 20])  # the table by key, or whole in every shard
    sql += "CREATE TABLE l (ts TIMESTAMP(3), k STRING, v INT, p AS PROCTIME()) " + end % (paths[0], "")
    sql += "CREATE TABLE r (ts TIMESTAMP(3), k STRING, v INT%s) " % (", PRIMARY KEY (k) NOT ENFORCED" if keyed else "") + end % (
        paths[1], ", 'changelog.column' = 'op'" if changes else "")
    sql += "SELECT l.ts, l.k, l.v, r.ts, r.v FROM l %sJOIN r FOR SYSTEM_TIME AS OF l.p ON l.k = r.k%s%s;" % (
        "LEFT " if outer else "", " AND r.v > l.v" if condition else "", " AND MOD(l.v, 3) = MOD(r.v, 3)" if by_value else "")
    rest = lambda v: abs(v) % 3 * (1 if v >= 0 else -1)
    rows = []
    for x in left:
        met = [y for y in held if x[1] is not None and y[1] == x[1] and (not condition or y[2] > x[2]) and (not by_value or rest(x[2]) == rest(y[2]))]
        rows += [x + (y[0], y[2]) for y in met] or ([x + (None, None)] if outer else [])
    return sql, paths, rows


def run(sql, shards, r, seed, step_bytes):
    return sqlkit.run(sql, shards, r, step_bytes, env=sqlkit.round_trip(r, seed) if shards != 1 else {})


def one(seed, directory):
    r = random.Random(seed)
    join, delay, step_bytes = Join(r), r.choice([0, 1, 500, 5000]), 1 << 20
    if seed % 4 == 3:
        step_bytes = r.choice([64, 300, 1 << 20])
        sql, paths, rows = lookup(r, directory, seed)
        return check(sql, paths, rows, 0, r, seed, step_bytes)
    if r.random() < 0.5:
        step_bytes = r.choice([64, 300, 1500])
        sql, steps, paths, left, right = one_file(r, directory, seed, delay, step_bytes)
    else:
        sql, steps, paths, left, right = two_files(r, directory, seed, delay, join.asof)
    rows, late = oracle(join, steps)
    key = lambda x: tuple((v is not None, v) for v in x)
    other = duck(join, left, right) if late == 0 else None
    if other is not None and sorted(other, key=key) != sorted(rows, key=key):
        return "seed %d: DuckDB gives other rows than the recomputation" % seed
    return check(sql + query(join), paths, rows, late, r, seed, step_bytes)


def check(sql, paths, rows, late, r, seed, step_bytes):
    expected = [text(x) for x in rows]
    for shards in (1, 2, 3, 8):
        code, out, err = run(sql, shards, r, seed, step_bytes)
        got = out.split("\n")[1:-1]
        if code != 0 or got != expected or '"late": %d,' % late not in err:
            at = next((i for i, (a, b) in enumerate(zip(got, expected)) if a != b), min(len(got), len(expected)))
            return "seed %d, %d shards: %s\nexit %d, %d rows of %d, late expected %d; row %d: got %s, expected %s %s" % (
                seed, shards, sql, code, len(got), len(expected), late, at, got[at] if at < len(got) else "-",
                expected[at] if at < len(expected) else "-", err.strip()[:300])
    for path in paths:
        os.remove(path)
    return None


sys.exit(sqlkit.main("sql_temporal", sqlkit.seed_count(12, 400), one))
