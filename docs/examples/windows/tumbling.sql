-- Tumbling by time: the sum and the number of values of every five seconds.
CREATE TABLE readings (
  at TIMESTAMP(3),
  v  INT,
  WATERMARK FOR at AS at - INTERVAL '1' SECOND
) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'readings.csv');

SELECT window_start, window_end, SUM(v) AS total, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(at), INTERVAL '5' SECOND))
GROUP BY window_start, window_end;
