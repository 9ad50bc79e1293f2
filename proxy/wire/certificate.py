"""The client's certificate: from our own TLS, or from a TLS terminator that the operator trusts (RFC 8705, RFC 9440)."""

import base64
import binascii
import hashlib
import re
import ssl
from collections.abc import Collection, Mapping

from aiohttp import web

_BYTE_SEQUENCE = re.compile(r":([A-Za-z0-9+/]+={0,2}):")
_LONGEST = 16_384


def certificate_of(
    request: web.BaseRequest,
    headers: Mapping[str, str],
    repeated: frozenset[str],
    trusted_peers: Collection[str],
) -> str:
    """The `x5t#S256` of the client's certificate, base64url; empty where none is proven.

    `Client-Cert` counts only from a trusted peer: anybody else could write anything into it.
    """
    if request.remote in trusted_peers:
        return _in_header(headers, repeated)
    transport = request.transport
    spoken = transport.get_extra_info("ssl_object") if transport is not None else None
    if not isinstance(spoken, ssl.SSLObject | ssl.SSLSocket):
        return ""
    der = spoken.getpeercert(binary_form=True)
    return thumbprint(der) if der else ""


def _in_header(headers: Mapping[str, str], repeated: frozenset[str]) -> str:
    written = headers.get("client-cert", "")
    matched = _BYTE_SEQUENCE.fullmatch(written) if len(written) <= _LONGEST else None
    if matched is None or "client-cert" in repeated:
        return ""
    try:
        return thumbprint(base64.b64decode(matched[1], validate=True))
    except binascii.Error:
        return ""


def thumbprint(der: bytes) -> str:
    """SHA-256 of a certificate in DER, base64url without padding (RFC 8705 section 3.1)."""
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
