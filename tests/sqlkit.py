"""What the tests on random queries share: seeds, running the command in a way that a seed chooses, the line of counts.

MILL_COMMAND is the command, MILL_SEEDS and MILL_FIRST_SEED say which seeds run, MILL_QUICK asks for few.
"""
import concurrent.futures, datetime, os, subprocess, tempfile

COMMAND = os.environ.get("MILL_COMMAND", "build/millstream")
FIRST = int(os.environ.get("MILL_FIRST_SEED", "0"))
SUMMARY = ("--json-summary", "/dev/fd/2")
SECONDS = 300


def seed_count(quick, usual):
    return int(os.environ.get("MILL_SEEDS", quick if os.environ.get("MILL_QUICK") else usual))


def time_text(ms):
    t = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=ms)
    return t.strftime("%Y-%m-%d %H:%M:%S.") + "%03d" % (t.microsecond // 1000)


def round_trip(r, seed):
    """Half of the time: operators are saved and restored between steps that the seed chooses."""
    return {"MILL_ROUNDTRIP": str(seed + 1)} if r.random() < 0.5 else {}


def run(sql, shards, r, step_bytes, more=SUMMARY, env={}, batches=(1, 7, 4096), rings=(1, 2, 64)):
    """Exit code, stdout and stderr of a query; the sizes of batches and rings are of r's choice."""
    args = [COMMAND, "run", "-c", sql, "--quiet", "--shards", str(shards), "--set", "batch-rows=%d" % r.choice(batches),
            "--set", "ring-slots=%d" % r.choice(rings), "--set", "step-bytes=%d" % step_bytes, *more]
    try:
        p = subprocess.run(args, capture_output=True, env={**os.environ, **env}, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return -1, "", "waits for ever: " + " ".join(args[5:])
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def run_in_mode(mode, sql, shards, r, seed, step_bytes):
    """As run(), in batch or streaming mode, with rows as JSON."""
    sql = "SET 'execution.runtime-mode' = '%s';\n%s" % (mode, sql)
    return run(sql, shards, r, step_bytes, ("--format", "json"), round_trip(r, seed))


def main(name, count, one):
    """one(seed, directory) for each seed: None passed, "" left out, else what is wrong. The exit status."""
    failed = skipped = 0
    with tempfile.TemporaryDirectory() as directory, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for wrong in pool.map(lambda seed: one(seed, directory), range(FIRST, FIRST + count)):
            skipped += wrong == ""
            if wrong:
                failed += 1
                print("FAILED:", wrong)
    print("%s: %d passed, %d failed, %d skipped" % (name, count - failed - skipped, failed, skipped))
    return 1 if failed else 0
