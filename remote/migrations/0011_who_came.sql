-- Whoever was invited is a participant before they came.
ALTER TABLE session_participants ADD COLUMN came boolean NOT NULL DEFAULT false;
UPDATE session_participants SET came = true;
-- Until now every observer could do what a pointer may; from now on an observer is who shall only look.
UPDATE session_participants SET role = 'pointer' WHERE role = 'observer';
