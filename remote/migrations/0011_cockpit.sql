-- Who looks at a machine's page now, and how busy the machine was in the last minutes: worth nothing after a crash.
CREATE UNLOGGED TABLE machine_watchers (
    machine_id bigint NOT NULL REFERENCES machines ON DELETE CASCADE,
    member_id bigint NOT NULL REFERENCES members ON DELETE CASCADE,
    since timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (machine_id, member_id)
);
CREATE INDEX machine_watchers_seen ON machine_watchers (seen_at);

CREATE UNLOGGED TABLE machine_loads (
    machine_id bigint NOT NULL REFERENCES machines ON DELETE CASCADE,
    at timestamptz NOT NULL,
    cpu integer NOT NULL CHECK (cpu BETWEEN 0 AND 1000),
    memory integer NOT NULL CHECK (memory BETWEEN 0 AND 1000),
    swap integer NOT NULL CHECK (swap BETWEEN 0 AND 1000),
    reads bigint NOT NULL CHECK (reads >= 0),
    writes bigint NOT NULL CHECK (writes >= 0),
    received bigint NOT NULL CHECK (received >= 0),
    sent bigint NOT NULL CHECK (sent >= 0),
    temperature integer CHECK (temperature BETWEEN -1000 AND 2000),
    PRIMARY KEY (machine_id, at)
);
