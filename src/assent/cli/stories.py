"""`assent audit show`: the life of an action, told from the log; payload only where it is asked for, and checked.

What is shown of payload is what the record commits to: each value is held against its commitment before it is printed.
"""

import json
from typing import Any, Final, TypeAlias

from assent.cli import margin, output
from assent.cli.client import Client
from assent.cli.margin import shown
from assent.core.canonical import Json, canonical, commitment_of
from assent.core.errors import VerificationFailed
from assent.core.telling import tell

PAGE_RECORDS: Final = 200
RECORD_PREFIX: Final = "rec_"

Answer: TypeAlias = dict[str, Any]


def show(client: Client, key: str, *, payload: bool, reason: str | None, as_json: bool) -> None:
    """Print what `key` names: a record, an action, an approval or its code.

    Raises:
        VerificationFailed: payload is not what its record commits to.

    """
    record = client.get("v1", "records", key).body if key.startswith(RECORD_PREFIX) else None
    action = key if record is None else record["leaf"].get("action")
    story = None if action is None else _story(client, str(action))
    revealed = _revealed(client, key, is_record=record is not None, reason=reason) if payload else None
    if as_json:
        told = {"record": record, "story": story, "payload": revealed}
        print(json.dumps({name: value for name, value in told.items() if value is not None}))
        return
    if record is not None:
        _print_record(record)
    if story is not None:
        _print_story(story, key)
    if revealed is not None:
        _print_payload(revealed)


def _story(client: Client, action: str) -> Answer:
    whole: Answer = client.get("v1", "actions", action, "story", limit=PAGE_RECORDS).body
    while whole["next_cursor"]:
        more = client.get("v1", "actions", action, "story", limit=PAGE_RECORDS, cursor=whole["next_cursor"]).body
        whole = {**whole, "items": whole["items"] + more["items"], "next_cursor": more["next_cursor"]}
    return whole


def _revealed(client: Client, key: str, *, is_record: bool, reason: str | None) -> Answer:
    where = ("v1", "records" if is_record else "actions", key, "reveal")
    whole: Answer = client.post(*where, body={"reason": reason}).body
    while whole["next_cursor"]:
        more = client.post(*where, body={"reason": reason, "cursor": int(whole["next_cursor"])}).body
        whole = {**more, "items": whole["items"] + more["items"]}
    for item in whole["items"]:
        _check(item)
    return whole


def values_of(client: Client, record: str, *, reason: str | None) -> dict[str, Json]:
    """Return what one record commits to, by name; who saw it is recorded.

    Raises:
        VerificationFailed: payload is not what its record commits to.

    """
    (item,) = _revealed(client, record, is_record=True, reason=reason)["items"]
    return {name: kept["value"] for name, kept in item["fields"].items() if kept}


def _check(item: Answer) -> None:
    """Let a record's payload through when it is what its leaf commits to."""
    committed = item["leaf"].get("commit", {})
    for name, kept in item["fields"].items():
        if kept and committed.get(name) != commitment_of(name, bytes.fromhex(kept["salt"]), canonical(kept["value"])):
            raise VerificationFailed(
                f"record {item['index']} does not commit to the `{name}` that was shown",
                index=item["index"],
                hint="run `assent audit verify --keys` on a copy of the ledger",
            )


def _print_record(record: Answer) -> None:
    leaf = record["leaf"]
    facts = [("record", f"{leaf['id']}, at {record['index']}"), ("time", leaf["time"]), ("kind", leaf["kind"])]
    known = {"id", "time", "kind", "v", "commit", "detail"}
    facts += [(name, _plain(value)) for name, value in leaf.items() if name not in known]
    facts += [(name, _plain(value)) for name, value in leaf.get("detail", {}).items()]
    facts.append(("committed", output.words(leaf.get("commit", ()))))
    print(shown(tell(leaf)))
    output.print_facts([(shown(name), shown(value)) for name, value in facts])


def _plain(value: object) -> str:
    if isinstance(value, list):
        return output.words(value)
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _print_story(story: Answer, key: str) -> None:
    state = story.get("state") or "its row is damaged or gone: run `assent audit verify --keys` on a copy"
    print(f"\naction {shown(story['action_id'])}: {shown(state)}")
    if approval := story.get("approval"):
        print(f"approval {shown(approval['code'])}, {shown(approval['state'])}, {shown(approval['id'])}")
    print()
    for line in story["items"]:
        mark = ">" if line["record_id"] == key else "!" if line["about"] == "stop" else " "
        margin.show(f"{mark}{line['index']:>7}  {shown(line['time'][:23])}  ", shown(line["what"]))
        print(f"{'':9}{shown(line['record_id'])}")


def _print_payload(revealed: Answer) -> None:
    for item in revealed["items"]:
        print(f"\nrecord {item['index']}, {shown(item['record_id'])}, as it commits to:")
        for name, kept in item["fields"].items():
            value = json.dumps(kept["value"], ensure_ascii=False, sort_keys=True) if kept else "(not kept any more)"
            margin.show("  ", f"{shown(name)} = {shown(value)}")
    print(f"\nrecord {shown(revealed['record_id'])} says that you were shown this")
