CREATE TABLE members (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL CHECK (email = lower(email) AND length(email) <= 254),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
    phone text NOT NULL DEFAULT '' CHECK (length(phone) <= 40),
    password_hash text NOT NULL,
    role text NOT NULL CHECK (role IN ('member', 'reviewer', 'administrator')),
    locale text NOT NULL DEFAULT 'fr' CHECK (locale IN ('fr', 'en')),
    theme text NOT NULL DEFAULT 'auto' CHECK (theme IN ('auto', 'light', 'dark')),
    departements text[] NOT NULL DEFAULT '{}',
    -- What was said last; it turns over by itself at available_until ("free until six", "away until Monday").
    available_said boolean NOT NULL DEFAULT true,
    available_until timestamptz,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT members_email_unique UNIQUE (email)
);
CREATE INDEX members_departements ON members USING gin (departements);

CREATE TABLE skills (
    name text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9-]{1,39}$'),
    label_fr text NOT NULL,
    label_en text NOT NULL
);
INSERT INTO skills (name, label_fr, label_en) VALUES
    ('bureautique', 'Bureautique', 'Office software'),
    ('impression', 'Impression', 'Printing'),
    ('linux', 'Postes Linux', 'Linux desktops'),
    ('materiel', 'Matériel', 'Hardware'),
    ('messagerie', 'Messagerie', 'E-mail'),
    ('reseau', 'Réseau', 'Networking'),
    ('sauvegarde', 'Sauvegarde', 'Backup'),
    ('securite', 'Sécurité', 'Security'),
    ('telephonie', 'Téléphonie', 'Telephony'),
    ('windows', 'Postes Windows', 'Windows desktops');

CREATE TABLE member_skills (
    member_id bigint NOT NULL REFERENCES members ON DELETE CASCADE,
    skill text NOT NULL REFERENCES skills ON UPDATE CASCADE,
    level smallint NOT NULL CHECK (level BETWEEN 1 AND 3),
    PRIMARY KEY (member_id, skill)
);
CREATE INDEX member_skills_skill ON member_skills (skill, level DESC);

-- One row for each signed-in browser. Only the SHA-256 of its token is kept: reading this table signs nobody in.
CREATE TABLE sign_ins (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token_hash bytea NOT NULL UNIQUE,
    member_id bigint NOT NULL REFERENCES members ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    address text NOT NULL DEFAULT '',
    browser text NOT NULL DEFAULT ''
);
CREATE INDEX sign_ins_member ON sign_ins (member_id);
CREATE INDEX sign_ins_expires ON sign_ins (expires_at);

-- Attempts that have not (yet) succeeded, by keyed hash of what was tried: neither addresses nor accounts are readable here.
CREATE TABLE sign_in_attempts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sign_in_attempts_key ON sign_in_attempts (key, at);
CREATE INDEX sign_in_attempts_at ON sign_in_attempts (at);

-- One-time passes from a signed-in page to a WebSocket.
CREATE TABLE ws_tickets (
    ticket_hash bytea PRIMARY KEY,
    member_id bigint NOT NULL REFERENCES members ON DELETE CASCADE,
    purpose text NOT NULL CHECK (length(purpose) <= 200),
    expires_at timestamptz NOT NULL
);
CREATE INDEX ws_tickets_expires ON ws_tickets (expires_at);
