#!/usr/bin/env python3
"""MATCH_RECOGNIZE against a naive backtracking search, and the examples of Flink's manual.

Each seed makes a CSV with disorder, equal times, late rows and NULLs, a random pattern (quantifiers greedy and reluctant, alternatives, groups,
exclusions, PERMUTE, anchors), random conditions and measures (navigation by variable and by row, aggregates, CLASSIFIER, MATCH_NUMBER), a
skip strategy, WITHIN or not. The answer is found by definition: rows of a partition in order, from each start row all ways through the
pattern are tried in the order of preference, with rows labelled one by one; the first that gets through is the match. The command must give
these rows, in order within each partition, and the same bytes for 1, 2, 3 and 8 shards, any batch size and instruction set, with state round trips.
"""
import os, random, sys

import sqlkit
from sqlkit import time_text

STEPS_MAX = 60_000                # of the search, per start row; harder cases are left out


class TooHard(Exception):
    pass


class Stops(Exception):
    """The run ends with an error."""


# ---- patterns: ("var", A) ("seq", parts) ("alt", parts) ("quant", part, n, m or None, reluctant) ("ex", part) ("perm", parts) "^" "$" "()"

def make_pattern(r, names, depth, exclude):
    kind = r.random()
    if depth == 0 or kind < 0.25:
        return ("var", r.choice(names))
    if kind < 0.55:
        return ("seq", [make_pattern(r, names, depth - 1, exclude) for _ in range(r.randint(2, 3))])
    if kind < 0.68:
        return ("alt", [make_pattern(r, names, depth - 1, exclude) if r.random() < 0.93 else "()" for _ in range(r.randint(2, 3))])
    if kind < 0.92:
        n, m = r.choice([(0, None), (1, None), (0, 1), (2, 2), (1, 3), (0, 2), (2, None), (0, None), (1, None)])
        return ("quant", make_pattern(r, names, depth - 1, exclude), n, m, r.random() < 0.3)
    if kind < 0.95 and exclude:
        return ("ex", make_pattern(r, names, depth - 1, exclude))
    if kind < 0.98:
        return ("perm", [make_pattern(r, names, 0, exclude) for _ in range(r.randint(2, 3))])
    return ("seq", ["^", make_pattern(r, names, depth - 1, exclude)]) if r.random() < 0.5 else ("seq", [make_pattern(r, names, depth - 1, exclude), "$"])


def pattern_text(x):
    if isinstance(x, str):
        return x
    if x[0] == "var":
        return x[1]
    if x[0] == "seq":
        return "(" + " ".join(map(pattern_text, x[1])) + ")"
    if x[0] == "alt":
        return "(" + " | ".join(map(pattern_text, x[1])) + ")"
    if x[0] == "ex":
        return "{- " + pattern_text(x[1]) + " -}"
    if x[0] == "perm":
        return "PERMUTE(" + ", ".join(map(pattern_text, x[1])) + ")"
    n, m = x[2], x[3]
    how = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((n, m)) or ("{%d}" % n if n == m else "{%d,}" % n if m is None else "{%d,%d}" % (n, m))
    return ("%s%s" if x[1][0] in ("var", "perm") else "(%s)%s") % (pattern_text(x[1]), how) + ("?" if x[4] else "")


def variables_of(x):
    return set() if isinstance(x, str) else {x[1]} if x[0] == "var" else set().union(*(variables_of(p) for p in (x[1] if isinstance(x[1], list) else [x[1]])))


# ---- terms: SQL and how it is computed. A place (Ctx) knows the rows, the labels so far, the row at hand.

class Ctx:
    def __init__(self, rows, start, labels, at, final_labels=None, number=0):
        self.rows, self.start, self.labels, self.at, self.number = rows, start, labels, at, number
        self.final_labels = final_labels if final_labels is not None else labels

    def seen(self, final):          # labels of the match's rows that count
        return self.final_labels if final else self.labels[:self.at + 1]

    def logical(self, mask, first, offset, final):
        places = [i for i, v in enumerate(self.seen(final)) if v in mask]
        if offset >= len(places):
            return None
        return places[offset] if first else places[-1 - offset]

    def value(self, place, physical, column):
        if place is None:
            return None
        row = self.start + place + physical
        return self.rows[row][column] if 0 <= row < len(self.rows) else None

    def classifier(self, place, physical, final):
        if place is None:
            return None
        place += physical
        labels = self.final_labels if self.final_labels is not self.labels or final else self.labels[:self.at + 1]
        return labels[place] if 0 <= place < len(labels) else None


def average(values):
    s = sum(values)
    return abs(s) // len(values) * (1 if s >= 0 else -1)


AGGREGATES = {"SUM": sum, "MIN": min, "MAX": max, "AVG": average, "COUNT": len}


def make_term(r, masks, measures, all_rows, ahead):
    """(sql, function of Ctx) of a number."""
    name = r.choice(list(masks) + [""])
    mask, prefix = (masks[name], name + ".") if name else (set.union(*masks.values()), "")
    column, text = r.choice([(3, "v"), (3, "v"), (4, "w")])
    which = "FINAL " if measures and r.random() < 0.25 else "RUNNING " if measures and r.random() < 0.1 else ""
    final = which == "FINAL " or (measures and not all_rows)
    kind, offset = r.random(), r.choice([0, 0, 1, 1, 2])
    if kind < 0.30:
        return prefix + text, lambda c, f=measures and not all_rows: c.value(c.logical(mask, False, 0, f), 0, column)
    if kind < 0.55:
        first = r.random() < 0.4
        sql = "%s%s(%s%s%s)" % (which, "FIRST" if first else "LAST", prefix, text, ", %d" % offset if offset or r.random() < 0.2 else "")
        return sql, lambda c: c.value(c.logical(mask, first, offset, final), 0, column)
    if kind < 0.72:
        physical = r.choice([1, 1, 2])
        sign = 1 if ahead and r.random() < 0.5 else -1
        inner, first, offset, f = prefix + text, False, 0, measures and not all_rows
        if r.random() < 0.4:
            first, offset = r.random() < 0.5, r.choice([0, 1])
            inner, f = "%s%s(%s%s, %d)" % (which, "FIRST" if first else "LAST", prefix, text, offset), final
        sql = "%s(%s%s)" % ("NEXT" if sign > 0 else "PREV", inner, ", %d" % physical if physical != 1 or r.random() < 0.3 else "")
        return sql, lambda c: c.value(c.logical(mask, first, offset, f), sign * physical, column)
    if kind < 0.95:
        agg = r.choice(list(AGGREGATES))
        if agg == "COUNT" and r.random() < 0.5:
            return "%sCOUNT(%s)" % (which, prefix + "*" if prefix else "*"), lambda c: sum(1 for v in c.seen(final) if v in mask)
        distinct = r.random() < 0.15
        twice = r.random() < 0.2

        def compute(c):
            values = [c.rows[c.start + i][column] for i, v in enumerate(c.seen(final)) if v in mask]
            values = [x * (2 if twice else 1) for x in values if x is not None]
            values = list(set(values)) if distinct else values
            return AGGREGATES[agg](values) if values or agg == "COUNT" else None
        return "%s%s(%s%s%s%s)" % (which, agg, "DISTINCT " if distinct else "", prefix, text, " * 2" if twice else ""), compute
    return "MATCH_NUMBER()", lambda c: c.number


def compare(op, a, b):
    if a is None or b is None:
        return None
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b, "=": a == b, "<>": a != b}[op]


def make_condition(r, variable, masks, ahead, depth=1):
    """(sql, function of Ctx: True, False or None)."""
    kind = r.random()
    if depth and kind < 0.25:
        (a, f), (b, g) = make_condition(r, variable, masks, ahead, 0), make_condition(r, variable, masks, ahead, 0)
        if r.random() < 0.5:
            return "(%s) AND (%s)" % (a, b), lambda c: False if f(c) is False or g(c) is False else None if f(c) is None or g(c) is None else True
        return "(%s) OR (%s)" % (a, b), lambda c: True if f(c) is True or g(c) is True else None if f(c) is None or g(c) is None else False
    if kind < 0.55:               # only the row at hand
        column, text = r.choice([(3, "v"), (4, "w")])
        op, n = r.choice(["<", ">=", ">", "<>"]), r.randint(-1, 4)
        return "%s%s %s %d" % (r.choice([variable + ".", ""]), text, op, n), lambda c: compare(op, c.rows[c.start + c.at][column], n)
    if kind < 0.62:
        a, f = make_term(r, masks, False, False, ahead)
        return a + " IS NULL", lambda c: f(c) is None
    if kind < 0.67:
        name, other = r.choice(list(masks)), r.choice(list(masks))
        mask = masks[name]
        return ("LAST(CLASSIFIER(%s), 1) = '%s'" % (name, other),
                lambda c: compare("=", c.classifier(c.logical(mask, False, 1, False), 0, False), other))
    if kind < 0.72:
        a, f = make_term(r, masks, False, False, ahead)
        return "NOT (%s > 1)" % a, lambda c: None if f(c) is None else not f(c) > 1
    a, f = make_term(r, masks, False, False, ahead)
    op = r.choice(["<", "<=", ">", ">=", "<>"])
    if r.random() < 0.4:
        n, factor = r.randint(-1, 8), r.choice([1, 1, 2])
        return ("%s %s %s" % (a, op, "%d" % n if factor == 1 else "CAST(%d AS DECIMAL(5, 1))" % n)), lambda c: compare(op, f(c), n)
    b, g = make_term(r, masks, False, False, ahead)
    return "%s %s %s" % (a, op, b), lambda c: compare(op, f(c), g(c))


# ---- the search

class Search:
    def __init__(self, rows, pattern, conditions, within):
        self.rows, self.pattern, self.conditions, self.within = rows, pattern, conditions, within

    def find(self, start, number):
        """Labels [(variable, excluded)] of the match from @start; None: none."""
        self.start, self.number, self.steps = start, number, 0
        for labels in self.ways(self.pattern, (), False):
            return list(labels)
        return None

    def ways(self, x, labels, excluded):
        self.steps += 1
        if self.steps > STEPS_MAX:
            raise TooHard()
        if x == "()":
            yield labels
        elif x == "^":
            if self.start + len(labels) == 0:
                yield labels
        elif x == "$":
            if self.start + len(labels) == len(self.rows):
                yield labels
        elif x[0] == "var":
            at = self.start + len(labels)
            if at < len(self.rows) and (not self.within or self.rows[at][0] - self.rows[self.start][0] < self.within):
                made = labels + ((x[1], excluded),)
                c = Ctx(self.rows, self.start, [v for v, _ in made], len(made) - 1, number=self.number)
                if x[1] not in self.conditions or self.conditions[x[1]][1](c) is True:
                    yield made
        elif x[0] == "seq":
            yield from self.sequence(x[1], labels, excluded)
        elif x[0] == "alt":
            for part in x[1]:
                yield from self.ways(part, labels, excluded)
        elif x[0] == "ex":
            yield from self.ways(x[1], labels, True)
        elif x[0] == "perm":
            import itertools
            for parts in itertools.permutations(x[1]):
                yield from self.sequence(list(parts), labels, excluded)
        else:
            yield from self.repeat(x, 0, labels, excluded)

    def sequence(self, parts, labels, excluded):
        if not parts:
            yield labels
            return
        for made in self.ways(parts[0], labels, excluded):
            yield from self.sequence(parts[1:], made, excluded)

    def repeat(self, x, done, labels, excluded):
        _, part, n, m, reluctant = x
        if done < n:
            for made in self.ways(part, labels, excluded):
                yield from self.repeat(x, done + 1, made, excluded)
            return
        if reluctant:
            yield labels
        if m is None or done < m:
            for made in self.ways(part, labels, excluded):
                if len(made) > len(labels):      # a further round takes a row
                    yield from self.repeat(x, done + 1, made, excluded)
        if not reluctant:
            yield labels


def cell(x):
    return "\\N" if x is None else str(x)


def answer(rows, case):
    """Rows of one partition, in order."""
    search = Search(rows, case["pattern"], case["conditions"], case["within"])
    out, start, number, covered = [], 0, 0, 0
    key = rows[0][1]

    def result(labels, at, n):
        plain = [v for v, _ in labels]
        c = Ctx(rows, start, plain, at, plain, n)
        measures = [cell(f(c)) if n is not None else "\\N" for _, f in case["measures"]]
        if not case["all_rows"]:
            return ",".join([cell(key)] + measures)
        row = rows[start + max(at, 0)]
        return ",".join([cell(key), time_text(row[0])] + measures + [cell(row[3]), cell(row[4]), cell(row[5])])
    while start < len(rows):
        labels = search.find(start, number + 1)
        skip = 1
        if labels is None:
            if case["rows"] == "WITH UNMATCHED ROWS" and start >= covered:
                out.append(result([], -1, None))
        else:
            number += 1
            covered = max(covered, start + len(labels))
            if not case["all_rows"]:
                out.append(result(labels, len(labels) - 1, number))
            elif not labels and case["rows"] != "OMIT EMPTY MATCHES":
                out.append(result([], -1, number))
            else:
                out += [result(labels, i, number) for i, (_, excluded) in enumerate(labels) if not excluded]
            if labels and case["skip"][0] == "PAST LAST ROW":
                skip = len(labels)
            elif labels and case["skip"][0].startswith("TO ") and case["skip"][1]:
                places = [i for i, (v, _) in enumerate(labels) if v in case["skip"][1]]
                skip = 0 if not places else places[0] if "FIRST" in case["skip"][0] else places[-1]
                if skip == 0:
                    raise Stops()
        start += skip
    return out


# ---- cases

def make_rows(r):
    rows, t = [], r.choice([0, 1_700_000_000_000])
    for _ in range(r.randint(1, 90)):
        t += r.choice([0, 0, 1, 7, 100, 900])
        ms = t - r.choice([0, 0, 0, r.randint(0, 1500)])
        rows.append((ms, r.choice([None, "a", "a", "b", "a longer key than twelve"]), len(rows), r.choice([None] + list(range(-2, 6)) * 2),
                     r.choice([None] + list(range(0, 5)) * 2), r.choice(["x", "a text that is longer than twelve", None])))
    return rows


def make_case(r):
    names = ["A", "B", "C", "D"][:r.randint(1, 4)]
    case = {"all_rows": r.random() < 0.5, "rows": "", "within": r.choice([0, 0, 1, 150, 1000, 4000]), "delay": r.choice([1, 500, 5000])}
    case["pattern"] = make_pattern(r, names, r.randint(1, 3), case["all_rows"])
    used = sorted(variables_of(case["pattern"]))
    masks = {v: {v} for v in used}
    case["subsets"] = {}
    if r.random() < 0.4:
        case["subsets"]["U"] = set(r.sample(used, r.randint(1, len(used))))
    masks.update(case["subsets"])
    ahead = r.random() < 0.3
    case["conditions"] = {v: make_condition(r, v, masks, ahead) for v in used if r.random() < 0.8} or {used[0]: ("TRUE", lambda c: True)}
    case["measures"] = [make_term(r, masks, True, case["all_rows"], ahead) for _ in range(r.randint(0, 4))]
    final = not case["all_rows"]
    case["measures"].append(("CLASSIFIER()", lambda c: c.classifier(c.logical(set(used), False, 0, final), 0, True)))
    case["measures"].append(("MATCH_NUMBER()", lambda c: c.number))
    if case["all_rows"]:
        excludes = "{-" in pattern_text(case["pattern"])
        case["rows"] = r.choice(["", "", "SHOW EMPTY MATCHES", "OMIT EMPTY MATCHES"] + ([] if excludes else ["WITH UNMATCHED ROWS"] * 2))
    target = r.choice(sorted(masks))
    case["skip"] = r.choice([("PAST LAST ROW", None)] * 3 + [("TO NEXT ROW", None)] * 3 + [("TO LAST " + target, masks[target]), ("TO FIRST " + target, masks[target])])
    case["order"] = r.choice([None, None, (4, "w", False), (3, "v", True), (5, "s", False), (5, "s", True)])
    return case


def make_sql(path, case):
    order = case["order"]
    mode = "ALL ROWS PER MATCH " + case["rows"] if case["all_rows"] else "ONE ROW PER MATCH"
    return f"""CREATE TABLE t (ts TIMESTAMP(3), k STRING, v INT, w BIGINT, s STRING, WATERMARK FOR ts AS ts - INTERVAL '{case["delay"] // 1000}.{case["delay"] % 1000:03d}' SECOND)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{path}', 'csv.null-literal' = '\\N');
CREATE TABLE o ({"k STRING, ts TIMESTAMP(3), " if case["all_rows"] else "k STRING, "}{", ".join("m%d %s" % (i, "STRING" if s == "CLASSIFIER()" else "BIGINT") for i, (s, _) in enumerate(case["measures"]))}{", v INT, w BIGINT, s STRING" if case["all_rows"] else ""})
WITH ('connector' = 'stdout', 'format' = 'csv', 'csv.null-literal' = '\\N');
INSERT INTO o SELECT {", ".join(["k, ts"] * case["all_rows"] + ["k"] * (not case["all_rows"]) + ["m%d" % i for i in range(len(case["measures"]))] + ["v, w, s"] * case["all_rows"])} FROM t MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts{"" if order is None else ", %s%s" % (order[1], " DESC" if order[2] else "")}
MEASURES {", ".join("%s AS m%d" % (s, i) for i, (s, _) in enumerate(case["measures"]))}
{mode} AFTER MATCH SKIP {case["skip"][0]}
PATTERN ({pattern_text(case["pattern"])}){" WITHIN INTERVAL '%d.%03d' SECOND" % (case["within"] // 1000, case["within"] % 1000) if case["within"] else ""}
{"".join("SUBSET %s = (%s)" % (n, ", ".join(sorted(m))) for n, m in case["subsets"].items())}
DEFINE {", ".join("%s AS %s" % (v, c[0]) for v, c in case["conditions"].items())});"""


def expected_rows(rows, case):
    """Results per key, and how many rows were late."""
    kept, late, w = {}, 0, None
    for row in rows:
        if w is not None and row[0] <= w:
            late += 1
        else:
            kept.setdefault(row[1], []).append(row)
        w = row[0] - case["delay"] if w is None else max(w, row[0] - case["delay"])

    def rest(row):
        if case["order"] is None:
            return ()
        x, down = row[case["order"][0]], case["order"][2]
        x = None if x is None else tuple(x.encode()) + (-1,) if isinstance(x, str) else (x,)
        return (1,) if x is None and down else (0,) if x is None else (0 if down else 1, tuple(-b for b in x) if down else x)
    out = {}
    for key, all_ in kept.items():
        all_.sort(key=lambda x: (x[0], rest(x), x[2]))
        out[cell(key)] = answer(all_, case)
    return out, late


def run(sql, shards, r, seed):
    env, isa = sqlkit.round_trip(r, seed), r.choice(["scalar", "avx2", "avx512", ""])
    return sqlkit.run(sql, shards, r, 300, env={**env, "MILL_ISA": isa} if isa else env)


def one(seed, directory):
    """None: passed; "" left out; else what is wrong."""
    r = random.Random(seed)
    rows, case = make_rows(r), make_case(r)
    path = os.path.join(directory, "t%d.csv" % seed)
    with open(path, "w") as f:
        for ms, key, _, v, w, s in rows:
            f.write("%s,%s,%s,%s,%s\n" % (time_text(ms), cell(key), cell(v), cell(w), cell(s)))
    sql = make_sql(path, case)
    try:
        expected, late = expected_rows(rows, case)
    except TooHard:
        return ""
    except Stops:
        code, out, err = run(sql, 1, r, seed)
        ok = (code == 65 and "AFTER MATCH SKIP TO" in err) or (code == 78 and "found again for ever" in err)
        return None if ok else "seed %d: exit %d where a match has no row to go on from: %s\n%s" % (seed, code, err[:300], sql)
    first = None
    for shards in (1, 2, 3, 8):
        code, out, err = run(sql, shards, r, seed)
        if code == 78 and "found again for ever" in err and "TO FIRST" in case["skip"][0]:
            return ""                 # refused before it can be seen that nothing matches
        if code != 0:
            return "seed %d, %d shards: exit %d %s\n%s" % (seed, shards, code, err[:400], sql)
        first = out if first is None else first
        if out != first:
            return "seed %d: %d shards give other bytes than 1\n%s\n%s\n%s" % (seed, shards, first[:500], out[:500], sql)
        if '"late": %d,' % late not in err:
            return "seed %d, %d shards: %d rows late expected\n%s" % (seed, shards, late, sql)
    got = {}
    for line in first.split("\n")[:-1]:
        got.setdefault(line.split(",")[0], []).append(line)
    for key in set(got) | set(expected):
        if got.get(key, []) != expected.get(key, []):
            return "seed %d, key %s: got\n%s\nexpected\n%s\n%s" % (
                seed, key, "\n".join(got.get(key, [])[:12]), "\n".join(expected.get(key, [])[:12]), sql)
    return None


sys.exit(sqlkit.main("sql_match", sqlkit.seed_count(25, 400), one))
