"""When nobody answers, nothing runs, and it is told as what it was: a time-out, not anybody's denial."""

from assent.demo.answers import Reader
from assent.demo.scene import Scene
from assent.demo.wrong import must


def ask(scene: Scene) -> None:
    """Let the agent ask for something early on that nobody is going to answer."""
    scene.errand("clear").hear("waiting")
    scene.narrator.say(
        "aside: the clerk also asks to delete all refunded orders; nobody will answer, leave its card alone; see 7"
    )


def _answered(scene: Scene) -> str:
    """Return how a reader ended what nobody was to answer, nothing where they left it alone."""
    seen = scene.noor.see(scene.errand("clear").asked["code"]).body
    return "" if seen.get("state") == "expired" else str(seen.get("state"))


def timed_out(scene: Scene) -> None:
    """Wait until the question ends by itself, and check what everybody is told."""
    work = scene.errand("clear")
    heard = work.hear_answer("clear")
    work.hear("done")
    if isinstance(scene.answers, Reader) and (answered := _answered(scene)):
        scene.narrator.say(f"you answered that card yourself ({answered}), so there is no silence to show this time")
        return
    must(heard.get("event") == "refused", "the agent's work is refused", heard)
    must(heard["code"] == "approval_expired", "the agent hears of a time-out", heard)
    seen = scene.noor.see(work.asked["code"]).body
    must(seen.get("state") == "expired", "the approval expired", seen)
    must(not seen.get("decided_by"), "nobody is said to have decided", seen)
    must(not scene.town.ran("orders.delete"), "nothing was deleted", scene.town.ran("orders.delete"))
    must(scene.town.orders_of("refunded") >= 2, "the refunded orders are all there", scene.town.orders_of("refunded"))  # noqa: PLR2004  # the town began with two
    scene.narrator.kept("P7", f"silence is no, and says so: the clerk heard `{heard['code']}`: {heard['message']}")
