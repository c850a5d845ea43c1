-- A fleet of vans: who enters or leaves the city (a box of latitude and longitude), and who drives too fast.
CREATE TABLE positions (
  at  TIMESTAMP(3),
  van STRING,
  lat DOUBLE,
  lon DOUBLE,
  WATERMARK FOR at AS at - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'positions.csv');
CREATE TABLE crossings (at TIMESTAMP(3), van STRING, what STRING)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'crossings.csv');
CREATE TABLE speeding (at TIMESTAMP(3), van STRING, km_per_hour INT)
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'speeding.csv');

CREATE VIEW placed AS
SELECT at, van, lat, lon, lat BETWEEN 46.9 AND 47.0 AND lon BETWEEN 7.4 AND 7.5 AS inside FROM positions;

CREATE VIEW moves AS
SELECT at, van, lat, lon, inside,
       LAG(inside) OVER w AS was_inside, LAG(at) OVER w AS at_before, LAG(lat) OVER w AS lat_before, LAG(lon) OVER w AS lon_before
FROM placed WINDOW w AS (PARTITION BY van ORDER BY at);

-- a degree of latitude is 111.2 km, one of longitude here 76 km
CREATE VIEW speeds AS
SELECT at, van,
       CAST(3600 * SQRT(POWER((lat - lat_before) * 111.2, 2) + POWER((lon - lon_before) * 76, 2))
            / TIMESTAMPDIFF(SECOND, at_before, at) AS INT) AS km_per_hour
FROM moves WHERE at_before < at;

EXECUTE STATEMENT SET BEGIN
INSERT INTO crossings SELECT at, van, CASE WHEN inside THEN 'enters' ELSE 'leaves' END FROM moves WHERE inside <> was_inside;
INSERT INTO speeding SELECT at, van, km_per_hour FROM speeds WHERE km_per_hour > 120;
END;
