"""From what flows answer about the policy to what operators are shown."""

import base64
import binascii
from typing import Final

from assent.core.errors import BadRequest
from assent.core.privileges import widening
from assent.flows.activate_policy import TakenUp
from assent.flows.publish_policy import Offer
from assent.flows.read_policy import Serving
from assent.wire import policies as wire

MAX_TOLD: Final = 100


def policy_view(serving: Serving) -> wire.PolicyView:
    """Return which version serves and what waits."""
    waiting, active = serving.waiting, serving.active
    return wire.PolicyView(
        version=serving.policy.version,
        activation=serving.activation.value,
        files_version=serving.files_version,
        files_differ=serving.files_version != serving.policy.version,
        waiting=None
        if waiting is None
        else wire.WaitingView(
            version=waiting.version,
            changes=wire.changes_view(serving.changes),
            unvouched=serving.unvouched,
            review=wire.review_view(serving.published_waiting),
        ),
        active_version=None if active is None else active.version,
        source="directory" if serving.published is None else "ledger",
        behind=serving.behind,
        review=wire.review_view(serving.published),
    )


def published_answer(taken: TakenUp) -> wire.PolicyPublished:
    """Return what became of a version that was published."""
    return wire.PolicyPublished(
        version=taken.version,
        serving=taken.serving,
        uptake=taken.uptake.value,
        widens=tuple(str(change) for change in widening(taken.changes)[:MAX_TOLD]),
        changes=len(taken.changes),
        ended=len(taken.ended),
        review=wire.review_view(taken.publication),
        vouched_by=() if taken.vouched is None else taken.vouched.keys,
        unvouched=taken.unvouched,
    )


def offer_of(body: wire.PublishBody) -> Offer:
    """Return what somebody wants to publish.

    Raises:
        BadRequest: a file is not in base64.

    """
    return Offer(
        files={name: _bytes(name, content) for name, content in body.files.items()},
        release=None if body.release is None else _bytes("release", body.release),
        commit=body.commit,
        change_url=body.change_url,
        author=body.author,
        reviewer=body.reviewer,
        tests=body.tests,
    )


def _bytes(name: str, content: str) -> bytes:
    try:
        return base64.b64decode(content.encode("ascii"), validate=True)
    except (ValueError, binascii.Error) as error:
        raise BadRequest(f"`{name}` is not in base64", hint="send each file as standard base64") from error


def activated_answer(taken: TakenUp) -> wire.ActivatedAnswer:
    """Return what became of a confirmation."""
    return wire.ActivatedAnswer(
        version=taken.version,
        uptake=taken.uptake.value,
        changes=wire.changes_view(taken.changes),
        ended=len(taken.ended),
    )
