"""Signals in Redis: whatever happens to Redis, counters are right or unreadable, and all comes back by itself."""

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from assent.config.redis_places import RedisPlace
from assent.core.windows import Count
from assent.ports import Known, Subscription
from assent.stores.redis_signals import Access, RedisSignals, connecting, library
from assent.stores.redis_signals.link import Link
from assent.stores.redis_signals.names import Names
from tests.valkey_server import ValkeyServer

SECOND = 1_000_000
WINDOW = 600 * SECOND
SECRET = bytes(32)
COUNTS = Names(SECRET).counts
Make = Callable[..., RedisSignals]


@pytest.fixture
async def make(own_valkey: ValkeyServer) -> AsyncIterator[Make]:
    """Return what makes the signals of one more broker at this server."""
    made: list[RedisSignals] = []

    def broker(url: str = own_valkey.url, *, password: str | None = None, text: str | None = None) -> RedisSignals:
        connect = connecting(RedisPlace.of(url), Access(password=password))
        made.append(RedisSignals(connect, name=url, secret=SECRET, library=text, pause_seconds=0.01))
        return made[-1]

    yield broker
    for one in made:
        await one.close()


async def count(signals: RedisSignals, amount: int = 1, counter: str = "c") -> int | None:
    found = await signals.count([Count(counter, WINDOW, amount)])
    return None if found is None else found[0]


async def again(signals: RedisSignals, known: int = 0) -> None:
    """Do what the broker does every half second: begin where counters are unreadable, once Redis is there."""
    async with asyncio.timeout(20):
        while not await signals.readable():
            await signals.link.is_reached.wait()
            await signals.begin([Known("c", WINDOW, known, 0)] if known else [])


@pytest.mark.requirement("T11")
async def test_brokers_count_together_and_the_second_joins_what_the_first_began(make: Make) -> None:
    first, second = make(), make()
    await first.begin([Known("c", WINDOW, 5, 0)])
    await second.begin([Known("c", WINDOW, 50, 0)])
    assert [await count(first), await count(second), await count(first, 0)] == [6, 7, 7]
    await second.forget(["c"])
    assert await count(first) == 1


@pytest.mark.requirement("T11")
async def test_brokers_with_different_policies_share_what_both_count_and_nothing_else(make: Make) -> None:
    # The rule, its scope and its window are in a counter's name: only what is the same is counted together.
    first, second = make(), make()
    await first.begin([Known("actions of an old rule", WINDOW, 5, 0)])
    await second.begin([Known("actions of a new rule", 2 * WINDOW, 9, 0)])
    assert [await count(first, counter="both"), await count(second, counter="both")] == [1, 2]
    assert await count(second, 0, "actions of an old rule") == 5
    assert await second.count([Count("actions of a new rule", 2 * WINDOW)]) == [1]


async def test_brokers_of_another_ledger_count_apart(own_valkey: ValkeyServer, make: Make) -> None:
    mine = make()
    connect = connecting(RedisPlace.of(own_valkey.url), Access())
    other = RedisSignals(connect, name="other", secret=secrets.token_bytes(32))
    await mine.begin([])
    await other.begin([])
    assert [await count(mine), await count(other)] == [1, 1]
    await other.close()


async def test_what_is_counted_does_not_stand_there_by_its_name(own_valkey: ValkeyServer, make: Make) -> None:
    mine = make()
    await mine.begin([])
    await count(mine, counter="same_content of a secret")
    await mine.claim("of a secret", seconds=60)
    told = " ".join([*own_valkey.ask("KEYS", "*"), *own_valkey.ask("HGETALL", COUNTS)])
    assert "secret" not in told
    assert all(own_valkey.ask("PTTL", key) > 0 for key in own_valkey.ask("KEYS", "*"))


LOST: dict[str, tuple[str, ...]] = {
    "flushed": ("FLUSHALL",),
    "deleted": ("DEL", COUNTS),
    "another type": ("SET", COUNTS, "x"),
    "no epoch": ("HDEL", COUNTS, "epoch"),
    "another life": ("HSET", COUNTS, "life", "x"),
    "no moment": ("HSET", COUNTS, "now", "x"),
    "a moment to come": ("HSET", COUNTS, "now", "9000000000000000"),
    "a counter that is none": ("HSET", COUNTS, Names(SECRET).counter("c"), "x 1:2"),
    "expired": ("PEXPIRE", COUNTS, "0"),
}


@pytest.mark.requirement("T11")
@pytest.mark.parametrize("words", LOST.values(), ids=list(LOST))
async def test_counters_that_are_lost_are_unreadable_and_begin_with_what_the_ledger_knows(
    own_valkey: ValkeyServer, make: Make, words: tuple[str, ...]
) -> None:
    mine, other = make(), make()
    await mine.begin([])
    await other.begin([])
    await count(mine, 7)
    own_valkey.ask(*words)
    assert await count(mine) is None
    assert not await mine.readable()
    assert await count(other, 0) is None
    await again(mine, known=4)
    await again(other, known=90)
    assert [await count(mine), await count(other)] == [5, 6]


@pytest.mark.requirement("T11")
async def test_a_server_that_is_killed_and_begins_empty(own_valkey: ValkeyServer, make: Make) -> None:
    mine = make()
    await mine.begin([])
    await count(mine, 7)
    own_valkey.kill()
    assert await count(mine) is None
    assert mine.link.why == "it does not answer"
    assert await mine.claim("x", seconds=60) is None
    await mine.begin([])
    await mine.forget(["c"])
    assert await count(mine) is None
    own_valkey.start()
    await again(mine, known=3)
    assert await count(mine, 0) == 3


@pytest.mark.requirement("T11")
async def test_counts_from_a_snapshot_are_older_than_they_say_and_are_not_believed(
    own_valkey: ValkeyServer, make: Make
) -> None:
    mine = make()
    await mine.begin([])
    await count(mine, 7)
    own_valkey.ask("SAVE")
    await count(mine, 7)
    own_valkey.kill()
    own_valkey.start()
    assert own_valkey.ask("HGET", COUNTS, "epoch")
    async with asyncio.timeout(20):
        while mine.link.why is None:
            await count(mine)
        await mine.link.is_reached.wait()
    assert await count(mine) is None
    await again(mine, known=14)
    assert await count(mine, 0) == 14


@pytest.mark.requirement("T11")
async def test_a_server_that_stands_still_keeps_nobody_waiting_and_goes_on_with_its_epoch(
    own_valkey: ValkeyServer, make: Make
) -> None:
    mine = make()
    await mine.begin([])
    await count(mine, 7)
    own_valkey.signal(signal.SIGSTOP)
    # A call may take a fifth of a second; ten thousand of them take no longer than one.
    async with asyncio.timeout(5):
        assert await asyncio.gather(*(count(mine) for _ in range(300))) == [None] * 300
        assert [await count(mine) for _ in range(10_000)] == [None] * 10_000
        assert not await mine.readable()
        assert await mine.claim("x", seconds=60) is None
    own_valkey.signal(signal.SIGCONT)
    async with asyncio.timeout(20):
        await mine.link.is_reached.wait()
    # What was asked for before may be counted late, once.
    counted = await count(mine, 0)
    assert counted is not None
    assert 7 <= counted <= 7 + 256


@pytest.mark.requirement("T11")
async def test_an_answer_that_comes_late_is_taken_for_no_other(own_valkey: ValkeyServer, make: Make) -> None:
    mine = make()
    await mine.begin([])
    await count(mine, 7, "a")
    own_valkey.ask("CLIENT", "PAUSE", "400", "ALL")
    assert await count(mine, 0, "a") is None
    async with asyncio.timeout(20):
        await mine.link.is_reached.wait()
    assert [await count(mine, 0, "b"), await count(mine, 0, "a")] == [0, 7]


@pytest.mark.requirement("T11")
@pytest.mark.parametrize("words", [("FUNCTION", "FLUSH"), ("FUNCTION", "LOAD", "REPLACE")], ids=["gone", "changed"])
async def test_functions_that_are_gone_or_changed_are_loaded_again(
    own_valkey: ValkeyServer, make: Make, words: tuple[str, ...]
) -> None:
    mine = make()
    await mine.begin([])
    await count(mine, 7)
    prefix = library.Library.of(library.shipped()).prefix
    changed = f"#!lua name={prefix}\nredis.register_function('{prefix}_count', function() return {{'much'}} end)"
    own_valkey.ask(*words, *([changed] if "LOAD" in words else []))
    assert await count(mine) is None
    own_valkey.ask("CLIENT", "KILL", "TYPE", "normal")
    async with asyncio.timeout(20):
        while mine.link.why is None:
            await mine.begin([])
        await mine.link.is_reached.wait()
    await again(mine)
    assert await count(mine) == 8


CANNOT: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "a replica": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE"), "it is a replica and takes no writes"),
    "full": (
        ("CONFIG", "SET", "maxmemory", "1"),
        ("CONFIG", "SET", "maxmemory", "0"),
        "its memory is full",
    ),
}


@pytest.mark.requirement("T11")
@pytest.mark.parametrize(("words", "undone", "why"), CANNOT.values(), ids=list(CANNOT))
async def test_a_server_that_takes_no_writes_counts_nothing_and_says_so(
    own_valkey: ValkeyServer, make: Make, words: tuple[str, ...], undone: tuple[str, ...], why: str
) -> None:
    mine = make()
    await mine.begin([])
    await count(mine, 7)
    own_valkey.ask(*words)
    assert await count(mine) is None
    assert mine.link.why == why
    assert not await mine.readable()
    own_valkey.ask(*undone)
    async with asyncio.timeout(20):
        await mine.link.is_reached.wait()
    assert await count(mine) == 8


async def test_a_broker_that_starts_without_redis_begins_to_count_when_it_is_there(
    own_valkey: ValkeyServer, make: Make
) -> None:
    own_valkey.kill()
    mine = make()
    await mine.begin([])
    assert [await mine.readable(), await count(mine)] == [False, None]
    own_valkey.start()
    await again(mine)
    assert await count(mine) == 1


@pytest.mark.requirement("T11")
async def test_a_wrong_password_counts_nothing_and_is_said(own_valkey: ValkeyServer, make: Make) -> None:
    own_valkey.ask("CONFIG", "SET", "requirepass", "right")
    wrong, right = make(password="wrong"), make(password="right")
    await wrong.begin([])
    assert await count(wrong) is None
    assert wrong.link.why == "it refuses the user or the password"
    await right.begin([])
    assert await count(right) == 1


def rights() -> list[str]:
    """Return the words that the page on Redis gives to the broker's user."""
    page = (Path(__file__).parents[2] / "docs" / "redis.md").read_text()
    block = page.partition("ACL SETUSER broker on >PASSWORD")[2].partition("```")[0]
    return block.split()


async def test_the_rights_that_the_pages_name_are_enough(own_valkey: ValkeyServer, make: Make) -> None:
    own_valkey.ask("ACL", "SETUSER", "broker", "on", ">word", *rights())
    url = f"unix://{own_valkey.socket}"
    connect = connecting(RedisPlace(name=url, socket=str(own_valkey.socket), user="broker"), Access(password="word"))
    mine, other = RedisSignals(connect, name=url, secret=SECRET), make()
    await mine.begin([Known("c", WINDOW, 1, 0)])
    assert mine.link.why is None
    assert await count(mine) == 2
    await mine.forget(["c"])
    assert await mine.claim("x", seconds=60)
    await other.begin([])
    await listening(mine, other)
    subscription = mine.subscribe(["t"])
    other.wake("t")
    assert await subscription.wait(10)
    assert mine.link.why is None
    await mine.close()


async def listening(*signals: RedisSignals) -> None:
    async with asyncio.timeout(20):
        for one in signals:
            await one.wakes.is_listening.wait()


async def is_woken(subscription: Subscription, wake: Callable[[], None]) -> None:
    """Wake until it arrives: what is published while nobody listens is lost."""
    async with asyncio.timeout(20):
        while True:
            wake()
            if await subscription.wait(0.05):
                return


async def test_a_wake_up_reaches_who_waits_at_another_broker_and_nobody_else(make: Make) -> None:
    here, there = make(), make()
    await here.begin([])
    await there.begin([])
    await listening(here, there)
    mine, yours, other = here.subscribe(["a"]), there.subscribe(["a"]), there.subscribe(["b"])
    here.wake("a")
    assert await mine.wait(0.0)
    assert await yours.wait(10)
    assert not await other.wait(0.0)
    there.wake("b")
    here.wake("c")
    assert await other.wait(10)
    assert not await mine.wait(0.0), "its own message came back"


@pytest.mark.requirement("T11")
async def test_lost_wake_ups_raise_nothing_and_later_ones_arrive(own_valkey: ValkeyServer, make: Make) -> None:
    here, there = make(), make()
    await here.begin([])
    await there.begin([])
    await listening(here, there)
    own_valkey.kill()
    waiting = there.subscribe(["a"])
    here.wake("a")
    assert not await waiting.wait(0.05)
    own_valkey.start()
    await is_woken(waiting, lambda: here.wake("a"))


NONSENSE = [
    "",
    "[",
    "7",
    '["x"',
    "[" * 100_000,
    '[{"a": 1}, 7, null]',
    '{"a": "b"}',
    '["x", ' + '"a",' * 9_000 + '"a"]',
]


@pytest.mark.parametrize("said", NONSENSE, ids=range(len(NONSENSE)))
async def test_what_somebody_else_publishes_does_no_harm(own_valkey: ValkeyServer, make: Make, said: str) -> None:
    here, there = make(), make()
    await here.begin([])
    await there.begin([])
    await listening(here, there)
    waiting = there.subscribe(["t"])
    own_valkey.ask("PUBLISH", Names(SECRET).channel, said)
    here.wake("t")
    assert await waiting.wait(10)


@pytest.mark.requirement("T14")
async def test_what_brokers_gave_together_closes_the_bucket_at_each(make: Make) -> None:
    here, there = make(), make()
    await here.begin([])
    await there.begin([])

    def take(signals: RedisSignals) -> float:
        return signals.take("b", per_second=0.001, burst=3)

    assert [take(here), take(here), take(here)] == [0.0, 0.0, 0.0]
    assert take(here) > 0
    await here.buckets.told()
    assert take(there) == 0.0, "nobody has told it yet"
    await there.buckets.told()
    assert take(there) > 900
    assert there.take("other", per_second=0.001, burst=3) == 0.0


@pytest.mark.requirement("T14")
async def test_while_redis_is_away_every_broker_has_its_own_bucket(own_valkey: ValkeyServer, make: Make) -> None:
    mine = make()
    await mine.begin([])
    own_valkey.kill()
    assert mine.take("b", per_second=0.001, burst=2) == 0.0
    await mine.buckets.told()
    assert mine.take("b", per_second=0.001, burst=2) == 0.0
    await mine.buckets.told()
    assert mine.take("b", per_second=0.001, burst=2) > 0


@pytest.mark.requirement("T8")
async def test_what_one_broker_claimed_no_other_claims_and_the_same_one_not_even_when_redis_forgot(
    own_valkey: ValkeyServer, make: Make
) -> None:
    here, there = make(), make()
    await here.begin([])
    await there.begin([])
    assert [await here.claim("x", seconds=60), await there.claim("x", seconds=60)] == [True, False]
    own_valkey.ask("FLUSHALL")
    assert await here.claim("x", seconds=60) is False


@pytest.mark.requirement("T14")
async def test_a_flood_of_things_to_count_stays_bounded_and_what_is_busy_stays(
    own_valkey: ValkeyServer, make: Make
) -> None:
    text = library.shipped().replace("MANY = 256", "MANY = 32").replace("MOST = 200000", "MOST = 100")
    mine = make(text=text)
    await mine.begin([])
    for number in range(60):
        flood = [Count(f"flood {number} {one}", SECOND) for one in range(5)]
        counted = await mine.count([Count("busy", WINDOW), *flood])
        assert counted is not None
        for _ in range(5):
            await count(mine, 0)
    assert own_valkey.ask("HLEN", COUNTS) < 200


async def test_who_closes_leaves_nobody_waiting(own_valkey: ValkeyServer, make: Make) -> None:
    mine = make()
    await mine.begin([])
    own_valkey.signal(signal.SIGSTOP)
    waiting = [asyncio.ensure_future(count(mine)) for _ in range(5)]
    await asyncio.sleep(0)
    await mine.close()
    assert await asyncio.gather(*waiting) == [None] * 5
    assert await count(mine) is None


async def test_who_gives_up_waiting_disturbs_nobody(make: Make) -> None:
    mine = make()
    await mine.begin([])
    for number in range(1, 30):
        given_up = asyncio.ensure_future(mine.claim(str(number), seconds=60))
        for _ in range(number % 4):
            await asyncio.sleep(0)
        given_up.cancel()
        with suppress(asyncio.CancelledError):
            await given_up
        assert await count(mine) == number


async def test_who_comes_back_ends_when_its_loop_does_though_the_client_swallows_that() -> None:
    entered = asyncio.Event()

    async def swallow(_client: object) -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise OSError from None

    nowhere = connecting(RedisPlace.of("redis://127.0.0.1:1"), Access())
    link = Link(nowhere, swallow, name="nowhere", pause_seconds=0)
    link._come_back_later()  # noqa: SLF001  # as after a lost line, without a line to lose
    coming_back = link._coming_back  # noqa: SLF001  # the same
    assert coming_back is not None
    await entered.wait()
    coming_back.cancel()
    # A loop that ends cancels once and waits: `gather` as it does.
    await asyncio.wait_for(asyncio.gather(coming_back, return_exceptions=True), 10)
