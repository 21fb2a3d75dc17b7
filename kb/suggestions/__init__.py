"""What the library has to say where somebody works: about a symptom, a message, an error."""
