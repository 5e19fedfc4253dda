-- Until when an endpoint is asked last, since it has sent wrong bytes (epoch seconds).
ALTER TABLE endpoints ADD COLUMN suspected REAL NOT NULL DEFAULT 0;
