-- Whether anybody still needs a blob, and what leads to a manifest, is asked once for each blob and
-- manifest of what is removed: without these, all rows would be looked at each time.
CREATE INDEX holdings_by_digest ON holdings (digest);
CREATE INDEX tags_by_digest ON tags (repository, digest);
