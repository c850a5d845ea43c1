-- Thirty vans for two hours, a position every twenty seconds, up to 1.5 s late: each drives round a loop through the city, now and then faster.
-- Seeded: the same on every run.
CREATE TABLE draws (n BIGINT, late INT, luck INT)
WITH ('connector' = 'datagen', 'seed' = '7', 'number-of-rows' = '10800', 'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '10799',
      'fields.late.min' = '0', 'fields.late.max' = '1500', 'fields.luck.min' = '0', 'fields.luck.max' = '199');
CREATE TABLE positions (at TIMESTAMP(3), van STRING, lat DOUBLE, lon DOUBLE)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'positions.csv');
CREATE VIEW driven AS
SELECT TIMESTAMP '2024-05-01 10:00:00' + INTERVAL '20' SECOND * (n / 30) + INTERVAL '0.6' SECOND * MOD(n, 30) AS at, MOD(n, 30) AS van,
       n / 30 * (0.02 + 0.001 * MOD(n, 30)) + CASE WHEN luck = 0 THEN 0.1 ELSE 0 END AS angle, late
FROM draws;

INSERT INTO positions
SELECT at, CONCAT('van ', CAST(van AS STRING)), ROUND(46.95 + 0.1 * SIN(CAST(angle AS DOUBLE)), 5), ROUND(7.45 + 0.04 * COS(CAST(angle AS DOUBLE)), 5)
FROM (SELECT * FROM driven ORDER BY at + INTERVAL '0.001' SECOND * late);
