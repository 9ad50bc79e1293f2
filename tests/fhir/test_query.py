from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import CallerError, Refusal
from proxy.fhir.query import encode_query, pairs_of, pairs_of_form

TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1)

READ = [
    ("", ()),
    ("a=b", (("a", "b"),)),
    ("a=b&a=c", (("a", "b"), ("a", "c"))),
    ("%70atient=P2", (("patient", "P2"),)),
    ("a=b%26patient%3dP2", (("a", "b&patient=P2"),)),
    ("a=1=2", (("a", "1=2"),)),
    ("a=1;b=2", (("a", "1;b=2"),)),
    ("a=x+y%2Bz", (("a", "x y+z"),)),
    ("?a=b", (("?a", "b"),)),
    ("a=%C3%A9", (("a", "é"),)),
    ("a=%252e", (("a", "%2e"),)),
]


@pytest.mark.parametrize(("text", "pairs"), READ)
def test_a_query_is_read_once(text: str, pairs: tuple[tuple[str, str], ...]) -> None:
    assert pairs_of(text) == pairs


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("a", Refusal.MALFORMED), ("a=", Refusal.MALFORMED), ("=a", Refusal.MALFORMED), ("&", Refusal.MALFORMED),
        ("a=b&", Refusal.MALFORMED), ("a=%", Refusal.MALFORMED), ("a=%f", Refusal.MALFORMED),
        ("a=%zz", Refusal.MALFORMED), ("a=%ff", Refusal.MALFORMED), ("a=%C0%AF", Refusal.MALFORMED),
        ("a=%ED%A0%80", Refusal.MALFORMED), ("a=%00", Refusal.MALFORMED), ("a=%0d%0a", Refusal.MALFORMED),
        ("a=%C2%85", Refusal.MALFORMED), ("a=é", Refusal.MALFORMED), ("a=b c", Refusal.MALFORMED),
        ("a=b\n", Refusal.MALFORMED), ("a=" + "x" * 65_536, Refusal.TOO_LARGE),
        ("&".join(["a=b"] * 101), Refusal.TOO_LARGE),
    ],
)  # fmt: skip
def test_a_query_that_is_not_plain_is_refused(text: str, refusal: Refusal) -> None:
    with pytest.raises(CallerError) as caught:
        pairs_of(text)

    assert caught.value.refusal is refusal


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=100))
def test_what_is_written_reads_as_it_was(pairs: list[tuple[str, str]]) -> None:
    text = encode_query(pairs)

    assert pairs_of(text) == tuple(pairs)
    assert pairs_of_form(text.encode("ascii")) == tuple(pairs)


@given(st.binary())
def test_any_form_is_read_or_refused(body: bytes) -> None:
    with suppress(CallerError):
        pairs = pairs_of_form(body)
        assert pairs_of(encode_query(pairs)) == pairs


def test_a_query_may_be_as_long_as_the_limits() -> None:
    assert len(pairs_of("a=" + "x" * 65_534)) == 1
    assert len(pairs_of("&".join(["a=b"] * 100))) == 100


def test_a_form_that_is_not_ascii_is_malformed() -> None:
    with pytest.raises(CallerError) as caught:
        pairs_of_form("a=é".encode())
    assert caught.value.refusal is Refusal.MALFORMED
