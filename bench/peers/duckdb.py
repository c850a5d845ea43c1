#!/usr/bin/env python3
"""DuckDB on the tables of bench_memory: million rows per second, median of five, one thread per shard asked for.

usage: duckdb.py [MILLION_ROWS [THREADS [WORKLOAD...]]]. Needs the Python package duckdb (pip install duckdb, outside the repository);
without it prints a message and ends with 77."""
import statistics
import sys
import time

sys.path = sys.path[1:]  # this script has the package's name
try:
    import duckdb
except ImportError:
    print('duckdb.py: skipped: the Python package duckdb is not there (pip install duckdb)')
    sys.exit(77)

# key expressions over i, the row number, and r, a random 64-bit number: as bench_memory makes them
KEYS = {
    'unkeyed': None,
    'dense100': '(r % 100)::BIGINT',
    'random10k': '((r % 10000) * 2654435761)::BIGINT',
    'dense10k': '(r % 10000)::BIGINT',
    'zipf10k': None,
    'random1m': '((r % 1000000) * 2654435761)::BIGINT',
    'zipf1m': None,
}


def zipf(con, rows, keys, exponent=1.1):
    """Ranks by inversion of the harmonic sums, spread over 64 bits."""
    con.execute(f'''CREATE TABLE z AS SELECT k, sum(power(k, -{exponent})) OVER (ORDER BY k) AS upto
                    FROM (SELECT range AS k FROM range(1, {keys} + 1))''')
    con.execute(f'''CREATE TABLE t AS SELECT (z.k * 2654435761)::BIGINT AS k, a.v, a.ts FROM (
                    SELECT random() * (SELECT max(upto) FROM z) AS u, floor(random() * 16777216) AS v,
                    (range * 100000 // {rows}) * 1000 AS ts FROM range({rows})) a ASOF JOIN z ON a.u <= z.upto ORDER BY a.ts''')


def measure(name, rows, threads):
    con = duckdb.connect()
    con.execute(f'SET threads = {threads}')
    con.execute('SET preserve_insertion_order = true')
    if name.startswith('zipf'):
        zipf(con, rows, 10000 if name == 'zipf10k' else 1000000)
    else:
        key = KEYS[name] or '0::BIGINT'
        con.execute(f'''CREATE TABLE t AS SELECT {key} AS k, floor(random() * 16777216) AS v, (range * 100000 // {rows}) * 1000 AS ts
                        FROM (SELECT range, hash(range) % 2147483648 AS r FROM range({rows}))''')
    group = 'ts // 10000000' + ('' if name == 'unkeyed' else ', k')
    query = f'SELECT {group}, count(*) AS n, sum(v), min(v), max(v) FROM t GROUP BY {group}'
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        con.execute(f'CREATE OR REPLACE TEMP TABLE result AS {query}')
        seconds.append(time.perf_counter() - begin)
    counted = con.execute('SELECT sum(n) FROM result').fetchone()[0]
    assert counted == rows, f'{name}: DuckDB counted {counted} of {rows} rows'
    print(f'duckdb {duckdb.__version__}, {name}, {threads} threads: median {rows / statistics.median(seconds) / 1e6:.1f} M rows/s '
          f'(best {rows / min(seconds) / 1e6:.1f}, worst {rows / max(seconds) / 1e6:.1f})', flush=True)


def main():
    rows = int(sys.argv[1] if len(sys.argv) > 1 else 20) * 1000000
    threads = int(sys.argv[2] if len(sys.argv) > 2 else 1)
    for name in sys.argv[3:] or KEYS:
        if name not in KEYS:
            sys.exit(f'duckdb.py: no workload {name}; there are {", ".join(KEYS)}')
        measure(name, rows, threads)


main()
