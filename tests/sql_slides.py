#!/usr/bin/env python3
"""HOP windows of 2 to 300 slices against a recomputation that keeps all rows of every window.

Each seed makes a CSV with disorder, gaps in which windows are empty, NULLs, keys that come and go, zeros of both signs and numbers that do not add up
exactly, and asks for some of the aggregates that can be carried from one window to the next. Integers, decimals, bounds and multiples of a quarter are
worked out here; sums that round must come near and be the same bytes as those of the query that also asks for COUNT(DISTINCT ...), which adds up each window
anew. The rows must be the same bytes for 1, 2 and 3 shards, any batch size and a state round trip; in a STATEMENT SET of two lengths as well.
"""
import decimal, math, os, random, sys

import sqlkit
from sqlkit import time_text

COLUMNS = "ts TIMESTAMP(3), a INT, b BIGINT, s STRING, i INT, l BIGINT, m DECIMAL(20, 2), x DOUBLE, y DOUBLE, z FLOAT"
KEYS = [[], [], ["a"], ["a", "b"], ["s"], ["b"]]
EXACT = ["COUNT(*)", "COUNT(i)", "SUM(i)", "AVG(i)", "SUM(l)", "AVG(l)", "SUM(m)", "AVG(m)", "SUM(x)", "AVG(x)", "COUNT(*) FILTER (WHERE i > 0)", "SUM(l) FILTER (WHERE i > 0)",
         "VAR_POP(i)"]
BOUNDS = ["MIN(i)", "MAX(i)", "MIN(l)", "MAX(m)", "MIN(x)", "MAX(y)", "MIN(z)", "FIRST_VALUE(i)", "LAST_VALUE(x)"]
ROUNDED = ["SUM(y)", "AVG(y)", "SUM(z)", "AVG(z)", "STDDEV_POP(y)"]


def make_rows(r, count, slide, size):
    rows, t, first = [], r.choice([0, -70_000, 1_700_000_000_000]), 0
    spread = r.choice([1, 3, 30])
    disorder = r.choice([0, slide, size // 2, size + slide])
    exact_y, nulls = r.random() < 0.2, r.choice([0, 0.2, 0.9])
    null = lambda value: None if r.random() < nulls else value
    for n in range(count):
        t += r.choice([0, 0, 1, slide // 3, slide] + [size + 5 * slide] * (r.random() < 0.02))
        first += r.random() < 0.05          # keys come and go
        key = first + r.randint(0, spread)
        rows.append({"ts": t - (r.randint(0, disorder) if r.random() < 0.3 else 0), "a": r.choice([key, key, None]), "b": key % 7 * 10**12,
                     "s": r.choice(["a", "", "a text longer than twelve " + str(key), None]),
                     "i": null(r.randint(-5, 100)), "l": null(r.randint(-2**40, 2**40)), "m": null(decimal.Decimal(r.randint(-10**12, 10**12)) / 100),
                     "x": null(r.choice([0.0, -0.0, r.randint(-4000, 4000) / 4])) if spread > 1 else null(r.choice([-0.0, -0.0, 0.0])),
                     "y": null(float(r.randint(0, 99)) if exact_y else r.choice([r.random(), r.random() * 1e9, -0.1, 1e17 if n == count - 9 else 0.3])),
                     "z": null(r.randint(-1000, 1000) / 8), "place": n})
    return rows


def cell(v):
    return "\\N" if v is None else '""' if v == "" else repr(v) if isinstance(v, float) else str(v)


def windows_of(size, slide, ms):
    start = ms // slide * slide
    while start > ms - size:
        yield start, start + size
        start -= slide


def truncated(total, count):
    return abs(total) // count * (1 if total >= 0 else -1)


def value_of(text, rows):
    """By definition; floats are added in any order, for the caller compares only what that cannot change."""
    if text.endswith("FILTER (WHERE i > 0)"):
        rows = [w for w in rows if w["i"] is not None and w["i"] > 0]
    kind, column = text.split(")")[0].split("(")
    if column == "*":
        return len(rows)
    v = [w[column] for w in rows if w[column] is not None]
    if kind == "COUNT":
        return len(v)
    if not v:
        return None
    if kind in ("FIRST_VALUE", "LAST_VALUE"):
        return v[0] if kind == "FIRST_VALUE" else v[-1]     # rows stand in place order
    if kind in ("MIN", "MAX"):
        order = lambda q: (q, math.copysign(1, q)) if isinstance(q, float) else q
        return (min if kind == "MIN" else max)(v, key=order)
    if kind == "VAR_POP":
        return (len(v) * sum(q * q for q in v) - sum(v) ** 2) / len(v) / len(v)
    if kind == "STDDEV_POP":
        return math.nan     # of numbers far apart hardly a digit is right
    total = -0.0 if isinstance(v[0], float) else 0
    for q in v:
        total += q
    if kind == "SUM":
        return total
    if isinstance(v[0], float):
        return total / len(v)
    if isinstance(v[0], decimal.Decimal):
        return (total / len(v)).quantize(decimal.Decimal("0.000001"), decimal.ROUND_HALF_UP)
    return truncated(total, len(v))


def oracle(rows, size, slide, delay, keys, aggregates):
    groups, w = {}, None
    for row in rows:
        for start, end in windows_of(size, slide, row["ts"]):
            if w is None or w < end - 1:
                groups.setdefault((end, tuple((row[k] is not None, row[k] if row[k] is not None else 0) for k in keys)), []).append(row)
        w = row["ts"] - delay if w is None else max(w, row["ts"] - delay)
    order = lambda name: (name[0], tuple((g, v.encode() if isinstance(v, str) else v) for g, v in name[1]))
    return [(name[0], [v if g else None for g, v in name[1]], [value_of(a, groups[name]) for a in aggregates]) for name in sorted(groups, key=order)]


def same(aggregate, text, value):
    if value is None or text == "":
        return value is None and text == ""
    if isinstance(value, decimal.Decimal):
        return decimal.Decimal(text) == value
    if not isinstance(value, float):
        return int(text) == value
    if aggregate in EXACT + BOUNDS and "POP" not in aggregate and "z" not in aggregate:
        return float(text) == value and math.copysign(1, float(text)) == math.copysign(1, value)
    return math.isnan(value) or abs(float(text) - value) <= 1e-6 * abs(value) + (1e-3 if abs(value) < 1e12 else 0)


def interval(ms):
    return "INTERVAL '%d.%03d' SECOND" % (ms // 1000, ms % 1000)


def select(size, slide, keys, aggregates):
    return "SELECT %s FROM TABLE(HOP(TABLE t, DESCRIPTOR(ts), %s, %s)) GROUP BY %s;" % (
        ", ".join(["window_end"] + keys + aggregates), interval(slide), interval(size), ", ".join(keys + ["window_start", "window_end"]))


def run(sql, r, shards, seed):
    env = sqlkit.round_trip(r, seed)
    code, out, err = sqlkit.run(sql, shards, r, 3000, (), env)
    return out.split("\n")[1:-1] if code == 0 else ["exit %d: %s" % (code, err[:300])]


def differs(got, expected, keys, aggregates):
    """The first row that is not as expected, or None."""
    for n, (end, key, values) in enumerate(expected):
        cells = got[n].split(",") if n < len(got) else []
        front = [time_text(end)] + ["" if k is None else '""' if k == "" else str(k) for k in key]
        if cells[:len(front)] != front or len(cells) != len(front) + len(values) or not all(map(same, aggregates, cells[len(front):], values)):
            return "row %d: got %s, expected %s %s" % (n, got[n] if n < len(got) else "-", front, list(zip(aggregates, values)))
    return None if len(got) == len(expected) else "%d rows of %d" % (len(got), len(expected))


def one(seed, directory):
    r = random.Random(seed)
    slices, slide = r.choice([2, 3, 8, 60, 300]), r.choice([30, 250, 1000])
    size = slices * slide + r.choice([0, 0, slide // 2])
    keys, delay = r.choice(KEYS), r.choice([0, slide, size])
    rows = make_rows(r, r.randint(1, 300 if slices == 300 else 700), slide, size)
    aggregates = r.sample(EXACT, r.randint(1, 5)) + r.sample(BOUNDS, r.choice([0, 0, 1, 3])) + r.sample(ROUNDED, r.choice([0, 0, 1, 2]))
    r.shuffle(aggregates)
    path = os.path.join(directory, "t%d.csv" % seed)
    with open(path, "w") as f:
        for row in rows:
            f.write(",".join([time_text(row["ts"])] + [cell(row[c]) for c in "absilmxyz"]) + "\n")
    table = f"""CREATE TABLE t ({COLUMNS}, WATERMARK FOR ts AS ts - {interval(delay)})
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{path}', 'csv.null-literal' = '\\N');\n"""
    what = "seed %d, HOP %d by %d, delay %d, by %s: " % (seed, size, slide, delay, keys)
    expected, first = oracle(rows, size, slide, delay, keys, aggregates), None
    for shards in (1, 2, 3):
        got = run(table + select(size, slide, keys, aggregates), r, shards, seed)
        wrong = differs(got, expected, keys, aggregates)
        if wrong:
            return what + "%d shards, " % shards + wrong
        if first is not None and got != first:
            return what + "%d shards give other bytes than one" % shards
        first = got
    anew = run(table + select(size, slide, keys, aggregates + ["COUNT(DISTINCT i)"]), r, 1, seed)
    if [line.rsplit(",", 1)[0] for line in anew] != first:
        n = next(n for n, (p, q) in enumerate(zip(anew + [""], first + [""])) if p.rsplit(",", 1)[0] != q)
        return what + "row %d: got %s, added up anew %s" % (n, first[n:n + 1], anew[n:n + 1])
    return shared(seed, r, directory, table, rows, slide, delay, keys) if seed % 4 == 0 else None


def shared(seed, r, directory, table, rows, slide, delay, keys):
    """Two queries over the same slices."""
    aggregates, sizes, text = ["COUNT(*)", "SUM(l)", "MIN(i)"], [slide * 4, slide * 9], table + "EXECUTE STATEMENT SET BEGIN\n"
    types = {"a": "INT", "b": "BIGINT", "s": "STRING"}
    for size in sizes:
        text = "CREATE TABLE o%d (e TIMESTAMP(3), %sc BIGINT, l BIGINT, i INT) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '%s');\n" % (
            size, "".join("%s %s, " % (k, types[k]) for k in keys), os.path.join(directory, "o%d-%d.csv" % (seed, size))) + text
        text += "INSERT INTO o%d " % size + select(size, slide, keys, aggregates) + "\n"
    wrong = run(text + "END;", r, r.choice([1, 2, 3]), seed)
    for size in sizes:
        path = os.path.join(directory, "o%d-%d.csv" % (seed, size))
        got = open(path).read().split("\n")[:-1] if os.path.exists(path) else wrong
        wrong = differs(got, oracle(rows, size, slide, delay, keys, aggregates), keys, aggregates)
        if wrong:
            return "seed %d, two queries, HOP %d by %d: %s" % (seed, size, slide, wrong)
    return None


sys.exit(sqlkit.main("sql_slides", sqlkit.seed_count(40, 400), one))
