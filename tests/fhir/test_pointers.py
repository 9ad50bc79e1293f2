import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.fhir.envelope import UNTOLD
from proxy.fhir.links import reference_of
from proxy.fhir.pointers import attachments_in, may_be_at, pointed_at, references_in

BASES = ("http://gateway.example.org/fhir", "http://upstream:8090/fhir")


def _pointed(text: str) -> str | None:
    return pointed_at(text, lambda one: reference_of(one, BASES), BASES)


@pytest.mark.parametrize(
    "text",
    [
        "Observation/x",
        "Observation/x/_history/2",
        "http://gateway.example.org/fhir/Observation/x",
        "http://upstream:8090/fhir/Observation/x/_history/1",
        "HTTP://UPSTREAM:8090/fhir/Observation/x",
    ],
)
def test_every_spelling_of_one_of_ours_names_it(text: str) -> None:
    assert _pointed(text) == "Observation/x"


@pytest.mark.parametrize(
    "text",
    [
        "#contained",
        "#",
        "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
        "urn:oid:1.2.3",
        "https://elsewhere.example.org/fhir/Observation/x",
        "http://upstream:9999/fhir/Observation/x",
    ],
)
def test_what_is_nobody_of_ours_names_none(text: str) -> None:
    assert _pointed(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "observation/x",
        "Observation/x ",
        " Observation/x",
        "/Observation/x",
        "./Observation/x",
        "Observation/x/",
        "Observation/x?y",
        "Observation/x/_history",
        "Observation?identifier=1",
        "Observation%2Fx",
        "//upstream:8090/fhir/Observation/x",
        "http://upstream:8090/fhir/Observation/x ",
        "http://upstream:8090/fhir//Observation/x",
        "http://upstream:8090/FHIR/Observation/x",
        "http://upstream.:8090/fhir/Observation/x",
        "http://somebody@upstream:8090/fhir/Observation/x",
        "http:\\\\upstream:8090\\fhir\\Observation\\x",
        "https://gateway.example.org:443/fhir/Observation/x",
    ],
)
def test_what_some_server_may_take_for_one_of_ours_cannot_be_told(text: str) -> None:
    assert _pointed(text) == UNTOLD


FOUND = [
    (b'{"subject":{"reference":"Patient/p"}}', {"Patient/p"}),
    (b'{"subject":{"reference" : \t"Patient/p"}}', {"Patient/p"}),
    (b'{"reason":[{"reference":{"reference":"Condition/c"}}]}', {"Condition/c"}),
    (rb'{"subject":{"reference":"\u0050atient/p"}}', {"Patient/p"}),
    (rb'{"subject":{"\u0072eference":"Patient/p"}}', {"Patient/p"}),
    (rb'{"subject":{"reference":"Patient\/p"}}', {"Patient/p"}),
    (b'{"a":{"reference":"Patient/p","reference":"Patient/q"}}', {"Patient/p", "Patient/q"}),
    (rb'{"text":"\"reference\":\"Patient/p\""}', set()),
    (b'{"note":"reference","x":"Patient/p"}', set()),
    ('{"a":{"reference":"Patient/\u00e9"}}'.encode(), {"Patient/\u00e9"}),
    (rb'{"a":{"reference":"a\"b"}}', {'a"b'}),
    (b'{"a":{"reference":[1]},"b":{"reference":null}}', set()),
]


@pytest.mark.parametrize(("data", "found"), FOUND, ids=range(len(FOUND)))
def test_references_are_found_without_opening(data: bytes, found: set[str]) -> None:
    assert references_in(data) == found


_JSON = st.recursive(
    st.text(max_size=6) | st.integers(0, 9) | st.none() | st.just('"reference":"x"'),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["reference", "a", 'b"', "refe\\rence"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


def _walk(node: object) -> set[str]:
    if isinstance(node, list):
        return {one for item in node for one in _walk(item)}
    if not isinstance(node, dict):
        return set()
    own = {node["reference"]} if isinstance(node.get("reference"), str) else set()
    return own | {one for item in node.values() for one in _walk(item)}


@given(tree=_JSON, spaced=st.booleans())
def test_none_is_missing(tree: object, spaced: bool) -> None:
    data = orjson.dumps(tree, option=orjson.OPT_INDENT_2 if spaced else None)
    assert _walk(tree) <= references_in(data)


ATTACHED = {"contentType": "text/plain", "url": "Binary/b", "title": "t"}


@pytest.mark.parametrize(
    ("resource", "found"),
    [
        ({"content": [{"attachment": ATTACHED}]}, {"Binary/b"}),
        ({"photo": [{"url": "/Binary/p"}, {"url": "Patient/x", "_url": {"id": "i"}}]}, {"/Binary/p", "Patient/x"}),
        ({"extension": [{"url": "urn:x", "valueAttachment": ATTACHED}]}, {"Binary/b"}),
        ({"contained": [{"resourceType": "Media", "content": {"url": "Binary/m"}}]}, {"Binary/m"}),
        ({"extension": [{"url": "Binary/b"}]}, set()),
        ({"modifierExtension": [{"url": "Binary/b", "extension": [{"url": "Binary/c"}]}]}, set()),
        ({"url": "Binary/b", "resourceType": "Questionnaire"}, set()),
        ({"relatedArtifact": [{"type": "citation", "url": "Binary/b"}]}, set()),
        ({"content": [{"attachment": {"url": "https://elsewhere.example.org/x"}}]}, set()),
        ({"content": [{"attachment": {"url": 7}}]}, set()),
    ],
)  # fmt: skip
def test_addresses_of_attachments_that_are_ours_are_found(
    resource: dict[str, object], found: set[str]
) -> None:
    data = orjson.dumps(resource)
    assert attachments_in(data, _pointed) == found
    escaped = data.replace(b"Binary", b"B\\u0069nary")
    assert attachments_in(escaped, _pointed) == found
    assert may_be_at(data, _pointed) or not found


def test_without_an_address_of_ours_nothing_is_opened() -> None:
    assert not may_be_at(b'{"url":"http://hl7.org/x", broken', _pointed)
    assert attachments_in(b'{"url":"http://hl7.org/x", broken', _pointed) == frozenset()
