"""`assent action run`: a program runs as an agent, once the broker assents; what runs is what was judged."""

from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand

from assent.cli import output
from assent.cli.output import AsJson, Usage
from assent.cli.spans import seconds_of
from assent.core.actions import Runs
from assent.core.canonical import Json

app = output.group("Run a program as an agent, once the broker assents.")
_END_OF_OURS: Final = "--"


class BehindDashes(TyperCommand):
    """A command that keeps what stands behind the first `--` apart, as the argument vector of somebody else."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  # typer keeps the type private
        """Take the vector away, and let the rest be read as ever."""
        if _END_OF_OURS in args:
            at = args.index(_END_OF_OURS)
            ctx.meta[Runs.ARGV] = args[at + 1 :]
            args = args[:at]
        return super().parse_args(ctx, args)


@app.callback()
def action() -> None:
    """Run a program as an agent, once the broker assents."""


@app.command(cls=BehindDashes)
def run(
    context: typer.Context,
    tool: Annotated[str, typer.Argument(help="The tool of the catalogue that is a program.")],
    given: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE|-- ARGV", help="Its arguments, or the program and its own."),
    ] = None,
    *,
    reason: Annotated[str | None, typer.Option(help="Why, for whoever is asked.")] = None,
    run_id: Annotated[str | None, typer.Option(help="The run it belongs to: started again, it is found again.")] = None,
    call_id: Annotated[str | None, typer.Option(help="The call in that run: it is one action for ever.")] = None,
    on_behalf_of: Annotated[list[str] | None, typer.Option(help="operator:ID or agent:ID; again for more.")] = None,
    wait: Annotated[str | None, typer.Option(help="Wait so long for a person, such as 10m; else to the end.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run a program with the arguments that were judged; ends with the program's own code."""
    from assent.cli.errands import Errand, run_errand

    errand = Errand(
        tool=tool,
        arguments=_arguments(given or [], context.meta.get(Runs.ARGV)),
        runs=Runs.ARGV if Runs.ARGV in context.meta else Runs.COMMAND,
        reason=reason,
        run_id=run_id,
        call_id=call_id,
        on_behalf_of=None if on_behalf_of is None else tuple(on_behalf_of),
        wait_seconds=None if wait is None else seconds_of(wait),
    )
    raise typer.Exit(run_errand(errand, as_json=as_json))


def _arguments(given: list[str], argv: list[str] | None) -> dict[str, Json]:
    from assent.cli.arguments import arguments_of

    if argv is None:
        return arguments_of(given)
    if given or not argv:
        wrong = f"`{given[0]}` stands before `--`" if given else "nothing stands behind `--`"
        raise Usage(wrong, hint="write `assent action run TOOL KEY=VALUE …`, or `assent action run TOOL -- PROGRAM …`")
    return {Runs.ARGV.value: [*argv]}
