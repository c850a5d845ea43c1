-- Forty viewers and ninety minutes of beats, one a minute, up to eight seconds late; every viewer switches off now and then, a few share their
-- password. Seeded: the same on every run.
CREATE TABLE draws (n BIGINT, late INT, luck INT)
WITH ('connector' = 'datagen', 'seed' = '6', 'number-of-rows' = '3600', 'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '3599',
      'fields.late.min' = '0', 'fields.late.max' = '8000', 'fields.luck.min' = '0', 'fields.luck.max' = '99');
CREATE TABLE beats (at TIMESTAMP(3), viewer STRING, video STRING, place STRING)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'beats.csv');
CREATE VIEW watching AS
SELECT MOD(n, 40) AS who, n / 40 AS minutes, luck,
       TIMESTAMP '2024-05-01 20:00:00' + INTERVAL '60' SECOND * (n / 40) + INTERVAL '1.4' SECOND * MOD(n, 40) AS at, late
FROM draws WHERE MOD(n / 40 + MOD(n, 40) * 7, 30) < 22;
CREATE VIEW sent AS
SELECT at, who, minutes, 'home' AS place, at + INTERVAL '0.001' SECOND * late AS arrived FROM watching
UNION ALL
SELECT at, who, minutes, 'away' AS place, at AS arrived FROM watching WHERE MOD(who, 10) = 3 AND luck < 10;

INSERT INTO beats
SELECT at, CONCAT('v', CAST(who AS STRING)), CASE WHEN minutes < 45 THEN 'Alien' ELSE 'Heidi' END, place FROM (SELECT * FROM sent ORDER BY arrived);
