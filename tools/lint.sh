#!/bin/bash
# lint.sh: the rules of docs/ARCHITECTURE.md that a machine can check. Ends "lint: N problems"; exit 1 if any.
set -u
cd "$(dirname "$0")/.."
problems=0
complain() { echo "$1"; problems=$((problems + 1)); }

# 1. who may include whom
includes() { git grep -nE "^#include \"($2)" -- "$1" | while read -r line; do echo "include: $line"; done; }
found=$(includes 'kernels/*' 'core/|io/|tools/|tests/'; includes 'core/*' 'io/|tools/|tests/'
        includes 'io/*' 'core/(plan|ops|shard|sql|state|expr)/|tools/|tests/'
        git grep -nE '^#include "(core|io|kernels)/' -- 'tools/*.c' 'tools/*.h' | grep -v 'core/millstream.h' | sed 's/^/include: /')
[ -z "$found" ] || while read -r line; do complain "$line"; done <<<"$found"

# 2. memory orders are spelled in one place
found=$(git grep -n 'memory_order_' -- '*.c' '*.h' ':!core/atomic.h')
[ -z "$found" ] || while read -r line; do complain "memory order outside core/atomic.h: $line"; done <<<"$found"

# 3. core and kernels reach the world only through struct env
found=$(git grep -nE '\b(malloc|calloc|realloc|free|fopen|fread|fwrite|printf|fprintf|getenv|clock_gettime|time|rand|open|read|write|pthread_create|sleep|usleep)\(' -- 'core/*.c' 'core/*.h' 'core/*.re' 'kernels/*' |
        grep -vE 'core/error.c|env->|vtable->|/\*|->(alloc|file|run|clock)\.|heap_free|snprintf|\(\*[a-z]+\)\(|static|time\(t\)|^[^:]*:[0-9]*: \*|free\(self|\.free')
[ -z "$found" ] || while read -r line; do complain "the world outside env: $line"; done <<<"$found"

# 4. functions of at most 70 lines; longer ones stand in tools/long-functions.txt with their length and may only shrink
found=$(git ls-files '*.c' | grep -v '^tests/' | xargs awk '
    /^[a-z_].*\)$|^[a-z_].*[^;]$/ && !/^(static )?(const )?struct [a-z_]+ [a-z_]+(\[\])? = / { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
    /^\{$/ { start = FNR }
    /^\}$/ { if (start && FNR - start - 1 > 70) print FILENAME, name, FNR - start - 1; start = 0 }')
while read -r file name lines; do
    [ -n "${file:-}" ] || continue
    allowed=$(awk -v n="$name" '$1 == n { print $2 }' tools/long-functions.txt)
    [ -n "$allowed" ] && [ "$lines" -le "$allowed" ] || complain "function of $lines lines: $file $name"
done <<<"$found"

# 5. formatted
if command -v clang-format >/dev/null; then
    found=$(git ls-files '*.c' '*.h' '*.cc' | xargs clang-format --dry-run 2>&1 | grep -o '^[^:]*' | sort -u | grep -v ' ')
    [ -z "$found" ] || while read -r line; do complain "not formatted (clang-format -i): $line"; done <<<"$found"
fi

# 6. every kernel of the tables is measured
for kernel in $(grep -ohE '\(\*[a-z0-9_]+\)\(' kernels/kernels.h kernels/agg.h | tr -d '(*)'); do
    grep -qE "(MK|AGG)\($kernel\)" bench/bench_kernels.cc || complain "no line in bench/bench_kernels.cc: kernel $kernel"
done

echo "lint: $problems problems"
[ "$problems" -eq 0 ]
