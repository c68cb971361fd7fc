"""The HTTP API: routes, problem documents, credentials. `create_app` builds it around a broker, and knows only that."""

from assent.api.app import create_app
from assent.api.given import ApiSettings, LogReader, Readiness

__all__ = ["ApiSettings", "LogReader", "Readiness", "create_app"]
