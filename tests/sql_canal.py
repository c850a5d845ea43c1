#!/usr/bin/env python3
"""'canal-json': random changes, several rows a line, as Canal writes them; the rows must be the changes as written down here.

Members come in any order, with blanks; other databases and tables, definitions of tables and bad lines stand between them. A bad line gives no row,
whatever the size of batches. Then a line of Flink's manual, and what is refused.
"""
import json, os, random, sys

import sqlkit

QUOTED = [None, "a", "h\u00e9", "a name longer than twelve bytes", 'quo"te', "]},{"]
BAD = ("no list", "object", "fewer", "half a row", "type", "no old", "value", "old value", "truncate", "cut")


def frame(r, kind, data, old, database="shop", table="people"):
    dump = lambda x: json.dumps(x, ensure_ascii=r.random() < 0.5, separators=r.choice([(",", ":"), (", ", ": "), (" , ", " : ")]))
    members = [("data", data), ("old", old), ("database", database), ("table", table), ("type", kind), ("es", 1589373560000), ("id", 9), ("isDdl", data is None),
               ("mysqlType", {"data": ["INTEGER"], "id": "x"}), ("pkNames", ["id"]), ("sql", ""), ("ts", 1)]
    if r.random() < 0.3:
        r.shuffle(members)
    return "{" + ",".join('"%s":%s' % (k, dump(v)) for k, v in members) + "}"


def bad_line(r, row):
    kind = r.choice(BAD)
    good = [dict(row) for _ in range(r.randint(1, 3))]
    if kind == "no list":
        return frame(r, "INSERT", None, None)
    if kind == "object":
        return frame(r, "INSERT", row, None)
    if kind == "fewer":
        return frame(r, "UPDATE", good + [row], [{} for _ in good])
    if kind == "half a row":
        return frame(r, "INSERT", good + ["x"], None)
    if kind == "type":
        return frame(r, r.choice(["", "insert", "UPSERT"]), good, None)
    if kind == "no old":
        return frame(r, "UPDATE", good, None)
    if kind == "value":
        return frame(r, "DELETE", good + [dict(row, v="q")], None)
    if kind == "old value":
        return frame(r, "UPDATE", good + [row], [{} for _ in good] + [{"v": "q"}])
    if kind == "truncate":
        return frame(r, "TRUNCATE", None, None)
    return frame(r, "INSERT", good, None)[:-1]


def as_text(x):
    return {k: None if v is None else str(v) for k, v in x.items()}


def changes(r):
    there, lines, out, bad = {}, [], [], 0
    value = lambda k: {"id": k, "name": r.choice(QUOTED), "v": r.choice([None, r.randint(-9, 9)])}
    for _ in range(r.randint(1, 60)):
        kind, keys = r.choice(["INSERT", "UPDATE", "UPDATE", "DELETE"]), r.sample(range(30), r.randint(1, 12))
        keys = [k for k in keys if (k in there) == (kind != "INSERT")]
        if not keys:
            continue
        shown = as_text if r.random() < 0.6 else dict
        if kind == "UPDATE":
            new, old = [value(k) for k in keys], []
            for k, x in zip(keys, new):
                old.append({c: there[k][c] for c in x if x[c] != there[k][c]})
                out += [("-U", there[k]), ("+U", x)]
                there[k] = x
            lines.append(frame(r, kind, [shown(x) for x in new], [shown(x) for x in old]))
        elif kind == "INSERT":
            new = [value(k) for k in keys]
            there.update((x["id"], x) for x in new)
            out += [("+I", x) for x in new]
            lines.append(frame(r, kind, [dict(shown(x), more="9") for x in new], None))
        else:
            gone = [there.pop(k) for k in keys]
            out += [("-D", x) for x in gone]
            lines.append(frame(r, kind, [shown(x) for x in gone], None))
        if r.random() < 0.2:
            bad += 1
            lines.append(bad_line(r, value(5)))
        if r.random() < 0.2:
            lines.append(r.choice([frame(r, "CREATE", None, None), frame(r, "ALTER", None, None), frame(r, "INSERT", [value(7)], None, database="shop2"),
                                   frame(r, "DELETE", [value(7)], None, table="peoples"), frame(r, "INSERT", [], None)]))
    return "\n".join(lines) + "\n", out, bad


def one(seed, folder):
    r = random.Random(seed)
    text, out, bad = changes(r)
    path = os.path.join(folder, "%d.json" % seed)
    open(path, "w", encoding="utf-8").write(text)
    sql = """CREATE TABLE d (id INT, name STRING, v INT, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector' = 'filesystem', 'path' = '%s', 'format' = 'canal-json',
        'on-error' = 'skip', 'canal-json.database.include' = 'shop', 'canal-json.table.include' = 'pe(rs|ople|o)');
        CREATE TABLE o (id INT, name STRING, v INT) WITH ('connector' = 'stdout', 'format' = 'json', 'changelog.column' = 'op');
        INSERT INTO o SELECT * FROM d;""" % path
    expected = [{"op": k, **x} for k, x in out]
    for shards, batches in ((1, (4096,)), (1, (1,)), (2, (2, 5)), (3, (3, 7))):
        code, got, err = sqlkit.run(sql, shards, r, r.choice([64, 500, 1 << 20]), batches=batches)
        rows = [json.loads(x) for x in got.splitlines()]
        if code != 0 or rows != expected or '"dead": %d,' % bad not in err:
            at = next((i for i, (a, b) in enumerate(zip(rows, expected)) if a != b), min(len(rows), len(expected)))
            return "seed %d, %d shards, batches %s: exit %d, %d bad lines expected; row %d is %s, not %s\n%s" % (
                seed, shards, batches, code, bad, at, rows[at:at + 1], expected[at:at + 1], err[:300])
    return None


TABLE = "CREATE TABLE p (id BIGINT, name STRING, description STRING, weight DECIMAL(10, 2)) WITH ('connector' = 'filesystem', 'path' = '%s', 'format' = 'canal-json'%s);"
MANUAL = ('{"data":[{"id":"111","name":"scooter","description":"Big 2-wheel scooter","weight":"5.18"}],"database":"inventory","es":1589373560000,"id":9,'
          '"isDdl":false,"mysqlType":{"id":"INTEGER","name":"VARCHAR(255)","description":"VARCHAR(512)","weight":"FLOAT"},"old":[{"weight":"5.15"}],'
          '"pkNames":["id"],"sql":"","sqlType":{"id":4,"name":12,"description":12,"weight":7},"table":"products","ts":1589373560798,"type":"UPDATE"}\n')
FIXED = [  # (content, options, exit code, what stands in the output)
    (MANUAL, "", 0, ["-U,111,scooter,Big 2-wheel scooter,5.15\n+U,111,scooter,Big 2-wheel scooter,5.18"]),
    (MANUAL, ", 'canal-json.table.include' = 'product'", 0, []),
    (MANUAL.replace("5.18", "x"), "", 65, ["weight", "no DECIMAL(10, 2)"]),
    (MANUAL.replace("5.18", "x"), ", 'canal-json.ignore-parse-errors' = 'true'", 0, ["+U,111,scooter,Big 2-wheel scooter,\n"]),
    (MANUAL.replace('"UPDATE"', '"TRUNCATE"'), "", 65, ["TRUNCATE takes rows away without naming them"]),
    (MANUAL.replace('[{"weight":"5.15"}]', "null"), "", 65, ['""old"" is missing', '"old" is missing']),
    (MANUAL, ", 'canal-json.table.include' = '('", 78, ["no extended regular expression"]),
    (MANUAL, ", 'canal-json.encode' = '('", 78, ["there is no option"]),
]


def fixed(number, folder):
    text, options, exit_code, needed = FIXED[number]
    path = os.path.join(folder, "fixed%d.json" % number)
    open(path, "w").write(text)
    code, got, err = sqlkit.run(TABLE % (path, options) + "SELECT * FROM p;", 1, random.Random(1), 1 << 20)
    if code != exit_code or (needed and not any(n in got + err for n in needed)) or (not needed and len(got.splitlines()) > 1):
        return "fixed %d: exit %d\n%s%s" % (number, code, got, err)
    return None


def main():
    seeds = sqlkit.seed_count(10, 60)
    return sqlkit.main("sql_canal", seeds + len(FIXED), lambda seed, folder: fixed(seed - seeds - sqlkit.FIRST, folder) if seed - sqlkit.FIRST >= seeds else one(seed, folder))


sys.exit(main())
