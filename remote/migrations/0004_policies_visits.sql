-- What the co-operative proposes to a client's machines, in versions. What holds on a machine is decided and kept there;
-- the agent's report says which digest it agreed to.
CREATE TABLE client_policies (
    client_id bigint NOT NULL REFERENCES clients,
    version integer NOT NULL CHECK (version > 0),
    attendance text NOT NULL CHECK (attendance IN ('attended', 'preagreed', 'unattended')),
    capabilities text[] NOT NULL DEFAULT '{}' CHECK (cardinality(capabilities) <= 16),
    procedures text CHECK (procedures IN ('low', 'medium', 'high')),
    hours integer NOT NULL CHECK (hours BETWEEN 1 AND 24),
    days integer NOT NULL CHECK (days BETWEEN 1 AND 400),
    words text NOT NULL DEFAULT '' CHECK (length(words) <= 400),
    client_name text NOT NULL CHECK (length(client_name) BETWEEN 1 AND 120),
    digest text NOT NULL CHECK (length(digest) = 64),
    created_by bigint NOT NULL REFERENCES members,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (client_id, version)
);

-- Four eyes: in sessions on these clients' machines nobody types while no second member is there.
CREATE TABLE client_moderation (
    client_id bigint PRIMARY KEY REFERENCES clients,
    set_by bigint NOT NULL REFERENCES members,
    set_at timestamptz NOT NULL DEFAULT now()
);

-- An invitation holds for the visit: every session on the same machine for the same ticket.
CREATE TABLE visit_guests (
    machine_id bigint NOT NULL REFERENCES machines,
    ticket_id bigint NOT NULL,
    member_id bigint NOT NULL REFERENCES members,
    invited_by bigint NOT NULL REFERENCES members,
    invited_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (machine_id, ticket_id, member_id)
);
CREATE INDEX visit_guests_member ON visit_guests (member_id, invited_at DESC);
INSERT INTO visit_guests (machine_id, ticket_id, member_id, invited_by, invited_at)
    SELECT DISTINCT ON (s.machine_id, s.ticket_id, p.member_id)
        s.machine_id, s.ticket_id, p.member_id, p.invited_by, p.joined_at
    FROM session_participants p JOIN remote_sessions s ON s.id = p.session_id
    WHERE p.invited_by IS NOT NULL ORDER BY s.machine_id, s.ticket_id, p.member_id, p.joined_at;

ALTER TABLE session_participants DROP CONSTRAINT session_participants_role_check;
ALTER TABLE session_participants ADD CONSTRAINT session_participants_role_check
    CHECK (role IN ('driver', 'observer', 'pointer'));

-- Links by which a client watches one session without signing in; only the digest of the secret is kept.
CREATE TABLE watch_links (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id text NOT NULL REFERENCES remote_sessions ON DELETE CASCADE,
    digest bytea NOT NULL CONSTRAINT watch_links_digest UNIQUE CHECK (length(digest) = 32),
    created_by bigint NOT NULL REFERENCES members,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    CHECK (expires_at > created_at)
);
CREATE INDEX watch_links_session ON watch_links (session_id);
