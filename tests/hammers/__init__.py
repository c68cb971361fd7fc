"""Hammers: each hits one promise as hard as it can, by seconds in `./run test` and by full counts in `./run prove`."""
