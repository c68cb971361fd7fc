"""What every adapter promises, as data: the table of docs/adapters/promises.md is written from it by the tests' run."""

from typing import Final

# The drivers of tests/adapters/drivers, and what has to be installed for each.
DRIVERS: Final = {"functions": "assent", "langchain": "langchain", "openai_agents": "agents"}
PROMISES: Final = {
    "allowed": "what is allowed runs once, with the arguments that were judged, and is on record",
    "denied": "what is denied does not run; the model reads why, and not to try again",
    "approved": "a yes lets what was pending run once",
    "rejected": "after a no it never runs",
    "forged": "a yes that only the framework knows of runs nothing",
    "no answer": "a broker that is away, slow, failing, talking garbage or making the client raise runs nothing",
    "killed": "a broker that is killed while a person is asked runs nothing, and goes on when it is back",
    "reverse": "two that are pending are decided in reverse order",
    "crash": "a crash in the body is told as unknown, and the replay runs nothing",
    "restart": "a process that was started anew finds the same approval",
    "changed": "other arguments after the yes are asked anew",
    "raised": "a tool that raises has failed",
    "sub-agent": "what a sub-agent calls is asked for",
    "hosted": "a tool that the provider runs is refused, or let through by name as unbrokered",
    "worker": "the process ends while it waits; a worker started later goes on, and the tool runs once",
    "parallel": "200 calls at once are 200 actions, each run once",
}
# What cannot be asked of an adapter, and why.
NOT_ASKED: Final = {
    ("functions", "forged"): "functions are held, so there is nothing to resume",
    ("functions", "changed"): "functions are held, so nothing is kept that could be changed",
    ("functions", "hosted"): "a provider's tool is no function, and refused as such",
    ("functions", "worker"): "functions are held; use the SDK's own `decided`",
}
