"""Single sign-on, where it is wanted: this broker as its issuer knows it, from the settings."""

from typing import TYPE_CHECKING, Final

from assent.config import Settings

if TYPE_CHECKING:
    from assent.console.issuer import Registered

BACK: Final = "/console/sign-in/oidc/back"


def issuer_of(settings: Settings, url: str) -> "Registered | None":
    """Return this broker as its issuer knows it, people coming back to `url`; None where no issuer is set.

    Raises:
        ConfigInvalid: the secret cannot be read safely.

    """
    secret = settings.secret("oidc_client_secret")
    if settings.oidc_issuer is None or settings.oidc_client_id is None or secret is None:
        return None
    from assent.console.issuer import Registered  # noqa: PLC0415  # a broker without single sign-on does not load it

    return Registered(
        issuer=settings.oidc_issuer, client_id=settings.oidc_client_id, client_secret=secret, address=f"{url}{BACK}"
    )
