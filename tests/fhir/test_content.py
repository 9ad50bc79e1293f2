from collections.abc import Callable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.fhir.coding import CONFIDENTIALITY, INLINE_LABEL, Coding
from proxy.fhir.content import Wanted, codings_of, inline_labels, nodes_of, tree_of
from proxy.fhir.envelope import UnreadableError
from tests.strategies import json_text

LOINC = "http://loinc.org"

SPELLED: list[tuple[bytes, bool]] = [
    (b'{"code":"75622-1"}', True),
    (b'{"code" :\n\t "75622-1"}', True),
    (b'{"a":[{"b":{"code":"75622-1"}}]}', True),
    (b'{"code":"f11.20"}', True),
    (b'{"code":"F11"}', True),
    (b'{"code":" F11 "}', True),
    ('{"code":"\u00a0F11"}'.encode(), True),
    ('{"code":"ÉTÉ"}'.encode(), True),
    ('{"code":"été"}'.encode(), True),
    ('{"code":"straße"}'.encode(), True),
    (b'{"code":"STRASSE"}', True),
    (b'{"code":"F1"}', False),
    (b'{"code":"75622-10"}', False),
    (b'{"code":"XF11"}', False),
    (b'{"display":"75622-1"}', False),
    (b'{"code":7}', False),
    (b'{"code":"\xff"}', False),
    (b"", False),
]


@pytest.mark.parametrize(("data", "found"), SPELLED)
def test_a_wanted_code_is_found_in_any_case_and_by_its_beginning(data: bytes, found: bool) -> None:
    wanted = Wanted(["75622-1", "Été", "STRASSE"], ["F11"])
    assert wanted.any_in(data) is found
    assert wanted.any_in(data) is found, "what is remembered says the same"


def test_nothing_wanted_is_nowhere() -> None:
    assert not Wanted()
    assert not Wanted().any_in(b'{"code":""}')
    assert Wanted(prefixes=["F"])
    assert Wanted(codes=["F"])


codes = st.text(st.characters(codec="utf-8", exclude_characters='"\\'), max_size=5)
several = st.lists(codes, max_size=3)
CASES: tuple[Callable[[str], str], ...] = (str.upper, str.lower, str.title, str.casefold, str.strip)


@given(several, st.lists(codes, min_size=1, max_size=3), codes, st.data())
def test_what_any_table_would_call_the_same_code_is_found(
    others: list[str], prefixes: list[str], rest: str, data: st.DataObject
) -> None:
    wanted = Wanted(others, prefixes)
    for code in (*others, *(prefix + rest for prefix in prefixes)):
        resource = orjson.dumps({"code": code})
        assert b"\\" in resource or wanted.any_in(resource)
        other = data.draw(st.sampled_from(CASES))(code)
        if other.upper() == code.upper():
            assert other in wanted


@given(several, several, several)
def test_wanting_more_loses_nothing(some: list[str], more: list[str], prefixes: list[str]) -> None:
    both = Wanted(some, prefixes) | frozenset(more)
    assert all(code in both for code in (*some, *more, *prefixes))
    assert all(both.any_in(orjson.dumps({"code": one})) for one in more if one.isalnum())


def test_wanting_more_leaves_the_one_who_wanted_less_alone() -> None:
    less = Wanted(["a"])
    assert not less.any_in(b'{"code":"b"}')
    more = less | frozenset({"b"})
    assert more.any_in(b'{"code":"b"}')
    assert not less.any_in(b'{"code":"b"}')


SPELLINGS = (("HIV1", "B20"), ("SIDA", "B20"), ("ALC", "F10.2"), ("FLU", "J10"))


@pytest.mark.parametrize("asked", ["B20", "hiv1", "Sida"])
def test_who_wants_one_spelling_wants_all_that_mean_the_same(asked: str) -> None:
    alike = ("B20", "HIV1", "sida")
    for wanted in (
        Wanted([asked], spellings=SPELLINGS),
        Wanted(["x"], ["F10"], SPELLINGS) | frozenset({asked}),
        (Wanted([], [], SPELLINGS) | frozenset({"y"})) | frozenset({asked}),
    ):
        assert all(one in wanted for one in alike)
        assert "FLU" not in wanted
        assert "J10" not in wanted


def test_a_spelling_of_a_code_that_begins_as_wanted_is_wanted() -> None:
    assert "alc" in Wanted([], ["F10"], SPELLINGS)
    assert "ALC" not in Wanted([], ["F11"], SPELLINGS)


def test_what_is_remembered_is_bounded_and_stays_right() -> None:
    wanted = Wanted(["7"])
    told = [wanted.any_in(b'{"code":"%d"}' % number) for number in range(9_000)]
    assert [number for number, found in enumerate(told) if found] == [7]
    assert wanted.any_in(b'{"code":"7"}')


def test_codings_are_found_wherever_they_stand() -> None:
    resource = {
        "code": {"coding": [{"system": LOINC, "code": "1"}]},
        "contained": [{"code": {"coding": [{"code": " 2 "}]}}],
        "component": [{"valueQuantity": {"system": "http://unitsofmeasure.org", "code": "mg"}}],
        "extension": [{"valueCoding": {"system": 7, "code": "3"}}],
        "status": {"code": 4},
    }
    assert set(codings_of(orjson.dumps(resource))) == {
        Coding(LOINC, "1"),
        Coding("", "2"),
        Coding("http://unitsofmeasure.org", "mg"),
        Coding("", "3"),
    }


LABELS = [
    ({"url": INLINE_LABEL, "valueCoding": {"system": CONFIDENTIALITY, "code": "R"}}, Coding(CONFIDENTIALITY, "R")),
    ({"url": INLINE_LABEL, "valueCoding": {"system": "urn:oid:2.16.840.1.113883.5.25", "code": "R"}}, Coding(CONFIDENTIALITY, "R")),
    ({"url": INLINE_LABEL, "valueCoding": {"system": 7, "code": ["R"]}}, Coding("", "")),
    ({"url": INLINE_LABEL, "valueCoding": "R"}, Coding("", "")),
    ({"url": INLINE_LABEL, "valueCode": "R"}, Coding("", "")),
]  # fmt: skip


@pytest.mark.parametrize(("extension", "label"), LABELS)
def test_an_inline_label_that_says_nothing_is_a_label_that_nobody_knows(
    extension: dict[str, object], label: Coding
) -> None:
    assert list(inline_labels({"a": [[{"extension": [extension]}]]})) == [label]


def test_another_extension_is_no_label() -> None:
    assert list(inline_labels({"url": "urn:x", "valueCoding": {"code": "R"}})) == []


@pytest.mark.parametrize("data", [b"", b"{", b"{}x", b'{"a":"\xff"}', b"[" * 100_000, b'"\\ud800'])
def test_what_is_no_json_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        tree_of(data)
    with pytest.raises(UnreadableError):
        list(codings_of(data))


@given(json_text())
def test_every_object_is_visited_once(text: str) -> None:
    assert len(list(nodes_of(tree_of(text.encode())))) == len(objects(orjson.loads(text)))


def test_a_deep_tree_is_walked_without_recursion() -> None:
    deep: object = {"code": "bottom"}
    for _ in range(50_000):
        deep = [deep]
    assert [node["code"] for node in nodes_of(deep)] == ["bottom"]


def objects(tree: object) -> list[object]:
    inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    own = [tree] if isinstance(tree, dict) else []
    return own + [one for value in inner for one in objects(value)]
