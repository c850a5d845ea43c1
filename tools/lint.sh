#!/bin/sh
# tools/lint.sh - the rules of the code that a compiler does not know.
#
#   include direction    kernels: kernels/ and the system; core: not io/ or tools/; io: of core not plan, ops,
#                        shard, sql; tools: core/millstream.h and tools/ only
#   atomics              memory_order_ only in core/atomic.h
#   the world behind env no allocation, stdio, clock, environment or randomness in core/ and kernels/
#   function length      over 70 lines only with a line in tools/long-functions.txt, which may only shrink
#   formatting           counted, never a problem (and skipped without clang-format)
#
# Prints one line per problem and "lint: N problems"; exit 1 if there are any.
cd "$(dirname "$0")/.." || exit 2
limit=70
ratchet=tools/long-functions.txt
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
problems=$work/problems
: > "$problems"

if git rev-parse --is-inside-work-tree > /dev/null 2>&1; then
    git ls-files -- '*.c' '*.h' '*.cc' '*.re'
else
    find core kernels io tools tests bench docs -name '*.[ch]' -o -name '*.cc' -o -name '*.re'
fi | grep -E '^(core|kernels|io|tools)/' | while read -r f; do [ -f "$f" ] && echo "$f"; done | sort > "$work/files"

# "path:line:code" of every line, with comments and the contents of literals blanked.
strip() {
    xargs awk '
        FNR == 1 { comment = 0 }
        {
            out = ""; n = length($0); quote = ""
            if ($0 ~ /^[ \t]*#[ \t]*include/) { print FILENAME ":" FNR ":" $0; next }
            for (i = 1; i <= n; i++) {
                c = substr($0, i, 1); two = substr($0, i, 2)
                if (comment) { if (two == "*/") { comment = 0; i++ } continue }
                if (quote != "") { if (c == "\\") i++; else if (c == quote) { quote = ""; out = out c } continue }
                if (two == "/*") { comment = 1; i++; continue }
                if (two == "//") break
                if (c == "\"" || c == "\047") quote = c
                out = out c
            }
            print FILENAME ":" FNR ":" out
        }'
}
strip < "$work/files" > "$work/code"

includes() { grep -E "^$1/[^:]*:[0-9]*:[ \t]*#[ \t]*include[ \t]*\"" "$work/code"; }
report() { sed -E "s|^([^:]*:[0-9]*):.*|\\1: $1|" >> "$problems"; }

includes kernels | grep -vE '"kernels/' | report 'kernels includes only kernels/ and the system'
includes core | grep -E '"(io|tools|tests|bench)/' | report 'core includes nothing of io, tools or tests'
includes io | grep -E '"(core/(plan|ops|shard|sql)|tools|tests|bench)/' |
    report 'io includes nothing of core/plan, core/ops, core/shard, core/sql or tools'
includes tools | grep -vE '"(core/millstream\.h|tools/[^"]*)"' | report 'tools includes only core/millstream.h and tools/'

grep -F 'memory_order_' "$work/code" | grep -v '^core/atomic\.h:' | report 'memory_order_ belongs in core/atomic.h'

world='malloc|calloc|realloc|free|aligned_alloc|posix_memalign|strdup|strndup|asprintf|printf|fprintf|puts|putchar|fputs|fwrite|fread|fopen|open_memstream|clock_gettime|gettimeofday|nanosleep|usleep|getenv|setenv|rand|srand|random|getrandom|pthread_create|dlopen'
grep -E '^(core|kernels)/' "$work/code" |
    grep -E "^[^:]*:[0-9]*:(.*[^A-Za-z0-9_.>*])?($world|time\((NULL|0|&))[ ]*\(?" |
    grep -E "[^A-Za-z0-9_.>*](($world)[ ]*\(|time\((NULL|0|&))" |
    grep -vE '^core/error\.c:[0-9]*:.*(fprintf)' |
    report 'core and kernels reach memory and the world only through struct env'

# "path:function lines" of functions whose opening brace stands in the first column.
awk '
    {
        split($0, part, ":"); path = part[1]; code = substr($0, length(part[1]) + length(part[2]) + 3)
        if (path != last) { last = path; inside = 0; header = "" }
        if (inside) {
            count++
            if (code ~ /^}/) {
                inside = 0
                if (count > limit) print path ":" name, count
                header = ""
            }
            next
        }
        if (code ~ /^{/ && header ~ /\(/) {
            name = header; sub(/\(.*/, "", name); sub(/[ \t]+$/, "", name); sub(/.*[^A-Za-z0-9_]/, "", name)
            inside = 1; count = 1; next
        }
        if (code ~ /^[A-Za-z_]/) header = code
        else if (code ~ /^[ \t]*$/ || code ~ /^[#}]/) header = ""
    }' limit=$limit "$work/code" > "$work/long"

awk '
    FNR == NR { if ($0 !~ /^(#|$)/) allowed[$1] = $2; next }
    { seen[$1] = 1
      if (!($1 in allowed)) print $1 ": " $2 " lines, the limit is " limit > "/dev/stderr"
      else if ($2 > allowed[$1]) print $1 ": grew from " allowed[$1] " to " $2 " lines" > "/dev/stderr"
      else if ($2 < allowed[$1]) print "note: " $1 " shrank to " $2 " lines, lower its line in " list }
    END { for (f in allowed) if (!(f in seen)) print f ": is no longer long, remove it from " list > "/dev/stderr" }
    ' limit=$limit list=$ratchet $ratchet "$work/long" 2>> "$problems"

if command -v clang-format > /dev/null 2>&1 && [ -f .clang-format ]; then
    bad=$(grep -E '\.[ch]$' "$work/files" | while read -r f; do
        clang-format --dry-run -Werror "$f" > /dev/null 2>&1 || echo "$f"
    done | wc -l)
    [ "$bad" -eq 0 ] || echo "note: clang-format would change $bad of $(wc -l < "$work/files") files"
fi

sort "$problems"
count=$(wc -l < "$problems")
echo "lint: $((count)) problems"
[ "$count" -eq 0 ]
