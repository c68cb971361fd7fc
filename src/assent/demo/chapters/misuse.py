"""An approval is good for one run of what was shown: not for other arguments, not for a second time."""

from typing import Final

from assent.demo.actors import Errand
from assent.demo.scene import OK, Scene
from assent.demo.setting import SECOND
from assent.demo.town import PRICES
from assent.demo.trickster import SWAPPED, WANTED
from assent.demo.wrong import must

CONFLICT: Final = 409


def swapped_and_replayed(scene: Scene) -> None:
    """Let the agent, past its SDK, try to stretch an approval in both directions."""
    work = scene.errand("cheat")
    if not scene.answer(scene.look_at(work.asked["code"])):
        _denied(scene, work)
        work = _approved_after_all(scene)
    swapped = work.hear("answered", "swapped")
    must((swapped["status"], swapped["code"]) == (CONFLICT, "digest_mismatch"), "other arguments are refused", swapped)
    must(work.hear("answered", "redeemed")["status"] == OK, "the approved arguments are redeemed", swapped)
    replayed = work.hear("answered", "replayed")
    must((replayed["status"], replayed["code"]) == (CONFLICT, "grant_spent"), "a second run is refused", replayed)
    work.hear("done")
    ran = [one.arguments for one in scene.town.ran("files.write") if one.arguments["path"] == WANTED["path"]]
    must(ran == [WANTED], "what was approved ran, once, and nothing else", ran)
    dear = str(SWAPPED["content"]).split("\n", 1)[0]
    scene.narrator.kept("P3", f"swapped arguments (`{dear}`) were refused at the grant: `{swapped['code']}`")
    scene.narrator.kept("P4", f"the same grant a second time was refused: `{replayed['code']}`; the change ran once")


def _denied(scene: Scene, work: Errand) -> None:
    no = work.hear("refused", "answer")
    must(no["code"] == "approval_denied", "the agent hears that a person denied it", no)
    must(work.hear("no-grant")["offered"] is False, "a denied action has no grant", no)
    prices = (scene.town.root / "prod/prices.txt").read_text()
    must(prices == PRICES, "the prices stand as before", prices)
    scene.narrator.kept("P1", "denied is denied: there is no grant to misuse, the prices stand as before")


def _approved_after_all(scene: Scene) -> Errand:
    """Have the same asked once more and approve it: misuse needs something that was approved."""
    work = scene.errand("cheat-again")
    approval = scene.look_at(work.hear("waiting")["code"])
    scene.slack.approve(SECOND, approval["code"])
    approved = scene.noor.see(approval["code"])
    must(approved.body.get("state") == "approved", "noor approves", approved)
    scene.narrator.say("only an approval can be misused: the clerk asks once more, and the story approves it")
    return work
