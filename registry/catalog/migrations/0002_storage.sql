-- When an image was last pulled from a repository.
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

-- What stays for ever: the manifest `digest`, and where `is_deep` also all it refers to. An image of
-- many platforms that is pinned for some is its index, not deep, and those platforms' manifests.
CREATE TABLE pins (
    repository TEXT NOT NULL,
    reference  TEXT NOT NULL,
    digest     TEXT NOT NULL,
    is_deep    INTEGER NOT NULL,
    platform   TEXT NOT NULL,
    made       REAL NOT NULL,
    PRIMARY KEY (repository, reference, digest)
) WITHOUT ROWID;

-- Blobs whose bytes have changed on disk: set aside, and counted until they are thrown away.
CREATE TABLE quarantine (
    digest TEXT PRIMARY KEY,
    size   INTEGER NOT NULL
) WITHOUT ROWID;

-- How far each auditor is: the last digest of its pass, and when that began and ended (0: not yet).
CREATE TABLE audits (
    auditor  TEXT PRIMARY KEY,
    position TEXT NOT NULL,
    began    REAL NOT NULL,
    ended    REAL NOT NULL
) WITHOUT ROWID;

-- When an image with the blob was last pulled, or it was stored: what room is made from first.
ALTER TABLE blobs RENAME COLUMN stored TO used;
CREATE INDEX blobs_by_use ON blobs (used);

-- Manifests are blobs too; those of former versions were not written down as such.
INSERT OR IGNORE INTO blobs
    SELECT digest, size, MAX(seen) FROM manifests JOIN holdings USING (digest) GROUP BY digest;

-- The sizes in the four tables together, in one row: a fill must not add up a million blobs.
CREATE TABLE usage (bytes INTEGER NOT NULL);
INSERT INTO usage SELECT COALESCE(SUM(size), 0) FROM blobs;
