#!/usr/bin/env python3
"""Golden SQL cases of tests/cases/*.case, answers written by hand or taken from Flink's manual; errors with their code, place and words.

    # a comment                        (only above the first block and between cases)
    ==== input NAME [escaped] [repeat=N] [cut=SHARE]
    lines                              a file in ${DIR} for all cases of this .case file. NAME.gz and NAME.zst are compressed. escaped: one
                                       text with \\n, \\x00 ...; repeat: that many times; cut: only this share of the bytes
    ==== sql NAME
    lines                              a piece of SQL: a line @NAME in a case stands for it
    ==== case TITLE
    SQL                                ${DIR}: the folder of the inputs, ${OUT}: an empty folder of each run
    ---- expect                        rows as CSV, in order, without the header line
    ---- error CODE LINE:COLUMN|-      exit code and place; each line below stands somewhere in what the command says
    ---- says                          each line below stands somewhere in standard error, whatever the exit code
    ---- summary                       lines key=value, as in --json-summary
    ---- file NAME                     what ${OUT}/NAME holds after the run
    ---- set KEY=VALUE                 a --set of all runs of this case
    ---- once                          one configuration only

A case runs at 1, 2, 3 and 8 shards, batches of 1 and 4,096 rows, with and without state round trips, and for every instruction set
the CPU has; an error runs once. python3 tests/sql_cases.py [FILE.case ...] [-k WORD]: only these.
"""
import concurrent.futures, glob, gzip, json, os, shutil, subprocess, sys, tempfile

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
QUICK = bool(os.environ.get("MILL_QUICK"))
HERE = os.path.dirname(os.path.abspath(__file__))


class Case:
    def __init__(self, title, where):
        self.title, self.where, self.sql, self.parts, self.settings, self.once = title, where, [], [], [], False


def parse(path):
    """inputs {name: (flags, lines)}, cases"""
    inputs, pieces, cases, into = {}, {}, [], None
    for number, line in enumerate(open(path, encoding="utf-8").read().split("\n")[:-1], 1):
        if line.startswith("==== "):
            kind, _, rest = line[5:].partition(" ")
            if kind == "input":
                name, *flags = rest.split()
                into = []
                inputs[name] = (flags, into)
            elif kind == "sql":
                into = pieces.setdefault(rest, [])
            elif kind == "case":
                cases.append(Case(rest, "%s:%d" % (os.path.basename(path), number)))
                into = cases[-1].sql
            else:
                sys.exit("%s:%d: no block '%s'" % (path, number, kind))
        elif line.startswith("---- ") and cases:
            kind, _, rest = line[5:].partition(" ")
            if kind not in ("expect", "error", "says", "summary", "file", "set", "once"):
                sys.exit("%s:%d: no part '%s'" % (path, number, kind))
            into = []
            if kind == "set":
                cases[-1].settings += ["--set", rest]
            elif kind == "once":
                cases[-1].once = True
            else:
                cases[-1].parts.append((kind, rest, into))
        elif into is None:
            if line and not line.startswith("#"):
                sys.exit("%s:%d: a line outside all blocks" % (path, number))
        elif line.startswith("@") and cases and into is cases[-1].sql:
            into += pieces[line[1:]]
        else:
            into.append(line)
    for case in cases:
        if not case.parts:
            sys.exit("%s: case '%s' expects nothing: it cannot fail" % (case.where, case.title))
    return inputs, cases


def compress(name, data):
    if name.endswith(".gz"):
        return gzip.compress(data)
    if name.endswith(".zst"):
        return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout
    return data


def write_inputs(inputs, directory):
    for name, (flags, lines) in inputs.items():
        values = dict(f.split("=") for f in flags if "=" in f)
        if "escaped" in flags:
            data = "\n".join(lines).encode("utf-8").decode("unicode_escape").encode("latin-1")
        else:
            data = "".join(x + "\n" for x in lines).encode()
        data = compress(name, data * int(values.get("repeat", 1)))
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data[:int(len(data) * float(values.get("cut", 1)))])


def matrix(case):
    if case.once or any(kind == "error" for kind, _, _ in case.parts):
        yield [], {}
        return
    for shards in ("1", "2") if QUICK else ("1", "2", "3", "8"):
        for batch in ("1", "4096"):
            for trip in (None, "7"):
                yield ["--shards", shards, "--set", "batch-rows=" + batch], {"MILL_ROUNDTRIP": trip} if trip else {}
    for isa in ("scalar", "avx2", "avx512"):
        yield ["--shards", "2"], {"MILL_ISA": isa}
    for io in ("posix", "uring"):
        yield ["--shards", "2"], {"MILL_IO": io}


def wrong(part, code, out, err, summary, directory):
    """None, or what differs."""
    kind, rest, lines = part
    if kind == "expect":
        got = out.split("\n")[1:-1]
        return None if code == 0 and got == lines else "exit %d\n  got      %s\n  expected %s" % (code, got, lines)
    if kind == "error":
        expected, place = rest.split()
        missing = [x for x in lines if x not in err] + ([place] if place != "-" and "SQL:" + place + ":" not in err else [])
        return None if code == int(expected) and not missing else "exit %d, expected %s; missing %s" % (code, expected, missing)
    if kind == "says":
        missing = [x for x in lines if x not in err]
        return None if not missing else "missing %s" % missing
    if kind == "summary":
        differ = [x for x in lines if str(summary.get(x.split("=")[0])) != x.split("=")[1]]
        return None if not differ else "summary %s, expected %s" % (summary, differ)
    try:
        with open(os.path.join(directory, rest), encoding="utf-8") as f:
            got = f.read().split("\n")[:-1]
    except OSError as e:
        return str(e)
    return None if got == lines else "file %s\n  got      %s\n  expected %s" % (rest, got, lines)


def run(case, inputs):
    """None, or a text: what went wrong in which configuration."""
    for extra, env in matrix(case):
        out_folder = tempfile.mkdtemp()
        summary_path = os.path.join(out_folder, ".summary")
        args = [COMMAND, "run", "-c", "\n".join(case.sql), "-D", "DIR=" + inputs, "-D", "OUT=" + out_folder, "--quiet",
                "--json-summary", summary_path, *extra, *case.settings]
        p = subprocess.run(args, capture_output=True, stdin=subprocess.DEVNULL, env={**os.environ, **env})
        out, err = p.stdout.decode(errors="replace"), p.stderr.decode(errors="replace")
        summary = json.load(open(summary_path)) if os.path.exists(summary_path) else {}
        lacks = p.returncode == 78 and ("MILL_ISA" in env and "this CPU has no" in err or "MILL_IO" in env and "io_uring cannot be used here" in err)
        for part in [] if lacks else case.parts:
            difference = wrong(part, p.returncode, out, err, summary, out_folder)
            if difference:
                shutil.rmtree(out_folder)
                return "%s %s %s %s: %s\n  %s" % (case.where, case.title, " ".join(extra), env, difference, err.strip())
        shutil.rmtree(out_folder)
    return None


def main():
    args, word = sys.argv[1:], None
    if "-k" in args:
        word = args[args.index("-k") + 1]
        del args[args.index("-k"):args.index("-k") + 2]
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path in args or sorted(glob.glob(os.path.join(HERE, "cases", "*.case"))):
            inputs, cases = parse(path)
            with tempfile.TemporaryDirectory() as directory:
                write_inputs(inputs, directory)
                for result in pool.map(lambda case: run(case, directory), [c for c in cases if not word or word in c.title]):
                    passed, failed = passed + (result is None), failed + (result is not None)
                    if result:
                        print("FAILED:", result)
    print("sql_cases: %d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed else 0


sys.exit(main())
