"""A broker whose signals fail all the time: `python -m tests.hammers.moody_broker first|beside --config FILE`.

The first is the broker of the product, and the one that serves. The one beside it decides and redeems on the same
ledger in another process, keeps no timers and signs no checkpoints: what it knows of breakers stands in the ledger.
"""

import asyncio
import os
import random
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from assent.api import create_app
from assent.config import Settings, load_settings
from assent.flows.recount import recount
from assent.serving import serve
from assent.serving.listening import Server, listen, server_for, url_of
from assent.serving.measuring import Gauges
from assent.serving.readiness import ReadinessProbe
from assent.wiring import Assembly, assemble
from tests.hammers.moody_signals import MoodySignals

SEED_VARIABLE: Final = "HAMMER_SIGNALS_SEED"
FIRST: Final = "first"
BESIDE: Final = "beside"


def moody(monotonic: Callable[[], float]) -> MoodySignals:
    """Return the signals of this process."""
    return MoodySignals(monotonic, int(os.environ.get(SEED_VARIABLE) or random.SystemRandom().randrange(2**32)))


def serve_beside(settings: Settings) -> None:
    """Decide and redeem on a ledger that another process serves, until killed."""
    with closing(listen(settings)) as listener:
        url = url_of(settings, listener)
        assembly = assemble(settings, issuer=url, signals=moody)
        readiness = ReadinessProbe(assembly.broker, settings.ledger_file).look
        app = create_app(
            assembly.broker,
            readiness=readiness,
            log=assembly.log,
            key_set=assembly.kept.ring.key_set,
            measure=Gauges(assembly.ledger, assembly.log, assembly.clocks.wall, readiness).look,
        )
        server = server_for(app, settings, lambda: print(url, flush=True))

        async def run(server: Server, assembly: Assembly) -> None:
            await assembly.kept.ring.open()
            await recount(assembly.broker)
            await server.serve([listener])

        with asyncio.Runner() as runner:
            runner.run(run(server, assembly))


def main() -> None:
    """Serve as the first argument says."""
    settings = load_settings(Path(sys.argv[sys.argv.index("--config") + 1]))
    if sys.argv[1] == BESIDE:
        serve_beside(settings)
    else:
        serve(settings, on_ready=lambda url: print(url, flush=True), signals=moody)


if __name__ == "__main__":
    main()
