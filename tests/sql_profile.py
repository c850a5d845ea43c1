#!/usr/bin/env python3
"""EXPLAIN ANALYZE: counts equal those made here from the rows, times add up, INSERT writes, rows of a SELECT are dropped, errors,
Ctrl-C; run --profile and --json-profile change no byte of the answer."""
import json, os, random, re, signal, subprocess, sys, tempfile, time

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
ROWS = 20000
TABLE = """CREATE TABLE t (k BIGINT, v BIGINT, s STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)
WITH ('connector'='filesystem','format'='csv','path'='%s/rows.csv');"""
WINDOW = "TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND))"


def command(*args, sql=None):
    p = subprocess.run([COMMAND, *args] + (["-c", sql] if sql else []), capture_output=True, text=True)
    return p.returncode, p.stdout, p.stderr


def make_rows(directory, r):
    """k, v, s, seconds; in order but for a few that come 100 s too late"""
    rows = []
    for i in range(ROWS):
        at = i // 100 - (100 if i > 15000 and i % 500 == 0 else 0)
        rows.append((r.randrange(300), r.randrange(1000), r.choice(["x", "a text longer than twelve bytes"]), at))
    with open(directory + "/rows.csv", "w") as f:
        for k, v, s, at in rows:
            f.write("%d,%d,%s,1970-01-01 00:%02d:%02d.000\n" % (k, v, s, at // 60, at % 60))
    return rows


def profile(directory, query, shards, *more):
    code, out, err = command("explain", "--analyze", "--format", "json", "--shards", str(shards), "--set", "step-bytes=20000", *more,
                             sql=TABLE % directory + query)
    if code != 0 or out.count("\n") != 1:
        return {"operators": [], "failed": (code, out[:300], err)}
    return json.loads(out)


def named(p, name):
    return [o for o in p["operators"] if o["name"] == name]


def sums(p, check, what):
    """All of a shard's time is somebody's, and the shards' sums are the whole."""
    own = p["start_ticks"] + p["engine_ticks"]
    waits = p["input_wait_ticks"] + p["peer_wait_ticks"] + p["room_wait_ticks"]
    busy = own + sum(o["ticks"] for o in p["operators"])
    check(what + ": ticks add up", busy + waits == p["ticks"] == sum(s["ticks"] for s in p["shards"]), busy, waits, p["ticks"])
    shares = sum(o["time_share"] for o in p["operators"]) + own / busy
    check(what + ": shares are 1", abs(shares - 1) < 1e-6, shares)
    check(what + ": waits of sources", sum(o["wait_ticks"] for o in p["operators"]) == p["input_wait_ticks"])
    for o in p["operators"]:
        for key in ("rows_in", "rows_out", "batches", "filtered", "late", "ticks"):
            check(what + ": shards of " + o["label"] + " " + key, sum(s[key] for s in o["shards"]) == o[key], o)
        check(what + ": parts of " + o["label"], o["decode_ticks"] + o["read_ticks"] + o["receive_ticks"] <= o["ticks"], o)


def filtering(directory, rows, check):
    for shards in (1, 2, 3):
        p = profile(directory, "SELECT k, v FROM t WHERE v >= 700;", shards)
        if not p["operators"]:
            return check("filter", False, p)
        kept = sum(v >= 700 for _, v, _, _ in rows)
        source, calc, sink = named(p, "Source")[0], named(p, "Calc")[0], named(p, "Sink")[0]
        check("filter: source", source["rows_in"] == source["rows_out"] == p["rows_in"] == ROWS, source)
        check("filter: bytes", source["bytes_in"] == os.path.getsize(directory + "/rows.csv"), source)
        check("filter: calc", (calc["rows_in"], calc["rows_out"], calc["filtered"]) == (ROWS, kept, ROWS - kept), calc, kept)
        check("filter: sink", sink["rows_in"] == sink["rows_out"] == kept, sink)
        sums(p, check, "filter, %d shards" % shards)


def windows(directory, rows, check):
    """Late: more than 100 s behind, so every window of such a row has fired."""
    on_time = [(k, v, at) for i, (k, v, _, at) in enumerate(rows) if not (i > 15000 and i % 500 == 0)]
    late = ROWS - len(on_time)
    groups = {(at // 10, k) for k, _, at in on_time}
    most = max(len({k for w, k in groups if w == at}) for at in {w for w, _ in groups})
    for shards in (1, 2, 3):
        p = profile(directory, "SET 'table.optimizer.agg-phase-strategy' = 'ONE_PHASE'; SELECT window_start, k, COUNT(*) FROM " + WINDOW +
                    " GROUP BY window_start, window_end, k;", shards)
        if not p["operators"]:
            return check("window", False, p)
        w = named(p, "WindowAggregate")[0]
        check("window: rows", (w["rows_in"], w["rows_out"], w["late"], w["held"]) == (ROWS, len(groups), late, 0), w, len(groups), late)
        check("window: conserved", w["rows_in"] == w["consumed"] + w["filtered"] + w["late"] + w["dead"] + w["held"], w)
        check("window: fired", w["windows_fired"] == len({g[0] for g in groups}) * shards, w)
        check("window: entries", most <= w["entries"] * 1.1 and w["entries"] <= 3 * most, w, most)
        check("window: table", 0 < w["entries"] <= w["slots"] and 1 <= w["probes_mean"] <= w["probes_max"] and w["tables"] >= shards, w)
        check("window: bytes", w["state_bytes"] >= 8 * w["entries"], w)
        check("window: no other has state", all(o["entries"] == 0 for o in p["operators"] if o is not w))
        sums(p, check, "window, %d shards" % shards)
        first, last = sorted(named(p, "Exchange"), key=lambda o: o["id"])
        check("window: exchanges", first["rows_in"] == ROWS and last["rows_in"] == len(groups), first, last)
        if shards == 1:
            check("window: nothing sent", first["batches_sent"] == last["bytes_copied"] == 0, first, last)
        else:
            check("window: sent", w["batches"] == first["batches_sent"] >= shards and first["batches_lent"] == 0, first, w)
            check("window: copied there", first["bytes_copied"] == 16 * ROWS, first)
            check("window: copied", last["bytes_copied"] == 24 * len(groups) and last["batches_lent"] == 0, last)
    p = profile(directory, "SELECT k, COUNT(*) FROM t GROUP BY k;", 2, "--set", "batch-rows=100")
    first = min(named(p, "Exchange"), key=lambda o: o["id"])
    check("group: lent, not copied", first["batches_lent"] > 200 and first["bytes_copied"] < 8 * ROWS, first)
    check("group: entries", named(p, "GroupAggregate")[0]["rows_out"] == 300 >= named(p, "GroupAggregate")[0]["entries"] > 270, p["operators"])
    p = profile(directory, "SELECT k, COUNT(*) FROM TABLE(SESSION(TABLE t PARTITION BY k, DESCRIPTOR(ts), INTERVAL '5' SECOND)) "
                "GROUP BY window_start, window_end, k;", 2)
    s = named(p, "SessionAggregate")[0]
    check("session", s["windows_fired"] == s["rows_out"] > 300 and s["rows_in"] == ROWS and 270 < s["entries"] <= 300, s)
    sums(p, check, "session")


def several(directory, rows, check):
    kept = sum(v >= 700 for _, v, _, _ in rows), sum(v < 200 for _, v, _, _ in rows)
    p = profile(directory, "SELECT k FROM t WHERE v >= 700 UNION ALL SELECT v FROM t WHERE v < 200;", 2)
    check("union", named(p, "UnionAll")[0]["rows_in"] == sum(kept) and len(named(p, "Source")) == 1, p["operators"])
    sums(p, check, "union")
    sinks = "".join("CREATE TABLE %s (w TIMESTAMP(3), n BIGINT) WITH ('connector'='blackhole');" % n for n in "ab")
    insert = "INSERT INTO %s SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '%d' SECOND)) GROUP BY window_start, window_end;"
    p = profile(directory, sinks + "EXECUTE STATEMENT SET BEGIN " + insert % ("a", 10) + insert % ("b", 20) + " END;", 2)
    rows_out = {o["label"].split()[1]: o["rows_in"] for o in named(p, "Sink")}
    check("statement set: one window operator for both", len(named(p, "WindowAggregate")) == 1 and len(named(p, "Windows")) == 2)
    check("statement set", rows_out == {"a": 20, "b": 10}, rows_out)
    sums(p, check, "statement set")
    p = profile(directory, "EXPLAIN SELECT 1;", 1)
    check("a plain EXPLAIN stays one", "failed" in p and p["failed"][0] == 0 and "Values" in p["failed"][1], p)


def generated(check):
    """Steps of 1,000 rows in batches of 100."""
    sql = "CREATE TABLE g (a BIGINT) WITH ('connector'='datagen','number-of-rows'='10000','fields.a.kind'='sequence','fields.a.start'='1','fields.a.end'='10000'); EXPLAIN ANALYZE JSON_EXECUTION_PLAN SELECT a FROM g WHERE MOD(a, 4) = 0;"
    code, out, err = command("run", "--quiet", "--shards", "1", "--set", "step-rows=1000", "--set", "batch-rows=100", sql=sql)
    check("generated", code == 0, code, err)
    p = json.loads(out)
    check("generated: batches", [o["batches"] for o in p["operators"]] == [100] * 4, [o["batches"] for o in p["operators"]])
    check("generated: rows", [o["rows_out"] for o in p["operators"]] == [10000, 2500, 2500, 2500], p["operators"])


def printed(directory, check):
    query = TABLE % directory + "EXPLAIN ANALYZE SELECT window_start, k, COUNT(*) FROM " + WINDOW + " WHERE v < 500 GROUP BY window_start, window_end, k;"
    for shards in (1, 2):
        code, out, err = command("run", "--shards", str(shards), sql=query)
        check("text", code == 0 and "rows in" in err, code, err)
        for part in ("== Plan ==", "== Operators ==", "== State", "== Sources ==", "== Shards ==", "== Processor counters"):
            check("text has " + part, part in out, out)
        check("text: exchanges are of several shards", ("== Exchanges ==" in out) == (shards == 2), out)
        table = out.split("== Operators ==\n")[1].split("\n\n")[0].split("\n")
        width = table[0].index("rows in") + len("rows in")
        shares = [float(m[1]) for line in table[1:-1] for m in [re.search(r"([0-9.]+) %\s+[0-9.-]+\s+[0-9.-]+$", line)] if m]
        check("text: shares are 100 %", abs(sum(shares) - 100) <= 0.05 * len(shares) + 1e-9 and len(shares) >= 7, shares, out)
        check("text: aligned", all(line[width - 1] != " " and line[width] == " " for line in table[2:] if re.match(r" *[A-Z]\w+\[", line) and "as above" not in line), out)
    check("no counters is said once", out.count("not available on this machine") <= 1, out)
    check("rows are dropped", not re.search(r"^\d{4}-\d\d-\d\d", out, re.M), out)


def writes(directory, rows, check):
    sink = "CREATE TABLE o (k BIGINT, v BIGINT) WITH ('connector'='filesystem','format'='csv','path'='%s/out.csv');" % directory
    code, out, err = command("explain", "--analyze", sql=TABLE % directory + sink + "INSERT INTO o SELECT k, v FROM t WHERE v >= 700;")
    written = open(directory + "/out.csv").read().split() if os.path.exists(directory + "/out.csv") else []
    check("INSERT writes", code == 0 and written == ["%d,%d" % (k, v) for k, v, _, _ in rows if v >= 700], code, err, written[:3])
    check("INSERT's profile", "== Operators ==" in out and re.search(r"Sink\[\d+\] o ", out), out)


def run_profile(directory, check):
    sql = TABLE % directory + "SELECT window_start, k, SUM(v) FROM " + WINDOW + " GROUP BY window_start, window_end, k; SELECT COUNT(*) FROM t;"
    plain = command("run", "--quiet", "--shards", "2", sql=sql)
    code, out, err = command("run", "--quiet", "--profile", "--shards", "2", sql=sql)
    check("--profile changes nothing", code == 0 and out == plain[1] and err.count("== Operators ==") == 2, code, err)
    code, out, err = command("run", "--quiet", "--json-profile", directory + "/p.json", "--shards", "2", sql=sql)
    lines = open(directory + "/p.json").read().strip().split("\n")
    check("--json-profile changes nothing", code == 0 and out == plain[1] and err == "", code, err)
    check("--json-profile: one line a query", [json.loads(line)["rows_in"] for line in lines] == [ROWS, ROWS], lines)
    code, out, err = command("run", "--json-profile", directory + "/none/p.json", sql="SELECT 1")
    check("--json-profile nowhere", code == 74 and "cannot write" in err, code, err)
    check("check runs nothing", command("check", sql=TABLE % "/nowhere" + "EXPLAIN ANALYZE SELECT * FROM t;")[0] == 0)
    code, out, err = command("explain", sql=TABLE % "/nowhere" + "EXPLAIN ANALYZE SELECT k FROM t;")
    check("explain runs nothing", code == 0 and "Source[0]" in out and "Operators" not in out, code, out, err)


def errors(directory, check):
    for sql in ("EXPLAIN ANALYZE", "EXPLAIN ANALYZE CREATE TABLE a (b INT)", "EXPLAIN ANALYZE SET 'a' = 'b'", "EXPLAIN ANALYZE JSON_EXECUTION_PLAN"):
        code, out, err = command("run", sql=sql)
        check(sql, code == 78 and "expected a query" in err and out == "", code, err)
    code, out, err = command("run", "--shards", "2", sql=TABLE % (directory + "/missing") + "EXPLAIN ANALYZE SELECT k FROM t;")
    check("a missing file", code == 66 and "Operators" not in out, code, out, err)
    code, out, err = command("run", "--shards", "2", sql=TABLE % directory + "EXPLAIN ANALYZE SELECT CAST(s AS INT) FROM t;")
    check("a bad row", code == 65 and "Operators" not in out, code, out, err)


def stopped(check):
    sql = "CREATE TABLE g (a INT) WITH ('connector'='datagen','number-of-rows'='1000000000000','rows-per-second'='100000'); EXPLAIN ANALYZE SELECT a FROM g;"
    for shards in ("1", "2"):
        p = subprocess.Popen([COMMAND, "run", "--shards", shards, "-c", sql], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(1)
        p.send_signal(signal.SIGINT)
        out, err = p.communicate()
        check("Ctrl-C prints what there is", p.returncode == 130 and "== Operators ==" in out and "Source[0] g" in out, p.returncode, out, err)


def main():
    passed = failed = 0

    def check(what, condition, *details):
        nonlocal passed, failed
        if condition:
            passed += 1
        else:
            failed += 1
            print("FAILED:", what, *(str(d)[:1500] for d in details))

    with tempfile.TemporaryDirectory() as directory:
        rows = make_rows(directory, random.Random(7))
        filtering(directory, rows, check)
        windows(directory, rows, check)
        several(directory, rows, check)
        generated(check)
        printed(directory, check)
        writes(directory, rows, check)
        run_profile(directory, check)
        errors(directory, check)
        stopped(check)
    print("sql_profile: %d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed else 0


sys.exit(main())
