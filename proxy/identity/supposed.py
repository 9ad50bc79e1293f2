"""A supposed caller: the Principal that claims without a signature would name, for explanations only.

Nobody is let in by this: what is learnt goes to a reviewer who is known. Whether a token with these claims would be
accepted (signature, times, audience) is not asked; `exp` may be absent, and `iss` where there is only one issuer.
"""

from collections.abc import Mapping

from proxy.errors import CallerError, Refusal
from proxy.identity.claims import claims_of, principal_of
from proxy.identity.issuer import Issuer
from proxy.identity.principal import Principal

LIFETIME_S = 3600.0


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
        return principal_of(claims_of(said, "supposed"), issuer.profile)
    except CallerError as error:
        raise CallerError(Refusal.MALFORMED, error.detail) from None
