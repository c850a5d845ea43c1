-- A farm: sensors of three kinds, several in each place, behind links that repeat, reorder and lose messages.
-- Selected places only; each message once; then averages per place and minute, side by side.
CREATE TABLE sensors (sensor STRING, kind STRING, place STRING, PRIMARY KEY (sensor) NOT ENFORCED)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'sensors.csv');
CREATE TABLE messages (
  at     TIMESTAMP(3),
  sensor STRING,
  seq    BIGINT,
  v      DECIMAL(8, 2),
  now    AS PROCTIME(),
  WATERMARK FOR at AS at - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'messages.csv');

CREATE VIEW placed AS
SELECT m.at, m.sensor, m.seq, m.v, s.kind, s.place
FROM messages AS m JOIN sensors FOR SYSTEM_TIME AS OF m.now AS s ON m.sensor = s.sensor
WHERE s.place IN ('field 3', 'field 7', 'field 12');

CREATE VIEW once AS
SELECT at, sensor, kind, place, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY sensor, seq ORDER BY at) AS n FROM placed)
WHERE n = 1;

SELECT window_start, place,
       AVG(v) FILTER (WHERE kind = 'temperature') AS celsius,
       AVG(v) FILTER (WHERE kind = 'moisture') AS moisture,
       AVG(v) FILTER (WHERE kind = 'light') AS lux,
       COUNT(*) AS messages
FROM TABLE(TUMBLE(TABLE once, DESCRIPTOR(at), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, place;
