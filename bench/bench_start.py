#!/usr/bin/env python3
"""From the start of the command to its first result: a CSV file of 1,000 rows, summed by key. The goal is 20 ms.
usage: bench/bench_start.py [RUNS]      MILL_COMMAND: the command; the answer is checked in every run."""
import os, subprocess, sys, tempfile, time

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 21
ROWS = 1000

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "small.csv")
    with open(path, "w") as f:
        f.writelines("%d,%d\n" % (i % 10, i) for i in range(ROWS))
    sql = ("CREATE TABLE t (k INT, v BIGINT) WITH ('connector'='filesystem','format'='csv','path'='%s'); "
           "SELECT k, SUM(v) FROM t GROUP BY k" % path)
    for shards in "1", "2":
        times = []
        for _ in range(RUNS):
            begin = time.perf_counter()
            p = subprocess.Popen([COMMAND, "run", "-c", sql, "--quiet", "--format", "csv", "--shards", shards], stdout=subprocess.PIPE, close_fds=False)
            lines = [p.stdout.readline(), p.stdout.readline()]
            times.append(time.perf_counter() - begin)
            lines += p.stdout.read().splitlines(True)
            expected = ["%d,%d" % (k, sum(range(k, ROWS, 10))) for k in range(10)]
            assert p.wait() == 0 and sorted(l.decode().strip() for l in lines[1:]) == expected, lines
        times.sort()
        print("start to first result, %s shards: median %.1f ms (best %.1f, worst %.1f)" % (shards, times[RUNS // 2] * 1e3, times[0] * 1e3, times[-1] * 1e3))
