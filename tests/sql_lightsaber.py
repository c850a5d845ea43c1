#!/usr/bin/env python3
"""LightSaber's queries (bench/queries/cm1.sql ... me1.sql) on its data sets against a recomputation by definition in this file.

The data sets are not part of the project: the folder that MILL_DATA names holds them, else all of this is skipped. Each is read once and
once more with its times moved behind its end; the answer adds up seconds, then windows of seconds, so that sums may differ in their last digits.
"""
import collections, concurrent.futures, csv, datetime, os, subprocess, sys, tempfile

COMMAND = os.path.abspath(os.environ.get("MILL_COMMAND", "build/millstream"))
QUERIES = os.environ.get("MILL_QUERIES", os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bench", "queries"))
DATA = os.environ.get("MILL_DATA", "")
ROWS = 2000 if os.environ.get("MILL_QUICK") else 1 << 30
# query: file, seconds of a window, key of a row, values that are averaged or added up, filter of rows, filter of results
SPECS = {"cm1": ("google-cluster-data.txt", 60, lambda r: (r[6],), lambda r: (float(r[8]),), None, None),
         "cm2": ("google-cluster-data.txt", 60, lambda r: (r[1],), lambda r: (float(r[8]),), lambda r: r[4] == "3", None),
         "sg1": ("smartgrid-data.txt", 3600, lambda r: (), lambda r: (float(r[1]),), None, None),
         "sg2": ("smartgrid-data.txt", 128, lambda r: tuple(r[3:6]), lambda r: (float(r[1]),), None, None),
         "lrb1": ("lrb-data-small-ht.txt", 300, lambda r: (r[3], r[5], str(int(r[6]) // 5280)), lambda r: (float(r[2]),), None, lambda a: a < 40),
         "me1": ("DEBS2012-small.txt", 60, lambda r: (), lambda r: tuple(map(float, r[1:4])), None, None)}


def read(name):
    """Rows with their time in milliseconds first, in the order of the file."""
    rows = []
    with open(os.path.join(DATA, name)) as file:
        for line in file:
            r = line.split()
            if not r:
                continue
            if "T" in r[0]:
                t = datetime.datetime.fromisoformat(r[0][:23] + "+00:00")
                r = [int(t.timestamp()) * 1000 + t.microsecond // 1000] + r[2:5]
            else:
                r[0] = int(r[0]) * 1000
            rows.append(r)
            if len(rows) == ROWS:
                break
    span = max(r[0] for r in rows) - rows[0][0] + 1000
    return rows + [[r[0] + span] + r[1:] for r in rows]


def text(t):
    return (datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=t)).strftime("%Y-%m-%d %H:%M:%S.") + "%03d" % (t % 1000)


def expected(query, rows):
    _, seconds, key_of, values_of, wanted, passes = SPECS[query]
    parts = collections.defaultdict(dict)  # key: second: [count, sums]
    late = None
    for r in rows:
        second = r[0] // 1000
        if late is not None and late >= (second + seconds) * 1000 - 1:
            continue  # even its last window is closed
        late = r[0] if late is None else max(late, r[0])
        if wanted is None or wanted(r):
            p = parts[key_of(r)].setdefault(second, [0] + [0.0] * len(values_of(r)))
            for i, v in enumerate((1,) + values_of(r)):
                p[i] += v
    out = {}
    for key, by_second in parts.items():
        first = min(by_second)
        for end in range(first + 1, max(by_second) + seconds + 1):
            inside = [by_second[s] for s in range(max(first, end - seconds), end) if s in by_second]
            if inside:
                total = [sum(v) for v in zip(*inside)]
                results = [v if query.startswith("cm") else v / total[0] for v in total[1:]]
                if passes is None or passes(results[0]):
                    out[(text(end * 1000),) + key] = results
    return out


def check(query, shards, base):
    rows = read(SPECS[query][0])
    path, result = os.path.join(base, "%s-%d.csv" % (query, shards)), os.path.join(base, "%s-%d-out.csv" % (query, shards))
    with open(path, "w") as file:
        file.writelines(",".join([text(r[0])] + r[1:]) + "\n" for r in rows)
    p = subprocess.run([COMMAND, "run", os.path.join(QUERIES, query + ".sql"), "--quiet", "--shards", str(shards),
                        "-D", "SOURCE='connector' = 'filesystem', 'format' = 'csv', 'path' = '%s'" % path,
                        "-D", "SINK='connector' = 'filesystem', 'format' = 'csv', 'path' = '%s'" % result], capture_output=True, text=True)
    if p.returncode != 0 or p.stderr:
        return p.stderr or "exit code %d" % p.returncode
    want, seen = expected(query, rows), set()
    values = len(next(iter(want.values()), [0]))
    with open(result, newline="") as file:
        for row in csv.reader(file):
            key = tuple(row[:-values])
            near = want.get(key) and all(abs(float(a) - b) <= 1e-9 * max(1, abs(b)) for a, b in zip(row[-values:], want[key]))
            if not near or key in seen:
                return "%s, not %s" % (row, want.get(key))
            seen.add(key)
    return None if len(seen) == len(want) and want else "%d rows, not %d" % (len(seen), len(want))


def main():
    if not os.path.isdir(DATA):
        print("skipped: MILL_DATA names no folder with LightSaber's data sets")
        print("sql_lightsaber: 0 passed, 0 failed, %d skipped" % len(SPECS))
        return 0
    failed = 0
    with tempfile.TemporaryDirectory() as base, concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = {(q, n): pool.submit(check, q, n, base) for q in SPECS for n in (1, 2)}
        for (query, shards), job in jobs.items():
            if job.result():
                failed += 1
                print("FAILED: %s, %d shards: %s" % (query, shards, job.result()))
    print("sql_lightsaber: %d passed, %d failed, 0 skipped" % (len(jobs) - failed, failed))
    return 1 if failed else 0


sys.exit(main())
