"""`assent policy draft`: what agents asked for in vain, what functions and servers declare, as files for a reviewer."""

import json
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from assent.cli import searching, stories
from assent.cli.called import as_called
from assent.cli.client import Client
from assent.cli.output import Usage
from assent.cli.writing import write_below
from assent.core.canonical import BadJson, Json, parse
from assent.core.characters import visible
from assent.policy.checking import sound
from assent.policy.declared import Declared
from assent.policy.drafting import Denial, Draft, Known, Sketch, draft, merged, of_denials, of_mcp, of_python
from assent.policy.files import DRAFTS

MOST_DENIALS: Final = 1000
MOST_SHOWN: Final = 10
"""How many asks of one tool in one environment are shown with their values: each is a record of its own."""

_MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
_CODES: Final = ("unknown_tool", "no_rule")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where a draft comes from; at least one of them."""

    python: tuple[str, ...] = ()
    mcp: Path | None = None
    prefix: str | None = None
    denials: tuple[Denial, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """The files that were written, by where they belong, and what is left to a person."""

    files: dict[str, Path]
    open_points: tuple[str, ...]
    has_role: bool


def declared(directory: Path, now: datetime) -> Declared:
    """Return what the policy says already.

    Raises:
        PolicyInvalid: it has errors.

    """
    return sound(directory, now).declared


def name_of(name: str | None, sources: Sources, agent: str, policy: Declared) -> str:
    """Return what the draft is called, which is what its role is called.

    Raises:
        Usage: that is no name, or a role has it.

    """
    found = name or sources.prefix or re.sub(r"[^A-Za-z0-9_-]", "-", agent) + "-draft"
    if not _NAME.fullmatch(found):
        raise Usage(f"`{found}` is no name for a role", hint="give --name: letters, digits, `-` and `_`")
    if found in policy.roles:
        raise Usage(f"there is a role `{found}` already, nothing was written", hint="give the draft another --name")
    return found


def made(name: str, agent: str, sources: Sources, policy: Declared) -> Draft:
    """Return the draft.

    Raises:
        BadRequest: a source is not what it should be.
        Usage: nothing is known that could be drafted.

    """
    unknown = dict.fromkeys(denial.tool for denial in sources.denials if denial.code == "unknown_tool")
    sketches: list[Sketch] = []
    for target in sources.python:
        sketches += of_python(target, Path())
    if sources.mcp is not None:
        sketches += of_mcp(_answer(sources.mcp), sources.prefix or "")
    sketches += [of_denials(tool, sources.denials) for tool in unknown]
    profile = policy.agents.get(agent)
    production = sorted(name for name, nonproduction in policy.environments.items() if not nonproduction)
    known = Known(
        tools=policy.tools,
        production=production[0] if production else "production",
        agent=agent,
        owner="" if profile is None else profile.owner,
    )
    return draft(name, merged(sketches), sources.denials, known)


def _answer(file: Path) -> Json:
    try:
        return parse(file.read_bytes(), max_bytes=_MAX_ANSWER_BYTES)
    except BadJson as fault:
        raise Usage(f"`{file}` is no JSON: {fault}", hint="keep the answer to `tools/list` in it") from None
    except OSError as fault:
        raise Usage(f"`{file}` cannot be read: {fault.strerror}") from None


def denials(
    client: Client, agent: str, policy: Declared, *, since: str | None, payload: bool, reason: str | None
) -> tuple[Denial, ...]:
    """Return what an agent was denied for want of a tool or a rule; its arguments with `payload`.

    Raises:
        Refused: the broker does not let this operator see it.

    """
    which = {"agent": agent, "kind": "action.decided", "decision": "deny", "since": since}
    found = searching.search(client, which, limit=MOST_DENIALS, cursor=None)
    return tuple(_denials(client, found.items, policy, payload=payload, reason=reason))


def _denials(
    client: Client, items: list[dict[str, Any]], policy: Declared, *, payload: bool, reason: str | None
) -> Iterator[Denial]:
    shown: Counter[tuple[str, str]] = Counter()
    for item in items:
        leaf = item["leaf"]
        code = next((code for code in leaf.get("reasons", ()) if code in _CODES), None)
        if code is None:
            continue
        tool, environment = leaf.get("tool", ""), leaf.get("environment") or ""
        catalogued = policy.tools.get(tool)
        # What nobody may see in a log shall not be in a file either.
        hides = catalogued is not None and bool(catalogued.sensitive)
        fields: dict[str, Json] = {}
        if payload and not hides and shown[tool, environment] < MOST_SHOWN:
            shown[tool, environment] += 1
            fields = stories.values_of(client, leaf["id"], reason=reason)
        resource = leaf.get("detail", {}).get("resource") or fields.get("resource") or ""
        arguments = fields.get("arguments")
        yield Denial(
            tool=tool,
            code=code,
            environment=environment,
            resource=resource if isinstance(resource, str) else "",
            arguments=arguments if isinstance(arguments, dict) else None,
        )


def write(directory: Path, name: str, made: Draft) -> Drafted:
    """Write a draft into `drafts/`; nothing that is there is overwritten.

    Raises:
        Usage: one of its files is there, or there is nothing to write.

    """
    if not made.files:
        raise Usage("there is nothing to draft: the catalogue has every tool, and no ask lacked a rule")
    files = {f"{kind}/{name}.yaml": Path(DRAFTS, f"{name}.{kind}.yaml") for kind in made.files}
    for file in files.values():
        if (directory / file).exists():
            raise Usage(f"`{directory / file}` is there, nothing was written", hint="move it away, or give --name")
    for kind, file in zip(made.files, files.values(), strict=True):
        write_below(directory, file.as_posix(), made.files[kind].encode())
    return Drafted(files=files, open_points=tuple(made.open_points), has_role="roles" in made.files)


def tell(directory: Path, name: str, agent: str, drafted: Drafted) -> None:
    """Print what was written, what it leaves open and how it comes into force."""
    for file in drafted.files.values():
        print(visible(str(directory / file)))
    print("\nno broker reads these; left to you:")
    for point in drafted.open_points:
        print(f"  {visible(point)}")
    print("\nwhen you have read and narrowed them:")
    for where, file in drafted.files.items():
        print(visible(f"  mv {shlex.quote(str(directory / file))} {shlex.quote(str(directory / where))}"))
    if drafted.has_role:
        print(f"  give the role `{visible(name)}` to `{visible(agent)}` in agents.yaml")
    print(as_called(f"  assent policy check {visible(shlex.quote(str(directory)))}"))
    print(as_called(f"  assent policy test {visible(shlex.quote(str(directory)))}"))


def as_json(directory: Path, name: str, drafted: Drafted) -> str:
    """Return it for a program."""
    files = {where: str(directory / file) for where, file in drafted.files.items()}
    return json.dumps({"name": name, "files": files, "open_points": list(drafted.open_points)})
