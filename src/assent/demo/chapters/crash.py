"""A broker that is killed loses nothing that it acknowledged; the agent waits through it and runs once."""

from typing import Final

from assent.demo.agent import HOURS
from assent.demo.scene import Scene
from assent.demo.wrong import must

RESTART_SECONDS: Final = 10.0


def killed_and_back(scene: Scene) -> None:
    """Kill the broker while the agent waits for a person, start it again, and answer then."""
    work = scene.errand("hours")
    before = scene.look_at(work.hear("waiting")["code"])
    killed = scene.broker.pid
    scene.narrator.say(f"the clerk asks for longer hours and waits; now: kill -9 {killed}, the broker is gone")
    scene.broker.kill()
    must(work.process.poll() is None, "the agent waits on", work.process.poll())
    seconds = scene.broker.start()
    must(seconds < RESTART_SECONDS, "the broker is back at once", seconds)
    after = scene.look_at(before["code"])
    must(after["digest"] == before["digest"], "the same question is still open", after)
    scene.narrator.say(f"a new process, {scene.broker.pid}, was ready after {seconds:.1f} s and asks the same thing:")
    agreed = scene.answer(after)
    ended = work.hear_answer("hours")
    work.hear("done")
    ran = [one.arguments for one in scene.town.ran("files.write") if one.arguments["path"] == HOURS["path"]]
    if not agreed:
        must(ended.get("code") == "approval_denied", "the agent hears that a person denied it", ended)
        must(ran == [], "nothing ran", ran)
        scene.narrator.kept("P2", "nothing was lost: the waiting agent heard the denial after all; nothing ran")
        return
    must(ended["event"] == "ran", "the agent ran its tool", ended)
    must(ran == [HOURS], "it ran once, with what was shown", ran)
    scene.narrator.kept("P2", "nothing was lost: the agent that waited through the crash went on by itself")
    scene.narrator.kept("P4", "and its tool ran once")
