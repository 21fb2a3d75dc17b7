-- A link to watch a session may be asked for at the machine itself: then no member made it.
ALTER TABLE watch_links ALTER COLUMN created_by DROP NOT NULL;

-- How far an agent's own record of what was done on its machine is known: the last line that was told (its number and
-- hash) and shown to follow from the one before; what was told since and is not shown to follow yet; since when it is
-- known that the record was cut or written anew.
CREATE TABLE machine_records (
    machine_id bigint PRIMARY KEY REFERENCES machines ON DELETE CASCADE,
    number bigint NOT NULL CHECK (number >= 0),
    head text NOT NULL CHECK (head ~ '^[0-9a-f]{64}$'),
    told_at timestamptz NOT NULL,
    claimed_number bigint,
    claimed_head text CHECK (claimed_head ~ '^[0-9a-f]{64}$'),
    claimed_at timestamptz,
    broken text CHECK (broken IN ('cut', 'rewritten')),
    whole_at timestamptz,
    noticed_at timestamptz,
    CHECK ((claimed_number IS NULL) = (claimed_head IS NULL) AND (claimed_number IS NULL) = (claimed_at IS NULL)),
    CHECK ((broken IS NULL) = (whole_at IS NULL) AND (broken IS NULL) = (noticed_at IS NULL))
);
CREATE INDEX machine_records_broken ON machine_records (noticed_at) WHERE broken IS NOT NULL;

-- What the machine said when a session did not open, or what else is known about its end.
ALTER TABLE remote_sessions ADD COLUMN end_detail text NOT NULL DEFAULT '' CHECK (length(end_detail) <= 500);
