#!/usr/bin/env python3
"""duckdb_json.py EVENTS.json [RUNS]: bench/run.sh's JSON query in DuckDB, one thread: decode, filter, keyed tumbling window.

Of the nested columns DuckDB is given the fields that the query reads only. Prints the median seconds, GB/s and a digest of the answer (rows, sum of
counts, sum of prices) to compare with ours. Exit 77: no duckdb.
"""
import os, sys, time

sys.path.pop(0)  # this folder has a duckdb.py of its own

try:
    import duckdb
except ImportError:
    print("skipped: there is no duckdb module (pip install duckdb)")
    sys.exit(77)

path, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
columns = "{'event_type': 'INTEGER', 'bid': 'STRUCT(auction BIGINT, price BIGINT, dateTime TIMESTAMP)'}"
query = """SELECT COUNT(*), SUM(n), SUM(s) FROM (SELECT time_bucket(INTERVAL 10 SECOND, bid.dateTime) AS w, bid.auction, COUNT(*) AS n, SUM(bid.price) AS s
FROM read_json('%s', format = 'newline_delimited', columns = %s) WHERE event_type = 2 GROUP BY w, bid.auction)""" % (path.replace("'", "''"), columns)
connection = duckdb.connect()
connection.execute("SET threads = 1")
seconds = []
for _ in range(runs):
    start = time.perf_counter()
    answer = connection.execute(query).fetchone()
    seconds.append(time.perf_counter() - start)
median = sorted(seconds)[len(seconds) // 2]
print("duckdb %s, json, 1 thread: median %.3f s (%.3f to %.3f), %.2f GB/s, answer %d %d %d" % (
    duckdb.__version__, median, min(seconds), max(seconds), os.path.getsize(path) / median / 1e9, *answer))
