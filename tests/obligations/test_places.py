import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.obligations.places import REMEMBERED, Place, held, mark_of, resumed, succeeding

KEYS = st.lists(st.integers(0, 60).map(str), unique=True, max_size=60)


def marks(keys: list[str]) -> list[bytes]:
    return [mark_of(one) for one in keys]


@pytest.mark.parametrize(
    ("target", "most"),
    [
        ("Observation?patient=x&_count=100", 100),
        ("Observation?_count=7&_sort=_id", 7),
        ("Observation?_count=7&_leg=3", 7),
        ("Observation?x_count=7", sys.maxsize),
        ("Observation?_count=7x", sys.maxsize),
        ("Observation", sys.maxsize),
    ],
)
def test_a_first_page_holds_what_was_asked_for(target: str, most: int) -> None:
    assert held(target) == most


@given(KEYS, st.integers(1, 60))
def test_a_place_names_what_follows_and_what_was_given_last(keys: list[str], size: int) -> None:
    place = Place()
    for begin in range(0, len(keys) - size, size):
        page = keys[begin : begin + size]
        place = succeeding(place, b"", page, keys[begin + size])
        before = keys[: begin + size]
        assert place.next == mark_of(keys[begin + size])
        assert place.given == len(before)
        assert list(place.last) == marks(before[::-1])[:REMEMBERED]


def test_another_search_counts_for_itself() -> None:
    place = succeeding(Place(b"one", b"", 7, b"", (mark_of("x"),)), b"two", ["y"], "z")
    assert place == Place(b"two", b"", 1, mark_of("z"), (mark_of("y"),))


@given(KEYS, st.integers(0, 60), st.sets(st.integers(0, 60).map(str)))
def test_what_is_left_of_what_was_given_is_not_given_again(
    keys: list[str], count: int, gone: set[str]
) -> None:
    """Nor is anything left out, unless more than are remembered are gone."""
    before, after = keys[:count], keys[count:]
    place = Place(given=len(before), last=tuple(marks(before[::-1])[:REMEMBERED]))
    left = [one for one in keys if one not in gone]
    went_on = left[resumed(place, marks(left)) :]
    if len(before) <= REMEMBERED or set(before[-REMEMBERED:]) - gone:
        assert went_on == [one for one in after if one not in gone]


def test_where_none_is_left_that_is_remembered_as_many_are_passed_as_can_be_left() -> None:
    remembered = tuple(marks([f"gone {n}" for n in range(REMEMBERED)]))
    assert resumed(Place(given=50, last=remembered), marks(["a"])) == 50 - REMEMBERED
