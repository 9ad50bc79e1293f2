from typing import Any

import pytest

from proxy.obligations.echoes import Echoes, without_echoes
from proxy.obligations.letter import MASKED

GONE: list[dict[str, Any]] = [
    {
        "reference": "http://up/fhir/Observation/42/_history/3",
        "display": "Viral load",
        "identifier": {"system": "urn:x", "value": "ACC-77"},
    }
]

LEFT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"s": {"display": " viral LOAD "}}, {}),
    ({"s": {"reference": "X/1", "display": "Viral load"}}, {"s": {"reference": "X/1"}}),
    ({"s": {"display": "Viral loads"}}, {"s": {"display": "Viral loads"}}),
    ({"s": {"identifier": {"value": "ACC-77"}}}, {}),
    ({"identifier": [{"value": "ACC-77"}, {"value": "ACC-7"}]}, {"identifier": [{"value": "ACC-7"}]}),
    ({"x": "see Observation/42"}, {}),
    ({"x": "observation/42"}, {}),
    ({"x": "see Observation/421 or MyObservation/42"}, {"x": "see Observation/421 or MyObservation/42"}),
    ({"extension": [{"url": "u", "valueString": "the viral load is"}]}, {}),
    ({"s": {"display": "Viral load", "_display": {"extension": [MASKED]}}}, {}),
    ({"s": {"reference": "X/1", "display": "Viral load", "_display": {"id": "d"}}}, {"s": {"reference": "X/1"}}),
    ({"s": {"reference": "X/1", "type": "X", "identifier": {"value": "1"}, "display": "Viral load", "id": "i", "extension": [MASKED]}},
     {"s": {"reference": "X/1", "type": "X", "identifier": {"value": "1"}, "id": "i", "extension": [MASKED]}}),
    ({"i": {"id": "i", "extension": [MASKED], "use": "usual", "type": {"text": "t"}, "system": "s", "value": "ACC-77", "period": {"start": "2020"}, "assigner": {"display": "d"}}}, {}),
    ({"i": {"value": "ACC-77", "_value": {"id": "v"}, "_system": {"id": "w"}}}, {}),
    ({"extension": [{"url": "u", "extension": [{"url": "v", "valueString": "Viral load"}]}]}, {}),
    ({"extension": [{"url": "u", "valueString": "acc-77"}, {"url": "v", "valueCode": "y"}]}, {"extension": [{"url": "v", "valueCode": "y"}]}),
    ({"modifierExtension": [{"url": "u", "valueUri": "Observation/42"}]}, {"modifierExtension": [{"url": "u", "extension": [MASKED]}]}),
    ({"code": {"coding": [{"code": "1", "display": "Viral load"}], "text": "Viral load"}},) * 2,
    ({"note": [{"text": "Viral load is low"}]},) * 2,
    ({"id": "Observation/42"},) * 2,
    ({"extension": [MASKED]},) * 2,
]  # fmt: skip


@pytest.mark.parametrize(("elements", "left"), LEFT, ids=range(len(LEFT)))
def test_what_repeats_a_pruned_reference_goes_and_the_rest_stays(
    elements: dict[str, Any], left: dict[str, Any]
) -> None:
    tree = {"resourceType": "Basic", **elements}
    assert without_echoes(tree, Echoes.of(GONE)) == {"resourceType": "Basic", **left}


def test_a_reference_that_reads_like_none_is_its_own_text() -> None:
    echoes = Echoes.of([{"reference": "observation?x=1 "}])
    assert echoes.quoted_in("at Observation?x=1")
    assert not echoes.quoted_in("observation")


def test_short_words_are_heard_only_as_a_whole() -> None:
    echoes = Echoes.of([{"reference": "X/1", "display": "hiv"}])
    assert echoes.heard_in("HIV ")
    assert not echoes.heard_in("archive of hives")


def test_a_word_of_four_letters_is_heard_in_others() -> None:
    echoes = Echoes.of([{"reference": "X/1", "display": "scan"}])
    assert echoes.heard_in("rescanned")
