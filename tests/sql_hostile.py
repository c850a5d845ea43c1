#!/usr/bin/env python3
"""Input and SQL made to hurt: each has a defined answer, in bounded memory, and none stops the process by surprise."""
import json, os, subprocess, sys, tempfile

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
SANITIZED = "san" in COMMAND
tests = []


def test(function):
    tests.append(function)
    return function


def run(sql, *args, directory):
    script = os.path.join(directory, "job.sql")
    with open(script, "w") as f:
        f.write(sql)
    summary = os.path.join(directory, "summary.json")
    p = subprocess.run([COMMAND, "run", script, "--quiet", "--json-summary", summary, "--set", "memory-limit=268435456", *args],
                       capture_output=True)
    return p.returncode, p.stdout.decode(errors="replace"), p.stderr.decode(errors="replace"), json.load(open(summary)) if os.path.exists(summary) else {}


def expect(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w)[:600] for w in what))


def csv_table(d, name, columns, data, options=""):
    path = os.path.join(d, name)
    with open(path, "wb") as f:
        f.write(data)
    return "CREATE TABLE t (%s) WITH ('connector'='filesystem','format'='csv','path'='%s'%s);" % (columns, path, options)


@test
def tables_of_many_columns(d):
    wide = lambda n: csv_table(d, "wide.csv", ", ".join("c%d INT" % i for i in range(n)), (",".join(str(i) for i in range(n)) + "\n").encode())
    code, out, err, _ = run(wide(4096) + "SELECT c0, c4095 FROM t", directory=d)
    expect(code == 0 and out.split("\n")[1] == "0,4095", code, err)
    code, out, err, _ = run(wide(4096) + "SELECT * FROM t", "--shards", "2", directory=d)
    expect(code == 0 and out.split("\n")[1] == ",".join(str(i) for i in range(4096)), code, err)
    code, out, err, _ = run(wide(4097) + "SELECT c0 FROM t", directory=d)
    expect(code == 78 and "4097 columns" in err and "4096" in err, code, err)
    code, out, err, _ = run("SELECT " + ", ".join("%d AS c%d" % (i, i) for i in range(5000)), directory=d)
    expect(code == 78 and "4096" in err, code, err)
    code, out, err, _ = run(wide(2000) .replace("c1999 INT", "c1999 INT, " + ", ".join("d%d AS c%d + 1" % (i, i) for i in range(1500))) +
                            "SELECT d0, d1499 FROM t", directory=d)
    expect(code == 0 and out.split("\n")[1] == "1,1500", code, err)


@test
def long_and_deep_sql(d):
    code, out, err, _ = run("SELECT " + " + ".join(["1"] * 1000), directory=d)
    expect(code == 0 and out.endswith("\n1000\n"), code, err)
    for chain in ("SELECT " + " + ".join(["1"] * 20000), "SELECT a" + "[1]" * 20000, "SELECT 1" + " IS NULL" * 20000,
                  "SELECT " + "(" * 100 + "1" + " + 1" * 500 + (") " + "+ 1" * 500) * 100):
        code, out, err, _ = run(chain, directory=d)
        expect(code == 78 and "operators in a row" in err, chain[:30], code, err)
    code, out, err, _ = run("SELECT COUNT(*) FROM (VALUES (7)) AS t(a) WHERE " + " OR ".join("a = %d" % i for i in range(20000)), directory=d)
    expect(code == 0 and out.endswith("\n1\n"), code, err)
    code, out, err, _ = run(" UNION ALL ".join(["SELECT 1"] * 5000), directory=d)
    expect(code == 78 and "queries in a row" in err, code, err)
    code, out, err, _ = run("SELECT 5 IN (%s)" % ", ".join(str(i) for i in range(20000)), directory=d)
    expect(code == 0 and out.endswith("true\n"), code, err)
    for opening, closing in (("(", ")"), ("CASE WHEN TRUE THEN ", " END"), ("NOT ", ""), ("- ", ""), ("UPPER(", ")")):
        code, out, err, _ = run("SELECT " + opening * 5000 + "TRUE" + closing * 5000, directory=d)
        expect(code == 78 and "SQL" in err or "job.sql" in err, opening, code, err)
    code, out, err, _ = run("SELECT * FROM " + "(SELECT * FROM " * 3000 + "t" + ")" * 3000, directory=d)
    expect(code == 78 and "levels" in err, code, err)
    code, out, err, _ = run("SELECT '" + "x" * 3000000 + "' = ''", directory=d)
    expect(code == 0 and out.endswith("false\n"), code, err)
    code, out, err, _ = run("SELECT 1 -- " + "\0" * 10, directory=d)
    expect(code in (0, 78), code, err)
    code, out, err, _ = run("SELECT \xff\xfe".encode("latin-1").decode("latin-1"), directory=d)
    expect(code == 78 and "1:8" in err, code, err)


@test
def key_explosion_ends_at_the_memory_limit(d):
    # 16 million different keys of 8 bytes and their counts do not fit in 64 MiB
    sql = "CREATE TABLE g (k BIGINT) WITH ('connector'='datagen','number-of-rows'='16000000','fields.k.kind'='sequence'," \
          "'fields.k.start'='1','fields.k.end'='16000000');SELECT k, COUNT(*) FROM g GROUP BY k"
    code, out, err, s = run(sql, "--set", "memory-limit=67108864", directory=d)
    expect(code == 71 and "memory" in err and ("group" in err.lower() or "GROUP" in err), code, err)
    if not SANITIZED:
        expect(s["peak_rss_bytes"] < 67108864 * 1.05 + (40 << 20), s)   # beside the budget: code, stacks, the C library


@test
def one_hot_key_is_counted(d):
    data = b"".join(b"%d,1\n" % (7 if i % 10 else i) for i in range(200000))
    ddl = csv_table(d, "hot.csv", "k INT, v INT", data)
    code, out, err, _ = run(ddl + "SELECT k, SUM(v) AS s FROM t GROUP BY k HAVING SUM(v) > 100", "--shards", "4", directory=d)
    expect(code == 0 and out == "k,s\n7,180000\n", code, out, err)


@test
def patterns_match_in_linear_time(d):
    ddl = csv_table(d, "a.csv", "s STRING", b"a" * 1000000 + b"\n")
    for expression in ("s LIKE '%a%a%a%a%a%a%a%a%b'", "REGEXP(s, '(a+)+$b')", "REGEXP(s, '(a|aa)+$b')", "REGEXP_EXTRACT(s, '(a*)*(a*)*b', 0) IS NOT NULL"):
        code, out, err, s = run(ddl + "SELECT COUNT(*) FROM t WHERE " + expression, directory=d)
        expect(code == 0 and out.endswith("\n0\n"), expression, code, err)


@test
def a_row_without_an_end(d):
    ddl = csv_table(d, "open.csv", "a STRING, b STRING", b'x,"' + b"y" * (40 << 20) + b"\nz,z\n")
    code, out, err, s = run(ddl + "SELECT COUNT(*) FROM t", directory=d)
    expect(code == 65 and "16" in err and "open.csv" in err, code, err)
    ddl = csv_table(d, "long.csv", "a STRING, b STRING", b"x,y\n" + b"y" * (40 << 20) + b"\nz,z\n")
    code, out, err, s = run(ddl + "SELECT COUNT(*) FROM t", directory=d)
    expect(code == 65 and "long.csv" in err, code, err)


@test
def numbers_at_their_edges(d):
    for sql, code, words in (("SELECT CAST(-2147483648 AS INT) / -1", 0, "-2147483648"),
                             ("SELECT MOD(CAST(-9223372036854775808 AS BIGINT), -1)", 0, "0"),
                             ("SELECT ABS(CAST(-2147483648 AS INT))", 0, "-2147483648"),
                             ("SELECT - CAST(-9223372036854775808 AS BIGINT)", 0, "-9223372036854775808"),
                             ("SELECT SUM(a) FROM (VALUES (2147483647), (1)) AS t(a)", 0, "-2147483648"),
                             ("SELECT CAST(99999999999999999999999999999999999999 AS DECIMAL(38,0)) + 1 IS NULL", 0, "true"),
                             ("SELECT COUNT(*) FROM (SELECT DISTINCT a FROM (VALUES (CAST('NaN' AS DOUBLE)), (CAST('NaN' AS DOUBLE)), (CAST('-0.0' AS DOUBLE)), "
                              "(CAST('0.0' AS DOUBLE))) AS t(a))", 0, "2"),
                             ("SELECT 1 / 0", 65, "division by zero")):
        got, out, err, _ = run(sql, directory=d)
        expect(got == code and (out.endswith(words + "\n") if code == 0 else words in err), sql, got, out, err)


@test
def times_at_their_edges(d):
    for text, type_ in (("10000-01-01 00:00:00", "TIMESTAMP(3)"), ("2300-01-01 00:00:00", "TIMESTAMP(9)"), ("2024-02-30 00:00:00", "TIMESTAMP(3)"),
                        ("2024-01-01 25:00:00", "TIMESTAMP(3)"), ("", "TIMESTAMP(3)"), ("1720000000000", "TIMESTAMP(3)")):
        ddl = csv_table(d, "edge.csv", "ts %s, v INT, WATERMARK FOR ts AS ts" % type_,
                        ("2024-01-01 00:00:00,1\n%s,2\n2024-01-01 00:00:01,3\n" % text).encode(), ",'on-error'='skip'")
        code, out, err, s = run(ddl + "SELECT SUM(v) FROM t WHERE ts IS NOT NULL", directory=d)
        expect(code == 0 and out.endswith("\n4\n") and s["dead"] == 1 and s["rows_in"] in (2, 3), text, type_, code, out, err, s)


def main():
    passed = failed = 0
    for t in tests:
        with tempfile.TemporaryDirectory() as d:
            try:
                t(d)
                passed += 1
            except AssertionError as e:
                failed += 1
                print("FAILED: %s: %s" % (t.__name__, e))
    print("sql_hostile: %d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed else 0


sys.exit(main())
