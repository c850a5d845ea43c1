-- make demo: bids per minute of event time, the best price and how many auctions were bid on.
CREATE TABLE events (event_type INT, bid_auction BIGINT, bid_price BIGINT, dateTime TIMESTAMP(3),
    WATERMARK FOR dateTime AS dateTime - INTERVAL '4' SECOND)
WITH ('connector' = 'nexmark', 'events.num' = '${EVENTS}');

SELECT window_start, COUNT(*) AS bids, MAX(bid_price) AS best_price, COUNT(DISTINCT bid_auction) AS auctions
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(dateTime), INTERVAL '10' MINUTE))
WHERE event_type = 2
GROUP BY window_start, window_end;
