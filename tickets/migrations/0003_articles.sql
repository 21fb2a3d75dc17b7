-- Whether an article helped may be said for a ticket.
ALTER TABLE article_feedback ADD CONSTRAINT article_feedback_ticket FOREIGN KEY (ticket_id) REFERENCES tickets (id);
CREATE INDEX article_feedback_ticket ON article_feedback (ticket_id) WHERE ticket_id IS NOT NULL;
