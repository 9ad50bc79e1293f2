"""IHE BALP in tables: profiles, code systems and the shape of a RESTful AuditEvent per interaction.

Source: https://profiles.ihe.net/ITI/BALP, content 3:5.7.3 and 3:5.7.6; systems as in R4 AuditEvent.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from proxy.fhir.coding import PARTICIPATION, ROLE_CLASS, Coding

# A FHIR resource as JSON; its shape is checked by fhir.resources before delivery.
Json = dict[str, Any]

_THO = "http://terminology.hl7.org/CodeSystem/"
_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_BALP = "https://profiles.ihe.net/ITI/BALP/"
_PROFILE = _BALP + "StructureDefinition/IHE.BasicAudit."
JTI_PREFIX = "urn:ietf:params:oauth:jti:"
"""SHALL in the profile text; the published examples forget it."""

RESTFUL = "http://hl7.org/fhir/restful-interaction"
REST = Coding(_THO + "audit-event-type", "rest")
SECURITY_ALERT = Coding(_DCM, "110113")
AUTHZ_CONSENT = Coding(_BALP + "CodeSystem/AuthZsubType", "AuthZ-Consent")
AUTHZ_ROLE = Coding(_BALP + "CodeSystem/AuthZsubType", "AuthZ-Role")

APPLICATION = Coding(_DCM, "110150")
DESTINATION = Coding(_DCM, "110152")
SOURCE = Coding(_DCM, "110153")
CUSTODIAN = Coding(_THO + "provenance-participant-type", "custodian")
RECIPIENT = Coding(PARTICIPATION, "IRCP")
AUTHOR = Coding(PARTICIPATION, "AUT")
PROVIDER = Coding(ROLE_CLASS, "PROV")
AUTHORIZER = Coding(_THO + "extra-security-role-type", "authserver")
DELEGATOR = Coding(_THO + "consentperformer", "delegator")
"""R4 has no participant type of its own for it; the extension on the other agent says the same by reference."""
OAUTH_AGENT = Coding(_BALP + "CodeSystem/UserAgentTypes", "UserOauthAgent")

ON_BEHALF_OF = "http://hl7.org/fhir/StructureDefinition/auditevent-OnBehalfOf"
"""FHIR extension of AuditEvent.agent."""

PERSON = Coding(_THO + "audit-entity-type", "1")
SYSTEM_OBJECT = Coding(_THO + "audit-entity-type", "2")
PATIENT_ROLE = Coding(_THO + "object-role", "1")
RESOURCE_ROLE = Coding(_THO + "object-role", "4")
QUERY_ROLE = Coding(_THO + "object-role", "24")
CONSENT = Coding("http://hl7.org/fhir/resource-types", "Consent")
REQUEST_ID = Coding(_BALP + "CodeSystem/BasicAuditEntityType", "XrequestId")

APPLICATION_SERVER = Coding(_THO + "security-source-type", "4")
SECURITY_SERVER = Coding(_THO + "security-source-type", "6")

AUTHZ_PROFILE = _PROFILE + "AuthZconsent"
OAUTH_MINIMAL = _PROFILE + "OAUTHaccessTokenUse.Minimal"
OAUTH_COMPREHENSIVE = _PROFILE + "OAUTHaccessTokenUse.Comprehensive"

SUCCESS, MINOR_FAILURE, SERIOUS_FAILURE = "0", "4", "8"
"""R4 audit-event-outcome."""


class About(Enum):
    """What the second entity of a RESTful event names."""

    RESOURCE = "each resource disclosed"
    INSTANCE = "the instance that was asked for"
    QUERY = "the raw request"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Shape:
    """One row of the table of REST profiles; an empty `profile` is claimed by no event."""

    action: str
    client: Coding
    server: Coding
    user: Coding
    about: About
    profile: str = ""


# Read alone has the client as Destination: data flow from server to client (3:5.7.3). No validator finds a swap.
_READ = Shape("R", DESTINATION, SOURCE, RECIPIENT, About.RESOURCE, "Read")
_QUERY = Shape("E", SOURCE, DESTINATION, RECIPIENT, About.QUERY, "Query")
_UPDATE = Shape("U", SOURCE, DESTINATION, AUTHOR, About.RESOURCE, "Update")
_HISTORY = Shape("R", DESTINATION, SOURCE, RECIPIENT, About.INSTANCE)
_HISTORIES = Shape("E", SOURCE, DESTINATION, RECIPIENT, About.QUERY)
"""Of a type or the system: what was asked for is a query (BALP-18: no profile)."""

SHAPES: dict[str, Shape] = {
    "read": _READ,
    "vread": _READ,
    "history-instance": _HISTORY,
    "history-type": _HISTORIES,
    "history-system": _HISTORIES,
    "search": _QUERY,
    "search-type": _QUERY,
    "search-system": _QUERY,
    "create": Shape("C", SOURCE, DESTINATION, AUTHOR, About.RESOURCE, "Create"),
    "update": _UPDATE,
    "patch": _UPDATE,
    "delete": Shape("D", APPLICATION, CUSTODIAN, AUTHOR, About.RESOURCE, "Delete"),
    "capabilities": Shape("R", DESTINATION, SOURCE, RECIPIENT, About.NOTHING),
}
OTHER = Shape("E", SOURCE, DESTINATION, RECIPIENT, About.QUERY)
"""Operations, batches and requests that were not understood: same agents and entities, no profile."""


def profile_url(shape: Shape, *, patient: bool) -> str:
    """The profile of a successful event of this shape, or empty; its `Patient…` twin if a patient is named."""
    if not shape.profile:
        return ""
    return f"{_PROFILE}{'Patient' if patient else ''}{shape.profile}"


def coding(code: Coding) -> Json:
    """A FHIR Coding."""
    return {"system": code.system, "code": code.code} if code.system else {"code": code.code}


def concept(*codes: Coding) -> Json:
    """A FHIR CodeableConcept with these codings."""
    return {"coding": [coding(code) for code in codes]}
