-- 20,000 attempts of 300 addresses in a day and a half, one in ten fails; four more try passwords for ten minutes each. Seeded: the same on every run.
CREATE TABLE draws (n BIGINT, who INT, name INT, luck INT)
WITH ('connector' = 'datagen', 'seed' = '4', 'number-of-rows' = '20000', 'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '19999',
      'fields.who.min' = '0', 'fields.who.max' = '299', 'fields.name.min' = '0', 'fields.name.max' = '49',
      'fields.luck.min' = '0', 'fields.luck.max' = '9');
CREATE TABLE logins (at TIMESTAMP(3), ip STRING, account STRING, ok BOOLEAN)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'logins.csv');

INSERT INTO logins
SELECT TIMESTAMP '2024-05-01 00:00:00' + INTERVAL '6' SECOND * n AS at,
       CASE WHEN MOD(n, 5000) BETWEEN 2000 AND 2100 AND luck < 5 THEN CONCAT('10.6.6.', CAST(n / 5000 AS STRING))
            ELSE CONCAT('10.0.', CAST(who / 100 AS STRING), '.', CAST(MOD(who, 100) AS STRING)) END AS ip,
       CONCAT('user', CAST(name AS STRING)), luck > 0 AND NOT (MOD(n, 5000) BETWEEN 2000 AND 2100 AND luck < 5)
FROM draws;
