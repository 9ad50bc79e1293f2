import orjson
import pytest
from hypothesis import given

from proxy.fhir.coding import CONFIDENTIALITY, INLINE_LABEL, Coding
from proxy.fhir.envelope import UnreadableError
from proxy.fhir.label_places import label_places
from tests.situations import READER
from tests.stage import Json
from tests.strategies import observations

R = {"system": CONFIDENTIALITY, "code": "R"}
RESTRICTED = Coding(CONFIDENTIALITY, "R")
INLINE = {"url": INLINE_LABEL, "valueCoding": R}

CASES: list[tuple[Json, tuple[str, ...]]] = [
    ({}, ()),
    ({"meta": {"security": [R]}}, ("meta.security[0]",)),
    ({"meta": {"security": [{"code": "x"}, R, R]}}, ("meta.security[1]", "meta.security[2]")),
    ({"meta": {"security": [{**R, "system": "urn:oid:2.16.840.1.113883.5.25"}]}}, ("meta.security[0]",)),
    ({"component": [{}, {"extension": [INLINE]}]}, ("component[1].extension[0] (inline)",)),
    ({"contained": [{"resourceType": "Patient", "meta": {"security": [R]}}]}, ("contained[0].meta.security[0]",)),
    ({"note": {"meta": {"security": [R]}}}, ()),
    ({"meta": {"security": "R", "tag": [R]}}, ()),
    ({"contained": [{"resourceType": "DocumentReference", "securityLabel": [{"coding": [R]}]}]}, ("contained[0].securityLabel[0].coding[0]",)),
    ({"contained": [{"resourceType": "Composition", "confidentiality": "R"}]}, ("contained[0].confidentiality",)),
    ({"securityLabel": [{"coding": [R]}]}, ()),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "places"), CASES)
def test_a_label_is_found_where_it_stands(resource: Json, places: tuple[str, ...]) -> None:
    found = label_places(orjson.dumps({"resourceType": "Observation", "id": "1", **resource}))
    assert found.get(RESTRICTED, ()) == places


@given(observations())
def test_every_label_of_an_envelope_has_a_place_and_no_other_label_has(resource: Json) -> None:
    raw = orjson.dumps({"resourceType": "Observation", **resource, "id": "x"})
    assert set(label_places(raw)) == READER.read(raw).labels


def test_what_is_no_json_cannot_be_read() -> None:
    with pytest.raises(UnreadableError):
        label_places(b"{")
