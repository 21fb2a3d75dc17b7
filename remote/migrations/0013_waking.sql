-- The networks that a machine was in when its agent last told, and the cards it was in them with: to be woken by.
CREATE TABLE machine_lans (
    machine_id bigint NOT NULL REFERENCES machines ON DELETE CASCADE,
    name text NOT NULL CHECK (length(name) <= 40),
    mac macaddr NOT NULL,
    network cidr NOT NULL CHECK (family(network) = 4 AND masklen(network) BETWEEN 8 AND 30),
    wired boolean NOT NULL,
    PRIMARY KEY (machine_id, mac, network)
);

-- `ticket_id` gets its foreign key from the tickets package, which is above this one.
CREATE TABLE machine_wakings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    machine_id bigint NOT NULL REFERENCES machines ON DELETE CASCADE,
    ticket_id bigint NOT NULL,
    member_id bigint NOT NULL REFERENCES members,
    state text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'sent', 'failed', 'arrived', 'over')),
    through bigint[] NOT NULL DEFAULT '{}' CHECK (cardinality(through) <= 3),
    reason text NOT NULL DEFAULT '' CHECK (length(reason) <= 500),
    asked_at timestamptz NOT NULL DEFAULT now(),
    arrived_at timestamptz
);
-- Whoever asks second, of two at once, learns that it is under way.
CREATE UNIQUE INDEX machine_wakings_one ON machine_wakings (machine_id) WHERE state IN ('asked', 'sent');
CREATE INDEX machine_wakings_machine ON machine_wakings (machine_id, id);
