"""Bounds: how much one decision may look at, whatever the policy says and whatever is asked.

Work is counted in steps of about 50 ns: what a policy may cost is settled by counting, never by a clock. A rule whose
patterns cost too much is refused when it is loaded; a question that meets too much at once is denied as an error of the
policy, before the work is done. A million steps are 50 ms.
"""

from typing import Final

from assent.core.errors import AssentError

MAX_STEPS: Final = 1_000_000
"""For one decision, over all principals whose rights bound it."""
MAX_ALTERNATIVES: Final = 256
"""In one field of a rule, or one predicate of texts."""
MAX_OPERANDS: Final = 10_000
"""Values of one `in` or `not_in`, which are looked up and not tried one after the other."""
MAX_SEGMENTS: Final = 64
"""Of a resource, and of a pattern for resources."""
MAX_LOOKED_AT: Final = 16_384
"""Characters of one argument that a rule looks at, all items of a list together; `length` looks at no character."""
MAX_PROGRAM: Final = 5_000
"""Instructions of one expression after RE2 compiled it."""
RULE_STEPS: Final = 150
"""What judging one candidate costs beside its patterns and conditions."""
CONDITION_STEPS: Final = 30
"""What asking a rule's condition about one argument costs beside its tests."""
TEST_STEPS: Final = 16
"""What applying one test to one value costs, beside what its characters add; to every item of a list again."""
MAX_RULE_STEPS: Final = 20_000
"""What the patterns of one rule may cost."""
FEW: Final = MAX_STEPS // (2 * (MAX_RULE_STEPS + RULE_STEPS))
"""So many candidates are within bounds whatever their patterns are; only more than these are counted."""


class TooCostly(AssentError):
    """Judging this would take more steps than one decision may take."""

    code = "policy_error"


class Meter:
    """Counts down the steps of one decision."""

    __slots__ = ("left",)

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.left = steps

    def spend(self, steps: int) -> None:
        """Take `steps` off.

        Raises:
            TooCostly: there are not as many left.

        """
        self.left -= steps
        if self.left < 0:
            raise TooCostly("more rules and conditions meet here than one decision may look at")


def pattern_steps(pattern: str, separator: str) -> int:
    """Return what matching `pattern` may cost at most: the segments it is held against, and again for each `**`."""
    segments = pattern.count(separator) + 1
    across = pattern.count("**")
    return segments if across == 0 or (across == 1 and pattern.endswith("**")) else segments * MAX_SEGMENTS
