-- Profit and loss of our own orders: what was paid and received so far, and what is held, at the middle of the last quote.
CREATE TABLE fills (
  ts     TIMESTAMP(9),
  symbol STRING,
  side   STRING,
  price  DECIMAL(18, 4),
  size   INT,
  WATERMARK FOR ts AS ts - INTERVAL '0.000000001' SECOND
) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'fills.csv');
CREATE TABLE quotes (
  ts     TIMESTAMP(9),
  symbol STRING,
  bid    DECIMAL(18, 4),
  ask    DECIMAL(18, 4),
  WATERMARK FOR ts AS ts - INTERVAL '0.000000001' SECOND
) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'quotes.csv');

CREATE VIEW marked AS
SELECT f.ts, f.symbol, CASE f.side WHEN 'buy' THEN f.size ELSE -f.size END AS bought, f.price, (q.bid + q.ask) / 2 AS middle
FROM fills AS f ASOF JOIN quotes AS q ON f.symbol = q.symbol AND f.ts >= q.ts;

CREATE VIEW positions AS
SELECT ts, symbol, middle, SUM(bought) OVER w AS held, SUM(-bought * price) OVER w AS cash
FROM marked WINDOW w AS (PARTITION BY symbol ORDER BY ts);

SELECT ts, symbol, held, CAST(cash AS DECIMAL(18, 2)) AS cash, CAST(cash + held * middle AS DECIMAL(18, 2)) AS pnl FROM positions;
