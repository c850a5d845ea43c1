-- Three plans that change their price every noon, and 50,000 calls of 2,000 lines in three days, up to a minute out of order. Seeded: the same on
-- every run.
CREATE TABLE draws (n BIGINT, line INT, jitter INT, seconds INT, change DECIMAL(6, 4))
WITH ('connector' = 'datagen', 'seed' = '8', 'number-of-rows' = '50000', 'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '49999',
      'fields.line.min' = '0', 'fields.line.max' = '1999', 'fields.jitter.min' = '0', 'fields.jitter.max' = '59', 'fields.seconds.min' = '1',
      'fields.seconds.max' = '1800', 'fields.change.min' = '0', 'fields.change.max' = '0.2');
CREATE TABLE tariffs (plan STRING, valid_from TIMESTAMP(3), per_minute DECIMAL(6, 4))
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'tariffs.csv');
CREATE TABLE calls (line STRING, plan STRING, begun TIMESTAMP(3), seconds INT) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'calls.csv');

EXECUTE STATEMENT SET BEGIN
INSERT INTO tariffs
SELECT CASE MOD(n, 3) WHEN 0 THEN 'basic' WHEN 1 THEN 'family' ELSE 'work' END, TIMESTAMP '2024-04-30 12:00:00' + INTERVAL '24' HOUR * (n / 3), change
FROM draws WHERE n < 12;
INSERT INTO calls
SELECT CONCAT('07', CAST(10000 + line AS STRING)), CASE MOD(line, 3) WHEN 0 THEN 'basic' WHEN 1 THEN 'family' ELSE 'work' END,
       TIMESTAMP '2024-05-01 00:00:00' + INTERVAL '5' SECOND * n + INTERVAL '1' SECOND * jitter, seconds
FROM draws;
END;
