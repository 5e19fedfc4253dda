-- When an image was last pulled from a repository.
CREATE TABLE pulls (
    digest     TEXT NOT NULL,
    repository TEXT NOT NULL,
    pulled     REAL NOT NULL,
    PRIMARY KEY (digest, repository)
) WITHOUT ROWID;

-- Bytes that are reserved for a download or used by its partial file, until the blob is recorded.
CREATE TABLE reservations (
    digest TEXT PRIMARY KEY,
    size   INTEGER NOT NULL
) WITHOUT ROWID;

-- Blobs that are being deleted: their bytes count until their files are gone.
CREATE TABLE doomed (
    digest TEXT PRIMARY KEY,
    size   INTEGER NOT NULL
) WITHOUT ROWID;

-- Pinned manifests: nothing deletes the manifest `digest`, nor, if `is_deep`, what it refers to. A
-- pin of some platforms of an image has the index, not deep, and the manifests of the platforms.
CREATE TABLE pins (
    repository TEXT NOT NULL,
    reference  TEXT NOT NULL,
    digest     TEXT NOT NULL,
    is_deep    INTEGER NOT NULL,
    platform   TEXT NOT NULL,
    made       REAL NOT NULL,
    PRIMARY KEY (repository, reference, digest)
) WITHOUT ROWID;

-- Quarantined blobs, whose bytes have changed on disk: they count until their files are deleted.
CREATE TABLE quarantine (
    digest TEXT PRIMARY KEY,
    size   INTEGER NOT NULL
) WITHOUT ROWID;

-- How far each audit has come: its last digest, and when it began and ended (0 until it has ended).
CREATE TABLE audits (
    auditor  TEXT PRIMARY KEY,
    position TEXT NOT NULL,
    began    REAL NOT NULL,
    ended    REAL NOT NULL
) WITHOUT ROWID;

-- When an image with the blob was last pulled, or the blob was stored. The oldest is evicted first.
ALTER TABLE blobs RENAME COLUMN stored TO used;
CREATE INDEX blobs_by_use ON blobs (used);

-- Manifests are blobs too; former versions did not record them as blobs.
INSERT OR IGNORE INTO blobs
    SELECT digest, size, MAX(seen) FROM manifests JOIN holdings USING (digest) GROUP BY digest;

-- The sum of the sizes in the four tables: no download has to add up a million rows.
CREATE TABLE usage (bytes INTEGER NOT NULL);
INSERT INTO usage SELECT COALESCE(SUM(size), 0) FROM blobs;
