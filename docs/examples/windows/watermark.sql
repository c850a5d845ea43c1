-- Late rows: a delay of three seconds still lets the row of second 4 in, though second 7 has come before it.
CREATE TABLE readings (
  at TIMESTAMP(3),
  v  INT,
  WATERMARK FOR at AS at - INTERVAL '${DELAY}' SECOND
) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'disorder.csv');
CREATE TABLE too_late (at TIMESTAMP(3), v INT, late_watermark TIMESTAMP(3), late_reason STRING)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'late.csv');
CREATE TABLE totals (window_end TIMESTAMP(3), n BIGINT)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'totals.csv');

INSERT INTO totals
SELECT window_end, COUNT(*) FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(at), INTERVAL '5' SECOND))
GROUP BY window_start, window_end LATE DATA INTO too_late;
