"""Who acts: an account that is live now, of an operator, at a card of ours. Whoever is not is refused, on record."""

from dataclasses import dataclass

from assent.core.deliveries import SLACK
from assent.core.reasons import Reason
from assent.flows.authenticate import OperatorCaller
from assent.flows.broker import Broker
from assent.flows.link_account import caller_at
from assent.flows.refuse_stranger import ToldOf, refuse_stranger, told_of
from assent.slack.accounts import Looked, Standing, look_at, name_of, operator_of
from assent.slack.heard import Carried, Who
from assent.slack.web import SlackWeb

NO_OPERATOR = "no operator of the policy is declared with this Slack account"
TOO_FAST = "you press faster than anybody reads: wait a moment"
# Each press asks Slack about the account and may leave a record: one account cannot use up either.
ACTS_PER_SECOND = 1.0
ACTS_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Acting:
    """An operator before one approval."""

    caller: OperatorCaller
    about: ToldOf


class Door:
    """Lets in who may act at all; whether they may do this is for the flows to say."""

    def __init__(self, broker: Broker, web: SlackWeb, *, team: str) -> None:
        self._broker = broker
        self._web = web
        self._team = team

    def is_too_fast(self, who: Who) -> bool:
        """Whether this account did too much lately; it is asked once for each thing that somebody does."""
        bucket = f"slack:{name_of(who)}"
        return self._broker.signals.take(bucket, per_second=ACTS_PER_SECOND, burst=ACTS_AT_ONCE) > 0

    async def let_in(self, who: Who, carried: Carried, *, act: str, place: str | None) -> Acting | Reason:
        """Return who acts on the approval that is carried, or why nobody can say that it is an operator: on record.

        `place` is the card that was pressed, None where a dialog was sent.

        Raises:
            NotFound: no such approval. LedgerUnavailable: the refusal is not on record.

        """
        about = await told_of(self._broker, carried.approval)
        caller = await self._caller(who, about, place=place)
        if isinstance(caller, OperatorCaller):
            return Acting(caller, about)
        account = name_of(who)
        await refuse_stranger(self._broker, carried.approval, account=account, surface=SLACK, act=act, reason=caller)
        return caller

    async def operator(self, who: Who) -> OperatorCaller | Reason:
        """Return the operator whose account this is, live as Slack says now, or why there is none."""
        return why_not_live(await self.looked_at(who)) or await self.declared(who)

    async def looked_at(self, who: Who) -> Looked:
        """Return what Slack says of this account now."""
        return await look_at(self._web, who, team=self._team)

    async def _caller(self, who: Who, about: ToldOf, *, place: str | None) -> OperatorCaller | Reason:
        if place is not None and not about.is_card(place):
            return Reason.of("not_eligible", "this is no card that this broker knows")
        looked = await self.looked_at(who)
        if looked.standing is Standing.NOT_LIVE or (looked.standing is Standing.UNHEARD and self._is_production(about)):
            return Reason.of("not_eligible", f"this Slack account {looked.why}")
        return await self.declared(who)

    def _is_production(self, about: ToldOf) -> bool:
        return not self._broker.policy().is_nonproduction(about.action.environment)

    async def declared(self, who: Who) -> OperatorCaller | Reason:
        """Return the operator who is declared with this account, or why there is none; nobody asks Slack about it."""
        operator = operator_of(self._broker.policy(), who)
        if operator is None:
            return Reason.of("not_eligible", NO_OPERATOR)
        return await caller_at(self._broker, operator, name_of(who))


def why_not_live(looked: Looked) -> Reason | None:
    """Return why an account may do nothing, whoever it is, by what Slack says of it; None where it is live."""
    if looked.standing is Standing.LIVE:
        return None
    return Reason.of("not_eligible", f"this Slack account {looked.why}")
