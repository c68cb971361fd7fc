"""What `assent doctor` looks at, one finding for each thing; a check that breaks down breaks no other one.

for finding in examine(config): …      in the order in which things depend on each other
"""

from collections.abc import Iterator
from pathlib import Path

from assent.cli.checks.findings import Finding, State, looked_at


def examine(config: Path | None) -> Iterator[Finding]:
    """Yield what is found of the broker of `config`, or of the one here; each as soon as it is known."""
    from assent.cli.checks import database, files, ledger, machine, passkeys, people, policy, reaching, redis, serving

    yield from looked_at("python", machine.python)
    yield from looked_at("packages", machine.packages)
    found = list(looked_at("settings", lambda: files.settings(config)))
    yield from found
    settings = files.settings_or_none(config)
    if settings is None:
        yield Finding("the rest", State.UNKNOWN, "keys, policies, ledger and port stand in the settings")
        return
    yield from looked_at("keys", lambda: files.keys(settings))
    yield from looked_at("tls key", lambda: files.tls_key(settings))
    yield from looked_at("policies", lambda: files.policies(settings))
    if settings.ledger_url is None:
        yield from looked_at("disk", lambda: ledger.disk(settings))
        yield from looked_at("ledger", lambda: ledger.ledger(settings))
        yield from looked_at("log", lambda: ledger.log(settings, kept=ledger.kept_size(settings)))
        yield from looked_at("clock", lambda: ledger.clock(settings))
        yield from looked_at("active policy", lambda: policy.active(settings))
    else:
        yield from looked_at("ledger", lambda: database.ledger(settings))
    yield from looked_at("redis", lambda: redis.redis(settings))
    yield from looked_at("checkpoint elsewhere", lambda: ledger.elsewhere(settings))
    yield from looked_at("broker", lambda: serving.broker(settings))
    yield from looked_at("operators", lambda: people.operators(settings))
    yield from looked_at("agents", lambda: people.agents(settings))
    yield from looked_at("routes", lambda: people.routes(settings))
    yield from looked_at("passkeys", lambda: passkeys.passkeys(settings))
    yield from looked_at("reaching people", lambda: reaching.routes(settings))
    yield from looked_at("webhook", lambda: reaching.webhooks(settings))
    yield from looked_at("e-mail", lambda: reaching.mail(settings))
    yield from looked_at("single sign-on", lambda: reaching.issuer(settings))


__all__ = ["Finding", "State", "examine"]
