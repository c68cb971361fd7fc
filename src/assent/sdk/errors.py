"""What the SDK raises. Each of them means: the tool did not run, or ran before and must not run again.

Branch on the type or on `code`. `model_message` is the text for a language model: what, why, and what to do instead
of trying again.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from assent.core.errors import AssentError
from assent.core.reasons import Reason
from assent.core.refusals import REFUSALS

_DO_NOT_RETRY: Final = (
    "do not retry: every try is denied and counted, whatever its arguments, until people let it go on; "
    "tell who you work for, and go on with something else or end"
)


class ActionDenied(AssentError):
    """The broker said no; `reasons` say why, `code` is the first of them."""

    code = "rule_denied"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        reasons: tuple[Reason, ...] = (),
        tool: str | None = None,
        action_id: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code or type(self).code
        self.reasons = reasons
        self.tool = tool
        self.action_id = action_id

    @property
    def model_message(self) -> str:
        """What happened, why, and the next step, in words that tell a model not to try again."""
        refusal = REFUSALS.get(self.code)
        if refusal is None:
            return f"{_named(self.tool)} did not run: {self.message}; do not retry unless a person tells you to"
        told = next((reason.message for reason in self.reasons if reason.code == self.code), self.message)
        why = told if refusal.sentence in told else refusal.sentence
        said = f"{_named(self.tool)} did not run: {why}; {refusal.next_step}"
        if refusal.agent_may_retry:
            return f"{said}; you may ask again once that is done"
        return said if "do not retry" in refusal.next_step else f"{said}; do not retry unless that changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerNotice:
    """The breaker that stops an action: what it covers, since when, who tripped it (`rule:ID` for a rule) and why.

    `scope` holds the dimensions that it names, nothing for everything. `retry_after` is seconds, None where only people
    close it.
    """

    covers: str
    scope: dict[str, str]
    who: str
    since: datetime | None = None
    reason: str = ""
    state: str = ""
    retry_after: float | None = None


class BreakerOpen(ActionDenied):
    """A breaker is open over the action: nothing in its scope passes until it is closed."""

    code = "breaker_open"

    def __init__(
        self,
        message: str,
        *,
        breaker: BreakerNotice | None = None,
        reasons: tuple[Reason, ...] = (),
        tool: str | None = None,
        action_id: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, reasons=reasons, tool=tool, action_id=action_id, hint=hint)
        self.breaker = breaker

    @property
    def scope(self) -> dict[str, str]:
        """What it stops: agent, tool, environment, as far as it names them; empty for everything, or not told."""
        return {} if self.breaker is None else self.breaker.scope

    @property
    def reason(self) -> str:
        """Why it was tripped, in the words of whoever did."""
        return "" if self.breaker is None else self.breaker.reason

    @property
    def who(self) -> str:
        """Who tripped it: an operator, or `rule:ID`."""
        return "" if self.breaker is None else self.breaker.who

    @property
    def since(self) -> datetime | None:
        """Since when nothing passes."""
        return None if self.breaker is None else self.breaker.since

    @property
    def retry_after(self) -> float | None:
        """In how many seconds something may pass again; None where only people close it."""
        return None if self.breaker is None else self.breaker.retry_after

    @property
    def model_message(self) -> str:
        """What is stopped, by whom, why, and that insisting does not help."""
        told = self.breaker
        if told is None:
            return super().model_message
        since = "" if told.since is None else f" since {told.since:%Y-%m-%d %H:%M:%S} UTC"
        why = f" ({told.reason})" if told.reason else ""
        stopped = f"{_named(self.tool)} did not run: {told.covers} is stopped{since} by `{told.who}`{why}"
        if told.retry_after is None:
            return f"{stopped}; {_DO_NOT_RETRY}"
        return f"{stopped}; do not retry within {told.retry_after:.0f} seconds, go on with something else"


class GrantInvalid(ActionDenied):
    """A grant token does not permit this tool to run with these arguments; nothing may run."""

    code = "grant_invalid"


class ApprovalPending(AssentError):
    """A human has to answer first and the caller did not want to wait; the same ask later finds this action again."""

    code = "approval_pending"

    def __init__(
        self,
        message: str,
        *,
        action_id: str = "",
        approval_code: str | None = None,
        url: str | None = None,
        expires_at: datetime | None = None,
        tool: str | None = None,
    ) -> None:
        super().__init__(message, hint="ask again with the same run and arguments, or wait for the action")
        self.action_id = action_id
        self.approval_code = approval_code
        self.url = url
        self.expires_at = expires_at
        self.tool = tool

    @property
    def model_message(self) -> str:
        """Tell a model that a person is being asked and that nothing ran."""
        code = f" ({self.approval_code})" if self.approval_code else ""
        return (
            f"{_named(self.tool)} did not run yet: a person has to approve it{code}; "
            "do not retry with other arguments, go on with something else"
        )


class ApprovalTimeout(ApprovalPending):
    """Nobody answered while the caller waited; nobody denied it either, and the approval goes on."""

    code = "approval_timeout"


class AlreadyExecuted(AssentError):
    """Another attempt holds or finished this action; it must not run again.

    `outcome` is `succeeded`, `failed` or `unknown`, or None while the other attempt may still be running.
    """

    code = "already_executed"

    def __init__(
        self, message: str, *, outcome: str | None = None, action_id: str = "", tool: str | None = None
    ) -> None:
        super().__init__(message, hint="look at what the action did before anything else; do not run it again")
        self.outcome = outcome
        self.action_id = action_id
        self.tool = tool

    @property
    def model_message(self) -> str:
        """Tell a model that this very action was taken before."""
        became = self.outcome or "not reported yet"
        return f"{_named(self.tool)} was not run again: it ran before and its outcome is {became}; do not retry it"


class BrokerUnavailable(AssentError):
    """The broker could not be asked or could not decide; nothing ran."""

    code = "broker_unavailable"

    @property
    def model_message(self) -> str:
        """Tell a model that nothing ran and that insisting does not help."""
        refusal = REFUSALS[self.code]
        return f"{refusal.sentence}; {refusal.next_step}; do not retry at once"


class UntrustedAnswer(BrokerUnavailable):
    """What came back is not what an honest broker says: garbage, other arguments than asked, a log that went back."""


class ConfigurationError(AssentError):
    """The program uses the SDK in a way that cannot work, or a key that the broker does not take; no retry helps."""

    code = "configuration_error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        if hint is not None:
            self.add_note(hint)  # a developer meets this in a traceback


class RunIdMissing(UserWarning):
    """An ask outside any run: after a restart it is not found again, so a pending approval would be asked anew."""


def _named(tool: str | None) -> str:
    return f"`{tool}`" if tool else "the action"
