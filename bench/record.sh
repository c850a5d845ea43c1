#!/bin/bash
# bench/record.sh NAME [WORKLOAD|GROUP...]: a run that is kept: bench/results/NAME.json, its pictures in docs/plots, its table in docs/BENCHMARKS.md.
# ROWS=1M: fewer rows than the workloads' own; RUNS=5. FROM=1: no new run, only table and pictures of the one that is there
set -eu
cd "$(dirname "$0")/.."
M=${BUILD:-build}/millstream
name=${1:?bench/record.sh NAME [WORKLOAD|GROUP...]}
shift
json=bench/results/$name.json
table=$(mktemp)
trap 'rm -f "$table"' EXIT
mkdir -p bench/results docs/plots
[ -n "${FROM:-}" ] || "$M" bench "$@" --peer duckdb --runs "${RUNS:-5}" ${ROWS:+--rows "$ROWS"} --json "$json"
"$M" bench --from "$json" --quiet --markdown "$table" --svg docs/plots
for plot in docs/plots/*-[0-9]*.svg docs/plots/*-scaling.svg; do case $plot in */latency-*) continue ;; esac; printf '\n![%s](plots/%s)\n' "$(basename "$plot" .svg)" "$(basename "$plot")"; done >> "$table"
awk -v table="$table" '
    /<!-- results: begin/ { print; while ((getline line < table) > 0) print line; skip = 1 }
    /<!-- results: end/ { skip = 0 }
    !skip { print }' docs/BENCHMARKS.md > "$table.new"
mv "$table.new" docs/BENCHMARKS.md
