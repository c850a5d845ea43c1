#!/usr/bin/env python3
"""duckdb_csv.py EVENTS.csv [RUNS]: bench/run.sh's CSV query in DuckDB, one thread: decode, filter, keyed tumbling window.

Prints the median seconds, GB/s and a digest of the answer (rows, sum of counts, sum of prices) to compare with ours. Exit 77: no duckdb.
"""
import os, sys, time

sys.path.pop(0)  # this folder has a duckdb.py of its own

try:
    import duckdb
except ImportError:
    print("skipped: there is no duckdb module (pip install duckdb)")
    sys.exit(77)

path, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
names = ["event_type", "person_id", "person_name", "person_city", "person_state", "auction_id", "auction_seller", "auction_category",
         "bid_auction", "bid_bidder", "bid_price", "bid_channel", "bid_url", "dateTime"]
types = ["INTEGER", "BIGINT", "VARCHAR", "VARCHAR", "VARCHAR", "BIGINT", "BIGINT", "BIGINT", "BIGINT", "BIGINT", "BIGINT", "VARCHAR", "VARCHAR",
         "TIMESTAMP"]
columns = "{%s}" % ", ".join("'%s': '%s'" % x for x in zip(names, types))
query = """SELECT COUNT(*), SUM(n), SUM(s) FROM (SELECT time_bucket(INTERVAL 10 SECOND, dateTime) AS w, bid_auction, COUNT(*) AS n, SUM(bid_price) AS s
FROM read_csv('%s', header = false, auto_detect = false, delim = ',', quote = '"', escape = '"', columns = %s) WHERE event_type = 2
GROUP BY w, bid_auction)""" % (path.replace("'", "''"), columns)
connection = duckdb.connect()
connection.execute("SET threads = 1")
seconds = []
for _ in range(runs):
    start = time.perf_counter()
    answer = connection.execute(query).fetchone()
    seconds.append(time.perf_counter() - start)
median = sorted(seconds)[len(seconds) // 2]
print("duckdb %s, 1 thread: median %.3f s (%.3f to %.3f), %.2f GB/s, answer %d %d %d" % (
    duckdb.__version__, median, min(seconds), max(seconds), os.path.getsize(path) / median / 1e9, *answer))
