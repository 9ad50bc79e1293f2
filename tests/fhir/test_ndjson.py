import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import UpstreamError
from proxy.fhir.ndjson import LOST, Lines


def cut(body: bytes, sizes: list[int]) -> list[bytes]:
    """A body in pieces of these sizes, the rest as one."""
    pieces = []
    for size in sizes:
        pieces.append(body[:size])
        body = body[size:]
    return [*pieces, body]


def read(pieces: list[bytes], longest: int = 1000) -> list[bytes]:
    lines = Lines(longest)
    return [line for piece in pieces for line in lines.fed(piece)] + lines.last()


LINES = st.lists(st.text(max_size=20).filter(lambda t: "\n" not in t and "\r" not in t))


@given(LINES, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.lists(st.integers(0, 9)))
def test_lines_are_the_same_however_they_are_cut(
    texts: list[str], end: str, closed: bool, sizes: list[int]
) -> None:
    texts = [*texts, "1"]  # a last line without an end is one only where it can be read
    body = (end.join(texts) + (end if closed else "")).encode()
    expected = [text.encode().strip(b" \t\r") for text in texts]
    assert read(cut(body, sizes)) == [line for line in expected if line]


def test_no_line_is_given_before_its_end_has_come() -> None:
    lines = Lines(100)
    assert lines.fed(b'{"a":') == []
    assert lines.fed(b'"\xc3') == []
    assert lines.fed(b'\xa9"}\n{"b"') == ['{"a":"é"}'.encode()]
    assert lines.fed(b":1}") == []
    assert lines.last() == [b'{"b":1}']
    assert lines.last() == []


@pytest.mark.parametrize(
    "pieces",
    [
        [b"x" * 11 + b"\n1\n"],
        [b"x" * 6, b"x" * 5, b"\n1"],
        [b"x" * 11, b"x" * 11, b"x\n", b"1"],
        [b"x" * 6, b"x" * 5 + b"\n1\n"],
    ],
)
def test_of_a_line_that_is_too_long_nothing_is_kept_and_the_next_is_whole(
    pieces: list[bytes],
) -> None:
    assert read(pieces, 10) == [LOST, b"1"]


@pytest.mark.parametrize("body", [b'{"a":1', b"x" * 11, b"1\n{", b'"\xff"', b"[" * 5000])
def test_a_file_that_ends_inside_a_line_is_no_whole_file(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        read([body], 10)


def test_a_line_as_long_as_is_allowed_is_a_line() -> None:
    assert read([b"x" * 10 + b"\n" + b"1" * 10], 10) == [b"x" * 10, b"1" * 10]


def test_a_line_without_an_end_is_not_gathered_for_ever() -> None:
    lines = Lines(10)
    for _ in range(100):
        assert lines.fed(b"x" * 6) == []
    assert lines.fed(b"\n1\n") == [LOST, b"1"]
