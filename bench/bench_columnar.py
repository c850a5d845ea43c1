#!/usr/bin/env python3
"""bench_columnar.py [EVENTS]: raw columnar files from the page cache, one shard, checksums of the columns that are read included.

wide    14 columns of NEXMark's flat table, a window over two of them: the rest of the file is never touched
narrow  three numeric columns, a window over all of them
count   COUNT(*): heads of blocks only
Answers of 1 and 2 shards are compared first, with each other and with the same query over the generator. GB/s: of what is read, median."""
import json, os, subprocess, sys, tempfile

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
    for name, columns, stored, query, touched in (
            ("wide", FLAT + mark, "wide", window % "event_type", 12),
            ("narrow", NARROW + mark, "narrow", window % "bid_auction", 16),
            ("count", FLAT + mark, "wide", "SELECT COUNT(*) FROM t;", 0)):
        sql = table % ("t", columns, stored) + query
        expected, _ = run(source.replace("TABLE n", "TABLE t").replace(FLAT, FLAT + mark) + query, 1, summary)
        for shards in (1, 2):
            if run(sql, shards, summary)[0] != expected:
                sys.exit("bench_columnar: %s, %d shards: not the answer over the generator" % (name, shards))
        runs = [run(sql, 1, summary)[1] for _ in range(7)]
        seconds = sorted(r["seconds"] for r in runs)
        print("columnar, %s, 1 shards: median %.1f M rows/s (best %.1f, worst %.1f), %.2f GB/s" %
              (name, EVENTS / seconds[3] / 1e6, EVENTS / seconds[0] / 1e6, EVENTS / seconds[-1] / 1e6, EVENTS * touched / seconds[3] / 1e9))
