#!/usr/bin/env python3
"""The README and docs/*.md do what they show.

    ```csv bids.csv       writes a file for the blocks behind it of the same page (also json, txt)
    ```sql                runs, if a ```text block comes right behind it: that is its output (a table as on a terminal, or an error)
    ```sql check          must plan

Pages are run in a folder of their own, at 2 shards.
"""
import glob, os, re, subprocess, sys, tempfile

COMMAND = os.path.abspath(os.environ.get("MILL_COMMAND", "build/millstream"))
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.M | re.S)


def blocks(text):
    """(kind, rest, body, line, whether nothing but blank lines stands between it and the block before)"""
    end = 0
    for m in BLOCK.finditer(text):
        yield m.group(1), m.group(2).strip(), m.group(3), text.count("\n", 0, m.start()) + 1, not text[end:m.start()].strip()
        end = m.end()


def run(verb, sql, folder):
    args = [COMMAND, verb, "-", "--quiet"] + (["--format", "table", "--shards", "2"] if verb == "run" else [])
    p = subprocess.run(args, input=sql, capture_output=True, text=True, cwd=folder)
    return p.returncode, p.stdout + p.stderr


def check_page(path, folder):
    passed, failures, last = 0, [], None
    for kind, rest, body, line, behind in blocks(open(path, encoding="utf-8").read()):
        place = "%s:%d" % (os.path.relpath(path, HERE), line)
        if kind in ("csv", "json", "txt") and rest:
            with open(os.path.join(folder, rest), "w") as f:
                f.write(body)
        elif kind == "text" and behind and last:
            code, out = run("run", last, folder)
            passed += out == body
            if out != body:
                failures.append("%s: exit %d\n--- shown\n%s--- got\n%s" % (place, code, body, out))
        elif kind == "sql" and rest == "check":
            code, out = run("check", body, folder)
            passed += code == 0
            if code != 0:
                failures.append("%s: %s" % (place, out))
        last = body if kind == "sql" else None
    return passed, failures


def main():
    passed = failed = 0
    for path in [os.path.join(HERE, "README.md")] + sorted(glob.glob(os.path.join(HERE, "docs", "*.md"))):
        with tempfile.TemporaryDirectory() as folder:
            good, failures = check_page(path, folder)
        passed, failed = passed + good, failed + len(failures)
        for text in failures:
            print("FAILED:", text)
    print("sql_docs: %d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed or not passed else 0


sys.exit(main())
