#!/usr/bin/env python3
"""NEXMark's answers by definition: plain Python over the events that `millstream gen nexmark` writes, with dictionaries and lists.

Nothing of the engine is used. One function per query of bench/queries, named as its file (q14_builtin is q14): events in, a list of rows out, in any
order; whole numbers, decimal.Decimal, Time, texts, None for NULL. Good for 100,000 events; q12 follows the clock and has total() only.

    nexmark_oracle.py EVENTS.csv QUERY ...     digests as `millstream bench` records them (needs the package xxhash)

EVENTS.csv: `millstream gen nexmark --columns COLUMNS` with COLUMNS as below (nexmark_oracle.py --columns prints them).
"""
import collections, csv, datetime, decimal, re, struct, sys

COLUMNS = ("event_type INT, person_id BIGINT, person_name STRING, person_emailAddress STRING, person_creditCard STRING, person_city STRING, "
           "person_state STRING, person_extra STRING, auction_id BIGINT, auction_itemName STRING, auction_description STRING, "
           "auction_initialBid BIGINT, auction_reserve BIGINT, auction_expires TIMESTAMP(3), auction_seller BIGINT, auction_category BIGINT, "
           "auction_extra STRING, bid_auction BIGINT, bid_bidder BIGINT, bid_price BIGINT, bid_channel STRING, bid_url STRING, "
           "bid_extra STRING, dateTime TIMESTAMP(3)")
SECOND = 1000
Person = collections.namedtuple("Person", "id name email card city state extra time")
Auction = collections.namedtuple("Auction", "id item description initial reserve expires seller category extra time")
Bid = collections.namedtuple("Bid", "auction bidder price channel url extra time")  # lists of them are in order of arrival
Events = collections.namedtuple("Events", "persons auctions bids")


class Time(int):
    """TIMESTAMP(3): milliseconds since 1970."""

    def __str__(self):
        return (datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=int(self))).strftime("%Y-%m-%d %H:%M:%S.") + "%03d" % (self % 1000)


def time_of(text):
    t = datetime.datetime.strptime(text[:19], "%Y-%m-%d %H:%M:%S").replace(tzinfo=datetime.timezone.utc)
    return Time(int(t.timestamp()) * 1000 + int(text[20:23]))


def read(path):
    events = Events([], [], [])
    with open(path, newline="") as file:
        for r in csv.reader(file):
            time = time_of(r[23])
            if r[0] == "0":
                events.persons.append(Person(int(r[1]), *r[2:8], time))
            elif r[0] == "1":
                events.auctions.append(Auction(int(r[8]), r[9], r[10], int(r[11]), int(r[12]), time_of(r[13]), int(r[14]), int(r[15]), r[16], time))
            else:
                events.bids.append(Bid(int(r[17]), int(r[18]), int(r[19]), *r[20:23], time))
    return events


def grouped(rows, key):
    groups = collections.defaultdict(list)
    for r in rows:
        groups[key(r)].append(r)
    return groups


def day(time):
    return str(time)[:10]


def euros(price):
    return decimal.Decimal(price) * decimal.Decimal("0.908")


# ---- row by row ----

def q0(e):
    return [(b.auction, b.bidder, b.price, b.time, b.extra) for b in e.bids]


def q1(e):
    return [(b.auction, b.bidder, euros(b.price), b.time, b.extra) for b in e.bids]


def q2(e):
    return [(b.auction, b.price) for b in e.bids if b.auction % 123 == 0]


def q10(e):
    return [(b.auction, b.bidder, b.price, b.time, b.extra, day(b.time), str(b.time)[11:16]) for b in e.bids]


def side_input(keys=10_000):
    """The file that q13 joins: a number and the number as text."""
    return [(k, str(k)) for k in range(keys)]


def q13(e, side=None):
    texts = grouped(side or side_input(), lambda s: s[0])
    return [(b.auction, b.bidder, b.price, b.time, s[1]) for b in e.bids for s in texts.get(b.auction % 10_000, ())]


def q14(e):
    out = []
    for b in e.bids:
        hour, price = int(str(b.time)[11:13]), euros(b.price)
        if 1_000_000 < price < 50_000_000:
            kind = "dayTime" if 8 <= hour <= 18 else "nightTime" if hour <= 6 or hour >= 20 else "otherTime"
            out.append((b.auction, b.bidder, price, kind, b.time, b.extra, b.extra.count("c")))
    return out


def q21(e):
    known, out = {"apple": "0", "google": "1", "facebook": "2", "baidu": "3"}, []
    for b in e.bids:
        found = re.search("(&|^)channel_id=([^&]*)", b.url)
        if found or b.channel.lower() in known:
            out.append((b.auction, b.bidder, b.price, b.channel, known.get(b.channel.lower()) or found.group(2)))
    return out


def q22(e):
    out = []
    for b in e.bids:
        parts = b.url.split("/")
        out.append((b.auction, b.bidder, b.price, b.channel) + tuple(parts[i] if i < len(parts) else None for i in (3, 4, 5)))
    return out


# ---- windows ----

def windows(time, size, slide):
    """Starts of the windows that hold @time."""
    last = time // slide * slide
    return range(last, time - size, -slide)


def counts_by_window(e):
    return collections.Counter((b.auction, start) for b in e.bids for start in windows(b.time, 10 * SECOND, 2 * SECOND))


def q5_counts(e):
    return [(auction, n, Time(start), Time(start + 10 * SECOND)) for (auction, start), n in counts_by_window(e).items()]


def q5(e):
    counts, most = counts_by_window(e), collections.Counter()
    for (auction, start), n in counts.items():
        most[start] = max(most[start], n)
    return [(auction, n) for (auction, start), n in counts.items() if n >= most[start]]


def q7(e):
    highest = {}
    for b in e.bids:
        start = b.time // (10 * SECOND) * (10 * SECOND)
        highest[start] = max(highest.get(start, 0), b.price)
    out = []
    for b in e.bids:
        for start, price in highest.items():
            if b.price == price and start <= b.time <= start + 10 * SECOND:  # both ends belong to it
                out.append((b.auction, b.bidder, b.price, b.time, b.extra))
    return out


def q8(e):
    window = lambda time: time // (10 * SECOND) * (10 * SECOND)
    people = {(p.id, p.name, window(p.time)) for p in e.persons}
    sellers = {(a.seller, window(a.time)) for a in e.auctions}
    return [(id, name, Time(start)) for id, name, start in people if (id, start) in sellers]


def q11(e):
    out = []
    for bidder, bids in grouped(e.bids, lambda b: b.bidder).items():
        times = sorted(b.time for b in bids)
        start, count = times[0], 0
        for i, t in enumerate(times):
            count += 1
            if i + 1 == len(times) or times[i + 1] - t > 10 * SECOND:  # windows that touch are one
                out.append((bidder, count, Time(start), Time(t + 10 * SECOND)))
                count = 0
                start = times[i + 1] if i + 1 < len(times) else 0
    return out


# ---- joins and ranks ----

def q3(e):
    people = grouped(e.persons, lambda p: p.id)
    return [(p.name, p.city, p.state, a.id) for a in e.auctions if a.category == 10 for p in people[a.seller] if p.state in ("OR", "ID", "CA")]


def bids_in_time(e):
    """(auction, its bids while it ran, in order of arrival), of auctions that had some."""
    bids = grouped(e.bids, lambda b: b.auction)
    for a in e.auctions:
        in_time = [b for b in bids[a.id] if a.time <= b.time <= a.expires]
        if in_time:
            yield a, in_time


def q4(e):
    best = collections.defaultdict(list)
    for a, bids in bids_in_time(e):
        best[a.category].append(max(b.price for b in bids))
    return [(category, sum(prices) // len(prices)) for category, prices in best.items()]


def q6(e):
    won = collections.defaultdict(list)
    for a, bids in bids_in_time(e):
        b = min(enumerate(bids), key=lambda x: (-x[1].price, x[0]))[1]
        won[a.seller].append((b.time, a.id, b.price))
    out = []
    for seller, sales in won.items():
        sales.sort()
        for i in range(len(sales)):
            prices = [price for _, _, price in sales[max(0, i - 10):i + 1]]
            out.append((seller, sum(prices) // len(prices)))
    return out


def q9(e):
    out = []
    for a, bids in bids_in_time(e):
        b = min(enumerate(bids), key=lambda x: (-x[1].price, x[1].time, x[0]))[1]
        out.append((a.id, a.item, a.description, a.initial, a.reserve, a.time, a.expires, a.seller, a.category, a.extra,
                    b.auction, b.bidder, b.price, b.time, b.extra))
    return out


def q18(e):
    last = {}
    for b in e.bids:
        known = last.get((b.bidder, b.auction))
        if known is None or b.time >= known.time:  # of the same time, the one that came later
            last[b.bidder, b.auction] = b
    return [(b.auction, b.bidder, b.price, b.channel, b.url, b.time, b.extra) for b in last.values()]


def q19(e):
    out = []
    for bids in grouped(e.bids, lambda b: b.auction).values():
        ranked = sorted(enumerate(bids), key=lambda x: (-x[1].price, x[0]))[:10]
        out += [(b.auction, b.bidder, b.price, b.channel, b.url, b.extra, b.time, i + 1) for i, (_, b) in enumerate(ranked)]
    return out


def q20(e):
    auctions = grouped([a for a in e.auctions if a.category == 10], lambda a: a.id)
    return [(b.auction, b.bidder, b.price, b.channel, b.url, b.time, b.extra, a.item, a.description, a.initial, a.reserve, a.time, a.expires,
             a.seller, a.category, a.extra) for b in e.bids for a in auctions.get(b.auction, ())]


def q23(e):
    people, auctions = grouped(e.persons, lambda p: p.id), grouped(e.auctions, lambda a: a.seller)
    return [(b.bidder, b.price, b.channel, b.url, b.extra, p.id, p.name, p.email, p.card, p.city, p.state, p.extra, a.item, a.description,
             a.initial, a.reserve, a.time, a.expires, a.seller, a.category, a.extra)
            for b in e.bids for p in people.get(b.bidder, ()) for a in auctions.get(b.bidder, ())]


# ---- groups ----

RANKS = (lambda price: True, lambda price: price < 10_000, lambda price: 10_000 <= price < 1_000_000, lambda price: price >= 1_000_000)


def bids_by_rank(bids):
    return tuple(sum(1 for b in bids if rank(b.price)) for rank in RANKS)


def distinct_by_rank(bids, value):
    return tuple(len({value(b) for b in bids if rank(b.price)}) for rank in RANKS)


def statistics(bids):
    return bids_by_rank(bids) + distinct_by_rank(bids, lambda b: b.bidder) + distinct_by_rank(bids, lambda b: b.auction)


def q15(e):
    return [(d,) + statistics(bids) for d, bids in grouped(e.bids, lambda b: day(b.time)).items()]


def q16(e):
    return [(channel, d, max(str(b.time)[11:16] for b in bids)) + statistics(bids)
            for (channel, d), bids in grouped(e.bids, lambda b: (b.channel, day(b.time))).items()]


def q17(e):
    out = []
    for (auction, d), bids in grouped(e.bids, lambda b: (b.auction, day(b.time))).items():
        prices = [b.price for b in bids]
        out.append((auction, d) + bids_by_rank(bids) + (min(prices), max(prices), sum(prices) // len(prices), sum(prices)))
    return out


# ---- patterns: the match that the standard prefers, from the first row on ----

def partitions(e):
    for (auction, bidder), bids in grouped(e.bids, lambda b: (b.auction, b.bidder)).items():
        yield auction, bidder, sorted(bids, key=lambda b: b.time)  # stable: rows of one time as they came


def cep_q0(e):
    """START_ROW PRICE_DOWN+ PRICE_UP. A row is never both: up is above the last but one of those that went down."""
    out = []
    for auction, bidder, rows in partitions(e):
        i = 0
        while i < len(rows):
            down = i  # the last row that went down
            while down + 1 < len(rows) and rows[down + 1].price < rows[down].price:
                down += 1
            up = down + 1
            if down - i >= 2 and up < len(rows) and rows[up].price > rows[down - 1].price:
                out.append((auction, bidder, rows[i].time, rows[down].time, rows[up].time))
                i = up
            else:
                i += 1
    return out


def low_average(rows, i):
    """A+ B from row i: how many are A. B is any row, so the last one of the partition is B and not A."""
    count, total = 0, 0
    while i + count < len(rows) and (total + rows[i + count].price) // (count + 1) < 10_000:
        total += rows[i + count].price
        count += 1
    return count if i + count < len(rows) else count - 1


def low_averages(e, past_last_row):
    out = []
    for auction, bidder, rows in partitions(e):
        i = 0
        while i < len(rows):
            n = low_average(rows, i)
            if n >= 1:
                out.append((auction, bidder, rows[i].time, rows[i + n - 1].time, sum(b.price for b in rows[i:i + n]) // n))
            i += n + 1 if n >= 1 and past_last_row else 1
    return out


def cep_q1(e):
    return low_averages(e, True)


def cep_q2(e):
    return low_averages(e, False)


def cep_q3(e):
    """A B* C within 5 seconds; no row is both B and C."""
    out = []
    for auction, bidder, rows in partitions(e):
        i = 0
        while i < len(rows):
            c = i + 1
            while c < len(rows) and rows[c].time - rows[i].time < 5 * SECOND and rows[c].price > rows[i].price - 50:
                c += 1
            if c < len(rows) and rows[c].time - rows[i].time < 5 * SECOND and rows[c].price < rows[i].price - 50:
                out.append((auction, bidder, rows[c].time, rows[i].price - rows[c].price))
                i = c + 1
            else:
                i += 1
    return out


def total(e):
    """q12: bids by bidder; which windows of the clock they fall into is not known."""
    return collections.Counter(b.bidder for b in e.bids)


def answer(query, events):
    return globals()["q14" if query == "q14_builtin" else query](events)


# ---- what millstream bench compares: rows, and the sum of their XXH3 128-bit hashes (tools/bench_answer.c) ----

def row_bytes(row):
    parts = []
    for v in row:
        if v is None:
            parts.append(b"\0")
        elif isinstance(v, str):
            text = v.encode()
            parts.append(struct.pack("<BQ", 3, len(text)) + text)
        else:
            whole = int(v) * 1000 if isinstance(v, Time) else int(v.scaleb(3)) if isinstance(v, decimal.Decimal) else v
            parts.append(struct.pack("<Bq", 1, whole))
    return b"".join(parts)


def digest(rows):
    import xxhash

    return sum(xxhash.xxh3_128_intdigest(row_bytes(r)) for r in rows) % 2**128


def main():
    if sys.argv[1:] == ["--columns"]:
        print(COLUMNS)
        return
    events = read(sys.argv[1])
    number = sum(map(len, events))
    for query in sys.argv[2:]:
        rows = answer(query, events)
        print("%s %d %d %032x" % (query, number, len(rows), digest(rows)))


if __name__ == "__main__":
    main()
