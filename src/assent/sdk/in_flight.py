"""Which actions this process holds right now, so that two threads asking the same are two actions.

After a restart the broker finds an unfinished action again by its content. Inside one living process the same content
may be meant twice; so an ask names the actions of its content that are held already, and asks for the same content
go one at a time until the broker has named the action (never while a human is being waited for).
"""

import os
import threading
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from assent.sdk.errors import ConfigurationError

if TYPE_CHECKING:
    from concurrent.futures import Future

MAX_HELD_PER_CONTENT: Final = 100  # what the broker takes in one ask


@dataclass(slots=True)
class _Content:
    asking: bool = False
    held: dict[str, int] = field(default_factory=dict)  # action id → how many runs of this process wait for it
    queue: "deque[Future[None]]" = field(default_factory=deque)


class InFlight:
    """Knows, per content, who is asking and which actions are held. Thread-safe; a forked child starts empty."""

    def __init__(self) -> None:
        self._reset()

    def enter(self, content: Hashable) -> "Future[None] | None":
        """Return None when it is the caller's turn to ask, else what to wait for until it is."""
        self._reset_after_fork()
        with self._lock:
            entry = self._contents.setdefault(content, _Content())
            if len(entry.held) + len(entry.queue) >= MAX_HELD_PER_CONTENT:
                raise ConfigurationError(
                    f"more than {MAX_HELD_PER_CONTENT} asks of the same content are open in one run",
                    hint="give each its own call_id",
                )
            if not entry.asking:
                entry.asking = True
                return None
            # Loaded only when two really meet: it costs more than an ask.
            from concurrent.futures import Future

            turn: Future[None] = Future()
            entry.queue.append(turn)
            return turn

    def leave(self, content: Hashable, turn: "Future[None] | None") -> None:
        """Give the turn to the next; a turn that never came is withdrawn instead."""
        self._reset_after_fork()
        with self._lock:
            entry = self._contents.get(content)
            if entry is None:  # a forked child leaves what its parent entered
                return
            if turn is not None and turn.cancel():
                if turn in entry.queue:
                    entry.queue.remove(turn)
                return
            entry.asking = False
            while entry.queue and not entry.asking:
                following = entry.queue.popleft()
                if following.set_running_or_notify_cancel():
                    entry.asking = True
                    following.set_result(None)
            self._forget(content, entry)

    def held(self, content: Hashable) -> tuple[str, ...]:
        """Return the actions of `content` that this process holds."""
        with self._lock:
            entry = self._contents.get(content)
            return tuple(entry.held) if entry else ()

    def hold(self, content: Hashable, action_id: str) -> None:
        """Remember that this process holds `action_id`."""
        with self._lock:
            held = self._contents.setdefault(content, _Content()).held
            held[action_id] = held.get(action_id, 0) + 1

    def release(self, content: Hashable, action_id: str) -> None:
        """Forget `action_id`: it ended, or nobody here waits for it any more."""
        self._reset_after_fork()
        with self._lock:
            entry = self._contents.get(content)
            if entry is None or action_id not in entry.held:
                return
            entry.held[action_id] -= 1
            if entry.held[action_id] == 0:
                del entry.held[action_id]
            self._forget(content, entry)

    def _forget(self, content: Hashable, entry: _Content) -> None:
        if not (entry.asking or entry.held or entry.queue):
            self._contents.pop(content, None)

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._contents: dict[Hashable, _Content] = {}

    def _reset_after_fork(self) -> None:
        # Locks and turns of the parent's other threads never come free in the child.
        if self._pid != os.getpid():
            self._reset()
