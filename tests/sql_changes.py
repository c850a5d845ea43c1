#!/usr/bin/env python3
"""Streams of changes as tables, and the order enrichment: 'debezium-json' and 'changelog.column'.

Random changes of a table with a key (creations, updates, deletions; images in any order of members, with blanks, other members and bad
lines between them) are written as debezium-json, with and without its schema. The rows that the command gives must be the changes as written
down here, +I, -U, +U, -D, for any batch size, step size and shard count; bad lines are counted; an aggregate over the table has what the
rows that are left give; what a sink with 'changelog.column' writes is read back as the same changes. Then the golden vector: 1,000,000
changes of customers (quick: 20,000) and 120,000 (2,400) orders give exactly one row each, with the version valid at the order's time.
"""
import json, os, random, subprocess, sys, tempfile

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
QUICK = bool(os.environ.get("MILL_QUICK"))
SEEDS = int(os.environ.get("MILL_SEEDS", "6" if QUICK else "60"))


def run(sql, *more):
    p = subprocess.run([COMMAND, "run", "-c", sql, "--quiet", "--json-summary", "/dev/fd/2", *more], capture_output=True, text=True)
    return p.returncode, p.stdout, p.stderr


def field(x):
    return "" if x is None else str(x)


def line(r, before, after, op, schema):
    blank = lambda: r.choice(["", "", " "])
    image = lambda x: "null" if x is None else "{" + ",".join(blank() + json.dumps(k, ensure_ascii=r.random() < 0.5) + ":" + blank() + json.dumps(v) for k, v in x.items()) + "}"
    members = ['"before":' + blank() + image(before), '"after":' + image(after), '"op":"%s"' % op, '"ts_ms":1', '"source":{"op":"x","after":{"id":7}}']
    if r.random() < 0.3:
        r.shuffle(members)
    text = "{" + ",".join(members) + "}"
    return '{"schema":{"type":"struct","fields":[{"op":1}]},"payload":%s}' % text if schema else text


def changes(r, schema):
    there, lines, out, bad = {}, [], [], 0
    for _ in range(r.randint(1, 200)):
        k = r.randint(1, 20)
        new = {"id": k, "name": r.choice([None, "a", "h\u00e9", "a name longer than twelve bytes", 'quo"te']), "v": r.choice([None, r.randint(-9, 9)])}
        if r.random() < 0.1:
            new["other"] = [1, {"x": 2}]
        if k in there and r.random() < 0.3:
            lines.append(line(r, there[k], None, "d", schema))
            out.append(("-D", there.pop(k)))
        elif k in there:
            lines.append(line(r, there[k], new, "u", schema))
            out += [("-U", there[k]), ("+U", new)]
            there[k] = new
        else:
            lines.append(line(r, r.choice([None, None, new]), new, r.choice("ccr"), schema))
            out.append(("+I", new))
            there[k] = new
        if r.random() < 0.1:
            bad += 1
            lines.append(r.choice([line(r, None, new, "u", schema), line(r, new, None, "c", schema), line(r, None, new, "z", schema),
                                   line(r, new, dict(new, id="q"), "u", schema), line(r, dict(new, v="q"), new, "u", schema),
                                   line(r, new, new, "u", schema)[:-1], "[]"]))
    return "\n".join(lines) + "\n", out, bad, there


def one(seed, folder):
    r = random.Random(seed)
    schema = r.random() < 0.4
    text, out, bad, there = changes(r, schema)
    path, copy = os.path.join(folder, "d%d.json" % seed), os.path.join(folder, "c%d.csv" % seed)
    open(path, "w", encoding="utf-8").write(text)
    table = "CREATE TABLE d (id INT, name STRING, v INT, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector' = 'filesystem', 'path' = '%s', 'format' = 'debezium-json', 'on-error' = 'skip'%s);" % (
        path, ", 'debezium-json.schema-include' = 'true'" if schema else "")
    copied = "CREATE TABLE c (id INT, name STRING, v INT) WITH ('connector' = 'filesystem', 'path' = '%s', 'format' = 'json', 'changelog.column' = 'op');" % copy
    again = "CREATE TABLE o (id INT, name STRING, v INT) WITH ('connector' = 'stdout', 'format' = 'json', 'changelog.column' = 'op');"
    expected = [{"op": k, "id": x["id"], "name": x["name"], "v": x["v"]} for k, x in out]
    for shards, batch in ((1, 4096), (1, 1), (2, 2), (3, 7), (8, 3)):
        more = ["--shards", str(shards), "--set", "batch-rows=%d" % batch, "--set", "step-bytes=%d" % r.choice([64, 500, 1 << 20])]
        code, got, err = run(table + again + "INSERT INTO o SELECT * FROM d;", *more)
        if code != 0 or [json.loads(x) for x in got.splitlines()] != expected or '"dead": %d,' % bad not in err:
            return "seed %d, %d shards, batches of %d: exit %d, dead expected %d\n%s\nexpected\n%s\n%s" % (seed, shards, batch, code, bad, got[:500], expected[:8], err[:300])
        code, got, err = run(table + "SELECT COUNT(*), SUM(v), COUNT(DISTINCT name) FROM d;", *more)
        values = [x["v"] for x in there.values() if x["v"] is not None]
        want = "%d,%s,%d" % (len(there), sum(values) if values else "", len(set(x["name"] for x in there.values() if x["name"] is not None)))
        if code != 0 or got.splitlines()[1:] != [want]:
            return "seed %d: final rows %r, expected %s %s" % (seed, got, want, err[:200])
        code, _, err = run(table + copied + "INSERT INTO c SELECT * FROM d;", *more)
        code2, got, err2 = run(copied + again + "INSERT INTO o SELECT * FROM c;", *more)
        os.remove(copy)
        if code != 0 or code2 != 0 or [json.loads(x) for x in got.splitlines()] != expected:
            return "seed %d: read back: %s %s %s" % (seed, got[:300], err[:200], err2[:200])
    return None


def clock(ms):
    return "2024-01-01 %02d:%02d:%02d.%03d" % (ms // 3600000, ms // 60000 % 60, ms // 1000 % 60, ms % 1000)


def golden(folder, changes_count, orders_count):
    """Each order with the version of its customer that is valid at its time; every customer there is has one from time 0."""
    r, now, customers = random.Random(7), {}, changes_count // 10
    versions = {}
    with open(os.path.join(folder, "customers.json"), "w") as f:
        for i in range(changes_count):
            k = i if i < customers else r.randrange(customers)
            ms = 0 if i < customers else (i - customers) * 80_000_000 // changes_count
            new = '{"id":%d,"name":"n%d","ts":"%s"}' % (k, i, clock(ms))
            f.write('{"before":%s,"after":%s,"op":"%s"}\n' % (now.get(k, "null"), new, "u" if k in now else "c"))
            now[k] = new
            versions.setdefault(k, []).append((ms, i))
    expected = []
    with open(os.path.join(folder, "orders.json"), "w") as f:
        for i in range(orders_count):
            k, ms = r.randrange(customers), 1 + i * 80_000_000 // orders_count
            f.write('{"no":%d,"id":%d,"ts":"%s"}\n' % (i, k, clock(ms)))
            expected.append("%d,n%d" % (i, max(v for v in versions[k] if v[0] <= ms)[1]))
    sql = """CREATE TABLE customers (id BIGINT, name STRING, ts TIMESTAMP(3), PRIMARY KEY (id) NOT ENFORCED, WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)
        WITH ('connector' = 'filesystem', 'path' = '%s/customers.json', 'format' = 'debezium-json');
        CREATE TABLE orders (`no` BIGINT, id BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)
        WITH ('connector' = 'filesystem', 'path' = '%s/orders.json', 'format' = 'json');
        SELECT o.`no`, c.name FROM orders o JOIN customers FOR SYSTEM_TIME AS OF o.ts AS c ON o.id = c.id;""" % (folder, folder)
    for shards in (1, 2, 3, 8):
        code, got, err = run(sql, "--shards", str(shards))
        if code != 0 or got.splitlines()[1:] != expected or '"late": 0,' not in err:
            return "golden vector, %d shards: exit %d, %d rows, expected %d %s" % (shards, code, got.count("\n") - 1, len(expected), err[:300])
    return None


def main():
    with tempfile.TemporaryDirectory() as folder:
        results = [one(seed, folder) for seed in range(SEEDS)]
        results.append(golden(folder, *((20_000, 2_400) if QUICK else (1_000_000, 120_000))))
    failed = [x for x in results if x]
    for x in failed:
        print("FAILED:", x)
    print("sql_changes: %d passed, %d failed, 0 skipped" % (len(results) - len(failed), len(failed)))
    return 1 if failed else 0


sys.exit(main())
