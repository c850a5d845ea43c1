#!/usr/bin/env python3
"""Captures built here byte by byte from the specifications (pcap, pcapng, IEEE 802, the RFCs named), read by SQL.
Expected values are the ones that were put in. Ends "N passed, N failed, N skipped"."""
import csv
import gzip
import io
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
QUICK = os.environ.get("MILL_QUICK") == "1"
RUNS = [(1, 4096, []), (3, 1, ["--set", "step-bytes=64"])]
if not QUICK:
    RUNS += [(s, b, ["--set", "step-bytes=%d" % n]) for s in (1, 2, 8) for b in (1, 4096) for n in (200, 1 << 20)]
counts = {"passed": 0, "failed": 0}
folder = tempfile.mkdtemp()

# ---- containers ------------------------------------------------------------------------------------------------------


def pcap(packets, magic=0xa1b2c3d4, order="<", link=1, snaplen=65535, unit=1000, extra=b""):
    """packets: (ns, bytes) or (ns, bytes, length)"""
    out = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, link)
    for p in packets:
        ns, data = p[0], p[1]
        out += struct.pack(order + "IIII", ns // 10**9, ns % 10**9 // unit, len(data), p[2] if len(p) > 2 else len(data)) + extra + data
    return out


def block(kind, body, order="<"):
    body += b"\0" * (-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def shb(order="<", length=-1):
    return block(0x0a0d0d0a, struct.pack(order + "IHHq", 0x1a2b3c4d, 1, 0, length), order)


def idb(order="<", link=1, snaplen=0, resol=None, offset=None):
    options = b""
    if resol is not None:
        options += struct.pack(order + "HHB3x", 9, 1, resol)
    if offset is not None:
        options += struct.pack(order + "HHq", 14, 8, offset)
    return block(1, struct.pack(order + "HHI", link, 0, snaplen) + options + (struct.pack(order + "HH", 0, 0) if options else b""), order)


def epb(data, ticks, interface=0, order="<", length=None):
    return block(6, struct.pack(order + "IIIII", interface, ticks >> 32, ticks & 0xffffffff, len(data), length or len(data)) + data, order)


def pb(data, ticks, interface=0, order="<"):
    return block(2, struct.pack(order + "HHIIII", interface, 7, ticks >> 32, ticks & 0xffffffff, len(data), len(data)) + data, order)


def spb(data, order="<", length=None):
    return block(3, struct.pack(order + "I", length or len(data)) + data, order)


# ---- packets ---------------------------------------------------------------------------------------------------------
A4, B4, C4, D4 = "10.1.2.3", "192.168.100.200", "172.16.0.1", "8.8.4.4"
A6, B6 = "2001:db8::1:0:0:1", "fe80::1"


def ip4(payload, proto, src=A4, dst=B4, frag=0, ident=0x1234, options=b"", length=None, tos=0xb9, ttl=61):
    header = 20 + len(options)
    total = header + len(payload) if length is None else length
    return struct.pack(">BBHHHBBH4s4s", 0x40 | header // 4, tos, total, ident, frag, ttl, proto, 0, socket.inet_aton(src),
                       socket.inet_aton(dst)) + options + payload


def ip6(payload, proto, src=A6, dst=B6, length=None):
    return struct.pack(">IHBB16s16s", 0x6ab12345, len(payload) if length is None else length, proto, 63,
                       socket.inet_pton(socket.AF_INET6, src), socket.inet_pton(socket.AF_INET6, dst)) + payload


def tcp(payload=b"hello", sport=443, dport=50000, flags=0x12, options=b""):
    return struct.pack(">HHIIBBHHH", sport, dport, 0xfffffffe, 0x80000001, (20 + len(options)) // 4 << 4, flags, 64240, 0, 0) + options + payload


def udp(payload=b"question", sport=5353, dport=53):
    return struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload


MAC_A, MAC_B = bytes.fromhex("02005e10000a"), bytes.fromhex("f0def1c0ffee")


def eth(payload, kind=0x0800, tags=()):
    out = MAC_B + MAC_A
    for tpid, tci in tags:
        out += struct.pack(">HH", tpid, tci)
    return out + struct.pack(">H", kind) + payload


def label(number, bottom):
    return struct.pack(">I", number << 12 | (0x100 if bottom else 0) | 64)


# ---- running ---------------------------------------------------------------------------------------------------------


def put(name, data):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)
    return path


def run(sql, shards=1, rows=4096, more=()):
    return subprocess.run([COMMAND, "run", "-c", sql.replace("${DIR}", folder), "--quiet", "--format", "csv", "--shards", str(shards),
                           "--set", "batch-rows=%d" % rows, *more], capture_output=True, text=True)


def verdict(title, ok, why):
    counts["passed" if ok else "failed"] += 1
    if not ok:
        print("FAILED %s: %s" % (title, why))


def check(title, sql, expected, code=0, words=()):
    for shards, rows, more in RUNS:
        out = run(sql, shards, rows, more)
        got = [tuple(r) for r in csv.reader(io.StringIO(out.stdout))][1:]
        want = [tuple("" if v is None else str(v) for v in r) for r in expected]
        ok = got == want and out.returncode == code and all(w in out.stderr for w in words)
        verdict("%s (%d shards, batches of %d)" % (title, shards, rows), ok,
                "\n  got  %s\n  want %s\n  exit %d %s" % (got, want, out.returncode, out.stderr))
        if not ok:
            return


number = [0]


def fields(title, packet, columns, values, link=1, code=0):
    """One packet alone: its columns."""
    number[0] += 1
    name = "f%d.pcap" % number[0]
    put(name, pcap([(0, packet)], link=link))
    check(title, "SELECT %s FROM '${DIR}/%s'" % (columns, name), [values], code)


def fails(title, sql, code, words):
    out = run(sql)
    verdict(title, out.returncode == code and all(w in out.stderr for w in words), "exit %d, %s, want %s" % (out.returncode, out.stderr, words))


T = 1700000000 * 10**9 + 123456789
STAMP = "2023-11-14 22:13:20."
PACKET = eth(ip4(tcp(), 6))


def containers():
    for order, name in (("<", "little"), (">", "big")):
        for magic, unit, digits in ((0xa1b2c3d4, 1000, "123456000"), (0xa1b23c4d, 1, "123456789")):
            put("m.pcap", pcap([(T, PACKET), (T + 10**9, PACKET, 1514)], magic, order, unit=unit))
            check("pcap %s-endian, %d ns" % (name, unit), "SELECT ts, caplen, len, link, if_id, raw_off, sport FROM '${DIR}/m.pcap'",
                  [(STAMP + digits, 59, 59, 1, 0, 24, 443), ("2023-11-14 22:13:21." + digits, 59, 1514, 1, 0, 99, 443)])
        put("k.pcap", pcap([(T, PACKET)] * 2, 0xa1b2cd34, order, extra=b"\1\2\3\4\5\6\7\0"))
        check("pcap with records of 24 bytes, " + name, "SELECT ts, caplen, raw_off, dport FROM '${DIR}/k.pcap'",
              [(STAMP + "123456000", 59, 24, 50000), (STAMP + "123456000", 59, 107, 50000)])
        for resol, ticks, digits in ((None, T // 1000, "123456000"), (6, T // 1000, "123456000"), (9, T, "123456789"), (3, T // 10**6, "123000000"),
                                     (0, T // 10**9, "000000000"), (0x80 | 10, (T // 10**9 << 10) + 512, "500000000"),
                                     (0x80 | 20, (T // 10**9 << 20) + 1, "000000953"), (8, T // 10, "123456780"), (10, T * 10 + 7, "123456789")):
            put("r.pcapng", shb(order) + idb(order, resol=resol) + epb(PACKET, ticks, order=order))
            check("pcapng %s, if_tsresol %s" % (name, resol), "SELECT ts, caplen, sport FROM '${DIR}/r.pcapng'", [(STAMP + digits, 59, 443)])
        put("o.dat", shb(order) + idb(order, offset=1700000000) + epb(PACKET, 123456, order=order))
        check("pcapng %s, if_tsoffset, name without meaning" % name, "SELECT ts FROM '${DIR}/o.dat'", [(STAMP + "123456000",)])
    us = T // 1000
    put("s.pcapng", shb() + idb(link=101) + block(4, b"names...") + idb(resol=9) + epb(PACKET, T, 1) + epb(PACKET[14:], us, 0) + block(0x0bad, b"12") +
        spb(PACKET[14:]) + pb(PACKET, T + 5, 1) + block(5, b"\0" * 20) + shb(">", 1000) + idb(">", link=228, snaplen=30) + epb(PACKET[14:], us + 1, order=">") +
        spb(PACKET[14:], order=">", length=60) + block(10, b"secrets", ">"))
    check("pcapng: sections, interfaces, EPB, SPB, PB, unknown blocks", "SELECT ts, if_id, link, caplen, len, dport FROM '${DIR}/s.pcapng'",
          [(STAMP + "123456789", 1, 1, 59, 59, 50000), (STAMP + "123456000", 0, 101, 45, 45, 50000), (STAMP + "123456000", 0, 101, 45, 45, 50000),
           (STAMP + "123456794", 1, 1, 59, 59, 50000), (STAMP + "123457000", 0, 228, 30, 45, 50000), (STAMP + "123457000", 0, 228, 30, 60, 50000)])
    put("snap.pcap", pcap([(T, PACKET)], snaplen=40))
    check("caplen above the snapshot length is clipped", "SELECT caplen, len, decode_status, sport, seq FROM '${DIR}/snap.pcap'", [(40, 59, 1, 443, None)])
    put("far.pcapng", shb() + idb(resol=0) + spb(PACKET) + epb(PACKET, 1 << 60) + epb(PACKET, 5))
    check("no time before the first; one that TIMESTAMP(9) cannot hold", "SELECT ts, sport FROM '${DIR}/far.pcapng'",
          [(None, 443), (None, 443), ("1970-01-01 00:00:05.000000000", 443)])
    put("empty.pcap", pcap([]))
    check("a capture of no packets", "SELECT ts FROM '${DIR}/empty.pcap'", [])
    for name, data in (("z.pcap.gz", gzip.compress(pcap([(T, PACKET)] * 3))), ("zz", gzip.compress(shb() + idb() + epb(PACKET, us) * 3))):
        put(name, data)
        check("compressed: " + name, "SELECT sport, dport FROM '${DIR}/%s'" % name, [(443, 50000)] * 3)
    put("z.pcap", pcap([(T, PACKET)] * 5))
    if subprocess.run(["zstd", "-q", "-f", os.path.join(folder, "z.pcap"), "-o", os.path.join(folder, "z.zst")], check=False).returncode == 0:
        check("compressed by zstd", "SELECT sport FROM '${DIR}/z.zst'", [(443,)] * 5)


def links():
    inside, columns = ip4(udp(), 17), "link, ip_ver, src, sport, dport, l3_off, ethertype, decode_status"
    v6 = ip6(udp(), 17)
    sll = struct.pack(">HHH8sH", 0, 1, 6, MAC_A + b"\0\0", 0x0800)
    sll2 = struct.pack(">HHIHBB8s", 0x86dd, 0, 2, 1, 0, 6, MAC_A + b"\0\0")
    for link, packet, ver, l3, kind in ((0, b"\2\0\0\0" + inside, 4, 4, None), (0, b"\0\0\0\2" + inside, 4, 4, None), (0, b"\x1e\0\0\0" + v6, 6, 4, None),
                                        (0, b"\0\0\0\x18" + v6, 6, 4, None), (108, b"\0\0\0\x1c" + v6, 6, 4, None), (1, eth(inside), 4, 14, 0x800),
                                        (12, inside, 4, 0, None), (14, v6, 6, 0, None), (101, inside, 4, 0, None), (101, v6, 6, 0, None),
                                        (113, sll + inside, 4, 16, 0x800), (276, sll2 + v6, 6, 20, 0x86dd), (228, inside, 4, 0, None), (229, v6, 6, 0, None),
                                        (9, b"\xff\3\0\x21" + inside, 4, 4, None), (9, b"\0\x57" + v6, 6, 2, None), (9, b"\x21" + inside, 4, 1, None)):
        fields("link %d, IPv%d" % (link, ver), packet, columns, (link, ver, A4 if ver == 4 else A6, 5353, 53, l3, kind, 0), link=link)
    fields("a link that is not decoded", b"x" * 60, "link, src, decode_status, caplen, eth_src, ethertype", (105, None, 3, 60, None, None), link=105)
    arp = eth(b"\0\1\x08\0\6\4" + b"\0" * 22, 0x0806)
    fields("ARP", arp, "eth_src, eth_dst, ethertype, ip_ver, src, sport, flow_hash, l4_off, decode_status",
           ("02:00:5e:10:00:0a", "f0:de:f1:c0:ff:ee", 0x0806, None, None, None, None, None, 3))
    fields("802.1Q", eth(inside, tags=[(0x8100, 0xa064)]), "vlan_outer, vlan_inner, ethertype, l3_off, src", (100, None, 0x800, 18, A4))
    fields("QinQ", eth(inside, tags=[(0x88a8, 200), (0x8100, 0xffff)]), "vlan_outer, vlan_inner, l3_off, dst", (200, 4095, 22, B4))
    fields("VLAN 0 is one", eth(inside, tags=[(0x8100, 0)]), "vlan_outer, vlan_inner", (0, None))
    fields("802.3 with SNAP", MAC_B + MAC_A + struct.pack(">H", 60) + b"\xaa\xaa\3\0\0\0\x08\0" + inside, "ethertype, l3_off, src", (0x800, 22, A4))
    fields("MPLS", eth(label(1048575, False) + label(16, True) + inside, 0x8847), "mpls_top, mpls_depth, src, l3_off", (1048575, 2, A4, 22))
    fields("MPLS, pseudowire", eth(label(77, True) + b"\0\0\0\0" + eth(v6, 0x86dd), 0x8847), "mpls_top, mpls_depth, src, l3_off", (77, 1, A6, 36))
    fields("no MPLS", eth(inside), "mpls_top, mpls_depth", (None, 0))
    pppoe = b"\x11\0\x12\x34" + struct.pack(">H", len(inside) + 2) + b"\0\x21" + inside
    fields("PPPoE over QinQ", eth(pppoe, 0x8864, [(0x88a8, 7), (0x8100, 8)]), "tunnel_kind, tunnel_id, vlan_outer, vlan_inner, src, outer_src, decode_status",
           (6, 0x1234, 7, 8, A4, None, 0))
    put("types.pcap", pcap([(T, PACKET)]))
    check("a MAC as BIGINT, an address as BYTES, times cut",
          "CREATE TABLE p (eth_src BIGINT, src BYTES, ts TIMESTAMP(3)) WITH ('connector'='pcap', 'path'='${DIR}/types.pcap'); "
          "SELECT eth_src, src = x'0a010203', ts FROM p", [(0x02005e10000a, "true", STAMP + "123")])


def transports():
    fields("TCP", eth(ip4(tcp(), 6)), "ip_ver, src, dst, proto, sport, dport, dscp_ecn, ttl, ip_id, frag_off, frag_more, tcp_flags, seq, ack, win, l3_off, l4_off, "
           "payload_off, payload_len, ip_len, decode_status, tunnel_kind, tunnel_id, outer_src, payload = x'68656c6c6f'",
           (4, A4, B4, 6, 443, 50000, 0xb9, 61, 0x1234, 0, 0, 0x12, 0xfffffffe, 0x80000001, 64240, 14, 34, 54, 5, 45, 0, 0, None, None, "true"))
    fields("options of IPv4 and TCP", eth(ip4(tcp(options=b"\1" * 12), 6, options=b"\1" * 8)), "l4_off, payload_off, payload_len", (42, 74, 5))
    fields("padding is not payload", eth(ip4(tcp(b""), 6)) + b"\0" * 6, "payload_len, ip_len, caplen, payload = x''", (0, 40, 60, "true"))
    fields("length left to the card", eth(ip4(tcp(), 6, length=0)), "ip_len, payload_len", (45, 5))
    fields("UDP over IPv6", eth(ip6(udp(), 17), 0x86dd), "ip_ver, src, dst, dscp_ecn, ttl, ip_id, sport, dport, tcp_flags, seq, payload_len, ip_len, l4_off",
           (6, A6, B6, 0xab, 63, None, 5353, 53, None, None, 8, 56, 54))
    fields("ICMP", eth(ip4(b"\3\1" + b"\0" * 6 + b"quoted", 1)), "proto, sport, dport, payload_len", (1, 3, 1, 6))
    fields("ICMPv6", eth(ip6(b"\x88\0" + b"\0" * 22, 58), 0x86dd), "proto, sport, dport", (58, 136, 0))
    fields("SCTP", eth(ip4(struct.pack(">HHII", 36412, 36413, 1, 2) + b"chunk", 132)), "proto, sport, dport, payload_len", (132, 36412, 36413, 5))
    fields("a protocol without ports", eth(ip4(b"x" * 10, 89)), "proto, sport, dport, l4_off, payload_len, decode_status", (89, None, None, 34, 10, 0))
    hop, route, dest = (b"\x2b\0" + b"\1\4\0\0\0\0", b"\x3c\1" + b"\0" * 14, b"\6\0" + b"\1\4\0\0\0\0")
    fields("IPv6: hop-by-hop, routing, destination", eth(ip6(hop + route + dest + tcp(), 0), 0x86dd), "proto, sport, l4_off, payload_len, ip_len", (6, 443, 86, 5, 97))
    ah = b"\x11\4\0\0" + b"\0" * 20
    fields("IPv6: authentication header", eth(ip6(ah + udp(), 51), 0x86dd), "proto, sport, l4_off", (17, 5353, 78))
    fields("IPv4: authentication header", eth(ip4(ah + udp(), 51)), "proto, sport, l4_off", (17, 5353, 58))
    frag = lambda off, more, nxt: struct.pack(">BBHI", nxt, 0, off | more, 0xdeadbeef)
    fields("IPv6: first fragment", eth(ip6(frag(0, 1, 17) + udp(), 44), 0x86dd), "proto, sport, ip_id, frag_off, frag_more, decode_status", (17, 5353, 0xdeadbeef, 0, 1, 0))
    fields("IPv6: later fragment", eth(ip6(frag(1448, 0, 17) + udp(), 44), 0x86dd), "proto, sport, dport, ip_id, frag_off, frag_more, payload_len, decode_status",
           (17, 0, 0, 0xdeadbeef, 1448, 0, 16, 4))
    fields("IPv4: first fragment", eth(ip4(udp(), 17, frag=0x2000)), "sport, frag_off, frag_more, decode_status", (5353, 0, 1, 0))
    fields("IPv4: later fragment", eth(ip4(udp(), 17, frag=0x2000 | 185)), "sport, dport, frag_off, frag_more, l4_off, payload_len, decode_status", (0, 0, 1480, 1, 34, 16, 4))
    for text in ("::", "::1", "2001:db8::", "2001:db8:0:1:1:1:1:1", "2001:0:0:1::1", "1:2:3:4:5:6:7:8", "::ffff:192.0.2.1", "a:0:b:0:c:0:d:0", "1::8", "0:1::", "fe80::abcd:ef01:2345:6789"):
        fields("RFC 5952: " + text, eth(ip6(udp(), 17, src=text), 0x86dd), "src", (text,))


def faults():
    columns = "ip_ver, src, proto, sport, dport, seq, l4_off, payload_len, decode_status"
    whole = eth(ip4(tcp(), 6))
    for cut, values in ((10, (None,) * 8 + (1,)), (33, (None,) * 8 + (1,)), (34, (4, A4, 6, None, None, None, 34, 25, 1)), (38, (4, A4, 6, 443, 50000, None, 34, 25, 1)),
                        (54, (4, A4, 6, 443, 50000, 0xfffffffe, 34, 5, 0))):
        fields("cut to %d bytes" % cut, whole[:cut], columns, values)
    fields("IHL below 5", eth(b"\x44" + ip4(tcp(), 6)[1:]), "src, decode_status", (None, 2))
    fields("total length below the header", eth(ip4(tcp(), 6, length=12)), "src, proto, sport, ip_len, decode_status", (A4, 6, None, 12, 2))
    fields("TCP header below 20", eth(ip4(tcp()[:12] + b"\x40" + tcp()[13:], 6)), "sport, seq, decode_status", (443, 0xfffffffe, 2))
    fields("IPv6 with version 4", eth(ip4(tcp(), 6) + b"\0" * 40, 0x86dd), "ip_ver, decode_status", (None, 2))
    fields("extension header cut off", eth(ip6(b"\6\4" + b"\0" * 6, 0), 0x86dd), "ip_ver, src, sport, decode_status", (6, A6, None, 1))
    fields("an empty packet", b"", "caplen, decode_status, eth_src", (0, 1, None))


def tunnels():
    inner = ip4(tcp(), 6, src=C4, dst=D4)
    columns = "tunnel_kind, tunnel_id, outer_src, outer_dst, src, dst, sport, ip_len, l3_off, decode_status"
    gtp = struct.pack(">BBHI", 0x30, 255, len(inner), 0xc0de0001)
    ext = struct.pack(">BBHIHBB", 0x34, 255, len(inner) + 8, 7, 0, 0, 0x85) + b"\1\0\0\0"
    vxlan = b"\x08\0\0\0" + struct.pack(">I", 5000 << 8)
    geneve = b"\2\0\x65\x58" + struct.pack(">I", 0xabcdef << 8) + b"\0" * 8
    for title, packet, kind, ident, l3 in (
            ("GRE", ip4(b"\0\0\x08\0" + inner, 47), 1, None, 24), ("GRE with checksum, key and sequence", ip4(b"\xb0\0\x08\0" + b"\0\0\0\0" + b"\1\2\3\4" + b"\0\0\0\1" + inner, 47), 1, 0x01020304, 36),
            ("GRE, Ethernet inside", ip4(b"\0\0\x65\x58" + eth(inner), 47), 1, None, 38),
            ("PPTP", ip4(b"\x20\x01\x88\x0b\0\x10\x00\x2a\xff\3\0\x21" + inner, 47), 1, 42, 32),
            ("VXLAN", ip4(udp(vxlan + eth(inner), dport=4789), 17), 2, 5000, 50), ("GENEVE with options", ip4(udp(geneve + eth(inner), dport=6081), 17), 3, 0xabcdef, 58),
            ("GTP-U", ip4(udp(gtp + inner, dport=2152), 17), 4, 0xc0de0001, 36), ("GTP-U with an extension header", ip4(udp(ext + inner, dport=2152), 17), 4, 7, 44),
            ("IP in IP", ip4(inner, 4), 5, None, 20), ("ERSPAN II", ip4(b"\x10\0\x88\xbe\0\0\0\1" + b"\x10\0\x00\x63\0\0\0\0" + eth(inner), 47), 7, 99, 50),
            ("L2TP", ip4(udp(b"\0\2\0\1\0\2" + b"\0\x21" + inner, 1701, 1701), 17), 8, 0x10002, 36)):
        fields(title, packet, columns, (kind, ident, A4, B4, C4, D4, 443, 45, l3, 0), link=101)
    fields("6in4", ip4(ip6(udp(), 17), 41), columns, (5, None, A4, B4, A6, B6, 5353, 56, 20, 0), link=101)
    fields("4in6", ip6(inner, 4), columns, (5, None, A6, B6, C4, D4, 443, 45, 40, 0), link=101)
    fields("Teredo", ip4(udp(ip6(udp(), 17), dport=3544), 17), columns, (8, None, A4, B4, A6, B6, 5353, 56, 28, 0), link=101)
    three = eth(inner)
    for vni, (s, d) in enumerate((("3.3.3.3", "3.3.3.4"), ("2.2.2.2", "2.2.2.4"), ("1.1.1.1", "1.1.1.4"))):
        three = eth(ip4(udp(b"\x08\0\0\0" + struct.pack(">I", vni + 1 << 8) + three, dport=4789), 17, src=s, dst=d))
    fields("VXLAN three deep", three, "tunnel_kind, tunnel_id, outer_src, src, l3_off, decode_status", (2, 1, "3.3.3.3", C4, 164, 0))
    deep = inner
    for i in range(9):
        deep = ip4(deep, 4, src="9.0.0.%d" % i)
    fields("ten packets inside each other: the sixth", deep, "src, outer_src, decode_status", ("9.0.0.3", "9.0.0.4", 3), link=101)
    fields("port of GTP-U, but no GTP-U", ip4(udp(b"\x32\1\0\4" + b"\0" * 8, dport=2152), 17), "tunnel_kind, src, dport, payload_len, decode_status", (0, A4, 2152, 12, 0), link=101)
    fields("VXLAN with ARP inside", ip4(udp(vxlan + eth(b"\0" * 28, 0x806), dport=4789), 17), "tunnel_kind, tunnel_id, outer_src, src, sport, ethertype, decode_status",
           (2, 5000, A4, None, None, 0x806, 3), link=101)


def damage():
    whole = pcap([(T, PACKET)] * 4)
    two = [(443,)] * 2
    put("cut.pcap", whole[:24 + 3 * 75 - 1])
    check("the last record is cut off", "SELECT sport FROM '${DIR}/cut.pcap'", two, 65, ["cut.pcap", "byte 174", "cut off"])
    put("cut16.pcap", whole[:24 + 2 * 75 + 9])
    check("cut off in a record's header", "SELECT sport FROM '${DIR}/cut16.pcap'", two, 65, ["byte 174", "cut off"])
    put("cut.gz", gzip.compress(whole[:24 + 3 * 75 - 1]))
    check("the last record is cut off, compressed", "SELECT sport FROM '${DIR}/cut.gz'", two, 65, ["byte 174", "cut off"])
    put("big.pcap", pcap([(T, PACKET)] * 2) + struct.pack("<IIII", 0, 0, (2 << 20) + 1, 5) + b"\0" * 100)
    check("a record of more than 2 MiB", "SELECT sport FROM '${DIR}/big.pcap'", two, 65, ["byte 174", "2 MiB"])
    put("short.pcap", whole[:20])
    check("cut off in the header", "SELECT sport FROM '${DIR}/short.pcap'", [], 65, ["header"])
    start = shb() + idb() + epb(PACKET, 1) * 2
    at = "byte %d" % len(start)
    odd = bytearray(epb(PACKET, 1))
    odd[-4] ^= 4
    huge = block(6, struct.pack("<IIIII", 0, 0, 0, 9999, 60) + PACKET)
    for title, data, words in (("cut off in a block", epb(PACKET, 1)[:-5], "cut off"), ("two lengths that differ", bytes(odd), "two lengths differ"),
                               ("a length of 8", struct.pack("<III", 6, 8, 8), "length"), ("a length of 2^32 - 4", struct.pack("<III", 6, 0xfffffffc, 8), "length"),
                               ("a packet longer than its block", huge, "longer than its block"), ("an interface that is not there", epb(PACKET, 1, 3), "interface"),
                               ("a section without byte order", block(0x0a0d0d0a, b"\0" * 16), "byte-order"), ("a version that is not 1", block(0x0a0d0d0a, struct.pack("<IHHq", 0x1a2b3c4d, 2, 0, -1)), "version"),
                               ("an option beyond its block", block(1, struct.pack("<HHIHH", 1, 0, 0, 9, 200)), "option")):
        put("bad.pcapng", start + data)
        check("pcapng: " + title, "SELECT sport FROM '${DIR}/bad.pcapng'", two, 65, [at, words])
    put("no.pcap", b"\x7fELF" + b"\0" * 100)
    fails("a file that is no capture", "CREATE TABLE p (sport INT) WITH ('connector'='pcap', 'path'='${DIR}/no.pcap'); SELECT * FROM p", 65, ["no capture", "7f454c46"])
    table = "CREATE TABLE p (%s) WITH ('connector'='pcap', 'path'='${DIR}/types.pcap'%s); SELECT * FROM p"
    fails("a wrong name", table % ("scr STRING", ""), 78, ["no column scr", "src STRING"])
    fails("a wrong type", table % ("sport STRING", ""), 78, ["column sport", "INT, not STRING"])
    fails("an unknown option", table % ("sport INT", ", 'replay.sped'='1'"), 78, ["replay.speed"])
    fails("replay at a speed", table % ("sport INT", ", 'replay.speed'='10'"), 78, ["replay.speed", "max"])
    fails("one of several is missing", "CREATE TABLE p (sport INT) WITH ('connector'='pcap', 'path'='${DIR}/types.pcap;${DIR}/gone.pcap'); SELECT * FROM p", 66, ["gone.pcap", "No such file"])
    put("odd;name,.pcap", pcap([(T, PACKET)]))
    verdict("a name with separators", run("SELECT COUNT(*) FROM '${DIR}/odd;name,.pcap'").stdout.endswith("\n1\n"), "")
    fails("another format", table % ("sport INT", ", 'format'='csv'"), 78, ["pcap and pcapng"])
    fails("a sink", "CREATE TABLE p (sport INT) WITH ('connector'='pcap', 'path'='${DIR}/out.pcap'); INSERT INTO p SELECT 1", 78, ["cannot be written"])


def flows():
    """flow_hash: the same both ways, different for different flows; checked against sets made here."""
    rng = random.Random(5)
    ends = [("10.0.0.%d" % rng.randrange(9), rng.randrange(4)) for _ in range(40)]
    packets, sets = [], []
    for _ in range(400):
        (a, p), (b, q) = rng.choice(ends), rng.choice(ends)
        proto = rng.choice((6, 17))
        packets.append((T, eth(ip4((tcp if proto == 6 else udp)(b"", p, q), proto, src=a, dst=b))))
        sets.append((proto, tuple(sorted([(a, p), (b, q)]))))
    put("flows.pcap", pcap(packets))
    out = run("SELECT flow_hash FROM '${DIR}/flows.pcap'")
    hashes = out.stdout.split()[1:]
    pairs = set(zip(hashes, sets))
    verdict("flow_hash", len(hashes) == 400 and len(pairs) == len(set(sets)) == len(set(hashes)), "%d pairs of %d flows" % (len(pairs), len(set(sets))))


def windows():
    """Captures of one folder merged by time, a keyed window over them, against a count made here."""
    rng = random.Random(11)
    want = {}
    for f in range(4):
        ns, packets = T, []
        for i in range(3000):
            ns += rng.randrange(2000000)
            src = "10.0.%d.%d" % (f, rng.randrange(5))
            size = rng.randrange(400)
            packets.append((ns, eth(ip4(udp(b"x" * size), 17, src=src))))
            key = (ns // 10**9, src)
            n, total = want.get(key, (0, 0))
            want[key] = (n + 1, total + 42 + size)
        put("many/%d.pcap" % f, pcap(packets, 0xa1b23c4d, unit=1) if f != 2 else shb() + idb(resol=9) + b"".join(epb(d, t) for t, d in packets))
    second = lambda s: "2023-11-14 %02d:%02d:%02d.000000000" % (s // 3600 % 24, s // 60 % 60, s % 60)
    expected = sorted((second(s), src, n, total) for (s, src), (n, total) in want.items())
    table = ("CREATE TABLE p (ts TIMESTAMP(9), src STRING, len BIGINT, WATERMARK FOR ts AS ts) WITH ('connector'='pcap', 'path'='${DIR}/many%s'); "
             "SELECT window_start, src, COUNT(*), SUM(len) FROM TABLE(TUMBLE(TABLE p, DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP BY window_start, window_end, src")
    for path in ("", "/*.pcap", "/0.pcap;${DIR}/many/1.pcap, ${DIR}/many/[23].pcap", "/3.pcap;${DIR}/many/2.pcap;${DIR}/many/1.pcap;${DIR}/many/0.pcap;"):
        outputs = set()
        for shards, rows, more in RUNS:
            more = ["--set", "step-bytes=20000"] if rows == 4096 else ["--set", "step-bytes=5000"]
            out = run(table % path, shards, rows, more)
            got = sorted(tuple(r[:2]) + (int(r[2]), int(r[3])) for r in list(csv.reader(io.StringIO(out.stdout)))[1:] if len(r) == 4)
            verdict("a folder's captures by time%s, %d shards" % (path, shards), got == expected, "%d rows, want %d; %s" % (len(got), len(expected), out.stderr))
            if rows == 4096 and "20000" in more[1]:
                outputs.add(out.stdout)
        verdict("the same bytes for all shards" + path, len(outputs) == 1, "%d outputs" % len(outputs))


for part in (containers, links, transports, faults, tunnels, damage, flows, windows):
    part()
subprocess.run(["rm", "-rf", folder], check=False)
print("sql_pcap: %d passed, %d failed, 0 skipped" % (counts["passed"], counts["failed"]))
sys.exit(counts["failed"] > 0)
