"""`assent agents`: who may ask, with which keys; a key issued or revoked, an agent suspended or let go on."""

from typing import Annotated, Any, Final

import typer

from assent.cli import held, output
from assent.cli.called import as_called
from assent.cli.client import Heard, connect
from assent.cli.exits import Exit
from assent.cli.handover import Handover, Out, ValidFor, hand_over
from assent.cli.output import AsJson, Usage
from assent.cli.second_person import print_waiting
from assent.cli.spans import seconds_of
from assent.cli.stopped import print_stopped
from assent.core.agents import AgentState
from assent.core.characters import visible

app = output.group("See who may ask; issue and revoke keys, suspend agents and let them go on.")
key = output.group("Issue and revoke an agent's keys.")
app.add_typer(key, name="key")

# A suspension is not asked who may undo it, and its answer does not say.
TWO_TO_RESUME: Final = (
    "resuming takes two people who hold `agents.manage`, and never the agent's owner; "
    "the starter policies have one such person"
)

Agent = Annotated[str, typer.Argument(help="The id of the agent.")]
Reason = Annotated[str | None, typer.Option(help="Why, for the record.")]


@app.command("list")
def list_(
    *,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on where the last list ended.")] = None,
    as_json: AsJson = False,
) -> None:
    """List agents by id: whether they may act, who owns them, how many keys they hold."""
    heard = connect().get("v1", "agents", limit=limit, cursor=cursor)
    if as_json:
        output.print_json(heard)
        return
    headings = ("agent", "state", "owner", "roles", "ends", "keys", "asked last")
    output.print_table(headings, map(_row, heard.body["items"]), empty="the policy names no agent")
    output.print_more(heard)


def _row(agent: dict[str, Any]) -> tuple[str, ...]:
    ends = output.time_left(agent["expires_at"]) if agent.get("expires_at") else "-"
    asked = f"{output.time_since(agent['last_asked_at'])} ago" if agent.get("last_asked_at") else "-"
    return (
        agent["id"],
        _state(agent),
        agent.get("owner") or "-",
        output.words(agent["roles"]) or "-",
        ends,
        held.how_many(agent["keys"]),
        asked,
    )


def _state(agent: dict[str, Any]) -> str:
    if not agent["registered"]:
        return "not in the policy"
    blocked = agent.get("blocked")
    return agent["state"] if blocked is None else str(blocked["code"]).removeprefix("agent_")


@app.command()
def show(agent: Agent, *, as_json: AsJson = False) -> None:
    """Show one agent: as declared, whether it may act now and why not, all its keys."""
    heard = connect().get("v1", "agents", agent)
    if as_json:
        output.print_json(heard)
        return
    _print_agent(heard.body)


def _print_agent(agent: dict[str, Any]) -> None:
    typer.echo(f"{visible(agent['id'])}  {_state(agent)}")
    changed = f"{agent['state']} since {agent['changed_at']} by {agent['changed_by']}" if "changed_at" in agent else ""
    facts = [
        ("owner", agent.get("owner") or ""),
        ("roles", output.words(agent["roles"])),
        ("expires", agent.get("expires_at") or ""),
        ("interactive", "yes: it must say on whose behalf it asks" if agent["interactive"] else ""),
        ("may not act", agent["blocked"]["message"] if "blocked" in agent else ""),
        ("changed", changed),
        ("reason", agent.get("reason") or ""),
        ("may go on?", _first_ask(agent)),
        ("asked last", agent.get("last_asked_at") or "not among the newest 1,000 decisions"),
        ("cut off", agent.get("cut_off") or ""),
    ]
    output.print_facts((name, visible(value)) for name, value in facts)
    typer.echo()
    held.print_all(agent["keys"], empty="it holds no key")


def _first_ask(agent: dict[str, Any]) -> str:
    asked = agent.get("resume_asked")
    if asked is None:
        return ""
    words = f": {asked['reason']}" if asked["reason"] else ""
    return f"{asked['by']} asked at {asked['at']}{words}; a second person may agree until {asked['expires_at']}"


@key.command("issue")
def issue(agent: Agent, *, valid_for: ValidFor = None, out: Out = None, as_json: AsJson = False) -> None:
    """Issue a key for an agent; you may then not approve what it asks with it."""
    client, seconds = connect(), None if valid_for is None else seconds_of(valid_for)
    what = Handover(
        name="key",
        what=f"a key for `{visible(agent)}`",
        shown_as="export ASSENT_AGENT_KEY={}",
        look=f"assent agents show {visible(agent)}",
    )
    told = hand_over(
        lambda: client.post("v1", "agents", agent, "keys", body={"valid_for_seconds": seconds}),
        what,
        out=out,
        as_json=as_json,
    )
    if not as_json:
        _print_issued(told)


def _print_issued(told: dict[str, Any]) -> None:
    others = visible(output.words(told["approvers"]))
    if told.get("expires_at"):
        typer.echo(f"it ends by itself: {output.time_left(told['expires_at'])}")
    typer.echo("it goes to the agent alone: whoever holds it asks as the agent")
    typer.echo(f"you issued it, so you may not approve what is asked with it; who may: {others or 'nobody'}")
    if not others:
        typer.echo(
            "whatever needs a person is denied until `operators.yaml` names another approver, or they issue a key"
        )


@key.command("revoke")
def revoke(
    agent: Agent,
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="The id of the key, as `show` names it.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Revoke a key, at once; what was asked with it and waits ends too."""
    heard = connect().delete("v1", "agents", agent, "keys", key_id)
    if as_json:
        output.print_json(heard)
        return
    typer.echo(f"revoked: nothing is decided or redeemed for key {visible(heard.body['credential']['id'])} any more")
    held.print_cut_off(heard.body)


@app.command()
def suspend(agent: Agent, *, reason: Reason = None, as_json: AsJson = False) -> None:
    """Suspend an agent, at once: nothing is decided or redeemed for it until somebody resumes it."""
    why = _reason(reason, "suspending", "what did it do?")
    heard = connect().post("v1", "agents", agent, "suspend", body={"reason": why})
    if as_json:
        output.print_json(heard)
        return
    told = heard.body
    typer.echo(f"suspended: {visible(told['agent'])}, by {visible(told['changed_by'])} at {told['changed_at']}")
    print_stopped(told, what="a suspension")
    typer.echo(as_called(f'resume with: assent agents resume {visible(told["agent"])} --reason "…"'))
    typer.echo(TWO_TO_RESUME)


@app.command()
def resume(agent: Agent, *, reason: Reason = None, as_json: AsJson = False) -> None:
    """Let a suspended agent ask again; it takes a second, different person within 15 minutes, never its owner."""
    why = _reason(reason, "resuming", "why may it go on?")
    heard = connect().post("v1", "agents", agent, "resume", body={"reason": why})
    if as_json:
        output.print_json(heard)
    else:
        _print_resumed(heard)
    if not _goes_on(heard) and not heard.body["who"]:
        raise typer.Exit(Exit.REFUSED)


def _goes_on(heard: Heard) -> bool:
    return bool(heard.body["state"] == AgentState.ACTIVE)


def _print_resumed(heard: Heard) -> None:
    name = heard.body["agent"]
    if _goes_on(heard):
        typer.echo(f"{visible(name)} is {heard.body['state']}: it may ask again")
        return
    print_waiting("suspended", heard.body, command=f"assent agents resume {name}", permission="agents.manage")


def _reason(given: str | None, what: str, question: str) -> str:
    if given is None and not output.is_attended():
        raise Usage(f"{what} an agent needs --reason", hint="say in a few words why; to stop at once: `assent stop`")
    why = (given if given is not None else output.ask(question)).strip()
    if not why:
        raise Usage(f"{what} an agent needs a reason, nothing was changed", hint="say in a few words why")
    return why
