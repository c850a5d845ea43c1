#!/usr/bin/env python3
"""Windows whose results are revised ('table.exec.emit.*', rows that are taken back) against a row-by-row model.

Each seed makes a CSV with rows out of order, half of the time with rows taken back and changed, a window (tumbling, hopping, cumulating,
session; keys or none) and settings of early and late results and allowed lateness. The model takes row by row: windows whose time has come fire
before the row, the row changes the windows that are not dropped, and so it knows every result and change of each window. Checked are
  - the changelog ('streaming'): each window's own changes are the model's, one by one, whatever the size of steps; what is taken back was there;
    with early results of each row the whole changelog is the model's: its fold is the answer at every prefix of the input
  - the final rows ('batch'): the last value of each window
  - queries over the changing results: their fold is the answer over the last values
  - how many rows were late
  - the same bytes for 1, 2, 3 and 8 shards, any batch size, ring size and state round trip.
Then cases by hand: processing time, upserts, what is refused.
"""
import collections, json, os, random, subprocess, sys

import sqlkit
from sqlkit import COMMAND, FIRST, time_text

SEEDS = sqlkit.seed_count(40, 600)

AGGS = {  # name: (SQL over v and f, function of the list of (v, f), whether rows can be taken back from it)
    "rows": ("COUNT(*)", len, True),
    "n": ("COUNT(v)", lambda g: sum(v is not None for v, _ in g), True),
    "s": ("SUM(v)", lambda g: sum(x) if (x := [v for v, _ in g if v is not None]) else None, True),
    "lo": ("MIN(v)", lambda g: min((v for v, _ in g if v is not None), default=None), True),
    "hi": ("MAX(v) FILTER (WHERE f > 1)", lambda g: max((v for v, f in g if v is not None and f is not None and f > 1), default=None), True),
    "d": ("COUNT(DISTINCT v)", lambda g: len({v for v, _ in g if v is not None}), True),
    "lt": ("MAX(CAST(v AS STRING) || ' and a longer text')", lambda g: max((str(v) + " and a longer text" for v, _ in g if v is not None), default=None), True),
    "last": ("LAST_VALUE(f)", lambda g: ([f for _, f in g if f is not None] or [None])[-1], False),
}


class Model:
    """Panes are [start, end, rows of (ts, v, f), fired, given (start, end, values) or None]; times in ms."""

    def __init__(self, q):
        self.q, self.panes, self.out, self.late, self.w = q, collections.defaultdict(list), [], 0, None

    def passed(self, end, more=0):
        return self.w is not None and end - 1 + more <= self.w

    def tell(self, key, pane):
        q, given = self.q, pane[4]
        new = (pane[0], pane[1], tuple(AGGS[n][1]([(v, f) for _, v, f in pane[2]]) for n in q.names)) if pane[2] else None
        if new == given:
            return
        same = new and given and new[:2] == given[:2]
        if given:
            self.out.append(("-U" if same else "-D", key, *given))
        if new:
            self.out.append(("+U" if same else "+I", key, *new))
        pane[4] = new

    def advance(self, w):
        """Windows on time, and what has been kept back of those that are dropped."""
        self.w = w
        for key, panes in self.panes.items():
            for pane in list(panes):
                if not pane[3] and self.passed(pane[1]):
                    self.tell(key, pane)
                    pane[3] = True
                if self.passed(pane[1], self.q.lateness):
                    self.tell(key, pane)
                    panes.remove(pane)

    def changed(self, key, pane):
        when = self.q.late if pane[3] else self.q.early
        if when == "row":
            self.tell(key, pane)
        elif when is None and not pane[3] and pane[4]:  # a session that is open again
            self.out.append(("-D", key, *pane[4]))
            pane[4] = None

    def pane(self, key, start, end):
        for pane in self.panes[key]:
            if pane[:2] == [start, end]:
                return pane
        self.panes[key].append([start, end, [], self.passed(end), None])
        return self.panes[key][-1]

    def windows(self, kind, key, ts, v, f):
        ends = [(s, e) for s, e in self.q.windows(ts) if not self.passed(e, self.q.lateness)]
        self.late += not ends
        for start, end in ends:
            if kind > 0:
                pane = self.pane(key, start, end)
                pane[2].append((ts, v, f))
            else:
                pane = next((p for p in self.panes[key] if p[:2] == [start, end] and p[2]), None)
                if pane is None:
                    continue
                pane[2].remove((ts, v, f))
            self.changed(key, pane)

    def session(self, kind, key, ts, v, f):
        gap, panes = self.q.size, self.panes[key]
        if kind < 0:
            pane = next((p for p in panes if (ts, v, f) in p[2]), None)
            if pane is None:
                self.late += self.passed(ts + gap, self.q.lateness)
                return
            pane[2].remove((ts, v, f))
        else:
            touched = sorted((p for p in panes if p[0] - gap <= ts <= p[1]), key=lambda p: p[0])
            if not touched and self.passed(ts + gap, self.q.lateness):
                self.late += 1
                return
            pane = touched[0] if touched else [ts, ts + gap, [], False, None]
            if not touched:
                panes.append(pane)
                pane[3] = self.passed(ts + gap)
            for part in touched if len(touched) > 1 else []:
                if part[4]:
                    self.out.append(("-D", key, *part[4]))
                    part[4] = None
            for other in touched[1:]:
                pane[2] += other[2]
                panes.remove(other)
            pane[2].append((ts, v, f))
        self.regroup(key, pane)

    def regroup(self, key, pane):
        """The rows of a session once more: none, one or two of them."""
        gap, panes = self.q.size, self.panes[key]
        times = sorted(t for t, _, _ in pane[2])
        if not times:
            panes.remove(pane)
            if pane[4]:
                self.out.append(("-D", key, *pane[4]))
            return
        hole = next((b for a, b in zip(times, times[1:]) if b - a > gap), None)
        parts = [pane]
        if hole is not None:
            later = [hole, times[-1] + gap, [r for r in pane[2] if r[0] >= hole], pane[3], None]
            pane[2] = [r for r in pane[2] if r[0] < hole]
            parts.append(later)
            panes.append(later)
        for part in parts:
            times = [t for t, _, _ in part[2]]
            part[0], part[1] = min(times), max(times) + gap
            part[3] = part[3] and self.passed(part[1])
        for part in parts:
            self.changed(key, part)

    def run(self, rows):
        for op, key, ts, v, f in rows:
            (self.session if self.q.kind == "SESSION" else self.windows)(1 if op in ("+I", "+U") else -1, key, ts, v, f)
            w = ts - self.q.delay
            self.advance(w if self.w is None else max(w, self.w))
        self.advance(10 ** 15)
        return self


class Query:
    def __init__(self, r):
        self.updating = r.random() < 0.5
        self.keyed = r.random() < 0.8
        self.kind = r.choice(["TUMBLE", "HOP", "CUMULATE", "SESSION", "SESSION"])
        self.names = r.sample([n for n in AGGS if AGGS[n][2] or not self.updating], r.randint(1, 4))
        self.slide = r.choice([3, 5, 1000])
        self.size = self.slide * (r.randint(1, 4) if self.kind in ("HOP", "CUMULATE") else 1)
        self.delay = self.slide * r.choice([0, 0, 1, 3])
        self.lateness = r.choice([0, 0, self.slide, 4 * self.slide, 40 * self.slide])
        self.early = r.choice([None, "row", "row", "later"])
        self.late = r.choice([None, "row", "later"]) if self.lateness else None
        self.over = r.choice([None, None, "window", "group"])
        self.attached = self.kind != "SESSION" and r.random() < 0.2  # rows get their windows, and are grouped by them above
        if self.over == "window" and self.kind == "SESSION":
            self.over = "group"

    def windows(self, ts):
        if self.kind == "CUMULATE":
            start = ts // self.size * self.size
            return [(start, start + n * self.slide) for n in range((ts - start) // self.slide + 1, self.size // self.slide + 1)]
        first = ts // self.slide * self.slide
        return [(s, s + self.size) for s in range(first - self.size + self.slide, first + 1, self.slide)]

    def inner(self):
        each = lambda ms: "INTERVAL '%d.%03d' SECOND" % (ms // 1000, ms % 1000)
        call = {"TUMBLE": [self.size], "SESSION": [self.size], "HOP": [self.slide, self.size], "CUMULATE": [self.slide, self.size]}[self.kind]
        by = " PARTITION BY k" if self.kind == "SESSION" and self.keyed else ""
        table = "TABLE(%s(TABLE t%s, DESCRIPTOR(ts), %s))" % (self.kind, by, ", ".join(map(each, call)))
        if self.attached:
            table = "(SELECT * FROM %s) WHERE window_end > TIMESTAMP '1960-01-01 00:00:00'" % table
        return "SELECT %swindow_start, window_end, %s FROM %s GROUP BY %swindow_start, window_end" % (
            "k, " if self.keyed else "", ", ".join("%s AS %s" % (AGGS[n][0], n) for n in self.names), table, "k, " if self.keyed else "")

    def sql(self, path):
        options = ["'table.exec.emit.allow-lateness' = '%d ms'" % self.lateness] if self.lateness else []
        for name, when in (("early", self.early), ("late", self.late)):
            if when:
                options += ["'table.exec.emit.%s-fire.enabled' = 'true'" % name,
                            "'table.exec.emit.%s-fire.delay' = '%s'" % (name, "0 ms" if when == "row" else "10 h")]
        table = ("CREATE TABLE t (k STRING, ts TIMESTAMP(3), v BIGINT, f INT, WATERMARK FOR ts AS ts - INTERVAL '%d.%03d' SECOND) WITH "
                 "('connector' = 'filesystem', 'format' = 'csv', 'csv.null-literal' = '~', 'path' = '%s'%s);\n"
                 % (self.delay // 1000, self.delay % 1000, path, ", 'changelog.column' = 'op'" if self.updating else ""))
        query = self.inner()
        if self.over == "window":
            query = "SELECT window_start, window_end, COUNT(*) AS c, MAX(%s) AS m FROM (%s) GROUP BY window_start, window_end" % (self.names[0], query)
        elif self.over == "group":
            query = "SELECT %s AS g, COUNT(*) AS c FROM (%s) GROUP BY %s" % (self.names[0], query, self.names[0])
        return "".join("SET %s;\n" % o for o in options) + table + query

    def fix(self, late):
        """Without a setting of late results each late row gives one."""
        if self.late is None and self.lateness:
            self.late = "row"
        return late


def make_rows(r, q):
    rows, there = [], []
    keys = [None, "a", "b", "a longer key than twelve"] if q.keyed else [0]
    at = 10 * q.slide
    for _ in range(r.randint(1, 90)):
        at += r.choice([0, 0, 1, q.slide, 2 * q.slide + 1]) if r.random() < 0.5 else 0
        ts = max(0, at - r.choice([0, 0, 0, 1, q.slide, 3 * q.slide, 8 * q.slide]))
        new = (r.choice(keys), ts, r.choice([None, -2, 1, 3, 10]), r.choice([None, 0, 1, 2, 3]))
        if q.updating and there and r.random() < 0.45:
            old = there.pop(r.randrange(len(there)))
            if r.random() < 0.4:
                rows += [("-U", *old), ("+U", *new)]
                there.append(new)
            else:
                rows.append(("-D", *old))
        else:
            rows.append(("+I", *new))
            there.append(new)
    return rows


def write(path, rows, updating):
    text = lambda x: "~" if x is None else str(x)
    with open(path, "w") as f:
        for op, k, ts, v, x in rows:
            f.write("%s%s,%s,%s,%s\n" % (op + "," if updating else "", text(k), time_text(ts), text(v), text(x)))


def ms_of(text):
    import datetime
    return round((datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f") - datetime.datetime(1970, 1, 1)).total_seconds() * 1000)


def parse(lines, q):
    for line in lines:
        row = json.loads(line)
        yield (row.pop("op", "+I"), row.pop("k") if q.keyed else 0, ms_of(row.pop("window_start")), ms_of(row.pop("window_end")), tuple(row.values()))


def fold(changes):
    """What is left, or a text."""
    state = collections.Counter()
    for op, *row in changes:
        if op in ("+I", "+U"):
            state[tuple(row)] += 1
        elif state[tuple(row)] == 0:
            return "took back %s, which was not there" % (row,)
        else:
            state[tuple(row)] -= 1
    return +state


def by_window(changes):
    windows = collections.defaultdict(list)
    for op, key, start, end, values in changes:
        windows[key, start, end].append((op, values))
    return windows


def answer_over(q, final):
    """The outer query over the final rows of the inner one."""
    groups = collections.defaultdict(list)
    for key, start, end, values in final:
        groups[(time_text(start), time_text(end)) if q.over == "window" else values[0]].append(values[0])
    if q.over == "window":
        return collections.Counter((*g, len(x), max((y for y in x if y is not None), default=None)) for g, x in groups.items())
    return collections.Counter((g, len(x)) for g, x in groups.items())


def check(q, mode, lines, model, one_step):
    final = fold(model.out)
    if q.over:
        got = fold((row.pop("op", "+I"), *row.values()) for row in map(json.loads, lines))
        return None if got == answer_over(q, final) else "folds to %s, expected %s" % (got, answer_over(q, final))
    got = list(parse(lines, q))
    left = fold(got)
    if isinstance(left, str):
        return left
    if left != final:
        return "folds to %s, expected %s" % (left - final, final - left)
    if mode == "batch" or not (q.early or q.lateness):
        return None if all(op == "+I" for op, *_ in got) else "final rows change"
    if q.early == "row" and (not q.lateness or q.late == "row") and got != model.out:
        at = next(i for i, (a, b) in enumerate(zip(got + [None], model.out + [None])) if a != b)
        return "change %d is %s, expected %s" % (at, got[at:at + 1], model.out[at:at + 1])
    got, wanted = by_window(got), by_window(model.out)
    for window in set(got) | set(wanted):
        if got[window] != wanted[window]:
            return "window %s gave %s, expected %s" % (window, got[window], wanted[window])
    return None


def one(seed, directory):
    r = random.Random(seed)
    q = Query(r)
    rows, path = make_rows(r, q), os.path.join(directory, "t%d.csv" % seed)
    write(path, rows, q.updating)
    sql = q.sql(path)
    q.fix(None)
    model = Model(q).run(rows)
    first = {}
    for mode in ("streaming", "batch"):
        for shards in (1, 2, 3, 8):
            step_bytes = r.choice([64, 300, 1 << 20]) if shards == 1 else step_bytes
            code, out, err = sqlkit.run("SET 'execution.runtime-mode' = '%s';\n%s" % (mode, sql), shards, r, step_bytes,
                                        ("--format", "json", *sqlkit.SUMMARY), sqlkit.round_trip(r, seed))
            where = "seed %d, %s, %d shards, steps of %d\n%s\n" % (seed, mode, shards, step_bytes, sql)
            if code != 0:
                return where + "exit %d: %s" % (code, err)
            if out != first.setdefault(mode, out):
                return where + "other bytes than one shard:\n%s\n%s" % (first[mode][:700], out[:700])
            if not q.over and not q.attached and '"late": %d,' % model.late not in err:
                return where + "late: expected %d, got %s" % (model.late, err)
        wrong = check(q, mode, first[mode].splitlines(), model, False)
        if wrong:
            return where + wrong
    return None


TABLE = "CREATE TABLE t (k STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'kafka');\n"
SUMS = "SELECT k, window_start, SUM(v) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, k;\n"


def sets(**settings):
    return "SET 'execution.runtime-mode' = 'streaming';\n" + "".join(
        "SET 'table.exec.emit.%s' = '%s';\n" % (k.replace("_", "-").replace("--", "."), v) for k, v in settings.items())


SCENARIOS = {
    "early, every 10 s from the window's first row on": sets(early_fire__enabled="true", early_fire__delay="10 s") + TABLE + SUMS + """
@shards 1,2,3,8
@clock 2024-01-01 00:00:00
@rows t
a, 1, 2024-01-01 00:00:10
b, 5, 2024-01-01 00:00:11
@expect
@clock 2024-01-01 00:00:09
@rows t
a, 2, 2024-01-01 00:00:12
@expect
@clock 2024-01-01 00:00:10
@expect
+I, a, 2024-01-01 00:00, 3
+I, b, 2024-01-01 00:00, 5
@rows t
a, 4, 2024-01-01 00:00:13
@clock 2024-01-01 00:00:19
@expect
@clock 2024-01-01 00:00:20
@expect
-U, a, 2024-01-01 00:00, 3
+U, a, 2024-01-01 00:00, 7
@clock 2024-01-01 00:00:40
@expect
@rows t
b, 1, 2024-01-01 00:00:20
a, 1, 2024-01-01 00:01:00
@expect
-U, b, 2024-01-01 00:00, 5
+U, b, 2024-01-01 00:00, 6
@clock 2024-01-01 00:00:50
@expect
+I, a, 2024-01-01 00:01, 1
@end
@expect
""",
    "early, processing time": sets(early_fire__enabled="true", early_fire__delay="5 s") + """
CREATE TABLE t (k STRING, v INT, pt AS PROCTIME()) WITH ('connector' = 'kafka');
SELECT k, window_start, SUM(v) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(pt), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, k;
@shards 1,2,3
@clock 2024-01-01 00:00:01
@rows t
a, 1
@clock 2024-01-01 00:00:05
@expect
@clock 2024-01-01 00:00:06
@expect
+I, a, 2024-01-01 00:00, 1
@rows t
a, 2
@clock 2024-01-01 00:00:20
@expect
-U, a, 2024-01-01 00:00, 1
+U, a, 2024-01-01 00:00, 3
@rows t
a, 7
@end
@expect
+I, a, 2024-01-01 00:00:20, 7
""",
    "late, every 10 s, the rest when the window is dropped, into a table with a key": sets(
        allow_lateness="1 min", late_fire__enabled="true", late_fire__delay="10 s") + TABLE + """
CREATE TABLE o (k STRING, w TIMESTAMP(3), n BIGINT, PRIMARY KEY (k, w) NOT ENFORCED) WITH ('connector' = 'x');
INSERT INTO o SELECT k, window_start, SUM(v) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, k;
@shards 1,2,3
@clock 2024-01-01 00:00:01
@rows t
a, 1, 2024-01-01 00:00:01
a, 1, 2024-01-01 00:01:01
@expect o
+I, a, 2024-01-01 00:00, 1
@rows t
a, 5, 2024-01-01 00:00:02
@expect o
@clock 2024-01-01 00:00:11
@expect o
+U, a, 2024-01-01 00:00, 6
@rows t
a, 6, 2024-01-01 00:00:02
a, 1, 2024-01-01 00:02:00
@expect o
+U, a, 2024-01-01 00:00, 12
+I, a, 2024-01-01 00:01, 1
@rows t
a, 6, 2024-01-01 00:00:02
@stats late=1
@end
@expect o
+I, a, 2024-01-01 00:02, 1
""",
    "lateness ends at end - u + lateness": sets(allow_lateness="1 s") + TABLE + SUMS + """
@rows t
a, 1, 2024-01-01 00:00:10
a, 1, 2024-01-01 00:01:00.998
a, 2, 2024-01-01 00:00:20
@expect
+I, a, 2024-01-01 00:00, 1
-U, a, 2024-01-01 00:00, 1
+U, a, 2024-01-01 00:00, 3
@stats late=0
@rows t
a, 1, 2024-01-01 00:01:00.999
a, 4, 2024-01-01 00:00:20
@stats late=1
@expect
@end
@expect
+I, a, 2024-01-01 00:01, 2
""",
}

REFUSED = {  # name: (settings, query, texts of the error)
    "no delay": (dict(early_fire__enabled="true"), SUMS, ["'table.exec.emit.early-fire.delay' is not set"]),
    "no lateness": (dict(late_fire__enabled="true", late_fire__delay="0 s"), SUMS, ["no lateness is allowed", "table.exec.emit.allow-lateness"]),
    "below zero": (dict(allow_lateness="-1 s"), SUMS, ["table.exec.emit.allow-lateness", "-1 s"]),
    "neither": (dict(early_fire__enabled="yes"), SUMS, ["early firing 'yes'", "TRUE, FALSE"]),
    "a word too long": (dict(early_fire__enable="true"), SUMS, ["there is no setting", "did you mean 'table.exec.emit.early-fire.enabled'"]),
    "a sink of rows that stay": (dict(allow_lateness="1 s"), "CREATE TABLE o (k STRING, w TIMESTAMP(3), n BIGINT) WITH ('connector' = 'filesystem', 'format' = 'csv', "
                                 "'path' = '/y');\nINSERT INTO o " + SUMS, ["table o takes rows once and for all", "early or late results", "changelog.column"]),
}


def by_hand(directory):
    for name, text in SCENARIOS.items():
        path = os.path.join(directory, "s.scenario")
        with open(path, "w") as f:
            f.write(text)
        p = subprocess.run([COMMAND, "test", path], capture_output=True, text=True, timeout=sqlkit.SECONDS)
        yield None if p.returncode == 0 else "%s: %s%s" % (name, p.stdout, p.stderr)
    for name, (settings, query, wanted) in REFUSED.items():
        sql = sets(**settings) + TABLE.replace("kafka", "filesystem', 'format' = 'csv', 'path' = '/x") + query
        p = subprocess.run([COMMAND, "run", "-c", sql], capture_output=True, text=True, timeout=sqlkit.SECONDS)
        missing = [text for text in wanted if text not in p.stderr]
        yield None if p.returncode in (64, 78) and not missing else "%s: exit %d, %s lacks %s" % (name, p.returncode, p.stderr, missing)


def one_or_by_hand(seed, directory):
    if seed < FIRST + SEEDS:
        return one(seed, directory)
    return "\n".join(wrong for wrong in by_hand(directory) if wrong) or None


if __name__ == "__main__":
    sys.exit(sqlkit.main("sql_emit", SEEDS + 1, one_or_by_hand))
