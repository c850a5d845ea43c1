-- NEXMark q13: bounded side input: a text for each bid from a file of keys and texts.
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

CREATE TABLE side_input (
    key BIGINT,
    `value` VARCHAR
) WITH (
    'connector.type' = 'filesystem',
    'connector.path' = 'file://${FOLDER}/side_input.txt',
    'format.type' = 'csv'
);

CREATE TABLE sink (auction BIGINT, bidder BIGINT, price BIGINT, `dateTime` TIMESTAMP(3), `value` STRING) WITH (${SINK});

INSERT INTO sink
SELECT B.auction, B.bidder, B.price, B.`dateTime`, S.`value`
FROM (SELECT *, PROCTIME() AS p_time FROM bid) AS B
JOIN side_input FOR SYSTEM_TIME AS OF B.p_time AS S
ON MOD(B.auction, 10000) = S.key;
