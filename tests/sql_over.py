#!/usr/bin/env python3
"""OVER, ORDER BY, LIMIT and OFFSET on random streams against a row-by-row recomputation that keeps all rows.

Each seed makes a CSV with disorder, equal times and NULLs and a query: calls with OVER over up to three windows (ROWS and RANGE, with and without a
lower bound, one or two partitionings), or an ORDER BY. In event time a row is late at or before the greatest watermark of the rows before
it; the others come in the order of (time, place). Expected values by definition: the rows of the frame are looked up anew for each row.
Sums of DOUBLEs over bounded frames are made as documented, by two stacks. The command must give the same bytes for 1, 2, 3 and 8 shards and any batch size, ring size and state round trip.
"""
import os, random, sys

import sqlkit
from sqlkit import time_text


def make_rows(r):
    rows, t = [], r.choice([0, -50_000, 1_700_000_000_000])
    for _ in range(r.randint(1, 300)):
        t += r.choice([0, 0, 1, 7, 100, 900])
        ms = t - r.choice([0, 0, 0, r.randint(0, 3000)])
        rows.append({"ts": ms, "k": r.choice([None, "a", "b", "a longer key than twelve", ""]), "g": r.randint(0, 2),
                     "v": r.choice([None, r.randint(-100, 100)]), "d": r.choice([None, r.random() * 10 ** r.randint(-3, 9) * r.choice([1, -1])]),
                     "s": r.choice([None, "x", "y", "a text that is longer than twelve", "yy"]), "f": r.random() < 0.6})
    return rows


class TwoStacks:
    """The rule of a DOUBLE sum: v1 + (v2 + ...) of the front up to its last, the last of the front, then the rest in row order."""

    def __init__(self):
        self.front, self.back = [], []

    def add(self, x):
        self.back.append(x)

    def drop(self):
        if not self.front:
            self.front, self.back = self.back, []
        self.front.pop(0)

    def sum(self):
        f, b = [x for x in self.front if x is not None], [x for x in self.back if x is not None]
        if not f and not b:
            return None
        total = -0.0
        if self.front:                    # states merged from the last row backwards: its value stays apart until the end
            tail, rest = self.front[-1], self.front[:-1]
            for x in reversed(rest):
                total = (-0.0 if x is None else x) + total
            total += -0.0 if tail is None else tail
        part = -0.0
        for x in b:
            part += x
        return total + part


def aggregate(call, rows, current):
    """One call over the rows of its frame, by definition."""
    name, arg, filtered, distinct = call["name"], call["arg"], call["filter"], call["distinct"]
    if filtered:
        rows = [x for x in rows if x["f"]]
    if name == "COUNT*":
        return len(rows)
    values = [x[arg] for x in rows if x[arg] is not None]
    if distinct:
        values = sorted(set(values))
    if name == "COUNT":
        return len(values)
    if not values:
        return None
    if name == "SUM":
        return sum(values)
    if name == "AVG":
        return abs(sum(values)) // len(values) * (1 if sum(values) >= 0 else -1)
    if name in ("MIN", "MAX"):
        key = (lambda x: x.encode()) if isinstance(values[0], str) else (lambda x: x)
        return (min if name == "MIN" else max)(values, key=key)
    if name == "FIRST_VALUE":
        return values[0]
    if name == "LAST_VALUE":
        return values[-1]
    if name == "LISTAGG":
        return ",".join(values)
    raise KeyError(name)


def compute(rows, call, order):
    """The values of a call for rows in their order; order(row): what peers have in common."""
    out = [None] * len(rows)
    groups = {}
    for i, x in enumerate(rows):
        groups.setdefault(x[call["by"]] if call["by"] else 0, []).append(i)
    for members in groups.values():
        stacks, start = TwoStacks(), 0
        mine = [rows[i] for i in members]
        i = 0
        while i < len(mine):
            end = i + 1
            if call["frame"] == "RANGE":
                while end < len(mine) and order(mine[end]) == order(mine[i]):
                    end += 1
            for k in range(i, end):
                stacks.add(mine[k]["d"] if not call["filter"] or mine[k]["f"] else None)
            if call["preceding"] is not None:
                while (start < end and (end - 1 - start > call["preceding"] if call["frame"] == "ROWS" else
                                        mine[start]["ts"] < mine[i]["ts"] - call["preceding"])):
                    stacks.drop()
                    start += 1
            for k in range(i, end):
                if call["name"] == "ROW_NUMBER":
                    out[members[k]] = k + 1
                elif call["name"] in ("RANK", "DENSE_RANK"):
                    before = [order(x) for x in mine if order(x) < order(mine[k])]
                    out[members[k]] = 1 + (len(before) if call["name"] == "RANK" else len(set(before)))
                elif call["name"] == "LAG":
                    n = call["preceding"]
                    out[members[k]] = mine[k - n][call["arg"]] if k >= n else call["default"]
                elif call["arg"] == "d":
                    out[members[k]] = stacks.sum() if call["preceding"] is not None else plain_sum(call, mine[:end])
                else:
                    out[members[k]] = aggregate(call, mine[start:end], mine[k])
            i = end
    return out


def plain_sum(call, rows):
    values = [x["d"] for x in rows if x["d"] is not None and (not call["filter"] or x["f"])]
    total = -0.0
    for x in values:
        total += x
    return total if values else None


def make_call(r, by, frame, preceding):
    call = {"by": by, "frame": frame, "preceding": preceding, "filter": r.random() < 0.3, "distinct": False, "default": None}
    kind = r.choice(["COUNT*", "COUNT", "SUM", "AVG", "MIN", "MAX", "FIRST_VALUE", "LAST_VALUE", "LISTAGG", "SUM d", "DISTINCT", "MIN s",
                     "FIRST s", "ROW_NUMBER", "RANK", "DENSE_RANK", "LAG"])
    call["name"], call["arg"] = kind, "v"
    if kind == "SUM d":
        call["name"], call["arg"] = "SUM", "d"
    elif kind in ("MIN s", "FIRST s"):
        call["name"], call["arg"] = "MIN" if kind == "MIN s" else "FIRST_VALUE", "s"
    elif kind == "LISTAGG":
        call["arg"] = "s"
    elif kind == "DISTINCT":
        call["name"], call["distinct"] = r.choice(["COUNT", "SUM", "AVG"]), True
    elif kind == "LAG":
        call.update(preceding=r.choice([1, 1, 2, 5]), frame="ROWS", default=r.choice([None, 7]), filter=False)
    if kind in ("ROW_NUMBER", "RANK", "DENSE_RANK"):
        call.update(filter=False, frame="RANGE", preceding=None)
    return call


def call_text(call, order):
    window = ("PARTITION BY %s " % call["by"] if call["by"] else "") + "ORDER BY " + order
    name = call["name"]
    if name == "LAG":
        return "LAG(v, %d%s) OVER (%s)" % (call["preceding"], ", 7" if call["default"] == 7 else "", window)
    if name in ("ROW_NUMBER", "RANK", "DENSE_RANK"):
        return "%s() OVER (%s)" % (name, window)
    arg = "*" if name == "COUNT*" else ("DISTINCT " if call["distinct"] else "") + call["arg"]
    bound = "UNBOUNDED" if call["preceding"] is None else str(call["preceding"]) if call["frame"] == "ROWS" else \
        "INTERVAL '%d.%03d' SECOND" % (call["preceding"] // 1000, call["preceding"] % 1000)
    return "%s(%s)%s OVER (%s %s BETWEEN %s PRECEDING AND CURRENT ROW)" % (
        name.rstrip("*"), arg, " FILTER (WHERE f)" if call["filter"] else "", window, call["frame"], bound)


def cell(x):
    if x is None:
        return "\\N"
    if isinstance(x, bool):
        return "true" if x else "false"
    if isinstance(x, float):
        return x
    x = str(x)
    return '""' if x == "" else '"%s"' % x if "," in x else x


def table_sql(path, delay):
    return f"""CREATE TABLE t (ts TIMESTAMP(3), k STRING, g INT, v INT, d DOUBLE, s STRING, f BOOLEAN, WATERMARK FOR ts AS ts - INTERVAL '{delay // 1000}.{delay % 1000:03d}' SECOND)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{path}', 'csv.null-literal' = '\\N');
CREATE TABLE out_ (LIKE_) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'OUT', 'csv.null-literal' = '\\N');
"""


def in_time(rows, delay):
    kept, late, w = [], 0, None
    for x in rows:
        if w is not None and x["ts"] <= w:
            late += 1
        else:
            kept.append(x)
        w = x["ts"] - delay if w is None else max(w, x["ts"] - delay)
    return sorted(kept, key=lambda x: x["ts"]), late


def less(x, descending):
    """A key for sorted(): NULL least, texts by bytes."""
    if x is None:
        k = (0, 0)
    else:
        k = (1, tuple(x.encode()) if isinstance(x, str) else x)
    return Reversed(k) if descending else k


class Reversed:
    def __init__(self, k):
        self.k = k

    def __lt__(self, other):
        return other.k < self.k

    def __eq__(self, other):
        return self.k == other.k

    def __hash__(self):
        return hash(self.k)


def run(sql, shards, r, seed):
    return sqlkit.run(sql, shards, r, 700, env=sqlkit.round_trip(r, seed) if shards != 1 else {})


TYPES = {"COUNT*": "BIGINT", "COUNT": "BIGINT", "LISTAGG": "STRING", "ROW_NUMBER": "BIGINT", "RANK": "BIGINT", "DENSE_RANK": "BIGINT"}


def over_case(r, rows, delay):
    """(select list and rest, types, expected rows, late, key of the order)"""
    by_sets = r.choice([["k"], ["k"], ["g"], [None], ["k", "g"]])
    at_end = r.random() < 0.25
    calls = []
    for by in by_sets:
        for _ in range(r.randint(1, 2)):
            frame = r.choice(["ROWS", "RANGE"])
            preceding = r.choice([None, r.choice([0, 1, 2, 5, 50]) if frame == "ROWS" else r.choice([0, 1, 100, 2000, 100000])])
            if at_end:
                preceding = preceding if frame == "ROWS" else None
            calls += [make_call(r, by, frame, preceding) for _ in range(r.randint(1, 3))]
    low = r.choice([None, None, -50])
    rows = list(rows)
    if at_end:
        by_sets, descending = by_sets[:1], r.random() < 0.5
        calls = [dict(c, by=by_sets[0]) for c in calls]
        kept, late = [x for x in rows if low is None or (x["v"] is not None and x["v"] >= low)], 0
        order, text = (lambda x: (less(x["v"], descending), less(x["s"], False))), "v%s, s" % (" DESC" if descending else "")
        kept.sort(key=order)
        kept.sort(key=lambda x: less(x[by_sets[0]], False) if by_sets[0] else 0)
    else:
        # the watermark is taken before the filter
        for x in rows:
            x["pass"] = low is None or (x["v"] is not None and x["v"] >= low)
        kept, late, w = [], 0, None
        for x in rows:
            if x["pass"] and w is not None and x["ts"] <= w:
                late += 1
            elif x["pass"]:
                kept.append(x)
            w = x["ts"] - delay if w is None else max(w, x["ts"] - delay)
        kept.sort(key=lambda x: x["ts"])
        order, text = (lambda x: x["ts"]), "ts"
    columns = [compute(kept, c, order) for c in calls]
    expected = [[time_text(x["ts"]), cell(x["k"]), cell(x["g"])] + [cell(c[i]) for c in columns] for i, x in enumerate(kept)]
    types = ["TIMESTAMP(3)", "STRING", "INT"] + [TYPES.get(c["name"], {"v": "INT", "d": "DOUBLE", "s": "STRING"}[c["arg"]]) for c in calls]
    where = "" if low is None else " WHERE v >= %d" % low
    return "SELECT ts, k, g, " + ", ".join(call_text(c, text) for c in calls) + " FROM t" + where, types, expected, late


def sort_case(r, rows, delay):
    if r.random() < 0.5:
        kept, late = in_time(rows, delay)
        rest = r.choice([[], [("v", False)], [("s", True), ("d", False)]])
        items = [("ts", False)] + rest
    else:
        kept, late, items = list(rows), 0, r.sample([("ts", True), ("v", False), ("v", True), ("s", False), ("d", True), ("k", False)], r.randint(1, 3))
        items = [x for i, x in enumerate(items) if x[0] not in [y[0] for y in items[:i]]]
    if r.random() < 0.15:
        items, kept, late = [], list(rows), 0
    for name, descending in reversed(items):
        kept = sorted(kept, key=lambda x: less(x[name], descending))
    offset, limit = r.choice([0, 0, 1, 20]), r.choice([None, None, 0, 5, 100])
    text = "SELECT ts, k, v, s FROM t"
    if items:
        text += " ORDER BY " + ", ".join(n + (" DESC" if d else "") for n, d in items)
    if limit is not None:
        text += " LIMIT %d" % limit
    if offset:
        text += " OFFSET %d" % offset
    if not items and limit is None and not offset:
        text += " LIMIT 3"
        limit = 3
    kept = kept[offset:] if limit is None else kept[offset:offset + limit]
    # d is not in the list: it is sorted by all the same
    if any(n == "d" for n, _ in items):
        text = "SELECT ts, k, v, s FROM (" + text.replace("SELECT ts, k, v, s", "SELECT ts, k, v, s, d") + ")"
    return text, ["TIMESTAMP(3)", "STRING", "INT", "STRING"], [[time_text(x["ts"]), cell(x["k"]), cell(x["v"]), cell(x["s"])] for x in kept], late


def differs(got, expected):
    if isinstance(expected, float):
        try:
            return float(got) != expected
        except ValueError:
            return True
    return got != expected


def split_line(line):
    out, quoted, part = [], False, ""
    for c in line:
        if c == '"':
            quoted = not quoted
        if c == "," and not quoted:
            out.append(part)
            part = ""
        else:
            part += c
    return out + [part]


def one(seed, directory):
    r = random.Random(seed)
    rows, delay = make_rows(r), r.choice([0, 1, 500, 5000])
    path = os.path.join(directory, "t%d.csv" % seed)
    with open(path, "w") as f:
        for x in rows:
            f.write(",".join([time_text(x["ts"]), cell(x["k"]), str(x["g"]), cell(x["v"]), "\\N" if x["d"] is None else repr(x["d"]),
                              cell(x["s"]), cell(x["f"])]) + "\n")
    text, types, expected, late = (over_case if r.random() < 0.7 else sort_case)(r, rows, delay)
    first = None
    for shards in (1, 2, 3, 8):
        out = os.path.join(directory, "o%d.%d.csv" % (seed, shards))
        sql = table_sql(path, delay).replace("LIKE_", ", ".join("c%d %s" % x for x in enumerate(types))).replace("OUT", out)
        code, _, err = run(sql + "INSERT INTO out_ " + text + ";", shards, r, seed)
        if code != 0:
            return "seed %d, %d shards: exit %d %s\n%s" % (seed, shards, code, err.strip()[:600], text)
        data = open(out).read()
        first = data if first is None else first
        got = [split_line(x) for x in data.split("\n")[:-1]]
        if data != first:
            return "seed %d: %d shards give other bytes than one\n%s" % (seed, shards, text)
        for i, (a, b) in enumerate(zip(got, expected)):
            if len(a) != len(b) or any(differs(x, y) for x, y in zip(a, b)):
                return "seed %d, %d shards, delay %d: row %d: got %s, expected %s\n%s" % (seed, shards, delay, i, a, b, text)
        if len(got) != len(expected) or '"late": %d,' % late not in err:
            return "seed %d, %d shards: %d rows, expected %d; late expected %d\n%s" % (seed, shards, len(got), len(expected), late, text)
    return None


sys.exit(sqlkit.main("sql_over", sqlkit.seed_count(12, 300), one))
