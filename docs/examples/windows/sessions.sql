-- Sessions: "are you still watching?" when nothing has come from a user for ten minutes.
CREATE TABLE views (
  at     TIMESTAMP(3),
  viewer STRING,
  WATERMARK FOR at AS at
) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'views.csv');

SELECT viewer, window_start, window_end, COUNT(*) AS clicks
FROM TABLE(SESSION(TABLE views PARTITION BY viewer, DESCRIPTOR(at), INTERVAL '10' MINUTE))
GROUP BY viewer, window_start, window_end;
