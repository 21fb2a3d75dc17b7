-- Machines and their agents, remote sessions and what is recorded of them.
-- Facts, policies and check observations come from agents and are hostile: bounded here as well as in the code.

CREATE TABLE machines (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
    client_id bigint NOT NULL REFERENCES clients,
    site_id bigint REFERENCES sites ON DELETE SET NULL,
    environment text CHECK (length(environment) BETWEEN 1 AND 80),
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'approved', 'revoked')),
    public_key bytea NOT NULL CONSTRAINT machines_public_key UNIQUE CHECK (length(public_key) = 32),
    hostname text NOT NULL CHECK (length(hostname) <= 80),
    os text NOT NULL CHECK (length(os) <= 80),
    agent_version text NOT NULL CHECK (length(agent_version) <= 40),
    capabilities text[] NOT NULL DEFAULT '{}' CHECK (cardinality(capabilities) <= 32),
    facts jsonb NOT NULL DEFAULT '{}' CHECK (pg_column_size(facts) <= 65536),
    facts_at timestamptz,
    policy jsonb NOT NULL DEFAULT '{}' CHECK (pg_column_size(policy) <= 32768),
    online boolean NOT NULL DEFAULT false,
    last_seen_at timestamptz,
    checked_at timestamptz,
    failing integer NOT NULL DEFAULT 0 CHECK (failing >= 0),
    waived integer NOT NULL DEFAULT 0 CHECK (waived >= 0),
    enrolled_at timestamptz NOT NULL DEFAULT now(),
    approved_at timestamptz,
    approved_by bigint REFERENCES members,
    revoked_at timestamptz,
    CHECK ((state = 'pending') OR (approved_at IS NOT NULL) OR (state = 'revoked'))
);
CREATE INDEX machines_client ON machines (client_id, name);
CREATE INDEX machines_name ON machines (lower(name), id);
CREATE INDEX machines_environment ON machines (environment) WHERE state = 'approved';
CREATE INDEX machines_drifting ON machines (id) WHERE failing > 0;
CREATE INDEX machines_text ON machines USING gin ((lower(name || ' ' || hostname)) gin_trgm_ops);

CREATE TABLE enrolment_codes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest bytea NOT NULL CONSTRAINT enrolment_codes_digest UNIQUE CHECK (length(digest) = 32),
    client_id bigint NOT NULL REFERENCES clients,
    site_id bigint REFERENCES sites ON DELETE SET NULL,
    environment text CHECK (length(environment) BETWEEN 1 AND 80),
    created_by bigint NOT NULL REFERENCES members,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    machine_id bigint REFERENCES machines
);
CREATE INDEX enrolment_codes_open ON enrolment_codes (expires_at) WHERE used_at IS NULL;

-- Wrong codes, by address: guessing is stopped here, so it holds across processes and restarts.
CREATE TABLE enrolment_failures (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    address text NOT NULL CHECK (length(address) <= 64),
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX enrolment_failures_at ON enrolment_failures (at);

-- The latest result of each check; `since` is when this outcome began.
CREATE TABLE machine_checks (
    machine_id bigint NOT NULL REFERENCES machines ON DELETE CASCADE,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 300),
    environment text NOT NULL,
    version integer NOT NULL,
    position integer NOT NULL DEFAULT 0,
    label text NOT NULL CHECK (length(label) <= 300),
    procedure_code text,
    outcome text NOT NULL CHECK (outcome IN ('pass', 'fail', 'error', 'unsupported')),
    observed jsonb NOT NULL DEFAULT '{}' CHECK (pg_column_size(observed) <= 16384),
    reason text NOT NULL DEFAULT '' CHECK (length(reason) <= 500),
    since timestamptz NOT NULL DEFAULT now(),
    checked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (machine_id, key)
);

CREATE TABLE waivers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    machine_id bigint NOT NULL REFERENCES machines ON DELETE CASCADE,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 300),
    justification text NOT NULL CHECK (length(justification) BETWEEN 10 AND 1000),
    created_by bigint NOT NULL REFERENCES members,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    withdrawn_at timestamptz,
    CHECK (expires_at > created_at)
);
CREATE UNIQUE INDEX waivers_one_open ON waivers (machine_id, key) WHERE withdrawn_at IS NULL;

-- What happened to a machine: one row per change, never per heartbeat.
CREATE TABLE machine_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    machine_id bigint NOT NULL REFERENCES machines ON DELETE CASCADE,
    at timestamptz NOT NULL DEFAULT now(),
    kind text NOT NULL CHECK (length(kind) <= 40),
    member_id bigint REFERENCES members,
    subject text NOT NULL DEFAULT '' CHECK (length(subject) <= 300),
    detail text NOT NULL DEFAULT '' CHECK (length(detail) <= 1000)
);
CREATE INDEX machine_events_machine ON machine_events (machine_id, id DESC);

-- `ticket_id` gets its foreign key from the tickets package, which is above this one.
CREATE TABLE remote_sessions (
    id text PRIMARY KEY CHECK (id ~ '^[0-9a-f]{32}$'),
    machine_id bigint NOT NULL REFERENCES machines,
    ticket_id bigint NOT NULL,
    reason text NOT NULL CHECK (length(reason) BETWEEN 3 AND 500),
    capability text NOT NULL CHECK (capability IN ('terminal')),
    state text NOT NULL DEFAULT 'requested' CHECK (state IN ('requested', 'consenting', 'open', 'ended')),
    short_code text NOT NULL CHECK (length(short_code) BETWEEN 4 AND 12),
    requested_by bigint NOT NULL REFERENCES members,
    driver_id bigint REFERENCES members,
    requested_at timestamptz NOT NULL DEFAULT now(),
    granted_until timestamptz,
    consent_by text NOT NULL DEFAULT '' CHECK (length(consent_by) <= 80),
    opened_at timestamptz,
    ended_at timestamptz,
    end_reason text CHECK (end_reason IN ('member', 'client', 'ticket', 'refused', 'no_answer', 'offline', 'exit', 'lost', 'revoked')),
    CHECK ((state = 'ended') = (ended_at IS NOT NULL))
);
CREATE INDEX remote_sessions_ticket ON remote_sessions (ticket_id, requested_at);
CREATE INDEX remote_sessions_machine ON remote_sessions (machine_id, requested_at DESC);
CREATE INDEX remote_sessions_live ON remote_sessions (machine_id) WHERE state <> 'ended';

CREATE TABLE session_participants (
    session_id text NOT NULL REFERENCES remote_sessions ON DELETE CASCADE,
    member_id bigint NOT NULL REFERENCES members,
    role text NOT NULL CHECK (role IN ('driver', 'observer')),
    invited_by bigint REFERENCES members,
    joined_at timestamptz NOT NULL DEFAULT now(),
    left_at timestamptz,
    PRIMARY KEY (session_id, member_id)
);
CREATE INDEX session_participants_member ON session_participants (member_id);

-- The file holds the recording; `head`, `chunks` and `bytes` anchor its hash chain outside of it.
CREATE TABLE recordings (
    session_id text PRIMARY KEY REFERENCES remote_sessions ON DELETE CASCADE,
    file text NOT NULL CHECK (length(file) <= 200),
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    chunks bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0,
    head text NOT NULL DEFAULT '',
    transcript text NOT NULL DEFAULT '' CHECK (length(transcript) <= 262144),
    state text NOT NULL DEFAULT 'recording' CHECK (state IN ('recording', 'complete', 'failed'))
);

ALTER TABLE runs ADD CONSTRAINT runs_machine_fk FOREIGN KEY (machine_id) REFERENCES machines;
