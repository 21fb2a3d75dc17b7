-- Links between tickets, and which analysis a ticket's words were written with.

-- One link for each pair of tickets, whichever way: its kind says what `ticket_id` is to `other_id`.
CREATE TABLE ticket_links (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_id bigint NOT NULL REFERENCES tickets,
    other_id bigint NOT NULL REFERENCES tickets,
    kind text NOT NULL CHECK (kind IN ('related', 'duplicate_of', 'caused_by')),
    added_by bigint NOT NULL REFERENCES members,
    added_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ticket_links_self CHECK (ticket_id <> other_id)
);
CREATE UNIQUE INDEX ticket_links_pair ON ticket_links (least(ticket_id, other_id), greatest(ticket_id, other_id));
CREATE INDEX ticket_links_ticket ON ticket_links (ticket_id, id);
CREATE INDEX ticket_links_other ON ticket_links (other_id, id);

-- What is there was written with the first analysis: a constant default rewrites nothing, however many tickets there are.
-- A background job reads those of another version again, a few at a time (0: the title was changed).
ALTER TABLE tickets ADD COLUMN words_version smallint NOT NULL DEFAULT 1;
CREATE INDEX tickets_words_version ON tickets (words_version, id);
