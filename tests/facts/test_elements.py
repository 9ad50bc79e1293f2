from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.facts.elements import (
    ELEMENT,
    UnsupportedError,
    coding_at,
    codings_of,
    concept_of,
    concepts_of,
    identifier_of,
    object_of,
    objects_of,
    only,
    period_of,
    text_of,
)  # fmt: skip
from proxy.facts.model import Period
from proxy.fhir.coding import CONFIDENTIALITY, Coding, Identifier
from tests.facts.consents import PARIS

SAYS_NOTHING: list[Any] = [None, [], {}, "", " ", 0, 7, False, True, [None], [{}], ["x"], "x"]


@pytest.mark.parametrize("value", [*SAYS_NOTHING, [{"a": 1}]])
def test_what_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(UnsupportedError):
        object_of({"k": value}, "k")


@pytest.mark.parametrize("value", [*SAYS_NOTHING, {"a": 1}, [{"a": 1}, None], [{"a": 1}, {}]])
def test_a_list_that_says_nothing_is_refused_but_an_absent_one_is_none(value: Any) -> None:
    with pytest.raises(UnsupportedError):
        objects_of({"k": value}, "k")
    assert objects_of({}, "k") == ()


@pytest.mark.parametrize("value", [None, [], {}, "", " \t", 0, 7, True, ["x"]])
def test_a_text_that_says_nothing_is_refused(value: Any) -> None:
    with pytest.raises(UnsupportedError):
        text_of({"k": value}, "k")
    with pytest.raises(UnsupportedError):
        coding_at({"system": "s", "code": value})


@pytest.mark.parametrize(
    "read", [object_of, text_of], ids=lambda read: getattr(read, "__name__", "")
)
def test_what_must_be_there_is_missed(read: Any) -> None:
    with pytest.raises(UnsupportedError):
        read({"other": "x"}, "k")


def test_codings_are_read_in_one_spelling() -> None:
    old: Any = {"system": "urn:oid:2.16.840.1.113883.5.25", "code": " R "}
    assert coding_at(old) == Coding(CONFIDENTIALITY, "R")
    assert coding_at({"code": "R"}) == Coding("", "R")
    assert codings_of({"k": [old, {"code": "x"}]}, "k") == {
        Coding(CONFIDENTIALITY, "R"),
        Coding("", "x"),
    }
    assert codings_of({}, "k") == frozenset()


@pytest.mark.parametrize("system", [7, None, [], {"url": "x"}])
def test_a_system_that_is_no_uri_is_refused(system: Any) -> None:
    with pytest.raises(UnsupportedError):
        coding_at({"system": system, "code": "x"})


@pytest.mark.parametrize("concept", [{"text": "x"}, {"coding": []}, {"coding": [{}]}, {"coding": [{"display": "x"}]}])  # fmt: skip
def test_a_concept_without_code_says_nothing(concept: Any) -> None:
    with pytest.raises(UnsupportedError):
        concept_of(concept)
    with pytest.raises(UnsupportedError):
        concepts_of({"k": [{"coding": [{"code": "x"}]}, concept]}, "k")


def test_all_codings_of_all_concepts_count() -> None:
    node: Any = {"k": [{"coding": [{"code": "a"}, {"code": "b"}]}, {"coding": [{"code": "c"}]}]}
    assert concepts_of(node, "k") == {Coding("", one) for one in "abc"}


@pytest.mark.parametrize(
    ("node", "known"),
    [
        ({"id": "x", "extension": [], "start": "2024"}, True),
        ({"start": "2024", "_start": {"id": "x"}}, True),
        ({"_start": {"extension": []}}, False),
        ({"modifierExtension": []}, False),
        ({"_modifierExtension": []}, False),
        ({"START": "2024"}, False),
        ({"": 1}, False),
        ({}, True),
    ],
)
def test_only_what_is_in_the_table_may_be_there(node: Any, known: bool) -> None:
    try:
        only(node, ELEMENT | {"start"}, "a period")
    except UnsupportedError:
        assert not known
    else:
        assert known


@pytest.mark.parametrize(
    ("identifier", "read"),
    [
        ({"system": "urn:rpps", "value": " 8 "}, Identifier("urn:rpps", "8")),
        ({"value": "8"}, Identifier("", "8")),
        ({"system": 7, "value": "8"}, Identifier("", "8")),
        ({"system": "urn:rpps"}, None),
        ({"system": "urn:rpps", "value": 8}, None),
        ("8", None),
        (None, None),
    ],
)
def test_an_identifier_is_one_with_a_value(identifier: Any, read: Identifier | None) -> None:
    assert identifier_of({"identifier": identifier}) == read


def test_a_period_is_closed_and_its_absence_no_period() -> None:
    whole = period_of({"period": {"start": "2024-06-01", "end": "2024-06-01"}}, "period", PARIS)
    assert whole is not None
    assert whole.start is not None
    assert whole.end is not None
    assert 86_399 < whole.end - whole.start < 86_400
    assert period_of({"period": {"end": "2024"}}, "period", PARIS) == Period(
        None,
        period_of({"period": {"start": "2024", "end": "2024"}}, "period", PARIS).end,  # type: ignore[union-attr]
    )
    assert period_of({}, "period", PARIS) is None


@pytest.mark.parametrize(
    "period",
    [
        {}, [], None, "2024", {"start": "soon"}, {"start": None}, {"start": 2024}, {"end": ""}, {"start": "2024/2025"},
        {"start": "2025", "end": "2024"}, {"start": "2024", "modifierExtension": [{}]}, {"start": "2024-13"}, {"_start": {}},
    ],
)  # fmt: skip
def test_a_period_that_is_not_understood_is_refused(period: Any) -> None:
    with pytest.raises(UnsupportedError):
        period_of({"period": period}, "period", PARIS)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["code", "system", "coding", "start", "end", "identifier", "value"]),
            inner,
        )
    ),
    max_leaves=6,
)


def said(read: Any, node: Any) -> str:
    """What a refusal says; nothing where there is none."""
    try:
        read(node, "canary")
    except UnsupportedError as refused:
        return str(refused)
    return ""


@given(json)
def test_anything_is_read_or_refused_and_no_content_is_quoted(value: Any) -> None:
    node = {"canary": [value, "CANARY-9"], "identifier": value}
    for read in (object_of, objects_of, text_of, codings_of, concepts_of, identified, dated):
        assert "CANARY" not in said(read, node)
        assert "CANARY" not in said(read, {"canary": value})


def identified(node: Any, _: str) -> object:
    return identifier_of(node)


def dated(node: Any, key: str) -> object:
    return period_of(node, key, PARIS)
