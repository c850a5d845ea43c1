#!/usr/bin/env python3
"""Files, pipes and folders through the command: every failure of input and output has its answer, growing folders, sinks that roll and partition.

Expected values are worked out here from how the inputs were made. Runs with MILL_IO=posix and uring where the machine has it."""
import base64, ctypes, gzip, json, os, resource, shutil, signal, stat, struct, subprocess, sys, tempfile, threading, time

COMMAND = os.path.abspath(os.environ.get("MILL_COMMAND", "build/millstream"))
QUICK = bool(os.environ.get("MILL_QUICK"))
passed = failed = skipped = 0
ROOT = os.geteuid() == 0
WAYS = ["posix", "uring"]


def check(title, ok, *what):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print("FAILED: %s: %s" % (title, " ".join(str(x)[:600] for x in what)))


def skip(title):
    global skipped
    skipped += 1
    print("skipped: " + title)


def args(sql, *extra):
    return [COMMAND, "run", "-c", sql, "--quiet", *extra]


def run(sql, *extra, env=None, **kw):
    p = subprocess.run(args(sql, *extra), capture_output=True, env={**os.environ, **(env or {})}, timeout=120, **kw)
    return p.returncode, p.stdout.decode("utf-8", "replace"), p.stderr.decode("utf-8", "replace")


def rows(out):
    return out.split("\n")[1:-1]


def table(path, columns="a INT", of="csv", **options):
    more = "".join(", '%s'='%s'" % (k.replace("__", "-").replace("_", "."), v) for k, v in options.items())
    return "CREATE TABLE t (%s) WITH ('connector'='filesystem','format'='%s','path'='%s'%s);\n" % (columns, of, path, more)


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())
    return path


def tree(path):
    """{relative name: bytes} of everything below, hidden files too"""
    found = {}
    for folder, _, names in os.walk(path):
        for name in names:
            found[os.path.relpath(os.path.join(folder, name), path)] = open(os.path.join(folder, name), "rb").read()
    return found


def wait_for(what, seconds=10):
    until = time.time() + seconds
    while time.time() < until:
        if what():
            return True
        time.sleep(0.005)
    return False


def zstd(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


def as_nobody():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def no_ring():
    """A seccomp filter as containers have it: io_uring_setup (425) gives EPERM."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = struct.pack("=HBBIHBBIHBBIHBBI", 0x20, 0, 0, 0, 0x15, 0, 1, 425, 0x06, 0, 0, 0x00050001, 0x06, 0, 0, 0x7FFF0000)
    buffer = ctypes.create_string_buffer(code)
    program = ctypes.create_string_buffer(struct.pack("=H6xQ", 4, ctypes.addressof(buffer)))
    if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, program, 0, 0) != 0:
        os._exit(99)


# ---- ways to read ----

def ways(d):
    global WAYS
    data = "".join("%d,%s\n" % (i, "x" * (i % 200)) for i in range(40000))
    path = write(d + "/ways.csv", data)
    sql = table(path, "a INT, b STRING") + "SELECT a, b FROM t"
    version = subprocess.run([COMMAND, "version"], capture_output=True).stdout.decode()
    if "no io_uring" in version:
        WAYS = ["posix"]
        skip("io_uring: " + version.split("io: ")[1].split("\n")[0])
        check("a forced ring that is refused", run(sql, env={"MILL_IO": "uring"})[0] == 78)
    for way in WAYS:
        for shards, step in (("1", "1000000"), ("3", "5000"), ("2", "64")):
            code, out, err = run(sql, "--shards", shards, "--set", "step-bytes=" + step, "--json-summary", d + "/s", env={"MILL_IO": way})
            reads = json.load(open(d + "/s"))["ring_reads"]
            check("%s, %s shards, steps of %s" % (way, shards, step), code == 0 and out == "a,b\n" + data.replace(",\n", ',""\n'), code, err)
            check("%s is what it says" % way, (reads > 0) == (way == "uring"), reads)
    check("MILL_IO of another name", run(sql, env={"MILL_IO": "fast"})[0] == 78)
    code, out, err = run(sql, env={"MILL_IO": "uring"}, preexec_fn=no_ring)
    check("io_uring refused, forced", code == 78 and "io_uring cannot be used here" in err and "MILL_IO=posix" in err, code, err)
    code, out, err = run(sql, preexec_fn=no_ring)
    check("io_uring refused, not forced", code == 0 and len(rows(out)) == 40000, code, err)
    says = subprocess.run([COMMAND, "version"], capture_output=True, preexec_fn=no_ring).stdout.decode()
    check("version says why there is no ring", "posix (no io_uring: Operation not permitted" in says, says)
    if ROOT and "uring" in WAYS:
        shutil.copy(COMMAND, d + "/command")
        os.chmod(d, 0o755)
        def limited():
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
            as_nobody()
        p = subprocess.run([d + "/command", "run", "-c", sql, "--quiet"], capture_output=True, env={**os.environ, "MILL_IO": "uring"}, preexec_fn=limited)
        check("no memory may be locked: plain buffers", p.returncode in (0, 78) and (p.returncode == 78 or len(rows(p.stdout.decode())) == 40000), p.returncode, p.stderr)


# ---- input that is not there, or not as it should be ----

def inputs(d):
    for path, code, word in ((d + "/none.csv", 66, "No such file"), (d + "/empty", 66, "no files to read"), (d + "/ways.csv/x", 66, "Not a directory")):
        os.makedirs(d + "/empty", exist_ok=True)
        got, out, err = run(table(path) + "SELECT a FROM t")
        check("input " + path[len(d):], got == code and word in err, got, err)
    if ROOT:
        secret = write(d + "/secret.csv", "1\n")
        os.chmod(secret, 0)
        p = subprocess.run([d + "/command" if os.path.exists(d + "/command") else COMMAND, "run", "-c", table(secret) + "SELECT a FROM t", "--quiet"], capture_output=True, preexec_fn=as_nobody)
        check("no right to read", p.returncode == 66 and b"Permission denied" in p.stderr, p.returncode, p.stderr)
        os.remove(secret)
    for name, data, word in (("utf16.csv", "a,b\nx,1\n".encode("utf-16"), "(is the file UTF-16?)"), ("latin.csv", b"h\xe9,b\nx,1\n", "byte 2 of the first line is 0xE9"),
                             ("plain.csv.gz", b"a,b\nx,1\n", "is no gzip data"), ("plain.csv.zst", b"a,b\nx,1\n", "is no zstd data")):
        code, out, err = run("SELECT * FROM '%s'" % write(d + "/" + name, data))
        check("FROM " + name, code == 65 and out == "" and word in err, code, out, err)
        if name.startswith("plain"):
            code, out, err = run(table(d + "/" + name, "a STRING, b STRING") + "SELECT a FROM t")
            check(name, code == 65 and "though the name says so" in err and "(0 bytes were whole)" in err, code, out, err)
    code, out, err = run(table(write(d + "/bell.csv", b"1\n\x1b[2Jx\n")) + "SELECT a FROM t")
    check("a message is one line of plain text", code == 65 and "'\\x1B[2Jx' is no INT" in err and "\x1b" not in err, code, err)
    code, out, err = run(table("/dev/null") + "SELECT COUNT(a) FROM t")
    check("/dev/null", code == 0 and rows(out) == ["0"], code, err)
    code, out, err = run(table("/dev/zero") + "SELECT COUNT(a) FROM t")
    check("/dev/zero is one long row", code == 65 and "row of more than 16 MiB" in err, code, err)
    fifo = d + "/fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: (time.sleep(0.2), write(fifo, "1\n2\n")))
    writer.start()
    code, out, err = run(table(fifo) + "SELECT SUM(a) FROM t")
    writer.join()
    check("a fifo that waits for its writer", code == 0 and rows(out) == ["3"], code, out, err)
    os.remove(fifo)
    for way in WAYS:
        env = {"MILL_IO": way}
        for name, data, expected in (("empty", b"", []), ("newlines", b"\n\n\n", []), ("no newline", b"1\n2", ["1", "2"]), ("crlf", b"1\r\n2\r\n", ["1", "2"]),
                                     ("bom", b"\xef\xbb\xbf1\n2\n", ["1", "2"])):
            code, out, err = run(table(write(d + "/form.csv", data)) + "SELECT a FROM t", env=env)
            check("%s: %s" % (way, name), code == 0 and rows(out) == expected, code, out, err)
        for name, data, word in (("NUL", b"ok\na\0b\n", "byte 2 of the field is NUL"), ("bad UTF-8", b"ok\nab\xffc\n", "byte 3 of the field is 0xFF, which is no UTF-8"),
                                 ("bad UTF-8 in quotes", b'ok\n"a""\xc3("\n', "byte 3 of the field is 0xC3, which is no UTF-8"),
                                 ("a surrogate", b"ok\n\xed\xa0\x80\n", "byte 1 of the field is 0xED"), ("an overlong slash", b"ok\n\xc0\xaf\n", "byte 1 of the field is 0xC0")):
            path = write(d + "/form.csv", data)
            code, out, err = run(table(path, "a STRING") + "SELECT a FROM t", env=env)
            check("%s: %s" % (way, name), code == 65 and word in err and "byte 3, line 2" in err, code, err)
            code, out, err = run(table(path, "a STRING", on__error="skip") + "SELECT a FROM t", env=env)
            check("%s: %s skipped" % (way, name), code == 0 and rows(out) == ["ok"], code, out, err)
        for name, data, word in (("NUL", b'{"a":"x"}\n{"a":"y\0"}\n', "control character"), ("bad UTF-8", b'{"a":"x"}\n{"a":"y\xff"}\n', "byte 8 of the line is 0xFF, which is no UTF-8"),
                                 ("a surrogate", b'{"a":"x"}\n{"a":"\xed\xa0\x80"}\n', "byte 7 of the line is 0xED"), ("cut off", b'{"a":"x"}\n{"a":"y', "not closed before the line ends"),
                                 ("too deep", b'{"a":"x"}\n{"a":' + b"[" * 70, "deeper than 64")):
            path = write(d + "/form.json", data)
            code, out, err = run(table(path, "a STRING", "json") + "SELECT a FROM t", env=env)
            check("%s: JSON, %s" % (way, name), code == 65 and word in err and "byte 10, line 2" in err, code, err)
            code, out, err = run(table(path, "a STRING", "json", on__error="skip") + "SELECT a FROM t", env=env)
            check("%s: JSON, %s skipped" % (way, name), code == 0 and rows(out) == ["x"], code, out, err)
        code, out, err = run(table(write(d + "/long.csv", b"1\n" + b"x" * (18 << 20)), "a STRING") + "SELECT CHAR_LENGTH(a) FROM t", "--json-summary", d + "/s", env=env)
        check(way + ": a row above the limit", code == 65 and "row of more than 16 MiB" in err and "byte 2" in err and rows(out) == ["1"], code, out[:50], err)
        check(way + ": a long row takes memory of its size", json.load(open(d + "/s"))["peak_rss_bytes"] < 160 << 20, open(d + "/s").read())
        code, out, err = run(table(write(d + "/long.csv", b"1\n" + b"x" * (15 << 20) + b"\n22\n"), "a STRING") + "SELECT CHAR_LENGTH(a) FROM t", env=env)
        check(way + ": a long row below it", code == 0 and rows(out) == ["1", str(15 << 20), "2"], code, out[:50], err)


def shrinking(d):
    """The run hangs on a pipe nobody reads while the file is cut."""
    for way in WAYS:
        path = write(d + "/shrink.csv", b"%7d\n" % 1234567 * (60 << 17))
        p = subprocess.Popen(args(table(path) + "SELECT a FROM t", "--shards", "1"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "MILL_IO": way})
        time.sleep(0.4)
        os.truncate(path, 1 << 20)
        out, err = p.communicate(timeout=60)
        n = len(out.decode().split("\n")) - 2
        check(way + ": a file that shrinks", p.returncode == 74 and b"shorter while it was read" in err and 0 < n < 60 << 17, p.returncode, err, n)
        os.remove(path)


# ---- compressed ----

def compressed(d):
    lines = ["%d" % (i * i * 7919 % 1000000007) for i in range(150000)]
    text = "".join(x + "\n" for x in lines).encode()
    third = len(text) // 3
    skippable = struct.pack("<II", 0x184D2A50, 5) + b"hello"
    for name, data in (("members.csv.gz", gzip.compress(text[:third]) + gzip.compress(text[third:])), ("frames.csv.zst", zstd(text[:third]) + skippable + zstd(text[third:])),
                       ("hidden.csv", gzip.compress(text))):
        for shards in ("1", "3"):
            code, out, err = run(table(write(d + "/" + name, data)) + "SELECT a FROM t", "--shards", shards, "--set", "step-bytes=3000")
            check("%s, %s shards" % (name, shards), code == 0 and rows(out) == lines, code, err)
    for name, data, word in (("cut.csv.gz", gzip.compress(text)[:-60000], "cut off"), ("cut.csv.zst", zstd(text)[:-60000], "cut off"),
                             ("bad.csv.gz", gzip.compress(text)[:-8] + b"\x55" * 8, "damaged"), ("bad.csv.zst", zstd(text) + b"garbage!" * 10, "damaged")):
        code, out, err = run(table(write(d + "/" + name, data)) + "SELECT a FROM t", "--shards", "2")
        got = rows(out)
        check(name, code == 65 and word in err and "at compressed byte" in err and got == lines[:len(got)] and len(got) > 100, code, err, len(got))
    if not QUICK:
        packed = subprocess.run("head -c 900000000 /dev/zero | tr '\\0' '\\n' | zstd -q -c", shell=True, capture_output=True).stdout
        code, out, err = run(table(write(d + "/bomb.csv.zst", packed)) + "SELECT COUNT(*) FROM t")
        check("a bomb", code == 65 and "decompression bomb" in err, code, err)


# ---- lines of dead letters ----

def letters(d):
    bad = {7, 4000, 19999, 20001}
    body = "".join(('"q\n%d",x\n' % i if i in bad else '"q\n%d",%d\n' % (i, i)) for i in range(20002)) # two lines a row
    for name, data in (("dead.csv", body.encode()), ("dead.csv.gz", gzip.compress(body.encode()))):
        path = write(d + "/" + name, data)
        for shards, step in (("1", "1000000"), ("3", "700"), ("8", "64")):
            for way in WAYS:
                sql = table(path, "s STRING, v INT", on__error="dead-letter", dead__letter_path=d + "/letters.json") + "SELECT SUM(v) FROM t"
                code, out, err = run(sql, "--shards", shards, "--set", "step-bytes=" + step, env={"MILL_IO": way})
                found = sorted((x["line"], base64.b64decode(x["raw"]).decode().strip()) for x in map(json.loads, open(d + "/letters.json")))
                check("%s %s %s %s: lines of dead letters" % (name, shards, step, way), code == 0 and found == [(2 * i + 1, '"q\n%d",x' % i) for i in sorted(bad)], code, found, err)
                check("the rest is summed", rows(out) == [str(sum(i for i in range(20002) if i not in bad))], out)


# ---- folders ----

def folders(d):
    base = d + "/many"
    for i in range(1500):
        write(base + "/%d/f%d.csv" % (i % 7, i), "%d\n" % i)
    write(base + "/.hidden.csv", "1000000\n")
    write(base + "/_tmp/x.csv", "1000000\n")
    for way in WAYS:
        code, out, err = run(table(base) + "SELECT COUNT(*), SUM(a) FROM t", env={"MILL_IO": way})
        check(way + ": 1500 files in folders of a folder", code == 0 and rows(out) == ["1500,%d" % sum(range(1500))], code, out, err)
    code, out, err = run(table(base, source_path_regex__pattern=".*/3/f[0-9]+.csv") + "SELECT COUNT(*) FROM t")
    check("a pattern over paths", code == 0 and rows(out) == [str(len(range(3, 1500, 7)))], code, out, err)
    code, out, err = run(table(base, source_path_regex__pattern="(") + "SELECT COUNT(*) FROM t")
    check("a pattern that is none", code == 78 and "regular expression" in err, code, err)
    shutil.rmtree(base)


def cpu(pid):
    fields = open("/proc/%d/stat" % pid).read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Live:
    """A run whose output is read as it comes."""
    def __init__(self, sql, *extra, **kw):
        self.p = subprocess.Popen(args(sql, *extra), stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)
        self.out = b""
        os.set_blocking(self.p.stdout.fileno(), False)

    def sees(self, text, seconds=10):
        def look():
            self.out += self.p.stdout.read() or b""
            return text in self.out
        return wait_for(look, seconds)

    def end(self, how=signal.SIGINT):
        begin = time.time()
        self.p.send_signal(how)
        code = self.p.wait(10)
        self.seconds = time.time() - begin
        return code, self.p.stderr.read().decode()


def growing_time(base, shards):
    """Between two files event time stands still: the rows of the next one are not late, those of before the watermark are."""
    write(base + "/a.csv", "2024-05-01 10:00:01\n")
    live = Live(table(base, "ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND", source_monitor__interval="50 ms") +
                "SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND)) "
                "GROUP BY window_start, window_end", "--shards", shards)
    seen = []
    for name, second in (("b", 20), ("c", 5), ("d", 40), ("e", 60)):
        write(base + "/." + name, "2024-05-01 10:%02d:%02d\n" % divmod(second, 60))
        time.sleep(0.3)
        os.rename(base + "/." + name, base + "/" + name + ".csv")
        if second != 5: # late: nothing comes of it
            seen.append({20: "10:00:01", 40: "10:00:20", 60: "10:00:40"}[second])
            check("growing: a window closes when the next file comes", live.sees(b"2024-05-01 %s.000,1\n" % seen[-1].encode()), live.out)
    code, err = live.end()
    check("growing: a row of before the watermark is late", live.out.count(b",1\n") == 3, live.out, err)


def growing(d):
    for shards in ("1", "2"):
        base = d + "/grow" + shards
        write(base + "/a.csv", "1\n")
        live = Live(table(base, source_monitor__interval="50 ms") + "SELECT a FROM t", "--shards", shards)
        check("growing: what is there", live.sees(b"1\n"))
        for name, value in (("z.csv", 2), ("b.csv", 3)): # by time, not by name
            write(base + "/." + name, "%d\n" % value)
            os.rename(base + "/." + name, base + "/" + name)
            check("growing: a new file", live.sees(b"\n%d\n" % value), live.out)
        open(base + "/a.csv", "a").write("99\n")
        before = cpu(live.p.pid)
        time.sleep(1)
        spent = cpu(live.p.pid) - before
        check("growing: idle without spinning", spent < 0.35, spent)
        code, err = live.end()
        check("growing: a file is read as it was when found", live.out == b"a\n1\n2\n3\n", live.out)
        check("growing: Ctrl-C", code == 130 and live.seconds < 1 and "stopped" in err, code, err, live.seconds)
    for shards in ("1", "2"):
        growing_time(d + "/time" + shards, shards)
    base = d + "/clock"
    write(base + "/a.csv", "1\n2\n3\n")
    live = Live(table(base, "a INT, p AS PROCTIME()", source_monitor__interval="50 ms") +
                "SELECT SUM(a) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(p), INTERVAL '0.2' SECOND)) GROUP BY window_start, window_end")
    check("growing: processing time passes in silence", live.sees(b"\n6\n"), live.out)
    live.end()
    code, out, err = run(table(d + "/nowhere", source_monitor__interval="1 s") + "SELECT a FROM t")
    check("growing: a folder that is not there", code == 66, code, err)
    code, out, err = run(table(base, source_monitor__interval="0 s") + "SELECT a FROM t")
    check("growing: no interval", code == 78, code, err)


# ---- pipes ----

STDIN = "CREATE TABLE t (a BIGINT) WITH ('connector'='stdin','format'='csv');\n"


def pipes(d):
    for shards in ("1", "2"):
        live = Live(STDIN + "SELECT a FROM t", "--shards", shards, stdin=subprocess.PIPE)
        for i in range(3):
            begin = time.time()
            live.p.stdin.write(b"%d\n7" % i)
            live.p.stdin.flush()
            check("a slow pipe does not wait", live.sees(b"%d\n" % i, 5) and time.time() - begin < 0.5, live.out, time.time() - begin)
        before = cpu(live.p.pid)
        time.sleep(1)
        check("a silent pipe without spinning", cpu(live.p.pid) - before < 0.35, cpu(live.p.pid) - before)
        code, err = live.end()
        check("Ctrl-C at a silent pipe", code == 130 and live.seconds < 1, code, err, live.seconds)
    data = b"".join(b"%d\n" % i for i in range(300000))
    code, out, err = run(STDIN + "SELECT COUNT(*), SUM(a) FROM t", input=data)
    check("stdin", code == 0 and rows(out) == ["300000,%d" % sum(range(300000))], code, out, err)
    path = write(d + "/pipe.csv", data)
    for sql in ("SELECT a FROM t", "CREATE TABLE s (a INT) WITH ('connector'='stdout');\nINSERT INTO s SELECT a FROM t"):
        p = subprocess.Popen(args(table(path) + sql), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        p.stdout.read(100)
        p.stdout.close()
        check("the reader goes away", p.wait(20) in (0, 141) and p.stderr.read() == b"", p.returncode)


# ---- sinks ----

def sink(path, columns="a INT", partitioned="", **options):
    return table(path, columns, **options).replace("TABLE t", "TABLE s").replace(") WITH", ")%s WITH" % (" PARTITIONED BY (%s)" % partitioned if partitioned else ""), 1)


def sinks(d):
    one = "INSERT INTO s SELECT a FROM (VALUES (1), (2)) AS v(a)"
    code, out, err = run(sink(d + "/new/folder/x.csv") + one)
    check("a file in a new folder", code == 0 and tree(d + "/new") == {"folder/x.csv": b"1\n2\n"}, code, err, tree(d + "/new"))
    code, out, err = run(sink(d + "/new/folder/x.csv") + "INSERT INTO s SELECT a FROM (VALUES (3)) AS v(a)")
    check("a file that is there is replaced", tree(d + "/new") == {"folder/x.csv": b"3\n"}, tree(d + "/new"))
    code, out, err = run(sink(d + "/new/folder") + one)
    code2, out, err = run(sink(d + "/new/folder/") + one)
    check("parts are added to a folder", code == code2 == 0 and tree(d + "/new") == {"folder/x.csv": b"3\n", "folder/part-0.csv": b"1\n2\n", "folder/part-1.csv": b"1\n2\n"}, tree(d + "/new"))
    check("no rows: an empty file", run(sink(d + "/none/x.csv") + one + " WHERE a > 5")[0] == 0 and tree(d + "/none") == {"x.csv": b""}, tree(d + "/none"))
    for name, unpack in (("x.csv.gz", gzip.decompress), ("x.csv.zst", lambda b: subprocess.run(["zstd", "-dqc"], input=b, capture_output=True, check=True).stdout)):
        big = write(d + "/big.csv", "".join("%d\n" % i for i in range(200000)))
        code, out, err = run(table(big) + sink(d + "/pack/" + name) + "INSERT INTO s SELECT a FROM t")
        check(name, code == 0 and unpack(open(d + "/pack/" + name, "rb").read()) == open(big, "rb").read(), code, err)
    # what goes wrong
    insert = table(d + "/big.csv") + sink("%s") + "INSERT INTO s SELECT a FROM t"
    code, out, err = run(insert % "/dev/full")
    check("a full device", code == 74 and "No space left" in err and stat.S_ISCHR(os.stat("/dev/full").st_mode), code, err)
    check("/dev/null stays a device", run(insert % "/dev/null")[0] == 0 and stat.S_ISCHR(os.stat("/dev/null").st_mode))
    code, out, err = run(insert % (d + "/limit/x.csv"), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000)))
    check("a file above RLIMIT_FSIZE", code == 74 and "File too large" in err and tree(d + "/limit") == {}, code, err, tree(d + "/limit"))
    code, out, err = run(insert % (d + "/big.csv/x"))
    check("a file is no folder", code == 74 and "big.csv" in err, code, err)
    if ROOT:
        os.makedirs(d + "/locked", exist_ok=True)
        os.chmod(d + "/locked", 0o755)
        os.chmod(d, 0o755)
        command = d + "/command" if os.path.exists(d + "/command") else COMMAND
        p = subprocess.run([command, "run", "-c", insert % (d + "/locked/x.csv"), "--quiet"], capture_output=True, preexec_fn=as_nobody)
        check("no right to write", p.returncode == 74 and b"Permission denied" in p.stderr and tree(d + "/locked") == {}, p.returncode, p.stderr)
        os.makedirs(d + "/small", exist_ok=True)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "none", d + "/small"], capture_output=True).returncode == 0:
            code, out, err = run(insert % (d + "/small/x.csv"))
            check("a full disk", code == 74 and "No space left" in err and tree(d + "/small") == {}, code, err, tree(d + "/small"))
            subprocess.run(["umount", d + "/small"])
        else:
            skip("a full disk: cannot mount a tmpfs")
    bad = write(d + "/late.csv", "1\n" * 100000 + "x\n")
    code, out, err = run(table(bad) + sink(d + "/failed/x.csv") + "INSERT INTO s SELECT a FROM t")
    check("a run that fails leaves nothing", code == 65 and tree(d + "/failed") == {}, code, tree(d + "/failed"))
    live = Live(STDIN + sink(d + "/stopped/", sink_rolling__policy_file__size="1kb") + "INSERT INTO s SELECT CAST(a AS INT) FROM t", stdin=subprocess.PIPE)
    live.p.stdin.write(b"123456789\n" * 1000)
    live.p.stdin.flush()
    check("hidden while it is written", wait_for(lambda: len(tree(d + "/stopped")) > 2) and all(n.startswith(".") for n in tree(d + "/stopped")), tree(d + "/stopped").keys())
    code, err = live.end()
    check("a run that is stopped leaves nothing", code == 130 and tree(d + "/stopped") == {}, code, tree(d + "/stopped").keys())


def rolling(d):
    values = [(i * 7919) % 100003 for i in range(20000)]
    path = write(d + "/roll.csv", "".join("%d\n" % v for v in values))
    expected, part = [], b""
    for v in values:
        part += b"%d\n" % v
        if len(part) >= 10240: # the row that fills a part ends it
            expected.append(part)
            part = b""
    expected.append(part)
    for shards in ("1", "2", "3", "8"):
        for batch in ("1", "4096"):
            out = d + "/rolled"
            shutil.rmtree(out, ignore_errors=True)
            code, _, err = run(table(path) + sink(out, sink_rolling__policy_file__size="10 kb") + "INSERT INTO s SELECT a FROM t", "--shards", shards,
                               "--set", "batch-rows=" + batch, "--set", "step-bytes=3000")
            found = tree(out)
            check("parts by size, %s shards, batches of %s" % (shards, batch), code == 0 and [found.get("part-%d.csv" % i) for i in range(len(found))] == expected, code, err, found.keys())
    live = Live(STDIN + sink(d + "/timed", sink_rolling__policy_rollover__interval="100 ms") + "INSERT INTO s SELECT CAST(a AS INT) FROM t", stdin=subprocess.PIPE)
    live.p.stdin.write(b"1\n")
    live.p.stdin.flush()
    time.sleep(0.3)
    live.p.stdin.write(b"2\n")
    live.p.stdin.flush()
    check("parts by time show while it runs", wait_for(lambda: tree(d + "/timed").get("part-0.csv") == b"1\n2\n"), tree(d + "/timed"))
    live.end()
    for key, value in (("sink.rolling-policy.file-size", "much"), ("sink.partition-commit.trigger", "now"), ("sink.partition-commit.policy.kind", "metastore"), ("sink.rolling-polcy.file-size", "1mb")):
        code, _, err = run(sink(d + "/opt").replace("'format'", "'%s'='%s','format'" % (key, value)) + "INSERT INTO s SELECT 1")
        check("option %s = %s" % (key, value), code == 78 and key in err, code, err)


def partitions(d):
    rows_in = [("a", 1, "x"), ("../../etc", 2, "y"), ("a/b", 3, "x"), ("", 4, "z"), ("50%=", 5, "x"), ("..", 6, "x"), ("\u00e4 b", 7, "x"), ("a", 8, "x"), ("a", 9, "w")]
    path = write(d + "/part.csv", "".join('"%s",%d,%s\n' % r for r in rows_in) + ",10,x\n")
    escaped = {"a": "a", "../../etc": "..%2F..%2Fetc", "a/b": "a%2Fb", "50%=": "50%25%3D", "": "NONE", "..": "..", "\u00e4 b": "\u00e4 b"}
    expected = {}
    for p, v, q in rows_in + [("", 10, "x")]:
        name = "p=%s/q=%s/part-0.csv" % (escaped[p], q)
        expected[name] = expected.get(name, b"") + b"%d\n" % v
    for shards in ("1", "3"):
        out = d + "/parts"
        shutil.rmtree(out, ignore_errors=True)
        code, _, err = run(table(path, "p STRING, v INT, q STRING") + sink(out, "p STRING, v INT, q STRING", "p, q", partition_default__name="NONE") + "INSERT INTO s SELECT p, v, q FROM t",
                           "--shards", shards, "--set", "step-bytes=64")
        check("partitions, %s shards" % shards, code == 0 and tree(out) == expected, code, err, tree(out))
    code, _, err = run(sink(d + "/x", "p STRING", "p") + "INSERT INTO s SELECT 'a'")
    check("only partition columns", code == 78 and "partition columns" in err, code, err)
    code, _, err = run(sink(d + "/x", "p STRING", "r") + "INSERT INTO s SELECT 'a'")
    check("a partition column that is none", code == 78 and "PARTITIONED BY r" in err, code, err)
    code, _, err = run(sink(d + "/parts", "p STRING, v INT", "p") + "SELECT * FROM s")
    check("reading a partitioned folder", code == 78 and "not supported yet" in err, code, err)
    # committed by the watermark while it runs
    out = d + "/committed"
    stdin = "CREATE TABLE t (ts TIMESTAMP(3), v INT, WATERMARK FOR ts AS ts) WITH ('connector'='stdin','format'='csv');\n"
    sql = stdin + sink(out, "v INT, dt STRING, hr STRING", "dt, hr", sink_partition__commit_trigger="partition-time", sink_partition__commit_delay="1 h",
                       sink_partition__commit_policy_kind="success-file", partition_time__extractor_timestamp__pattern="$dt $hr:00:00") + \
        "INSERT INTO s SELECT v, DATE_FORMAT(ts, 'yyyy-MM-dd'), DATE_FORMAT(ts, 'HH') FROM t"
    live = Live(sql, stdin=subprocess.PIPE)
    live.p.stdin.write(b"2020-01-01 10:00:00,1\n2020-01-01 10:59:00,2\n")
    live.p.stdin.flush()
    hour = "dt=2020-01-01/hr="
    check("not committed before its time", wait_for(lambda: hour + "10/.part-0.csv.inprogress" in tree(out)), tree(out))
    live.p.stdin.write(b"2020-01-01 11:00:00,3\n")
    live.p.stdin.flush()
    done = {hour + "10/part-0.csv": b"1\n2\n", hour + "10/_SUCCESS": b""}
    check("committed when the watermark has passed it", wait_for(lambda: {**tree(out), **done} == tree(out)), tree(out))
    live.p.stdin.close()
    code = live.p.wait(10)
    done.update({hour + "11/part-0.csv": b"3\n", hour + "11/_SUCCESS": b""})
    check("the end commits the rest", code == 0 and tree(out) == done, code, tree(out))


def main():
    with tempfile.TemporaryDirectory() as d:
        for part in (ways, inputs, shrinking, compressed, letters, folders, growing, pipes, sinks, rolling, partitions):
            part(d)
    print("sql_files: %d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed else 0


sys.exit(main())
