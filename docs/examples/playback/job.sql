-- Video playback: players send a beat every minute. Each session is paid by the minute, and a viewer who watches from two places at once is told.
CREATE TABLE beats (
  at      TIMESTAMP(3),
  viewer  STRING,
  video   STRING,
  place   STRING,
  WATERMARK FOR at AS at - INTERVAL '10' SECOND
) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'beats.csv');
CREATE TABLE payments (viewer STRING, video STRING, since TIMESTAMP(3), minutes BIGINT, price DECIMAL(10, 2))
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'payments.csv');
CREATE TABLE frauds (since TIMESTAMP(3), viewer STRING, places BIGINT)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'frauds.csv');

EXECUTE STATEMENT SET BEGIN
INSERT INTO payments
SELECT viewer, video, window_start, COUNT(*), CAST(COUNT(*) * 0.02 AS DECIMAL(10, 2))
FROM TABLE(SESSION(TABLE beats PARTITION BY (viewer, video), DESCRIPTOR(at), INTERVAL '5' MINUTE))
GROUP BY viewer, video, window_start, window_end;
INSERT INTO frauds
SELECT window_start, viewer, COUNT(DISTINCT place)
FROM TABLE(TUMBLE(TABLE beats, DESCRIPTOR(at), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, viewer HAVING COUNT(DISTINCT place) > 1;
END;
