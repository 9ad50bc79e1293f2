import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.fhir.definitions import definitions_of
from proxy.sandbox import body
from proxy.sandbox.model import FhirError

R4 = definitions_of("4.0.1")
NOW = "2026-01-01T00:00:00.000Z"


def test_sealing_splices_id_and_meta_and_keeps_every_other_byte() -> None:
    given_ = b'{"resourceType":"Observation","valueQuantity":{"value":0.010},"n":1E+2,"big":12345678901234567890123}'

    sealed = body.sealed(body.draft_of(given_, R4), "x", 3, NOW)

    assert sealed == (
        b'{"resourceType":"Observation","id":"x","meta":{"versionId":"3","lastUpdated":"%b"},'
        % NOW.encode()
        + b'"valueQuantity":{"value":0.010},"n":1E+2,"big":12345678901234567890123}'
    )


def test_sealing_keeps_the_rest_of_meta() -> None:
    given_ = b'{"resourceType":"Patient","meta":{"versionId":"9","security":[{"code":"R"}]}}'

    meta = json.loads(body.sealed(body.draft_of(given_, R4), "x", 1, NOW))["meta"]

    assert meta == {"versionId": "1", "lastUpdated": NOW, "security": [{"code": "R"}]}


@pytest.mark.parametrize(
    "broken",
    [
        b"", b"{", b"[]", b"1", b'{"resourceType":"Unicorn"}', b'{"id":"x"}', b'{"resourceType":1}',
        b'{"resourceType":"Patient","id":"a b"}', b'{"resourceType":"Patient","id":7}', b"[" * 100_000,
        b'{"resourceType":"Patient","gender":"\xff"}', b'{"resourceType":"Patient","x":NaN}',
    ],
)  # fmt: skip
def test_a_body_that_is_no_resource_is_refused(broken: bytes) -> None:
    with pytest.raises(FhirError) as refused:
        body.draft_of(broken, R4)
    assert refused.value.status == 400


def test_meta_that_is_no_object_is_refused() -> None:
    with pytest.raises(FhirError):
        body.sealed(body.draft_of(b'{"resourceType":"Patient","meta":[]}', R4), "x", 1, NOW)


def test_two_versions_have_one_content_if_only_id_version_time_and_order_differ() -> None:
    one = b'{"resourceType":"Patient","id":"x","meta":{"versionId":"1","lastUpdated":"a"},"a":1,"b":2}'
    two = b'{"resourceType":"Patient","id":"x","meta":{"versionId":"2","lastUpdated":"b"},"b":2,"a":1}'

    assert body.content_of(one) == body.content_of(two)
    assert body.content_of(one) != body.content_of(two.replace(b'"b":2', b'"b":2.0'))


def test_a_subset_keeps_id_meta_and_what_is_asked_with_its_extensions() -> None:
    whole = b'{"resourceType":"Patient","id":"x","gender":"male","_gender":{"id":"g"},"birthDate":"1990"}'

    some = json.loads(body.subset(whole, {"gender"}))

    assert set(some) == {"resourceType", "id", "gender", "_gender", "meta"}
    assert [tag["code"] for tag in some["meta"]["tag"]] == ["SUBSETTED"]


def test_only_references_are_rewritten() -> None:
    given_ = rb'{"reference" : "urn:a","display":"urn:a","note":"\"reference\":\"urn:a\"","n":1.0}'

    rewritten = body.with_references(given_, {"urn:a": "Patient/1"}.get)  # type: ignore[arg-type]

    assert rewritten == (
        rb'{"reference":"Patient/1","display":"urn:a","note":"\"reference\":\"urn:a\"","n":1.0}'
    )


def test_the_same_json_is_the_same_however_numbers_are_spelled() -> None:
    one, two = (body.verbatim_tree_of(text) for text in (b'{"a":1.50,"b":2}', b'{"b":2,"a":1.5}'))

    assert body.same_json(one, two)
    assert not body.same_json(one, {"a": 1.5})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(min_size=1), VALUES, max_size=5))
def test_sealing_changes_no_element_but_id_and_meta(elements: dict[str, object]) -> None:
    own = {"resourceType": "Basic", "id": "x"}
    rest = {name: value for name, value in elements.items() if name not in {*own, "meta"}}

    sealed = json.loads(
        body.sealed(body.draft_of(json.dumps(own | rest).encode(), R4), "x", 1, NOW)
    )

    assert {name: value for name, value in sealed.items() if name != "meta"} == own | rest
