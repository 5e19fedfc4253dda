-- Why a tag does not lead to what its upstream says (decision record 0041): when a newer image becomes old enough
-- (0: none waits), and whether an operator has rolled the tag back. The files have it too.
ALTER TABLE tags ADD COLUMN due REAL NOT NULL DEFAULT 0;
ALTER TABLE tags ADD COLUMN rolled_back INTEGER NOT NULL DEFAULT 0;

-- A process that has such a tag in memory has to look again.
CREATE TRIGGER tag_hold_changed AFTER UPDATE OF due, rolled_back ON tags
    WHEN OLD.due != NEW.due OR OLD.rolled_back != NEW.rolled_back
    BEGIN UPDATE revision SET number = number + 1; END;
CREATE TRIGGER tag_hold_replaced BEFORE INSERT ON tags
    WHEN EXISTS (
        SELECT 1 FROM tags
            WHERE repository = NEW.repository AND tag = NEW.tag AND digest = NEW.digest
            AND (due != NEW.due OR rolled_back != NEW.rolled_back)
    )
    BEGIN UPDATE revision SET number = number + 1; END;
