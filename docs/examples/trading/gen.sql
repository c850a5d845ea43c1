-- A minute of a market with eight symbols: 60,000 quotes, 12,000 trades and 600 orders of our own that were filled. Seeded: the same on every run.
CREATE TABLE draws (n BIGINT, jitter INT, noise DECIMAL(18, 2), size INT, luck INT)
WITH ('connector' = 'datagen', 'seed' = '12', 'number-of-rows' = '60000', 'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '59999',
      'fields.jitter.min' = '0', 'fields.jitter.max' = '900000', 'fields.noise.min' = '-0.05', 'fields.noise.max' = '0.05',
      'fields.size.min' = '1', 'fields.size.max' = '500', 'fields.luck.min' = '0', 'fields.luck.max' = '99');
CREATE TABLE trades (ts TIMESTAMP(9), symbol STRING, price DECIMAL(18, 4), size INT)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'trades.csv');
CREATE TABLE quotes (ts TIMESTAMP(9), symbol STRING, bid DECIMAL(18, 4), ask DECIMAL(18, 4))
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'quotes.csv');
CREATE TABLE fills (ts TIMESTAMP(9), symbol STRING, side STRING, price DECIMAL(18, 4), size INT)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'fills.csv');
CREATE VIEW market AS
SELECT n, TIMESTAMP '2024-05-01 10:00:00.000000000' + INTERVAL '0.001' SECOND * n + INTERVAL '0.000001' SECOND * (jitter / 1000) AS ts,
       CONCAT('S', CAST(MOD(size, 8) AS STRING)) AS symbol,
       CAST(50 + MOD(size, 8) * 10 + MOD(n / 6000, 10) * 0.10 + noise AS DECIMAL(18, 4)) AS middle, size, luck
FROM draws;

EXECUTE STATEMENT SET BEGIN
INSERT INTO quotes SELECT ts, symbol, middle - 0.02, middle + 0.02 FROM market;
INSERT INTO trades SELECT ts, symbol, CASE WHEN luck < 50 THEN middle - 0.02 ELSE middle + 0.02 END, size FROM market WHERE MOD(n, 5) = 0;
INSERT INTO fills
SELECT ts, symbol, CASE WHEN luck < 45 THEN 'sell' ELSE 'buy' END, CASE WHEN luck < 45 THEN middle - 0.02 ELSE middle + 0.02 END, size
FROM market WHERE MOD(n, 100) = 50;
END;
