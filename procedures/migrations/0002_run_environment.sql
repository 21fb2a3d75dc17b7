-- The standard that the machine was declared to have when the run began: how well a procedure does is asked by it.
ALTER TABLE runs ADD COLUMN environment text CHECK (length(environment) BETWEEN 1 AND 80);
