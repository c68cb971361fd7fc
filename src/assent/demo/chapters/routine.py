"""Routine work passes without anybody being asked; what no rule allows does not run."""

from assent.demo.agent import TEA
from assent.demo.scene import Scene
from assent.demo.town import PRICES
from assent.demo.wrong import must


def start(scene: Scene) -> None:
    """Start the broker."""
    seconds = scene.broker.start()
    scene.url = scene.broker.url
    scene.narrator.kept(
        "", f"a real broker serves on {scene.url}, process {scene.broker.pid}, ready in {seconds:.1f} s"
    )
    scene.narrator.say("the agent is called clerk and belongs to mara; noor is the second person; the town is a shop")


def routine(scene: Scene) -> None:
    """Let the agent read production, write the copy, and try two things that nobody allowed."""
    work = scene.errand("look-around")
    read = work.hear("ran", "read")
    must(read["result"] == PRICES, "the agent read the prices", read)
    wrote = work.hear("ran", "write")
    must((scene.town.root / "staging/prices.txt").read_text() == TEA, "the copy holds the new prices", wrote)
    scene.narrator.kept("", "routine work passes at once: it read prod/prices.txt and wrote staging/prices.txt")

    no = work.hear("refused", "delete")
    must(no["code"] == "rule_denied", "deleting is denied by a rule", no)
    must(not scene.town.ran("files.delete"), "nothing was deleted", scene.town.ran("files.delete"))
    unknown = work.hear("refused", "unknown")
    must(unknown["code"] == "unknown_tool", "a tool that nobody catalogued does not exist", unknown)
    scene.narrator.kept("P1", "deny by default: files.delete is forbidden, shell.run is in no catalogue; neither ran")
