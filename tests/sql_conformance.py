#!/usr/bin/env python3
"""Cases taken from other engines' tests (MILL_CONFORMANCE, default ../shared/conformance): their rows, DDL, SQL and answers.

Skipped when the folder is absent. A case that needs what is "not supported yet" is skipped by name. Answers are compared as multisets at
1, 2, 3 and 8 shards, with batches of 1, 2 and 4,096 rows, and for every instruction set the CPU has.
"""
import csv, glob, io, json, os, re, subprocess, sys, tempfile

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = os.environ.get("MILL_CONFORMANCE", os.path.join(HERE, "..", "shared", "conformance"))


def cell(x):
    return "\\N" if x is None else str(x)


def rowtime(ms):
    return "1970-01-01 00:00:%02d.%03d" % (ms // 1000, ms % 1000)


def plain(x):
    """One form for all values: times without trailing zeros, numbers as numbers, ms where the case counts in ms."""
    if x is None or x == "":
        return None
    x = str(x)
    if re.match(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", x):
        return re.sub(r"\.?0+$", "", x) if "." in x else x
    try:
        return float(x)
    except ValueError:
        return x


def to_ms(x):
    m = re.match(r"^1970-01-01 00:00:(\d\d)\.(\d{3})$", x or "")
    return str(int(m.group(1)) * 1000 + int(m.group(2))) if m else x


def plain_cases(name, case):
    """Cases of the plain form out of the folder's other forms: (name, case)."""
    if "cases" in case:                    # Scotty: [value, ms] rows; the union of the windows over all its watermarks
        for c in case["cases"]:
            windows = [w for _, reported in c["watermarks"] for w in reported]
            yield name + " " + c["test"], {**case, "rows": c["rows"], "columns": [["v", "INT"], ["ts", "BIGINT"]], "time_column": "ts",
                                           "expected": windows}
    elif "merges" in case:                 # two answers: ours is Flink's
        yield name, {**case, "rows": [[t] for t in case["rows"]], "columns": [["ts", "BIGINT"]], "time_column": "ts",
                     "expected": case["merges"]["expected"]}
    elif "rows" in case and "expected" in case:
        yield name, case


def join_cases(name, case):
    """Interval joins: (name, {table: rows}, ddl, sql, expected)."""
    if "orders" in case:
        yield name, {t: case[t] for t in ("orders", "shipments")}, case["ddl"], case["sql"], case["expected"]
        return
    ddl = ["CREATE TABLE %s (`key` STRING, id STRING, rowtime TIMESTAMP(3), WATERMARK FOR rowtime AS rowtime - INTERVAL '0.001' SECOND)" % t
           for t in "lr"]
    for c in case["cases"]:
        tables = {t: [[k, i, rowtime(ms)] for k, i, ms in c[side]] for t, side in (("l", "left"), ("r", "right"))}
        yield name + " " + c["test"], tables, ddl, c["sql"], c["expected"]


def feldera_cases(name, case):
    """Steps of inserted and removed rows with the change of the answer after each, as weighted rows: (name, rows with their kinds, answer) of
    each prefix. The end of the input closes all sessions, so the answer over a prefix is the sum of the changes up to it."""
    rows, answer = [], {}
    for number, step in enumerate(case["steps"], 1):
        rows = rows + [["+I", *r] for r in step.get("insert", [])] + [["-D", *r] for r in step.get("remove", [])]
        for *row, weight in step["expect"]:
            answer[tuple(row)] = answer.get(tuple(row), 0) + weight
        assert set(answer.values()) <= {0, 1}
        yield "%s, %d steps" % (name, number), rows, [list(r) for r, weight in answer.items() if weight]


def configurations():
    for shards in "1238":
        for batch in ("1", "2", "4096"):
            yield ["--shards", shards, "--set", "batch-rows=" + batch], {}
    for isa in ("scalar", "avx2", "avx512"):
        yield ["--shards", "2"], {"MILL_ISA": isa}


def tables_of(case):
    rows = case["rows"]
    if case.get("time_unit") != "ms":
        return rows
    at = [c[0] for c in case["columns"]].index(case["time_column"])
    return [r + [rowtime(r[at])] for r in rows]


def run_case(case, directory):
    """None: right; a text: wrong; ("skip", why)."""
    path = os.path.join(directory, "t.csv")
    with open(path, "w", newline="") as f:
        w = csv.writer(f)
        for row in tables_of(case):
            w.writerow([cell(x) for x in row])
    ddl = case["ddl"][0].rstrip(";") + " WITH ('connector'='filesystem','format'='csv','path'='%s','csv.null-literal'='\\N');\n" % path
    expected = sorted([[plain(x) for x in r] for r in case["expected"]], key=repr)
    for options, env in configurations():
        p = subprocess.run([COMMAND, "run", "-c", ddl + case["sql"], "--quiet", *options], capture_output=True, text=True, env={**os.environ, **env})
        if p.returncode == 78 and env and "this CPU has no" in p.stderr:
            continue
        if p.returncode == 78 and "not supported yet" in p.stderr:
            return "skip", p.stderr.split("\n")[0]
        got = list(csv.reader(io.StringIO(p.stdout)))[1:]
        if case.get("time_unit") == "ms":
            got = [[to_ms(x) for x in r] for r in got]
        got = sorted([[plain(x) for x in r] for r in got], key=repr)
        if p.returncode != 0 or got != expected:
            return "%s %s, exit %d\n  got      %s\n  expected %s\n  %s" % (" ".join(options), env, p.returncode, got, expected, p.stderr.strip())
    return None


def fold(rows):
    """The rows that a changelog leaves."""
    left = []
    for kind, *row in rows:
        if kind in ("+I", "+U"):
            left.append(row)
        else:
            left.remove(row)
    return left


def run_changes(rows, ddl, sql, settings, ms, expected, directory):
    """As run_case(): the fold of what is given is @expected. A first column of kinds where the rows are not as wide as the table."""
    path = os.path.join(directory, "t.csv")
    with open(path, "w", newline="") as f:
        csv.writer(f).writerows([[cell(x) for x in row] for row in rows])
    with_ = " WITH ('connector'='filesystem','format'='csv','path'='%s','csv.null-literal'='\\N'%s);\n" % (
        path, ", 'changelog.column'='op'" if rows[0][0] in ("+I", "-D") else "")
    script = "".join("SET %s;\n" % s for s in settings) + "".join(
        d + (with_ if d.startswith("CREATE") else ";\n") for d in ddl) + sql
    expected = sorted([[plain(x) for x in r] for r in expected], key=repr)
    for options, env in configurations():
        p = subprocess.run([COMMAND, "run", "-c", script, "--quiet", *options], capture_output=True, text=True, timeout=60, env={**os.environ, **env})
        if p.returncode == 78 and env and "this CPU has no" in p.stderr:
            continue
        got = list(csv.reader(io.StringIO(p.stdout)))
        if got and got[0][0] == "op":
            got = fold(got[1:])
        else:
            got = got[1:]
        got = sorted([[plain(to_ms(x) if ms else x) for x in r] for r in got], key=repr)
        if p.returncode != 0 or got != expected:
            return "%s %s %s, exit %d\n  got      %s\n  expected %s\n  %s" % (
                " ".join(options), settings, env, p.returncode, got, expected, p.stderr.strip())
    return None


STREAMING = "'execution.runtime-mode'='streaming'"
EARLY = ["'table.exec.emit.early-fire.enabled'='true'", "'table.exec.emit.early-fire.delay'='0 s'"]


def changing_cases(directory):
    """(title, None or what is wrong) of the cases whose answers change: allowed lateness, rows that are taken back."""
    for name in sorted(glob.glob(os.path.join(FOLDER, "02-*", "feldera_*.json"))):
        case = json.load(open(name))
        for title, rows, expected in feldera_cases(os.path.basename(name), case):
            for settings in ([], [STREAMING], [STREAMING] + EARLY):
                yield title, run_changes(rows, case["ddl"], case["sql"], settings, False, expected, directory)
    for name in sorted(glob.glob(os.path.join(FOLDER, "03-*", "*.json"))):
        case = json.load(open(name))
        for settings in ([], [STREAMING], [STREAMING] + EARLY):
            yield os.path.basename(name), run_changes(tables_of(case), case["ddl"], case["sql"], settings, True, case["expected"], directory)


def run_join(tables, ddl, sql, expected, directory):
    """As run_case()."""
    setup = ""
    for statement in ddl:
        name = statement.split()[2]
        path = os.path.join(directory, name + ".csv")
        with open(path, "w", newline="") as f:
            csv.writer(f).writerows([[cell(x) for x in row] for row in tables[name]])
        setup += statement + " WITH ('connector'='filesystem','format'='csv','path'='%s','csv.null-literal'='\\N');\n" % path
    expected = sorted([[plain(x) for x in r] for r in expected], key=repr)
    for options, env in configurations():
        p = subprocess.run([COMMAND, "run", "-c", setup + sql, "--quiet", *options], capture_output=True, text=True, env={**os.environ, **env})
        if p.returncode == 78 and env and "this CPU has no" in p.stderr:
            continue
        got = sorted([[plain(x) for x in r] for r in list(csv.reader(io.StringIO(p.stdout)))[1:]], key=repr)
        if p.returncode != 0 or got != expected:
            return "%s %s, exit %d\n  got      %s\n  expected %s\n  %s" % (" ".join(options), env, p.returncode, got, expected, p.stderr.strip())
    return None


def main():
    passed = failed = skipped = 0
    files = sorted(glob.glob(os.path.join(FOLDER, "0[12]-*", "*.json")))
    if not files:
        print("sql_conformance: skipped, there is no folder %s" % FOLDER)
    with tempfile.TemporaryDirectory() as directory:
        for name in files:
            for title, case in plain_cases(os.path.basename(name), json.load(open(name))):
                result = run_case(case, directory)
                if result is None:
                    passed += 1
                elif isinstance(result, tuple):
                    skipped += 1
                    print("skipped:", title, result[1])
                else:
                    failed += 1
                    print("FAILED:", title, result)
        for title, wrong in changing_cases(directory):
            passed, failed = passed + (wrong is None), failed + (wrong is not None)
            if wrong is not None:
                print("FAILED:", title, wrong)
        for name in sorted(glob.glob(os.path.join(FOLDER, "04-*", "*.json"))):
            for title, tables, ddl, sql, expected in join_cases(os.path.basename(name), json.load(open(name))):
                wrong = run_join(tables, ddl, sql, expected, directory)
                passed, failed = passed + (wrong is None), failed + (wrong is not None)
                if wrong is not None:
                    print("FAILED:", title, wrong)
    print("sql_conformance: %d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed else 0


sys.exit(main())
