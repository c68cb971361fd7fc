"""What operators send and hear about the policy: its version, what waits, explanations and documents.

The command line shows a directory on its own machine in the same shapes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from assent.core.explanations import Explanation, RouteAsked, RuleSaid
from assent.core.privileges import Change
from assent.core.publications import MAX_NAME_CHARACTERS, MAX_URL_CHARACTERS, Publication
from assent.core.records import rfc3339
from assent.wire.shapes import MAX_PRINCIPALS, Body, Id, Query


class ExplainBody(Body):
    """A question to explain: who would ask for what, with which arguments, in whose name."""

    agent: Id
    tool: Id
    arguments: dict[str, Any]
    on_behalf_of: Annotated[list[Id], Field(max_length=MAX_PRINCIPALS)] | None = None


class ActivateBody(Body):
    """The digest of the version that waits, at least its first 8 hex digits."""

    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{8,64}$")]


class PublishBody(Body):
    """A version to publish: its files by their path, each in base64, and how the change was reviewed and tested.

    `release` is the note that vouches for it, in base64. `commit` is whole. `tests` is the text that
    `assent policy test --json` printed of these files.
    """

    files: Annotated[dict[Id, str], Field(min_length=1, max_length=1_000)]
    release: str | None = None
    commit: Annotated[str, StringConstraints(max_length=64)]
    change_url: Annotated[str, StringConstraints(max_length=MAX_URL_CHARACTERS)]
    author: Annotated[str, StringConstraints(max_length=MAX_NAME_CHARACTERS)]
    reviewer: Annotated[str, StringConstraints(max_length=MAX_NAME_CHARACTERS)]
    tests: str


class DocumentQuery(Query):
    """Which document: for people or for Casbin; whole, or of one agent or role."""

    format: Literal["markdown", "casbin"] = "markdown"
    agent: Id | None = None
    role: Id | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeView:
    """One difference between two versions: `widens`, `narrows` or `rewords`, about what, and what became of it."""

    direction: str
    about: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewView:
    """How a version was published: by whom, and who wrote and reviewed the change; `tests_digest` is a SHA-256, hex."""

    published_by: str
    published_at: str
    commit: str
    change_url: str
    author: str
    reviewer: str
    tests_digest: str
    cases: int
    rules: int
    unreached: int
    record_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingView:
    """A version that does not serve until somebody confirms it, and what it changes.

    `unvouched` says why the release that lies beside it does not count, where one does. `review` is how it was
    published, left out where it lies in this broker's own directory.
    """

    version: str
    changes: tuple[ChangeView, ...]
    unvouched: str | None = None
    review: ReviewView | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyView:
    """The version that is loaded here. `files_version` is what the directory holds now, left out when it is unreadable.

    `active_version` is the one by which every broker of this ledger decides, left out where the ledger does not say;
    where it is another one, nothing but reads is decided here, and `behind` says why. `source` is `ledger` where the
    active version was published, else `directory`; `review` is how it was published.
    """

    version: str
    activation: str
    files_version: str | None
    files_differ: bool
    waiting: WaitingView | None
    active_version: str | None = None
    source: Literal["ledger", "directory"] = "directory"
    behind: str | None = None
    review: ReviewView | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivatedAnswer:
    """What became of a confirmation: `ended` says how many actions that waited were called back."""

    version: str
    uptake: str
    changes: tuple[ChangeView, ...]
    ended: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyReloaded:
    """What became of the policy directory: `version` is what it holds, `serving` what decides now.

    `uptake` is `unchanged`, `activated`, or `waiting` until an operator confirms what it widens. `widens` are the first
    100 changes that widen, in words; `ended` counts actions that waited and would not be granted like this any more.
    `vouched_by` are the release keys that let it serve; `unvouched` says why the release beside it does not count.
    """

    version: str
    serving: str
    uptake: Literal["unchanged", "activated", "waiting"]
    widens: tuple[str, ...]
    changes: int
    ended: int
    vouched_by: tuple[str, ...] = ()
    unvouched: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPublished:
    """What became of a version that was published: as for a directory, and how it was published."""

    version: str
    serving: str
    uptake: Literal["unchanged", "activated", "waiting"]
    widens: tuple[str, ...]
    changes: int
    ended: int
    review: ReviewView | None
    vouched_by: tuple[str, ...] = ()
    unvouched: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonView:
    """Why a decision came out as it did."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleView:
    """One rule in words, where it stands, and the conditions that failed; of another principal where one is named."""

    id: str
    role: str
    effect: str
    at: str
    says: str
    failed: tuple[str, ...]
    of_agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteView:
    """One route that a question would go to, and who may answer it."""

    name: str
    needs: str
    assurance: str
    expires_after_seconds: int
    who: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplanationView:
    """What policy makes of one question and why; `files_differ` says that the files are not what answers."""

    agent: str
    tool: str
    decision: str
    reasons: tuple[ReasonView, ...]
    hints: tuple[str, ...]
    environment: str
    resource: str
    impact: str
    matched: tuple[RuleView, ...]
    nearly: tuple[RuleView, ...]
    asked: tuple[RouteView, ...]
    how_bad: str
    undo: str
    command: tuple[str, ...]
    standing: tuple[str, ...]
    floored: bool
    policy_version: str
    files_version: str | None
    files_differ: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentView:
    """A document of the version that serves."""

    policy_version: str
    format: str
    text: str


def changes_view(changes: Iterable[Change]) -> tuple[ChangeView, ...]:
    """Return a diff of privileges."""
    return tuple(
        ChangeView(direction=change.direction.value, about=change.about, what=change.what) for change in changes
    )


def review_view(publication: Publication | None) -> ReviewView | None:
    """Return how a version was published, None where it was not."""
    if publication is None:
        return None
    review, tests = publication.review, publication.review.tests
    return ReviewView(
        published_by=publication.by,
        published_at=rfc3339(publication.at),
        commit=review.commit,
        change_url=review.change_url,
        author=review.author,
        reviewer=review.reviewer,
        tests_digest=tests.digest,
        cases=tests.cases,
        rules=tests.rules,
        unreached=tests.unreached,
        record_id=publication.record,
    )


def explanation_view(said: Explanation, files_version: str | None) -> ExplanationView:
    """Return an explanation, beside what the files are now."""
    return ExplanationView(
        agent=said.agent,
        tool=said.tool,
        decision=said.decision.value,
        reasons=tuple(ReasonView(code=reason.code, message=reason.message) for reason in said.reasons),
        hints=said.hints,
        environment=said.environment,
        resource=said.resource,
        impact=said.impact,
        matched=tuple(map(_rule, said.matched)),
        nearly=tuple(map(_rule, said.nearly)),
        asked=tuple(map(_route, said.asked)),
        how_bad=said.how_bad,
        undo=said.undo,
        command=said.command,
        standing=said.standing,
        floored=said.floored,
        policy_version=said.policy_version,
        files_version=files_version,
        files_differ=files_version != said.policy_version,
    )


def _rule(rule: RuleSaid) -> RuleView:
    return RuleView(
        id=rule.id,
        role=rule.role,
        effect=rule.effect,
        at=rule.at,
        says=rule.says,
        failed=rule.failed,
        of_agent=rule.of_agent,
    )


def _route(route: RouteAsked) -> RouteView:
    return RouteView(
        name=route.name,
        needs=route.needs,
        assurance=route.assurance,
        expires_after_seconds=int(route.expires_after.total_seconds()),
        who=route.who,
    )
