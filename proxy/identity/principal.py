"""The Principal: who makes the request, as the verified token says.

Sources: SMART App Launch 2.2 (fhirUser, launch context), IHE IUA 3.71.4.2.2.1 (claims), FHIR AuditEvent.agent.
What FHIR resources say about the same person (roles, organisations) is not here: that is a fact (`facts.model.ActorClosure`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from proxy.fhir.coding import Coding, Identifier
from proxy.identity.scopes import Scopes


class PrincipalKind(Enum):
    """What sort of principal a token names; `SYSTEM` names no natural person."""

    PRACTITIONER = "practitioner"
    PATIENT = "patient"
    RELATED_PERSON = "related-person"
    SYSTEM = "system"
    UNKNOWN = "unknown"


KINDS: Mapping[str, PrincipalKind] = MappingProxyType(
    {
        "Patient": PrincipalKind.PATIENT,
        "Practitioner": PrincipalKind.PRACTITIONER,
        "PractitionerRole": PrincipalKind.PRACTITIONER,
        "RelatedPerson": PrincipalKind.RELATED_PERSON,
    }
)
"""What sort of person a FHIR resource is."""


@dataclass(frozen=True, slots=True)
class Situation:
    """A situation of practice: the one profession and place that a person acts in (Pro Santé Connect, exercice and activity).

    `site` are the business identifiers of the place, `legal_entity` those of whom it belongs to.
    """

    code: str
    """How it is chosen and recorded: `place/profession`."""
    site: frozenset[Identifier]
    legal_entity: frozenset[Identifier] = frozenset()


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified caller. References are relative (`Practitioner/x`); purposes are v3-ActReason codes."""

    issuer: str
    subject: str
    client_id: str
    token_id: str
    """`jti`, or a digest of the token when it has none; never the token."""
    kind: PrincipalKind
    scopes: Scopes
    expires_at: float
    """Seconds since the epoch."""
    fhir_user: str | None = None
    name: str | None = None
    patient: str | None = None
    """SMART launch context, `Patient/x`: the one patient of all `patient/` scopes."""
    roles: frozenset[Coding] = frozenset()
    purposes: frozenset[str] = frozenset()
    identifiers: frozenset[Identifier] = frozenset()
    organization: Identifier | None = None
    organization_name: str | None = None
    on_behalf_of: str | None = None
    """`Type/id` of whom the caller acts for, where that is known."""
    patient_identifier: Identifier | None = None
    """IUA `person_id` (or `ihe_bppc.patient_id`): the one patient the token was issued for, by business identifier."""
    pcf: str | None = None
    """IHE PCF `extensions.ihe_pcf` as JSON text. It restricts (PCF-31): who cannot honour it must refuse."""
    acr: str = ""
    """How the person was authenticated (OpenID Connect Core, `acr`); empty if the token does not say."""
    authenticated_at: float | None = None
    """When the person was authenticated (`auth_time`), in seconds since the epoch."""
    delegator: "Principal | None" = None
    """Whom the caller acts for: it never gets more than that one would."""
    situation: Situation | None = None
    """Where set, the caller is what it is there: roles and organisations elsewhere do not count."""
    undecided: str = ""
    """Why nobody can be told to make the request, though the token is good; such a principal may do nothing."""

    @property
    def acts_for_another(self) -> bool:
        """Whether the request is made on behalf of somebody else, known or not."""
        return self.delegator is not None or self.on_behalf_of is not None

    @property
    def organizations(self) -> frozenset[Identifier]:
        """Every identifier of the organisation that is named, and of whom its place belongs to."""
        named = frozenset({self.organization} if self.organization else ())
        if self.situation is None:
            return named
        return named | self.situation.site | self.situation.legal_entity
