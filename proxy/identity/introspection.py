"""Token introspection (RFC 7662): what an authorization server says of a token that we cannot read ourselves. Pure.

Laws: an answer counts only as that of the issuer that was asked; it is judged by the same rules as the payload of a JWT; an
answer without `exp` is believed once, and none longer than it says or than the operator allows (standards INT-2, INT-3).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from proxy.errors import CallerError, OwnError
from proxy.identity.binding import binding_of
from proxy.identity.claims import Claims, claims_of
from proxy.identity.issuer import Issuer
from proxy.identity.jws import (
    bad_token,
    refuse_claims,
    require_audience,
    require_claims,
    require_time,
    strict_object,
)

_TOKEN_TYPES = frozenset({"bearer", "dpop"})


@dataclass(frozen=True, slots=True)
class Introspected:
    """Claims that an introspection answered, and until when they may be believed, in seconds since the epoch."""

    claims: Claims
    until: float


def introspected(
    body: bytes, token: str, issuer: Issuer, now: float, *, cache_s: float, needs_audience: bool
) -> Introspected:
    """Read an answer; CallerError BAD_TOKEN for a token that is not active or not for us, OwnError for no answer at all."""
    try:
        answer = strict_object(body)
    except CallerError:
        raise OwnError("the introspection endpoint answered no JSON object") from None
    if answer.get("active") is not True:
        raise bad_token("token is not active")
    payload = _payload(answer, issuer, now)
    _refuse_other_kinds(payload)
    if needs_audience or "aud" in payload:
        require_audience(payload, issuer)
    claims = claims_of(payload, hashlib.sha256(token.encode()).hexdigest())
    require_time(payload, claims.expires_at, issuer, now)
    require_claims(payload, issuer)
    return Introspected(claims, min(claims.expires_at, now + cache_s) if "exp" in answer else now)


def _payload(answer: Mapping[str, object], issuer: Issuer, now: float) -> dict[str, object]:
    """The answer as claims: it is that of the issuer we asked; a token of a client alone has the client as its subject."""
    if answer.get("iss", issuer.issuer) != issuer.issuer:
        raise bad_token("token is of another issuer than the one that was asked")
    subject = answer.get("sub", answer.get("client_id"))
    stated = {name: value for name, value in answer.items() if name != "active"}
    implied: dict[str, object] = {"iss": issuer.issuer, "exp": now}
    return {**implied, **stated, **({} if subject is None else {"sub": subject})}


def _refuse_other_kinds(payload: Mapping[str, object]) -> None:
    """Refuse what an authorization server calls active and is no access token: refresh and id tokens."""
    refuse_claims(payload)
    kind = payload.get("token_type", "bearer")
    if not isinstance(kind, str) or kind.lower() not in _TOKEN_TYPES:
        raise bad_token("token is not of type Bearer or DPoP")
    binding = binding_of(payload)
    if kind.lower() == "dpop" and not (binding and binding.jkt):
        raise bad_token("token is of type DPoP and bound to no key")
    if "scope" not in payload:
        raise bad_token("claim `scope` is required")
