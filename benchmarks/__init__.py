"""Benchmarks: what a decision costs, beside the floor and the peers, in one run with every answer checked.

They only measure. Nothing here is imported by the broker, and no figure is a test.
"""
