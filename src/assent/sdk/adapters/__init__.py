"""Frameworks' tools that run only with the broker's assent: one file for each framework, on one gate for all."""

from assent.sdk.adapters.resuming import resume_decided
from assent.sdk.adapters.wrapping import wrap

__all__ = ["resume_decided", "wrap"]
