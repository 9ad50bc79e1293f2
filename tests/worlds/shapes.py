"""Requests of every shape that callers may try: reads, histories, searches by each kind of parameter, pages, includes."""

from tests.worlds.twins import Shape
from tests.worlds.wire_shapes import ADDRESSED, HEADED

_IDS = (
    "Patient/camille", "Patient/noe", "Patient/no-such", "Observation/seen-0", "Observation/run-a0",
    "Observation/no-such", "DocumentReference/marcel-doc-surgery", "Consent/denise-denies-dr-blanc",
    "Provenance/camille-surgery-provenance", "Binary/marcel-surgery-pdf", "Encounter/susan-addiction-visit",
    "Group/prevention-grippe", "Practitioner/dr-vernay", "Observation/camille-about-leo", "Patient/no-such/_history/1",
    "Observation/relabelled", "Observation/relabelled/_history", "Observation/relabelled/_history/1", "Observation/relabelled/_history/2",
    "Patient/camille/_history/1", "Patient/camille/_history", "Observation/cut", "Observation/cut/_history/1",
)  # fmt: skip
_READS = [Shape(one) for one in _IDS]
_VERSIONS = [Shape(f"{one}/_history/1") for one in _IDS[:6]]
_HISTORIES = [Shape(f"{one}/_history") for one in _IDS[:8]]
_HEADS = [
    Shape(one, "HEAD")
    for one in (*_IDS[:6], "Observation?patient=camille", "Observation/run-a0/_history")
]

_SEARCHES = [
    # everybody
    "Patient", "Observation", "Condition", "DocumentReference", "Encounter", "MedicationRequest", "Consent", "CareTeam",
    "Provenance", "AuditEvent", "Binary", "Group", "Task", "Appointment", "Coverage", "RelatedPerson", "List",
    # reference
    "Observation?patient=camille", "Observation?subject=Patient/camille", "Observation?subject:Patient=camille",
    "Observation?patient=noe", "Observation?patient=camille,noe,ines", "Observation?patient=no-such",
    "Observation?performer=Practitioner/dr-vernay", "Observation?encounter=Encounter/camille-consultation-2",
    "Observation?subject=Group/prevention-grippe", "Observation?patient=camille&patient=noe",
    "Observation?subject:identifier=x", "Observation?performer:missing=true",
    "DocumentReference?patient=marcel", "DocumentReference?author=Practitioner/dr-vernay",
    "Encounter?participant=Practitioner/dr-soler", "Condition?patient=susan", "MedicationRequest?patient=susan",
    "Appointment?patient=leo", "Task?patient=susan", "Consent?patient=denise", "CareTeam?participant=Practitioner/dr-soler",
    # token
    "Observation?code=http://loinc.org|1003-0", "Observation?code=1003-0,1001-0", "Observation?status=final",
    "Observation?code:missing=true", "Observation?code:not=1003-0", "Observation?category=laboratory&patient=camille",
    "Condition?code=http://hl7.org/fhir/sid/icd-10|F11.2", "Condition?code=http://snomed.info/sct|75544000",
    "Patient?gender=female", "Patient?identifier=x", "Patient?active:missing=false", "Patient?deceased:missing=true",
    "Encounter?class=EMER", "DocumentReference?type:missing=false",
    # string, date, quantity, id
    "Patient?name=a", "Patient?family:contains=e", "Patient?given:exact=Camille", "Patient?address=a", "Patient?phone:missing=true",
    "Patient?birthdate=ge1970", "Observation?date=ge2026-05-01", "Observation?date=lt2026-05-01&patient=camille",
    "Observation?date:missing=true", "Observation?value-quantity=gt5", "Observation?value-quantity=3",
    "Observation?_id=run-a0", "Observation?_id=run-a0,seen-0,seen-1,noe-3", "Patient?_id=noe", "Patient?_id=camille,noe",
    "Observation?_lastUpdated=ge2020", "Patient?_lastUpdated=gt2026-11-22T08:30:00Z",
    # what some see redacted, or cut out
    "Patient?phone=0", "Patient?email=other@example.org", "Patient?address-city=Elsewhere", "Patient?telecom:missing=false",
    "Patient?_sort=address-city", "Observation?value-string=another", "Observation?value-string:missing=false",
    "Observation?patient=camille&_sort=value-string", "Observation?subject:Patient.address-city=Elsewhere",
    "Patient?_has:Observation:patient:value-string=another", "Observation?patient=camille&value-string:contains=thing&_total=accurate",
    # sort
    "Observation?patient=camille&_sort=date", "Observation?patient=camille&_sort=-date,code", "Observation?_sort=value-quantity",
    "Patient?_sort=birthdate", "Patient?_sort=-family", "Observation?_sort=-_lastUpdated", "Observation?_sort=patient,-_id",
    # includes
    "Observation?patient=camille&_include=Observation:performer", "Observation?patient=camille&_include=Observation:encounter",
    "Observation?_include=Observation:subject&_include=Observation:performer", "Observation?_include=Observation:subject:Patient",
    "Patient?_revinclude=Observation:patient", "Patient?_id=camille&_revinclude=Observation:subject",
    "Patient?_revinclude=Encounter:patient&_revinclude=Condition:patient", "Practitioner?_revinclude=Observation:performer",
    "Encounter?_revinclude=Observation:encounter", "Patient?_revinclude=Provenance:target",
    "DocumentReference?_include=DocumentReference:author", "MedicationRequest?_include=MedicationRequest:medication",
    "DiagnosticReport?_include=DiagnosticReport:result", "Patient?_include=Patient:general-practitioner",
]  # fmt: skip

_PAGED = [
    f"{base}{'&' if '?' in base else '?'}_count={count}"
    for count in (1, 2, 3, 10)
    for base in (
        "Observation?patient=camille",
        "Observation",
        "Observation?patient=camille&_sort=-date&_include=Observation:performer",
        "Patient?_revinclude=Observation:patient",
        "Practitioner?_revinclude=Observation:performer",
        "DocumentReference",
    )
]

_CHAINED = [
    # forwards
    "Observation?patient.name=noe", "Observation?patient.name=camille", "Observation?patient.name=a",
    "Observation?patient.birthdate=ge1900", "Observation?subject:Patient.birthdate=lt1980", "Observation?patient.gender=female",
    "Observation?patient._id=noe", "Observation?patient._id=camille,noe", "Observation?patient.identifier:missing=false",
    "Observation?patient.death-date:missing=true", "Observation?subject.name=a", "Observation?patient:Patient.name=a&code=1003-0",
    "Observation?performer:Practitioner.name=vernay", "Observation?performer:Practitioner._id=dr-vernay,dr-martin",
    "Observation?performer:Practitioner.identifier:missing=false", "Observation?performer.name=a",
    "Observation?encounter.status=finished", "Observation?encounter._id=camille-consultation-2", "Observation?encounter.class=EMER",
    "Observation?encounter.date=ge2020", "Encounter?patient.name=susan", "Encounter?patient.name=noe", "Encounter?diagnosis:Condition.code=F11.2",
    "Encounter?participant:Practitioner.name=soler", "Condition?patient.name=susan", "Condition?encounter.status=finished",
    "DocumentReference?patient.name=marcel", "DocumentReference?author:Practitioner.name=vernay", "MedicationRequest?medication.code:missing=false",
    "MedicationRequest?patient.name=susan", "Consent?patient.name=denise", "CareTeam?patient.name=a", "Patient?general-practitioner:Practitioner.name=a",
    "Patient?organization.name=a", "DiagnosticReport?result.code=1003-0", "DiagnosticReport?result.status=final", "Appointment?patient.name=leo",
    "Provenance?target:DocumentReference.patient=marcel", "Task?patient.name=susan", "Patient?link:RelatedPerson.name=a",
    "Observation?patient.name=noe&patient.name=camille", "Observation?patient.name=a&subject.gender=male", "Observation?has-member.code=1003-0",
    # links in a row
    "Observation?encounter.patient.name=camille", "Observation?encounter.patient.name=noe", "Observation?encounter.participant:Practitioner.name=a",
    "DiagnosticReport?result.patient.name=a", "DiagnosticReport?result.encounter.patient.name=a", "Observation?encounter.diagnosis:Condition.patient.name=a",
    # backwards
    "Patient?_has:Observation:patient:code=1003-0", "Patient?_has:Observation:patient:status=final", "Patient?_has:Observation:patient:_id=run-a0",
    "Patient?_has:Observation:patient:_id=run-a0,noe-1,seen-1", "Patient?_has:Observation:subject:date=ge2026-05-01",
    "Patient?_has:Observation:patient:value-quantity=gt3", "Patient?_has:Observation:patient:code:missing=true",
    "Patient?_has:Observation:patient:performer=Practitioner/dr-vernay", "Patient?_has:Condition:patient:code=F11.2",
    "Patient?_has:Condition:patient:code=75544000", "Patient?_has:Condition:patient:_lastUpdated=ge2020", "Patient?_has:Encounter:patient:status=finished",
    "Patient?_has:DocumentReference:patient:type:missing=false", "Patient?_has:MedicationRequest:patient:status=active", "Patient?_has:Consent:patient:status=active",
    "Patient?_has:Consent:patient:actor=Practitioner/dr-soler", "Patient?_has:CareTeam:patient:participant=Practitioner/dr-soler", "Patient?_has:AuditEvent:patient:action=R",
    "Patient?_has:Group:member:_id=prevention-grippe", "Patient?_has:Provenance:target:recorded=ge2020", "Patient?_has:List:item:status=current",
    "Practitioner?_has:Observation:performer:code=1003-0", "Practitioner?_has:Observation:performer:patient=noe", "Practitioner?_has:Observation:performer:_id=run-a0",
    "Practitioner?_has:Encounter:participant:patient=susan", "Encounter?_has:Observation:encounter:code=1003-0", "Encounter?_has:Observation:encounter:_id=run-a0,gap-1-0",
    "Encounter?_has:Observation:encounter:patient=camille", "Organization?_has:Patient:organization:name=a", "Medication?_has:MedicationRequest:medication:patient=susan",
    "Patient?_has:Observation:patient:code=1003-0&_has:Condition:patient:code:missing=false", "Patient?_id=camille,noe&_has:Observation:patient:status=final",
    "Patient?_has:Observation:patient:encounter.status=finished", "Patient?_has:Encounter:patient:_has:Observation:encounter:code=1003-0",
    "Patient?_has:Encounter:patient:_has:Observation:encounter:_id=run-a0", "Observation?patient._has:Condition:patient:code=F11.2",
    "Observation?patient._has:Observation:patient:_id=run-b0", "Patient?_has:Observation:patient:performer:Practitioner.name=vernay",
    # with everything else
    "Observation?patient.name=camille&_sort=-date", "Observation?patient.name=camille&_include=Observation:performer",
    "Observation?patient.name=camille&_include=Observation:encounter&_count=3", "Patient?_has:Observation:patient:status=final&_revinclude=Observation:patient",
    "Patient?_has:Observation:patient:status=final&_sort=-birthdate", "Observation?patient.name=a&_elements=code", "Observation?patient.name=a&_summary=count",
    "Observation?patient.name=noe&_summary=count", "Patient?_has:Observation:patient:_id=noe-0&_count=0", "Observation?patient.name=a&_total=accurate&_count=2",
]  # fmt: skip

_COUNTED = [
    f"{base}{'&' if '?' in base else '?'}{asked}"
    for asked in ("_summary=count", "_count=0", "_total=accurate", "_total=accurate&_count=2", "_total=estimate&_count=3")
    for base in (
        "Observation", "Observation?patient=camille", "Observation?patient=noe", "Patient", "DocumentReference", "Observation?code=1003-0",
    )
]  # fmt: skip

_PARTS = [
    f"{base}{asked}"
    for asked in ("_elements=code,subject", "_elements=id", "_summary=true", "_summary=text", "_summary=data")
    for base in (
        "Observation/run-a0?", "Observation/seen-0?", "Observation?patient=camille&", "Observation?patient=noe&", "Patient?", "Patient/noe?",
        "DocumentReference/marcel-doc-surgery?", "Observation/seen-0/_history?", "Observation/run-a0/_history/1?",
    )
] + [
    "Patient?_elements=Patient.name&_revinclude=Observation:patient", "Observation?_elements=code&_include=Observation:subject&_count=3",
    "Observation?_summary=data&_include=Observation:performer&_count=3",
]  # fmt: skip

_POSTED = [
    Shape("Observation/_search", "POST", "patient=camille"),
    Shape("Observation/_search?code=1003-0", "POST", "patient=noe"),
    Shape("Patient/_search", "POST", "_id=noe&_revinclude=Observation:patient"),
    Shape("Observation/_search", "POST", "patient=camille&_count=3"),
    Shape("Observation/_search", "POST", "patient.name=noe"),
    Shape("Patient/_search", "POST", "_has:Observation:patient:_id=run-a0&_summary=count"),
    Shape(
        "Observation/_search?patient.name=camille",
        "POST",
        "_total=accurate&_count=3&_elements=code",
    ),
    Shape("Observation?patient.name=noe", "HEAD"),
    Shape("Observation?_summary=count", "HEAD"),
]

_MALFORMED = [
    Shape(one)
    for one in (
        "Observation?_security=V", "Patient?_has:Observation:patient:_security=V", "Observation?patient._security=V",
        "Observation?focus.name=noe", "Observation?_sort=patient.name", "Observation?_summary=text&_include=Observation:subject",
        "Observation/run-a0/_history/x/y", "Observation?_page=AAAA", "Observation?_page=", "Observation?_id=%zz",
        "Observation/run%2Da0", "Nothing/run-a0", "Observation/run-a0/$meta", "Patient/noe/$everything",
        "Patient/noe/Observation", "Observation?nonsense=1", "Observation?_format=xml", "Observation/run-a0?_format=xml",
    )
] + [
    Shape("Observation/run-a0", "DELETE"),
    Shape("Observation/run-a0", "PUT", '{"resourceType":"Observation"}'),
    Shape("Observation", "POST", "{}"),
    Shape("", "POST", "{}"),
    Shape("Observation/run-a0", accept="application/fhir+xml"),
]  # fmt: skip

SHAPES = list(
    dict.fromkeys(
        [
            *_READS,
            *_VERSIONS,
            *_HISTORIES,
            *_HEADS,
            *map(Shape, _SEARCHES),
            *map(Shape, _PAGED),
            *map(Shape, _CHAINED),
            *(Shape(f"{base}&_count=2") for base in _CHAINED[:12] if "_count" not in base),
            *map(Shape, _COUNTED),
            *map(Shape, _PARTS),
            *_POSTED,
            *_MALFORMED,
            *ADDRESSED,
        ]
    )
)
"""The one list. What is added here is asked by everybody, of the sandbox and of a HAPI FHIR server."""
EVERY = list(dict.fromkeys([*SHAPES, *HEADED]))
"""And such as are refused or served alike whoever asks: the callers take turns with them."""
