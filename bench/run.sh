#!/bin/bash
# bench/run.sh: end-to-end rates on generated data, five runs each, median; answers of 1 and 2 shards are compared first.
# EVENTS=5000000 of NEXMark, MILLION_ROWS=10 of the memory tables
set -eu
cd "$(dirname "$0")/.."
M=${BUILD:-build}/millstream
EVENTS=${EVENTS:-5000000}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$M" version
"$M" gen nexmark --events "$EVENTS" --out "$dir/events.csv" 2>/dev/null
cat > "$dir/csv.sql" <<SQL
CREATE TABLE e (event_type INT, person_id BIGINT, person_name STRING, person_city STRING, person_state STRING,
  auction_id BIGINT, auction_seller BIGINT, auction_category BIGINT, bid_auction BIGINT, bid_bidder BIGINT, bid_price BIGINT,
  bid_channel STRING, bid_url STRING, dateTime TIMESTAMP(3), WATERMARK FOR dateTime AS dateTime - INTERVAL '4' SECOND)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '$dir/events.csv');
SELECT window_start, bid_auction, COUNT(*), SUM(bid_price) FROM TABLE(TUMBLE(TABLE e, DESCRIPTOR(dateTime), INTERVAL '10' SECOND))
WHERE event_type = 2 GROUP BY window_start, window_end, bid_auction;
SQL
sed -e "s/'connector' = 'filesystem'.*/'connector' = 'nexmark', 'events.num' = '$EVENTS');/" "$dir/csv.sql" > "$dir/gen.sql"
# The CSV answer against a count of the same file by awk: rows, bids and the sum of their prices.
"$M" run "$dir/csv.sql" --quiet --format csv | awk -F, 'NR > 1 {r++; n += $3; s += $4} END {printf "%d %d %d\n", r, n, s}' > "$dir/ours"
awk -F, '$1 == 2 {n++; s += $11; k[substr($NF, 1, 18) "," $9]} END {printf "%d %d %d\n", length(k), n, s}' "$dir/events.csv" > "$dir/awk"
cmp "$dir/ours" "$dir/awk" || { echo "csv: the answer differs from awk's"; cat "$dir/ours" "$dir/awk"; exit 1; }
for query in csv gen; do
    for n in 1 2; do "$M" run "$dir/$query.sql" --shards $n --quiet > "$dir/$query.$n"; done
    cmp "$dir/$query.1" "$dir/$query.2" || { echo "$query: 1 and 2 shards differ"; exit 1; }
    for n in 1 2; do
        for i in 1 2 3 4 5; do
            "$M" run "$dir/$query.sql" --shards $n --quiet --json-summary "$dir/s" > /dev/null
            sed 's/.*"bytes_in": \([0-9]*\), "seconds": \([0-9.]*\), "rows_per_second": \([0-9]*\).*/\3 \2 \1/' "$dir/s"
        done | sort -n | awk -v q=$query -v n=$n '{r[NR]=$1; b[NR]=$3/$2} END {printf "%s, %d shards: median %.1f M rows/s (%.1f to %.1f)", q, n, r[3]/1e6, r[1]/1e6, r[5]/1e6; if (b[3] > 0) printf ", %.2f GB/s", b[3]/1e9; print ""}'
    done
done
# The same query into a sink that drops the rows, and in DuckDB where it is there, in turn.
sed "s/^SELECT/CREATE TABLE nowhere (w TIMESTAMP(3), a BIGINT, n BIGINT, s BIGINT) WITH ('connector' = 'blackhole'); INSERT INTO nowhere SELECT/" "$dir/csv.sql" > "$dir/nowhere.sql"
for i in 1 2 3 4 5; do
    "$M" run "$dir/nowhere.sql" --shards 1 --quiet --json-summary "$dir/s"
    sed 's/.*"bytes_in": \([0-9]*\), "seconds": \([0-9.]*\).*/\2 \1/' "$dir/s"
    python3 bench/peers/duckdb_csv.py "$dir/events.csv" 1 > "$dir/peer.$i" || true
done | sort -n | awk '{t[NR] = $1; b = $2} END {printf "csv without output, 1 shard: median %.3f s (%.3f to %.3f), %.2f GB/s\n", t[3], t[1], t[5], b / t[3] / 1e9}'
cat "$dir"/peer.* | sort | sed -n 3p
B=${BUILD:-build}
export MILL_COMMAND=$M
"$B/bench_bare" "${MILLION_ROWS:-10}"
"$B/bench_memory" "${MILLION_ROWS:-10}"
"$B/bench_expr" 1000
python3 bench/peers/duckdb.py 20 1 || [ $? = 77 ]
for n in 1 2; do python3 bench/bench_pcap.py 2000000 $n; done
python3 bench/bench_rows.py "${MILLION_ROWS:-10}"
python3 bench/bench_columnar.py 2000000
python3 bench/bench_read.py 256
"$B/bench_json" 500000 5
python3 bench/bench_json_window.py 500000
python3 bench/bench_start.py
"$B/bench_ring" 10 || [ $? = 77 ]
"$B/bench/bench_kernels" --benchmark_min_time=0.02 --benchmark_repetitions=5 --benchmark_report_aggregates_only=true \
    --benchmark_out="$dir/kernels.json" --benchmark_out_format=json > /dev/null
python3 bench/kernel_table.py "$dir/kernels.json"
