import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import CallerError, Refusal, UpstreamError
from proxy.fhir.codec import encode, parse_strict, parse_upstream

LIMIT = 1_000_000


def reread(text: str) -> str:
    return encode(parse_strict(text.encode(), LIMIT, 64)).decode()


@pytest.mark.parametrize(
    "number",
    [
        "0", "-0", "0.0", "-0.0", "0.010", "1.10", "100.00", "1E3", "1E+2", "1e-11", "0.00000000001", "1e400",
        "0.1234567890123456789", "18446744073709551616", "-9223372036854775809", "9" * 1000, "9" * 5000, "12",
    ],
)  # fmt: skip
def test_a_number_keeps_its_spelling(number: str) -> None:
    assert reread(f'{{"value":{number}}}') == f'{{"value":{number}}}'


def test_the_order_of_names_is_kept() -> None:
    assert (
        reread('{"b":1,"a":{"d":null,"c":[true,"é"]}}') == '{"b":1,"a":{"d":null,"c":[true,"é"]}}'
    )


NOT_STRICT = [
    b"", b" ", b"{", b"[1]x", b"[1] [2]", b"[1,]", b"[01]", b"[+1]", b"[.5]", b"[1.]", b"[NaN]", b"[Infinity]", b"[-Infinity]",
    b"{'a':1}", b"[//x\n1]", b'{"a":1,"a":2}', b'{"a":1,"\\u0061":2}', b'{"x":[{"meta":{},"id":"1","meta":{}}]}',
    b"\xef\xbb\xbf[]", "[]".encode("utf-16"), "[]".encode("utf-16-le"), b'["\xff"]', b'["\xc0\xaf"]', b'["\xed\xa0\x80"]',
    b'["\\ud800"]', b'["\\udc00\\ud800"]', b'{"\\uD800":1}', b'["\x00"]', b'["\n"]', b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000,
    b"\x00[]", b"[]\x00", b"\xa0[]",
]  # fmt: skip


@pytest.mark.parametrize("body", NOT_STRICT, ids=range(len(NOT_STRICT)))
def test_what_two_parsers_could_read_differently_is_not_read(body: bytes) -> None:
    with pytest.raises(CallerError) as caught:
        parse_strict(body, LIMIT, 64)
    with pytest.raises(UpstreamError):
        parse_upstream(body, LIMIT, 64)

    assert caught.value.refusal is Refusal.MALFORMED


@pytest.mark.parametrize(("depth", "fits"), [(1, True), (63, True), (64, True), (65, False)])
def test_the_depth_is_bounded(depth: int, fits: bool) -> None:
    body = b'{"a":' * depth + b"1" + b"}" * depth
    if fits:
        assert encode(parse_strict(body, LIMIT, 64)) == body
        return
    with pytest.raises(CallerError):
        parse_strict(body, LIMIT, 64)


def test_the_size_is_bounded() -> None:
    assert parse_strict(b"[1]", 3, 64) == [1]
    with pytest.raises(CallerError) as caught:
        parse_strict(b"[1]", 2, 64)
    with pytest.raises(UpstreamError):
        parse_upstream(b"[1]", 2, 64)

    assert caught.value.refusal is Refusal.TOO_LARGE


def test_a_surrogate_pair_is_one_character() -> None:
    assert reread('["\\ud83d\\ude00"]') == '["😀"]'


NUMBERS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
)
TEXTS = st.text().map(lambda t: encode(t).decode())
TREES = st.recursive(
    NUMBERS | TEXTS | st.sampled_from(["true", "false", "null"]),
    lambda inner: (
        st.lists(inner).map(lambda parts: f"[{','.join(parts)}]")
        | st.dictionaries(TEXTS, inner).map(
            lambda members: "{" + ",".join(f"{k}:{v}" for k, v in members.items()) + "}"
        )
    ),
)


@given(TREES)
def test_a_tree_leaves_as_it_came(text: str) -> None:
    assert reread(text) == text


@given(st.binary() | st.text().map(str.encode) | TREES.map(str.encode))
def test_any_bytes_are_read_as_the_standard_parser_does_or_refused(body: bytes) -> None:
    try:
        tree = parse_strict(body, LIMIT, 64)
    except CallerError:
        return
    assert json.loads(encode(tree)) == json.loads(body)
