"""The rules of lint, one module per subject; each is a function of a ``Case`` that yields findings."""
