"""Resources of every common type that refer to something, wherever FHIR lets them; and what they refer to."""

from typing import Any, NamedTuple

from proxy.fhir.compartment import ABOUT
from tests.stage import CANARY, Json

PATIENT = {"reference": "Patient/camille"}
_V = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}]}  # fmt: skip
_EXT = "http://example.org/ext"


class Referring(NamedTuple):
    """A visible resource with a reference at `path`, as steps; a number is a place in a list."""

    rtype: str
    path: str
    target: str
    more: Json


def _row(rtype: str, path: str, target: str, /, **more: Any) -> Referring:
    return Referring(rtype, path, target, more)


REFERRING = [
    _row("Observation", "encounter", "Encounter"),
    _row("Observation", "hasMember.0", "Observation"),
    _row("Observation", "derivedFrom.0", "Observation"),
    _row("Observation", "basedOn.0", "ServiceRequest"),
    _row("Observation", "partOf.0", "Procedure"),
    _row("Observation", "specimen", "Specimen"),
    _row("Observation", "performer.0", "CareTeam"),
    _row("Observation", "note.0.authorReference", "RelatedPerson"),
    _row("Observation", "extension.0.valueReference", "Condition"),
    _row("Observation", "extension.0.extension.0.valueReference", "Condition"),
    _row("Observation", "code.extension.0.valueReference", "Condition"),
    _row("Observation", "_status.extension.0.valueReference", "Condition"),
    _row("Observation", "modifierExtension.0.valueReference", "Condition"),
    _row("Observation", "component.0.extension.0.valueReference", "Condition"),
    _row("Observation", "meta.extension.0.valueReference", "Condition"),
    _row("DiagnosticReport", "result.0", "Observation"),
    _row("DiagnosticReport", "basedOn.0", "ServiceRequest"),
    _row("DiagnosticReport", "imagingStudy.0", "ImagingStudy"),
    _row("DiagnosticReport", "media.0.link", "Media"),
    _row("DiagnosticReport", "specimen.0", "Specimen"),
    _row("DiagnosticReport", "encounter", "Encounter"),
    _row("Condition", "encounter", "Encounter"),
    _row("Condition", "evidence.0.detail.0", "Observation"),
    _row("Condition", "stage.0.assessment.0", "ClinicalImpression"),
    _row("Encounter", "diagnosis.0.condition", "Condition"),
    _row("Encounter", "reasonReference.0", "Condition"),
    _row("Encounter", "episodeOfCare.0", "EpisodeOfCare"),
    _row("Encounter", "partOf", "Encounter"),
    _row("Encounter", "participant.0.individual", "RelatedPerson"),
    _row("Encounter", "basedOn.0", "ServiceRequest"),
    _row("Encounter", "hospitalization.origin", "Encounter"),
    _row("EpisodeOfCare", "diagnosis.0.condition", "Condition"),
    _row("Procedure", "reasonReference.0", "Condition"),
    _row("Procedure", "report.0", "DiagnosticReport"),
    _row("Procedure", "complicationDetail.0", "Condition"),
    _row("Procedure", "usedReference.0", "Device"),
    _row("Procedure", "performer.0.actor", "RelatedPerson"),
    _row("MedicationRequest", "basedOn.0", "CarePlan"),
    _row("MedicationRequest", "reasonReference.0", "Condition"),
    _row("MedicationRequest", "priorPrescription", "MedicationRequest"),
    _row("MedicationStatement", "derivedFrom.0", "Observation"),
    _row("MedicationAdministration", "request", "MedicationRequest"),
    _row("MedicationDispense", "authorizingPrescription.0", "MedicationRequest"),
    _row("ServiceRequest", "supportingInfo.0", "Observation"),
    _row("ServiceRequest", "replaces.0", "ServiceRequest"),
    _row("ServiceRequest", "insurance.0", "Coverage"),
    _row("CarePlan", "activity.0.reference", "ServiceRequest"),
    _row("CarePlan", "activity.0.outcomeReference.0", "Observation"),
    _row("CarePlan", "addresses.0", "Condition"),
    _row("CarePlan", "goal.0", "Goal"),
    _row("Goal", "addresses.0", "Condition"),
    _row("Goal", "outcomeReference.0", "Observation"),
    _row("CareTeam", "participant.0.member", "RelatedPerson"),
    _row("Composition", "section.0.entry.0", "Observation"),
    _row("Composition", "section.0.section.0.entry.0", "Condition"),
    _row("Composition", "event.0.detail.0", "Procedure"),
    _row("List", "entry.0.item", "Condition"),
    _row("List", "encounter", "Encounter"),
    _row("DocumentReference", "context.related.0", "Observation"),
    _row("DocumentReference", "context.encounter.0", "Encounter"),
    _row("AuditEvent", "entity.1.what", "Observation", entity=[{"what": PATIENT}]),
    _row("Task", "focus", "ServiceRequest", **{"for": PATIENT}),
    _row("Task", "basedOn.0", "ServiceRequest", **{"for": PATIENT}),
    _row("Task", "input.0.valueReference", "Observation", **{"for": PATIENT}),
    _row("Appointment", "reasonReference.0", "Condition", participant=[{"actor": PATIENT}]),
    _row("Appointment", "participant.1.actor", "RelatedPerson", participant=[{"actor": PATIENT}]),
    _row("Communication", "payload.0.contentReference", "DocumentReference"),
    _row("Communication", "inResponseTo.0", "Communication"),
    _row("Immunization", "reaction.0.detail", "Observation"),
    _row("AllergyIntolerance", "encounter", "Encounter"),
    _row("ClinicalImpression", "problem.0", "Condition"),
    _row("ClinicalImpression", "investigation.0.item.0", "Observation"),
    _row("RiskAssessment", "basis.0", "Observation"),
    _row("Flag", "encounter", "Encounter"),
    _row("Claim", "diagnosis.0.diagnosisReference", "Condition"),
    _row("Account", "coverage.0.coverage", "Coverage"),
    _row("Coverage", "policyHolder", "RelatedPerson"),
    _row("QuestionnaireResponse", "item.0.answer.0.valueReference", "Observation"),
    _row("QuestionnaireResponse", "basedOn.0", "ServiceRequest"),
    _row("ImagingStudy", "procedureReference", "Procedure"),
    _row("Specimen", "request.0", "ServiceRequest"),
    _row("Specimen", "parent.0", "Specimen"),
    _row("Basic", "extension.0.valueReference", "Observation"),
    _row("Patient", "link.0.other", "Patient"),
    _row("Patient", "contact.0.extension.0.valueReference", "RelatedPerson"),
]  # fmt: skip

_SIBLINGS: dict[str, Json] = {
    "Encounter.diagnosis": {"use": {"text": "chief"}, "rank": 1},
    "List.entry": {"flag": {"text": "new"}},
    "CareTeam.participant": {"role": [{"text": "kin"}]},
    "Composition.section": {"title": "a section"},
    "Composition.section.section": {"title": "inside"},
    "Claim.diagnosis": {"sequence": 1},
    "Task.input": {"type": {"text": "an input"}},
    "QuestionnaireResponse.item": {"linkId": "1"},
    "ClinicalImpression.investigation": {"code": {"text": "looked at"}},
}


OF_PATIENTS = frozenset({"AuditEvent"})
"""Types that the patient alone reads here; what they refer to is about somebody else."""


def target_of(number: int, row: Referring) -> str:
    """What a resource refers to."""
    return f"{row.target}/t{number}"


def hidden(number: int, row: Referring) -> Json:
    """The target: about the same patient, and very restricted; a Patient is one whom nobody knows."""
    made: Json = {
        "resourceType": row.target, "id": f"t{number}", "meta": _V, "language": f"x-{CANARY}t{number}",
    }  # fmt: skip
    for element in ABOUT.get(row.target, ())[:1]:
        made[element] = {"reference": "Patient/noe"} if row.rtype in OF_PATIENTS else PATIENT
    return made


def referring(number: int, row: Referring, reference: Json | None) -> Json:
    """The visible resource; `None`: it was written without the reference."""
    own = "camille" if row.rtype == "Patient" else f"r{number}"
    made: Json = {"resourceType": row.rtype, "id": own, "status": "final", "language": "fr"}
    if row.rtype not in ("Patient", "AuditEvent", "Task", "Appointment"):
        made[ABOUT[row.rtype][0]] = PATIENT
    if row.rtype == "Observation":
        made["code"] = {"text": "something"}
    made |= row.more
    if reference is not None:
        _put(made, row.rtype, row.path.split("."), reference)
    return made


def _put(node: Any, place: str, steps: list[str], value: Json) -> None:
    name, *rest = steps
    if not rest:
        node[name] = value
        return
    here = f"{place}.{name}"
    if rest[0].isdigit():
        items = node.setdefault(name, [])
        number, *rest = rest
        while len(items) <= int(number):
            extension = {"url": _EXT} if name.endswith("xtension") else {}
            items.append({**extension, **_SIBLINGS.get(here, {})})
        if not rest:
            items[int(number)] = value
        else:
            _put(items[int(number)], here, rest, value)
        return
    _put(node.setdefault(name, {}), here, rest, value)


def canaried(number: int, row: Referring) -> Json:
    """A reference that tells all it can."""
    mark = f"{CANARY}t{number}"
    return {
        "reference": target_of(number, row),
        "display": f"{mark}-display",
        "identifier": {"system": "urn:x", "value": f"{mark}-identifier"},
    }
