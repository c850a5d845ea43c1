#!/usr/bin/env python3
"""A table that is looked up in is read anew every millisecond while rows pass by: each row finds what it must, in files of any format.

Half of the runs replace the files meanwhile by ones of the same rows in another order and other sizes. tests/test_reload.c says when they are read.
"""
import gzip, json, os, random, subprocess, sys, tempfile, threading

import sqlkit

KEYS, ROWS = 500, 60000
FORMATS = ("csv", "csv.gz", "json", "mcol")


def write(path, r, columns):
    """The names, in any order, some of them in pairs; never seen half written."""
    keys = list(range(KEYS))
    r.shuffle(keys)
    plain = path + ".plain"
    with open(plain, "w") as f:
        for k in keys:
            f.write("%d,n%d\n" % (k, k) if not path.endswith(".json") else json.dumps({"x": "y" * r.randint(0, 50), "k": k, "name": "n%d" % k}) + "\n")
    if path.endswith(".gz"):
        with open(plain, "rb") as f, gzip.open(path + ".new", "wb") as to:
            to.write(f.read())
    elif path.endswith(".mcol"):
        subprocess.run([sqlkit.COMMAND, "convert", plain, path + ".new", "--schema", columns, "--format", "columnar", "--quiet", "-i", "format=csv"], check=True)
    else:
        os.rename(plain, path + ".new")
    os.rename(path + ".new", path)


def one(seed, folder):
    r = random.Random(seed)
    kind = FORMATS[seed % 4]
    path, columns = os.path.join(folder, "names%d.%s" % (seed, kind)), "k BIGINT, name STRING"
    write(path, r, columns)
    form = {"csv": "csv", "csv.gz": "csv", "json": "json", "mcol": "columnar"}[kind]
    sql = """CREATE TABLE t (n BIGINT, k AS MOD(n, %d), p AS PROCTIME()) WITH ('connector' = 'datagen', 'number-of-rows' = '%d', 'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '%d');
        CREATE TABLE names (%s) WITH ('connector' = 'filesystem', 'format' = '%s', 'path' = '%s', 'lookup.cache' = 'FULL',
            'lookup.full-cache.periodic-reload.interval' = '1 ms', 'lookup.full-cache.periodic-reload.schedule-mode' = '%s');
        SELECT COUNT(*), COUNT(s.name), SUM(CASE WHEN s.name = CONCAT('n', CAST(t.k AS STRING)) THEN 1 ELSE 0 END)
        FROM t LEFT JOIN names FOR SYSTEM_TIME AS OF t.p AS s ON t.k = s.k;""" % (
        KEYS, ROWS, ROWS - 1, columns, form, path, r.choice(["FIXED_RATE", "FIXED_DELAY"]))
    done = threading.Event()

    def replace():
        while not done.wait(0.002):
            write(path, r, columns)
    writer = threading.Thread(target=replace)
    if seed % 2:
        writer.start()
    shards = 1 + seed % 3
    code, got, err = sqlkit.run(sql, shards, random.Random(seed), 1 << 20, more=("--set", "step-rows=500"), batches=(500, 4096))
    done.set()
    if seed % 2:
        writer.join()
    if code != 0 or got.splitlines()[1:] != ["%d,%d,%d" % (ROWS, ROWS, ROWS)]:
        return "seed %d, %s, %d shards: exit %d\n%s%s" % (seed, kind, shards, code, got, err[:300])
    return None


sys.exit(sqlkit.main("sql_reload", sqlkit.seed_count(4, 12), one))
