-- A removal asks for each blob whether a repository needs it, and for each manifest which tags lead
-- to it. Without these indexes each question would read all rows.
CREATE INDEX holdings_by_digest ON holdings (digest);
CREATE INDEX tags_by_digest ON tags (repository, digest);
