"""What the co-operative proposes to its clients about consent; what holds is decided at each machine."""
