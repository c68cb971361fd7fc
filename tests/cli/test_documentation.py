"""Every command and every option stands on its page, and the page names none that does not exist."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from assent.cli.exits import Exit
from assent.cli.main import COMMANDS, OnDemand, app

PAGE = (Path(__file__).parent.parent.parent / "docs" / "cli.md").read_text()


def commands() -> Iterator[tuple[str, Any]]:
    group = OnDemand(name="assent")
    for noun in COMMANDS:
        yield from inside(noun, group.get_command(None, noun))


def inside(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Yield the command, or every command of a group by its whole name."""
    verbs = getattr(command, "commands", None)
    if not verbs:
        yield name, command
    for verb, one in (verbs or {}).items():
        yield from inside(f"{name} {verb}", one)


ALL = dict(commands())


@pytest.mark.parametrize("name", ALL)
def test_a_command_stands_on_the_page_with_its_options(name: str) -> None:
    noun, _, verb = name.partition(" ")
    assert f"`assent {noun}" in PAGE
    assert not verb or re.search(rf"^\| `{verb}\b", PAGE, re.MULTILINE)
    options = {option for parameter in ALL[name].params for option in parameter.opts if option.startswith("--")}
    assert sorted(option for option in options - {"--help"} if option not in PAGE) == []


def test_the_page_names_no_option_that_does_not_exist() -> None:
    every = [get_command(app), *ALL.values()]
    known = {option for command in every for parameter in command.params for option in parameter.opts}
    assert sorted(set(re.findall(r"--[a-z][a-z-]+", PAGE)) - known - {"--help"}) == []


@pytest.mark.parametrize("code", Exit)
def test_every_exit_code_stands_on_the_page(code: Exit) -> None:
    assert re.search(rf"^\| {code.value} \|", PAGE, re.MULTILINE)
