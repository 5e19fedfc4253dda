-- The bundle that said where a tag leads, and the name of the key that signed it; empty where an
-- upstream said so. tags.checked says when.
ALTER TABLE tags ADD COLUMN bundle TEXT NOT NULL DEFAULT '';
ALTER TABLE tags ADD COLUMN signer TEXT NOT NULL DEFAULT '';
