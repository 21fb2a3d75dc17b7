-- Versions of the agent that the release key signed, and what became of them on the machines.

CREATE TABLE agent_release_keys (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    public_key bytea NOT NULL CHECK (length(public_key) = 32),
    trusted_at timestamptz NOT NULL DEFAULT now(),
    trusted_by bigint NOT NULL REFERENCES members
);

CREATE TABLE agent_releases (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    counter integer NOT NULL CONSTRAINT agent_releases_counter UNIQUE CHECK (counter > 0),
    version text NOT NULL CHECK (length(version) BETWEEN 3 AND 20),
    manifest text NOT NULL CHECK (length(manifest) <= 4000),
    signature bytea NOT NULL CHECK (length(signature) = 64),
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    content bytea NOT NULL CHECK (length(content) BETWEEN 1 AND 8388608),
    state text NOT NULL DEFAULT 'published' CHECK (state IN ('published', 'paused')),
    share integer NOT NULL DEFAULT 0 CHECK (share BETWEEN 0 AND 100),
    expires_at timestamptz NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    published_by bigint NOT NULL REFERENCES members
);
CREATE INDEX agent_releases_file ON agent_releases (sha256);

-- The last word of each machine about each release.
CREATE TABLE agent_release_results (
    release_id bigint NOT NULL REFERENCES agent_releases ON DELETE CASCADE,
    machine_id bigint NOT NULL REFERENCES machines ON DELETE CASCADE,
    state text NOT NULL CHECK (state IN ('refused', 'trial', 'confirmed', 'rolled_back')),
    reason text NOT NULL DEFAULT '' CHECK (length(reason) <= 500),
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (release_id, machine_id)
);
