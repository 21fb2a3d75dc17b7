-- Tickets, their conversation, their states, calls for an expert, and how they were closed.

CREATE TABLE tickets (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client_id bigint NOT NULL REFERENCES clients,
    site_id bigint REFERENCES sites ON DELETE SET NULL,
    machine_id bigint REFERENCES machines,
    -- Who called, as said on the phone: the contact may be renamed or removed later, the ticket keeps what was said.
    caller_name text NOT NULL DEFAULT '' CHECK (length(caller_name) <= 120),
    caller_phone text NOT NULL DEFAULT '' CHECK (length(caller_phone) <= 40),
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
    symptom text NOT NULL DEFAULT '' CHECK (length(symptom) <= 20000),
    impact text NOT NULL CHECK (impact IN ('low', 'medium', 'high')),
    urgency text NOT NULL CHECK (urgency IN ('low', 'medium', 'high')),
    priority smallint NOT NULL CHECK (priority BETWEEN 1 AND 5),
    state text NOT NULL DEFAULT 'new' CHECK (state IN
        ('new', 'assigned', 'in_progress', 'waiting_client', 'waiting_third_party', 'resolved', 'closed')),
    owner_id bigint REFERENCES members,
    skill text REFERENCES skills ON UPDATE CASCADE,
    departement text NOT NULL DEFAULT '' CHECK (length(departement) <= 3),
    opened_by bigint NOT NULL REFERENCES members,
    follows_id bigint REFERENCES tickets,
    -- Made by the form: sending it twice opens one ticket.
    request_key uuid CONSTRAINT tickets_request_key UNIQUE,
    revision integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    -- Lexemes (kb.search's analysis) of title, symptom and every message: one index finds a ticket by all of them.
    words tsvector NOT NULL DEFAULT '',
    CONSTRAINT tickets_owned CHECK (owner_id IS NOT NULL OR state IN ('new', 'closed', 'waiting_client', 'waiting_third_party')),
    CONSTRAINT tickets_closed CHECK ((state = 'closed') = (closed_at IS NOT NULL))
);
CREATE INDEX tickets_updated ON tickets (updated_at DESC, id DESC);
CREATE INDEX tickets_created ON tickets (created_at DESC, id DESC);
CREATE INDEX tickets_priority ON tickets (priority, id);
CREATE INDEX tickets_open_updated ON tickets (updated_at DESC, id DESC) WHERE state NOT IN ('resolved', 'closed');
CREATE INDEX tickets_open_priority ON tickets (priority, id) WHERE state NOT IN ('resolved', 'closed');
CREATE INDEX tickets_open_client ON tickets (client_id, updated_at DESC) WHERE state NOT IN ('resolved', 'closed');
CREATE INDEX tickets_client ON tickets (client_id, updated_at DESC, id DESC);
CREATE INDEX tickets_owner ON tickets (owner_id, updated_at DESC, id DESC);
CREATE INDEX tickets_machine ON tickets (machine_id, id DESC) WHERE machine_id IS NOT NULL;
CREATE INDEX tickets_state ON tickets (state, updated_at DESC, id DESC);
CREATE INDEX tickets_departement ON tickets (departement, updated_at DESC, id DESC);
CREATE INDEX tickets_departement_skill ON tickets (departement, skill, updated_at DESC, id DESC) WHERE skill IS NOT NULL;
CREATE INDEX tickets_skill ON tickets (skill, updated_at DESC, id DESC) WHERE skill IS NOT NULL;
CREATE INDEX tickets_words ON tickets USING gin (words);
CREATE INDEX tickets_title ON tickets USING gin (title gin_trgm_ops);

-- One row for each stay in a state. A row is written once and ended once; nothing else ever changes.
CREATE TABLE ticket_states (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_id bigint NOT NULL REFERENCES tickets,
    state text NOT NULL,
    entered_at timestamptz NOT NULL DEFAULT now(),
    left_at timestamptz CHECK (left_at >= entered_at),
    member_id bigint NOT NULL REFERENCES members,
    reason text NOT NULL DEFAULT '' CHECK (length(reason) <= 500)
);
CREATE INDEX ticket_states_ticket ON ticket_states (ticket_id, id);
CREATE UNIQUE INDEX ticket_states_one_open ON ticket_states (ticket_id) WHERE left_at IS NULL;

CREATE FUNCTION ticket_states_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.left_at IS NULL AND NEW.left_at IS NOT NULL
        AND (OLD.id, OLD.ticket_id, OLD.state, OLD.entered_at, OLD.member_id, OLD.reason)
          = (NEW.id, NEW.ticket_id, NEW.state, NEW.entered_at, NEW.member_id, NEW.reason) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the log of a ticket''s states is never rewritten';
END $$;
CREATE TRIGGER ticket_states_kept BEFORE UPDATE OR DELETE ON ticket_states
    FOR EACH ROW EXECUTE FUNCTION ticket_states_kept();

CREATE TABLE ticket_messages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_id bigint NOT NULL REFERENCES tickets,
    member_id bigint NOT NULL REFERENCES members,
    visibility text NOT NULL CHECK (visibility IN ('public', 'internal')),
    body text NOT NULL CHECK (length(body) BETWEEN 1 AND 20000),
    request_key uuid CONSTRAINT ticket_messages_request_key UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ticket_messages_ticket ON ticket_messages (ticket_id, id);

-- What else happened (owner, priority, machine …), for the ticket's timeline.
CREATE TABLE ticket_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_id bigint NOT NULL REFERENCES tickets,
    member_id bigint REFERENCES members,
    kind text NOT NULL CHECK (length(kind) <= 40),
    details jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ticket_changes_ticket ON ticket_changes (ticket_id, id);

CREATE TABLE ticket_collaborators (
    ticket_id bigint NOT NULL REFERENCES tickets,
    member_id bigint NOT NULL REFERENCES members,
    added_by bigint NOT NULL REFERENCES members,
    added_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (ticket_id, member_id)
);
CREATE INDEX ticket_collaborators_member ON ticket_collaborators (member_id, ticket_id);

CREATE TABLE ticket_time (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_id bigint NOT NULL REFERENCES tickets,
    member_id bigint NOT NULL REFERENCES members,
    minutes integer NOT NULL CHECK (minutes BETWEEN 1 AND 1440),
    note text NOT NULL DEFAULT '' CHECK (length(note) <= 500),
    request_key uuid CONSTRAINT ticket_time_request_key UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ticket_time_ticket ON ticket_time (ticket_id, id);

-- Who has the page open, who is typing: not worth a write-ahead log, gone after a crash.
CREATE UNLOGGED TABLE ticket_presence (
    ticket_id bigint NOT NULL,
    member_id bigint NOT NULL,
    seen_at timestamptz NOT NULL,
    typing_at timestamptz,
    PRIMARY KEY (ticket_id, member_id)
);

CREATE TABLE ticket_filters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    member_id bigint NOT NULL REFERENCES members ON DELETE CASCADE,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 60),
    query text NOT NULL CHECK (length(query) <= 1000),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ticket_filters_name UNIQUE (member_id, name)
);

-- A call for an expert. Circles widen until somebody accepts; the first acceptance wins.
CREATE TABLE escalations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_id bigint NOT NULL REFERENCES tickets,
    run_id bigint REFERENCES runs,
    step_id text CHECK (length(step_id) <= 64),
    session_id text REFERENCES remote_sessions,
    skill text NOT NULL REFERENCES skills ON UPDATE CASCADE,
    departement text NOT NULL DEFAULT '',
    question text NOT NULL DEFAULT '' CHECK (length(question) <= 2000),
    asked_by bigint NOT NULL REFERENCES members,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'accepted', 'cancelled')),
    circle smallint NOT NULL DEFAULT 0,
    widen_at timestamptz,
    accepted_by bigint REFERENCES members,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    CONSTRAINT escalations_accepted CHECK ((state = 'accepted') = (accepted_by IS NOT NULL)),
    CONSTRAINT escalations_ended CHECK ((state = 'open') = (ended_at IS NULL))
);
CREATE UNIQUE INDEX escalations_one_open ON escalations (ticket_id, skill) WHERE state = 'open';
CREATE INDEX escalations_ticket ON escalations (ticket_id, id);

CREATE TABLE escalation_offers (
    escalation_id bigint NOT NULL REFERENCES escalations,
    member_id bigint NOT NULL REFERENCES members,
    circle smallint NOT NULL,
    score integer NOT NULL,
    reasons jsonb NOT NULL,
    state text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'accepted', 'declined', 'lapsed')),
    answer text NOT NULL DEFAULT '' CHECK (length(answer) <= 500),
    asked_at timestamptz NOT NULL DEFAULT now(),
    answered_at timestamptz,
    PRIMARY KEY (escalation_id, member_id)
);
CREATE INDEX escalation_offers_asked ON escalation_offers (member_id) WHERE state = 'asked';

-- What the agent said of a run's result when the ticket was about to be closed.
CREATE TABLE ticket_verifications (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_id bigint NOT NULL REFERENCES tickets,
    run_id bigint NOT NULL REFERENCES runs,
    member_id bigint NOT NULL REFERENCES members,
    state text NOT NULL CHECK (state IN ('passed', 'failed', 'unavailable', 'nothing')),
    checks jsonb NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ticket_verifications_ticket ON ticket_verifications (ticket_id, run_id, id DESC);

CREATE TABLE ticket_closings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_id bigint NOT NULL REFERENCES tickets,
    member_id bigint NOT NULL REFERENCES members,
    resolution text NOT NULL CHECK (length(resolution) BETWEEN 1 AND 5000),
    justification text NOT NULL DEFAULT '' CHECK (length(justification) <= 2000),
    verdict text NOT NULL CHECK (verdict IN ('correct', 'wrong', 'missing', 'none')),
    remark text NOT NULL DEFAULT '' CHECK (length(remark) <= 5000),
    run_id bigint REFERENCES runs,
    draft_id bigint REFERENCES procedure_versions,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX ticket_closings_ticket ON ticket_closings (ticket_id);

ALTER TABLE runs ADD CONSTRAINT runs_ticket_fk FOREIGN KEY (ticket_id) REFERENCES tickets;
ALTER TABLE remote_sessions ADD CONSTRAINT remote_sessions_ticket_fk FOREIGN KEY (ticket_id) REFERENCES tickets;
