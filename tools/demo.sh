#!/bin/sh
# demo.sh: runs docs/examples/demo.sql on generated events. EVENTS=20000000
set -eu
cd "$(dirname "$0")/.."
echo "$ millstream run docs/examples/demo.sql -D EVENTS=${EVENTS:-20000000} --format table"
exec "${BUILD:-build}/millstream" run docs/examples/demo.sql -D EVENTS="${EVENTS:-20000000}" --format table
