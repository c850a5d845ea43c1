#!/usr/bin/env python3
"""ARRAY, MAP and UNNEST on random rows against a recomputation in Python.

Each seed makes JSON lines with arrays, maps and arrays of rows (NULLs, empty ones, long texts) and runs queries over them: what is read is written back the same;
element access, CARDINALITY, ARRAY_CONTAINS, ARRAY_DISTINCT, ARRAY_SORT, MAP_KEYS; UNNEST of each, inner and left, numbered, filtered and
grouped; ARRAY_AGG and COLLECT per key and per window; GROUP BY and joins on arrays and maps; as a changelog UNNEST and COLLECT of rows that change, whose
fold is the answer over all rows. The command must give the same bytes for
1, 2, 3 and 8 shards and any batch size, ring size and state round trip.
"""
import collections, json, os, random, sys

import sqlkit
from sqlkit import time_text

TEXTS = [None, "", "a", "b", "ä", "a text that is longer than twelve bytes", "another text that is longer than twelve"]


def some(r, make, most=5):
    kind = r.random()
    return None if kind < 0.1 else [] if kind < 0.2 else [make() for _ in range(r.randint(1, most))]


def make_rows(r):
    rows, t = [], 0
    for i in range(r.randint(1, 120)):
        t += r.choice([0, 1, 500, 3000])
        keys = some(r, lambda: r.choice(TEXTS[1:]))
        rows.append({"id": i, "k": r.choice([None, "x", "y", "z"]), "ints": some(r, lambda: r.choice([None, *range(-2, 4)]), r.choice([3, 40])),
                     "texts": some(r, lambda: r.choice(TEXTS)), "attrs": None if keys is None else {key: r.choice([None, 1, 2, 7]) for key in keys},
                     "lines": some(r, lambda: r.choice([None, {"sku": r.choice(TEXTS), "n": r.choice([None, 1, 2])}])), "ts": t})
    return rows


TABLE = """CREATE TABLE t (id INT, k STRING, ints ARRAY<INT>, texts ARRAY<STRING>, attrs MAP<STRING, BIGINT>, lines ARRAY<ROW<sku STRING, n INT>>,
ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = '%s');
"""


def in_order(d):
    return None if d is None else dict(sorted(d.items(), key=lambda item: item[0].encode()))


def distinct(items):
    out = []
    for x in items:
        if x not in out:
            out.append(x)
    return out


def element(items, n):
    return items[n - 1] if items is not None and 1 <= n <= len(items) else None


def none_or(f, x):
    return None if x is None else f(x)


def ascending(items):
    return sorted(items, key=lambda x: (x is not None, x))


def text_key(x):
    return (0, b"") if x is None else (1, x.encode())


def multiset(items):
    return dict(sorted(collections.Counter(x for x in items if x is not None).items(), key=lambda item: item[0].encode()))


def scalars(rows, n):
    return ["a", "b", "c", "d", "e", "f", "g"], [
        (x["id"], element(x["ints"], n), none_or(len, x["texts"]), none_or(lambda a: 2 in a, x["ints"]), none_or(distinct, x["texts"]),
         none_or(ascending, x["ints"]), none_or(lambda m: list(in_order(m)), x["attrs"])) for x in rows]


def unnested(rows, column, left):
    for x in rows:
        items = x[column] or ([] if not left else [None])
        for i, item in enumerate(items):
            yield x, item, None if left and not x[column] else i + 1


def groups(pairs):
    out = {}
    for key, value in pairs:
        out.setdefault(key, []).append(value)
    return sorted(out.items(), key=lambda item: text_key(item[0]))


def key_text(x):
    return json.dumps(in_order(x) if isinstance(x, dict) else x, ensure_ascii=False)


# Each: SQL and a function of the rows that gives rows, in order; or, as the last item, "bag": in any order.
def queries(r):
    n = r.randint(1, 4)
    left = r.random() < 0.5
    join = ("LEFT JOIN UNNEST(%s) AS u (%s) ON TRUE" if left else "CROSS JOIN UNNEST(%s) AS u (%s)")
    numbered = ("LEFT JOIN UNNEST(%s) WITH ORDINALITY AS u (%s) ON TRUE" if left else "CROSS JOIN UNNEST(%s) WITH ORDINALITY AS u (%s)")
    return [
        ("SELECT id, k, ints, texts, attrs, lines FROM t",
         lambda rows: [(x["id"], x["k"], x["ints"], x["texts"], in_order(x["attrs"]), x["lines"]) for x in rows]),
        ("SELECT id, ints[%d], CARDINALITY(texts), ARRAY_CONTAINS(ints, 2), ARRAY_DISTINCT(texts), ARRAY_SORT(ints), MAP_KEYS(attrs) FROM t" % n,
         lambda rows: scalars(rows, n)[1]),
        ("SELECT id, x FROM t " + join % ("texts", "x"), lambda rows: [(x["id"], e) for x, e, _ in unnested(rows, "texts", left)]),
        ("SELECT id, x, i FROM t " + numbered % ("ints", "x, i"), lambda rows: [(x["id"], e, i) for x, e, i in unnested(rows, "ints", left)]),
        ("SELECT id, sku, n FROM t " + join % ("lines", "sku, n"),
         lambda rows: [(x["id"], (e or {}).get("sku"), (e or {}).get("n")) for x, e, _ in unnested(rows, "lines", left)]),
        ("SELECT id, a, b FROM t CROSS JOIN UNNEST(attrs) AS u (a, b) WHERE b > 1",
         lambda rows: [(x["id"], a, b) for x in rows for a, b in (in_order(x["attrs"]) or {}).items() if b is not None and b > 1]),
        ("SELECT k, ARRAY_AGG(id), ARRAY_AGG(texts[1]), ARRAY_AGG(DISTINCT texts[1] IGNORE NULLS), COLLECT(texts[1]) FROM t GROUP BY k",
         lambda rows: [(k, [x["id"] for x in g], [element(x["texts"], 1) for x in g],
                        distinct([element(x["texts"], 1) for x in g if element(x["texts"], 1) is not None]) or None,
                        multiset([element(x["texts"], 1) for x in g])) for k, g in groups((x["k"], x) for x in rows)]),
        ("SELECT window_start, k, ARRAY_AGG(x), COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND)) CROSS JOIN UNNEST(ints) AS u (x) "
         "GROUP BY window_start, window_end, k",
         lambda rows: [(time_text(start), k, g, len(g)) for start, of in sorted(by_window(rows).items()) for k, g in groups(of)]),
        ("SELECT x, COUNT(*) FROM t CROSS JOIN UNNEST(texts) AS u (x) GROUP BY x",
         lambda rows: [(k, len(g)) for k, g in groups((e, x) for x, e, _ in unnested(rows, "texts", False))]),
        ("SELECT texts, COUNT(*), ARRAY_AGG(id) FROM t GROUP BY texts", lambda rows: by_value(rows, "texts"), "bag"),
        ("SELECT attrs, COUNT(*), ARRAY_AGG(id) FROM t GROUP BY attrs", lambda rows: by_value(rows, "attrs"), "bag"),
        ("SELECT a.id, b.id FROM t AS a JOIN t AS b ON a.attrs = b.attrs AND a.ints = b.ints",
         lambda rows: [(a["id"], b["id"]) for a in rows for b in rows if a["attrs"] is not None and a["ints"] is not None and
                       a["attrs"] == b["attrs"] and a["ints"] == b["ints"]], "bag"),
        ("SELECT id, k, last FROM (SELECT id, k, texts AS last, ROW_NUMBER() OVER (PARTITION BY k ORDER BY id DESC) AS n FROM t) WHERE n = 1",
         lambda rows: [(g[-1]["id"], k, g[-1]["texts"]) for k, g in groups((x["k"], x) for x in rows)], "bag"),
        ("SELECT id, ARRAY_AGG(id) OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM t", over, "bag"),
        ("SELECT a.id, b.lines FROM t AS a JOIN t AS b ON a.k = b.k AND a.ts BETWEEN b.ts AND b.ts + INTERVAL '1' SECOND",
         lambda rows: [(a["id"], b["lines"]) for a in rows for b in rows if a["k"] is not None and a["k"] == b["k"] and 0 <= a["ts"] - b["ts"] <= 1000], "bag"),
    ]


def by_window(rows):
    out = {}
    for x, e, _ in unnested(rows, "ints", False):
        out.setdefault(x["ts"] // 5000 * 5000, []).append((x["k"], e))
    return out


def by_value(rows, column):
    found = {}
    for x in rows:
        found.setdefault(key_text(x[column]), []).append(x)
    return [(in_order(g[0][column]) if column == "attrs" else g[0][column], len(g), [x["id"] for x in g]) for g in found.values()]


def over(rows):
    out, last = [], {}
    for x in rows:  # ascending in time already
        last.setdefault(x["k"], []).append(x["id"])
        out.append((x["id"], last[x["k"]][-3:]))
    return out


def counted(rows, column):
    return list(collections.Counter(key_text(x[column]) for x in rows).values())


CHANGES = [
    ("SELECT k, x FROM (SELECT k, ARRAY_AGG(id) AS a FROM t GROUP BY k) AS q, UNNEST(a) AS u (x)", lambda rows: [(x["k"], x["id"]) for x in rows]),
    ("SELECT c, x FROM (SELECT COUNT(*) AS c, COLLECT(n) AS m FROM (SELECT k, COUNT(*) AS n FROM t GROUP BY k) AS i) AS q LEFT JOIN UNNEST(m) AS u (x) ON TRUE",
     lambda rows: [(len(counted(rows, "k")), n) for n in counted(rows, "k")]),
    ("SELECT x FROM (SELECT COLLECT(DISTINCT n) AS m FROM (SELECT texts, COUNT(*) AS n FROM t GROUP BY texts) AS i) AS q, UNNEST(m) AS u (x)",
     lambda rows: [(n,) for n in set(counted(rows, "texts"))]),
]


def fold(out):
    """Rows that are there in the end; None: one is taken back that is not there."""
    rows = collections.Counter()
    for line in out.split("\n")[:-1]:
        row = json.loads(line)
        weight = 1 if row.pop("op") in ("+I", "+U") else -1
        rows[json.dumps(list(row.values()))] += weight
        if rows[json.dumps(list(row.values()))] < 0:
            return None
    return sorted(rows.elements())


def changes(seed, r, rows, path, step):
    sql, expected = r.choice(CHANGES)
    outs = set()
    for shards in (1, 2, 3, 8):
        code, out, err = sqlkit.run_in_mode("streaming", TABLE % path + sql, shards, r, seed, step)
        if code != 0:
            return "seed %d, %d shards: %s: exit %d: %s" % (seed, shards, sql, code, err)
        outs.add(out)
    if len(outs) > 1:
        return "seed %d: %s: shards differ" % (seed, sql)
    got, want = fold(outs.pop()), sorted(json.dumps(list(row)) for row in expected(rows))
    return None if got == want else "seed %d: %s: %s, expected %s" % (seed, sql, got, want)


def one(seed, directory):
    r = random.Random(seed)
    rows = make_rows(r)
    path = os.path.join(directory, "nested%d.json" % seed)
    with open(path, "w", encoding="utf-8") as f:
        for x in rows:
            f.write(json.dumps({**x, "ts": time_text(x["ts"])}, ensure_ascii=r.random() < 0.5) + "\n")
    step = r.choice([200, 1000, 1 << 20])
    wrong = None
    for sql, expected, *bag in r.sample(queries(r), 3):
        want = [json.dumps(row, ensure_ascii=False) for row in expected(rows)]
        first = None
        for shards in (1, 2, 3, 8):
            code, out, err = sqlkit.run(TABLE % path + sql, shards, r, step, ("--format", "json"), sqlkit.round_trip(r, seed))
            if code != 0:
                return "seed %d, %d shards: %s: exit %d: %s" % (seed, shards, sql, code, err)
            if first is not None and out != first:
                wrong = "%d shards differ from one" % shards
            first = first if first is not None else out
        got = [json.dumps(list(json.loads(line, object_pairs_hook=pairs).values()), ensure_ascii=False) for line in first.split("\n")[:-1]]
        if bag:
            got, want = sorted(got), sorted(want)
        if got != want:
            wrong = "%d rows, expected %d; the first that differ: %s, expected %s" % (
                len(got), len(want), *next(((a, b) for a, b in zip(got + [None], want + [None]) if a != b), ("", "")))
        if wrong:
            return "seed %d: %s: %s" % (seed, sql, wrong)
    wrong = changes(seed, r, rows, path, step)
    os.unlink(path)
    return wrong


def pairs(items):
    """A row may have two columns of one name."""
    out = {}
    for name, value in items:
        out[name + "'" * sum(k.startswith(name) for k in out) if name in out else name] = value
    return out


if __name__ == "__main__":
    sys.exit(sqlkit.main("sql_nested", sqlkit.seed_count(8, 24), one))
