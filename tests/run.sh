#!/bin/bash
# run.sh unit|stress|shards|model|sql|embed|fuzz...: runs the tests that make has built and counts them.
# Ends with a plain line "N passed, N failed, N skipped"; exit 1 if any failed.
set -u
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
passed=0 failed=0 skipped=0

one() {                                # name, exit status
    if [ "$2" -eq 0 ]; then passed=$((passed + 1)); elif [ "$2" -eq 77 ]; then skipped=$((skipped + 1)); echo "skipped: $1"
    else failed=$((failed + 1)); echo "FAILED: $1 (exit $2)"; fi
}

unit() {
    local binary out line
    for binary in "$BUILD"/tests/test_*; do
        [ -x "$binary" ] && [[ $binary != *.o ]] && [[ $binary != *.d ]] || continue
        out=$("$binary" --color=never 2>&1); status=$?
        line=$(grep -o 'Tested: .*' <<<"$out")
        if [ -z "$line" ]; then one "$binary" $((status == 0 ? 1 : status)); echo "$out" | tail -20; continue; fi
        set -- $(grep -o '[0-9]\+' <<<"$line")
        passed=$((passed + $2)); failed=$((failed + $3 + $4))
        if [ $(($3 + $4)) -gt 0 ] || [ $status -ne 0 ]; then echo "FAILED: $binary"; echo "$out" | tail -30; fi
        [ $status -eq 0 ] || [ $(($3 + $4)) -gt 0 ] || failed=$((failed + 1))
        echo "$(basename "$binary"): $2 of $1"
    done
}

stress() {
    local binary
    for binary in "$BUILD"/tests/stress_*; do
        [ -x "$binary" ] && [[ $binary != *.o ]] && [[ $binary != *.d ]] || continue
        "$binary"; one "$binary" $?
    done
}

# The engine in a simulated world, by seed (tests/simulate.c); prints how to replay a failure.
simulate() { "$BUILD/tests/simulate" 1 "${SEEDS:-300}"; one "simulate, ${SEEDS:-300} seeds" $?; }

counted() {                            # name, exit status, what it printed: its line of counts
    local name=$1 status=$2 line
    line=$(grep -o '[0-9]* passed, [0-9]* failed, [0-9]* skipped' <<<"$3" | tail -1)
    if [ -z "$line" ]; then one "$name" $((status == 0 ? 1 : status)); return; fi
    set -- $(grep -o '[0-9]\+' <<<"$line")
    passed=$((passed + $1)); failed=$((failed + $2)); skipped=$((skipped + $3))
    [ $status -eq 0 ] || [ "$2" -gt 0 ] || failed=$((failed + 1))
}

# The step protocol, searched exhaustively, one line for each case (tests/model), and played with costs.
model() {
    local out
    out=$("$BUILD/model"); counted "model" $? "$out"
    sed '$d' <<<"$out"
    out=$(python3 tests/steps_simulation.py 2>&1); counted "steps_simulation.py" $? "$out"
    echo "$out" | tail -5
}

# A keyed window query with tiny rings and steps: all shard counts give the bytes of one shard.
shards() {
    local dir n; dir=$(mktemp -d)
    "$BUILD/millstream" gen nexmark --events 200000 --out "$dir/events.csv" 2>/dev/null || { one "gen" 1; return; }
    run() { "$BUILD/millstream" run tests/shards.sql -D DIR="$dir" --quiet --set step-bytes=20000 --set ring-slots=2 --shards "$1"; }
    run 1 > "$dir/1"; one "1 shard" $?
    for n in 2 3 8; do
        run $n > "$dir/$n" 2> "$dir/err$n"; status=$?
        [ $status -eq 0 ] || cat "$dir/err$n"
        cmp -s "$dir/1" "$dir/$n" || status=1
        one "$n shards give the bytes of one" $status
    done
    "$BUILD/millstream" bench latency --shards 2 --rate 5000 --rows 5000 --query tumble > "$dir/pulled"; one "rows are pulled by 2 shards" $?
    rm -rf "$dir"
}

# Two scripts at a time and more: each waits for the command most of its time. JOBS=1: one by one.
sql() {
    local dir script name out line; dir=$(mktemp -d)
    ls tests/sql_*.py | MILL_COMMAND="$BUILD/millstream" xargs -P "${JOBS:-$(nproc)}" -I{} bash -c '
        name=$(basename "$1"); python3 "$1" > "$2/$name" 2>&1; echo $? > "$2/$name.status"
        echo "$name: $(grep -o "[0-9]* passed, [0-9]* failed, [0-9]* skipped" "$2/$name" | tail -1)"' _ {} "$dir"
    for script in tests/sql_*.py; do
        name=$(basename "$script")
        out=$(cat "$dir/$name"); status=$(cat "$dir/$name.status")
        line=$(grep -o '[0-9]* passed, [0-9]* failed, [0-9]* skipped' <<<"$out" | tail -1)
        if [ -z "$line" ]; then one "$script" $((status == 0 ? 1 : status)); echo "$out" | tail -20; continue; fi
        set -- $(grep -o '[0-9]\+' <<<"$line")
        passed=$((passed + $1)); failed=$((failed + $2)); skipped=$((skipped + $3))
        [ "$2" -eq 0 ] && [ $status -eq 0 ] || { echo "$name: $line"; echo "$out" | tail -40; [ "$2" -gt 0 ] || failed=$((failed + 1)); }
    done
    rm -rf "$dir"
    shards
}

# The example of docs/examples/embed.c prints two windows whose averages are worked out by hand in it.
embed() { "$BUILD/embed" > "$BUILD/embed.out"; status=$?; cmp -s "$BUILD/embed.out" docs/examples/embed.expected || status=1
    [ $status -eq 0 ] || cat "$BUILD/embed.out"; one "embed" $status; }

# make install, then the example built as a user builds it: against the shared and against the static library.
installed() {
    local dir flags status=0; dir=$(mktemp -d)
    export PKG_CONFIG_PATH="$dir/lib/pkgconfig"
    ${MAKE:-make} --no-print-directory BUILD="$BUILD" PREFIX="$dir" install > "$dir/log" 2>&1 || { cat "$dir/log"; status=1; }
    cc docs/examples/embed.c $(pkg-config --cflags --libs millstream) -o "$dir/shared" && LD_LIBRARY_PATH="$dir/lib" "$dir/shared" > "$dir/out1" || status=1
    flags=$(pkg-config --static --libs millstream)
    cc docs/examples/embed.c $(pkg-config --cflags millstream) "$dir/lib/libmillstream.a" ${flags/-lmillstream/} -o "$dir/static" &&
        "$dir/static" > "$dir/out2" || status=1
    cmp "$dir/out1" docs/examples/embed.expected && cmp "$dir/out2" docs/examples/embed.expected || status=1
    "$dir/bin/millstream" version > "$dir/version" || status=1
    one "installed with pkg-config, shared and static" $status
    rm -rf "$dir"
}

fuzz() {
    local binary
    for binary in "$BUILD"/tests/fuzz_*; do
        [ -x "$binary" ] && [[ $binary != *.o ]] && [[ $binary != *.d ]] || continue
        "$binary" -max_total_time="${SECONDS_EACH:-60}" -max_len=4096 -rss_limit_mb=2048 -print_final_stats=1 -error_exitcode=1 > "$BUILD/fuzz.log" 2>&1
        status=$?; [ $status -eq 0 ] || tail -40 "$BUILD/fuzz.log"
        one "$(basename "$binary"), $(sed -n 's/.*number_of_executed_units: //p' "$BUILD/fuzz.log") inputs" $status
    done
}

for kind in "$@"; do $kind; done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
