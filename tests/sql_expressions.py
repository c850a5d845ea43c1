#!/usr/bin/env python3
"""Random expressions over random rows with NULLs, computed here a second time from the rules of docs/SQL.md: result types and overflow of integers and
DECIMALs, three-valued logic, CASE, COALESCE, NULLIF, text functions, CAST. Where the duckdb package is installed, what both dialects share is compared with
it too. SEEDS=2000 plays so many, SEED=n one. Ends "N passed, N failed, N skipped"."""
import json
import os
import random
import re
import struct
import subprocess
import sys
import tempfile

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
QUICK = os.environ.get("MILL_QUICK") == "1"
ROWS, EXPRESSIONS = 30, 8
BITS = {"TINYINT": 8, "SMALLINT": 16, "INT": 32, "BIGINT": 64}
DIGITS = {"TINYINT": 3, "SMALLINT": 5, "INT": 10, "BIGINT": 19}
INTEGERS = list(BITS)


class BadRow(Exception):
    pass


class Unsaid(Exception):
    """Whether this operand is evaluated at all is not said."""


# ---- types: "INT", ..., ("DECIMAL", p, s), "DOUBLE", "BOOLEAN", "STRING"; a DECIMAL's value is an integer, value * 10^s ----

def is_decimal(t):
    return t[0] == "DECIMAL"


def name(t):
    return "DECIMAL(%d, %d)" % t[1:] if is_decimal(t) else t


def as_decimal(t):
    return t if is_decimal(t) else ("DECIMAL", DIGITS[t], 0)


def wrap(v, t):
    half = 1 << BITS[t] - 1
    return (v + half) % (2 * half) - half


def half_up(n, d):
    """n / d, away from zero at the half"""
    q = (2 * abs(n) + abs(d)) // (2 * abs(d))
    return q if (n < 0) == (d < 0) else -q


def fit(v, t):
    return v if abs(v) < 10 ** t[1] else None


def cut(p, s):
    """Of more than 38 digits those of the integer part stay, and at least min(s, 6) behind the point."""
    return ("DECIMAL", p, s) if p <= 38 else ("DECIMAL", 38, max(38 - (p - s), min(s, 6)))


def rescale(v, s, to):
    return v * 10 ** (to - s) if to >= s else half_up(v, 10 ** (s - to))


def common(a, b):
    """Type of CASE, COALESCE over both, or None."""
    if a == b:
        return a
    if "DOUBLE" in (a, b):
        return "DOUBLE" if {a, b} <= {"DOUBLE", *INTEGERS} or is_decimal(a) or is_decimal(b) else None
    if a in BITS and b in BITS:
        return a if BITS[a] > BITS[b] else b
    if (a in BITS or is_decimal(a)) and (b in BITS or is_decimal(b)):
        (_, p, s), (_, q, u) = as_decimal(a), as_decimal(b)
        digits = max(p - s, q - u) + max(s, u)
        return ("DECIMAL", digits, max(s, u)) if digits <= 38 else None
    return None


def to_double(v, t):
    if is_decimal(t):
        return float("%de-%d" % (v, t[2]))
    return float(v)


def convert(v, t, to):
    """Widening to a common type."""
    if v is None or t == to:
        return v
    if to == "DOUBLE":
        return to_double(v, t)
    if is_decimal(to):
        return v * 10 ** (to[2] - as_decimal(t)[2])
    return v


class Node:
    def __init__(self, sql, type_, value, shared=None):
        self.sql, self.type, self.value = sql, type_, value
        self.shared = shared      # the same in DuckDB's dialect, or None


def strict(sql, type_, function, *args, shared=None):
    def value(row):
        values = [a.value(row) for a in args]
        return None if None in values else function(*values)
    return Node(sql, type_, value, shared if shared and all(a.shared for a in args) else None)


# ---- making expressions ----

class Maker:
    def __init__(self, rng, columns):
        self.rng, self.columns, self.made = rng, columns, {}

    def one(self, kind, depth):
        """One of kind number, exact (no DOUBLE), integer, boolean, text; now and then one that stands elsewhere, too."""
        made = self.made.setdefault(kind, [])
        if made and self.rng.random() < 0.2:
            return self.rng.choice(made[-8:])
        node = self.another(kind, depth)
        if len(node.sql) < 200:
            made.append(node)
        return node

    def another(self, kind, depth):
        leaf = depth <= 0 or self.rng.random() < 0.15
        if kind == "boolean":
            return self.leaf(kind) if leaf and self.rng.random() < 0.3 else self.boolean(depth)
        if leaf:
            return self.leaf(kind)
        return self.text(depth) if kind == "text" else self.number(kind, depth)

    def leaf(self, kind):
        fits = {"number": lambda t: t not in ("BOOLEAN", "STRING"), "exact": lambda t: t in BITS or is_decimal(t), "integer": lambda t: t in BITS,
                "boolean": lambda t: t == "BOOLEAN", "text": lambda t: t == "STRING"}[kind]
        if self.rng.random() < 0.7:
            n, t = self.rng.choice([c for c in self.columns if fits(c[1])])
            return Node(n, t, lambda row: row[n], n)
        return self.literal(kind)

    def literal(self, kind):
        r = self.rng
        if kind == "boolean":
            v = r.random() < 0.5
            return Node(str(v).upper(), "BOOLEAN", lambda row: v, str(v))
        if kind == "text":
            v = r.choice(["", "a", "ab", "b", "abc", "é", "%", "it's", "a longer text, of thirty bytes", " a "])
            sql = "'%s'" % v.replace("'", "''")
            # a VARCHAR, for a CHAR's spaces would need rules of their own
            return Node("CAST(%s AS STRING)" % sql, "STRING", lambda row: v, sql)
        if kind != "integer" and r.random() < 0.4:
            s = r.randrange(1, 5)
            digits = str(r.randrange(1, 10 ** r.randrange(1, 8))).rjust(s + 1, "0")
            text = digits[:-s] + "." + digits[-s:]
            precision = len(text.replace(".", "").lstrip("0")) if text[0] == "0" else len(digits)
            t = ("DECIMAL", max(precision, s), s)
            return Node("CAST(%s AS %s)" % (text, name(t)), t, lambda row: int(digits), "CAST(%s AS %s)" % (text, name(t)))
        v = r.choice([0, 1, 2, 3, 7, 10, 100, r.randrange(2 ** 31)])
        return Node(str(v), "INT", lambda row: v, str(v))

    # ---- numbers ----

    def number(self, kind, depth):
        r = self.rng
        shape = r.choice(["+", "-", "*", "+", "-", "*", "/", "mod", "negative", "abs", "case", "coalesce", "nullif", "cast", "length", "round"])
        if shape in "+-*/":
            return self.arithmetic(shape, self.one(kind, depth - 1), self.one(kind, depth - 1))
        if shape == "mod":
            a, b = self.one("integer", depth - 1), self.one("integer", depth - 1)
            if a.type != b.type:
                return a
            return strict("MOD(%s, %s)" % (a.sql, b.sql), a.type, self.modulo(a.type), a, b)
        if shape == "negative":
            a = self.one(kind, depth - 1)
            return strict("(- %s)" % a.sql, a.type, (lambda v: wrap(-v, a.type)) if a.type in BITS else (lambda v: -v), a)
        if shape == "abs":
            a = self.one(kind, depth - 1)
            return strict("ABS(%s)" % a.sql, a.type, (lambda v: wrap(abs(v), a.type)) if a.type in BITS else abs, a)
        if shape == "length":
            a = self.one("text", depth - 1)
            return strict("CHAR_LENGTH(%s)" % a.sql, "INT", len, a, shared="length(%s)" % a.shared)
        if shape == "round":
            a = self.one("exact", depth - 1)
            return self.round(a) if is_decimal(a.type) else a
        if shape == "cast":
            return self.cast(kind, depth)
        return self.chosen(shape, kind, depth)

    def modulo(self, t):
        def function(a, b):
            if b == 0:
                raise BadRow
            return (abs(a) % abs(b)) * (-1 if a < 0 else 1)
        return function

    def arithmetic(self, op, a, b):
        sql = "(%s %s %s)" % (a.sql, op, b.sql)
        if "DOUBLE" in (a.type, b.type):
            if op == "/":
                op, sql = "*", "(%s * %s)" % (a.sql, b.sql)
            return strict(sql, "DOUBLE", lambda x, y: self.doubles(op, to_double(x, a.type), to_double(y, b.type)), a, b)
        if a.type in BITS and b.type in BITS:
            t = common(a.type, b.type)
            return strict(sql, t, lambda x, y: wrap(self.integers(op, x, y), t), a, b)
        (_, p, s), (_, q, u) = as_decimal(a.type), as_decimal(b.type)
        if op in "+-":
            scale = max(s, u)
            t = cut(max(p - s, q - u) + scale + 1, scale)
            function = lambda x, y: fit(rescale(x * 10 ** (scale - s) + (y if op == "+" else -y) * 10 ** (scale - u), scale, t[2]), t)
        elif op == "*":
            t = cut(p + q + 1, s + u)
            function = lambda x, y: fit(rescale(x * y, s + u, t[2]), t)
        else:
            scale = max(6, s + q + 1)
            t = cut(p - s + u + scale, scale)
            function = lambda x, y: self.quotient(x, s, y, u, t)
        return strict(sql, t, function, a, b)

    def doubles(self, op, x, y):
        return x + y if op == "+" else x - y if op == "-" else x * y

    def integers(self, op, x, y):
        if op == "/":
            if y == 0:
                raise BadRow
            return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
        return x + y if op == "+" else x - y if op == "-" else x * y

    def quotient(self, x, s, y, u, t):
        if y == 0:
            raise BadRow
        n, d = abs(x) * 10 ** u, abs(y) * 10 ** s
        if n == 0:
            return 0
        # 38 significant digits first
        e = len(str(n)) - len(str(d))
        e -= n * 10 ** max(-e, 0) < d * 10 ** max(e, 0)
        k = 37 - e
        digits = half_up(n * 10 ** max(k, 0), d * 10 ** max(-k, 0))
        v = rescale(digits, k, t[2]) if k >= 0 else digits * 10 ** (t[2] - k)
        return fit(v if (x < 0) == (y < 0) else -v, t)

    def round(self, a):
        n = self.rng.randrange(a.type[2] + 1)
        p = min(38, a.type[1] - a.type[2] + n + 1)
        return strict("ROUND(%s, %d)" % (a.sql, n), ("DECIMAL", p, n) if n < a.type[2] else a.type, lambda v: fit(rescale(v, a.type[2], n), ("DECIMAL", p, n)), a)

    def cast(self, kind, depth):
        r = self.rng
        to = r.choice(INTEGERS) if kind == "integer" or r.random() < 0.4 else ("DECIMAL", *r.choice([(5, 2), (10, 0), (18, 6), (38, 10), (38, 0), (20, 20)])) if kind == "exact" or r.random() < 0.7 else "DOUBLE"
        if r.random() < 0.25:
            a = self.one("text", depth - 1)
            if to not in BITS:
                to = "INT"
            return strict("TRY_CAST(%s AS %s)" % (a.sql, to), to, lambda v: self.parse(v, to), a)
        a = self.one("exact" if kind != "integer" else "integer", depth - 1)
        sql = "CAST(%s AS %s)" % (a.sql, name(to))
        if to == "DOUBLE":
            return strict(sql, to, lambda v: to_double(v, a.type), a)
        if is_decimal(to):
            return strict(sql, to, lambda v: fit(rescale(v, as_decimal(a.type)[2], to[2]), to), a)
        if is_decimal(a.type):
            return strict(sql, to, lambda v: self.truncated(v, a.type[2], to), a)
        return strict(sql, to, lambda v: wrap(v, to), a)

    def truncated(self, v, s, to):
        v = abs(v) // 10 ** s * (1 if v >= 0 else -1)
        if wrap(v, to) != v:
            raise Unsaid
        return v

    def parse(self, text, to):
        """Digits behind a point are cut off, as in Flink."""
        found = re.fullmatch(r"([+-]?[0-9]+)(\.[0-9]+)?", text.strip(" "))
        return int(found[1]) if found and wrap(int(found[1]), to) == int(found[1]) else None

    # ---- choices ----

    def chosen(self, shape, kind, depth):
        a, b = self.one(kind, depth - 1), self.one(kind, depth - 1)
        if shape == "nullif":
            return self.nullif(a, b)
        t = common(a.type, b.type)
        if t is None:
            return a
        if shape == "coalesce":
            def value(row):
                v = a.value(row)
                if v is not None:
                    self.unsaid(b, row)
                    return convert(v, a.type, t)
                return convert(b.value(row), b.type, t)
            return Node("COALESCE(%s, %s)" % (a.sql, b.sql), t, value, a.shared and b.shared and a.type == b.type and "coalesce(%s, %s)" % (a.shared, b.shared))
        c = self.one("boolean", depth - 1)
        shared = c.shared and a.shared and b.shared and a.type == b.type and "CASE WHEN %s THEN %s ELSE %s END" % (c.shared, a.shared, b.shared)
        return Node("CASE WHEN %s THEN %s ELSE %s END" % (c.sql, a.sql, b.sql), t,
                    lambda row: convert(a.value(row), a.type, t) if c.value(row) is True else convert(b.value(row), b.type, t), shared)

    def unsaid(self, node, row):
        try:
            node.value(row)
        except BadRow:
            raise Unsaid

    def nullif(self, a, b):
        if (a.type in ("STRING", "BOOLEAN") or b.type in ("STRING", "BOOLEAN")) and a.type != b.type:
            return a
        def value(row):
            x, y = a.value(row), b.value(row)
            return x if x is None or y is None or not self.equal(x, a.type, y, b.type) else None
        return Node("NULLIF(%s, %s)" % (a.sql, b.sql), a.type, value, a.shared and b.shared and a.type == b.type and "nullif(%s, %s)" % (a.shared, b.shared))

    def comparable(self, x, t, y, u):
        if "DOUBLE" in (t, u):
            return to_double(x, t), to_double(y, u)
        if t == "STRING":
            return x.encode(), y.encode()
        if is_decimal(t) or is_decimal(u):
            s, v = as_decimal(t)[2], as_decimal(u)[2]
            return x * 10 ** max(v - s, 0), y * 10 ** max(s - v, 0)
        return x, y

    def equal(self, x, t, y, u):
        x, y = self.comparable(x, t, y, u)
        return x == y

    # ---- booleans ----

    def boolean(self, depth):
        r = self.rng
        shape = r.choice(["compare", "compare", "compare", "and", "or", "not", "null", "distinct", "between", "in", "truth", "case", "like", "coalesce"])
        if shape in ("and", "or"):
            return self.connect(shape, self.one("boolean", depth - 1), self.one("boolean", depth - 1))
        if shape == "not":
            a = self.one("boolean", depth - 1)
            return strict("(NOT %s)" % a.sql, "BOOLEAN", lambda v: not v, a, shared="(NOT %s)" % a.shared)
        if shape == "truth":
            a, wanted, negated = self.one("boolean", depth - 1), r.random() < 0.5, r.random() < 0.5
            words = "IS %s%s" % ("NOT " if negated else "", str(wanted).upper())
            return Node("(%s %s)" % (a.sql, words), "BOOLEAN", lambda row: (a.value(row) is wanted) != negated, a.shared and "(%s %s)" % (a.shared, words))
        if shape == "null":
            a, negated = self.one(r.choice(["number", "text", "boolean"]), depth - 1), r.random() < 0.5
            words = "IS NOT NULL" if negated else "IS NULL"
            return Node("(%s %s)" % (a.sql, words), "BOOLEAN", lambda row: (a.value(row) is None) != negated, a.shared and "(%s %s)" % (a.shared, words))
        if shape in ("case", "coalesce"):
            return self.chosen(shape, "boolean", depth)
        if shape == "like":
            a, pattern = self.one("text", depth - 1), r.choice(["a%", "%b", "%", "_", "a_c", "%a%", "", "ab"])
            return strict("(%s LIKE '%s')" % (a.sql, pattern), "BOOLEAN", lambda v: like(v, pattern), a, shared="(%s LIKE '%s')" % (a.shared, pattern))
        kind = r.choice(["number", "exact", "integer", "text"])
        a, b, c = (self.one(kind, depth - 1) for _ in range(3))
        if shape == "distinct":
            negated = r.random() < 0.5
            words = "IS %sDISTINCT FROM" % ("NOT " if negated else "")
            def value(row):
                x, y = a.value(row), b.value(row)
                return ((x is None or y is None) and x is not y or x is not None and y is not None and not self.equal(x, a.type, y, b.type)) != negated
            return Node("(%s %s %s)" % (a.sql, words, b.sql), "BOOLEAN", value, self.same(a, b) and "(%s %s %s)" % (a.shared, words, b.shared))
        if shape == "between":
            return self.connect("and", self.compare(">=", a, b), self.compare("<=", a, c), "(%s BETWEEN %s AND %s)" % (a.sql, b.sql, c.sql))
        if shape == "in":
            return self.connect("or", self.compare("=", a, b), self.compare("=", a, c), "(%s IN (%s, %s))" % (a.sql, b.sql, c.sql))
        return self.compare(r.choice(["=", "<>", "<", "<=", ">", ">="]), a, b)

    def same(self, *nodes):
        return all(n.shared and n.type == nodes[0].type for n in nodes)

    def compare(self, op, a, b):
        def function(x, y):
            x, y = self.comparable(x, a.type, y, b.type)
            return {"=": x == y, "<>": x != y, "<": x < y, "<=": x <= y, ">": x > y, ">=": x >= y}[op]
        return strict("(%s %s %s)" % (a.sql, op, b.sql), "BOOLEAN", function, a, b, shared=self.same(a, b) and "(%s %s %s)" % (a.shared, op, b.shared))

    def connect(self, op, a, b, sql=None):
        deciding = op == "or"
        def value(row):
            x = a.value(row)
            if x is deciding:
                self.unsaid(b, row)
                return x
            y = b.value(row)
            return deciding if y is deciding else None if x is None or y is None else not deciding
        return Node(sql or "(%s %s %s)" % (a.sql, op.upper(), b.sql), "BOOLEAN", value, a.shared and b.shared and "(%s %s %s)" % (a.shared, op, b.shared))

    # ---- texts ----

    def text(self, depth):
        r = self.rng
        shape = r.choice(["||", "upper", "lower", "substring", "trim", "replace", "reverse", "left", "right", "lpad", "case", "coalesce", "nullif", "cast", "repeat"])
        if shape in ("case", "coalesce", "nullif"):
            return self.chosen(shape, "text", depth)
        if shape == "cast":
            a = self.one(r.choice(["exact", "boolean"]), depth - 1)
            return strict("CAST(%s AS STRING)" % a.sql, "STRING", lambda v: shown(v, a.type), a)
        a = self.one("text", depth - 1)
        if shape == "||":
            b = self.one("text", depth - 1)
            return strict("(%s || %s)" % (a.sql, b.sql), "STRING", lambda x, y: x + y, a, b, shared="(%s || %s)" % (a.shared, b.shared))
        if shape in ("upper", "lower"):
            return strict("%s(%s)" % (shape.upper(), a.sql), "STRING", str.upper if shape == "upper" else str.lower, a, shared="%s(%s)" % (shape, a.shared))
        if shape == "substring":
            start, length = r.randrange(1, 6), r.randrange(5)
            return strict("SUBSTRING(%s, %d, %d)" % (a.sql, start, length), "STRING", lambda v: v[start - 1:start - 1 + length], a,
                          shared="substring(%s, %d, %d)" % (a.shared, start, length))
        if shape == "trim":
            side = r.choice(["BOTH", "LEADING", "TRAILING"])
            function = {"BOTH": lambda v: v.strip(" "), "LEADING": lambda v: v.lstrip(" "), "TRAILING": lambda v: v.rstrip(" ")}[side]
            return strict("TRIM(%s ' ' FROM %s)" % (side, a.sql), "STRING", function, a,
                          shared="%s(%s)" % ({"BOTH": "trim", "LEADING": "ltrim", "TRAILING": "rtrim"}[side], a.shared))
        if shape == "replace":
            return strict("REPLACE(%s, 'a', 'xy')" % a.sql, "STRING", lambda v: v.replace("a", "xy"), a, shared="replace(%s, 'a', 'xy')" % a.shared)
        if shape == "reverse":
            return strict("REVERSE(%s)" % a.sql, "STRING", lambda v: v[::-1], a)
        n = r.randrange(5)
        if shape == "repeat":
            return strict("REPEAT(%s, %d)" % (a.sql, n), "STRING", lambda v: v * n, a, shared="repeat(%s, %d)" % (a.shared, n))
        if shape == "left":
            return strict("LEFT(%s, %d)" % (a.sql, n), "STRING", lambda v: v[:n], a, shared="left(%s, %d)" % (a.shared, n))
        if shape == "right":
            return strict("RIGHT(%s, %d)" % (a.sql, n), "STRING", lambda v: v[-n:] if n else "", a, shared="right(%s, %d)" % (a.shared, n))
        n += 3
        return strict("LPAD(%s, %d, '-+')" % (a.sql, n), "STRING", lambda v: v[:n] if len(v) >= n else ("-+" * n)[:n - len(v)] + v, a)


def like(text, pattern):
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(like(text[i:], pattern[1:]) for i in range(len(text) + 1))
    return bool(text) and pattern[0] in ("_", text[0]) and like(text[1:], pattern[1:])


def shown(v, t):
    if t == "BOOLEAN":
        return "TRUE" if v else "FALSE"
    if is_decimal(t) and t[2] > 0:
        digits = str(abs(v)).rjust(t[2] + 1, "0")
        return "-" * (v < 0) + digits[:-t[2]] + "." + digits[-t[2]:]
    return str(v)


# ---- rows, running, comparing ----

COLUMNS = [("t", "TINYINT"), ("s", "SMALLINT"), ("i", "INT"), ("j", "INT"), ("l", "BIGINT"), ("d", ("DECIMAL", 5, 2)), ("e", ("DECIMAL", 18, 6)), ("m", ("DECIMAL", 38, 10)),
           ("n", ("DECIMAL", 20, 0)), ("f", "DOUBLE"), ("b", "BOOLEAN"), ("c", "BOOLEAN"), ("x", "STRING"), ("y", "STRING")]
TEXTS = ["", "a", "b", "ab", "abc", "aB c", " a ", "12", "-7", "300", "99999999999999999999", "é", "ñ", "日本語", "😀a", "x,y", 'q"q', "a longer text, of thirty bytes", "%", "_"]


def random_value(rng, t):
    if rng.random() < 0.15:
        return None
    if t == "BOOLEAN":
        return rng.random() < 0.5
    if t == "STRING":
        return rng.choice(TEXTS)
    if t == "DOUBLE":
        return rng.choice([0.0, 1.0, -1.5, 0.1, 1e10, -3.25, 1e-5, rng.uniform(-1000, 1000)])
    most = 10 ** t[1] - 1 if is_decimal(t) else (1 << BITS[t] - 1) - 1
    return rng.choice([0, 1, -1, 2, most, -most, -most - (t in BITS), rng.randrange(-9, 10), rng.randrange(-most, most + 1), rng.randrange(-most, most + 1) // 10 ** rng.randrange(1, 20)])


def field(v, t):
    if v is None:
        return "\\N"
    if t == "STRING":
        return '"%s"' % v.replace('"', '""')
    return repr(v) if t == "DOUBLE" else str(v).lower() if t == "BOOLEAN" else shown(v, t)


def expected(node, row):
    v = node.value(row)
    if v is None or node.type in ("STRING", "BOOLEAN"):
        return v
    if node.type == "DOUBLE":
        return struct.pack("<d", v)
    return shown(v, node.type)


def got(value, t):
    if t == "DOUBLE" and value is not None:
        return struct.pack("<d", float(value))
    return value


def nodes_of(seed):
    rng = random.Random(seed)
    maker = Maker(rng, COLUMNS)
    rows = [{n: random_value(rng, t) for n, t in COLUMNS} for _ in range(ROWS)]
    nodes = [maker.one(rng.choice(["number", "exact", "integer", "boolean", "boolean", "text"]), rng.randrange(1, 5)) for _ in range(EXPRESSIONS)]
    return rows, nodes


def play(seed, directory):
    """The failures of one seed, as text."""
    rows, nodes = nodes_of(seed)
    path = os.path.join(directory, "rows.csv")
    with open(path, "w") as f:
        f.writelines(",".join([str(k)] + [field(row[n], t) for n, t in COLUMNS]) + "\n" for k, row in enumerate(rows))
    ddl = "CREATE TABLE r (id INT, %s) WITH ('connector'='filesystem','format'='csv','path'='%s','csv.null-literal'='\\N','on-error'='skip');\n" % (
        ", ".join("%s %s" % (n, name(t)) for n, t in COLUMNS), path)
    shards = seed % 3 + 1
    sql = ddl + "SELECT id, %s FROM r" % ", ".join("%s AS e%d" % (n.sql, k) for k, n in enumerate(nodes))
    p = subprocess.run([COMMAND, "run", "-c", sql, "--quiet", "--format", "json", "--shards", str(shards), "--set", "batch-rows=%d" % (1 if seed % 5 == 0 else 4096)],
                       capture_output=True, text=True)
    if p.returncode != 0:
        return ["exit %d: %s" % (p.returncode, p.stderr[-600:])]
    answers = {}
    for line in p.stdout.splitlines():
        answer = json.loads(line, parse_int=str, parse_float=str)
        answers[int(answer["id"])] = answer
    wrong = []
    for k, row in enumerate(rows):
        wanted, bad, unsaid = [], False, False
        for node in nodes:
            try:
                wanted.append(expected(node, row))
            except BadRow:
                bad = True
            except Unsaid:
                unsaid = True
        if bad or unsaid:
            if bad and not unsaid and k in answers:
                wrong.append("row %d %s is bad, but there" % (k, row))
            continue
        if k not in answers:
            wrong.append("row %d %s is missing: %s" % (k, row, [n.sql for n in nodes]))
            continue
        for e, (node, want) in enumerate(zip(nodes, wanted)):
            if got(answers[k]["e%d" % e], node.type) != want:
                used = {n: (v if t == "STRING" or v is None else field(v, t)) for (n, t), v in zip(COLUMNS, row.values()) if n in node.sql}
                wrong.append("row %d: %s (%s) with %s is %r, expected %r" % (k, node.sql, name(node.type), used, answers[k]["e%d" % e], shown_want(want)))
    return wrong[:5]


def shown_want(want):
    return struct.unpack("<d", want)[0] if isinstance(want, bytes) else want


def check_duckdb(seeds):
    """The model itself against DuckDB, where the dialects agree."""
    import duckdb
    db = duckdb.connect()
    wrong, count = [], 0
    for seed in seeds:
        rows, nodes = nodes_of(seed)
        shared = [n for n in nodes if n.shared and n.type in ("BOOLEAN", "STRING")]
        if not shared:
            continue
        db.execute("CREATE OR REPLACE TABLE r (id INT, %s)" % ", ".join("%s %s" % (n, name(t)) for n, t in COLUMNS))
        db.executemany("INSERT INTO r VALUES (%s)" % ", ".join("?" * (len(COLUMNS) + 1)),
                       [[k] + [v if v is None or t in ("STRING", "BOOLEAN", "DOUBLE") else shown(v, t) for (_, t), v in zip(COLUMNS, row.values())] for k, row in enumerate(rows)])
        answers = db.execute("SELECT %s FROM r ORDER BY id" % ", ".join(n.shared for n in shared)).fetchall()
        for row, answer in zip(rows, answers):
            for node, value in zip(shared, answer):
                count += 1
                if node.value(row) != value:
                    wrong.append("%s with %s is %r in DuckDB, %r here" % (node.shared, row, value, node.value(row)))
    return wrong, count


def main():
    passed = failed = skipped = 0
    one = os.environ.get("SEED")
    seeds = [int(one)] if one else range(1, int(os.environ.get("SEEDS", 200 if not QUICK else 60)) + 1)
    with tempfile.TemporaryDirectory() as d:
        for seed in seeds:
            wrong = play(seed, d)
            if wrong:
                failed += 1
                if failed < 12:
                    print("FAILED: SEED=%d" % seed, *wrong[:2], sep="\n  ")
            else:
                passed += 1
    try:
        wrong, count = check_duckdb(seeds)
        failed, passed = failed + bool(wrong), passed + (not wrong)
        print("DuckDB: %d values compared" % count, *wrong[:5], sep="\n  ")
    except ImportError:
        skipped = 1
    print("sql_expressions: %d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return failed > 0


sys.exit(main())
