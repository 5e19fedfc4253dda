-- A deletion asks for each manifest above a blob whether a pin keeps it. Without this index each
-- question would read all pins, in the transaction that other processes wait for.
CREATE INDEX pins_by_digest ON pins (digest);
