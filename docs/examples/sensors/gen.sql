-- Temperatures and moistures of five places in twenty minutes, each every four seconds, a third of them lost. Seeded: the same on every run.
CREATE TABLE draws (n BIGINT, lost INT, lost_too INT, warmer DECIMAL(5, 1), wetter INT)
WITH ('connector' = 'datagen', 'seed' = '3', 'number-of-rows' = '1500',
      'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '1499', 'fields.lost.min' = '0', 'fields.lost.max' = '2',
      'fields.lost_too.min' = '0', 'fields.lost_too.max' = '2', 'fields.warmer.min' = '-3', 'fields.warmer.max' = '3',
      'fields.wetter.min' = '-10', 'fields.wetter.max' = '10');
CREATE TABLE temperature (at TIMESTAMP(3), place STRING, celsius DECIMAL(5, 1))
WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'temperature.csv');
CREATE TABLE moisture (at TIMESTAMP(3), place STRING, percent INT) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'moisture.csv');
CREATE VIEW measured AS
SELECT TIMESTAMP '2024-05-01 10:00:00' + INTERVAL '0.8' SECOND * n AS at, CONCAT('field ', CAST(MOD(n, 5) AS STRING)) AS place,
       lost, lost_too, warmer, wetter FROM draws;

EXECUTE STATEMENT SET BEGIN
INSERT INTO temperature SELECT at, place, CAST(20 + warmer AS DECIMAL(5, 1)) FROM measured WHERE lost > 0;
INSERT INTO moisture SELECT at, place, 60 + wetter FROM measured WHERE lost_too > 0;
END;
