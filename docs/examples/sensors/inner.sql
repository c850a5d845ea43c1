-- Temperature and moisture of the same place and ten seconds: every pair.
CREATE TABLE temperature (at TIMESTAMP(3), place STRING, celsius DECIMAL(5, 1), WATERMARK FOR at AS at - INTERVAL '1' SECOND)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'temperature.csv');
CREATE TABLE moisture (at TIMESTAMP(3), place STRING, percent INT, WATERMARK FOR at AS at - INTERVAL '1' SECOND)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'moisture.csv');

SELECT t.window_start, t.place, t.celsius, m.percent
FROM (SELECT * FROM TABLE(TUMBLE(TABLE temperature, DESCRIPTOR(at), INTERVAL '10' SECOND))) AS t
JOIN (SELECT * FROM TABLE(TUMBLE(TABLE moisture, DESCRIPTOR(at), INTERVAL '10' SECOND))) AS m
ON t.place = m.place AND t.window_start = m.window_start AND t.window_end = m.window_end;
