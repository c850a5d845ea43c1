#!/usr/bin/env python3
"""Regular joins, semi and anti joins against nested loops over all rows, at every prefix of the input.

Each seed makes a CSV of rows of two sides and a query: an inner or outer join, EXISTS, IN or their opposites, on one or two keys, computed
keys, IS NOT DISTINCT FROM, conditions that are no equalities, or none, with NULLs and duplicates; sides are filtered rows of one table (a
row is a step of its own), the table itself twice, groups of it (whose rows change), or two files. Checked are
  - the changelog ('execution.runtime-mode' = 'streaming'): folding its first rows gives the answer over some prefix of the
    input, for every prefix and in order; every row that is taken back was there
  - the final rows ('batch'): the answer over the whole input, with nothing taken back
  - the same bytes for 1, 2, 3 and 8 shards, any batch size, ring size and state round trip
  - where the duckdb package is installed: its answer
"""
import collections, concurrent.futures, json, os, random, subprocess, sys, tempfile

import sqlkit
from sqlkit import COMMAND, FIRST

SEEDS = sqlkit.seed_count(12, 400)
COLUMNS = ("k", "g", "v", "id")


def both(*conditions):
    """AND of three-valued logic."""
    if any(c is False for c in conditions):
        return False
    return None if any(c is None for c in conditions) else True


def cmp(f, *values):
    return None if any(v is None for v in values) else f(*values)


EQ = lambda x, y: cmp(lambda a, b: a == b, x, y)
CONDITIONS = [  # SQL, of rows a and b as dicts
    ("a.k = b.k", lambda a, b: EQ(a["k"], b["k"])),
    ("a.v = b.v", lambda a, b: EQ(a["v"], b["v"])),
    ("a.k = b.k AND a.v < b.v", lambda a, b: both(EQ(a["k"], b["k"]), cmp(lambda x, y: x < y, a["v"], b["v"]))),
    ("a.k IS NOT DISTINCT FROM b.k", lambda a, b: a["k"] == b["k"]),
    ("a.v IS NOT DISTINCT FROM b.v AND a.g = b.g", lambda a, b: both(a["v"] == b["v"], EQ(a["g"], b["g"]))),
    ("a.k = b.k AND a.g = b.g", lambda a, b: both(EQ(a["k"], b["k"]), EQ(a["g"], b["g"]))),
    ("a.v + 1 = b.v", lambda a, b: cmp(lambda x, y: x + 1 == y, a["v"], b["v"])),
    ("a.v < b.v", lambda a, b: cmp(lambda x, y: x < y, a["v"], b["v"])),
    ("a.g = b.g AND (a.v > 2 OR b.k = 'x')", lambda a, b: both(EQ(a["g"], b["g"]), either(cmp(lambda x: x > 2, a["v"]), EQ(b["k"], "x")))),
    ("a.k = b.k AND a.v > 1", lambda a, b: both(EQ(a["k"], b["k"]), cmp(lambda x: x > 1, a["v"]))),
    ("a.k = b.k AND b.v > 1", lambda a, b: both(EQ(a["k"], b["k"]), cmp(lambda x: x > 1, b["v"]))),
]


def either(x, y):
    if x is True or y is True:
        return True
    return None if x is None or y is None else False


def pick(row):
    return tuple(row[c] for c in COLUMNS)


NULLS = (None,) * len(COLUMNS)


def joined(kind, left, right, condition):
    """Multiset of the rows that a join by nested loops gives."""
    out, met = collections.Counter(), [False] * len(right)
    for a in left:
        partners = [i for i, b in enumerate(right) if condition(a, b) is True]
        for i in partners:
            met[i] = True
        if kind in ("SEMI", "ANTI"):
            out[pick(a)] += bool(partners) == (kind == "SEMI")
            continue
        for i in partners:
            out[pick(a) + pick(right[i])] += 1
        if not partners and kind in ("LEFT", "FULL"):
            out[pick(a) + NULLS] += 1
    for i, b in enumerate(right):
        if not met[i] and kind in ("RIGHT", "FULL"):
            out[NULLS + pick(b)] += 1
    return +out


def not_in(left, right, column):
    """Rows of the left for which x NOT IN (the right's) is TRUE."""
    values = [b[column] for b in right]
    out = collections.Counter()
    for a in left:
        x = a[column]
        out[pick(a)] += not values or (x is not None and None not in values and x not in values)
    return +out


def groups(rows, most):
    """SELECT k, MIN(g), MAX(v) or COUNT(*), MIN(id) ... GROUP BY k: one row per k, which changes."""
    by = collections.OrderedDict()
    for row in rows:
        by.setdefault(row["k"], []).append(row)
    least = lambda g, c: min((r[c] for r in g if r[c] is not None), default=None)
    return [{"k": k, "g": least(g, "g"), "v": (max((r["v"] for r in g if r["v"] is not None), default=None) if most else len(g)), "id": least(g, "id")}
            for k, g in by.items()]


class Query:
    def __init__(self, r):
        self.kind = r.choice(["INNER", "LEFT", "RIGHT", "FULL", "SEMI", "ANTI"])
        self.condition, self.holds = r.choice(CONDITIONS)
        self.sides = r.choice(["filtered", "filtered", "filtered", "self", "groups", "one group", "files", "files"])
        self.form = r.choice(["EXISTS", "IN"])
        self.column = r.choice(["k", "v"])
        if self.kind in ("SEMI", "ANTI") and self.form == "IN":
            self.holds = lambda a, b: EQ(a[self.column], b[self.column])
        if self.kind == "INNER" and r.random() < 0.1:
            self.condition, self.holds = None, lambda a, b: True

    def side(self, which):
        """SQL of one side, and its rows among all."""
        if self.sides == "self":
            return "t", lambda rows: rows
        if self.sides == "files":
            return which, lambda rows: [x for x in rows if x["side"] == which]
        where = "(SELECT k, g, v, id FROM t WHERE side = '%s')" % which
        mine = lambda rows: [x for x in rows if x["side"] == which]
        if self.sides == "groups" or (self.sides == "one group" and which == "r"):
            most = which == "l"
            return ("(SELECT k, MIN(g) AS g, %s AS v, MIN(id) AS id FROM t WHERE side = '%s' GROUP BY k)" % ("MAX(v)" if most else "COUNT(*)", which),
                    lambda rows: groups(mine(rows), most))
        return where, mine

    def sql(self):
        left, right = self.side("l")[0], self.side("r")[0]
        a, b = ", ".join("a." + c for c in COLUMNS), ", ".join("b.%s AS %s2" % (c, c) for c in COLUMNS)
        if self.kind in ("SEMI", "ANTI"):
            no = "NOT " if self.kind == "ANTI" else ""
            if self.form == "IN":
                return "SELECT %s FROM %s a WHERE a.%s %sIN (SELECT b.%s FROM %s b)" % (a, left, self.column, no, self.column, right)
            return "SELECT %s FROM %s a WHERE %sEXISTS (SELECT 1 FROM %s b WHERE %s)" % (a, left, no, right, self.condition)
        if self.condition is None:
            return "SELECT %s, %s FROM %s a CROSS JOIN %s b" % (a, b, left, right)
        return "SELECT %s, %s FROM %s a %s JOIN %s b ON %s" % (a, b, left, self.kind, right, self.condition)

    def answer(self, rows):
        left, right = self.side("l")[1](rows), self.side("r")[1](rows)
        if self.kind == "ANTI" and self.form == "IN":
            return not_in(left, right, self.column)
        return joined(self.kind, left, right, self.holds)


def table(name, path, side):
    return ("CREATE TABLE %s (%sk STRING, g INT, v BIGINT, id BIGINT, pad STRING) WITH ('connector' = 'filesystem', 'format' = 'csv', 'csv.null-literal' = '~', "
            "'path' = '%s');\n" % (name, "side STRING, " if side else "", path))


def run(sql, mode, shards, r, seed):
    return sqlkit.run_in_mode(mode, sql, shards, r, seed, 200)


def fold(changes, wanted, taken_back):
    """What is wrong, or None. wanted: answers that must be met, in order; the last one is the end."""
    state, states = collections.Counter(), [collections.Counter()]
    for line in changes:
        row = json.loads(line)
        op = row.pop("op", "+I")
        values = tuple(row.values())
        if op in ("+I", "+U"):
            state[values] += 1
        elif not taken_back:
            return "final rows were taken back"
        elif state[values] == 0:
            return "took back %s, which was not there" % (values,)
        else:
            state[values] -= 1
        state = +state
        states.append(collections.Counter(state))
    if state != wanted[-1]:
        return "folds to %s more, %s less than expected" % (state - wanted[-1], wanted[-1] - state)
    at = 0
    for k, answer in enumerate(wanted):
        while at < len(states) and states[at] != answer:
            at += 1
        if at == len(states):
            return "no prefix of the changelog folds to the answer over the first %d rows" % (k + 1)
    return None


def duckdb_answer(query, rows):
    import duckdb
    con = duckdb.connect()
    con.execute("CREATE TABLE t (side VARCHAR, k VARCHAR, g INT, v BIGINT, id BIGINT)")
    if rows:
        con.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", [[x[c] for c in ("side",) + COLUMNS] for x in rows])
    for side in "lr":
        con.execute("CREATE VIEW %s AS SELECT * FROM t WHERE side = '%s'" % (side, side))
    return collections.Counter(con.execute(query.sql()).fetchall())


def has_duckdb():
    try:
        import duckdb  # noqa: F401
        return True
    except ImportError:
        return False


def write(path, rows, side):
    cell = lambda v: "~" if v is None else '"%s"' % v if isinstance(v, str) else str(v)
    with open(path, "w") as f:
        for row in rows:    # long enough to be a step of its own
            f.write(",".join(([row["side"]] if side else []) + [cell(row[c]) for c in COLUMNS] + ["." * 220]) + "\n")


def one(seed, duck):
    r = random.Random(seed)
    query = Query(r)
    wide = r.random() < 0.2
    rows = [{"side": r.choice("lr"), "k": r.choice([None, "x", "y", "a longer key than twelve", ""]), "g": r.choice([None, 0, 1]),
             "v": r.choice([None] + list(range(500 if wide else 5))), "id": r.choice([i, i, 7, -(2 ** 40)])} for i in range(r.randint(0, 70))]
    with tempfile.TemporaryDirectory() as folder:
        path = lambda name: os.path.join(folder, name + ".csv")
        write(path("t"), rows, True)
        for side in "lr":
            write(path(side), [x for x in rows if x["side"] == side], False)
        if query.sides == "files":
            sql = table("l", path("l"), False) + table("r", path("r"), False) + query.sql() + ";"
        else:
            sql = table("t", path("t"), True) + query.sql() + ";"
        states = [query.answer(rows[:n]) for n in range(1, len(rows) + 1)] or [query.answer([])]
        if query.sides == "files":
            states = states[-1:]    # which file's row comes first is not this test's matter
        first = {}
        for mode in ("streaming", "batch"):
            for shards in (1, 2, 3, 8):
                code, out, err = run(sql, mode, shards, r, seed)
                if code != 0:
                    return "seed %d: exit %d: %s\n%s" % (seed, code, err, sql)
                if out != first.setdefault(mode, out):
                    return "seed %d, %s: other bytes for %d shards\n%s\n%s\n%s" % (seed, mode, shards, sql, first[mode][:800], out[:800])
            wrong = fold(first[mode].splitlines(), states if mode == "streaming" else states[-1:], mode == "streaming")
            if wrong:
                return "seed %d, %s: %s\n%s" % (seed, mode, wrong, sql)
        if duck and duckdb_answer(query, rows) != states[-1]:
            return "seed %d: the oracle is not what DuckDB says\n%s" % (seed, query.sql())
    return None


def large():
    """Enough unique keys for an index of the side that is looked up in; each query over one column, several, or none of it."""
    r, wrong = random.Random(5), []
    keys = r.sample(range(-(10 ** 12), 10 ** 12), 70_000)
    cell = lambda x: "~" if x is None else str(x)
    with tempfile.TemporaryDirectory() as folder:
        build = {k: (r.randint(-99, 99), "text of key %d" % k, None if k % 9 == 0 else k % 1000) for k in keys}
        probe = [(None if i % 11 == 0 else r.choice(keys) if i % 3 else r.randint(-(10 ** 12), 10 ** 12), i) for i in range(200_000)]
        with open(folder + "/d.csv", "w") as f:
            f.writelines("%d,%d,%s,%s\n" % (k, v[0], v[1], cell(v[2])) for k, v in build.items())
        with open(folder + "/t.csv", "w") as f:
            f.writelines("%s,%d\n" % (cell(k), i) for k, i in probe)
        ddl = "".join("CREATE TABLE %s (%s) WITH ('connector' = 'filesystem', 'format' = 'csv', 'csv.null-literal' = '~', 'path' = '%s/%s.csv');\n" % (n, c, folder, n)
                      for n, c in (("d", "id BIGINT, small TINYINT, label STRING, some INT"), ("t", "k BIGINT, i BIGINT")))
        for columns, picked in (("small", (0,)), ("some", (2,)), ("label", (1,)), ("small, label, some", (0, 1, 2)), ("", ())):
            for kind in ("JOIN", "LEFT JOIN"):
                for where in ("", " WHERE i % 5 < 2"):
                    want = []
                    for k, i in probe:
                        v = build.get(k)
                        if (v or kind == "LEFT JOIN") and (not where or i % 5 < 2):
                            want.append((i,) + tuple(v[c] if v else None for c in picked))
                    sql = ddl + "SELECT i%s FROM t %s d ON t.k = d.id%s;" % (", " + columns if columns else "", kind, where)
                    looked_up = sql.replace("i BIGINT)", "i BIGINT, p AS PROCTIME())").replace("%s d ON" % kind, "%s d FOR SYSTEM_TIME AS OF t.p ON" % kind)
                    copied = "SET 'table.optimizer.join.broadcast-threshold' = '100000000';\n" + looked_up
                    for sql, shards in ((sql, 1), (sql, 3), (copied if where else looked_up, 3)):
                        p = subprocess.run([COMMAND, "run", "-c", sql, "--quiet", "--format", "json", "--shards", str(shards)], capture_output=True, text=True)
                        if p.returncode != 0 or [tuple(json.loads(x).values()) for x in p.stdout.splitlines()] != want:
                            wrong.append("%d shards: %s%s" % (shards, sql, p.stderr))
    return wrong


def restless():
    """-U and +U of one row go to different shards, whose results wait for each other: their order again and again."""
    r = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/t.csv", "w") as f:
            f.writelines("%s,%d,%d\n" % (r.choice("abcdefghijklmnopqrst"), r.randint(0, 300), i) for i in range(3000))
        sql = ("SET 'execution.runtime-mode' = 'streaming';\nCREATE TABLE t (k STRING, v BIGINT, id BIGINT) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '%s/t.csv');\n"
               "SELECT b.k, b.v, a.id FROM t a JOIN (SELECT k, COUNT(*) AS v FROM t GROUP BY k) b ON a.v = b.v;" % folder)
        show = lambda shards: subprocess.run([COMMAND, "run", "-c", sql, "--quiet", "--format", "csv", "--shards", str(shards), "--set", "batch-rows=1",
                                              "--set", "step-bytes=5000"], capture_output=True, text=True)
        first = show(1)
        runs = [show(shards) for shards in (2, 3) for _ in range(6)]
        return ["-U and +U: %d of %d runs have other bytes than one shard" % (n, len(runs)) for n in [sum(p.stdout != first.stdout for p in runs)] if n or first.returncode]


def main():
    failed, passed, duck = 0, 0, has_duckdb()
    for wrong in large() + restless():
        failed += 1
        print(wrong)
    passed += not failed
    with concurrent.futures.ThreadPoolExecutor(max_workers=int(os.environ.get("MILL_JOBS", "2"))) as pool:
        for wrong in pool.map(lambda seed: one(seed, duck), range(FIRST, FIRST + SEEDS)):
            if wrong:
                failed += 1
                print(wrong)
            else:
                passed += 1
    print("%d passed, %d failed, %d skipped" % (passed, failed, 0 if duck else 1))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
