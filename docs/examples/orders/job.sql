-- Orders enriched with the customer as it was when the order was made; customers come as a stream of changes.
CREATE TABLE customers (
  id      BIGINT,
  name    STRING,
  city    STRING,
  changed TIMESTAMP(3),
  WATERMARK FOR changed AS changed,
  PRIMARY KEY (id) NOT ENFORCED
) WITH ('connector' = 'filesystem', 'format' = 'debezium-json', 'path' = 'customers.json');
CREATE TABLE orders (
  id       BIGINT,
  customer BIGINT,
  amount   DECIMAL(10, 2),
  ordered  TIMESTAMP(3),
  WATERMARK FOR ordered AS ordered
) WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'orders.json');
CREATE TABLE enriched (id BIGINT, amount DECIMAL(10, 2), name STRING, city STRING)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'enriched.csv');

INSERT INTO enriched
SELECT o.id, o.amount, c.name, c.city
FROM orders AS o LEFT JOIN customers FOR SYSTEM_TIME AS OF o.ordered AS c ON o.customer = c.id;
