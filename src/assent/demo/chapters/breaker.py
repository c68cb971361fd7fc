"""Any operator stops production with one call; it goes on only when two people want it to."""

from typing import Final

from assent.demo.scene import OK, Scene
from assent.demo.wrong import must

WAITS_FOR_A_SECOND: Final = 202


def tripped(scene: Scene) -> None:
    """Trip production and let the agent try."""
    trip = scene.noor.trip("production")
    must(trip.status == OK, "noor trips production", trip)
    work = scene.errand("carry-on")
    heard = work.hear("refused", "production")
    must((heard["error"], heard["code"]) == ("BreakerOpen", "breaker_open"), "production is stopped", heard)
    work.hear("ran", "staging")
    reads = [one.arguments["path"] for one in scene.town.ran("files.read")]
    must("prod/hours.txt" not in reads, "not even a read ran", reads)
    scene.narrator.kept(
        "P6", f"tripped means stopped: noor trips production, the clerk's next read is {heard['error']}"
    )
    scene.narrator.say("staging is out of its scope and goes on")
    _reset_by_two(scene, trip.body["breaker"]["id"])


def _reset_by_two(scene: Scene, breaker: str) -> None:
    first = scene.noor.reset(breaker)
    must(first.status == WAITS_FOR_A_SECOND and "mara" in first.body["who"], "one person is not enough", first)
    again = scene.noor.reset(breaker)
    must(again.body.get("closed") is not True, "the same person twice is still one", again)
    second = scene.mara.reset(breaker)
    must(second.status == OK and second.body["closed"], "the second person closes it", second)
    scene.errand("carry-on-after").hear("ran", "production")
    scene.narrator.kept("P6", "and it takes two: noor asks twice and it stays open, mara agrees and work goes on")
