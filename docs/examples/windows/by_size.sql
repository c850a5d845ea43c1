-- Tumbling by size: every four values, however long they take.
CREATE TABLE readings (
  at TIMESTAMP(3),
  v  INT,
  WATERMARK FOR at AS at
) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'readings.csv');

SELECT SUM(v) AS total, COUNT(*) AS n
FROM TABLE(TUMBLE_ROWS(TABLE readings, DESCRIPTOR(at), 4))
GROUP BY window_id, window_start, window_end;
