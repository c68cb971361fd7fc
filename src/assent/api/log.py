"""The public side of the log: checkpoint, tiles, entry bundles and proofs, in the formats that public tools read.

Needs any valid credential unless the log is public. Sources: C2SP tlog-tiles, tlog-checkpoint, tlog-proof.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Path
from starlette.responses import Response

from assent.api.dependencies import ApiOf, LogReaderAllowed
from assent.api.documentation import EVERY_KIND, answers, described
from assent.api.replies import Replied, Reply
from assent.core.errors import NotFound
from assent.core.records import RecordId
from assent.core.tiles import parse_tile_path
from assent.wire.shapes import PlainId

router = APIRouter(tags=["log"], dependencies=[LogReaderAllowed])

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
async def checkpoint(api: ApiOf) -> Response:
    """Return the newest checkpoint as a signed note."""
    return _found(api.log.newest_checkpoint(), TEXT)


@router.get(
    "/log/tile/{path:path}",
    operation_id="readTile",
    summary="A tile of the tree, or a bundle of its records (`entries/…`)",
    responses=answers(None, 401, 404, media_type=BINARY),
    openapi_extra=described(*EVERY_KIND),
)
async def tile(api: ApiOf, path: Annotated[str, Path(max_length=255)]) -> Response:
    """Return a tile, `0/x001/234` or `0/x001/234.p/9`; a partial one only with exactly the width it has."""
    named = parse_tile_path(f"tile/{path}")
    if named is None:
        raise NotFound("no tile has this path")
    return _found(await api.log.tile(named), BINARY)


@router.get(
    "/v1/records/{record_id}/proof",
    operation_id="proveRecord",
    summary="A record's way to the newest checkpoint",
    responses=answers(None, 401, 404, media_type=TEXT),
    openapi_extra=described(*EVERY_KIND),
)
async def proof(api: ApiOf, record_id: Annotated[PlainId, Path()]) -> Response:
    """Return the log proof of a record; a record of the last second may not be below a checkpoint yet."""
    return _found(await api.log.proof(RecordId(record_id)), TEXT)


def _found(raw: bytes | None, media_type: str) -> Response:
    if raw is None:
        raise NotFound(_NOT_YET)
    return Replied(Reply(200, raw, media_type=media_type.encode()))
