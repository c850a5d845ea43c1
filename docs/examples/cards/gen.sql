-- 20,000 payments of 500 cards within four hours, a few of them small, a few large. Seeded: the same on every run.
CREATE TABLE draws (n BIGINT, card INT, jitter INT, kind INT, amount DECIMAL(10, 2))
WITH ('connector' = 'datagen', 'seed' = '9', 'number-of-rows' = '20000', 'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '19999',
      'fields.card.min' = '0', 'fields.card.max' = '499', 'fields.jitter.min' = '0', 'fields.jitter.max' = '900',
      'fields.kind.min' = '0', 'fields.kind.max' = '99', 'fields.amount.min' = '0.50', 'fields.amount.max' = '5');
CREATE TABLE payments (at TIMESTAMP(3), card STRING, amount DECIMAL(10, 2))
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'payments.csv');

INSERT INTO payments
SELECT TIMESTAMP '2024-05-01 10:00:00' + INTERVAL '0.72' SECOND * n + INTERVAL '0.001' SECOND * jitter, CONCAT('c', CAST(card AS STRING)),
       CAST(CASE WHEN kind < 8 THEN amount WHEN kind < 14 THEN amount * 90 ELSE amount * 15 END AS DECIMAL(10, 2))
FROM draws;
