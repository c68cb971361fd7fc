"""A guide that is run: its programs in one process in order, its commands at the reader's terminal.

A `text` block right behind a program is what it prints. Policy files of the page are served before anything runs.
"""

import contextlib
import io
import re
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.pages.reader import CODE, Block, Reader, address, blocks

ROOT = Path(__file__).parents[2]
FILE = re.compile(r"# (?P<name>\S+\.yaml)\n")
NOT_SHOWN = Block("", "")
# A reader whose policy makes them the one who issues keys, too, so that a guide can be given those it speaks of.
PEOPLE = "demo-owner: {}\nyou: {groups: [approvers], may: [approver, operator, security_admin]}\n"
ROLES = "demo-agent:\n  owner: demo-owner\n  roles: [file-worker, mailer, cashier]\n  expires: 2030-01-01\n"


class Guide:
    """One page, a broker that serves what it speaks of, and the reader who follows it."""

    def __init__(self, page: Path, reader: Reader) -> None:
        self.page = page
        self.reader = reader
        self._blocks = blocks(page)
        self._names: dict[str, Any] = {"__name__": "__main__"}

    def serve(self, files: dict[str, str]) -> None:
        """Make a broker with `files` beside its starter policies, and serve it."""
        self.reader.types("assent init my-broker | cat")
        for name, text in {"operators.yaml": PEOPLE, **files, **self._policy()}.items():
            (self.reader.folder / "my-broker" / "policies" / name).write_text(text)
        self.reader.port = address(self.reader, "assent serve --config my-broker/assent.toml")

    def credential(self, variable: str) -> str:
        """Return what init wrote as `variable`."""
        text = (self.reader.folder / "my-broker" / "credentials.env").read_text()
        return dict(line.removeprefix("export ").split("=", 1) for line in text.splitlines())[variable]

    def runs(self) -> list[tuple[str, str]]:
        """Run every program and command; return what each program printed, and what the page says it prints."""
        return [pair for block, behind in pairwise([*self._blocks, NOT_SHOWN]) for pair in self._run(block, behind)]

    def _run(self, block: Block, behind: Block) -> Iterator[tuple[str, str]]:
        if block.kind == "sh":
            yours = 'eval "$(grep OPERATOR_TOKEN my-broker/credentials.env)"'
            self.reader.answers(f"{yours}\n{block.text.replace(CODE, self.reader.code(yours))}")
        elif block.kind == "python":
            yield self._printed(block.text), behind.text if behind.kind == "text" else ""

    def _printed(self, program: str) -> str:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(program, str(self.page), "exec"), self._names)  # noqa: S102  # the page's own programs
        return printed.getvalue()

    def _policy(self) -> dict[str, str]:
        found = {block.text: FILE.match(block.text) for block in self._blocks if block.kind == "yaml"}
        return {match["name"]: text for text, match in found.items() if match}

    def skip(self, opening: str) -> str:
        """Take the program that begins so out of the guide, because it runs elsewhere, and return it."""
        (taken,) = [block for block in self._blocks if block.text.startswith(opening)]
        self._blocks.remove(taken)
        return taken.text

    def moves(self, port: str, to: str) -> None:
        """Say `to` wherever the page says `port`."""
        self._blocks = [Block(block.kind, block.text.replace(port, to)) for block in self._blocks]

    def issues(self, path: str, body: bytes) -> bytes:
        """Return the answer of the broker to its operator, who posts `body`."""
        headers = {"Authorization": f"Bearer {self.credential('ASSENT_OPERATOR_TOKEN')}"}
        url = f"http://127.0.0.1:{self.reader.port}{path}"
        asked = urllib.request.Request(url, body, {**headers, "Content-Type": "application/json"})  # ours
        with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310  # ours
            told: bytes = answer.read()
        return told


def own_tool() -> dict[str, str]:
    """Return the policy files that the quick start writes, by name."""
    page = (ROOT / "docs" / "quick-start.md").read_text()
    found = re.finditer(r"cat > my-broker/policies/(\S+) <<'END'\n(.*?)^END$", page, re.MULTILINE | re.DOTALL)
    return {match[1]: match[2] for match in found}
