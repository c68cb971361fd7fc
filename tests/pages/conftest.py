"""Each story gets a reader with an empty folder, whose processes end with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages.reader import Reader


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    yield reader
    reader.leaves()
