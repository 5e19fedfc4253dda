-- Which bundle said what a tag leads to, and the name of the key that had signed it; empty where an
-- upstream said so. When: tags.checked.
ALTER TABLE tags ADD COLUMN bundle TEXT NOT NULL DEFAULT '';
ALTER TABLE tags ADD COLUMN signer TEXT NOT NULL DEFAULT '';
