-- What members asked, and what they did with the answer: personal data, kept for a bounded time (kb/learning/model.py).
-- One row for each member, question and day; member_id is emptied when they clear their history.
CREATE TABLE learned_questions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    member_id bigint REFERENCES members (id),
    text text NOT NULL CHECK (length(text) BETWEEN 1 AND 256),
    norm text NOT NULL CHECK (length(norm) BETWEEN 1 AND 512), -- without accents, capitals and punctuation
    results integer CHECK (results >= 0), -- none: it was asked with filters, so nothing found means nothing
    times integer NOT NULL DEFAULT 1,
    asked_on date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date,
    asked_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT learned_questions_once UNIQUE (member_id, norm, asked_on)
);
CREATE INDEX learned_questions_recent ON learned_questions (member_id, asked_at DESC);
CREATE INDEX learned_questions_misses ON learned_questions (norm, asked_at) WHERE results = 0;
CREATE INDEX learned_questions_norm ON learned_questions (norm);
CREATE INDEX learned_questions_age ON learned_questions (asked_at);

-- Which document a question led to, once however often it was clicked; the run that followed, and how it ended.
CREATE TABLE learned_uses (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    question_id bigint NOT NULL REFERENCES learned_questions (id) ON DELETE CASCADE,
    document text NOT NULL CHECK (length(document) BETWEEN 3 AND 250), -- "procedure:imp-001.fr"
    opened_at timestamptz NOT NULL DEFAULT now(),
    run_id bigint,
    ending text NOT NULL DEFAULT '' CHECK (ending IN ('', 'well', 'badly')),
    ended_at timestamptz,
    CONSTRAINT learned_uses_once UNIQUE (question_id, document)
);
CREATE INDEX learned_uses_document ON learned_uses (document, opened_at DESC);
CREATE INDEX learned_uses_run ON learned_uses (run_id) WHERE run_id IS NOT NULL;

-- Questions without an answer that a reviewer has dealt with; asked again later, they come back.
CREATE TABLE learned_misses_done (
    norm text PRIMARY KEY CHECK (length(norm) BETWEEN 1 AND 512),
    member_id bigint NOT NULL REFERENCES members (id),
    done_at timestamptz NOT NULL DEFAULT now()
);

-- Searches that a member keeps under a name; `query` is the part of the search page's address after the question mark.
CREATE TABLE saved_searches (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    member_id bigint NOT NULL REFERENCES members (id),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
    query text NOT NULL CHECK (length(query) BETWEEN 1 AND 1000),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX saved_searches_name ON saved_searches (member_id, lower(name));
