#!/usr/bin/env python3
"""millstream bench: that wrong answers are noticed, its reports, the comparison of two, and what it says of wrong options. Tiny rows; no time
is judged. What the workloads' answers are is recomputed in the command itself (tools/bench_*.c), from the data and not by the engine."""
import json, os, re, subprocess, sys, tempfile
import xml.etree.ElementTree as xml

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
tests = []


def test(function):
    tests.append(function)
    return function


def bench(*args, env=None):
    p = subprocess.run([COMMAND, "bench", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, env={**os.environ, **(env or {})})
    return p.returncode, p.stdout, p.stderr


def expect(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


def record(folder, name, *args):
    path = os.path.join(folder, name)
    code, out, err = bench(*args, "--quiet", "--json", path)
    expect(code == 0 and out == "", code, out, err)
    return path, json.load(open(path))


@test
def every_workload_gives_its_answer():
    code, out, err = bench("--rows", "3000", "--runs", "1", "--shards", "1,3")
    skipped = re.findall(r"^(lightsaber-\S+): skipped: .*$", err, re.M)  # data sets that are no part of the project
    expect(code == 0 and len(skipped) == len(err.splitlines()), code, err)
    listed = [line.split()[1] for line in bench("--list")[1].splitlines()]
    for name in listed:
        expect((name in skipped) != (len(re.findall(r"/%s +[13] shard" % re.escape(name), out)) == 2), name, "is not in", out)
    expect("wrong-answer" not in listed)


@test
def nexmark_has_its_own_table():
    code, out, err = bench("nexmark", "--queries", "q2,q12,q5_counts", "--events", "20000", "--runs", "1", "--shards", "1,2")
    expect(code == 0 and err == "" and out.count("nexmark/nexmark-") == 6, code, err, out)
    tables = re.findall(r"^NEXMark, (\d) shards?\nquery .*\n((?:q.*\n)+)ratio to Flink's published rate per core: geometric mean .* of 2 queries$", out, re.M)
    expect([shards for shards, _ in tables] == ["1", "2"], out)
    for _, table in tables:
        rows = {line.split()[0]: line for line in table.splitlines()}
        expect(set(rows) == {"q2", "q12", "q5_counts"} and all(line.split()[1] == "20000" for line in rows.values()), table)
        expect(rows["q2"].endswith(" oracle") and rows["q12"].endswith(" sum of a column") and rows["q5_counts"].endswith(" oracle"), table)
        cores, seconds, product, rate, flink, ratio = map(float, rows["q2"].split()[2:8])
        expect(flink == 175 and abs(rate / flink - ratio) < 0.1 and abs(cores * seconds - product) < 0.05, rows["q2"])
    code, out, err = bench("nexmark", "--queries", "q2", "--events", "20001", "--runs", "1", "--shards", "1")  # nobody has worked that out
    expect(code == 0 and re.search(r"^q2 .* unchecked$", out, re.M), out)
    for wrong in ("q99", "q2,,q3", ""):
        code, out, err = bench("nexmark", "--queries", wrong, "--events", "100")
        expect(code == 64 and err, wrong, code, err)


@test
def a_wrong_answer_is_70_with_what_differs():
    code, out, err = bench("wrong-answer", "--runs", "1")
    expect(code == 70 and "wrong-answer" in err and "WRONG ANSWER" in err and "wrong on purpose" in err, code, err)
    expect("rows/s" not in out, "a figure was printed:", out)
    code, out, err = bench("wrong-reference", "--runs", "1")
    expect(code == 70 and "column 1" in err and "expected 101" in err, code, err)
    # the others still run, and the code stays
    code, out, err = bench("unkeyed", "wrong-answer", "--runs", "1", "--rows", "100")
    expect(code == 70 and "unkeyed" in out, code, out)


@test
def the_json_has_all_runs_and_the_machine():
    with tempfile.TemporaryDirectory() as folder:
        _, r = record(folder, "a.json", "dense100", "csv", "start", "--rows", "2000", "--runs", "3", "--shards", "1,2")
        expect(r["format"] == 1 and r["machine"]["cpus"] == os.cpu_count() and r["commit"] and "-O" in r["flags"] and "compiler" in r["build"], r)
        got = {(x["name"], x["shards"]): x for x in r["results"]}
        expect(set(got) == {(n, s) for n in ("dense100", "csv", "start", "idle-memory") for s in (1, 2)}, got.keys())
        for x in r["results"]:
            samples = sorted(x["samples"])
            expect(len(samples) == 3 and abs(x["rate"]["median"] / samples[1] - 1) < 1e-6 and x["rate"]["min"] == samples[0], x)
        one = got["dense100", 1]
        expect(one["rows"] == 2000 and one["unit"] == "rows/s" and one["checked"] == "recomputed" and one["cpu_ns_per_row"]["median"] >= 0, one)
        expect(one["digest"] == got["dense100", 2]["digest"] and one["result_rows"] == got["dense100", 2]["result_rows"] > 800, one)
        expect(got["csv", 1]["bytes"] > 2000 * 20 and got["start", 1]["unit"] == "ms", got["csv", 1])


@test
def reports_of_a_recorded_run():
    with tempfile.TemporaryDirectory() as folder:
        path, r = record(folder, "a.json", "dense100", "hop2", "start", "--rows", "2000", "--runs", "2", "--shards", "1,2")
        md, svg = os.path.join(folder, "t.md"), os.path.join(folder, "plots")
        code, out, err = bench("--from", path, "--markdown", md, "--svg", svg)
        expect(code == 0 and err == "" and out.count("\n") == len(r["results"]), code, err, out)
        text = open(md).read()
        rows = [line for line in text.splitlines() if line.startswith(("| dense100", "| hop2", "| start", "| idle"))]
        expect(len(rows) == 8 and all(line.count("|") == rows[0].count("|") for line in rows) and r["commit"] in text, text)
        expect(sorted(os.listdir(svg)) == ["memory-1.svg", "memory-2.svg", "memory-scaling.svg", "memory-stages-1.svg", "memory-stages-2.svg"], os.listdir(svg))
        for name in os.listdir(svg):
            root = xml.parse(os.path.join(svg, name)).getroot()
            texts = "".join(t.text or "" for t in root.iter("{http://www.w3.org/2000/svg}text"))
            expect("dense100" in texts and "hop2" in texts and ("rows/s" in texts or "one shard" in texts or "ns of all shards" in texts), name, texts)
            expect(not list(root.iter("{http://www.w3.org/2000/svg}script")), name)


@test
def the_stages_of_a_row_are_what_the_operators_took():
    with tempfile.TemporaryDirectory() as folder:
        _, r = record(folder, "a.json", "dense100", "--rows", "200000", "--runs", "1", "--shards", "1,2")
        for one in r["results"]:
            source, calc, partial, exchange, aggregate, rest = one["stage_ns_per_row"]
            expect(source > 0 and aggregate > 0 and rest > 0, one)
            expect((exchange > 0) == (one["shards"] > 1), one)


@test
def latency_of_single_rows():
    with tempfile.TemporaryDirectory() as folder:
        for query, results in (("filter", 2000), ("count", None), ("tumble", None)):
            report, text, svg = (os.path.join(folder, query + end) for end in (".json", ".hgrm", ".svg"))
            code, out, err = bench("latency", "--query", query, "--rate", "20000", "--rows", "2000", "--json", report, "--hgrm", text, "--svg", svg)
            expect(code == 0 and err == "", code, err)
            r = json.load(open(report))
            us = r["microseconds"]["engine"]
            expect(us["count"] == results if results else us["count"] > 0, r)
            expect(0 < us["p50"] <= us["p99"] <= us["p99.99"] <= us["max"], us)
            lines = open(text).read().splitlines()
            expect(lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"], lines[0])
            points = [[float(v) for v in line.split()] for line in lines[2:] if not line.startswith("#")]
            expect(all(a[0] <= b[0] and a[1] <= b[1] and a[2] <= b[2] for a, b in zip(points, points[1:])), lines)
            expect(points[-1][2] == us["count"] and abs(points[-1][0] - us["max"]) < 0.002, points[-1], us)
            xml.parse(svg)


@test
def latency_options():
    for args, said in ((["--query", "filtr"], "did you mean filter?"), (["--rate", "0"], "--rate is 0, need a number"), (["--rows"], "there is no value for --rows"),
                       (["--idle", "sleep"], "need spin, yield or park"), (["--driver", "x"], "--driver is turns or threads, not x"), (["--rat", "1"], "there is no option --rat"),
                       (["--rate", "1e6x"], "need a number"), (["--rows", "100", "--json", "/nowhere/x"], "cannot write /nowhere/x")):
        code, out, err = bench("latency", *args)
        expect(code in (64, 70, 74) and said in err, args, code, err)


def altered(folder, r, name, factor):
    for x in r["results"]:
        x["samples"] = [v * factor for v in x["samples"]]
        for key in x["rate"]:
            x["rate"][key] *= factor
    path = os.path.join(folder, name)
    json.dump(r, open(path, "w"))
    return path


@test
def compare_marks_what_lies_beyond_the_noise():
    with tempfile.TemporaryDirectory() as folder:
        path, r = record(folder, "a.json", "dense100", "--rows", "2000", "--runs", "2", "--shards", "1")
        code, out, _ = bench("--compare", path, path)
        expect(code == 0 and "within the noise" in out and "0 slower, 0 faster, 1 within" in out, code, out)
        spread = r["results"][0]["rate"]["max"] / r["results"][0]["rate"]["min"]
        slow = altered(folder, r, "slow.json", 1 / (spread * 1.01))
        code, out, _ = bench("--compare", path, slow)
        expect(code == 1 and "SLOWER" in out and "1 slower" in out, code, out)
        code, out, _ = bench("--compare", slow, path)
        expect(code == 0 and "1 faster" in out, code, out)
        # spreads that overlap are noise, and of milliseconds less is better
        near = altered(folder, json.load(open(path)), "near.json", spread**-0.5)
        expect(bench("--compare", path, near)[0] == 0)
        ms, r = record(folder, "ms.json", "start", "--runs", "2", "--shards", "1", "--rows", "10")
        more = altered(folder, r, "more.json", 10)
        expect(bench("--compare", ms, more)[0] == 1 and bench("--compare", more, ms)[0] == 0)
        # other rows cannot be compared
        other, _ = record(folder, "b.json", "dense100", "--rows", "3000", "--runs", "2", "--shards", "1")
        code, out, err = bench("--compare", path, other)
        expect(code == 64 and "no result in common" in err, code, out, err)


@test
def what_cannot_be_compared_is_said():
    with tempfile.TemporaryDirectory() as folder:
        def file(name, text):
            path = os.path.join(folder, name)
            open(path, "w").write(text)
            return path

        code, _, err = bench("--compare", folder + "/none.json", folder + "/none.json")
        expect(code == 66 and "none.json" in err and "No such file" in err, code, err)
        for name, text in (("text", "results"), ("cut", '{"results": ['), ("other", '{"a": 1}'), ("more", '{"results": []} x'),
                           ("deep", "[" * 1000), ("list", "[1, 2]"), ("string", '{"results": [{"name": "a]}')):
            code, _, err = bench("--from", file(name, text))
            expect(code == 65 and name in err and "no result of millstream bench" in err, name, code, err)
        code, _, err = bench("--from", file("empty", ""))
        expect(code == 66 and "empty" in err, code, err)
        expect(bench("--from", file("none", '{"results": []}'))[0] == 0)
        # entries without their fields, or with fields of another kind: nothing is read beyond them
        code, _, err = bench("--from", file("bare", '{"results": [{}, {"name": 5, "samples": {"a": 1}, "peer": 3}]}'), "--svg", folder + "/p")
        expect(code in (0, 65), code, err)


@test
def wrong_options():
    for args, words in ((["dense10"], ["no workload or group dense10,", "did you mean dense100?"]), (["--rows", "0", "unkeyed"], ["--rows needs", "not 0"]),
                        (["--rows", "5q"], ["5q"]), (["--rows", "-5"], ["-5"]), (["--rows"], ["missing behind --rows"]), (["--rows", "99999M"], ["2000M"]),
                        (["--shards", "0"], ["--shards needs"]), (["--shards", "1,,2"], ["1,,2"]), (["--shards", "1,x"], ["1,x"]),
                        (["--shards", "300"], ["300"]), (["--shards", ""], ["--shards needs"]), (["--runs", "0"], ["--runs is 1 to 101"]),
                        (["--peer", "spark"], ["duckdb", "spark"]), (["--mardown", "x"], ["did you mean --markdown?"]),
                        (["--compare", "a.json"], ["two files"]), (["--compare", "a", "b", "c"], ["two files"])):
        code, out, err = bench(*args)
        expect(code == 64 and out == "" and all(w in err for w in words), args, code, out, err)


@test
def reports_that_cannot_be_written_are_said_before_anything_runs():
    for option in ("--json", "--markdown"):
        code, out, err = bench("unkeyed", "--rows", "100", option, "/nowhere/x")
        expect(code == 74 and out == "" and "/nowhere/x" in err and "No such file" in err, code, out, err)
    code, _, err = bench("unkeyed", "--rows", "100", "--runs", "1", "--svg", "/nowhere/x")
    expect(code == 74 and "/nowhere/x" in err, code, err)
    code, _, err = bench("csv", "--rows", "100", "--runs", "1", env={"TMPDIR": "/nowhere"})
    expect(code == 74 and "/nowhere" in err, code, err)


@test
def the_temporary_folder_goes():
    with tempfile.TemporaryDirectory() as folder:
        expect(bench("csv", "wrong-answer", "--rows", "100", "--runs", "1", env={"TMPDIR": folder})[0] == 70)
        expect(os.listdir(folder) == [], os.listdir(folder))


@test
def an_absent_peer_is_skipped_with_a_message():
    with tempfile.TemporaryDirectory() as folder:
        python = os.path.join(folder, "python3")
        open(python, "w").write("#!/bin/sh\necho \"No module named 'duckdb'\"\n")
        os.chmod(python, 0o755)
        for given in (python, folder + "/none"):
            code, out, err = bench("unkeyed", "--rows", "100", "--runs", "1", "--peer", "duckdb", env={"MILL_BENCH_PYTHON": given})
            expect(code == 0 and "unkeyed" in out and "skipped" in err and "setup.sh" in err and given in err, code, out, err)


@test
def a_peer_with_another_answer_is_70():
    """A peer in Python that answers to each command; its rows are 99 of the value that is given, then 1 of the right sum."""
    with tempfile.TemporaryDirectory() as folder:
        python = os.path.join(folder, "python3")
        for answer, wanted in (("1 i:99", 70), ("2 i:100", 70), ("1 i:100", 0)):
            open(python, "w").write("#!/bin/sh\necho ok 0.0\nwhile read -r line; do case $line in *answer*) echo ok %s;; *) echo ok 0.5;; esac; done\n" % answer)
            os.chmod(python, 0o755)
            code, out, err = bench("wrong-peer", "--runs", "2", "--shards", "1", "--peer", "duckdb", env={"MILL_BENCH_PYTHON": python})
            expect(code == wanted, answer, code, out, err)
            expect(("WRONG ANSWER" in err) == (wanted == 70) and ("200.00 rows/s" in out) == (wanted == 0), answer, out, err)


@test
def duckdb_agrees():
    try:
        import duckdb, numpy
    except ImportError:
        return "skipped"
    code, out, err = bench("memory", "csv", "json", "--rows", "5000", "--runs", "1", "--shards", "1", "--peer", "duckdb", env={"MILL_BENCH_PYTHON": sys.executable})
    expect(code == 0 and err == "" and out.count("DuckDB") >= 11, code, out, err)


failed = skipped = 0
for t in tests:
    try:
        skipped += t() == "skipped"
    except Exception as e:
        failed += 1
        print("FAILED: %s: %s: %s" % (t.__name__, type(e).__name__, e))
print("%d passed, %d failed, %d skipped" % (len(tests) - failed - skipped, failed, skipped))
sys.exit(failed > 0)
