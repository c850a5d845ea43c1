#!/usr/bin/env python3
"""NEXMark queries in Flink and in millstream on the same CSV file of events. Started by flink.sh.

Answers first: both run each query on a smaller file into CSV files, whose rows must be equal, sorted, value by value (of q12, whose windows
follow the clock, millstream's total count must be the number of bids). Then rates into a discarding sink (q10: into its folders): Flink's net run time of a job after a
warm-up in the same JVM, millstream's own seconds; CPU time of both processes beside it, since threads of the JVM work on a
parallelism of 1 as well. Results are added to a JSON file, by query, and printed as Markdown.
"""
import argparse, collections, csv, decimal, glob, json, os, platform, re, resource, shutil, statistics, subprocess, sys, tempfile, urllib.parse

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
COMMAND = os.environ.get("MILL_COMMAND", os.path.join(ROOT, "build", "millstream"))
QUERIES = ["q0", "q1", "q2", "q5_counts", "q10", "q11", "q12", "q14", "q14_builtin", "q21", "q22"]
COLUMNS = "event_type INT, bid_auction BIGINT, bid_bidder BIGINT, bid_price BIGINT, bid_channel STRING, bid_url STRING, bid_extra STRING, dateTime TIMESTAMP(3)"
OPENS = ["--add-opens=java.base/%s=ALL-UNNAMED" % p for p in ("java.lang", "java.util", "java.util.concurrent", "java.nio", "java.time", "java.net")]


def events(a, count):
    path = os.path.join(a.data, "events-%d.csv" % count)
    if not os.path.exists(path):
        subprocess.run([COMMAND, "gen", "nexmark", "--events", str(count), "--columns", COLUMNS, "--out", path], check=True)
    return path


def variables(path, sink, folder, function):
    return ["SOURCE='connector' = 'filesystem', 'path' = '%s', 'format' = 'csv', 'csv.null-literal' = ''" % path,
            "SINK=" + sink, "FOLDER=" + folder, "COUNT_CHAR='%s'" % function]


def flink(a, query, path, sink, folder, runs, checkpoint_ms):
    """(seconds, CPU seconds) of each run."""
    script = os.path.join(ROOT, "bench", "queries", query + ".sql")
    p = subprocess.run(["java", "-Xmx" + a.heap, *OPENS, "-cp", a.classes, "millstream.bench.FlinkPeer", script, str(a.parallelism), str(runs), str(checkpoint_ms),
                        *variables(path, sink, folder, "millstream.bench.CountChar")], capture_output=True, text=True)
    found = re.findall(r"^seconds (\S+) cpu (\S+)$", p.stdout, re.M)
    if p.returncode != 0 or len(found) != runs:
        sys.exit("flink: %s: %s" % (query, "\n".join(re.findall(r"^Caused by.*|^Exception.*", p.stderr, re.M)[:5]) or p.stderr[-2000:]))
    return [(float(s), float(c)) for s, c in found]


def ours(a, query, path, sink, folder):
    script = os.path.join(ROOT, "bench", "queries", query + ".sql")
    with tempfile.NamedTemporaryFile() as summary:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        args = [x for v in variables(path, sink, folder, "count_char") for x in ("-D", v)]
        p = subprocess.run([COMMAND, "run", script, "--quiet", "--shards", str(a.parallelism), "--json-summary", summary.name, *args], capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if p.returncode != 0:
            sys.exit("millstream: %s: %s" % (query, p.stderr))
        return json.load(open(summary.name))["seconds"], after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def value(text):
    """Numbers with a point by their value; times without the zeros that one writes and the other does not."""
    if re.fullmatch(r"-?\d+\.\d+", text):
        return str(decimal.Decimal(text).normalize())
    if re.fullmatch(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?", text):
        day, clock = text[:10], text[11:]
        clock = clock if len(clock) > 5 else clock + ":00"
        return day + " " + (clock.rstrip("0").rstrip(".") if "." in clock else clock)
    return text


def rows(folder):
    """All rows of the CSV files below @folder, the values of its partitions first."""
    out = collections.Counter()
    for path in glob.glob(folder + "/**", recursive=True):
        name = os.path.basename(path)
        if os.path.isfile(path) and not name.startswith((".", "_")):
            parts = tuple(urllib.parse.unquote(p) for p in os.path.relpath(os.path.dirname(path), folder).split("/") if "=" in p)
            with open(path, newline="") as file:
                out.update(parts + tuple(value(v) for v in row) for row in csv.reader(file))
    return out


def check(a, query):
    path, got = events(a, a.check_events), []
    with tempfile.TemporaryDirectory(dir=a.data) as base:
        for who in ("flink", "ours"):
            folder = os.path.join(base, who)
            os.mkdir(folder)
            sink = "'connector' = 'filesystem', 'path' = '%s/', 'format' = 'csv'" % folder
            if who == "flink": # files appear with a checkpoint
                flink(a, query, path, sink, folder, 1, 1000)
            else:
                ours(a, query, path, sink, folder)
            got.append(rows(folder))
    if query == "q12":  # Flink drops windows of the clock that are open when bounded input ends
        got[1] = collections.Counter({"total": sum(int(r[1]) * n for r, n in got[1].items())})
        got[0] = collections.Counter({"total": sum(line.startswith("2,") for line in open(path))})
    if got[0] != got[1] or not got[0]:
        odd = list((got[0] - got[1]).items())[:2] + list((got[1] - got[0]).items())[:2]
        sys.exit("%s: the answers differ: %s" % (query, odd))
    return got[0]["total"] if query == "q12" else sum(got[0].values())


def measure(a, query):
    path = events(a, a.events)
    with tempfile.TemporaryDirectory(dir=a.data) as folder:
        sink = "'connector' = 'blackhole'"
        theirs = flink(a, query, path, sink, folder + "/flink", a.runs + 1, 0)[1:]
        mine = []
        for i in range(a.runs + 1):
            mine.append(ours(a, query, path, sink, "%s/ours%d" % (folder, i)))
            shutil.rmtree("%s/ours%d" % (folder, i), ignore_errors=True)
    median = lambda pairs, i: statistics.median(p[i] for p in pairs)
    return {"flink": {"events_per_second": round(a.events / median(theirs, 0)), "events_per_cpu_second": round(a.events / median(theirs, 1)),
                      "seconds": [p[0] for p in theirs], "cpu_seconds": [p[1] for p in theirs]},
            "millstream": {"events_per_second": round(a.events / median(mine[1:], 0)), "events_per_cpu_second": round(a.events / median(mine[1:], 1)),
                           "seconds": [p[0] for p in mine[1:]], "cpu_seconds": [round(p[1], 3) for p in mine[1:]]}}


def machine():
    cpu = re.search(r"model name\s*: (.*)", open("/proc/cpuinfo").read())
    java = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr.split("\n")[0]
    version = subprocess.run([COMMAND, "version"], capture_output=True, text=True).stdout.strip()
    return {"cpu": cpu.group(1) if cpu else platform.processor(), "cpus": os.cpu_count(), "kernel": platform.release(), "java": java, "millstream": version}


def table(report):
    lines = ["| query | Flink, events/s | millstream, events/s | ratio | Flink, events per CPU second | millstream | ratio | rows compared |",
             "|---|---|---|---|---|---|---|---|"]
    product = cpu_product = 1.0
    for q in sorted(report["queries"], key=QUERIES.index):
        r = report["queries"][q]
        f, m = r["flink"], r["millstream"]
        ratio, cpu = m["events_per_second"] / f["events_per_second"], m["events_per_cpu_second"] / f["events_per_cpu_second"]
        product, cpu_product = product * ratio, cpu_product * cpu
        lines.append("| %s | %s | %s | %.1f | %s | %s | %.1f | %s |" % (q, f"{f['events_per_second']:,}", f"{m['events_per_second']:,}", ratio,
                                                                f"{f['events_per_cpu_second']:,}", f"{m['events_per_cpu_second']:,}", cpu, f"{r['rows_compared']:,}"))
    n = len(report["queries"])
    lines.append("| geometric mean | | | %.1f | | | %.1f | |" % (product ** (1 / n), cpu_product ** (1 / n)))
    return "\n".join(lines)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--classes", required=True)
    p.add_argument("--flink-version", required=True)
    p.add_argument("--data", required=True)
    p.add_argument("--events", type=int, default=2_000_000)
    p.add_argument("--check-events", type=int, default=200_000)
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--parallelism", type=int, default=1)
    p.add_argument("--heap", default="4g")
    p.add_argument("--json", help="the report; results of other queries in it stay if they were measured alike")
    p.add_argument("queries", nargs="*", default=QUERIES)
    a = p.parse_args()
    about = {"flink_version": a.flink_version, "parallelism": a.parallelism, "events": a.events, "bytes": os.path.getsize(events(a, a.events)),
             "runs": a.runs, "check_events": a.check_events, **machine()}
    report = {"about": about, "queries": {}}
    if a.json and os.path.exists(a.json):
        old = json.load(open(a.json))
        if old["about"] == about:
            report = old
    for query in a.queries or QUERIES:
        compared = check(a, query)
        report["queries"][query] = {"rows_compared": compared, **measure(a, query)}
        if a.json:
            with open(a.json, "w") as file:
                json.dump(report, file, indent=1)
                file.write("\n")
    print(table(report))


main()
