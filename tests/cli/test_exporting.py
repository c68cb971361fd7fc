"""An export is whole or it fails: gaps, doubles, what an interruption left, what somebody changed since."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from assent.cli.client import Client, Unreachable
from assent.cli.exporting import to_file
from assent.cli.output import Usage
from assent.core.errors import VerificationFailed

RECORDS = 450


@dataclass
class Log:
    """A broker that holds records, and may lose some, change some, or stop answering."""

    indexes: list[int] = field(default_factory=lambda: list(range(RECORDS)))
    changed: frozenset[int] = frozenset()
    answers: int = 10**6
    records: int = RECORDS

    def post(self, *_path: str, body: Any) -> Any:
        named = {"first": 0, "last": self.records - 1, "records": self.records, "record_id": "rec_e"}
        return SimpleNamespace(body=named if body["since"] is None else {"records": 0, "record_id": "rec_e"})

    def get(self, *_path: str, order: str, cursor: int, limit: int) -> Any:
        assert order == "oldest"
        self.answers -= 1
        if self.answers < 0:
            raise Unreachable("no broker answers")
        found = [index for index in self.indexes if index >= cursor][:limit]
        items = [{"index": n, "leaf": {"id": f"rec_{n}", "new": n in self.changed}} for n in found]
        return SimpleNamespace(body={"items": items})


def exported(log: Log, out: Path) -> Any:
    return to_file(cast("Client", log), out, since=None, until=None)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def part_of(out: Path) -> Path:
    return out.with_name("log.jsonl.part")


def indexes(file: Path) -> list[int]:
    return [json.loads(line)["index"] for line in file.read_text().splitlines()]


@pytest.fixture
def interrupted(out: Path) -> Path:
    with pytest.raises(Unreachable) as failed:
        exported(Log(answers=1), out)
    assert "the same command goes on" in str(failed.value.hint)
    assert (out.exists(), indexes(part_of(out))) == (False, list(range(200)))
    return part_of(out)


@pytest.mark.requirement("P8")
@pytest.mark.parametrize(
    ("lose", "missing"),
    [
        (lambda all_: [n for n in all_ if n != 0], 0),
        (lambda all_: [n for n in all_ if n != 201], 201),
        (lambda all_: all_[:300], 300),
        (lambda all_: [], 0),
        (lambda all_: sorted([*all_, 7]), 8),
        (lambda all_: [n for n in all_ if n != RECORDS - 1], RECORDS - 1),
    ],
)
def test_a_record_that_is_missing_or_doubled_fails_the_export(
    out: Path, lose: Callable[[list[int]], list[int]], missing: int
) -> None:
    with pytest.raises(VerificationFailed, match=f"record {missing} is missing") as failed:
        exported(Log(lose(list(range(RECORDS)))), out)
    assert (failed.value.index, out.exists()) == (missing, False)


def test_an_interrupted_export_goes_on_where_it_was(out: Path, interrupted: Path) -> None:
    log = Log()
    whole = exported(log, out)
    assert (indexes(out), interrupted.exists()) == (list(range(RECORDS)), False)
    assert log.answers == 10**6 - 3, "one look at the last line that is there, two pages for the rest"
    other = out.with_name("other")
    assert exported(Log(), other).sha256 == whole.sha256
    assert out.read_bytes() == other.read_bytes()


def test_a_torn_line_is_written_again(out: Path, interrupted: Path) -> None:
    os.truncate(interrupted, interrupted.stat().st_size - 5)
    exported(Log(), out)
    assert indexes(out) == list(range(RECORDS))


@pytest.mark.requirement("P8")
def test_what_was_exported_before_must_be_what_the_log_still_says(out: Path, interrupted: Path) -> None:
    with pytest.raises(VerificationFailed, match="record 199 is not what was exported"):
        exported(Log(changed=frozenset({199})), out)
    assert len(indexes(interrupted)) == 200


@pytest.mark.parametrize(
    "content", ['{"index":5,"leaf":{}}\n', "words\n", '{"index":"0"}\n', "[0]\n", '{"index":true}\n']
)
def test_what_lies_there_of_something_else_is_left_alone(out: Path, content: str) -> None:
    part_of(out).write_text(content)
    with pytest.raises(Usage, match="holds another export"):
        exported(Log(), out)
    assert (part_of(out).read_text(), out.exists()) == (content, False)


def test_more_lines_than_are_asked_for_are_another_export(out: Path, interrupted: Path) -> None:
    with pytest.raises(Usage, match="holds another export"):
        exported(Log(records=10), out)
    assert len(indexes(interrupted)) == 200


def test_two_exports_into_one_file_do_not_mix(out: Path) -> None:
    inner: list[type[BaseException]] = []

    class Twice(Log):
        """A log during whose reading the same export is started again."""

        def get(self, *path: str, **asked: Any) -> Any:
            with pytest.raises(Usage, match="another export writes") as failed:
                exported(Log(), out)
            inner.append(failed.type)
            return super().get(*path, **asked)

    exported(Twice(), out)
    assert (indexes(out), inner) == (list(range(RECORDS)), [Usage] * 3)


def test_a_link_in_the_place_of_the_file_is_not_followed(out: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    part_of(out).symlink_to(target)
    with pytest.raises(Usage, match="cannot be written"):
        exported(Log(), out)
    assert target.read_text() == "mine"


def test_an_export_of_nothing_is_an_empty_file(out: Path) -> None:
    done = to_file(cast("Client", Log()), out, since="2999-01-01T00:00:00Z", until=None)
    assert (out.read_bytes(), done.as_sentence()) == (b"", "no record lies between these times")


@pytest.mark.parametrize("where", ["none/log", "k" * 300])
def test_a_place_that_takes_no_file_is_told(tmp_path: Path, where: str) -> None:
    with pytest.raises(Usage, match="nothing was exported"):
        exported(Log(), tmp_path / where)


def test_where_no_export_begins_nothing_is_left_behind(out: Path) -> None:
    class Silent(Log):
        """A broker that does not answer at all."""

        def post(self, *_path: str, body: Any) -> Any:
            raise Unreachable("no broker answers")

    with pytest.raises(Unreachable):
        exported(Silent(), out)
    assert list(out.parent.iterdir()) == []
