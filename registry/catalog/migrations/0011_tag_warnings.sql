-- What clients are told about the manifest that a tag leads to: that endpoints disagree about it, or that it
-- is an earlier one. It is kept with the tag, so that all processes tell the same, also after a restart.
ALTER TABLE tags ADD COLUMN warning TEXT NOT NULL DEFAULT '';
