-- The library: one document per code and language, its versions, and what reviewers said about them.

CREATE TABLE procedure_documents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL CONSTRAINT procedure_documents_code CHECK (code ~ '^[a-z][a-z0-9]*(-[a-z0-9]+)*$' AND length(code) <= 64),
    locale text NOT NULL CHECK (locale IN ('fr', 'en')),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT procedure_documents_unique UNIQUE (code, locale)
);

-- A version's number is given when it is published, so numbers have no gaps and their order is the order of publication.
-- The columns after `text` repeat what the text says, for lists and filters; they are written together with it.
CREATE TABLE procedure_versions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    document_id bigint NOT NULL REFERENCES procedure_documents (id),
    number integer CHECK (number > 0),
    state text NOT NULL DEFAULT 'draft'
        CHECK (state IN ('draft', 'in_review', 'published', 'superseded', 'withdrawn', 'discarded')),
    digest text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
    text text NOT NULL CHECK (octet_length(text) <= 262144),
    title text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('install', 'repair', 'check', 'environment')),
    applies_to text[] NOT NULL DEFAULT '{}',
    skills text[] NOT NULL DEFAULT '{}',
    risk text NOT NULL DEFAULT 'low',
    author_id bigint NOT NULL REFERENCES members (id),
    editor_id bigint NOT NULL REFERENCES members (id),
    editor_ids bigint[] NOT NULL, -- everyone who ever changed the text: none of them judges it
    based_on bigint REFERENCES procedure_versions (id),
    reason text NOT NULL DEFAULT '',
    evidence jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    edited_at timestamptz NOT NULL DEFAULT now(),
    submitted_at timestamptz,
    published_at timestamptz,
    published_by bigint REFERENCES members (id),
    ended_at timestamptz,
    ended_by bigint REFERENCES members (id),
    end_reason text NOT NULL DEFAULT '',
    CONSTRAINT procedure_versions_number UNIQUE (document_id, number),
    CONSTRAINT procedure_versions_numbered CHECK ((number IS NOT NULL) = (state IN ('published', 'superseded', 'withdrawn')))
);
CREATE UNIQUE INDEX procedure_versions_one_published ON procedure_versions (document_id) WHERE state = 'published';
CREATE INDEX procedure_versions_open ON procedure_versions (document_id, edited_at DESC) WHERE state IN ('draft', 'in_review');
CREATE INDEX procedure_versions_by_title ON procedure_versions (lower(title), id) WHERE state = 'published';

CREATE FUNCTION procedure_versions_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.number IS NOT NULL AND (
        NEW.number IS DISTINCT FROM OLD.number OR NEW.digest <> OLD.digest OR NEW.text <> OLD.text
        OR NEW.document_id <> OLD.document_id
    ) THEN
        RAISE EXCEPTION 'a published version never changes' USING CONSTRAINT = 'procedure_versions_frozen', ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER procedure_versions_frozen BEFORE UPDATE ON procedure_versions
    FOR EACH ROW EXECUTE FUNCTION procedure_versions_frozen();

CREATE FUNCTION procedure_versions_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a published version is never deleted' USING CONSTRAINT = 'procedure_versions_frozen', ERRCODE = '23514';
END $$;
CREATE TRIGGER procedure_versions_kept BEFORE DELETE ON procedure_versions
    FOR EACH ROW WHEN (OLD.number IS NOT NULL) EXECUTE FUNCTION procedure_versions_kept();

-- A decision is about one exact text: when the text changes, it no longer counts.
CREATE TABLE procedure_reviews (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version_id bigint NOT NULL REFERENCES procedure_versions (id),
    digest text NOT NULL,
    member_id bigint NOT NULL REFERENCES members (id),
    decision text NOT NULL CHECK (decision IN ('approve', 'changes')),
    comment text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX procedure_reviews_version ON procedure_reviews (version_id, id);

CREATE TABLE procedure_comments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version_id bigint NOT NULL REFERENCES procedure_versions (id),
    step_id text,
    member_id bigint NOT NULL REFERENCES members (id),
    body text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    resolved_by bigint REFERENCES members (id)
);
CREATE INDEX procedure_comments_version ON procedure_comments (version_id, id);

-- Runs: pinned to a version. machine_id and ticket_id get their foreign keys from the packages that own those tables.
-- `revision` counts every change: whoever acts names the revision they saw, and only the first of two wins.
CREATE TABLE runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version_id bigint NOT NULL REFERENCES procedure_versions (id),
    machine_id bigint,
    ticket_id bigint,
    parent_id bigint REFERENCES runs (id),
    parent_step text,
    started_by bigint NOT NULL REFERENCES members (id),
    member_id bigint NOT NULL REFERENCES members (id),
    parameters jsonb NOT NULL DEFAULT '{}',
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'completed', 'abandoned')),
    current_step text,
    revision integer NOT NULL DEFAULT 1,
    started_at timestamptz NOT NULL DEFAULT now(),
    touched_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    end_reason text NOT NULL DEFAULT '',
    result jsonb,
    CONSTRAINT runs_current CHECK ((state = 'active') = (ended_at IS NULL))
);
CREATE INDEX runs_ticket ON runs (ticket_id, id) WHERE ticket_id IS NOT NULL;
CREATE INDEX runs_machine ON runs (machine_id, id) WHERE machine_id IS NOT NULL;
CREATE INDEX runs_member ON runs (member_id, touched_at DESC) WHERE state = 'active';
CREATE INDEX runs_ended ON runs (ended_at DESC) WHERE state <> 'active';
CREATE INDEX runs_version ON runs (version_id);
CREATE INDEX runs_parent ON runs (parent_id) WHERE parent_id IS NOT NULL;

-- One row for each visit of a step: going back to a step makes a new row. The open visit is the one without an outcome.
CREATE TABLE run_steps (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id bigint NOT NULL REFERENCES runs (id),
    ordinal integer NOT NULL CHECK (ordinal > 0),
    step_id text NOT NULL,
    outcome text CHECK (outcome IN ('done', 'already_true', 'failed', 'skipped')),
    deviation boolean NOT NULL DEFAULT false,
    justification text NOT NULL DEFAULT '',
    attested_by bigint REFERENCES members (id),
    verified_by bigint,
    seconds integer NOT NULL DEFAULT 0 CHECK (seconds >= 0),
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    CONSTRAINT run_steps_order UNIQUE (run_id, ordinal),
    CONSTRAINT run_steps_ended CHECK ((outcome IS NULL) = (ended_at IS NULL)),
    CONSTRAINT run_steps_by CHECK (outcome IS NULL OR attested_by IS NOT NULL OR verified_by IS NOT NULL)
);
CREATE UNIQUE INDEX run_steps_one_open ON run_steps (run_id) WHERE outcome IS NULL;

-- Committed before the agent is asked: after a crash these rows say what may have been running.
CREATE TABLE run_attempts (
    id uuid PRIMARY KEY,
    run_id bigint NOT NULL REFERENCES runs (id),
    run_step_id bigint REFERENCES run_steps (id), -- none: the procedure's result
    phase text NOT NULL CHECK (phase IN ('check', 'execute', 'verify')),
    member_id bigint NOT NULL REFERENCES members (id),
    machine_id bigint NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'failed', 'refused', 'unreachable', 'abandoned')),
    output text NOT NULL DEFAULT '',
    exit_code bigint, -- Windows' are unsigned 32-bit numbers
    checks jsonb NOT NULL DEFAULT '[]',
    requested_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    ended_at timestamptz,
    CONSTRAINT run_attempts_result CHECK (run_step_id IS NOT NULL OR phase = 'verify')
);
CREATE INDEX run_attempts_run ON run_attempts (run_id, requested_at);
CREATE UNIQUE INDEX run_attempts_one_open ON run_attempts (run_step_id) WHERE state = 'open';
CREATE UNIQUE INDEX run_attempts_one_open_result ON run_attempts (run_id) WHERE state = 'open' AND run_step_id IS NULL;

CREATE TABLE run_evidence (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id bigint NOT NULL REFERENCES runs (id),
    run_step_id bigint REFERENCES run_steps (id),
    member_id bigint NOT NULL REFERENCES members (id),
    kind text NOT NULL CHECK (kind IN ('note', 'output', 'picture')),
    body text NOT NULL DEFAULT '',
    sha256 text,
    media_type text,
    bytes integer,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT run_evidence_picture CHECK ((kind = 'picture') = (sha256 IS NOT NULL))
);
CREATE INDEX run_evidence_run ON run_evidence (run_id, id);

CREATE TABLE run_handovers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id bigint NOT NULL REFERENCES runs (id),
    from_id bigint NOT NULL REFERENCES members (id),
    to_id bigint NOT NULL REFERENCES members (id),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX run_handovers_run ON run_handovers (run_id, id);
