-- Recordings end: after so many days, the default or the client's own, with a proof of what was erased; never while held.

CREATE TABLE recording_retention (
    client_id bigint PRIMARY KEY REFERENCES clients,
    days integer NOT NULL CHECK (days BETWEEN 1 AND 3650),
    set_by bigint NOT NULL REFERENCES members,
    set_at timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE recordings DROP CONSTRAINT recordings_state_check;
ALTER TABLE recordings ADD CONSTRAINT recordings_state_check
    CHECK (state IN ('recording', 'complete', 'failed', 'erasing', 'erased'));
ALTER TABLE recordings
    ADD COLUMN held_by bigint REFERENCES members,
    ADD COLUMN held_at timestamptz,
    ADD COLUMN hold_reason text NOT NULL DEFAULT '' CHECK (length(hold_reason) <= 300),
    ADD COLUMN erased_at timestamptz,
    ADD COLUMN erased_after integer,
    ADD COLUMN erased_digest text NOT NULL DEFAULT '' CHECK (length(erased_digest) <= 64),
    ADD CHECK ((held_at IS NULL) = (held_by IS NULL)),
    ADD CHECK (state NOT IN ('erasing', 'erased') OR (held_at IS NULL AND transcript = '' AND words = '' AND moments = '{}')),
    ADD CHECK ((state = 'erased') = (erased_at IS NOT NULL));
CREATE INDEX recordings_ended ON recordings (ended_at) WHERE state IN ('complete', 'failed') AND held_at IS NULL;
CREATE INDEX recordings_erasing ON recordings (session_id) WHERE state = 'erasing';
