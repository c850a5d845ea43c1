#!/usr/bin/env python3
"""Captures decoded by tshark and by us: every field of the table below, packet by packet. The captures are those of MILL_CAPTURES (files
separated by ':'), if set, and random ones that randpkt makes. Skipped without tshark. Ends "N passed, N failed, N skipped"."""
import csv
import io
import os
import shutil
import subprocess
import sys
import tempfile

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
QUICK = os.environ.get("MILL_QUICK") == "1"
# ours, tshark's, how tshark's text becomes ours; several of tshark's for one of ours: whichever the packet has
FIELDS = [("len", "frame.len", int), ("caplen", "frame.cap_len", int), ("eth_src", "eth.src", str), ("eth_dst", "eth.dst", str), ("vlan_outer", "vlan.id", int),
          ("src", "ip.src", str), ("dst", "ip.dst", str), ("src", "ipv6.src", str), ("dst", "ipv6.dst", str), ("proto", "ip.proto", int), ("ttl", "ip.ttl", int),
          ("ttl", "ipv6.hlim", int), ("ip_id", "ip.id", lambda t: int(t, 16)), ("ip_len", "ip.len", int), ("frag_more", "ip.flags.mf", int), ("dscp_ecn", "ip.dsfield", lambda t: int(t, 16)),
          ("sport", "udp.srcport", int), ("dport", "udp.dstport", int), ("sport", "tcp.srcport", int), ("dport", "tcp.dstport", int), ("sport", "sctp.srcport", int),
          ("dport", "sctp.dstport", int), ("sport", "icmp.type", int), ("dport", "icmp.code", int), ("seq", "tcp.seq_raw", int), ("ack", "tcp.ack_raw", int),
          ("tcp_flags", "tcp.flags", lambda t: int(t, 16) & 255), ("win", "tcp.window_size_value", int)]
COLUMNS = ["ts", "raw_off", "decode_status", "tunnel_kind", "ip_ver"] + sorted({name for name, _, _ in FIELDS})
passed = failed = 0


def ours(path):
    p = subprocess.run([COMMAND, "run", "-c", "SELECT %s FROM '%s'" % (", ".join(COLUMNS), path), "--quiet"], capture_output=True, text=True)
    if p.returncode != 0:
        raise AssertionError(p.stderr)
    return list(csv.DictReader(io.StringIO(p.stdout)))


def theirs(path):
    args = ["tshark", "-n", "-r", path, "-T", "fields", "-E", "separator=|", "-E", "occurrence=a", "-o", "ip.defragment:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE",
            "-e", "frame.time_epoch"] + [x for _, field, _ in FIELDS for x in ("-e", field)]
    return [line.split("|") for line in subprocess.run(args, capture_output=True, text=True, check=True).stdout.split("\n")[:-1]]


def nanoseconds(text):
    clock = text.split(" ")[1]
    return (int(clock[:2]) * 3600 + int(clock[3:5]) * 60 + int(clock[6:8])) * 10**9 + int((clock[9:] + "0" * 9)[:9])


def comparable(row, field, text):
    """Not the headers that an ICMP message quotes; nor the protocol before an authentication header, ours being the one behind it."""
    family = {"ip": "4", "ipv6": "6"}.get(field.split(".")[0], row["ip_ver"])
    return family == row["ip_ver"] and (field, text) != ("ip.proto", "51")


def check(path):
    """A field is compared in packets where both have it, tshark once (else there are packets in packets), and no tunnel."""
    global passed, failed
    a, b = ours(path), theirs(path)
    wrong = [] if len(a) == len(b) else ["%d packets, tshark has %d" % (len(a), len(b))]
    seen = 0
    for row, (epoch, *values) in zip(a, b):
        seconds, fraction = epoch.split(".")
        pairs = [("ts", "frame.time_epoch", nanoseconds(row["ts"]), int(seconds) % 86400 * 10**9 + int((fraction + "0" * 9)[:9]))]
        pairs += [(name, field, row[name], str(convert(text))) for (name, field, convert), text in zip(FIELDS, values)
                  if text and row[name] and "," not in text and row["tunnel_kind"] == "0" and comparable(row, field, text)]
        seen += len(pairs)
        wrong += ["offset %s: %s is %s, %s is %s" % (row["raw_off"], name, mine, field, other) for name, field, mine, other in pairs if mine != other]
    if wrong or seen < 3 * len(a):
        failed += 1
        print("FAILED: %s: %d values, %d wrong" % (path, seen, len(wrong)), *wrong[:6], sep="\n  ")
    else:
        passed += 1


def main():
    if shutil.which("tshark") is None:
        print("sql_tshark: no tshark here\nsql_tshark: 0 passed, 0 failed, 1 skipped")
        return 0
    for path in filter(None, os.environ.get("MILL_CAPTURES", "").split(":")):
        check(path)
    with tempfile.TemporaryDirectory() as d:
        for kind in ("tcp", "udp", "dns", "nbns", "syslog", "arp", "icmp", "sctp", "ip", "eth") if shutil.which("randpkt") else ():
            path = os.path.join(d, kind + ".pcapng")
            subprocess.run(["randpkt", "-b", "400", "-c", "200" if QUICK else "2000", "-t", kind, path], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            check(path)
    print("sql_tshark: %d passed, %d failed, 0 skipped" % (passed, failed))
    return failed > 0


sys.exit(main())
