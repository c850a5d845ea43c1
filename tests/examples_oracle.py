"""What docs/examples must give on their generated data, computed anew and naively from the files that gen.sql has written.

expected(name, folder): for each job of an example, for each of its outputs ("" for its SELECT), the lines of CSV.
"""
import csv, datetime, json, math, os, re
from collections import defaultdict
from decimal import Decimal as D, ROUND_HALF_UP

EPOCH = datetime.datetime(1970, 1, 1)
MINUTE, HOUR, DAY = 60000, 3600000, 86400000
AFTER = re.compile(r'"after":{"id":(\d+),"name":"([^"]*)","city":"([^"]*)","changed":"([^"]*)"}')


def ms(text):
    return ns(text) // 1000000


def ns(text):
    whole, _, rest = text.partition(".")
    t = datetime.datetime.strptime(whole, "%Y-%m-%d %H:%M:%S") - EPOCH
    return (t.days * 86400 + t.seconds) * 10**9 + int((rest + "000000000")[:9])


def at(t):
    return (EPOCH + datetime.timedelta(seconds=t // 1000)).strftime("%Y-%m-%d %H:%M:%S") + ".%03d" % (t % 1000)


def at_ns(t):
    return (EPOCH + datetime.timedelta(seconds=t // 10**9)).strftime("%Y-%m-%d %H:%M:%S") + ".%09d" % (t % 10**9)


def rows(folder, name):
    with open(os.path.join(folder, name), newline="") as f:
        return list(csv.reader(f))


def scaled(value, digits):
    return str(value.quantize(D(1).scaleb(-digits), ROUND_HALF_UP))


def line(*values):
    return ",".join("" if v is None else str(v) for v in values)


def groups(items, key):
    out = defaultdict(list)
    for item in items:
        out[key(item)].append(item)
    return out


def sessions(times, gap):
    """Times in ascending order, cut where the next one is more than the gap away."""
    out = []
    for t in times:
        if out and t - out[-1][-1] <= gap:
            out[-1].append(t)
        else:
            out.append([t])
    return out


def iot(f):
    sensors = {s: (kind, place) for s, kind, place in rows(f, "sensors.csv")}
    once = {(s, seq): (ms(t), D(v)) + sensors[s] for t, s, seq, v in rows(f, "messages.csv")}
    wanted = [m for m in once.values() if m[3] in ("field 3", "field 7", "field 12")]
    out = []
    for (start, place), g in sorted(groups(wanted, lambda m: (m[0] // MINUTE * MINUTE, m[3])).items()):
        kinds = groups(g, lambda m: m[2])
        means = [scaled(sum(m[1] for m in kinds[k]) / len(kinds[k]), 6) for k in ("temperature", "moisture", "light")]
        out.append(line(at(start), place, *means, len(g)))
    return {"job.sql": {"": out}}


def windows(f):
    readings = [(ms(t), int(v)) for t, v in rows(f, "readings.csv")]
    requests = [(ms(t), s) for t, s in rows(f, "requests.csv")]
    out = {}
    out["tumbling.sql"] = {"": [line(at(s), at(s + 5000), sum(v for _, v in g), len(g))
                                for s, g in sorted(groups(readings, lambda r: r[0] // 5000 * 5000).items())]}
    fours = [readings[i:i + 4] for i in range(0, len(readings), 4)]
    out["by_size.sql"] = {"": [line(sum(v for _, v in g), len(g)) for g in fours]}
    either, last = [], None
    for t, v in readings:
        if last is None or len(last) == 4 or t >= last[0][0] + 5000:
            last = []
            either.append(last)
        last.append((t, v))
    out["by_size_or_time.sql"] = {"": [line(at(g[0][0]), sum(v for _, v in g), len(g)) for g in either]}
    first, end = min(requests)[0] // 5000 * 5000 - 5000, max(requests)[0]
    slides = []
    for s in range(first, end + 1, 5000):
        of = [st for t, st in requests if s <= t < s + 10000]
        if of:
            slides.append(line(at(s), at(s + 10000), of.count("S"), of.count("W"), of.count("E")))
    out["sliding.sql"] = {"": slides}
    seen = groups([(ms(t), v) for t, v in rows(f, "views.csv")], lambda r: r[1])
    found = [(s[-1] + 10 * MINUTE, v, s) for v, g in seen.items() for s in sessions(sorted(t for t, _ in g), 10 * MINUTE)]
    out["sessions.sql"] = {"": [line(v, at(s[0]), at(e), len(s)) for e, v, s in sorted(found)]}
    totals, late, mark = defaultdict(int), [], -10**18
    for t, v in rows(f, "disorder.csv"):
        end = ms(t) // 5000 * 5000 + 5000
        if mark >= end - 1:
            late.append(line(t, v, at(mark), "all its windows were closed"))
        else:
            totals[end] += 1
        mark = max(mark, ms(t) - 3000)
    out["watermark.sql"] = {"totals.csv": [line(at(e), n) for e, n in sorted(totals.items())], "late.csv": late}
    return out


def sensors(f):
    t = [(ms(a) // 10000 * 10000, p, c) for a, p, c in rows(f, "temperature.csv")]
    m = [(ms(a) // 10000 * 10000, p, c) for a, p, c in rows(f, "moisture.csv")]
    t, m = groups(t, lambda r: r[:2]), groups(m, lambda r: r[:2])
    inner, full, co = [], [], []
    for key in sorted(set(t) | set(m)):
        left, right = [r[2] for r in t.get(key, [])], [r[2] for r in m.get(key, [])]
        pairs = [line(at(key[0]), key[1], c, p) for c in left for p in right]
        inner += pairs
        full += pairs or [line(at(key[0]), key[1], c, None) for c in left] + [line(at(key[0]), key[1], None, p) for p in right]
        mean = scaled(D(scaled(sum(map(D, left)) / len(left), 6)), 1) if left else None
        co.append(line(at(key[0]), key[1], " ".join(left), " ".join(right), mean, sum(map(int, right)) // len(right) if right else None))
    return {"inner.sql": {"": inner}, "job.sql": {"": full}, "cogroup.sql": {"": co}}


def logins(f):
    out, before, failures = [], {}, []
    for t, ip, _, ok in sorted(rows(f, "logins.csv")):
        if ok == "true":
            continue
        failures.append((ms(t), ip))
        n = sum(1 for u, i in failures if i == ip and ms(t) - 15 * MINUTE <= u)
        if n >= 5:
            out.append(line(at(ms(t)), ip, n, before.get(ip)))
            before[ip] = at(ms(t))
    return {"job.sql": {"": out}}


def rekey(f):
    clicks = [(ms(t) // MINUTE * MINUTE + MINUTE, c, a) for t, c, a in rows(f, "clicks.csv")]
    return {"job.sql": {
        "by_action.csv": [line(at(e), a, len(g), len({c for _, c, _ in g})) for (e, a), g in sorted(groups(clicks, lambda r: (r[0], r[2])).items())],
        "by_customer.csv": [line(at(e), c, len(g)) for (e, c), g in sorted(groups(clicks, lambda r: (r[0], r[1])).items())]}}


def orders(f):
    versions, found = defaultdict(list), []
    with open(os.path.join(f, "customers.json")) as lines:
        for number, name, city, changed in AFTER.findall(lines.read()):
            versions[int(number)].append((changed, name, city))
    with open(os.path.join(f, "orders.json")) as lines:
        for text in lines:
            o = json.loads(text, parse_float=D)
            when, valid = o["ordered"], None  # zeros at the end of a fraction are not written: texts stand in the order of the times
            for v in versions[o["customer"]]:
                valid = v if v[0] <= when and (valid is None or v[0] >= valid[0]) else valid
            found.append((when, line(o["id"], scaled(D(o["amount"]), 2), *(valid[1:] if valid else (None, None)))))
    assert len(found) == 120000
    return {"job.sql": {"enriched.csv": [text for _, text in sorted(found, key=lambda x: x[0])]}}


def playback(f):
    beats = [(ms(t), viewer, video, place) for t, viewer, video, place in rows(f, "beats.csv")]
    payments = [(s[-1] + 5 * MINUTE, key, s) for key, g in groups(beats, lambda b: b[1:3]).items()
                for s in sessions(sorted(b[0] for b in g), 5 * MINUTE)]
    frauds = [(key, len({b[3] for b in g})) for key, g in sorted(groups(beats, lambda b: (b[0] // MINUTE * MINUTE, b[1])).items())]
    return {"job.sql": {
        "payments.csv": [line(*key, at(s[0]), len(s), scaled(len(s) * D("0.02"), 2)) for _, key, s in sorted(payments)],
        "frauds.csv": [line(at(key[0]), key[1], n) for key, n in frauds if n > 1]}}


def fleet(f):
    crossings, speeding, last = [], [], {}
    for t, van, lat, lon in sorted(rows(f, "positions.csv")):
        t, lat, lon = ms(t), float(lat), float(lon)
        inside = 46.9 <= lat <= 47.0 and 7.4 <= lon <= 7.5
        if van in last:
            t0, lat0, lon0, was = last[van]
            if inside != was:
                crossings.append(line(at(t), van, "enters" if inside else "leaves"))
            km = int(3600 * math.sqrt(((lat - lat0) * 111.2) ** 2 + ((lon - lon0) * 76) ** 2) / ((t - t0) // 1000))
            if km > 120:
                speeding.append(line(at(t), van, km))
        last[van] = (t, lat, lon, inside)
    return {"job.sql": {"crossings.csv": crossings, "speeding.csv": speeding}}


def billing(f):
    tariffs = [(plan, ms(since), D(price)) for plan, since, price in rows(f, "tariffs.csv")]
    days = defaultdict(lambda: [0, 0, D(0)])
    for number, plan, begun, seconds in rows(f, "calls.csv"):
        price = max((since, p) for pl, since, p in tariffs if pl == plan and since <= ms(begun))[1]
        minutes, day = -(-int(seconds) // 60), days[ms(begun) // DAY * DAY, number]
        day[0], day[1], day[2] = day[0] + 1, day[1] + minutes, day[2] + minutes * price
    return {"job.sql": {"": [line(at(d), number, *day) for (d, number), day in sorted(days.items())]}}


def cards(f):
    out = []
    for card, g in groups([(ms(t), c, D(a)) for t, c, a in rows(f, "payments.csv")], lambda p: p[1]).items():
        g.sort(key=lambda p: p[0])
        i = 0
        while i < len(g):
            small = g[i]
            large = [j for j in range(i + 1, len(g)) if small[2] <= 5 and g[j][2] >= 50 * small[2] and g[j][2] >= 100
                     and g[j][0] - small[0] < 10 * MINUTE]
            if large:
                taken = g[large[0]]
                out.append((taken[0], line(card, at(small[0]), small[2], at(taken[0]), taken[2])))
            i = large[0] + 1 if large else i + 1
    return {"job.sql": {"": [text for _, text in sorted(out)]}}


def funnel(f):
    visits = defaultdict(list)
    for visitor, g in groups([(ms(t), v, step, D(a) if a else None) for t, v, step, a in rows(f, "events.csv")], lambda e: e[1]).items():
        g.sort(key=lambda e: e[0])
        while g:
            n = len(sessions([e[0] for e in g], 30 * MINUTE)[0])
            visits[(g[n - 1][0] + 30 * MINUTE - 1) // HOUR * HOUR].append(g[:n])
            g = g[n:]
    out = []
    for hour, of in sorted(visits.items()):
        paid = [e[3] for v in of for e in v if e[3] is not None]
        out.append(line(at(hour), len(of), sum(any(e[2] == "cart" for e in v) for v in of),
                        sum(any(e[2] == "order" for e in v) for v in of), sum(paid) if paid else None))
    return {"job.sql": {"": out}}


def anticheat(f):
    told = {}
    for player, g in groups([(ms(t), p, int(n)) for t, p, n in rows(f, "actions.csv")], lambda a: a[1]).items():
        for t, _, _ in g:
            within = [n for u, _, n in g if t - 1000 <= u <= t]
            if len(within) > 3 or sum(within) > 1000:
                most = told.get((t // 1000 * 1000, player), (0, 0))
                told[t // 1000 * 1000, player] = (max(most[0], len(within)), max(most[1], sum(within)))
    return {"job.sql": {"": [line(at(s), p, *most) for (s, p), most in sorted(told.items())]}}


def latest(quotes, symbol, t):
    return max((q for q in quotes[symbol] if q[0] <= t), key=lambda q: q[0], default=None)


def trading(f):
    trades = [(ns(t), s, D(p), int(n)) for t, s, p, n in rows(f, "trades.csv")]
    quotes = groups([(ns(t), s, D(b), D(a)) for t, s, b, a in rows(f, "quotes.csv")], lambda q: q[1])
    bars, asof, pnl, book = [], [], [], defaultdict(lambda: [0, D(0)])
    for (start, s), g in sorted(groups(trades, lambda t: (t[0] // 10**9 * 10**9, t[1])).items()):
        volume, prices = sum(t[3] for t in g), [t[2] for t in g]
        # the quotient of DECIMAL(38, 4) and INT has scale 6, then comes the cast
        vwap = scaled(D(scaled(sum(t[2] * t[3] for t in g) / volume, 6)), 4)
        bars.append(line(at_ns(start), s, prices[0], max(prices), min(prices), prices[-1], volume, vwap))
    for t, s, price, size in sorted(trades):
        q = latest(quotes, s, t)
        q = q if q and t - q[0] <= 5 * 10**9 else None
        asof.append(line(at_ns(t), s, price, *((q[2], q[3], scaled((price - (q[2] + q[3]) / 2) * size, 2)) if q else (None,) * 3)))
    for t, s, side, price, size in rows(f, "fills.csv"):
        q, size = latest(quotes, s, ns(t)), int(size) if side == "buy" else -int(size)
        if q is None:
            continue
        book[s][0] += size
        book[s][1] -= size * D(price)
        pnl.append(line(at_ns(ns(t)), s, book[s][0], scaled(book[s][1], 2), scaled(book[s][1] + book[s][0] * (q[2] + q[3]) / 2, 2)))
    return {"bars.sql": {"": bars}, "quotes.sql": {"": asof}, "pnl.sql": {"": pnl}}


NAMES = ("anticheat", "billing", "cards", "fleet", "funnel", "iot", "logins", "orders", "playback", "rekey", "sensors", "trading", "windows")


def expected(name, folder):
    return globals()[name](folder)
