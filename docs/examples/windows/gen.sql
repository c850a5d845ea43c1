-- Readings in order (for windows by size) and out of order, requests with a status, and views of thirty people. Seeded: the same on every run.
CREATE TABLE draws (n BIGINT, jitter INT, v INT, lag INT, luck INT, who INT)
WITH ('connector' = 'datagen', 'seed' = '2', 'number-of-rows' = '10000',
      'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '9999', 'fields.jitter.min' = '0', 'fields.jitter.max' = '499',
      'fields.v.min' = '0', 'fields.v.max' = '9', 'fields.lag.min' = '0', 'fields.lag.max' = '6',
      'fields.luck.min' = '0', 'fields.luck.max' = '99', 'fields.who.min' = '0', 'fields.who.max' = '29');
CREATE TABLE readings (at TIMESTAMP(3), v INT) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'readings.csv');
CREATE TABLE disorder (at TIMESTAMP(3), v INT) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'disorder.csv');
CREATE TABLE requests (at TIMESTAMP(3), status STRING) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'requests.csv');
CREATE TABLE views (at TIMESTAMP(3), viewer STRING) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'views.csv');

EXECUTE STATEMENT SET BEGIN
INSERT INTO readings SELECT TIMESTAMP '2024-05-01 10:00:00' + INTERVAL '0.5' SECOND * n + INTERVAL '0.001' SECOND * jitter, v FROM draws;
INSERT INTO disorder SELECT TIMESTAMP '2024-05-01 10:00:10' + INTERVAL '1' SECOND * n - INTERVAL '1' SECOND * lag, v FROM draws WHERE n < 1000;
INSERT INTO requests
SELECT TIMESTAMP '2024-05-01 10:00:00' + INTERVAL '0.5' SECOND * n + INTERVAL '0.001' SECOND * jitter,
       CASE WHEN luck < 5 THEN 'E' WHEN luck < 15 THEN 'W' ELSE 'S' END FROM draws;
INSERT INTO views SELECT TIMESTAMP '2024-05-01 10:00:00' + INTERVAL '15' SECOND * n + INTERVAL '0.01' SECOND * jitter, CONCAT('v', CAST(who AS STRING)) FROM draws;
END;
