-- What was written in chat sessions. ``key`` makes a line that comes twice one line: the page's own, or the agent's number.
CREATE TABLE chat_lines (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id text NOT NULL REFERENCES remote_sessions (id),
    member_id bigint REFERENCES members (id),
    person text NOT NULL DEFAULT '' CHECK (length(person) <= 80),
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 100),
    body text NOT NULL CHECK (length(body) BETWEEN 1 AND 2000),
    at timestamptz NOT NULL DEFAULT now(),
    shown_at timestamptz,
    UNIQUE (session_id, key),
    CHECK (member_id IS NULL OR person = '')
);
CREATE INDEX chat_lines_waiting ON chat_lines (session_id, id) WHERE shown_at IS NULL;
