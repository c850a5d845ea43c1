#!/usr/bin/env python3
"""`millstream test`: the examples' scenarios pass, and scenarios that must fail say where and what."""
import glob, os, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COMMAND = os.path.abspath(os.environ.get("MILL_COMMAND", "build/millstream"))

PLAIN = "CREATE TABLE t (k STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'kafka');\n"
WINDOW = ("SELECT window_start, k, SUM(v) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) "
          "GROUP BY window_start, window_end, k;\n")
ROW = "@rows t\na, 1, 2024-01-01 00:00:10\n"

WRONG = {  # name: (scenario, exit code, texts of standard error)
    "another value": (PLAIN + WINDOW + ROW + "@expect\n2024-01-01 00:00, a, 2\n", 1, [":5: ", "gave 1 row, 1 expected", "- 2024-01-01 00:00, a, 2", "+ 2024-01-01 00:00:00.000,a,1"]),
    "a row too few": (PLAIN + WINDOW + ROW + "@expect\n", 1, ["gave 1 row, 0 expected"]),
    "not yet": (PLAIN + WINDOW + ROW + "@expect\n2024-01-01 00:00, a, 1\n@rows t\nb, 2, 2024-01-01 00:00:20\n@expect in any order\n2024-01-01 00:00, b, 2\n2024-01-01 00:00, a, 1\n", 1, [":5: ", "gave 0 rows, 1 expected"]),
    "NULL is not empty": (PLAIN + WINDOW + "@rows t\n, 1, 2024-01-01 00:00:10\n@expect\n2024-01-01 00:00, \"\", 1\n", 1, ["- 2024-01-01"]),
    "order": (PLAIN + "SELECT k FROM t;\n@rows t\na, 1, 2024-01-01 00:00:10\nb, 1, 2024-01-01 00:00:10\n@expect\nb\na\n", 1, ["gave 2 rows, 2 expected"]),
    "nobody looks": (PLAIN + WINDOW + ROW, 1, ["gave rows that no @expect looks at"]),
    "counters": (PLAIN + WINDOW + ROW + "@stats late=1\n", 1, ["late is 0, 1 expected"]),
    "unknown counter": (PLAIN + WINDOW + ROW + "@stats lat=1\n", 1, ["@stats wants NAME=NUMBER"]),
    "no such directive": (PLAIN + WINDOW + "@rowss t\n", 1, [":3: there is no @rowss; did you mean @rows?"]),
    "no value": (PLAIN + WINDOW + "@rows t\na, x, 2024-01-01 00:00:10\n", 1, [":4: ", "column v: 'x' is not INT"]),
    "columns": (PLAIN + WINDOW + "@rows t\na, 1\n", 1, ["the row has 2 values, the table 3 columns"]),
    "no table": (PLAIN.replace('kafka', 'memory') + WINDOW + "@rows tt\na, 1, 2024-01-01 00:00:10\n", 1, ["tt"]),
    "no watermark": ("CREATE TABLE t (v INT) WITH ('connector' = 'x');\nSELECT v FROM t;\n@watermark t 2024-01-01 00:00\n", 1, ["the table has no WATERMARK"]),
    "the clock": (PLAIN.replace('kafka', 'memory') + WINDOW + "@rows t\n@clock 2024-01-01 00:00\n@clock 2023-01-01 00:00\n", 1, [":5: with 1 shard: the clock does not go back"]),
    "a bad time": (PLAIN.replace('kafka', 'memory') + WINDOW + "@clock noon\n", 1, ["'noon' is not a time"]),
    "SQL": (PLAIN + "SELECT w FROM t;\n" + ROW, 1, ["s:2:8: there is no column w", "^"]),
    "two queries": (PLAIN + "SELECT k FROM t;\nSELECT v FROM t;\n" + ROW, 1, ["2 SELECTs"]),
    "no such end": (PLAIN.replace('kafka', 'memory') + WINDOW + "@end tt\n", 1, [":3: with 1 shard: the script has no table tt"]),
    "what ends": (PLAIN + WINDOW + "@end t now\n", 1, [":3: @end [TABLE], not 'now'"]),
    "no script": ("@rows t\n1\n", 1, ["there is nothing to test"]),
    "rows without a table": (PLAIN + WINDOW + "@clock 2024-01-01 00:00\na, 1\n", 1, [":4: rows stand behind"]),
}

TTL = """
CREATE TABLE l (k STRING, a INT, p AS PROCTIME()) WITH ('connector' = 'memory');
CREATE TABLE r (k STRING, b INT) WITH ('connector' = 'memory');
CREATE TABLE e (k STRING, b INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'memory');
SET 'execution.runtime-mode' = 'streaming';
SET 'table.exec.state.ttl' = '10 s';"""

RIGHT = {
    "time passes beside a table that has been read": """
CREATE TABLE t (k STRING, p AS PROCTIME()) WITH ('connector' = 'kafka');
CREATE TABLE names (k STRING, name STRING) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 's', 'on-error' = 'skip');
CREATE VIEW named AS SELECT t.k, t.p, n.name FROM t LEFT JOIN names FOR SYSTEM_TIME AS OF t.p AS n ON t.k = n.k;
SELECT window_start, k, COUNT(*) FROM TABLE(TUMBLE(TABLE named, DESCRIPTOR(p), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k;
@shards 1,2,3
@clock 2024-01-01 00:00:01
@rows t
a
@expect
@clock 2024-01-01 00:00:10
@expect
2024-01-01 00:00, a, 1
@rows t
b
@end
@expect
2024-01-01 00:00:10, b, 1
""",
    "one input ends": """
CREATE TABLE t (k STRING, p AS PROCTIME()) WITH ('connector' = 'kafka');
CREATE TABLE names (k STRING, name STRING) WITH ('connector' = 'kafka');
SELECT t.k, n.name FROM t LEFT JOIN names FOR SYSTEM_TIME AS OF t.p AS n ON t.k = n.k;
@shards 1,2,3
@rows t
a
@expect
@rows names
a, ann
@expect
@end names
@expect
a, ann
@rows t
b
@expect
b,
@end
""",
    "change rows, tables, quotes; one or more": """
CREATE TABLE t (k STRING, v INT) WITH ('connector' = 'kafka'); -- it's a comment; with a semicolon
CREATE TABLE `o` (k STRING, n BIGINT, PRIMARY KEY (k) NOT ENFORCED) COMMENT 'WITH (x)' WITH ('connector' = 'x');
CREATE TABLE o2 (k STRING) WITH ('connector' = 'x');
SET 'execution.runtime-mode' = 'streaming';
INSERT INTO o SELECT k, COUNT(*) FROM t GROUP BY k;
INSERT INTO o2 SELECT k || ';' FROM t WHERE v > 1;
@shards 1,2,3
@rows t
a, 1
a, 2
@expect o
+I, a, 1
+U, a, 2
@expect o2
a;
@rows t
"x, ""y"" ", 3
@expect o2
"x, ""y"" ;"
@expect o
+I, "x, ""y"" ", 1
""",
    "processing time": """
CREATE TABLE t (v INT, pt AS PROCTIME()) WITH ('connector' = 'kafka');
SELECT window_start, SUM(v) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(pt), INTERVAL '10' SECOND)) GROUP BY window_start, window_end;
@clock 2024-01-01 00:00:01
@rows t
1
2
@clock 2024-01-01 00:00:09
@rows t
3
@expect
@clock 2024-01-01 00:00:10
@expect
2024-01-01 00:00, 6
@rows t
7
@expect
2024-01-01 00:00:10, 7
""",
    "a time to live": """
CREATE TABLE t (k STRING) WITH ('connector' = 'kafka');
SET 'execution.runtime-mode' = 'streaming';
SET 'table.exec.state.ttl' = '10 s';
SELECT k, COUNT(*) FROM t GROUP BY k;
@clock 2024-01-01 00:00:00
@rows t
a
a
@clock 2024-01-01 00:00:09.999
@rows t
a
@clock 2024-01-01 00:00:19.999
@rows t
a
@expect
+I, a, 1
-U, a, 1
+U, a, 2
-U, a, 2
+U, a, 3
+I, a, 1
""",
    "a time to live: inner join": TTL + """
SELECT l.k, a, b FROM l JOIN r ON l.k = r.k;
@shards 1,2,3
@clock 2024-01-01 00:00
@rows l
x, 1
@clock 2024-01-01 00:00:09.999
@rows r
x, 10
@expect
x, 1, 10
@stats held=2
# l's row came ten seconds ago: it is gone, though it met somebody since
@clock 2024-01-01 00:00:10
@rows r
x, 11
@expect
@stats held=2
@rows l
x, 2
@expect
x, 2, 10
x, 2, 11
@stats held=3
@clock 2024-01-01 00:00:19.999
@rows l
x, 3
@expect
x, 3, 11
@stats held=3
@end
""",
    "a time to live: LEFT JOIN": TTL + """
SELECT l.k, a, b FROM l LEFT JOIN r ON l.k = r.k;
@shards 1,2,3
@clock 2024-01-01 00:00
@rows l
x, 1
@expect
+I, x, 1,
@clock 2024-01-01 00:00:10
@rows r
x, 10
# what is forgotten stays as it was given: no -D
@expect
@rows l
x, 2
@clock 2024-01-01 00:00:19.999
@rows l
x, 3
@clock 2024-01-01 00:00:20
@rows l
x, 4
@expect
+I, x, 2, 10
+I, x, 3, 10
+I, x, 4,
# 2 is gone; 3 has met somebody, who is gone; 4 has not
@rows r
x, 11
@expect in any order
+I, x, 3, 11
-D, x, 4,
+I, x, 4, 11
""",
    "a time to live: Top-N": TTL + """
SELECT k, a FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY a DESC) AS n FROM l) WHERE n <= 1;
@shards 1,2,3
@clock 2024-01-01 00:00
@rows l
x, 5
y, 1
@clock 2024-01-01 00:00:09.999
@rows l
x, 3
@clock 2024-01-01 00:00:19.998
@rows l
x, 4
@expect
+I, x, 5
+I, y, 1
@clock 2024-01-01 00:00:29.998
@rows l
x, 1
x, 2
@expect
+I, x, 1
-D, x, 1
+I, x, 2
""",
    "a time to live: the last row": TTL + """
SELECT k, a FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY p DESC) AS n FROM l) WHERE n = 1;
@shards 1,2,3
@clock 2024-01-01 00:00
@rows l
x, 1
@clock 2024-01-01 00:00:09.999
@rows l
x, 2
@clock 2024-01-01 00:00:19.999
@rows l
x, 3
@expect
+I, x, 1
-U, x, 1
+U, x, 2
+I, x, 3
""",
    "a time to live: the first row": TTL + """
SELECT k, a FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY p) AS n FROM l) WHERE n = 1;
@shards 1,2,3
@clock 2024-01-01 00:00
@rows l
x, 1
@clock 2024-01-01 00:00:09.999
@rows l
x, 2
# a row that is dropped does not keep the key alive
@clock 2024-01-01 00:00:10
@rows l
x, 3
@expect
x, 1
x, 3
""",
    "a time to live: the first row in event time": TTL + """
SELECT k, b FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts) AS n FROM e) WHERE n = 1;
@shards 1,2,3
@clock 2024-01-01 00:00
@rows e
x, 1, 2024-01-01 00:00:01
x, 2, 2024-01-01 00:00:02
@clock 2024-01-01 00:00:09.999
@rows e
x, 3, 2024-01-01 00:00:03
@expect
x, 1
@clock 2024-01-01 00:00:10
@rows e
x, 4, 2024-01-01 00:00:04
x, 5, 2024-01-01 00:00:05
@expect
x, 4
""",
    "a time to live: OVER": TTL + """
SELECT k, a, COUNT(*) OVER (PARTITION BY k ORDER BY p ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS n FROM l;
@shards 1,2,3
@clock 2024-01-01 00:00
@rows l
x, 1
@clock 2024-01-01 00:00:09.999
@rows l
x, 2
@clock 2024-01-01 00:00:19.999
@rows l
x, 3
@expect
x, 1, 1
x, 2, 2
x, 3, 1
""",
    "every type": """
CREATE TABLE t (a BOOLEAN, b TINYINT, c SMALLINT, d INT, e BIGINT, f FLOAT, g DOUBLE, h DECIMAL(10, 2), i CHAR(2), j DATE, k TIME(0), l TIMESTAMP(9),
                m TIMESTAMP_LTZ(3)) WITH ('connector' = 'x');
SELECT * FROM t;
@rows t
true, -128, -32768, 2147483647, 9223372036854775807, 1.5, -0.25, 12345678.99, ab, 2024-02-29, 23:59:59, 2024-01-01 00:00:00.123456789, 2024-01-01 00:00:00.5
, , , , , , , , , , , ,
@expect
true, -128, -32768, 2147483647, 9223372036854775807, 1.5, -0.25, 12345678.99, ab, 2024-02-29, 23:59:59, 2024-01-01 00:00:00.123456789, 2024-01-01 00:00:00.5
, , , , , , , , , , , ,
""",
}


def test(path, cwd):
    p = subprocess.run([COMMAND, "test", path], capture_output=True, text=True, cwd=cwd, timeout=300)
    return p.returncode, p.stdout, p.stderr


def main():
    passed = failed = 0
    results = []
    for path in sorted(glob.glob(os.path.join(HERE, "docs/examples/**/*.scenario"), recursive=True)):
        code, out, err = test(path, HERE)
        results.append((os.path.relpath(path, HERE), code == 0, out + err))
    with tempfile.TemporaryDirectory() as folder:
        for name, text in RIGHT.items():
            with open(os.path.join(folder, "s"), "w") as f:
                f.write(text)
            code, out, err = test("s", folder)
            results.append((name, code == 0 and out.endswith("1 passed, 0 failed\n"), out + err))
        for name, (text, expected, texts) in WRONG.items():
            with open(os.path.join(folder, "s"), "w") as f:
                f.write(text)
            code, out, err = test("s", folder)
            results.append((name, code == expected and all(t in err for t in texts), "exit %d\n%s%s" % (code, out, err)))
    for name, ok, text in results:
        passed += ok
        failed += not ok
        if not ok:
            print("FAILED: %s\n%s" % (name, text))
    print("sql_scenarios: %d passed, %d failed, 0 skipped" % (passed, failed))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
