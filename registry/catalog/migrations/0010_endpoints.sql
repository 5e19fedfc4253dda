-- What was measured of each endpoint of an upstream, by its URL in the settings. The columns are those of
-- `Performance` (registry/upstream/performance.py), in this order.
CREATE TABLE endpoints (
    upstream   TEXT NOT NULL,
    url        TEXT NOT NULL,
    first_byte REAL,
    rate       REAL,
    total      REAL,
    failing    REAL NOT NULL,
    right      INTEGER NOT NULL,
    wrong      INTEGER NOT NULL,
    measured   REAL NOT NULL,
    rated      REAL NOT NULL,
    PRIMARY KEY (upstream, url)
) WITHOUT ROWID;
