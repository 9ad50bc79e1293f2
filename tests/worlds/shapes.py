"""Requests of every shape that callers may try: reads, histories, searches by each kind of parameter, pages, includes."""

from tests.worlds.twins import Shape

_IDS = (
    "Patient/camille", "Patient/noe", "Patient/no-such", "Observation/seen-0", "Observation/run-a0",
    "Observation/no-such", "DocumentReference/marcel-doc-surgery", "Consent/denise-denies-dr-blanc",
    "Provenance/camille-surgery-provenance", "Binary/marcel-surgery-pdf", "Encounter/susan-addiction-visit",
    "Group/prevention-grippe", "Practitioner/dr-vernay", "Observation/camille-about-leo",
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

_POSTED = [
    Shape("Observation/_search", "POST", "patient=camille"),
    Shape("Observation/_search?code=1003-0", "POST", "patient=noe"),
    Shape("Patient/_search", "POST", "_id=noe&_revinclude=Observation:patient"),
    Shape("Observation/_search", "POST", "patient=camille&_count=3"),
]

_MALFORMED = [
    Shape(one)
    for one in (
        "Observation?patient=camille&_total=accurate", "Observation?_summary=count", "Observation?_security=V",
        "Patient?_has:Observation:patient:code=1003-0", "Observation?patient.name=noe", "Observation/run-a0?_elements=id",
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

SHAPES = [
    *_READS,
    *_VERSIONS,
    *_HISTORIES,
    *_HEADS,
    *map(Shape, _SEARCHES),
    *map(Shape, _PAGED),
    *_POSTED,
    *_MALFORMED,
]
