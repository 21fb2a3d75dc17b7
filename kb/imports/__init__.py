"""Documents of others brought into the knowledge base, with their licence and source, and kept up to date."""
