"""Flows: one module for each thing that somebody does; each is one transaction: gather, decide, write, then tell."""
