"""How links of accounts are stored; of a code only its MAC."""

from assent.core.account_links import AccountLink
from assent.stores.rows.moments import moment_or_none, stamp_or_none
from assent.stores.rows.table import Split, Stored, Table
from assent.stores.sealing import LedgerKeys


def _split(link: AccountLink, _keys: LedgerKeys) -> Split:
    facts: dict[str, object] = {
        "account": link.account,
        "linked_at": stamp_or_none(link.linked_at),
        "code_mac": link.code_mac.hex(),
        "code_for": link.code_for,
        "code_until": stamp_or_none(link.code_until),
        "tries_left": link.tries_left,
    }
    return (link.id, link.revision), facts, ()


def _join(stored: Stored) -> AccountLink:
    columns, facts = stored.columns, stored.facts
    return AccountLink(
        id=columns["id"],
        revision=columns["revision"],
        account=facts["account"],
        linked_at=moment_or_none(facts["linked_at"]),
        code_mac=bytes.fromhex(facts["code_mac"]),
        code_for=facts["code_for"],
        code_until=moment_or_none(facts["code_until"]),
        tries_left=facts["tries_left"],
    )


ACCOUNT_LINKS: Table[AccountLink] = Table(name="account_link", columns=("id", "revision"), split=_split, join=_join)
