import re

import msgspec
import pytest
from fhir.resources.R4B.operationoutcome import OperationOutcome
from hypothesis import given
from hypothesis import strategies as st

from proxy.fhir.warning import LONGEST, flaw_of, header_of, outcome_of

TEXTS = ["Beware.", "42 CFR part 2: (a) {b} [c], d; e's 100%"]
FLAWED = [
    ("", "is empty"),
    (" a", "is empty, or begins"),
    ("a ", "is empty, or begins"),
    ("x" * (LONGEST + 1), "is too long"),
    ("d\u00e9j\u00e0", "cannot stand in a header"),
    ('say "a"', "cannot stand in a header"),
    ("back\\slash", "cannot stand in a header"),
    ("two\r\nx-evil: lines", "cannot stand in a header"),
    ("a\x7fb", "cannot stand in a header"),
]


@pytest.mark.parametrize("text", [*TEXTS, "x" * LONGEST])
def test_a_plain_sentence_can_be_conveyed(text: str) -> None:
    assert flaw_of(text) == ""


@pytest.mark.parametrize(("text", "flaw"), FLAWED)
def test_what_a_header_cannot_hold_is_told(text: str, flaw: str) -> None:
    assert flaw_of(text).startswith(flaw)


def test_every_text_stands_once_in_the_header_and_in_the_outcome() -> None:
    assert header_of(["b", "a", "b"]) == {"warning": '299 - "a", 299 - "b"'}
    issues = msgspec.json.decode(outcome_of(["b", "a", "b"]))["issue"]
    assert [one["details"]["text"] for one in issues] == ["a", "b"]
    assert {(one["severity"], one["code"]) for one in issues} == {("information", "informational")}


def test_nothing_to_say_makes_no_header() -> None:
    assert header_of(()) == {}


@given(st.sets(st.text(max_size=LONGEST).filter(lambda text: not flaw_of(text)), min_size=1))
def test_whatever_may_be_written_can_be_read_back(texts: set[str]) -> None:
    value = header_of(texts)["warning"]
    assert set(re.findall(r'299 - "([^"]*)"', value)) == texts
    value.encode("ascii")
    assert OperationOutcome.model_validate_json(outcome_of(texts)).issue
