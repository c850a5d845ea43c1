#!/usr/bin/env python3
"""Random CSV files against Python's csv module: quotes, doubled quotes, escapes, delimiters, CRLF, comments, empty lines, null
literals, ragged rows, values that do not fit, a byte order mark, UTF-8. The command must give the rows Python reads, as the same
bytes for any shards, batch rows, step bytes and instruction set, and count the rows Python finds wrong.
"""
import csv, datetime, io, json, os, random, re, subprocess, sys, tempfile
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
SEEDS = int(os.environ.get("MILL_SEEDS", "10" if os.environ.get("MILL_QUICK") else "80"))
FIRST = int(os.environ.get("MILL_FIRST_SEED", "0"))
TYPES = {"BIGINT": 64, "INT": 32, "SMALLINT": 16, "STRING": 0, "DOUBLE": 0, "DECIMAL(12, 3)": 0, "TIMESTAMP(3)": 0, "DATE": 0}


def value_text(r, kind):
    if kind == "STRING":
        return "".join(r.choice(["a", "b", " ", "é", "☃", "x" * 9, "0", ",", ";", "|", '"', "'", "\n", "#", "\\", "-"])
                       for _ in range(r.choice([0, 1, 3, 8, 30])))
    if kind == "DOUBLE":
        return r.choice(["0", "-0.0", "1.5", ".25", "-3.", "1e10", "-2.5E-3", "0.1", "123456789.123456789", "9007199254740993",
                         "1234567890123456789", repr(r.uniform(-1e6, 1e6)), repr(r.uniform(-1, 1) * 10.0 ** r.randint(-300, 300)),
                         "%.3f" % r.uniform(-1000, 1000), "x", "1.2.3", "--1"])
    if kind.startswith("DECIMAL"):
        return r.choice(["0", "-0.5", "1.2345", "-1.2345", "999999999.999", "1000000000", "12", "%.3f" % r.uniform(-1e6, 1e6), "1.9995", "abc"])
    if kind == "TIMESTAMP(3)":
        t = datetime.datetime(1900, 1, 1) + datetime.timedelta(milliseconds=r.randint(0, 8_000_000_000_000))
        return r.choice([t.strftime("%Y-%m-%d %H:%M:%S") + r.choice(["", ".5", ".123", ".123456", ".999999999"])] * 6 +
                        ["2023-02-29 00:00:00", "2024-02-29T12:00:00", "2023-01-01 25:00:00", "noon"])
    if kind == "DATE":
        return r.choice(["2024-02-29", "1969-12-31", "2023-02-29", "0001-01-01", "9999-12-31", "today"])
    bits = TYPES[kind]
    return r.choice([str(r.randint(-2 ** (bits - 1), 2 ** (bits - 1) - 1)), str(r.randint(-999, 999)), str(2 ** (bits - 1)), str(-2 ** (bits - 1)),
                     "+7", "007", "1.0", "", "-", "1 2", str(r.randint(0, 9))])


def quoted(r, text, o):
    must = any(c in text for c in (o["delimiter"], "\n", "\r", '"')) or text.startswith("#") or ("\\" in text and o["escape"])
    # a quoted null literal or empty number is no NULL, which Python's reader cannot tell apart
    if not must and (text in ("", o["null"]) or r.random() < o["plain"]):
        return text
    if o["escape"]:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return '"' + text.replace('"', '""') + '"'


def make(r, kinds, o):
    lines = []
    for _ in range(r.randint(0, 300)):
        p = r.random()
        if p < 0.03:
            lines.append(r.choice(["", "# a 'comment\", with, marks" if o["comments"] else ""]))
            continue
        fields = []
        for k in kinds:
            text = o["null"] if o["null"] is not None and r.random() < 0.1 else quoted(r, value_text(r, k), o)
            if r.random() > o["bad"] and k != "STRING" and convert(text.strip('"'), k) is BAD and text != o["null"]:
                text = ""
            fields.append(text)
        if p < 0.06:
            fields = fields[:-1] if r.random() < 0.5 else fields + ["more"]
        lines.append(o["delimiter"].join(fields))
    text = o["end"].join(lines) + (o["end"] if r.random() < 0.7 else "")
    return ("\ufeff" if o["bom"] else "") + text


BAD = object()


def convert(text, kind):
    try:
        if kind == "STRING":
            return text
        if kind == "DOUBLE":
            return BAD if "_" in text or text == "" else float(text)
        if kind.startswith("DECIMAL"):
            d = Decimal(text).quantize(Decimal("0.001"), rounding=ROUND_HALF_UP)
            return d if abs(d) < 10 ** 9 else BAD
        if kind == "DATE":
            return datetime.date.fromisoformat(text).isoformat()
        if kind == "TIMESTAMP(3)":
            head, _, fraction = text.replace("T", " ").partition(".")
            return datetime.datetime.strptime(head, "%Y-%m-%d %H:%M:%S").isoformat(" ") + "." + (fraction + "000")[:3]
        if not text.lstrip("+-").isdigit() or text[1:].lstrip("0123456789"):
            return BAD
        v = int(text)
        return v if -2 ** (TYPES[kind] - 1) <= v < 2 ** (TYPES[kind] - 1) else BAD
    except (ValueError, InvalidOperation):
        return BAD


def physical_rows(text, o):
    """Python's reader, without the comments."""
    text = text.lstrip("\ufeff")
    if o["comments"]:
        kept, inside = [], False
        for line in text.split("\n"):
            if not inside and line.startswith("#"):
                continue
            kept.append(line)
            inside ^= (re.sub(r"\\.", "", line) if o["escape"] else line).count('"') % 2 == 1
        text = "\n".join(kept)
    return csv.reader(io.StringIO(text, newline=""), delimiter=o["delimiter"], quotechar='"', doublequote=not o["escape"],
                      escapechar="\\" if o["escape"] else None)


def expected(text, kinds, o):
    rows, bad = [], 0
    for fields in physical_rows(text, o):
        if not fields:
            continue
        if len(fields) != len(kinds):
            bad += 1
            continue
        row = []
        for f, k in zip(fields, kinds):
            null = f == o["null"] if o["null"] is not None else f == "" and k != "STRING"
            row.append(None if null else convert(f, k))
        if BAD in row:
            bad += 1
        else:
            rows.append(row)
    return rows, bad


def same(kind, want, got):
    if want is None or got == "NULL":
        return want is None and got == "NULL"
    if kind == "DOUBLE":
        return repr(float(got)) == repr(want)
    return str(want) == got


def check(seed, folder):
    r = random.Random(seed)
    kinds = [r.choice(list(TYPES)) for _ in range(r.randint(1, 9))]
    o = {"delimiter": r.choice([",", ",", ";", "|", "\t"]), "escape": r.random() < 0.2, "comments": r.random() < 0.3,
         "null": r.choice([None, None, "\\N", "-1", "null"]), "end": r.choice(["\n", "\n", "\r\n"]), "bom": r.random() < 0.2,
         "plain": r.choice([0, 0.5, 1, 1]), "bad": r.choice([0, 0, 0.1])}
    if o["escape"] and o["null"] == "\\N":
        o["null"] = "null"
    if len(kinds) == 1 and kinds[0] == "STRING":
        kinds.append("INT")  # an empty line is no row
    path = os.path.join(folder, "in.csv")
    text = make(r, kinds, o)
    with open(path, "w", newline="", encoding="utf-8") as f:
        f.write(text)
    rows, bad = expected(text, kinds, o)
    names = ["c%d" % i for i in range(len(kinds))]
    options = "'connector' = 'filesystem', 'format' = 'csv', 'path' = '%s', 'on-error' = 'skip', 'csv.field-delimiter' = '%s'" % (
        path, o["delimiter"].replace("\t", "\\t"))
    options += ", 'csv.escape-character' = '\\'" if o["escape"] else ""
    options += ", 'csv.allow-comments' = 'true'" if o["comments"] else ""
    options += ", 'csv.null-literal' = '%s'" % o["null"] if o["null"] is not None else ""
    sql = "CREATE TABLE t (%s) WITH (%s); SELECT %s FROM t;" % (
        ", ".join("%s %s" % x for x in zip(names, kinds)), options,
        ", ".join("COALESCE(CAST(%s AS STRING), 'NULL') AS %s" % (n, n) for n in names))
    first = None
    for isa in ("scalar", "avx2", "avx512"):
        arguments = ["--shards", str(r.choice([1, 2, 3, 8])), "--set", "batch-rows=%d" % r.choice([1, 7, 4096]),
                     "--set", "step-bytes=%d" % r.choice([64, 100, 5000, 1 << 20])]
        summary = os.path.join(folder, "s")
        p = subprocess.run([COMMAND, "run", "-c", sql, "--format", "csv", "--quiet", "--json-summary", summary] + arguments,
                           capture_output=True, env=dict(os.environ, MILL_ISA=isa))
        if p.returncode == 78 and b"this CPU has no" in p.stderr:
            continue
        what = "seed %d, %s, %s, %s, %s" % (seed, isa, " ".join(arguments), kinds, o)
        if p.returncode not in (0, 65):
            return "%s: exit %d: %s" % (what, p.returncode, p.stderr.decode()[-300:])
        dead = json.load(open(summary))["dead"]
        got = list(csv.reader(io.StringIO(p.stdout.decode(), newline="")))[1:]
        for i, (w, g) in enumerate(zip(rows, got)):
            for k, a, b in zip(kinds, w, g):
                if not same(k, a, b):
                    return "%s: row %d, %s: expected %r, got %r" % (what, i, k, a, b)
        if len(rows) != len(got) or dead != bad:
            return "%s: expected %d rows and %d bad, got %d and %d" % (what, len(rows), bad, len(got), dead)
        first = first or p.stdout
        if p.stdout != first:
            return what + ": other bytes than before"
    return None


def main():
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(FIRST, FIRST + SEEDS):
            why = check(seed, folder)
            passed += why is None
            failed += why is not None
            if why:
                print("FAILED: " + why)
    print("sql_csv.py: %d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed else 0


sys.exit(main())
