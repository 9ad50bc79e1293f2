"""Sealed texts: what a client carries for us and can neither read nor change (AES-256-GCM, RFC 5116). Pure.

`purpose` is authenticated with it: what was sealed for one thing opens for no other.
"""

import base64
import binascii

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


def sealed(plain: bytes, key: bytes, nonce: bytes, purpose: bytes) -> str:
    """Bytes as URL-safe text. The nonce must be new for every call."""
    return _text_of(nonce + AESGCM(key).encrypt(nonce, plain, purpose))


def opened(text: str, key: bytes, purpose: bytes) -> bytes | None:
    """The bytes again; `None` where the text was not sealed with this key for this purpose, or is spelled otherwise."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        plain = AESGCM(key).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], purpose)
    except (binascii.Error, ValueError, InvalidTag):
        return None
    return plain if _text_of(data) == text else None


def _text_of(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
