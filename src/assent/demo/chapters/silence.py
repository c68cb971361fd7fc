"""When nobody answers, nothing runs, and it is told as what it was: a time-out, not anybody's denial."""

from assent.demo.scene import Scene
from assent.demo.wrong import must


def ask(scene: Scene) -> None:
    """Let the agent ask for something early on that nobody is going to answer."""
    scene.errand("clear").hear("waiting")
    scene.narrator.say("aside: the clerk also asks to delete all refunded orders; nobody will answer, see 7")


def timed_out(scene: Scene) -> None:
    """Wait until the question ends by itself, and check what everybody is told."""
    work = scene.errand("clear")
    heard = work.hear("refused", "clear")
    work.hear("done")
    must(heard["code"] == "approval_expired", "the agent hears of a time-out", heard)
    seen = scene.noor.see(work.asked["code"]).body
    must(seen.get("state") == "expired", "the approval expired", seen)
    must(not seen.get("decided_by"), "nobody is said to have decided", seen)
    must(not scene.town.ran("orders.delete"), "nothing was deleted", scene.town.ran("orders.delete"))
    must(scene.town.orders_of("refunded") >= 2, "the refunded orders are all there", scene.town.orders_of("refunded"))  # noqa: PLR2004  # the town began with two
    scene.narrator.kept("P7", f"silence is no, and says so: the clerk heard `{heard['code']}`: {heard['message']}")
