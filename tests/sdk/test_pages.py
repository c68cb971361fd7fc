"""The pages of the SDK name everything it has: public names, errors with their codes, limits with their defaults."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

import assent
from assent.sdk.endpoint import DEFAULT_LIMITS

DOCS = Path(__file__).parents[2] / "docs"


def raised() -> list[str]:
    kinds = {name: getattr(assent, name) for name in assent.__all__}
    return [name for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, assent.AssentError)]


def test_the_reference_lists_every_public_name() -> None:
    page = (DOCS / "sdk-reference.md").read_text()
    assert [name for name in assent.__all__ if f"::: assent.{name}\n" not in page] == []


@pytest.mark.parametrize("name", [name for name in raised() if name != "AssentError"])
def test_every_error_stands_in_the_table_with_its_code(name: str) -> None:
    kind = getattr(assent, name)
    code = "a [code](refusals.md)" if kind is assent.ActionDenied else f"`{kind.code}`"
    assert f"| `{name}` | {code} |" in (DOCS / "errors.md").read_text()


def test_every_limit_stands_on_the_page_with_its_default() -> None:
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ([\d., ]+) \|", (DOCS / "sdk.md").read_text(), re.MULTILINE)
    told = {
        name: float(value)
        for names, values in rows
        for name, value in zip(re.findall(r"\w+", names), values.split(", "), strict=True)
    }
    assert told == {field.name: getattr(DEFAULT_LIMITS, field.name) for field in fields(DEFAULT_LIMITS)}
