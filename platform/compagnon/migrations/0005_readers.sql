-- Who may read records at all: whoever is a member now. Every kind's own rule (tickets, machines, …) begins with it, so
-- that a search answers nobody who may no longer sign in, whatever called it.
CREATE FUNCTION reads_records(reader bigint) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT FROM members WHERE id = reader AND active)
$$;
