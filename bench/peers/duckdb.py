"""DuckDB beside `millstream bench --peer duckdb`: a JSON list per line on standard input, a line back: ok ..., or what went wrong.

["table", NAME, KIND, PATH, ...]  raw columns named c0, c1, ... or by the workload's own setup; kinds as in tools/bench.h, texts as numbers
["threads", N]      ["clear"]      ["execute", SQL]
["run", SQL]        -> seconds; the rows stay in the table `result`
["answer"]          -> rows of `result`, and by column i:SUM (whole numbers; of texts: their bytes; modulo 2^64) or r:SUM (reals)
"""
import json
import sys
import time

sys.path = [p for p in sys.path if p]  # -c looks into the current folder first, which may hold a duckdb.py
try:
    import duckdb
    import numpy
except ImportError as e:
    print(e)
    sys.exit(0)

TYPES = {'i': 'int32', 'l': 'int64', 'd': 'float64', 'f': 'float32', 'b': 'bool', 's': 'uint32'}
connection = duckdb.connect()
connection.execute('SET enable_progress_bar = false')  # it writes to standard output


def table(name, *columns):
    raw = {f'c{n}': numpy.fromfile(path, TYPES[kind]) for n, (kind, path) in enumerate(zip(columns[::2], columns[1::2]))}
    connection.execute(f'CREATE TABLE {name} AS SELECT * FROM raw')


def clear():
    for name, in connection.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall():
        connection.execute(f'DROP TABLE IF EXISTS "{name}"')


def threads(count):
    connection.execute(f'SET threads = {count}')


def execute(sql):
    connection.execute(sql)


def run(sql):
    begin = time.perf_counter()
    connection.execute(f'CREATE OR REPLACE TEMP TABLE result AS {sql}')
    return f'{time.perf_counter() - begin:.9f}'


def answer():
    sums, kinds = [], []
    for name, kind in ((c[0], str(c[1])) for c in connection.execute('DESCRIBE result').fetchall()):
        real = kind in ('DOUBLE', 'FLOAT')
        value = f'strlen("{name}")' if kind == 'VARCHAR' else f'epoch_us("{name}")' if kind == 'TIMESTAMP' else f'"{name}"'
        sums.append(f'sum({value})')
        kinds.append('r' if real else 'i')
    row = connection.execute(f'SELECT count(*), {", ".join(sums)} FROM result').fetchone()
    return ' '.join([str(row[0])] + [f'{k}:{v or 0.0!r}' if k == 'r' else f'{k}:{int(v or 0) % 2**64}' for k, v in zip(kinds, row[1:])])


CALLS = {'table': table, 'clear': clear, 'threads': threads, 'execute': execute, 'run': run, 'answer': answer}
print('ok', duckdb.__version__, flush=True)
for line in sys.stdin:
    name, *args = json.loads(line)
    try:
        print('ok', CALLS[name](*args) or '', flush=True)
    except Exception as e:  # all of it goes to the command, which ends the run
        print(' '.join(str(e).split()), flush=True)
