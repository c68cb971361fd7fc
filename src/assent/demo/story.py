"""The story from beginning to end: sets the scene, tells the chapters in order, ends everything that it started.

A chapter that does not come out as told stops the story, which says which one it was and ends with 1.
"""

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from assent.demo.actors import Broker
from assent.demo.answers import Answers, Reader, Story
from assent.demo.chapters import (
    approval,
    breaker,
    crash,
    log,
    misuse,
    routine,
    runaway,
    secrecy,
    separation,
    silence,
)
from assent.demo.narrator import Narrator, narrator_for
from assent.demo.scene import Scene
from assent.demo.setting import Setting, set_up
from assent.demo.slack_beside import SlackBeside
from assent.demo.wrong import NotAsTold


@dataclass(frozen=True, slots=True)
class Chapter:
    """One step of the story."""

    title: str
    tell: Callable[[Scene], None]


def the_log(scene: Scene) -> None:
    """Verify the log, two copies that were tampered with, and that nothing secret lies about."""
    log.verified(scene)
    log.edited(scene)
    log.rolled_back(scene)
    secrecy.nothing_in_the_clear(scene)


CHAPTERS: Final = (
    Chapter("A broker starts", routine.start),
    Chapter("Routine work passes, what nobody allowed does not", routine.routine),
    Chapter("A production change waits for a person", approval.waits),
    Chapter("It runs once, exactly as the person saw it", approval.runs_once),
    Chapter("Nobody approves what their own agent asks", separation.owner_refused),
    Chapter("An approval cannot be stretched", misuse.swapped_and_replayed),
    Chapter("Silence is no", silence.timed_out),
    Chapter("The broker is killed while the agent waits", crash.killed_and_back),
    Chapter("A runaway loop trips its breaker", runaway.looped),
    Chapter("Tripped means stopped", breaker.tripped),
    Chapter("The log tells on its keeper, and keeps what is secret", the_log),
)
WRONG: Final = 1
INTERRUPTED: Final = 130
_TERMINATED: Final = 128


def run(*, auto: bool) -> int:
    """Tell the whole story on standard output and return the exit code: 0 only if every step came out as told."""
    forget_other_brokers()
    narrator = narrator_for(sys.stdout)
    folder = Path(tempfile.mkdtemp(prefix="assent-demo-"))
    narrator.open(
        "Assent: an agent asks before every tool action. This is a real broker, a real agent process and a little real "
        f"system, all of it in {folder}. Nothing leaves this machine."
    )
    try:
        with _ended_by_signals():
            return tell(CHAPTERS, narrator, answers_for(auto=auto), folder)
    except KeyboardInterrupt:
        narrator.plain(f"\n\nended by you; every process of the story is ended, what it made lies in {folder}")
        return INTERRUPTED


def forget_other_brokers() -> None:
    """Drop every setting of another broker from this process, for itself and for what it starts."""
    for name in [name for name in os.environ if name.startswith("ASSENT_") and name != "ASSENT_DEBUG"]:
        del os.environ[name]


def answers_for(*, auto: bool) -> Answers:
    """Return the reader when there is one at the terminal, else the story."""
    attended = sys.stdin.isatty() and sys.stdout.isatty()
    return Reader(sys.stdin.fileno()) if attended and not auto else Story()


def tell(chapters: Sequence[Chapter], narrator: Narrator, answers: Answers, folder: Path) -> int:
    """Tell `chapters` in `folder`, which is empty, and return the exit code."""
    with ExitStack() as running:
        setting = set_up(folder)
        slack = SlackBeside()
        running.callback(slack.stop)
        broker = Broker(setting, slack.settings)
        running.callback(broker.stop)
        scene = Scene(setting=setting, narrator=narrator, answers=answers, slack=slack, broker=broker, running=running)
        code = tell_in(scene, chapters)
    narrator.plain()
    if code == 0:
        _farewell(narrator, setting)
    else:
        narrator.plain(f"What happened lies in {folder}: broker/broker.log, agent.log, broker/ledger.db.")
    return code


def tell_in(scene: Scene, chapters: Sequence[Chapter]) -> int:
    """Tell `chapters` in a scene that stands, and return 0, or WRONG after saying which one came out wrong."""
    for number, chapter in enumerate(chapters, start=1):
        scene.narrator.title(number, chapter.title)
        try:
            chapter.tell(scene)
        except Exception as fault:  # noqa: BLE001  # an answer of another shape can break a chapter in any way
            kind = "" if isinstance(fault, NotAsTold) else f"{type(fault).__name__}: "
            scene.narrator.wrong(f"step {number} came out wrong ({chapter.title}): {kind}{fault}")
            return WRONG
    return 0


def _farewell(narrator: Narrator, setting: Setting) -> None:
    narrator.plain("Every step came out as told. What it made is yours to look at:")
    narrator.plain(f"  {setting.folder}")
    narrator.plain("  broker/ has its configuration, policies, keys, ledger and log; town/ the shop as it is now")
    narrator.plain(f"  ./run assent audit verify --ledger {setting.folder}/broker/ledger.db")
    narrator.plain()
    narrator.plain("Next, your own tool behind your own broker (README.md, five minutes):")
    narrator.plain("  ./run assent init my-broker        (outside of a clone: assent init my-broker)")


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let a polite end from outside run the clean-up, as Ctrl-C does."""

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(_TERMINATED + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
