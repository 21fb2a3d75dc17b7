-- A terminal on a device ends with the server process that held it: that has words of its own.

ALTER TABLE remote_sessions DROP CONSTRAINT remote_sessions_end_reason_check;
ALTER TABLE remote_sessions ADD CONSTRAINT remote_sessions_end_reason_check CHECK (
    end_reason IN (
        'member', 'client', 'ticket', 'refused', 'no_answer', 'offline', 'exit', 'lost', 'revoked', 'full', 'restarted'
    )
);
