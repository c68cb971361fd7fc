"""Who is on duty by a live user group of Slack, as far as Slack said lately; it only ever chooses who is told.

Slack is asked beside the asks, not for each of them: an ask is answered whether or not Slack is there. A group about
which Slack does not answer is forgotten at once, and then the whole group of operators.yaml is told.
"""

from collections.abc import Iterable, Mapping


class OnDuty:
    """The members of user groups by the group's id, as accounts of the workspace."""

    def __init__(self) -> None:
        self._members: dict[str, frozenset[str]] = {}

    @property
    def now(self) -> Mapping[str, frozenset[str]]:
        """Who is on duty by every group of which that is known."""
        return self._members

    def heard(self, group: str, members: Iterable[str]) -> None:
        """Keep what Slack said of one group."""
        self._members = {**self._members, group: frozenset(members)}

    def unheard(self, group: str) -> None:
        """Forget a group of which Slack did not say who is in it."""
        self._members = {name: members for name, members in self._members.items() if name != group}

    def only(self, groups: Iterable[str]) -> None:
        """Forget every group that no route names any more."""
        named = frozenset(groups)
        self._members = {name: members for name, members in self._members.items() if name in named}
