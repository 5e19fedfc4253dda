-- A process may have a manifest in memory whose bytes are not stored any more: they were evicted, or
-- they were damaged. The number tells it to look, so that it stores the manifest again.
CREATE TRIGGER manifest_lost AFTER DELETE ON blobs
    WHEN EXISTS (SELECT 1 FROM manifests WHERE digest = OLD.digest)
    BEGIN UPDATE revision SET number = number + 1; END;
