#!/usr/bin/env python3
"""GROUPING SETS, ROLLUP and CUBE against groups made one set after the other in Python; final rows and changelogs, with and without windows.

The same bytes for 1, 2, 3 and 8 shards and any batch size; the changelog folds to the final rows.
"""
import collections, itertools, json, os, random, subprocess, sys, tempfile

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
SEEDS = int(os.environ.get("MILL_SEEDS", "8" if os.environ.get("MILL_QUICK") else "150"))
FIRST = int(os.environ.get("MILL_FIRST_SEED", "0"))
KEYS = ["a", "b", "c"]


def some(r):
    return r.sample(KEYS, r.randint(1, 3))


def item(r):
    """(SQL, its sets) of one item of GROUP BY"""
    kind = r.choice(["sets", "rollup", "cube", "plain"])
    keys = some(r)
    if kind == "plain":
        return keys[0], [{keys[0]}]
    if kind == "rollup":
        return "ROLLUP (%s)" % ", ".join(keys), [set(keys[:n]) for n in range(len(keys), -1, -1)]
    if kind == "cube":
        return "CUBE (%s)" % ", ".join(keys), [set(c) for n in range(len(keys), -1, -1) for c in itertools.combinations(keys, n)]
    sets = [r.sample(KEYS, r.randint(0, 3)) for _ in range(r.randint(1, 4))]
    return "GROUPING SETS (%s)" % ", ".join("(%s)" % ", ".join(s) for s in sets), [set(s) for s in sets]


def run(sql, mode, shards, batch):
    p = subprocess.run([COMMAND, "run", "-c", "SET 'execution.runtime-mode' = '%s';\n%s" % (mode, sql), "--quiet", "--format", "json", "--shards", str(shards),
                        "--set", "batch-rows=%d" % batch, "--set", "step-bytes=400"], capture_output=True, text=True, timeout=300)
    return p.returncode, p.stdout, p.stderr


def one(seed):
    r = random.Random(seed)
    rows = [(i * 100, r.choice([None, 1, 2]), r.choice([None, "x", "a text of some length"]), r.choice([1, 2]), r.choice([None, -1, 5, 7])) for i in range(r.randint(1, 150))]
    items = [item(r) for _ in range(r.randint(1, 2))]
    windowed = r.random() < 0.4
    sets = [set().union(*c) for c in itertools.product(*[s for _, s in items])]
    used = sorted(set().union(*sets))
    plain = all(not sql.startswith(("ROLLUP", "CUBE", "GROUPING")) for sql, _ in items)
    ids = ", GROUPING_ID(%s) AS gid" % ", ".join(used) if used and not plain else ""
    source = "TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '2' SECOND))" if windowed else "t"
    names = (["window_start"] if windowed else []) + used
    query = "SELECT %sCOUNT(*) AS n, SUM(v) AS s, MIN(a) AS lo%s FROM %s GROUP BY %s" % (
        "".join(k + ", " for k in names), ids, source, ", ".join((["window_start", "window_end"] if windowed else []) + [s for s, _ in items]))
    expected = collections.Counter()
    for s in sets:
        groups = {}
        for ts, a, b, c, v in rows:
            of = {"a": a, "b": b, "c": c}
            start = "2024-05-01 10:00:%02d.000" % (ts // 2000 * 2)
            groups.setdefault((start,) * windowed + tuple(of[k] if k in s else None for k in used), []).append((a, v))
        for key, g in groups.items():
            values = [v for _, v in g if v is not None]
            gid = (sum((k not in s) << (len(used) - 1 - i) for i, k in enumerate(used)),) if ids else ()
            expected[key + (len(g), sum(values) if values else None, min((a for a, _ in g if a is not None), default=None)) + gid] += 1
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "t.csv")
        with open(path, "w") as f:
            for ts, *values in rows:
                f.write("2024-05-01 10:00:%02d.%03d,%s\n" % (ts // 1000, ts % 1000, ",".join("~" if v is None else str(v) for v in values)))
        sql = ("CREATE TABLE t (ts TIMESTAMP(3), a INT, b STRING, c INT, v BIGINT, WATERMARK FOR ts AS ts) WITH ('connector' = 'filesystem', 'format' = 'csv', "
               "'csv.null-literal' = '~', 'path' = '%s');\n%s" % (path, query))
        for mode in ("batch", "streaming"):
            first = None
            for shards in (1, 2, 3, 8):
                code, out, err = run(sql, mode, shards, r.choice([1, 7, 4096]))
                if code != 0:
                    return "seed %d: exit %d: %s\n%s" % (seed, code, err, query)
                first = out if first is None else first
                if out != first:
                    return "seed %d, %s: other bytes for %d shards\n%s" % (seed, mode, shards, query)
            got = collections.Counter()
            for line in first.splitlines():
                row = json.loads(line)
                got[tuple(row.values()) if "op" not in row else tuple(list(row.values())[1:])] += 1 if row.get("op", "+I") in ("+I", "+U") else -1
            if +got != expected or any(n < 0 for n in got.values()):
                return "seed %d, %s: %s\ntoo much %s\nmissing %s" % (seed, mode, query, +got - expected, expected - got)
    return None


def errors():
    table = "CREATE TABLE t (a INT, v INT) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '/x');\n"
    for sql, text in [("SELECT GROUPING(a) FROM t GROUP BY a", "GROUPING(key, ...) needs GROUP BY GROUPING SETS"),
                      ("SELECT GROUPING(v) FROM t GROUP BY ROLLUP (a)", "GROUPING: this is no key of GROUP BY"),
                      ("SELECT v FROM t GROUP BY CUBE (a)", "v is neither in GROUP BY")]:
        p = subprocess.run([COMMAND, "check", "-c", table + sql], capture_output=True, text=True)
        if p.returncode != 78 or text not in p.stderr:
            return "%s: exit %d, %s" % (sql, p.returncode, p.stderr)
    return None


def main():
    wrong = [w for w in [one(seed) for seed in range(FIRST, FIRST + SEEDS)] + [errors()] if w]
    for w in wrong:
        print("FAILED: " + w)
    print("sql_sets: %d passed, %d failed, 0 skipped" % (SEEDS + 1 - len(wrong), len(wrong)))
    return len(wrong) > 0


if __name__ == "__main__":
    sys.exit(main())
