#!/usr/bin/env python3
"""Ways to read a plain file, in the file cache and not: seconds and processor seconds per GB of SELECT COUNT(*), medians of 5.

bench/bench_read.py [MEGABYTES]      MILL_COMMAND: the command; TMPDIR: where the file lies"""
import os, resource, statistics, subprocess, sys, tempfile, time

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
SIZE = int(sys.argv[1]) << 20 if len(sys.argv) > 1 else 512 << 20
LINE = b"2015-07-15 00:00:00.000,1234567,https://www.nexmark.com/item.htm?query=1,89012345678901234567\n"


def once(sql, io, cold, path):
    with open(path, "rb") as f:
        if cold:
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        else:
            while f.read(1 << 20):
                pass
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    p = subprocess.run([COMMAND, "run", "-c", sql, "--quiet", "--shards", "1"], capture_output=True, env={**os.environ, "MILL_IO": io}, check=True)
    seconds, after = time.time() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert p.stdout.split(b"\n")[1] == b"%d" % (SIZE // len(LINE)), p.stdout
    return seconds, after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime


with tempfile.TemporaryDirectory() as d:
    path = os.path.join(d, "read.csv")
    with open(path, "wb") as f:
        for _ in range(SIZE // len(LINE) // 1000):
            f.write(LINE * 1000)
        f.write(LINE * (SIZE // len(LINE) % 1000))
        f.flush()
        os.fsync(f.fileno())
    sql = "CREATE TABLE t (a STRING, b STRING, c STRING, d STRING) WITH ('connector'='filesystem','format'='csv','path'='%s'); SELECT COUNT(*) FROM t" % path
    gb = SIZE / 1e9
    for cold in (False, True):
        for io in ("posix", "uring", "auto"):
            runs = [once(sql, io, cold, path) for _ in range(5)]
            rates = sorted(gb / r[0] for r in runs)
            print("read, %s, %s, 1 shards: median %.2f GB/s (best %.2f, worst %.2f), user %.3f and system %.3f CPU s/GB" % (
                ("cold" if cold else "cached", io, rates[2], rates[4], rates[0]) + tuple(statistics.median(r[k] for r in runs) / gb for k in (1, 2))))
