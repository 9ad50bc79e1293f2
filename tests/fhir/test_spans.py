import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.fhir.spans import SpansError, items_of, member, without

PARTS = [
    (b"[]", []),
    (b"{}", []),
    (b" [ ] ", []),
    (b'[1,[2,3],{"a":[4]}]', [b"1", b"[2,3]", b'{"a":[4]}']),
    (b'{"a":1,"b":[{}]}', [b'"a":1', b'"b":[{}]']),
    (b'["a,b]","\\"]"]', [b'"a,b]"', b'"\\"]"']),
    (b'[{"x":"\xff"},"\\ud800"]', [b'{"x":"\xff"}', b'"\\ud800"']),
    (b"[" * 50_000 + b"]" * 50_000, [b"[" * 49_999 + b"]" * 49_999]),
]


@pytest.mark.parametrize(("text", "parts"), PARTS, ids=range(len(PARTS)))
def test_the_parts_are_found_whatever_is_inside(text: bytes, parts: list[bytes]) -> None:
    assert list(items_of(text)) == parts


UNTOLD = [
    b"",
    b"x",
    b"1",
    b'"a"',
    b"[1",
    b"1]",
    b"[1]x",
    b'[1]"x"',
    b"[1]]",
    b"[1][2]",
    b'["a]',
    b"[{]}",
    b"{",
    b"x[1]",
]


@pytest.mark.parametrize("text", UNTOLD)
def test_what_does_not_pair_is_not_told(text: bytes) -> None:
    with pytest.raises(SpansError):
        list(items_of(text))


@given(st.lists(st.recursive(st.text() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)), max_size=4), st.booleans())  # fmt: skip
def test_the_parts_are_those_that_a_parser_reads(values: list[object], spaced: bool) -> None:
    text = json.dumps(values, indent=2 if spaced else None).encode()
    assert [json.loads(part) for part in items_of(text)] == values


def test_a_member_is_taken_out_or_left_out() -> None:
    text = b'{ "a" : 1 , "b" : [2] }'
    assert member(text, "b") == b"[2]"
    assert orjson.loads(without(text, "b")) == {"a": 1}
    assert orjson.loads(without(text, "c")) == {"a": 1, "b": [2]}


@pytest.mark.parametrize(
    "text", [b"{}", b'{"a":1}', b'{"b":[1],"b":[2]}', b'{"\\u0062":[1]}', b'{"b":{}}', b"[1]"]
)
def test_a_member_that_is_not_there_exactly_once_is_not_told(text: bytes) -> None:
    with pytest.raises(SpansError):
        member(text, "b", b"[")
