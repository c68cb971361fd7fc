"""Reading an OpenAPI document."""

from collections.abc import Iterator
from typing import Any


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield method, path and description of every operation."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation
