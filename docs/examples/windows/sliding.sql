-- Sliding: how many requests of the last ten seconds succeeded, were warned of, failed; every five seconds.
CREATE TABLE requests (
  at     TIMESTAMP(3),
  status STRING,
  WATERMARK FOR at AS at
) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'requests.csv');

SELECT window_start, window_end,
       COUNT(*) FILTER (WHERE status = 'S') AS successes,
       COUNT(*) FILTER (WHERE status = 'W') AS warnings,
       COUNT(*) FILTER (WHERE status = 'E') AS errors
FROM TABLE(HOP(TABLE requests, DESCRIPTOR(at), INTERVAL '5' SECOND, INTERVAL '10' SECOND))
GROUP BY window_start, window_end;
