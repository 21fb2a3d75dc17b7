-- Several server processes on one database: what they tell one another.
-- Read and deleted by the node it is for; what it tells is said again after a loss (agents reconnect, questions end).
CREATE UNLOGGED TABLE node_mail (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('tell', 'answer', 'gone', 'step')),
    machine_id bigint NOT NULL DEFAULT 0,
    key text NOT NULL DEFAULT '' CHECK (length(key) <= 100),
    origin uuid NOT NULL,
    body text NOT NULL DEFAULT '' CHECK (octet_length(body) <= 300000),
    posted_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX node_mail_node ON node_mail (node, id);

-- When a server process last had the agent's connection of an open session.
ALTER TABLE remote_sessions ADD COLUMN held_at timestamptz;
