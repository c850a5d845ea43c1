#!/usr/bin/env python3
"""LightSaber's queries over its own data sets (MILL_DATA, default ../shared/data) against a recomputation with exact decimals.

CM1, CM2 (cluster events), SG1, SG2 (smart plugs), LRB1 (Linear Road), ME1 (machine sensors), all sliding windows of seconds. The oracle keeps
the rows of every second by key and adds the seconds of each window; the command runs at 1, 2 and 3 shards and must give the same bytes.
Skipped when the folder is absent.
"""
import collections, csv, datetime, decimal, io, os, subprocess, sys, tempfile

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
QUICK = bool(os.environ.get("MILL_QUICK"))
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = os.environ.get("MILL_DATA", os.path.join(HERE, "..", "shared", "data"))
D = decimal.Decimal
decimal.getcontext().prec = 60

SUM, AVG_INT = "sum", "avg of integers"


def average(total, count):
    """Flink: AVG of DECIMAL(p, s) is DECIMAL(38, max(6, s)), half up."""
    return (total / count).quantize(D("0.000001"), decimal.ROUND_HALF_UP)


def truncated(total, count):
    return abs(int(total)) // count * (1 if total >= 0 else -1)


class Query:
    """rows() gives (second, microseconds into it, key tuple, values); the SQL has columns ts, the keys, the values."""

    def __init__(self, name, file, columns, take, keys, sql_keys, values, aggregates, size, where="", having=None, having_sql=""):
        self.__dict__.update(locals())

    def sql(self, path):
        keys = "".join(k + ", " for k in self.sql_keys)
        return f"""CREATE TABLE t (ts TIMESTAMP(6), {self.columns}, WATERMARK FOR ts AS ts)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{path}');
SELECT window_end, {keys}{', '.join(a[0] for a in self.aggregates)}
FROM TABLE(HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '{self.size}' SECOND(4))) {self.where}
GROUP BY {keys}window_start, window_end {self.having_sql};"""


def seconds(text):
    return datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=int(text))


def sensor_time(text):
    return datetime.datetime.strptime(text[:26], "%Y-%m-%dT%H:%M:%S.%f")   # the seventh digit is cut off, as TIMESTAMP(6) does


QUERIES = [
    Query("CM1", "google-cluster-data.txt", "category INT, cpu DECIMAL(10,6)", lambda f: (seconds(f[0]), [f[7], f[8]]), lambda v: (int(v[0]),),
          ["category"], lambda v: [D(v[1])], [("SUM(cpu)", SUM)], 60),
    Query("CM2", "google-cluster-data.txt", "type INT, job BIGINT, cpu DECIMAL(10,6)", lambda f: (seconds(f[0]), [f[4], f[1], f[8]]),
          lambda v: (int(v[1]),) if v[0] == "3" else None, ["job"], lambda v: [D(v[2])], [("SUM(cpu)", SUM)], 60, "WHERE type = 3"),
    Query("SG1", "smartgrid-data.txt", "v DECIMAL(10,3)", lambda f: (seconds(f[0]), [f[1]]), lambda v: (), [], lambda v: [D(v[0])],
          [("AVG(v)", average)], 3600),
    Query("SG2", "smartgrid-data.txt", "v DECIMAL(10,3), plug INT, household INT, house INT", lambda f: (seconds(f[0]), [f[1], f[3], f[4], f[5]]),
          lambda v: tuple(int(x) for x in v[1:]), ["plug", "household", "house"], lambda v: [D(v[0])], [("AVG(v)", average)], 128),
    Query("LRB1", "lrb-data-small-ht.txt", "speed INT, highway INT, direction INT, segment INT",
          lambda f: (seconds(f[0]), [f[2], f[3], f[5], str(int(f[6]) // 5280)]), lambda v: tuple(int(x) for x in v[1:]),
          ["highway", "direction", "segment"], lambda v: [D(v[0])], [("AVG(speed)", truncated)], 300, "",
          lambda results: results[0] < 40, "HAVING AVG(speed) < 40"),
    Query("ME1", "DEBS2012-small.txt", "a INT, b INT, c INT", lambda f: (sensor_time(f[0]), f[2:5]), lambda v: (), [],
          lambda v: [D(x) for x in v], [("AVG(a)", truncated), ("AVG(b)", truncated), ("AVG(c)", truncated)], 60),
]


def read(query):
    for line in open(os.path.join(FOLDER, query.file)):
        fields = line.split()
        if fields:
            yield query.take(fields)


def oracle(query, rows):
    """By second and key (count, sums); then every window. A row is late for what the watermark just before it has closed: none is
    dropped in these files but by that rule, so it is applied per row."""
    by_second = collections.defaultdict(lambda: collections.defaultdict(lambda: [0, None]))
    windows, watermark = collections.defaultdict(lambda: [0, None]), None
    epoch = datetime.datetime(1970, 1, 1)
    in_order = True
    for at, values in rows:
        key = query.keys(values)
        if key is not None:
            second = (at - epoch) // datetime.timedelta(seconds=1)
            in_order = in_order and (watermark is None or at >= watermark)
            cell = by_second[second][key]
            numbers = query.values(values)
            cell[1] = numbers if cell[0] == 0 else [a + b for a, b in zip(cell[1], numbers)]
            cell[0] += 1
        watermark = at if watermark is None else max(at, watermark)
    if not in_order:
        sys.exit("%s: out of order, this oracle has no lateness" % query.file)
    for second, cells in by_second.items():
        for key, (count, sums) in cells.items():
            for end in range(second + 1, second + 1 + query.size):
                cell = windows[(end, key)]
                cell[1] = sums if cell[0] == 0 else [a + b for a, b in zip(cell[1], sums)]
                cell[0] += count
    out = []
    for (end, key), (count, sums) in sorted(windows.items()):
        results = [s if f is SUM else f(s, count) for s, (_, f) in zip(sums, query.aggregates)]
        if query.having is None or query.having(results):
            out.append([(epoch + datetime.timedelta(seconds=end)).strftime("%Y-%m-%d %H:%M:%S.%f"), *map(str, key), *results])
    return out


def same(got, expected):
    return len(got) == len(expected) and all(
        len(g) == len(e) and all(a == b if isinstance(b, str) else D(a) == b for a, b in zip(g, e)) for g, e in zip(got, expected))


def check(query, directory):
    """None, or what is wrong."""
    rows = list(read(query))
    path = os.path.join(directory, query.name + ".csv")
    with open(path, "w", newline="") as f:
        csv.writer(f).writerows([at.strftime("%Y-%m-%d %H:%M:%S.%f"), *values] for at, values in rows)
    expected, first = oracle(query, rows), None
    for shards in "12" if QUICK else "123":
        p = subprocess.run([COMMAND, "run", "-c", query.sql(path), "--quiet", "--shards", shards, "--set", "step-bytes=100000"],
                           capture_output=True, text=True)
        got = list(csv.reader(io.StringIO(p.stdout)))[1:]
        if p.returncode != 0 or not same(got, expected):
            at = next((i for i, (g, e) in enumerate(zip(got, expected)) if not same([g], [e])), min(len(got), len(expected)))
            return "%s shards: exit %d, %d rows of %d; row %d: got %s, expected %s %s" % (
                shards, p.returncode, len(got), len(expected), at, got[at:at + 1], expected[at:at + 1], p.stderr.strip()[:300])
        first = first or p.stdout
        if p.stdout != first:
            return "%s shards give other bytes than one" % shards
    return None


def main():
    failed = 0
    if not os.path.isdir(FOLDER):
        print("skipped: there is no folder of data sets (MILL_DATA)")
        print("sql_data: 0 passed, 0 failed, %d skipped" % len(QUERIES))
        return 0
    with tempfile.TemporaryDirectory() as directory:
        for query in QUERIES:
            wrong = check(query, directory)
            if wrong:
                failed += 1
                print("FAILED: %s: %s" % (query.name, wrong))
    print("sql_data: %d passed, %d failed, 0 skipped" % (len(QUERIES) - failed, failed))
    return 1 if failed else 0


sys.exit(main())
