"""The process: opens, serves, and ends cleanly on SIGTERM or SIGINT; a ledger that failed for good ends it at once.

On the way out nobody is kept waiting for a person: waits end with what is known, running requests finish, the end is
recorded, the ledger is closed. A process that is killed instead loses nothing that was answered.
"""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from importlib.metadata import version as version_of
from typing import Final

from assent.api import ApiSettings, InFront, create_app
from assent.api.tracing import Tracing
from assent.config import LogFormat, Settings, require_private
from assent.console.given import ConsoleSettings
from assent.core.credentials import Kind
from assent.core.deliveries import EMAIL, SLACK, WEBHOOK
from assent.core.errors import AssentError, LedgerUnavailable, Stale
from assent.core.work_leases import Work
from assent.flows.activate_policy import Uptake
from assent.flows.count_asks import count_lately
from assent.flows.look_at_definitions import look_at_definitions
from assent.flows.manage_principals import issue_credential
from assent.flows.raise_alerts import begin_alerts
from assent.flows.recount import recount
from assent.flows.run_broker import start_broker, stop_broker
from assent.flows.too_fast import record_unrecorded
from assent.logs import EventLog, set_up_at_first_event
from assent.ports import AlertChannel, Channel
from assent.serving.delivering import Delivering, NotSetUp
from assent.serving.leases import Leases
from assent.serving.listening import Server, console_url_of, hosts_of, listen, loop_factory, server_for, url_of
from assent.serving.measuring import Gauges, clock_behind
from assent.serving.reaching import mail_of, paging_of
from assent.serving.readiness import ReadinessProbe
from assent.serving.signing_on import issuer_of
from assent.serving.sinking import Sinking
from assent.serving.slack import slack_of, slack_round
from assent.serving.telling_spans import spans_to
from assent.serving.upkeep import (
    PolicyFollow,
    PolicyWatch,
    PresenceWatch,
    follow_log,
    for_ever,
    keep_shared_log,
    keep_time,
    tell_of,
)
from assent.serving.verifying import Verifying
from assent.serving.watching import Counters, Telling, keep_held, keep_unrecorded, webhook_of
from assent.stores.sqlite import ServingLock
from assent.wiring import MACHINE, Assembly, Clocks, MakeSignals, assemble, publish_key

log = EventLog("assent.serving")

AFTER_FAULT_SECONDS: Final = 1.0
LOAD_REST_AFTER_SECONDS: Final = 0.2
COLLECT_EACH: Final = 20_000
"""After how many new containers garbage is looked for: 64 asks on their way hold more than the 700 of CPython."""
LINKS_ISSUED_BY: Final = "assent serve"


@dataclass(frozen=True, slots=True)
class SignIn:
    """Who is offered to sign in at the console when the broker serves; `show` is given the link, for their eyes alone.

    Nobody is, where the loaded policy does not name the operator.
    """

    operator: str
    show: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Reached:
    """The URLs by which the broker is reached: by programs, and by people at the console."""

    url: str
    console: str


def serve(
    settings: Settings,
    *,
    on_ready: Callable[[str], None],
    sign_in: SignIn | None = None,
    clocks: Clocks = MACHINE,
    signals: MakeSignals | None = None,
) -> None:
    """Serve until asked to stop; `on_ready` hears the URL once connections are answered.

    `signals` makes others than those that `settings` name.

    Raises:
        ConfigInvalid: the address is taken, or a key can be read by others.
        KeysInvalid, PolicyInvalid: as loading them says.
        LedgerUnavailable: another broker serves this ledger, it cannot be opened, or it failed while serving.

    """
    _set_up_log(settings)
    if settings.tls_key_file is not None:
        require_private(settings.tls_key_file, "tls_key_file")
    with contextlib.closing(listen(settings)) as listener, ServingLock(settings.ledger_file):
        url = url_of(settings, listener)
        # Beside whom an issuer vouches for, only who is shown a link can sign in with more than a token.
        at_console = frozenset() if sign_in is None else frozenset({sign_in.operator})
        console = console_url_of(settings, listener.getsockname()[1])
        assembly = assemble(
            settings, issuer=url, clocks=clocks, signals=signals, at_console=at_console, console=console, serves=True
        )
        collect_rarely()
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_Process(assembly, listener, Reached(url, console), on_ready, sign_in).run())


def collect_rarely() -> None:
    """Have garbage looked for as a process does that serves."""
    # What was loaded stays: it is not gone through again. Decisions leave no cycles; what does is collected later.
    gc.freeze()
    gc.set_threshold(COLLECT_EACH, *gc.get_threshold()[1:])


def _set_up_log(settings: Settings) -> None:
    on_terminal = sys.stderr.isatty()
    as_json = settings.log_format is LogFormat.JSON or (settings.log_format is LogFormat.AUTO and not on_terminal)
    levels = logging.getLevelNamesMapping()
    set_up_at_first_event(sys.stderr, as_json=as_json, least=levels[settings.log_level.value.upper()])


class _Process:
    """One life of a serving broker."""

    def __init__(
        self,
        assembly: Assembly,
        listener: socket.socket,
        reached: Reached,
        on_ready: Callable[[str], None],
        sign_in: SignIn | None,
    ) -> None:
        self._assembly = assembly
        self._url = reached.url
        self._console = reached.console
        self._settings = assembly.settings
        self._listener = listener
        self._on_ready = on_ready
        self._sign_in = sign_in
        self._link: str | None = None
        self._version = version_of("assent")
        self._stop = asyncio.Event()
        self._closing = asyncio.Event()
        self._saying = threading.Lock()
        self._has_said_started = False
        self._page = f"{reached.console}/console/approvals/"
        # A phone reaches no loopback: a button that leads nowhere is worse than none.
        is_reached = not assembly.settings.is_loopback or assembly.settings.public_url is not None
        self._leases = Leases(assembly.broker, assembly.clocks.steady, is_alone=not assembly.settings.is_beside_others)
        self._slack = slack_of(
            assembly.broker,
            assembly.settings,
            page=self._page if is_reached else None,
            listens=partial(self._leases.holds, Work.PEOPLE),
        )
        self._channels = self._approval_channels(self._page if is_reached else None)
        self._alerts = self._alert_channels()
        self._spans = spans_to(assembly.settings, self._version)
        self._app = self._application()

    async def run(self) -> None:
        """Serve from the first record of this process to its last."""
        try:
            if self._spans is not None:
                self._spans.start()
            publish_key(self._assembly)
            await self._assembly.kept.begin()
            await self._look_at_clock()
            # A log that was changed below its last checkpoint is not served on: whoever serves would vouch for it.
            await self._assembly.log.integrate()
            taken = await start_broker(self._assembly.broker, version=self._version)
            if taken.uptake is Uptake.WAITING or taken.passed_over is not None:
                tell_of(taken)
            await self._begin_to_watch()
            await self._make_link()
            fault = await self._serve()
            if fault is None:
                await self._record_end()
        finally:
            if self._spans is not None:
                await asyncio.to_thread(self._spans.close)
            await self._assembly.close_signals()
            await self._assembly.ledger.close()
        if fault is not None:
            raise fault
        log.info("broker_stopped")

    async def _make_link(self) -> None:
        wanted, broker = self._sign_in, self._assembly.broker
        if wanted is not None and broker.policy().operator(wanted.operator) is not None:
            issued = await issue_credential(broker, Kind.LINK, wanted.operator, issued_by=LINKS_ISSUED_BY)
            self._link = f"{self._console}/console/sign-in?link={issued.token}"

    def _say_ready(self) -> None:
        self._on_ready(self._url)
        if self._sign_in is not None and self._link is not None:
            self._sign_in.show(self._link)

    async def _begin_to_watch(self) -> None:
        """Have the breakers' counters and marks ready before anybody asks for anything."""
        broker = self._assembly.broker
        await look_at_definitions(broker, broker.policy())
        await recount(broker)
        for channel in self._alerts.values():
            await begin_alerts(broker, channel)

    def _alert_channels(self) -> dict[str, AlertChannel]:
        """Return the ways in which people are told of breakers, each by the name of its loop."""
        settings, found = self._settings, dict[str, AlertChannel]()
        webhook = webhook_of(settings, self._assembly.clocks.wall)
        if webhook is not None:
            found["alerts"] = webhook
        if self._slack is not None and settings.slack_alert_channel is not None:
            found["alerts in Slack"] = self._slack.alerts(settings.slack_alert_channel, runbook=settings.runbook_url)
        return found

    def _approval_channels(self, page: str | None) -> dict[str, Channel]:
        """Return the ways in which people are told that they are asked; a route may name any of them."""
        settings, now = self._settings, self._assembly.clocks.wall
        found: dict[str, Channel | None] = {
            SLACK: None if self._slack is None else self._slack.channel,
            WEBHOOK: paging_of(settings, page=page, now=now),
            EMAIL: mail_of(settings, page=page, now=now),
        }
        return {name: NotSetUp(name) if channel is None else channel for name, channel in found.items()}

    async def _serve(self) -> LedgerUnavailable | None:
        """Serve until asked to stop (None) or until the ledger has failed for good (how)."""
        server = self._server()
        watch = self._policy_watch()
        self._listen_to_signals(watch)
        loops = [asyncio.create_task(loop) for loop in self._upkeep(watch)]
        loops.append(asyncio.create_task(self._load_the_rest()))
        serving = asyncio.create_task(server.serve([self._listener]))
        stop = asyncio.create_task(self._stop.wait())
        failed = asyncio.create_task(self._assembly.ledger.failed())
        await asyncio.wait({serving, stop, failed}, return_when=asyncio.FIRST_COMPLETED)
        self._closing.set()
        server.should_exit = True
        await serving
        fault = failed.result() if failed.done() else None
        for task in (*loops, stop, failed):
            task.cancel()
        await asyncio.gather(*loops, stop, failed, return_exceptions=True)
        if self._slack is not None:
            await self._slack.close()
        await self._leases.close()
        return fault

    def _application(self) -> InFront:
        assembly, settings = self._assembly, self._settings
        readiness = ReadinessProbe(
            assembly.broker, settings.ledger_file if settings.ledger_url is None else None, assembly.redis
        ).look
        return create_app(
            assembly.broker,
            readiness=readiness,
            log=assembly.log,
            key_set=assembly.kept.ring.key_set,
            measure=Gauges(
                assembly.ledger,
                assembly.log,
                assembly.clocks.wall,
                readiness,
                slack=lambda: self._slack,
                signals=assembly.broker.signals,
                channels=tuple(self._channels),
                leases=self._leases.told,
                spans=None if self._spans is None else self._spans.counts,
                asking=partial(count_lately, assembly.broker, timedelta(days=1)),
            ).look,
            slack=self._slack,
            tracing=None if self._spans is None else Tracing(self._spans.tell),
            closing=self._closing,
            settings=ApiSettings(
                public_log=settings.public_log,
                metrics_on_loopback=not settings.behind_proxy,
                tells_over=frozenset(name for name, one in self._channels.items() if not isinstance(one, NotSetUp)),
                approvals_url=self._page,
                runbook_url=settings.runbook_url,
                version=self._version,
            ),
            console=ConsoleSettings(
                hosts=hosts_of(settings, self._listener),
                has_tls=self._url.startswith("https:"),
                issuer=issuer_of(settings, self._url),
                runbook_url=settings.runbook_url,
                version=self._version,
            ),
        )

    async def _load_the_rest(self) -> None:
        # Asks are answered from the first moment on. What other calls need is loaded a little later, out of their way,
        # or by the first of those calls.
        # The first event of the log takes its time too.
        try:
            await asyncio.sleep(LOAD_REST_AFTER_SECONDS)
            await asyncio.to_thread(self._say_started)
        except asyncio.CancelledError:
            # The thread may not have begun, and then never will; or it is at it, and is waited for.
            self._say_started()
            raise
        await asyncio.to_thread(self._app.load)
        if self._assembly.broker.passkeys is not None:
            await asyncio.to_thread(self._assembly.broker.passkeys.load)

    def _say_started(self) -> None:
        with self._saying:
            if not self._has_said_started:
                log.info("broker_started", version=self._version, policy=self._assembly.policies.current.version)
            self._has_said_started = True

    def _server(self) -> Server:
        die_at = self._assembly.failpoint
        served = self._app if die_at is None else die_at.application(self._app)
        return server_for(served, self._settings, self._say_ready)

    def _policy_watch(self) -> PolicyWatch:
        settings = self._settings
        watches = settings.is_loopback and settings.policy_watch_seconds > 0
        each = settings.policy_watch_seconds if watches else None
        assembly = self._assembly
        return PolicyWatch(assembly.broker, assembly.policies, settings.policy_directory, look_each_seconds=each)

    def _listen_to_signals(self, watch: PolicyWatch) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        loop.add_signal_handler(signal.SIGINT, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, watch.ask)

    def _upkeep(self, watch: PolicyWatch) -> list[Coroutine[None, None, None]]:
        assembly, ticks, only = self._assembly, self._settings.tick_seconds, self._leases.under
        each = self._settings.checkpoint_seconds
        rounds: dict[str, Callable[[], Awaitable[float]]] = {
            **self._leases.rounds(),
            "timers": only(Work.TIMERS, partial(keep_time, assembly.broker, at_most_seconds=ticks)),
            "presence": PresenceWatch(assembly.broker).look,
            "policy": watch.look,
            "active policy": PolicyFollow(assembly.broker).look,
            "keys": assembly.kept.ring.look,
            "verification": only(Work.LOG, Verifying(assembly).round),
            "log": only(
                Work.LOG,
                partial(keep_shared_log, assembly.log, self._leases, each_seconds=each),
                partial(follow_log, assembly.log, each_seconds=each),
            ),
            "counters": Counters(assembly.broker).round,
            "held": partial(keep_held, assembly.broker),
            "unrecorded": partial(keep_unrecorded, assembly.broker),
        }
        if self._settings.checkpoint_sink is not None:
            rounds["checkpoint_sink"] = only(Work.LOG, Sinking(assembly, self._settings.checkpoint_sink).round)
        for name, channel in self._alerts.items():
            rounds[name] = only(Work.PEOPLE, Telling(assembly.broker, channel).round)
        for name, way in self._channels.items():
            cards = Delivering(assembly.broker, name, way, now_seconds=self._now_seconds)
            rounds[f"cards: {name}"] = only(Work.PEOPLE, cards.round)
        if self._slack is not None:
            rounds["slack"] = partial(slack_round, self._slack, self._leases)
        return [for_ever(name, once, after_fault_seconds=AFTER_FAULT_SECONDS) for name, once in rounds.items()]

    def _now_seconds(self) -> float:
        return self._assembly.clocks.wall().timestamp()

    async def _look_at_clock(self) -> None:
        """Say so when the machine's clock stands behind the last record; the broker goes on by its own time."""
        behind = await clock_behind(self._assembly.ledger, self._assembly.clocks.wall)
        if behind:
            hint = "set the clock right; until it has caught up, whatever expires does so later, and nothing sooner"
            log.warning("clock_behind", seconds=int(behind.total_seconds()), hint=hint)

    async def _record_end(self) -> None:
        try:
            await record_unrecorded(self._assembly.broker)
            await stop_broker(self._assembly.broker, version=self._version)
            with contextlib.suppress(Stale):  # another broker signs at this moment, and these records with them
                await self._assembly.log.integrate()
        except AssentError as fault:
            log.exception("end_not_recorded", code=fault.code, said=fault.message)
