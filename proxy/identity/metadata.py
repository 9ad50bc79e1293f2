"""Metadata of an authorization server: where its keys are (RFC 8414; OpenID Connect Discovery 1.0). Pure.

Law: only metadata of the very issuer that the operator named says where its keys are (RFC 8414 section 3.3), and a document
that came over TLS sends nobody to keys without it.
"""

import re

import msgspec

_URL = re.compile(r"(https?)://[^\s/?#@]+(?:/[^\s#]*)?")


class _Metadata(msgspec.Struct, frozen=True):
    """The members that are read."""

    issuer: str
    jwks_uri: str


def jwks_uri_of(document: bytes, issuer: str, address: str) -> str:
    """The address of the issuer's keys, as its metadata at `address` says; OSError, quoting nothing, where it does not."""
    try:
        stated = msgspec.json.decode(document, type=_Metadata)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise OSError("the metadata is no JSON object with `issuer` and `jwks_uri`") from None
    if stated.issuer != issuer:
        raise OSError("the metadata is of another issuer")
    matched = _URL.fullmatch(stated.jwks_uri)
    if matched is None or (address.startswith("https:") and matched[1] != "https"):
        raise OSError("the metadata's `jwks_uri` is no address that may be asked")
    return stated.jwks_uri
