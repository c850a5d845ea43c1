#!/usr/bin/env python3
"""JSON lines end to end, one shard: NEXMark events in the page cache, decoded, filtered, counted and summed by auction and window.

Two shapes: Flink's nested table, six fields of 25 read, and flat bids, five columns of seven read. Rows, counts and sums are checked against Python's json; DuckDB, where it is there, answers the nested query in turn.
usage: bench/bench_json_window.py [EVENTS]   MILL_COMMAND: the command
"""
import json, os, subprocess, sys, tempfile

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
EVENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 500000
PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers", "duckdb_json.py")
NESTED = """CREATE TABLE e (event_type INT, person ROW<id BIGINT, name STRING, emailAddress STRING, creditCard STRING, city STRING, state STRING,
dateTime TIMESTAMP(3), extra STRING>, auction ROW<id BIGINT, itemName STRING, description STRING, initialBid BIGINT, reserve BIGINT, dateTime TIMESTAMP(3),
expires TIMESTAMP(3), seller BIGINT, category BIGINT, extra STRING>, bid ROW<auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING,
dateTime TIMESTAMP(3), extra STRING>, dateTime AS CASE WHEN event_type = 0 THEN person.dateTime WHEN event_type = 1 THEN auction.dateTime
ELSE bid.dateTime END, WATERMARK FOR dateTime AS dateTime - INTERVAL '4' SECOND) WITH ('connector'='filesystem','format'='json','path'='%s');"""
FLAT = """CREATE TABLE e (auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, dateTime TIMESTAMP(3), extra STRING,
WATERMARK FOR dateTime AS dateTime - INTERVAL '4' SECOND) WITH ('connector'='filesystem','format'='json','path'='%s');"""
QUERY = """CREATE TABLE o (w TIMESTAMP(3), auction BIGINT, n BIGINT, s BIGINT%s) WITH ('connector'='%s'); INSERT INTO o SELECT window_start, %s
FROM TABLE(TUMBLE(TABLE e, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)) %s GROUP BY window_start, window_end, %s"""
NESTED_QUERY = ("", "bid.auction, COUNT(*), SUM(bid.price)", "WHERE event_type = 2", "bid.auction")
FLAT_QUERY = (", b BIGINT", "auction, COUNT(*), SUM(price), MAX(bidder)", "WHERE channel <> 'Apple'", "auction")


def run(table, query, path, folder):
    """Seconds; with a folder the digest of the answer: rows, sum of counts, sum of prices."""
    extra, columns, where, key = query
    summary = os.path.join(os.path.dirname(path), "summary")
    sink = "filesystem','format'='csv','path'='" + folder + "/out.csv" if folder else "blackhole"
    subprocess.run([COMMAND, "run", "-c", table % path + QUERY % (extra, sink, columns, where, key), "--quiet", "--shards", "1", "--json-summary", summary], check=True)
    if not folder:
        return json.load(open(summary))["seconds"]
    rows = [line.split(",")[2:4] for line in open(os.path.join(folder, "out.csv"))]
    return len(rows), sum(int(n) for n, _ in rows), sum(int(s) for _, s in rows)


def expected(path, bids):
    keys, count, prices, lines = set(), 0, 0, 0
    for line in open(path):
        event = json.loads(line)
        lines += 1
        bid = event if bids else event["bid"]
        if bid is not None and not (bids and bid["channel"] == "Apple"):
            keys.add((bid["dateTime"][:18], bid["auction"]))
            count, prices = count + 1, prices + bid["price"]
    return lines, (len(keys), count, prices)


with tempfile.TemporaryDirectory() as folder:
    events, bids = os.path.join(folder, "events.json"), os.path.join(folder, "bids.json")
    subprocess.run([COMMAND, "gen", "nexmark", "--events", str(EVENTS), "--out", events], check=True, stderr=subprocess.DEVNULL)
    with open(bids, "w") as out:
        out.writelines(line[line.index('"bid":') + 6:].rstrip()[:-1] + "\n" for line in open(events) if line.startswith('{"event_type":2'))
    for name, table, query, path in (("nested", NESTED, NESTED_QUERY, events), ("bids", FLAT, FLAT_QUERY, bids)):
        answer, (lines, wanted) = run(table, query, path, folder), expected(path, path == bids)
        assert answer == wanted, "%s: %s, Python has %s" % (name, answer, wanted)
        seconds, peers = [], []
        for _ in range(5):
            seconds.append(run(table, query, path, None))
            if path == events:
                peer = subprocess.run([sys.executable, PEER, path, "1"], capture_output=True, text=True)
                assert peer.returncode == 77 or peer.stdout.split()[-3:] == [str(x) for x in wanted], peer
                peers += [peer.stdout.strip()] if peer.returncode == 0 else []
        size = os.path.getsize(path)
        print("json end to end, %s, %.0f B rows, 1 shard: median %.2f GB/s (%.2f to %.2f)" % (
            name, size / lines, size / sorted(seconds)[2] / 1e9, size / max(seconds) / 1e9, size / min(seconds) / 1e9))
        if peers:
            print(sorted(peers)[2])
