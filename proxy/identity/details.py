"""Authorization details (RFC 9396, SMART App Launch 2.2 `smart_on_fhir`): scopes and context for one FHIR server among several.

What they say of our base replaces what stands at the top of the token. Law: they are understood whole, or the token is refused;
what is half understood might be a restriction (standards AUTH-20).
"""

from collections.abc import Callable, Mapping

from proxy.errors import CallerError
from proxy.identity.issuer import ClaimPath, Profile
from proxy.identity.values import (
    WrongError,
    array_of,
    bad_claim,
    patient_of,
    read,
    scopes_of,
    text_of,
    uris_of,
)

DETAILS = ("authorization_details",)
SMART_ON_FHIR = "smart_on_fhir"
_OVERRIDES = ("scope", "patient")


def _type(value: object) -> str:
    if value != SMART_ON_FHIR:
        raise WrongError(f"must be `{SMART_ON_FHIR}`")
    return SMART_ON_FHIR


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(text_of, array_of(value)))


_MEMBERS: Mapping[str, Callable[[object], object]] = {
    "type": _type,
    "locations": uris_of,
    "fhirVersions": _texts,
    "scope": scopes_of,
    "patient": patient_of,
    # Context that nothing here is decided by, as at the top of the token.
    "encounter": text_of,
    "fhirContext": array_of,
}
_REQUIRED = frozenset({"type", "locations"})


def overridden(payload: Mapping[str, object], profile: Profile) -> Mapping[str, object]:
    """Give the claims as they hold at our base; the very same where no details speak of it. CallerError BAD_TOKEN."""
    entries = [
        entry
        for listed in read(payload, ClaimPath(DETAILS), array_of)
        for entry in listed
        if _is_for_us(_understood(entry), profile)
    ]
    if not entries:
        return payload
    if len(entries) > 1:
        raise _bad("must speak of this server once")
    said = _understood(entries[0])
    stated = {name: said[name] for name in _OVERRIDES if name in said}
    elsewhere = [one for one in stated if profile.paths[one] != (ClaimPath((one,)),)]
    if elsewhere:
        raise _bad(f"cannot replace `{elsewhere[0]}`, which this issuer states elsewhere")
    return {**payload, **stated}


def _understood(entry: object) -> Mapping[str, object]:
    if not isinstance(entry, dict):
        raise _bad("must hold objects")
    unknown = sorted(entry.keys() - _MEMBERS.keys()) or sorted(_REQUIRED - entry.keys())
    if unknown:
        raise _bad(
            f"must have `type` and `locations` and nothing that is not understood: `{unknown[0]}`"
        )
    for name, reader in _MEMBERS.items():
        list(read(entry, ClaimPath((name,)), reader))
    return entry


def _is_for_us(entry: Mapping[str, object], profile: Profile) -> bool:
    """Whether one of the locations is a base of ours, letter by letter but for the slash at its end."""
    locations = next(read(entry, ClaimPath(("locations",)), uris_of), ())
    return any(one.rstrip("/") in profile.fhir_bases for one in locations)


def _bad(wrong: str) -> CallerError:
    return bad_claim(DETAILS, wrong)
