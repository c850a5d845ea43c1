-- Brute force: five or more failures of one address within fifteen minutes, with the alert before it.
CREATE TABLE logins (
  at      TIMESTAMP(3),
  ip      STRING,
  account STRING,
  ok      BOOLEAN,
  WATERMARK FOR at AS at - INTERVAL '1' SECOND
) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'logins.csv');

CREATE VIEW failures AS
SELECT at, ip, account, COUNT(*) OVER (PARTITION BY ip ORDER BY at RANGE BETWEEN INTERVAL '15' MINUTE PRECEDING AND CURRENT ROW) AS n
FROM logins WHERE NOT ok;

SELECT at, ip, n, LAG(at) OVER (PARTITION BY ip ORDER BY at) AS alert_before
FROM failures WHERE n >= 5;
