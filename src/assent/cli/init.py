"""`assent init DIR`: a configuration, keys and starter policies, with the first credentials shown once."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from assent.cli.called import as_called
from assent.cli.output import AsJson, Usage
from assent.config import DEFAULT_FILE

app = typer.Typer(add_completion=False, rich_markup_mode=None)


Named = Annotated[
    list[str] | None,
    typer.Option("--pack", metavar="NAME", help="Put a pack beside the starter policies; again for more."),
]


@app.command()
def init(
    where: Annotated[
        str, typer.Argument(metavar="DIRECTORY", help="Where to make it; nothing there is overwritten.")
    ] = "",
    *,
    pack: Named = None,
    list_packs: Annotated[bool, typer.Option("--list-packs", help="Only say which packs there are.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a configuration, keys and starter policies; shows your token and the agent's key once."""
    from assent.cli import packs, starting

    if list_packs:
        packs.tell(as_json=as_json)
        return
    if not where.strip():
        raise Usage("the directory has no name, nothing was made", hint="name one, or `.` for this one")
    named = packs.known(pack or ())
    directory = Path(where)
    if starting.is_complete(directory):
        added = packs.add(directory, named)
        _say_what_changed(directory, added, asked=bool(named), as_json=as_json)
        return
    shown = as_json or sys.stdout.isatty()
    started = starting.start_in(directory, named, keep=not shown)
    if as_json:
        operator = {"id": starting.OPERATOR, "token": started.operator_token}
        agent = {"id": starting.AGENT, "key": started.agent_key}
        more = {"packs": named} if named else {}
        print(json.dumps({"config": str(started.config), "operator": operator, "agent": agent, **more}))
        return
    if not shown:
        print(directory / starting.CREDENTIALS)
        return
    print(f"made {started.config}, keys/, policies/ and agent.py\n")
    print("shown once, keep them apart:")
    print(f"  export ASSENT_OPERATOR_TOKEN={started.operator_token}   # yours: approve and stop")
    print(f"  export ASSENT_AGENT_KEY={started.agent_key}   # {starting.AGENT}'s, for its own terminal only\n")
    print("try next, each in its own terminal:")
    print(as_called(f"  assent serve --config {quote(str(started.config))}"))
    print(f"  {quote(sys.executable)} {quote(str(directory / 'agent.py'))}")
    print(as_called("  assent approvals approve CODE --sha …   # both stand in `assent approvals list`"))
    if named:
        print()
        packs.tell_what_to_edit(directory, named)


def _say_what_changed(directory: Path, added: Sequence[str], *, asked: bool, as_json: bool) -> None:
    from assent.cli import packs

    config = str(directory / DEFAULT_FILE)
    if as_json:
        more = {"packs": added} if asked else {}
        print(json.dumps({"config": config, "unchanged": not added, **more}))
    elif added:
        packs.tell_what_to_edit(directory, added)
    else:
        print(f"{config} is there: nothing was changed")
