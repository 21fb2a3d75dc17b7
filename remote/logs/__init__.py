"""What a machine writes down about itself, read, searched and followed."""
