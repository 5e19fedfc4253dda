-- What the last run of a prefetch did: a JSON object with its counts, or with the reason why it failed. It is empty
-- if there was no run yet, or an earlier version recorded it.
ALTER TABLE prefetch_runs ADD COLUMN result TEXT NOT NULL DEFAULT '';
