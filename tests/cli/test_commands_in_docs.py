"""Every command that a page shows exists, with the options that it shows: nobody types something that is refused."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assent.cli.main import COMMANDS, OnDemand

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
BLOCK = re.compile(r"^ *```(?:sh|text)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`(assent [^`]+)`")
# A word of ours in front of anything that a shell would read as the end of the command.
COMMAND = re.compile(r"(?<![\w./-])assent (?P<words>[a-z][^|;&<>)\n`]*)")
GROUP = OnDemand(name="assent")


def commands(page: str) -> Iterator[str]:
    """Yields the words behind `assent` of every command in the page's code."""
    joined = page.replace("\\\n", " ")
    for text in [*BLOCK.findall(joined), *SPAN.findall(joined)]:
        yield from (found["words"].split(" #")[0].strip() for found in COMMAND.finditer(text))


def fault(words: str) -> str | None:
    """Returns what is wrong with a command, None when it can be typed."""
    noun, *rest = words_of(words)
    if noun not in COMMANDS:
        return f"there is no `assent {noun}`"
    command: Any = GROUP.get_command(None, noun)
    while (below := getattr(command, "commands", None)) and rest and not is_placeholder(rest[0]):
        if rest[0] not in below:
            return f"`assent {noun}` has no `{rest[0]}`"
        command, rest = below[rest[0]], rest[1:]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help", "-h"}
    unknown = [word for word in rest if word.startswith("-") and word.partition("=")[0] not in known]
    return f"`assent {noun}` takes no `{unknown[0]}`" if unknown and "commands" not in vars(command) else None


def words_of(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def is_placeholder(word: str) -> bool:
    return word.startswith(("-", "…")) or word.isupper()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_can_be_typed(page: Path) -> None:
    found = {words: fault(words) for words in commands(page.read_text())}
    assert {words: wrong for words, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    "words", ["serves now", "approvals grant CODE", "approvals approve CODE --digest x", "breakers trip --now"]
)
def test_a_command_that_does_not_exist_is_found(words: str) -> None:
    assert fault(words)


def test_commands_are_found_in_blocks_and_in_sentences() -> None:
    page = "Type `assent approvals list --json`:\n\n```sh\nrun assent serve \\\n    --port 0 | cat   # it serves\n```\n"
    assert list(commands(page)) == ["serve      --port 0", "approvals list --json"]
