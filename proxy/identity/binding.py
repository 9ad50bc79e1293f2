"""Sender-constrained tokens: bound to a key (DPoP, RFC 9449) or to a client certificate (mTLS, RFC 8705). Pure.

Laws: what a token is bound to must be proven on every request; a bound token is no bearer token, and a proof beside a token
that is bound to nothing proves nothing (RFC 9449 section 7.1). A binding that is not understood is none that can be proven.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from proxy.identity.jws import bad_token

JKT, X5T = "jkt", "x5t#S256"


@dataclass(frozen=True, slots=True)
class Binding:
    """What a token is bound to, as base64url SHA-256: `jkt` of a public key (RFC 7638), `x5t` of a certificate; or ``."""

    jkt: str = ""
    x5t: str = ""


class Request(NamedTuple):
    """What of a request a proof speaks of. `url` is the public URL; `certificate` the SHA-256 of the client's, base64url."""

    method: str = ""
    url: str = ""
    certificate: str = ""


NO_REQUEST = Request()


def binding_of(payload: Mapping[str, object]) -> Binding | None:
    """What the claim `cnf` (RFC 7800) binds a token to, None without one; CallerError BAD_TOKEN if it is not understood."""
    if "cnf" not in payload:
        return None
    told = payload["cnf"]
    if not isinstance(told, dict) or not told or told.keys() - {JKT, X5T}:
        raise bad_token("claim `cnf` binds the token to what cannot be proven here")
    if not all(isinstance(one, str) and one for one in told.values()):
        raise bad_token("claim `cnf` must hold thumbprints")
    return Binding(told.get(JKT, ""), told.get(X5T, ""))


def require_certificate(binding: Binding, request: Request) -> None:
    """Require the client certificate that a token is bound to; CallerError BAD_TOKEN."""
    if binding.x5t and not is_same(binding.x5t, request.certificate):
        raise bad_token("token is bound to another client certificate")


def is_same(one: str, other: str) -> bool:
    """Compare two thumbprints, of which a client may have written one in any letters."""
    return hmac.compare_digest(one.encode(), other.encode())


_PORTS = {"http": 80, "https": 443}


def normal_url(url: str) -> str:
    """A URL without query and fragment, scheme and host in lower case, without the scheme's own port; empty if it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        return ""
    host = parts.hostname if port in (None, _PORTS[scheme]) else f"{parts.hostname}:{port}"
    return f"{scheme}://{host}{parts.path or '/'}"
