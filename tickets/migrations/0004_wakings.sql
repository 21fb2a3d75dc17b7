-- A machine is woken for a ticket.
ALTER TABLE machine_wakings ADD CONSTRAINT machine_wakings_ticket_fk FOREIGN KEY (ticket_id) REFERENCES tickets;
