"""Break-glass in AuditEvents: purpose BTG, the grant, start and stop of the override (standards BTG-3, BTG-7; DICOM PS3.16 CID 401).

A use, a start and an end each say which grant it was; the justification stands with the start. Pure.
"""

from collections.abc import Iterable

from proxy.audit.agent import plain
from proxy.audit.balp import Json, coding, concept
from proxy.audit.entry import Entry, GrantAct, GrantNote, Judged
from proxy.fhir.coding import ACT_REASON, Coding

_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_STARTED = Coding(_DCM, "110127")
_STOPPED = Coding(_DCM, "110138")
_SUBTYPES = {
    GrantAct.STARTED: _STARTED,
    GrantAct.ENDED: _STOPPED,
    GrantAct.EXPIRED: _STOPPED,
}
"""Emergency Override Started, Emergency Override Stopped."""
_OTHER = Coding("http://terminology.hl7.org/CodeSystem/audit-entity-type", "4")
BREAK_GLASS = concept(Coding(ACT_REASON, "BTG"))


def patients_of(entry: Entry) -> list[str]:
    """Whom the acts of a ceremony or a review are about; a use is told by what was disclosed."""
    acts = (note.patient for note in entry.grants if note.act is not GrantAct.USED)
    return list(dict.fromkeys(acts))


def told(event: Json, entry: Entry, patient: str) -> Json:
    """The RESTful event about one patient, with what became of that patient's grants; the same event where nothing did."""
    notes = [note for note in entry.grants if note.patient == patient]
    if not notes:
        return event
    if all(note.act is GrantAct.REVIEWED for note in notes):  # looked at, not in an emergency
        return {**event, "entity": [*event.get("entity", []), *_entities(notes)]}
    marks = [coding(_SUBTYPES[note.act]) for note in notes if note.act in _SUBTYPES]
    return {
        **event,
        "subtype": [*marks, *event.get("subtype", [])],
        "purposeOfEvent": [BREAK_GLASS],
        "agent": [_in_emergency(agent) for agent in event["agent"]],
        "entity": [*event.get("entity", []), *_entities(notes)],
    }


def purposes_under(judged: Judged, purposes: list[Json]) -> list[Json]:
    """The purposes of an authorization decision: under a grant, break-glass."""
    return [BREAK_GLASS] if judged.grants else purposes


def _in_emergency(agent: Json) -> Json:
    """The user's agent, whose purpose is break-glass too."""
    if not agent.get("requestor"):
        return agent
    return {**agent, "purposeOfUse": [*agent.get("purposeOfUse", []), BREAK_GLASS]}


def _entities(notes: Iterable[GrantNote]) -> list[Json]:
    return [
        {
            "what": {"identifier": {"value": note.id}},
            "type": coding(_OTHER),
            "description": f"break-glass grant, {note.act.value}",
            **_detail(note),
        }
        for note in notes
    ]


def _detail(note: GrantNote) -> Json:
    """Reason and text, where there are any: FHIR has no empty lists."""
    said = {"reason": plain(note.reason), _TEXT[note.act]: plain(note.text)}
    detail = [{"type": name, "valueString": value} for name, value in said.items() if value]
    return {"detail": detail} if detail else {}


_TEXT = {
    GrantAct.STARTED: "justification",
    GrantAct.USED: "use",
    GrantAct.ENDED: "end",
    GrantAct.EXPIRED: "end",
    GrantAct.REVIEWED: "review",
}
"""What the text of an act is."""
