#!/usr/bin/env python3
"""The command driven as a person does: verbs and their misspellings, pipes, terminals, signals, summaries, exit codes of docs/CLI.md."""
import gzip, json, os, pty, re, select, signal, subprocess, sys, tempfile, time

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
tests = []


def test(function):
    tests.append(function)
    return function


def run(*args, input=None, env=None, stdout=subprocess.PIPE):
    p = subprocess.run([COMMAND, *args], input=input, stdout=stdout, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})})
    return p.returncode, p.stdout, p.stderr


def on_terminal(args, env=None, until=None, send=None):
    """Runs with standard output and error on a terminal; what stood there, and the exit status. @until: bytes to wait for, then @send."""
    master, slave = pty.openpty()
    p = subprocess.Popen([COMMAND, *args], stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, env={**os.environ, **(env or {})})
    os.close(slave)
    seen = b""
    while True:
        if select.select([master], [], [], 60)[0]:
            try:
                data = os.read(master, 65536)
            except OSError:
                data = b""
            if not data:
                break
            seen += data
            if until and until in seen:
                p.send_signal(send)
                until = None
        else:
            p.kill()
            break
    os.close(master)
    return p.wait(), seen.decode()


def expect(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


@test
def help_is_on_stdout_and_usage_on_stderr():
    code, out, err = run("help")
    expect(code == 0 and "millstream run FILE" in out and err == "", code, err)
    code, out, err = run()
    expect(code == 64 and out == "" and "millstream run FILE" in err, code, out)


@test
def each_verb_has_help():
    words = {"run": ["run FILE", "--shards", "--json-summary"], "check": ["check FILE", "--set"], "explain": ["explain FILE", "-D NAME=VALUE"],
             "gen": ["gen nexmark --events", "gen datagen --rows", "--out"], "convert": ["convert IN OUT", "--schema", "--no-header"],
             "info": ["info FILE", "--verify"], "functions": ["functions"], "version": ["version"]}
    for verb, wanted in words.items():
        code, out, err = run(verb, "--help")
        expect((code, err) == (0, "") and all(w in out for w in wanted), verb, code, out, err)
        expect(all("millstream %s" % other not in out for other in words if other != verb), verb, out)
        for args in ((verb, "-h"), ("help", verb), (verb, "more", "-h")):
            expect(run(*args) == (0, out, ""), args)
    expect(run("gen", "nexmark", "--help")[0] == 0 and run("help", "--help") == run("help") == run("--help"))
    code, out, err = run("help", "chek")
    expect(code == 64 and out == "" and "did you mean check" in err, code, err)


@test
def the_man_page_has_every_option_and_exit_code():
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "docs")
    page = open(root + "/millstream.1").read().replace("\\-", "-")
    words = set()
    for verb in ("run", "check", "explain", "gen", "convert", "info", "functions", "version"):
        words |= set(re.findall(r"(?<![\w-])--?[a-zA-Z][a-z-]*", run(verb, "--help")[1]))
    expect({"--shards", "-D", "-i", "--verify", "--events", "--columns", "--no-header"} <= words, words)
    for word in words | {"MILL_IO", "MILL_ISA"}:
        expect(re.search(r"(?<![\w-])%s(?![\w-])" % word, page), word)
    table = open(root + "/CLI.md").read().split("| exit | meaning |")[1].split("\n\n")[0]
    codes = set(re.findall(r"\b\d+\b", re.sub(r"(?m)^\|([^|]*)\|.*$", r"\1", table)))
    status = page.split(".SH EXIT STATUS")[1]
    expect({"64", "78", "143"} <= codes and all(re.search(r"(?m)^\.BR? .*\b%s\b" % c, status) for c in codes), codes)


@test
def a_query_that_never_ran_prints_nothing():
    bad = "CREATE TABLE t (a INT) WITH ('connector'='filesystem','format'='csv','path'='/nonexistent/x.csv');SELECT a FROM t"
    for form in ("csv", "json", "table"):
        for sql, want in ((bad, 66), ("SELECT a FROM '/nonexistent/x.csv'", 66), (bad.replace("'csv'", "'nix'"), 78)):
            code, out, err = run("run", "--format", form, "-c", sql)
            expect((code, out) == (want, "") and "millstream:" in err, form, code, out, err)
    sql = "SELECT a FROM (VALUES (1)) AS t(a) WHERE a > 1"
    expect(run("run", "--quiet", "-c", sql)[:2] == (0, "a\n") and run("run", "--quiet", "--format", "table", "-c", sql)[1] == "| a |\n|---|\n")
    code, out, err = run("run", "--quiet", "-c", "SELECT 1 AS a; SELECT 2 AS b; " + bad)
    expect(out == "a\n1\nb\n2\n" and code == 66, out)


@test
def rates_have_a_fitting_unit():
    code, out, err = run("run", "-c", "SELECT 1 AS a")
    expect(re.search(r" s, [\d.]+ (K )?rows/s, ", err) and "0.00" not in err.split(" s, ")[1], err)
    code, out, err = run("run", "-c", "CREATE TABLE n (event_type INT) WITH ('connector'='nexmark','events.num'='2000000');SELECT COUNT(*) FROM n")
    m = re.search(r"2000000 rows in, .* ([\d.]+) s, ([\d.]+) ([KM]) rows/s", err)
    seconds, rate = float(m[1]), float(m[2]) * {"K": 1e3, "M": 1e6}[m[3]]      # seconds are rounded to milliseconds
    expect(2000000 / (seconds + 0.0006) * 0.99 <= rate <= 2000000 / max(seconds - 0.0006, 1e-9) * 1.01, err)


@test
def misspelt_words_are_named_with_the_nearest():
    for args, words in ((["rnu"], ["no verb rnu", "run"]), (["run", "--shard", "2", "x.sql"], ["--shard", "did you mean --shards"]),
                        (["run", "-c", "SELECT 1", "--format", "jsn"], ["csv, json or table", "jsn"]),
                        (["run", "--shards", "0", "-c", "SELECT 1"], ["1 to 256", "0"]),
                        (["run", "--shards"], ["value is missing", "--shards"]), (["run"], ["FILE", "-c SQL"]),
                        (["run", "a.sql", "b.sql"], ["one script", "b.sql"]), (["run", "-c", "SELECT 1", "--set", "x"], ["KEY=VALUE"]),
                        (["run", "-c", "SELECT 1", "-D", "x"], ["NAME=VALUE"])):
        code, out, err = run(*args)
        expect(code == 64 and out == "" and all(w in err for w in words), args, code, err)


@test
def a_script_comes_from_a_file_or_standard_input():
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as f:
        f.write("SELECT 1 AS one;\nSELCT 2;")
        f.flush()
        code, out, err = run("run", f.name, "--quiet")
        expect(code == 78 and out == "" and f.name + ":2:1:" in err, code, out, err)   # nothing runs before all of it parses
    code, out, err = run("run", "-", "--quiet", input="SELECT 1 AS one")
    expect((code, out) == (0, "one\n1\n"), code, out, err)
    code, out, err = run("run", "/nonexistent/job.sql")
    expect(code == 66 and "/nonexistent/job.sql" in err and "No such file" in err, code, err)
    code, out, err = run("run", "/", "--quiet")
    expect(code == 66 and "directory" in err, code, err)


@test
def a_pipe_gets_csv_and_a_terminal_a_table():
    code, out, err = run("run", "-c", "SELECT 1 AS a, 'x' AS b", "--quiet")
    expect(out == "a,b\n1,x\n", out)
    code, seen = on_terminal(["run", "-c", "SELECT 1 AS a, 'x' AS b", "--quiet"])
    expect(code == 0 and "| a | b |" in seen and "| 1 | x |" in seen, seen)
    code, out, err = run("run", "-c", "SELECT 1 AS a, 'x' AS b", "--quiet", "--format", "json")
    expect(json.loads(out) == {"a": 1, "b": "x"}, out)


@test
def nothing_but_data_on_standard_output():
    code, out, err = run("run", "-c", "CREATE TABLE n (event_type INT) WITH ('connector'='nexmark','events.num'='1000');"
                         "SELECT COUNT(*) AS n FROM n")
    expect(out == "n\n1000\n" and "1000 rows in, 1 rows out, 0 late, 0 dead" in err and "shards" in err, out, err)


@test
def the_summary_as_an_object():
    with tempfile.TemporaryDirectory() as d:
        code, out, err = run("run", "-c", "CREATE TABLE n (event_type INT) WITH ('connector'='nexmark','events.num'='5000');"
                             "SELECT COUNT(*) FROM n", "--quiet", "--shards", "2", "--json-summary", d + "/s.json")
        s = json.load(open(d + "/s.json"))
        expect(code == 0 and err == "", code, err)
        for key, value in (("rows_in", 5000), ("rows_out", 1), ("late", 0), ("dead", 0), ("shards", 2)):
            expect(s[key] == value, key, s)
        expect(s["seconds"] > 0 and s["rows_per_second"] > 0 and s["peak_rss_bytes"] > 1 << 20 and "bytes_in" in s, s)
    code, out, err = run("run", "-c", "SELECT 1", "--json-summary", "/nonexistent/s.json")
    expect("/nonexistent/s.json" in err and "No such file" in err and code == 74, code, err)


ENDLESS = "CREATE TABLE n (event_type INT, dateTime TIMESTAMP(3), WATERMARK FOR dateTime AS dateTime) WITH ('connector'='nexmark'," \
          "'events.num'='100000000000');SELECT window_end, COUNT(*) FROM TABLE(TUMBLE(TABLE n, DESCRIPTOR(dateTime), INTERVAL '1' DAY)) " \
          "GROUP BY window_start, window_end"


@test
def a_terminal_sees_progress_and_interrupts_it():
    code, seen = on_terminal(["run", "-c", ENDLESS], until=b"rows/s", send=signal.SIGINT)
    expect(code == 130, code, seen)
    for word in (" rows/s", "MB/s", "watermark 2015-07-", "state ", "rows out", "late", "peak"):
        expect(word in seen, word, seen)
    expect("held back" in seen and "holds the watermark at 2015-07-1" in seen and "the next window closes at 2015-07-1" in seen, seen)


@test
def a_quiet_input_says_what_is_waited_for():
    with tempfile.TemporaryDirectory() as d:
        os.mkfifo(d + "/in.csv")
        sql = "CREATE TABLE t (ts TIMESTAMP(3), v INT, WATERMARK FOR ts AS ts - INTERVAL '2' SECOND) WITH ('connector'='filesystem'," \
              "'format'='csv','path'='%s/in.csv');SELECT window_end, SUM(v) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) " \
              "GROUP BY window_start, window_end" % d
        p = subprocess.Popen([COMMAND, "run", "-c", sql], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with open(d + "/in.csv", "w") as f:
            f.write("2024-01-01 00:00:01,1\n2024-01-01 00:00:07,2\n")
            f.flush()
            line = p.stderr.readline()          # within some seconds; the input is silent, but not at its end
            # the watermark is 7 s - 2 s; [0, 10) closes at its end less one unit
            expect("no progress" in line and "in.csv holds the watermark at 2024-01-01 00:00:05.000" in line and
                   "the next window closes at 2024-01-01 00:00:09.999" in line, line)
        out, err = p.communicate(timeout=60)
        expect(p.returncode == 0 and out.endswith("2024-01-01 00:00:10.000,3\n"), out, err)


@test
def sigterm_ends_with_143_and_a_summary():
    p = subprocess.Popen([COMMAND, "run", "-c", ENDLESS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(0.3)
    p.send_signal(signal.SIGTERM)
    out, err = p.communicate(timeout=60)
    expect(p.returncode == 143 and "rows in" in err, p.returncode, err)


@test
def a_stopped_run_without_rows_held_says_so():
    with tempfile.TemporaryDirectory() as d:
        sql = "CREATE TABLE t (a INT) WITH ('connector'='filesystem','format'='csv','path'='%s/','source.monitor-interval'='1 s');" \
              "SELECT a FROM t" % d
        p = subprocess.Popen([COMMAND, "run", "-c", sql], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(0.5)
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=60)
        expect((p.returncode, out) == (130, "") and "the run was stopped\n" in err and "windows" not in err, p.returncode, out, err)
    p = subprocess.Popen([COMMAND, "run", "-c", ENDLESS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(0.5)
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=60)
    expect(p.returncode == 130 and "open windows did not fire" in err, err)


@test
def a_stop_is_seen_while_windows_fire():
    with tempfile.TemporaryDirectory() as d: # 86 million windows, each with one row
        open(d + "/two.csv", "w").write("1970-01-01 00:00:00\n1970-01-01 00:00:20\n")
        sql = ("CREATE TABLE t (ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector'='filesystem','format'='csv','path'='%s/two.csv'); "
               "SELECT window_start, COUNT(*) FROM TABLE(HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '0.001' SECOND, INTERVAL '1' DAY)) "
               "GROUP BY window_start, window_end" % d)
        for shards in ("1", "2"):
            p = subprocess.Popen([COMMAND, "run", "--shards", shards, "--format", "csv", "-c", sql], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
            first = [p.stdout.readline() for _ in range(3)]
            p.send_signal(signal.SIGTERM)
            out, err = p.communicate(timeout=60)
            rows = out.count("\n") + 2
            expect(first[1] == "1969-12-31 00:00:00.001,1\n" and p.returncode == 143 and rows < 86419000 and "stopped" in err, first, rows, err)


@test
def colour_on_terminals_unless_no_color():
    code, seen = on_terminal(["run", "-c", "SELCT 1"], env={"NO_COLOR": ""})
    expect(code == 78 and "\033[1;31m" in seen, seen)
    code, seen = on_terminal(["run", "-c", "SELCT 1"], env={"NO_COLOR": "1"})
    expect(code == 78 and "\033" not in seen and "SELCT" in seen, seen)
    code, out, err = run("run", "-c", "SELCT 1", env={"NO_COLOR": ""})
    expect("\033" not in err, err)


@test
def a_reader_that_goes_away_is_no_error():
    p = subprocess.Popen([COMMAND, "run", "--quiet", "-c", "CREATE TABLE n (event_type INT) WITH ('connector'='nexmark','events.num'='100000000');"
                          "SELECT * FROM n"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdout.readline()
    p.stdout.close()
    err = p.stderr.read().decode()
    expect(p.wait(timeout=60) == 0 and err == "", p.returncode, err)


@test
def check_runs_nothing_and_explain_prints_plans():
    sql = "CREATE TABLE t (a INT) WITH ('connector'='filesystem','format'='csv','path'='/nonexistent/x.csv');SELECT a FROM t WHERE a > 1"
    code, out, err = run("check", "-c", sql)
    expect((code, out, err) == (0, "", "ok\n"), code, out, err)
    code, out, err = run("explain", "-c", sql)
    expect(code == 0 and "t" in out and "where (a > 1)" in out and err == "", code, out, err)
    code, out, err = run("check", "-c", "SELECT b FROM (VALUES (1)) AS t(a)")
    expect(code == 78 and "SQL:1:8" in err, code, err)


@test
def version_and_functions():
    code, out, err = run("version")
    expect(code == 0 and err == "", err)
    for word in ("millstream ", "cpu", "isa", "io", "compiler"):
        expect(word in out.lower(), word, out)
    code, out, err = run("functions")
    lines = out.strip().split("\n")
    expect(code == 0 and len({x.split("\t")[0] for x in lines}) >= 120 and all(len(x.split("\t")) == 4 and all(x.split("\t")) for x in lines),
           len(lines))


@test
def generated_rows_go_to_a_file_or_standard_output():
    with tempfile.TemporaryDirectory() as d:
        for kind in (["nexmark", "--events", "2000"], ["datagen", "--rows", "500", "--columns", "a INT, b STRING"]):
            for form in ("csv", "json", "columnar"):
                expect(run("gen", *kind, "--format", form, "--out", d + "/x")[0] == 0, kind, form)
                p = subprocess.run([COMMAND, "gen", *kind, "--format", form, "--out", "-"], capture_output=True)
                expect(p.returncode == 0 and p.stderr == b"" and p.stdout == open(d + "/x", "rb").read(), kind, form, p.stderr)
    p = subprocess.run(COMMAND + " gen nexmark --events 1000 --out - > /dev/full", shell=True, capture_output=True, text=True)
    expect(p.returncode == 74 and "No space left" in p.stderr, p)


@test
def gen_tells_the_format_by_the_name():
    kind = ["datagen", "--rows", "50", "--columns", "a INT, b STRING"]
    with tempfile.TemporaryDirectory() as d:
        for form, names in (("csv", ("x.csv", "x.txt", "x", "x.tsv")), ("json", ("x.json", "x.jsonl", "x.ndjson")), ("columnar", ("x.mcol",))):
            expect(run("gen", *kind, "--format", form, "--out", d + "/want")[0] == 0)
            for name in names:
                code, out, err = run("gen", *kind, "--out", d + "/" + name)
                expect(code == 0 and open(d + "/" + name, "rb").read() == open(d + "/want", "rb").read(), name, code, err)
        expect(json.loads(open(d + "/x.json").readline()).keys() == {"a", "b"})
        code, out, err = run("gen", *kind, "--out", d + "/y.json.gz")
        expect(code == 0 and gzip.open(d + "/y.json.gz").read() == open(d + "/x.json", "rb").read(), err)
        expect(run("gen", *kind, "--format", "json", "--out", d + "/z.csv")[0] == 0 and
               open(d + "/z.csv").read() == open(d + "/x.json").read())
        code, out, err = run("gen", *kind, "--out", d + "/x.parquet")
        expect(code == 64 and all(w in err for w in (".csv", ".json", ".mcol", "--format", "x.parquet")), code, err)
        expect(not os.path.exists(d + "/x.parquet"))


@test
def an_instruction_set_must_exist():
    code, out, err = run("run", "-c", "SELECT 1", env={"MILL_ISA": "sse9"})
    expect(code == 78 and "sse9" in err and "avx2" in err, code, err)


@test
def variables_come_from_d_and_the_environment():
    code, out, err = run("run", "--quiet", "-c", "SELECT '${A}' AS a, '${B}' AS b", "-D", "A=1", env={"B": "2", "A": "3"})
    expect(out == "a,b\n1,2\n", out, err)


def main():
    passed = failed = 0
    for t in tests:
        try:
            t()
            passed += 1
        except (AssertionError, subprocess.TimeoutExpired) as e:
            failed += 1
            print("FAILED: %s: %s" % (t.__name__, e))
    print("sql_command: %d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed else 0


sys.exit(main())
