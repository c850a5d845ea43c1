-- LightSaber's CM2 (Google cluster task events): CPU of the tasks that failed in the last 60 seconds by job, every second.
CREATE TABLE IF NOT EXISTS task_events (
    ts TIMESTAMP(3),
    job BIGINT, task BIGINT, machine BIGINT,
    event_type INT, user_id INT, category INT, priority INT,
    cpu DOUBLE, ram DOUBLE, disk DOUBLE, constraints INT,
    WATERMARK FOR ts AS ts
) WITH (${SOURCE});

CREATE TABLE sink (window_end TIMESTAMP(3), job BIGINT, total DOUBLE) WITH (${SINK});

INSERT INTO sink
SELECT window_end, job, SUM(cpu)
FROM TABLE(HOP(TABLE task_events, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '60' SECOND))
WHERE event_type = 3
GROUP BY window_start, window_end, job;
