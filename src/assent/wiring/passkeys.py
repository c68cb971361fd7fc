"""Passkeys, checked by the library for it (`webauthn`, the extra `passkeys`); loaded when the first answer comes.

The site and the origin come from where the console is reached by its settings, never from a request. Browsers bind
passkeys to a name: an address of numbers, `127.0.0.1` too, has none, and plain HTTP is for this machine alone.
Source: Web Authentication Level 3, §5.1.2, §7.1 and §7.2; W3C Secure Contexts, §3.1.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from assent.core.passkey_forms import ALGORITHMS, Assertion, Attestation, Attested, Unproven
from assent.core.passkeys import encoded
from assent.logs import EventLog

log = EventLog("assent.wiring")

PACKAGE: Final = "webauthn"
EXTRA: Final = "assent[passkeys]"
LOCALHOST: Final = "localhost"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class CheckedHere:
    """The port's `Passkeys` by `webauthn`, for one site and one origin."""

    site: str
    origin: str

    def load(self) -> None:
        """Load the library, which takes a fifth of a second: best before the first answer, beside the event loop."""
        import webauthn  # noqa: PLC0415  # optional, and nothing that decides waits for it

        _ = webauthn

    def attested(self, shown: Attestation, challenge: bytes) -> Attested | Unproven:
        """Return what was proven about a new credential. Source: §7.1."""
        from webauthn import verify_registration_response  # noqa: PLC0415  # optional
        from webauthn.helpers.cose import COSEAlgorithmIdentifier  # noqa: PLC0415  # optional
        from webauthn.helpers.structs import (  # noqa: PLC0415  # optional
            AuthenticatorAttestationResponse,
            CredentialDeviceType,
            RegistrationCredential,
        )

        response = AuthenticatorAttestationResponse(
            client_data_json=shown.client_data, attestation_object=shown.attestation_object
        )
        told = RegistrationCredential(id=encoded(shown.credential), raw_id=shown.credential, response=response)
        try:
            proven = verify_registration_response(
                credential=told,
                expected_challenge=challenge,
                expected_rp_id=self.site,
                expected_origin=self.origin,
                require_user_verification=True,
                supported_pub_key_algs=[COSEAlgorithmIdentifier(one) for one in ALGORITHMS],
            )
        except Exception as fault:  # noqa: BLE001  # bytes of a stranger: whatever they break, they prove nothing
            return _unproven(fault)
        if proven.credential_id != shown.credential:
            return Unproven("the credential is called otherwise than the browser said")
        return Attested(
            public_key=proven.credential_public_key,
            sign_count=proven.sign_count,
            synced=proven.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
        )

    def asserted(self, shown: Assertion, challenge: bytes, public_key: bytes) -> int | Unproven:
        """Return the authenticator's count when it signed this challenge. Source: §7.2."""
        from webauthn import verify_authentication_response  # noqa: PLC0415  # optional
        from webauthn.helpers.structs import (  # noqa: PLC0415  # optional
            AuthenticationCredential,
            AuthenticatorAssertionResponse,
        )

        response = AuthenticatorAssertionResponse(
            client_data_json=shown.client_data,
            authenticator_data=shown.authenticator_data,
            signature=shown.signature,
        )
        told = AuthenticationCredential(id=encoded(shown.credential), raw_id=shown.credential, response=response)
        try:
            proven = verify_authentication_response(
                credential=told,
                expected_challenge=challenge,
                expected_rp_id=self.site,
                expected_origin=self.origin,
                credential_public_key=public_key,
                # How the count goes on is looked at in the transaction that stores it: two may come at once.
                credential_current_sign_count=0,
                require_user_verification=True,
            )
        except Exception as fault:  # noqa: BLE001  # bytes of a stranger: whatever they break, they prove nothing
            return _unproven(fault)
        return proven.new_sign_count


def _unproven(fault: Exception) -> Unproven:
    from webauthn.helpers.exceptions import WebAuthnException  # noqa: PLC0415  # optional

    if isinstance(fault, WebAuthnException):
        return Unproven(str(fault))
    log.warning("passkey_answer_broke", kind=type(fault).__name__)
    return Unproven("it could not be read")


def why_no_site(console_url: str) -> str | None:
    """Return why browsers use no passkeys on pages below this URL, or None."""
    parts = urlsplit(console_url)
    host = parts.hostname or ""
    try:
        ip_address(host)
    except ValueError:
        is_local = host == LOCALHOST or host.endswith(f".{LOCALHOST}")
        return None if parts.scheme == "https" or is_local else "browsers take passkeys over HTTPS alone"
    return f"browsers bind passkeys to a name, and `{host}` is none"


def is_installed() -> bool:
    """Whether the library for passkeys is there, without loading it."""
    return find_spec(PACKAGE) is not None


def passkeys_at(console_url: str) -> CheckedHere | None:
    """Return what checks passkeys of a console below this URL, or None where there can be none."""
    if not is_installed() or why_no_site(console_url) is not None:
        return None
    parts = urlsplit(console_url)
    host, scheme = parts.hostname or "", parts.scheme
    port = "" if parts.port in {None, _DEFAULT_PORTS.get(scheme)} else f":{parts.port}"
    return CheckedHere(site=host, origin=f"{scheme}://{host}{port}")
