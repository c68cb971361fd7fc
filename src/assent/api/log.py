"""The public side of the log: checkpoint, tiles, entry bundles and proofs, in the formats that public tools read.

Unless the log is public: checkpoint and hashes need any valid credential, records and proofs an operator who may read
the log. An agent may prove what names it, and nothing else: leaves hold rule ids, other agents and people.
Sources: C2SP tlog-tiles, tlog-checkpoint, tlog-proof.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Path
from starlette.responses import Response

from assent.api.dependencies import ApiOf, LogReaderOf, ProofReaderOf
from assent.api.documentation import AGENT, EVERY_KIND, OPERATOR, answers, described
from assent.api.given import Api
from assent.api.replies import Replied, Reply
from assent.core.agents import AgentId
from assent.core.canonical import load
from assent.core.errors import Forbidden, NotFound
from assent.core.operators import Permission
from assent.core.records import Record, RecordId
from assent.core.tiles import ENTRIES, parse_tile_path
from assent.flows.authenticate import AgentCaller, OperatorCaller, require
from assent.ports import View
from assent.wire.shapes import PlainId

router = APIRouter(tags=["log"])

TEXT: Final = "text/plain; charset=utf-8"
BINARY: Final = "application/octet-stream"
_NOT_YET: Final = "the log is not that far yet"


@router.get(
    "/log/checkpoint",
    operation_id="readCheckpoint",
    summary="The newest signed head of the log",
    responses=answers(None, 401, 404, media_type=TEXT),
    openapi_extra=described(*EVERY_KIND),
)
async def checkpoint(api: ApiOf, _: LogReaderOf) -> Response:
    """Return the newest checkpoint as a signed note."""
    return _found(api.log.newest_checkpoint(), TEXT)


@router.get(
    "/log/tile/{path:path}",
    operation_id="readTile",
    summary="A tile of the tree, or a bundle of its records (`entries/…`)",
    responses=answers(None, 401, 403, 404, media_type=BINARY),
    openapi_extra=described(*EVERY_KIND),
)
async def tile(api: ApiOf, reader: LogReaderOf, path: Annotated[str, Path(max_length=255)]) -> Response:
    """Return a tile, `0/x001/234` or `0/x001/234.p/9`; a partial one only with exactly the width it has.

    Bundles hold the records of everybody: they are for operators who may read the log.
    """
    named = parse_tile_path(f"tile/{path}")
    if named is None:
        raise NotFound("no tile has this path")
    if named.level == ENTRIES and reader is not None:
        if not isinstance(reader, OperatorCaller):
            raise Forbidden("records are for operators", hint="hash tiles and the checkpoint are for every credential")
        require(reader, Permission.AUDIT_READ)
    return _found(await api.log.tile(named), BINARY)


@router.get(
    "/v1/records/{record_id}/proof",
    operation_id="proveRecord",
    summary="A record's way to the newest checkpoint",
    responses=answers(None, 401, 403, 404, media_type=TEXT),
    openapi_extra=described(AGENT, OPERATOR),
)
async def proof(api: ApiOf, reader: ProofReaderOf, record_id: Annotated[PlainId, Path()]) -> Response:
    """Return the log proof of a record; a record of the last second may not be below a checkpoint yet.

    An operator needs `audit.read`; to an agent a record that does not name it is not there.
    """
    record = RecordId(record_id)
    if isinstance(reader, OperatorCaller):
        require(reader, Permission.AUDIT_READ)
    elif isinstance(reader, AgentCaller) and not await _names(api, record, reader.agent):
        raise NotFound(_NOT_YET)
    return _found(await api.log.proof(record), TEXT)


async def _names(api: Api, record_id: RecordId, agent: AgentId) -> bool:
    """Return whether there is such a record and its leaf says that it is about `agent`."""

    async def work(view: View) -> Record | None:
        return await view.record(record_id)

    found = await api.broker.ledger.read(work)
    leaf = None if found is None else load(found.leaf)
    return isinstance(leaf, dict) and leaf.get("agent") == agent


def _found(raw: bytes | None, media_type: str) -> Response:
    if raw is None:
        raise NotFound(_NOT_YET)
    return Replied(Reply(200, raw, media_type=media_type.encode()))
