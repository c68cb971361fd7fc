# What this project uses of pycasbin, which ships no types.
from collections.abc import Mapping
from logging import Logger
from typing import Any

from casbin.effect import Effector
from casbin.model import FunctionMap, Model
from casbin.util import SimpleEval

class Enforcer:
    fm: FunctionMap
    logger: Logger
    model: Model
    def __init__(self, model: Model) -> None: ...
    @staticmethod
    def new_model(path: str = ..., text: str = ...) -> Model: ...
    def set_effector(self, eft: Effector) -> None: ...
    def enforce(self, *rvals: object) -> bool: ...
    def add_function(self, name: str, func: Any) -> None: ...
    def _get_expression(self, expr: str, functions: Mapping[str, Any] | None = ...) -> SimpleEval: ...
