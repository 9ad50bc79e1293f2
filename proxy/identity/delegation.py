"""Delegation: a token that one person or application uses on behalf of another becomes two principals (RFC 8693 section 4.1).

`act` names who makes the request, and the claims around it on whose behalf; a mapped `on_behalf_of` names that other by a
reference, and the claims around it who makes the request. Laws:

- The one who makes the request is the caller, with no role, identifier or organisation of the other's.
- What keeps the token to something (scopes, patient, `ihe_pcf`, `person_id`) keeps both to it.
- A chain of more than one delegation is refused, never shortened.
"""

from collections.abc import Mapping
from dataclasses import replace

from proxy.fhir.coding import Identifier
from proxy.identity.issuer import ClaimPath, Profile
from proxy.identity.principal import KINDS, Principal, PrincipalKind
from proxy.identity.values import WrongError, bad_claim, read, reference_of, text_of

ACT = ("act",)
_NOBODYS: frozenset[Identifier] = frozenset()


def delegated(said: Principal, payload: Mapping[str, object], profile: Profile) -> Principal:
    """Give the caller of a token: the very same principal where nobody acts for another; CallerError BAD_TOKEN."""
    actor = next(read(payload, ClaimPath(ACT), _actor), None)
    if actor is not None and said.on_behalf_of is not None:
        raise bad_claim(ACT, "and a claim that says on whose behalf make a chain of delegations")
    if actor is not None:
        return _acting(said, actor, profile)
    if said.on_behalf_of is not None:
        return _for(said, said.on_behalf_of, profile)
    return said


def _actor(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise WrongError("must be an object")
    if "act" in value:
        raise WrongError("holds another `act`; a chain of delegations is not accepted")
    if "sub" not in value:
        raise WrongError("must say in `sub` who acts")
    return value


def _acting(delegator: Principal, actor: Mapping[str, object], profile: Profile) -> Principal:
    """Who acts, by the members of `act`; identity claims alone, for what is not identity proves nothing there."""
    told = {
        name: next(read({"act": actor}, ClaimPath((*ACT, name)), text_of), None)
        for name in ("iss", "sub", "fhirUser", "name")
    }
    own = told["fhirUser"]
    reference = None if own is None else reference_of(own, profile.fhir_bases)
    return replace(
        _without_person(delegator),
        issuer=told["iss"] or delegator.issuer,
        subject=told["sub"] or "",
        fhir_user=reference,
        name=told["name"],
        kind=_kind(
            reference, names_user=own is not None, is_client=told["sub"] == delegator.client_id
        ),
        on_behalf_of=delegator.fhir_user,
        delegator=delegator,
    )


def _for(delegate: Principal, written: str, profile: Profile) -> Principal:
    """Who acts for somebody who is named by reference alone; one of another server is nobody we know (T-181)."""
    reference = reference_of(written, profile.fhir_bases)
    delegator = replace(
        _without_person(delegate),
        subject=written,
        fhir_user=reference,
        kind=_kind(reference, names_user=True, is_client=False),
        on_behalf_of=None,
    )
    return replace(delegate, on_behalf_of=reference, delegator=delegator)


def _without_person(principal: Principal) -> Principal:
    """What is true of whoever uses the token."""
    return replace(
        principal,
        name=None,
        roles=frozenset(),
        identifiers=_NOBODYS,
        organization=None,
        organization_name=None,
    )


def _kind(reference: str | None, *, names_user: bool, is_client: bool) -> PrincipalKind:
    if reference is not None:
        return KINDS[reference.partition("/")[0]]
    return PrincipalKind.SYSTEM if is_client and not names_user else PrincipalKind.UNKNOWN
