-- One log of use: which client pulled which image by which name, and when last. It replaces the
-- tables `clients` and `pulls`, which said the same twice. `reference` and `client` are empty where
-- the log keeps only the time of an image's last pull, after name and client were forgotten.
INSERT INTO clients
    SELECT digest, repository, '', '', pulled FROM pulls AS former
        WHERE pulled > COALESCE((
            SELECT MAX(pulled) FROM clients
                WHERE clients.digest = former.digest AND clients.repository = former.repository
        ), 0);
DROP TABLE pulls;
ALTER TABLE clients RENAME TO pulls;

-- When an image was last pulled from a repository, by anybody and by any name.
CREATE VIEW last_pulls AS
    SELECT digest, repository, MAX(pulled) AS pulled FROM pulls GROUP BY digest, repository;

-- A number that grows when a manifest that a process remembers may be the wrong one from now on: a
-- tag leads to another manifest, or a repository has lost a tag or a manifest. Pulls do not change
-- it, nor does a tag that an upstream has confirmed. Triggers count, so that no writer can forget.
CREATE TABLE revision (number INTEGER NOT NULL);
INSERT INTO revision VALUES (0);
CREATE TRIGGER tag_replaced BEFORE INSERT ON tags
    WHEN EXISTS (
        SELECT 1 FROM tags
            WHERE repository = NEW.repository AND tag = NEW.tag AND digest != NEW.digest
    )
    BEGIN UPDATE revision SET number = number + 1; END;
CREATE TRIGGER tag_moved AFTER UPDATE OF repository, tag, digest ON tags
    BEGIN UPDATE revision SET number = number + 1; END;
CREATE TRIGGER tag_deleted AFTER DELETE ON tags
    BEGIN UPDATE revision SET number = number + 1; END;
CREATE TRIGGER holding_deleted AFTER DELETE ON holdings
    BEGIN UPDATE revision SET number = number + 1; END;
