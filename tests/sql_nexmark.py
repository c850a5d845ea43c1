#!/usr/bin/env python3
"""The queries of bench/queries on generated events against a recomputation by definition (tests/nexmark_oracle.py), at 1, 2 and 3 shards.

With the runtime mode 'streaming' the results are a changelog, whose fold must be the same rows. Events come from `millstream gen nexmark` as CSV and are read by Python; each query runs on such a file and on the generator, which
must give the same, and on more events of one time. q12 follows the clock: its windows are not known, but each bidder's bids are.
"""
import collections, concurrent.futures, csv, glob, os, re, subprocess, sys, tempfile

sys.dont_write_bytecode = True
import nexmark_oracle as oracle

COMMAND = os.path.abspath(os.environ.get("MILL_COMMAND", "build/millstream"))
QUERIES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bench", "queries")
EVENTS, SEED = 10_000 if os.environ.get("MILL_QUICK") else 50_000, 11
SLOW, BUSY = 500, 10_000  # events a second: many windows; many events of one time


def names():
    return sorted(os.path.basename(p)[:-4] for p in glob.glob(QUERIES + "/*q[0-9]*.sql"))


def columns(query):
    """Of the table of events, as the script declares them."""
    text = open(os.path.join(QUERIES, query + ".sql")).read()
    return re.sub(r"\s+", " ", re.search(r"CREATE TABLE events \((.*?),\s*WATERMARK", text, re.S).group(1)).replace("`", "").split(", p_time AS")[0].strip()


def generate(path, wanted, rate=SLOW):
    subprocess.run([COMMAND, "gen", "nexmark", "--events", str(EVENTS), "--seed", str(SEED), "--rate", str(rate), "--columns", wanted, "--out", path],
                   check=True)


def folder_of(base, query, shards):
    folder = os.path.join(base, "%s-%s" % (query, shards))
    os.makedirs(folder)
    return folder


def script(query, folder, changelog):
    path = os.path.join(QUERIES, query + ".sql")
    if changelog:
        with open(path) as file:
            text = "SET 'execution.runtime-mode' = 'streaming';\n" + file.read()
        path = folder + "/query.sql"
        with open(path, "w") as file:
            file.write(text)
    return path


def run(query, source, base, shards, function="'count_char'", changelog=False):
    """Result rows as texts, the values of partitions last; or what went wrong."""
    folder, side = folder_of(base, query, shards), folder_of(base, query + "-in", shards)
    with open(side + "/side_input.txt", "w") as file:
        file.writelines("%d,%s\n" % row for row in oracle.side_input())
    sink = "'connector'='filesystem','format'='csv','path'='%s/out.csv'%s" % (folder, ",'changelog.column'='op'" if changelog else "")
    variables = {"SOURCE": source, "SINK": sink,
                 "FOLDER": side if query == "q13" else folder, "COUNT_CHAR": function}
    p = subprocess.run([COMMAND, "run", script(query, side, changelog), "--quiet", "--shards", str(shards),
                        *[x for k, v in variables.items() for x in ("-D", k + "=" + v)]], capture_output=True, text=True)
    if p.returncode != 0 or p.stderr:
        return p.stderr or "exit code %d" % p.returncode
    rows = []
    for path in sorted(glob.glob(folder + "/**/*.csv", recursive=True)):
        parts = tuple(x.split("=", 1)[1].replace("%3A", ":") for x in os.path.relpath(os.path.dirname(path), folder).split("/") if "=" in x)
        with open(path, newline="") as file:
            rows += [tuple(r) + parts for r in csv.reader(file)]
    return rows


def check_clock(rows, want):
    counts = collections.Counter()
    for bidder, count, start, end in rows:
        counts[int(bidder)] += int(count)
        if oracle.time_of(end) - oracle.time_of(start) != 10_000 or oracle.time_of(start) % 10_000 != 0:
            return "window %s to %s" % (start, end)
    return None if counts == want else "bids of %d bidders, not of %d" % (len(counts), len(want))


def fold(rows):
    """What a changelog amounts to. A row is taken back only while it is there."""
    there = collections.Counter()
    for op, *row in rows:
        there[tuple(row)] += 1 if op in ("+I", "+U") else -1
        if there[tuple(row)] < 0 or op not in ("+I", "+U", "-U", "-D"):
            return "%s %s of a row that is not there" % (op, row)
    return list(there.elements())


def differs(got, want):
    got = collections.Counter(got)
    if got == want and want:
        return None
    return "%d rows, not %d; %s, not %s" % (sum(got.values()), sum(want.values()), list((got - want).keys())[:2], list((want - got).keys())[:2])


def check(query, want, source, base, shards, function="'count_char'", changelog=False):
    got = run(query, source, base, shards, function, changelog)
    if changelog and not isinstance(got, str):
        got = fold(got)
    if isinstance(got, str):
        return got
    return check_clock(got, want) if query == "q12" else differs(got, want)


def library(base):
    """q14's function as a user writes it, where there is a compiler."""
    root = os.path.dirname(os.path.dirname(QUERIES))
    made = subprocess.run(["cc", "-std=c17", "-O2", "-shared", "-fPIC", "-I", os.path.join(root, "core"), "-o", base + "/count_char.so",
                           os.path.join(QUERIES, "count_char.c")], capture_output=True, text=True)
    return None if made.returncode != 0 else "'count_char' LANGUAGE C USING LIBRARY '%s/count_char.so'" % base


def wanted(query, events):
    if query == "q12":
        return oracle.total(events)
    return collections.Counter(tuple("" if v is None else str(v) for v in r) for r in oracle.answer(query, events))


class Counts:
    passed = failed = skipped = 0

    def take(self, name, why):
        self.passed, self.failed = self.passed + (why is None), self.failed + (why is not None)
        if why:
            print("FAILED: %s: %s" % (name, why))


def main():
    counts = Counts()
    with tempfile.TemporaryDirectory() as base, concurrent.futures.ThreadPoolExecutor(2) as pool:
        events, generator, files, jobs = {}, {}, {}, {}
        for rate in (SLOW, BUSY):
            generate("%s/all%d.csv" % (base, rate), oracle.COLUMNS, rate)
            events[rate] = oracle.read("%s/all%d.csv" % (base, rate))
            generator[rate] = "'connector'='nexmark','events.num'='%d','seed'='%d','rate'='%d'" % (EVENTS, SEED, rate)
            if [len(kind) for kind in events[rate]] != [EVENTS // 50, EVENTS // 50 * 3, EVENTS // 50 * 46]:
                counts.take("events", "of %d: %s" % (EVENTS, [len(kind) for kind in events[rate]]))
        function = library(base)
        for query in names():
            want, shape = {rate: wanted(query, e) for rate, e in events.items()}, columns(query)
            if shape not in files:
                files[shape] = "%s/%d.csv" % (base, len(files))
                generate(files[shape], shape)
            file = "'connector'='filesystem','format'='csv','csv.null-literal'='','path'='%s'" % files[shape]

            def start(name, rate, source, shards, **how):
                jobs["%s, %s, %d shard%s" % (query, name, shards, "s"[:shards > 1])] = \
                    pool.submit(check, query, want[rate], source, os.path.join(base, name), shards, **how)

            for shards in (1, 2, 3):
                start("file", SLOW, file, shards)
            start("generator", SLOW, generator[SLOW], 2)
            for shards in (1, 3):
                start("busy", BUSY, generator[BUSY], shards)
            if query not in ("q10", "q12"):  # q10 has a table of its own, q12 the clock's windows
                start("changelog", SLOW, generator[SLOW], 1, changelog=True)
                start("busy changelog", BUSY, generator[BUSY], 3, changelog=True)
            if query == "q14" and function is not None:
                start("function of a library", SLOW, file, 2, function=function)
        if function is None:
            counts.skipped += 1
            print("skipped: q14 with a library: no compiler")
        for name, job in jobs.items():
            counts.take(name, job.result())
    print("sql_nexmark: %d passed, %d failed, %d skipped" % (counts.passed, counts.failed, counts.skipped))
    return 1 if counts.failed else 0


sys.exit(main())
