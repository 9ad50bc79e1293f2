from decimal import Decimal

import pytest

from proxy.fhir.definitions import SearchParam, r4
from proxy.sandbox.values import (
    ANY_SYSTEM,
    Amount,
    Link,
    Text,
    Token,
    folded,
    is_readable,
    local_of,
    values_of,
)

TOKENS = [
    (True, [Token(ANY_SYSTEM, "true")]),
    ("final", [Token(ANY_SYSTEM, "final")]),
    ({"system": "s", "code": "c"}, [Token("s", "c")]),
    ({"coding": [{"system": "s", "code": "c"}, {"code": "d"}]}, [Token("s", "c"), Token("", "d")]),
    ({"text": "only text"}, []),
    ({"system": "s", "value": "v"}, [Token("s", "v")]),
    (7, []),
]


@pytest.mark.parametrize(("value", "tokens"), TOKENS)
def test_tokens_are_read_from_any_type(value: object, tokens: list[Token]) -> None:
    assert list(values_of({"x": value}, SearchParam("x", "token", ("x",)))) == tokens


LINKS = [
    ("Patient/1", "Patient/1"),
    ("Patient/1/_history/2", "Patient/1"),
    ("http://there/fhir/Patient/1", ""),
    ("urn:uuid:1", ""),
    ("#inside", ""),
]


@pytest.mark.parametrize(("reference", "local"), LINKS)
def test_only_relative_references_are_local(reference: str, local: str) -> None:
    (link,) = values_of({"x": {"reference": reference}}, SearchParam("x", "reference", ("x",)))

    assert link == Link(local, reference)


def test_local_of_reads_absolute_references_too() -> None:
    assert local_of("http://there/fhir/Patient/1/_history/2") == "Patient/1"
    assert local_of("nothing") == ""


def test_a_logical_reference_has_its_identifier() -> None:
    subject = {"identifier": {"system": "s", "value": "v"}}

    (link,) = values_of({"subject": subject}, r4.SEARCH_PARAMS["Observation"]["subject"])

    assert link == Link("", "", Token("s", "v"))


def test_strings_are_folded_part_by_part() -> None:
    tree = {"name": [{"family": "Müller", "given": ["Ann", "Lou"]}]}

    texts = values_of(tree, r4.SEARCH_PARAMS["Patient"]["name"])

    assert texts == (Text("Müller", "muller"), Text("Ann", "ann"), Text("Lou", "lou"))
    assert folded("ÉTOILE") == "etoile"


AMOUNTS = [
    (Decimal("1.50"), Amount(Decimal("1.5"), Decimal("1.5"))),
    (3, Amount(Decimal(3), Decimal(3))),
    ({"value": 3, "system": "s", "code": "c", "unit": "u"}, Amount(Decimal(3), Decimal(3), "s", ("c", "u"))),
    ({"value": 3, "currency": "EUR"}, Amount(Decimal(3), Decimal(3), "urn:iso:std:iso:4217", ("EUR",))),
    ({"low": {"value": 1}, "high": {"value": 2}}, Amount(Decimal(1), Decimal(2))),
    ({"low": {"value": 1}}, Amount(Decimal(1), Decimal("Infinity"))),
    ({"high": {"value": 1}}, Amount(Decimal("-Infinity"), Decimal(1))),
]  # fmt: skip


@pytest.mark.parametrize(("value", "amount"), AMOUNTS)
def test_amounts_are_read_from_any_type(value: object, amount: Amount) -> None:
    assert values_of({"x": value}, SearchParam("x", "quantity", ("x",))) == (amount,)


def test_dates_are_read_from_date_period_and_timing() -> None:
    param = SearchParam("x", "date", ("x",))
    whole = values_of({"x": "2020"}, param)

    assert values_of({"x": {"start": "2020", "end": "2020"}}, param) == whole
    assert values_of({"x": {"event": ["2020"]}}, param) == whole
    assert values_of({"x": "soon"}, param) == values_of({"x": 7}, param) == ()


def test_a_condition_keeps_only_what_says_so() -> None:
    telecom = [{"system": "phone", "value": "1"}, {"system": "email", "value": "2"}]

    tokens = values_of({"telecom": telecom}, r4.SEARCH_PARAMS["Patient"]["phone"])

    assert tokens == (Token("phone", "1"),)


def test_paths_go_through_lists_of_lists() -> None:
    tree = {
        "participant": [{"individual": {"reference": "Practitioner/1"}}, {}, {"individual": None}]
    }

    links = values_of(tree, r4.SEARCH_PARAMS["Encounter"]["practitioner"])

    assert [link.local for link in links if isinstance(link, Link)] == ["Practitioner/1"]


@pytest.mark.parametrize(
    ("tree", "code"),
    [({}, "false"), ({"deceasedBoolean": False}, "false"), ({"deceasedBoolean": True}, "true"), ({"deceasedDateTime": "2020"}, "true")],
)  # fmt: skip
def test_deceased_is_computed(tree: dict[str, object], code: str) -> None:
    assert values_of(tree, r4.SEARCH_PARAMS["Patient"]["deceased"]) == (Token(ANY_SYSTEM, code),)


def test_composites_and_pathless_parameters_are_not_readable() -> None:
    observation = r4.SEARCH_PARAMS["Observation"]

    assert is_readable(observation["code"])
    assert not is_readable(observation["code-value-quantity"])
    assert not is_readable(observation["_text"])
