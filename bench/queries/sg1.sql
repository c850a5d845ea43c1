-- LightSaber's SG1 (readings of smart plugs): the average load of the last hour, every second.
CREATE TABLE IF NOT EXISTS plugs (
    ts TIMESTAMP(3),
    reading DOUBLE,
    property INT, plug INT, household INT, house INT,
    WATERMARK FOR ts AS ts
) WITH (${SOURCE});

CREATE TABLE sink (window_end TIMESTAMP(3), average DOUBLE) WITH (${SINK});

INSERT INTO sink
SELECT window_end, AVG(reading)
FROM TABLE(HOP(TABLE plugs, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '1' HOUR))
GROUP BY window_start, window_end;
