"""Keys of a log that tests sign with."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assent.stores.keys import Keys

ORIGIN = "assent/example"
LOG = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
KEYS = Keys(log=LOG, grant=LOG, ledger=b"l" * 32, payload=b"p" * 32)
KEY = KEYS.log_verifier_key(ORIGIN)
