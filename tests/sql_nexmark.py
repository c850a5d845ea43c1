#!/usr/bin/env python3
"""The queries of bench/queries on generated events against a recomputation by definition in this file, at several shard counts.

Events come from `millstream gen nexmark` as CSV and are read here by Python; each query runs on that file and on the generator, which
must give the same. What a query means is worked out below from NEXMark's definition, with whole numbers and Python's own time,
decimal and text functions. q12 follows the clock: its windows are not known, but each bidder's bids are.
"""
import collections, concurrent.futures, csv, datetime, decimal, glob, os, re, subprocess, sys, tempfile

COMMAND = os.path.abspath(os.environ.get("MILL_COMMAND", "build/millstream"))
QUERIES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bench", "queries")
EVENTS, SEED, RATE = (20_000 if os.environ.get("MILL_QUICK") else 200_000), 11, 500
COLUMNS = "event_type INT, bid_auction BIGINT, bid_bidder BIGINT, bid_price BIGINT, bid_channel STRING, bid_url STRING, bid_extra STRING, dateTime TIMESTAMP(3)"
Bid = collections.namedtuple("Bid", "auction bidder price channel url extra time")


def ms(text):
    t = datetime.datetime.strptime(text[:19], "%Y-%m-%d %H:%M:%S").replace(tzinfo=datetime.timezone.utc)
    return int(t.timestamp()) * 1000 + int(text[20:23])


def text(t):
    return (datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=t)).strftime("%Y-%m-%d %H:%M:%S.") + "%03d" % (t % 1000)


def read_bids(path):
    bids = []
    with open(path, newline="") as file:
        for row in csv.reader(file):
            if row[0] == "2":
                bids.append(Bid(int(row[1]), int(row[2]), int(row[3]), row[4], row[5], row[6], row[7]))
    return bids


def euros(price):
    return str(decimal.Decimal(price) * decimal.Decimal("0.908"))


# ---- one function per query: its rows as texts; all in time, since the generator's times ascend ----

def q0(bids):
    return [(b.auction, b.bidder, b.price, b.time, b.extra) for b in bids]


def q1(bids):
    return [(b.auction, b.bidder, euros(b.price), b.time, b.extra) for b in bids]


def q2(bids):
    return [(b.auction, b.price) for b in bids if b.auction % 123 == 0]


def q5_counts(bids):
    counts = collections.Counter()
    for b in bids:
        first = ms(b.time) // 2000 * 2000
        for start in range(first - 8000, first + 1, 2000):
            counts[b.auction, start] += 1
    return [(a, n, text(s), text(s + 10_000)) for (a, s), n in counts.items()]


def q10(bids):
    return [("dt=" + b.time[:10], "hm=" + b.time[11:16], b.auction, b.bidder, b.price, b.time, b.extra) for b in bids]


def q11(bids):
    times = collections.defaultdict(list)
    for b in bids:
        times[b.bidder].append(ms(b.time))
    out = []
    for bidder, ts in times.items():
        ts.sort()
        start, count = ts[0], 0
        for i, t in enumerate(ts):
            count += 1
            if i + 1 == len(ts) or ts[i + 1] - t > 10_000:  # windows that touch are one
                out.append((bidder, count, text(start), text(t + 10_000)))
                count = 0
                start = ts[i + 1] if i + 1 < len(ts) else 0
    return out


def q14(bids):
    out = []
    for b in bids:
        hour, price = int(b.time[11:13]), decimal.Decimal(b.price) * decimal.Decimal("0.908")
        if 1_000_000 < price < 50_000_000:
            kind = "dayTime" if 8 <= hour <= 18 else "nightTime" if hour <= 6 or hour >= 20 else "otherTime"
            out.append((b.auction, b.bidder, euros(b.price), kind, b.time, b.extra, b.extra.count("c")))
    return out


def q21(bids):
    known, out = {"apple": "0", "google": "1", "facebook": "2", "baidu": "3"}, []
    for b in bids:
        found = re.search("(&|^)channel_id=([^&]*)", b.url)
        if found or b.channel.lower() in known:
            out.append((b.auction, b.bidder, b.price, b.channel, known.get(b.channel.lower()) or found.group(2)))
    return out


def q22(bids):
    out = []
    for b in bids:
        parts = b.url.split("/")
        out.append((b.auction, b.bidder, b.price, b.channel) + tuple(parts[i] if i < len(parts) else "" for i in (3, 4, 5)))
    return out


def run(query, source, base, shards, function="'count_char'"):
    """Result rows as texts, the names of partitions first."""
    folder = os.path.join(base, "%s-%s" % (query, shards))
    os.makedirs(folder)
    variables = {"SOURCE": source, "SINK": "'connector'='filesystem','format'='csv','path'='%s/out.csv'" % folder, "FOLDER": folder, "COUNT_CHAR": function}
    p = subprocess.run([COMMAND, "run", os.path.join(QUERIES, query + ".sql"), "--quiet", "--shards", str(shards),
                        *[x for k, v in variables.items() for x in ("-D", k + "=" + v)]], capture_output=True, text=True)
    if p.returncode != 0 or p.stderr:
        return p.stderr or "exit code %d" % p.returncode
    rows = []
    for path in sorted(glob.glob(folder + "/**/*.csv", recursive=True)):
        parts = tuple(x.replace("%3A", ":") for x in os.path.relpath(os.path.dirname(path), folder).split("/") if "=" in x)
        with open(path, newline="") as file:
            rows += [parts + tuple(r) for r in csv.reader(file)]
    return rows


def check(query, source, base, shards, bids, function="'count_char'"):
    got = run(query, source, base, shards, function)
    if isinstance(got, str):
        return got
    if query == "q12":
        want, counts = collections.Counter(b.bidder for b in bids), collections.Counter()
        for bidder, count, start, end in got:
            counts[int(bidder)] += int(count)
            if ms(end) - ms(start) != 10_000 or ms(start) % 10_000 != 0:
                return "window %s to %s" % (start, end)
        return None if counts == want else "bids of %d bidders, not of %d" % (len(counts), len(want))
    want = collections.Counter(tuple(str(v) for v in r) for r in globals()["q14" if query == "q14_builtin" else query](bids))
    got = collections.Counter(got)
    if got == want and want:
        return None
    return "%d rows, not %d; %s, not %s" % (sum(got.values()), sum(want.values()), list((got - want).keys())[:2], list((want - got).keys())[:2])


def library(base):
    """q14's function as a user writes it, where there is a compiler."""
    root = os.path.dirname(os.path.dirname(QUERIES))
    made = subprocess.run(["cc", "-std=c17", "-O2", "-shared", "-fPIC", "-I", os.path.join(root, "core"), "-o", base + "/count_char.so",
                           os.path.join(QUERIES, "count_char.c")], capture_output=True, text=True)
    return None if made.returncode != 0 else "'count_char' LANGUAGE C USING LIBRARY '%s/count_char.so'" % base


def main():
    passed, failed, skipped = 0, 0, 0
    with tempfile.TemporaryDirectory() as base, concurrent.futures.ThreadPoolExecutor(2) as pool:
        path = base + "/events.csv"
        subprocess.run([COMMAND, "gen", "nexmark", "--events", str(EVENTS), "--seed", str(SEED), "--rate", str(RATE), "--columns", COLUMNS, "--out", path], check=True)
        bids = read_bids(path)
        sources = {"file": "'connector'='filesystem','format'='csv','csv.null-literal'='','path'='%s'" % path,
                   "generator": "'connector'='nexmark','events.num'='%d','seed'='%d','rate'='%d'" % (EVENTS, SEED, RATE)}
        if len(bids) != EVENTS // 50 * 46:
            failed += 1
            print("FAILED: %d bids of %d events" % (len(bids), EVENTS))
        jobs = {}
        for query in sorted(os.path.basename(p)[:-4] for p in glob.glob(QUERIES + "/q*.sql")):
            for name, source in sources.items():
                for shards in (1, 3):
                    jobs["%s, %s, %d shards" % (query, name, shards)] = pool.submit(check, query, source, os.path.join(base, name), shards, bids)
        function = library(base)
        if function is None:
            skipped += 1
            print("skipped: q14 with a library: no compiler")
        else:
            jobs["q14, function of a library"] = pool.submit(check, "q14", sources["file"], os.path.join(base, "library"), 2, bids, function)
        for name, job in jobs.items():
            why = job.result()
            passed, failed = passed + (why is None), failed + (why is not None)
            if why:
                print("FAILED: %s: %s" % (name, why))
    print("sql_nexmark: %d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed else 0


sys.exit(main())
