-- LightSaber's SG2 (readings of smart plugs): the average load of each plug over 128 seconds, every second.
CREATE TABLE IF NOT EXISTS plugs (
    ts TIMESTAMP(3),
    reading DOUBLE,
    property INT, plug INT, household INT, house INT,
    WATERMARK FOR ts AS ts
) WITH (${SOURCE});

CREATE TABLE sink (window_end TIMESTAMP(3), plug INT, household INT, house INT, average DOUBLE) WITH (${SINK});

INSERT INTO sink
SELECT window_end, plug, household, house, AVG(reading)
FROM TABLE(HOP(TABLE plugs, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '128' SECOND))
GROUP BY window_start, window_end, plug, household, house;
