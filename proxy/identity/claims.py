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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from proxy.errors import OwnError
from proxy.fhir.coding import Identifier
from proxy.identity import pro_sante_connect, values
from proxy.identity.choice import Choice
from proxy.identity.delegation import ACT, delegated
from proxy.identity.details import overridden
from proxy.identity.issuer import B2B, BPPC, IUA, ClaimPath, Profile, Requirement
from proxy.identity.principal import KINDS, Principal, PrincipalKind
from proxy.identity.scopes import Scopes, parse_scopes

T = TypeVar("T")

_MAX_SECONDS = 1e11


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says. `token_id` is `jti`, or a digest if there is none; `expires_at` in seconds."""

    issuer: str
    subject: str
    token_id: str
    expires_at: float
    payload: Mapping[str, object]


# Read for their types alone (AUTH-17: a member of the wrong type is an error, whether we need it or not).
_TYPED: tuple[tuple[tuple[str, ...], Callable[[object], object]], ...] = (
    ((*IUA, "home_community_id"), values.oid_of),
    ((*BPPC, "doc_id"), values.uri_of),
    ((*BPPC, "acp"), values.uri_of),
    ((*B2B, "version"), values.version_one_of),
    ((*B2B, "subject_id"), values.text_of),
    ((*B2B, "consent_policy"), values.uris_of),
    ((*B2B, "consent_reference"), values.uris_of),
)


class _Reading(NamedTuple):
    """A payload read by a profile."""

    payload: Mapping[str, object]
    profile: Profile

    def every(self, name: str, reader: Callable[[object], T]) -> list[T]:
        """Read all claims of a field, so that none of them escapes its type."""
        return [
            value
            for path in self.profile.paths[name]
            for value in values.read(self.payload, path, reader)
        ]

    def first(self, name: str, reader: Callable[[object], T]) -> T | None:
        """Read all claims of a field and give the first."""
        return next(iter(self.every(name, reader)), None)


def _require(payload: Mapping[str, object], requirements: tuple[Requirement, ...]) -> None:
    for within, members in requirements:
        for above in values.find(payload, within):
            missing = [one for one in members if not isinstance(above, Mapping) or one not in above]
            if missing:
                raise values.bad_claim((*within, missing[0]), "is required")


def _require_types(payload: Mapping[str, object]) -> None:
    for steps, reader in _TYPED:
        list(values.read(payload, ClaimPath(steps), reader))


# ------------------------------------------------------------------------------------------ what the values mean


def _kind_of(principal: Principal, claims_user: bool, profile: Profile) -> PrincipalKind:
    """Say what sort of principal this is; in doubt UNKNOWN.

    A client acts for itself if it is registered so, if `sub` is the client (IUA 3.71.4.2.2.1), or if all its scopes are
    `system/` (SMART Backend Services) and nothing names a person or a patient.
    """
    if principal.client_id in profile.system_clients:
        # That a token of such a client names a person is a contradiction: then it is nobody in particular.
        named = claims_user or bool(principal.identifiers) or principal.patient is not None
        return PrincipalKind.UNKNOWN if named else PrincipalKind.SYSTEM
    if principal.fhir_user is not None:
        return KINDS[principal.fhir_user.partition("/")[0]]
    if claims_user:
        return PrincipalKind.UNKNOWN
    if principal.identifiers:
        return PrincipalKind.PRACTITIONER
    levels = {scope.level for scope in principal.scopes.granted}
    is_backend = levels == {"system"} and principal.patient is None
    acts_for_itself = is_backend or principal.subject == principal.client_id
    return PrincipalKind.SYSTEM if acts_for_itself else PrincipalKind.UNKNOWN


def _scopes_in_context(scopes: Scopes, kind: PrincipalKind, patient: str | None) -> Scopes:
    """Take away the scopes whose context is missing."""
    missing = ["user" if kind is PrincipalKind.SYSTEM else "system"]
    return scopes.without(*missing, *(["patient"] if patient is None else []))


def _principal(claims: Claims, reading: _Reading) -> Principal:
    """Everything the claims say, before kind and context are settled."""
    fhir_user = reading.first("fhir_user", values.text_of)
    providers = reading.every("provider_identifier", values.text_of)
    return Principal(
        issuer=claims.issuer,
        subject=claims.subject,
        client_id=next(iter(reading.every("client_id", values.text_of)), ""),
        token_id=claims.token_id,
        kind=PrincipalKind.UNKNOWN,
        scopes=parse_scopes(
            _smart(reading.first("scope", values.scopes_of) or "", reading.profile)
        ),
        expires_at=claims.expires_at,
        fhir_user=None
        if fhir_user is None
        else values.reference_of(fhir_user, reading.profile.fhir_bases),
        name=reading.first("name", values.text_of),
        patient=reading.first("patient", values.patient_of),
        roles=frozenset().union(*reading.every("roles", values.codings_of)),
        purposes=frozenset().union(*reading.every("purposes", values.purposes_of)),
        identifiers=frozenset(
            Identifier(reading.profile.provider_system, one) for one in providers
        ),
        organization=reading.first("organization", values.organization_of),
        organization_name=reading.first("organization_name", values.text_of),
        on_behalf_of=reading.first("on_behalf_of", values.text_of),
        patient_identifier=reading.first("patient_identifier", values.patient_identifier_of),
        acr=next(values.read(claims.payload, ClaimPath(("acr",)), values.text_of), ""),
        authenticated_at=number_of(claims.payload, "auth_time"),
        pcf=next(
            values.read(
                claims.payload, ClaimPath(("extensions", "ihe_pcf")), values.object_text_of
            ),
            None,
        ),
    )


def _smart(scopes: str, profile: Profile) -> str:
    """The scopes of a token, those of the issuer's own as what they stand for."""
    return " ".join(profile.scope_means.get(one, one) for one in scopes.split(" "))


def principal_of(claims: Claims, profile: Profile) -> Principal:
    """Give the Principal that verified claims name; CallerError BAD_TOKEN if a claim is missing or of the wrong type."""
    _require(claims.payload, profile.required)
    _require_types(claims.payload)
    if claims.subject in profile.shared_accounts:
        raise values.bad_claim(("sub",), "is that of an account which several persons share")
    reading = _Reading(overridden(claims.payload, profile), profile)
    said = _principal(claims, reading)
    kind = _kind_of(said, bool(reading.every("fhir_user", values.text_of)), profile)
    scopes = _scopes_in_context(said.scopes, kind, said.patient)
    settled = dataclasses.replace(said, kind=kind, scopes=scopes)
    return delegated(settled, claims.payload, profile)


def choice_of(
    claims: Claims, profile: Profile, userinfo: Mapping[str, object] | None = None
) -> Choice:
    """Give the principals that verified claims name, one for each situation of practice; errors as `principal_of`.

    `userinfo` is required where the profile reads it.
    """
    token = principal_of(claims, profile)
    if not profile.from_userinfo:
        return Choice(token)
    if token.delegator is not None:
        raise values.bad_claim(ACT, "is not understood beside userinfo")
    if userinfo is None:
        raise OwnError("userinfo is needed to know who the person is")
    return pro_sante_connect.choice_of(token, userinfo, profile.strength)


def claims_of(payload: Mapping[str, object], digest: str) -> Claims:
    """Give the claims of a payload whose signature somebody else answers for; CallerError BAD_TOKEN.

    `digest` stands for the token if it has no `jti`. Time, issuer and audience are not judged here.
    """
    expires_at = number_of(payload, "exp")
    if expires_at is None:
        raise values.bad_claim(("exp",), "is required")
    named = {
        one: tuple(values.read(payload, ClaimPath((one,)), values.text_of))
        for one in ("iss", "sub", "jti")
    }
    for one in ("iss", "sub"):
        if not named[one]:
            raise values.bad_claim((one,), "is required")
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
    raise values.bad_claim((name,), "must be a number of seconds")
