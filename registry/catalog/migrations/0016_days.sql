-- What a mirror has answered and downloaded on each day (YYYY-MM-DD, by the clock of its machine), by kind and origin
-- (registry/content/traffic.py). Rows are kept for 400 days.
CREATE TABLE days (
    day      TEXT NOT NULL,
    kind     TEXT NOT NULL,
    origin   TEXT NOT NULL,
    requests INTEGER NOT NULL,
    bytes    INTEGER NOT NULL,
    PRIMARY KEY (day, kind, origin)
) WITHOUT ROWID;

-- What of the counters of each server is in `days` already, so that nothing is added twice, whatever is interrupted.
CREATE TABLE days_counted (
    server   TEXT NOT NULL,
    kind     TEXT NOT NULL,
    origin   TEXT NOT NULL,
    requests INTEGER NOT NULL,
    bytes    INTEGER NOT NULL,
    PRIMARY KEY (server, kind, origin)
) WITHOUT ROWID;
