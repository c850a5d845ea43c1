-- Telecom: each call is billed by the tariff that was valid when it began, and added up per line and day.
CREATE TABLE tariffs (
  plan       STRING,
  valid_from TIMESTAMP(3),
  per_minute DECIMAL(6, 4),
  WATERMARK FOR valid_from AS valid_from - INTERVAL '0.001' SECOND,
  PRIMARY KEY (plan) NOT ENFORCED
) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'tariffs.csv');
CREATE TABLE calls (
  line    STRING,
  plan    STRING,
  begun   TIMESTAMP(3),
  seconds INT,
  WATERMARK FOR begun AS begun - INTERVAL '1' MINUTE
) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'calls.csv');

CREATE VIEW billed AS
SELECT c.line, c.begun, c.seconds, CAST(CEIL(c.seconds / 60.0) AS INT) AS minutes, CAST(CEIL(c.seconds / 60.0) * t.per_minute AS DECIMAL(10, 4)) AS price
FROM calls AS c JOIN tariffs FOR SYSTEM_TIME AS OF c.begun AS t ON c.plan = t.plan;

SELECT window_start AS day_of, line, COUNT(*) AS calls, SUM(minutes) AS minutes, SUM(price) AS price
FROM TABLE(TUMBLE(TABLE billed, DESCRIPTOR(begun), INTERVAL '1' DAY))
GROUP BY window_start, window_end, line;
