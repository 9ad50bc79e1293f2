from decimal import Decimal

import pytest

from proxy.fhir.definitions import SearchParam, r4
from proxy.sandbox.matching import keys_of, keys_under, known_modifier, predicate_of
from proxy.sandbox.model import FhirError
from proxy.sandbox.values import ANY_SYSTEM, Amount, Link, Text, Token, Value, folded

TOKEN = SearchParam("t", "token", ("t",))
SUBJECT = r4.SEARCH_PARAMS["Observation"]["subject"]
STRING = SearchParam("s", "string", ("s",))
URI = SearchParam("u", "uri", ("u",))
NUMBER = SearchParam("n", "number", ("n",))
QUANTITY = SearchParam("q", "quantity", ("q",))
ANN = Link("Patient/ann", "Patient/ann", Token("s", "1"))
FAR = Link("", "http://far/fhir/Patient/ann")


def text(value: str) -> Text:
    return Text(value, folded(value))


def amount(value: str, system: str = "", *codes: str) -> Amount:
    return Amount(Decimal(value), Decimal(value), system, codes)


CASES: list[tuple[SearchParam, str, str, Value, bool]] = [
    (TOKEN, "", "c", Token("s", "c"), True),
    (TOKEN, "", "C", Token("s", "c"), False),
    (TOKEN, "", "s|c", Token("s", "c"), True),
    (TOKEN, "", "x|c", Token("s", "c"), False),
    (TOKEN, "", "s|", Token("s", "c"), True),
    (TOKEN, "", "|c", Token("s", "c"), False),
    (TOKEN, "", "|c", Token("", "c"), True),
    (TOKEN, "", "s|c", Token(ANY_SYSTEM, "c"), True),
    (TOKEN, "", "|c", Token(ANY_SYSTEM, "c"), False),
    (TOKEN, "", r"s|a\|b", Token("s", "a|b"), True),
    (SUBJECT, "", "ann", ANN, True),
    (SUBJECT, "", "Patient/ann", ANN, True),
    (SUBJECT, "", "Group/ann", ANN, False),
    (SUBJECT, "Patient", "ann", ANN, True),
    (SUBJECT, "Group", "ann", ANN, False),
    (SUBJECT, "identifier", "s|1", ANN, True),
    (SUBJECT, "identifier", "s|2", ANN, False),
    (SUBJECT, "", "http://far/fhir/Patient/ann", FAR, True),
    (SUBJECT, "", "Patient/ann", FAR, False),
    (
        r4.SEARCH_PARAMS["Observation"]["patient"],
        "",
        "Group/ann",
        Link("Group/ann", "Group/ann"),
        False,
    ),
    (STRING, "", "mul", text("Müller"), True),
    (STRING, "", "ller", text("Müller"), False),
    (STRING, "contains", "LLER", text("Müller"), True),
    (STRING, "exact", "Müller", text("Müller"), True),
    (STRING, "exact", "müller", text("Müller"), False),
    (STRING, "", r"a\,b", text("a,b"), True),
    (URI, "", "http://x/a", "http://x/a", True),
    (URI, "", "http://x", "http://x/a", False),
    (URI, "below", "http://x", "http://x/a", True),
    (URI, "above", "http://x/a/b", "http://x/a", True),
    (NUMBER, "", "1.50", amount("1.5"), True),
    (NUMBER, "", "ne1.5", amount("1.5"), False),
    (NUMBER, "", "gt1", amount("1.5"), True),
    (NUMBER, "", "ge1.5", amount("1.5"), True),
    (NUMBER, "", "lt1.5", amount("1.5"), False),
    (NUMBER, "", "le1.5", amount("1.5"), True),
    (NUMBER, "", "sa1", amount("1.5"), True),
    (NUMBER, "", "eb1", amount("1.5"), False),
    (NUMBER, "", "ap1.4", amount("1.5"), True),
    (NUMBER, "", "ap1", amount("1.5"), False),
    (QUANTITY, "", "5|s|mg", amount("5", "s", "mg"), True),
    (QUANTITY, "", "5||mg", amount("5", "s", "mg"), True),
    (QUANTITY, "", "5|x|mg", amount("5", "s", "mg"), False),
    (QUANTITY, "", "5||g", amount("5", "s", "mg"), False),
    (QUANTITY, "", "gt1e2", amount("101"), True),
]


@pytest.mark.parametrize(("param", "modifier", "search", "value", "expected"), CASES)
def test_a_search_value_matches_or_not(
    param: SearchParam, modifier: str, search: str, value: Value, expected: bool
) -> None:
    assert predicate_of(param, modifier, search, 0.0)(value) is expected


@pytest.mark.parametrize(("param", "modifier", "search", "value", "expected"), CASES)
def test_what_matches_is_found_under_its_keys(
    param: SearchParam, modifier: str, search: str, value: Value, expected: bool
) -> None:
    keys = keys_of(param, modifier, search)

    if expected and keys is not None:
        assert set(keys) & set(keys_under(value))


@pytest.mark.parametrize(
    ("param", "modifier"),
    [(TOKEN, "exact"), (STRING, "not"), (URI, "contains"), (SUBJECT, "Unicorn"), (NUMBER, "not")],
)
def test_a_modifier_of_another_kind_is_refused(param: SearchParam, modifier: str) -> None:
    with pytest.raises(FhirError):
        known_modifier(param, modifier, r4.RESOURCE_TYPES)


@pytest.mark.parametrize(
    ("param", "search"), [(NUMBER, "much"), (SearchParam("d", "date"), "soon")]
)
def test_a_malformed_value_is_refused(param: SearchParam, search: str) -> None:
    with pytest.raises(FhirError):
        predicate_of(param, "", search, 0.0)
