-- Groups of words of equal meaning. A version is one wording of a group; a proposal is a version nobody has judged yet.
CREATE TABLE synonym_groups (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- `removes`: its approval ends the group. The number is given with the approval, so numbers have no gaps.
CREATE TABLE synonym_versions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    group_id bigint NOT NULL REFERENCES synonym_groups (id),
    number integer CHECK (number > 0),
    state text NOT NULL DEFAULT 'proposed'
        CHECK (state IN ('proposed', 'published', 'superseded', 'withdrawn', 'refused', 'taken_back')),
    locale text NOT NULL CHECK (locale IN ('', 'fr', 'en')), -- "": both languages
    words text[] NOT NULL CHECK (cardinality(words) BETWEEN 2 AND 12),
    removes boolean NOT NULL DEFAULT false,
    reason text NOT NULL CHECK (length(reason) BETWEEN 3 AND 500),
    author_id bigint NOT NULL REFERENCES members (id),
    based_on bigint REFERENCES synonym_versions (id),
    request_key uuid,
    decided_by bigint REFERENCES members (id),
    decided_at timestamptz,
    remark text NOT NULL DEFAULT '' CHECK (length(remark) <= 500),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT synonym_versions_number UNIQUE (group_id, number),
    CONSTRAINT synonym_versions_request UNIQUE (author_id, request_key),
    CONSTRAINT synonym_versions_numbered CHECK ((number IS NOT NULL) = (state IN ('published', 'superseded', 'withdrawn'))),
    CONSTRAINT synonym_versions_judged CHECK ((decided_by IS NULL) = (state = 'proposed')),
    -- Nobody approves or refuses what they wrote; taking back is the author's own.
    CONSTRAINT synonym_versions_independent CHECK (decided_by IS NULL OR (decided_by = author_id) = (state = 'taken_back'))
);
CREATE UNIQUE INDEX synonym_versions_one_published ON synonym_versions (group_id) WHERE state = 'published';
CREATE UNIQUE INDEX synonym_versions_one_proposed ON synonym_versions (group_id) WHERE state = 'proposed';
CREATE INDEX synonym_versions_waiting ON synonym_versions (created_at) WHERE state = 'proposed';

-- How the words of the groups in force read (kb.search.analysis), language by language: no reading is in two groups.
CREATE TABLE synonym_readings (
    locale text NOT NULL CHECK (locale IN ('fr', 'en')),
    reading text NOT NULL,
    group_id bigint NOT NULL REFERENCES synonym_groups (id),
    CONSTRAINT synonym_readings_one_group PRIMARY KEY (locale, reading)
);
CREATE INDEX synonym_readings_group ON synonym_readings (group_id);
