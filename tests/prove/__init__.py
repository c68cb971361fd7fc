"""Proofs: the hammers at full count, and the page that says what they found."""
