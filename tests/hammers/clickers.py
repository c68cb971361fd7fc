"""One of two processes that hear the same Slack on the same ledger: cards out, clicks in, until it is told to end.

python -m tests.hammers.clickers SETTINGS API_URL
"""

import asyncio
import signal
import sys
import time
from pathlib import Path

from assent.config import load_settings
from assent.core.deliveries import SLACK
from assent.serving.delivering import Delivering
from assent.serving.upkeep import for_ever
from assent.slack.service import SlackKeys, SlackService
from assent.wiring import assemble

BOT_TOKEN = "xoxb-stand-in"  # worth something to the stand-in alone
APP_TOKEN = "xapp-stand-in"  # same


async def work(settings: Path, api_url: str) -> None:
    """Serve Slack until SIGTERM."""
    assembly = assemble(load_settings(settings), issuer="http://127.0.0.1")
    keys = SlackKeys(bot_token=BOT_TOKEN, app_token=APP_TOKEN, api_url=api_url)
    service = SlackService(assembly.broker, keys, now_seconds=time.time)
    cards = Delivering(assembly.broker, SLACK, service.channel, now_seconds=time.time)
    loops = [
        asyncio.create_task(for_ever(name, once, after_fault_seconds=0.2))
        for name, once in (("slack", service.round), ("cards", cards.round))
    ]
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)
    await service.close()
    await assembly.ledger.close()


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), sys.argv[2]))
