"""The process that serves: it listens, keeps the ledger's timers and the log's tree going, and ends cleanly."""

from assent.serving.process import SignIn, serve

__all__ = ["SignIn", "serve"]
