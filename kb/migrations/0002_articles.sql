-- Articles after DITA troubleshooting: one row per article and language, its versions, who it helped, what names it.

CREATE TABLE articles (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    locale text NOT NULL CHECK (locale IN ('fr', 'en')),
    translates_id bigint REFERENCES articles (id), -- the article this one says in another language
    source text NOT NULL DEFAULT '', -- the collection it was imported from; '' for our own
    source_id text NOT NULL DEFAULT '',
    source_digest text NOT NULL DEFAULT '', -- of what was last imported
    gone_since timestamptz, -- no longer at its source since
    reviewed_at timestamptz, -- published, or found to be still right
    stale text[] NOT NULL DEFAULT '{}', -- why it is to be looked after, see Stale in kb/articles/model.py
    request_key text UNIQUE, -- a doubled request makes one article
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT articles_imported CHECK ((source = '') = (source_id = ''))
);
CREATE UNIQUE INDEX articles_source ON articles (source, source_id) WHERE source <> '';
CREATE INDEX articles_stale ON articles (id) WHERE stale <> '{}';
CREATE INDEX articles_translations ON articles (translates_id) WHERE translates_id IS NOT NULL;

-- A number is given when a version is published. Without an author it came from an import.
CREATE TABLE article_versions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    article_id bigint NOT NULL REFERENCES articles (id),
    number integer CHECK (number > 0),
    state text NOT NULL DEFAULT 'draft'
        CHECK (state IN ('draft', 'in_review', 'published', 'superseded', 'withdrawn', 'discarded')),
    digest text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 300),
    condition text NOT NULL DEFAULT '',
    solutions jsonb NOT NULL DEFAULT '[]',
    error_codes text[] NOT NULL DEFAULT '{}',
    applies_to text[] NOT NULL DEFAULT '{}',
    os text[] NOT NULL DEFAULT '{}',
    skills text[] NOT NULL DEFAULT '{}',
    procedures text[] NOT NULL DEFAULT '{}',
    known_error boolean NOT NULL DEFAULT false,
    workaround text NOT NULL DEFAULT '',
    licence text NOT NULL DEFAULT '',
    source_name text NOT NULL DEFAULT '',
    source_url text NOT NULL DEFAULT '',
    review_every integer NOT NULL DEFAULT 12 CHECK (review_every BETWEEN 1 AND 60), -- months
    author_id bigint REFERENCES members (id),
    editor_id bigint REFERENCES members (id),
    editor_ids bigint[] NOT NULL DEFAULT '{}', -- everyone who ever changed the text: none of them reviews it
    based_on bigint REFERENCES article_versions (id),
    remark text NOT NULL DEFAULT '', -- what the last reviewer asked for
    created_at timestamptz NOT NULL DEFAULT now(),
    edited_at timestamptz NOT NULL DEFAULT now(),
    submitted_at timestamptz,
    published_at timestamptz,
    published_by bigint REFERENCES members (id),
    ended_at timestamptz,
    ended_by bigint REFERENCES members (id),
    end_reason text NOT NULL DEFAULT '',
    CONSTRAINT article_versions_number UNIQUE (article_id, number),
    CONSTRAINT article_versions_numbered CHECK ((number IS NOT NULL) = (state IN ('published', 'superseded', 'withdrawn')))
);
CREATE UNIQUE INDEX article_versions_one_published ON article_versions (article_id) WHERE state = 'published';
CREATE UNIQUE INDEX article_versions_one_open ON article_versions (article_id) WHERE state IN ('draft', 'in_review');
CREATE INDEX article_versions_by_title ON article_versions (lower(title), id) WHERE state = 'published';
CREATE INDEX article_versions_edited ON article_versions (edited_at DESC) WHERE state IN ('draft', 'in_review');

CREATE FUNCTION article_versions_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'a published version is never deleted' USING CONSTRAINT = 'article_versions_frozen', ERRCODE = '23514';
    END IF;
    IF (NEW.number, NEW.digest, NEW.article_id, NEW.title, NEW.condition, NEW.solutions, NEW.error_codes, NEW.applies_to,
            NEW.os, NEW.skills, NEW.procedures, NEW.known_error, NEW.workaround, NEW.licence, NEW.source_name,
            NEW.source_url, NEW.review_every)
        IS DISTINCT FROM (OLD.number, OLD.digest, OLD.article_id, OLD.title, OLD.condition, OLD.solutions,
            OLD.error_codes, OLD.applies_to, OLD.os, OLD.skills, OLD.procedures, OLD.known_error, OLD.workaround,
            OLD.licence, OLD.source_name, OLD.source_url, OLD.review_every) THEN
        RAISE EXCEPTION 'a published version never changes' USING CONSTRAINT = 'article_versions_frozen', ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER article_versions_frozen BEFORE UPDATE OR DELETE ON article_versions
    FOR EACH ROW WHEN (OLD.number IS NOT NULL) EXECUTE FUNCTION article_versions_frozen();

-- Did it help? One word per member, article and ticket (none: outside of any ticket), which may be changed.
CREATE TABLE article_feedback (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    article_id bigint NOT NULL REFERENCES articles (id),
    member_id bigint NOT NULL REFERENCES members (id),
    ticket_id bigint,
    number integer NOT NULL, -- of the version that was read
    solved boolean NOT NULL,
    note text NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT article_feedback_one UNIQUE NULLS NOT DISTINCT (article_id, member_id, ticket_id)
);

-- What belongs together: the ticket it was written from, procedures made from it, texts that name it.
CREATE TABLE article_links (
    article_id bigint NOT NULL REFERENCES articles (id),
    kind text NOT NULL CHECK (kind IN ('article', 'ticket', 'procedure')),
    ref text NOT NULL CHECK (length(ref) BETWEEN 1 AND 100),
    why text NOT NULL CHECK (why IN ('origin', 'mention', 'procedure')),
    label text NOT NULL DEFAULT '',
    url text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (article_id, kind, ref, why)
);
CREATE INDEX article_links_ref ON article_links (kind, ref);

CREATE TABLE article_files (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    article_id bigint NOT NULL REFERENCES articles (id),
    sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
    media_type text NOT NULL,
    bytes integer NOT NULL CHECK (bytes > 0),
    member_id bigint NOT NULL REFERENCES members (id),
    added_at timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz -- no longer listed; older versions may still show it
);
CREATE UNIQUE INDEX article_files_once ON article_files (article_id, sha256) WHERE removed_at IS NULL;
CREATE INDEX article_files_article ON article_files (article_id, id);
