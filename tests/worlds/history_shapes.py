"""Histories of types, of the system, and of what was deleted: requests, and what happened for them to tell of."""

from typing import Any

from tests.stage import CANARY, Json
from tests.worlds.twins import Shape, Thing, labelled, observation, thing

_TYPES = ("Observation", "Patient", "Condition", "Encounter", "DocumentReference", "Consent", "CareTeam", "Practitioner", "Medication", "Group", "Binary", "Provenance", "AuditEvent", "Task", "Nothing")  # fmt: skip
_OF_TYPES = [f"{rtype}/_history" for rtype in _TYPES]
_ASKED = (
    "_count=10", "_count=1000", "_since=2020-01-01T00:00:00Z", "_since=2100-01-01T00:00:00Z", "_count=40&_since=2020-01-01T00:00:00%2B01:00",
    "_summary=true&_count=50", "_summary=text&_count=50", "_summary=data&_count=50", "_summary=false&_count=50", "_format=json&_count=100", "_pretty=true&_count=100",
)  # fmt: skip
_REFUSED = (
    "_at=2020", "_list=1", "_sort=_lastUpdated", "_sort=-_lastUpdated", "_count=0", "_count=-1", "_summary=count", "_since=2020", "_total=accurate", "_type=Observation",
    "code=1003-0", "patient=noe", "_page=AAAA", "_include=Observation:subject", "_security=V", "_format=xml", "_offset=3", "_elements=*",
)  # fmt: skip
_FILTERED = [f"{path}/_history?{asked}" for path in ("Observation", "Patient") for asked in (*_ASKED, *_REFUSED)] + [
    f"_history?{asked}" for asked in ("_count=60", *_ASKED[1:4], *_REFUSED, "_elements=code", "_summary=true&_count=100")
]  # fmt: skip
_PAGED = [
    "Observation/_history?_elements=code&_count=30", "Observation/_history?_elements=id,subject&_count=100", "Condition/_history?_count=1",
    "Encounter/_history?_count=2", "Practitioner/_history?_count=1", "DocumentReference/_history?_count=1", "Consent/_history?_count=1",
]  # fmt: skip
NAMES = (
    "back",
    "back-hidden",
    "gone",
    "gone-hidden",
    "gone-of-noe",
    "hidden-later",
    "moved-here",
    "moved-away",
    "twice",
)
_INSTANCES = [
    f"Observation/h-{name}{rest}"
    for name in (*NAMES, "never-there")
    for rest in ("", "/_history", "/_history?_count=1", "/_history/1", "/_history/2", "/_history/3")
]
_HEADS = [
    Shape(target, "HEAD")
    for target in ("_history", "Observation/_history", "Observation/h-gone/_history", "Observation/h-gone-hidden/_history")
]  # fmt: skip
_OTHERWISE = [
    Shape("_history", "POST", "_count=3"),
    Shape("Observation/_history", "POST", "_count=3"),
    Shape("Observation/_history", "DELETE"),
    Shape("_history", accept="application/fhir+xml"),
    Shape("Observation/_history", headers=(("prefer", "respond-async"),)),
    Shape("Observation/_history", headers=(("if-none-match", "*"),)),
    Shape("Observation/_history/1"),
    Shape("_history/1"),
    Shape("Patient/noe/Observation/_history"),
    Shape("Patient/_history/_history"),
]

HISTORY_SHAPES = [
    *map(Shape, ("_history", *_OF_TYPES, *_FILTERED, *_PAGED, *_INSTANCES)),
    *_HEADS,
    *_OTHERWISE,
]


def _version(name: str, patient: str, number: int, *labels: str) -> Json:
    """A version of an Observation; one that some may not see has a canary in it."""
    more: dict[str, Any] = {"performer": [{"reference": "Practitioner/dr-vernay"}]}
    if labels or patient == "noe":
        more["code"] = {"text": f"{CANARY}h-{name}"}
    if labels:
        more["meta"] = labelled(*labels)
    return observation(f"h-{name}", patient, number, **more)


def deleted(name: str) -> Thing:
    return Thing(f"Observation/h-{name}", b"", frozenset())


def past() -> list[Thing]:
    """What was changed, hidden, shown, handed over, deleted and brought back. What somebody sees now has no hidden past in this list."""
    steps: list[Json | Thing] = [
        _version("gone", "camille", 1), _version("gone", "camille", 2), deleted("gone"),
        _version("gone-hidden", "camille", 1), _version("gone-hidden", "camille", 2, "V"), deleted("gone-hidden"),
        _version("gone-of-noe", "noe", 1), deleted("gone-of-noe"),
        _version("back", "camille", 1), deleted("back"), _version("back", "camille", 2),
        _version("back-hidden", "camille", 1), deleted("back-hidden"), _version("back-hidden", "camille", 2, "V"),
        _version("hidden-later", "camille", 1), _version("hidden-later", "camille", 2, "V"),
        _version("moved-here", "susan", 1), _version("moved-here", "camille", 2),
        _version("moved-away", "camille", 1), _version("moved-away", "noe", 2),
        _version("twice", "camille", 1), deleted("twice"), _version("twice", "camille", 2), deleted("twice"),
    ]  # fmt: skip
    return [one if isinstance(one, Thing) else thing(one) for one in steps]
