import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.fhir.envelope import UnreadableError
from proxy.fhir.interaction import FhirRequest
from proxy.obligations.subset import opens, part_of, parts
from tests.obligations.cases import DEFINITIONS, search
from tests.stage import Json

TAG = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}
OBSERVATION: Json = {
    "resourceType": "Observation",
    "id": "o",
    "meta": {"versionId": "3", "security": [{"code": "R"}], "tag": [{"code": "kept"}]},
    "implicitRules": "http://example.org/rules",
    "language": "fr",
    "text": {"status": "generated", "div": "<div>x</div>"},
    "contained": [{"resourceType": "Patient", "id": "p"}],
    "extension": [{"url": "http://example.org/e", "valueString": "x"}],
    "modifierExtension": [{"url": "http://example.org/m", "valueString": "x"}],
    "status": "final",
    "_status": {"id": "s"},
    "code": {"text": "c"},
    "subject": {"reference": "Patient/p"},
    "effectiveDateTime": "2026-01-01",
    "_effectiveDateTime": {"id": "e"},
    "valueQuantity": {"value": 1.50},
    "valueSetLike": "x",
    "note": [{"text": "n"}],
}
ALWAYS = {"resourceType", "id", "meta", "implicitRules", "status", "_status", "code"}


def cut(resource: Json, query: str, rtype: str = "Observation") -> Json:
    request = search(f"{rtype}?{query}")
    found = orjson.loads(
        part_of(orjson.dumps(resource), resource["resourceType"], request, DEFINITIONS)
    )
    assert isinstance(found, dict)
    return found


KEPT = [
    ("_elements=note", ALWAYS | {"modifierExtension", "note"}),
    ("_elements=value", ALWAYS | {"modifierExtension", "valueQuantity"}),
    ("_elements=valueQuantity", ALWAYS | {"modifierExtension", "valueQuantity"}),
    ("_elements=valueString", ALWAYS | {"modifierExtension"}),
    ("_elements=effective", ALWAYS | {"modifierExtension", "effectiveDateTime", "_effectiveDateTime"}),
    ("_elements=Observation.subject,nonsense", ALWAYS | {"modifierExtension", "subject"}),
    ("_elements=id", ALWAYS | {"modifierExtension"}),
    ("_elements=text,contained", ALWAYS | {"modifierExtension", "text", "contained"}),
    ("_summary=true", ALWAYS | {"modifierExtension", "subject", "effectiveDateTime", "_effectiveDateTime", "valueQuantity"}),
    ("_summary=text", ALWAYS | {"text"}),
    ("_summary=data", set(OBSERVATION) - {"text"}),
]  # fmt: skip


@pytest.mark.parametrize(("query", "kept"), KEPT)
def test_what_is_asked_for_stays_with_what_must_be_there(query: str, kept: set[str]) -> None:
    found = cut(OBSERVATION, query)
    assert set(found) == kept
    assert {key: found[key] for key in kept - {"meta"}} == {
        key: OBSERVATION[key] for key in kept - {"meta"}
    }


@pytest.mark.parametrize("query", [query for query, _ in KEPT])
def test_a_part_says_that_it_is_one_and_keeps_its_labels(query: str) -> None:
    meta = cut(OBSERVATION, query)["meta"]
    assert meta == {**OBSERVATION["meta"], "tag": [{"code": "kept"}, TAG]}
    bare = {"resourceType": "Observation", "id": "o", "status": "final"}
    assert list(cut(bare, query)) == ["resourceType", "id", "meta", "status"]


@pytest.mark.parametrize("name", ["active", "deceasedBoolean", "link"])
def test_what_may_change_the_meaning_stays(name: str) -> None:
    patient = {"resourceType": "Patient", "id": "p", name: True, "gender": "female"}
    assert set(cut(patient, "_elements=name", "Patient")) == {"resourceType", "id", "meta", name}


def test_elements_speak_of_the_type_that_is_asked_for_and_a_summary_of_all() -> None:
    elements, summary = search("Observation?_elements=code"), search("Observation?_summary=data")
    assert [parts(elements, one) for one in ("Observation", "Patient")] == [True, False]
    assert [parts(summary, one) for one in ("Observation", "Patient")] == [True, True]
    assert not parts(search("Observation?_summary=false"), "Observation")


def test_numbers_stay_as_they_were_written() -> None:
    raw = (
        b'{"resourceType":"Observation","id":"o","valueQuantity":{"value":1.50000000000000000001}}'
    )
    found = part_of(raw, "Observation", search("Observation?_elements=value"), DEFINITIONS)
    assert b"1.50000000000000000001" in found


@pytest.mark.parametrize("raw", [b"[]", b"{", b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", b"{}"])
def test_what_does_not_open_is_told(raw: bytes) -> None:
    assert not opens(raw)
    with pytest.raises(UnreadableError):
        part_of(raw, "Observation", search("Observation?_elements=value"), DEFINITIONS)
    assert opens(orjson.dumps(OBSERVATION))


@given(st.sets(st.sampled_from([*OBSERVATION, "value", "effective", "x"])), st.booleans())
def test_a_part_holds_nothing_else_than_the_whole(names: set[str], plain: bool) -> None:
    wanted = sorted(one for one in names if not one.startswith("_"))
    query = f"_elements={','.join(wanted)}" if wanted and plain else "_summary=true"
    request: FhirRequest = search(f"Observation?{query}")
    found = orjson.loads(part_of(orjson.dumps(OBSERVATION), "Observation", request, DEFINITIONS))
    del found["meta"]
    assert found.items() <= OBSERVATION.items()
