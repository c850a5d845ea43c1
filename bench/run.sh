#!/bin/bash
# bench/run.sh [PART...]: measures on generated data, answers checked; all parts, or those that are named: workloads and groups of
# `millstream bench --list`, latency, kernels, ring, bare, expr, json-parser, json-window, captures, rows, read.
# ROWS=1M: fewer rows of each workload than its own number; RUNS=5
set -eu
cd "$(dirname "$0")/.."
B=${BUILD:-build}
M=$B/millstream
export MILL_COMMAND=$M
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
own="latency kernels ring bare expr json-parser json-window captures rows read"
words=() parts=()
for word in "$@"; do
    case " $own " in *" $word "*) parts+=("$word") ;; *) words+=("$word") ;; esac
done
[ $# -gt 0 ] || read -ra parts <<< "$own"
if [ $# -eq 0 ] || [ ${#words[@]} -gt 0 ]; then
    "$M" bench ${words[@]+"${words[@]}"} --peer duckdb --runs "${RUNS:-5}" ${ROWS:+--rows "$ROWS"}
fi
build() { ${MAKE:-make} --no-print-directory BUILD="$B" "$@"; }
for part in ${parts[@]+"${parts[@]}"}; do
    echo "== $part"
    case $part in
    latency) for query in filter count tumble; do "$M" bench latency --query $query; done ;;
    kernels)
        build "$B/bench/bench_kernels"
        "$B/bench/bench_kernels" --benchmark_min_time=0.02 --benchmark_repetitions=5 --benchmark_report_aggregates_only=true \
            --benchmark_out="$dir/kernels.json" --benchmark_out_format=json > /dev/null
        python3 bench/kernel_table.py "$dir/kernels.json" ;;
    ring) build "$B/bench_ring"; "$B/bench_ring" 10 || [ $? = 77 ] ;;
    bare) build "$B/bench_bare"; "$B/bench_bare" 20 ;;
    expr) build "$B/bench_expr"; "$B/bench_expr" 1000 ;;
    json-parser) build "$B/bench_json"; "$B/bench_json" 500000 5 ;;
    json-window) python3 bench/bench_json_window.py 500000 ;;
    captures) for n in 1 2; do python3 bench/bench_pcap.py 2000000 $n; done ;;
    rows) python3 bench/bench_rows.py 10 ;;
    read) python3 bench/bench_read.py 256 ;;
    esac
done
