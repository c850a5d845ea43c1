-- LightSaber's LRB1 (Linear Road position reports): segments whose average speed over 300 seconds is below 40, every second.
CREATE TABLE IF NOT EXISTS positions (
    ts TIMESTAMP(3),
    vehicle INT,
    speed DOUBLE,
    highway INT, lane INT, direction INT, position INT,
    WATERMARK FOR ts AS ts
) WITH (${SOURCE});

CREATE TABLE sink (window_end TIMESTAMP(3), highway INT, direction INT, segment INT, average DOUBLE) WITH (${SINK});

INSERT INTO sink
SELECT window_end, highway, direction, position / 5280, AVG(speed)
FROM TABLE(HOP(TABLE positions, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '300' SECOND))
GROUP BY window_start, window_end, highway, direction, position / 5280
HAVING AVG(speed) < 40;
