-- LightSaber's ME1 (sensors of manufacturing equipment): averages of three sensors over 60 seconds, every second.
CREATE TABLE IF NOT EXISTS sensors (
    ts TIMESTAMP(3),
    mf01 DOUBLE, mf02 DOUBLE, mf03 DOUBLE,
    WATERMARK FOR ts AS ts
) WITH (${SOURCE});

CREATE TABLE sink (window_end TIMESTAMP(3), a1 DOUBLE, a2 DOUBLE, a3 DOUBLE) WITH (${SINK});

INSERT INTO sink
SELECT window_end, AVG(mf01), AVG(mf02), AVG(mf03)
FROM TABLE(HOP(TABLE sensors, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '60' SECOND))
GROUP BY window_start, window_end;
