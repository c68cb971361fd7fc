"""Predicates: reads the closed set of tests that a rule's `when` may use, and compiles each once."""

import re
from collections.abc import Callable, Collection
from functools import cache, partial
from typing import Final

import re2

from assent.core.canonical import MAX_INTEGER, Json
from assent.policy import spelling
from assent.policy.bounds import MAX_ALTERNATIVES, MAX_OPERANDS, MAX_PROGRAM
from assent.policy.conditions import Condition, FieldCondition, Predicate
from assent.policy.documents import Mapping as MappingNode
from assent.policy.documents import Node, Scalar, Sequence, as_json, plain
from assent.policy.fields import NAME, Fields, boolean, integer, listed, number, text
from assent.policy.findings import Findings, did_you_mean, quoted
from assent.policy.schema import NUMERIC, SCALARS, Kind, is_kind
from assent.policy.spelling import Spelling

MAX_EXPRESSION: Final = 1_000
MAX_EXPRESSION_BYTES: Final = 1 << 20
MAX_HOST: Final = 253
MAX_ADDRESS: Final = 64 + 1 + MAX_HOST

_TEXT: Final = frozenset({Kind.STRING})
_LIST: Final = frozenset({Kind.LIST})
_ANY: Final = frozenset(Kind)
_SIZED: Final = frozenset({Kind.STRING, Kind.LIST})
_WORD: Final = Spelling(is_unicode=True)
_PATH: Final = Spelling(is_path=True, is_unicode=True)
_HOST_STEPS: Final = 40
_HOST_CHARACTER_64THS: Final = 64
_EXPRESSION_STEPS: Final = 80
_INSTRUCTION_64THS: Final = 16
_FEW: Final = 4
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_ADDRESS = re.compile(rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@(?P<host>{_LABEL}(\.{_LABEL})*)")


Sound = dict[tuple[str, str], FieldCondition]
"""What was read before without a finding, by the argument and what is said about it as JSON."""


def read_condition(node: Node, findings: Findings, sound: Sound) -> Condition:
    """Read `when`; what is already among `sound` is not made again, and what is sound is added to it."""
    if not isinstance(node, MappingNode) or not node.entries:
        findings.add(node.place, "`when` must map arguments to predicates")
        return ()
    return tuple([_field(key, value, findings, sound) for key, value in node.entries.items()])


def _field(argument: str, node: Node, findings: Findings, sound: Sound) -> FieldCondition:
    key = argument, as_json(node)
    known = sound.get(key)
    if known is not None:
        return known
    count = len(findings)
    made = FieldCondition(argument, _any_of(node, findings), key[1])
    if len(findings) == count:
        sound[key] = made
    return made


def _any_of(node: Node, findings: Findings) -> tuple[tuple[Predicate, ...], ...]:
    if isinstance(node, Sequence):
        if not node.items:
            findings.add(node.place, "an empty list of predicates holds for nothing")
        elif len(node.items) > MAX_ALTERNATIVES:
            findings.add(node.place, f"more than {MAX_ALTERNATIVES} alternatives: name values with `in`")
        return tuple(_every(item, findings) for item in node.items)
    return (_every(node, findings),)


def _every(node: Node, findings: Findings) -> tuple[Predicate, ...]:
    if not isinstance(node, MappingNode) or not node.entries:
        said = f"this must be a predicate such as {{max: 20}}: {listed(_READERS)}"
        if isinstance(node, Scalar) and NAME.fullmatch(node.text):
            said += f", did you mean `{{equals: {node.text}}}`"
        findings.add(node.place, said)
        return ()
    found = []
    for key, value in node.entries.items():
        if key in _READERS:
            found.append(_READERS[key](value, findings))
        else:
            message = f"there is no predicate {quoted(key)}{did_you_mean(key, _READERS)}: {listed(_READERS)}"
            findings.add(node.key_place(key), message)
    return tuple(found)


def _equals(node: Node, findings: Findings) -> Predicate:
    return _among([_operand(node, findings)], wanted=True)


def _in(node: Node, findings: Findings) -> Predicate:
    return _among(_operands(node, findings), wanted=True)


def _not_in(node: Node, findings: Findings) -> Predicate:
    return _among(_operands(node, findings), wanted=False)


def _among(operands: list[Json], *, wanted: bool) -> Predicate:
    kinds = _kept(frozenset([kind for kind in SCALARS if all(is_kind(operand, kind) for operand in operands)]))
    texts = [operand for operand in operands if isinstance(operand, str)]
    how = (_PATH if any("/" in operand for operand in texts) else _WORD) if texts else None
    if len(texts) < len(operands):
        # A boolean equals an integer for Python; told apart by type they are two.
        known = frozenset((type(one) is bool, one) for one in operands if not isinstance(one, list | dict))
        return Predicate(partial(_is_known, known, wanted), kinds, how, per_character=1)
    among = tuple(texts) if len(texts) <= _FEW else frozenset(texts)
    return Predicate(partial(_is_text_among, among, wanted), kinds, how, per_character=1)


@cache
def _kept(kinds: frozenset[Kind]) -> frozenset[Kind]:
    # There are few sets of kinds and there may be very many predicates: each set is kept once.
    return kinds


def _operand(node: Node, findings: Findings) -> Json:
    value = plain(node)
    if value is None or isinstance(value, list | dict):
        findings.add(node.place, "this must be a text, a number, true or false")
    elif isinstance(value, str):
        _check_operand(value, node, findings, is_path="/" in value)
    return value


def _operands(node: Node, findings: Findings) -> list[Json]:
    if not isinstance(node, Sequence) or not node.items:
        findings.add(node.place, "this must be a list of values")
        return []
    if len(node.items) > MAX_OPERANDS:
        findings.add(node.place, f"more than {MAX_OPERANDS} values")
    return [_operand(item, findings) for item in node.items]


def _check_operand(value: str, node: Node, findings: Findings, *, is_path: bool) -> None:
    if (wrong := spelling.fault(value, _PATH if is_path else _WORD)) is not None:
        findings.add(node.place, f"{quoted(value)} would never be met: {wrong}")


def _min(node: Node, findings: Findings) -> Predicate:
    return Predicate(partial(_is_at_least, number(node, findings)), NUMERIC)


def _max(node: Node, findings: Findings) -> Predicate:
    return Predicate(partial(_is_at_most, number(node, findings)), NUMERIC)


def _prefix(node: Node, findings: Findings) -> Predicate:
    start = text(node, findings)
    # The prefix of a path need not be one: `a/b/`, `a/b` and `a/v1.` are good prefixes.
    _check_operand(start.rstrip("/. ") or start, node, findings, is_path="/" in start)
    how = _PATH if "/" in start else _WORD
    return Predicate(partial(_begins_with, start), _TEXT, how, per_character=1)


def _under(node: Node, findings: Findings) -> Predicate:
    base = text(node, findings)
    _check_operand(base, node, findings, is_path=True)
    return Predicate(partial(_is_under, base), _TEXT, _PATH, per_character=1)


def _domain(node: Node, findings: Findings) -> Predicate:
    domain = text(node, findings)
    if not _HOST.fullmatch(domain):
        findings.add(node.place, f"{quoted(domain)} is no domain in lower case, such as acme.example")
    return Predicate(partial(_is_at, domain), _TEXT, _WORD, steps=_HOST_STEPS, per_character=_HOST_CHARACTER_64THS)


def _host_of(value: str) -> str | None:
    """Return the host of a host name or e-mail address in lower case; any other form has none that is safe to judge."""
    if len(value) > MAX_ADDRESS:
        return None
    if (address := _ADDRESS.fullmatch(value)) is not None:
        return address["host"] if len(address["host"]) <= MAX_HOST else None
    return value if len(value) <= MAX_HOST and _HOST.fullmatch(value) else None


def _length(node: Node, findings: Findings) -> Predicate:
    fields = Fields(node, findings, "`length`")
    low = fields.take("min", integer, 0)
    high = fields.take("max", integer, MAX_INTEGER)
    fields.close()
    if not (fields.has("min") or fields.has("max")) or not 0 <= low <= high:
        findings.add(node.place, "`length` needs `min` or `max`, in this order and not negative")
    return Predicate(partial(_is_long, low, high), _SIZED)


def _matches(node: Node, findings: Findings) -> Predicate:
    """Read an expression of RE2, which matches in linear time, and always against the whole value."""
    written = text(node, findings)
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_EXPRESSION_BYTES
    options.never_capture = True
    try:
        if len(written) > MAX_EXPRESSION:
            raise re2.error(f"longer than {MAX_EXPRESSION} characters")
        expression = re2.compile(written, options)
        if expression.programsize > MAX_PROGRAM:
            raise re2.error(f"it needs {expression.programsize} instructions, more than {MAX_PROGRAM}")
    except re2.error as fault:
        why = fault.args[0] if fault.args else "unknown"
        findings.add(node.place, f"not an expression of RE2: {why.decode() if isinstance(why, bytes) else why}")
        expression = re2.compile("", options)
    # Where RE2 has to follow every branch at once, a character costs as much as the program is long.
    costs = expression.programsize * _INSTRUCTION_64THS
    test = partial(_matches_whole, expression.fullmatch)
    return Predicate(test, _TEXT, _WORD, steps=_EXPRESSION_STEPS, per_character=costs)


def _each(node: Node, findings: Findings) -> Predicate:
    any_of = _any_of(node, findings)
    inner = [one for every in any_of for one in every]
    if any(one.each or one.kinds == _ANY or one.kinds.isdisjoint(SCALARS) for one in inner):
        findings.add(
            node.place, "`each` takes predicates over the items of a list, which are texts, numbers or booleans"
        )
        return Predicate(_is_unknown, _LIST)
    return Predicate(partial(_is_each, any_of), _LIST, each=any_of)


def any_known(any_of: tuple[tuple[Predicate, ...], ...], value: Json) -> bool | None:
    """Whether any group holds for `value`; None when that hangs on a test that cannot be applied."""
    results = [every_known([one.test(value) for one in every]) for every in any_of]
    return True if True in results else None if None in results else False


def every_known(results: list[bool | None]) -> bool | None:
    """Whether all are true; None when that hangs on one that is not known."""
    return False if False in results else None if None in results else True


def _present(node: Node, findings: Findings) -> Predicate:
    _only_true(node, findings)
    return Predicate(_is_there, _ANY)


def _absent(node: Node, findings: Findings) -> Predicate:
    _only_true(node, findings)
    return Predicate(_is_missing, _ANY)


def _only_true(node: Node, findings: Findings) -> None:
    if not isinstance(node, Scalar) or not boolean(node, findings):
        findings.add(node.place, "write `true`; for the opposite use `present` or `absent`")


# The tests. Each is given what the rule says and then asked about values: a closure for each rule would be most of what
# very many rules take.


def _is_known(known: frozenset[tuple[bool, Json]], wanted: bool, value: Json) -> bool | None:  # noqa: FBT001  # as above
    if value is None or isinstance(value, list | dict):
        return None
    return ((type(value) is bool, value) in known) is wanted


def _is_text_among(among: Collection[str], wanted: bool, value: Json) -> bool | None:  # noqa: FBT001  # as above
    if value is None or isinstance(value, list | dict):
        return None
    return (value in among) is wanted


def _is_at_least(bound: float, value: Json) -> bool | None:
    return value >= bound if isinstance(value, int | float) and not isinstance(value, bool) else None


def _is_at_most(bound: float, value: Json) -> bool | None:
    return value <= bound if isinstance(value, int | float) and not isinstance(value, bool) else None


def _begins_with(start: str, value: Json) -> bool | None:
    return value.startswith(start) if isinstance(value, str) else None


def _is_under(base: str, value: Json) -> bool | None:
    if not isinstance(value, str):
        return None
    return value.startswith(base) and value[len(base) : len(base) + 1] in {"", "/"}


def _is_at(domain: str, value: Json) -> bool | None:
    host = _host_of(value) if isinstance(value, str) else None
    return None if host is None else host == domain or host.endswith(f".{domain}")


def _is_long(low: int, high: int, value: Json) -> bool | None:
    return low <= len(value) <= high if isinstance(value, str | list) else None


def _matches_whole(fullmatch: Callable[[str], object], value: Json) -> bool | None:
    return fullmatch(value) is not None if isinstance(value, str) else None


def _is_each(any_of: tuple[tuple[Predicate, ...], ...], value: Json) -> bool | None:
    return every_known([any_known(any_of, item) for item in value]) if isinstance(value, list) else None


def _is_there(value: Json) -> bool | None:
    return value is not None


def _is_missing(value: Json) -> bool | None:
    return value is None


def _is_unknown(_value: Json) -> bool | None:
    return None


_READERS: Final[dict[str, Callable[[Node, Findings], Predicate]]] = {
    "equals": _equals,
    "in": _in,
    "not_in": _not_in,
    "min": _min,
    "max": _max,
    "prefix": _prefix,
    "under": _under,
    "domain": _domain,
    "length": _length,
    "matches": _matches,
    "each": _each,
    "present": _present,
    "absent": _absent,
}
