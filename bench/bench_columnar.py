#!/usr/bin/env python3
"""bench_columnar.py [EVENTS]: raw columnar files from the page cache, one shard, checksums of the columns that are read included.

wide    14 columns of NEXMark's flat table, a window over two of them: the rest of the file is never touched
narrow  three numeric columns, a window over all of them
count   COUNT(*): heads of blocks only
Answers of 1 and 2 shards are compared first. Rates: best and median of seven runs; GB/s of the file, and of the columns that were read."""
import json, os, re, statistics, subprocess, sys, tempfile

COMMAND = os.path.abspath(os.path.join(os.environ.get("BUILD", "build"), "millstream"))
EVENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 4000000
FLAT = ("event_type INT, person_id BIGINT, person_name STRING, person_city STRING, person_state STRING, auction_id BIGINT, "
        "auction_seller BIGINT, auction_category BIGINT, bid_auction BIGINT, bid_bidder BIGINT, bid_price BIGINT, bid_channel STRING, "
        "bid_url STRING, dateTime TIMESTAMP(3)")
NARROW = "event_type INT, bid_auction BIGINT, dateTime TIMESTAMP(3)"


def run(sql, shards, summary):
    p = subprocess.run([COMMAND, "run", "-c", sql, "--quiet", "--shards", str(shards), "--json-summary", summary],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if p.returncode != 0:
        sys.exit("bench_columnar: " + p.stderr)
    return p.stdout, json.load(open(summary))


with tempfile.TemporaryDirectory() as folder:
    summary = folder + "/s"
    source = ("CREATE TABLE n (%s) WITH ('connector' = 'nexmark', 'events.num' = '%d', 'seed' = '1');" % (FLAT, EVENTS))
    table = "CREATE TABLE %s (%s) WITH ('connector' = 'filesystem', 'format' = 'columnar', 'path' = '" + folder + "/%s.mcol');"
    names = lambda columns: ", ".join("`%s`" % c.split()[0] for c in columns.split(", "))
    for name, columns in (("wide", FLAT), ("narrow", NARROW)):
        run(source + table % (name, columns, name) + "INSERT INTO %s SELECT %s FROM n;" % (name, names(columns)), 1, summary)
    window = ("SELECT window_start, COUNT(*), SUM(%s) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)) "
              "GROUP BY window_start, window_end;")
    mark = ", WATERMARK FOR dateTime AS dateTime"
    for name, sql, touched in (
            ("wide", table % ("t", FLAT + mark, "wide") + window % "event_type", 12),
            ("narrow", table % ("t", NARROW + mark, "narrow") + window % "bid_auction", 16),
            ("count", table % ("t", FLAT, "wide") + "SELECT COUNT(*) FROM t;", 0)):
        one, _ = run(sql, 1, summary)
        two, _ = run(sql, 2, summary)
        if one != two:
            sys.exit("bench_columnar: %s: 1 and 2 shards differ" % name)
        runs = [run(sql, 1, summary)[1] for _ in range(7)]
        best, median = (f([r["seconds"] for r in runs]) for f in (min, statistics.median))
        print("%-7s %d rows, %.1f MB file: best %.0f M rows/s, %.1f GB/s of the file, %.2f GB/s of what is read; median %.0f M rows/s, %.1f GB/s" %
              (name, runs[0]["rows_in"], runs[0]["bytes_in"] / 1e6, EVENTS / best / 1e6, runs[0]["bytes_in"] / best / 1e9,
               EVENTS * touched / best / 1e9, EVENTS / median / 1e6, runs[0]["bytes_in"] / median / 1e9))
