"""How the story finds out that something did not come out as told: one exception, one check."""


class NotAsTold(Exception):
    """A step came out wrong; the text says what was expected and what was seen."""


def must(is_so: object, told: str, seen: object) -> None:
    """Check one thing that the story is about to claim.

    Raises:
        NotAsTold: it is not so.

    """
    if not is_so:
        raise NotAsTold(f"expected that {told}; saw {seen!r}")
