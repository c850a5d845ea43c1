#!/usr/bin/env python3
"""The memory limit, reached by each kind of operator: exit code 71 and one line with who asked, how much was missing, and who held most."""
import os, re, subprocess, sys, tempfile

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
ROWS = 3000000
EVENTS = """CREATE TABLE n (bid_bidder BIGINT, bid_price BIGINT, bid_url STRING, `dateTime` TIMESTAMP(3), WATERMARK FOR `dateTime` AS `dateTime` %s)
  WITH ('connector' = 'nexmark', 'events.num' = '%d');"""
NEEDS = re.compile(r"^millstream: (.*?)(?: needs|:) (\d+) more bytes over the memory limit of (\d+); largest holder: (.*), (\d+) bytes; .*raise the limit\n$")


def run(directory, sql, limit, shards):
    script = os.path.join(directory, "job.sql")
    with open(script, "w") as f:
        f.write(sql)
    p = subprocess.run([COMMAND, "run", script, "--quiet", "--shards", str(shards), "--set", "memory-limit=%d" % limit], stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE)
    return p.returncode, p.stderr.decode(errors="replace")


def window(of, select="window_start, bid_bidder, bid_price, MAX(bid_url)", keys="window_start, window_end, bid_bidder, bid_price"):
    return "SELECT %s FROM TABLE(%s) GROUP BY %s" % (select, of, keys)


# name, SQL, limit, the operator's name and keys as EXPLAIN shows them
STATES = [
    ("group", EVENTS % ("", ROWS) + "SELECT bid_price, bid_url, COUNT(*) FROM n GROUP BY bid_price, bid_url", 32 << 20, r"GroupAggregate\[\d+\] by bid_price, bid_url"),
    ("rows of SELECT DISTINCT", EVENTS % ("", ROWS) + "SELECT DISTINCT bid_price FROM n", 32 << 20, r"GroupAggregate\[\d+\] by bid_price"),
    ("DISTINCT", EVENTS % ("", ROWS) + "SELECT COUNT(DISTINCT bid_price), COUNT(DISTINCT bid_url) FROM n", 32 << 20, r"GroupAggregate\[\d+\]"),
    ("LISTAGG", EVENTS % ("", ROWS) + "SELECT LISTAGG(bid_url) FROM n", 32 << 20, r"GroupAggregate\[\d+\]"),
    ("window", EVENTS % ("", ROWS) + window("TUMBLE(TABLE n, DESCRIPTOR(`dateTime`), INTERVAL '1' HOUR)"), 32 << 20, r"WindowAggregate\[\d+\] by bid_bidder, bid_price"),
    ("session", EVENTS % ("", ROWS) + window("SESSION(TABLE n PARTITION BY bid_price, DESCRIPTOR(`dateTime`), INTERVAL '1' HOUR)", "bid_price, COUNT(*)",
                                             "window_start, window_end, bid_price"), 32 << 20, r"SessionAggregate\[\d+\] by bid_price"),
    ("count window", EVENTS % ("- INTERVAL '1' HOUR", ROWS) + window("HOP_ROWS(TABLE n PARTITION BY bid_price, DESCRIPTOR(`dateTime`), 200, 1000)", "COUNT(*), MAX(bid_url)",
                                                                     "window_start, window_end, bid_price"), 64 << 20, r"CountWindowAggregate\[\d+\] by bid_price"),
]


def limits(directory, check):
    for name, sql, limit, operator in STATES:
        for shards in (1, 2):
            code, err = run(directory, sql, limit, shards)
            said = NEEDS.match(err)
            check("%s, %d shards: 71 and one line" % (name, shards), code == 71 and said, code, err)
            if said:
                check("%s, %d shards: the figures fit" % (name, shards), int(said[3]) == limit and 0 < int(said[5]) <= limit and int(said[2]) > 0, err)
            if said and shards == 1:
                # with one shard there are no batches on the way: the state itself is what is large
                check("%s: it is the largest holder" % name, re.fullmatch(operator, said[4]) and int(said[5]) > limit / 4, operator, err)


def reader_and_sink(directory, check):
    with open(os.path.join(directory, "long.csv"), "w") as f:
        f.write("k,v\n" + "".join('%d,"%s"\n' % (i, "x" * 3000000) for i in range(5)))
    code, err = run(directory, "SELECT k, CHAR_LENGTH(v) FROM '%s/long.csv'" % directory, 8 << 20, 1)
    check("reader", code == 71 and NEEDS.match(err) and NEEDS.match(err)[1].startswith("Source[0] " + directory), code, err)
    with open(os.path.join(directory, "keys.csv"), "w") as f:
        f.write("k\n" + "".join("%d\n" % i for i in range(5000)))
    sink = "CREATE TABLE s (k BIGINT, v BIGINT) PARTITIONED BY (k) WITH ('connector'='filesystem','path'='%s/out','format'='csv');" % directory
    code, err = run(directory, sink + "INSERT INTO s SELECT k, 1 FROM '%s/keys.csv'" % directory, 16 << 20, 1)
    check("sink", code == 71 and NEEDS.match(err) and re.fullmatch(r"Sink\[\d+\] s", NEEDS.match(err)[1]), code, err)
    seen = [name for _, _, names in os.walk(os.path.join(directory, "out")) for name in names if not name.startswith(".")]
    check("sink: nothing has got its name", not seen, seen[:3])
    code, err = run(directory, "SELECT COUNT(*) FROM '%s/keys.csv'" % directory, 1 << 20, 2)
    check("a limit too small to plan", code == 71 and "the memory limit is 1048576 bytes" in err, code, err)
    code, err = run(directory, "SELECT 1", 1000, 1)
    check("a limit out of range", code == 64 and "memory_limit is 1000, need 1048576" in err, code, err)


def large_array(directory, check):
    """The array of a row stands in memory once, not once for each element beside which it stands."""
    path = os.path.join(directory, "array.json")
    with open(path, "w") as f:
        f.write('{"a": %s}\n' % list(range(10000)))
    sql = """CREATE TABLE t (a ARRAY<BIGINT>) WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = '%s');
SELECT SUM(x) FROM t CROSS JOIN UNNEST(a) AS u (x);""" % path
    for shards in (1, 3):
        code, err = run(directory, sql, 64 << 20, shards)
        check("UNNEST of a large array", code == 0, code, err)


def main():
    passed = failed = 0

    def check(what, condition, *details):
        nonlocal passed, failed
        if condition:
            passed += 1
        else:
            failed += 1
            print("FAILED:", what, *(str(d)[:500] for d in details))

    with tempfile.TemporaryDirectory() as directory:
        limits(directory, check)
        reader_and_sink(directory, check)
        large_array(directory, check)
    print("sql_memory: %d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed else 0


sys.exit(main())
