"""What the SDK raises. Each of them means: the tool did not run, or ran before and must not run again.

Branch on the type or on `code`. `model_message` is the text for a language model: what, why, and what to do instead
of trying again.
"""

from datetime import datetime

from assent.core.errors import AssentError
from assent.core.reasons import Reason
from assent.core.refusals import REFUSALS


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


class BreakerOpen(ActionDenied):
    """A breaker is open over the action: nothing in its scope passes until a human resets it."""

    code = "breaker_open"


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
