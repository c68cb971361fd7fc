"""Making the tables of a ledger as their owner: with the owner's own password, which no broker ever needs."""

from importlib.util import find_spec
from pathlib import Path

from assent.cli.output import Usage
from assent.config import refuse_unsafe_database, secret_in
from assent.core.errors import ConfigInvalid


def prepare(owner_url: str, password_file: Path | None, role: str) -> int:
    """Return the version that the tables have now.

    Raises:
        Usage: the URL is none, or not one to be followed.
        ConfigInvalid: what it takes is not installed, or the file with the password is not private.
        LedgerUnavailable: the database cannot be reached, or the role is not its owner.

    """
    try:
        refuse_unsafe_database(owner_url)
    except ValueError as fault:
        raise Usage(f"--owner-url: {fault}", hint="the password goes into --owner-password-file") from None
    if find_spec("asyncpg") is None:
        raise ConfigInvalid("PostgreSQL needs more than is installed", hint="run `pip install 'assent[postgres]'`")
    from assent.stores.postgres import Place, roles

    password = None if password_file is None else secret_in(password_file, "--owner-password-file")
    return roles.prepare(Place(url=owner_url, password=password), role)
