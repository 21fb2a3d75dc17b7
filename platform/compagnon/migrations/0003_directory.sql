-- How names, towns and searches are compared: no case, no accents, words separated by one space.
CREATE FUNCTION directory_fold(raw text) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT trim(regexp_replace(lower(unaccent(raw)), '[^a-z0-9]+', ' ', 'g'))
$$;

CREATE TABLE clients (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('company', 'person')),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    notes text NOT NULL DEFAULT '' CHECK (length(notes) <= 10000),
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- Folded name, contacts, towns, postcodes, mails and the phones' digits, each word after a space; see
    -- client_search_text. Kept by the store after every change of a client or of what hangs on it.
    search text NOT NULL DEFAULT ''
);
CREATE INDEX clients_search ON clients USING gin (search gin_trgm_ops) WHERE active;
CREATE INDEX clients_name ON clients (name) WHERE active;

CREATE TABLE sites (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client_id bigint NOT NULL REFERENCES clients ON DELETE CASCADE,
    label text NOT NULL DEFAULT '' CHECK (length(label) <= 120),
    address text NOT NULL DEFAULT '' CHECK (length(address) <= 300),
    postcode text NOT NULL DEFAULT '' CHECK (length(postcode) <= 12),
    town text NOT NULL CHECK (length(town) BETWEEN 1 AND 120),
    departement text NOT NULL CHECK (departement ~ '^(0[1-9]|[1-8][0-9]|9[0-5]|2A|2B|97[1-6]|98[4-8])$')
);
CREATE INDEX sites_client ON sites (client_id);
CREATE INDEX sites_departement ON sites (departement);

CREATE TABLE contacts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client_id bigint NOT NULL REFERENCES clients ON DELETE CASCADE,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
    job text NOT NULL DEFAULT '' CHECK (length(job) <= 120)
);
CREATE INDEX contacts_client ON contacts (client_id);

CREATE TABLE client_phones (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client_id bigint NOT NULL REFERENCES clients ON DELETE CASCADE,
    contact_id bigint REFERENCES contacts ON DELETE CASCADE,
    number text NOT NULL CHECK (length(number) <= 40),
    digits text NOT NULL CHECK (digits ~ '^[0-9]{3,20}$'),
    label text NOT NULL DEFAULT '' CHECK (length(label) <= 60),
    CONSTRAINT client_phones_unique UNIQUE NULLS NOT DISTINCT (client_id, contact_id, digits)
);
CREATE INDEX client_phones_digits ON client_phones (digits);

CREATE TABLE client_mails (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client_id bigint NOT NULL REFERENCES clients ON DELETE CASCADE,
    contact_id bigint REFERENCES contacts ON DELETE CASCADE,
    address text NOT NULL CHECK (length(address) <= 254),
    label text NOT NULL DEFAULT '' CHECK (length(label) <= 60),
    CONSTRAINT client_mails_unique UNIQUE NULLS NOT DISTINCT (client_id, contact_id, address)
);
CREATE INDEX client_mails_address ON client_mails (address);

CREATE FUNCTION client_search_text(client bigint) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT ' ' || concat_ws(' ',
        (SELECT directory_fold(name) FROM clients WHERE id = client),
        (SELECT string_agg(directory_fold(name), ' ' ORDER BY id) FROM contacts WHERE client_id = client),
        (SELECT string_agg(concat_ws(' ', directory_fold(town), postcode), ' ' ORDER BY id)
           FROM sites WHERE client_id = client),
        (SELECT string_agg(lower(address), ' ' ORDER BY id) FROM client_mails WHERE client_id = client),
        (SELECT string_agg(digits, ' ' ORDER BY id) FROM client_phones WHERE client_id = client)) || ' '
$$;
