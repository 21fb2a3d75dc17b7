-- Machines and recordings in the search.

-- One line of everything a machine is called by, without case and accents; each word stands after a space, so that
-- fragments and beginnings are found alike. Facts come from agents and are bounded on arrival; MAC addresses also stand
-- without their colons. IMMUTABLE although unaccent() is not said to be: its dictionary comes with PostgreSQL.
CREATE FUNCTION machine_search_text(name text, hostname text, os text, facts jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT AS $$
    SELECT left(' ' || lower(unaccent(concat_ws(' ',
        name, hostname, os, facts ->> 'os_name', facts ->> 'vendor', facts ->> 'model', facts ->> 'serial',
        (SELECT string_agg(concat_ws(' ', card ->> 'mac', regexp_replace(card ->> 'mac', '[^0-9A-Fa-f]', '', 'g'),
            (SELECT string_agg(address, ' ') FROM jsonb_array_elements_text(
                CASE jsonb_typeof(card -> 'addresses') WHEN 'array' THEN card -> 'addresses' ELSE '[]' END) address)), ' ')
         FROM jsonb_array_elements(
            CASE jsonb_typeof(facts -> 'network') WHEN 'array' THEN facts -> 'network' ELSE '[]' END) card)
    ))) || ' ', 8000)
$$;
-- Machines are thousands: filling the column takes seconds at most, and from then on the row does it by itself.
ALTER TABLE machines ADD COLUMN search text GENERATED ALWAYS AS (machine_search_text(name, hostname, os, facts)) STORED;
CREATE INDEX machines_search ON machines USING gin (search gin_trgm_ops);

-- Lexemes (kb.search's analysis) of the transcript, written when the recording ends; `words_version` is the analysis they
-- were made with, 0 for none. What has an older one is read again, a few at a time, by a background job: recordings made
-- before this migration, and all of them once the analysis changes. `moments`: for each line of the transcript the second
-- of the replay at which it was written; empty where that is not known.
ALTER TABLE recordings ADD COLUMN words tsvector NOT NULL DEFAULT '';
ALTER TABLE recordings ADD COLUMN words_version smallint NOT NULL DEFAULT 0;
ALTER TABLE recordings ADD COLUMN moments integer[] NOT NULL DEFAULT '{}';
CREATE INDEX recordings_words ON recordings USING gin (words);
CREATE INDEX recordings_words_version ON recordings (words_version, session_id) WHERE state <> 'recording';
