#!/usr/bin/env python3
"""CAST(DOUBLE AS STRING) and CAST(FLOAT AS STRING): the fewest digits, at least two, that read back as the same number, the nearest of them; worked out
here from repr() and, where java is installed, compared with its Double.toString() and Float.toString(). Java before 19 may give more digits than needed,
or a neighbour that is further away; never anything else. Ends "N passed, N failed, N skipped"."""
import csv
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
from fractions import Fraction

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
COUNT = 20000 if os.environ.get("MILL_QUICK") == "1" else 100000
JAVA = """import java.io.*;
public class F {
    public static void main(String[] a) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        PrintStream out = new PrintStream(new BufferedOutputStream(System.out));
        for (String line; (line = in.readLine()) != null;) {
            String[] p = line.split(",");
            out.println(Double.toString(Double.longBitsToDouble(Long.parseUnsignedLong(p[0], 16))) + "," + Float.toString(Float.intBitsToFloat(Integer.parseUnsignedInt(p[1], 16))));
        }
        out.flush();
    }
}
"""
passed = failed = 0


def check(title, wrong):
    global passed, failed
    if wrong:
        failed += 1
        print("FAILED: %s: %d, such as" % (title, len(wrong)), *wrong[:5])
    else:
        passed += 1


def double(bits):
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def single(bits):
    return struct.unpack("<f", struct.pack("<I", bits))[0]


def bits_of(form, number, value):
    return struct.unpack(number, struct.pack(form, value))[0]


def numbers(rng):
    doubles = [1, 2, 3, 10, 0xfffffffffffff, 0x10000000000000, 0x7fefffffffffffff, 0, 1 << 63, 0x4341c37937e08000]
    doubles += [e << 52 for e in range(1, 2047)]   # powers of two
    doubles += [bits_of("<d", "<Q", x) for x in (1e-3, 9.999e-4, 1e7, 9999999.0, 12345678.9, 2e-3, 2**-44, 1e21, 1e22, 1e23, 100.0, 0.1, 2e-322, 2.2250738585072014e-308)]
    singles = [1, 2, 3, 0x7fffff, 0x800000, 0x7f7fffff, 0, 1 << 31, 0x3f800000] + [bits_of("<f", "<I", x) for x in (1e-3, 1e7, 9999999.0, 16777216.0, 3.4e10, 0.1)]
    singles += [e << 23 for e in range(1, 255)]
    while len(doubles) < COUNT:
        kind = rng.random()
        value = round(rng.uniform(-1e6, 1e6), rng.randrange(8)) if kind < 0.3 else rng.uniform(-1, 1) * 10 ** rng.randrange(-10, 12) if kind < 0.5 else None
        bits = bits_of("<d", "<Q", value) if value is not None else rng.getrandbits(52) >> rng.randrange(52) if kind < 0.6 else rng.getrandbits(64)
        if bits >> 52 & 0x7ff != 0x7ff:
            doubles.append(bits)
    while len(singles) < COUNT:
        bits = rng.getrandbits(32) if rng.random() < 0.6 else bits_of("<f", "<I", round(rng.uniform(-1e4, 1e4), rng.randrange(5)))
        if bits >> 23 & 0xff != 0xff:
            singles.append(bits)
    return doubles, singles


def java_form(digits, exponent, negative):
    """0.d1d2d3... * 10^exponent"""
    digits = digits.rstrip("0") or "0"
    if digits == "0":
        text = "0.0"
    elif -3 < exponent <= 7:
        whole, rest = ("0", "0" * -exponent + digits) if exponent <= 0 else (digits[:exponent].ljust(exponent, "0"), digits[exponent:])
        text = whole + "." + (rest or "0")
    else:
        text = digits[0] + "." + (digits[1:] or "0") + "E%d" % (exponent - 1)
    return "-" * negative + text


def expected(value, same):
    """The nearest of the shortest; in the wider gap above a power of two the nearest decimal may be one that reads back as another number."""
    exact = abs(Fraction(value))
    for n in range(2, 18):
        text = "%.*e" % (n - 1, abs(value))
        mantissa, exponent = text.split("e")
        unit = Fraction(10) ** (int(exponent) - n + 1)
        near = int(mantissa.replace(".", ""))
        fit = [k for k in (near - 1, near, near + 1) if same(float("%de%d" % (k, int(exponent) - n + 1)))]
        if fit or value == 0:
            best = min(fit or [0], key=lambda k: (abs(k * unit - exact), k % 2))
            return java_form(str(best).rjust(n, "0"), int(exponent) + 1 + (len(str(best)) > n), str(value)[0] == "-")


def fewest(text, value, same):
    """Reads back, and the nearest decimal of one digit less does not."""
    n = len(text.lstrip("-").split("E")[0].replace(".", "").strip("0"))
    return same(float(text)) and (n < 2 or not same(float("%.*e" % (n - 2, value))))


def as_single(value):
    try:
        return bits_of("<f", "<I", value)
    except OverflowError:
        return None


def java(d, pairs):
    with open(os.path.join(d, "F.java"), "w") as f:
        f.write(JAVA)
    p = subprocess.run(["java", os.path.join(d, "F.java")], input="".join("%x,%x\n" % pair for pair in pairs), capture_output=True, text=True)
    return [line.split(",") for line in p.stdout.split("\n")[:-1]] if p.returncode == 0 else None


def digits(text):
    """As shown: two at least."""
    return max(2, len(text.lstrip("-").upper().split("E")[0].replace(".", "").strip("0")))


def allowed(mine, theirs, exact):
    """Java's, or as near with fewer digits, or nearer with as many."""
    far = lambda t: abs(Fraction(t) - exact)
    return mine == theirs or digits(mine) < digits(theirs) or (digits(mine) == digits(theirs) and far(mine) < far(theirs))


def main():
    doubles, singles = numbers(random.Random(1))
    pairs = list(zip(doubles, singles))
    skipped = 0
    with tempfile.TemporaryDirectory() as d:
        with open(d + "/in.csv", "w") as f:
            f.writelines("%r,%.9g\n" % (double(a), single(b)) for a, b in pairs)
        p = subprocess.run([COMMAND, "run", "--quiet", "-c", "CREATE TABLE t (d DOUBLE, f FLOAT) WITH ('connector'='filesystem','format'='csv','path'='%s/in.csv');"
                            "SELECT CAST(d AS STRING), CAST(f AS STRING), d, f FROM t" % d], capture_output=True, text=True)
        ours = list(csv.reader(p.stdout.split("\n")[1:-1]))
        check("rows", [] if len(ours) == COUNT else [p.stderr, len(ours)])
        check("doubles as repr()", [(o[0], double(a)) for o, (a, _) in zip(ours, pairs) if float(o[0]) != double(a) or
                                    (len(repr(double(a)).lstrip("-0.").split("e")[0].replace(".", "").rstrip("0")) > 1 and digits(o[0]) != max(2, digits(repr(double(a)))))])
        check("doubles", [(o[0], double(a)) for o, (a, _) in zip(ours, pairs) if o[0] != expected(double(a), lambda x: bits_of("<d", "<Q", x) == a & ~(1 << 63))])
        check("floats", [(o[1], single(b)) for o, (_, b) in zip(ours, pairs) if o[1] != expected(single(b), lambda x: as_single(x) == b & ~(1 << 31))])
        check("printed doubles", [(o[2], double(a)) for o, (a, _) in zip(ours, pairs) if not fewest(o[2], double(a), lambda x: bits_of("<d", "<Q", x) == a)])
        check("printed floats", [(o[3], single(b)) for o, (_, b) in zip(ours, pairs) if not fewest(o[3], single(b), lambda x: as_single(x) == b)])
        check("the least of all", [] if ours[0][:2] == ["4.9E-324", "1.4E-45"] else [ours[0]])
        theirs = java(d, pairs) if shutil.which("java") else None
        if theirs is None:
            skipped = 2
        else:
            check("doubles, java", [(o[0], t[0]) for o, t, (a, _) in zip(ours, theirs, pairs) if not allowed(o[0], t[0], Fraction(double(a)))])
            check("floats, java", [(o[1], t[1]) for o, t, (_, b) in zip(ours, theirs, pairs) if not allowed(o[1], t[1], Fraction(single(b)))])
            print("java %s differs in %d doubles and %d floats of %d" % ("here", sum(o[0] != t[0] for o, t in zip(ours, theirs)), sum(o[1] != t[1] for o, t in zip(ours, theirs)), COUNT))
    print("sql_floats: %d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return failed > 0


sys.exit(main())
