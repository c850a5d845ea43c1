-- 100,000 clicks of 500 customers, ten a second. Seeded: the same on every run.
CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '100000', 'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '99999');
CREATE TABLE clicks (at TIMESTAMP(3), customer STRING, action STRING) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'clicks.csv');
INSERT INTO clicks
SELECT TIMESTAMP '2024-05-01 10:00:00' + INTERVAL '0.1' SECOND * n, CONCAT('c', CAST(MOD(n * 7919, 500) AS STRING)),
       CASE MOD(n * 104729, 10) WHEN 0 THEN 'buy' WHEN 1 THEN 'return' ELSE 'view' END
FROM numbers;
