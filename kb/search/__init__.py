"""Full-text search over the library (procedures, articles) and the records (tickets, clients, machines, members)."""
