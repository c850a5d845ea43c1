-- NEXMark q20: bids with what is known of their auctions, in category 10.
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
    auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, bid_dateTime TIMESTAMP(3), bid_extra STRING,
    itemName STRING, description STRING, initialBid BIGINT, reserve BIGINT, auction_dateTime TIMESTAMP(3), expires TIMESTAMP(3),
    seller BIGINT, category BIGINT, auction_extra STRING
) WITH (${SINK});

INSERT INTO sink
SELECT auction, bidder, price, channel, url, B.`dateTime`, B.extra,
    itemName, description, initialBid, reserve, A.`dateTime`, expires, seller, category, A.extra
FROM bid AS B
INNER JOIN auction AS A ON B.auction = A.id
WHERE A.category = 10;
