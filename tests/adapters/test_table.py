"""The table of docs/adapters says what the last run of all adapters found, about the versions that are pinned."""

from tests.adapters.promises import DRIVERS, NOT_ASKED, PROMISES
from tests.adapters.table import PAGE, PLACE, ROOT, rendered


def test_the_page_shows_that_every_promise_held_for_every_adapter() -> None:
    found = PLACE.search(PAGE.read_text())
    assert found
    assert found[0] == rendered({driver: dict.fromkeys(PROMISES, True) for driver in DRIVERS})


def test_a_promise_that_did_not_hold_or_was_not_tried_is_told_as_failing() -> None:
    told = {driver: dict.fromkeys(PROMISES, True) for driver in DRIVERS}
    told["langchain"] = {**told["langchain"], "forged": False}
    told["openai_agents"] = {}
    assert rendered(told).count("**fails**") == 1 + len(PROMISES)


def test_what_is_not_asked_names_drivers_and_promises_that_are_there() -> None:
    assert {driver for driver, _ in NOT_ASKED} <= DRIVERS.keys()
    assert {promise for _, promise in NOT_ASKED} <= PROMISES.keys()


def test_every_framework_has_its_list_of_versions() -> None:
    lists = {path.stem for path in (ROOT / "requirements" / "adapters").glob("*.txt")}
    assert lists | {"functions"} == DRIVERS.keys()
