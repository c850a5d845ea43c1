#!/usr/bin/env python3
"""JSON lines of random rows of all types, read and written, against Python's json module.

Each seed makes a schema (nested ROWs too) and lines that say the same in many ways: members in any order, left out, unknown or twice,
white space, escapes, exponents, numbers in strings, CRLF, blank lines, no newline at the end. What millstream writes must, by json.loads(), be
what json.loads() and Flink's conversions make of the input; written rows read back and written again must be the same bytes; and all the same
for any shards, batch and step sizes and instruction sets. Bad lines must be exactly those made bad.
"""
import base64, datetime, decimal, gzip, json, os, random, string, struct, subprocess, sys, tempfile
from decimal import Decimal

COMMAND = os.path.abspath(os.environ.get("MILL_COMMAND", "build/millstream"))
SEEDS = range(8) if os.environ.get("MILL_QUICK") else range(60)
ISAS = ["scalar", "avx2", "avx512"]
decimal.getcontext().prec = 100
class Single(float):
    """A FLOAT: its text is as short as single precision lets it be."""


WORDS = ["", "a", "Google", "channel-17", "twelve bytes", "thirteen bytes", "quote \" back \\ slash /", "é€😀", "line\nbreak\ttab\r", "\x00\x01\x1f\x7f",
         "x" * 70, "}{][,:", "null", "\ud7ff\ue000", "{\"a\": [1]}"]


def scalar_type(r):
    kind = r.choice(["BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL", "STRING", "STRING", "BYTES", "DATE", "TIME", "TIMESTAMP",
                     "TIMESTAMP_LTZ"])
    if kind == "DECIMAL":
        p = r.randint(1, 38)
        return (kind, p, r.randint(0, p))
    if kind.startswith("TIME"):
        return (kind, r.randint(0, 9))
    return (kind,)


def make_type(r, depth):
    if depth < 3 and r.random() < (0.3 if depth == 0 else 0.2):
        return ("ROW", make_fields(r, depth + 1))
    return scalar_type(r)


def make_fields(r, depth=0):
    names = ["id", "dateTime", "a b", "é", "a_rather_long_name_of_a_member_of_a_row", "x", "y", "z", "Id", "n\"q", "v", "w"]
    r.shuffle(names)
    return [(n, make_type(r, depth)) for n in names[:r.randint(1, 9)]]


def sql(t):
    if t[0] == "ROW":
        return "ROW<" + ", ".join("`%s` %s" % (n, sql(x)) for n, x in t[1]) + ">"
    return "%s(%s)" % (t[0], ", ".join(map(str, t[1:]))) if len(t) > 1 else t[0]


def number_text(r, v):
    """A JSON number or string that is exactly the Decimal v."""
    text = format(v, "f")
    form = r.randrange(6)
    if form == 0 and v != 0:
        text = "%se%d" % (format(v.scaleb(3), "f"), -3)
    elif form == 1 and "." in text:
        text += "0" * r.randint(1, 3)
    elif form == 2:
        text = '"%s"' % text
    return text


def quoted(r, s):
    out = []
    for c in s:
        form = r.random()
        if c in '"\\':
            out.append("\\" + c)
        elif c < " ":
            short = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(c)
            out.append(short if short and form < 0.7 else "\\u%04x" % ord(c))
        elif c == "/" and form < 0.5:
            out.append("\\/")
        elif form < 0.05:
            units = c.encode("utf-16-be")
            out.append("".join("\\u%02X%02x" % (units[i], units[i + 1]) for i in range(0, len(units), 2)))
        else:
            out.append(c)
    return '"' + "".join(out) + '"'


def moment(r, digits):
    """Year to second, and a fraction of at most `digits` digits; (text parts, fraction)."""
    if r.random() < 0.8:
        day, clock = "2015-07-15", "%02d:%02d:%02d" % (10, r.randint(0, 2), r.randint(0, 59))
    else:
        first = 1700 if digits > 6 else 1
        day = datetime.date.fromordinal(r.randint(datetime.date(first, 1, 1).toordinal(), datetime.date(2261, 12, 31).toordinal())).isoformat()
        clock = "%02d:%02d:%02d" % (r.randint(0, 23), r.randint(0, 59), r.randint(0, 59))
    return day, clock, "".join(r.choice(string.digits) for _ in range(r.choice([0, 1, 3, 3, 3, 6, 9])))


def fraction_text(fraction, precision):
    kept = fraction[:precision].rstrip("0")
    return "." + kept if kept else ""


def value(r, t, iso):
    """(text in the line, what json.loads must give for what is written)"""
    kind = t[0]
    if kind == "BOOLEAN":
        v = r.random() < 0.5
        return r.choice([json.dumps(v), json.dumps(str(v)), json.dumps(v)]), v
    if kind in ("TINYINT", "SMALLINT", "INT", "BIGINT"):
        bits = {"TINYINT": 8, "SMALLINT": 16, "INT": 32, "BIGINT": 64}[kind]
        v = r.choice([0, -1, 2 ** (bits - 1) - 1, -2 ** (bits - 1), r.randrange(-2 ** (bits - 1), 2 ** (bits - 1)), r.randrange(100), 10 ** r.randint(0, 2)])
        text = str(v)
        if r.random() < 0.2:
            text = '"%s"' % text
        elif kind in ("INT", "BIGINT") and r.random() < 0.1:
            text += ".9"                # a fraction is cut off
        return text, Decimal(v)
    if kind in ("FLOAT", "DOUBLE"):
        if r.random() < 0.1:
            return r.choice([('"NaN"', "NaN"), ('"Infinity"', "Infinity"), ('"-Infinity"', "-Infinity")])
        v = r.choice([0.0, 0.1, 1e300, 5e-324, 1.5, -2.25, r.random(), r.uniform(-1e6, 1e6), float(r.randrange(10 ** 15)), r.random() * 10 ** r.randint(-30, 30)])
        if kind == "FLOAT":
            v = r.choice([0.0, 1.5, -2.25, 1048576.5, r.randrange(2 ** 24) / 64])
            return r.choice([repr(v), json.dumps(repr(v))]), Single(v)
        return r.choice([repr(v), "%.17g" % v, json.dumps(repr(v))]), Decimal(v)
    if kind == "DECIMAL":
        p, s = t[1], t[2]
        v = Decimal(r.randrange(-10 ** p + 1, 10 ** p) if r.random() < 0.5 else r.randrange(-10 ** min(p, 4) + 1, 10 ** min(p, 4))).scaleb(-s)
        return number_text(r, v), v
    if kind == "STRING":
        if r.random() < 0.1:
            return r.choice([("12", "12"), ("1.50", "1.50"), ("true", "true"), ('{ "a" : [ 1, "b c" ] }', '{"a":[1,"b c"]}'), ("[ ]", "[]")])
        v = r.choice(WORDS) if r.random() < 0.7 else "".join(r.choice(WORDS) for _ in range(r.randint(1, 5)))
        return quoted(r, v), v
    if kind == "BYTES":
        v = base64.b64encode(bytes(r.randrange(256) for _ in range(r.randrange(30)))).decode()
        return '"%s"' % v, v
    day, clock, fraction = moment(r, t[1] if len(t) > 1 else 0)
    dotted = "." + fraction if fraction else ""
    if kind == "DATE":
        return '"%s"' % day, day
    if kind == "TIME":
        return '"%s%s"' % (clock, dotted), clock + fraction_text(fraction, t[1])
    zone = "Z" if kind == "TIMESTAMP_LTZ" else ""
    between = "T" if iso else " "
    return '"%s%s%s%s%s"' % (day, between, clock, dotted, zone), day + between + clock + fraction_text(fraction, t[1]) + zone


def space(r, wide):
    return r.choice(["", " ", "\t", "  "]) if wide and r.random() < 0.5 else ""


def row(r, fields, iso, wide):
    """(text, expected dict)"""
    parts, want = [], {}
    order = list(fields)
    if r.random() < 0.2:
        r.shuffle(order)
    for name, t in order:
        want[name] = None
        form = r.random()
        if form < 0.07:
            continue
        if form < 0.14:
            parts.append((name, "null"))
            continue
        if form < 0.17:                 # twice: the last stays
            parts.append((name, "null" if r.random() < 0.5 else (row(r, t[1], iso, wide) if t[0] == "ROW" else value(r, t, iso))[0]))
        text, want[name] = row(r, t[1], iso, wide) if t[0] == "ROW" else value(r, t, iso)
        parts.append((name, text))
        if r.random() < 0.03:
            parts.append((r.choice(["other", "X", "u" * 40, "un\"known"]), r.choice(['{"a": [1, {"b": "]}\\""}]}', "-1.5e3", "[]", '"\\u00e9\\\\"', "false"])))
    body = ("," + space(r, wide)).join("%s%s%s:%s%s%s" % (space(r, wide), quoted(r, n) if n not in ("id", "x") else '"%s"' % n, space(r, wide), space(r, wide), v,
                                                          space(r, wide)) for n, v in parts)
    return "{" + body + "}", want


def breaks(r, text):
    """The line made bad."""
    return r.choice([text[:-1], text + "x", text + text, text[1:], text.replace(":", " ", 1) if ":" in text else "{,}", "[" + text + "]", "{\"q\":" * 70 + "1" + "}" * 70,
                     '{"\\ud800":1}', '{"a":"\x01"}', '{"other":tru e}', "null", '"id"', "{\"x\"}", '{"other":[1}]}', text[:-1] + ",}", "\udcff" + text,
                     '{"other":4\udcff}', '{"k\udcff":4}', '{"k\udcff":4}'])


def differs(got, want, path=""):
    """None, or where and how."""
    if isinstance(want, dict) and isinstance(got, dict) and list(got) == list(want):
        return next((d for d in (differs(got[k], want[k], path + "." + k) for k in want) if d), None)
    if isinstance(want, Single) and isinstance(got, Decimal):
        return None if struct.pack("f", got) == struct.pack("f", want) else "%s: %s, expected %s" % (path, got, want)
    if isinstance(want, Decimal) and isinstance(got, Decimal):
        return None if got == want or float(got) == float(want) else "%s: %s, expected %s" % (path, got, want)
    return None if type(got) is type(want) and got == want else "%s: %r, expected %r" % (path, got, want)


def mill(directory, statements, shards=1, batch=4096, step=1 << 20, isa=None, source="in.json"):
    env = {**os.environ, **({"MILL_ISA": isa} if isa else {})}
    p = subprocess.run([COMMAND, "run", "-c", statements, "--quiet", "--shards", str(shards), "--set", "batch-rows=%d" % batch, "--set", "step-bytes=%d" % step],
                       capture_output=True, env=env, cwd=directory)
    return p.returncode, p.stderr.decode(errors="replace")


def read(path):
    with open(path, "rb") as f:
        return f.read()


def check(seed):
    """None, or what is wrong."""
    r = random.Random(seed)
    fields, iso, wide = make_fields(r), r.random() < 0.3, r.random() < 0.5
    while not fields:
        fields = make_fields(r)
    lines, wanted, bad = [], [], []
    for _ in range(r.choice([1, 5, 300, 1500])):
        text, want = row(r, fields, iso, wide)
        if r.random() < 0.03:
            lines.append(breaks(r, text))
            bad.append(len(lines))
            continue
        lines.append(text)

        def ordered(fs, v):
            return {n: (ordered(t[1], v[n]) if t[0] == "ROW" and v[n] is not None else v[n]) for n, t in fs}
        wanted.append(ordered(fields, want))
        if r.random() < 0.02:
            lines.append(r.choice(["", " ", "\t"]))
    newline = r.choice(["\n", "\r\n"])
    data = (newline.join(lines) + r.choice(["", newline])).encode("utf-8", "surrogateescape")
    data = (b"\xef\xbb\xbf" if r.random() < 0.2 else b"") + data
    columns = ", ".join("`%s` %s" % (n, sql(t)) for n, t in fields)
    common = ", 'json.timestamp-format.standard'='%s'" % ("ISO-8601" if iso else "SQL")
    name = "in.json.gz" if r.random() < 0.2 else "in.json"
    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, name), "wb") as f:
            f.write(gzip.compress(data) if name.endswith(".gz") else data)
        tables = "CREATE TABLE i (%s) WITH ('connector'='filesystem','format'='json','path'='%%s','on-error'='dead-letter','dead-letter.path'='%%s'%s);" \
                 "CREATE TABLE o (%s) WITH ('connector'='filesystem','format'='json','path'='%%s'%s); INSERT INTO o SELECT * FROM i;" % (columns, common, columns, common)
        first = None
        for shards, batch, step, isa in [(1, 4096, 1 << 20, None), (2, 1, 1 << 20, None), (3, 4096, 300, None), (1, 7, 64, "scalar"), (2, 4096, 5000, "avx2"),
                                         (1, 100, 20000, "avx512")]:
            code, err = mill(directory, tables % (name, "dead", "out.json"), shards, batch, step, isa)
            if code == 78 and "this CPU has no" in err:
                continue
            if code != 0:
                return "exit %d: %s" % (code, err)
            got = read(os.path.join(directory, "out.json"))
            dead = [json.loads(x)["line"] for x in read(os.path.join(directory, "dead")).decode().splitlines()]
            if sorted(dead) != bad:
                return "dead lines %s, made bad %s" % (sorted(set(dead) - set(bad))[:5], sorted(set(bad) - set(dead))[:5])
            if first is not None and got != first:
                return "%s shards, batch %s, step %s, %s: other bytes" % (shards, batch, step, isa)
            first = got
        rows = [json.loads(x, parse_float=Decimal, parse_int=Decimal) for x in first.decode().split("\n")[:-1]]
        if len(rows) != len(wanted):
            return "%d rows, expected %d" % (len(rows), len(wanted))
        for i, (g, w) in enumerate(zip(rows, wanted)):
            if differs(g, w):
                return "row %d, %s" % (i, differs(g, w))
        why = check_parts(r, directory, fields, tables % (name, "dead", "out.json"), wanted, bad)
        if why:
            return why
        code, err = mill(directory, tables % ("out.json", "dead", "again.json"))
        if code != 0 or read(os.path.join(directory, "again.json")) != first:
            return "read back: %s" % (err or "other bytes")
    return None


def paths(fields, before=()):
    for name, t in fields:
        yield before + (name,), t
        if t[0] == "ROW":
            yield from paths(t[1], before + (name,))


def at(v, path):
    for name in path:
        v = v[name] if v is not None else None
    return v


def check_parts(r, directory, fields, tables, wanted, bad):
    """Some columns, fields of ROWs and tests of NULL are read, the others stepped over."""
    picks = [(p, t if r.random() < 0.8 else None) for p, t in r.choices(list(paths(fields)), k=r.randint(1, 4))]
    statements = tables.split("CREATE TABLE o")[0] + \
        "CREATE TABLE parts (%s) WITH ('connector'='filesystem','format'='json','path'='parts.json'%s);INSERT INTO parts SELECT %s FROM i" % (
            ", ".join("c%d %s" % (i, sql(t) if t else "BOOLEAN") for i, (_, t) in enumerate(picks)),
            ",'json.timestamp-format.standard'='ISO-8601'" if "'ISO-8601'" in tables else "",
            ", ".join(".".join("`%s`" % n for n in p) + ("" if t else " IS NULL") for p, t in picks))
    for shards, batch, step in ((1, 4096, 1 << 20), (3, 10, 700)):
        code, err = mill(directory, statements, shards, batch, step)
        if code != 0:
            return "exit %d: %s" % (code, err)
        rows = [json.loads(x, parse_float=Decimal, parse_int=Decimal) for x in read(os.path.join(directory, "parts.json")).decode().split("\n")[:-1]]
        dead = sorted(json.loads(x)["line"] for x in read(os.path.join(directory, "dead")).decode().splitlines())
        if dead != bad or len(rows) != len(wanted):
            return "parts: %d rows, expected %d; dead lines %s, made bad %s" % (len(rows), len(wanted), dead, bad)
        for i, (got, w) in enumerate(zip(rows, wanted)):
            want = {"c%d" % k: at(w, p) if t else at(w, p) is None for k, (p, t) in enumerate(picks)}
            if differs(got, want):
                return "parts: row %d, %s, of %s" % (i, differs(got, want), picks)
    return None


NESTED = """event_type INT, person ROW<id BIGINT, name STRING, emailAddress STRING, creditCard STRING, city STRING, state STRING, dateTime TIMESTAMP(3),
extra STRING>, auction ROW<id BIGINT, itemName STRING, description STRING, initialBid BIGINT, reserve BIGINT, dateTime TIMESTAMP(3), expires TIMESTAMP(3),
seller BIGINT, category BIGINT, extra STRING>, bid ROW<auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, dateTime TIMESTAMP(3),
extra STRING>, dateTime AS CASE WHEN event_type = 0 THEN person.dateTime WHEN event_type = 1 THEN auction.dateTime ELSE bid.dateTime END,
WATERMARK FOR dateTime AS dateTime - INTERVAL '4' SECOND"""
FLAT = """event_type INT, person_id BIGINT, person_name STRING, person_extra STRING, auction_id BIGINT, auction_expires TIMESTAMP(3), auction_extra STRING,
bid_auction BIGINT, bid_price BIGINT, bid_url STRING, bid_extra STRING, dateTime TIMESTAMP(3), WATERMARK FOR dateTime AS dateTime - INTERVAL '4' SECOND"""
WITH = "WITH ('connector'='nexmark','first-event.rate'='1000','next-event.rate'='1000','events.num'='3000','seed'='7','bid.proportion'='6'%s);"


def check_nexmark():
    """The nested table, its rows written and read back, and the flat table hold the same events."""
    pick = "SELECT event_type, person.id, person.name, person.extra, auction.id, auction.expires, auction.extra, bid.auction, bid.price, bid.url, bid.extra, " \
           "dateTime FROM n"
    window = ";SELECT window_start, bid.auction, COUNT(*), MAX(bid.price) FROM TABLE(TUMBLE(TABLE n, DESCRIPTOR(dateTime), INTERVAL '1' SECOND)) " \
             "WHERE event_type = 2 GROUP BY window_start, window_end, bid.auction"
    with tempfile.TemporaryDirectory() as directory:
        def out(statements, *args):
            p = subprocess.run([COMMAND, "run", "-c", statements, "--quiet", *args], capture_output=True, cwd=directory)
            return p.stdout if p.returncode == 0 else p.stderr
        nested = out("CREATE TABLE n (" + NESTED + ") " + WITH % "" + pick + window)
        flat = out("CREATE TABLE n (" + FLAT + ") " + WITH % "" + "SELECT * FROM n" + window.replace("bid.", "bid_"))
        rows = nested.decode().split("\n")
        if [x.split(",")[1:] for x in rows[1:3001]] != [x.split(",")[1:] for x in flat.decode().split("\n")[1:3001]] or len(rows) < 3010:
            return "the nested and the flat table differ: %s %s" % (rows[:3], flat[:300])
        if rows[3002:] != flat.decode().split("\n")[3002:]:
            return "windows over the nested and the flat table differ"
        kinds = [x.split(",")[0] for x in rows[1:3001]]
        if (kinds.count("0"), kinds.count("1"), kinds.count("2")) != (300, 900, 1800):
            return "proportions 1 : 3 : 6 give %s" % [kinds.count(k) for k in "012"]
        p = subprocess.run([COMMAND, "gen", "nexmark", "--events", "2000", "--seed", "7", "--rate", "1000", "--format", "json", "--out", "e.json"], cwd=directory,
                           capture_output=True)
        table = "CREATE TABLE n (" + NESTED + ") WITH ('connector'='%s');"
        made = out(table.replace("%s'", "nexmark','rate'='1000','events.num'='2000','seed'='7'") + pick + window)
        for args in (["--shards", "1"], ["--shards", "3", "--set", "step-bytes=4000", "--set", "batch-rows=10"]):
            if out(table.replace("%s'", "filesystem','format'='json','path'='e.json'") + pick + window, *args) != made:
                return "gen's JSON file holds other events %s: %s" % (args, p.stderr)
        event = json.loads(read(os.path.join(directory, "e.json")).split(b"\n")[5])
        if list(event) != ["event_type", "person", "auction", "bid"] or len(event["bid"]["dateTime"]) != 23:
            return "gen's JSON: %s" % event
    return None


def check_utf8():
    """Bytes that are no UTF-8 in members that are stepped over, each line a step by itself."""
    lines = ["{%s%s}" % (" " * 80, x) for x in ['"a":1', '"other":4', '"other":4', '"other":4\udcff', '"other":4', '"k\udcff":4', '"k\udcff":4', '"k\udcff":4', '"a":2']]
    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, "in.json"), "wb") as f:
            f.write("".join(x + "\n" for x in lines).encode("utf-8", "surrogateescape"))
        code, err = mill(directory, "CREATE TABLE i (a INT) WITH ('connector'='filesystem','format'='json','path'='in.json','on-error'='dead-letter',"
                         "'dead-letter.path'='dead'); CREATE TABLE o (a INT) WITH ('connector'='filesystem','format'='json','path'='out.json'); "
                         "INSERT INTO o SELECT * FROM i", step=64)
        dead = [json.loads(x)["line"] for x in read(os.path.join(directory, "dead")).decode().splitlines()] if code == 0 else err
        return None if dead == [4, 6, 7, 8] else "dead lines %s, expected 4, 6, 7, 8" % dead


def main():
    failed = 0
    for name, check_it in (("nexmark", check_nexmark), ("utf8", check_utf8)):
        why = check_it()
        if why:
            failed += 1
            print("FAILED: %s: %s" % (name, why))
    for seed in SEEDS:
        why = check(seed)
        if why:
            failed += 1
            print("FAILED: seed %d: %s" % (seed, why))
    print("sql_json: %d passed, %d failed, 0 skipped" % (len(SEEDS) + 2 - failed, failed))
    return 1 if failed else 0


sys.exit(main())
