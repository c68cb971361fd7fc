from collections.abc import Callable, Sequence

class Assertion:
    value: str
    policy: Sequence[Sequence[str]]

class Model:
    def __getitem__(self, section: str) -> dict[str, Assertion]: ...

class FunctionMap:
    def add_function(self, name: str, func: Callable[..., object]) -> None: ...
