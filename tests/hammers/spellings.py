"""Other spellings of what a rule is about: none of them reaches a better decision than the canonical one.

Each trick writes a value so that a lenient system behind the tool (one that folds case, resolves dots, unescapes, drops
what it cannot print, normalises Unicode) would take it for the canonical value. Rules of each effect look at it by
resource and by every predicate that reads text. Look-alikes are tried where an argument takes ASCII, as most do: who
declares `unicode: true` gets words of any one script, and a rule cannot tell those apart that look alike.
"""

import random
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from assent.core.agents import AgentId
from assent.core.decisions import STRICTNESS, Effect
from assent.core.reasons import Reason
from assent.policy import LoadedPolicy
from tests.hammers.budget import Budget, Report, expect
from tests.policy.directory import SAMPLE, load_files

FULL_SPELLINGS: Final = 1_000_000
Trick = Callable[[str], Iterator[str]]

_HOMOGLYPHS: Final = {
    "a": "аɑα", "b": "ЬƄ", "c": "сϲ", "e": "еє", "g": "ɡ", "h": "һ", "i": "іıі", "l": "ӏⅼ1", "m": "ⅿ", "n": "ո",
    "o": "оοօ0", "p": "рρ", "r": "г", "s": "ѕ", "t": "т", "u": "υս", "v": "ѵν", "x": "хⅹ", "y": "уγ", ".": "․。．",
    "/": "∕⁄／", "@": "＠",
}  # fmt: skip
_ZERO_WIDTH: Final = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u115f\u3164\ufe0f\u180e\U000e0061"
_BIDI: Final = "\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"
_CONTROLS: Final = "\x00\x01\x07\x08\x1b\x7f\x85"
_BREAKS: Final = "\n\r\t\x0b\x0c\u2028\u2029"
_SPACES: Final = " \u00a0\u2002\u2007\u202f\u205f\u3000"


def _inserted(characters: str) -> Trick:
    def trick(value: str) -> Iterator[str]:
        for at, character in product(range(len(value) + 1), characters):
            yield value[:at] + character + value[at:]

    return trick


def _case(value: str) -> Iterator[str]:
    yield from {value.upper(), value.title(), value.capitalize()}
    for at, character in enumerate(value):
        yield value[:at] + character.upper() + value[at + 1 :]


def _dots(value: str) -> Iterator[str]:
    yield from (f"./{value}", f"{value}/.", f"x/../{value}", f"{value}/x/..", f"{value}/", f"../{value}", f"{value}.")
    for at, character in enumerate(value):
        if character == "/":
            yield from (f"{value[:at]}/{dots}/{value[at + 1 :]}" for dots in (".", "x/..", "./.", "././"))


def _slashes(value: str) -> Iterator[str]:
    yield from (f"/{value}", f"//{value}", f"{value}//", value.replace("/", "\\"), value.replace("/", "//"))
    for at, character in enumerate(value):
        if character == "/":
            yield from (f"{value[:at]}{other}{value[at + 1 :]}" for other in ("//", "///", "\\", "\\/", "/\\"))


def _percent(value: str) -> Iterator[str]:
    for at, character in enumerate(value):
        code = f"{ord(character):02x}"
        for escape in (f"%{code}", f"%{code.upper()}", f"%25{code}", f"%u00{code}", f"%%{code}"):
            yield value[:at] + escape + value[at + 1 :]


def _homoglyphs(value: str) -> Iterator[str]:
    for at, character in enumerate(value):
        yield from (value[:at] + other + value[at + 1 :] for other in _HOMOGLYPHS.get(character, ""))


def _forms(value: str) -> Iterator[str]:
    for at, character in enumerate(value):
        if "!" <= character <= "~":
            yield value[:at] + chr(ord(character) + 0xFEE0) + value[at + 1 :]
        yield value[: at + 1] + "\u0301" + value[at + 1 :]
        for first, offset in (("a", 0x1D41A), ("a", 0x24D0)):
            if "a" <= character <= "z":
                yield value[:at] + chr(offset + ord(character) - ord(first)) + value[at + 1 :]
    yield unicodedata.normalize("NFD", value.replace("e", "é"))


TRICKS: Final[dict[str, Trick]] = {
    "case": _case,
    "dots": _dots,
    "slashes": _slashes,
    "percent": _percent,
    "homoglyph": _homoglyphs,
    "zero width": _inserted(_ZERO_WIDTH),
    "bidi": _inserted(_BIDI),
    "NUL and controls": _inserted(_CONTROLS),
    "newline": _inserted(_BREAKS),
    "spaces": _inserted(_SPACES),
    "Unicode forms": _forms,
}


@dataclass(frozen=True, slots=True)
class Target:
    """A value that a rule is about: the argument that brings it, how the rule looks at it, and whether it is ASCII."""

    argument: str
    value: str
    looks: str
    unicode: bool = False

    def tricks(self) -> dict[str, Trick]:
        """Return the tricks that are tried on it."""
        return {name: trick for name, trick in TRICKS.items() if not (self.unicode and name == "homoglyph")}


_LOOKS: Final = (
    Target("path", "stg/billing/x", 'resources: ["*/billing/**"]'),
    Target("path", "stg/billing/x", "resources: [stg/billing/x]"),
    Target("path", "stg/billing/x", "when: {path: {under: stg/billing}}"),
    Target("path", "stg/billing/x", "when: {path: {prefix: stg/bill}}"),
    Target("mode", "root", "when: {mode: {equals: root}}"),
    Target("mode", "root", "when: {mode: {in: [root, wheel]}}"),
    Target("mode", "root", "when: {mode: {prefix: roo}}"),
    Target("mode", "root", "when: {mode: {matches: ro+t}}"),
    Target("host", "pay.evil.example", "when: {host: {domain: evil.example}}"),
    Target("host", "pay.evil.example", "when: {host: {equals: pay.evil.example}}"),
    Target("mails", "me@evil.example", "when: {mails: {each: {domain: evil.example}}}"),
    Target("mails", "me@evil.example", "when: {mails: {each: {in: [me@evil.example]}}}"),
)
TARGETS: Final = tuple(replace(one, unicode=unicode) for one in _LOOKS for unicode in (False, True))
_TOOL: Final = """\
disk.write:
  description: write
  impact: write
  resource: "{path}"
  environment: {from: path, segment: 0, match: {prod: production, stg: staging}}
  arguments:
    path: {type: string, path: true, unicode: UNICODE, case: lower}
    mode: {type: string, unicode: UNICODE, case: lower}
    host: {type: string, unicode: UNICODE, case: lower}
    mails: {type: list, of: {type: string, unicode: UNICODE, case: lower}}
  how_bad: it is replaced
  undo: write it back
"""
_PLAIN: Final = {"path": "stg/other/x", "mode": "user", "host": "a.example", "mails": "you@a.example"}


def policy_of(folder: Path, target: Target, effect: Effect) -> LoadedPolicy:
    """Return a policy that allows everything but what it says of the target; an allow is all that there is of it."""
    lines = [f"{{id: of-it, tools: [disk.write], environments: [staging], {target.looks}, effect: {effect}}}"]
    if effect is not Effect.ALLOW:
        lines.append("{id: all, tools: [disk.write], environments: [staging], effect: allow}")
    role = "disk:\n  description: d\n  owner: dana\n  rules:\n" + "".join(f"    - {line}\n" for line in lines)
    agents = SAMPLE["agents.yaml"] + "writer: {owner: dana, roles: [disk], expires: 2027-03-31}\n"
    files = {
        **SAMPLE,
        "tools/disk.yaml": _TOOL.replace("UNICODE", str(target.unicode).lower()),
        "roles/disk.yaml": role,
        "agents.yaml": agents,
    }
    return load_files(folder, files)


def effect_of(policy: LoadedPolicy, target: Target, value: str) -> Effect:
    """Return what asking with `value` comes to; a refusal is a deny."""
    arguments = {**_PLAIN, target.argument: value}
    proposal = policy.propose("disk.write", {**arguments, "mails": [arguments["mails"]]})
    return Effect.DENY if isinstance(proposal, Reason) else policy.verdict(proposal, AgentId("writer"), ()).effect


def check(policy: LoadedPolicy, target: Target, effect: Effect, spelling: str, trick: str) -> None:
    """Compare a spelling with the canonical one.

    Raises:
        Disproved: it gets more.

    """
    got, plain = effect_of(policy, target, spelling), effect_of(policy, target, target.value)
    expect(plain is effect, f"{target} comes to {plain}")
    better = STRICTNESS[got] < STRICTNESS[plain] and leads_to(spelling, target.value)
    expect(not better, f"{spelling!r} ({trick}) comes to {got}, {target} to {plain}")


def leads_to(spelling: str, value: str) -> bool:
    """Whether some lenient system would take `spelling` for `value`; only paths are resolved."""
    once = unquote(spelling)
    return spelling != value and value in {lenient(text, value) for text in (spelling, once, unquote(once))}


def lenient(text: str, meant: str) -> str:
    """Return a text as a system reads it that folds, drops, looks alike, and resolves what is `meant` as a path."""
    text = unicodedata.normalize("NFKC", text).casefold()
    text = "".join(_ALIKE.get(character, character) for character in unicodedata.normalize("NFD", text))
    text = "".join(character for character in text if character.isprintable() and not unicodedata.combining(character))
    if "/" not in meant:
        return text.strip()
    kept: list[str] = []
    for segment in text.replace("\\", "/").split("/"):
        if segment == "..":
            kept[-1:] = []
        elif segment.strip(" .") or segment.strip():
            kept.append(segment.strip().rstrip("."))
    return "/".join(part for part in kept if part)


_ALIKE: Final = {other: plain for plain, others in _HOMOGLYPHS.items() for other in others if not other.isdigit()}


def run(folder: Path, budget: Budget) -> Report:
    """Write the targets with one to three tricks at random until the budget is spent.

    Raises:
        Disproved: a spelling gets more than the canonical one.

    """
    chance, counts = budget.random(), Counter[str]()
    cases = list(product(TARGETS, Effect))
    policies = {case: policy_of(folder / str(index), *case) for index, case in enumerate(cases)}
    while budget.goes_on(counts["spellings"]):
        target, effect = chance.choice(cases)
        names = chance.sample(sorted(target.tricks()), chance.choice([1, 2, 3]))
        spelling = _tricked(target.value, names, chance)
        counts["spellings"] += 1
        counts["that lead to the same thing"] += leads_to(spelling, target.value)
        counts["denied"] += effect_of(policies[target, effect], target, spelling) is Effect.DENY
        check(policies[target, effect], target, effect, spelling, ", ".join(names))
    return Report(counts=dict(counts))


def _tricked(value: str, names: list[str], chance: random.Random) -> str:
    for name in names:
        value = chance.choice([value, *TRICKS[name](value)])
    return value
