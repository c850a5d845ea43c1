-- A game: nobody acts more than three times within a second, or scores over 1,000 points in it. Who does is told once a second.
CREATE TABLE actions (
  at     TIMESTAMP(3),
  player STRING,
  points INT,
  WATERMARK FOR at AS at - INTERVAL '0.2' SECOND
) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'actions.csv');

CREATE VIEW rates AS
SELECT at, player,
       COUNT(*) OVER (PARTITION BY player ORDER BY at RANGE BETWEEN INTERVAL '1' SECOND PRECEDING AND CURRENT ROW) AS actions_in_1s,
       SUM(points) OVER (PARTITION BY player ORDER BY at RANGE BETWEEN INTERVAL '1' SECOND PRECEDING AND CURRENT ROW) AS points_in_1s
FROM actions;

SELECT window_start, player, MAX(actions_in_1s) AS actions, MAX(points_in_1s) AS points
FROM TABLE(TUMBLE(TABLE rates, DESCRIPTOR(at), INTERVAL '1' SECOND))
WHERE actions_in_1s > 3 OR points_in_1s > 1000
GROUP BY window_start, window_end, player;
