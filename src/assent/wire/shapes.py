"""What all shapes share: strictness, limits with their units, and the texts that a request may carry.

A request is strict: no coercion, no unknown field (a typing error in a security request must not pass silently), every
text and list bounded. The JSON itself was read by `core.canonical.parse` before.
"""

import re
from datetime import datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from assent.core.canonical import MAX_INTEGER
from assent.core.characters import hidden_characters

MAX_ID_CHARACTERS: Final = 255
MAX_TEXT_CHARACTERS: Final = 4_000
MAX_ERROR_CHARACTERS: Final = 1_000
MAX_TRACE_CHARACTERS: Final = 512
MAX_TOKEN_CHARACTERS: Final = 8_192
MAX_PRINCIPALS: Final = 16
MAX_IN_FLIGHT: Final = 100
MAX_PAGE_ITEMS: Final = 200
MIN_ATTEMPT_CHARACTERS: Final = 22  # 128 bits in base64url
MAX_ATTEMPT_CHARACTERS: Final = 128
MAX_WAIT_SECONDS: Final = 55
MAX_TTL_SECONDS: Final = 31_536_000
MIN_YEAR: Final = 1970
MAX_YEAR: Final = 9998

_RFC_3339: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T")
ID_PATTERN: Final = r"^[\x21-\x7e]{1,255}$"


def _printable(text: str) -> str:
    if hidden_characters(text):
        raise ValueError("must hold no invisible characters")
    return text


# A name that somebody chose: whatever script, but nothing in it that a reader cannot see.
Id = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_CHARACTERS), AfterValidator(_printable)]
# A name that the broker made, or one that stands in a path.
PlainId = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT_CHARACTERS)]
Attempt = Annotated[
    str, StringConstraints(pattern=rf"^[A-Za-z0-9_-]{{{MIN_ATTEMPT_CHARACTERS},{MAX_ATTEMPT_CHARACTERS}}}$")
]
HexDigest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
PageLimit = Annotated[int, Field(ge=1, le=MAX_PAGE_ITEMS)]
# Longer waits than the broker grants are shortened, not refused.
WaitSeconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


def _in_calendar(moment: datetime) -> datetime:
    # The first and the last years have moments that no other zone can tell.
    if not MIN_YEAR <= moment.year <= MAX_YEAR:
        raise ValueError(f"must lie in the years {MIN_YEAR} to {MAX_YEAR}")
    return moment


def _written(value: object) -> object:
    if not isinstance(value, str) or not _RFC_3339.match(value):
        raise ValueError("must be a time such as 2027-03-31T12:00:00Z")
    return value


Moment = Annotated[AwareDatetime, AfterValidator(_in_calendar)]
# The same in a body, where nothing else becomes a time: no number, and no number in quotes.
WrittenMoment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_written), AfterValidator(_in_calendar)]


class Body(BaseModel):
    """The root of everything that is sent as JSON."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Query(BaseModel):
    """The root of everything that is sent in a query; texts become numbers here, unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
