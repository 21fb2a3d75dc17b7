-- A request may wait for its machine to come back: it is sent by then, or not at all. `why` is a word that says why a
-- request that waited was given up ("already_true", "expired", …; procedures.runs.absent).
ALTER TABLE run_attempts ADD COLUMN expires_at timestamptz;
ALTER TABLE run_attempts ADD COLUMN why text NOT NULL DEFAULT '' CHECK (length(why) <= 40);
ALTER TABLE run_attempts DROP CONSTRAINT run_attempts_state_check;
ALTER TABLE run_attempts ADD CONSTRAINT run_attempts_state_check
    CHECK (state IN ('open', 'queued', 'done', 'failed', 'refused', 'unreachable', 'abandoned'));
ALTER TABLE run_attempts ADD CONSTRAINT run_attempts_queued CHECK (state <> 'queued' OR expires_at IS NOT NULL);
CREATE UNIQUE INDEX run_attempts_one_queued ON run_attempts (run_step_id) WHERE state = 'queued';
CREATE INDEX run_attempts_queued_machine ON run_attempts (machine_id, requested_at) WHERE state = 'queued';
