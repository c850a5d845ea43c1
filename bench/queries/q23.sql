-- NEXMark q23: bids of people who sell: with the bidder, and each auction that the bidder has opened.
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

CREATE VIEW person AS
SELECT person_id AS id, person_name AS name, person_emailAddress AS emailAddress, person_creditCard AS creditCard,
    person_city AS city, person_state AS state, `dateTime`, person_extra AS extra
FROM events
WHERE event_type = 0;

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
    bidder BIGINT, price BIGINT, channel STRING, url STRING, bid_extra STRING,
    person_id BIGINT, name STRING, emailAddress STRING, creditCard STRING, city STRING, state STRING, person_extra STRING,
    itemName STRING, description STRING, initialBid BIGINT, reserve BIGINT, auction_dateTime TIMESTAMP(3), expires TIMESTAMP(3),
    seller BIGINT, category BIGINT, auction_extra STRING
) WITH (${SINK});

INSERT INTO sink
SELECT bidder, price, channel, url, B.extra AS bid_extra,
    P.id AS person_id, name, emailAddress, creditCard, city, state, P.extra AS person_extra,
    itemName, description, initialBid, reserve, A.`dateTime` AS auction_dateTime, expires, seller, category, A.extra AS auction_extra
FROM bid AS B
JOIN person AS P ON P.id = B.bidder
JOIN auction AS A ON A.seller = B.bidder;
