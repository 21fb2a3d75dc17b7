"""Articles: conditions, their causes and remedies, written and reviewed by members or imported."""
