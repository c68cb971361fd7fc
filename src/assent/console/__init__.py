"""The console: pages for people who answer, stop and look; what they do goes through the flows of every surface.

Only `given` is imported with the hot route: everything else loads with the framework.
"""
