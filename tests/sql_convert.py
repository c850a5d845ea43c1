#!/usr/bin/env python3
"""millstream convert and info: random rows of all types go csv -> columnar -> csv and come back byte for byte; the columnar file is read
by an independent reader of docs/COLUMNAR.md; flipped bits are found; what info says is recomputed here, and its statement runs."""
import csv, datetime, decimal, io, os, random, struct, subprocess, sys, tempfile

COMMAND = os.path.abspath(os.environ.get("MILL_COMMAND", "build/millstream"))
QUICK = bool(os.environ.get("MILL_QUICK"))
passed = failed = 0
SCHEMA = ("b BOOLEAN, t TINYINT, s SMALLINT, i INT, l BIGINT, f FLOAT, d DOUBLE, m DECIMAL(38, 9), x STRING, c VARCHAR(40), "
          "day DATE, ts TIMESTAMP(9), u TIMESTAMP(3)")


def check(name, good, detail=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    if not good:
        print("FAILED: %s\n  %s" % (name, str(detail)[:2000]))


def run(*args):
    p = subprocess.run([COMMAND, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return p.returncode, p.stdout.decode("utf-8", "replace"), p.stderr.decode("utf-8", "replace")


def value(r, kind):
    if r.random() < 0.15:
        return "\\N"
    if kind == "b":
        return r.choice(["true", "false"])
    if kind in ("t", "s", "i", "l"):
        n = {"t": 7, "s": 15, "i": 31, "l": 63}[kind]
        return str(r.choice([0, -2 ** n, 2 ** n - 1, r.randrange(-2 ** n, 2 ** n)]))
    if kind == "f":
        return r.choice(["0.0", "-0.0", "1.5", "NaN", "Infinity", "-Infinity", "0.25"])
    if kind == "d":
        return r.choice(["NaN", "Infinity", "-Infinity", "-0.0", "1.0E300", "2.2250738585072014E-308", "0.1"])
    if kind == "m":
        return r.choice(["9" * 29 + "." + "9" * 9, "-" + "9" * 29 + "." + "9" * 9, "0.000000001",
                         str(r.randrange(10 ** 9)) + ".123456789"])
    if kind in ("x", "c"):
        text = r.choice(["", "short", "exactly 12 b", "more than twelve bytes", "ä € 𝄞", 'say "hi", friend', "two\nlines"])
        return '"%s"' % text.replace('"', '""') if text == "" or any(q in text for q in '",\n') else text
    if kind == "day":
        return (datetime.date(1, 1, 1) + datetime.timedelta(days=r.randrange(3652059))).isoformat()
    when = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=r.randrange(-9000000000 if kind == "ts" else -10 ** 10, 9000000000))
    return when.strftime("%Y-%m-%d %H:%M:%S.") + ("%09d" if kind == "ts" else "%03d") % r.randrange(10 ** (9 if kind == "ts" else 3))


def read_columnar(data):
    """docs/COLUMNAR.md, checksums aside: [(name, kind)], {name: values}. Flat columns only."""
    version, header, columns, nodes = struct.unpack_from("<4I", data, 8)
    at, fields = 64, []
    for _ in range(columns):
        kind, precision, scale, not_null, length, count, n = struct.unpack_from("<4B3I", data, at)
        fields.append((data[at + 16:at + 16 + n].decode(), kind))
        at += 16 + (n + 3) // 4 * 4
    out, at = {name: [] for name, _ in fields}, header
    codes = {1: "B", 2: "b", 3: "h", 4: "i", 5: "q", 6: "f", 7: "d", 13: "i", 14: "q", 15: "q", 16: "q"}
    while data[at:at + 4] == b"MBLK":
        rows, size, first, index, head = struct.unpack_from("<IQQII", data, at + 4)
        for k, (name, kind) in enumerate(fields):
            offset, chunk, nulls, text, _ = struct.unpack_from("<QQIIQ", data, at + 64 + 32 * k)
            p = at + offset
            bits = data[p:p + (rows + 7) // 8] if nulls else b"\xff" * ((rows + 7) // 8)
            p += ((rows + 7) // 8 + 63) // 64 * 64 if nulls else 0
            if kind in codes:
                values = struct.unpack_from("<%d%s" % (rows, codes[kind]), data, p)
            elif kind == 8:
                values = [int.from_bytes(data[p + 16 * i:p + 16 * i + 16], "little", signed=True) for i in range(rows)]
            else:
                ends = struct.unpack_from("<%dI" % (rows + 1), data, p)
                p += ((rows + 1) * 4 + 63) // 64 * 64
                values = [data[p + ends[i]:p + ends[i + 1]] for i in range(rows)]
            out[name] += [v if bits[i // 8] >> (i % 8) & 1 else None for i, v in enumerate(values)]
        at += size
    assert data[at:at + 4] == b"MEND" and struct.unpack_from("<Q", data, at + 16)[0] == len(out[fields[0][0]])
    return fields, out


def round_trips(folder):
    names = [c.split()[0] for c in SCHEMA.split(", ") if not c.startswith("9")]
    for seed, rows in [(1, 1), (2, 65), (3, 3000)] + ([] if QUICK else [(4, 20000), (5, 40000)]):
        r = random.Random(seed)
        table = [[value(r, n) for n in names] for _ in range(rows)]
        a, m, b = (os.path.join(folder, n) for n in ("a.csv", "m.mcol", "b.csv"))
        with open(a, "w", encoding="utf-8", newline="") as f:
            f.writelines(",".join(row) + "\n" for row in table)
        there = run("convert", a, m, "--schema", SCHEMA, "-i", "csv.null-literal=\\N", "--quiet")
        back = run("convert", m, b, "-o", "csv.null-literal=\\N", "--no-header", "--quiet")
        same = there[0] == back[0] == 0 and open(a, "rb").read() == open(b, "rb").read()
        lines = zip(open(a, encoding="utf-8"), open(b, encoding="utf-8")) if there[0] == back[0] == 0 else []
        check("seed %d: csv -> columnar -> csv" % seed, same, there[2] + back[2] + str([x for x in lines if x[0] != x[1]][:2]))
        if there[0] != 0:
            continue
        fields, got = read_columnar(open(m, "rb").read())
        check("seed %d: column names" % seed, [f[0] for f in fields] == names, fields)
        for n in ("t", "s", "i", "l"):
            want = [None if row[names.index(n)] == "\\N" else int(row[names.index(n)]) for row in table]
            check("seed %d: %s as documented" % (seed, n), got[n] == want)
        want = [None if row[7] == "\\N" else int(decimal.Decimal(row[7]).scaleb(9, decimal.Context(60))) for row in table]
        check("seed %d: decimals as documented" % seed, got["m"] == want)
        want = [None if row[10] == "\\N" else datetime.date.fromisoformat(row[10]).toordinal() - 719163 for row in table]
        check("seed %d: dates as documented" % seed, got["day"] == want)
        want = [None if row[8] == "\\N" else (row[8][1:-1].replace('""', '"') if row[8][:1] == '"' else row[8]).encode() for row in table]
        check("seed %d: texts as documented" % seed, got["x"] == want)


def damage(folder):
    m, bad = os.path.join(folder, "m.mcol"), os.path.join(folder, "bad.mcol")
    data, whole, part = open(m, "rb").read(), open(os.path.join(folder, "b.csv"), "rb").read(), os.path.join(folder, "part.csv")
    r = random.Random(9)
    places = [0, 9, 40, 60, 100, len(data) - 1, len(data) - 20, len(data) - 200] + [r.randrange(len(data)) for _ in range(20 if QUICK else 100)]
    for at in places:
        flipped = bytearray(data)
        flipped[at] ^= 1 << r.randrange(8)
        open(bad, "wb").write(flipped)
        code, out, err = run("convert", bad, part, "-o", "csv.null-literal=\\N", "--no-header", "--quiet")
        rows = open(part, "rb").read() if os.path.exists(part) else b""
        check("bit of byte %d flipped" % at, code == 65 and "bad.mcol, byte " in err and whole.startswith(rows), (code, err))
        if rows:
            os.unlink(part)
    open(bad, "wb").write(data[:len(data) // 2])
    code, out, err = run("info", bad)
    check("a file cut off", code == 65 and "cut off" in err and "bad.mcol, byte " in err, err)


def info(folder):
    path = os.path.join(folder, "times.csv")
    seconds = [10, 20, 15, 30, 5, 40, 40]
    with open(path, "w") as f:
        f.write("at,name\n" + "".join("2020-01-01 00:00:%02d.000,%s\n" % (s, "x" if s != 15 else "") for s in seconds))
    code, out, err = run("info", path)
    for line in ("format: csv", "compression: none", "rows: 7", "bytes: %d" % os.path.getsize(path),
                 "time range: at 2020-01-01 00:00:05.000 to 2020-01-01 00:00:40.000",
                 "disorder: at 2 rows (28.57 %) behind, by at most 25 s", "WATERMARK FOR `at` AS `at` - INTERVAL '25' SECOND"):
        check("info says " + line, line in out, out + err)
    statement = out[out.index("CREATE TABLE"):]
    code, out, err = run("run", "-c", statement + "SELECT COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(`at`), INTERVAL '1' MINUTE)) "
                         "GROUP BY window_start, window_end;")
    check("the statement of info runs, no row is late", code == 0 and out.split() == ["EXPR$0", "7"] and " 0 late" in err, out + err)
    many = os.path.join(folder, "many")
    os.mkdir(many)
    for k in range(3):
        check("convert into a folder", run("convert", path, "%s/%d.mcol" % (many, k), "--quiet")[0] == 0)
    code, out, err = run("info", many)
    check("info of a folder", "files: 3" in out and "rows: 21" in out and "blocks: 3, all checksums right" in out and
          "by at most 25 s" in out, out + err)
    code, out, err = run("info", "--verify", many)
    check("info --verify of a folder", code == 0 and out.split("\n")[:-1] == ["%s/%d.mcol: 7 rows, 1 blocks, all checksums right" % (many, k) for k in range(3)], out + err)
    good = open(many + "/0.mcol", "rb").read()
    unseen = []
    for at in range(0, len(good), 7):
        with open(folder + "/flipped.mcol", "wb") as f:
            f.write(good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1:])
        code, out, err = run("info", "--verify", folder + "/flipped.mcol")
        if code != 65 or out or "byte" not in err:
            unseen.append((at, code, out, err))
    check("info --verify sees a flipped bit", len(good) > 700 and not unseen, unseen[:3])
    for args, code, word in ((("info", folder + "/nix"), 66, "nix"), (("info",), 64, "info takes one"), (("info", "--verify"), 64, "info takes one"),
                             (("info", "--verify", path), 64, "no columnar file"), (("info", "--verfy", path), 64, "--verify"),
                             (("convert", path), 64, "IN and OUT"), (("convert", path, "x.gz"), 64, "compressed"),
                             (("convert", path, folder + "/x.what"), 64, "--format"), (("convert", folder + "/nix", "o.csv"), 66, "nix"),
                             (("convert", path, folder + "/o.csv", "--schema", "a INT"), 65, "times.csv")):
        got = run(*args)
        check(" ".join(args), got[0] == code and word in got[2], got)


def headers(folder):
    """Column names survive convert; the expected bytes are those of Python's csv module."""
    a, b, m = (os.path.join(folder, n) for n in ("h.csv", "h2.csv", "h.mcol"))
    names, rows = ["id", "the, name", 'say "hi"'], [["1", "x", "2.5"], ["2", "y z", "3.5"]]

    def text(*lines, **how):
        to = io.StringIO()
        csv.writer(to, lineterminator="\n", **how).writerows(lines)
        return to.getvalue()

    def read(path):
        return open(path, newline="").read()

    open(a, "w", newline="").write(text(names, *rows))
    check("convert keeps the header", run("convert", a, b, "--quiet")[0] == 0 and read(a) == read(b), read(b))
    for k, (args, want) in enumerate(((("--header",), text(names, *rows)), (("--no-header",), text(*rows)),
                                      (("-o", "csv.write-header=false"), text(*rows)), (("--no-header", "-o", "csv.write-header=true"), text(names, *rows)),
                                      (("-o", "csv.field-delimiter=;"), text(names, *rows, delimiter=";")))):
        got = run("convert", a, b, "--quiet", *args)
        check("convert " + " ".join(args), got[0] == 0 and read(b) == want, (got, read(b)))
    got = run("convert", a, m, "--quiet"), run("convert", m, b, "--quiet")
    check("names through a columnar file", read(b) == text(names, *rows), (got, read(b)))
    out = run("run", "--quiet", "-c", "SELECT * FROM '%s'" % b)[1]
    check("FROM finds the header again", out == text(names, *rows), out)
    got = run("convert", a, folder + "/h.json", "--quiet", "--no-header")
    check("other formats have no header", got[0] == 0 and open(folder + "/h.json").read().count("\n") == 2, got)
    table = "CREATE TABLE o (a INT, `b,c` STRING, p STRING) %s WITH ('connector' = '%s', %s 'format' = 'csv' %s);INSERT INTO o SELECT * FROM (%s);"
    three = "VALUES (1, 'x', 'u'), (2, 'y', 'v'), (3, 'z', 'u')"
    on = ", 'csv.write-header' = 'true'"
    for name, part, more, values, want in (
            ("o1.csv", "", on, three, {"": 'a,"b,c",p\n1,x,u\n2,y,v\n3,z,u\n'}), ("o2.csv", "", "", three, {"": "1,x,u\n2,y,v\n3,z,u\n"}),
            ("o3.csv", "", on, "SELECT * FROM (%s) AS t(a, b, c) WHERE a > 3" % three, {"": 'a,"b,c",p\n'}),
            ("o4/", "", on + ", 'sink.rolling-policy.file-size' = '12b'", three,
             {"part-%d.csv" % k: 'a,"b,c",p\n' + row for k, row in enumerate(("1,x,u\n", "2,y,v\n", "3,z,u\n"))}),
            ("o5", "PARTITIONED BY (p)", on, three, {"p=u/part-0.csv": 'a,"b,c"\n1,x\n3,z\n', "p=v/part-0.csv": 'a,"b,c"\n2,y\n'})):
        path = os.path.join(folder, name)
        got = run("run", "--quiet", "-c", table % (part, "filesystem", "'path' = '%s'," % path, more, values))
        found = {"": read(path)} if os.path.isfile(path) else {os.path.relpath(os.path.join(d, n), path): read(os.path.join(d, n))
                                                              for d, _, files in os.walk(path) for n in files}
        check("csv.write-header: " + name, found == want, (found, got))
    got = run("run", "--quiet", "-c", table % ("", "stdout", "", on, three))
    check("csv.write-header to standard output", got[:2] == (0, 'a,"b,c",p\n1,x,u\n2,y,v\n3,z,u\n'), got)
    got = run("run", "--quiet", "-c", table % ("", "stdout", "", on.replace("true", "yes"), three))
    check("csv.write-header is a BOOLEAN", got[:2] == (78, "") and "csv.write-header" in got[2], got)


def same_file(folder):
    a, many = os.path.join(folder, "same.csv"), os.path.join(folder, "sames")
    os.mkdir(many)
    for path in (a, many + "/1.csv", many + "/2.csv"):
        open(path, "w").write("a,b\n1,2\n")
    os.symlink(a, folder + "/soft.csv")
    os.link(a, folder + "/hard.csv")
    for source, to in ((a, a), (a, folder + "/./same.csv"), (a, folder + "/soft.csv"), (folder + "/hard.csv", a), (many, many + "/2.csv"),
                       (many + "/*.csv", many + "/1.csv"), (many, many), (many, many + "/")):
        before = {path: (os.stat(path).st_ino, os.stat(path).st_mtime_ns, open(path).read()) for path in (a, many + "/1.csv", many + "/2.csv")}
        code, out, err = run("convert", source, to, "--format", "csv")
        after = {path: (os.stat(path).st_ino, os.stat(path).st_mtime_ns, open(path).read()) for path in before}
        check("convert %s %s" % (source, to), code == 64 and out == "" and to in err and before == after and
              sorted(os.listdir(many)) == ["1.csv", "2.csv"], (code, err))
    check("a copy is no same file", run("convert", a, many + "/2.csv", "--quiet")[0] == 0)


with tempfile.TemporaryDirectory() as folder:
    headers(folder)
    same_file(folder)
    round_trips(folder)
    damage(folder)
    info(folder)
print("sql_convert: %d passed, %d failed, 0 skipped" % (passed, failed))
sys.exit(failed > 0)
