"""Random bytes: never the same twice, also across threads and a fork."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from assent.stores.randomness import POOL_BYTES, Randomness


def test_no_two_takers_get_the_same_bytes() -> None:
    randomness = Randomness()
    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda _: randomness(16), range(20_000)))
    assert len(set(taken)) == len(taken)


@pytest.mark.parametrize("count", [0, 1, 12, POOL_BYTES, POOL_BYTES + 1])
def test_as_many_bytes_come_as_were_asked_for(count: int) -> None:
    randomness = Randomness()
    assert [len(randomness(count)) for _ in range(3)] == [count] * 3


FORKS = """
import os
from assent.stores.randomness import Randomness
randomness = Randomness()
randomness(1)
reader, writer = os.pipe()
if os.fork() == 0:
    os.write(writer, randomness(32))
    os._exit(0)
os.wait()
assert os.read(reader, 32) != randomness(32)
"""


def test_a_fork_does_not_share_what_is_left() -> None:
    subprocess.run([sys.executable, "-c", FORKS], check=True, timeout=30)
