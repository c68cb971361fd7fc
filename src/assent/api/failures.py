"""What went wrong becomes a problem document, once, at the edge; what nobody foresaw is logged and answered 503.

The log gets the kind of failure, where it was raised and an incident number: never the message of a foreign error, it
may quote a payload.
"""

import traceback

from assent.api import problems, replies
from assent.api.given import Api
from assent.api.replies import Reply
from assent.core.errors import AssentError, PolicyBehind
from assent.logs import EventLog

log = EventLog("assent.api")


def reply_to(fault: Exception, api: Api, path: str) -> Reply:
    """Return what the caller hears of a fault, and log it where the operator must know more than the caller."""
    if not isinstance(fault, AssentError):
        return _unforeseen(fault, api, path)
    problem = problems.of_error(fault)
    # That another policy is taken up is logged once, by who loads it, and not for everybody who asks meanwhile.
    if problem.code == problems.UNAVAILABLE and not isinstance(fault, PolicyBehind):
        log.error("not_decided", path=path, code=fault.code, message=fault.message, hint=fault.hint)
    return replies.of_problem(problem)


def _unforeseen(fault: Exception, api: Api, path: str) -> Reply:
    incident = api.broker.new_id("inc")
    last = traceback.extract_tb(fault.__traceback__)[-1:]
    place = f"{last[0].filename}:{last[0].lineno}" if last else "unknown"
    log.error("request_failed", path=path, incident=incident, kind=type(fault).__name__, at=place)
    return replies.of_problem(problems.of_failure(incident))
