-- Open, high, low, close, volume and the volume weighted average price of every second and symbol.
CREATE TABLE trades (
  ts     TIMESTAMP(9),
  symbol STRING,
  price  DECIMAL(18, 4),
  size   INT,
  WATERMARK FOR ts AS ts - INTERVAL '0.5' SECOND
) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'trades.csv');

SELECT window_start, symbol, FIRST_VALUE(price) AS opening, MAX(price) AS high, MIN(price) AS low, LAST_VALUE(price) AS closing,
       SUM(size) AS volume, CAST(SUM(price * size) / SUM(size) AS DECIMAL(18, 4)) AS vwap
FROM TABLE(TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '1' SECOND))
GROUP BY window_start, window_end, symbol;
