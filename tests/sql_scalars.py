#!/usr/bin/env python3
"""Sub-queries as values, alone and comparing with the query around them, against a row-by-row recomputation and DuckDB where it is installed.

Each seed makes a CSV of rows of two tables, t and u, and a query whose SELECT list, WHERE or HAVING has such sub-queries. As final rows the bag must be
the answer; as a changelog every row that is taken back must have been given before and the fold must be the answer, over all rows and over the
first ones of the file. The command must give the same bytes for 1, 2, 3 and 8 shards and any batch size and state round trip.
"""
import collections, json, os, random, sys

import sqlkit

try:
    import duckdb
except ImportError:
    duckdb = None


def total(values):
    return sum(values) if values else None


def mean(values):
    return abs(sum(values)) // len(values) * (1 if sum(values) >= 0 else -1) if values else None


AGGREGATES = {
    "MAX(w)": lambda rows: max((w for _, w in rows if w is not None), default=None),
    "MIN(w)": lambda rows: min((w for _, w in rows if w is not None), default=None),
    "SUM(w)": lambda rows: total([w for _, w in rows if w is not None]),
    "COUNT(*)": len,
    "COUNT(w)": lambda rows: sum(w is not None for _, w in rows),
    "SUM(w) * 2 - MIN(w)": lambda rows: None if total([w for _, w in rows if w is not None]) is None else
    2 * total([w for _, w in rows if w is not None]) - min(w for _, w in rows if w is not None),
}


def less(a, b):
    return a is not None and b is not None and a < b


def make_scalar(r):
    """(text, its value for a row of t, given the rows of u)"""
    text = r.choice(list(AGGREGATES))
    value, low = AGGREGATES[text], r.choice([None, None, 0, 3])
    filtered = "" if low is None else "w > %d" % low
    inside = (lambda u: u) if low is None else (lambda u: [x for x in u if less(low, x[1])])
    how = r.choice(["own", "own", "key", "key", "sum"])
    if how == "own":
        return "(SELECT %s FROM u%s)" % (text, " WHERE " + filtered if filtered else ""), lambda row, u: value(inside(u))
    if how == "key":
        return ("(SELECT %s FROM u WHERE u.k = t.k%s)" % (text, " AND " + filtered if filtered else ""),
                lambda row, u: value([x for x in inside(u) if x[0] is not None and x[0] == row[0]]))
    return ("(SELECT %s FROM u WHERE %st.v + 1 = u.w)" % (text, filtered + " AND " if filtered else ""),
            lambda row, u: value([x for x in inside(u) if row[1] is not None and x[1] == row[1] + 1]))


def make_query(r):
    """(text, answer(t, u) as a list of rows)"""
    (a, va), (b, vb) = make_scalar(r), make_scalar(r)
    kind = r.choice(["list", "where", "both", "having"])
    if kind == "list":
        return "SELECT t.k, v, %s, %s FROM t" % (a, b), lambda t, u: [x + (va(x, u), vb(x, u)) for x in t]
    if kind == "where":
        return "SELECT t.k, v FROM t WHERE v < %s AND v > -3" % a, lambda t, u: [x for x in t if less(x[1], va(x, u)) and less(-3, x[1])]
    if kind == "both":
        return ("SELECT t.k, v, %s FROM t WHERE %s <= v" % (a, b),
                lambda t, u: [x + (va(x, u),) for x in t if x[1] is not None and vb(x, u) is not None and vb(x, u) <= x[1]])
    one, value = "(SELECT MAX(w) FROM u)", AGGREGATES["MAX(w)"]

    def answer(t, u):
        groups = collections.defaultdict(list)
        for k, v in t:
            groups[k].append(v)
        out = []
        for k, values in groups.items():
            s = total([v for v in values if v is not None])
            if less(s, value(u)):
                out.append((k, s, value(u)))
        return out
    return "SELECT k, SUM(v), %s FROM t GROUP BY k HAVING SUM(v) < %s" % (one, one), answer


def cell(x):
    return "\\N" if x is None else str(x)


def bag(rows):
    return sorted(",".join(cell(x) for x in row) for row in rows)


def fold(lines):
    there = collections.Counter()
    for line in lines:
        change = json.loads(line)
        op = change.pop("op", "+I")
        row = ",".join(cell(x) for x in change.values())
        there[row] += 1 if op in ("+I", "+U") else -1
        if there[row] < 0:
            return "%s takes back a row that is not there" % line
    return sorted(there.elements())


def answer_of(answer, rows):
    return bag(answer([(k, v) for side, k, v in rows if side == 0], [(k, v) for side, k, v in rows if side == 1]))


def duck(text, rows):
    con = duckdb.connect()
    con.execute("CREATE TABLE t (k VARCHAR, v INT); CREATE TABLE u (k VARCHAR, w INT)")
    for side, k, v in rows:
        con.execute("INSERT INTO %s VALUES (?, ?)" % "tu"[side], [k, v])
    return bag(con.execute(text).fetchall())


def run(directory, seed, shards, rows, streaming, text, r):
    path = os.path.join(directory, "t%d.csv" % seed)
    with open(path, "w") as f:
        f.writelines(",".join(cell(x) for x in row) + "\n" for row in rows)
    sql = """SET 'execution.runtime-mode' = '%s';
CREATE TABLE all_ (side INT, k STRING, v INT) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '%s', 'csv.null-literal' = '\\N');
CREATE VIEW t AS SELECT k, v FROM all_ WHERE side = 0;
CREATE VIEW u AS SELECT k, v AS w FROM all_ WHERE side = 1;
%s;""" % ("streaming" if streaming else "batch", path, text)
    code, out, err = sqlkit.run(sql, shards, r, 200, ("--format", "json"), sqlkit.round_trip(r, seed) if shards != 1 else {})
    return (out, None) if code == 0 else (None, "exit %d %s\n%s" % (code, err.strip()[:600], sql))


def one(seed, directory):
    r = random.Random(seed)
    streaming = r.random() < 0.6
    rows = [(r.randint(0, 1), r.choice([None, "a", "b", "a longer key than twelve"]), r.choice([None, r.randint(-5, 9)])) for _ in range(r.randint(1, 60))]
    text, answer = make_query(r)
    if duckdb is not None and duck(text, rows) != answer_of(answer, rows):
        return "seed %d: DuckDB has %s, the oracle %s\n%s" % (seed, duck(text, rows), answer_of(answer, rows), text)
    lengths = [r.randint(1, len(rows)) for _ in range(2)] if streaming else []
    first = None
    for shards, part in [(1, rows), (2, rows), (3, rows), (8, rows)] + [(1, rows[:n]) for n in lengths]:
        data, wrong = run(directory, seed, shards, part, streaming, text, r)
        if wrong:
            return "seed %d, %d shards: %s" % (seed, shards, wrong)
        first = data if first is None else first
        if part is rows and data != first:
            return "seed %d: %d shards give other bytes than one\n%s" % (seed, shards, text)
        got, want = fold(data.split("\n")[:-1]), answer_of(answer, part)
        if got != want:
            return "seed %d, %d shards, %d rows, streaming %s: got %s, expected %s\n%s" % (seed, shards, len(part), streaming, got, want, text)
    return None


sys.exit(sqlkit.main("sql_scalars", sqlkit.seed_count(20, 300), one))
