-- When each prefetch of the settings last ended, or was first seen if it has never run (epoch seconds). A run
-- that was missed while no server was running is made up for once.
CREATE TABLE prefetch_runs (
    name  TEXT NOT NULL PRIMARY KEY,
    ended REAL NOT NULL
) WITHOUT ROWID;
