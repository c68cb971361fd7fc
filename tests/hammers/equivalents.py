"""Changes that nobody could notice, because the same comes out: by module, function and change, each with why."""

from typing import Final

_NO_PROFILE: Final = "without a profile `why_not` has said so already"
_FALSY: Final = "whoever asks only looks whether it is true"
_AS_MANY: Final = "whoever is put out of a seat is replaced by somebody who fills it as well, so as many are filled"
_HEALS: Final = "what has probes has places for them, which come from how it heals"
_OR_NOT_HEALING: Final = "not _is_probe(breaker, action) or breaker.healing is None → not _is_probe(breaker, action)"
_OR_NO_PROFILE: Final = (
    "(reason := why_not(facts.profile, facts.status, now)) is not None or f…"
    " → (reason := why_not(facts.profile, facts.status, now)) is not None"
)

SAME: Final[dict[tuple[str, str, str], str]] = {
    ("approvals.py", "seat_one", "return False → return None"): _FALSY,
    ("approvals.py", "seat_one", "False → True"): _AS_MANY,
    ("breakers.py", "settle", _OR_NOT_HEALING): _HEALS,
    ("decisions.py", "decide", _OR_NO_PROFILE): _NO_PROFILE,
    ("decisions.py", "decide", "reason or Reason.of('unknown_agent') → reason"): _NO_PROFILE,
    ("decisions.py", "decide", "'unknown_agent' → 'unknown_agentX'"): _NO_PROFILE,
    ("grants.py", "_matches", "return False → return None"): _FALSY,
}
