#!/usr/bin/env python3
"""GROUP BY without windows as a changelog, and over rows that change, against a recomputation from all rows at every prefix.

Each seed makes a CSV and a query: one GROUP BY, or one over the results of another, with NULLs, FILTER, DISTINCT and HAVING. Checked are
  - the changelog ('execution.runtime-mode' = 'streaming'): folding its first rows gives a state that some prefix of the input has,
    in order, and all of it the answer over the whole input; every row that is taken back was there
  - the final rows ('batch'), in key order
  - the same bytes for 1, 2, 3 and 8 shards, any batch size, ring size and state round trip.
"""
import collections, concurrent.futures, json, os, random, subprocess, sys, tempfile

import sqlkit
from sqlkit import COMMAND, FIRST

SEEDS = sqlkit.seed_count(12, 500)

AGGS = {  # name: (SQL over v and f, function of the list of (v, f))
    "rows": ("COUNT(*)", len),
    "n": ("COUNT(v)", lambda g: sum(v is not None for v, _ in g)),
    "s": ("SUM(v)", lambda g: sum(x) if (x := [v for v, _ in g if v is not None]) else None),
    "lo": ("MIN(v)", lambda g: min((v for v, _ in g if v is not None), default=None)),
    "hi": ("MAX(v)", lambda g: max((v for v, _ in g if v is not None), default=None)),
    "a": ("AVG(v)", lambda g: int(abs(sum(x)) // len(x)) * (1 if sum(x) >= 0 else -1) if (x := [v for v, _ in g if v is not None]) else None),
    "d": ("COUNT(DISTINCT v)", lambda g: len({v for v, _ in g if v is not None})),
    "sd": ("SUM(DISTINCT v)", lambda g: sum(x) if (x := {v for v, _ in g if v is not None}) else None),
    "m": ("MAX(v) FILTER (WHERE f > 1)", lambda g: max((v for v, f in g if v is not None and f is not None and f > 1), default=None)),
}


def grouped(rows, keyed, names):
    """rows of (key, v, f) -> {key: tuple of values}"""
    groups = collections.OrderedDict()
    for key, v, f in rows:
        groups.setdefault(key if keyed else 0, []).append((v, f))
    return {k: tuple(AGGS[n][1](g) for n in names) for k, g in groups.items()}


class Query:
    def __init__(self, r):
        self.names = r.sample(list(AGGS), r.randint(1, 4))
        self.keyed = r.random() < 0.8
        self.nested = self.keyed and r.random() < 0.6
        self.inner = r.choice(["rows", "n", "d", "hi", "a"])
        self.least = r.choice([None, None, 2])
        self.distinct = r.random() < 0.1

    def sql(self, path):
        having = " HAVING COUNT(*) >= %d" % self.least if self.least else ""
        aggs = ", ".join("%s AS %s" % (AGGS[n][0], n) for n in self.names)
        if self.distinct:
            return "SELECT DISTINCT k, f FROM t"
        if self.nested:  # groups of the inner result: by its value
            return ("SELECT q AS k, %s FROM (SELECT k, %s AS q, MIN(v) AS v, MAX(f) AS f FROM t GROUP BY k) GROUP BY q%s"
                    % (aggs, AGGS[self.inner][0], having))
        key = "k, " if self.keyed else ""
        return "SELECT %s%s FROM t%s%s" % (key, aggs, " GROUP BY k" if self.keyed else "", having)

    def answer(self, rows):
        """multiset of result rows over these rows"""
        if self.distinct:
            return collections.Counter({(k, f) for k, _, f in rows})
        if self.nested:
            inner = {}
            for key, v, f in rows:
                inner.setdefault(key, []).append((v, f))
            rows = [(AGGS[self.inner][1](g), min((v for v, _ in g if v is not None), default=None),
                     max((f for _, f in g if f is not None), default=None)) for g in inner.values()]
        out, counts = grouped(rows, self.keyed or self.nested, self.names), collections.Counter(
            (k if self.keyed or self.nested else 0) for k, _, _ in rows)
        return collections.Counter(((k,) if self.keyed or self.nested else ()) + v for k, v in out.items()
                                   if not self.least or counts[k] >= self.least)


def run(sql, mode, shards, r, seed):
    return sqlkit.run_in_mode(mode, sql, shards, r, seed, 300)


def fold(changes, expected_states):
    """Returns what is wrong, or None. expected_states: answers at every prefix."""
    state, at = collections.Counter(), 0
    for line in changes:
        row = json.loads(line)
        op = row.pop("op", "+I")
        values = tuple(row.values())
        if op in ("+I", "+U"):
            state[values] += 1
        else:
            if state[values] == 0:
                return "took back %s, which was not there" % (values,)
            state[values] -= 1
        state = +state
    if state != expected_states[-1]:
        return "folds to %s, expected %s" % (state - expected_states[-1], expected_states[-1] - state)
    # each prefix's answer must be met, in order, on the way
    state = collections.Counter()
    steps = [collections.Counter()]
    for line in changes:
        row = json.loads(line)
        op = row.pop("op", "+I")
        state[tuple(row.values())] += 1 if op in ("+I", "+U") else -1
        state = +state
        steps.append(collections.Counter(state))
    for k, wanted in enumerate(expected_states):
        while at < len(steps) and steps[at] != wanted:
            at += 1
        if at == len(steps):
            return "no prefix of the changelog folds to the answer over the first %d rows" % k
    return None


def one(seed):
    r = random.Random(seed)
    rows = [(r.choice([None, "a", "b", "c", "a longer key than twelve", ""]), r.choice([None] + list(range(-3, 6))), r.choice([None, 0, 1, 2, 3]))
            for _ in range(r.randint(1, 120))]
    query = Query(r)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "t.csv")
        with open(path, "w") as f:
            for k, v, x in rows:
                f.write("%s,%s,%s\n" % ("~" if k is None else '"%s"' % k, "~" if v is None else v, "~" if x is None else x))
        sql = ("CREATE TABLE t (k STRING, v BIGINT, f INT) WITH ('connector' = 'filesystem', 'format' = 'csv', 'csv.null-literal' = '~', 'path' = '%s');\n%s"
               % (path, query.sql(path)))
        states = [query.answer(rows[:n]) for n in range(1, len(rows) + 1)]
        first = {}
        for mode in ("streaming", "batch"):
            for shards in (1, 2, 3, 8):
                code, out, err = run(sql, mode, shards, r, seed)
                if code != 0:
                    return "seed %d: exit %d: %s\n%s" % (seed, code, err, sql)
                if out != first.setdefault(mode, out):
                    return "seed %d, %s: other bytes for %d shards\n%s\n%s\n%s" % (seed, mode, shards, sql, first[mode][:500], out[:500])
            lines = first[mode].splitlines()
            wrong = fold(lines, states if mode == "streaming" else states[-1:])
            if wrong:
                return "seed %d, %s: %s\n%s" % (seed, mode, wrong, sql)
            if mode == "batch" and not query.distinct and (query.keyed or query.nested):
                keys = [list(json.loads(x).values())[0] for x in lines]
                if keys != sorted(keys, key=lambda k: (k is not None, k if isinstance(k, int) else (k or "").encode())):
                    return "seed %d: final rows not in key order: %s" % (seed, keys)
    return None


def errors():
    """What is refused says both places."""
    table = "CREATE TABLE t (k STRING, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '/x');\n"
    cases = [
        ("CREATE TABLE o (k STRING, n BIGINT) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '/y');\n"
         "INSERT INTO o SELECT k, COUNT(*) FROM t GROUP BY k", ["table o takes rows once and for all", "GROUP BY without a window at", "changelog.column"]),
        ("SELECT n, LAST_VALUE(k) FROM (SELECT k, COUNT(*) AS n FROM t GROUP BY k) GROUP BY n", ["LAST_VALUE cannot take rows back"]),
    ]
    for sql, wanted in cases:
        p = subprocess.run([COMMAND, "run", "-c", "SET 'execution.runtime-mode' = 'streaming';\n" + table + sql], capture_output=True, text=True)
        for text in wanted:
            if p.returncode != 78 or text not in p.stderr:
                return "expected exit 78 and %r, got %d: %s" % (text, p.returncode, p.stderr)
    return None


def main():
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("MILL_JOBS", "2"))) as pool:
        for wrong in list(pool.map(one, range(FIRST, FIRST + SEEDS))) + [errors()]:
            if wrong:
                failed += 1
                print("FAILED: " + wrong)
    print("sql_groups: %d passed, %d failed, 0 skipped" % (SEEDS + 1 - failed, failed))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
