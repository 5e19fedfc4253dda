-- Which client pulled what by which name: `client` is an address, empty where none was recorded.
CREATE TABLE clients (
    digest     TEXT NOT NULL,
    repository TEXT NOT NULL,
    reference  TEXT NOT NULL,
    client     TEXT NOT NULL,
    pulled     REAL NOT NULL,
    PRIMARY KEY (digest, repository, reference, client)
) WITHOUT ROWID;

-- Former versions recorded neither client nor name: the names are those that lead there now.
INSERT INTO clients
    SELECT digest, repository, COALESCE(tag, digest), '', pulled
        FROM pulls LEFT JOIN tags USING (repository, digest);
