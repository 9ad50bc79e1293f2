"""A trusted issuer as configured: how its tokens are verified, and where they keep what a `Principal` needs.

Sources: RFC 8725; SMART App Launch 2.2, IHE IUA 3.71.4.2.2.1, UDAP Security b2b (standards AUTH-4..7, 17..21, X-29).
Configuration, read once: an unknown profile or a mix of algorithms refuses to start.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from proxy.errors import Finding, UnusableError
from proxy.identity.keys import ASYMMETRIC_ALGORITHMS

MAX_SKEW = 60.0
MIN_SECRET_BYTES = 32
SHARED_SECRET = frozenset({"HS256"})

NPI_SYSTEM = "http://hl7.org/fhir/sid/us-npi"


class ClaimPath(NamedTuple):
    """Where a field stands in the payload. `lone`: one value may stand where a list is meant."""

    steps: tuple[str, ...]
    lone: bool = False


class Requirement(NamedTuple):
    """Members that must be there if the object at `within` is."""

    within: tuple[str, ...]
    members: tuple[str, ...]


class Strength(NamedTuple):
    """How a person must have been identified: `authMode`, and where any are named `Palier_Authentification` (codes)."""

    modes: frozenset[str] = frozenset({"CARD", "MOBILE"})
    levels: frozenset[str] = frozenset()


STRONG = Strength()


@dataclass(frozen=True, slots=True)
class Profile:
    """How one issuer writes its claims.

    `fhir_bases` are the URLs under which a `fhirUser` is ours, without a slash at the end; `system_clients` are client
    ids that never act for a person, beside those that the token itself shows to be so; `shared_accounts` are subjects
    behind which there are several persons. `scope_means`: scopes of the issuer's own and the SMART scopes they stand for.
    """

    name: str
    paths: Mapping[str, tuple[ClaimPath, ...]]
    required: tuple[Requirement, ...] = ()
    fhir_bases: tuple[str, ...] = ()
    provider_system: str = NPI_SYSTEM
    system_clients: frozenset[str] = frozenset()
    shared_accounts: frozenset[str] = frozenset()
    scope_means: Mapping[str, str] = field(default_factory=dict)
    from_userinfo: bool = False
    """Whether the issuer's userinfo, not the token, says who the person is and what it may be."""
    strength: Strength = STRONG
    """Of userinfo alone."""


IUA, BPPC, B2B = ("extensions", "ihe_iua"), ("extensions", "ihe_bppc"), ("extensions", "hl7-b2b")

_PATHS: Mapping[str, tuple[ClaimPath, ...]] = MappingProxyType(
    {
        "scope": (ClaimPath(("scope",)),),
        "client_id": (ClaimPath(("client_id",)), ClaimPath(("azp",))),
        "fhir_user": (ClaimPath(("fhirUser",)),),
        "patient": (ClaimPath(("patient",)),),
        "name": (
            ClaimPath((*IUA, "subject_name")),
            ClaimPath((*B2B, "subject_name")),
            ClaimPath(("name",)),
        ),
        "roles": (
            ClaimPath((*IUA, "subject_role")),
            ClaimPath((*B2B, "subject_role"), lone=True),
        ),
        "purposes": (
            ClaimPath((*IUA, "purpose_of_use")),
            ClaimPath((*B2B, "purpose_of_use")),
        ),
        "provider_identifier": (ClaimPath((*IUA, "national_provider_identifier")),),
        "organization": (
            ClaimPath((*IUA, "subject_organization_id")),
            ClaimPath((*B2B, "organization_id")),
        ),
        "organization_name": (
            ClaimPath((*IUA, "subject_organization")),
            ClaimPath((*B2B, "organization_name")),
        ),
        "patient_identifier": (
            ClaimPath((*IUA, "person_id")),
            ClaimPath((*BPPC, "patient_id")),
        ),
        "on_behalf_of": (),
    }
)
"""Field of the principal to the claims it is read from: lists are joined, of single values the first counts."""

_LISTS = frozenset({"roles", "purposes"})

_REQUIRED: Mapping[str, tuple[Requirement, ...]] = MappingProxyType(
    {
        "smart": (),
        # IUA 3.71.4.2.2.1; `iss`, `sub`, `aud` and `exp` are required of every token.
        "iua": (Requirement((), ("client_id", "jti", "iat", "scope")),),
        # UDAP Security, B2B Authorization Extension Object; an authorization server may leave the object out.
        "udap": (Requirement(B2B, ("version", "organization_id", "purpose_of_use")),),
        "pro-sante-connect": (),
    }
)

PRO_SANTE_CONNECT = "pro-sante-connect"
_OF_THE_TOKEN = frozenset({"scope", "client_id", "patient_identifier"})
"""What a token says where userinfo says the rest: whom it was given to, and what it is kept to."""
_PSC_SCOPES: Mapping[str, str] = MappingProxyType({"scope_all": "user/*.rs"})
"""Pro Santé Connect knows no SMART scopes: who has all of the identity reads as far as policy goes."""


def _path_of(written: str, *, lone: bool) -> tuple[ClaimPath, ...]:
    """Read a claim path: `a.b`, or a JSON Pointer (RFC 6901) where a name has dots in it; empty for none."""
    if not written:
        return ()
    if not written.startswith("/"):
        return (ClaimPath(tuple(written.split(".")), lone),)
    steps = (step.replace("~1", "/").replace("~0", "~") for step in written[1:].split("/"))
    return (ClaimPath(tuple(steps), lone),)


def profile_of(
    spelling: str | Mapping[str, str],
    fhir_bases: Sequence[str] = (),
    *,
    provider_system: str = NPI_SYSTEM,
    system_clients: frozenset[str] = frozenset(),
    source: str = "gateway.yaml",
) -> Profile:
    """Give the profile of a name (`smart`, `iua`, …) or of a mapping field to claim path, laid over `smart`.

    UnusableError for an unknown profile or field: a token must never be read by guess.
    """
    mapping = {} if isinstance(spelling, str) else spelling
    name = spelling if isinstance(spelling, str) else "smart"
    if name not in _REQUIRED:
        known = ", ".join(_REQUIRED)
        raise UnusableError(
            Finding(source, 0, f"claims `{name}` is not supported; use {known} or a mapping")
        )
    unknown = sorted(mapping.keys() - _PATHS.keys())
    if unknown:
        known = ", ".join(_PATHS)
        raise UnusableError(
            Finding(source, 0, f"claims mapping names `{unknown[0]}`; fields are {known}")
        )
    from_userinfo = name == PRO_SANTE_CONNECT
    paths = {
        one: () if from_userinfo and one not in _OF_THE_TOKEN else at for one, at in _PATHS.items()
    }
    return Profile(
        name="mapping" if mapping else name,
        paths=paths
        | {field: _path_of(path, lone=field in _LISTS) for field, path in mapping.items()},
        required=_REQUIRED[name],
        fhir_bases=tuple(base.rstrip("/") for base in fhir_bases),
        provider_system=provider_system,
        system_clients=system_clients,
        scope_means=_PSC_SCOPES if from_userinfo else {},
        from_userinfo=from_userinfo,
    )


@dataclass(frozen=True, slots=True)
class Issuer:
    """One trusted issuer, `issuer` and `audience` compared letter by letter. Times in seconds.

    `other_audiences` may stand beside ours in `aud`; `required` are claims beyond iss, sub, aud and exp. With a `secret`
    the only algorithm is HS256, without one all are asymmetric (standards AUTH-5, X-29). UnusableError otherwise.
    """

    issuer: str
    audience: str
    algorithms: frozenset[str]
    profile: Profile
    secret: bytes | None = field(default=None, repr=False)
    other_audiences: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    skew: float = 30.0
    max_lifetime: float = 86_400.0

    def __post_init__(self) -> None:
        allowed = ASYMMETRIC_ALGORITHMS if self.secret is None else SHARED_SECRET
        wrong = {
            "issuer and audience must not be empty": not (self.issuer and self.audience),
            "algorithms must not be empty": not self.algorithms,
            f"algorithms may only be {', '.join(sorted(allowed))} here": bool(
                self.algorithms - allowed
            ),
            f"a shared secret needs {MIN_SECRET_BYTES} bytes": self.secret is not None
            and len(self.secret) < MIN_SECRET_BYTES,
            f"clock skew must be between 0 and {MAX_SKEW} s": not 0 <= self.skew <= MAX_SKEW,
            "max_lifetime must be more than 0 s": not self.max_lifetime > 0,
        }
        findings = [Finding(self.issuer, 0, told) for told, is_so in wrong.items() if is_so]
        if findings:
            raise UnusableError(*findings)
