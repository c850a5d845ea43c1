#!/usr/bin/env python3
"""Top-N, window Top-N and deduplication on random streams against a recomputation that keeps all rows.

Each seed makes a CSV with disorder, equal times and NULLs and a query with ROW_NUMBER, RANK or DENSE_RANK in a sub-query and a bound on it: as final rows, which
must come by (key, rank); as a changelog, whose fold over the first n rows' changes must end as the final rows, every row that is taken back having been given
before; per window; over rows that change (a GROUP BY below); the first and the last row of each key in event and processing
time. The command must give the same bytes for 1, 2, 3 and 8 shards and any batch size, ring size and state round trip.
"""
import collections, os, random, sys

import sqlkit
from sqlkit import time_text


def make_rows(r):
    rows, t = [], r.choice([0, -50_000, 1_700_000_000_000])
    for i in range(r.randint(1, 250)):
        t += r.choice([0, 0, 1, 7, 100, 900])
        rows.append({"ts": t - r.choice([0, 0, 0, r.randint(0, 3000)]), "k": r.choice([None, "a", "b", "a longer key than twelve", ""]),
                     "g": r.randint(0, 2), "v": r.choice([None, r.randint(-6, 6)]), "s": r.choice([None, "x", "y", "a text that is longer than twelve"]),
                     "n": i})
    return rows


class Reversed:
    def __init__(self, k):
        self.k = k

    def __lt__(self, other):
        return other.k < self.k

    def __eq__(self, other):
        return self.k == other.k

    def __hash__(self):
        return hash(self.k)


def less(x, descending=False):
    k = (0, 0) if x is None else (1, tuple(x.encode()) if isinstance(x, str) else x)
    return Reversed(k) if descending else k


def ranked(rows, order, function, most):
    """(row, rank) of the first ones, equal rows as they came."""
    out, last, rank = [], None, 0
    for i, x in enumerate(sorted(rows, key=order)):
        same = i > 0 and order(x) == last
        rank = i + 1 if function == "ROW_NUMBER" else rank if same else i + 1 if function == "RANK" else rank + 1
        last = order(x)
        if rank <= most:
            out.append((x, rank))
    return out


def cell(x):
    return "\\N" if x is None else '""' if x == "" else str(x)


def by_key(rows, key):
    groups = collections.defaultdict(list)
    for x in rows:
        groups[key(x)].append(x)
    return groups


def key_order(key):
    return tuple(less(x) for x in key)


def table_sql(path, delay):
    return f"""CREATE TABLE t (ts TIMESTAMP(3), k STRING, g INT, v INT, s STRING, n INT, p AS PROCTIME(), WATERMARK FOR ts AS ts - INTERVAL '{delay // 1000}.{delay % 1000:03d}' SECOND)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{path}', 'csv.null-literal' = '\\N');
"""


def bound_text(r, most):
    """(condition, least rank)"""
    least = r.randint(1, most)
    return r.choice([("rn <= %d" % most, 1), ("rn < %d" % (most + 1), 1), ("%d >= rn" % most, 1), ("rn BETWEEN %d AND %d" % (least, most), least),
                     ("rn <= %d AND g >= 0" % most, 1)] + ([("rn = 1", 1)] if most == 1 else [("rn = %d" % most, most)]))


def top_case(r, rows, delay):
    keys = r.choice([["k"], ["k", "g"], ["g"], []])
    function = r.choice(["ROW_NUMBER", "ROW_NUMBER", "RANK", "DENSE_RANK"])
    columns = r.choice([[("v", True)], [("v", False)], [("s", True), ("v", False)], [("v", True), ("n", True)], [("s", False)]])
    most = r.choice([1, 1, 2, 3, 10])
    condition, least = bound_text(r, most)
    numbered, changelog = r.random() < 0.5, r.random() < 0.5
    order = lambda x: tuple(less(x[c], d) for c, d in columns)
    expected = []
    groups = by_key(rows, lambda x: tuple(x[k] for k in keys))
    for key in sorted(groups, key=key_order):
        for x, rank in ranked(groups[key], order, function, most):
            if rank >= least:
                expected.append([cell(x["k"]), cell(x["g"]), cell(x["v"]), cell(x["n"])] + ([str(rank)] if numbered else []))
    sql = "SELECT k, g, v, n%s FROM (SELECT *, %s() OVER (%sORDER BY %s) AS rn FROM t) WHERE %s" % (
        ", rn" if numbered else "", function, "PARTITION BY %s " % ", ".join(keys) if keys else "",
        ", ".join(c + (" DESC" if d else "") for c, d in columns), condition)
    return sql, ["STRING", "INT", "INT", "INT"] + (["BIGINT"] if numbered else []), expected, 0, changelog


def window_case(r, rows, delay):
    size, function, most = r.choice([250, 1000, 1700]), r.choice(["ROW_NUMBER", "RANK", "DENSE_RANK"]), r.choice([1, 2, 5])
    keyed, aggregated = r.random() < 0.6, r.random() < 0.5
    late, w, kept = 0, None, []
    for x in rows:
        end = (x["ts"] // size + 1) * size
        if w is not None and w >= end - 1:
            late += 1
        else:
            kept.append(dict(x, end=end))
        w = x["ts"] - delay if w is None else max(w, x["ts"] - delay)
    expected = []
    if aggregated:                        # the most frequent values of each window
        counts = by_key(kept, lambda x: (x["end"], x["v"]))
        made = [{"end": end, "v": v, "c": len(members), "order": (end, less(v))} for (end, v), members in counts.items()]
        made.sort(key=lambda x: x["order"])
        for end, members in sorted(by_key(made, lambda x: x["end"]).items()):
            for x, rank in ranked(members, lambda x: less(x["c"], True), function, most):
                expected.append([time_text(end), cell(x["v"]), str(x["c"]), str(rank)])
        sql = """SELECT window_end, v, c, rn FROM (SELECT *, %s() OVER (PARTITION BY window_start, window_end ORDER BY c DESC) AS rn FROM (
SELECT window_start, window_end, v, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '%d.%03d' SECOND)) GROUP BY window_start, window_end, v))
WHERE rn <= %d""" % (function, size // 1000, size % 1000, most)
        return sql, ["TIMESTAMP(3)", "INT", "BIGINT", "BIGINT"], expected, None, r.random() < 0.3
    groups = by_key(kept, lambda x: (x["end"],) + ((x["k"],) if keyed else ()))
    for key in sorted(groups, key=key_order):
        for x, rank in ranked(groups[key], lambda x: less(x["v"], True), function, most):
            expected.append([time_text(key[0]), cell(x["k"]), cell(x["v"]), cell(x["n"]), str(rank)])
    sql = """SELECT window_end, k, v, n, rn FROM (SELECT *, %s() OVER (PARTITION BY window_start, window_end%s ORDER BY v DESC) AS rn
FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '%d.%03d' SECOND))) WHERE rn <= %d""" % (
        function, ", k" if keyed else "", size // 1000, size % 1000, most)
    return sql, ["TIMESTAMP(3)", "STRING", "INT", "INT", "BIGINT"], expected, late, r.random() < 0.3


def dedup_case(r, rows, delay):
    first, time, expected, late = r.random() < 0.5, r.choice(["ts", "ts", "p"]), [], 0
    groups = by_key(rows, lambda x: (x["k"], x["g"]))
    changelog = r.random() < 0.5
    if first and time == "ts":
        kept, w = [], None
        for x in rows:
            if w is not None and x["ts"] < w:
                late += 1
            else:
                kept.append(x)
            w = x["ts"] - delay if w is None else max(w, x["ts"] - delay)
        seen, out = set(), []
        for x in sorted(kept, key=lambda x: x["ts"]):
            if (x["k"], x["g"]) not in seen:
                seen.add((x["k"], x["g"]))
                out.append(x)
    elif first:
        seen, out = set(), []
        for x in rows:
            if (x["k"], x["g"]) not in seen:
                seen.add((x["k"], x["g"]))
                out.append(x)
    else:
        out = [max(groups[key], key=(lambda x: (x["ts"], x["n"])) if time == "ts" else (lambda x: x["n"])) for key in sorted(groups, key=key_order)]
    expected = [[time_text(x["ts"]), cell(x["k"]), cell(x["g"]), cell(x["n"])] for x in out]
    sql = "SELECT ts, k, g, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k, g ORDER BY %s%s) AS rn FROM t) WHERE rn = 1" % (
        time, " ASC" if first else " DESC")
    return sql, ["TIMESTAMP(3)", "STRING", "INT", "INT"], expected, late, changelog


def changing_case(r, rows, delay):
    """Top-N of groups: sums that rise and fall, as a changelog."""
    function, most, numbered = r.choice(["ROW_NUMBER", "RANK", "DENSE_RANK"]), r.choice([1, 2, 3]), r.random() < 0.5
    sums = {}
    for x in rows:
        key = (x["g"], x["k"])
        sums.setdefault(key, None)
        if x["v"] is not None:
            sums[key] = (sums[key] or 0) + x["v"]
    made = [{"g": g, "k": k, "c": c} for (g, k), c in sums.items()]
    made.sort(key=lambda x: less(x["k"]))
    expected = []
    # equal sums: by the key as well, so that the order is whole
    for g, members in sorted(by_key(made, lambda x: x["g"]).items()):
        for x, rank in ranked(members, lambda x: (less(x["c"], True), less(x["k"])), function, most):
            expected.append([cell(x["g"]), cell(x["k"]), cell(x["c"])] + ([str(rank)] if numbered else []))
    sql = """SELECT g, k, c%s FROM (SELECT *, %s() OVER (PARTITION BY g ORDER BY c DESC, k) AS rn FROM (SELECT g, k, SUM(v) AS c FROM t GROUP BY g, k))
WHERE rn <= %d""" % (", rn" if numbered else "", function, most)
    return sql, ["INT", "STRING", "INT"] + (["BIGINT"] if numbered else []), expected, 0, r.random() < 0.7


def fold(lines, n):
    """The rows that are there in the end; or what is wrong."""
    there = collections.Counter()
    for line in lines:
        op, row = line[0], tuple(line[1:])
        if op in ("+I", "+U"):
            there[row] += 1
        else:
            if there[row] == 0:
                return "%s takes back a row that is not there" % line
            there[row] -= 1
    return sorted(there.elements())


def run(sql, shards, r, seed):
    return sqlkit.run(sql, shards, r, 700, env=sqlkit.round_trip(r, seed) if shards != 1 else {})


def one(seed, directory):
    r = random.Random(seed)
    rows, delay = make_rows(r), r.choice([0, 1, 500, 5000])
    path = os.path.join(directory, "t%d.csv" % seed)
    with open(path, "w") as f:
        for x in rows:
            f.write(",".join([time_text(x["ts"])] + [cell(x[c]) for c in "kgvsn"]) + "\n")
    text, types, expected, late, changelog = r.choice([top_case, top_case, window_case, dedup_case, changing_case])(r, rows, delay)
    first = None
    for shards in (1, 2, 3, 8):
        out = os.path.join(directory, "o%d.%d.csv" % (seed, shards))
        sql = ("SET 'execution.runtime-mode' = 'streaming';" if changelog else "") + table_sql(path, delay) + """CREATE TABLE out_ (%s) WITH ('connector' = 'filesystem',
'format' = 'csv', 'path' = '%s', 'csv.null-literal' = '\\N'%s);\n""" % (", ".join("c%d %s" % x for x in enumerate(types)), out,
                                                                   ", 'changelog.column' = 'op'" if changelog else "")
        code, _, err = run(sql + "INSERT INTO out_ " + text + ";", shards, r, seed)
        if code != 0:
            return "seed %d, %d shards: exit %d %s\n%s" % (seed, shards, code, err.strip()[:600], text)
        data = open(out).read()
        first = data if first is None else first
        if data != first:
            return "seed %d: %d shards give other bytes than one\n%s" % (seed, shards, text)
        got = [x.split(",") for x in data.split("\n")[:-1]]
        if changelog:
            got, want = fold(got, len(rows)), sorted(tuple(x) for x in expected)
        else:
            want = expected
        if got != want:
            diff = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
            return "seed %d, %d shards, delay %d, changelog %s: %d rows of %d; row %d: got %s, expected %s\n%s" % (
                seed, shards, delay, changelog, len(got), len(want), diff, got if isinstance(got, str) else got[diff:diff + 2], want[diff:diff + 2], text)
        if late is not None and '"late": %d,' % late not in err:
            return "seed %d, %d shards: late expected %d: %s\n%s" % (seed, shards, late, err.strip()[:300], text)
    return None


sys.exit(sqlkit.main("sql_rank", sqlkit.seed_count(12, 300), one))
