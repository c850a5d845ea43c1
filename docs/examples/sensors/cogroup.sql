-- Co-group: all temperatures and all moistures of a place and ten seconds, one row for both, also where one of them is missing.
CREATE TABLE temperature (at TIMESTAMP(3), place STRING, celsius DECIMAL(5, 1), WATERMARK FOR at AS at - INTERVAL '1' SECOND)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'temperature.csv');
CREATE TABLE moisture (at TIMESTAMP(3), place STRING, percent INT, WATERMARK FOR at AS at - INTERVAL '1' SECOND)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'moisture.csv');

SELECT COALESCE(t.window_start, m.window_start) AS since, COALESCE(t.place, m.place) AS place,
       t.celsius, m.percent, CAST(t.mean AS DECIMAL(5, 1)) AS mean_celsius, m.mean AS mean_percent
FROM (SELECT window_start, window_end, place, LISTAGG(CAST(celsius AS STRING), ' ') AS celsius, AVG(celsius) AS mean
      FROM TABLE(TUMBLE(TABLE temperature, DESCRIPTOR(at), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, place) AS t
FULL JOIN (SELECT window_start, window_end, place, LISTAGG(CAST(percent AS STRING), ' ') AS percent, AVG(percent) AS mean
      FROM TABLE(TUMBLE(TABLE moisture, DESCRIPTOR(at), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, place) AS m
ON t.place = m.place AND t.window_start = m.window_start AND t.window_end = m.window_end;
