-- Which registry has delivered the bytes of a digest, or has proved that it has them, and when. Bytes are
-- stored once for all registries; a registry may not have those of a private one by naming a digest.
CREATE TABLE deliveries (
    digest    TEXT NOT NULL,
    registry  TEXT NOT NULL,
    confirmed REAL NOT NULL,
    PRIMARY KEY (digest, registry)
) WITHOUT ROWID;

-- A former version served a blob to every registry with a manifest that refers to it, or with a grant.
-- A repository is registry/name, and no registry has a slash.
INSERT OR IGNORE INTO deliveries
    SELECT child, substr(repository, 1, instr(repository, '/') - 1), seen
        FROM holdings JOIN links ON parent = holdings.digest
        WHERE child IN (SELECT digest FROM blobs);
INSERT OR IGNORE INTO deliveries
    SELECT digest, substr(repository, 1, instr(repository, '/') - 1), seen
        FROM holdings WHERE digest IN (SELECT digest FROM blobs);
INSERT OR IGNORE INTO deliveries
    SELECT digest, substr(repository, 1, instr(repository, '/') - 1), 0
        FROM grants WHERE digest IN (SELECT digest FROM blobs);

-- The rows of a blob go with it. A trigger deletes them, so that no writer can forget.
CREATE TRIGGER delivered_blob_deleted AFTER DELETE ON blobs
    BEGIN DELETE FROM deliveries WHERE digest = OLD.digest; END;

-- When the upstream last said that the repository has the blob (0: a former version did not record it).
ALTER TABLE grants ADD COLUMN granted REAL NOT NULL DEFAULT 0;
