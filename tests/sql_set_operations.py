#!/usr/bin/env python3
"""UNION, INTERSECT and EXCEPT, with and without ALL, nested at random, against bags that are counted in Python, and against DuckDB where it is installed.

Each seed makes a CSV of rows or of changes and a tree of set operations over parts of it. As final rows the bag must be the answer; as a
changelog every row that is taken back must have been given before, and the fold must be the answer: over all rows, and over the first ones of
the file, several times. The command must give the same bytes for 1, 2, 3 and 8 shards and any batch size and state round trip.
"""
import collections, json, os, random, sys

import sqlkit

try:
    import duckdb
except ImportError:
    duckdb = None

OPS = {
    "UNION ALL": lambda a, b: a + b,
    "UNION": lambda a, b: collections.Counter({x: 1 for x in a + b}),
    "INTERSECT ALL": lambda a, b: a & b,
    "INTERSECT": lambda a, b: collections.Counter({x: 1 for x in a & b}),
    "EXCEPT ALL": lambda a, b: a - b,
    "EXCEPT": lambda a, b: collections.Counter({x: 1 for x in a if x not in b}),
}


def make_tree(r, depth):
    """(text, how to compute it of the parts)"""
    if depth == 0 or r.random() < 0.2:
        side = r.randint(0, 2)
        return "SELECT k, v FROM t WHERE side = %d" % side, lambda parts: parts[side]
    (a, left), (b, right), op = make_tree(r, depth - 1), make_tree(r, depth - 1), r.choice(list(OPS))
    return "(%s) %s (%s)" % (a, op, b), lambda parts: OPS[op](left(parts), right(parts))


def make_changes(r, changing):
    row = lambda: (r.randint(0, 2), r.choice([None, "a", "b", "a longer key than twelve"]), r.choice([None, 1, 2, 3]))
    changes, live = [], []
    for _ in range(r.randint(1, 150)):
        if changing and live and r.random() < 0.3:
            changes.append(("-D", live.pop(r.randrange(len(live)))))
        elif changing and live and r.random() < 0.2:
            i = r.randrange(len(live))
            changes += [("-U", live[i]), ("+U", row())]
            live[i] = changes[-1][1]
        else:
            live.append(row())
            changes.append(("+I", live[-1]))
    return changes


def answer(tree, changes):
    parts = [collections.Counter() for _ in range(3)]
    for op, (side, k, v) in changes:
        parts[side][k, v] += 1 if op in ("+I", "+U") else -1
    return tree([+x for x in parts])


def cell(x):
    return "\\N" if x is None else str(x)


def bag(want):
    return sorted(",".join(cell(x) for x in row) for row in want.elements())


def fold(lines):
    there = collections.Counter()
    for line in lines:
        change = json.loads(line)
        row = cell(change["k"]) + "," + cell(change["v"])
        there[row] += 1 if change.get("op", "+I") in ("+I", "+U") else -1
        if there[row] < 0:
            return "%s takes back a row that is not there" % line
    return sorted(there.elements())


def duck(text, changes):
    con = duckdb.connect()
    con.execute("CREATE TABLE t (side INT, k VARCHAR, v INT)")
    con.executemany("INSERT INTO t VALUES (?, ?, ?)", [x for _, x in changes])
    return sorted(",".join(cell(x) for x in row) for row in con.execute(text).fetchall())


def run(directory, seed, shards, changes, changing, streaming, text, r):
    path = os.path.join(directory, "t%d.csv" % seed)
    with open(path, "w") as f:
        for op, row in changes:
            f.write(",".join(([op] if changing else []) + [cell(x) for x in row]) + "\n")
    sql = """SET 'execution.runtime-mode' = '%s';
CREATE TABLE t (side INT, k STRING, v INT) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '%s', 'csv.null-literal' = '\\N'%s);
%s;""" % ("streaming" if streaming else "batch", path, ", 'changelog.column' = 'op'" if changing else "", text)
    code, out, err = sqlkit.run(sql, shards, r, 300, ("--format", "json"), sqlkit.round_trip(r, seed) if shards != 1 else {})
    return (out, None) if code == 0 else (None, "exit %d %s\n%s" % (code, err.strip()[:600], sql))


def one(seed, directory):
    r = random.Random(seed)
    changing, streaming = r.random() < 0.4, r.random() < 0.6
    changes, first = make_changes(r, changing), None
    text, tree = make_tree(r, 3)
    if duckdb is not None and not changing:
        theirs, ours = duck(text, changes), bag(answer(tree, changes))
        if theirs != ours:
            return "seed %d: DuckDB has %s, the oracle %s\n%s" % (seed, theirs, ours, text)
    lengths = [r.randint(1, len(changes)) for _ in range(2)] if streaming else []
    for shards, part in [(1, changes), (2, changes), (3, changes), (8, changes)] + [(1, changes[:n]) for n in lengths]:
        data, wrong = run(directory, seed, shards, part, changing, streaming, text, r)
        if wrong:
            return "seed %d, %d shards: %s" % (seed, shards, wrong)
        first = data if first is None else first
        if part is changes and data != first:
            return "seed %d: %d shards give other bytes than one\n%s" % (seed, shards, text)
        got = data.split("\n")[:-1]
        got = fold(got)
        if got != bag(answer(tree, part)):
            return "seed %d, %d shards, %d rows: got %s, expected %s\n%s" % (seed, shards, len(part), got, bag(answer(tree, part)), text)
    return None


sys.exit(sqlkit.main("sql_set_operations", sqlkit.seed_count(25, 400), one))
