"""The real environments of AgentDojo, run by an interpreter that has the package, asked over standard input and output.

One JSON object a line in, one out. Nothing of ours is imported here, and nothing of AgentDojo's anywhere else.
"""

import json
import sys
from importlib import import_module
from typing import Any

VERSION = "v1.2.2"


class Town:
    """One suite and the environment of the task that was begun last."""

    def __init__(self, suite: str) -> None:
        self._suite: Any = import_module("agentdojo.task_suite.load_suites").get_suite(VERSION, suite)
        runtime = import_module("agentdojo.functions_runtime")
        self._runtime: Any = runtime.FunctionsRuntime(self._suite.tools)
        self._call: Any = runtime.FunctionCall
        self._before: Any = None
        self._now: Any = None
        self._ran: list[Any] = []

    def tasks(self) -> dict[str, list[str]]:
        return {"user": list(self._suite.user_tasks), "attacks": list(self._suite.injection_tasks)}

    def begin(self, task: str) -> bool:
        fresh = self._suite.load_and_inject_default_environment({})
        self._now = self._suite.user_tasks[task].init_environment(fresh)
        # Checks and ground truths look at what was before, and some of them change what they look at.
        self._before = self._now.model_copy(deep=True)
        self._ran = []
        return True

    def calls(self, task: str) -> list[list[Any]]:
        truth = self._task(task).ground_truth(self._before.model_copy(deep=True))
        return [[call.function, dict(call.args)] for call in truth]

    def run(self, tool: str, arguments: dict[str, Any]) -> bool:
        was = self._now.model_copy(deep=True)
        self._runtime.run_function(self._now, tool, arguments, raise_on_error=True)
        self._ran.append(self._call(function=tool, args=arguments))
        return bool(was != self._now)

    def solved(self, task: str) -> bool:
        return self._checked("utility", self._task(task), self._task(task).GROUND_TRUTH_OUTPUT)

    def reached(self, task: str, attack: str) -> bool:
        # A hijacked agent says what the user wants to hear and what the attacker wants it to say.
        says = f"{self._task(task).GROUND_TRUTH_OUTPUT}\n{self._task(attack).GROUND_TRUTH_OUTPUT}"
        return self._checked("security", self._task(attack), says)

    def _checked(self, how: str, task: Any, output: str) -> bool:
        before, now = self._before.model_copy(deep=True), self._now.model_copy(deep=True)
        by_trace = getattr(task, f"{how}_from_traces")(output, before, now, list(self._ran))
        return bool(getattr(task, how)(output, before, now) if by_trace is None else by_trace)

    def _task(self, task: str) -> Any:
        return {**self._suite.user_tasks, **self._suite.injection_tasks}[task]


def main() -> None:
    """Answer until standard input ends."""
    town = Town(sys.argv[1])
    for line in sys.stdin:
        ask, *arguments = json.loads(line)
        try:
            answer = {"is": getattr(town, ask)(*arguments)}
        except Exception as fault:  # noqa: BLE001  # whoever asked is told, and decides
            answer = {"fault": f"{type(fault).__name__}: {fault}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
