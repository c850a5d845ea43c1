-- 100 players for five minutes: most act about once a second, two are programs, one gives himself points. Seeded: the same on every run.
CREATE TABLE draws (n BIGINT, player INT, jitter INT, luck INT, points INT)
WITH ('connector' = 'datagen', 'seed' = '11', 'number-of-rows' = '30000', 'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '29999',
      'fields.player.min' = '0', 'fields.player.max' = '99', 'fields.jitter.min' = '0', 'fields.jitter.max' = '150',
      'fields.luck.min' = '0', 'fields.luck.max' = '999', 'fields.points.min' = '0', 'fields.points.max' = '200');
CREATE TABLE actions (at TIMESTAMP(3), player STRING, points INT) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'actions.csv');

INSERT INTO actions
SELECT TIMESTAMP '2024-05-01 10:00:00' + INTERVAL '0.01' SECOND * n + INTERVAL '0.001' SECOND * jitter,
       CONCAT('p', CAST(CASE WHEN luck < 50 THEN MOD(luck, 2) ELSE MOD(n, 100) END AS STRING)),
       CASE WHEN luck >= 50 AND MOD(n, 100) = 7 AND luck < 100 THEN 5 * points ELSE points END
FROM draws;
