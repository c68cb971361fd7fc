"""Drafts: catalogue entries and the narrowest rules, made from what was asked or declared, for a person to review.

A draft is written into `drafts/`, which no broker reads. What only a person can know is left out where the loader
demands it: a draft that is moved into place without a thought does not load.
"""

from assent.policy.drafting.mcp import of_mcp
from assent.policy.drafting.python import of_python
from assent.policy.drafting.sketches import Denial, Sketch, merged, of_denials
from assent.policy.drafting.writing import Draft, Known, draft

__all__ = ["Denial", "Draft", "Known", "Sketch", "draft", "merged", "of_denials", "of_mcp", "of_python"]
