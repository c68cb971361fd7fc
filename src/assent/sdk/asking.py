"""An ask as its caller wrote it: checked, frozen, and completed by the run that it is made in."""

from collections.abc import Mapping, Sequence

from assent.core.canonical import BadJson, Jsonable, canonical
from assent.sdk import given
from assent.sdk.errors import ConfigurationError
from assent.sdk.messages import Ask
from assent.sdk.runs import current_run
from assent.sdk.state import new_secret
from assent.sdk.tracing import traceparent


def ask_of(
    tool: str,
    arguments: bytes,
    *,
    reason: str | None = None,
    run_id: str | None = None,
    call_id: str | None = None,
    on_behalf_of: Sequence[str] | None = None,
    model: tuple[str, str] | None = None,
) -> Ask:
    """Return the ask for canonical `arguments`, completed by the run that this context is in.

    Raises:
        ConfigurationError: something is not what it can be.

    """
    run = current_run()
    return Ask(
        tool=given.name("tool", tool),
        arguments=arguments,
        idempotency_key=new_secret(),
        reason=given.text_or_none("reason", reason),
        run_id=run.run_id if run_id is None else given.name("run_id", run_id),
        call_id=given.name_or_none("call_id", call_id),
        on_behalf_of=run.on_behalf_of if on_behalf_of is None else given.names("on_behalf_of", on_behalf_of),
        model=run.model if model is None else given.model("model", model),
        trace=traceparent(),
    )


def frozen(tool: str, arguments: Mapping[str, Jsonable]) -> bytes:
    """Return `arguments` as the canonical bytes that are judged.

    Raises:
        ConfigurationError: they have no JSON form.

    """
    try:
        return canonical(dict(arguments))
    except (BadJson, TypeError, ValueError) as fault:
        raise ConfigurationError(f"`{tool}`: the arguments cannot be judged: {fault}", hint="pass plain JSON") from None
