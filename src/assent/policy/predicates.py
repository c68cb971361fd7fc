"""Predicates: reads the closed set of tests that a rule's `when` may use, and compiles each once."""

import re
from collections.abc import Callable
from functools import cache
from typing import Final

import re2

from assent.core.canonical import MAX_INTEGER, Json
from assent.policy import spelling
from assent.policy.bounds import MAX_ALTERNATIVES, MAX_OPERANDS, MAX_PROGRAM
from assent.policy.conditions import Condition, FieldCondition, Predicate, Test
from assent.policy.documents import Mapping as MappingNode
from assent.policy.documents import Node, Scalar, Sequence, as_json, plain
from assent.policy.fields import Fields, boolean, integer, listed, number, text
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
_WORD: Final = Spelling(is_unicode=True)
_PATH: Final = Spelling(is_path=True, is_unicode=True)
_HOST_STEPS: Final = 40
_HOST_CHARACTER_64THS: Final = 64
_EXPRESSION_STEPS: Final = 80
_INSTRUCTION_64THS: Final = 16
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
        findings.add(node.place, f"this must be a predicate such as {{max: 20}}: {listed(_READERS)}")
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
    # A boolean equals an integer for Python; told apart by type they are two.
    among = frozenset((type(operand) is bool, operand) for operand in operands if not isinstance(operand, list | dict))

    def test(value: Json) -> bool | None:
        if value is None or isinstance(value, list | dict):
            return None
        return ((type(value) is bool, value) in among) is wanted

    texts = [operand for operand in operands if isinstance(operand, str)]
    is_path = any("/" in operand for operand in texts)
    return Predicate(test, kinds, (_PATH if is_path else _WORD) if texts else None, per_character=1)


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
    bound = number(node, findings)
    return Predicate(_on_number(lambda value: value >= bound), NUMERIC)


def _max(node: Node, findings: Findings) -> Predicate:
    bound = number(node, findings)
    return Predicate(_on_number(lambda value: value <= bound), NUMERIC)


def _prefix(node: Node, findings: Findings) -> Predicate:
    start = text(node, findings)
    # The prefix of a path need not be one: `a/b/`, `a/b` and `a/v1.` are good prefixes.
    _check_operand(start.rstrip("/. ") or start, node, findings, is_path="/" in start)
    how = _PATH if "/" in start else _WORD
    return Predicate(_on_text(lambda value: value.startswith(start)), _TEXT, how, per_character=1)


def _under(node: Node, findings: Findings) -> Predicate:
    base = text(node, findings)
    _check_operand(base, node, findings, is_path=True)
    below = f"{base}/"
    return Predicate(_on_text(lambda value: value == base or value.startswith(below)), _TEXT, _PATH, per_character=1)


def _domain(node: Node, findings: Findings) -> Predicate:
    domain = text(node, findings)
    if not _HOST.fullmatch(domain):
        findings.add(node.place, f"{quoted(domain)} is no domain in lower case, such as acme.example")

    def test(value: Json) -> bool | None:
        host = _host_of(value) if isinstance(value, str) else None
        return None if host is None else host == domain or host.endswith(f".{domain}")

    return Predicate(test, _TEXT, _WORD, steps=_HOST_STEPS, per_character=_HOST_CHARACTER_64THS)


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

    def test(value: Json) -> bool | None:
        return low <= len(value) <= high if isinstance(value, str | list) else None

    return Predicate(test, frozenset({Kind.STRING, Kind.LIST}))


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
    test = _on_text(lambda value: expression.fullmatch(value) is not None)
    return Predicate(test, _TEXT, _WORD, steps=_EXPRESSION_STEPS, per_character=costs)


def _each(node: Node, findings: Findings) -> Predicate:
    any_of = _any_of(node, findings)
    inner = [one for every in any_of for one in every]
    if any(one.each or one.kinds == _ANY or one.kinds.isdisjoint(SCALARS) for one in inner):
        findings.add(
            node.place, "`each` takes predicates over the items of a list, which are texts, numbers or booleans"
        )
        return Predicate(lambda _: None, _LIST)

    def test(value: Json) -> bool | None:
        return every_known([any_known(any_of, item) for item in value]) if isinstance(value, list) else None

    return Predicate(test, _LIST, each=any_of)


def any_known(any_of: tuple[tuple[Predicate, ...], ...], value: Json) -> bool | None:
    """Whether any group holds for `value`; None when that hangs on a test that cannot be applied."""
    results = [every_known([one.test(value) for one in every]) for every in any_of]
    return True if True in results else None if None in results else False


def every_known(results: list[bool | None]) -> bool | None:
    """Whether all are true; None when that hangs on one that is not known."""
    return False if False in results else None if None in results else True


def _present(node: Node, findings: Findings) -> Predicate:
    _only_true(node, findings)
    return Predicate(lambda value: value is not None, _ANY)


def _absent(node: Node, findings: Findings) -> Predicate:
    _only_true(node, findings)
    return Predicate(lambda value: value is None, _ANY)


def _only_true(node: Node, findings: Findings) -> None:
    if not isinstance(node, Scalar) or not boolean(node, findings):
        findings.add(node.place, "write `true`; for the opposite use `present` or `absent`")


def _on_number(check: Callable[[int | float], bool]) -> Test:
    def test(value: Json) -> bool | None:
        return check(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    return test


def _on_text(check: Callable[[str], bool]) -> Test:
    return lambda value: check(value) if isinstance(value, str) else None


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
