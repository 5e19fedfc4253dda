-- Repositories are written registry/name, e.g. docker.io/library/nginx; times are epoch seconds.

-- Every manifest whose bytes are stored, whichever repository has it.
CREATE TABLE manifests (
    digest        TEXT PRIMARY KEY,
    media_type    TEXT NOT NULL,
    size          INTEGER NOT NULL,
    subject       TEXT,
    artifact_type TEXT NOT NULL,
    annotations   TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX manifests_by_subject ON manifests (subject) WHERE subject IS NOT NULL;

-- What a manifest refers to: other manifests of an index, config and layers of an image.
CREATE TABLE links (
    parent     TEXT NOT NULL,
    child      TEXT NOT NULL,
    is_manifest INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    size       INTEGER NOT NULL,
    PRIMARY KEY (parent, child)
) WITHOUT ROWID;
CREATE INDEX links_by_child ON links (child);

-- Bytes are shared by digest, permission is not: which repository has which manifest.
CREATE TABLE holdings (
    repository TEXT NOT NULL,
    digest     TEXT NOT NULL,
    seen       REAL NOT NULL,
    PRIMARY KEY (repository, digest)
) WITHOUT ROWID;

-- Blobs that no manifest of the repository refers to, but that it has as the upstream said.
CREATE TABLE grants (
    repository TEXT NOT NULL,
    digest     TEXT NOT NULL,
    size       INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
) WITHOUT ROWID;

CREATE TABLE tags (
    repository TEXT NOT NULL,
    tag        TEXT NOT NULL,
    digest     TEXT NOT NULL,
    checked    REAL NOT NULL,
    PRIMARY KEY (repository, tag)
) WITHOUT ROWID;

-- Lists that upstreams returned: the tags of a repository, the referrers of a digest.
CREATE TABLE lists (
    repository TEXT NOT NULL,
    subject    TEXT NOT NULL,
    body       TEXT NOT NULL,
    checked    REAL NOT NULL,
    PRIMARY KEY (repository, subject)
) WITHOUT ROWID;

CREATE TABLE blobs (
    digest TEXT PRIMARY KEY,
    size   INTEGER NOT NULL,
    stored REAL NOT NULL
) WITHOUT ROWID;

-- The pull limit that an endpoint stated last for an identity.
CREATE TABLE budgets (
    endpoint  TEXT NOT NULL,
    identity  TEXT NOT NULL,
    allowed   INTEGER NOT NULL,
    remaining INTEGER NOT NULL,
    period    REAL NOT NULL,
    source    TEXT NOT NULL,
    seen      REAL NOT NULL,
    PRIMARY KEY (endpoint, identity)
) WITHOUT ROWID;
