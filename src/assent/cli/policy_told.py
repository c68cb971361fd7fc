"""What people read about policies: explanations, diffs of privileges, and which version serves."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from assent.cli import margin
from assent.cli.called import as_called
from assent.cli.output import words
from assent.core.characters import visible

SHOWN_NEARLY: Final = 6
_ANSWERS: Final = {"allow": "allowed", "pending": "a human is asked", "deny": "denied"}
_DIRECTIONS: Final = ("widens", "narrows", "rewords")


def tell_explanation(said: Mapping[str, Any]) -> None:
    """Print an explanation, the answer first."""
    reasons = words(f"{reason['message']} ({reason['code']})" for reason in said.get("reasons", ()))
    answer = {"allow": "allowed", "pending": "a human is asked", "deny": "denied"}.get(
        said["decision"], said["decision"]
    )
    print(f"{answer}: {visible(reasons)}" if reasons else answer)
    facts = words((said["tool"], "for", said["agent"], *_where(said)), " ")
    margin.show("  ", margin.shown(facts))
    for hint in said.get("hints", ()):
        margin.show("  ", margin.shown(hint))
    _tell_question(said)
    if said.get("matched"):
        print("rules that match:")
        _tell_rules(said["matched"])
    if said.get("nearly"):
        shown = said["nearly"][:SHOWN_NEARLY]
        print("rules that do not match, the nearest first:" if said.get("matched") else "no rule matches; the nearest:")
        _tell_rules(shown)
        if len(said["nearly"]) > len(shown):
            print(f"  and {len(said['nearly']) - len(shown)} more, see --json")
    _tell_version(said)


def _where(said: Mapping[str, Any]) -> Iterable[str]:
    if said.get("environment"):
        yield f"in {said['environment']}, on {said['resource']} ({said['impact']})"


def _tell_question(said: Mapping[str, Any]) -> None:
    for route in said.get("asked", ()):
        who = words(f"`{name}`" for name in route["who"]) or "nobody"
        minutes = route["expires_after_seconds"] // 60
        how = f"{route['needs']}, by `{route['assurance']}` or surer, within {minutes} min; may answer: {who}"
        margin.show("  ", margin.shown(f"asked on `{route['name']}`: {how}"))
    if said.get("floored"):
        print("  a rule allows it, and the production floor asks all the same")
    if said.get("standing"):
        print(f"  an exception from the production floor: {visible(words(said['standing']))}")
    if said.get("asked"):
        for name, key in (("how bad", "how_bad"), ("undo", "undo")):
            if said.get(key):
                margin.show("  ", margin.shown(f"{name}: {said[key]}"))
    if said.get("command"):
        margin.show("  ", margin.shown(f"runs: {words(said['command'], ' ')}"))


def _tell_rules(rules: Iterable[Mapping[str, Any]]) -> None:
    for rule in rules:
        whose = f", for {rule['of_agent']}" if rule.get("of_agent") else ""
        margin.show("  ", margin.shown(f"{rule['id']} ({rule['role']}, {rule['at']}{whose}) {rule['says']}"))
        for failed in rule.get("failed", ()):
            margin.show("    but ", margin.shown(failed))


def _tell_version(said: Mapping[str, Any]) -> None:
    version, files = said["policy_version"], said.get("files_version")
    if not said.get("files_differ"):
        print(f"by policy {version[:12]}")
    elif files is None:
        print(f"by policy {version[:12]}; its files cannot be read now: run `{as_called('assent policy check')}`")
    else:
        print(f"by policy {version[:12]}; its files are {files[:12]} by now, which does not serve")


def tell_changes(changes: Iterable[Mapping[str, Any]]) -> None:
    """Print a diff of privileges, what widens first."""
    found = list(changes)
    if not found:
        print("no privilege changes")
    for direction in _DIRECTIONS:
        some = [change for change in found if change["direction"] == direction]
        if some:
            print(f"{direction}:")
        for change in some:
            margin.show("  ", margin.shown(f"{change['about']}: {change['what']}"))


def tell_unvouched(said: Mapping[str, Any]) -> None:
    """Print why the release beside a version does not count, where there is one."""
    if said.get("unvouched"):
        print(f"its release.note does not count: {visible(said['unvouched'])}")


def tell_active(policy: Mapping[str, Any]) -> None:
    """Print which version is active in the ledger, where it came from, and why another one is loaded here."""
    active = policy.get("active_version")
    if active is None:
        return
    if policy.get("behind"):
        print(f"active: {active}, and nothing but reads is decided here: {visible(policy['behind'])}")
    if policy.get("source") == "ledger":
        tell_review(policy.get("review"))
    else:
        print("review: none on record: it was taken up from a policy directory")


def tell_review(review: Mapping[str, Any] | None) -> None:
    """Print how a version was published: who wrote the change, who reviewed it, and what its tests came to."""
    if review is None:
        return
    print(
        f"review: commit {visible(review['commit'][:12])} by {visible(review['author'])},"
        f" reviewed by {visible(review['reviewer'])}: {visible(review['change_url'])}"
    )
    print(f"tests: {review['cases']} cases came out, {review['unreached']} of {review['rules']} rules met by none")
    print(f"published by {visible(review['published_by'])} at {review['published_at']}, record {review['record_id']}")


def tell_status(policy: Mapping[str, Any]) -> None:
    """Print which version serves, and what waits."""
    print(f"serves: {policy['version']} (activation: {policy['activation']})")
    tell_active(policy)
    waiting, files = policy.get("waiting"), policy.get("files_version")
    if policy.get("source") == "ledger":
        if files is not None and files != policy.get("active_version"):
            print(f"files: {files[:12]}, which is not read: publish it with `assent policy publish DIR`")
    elif files is None:
        print(as_called("files: they cannot be read now; run `assent policy check` where they lie"))
    elif files != policy["version"] and (waiting is None or files != waiting["version"]):
        print(f"files: {files[:12]}, which was not taken up: it has errors, or nobody looked yet")
    if waiting is None:
        return
    print(f"waits: {waiting['version']}")
    tell_changes(waiting["changes"])
    tell_unvouched(waiting)
    tell_review(waiting.get("review"))
    print(as_called(f"confirm it with: assent policy activate {waiting['version'][:12]}"))
