-- 1,000,000 changes of 100,000 customers within 1,000 seconds, as Debezium writes them, and 120,000 orders within the 1,200 seconds after the
-- first 500. The same on every run.
CREATE TABLE numbers (n BIGINT)
WITH ('connector' = 'datagen', 'number-of-rows' = '1000000', 'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '999999');
CREATE TABLE changes (`before` ROW<id BIGINT, name STRING, city STRING, changed TIMESTAMP(3)>,
                      `after` ROW<id BIGINT, name STRING, city STRING, changed TIMESTAMP(3)>, op STRING)
WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'customers.json');
CREATE TABLE orders (id BIGINT, customer BIGINT, amount DECIMAL(10, 2), ordered TIMESTAMP(3))
WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'orders.json');
CREATE VIEW versions AS
SELECT n, MOD(n * 7919, 100000) AS id, CONCAT('customer ', CAST(MOD(n * 7919, 100000) AS STRING)) AS name,
       TIMESTAMP '2024-05-01 10:00:00' + INTERVAL '0.001' SECOND * n AS changed FROM numbers;

-- a customer changes with every 100,000th row and moves to the next city
EXECUTE STATEMENT SET BEGIN
INSERT INTO changes
SELECT CASE WHEN n >= 100000 THEN ROW(id, name, CONCAT('city ', CAST(MOD(id + n / 100000 - 1, 50) AS STRING)), changed - INTERVAL '100' SECOND) END,
       ROW(id, name, CONCAT('city ', CAST(MOD(id + n / 100000, 50) AS STRING)), changed),
       CASE WHEN n >= 100000 THEN 'u' ELSE 'c' END
FROM versions;
INSERT INTO orders
SELECT n, MOD(n * 104729, 100000), CAST(MOD(n * 31, 1000) + 0.5 AS DECIMAL(10, 2)), TIMESTAMP '2024-05-01 10:08:20' + INTERVAL '0.01' SECOND * n
FROM numbers WHERE n < 120000;
END;
