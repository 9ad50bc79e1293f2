"""`$lastn` and `$docref`, beside the golden conversations: how observations are grouped."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.enforcement.composed import _latest, codes_of
from proxy.obligations.disclose import Judged
from proxy.obligations.pages import Candidate

CODES = [
    ({"coding": [{"system": "s", "code": "a"}]}, [("s", "a")]),
    ({"coding": [{"code": "a"}, {"system": "t", "code": "b"}]}, [("", "a"), ("t", "b")]),
    ({"text": "x"}, [("text", "x")]),
    ({"coding": [{"system": "s"}], "text": "x"}, [("text", "x")]),
    ({"coding": "no list"}, [("text", "")]),
    (None, [("text", "")]),
    ([1], [("text", "")]),
]


@pytest.mark.parametrize(("code", "expected"), CODES)
def test_an_observation_is_of_its_codings(code: object, expected: list[tuple[str, str]]) -> None:
    assert codes_of(json.dumps({"code": code}).encode()) == expected


def candidate(number: int, codes: list[str]) -> Candidate:
    raw = json.dumps({"code": {"coding": [{"system": "s", "code": one} for one in codes]}})
    return Candidate(f"o{number}", Judged(raw.encode(), None, None), visible=True, mode="match")


ROWS = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=2), max_size=12)


@given(ROWS, st.integers(1, 4))
def test_the_latest_is_kept_and_nothing_stands_twice(rows: list[list[str]], most: int) -> None:
    ordered = [candidate(number, codes) for number, codes in enumerate(rows)]
    kept = list(_latest(ordered, most))
    assert len({one.key for one in kept}) == len(kept)
    assert kept == sorted(kept, key=ordered.index)
    if rows:
        assert kept[0] == ordered[0]


@given(st.lists(st.sampled_from("abc"), max_size=12), st.integers(1, 4))
def test_of_observations_with_one_code_each_the_first_of_each_code_are_kept(
    rows: list[str], most: int
) -> None:
    kept = list(_latest([candidate(n, [code]) for n, code in enumerate(rows)], most))
    expected = [f"o{n}" for n, code in enumerate(rows) if rows[:n].count(code) < most]
    assert [one.key for one in kept] == expected
