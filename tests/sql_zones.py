#!/usr/bin/env python3
"""Session time zones against Python's zoneinfo: instants to local times and back, and windows aligned by the local clock.

Random zones; instants near their changes from 1900 to 2499 and anywhere between. The windows' reference goes row by row: a row lies in
the window of its local time, none is late as the rows come in order. SEEDS zones (quick: 12)."""
import collections, os, random, subprocess, sys, tempfile
from datetime import datetime, timedelta, timezone

try:
    from zoneinfo import ZoneInfo, available_timezones
    ZoneInfo("Europe/Berlin")
except Exception:
    print("sql_zones: no zoneinfo or no zone files here\nsql_zones: 0 passed, 0 failed, 1 skipped")
    sys.exit(0)

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
SEEDS = int(os.environ.get("SEEDS", "12" if os.environ.get("MILL_QUICK") else "60"))
EPOCH = datetime(1970, 1, 1)
LEAST, MOST = -2208988800, 16725225600


def local_of(zone, second):
    return (EPOCH + timedelta(seconds=second)).replace(tzinfo=timezone.utc).astimezone(zone).replace(tzinfo=None)


def seconds_of(local):
    return (local - EPOCH) // timedelta(seconds=1)


def changes(zone, random_):
    """instants where the offset changes, by bisection over random years"""
    found = []
    for _ in range(12):
        year = random_.choice([random_.randint(1900, 2037), random_.randint(1970, 2100), random_.randint(2038, 2498)])
        for half in range(0, 4):
            a = seconds_of(datetime(year, 1 + 3 * half, 1))
            b = a + 92 * 86400
            if zone_offset(zone, a) == zone_offset(zone, b):
                continue
            while b - a > 1:
                m = (a + b) // 2
                a, b = (m, b) if zone_offset(zone, m) == zone_offset(zone, a) else (a, m)
            found.append(b)
    return found


def zone_offset(zone, second):
    return seconds_of(local_of(zone, second)) - second


def run(sql, shards):
    r = subprocess.run([COMMAND, "run", "--quiet", "--format", "csv", "--shards", str(shards), "-"], input=sql, capture_output=True, text=True)
    return r.returncode, r.stdout.split("\n")[1:-1], r.stderr


def check(seed, names, folder):
    r = random.Random(seed)
    name = r.choice(names)
    zone = ZoneInfo(name)
    at = changes(zone, r)
    instants = [r.randint(LEAST, MOST) for _ in range(150)]
    for a in at:
        instants += [a + r.choice([-7201, -3600, -1, 0, 1, 1799, 3600, 5400, 7200]) for _ in range(6)]
    path = os.path.join(folder, "z%d.csv" % seed)
    with open(path, "w") as f:
        for i, s in enumerate(instants):
            f.write("%d,%d,%s\n" % (i, s, local_of(zone, s).strftime("%%04d-%m-%d %H:%M:%S") % local_of(zone, s).year))
    head = ("SET 'table.local-time-zone' = '%s';\nCREATE TABLE t (id INT, s BIGINT, lt STRING%%s) WITH ('connector'='filesystem',"
            "'format'='csv','path'='%s');\n" % (name, path))
    code, rows, err = run(head % "" + "SELECT id, CAST(TO_TIMESTAMP_LTZ(s, 0) AS STRING), EXTRACT(EPOCH FROM CAST(CAST(lt AS TIMESTAMP(3)) "
                          "AS TIMESTAMP_LTZ(3))) FROM t;", 1)
    want = []
    for i, s in enumerate(instants):
        local = local_of(zone, s)
        back = seconds_of(local.replace(tzinfo=zone, fold=0).astimezone(timezone.utc).replace(tzinfo=None))
        want.append("%d,%04d%s.000,%d" % (i, local.year, local.strftime("-%m-%d %H:%M:%S"), back))
    if code != 0 or rows != want:
        diff = [(a, b) for a, b in zip(rows, want) if a != b][:4]
        return "%s, instants: exit %d, got/expected %s %s" % (name, code, diff, err[:300])
    return windows(r, zone, name, at, folder, seed)


def windows(r, zone, name, at, folder, seed):
    base = r.choice(at) if at else r.randint(0, 2000000000)
    times = sorted(base + r.randint(-9000, 9000) for _ in range(200))
    path = os.path.join(folder, "w%d.csv" % seed)
    with open(path, "w") as f:
        f.writelines("%d,%d\n" % (s, i % 3) for i, s in enumerate(times))
    slide = r.choice([300, 900, 1800, 3600, 86400])
    size = slide * r.choice([1, 1, 2, 3])
    call = "HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '%d' SECOND(6), INTERVAL '%d' SECOND(6))" % (slide, size)
    sql = ("SET 'table.local-time-zone' = '%s';\nCREATE TABLE t (s BIGINT, k INT, ts AS TO_TIMESTAMP_LTZ(s, 0), WATERMARK FOR ts AS ts) WITH "
           "('connector'='filesystem','format'='csv','path'='%s');\nSELECT window_start, window_end, k, COUNT(*), SUM(s) FROM TABLE(%s) "
           "GROUP BY window_start, window_end, k;" % (name, path, call))
    groups = collections.defaultdict(lambda: [0, 0])
    for i, s in enumerate(times):
        local = seconds_of(local_of(zone, s))
        start = local // slide * slide
        while start > local - size:
            g = groups[(start, i % 3)]
            g[0] += 1
            g[1] += s
            start -= slide
    show = lambda v: (EPOCH + timedelta(seconds=v)).strftime("%Y-%m-%d %H:%M:%S.000")
    want = sorted("%s,%s,%d,%d,%d" % (show(s), show(s + size), k, n, total) for (s, k), (n, total) in groups.items())
    first = None
    for shards in (1, 3):
        code, rows, err = run(sql, shards)
        if code != 0 or sorted(rows) != want:
            return "%s, HOP %d %d, %d shards: exit %d, %s" % (name, slide, size, shards, code, sorted(set(rows) ^ set(want))[:6] or err[:300])
        first = first or rows
        if rows != first:
            return "%s: another order at %d shards" % (name, shards)
    return None


def main():
    names = sorted(n for n in available_timezones() if "/" in n and not n.startswith(("Etc/", "posix", "right")))
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(SEEDS):
            wrong = check(seed, names, folder)
            passed += wrong is None
            failed += wrong is not None
            if wrong:
                print("FAILED: sql_zones seed %d: %s" % (seed, wrong))
    print("sql_zones: %d passed, %d failed, 0 skipped" % (passed, failed))
    sys.exit(failed > 0)


main()
