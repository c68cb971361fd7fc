"""Going on with runs that were paused: a worker hears what was decided, and hands each run what is about it.

What it hands on is a hint that something was decided. Whether the tool runs is asked again, by the run itself.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from assent.sdk.client import Assent
from assent.sdk.decisions import Decision

Resume: TypeAlias = Callable[[str, Sequence[Decision]], object]
"""Goes on with the run of this id, about which these were decided; called again for those that it raised for."""


def resume_decided(broker: Assent, resume: Resume, *, since: str | None = None, wait_seconds: int = 25) -> str | None:
    """Hand each run what was decided about it after the cursor `since`; return the cursor to go on from.

    Waits up to `wait_seconds` for something. Keep the cursor where it outlives the process: from None on everything is
    heard again, which costs time and runs nothing twice.

    Raises:
        ExceptionGroup: some runs could not go on, after all were tried; ask from the same cursor again.
        BrokerUnavailable, ConfigurationError: nothing was heard.

    """
    page = broker.decided(since=since, wait_seconds=wait_seconds)
    runs: dict[str, list[Decision]] = {}
    for decision in page.items:
        if decision.run_id is not None:
            runs.setdefault(decision.run_id, []).append(decision)
    failed = [fault for run_id, decided in runs.items() if (fault := _tried(resume, run_id, decided))]
    if failed:
        raise ExceptionGroup("runs that could not go on", failed)
    return page.cursor


def _tried(resume: Resume, run_id: str, decided: list[Decision]) -> Exception | None:
    try:
        resume(run_id, decided)
    except Exception as fault:  # noqa: BLE001  # one run that cannot go on does not keep the others waiting
        return fault
    return None
