"""`assent audit erase`: said yes to by a person or with `--yes`, because nothing of it comes back."""

import json
from typing import Final

from assent.cli import output
from assent.cli.client import Client
from assent.cli.margin import shown
from assent.cli.output import Usage

_YES: Final = frozenset({"y", "yes"})


def erase(client: Client, key: str, *, basis: str, reason: str | None, yes: bool, as_json: bool) -> None:
    """Erase an action's payload and say what that does not reach.

    Raises:
        Usage: nobody said yes.

    """
    if not yes:
        _ask(key)
    told = client.post("v1", "actions", key, "erase", body={"basis": basis, "reason": reason}).body
    if as_json:
        print(json.dumps(told))
        return
    print(
        f"erased: what {told['records']} records of {shown(told['action_id'])} commit to; {told['record_id']} says so"
    )
    for who, what in (("seen_by", "shown before to"), ("shown_at", "put on cards in")):
        if told.get(who):
            print(f"it does not reach what was {what} {shown(output.words(told[who]))}")
    print("backups of before still hold it, encrypted")


def _ask(key: str) -> None:
    if not output.is_attended():
        raise Usage("nothing was erased: without a terminal it needs --yes", hint="nothing of it comes back")
    answer = output.ask(f"erase for ever what was asked and said about {shown(key)}? [y/N]")
    if answer.lower() not in _YES:
        raise Usage("nothing was erased", hint="type y to erase it")
