-- One input, grouped twice: by action and by customer. It is read once.
CREATE TABLE clicks (
  at       TIMESTAMP(3),
  customer STRING,
  action   STRING,
  WATERMARK FOR at AS at - INTERVAL '1' SECOND
) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'clicks.csv');
CREATE TABLE by_action (window_end TIMESTAMP(3), action STRING, clicks BIGINT, customers BIGINT)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'by_action.csv');
CREATE TABLE by_customer (window_end TIMESTAMP(3), customer STRING, clicks BIGINT)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'by_customer.csv');

EXECUTE STATEMENT SET BEGIN
INSERT INTO by_action
SELECT window_end, action, COUNT(*), COUNT(DISTINCT customer)
FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(at), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, action;
INSERT INTO by_customer
SELECT window_end, customer, COUNT(*)
FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(at), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, customer;
END;
