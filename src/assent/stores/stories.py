"""Life stories: what a log says became of each action, approval, grant, breaker and credential.

A broker that was shown an older state of its own rows writes true records that contradict each other: what was
spent is spent again. That needs no key to see, only the records in their order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from assent.core.actions import ActionState
from assent.core.approvals import ApprovalState
from assent.core.errors import VerificationFailed
from assent.core.records import RecordKind

_CLOSES: Final = frozenset({RecordKind.GRANT_REDEEMED, RecordKind.GRANT_KILLED, RecordKind.ACTION_MOVED})
_REVOKES: Final = frozenset({RecordKind.KEY_REVOKED, RecordKind.TOKEN_REVOKED})
_SETS_BREAKER: Final = frozenset(
    {
        RecordKind.BREAKER_TRIPPED,
        RecordKind.BREAKER_RESET_ASKED,
        RecordKind.BREAKER_RESET,
        RecordKind.BREAKER_MOVED,
        RecordKind.BREAKER_PROBED,
        RecordKind.BREAKER_REMINDED,
    }
)
_TELLS_STATE: Final = frozenset({RecordKind.ACTION_DECIDED, RecordKind.ACTION_MOVED, RecordKind.ACTION_OUTCOME})
_AGES: Final[Mapping[str, int]] = {
    ActionState.PENDING: 0,
    ActionState.READY: 1,
    ActionState.EXECUTING: 2,
    ActionState.UNKNOWN: 3,
}
_ENDED: Final = 4
# A cancelled approval follows its action, of which the record before tells.
_AFTER_APPROVAL: Final[Mapping[str, str]] = {ApprovalState.APPROVED: ActionState.READY, ApprovalState.CANCELLED: ""}


@dataclass(frozen=True, slots=True)
class Word:
    """What record `index` says last about something."""

    said: str
    index: int


@dataclass(slots=True)
class Stories:
    """What was read of a log so far; `contradiction` is the first record that cannot be true beside an earlier one.

    Each mapping goes from an id to the log's word: `actions` to the state that is furthest in an action's life, `over`
    to what ended a grant or an approval, `breakers` to the last state, `revoked` to the record that revoked, `denied`
    to the record of a denial that is remembered.
    """

    contradiction: VerificationFailed | None = None
    actions: dict[str, Word] = field(default_factory=dict)
    over: dict[str, Word] = field(default_factory=dict)
    breakers: dict[str, Word] = field(default_factory=dict)
    revoked: dict[str, Word] = field(default_factory=dict)
    denied: dict[str, Word] = field(default_factory=dict)
    _closed: dict[str, Word] = field(default_factory=dict)

    def take(self, leaf: Mapping[str, Any], index: int) -> None:
        """Take the next record in."""
        kind, detail = leaf["kind"], leaf.get("detail")
        word = Word(kind, index)
        state = _name(detail, "state")
        if kind == RecordKind.GRANT_REDEEMED:
            self._refuse_closed(leaf, index)
        if kind in _CLOSES or _never_redeemed(kind, state):
            self._close(leaf, word)
        if kind in _SETS_BREAKER and (breaker := _name(leaf, "breaker")):
            self.breakers[breaker] = Word(state, index)
        elif kind in _REVOKES and (credential := _name(detail, "credential")):
            self.revoked.setdefault(credential, word)
        elif kind == RecordKind.APPROVAL_MOVED and (approval := _name(leaf, "approval")):
            self.over.setdefault(approval, word)
            if _name(detail, "cools_until"):
                self.denied.setdefault(approval, word)
        self._age(_name(leaf, "action"), _state_after(kind, state), index)

    def _refuse_closed(self, leaf: Mapping[str, Any], index: int) -> None:
        for name in ("grant", "action"):
            key = _name(leaf, name)
            earlier = self._closed.get(key)
            if earlier is not None and self.contradiction is None:
                because = f"record {earlier.index} (`{earlier.said}`) rules that out"
                self.contradiction = VerificationFailed(
                    f"record {index} redeems {name} `{key}`, and {because}",
                    index=index,
                    hint="rows were put back to an older state: what the grant allowed may have run twice",
                )

    def _close(self, leaf: Mapping[str, Any], word: Word) -> None:
        for name in ("grant", "action"):
            if key := _name(leaf, name):
                self._closed.setdefault(key, word)
        if grant := _name(leaf, "grant"):
            self.over.setdefault(grant, word)

    def _age(self, action: str, state: str, index: int) -> None:
        if action and state:
            known = self.actions.get(action)
            if known is None or age(state) > age(known.said):
                self.actions[action] = Word(state, index)


def age(state: str) -> int:
    """Return how far in an action's life `state` is: it only ever grows."""
    return _AGES.get(state, _ENDED)


def _never_redeemed(kind: str, state: str) -> bool:
    if kind == RecordKind.APPROVAL_MOVED:
        return state != ApprovalState.APPROVED
    return kind == RecordKind.ACTION_DECIDED and state == ActionState.EXECUTING


def _state_after(kind: str, state: str) -> str:
    """Return the state that a record leaves its action in, or nothing where it says none."""
    if kind in _TELLS_STATE:
        return state
    if kind == RecordKind.APPROVAL_MOVED:
        return _AFTER_APPROVAL.get(state, ActionState.DENIED)
    return ActionState.EXECUTING if kind == RecordKind.GRANT_REDEEMED else ""


def _name(of: object, name: str) -> str:
    # A log may hold anything that its signer signed: what is no text names nothing.
    found = of.get(name) if isinstance(of, Mapping) else None
    return found if isinstance(found, str) else ""
