"""Flows: one module for each thing that somebody does, one transaction each: gather, decide, write, then tell.

What flows share stands beside them: `broker` (the parts they work with), `authenticate` and `recognised` (who calls),
`agent_status`, `answers` (what an action answers now), `entries` (what is recorded).
"""
