-- NEXMark CEP q2: low averages as in CEP q1, one run from every bid on.
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

CREATE TABLE sink (
    auction BIGINT, bidder BIGINT, start_tstamp TIMESTAMP(3), end_tstamp TIMESTAMP(3), avg_price BIGINT
) WITH (${SINK});

INSERT INTO sink
SELECT auction, bidder, start_tstamp, end_tstamp, avg_price
FROM bid
MATCH_RECOGNIZE (
    PARTITION BY auction, bidder
    ORDER BY `dateTime`
    MEASURES
        FIRST(A.`dateTime`) AS start_tstamp,
        LAST(A.`dateTime`) AS end_tstamp,
        AVG(A.price) AS avg_price
    ONE ROW PER MATCH
    AFTER MATCH SKIP TO NEXT ROW
    PATTERN (A+ B)
    DEFINE
        A AS AVG(A.price) < 10000
);
