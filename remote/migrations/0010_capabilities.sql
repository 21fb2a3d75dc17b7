-- A session is one capability; a tunnel leads to a target (host:port) that the client agrees to.
ALTER TABLE remote_sessions
    DROP CONSTRAINT remote_sessions_capability_check,
    ADD CONSTRAINT remote_sessions_capability_check
        CHECK (capability IN ('terminal', 'files', 'processes', 'logs', 'screen', 'chat', 'tunnel')),
    ADD COLUMN target text NOT NULL DEFAULT '' CHECK (length(target) <= 255),
    ADD CHECK ((target <> '') = (capability = 'tunnel'));
