"""Whoever answers for an agent never approves what it asks."""

from assent.demo.scene import Scene
from assent.demo.setting import OWNER
from assent.demo.wrong import must

FORBIDDEN = 403


def owner_refused(scene: Scene) -> None:
    """Let the owner try to approve what their own agent asks."""
    waiting = scene.errand("cheat").hear("waiting")
    scene.narrator.say("the clerk asks again, to put tea up by 20 cents in production; its owner mara is quick:")
    refused = scene.mara.approve(scene.look_at(waiting["code"]))
    said = str(refused.body.get("detail", ""))
    must(refused.status == FORBIDDEN and refused.code == "not_eligible", "mara's approval is refused", refused)
    must("you own this agent" in said, "mara is told exactly why", refused)
    scene.slack.approve(OWNER, waiting["code"])
    told = scene.slack.told(OWNER)
    must(told and "you own this agent" in told[-1], "mara's click is refused too, and she is told why", told)
    still = scene.look_at(waiting["code"])
    must(not still["votes"], "mara's approval counts nowhere", still["votes"])
    scene.narrator.kept("P5", f"mara holds the permission and a token, and hears `{refused.code}`: {said}")
    scene.narrator.say("she pressed Approve in Slack as well, and only she sees the answer: not counted, and why")
