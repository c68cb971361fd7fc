"""Spans, where a collector is named for them; a broker without one loads nothing of it."""

from typing import TYPE_CHECKING

from assent.config import Settings

if TYPE_CHECKING:
    from assent.exports.otlp import OtlpSpans


def spans_to(settings: Settings, version: str) -> "OtlpSpans | None":
    """Return the way of spans to the collector, not started yet, or None where settings name none.

    Raises:
        ConfigInvalid: what it takes is not installed.

    """
    if settings.otel_endpoint is None:
        return None
    from assent.exports.otlp import OtlpSpans  # noqa: PLC0415  # nobody else pays for loading it

    return OtlpSpans(settings.otel_endpoint, version=version)
