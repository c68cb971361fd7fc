"""The image: what it is built from is there, with hashes, and it runs as nobody."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINES = (ROOT / "deploy/container/Dockerfile").read_text().replace("\\\n", " ").splitlines()
STEPS = [(word, rest) for word, _, rest in (line.partition(" ") for line in LINES) if word.isupper()]
LAST_STAGE = max(index for index, (word, _) in enumerate(STEPS) if word == "FROM")
IGNORED = (ROOT / ".dockerignore").read_text()


def sources() -> list[str]:
    copies = [shlex.split(rest) for word, rest in STEPS if word == "COPY" and not rest.startswith("--from")]
    return [source for parts in copies for source in parts[:-1]]


@pytest.mark.parametrize("source", sources())
def test_what_is_copied_is_there_and_let_through(source: str) -> None:
    assert (ROOT / source).exists()
    assert f"!{source}\n" in IGNORED


def test_nothing_is_let_through_that_is_not_copied() -> None:
    assert set(re.findall(r"^!(.+)$", IGNORED, re.MULTILINE)) == set(sources())
    assert IGNORED.splitlines()[1] == "*"


def test_every_dependency_is_installed_by_its_hash() -> None:
    (first, second) = re.findall(r"pip install (.+?)(?:&&|$)", "\n".join(rest for _, rest in STEPS), re.MULTILINE)
    assert first.strip() == "--require-hashes -r requirements/demo.txt"
    assert second.strip() == "--no-deps ."


def test_it_runs_as_an_account_without_a_name() -> None:
    last = dict(STEPS[LAST_STAGE:])
    assert last["USER"] == "65532:65532"
    assert last["ENTRYPOINT"] == '["assent"]'
    assert [word for word, _ in STEPS[LAST_STAGE:]].count("RUN") == 1
