"""The pages about the API say what the code does."""

import re
from pathlib import Path

from assent.api.problems import TABLE
from assent.api.reference import refusals_page
from tests.api.documents import operations
from tests.api.town import Town

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_codes_is_in_step_with_the_tables() -> None:
    written = (DOCS / "refusals.md").read_text()
    assert written == refusals_page(), "write it anew: python -m assent.api.reference > docs/refusals.md"


def test_every_code_stands_on_the_page() -> None:
    page = refusals_page()
    assert [code for code in TABLE if f"`{code}`" not in page] == []


CODE = re.compile(r"`([^`]+)`")
CALL = re.compile(r"(?:(GET|POST|PUT|DELETE) )?(…?/(?:\{[^}]*\}|[^\s?|{])*)")


def calls(page: str) -> set[tuple[str | None, str]]:
    """Returns (method if one is given, path) of every call that a page writes as code, without names of parameters."""
    found = [CALL.match(code) for code in CODE.findall(page)]
    return {(match[1], unnamed(match[2])) for match in found if match}


def unnamed(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


def is_told(call: tuple[str | None, str], method: str, path: str) -> bool:
    """Whether `call` of the page is the operation; `…` stands for the beginning, at the end for anything."""
    named, written = call
    if named not in {None, method.upper()}:
        return False
    pattern = ".*".join(re.escape(part) for part in written.split("…"))
    return re.fullmatch(pattern, unnamed(path)) is not None


def is_below(call: tuple[str | None, str], path: str) -> bool:
    """Whether `call` of the page fills in a parameter that stands for the rest of the operation's path."""
    beginning, _, parameter = unnamed(path).rpartition("/")
    return parameter == "{}" and call[1].startswith(f"{beginning}/")


async def test_every_call_stands_on_the_page_of_the_api_with_its_method(town: Town) -> None:
    told = calls((DOCS / "api.md").read_text())
    document = (await town.get(None, "/openapi.json")).json
    assert [
        f"{method} {path}"
        for method, path, _ in operations(document)
        if not any(is_told(call, method, path) for call in told)
    ] == []


async def test_the_page_of_the_api_names_no_call_that_does_not_exist(town: Town) -> None:
    document = (await town.get(None, "/openapi.json")).json
    there = [(method, path) for method, path, _ in operations(document)] + [("get", "/openapi.json"), ("get", "/v1")]
    told = calls((DOCS / "api.md").read_text())
    assert [call for call in told if not any(is_told(call, *one) or is_below(call, one[1]) for one in there)] == []
