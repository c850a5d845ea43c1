#!/usr/bin/env python3
"""docs/examples do on their generated data what tests/examples_oracle.py finds, at 1 and 3 shards, and their pages show it.

    ```console            a page's commands ($ ...) and what they print, run in a folder of the example's own

MILL_QUICK leaves out the example with a million changes. MILL_EXAMPLES="iot cards": these only.
"""
import concurrent.futures, glob, os, re, subprocess, sys, tempfile

import examples_oracle

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COMMAND = os.path.abspath(os.environ.get("MILL_COMMAND", "build/millstream"))
NAMES = os.environ.get("MILL_EXAMPLES", " ".join(n for n in examples_oracle.NAMES if n != "orders" or not os.environ.get("MILL_QUICK"))).split()
DEFINES = {"watermark.sql": ["-D", "DELAY=3"]}
LATE = {"watermark.sql"}


def run(folder, job, shards):
    """The rows of a SELECT, "" without; what stands on standard error."""
    p = subprocess.run([COMMAND, "run", job, "--shards", str(shards), "--format", "csv"] + DEFINES.get(os.path.basename(job), []),
                       cwd=folder, capture_output=True, text=True, timeout=120)
    return p.returncode, p.stdout, p.stderr


def differs(got, wanted):
    for i, (a, b) in enumerate(zip(got, wanted)):
        if a != b:
            return "line %d is\n  %s\nnot\n  %s" % (i + 1, a, b)
    return "%d lines, not %d" % (len(got), len(wanted)) if len(got) != len(wanted) else None


def check_job(name, folder, job, outputs, shards):
    code, out, err = run(folder, os.path.join("docs", "examples", name, job), shards)
    place = "%s/%s at %d shards: " % (name, job, shards)
    if code != 0 or (" 0 late, 0 dead" in err) == (job in LATE):
        return place + "exit %d, %s" % (code, err)
    for output, wanted in outputs.items():
        got = open(os.path.join(folder, output)).read().splitlines() if output else out.splitlines()[1:]
        wrong = differs(got, wanted)
        if wrong:
            return place + (output or "SELECT") + ": " + wrong
        if not wanted:
            return place + "nothing is expected"
    if name == "orders":
        seconds = float(re.search(r"([0-9.]+) s,", err).group(1))
        print("orders at %d shards: %d orders enriched per second (the talk it is taken from: about 700 and 400, on a set-up of its own)"
              % (shards, len(outputs["enriched.csv"]) / seconds))
    return None


def check_page(name, folder):
    text = open(os.path.join(HERE, "docs", "examples", name, "README.md")).read()
    blocks = re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S)
    wrong = [] if blocks else [name + "/README.md shows nothing"]
    env = {**os.environ, "PATH": os.path.join(folder, "bin") + ":" + os.environ["PATH"]}
    for m in re.finditer(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", "".join(blocks), re.M):
        p = subprocess.run(["bash", "-c", m.group(1)], cwd=folder, env=env, capture_output=True, text=True, timeout=120)
        if p.stdout != m.group(2):
            wrong.append("%s/README.md: %s\n--- shown\n%s--- got\n%s%s" % (name, m.group(1), m.group(2), p.stdout, p.stderr if p.returncode else ""))
    return wrong


def check(name):
    """(How many were right, what is wrong) of an example."""
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(os.path.join(HERE, "docs"), os.path.join(folder, "docs"))
        os.mkdir(os.path.join(folder, "bin"))
        os.symlink(COMMAND, os.path.join(folder, "bin", "millstream"))
        code, _, err = run(folder, os.path.join("docs", "examples", name, "gen.sql"), 2)
        if code != 0:
            return 0, [name + "/gen.sql: " + err]
        expected = examples_oracle.expected(name, folder)
        jobs = {os.path.basename(p) for p in glob.glob(os.path.join(HERE, "docs", "examples", name, "*.sql"))} - {"gen.sql"}
        wrong = [] if jobs == set(expected) else ["%s: the oracle knows %s, there are %s" % (name, sorted(expected), sorted(jobs))]
        done = [check_job(name, folder, job, outputs, n) for job, outputs in expected.items() for n in (1, 3)]
        wrong += [w for w in done if w]
        pages = check_page(name, folder)
        return len(done) - sum(map(bool, done)) + (not pages), wrong + pages


def main():
    passed = failed = 0
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        for good, wrong in pool.map(check, NAMES):
            passed, failed = passed + good, failed + len(wrong)
            for text in wrong:
                print("FAILED:", text)
    print("sql_examples: %d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
