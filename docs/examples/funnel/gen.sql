-- 40,000 steps of 1,000 visitors in a day: most look, some fill a cart, a few order. Seeded: the same on every run.
CREATE TABLE draws (n BIGINT, visitor INT, jitter INT, luck INT, amount DECIMAL(10, 2))
WITH ('connector' = 'datagen', 'seed' = '10', 'number-of-rows' = '40000', 'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '39999',
      'fields.visitor.min' = '0', 'fields.visitor.max' = '999', 'fields.jitter.min' = '0', 'fields.jitter.max' = '4000',
      'fields.luck.min' = '0', 'fields.luck.max' = '9', 'fields.amount.min' = '5', 'fields.amount.max' = '200');
CREATE TABLE events (at TIMESTAMP(3), visitor STRING, step STRING, amount DECIMAL(10, 2))
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'events.csv');

INSERT INTO events
SELECT TIMESTAMP '2024-05-01 00:00:00' + INTERVAL '2.16' SECOND * n + INTERVAL '0.001' SECOND * jitter, CONCAT('v', CAST(visitor AS STRING)),
       CASE WHEN luck < 7 THEN 'view' WHEN luck < 9 THEN 'cart' ELSE 'order' END, CASE WHEN luck = 9 THEN amount END
FROM draws;
