#!/usr/bin/env python3
"""Random queries with and without the optimiser: the same bytes.

Queries of a STATEMENT SET with windows of several lengths, which share slices, too. Each seed makes a table with disorder and NULLs as CSV, JSON lines and columnar, and queries over it: nested projections, UNION ALL, windows,
filters at every level. The answer with filters where they were written and no sub-plan shared, at 1 shard, is what every shard count,
batch size and state round trip must give with them moved (for the same steps: they order UNION ALL).
"""
import concurrent.futures, json, os, random, struct, subprocess, sys, tempfile

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
SEEDS = int(os.environ.get("MILL_SEEDS", "10" if os.environ.get("MILL_QUICK") else "120"))
FIRST = int(os.environ.get("MILL_FIRST_SEED", "0"))
COLUMNS = "ts TIMESTAMP(3), k STRING, v INT, d DOUBLE, s STRING"
PLAIN = ("SET 'millstream.optimizer.filter-push-down' = 'OFF'; SET 'millstream.optimizer.share-sub-plans' = 'FALSE';"
         "SET 'table.optimizer.agg-phase-strategy' = 'ONE_PHASE';")


def make_rows(r):
    rows, t = [], 1_000_000
    for _ in range(r.randint(1, 600)):
        t += r.choice([0, 1, 40, 900])
        ms = t - r.choice([0, 0, r.randint(0, 2500)])
        rows.append("1970-01-01 00:%02d:%02d.%03d,%s,%s,%s,%s" % (
            ms // 60000 % 60, ms // 1000 % 60, ms % 1000, r.choice(["a", "b", "cc", "a key longer than twelve"]),
            r.choice(["", str(r.randint(-20, 20))]), r.choice(["", "%.2f" % r.uniform(-5, 5)]), r.choice(["x", "yy", "a text longer than twelve bytes"])))
    return rows


def condition(r, window=False):
    parts = ["v > %d" % r.randint(-25, 25), "v IS NOT NULL", "k = 'a'", "k <> 'cc' OR v < 0", "MOD(v, 3) = 0", "d < %d" % r.randint(-3, 3),
             "s = 'x'", "NOT (v = 3)", "v + 1 < 5", "CHAR_LENGTH(s) > 1", "v IN (1, 2, 3, 5, 8)", "k LIKE 'a%'"]
    if window:
        parts += ["window_start >= TIMESTAMP '1970-01-01 00:17:00'", "EXTRACT(SECOND FROM window_end) < 40"]
    return " AND ".join(r.sample(parts, r.randint(1, 3)))


def relation(r, depth):
    where = " WHERE " + condition(r) if r.random() < 0.6 else ""
    if depth == 0:
        return "SELECT * FROM t" + where
    kind = r.randrange(3)
    if kind == 0:
        return "SELECT ts, k, v + %d AS v, d, s FROM (%s)%s" % (r.randint(-3, 3), relation(r, depth - 1), where)
    if kind == 1:
        return "SELECT ts, UPPER(k) AS k, v, d * 2 AS d, s FROM (%s)%s" % (relation(r, depth - 1), where)
    return "SELECT * FROM (%s UNION ALL %s)%s" % (relation(r, depth - 1), relation(r, depth - 1), where)


def window(r):
    return r.choice(["TUMBLE(TABLE x, DESCRIPTOR(ts), INTERVAL '4' SECOND)", "HOP(TABLE x, DESCRIPTOR(ts), INTERVAL '2' SECOND, INTERVAL '6' SECOND)",
                     "CUMULATE(TABLE x, DESCRIPTOR(ts), INTERVAL '2' SECOND, INTERVAL '6' SECOND)"])


def query(r):
    """Names of the columns, query."""
    base, kind = relation(r, r.randint(0, 2)), r.randrange(5)
    name = "WITH x AS (%s) " % base
    if kind == 0:
        return ("ts", "k", "v", "d", "s"), "SELECT ts, k, v, d, s FROM (%s) WHERE %s" % (base, condition(r))
    if kind == 1:
        return ("window_start", "k", "v", "s"), name + "SELECT window_start, k, v, s FROM TABLE(%s) WHERE %s" % (window(r), condition(r, True))
    names = ("window_start", "window_end", "k", "v", "d", "s")
    group = "SELECT window_start, window_end, k, COUNT(*) AS v, SUM(v) AS d, MAX(s) AS s FROM TABLE(%s)%s GROUP BY window_start, window_end, k" % (
        window(r), " WHERE " + condition(r) if r.random() < 0.5 else "")
    if kind == 2:
        return names, name + group + " HAVING COUNT(*) > 1 AND k <> 'b'"
    if kind == 3:
        return names, name + "SELECT * FROM (%s) WHERE k < 'b' AND v > 1" % group
    return ("k", "s", "c"), name + ("SELECT k, s, c FROM (SELECT k, s, COUNT(*) AS c FROM x GROUP BY k, s) "
                                    "WHERE s = 'x' AND c > 1 AND k LIKE 'a%'")


def run(sql, out, extra=(), trip=None):
    p = subprocess.run([COMMAND, "run", "-c", sql, "--quiet", *extra], capture_output=True,
                       env={**os.environ, **({"MILL_ROUNDTRIP": trip} if trip else {})})
    if p.returncode != 0:
        return "exit %d: %s" % (p.returncode, p.stderr.decode(errors="replace"))
    return [open(x).read() for x in out]


def table(path, form):
    return ("CREATE TABLE t (%s, WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) WITH ('connector'='filesystem','format'='%s','path'='%s');" %
            (COLUMNS, form, path))


def one(seed):
    r = random.Random(seed)
    with tempfile.TemporaryDirectory() as d:
        with open(d + "/t.csv", "w") as f:
            f.write("".join(x + "\n" for x in make_rows(r)))
        for form in ("json", "columnar"):
            made = run(table(d + "/t.csv", "csv") + "CREATE TABLE o (%s) WITH ('connector'='filesystem','format'='%s','path'='%s/t.%s');"
                       "INSERT INTO o SELECT * FROM t" % (COLUMNS, form, d, form), [])
            if made != []:
                return "seed %d: %s" % (seed, made)
        queries = [query(r) for _ in range(r.choice([1, 2, 2]))]
        if len(queries) == 2 and r.random() < 0.7:
            names, text = queries[0]
            queries[1] = (names, r.choice([text, "SELECT * FROM (%s) WHERE k <> 'cc'" % text]))
            if r.random() < 0.3:
                queries.append((names, text))
        out = [d + "/o%d.csv" % i for i in range(len(queries))]
        sinks = "".join("CREATE TABLE o%d (%s) WITH ('connector'='filesystem','format'='csv','path'='%s');" %
                        (i, ", ".join(c + " STRING" for c in names), o) for i, (o, (names, _)) in enumerate(zip(out, queries)))
        inserts = sinks + "EXECUTE STATEMENT SET BEGIN %s END" % "".join(
            "INSERT INTO o%d SELECT %s FROM (%s);" % (i, ", ".join("CAST(%s AS STRING)" % c for c in names), q)
            for i, (names, q) in enumerate(queries))
        for form, step in (("csv", "1048576"), ("csv", "2000"), ("json", "1048576"), ("columnar", "1048576")):
            rest = table(d + "/t." + form, form) + inserts
            expected = run(PLAIN + rest, out, ["--shards", "1", "--set", "step-bytes=" + step])
            if isinstance(expected, str):
                return "seed %d: %s\n%s" % (seed, expected, rest)
            for level in ("EXACT", "ALL"):
                for shards in ("1", "2", "3", "8"):
                    extra = ["--shards", shards, "--set", "batch-rows=" + r.choice(["1", "4096"]), "--set", "step-bytes=" + step]
                    sql = "SET 'millstream.optimizer.filter-push-down' = '%s';" % level + rest
                    got = run(sql, out, extra, r.choice([None, "7"]))
                    if got != expected:
                        return "seed %d, %s, %s: differs\n%s\n%s" % (seed, form, " ".join(extra), sql, got if isinstance(got, str) else "")
    return None


def capture(r, path):
    """Packets of IPv4 and IPv6, TCP and UDP, and some that are neither."""
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for n in range(r.randint(1, 900)):
            proto, body = r.choice([6, 17]), bytes(r.randrange(8))
            ports = struct.pack(">HH", r.randint(1, 90), r.randint(1, 90))
            l4 = ports + (struct.pack(">IIBBHHH", n, 2, 0x50, 0x10, 100, 0, 0) if proto == 6 else struct.pack(">HH", 8 + len(body), 0)) + body
            if r.random() < 0.5:
                l3 = b"\x08\0" + struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(l4), n & 65535, 0, 64, proto, 0, r.getrandbits(32), r.randrange(4))
            else:
                l3 = b"\x86\xdd" + struct.pack(">IHBB", 6 << 28, len(l4), proto, 64) + bytes(15) + bytes([r.randrange(4)]) + r.randbytes(16)
            data = b"\2\0\0\0\0\1\2\0\0\0\0" + bytes([n % 7]) + r.choice([l3, l3, l3, b"\x12\x34"]) + l4
            f.write(struct.pack("<IIII", 1700000000 + n // 10, n * 1000 % 1000000, len(data), len(data)) + data)


def one_capture(seed):
    r = random.Random(seed)
    with tempfile.TemporaryDirectory() as d:
        capture(r, d + "/p.pcap")
        where = r.choice(["dport = %d" % r.randint(1, 90), "sport < %d AND proto = 6" % r.randint(1, 90), "ip_ver = 6", "len > 60 OR dport IS NULL"])
        sql = ("CREATE TABLE o (ts STRING, src STRING, dst STRING, eth_src STRING, sport INT, payload_len BIGINT) "
               "WITH ('connector'='filesystem','format'='csv','path'='%s/o.csv'); "
               "INSERT INTO o SELECT CAST(ts AS STRING), src, dst, eth_src, sport, payload_len FROM '%s/p.pcap' WHERE %s" % (d, d, where))
        expected = run(PLAIN + sql, [d + "/o.csv"], ["--shards", "1"])
        if isinstance(expected, str):
            return "seed %d: %s" % (seed, expected)
        for shards in ("1", "2", "3", "8"):
            for rows in ("1", "100", "4096"):
                if run(sql, [d + "/o.csv"], ["--shards", shards, "--set", "batch-rows=" + rows]) != expected:
                    return "capture, seed %d, %s shards, batches of %s: differs\n%s" % (seed, shards, rows, sql)
    return None


def slices(r, unit):
    if r.random() < 0.5:
        return "TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '%d' SECOND)" % (unit * r.choice([1, 2, 3, 5, 12]))
    slide = unit * r.choice([1, 2, 3])
    return "HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '%d' SECOND, INTERVAL '%d' SECOND)" % (slide, slide * r.randint(1, 4) + r.choice([0, 0, unit % slide]))


def one_shared(seed):
    """Windows of several lengths over the same groups: what each query has, and how many rows were late for it, is what it has alone."""
    r = random.Random(seed)
    with tempfile.TemporaryDirectory() as d:
        with open(d + "/t.csv", "w") as f:
            f.write("".join(x + "\n" for x in make_rows(r)))
        keys = r.choice(["", "k", "k, s"])
        values = r.sample(["COUNT(*)", "SUM(v)", "MAX(s)", "MIN(v)", "COUNT(DISTINCT v)", "AVG(v)", "COUNT(v) FILTER (WHERE v > 0)"] +
                          ["SUM(d)"] * (r.random() < 0.2), r.randint(1, 3))
        where, unit = r.choice(["", " WHERE v > 0", " WHERE k <> 'b'"]), r.choice([1, 2, 5])
        windows = list(dict.fromkeys(slices(r, unit) for _ in range(r.randint(2, 4))))  # the same one twice would count its late rows once
        columns = ["window_start", "window_end"] + ["k", "s"][:len(keys.split(",")) if keys else 0] + values
        out = [d + "/o%d.csv" % i for i in range(len(windows))]
        step = ["--set", "step-bytes=" + r.choice(["2000", "1048576"])]
        sql = table(d + "/t.csv", "csv") + "".join(
            "CREATE TABLE o%d (%s) WITH ('connector'='filesystem','format'='csv','path'='%s');" %
            (i, ", ".join("c%d STRING" % c for c in range(len(columns))), o) for i, o in enumerate(out))
        sql += "EXECUTE STATEMENT SET BEGIN %s END" % "".join(
            "INSERT INTO o%d SELECT %s FROM TABLE(%s)%s GROUP BY window_start, window_end%s;" %
            (i, ", ".join("CAST(%s AS STRING)" % c for c in columns), w, where, ", " + keys if keys else "") for i, w in enumerate(windows))

        def answer(settings, extra, trip=None):
            got = run(settings + sql, out, [*extra, *step, "--json-summary", d + "/summary"], trip)
            return got if isinstance(got, str) else (got, json.load(open(d + "/summary"))["late"])
        expected = answer(PLAIN, ["--shards", "1"])
        if isinstance(expected, str):
            return "seed %d: %s\n%s" % (seed, expected, sql)
        for phases in ("ONE_PHASE", "TWO_PHASE", "AUTO"):
            for shards in ("1", "2", "3", "8"):
                extra = ["--shards", shards, "--set", "batch-rows=" + r.choice(["1", "4096"])]
                got = answer("SET 'table.optimizer.agg-phase-strategy' = '%s';" % phases, extra, r.choice([None, "7"]))
                if got != expected:
                    return "shared, seed %d, %s %s: differs\n%s\n%s\n%s" % (seed, phases, " ".join(extra), sql, got, expected)
    return None


def main():
    if len(sys.argv) > 1:
        print(one(int(sys.argv[1])) or one_capture(int(sys.argv[1])) or one_shared(int(sys.argv[1])) or "seed %s: as expected" % sys.argv[1])
        return
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        seeds = range(FIRST, FIRST + SEEDS)
        for difference in [*pool.map(one, seeds), *pool.map(one_capture, seeds), *pool.map(one_shared, seeds)]:
            if difference:
                print(difference)
                failed += 1
    print("%d passed, %d failed, 0 skipped" % (3 * SEEDS - failed, failed))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
