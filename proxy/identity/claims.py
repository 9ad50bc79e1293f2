"""Claims of a verified token become a `Principal`: SMART, IHE IUA, UDAP `hl7-b2b`, or a mapping of the operator.

Sources: SMART App Launch 2.2 (fhirUser, launch context), IHE IUA 3.71.4.2.2.1 (claims, `ihe_iua`, `ihe_bppc`), UDAP Security
b2b (`hl7-b2b`), standards AUTH-6, 17..23. Laws:

- A claim of the wrong type makes the token bad, it is never skipped (AUTH-17, T-171). Unknown members are ignored.
- A scope whose context is missing is taken away: `patient/` without a patient, `user/` without a user, `system/` in the
  token of a person (AUTH-19, SCOPE-15, T-180).
- A `fhirUser` of another server is nobody we know (T-181).
- Nothing comes from anywhere but the token (T-183).
"""

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, TypeVar

import orjson

from proxy.errors import CallerError, Refusal
from proxy.fhir.coding import ACT_REASON, Coding, Identifier, coding_of
from proxy.identity.issuer import B2B, BPPC, IUA, ClaimPath, Profile, Requirement
from proxy.identity.principal import Principal, PrincipalKind
from proxy.identity.scopes import Scopes, parse_scopes

T = TypeVar("T")

URI_SYSTEM = "urn:ietf:rfc:3986"

_ID = r"(?!\.{1,2}\Z)[A-Za-z0-9\-.]{1,64}"
_PATIENT_ID = re.compile(_ID)
_FHIR_USER = re.compile(rf"(Patient|PractitionerRole|Practitioner|RelatedPerson)/{_ID}")
# HL7 v2 CX with an OID as assigning authority: `543797436^^^&1.2.840.113619.6.197&ISO`.
_CX = re.compile(r"([^^&]+)\^\^\^[^^&]*&([0-9]+(?:\.[0-9]+)+)&ISO")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAX_TEXT = 4096
_MAX_SECONDS = 1e11

_KINDS: Mapping[str, PrincipalKind] = MappingProxyType(
    {
        "Patient": PrincipalKind.PATIENT,
        "Practitioner": PrincipalKind.PRACTITIONER,
        "PractitionerRole": PrincipalKind.PRACTITIONER,
        "RelatedPerson": PrincipalKind.RELATED_PERSON,
    }
)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says. `token_id` is `jti`, or a digest if there is none; `expires_at` in seconds."""

    issuer: str
    subject: str
    token_id: str
    expires_at: float
    payload: Mapping[str, object]


def _bad(path: Sequence[str], wrong: str) -> CallerError:
    return CallerError(Refusal.BAD_TOKEN, f"claim `{'.'.join(path)}` {wrong}")


# ------------------------------------------------------------------------------------------ readers of one value


class _WrongError(Exception):
    """A claim that is not what it must be; the message names no value."""


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > _MAX_TEXT or _CONTROL.search(value):
        raise _WrongError("must be a string of printable characters")
    return value


def _scope_text(value: object) -> str:
    if not isinstance(value, str):  # T-171: an array of scopes is no scope
        raise _WrongError("must be one string of scopes separated by spaces")
    return value


def _patient(value: object) -> str:
    if _PATIENT_ID.fullmatch(_text(value)) is None:
        raise _WrongError("must be one FHIR id")
    return f"Patient/{value}"


def _coding(value: object) -> Coding:
    """Read a Coding object, `system#code`, or a bare code (AUTH-22)."""
    match value:
        case {"code": code, **members}:
            system = members.get("system")
            return coding_of(None if system is None else _text(system), _text(code))
        case str():
            system, hash_sign, code = _text(value).rpartition("#")
            if hash_sign and not (system and code):
                raise _WrongError("must be codes or `system#code`")
            return coding_of(system, code)
        case _:
            raise _WrongError("must hold Codings with a code")


def _codings(value: object) -> frozenset[Coding]:
    if not isinstance(value, list):
        raise _WrongError("must be an array")
    return frozenset(map(_coding, value))


def _purposes(value: object) -> frozenset[str]:
    """Read codes of v3-ActReason; a purpose of another system stays visible as `system#code` and equals none of them."""
    return frozenset(
        code if system in {"", ACT_REASON} else f"{system}#{code}"
        for system, code in _codings(value)
    )


def _organization(value: object) -> Identifier:
    return Identifier(URI_SYSTEM, _text(value))


def _patient_identifier(value: object) -> Identifier:
    """Read a CX with an OID, or any other identifier as it stands."""
    return cx_of(_text(value)) or Identifier("", _text(value))


def cx_of(text: str) -> Identifier | None:
    """Give the identifier that an HL7 v2 CX with an OID as assigning authority means; None for any other text."""
    written = _CX.fullmatch(text)
    return Identifier(f"urn:oid:{written[2]}", written[1]) if written else None


def _version_one(value: object) -> str:
    if value != "1":
        raise _WrongError('must be "1"')
    return "1"


def _object_text(value: object) -> str:
    if not isinstance(value, dict):
        raise _WrongError("must be an object")
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


# Read for their types alone.
_TYPED: tuple[tuple[tuple[str, ...], Callable[[object], object]], ...] = (
    ((*IUA, "home_community_id"), _text),
    ((*BPPC, "doc_id"), _text),
    ((*BPPC, "acp"), _text),
    ((*B2B, "version"), _version_one),
)


# ------------------------------------------------------------------------------------------ finding the values


def _find(payload: Mapping[str, object], steps: Sequence[str]) -> tuple[object, ...]:
    """Give the value at a path as a tuple of one, or nothing; whatever stands above it must be an object."""
    found: object = payload
    for depth, step in enumerate(steps):
        if not isinstance(found, Mapping):
            raise _bad(steps[:depth], "must be an object")
        if step not in found:
            return ()
        found = found[step]
    return (found,)


def _read(
    payload: Mapping[str, object], path: ClaimPath, reader: Callable[[object], T]
) -> Iterator[T]:
    for value in _find(payload, path.steps):
        try:
            yield reader([value] if path.lone and not isinstance(value, list) else value)
        except _WrongError as wrong:
            raise _bad(path.steps, str(wrong)) from None


class _Reading(NamedTuple):
    """A payload read by a profile."""

    payload: Mapping[str, object]
    profile: Profile

    def every(self, name: str, reader: Callable[[object], T]) -> list[T]:
        """Read all claims of a field, so that none of them escapes its type."""
        return [
            value
            for path in self.profile.paths[name]
            for value in _read(self.payload, path, reader)
        ]

    def first(self, name: str, reader: Callable[[object], T]) -> T | None:
        """Read all claims of a field and give the first."""
        return next(iter(self.every(name, reader)), None)


def _require(payload: Mapping[str, object], requirements: tuple[Requirement, ...]) -> None:
    for within, members in requirements:
        for above in _find(payload, within):
            missing = [one for one in members if not isinstance(above, Mapping) or one not in above]
            if missing:
                raise _bad((*within, missing[0]), "is required")


def _require_types(payload: Mapping[str, object]) -> None:
    for steps, reader in _TYPED:
        list(_read(payload, ClaimPath(steps), reader))


# ------------------------------------------------------------------------------------------ what the values mean


def _reference_of(fhir_user: str, bases: Sequence[str]) -> str | None:
    """Give `Type/id` of a fhirUser that is relative or under one of our base URLs; None for anybody else's."""
    for base in bases:
        if fhir_user.startswith(f"{base}/"):
            fhir_user = fhir_user[len(base) + 1 :]
            break
    return fhir_user if _FHIR_USER.fullmatch(fhir_user) else None


def _kind_of(principal: Principal, claims_user: bool, profile: Profile) -> PrincipalKind:
    """Say what sort of principal this is; in doubt UNKNOWN.

    A client acts for itself if it is registered so, if `sub` is the client (IUA 3.71.4.2.2.1), or if all its scopes are
    `system/` (SMART Backend Services) and nothing names a person or a patient.
    """
    if principal.fhir_user is not None:
        return _KINDS[principal.fhir_user.partition("/")[0]]
    if claims_user:
        return PrincipalKind.UNKNOWN
    if principal.identifiers:
        return PrincipalKind.PRACTITIONER
    if principal.client_id in profile.system_clients or principal.subject == principal.client_id:
        return PrincipalKind.SYSTEM
    levels = {scope.level for scope in principal.scopes.granted}
    if levels == {"system"} and principal.patient is None:
        return PrincipalKind.SYSTEM
    return PrincipalKind.UNKNOWN


def _scopes_in_context(scopes: Scopes, kind: PrincipalKind, patient: str | None) -> Scopes:
    """Take away the scopes whose context is missing."""
    missing = ["user" if kind is PrincipalKind.SYSTEM else "system"]
    return scopes.without(*missing, *(["patient"] if patient is None else []))


def _principal(claims: Claims, reading: _Reading) -> Principal:
    """Everything the claims say, before kind and context are settled."""
    fhir_user = reading.first("fhir_user", _text)
    providers = reading.every("provider_identifier", _text)
    return Principal(
        issuer=claims.issuer,
        subject=claims.subject,
        client_id=next(iter(reading.every("client_id", _text)), ""),
        token_id=claims.token_id,
        kind=PrincipalKind.UNKNOWN,
        scopes=parse_scopes(next(iter(reading.every("scope", _scope_text)), "")),
        expires_at=claims.expires_at,
        fhir_user=None
        if fhir_user is None
        else _reference_of(fhir_user, reading.profile.fhir_bases),
        name=reading.first("name", _text),
        patient=reading.first("patient", _patient),
        roles=frozenset().union(*reading.every("roles", _codings)),
        purposes=frozenset().union(*reading.every("purposes", _purposes)),
        identifiers=frozenset(
            Identifier(reading.profile.provider_system, one) for one in providers
        ),
        organization=reading.first("organization", _organization),
        organization_name=reading.first("organization_name", _text),
        on_behalf_of=reading.first("on_behalf_of", _text),
        patient_identifier=reading.first("patient_identifier", _patient_identifier),
        pcf=next(_read(claims.payload, ClaimPath(("extensions", "ihe_pcf")), _object_text), None),
    )


def principal_of(claims: Claims, profile: Profile) -> Principal:
    """Give the Principal that verified claims name; CallerError BAD_TOKEN if a claim is missing or of the wrong type."""
    _require(claims.payload, profile.required)
    _require_types(claims.payload)
    reading = _Reading(claims.payload, profile)
    said = _principal(claims, reading)
    kind = _kind_of(said, bool(reading.every("fhir_user", _text)), profile)
    scopes = _scopes_in_context(said.scopes, kind, said.patient)
    return dataclasses.replace(said, kind=kind, scopes=scopes)


def claims_of(payload: Mapping[str, object], digest: str) -> Claims:
    """Give the claims of a payload whose signature somebody else answers for; CallerError BAD_TOKEN.

    `digest` stands for the token if it has no `jti`. Time, issuer and audience are not judged here.
    """
    expires_at = number_of(payload, "exp")
    if expires_at is None:
        raise _bad(("exp",), "is required")
    named = {one: tuple(_read(payload, ClaimPath((one,)), _text)) for one in ("iss", "sub", "jti")}
    for one in ("iss", "sub"):
        if not named[one]:
            raise _bad((one,), "is required")
    token_id = named["jti"][0] if named["jti"] else digest
    return Claims(named["iss"][0], named["sub"][0], token_id, expires_at, payload)


def number_of(payload: Mapping[str, object], name: str) -> float | None:
    """Give a NumericDate claim (RFC 7519 section 2), None if absent; CallerError BAD_TOKEN unless it is a sane number."""
    value = payload.get(name)
    if value is None and name not in payload:
        return None
    # A bool is an int to Python, and not to RFC 7519; beyond year 5138 some clock library overflows (T-169).
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MAX_SECONDS:
        return float(value)
    raise _bad((name,), "must be a number of seconds")
