-- When an image was last pulled from a repository. A blob is as warm as the warmest image with it.
CREATE TABLE pulls (
    digest     TEXT NOT NULL,
    repository TEXT NOT NULL,
    pulled     REAL NOT NULL,
    PRIMARY KEY (digest, repository)
) WITHOUT ROWID;

-- Room that a fill may take, or that its part takes, until it is a row of `blobs`.
CREATE TABLE reservations (
    digest TEXT PRIMARY KEY,
    size   INTEGER NOT NULL
) WITHOUT ROWID;

-- Blobs that are known no more, and whose files may still be there: their bytes count until then.
CREATE TABLE doomed (
    digest TEXT PRIMARY KEY,
    size   INTEGER NOT NULL
) WITHOUT ROWID;

-- Manifests are blobs too; those of former versions were not written down as such.
INSERT OR IGNORE INTO blobs
    SELECT digest, size, MAX(seen) FROM manifests JOIN holdings USING (digest) GROUP BY digest;

-- The sizes in the three tables together, in one row: a fill must not add up a million blobs.
CREATE TABLE usage (bytes INTEGER NOT NULL);
INSERT INTO usage SELECT COALESCE(SUM(size), 0) FROM blobs;
