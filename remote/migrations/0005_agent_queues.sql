-- What agents tell from their queues, exactly once: how far each queue was read. In the same transaction as what it says.
CREATE TABLE agent_queues (
    machine_id bigint PRIMARY KEY REFERENCES machines ON DELETE CASCADE,
    queue text NOT NULL CHECK (length(queue) BETWEEN 8 AND 36),
    number bigint NOT NULL CHECK (number > 0),
    at timestamptz NOT NULL DEFAULT now()
);

-- The hash of the last line of the agent's own record when it was told: a record rewritten later does not contain it.
ALTER TABLE machines ADD COLUMN audit_head text CHECK (audit_head ~ '^[0-9a-f]{64}$');
ALTER TABLE machines ADD COLUMN audit_head_at timestamptz;

-- A server process that agents are connected to. Ten thousand machines are present by one row that says that their
-- server is alive: `machines.online` and `machines.node` move only when an agent comes or goes.
CREATE TABLE agent_nodes (
    id uuid PRIMARY KEY,
    alive_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE machines ADD COLUMN node uuid;
UPDATE machines SET online = false WHERE online;
