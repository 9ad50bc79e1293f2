from typing import Any

import msgspec
import orjson
import pytest

from proxy.fhir.content import Wanted
from proxy.fhir.envelope import UNTOLD, UnreadableError
from proxy.fhir.links import reference_of
from proxy.fhir.mentions import mentions_in
from proxy.fhir.reader import EnvelopeReader

WANTED = frozenset({"Encounter/e", "CarePlan/c"})
BASES = ("http://example.org/fhir",)


def mentioned(tree: Any) -> set[str]:
    raw = tree if isinstance(tree, bytes) else orjson.dumps(tree)
    return set(mentions_in(raw, WANTED, lambda text: reference_of(text, BASES)))


CASES: list[tuple[Any, set[str]]] = [
    ({"encounter": {"reference": "Encounter/e"}}, {"Encounter/e"}),
    ({"encounter": {"reference": "Encounter/e/_history/2"}}, {"Encounter/e"}),
    ({"encounter": {"reference": "http://example.org/fhir/Encounter/e"}}, {"Encounter/e"}),
    (b'{"encounter":{"reference":"Encounter\\/\\u0065"}}', {"Encounter/e"}),
    ({"extension": [{"valueReference": {"reference": "CarePlan/c"}}]}, {"CarePlan/c"}),
    ({"contained": [{"encounter": {"reference": "Encounter/e"}}]}, {"Encounter/e"}),
    ({"reason": [{"reference": {"reference": "Encounter/e"}}]}, {"Encounter/e"}),
    ({"a": [{"reference": "Encounter/e"}, {"reference": "CarePlan/c"}]}, set(WANTED)),
    ({"encounter": {"reference": "Encounter/other"}}, set()),
    ({"encounter": {"reference": "#e"}}, set()),
    ({"note": "Encounter/e"}, set()),
    ({"id": "e", "resourceType": "Encounter", "identifier": [{"value": "1"}]}, set()),
    ({"encounter": {"reference": "http://other.example.org/Encounter/e"}}, {UNTOLD}),
    ({"performer": {"reference": "http://other.example.org/Practitioner/e"}}, set()),
    ({"encounter": {"reference": "Encounter/e#part"}}, {UNTOLD}),
    ({"encounter": {"reference": "urn:uuid:0"}}, {UNTOLD}),
    ({"encounter": {"identifier": {"value": "1"}}}, {UNTOLD}),
    ({"encounter": {"identifier": {"value": "1"}, "type": "Encounter"}}, {UNTOLD}),
    ({"subject": {"identifier": {"value": "1"}, "type": "Patient"}}, set()),
    ({"encounter": {"reference": 7, "identifier": {"value": "1"}}}, {UNTOLD}),
]


@pytest.mark.parametrize(("tree", "found"), CASES, ids=[str(tree) for tree, _ in CASES])
def test_which_wanted_references_occur(tree: Any, found: set[str]) -> None:
    assert mentioned(tree) == found


def test_one_that_is_found_and_one_that_is_hidden_are_both_told() -> None:
    both = [{"reference": "Encounter/e"}, {"reference": "urn:uuid:0"}]
    assert mentioned({"a": both}) == {"Encounter/e", UNTOLD}


def test_what_is_no_json_mentions_nothing_that_can_be_read() -> None:
    with pytest.raises(UnreadableError):
        mentioned(b"{")


READER = EnvelopeReader(["Observation", "Encounter"], BASES, Wanted())
OBSERVATION = {"resourceType": "Observation", "id": "o", "subject": {"reference": "Patient/p"}}
OF_IT = OBSERVATION | {"encounter": {"reference": "Encounter/e"}}


@pytest.mark.parametrize("more", [{}, {"contained": [{"resourceType": "Observation"}]}], ids=str)
def test_a_reader_looks_for_mentions_only_when_asked(more: dict[str, Any]) -> None:
    asked = READER.wanting(frozenset(), dates=False, mentions=WANTED)
    of_it, plain = orjson.dumps(OF_IT | more), orjson.dumps(OBSERVATION | more)
    assert READER.read(of_it).mentions is None
    assert asked.read(of_it).mentions == frozenset({"Encounter/e"})
    assert asked.read(plain).mentions == frozenset()


def test_a_reader_that_looks_for_them_already_stays_the_same() -> None:
    asked = READER.wanting(frozenset(), dates=False, mentions=WANTED)
    assert asked is not READER
    assert asked.wanting(frozenset(), dates=False, mentions=frozenset({"Encounter/e"})) is asked
    assert asked.wanting(frozenset(), dates=False) is asked
    more = asked.wanting(frozenset(), dates=True, mentions=frozenset({"Encounter/f"}))
    assert more.read(orjson.dumps(OF_IT)).mentions == frozenset({"Encounter/e"})


E, F = frozenset({"Encounter/e"}), frozenset({"Encounter/f"})
VERSIONS = [
    (E, E, E),
    (E | F, E, E | {UNTOLD}),
    (frozenset(), E, {UNTOLD}),
    (E, frozenset(), {UNTOLD}),
    (E, E | {UNTOLD}, E | {UNTOLD}),
    (None, E, None),
    (E, None, None),
]


@pytest.mark.parametrize(("own", "current", "both"), VERSIONS)
def test_what_only_one_of_two_versions_mentions_cannot_be_told(
    own: frozenset[str] | None, current: frozenset[str] | None, both: frozenset[str] | None
) -> None:
    envelope = READER.read(orjson.dumps(OBSERVATION))
    versions = [msgspec.structs.replace(envelope, mentions=one) for one in (own, current)]
    assert versions[0].under(versions[1]).mentions == both
