#!/usr/bin/env python3
"""ENCODE and DECODE against Python's codecs: what a character set lacks is a question mark, bytes that are no character U+FFFD."""
import json, os, random, subprocess, sys

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
SETS = {"US-ASCII": "ascii", "ISO-8859-1": "latin-1", "UTF-8": "utf-8", "UTF-16BE": "utf-16be", "UTF-16LE": "utf-16le", "UTF-16": None}


def encoded(text, codec):
    return b"\xfe\xff" + text.encode("utf-16be") if codec is None else text.encode(codec, "replace")


def decoded(raw, codec):
    if codec is None:
        codec = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-16be"
    return raw.decode(codec, "replace")


def cases():
    r = random.Random(7)
    texts = ["", "abc", "\u00e9", "\u65e5\u672c\u8a9e", "\U0001f600x", "\u00ff\u0100"]
    texts += ["".join(chr(r.choice([r.randint(32, 126), r.randint(160, 255), r.randint(0x400, 0xd7ff), r.randint(0x10000, 0x10ffff)]))
                      for _ in range(r.randint(1, 12))).replace("'", "") for _ in range(40)]
    raws = [b"\xff\xfeA\x00", b"\xfe\xff\x00A", b"\xd8\x00\x00A", b"\xc3", b"a\xe9b", b"\xd8", b"\x00A\xd8\x3d\xde\x00"]
    for name, codec in SETS.items():
        for text in texts:
            yield "HEX(ENCODE('%s', '%s'))" % (text, name), encoded(text, codec).hex().upper()
            yield "DECODE(x'%s', '%s')" % (encoded(text, codec).hex(), name), decoded(encoded(text, codec), codec)
        for raw in raws:
            yield "DECODE(x'%s', '%s')" % (raw.hex(), name), decoded(raw, codec)


def main():
    failed = passed = 0
    todo = list(cases())
    for at in range(0, len(todo), 50):
        part = todo[at:at + 50]
        sql = "SELECT " + ", ".join("%s AS c%d" % (call, i) for i, (call, _) in enumerate(part))
        run = subprocess.run([COMMAND, "run", "--quiet", "--format", "json", "-"], input=sql.encode(), capture_output=True)
        got = json.loads(run.stdout) if run.stdout else {}
        for i, (call, want) in enumerate(part):
            good = got.get("c%d" % i) == want
            passed += good
            failed += not good
            if not good:
                print("FAILED: %s: %r, expected %r %s" % (call, got.get("c%d" % i), want, run.stderr[:200]))
    print("sql_charsets: %d passed, %d failed, 0 skipped" % (passed, failed))
    sys.exit(failed > 0)


main()
