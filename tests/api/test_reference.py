"""The pages about the API say what the code does."""

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


async def test_every_route_stands_on_the_page_of_the_api(town: Town) -> None:
    page = (DOCS / "api.md").read_text()
    document = (await town.get(None, "/openapi.json")).json
    ends = {path.rsplit("}", 1)[-1].rsplit("/", 1)[-1] or path.split("{")[0] for _, path, _ in operations(document)}
    assert [end for end in ends if end not in page] == []
