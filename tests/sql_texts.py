#!/usr/bin/env python3
"""Functions of texts and times over random columns against Python: words that are searched for in short, long and non-ASCII texts; units and patterns
of times in order and at random. The same bytes for all instruction sets and batch sizes.
"""
import csv, datetime, io, os, random, re, subprocess, sys, tempfile

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
SEEDS = range(4) if os.environ.get("MILL_QUICK") else range(30)
EPOCH = datetime.datetime(1970, 1, 1)


def text(r):
    n = r.choice([0, 1, 3, 4, 7, 8, 11, 12, 13, r.randint(0, 40), r.randint(0, 160)])
    letters = r.choice(["ab", "aB/", "abcXYZ/.", "aé/Zß€", "ab%_/"])
    return "".join(r.choice(letters) for _ in range(n))


def like(pattern):
    return re.compile("".join(".*" if c == "%" else "." if c == "_" else re.escape(c) for c in pattern), re.S)


def lower(s):
    return "".join(c.lower() if c.isascii() or c == "É" else c for c in s)


def upper(s):
    return "".join(c.upper() if c.isascii() or c == "é" else c for c in s)


def part(s, separator, n):
    parts = s.split(separator)
    return parts[n] if 0 <= n < len(parts) else None


def text_functions(r, rows):
    """(SQL, value of a row)"""
    out = []
    for _ in range(12):
        words = [r.choice([w for w in (s[i:i + r.randint(0, 6)] for s, i in ((r.choice(rows), r.randrange(20)) for _ in range(3))) if "%" not in w] or ["ab"])
                 for _ in range(r.randint(1, 3))]
        pattern = r.choice(["", "%"]) + r.choice(["%", "_", "%%", ""]).join(words) + r.choice(["", "%", "_"])
        out.append(("CASE WHEN s LIKE '%s' THEN 't' ELSE 'f' END" % pattern, lambda s, p=like(pattern): "t" if p.fullmatch(s) else "f"))
    for separator in ("/", "a", "ab", "é", "b/"):
        n = r.randrange(-1, 8)
        out.append(("SPLIT_INDEX(s, '%s', %d)" % (separator, n), lambda s, x=separator, n=n: part(s, x, n)))
        out.append(("CAST(COUNT_CHAR(s, '%s') AS STRING)" % separator, lambda s, x=separator: str(s.count(x))))
    for _ in range(16):
        s = r.choice(rows)
        at = r.randrange(len(s) + 1)
        word = "".join("\\" + c if c in "." else c for c in s[at:at + r.randint(1, 4)]) or "ab"
        pattern = r.choice(["", "", "^", "(a|^)", "(?:/|b|^)", "(B)", "(\\.|a)"]) + word + \
            r.choice(["", "", "[^/]*", "([^/]*)", "(\\w+)", "\\d+", "([a-c]+)", "(.*)", "(?:[ab]*)", "([^a%]+)", "(x*)$", "?", "[^\\w.]+"])
        compiled = re.compile(pattern, re.A)
        g = r.randint(0, compiled.groups)
        out.append(("REGEXP_EXTRACT(s, '%s', %d)" % (pattern, g), lambda s, p=compiled, g=g: (lambda m: m and m.group(g))(p.search(s))))
        out.append(("CASE WHEN REGEXP(s, '%s') THEN 't' ELSE 'f' END" % pattern, lambda s, p=compiled: "t" if p.search(s) else "f"))
    start, length = r.randint(1, 20), r.randint(0, 30)
    out += [("LOWER(s)", lower), ("UPPER(s)", upper), ("CAST(CHAR_LENGTH(s) AS STRING)", lambda s: str(len(s))),
            ("SUBSTRING(s, %d, %d)" % (start, length), lambda s: s[start - 1:start - 1 + length]), ("LEFT(s, %d)" % length, lambda s: s[:length]),
            ("s || '-' || s", lambda s: s + "-" + s)]
    return out


def week(t):
    return str(t.isocalendar()[1])


UNITS = [("HOUR", lambda t: t.hour), ("MINUTE", lambda t: t.minute), ("SECOND", lambda t: t.second), ("DAY", lambda t: t.day), ("MONTH", lambda t: t.month),
         ("YEAR", lambda t: t.year), ("DOY", lambda t: t.timetuple().tm_yday), ("WEEK", week), ("QUARTER", lambda t: (t.month + 2) // 3),
         ("MILLISECOND", lambda t: t.second * 1000 + t.microsecond // 1000), ("EPOCH", lambda t: (t - EPOCH) // datetime.timedelta(seconds=1))]
PATTERNS = [("yyyy-MM-dd", "%Y-%m-%d"), ("yyyy-MM-dd HH:mm", "%Y-%m-%d %H:%M"), ("HH", "%H"), ("dd.MM. HH:mm:ss", "%d.%m. %H:%M:%S"), ("EEEE, MMMM", "%A, %B"),
            ("hh a", "%I %p"), ("SSSSSS", "%f"), ("yyyyMMdd", "%Y%m%d")]


def floored(t, unit):
    return {"SECOND": t.replace(microsecond=0), "MINUTE": t.replace(second=0, microsecond=0), "HOUR": t.replace(minute=0, second=0, microsecond=0),
            "DAY": datetime.datetime(t.year, t.month, t.day), "MONTH": datetime.datetime(t.year, t.month, 1), "YEAR": datetime.datetime(t.year, 1, 1)}[unit]


def raised(t, unit):
    down = floored(t, unit)
    if down == t:
        return t
    if unit == "YEAR":
        return down.replace(year=down.year + 1)
    if unit == "MONTH":
        return (down + datetime.timedelta(days=31)).replace(day=1)
    return down + {"SECOND": datetime.timedelta(seconds=1), "MINUTE": datetime.timedelta(minutes=1), "HOUR": datetime.timedelta(hours=1),
                   "DAY": datetime.timedelta(days=1)}[unit]


def time_functions(r):
    out = [("CAST(EXTRACT(%s FROM t) AS STRING)" % u, lambda t, f=f: str(f(t))) for u, f in UNITS]
    out += [("DATE_FORMAT(t, '%s')" % p, lambda t, f=f: ("%04d" % t.year if f.startswith("%Y") else "") + t.strftime(f[2:] if f.startswith("%Y") else f))
            for p, f in PATTERNS]
    for u in ("SECOND", "MINUTE", "HOUR", "DAY", "MONTH", "YEAR"):
        out.append(("DATE_FORMAT(FLOOR(t TO %s), 'yyyy-MM-dd HH:mm:ss.SSSSSS')" % u, lambda t, u=u: floored(t, u).isoformat(" ", "microseconds")))
        out.append(("DATE_FORMAT(CEIL(t TO %s), 'yyyy-MM-dd HH:mm:ss.SSSSSS')" % u, lambda t, u=u: raised(t, u).isoformat(" ", "microseconds")))
    return out


def times(r):
    at = datetime.datetime(r.choice([1, 1969, 1970, 2024, 9990]), r.randint(1, 12), r.randint(1, 28), 23, 59, 58)
    kind, out = r.randrange(3), []
    for _ in range(500):
        if kind == 0:
            at = EPOCH + datetime.timedelta(microseconds=r.randrange(-62135596800 * 10 ** 6, 250000000000 * 10 ** 6))
        else:
            at += datetime.timedelta(microseconds=r.choice([0, 1, 1000, 999999, 10 ** 6, 60 * 10 ** 6, 3600 * 10 ** 6, 86400 * 10 ** 6]))
        out.append(r.choice([at, at.replace(second=0, microsecond=0)]))
    return out


def check(seed):
    r = random.Random(seed)
    texts, moments = [text(r) for _ in range(500)], times(r)
    with tempfile.TemporaryDirectory() as d:
        with open(d + "/i.csv", "w", newline="") as f:
            csv.writer(f, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows((s, t.isoformat(" ", "microseconds")) for s, t in zip(texts, moments))
        functions = [(q, f, 0) for q, f in text_functions(r, texts)] + [(q, f, 1) for q, f in time_functions(r)]
        sql = "CREATE TABLE i (s STRING, t TIMESTAMP(6)) WITH ('connector'='filesystem','format'='csv','path'='%s/i.csv');" \
              "CREATE TABLE o (%s) WITH ('connector'='filesystem','format'='csv','path'='%s/o.csv','csv.null-literal'='NULL');" \
              "INSERT INTO o SELECT %s FROM i" % (d, ", ".join("c%d STRING" % i for i in range(len(functions))), d, ", ".join(q for q, _, _ in functions))
        for isa, batch in ((None, 4096), ("scalar", 4096), ("avx2", 7), ("avx512", 64)):
            p = subprocess.run([COMMAND, "run", "-c", sql, "--quiet", "--shards", "1", "--set", "batch-rows=%d" % batch], capture_output=True, text=True,
                               env={**os.environ, **({"MILL_ISA": isa} if isa else {})})
            if p.returncode == 78 and "this CPU has no" in p.stderr:
                continue
            if p.returncode != 0:
                return "exit %d: %s\n%s" % (p.returncode, p.stderr, sql)
            rows = list(csv.reader(io.StringIO(open(d + "/o.csv", newline="").read())))
            for i, (got, s, t) in enumerate(zip(rows, texts, moments)):
                for (query, f, of), value in zip(functions, got):
                    want = f(t if of else s)
                    if value != ("NULL" if want is None else want):
                        return "%s, batches of %d: row %d, %s of %r: %r, expected %r" % (isa, batch, i, query, t if of else s, value, want)
            if len(rows) != len(texts):
                return "%d rows" % len(rows)
    return None


def main():
    failed = 0
    for seed in SEEDS:
        why = check(seed)
        failed += why is not None
        if why:
            print("FAILED: seed %d: %s" % (seed, why))
    print("sql_texts: %d passed, %d failed, 0 skipped" % (len(SEEDS) - failed, failed))
    return 1 if failed else 0


sys.exit(main())
