#!/usr/bin/env python3
"""OVER over rows that change, in any order and with any frame, against a recomputation of the whole answer after each row.

Each seed makes a CSV of changes (+I, -U/+U, -D, some of rows that are not there) or of rows only, and calls with OVER over one window: aggregates with
ROWS and RANGE frames that begin and end anywhere, numbers, LAG and LEAD, NTILE, PERCENT_RANK, CUME_DIST. As a changelog exactly these changes are
expected, row by row: of each row whose values are others than before, in the order of the window, and of the row that came or went. As final
rows: the answer, by key and order. The command must give the same bytes for 1, 2, 3 and 8 shards and any batch size and state round trip. DuckDB, where
it is installed, gives the same final rows where its functions mean the same.
"""
import os, random, sys

import sqlkit
from sqlkit import time_text

try:
    import duckdb
except ImportError:
    duckdb = None

COLUMNS = ["n", "ts", "k", "g", "v", "s", "d", "f"]
BASE = 1_700_000_000_000


def make_row(r, n):
    return {"n": n, "ts": BASE + r.choice([0, 5, 40, 1000]) * r.randint(0, 6), "k": r.choice([None, "a", "b", "a longer key than twelve"]), "g": r.randint(0, 2),
            "v": r.choice([None, r.randint(-4, 4)]), "s": r.choice([None, "x", "y", "a text that is longer than twelve"]),
            "d": r.choice([None, r.random() * 10 ** r.randint(-3, 9)]), "f": r.random() < 0.6}


def make_changes(r, changing):
    changes, live = [], []
    for n in range(r.randint(1, 60)):
        what = r.random() if changing and live else 1
        if what < 0.15:
            changes.append(("-D", live.pop(r.randrange(len(live)))))
        elif what < 0.3:
            i = r.randrange(len(live))
            new = dict(live[i], v=r.choice([None, r.randint(-4, 4)]), s=r.choice(["x", "z"])) if r.random() < 0.7 else make_row(r, n)
            changes += [("-U", live[i]), ("+U", new)]
            live[i] = new
        elif what < 0.35:
            changes.append(("-D", make_row(r, 1000 + n)))
        else:
            live.append(dict(r.choice(live)) if live and changing and r.random() < 0.1 else make_row(r, n))
            changes.append(("+I", live[-1]))
    return changes


class Reversed:
    def __init__(self, k):
        self.k = k

    def __lt__(self, other):
        return other.k < self.k

    def __eq__(self, other):
        return self.k == other.k


def less(x, descending=False, nulls_last=False):
    k = (0, 0) if x is None else (1, tuple(x.encode()) if isinstance(x, str) else x)
    return (nulls_last if x is None else not nulls_last if nulls_last else True, Reversed(k) if descending else k)


# ---- one call, by definition ----

def frame_rows(call, rows, order, i):
    (start, n), (end, m) = call["from"], call["to"]
    if call["frame"] == "ROWS":
        low = {"UP": 0, "P": i - n, "C": i, "F": i + n}[start]
        high = {"UF": len(rows), "P": i - m + 1, "C": i + 1, "F": i + m + 1}[end]
        return rows[max(low, 0):max(high, 0)]
    peer = [k for k, x in enumerate(rows) if order(x) == order(rows[i])]
    by, sign = call["range"], -1 if call["descending"] else 1
    here = rows[i][by]

    def within(k):
        x = rows[k][by]
        if start == "C" or (here is None and start in "PF"):
            low = k >= peer[0]
        elif start == "UP":
            low = True
        else:
            low = (x is None and not call["nulls_last"]) is False and (x is None or sign * (x - here) >= (-n if start == "P" else n))
        if end == "C" or (here is None and end in ("P", "F")):
            high = k <= peer[-1]
        elif end == "UF":
            high = True
        else:
            high = (x is None and call["nulls_last"]) is False and (x is None or sign * (x - here) <= (m if end == "F" else -m))
        return low and high
    return [rows[k] for k in range(len(rows)) if within(k)]


def aggregate(call, rows):
    name, arg = call["name"], call["arg"]
    if call["filter"]:
        rows = [x for x in rows if x["f"]]
    if name == "COUNT*":
        return len(rows)
    values = [x[arg] for x in rows if x[arg] is not None]
    if call["distinct"]:
        values = sorted(set(values))
    if name == "COUNT":
        return len(values)
    if not values:
        return None
    if name == "SUM" and arg == "d":
        total = 0.0
        for x in values:
            total += x
        return total
    if name == "SUM":
        return sum(values)
    if name == "AVG":
        return abs(sum(values)) // len(values) * (1 if sum(values) >= 0 else -1)
    if name in ("MIN", "MAX"):
        return (min if name == "MIN" else max)(values, key=(lambda x: x.encode()) if isinstance(values[0], str) else None)
    return {"FIRST_VALUE": lambda: values[0], "LAST_VALUE": lambda: values[-1], "LISTAGG": lambda: ",".join(values)}[name]()


def value(call, rows, order, i):
    name, n = call["name"], len(rows)
    before = [x for x in rows if order(x) < order(rows[i])]
    if name == "ROW_NUMBER":
        return i + 1
    if name == "RANK":
        return len(before) + 1
    if name == "DENSE_RANK":
        return 1 + sum(1 for k, x in enumerate(before) if k == 0 or order(before[k - 1]) != order(x))
    if name == "PERCENT_RANK":
        return len(before) / (n - 1) if n > 1 else 0.0
    if name == "CUME_DIST":
        return (n - sum(1 for x in rows if order(rows[i]) < order(x))) / n
    if name == "NTILE":
        sizes = [n // call["n"] + (t < n % call["n"]) for t in range(call["n"])]
        return next(t for t in range(call["n"]) if i < sum(sizes[:t + 1])) + 1
    if name in ("LAG", "LEAD"):
        k = i - call["n"] if name == "LAG" else i + call["n"]
        return rows[k][call["arg"]] if 0 <= k < n else call["default"]
    return aggregate(call, frame_rows(call, rows, order, i))


def answer(calls, rows, order):
    """Of one key's rows in order."""
    return [[value(c, rows, order, i) for c in calls] for i in range(len(rows))]


# ---- calls ----

def make_frame(r, call, order):
    starts, ends = [("UP", 0), ("C", 0)], [("UF", 0), ("C", 0)]
    call["frame"] = r.choice(["ROWS", "RANGE"])
    ranged = len(order) == 1 and order[0][0] in ("v", "ts")
    if call["frame"] == "ROWS" or ranged:
        sizes = [0, 1, 2, 7] if call["frame"] == "ROWS" or order[0][0] == "v" else [0, 5, 40, 200, 1005]
        starts += [(x, r.choice(sizes)) for x in "PF"]
        ends += [(x, r.choice(sizes)) for x in "PF"]
    while True:
        call["from"], call["to"] = r.choice(starts), r.choice(ends)
        place = lambda x: {"UP": -9999999, "UF": 9999999, "C": 0, "P": -x[1], "F": x[1]}[x[0]]
        if place(call["from"]) <= place(call["to"]):
            break
    call["range"], call["descending"], call["nulls_last"] = order[0][0], order[0][1], order[0][2]


def make_call(r, order):
    kind = r.choice(["COUNT*", "COUNT", "SUM", "AVG", "MIN", "MAX", "MIN s", "FIRST_VALUE", "LAST_VALUE", "LISTAGG", "SUM d", "DISTINCT", "ROW_NUMBER", "RANK",
                     "DENSE_RANK", "LAG", "LEAD", "NTILE", "PERCENT_RANK", "CUME_DIST"])
    call = {"name": kind, "arg": "v", "filter": False, "distinct": False, "frame": None, "n": None, "default": None}
    if kind == "MIN s":
        call.update(name="MIN", arg="s")
    elif kind == "LISTAGG":
        call["arg"] = "s"
    elif kind == "SUM d":
        call.update(name="SUM", arg="d")
    elif kind == "DISTINCT":
        call.update(name=r.choice(["COUNT", "SUM"]), distinct=True)
    if kind in ("LAG", "LEAD"):
        call.update(n=r.choice([0, 1, 1, 3]), default=r.choice([None, 7]), arg="v")
    elif kind == "NTILE":
        call["n"] = r.choice([1, 2, 3, 10])
    elif kind not in ("ROW_NUMBER", "RANK", "DENSE_RANK", "PERCENT_RANK", "CUME_DIST"):
        call["filter"] = r.random() < 0.3
        make_frame(r, call, order)
    return call


def bound_text(call, bound):
    kind, n = bound
    if kind == "C":
        return "CURRENT ROW"
    if kind in ("UP", "UF"):
        return "UNBOUNDED " + ("PRECEDING" if kind == "UP" else "FOLLOWING")
    size = str(n) if call["frame"] == "ROWS" or call["range"] == "v" else "INTERVAL '%d.%03d' SECOND" % (n // 1000, n % 1000)
    return size + (" PRECEDING" if kind == "P" else " FOLLOWING")


def call_text(call, window):
    name = call["name"]
    if name in ("LAG", "LEAD"):
        return "%s(v, %d%s) OVER (%s)" % (name, call["n"], ", 7" if call["default"] == 7 else "", window)
    if call["frame"] is None:
        return "%s(%s) OVER (%s)" % (name, call["n"] if name == "NTILE" else "", window)
    arg = "*" if name == "COUNT*" else ("DISTINCT " if call["distinct"] else "") + call["arg"]
    return "%s(%s)%s OVER (%s %s BETWEEN %s AND %s)" % (name.rstrip("*"), arg, " FILTER (WHERE f)" if call["filter"] else "", window, call["frame"],
                                                        bound_text(call, call["from"]), bound_text(call, call["to"]))


def cell(x):
    if x is None:
        return "\\N"
    if isinstance(x, bool):
        return "true" if x else "false"
    return x if isinstance(x, float) else '"%s"' % x if "," in str(x) else str(x)


def same(got, want):
    return len(got) == len(want) and all(float(a) == b if isinstance(b, float) and a != "\\N" else a == b for a, b in zip(got, want))


TYPES = {"COUNT*": "BIGINT", "COUNT": "BIGINT", "LISTAGG": "STRING", "ROW_NUMBER": "BIGINT", "RANK": "BIGINT", "DENSE_RANK": "BIGINT", "NTILE": "INT",
         "PERCENT_RANK": "DOUBLE", "CUME_DIST": "DOUBLE"}


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


# ---- a seed ----

class Window:
    """The rows of each key as they are, in order, equal ones as they came."""

    def __init__(self, by, order):
        self.by, self.columns, self.keys = by, order, {}

    def order(self, x):
        return [less(x[c], d, last) for c, d, last in self.columns]

    def apply(self, op, x):
        """(rows before, rows after, the row that is only in one of them); None: ignored."""
        before = self.keys.setdefault(x[self.by] if self.by else 0, [])
        after = list(before)
        if op in ("+I", "+U"):
            at = sum(1 for y in before if not self.order(x) < self.order(y))
            after.insert(at, x)
        elif x not in before:
            return None
        else:
            at = before.index(x)
            del after[at]
        self.keys[x[self.by] if self.by else 0] = after
        return before, after, at


def expected_changes(changes, window, calls):
    out = []
    for op, x in changes:
        change = window.apply(op, x)
        if change is None:
            continue
        before, after, at = change
        old, new = answer(calls, before, window.order), answer(calls, after, window.order)
        longer = after if len(after) > len(before) else before
        for i, row in enumerate(longer):
            o, n = i - (i > at and longer is after), i - (i > at and longer is before)
            if i == at:
                out.append(("+I", row, new[i]) if longer is after else ("-D", row, old[i]))
            elif list(map(repr, old[o])) != list(map(repr, new[n])):
                out += [("-U", row, old[o]), ("+U", row, new[n])]
    return [[op] + given(row) + [cell(v) for v in values] for op, row, values in out]


def given(x):
    return [cell(x["n"]), time_text(x["ts"]), cell(x["k"]), cell(x["g"]), cell(x["v"])]


def expected_final(changes, window, calls):
    for op, x in changes:
        window.apply(op, x)
    out = []
    for key in sorted(window.keys, key=less):
        rows = window.keys[key]
        out += [given(x) + [cell(v) for v in values] for x, values in zip(rows, answer(calls, rows, window.order))]
    return out


def duck_differs(r, changes, by, calls_text, order_text, final, calls):
    """With its own values where both mean the same."""
    if duckdb is None or any(op != "+I" for op, _ in changes) or any(c["name"] in ("AVG", "FIRST_VALUE", "LAST_VALUE", "LISTAGG") or c["arg"] == "d" for c in calls):
        return None
    con = duckdb.connect()
    con.execute("CREATE TABLE t (n INT, ts TIMESTAMP, k VARCHAR, g INT, v INT, s VARCHAR, d DOUBLE, f BOOLEAN)")
    con.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [[time_text(x[c]) if c == "ts" else x[c] for c in COLUMNS] for _, x in changes])
    rows = con.execute("SELECT n, %s FROM t" % calls_text).fetchall()
    mine = {row[0]: row[5:] for row in final}
    for row in rows:
        if not same(mine[str(row[0])], [cell(x) for x in row[1:]]):
            return "DuckDB has %s for n = %s, we %s\n%s" % (row[1:], row[0], mine[str(row[0])], calls_text)
    return None


def one(seed, directory):
    r = random.Random(seed)
    changing, streaming = r.random() < 0.6, r.random() < 0.6
    changes = make_changes(r, changing)
    by = r.choice(["k", "k", "g", None])
    order = r.choice([["v"], ["ts"], ["s"], ["v", "n"], ["ts", "v"], ["s", "n"], ["n"]])
    order = [(c, r.random() < 0.4, r.random() < 0.3) for c in order]
    calls = [make_call(r, order) for _ in range(r.randint(1, 4))]
    if not changing and not streaming:  # all rows are looked at: not the way of OVER in time order
        calls.append({"name": "LEAD", "arg": "v", "filter": False, "distinct": False, "frame": None, "n": 1, "default": None})
    if len(calls) == 1 and calls[0]["name"] in ("ROW_NUMBER", "RANK", "DENSE_RANK"):
        calls.append(make_call(random.Random(3), order))
    order_text = ", ".join("%s%s NULLS %s" % (c, " DESC" if d else "", "LAST" if last else "FIRST") for c, d, last in order)
    window_text = ("PARTITION BY %s " % by if by else "") + "ORDER BY " + order_text
    list_text = ", ".join(call_text(c, window_text) for c in calls)
    window = Window(by, order)
    want = expected_changes(changes, window, calls) if streaming else expected_final(changes, window, calls)
    if not streaming and len({x["n"] for _, x in changes}) == len(changes) and order[-1][0] == "n":
        wrong = duck_differs(r, changes, by, list_text, order_text, want, calls)
        if wrong:
            return "seed %d: %s" % (seed, wrong)
    path, first = os.path.join(directory, "t%d.csv" % seed), None
    with open(path, "w") as f:
        for op, x in changes:
            f.write(",".join(([op] if changing else []) + [time_text(x["ts"]) if c == "ts" else str(cell(x[c])) for c in COLUMNS]) + "\n")
    types = ["INT", "TIMESTAMP(3)", "STRING", "INT", "INT"] + [TYPES.get(c["name"], {"v": "INT", "d": "DOUBLE", "s": "STRING"}[c["arg"]]) for c in calls]
    for shards in (1, 2, 3, 8):
        out = os.path.join(directory, "o%d.%d.csv" % (seed, shards))
        sql = """SET 'execution.runtime-mode' = '%s';
CREATE TABLE t (n INT, ts TIMESTAMP(3), k STRING, g INT, v INT, s STRING, d DOUBLE, f BOOLEAN) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '%s', 'csv.null-literal' = '\\N'%s);
CREATE TABLE out_ (%s) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '%s', 'csv.null-literal' = '\\N'%s);
INSERT INTO out_ SELECT n, ts, k, g, v, %s FROM t;""" % ("streaming" if streaming else "batch", path, ", 'changelog.column' = 'op'" if changing else "", ", ".join("c%d %s" % x for x in enumerate(types)),
                                                   out, ", 'changelog.column' = 'op'" if streaming else "", list_text)
        code, _, err = sqlkit.run(sql, shards, r, 300, env=sqlkit.round_trip(r, seed) if shards != 1 else {})
        if code != 0:
            return "seed %d, %d shards: exit %d %s\n%s" % (seed, shards, code, err.strip()[:600], sql)
        data = open(out).read()
        first = data if first is None else first
        got = [split_line(x) for x in data.split("\n")[:-1]]
        if data != first:
            return "seed %d: %d shards give other bytes than one\n%s" % (seed, shards, sql)
        for i, (a, b) in enumerate(zip(got, want)):
            if not same(a, b):
                return "seed %d, %d shards: row %d: got %s, expected %s\n%s" % (seed, shards, i, a, b, sql)
        if len(got) != len(want):
            return "seed %d, %d shards: %d rows, expected %d\n%s" % (seed, shards, len(got), len(want), sql)
    return None


sys.exit(sqlkit.main("sql_over_view", sqlkit.seed_count(25, 400), one))
