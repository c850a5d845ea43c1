-- Tumbling by size and time: four values, or what has come within five seconds of the first one.
CREATE TABLE readings (
  at TIMESTAMP(3),
  v  INT,
  WATERMARK FOR at AS at
) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'readings.csv');

SELECT window_start, SUM(v) AS total, COUNT(*) AS n
FROM TABLE(TUMBLE_ROWS(TABLE readings, DESCRIPTOR(at), 4, INTERVAL '5' SECOND))
GROUP BY window_id, window_start, window_end;
