"""A change in production waits for a person, who sees everything that will run; it runs once, as they saw it."""

from typing import Any, Final

from assent.core.canonical import canonical
from assent.demo.agent import REFUND
from assent.demo.chapters import silence
from assent.demo.scene import OK, Scene
from assent.demo.wrong import must

LIFE: Final = ("action.decided", "approval.voted", "grant.redeemed", "action.outcome")


def waits(scene: Scene) -> None:
    """Let the agent ask for a refund, show that it waits, and have it answered."""
    silence.ask(scene)
    waiting = scene.errand("refund").hear("waiting")
    approval = scene.look_at(waiting["code"])
    must(approval["arguments"] == REFUND, "the person is shown the arguments that the agent asked with", approval)
    must(not scene.town.ran("orders.update"), "nothing ran before anybody answered", scene.town.ran("orders.update"))
    scene.narrator.say("the clerk wants to refund order 7 in production; its process waits, nothing ran yet:")
    agreed = scene.answer(approval)
    scene.narrator.kept("P5", f"a person decided: noor {'approved' if agreed else 'denied'} it, not the agent's owner")


def runs_once(scene: Scene) -> None:
    """Check what really ran, in the town and in the log."""
    ended = scene.errand("refund").hear_answer("refund")
    scene.errand("refund").hear("done")
    if ended["event"] == "refused":
        _denied(scene, ended)
        return
    ran = scene.town.ran("orders.update")
    must(len(ran) == 1, "the tool ran once", ran)
    must(canonical(ran[0].arguments) == canonical(REFUND), "it ran with what noor saw", ran[0].arguments)
    must(scene.town.order_status(7) == "refunded", "order 7 is refunded", scene.town.order_status(7))
    scene.narrator.kept("P3", f"what noor saw is what ran, byte for byte: {canonical(REFUND).decode()}")
    scene.narrator.kept("P4", "it ran once; order 7 is refunded")
    _on_record(scene)


def _on_record(scene: Scene) -> None:
    reply = scene.noor.records(scene.errand("refund").asked["action"])
    must(reply.status == OK, "noor reads the records", reply)
    kinds = [item["leaf"]["kind"] for item in reversed(reply.body["items"])]
    story = [kind for kind in kinds if kind in LIFE]
    must(story == list(LIFE), "the log tells the life of the action in order", kinds)
    scene.narrator.kept("P2", f"each step was on record before its answer left: {', '.join(story)}")


def _denied(scene: Scene, ended: dict[str, Any]) -> None:
    must(ended["code"] == "approval_denied", "the agent hears that a person denied it", ended)
    must(not scene.town.ran("orders.update"), "the tool did not run", scene.town.ran("orders.update"))
    must(scene.town.order_status(7) == "paid", "order 7 stands as before", scene.town.order_status(7))
    scene.narrator.kept("P1", f"denied is denied: order 7 is still paid; the clerk heard: {ended['message']}")
