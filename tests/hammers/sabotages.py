"""One line of the product changed for each promise, and who must notice: a table, and nothing else.

A line stands exactly once in its file; a test holds the table to that. Whoever rewrites one moves its row along.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Sabotage:
    """A promise broken by hand: in `file` the line `line` becomes `instead`, and each of `noticed_by` must fail.

    Both lines are without their indentation. `file` is below src/assent, tests are named as pytest does, below tests/;
    hammers among them get seconds.
    """

    promise: str
    what: str
    file: str
    line: str
    instead: str
    noticed_by: tuple[str, ...]


_HAMMERS: Final = "hammers/test_hammers.py::"

SABOTAGES: Final = (
    Sabotage(
        promise="P1",
        what="what no rule speaks of is allowed",
        file="policy/loaded.py",
        line="if not rules:",
        instead="if rules is None:",
        noticed_by=("policy/test_verdicts.py::test_what_no_rule_matches_is_denied",),
    ),
    Sabotage(
        promise="P1",
        what="an agent that policy does not name goes on",
        file="core/agents.py",
        line="if profile is None:",
        instead='if profile == "nobody":',
        noticed_by=("core/test_decisions.py", "flows/test_request_action.py"),
    ),
    Sabotage(
        promise="P2",
        what="a decision leaves no record",
        file="flows/request_action.py",
        line="await tx.append(entries.action_decided(action, decision, approval))",
        instead="entries.action_decided(action, decision, approval)",
        noticed_by=(
            "flows/test_request_action.py::test_every_answer_names_its_record_and_the_record_says_the_same",
            _HAMMERS + "test_a_crash_anywhere_loses_nothing_acknowledged_and_runs_nothing_twice",
        ),
    ),
    Sabotage(
        promise="P2",
        what="a commit that failed is answered as if it had not",
        file="stores/sqlite/batch.py",
        line="job.error = LedgerUnavailable(error.message, hint=error.hint)",
        instead="job.error = job.error",
        noticed_by=("stores/test_batches.py",),
    ),
    Sabotage(
        promise="P3",
        what="a grant is redeemed for whatever arguments",
        file="core/grants.py",
        line="return compare_digest(claim.arguments_sha256, sha256(action.arguments).hexdigest())",
        instead="return bool(claim.arguments_sha256)",
        noticed_by=(
            "core/test_grants.py::test_only_the_very_same_canonical_arguments_redeem",
            _HAMMERS + "test_what_was_approved_runs_and_nothing_else",
        ),
    ),
    Sabotage(
        promise="P3",
        what="a yes counts whatever was shown",
        file="core/approvals.py",
        line="if len(digest_prefix) < MIN_DIGEST_PREFIX or not approval.digest.startswith(digest_prefix):",
        instead="if len(digest_prefix) < MIN_DIGEST_PREFIX:",
        noticed_by=("core/test_approvals.py::test_a_yes_to_something_else_does_not_count",),
    ),
    Sabotage(
        promise="P4",
        what="a spent grant is redeemed by another attempt",
        file="core/grants.py",
        line="same = is_held_by(action, claim.attempt) and grant.attempt == claim.attempt",
        instead="same = True",
        noticed_by=(
            "core/test_grants.py::test_every_other_attempt_hears_that_it_is_spent",
            _HAMMERS + "test_a_grant_is_redeemed_once_whoever_tries",
        ),
    ),
    Sabotage(
        promise="P4",
        what="a stored allow is handed out to every attempt",
        file="core/actions.py",
        line="return attempt is not None and action.attempt is not None and action.attempt == attempt",
        instead="return action.attempt is not None",
        noticed_by=("core/test_decisions.py", "flows/test_request_action.py"),
    ),
    Sabotage(
        promise="P5",
        what="the agent's owner approves",
        file="core/approvals.py",
        line="if operator.id == approval.owner and not exempt:",
        instead="if operator.id == approval.owner and exempt:",
        noticed_by=("core/test_approvals.py", "flows/test_request_action.py"),
    ),
    Sabotage(
        promise="P5",
        what="one person fills two seats",
        file="core/approvals.py",
        line="return bool(seats) and len(filled) == len(seats)",
        instead="return bool(seats) and len(filled) >= 1",
        noticed_by=("core/test_approvals.py",),
    ),
    Sabotage(
        promise="P5",
        what="the production floor asks nobody",
        file="core/decisions.py",
        line="return is_change_in_production(proposal) and not verdict.standing",
        instead="return not is_change_in_production(proposal) and not verdict.standing",
        noticed_by=("core/test_decisions.py",),
    ),
    Sabotage(
        promise="P6",
        what="a breaker that an operator forced open lets through",
        file="core/breakers.py",
        line="return breaker.state is not BreakerState.CLOSED",
        instead="return breaker.state is BreakerState.OPEN",
        noticed_by=(
            "core/test_decisions.py::test_every_breaker_that_is_not_closed_denies",
            _HAMMERS + "test_after_a_trip_is_answered_nothing_in_its_scope_passes",
        ),
    ),
    Sabotage(
        promise="P6",
        what="a grant from before the trip is redeemed after it",
        file="flows/run_action.py",
        line="breakers=tuple(await tx.open_breakers()),",
        instead="breakers=(),",
        noticed_by=("flows/test_run_action.py",),
    ),
    Sabotage(
        promise="P7",
        what="a time-out is told as somebody's denial",
        file="flows/tick.py",
        line='ended = end(action, ActionEvent.EXPIRE, Reason.of("approval_expired"), now=tx.now)',
        instead='ended = end(action, ActionEvent.EXPIRE, Reason.of("approval_denied"), now=tx.now)',
        noticed_by=("flows/test_resolve_approval.py::test_silence_expires_and_is_never_told_as_a_denial",),
    ),
    Sabotage(
        promise="P7",
        what="a yes counts after its time is over",
        file="core/approvals.py",
        line="if approval.state is ApprovalState.EXPIRED or (approval.state in OPEN and now >= approval.expires_at):",
        instead="if approval.state is ApprovalState.EXPIRED:",
        noticed_by=("core/test_approvals.py",),
    ),
    Sabotage(
        promise="P7",
        what="time stands still while the clock is behind",
        file="stores/ledger_time.py",
        line="PACE_BEHIND: Final = 0.5",
        instead="PACE_BEHIND: Final = 0.0",
        noticed_by=("stores/test_ledger_time.py",),
    ),
    Sabotage(
        promise="P8",
        what="records below a checkpoint may be others than were signed",
        file="stores/verify.py",
        line="if edge.root() != signed[size].root:",
        instead="if edge.size != signed[size].size:",
        noticed_by=(
            "stores/test_verify.py",
            _HAMMERS + "test_every_changed_byte_of_a_log_is_found_and_its_record_named",
        ),
    ),
    Sabotage(
        promise="P8",
        what="a row is believed whatever MAC it carries",
        file="stores/sealing.py",
        line="if not isinstance(mac, bytes) or not compare_digest(mac, self.mac(table, values)):",
        instead="if not isinstance(mac, bytes):",
        noticed_by=("stores/test_forgery.py",),
    ),
    Sabotage(
        promise="P9",
        what="resources are public whether the tool says so or not",
        file="flows/entries.py",
        line="if action.resource_is_public:",
        instead="if action.resource:",
        noticed_by=("flows/test_edges.py::test_a_resource_that_its_tool_does_not_call_public_is_only_committed_to",),
    ),
    Sabotage(
        promise="P9",
        what="payloads lie in the clear",
        file="stores/sealing.py",
        line="return _SEALED_V1 + nonce + self._payloads.encrypt(nonce, pack(values), _place(table, key))",
        instead="return _SEALED_V1 + nonce + pack(values)",
        noticed_by=("stores/test_forgery.py::test_the_files_of_a_ledger_hold_no_payload",),
    ),
)
