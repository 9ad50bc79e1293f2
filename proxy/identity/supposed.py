"""A supposed caller: the Principal that claims without a signature would name, for explanations only.

Nobody is let in by this: what is learnt goes to a reviewer who is known. Whether a token with these claims would be
accepted (signature, times, audience) is not asked; `exp` may be absent, and `iss` where there is only one issuer. Members of
userinfo stand among the claims.
"""

from collections.abc import Mapping
from dataclasses import replace

from proxy.errors import CallerError, Refusal
from proxy.fhir.coding import ACT_REASON, Identifier, coding_of
from proxy.identity.claims import choice_of, claims_of
from proxy.identity.issuer import Issuer
from proxy.identity.principal import Principal, PrincipalKind

LIFETIME_S = 3600.0
SITUATION = "situation"
"""The member of supposed claims that stands for the header by which a request chooses a situation of practice."""


def supposed_principal(
    payload: Mapping[str, object], issuers: Mapping[str, Issuer], now: float
) -> Principal:
    """Give the Principal of supposed claims, read as their issuer writes them; CallerError MALFORMED if they cannot be."""
    assumed: dict[str, object] = {"exp": now + LIFETIME_S}
    if len(issuers) == 1:
        assumed["iss"] = next(iter(issuers))
    said = assumed | dict(payload)
    issuer = issuers.get(str(said.get("iss", "")))
    if issuer is None:
        raise CallerError(Refusal.MALFORMED, "claim `iss` names no issuer of this gateway")
    try:
        claims = claims_of(said, "supposed")
        situation = said.get(SITUATION)
        choice = choice_of(claims, issuer.profile, said)
        return choice.of(situation if isinstance(situation, str) else None)
    except CallerError as error:
        raise CallerError(Refusal.MALFORMED, error.detail) from None


def with_purposes(principal: Principal, written: object) -> Principal:
    """Give the same principal, its token stating these purposes of use; CallerError MALFORMED unless all are codes.

    A purpose is a code of v3-ActReason, or `system#code`.
    """
    if not isinstance(written, list | tuple) or not all(written):
        raise CallerError(Refusal.MALFORMED, "purposes of use are codes")
    return replace(principal, purposes=frozenset(map(_purpose, written)))


def _purpose(written: object) -> str:
    if not isinstance(written, str) or not written.isprintable():
        raise CallerError(Refusal.MALFORMED, "a purpose of use is no code")
    system, _, code = written.rpartition("#")
    coding = coding_of(system, code)
    if not coding.code:
        raise CallerError(Refusal.MALFORMED, "a purpose of use is no code")
    return coding.code if coding.system in {"", ACT_REASON} else f"{coding.system}#{coding.code}"


def with_identifiers(principal: Principal, identifiers: frozenset[Identifier]) -> Principal:
    """Give the same principal, known by these business identifiers too: a professional, where nothing else is known."""
    unknown = principal.kind is PrincipalKind.UNKNOWN and principal.fhir_user is None
    kind = PrincipalKind.PRACTITIONER if unknown else principal.kind
    return replace(principal, identifiers=principal.identifiers | identifiers, kind=kind)
