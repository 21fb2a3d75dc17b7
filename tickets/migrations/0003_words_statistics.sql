-- How a search looks for words is decided by how common PostgreSQL expects them to be. By default it knows a thousand
-- words and takes every other one for rare, although the next ones stand in two tickets of a hundred. With this it knows
-- five thousand; ANALYZE then takes seconds on 250,000 tickets. Nothing is read now: the next ANALYZE does it.
ALTER TABLE tickets ALTER COLUMN words SET STATISTICS 500;
