-- Card fraud: a small payment to try the card, then within ten minutes one of at least fifty times as much.
CREATE TABLE payments (
  at     TIMESTAMP(3),
  card   STRING,
  amount DECIMAL(10, 2),
  WATERMARK FOR at AS at - INTERVAL '1' SECOND
) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'payments.csv');

SELECT card, tried_at, tried, taken_at, taken
FROM payments MATCH_RECOGNIZE (
  PARTITION BY card
  ORDER BY at
  MEASURES SMALL.at AS tried_at, SMALL.amount AS tried, LARGE.at AS taken_at, LARGE.amount AS taken
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (SMALL OTHER*? LARGE) WITHIN INTERVAL '10' MINUTE
  DEFINE
    SMALL AS SMALL.amount <= 5,
    LARGE AS LARGE.amount >= 50 * SMALL.amount AND LARGE.amount >= 100
);
