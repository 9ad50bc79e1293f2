"""docs/threats.md: every threat has a test that exists, a request that is sent, or a reason."""

import re
from itertools import chain

import pytest

from tests.stage import ROOT
from tests.worlds.compartment_shapes import COMPARTMENT_SHAPES
from tests.worlds.held import HELD_SHAPES
from tests.worlds.history_shapes import HISTORY_SHAPES
from tests.worlds.shapes import EVERY

PAGE = (ROOT / "docs" / "threats.md").read_text()
ROWS = {
    int(number): cells
    for number, cells in re.findall(r"^\| T-(\d+) \| [^|]+ \| (.+) \|$", PAGE, re.MULTILINE)
}
SECTIONS = {"A-D": range(1, 88), "H": range(153, 164), "I": range(164, 189), "L": range(235, 243)}
NUMBERS = list(chain.from_iterable(SECTIONS.values()))
_TEST = re.compile(r"([\w/]+\.py)::(\w+)")
_SHAPE = re.compile(r"worlds `([^`]+)`")
_VERB = re.compile(r"worlds ([A-Z]+)\b")
_REASON = re.compile(r"(?:cannot occur|open): (?:\S+ ){5,}")
_TARGETS = [shape.target for shape in (*EVERY, *COMPARTMENT_SHAPES, *HELD_SHAPES, *HISTORY_SHAPES)]
_VERBS = {shape.method for shape in EVERY}


def test_every_threat_has_its_row() -> None:
    assert sorted(ROWS) == sorted(NUMBERS)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_row_names_a_test_a_request_or_a_reason(number: int) -> None:
    cells = ROWS[number]
    assert any(pattern.search(cells) for pattern in (_TEST, _SHAPE, _VERB, _REASON))


@pytest.mark.parametrize(("path", "name"), sorted(set(_TEST.findall(PAGE))))
def test_a_test_that_is_named_exists(path: str, name: str) -> None:
    text = (ROOT / "tests" / path).read_text()
    assert re.search(rf"^(?:async )?def {name}\(", text, re.MULTILINE)


@pytest.mark.parametrize("said", sorted(set(_SHAPE.findall(PAGE)) - {"…"}))
def test_a_request_that_is_named_is_sent(said: str) -> None:
    assert any(said in target for target in _TARGETS)


@pytest.mark.parametrize("verb", sorted(set(_VERB.findall(PAGE))))
def test_a_verb_that_is_named_is_sent(verb: str) -> None:
    assert verb in _VERBS
