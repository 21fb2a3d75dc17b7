"""Words of equal meaning, kept by the members: each change is approved by one other member."""
