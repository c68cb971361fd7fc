"""An agent that does the same again and again is stopped by a rule, there, and nowhere else."""

from typing import Final

from assent.demo.scene import OK, Scene
from assent.demo.wrong import must

REFUSED: Final = 403
RULE: Final = "rule:same-again"
PATH: Final = "staging/prices.txt"


def looped(scene: Scene) -> None:
    """Let the agent loop until it is stopped, and one person let it go on, who is not its owner."""
    work = scene.errand("loop")
    heard = work.hear("stopped", "loop")
    must((heard["error"], heard["who"]) == ("BreakerOpen", RULE), "the loop is stopped by the rule", heard)
    ran = len([one for one in scene.town.ran("files.read") if one.arguments["path"] == PATH])
    must(ran == heard["ran"], "nothing ran after the stop", ran)
    scene.narrator.kept(
        "P6", f"a runaway loop trips its breaker: after {ran} times the same, {RULE} stopped the clerk in staging"
    )
    scene.narrator.say(f"the clerk's model is told: {heard['model']}")
    work.hear("ran", "elsewhere")
    scene.narrator.say("production is out of its scope and goes on")
    _let_go_on(scene)


def _let_go_on(scene: Scene) -> None:
    listed = scene.noor.breakers()
    tripped = [one for one in listed.body.get("items", ()) if one["tripped_by"] == RULE and one["state"] != "closed"]
    must(len(tripped) == 1, "noor is shown one breaker that the rule tripped", listed)
    owner = scene.mara.reset(tripped[0]["id"])
    must((owner.status, owner.body.get("code")) == (REFUSED, "not_eligible"), "the owner may not reset it", owner)
    reset = scene.noor.reset(tripped[0]["id"])
    must(reset.status == OK and reset.body["closed"], "noor closes it, staging is no production", reset)
    scene.narrator.kept("P5", "the clerk's owner may not let it go on; noor looks at the loop and does")
