#!/usr/bin/env python3
"""Random plans of one to four operators against a naive evaluation of the same plan over lists of rows.

Operators: filter, projection, GROUP BY, DISTINCT, UNION ALL and the other set operations, inner and outer, semi and anti joins, Top-N, over tables,
windows that tumble, hop or are sessions, OVER aggregates and interval joins; all of rows (k, v, n). Checked are the final rows
('execution.runtime-mode' = 'batch') and the changelog ('streaming'), which must fold to the same and never take back a row that is not
there; each must be the same bytes for several shard counts, batch and step sizes and state round trips. What is not supported yet is counted as skipped.
"""
import collections, concurrent.futures, json, os, random, subprocess, sys, tempfile

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
SEEDS = int(os.environ.get("MILL_SEEDS", "30" if os.environ.get("MILL_QUICK") else "500"))
FIRST = int(os.environ.get("MILL_FIRST_SEED", "0"))
# Small rings hold senders up within batches: MILL_RINGS=64 for others.
RINGS = [int(x) for x in os.environ.get("MILL_RINGS", "1,2,64").split(",")]


def null_first(x):
    return (x is not None, x if isinstance(x, int) else (x or "").encode())


class Plan:
    """sql: a query with columns k, v, n; rows: its answer"""

    def __init__(self, sql, rows, depth):
        self.sql, self.rows, self.depth = sql, rows, depth


class Maker:
    def __init__(self, r):
        self.r, self.names = r, 0
        self.tables = {}
        for name in ("t", "u"):
            rows = []
            for i in range(r.randint(0, 60)):
                rows.append((r.choice([None, "a", "b", "c", "a long key of a row"]), r.choice([None, 0, 1, 2, 3]), i))
            self.tables[name] = rows

    def name(self):
        self.names += 1
        return "x%d" % self.names

    def base(self):
        t = self.r.choice(["t", "u"])
        if self.r.random() < 0.6:
            return getattr(self, self.r.choice(["window", "hop", "session", "over", "interval"]))(t)
        return Plan("SELECT k, v, n FROM " + t, list(self.tables[t]), 0)

    def window(self, t):
        size, groups = self.r.choice([3, 10, 1000]), collections.OrderedDict()
        for k, v, n in self.tables[t]:
            groups.setdefault((n // size, k), []).append((v, n))
        return Plan("SELECT k, COUNT(v) AS v, MAX(n) AS n FROM TABLE(TUMBLE(TABLE %s, DESCRIPTOR(ts), INTERVAL '%.3f' SECOND)) GROUP BY k, window_start, window_end"
                    % (t, size / 1000), [(k, sum(v is not None for v, _ in g), max(n for _, n in g)) for (_, k), g in groups.items()], 0)

    def hop(self, t):
        slide, slides = self.r.choice([2, 5]), self.r.choice([2, 3])
        groups = collections.OrderedDict()
        for k, v, n in self.tables[t]:
            for i in range(slides):
                groups.setdefault((n // slide - i, k), []).append((v, n))
        return Plan("SELECT k, COUNT(v) AS v, MAX(n) AS n FROM TABLE(HOP(TABLE %s, DESCRIPTOR(ts), INTERVAL '%.3f' SECOND, INTERVAL '%.3f' SECOND)) GROUP BY k, window_start, window_end"
                    % (t, slide / 1000, slide * slides / 1000), [(k, sum(v is not None for v, _ in g), max(n for _, n in g)) for (_, k), g in groups.items()], 0)

    def session(self, t):
        gap, out = self.r.choice([2, 5]), []
        for key in {k for k, _, _ in self.tables[t]}:
            last = None
            for k, v, n in self.tables[t]:
                if k != key:
                    continue
                if last is None or n - last >= gap:
                    out.append([k, 0, n])
                out[-1][1:], last = [out[-1][1] + (v is not None), n], n
        return Plan("SELECT k, COUNT(v) AS v, MAX(n) AS n FROM TABLE(SESSION(TABLE %s PARTITION BY k, DESCRIPTOR(ts), INTERVAL '%.3f' SECOND)) GROUP BY k, window_start, window_end"
                    % (t, gap / 1000), [tuple(x) for x in out], 0)

    def over(self, t):
        before, seen, out = self.r.choice([0, 2, 1000]), {}, []
        for k, v, n in self.tables[t]:
            seen.setdefault(k, []).append(v)
            there = [x for x in seen[k][-before - 1:] if x is not None]
            out.append((k, sum(there) if there else None, n))
        return Plan("SELECT k, SUM(v) OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN %d PRECEDING AND CURRENT ROW) AS v, n FROM %s" % (before, t), out, 0)

    def interval(self, t):
        x, y, other, span = self.name(), self.name(), self.r.choice(["t", "u"]), self.r.choice([1, 6])
        kind, out = self.r.choice(["JOIN", "LEFT JOIN"]), []
        for k, v, n in self.tables[t]:
            matches = [b[2] for b in self.tables[other] if b[0] is not None and b[0] == k and n - span <= b[2] <= n + 2]
            out += [(k, v, b) for b in matches] if matches or kind == "JOIN" else [(k, v, None)]
        return Plan("SELECT %s.k, %s.v, %s.n FROM %s AS %s %s %s AS %s ON %s.k = %s.k AND %s.ts BETWEEN %s.ts - INTERVAL '%.3f' SECOND AND %s.ts + INTERVAL '0.002' SECOND"
                    % (x, x, y, t, x, kind, other, y, x, y, y, x, span / 1000, x), out, 0)

    def make(self, depth):
        if depth == 0:
            return self.base()
        return getattr(self, self.r.choice(["filter", "project", "group", "distinct", "union", "set_operation", "join", "join", "semi", "rank", "group"]))(depth)

    def filter(self, d):
        p, x = self.make(d - 1), self.name()
        cond, f = self.r.choice([("v > 1", lambda k, v, n: v is not None and v > 1), ("k = 'a'", lambda k, v, n: k == "a"),
                                 ("k IS NOT NULL", lambda k, v, n: k is not None), ("v IS NULL OR n < 5", lambda k, v, n: v is None or (n is not None and n < 5))])
        return Plan("SELECT k, v, n FROM (%s) AS %s WHERE %s" % (p.sql, x, cond), [t for t in p.rows if f(*t)], d)

    def project(self, d):
        p, x = self.make(d - 1), self.name()
        return Plan("SELECT k, n AS v, v + 1 AS n FROM (%s) AS %s" % (p.sql, x), [(k, n, None if v is None else v + 1) for k, v, n in p.rows], d)

    def group(self, d):
        p, x = self.make(d - 1), self.name()
        having = self.r.choice(["", "", " HAVING COUNT(*) > 1"])
        groups = collections.OrderedDict()
        for k, v, n in p.rows:
            groups.setdefault(k, []).append((v, n))
        agg, f = self.r.choice([("MAX(n)", lambda g: max((n for _, n in g if n is not None), default=None)),
                                ("SUM(v)", lambda g: sum(w) if (w := [v for v, _ in g if v is not None]) else None),
                                ("COUNT(DISTINCT v)", lambda g: len({v for v, _ in g if v is not None})),
                                ("MIN(v)", lambda g: min((v for v, _ in g if v is not None), default=None))])
        return Plan("SELECT k, COUNT(*) AS v, %s AS n FROM (%s) AS %s GROUP BY k%s" % (agg, p.sql, x, having),
                    [(k, len(g), f(g)) for k, g in groups.items() if not having or len(g) > 1], d)

    def distinct(self, d):
        p, x = self.make(d - 1), self.name()
        return Plan("SELECT DISTINCT k, v, CAST(NULL AS BIGINT) AS n FROM (%s) AS %s" % (p.sql, x), [(k, v, None) for k, v in {(k, v) for k, v, _ in p.rows}], d)

    def union(self, d):
        p, q = self.make(d - 1), self.make(self.r.randint(0, d - 1))
        return Plan("(%s) UNION ALL (%s)" % (p.sql, q.sql), p.rows + q.rows, d)

    def set_operation(self, d):
        p, q = self.make(d - 1), self.make(self.r.randint(0, d - 1))
        a, b = collections.Counter(p.rows), collections.Counter(q.rows)
        op, out = self.r.choice([("UNION", dict.fromkeys(a + b, 1)), ("INTERSECT", dict.fromkeys(a & b, 1)), ("INTERSECT ALL", a & b),
                                 ("EXCEPT", {x: 1 for x in a if x not in b}), ("EXCEPT ALL", a - b)])
        return Plan("(%s) %s (%s)" % (p.sql, op, q.sql), list(collections.Counter(out).elements()), d)

    def join(self, d):
        p, q, x, y = self.make(d - 1), self.make(self.r.randint(0, d - 1)), self.name(), self.name()
        kind = self.r.choice(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
        extra = self.r.choice(["", "", " AND %s.v <= %s.n" % (x, y)])
        ok = lambda a, b: a[0] is not None and a[0] == b[0] and (not extra or (a[1] is not None and b[2] is not None and a[1] <= b[2]))
        out = []
        for a in p.rows:
            matches = [b for b in q.rows if ok(a, b)]
            out += [(a[0], a[1], b[2]) for b in matches]
            if not matches and kind in ("LEFT JOIN", "FULL JOIN"):
                out.append((a[0], a[1], None))
        if kind in ("RIGHT JOIN", "FULL JOIN"):
            out += [(None, None, b[2]) for b in q.rows if not any(ok(a, b) for a in p.rows)]
        return Plan("SELECT %s.k, %s.v, %s.n FROM (%s) AS %s %s (%s) AS %s ON %s.k = %s.k%s" % (x, x, y, p.sql, x, kind, q.sql, y, x, y, extra), out, d)

    def semi(self, d):
        p, q, x, y = self.make(d - 1), self.make(self.r.randint(0, d - 1)), self.name(), self.name()
        no = self.r.choice(["", "NOT "])
        keys = {k for k, _, _ in q.rows if k is not None}
        return Plan("SELECT k, v, n FROM (%s) AS %s WHERE %sEXISTS (SELECT 1 FROM (%s) AS %s WHERE %s.k = %s.k)" % (p.sql, x, no, q.sql, y, y, x),
                    [t for t in p.rows if (t[0] in keys) == (no == "")], d)

    def rank(self, d):
        p, x, y = self.make(d - 1), self.name(), self.name()
        down, most = self.r.random() < 0.5, self.r.randint(1, 3)
        groups = collections.OrderedDict()
        for t in p.rows:
            groups.setdefault(t[0], []).append(t)
        out = []
        for g in groups.values():
            g.sort(key=lambda t: null_first(t[2]))
            g.sort(key=lambda t: null_first(t[1]), reverse=down)
            out += g[:most]
        return Plan("SELECT k, v, n FROM (SELECT k, v, n, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v%s, n) AS rn FROM (%s) AS %s) AS %s WHERE rn <= %d"
                    % (" DESC" if down else "", p.sql, x, y, most), out, d)


def run(sql, mode, shards, r, seed):
    env = dict(os.environ)
    if r.random() < 0.3:
        env["MILL_ROUNDTRIP"] = str(seed + 1)
    try:
        p = subprocess.run([COMMAND, "run", "-c", "SET 'execution.runtime-mode' = '%s';\n%s" % (mode, sql), "--quiet", "--format", "json", "--shards", str(shards),
                            "--set", "batch-rows=%d" % r.choice([1, 7, 4096]), "--set", "ring-slots=%d" % r.choice(RINGS), "--set", "step-bytes=200"],
                           capture_output=True, text=True, env=env, timeout=120)
    except subprocess.TimeoutExpired:
        return 124, "", "it hangs"
    return p.returncode, p.stdout, p.stderr


def fold(text):
    state = collections.Counter()
    for line in text.splitlines():
        row = json.loads(line)
        op = row.pop("op", "+I")
        values = tuple(row.values())
        state[values] += 1 if op in ("+I", "+U") else -1
        if state[values] < 0:
            return None, "takes back %s, which is not there" % (values,)
    return +state, None


def one(seed):
    r = random.Random(seed)
    maker = Maker(r)
    plan = maker.make(r.choice([1, 2, 2, 3, 3, 4]))
    expected = collections.Counter(plan.rows)
    with tempfile.TemporaryDirectory() as folder:
        ddl = ""
        for name, rows in maker.tables.items():
            path = os.path.join(folder, name)
            with open(path, "w") as f:
                for t in rows:
                    f.write(",".join("~" if c is None else str(c) for c in t) + "\n")
            ddl += ("CREATE TABLE %s (k STRING, v BIGINT, n BIGINT, ts AS TO_TIMESTAMP_LTZ(n, 3), WATERMARK FOR ts AS ts) WITH ('connector' = 'filesystem', 'format' = 'csv', 'csv.null-literal' = '~', 'path' = '%s');\n"
                    % (name, path))
        for mode in ("batch", "streaming"):
            first = None
            for shards in (1, r.choice([2, 3]), r.choice([2, 3, 8])):
                code, out, err = run(ddl + plan.sql, mode, shards, r, seed)
                if code == 78 and "not supported yet" in err:
                    return "skipped", err.split("\n")[0]
                if code != 0:
                    return "failed", "seed %d, %s, %d shards: exit %d: %s\n%s" % (seed, mode, shards, code, err[:600], plan.sql)
                first = out if first is None else first
                if out != first:
                    return "failed", "seed %d, %s: other bytes for %d shards\n%s" % (seed, mode, shards, plan.sql)
            got, wrong = fold(first)
            if wrong is None and got != expected:
                wrong = "too much %s, missing %s" % (got - expected, expected - got)
            if wrong:
                return "failed", "seed %d, %s: %s\n%s" % (seed, mode, wrong, plan.sql)
    return "passed", None


def main():
    counts, why = collections.Counter(), collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("MILL_JOBS", "2"))) as pool:
        for what, text in pool.map(one, range(FIRST, FIRST + SEEDS)):
            counts[what] += 1
            if what == "failed":
                print("FAILED: " + text)
            elif what == "skipped":
                why[text] += 1
    for text, n in why.most_common(5):
        print("skipped: %d times: %s" % (n, text))
    print("sql_plans: %d passed, %d failed, %d skipped" % (counts["passed"], counts["failed"], counts["skipped"]))
    return counts["failed"] > 0


if __name__ == "__main__":
    sys.exit(main())
