"""Who does something on the files themselves: the account and the machine, for the record."""

import getpass
import os
import socket

from assent.core.canonical import Json


def by_hand() -> dict[str, Json]:
    """Return the account of the system and the name of the machine, as they stand in the record."""
    try:
        account = getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        account = str(os.geteuid())
    return {"os_user": account, "host": socket.gethostname()}
