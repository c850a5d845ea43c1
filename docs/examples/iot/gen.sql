-- A farm of 20 places with 60 sensors each, a message every ten seconds for ten minutes; three in a hundred are lost, five come twice, and each
-- is up to four seconds on its way. Seeded: the same on every run.
CREATE TABLE draws (n BIGINT, lost INT, again INT, slow INT, slower INT, noise DECIMAL(8, 2))
WITH ('connector' = 'datagen', 'seed' = '1', 'number-of-rows' = '72000',
      'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '71999',
      'fields.lost.min' = '0', 'fields.lost.max' = '99', 'fields.again.min' = '0', 'fields.again.max' = '99',
      'fields.slow.min' = '0', 'fields.slow.max' = '4000', 'fields.slower.min' = '0', 'fields.slower.max' = '4000',
      'fields.noise.min' = '-2', 'fields.noise.max' = '2');
CREATE TABLE sensors (sensor STRING, kind STRING, place STRING) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'sensors.csv');
CREATE TABLE messages (at TIMESTAMP(3), sensor STRING, seq BIGINT, v DECIMAL(8, 2))
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'messages.csv');

CREATE VIEW sent AS
SELECT TIMESTAMP '2024-05-01 10:00:00' + INTERVAL '10' SECOND * (n / 1200) + INTERVAL '0.001' SECOND * MOD(n * 7919, 10000) AS at,
       CONCAT('s', CAST(MOD(n, 1200) AS STRING)) AS sensor, n / 1200 AS seq,
       CAST(CASE MOD(n, 3) WHEN 0 THEN 20.00 WHEN 1 THEN 60.00 ELSE 800.00 END + noise AS DECIMAL(8, 2)) AS v, again, slow, slower
FROM draws WHERE lost >= 3;
CREATE VIEW arrivals AS
SELECT at, sensor, seq, v, at + INTERVAL '0.001' SECOND * slow AS arrived FROM sent
UNION ALL
SELECT at, sensor, seq, v, at + INTERVAL '0.001' SECOND * slower AS arrived FROM sent WHERE again < 5;

INSERT INTO sensors
SELECT CONCAT('s', CAST(n AS STRING)), CASE MOD(n, 3) WHEN 0 THEN 'temperature' WHEN 1 THEN 'moisture' ELSE 'light' END,
       CONCAT('field ', CAST(n / 60 AS STRING))
FROM draws WHERE n < 1200;
INSERT INTO messages SELECT at, sensor, seq, v FROM (SELECT * FROM arrivals ORDER BY arrived);
