"""Searches in compartments of every kind: one type, all types at once, by GET, HEAD and POST; and what looks like one and is none."""

from tests.worlds.twins import Shape

_OWNERS = {
    "Encounter": ("h-visit", "h-hidden-visit", "h-no-such", "camille-consultation-2", "susan-addiction-visit", "noe-emergency"),
    "Practitioner": ("dr-vernay", "dr-martin", "no-such"),
    "RelatedPerson": ("leo-mother", "h-secret", "no-such"),
    "Device": ("h-secret", "no-such"),
    "Patient": ("camille", "noe", "no-such"),
}  # fmt: skip
_MEMBERS = {
    "Encounter": ("Observation", "Condition", "DocumentReference", "Encounter", "MedicationRequest"),
    "Practitioner": ("Observation", "Encounter", "Practitioner", "Group"),
    "RelatedPerson": ("Observation", "RelatedPerson", "Patient", "CareTeam"),
    "Device": ("Observation", "Device", "Group"),
    "Patient": ("Group", "List", "Account", "Composition"),
}  # fmt: skip
_ONE_TYPE = [
    f"{owner}/{name}/{rtype}"
    for owner, names in _OWNERS.items()
    for name in names
    for rtype in _MEMBERS[owner]
]
_FILTERED = [
    f"Encounter/{name}/Observation?{rest}"
    for name in ("h-visit", "h-hidden-visit", "camille-consultation-2")
    for rest in ("_count=1", "_summary=count", "_total=accurate&_count=2", "_id=h-secret,h-in-visit,run-a0", "code=1003-0", "_sort=-date&_count=3",
                 "_include=Observation:performer", "_elements=code", "patient=camille", "subject=Patient/noe")
] + [
    "Practitioner/dr-vernay/Observation?_count=1", "Practitioner/dr-vernay/Observation?_summary=count", "Practitioner/dr-vernay/Observation?patient=camille&_count=2",
    "Encounter/h-visit/Encounter?_id=h-hidden-visit", "Encounter/h-hidden-visit/Encounter?_id=h-hidden-visit", "Encounter/h-hidden-visit/Condition?_revinclude=Encounter:diagnosis",
]  # fmt: skip
_TYPES = "_type=Observation,Encounter,Condition,List,Group,DocumentReference"
_EVERY = [
    "Patient/camille/*?_count=50", "Patient/noe/*", "Patient/no-such/*", f"Patient/camille/*?{_TYPES}&_count=7", f"Patient/camille/*?{_TYPES}&_summary=count",
    f"Patient/camille/*?{_TYPES}&_total=accurate&_count=40", f"Patient/noe/*?{_TYPES}&_summary=count", "Patient/camille/*?_type=Observation&_id=run-a0,seen-0,noe-1",
    "Patient/camille/*?_id=h-secret,h-open&_type=Condition,Observation", "Patient/camille/*?_type=Condition&_lastUpdated=gt2020", "Patient/camille/*?_type=Patient",
    f"Patient/camille/*?{_TYPES}&_elements=id&_count=40", "Patient/camille/*?_type=Encounter,Condition&_summary=text", "Encounter/h-visit/*", "Encounter/h-hidden-visit/*",
    "Encounter/h-no-such/*", "Encounter/camille-consultation-2/*?_count=2", "Encounter/noe-emergency/*?_type=Observation,Encounter", "Encounter/h-visit/*?_summary=count",
    "Practitioner/dr-vernay/*?_type=Observation,DocumentReference,Practitioner&_count=4", "Practitioner/no-such/*?_type=Observation", "RelatedPerson/leo-mother/*?_type=Observation,RelatedPerson,CareTeam",
    "RelatedPerson/h-secret/*?_type=Observation,RelatedPerson,CareTeam", "Device/h-secret/*?_type=Observation,Group", "Device/no-such/*?_type=Observation,Group",
]  # fmt: skip
_REFUSED = [
    "Patient/camille/*?code=1003-0", "Patient/noe/*?_sort=_id", "Patient/noe/*?_include=*", "Patient/noe/*?_type=Medication", "Patient/noe/*?_list=h-some", "Encounter/noe-emergency/*?_type=Patient",
    "Patient/noe/*?_has:Observation:patient:code=1003-0", "Encounter/noe-emergency/Patient", "Encounter/noe-emergency/Practitioner", "Organization/x/Observation", "Group/h-group/*", "List/h-some/*/_search",
    "Patient/noe/*?_lastUpdated=gt2020", "Encounter/noe-emergency/Observation?_leg=Observation.encounter", "Patient/noe/*?_page=AAAA", "Encounter/h-hidden-visit/Observation?_list=h-some",
]  # fmt: skip
_OTHERWISE = [
    Shape("Encounter/h-visit/Observation/_search", "POST", "_count=2"),
    Shape("Encounter/h-hidden-visit/Observation/_search", "POST", "code=1003-0"),
    Shape("Patient/camille/_search", "POST", "_type=Condition,Encounter&_count=3"),
    Shape("Patient/noe/_search", "POST", "_type=Condition,Encounter"),
    Shape("Encounter/h-visit/_search?_type=Observation", "POST", "_id=h-secret,h-in-visit"),
    Shape("Encounter/h-visit/*", "POST", ""),
    Shape("Encounter/h-hidden-visit/*?_type=Observation", "HEAD"),
    Shape("Encounter/h-visit/Observation", "HEAD"),
    Shape("Practitioner/dr-vernay/Observation", "HEAD"),
    Shape("Patient/noe/*", "DELETE"),
]
COMPARTMENT_SHAPES = [*map(Shape, (*_ONE_TYPE, *_FILTERED, *_EVERY, *_REFUSED)), *_OTHERWISE]
