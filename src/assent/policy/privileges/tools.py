"""What changes about tools: what they take, what they act on, where, and how bad that is."""

from collections.abc import Mapping
from dataclasses import fields

from assent.core.actions import Impact, RedeemedBy
from assent.policy.catalogue import Tool
from assent.policy.environments import Derivation, Lookup
from assent.policy.privileges.noted import Noted, listed
from assent.policy.schema import Argument
from assent.policy.spelling import Spelling, stricter

_HARM = {Impact.READ: 0, Impact.WRITE: 1, Impact.DESTRUCTIVE: 2}
_WORDS = ("description", "how_bad", "undo", "read_because")


def compare_tool(about: str, before: Tool, after: Tool, noted: Noted) -> None:
    """Note what the same name stands for now."""
    if after.impact is not before.impact:
        words = f"is `{after.impact}`, before `{before.impact}`"
        (noted.widens if _HARM[after.impact] < _HARM[before.impact] else noted.narrows)(about, words)
    if after.resource != before.resource:
        noted.widens(about, "acts on a resource of another form, so that other rules meet it")
    _environment(about, before.environment, after.environment, noted)
    _arguments(about, before.arguments, after.arguments, noted)
    if gone := set(before.sensitive) - set(after.sensitive):
        noted.widens(about, f"{listed(gone)} is shown and stored as anything else")
    if more := set(after.sensitive) - set(before.sensitive):
        noted.narrows(about, f"{listed(more)} is sensitive")
    if after.redeemed_by is not before.redeemed_by:
        is_looser = after.redeemed_by is RedeemedBy.AGENT
        (noted.widens if is_looser else noted.narrows)(about, f"is redeemed by the {after.redeemed_by}")
    if after.resource_is_public != before.resource_is_public:
        words = "its resource stands in public records" if after.resource_is_public else "its resource is not public"
        (noted.widens if after.resource_is_public else noted.narrows)(about, words)
    if (after.command, after.runs_argv) != (before.command, before.runs_argv):
        noted.widens(about, "runs another command")
    _words(about, before, after, noted)


def _words(about: str, before: Tool, after: Tool, noted: Noted) -> None:
    if after.diff != before.diff:
        # Whoever is asked reads it: one that is turned around would tell the opposite.
        (noted.widens if after.diff else noted.rewords)(about, "is shown to people in another form")
    for name in _WORDS:
        if getattr(before, name) != getattr(after, name):
            noted.rewords(about, f"`{name}` is reworded")


def _environment(about: str, before: Derivation, after: Derivation, noted: Noted) -> None:
    if before == after:
        return
    if not isinstance(before, Lookup) or not isinstance(after, Lookup):
        noted.widens(about, "its environment is derived in another way")
    elif (before.argument, before.segment) != (after.argument, after.segment):
        noted.widens(about, "its environment is derived from something else")
    elif before.patterns != after.patterns:
        noted.widens(about, "other patterns lead to its environment")
    else:
        _names(about, before, after, noted)


def _names(about: str, before: Lookup, after: Lookup, noted: Noted) -> None:
    if before.unsafe_pattern != after.unsafe_pattern:
        noted.rewords(about, "`unsafe_pattern` is reworded")
    moved = {name for name, where in after.names.items() if before.names.get(name, where) != where}
    more = set(after.names) - set(before.names)
    gone = set(before.names) - set(after.names)
    if moved or more:
        noted.widens(about, f"{listed(moved | more)} stand for an environment that they did not stand for")
    if gone:
        # Where there are patterns, a value that has no name any more may meet one of them.
        words = f"{listed(gone)} stand for no environment"
        (noted.widens if after.patterns else noted.narrows)(about, words)


def _arguments(about: str, before: Mapping[str, Argument], after: Mapping[str, Argument], noted: Noted) -> None:
    for key in sorted({*before, *after}):
        mine, theirs = before.get(key), after.get(key)
        if theirs is None or mine is None:
            is_narrower = theirs is None and mine is not None and mine.optional
            words = f"takes `{key}`" if mine is None else f"takes `{key}` no more"
            (noted.narrows if is_narrower else noted.widens)(about, words)
        elif mine != theirs:
            if takes_no_more(theirs, mine):
                noted.narrows(about, f"takes less as `{key}`")
            else:
                noted.widens(about, f"may take more as `{key}`")


def takes_no_more(one: Argument, other: Argument) -> bool:
    """Whether every value that fits `one` fits `other`, and is looked at as strictly."""
    return (
        one.kind is other.kind
        and (other.optional or not one.optional)
        and (other.nullable or not one.nullable)
        and (not other.enum or (bool(one.enum) and set(map(repr, one.enum)) <= set(map(repr, other.enum))))
        and (other.low is None or (one.low is not None and one.low >= other.low))
        and (other.high is None or (one.high is not None and one.high <= other.high))
        and (other.max_length is None or (one.max_length is not None and one.max_length <= other.max_length))
        and is_as_strict(one.spelling, other.spelling)
        and (one.opaque is other.opaque or other.opaque)
        and _inner_takes_no_more(one, other)
        and _compares_everything()
    )


def _inner_takes_no_more(one: Argument, other: Argument) -> bool:
    if one.of is not None and other.of is not None and not takes_no_more(one.of, other.of):
        return False
    if set(one.fields) != set(other.fields):
        return False
    return all(takes_no_more(field, other.fields[key]) for key, field in one.fields.items())


def is_as_strict(one: Spelling, other: Spelling) -> bool:
    """Whether `one` demands whatever `other` demands."""
    return stricter(one, other) == one


_COMPARED = frozenset(
    {"kind", "optional", "nullable", "enum", "low", "high", "max_length", "of", "fields", "spelling", "opaque"}
)


def _compares_everything() -> bool:
    """Whether no field was added to arguments that this module does not compare; else nothing is called narrower."""
    return {one.name for one in fields(Argument)} == _COMPARED
