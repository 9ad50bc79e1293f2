import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.strict import MAX_CHARACTERS, MAX_DEPTH, NotStrictError, read

SCALARS = [
    ("NO", "NO"),
    ("yes", "yes"),
    ("True", "True"),
    ("true", True),
    ("false", False),
    ("010", "010"),
    ("0x1F", "0x1F"),
    ("1_000", "1_000"),
    ("12:30", "12:30"),
    ("1.5", "1.5"),
    ("2026-01-01", "2026-01-01"),
    ("0", 0),
    ("-7", -7),
    ("'7'", "7"),
    ('""', ""),
    ("1" * 16, "1" * 16),
    ("<<", "<<"),
    ("=", "="),
]


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_only_words_and_decimal_integers_are_resolved(text: str, value: object) -> None:
    tree = read(f"a: {text}").tree
    assert tree == {"a": value}
    assert type(tree["a"]) is type(value)


REFUSED = [
    ("", 1, "empty"),
    ("a: b\na: c", 2, "duplicate key `a`, first on line 1"),
    ("a:\n  b: 1\n  c: 2\n  b: 3", 4, "duplicate key `b`, first on line 2"),
    ("x: 1\n{a: 1, a: 2}", 2, "not YAML"),
    ("a: &n b", 1, "anchor `&n`"),
    ("a: [x]\nb: *n", 2, "alias `*n`"),
    ("a: !!str b", 1, "tag"),
    ("a: !python/object/apply:os.system [ls]", 1, "tag"),
    ("a: b\n---\nc: d", 2, "second document"),
    ("a: b\nc:\n", 2, "no value"),
    ("a: null", 1, "no value"),
    ("a: ~", 1, "no value"),
    ("? [a]\n: b", 1, "key must be plain text"),
    ("a: 'b", 1, "not YAML"),
    ("a: b\n\tc: d", 2, "not YAML"),
    ("a: b\nc: \x00", 2, "not YAML"),
    ('a: "\\ud800"', 1, "surrogate"),
    ('a: "\\UFFFFFFFF"', 1, "escape"),
    ("[" * 4000, 1, f"deeper than {MAX_DEPTH}"),
    ("a: " + "b" * MAX_CHARACTERS, 1, "longer"),
]


@pytest.mark.parametrize(("text", "line", "message"), REFUSED)
def test_what_is_not_strict_is_refused_with_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(NotStrictError) as caught:
        read(text)
    assert caught.value.line == line
    assert message in caught.value.message
    assert "\n" not in caught.value.message


def test_every_node_has_its_line_and_what_has_none_takes_that_of_what_is_around_it() -> None:
    document = read("a: 1\nb:\n  - x\n  - y: 2\n    z: 3\n")
    assert document.line(("b",)) == 2
    assert document.line(("b", 1)) == 4
    assert document.line(("b", 1, "z")) == 5
    assert document.line(("b", 1, "missing", 7)) == 4
    assert document.line(("nowhere",)) == 1


@given(st.text() | st.text(alphabet="ab:-?[]{}&*!#|>'\"%@`,\n\t \\ux0~0"))
def test_any_text_is_read_or_refused_and_nothing_else(text: str) -> None:
    try:
        line = read(text).line(())
    except NotStrictError as error:
        line = error.line
    assert line >= 1
