"""The broker as flows see it: the ports and the few callables that a flow works with, put together by wiring."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from assent.core.canonical import Json
from assent.core.decisions import Limits
from assent.core.notes import Verifier
from assent.core.operators import OIDC
from assent.core.privileges import Activation
from assent.flows.following import Following
from assent.flows.held import Held
from assent.flows.looks import Looks
from assent.flows.on_duty import OnDuty
from assent.flows.recognised import Recognised
from assent.flows.signs import Signs
from assent.flows.unrecorded import Unrecorded
from assent.ports import Ledger, NewId, Passkeys, Policies, Policy, Signals


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Everything that a flow needs from outside.

    `policy` returns the version that is loaded now: take it once per flow. `sign_grant` turns claims into a signed
    token, `open_grant` gives the claims of a token that this broker signed, or None. `lease` is how long a redeemed
    grant may take to report, `pick_up_within` how long a grant that no human was asked about may wait. `policies`
    takes up other versions, as `activation` says; without it the one version serves. `following` knows of the version
    that is active in the ledger; where the ledger `is_shared`, the files of what serves are kept in it for the others.
    `release_keys` may vouch for what widens, on the log called `log_name`. `legal_hold` names what has to be kept, so
    that nothing is erased; empty for nothing. `at_console` are the operators who can sign in at the console with more
    than a token, whoever is declared to the issuer of single sign-on among them where `signs_on`. `passkeys` checks
    what their authenticators sign; None where nothing does.
    """

    ledger: Ledger
    policy: Callable[[], Policy]
    signals: Signals
    new_id: NewId
    new_code: Callable[[], str]
    new_secret: Callable[[], str]
    new_nonce: Callable[[], bytes]
    sign_grant: Callable[[Mapping[str, Json]], str]
    open_grant: Callable[[str], Mapping[str, Json] | None]
    issuer: str
    limits: Limits = field(default_factory=Limits)
    lease: timedelta = timedelta(minutes=5)
    pick_up_within: timedelta = timedelta(minutes=5)
    recognised: Recognised = field(default_factory=Recognised)
    policies: Policies | None = None
    activation: Activation = Activation.AUTO
    following: Following = field(default_factory=Following)
    is_shared: bool = False
    release_keys: tuple[Verifier, ...] = ()
    log_name: str = ""
    held: Held = field(default_factory=Held)
    looks: Looks = field(default_factory=Looks)
    signs: Signs = field(default_factory=Signs)
    unrecorded: Unrecorded = field(default_factory=Unrecorded)
    on_duty: OnDuty = field(default_factory=OnDuty)
    legal_hold: str = ""
    at_console: frozenset[str] = frozenset()
    signs_on: bool = False
    passkeys: Passkeys | None = None

    def who_can_be_at_console(self) -> frozenset[str]:
        """Return the operators of the loaded policy who can sign in at the console with more than a token."""
        if not self.signs_on:
            return self.at_console
        return self.at_console | {one.id for one in self.policy().operators() if OIDC in one.identities}
