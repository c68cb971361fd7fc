"""Shapes of the public JSON API: what may be sent (pydantic, checked) and what is answered (frozen dataclasses).

Fields are added with defaults, never renamed or removed. Nothing here knows the broker.
"""
