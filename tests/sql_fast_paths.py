#!/usr/bin/env python3
"""Random streams that force each way through a window aggregation, against a recomputation that keeps all rows.

Keys in a small range, spread ones, ones that leave the range late, NULLs, doubles with -0.0 and NaN, decimals of 128 bits, texts, several columns;
few and many groups; partial aggregates or not; any instruction set, batch and step size, 1 to 8 shards, state round trips. All runs of a
stream must give the same bytes; what they say must be the recomputation's. Doubles are quarters, so that every order of addition is exact;
a last column adds values that are not, which must still be the same bytes in every run.
"""
import os, random, subprocess, sys, tempfile
from fractions import Fraction

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
QUICK = bool(os.environ.get("MILL_QUICK"))
SEEDS = int(os.environ.get("MILL_SEEDS", "6" if QUICK else "60"))
FIRST = int(os.environ.get("MILL_FIRST_SEED", "0"))
KINDS = ["none", "dense", "sparse", "leaving", "double", "decimal", "text", "two", "edge"]
NULL = "\\N"


def usable_isas():
    found = []
    for isa in ("scalar", "avx2", "avx512"):
        p = subprocess.run([COMMAND, "run", "-c", "VALUES (1)", "--quiet"], capture_output=True, env=dict(os.environ, MILL_ISA=isa))
        if p.returncode == 0:
            found.append(isa)
    return found


def make_key(r, kind, groups, i):
    """The cells of a key as CSV and as the group that they mean."""
    if kind == "none":
        return [], ()
    if r.random() < 0.05:
        return [NULL] * (2 if kind == "two" else 1), (None,) * (2 if kind == "two" else 1)
    n = r.randrange(groups)
    if kind == "dense":
        v = n - groups // 2
    elif kind == "sparse":
        v = n * 0x1234567890123 % (1 << 63) - (1 << 62)
    elif kind == "leaving":
        v = n if i < 3000 else n * 1000003 - 5
    elif kind == "edge":
        v = r.choice([0, -1, 1, (1 << 63) - 1, -(1 << 63), (1 << 63) - 1 - n % 7, -(1 << 63) + n % 7, n])
    elif kind == "double":
        v = r.choice(["0.0", "-0.0", "NaN", "Infinity", "-Infinity", "%d.5" % n, "-%d.25" % n])
        return [v], (str(float(v) + 0.0),)
    elif kind == "decimal":
        v = n * 10 ** 27 + 7 * (-1) ** n
        return ["%d.00" % v], (str(v),)
    elif kind == "text":
        v = "k" * (n % 30) + str(n)
    else:
        return [str(n % 7), "t%d" % (n // 7)], (n % 7, "t%d" % (n // 7))
    return [str(v)], (v,)


TYPES = {"none": [], "double": ["DOUBLE"], "decimal": ["DECIMAL(38, 2)"], "text": ["STRING"], "two": ["INT", "STRING"]}
AGGREGATES = ["COUNT(*)", "SUM(v)", "MIN(v)", "MAX(v)", "COUNT(v)", "SUM(i)", "AVG(i)", "MIN(d)", "MAX(d)", "SUM(d)", "AVG(d)", "SUM(s)", "MIN(s)", "MAX(v) FILTER (WHERE s > 0)"]


def recompute(name, rows):
    """rows: (v, i, d, s) with None for NULL."""
    at = {"v": 0, "i": 1, "d": 2, "s": 3}
    if name == "COUNT(*)":
        return len(rows)
    if "FILTER" in name:
        rows = [x for x in rows if x[3] > 0]
    function, column = name.split("(")[0], name.split("(")[1][0]
    values = [x[at[column]] for x in rows if x[at[column]] is not None]
    if function == "COUNT":
        return len(values)
    if not values:
        return None
    if function == "SUM":
        total = sum(values)
        bits = {"i": 32, "v": 64, "s": 16}.get(column)
        return total if bits is None else (total + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)
    if function == "AVG":
        if column == "d":
            return Fraction(float(sum(values)) / len(values))
        return abs(sum(values)) // len(values) * (1 if sum(values) >= 0 else -1)
    return min(values) if function == "MIN" else max(values)


def make_stream(r):
    kind, groups, t, rows = r.choice(KINDS), r.choice([1, 3, 50, 700, 4000]), 0, []
    nulls = r.random() < 0.3
    for i in range(r.choice([50, 1500, 9000])):
        t += r.choice([0, 1, 2, 5])
        cells, group = make_key(r, kind, groups, i)
        v = None if nulls and r.random() < 0.1 else r.choice([r.randint(-9, 9), r.randint(-(1 << 50), 1 << 50)])
        d = None if nulls and r.random() < 0.1 else Fraction(r.randint(-4000, 4000), 4)
        rows.append((t, cells, group, (v, r.randint(-(1 << 20), 1 << 20), d, r.randint(-30, 30))))
    return kind, rows


def close(cell, expected):
    if expected is None or cell == "":
        return cell == "" and expected is None
    if isinstance(expected, Fraction):
        return float(cell) == float(expected)
    return int(cell) == expected


def run(path, kind, names, slide, r, seed, isas):
    keys = ["k%d" % i for i in range(len(TYPES.get(kind, ["BIGINT"])))]
    columns = "".join("%s %s, " % x for x in zip(keys, TYPES.get(kind, ["BIGINT"])))
    phases = r.choice(["AUTO", "ONE_PHASE", "TWO_PHASE"])
    sql = f"""SET 'table.optimizer.agg-phase-strategy' = '{phases}';
CREATE TABLE t (ts TIMESTAMP(3), {columns}v BIGINT, i INT, d DOUBLE, s SMALLINT, x DOUBLE, WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{path}', 'csv.null-literal' = '{NULL}');
SELECT window_end, {"".join(k + ", " for k in keys)}{", ".join(names)}, SUM(x) FROM TABLE(HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '{slide // 1000}' SECOND, INTERVAL '4' SECOND))
GROUP BY {"".join(k + ", " for k in keys)}window_start, window_end;"""
    shards, env = r.choice([1, 2, 3, 8]), dict(os.environ, MILL_ISA=r.choice(isas))
    if r.random() < 0.3:
        env["MILL_ROUNDTRIP"] = str(seed + 1)
    batch = r.choice([1, 100, 4096, 4096])
    args = [COMMAND, "run", "-c", sql, "--quiet", "--shards", str(shards), "--set", "batch-rows=%d" % batch, "--set", "step-bytes=30000"]
    p = subprocess.run(args, capture_output=True, env=env)
    return "%s, %d shards, batches of %d, %s" % (phases, shards, batch, env["MILL_ISA"]), p


def one(seed, directory, isas):
    r = random.Random(seed)
    kind, rows = make_stream(r)
    names, slide, path = r.sample(AGGREGATES, r.randint(1, len(AGGREGATES))), r.choice([1000, 2000, 4000]), os.path.join(directory, "t%d.csv" % seed)
    with open(path, "w") as f:
        for t, cells, _, (v, i, d, s) in rows:
            line = ["1970-01-01 00:%02d:%02d.%03d" % (t // 60000, t // 1000 % 60, t % 1000)] + cells
            f.write(",".join(line + [NULL if v is None else str(v), str(i), NULL if d is None else str(float(d)), str(s), repr(s / 7)]) + "\n")
    groups = {}
    for t, _, group, values in rows:
        end = t // slide * slide + slide
        while end <= t + 4000:
            groups.setdefault((end, group), []).append(values)
            end += slide
    width, first = len(rows[0][2]), None
    for _ in range(2 if QUICK else 4):
        how, p = run(path, kind, names, slide, r, seed, isas)
        text = p.stdout.decode()
        if p.returncode != 0:
            return "seed %d, %s, %s: exit %d %s" % (seed, kind, how, p.returncode, p.stderr.decode()[:300])
        if first is not None and text != first[1]:
            return "seed %d, %s: %s and %s differ" % (seed, kind, first[0], how)
        if first is not None:
            continue
        first, seen = (how, text), set()
        for line in text.split("\n")[1:-1]:
            cells = line.split(",")
            stamp = cells[0].split(":")
            end = int(stamp[1]) * 60000 + round(float(stamp[2]) * 1000)
            key = tuple(None if c == "" else c for c in cells[1:1 + width])
            found = [g for g in ((end, x) for x in lookup(groups, end, key, kind)) if g in groups]
            if len(found) != 1 or found[0] in seen:
                return "seed %d, %s, %s: unexpected group %s" % (seed, kind, how, line)
            seen.add(found[0])
            for name, cell in zip(names, cells[1 + width:]):
                if not close(cell, recompute(name, groups[found[0]])):
                    return "seed %d, %s, %s: group %s: %s is %s, not %s" % (seed, kind, how, found[0], name, cell, recompute(name, groups[found[0]]))
        if len(seen) != len(groups):
            return "seed %d, %s, %s: %d groups of %d" % (seed, kind, how, len(seen), len(groups))
    return None


def lookup(groups, end, key, kind):
    """The group that printed key cells mean."""
    if kind == "double":
        return [tuple(None if c is None else str(float(c)) for c in key)]
    if kind == "decimal":
        return [tuple(None if c is None else c.split(".")[0] for c in key)]
    if kind == "two":
        return [(None if key[0] is None else int(key[0]), key[1])]
    if kind in ("text", "none"):
        return [key]
    return [tuple(None if c is None else int(c) for c in key)]


def main():
    failures, isas = [], usable_isas()
    with tempfile.TemporaryDirectory() as directory:
        for seed in range(FIRST, FIRST + SEEDS):
            wrong = one(seed, directory, isas)
            if wrong:
                failures.append(wrong)
                print("FAILED:", wrong)
    print("sql_fast_paths: %d passed, %d failed, 0 skipped" % (SEEDS - len(failures), len(failures)))
    return 1 if failures else 0


sys.exit(main())
