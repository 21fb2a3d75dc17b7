-- What changed since the last update of the library's index; filled in the transaction of the change.
CREATE TABLE search_outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (length(kind) BETWEEN 1 AND 40),
    ref text NOT NULL CHECK (length(ref) BETWEEN 1 AND 200),
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    added_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX search_outbox_due ON search_outbox (due_at, id);

-- Which index belongs to this database and how far it is; one row.
CREATE TABLE search_state (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    stamp text NOT NULL DEFAULT '',
    generation bigint NOT NULL DEFAULT 0,
    phase text NOT NULL DEFAULT 'broken' CHECK (phase IN ('ready', 'building', 'broken')),
    done integer NOT NULL DEFAULT 0 CHECK (done >= 0),
    total integer NOT NULL DEFAULT 0 CHECK (total >= 0),
    updated_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO search_state DEFAULT VALUES;
