"""From what flows answer about the policy to what operators are shown."""

from assent.flows.activate_policy import TakenUp
from assent.flows.read_policy import Serving
from assent.wire import policies as wire


def policy_view(serving: Serving) -> wire.PolicyView:
    """Return which version serves and what waits."""
    waiting = serving.waiting
    return wire.PolicyView(
        version=serving.policy.version,
        activation=serving.activation.value,
        files_version=serving.files_version,
        files_differ=serving.files_version != serving.policy.version,
        waiting=None
        if waiting is None
        else wire.WaitingView(
            version=waiting.version, changes=wire.changes_view(serving.changes), unvouched=serving.unvouched
        ),
    )


def activated_answer(taken: TakenUp) -> wire.ActivatedAnswer:
    """Return what became of a confirmation."""
    return wire.ActivatedAnswer(
        version=taken.version,
        uptake=taken.uptake.value,
        changes=wire.changes_view(taken.changes),
        ended=len(taken.ended),
    )
