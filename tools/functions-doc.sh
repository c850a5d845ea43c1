#!/bin/sh
# functions-doc.sh: docs/FUNCTIONS.md from what the command lists.
set -eu
cd "$(dirname "$0")/.."
{
    echo "# Functions"
    echo
    echo "Made by tools/functions-doc.sh from \`millstream functions\`: $("${BUILD:-build}/millstream" functions | wc -l) built-in scalar functions and operators."
    echo "CAST, TRY_CAST, CASE, BETWEEN, IN, AND and OR are part of the grammar. Aggregates: COUNT, SUM, MIN, MAX, AVG, STDDEV_POP,"
    echo "STDDEV_SAMP, VAR_POP, VAR_SAMP, FIRST_VALUE, LAST_VALUE, LISTAGG, ARRAY_AGG, COLLECT."
    echo "Regular expressions are matched in linear time (RE2's syntax). A pattern with look-around or back-references is matched by PCRE2"
    echo "within limits (200,000 steps, 1 MiB); a text that needs more is a bad row."
    echo
    echo "| name | use | what | kind |"
    echo "|---|---|---|---|"
    "${BUILD:-build}/millstream" functions | sed 's/|/\\|/g' | awk -F'\t' '{ printf "| %s | `%s` | %s | %s |\n", $1, $2, $3, $4 }'
} > docs/FUNCTIONS.md
