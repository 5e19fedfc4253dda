-- What each client last asked for with each tool, and what it got (registry/content/client_visits.py). A client is an
-- address or a network, as `access.addresses` says; `seen` is in epoch seconds. Rows are kept for 400 days.
CREATE TABLE client_visits (
    client TEXT NOT NULL,
    tool   TEXT NOT NULL,
    shape  TEXT NOT NULL,
    image  TEXT NOT NULL,
    status INTEGER NOT NULL,
    origin TEXT NOT NULL,
    seen   REAL NOT NULL,
    PRIMARY KEY (client, tool)
) WITHOUT ROWID;
