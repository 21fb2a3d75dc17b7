-- Devices without an agent (servers, NAS, network gear), reached over SSH: machines of their own kind.
ALTER TABLE machines
    ADD COLUMN kind text NOT NULL DEFAULT 'agent' CHECK (kind IN ('agent', 'device')),
    ALTER COLUMN public_key DROP NOT NULL,
    ADD CONSTRAINT machines_key_of_kind CHECK ((kind = 'agent') = (public_key IS NOT NULL));
CREATE INDEX machines_devices ON machines (id) WHERE kind = 'device';

-- One data key per client seals its credentials; it is wrapped by a key made of the server's secret, never kept here.
CREATE TABLE ssh_data_keys (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client_id bigint NOT NULL REFERENCES clients,
    version integer NOT NULL CHECK (version >= 1),
    wrapped_by text NOT NULL CHECK (length(wrapped_by) = 16),
    wrapped bytea NOT NULL CHECK (length(wrapped) BETWEEN 40 AND 200),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ssh_data_keys_version UNIQUE (client_id, version)
);

-- `public_key` is an OpenSSH line, empty for a password. A removed credential keeps its row, without what was sealed.
CREATE TABLE ssh_credentials (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client_id bigint NOT NULL REFERENCES clients,
    kind text NOT NULL CHECK (kind IN ('made', 'key', 'password')),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
    public_key text NOT NULL DEFAULT '' CHECK (length(public_key) <= 4000),
    seal uuid NOT NULL,
    data_key_id bigint REFERENCES ssh_data_keys,
    sealed bytea CHECK (length(sealed) BETWEEN 28 AND 20000),
    created_by bigint NOT NULL REFERENCES members,
    created_at timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz,
    CHECK ((removed_at IS NULL) = (sealed IS NOT NULL)),
    CHECK ((removed_at IS NULL) = (data_key_id IS NOT NULL))
);
CREATE INDEX ssh_credentials_client ON ssh_credentials (client_id) WHERE removed_at IS NULL;
CREATE UNIQUE INDEX ssh_credentials_name ON ssh_credentials (client_id, lower(name)) WHERE removed_at IS NULL;

CREATE TABLE ssh_devices (
    machine_id bigint PRIMARY KEY REFERENCES machines ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('server', 'nas', 'switch', 'router')),
    host text NOT NULL CHECK (length(host) BETWEEN 1 AND 253),
    port integer NOT NULL CHECK (port BETWEEN 1 AND 65535),
    username text NOT NULL CHECK (length(username) BETWEEN 1 AND 64),
    via_machine_id bigint REFERENCES machines CHECK (via_machine_id <> machine_id),
    credential_id bigint REFERENCES ssh_credentials,
    notes text NOT NULL DEFAULT '' CHECK (length(notes) <= 2000),
    answered_at timestamptz,
    trouble text NOT NULL DEFAULT '' CHECK (length(trouble) <= 40)
);

-- Keys that a device showed. Only a trusted one is talked to; a change needs two members.
CREATE TABLE ssh_host_keys (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    machine_id bigint NOT NULL REFERENCES machines ON DELETE CASCADE,
    algorithm text NOT NULL CHECK (length(algorithm) BETWEEN 1 AND 80),
    public_key bytea NOT NULL CHECK (length(public_key) BETWEEN 16 AND 8192),
    state text NOT NULL CHECK (state IN ('seen', 'proposed', 'trusted', 'replaced', 'rejected')),
    seen_at timestamptz NOT NULL DEFAULT now(),
    proposed_by bigint REFERENCES members,
    proposed_at timestamptz,
    reason text NOT NULL DEFAULT '' CHECK (length(reason) <= 500),
    decided_by bigint REFERENCES members,
    decided_at timestamptz,
    CHECK (state <> 'proposed' OR proposed_by IS NOT NULL),
    CHECK (state NOT IN ('trusted', 'replaced') OR decided_by IS NOT NULL),
    CONSTRAINT ssh_host_keys_two_members CHECK (state <> 'trusted' OR proposed_by IS NULL OR proposed_by <> decided_by)
);
CREATE UNIQUE INDEX ssh_host_keys_trusted ON ssh_host_keys (machine_id) WHERE state = 'trusted';
CREATE UNIQUE INDEX ssh_host_keys_open ON ssh_host_keys (machine_id) WHERE state IN ('seen', 'proposed');

-- Where no agent can ask, a member writes down who agreed to what, and how.
CREATE TABLE ssh_consents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    machine_id bigint NOT NULL REFERENCES machines ON DELETE CASCADE,
    ticket_id bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('session', 'procedure')),
    session_id text REFERENCES remote_sessions ON DELETE CASCADE,
    digest text NOT NULL DEFAULT '' CHECK (length(digest) IN (0, 64)),
    values_digest text NOT NULL DEFAULT '' CHECK (length(values_digest) IN (0, 64)),
    how text NOT NULL CHECK (how IN ('phone', 'on_site', 'written', 'contract')),
    person text NOT NULL CHECK (length(person) BETWEEN 2 AND 100),
    member_id bigint NOT NULL REFERENCES members,
    given_at timestamptz NOT NULL DEFAULT now(),
    until timestamptz NOT NULL,
    CHECK ((kind = 'session') = (session_id IS NOT NULL)),
    CHECK ((kind = 'procedure') = (digest <> ''))
);
CREATE INDEX ssh_consents_machine ON ssh_consents (machine_id, ticket_id);
CREATE UNIQUE INDEX ssh_consents_session ON ssh_consents (session_id);

-- What was begun over SSH: an attempt whose result is missing and that no process keeps alive is never made again.
CREATE TABLE ssh_attempts (
    attempt_id uuid PRIMARY KEY,
    machine_id bigint NOT NULL REFERENCES machines ON DELETE CASCADE,
    started_at timestamptz NOT NULL DEFAULT now(),
    alive_at timestamptz NOT NULL DEFAULT now(),
    result jsonb CHECK (pg_column_size(result) <= 524288)
);

-- Sessions over SSH live in one server process: one that nobody keeps alive is over.
CREATE TABLE ssh_shells (
    session_id text PRIMARY KEY REFERENCES remote_sessions ON DELETE CASCADE,
    alive_at timestamptz NOT NULL DEFAULT now()
);
