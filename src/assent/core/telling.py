"""Telling: what one record says, as a sentence for a person; from its public leaf alone, so it holds no payload.

A leaf may come from anywhere that a log is copied to: what is missing or of another form is left out, nothing raises.
"""

from collections.abc import Callable, Mapping
from typing import Final

from assent.core.breakers import Scope
from assent.core.canonical import Json
from assent.core.passkeys import Purpose
from assent.core.records import RecordKind

Leaf = Mapping[str, Json]


def tell(leaf: Leaf) -> str:
    """Return what happened, in words; a kind that is not known here is told by its name."""
    kind = _text(leaf, "kind")
    known = _SENTENCES.get(kind)
    return kind if known is None else known(leaf)


def _decided(leaf: Leaf) -> str:
    where = f" in {_text(leaf, 'environment')}" if _text(leaf, "environment") else ""
    asked = f"{_text(leaf, 'agent')} asked for {_text(leaf, 'tool')}{where}"
    rules = f" (rules {_list(leaf, 'rules')})" if _list(leaf, "rules") else ""
    answer = _text(leaf, "decision")
    if answer == "deny":
        before = f" with {_detail(leaf, 'denied_as')}" if _detail(leaf, "denied_as") else ""
        return f"{asked}: denied, {_reasons(leaf)}{before}{rules}"
    if answer == "pending":
        return f"{asked}: a human decides{rules}"
    began = ", it runs from here on" if _detail(leaf, "state") == "executing" else ""
    return f"{asked}: allowed{began}{rules}"


def _replayed(leaf: Leaf) -> str:
    return f"{_text(leaf, 'agent')} asked the same again and was told no: {_reasons(leaf)}"


def _asked(leaf: Leaf) -> str:
    least = f", accepting {_inner(leaf, 'assurance')} or better" if _inner(leaf, "assurance") else ""
    return f"people were asked on the route {_inner(leaf, 'routes')}{least}, until {_detail(leaf, 'expires_at')}"


def _shown(leaf: Leaf) -> str:
    whole = "" if leaf_detail(leaf).get("approvable") is True else ", not whole, so that nobody could approve it there"
    return f"it was shown at {_detail(leaf, 'destination') or 'a place that is not on record'}{whole}"


def _voted(leaf: Leaf) -> str:
    more = ", more votes are needed" if _detail(leaf, "state") == "partial" else ""
    own = "; self-approved under `single_person`" if leaf_detail(leaf).get("self_approved") is True else ""
    return f"{_who(leaf)} said yes{_how(leaf)}{more}{own}"


def _vote_refused(leaf: Leaf) -> str:
    because = _passkey(leaf, "because").replace("_", " ")
    why = f" (passkey: {because})" if because else ""
    return f"{_who(leaf)} tried to {_detail(leaf, 'act')}{_how(leaf)}, which did not count: {_reasons(leaf)}{why}"


def _approval_moved(leaf: Leaf) -> str:
    state = _detail(leaf, "state")
    if state == "approved":
        return f"approved, completed by {_who(leaf)}"
    if state == "denied":
        category = f": {_detail(leaf, 'category')}" if _detail(leaf, "category") else ""
        return f"{_who(leaf)} said no{_how(leaf)}{category}; nothing was run"
    if state == "expired":
        return "nobody answered in time; nothing was run"
    return f"the question was withdrawn: {_reasons(leaf)}"


def _let_again(leaf: Leaf) -> str:
    return f"{_who(leaf)} let it be asked again{_how(leaf)}"


def _grant_issued(leaf: Leaf) -> str:
    return f"a grant was issued, for the {_detail(leaf, 'redeemed_by')} to redeem until {_detail(leaf, 'expires_at')}"


def _grant_redeemed(leaf: Leaf) -> str:
    return f"{_detail(leaf, 'by')} redeemed the grant and runs it; the lease ends {_detail(leaf, 'lease_expires_at')}"


def _grant_refused(leaf: Leaf) -> str:
    return f"{_detail(leaf, 'by')} presented the grant and was refused: {_reasons(leaf)}"


def _grant_replayed(leaf: Leaf) -> str:
    return f"{_detail(leaf, 'by')} presented the grant again after it was spent, and was refused"


def _grant_killed(leaf: Leaf) -> str:
    return f"the grant was withdrawn: {_reasons(leaf)}"


def _action_moved(leaf: Leaf) -> str:
    by = f" by {_who(leaf)}{_how(leaf)}" if "operator" in leaf else ""
    gone = " because the agent was gone" if leaf_detail(leaf).get("because") == "agent_gone" else ""
    return f"{_detail(leaf, 'state')}{by}{gone}, {_reasons(leaf)}; nothing was run"


def _outcome(leaf: Leaf) -> str:
    if leaf_detail(leaf).get("reported") is not True:
        return "the lease ended and nobody said what became of it: unknown"
    took = leaf_detail(leaf).get("duration_ms")
    return f"reported {_detail(leaf, 'state')}" + (f" after {took} ms" if isinstance(took, int) else "")


def _tripped(leaf: Leaf) -> str:
    numbers = f"{_count(leaf, 'cancelled')} cut off, {_count(leaf, 'running')} running"
    because = f", {_detail(leaf, 'because')}" if _detail(leaf, "because") else ""
    return f"{_who_or_rule(leaf)} tripped the breaker over {_scope(leaf)}{because}: {numbers}"


def _breaker_moved(leaf: Leaf) -> str:
    return f"the breaker over {_scope(leaf)} is {_detail(leaf, 'state')}: {_detail(leaf, 'because')}"


def _probed(leaf: Leaf) -> str:
    return f"a probe of the breaker over {_scope(leaf)} was taken, given back, or succeeded"


def _reminded(leaf: Leaf) -> str:
    return f"somebody was to be asked again about the breaker over {_scope(leaf)}"


def _watched(leaf: Leaf) -> str:
    return f"{_who_or_rule(leaf)} only watches and would have stopped {_scope(leaf)}: {_detail(leaf, 'because')}"


def _drilled(leaf: Leaf) -> str:
    return f"{_who(leaf)} tried out the stop of {_scope(leaf)}"


def _reset_asked(leaf: Leaf) -> str:
    return f"{_who(leaf)} asked to reset the breaker over {_scope(leaf)}{_how(leaf)}, a second person is needed"


def _reset(leaf: Leaf) -> str:
    return f"{_who(leaf)} reset the breaker over {_scope(leaf)}{_how(leaf)}"


def _suspended(leaf: Leaf) -> str:
    return f"{_who(leaf)} suspended the agent {_text(leaf, 'agent')}"


def _resume_asked(leaf: Leaf) -> str:
    return f"{_who(leaf)} asked to let the agent {_text(leaf, 'agent')} go on{_how(leaf)}, a second person is needed"


def _resumed(leaf: Leaf) -> str:
    return f"{_who(leaf)} let the agent {_text(leaf, 'agent')} go on{_how(leaf)}"


def _issued(leaf: Leaf) -> str:
    return f"{_who(leaf)} issued {_credential(leaf)}"


def _revoked(leaf: Leaf) -> str:
    return f"{_who(leaf)} revoked {_credential(leaf)}"


def _link_issued(leaf: Leaf) -> str:
    return f"a sign-in link for {_detail(leaf, 'for')} was shown on the terminal of the broker"


def _session_opened(leaf: Leaf) -> str:
    how = {"oidc": "by single sign-on", "passkey": f"with the passkey {_detail(leaf, 'using')}"}.get(
        by := _detail(leaf, "signed_in_by"), f"with a {by}"
    )
    return f"{_who(leaf)} signed in at the console {how}"


def _link_asked(leaf: Leaf) -> str:
    return f"{_who(leaf)} asked for a code that links {_detail(leaf, 'account')} ({_detail(leaf, 'surface')})"


def _account_linked(leaf: Leaf) -> str:
    return f"{_who(leaf)} linked the Slack account {_detail(leaf, 'account')}: a code of theirs was typed there"


def _acts_refused(leaf: Leaf) -> str:
    return f"{_detail(leaf, 'times')} more acts of {_detail(leaf, 'account')} on approvals were refused as too fast"


def _link_refused(leaf: Leaf) -> str:
    whose = f", a code of {_detail(leaf, 'for')}, which is spent" if _detail(leaf, "for") else ""
    return f"a code was typed at the Slack account {_detail(leaf, 'account')} and linked nothing{whose}"


def _unlinked(leaf: Leaf) -> str:
    return f"{_who(leaf)} unlinked {_detail(leaf, 'for')} from {_detail(leaf, 'account')} ({_detail(leaf, 'surface')})"


def _passkey_added(leaf: Leaf) -> str:
    vouched = _detail(leaf, "vouched_by")
    by = {"link": "a session by a link", "oidc": "a session by single sign-on"}.get(vouched, f"the passkey {vouched}")
    return f"{_who(leaf)} added the passkey {_detail(leaf, 'id')}, vouched for by {by}"


def _passkey_vouched(leaf: Leaf) -> str:
    return f"{_who(leaf)} signed for another passkey with {_passkey(leaf, 'id')}"


def _passkey_refused(leaf: Leaf) -> str:
    why = _passkey(leaf, "because").replace("_", " ")
    if _detail(leaf, "act") == Purpose.SIGN_IN.value:
        return f"{_who(leaf)} tried to sign in with the passkey {_passkey(leaf, 'id')}, which did not count: {why}"
    return f"{_who(leaf)} tried to {_detail(leaf, 'act')} a passkey, which did not count: {why}"


def _passkey_revoked(leaf: Leaf) -> str:
    return f"{_who(leaf)} took the passkey {_detail(leaf, 'id')} of {_detail(leaf, 'for')} away"


def _session_ended(leaf: Leaf) -> str:
    return f"{_who(leaf)} ended a console session of {_detail(leaf, 'for')}"


def _credential(leaf: Leaf) -> str:
    kind, holder, key = (_detail(leaf, name) for name in ("credential_kind", "for", "credential"))
    return f"the {kind} credential {key} of {holder}"


def _started(leaf: Leaf) -> str:
    return f"a broker of version {_detail(leaf, 'version')} began to serve"


def _stopped(leaf: Leaf) -> str:
    return f"the broker of version {_detail(leaf, 'version')} stopped as it was asked"


def _activated(leaf: Leaf) -> str:
    by = f", confirmed by {_who(leaf)}" if "operator" in leaf else ""
    release = leaf_detail(leaf).get("release")
    keys = release.get("keys") if isinstance(release, Mapping) else None
    if isinstance(keys, list):
        by = f", vouched for by the release key {' and '.join(map(str, keys))}"
    return f"the policy {_text(leaf, 'policy')[:12]} serves from here on{by}{_review_of(leaf)}"


def _review_of(leaf: Leaf) -> str:
    review = leaf_detail(leaf).get("review")
    if isinstance(review, Mapping):
        return f"; written by {review.get('author')}, reviewed by {review.get('reviewer')} and tested"
    return "; nobody said that it was reviewed or tested" if review == "none" else ""


def _policy_published(leaf: Leaf) -> str:
    change, commit = _detail(leaf, "change_url"), _detail(leaf, "commit")[:12]
    who = f"written by {_detail(leaf, 'author')}, reviewed by {_detail(leaf, 'reviewer')}"
    return f"{_who(leaf)} published the policy {_text(leaf, 'policy')[:12]}, commit {commit}, {who}: {change}"


def _proposed(leaf: Leaf) -> str:
    why = _detail(leaf, "unvouched")
    note = f"; the release beside it does not count, {why}" if why else ""
    return f"the policy {_text(leaf, 'policy')[:12]} widens something and waits to be confirmed{note}"


def _policy_refused(leaf: Leaf) -> str:
    return f"changed policies were refused for {_count(leaf, 'findings')} findings"


def _verified(leaf: Leaf) -> str:
    if leaf_detail(leaf).get("verified") is True:
        return f"{_count(leaf, 'records')} records were verified"
    return "the log did not verify"


def _erased(leaf: Leaf) -> str:
    return f"{_who(leaf)} erased the payload of {_count(leaf, 'records')} records: {_detail(leaf, 'basis')}"


def _revealed(leaf: Leaf) -> str:
    return f"{_who(leaf)} was shown payload: {_inner(leaf, 'fields') or 'none was there'}"


def _exported(leaf: Leaf) -> str:
    return f"{_who(leaf)} exported {_count(leaf, 'records')} records"


_SENTENCES: Final[Mapping[str, Callable[[Leaf], str]]] = {
    RecordKind.ACTION_DECIDED: _decided,
    RecordKind.ACTION_REPLAYED: _replayed,
    RecordKind.ACTION_MOVED: _action_moved,
    RecordKind.ACTION_OUTCOME: _outcome,
    RecordKind.APPROVAL_ASKED: _asked,
    RecordKind.APPROVAL_SHOWN: _shown,
    RecordKind.APPROVAL_VOTED: _voted,
    RecordKind.APPROVAL_VOTE_REFUSED: _vote_refused,
    RecordKind.APPROVAL_MOVED: _approval_moved,
    RecordKind.APPROVAL_LET_AGAIN: _let_again,
    RecordKind.GRANT_ISSUED: _grant_issued,
    RecordKind.GRANT_REDEEMED: _grant_redeemed,
    RecordKind.GRANT_REFUSED: _grant_refused,
    RecordKind.GRANT_REPLAYED: _grant_replayed,
    RecordKind.GRANT_KILLED: _grant_killed,
    RecordKind.APPROVAL_ACTS_REFUSED: _acts_refused,
    RecordKind.BREAKER_TRIPPED: _tripped,
    RecordKind.BREAKER_RESET_ASKED: _reset_asked,
    RecordKind.BREAKER_RESET: _reset,
    RecordKind.BREAKER_MOVED: _breaker_moved,
    RecordKind.BREAKER_PROBED: _probed,
    RecordKind.BREAKER_REMINDED: _reminded,
    RecordKind.BREAKER_WATCHED: _watched,
    RecordKind.BREAKER_DRILLED: _drilled,
    RecordKind.AGENT_SUSPENDED: _suspended,
    RecordKind.AGENT_RESUME_ASKED: _resume_asked,
    RecordKind.AGENT_RESUMED: _resumed,
    RecordKind.KEY_ISSUED: _issued,
    RecordKind.KEY_REVOKED: _revoked,
    RecordKind.TOKEN_ISSUED: _issued,
    RecordKind.TOKEN_REVOKED: _revoked,
    RecordKind.LINK_ISSUED: _link_issued,
    RecordKind.SESSION_OPENED: _session_opened,
    RecordKind.SESSION_ENDED: _session_ended,
    RecordKind.ACCOUNT_LINK_ASKED: _link_asked,
    RecordKind.ACCOUNT_LINKED: _account_linked,
    RecordKind.ACCOUNT_LINK_REFUSED: _link_refused,
    RecordKind.ACCOUNT_UNLINKED: _unlinked,
    RecordKind.PASSKEY_ADDED: _passkey_added,
    RecordKind.PASSKEY_VOUCHED: _passkey_vouched,
    RecordKind.PASSKEY_REFUSED: _passkey_refused,
    RecordKind.PASSKEY_REVOKED: _passkey_revoked,
    RecordKind.BROKER_STARTED: _started,
    RecordKind.BROKER_STOPPED: _stopped,
    RecordKind.POLICY_ACTIVATED: _activated,
    RecordKind.POLICY_PROPOSED: _proposed,
    RecordKind.POLICY_REFUSED: _policy_refused,
    RecordKind.POLICY_PUBLISHED: _policy_published,
    RecordKind.LOG_VERIFIED: _verified,
    RecordKind.PAYLOAD_REVEALED: _revealed,
    RecordKind.PAYLOAD_ERASED: _erased,
    RecordKind.LOG_EXPORTED: _exported,
}


def leaf_detail(leaf: Leaf) -> Mapping[str, Json]:
    """Return the further facts of a leaf, nothing where it has none."""
    found = leaf.get("detail")
    return found if isinstance(found, Mapping) else {}


def scope_of(leaf: Leaf) -> Scope:
    """Return what the breaker covers that a leaf is about."""
    named = {name: _text(leaf, name) or None for name in ("agent", "tool", "environment")}
    return Scope(**named)


def _scope(leaf: Leaf) -> str:
    return scope_of(leaf).describe()


def _who(leaf: Leaf) -> str:
    return _text(leaf, "operator") or "nobody"


def _who_or_rule(leaf: Leaf) -> str:
    rule = _detail(leaf, "rule")
    return f"the rule `{rule}`" if rule else _who(leaf)


def _how(leaf: Leaf) -> str:
    named = [_detail(leaf, name) for name in ("assurance", "surface")]
    return f" ({', '.join(filter(None, named))})" if any(named) else ""


def _reasons(leaf: Leaf) -> str:
    return _list(leaf, "reasons") or "no reason is on record"


def _text(leaf: Leaf, name: str) -> str:
    found = leaf.get(name)
    return found if isinstance(found, str) else ""


def _detail(leaf: Leaf, name: str) -> str:
    return _text(leaf_detail(leaf), name)


def _passkey(leaf: Leaf, name: str) -> str:
    found = leaf_detail(leaf).get("passkey")
    return _text(found, name) if isinstance(found, Mapping) else ""


def _count(leaf: Leaf, name: str) -> str:
    found = leaf_detail(leaf).get(name)
    return str(found) if isinstance(found, int) else "0"


def _list(leaf: Leaf, name: str) -> str:
    found = leaf.get(name)
    return ", ".join(map(str, found)) if isinstance(found, list) else ""


def _inner(leaf: Leaf, name: str) -> str:
    return _list(leaf_detail(leaf), name)
