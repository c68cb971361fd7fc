"""Exports: what leaves the broker for other systems; none of it may hold up or fail a decision."""
