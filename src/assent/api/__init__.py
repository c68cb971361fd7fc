"""The HTTP API: routes, problem documents, credentials. `create_app` builds it around a broker, and knows only that."""

from assent.api.app import InFront, create_app
from assent.api.given import ApiSettings, LogReader, Readiness

__all__ = ["ApiSettings", "InFront", "LogReader", "Readiness", "create_app"]
