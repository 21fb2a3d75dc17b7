-- Collections of documents that were brought in: where from, under which licence, and how each import went.
-- The articles themselves, and what is gone from a source, are in articles (source = import_sources.name).

CREATE TABLE import_sources (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL CONSTRAINT import_sources_name UNIQUE CHECK (length(name) BETWEEN 1 AND 120),
    format text NOT NULL CHECK (length(format) BETWEEN 1 AND 40),
    locale text NOT NULL DEFAULT '' CHECK (locale IN ('', 'fr', 'en')), -- '' : as the documents say
    licence text NOT NULL CHECK (length(licence) BETWEEN 1 AND 200),
    created_by bigint NOT NULL REFERENCES members (id),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE import_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_id integer NOT NULL REFERENCES import_sources (id),
    kind text NOT NULL CHECK (kind IN ('folder', 'archive', 'withdrawal')),
    label text NOT NULL DEFAULT '' CHECK (length(label) <= 400), -- the folder or the file's name
    state text NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'interrupted')),
    total integer NOT NULL DEFAULT 0 CHECK (total >= 0), -- documents to take
    done integer NOT NULL DEFAULT 0 CHECK (done >= 0),
    added integer NOT NULL DEFAULT 0,
    changed integer NOT NULL DEFAULT 0,
    unchanged integer NOT NULL DEFAULT 0,
    proposed integer NOT NULL DEFAULT 0, -- members had changed our text: the new one waits for a review
    removed integer NOT NULL DEFAULT 0, -- gone from the source, or withdrawn
    skipped integer NOT NULL DEFAULT 0,
    problem text NOT NULL DEFAULT '', -- an English msgid, filled with problem_params after translation
    problem_params jsonb NOT NULL DEFAULT '{}',
    started_by bigint NOT NULL REFERENCES members (id),
    started_at timestamptz NOT NULL DEFAULT now(),
    touched_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
CREATE INDEX import_runs_source ON import_runs (source_id, id DESC);
CREATE UNIQUE INDEX import_runs_one_queued ON import_runs (source_id) WHERE state = 'queued';

-- Why a file gave no article; kept for the last runs of a source.
CREATE TABLE import_skips (
    run_id bigint NOT NULL REFERENCES import_runs (id) ON DELETE CASCADE,
    path text NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL DEFAULT ''
);
CREATE INDEX import_skips_run ON import_skips (run_id);

-- An archive that was sent, until its import ends.
CREATE TABLE import_uploads (
    run_id bigint PRIMARY KEY REFERENCES import_runs (id) ON DELETE CASCADE,
    content bytea NOT NULL
);
