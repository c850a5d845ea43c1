#!/usr/bin/env python3
"""SQL with answers written by hand or taken from Flink's manual, and errors with their code, place and words.

A case is (name, SQL, expected CSV lines without the header) or (name, SQL, exit code, "line:column", [words]). Input tables are files
of INPUTS. Answers are checked at 1, 2, 3 and 8 shards, batches of 1 and 4,096 rows, with and without state round trips, and for every
instruction set the CPU has.
"""
import gzip, json, os, subprocess, sys, tempfile

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
QUICK = bool(os.environ.get("MILL_QUICK"))

TALK = "ts,value\n" + "".join("1970-01-01 00:00:%02d.000,%d\n" % x for x in
                              [(1, 3), (2, 1), (3, 5), (4, 2), (5, 4), (6, 7), (7, 2), (8, 4), (9, 2), (10, 4), (11, 1)])
STATUS = "ts,s\n" + "".join("1970-01-01 00:01:%02d.000,%s\n" % x for x in
                            [(1, "S"), (3, "S"), (6, "S"), (8, "S"), (11, "S"), (12, "E"), (16, "W"), (18, "W"), (21, "E"),
                             (23, "E"), (26, "E"), (28, "E")])
LATE = "".join("1970-01-01 00:00:%02d.000,%d\n" % (t, t) for t in [1, 2, 3, 7, 4])
INPUTS = {"talk.csv": TALK, "named.csv": TALK.replace("value", "v"), "status.csv": STATUS, "late.csv": LATE,
          "people.csv": 'id,name,born,score\n1,"Smith, J",1980-02-29,1.50\n2,"say ""hi""",1999-12-31,\n3,,2000-01-01,-0.25\n',
          "gap.csv": "".join("1970-01-01 10:%s,1\n" % t for t in ["00:00.000", "05:00.000", "15:00.000", "25:00.001"]),
          "bad.csv": "1,10\n2,x\n3,30\n4,40,50\n5,50\n", "empty.csv": "",
          "crlf.csv": "\ufeffa,b\r\n1,x\r\n2,y\r\n"}

TALK_DDL = "CREATE TABLE t (ts TIMESTAMP(3), v INT, WATERMARK FOR ts AS ts) WITH ('connector'='filesystem','format'='csv'," \
           "'path'='${DIR}/talk.csv','csv.ignore-first-line'='true');\n"
LATE_DDL = "CREATE TABLE t (ts TIMESTAMP(3), v INT, WATERMARK FOR ts AS ts - INTERVAL '%s' SECOND) WITH ('connector'='filesystem'," \
           "'format'='csv','path'='${DIR}/late.csv');\n"
BAD_DDL = "CREATE TABLE t (a INT, b INT) WITH ('connector'='filesystem','format'='csv','path'='${DIR}/bad.csv'%s);\n"
SUM5 = "SELECT window_start, window_end, SUM(v), COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND)) " \
       "GROUP BY window_start, window_end"
AT = "1970-01-01 00:00:%02d.000"

ANSWERS = [
    # Flink: INT + BIGINT is BIGINT and wraps; / truncates; MOD takes the dividend's sign
    ("integers", "SELECT 7 / 2, -7 / 2, MOD(-7, 3), 2147483647 + 1, 2147483647 + CAST(1 AS BIGINT)", ["3,-3,-1,-2147483648,2147483648"]),
    ("q1's decimal", "SELECT 0.908 * CAST(100 AS BIGINT), TYPEOF(0.908 * CAST(1 AS BIGINT))", ['90.800,"DECIMAL(23, 3) NOT NULL"']),
    ("decimal quotient", "SELECT CAST(1 AS DECIMAL(10,2)) / CAST(3 AS DECIMAL(10,2))", ["0.3333333333333"]),
    ("decimal sum type", "SELECT TYPEOF(CAST(1 AS DECIMAL(10,2)) + CAST(1 AS DECIMAL(12,4)))", ['"DECIMAL(13, 4) NOT NULL"']),
    ("half up", "SELECT CAST(2.345 AS DECIMAL(10,2)), CAST(-2.345 AS DECIMAL(10,2)), ROUND(2.5), ROUND(-2.5), ROUND(1234.567, -2)",
     ["2.35,-2.35,3,-3,1200"]),
    ("decimal overflow is NULL", "SELECT CAST(1234 AS DECIMAL(3,0)) IS NULL", ["true"]),
    ("casts", "SELECT CAST(' 12 ' AS INT), CAST(3.99 AS INT), CAST(1e20 AS BIGINT), CAST('true' AS BOOLEAN), TRY_CAST('x' AS INT) IS NULL",
     ["12,3,9223372036854775807,true,true"]),
    ("doubles as text", "SELECT CAST(1e10 AS STRING), CAST(CAST(1 AS DOUBLE) AS STRING), CAST(0.1e0 AS STRING)", ["1.0E10,1.0,0.1"]),
    ("char and varchar", "SELECT CAST('abcdef' AS VARCHAR(3)), CAST('ab' AS CHAR(4)) || '|'", ["abc,ab  |"]),
    ("three-valued logic", "SELECT TRUE AND NULL IS NULL, FALSE AND CAST(NULL AS BOOLEAN), TRUE OR CAST(NULL AS BOOLEAN), NOT FALSE",
     ["true,false,true,true"]),
    ("AND shields", "SELECT a FROM (VALUES (0), (2)) AS t(a) WHERE a <> 0 AND 4 / a = 2", ["2"]),
    ("case", "SELECT CASE WHEN a > 1 THEN 'big' WHEN a = 1 THEN 'one' END, CASE a WHEN 0 THEN 1 ELSE 2 END FROM (VALUES (0),(1),(2)) AS t(a)",
     [",1", "one,2", "big,2"]),
    ("in and between", "SELECT 2 IN (1, 2), 3 NOT IN (1, 2), 2 BETWEEN 1 AND 2, 0 NOT BETWEEN 1 AND 2", ["true,true,true,true"]),
    ("nulls in in", "SELECT (1 IN (2, NULL)) IS NULL, 1 IS DISTINCT FROM NULL, NULL IS NOT DISTINCT FROM CAST(NULL AS INT)",
     ["true,true,true"]),
    ("like", "SELECT 'abc' LIKE 'a%', 'abc' LIKE '_b_', 'a%c' LIKE 'a!%c' ESCAPE '!', 'abc' NOT LIKE 'b%', '' LIKE '%'",
     ["true,true,true,true,true"]),
    # Flink's manual, System Functions
    ("manual: strings", "SELECT REGEXP_EXTRACT('foothebar', 'foo(.*?)(bar)', 2), REGEXP_REPLACE('foobar', 'oo|ar', ''), "
     "OVERLAY('xxxxxtest' PLACING 'xxxx' FROM 6), LPAD('hi', 4, '??'), LPAD('hi', 1, '??'), RPAD('hi', 4, '??'), INITCAP('hello WORLD')",
     ["bar,fb,xxxxxxxxx,??hi,h,hi??,Hello World"]),
    ("manual: more strings", "SELECT REPLACE('hello world', 'world', 'flink'), POSITION('l' IN 'hello'), REPEAT('This is a test String.', 2), "
     "FROM_BASE64('aGVsbG8gd29ybGQ='), TO_BASE64('hello world'), CONCAT_WS('~', 'AA', CAST(NULL AS STRING), 'BB', '', 'CC')",
     ["hello flink,3,This is a test String.This is a test String.,hello world,aGVsbG8gd29ybGQ=,AA~BB~~CC"]),
    ("split index", "SELECT SPLIT_INDEX('a/b//d', '/', 1), SPLIT_INDEX('a/b//d', '/', 2), SPLIT_INDEX('a/b', '/', 5) IS NULL", ['b,"",true']),
    ("characters, not bytes", "SELECT CHAR_LENGTH('é€x'), SUBSTRING('é€x', 2, 1), REVERSE('é€x'), UPPER('é')", ["3,€,x€é,É"]),
    ("substring edges", "SELECT SUBSTRING('hello', 2), SUBSTRING('hello', -3, 2), SUBSTRING('hello', 9), TRIM(LEADING 'x' FROM 'xxaxx')",
     ['ello,ll,"",axx']),
    ("manual: times", "SELECT TIMESTAMPDIFF(DAY, TIMESTAMP '2003-01-02 10:00:00', TIMESTAMP '2003-01-03 10:00:00'), QUARTER(DATE '1994-09-27'), "
     "FLOOR(TIMESTAMP '2018-03-31 12:44:31' TO MINUTE), CEIL(TIMESTAMP '2018-03-31 12:44:31' TO HOUR), DAYOFWEEK(DATE '1994-09-27')",
     ["1,3,2018-03-31 12:44:00,2018-03-31 13:00:00,3"]),
    ("month ends", "SELECT DATE '2024-01-31' + INTERVAL '1' MONTH, TIMESTAMPADD(YEAR, 1, TIMESTAMP '2024-02-29 00:00:00'), EXTRACT(WEEK FROM DATE '2021-01-03')",
     ["2024-02-29,2025-02-28 00:00:00,53"]),
    ("date format", "SELECT DATE_FORMAT(TIMESTAMP '2020-04-15 08:05:16.123', 'yyyy-MM-dd HH:mm:ss.SSS'), DATE_FORMAT(TIMESTAMP '2020-04-15 20:05:16', 'h a')",
     ["2020-04-15 08:05:16.123,8 PM"]),
    ("before 1970", "SELECT CAST('1969-12-31 23:59:59.999' AS TIMESTAMP(3)), EXTRACT(SECOND FROM TIMESTAMP '1969-12-31 23:59:59')",
     ["1969-12-31 23:59:59.999,59"]),
    ("far times", "SELECT CAST('9999-12-31 23:59:59' AS TIMESTAMP(3)), CAST('2024-01-01 00:00:00.123456789' AS TIMESTAMP(9))",
     ["9999-12-31 23:59:59.000,2024-01-01 00:00:00.123456789"]),
    ("csv quoting", "SELECT id, name, born, score FROM '${DIR}/people.csv'",
     ['1,"Smith, J",1980-02-29,1.5', '2,"say ""hi""",1999-12-31,', '3,"",2000-01-01,-0.25']),
    ("crlf and a byte order mark", "SELECT a, b FROM '${DIR}/crlf.csv'", ["1,x", "2,y"]),
    ("final groups", "SELECT v, COUNT(*) FROM '${DIR}/talk.csv' AS t(ts, v) GROUP BY v HAVING COUNT(*) > 1", ["1,2", "2,3", "4,3"]),
    ("no rows still count", TALK_DDL + "SELECT COUNT(*), SUM(v) FROM t WHERE v > 100", ["0,"]),
    ("aggregates", TALK_DDL + "SELECT AVG(v), MIN(v), MAX(v), COUNT(DISTINCT v), SUM(v) FILTER (WHERE v > 4), FIRST_VALUE(v), LAST_VALUE(v) FROM t",
     ["3,1,7,6,12,3,1"]),
    ("listagg", TALK_DDL + "SELECT LISTAGG(CAST(v AS STRING), '-') FROM t WHERE v < 3", ["1-2-2-2-1"]),
    ("deviation", "SELECT VAR_POP(a), VAR_SAMP(a), STDDEV_POP(a) FROM (VALUES (2),(4),(4),(4),(5),(5),(7),(9)) AS t(a)", ["4.0,4.571428571428571,2.0"]),
    ("distinct", "SELECT DISTINCT a, b FROM (VALUES (1,'x'),(1,'x'),(2,'x')) AS t(a,b)", ["1,x", "2,x"]),
    ("null keys are one group", "SELECT a, COUNT(*) FROM (VALUES (1),(CAST(NULL AS INT)),(CAST(NULL AS INT))) AS t(a) GROUP BY a", [",2", "1,1"]),
    # the founding talk's vectors
    ("talk: tumbling 5 s", TALK_DDL + SUM5, [AT % 0 + "," + AT % 5 + ",11,4", AT % 5 + "," + AT % 10 + ",19,5", AT % 10 + "," + AT % 15 + ",5,2"]),
    ("talk: older form", TALK_DDL + "SELECT TUMBLE_START(ts, INTERVAL '5' SECOND), SUM(v) FROM t GROUP BY TUMBLE(ts, INTERVAL '5' SECOND)",
     [AT % 0 + ",11", AT % 5 + ",19", AT % 10 + ",5"]),
    ("talk: hopping by status", "CREATE TABLE t (ts TIMESTAMP(3), s STRING, WATERMARK FOR ts AS ts) WITH ('connector'='filesystem','format'='csv',"
     "'path'='${DIR}/status.csv','csv.ignore-first-line'='true');\nSELECT EXTRACT(MINUTE FROM window_start) * 60 + EXTRACT(SECOND FROM window_start) - 60, "
     "COUNT(*) FILTER (WHERE s = 'S'), COUNT(*) FILTER (WHERE s = 'W'), COUNT(*) FILTER (WHERE s = 'E') "
     "FROM TABLE(HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) GROUP BY window_start, window_end",
     ["-5,2,0,0", "0,4,0,0", "5,3,0,1", "10,1,2,1", "15,0,2,2", "20,0,0,4", "25,0,0,2"]),
    ("watermark: 3 s are enough", LATE_DDL % "3" + SUM5, [AT % 0 + "," + AT % 5 + ",10,4", AT % 5 + "," + AT % 10 + ",7,1"]),
    ("watermark: 2.002 s are enough", LATE_DDL % "2.002" + SUM5, [AT % 0 + "," + AT % 5 + ",10,4", AT % 5 + "," + AT % 10 + ",7,1"]),
    ("watermark: with 2.001 s the 4 is late", LATE_DDL % "2.001" + SUM5, [AT % 0 + "," + AT % 5 + ",6,3", AT % 5 + "," + AT % 10 + ",7,1"]),
    ("cumulate", TALK_DDL + "SELECT window_end, SUM(v) FROM TABLE(CUMULATE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) "
     "GROUP BY window_start, window_end", [AT % 5 + ",11", AT % 10 + ",30", AT % 15 + ",5", AT % 20 + ",5"]),
    ("named arguments and an offset", TALK_DDL + "SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(DATA => TABLE t, TIMECOL => DESCRIPTOR(ts), "
     "SIZE => INTERVAL '5' SECOND, OFFSET => INTERVAL '1' SECOND)) GROUP BY window_start, window_end", [AT % 1 + ",5", AT % 6 + ",5", AT % 11 + ",1"]),
    ("rows with their windows", TALK_DDL + "SELECT v, window_end FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND)) WHERE v > 4",
     ["5," + AT % 5, "7," + AT % 10]),
    ("window over a window", TALK_DDL + "CREATE VIEW w AS SELECT window_time AS wt, SUM(v) AS s FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), "
     "INTERVAL '1' SECOND)) GROUP BY window_start, window_end, window_time;\nSELECT window_start, MAX(s), COUNT(*) FROM TABLE(TUMBLE(TABLE w, "
     "DESCRIPTOR(wt), INTERVAL '5' SECOND)) GROUP BY window_start, window_end", [AT % 0 + ",5,4", AT % 5 + ",7,5", AT % 10 + ",4,2"]),
    ("processing-time windows count every row", "CREATE TABLE t (ts STRING, v INT, p AS PROCTIME()) WITH ('connector'='filesystem','format'='csv',"
     "'path'='${DIR}/talk.csv','csv.ignore-first-line'='true');\nSELECT SUM(n) FROM (SELECT COUNT(*) AS n FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(p), "
     "INTERVAL '0.01' SECOND)) GROUP BY window_start, window_end)", ["11"]),
    ("sessions: exactly a gap apart is one", "CREATE TABLE t (ts TIMESTAMP(3), v INT, WATERMARK FOR ts AS ts) WITH ('connector'='filesystem','format'='csv',"
     "'path'='${DIR}/gap.csv');\nSELECT window_start, window_end, COUNT(*) FROM TABLE(SESSION(TABLE t, DESCRIPTOR(ts), INTERVAL '10' MINUTE)) "
     "GROUP BY window_start, window_end", ["1970-01-01 10:00:00.000,1970-01-01 10:25:00.000,3", "1970-01-01 10:25:00.001,1970-01-01 10:35:00.001,1"]),
    ("a window over a file", "SELECT window_start, SUM(v) FROM TABLE(TUMBLE(TABLE '${DIR}/named.csv', DESCRIPTOR(ts), INTERVAL '5' SECOND)) "
     "GROUP BY window_start, window_end", [AT % 0 + ",11", AT % 5 + ",19", AT % 10 + ",5"]),
    ("union all", "SELECT a FROM (VALUES (1),(2)) AS t(a) UNION ALL SELECT b * 10 FROM (VALUES (1),(2)) AS u(b)", ["1", "2", "10", "20"]),
    ("with", "WITH q AS (SELECT 1 AS a), r AS (SELECT a + 1 AS b FROM q) SELECT b FROM r", ["2"]),
    ("bad rows skipped", BAD_DDL % ",'on-error'='skip'" + "SELECT a FROM t WHERE b > 0", ["1", "3", "5"]),
    ("bad rows ignored", BAD_DDL % ",'csv.ignore-parse-errors'='true'" + "SELECT a FROM t WHERE b > 0", ["1", "3", "5"]),
    ("a column nobody reads is not parsed", "CREATE TABLE t (a INT, b INT) WITH ('connector'='filesystem','format'='csv','path'='${DIR}/bad.csv',"
     "'on-error'='skip');\nSELECT a FROM t", ["1", "2", "3", "5"]),
    ("an empty file has no rows", "CREATE TABLE t (a INT) WITH ('connector'='filesystem','format'='csv','path'='${DIR}/empty.csv');\nSELECT COUNT(*) FROM t", ["0"]),
    ("gzip", "CREATE TABLE t (ts TIMESTAMP(3), v INT) WITH ('connector'='filesystem','format'='csv','path'='${DIR}/talk.csv.gz',"
     "'csv.ignore-first-line'='true');\nSELECT SUM(v) FROM t", ["35"]),
    ("a variable", "SELECT '${DIR}' = '${DIR}'", ["true"]),
]

ERRORS = [
    ("misspelt keyword", "SELCT 1", 78, "1:1", ["SELCT", "did you mean SELECT"]),
    ("misspelt column", "SELECT nme FROM '${DIR}/people.csv'", 78, "1:8", ["no column nme", "did you mean name"]),
    ("misspelt function", "SELECT UPER('x')", 78, "1:8", ["no function UPER", "did you mean UPPER"]),
    ("unknown table", "SELECT * FROM nowhere", 78, "1:15", ["no table nowhere"]),
    ("missing file", "SELECT * FROM '${DIR}/none.csv'", 66, "1:15", ["none.csv", "No such file"]),
    ("unknown connector", "CREATE TABLE t (a INT) WITH ('connector' = 'filesytem')", 78, "1:14", ["filesytem", "did you mean 'filesystem'"]),
    ("unknown option", "CREATE TABLE t (a INT) WITH ('connector'='filesystem','format'='csv','path'='${DIR}/late.csv','csv.field-delimeter'=';');\n"
     "SELECT * FROM t", 78, None, ["csv.field-delimeter", "did you mean 'csv.field-delimiter'"]),
    ("unknown setting", "SET 'table.local-timezone' = 'UTC'", 78, "1:5", ["did you mean 'table.local-time-zone'"]),
    ("types that do not fit", "SELECT 1 + 'a' + TRUE", 78, None, ["does not take"]),
    ("no time attribute", "CREATE TABLE t (ts TIMESTAMP(3)) WITH ('connector'='blackhole');\nCREATE TABLE u (ts TIMESTAMP(3), v INT) WITH "
     "('connector'='filesystem','format'='csv','path'='${DIR}/late.csv');\nSELECT COUNT(*) FROM TABLE(TUMBLE(TABLE u, DESCRIPTOR(ts), "
     "INTERVAL '5' SECOND)) GROUP BY window_start, window_end", 78, "3:55", ["no time attribute", "WATERMARK FOR ts"]),
    ("slide above size", TALK_DDL + "SELECT COUNT(*) FROM TABLE(HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '5' SECOND)) GROUP BY "
     "window_start, window_end", 78, None, ["slide", "10000000", "5000000"]),
    ("not in group by", TALK_DDL + "SELECT v, COUNT(*) FROM t", 78, "2:8", ["v is neither in GROUP BY"]),
    ("joins", "SELECT * FROM '${DIR}/late.csv' a JOIN '${DIR}/late.csv' b ON a.f0 = b.f0", 78, None, ["joins are not supported yet"]),
    ("over", "SELECT SUM(a) OVER (ORDER BY a) FROM (VALUES (1)) AS t(a)", 78, "1:8", ["OVER is not supported yet"]),
    ("json", "CREATE TABLE t (a INT) WITH ('connector'='filesystem','format'='json','path'='${DIR}/late.csv');\nSELECT * FROM t", 78, None,
     ["json", "not supported yet"]),
    ("unset variable", "SELECT ${NOT_SET_ANYWHERE}", 78, "1:8", ["NOT_SET_ANYWHERE", "-D"]),
    ("column counts", "CREATE TABLE s (a INT, b INT) WITH ('connector'='blackhole');\nINSERT INTO s SELECT 1", 78, "2:13", ["gives 1 columns", "takes 2"]),
    ("division by zero", "SELECT 1 / a FROM (VALUES (0)) AS t(a)", 65, "1:8", ["division by zero"]),
    ("bad text", "SELECT CAST(a AS INT) FROM (VALUES ('x')) AS t(a)", 65, "1:8", ["cannot cast 'x' to INT", "TRY_CAST"]),
    ("bad row", BAD_DDL % "" + "SELECT a, b FROM t", 65, None, ["bad.csv", "byte 5", "column b", "'x' is no INT", "on-error"]),
    ("cut off gzip", "CREATE TABLE t (ts TIMESTAMP(3), v INT) WITH ('connector'='filesystem','format'='csv','path'='${DIR}/cut.csv.gz',"
     "'csv.ignore-first-line'='true');\nSELECT COUNT(*) FROM t", 65, None, ["cut.csv.gz", "cut off"]),
    ("one sink twice", "CREATE TABLE s (a INT) WITH ('connector'='blackhole');\nEXECUTE STATEMENT SET BEGIN INSERT INTO s SELECT 1; INSERT INTO s SELECT 2; END",
     78, "2:65", ["two INSERTs into table s", "UNION ALL"]),
    ("deep nesting", "SELECT " + "(" * 300 + "1" + ")" * 300, 78, None, ["200 levels"]),
    ("unclosed string", "SELECT 'abc", 78, "1:8", ["never closed"]),
]


def run(sql, directory, extra=(), env=None):
    args = [COMMAND, "run", "-c", sql, "-D", "DIR=" + directory, "--quiet", *extra]
    p = subprocess.run(args, capture_output=True, env={**os.environ, **(env or {})})
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def matrix():
    for shards in ("1", "2") if QUICK else ("1", "2", "3", "8"):
        for batch in ("1", "4096"):
            for trip in (None, "7"):
                yield ["--shards", shards, "--set", "batch-rows=" + batch], {"MILL_ROUNDTRIP": trip} if trip else {}
    for isa in ("scalar", "avx2", "avx512"):
        yield ["--shards", "2"], {"MILL_ISA": isa}


def main():
    passed, failed = 0, 0
    with tempfile.TemporaryDirectory() as directory:
        for name, text in INPUTS.items():
            with open(os.path.join(directory, name), "w", newline="") as f:
                f.write(text)
        whole = gzip.compress(TALK.encode())
        big = gzip.compress(("ts,v\n" + "1970-01-01 00:00:01.000,1\n" * 100000).encode())
        for name, data in (("talk.csv.gz", whole), ("cut.csv.gz", big[:len(big) // 2])):
            with open(os.path.join(directory, name), "wb") as f:
                f.write(data)
        for name, sql, expected in ANSWERS:
            wrong = None
            for extra, env in matrix():
                code, out, err = run(sql, directory, extra, env)
                if code == 78 and "MILL_ISA" in env and "this CPU has no" in err:
                    continue
                if code != 0 or out.split("\n")[1:-1] != expected:
                    wrong = "%s %s %s: exit %d\n  got      %s\n  expected %s\n  %s" % (name, extra, env, code, out.split("\n")[1:-1], expected, err.strip())
                    break
            passed, failed = passed + (wrong is None), failed + (wrong is not None)
            if wrong:
                print("FAILED:", wrong)
        for name, sql, code, where, words in ERRORS:
            got, out, err = run(sql, directory)
            missing = [w for w in words if w not in err] + ([where] if where and "SQL:" + where + ":" not in err else [])
            ok = got == code and not missing
            passed, failed = passed + ok, failed + (not ok)
            if not ok:
                print("FAILED: %s: exit %d, expected %d; missing %s in: %s" % (name, got, code, missing, err.strip()))
    print("sql_cases: %d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed else 0


sys.exit(main())
