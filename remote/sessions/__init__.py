"""Remote sessions: consent, participants and the live terminal."""
