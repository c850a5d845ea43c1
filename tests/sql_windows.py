#!/usr/bin/env python3
"""Random streams and windows against a row-by-row recomputation that keeps all rows.

Each seed makes a CSV with disorder, equal times, NULLs and times before 1970, and one TUMBLE, HOP, CUMULATE, SESSION, TUMBLE_ROWS or
HOP_ROWS aggregation, half of them with LATE DATA INTO a file, which must hold the late rows in place order. The
answer is recomputed by definition: a row counts in every window [start, end) that holds its time and is not closed, where a window
is closed when the watermark just before the row has reached end - 1 ms. The command must give these rows, in (end, key) order, as
the same bytes for 1, 2, 3 and 8 shards and for any batch size, ring size and state round trip.
"""
import os, random, sys

import sqlkit
from sqlkit import time_text


def make_rows(r):
    rows, t = [], r.choice([0, -50_000, 1_700_000_000_000])
    for _ in range(r.randint(1, 400)):
        t += r.choice([0, 0, 1, 7, 100, 900])
        ms = t - r.choice([0, 0, 0, r.randint(0, 3000)])
        key = r.choice([None, "a", "b", "a longer key than twelve", ""])
        rows.append((ms, key, r.choice([None, r.randint(-100, 100)]), r.randint(0, 3)))
    return rows


def windows_of(spec, ms):
    kind, size, slide, offset = spec
    if kind == "CUMULATE":
        start = (ms - offset) // size * size + offset
        end = start + ((ms - start) // slide + 1) * slide
        while end <= start + size:
            yield start, end
            end += slide
        return
    start = (ms - offset) // slide * slide + offset
    while start > ms - size:
        yield start, start + size
        start -= slide


def oracle(rows, spec, delay, keyed, low):
    """Returns the result rows and how many rows were late for all their windows."""
    groups, late, w = {}, [], None
    for ms, key, value, flag in rows:
        if value is None or value >= low:
            open_ = [x for x in windows_of(spec, ms) if w is None or w < x[1] - 1]
            if not open_ and any(True for _ in windows_of(spec, ms)):
                late.append((ms, key, value, flag, w, "all its windows were closed"))
            for start, end in open_:
                groups.setdefault((end, key if keyed else 0, start), []).append((value, flag))
        w = ms - delay if w is None else max(w, ms - delay)
    return rows_of(groups, keyed), late


def passing(values, low):
    return [x for x in values if low is None or x[0] is None or x[0] >= low]


def session_oracle(rows, gap, delay, keyed, low):
    """Sessions row by row: merge with the open sessions it touches, then test whether the merged one is closed. WHERE stands over the
    window function: all rows make sessions, those that pass count."""
    sessions, late, w = {}, [], None
    for ms, key, value, flag in rows:
        k = key if keyed else 0
        touched = [s for s in sessions.get(k, []) if (w is None or s[1] + gap - 1 > w) and ms <= s[1] + gap and s[0] <= ms + gap]
        first, last = min([ms] + [s[0] for s in touched]), max([ms] + [s[1] for s in touched])
        if w is not None and last + gap - 1 <= w:
            late.append((ms, key, value, flag, w, "its session was closed"))
        else:
            kept = [s for s in sessions.get(k, []) if s not in touched]
            sessions[k] = kept + [(first, last, sum((s[2] for s in touched), []) + [(value, flag)])]
        w = ms - delay if w is None else max(w, ms - delay)
    groups = {}
    for k, all_ in sessions.items():
        for first, last, values in all_:
            groups[(last + gap, k, first)] = passing(values, low)
    return rows_of(groups, keyed), late


def count_oracle(rows, spec, delay, keyed, low):
    """Rows per key in time order (equal times as they came); late when at or before the watermark just before."""
    kind, size, slide, limit = spec
    kept, late, w = {}, [], None
    for ms, key, value, flag in rows:
        if w is not None and ms <= w:
            late.append((ms, key, value, flag, w, "its time is not after the watermark"))
        else:
            kept.setdefault(key if keyed else 0, []).append((ms, value, flag))
        w = ms - delay if w is None else max(w, ms - delay)
    groups, rest = {}, set()        # rest: what the end of the input fires, after all that the watermark has closed
    for key, all_ in kept.items():
        all_.sort(key=lambda x: x[0])
        if kind == "HOP_ROWS":
            fires = list(range(slide, len(all_) + 1, slide))
            if len(all_) % slide:
                fires.append(len(all_))
            # the rest counts like the window that would have fired at the next multiple of the slide
            spans = [(max(0, -(-f // slide) * slide - size), f, None) for f in fires]
        else:
            spans, at = [], 0
            while at < len(all_):
                to = at
                while to < len(all_) and to - at < size and (not limit or all_[to][0] < all_[at][0] + limit):
                    to += 1
                spans.append((at, to, all_[at][0] + limit if limit and to - at < size else None))
                at = to
        for number, (at, to, end) in enumerate(spans):
            name = (all_[to - 1][0] + 1 if end is None else end, key, all_[at][0], number)
            groups[name] = passing([x[1:] for x in all_[at:to]], low)
            if name[0] - 1 > w or (end is None and to % slide if kind == "HOP_ROWS" else end is None and to - at < size):
                rest.add(name)
    return rows_of(groups, keyed, rest), late


def rows_of(groups, keyed, rest=()):
    order = lambda k: (k in rest, k[0], (0, b"") if k[1] is None else (1, k[1].encode()) if keyed else (0, b""), k[2:])
    out = []
    for name in sorted(groups, key=order):
        (end, key, start), g = name[:3], groups[name]
        if not g:
            continue
        v = [x for x, _ in g if x is not None]
        avg = "" if not v else str(abs(sum(v)) // len(v) * (1 if sum(v) >= 0 else -1))
        cells = [time_text(start), time_text(end)]
        if keyed:
            cells.append("" if key is None else '""' if key == "" else key)
        cells += [str(len(g)), str(len(v)), str(sum(v)) if v else "", str(min(v)) if v else "", str(max(v)) if v else "", avg,
                  str(len(set(v))), str(sum(1 for _, f in g if f == 1))]
        out.append(",".join(cells + [str(x) for x in name[3:]]))
    return out


def late_text(late):
    cell = lambda x: "\\N" if x is None else '""' if x == "" else str(x)
    return "".join("%s,%s,%s,%d,%s,%s\n" % (time_text(ms), cell(k), cell(v), f, time_text(w), why) for ms, k, v, f, w, why in late)


def interval(ms):
    return "INTERVAL '%d.%03d' SECOND" % (ms // 1000, ms % 1000)


def make_sql(path, spec, delay, keyed, low, late_path):
    kind, size, slide, offset = spec
    by_rows = kind.endswith("_ROWS")
    if by_rows:
        call = "%d, %d" % (slide, size) if kind == "HOP_ROWS" else str(size) + (", " + interval(offset) if offset else "")
    else:
        lengths = {"SESSION": [size], "TUMBLE": [size], "HOP": [slide, size], "CUMULATE": [slide, size]}[kind]
        call = ", ".join(interval(x) for x in lengths) + (", " + interval(offset) if offset and kind != "SESSION" else "")
    late = "" if late_path is None else f"""CREATE TABLE late (ts TIMESTAMP(3), k STRING, v INT, f INT, w TIMESTAMP(3), why STRING)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{late_path}', 'csv.null-literal' = '\\N');"""
    key = "k, " if keyed else ""
    # an unquoted empty field of a text column is the empty text: NULL is written as \N
    return f"""CREATE TABLE t (ts TIMESTAMP(3), k STRING, v INT, f INT, WATERMARK FOR ts AS ts - {interval(delay)})
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{path}', 'csv.null-literal' = '\\N');
{late}
SELECT window_start, window_end, {key}COUNT(*), COUNT(v), SUM(v), MIN(v), MAX(v), AVG(v), COUNT(DISTINCT v), COUNT(*) FILTER (WHERE f = 1){", window_id" if by_rows else ""}
FROM TABLE({kind}(TABLE t{" PARTITION BY k" if (kind == "SESSION" or by_rows) and keyed else ""}, DESCRIPTOR(ts), {call})) {"" if low is None else f"WHERE v IS NULL OR v >= {low}"} GROUP BY {key}window_start, window_end{", window_id" if by_rows else ""}{"" if late_path is None else " LATE DATA INTO late"};"""


def run(sql, shards, r, seed):
    return sqlkit.run(sql, shards, r, 700, env=sqlkit.round_trip(r, seed) if shards != 1 else {})


def one(seed, directory):
    r = random.Random(seed)
    rows, kind = make_rows(r), r.choice(["TUMBLE", "HOP", "HOP", "CUMULATE", "SESSION", "SESSION", "TUMBLE_ROWS", "TUMBLE_ROWS", "HOP_ROWS"])
    slide = r.choice([1, 250, 1000, 1700])
    size = slide * r.randint(1, 6) if kind == "CUMULATE" else slide + r.choice([0, 1, 400, 2000]) if kind == "HOP" else slide
    spec = (kind, size, slide if kind != "TUMBLE" else size, r.choice([0, 0, 100, 999]))
    if kind == "TUMBLE_ROWS":
        spec = (kind, r.choice([1, 2, 3, 4, 7, 50]), 0, r.choice([0, 1, 250, 1700, 5000]))
    if kind == "HOP_ROWS":
        slide = r.choice([1, 2, 3, 5])
        spec = (kind, slide + r.choice([0, 1, 2, 4, 20]), slide, 0)
    delay, keyed, low = r.choice([0, 1, 500, 5000]), r.random() < 0.7, r.choice([-1000, 0])
    path = os.path.join(directory, "t%d.csv" % seed)
    with open(path, "w") as f:
        for ms, key, value, flag in rows:
            f.write("%s,%s,%s,%d\n" % (time_text(ms), "\\N" if key is None else key, "\\N" if value is None else value, flag))
    late_path = os.path.join(directory, "late%d.csv" % seed) if r.random() < 0.5 else None
    if late_path and (kind == "SESSION" or kind.endswith("_ROWS")):
        low = None                # LATE DATA INTO with a WHERE over these windows is refused
    expected, late = (session_oracle(rows, size, delay, keyed, low) if kind == "SESSION" else
                      count_oracle(rows, spec, delay, keyed, low) if kind.endswith("_ROWS") else oracle(rows, spec, delay, keyed, low))
    sql = make_sql(path, spec, delay, keyed, low, late_path)
    for shards in (1, 2, 3, 8):
        code, out, err = run(sql, shards, r, seed)
        got = out.split("\n")[1:-1]
        if late_path is not None and code == 0:
            text = open(late_path).read()
            os.remove(late_path)
            if text != late_text(late):
                return "seed %d, %d shards, %s, delay %d: late rows\n%sexpected\n%s" % (seed, shards, spec, delay, text[:600], late_text(late)[:600])
        if code != 0 or got != expected or '"late": %d,' % len(late) not in err:
            diff = next((i for i, (a, b) in enumerate(zip(got, expected)) if a != b), min(len(got), len(expected)))
            return "seed %d, %d shards, %s, delay %d: exit %d, %d rows of %d, late expected %d; row %d: got %s, expected %s %s" % (
                seed, shards, spec, delay, code, len(got), len(expected), len(late), diff,
                got[diff] if diff < len(got) else "-", expected[diff] if diff < len(expected) else "-", err.strip()[:300])
    return None


sys.exit(sqlkit.main("sql_windows", sqlkit.seed_count(12, 500), one))
