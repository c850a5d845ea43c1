#!/usr/bin/env python3
"""Connections of real captures by SQL against those that Zeek found (conformance 09-zeek-flows; skipped when absent).
A connection is everything between two endpoints, both ways; its originator sent the first packet. Ends "N passed, ..."."""
import csv
import io
import os
import subprocess
import sys

command = os.environ.get("MILL_COMMAND", "build/millstream")
folder = os.path.join(os.environ.get("MILL_CONFORMANCE", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "shared", "conformance")), "09-zeek-flows")
quick = os.environ.get("MILL_QUICK") == "1"

SQL = """
SELECT CASE proto WHEN 6 THEN 'tcp' WHEN 17 THEN 'udp' ELSE 'icmp' END AS proto,
       orig_h, orig_p, resp_h, resp_p,
       CASE WHEN up THEN up_pkts ELSE down_pkts END AS orig_pkts, CASE WHEN up THEN up_bytes ELSE down_bytes END AS orig_ip_bytes,
       CASE WHEN up THEN down_pkts ELSE up_pkts END AS resp_pkts, CASE WHEN up THEN down_bytes ELSE up_bytes END AS resp_ip_bytes
FROM (SELECT proto, least, most, least_p, most_p,
             FIRST_VALUE(src) AS orig_h, FIRST_VALUE(sport) AS orig_p, FIRST_VALUE(dst) AS resp_h, FIRST_VALUE(dport) AS resp_p,
             FIRST_VALUE(forth) AS up,
             COUNT(*) FILTER (WHERE forth) AS up_pkts, COALESCE(SUM(ip_len) FILTER (WHERE forth), 0) AS up_bytes,
             COUNT(*) FILTER (WHERE NOT forth) AS down_pkts, COALESCE(SUM(ip_len) FILTER (WHERE NOT forth), 0) AS down_bytes
      FROM (SELECT *, CASE WHEN forth THEN src ELSE dst END AS least, CASE WHEN forth THEN dst ELSE src END AS most,
                   CASE WHEN forth THEN sport ELSE dport END AS least_p, CASE WHEN forth THEN dport ELSE sport END AS most_p
            FROM (SELECT src, dst, sport, dport, proto, ip_len, src < dst OR (src = dst AND sport <= dport) AS forth
                  FROM '{file}' WHERE proto IN (1, 6, 17, 58)))
      GROUP BY proto, least, most, least_p, most_p)
"""


def flows(file, shards, rows):
    out = subprocess.run([command, "run", "-c", SQL.replace("{file}", file), "--quiet", "--format", "csv", "--shards", str(shards),
                          "--set", "batch-rows=%d" % rows], capture_output=True, text=True)
    if out.returncode != 0:
        return ["exit %d: %s" % (out.returncode, out.stderr)]
    return sorted(tuple(row.values()) for row in csv.DictReader(io.StringIO(out.stdout)))


def main():
    expected_file = os.path.join(folder, "expected_flows.csv")
    if not os.path.exists(expected_file):
        print("skipped: no %s" % expected_file)
        print("sql_zeek: 0 passed, 0 failed, 1 skipped")
        return 0
    passed = failed = 0
    expected = {}
    for row in csv.DictReader(open(expected_file)):
        expected.setdefault(row.pop("pcap"), []).append(tuple(row.values()))
    for name, connections in sorted(expected.items()):
        for shards, rows in ([(1, 4096), (3, 7)] if quick else [(s, b) for s in (1, 2, 3, 8) for b in (1, 4096)]):
            got = flows(os.path.join(folder, name), shards, rows)
            if got == sorted(connections):
                passed += 1
                continue
            failed += 1
            print("FAILED %s, %d shards, batches of %d" % (name, shards, rows))
            for row in set(got) - set(connections):
                print("  only ours: %s" % (row,))
            for row in set(connections) - set(got):
                print("  only Zeek: %s" % (row,))
    print("sql_zeek: %d passed, %d failed, 0 skipped" % (passed, failed))
    return failed > 0


sys.exit(main())
