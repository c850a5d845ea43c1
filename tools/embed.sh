#!/bin/sh
# embed.sh FILE...: C source on standard output with the text of each file under its name without folder and extension.
set -eu
echo '/* made by tools/embed.sh */'
echo 'extern const struct bench_file { const char *name, *text; } bench_files[];'
echo 'const struct bench_file bench_files[] = {'
for file in "$@"; do
    name=$(basename "$file")
    printf '{"%s",\n' "${name%.*}"
    sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$/\\n"/' "$file"
    echo '},'
done
echo '{0, 0}};'
