-- Each trade with the quote that stood when it was made, not older than five seconds, and what it cost against the middle.
CREATE TABLE trades (
  ts     TIMESTAMP(9),
  symbol STRING,
  price  DECIMAL(18, 4),
  size   INT,
  WATERMARK FOR ts AS ts
) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'trades.csv');
CREATE TABLE quotes (
  ts     TIMESTAMP(9),
  symbol STRING,
  bid    DECIMAL(18, 4),
  ask    DECIMAL(18, 4),
  WATERMARK FOR ts AS ts
) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'quotes.csv');

SELECT t.ts, t.symbol, t.price, q.bid, q.ask, CAST((t.price - (q.bid + q.ask) / 2) * t.size AS DECIMAL(18, 2)) AS slippage
FROM trades AS t ASOF LEFT JOIN quotes AS q
ON t.symbol = q.symbol AND t.ts >= q.ts AND t.ts - q.ts <= INTERVAL '5' SECOND;
