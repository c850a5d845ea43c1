#!/usr/bin/env python3
"""Packets per second out of a generated capture in the page cache: packets of 60 bytes, IPv4, TCP and UDP, 10,000 flows, nanoseconds.
usage: bench/bench_pcap.py [PACKETS [SHARDS]]   MILL_COMMAND: the command; checked are the number of packets and the sum of their lengths."""
import json
import os
import random
import resource
import struct
import subprocess
import sys
import tempfile

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
packets = int(sys.argv[1]) if len(sys.argv) > 1 else 4000000
shards = sys.argv[2] if len(sys.argv) > 2 else "1"
RECORD = 76

TABLE = ("CREATE TABLE p (ts TIMESTAMP(9), len BIGINT, src STRING, dst STRING, proto INT, sport INT, dport INT, tcp_flags INT, flow_hash BIGINT, "
         "WATERMARK FOR ts AS ts) WITH ('connector'='pcap', 'path'='%s'); ")
WINDOW = "FROM TABLE(TUMBLE(TABLE p, DESCRIPTOR(ts), INTERVAL '1' SECOND)) %s GROUP BY window_start, window_end, %s"
QUERIES = (("read and count", "SELECT COUNT(*), SUM(len) FROM p"),
           ("decode 5 columns, sum", "SELECT COUNT(*), SUM(len), SUM(proto), SUM(sport), MAX(dport), SUM(tcp_flags) FROM p"),
           ("filter, keyed window by dport", "SELECT SUM(n), SUM(b) FROM (SELECT dport, COUNT(*) n, SUM(len) b " + WINDOW % ("WHERE proto = 6", "dport") + ")"),
           ("filter, keyed window by flow_hash", "SELECT SUM(n), SUM(b) FROM (SELECT flow_hash, COUNT(*) n, SUM(len) b " + WINDOW % ("WHERE proto = 6", "flow_hash") + ")"),
           ("filter, keyed window by src (text)", "SELECT SUM(n), SUM(b) FROM (SELECT src, COUNT(*) n, SUM(len) b " + WINDOW % ("WHERE proto = 6", "src") + ")"))


def generate(path):
    """Blocks of 100,000 packets, of which a block is a tenth of a second."""
    rng = random.Random(1)
    flows = []
    for _ in range(10000):
        proto = 6 if rng.random() < 0.8 else 17
        ip = struct.pack(">BBHHHBBHII", 0x45, 0, 46, 1, 0, 64, proto, 0, rng.getrandbits(32), 0x0a000000 | rng.randrange(256))
        l4 = struct.pack(">HHIIBBHHH", rng.randrange(1024, 65536), rng.choice((80, 443, 53, 22, 8080)), 1, 2, 0x50, 0x10, 100, 0, 0) if proto == 6 else \
            struct.pack(">HHHH", rng.randrange(1024, 65536), 53, 26, 0) + b"\0" * 12
        flows.append((proto, b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + ip + l4 + b"\0" * 6))
    chosen = [rng.choice(flows) for _ in range(100000)]
    block = bytearray(b"".join(struct.pack("<IIII", 0, 0, 60, 60) + data for _, data in chosen))
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, 65535, 1))
        for n in range(packets // 100000):
            for i in range(100000):
                struct.pack_into("<II", block, i * RECORD, 1700000000 + n // 10, n % 10 * 100000000 + i * 1000)
            f.write(block)
    return sum(proto == 6 for proto, _ in chosen) * (packets // 100000)


with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "bench.pcap")
    tcp = generate(path)
    for title, sql in QUERIES:
        rates, cpu = [], []
        for _ in range(5):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            summary = os.path.join(folder, "summary.json")
            out = subprocess.run([COMMAND, "run", "-c", TABLE % path + sql, "--quiet", "--format", "csv", "--shards", shards, "--json-summary", summary],
                                 capture_output=True, text=True, check=True).stdout
            count = int(out.splitlines()[1].split(",")[0])
            assert count == (tcp if "proto = 6" in sql else packets // 100000 * 100000), out
            assert int(out.splitlines()[1].split(",")[1]) == 60 * count, out
            rates.append(json.load(open(summary))["rows_per_second"])
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu.append(packets / (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
        print("pcap, %s, %s shards: median %.1f M packets/s (best %.1f, worst %.1f), %.1f CPU ns a packet" % (
            title, shards, sorted(rates)[2] / 1e6, max(rates) / 1e6, min(rates) / 1e6, 1e9 / sorted(cpu)[2]))
