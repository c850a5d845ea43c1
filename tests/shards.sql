-- Two stages of windows and a filter over a generated file: run by tests/run.sh at several shard counts.
CREATE TABLE events (event_type INT, person_id BIGINT, person_name STRING, person_city STRING, person_state STRING,
    auction_id BIGINT, auction_seller BIGINT, auction_category BIGINT, bid_auction BIGINT, bid_bidder BIGINT,
    bid_price BIGINT, bid_channel STRING, bid_url STRING, dateTime TIMESTAMP(3),
    WATERMARK FOR dateTime AS dateTime - INTERVAL '100' MILLISECOND)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '${DIR}/events.csv');
CREATE VIEW counts AS
SELECT window_time AS t, bid_auction, COUNT(*) AS n, AVG(CAST(bid_price AS DOUBLE)) AS p
FROM TABLE(HOP(TABLE events, DESCRIPTOR(dateTime), INTERVAL '1' SECOND, INTERVAL '3' SECOND))
WHERE event_type = 2
GROUP BY window_start, window_end, window_time, bid_auction;
SELECT window_end, n, COUNT(*), SUM(p), MAX(bid_auction)
FROM TABLE(TUMBLE(TABLE counts, DESCRIPTOR(t), INTERVAL '4' SECOND)) GROUP BY window_start, window_end, n;
