-- NEXMark q9: winning bids: of each auction the highest bid while it ran, of several the first.
CREATE TABLE events (
    event_type INT,
    person_id BIGINT,
    person_name STRING,
    person_emailAddress STRING,
    person_creditCard STRING,
    person_city STRING,
    person_state STRING,
    person_extra STRING,
    auction_id BIGINT,
    auction_itemName STRING,
    auction_description STRING,
    auction_initialBid BIGINT,
    auction_reserve BIGINT,
    auction_expires TIMESTAMP(3),
    auction_seller BIGINT,
    auction_category BIGINT,
    auction_extra STRING,
    bid_auction BIGINT,
    bid_bidder BIGINT,
    bid_price BIGINT,
    bid_channel STRING,
    bid_url STRING,
    bid_extra STRING,
    `dateTime` TIMESTAMP(3),
    WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND
) WITH (${SOURCE});

CREATE VIEW auction AS
SELECT auction_id AS id, auction_itemName AS itemName, auction_description AS description, auction_initialBid AS initialBid,
    auction_reserve AS reserve, `dateTime`, auction_expires AS expires, auction_seller AS seller,
    auction_category AS category, auction_extra AS extra
FROM events
WHERE event_type = 1;

CREATE VIEW bid AS
SELECT bid_auction AS auction, bid_bidder AS bidder, bid_price AS price, bid_channel AS channel, bid_url AS url,
    bid_extra AS extra, `dateTime`
FROM events
WHERE event_type = 2;

CREATE TABLE sink (
    id BIGINT, itemName STRING, description STRING, initialBid BIGINT, reserve BIGINT, `dateTime` TIMESTAMP(3), expires TIMESTAMP(3),
    seller BIGINT, category BIGINT, extra STRING, auction BIGINT, bidder BIGINT, price BIGINT, bid_dateTime TIMESTAMP(3),
    bid_extra STRING
) WITH (${SINK});

INSERT INTO sink
SELECT id, itemName, description, initialBid, reserve, `dateTime`, expires, seller, category, extra,
    auction, bidder, price, bid_dateTime, bid_extra
FROM (
    SELECT A.*, B.auction, B.bidder, B.price, B.`dateTime` AS bid_dateTime, B.extra AS bid_extra,
        ROW_NUMBER() OVER (PARTITION BY A.id ORDER BY B.price DESC, B.`dateTime` ASC) AS rownum
    FROM auction AS A, bid AS B
    WHERE A.id = B.auction AND B.`dateTime` BETWEEN A.`dateTime` AND A.expires
)
WHERE rownum <= 1;
