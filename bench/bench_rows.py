#!/usr/bin/env python3
"""bench_rows.py [MILLION_ROWS]: rows of (INT, BIGINT of milliseconds, DOUBLE) in order of time, 26 bytes as CSV, 20 as columns; out of the page cache.

10 s windows of 1 M rows each by key, 10,000 keys, half of them filtered out; the same without a key. Checked against counts and sums made with the
rows, at 1 and 2 shards. Each CSV rate alternates with DuckDB's (one thread) where its module is there. GB/s of the file (CSV) or of the columns."""
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time

COMMAND = os.path.abspath(os.environ.get("MILL_COMMAND", os.path.join(os.environ.get("BUILD", "build"), "millstream")))
ROWS = int(float(sys.argv[1]) * 1e6) if len(sys.argv) > 1 else 4000000
CSV = ("CREATE TABLE t (k INT, ms BIGINT, v DOUBLE, ts AS TO_TIMESTAMP_LTZ(ms, 3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) "
       "WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '%s/rows.csv');")
COLUMNAR = ("CREATE TABLE t (k INT, ts TIMESTAMP_LTZ(3), v DOUBLE, WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) "
            "WITH ('connector' = 'filesystem', 'format' = 'columnar', 'path' = '%s/rows.mcol');")
INTO = "CREATE TABLE o (k INT, ts TIMESTAMP_LTZ(3), v DOUBLE) WITH ('connector' = 'filesystem', 'format' = 'columnar', 'path' = '%s/rows.mcol'); INSERT INTO o SELECT k, ts, v FROM t;"
QUERY = "SELECT COUNT(*), SUM(n), SUM(s) FROM (SELECT COUNT(*) n, SUM(v) s FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) %s GROUP BY window_start, window_end%s);"


def generate(path):
    """How many groups, rows and which sum of hundredths, of all rows and of those with keys below 5,000."""
    rng = random.Random(1)
    groups, windows, all_rows, some_rows = set(), set(), [0, 0], [0, 0]
    with open(path, "w") as f:
        for begin in range(0, ROWS, 100000):
            lines = []
            for i in range(begin, min(begin + 100000, ROWS)):
                k, v, ms = rng.randrange(10000), rng.randrange(100000), 1700000000000 + i // 100
                lines.append("%d,%d,%d.%02d\n" % (k, ms, v // 100, v % 100))
                windows.add(ms // 10000)
                all_rows[0] += 1
                all_rows[1] += v
                if k < 5000:
                    groups.add((ms // 10000, k))
                    some_rows[0] += 1
                    some_rows[1] += v
            f.writelines(lines)
    return (len(windows), *all_rows), (len(groups), *some_rows)


def check(name, answer, expected):
    groups, rows, total = (float(x) for x in answer)
    if (groups, rows) != expected[:2] or abs(total * 100 - expected[2]) > 1e-6 * expected[2]:
        sys.exit("bench_rows: %s: %s, not %s" % (name, answer, expected))


def run(folder, sql, shards):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    p = subprocess.run([COMMAND, "run", "-c", sql, "--quiet", "--format", "csv", "--shards", str(shards), "--json-summary", folder + "/s"],
                       capture_output=True, text=True)
    if p.returncode != 0:
        sys.exit("bench_rows: " + p.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return p.stdout.rstrip().split("\n")[-1].split(","), json.load(open(folder + "/s"))["seconds"], cpu


def duckdb_run(folder, keyed):
    start = time.perf_counter()
    answer = duckdb.execute("SELECT COUNT(*), SUM(n), SUM(s) FROM (SELECT COUNT(*) n, SUM(v) s FROM read_csv('%s/rows.csv', header = false, auto_detect = false, "
                        "delim = ',', columns = {'k': 'INTEGER', 'ms': 'BIGINT', 'v': 'DOUBLE'}) %s GROUP BY ms // 10000%s)" % (
                            folder, "WHERE k < 5000" if keyed else "", ", k" if keyed else "")).fetchone()
    return answer, time.perf_counter() - start


try:
    sys.path = [p for p in sys.path if not os.path.exists(os.path.join(p or ".", "peers"))]
    import duckdb
    duckdb.execute("SET threads = 1")
except ImportError:
    duckdb = None

with tempfile.TemporaryDirectory() as folder:
    whole, some = generate(folder + "/rows.csv")
    run(folder, CSV % folder + INTO % folder, 1)
    for name, table, size in (("csv", CSV, os.path.getsize(folder + "/rows.csv")), ("columnar", COLUMNAR, 20 * ROWS)):
        for title, keyed, expected in (("un-keyed", False, whole), ("filter, by key", True, some)):
            sql = table % folder + QUERY % (("WHERE k < 5000", ", k") if keyed else ("", ""))
            for shards in (1, 2):
                times, peer = [], []
                for _ in range(5):
                    answer, seconds, cpu = run(folder, sql, shards)
                    check("%s, %s" % (name, title), answer, expected)
                    times.append((seconds, cpu))
                    if duckdb is not None and shards == 1 and name == "csv":
                        answer, seconds = duckdb_run(folder, keyed)
                        check("duckdb, " + title, answer, expected)
                        peer.append(seconds)
                seconds, cpu = sorted(t[0] for t in times), sorted(t[1] for t in times)[2]
                print("%s rows, %s, %d shards: median %.2f GB/s (best %.2f, worst %.2f), %.1f M rows/s, %.2f CPU ns a byte%s" % (
                    name, title, shards, size / seconds[2] / 1e9, size / seconds[0] / 1e9, size / seconds[4] / 1e9, ROWS / seconds[2] / 1e6,
                    cpu / size * 1e9, "; duckdb %.2f GB/s" % (size / sorted(peer)[2] / 1e9) if peer else ""))
