#!/usr/bin/env python3
"""COGROUP JOIN: on random streams each key and window has the rows of both sides as arrays, in the order of their places, once.

Checked against a recomputation of the groups, with ON and with USING, over tumbling and hopping windows, with NULL keys, late rows, any number of
shards and size of batches; then what is refused.
"""
import json, os, random, sys

import sqlkit

REFUSED = [  # (the join, what stands in the error)
    ("(SELECT * FROM l) AS l COGROUP JOIN (SELECT * FROM r) AS r USING (k)", "COGROUP JOIN is one of windows"),
    ("TABLE(TUMBLE(TABLE l, DESCRIPTOR(ts), INTERVAL '1' SECOND)) AS l COGROUP JOIN TABLE(TUMBLE(TABLE r, DESCRIPTOR(ts), INTERVAL '2' SECOND)) AS r "
     "USING (k, window_start, window_end)", "windows"),
    ("TABLE(TUMBLE(TABLE l, DESCRIPTOR(ts), INTERVAL '1' SECOND)) COGROUP JOIN r USING (k)", "needs a name"),
    ("TABLE(TUMBLE(TABLE l, DESCRIPTOR(ts), INTERVAL '1' SECOND)) AS l COGROUP JOIN TABLE(TUMBLE(TABLE r, DESCRIPTOR(ts), INTERVAL '1' SECOND)) AS r "
     "ON l.k = r.k AND l.v < r.v", "equalities of columns of both sides"),
    ("TABLE(TUMBLE(TABLE l, DESCRIPTOR(ts), INTERVAL '1' SECOND)) AS l COGROUP JOIN TABLE(TUMBLE(TABLE r, DESCRIPTOR(ts), INTERVAL '1' SECOND)) AS r "
     "ON k = r.k", "write l.column = r.column"),
    ("TABLE(TUMBLE(TABLE l, DESCRIPTOR(ts), INTERVAL '1' SECOND)) AS l COGROUP JOIN TABLE(TUMBLE(TABLE r, DESCRIPTOR(ts), INTERVAL '1' SECOND)) AS r "
     "USING (kk, window_start, window_end)", "kk"),
]
TABLE = "CREATE TABLE %s (k STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '%s', 'csv.null-literal' = '~');\n"


def stream(r):
    t, rows = 0, []
    for _ in range(r.randint(0, 120)):
        t += r.randint(0, 900)
        rows.append((r.choice(["a", "b", "c c", None]), r.choice([None, r.randint(-9, 9)]), max(0, t - r.choice([0, 0, 0, 500, 1999, 6000]))))
    return rows


def groups(rows, size, slide, by_window):
    """Rows by (end, key), without those whose window the watermark has closed; how many are late: rows, or rows with a window each."""
    out, mark, late, missed = {}, -10**9, 0, 0
    for k, v, ts in rows:
        taken = False
        for start in range(ts // slide * slide, ts - size, -slide):
            if mark < start + size - 1:
                out.setdefault((start + size, k), []).append({"k": k, "v": v, "ts": sqlkit.time_text(ts)})
                taken = True
            else:
                missed += 1
        late += not taken
        mark = max(mark, ts - 2000)
    return out, missed if by_window else late


def one(seed, folder):
    r = random.Random(seed)
    size, slide = r.choice([(1000, 1000), (5000, 5000), (3000, 1000), (10000, 5000)])
    sides = {name: stream(r) for name in "lr"}
    sql = ""
    for name, rows in sides.items():
        path = os.path.join(folder, "%s%d.csv" % (name, seed))
        with open(path, "w") as f:
            f.writelines("%s,%s,%s\n" % ("~" if k is None else k, "~" if v is None else v, sqlkit.time_text(ts)) for k, v, ts in rows)
        sql += TABLE % (name, path)
    window = "TABLE(HOP(TABLE %%s, DESCRIPTOR(ts), INTERVAL '%d' SECOND, INTERVAL '%d' SECOND))" % (slide // 1000, size // 1000)
    attached = r.random() < 0.5
    left, right = (("(SELECT * FROM %s)" if attached else "%s") % (window % name) for name in "lr")
    if r.random() < 0.5:
        what, how = "k, window_end AS w, x, y", "USING (k, window_start, window_end)"
    else:
        what, how = "COALESCE(x.k, y.k) AS k, COALESCE(x.window_end, y.window_end) AS w, x, y", "ON x.window_start = y.window_start AND y.window_end = x.window_end AND x.k = y.k"
    sql += "SELECT %s FROM %s AS x COGROUP JOIN %s AS y %s;" % (what, left, right, how)
    (x, late_x), (y, late_y) = groups(sides["l"], size, slide, attached), groups(sides["r"], size, slide, attached)
    expected = []
    for end, k in sorted(set(x) | set(y), key=lambda g: (g[0], g[1] is not None, g[1] or "")):
        both = [x.get((end, k)), y.get((end, k))]
        for pair in [both] if k is not None else [[g, None] if i == 0 else [None, g] for i, g in enumerate(both) if g]:  # NULL equals nothing
            expected.append({"k": k, "w": sqlkit.time_text(end), "x": pair[0], "y": pair[1]})
    for shards in (1, 2, 3):
        code, got, err = sqlkit.run(sql, shards, r, r.choice([200, 1 << 20]), ("--format", "json", *sqlkit.SUMMARY), sqlkit.round_trip(r, seed))
        rows = [json.loads(text) for text in got.splitlines()]
        if code != 0 or rows != expected or '"late": %d,' % (late_x + late_y) not in err:
            at = next((i for i, (a, b) in enumerate(zip(rows, expected)) if a != b), min(len(rows), len(expected)))
            return "seed %d, %d shards: exit %d, %d late expected; %d rows, %d expected; row %d\n%s\nexpected\n%s\n%s\n%s" % (
                seed, shards, code, late_x + late_y, len(rows), len(expected), at, rows[at:at + 1], expected[at:at + 1], err[:300], sql)
    return None


def refused(n, folder):
    join, needed = REFUSED[n]
    code, _, err = sqlkit.run(TABLE % ("l", "/dev/null") + TABLE % ("r", "/dev/null") + "SELECT * FROM " + join, 1, random.Random(n), 1 << 20)
    return None if code == 78 and needed in err else "refused %d: exit %d, %s" % (n, code, err)


seeds = sqlkit.seed_count(15, 60)
sys.exit(sqlkit.main("sql_cogroup", seeds + len(REFUSED), lambda seed, folder: refused(seed - sqlkit.FIRST - seeds, folder) if seed - sqlkit.FIRST >= seeds else one(seed, folder)))
