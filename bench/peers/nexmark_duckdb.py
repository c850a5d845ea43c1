#!/usr/bin/env python3
"""NEXMark's answers by DuckDB, and by the oracle in Python, as `millstream bench nexmark` compares them: bench/results/nexmark_answers.txt.

    nexmark_duckdb.py EVENTS [QUERY ...] [--oracle] [--folder FOLDER]

Events are those of `millstream gen nexmark` (seed 1, 10,000 a second, as the benchmark has them), kept in FOLDER. Each query is written below in DuckDB's
SQL for the rows that are final when the input has ended. For patterns (cep_q0 ...) DuckDB only sorts the bids, and the oracle looks through them. --oracle: by tests/nexmark_oracle.py instead, which takes
some 1 KB of memory an event. A line per query: name, events, rows, sum of the rows' XXH3 128-bit hashes, by what. Of a query and number of events that stand there
already nothing is overwritten: another answer is an error. Needs the packages duckdb and xxhash; run by hand.
"""
import os, subprocess, sys, time

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path = [os.path.join(ROOT, "tests")] + [p for p in sys.path if os.path.basename(p) != "peers"]  # duckdb.py beside this file is not the package
import nexmark_oracle as oracle

ANSWERS = os.path.join(ROOT, "bench", "results", "nexmark_answers.txt")
COMMAND = os.environ.get("MILL_COMMAND", os.path.join(ROOT, "build", "millstream"))

# Times are BIGINT microseconds: a second is 1000000. place: of the event.
VIEWS = """
CREATE VIEW person AS SELECT place, person_id AS id, person_name AS name, person_emailAddress AS email, person_creditCard AS card, person_city AS city,
    person_state AS state, person_extra AS extra, t FROM events WHERE event_type = 0;
CREATE VIEW auction AS SELECT place, auction_id AS id, auction_itemName AS item, auction_description AS description, auction_initialBid AS initial,
    auction_reserve AS reserve, epoch_us(auction_expires) AS expires, auction_seller AS seller, auction_category AS category, auction_extra AS extra, t
    FROM events WHERE event_type = 1;
CREATE VIEW bid AS SELECT place, bid_auction AS auction, bid_bidder AS bidder, bid_price AS price, bid_channel AS channel, bid_url AS url,
    bid_extra AS extra, t FROM events WHERE event_type = 2;
CREATE VIEW hops AS SELECT auction, start, count(*) AS n
    FROM (SELECT auction, unnest([t // 2000000 * 2000000 - k * 2000000 for k in range(5)]) AS start FROM bid) GROUP BY auction, start;
CREATE VIEW sold AS SELECT a.*, b.place AS bid_place, b.auction, b.bidder, b.price, b.t AS bid_t, b.extra AS bid_extra
    FROM auction a JOIN bid b ON a.id = b.auction AND b.t >= a.t AND b.t <= a.expires;
"""
DAY = "strftime(make_timestamp(t), '%Y-%m-%d')"
BIDS = ("count(*), count(*) FILTER (price < 10000), count(*) FILTER (price >= 10000 AND price < 1000000), count(*) FILTER (price >= 1000000)")
USERS = ", ".join(BIDS.replace("*", "DISTINCT " + what) for what in ("bidder", "auction"))
EUROS = "price * 908"  # thousandths
QUERIES = {
    "q0": "SELECT auction, bidder, price, t, extra FROM bid",
    "q1": f"SELECT auction, bidder, {EUROS}, t, extra FROM bid",
    "q2": "SELECT auction, price FROM bid WHERE auction % 123 = 0",
    "q3": "SELECT p.name, p.city, p.state, a.id FROM auction a JOIN person p ON a.seller = p.id WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')",
    "q4": "SELECT category, (sum(best) // count(*))::BIGINT FROM (SELECT category, max(price) AS best FROM sold GROUP BY id, category) GROUP BY category",
    "q5": "SELECT auction, n FROM hops QUALIFY n = max(n) OVER (PARTITION BY start)",
    "q5_counts": "SELECT auction, n, start, start + 10000000 FROM hops",
    "q6": "SELECT seller, (sum(price) OVER w // count(*) OVER w)::BIGINT FROM (SELECT * FROM sold "
          "QUALIFY row_number() OVER (PARTITION BY id ORDER BY price DESC, bid_place) = 1) "
          "WINDOW w AS (PARTITION BY seller ORDER BY bid_t, id ROWS BETWEEN 10 PRECEDING AND CURRENT ROW)",
    "q7": "SELECT b.auction, b.bidder, b.price, b.t, b.extra FROM bid b JOIN (SELECT t // 10000000 * 10000000 AS start, max(price) AS best FROM bid "
          "GROUP BY start) w ON b.price = w.best AND b.t >= w.start AND b.t <= w.start + 10000000",
    "q8": "SELECT p.id, p.name, p.t // 10000000 * 10000000 AS start FROM person p WHERE EXISTS (FROM auction a WHERE a.seller = p.id "
          "AND a.t // 10000000 = p.t // 10000000)",
    "q9": "SELECT id, item, description, initial, reserve, t, expires, seller, category, extra, auction, bidder, price, bid_t, bid_extra FROM sold "
          "QUALIFY row_number() OVER (PARTITION BY id ORDER BY price DESC, bid_t, bid_place) = 1",
    "q10": f"SELECT auction, bidder, price, t, extra, {DAY}, strftime(make_timestamp(t), '%H:%M') FROM bid",
    "q11": "SELECT bidder, count(*), min(t), max(t) + 10000000 FROM (SELECT bidder, t, sum(opens) OVER (PARTITION BY bidder ORDER BY t, place) AS session "
           "FROM (SELECT bidder, t, place, CASE WHEN t - lag(t) OVER (PARTITION BY bidder ORDER BY t, place) <= 10000000 THEN 0 ELSE 1 END AS opens FROM bid)) "
           "GROUP BY bidder, session",
    "q13": "SELECT auction, bidder, price, t, (auction % 10000)::VARCHAR FROM bid",
    "q14": f"SELECT auction, bidder, {EUROS}, CASE WHEN hour(make_timestamp(t)) BETWEEN 8 AND 18 THEN 'dayTime' WHEN hour(make_timestamp(t)) <= 6 "
           "OR hour(make_timestamp(t)) >= 20 THEN 'nightTime' ELSE 'otherTime' END, t, extra, length(extra) - length(replace(extra, 'c', '')) FROM bid "
           f"WHERE {EUROS} > 1000000000 AND {EUROS} < 50000000000",
    "q15": f"SELECT {DAY} AS day, {BIDS}, {USERS} FROM bid GROUP BY day",
    "q16": f"SELECT channel, {DAY} AS day, max(strftime(make_timestamp(t), '%H:%M')), {BIDS}, {USERS} FROM bid GROUP BY channel, day",
    "q17": f"SELECT auction, {DAY} AS day, {BIDS}, min(price), max(price), (sum(price) // count(*))::BIGINT, sum(price)::BIGINT FROM bid GROUP BY auction, day",
    "q18": "SELECT auction, bidder, price, channel, url, t, extra FROM bid QUALIFY row_number() OVER (PARTITION BY bidder, auction ORDER BY t DESC, place DESC) = 1",
    "q19": "SELECT auction, bidder, price, channel, url, extra, t, row_number() OVER (PARTITION BY auction ORDER BY price DESC, place) AS n FROM bid QUALIFY n <= 10",
    "q20": "SELECT auction, bidder, price, channel, url, b.t, b.extra, item, description, initial, reserve, a.t, expires, seller, category, a.extra "
           "FROM bid b JOIN auction a ON b.auction = a.id WHERE a.category = 10",
    "q21": "SELECT auction, bidder, price, channel, CASE lower(channel) WHEN 'apple' THEN '0' WHEN 'google' THEN '1' WHEN 'facebook' THEN '2' WHEN 'baidu' THEN '3' "
           "ELSE regexp_extract(url, '(&|^)channel_id=([^&]*)', 2) END FROM bid WHERE regexp_matches(url, '(&|^)channel_id=([^&]*)') "
           "OR lower(channel) IN ('apple', 'google', 'facebook', 'baidu')",
    "q22": "SELECT auction, bidder, price, channel, string_split(url, '/')[4], string_split(url, '/')[5], string_split(url, '/')[6] FROM bid",
    "q23": "SELECT bidder, price, channel, url, b.extra, p.id, name, email, card, city, state, p.extra, item, description, initial, reserve, a.t, expires, seller, "
           "category, a.extra FROM bid b JOIN person p ON p.id = b.bidder JOIN auction a ON a.seller = b.bidder",
}
QUERIES["q14_builtin"] = QUERIES["q14"]


def generate(folder, events):
    path = os.path.join(folder, "nexmark-%d.csv" % events)
    if not os.path.exists(path):
        subprocess.run([COMMAND, "gen", "nexmark", "--events", str(events), "--columns", oracle.COLUMNS, "--format", "csv", "--out", path], check=True)
    return path


def load(path):
    import duckdb

    base = path[:-4] + ".duckdb"
    there = os.path.exists(base)
    connection = duckdb.connect(base)
    connection.execute("SET enable_progress_bar = false; SET threads = 2")
    if there:
        return connection, "DuckDB " + duckdb.__version__
    kinds = dict(c.split() for c in oracle.COLUMNS.replace("TIMESTAMP(3)", "TIMESTAMP").replace("STRING", "VARCHAR").split(", "))
    connection.execute("CREATE TABLE events AS SELECT row_number() OVER () AS place, *, epoch_us(dateTime) AS t FROM "
                       f"read_csv('{path}', header = false, auto_detect = false, delim = ',', quote = '\"', escape = '\"', columns = {kinds})")
    connection.execute(VIEWS)
    return connection, "DuckDB " + duckdb.__version__


def by_duckdb(connection, query):
    import xxhash

    result, rows, digest = connection.execute(QUERIES[query]), 0, 0
    while batch := result.fetchmany(100_000):
        rows += len(batch)
        digest += sum(xxhash.xxh3_128_intdigest(oracle.row_bytes(r)) for r in batch)
    return rows, digest % 2**128


PATTERNS = ("cep_q0", "cep_q1", "cep_q2", "cep_q3")


def by_partitions(connection, query):
    """The oracle over some thousand bids at a time, never parting those of one bidder on one auction."""
    result = connection.execute("SELECT auction, bidder, price, '', '', '', t // 1000 FROM bid ORDER BY auction, bidder, t, place")
    rows, digest, bids = 0, 0, []
    while batch := result.fetchmany(100_000):
        bids += [oracle.Bid(*row[:6], oracle.Time(row[6])) for row in batch]
        last = len(bids)
        while last > 0 and bids[last - 1][:2] == bids[-1][:2]:
            last -= 1
        found = oracle.answer(query, oracle.Events([], [], bids[:last]))
        rows, digest, bids = rows + len(found), digest + oracle.digest(found), bids[last:]
    found = oracle.answer(query, oracle.Events([], [], bids))
    return rows + len(found), (digest + oracle.digest(found)) % 2**128


def known():
    if not os.path.exists(ANSWERS):
        return {}
    return {tuple(line.split()[:2]): line.split()[2:4] for line in open(ANSWERS) if not line.startswith("#")}


def record(query, events, rows, digest, source):
    stands = known().get((query, str(events)))
    line = "%s %d %d %032x %s" % (query, events, rows, digest, source)
    print(line, flush=True)
    if stands is None:
        with open(ANSWERS, "a") as file:
            file.write(line + "\n")
    elif stands != [str(rows), "%032x" % digest]:
        sys.exit("%s: recorded was %s" % (query, stands))


def main():
    words, folder = sys.argv[1:], "/tmp"
    if "--folder" in words:
        at = words.index("--folder")
        folder = words[at + 1]
        del words[at:at + 2]
    naive = "--oracle" in words
    words = [w for w in words if w != "--oracle"]
    events = int(words[0])
    queries = words[1:] or list(QUERIES) + list(PATTERNS)
    path = generate(folder, events)
    if naive:
        read = oracle.read(path)
        for query in queries:
            rows = oracle.answer(query, read)
            record(query, events, len(rows), oracle.digest(rows), "oracle")
        return
    connection, source = load(path)
    for query in queries:
        if query in PATTERNS:
            record(query, events, *by_partitions(connection, query), "oracle")
        else:
            record(query, events, *by_duckdb(connection, query), source)


main()
