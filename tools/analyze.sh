#!/bin/bash
# analyze.sh: static analysis of the library and the command. Ends "analyze: N findings"; exit 1 if any.
# cppcheck reads everything (tools/cppcheck.txt: what was read and is wrong). gcc -fanalyzer: the checks for leaks, double and late
# frees, and bounds; its null and uninitialised checks see neither longjmp nor that a vector's count is 0 while it is NULL.
set -u
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
findings=$(mktemp)
trap 'rm -f "$findings"' EXIT
cppcheck -j2 --quiet --enable=warning,performance --suppressions-list=tools/cppcheck.txt --suppress=missingIncludeSystem -I. --std=c11 \
    core io kernels tools 2>&1 | grep -E '^[a-z].*: (warning|performance|error):' >> "$findings"
git ls-files 'core/*.c' 'io/*.c' 'kernels/*_scalar.c' 'tools/*.c' | xargs -P2 -I{} gcc -std=gnu17 -O1 -march=x86-64-v2 -I. -I"$BUILD/gen" \
    -D_GNU_SOURCE -fanalyzer -Wno-analyzer-null-dereference -Wno-analyzer-null-argument -Wno-analyzer-use-of-uninitialized-value \
    -c {} -o /dev/null 2>&1 | grep -E 'warning:|error:' >> "$findings"
sort -u "$findings"
echo "analyze: $(sort -u "$findings" | wc -l) findings"
[ ! -s "$findings" ]
