-- Which account an attempt was made at (a keyed hash too), so that a new password lets its member in everywhere at once.
ALTER TABLE sign_in_attempts ADD COLUMN account bytea;
CREATE INDEX sign_in_attempts_account ON sign_in_attempts (account);
