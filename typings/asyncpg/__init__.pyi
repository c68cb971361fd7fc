# What is used here of asyncpg, which tells no types itself.
from typing import Any

class PostgresError(Exception):
    sqlstate: str | None

class InsufficientPrivilegeError(PostgresError): ...
class InterfaceError(Exception): ...
class InternalClientError(Exception): ...

async def connect(
    dsn: str | None = None,
    *,
    password: str | None = None,
    timeout: float = 60,
    statement_cache_size: int = 100,
    max_cached_statement_lifetime: int = 300,
    server_settings: dict[str, str] | None = None,
) -> Any: ...
