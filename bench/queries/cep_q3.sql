-- NEXMark CEP q3: price drops: by more than 50 within 5 seconds.
CREATE TABLE events (
    event_type INT,
    bid_auction BIGINT,
    bid_bidder BIGINT,
    bid_price BIGINT,
    bid_channel STRING,
    bid_url STRING,
    bid_extra STRING,
    `dateTime` TIMESTAMP(3),
    WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND
) WITH (${SOURCE});

CREATE VIEW bid AS
SELECT bid_auction AS auction, bid_bidder AS bidder, bid_price AS price, bid_channel AS channel, bid_url AS url,
    bid_extra AS extra, `dateTime`
FROM events
WHERE event_type = 2;

CREATE TABLE sink (auction BIGINT, bidder BIGINT, drop_time TIMESTAMP(3), drop_diff BIGINT) WITH (${SINK});

INSERT INTO sink
SELECT auction, bidder, drop_time, drop_diff
FROM bid
MATCH_RECOGNIZE (
    PARTITION BY auction, bidder
    ORDER BY `dateTime`
    MEASURES
        C.`dateTime` AS drop_time,
        A.price - C.price AS drop_diff
    ONE ROW PER MATCH
    AFTER MATCH SKIP PAST LAST ROW
    PATTERN (A B* C) WITHIN INTERVAL '5' SECOND
    DEFINE
        B AS B.price > A.price - 50,
        C AS C.price < A.price - 50
);
