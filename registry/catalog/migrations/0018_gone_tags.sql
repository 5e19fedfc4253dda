-- When an upstream first said that it does not have a tag, although it is known here (epoch seconds, 0: never). It holds
-- as long as no upstream and no bundle has confirmed the tag since: while `gone` is later than `checked`.
ALTER TABLE tags ADD COLUMN gone REAL NOT NULL DEFAULT 0;
