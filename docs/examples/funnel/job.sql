-- An online shop: visits as sessions, and how far each of them got: view, cart, order.
CREATE TABLE events (
  at      TIMESTAMP(3),
  visitor STRING,
  step    STRING,
  amount  DECIMAL(10, 2),
  WATERMARK FOR at AS at - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'events.csv');

CREATE VIEW visits AS
SELECT window_start, window_end, window_time, visitor,
       COUNT(*) FILTER (WHERE step = 'view') AS views,
       COUNT(*) FILTER (WHERE step = 'cart') AS carts,
       COUNT(*) FILTER (WHERE step = 'order') AS orders,
       SUM(amount) AS spent
FROM TABLE(SESSION(TABLE events PARTITION BY visitor, DESCRIPTOR(at), INTERVAL '30' MINUTE))
GROUP BY visitor, window_start, window_end, window_time;

SELECT TUMBLE_START(window_time, INTERVAL '1' HOUR) AS hour_of_end, COUNT(*) AS visits,
       COUNT(*) FILTER (WHERE carts > 0) AS with_cart, COUNT(*) FILTER (WHERE orders > 0) AS with_order, SUM(spent) AS spent
FROM visits GROUP BY TUMBLE(window_time, INTERVAL '1' HOUR);
